// Tests of the packages that Bun does not run, by file and a part of their names, and why: what its HTTP/2, its engine and its command
// line do otherwise than Node's. vitest.config.ts loads this before each test file where Bun runs it, and `npm run test:bun` lists what
// was skipped. docs/runtimes.md says what of it users notice.
import { beforeEach } from 'vitest'

const refused =
  'in HTTP/2 of Bun a reset with REFUSED_STREAM arrives with another code, so grpc-js does not make the call again'
const resets = 'HTTP/2 of Bun sends no reset with NO_ERROR behind an answer to a client that has not half-closed'
const cancels = 'the limit of cancels on a connection is of HTTP/2 of Node'
const errorKeys = 'errors of JavaScriptCore have the keys line and column'
const frames = 'frames are left in errors on Bun, since JavaScriptCore leaves line and column out with them'
const quotes = 'JSON.parse of JavaScriptCore quotes nothing of its input'
const hooks = 'async_hooks of Bun tells of no promises'
const timers = 'timers are no resources that Bun lists'
const nodeTest = 'node --test and its output are of Node'
const urls = 'the URL parser of Bun, which the test compares with, refuses some spellings of IPv6 addresses'
const heap = 'Bun collects and counts its heap otherwise than V8'
const ioredis = 'with ioredis on Bun some answers come later than the test allows; the cause is not known'

/** By file: a part of the full names of tests, and the reason. */
const tests = {
  'grpc-core/src/contract/credential-text.test.ts': [['as JSON.parse quotes it', quotes]],
  'grpc-core/src/engine/client/application-side.test.ts': [
    ['few frames of this library: unary', frames],
    ['few frames of this library: clientStream', frames],
  ],
  'grpc-core/src/grpc-js/failure-without-frames.test.ts': [
    ['has the frames of the caller, and no others', frames],
    ['shows the frames of the caller to a formatter', frames],
  ],
  'grpc-core/src/engine/server/refused-streams.test.ts': [
    ['is reset with NO_ERROR after its status: a handler that has answered', resets],
    ['gives what the server wrote before, in whole, to a client that reads late', resets],
  ],
  'grpc-core/src/invariants/replay.test.ts': [['the status of the last attempt is the application', errorKeys]],
  'grpc-core/src/invariants/transparency.test.ts': [['errors have the own keys grpc-js gives them', errorKeys]],
  'grpc-core/src/invariants/work.test.ts': [['a stack without taps makes no promise per message', hooks]],
  'grpc-testing/src/suite/interceptor-suite.test.ts': [
    ['leaves a timer behind', timers],
    ['runs under node:test', nodeTest],
  ],
  'interceptor-logging/src/logger.test.ts': [['has a form for values JSON has none for', errorKeys]],
  'interceptor-ratelimit/src/keys/addresses.test.ts': [['spells every spelling of an address the same way', urls]],
  'interceptor-ratelimit/src/stores/memory-store.load.test.ts': [['takes at most 64 MiB', heap]],
  'interceptor-ratelimit/src/stores/redis-outage.test.ts': [
    ['with ioredis, a Redis that is stopped, hung and started again under load > takes a pause', ioredis],
  ],
  'interceptor-retry/src/resets.test.ts': [["Node's server ends a connection", cancels]],
  'interceptor-retry/src/retry-a6.test.ts': [['a refused stream was not processed', refused]],
}

beforeEach(({ task, skip }) => {
  const listed = Object.entries(tests).find(([file]) => task.file.name.endsWith(file))?.[1] ?? []
  const name = `${task.suite?.name} > ${task.name}`
  const reason = listed.find(([part]) => name.includes(part))?.[1]
  if (reason !== undefined) skip(reason)
})
