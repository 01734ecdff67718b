import { parseArgs } from 'node:util'

export const usage = `npm run demo -- [options]

  --once            tell the story and end, with exit code 0 if each step did what it says
  --json            tell it as a JSON object per step
  --port <n>        of the page; default 4600, or any other if it is taken
  --no-story        open the page and wait until the story is asked for there
  --pace <ms>       to watch each step of the story on the page; default 3000
  --redis-cluster   count limits in a Redis Cluster of six nodes, started by npm run demo
  --redis-sentinel  count limits in a Redis that three Sentinels watch, started by npm run demo
  --cluster         inventory is four workers with one limit, counted in their primary
  --rls             let a rate limit service decide about limits, started by npm run demo
  --ext-authz       let an external authorization decide about calls, started by npm run demo
  --help            this`

export interface Arguments {
  readonly once: boolean
  readonly json: boolean
  readonly help: boolean
  readonly story: boolean
  readonly port: number
  readonly paceMs: number
  /** What is wrong with the arguments. */
  readonly problem?: string
}

export function readArguments(args: string[]): Arguments {
  try {
    const { values } = parseArgs({
      args,
      options: {
        once: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
        'no-story': { type: 'boolean', default: false },
        port: { type: 'string', default: '4600' },
        pace: { type: 'string', default: '3000' },
      },
    })
    const { once, json, help } = values
    const port = wholeNumber('--port', values.port, 65_535)
    return { once, json, help, story: !values['no-story'], port, paceMs: wholeNumber('--pace', values.pace, 60_000) }
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    return { once: false, json: false, help: false, story: false, port: 0, paceMs: 0, problem }
  }
}

function wholeNumber(option: string, given: string, most: number): number {
  const number = Number(given)
  if (given !== '' && Number.isInteger(number) && number >= 0 && number <= most) return number
  throw new Error(`${option} takes a whole number up to ${most}, not '${given}'`)
}
