import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import type { Row } from './measure.ts'
import { type Scenario, scenarios, type VariantName, variants } from './variant.ts'

// The processes of a pair run the built files.
const { Pair } = (await import(new URL('../dist/pair.js', import.meta.url).href)) as typeof import('./pair.ts')
const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url))

/** Every scenario of every variant once, too short to say anything about time. */
async function benchmark(...given: string[]): Promise<Row[]> {
  const least = ['--quick', '--json', '--rounds', '1', '--slice-ms', '1', '--warm-up', '20', '--least-operations', '20']
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...least, ...given])
  return JSON.parse(stdout) as Row[]
}

const figures = ['cpuUsPerOp', 'ratioToBare', 'opsPerSec', 'p50Ms', 'p99Ms'] as const

function check(rows: readonly Row[], of: readonly VariantName[], what: readonly Scenario[]): void {
  const refusing: readonly VariantName[] = [
    'bare',
    'ours-full',
    'full-by-hand',
    'nice-grpc-full',
    'bare+retention',
    'full-by-hand+retention',
    'ours-full+retention',
  ]
  const expected = what.flatMap((scenario) =>
    of
      .filter((variant) => scenario !== 'refused' || refusing.includes(variant))
      .flatMap((variant) => ['client', 'server', 'both'].map((side) => `${scenario} ${variant} ${side}`)),
  )
  expect(rows.map(({ scenario, variant, side }) => `${scenario} ${variant} ${side}`).sort()).toEqual(expected.sort())
  for (const row of rows) {
    for (const figure of figures) expect({ ...row, ok: row[figure] > 0 }).toMatchObject({ ok: true })
    expect(Number.isFinite(row.heapBytesPerOp)).toBe(true)
    if (row.variant === 'bare') expect(row).toMatchObject({ ratioToBare: 1, ratioError: 0 })
  }
}

it('each way to make a client and a server goes through every scenario, and stdout holds nothing but the rows', async () => {
  const different: VariantName[] = ['full-by-hand', 'ours-full', 'nice-grpc-full', 'connect-node-passthrough-8']
  check(await benchmark('--variants', different.join()), ['bare', ...different], scenarios)
}, 300_000)

it('a refusal and a cold connection are compared under free-ended-calls too', async () => {
  const freed: VariantName[] = ['bare+retention', 'ours-full+retention']
  check(
    await benchmark('--variants', freed.join(), '--scenarios', 'refused,connectCold'),
    ['bare', ...freed],
    ['refused', 'connectCold'],
  )
}, 120_000)

it.each(variants)(
  '%s makes calls and answers them',
  async (name) => {
    const pair = await Pair.start(name)
    try {
      for (const scenario of ['unary', 'bidi'] as const)
        expect((await pair.load(scenario, 20)).operations).toBeGreaterThanOrEqual(20)
    } finally {
      await pair.stop()
    }
  },
  60_000,
)
