// The server and the client of the page, with an issuer and certificates of the test.

import { readFileSync } from 'node:fs'
import { credentials, ServerCredentials } from '@grpc/grpc-js'
import { createChannel } from '@grpc-stack/grpc-core'
import { fromPage, greeterAt, listen, outcome, withToken } from './pages.mjs'

const page = 'guides-tokens-and-certificates'
const { server } = await fromPage(page, 'block-0')
const { channel } = await fromPage(page, 'block-1')
const pair = {
  cert_chain: readFileSync('certificates/server.pem'),
  private_key: readFileSync('certificates/server.key'),
}
const address = `localhost:${process.env.GRPC_PORT}`
await listen(server, address, ServerCredentials.createSsl(null, [pair]))

console.log(await outcome(greeterAt(channel).sayHello({ name: 'you' })))
const bare = greeterAt(createChannel(address, credentials.createSsl(readFileSync('certificates/ca.pem'))))
console.log(await outcome(bare.sayHello({ name: 'you' })))
console.log(await outcome(bare.sayHello({ name: 'you' }, { metadata: withToken(process.env.WITHOUT_SCOPE) })))
process.exit()
