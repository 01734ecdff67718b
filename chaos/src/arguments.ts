import { parseArgs } from 'node:util'
import { fuzzWorlds } from './fuzz/worlds.ts'

const usualParts = [
  'rpcs',
  'connections',
  'peers',
  'processes',
  'clocks',
  'names',
  'hostile',
  'transfer',
  'soak',
] as const
/** `planted` tests the random RPCs themselves, and is run only when it is named. */
export const partNames = [...usualParts, 'planted'] as const

export type PartName = (typeof partNames)[number]

export interface ChaosOptions {
  readonly seed: number
  readonly quick: boolean
  readonly parts: readonly PartName[]
  readonly fuzzMs: number
  readonly soakMs: number
  readonly scripts: number
  /** Of what hostile clients do. */
  readonly times: number
  readonly lanes: number
  readonly worlds: readonly string[] | undefined
  readonly script: string | undefined
  /** With packages/free-ended-calls, which scripts/chaos.mjs loads. */
  readonly retention: boolean
  readonly write: boolean
}

export const USAGE = `npm run chaos -- <options>
  --quick          less than four minutes: what the continuous integration runs
  --parts A,B      only these parts of the run: ${partNames.join(', ')}
  --seed N         what is random follows from it. Default: by chance; it is printed
  --minutes N      how long to make up random RPCs. Default: 5
  --scripts N      at most so many random RPCs and nothing else; with --seed, 1 repeats one
  --script FILE    run the script in this file, in the form in which one is printed, and nothing else
  --worlds A,B     only these ways to run a script: ${fuzzWorlds.join(', ')}
  --lanes N        scripts at the same time. Default: 4
  --times N        how often hostile clients do what can be counted. Default: 100000, with --quick 500
  --seconds N      how long to soak. Default: 60
  --hours N        the same, in hours
  --retention      with packages/free-ended-calls in all processes
  --write          put the tables into docs/reliability.md`

/** @throws Error that says which option is wrong. */
export function readArguments(args: readonly string[]): ChaosOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      parts: { type: 'string' },
      seed: { type: 'string' },
      minutes: { type: 'string' },
      scripts: { type: 'string' },
      script: { type: 'string' },
      worlds: { type: 'string' },
      lanes: { type: 'string' },
      times: { type: 'string' },
      seconds: { type: 'string' },
      hours: { type: 'string' },
      retention: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
    },
  })
  const { quick, script, retention, write } = values
  const scriptsOnly = script !== undefined || values.scripts !== undefined
  const seconds = numberOf('seconds', values.seconds, quick ? 10 : 60)
  return {
    seed: numberOf('seed', values.seed, Math.floor(Math.random() * 2 ** 31)),
    quick,
    parts: namesOf('parts', values.parts, partNames) ?? (scriptsOnly ? ['rpcs'] : usualParts),
    fuzzMs: numberOf('minutes', values.minutes, quick ? 0.4 : 5) * 60_000,
    soakMs: values.hours === undefined ? seconds * 1000 : numberOf('hours', values.hours, 0) * 3_600_000,
    scripts: numberOf('scripts', values.scripts, Number.POSITIVE_INFINITY),
    times: numberOf('times', values.times, quick ? 500 : 100_000),
    lanes: numberOf('lanes', values.lanes, 4),
    worlds: namesOf('worlds', values.worlds, fuzzWorlds),
    script,
    retention,
    write,
  }
}

function namesOf<Name extends string>(
  option: string,
  text: string | undefined,
  all: readonly Name[],
): Name[] | undefined {
  return text?.split(',').map((name) => {
    const found = all.find((one) => one === name)
    if (found === undefined) throw new Error(`--${option}: there is no "${name}"`)
    return found
  })
}

function numberOf(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise
  const value = Number(text)
  if (!(value >= 0)) throw new Error(`--${name}: expected a number, got "${text}"`)
  return value
}
