import { type Script, type Step, scriptOf } from '../fuzz/script.ts'
import { Random } from '../random.ts'
import { disturbances } from './tcp-proxy.ts'

/** Every call has this deadline, so that one over a connection that is silent ends as well. */
export const DEADLINE_MS = 400

/** A script of this seed in which something happens to the connection at one of its steps. */
export function disturbedScriptOf(seed: number): Script {
  const random = new Random(seed ^ 0x5bd1e995)
  const { steps, options, request, ...script } = scriptOf(seed)
  const calm = steps.filter(
    (step) =>
      !('wait' in step && (step.wait === 'deadline' || step.wait === 'arrival')) && !('fault' in step && step.fault),
  )
  const at = random.below(calm.length + 1)
  const disturbance: Step = { connection: random.pick(disturbances) }
  return {
    ...script,
    ...(request && { request: { size: request.size } }),
    options: { ...options, deadlineMs: DEADLINE_MS, waitForReady: true },
    steps: [
      ...calm.slice(0, at),
      disturbance,
      ...calm.slice(at),
      ...(random.chance(0.3) ? [{ wait: 'ms', count: 10 } as const] : []),
    ],
  }
}
