import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { publishablePackages } from '../../scripts/workspace.mjs'

// Every block of code in the packages' READMEs compiles as it stands, and those that need nothing of a network but this machine run.

const root = fileURLToPath(new URL('../..', import.meta.url))

/** What the reader has and the page does not show. Two services as a generator would write them. */
const generated = (service: string, method: string, request: string, reply: string): string => `
import { type CallOptions, Client, type ClientUnaryCall, Metadata, type MethodDefinition, type ServiceError } from '@grpc/grpc-js'
interface Request ${request}
interface Reply ${reply}
type Callback = (error: ServiceError | null, reply?: Reply) => void
const json = {
  requestSerialize: (value: Request): Buffer => Buffer.from(JSON.stringify(value)),
  requestDeserialize: (bytes: Buffer): Request => JSON.parse(bytes.toString()),
  responseSerialize: (value: Reply): Buffer => Buffer.from(JSON.stringify(value)),
  responseDeserialize: (bytes: Buffer): Reply => JSON.parse(bytes.toString()),
}
const name = '${method}'
const path = '/${service}/${method[0]?.toUpperCase()}${method.slice(1)}'
const definition = { path, requestStream: false, responseStream: false, originalName: name, ...json } as const
const list = { ...definition, path: '/${service}/List', originalName: 'list' } as const
export const ${service.split('.').at(-1)}Service = { ${method}: definition, list } satisfies Record<string, MethodDefinition<Request, Reply>>
export class ${service.split('.').at(-1)}Client extends Client {
  ${method}(request: Request, ...rest: [Callback] | [Metadata, Callback] | [Metadata, Partial<CallOptions>, Callback]): ClientUnaryCall {
    // What ts-proto declares.
    const callback = rest.at(-1) as Callback
    const metadata = rest.length > 1 ? (rest[0] as Metadata) : new Metadata()
    const options = rest.length === 3 ? (rest[1] as CallOptions) : {}
    return this.makeUnaryRequest(path, json.requestSerialize, json.responseDeserialize, request, metadata, options, callback)
  }
}
`

interface Block {
  /** Declares what the block uses and another part of the page, or the reader's own code, declares. */
  readonly before?: string
  /** Makes a call with what the block has set up, and ends. Without it the block is only compiled. */
  readonly after?: string
  /** Replaces addresses of the page by those of the test. */
  readonly replace?: readonly (readonly [string, string])[]
  /** What the run prints. */
  readonly prints?: readonly RegExp[]
  /** Other blocks of the page that this one goes on from, by number. */
  readonly following?: readonly number[]
}

const bind = (handler: string): string => `
import { ServerCredentials as Insecure_ } from '@grpc/grpc-js'
await new Promise<void>((resolve, reject) => {
  server.bindAsync('127.0.0.1:0', Insecure_.createInsecure(), (error) => (error ? reject(error) : resolve()))
})
${handler}
server.forceShutdown()
`

/** A server of the page's service, for pages that show a client, on the port that its address names. */
const catalogServer = `
import { Server as Server_, ServerCredentials as Insecure_ } from '@grpc/grpc-js'
import { CatalogService as Catalog_ } from './gen/catalog.ts'
const server_ = new Server_()
const handle_ = (_: unknown, callback: (error: null, reply: object) => void) => callback(null, { name: 'a lamp' })
server_.addService(Catalog_, { get: handle_, list: handle_ })
const port_ = await new Promise<number>((resolve, reject) => {
  server_.bindAsync('127.0.0.1:0', Insecure_.createInsecure(), (error, port) => (error ? reject(error) : resolve(port)))
})
const address_ = '127.0.0.1:' + port_
`
const endCatalog = `
await new Promise((resolve) => catalog.get({ sku: 'last' }, resolve))
channel.close()
server_.forceShutdown()
`

/** The policy that the page shows, in a file by the name that its code has. */
const policyFiles = `
import { createServer } from '@grpc-stack/grpc-core'
import { readFileSync as read_, writeFileSync as write_ } from 'node:fs'
const [, policy_ = ''] = /\`\`\`json\\n([^]*?)\`\`\`/.exec(read_('packages/interceptor-auth/README.md', 'utf8')) ?? []
process.chdir(import.meta.dirname)
for (const name of ['policy.json', 'next-policy.json']) write_(name, policy_)
`

