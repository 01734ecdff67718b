import { status as Code } from '@grpc/grpc-js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Call, Interceptor, Next, Recovery } from '../contract/call.ts'
import { RpcError } from '../contract/rpc-error.ts'
import { LocalStatus, type Status } from '../contract/status.ts'
import { StackRun, type Terminal } from './stack-run.ts'

const OK: Status = new LocalStatus({ code: Code.OK })
const statusOf = (code: number): Status => new LocalStatus({ code })
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** An RPC proper of the test's own: it ends when and as the test says. */
class Rpc {
  readonly side = 'client' as const
  readonly run: StackRun
  readonly finished: Status[] = []
  /** Indexes of the layers a status came out to. */
  readonly statusesReached: number[] = []
  begun = 0
  /** Ends that come at once; when there are none left, the test ends the RPC by `end`. */
  readonly atOnce: Status[]
  readonly #repeats: boolean
  #resolve: ((status: Status) => void) | undefined

  constructor(
    stack: readonly Interceptor[],
    { atOnce = [], repeats = true }: { atOnce?: Status[]; repeats?: boolean } = {},
  ) {
    this.atOnce = atOnce
    this.#repeats = repeats
    // The members of a call that a run does not use are left out.
    this.run = new StackRun(this as unknown as Terminal, stack)
  }

  recover(next: Next, recovery: Recovery): Promise<Status> {
    return this.run.recover(next, recovery)
  }

  onStatus(tap: (status: Status) => void): void {
    this.run.observed.addStatus(this.run.acting, tap)
  }

