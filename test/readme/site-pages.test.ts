import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { root } from '../../scripts/workspace.mjs'
import { pages } from '../../site/pages.mjs'
import { run } from '../packaging/npm.ts'

// Every block of TypeScript or JavaScript on the site's own pages is a whole program; TypeScript compiles as it stands. A block that
// begins with the name of a file, `// server.ts`, is that file, for other blocks of its page and of the pages it goes on from.

interface Run {
  readonly page: string
  /** The files to run, in order: those before the last are servers, and go on until the last has ended. */
  readonly files: readonly string[]
  readonly args?: readonly string[]
  readonly prints: readonly RegExp[]
}

const runs: readonly Run[] = [
  {
    page: 'docs/start/first-client.md',
    files: ['server', 'client'],
    prints: [/^Hello world\n1\n2\n3\n\{ value: 42 \}\n4 Deadline exceeded/],
  },
  {
    page: 'docs/start/first-interceptor.md',
    files: ['try-it'],
    prints: [
      /^server .*SayHello: OK/m,
      /^client .*SayHello: OK/m,
      /^server .*: UNAUTHENTICATED/m,
      /^x-caller is missing/m,
    ],
  },
  {
    page: 'docs/start/first-interceptor.md',
    files: ['interceptors.test'],
    args: ['--expose-gc', '--test'],
    prints: [/^(#|ℹ) fail 0$/m, /^(#|ℹ) pass [1-9]\d\d$/m],
  },
  {
    page: 'docs/concepts/call.md',
    files: ['block-0'],
    prints: [/^client: outer in\nclient: inner in\nserver: outer in\nserver: inner in\nhandler\nserver: inner back\n/],
  },
  { page: 'docs/concepts/attempts.md', files: ['block-0'], prints: [/^\{ value: 42 \} after 2 calls$/m] },
  { page: 'docs/concepts/contexts.md', files: ['block-0'], prints: [/^Hello Ann of red\nHello Bob of blue$/m] },
  {
    page: 'docs/concepts/statuses.md',
    files: ['block-0'],
    prints: [/^server: INTERNAL "Internal error", remote, .* cause: Error: the password/m, /refused by closedOnSunday/],
  },
  {
    page: 'docs/guides/async-handlers.md',
    files: ['block-0'],
    prints: [/^Hello you \[ 'miss' \]\nname is missing \[ 'name' \]\ncounted$/m],
  },
  { page: 'docs/guides/error-details.md', files: ['block-0'], prints: [/^name is missing\nagain in 1500 ms$/m] },
  {
    page: 'docs/guides/testing.md',
    files: ['switched-off.test'],
    args: ['--expose-gc', '--test'],
    prints: [/^(#|ℹ) fail 0$/m, /^(#|ℹ) pass 1\d\d$/m],
  },
  { page: 'docs/guides/commonjs.md', files: ['server.cjs'], prints: [/^true true$/m] },
  { page: 'docs/guides/commonjs.md', files: ['greeter.test.cjs'], prints: [/^$/] },
  {
    page: 'docs/migration/from-nice-grpc.md',
    files: ['block-0'],
    prints: [/SayHello OK$/m, /^Hello Ann$/m, /CountTo OK$/m, /^1\n2$/m],
  },
  { page: 'docs/migration/from-grpc-js.md', files: ['block-0'], prints: [/^\[ 'yes' \] \[ 'yes' \]\nOK\nHello you$/m] },
  {
    page: 'docs/migration/from-grpc-python.md',
    files: ['block-0'],
    prints: [/^UNAUTHENTICATED who are you\?\nUNAUTHENTICATED who are you\?$/m],
  },
  { page: 'docs/migration/from-connect.md', files: ['block-0'], prints: [/^server SayHello OK true\n.*\nHello you$/m] },
  { page: 'docs/guides/opentelemetry.md', files: ['block-2'], prints: [/^greet.v1.Greeter\/SayHello you\ntrue$/m] },
]

/** Pages whose files others go on with. */
const before: Record<string, readonly string[]> = {
  'docs/start/first-client.md': ['docs/start/first-server.md'],
}

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
      const own = code.replaceAll('50051', String(grpc)).replaceAll('9464', String(http))
      // JavaScript lies where the compiler puts the rest.
      const isScript = file.endsWith('.cjs')
      const to = isScript ? join(directory, 'out', folderOf(page), file) : join(folder, file)
      mkdirSync(dirname(to), { recursive: true })
      writeFileSync(to, isScript ? own : `${own}\nexport {}\n`)
    }
  }
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
      for (const file of compiled) await serve(file)
      const ran = spawnSync(process.execPath, [...args, last], { encoding: 'utf8', timeout: 150_000 })
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

  it('run: docs/guides/kubernetes.md, which ends by itself when it is told to', async () => {
    const file = join(directory, 'out', folderOf('docs/guides/kubernetes.md'), 'server.js')
    const server = await serve(file, { READINESS_DELAY_MS: '0' })
    let printed = ''
    server.stdout.on('data', (text) => {
      printed += text
    })
    const ended = new Promise((resolve) => server.once('close', resolve))
    server.kill('SIGTERM')
    expect(await ended).toBe(0)
    expect(printed).toBe('drained\n')
  }, 30_000)

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
