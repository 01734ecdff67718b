import { styleText } from 'node:util'
import type { Listener } from './story.ts'

export interface Printer extends Listener {
  /** The end of the story: what each interceptor saw of it. */
  saw(interceptors: Readonly<Record<string, string>>): void
}

/** Tells people. `styleText` leaves the colours out where the terminal has none. */
export const forPeople: Printer = {
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
  saw(interceptors) {
    console.log(styleText('bold', 'What the interceptors saw'))
    for (const [name, what] of Object.entries(interceptors)) console.log(`  ${name.padEnd(14)} ${what}`)
  },
}

/** Tells machines: a JSON object per step. */
export const forMachines: Printer = {
  ended({ name }, outcome) {
    const { ok, ms } = outcome
    const rest = outcome.ok ? outcome.told : { error: outcome.error }
    console.log(JSON.stringify({ step: name, ok, ms, ...rest }))
  },
  saw(interceptors) {
    console.log(JSON.stringify({ interceptors }))
  },
}
