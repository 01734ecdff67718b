import { readFileSync } from 'node:fs'
import { type ChaosOptions, readArguments, USAGE } from './arguments.ts'
import { fuzz } from './fuzz/fuzz.ts'
import type { Script } from './fuzz/script.ts'
import { fuzzTable } from './report.ts'

const say = (line: string): void => console.log(line)

let options: ChaosOptions
try {
  options = readArguments(process.argv.slice(2))
} catch (error) {
  say(`${(error as Error).message}\n\n${USAGE}`)
  process.exit(2)
}

const { seed, worlds, script, scripts, lanes, fuzzMs } = options
say(`seed ${seed}, Node ${process.version}`)
const fuzzed = await fuzz({
  seed,
  ms: fuzzMs,
  scripts: script === undefined ? scripts : 1,
  lanes: script === undefined ? lanes : 1,
  ...(worlds && { worlds }),
  ...(script && { script: JSON.parse(readFileSync(script, 'utf8')) as Script }),
  say,
})
say(`\n${fuzzTable(fuzzed).join('\n')}`)

const failed = fuzzed.failures.length
say(failed === 0 ? '\nnothing was lost' : `\n${failed} faults; --seed and --scripts 1 repeat one, --script a script`)
process.exitCode = failed === 0 ? 0 : 1
