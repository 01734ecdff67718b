import { expect, it } from 'vitest'
import { traceIdOf } from './trace-parent.ts'

const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
const span = '00f067aa0ba902b7'

it.each([
  [`00-${trace}-${span}-01`, trace],
  [`00-${trace}-${span}-00`, trace],
  [`cc-${trace}-${span}-01-what-the-future-brings`, trace],
  [`ff-${trace}-${span}-01`, undefined],
  [`00-${'0'.repeat(32)}-${span}-01`, undefined],
  [`00-${trace}-${'0'.repeat(16)}-01`, undefined],
  [`00-${trace.toUpperCase()}-${span}-01`, undefined],
  [`00-${trace}-${span}`, undefined],
  [`00-${trace}-${span}-01x`, undefined],
  [`00-${trace}-${span}-01-${'x'.repeat(1000)}`, undefined],
  ['', undefined],
  [undefined, undefined],
  [Buffer.from('x'), undefined],
])('the trace of %j is %s', (traceparent, id) => {
  expect(traceIdOf(traceparent)).toBe(id)
})
