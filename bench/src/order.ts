import { fileURLToPath } from 'node:url'
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader'

/** With the options of grpc.io's guide for Node, but for the case of names. */
const loaded = loadSync(fileURLToPath(new URL('../order.proto', import.meta.url)), {
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
})
const Order = loaded['bench.v1.Order'] as MessageTypeDefinition<object, object>

export const serialize: (message: object) => Buffer = Order.serialize
export const deserialize: (bytes: Buffer) => object = Order.deserialize
/** The file that Order is in, for libraries with a codec of their own. */
export const descriptor: Buffer = Order.fileDescriptorProtos[0] as Buffer

const order = (lines: number): object => ({
  id: 'order-2f1c9a54-77d0-4b5e-9a43-0d6b8c1e55aa',
  customerId: 'customer-8c41d0f2',
  state: 'STATE_PAID',
  createdAtMs: '1767225600000',
  currency: 'EUR',
  totalCents: '129900',
  weightKg: 12.75,
  gift: true,
  note: 'Please leave the parcel with the neighbours on the second floor if nobody answers.',
  shipTo: { name: 'Ada Example', street: 'Long Street 12', city: 'Oslo', postalCode: '0150', country: 'NO' },
  lines: Array.from({ length: lines }, (_, i) => ({
    sku: `sku-${100_000 + i}`,
    title: `Article ${i}, with a name as long as names of articles are`,
    quantity: (i % 5) + 1,
    priceCents: String(1_000 + i * 37),
  })),
  labels: { channel: 'web', campaign: 'winter', warehouse: 'north-3', tier: 'gold' },
  coupons: ['WELCOME-10', 'FREE-SHIPPING'],
})

/** About 1 KB. */
export const SMALL: object = order(9)
/** About 64 KiB. */
export const LARGE: object = order(800)
