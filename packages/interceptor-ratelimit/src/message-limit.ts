import { type Call, type Next, RpcError, type Status } from '@grpc-stack/grpc-core'
import { type Limit, nameOf, type QuotaOptions, resolveQuota } from './limit-options.ts'
import { checkNames, checkNumber } from './option-checks.ts'

/** A limit for the request messages of streams. */
export interface PerMessageOptions extends QuotaOptions {
  /** What a message costs, ≥ 0, or how to tell. Default: 1. */
  readonly cost?: number | ((message: unknown, call: Call) => number)
}

export interface MessageLimit {
  readonly limit: Limit
  readonly cost: number | ((message: unknown, call: Call) => number)
}

/** @throws TypeError naming the option. */
export function resolvePerMessage(
  where: string,
  options: PerMessageOptions,
  [first]: readonly Limit[],
): MessageLimit | undefined {
  checkNames(where, options, ['rate', 'perMs', 'burst', 'cost'])
  const { cost = 1 } = options
  const { rate, perMs, burst, quota } = resolveQuota(where, options)
  if (typeof cost !== 'function') {
    checkNumber(
      where,
      'cost',
      cost,
      `a function or a number from 0 to the burst, ${burst}`,
      (n) => n >= 0 && n <= burst,
    )
  }
  if (first === undefined) return undefined
  const name = `${first.name}:messages:${nameOf({ rate, perMs, burst })}`
  return { limit: { ...first, name, rate, perMs, burst, quota, cost: 1 }, cost }
}

/** Decides about one message: undefined to let it pass, else the status that ends the stream. */
export type MessageDecision = (message: unknown) => Status | undefined | Promise<Status | undefined>

/**
 * Lets the stream run until a message is over the limit. A store of this process decides before the handler sees the
 * message. Taps cannot wait, so with any other store the messages that are under way meanwhile still arrive.
 */
export function limitMessages(call: Call, next: Next, decide: MessageDecision): Promise<Status> {
  return new Promise((resolve) => {
    let refused: Status | undefined
    const refuse = (status: Status): void => {
      refused ??= status
      resolve(refused)
    }
    call.onRequest((message) => {
      const decision = refused ?? decide(message)
      if (decision === undefined) return
      if (!isPromise(decision)) {
        refuse(decision)
        throw RpcError.fromStatus(decision) // keeps the message from the handler
      }
      void decision.then((status) => status && refuse(status))
    })
    void next().then((status) => resolve(refused ?? status))
  })
}

function isPromise(value: Status | Promise<Status | undefined>): value is Promise<Status | undefined> {
  return 'then' in value
}