const pages: Record<string, readonly Block[]> = {
  'error-details': [
    { after: '', prints: [/sku is missing/] },
    { before: `import { status } from '@grpc/grpc-js'`, after: '' },
  ],
  'free-ended-calls': [{ after: '', prints: [/sessionStreams: \{ state: 'waiting' \}/] }],
  'grpc-core': [
    {
      before: `import { credentials, Server } from '@grpc/grpc-js'
        import { GreeterClient } from './gen/greeter.ts'
        const address = '127.0.0.1:1'
        const insecure_ = credentials.createInsecure()`,
      replace: [['address, credentials,', 'address, insecure_,']],
      after: '',
    },
    {
      before: `import { credentials } from '@grpc/grpc-js'
        import type { MethodDefinition } from '@grpc/grpc-js'
        import { createChannel, createClient, interceptChannel } from '@grpc-stack/grpc-core'
        import { logging } from '@grpc-stack/interceptor-logging'
        import { retry } from '@grpc-stack/interceptor-retry'
        import { GreeterService as Unary_ } from './gen/greeter.ts'
        declare const watch_: MethodDefinition<object, { last: boolean }> & { requestStream: false; responseStream: true }
        declare const upload_: MethodDefinition<string, number> & { requestStream: true; responseStream: false }
        const GreeterService = { ...Unary_, watch: watch_, upload: upload_ }
        declare function readLines(file: string): AsyncIterable<string>
        const file = 'lines.txt'`,
    },
    { after: `console.log(greeterService.sayHello.path)`, prints: [/^\/greet.v1.Greeter\/SayHello$/m] },
    { before: `import { ContextVar, type Interceptor } from '@grpc-stack/grpc-core'`, after: 'void tenant' },
    { after: 'if (slowCalls.name !== "slowCalls") throw new Error(slowCalls.name)' },
  ],
  'grpc-testing': [{}],
  'interceptor-auth': [
    {
      before: `const clientId = 'me'
        const clientSecret = 'secret'
        const seller_ = { path: '/shop.v1.Catalog/Get', requestStream: false, responseStream: false } as const
        const json_ = { serialize: (value: unknown) => Buffer.from(JSON.stringify(value)), parse: (bytes: Buffer) => JSON.parse(String(bytes)) }
        const CatalogService = { get: { ...seller_, requestSerialize: json_.serialize, requestDeserialize: json_.parse,
          responseSerialize: json_.serialize, responseDeserialize: json_.parse } }`,
      after: `channel.close()\n${bind('')}`,
    },
    { before: `import { serverAuth } from '@grpc-stack/interceptor-auth'\n${policyFiles}`, after: 'rules.close()' },
    {
      before: `import { mtls, serverAuth } from '@grpc-stack/interceptor-auth'
import { policyFile } from '@grpc-stack/interceptor-auth/policy'
${policyFiles}`,
      after: 'void trial.counters()',
    },
    { before: `import { createChannel, createServer } from '@grpc-stack/grpc-core'`, after: 'void guard' },
  ],
  'interceptor-circuit': [
    {
      before: catalogServer,
      replace: [
        [`'catalog:50051'`, 'address_'],
        [`'catalog:50051/shop.v1.Catalog'`, `address_ + '/shop.v1.Catalog'`],
      ],
      after: `${endCatalog}
        console.log(breaker.state(address_ + '/shop.v1.Catalog'))`,
      prints: [/a lamp/, /^closed$/m],
    },
  ],
  'interceptor-logging': [
    {},
    {
      following: [0],
      before: `import { credentials } from '@grpc/grpc-js'
        import { GreeterClient } from './gen/greeter.ts'
        let address = '127.0.0.1:1'
        const insecure_ = credentials.createInsecure()`,
      replace: [
        ['address, credentials,', 'address, insecure_,'],
        ['pino()', `pino({ level: 'debug' })`],
        [
          '// Any stub',
          `import { ServerCredentials as Insecure_ } from '@grpc/grpc-js'
        address = await new Promise((resolve, reject) => {
          server.bindAsync('127.0.0.1:0', Insecure_.createInsecure(), (error, port) => (error ? reject(error) : resolve('127.0.0.1:' + port)))
        })
        // Any stub`,
        ],
      ],
      after: `await new Promise((resolve) => greeter.sayHello({ name: 'you' }, resolve))
        greeter.close()
        server.forceShutdown()`,
      prints: [/"grpc.component":"client".*"grpc.code":"OK"/, /"request.id"/],
    },
  ],
  'interceptor-metrics': [
    {
      replace: [
        ['createHttpServer(async', 'const http_ = createHttpServer(async'],
        ['.listen(9464)', '.listen(0)'],
      ],
      after: bind('http_.close()\n  console.log(await recorder.registry.metrics())'),
      prints: [/grpc_server_handled_total\{.*grpc_method="SayHello"/],
    },
    { before: `import { createServer } from '@grpc-stack/grpc-core'` },
    {
      before: `import { createServer } from '@grpc-stack/grpc-core'
        import { metrics } from '@grpc-stack/interceptor-metrics'
        import { prometheus } from '@grpc-stack/interceptor-metrics/prometheus'
        import { tracing } from '@grpc-stack/interceptor-tracing'
        import { type OpenMetricsContentType, Registry } from 'prom-client'`,
      after: 'void server',
    },
    // packages/interceptor-metrics/test/cluster-workers.mjs runs it.
    {},
    {
      before: `import { MeterProvider } from '@opentelemetry/sdk-metrics'
        const meterProvider = new MeterProvider()`,
      after: 'void recorder',
    },
    {
      before: `const client = { increment: (_name: string) => undefined, timing: (_name: string, _ms: number) => undefined }`,
      after: 'void statsd',
    },
  ],
  'interceptor-ratelimit': [
    {
      before: 'const verify = () => ({ subject: "me" })',
      after: 'void server',
      // The page's Redis is not here; nothing is asked of it before a call.
      replace: [['new Redis()', 'new Redis({ lazyConnect: true })']],
    },
    { after: 'void limits' },
  ],
  'interceptor-retry': [
    {
      before: catalogServer,
      replace: [
        [`'catalog:50051'`, 'address_'],
        // A process that has just begun, on a machine that is busy with other tests, takes longer than a server in its stride.
        ['perAttemptTimeoutMs: 400', 'perAttemptTimeoutMs: 30_000'],
        ['Date.now() + 2000', 'Date.now() + 60_000'],
      ],
      after: endCatalog,
      prints: [/a lamp/],
    },
    { after: '' },
  ],
  'interceptor-tracing': [
    {
      replace: [[`'localhost:50051'`, 'address_']],
      before: `import { ServerCredentials as Insecure_ } from '@grpc/grpc-js'
        import { createServer as stock_ } from '@grpc-stack/grpc-core'
        import { GreeterService as Greeter_ } from './gen/greeter.ts'
        const server_ = stock_()
        server_.addService(Greeter_, { sayHello: async () => ({ message: 'hello' }), list: async () => ({ message: '' }) })
        const address_ = await new Promise<string>((resolve, reject) => {
          server_.bindAsync('127.0.0.1:0', Insecure_.createInsecure(), (error, port) => (error ? reject(error) : resolve('127.0.0.1:' + port)))
        })`,
      after: `await new Promise<void>((resolve) => greeter.sayHello({ name: 'you' }, (error, reply) => {
          console.log(error ?? reply?.message)
          resolve()
        }))
        channel.close()
        server_.forceShutdown()
        process.exit()`,
      prints: [/^hello$/m],
    },
  ],
}

const names = publishablePackages().map(({ name }) => name.split('/')[1] as string)
let directory: string

function codeOf(page: string, index: number): string {
  const readme = readFileSync(join(root, 'packages', page, 'README.md'), 'utf8')
  const blocks = [...readme.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code]) => code ?? '')
  const block = pages[page]?.[index] ?? {}
  let code = [...(block.following ?? []), index].map((number) => blocks[number] ?? '').join('\n')
  for (const [from, to] of block.replace ?? []) {
    expect(code, `${page}: the page has ${from}`).toContain(from)
    code = code.replaceAll(from, to)
  }
  return `${block.before ?? ''}\n${code}\n${block.after ?? ''}\nexport {}\n`
}

