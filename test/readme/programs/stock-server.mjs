import { fromPage, GreeterService, greeterAt, listen, outcome } from './pages.mjs'

const { server } = await fromPage('start-first-server', 'block-1')
server.addService(GreeterService, { sayHello: (_call, callback) => callback(null, { message: 'Hello' }) })
console.log(await outcome(greeterAt(await listen(server)).sayHello({ name: 'you' })))
process.exit()
