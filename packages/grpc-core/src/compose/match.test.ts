import { describe, expect, it } from 'vitest'
import { describeMethod, type MethodInfo } from '../contract/method.ts'
import { chain } from './compose.ts'
import { all, any, compileMatcher, healthAndReflection, type Matcher, not } from './match.ts'
import { named } from './named.ts'

const get = describeMethod('/shop.v1.Orders/Get', false, false)
const list = describeMethod('/shop.v1.Orders/List', false, true)
const upload = describeMethod('/shop.v1.media.Images/Upload', true, false)
const chat = describeMethod('/help.Desk/Chat', true, true)
const health = describeMethod('/grpc.health.v1.Health/Check', false, false)
const reflection = describeMethod('/grpc.reflection.v1.ServerReflection/Info', true, true)
const bare = describeMethod('/Greeter/Hello', false, false)
const minted = describeMethod('/shop.v1.Orders/NoSuch', false, false, false)
const every: readonly MethodInfo[] = [get, list, upload, chat, health, reflection, bare, minted]

const names = (methods: readonly MethodInfo[]): readonly string[] => methods.map(({ name }) => name)

describe('a matcher', () => {
  const table: readonly [string, Matcher, readonly MethodInfo[]][] = [
    ['*', '*', every],
    ['a path', '/shop.v1.Orders/Get', [get]],
    ['a path with any method', '/shop.v1.Orders/*', [get, list, minted]],
    ['any service and method', '/*/*', every],
    ['a package path', '/shop.v1.*/*', [get, list, upload, minted]],
    ['a path with any method, without its slash', 'shop.v1.Orders/*', [get, list, minted]],
    ['any service and method, without its slash', '*/*', every],
    ['a package path, without its slash', 'shop.v1.*/*', [get, list, upload, minted]],
    ['a service', 'shop.v1.Orders', [get, list, minted]],
    ['a service without a package', 'Greeter', [bare]],
    ['a package', 'shop.v1.*', [get, list, upload, minted]],
    ['an outer package', 'shop.*', [get, list, upload, minted]],
    ['a prefix that is no package', 'sho.*', []],
    ['a service that is a prefix', 'shop.v1.Order', []],
    ['a package without its star', 'shop.v1', []],
    ['a RegExp', /Orders\/(Get|List)$/, [get, list]],
    ['a RegExp with a memory', /Orders/g, [get, list, minted]],
    ['a sticky RegExp', /\/shop/y, [get, list, upload, minted]],
    ['facts: service', { service: 'shop.v1.*' }, [get, list, upload, minted]],
    ['facts: services', { service: ['Greeter', 'help.*'] }, [chat, bare]],
    ['facts: method', { method: 'Get' }, [get]],
    ['facts: methods', { method: ['Get', 'Chat'] }, [get, chat]],
    ['facts: pattern', { pattern: 'bidi' }, [chat, reflection]],
    ['facts: patterns', { pattern: ['clientStream', 'serverStream'] }, [list, upload]],
    ['facts: unknown pattern', { pattern: 'unknown' }, [minted]],
    ['facts: all must hold', { service: 'shop.*', pattern: 'unary' }, [get]],
    ['a predicate', (method: MethodInfo) => method.requestStream, [upload, chat, reflection]],
    ['a list: any', ['/shop.v1.Orders/Get', 'Greeter', /Chat$/], [get, chat, bare]],
    ['an empty list: none', [], []],
    ['not', not('shop.*'), [chat, health, reflection, bare]],
    ['not any of several', not('shop.*', 'grpc.*'), [chat, bare]],
    ['any', any('Greeter', { pattern: 'bidi' }), [chat, reflection, bare]],
    ['all', all('shop.*', { pattern: 'unary' }, not('/shop.v1.Orders/Nope')), [get]],
    ['nested', all(not(any('shop.*')), not(healthAndReflection)), [chat, bare]],
    ['health and reflection', healthAndReflection, [health, reflection]],
  ]

  it.each(table)('%s', (_name, matcher, matched) => {
    const matches = compileMatcher(matcher, 'test')
    expect(names(every.filter(matches))).toEqual(names(matched))
    // Asked again it says the same: nothing is remembered between questions.
    expect(names(every.filter(matches))).toEqual(names(matched))
  })

  const malformed: readonly [string, unknown, string][] = [
    ['nothing', undefined, 'option "public"'],
    ['null', null, 'option "public"'],
    ['a number', 7, 'option "public"'],
    ['an empty string', '', 'option "public"'],
    ['a slash', '/', 'malformed'],
    ['a path without a method', '/shop.v1.Orders', 'malformed'],
    ['a path without a method name', '/shop.v1.Orders/', 'malformed'],
    ['a path with too much', '/shop.v1.Orders/Get/1', 'malformed'],
    ['a path without a leading slash', 'shop.v1.Orders/Get', 'malformed'],
    ['a star amid a method', '/shop.v1.Orders/G*', 'malformed'],
    ['a star amid a package', 'shop.*.Orders', 'malformed'],
    ['a star amid a service', 'shop.v1.Ord*', 'malformed'],
    ['a dot and a star', '.*', 'malformed'],
    ['two stars', 'shop.**', 'malformed'],
    ['white space in front', ' shop.v1.Orders', 'malformed'],
    ['white space behind', '/shop.v1.Orders/Get ', 'malformed'],
    ['a slash behind', 'shop.v1.Orders/', 'malformed'],
    ['a named method of any service', '/*/Get', 'malformed'],
    ['a named method of a package', '/shop.v1.*/Get', 'malformed'],
    ['a member that is undefined', { service: 'shop.v1.Orders', method: undefined }, '.method: is undefined'],
    ['a service with its slash', { service: '/shop.v1.Orders' }, 'malformed'],
    ['a path for a service', { service: 'shop.v1.Orders/Get' }, 'malformed'],
    ['a path for a method', { method: '/shop.v1.Orders/Get' }, 'the bare name of a method'],
    ['a star for a method', { method: '*' }, 'leave it out for any'],
    ['white space around a method', { method: 'Get ' }, 'the bare name of a method'],
    ['an empty list within a list', ['shop.*', []], '[1]: an empty list'],
    ['an interceptor', chain(), 'chain is an interceptor'],
    ['a named interceptor', named('auth', () => true), 'auth is an interceptor'],
    ['an empty object', {}, 'needs service, method or pattern'],
    ['an unknown member', { services: 'shop' }, 'unknown member "services"'],
    ['an unknown pattern', { pattern: 'stream' }, '.pattern'],
    ['an empty list of services', { service: [] }, '.service'],
    ['a service that is none', { service: 7 }, '.service'],
    ['a list with a bad one', ['shop.*', 7], '[1]'],
    ['a list of lists with a bad one', ['shop.*', ['x', { method: '' }]], '[1][1].method'],
  ]

  it.each(malformed)('that is malformed is refused, and named: %s', (_name, matcher, culprit) => {
    const compile = (): unknown => compileMatcher(matcher as Matcher, 'serverAuth: option "public"')
    expect(compile).toThrow(TypeError)
    expect(compile).toThrow('serverAuth: option "public"')
    expect(compile).toThrow(culprit)
  })

  it('of any(), all() and not() is checked when it is made', () => {
    expect(() => not('a/b')).toThrow(TypeError)
    expect(() => any({} as Matcher)).toThrow(TypeError)
    expect(() => all(undefined as never)).toThrow(TypeError)
    // Of none, they would match everything or nothing.
    for (const combine of [not, any, all]) {
      expect(() => combine()).toThrow('needs at least one matcher')
      expect(() => combine([])).toThrow('an empty list')
    }
  })
})

