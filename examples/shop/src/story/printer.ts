import { styleText } from 'node:util'
import type { Listener } from './story.ts'

/** Tells people. `styleText` leaves the colours out where the terminal has none. */
export const forPeople: Listener = {
  ended({ name }, outcome) {
    const took = styleText('dim', `${outcome.ms} ms`)
    if (outcome.ok) {
      const { happened, seen } = outcome.told
      console.log(`${styleText('green', '✓')} ${styleText('bold', name)} ${took}`)
      console.log(`  ${happened}\n  ${styleText('cyan', seen)}\n`)
    } else {
      console.log(`${styleText('red', '✗')} ${styleText('bold', name)} ${took}`)
      console.log(`  ${styleText('red', outcome.error)}\n`)
    }
  },
}

/** Tells machines: a JSON object per step. */
export const forMachines: Listener = {
  ended({ name }, outcome) {
    const { ok, ms } = outcome
    const rest = outcome.ok ? outcome.told : { error: outcome.error }
    console.log(JSON.stringify({ step: name, ok, ms, ...rest }))
  },
}
