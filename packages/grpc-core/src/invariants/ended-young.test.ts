import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'

/** What a call of the script holds, in bytes. */
const BALLAST = 32 * 1024

const OF_CALL = 'a property of the call'

interface Kept {
  readonly side: 'client' | 'server'
  readonly holder: string
  readonly pattern: string
  /** Bytes per ended call that a small collection leaves. */
  readonly kept: number
}

/**
 * Node keeps an HTTP/2 stream that has ended, and with it grpc-js's objects for the call, until the next full garbage
 * collection. Each small one until then copies them and all they lead to, so they must not lead to calls of this library.
 */
describe('invariant 10: a small garbage collection suffices for ended calls', () => {
  let all: readonly Kept[]
  let keptByStreams = 0

  beforeAll(async () => {
    const script = fileURLToPath(new URL('../../test/ended-young.mjs', import.meta.url))
    const nursery = ['--min-semi-space-size=256', '--max-semi-space-size=256']
    const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', ...nursery, script])
    const results = JSON.parse(stdout) as { calls: readonly Kept[]; streams: number }
    all = results.calls
    keptByStreams = results.streams
  }, 30_000)

  const kept = (side: string, holder: string, pattern: string): number =>
    all.find((one) => one.side === side && one.holder === holder && one.pattern === pattern)?.kept ?? Number.NaN

  const patterns = ['unary', 'serverStream', 'clientStream', 'bidi']
  it.each(
    ['client', 'server'].flatMap((side) =>
      ['an interceptor that waits', 'a store it entered'].flatMap((holder) =>
        patterns.map((pattern) => [side, holder, pattern] as const),
      ),
    ),
  )('on the %s, for what is held by %s: %s', (side, holder, pattern) => {
    expect(kept(side, holder, pattern) - kept(side, 'nothing', pattern)).toBeLessThan(BALLAST / 4)
  })

  it.each(['unary', 'serverStream'])('on the client, for what is held by the call itself: %s', (pattern) => {
    expect(kept('client', OF_CALL, pattern) - kept('client', 'nothing', pattern)).toBeLessThan(BALLAST / 4)
  })

  // Some versions of Node keep whatever a writable stream leads to, used or not; the stream of a handler leads to the call.
  it.each(['unary', 'serverStream'])('on the server, for what is held by the call itself: %s', (pattern) => {
    const ofNode = keptByStreams > BALLAST / 2 ? BALLAST * 1.25 : 0
    expect(kept('server', OF_CALL, pattern) - kept('server', 'nothing', pattern)).toBeLessThan(ofNode + BALLAST / 4)
  })
})
