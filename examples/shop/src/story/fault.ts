import type { ServiceName } from '../services/service.ts'
import { eventually, type Stage } from './step.ts'

const none = { failOfTen: 0, delayMs: 0 }

/** Lets a service misbehave for as long as `run` takes. */
export async function withFault<T>(
  { people }: Stage,
  service: ServiceName,
  fault: Partial<typeof none>,
  run: () => Promise<T>,
): Promise<T> {
  const operations = people.get('operator-1', 'operator').operations(service)
  await operations.setFault({ ...none, ...fault })
  try {
    return await run()
  } finally {
    await operations.setFault(none)
  }
}

/** Waits until a request hangs in a service that was told to be slow. */
export async function heldUp({ observatory }: Stage, service: ServiceName, requestId: string): Promise<void> {
  await eventually(
    () => observatory.events.some(({ place, detail }) => place === service && detail.requestId === requestId),
    `the request is under way in ${service}`,
  )
}
