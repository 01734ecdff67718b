import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'

/** What a call of the script holds, in bytes. */
const BALLAST = 32 * 1024

interface Kept {
  readonly side: 'client' | 'server'
  readonly holder: string
  readonly pattern: string
  /** Bytes per ended call that a minor collection leaves. */
  readonly kept: number
}

/**
 * Node keeps an HTTP/2 stream that has ended, and with it grpc-js's objects for the call, until the next full garbage
 * collection. Each minor collection until then copies them and all they refer to, so they must not refer to our calls.
 */
describe('invariant 10: a minor garbage collection frees ended calls', () => {
  let all: readonly Kept[]
  let keptByStreams = 0

  beforeAll(async () => {
    const script = fileURLToPath(new URL('../../test/ended-calls-are-freed.mjs', import.meta.url))
    const nursery = ['--min-semi-space-size=256', '--max-semi-space-size=256']
    const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', ...nursery, script])
    const results = JSON.parse(stdout) as { calls: readonly Kept[]; streams: number }
    all = results.calls
    keptByStreams = results.streams
  }, 120_000)

  const kept = (side: string, holder: string, pattern: string): number =>
    all.find((one) => one.side === side && one.holder === holder && one.pattern === pattern)?.kept ?? Number.NaN

  const patterns = ['unary', 'serverStream', 'clientStream', 'bidi']
  it.each(
    ['client', 'server'].flatMap((side) =>
      ['the call itself', 'an interceptor that waits', 'a store it entered'].flatMap((holder) =>
        patterns.map((pattern) => [side, holder, pattern] as const),
      ),
    ),
  )('on the %s, for what is held by %s: %s', (side, holder, pattern) => {
    const most = keptByNode(side, holder, pattern) + keptByGrpcJs(side, holder) + BALLAST / 4
    expect(kept(side, holder, pattern) - kept(side, 'nothing', pattern)).toBeLessThan(most)
  })

  it.each(['unary', 'serverStream'])('on the client, for calls that share a signal: %s', (pattern) => {
    const holder = 'a signal that calls share'
    expect(kept('client', holder, pattern) - kept('client', 'nothing', pattern)).toBeLessThan(BALLAST / 4)
  })

  /** Node 24 keeps writable streams and what they lead to; the one that an application writes requests to leads to the call. */
  function keptByNode(side: string, holder: string, pattern: string): number {
    const writes = pattern === 'clientStream' || pattern === 'bidi'
    return side === 'client' && holder === 'the call itself' && writes && keptByStreams > BALLAST / 2
      ? BALLAST * 1.25
      : 0
  }

  /** grpc-js before 1.14.6 makes a timer for each client call, in the context of the innermost layer, and keeps it (resolving-call.ts). */
  function keptByGrpcJs(side: string, holder: string): number {
    return side === 'client' && holder === 'a store it entered' && grpcJsIsBefore(1, 14, 6) ? BALLAST * 1.25 : 0
  }
})

function grpcJsIsBefore(...version: readonly number[]): boolean {
  const manifest = readFileSync(createRequire(import.meta.url).resolve('@grpc/grpc-js/package.json'), 'utf8')
  const installed = (JSON.parse(manifest) as { version: string }).version.split('.').map(Number)
  const differing = version.findIndex((part, i) => part !== installed[i])
  return differing !== -1 && (installed[differing] as number) < (version[differing] as number)
}
