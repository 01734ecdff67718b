import { interceptorSuite, metadataOf } from '@grpc-stack/grpc-testing'
import { apiKeys, clientAuth, hashApiKey, policy, serverAuth } from '../index.ts'

const soon = () => Date.now() + 3_600_000
const whose = (token: string) => (token === 'good' ? { subject: 'alice', claims: { role: 'reader' } } : null)
const bring = metadataOf({ authorization: 'Bearer good' })
const adds = ['authorization']

interceptorSuite('clientAuth with a constant token, and serverAuth', () => ({
  client: clientAuth({ token: 'good', allowInsecure: true, callerHeader: 'replace' }),
  server: serverAuth({ verify: whose }),
  metadata: bring,
  adds,
}))

interceptorSuite('clientAuth with a provider, and serverAuth with everything asynchronous', () => ({
  client: clientAuth({
    token: async () => ({ token: 'good', expiresAt: soon() }),
    allowInsecure: true,
    callerHeader: 'replace',
  }),
  server: serverAuth({
    verify: async (token, _call) => whose(token),
    authorize: async () => true,
    endStreamsOnExpiry: true,
    onDecision: () => undefined,
  }),
  metadata: bring,
  adds,
  replayable: true,
}))

interceptorSuite('serverAuth with API keys and a policy', () => ({
  server: serverAuth({
    verify: [apiKeys({ keys: [{ hash: hashApiKey('key'), subject: 'billing' }] }), whose],
    authorize: policy({ allow: [{ name: 'readers', claims: { role: 'reader' } }] }),
    failureLimit: { max: 3 },
  }),
  metadata: bring,
  adds,
}))

interceptorSuite('serverAuth with streams that end on expiry', () => ({
  server: serverAuth({
    verify: (token) => (token === 'good' ? { subject: 'alice', expiresAt: soon() } : null),
    endStreamsOnExpiry: true,
  }),
  metadata: bring,
  adds,
}))
