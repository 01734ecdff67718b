import { open } from 'node:fs/promises'
import {
  bytes,
  milliseconds,
  type OptionTable,
  readOptions,
  readValue,
  text,
  type WallClock,
} from '@grpc-stack/grpc-core/authoring'
import type { Token } from '../client/token.ts'
import { clock } from '../option-kinds.ts'

/** Options of `tokenFile`. */
export interface TokenFileOptions {
  /**
   * How long what was read is used, in milliseconds, at most until the token's own expiry. Default: 60 000, so that a
   * token rotated on disk is in use within a minute, as in Kubernetes clients. Less than 1000 counts as that: the token
   * must hold until the calls that wait for it are sent.
   */
  readonly maxAgeMs?: number
  /** Largest file in bytes. Default: 65 536. */
  readonly maxBytes?: number
  /** Default: wall-clock time. `now()` is epoch milliseconds. */
  readonly clock?: WallClock
}

const table = {
  maxAgeMs: milliseconds({ min: 0 }).default(60_000),
  maxBytes: bytes({ min: 1 }).default(64 * 1024),
  clock,
} satisfies OptionTable<TokenFileOptions>

/**
 * A provider for `clientAuth({ token })` that reads the token from a file that another process rotates, such as a projected service
 * account token. Of a JSON Web Token the claim `exp` counts (gRFC A97); anything else is sent as it is.
 *
 * Calls fail with UNAVAILABLE while the file cannot be read, with UNAUTHENTICATED while it holds no token.
 *
 * @throws TypeError for a wrong option.
 */
export function tokenFile(path: string, options: TokenFileOptions = {}): () => Promise<Token> {
  readValue('tokenFile', 'path', path, text())
  const { maxAgeMs, maxBytes, clock } = readOptions('tokenFile', options, table)
  const usedMs = Math.max(maxAgeMs, SHORTEST_USE_MS)
  return async function tokenFile() {
    const token = (await readAtMost(path, maxBytes)).trim()
    return { token, expiresAt: Math.min(clock.now() + usedMs, expiryOf(token)) }
  }
}

const SHORTEST_USE_MS = 1000

async function readAtMost(path: string, maxBytes: number): Promise<string> {
  const file = await open(path, 'r')
  try {
    // Not by the file's size, which says nothing about a pipe and may change meanwhile.
    const buffer = Buffer.alloc(maxBytes + 1)
    let size = 0
    for (;;) {
      const { bytesRead } = await file.read(buffer, size, buffer.length - size)
      size += bytesRead
      if (bytesRead === 0 || size > maxBytes) break
    }
    if (size > maxBytes) throw new Error(`${path} is larger than ${maxBytes} bytes`)
    return buffer.toString('utf8', 0, size)
  } finally {
    await file.close()
  }
}

/** The claim `exp` of a JSON Web Token in epoch milliseconds; `Infinity` for anything else. Its signature is the server's concern. */
function expiryOf(token: string): number {
  const parts = token.split('.')
  if (parts.length !== 3) return Number.POSITIVE_INFINITY
  try {
    const claims: unknown = JSON.parse(Buffer.from(parts[1] ?? '', 'base64url').toString('utf8'))
    const exp = (claims as { exp?: unknown } | null)?.exp
    return typeof exp === 'number' && Number.isFinite(exp) ? exp * 1000 : Number.POSITIVE_INFINITY
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
