import { setTimeout as sleep } from 'node:timers/promises'
import { status as Code } from '@grpc/grpc-js'
import type { Interceptor, Status } from '@grpc-stack/grpc-core'
import type { Fault } from '../generated/shop/operations.ts'

/** Misbehaves on demand. Innermost on a stack, so that everything else sees what it would see of a failing handler. */
export interface Faults extends Interceptor {
  set(fault: Fault): void
}

export function faults(): Faults {
  let fault: Fault = { failOfTen: 0, delayMs: 0 }
  let seen = 0
  const interceptor: Interceptor = async function faults(call, next): Promise<Status> {
    // Spread evenly instead of at random: what the shop shows should not depend on luck.
    const turn = seen++
    const fails = Math.floor(((turn + 1) * fault.failOfTen) / 10) > Math.floor((turn * fault.failOfTen) / 10)
    if (fault.delayMs > 0) await sleep(fault.delayMs, undefined, { signal: call.signal }).catch(() => undefined)
    return fails ? { code: Code.UNAVAILABLE, details: 'Out of order, on purpose' } : next()
  }
  return Object.assign(interceptor, {
    set(next: Fault) {
      fault = next
      seen = 0
    },
  })
}
