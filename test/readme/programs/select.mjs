import { createServer } from '@grpc-stack/grpc-core'
import { fromPage, GreeterService, greeterAt, listen, outcome } from './pages.mjs'

const { quiet, streams, byFunction } = await fromPage('guides-stacks', 'block-1')
for (const [name, interceptor] of Object.entries({ quiet, streams, byFunction })) {
  const server = createServer({ interceptors: [interceptor], unmatched: 'warn' })
  server.addService(GreeterService, {
    sayHello: async () => ({ message: 'Hello' }),
    async *countTo() {},
  })
  const greeter = greeterAt(await listen(server))
  console.log(name)
  await outcome(greeter.sayHello({ name: 'you' }))
  await greeter.countTo({ to: 1 }).status
}
process.exit()
