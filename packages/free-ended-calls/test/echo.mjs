// A server and a client of bare grpc-js, for processes that tests start.
import grpc from '@grpc/grpc-js'

const bytes = (value) => value
const method = (name, requestStream, responseStream) => ({
  path: `/test.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
})

const definition = {
  unary: method('Unary', false, false),
  hold: method('Hold', true, true),
}

/** `hold` answers each message, and ends when the client does. */
const handlers = {
  unary: (call, callback) => setImmediate(callback, null, call.request),
  hold: (call) => {
    call.on('data', (message) => call.write(message))
    call.on('end', () => call.end())
    call.on('error', () => {})
  },
}

export async function startServer(port = 0) {
  const server = new grpc.Server()
  server.addService(definition, handlers)
  const bound = await new Promise((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, to) => {
      if (error) reject(error)
      else resolve(to)
    })
  })
  return { server, port: bound }
}

const Client = grpc.makeGenericClientConstructor(definition, 'Echo')
export const connect = (port) => new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure())

export const unary = (client, message, options = {}) =>
  new Promise((resolve, reject) => {
    client.unary(message, options, (error, reply) => (error ? reject(error) : resolve(reply)))
  })

/** Makes calls, so many at a time. */
export async function many(client, calls, atATime) {
  let left = calls
  const lane = async () => {
    while (left-- > 0) await unary(client, Buffer.from('hello'))
  }
  await Promise.all(Array.from({ length: atATime }, lane))
}
