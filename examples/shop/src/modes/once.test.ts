import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Demo } from '../../test/demo.ts'
import { steps } from '../story/story.ts'

interface Line {
  readonly step?: string
  readonly ok?: boolean
  readonly interceptors?: Record<string, string>
}

const linesOf = (demo: Demo): Line[] =>
  demo.output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)

describe('npm run demo -- --once', () => {
  it('tells every step as it happened, exits 0, and leaves no process behind', { timeout: 90_000 }, async () => {
    await using demo = new Demo(['--once', '--json'])
    const code = await demo.ended()
    const lines = linesOf(demo)
    expect(lines.filter(({ ok }) => ok === false)).toEqual([])
    expect(lines.flatMap(({ step }) => step ?? [])).toEqual(steps.map(({ name }) => name))
    expect(Object.keys(lines.at(-1)?.interceptors ?? {})).toEqual([
      'requestId',
      'tracing',
      'metrics',
      'logging',
      'serverAuth',
      'rateLimit',
      'retry',
      'circuitBreaker',
    ])
    // A call that inventory refuses ends so at orders and at storefront too, and the lines say so.
    const saw = lines.at(-1)?.interceptors
    const [, refused] = /refused (\d+): .*at orders and storefront too/.exec(saw?.rateLimit ?? '') ?? []
    expect(saw?.metrics).toContain(`${3 * Number(refused)} RESOURCE_EXHAUSTED`)
    expect(demo.errors).toBe('')
    expect(code).toBe(0)
    expect(await demo.gone()).toBe(true)
  })

  it('exits 1 when what it tells does not happen, as when a service dies', { timeout: 90_000 }, async ({ skip }) => {
    if (!existsSync('/proc/self/task')) skip('no /proc to find the processes of the services in')
    await using demo = new Demo(['--once', '--json'])
    await demo.says(/"step":/)
    const [first] = readFileSync(`/proc/${demo.pid}/task/${demo.pid}/children`, 'utf8').trim().split(' ')
    process.kill(Number(first), 'SIGKILL')
    expect(await demo.ended()).toBe(1)
    expect(linesOf(demo).some(({ ok }) => ok === false)).toBe(true)
    expect(await demo.gone()).toBe(true)
  })

  it.for(['interrupt', 'kill'] as const)(
    'ends its services when it is ended by %s',
    { timeout: 30_000 },
    async (how) => {
      await using demo = new Demo(['--once', '--json'])
      await demo.says(/"step":/)
      demo[how]()
      expect(await demo.gone()).toBe(true)
    },
  )

  it('says what is wrong with its arguments', async () => {
    await using demo = new Demo(['--port', 'front'])
    expect(await demo.ended()).toBe(2)
    expect(demo.errors).toContain("--port takes a whole number up to 65535, not 'front'")
  })
})
