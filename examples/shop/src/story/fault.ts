import type { ServiceName } from '../services/service.ts'
import type { Stage } from './step.ts'

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
