import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

// A young generation of one size makes as many collections of as many calls on each Node. They are alike long before the last fifteen.
const YOUNG = ['--min-semi-space-size=16', '--max-semi-space-size=16']
const CALLS = '12000'

/** Bytes that each of the last minor collections of a load promoted to the old objects. */
async function promoted(...args: string[]): Promise<number[]> {
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    ['--trace-gc-nvp', ...YOUNG, ...args, file('../test/load.mjs'), CALLS],
    { maxBuffer: 1e8 },
  )
  expect(stderr).toBe('')
  const minor = stdout.split('\n').filter((line) => /[ ,"]gc"?[=:]"?s\b/.test(line))
  const bytes = minor.map((line) => Number(/[ ,"]promoted"?[=:](\d+)/.exec(line)?.[1]))
  expect(bytes.length).toBeGreaterThan(30)
  return bytes.slice(-15)
}

/** Not the mean: the first minor collection after a full one promotes what it would not otherwise. */
const median = (numbers: number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] as number

describe('ended calls', () => {
  it('are freed by minor collections', async () => {
    expect(median(await promoted('--import', file('../dist/register.js')))).toBeLessThan(100_000)
  }, 60_000)

  it('are kept until a full collection without this package', async () => {
    expect(median(await promoted())).toBeGreaterThan(1_000_000)
  }, 60_000)
})
