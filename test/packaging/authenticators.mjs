// Tells which authenticator vouches for a caller, and whether a rule about it holds. Bundled by minified.test.ts.
import { credentials, Metadata, ServerCredentials } from '@grpc/grpc-js'
import { createChannel, createClient, createServer } from '@grpc-stack/grpc-core'
import { bearer, policy, principalVar, serverAuth, shareable } from '@grpc-stack/interceptor-auth'

const codec = { serialize: () => Buffer.alloc(0), deserialize: () => ({}) }
const Ping = {
  ping: {
    path: '/test.Ping/Ping',
    requestStream: false,
    responseStream: false,
    requestSerialize: codec.serialize,
    requestDeserialize: codec.deserialize,
    responseSerialize: codec.serialize,
    responseDeserialize: codec.deserialize,
  },
}
const everyone = [{ name: 'everyone', principals: '*' }]

async function ask(verify, authorize) {
  let vouching
  const server = createServer({ interceptors: [serverAuth({ verify, ...(authorize && { authorize }) })] })
  server.addService(Ping, {
    ping: async () => {
      vouching = principalVar.get().authenticator
      return {}
    },
  })
  const port = await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  const channel = createChannel(`127.0.0.1:${port}`, credentials.createInsecure())
  const metadata = new Metadata()
  metadata.set('authorization', 'Bearer x')
  const { code } = await createClient(Ping, channel)
    .ping({}, { metadata })
    .then(
      () => ({ code: 0 }),
      (error) => error,
    )
  channel.close()
  server.forceShutdown()
  return { code, vouching }
}

/** The codes of calls under a rule that allows, and one that denies, this authenticator. */
async function under(verify, authenticators) {
  const allowed = await ask(verify, policy({ allow: [{ name: 'rule', authenticators }] }))
  const denied = await ask(verify, policy({ deny: [{ name: 'rule', authenticators }], allow: everyone }))
  return [allowed.code, denied.code]
}

function refusal(authenticators) {
  try {
    serverAuth({ verify: checkSession, authorize: policy({ allow: [{ name: 'rule', authenticators }] }) })
    return 'none'
  } catch (error) {
    return error.message
  }
}

async function checkSession(token) {
  return { subject: token }
}

console.log(
  JSON.stringify({
    control: checkSession.name,
    vouching: [
      (await ask(checkSession)).vouching,
      (await ask(bearer(checkSession))).vouching,
      (await ask(shareable(checkSession))).vouching,
      (await ask(bearer(checkSession, { name: 'sessions' }))).vouching,
    ],
    codes: [await under(checkSession, 'bearer'), await under(bearer(checkSession, { name: 'sessions' }), 'sessions')],
    refusal: refusal('checkSession'),
  }),
)
