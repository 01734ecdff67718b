import { credentials, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js'
import { describe, expect, it, vi } from 'vitest'
import { Greeter } from '../../test/greeter.ts'
import { greeting } from '../../test/greeter-server.ts'
import {
  checkMatchers,
  type Matchers,
  matcher,
  named,
  type OptionTable,
  readOptions,
  withMatchers,
} from '../authoring.ts'
import {
  all,
  any,
  type CreateServerOptions,
  chain,
  clientInterceptors,
  createChannel,
  createClient,
  createServer,
  healthAndReflection,
  type Interceptor,
  type Matcher,
  not,
  type StackServer,
  select,
  serverInterceptors,
  stacks,
} from '../index.ts'

const auth: Interceptor = () => ({ code: 16 })

/** What generated code calls a method that the .proto file calls otherwise. */
const Clock: ServiceDefinition = {
  readTime: { ...Greeter.greet, path: '/time.Clock/read_time', originalName: 'readTime' },
}

/** Binds a server that serves greet.v1.Greeter, and tells what it says. */
async function bind(
  interceptors: readonly Interceptor[],
  more: CreateServerOptions & { readonly add?: (server: StackServer) => void } = {},
): Promise<string> {
  const { add, ...options } = more
  const server = createServer({ interceptors, ...options })
  server.addService(Greeter, greeting)
  add?.(server)
  try {
    await new Promise<void>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      )
    })
    return 'bound'
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError)
    return (error as Error).message
  } finally {
    server.forceShutdown()
  }
}

