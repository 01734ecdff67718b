import { resolveStack } from '../compose/compose.ts'
import type { Interceptor } from '../contract/call.ts'
import type { MethodInfo } from '../contract/method.ts'
import { objectOf } from '../objects/interceptor-object.ts'
import type { ServerInterceptor } from '../objects/server-interceptor.ts'
import type { ServerPlan } from '../objects/server-plan.ts'

export function planServer(list: readonly Interceptor[], method: MethodInfo): ServerPlan {
  const outermost: Interceptor[] = []
  const layers: { name: string; object: ServerInterceptor; stack: Interceptor[] }[] = []
  for (const interceptor of resolveStack(list, method, 'server')) {
    const object = objectOf(interceptor)
    if (typeof object?.interceptService === 'function') {
      layers.push({ name: interceptor.name, object: object as ServerInterceptor, stack: [] })
    } else (layers.at(-1)?.stack ?? outermost).push(interceptor)
  }
  return { method, stack: outermost, layers }
}
