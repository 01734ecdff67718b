import { cancel } from './cancel.ts'
import { expiredToken } from './expired-token.ts'
import { flakyInventory } from './flaky-inventory.ts'
import { fourPatterns } from './four-patterns.ts'
import { hammering } from './hammering.ts'
import { paymentsDown } from './payments-down.ts'
import { restart } from './restart.ts'
import { slowReader } from './slow-reader.ts'
import type { Stage, Step, Told } from './step.ts'
import { whoMayDoWhat } from './who-may-do-what.ts'

export const steps: readonly Step[] = [
  fourPatterns,
  whoMayDoWhat,
  expiredToken,
  flakyInventory,
  paymentsDown,
  cancel,
  hammering,
  slowReader,
  restart,
]

/** How a step went. */
export type Outcome = { readonly ms: number } & (
  | { readonly ok: true; readonly told: Told }
  | { readonly ok: false; readonly error: string }
)

export interface Listener {
  began?(step: Step): void
  ended(step: Step, outcome: Outcome): void
}

/** Tells the story, step by step, until it is told or aborted. Resolves to whether each step did what it says. */
export async function tell(
  stage: Stage,
  listener: Listener,
  pause: () => Promise<void> = async () => {},
  signal?: AbortSignal,
): Promise<boolean> {
  let good = true
  for (const step of steps) {
    if (signal?.aborted) return false
    listener.began?.(step)
    const began = performance.now()
    const ran = await step.run(stage).then(
      (told) => ({ ok: true, told }) as const,
      (error: unknown) => ({ ok: false, error: error instanceof Error ? error.message : String(error) }) as const,
    )
    listener.ended(step, { ...ran, ms: Math.round(performance.now() - began) })
    good &&= ran.ok
    await pause()
  }
  return good
}
