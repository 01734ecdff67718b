import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { credentials } from '@grpc/grpc-js'
import { createChannel, createClient } from '@grpc-stack/grpc-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  HealthCheckResponse_ServingStatus,
  HealthService,
} from '../../examples/shop/src/generated/grpc/health/v1/health.ts'
import { root } from '../../scripts/workspace.mjs'
import { pages } from '../../site/pages.mjs'
import { run } from '../packaging/npm.ts'
import { GreeterService } from './greeter/generated/greeter.ts'
import { type Certificates, makeCertificates } from './identity-provider.ts'
import { before, compiledOnly, programs, runs } from './site-page-runs.ts'

// Every block of TypeScript or JavaScript on the site's own pages is a whole program; TypeScript compiles as it stands. A block that
// begins with the name of a file, `// server.ts`, is that file, for other blocks of its page and of the pages it goes on from.

const own = pages.filter((page) => page.startsWith('docs/'))
const read = (file: string): string => readFileSync(join(root, file), 'utf8')

interface Block {
  readonly file: string
  readonly code: string
}

function blocksOf(page: string): Block[] {
  return [...read(page).matchAll(/^```(?:ts|js)\n(.*?)^```/gms)].map(([, code = ''], index) => {
    const [, name] = /^\/\/ (\S+\.(?:ts|cjs))\n/.exec(code) ?? []
    return { file: name ?? `block-${index}.ts`, code }
  })
}

const folderOf = (page: string): string => page.replace('docs/', '').replace('.md', '').replaceAll('/', '-')

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Of every page: what its port 50051 and its port 9464 have become. */
const ports = new Map<string, { readonly grpc: number; readonly http: number }>()
let directory: string
let certificates: Certificates
const started: ChildProcess[] = []

beforeAll(async () => {
  // Inside the checkout, so that the packages resolve as they do for a user who installed them.
  directory = mkdtempSync(join(root, 'test/readme/compiled-'))
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }')
  const options = {
    extends: '../../../tsconfig.base.json',
    compilerOptions: { outDir: 'out', isolatedDeclarations: false, declaration: false, noUnusedLocals: false },
    include: ['**/*.ts'],
  }
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(options))
  for (const page of own) {
    const { grpc, http } = { grpc: await freePort(), http: await freePort() }
    ports.set(page, { grpc, http })
    const folder = join(directory, folderOf(page))
    cpSync(join(root, 'test/readme/greeter/generated'), join(folder, 'gen'), { recursive: true })
    // The standard health service, as the same generator writes it.
    cpSync(join(root, 'examples/shop/src/generated/grpc'), join(folder, 'gen/grpc'), { recursive: true })
    for (const { file, code } of [...(before[page] ?? []), page].flatMap(blocksOf)) {
      const own = code
        .replaceAll('greeter.example.com:443', `localhost:${grpc}`)
        .replaceAll('50051', String(grpc))
        .replaceAll(/9464|4317/g, String(http))
        .replaceAll('//id.example.com/', `//localhost:${http}/`)
      // JavaScript lies where the compiler puts the rest.
      const isScript = file.endsWith('.cjs')
      const to = isScript ? join(directory, 'out', folderOf(page), file) : join(folder, file)
      mkdirSync(dirname(to), { recursive: true })
      writeFileSync(to, isScript ? own : `${own}\nexport {}\n`)
    }
    // Where a process that runs them looks for files.
    mkdirSync(join(directory, 'out', folderOf(page), 'proto'), { recursive: true })
    cpSync(
      join(root, 'test/readme/greeter/greeter.proto'),
      join(directory, 'out', folderOf(page), 'proto/greeter.proto'),
    )
  }
  cpSync(join(root, 'test/readme/programs'), join(directory, 'out/programs'), { recursive: true })
  certificates = makeCertificates(
    join(directory, 'out', folderOf('docs/guides/tokens-and-certificates.md'), 'certificates'),
  )
})

afterAll(() => {
  for (const child of started) child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})

/** Runs a server and resolves once it has printed something. */
async function serve(file: string, env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  })
  started.push(child)
  await new Promise((resolve, reject) => {
    child.stdout.once('data', resolve)
    child.once('exit', (code) => reject(new Error(`${file} ended with ${code}`)))
  })
  return child
}

