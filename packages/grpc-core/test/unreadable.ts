import { status as Code, Metadata } from '@grpc/grpc-js'
import { RpcError } from '../src/index.ts'

const error = (members: object): Error => Object.assign(new Error('secret'), members)

const fail = (): never => {
  throw new Error('secret')
}

const throwing = (...members: string[]): object => {
  const odd = {}
  for (const member of members) {
    Object.defineProperty(odd, member, {
      enumerable: true,
      get: () => {
        throw new Error('secret')
      },
    })
  }
  return odd
}
const revoked = (target: object): object => {
  const { proxy, revoke } = Proxy.revocable(target, {})
  revoke()
  return proxy
}
const trapped = (target: object): object =>
  new Proxy(target, {
    get: () => {
      throw new Error('secret')
    },
    has: () => {
      throw new Error('secret')
    },
    getPrototypeOf: () => {
      throw new Error('secret')
    },
  })

/** What may be thrown, or given in the place of a status, that is hard to look at. None has anything a peer may see. */
export const unreadable: Record<string, () => unknown> = {
  'a code that throws': () => throwing('code'),
  'details that throw': () => Object.assign(throwing('details'), { code: 5 }),
  'metadata that throw': () => Object.assign(throwing('metadata'), { code: 5, details: 'secret' }),
  'an error whose message throws': () => {
    const odd = new Error('secret')
    void odd.stack // made before there is a message that throws
    return Object.defineProperties(odd, Object.getOwnPropertyDescriptors(throwing('message')))
  },
  'an RpcError whose members throw': () =>
    Object.defineProperties(
      new RpcError(Code.NOT_FOUND),
      Object.getOwnPropertyDescriptors(throwing('code', 'details', 'metadata')),
    ),
  'an object without a prototype or members': () => Object.create(null),
  'a message without a text': () => ({ message: Object.create(null) }),
  'details without a text': () => ({ code: 5, details: Object.create(null) }),
  'a symbol': () => Symbol('secret'),
  'a revoked proxy': () => revoked({}),
  'a revoked proxy of an error': () => revoked(error({})),
  'a proxy that traps everything': () => trapped(new RpcError(Code.NOT_FOUND)),
  'metadata that are a revoked proxy': () => error({ code: 5, details: 'secret', metadata: revoked({}) }),
  'metadata that cannot be copied': () =>
    error({
      code: 5,
      details: 'secret',
      metadata: Object.assign(new Metadata(), { clone: fail, getMap: fail, toHttp2Headers: fail }),
    }),
}