describe('a server does not bind where a matcher names none of its methods', () => {
  const misspelt: readonly [string, Matcher, string | undefined][] = [
    ['a package in the place of a service', 'greet.v1', 'greet.v1.*'],
    ['an outer package', 'greet', 'greet.*'],
    ['a service in the wrong case', 'greet.v1.greeter', 'greet.v1.Greeter'],
    ['a service without its package', 'Greeter', 'greet.v1.Greeter'],
    ['a package in the wrong case', 'Greet.v1.*', 'greet.v1.*'],
    ['the JavaScript name of a method', '/greet.v1.Greeter/greetMany', '/greet.v1.Greeter/GreetMany'],
    ['a method in the wrong case', '/greet.v1.Greeter/GREETMANY', '/greet.v1.Greeter/GreetMany'],
    ['a service in the wrong case, in a path', '/greet.v1.greeter/*', 'greet.v1.Greeter'],
    ['a path without its package', '/Greeter/Greet', '/greet.v1.Greeter/Greet'],
    ['a method behind a dot', 'greet.v1.Greeter.Greet', '/greet.v1.Greeter/Greet'],
    ['the bare name of a method', 'GreetMany', '/greet.v1.Greeter/GreetMany'],
    ['a letter too much', 'greet.v1.Greeters', 'greet.v1.Greeter'],
    ['a dot behind', 'greet.v1.Greeter.', 'greet.v1.Greeter'],
    ['two dots', 'greet..v1.Greeter', 'greet.v1.Greeter'],
    ['something else', 'warehouse.v7.StockKeeping', undefined],
    ['a package of nothing', 'warehouse.*', undefined],
    ['an object: service', { service: 'greet.v1.greeter' }, 'greet.v1.Greeter'],
    ['an object: a service among others', { service: ['greet.v1.Greeter', 'greet.v2.Greeter'] }, 'greet.v1.Greeter'],
    ['an object: method', { method: 'greetMany' }, 'GreetMany'],
    ['an object: a method among others', { method: ['Greet', 'greetmany'] }, 'GreetMany'],
    ['an object: a method of another service', { service: 'time.*', method: 'Greet' }, undefined],
    ['an object: a pattern that the service has not', { service: 'time.Clock', pattern: 'bidi' }, undefined],
    ['a list', ['greet.v1.Greeter', 'greet.v1.greeter'], 'greet.v1.Greeter'],
    ['not()', not('/greet.v1.Greeter/greet'), '/greet.v1.Greeter/Greet'],
    ['any()', any(/Greet/, 'greet.v1.greeter'), 'greet.v1.Greeter'],
    ['all()', all('*', not(any('greet.v1.greeter'))), 'greet.v1.Greeter'],
    ['a name of generated code', '/time.Clock/readTime', '/time.Clock/read_time'],
  ]

  it.each(misspelt)('%s', async (_what, wrong, meant) => {
    const text = await bind([select(wrong, auth)], {
      add: (server) => server.addService(Clock, { readTime: () => ({}) }),
    })
    expect(text).toContain(
      'server.bindAsync: the interceptors do not fit what the server serves: interceptor 0 (select): matcher',
    )
    expect(text).toContain('It serves greet.v1.Greeter, time.Clock.')
    if (meant === undefined) expect(text).not.toContain('did you mean')
    else expect(text).toContain(`did you mean ${JSON.stringify(meant)}?`)
  })

  it.each<[string, Interceptor, string]>([
    [
      'in a chain',
      chain(auth, select('Greeter', auth)),
      'interceptor 0 (chain), interceptor 1 (select): matcher "Greeter" names none',
    ],
    [
      'in a table',
      stacks({ '*': [select('Greeter', auth)] }),
      'interceptor 0 (stacks), ["*"] interceptor 0 (select): matcher "Greeter"',
    ],
    [
      'as the key of a table',
      stacks({ '*': auth, 'greet.v1': auth }),
      'interceptor 0 (stacks): key "greet.v1" names none of its methods',
    ],
    [
      'in an option of an interceptor',
      named('serverAuth', withMatchers((_call, next) => next(), { public: any('Greeter') }) as Interceptor),
      'interceptor 0 (serverAuth): option "public": "Greeter" names none of its methods; did you mean "greet.v1.Greeter"?',
    ],
    [
      'in a function of an option, as it is when the server binds',
      named(
        'serverAuth',
        withMatchers<Interceptor>((_call, next) => next(), {
          authorize: withMatchers(
            () => true,
            () => ({ 'allow[0].methods': any('Greeter'), deny: undefined }),
          ),
          public: undefined,
        }),
      ),
      'interceptor 0 (serverAuth): option "authorize.allow[0].methods": "Greeter" names none of its methods',
    ],
  ])('wherever it stands: %s', async (_where, interceptor, text) => {
    expect(await bind([interceptor])).toContain(text)
  })

  it('read from a table of options as well', async () => {
    const table = { exempt: matcher().optional() } satisfies OptionTable
    const { exempt } = readOptions('limit', { exempt: ['greet.*', 'Greeter'] }, table)
    const limit = named(
      'limit',
      withMatchers<Interceptor>((_call, next) => next(), { exempt }),
    )
    expect(await bind([limit])).toContain('interceptor 0 (limit): option "exempt": "Greeter" names none of its methods')
  })

  it('tells all at once', async () => {
    const text = await bind([select(['greeter', 'Greeter'], auth), stacks({ '*': [], 'greet.v2.*': auth })])
    expect(text.match(/names none of its methods/g)).toHaveLength(3)
  })

  it('through an injector of connections either', () => {
    const server = createServer({ interceptors: [select('Greeter', auth)] })
    server.addService(Greeter, greeting)
    expect(() => server.createConnectionInjector(ServerCredentials.createInsecure())).toThrow(
      'server.createConnectionInjector: the interceptors do not fit',
    )
    server.forceShutdown()
  })

  it('nor without any service', async () => {
    const server = createServer({ interceptors: [select('greet.v1.Greeter', auth)] })
    expect(() => server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), () => undefined)).toThrow(
      'It serves no service; add services before it binds',
    )
  })

  it.each<[string, Matcher]>([
    ['all', '*'],
    ['all, as a path', '/*/*'],
    ['a package', 'greet.*'],
    ['a service', 'greet.v1.Greeter'],
    ['a service with any method', 'greet.v1.Greeter/*'],
    ['a method', '/greet.v1.Greeter/Chat'],
    ['an object', { service: 'greet.*', method: ['Greet', 'Chat'] }],
    ['a pattern', { pattern: 'unary' }],
    ['not()', not('greet.v1.Greeter')],
    ['a RegExp that matches nothing', /nothing/],
    ['a predicate that matches nothing', () => false],
    ['health and reflection, which it need not have', healthAndReflection],
    ['not health and reflection', not(healthAndReflection)],
  ])('and binds with: %s', async (_what, matches) => {
    expect(await bind([select(matches, auth), chain(select(matches, chain(auth)))])).toBe('bound')
  })

  it('services that were added count, removed ones do not', async () => {
    const other = [select('time.Clock', auth)]
    expect(await bind(other)).toContain('names none')
    const add = (server: StackServer) => server.addService(Clock, { readTime: () => ({}) })
    expect(await bind(other, { add })).toBe('bound')
    expect(
      await bind(other, {
        add: (server) => {
          add(server)
          server.removeService(Clock)
        },
      }),
    ).toContain('names none')
  })

  it('unless it only warns, for lists that several servers share', async () => {
    const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    expect(await bind([select('Greeter', auth)], { unmatched: 'warn' })).toBe('bound')
    expect(warnings.mock.calls).toEqual([
      [
        'server.bindAsync: interceptor 0 (select): matcher "Greeter" names none of its methods; did you mean "greet.v1.Greeter"?',
        { code: 'GRPC_STACK_UNMATCHED' },
      ],
    ])
    for (const wrong of ['ignore', true, null]) {
      expect(() => createServer({ unmatched: wrong as never })).toThrow('option "unmatched" must be "error" or "warn"')
    }
  })
})

