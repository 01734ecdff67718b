import { type SpawnSyncOptions, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest'
import { installRuntimes, runtimes } from '../../scripts/runtimes.mjs'
import { installTools, optionalTool, toolPath } from '../../scripts/tools.mjs'
import { publishablePackages, root } from '../../scripts/workspace.mjs'
import { freePort } from '../interop/free-port.ts'
import { installedVersion, npmInstall, packInto, run, tryRun } from './npm.ts'

// One project with the packed packages, whose program (consumer/stack.ts) is compiled, tested, bundled and run in every way that
// applications are. The program says what happened in its RPCs, and that has to be the same each time.

const minute = 60_000
const happened = {
  text: 'ada greets Bob request-1',
  stream: ['hi Bob', 'hi Eve'],
  error: 3,
  reason: 'NOBODY',
  records: 4,
  series: true,
  clock: 0,
  copiesOfGrpcJs: 1,
}

let scratch: string
let app: string
let missing: string | undefined

beforeAll(() => {
  installRuntimes()
  missing = installTools()
  scratch = mkdtempSync(join(tmpdir(), 'grpc-stack-module-systems-'))
  app = join(scratch, 'app')
  cpSync(fileURLToPath(new URL('consumer', import.meta.url)), app, { recursive: true })
  const packed = packInto(scratch, publishablePackages())
  const others = [
    '@grpc/grpc-js',
    '@grpc/proto-loader',
    '@nestjs/common',
    '@nestjs/core',
    '@nestjs/microservices',
    '@opentelemetry/api',
    '@types/node',
    'jose',
    'prom-client',
    'reflect-metadata',
    'rxjs',
  ]
  writeJson('package.json', {
    private: true,
    dependencies: {
      ...Object.fromEntries([...packed.values()].map(({ name, tarball }) => [name, `file:${tarball}`])),
      ...Object.fromEntries(others.map((name) => [name, installedVersion(name)])),
    },
  })
  npmInstall(app)
  symlinkSync(join(root, 'node_modules/vitest'), join(app, 'node_modules/vitest'))
  if (missing === undefined) {
    compile(5, 'commonjs', ['--module', 'commonjs', '--moduleResolution', 'node10'])
    compile(7, 'esm', ['--module', 'esnext', '--moduleResolution', 'bundler'])
    writeJson('out/esm/package.json', { type: 'module' })
    writeJson('out/commonjs/package.json', { type: 'commonjs' })
  }
}, 5 * minute)

afterAll(() => {
  if (scratch) rmSync(scratch, { recursive: true, force: true })
}, minute)

/** A test that says aloud that it was skipped where there is no network to fetch the tools from. */
function prove(title: string, test: (context: TestContext) => void | Promise<void>): void {
  it(
    title,
    (context) => {
      if (missing !== undefined) context.skip(missing)
      return test(context)
    },
    2 * minute,
  )
}

describe('TypeScript', () => {
  const commonjs = ['--module', 'commonjs']
  for (const [version, title, options] of [
    [5, 'node16', ['--module', 'node16']],
    [5, 'nodenext', ['--module', 'nodenext']],
    [6, 'commonjs, node10', [...commonjs, '--moduleResolution', 'node10', '--ignoreDeprecations', '6.0']],
    [6, 'commonjs, bundler', [...commonjs, '--moduleResolution', 'bundler']],
    [6, 'nodenext', ['--module', 'nodenext']],
    [7, 'commonjs', commonjs],
    [7, 'nodenext', ['--module', 'nodenext']],
  ] as const) {
    prove(`${version}, ${title}: compiles a CommonJS program, which runs`, () => {
      const out = compile(version, `${version}-${title.replace(', ', '-')}`, options)
      expect(said(process.execPath, [`${out}/main.js`])).toEqual(happened)
    })
  }

  prove('5, commonjs, node10: compiles a CommonJS program, which runs', () => {
    expect(said(process.execPath, ['out/commonjs/main.js'])).toEqual(happened)
  })

  prove('7, esnext, bundler: compiles an ESM program, which runs', () => {
    expect(said(process.execPath, ['out/esm/main.js'])).toEqual(happened)
  })

  for (const { name, path, version } of runtimes().slice(1)) {
    prove(`its types erased by Node (${name})`, ({ skip }) => {
      if (path === undefined || version === undefined) skip(`${name} is not installed`)
      expect(said(path, ['--experimental-strip-types', 'main.ts'])).toEqual(happened)
    })
  }
})

describe('a project of the Nest CLI', () => {
  const generated = {
    emitDecoratorMetadata: true,
    experimentalDecorators: true,
    target: 'es2023',
    types: ['node'],
    strictNullChecks: true,
    skipLibCheck: true,
    rootDir: '.',
  }
  for (const [title, version, options] of [
    ['today', 6, { module: 'nodenext', moduleResolution: 'nodenext', esModuleInterop: true, isolatedModules: true }],
    ['of older versions', 5, { module: 'commonjs' }],
  ] as const) {
    prove(`as generated ${title}: compiles and runs`, async () => {
      const outDir = `dist-${version}`
      writeJson('nest/tsconfig.json', { compilerOptions: { ...generated, ...options, outDir }, files: ['main.ts'] })
      tsc(version, ['-p', 'nest'])
      const port = await freePort()
      const answer = said(process.execPath, [`${outDir}/main.js`, String(port)], { cwd: join(app, 'nest') })
      expect(answer).toEqual({ name: 'ada greets Bob' })
    })
  }
})

describe('test runners', () => {
  // A runner may bring grpc-js of its own, which is found too.
  const { copiesOfGrpcJs: _, ...expected } = happened
  const body = `const { copiesOfGrpcJs, ...rest } = await run()
  assert.deepEqual(rest, ${JSON.stringify(expected)})`
  const commonjs = (header: string): string => `${header}
const assert = require('node:assert')
const { run } = require('./out/commonjs/stack.js')
test('a full stack', async () => {
  ${body}
}, 30_000)
`
  prove('jest as it comes, without a flag', () => {
    writeFileSync(join(app, 'jest.test.js'), commonjs(''))
    run(process.execPath, [toolPath('jest/bin/jest.js'), '--rootDir', app, 'jest.test.js'], app)
  })

  // `jose` is ES modules only, which jest loads by require() after a transform alone; core and the main entry points need none.
  const jwtInJest = (options: readonly string[]): { status: number | null; output: string } => {
    const test = `test('jwt', () => expect(typeof require('@grpc-stack/interceptor-auth/jwt').jwt).toBe('function'))\n`
    writeFileSync(join(app, 'jwt.test.js'), test)
    return tryRun(process.execPath, [toolPath('jest/bin/jest.js'), '--rootDir', app, ...options, 'jwt.test.js'], app)
  }

  prove('jest as it comes: says of interceptor-auth/jwt what to configure', () => {
    writeFileSync(
      join(app, 'auth.test.js'),
      `test('auth', () => expect(typeof require('@grpc-stack/interceptor-auth').serverAuth).toBe('function'))\n`,
    )
    run(process.execPath, [toolPath('jest/bin/jest.js'), '--rootDir', app, 'auth.test.js'], app)
    const { status, output } = jwtInJest([])
    expect(status).toBe(1)
    expect(output).toMatch(/jose[\s\S]*transformIgnorePatterns/)
  })

  prove('jest, with jose transformed as docs/runtimes.md says: interceptor-auth/jwt', () => {
    const page = readFileSync(join(root, 'docs/runtimes.md'), 'utf8')
    const [, configuration = ''] = /^```json\n(.*?)^```/ms.exec(page) ?? []
    const [, transform = ''] = /^```js\n(\/\/ to-commonjs\.cjs\n.*?)^```/ms.exec(page) ?? []
    writeFileSync(join(app, 'jest.json'), configuration)
    writeFileSync(join(app, 'to-commonjs.cjs'), transform.replace(`'esbuild'`, JSON.stringify(toolPath('esbuild'))))
    const { status, output } = jwtInJest(['--config', 'jest.json'])
    expect(status, output).toBe(0)
  })

  prove('vitest', () => {
    const test = `import assert from 'node:assert'
import { test } from 'vitest'
import { run } from './out/esm/stack.js'
test('a full stack', async () => {
  ${body}
}, 30_000)
`
    writeFileSync(join(app, 'vitest.test.mjs'), test)
    run(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', 'vitest.test.mjs'], app)
  })

  prove('node:test', () => {
    const test = commonjs("const { test } = require('node:test')").replace('}, 30_000)', '})')
    writeFileSync(join(app, 'node.test.cjs'), test)
    run(process.execPath, ['--test', 'node.test.cjs'], app)
  })
})

describe('bundles of one file', () => {
  // What is bundled has no copy of grpc-js on disk; that of the project is found from where the bundle is.
  for (const minify of [false, true]) {
    for (const format of ['esm', 'cjs'] as const) {
      const title = `${format === 'esm' ? 'ESM' : 'CommonJS'}${minify ? ', minified' : ''}`
      const name = `${format}${minify ? '-min' : ''}.${format === 'esm' ? 'mjs' : 'cjs'}`

      prove(`esbuild: ${title}`, async () => {
        const { build } = await import(toolPath('esbuild/lib/main.js'))
        const file = `bundles/esbuild-${name}`
        // What esbuild's documentation says to do for CommonJS packages that require Node's own.
        const js =
          "import { createRequire as __createRequire } from 'node:module';const require = __createRequire(import.meta.url);"
        await build({
          absWorkingDir: app,
          entryPoints: ['main.ts'],
          outfile: file,
          bundle: true,
          platform: 'node',
          logLevel: 'silent',
          format,
          minify,
          ...(format === 'esm' ? { banner: { js } } : {}),
        })
        expect(said(process.execPath, [file])).toEqual(happened)
      })

      prove(`rolldown: ${title}`, async () => {
        const file = join(app, `bundles/rolldown-${name}`)
        const bundle = await rolldown({ cwd: app, input: 'main.ts', platform: 'node' })
        await bundle.write({ file, format, minify, codeSplitting: false })
        await bundle.close()
        expect(said(process.execPath, [file])).toEqual(happened)
      })
    }
  }

  for (const [folder, minify] of [
    ['esm', false],
    ['commonjs', true],
  ] as const) {
    prove(`webpack: of ${folder}${minify ? ', minified' : ''}`, async () => {
      const filename = `webpack-${folder}.cjs`
      const configuration = {
        context: app,
        target: 'node',
        mode: minify ? 'production' : 'development',
        devtool: false,
        entry: `./out/${folder}/main.js`,
        output: { path: join(app, 'bundles'), filename },
      }
      writeJson('webpack.json', configuration)
      const script = `require(${JSON.stringify(toolPath('webpack'))})(require('./webpack.json'), (error, stats) => {
        if (error || stats.hasErrors()) throw error ?? new Error(stats.toString())
        const ours = stats.compilation.warnings.map(String).filter((text) => text.includes('@grpc-stack'))
        if (ours.length > 0) throw new Error(ours.join())
      })`
      run(process.execPath, ['-e', script], app)
      expect(said(process.execPath, [`bundles/${filename}`])).toEqual(happened)
    })
  }
})

describe.each(['esm', 'commonjs'])('%s', (folder) => {
  const program = `out/${folder}/main.js`

  for (const { name, path, version } of runtimes()) {
    const major = Number(version?.slice(1).split('.')[0])
    const permission = [
      major < 22 ? '--experimental-permission' : '--permission',
      '--allow-fs-read=*',
      ...(major > 24 ? ['--allow-net'] : []),
    ]
    for (const flags of [permission, ['--frozen-intrinsics'], ['--disallow-code-generation-from-strings']]) {
      prove(`runs under ${flags[0]} (${name})`, ({ skip }) => {
        if (path === undefined || version === undefined) skip(`${name} is not installed`)
        expect(said(path, [...flags, program])).toEqual(happened)
      })
    }
  }

  prove('runs in workers, two at once', () => {
    expect(said(process.execPath, ['in-worker.cjs', `./${program}`])).toEqual([happened, happened])
  })

  // What free-ended-calls does is made for V8, and it finds no copy of grpc-js elsewhere to do it to.
  const elsewhere = { ...happened, copiesOfGrpcJs: 0 }

  prove('runs in Bun', ({ skip }) => {
    const bun = optionalTool('@oven/bun-linux-x64/bin/bun') ?? skip('there is no Bun for this platform')
    expect(said(bun, [program])).toEqual(elsewhere)
  })

  prove('runs in Deno', ({ skip }) => {
    const deno = optionalTool('@deno/linux-x64-glibc/deno') ?? skip('there is no Deno for this platform')
    expect(said(deno, ['run', '-A', '--no-lock', '--node-modules-dir=manual', program])).toEqual(elsewhere)
  })
})

it(
  'serves from two processes of a cluster',
  () => {
    expect(said(process.execPath, ['in-cluster.cjs'])).toEqual({ ports: 1, processes: 2 })
  },
  minute,
)

const checked = new Set<number>()

/** Compiles the program, strictly. Returns the folder of the output. */
function compile(version: 5 | 6 | 7, name: string, options: readonly string[]): string {
  const outDir = `out/${name}`
  const strict = ['--strict', '--exactOptionalPropertyTypes', '--types', 'node']
  // Declarations are checked once per compiler, because that takes as long as all the rest.
  if (checked.has(version)) strict.push('--skipLibCheck')
  checked.add(version)
  const emit = ['--target', 'es2022', '--rewriteRelativeImportExtensions', '--rootDir', '.', '--outDir', outDir]
  tsc(version, [...strict, ...emit, ...options, 'main.ts'])
  return outDir
}

function tsc(version: 5 | 6 | 7, options: readonly string[]): void {
  const compiler = version === 7 ? join(root, 'node_modules/typescript') : toolPath(`typescript-${version}`)
  run(process.execPath, [join(compiler, 'bin/tsc'), ...options], app)
}

/** What a program printed, as JSON. Throws with all it printed when it failed. */
function said(command: string, args: readonly string[], options: SpawnSyncOptions = {}): unknown {
  const { stdout, stderr, status, error } = spawnSync(command, args, {
    cwd: app,
    timeout: minute,
    ...options,
    encoding: 'utf8',
  })
  if (error) throw error
  const lines = stdout.trim().split('\n')
  if (status !== 0)
    throw new Error(`${command} ${args.join(' ')} ended with ${status}\n${stdout}${stderr}`.slice(0, 5000))
  return JSON.parse(lines.at(-1) ?? '')
}

function writeJson(file: string, value: object): void {
  const path = join(app, file)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, JSON.stringify(value))
}
