import { CallCredentials, status as Code, credentials, Metadata, ServerCredentials } from '@grpc/grpc-js'
import { afterEach, describe, expect, it } from 'vitest'
import { forAddress, forName, key } from '../../test/certificates.ts'
import { Greeter } from '../../test/greeter.ts'
import { collect, failureOf, greeting } from '../../test/greeter-server.ts'
import { createChannel, createClient, createServer } from '../index.ts'

const opened: { close(): void }[] = []
afterEach(() => {
  for (const one of opened.splice(0)) one.close()
})

/** A greeter behind this certificate, which notes the ports its callers come from; returns its port. */
async function startEncrypted(cert: Buffer, host = '127.0.0.1', callers = new Set<unknown>()): Promise<number> {
  const server = createServer()
  server.addService(Greeter, {
    ...greeting,
    greet: (call) => {
      callers.add(call.getPeer())
      return { text: `token ${call.metadata.get('token').join()}` }
    },
  })
  opened.push({ close: () => server.forceShutdown() })
  return new Promise((resolve, reject) => {
    const secure = ServerCredentials.createSsl(null, [{ cert_chain: cert, private_key: key }])
    server.bindAsync(`${host}:0`, secure, (error, port) => (error ? reject(error) : resolve(port)))
  })
}

function connect(target: string, cert: Buffer, options = {}, ssl = credentials.createSsl(cert)) {
  const channel = createChannel(target, ssl, { 'grpc.use_local_subchannel_pool': 1, ...options })
  opened.push(channel)
  return createClient(Greeter, channel)
}

describe('a channel to an IP address over TLS', () => {
  it.each(['127.0.0.1:', 'dns:127.0.0.1:', 'dns:///127.0.0.1:', 'ipv4:127.0.0.1:'])('reaches %s', async (target) => {
    const client = connect(`${target}${await startEncrypted(forAddress)}`, forAddress)
    expect(await client.greet({ name: 'a' })).toEqual({ text: 'token ' })
    expect(await client.greetAll([{ name: 'a' }, { name: 'b' }])).toEqual({ text: 'a b' })
    expect(await collect(client.greetMany({ name: 'a', times: 2 }))).toHaveLength(2)
    expect(await collect(client.chat([{ name: 'a' }, { name: 'b' }]))).toHaveLength(2)
  })

  it('reaches an IPv6 address', async ({ skip }) => {
    const port = await startEncrypted(forAddress, '[::1]').catch(() => undefined)
    if (port === undefined) skip('no IPv6 here')
    // Node 22.23.3 finds no IPv6 address in any certificate, so this tells only which one it would have looked for.
    const looked: string[] = []
    const checkServerIdentity = (host: string) => void looked.push(host)
    const ssl = credentials.createSsl(forAddress, null, null, { checkServerIdentity })
    for (const target of [`[::1]:${port}`, `ipv6:[::1]:${port}`]) {
      expect(await connect(target, forAddress, {}, ssl).greet({ name: 'a' })).toEqual({ text: 'token ' })
    }
    expect(looked).toEqual(['::1', '::1'])
  })

  it('is refused by a certificate that does not name the address', async () => {
    const client = connect(`127.0.0.1:${await startEncrypted(forName)}`, forName)
    const failure = await failureOf(client.greet({ name: 'a' }))
    expect(failure.code).toBe(Code.UNAVAILABLE)
    expect(failure.details).toContain("IP: 127.0.0.1 is not in the cert's list")
  })

  it('checks the certificate against grpc.ssl_target_name_override, a name or an address', async () => {
    const named = `127.0.0.1:${await startEncrypted(forName)}`
    const override = (name: string) => ({ 'grpc.ssl_target_name_override': name })
    expect(await connect(named, forName, override('localhost')).greet({ name: 'a' })).toEqual({ text: 'token ' })
    const other = await failureOf(connect(named, forName, override('other.example')).greet({ name: 'a' }))
    expect(other.code).toBe(Code.UNAVAILABLE)
    const port = await startEncrypted(forAddress)
    expect(await connect(`localhost:${port}`, forAddress, override('127.0.0.1')).greet({ name: 'a' })).toEqual({
      text: 'token ',
    })
  })

  it('sends the call credentials that its credentials are composed with', async () => {
    const target = `127.0.0.1:${await startEncrypted(forAddress)}`
    const perCall = CallCredentials.createFromMetadataGenerator((_options, done) => {
      const metadata = new Metadata()
      metadata.set('token', 'mine')
      done(null, metadata)
    })
    const composed = credentials.combineChannelCredentials(credentials.createSsl(forAddress), perCall)
    expect(await connect(target, forAddress, {}, composed).greet({ name: 'a' })).toEqual({ text: 'token mine' })
  })

  it('shares its connection with channels of the same credentials, and with no others', async () => {
    const callers = new Set<unknown>()
    const target = `127.0.0.1:${await startEncrypted(forAddress, '127.0.0.1', callers)}`
    const ssl = credentials.createSsl(forAddress)
    const call = (chosen: typeof ssl) =>
      connect(target, forAddress, { 'grpc.use_local_subchannel_pool': 0 }, chosen).greet({ name: 'a' })
    await call(ssl)
    await call(ssl)
    expect(callers.size).toBe(1)
    await call(credentials.createSsl(forAddress))
    expect(callers.size).toBe(2)
  })
})

describe('grpc-js itself', () => {
  it('asks for an IP address as the TLS server name', () => {
    const target = { scheme: 'dns', path: '127.0.0.1:443' }
    const connector = credentials.createSsl()._createSecureConnector(target, {})
    expect(connector).toHaveProperty('connectionOptions.servername', '127.0.0.1')
  })
})
