import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeNextRelease } from '../../scripts/release-dry.mjs'
import { installTools, toolPath } from '../../scripts/tools.mjs'
import { publishablePackages } from '../../scripts/workspace.mjs'
import { freePort } from '../interop/free-port.ts'
import { run, typeErrors } from './npm.ts'

// The next release, as far as it can be had without releasing: all packages go to a registry on this machine, and one of them is
// installed from there in an empty project.

const minute = 60_000
const chosen = '@grpc-stack/interceptor-retry'

let scratch: string
let app: string
let registry: string
let verdaccio: ChildProcess | undefined
let missing: string | undefined

beforeAll(async () => {
  missing = installTools()
  if (missing !== undefined) return
  scratch = mkdtempSync(join(tmpdir(), 'grpc-stack-publish-'))
  app = join(scratch, 'app')
  mkdirSync(app)
  const port = await freePort()
  registry = `http://127.0.0.1:${port}/`
  const upstream = run('npm', ['config', 'get', 'registry'], scratch).stdout.trim()
  const config = join(scratch, 'verdaccio.yaml')
  writeFileSync(
    config,
    JSON.stringify({
      storage: join(scratch, 'storage'),
      auth: { htpasswd: { file: join(scratch, 'htpasswd') } },
      uplinks: { upstream: { url: upstream, timeout: '60s' } },
      packages: {
        '@grpc-stack/*': { access: '$all', publish: '$all' },
        '**': { access: '$all', proxy: 'upstream' },
      },
      web: { enable: false },
      log: { type: 'stdout', format: 'json', level: 'warn' },
    }),
  )
  verdaccio = spawn(process.execPath, [toolPath('verdaccio/bin/verdaccio'), '--config', config, '--listen', registry], {
    stdio: 'ignore',
  })
  await answering(registry, verdaccio)
  // What npm reads on its way: the registry, and a token, which it wants to see before it publishes anywhere.
  writeFileSync(join(scratch, 'npmrc'), `registry=${registry}\n//127.0.0.1:${port}/:_authToken=anyone\n`)
  const selection = publishablePackages().flatMap(({ dir }) => ['--workspace', dir])
  const next = join(scratch, 'next')
  makeNextRelease(next)
  run('npm', ['publish', '--ignore-scripts', ...asConfigured(), ...selection], next)
  writeFileSync(join(app, 'package.json'), '{ "private": true }')
  run('npm', ['install', chosen, '--no-audit', '--no-fund', '--ignore-scripts', ...asConfigured()], app)
}, 5 * minute)

afterAll(async () => {
  if (verdaccio?.exitCode === null) {
    verdaccio.kill()
    await once(verdaccio, 'exit')
  }
  if (scratch) rmSync(scratch, { recursive: true, force: true })
}, minute)

describe('one package, installed from a registry in an empty project', () => {
  it('brings itself, what it depends on, core, and their peers', ({ skip }) => {
    if (missing !== undefined) skip(missing)
    // Error details say how long to wait; they are a dependency of retry.
    const ours = ['error-details', 'grpc-core', 'interceptor-retry']
    expect(readdirSync(join(app, 'node_modules/@grpc-stack')).sort()).toEqual(ours)
    const locked = JSON.parse(readFileSync(join(app, 'package-lock.json'), 'utf8')).packages as Record<string, Locked>
    const brought = Object.keys(locked).filter((path) => path !== '' && !path.includes('@grpc-stack/'))
    expect(brought).toContain('node_modules/@grpc/grpc-js')
    expect(brought.sort()).toEqual([...closure(locked, 'node_modules/@grpc/grpc-js')].sort())
  })

  const program = `
const codec = { serialize: (value) => Buffer.from(JSON.stringify(value)), deserialize: (bytes) => JSON.parse(bytes) }
const method = { path: '/acme.Test/Try', requestStream: false, responseStream: false, requestSerialize: codec.serialize,
  requestDeserialize: codec.deserialize, responseSerialize: codec.serialize, responseDeserialize: codec.deserialize }
let attempts = 0
const server = createServer()
server.addService({ try: method }, { try: () => {
  if (++attempts < 3) throw new RpcError(status.UNAVAILABLE, 'not yet')
  return { attempts }
} })
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), async (_error, port) => {
  const channel = createChannel('127.0.0.1:' + port, credentials.createInsecure())
  const client = createClient({ try: method }, interceptChannel(channel, retry({ idempotent: '*', maxAttempts: 3, initialBackoffMs: 1 })))
  console.log(JSON.stringify(await client.try({})))
  channel.close()
  server.forceShutdown()
})
`
  const imported = [
    [['credentials', 'ServerCredentials', 'status'], '@grpc/grpc-js'],
    [['createChannel', 'createClient', 'createServer', 'interceptChannel', 'RpcError'], '@grpc-stack/grpc-core'],
    [['retry'], chosen],
  ] as const

  it(
    'runs as ESM',
    ({ skip }) => {
      if (missing !== undefined) skip(missing)
      const imports = imported.map(([names, from]) => `import { ${names.join(', ')} } from '${from}'\n`)
      writeFileSync(join(app, 'main.mjs'), imports.join('') + program)
      expect(JSON.parse(run(process.execPath, ['main.mjs'], app).stdout)).toEqual({ attempts: 3 })
    },
    minute,
  )

  it(
    'runs as CommonJS',
    ({ skip }) => {
      if (missing !== undefined) skip(missing)
      const requires = imported.map(([names, from]) => `const { ${names.join(', ')} } = require('${from}')\n`)
      writeFileSync(join(app, 'main.cjs'), requires.join('') + program)
      expect(JSON.parse(run(process.execPath, ['main.cjs'], app).stdout)).toEqual({ attempts: 3 })
    },
    minute,
  )

  it(
    'compiles in strict TypeScript',
    ({ skip }) => {
      if (missing !== undefined) skip(missing)
      const text = `import { clientInterceptors } from '@grpc-stack/grpc-core'
import { retry } from '${chosen}'
export const interceptors = clientInterceptors(retry({ maxAttempts: 3 }))
// @ts-expect-error an option that does not exist
retry({ attempts: 3 })
`
      // grpc-js brings the types of Node.
      expect(typeErrors(app, text)).toEqual([])
    },
    minute,
  )
})

interface Locked {
  readonly dependencies?: Record<string, string>
  readonly optionalDependencies?: Record<string, string>
}

/** What a locked package brings along, itself included. */
function closure(locked: Record<string, Locked>, path: string, found = new Set<string>()): Set<string> {
  if (found.has(path)) return found
  found.add(path)
  const { dependencies, optionalDependencies } = locked[path] ?? {}
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
    const nested = `${path}/node_modules/${name}`
    const target = nested in locked ? nested : `node_modules/${name}`
    if (target in locked) closure(locked, target, found)
  }
  return found
}

function asConfigured(): string[] {
  return ['--userconfig', join(scratch, 'npmrc'), '--registry', registry]
}

async function answering(url: string, server: ChildProcess): Promise<void> {
  for (;;) {
    if (server.exitCode !== null) throw new Error(`verdaccio ended with ${server.exitCode}`)
    const answered = await fetch(`${url}-/ping`).then(
      ({ ok }) => ok,
      () => false,
    )
    if (answered) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
