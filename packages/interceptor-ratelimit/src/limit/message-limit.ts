import { type Call, type Next, RpcError, type Status } from '@grpc-stack/grpc-core'
import { isThenable, type OptionTable, quoted, readOptions } from '@grpc-stack/grpc-core/authoring'
import { checkCost, costOption, nameOf, type QuotaOptions, quotaOptions, resolveQuota } from '../quota/quota-options.ts'
import type { Limit } from './limit-options.ts'

/** A limit for the request messages of streams. */
export interface PerMessageOptions extends QuotaOptions {
  /** What a message costs, ≥ 0, or how to tell. Default: 1. */
  readonly cost?: number | ((message: unknown, call: Call) => number)
}

export interface MessageLimit {
  readonly limit: Limit
  readonly cost: number | ((message: unknown, call: Call) => number)
}

const table = {
  ...quotaOptions,
  cost: costOption<(message: unknown, call: Call) => number>(),
} satisfies OptionTable<PerMessageOptions>

/** @throws TypeError naming the option. */
export function resolvePerMessage(
  where: string,
  options: PerMessageOptions,
  [first]: readonly Limit[],
): MessageLimit | undefined {
  const read = readOptions(where, options, table, { show: quoted })
  const { rate, perMs, burst, quota } = resolveQuota(where, read)
  const cost = checkCost(where, read.cost, burst)
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
      if (!isThenable(decision)) {
        refuse(decision)
        throw RpcError.fromStatus(decision) // keeps the message from the handler
      }
      void decision.then((status) => status && refuse(status))
    })
    void next().then((status) => resolve(refused ?? status))
  })
}
