// What the programs in this folder share. They lie beside the compiled pages of the site when they run: each imports a block of a page and
// makes calls to what it has set up.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { credentials, Metadata, ServerCredentials, status } from '@grpc/grpc-js'
import { createChannel, createClient } from '@grpc-stack/grpc-core'

/** A block of a page: `fromPage('guides-redis', 'block-0')`. With a name of its own it is loaded once more. */
export const fromPage = (page, block, name = '') => import(new URL(`../${page}/${block}.js${name}`, import.meta.url))

/** The service of the pages. */
export const { GreeterService } = await fromPage('guides-stacks', 'gen/greeter')

/** Lets a server listen on a free port, or the one that is given. */
export function listen(server, address = '127.0.0.1:0', creds = ServerCredentials.createInsecure()) {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, creds, (error, port) => (error ? reject(error) : resolve(port)))
  })
}

/** A client of the greeter at a port, or on a channel. */
export const greeterAt = (portOrChannel) =>
  createClient(
    GreeterService,
    typeof portOrChannel === 'number'
      ? createChannel(`127.0.0.1:${portOrChannel}`, credentials.createInsecure())
      : portOrChannel,
  )

export const withToken = (token) => {
  const metadata = new Metadata()
  metadata.set('authorization', `Bearer ${token}`)
  return metadata
}

/** The response of a unary call, or its code and details. */
export async function outcome(call) {
  const ended = await call.status
  return ended.code === status.OK ? await call : `${status[ended.code]} ${ended.details}`
}

/** Resolves once the condition holds; the test ends a program for which it never does. */
export async function until(condition) {
  while (!(await condition())) await sleep(10)
}

/** The warnings of the process from now on, by code. */
export function warnings() {
  const codes = []
  process.on('warning', ({ code }) => codes.push(code))
  return codes
}

export { once, sleep }