  begin(): Promise<Status> {
    this.begun++
    const status = this.atOnce.shift()
    if (status !== undefined) return this.run.endedAtOnce(status)
    return new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  /** The RPC proper ends by an event of its own. */
  end(status: Status): void {
    const resolve = this.#resolve
    this.run.ended(status, true)
    resolve?.(status)
  }

  opens(index: number, again: boolean): Status | undefined {
    if (again && !this.#repeats) return this.run.misuse(index, 'called next() again')
    if (again) this.run.abandonInside(index)
    return undefined
  }

  mayRepeat(): boolean {
    return this.#repeats
  }

  reached(index: number): void {
    this.statusesReached.push(index)
  }
  abortInside(): void {}

  complete(status: Status): Status {
    return status
  }

  counted(status: Status): Status {
    return status
  }

  finish(status: Status): void {
    this.finished.push(status)
  }

  get code(): number | undefined {
    return this.finished[0]?.code
  }
}

const asRpc = (call: Call): Rpc => call as unknown as Rpc

/** A layer under the test's control, and what its `next()` resolved to. */
class Subject {
  next!: Next
  call!: Rpc
  readonly heard: (number | string)[] = []
  answer!: (status: Status) => void
  #kind: Kind

  constructor(kind: Kind) {
    this.#kind = kind
  }

  readonly interceptor: Interceptor = (call, next) => {
    this.call = asRpc(call)
    this.next = () => {
      const promise = next()
      void promise.then(({ code }) => this.heard.push(code))
      return promise
    }
    call.onStatus(({ code }) => this.heard.push(`tap ${code}`))
    switch (this.#kind) {
      case 'passing':
        return next()
      case 'pending':
        void this.next()
        return new Promise<Status>((resolve) => {
          this.answer = resolve
        })
      case 'recovering':
        return call.recover(next, (status) => {
          this.heard.push(`recovery ${status.code}`)
          return new Promise<Status>((resolve) => {
            this.answer = resolve
          })
        })
      case 'settled':
        void this.next()
        return statusOf(Code.ABORTED)
    }
  }
}

type Kind = 'passing' | 'pending' | 'recovering' | 'settled'

async function started(kind: Kind, options?: ConstructorParameters<typeof Rpc>[1]): Promise<[Rpc, Subject]> {
  const subject = new Subject(kind)
  const rpc = new Rpc([subject.interceptor], options)
  rpc.run.start()
  await turn()
  return [rpc, subject]
}

describe('the table of StackRun: what is inside ends', () => {
  it('passing: the status travels on, and its tap hears it, within the event', async () => {
    const [rpc, { heard }] = await started('passing')
    rpc.end(statusOf(Code.NOT_FOUND))
    expect(rpc.code).toBe(Code.NOT_FOUND)
    expect(heard).toEqual([`tap ${Code.NOT_FOUND}`])
  })

  it('pending: its next() resolves, and the run waits for its answer', async () => {
    const [rpc, subject] = await started('pending')
    rpc.end(statusOf(Code.NOT_FOUND))
    await turn()
    expect(subject.heard).toEqual([`tap ${Code.NOT_FOUND}`, Code.NOT_FOUND])
    expect(rpc.finished).toEqual([])
    subject.answer(OK)
    await turn()
    expect(rpc.code).toBe(Code.OK)
  })

  it('recovering: its recovery is asked within the event, and the run waits for what it promises', async () => {
    const [rpc, subject] = await started('recovering')
    rpc.end(statusOf(Code.NOT_FOUND))
    expect(subject.heard).toEqual([`tap ${Code.NOT_FOUND}`, `recovery ${Code.NOT_FOUND}`])
    expect(rpc.finished).toEqual([])
    subject.answer(OK)
    await turn()
    expect(rpc.code).toBe(Code.OK)
  })

  it('running: the end waits until the interceptor has returned', () => {
    const order: string[] = []
    const rpc = new Rpc(
      [
        (_call, next) => {
          const status = next()
          order.push('after next()')
          return status
        },
      ],
      { atOnce: [statusOf(Code.NOT_FOUND)] },
    )
    rpc.finish = (status) => {
      order.push(`finished ${status.code}`)
    }
    rpc.run.start()
    expect(order).toEqual(['after next()', `finished ${Code.NOT_FOUND}`])
  })

  it('settled: nothing comes of it', async () => {
    const [rpc] = await started('settled')
    expect(rpc.code).toBe(Code.ABORTED)
    rpc.end(OK)
    expect(rpc.finished).toHaveLength(1)
  })
})

describe('the table of StackRun: an interceptor answers', () => {
  it.each([
    ['its next()', (_call, next) => next(), Code.NOT_FOUND],
    ['a status', () => statusOf(Code.ABORTED), Code.ABORTED],
    ['a promise of its own', async () => statusOf(Code.ABORTED), Code.ABORTED],
    [
      'the promise of recover, which lets the status be',
      (call, next) => call.recover(next, () => undefined),
      Code.NOT_FOUND,
    ],
    ['the promise of recover, which replaces it', (call, next) => call.recover(next, () => OK), Code.OK],
    ['no status', () => 5 as unknown as Status, Code.INTERNAL],
    ['the promise of no status', async () => ({}) as Status, Code.INTERNAL],
  ] as [string, Interceptor, number][])('with %s', async (_what, interceptor, code) => {
    const rpc = new Rpc([interceptor])
    rpc.run.start()
    if (rpc.begun === 1) rpc.end(statusOf(Code.NOT_FOUND))
    await turn()
    expect(rpc.finished.map((status) => status.code)).toEqual([code])
  })

  it.each([
    ['an RpcError', new RpcError(Code.DATA_LOSS), Code.DATA_LOSS],
    ['anything else', new Error('secret'), Code.INTERNAL],
  ])('by throwing %s', async (_what, error, code) => {
    const thrown = new Rpc([
      () => {
        throw error
      },
    ])
    thrown.run.start()
    const rejected = new Rpc([() => Promise.reject(error)])
    rejected.run.start()
    await turn()
    expect([thrown.code, rejected.code]).toEqual([code, code])
  })
})

describe('the table of StackRun: an interceptor calls next()', () => {
  it.each(['pending', 'recovering', 'passing'] as const)('%s: again, if it may', async (kind) => {
    const [rpc, subject] = await started(kind)
    void subject.next()
    expect(rpc.begun).toBe(2)
  })

  it.each(['pending', 'recovering', 'passing'] as const)('%s: resolves to the misuse, if it may not', async (kind) => {
    const [rpc, subject] = await started(kind, { repeats: false })
    expect((await subject.next()).code).toBe(Code.INTERNAL)
    expect(rpc.begun).toBe(1)
  })

  it('settled: starts nothing and resolves to INTERNAL', async () => {
    const [rpc, subject] = await started('settled')
    expect((await subject.next()).code).toBe(Code.INTERNAL)
    expect(rpc.begun).toBe(1)
  })

  it('abandoned: resolves to the status it was abandoned with', async () => {
    const inner = new Subject('pending')
    const outer: Interceptor = (_call, next) => {
      void next()
      return statusOf(Code.ABORTED)
    }
    const rpc = new Rpc([outer, inner.interceptor])
    rpc.run.start()
    expect(rpc.code).toBe(Code.ABORTED)
    expect((await inner.next()).code).toBe(Code.CANCELLED)
    expect(rpc.begun).toBe(1)
  })
})

describe('the table of StackRun: a cancel or a deadline decides', () => {
  it.each(['pending', 'recovering'] as const)('%s: the run speaks for a layer that hangs', async (kind) => {
    const [rpc, subject] = await started(kind)
    rpc.run.decide(statusOf(Code.CANCELLED), -1)
    expect(rpc.finished).toEqual([])
    await turn()
    await turn()
    expect(rpc.code).toBe(Code.CANCELLED)
    expect((await subject.next()).code).toBe(Code.CANCELLED)
  })

  it('innermost first, one turn each, so that a layer outside can still react', async () => {
    const hanging = new Subject('pending')
    const reacting: Interceptor = async (_call, next) => {
      const { code } = await next()
      return statusOf(code === Code.CANCELLED ? Code.ABORTED : code)
    }
    const rpc = new Rpc([reacting, hanging.interceptor])
    rpc.run.start()
    rpc.run.decide(statusOf(Code.CANCELLED), -1)
    for (let i = 0; i < 4; i++) await turn()
    expect(rpc.finished.map((status) => status.code)).toEqual([Code.ABORTED])
  })

  it('blocks what is inside: a next() resolves to its status and starts nothing', async () => {
    let late: Next = () => Promise.resolve(OK)
    const holding: Interceptor = (_call, next) => {
      late = next
      return new Promise(() => undefined)
    }
    const rpc = new Rpc([holding])
    rpc.run.start()
    rpc.run.decide(statusOf(Code.DEADLINE_EXCEEDED), -1)
    expect((await late()).code).toBe(Code.DEADLINE_EXCEEDED)
    expect(rpc.begun).toBe(0)
  })
})

describe('the table of StackRun: an outer layer goes on without what it let run', () => {
  it.each(['pending', 'recovering', 'passing'] as const)('%s: hears of it and changes nothing', async (kind) => {
    const inner = new Subject(kind)
    const outer: Interceptor = (_call, next) => {
      void next()
      return statusOf(Code.ABORTED)
    }
    const rpc = new Rpc([outer, inner.interceptor])
    rpc.run.start()
    await turn()
    inner.answer?.(OK)
    await turn()
    expect(rpc.finished.map((status) => status.code)).toEqual([Code.ABORTED])
    expect(inner.heard).toContain(`tap ${Code.CANCELLED}`)
  })
})

describe('a run that is repeated while something of the first time still hangs', () => {
  it('lets what hangs there neither end the second time nor be asked about it', async () => {
    const hanging = new Subject('pending')
    const asked: number[] = []
    const impatient: Interceptor = (_call, next) => {
      void next()
      return statusOf(Code.UNAVAILABLE)
    }
    const settled = new Subject('pending')
    let times = 0
    const repeating: Interceptor = (call, next) =>
      call.recover(next, ({ code }) => {
        asked.push(code)
        return next()
      })
    const inside: Interceptor = (call, next) =>
      times++ === 0 ? impatient(call, next) : settled.interceptor(call, next)
    const late: Interceptor = async (_call, next) => {
      await turn()
      return await next()
    }
    const rpc = new Rpc([repeating, late, inside, hanging.interceptor])
    rpc.run.start()
    await turn()
    const answerOfFirst = hanging.answer
    for (let i = 0; i < 4; i++) await turn()
    expect(asked).toEqual([Code.UNAVAILABLE])
    answerOfFirst(statusOf(Code.DATA_LOSS))
    await turn()
    // The status of the first time, to both layers that waited for it; nothing of what hung.
    expect(rpc.statusesReached).toEqual([1, 0])
    expect(rpc.finished).toEqual([])
    settled.answer(OK)
    await turn()
    expect(rpc.finished.map((status) => status.code)).toEqual([Code.OK])
    expect(asked).toEqual([Code.UNAVAILABLE])
  })

  it('ends once, by what the outermost says, if it is ended while interceptors are entered', async () => {
    const ending: Interceptor = (call, next) => {
      const { run } = asRpc(call)
      run.block = { outside: -1, status: statusOf(Code.CANCELLED) }
      run.ended(statusOf(Code.CANCELLED), true)
      return next()
    }
    const mapping: Interceptor = (_call, next) => {
      void next()
      return statusOf(Code.ABORTED)
    }
    const rpc = new Rpc([mapping, ending])
    rpc.run.start()
    await turn()
    expect(rpc.finished.map((status) => status.code)).toEqual([Code.ABORTED])
    expect(rpc.begun).toBe(0)
  })
})

/** What an interceptor of the model does, and how often it runs what is inside of it. */
type Move =
  | { readonly kind: 'pass' }
  | { readonly kind: 'refuse'; readonly code: number }
  | { readonly kind: 'await'; readonly before: number; readonly after: number; readonly map: number | undefined }
  | { readonly kind: 'recover'; readonly map: number | undefined; readonly later: boolean }
  | { readonly kind: 'repeat'; readonly times: number; readonly recovering: boolean }
  | { readonly kind: 'throw'; readonly after: boolean }

const turns = async (n: number): Promise<void> => {
  for (let i = 0; i < n; i++) await turn()
}

function interceptorOf(move: Move, heard: number[]): Interceptor {
  const note = (status: Status): Status => {
    heard.push(status.code)
    return status
  }
  switch (move.kind) {
    case 'pass':
      return (call, next) => {
        call.onStatus(note)
        return next()
      }
    case 'refuse':
      return () => statusOf(move.code)
    case 'await':
      return async (_call, next) => {
        if (move.before > 0) await turns(move.before)
        const status = note(await next())
        if (move.after > 0) await turns(move.after)
        return move.map === undefined ? status : statusOf(move.map)
      }
    case 'recover':
      return (call, next) =>
        call.recover(next, (status) => {
          note(status)
          const answer = move.map === undefined ? undefined : statusOf(move.map)
          return move.later && answer !== undefined ? turns(1).then(() => answer) : answer
        })
    case 'repeat':
      return move.recovering
        ? (call, next) => {
            let left = move.times
            const again: Recovery = async (status) => {
              note(status)
              while (status.code !== Code.OK && left-- > 0) status = note(await next())
              return status
            }
            return call.recover(next, again)
          }
        : async (_call, next) => {
            let status = note(await next())
            for (let left = move.times; status.code !== Code.OK && left > 0; left--) status = note(await next())
            return status
          }
    case 'throw':
      return async (_call, next) => {
        if (move.after) note(await next())
        throw new RpcError(Code.DATA_LOSS)
      }
  }
}

/** The same as nested async functions, which is what the contract says in the first place. */
async function modelOf(moves: readonly Move[], ends: Status[], heard: number[][]): Promise<number> {
  const enter = async (i: number): Promise<Status> => {
    const move = moves[i]
    if (move === undefined) return ends.shift() ?? OK
    const note = (status: Status): Status => {
      heard[i]?.push(status.code)
      return status
    }
    switch (move.kind) {
      case 'pass':
        return note(await enter(i + 1))
      case 'refuse':
        return statusOf(move.code)
      case 'await':
      case 'recover': {
        const status = note(await enter(i + 1))
        return move.map === undefined ? status : statusOf(move.map)
      }
      case 'repeat': {
        let status = note(await enter(i + 1))
        for (let left = move.times; status.code !== Code.OK && left > 0; left--) status = note(await enter(i + 1))
        return status
      }
      case 'throw':
        if (move.after) note(await enter(i + 1))
        return statusOf(Code.DATA_LOSS)
    }
  }
  return (await enter(0)).code
}

const code = fc.integer({ min: 1, max: 16 })
const move: fc.Arbitrary<Move> = fc.oneof(
  fc.constant<Move>({ kind: 'pass' }),
  fc.record({ kind: fc.constant('refuse' as const), code }),
  fc.record({
    kind: fc.constant('await' as const),
    before: fc.nat(2),
    after: fc.nat(2),
    map: fc.option(fc.nat(16), { nil: undefined }),
  }),
  fc.record({
    kind: fc.constant('recover' as const),
    map: fc.option(fc.nat(16), { nil: undefined }),
    later: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('repeat' as const), times: fc.nat(2), recovering: fc.boolean() }),
  fc.record({ kind: fc.constant('throw' as const), after: fc.boolean() }),
)

describe('a run of random interceptors', () => {
  it('comes to what the same as nested async functions come to, whenever the RPC proper ends', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(move, { maxLength: 6 }),
        fc.array(fc.record({ code: fc.nat(16), later: fc.boolean() }), { maxLength: 8 }),
        async (moves, ends) => {
          const heard = moves.map((): number[] => [])
          const rpc = new Rpc(moves.map((one, i) => interceptorOf(one, heard[i] as number[])))
          const left = [...ends]
          rpc.begin = () => {
            rpc.begun++
            const end = left.shift() ?? { code: Code.OK, later: false }
            if (!end.later) return rpc.run.endedAtOnce(statusOf(end.code))
            return new Promise((resolve) => {
              setImmediate(() => {
                rpc.run.ended(statusOf(end.code), true)
                resolve(statusOf(end.code))
              })
            })
          }
          rpc.run.start()
          for (let i = 0; rpc.finished.length === 0 && i < 500; i++) await turn()
          const expected = moves.map((): number[] => [])
          const model = await modelOf(
            moves,
            ends.map((end) => statusOf(end.code)),
            expected,
          )
          expect(rpc.finished.map((status) => status.code)).toEqual([model])
          expect(heard).toEqual(expected)
        },
      ),
      { numRuns: 300 },
    )
  })
})
