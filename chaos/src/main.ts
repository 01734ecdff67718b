import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { logVerbosity, setLogVerbosity } from '@grpc/grpc-js'
import { type ChaosOptions, readArguments, USAGE } from './arguments.ts'
import { proxied } from './faults/proxied.ts'
import { rawPeer } from './faults/raw-peer.ts'
import { fuzz } from './fuzz/fuzz.ts'
import { keepTraceContext } from './fuzz/observers.ts'
import type { Script } from './fuzz/script.ts'
import { report, writeReport } from './report.ts'
import { soak } from './soak.ts'

const say = (line: string): void => console.log(line)

let options: ChaosOptions
try {
  options = readArguments(process.argv.slice(2))
} catch (error) {
  say(`${(error as Error).message}\n\n${USAGE}`)
  process.exit(2)
}

const { seed, worlds, script, scripts, lanes, fuzzMs, proxiedMs, rawMs, soakMs, write } = options
say(`seed ${seed}, Node ${process.version}`)
keepTraceContext()
setLogVerbosity(logVerbosity.NONE) // grpc-js complains of what peers send wrong on purpose
const fuzzed = await fuzz({
  seed,
  ms: fuzzMs,
  scripts: script === undefined ? scripts : 1,
  lanes: script === undefined ? lanes : 1,
  ...(worlds && { worlds }),
  ...(script && { script: JSON.parse(readFileSync(script, 'utf8')) as Script }),
  say,
})
const disturbed = proxiedMs > 0 ? await proxied({ seed, ms: proxiedMs, say }) : undefined
const raw = rawMs > 0 ? await rawPeer({ seed, ms: rawMs, all: rawMs > 60_000, say }) : undefined
const soaked = soakMs > 0 ? await soak(seed, soakMs) : undefined
const text = report({ seed, fuzzed, proxied: disturbed, raw, soaked })
say(`\n${text}`)
if (write) writeReport(fileURLToPath(new URL('../../docs/reliability.md', import.meta.url)), text)

for (const grown of soaked?.grown ?? []) say(`\nhas grown: ${grown}`)
const failed = fuzzed.failures.length + (disturbed?.failures ?? 0) + (raw?.failures ?? 0) + (soaked?.grown.length ?? 0)
say(failed === 0 ? '\nno faults' : `\n${failed} faults; --seed N --scripts 1 repeats one, --script FILE runs a script`)
process.exitCode = failed === 0 ? 0 : 1
