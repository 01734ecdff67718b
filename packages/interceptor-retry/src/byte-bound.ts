import type { ReplayPool } from '@grpc-stack/grpc-core'

/** Bytes in use, up to a limit. */
export class ByteBound implements ReplayPool {
  readonly limit: number
  used = 0

  constructor(limit: number) {
    this.limit = limit
  }

  reserve(bytes: number): boolean {
    if (this.used + bytes > this.limit) return false
    this.used += bytes
    return true
  }

  release(bytes: number): void {
    this.used -= bytes
  }
}
