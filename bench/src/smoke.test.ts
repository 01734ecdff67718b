import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import type { Row, Sample } from './rows.ts'
import { explanations, type Scenario, scenarios, type VariantName, variants } from './variant.ts'

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url))

/** Every scenario of every variant once, too short to say anything about time. */
async function benchmark(...given: string[]): Promise<Row[]> {
  const least = ['--quick', '--json', '--rounds', '1', '--slice-ms', '1', '--warm-up', '20', '--least-operations', '20']
  const { stdout } = await run(...least, ...given)
  return JSON.parse(stdout) as Row[]
}

const run = (...given: string[]) => promisify(execFile)(process.execPath, [MAIN, ...given])

const fields = ['scenario', 'variant', 'side', 'cpuUsPerOp', 'ratioToBare', 'ratioError', 'opsPerSec', 'p50Ms', 'p99Ms']
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
    expect(Object.keys(row)).toEqual([...fields, 'heapBytesPerOp'])
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

it('an open loop under other conditions adds p99.9 and intervals, and writes what each slice came to', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  const file = join(folder, 'samples.json')
  const conditions = ['--tls', '--message', 'protobuf', '--messages', '3', '--rate', '400', '--rounds', '3']
  const rows = await benchmark('--variants', 'bare', '--scenarios', 'unary,bidi', ...conditions, '--samples', file)
  const samples = JSON.parse(readFileSync(file, 'utf8')) as Sample[]
  rmSync(folder, { recursive: true })
  expect(rows).toHaveLength(6)
  for (const row of rows) {
    const own = samples.filter(({ scenario }) => scenario === row.scenario)
    expect(own.map(({ generation, round, variant }) => [generation, round, variant])).toEqual([
      [1, 1, 'bare'],
      [1, 2, 'bare'],
      [1, 3, 'bare'],
    ])
    for (const sample of own) {
      expect(sample.operations).toBe(row.scenario === 'bidi' ? 300 : 100)
      expect(sample.loadAverage).toBeGreaterThanOrEqual(0)
      // A hundred calls, the last of which was due after 99 intervals.
      expect(sample.elapsedMs).toBeGreaterThan(99 * 2.5)
    }
    for (const quantile of ['p50', 'p99', 'p999'] as const) {
      const [low, high] = row[`${quantile}Ci`] ?? [Number.NaN, Number.NaN]
      const mean = own.reduce((sum, sample) => sum + sample[`${quantile}Ms`], 0) / 3
      expect(row[`${quantile}Ms`]).toBeCloseTo(mean, 9)
      expect((low + high) / 2).toBeCloseTo(mean, 9)
      expect(high).toBeGreaterThan(low)
    }
  }
}, 60_000)

it.each([
  [['--nope'], "Unknown option '--nope'"],
  [['--rounds', 'many'], '--rounds takes a whole number above 0, not "many"'],
  [['--message', 'xml'], '--message: no "xml"; there are bytes, protobuf'],
  [['--rate', '10', '--in-flight', '1'], '--in-flight has no meaning with --rate, which begins'],
])('a mistake in the options is one line: %s', async (given, line) => {
  const failed = await run(...given).then(
    () => undefined,
    (error: { code: number; stdout: string; stderr: string }) => error,
  )
  expect(failed).toMatchObject({ code: 1, stdout: '' })
  expect(failed?.stderr).toMatch(/^bench: .*; --help lists the options\n$/)
  expect(failed?.stderr).toContain(line)
})

it('--help prints the options that README.md describes', async () => {
  const { stdout } = await run('--help')
  const printed = stdout.match(/^ {2}--[a-z-]+/gm)?.map((option) => option.trim())
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const table = readme.match(/^\| `--.*?\|/gm)?.flatMap((cell) => cell.match(/--[a-z-]+/g) ?? [])
  expect(printed?.toSorted()).toEqual(table?.toSorted())
})
