import type { Interceptor } from '../contract/call.ts'
import type { MethodPredicate } from './namings.ts'

/** What a composite holds, for the checks before any call: interceptors on the wrong side, matchers that match nothing. */
export interface Contents {
  /** `chain`, `select` or `stacks` */
  readonly name: string
  readonly branches: readonly Branch[]
  /** Whether exactly one branch applies to a method, the first that matches, and a method has to be named by one. */
  readonly exclusive: boolean
}

/** Interceptors, and the methods they are for. */
export interface Branch {
  /** What stands before the position of an interceptor in errors: `["shop.v1.*"] `. */
  readonly at: string
  readonly matches: MethodPredicate
  readonly list: readonly Interceptor[]
}

const CONTENTS: unique symbol = Symbol.for('@grpc-stack/grpc-core.contents')

export function holdContents<T extends object>(composite: T, contents: Contents): T {
  return Object.defineProperty(composite, CONTENTS, { value: contents })
}

/** What a composite of any copy of this package holds; undefined for what is no composite. */
export function contentsOf(interceptor: object): Contents | undefined {
  return (interceptor as { [CONTENTS]?: Contents })[CONTENTS]
}
