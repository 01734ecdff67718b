import { resolveStack } from '../compose/compose.ts'
import type { Interceptor } from '../contract/call.ts'
import { describeMethod, type MethodInfo } from '../contract/method.ts'
import type { ClientPlan } from '../objects/client-plan.ts'
import { clientHook, isClientObject, objectOf } from '../objects/interceptor-object.ts'

/** An interceptor and the place in the list it came from. */
interface Placed {
  readonly interceptor: Interceptor
  readonly from: number
}

export function planClient(list: readonly Interceptor[], method: MethodInfo): ClientPlan {
  return planPlaced(list, place(list, method), method)
}

function place(list: readonly Interceptor[], method: MethodInfo): Placed[] {
  return list.flatMap((item, from) =>
    resolveStack([item], method, 'client').map((interceptor) => ({ interceptor, from })),
  )
}

function planPlaced(list: readonly Interceptor[], placed: readonly Placed[], method: MethodInfo): ClientPlan {
  const stack: Interceptor[] = []
  for (const [index, { interceptor, from }] of placed.entries()) {
    const object = objectOf(interceptor)
    if (object === undefined || !isClientObject(object)) stack.push(interceptor)
    else if (typeof object[clientHook(method)] === 'function') {
      const rest = planPlaced(list, placed.slice(index + 1), method)
      const elsewhere = new Map<string, ClientPlan>()
      const inside = (path: string): ClientPlan => {
        if (path === method.path) return rest
        let plan = elsewhere.get(path)
        if (plan === undefined) {
          const other = describeMethod(path, method.requestStream, method.responseStream)
          plan = planPlaced(list, insideOf(list, from, interceptor, other), other)
          elsewhere.set(path, plan)
        }
        return plan
      }
      return { method, stack, layer: { name: interceptor.name, object, inside } }
    }
  }
  return { method, stack, layer: undefined }
}

/**
 * What is inside an interceptor for a method other than the one it was found for: what follows it, or all of a composite
 * in which it does not stand for that method.
 */
function insideOf(list: readonly Interceptor[], from: number, interceptor: Interceptor, method: MethodInfo): Placed[] {
  const placed = place(list, method)
  const itself = placed.findIndex((other) => other.from === from && other.interceptor === interceptor)
  return itself < 0 ? placed.filter((other) => other.from >= from) : placed.slice(itself + 1)
}