describe('a server does not serve what a table leaves without an entry', () => {
  const service = 'greet.v1.Greeter'
  it.each<[string, Record<string, Interceptor[]>, string]>([
    ['an empty table', {}, `no entry of stacks is for ${service}; give it one, "${service}": [], or add "*"`],
    [
      'a method alone',
      { [`/${service}/Greet`]: [auth] },
      `no entry of stacks is for /${service}/GreetMany, /${service}/GreetAll`,
    ],
  ])('%s', async (_what, table, text) => {
    for (const unmatched of ['error', 'warn'] as const)
      expect(await bind([stacks(table)], { unmatched })).toContain(text)
    expect(await bind([stacks({ ...table, '*': [] })])).toBe('bound')
    expect(await bind([stacks({ ...table, [service]: [] })])).toBe('bound')
    expect(await bind([stacks({ ...table, 'greet.*': [auth] })])).toBe('bound')
  })

  it('but only what comes to the table', async () => {
    const inner = stacks({ [`/${service}/Greet`]: [auth] })
    expect(await bind([select(`/${service}/Greet`, inner)])).toBe('bound')
    expect(await bind([select(({ name }) => name === 'Greet', chain(inner))])).toBe('bound')
    expect(await bind([select(service, inner)])).toContain('no entry of stacks is for')
  })

  it('nor adds it later', async () => {
    const server = createServer({ interceptors: [stacks({ [service]: [auth] })] })
    server.addService(Greeter, greeting)
    await new Promise<void>((resolve) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), () => resolve())
    })
    try {
      const add = () => server.addService(Clock, { readTime: () => ({}) })
      expect(add).toThrow(TypeError)
      expect(add).toThrow(
        'server.addService: the interceptors do not fit what the server serves: interceptor 0 (stacks): no entry',
      )
      // Nothing of it has been registered.
      expect(add).toThrow('server.addService')
      expect(() => server.register('/time.Clock/x', () => undefined, Buffer.from, String, 'unary')).toThrow('no entry')
    } finally {
      server.forceShutdown()
    }
  })
})

