import { styleText } from 'node:util'
import type { Shop } from '../processes/shop.ts'
import { cancel } from './cancel.ts'
import { type Customer, customer } from './customer.ts'
import { fourPatterns } from './four-patterns.ts'
import { restart } from './restart.ts'
import type { Step } from './step.ts'
import { summary } from './summary.ts'
import { whoMayDoWhat } from './who-may-do-what.ts'

const steps: readonly Step[] = [fourPatterns, whoMayDoWhat, cancel, restart]

/** Runs the story. Returns whether each step did what it says. */
export async function tell(shop: Shop, options: { json: boolean }): Promise<boolean> {
  const people: Customer[] = []
  const as = (subject: string, role?: string): Customer => {
    const someone = customer(shop, subject, role)
    people.push(someone)
    return someone
  }
  let good = true
  try {
    for (const step of steps) {
      const started = performance.now()
      const told = await step.run({ shop, as }).catch((error: unknown) => ({ error: String(error) }))
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
    if (!options.json) console.log(`\nWhat the interceptors saw\n  ${summary(shop).join('\n  ')}`)
  } finally {
    for (const someone of people) someone.close()
  }
  return good
}
