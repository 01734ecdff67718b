import { parseArgs } from 'node:util'
import { worldNames } from './fuzz/worlds.ts'

export interface ChaosOptions {
  readonly seed: number
  readonly fuzzMs: number
  readonly scripts: number
  readonly lanes: number
  readonly worlds: readonly string[] | undefined
  readonly script: string | undefined
}

export const USAGE = `npm run chaos -- <options>
  --quick          a look, under two minutes: what the continuous integration runs
  --minutes N      how long to make up scripts. Default: 5; with --quick one half
  --seed N         the seed of the first script, the next has the next. Default: by chance; it is printed
  --scripts N      at most so many scripts; with --seed, 1 repeats one
  --script FILE    run the script in this file, in the form in which one is printed
  --worlds A,B     only these ways to run a script: ${worldNames.join(', ')}
  --lanes N        scripts at the same time. Default: 4`

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
    },
  })
  const minutes = numberOf('minutes', values.minutes, values.quick ? 0.5 : 5)
  const worlds = values.worlds?.split(',')
  for (const name of worlds ?? []) {
    if (!worldNames.includes(name)) throw new Error(`--worlds: there is no "${name}"`)
  }
  return {
    seed: numberOf('seed', values.seed, Math.floor(Math.random() * 2 ** 31)),
    fuzzMs: minutes * 60_000,
    scripts: numberOf('scripts', values.scripts, Number.POSITIVE_INFINITY),
    lanes: numberOf('lanes', values.lanes, 4),
    worlds,
    script: values.script,
  }
}

function numberOf(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise
  const value = Number(text)
  if (!(value >= 0)) throw new Error(`--${name}: expected a number, got "${text}"`)
  return value
}
