import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { PartOptions, Section } from '../section.ts'
import { patterns } from '../service.ts'
import { delay } from '../turns.ts'
import { AttackedServer, answer, type Held, longestConnectionMs, places } from './attacked.ts'
import { type Attack, attacks } from './attacks.ts'
import { DEADLINE_MS, Others } from './others.ts'

/** No call of others may fail, and not more than one in a hundred may take longer; a quick run may share its machine with others. */
const P99_MS = { quick: DEADLINE_MS, usual: 5000 } as const
/** What the server's heap may grow by, at the height of an attack and after it. */
const HEAP_BYTES = { held: 64 * 2 ** 20, after: 24 * 2 ** 20 } as const
const SETTLED_MS = 10_000
const ATTACK_MS = 60_000
/** Of one request among many, on a busy machine. */
const LONGEST_MS = 20
/** Of others, of this attack and the one before. */
const OWN_CONNECTIONS = 2

interface Sizes {
  readonly ms: number
  readonly count: number
  readonly p99Ms: number
}

const MB = 2 ** 20

export interface HostileOptions extends PartOptions {
  /** Of what can be counted. */
  readonly times: number
}

/** A server with the full stack under one attack after the other, while others call it. */
export async function hostile({ seed, quick, times, say }: HostileOptions): Promise<Section> {
  const sizes: Sizes = {
    ms: quick ? 500 : 10_000,
    count: times,
    p99Ms: quick ? P99_MS.quick : P99_MS.usual,
  }
  const rows: (string | number)[][] = []
  let faults = 0
  let total = 0
  let server: AttackedServer | undefined
  let limited: boolean | undefined
  // Those of one kind of server follow each other.
  const inOrder = [...attacks].sort(([, a], [, b]) => Number(b.limited) - Number(a.limited))
  try {
    for (const [name, attack] of inOrder) {
      if (server === undefined || server.exit !== undefined || limited !== attack.limited) {
        await server?.stop()
        server = await AttackedServer.start(attack.limited)
        limited = attack.limited
        await warmUp(server)
      }
      const { row, wrong } = await underAttack(name, attack, server, sizes, seed)
      rows.push([name, ...row, attack.boundedBy])
      total += Number(row[1])
      faults += wrong.length
      for (const fault of wrong) say(`\n${name}: ${fault}`)
    }
  } finally {
    await server?.stop()
  }
  return {
    title:
      `A server of the full stack in a process of its own, attacked from another one, while others make a call every 10 ms. ` +
      `None of theirs may fail; their p99 is bounded by ${sizes.p99Ms} ms, the heap of the server by ${HEAP_BYTES.held / MB} MiB more at the ` +
      `height of an attack and by ${HEAP_BYTES.after / MB} MiB more after it:`,
    head: ['', 'times', "others' calls", 'their p99, ms', 'worst, ms', 'heap, MB', 'after', 'calls held', 'bounded by'],
    rows,
    notes: [
      `Heap: what it grew by, after a full collection, while the attack held what it had opened, and when its connections were gone. ` +
        `Calls held: those of the attacker that were open then; \`concurrencyLimit\` by peer has ${places.peer} places.`,
    ],
    calls: total,
    faults,
  }
}

/** What the first calls compile and allocate is not of the attack. */
async function warmUp(server: AttackedServer): Promise<void> {
  const others = await Others.connect(server.port)
  others.start()
  await delay(1000)
  await others.stop()
}

async function underAttack(
  name: string,
  attack: Attack,
  server: AttackedServer,
  { ms, count, p99Ms: longestP99Ms }: Sizes,
  seed: number,
): Promise<{ row: (string | number)[]; wrong: string[] }> {
  const wrong: string[] = []
  const before = await server.held()
  const others = await Others.connect(server.port)
  others.start()
  const main = fileURLToPath(new URL('./attacker.js', import.meta.url))
  const attacker = fork(main, [name, String(server.port), String(ms), String(count), String(seed)])
  const gone = new Promise<void>((resolve) => attacker.once('exit', () => resolve()))
  const limit = setTimeout(() => attacker.kill('SIGKILL'), ATTACK_MS + ms * 10 + count * LONGEST_MS)
  let attempts = 0
  try {
    attempts = (await answer<{ attempts: number }>(attacker)).attempts
  } catch (error) {
    wrong.push(`the attacker gave up: ${(error as Error).message}`)
  }
  clearTimeout(limit)
  const { calls, failed, p99Ms, worstMs } = await others.stop()
  if (server.exit !== undefined) return { row: [attempts, calls, '', '', '', '', ''], wrong: [server.exit] }
  const height = await server.held()
  attacker.kill('SIGKILL')
  await gone
  const after = await settled(server, before)
  for (const pattern of patterns) {
    const code = await others.call(pattern)
    if (code !== 0) wrong.push(`afterwards a call of others (${pattern}) ended with ${code}`)
  }
  others.close()
  wrong.push(...failed)
  if (calls === 0) wrong.push('others made no call')
  if (p99Ms > longestP99Ms) wrong.push(`the p99 of others was ${p99Ms} ms`)
  const [heldGrowth, afterGrowth] = [height.heapBytes - before.heapBytes, after.heapBytes - before.heapBytes]
  if (attack.limited && heldGrowth > HEAP_BYTES.held) wrong.push(`the heap grew by ${heldGrowth} bytes`)
  if (afterGrowth > HEAP_BYTES.after) wrong.push(`the heap is ${afterGrowth} bytes larger afterwards`)
  const open = height.started - height.ended
  if (attack.limited && open > places.peer) wrong.push(`${open} calls of one peer were open`)
  wrong.push(...leftovers(after))
  if (after.connections > before.connections + OWN_CONNECTIONS)
    wrong.push(`${after.connections} connections are still there`)
  const mb = (bytes: number): string => (bytes / MB).toFixed(1)
  return {
    row: [attempts, calls, p99Ms, worstMs, mb(heldGrowth), mb(afterGrowth), open],
    wrong,
  }
}

/** Waits until the server has noticed that the attacker is gone. */
async function settled(server: AttackedServer, before: Held): Promise<Held> {
  const end = performance.now() + longestConnectionMs + SETTLED_MS
  for (;;) {
    const held = await server.held()
    const calm = leftovers(held).length === 0 && held.connections <= before.connections + OWN_CONNECTIONS
    // Once more when calm: what ended the last calls still held them while this was counted.
    if (calm || performance.now() > end) return calm ? await server.held() : held
    await delay(50)
  }
}

/** What is left of calls that are over. */
function leftovers({ started, ended, records, spans, handlers, places: taken }: Held): string[] {
  const wrong: string[] = []
  if (started !== ended) wrong.push(`${started} calls started and ${ended} ended`)
  if (records !== ended || spans !== ended) wrong.push(`${ended} calls, ${records} records, ${spans} spans`)
  if (handlers !== 0) wrong.push(`${handlers} handlers still run`)
  if (taken !== 0) wrong.push(`${taken} places are still taken`)
  return wrong
}
