import { createServer } from '@grpc-stack/grpc-core'
import { fromPage, GreeterService, greeterAt, listen, once } from './pages.mjs'

const { signalVar, withSignal } = await fromPage('guides-async-handlers', 'block-1')
const server = createServer({ interceptors: [withSignal] })
let call
const aborted = new Promise((resolve) => {
  server.addService(GreeterService, {
    async sayHello() {
      const signal = signalVar.get()
      call.cancel()
      await once(signal, 'abort')
      resolve()
      return { message: 'too late' }
    },
  })
})
call = greeterAt(await listen(server)).sayHello({ name: 'you' })
call.catch(() => undefined)
await aborted
console.log('aborted')
process.exit()
