import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { installRuntimes, runtimes } from '../../scripts/runtimes.mjs'
import { publishablePackages } from '../../scripts/workspace.mjs'
import { installedVersion, npmInstall, type Packed, packFolder, packInto, run, typeErrors } from './npm.ts'

// An application with two versions of the packages in its tree: its own, and those of a package that it depends on.

const minute = 60_000
const names = ['grpc-core', 'interceptor-auth', 'interceptor-logging', 'interceptor-metrics', 'interceptor-retry'].map(
  (name) => `@grpc-stack/${name}`,
)
const core = '@grpc-stack/grpc-core'
/** Of this one both have the same: it keeps no state. */
const details = '@grpc-stack/error-details'

const served = { principal: 'ada', requestId: 'request-1' }
const failed = '9 sold out'

const ownVersion = installedVersion(core)
/** What a range of the manifests allows beside it. */
const laterPatch = ownVersion.replace(/\d+$/, (patch) => String(Number(patch) + 1))

let scratch: string
let app: string
let packed: Map<string, Packed>

beforeAll(() => {
  installRuntimes()
  scratch = mkdtempSync(join(tmpdir(), 'grpc-stack-two-copies-'))
  packed = packInto(
    scratch,
    publishablePackages().filter(({ name }) => name === details || names.includes(name)),
  )
  const later = Object.fromEntries(names.map((name) => [name, `file:${asVersion(name, laterPatch)}`]))
  const next = { [core]: `file:${asVersion(core, '2.0.0', 2)}` }
  const exported = `export * as core from '${core}'\n`
  const acme = `${exported}export * as auth from '@grpc-stack/interceptor-auth'
export * as logging from '@grpc-stack/interceptor-logging'
export * as prom from '@grpc-stack/interceptor-metrics/prometheus'
export * as retries from '@grpc-stack/interceptor-retry'
`
  app = join(scratch, 'app')
  mkdirSync(app)
  writeManifest(app, {
    private: true,
    dependencies: {
      '@grpc/grpc-js': installedVersion('@grpc/grpc-js'),
      'prom-client': installedVersion('prom-client'),
      ...Object.fromEntries([...names, details].map((name) => [name, `file:${tarballOf(name)}`])),
      acme: `file:${packageOf('acme', acme, later)}`,
      'acme-next': `file:${packageOf('acme-next', exported, next)}`,
    },
  })
  copyFileSync(new URL('two-copies.mjs', import.meta.url), join(app, 'two-copies.mjs'))
  npmInstall(app)
}, 5 * minute)

afterAll(() => {
  if (scratch) rmSync(scratch, { recursive: true, force: true })
}, minute)

