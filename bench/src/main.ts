import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { measure } from './measure.ts'
import { measureMemory } from './memory.ts'
import { measureMicro } from './micro.ts'
import { profileTable } from './profile-table.ts'
import { chart, results, table } from './report.ts'
import { explanations, type Scenario, scenarios, type VariantName, variants } from './variant.ts'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
    variants: { type: 'string' },
    scenarios: { type: 'string' },
    rounds: { type: 'string' },
    generations: { type: 'string' },
    'slice-ms': { type: 'string' },
    'warm-up': { type: 'string' },
    'least-operations': { type: 'string', default: '400' },
    'in-flight': { type: 'string' },
    calls: { type: 'string', default: '1000000' },
  },
})

/** A comma-separated choice from a list; all of it when nothing is chosen. */
function choose<T extends string>(given: string | undefined, all: readonly T[], what: string): T[] {
  if (given === undefined) return [...all]
  return given.split(',').map((name) => {
    if (!all.includes(name as T)) throw new TypeError(`bench: no ${what} "${name}"; there are ${all.join(', ')}`)
    return name as T
  })
}

const number = (given: string | undefined, usual: number, quick: number): number =>
  Number(given ?? (values.quick ? quick : usual))

const usual = variants.filter((name) => !values.quick || !explanations.includes(name))
const chosen = values.variants === undefined ? usual : choose(values.variants, variants, 'variant')
const plan = {
  // Everything is compared with bare.
  variants: ['bare' as VariantName, ...chosen.filter((name) => name !== 'bare')],
  scenarios: choose<Scenario>(values.scenarios, scenarios, 'scenario'),
  rounds: number(values.rounds, 6, 5),
  generations: number(values.generations, 4, 1),
  sliceMs: number(values['slice-ms'], 250, 60),
  warmUpCalls: number(values['warm-up'], 50_000, 20_000),
  warmUpMs: values.quick ? 5_000 : 30_000,
  leastOperations: Number(values['least-operations']),
  inFlight: values['in-flight'] === undefined ? undefined : Number(values['in-flight']),
}
// Progress on stderr: with --json, stdout holds the array and nothing else.
const say = (line: string): void => console.error(`· ${line}`)

if (values.profile) {
  for (const name of plan.variants) {
    for (const scenario of plan.scenarios) console.log(await profileTable(name, scenario, plan, say))
  }
  process.exit(0)
}

const rows = await measure(plan, say)
if (values.json) {
  console.log(JSON.stringify(rows))
} else {
  for (const scenario of plan.scenarios) console.log(`\n${scenario}\n\n${table(rows, scenario)}`)
}

const everything = values.variants === undefined && values.scenarios === undefined && values['in-flight'] === undefined
if (!values.json && !values.quick && everything) {
  const micro = await measureMicro(say)
  const memory = await measureMemory(Number(values.calls), say)
  const folder = fileURLToPath(new URL('..', import.meta.url))
  mkdirSync(`${folder}/charts`, { recursive: true })
  for (const scenario of plan.scenarios) writeFileSync(`${folder}/charts/${scenario}.svg`, chart(rows, scenario))
  writeFileSync(`${folder}/RESULTS.md`, results(rows, micro, memory, plan))
  console.log('\nwritten: bench/RESULTS.md, bench/charts/*.svg')
}
