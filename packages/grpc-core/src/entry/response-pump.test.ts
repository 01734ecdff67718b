import { status as Code } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { gate } from '../../test/greeter.ts'
import { collect, startGreeter, streamFailureOf } from '../../test/greeter-server.ts'
import type { Handlers } from '../index.ts'

const collectGarbage = globalThis.gc as () => void

describe('a generator handler', () => {
  it('keeps no message that the client has taken while the stream goes on', async () => {
    const MANY = 2_000
    const release = gate()
    const sent: WeakRef<object>[] = []
    const message = (): { text: string } => {
      const made = { text: 'x' }
      sent.push(new WeakRef(made))
      return made
    }
    const server = await startGreeter([], {
      greetMany: async function* () {
        for (let i = 0; i < MANY; i++) yield message()
        await release.opened
      },
      chat: function* () {
        for (let i = 0; i < MANY; i++) yield message()
        yield release.opened as never
      },
    } as Handlers<never> as never)
    try {
      for (const open of [() => server.client.greetMany({ name: 'x' }), () => server.client.chat([])]) {
        sent.length = 0
        const call = open()
        const stream = call[Symbol.asyncIterator]()
        for (let i = 0; i < MANY; i++) await stream.next()
        // Twice, and in turns of their own: a WeakRef keeps its object until the turn ends.
        for (let i = 0; i < 2; i++) {
          await new Promise((resolve) => setImmediate(resolve))
          collectGarbage()
        }
        expect(sent.filter((reference) => reference.deref() !== undefined).length).toBeLessThan(MANY / 20)
        call.cancel()
      }
    } finally {
      release.open()
      await server.stop()
    }
  })

  const nulls: Record<string, (finished: () => void) => Handlers<never>> = {
    'an async one': (finished) =>
      ({
        greetMany: async function* () {
          try {
            yield { text: 'first' }
            yield null
          } finally {
            finished()
          }
        },
      }) as never,
    'one that is not async': (finished) =>
      ({
        greetMany: function* () {
          try {
            yield { text: 'first' }
            yield null
          } finally {
            finished()
          }
        },
      }) as never,
    'one that yields a promise of it': (finished) =>
      ({
        greetMany: function* () {
          try {
            yield Promise.resolve(null)
          } finally {
            finished()
          }
        },
      }) as never,
  }
  it.each(Object.entries(nulls))('that yields null ends its RPC and runs its finally: %s', async (_what, handlers) => {
    const finished = gate()
    const server = await startGreeter([], handlers(finished.open) as never)
    try {
      expect(await streamFailureOf(server.client.greetMany({ name: 'x' }))).toMatchObject({
        code: Code.INTERNAL,
        details: 'Internal error',
      })
      await finished.opened
    } finally {
      await server.stop()
    }
  })

  it('that ends the call itself is left there, and runs its finally', async () => {
    const finished = gate()
    const server = await startGreeter([], {
      greetMany: async function* (call) {
        try {
          yield { text: 'first' }
          call.end()
          yield { text: 'too late' }
        } finally {
          finished.open()
        }
      },
    })
    try {
      expect(await collect(server.client.greetMany({ name: 'x' }))).toEqual([{ text: 'first' }])
      await finished.opened
    } finally {
      await server.stop()
    }
  })

  it('whose promises reject ends its RPC', async () => {
    const server = await startGreeter([], {
      chat: function* () {
        yield Promise.reject(new Error('secret')) as never
      },
    })
    try {
      expect(await streamFailureOf(server.client.chat([]))).toMatchObject({ code: Code.INTERNAL })
    } finally {
      await server.stop()
    }
  })
})
