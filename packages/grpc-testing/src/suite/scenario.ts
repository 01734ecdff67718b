import { patterns, type TestPattern } from '../test-service.ts'
import type { World } from './world.ts'

/** What a scenario wants compared besides the application's and the handlers' views. */
export interface Findings {
  /** Facts that must be the same with interceptors. */
  readonly same?: unknown
  /** Amounts that may not grow. */
  readonly atMost?: Readonly<Record<string, number>>
}

/** Something an application may do. Played once without interceptors and once with them in each place. */
export interface Scenario {
  readonly name: string
  /** Default: all four. */
  readonly patterns?: readonly TestPattern[]
  /** grpc-js's own words vary from run to run: only codes are compared. */
  readonly detailsVary?: boolean
  /** How far the server got varies from run to run: handlers are not compared. */
  readonly handlersVary?: boolean
  play(world: World, pattern: TestPattern): Promise<Findings | void>
}

export const requestStreams: readonly TestPattern[] = ['clientStream', 'bidi']
export const responseStreams: readonly TestPattern[] = ['serverStream', 'bidi']

export const patternsOf = (scenario: Scenario): readonly TestPattern[] => scenario.patterns ?? patterns

/** The usual requests: one where one is due, else three. */
export const someRequests = (pattern: TestPattern): { text: string; n: number }[] =>
  requestStreams.includes(pattern) ? ['a', 'b', 'c'].map((text) => ({ text, n: 3 })) : [{ text: 'a', n: 3 }]