describe('matchers that take the place of others while servers use them', () => {
  /** An interceptor with a decision whose matchers can be replaced, as a policy has. */
  function replaceable() {
    let matchers: Matchers = { allow: any('*') }
    const authorize = withMatchers(
      () => true,
      () => matchers,
    )
    const interceptor = named(
      'serverAuth',
      withMatchers<Interceptor>((_call, next) => next(), { authorize }),
    )
    const replace = (next: Matchers) => {
      checkMatchers('replace', authorize, next)
      matchers = next
    }
    return { interceptor, replace }
  }

  async function bound(interceptor: Interceptor, service: ServiceDefinition, options: CreateServerOptions = {}) {
    const server = createServer({ interceptors: [chain(select('*', interceptor))], ...options })
    server.addService(service, Object.fromEntries(Object.keys(service).map((name) => [name, () => ({})])))
    await new Promise<void>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      )
    })
    return server
  }

  it('are compared with the methods that each of them has by now', async () => {
    const { interceptor, replace } = replaceable()
    expect(() => replace({ allow: any('Greeter') })).not.toThrow() // the first server will tell
    replace({ allow: any('*') })
    const servers = [await bound(interceptor, Greeter), await bound(interceptor, Greeter)]
    const wrong = () => replace({ 'allow["x"]': any('time.Clock', 'greet.v1.*') })
    try {
      expect(wrong).toThrow(TypeError)
      expect(wrong).toThrow(
        'replace: the matchers do not fit what the server serves: option "allow["x"]": "time.Clock" names none of its methods. ' +
          'It serves greet.v1.Greeter.',
      )
      expect(() => replace({ allow: any('Greeter') })).toThrow('did you mean "greet.v1.Greeter"?')
      servers[0]?.addService(Clock, { readTime: () => ({}) })
      expect(wrong).toThrow('It serves greet.v1.Greeter.')
      servers[1]?.addService(Clock, { readTime: () => ({}) })
      expect(wrong).not.toThrow()
      servers[1]?.removeService(Clock)
      expect(wrong).toThrow('names none')
    } finally {
      for (const server of servers) server.forceShutdown()
    }
  })

  it.each<[string, (server: StackServer) => unknown]>([
    ['forceShutdown', (server) => server.forceShutdown()],
    ['tryShutdown', (server) => new Promise<void>((resolve) => server.tryShutdown(() => resolve()))],
    ['drain', (server) => server.drain(1000)],
  ])('but not with those of a server that is shut down: %s', async (_how, shutDown) => {
    const { interceptor, replace } = replaceable()
    const server = await bound(interceptor, Greeter)
    const wrong = () => replace({ allow: any('time.Clock') })
    expect(wrong).toThrow('names none')
    await shutDown(server)
    expect(wrong).not.toThrow()
  })

  it('and warned of where the server only warns', async () => {
    const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const { interceptor, replace } = replaceable()
    const server = await bound(interceptor, Greeter, { unmatched: 'warn' })
    try {
      expect(() => replace({ allow: any('Greeter') })).not.toThrow()
      expect(warnings.mock.calls.map(([text]) => text)).toEqual([
        'replace: option "allow": "Greeter" names none of its methods; did you mean "greet.v1.Greeter"?',
      ])
    } finally {
      server.forceShutdown()
      warnings.mockRestore()
    }
  })
})

it('a stock server and a client do not know their methods, so that nothing is said there', () => {
  const wrong = [select('Greeter', auth), stacks({ Greeter: [auth] })]
  expect(() => serverInterceptors(...wrong)).not.toThrow()
  const channel = createChannel('127.0.0.1:1', credentials.createInsecure())
  expect(() => clientInterceptors(...wrong)).not.toThrow()
  expect(() => createClient(Greeter, channel)).not.toThrow()
  channel.close()
})

describe('select()', () => {
  it.each<[string, () => unknown, string]>([
    ['no matcher', () => select(auth as never), 'select: needs a matcher and at least one interceptor'],
    [
      'no matcher, with a named interceptor',
      () => select(named('auth', auth) as never, auth),
      'auth is an interceptor',
    ],
    ['a composition for a matcher', () => select(chain(auth) as never, auth), 'chain is an interceptor'],
    ['no interceptor', () => select('greet.*'), 'select: needs a matcher and at least one interceptor'],
    ['an empty list', () => select([], auth), 'select: matcher: an empty list matches no method'],
    ['nothing', () => (select as () => unknown)(), 'select: needs a matcher'],
  ])('refuses %s', (_what, compose, text) => {
    expect(compose).toThrow(TypeError)
    expect(compose).toThrow(text)
  })
})

describe('stacks()', () => {
  it('refuses two keys for the same methods', () => {
    for (const twin of ['/greet.v1.Greeter/*', 'greet.v1.Greeter/*']) {
      expect(() => stacks({ 'greet.v1.Greeter': [], [twin]: [auth] })).toThrow(
        `stacks: "greet.v1.Greeter" and "${twin}" are the same methods`,
      )
    }
    expect(() => stacks({ '*': [], '/*/*': [] })).toThrow('are the same methods')
  })

  it('refuses what is no table', () => {
    for (const wrong of [undefined, null, [auth], auth, 'greet.*']) {
      expect(() => stacks(wrong as never)).toThrow('stacks: expected a table such as')
    }
  })
})
