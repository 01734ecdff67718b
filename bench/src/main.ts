import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { measure } from './measure.ts'
import { measureMemory } from './memory.ts'
import { measureMicro } from './micro.ts'
import { type Asked, help, readOptions } from './options.ts'
import { profileTable } from './profile-table.ts'
import { chart, machineLine, results, table } from './report.ts'

const { plan, ...asked } = whatIsAsked()
// Progress on stderr: with --json, stdout holds the array and nothing else.
const say = (line: string): void => console.error(`· ${line}`)

if (asked.profile) {
  for (const name of plan.variants) {
    for (const scenario of plan.scenarios) console.log(await profileTable(name, scenario, plan, say))
  }
  process.exit(0)
}

const { rows, samples, machine } = await measure(plan, say)
if (asked.samples !== undefined) writeFileSync(asked.samples, `${JSON.stringify(samples)}\n`)
if (asked.json) {
  console.log(JSON.stringify(rows))
} else {
  for (const scenario of plan.scenarios) console.log(`\n${scenario}\n\n${table(rows, scenario)}`)
  console.log(`\n${machineLine(machine)}`)
}

if (asked.everything) {
  const micro = await measureMicro(say)
  const memory = await measureMemory(asked.calls, say)
  const folder = fileURLToPath(new URL('..', import.meta.url))
  mkdirSync(`${folder}/charts`, { recursive: true })
  for (const scenario of plan.scenarios) writeFileSync(`${folder}/charts/${scenario}.svg`, chart(rows, scenario))
  writeFileSync(`${folder}/RESULTS.md`, results(rows, micro, memory, plan, machine))
  console.log('\nwritten: bench/RESULTS.md, bench/charts/*.svg')
}

/** Ends the process when nothing is to be measured: after --help, and after a mistake, with one line. */
function whatIsAsked(): Asked {
  try {
    const read = readOptions(process.argv.slice(2))
    if (read.help) {
      console.log(help)
      process.exit(0)
    }
    // Not after half an hour: a file that cannot be written.
    if (read.samples !== undefined) writeFileSync(read.samples, '')
    return read
  } catch (error) {
    const [what] = (error as Error).message.split(/\. |\n/)
    console.error(`bench: ${what}; --help lists the options`)
    process.exit(1)
  }
}
