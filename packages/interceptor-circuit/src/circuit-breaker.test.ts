import { status as Code, Metadata } from '@grpc/grpc-js'
import { type ClientCall, type Interceptor, select } from '@grpc-stack/grpc-core'
import {
  type Behaviour,
  echo,
  endWith,
  FakeClock,
  failing,
  Gate,
  heldBy,
  manual,
  patterns,
  runRpc,
  settle,
  startRpc,
  startTestServer,
  TestClient,
  type TestServer,
} from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { circuitBreaker, consecutive, countWindow, type StateChangeEvent, timeWindow } from './index.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.stop())

const SERVICE = 'grpcstack.testing.Test'
const down = endWith({ code: Code.UNAVAILABLE, details: 'down' })
// Time stands still unless a test moves it: what is open stays open, however slow the machine.
const opensAfter = (failures: number) => ({ policy: consecutive(failures), openJitter: 0, clock: new FakeClock() })

describe.each(patterns)('circuitBreaker, %s', (pattern) => {
  // reference: sentence 40
  it('opens, refuses without a call to the server, probes, and closes', async () => {
    const clock = new FakeClock()
    const breaker = circuitBreaker({ ...opensAfter(3), openMs: 1000, halfOpenPermits: 2, clock })
    const client = server.client(breaker)
    const call = async (behaviour: Behaviour) =>
      (await runRpc(client, pattern, { metadata: server.behave(behaviour) })).status?.code
    for (let i = 0; i < 3; i++) expect(await call(down)).toBe(Code.UNAVAILABLE)
    expect(breaker.state(SERVICE)).toBe('open')
    const before = server.calls.length
    const refused = await runRpc(client, pattern)
    expect(refused.error).toMatchObject({ code: Code.UNAVAILABLE, origin: 'local', refusedBy: 'circuitBreaker' })
    expect(server.calls.length).toBe(before)
    clock.jump(1000)
    expect(breaker.state(SERVICE)).toBe('half-open')
    expect([await call(echo), breaker.state(SERVICE)]).toEqual([Code.OK, 'half-open'])
    expect([await call(echo), breaker.state(SERVICE)]).toEqual([Code.OK, 'closed'])
  })

  it('refuses in the shape of a trailers-only answer, with the time to wait as RetryInfo', async () => {
    const clock = new FakeClock()
    const breaker = circuitBreaker({ ...opensAfter(1), openMs: 2500, clock })
    const client = server.client(breaker)
    await runRpc(client, pattern, { metadata: server.behave(down) })
    clock.jump(1000)
    const { error, events, messages } = await runRpc(client, pattern)
    expect(events).not.toContain('metadata')
    expect(messages).toEqual([])
    expect(error?.details).toBe(`Circuit ${SERVICE} is open; next probe in 1500 ms`)
    const [details] = error?.metadata.get('grpc-status-details-bin') ?? []
    // google.rpc.Status { details: [Any { value: RetryInfo { retry_delay: { seconds: 1, nanos: 500000000 } } }] }
    expect((details as Buffer).subarray(-12).toString('hex')).toBe('120a0a0808011080cab5ee01')
    expect((details as Buffer).includes('type.googleapis.com/google.rpc.RetryInfo')).toBe(true)
  })

  it('only observes, if asked to: tells what it would refuse', async () => {
    const clock = new FakeClock()
    const breaker = circuitBreaker({ ...opensAfter(1), clock, observeOnly: true, successesToClose: 1 })
    const refusals: unknown[] = []
    const changes: string[] = []
    breaker.on('refusal', ({ key, retryInMs, call }) => refusals.push([key, retryInMs, call.method.pattern]))
    breaker.on('stateChange', ({ to }) => changes.push(to))
    const client = server.client(breaker)
    await runRpc(client, pattern, { metadata: server.behave(down) })
    for (let i = 0; i < 2; i++) expect((await runRpc(client, pattern)).status?.code).toBe(Code.OK)
    expect(refusals).toEqual([
      [SERVICE, 1000, pattern],
      [SERVICE, 1000, pattern],
    ])
    clock.jump(1000)
    await runRpc(client, pattern)
    expect(changes).toEqual(['open', 'half-open', 'closed'])
  })

  it('gives the permit of a probe back that the caller cancels', async () => {
    const clock = new FakeClock()
    const breaker = circuitBreaker({ ...opensAfter(1), openMs: 0, halfOpenPermits: 1, clock })
    const client = server.client(breaker)
    await runRpc(client, pattern, { metadata: server.behave(down) })
    for (let i = 0; i < 3; i++) {
      const at = server.calls.length
      const probe = startRpc(client, pattern, { metadata: server.behave(manual) })
      await server.received(at)
      expect(breaker.snapshot(SERVICE)).toMatchObject({ state: 'half-open', probes: 1 })
      expect((await runRpc(client, pattern)).error).toMatchObject({ refusedBy: 'circuitBreaker' })
      probe.cancel()
      await probe.done
      expect(breaker.snapshot(SERVICE)).toMatchObject({ state: 'half-open', probes: 0 })
    }
    await runRpc(client, pattern)
    expect(breaker.state(SERVICE)).toBe('closed')
  })

  it('drops the late result of a call made before', async () => {
    const clock = new FakeClock()
    const breaker = circuitBreaker({ ...opensAfter(1), openMs: 1000, clock })
    const client = server.client(breaker)
    const gate = new Gate()
    const at = server.calls.length
    const slow = startRpc(client, pattern, { requests: [{}], metadata: server.behave(heldBy(gate, down)) })
    await server.received(at)
    await runRpc(client, pattern, { metadata: server.behave(down) })
    clock.jump(1000)
    await runRpc(client, pattern)
    gate.open()
    await slow.done
    expect(breaker.snapshot(SERVICE)).toMatchObject({ state: 'half-open', openings: 1 })
  })
})

