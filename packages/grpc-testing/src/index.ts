export { type Behaviour, echo, endWith, heldBy, manual } from './behaviours.ts'
export { ClientRpc, type RawClientCall, type RpcSettings, runRpc, startRpc } from './client-rpc.ts'
export { type Failing, failing } from './failing.ts'
export { type Clock, FakeClock } from './fake-clock.ts'
export { Gate, settle, standstill } from './gate.ts'
export { type EndStatus, metadataOf, type RawServerCall, ServerRpc } from './server-rpc.ts'
export { interceptorSuite, type SuiteFactory } from './suite/interceptor-suite.ts'
export type { SuiteRunner } from './suite/runner.ts'
export type { SuiteSubject } from './suite/world.ts'
export { startTestServer, TestServer, type TestServerOptions } from './test-server.ts'
export {
  patterns,
  TestClient,
  type TestMessage,
  type TestPattern,
  testService,
  unparsable,
  unserializable,
} from './test-service.ts'
