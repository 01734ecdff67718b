// npm run simulate: a server and its thousand clients in an outage, with the policies of the packages and simulated time.
import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { LOAD, OFFERED, type Second, simulate } from './fleet.ts'
import { plot } from './plot.ts'
import { CAPACITY, type Outage } from './simulated-server.ts'
import { type StackName, stacks } from './stacks.ts'

const USAGE = `npm run simulate -- [--servers N] [--write]
  --servers N  servers with a thousand clients each, from 1 to 1000 (a million clients). Default 4. They share nothing, so
               more make the same curves smoother, and take as many times as long.
  --write      write the plots to docs/scale/`

const START_MS = 10_000
const cold = { coldMs: 5000, coldFactor: 3 }
/** What is simulated, by the name of its plot. */
const outages: Readonly<Record<string, Outage>> = {
  'down-10s': { kind: 'down', fromMs: START_MS, toMs: START_MS + 10_000, ...cold },
  'down-2s': { kind: 'down', fromMs: START_MS, toMs: START_MS + 2000, ...cold },
  'stalled-10s': { kind: 'stalled', fromMs: START_MS, toMs: START_MS + 10_000, ...cold },
}
const LENGTH_MS = 45_000

const options = { servers: { type: 'string', default: '4' }, write: { type: 'boolean', default: false } } as const
const { values } = parseArgs({ options })
const servers = Number(values.servers)
if (!Number.isInteger(servers) || servers < 1 || servers > 1000) {
  console.error(`--servers must be an integer from 1 to 1000, got ${values.servers}\n\n${USAGE}`)
  process.exit(2)
}

console.log(
  `${servers} of 1000 servers, ${CAPACITY} requests a second each, with 1000 clients each that make ${OFFERED} calls a second ` +
    `together (load ${LOAD}). Seeds 1 to ${servers}. All numbers per server.`,
)
for (const [name, outage] of Object.entries(outages)) {
  const results = new Map<StackName, Second[]>()
  console.log(`\n${title(outage)}\n`)
  console.log('| client stack | load during | first second | calls lost after | well again after |')
  console.log('|---|--:|--:|--:|--:|')
  for (const stack of Object.keys(stacks) as StackName[]) {
    const seconds = await fleet(stack, outage)
    results.set(stack, seconds)
    console.log(`| ${stack} | ${row(seconds, outage).join(' | ')} |`)
  }
  if (values.write) {
    const folder = new URL('../../../docs/scale/', import.meta.url)
    mkdirSync(folder, { recursive: true })
    writeFileSync(new URL(`${name}.svg`, folder), plot(title(outage), outage, results))
  }
}

/** The sum of all servers, in shares of one. */
async function fleet(stack: StackName, outage: Outage): Promise<Second[]> {
  const sum: Second[] = []
  for (let seed = 1; seed <= servers; seed++) {
    for (const [i, second] of (await simulate(stacks[stack], outage, LENGTH_MS, seed)).entries()) {
      sum[i] ??= { calls: 0, succeeded: 0, received: 0 }
      for (const key of ['calls', 'succeeded', 'received'] as const) sum[i][key] += second[key] / servers
    }
  }
  return sum
}

function title({ kind, fromMs, toMs }: Outage): string {
  const what = kind === 'down' ? 'is down' : 'takes requests and answers none'
  return `A server ${what} for ${(toMs - fromMs) / 1000} s`
}

/** As the head of the table says. */
function row(seconds: readonly Second[], { fromMs, toMs }: Outage): string[] {
  const during = seconds.slice(fromMs / 1000, toMs / 1000)
  const after = seconds.slice(toMs / 1000)
  const total = (of: readonly Second[], key: keyof Second) => of.reduce((sum, second) => sum + second[key], 0)
  const lost = after.reduce((sum, { calls, succeeded }) => sum + calls - succeeded, 0)
  const lastBad = after.findLastIndex(({ calls, succeeded }) => succeeded < 0.99 * calls)
  const first = during[0]
  return [
    `${(total(during, 'received') / total(during, 'calls')).toFixed(2)} ×`,
    `${((first?.received ?? 0) / (first?.calls || 1)).toFixed(2)} ×`,
    lost.toFixed(0),
    lastBad === after.length - 1 ? 'never' : `${lastBad + 1} s`,
  ]
}
