import {
  status as Code,
  type InterceptorOptions as GrpcOptions,
  InterceptingCall,
  type Metadata,
  type NextCall,
} from '@grpc/grpc-js'
import type { Interceptor } from '@grpc-stack/grpc-core'
import { hedge, retry } from '@grpc-stack/interceptor-retry'
import { delay } from '../turns.ts'
import { awaiting, late, returning, Witness } from './layers.ts'
import type { Stack } from './stacks.ts'

/**
 * Stacks that do something about a call, or stand on a connection that is not there yet. They are for random RPCs only: against peers
 * and connections that fail, what they do depends on what fails.
 */
export const actingStacks: Readonly<Record<string, () => Stack>> = {
  'cold connections': () => watched({ client: [returning, awaiting], server: [returning], cold: true }),
  'requests at once before a connection': () => ({
    before: [atOnce],
    client: [returning],
    server: [returning],
    compares: 'outcome',
    cold: true,
    confirmsEarly: true,
  }),
  'requests at once before a late start': () => ({
    before: [atOnce],
    client: [late],
    server: [late],
    compares: 'outcome',
    confirmsEarly: true,
  }),
  'retry() that fires': () =>
    watched({
      before: [atOnce],
      client: [
        retry({
          idempotent: '*',
          retryableStatusCodes: [REFUSAL],
          backoff: () => 1,
          budget: false,
          maxReplayBytes: 64 * 1024 * 1024,
        }),
      ],
      server: [refusingFirst()],
      compares: 'outcome',
      headersWithResponse: true,
      confirmsEarly: true,
      causes: [REFUSAL],
    }),
  'hedge() that fires': () =>
    watched({
      client: [
        hedge({ delayMs: 120_000, idempotent: '*', nonFatalStatusCodes: [REFUSAL], budget: false, maxAttempts: 3 }),
      ],
      server: [refusingFirst(({ requestStream }) => !requestStream)],
      compares: 'outcome',
      headersWithResponse: true,
      causes: [REFUSAL],
    }),
  'interceptors that hang': () => ({ client: [hanging], server: [hanging], compares: 'outcome' }),
}

/** No script ends with it by itself. */
const REFUSAL = Code.DATA_LOSS
/** At most. The calls of `retry()` and `hedge()` above have three attempts. */
const REFUSED = 2

/** What `chaos-run` names is one call, however many attempts it has. */
const runOf = (metadata: Metadata): string => String(metadata.get('chaos-run')[0])

/** Refuses up to two attempts of each call, at once or some time into it. */
function refusingFirst(applies: (method: { readonly requestStream: boolean }) => boolean = () => true): Interceptor {
  const refused = new Map<string, number>()
  return async (call, next) => {
    const run = runOf(call.metadata)
    const times = refused.get(run) ?? 0
    // Which, and after how long, follows from the number of the call.
    if (!applies(call.method) || times >= Number(run) % (REFUSED + 1)) {
      refused.delete(run)
      return next()
    }
    refused.set(run, times + 1)
    if (Number(run) % 2 === 0) await delay(4)
    return { code: REFUSAL, details: 'refused by the stack' }
  }
}

/** Of calls that a deadline ends: before `next()` or after it, and for good. */
const hanging: Interceptor = async (call, next) => {
  const ends = call.deadline - Date.now() < 1000
  const never = (): Promise<never> => new Promise(() => undefined)
  if (ends && Number(runOf(call.metadata)) % 2 === 0) await never()
  const status = await next()
  return ends ? await never() : status
}

/** A grpc-js interceptor, outside of ours, that does not wait until a request is written before it lets the application go on. */
function atOnce(options: GrpcOptions, nextCall: NextCall): InterceptingCall {
  return new CallAtOnce(nextCall(options))
}

class CallAtOnce extends InterceptingCall {
  override sendMessageWithContext(
    { callback, ...context }: Parameters<InterceptingCall['sendMessageWithContext']>[0],
    message: unknown,
  ): void {
    super.sendMessageWithContext(context, message)
    if (callback) process.nextTick(callback)
  }
}

/** With a witness around it on the client. */
function watched(stack: Stack): Stack {
  const witness = new Witness()
  return {
    ...stack,
    client: [witness.interceptor, ...(stack.client ?? [])],
    check: async ({ client }) => {
      await witness.settle()
      return witness.violations(client?.code)
    },
  }
}
