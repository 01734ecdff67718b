import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'

const MB = 1024 * 1024

interface Gained {
  /** Bytes left after a garbage collection when all messages were read and the stream went on. */
  readonly kept: number
  /** Bytes by which the resident set of the process had grown by then. */
  readonly rss: number
  readonly received: number
}

/** In all 245 MB, which is what a server keeps that waits for each message and for the end of the call at once. */
describe('a stream of 60 000 messages of 4 KiB, to a client that reads with pauses', () => {
  let gained: Readonly<Record<string, Gained>>

  beforeAll(async () => {
    const script = fileURLToPath(new URL('../../test/long-streams.mjs', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', script])
    gained = JSON.parse(stdout) as typeof gained
  }, 60_000)

  it.each([
    ['an async generator', 60_000],
    ['a generator', 60_001],
    ['a promised iterable', 60_000],
  ])('takes no more memory than a short one: %s', (handler, messages) => {
    const { kept = Number.NaN, rss = Number.NaN, received } = gained[handler] ?? {}
    expect(received).toBe(messages)
    expect(kept).toBeLessThan(5 * MB)
    expect(rss).toBeLessThan(100 * MB)
  })
})
