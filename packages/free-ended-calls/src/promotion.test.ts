import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

/** Bytes that minor collections promoted to the old objects, each, in the second half of a load. */
function promoted(...args: string[]): number[] {
  const run = spawnSync(process.execPath, ['--trace-gc-nvp', ...args, file('../test/load.mjs'), '60000'], {
    encoding: 'utf8',
    maxBuffer: 1e8,
  })
  expect(run.stderr).toBe('')
  expect(run.status).toBe(0)
  const minor = run.stdout.split('\n').filter((line) => /[ ,"]gc"?[=:]"?s\b/.test(line))
  const bytes = minor.map((line) => Number(/[ ,"]promoted"?[=:](\d+)/.exec(line)?.[1]))
  expect(bytes.length).toBeGreaterThan(20)
  return bytes.slice(bytes.length / 2)
}

const mean = (numbers: number[]): number => numbers.reduce((sum, n) => sum + n, 0) / numbers.length

describe('ended calls', () => {
  it('are freed by minor collections', () => {
    expect(mean(promoted('--import', file('../dist/register.js')))).toBeLessThan(100_000)
  }, 60_000)

  it('are kept until a full collection without this package', () => {
    expect(mean(promoted())).toBeGreaterThan(1_000_000)
  }, 60_000)
})
