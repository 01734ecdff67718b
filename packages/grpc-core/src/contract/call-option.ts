import type { CallOptions } from '@grpc/grpc-js'
import { processWide } from '../runtime/copies.ts'
import { show } from '../runtime/show.ts'

/** The keys of libraries, by name. */
const shared = processWide('call-options', () => new Map<string, CallOption<never>>())

/**
 * A typed key for a per-call setting that travels in grpc-js call options, through any stub:
 *
 *     const timeoutClass = new CallOption<'fast' | 'slow'>('timeoutClass')
 *     stub.get(request, { ...timeoutClass.with('slow') }, callback)
 *     // in a client interceptor: call.option(timeoutClass)
 *
 * All members are public, so that one of another copy of this package has the same type.
 */
export class CallOption<T> {
  readonly name: string
  /** Under which grpc-js's call options hold the value. */
  readonly symbol: symbol

  constructor(name: string) {
    this.name = name
    this.symbol = Symbol(name)
  }

  /**
   * The key of this name in the process, for a library to export: all copies of the library get the same one.
   * @param name qualified by the name of the package: `@acme/timeouts/class`
   */
  static shared<T>(name: string): CallOption<T> {
    if (typeof name !== 'string' || !/.\/./.test(name)) {
      throw new TypeError(
        `CallOption.shared: name must start with the name of the package, as "@acme/timeouts/class" does, got ${show(name)}`,
      )
    }
    let option = shared.get(name) as CallOption<T> | undefined // libraries give a name one type
    if (option === undefined) {
      option = new CallOption<T>(name)
      shared.set(name, option as CallOption<never>)
    }
    return option
  }

  /** Call options that carry the value; spread them beside others. */
  with(value: T): CallOptions {
    // CallOptions is a weak type; grpc-js copies unknown own keys, symbols too, to the interceptors.
    return { [this.symbol]: value } as CallOptions
  }

  /** The value in these call options, if any. */
  in(options: object): T | undefined {
    return (options as Record<symbol, T | undefined>)[this.symbol]
  }
}
