import { integer, OptionKind } from '@grpc-stack/grpc-core/authoring'
import { MAX_METHODS } from './method-table.ts'

/** Upper bounds of the buckets of a histogram. */
export const bucketBounds: OptionKind<readonly number[]> = new OptionKind(
  ['a list of ascending positive numbers'],
  Array.isArray,
  (bounds: readonly unknown[], _place, refuse) => {
    let below = 0
    const copy: number[] = []
    for (const bound of bounds) {
      if (typeof bound !== 'number' || !Number.isFinite(bound) || bound <= below) throw refuse(bounds)
      below = bound
      copy.push(bound)
    }
    if (copy.length === 0) throw refuse(bounds)
    return copy
  },
)

/** How many methods are told apart. */
export const maxMethods: OptionKind<number> = integer({ min: 1 }).default(MAX_METHODS)
