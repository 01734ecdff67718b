import { MAX_MESSAGE_BYTES } from '../service.ts'
import type { Played } from './play.ts'
import type { Script } from './script.ts'
import type { World } from './worlds.ts'

/** All that the applications on both sides could observe, as lines. */
export function observed(played: Played): string[] {
  const { thrown, client, server, missed } = played
  return [
    ...(thrown === undefined ? [] : [`thrown: ${thrown}`]),
    ...(client?.events ?? []).map((event) => `client: ${event}`),
    ...(client?.writes ?? []).map((answer, n) => `client: write ${n} ${answer}`),
    ...(server?.events ?? ['no handler']).map((event) => `server: ${event}`),
    ...(server?.writes ?? []).map((answer, n) => `server: write ${n} ${answer}`),
    ...missed.map((what) => `did not arrive: ${what}`),
  ]
}

/** The same without the forms in which a handler of grpc-js is told it. */
function observedByClient(played: Played): string[] {
  return observed(played).filter((line) => !line.startsWith('server: ') || RECEIVED.test(line))
}

/** An async handler is in the middle of its loop where one of grpc-js has paused its stream, and so hears of the end of the requests. */
const RECEIVED = /^server: (no handler|metadata|has a deadline|request)/

/** The same without the forms in which a stub tells it. */
function outcome({ client, server, thrown }: Played): string[] {
  const status = client?.events.find((event) => event.startsWith('status '))?.replace(/ \[[a-z,]*\]$/, '')
  const headers = client?.events.find((event) => event.startsWith('headers ') && event !== 'headers {}')
  return [
    `thrown: ${thrown}`,
    `client: ${headers ?? 'no headers'}`,
    `client: ${status}`,
    ...(client?.code === 0 ? client.delivered.map((n) => `client: message ${n}`) : []),
    ...(server?.events ?? []).filter((event) => /^(metadata|request)/.test(event)).map((event) => `server: ${event}`),
  ]
}

/** The first line in which a run differs from one without interceptors, if there is one. */
export function difference(world: Pick<World, 'compares'>, bare: Played, played: Played): string | undefined {
  const view = { everything: observed, client: observedByClient, outcome }[world.compares]
  const [expected, actual] = [view(bare), view(played)]
  for (let i = 0; i < Math.max(expected.length, actual.length); i++) {
    if (expected[i] !== actual[i])
      return `bare has "${expected[i] ?? 'nothing more'}", this "${actual[i] ?? 'nothing more'}"`
  }
  return undefined
}

/** What no run may do, whatever happens when. */
export function broken(
  script: Script,
  played: Played,
  { confirmsEarly = false, causes = [] }: Partial<Pick<World, 'confirmsEarly' | 'causes'>> = {},
): string[] {
  const { client, server, requests, responses, violations, thrown } = played
  if (thrown !== undefined) return [`the method threw: ${thrown}`]
  if (client === undefined) return ['there is no call']
  const found = [...violations, ...client.violations, ...(server?.violations ?? [])]
  const statuses = client.events.filter((event) => event.startsWith('status ')).length
  if (statuses !== 1) found.push(`the application got ${statuses} statuses`)
  const answers = client.events.filter((event) => /^(error|response) /.test(event)).length
  const streams = script.pattern === 'serverStream' || script.pattern === 'bidi'
  if (!streams && answers !== 1) found.push(`${answers} errors or responses for one status`)
  if (streams && answers !== (client.code === 0 ? 0 : 1)) found.push(`${answers} errors with status ${client.code}`)
  if (!isPrefix(client.delivered, responses.written)) {
    found.push(`the client got responses ${client.delivered}, the handler wrote ${responses.written}`)
  }
  if (server !== undefined && !isPrefix(server.received, requests.written)) {
    found.push(`the handler got requests ${server.received}, the client wrote ${requests.written}`)
  }
  if (client.code === 0 && client.delivered.length < responses.written.length) {
    const lost = responses.written.length - client.delivered.length
    // What is written after the end is no part of the RPC.
    if (server?.answered === true && !writesAfterStatus(script)) found.push(`OK, but ${lost} responses were lost`)
  }
  for (const n of confirmsEarly ? [] : client.confirmed) {
    if (!requests.serialized.has(n)) found.push(`the write of request ${n} was confirmed, but it was never sent`)
  }
  for (const n of server?.confirmed ?? []) {
    if (!responses.serialized.has(n)) found.push(`the write of response ${n} was confirmed, but it was never sent`)
  }
  const codes = possibleCodes(script)
  if (client.code !== undefined && !codes.has(client.code) && !causes.includes(client.code)) {
    found.push(`status ${client.code} (${client.details}), which nothing in the script causes`)
  }
  return found
}

function isPrefix(part: readonly number[], whole: readonly number[]): boolean {
  return part.length <= whole.length && part.every((n, at) => n === whole[at])
}

function writesAfterStatus({ steps }: Script): boolean {
  const status = steps.findIndex((step) => 'server' in step && step.server === 'status')
  return status >= 0 && steps.slice(status).some((step) => 'server' in step && step.server === 'write')
}

function possibleCodes({ steps, request, options, pattern }: Script): ReadonlySet<number> {
  const codes = new Set<number>()
  const status = steps.find((step) => 'server' in step && step.server === 'status')
  codes.add(status !== undefined && 'code' in status ? status.code : 0)
  if (options.deadlineMs !== undefined && options.deadlineMs < 1000) {
    codes.add(4)
    // A stock server that hears of the deadline first cannot tell it from a cancel.
    codes.add(1)
  }
  const spoilt = [...steps, ...(request ? [request] : [])].some(
    (step) => ('fault' in step && step.fault !== undefined) || ('size' in step && (step.size ?? 0) > MAX_MESSAGE_BYTES),
  )
  // Too large, unparsable, unserializable; a response that never came; the reset that follows one of them.
  if (spoilt) for (const code of [1, 2, 8, 12, 13]) codes.add(code)
  if (steps.some((step) => 'client' in step && step.client === 'cancel')) {
    codes.add(1)
    codes.add(0)
  }
  if (pattern === undefined) codes.clear()
  return codes
}
