import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import type { TestServer } from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it } from 'vitest'
import { alice, answerTo, DOWN, startAuthServer, stopAuthServers } from '../../test/auth-server.ts'
import { createAuthority, type Names } from '../../test/certificates.ts'
import { shareable } from '../index.ts'

let server: TestServer
afterEach(stopAuthServers)

describe('an identity service that cannot be reached or trusted is not the token’s fault', () => {
  const closers: (() => void)[] = []
  afterEach(() => {
    for (const close of closers.splice(0)) close()
  })
  const listening = async (service: Server): Promise<number> => {
    const sockets = new Set<Socket>()
    service.on('connection', (socket: Socket) => void sockets.add(socket))
    closers.push(() => {
      service.close()
      for (const socket of sockets) socket.destroy()
    })
    await new Promise<void>((resolve) => {
      service.listen(0, '127.0.0.1', resolve)
    })
    return (service.address() as AddressInfo).port
  }
  const plain = () => createHttpServer((_request, response) => void response.end('{}'))
  const secure = async (names: Names) => {
    const certified = createAuthority().issue({ ip: ['127.0.0.1'], ...names })
    const service = createHttpsServer({ ...certified }, (_request, response) => void response.end('{}'))
    return `https://127.0.0.1:${await listening(service)}/`
  }
  const services: [string, () => Promise<string>][] = [
    ['TLS to a plain port', async () => `https://127.0.0.1:${await listening(plain())}/`],
    [
      'an answer that is no HTTP',
      async () => `http://127.0.0.1:${await listening(createTcpServer((socket) => void socket.end('SSH-2.0\r\n')))}/`,
    ],
    [
      'a connection that is closed at once',
      async () => `http://127.0.0.1:${await listening(createTcpServer((socket) => socket.destroy()))}/`,
    ],
    [
      'nothing that listens',
      async () => {
        const service = plain()
        const port = await listening(service)
        await new Promise((resolve) => {
          service.close(resolve)
        })
        return `http://127.0.0.1:${port}/`
      },
    ],
    ['a certificate that is not trusted', () => secure({})],
    ['a certificate that has expired', () => secure({ notAfter: Date.now() - 60_000 })],
  ]
  for (const [what, start] of services) {
    it(`${what}: UNAVAILABLE, and asked again as soon as it is well`, async () => {
      const url = await start()
      let well = false
      const verify = shareable(async (token) => {
        if (!well) await fetch(url)
        return token === 'good' ? alice : null
      })
      server = await startAuthServer({ verify, failureLimit: { max: 1 } })
      for (let n = 0; n < 2; n++) expect(await answerTo(server, 'Bearer good')).toBe(DOWN)
      well = true
      expect(await answerTo(server, 'Bearer good')).toBe('OK: OK')
    })
  }
})