describe('describeMethod', () => {
  it('is frozen, and names the parts of a path', () => {
    expect(Object.isFrozen(get)).toBe(true)
    expect(get).toMatchObject({ service: 'shop.v1.Orders', name: 'Get', pattern: 'unary', registered: true })
    expect([get, upload, list, chat].map(({ pattern }) => pattern)).toEqual([
      'unary',
      'clientStream',
      'serverStream',
      'bidi',
    ])
    expect(minted).toMatchObject({ pattern: 'unknown', registered: false })
  })

  it.each([
    ['', '', ''],
    ['/', '', ''],
    ['//', '', ''],
    ['/a', '', 'a'],
    ['a', '', 'a'],
    ['a/b', 'a', 'b'],
    ['/a/b/c', 'a/b', 'c'],
    ['/a/', 'a', ''],
    ['/пакет.Служба/Метод', 'пакет.Служба', 'Метод'],
  ])('takes any path a caller may mint: %j', (path, service, name) => {
    const method = describeMethod(path, true, true, false)
    expect(method.path).toBe(path)
    expect([method.service, method.name]).toEqual([service, name])
    for (const matcher of ['*', 'a.*', '/a/b', /x/, { method: 'b' }] as Matcher[]) {
      expect(typeof compileMatcher(matcher, 'test')(method)).toBe('boolean')
    }
  })
})
