import { ContextVar } from '@grpc-stack/grpc-core'
import { describe, expect, it } from 'vitest'
import {
  aimdLimit,
  byEach,
  byMetadata,
  byPeer,
  byPrincipal,
  concurrencyLimit,
  gradientLimit,
  memoryStore,
  rateLimit,
  throttle,
} from './index.ts'
import { type RedisClient, redisStore } from './redis.ts'

type Make = (options: object) => unknown

const principalVar = new ContextVar<{ subject: string }>('principal')
const client: RedisClient = { evalsha: async () => [], eval: async () => [] }

interface Row {
  readonly make: Make
  /** Left out, these admit no more than anything that could have been meant. */
  readonly asIfAbsent: readonly string[]
  /** Left out, these could admit more than was meant, or admit by something else. */
  readonly refused: readonly string[]
}

const limitRow = {
  asIfAbsent: ['name', 'subject'],
  refused: ['rate', 'perMs', 'burst', 'key', 'cost'],
}

const rows: Record<string, Row> = {
  rateLimit: {
    make: (options) => rateLimit({ rate: 5, ...options }),
    asIfAbsent: [
      ...limitRow.asIfAbsent,
      'onStoreError',
      'storeTimeoutMs',
      'storeRetryMs',
      'rememberRefusals',
      'shadow',
      'headers',
      'code',
      'domain',
      'maxKeys',
      'clock',
    ],
    refused: [...limitRow.refused, 'limits', 'store', 'insuranceShare', 'lease', 'perMessage'],
  },
  'rateLimit: limits[0]': {
    make: (options) => rateLimit({ limits: [{ rate: 5, ...options }] }),
    ...limitRow,
  },
  'rateLimit: perMessage': {
    make: (options) => rateLimit({ rate: 5, perMessage: { rate: 5, ...options } }),
    asIfAbsent: [],
    refused: ['rate', 'perMs', 'burst', 'cost'],
  },
  'rateLimit: lease': {
    make: (options) => rateLimit({ rate: 5, lease: { tokens: 2, ms: 10, ...options } }),
    asIfAbsent: [],
    refused: ['tokens', 'ms'],
  },
  concurrencyLimit: {
    make: (options) => concurrencyLimit({ limit: 5, ...options }),
    asIfAbsent: ['queue', 'queueTimeoutMs', 'code', 'shadow', 'clock'],
    refused: ['limit', 'key'],
  },
  aimdLimit: {
    make: (options) => aimdLimit(options),
    asIfAbsent: ['min'],
    refused: ['initial', 'max', 'backoffRatio', 'timeoutMs'],
  },
  gradientLimit: {
    make: (options) => gradientLimit(options),
    asIfAbsent: ['smoothing', 'windowMs'],
    refused: ['initial', 'min', 'max', 'tolerance', 'queueSize'],
  },
  'throttle, adaptive': {
    make: (options) => throttle(options),
    asIfAbsent: ['windowMs', 'clock', 'random'],
    refused: ['rate', 'k', 'minRejections', 'maxRejection', 'isRejected', 'key'],
  },
  'throttle, with a rate': {
    make: (options) => throttle({ rate: 5, ...options }),
    asIfAbsent: ['clock'],
    refused: ['rate', 'perMs', 'burst', 'cost', 'maxWaitMs', 'maxQueue', 'key'],
  },
  memoryStore: { make: (options) => memoryStore(options), asIfAbsent: ['maxKeys', 'clock'], refused: [] },
  redisStore: {
    make: (options) => redisStore(client, options),
    asIfAbsent: ['prefix', 'cluster'],
    refused: ['waitReplicas'],
  },
  byPeer: {
    make: (options) => byPeer(options),
    asIfAbsent: ['trustedProxies'],
    refused: ['header', 'ipv6Prefix'],
  },
  byMetadata: {
    make: (options) => byMetadata('x-tenant', options),
    asIfAbsent: ['secret'],
    refused: ['otherwise'],
  },
  byPrincipal: {
    make: (options) => byPrincipal(principalVar, options),
    asIfAbsent: [],
    refused: ['otherwise'],
  },
}

/** The options a factory knows, from its error for an unknown one. */
function known(make: Make): readonly string[] {
  try {
    make({ '?': 1 })
  } catch (error) {
    return / known are (.*)$/.exec((error as Error).message)?.[1]?.split(', ') ?? []
  }
  return []
}

describe.each(Object.entries(rows))('an option of %s that is written out and undefined', (_name, row) => {
  const { make, asIfAbsent, refused } = row

  it('is decided about, whichever it is', () => {
    const decided = [...asIfAbsent, ...refused]
    expect(decided.toSorted()).toEqual([...new Set([...known(make), ...decided])].toSorted())
    expect(known(make).length).toBeGreaterThan(0)
  })

  for (const name of asIfAbsent) {
    it(`"${name}" is as if it were left out`, () => {
      expect(() => make({ [name]: undefined })).not.toThrow()
    })
  }

  for (const name of refused) {
    it(`"${name}" is refused, since more could pass than was meant`, () => {
      expect(() => make({ [name]: undefined })).toThrow(TypeError)
      expect(() => make({ [name]: undefined })).toThrow(new RegExp(`option "${name}" must be .*, got undefined`))
    })
  }
})

describe('a list with an undefined entry', () => {
  it('is refused', () => {
    expect(() => rateLimit({ limits: [undefined as never] })).toThrow('limits[0]: options must be an object')
    expect(() => rateLimit({ limits: [{ rate: 5 }, undefined as never] })).toThrow('limits[1]')
    expect(() => byEach(byPeer(), undefined as never)).toThrow('byEach: part 1 must be a function')
    expect(() => byPeer({ trustedProxies: [undefined as never] })).toThrow('trustedProxies"[0] must be an address')
  })
})

describe('an option that belongs to one limit, beside "limits"', () => {
  it.each(['rate', 'perMs', 'burst', 'key', 'cost'])('"%s" is refused even where it is undefined', (name) => {
    expect(() => rateLimit({ limits: [{ rate: 5 }], [name]: undefined })).toThrow(`"limits" and "${name}" exclude`)
  })
})
