import type { RedisClient } from './redis-client.ts'

/** Slots of a cluster (Redis Cluster Specification, "Key distribution model"). */
const SLOTS = 16_384
/** Slots taken together where the client does not tell their node: masters mostly own long runs of slots. */
const RUN = 256

/**
 * Which node of a cluster a client sends commands about a key to, as `host:port`. Where the client does not know, or a proxy
 * hides the cluster: which run of slots the key is in.
 */
export function nodeOf(client: RedisClient, redisKey: string): string {
  const slot = slotOf(redisKey)
  return masterOf(client, slot) ?? `slots ${slot - (slot % RUN)}-${slot - (slot % RUN) + RUN - 1}`
}

/** Both clients keep a list by slot. ioredis: `['host:port' of the master, …]`; node-redis: `{ master: { address } }`. */
export function masterOf(client: RedisClient, slot: number): string | undefined {
  const { slots } = client as { slots?: unknown }
  const owner: unknown = Array.isArray(slots) ? slots[slot] : undefined
  const master: unknown = Array.isArray(owner)
    ? owner[0]
    : (owner as { master?: { address?: unknown } } | undefined)?.master?.address
  return typeof master === 'string' ? master : undefined
}

/** The slot of a key, by what stands in its first braces (hash tag). */
export function slotOf(redisKey: string): number {
  const open = redisKey.indexOf('{')
  const close = open < 0 ? -1 : redisKey.indexOf('}', open)
  const hashed = close > open + 1 ? redisKey.slice(open + 1, close) : redisKey
  let crc = 0
  // CRC-16/XMODEM
  for (const byte of Buffer.from(hashed)) crc = ((crc << 8) ^ (TABLE[(crc >> 8) ^ byte] as number)) & 0xffff
  return crc % SLOTS
}

const TABLE: Uint16Array = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc
})
