import { type ParseArgsConfig, parseArgs } from 'node:util'
import { usual } from './conditions.ts'
import type { Plan } from './measure.ts'
import { explanations, type Scenario, scenarios, type VariantName, variants } from './variant.ts'

/** By name: what stands for the value, what is taken without it, and what it is. */
const described = {
  quick: ['', '', 'a look, under four minutes: fewer and shorter slices, warm-up included'],
  json: ['', '', 'the rows as one JSON array on stdout, and nothing else'],
  profile: ['', '', 'where the time goes instead, by whose code runs'],
  variants: ['LIST', 'all', 'comma-separated; bare is always there; a quick look leaves out those that explain'],
  scenarios: ['LIST', 'all', 'comma-separated'],
  generations: ['N', '4, quick 1', 'how often the processes of a variant are started anew'],
  rounds: ['N', '6, quick 5', 'slices of each variant, in each generation'],
  'slice-ms': ['MS', '250, quick 60', 'how long a slice takes, about'],
  'warm-up': ['N', '50000, quick 20000', 'unary calls before anything is measured'],
  'least-operations': ['N', '400', 'of the shortest load; with --rate five times as many calls'],
  'in-flight': ['N', 'by scenario', 'calls at a time in what is measured'],
  calls: ['N', '1000000', 'after which the heap must not have grown'],
  tls: ['', '', 'over TLS instead of plaintext'],
  message: [
    'bytes|protobuf',
    'bytes',
    '16 bytes, or an order of about 1 KB through proto-loader (connect: its own codec)',
  ],
  messages: ['N', '100', 'messages per stream'],
  rate: ['N', '', 'an open loop: calls begin at fixed times, N per second; adds p99.9 and 95 % intervals'],
  samples: ['FILE', '', 'writes what each slice came to, as JSON'],
  help: ['', '', 'this'],
} as const satisfies Record<string, readonly [value: string, without: string, what: string]>

type Option = keyof typeof described

export const help: string = [
  'npm run bench -- [options]',
  '',
  ...Object.entries(described).map(([name, [value, without, what]]) =>
    `  ${`--${name} ${value}`.padEnd(26)} ${what}${without === '' ? '' : ` (${without})`}`.trimEnd(),
  ),
  '',
  `scenarios: ${scenarios.join(', ')}`,
  `variants: ${variants.join(', ')}`,
].join('\n')

/** What the command was asked for. */
export interface Asked {
  readonly help: boolean
  readonly json: boolean
  readonly profile: boolean
  readonly plan: Plan
  /** After which the heap must not have grown. */
  readonly calls: number
  /** The file for the samples. */
  readonly samples: string | undefined
  /** Whether it is the run that RESULTS.md and the charts are made of. */
  readonly everything: boolean
}

/** @throws TypeError whose message is for the person at the keyboard */
export function readOptions(args: readonly string[]): Asked {
  const options: ParseArgsConfig['options'] = Object.fromEntries(
    Object.entries(described).map(([name, [value]]) => [name, { type: value === '' ? 'boolean' : 'string' }]),
  )
  const { values } = parseArgs({ args: [...args], options })
  const flag = (name: Option): boolean => values[name] === true
  const text = (name: Option): string | undefined => {
    const given = values[name]
    return typeof given === 'string' ? given : undefined
  }
  const number = (name: Option): number | undefined => {
    const given = text(name)
    if (given === undefined) return undefined
    if (!/^\d+$/.test(given) || Number(given) === 0)
      throw new TypeError(`--${name} takes a whole number above 0, not "${given}"`)
    return Number(given)
  }
  /** A comma-separated choice from a list. */
  const choose = <T extends string>(name: Option, all: readonly T[]): readonly T[] | undefined =>
    text(name)
      ?.split(',')
      .map((one) => known(name, one, all))

  const quick = flag('quick')
  const chosen =
    choose<VariantName>('variants', variants) ?? variants.filter((name) => !quick || !explanations.includes(name))
  const rate = number('rate')
  const inFlight = number('in-flight')
  if (rate !== undefined && inFlight !== undefined) {
    throw new TypeError('--in-flight has no meaning with --rate, which begins calls however many are in flight')
  }
  const conditions = {
    tls: flag('tls'),
    message: known('message', text('message') ?? usual.message, ['bytes', 'protobuf'] as const),
    messages: number('messages') ?? usual.messages,
  }
  const unusual = ['variants', 'scenarios', 'in-flight', 'tls', 'message', 'messages', 'rate', 'quick', 'json'] as const
  return {
    help: flag('help'),
    json: flag('json'),
    profile: flag('profile'),
    plan: {
      // Everything is compared with bare.
      variants: ['bare', ...chosen.filter((name) => name !== 'bare')],
      scenarios: choose<Scenario>('scenarios', scenarios) ?? scenarios,
      rounds: number('rounds') ?? (quick ? 5 : 6),
      generations: number('generations') ?? (quick ? 1 : 4),
      sliceMs: number('slice-ms') ?? (quick ? 60 : 250),
      warmUpCalls: number('warm-up') ?? (quick ? 20_000 : 50_000),
      warmUpMs: quick ? 5_000 : 30_000,
      leastOperations: number('least-operations') ?? 400,
      conditions,
      pace: rate === undefined ? (inFlight === undefined ? {} : { inFlight }) : { rate },
    },
    calls: number('calls') ?? 1_000_000,
    samples: text('samples'),
    everything: unusual.every((name) => values[name] === undefined),
  }
}

function known<T extends string>(name: Option, given: string, all: readonly T[]): T {
  if (!all.includes(given as T)) throw new TypeError(`--${name}: no "${given}"; there are ${all.join(', ')}`)
  return given as T
}
