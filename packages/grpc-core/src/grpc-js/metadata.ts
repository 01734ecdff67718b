import { Metadata } from '@grpc/grpc-js'

export function newMetadata(): Metadata {
  return new Metadata()
}

/** A copy of `base` in which the keys of `over` have the values of `over`. Neither is changed. */
export function mergeOver(base: Metadata | null | undefined, over: Metadata): Metadata {
  const merged = base?.clone() ?? new Metadata()
  for (const key of Object.keys(over.getMap())) merged.remove(key)
  merged.merge(over)
  return merged
}