describe('what counts', () => {
  const trips = async (code: Code, isFailure?: (status: { code: Code }) => boolean | undefined) => {
    const breaker = circuitBreaker({ ...opensAfter(1), ...(isFailure && { isFailure }) })
    await runRpc(server.client(breaker), 'unary', { metadata: server.behave(endWith({ code, details: 'x' })) })
    return breaker.state(SERVICE) === 'open'
  }

  const codes = Object.values(Code).filter((code): code is Code => typeof code === 'number' && code !== Code.OK)
  const failures = [Code.UNAVAILABLE, Code.INTERNAL, Code.UNKNOWN, Code.DEADLINE_EXCEEDED, Code.DATA_LOSS]
  it.each(codes.map((code) => [Code[code], code, failures.includes(code)] as const))(
    '%s from the server',
    async (_name, code, fails) => {
      expect(await trips(code)).toBe(fails)
    },
  )

  it.each([Code.CANCELLED, Code.RESOURCE_EXHAUSTED, Code.UNIMPLEMENTED, Code.NOT_FOUND])(
    'code %i neither closes nor opens, or is a success',
    async (code) => {
      const clock = new FakeClock()
      const breaker = circuitBreaker({ ...opensAfter(1), openMs: 0, halfOpenPermits: 1, clock })
      const client = server.client(breaker)
      await runRpc(client, 'unary', { metadata: server.behave(down) })
      await runRpc(client, 'unary', { metadata: server.behave(endWith({ code })) })
      expect(breaker.state(SERVICE)).toBe(code === Code.NOT_FOUND ? 'closed' : 'half-open')
    },
  )

  it('a predicate can replace it', async () => {
    const exhausted = ({ code }: { code: Code }) => code === Code.RESOURCE_EXHAUSTED
    expect(await trips(Code.RESOURCE_EXHAUSTED, exhausted)).toBe(true)
    expect(await trips(Code.UNAVAILABLE, exhausted)).toBe(false)
    expect(await trips(Code.UNAVAILABLE, () => undefined)).toBe(false)
    expect(await trips(Code.CANCELLED, () => true)).toBe(false)
  })

  const wrong: [string, () => unknown, string][] = [
    [
      'throws',
      (): never => {
        throw new Error('bad rule')
      },
      'circuitBreaker: "isFailure" threw: bad rule',
    ],
    ['returns a promise', async () => false, 'must return true, false or undefined, got a promise'],
    ['returns a promise that rejects', () => Promise.reject(new Error('late')), 'undefined, got a promise'],
    ['returns something else', () => 'yes', 'must return true, false or undefined, got a string'],
    ['returns null', () => null, 'must return true, false or undefined, got null'],
  ]
  it.each(wrong)(
    'a predicate that %s ends the RPC with INTERNAL and leaves the circuit to the codes',
    async (_, rule, text) => {
      const isFailure = rule as unknown as () => boolean
      const breaker = circuitBreaker({ ...opensAfter(1), isFailure })
      const client = server.client(breaker)
      for (const pattern of patterns) {
        const { error } = await runRpc(client, pattern, { metadata: server.behave(endWith({ code: Code.NOT_FOUND })) })
        expect(error).toMatchObject({ code: Code.INTERNAL, details: expect.stringContaining(text) })
        // A stream that has answered is a success, whatever comes of it: the predicate is not asked.
        const answered = (await runRpc(client, pattern)).status?.code
        expect(answered).toBe(pattern === 'serverStream' || pattern === 'bidi' ? Code.OK : Code.INTERNAL)
      }
      expect(breaker.state(SERVICE)).toBe('closed')
      expect(await trips(Code.UNAVAILABLE, isFailure)).toBe(true)
    },
  )

  it('a deadline that passes while the server works is a failure; one that had passed before is nothing', async () => {
    const breaker = circuitBreaker(opensAfter(1))
    const client = server.client(breaker)
    await runRpc(client, 'unary', { options: { deadline: Date.now() - 1000 } })
    expect(breaker.keys()).toEqual([])
    for (let i = 0; i < 20; i++) await runRpc(client, 'unary') // the usual time is known
    await runRpc(client, 'unary', { metadata: server.behave(manual), options: { deadline: Date.now() + 200 } })
    expect(breaker.state(SERVICE)).toBe('open')
  })

  it('what interceptors inside refuse is nothing', async () => {
    const breaker = circuitBreaker(opensAfter(1))
    const client = server.client(breaker, failing(5, Code.UNAVAILABLE))
    for (let i = 0; i < 5; i++) await runRpc(client, 'unary')
    expect(breaker.snapshot(SERVICE)).toMatchObject({ state: 'closed', failures: 0 })
  })

  it('a bug in an interceptor inside is nothing', async () => {
    const breaker = circuitBreaker(opensAfter(1))
    const client = server.client(breaker, () => {
      throw new Error('bug')
    })
    expect((await runRpc(client, 'unary')).error?.code).toBe(Code.INTERNAL)
    expect(breaker.state(SERVICE)).toBe('closed')
  })

  it('a connection that no server accepts is a failure', async () => {
    const gone = await startTestServer()
    await gone.stop()
    const breaker = circuitBreaker(opensAfter(1))
    const client = gone.client(breaker)
    await runRpc(client, 'unary')
    client.close()
    expect(breaker.state(SERVICE)).toBe('open')
  })
})

