import type { CallOptions } from '@grpc/grpc-js'

/**
 * A typed key for a per-call setting that travels in grpc-js call options, through any stub:
 *
 *     const timeoutClass = new CallOption<'fast' | 'slow'>('timeoutClass')
 *     stub.get(request, { ...timeoutClass.with('slow') }, callback)
 *     // in a client interceptor: call.option(timeoutClass)
 */
export class CallOption<T> {
  readonly name: string
  readonly #symbol: symbol

  constructor(name: string) {
    this.name = name
    this.#symbol = Symbol(name)
  }

  /** Call options that carry the value; spread them beside others. */
  with(value: T): CallOptions {
    // CallOptions is a weak type; grpc-js copies unknown own keys, symbols too, to the interceptors.
    return { [this.#symbol]: value } as CallOptions
  }

  /** The value in these call options, if any. */
  in(options: object): T | undefined {
    return (options as Record<symbol, T | undefined>)[this.#symbol]
  }
}
