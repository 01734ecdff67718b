import type { People } from '../customers/person.ts'
import type { Shop } from '../processes/shop.ts'
import type { Observatory } from '../telemetry/observatory.ts'
import type { Issuer } from '../tokens/issuer.ts'

/** What a step has to work with. */
export interface Stage {
  readonly shop: Shop
  readonly people: People
  readonly issuer: Issuer
  readonly observatory: Observatory
  /** Lets a moment last, where the page may be watched. */
  linger(): Promise<void>
}

/** Two lines a newcomer understands: what happened, and what the interceptors made of it. */
export interface Told {
  readonly happened: string
  readonly seen: string
}

export interface Step {
  readonly name: string
  /** Does what the step says. @throws Error if something did not happen as told. */
  run(stage: Stage): Promise<Told>
}

/** @throws Error with what should have been, if it is not. */
export function expect(holds: boolean, promise: string): asserts holds {
  if (!holds) throw new Error(`not so: ${promise}`)
}

/** Waits for something that is on its way, such as a report from another process. @throws Error if it does not come. */
export async function eventually(holds: () => boolean, promise: string, withinMs = 20_000): Promise<void> {
  const end = performance.now() + withinMs
  while (!holds()) {
    if (performance.now() > end) throw new Error(`not so within ${withinMs} ms: ${promise}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Everything a stream brings. */
export async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of stream) items.push(item)
  return items
}