describe.each(['serverStream', 'bidi'] as const)('response stream, %s', (pattern) => {
  it('is a success at its first message: an endless one does not hold its probe', async () => {
    const clock = new FakeClock()
    const breaker = circuitBreaker({ ...opensAfter(1), openMs: 0, halfOpenPermits: 1, clock })
    const client = server.client(breaker)
    await runRpc(client, pattern, { metadata: server.behave(down) })
    const endless = startRpc(client, pattern, { metadata: server.behave((rpc) => rpc.write({ n: 1 })) })
    await endless.messageSeen
    expect(breaker.state(SERVICE)).toBe('closed')
    endless.cancel()
    await endless.done
    expect(breaker.state(SERVICE)).toBe('closed')
  })

  it('is nothing more afterwards: a server that restarts under long streams is no outage', async () => {
    const breaker = circuitBreaker(opensAfter(1))
    await runRpc(server.client(breaker), pattern, {
      metadata: server.behave(async (rpc) => {
        await rpc.write({ n: 1 })
        rpc.end({ code: Code.UNAVAILABLE, details: 'going away' })
      }),
    })
    expect(breaker.state(SERVICE)).toBe('closed')
  })

  it('headers alone are no success', async () => {
    const breaker = circuitBreaker(opensAfter(1))
    await runRpc(server.client(breaker), pattern, {
      metadata: server.behave((rpc) => {
        rpc.sendHeaders({ early: 'yes' })
        rpc.end({ code: Code.UNAVAILABLE })
      }),
    })
    expect(breaker.state(SERVICE)).toBe('open')
  })

  it('is slow by the time to its first message', async () => {
    const clock = new FakeClock()
    const policy = countWindow({ size: 1, slowMs: 100 })
    for (const [wait, state] of [
      [100, 'closed'],
      [101, 'open'],
    ] as const) {
      const breaker = circuitBreaker({ policy, clock })
      const gate = new Gate()
      const at = server.calls.length
      const rpc = startRpc(server.client(breaker), pattern, {
        requests: [{ n: 3 }],
        metadata: server.behave(heldBy(gate)),
      })
      await server.received(at)
      clock.jump(wait)
      gate.open()
      await rpc.done
      expect(breaker.state(SERVICE)).toBe(state)
    }
  })
})

