import { clientInterceptors, createServer } from '@grpc-stack/grpc-core'
import { fromPage, GreeterService, greeterAt, listen, outcome } from './pages.mjs'

const { quota } = await fromPage('guides-writing-interceptors', 'block-1')
const watch = async (_call, next) => {
  const ended = await next()
  console.log(`refused by ${ended.refusedBy}`)
  return ended
}
const server = createServer({ interceptors: [watch, quota(1)] })
server.addService(GreeterService, { sayHello: async () => ({ message: 'Hello' }) })
const greeter = greeterAt(await listen(server))
for (let call = 0; call < 2; call++) console.log(await outcome(greeter.sayHello({ name: 'you' })))
for (const mistake of [() => createServer({ interceptors: [quota] }), () => clientInterceptors(quota(1))]) {
  try {
    mistake()
  } catch (error) {
    console.log(error.message)
  }
}
process.exit()
