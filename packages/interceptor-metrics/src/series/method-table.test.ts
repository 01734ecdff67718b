import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { MeasuredMethod } from '../recorder.ts'
import { MethodTable } from './method-table.ts'

const method = (path: string, more: Partial<MeasuredMethod> = {}): MeasuredMethod => ({
  side: 'client',
  per: 'call',
  path,
  service: 's',
  name: 'n',
  type: 'unary',
  target: undefined,
  ...more,
})

describe('MethodTable', () => {
  const warnings: string[] = []
  const onWarning = ({ message }: Error) => warnings.push(message)
  beforeEach(() => {
    warnings.length = 0
    process.on('warning', onWarning)
  })
  afterEach(() => {
    process.off('warning', onWarning)
  })

  // reference: flaw 86
  it('keeps what comes after the last free place together, and says so once', async () => {
    const table = new MethodTable(2, false, ({ path, service }) => ({ path, service }))
    const first = table.get(method('/a/A'))
    table.get(method('/a/B'))
    expect(table.get(method('/a/C'))).toEqual({ path: 'other', service: 'other' })
    expect(table.get(method('/a/D'))).toBe(table.get(method('/a/C')))
    expect(table.get(method('/a/A'))).toBe(first)
    for (let i = 0; i < 1000; i++) table.get(method(`/a/${i}`, { target: `t${i}` }))
    expect([...table.values()]).toHaveLength(3)
    await new Promise((resolve) => setImmediate(resolve))
    expect(warnings).toEqual([
      expect.stringMatching(/^metrics: \/a\/C is counted as "other", like every method after the first 2\./),
    ])
  })

  it('tells sides, attempts and types apart, targets only if asked', () => {
    const table = new MethodTable(100, false, () => ({}))
    const perTarget = new MethodTable(100, true, () => ({}))
    const variants = [{}, { side: 'server' }, { per: 'attempt' }, { type: 'bidi_stream' }] as const
    for (const more of variants) table.get(method('/a/A', more))
    expect([...table.values()]).toHaveLength(4)
    for (const each of [table, perTarget]) each.get(method('/a/B', { target: 'x' }))
    for (const each of [table, perTarget]) each.get(method('/a/B', { target: 'y' }))
    expect([...table.values()]).toHaveLength(5)
    expect([...perTarget.values()]).toHaveLength(2)
  })
})
