/** One turn of the event loop. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn()
}

export const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Waits until the condition holds; false if it does not within `ms`. */
export async function until(condition: () => boolean, ms: number): Promise<boolean> {
  const end = performance.now() + ms
  for (let i = 0; !condition(); i++) {
    if (performance.now() > end) return condition()
    // Spinning turns keep short waits short; longer ones leave the processor to others.
    if (i < 200) await turn()
    else await delay(1)
  }
  return true
}