describe('keys', () => {
  it('end the call where a promise of one rejects, and reject nowhere else', async () => {
    await using server = await startTestServer()
    // @ts-expect-error: no key
    const client = server.client(circuitBreaker({ key: () => Promise.reject(new Error('boom')) }))
    expect((await runRpc(client, 'unary')).status?.code).toBe(Code.INTERNAL)
  })

  // reference: symbol 87
  it('are target and service by default, target and path per method; the target where it is known', async () => {
    const byService = circuitBreaker()
    const byMethod = circuitBreaker({ key: 'method' })
    await runRpc(server.client(byService, byMethod), 'unary')
    const ours = server.channel(byService, byMethod).client(TestClient)
    await runRpc(ours, 'unary')
    await runRpc(ours, 'bidi')
    expect(byService.keys()).toEqual([SERVICE, `${server.address}/${SERVICE}`])
    expect(byMethod.keys()).toEqual([
      `${SERVICE}/Unary`,
      `${server.address}/${SERVICE}/Unary`,
      `${server.address}/${SERVICE}/Bidi`,
    ])
  })

  it('keep circuits apart', async () => {
    const breaker = circuitBreaker({ ...opensAfter(1), key: 'method' })
    const client = server.client(breaker)
    await runRpc(client, 'unary', { metadata: server.behave(down) })
    expect((await runRpc(client, 'unary')).error).toMatchObject({ refusedBy: 'circuitBreaker' })
    expect((await runRpc(client, 'bidi')).status?.code).toBe(Code.OK)
  })

  it('keep targets apart on a stack that several channels share', async () => {
    await using other = await startTestServer()
    const breaker = circuitBreaker(opensAfter(1))
    const one = server.channel(breaker).client(TestClient)
    const two = other.channel(breaker).client(TestClient)
    await runRpc(one, 'unary', { metadata: server.behave(down) })
    expect((await runRpc(one, 'unary')).error).toMatchObject({ refusedBy: 'circuitBreaker' })
    expect((await runRpc(two, 'unary')).status?.code).toBe(Code.OK)
    expect((await runRpc(one, 'unary')).error).toMatchObject({ refusedBy: 'circuitBreaker' })
  })

  it('can be one’s own', async () => {
    const breaker = circuitBreaker({ ...opensAfter(1), key: (call) => String(call.metadata.get('tenant')[0]) })
    const client = server.client(breaker)
    const call = (tenant: string, behaviour: Behaviour = echo) => {
      const metadata = new Metadata()
      metadata.set('tenant', tenant)
      return runRpc(client, 'unary', { metadata: server.behave(behaviour, metadata) })
    }
    await call('acme', down)
    expect((await call('acme')).error?.details).toContain('Circuit acme is open')
    expect((await call('globex')).status?.code).toBe(Code.OK)
  })

  it('must be strings', async () => {
    const breaker = circuitBreaker({ key: (() => 5) as unknown as () => string })
    expect((await runRpc(server.client(breaker), 'unary')).error).toMatchObject({
      code: Code.INTERNAL,
      details: expect.stringContaining('circuitBreaker: "key" must return a string, got 5'),
    })
  })

  it('come back when they are needed again', async () => {
    const breaker = circuitBreaker({ ...opensAfter(1), key: 'method', maxKeys: 1 })
    const client = server.client(breaker)
    for (const pattern of ['unary', 'bidi', 'unary'] as const) await runRpc(client, pattern)
    expect(breaker.keys()).toEqual([`${SERVICE}/Unary`])
    await runRpc(client, 'unary', { metadata: server.behave(down) })
    expect(breaker.state(`${SERVICE}/Unary`)).toBe('open')
  })

  it('are bounded: the longest unused goes, one in use stays', async () => {
    let key = ''
    const breaker = circuitBreaker({ ...opensAfter(1), key: () => key, maxKeys: 10 })
    const client = server.client(breaker)
    const call = (name: string, behaviour: Behaviour = echo) => {
      key = name
      return runRpc(client, 'unary', { metadata: server.behave(behaviour) })
    }
    await call('hot', down)
    for (let i = 0; i < 50; i++) {
      await call(`minted ${i}`)
      await call('hot')
    }
    expect(breaker.keys()).toHaveLength(10)
    expect(breaker.state('hot')).toBe('open')
    expect(breaker.state('minted 0')).toBe('unused')
  })
})

