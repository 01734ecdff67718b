import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (file: string): string => readFileSync(join(root, file), 'utf8')

/** The TypeScript blocks of a page, in order. */
function blocksOf(file: string): string[] {
  return [...read(file).matchAll(/^```ts\n(.*?)^```/gms)].map(([, code]) => code ?? '')
}

/** What a reader has and the page does not show: generated code, an address, an interceptor's imports. */
const greeter = `
import { Client, type ClientUnaryCall, type MethodDefinition } from '@grpc/grpc-js'
interface Hello { name: string }
interface Reply { message: string }
const json = {
  requestSerialize: (value: Hello): Buffer => Buffer.from(JSON.stringify(value)),
  requestDeserialize: (bytes: Buffer): Hello => JSON.parse(bytes.toString()),
  responseSerialize: (value: Reply): Buffer => Buffer.from(JSON.stringify(value)),
  responseDeserialize: (bytes: Buffer): Reply => JSON.parse(bytes.toString()),
}
const sayHello = { path: '/greet.v1.Greeter/SayHello', requestStream: false, responseStream: false, ...json } as const
export const GreeterService = { sayHello } satisfies Record<string, MethodDefinition<Hello, Reply>>
export class GreeterClient extends Client {
  declare sayHello: (request: Hello, callback: (error: Error | null, reply?: Reply) => void) => ClientUnaryCall
}
`

const around = `
import { Server, credentials as creds } from '@grpc/grpc-js'
import { clientInterceptors, type Interceptor, serverInterceptors } from '@grpc-stack/grpc-core'
import { logging, requestId } from '@grpc-stack/interceptor-logging'
import { retry } from '@grpc-stack/interceptor-retry'
import { GreeterClient } from './generated/greeter.ts'
const address = '127.0.0.1:1'
const credentials = creds.createInsecure()
`

let directory: string

beforeAll(() => {
  // Inside the checkout, so that the packages resolve as they do for a user who installed them.
  directory = mkdtempSync(join(root, 'test/readme/compiled-'))
  mkdirSync(join(directory, 'generated'))
  writeFileSync(join(directory, 'generated/greeter.ts'), greeter)
  const options = {
    extends: '../../../tsconfig.base.json',
    compilerOptions: { outDir: 'out', noUnusedLocals: false },
    include: ['*.ts', 'generated/*.ts'],
  }
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(options))
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }')
  const [first = '', ...others] = blocksOf('README.md')
  writeFileSync(join(directory, 'first.ts'), first.replace('127.0.0.1:50051', '127.0.0.1:0'))
  writeFileSync(join(directory, 'others.ts'), `${around}${others.join('\n')}\nvoid timing\n`)
})

afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe('the README', () => {
  it('has code that compiles, and an example that runs and prints what it promises', () => {
    const tsc = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', directory], {
      encoding: 'utf8',
    })
    expect(tsc.stdout + tsc.stderr).toBe('')
    const run = spawnSync(process.execPath, [join(directory, 'out/first.js')], { encoding: 'utf8', timeout: 9_000 })
    expect(run.stderr).toBe('')
    expect(run.status).toBe(0)
    expect(run.stdout).toContain("{ message: 'Hello world' }")
    const records = run.stdout
      .split('\n')
      .filter((line) => line.startsWith('{"') && line.includes('grpc.code'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(records).toMatchObject([
      { level: 'info', 'grpc.component': 'server', 'grpc.method': 'SayHello', 'grpc.code': 'OK' },
      { level: 'debug', 'grpc.component': 'client', 'grpc.method': 'SayHello', 'grpc.code': 'OK' },
    ])
  }, 30_000)

  it('has a first example of about twenty lines', () => {
    const [first = ''] = blocksOf('README.md')
    expect(first.trim().split('\n').length).toBeLessThanOrEqual(22)
  })

  it('names commands that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const named = [...read('README.md').matchAll(/npm (?:run )?(test|demo|bench)/g)].map(([, name]) => name)
    expect(new Set(named)).toEqual(new Set(['test', 'demo', 'bench']))
    for (const name of named) expect(Object.keys(scripts)).toContain(name)
  })

  it('links to what is there', () => {
    for (const page of ['README.md', 'packages/grpc-core/README.md', 'docs/architecture.md', 'bench/README.md']) {
      for (const [, target = ''] of read(page).matchAll(/\]\(([^)#:]+)\)/g)) {
        const path = join(root, page, '..', target)
        const exists = existsSync(path)
        expect(exists, `${page} → ${target}`).toBe(true)
      }
    }
  })
})
