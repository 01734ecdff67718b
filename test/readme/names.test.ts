import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startTestServer } from '@grpc-stack/grpc-testing'
import { circuitBreaker } from '@grpc-stack/interceptor-circuit'
import { describe, expect, it } from 'vitest'
import { entryPoints, publishablePackages, root } from '../../scripts/workspace.mjs'
import { readmeOf } from './described-options.ts'

// What tables of the READMEs call functions and members are functions and members.

/** The names in the first column of the tables under a heading, or of all tables that begin with such a column. */
function namesIn(page: string, table: { readonly column: RegExp; readonly below?: string }): string[] {
  const from = table.below === undefined ? 0 : page.indexOf(`\n${table.below}\n`)
  expect(from, `${table.below}`).toBeGreaterThanOrEqual(0)
  const names: string[] = []
  let within = false
  let before = ''
  for (const line of page.slice(from + 1).split('\n')) {
    if (table.below !== undefined && line.startsWith('#') && line !== table.below) break
    if (line.startsWith('|---')) within = table.column.test(before)
    else if (!line.startsWith('|')) within = false
    else if (within) {
      const [, first = ''] = line.split(/(?<!\\)\|/)
      names.push(...[...first.matchAll(/`(\w+)(?:[`({])/g)].map(([, name]) => name as string))
    }
    before = line
  }
  return names
}

const functionTables = publishablePackages()
  .map((one) => ({
    one,
    names: namesIn(readmeOf(one.dir.replace('packages/', '')), { column: /^\| (?:function|policy) \|/ }),
  }))
  .filter(({ names }) => names.length > 0)

describe('the functions in the tables', () => {
  it('are found on the pages of four packages', () => {
    expect(functionTables.map(({ one }) => one.dir.replace('packages/', ''))).toEqual([
      'error-details',
      'grpc-core',
      'interceptor-circuit',
      'interceptor-ratelimit',
    ])
  })

  it.each(functionTables)('of $one.name are its exports', async ({ one, names }) => {
    const modules: Record<string, unknown>[] = await Promise.all(
      entryPoints(one).map(({ source }) => import(/* @vite-ignore */ `../../${source}`)),
    )
    const exported = new Set(modules.flatMap((module) => Object.keys(module)))
    expect(names.filter((name) => !exported.has(name) && name !== 'channel')).toEqual([])
  })

  it('of interceptor-auth that make authenticators are its exports', async () => {
    const names = namesIn(readmeOf('interceptor-auth'), { column: /^\| \| \|/, below: '### Authenticators' })
    const modules: Record<string, unknown>[] = await Promise.all(
      ['index', 'jwt', 'oauth2'].map((file) => import(`../../packages/interceptor-auth/src/${file}.ts`)),
    )
    expect(names).toContain('mtls')
    expect(names.filter((name) => !modules.some((module) => Object.hasOwn(module, name)))).toEqual([])
  })
})

describe('the members in the tables', () => {
  it('of a circuit breaker are all that it has', () => {
    const names = namesIn(readmeOf('interceptor-circuit'), {
      column: /^\| \| \|/,
      below: '## Controls, on the returned function',
    })
    const breaker = circuitBreaker()
    expect(names.sort()).toEqual(Object.keys(breaker).sort())
  })

  it('of a test server are there', async () => {
    const names = namesIn(readmeOf('grpc-testing'), { column: /^\| member \|/, below: '## The server and its clients' })
    await using server = await startTestServer()
    expect(names.length).toBeGreaterThan(8)
    expect(names.filter((name) => !(name in server))).toEqual([])
  })
})

describe('the codes of warnings and the variables of the environment', () => {
  it.each(publishablePackages())('in the README of $name are those of its sources', ({ dir }) => {
    const sources = readdirSync(join(root, dir, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !/\.test(-d)?\.ts$/.test(file))
      .map((file) => readFileSync(join(root, dir, 'src', file), 'utf8'))
      .join('\n')
    const codes = readmeOf(dir.replace('packages/', '')).match(/\bGRPC_STACK_\w+/g) ?? []
    expect(codes.filter((code) => !sources.includes(code))).toEqual([])
  })
})