describe('controls', () => {
  it('tell listeners of each change, until they have heard enough', async () => {
    const clock = new FakeClock()
    const breaker = circuitBreaker({ ...opensAfter(1), openMs: 100, halfOpenPermits: 1, clock })
    const changes: StateChangeEvent[] = []
    const stop = breaker.on('stateChange', (change) => changes.push(change))
    const client = server.client(breaker)
    await runRpc(client, 'unary', { metadata: server.behave(down) })
    clock.jump(100)
    await runRpc(client, 'unary', { metadata: server.behave(down) })
    clock.jump(200)
    await runRpc(client, 'unary')
    stop()
    await runRpc(client, 'unary', { metadata: server.behave(down) })
    expect(changes).toEqual([
      { key: SERVICE, from: 'closed', to: 'open', reason: 'failures' },
      { key: SERVICE, from: 'open', to: 'half-open', reason: 'waited' },
      { key: SERVICE, from: 'half-open', to: 'open', reason: 'probe-failed' },
      { key: SERVICE, from: 'open', to: 'half-open', reason: 'waited' },
      { key: SERVICE, from: 'half-open', to: 'closed', reason: 'recovered' },
    ])
  })

  it('survive a listener that throws', async () => {
    const warning = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const breaker = circuitBreaker(opensAfter(1))
    const heard: string[] = []
    breaker.on('stateChange', () => {
      throw new Error('listener')
    })
    breaker.on('stateChange', ({ to }) => heard.push(to))
    const rpc = await runRpc(server.client(breaker), 'unary', { metadata: server.behave(down) })
    expect(rpc.error?.details).toBe('down')
    expect(heard).toEqual(['open'])
    expect(warning).toHaveBeenCalledTimes(1)
  })

  it('refuse listeners of events there are not', () => {
    const breaker = circuitBreaker()
    expect(() => breaker.on('open' as 'stateChange', () => undefined)).toThrow('"stateChange" or "refusal", got open')
    expect(() => breaker.on('stateChange', undefined as unknown as () => void)).toThrow(TypeError)
  })

  it('force all circuits open, counted, those to come too', async () => {
    const breaker = circuitBreaker({ key: 'method', halfOpenPermits: 1 })
    const client = server.client(breaker)
    await runRpc(client, 'unary')
    const [one, two] = [breaker.forceOpen(), breaker.forceOpen()]
    for (const pattern of ['unary', 'bidi'] as const) {
      const { error } = await runRpc(client, pattern)
      expect(error).toMatchObject({ code: Code.UNAVAILABLE, refusedBy: 'circuitBreaker' })
      expect(error?.metadata.get('grpc-status-details-bin')).toEqual([])
    }
    expect(breaker.state('never used')).toBe('open')
    one()
    one()
    expect((await runRpc(client, 'unary')).error).toMatchObject({ refusedBy: 'circuitBreaker' })
    two()
    expect((await runRpc(client, 'unary')).status?.code).toBe(Code.OK)
    expect((await runRpc(client, 'bidi')).status?.code).toBe(Code.OK)
    expect(breaker.state(`${SERVICE}/Unary`)).toBe('closed')
  })

  it('force one circuit open, and do not lose it to newer ones', async () => {
    let key = 'mine'
    const breaker = circuitBreaker({ key: () => key, maxKeys: 2, halfOpenPermits: 1 })
    const client = server.client(breaker)
    await runRpc(client, 'unary')
    {
      using _release = breaker.forceOpen('mine')
      for (const other of ['a', 'b', 'c', 'd']) {
        key = other
        expect((await runRpc(client, 'unary')).status?.code).toBe(Code.OK)
      }
      key = 'mine'
      expect((await runRpc(client, 'unary')).error).toMatchObject({ refusedBy: 'circuitBreaker' })
    }
    expect((await runRpc(client, 'unary')).status?.code).toBe(Code.OK)
  })

  it('reset one, or all', async () => {
    const breaker = circuitBreaker({ ...opensAfter(1), key: 'method' })
    const client = server.client(breaker)
    for (const pattern of ['unary', 'bidi'] as const) await runRpc(client, pattern, { metadata: server.behave(down) })
    breaker.reset(`${SERVICE}/Unary`)
    expect([breaker.state(`${SERVICE}/Unary`), breaker.state(`${SERVICE}/Bidi`)]).toEqual(['closed', 'open'])
    breaker.reset()
    expect(breaker.state(`${SERVICE}/Bidi`)).toBe('closed')
    breaker.reset('unknown')
    expect(breaker.snapshot('unknown')).toBeUndefined()
  })
})

