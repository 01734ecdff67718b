import type { Shop } from '../processes/shop.ts'
import type { Customer } from './customer.ts'

/** Two lines a newcomer understands: what happened, and what the interceptors made of it. */
export interface Told {
  readonly happened: string
  readonly seen: string
}

export interface Stage {
  readonly shop: Shop
  /** Someone with these rights. */
  as(subject: string, role?: string): Customer
}

export interface Step {
  readonly name: string
  /** Does what the step says. @throws if something did not happen as told. */
  run(stage: Stage): Promise<Told>
}

/** @throws Error with what should have been, if it is not. */
export function expect(holds: boolean, promise: string): asserts holds {
  if (!holds) throw new Error(promise)
}

/** Waits for something that is on its way, such as a report from another process. */
export async function eventually(holds: () => boolean, promise: string, withinMs = 2000): Promise<void> {
  const end = performance.now() + withinMs
  while (!holds()) {
    if (performance.now() > end) throw new Error(promise)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Everything a stream brings. */
export async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of stream) items.push(item)
  return items
}
