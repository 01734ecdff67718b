import { Metadata } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { readPushback } from './pushback.ts'

function trailers(...values: string[]): Metadata {
  const metadata = new Metadata()
  for (const value of values) metadata.add('grpc-retry-pushback-ms', value)
  return metadata
}

describe('readPushback', () => {
  it('is undefined where the server says nothing', () => {
    expect(readPushback(new Metadata())).toBeUndefined()
  })

  it.each([
    ['0', 0],
    ['123', 123],
    ['4567000', 4_567_000],
    ['2147483647', 2_147_483_647],
  ])('%j asks to wait %i ms', (text, ms) => {
    expect(readPushback(trailers(text))).toBe(ms)
  })

  it.each([
    '-1',
    '-2147483648',
    '',
    'soon',
    '12abc',
    '1.5',
    '1e3',
    '0x10',
    '007',
    '+5',
    ' 5 5',
    '2147483648',
    '99999999999',
  ])('%j asks not to retry', (text) => {
    expect(readPushback(trailers(text))).toBe('stop')
  })

  it('asks not to retry when it is given twice', () => {
    expect(readPushback(trailers('1', '2'))).toBe('stop')
  })
})