const all = Object.entries(pages).flatMap(([page, blocks]) => blocks.map((block, index) => ({ page, index, block })))

beforeAll(() => {
  // Inside the checkout, so that the packages resolve as they do for a user who installed them.
  directory = mkdtempSync(join(root, 'test/readme/compiled-'))
  mkdirSync(join(directory, 'gen'))
  cpSync(join(root, 'test/readme/greeter/generated/greeter_pb.ts'), join(directory, 'gen/greeter_pb.ts'))
  writeFileSync(
    join(directory, 'gen/greeter.ts'),
    generated('greet.v1.Greeter', 'sayHello', '{ name: string }', '{ message: string }'),
  )
  writeFileSync(
    join(directory, 'gen/catalog.ts'),
    generated('shop.v1.Catalog', 'get', '{ sku: string }', '{ name: string }'),
  )
  const options = {
    extends: '../../../tsconfig.base.json',
    compilerOptions: {
      outDir: 'out',
      noUnusedLocals: false,
      noUnusedParameters: false,
      noUncheckedIndexedAccess: false,
      lib: ['es2023', 'esnext.disposable'],
    },
    include: ['*.ts', 'gen/*.ts'],
  }
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(options))
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }')
  for (const { page, index } of all) writeFileSync(join(directory, `${page}-${index}.ts`), codeOf(page, index))
})

afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe('the READMEs of the packages', () => {
  it('are all here, with all of their code', () => {
    const found = names.map((name) => {
      const readme = readFileSync(join(root, 'packages', name, 'README.md'), 'utf8')
      return [name, readme.split('\n```ts\n').length - 1]
    })
    expect(Object.fromEntries(Object.entries(pages).map(([page, blocks]) => [page, blocks.length]))).toEqual(
      Object.fromEntries(found),
    )
  })

  it('compile', () => {
    const tsc = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', directory], {
      encoding: 'utf8',
    })
    expect(tsc.stdout + tsc.stderr).toBe('')
  }, 60_000)

  it.each(all.filter(({ block }) => block.after !== undefined))(
    'run: $page, block $index',
    ({ page, index, block }) => {
      const file = join(directory, `out/${page}-${index}.js`)
      const run = spawnSync(process.execPath, [file], { encoding: 'utf8', timeout: 20_000 })
      expect(run.status, run.stderr + run.stdout).toBe(0)
      for (const expected of block.prints ?? []) expect(run.stdout + run.stderr).toMatch(expected)
    },
    30_000,
  )
})
