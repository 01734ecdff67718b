// A server in a process of its own, so that it can be killed, stopped and started again. Speaks the test service of
// grpc-testing. What to do is in the request metadata: `play` names one of the behaviours below.
import http2 from 'node:http2'
import { Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js'

const serialize = (message) => Buffer.from(JSON.stringify(message))
const deserialize = (bytes) => JSON.parse(bytes.toString())
const method = (name, requestStream, responseStream) => ({
  path: `/grpcstack.testing.Test/${name}`,
  requestStream,
  responseStream,
  requestSerialize: serialize,
  requestDeserialize: deserialize,
  responseSerialize: serialize,
  responseDeserialize: deserialize,
})

const sockets = new Set()
const { createServer } = http2
// grpc-js does not show its connections. Bun has no diagnostics channel of them either.
http2.createServer = (...args) => createServer(...args).on('connection', (socket) => sockets.add(socket))

const tell = (event) => process.send(event)
const begun = (call) => {
  const [play = 'echo'] = call.metadata.get('play')
  const previous = call.metadata.get('grpc-previous-rpc-attempts')
  tell({ event: 'call', previous })
  return play === 'hang at first' && previous.length > 0 ? 'echo' : play
}
const ignoreEnd = (call) => call.on('error', () => undefined)

const server = new Server()
server.addService(
  {
    unary: method('Unary', false, false),
    clientStream: method('ClientStream', true, false),
    serverStream: method('ServerStream', false, true),
    bidi: method('Bidi', true, true),
  },
  {
    unary(call, respond) {
      const play = begun(call)
      tell({ event: 'request', message: call.request })
      if (play === 'echo') respond(null, call.request)
    },
    clientStream(call, respond) {
      const play = begun(call)
      const texts = []
      ignoreEnd(call)
      call.on('data', (message) => {
        texts.push(message.text)
        tell({ event: 'request', message })
      })
      call.on('end', () => play === 'echo' && respond(null, { n: texts.length, text: texts.join('') }))
    },
    async serverStream(call) {
      const play = begun(call)
      ignoreEnd(call)
      if (play === 'burst') {
        call.sendMetadata(new Metadata())
        for (let n = 0; n < call.request.n; n++) call.write({ n })
        call.emit('error', { code: status.UNAVAILABLE, details: 'after the messages', metadata: new Metadata() })
        return
      }
      const count = play === 'hang after two' ? 2 : play === 'hang at first' ? 0 : call.request.n
      for (let n = 0; n < count; n++) await new Promise((sent) => call.write({ n }, sent))
      if (play === 'echo') call.end()
    },
    bidi(call) {
      const play = begun(call)
      ignoreEnd(call)
      call.on('data', (message) => {
        tell({ event: 'request', message })
        if (play === 'echo') call.write(message)
      })
      call.on('end', () => play === 'echo' && call.end())
    },
  },
)

process.on('message', (command) => {
  // The server's side of each connection ends; it still reads.
  if (command === 'half-close') for (const socket of sockets) socket.end()
  if (command === 'drain') server.tryShutdown(() => tell({ event: 'drained' }))
})
process.on('disconnect', () => process.exit())

server.bindAsync(`127.0.0.1:${process.argv[2]}`, ServerCredentials.createInsecure(), (error, port) => {
  tell(error ? { event: 'failed', message: String(error) } : { event: 'listening', port })
})
