import { rmSync, writeFileSync } from 'node:fs'
import { createServer } from '@grpc-stack/grpc-core'
import { serverAuth } from '@grpc-stack/interceptor-auth'
import { fromPage, GreeterService, greeterAt, listen, outcome, warnings, withToken } from './pages.mjs'

const allowing = (principals) =>
  JSON.stringify({ name: 'greeter', allow_rules: [{ name: principals.join(), source: { principals } }] })
writeFileSync('policy.json', allowing(['ann', 'bob']))
writeFileSync('next-policy.json', allowing(['ann']))
const codes = warnings()
const { rules, trial } = await fromPage('guides-tokens-and-certificates', 'block-3')
const server = createServer({
  interceptors: [serverAuth({ verify: (subject) => ({ subject }), authorize: trial })],
})
server.addService(GreeterService, { sayHello: ({ request }) => ({ message: `Hello ${request.name}` }) })
const client = greeterAt(await listen(server))
const call = async (name) => console.log(await outcome(client.sayHello({ name }, { metadata: withToken(name) })))
await call('ann')
await call('bob')

writeFileSync('policy.json', '{')
await rules.reload()
await call('bob')
writeFileSync('policy.json', allowing(['ann']))
await rules.reload()
await call('bob')
console.log(codes.join())
for (const file of ['policy.json', 'next-policy.json']) rmSync(file)
process.exit()
