import { openNice, passThroughClient, passThroughServer, serveNice } from './nice-grpc-peer.ts'
import type { Variant } from './variant.ts'

const eight = <T>(item: T): T[] => Array.from({ length: 8 }, () => item)

export const nicePassThrough8: Variant = {
  startServer: () => serveNice(eight(passThroughServer)),
  openClient: (port) => openNice(port, eight(passThroughClient)),
}