describe('circuitBreaker', () => {
  // reference: sentence 41
  it('admits exactly its permits among calls made at once', async () => {
    const clock = new FakeClock()
    const breaker = circuitBreaker({ ...opensAfter(1), openMs: 10, halfOpenPermits: 4, clock })
    const client = server.client(breaker)
    await runRpc(client, 'unary', { metadata: server.behave(down) })
    clock.jump(10)
    const gate = new Gate()
    const before = server.calls.length
    const calls = Array.from({ length: 200 }, () =>
      startRpc(client, 'unary', { metadata: server.behave(heldBy(gate)) }),
    )
    await server.received(before + 3)
    await settle(20)
    expect(server.calls.length - before).toBe(4)
    gate.open()
    await Promise.all(calls.map((call) => call.done))
    expect(calls.filter(({ error }) => error === undefined)).toHaveLength(4)
    expect(breaker.state(SERVICE)).toBe('closed')
  })

  it('takes a probe’s place away after its timeout', async () => {
    const clock = new FakeClock()
    const breaker = circuitBreaker({ ...opensAfter(1), openMs: 0, halfOpenPermits: 1, probeTimeoutMs: 500, clock })
    const client = server.client(breaker)
    await runRpc(client, 'unary', { metadata: server.behave(down) })
    const at = server.calls.length
    const hung = startRpc(client, 'unary', { metadata: server.behave(manual) })
    await server.received(at)
    expect((await runRpc(client, 'unary')).error?.details).toBe(`Circuit ${SERVICE} is half-open`)
    clock.jump(500)
    await runRpc(client, 'unary')
    expect(breaker.state(SERVICE)).toBe('closed')
    hung.cancel()
    await hung.done
  })

  // reference: symbol 84
  it('opens for a second by default, less chance, then 1.6 times as long each time and at most a minute', async () => {
    const clock = new FakeClock()
    const openings = async (random: () => number) => {
      const breaker = circuitBreaker({ policy: consecutive(1), clock, random })
      const client = server.client(breaker)
      const times: (number | undefined)[] = []
      for (let i = 0; i < 11; i++) {
        await runRpc(client, 'unary', { metadata: server.behave(down) })
        const { retryInMs } = breaker.snapshot(SERVICE) ?? {}
        times.push(retryInMs)
        clock.jump(retryInMs ?? 0)
      }
      return times
    }
    const rounded = async (random: () => number) => (await openings(random)).map((ms) => Math.round(ms ?? 0))
    const grown = [1000, 1600, 2560, 4096, 6554, 10_486, 16_777, 26_844, 42_950, 60_000, 60_000]
    expect(await rounded(() => 0)).toEqual(grown)
    expect((await rounded(() => 1)).slice(0, 4)).toEqual([800, 1280, 2048, 3277])
  })

  // reference: deviation 32
  it('judges by the default policy: half of at least 20 calls of 10 s', async () => {
    const breaker = circuitBreaker({ clock: new FakeClock() })
    const client = server.client(breaker)
    for (let i = 0; i < 19; i++) await runRpc(client, 'unary', { metadata: server.behave(i % 2 ? echo : down) })
    expect(breaker.state(SERVICE)).toBe('closed')
    await runRpc(client, 'unary', { metadata: server.behave(echo) })
    expect(breaker.state(SERVICE)).toBe('open')
  })

  it('applies where select says', async () => {
    const breaker = circuitBreaker(opensAfter(1))
    const client = server.client(select({ pattern: 'unary' }, breaker))
    await runRpc(client, 'bidi', { metadata: server.behave(down) })
    expect(breaker.keys()).toEqual([])
    await runRpc(client, 'unary', { metadata: server.behave(down) })
    expect(breaker.state(SERVICE)).toBe('open')
  })

  it('inside an interceptor that repeats calls, judges every attempt', async () => {
    const breaker = circuitBreaker(opensAfter(3))
    const thrice: Interceptor<ClientCall> = async (call, next) => {
      call.makeReplayable({ maxBytes: 1000, maxMessages: 10 })
      await next()
      await next()
      return next()
    }
    await runRpc(server.client(thrice, breaker), 'bidi', { metadata: server.behave(down) })
    expect(breaker.state(SERVICE)).toBe('open')
  })

  it.each([
    [{ key: 'target' }, 'circuitBreaker: option "key" must be "service", "method" or a function, got "target"'],
    [{ policy: {} }, 'option "policy" must be timeWindow(), countWindow() or consecutive()'],
    [{ policy: timeWindow }, 'option "policy"'],
    [{ openMs: -1 }, 'option "openMs"'],
    [{ openMs: Number.POSITIVE_INFINITY }, 'option "openMs"'],
    [{ maxOpenMs: 5 }, 'option "maxOpenMs" must be a number of milliseconds, at least "openMs", got 5'],
    [{ openMultiplier: 0.5 }, 'option "openMultiplier"'],
    [{ openJitter: 2 }, 'option "openJitter"'],
    [{ halfOpenPermits: 0 }, 'option "halfOpenPermits"'],
    [{ successesToClose: 1.5 }, 'option "successesToClose"'],
    [{ probeTimeoutMs: 0 }, 'option "probeTimeoutMs"'],
    [{ isFailure: true }, 'option "isFailure" must be a function, got true'],
    [{ observeOnly: 1 }, 'option "observeOnly"'],
    [{ maxKeys: 0 }, 'option "maxKeys"'],
    [{ clock: {} }, 'option "clock"'],
    [{ random: 1 }, 'option "random"'],
    [{ threshold: 5 }, 'circuitBreaker: unknown option "threshold"'],
    [null, 'circuitBreaker: options must be an object, got null'],
  ])('refuses %j', (options, message) => {
    expect(() => circuitBreaker(options as object)).toThrow(TypeError)
    expect(() => circuitBreaker(options as object)).toThrow(message)
  })
})
