import { parseArgs } from 'node:util'
import { worldNames } from './fuzz/stacks.ts'

export interface ChaosOptions {
  readonly seed: number
  readonly fuzzMs: number
  readonly proxiedMs: number
  readonly rawMs: number
  readonly soakMs: number
  readonly scripts: number
  readonly lanes: number
  readonly worlds: readonly string[] | undefined
  readonly script: string | undefined
  readonly write: boolean
}

export const USAGE = `npm run chaos -- <options>
  --quick          about a minute: what the continuous integration runs
  --minutes N      how long to make up random RPCs. Default: 5
  --seed N         the seed of the first RPC, the next has the next. Default: by chance; it is printed
  --scripts N      at most so many RPCs and nothing else; with --seed, 1 repeats one
  --script FILE    run the script in this file, in the form in which one is printed, and nothing else
  --worlds A,B     only these ways to run a script: ${worldNames.join(', ')}
  --lanes N        scripts at the same time. Default: 4
  --soak S         also call through the full stack for so many seconds, and watch what grows. Default: 60, not with --quick
  --write          put the tables into docs/reliability.md`

/** @throws Error that says which option is wrong. */
export function readArguments(args: readonly string[]): ChaosOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      minutes: { type: 'string' },
      seed: { type: 'string' },
      scripts: { type: 'string' },
      script: { type: 'string' },
      worlds: { type: 'string' },
      lanes: { type: 'string' },
      soak: { type: 'string' },
      write: { type: 'boolean', default: false },
    },
  })
  const { quick, script, write } = values
  const minutes = numberOf('minutes', values.minutes, quick ? 0.4 : 5)
  const worlds = values.worlds?.split(',')
  for (const name of worlds ?? []) {
    if (!worldNames.includes(name)) throw new Error(`--worlds: there is no "${name}"`)
  }
  const scriptsOnly = script !== undefined || values.scripts !== undefined
  const share = (quickMs: number, ms: number): number => (scriptsOnly ? 0 : quick ? quickMs : ms)
  return {
    seed: numberOf('seed', values.seed, Math.floor(Math.random() * 2 ** 31)),
    fuzzMs: minutes * 60_000,
    proxiedMs: share(8_000, 60_000),
    rawMs: share(20_000, 300_000),
    soakMs: numberOf('soak', values.soak, share(0, 60)) * 1000,
    scripts: numberOf('scripts', values.scripts, Number.POSITIVE_INFINITY),
    lanes: numberOf('lanes', values.lanes, 4),
    worlds,
    script,
    write,
  }
}

function numberOf(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise
  const value = Number(text)
  if (!(value >= 0)) throw new Error(`--${name}: expected a number, got "${text}"`)
  return value
}
