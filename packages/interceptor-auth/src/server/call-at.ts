import { LONGEST_TIMEOUT_MS, type WallClock } from '@grpc-stack/grpc-core/authoring'

/** Calls back once `clock.now()` has reached `at`, however far that is. Returns what calls it off. */
export function callAt(clock: WallClock, at: number, callback: () => void): () => void {
  let handle: unknown
  const wait = (): void => {
    const left = at - clock.now()
    if (left <= 0) callback()
    else handle = clock.setTimeout(wait, Math.min(Math.ceil(left), LONGEST_TIMEOUT_MS))
  }
  handle = clock.setTimeout(wait, Math.min(Math.max(0, Math.ceil(at - clock.now())), LONGEST_TIMEOUT_MS))
  return () => clock.clearTimeout(handle)
}