describe('an application with two versions of the packages', () => {
  it('has them in its tree', () => {
    const versionIn = (folder: string): string =>
      JSON.parse(readFileSync(join(app, folder, 'node_modules', core, 'package.json'), 'utf8')).version
    expect(versionIn('')).toBe(ownVersion)
    expect([versionIn('node_modules/acme'), versionIn('node_modules/acme-next')]).toEqual([laterPatch, '2.0.0'])
  })

  for (const { name, path } of runtimes()) {
    it(
      `behaves as with one, and refuses an incompatible one (${name})`,
      ({ skip }) => {
        if (!path) {
          skip(`${name} is not installed: node scripts/runtimes.mjs --install`)
          return
        }
        const happened = JSON.parse(run(path, ['two-copies.mjs'], app).stdout)
        expectOne(happened)
        expect(happened.incompatible).toHaveLength(5)
        for (const text of happened.incompatible) {
          expect(text).toMatch(/^TypeError: /)
          expect(text).toMatch(/2\.0\.0 \(protocol 2\)/)
          expect(text).toContain(`grpc-core ${ownVersion} (protocol 1)`)
          expect(text).toContain('npm ls @grpc-stack/grpc-core')
        }
      },
      minute,
    )
  }

  for (const { name, path } of runtimes()) {
    it(
      `behaves as with one when it both imports and requires the packages (${name})`,
      ({ skip }) => {
        if (!path) {
          skip(`${name} is not installed: node scripts/runtimes.mjs --install`)
          return
        }
        expectOne(JSON.parse(run(path, ['two-copies.mjs', 'commonjs'], app).stdout))
      },
      minute,
    )
  }

  it(
    'type-checks where it composes what both make',
    () => {
      const text = `import * as own from '${core}'
import { retry } from '@grpc-stack/interceptor-retry'
import { serverAuth } from '@grpc-stack/interceptor-auth'
import * as acme from 'acme'

declare const clientObject: acme.core.ClientInterceptor
declare const serverObject: acme.core.ServerInterceptor
declare const channel: acme.core.Channel
export const errors: own.RpcError = new acme.core.RpcError(5)
export const client = own.clientInterceptors(acme.retries.retry(), acme.core.chain(acme.core.propagate()), clientObject)
export const server: own.StackServer = own.createServer({
  interceptors: [acme.logging.requestId(), acme.core.select('*', acme.logging.requestId()), serverObject],
})
export const joined: own.Channel = own.interceptChannel(channel, retry(), acme.core.propagate())
export const auth: acme.core.ServerInterceptorLike = serverAuth({ verify: () => null })
export const read: own.Interceptor<own.ClientCall> = (call, next) => {
  call.option(new acme.core.CallOption<number>('n'))
  call.context.get(acme.auth.principalVar)
  return next()
}
`
      expect(typeErrors(app, text)).toEqual([])
    },
    minute,
  )
})

/** What has to happen with two copies, whatever makes them two. */
function expectOne(happened: Record<string, unknown>): void {
  expect(happened).toMatchObject({
    copies: { core: true, auth: true, logging: true, prom: true },
    'request id in a record of the other copy': [true, true, true, true],
    'recorder of a registry': true,
  })
  for (const which of ['own on acme', 'acme on own']) {
    expect(happened).toMatchObject({
      [`${which}: principal and request id in a handler, createServer`]: served,
      [`${which}: principal and request id in a handler, stock server`]: served,
      [`${which}: propagate`]: [true, true, true, true],
      [`${which}: interceptors of a channel`]: 'channel added channel channel call',
      [`${which}: errors of a handler and an interceptor`]: [failed, failed, failed],
      [`${which}: options per call`]: 2,
    })
  }
}

/** The tarball of a package of the workspace under another version, of core also with another protocol. */
function asVersion(name: string, version: string, protocol = 1): string {
  const folder = join(scratch, `${name.replace('/', '-')}-${version}`)
  mkdirSync(folder)
  run('tar', ['-xzf', tarballOf(name), '-C', folder], scratch)
  const source = join(folder, 'package')
  const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'))
  writeManifest(source, { ...manifest, version })
  if (name === core) {
    for (const file of ['dist', 'commonjs'].map((folder) => join(source, folder, 'runtime/version.js'))) {
      const text = readFileSync(file, 'utf8')
        .replace(/VERSION = '[^']*'/, `VERSION = '${version}'`)
        .replace(/PROTOCOL = \d+/, `PROTOCOL = ${protocol}`)
      expect(text).toContain(`VERSION = '${version}'`)
      expect(text).toContain(`PROTOCOL = ${protocol}`)
      writeFileSync(file, text)
    }
  }
  return packFolder(scratch, source)
}

/** The tarball of a package with this module and these dependencies. */
function packageOf(name: string, text: string, dependencies: Record<string, string>): string {
  const source = join(scratch, name)
  mkdirSync(source)
  writeManifest(source, { name, version: '1.0.0', type: 'module', exports: './index.js', dependencies })
  writeFileSync(join(source, 'index.js'), text)
  writeFileSync(join(source, 'index.d.ts'), text)
  return packFolder(scratch, source)
}

function writeManifest(folder: string, manifest: object): void {
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
}

function tarballOf(name: string): string {
  const { tarball } = packed.get(name) ?? {}
  if (tarball === undefined) throw new Error(`${name} was not packed`)
  return tarball
}
