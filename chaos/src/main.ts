import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { logVerbosity, setLogVerbosity } from '@grpc/grpc-js'
import { type ChaosOptions, type PartName, readArguments, USAGE } from './arguments.ts'
import { clockJumps } from './faults/clock-jumps.ts'
import { names } from './faults/names.ts'
import { processes } from './faults/processes.ts'
import { proxied } from './faults/proxied.ts'
import { framePeer, rawPeer } from './faults/raw-peer.ts'
import { fuzz } from './fuzz/fuzz.ts'
import { keepTraceContext } from './fuzz/observers.ts'
import { planted } from './fuzz/planted.ts'
import type { Script } from './fuzz/script.ts'
import { hostile } from './hostile/hostile.ts'
import { fuzzSection, partReport, proxiedSection, rawPeerSection, writeReport, writeRow } from './report.ts'
import type { Section } from './section.ts'
import { soak } from './soak.ts'
import { transfer } from './transfer.ts'

const say = (line: string): void => console.log(line)

let options: ChaosOptions
try {
  options = readArguments(process.argv.slice(2))
} catch (error) {
  say(`${(error as Error).message}\n\n${USAGE}`)
  process.exit(2)
}

const { seed, quick, worlds, script, scripts, lanes, fuzzMs, soakMs } = options

// In `~Http2Session`, of clients of grpc-js without interceptors too: in 2 of 20 runs.
const abortsOnBrokenFrames = process.versions.node.startsWith('22.')
const FRAMES_LEFT_OUT =
  'A peer of frames of its own is left out: Node 22 aborts now and then where a session with such a peer is collected (node_http2.cc:640).'

const parts: Readonly<Record<PartName, () => Promise<Section[]>>> = {
  rpcs: async () => [
    fuzzSection(
      await fuzz({
        seed,
        ms: fuzzMs,
        scripts: script === undefined ? scripts : 1,
        lanes: script === undefined ? lanes : 1,
        ...(worlds && { worlds }),
        ...(script && { script: JSON.parse(readFileSync(script, 'utf8')) as Script }),
        say,
      }),
    ),
  ],
  connections: async () => [proxiedSection(await proxied({ seed, ms: quick ? 5_000 : 60_000, say }))],
  peers: async () => {
    const peer = { seed, all: !quick, say }
    const onHttp2 = rawPeerSection('on HTTP/2 of Node', await rawPeer({ ...peer, ms: quick ? 8_000 : 300_000 }))
    if (abortsOnBrokenFrames) return [{ ...onHttp2, notes: [FRAMES_LEFT_OUT] }]
    return [onHttp2, rawPeerSection('of frames of its own', await framePeer({ ...peer, ms: quick ? 5_000 : 300_000 }))]
  },
  processes: async () => [await processes({ seed, quick, say })],
  clocks: async () => [await clockJumps({ seed, quick, say })],
  names: async () => [await names({ seed, quick, say })],
  hostile: async () => [await hostile({ seed, quick, times: options.times, say })],
  transfer: async () => [await transfer({ seed, quick, say })],
  soak: async () => [await soak({ seed, ms: soakMs, say })],
  planted: async () => [await planted({ seed, scripts: Math.min(scripts, 300), say })],
}

say(`seed ${seed}, Node ${process.version}${options.retention ? ', with free-ended-calls' : ''}`)
keepTraceContext()
setLogVerbosity(logVerbosity.NONE) // grpc-js complains of what peers send wrong on purpose
const page = fileURLToPath(new URL('../../docs/reliability.md', import.meta.url))
let faults = 0
let calls = 0
for (const name of options.parts) {
  const begun = performance.now()
  const sections = await parts[name]()
  for (const section of sections) {
    faults += section.faults
    calls += section.calls
  }
  const seconds = Math.round((performance.now() - begun) / 1000)
  const text = partReport(sections, `Seed ${seed}, Node ${process.version}, ${seconds} s.`)
  say(`\n${name}\n\n${text}`)
  if (options.write && !options.retention) writeReport(page, name, text)
}
if (options.write && options.retention) {
  const head = ['Node', 'seed', 'parts', 'calls', 'faults']
  writeRow(page, 'retention', head, [process.version, seed, options.parts.join(', '), calls, faults])
}
say(faults === 0 ? '\nno faults' : `\n${faults} faults; --seed N --scripts 1 repeats one, --script FILE runs a script`)
process.exitCode = faults === 0 ? 0 : 1
