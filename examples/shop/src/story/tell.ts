import { styleText } from 'node:util'
import { cancel } from './cancel.ts'
import { expiredToken } from './expired-token.ts'
import { flakyInventory } from './flaky-inventory.ts'
import { fourPatterns } from './four-patterns.ts'
import { hammering } from './hammering.ts'
import { restart } from './restart.ts'
import type { Stage, Step } from './step.ts'
import { whoMayDoWhat } from './who-may-do-what.ts'

const steps: readonly Step[] = [fourPatterns, whoMayDoWhat, expiredToken, flakyInventory, cancel, hammering, restart]

/** Tells the story. Returns whether each step did what it says. */
export async function tell(stage: Stage, options: { json: boolean }): Promise<boolean> {
  let good = true
  for (const step of steps) {
    const started = performance.now()
    const told = await step.run(stage).catch((error: unknown) => ({ error: String(error) }))
    const ms = Math.round(performance.now() - started)
    const ok = !('error' in told)
    good &&= ok
    if (options.json) {
      console.log(JSON.stringify({ step: step.name, ok, ms, ...told }))
      continue
    }
    const mark = ok ? styleText('green', '✓') : styleText('red', '✗')
    console.log(`\n${mark} ${styleText('bold', step.name)} ${styleText('dim', `${ms} ms`)}`)
    if ('error' in told) console.log(`  ${styleText('red', told.error)}`)
    else console.log(`  ${told.happened}\n  ${styleText('cyan', told.seen)}`)
  }
  return good
}
