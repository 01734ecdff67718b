import type { Stage } from '../story/step.ts'

/** Something that can go wrong in the shop, to be switched on and off. */
export interface Trouble {
  readonly id: string
  readonly title: string
  /** What it does, and what comes of it. */
  readonly text: string
  /** It passes by itself: there is nothing to stop. */
  readonly momentary?: boolean
  start(stage: Stage): Promise<void>
  stop(stage: Stage): Promise<void>
}
