/** How long a circuit stays open. */
export interface OpenTime {
  /** The first time, ms. */
  readonly openMs: number
  /** Never longer than this, ms. */
  readonly maxOpenMs: number
  /** Each time in a row is this many times longer. */
  readonly openMultiplier: number
  /** Chance takes off up to this share, so that a fleet does not come back in step. */
  readonly openJitter: number
}

/** @param opening how many times in a row the circuit has opened without closing, this one included */
export function openTimeMs(time: OpenTime, opening: number, random: () => number): number {
  const longest = Math.min(time.openMs * time.openMultiplier ** (opening - 1), time.maxOpenMs)
  return longest * (1 - time.openJitter * random())
}
