import { taken, type Variant, type VariantName } from './variant.ts'

/** Loads one variant and nothing of the others: a library that is merely imported can change what a process costs. */
export async function loadVariant(name: VariantName): Promise<Variant> {
  const { base } = taken(name)
  switch (base) {
    case 'bare':
      return (await import('./native.ts')).bare
    case 'native-passthrough-8':
      return (await import('./native.ts')).nativePassThrough8
    case 'ours-0':
      return (await import('./ours.ts')).ours0
    case 'ours-passthrough-8':
      return (await import('./ours.ts')).oursPassThrough8
    case 'ours-passthrough-8-async':
      return (await import('./ours.ts')).oursPassThrough8Async
    case 'ours-observers':
      return (await import('./ours-observers.ts')).oursObservers
    case 'ours-full':
      return (await import('./ours-full.ts')).oursFull
    case 'full-by-hand':
      return (await import('./full-by-hand.ts')).fullByHand
    case 'nice-grpc-passthrough-8':
      return (await import('./nice-grpc.ts')).nicePassThrough8
    case 'nice-grpc-full':
      return (await import('./nice-grpc-full.ts')).niceFull
    case 'connect-node-passthrough-8':
      return (await import('./connect-peer.ts')).connectPassThrough8
    case 'bare-in-a-context':
      return (await import('./bare-in-a-context.ts')).bareInAContext
    case 'bare-traced-by-hand':
      return (await import('./bare-traced-by-hand.ts')).bareTracedByHand
    case 'instrumentation-grpc':
      return (await import('./instrumentation-grpc.ts')).instrumentationGrpc
    default:
      throw new TypeError(`bench: no variant "${base}"`)
  }
}
