import { Metadata } from '@grpc/grpc-js'
import { callerContext } from '../fuzz/client-part.ts'
import { stacks } from '../fuzz/stacks.ts'
import { type CallingSide, openClient, openServer, stackNamed } from '../fuzz/worlds.ts'
import type { PartOptions, Section } from '../section.ts'
import { type Pattern, patterns } from '../service.ts'
import { turns, until } from '../turns.ts'
import { type NameAnswer, NameServer, nameAnswers } from './name-server.ts'

const DEADLINE_MS = 700
/** The resolver of Node asks a server that says nothing for some seconds before it gives up. */
const NEXT_CALL_MS = 60_000
const MARGIN_MS = 5000
const UNAVAILABLE = 14
const DEADLINE_EXCEEDED = 4

/** Clients whose server has a name, which does not resolve: one status each, on time, and when it resolves the next call works. */
export async function names({ quick, say }: PartOptions): Promise<Section> {
  if (process.env.GRPC_NODE_USE_ALTERNATIVE_RESOLVER !== 'true') {
    throw new Error('start this by npm run chaos, which has grpc-js ask the DNS server that a target names')
  }
  const counts = new Map<NameAnswer, { calls: number; codes: Set<number> }>(
    nameAnswers.map((name) => [name, { calls: 0, codes: new Set() }]),
  )
  let faults = 0
  // Names fail the same way whatever is called.
  const kinds: readonly Pattern[] = quick ? ['unary'] : patterns
  const lane = async (stack: string, answer: NameAnswer): Promise<void> => {
    for (const pattern of kinds) {
      for (const waitForReady of [false, true]) {
        const { code, wrong } = await unresolved(stack, answer, pattern, waitForReady)
        const count = counts.get(answer)
        if (count !== undefined) {
          count.calls++
          if (code !== undefined) count.codes.add(code)
        }
        faults += wrong.length
        for (const fault of wrong) say(`\n${answer}, ${stack}, ${pattern}, waitForReady ${waitForReady}: ${fault}`)
      }
    }
  }
  // Mostly waits.
  await Promise.all(
    ['bare', ...Object.keys(stacks)].flatMap((stack) => nameAnswers.map((answer) => lane(stack, answer))),
  )
  return {
    title: 'Names that a DNS server answers so when a channel is made, and well afterwards:',
    head: ['', 'calls', 'codes'],
    rows: [...counts].map(([name, { calls, codes }]) => [name, calls, [...codes].sort((a, b) => a - b).join(', ')]),
    calls: [...counts.values()].reduce((sum, { calls }) => sum + calls, 0),
    faults,
  }
}

async function unresolved(
  stackName: string,
  answer: NameAnswer,
  pattern: Pattern,
  waitForReady: boolean,
): Promise<{ code: number | undefined; wrong: string[] }> {
  const stack = stackName === 'bare' ? {} : stackNamed(stackName)
  const dns = await NameServer.start()
  const server = await openServer(stack)
  dns.answer = answer
  const client = openClient(stackName, stack, server.port, {
    host: `dns://127.0.0.1:${dns.port}/server.chaos.test`,
  })
  const wrong: string[] = []
  try {
    const works = answer === 'an address'
    const first = await call(client, pattern, waitForReady, works ? NEXT_CALL_MS : DEADLINE_MS)
    wrong.push(...first.wrong)
    // Without an answer there is nothing to be said before the deadline.
    const expected = works
      ? [SERVED]
      : waitForReady || answer === 'silence'
        ? [DEADLINE_EXCEEDED]
        : [UNAVAILABLE, DEADLINE_EXCEEDED]
    if (!expected.includes(first.code ?? -1)) wrong.push(`the call ended with ${first.code}: ${first.details}`)
    dns.answer = 'an address'
    const next = await call(client, pattern, true, NEXT_CALL_MS)
    wrong.push(...next.wrong)
    if (next.code !== SERVED) wrong.push(`the next call ended with ${next.code}: ${next.details}`)
    return { code: first.code, wrong }
  } finally {
    client.close()
    server.close()
    dns.close()
  }
}

/** What the handlers of the scripts say to a call that is of none. */
const SERVED = 1

async function call(
  client: CallingSide,
  pattern: Pattern,
  waitForReady: boolean,
  deadlineMs: number,
): Promise<{ code: number | undefined; details: string | undefined; wrong: string[] }> {
  const single = pattern === 'unary' || pattern === 'serverStream'
  const begun = performance.now()
  const part = callerContext.run(`name ${pattern}`, () =>
    client.open({
      pattern,
      request: single ? { n: 0, size: 10 } : undefined,
      metadata: new Metadata({ waitForReady }),
      options: { deadline: Date.now() + deadlineMs },
    }),
  )
  if (!single) part.halfClose()
  await until(() => part.isOver, deadlineMs + MARGIN_MS)
  const tookMs = performance.now() - begun
  await turns(4)
  const wrong = [...part.violations]
  const statuses = part.events.filter((event) => event.startsWith('status ')).length
  if (statuses !== 1) wrong.push(`the application got ${statuses} statuses`)
  if (tookMs > deadlineMs + MARGIN_MS) wrong.push(`the call took ${Math.round(tookMs)} ms`)
  // The server has no record of a call that did not come to it.
  const said = await client.check({ client: part, handlers: 0, thrown: undefined })
  wrong.push(...said.filter((fault) => fault.startsWith('client')))
  return { code: part.code, details: part.details, wrong }
}
