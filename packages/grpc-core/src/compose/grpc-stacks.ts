import type { Interceptor } from '../contract/call.ts'

/** What makes a stack into an interceptor of grpc-js. */
export type Maker = 'clientInterceptors' | 'serverInterceptors'

const MAKERS: Readonly<Record<Maker, symbol>> = {
  clientInterceptors: Symbol.for('@grpc-stack/grpc-core.stack'),
  serverInterceptors: Symbol.for('@grpc-stack/grpc-core.server-stack'),
}

/** Says of a grpc-js interceptor which interceptors it runs. */
export function markStack<T extends object>(fused: T, maker: Maker, list: readonly Interceptor[]): T {
  return Object.defineProperty(fused, MAKERS[maker], { value: list })
}

/** The interceptors that a grpc-js interceptor runs; undefined for one of another make. */
export function markedStack(fused: object, maker: Maker): readonly Interceptor[] | undefined {
  return (fused as Record<symbol, readonly Interceptor[] | undefined>)[MAKERS[maker]]
}

/** Which function made this grpc-js interceptor; undefined for what is none of this library. */
export function stackMaker(value: object): Maker | undefined {
  return (Object.keys(MAKERS) as Maker[]).find((maker) => markedStack(value, maker) !== undefined)
}
