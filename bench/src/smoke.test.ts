import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import type { Row } from './measure.ts'
import { explanations, type Scenario, scenarios, type VariantName, variants } from './variant.ts'

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

it('a quick look has every scenario of every variant, and stdout holds nothing else', async () => {
  check(
    await benchmark(),
    variants.filter((name) => !explanations.includes(name)),
    scenarios,
  )
}, 300_000)

it('what explains the others can be asked for', async () => {
  const rows = await benchmark('--variants', explanations.join(), '--scenarios', 'unary,bidi')
  check(rows, ['bare', ...explanations], ['unary', 'bidi'])
}, 120_000)
