import { setTimeout as sleep } from 'node:timers/promises'
import { status as Code } from '@grpc/grpc-js'
import type { Interceptor } from '@grpc-stack/grpc-core'
import { requestIdVar } from '@grpc-stack/interceptor-logging'
import type { Fault } from '../generated/shop/operations.ts'

/** Misbehaves on demand. Innermost on a stack, so that everything else sees what it would see of a failing handler. */
export interface Faults extends Interceptor {
  set(fault: Fault): void
}

/**
 * @param onDelay told which request is being held up
 * @param offset another one for each worker of a service, so that they do not all fail in the same turn
 */
export function faults(onDelay: (requestId: string) => void, offset = 0): Faults {
  let fault: Fault = { failOfTen: 0, delayMs: 0 }
  let calls = offset

  const interceptor: Interceptor = async function faults(call, next) {
    // Failures come evenly instead of at random: what the shop shows must not depend on luck.
    const turn = calls++
    const fails = share(turn + 1, fault.failOfTen) > share(turn, fault.failOfTen)
    if (fault.delayMs > 0) {
      onDelay(requestIdVar.get(''))
      await sleep(fault.delayMs, undefined, { signal: call.signal }).catch(() => undefined)
    }
    return fails ? { code: Code.UNAVAILABLE, details: 'Out of order, on purpose' } : next()
  }
  return Object.assign(interceptor, {
    set(next: Fault) {
      fault = next
      calls = offset
    },
  })
}

const share = (calls: number, ofTen: number): number => Math.floor((calls * ofTen) / 10)