describe('the pages of the site', () => {
  it('have code that compiles', () => {
    const tsc = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', directory], {
      encoding: 'utf8',
    })
    expect(tsc.stdout + tsc.stderr).toBe('')
  }, 60_000)

  it.each(runs)(
    'run: $page, $files',
    async ({ page, files, args = [], prints }) => {
      const folder = join(directory, 'out', folderOf(page))
      const compiled = files.map((file) => join(folder, file.endsWith('.cjs') ? file : `${file}.js`))
      const last = compiled.pop() as string
      const servers = await Promise.all(compiled.map((file) => serve(file)))
      const ran = spawnSync(process.execPath, [...args, last], { encoding: 'utf8', timeout: 150_000 })
      const ends = servers.map((server) => once(server, 'close'))
      for (const server of servers) server.kill('SIGKILL')
      await Promise.all(ends)
      expect(ran.status, ran.stderr + ran.stdout).toBe(0)
      for (const expected of prints) expect(ran.stdout).toMatch(expected)
    },
    160_000,
  )

  it('run: docs/guides/prometheus.md, which is scraped', async () => {
    const page = 'docs/guides/prometheus.md'
    await serve(join(directory, 'out', folderOf(page), 'block-0.js'))
    const scraped = await (await fetch(`http://127.0.0.1:${ports.get(page)?.http}/metrics`)).text()
    expect(scraped).toMatch(/^grpc_server_handled_total\{.*grpc_method="SayHello",grpc_code="OK"\} 1$/m)
    expect(scraped).toMatch(/^grpc_client_handled_total\{.*grpc_method="SayHello",grpc_code="OK"\} 1$/m)
  }, 30_000)

  describe.each(programs)('$page, by the program $program', ({ program, page, beside, prints, missing }) => {
    if (missing !== undefined) console.warn(`${page} is not run: ${missing}`)

    it.skipIf(missing !== undefined)(
      'runs',
      async () => {
        const { grpc, http } = ports.get(page) as { grpc: number; http: number }
        const around = await beside?.({ certificates, httpPort: http })
        const env = { ...process.env, GRPC_PORT: String(grpc), COLLECTOR_PORT: String(http), ...around?.env }
        const child = spawn(process.execPath, [join(directory, `out/programs/${program}.mjs`)], {
          cwd: join(directory, 'out', folderOf(page)),
          env,
        })
        started.push(child)
        let printed = ''
        let failure = ''
        child.stdout.on('data', (text) => (printed += text))
        child.stderr.on('data', (text) => (failure += text))
        const code = await new Promise((resolve) => child.once('close', resolve))
        await around?.end()
        expect(code, failure + printed).toBe(0)
        for (const expected of prints) expect(`${printed}\n${failure}`).toMatch(expected)
      },
      30_000,
    )
  })

  it('run: docs/guides/kubernetes.md, whose probes hear of the end before its calls do', async () => {
    const page = 'docs/guides/kubernetes.md'
    const server = await serve(join(directory, 'out', folderOf(page), 'server.js'), { READINESS_DELAY_MS: '1000' })
    let printed = ''
    server.stdout.on('data', (text) => {
      printed += text
    })
    const ended = new Promise((resolve) => server.once('close', resolve))
    const channel = createChannel(`127.0.0.1:${ports.get(page)?.grpc}`, credentials.createInsecure())
    const health = createClient(HealthService, channel)
    const { SERVING, NOT_SERVING } = HealthCheckResponse_ServingStatus
    // As the kubelet asks: for no service in particular.
    const probe = async () => (await health.check({ service: '' })).status
    expect(await probe()).toBe(SERVING)

    server.kill('SIGTERM')
    const answers: HealthCheckResponse_ServingStatus[] = [SERVING]
    while (answers.at(-1) === SERVING) answers.push(await probe())
    expect(answers.at(-1)).toBe(NOT_SERVING)
    // It goes on serving all the same, until clients and proxies have heard of it.
    expect(await createClient(GreeterService, channel).sayHello({ name: 'you' })).toEqual({ message: 'Hello you' })
    expect(await ended).toBe(0)
    expect(printed).toMatch(/drained\n$/)
    channel.close()
  }, 30_000)

  it('say of Kubernetes a time for the end that is enough', () => {
    const page = read('docs/guides/kubernetes.md')
    const number = (pattern: RegExp): number => Number(pattern.exec(page)?.[1]?.replace('_', ''))
    const delayMs = number(/READINESS_DELAY_MS \?\? (\d+)/)
    const graceMs = number(/drain\(([\d_]+)\)/)
    expect(number(/terminationGracePeriodSeconds: (\d+)/) * 1000).toBeGreaterThan(delayMs + graceMs)
  })

  it('have no block that is not run, but for those with a reason', () => {
    const ran = new Set([
      ...runs.flatMap(({ page, files }) =>
        files.flatMap((file) => [page, ...(before[page] ?? [])].map((of) => `${of} ${file}`)),
      ),
      ...programs.flatMap(({ page, blocks }) => blocks.map((file) => `${page} ${file}`)),
      'docs/guides/prometheus.md block-0',
      'docs/guides/kubernetes.md server',
      ...Object.keys(compiledOnly),
    ])
    const named = (file: string): string => file.replace(/\.ts$/, '')
    const isImported = (page: string, file: string): boolean =>
      blocksOf(page).some(({ code }) => code.includes(`from './${file}'`))
    const silent = own.flatMap((page) =>
      blocksOf(page)
        .filter(({ file }) => !ran.has(`${page} ${named(file)}`) && !isImported(page, file))
        .map(({ file }) => `${page} ${named(file)}`),
    )
    expect(silent).toEqual([])
  })

  it('are all in the side bar', () => {
    const files = run('git', ['ls-files', 'docs/*.md'], root).stdout.trim().split('\n')
    expect(files.filter((file) => !pages.includes(file))).toEqual([])
  })

  it('have drawings that share one style', () => {
    const styles = readdirSync(join(root, 'docs/drawings')).map(
      (file) => /<style>.*<\/style>/s.exec(read(`docs/drawings/${file}`))?.[0],
    )
    expect(styles.length).toBeGreaterThan(3)
    expect(new Set(styles).size).toBe(1)
  })

  it('show the service that their code was generated from', () => {
    expect(read('docs/start/install.md')).toContain(`\`\`\`proto\n${read('test/readme/greeter/greeter.proto')}\`\`\``)
  })
})
