import { performance } from 'node:perf_hooks'
import { clientInterceptors, type Interceptor, serverInterceptors } from '@grpc-stack/grpc-core'
import { patterns, type TestPattern } from '../test-service.ts'
import { endingScenarios } from './ending-scenarios.ts'
import { flowScenarios } from './flow-scenarios.ts'
import { assertCallsCounted, assertNothingLeft, resources } from './leftovers.ts'
import { applicationView, assertSame, handlerView, type Observation } from './observation.ts'
import { outcomeScenarios } from './outcome-scenarios.ts'
import { assertOwnContexts } from './own-context.ts'
import { defaultRunner, type SuiteRunner } from './runner.ts'
import { patternsOf, type Scenario } from './scenario.ts'
import { bareOurs, bareStock, listOf, openWorld, type Place, places, type SuiteSubject, type World } from './world.ts'

/** What a factory given to the suite returns. A plain interceptor, or a list, is for both sides. */
export type SuiteFactory = () => Interceptor | readonly Interceptor[] | SuiteSubject

const scenarios: readonly Scenario[] = [...outcomeScenarios, ...endingScenarios, ...flowScenarios]

/**
 * Registers tests that prove interceptors transparent. Each scenario is played on real connections without them and with
 * them on the client, on the server and on both sides; whatever the application or the handler could tell apart fails
 * the test, and so does a timer, a listener or a call count that outlives its call.
 *
 *     interceptorSuite('logging', () => logging({ logger: silent }))
 *     interceptorSuite('auth', () => ({ client: clientAuth({ … }), server: serverAuth({ … }) }))
 *
 * Make the interceptors so that they let these calls through: a rate limit that is not reached, a token that is right.
 *
 * @param factory makes fresh interceptors for each test
 * @param runner default: the `describe` and `it` of the test runner at work, vitest's also without its globals, else
 *   those of node:test
 * @throws TypeError if the factory makes no interceptor.
 */
export function interceptorSuite(name: string, factory: SuiteFactory, runner: SuiteRunner = defaultRunner()): void {
  if (typeof factory !== 'function') throw new TypeError('interceptorSuite: factory must be a function')
  const make = () => subjectOf(factory())
  const sample = make()
  const onClient = listOf(sample.client).length > 0
  const onServer = listOf(sample.server).length > 0
  checkSides(name, sample)
  if (!onClient && !onServer) throw new TypeError(`interceptorSuite: the factory of "${name}" made no interceptor`)
  const tested = places.filter((place) => (place.client && onClient) || (place.server && onServer))
  runner.describe(`${name} is transparent`, () => {
    for (const scenario of scenarios) {
      for (const pattern of patternsOf(scenario)) {
        runner.it(`${scenario.name}: ${pattern}`, () => compare(scenario, pattern, make, tested))
      }
    }
    for (const pattern of patterns) {
      runner.it(`calls that resume each other keep their own contexts: ${pattern}`, () =>
        assertOwnContexts(pattern, make, tested),
      )
    }
  })
}

/** Composition refuses an interceptor on the wrong side: once here, instead of in every test. */
function checkSides(name: string, { client, server }: SuiteSubject): void {
  try {
    clientInterceptors(...listOf(client))
    serverInterceptors(...listOf(server))
  } catch (error) {
    const { message } = error as Error
    throw new TypeError(`interceptorSuite: the factory of "${name}" must return { client } or { server }: ${message}`)
  }
}

function subjectOf(made: ReturnType<SuiteFactory>): SuiteSubject {
  if (typeof made === 'function' || Array.isArray(made)) {
    const both = made as Interceptor | readonly Interceptor[]
    return { client: both, server: both }
  }
  return made as SuiteSubject
}

async function compare(
  scenario: Scenario,
  pattern: TestPattern,
  make: () => SuiteSubject,
  tested: readonly Place[],
): Promise<void> {
  const before = resources()
  // Side by side, so that scenarios which wait for a deadline wait once.
  const [stock, ours, ...seen] = await Promise.all(
    [bareStock, bareOurs, ...tested].map((place) => observe(scenario, pattern, place, make())),
  )
  for (const [i, place] of tested.entries()) {
    assertSame(seen[i] as Observation, (place.ours ? ours : stock) as Observation, place.name)
  }
  await assertNothingLeft(before)
}

async function observe(
  scenario: Scenario,
  pattern: TestPattern,
  place: Place,
  subject: SuiteSubject,
): Promise<Observation> {
  const world = await openWorld(place, subject)
  try {
    const findings = await inTime(scenario.play(world, pattern), world)
    await Promise.all(world.server.calls.map((rpc) => rpc.closed))
    await assertCallsCounted(world.client, place.name)
    const adds = new Set(subject.adds?.map((key) => key.toLowerCase()))
    return {
      same: {
        found: findings?.same,
        application: world.rpcs.map((rpc) => applicationView(rpc, adds, !scenario.detailsVary)),
        handlers: scenario.handlersVary ? [] : world.server.calls.map((rpc) => handlerView(rpc, adds)),
        mutations: world.mutations(),
      },
      ...(findings?.atMost && { atMost: findings.atMost }),
    }
  } finally {
    await world.server.stop()
  }
}

const PATIENCE_MS = 8000

/**
 * A call that never ends must fail its test with what is known of it, not run into the runner's own timeout. Only time in which the event
 * loop has nothing to do counts: where the machine is busy, a call takes long and has not hung.
 */
async function inTime<T>(work: Promise<T>, world: World): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const started = performance.now()
  const begin = performance.eventLoopUtilization()
  const late = new Promise<never>((_, reject) => {
    const look = (): void => {
      const left = PATIENCE_MS - (performance.now() - started - performance.eventLoopUtilization(begin).active)
      if (left > 0) {
        timer = setTimeout(look, Math.ceil(left))
        return
      }
      const calls = world.rpcs.map((rpc) => `${rpc.pattern}: ${rpc.events.join(', ') || 'nothing'}`)
      const handlers = world.server.calls.map((rpc) => rpc.events.join(', ') || 'nothing')
      const seen = `the application saw [${calls.join('; ')}], the handlers [${handlers.join('; ')}]`
      reject(new Error(`interceptors on ${world.place.name}: not over after ${PATIENCE_MS} ms without work; ${seen}`))
    }
    timer = setTimeout(look, PATIENCE_MS)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
