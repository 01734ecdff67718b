import { createServer } from '@grpc-stack/grpc-core'
import { fromPage, GreeterService, greeterAt, listen, outcome, sleep } from './pages.mjs'

const { slowCalls } = await fromPage('guides-writing-interceptors', 'block-0')
const server = createServer({ interceptors: [slowCalls] })
server.addService(GreeterService, {
  async sayHello({ request }) {
    if (request.name === 'slow') await sleep(1050)
    return { message: request.name }
  },
})
const greeter = greeterAt(await listen(server))
console.warn = (...said) => console.log(said.slice(0, 2).join(' '), said[2] > 1000)
for (const name of ['quick', 'slow']) console.log((await outcome(greeter.sayHello({ name }))).message)
process.exit()
