// What the two services have in common: they answer a method by a file, and end with the process that started them.
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

/**
 * Serves a method on the port that is given, or a free one for 0, and prints it.
 * @param {string} proto path of the definition, from this folder
 * @param {string} service full name
 * @param {string} method
 * @param {(request: any, answers: any) => object} answer what is answered to a request, by what the file says now
 */
export function serve(proto, service, method, answer) {
  const [file = '', port = '0'] = process.argv.slice(2)
  // An editor may be about to write it.
  let last = {}
  const answers = () => {
    try {
      last = JSON.parse(readFileSync(file, 'utf8'))
    } catch (error) {
      console.error(`${file}: ${error.message}; the answers are as before`)
    }
    return last
  }
  const definition = loadSync(fileURLToPath(new URL(proto, import.meta.url)), { defaults: true, oneofs: true })
  const server = new Server()
  server.addService(definition[service], {
    async [method]({ request }, callback) {
      const said = answers()
      if (said.delayMs > 0) await sleep(said.delayMs)
      callback(null, answer(request, said))
    },
  })
  server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
    if (error) throw error
    console.log(bound)
  })
  process.stdin.on('end', () => process.exit()).resume()
}
