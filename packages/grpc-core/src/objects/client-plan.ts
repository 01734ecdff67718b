import type { Interceptor } from '../contract/call.ts'
import type { MethodInfo } from '../contract/method.ts'
import type { InterceptorObject } from './interceptor-object.ts'

/** What a stack comes to for one method: plain interceptors up to the first interceptor object that cares for it. */
export interface ClientPlan {
  readonly method: MethodInfo
  readonly stack: readonly Interceptor[]
  readonly layer: ObjectLayer | undefined
}

/** An interceptor object and what is inside it. */
export interface ObjectLayer {
  readonly name: string
  readonly object: InterceptorObject
  /** The rest of the stack, for the path the object calls. */
  inside(path: string): ClientPlan
}
