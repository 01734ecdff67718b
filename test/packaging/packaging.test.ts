import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { installRuntimes, runtimes } from '../../scripts/runtimes.mjs'
import { entryPoints, publishablePackages, root } from '../../scripts/workspace.mjs'

// Every package as a user gets it: packed by npm, installed from the tarball into an empty project, loaded by each Node
// version the project supports. The siblings a package depends on are installed from their tarballs too.

const packages = publishablePackages()
const runtimeNames = runtimes().map(({ name }) => name)
const minute = 60_000

interface Packed {
  name: string
  tarball: string
  files: string[]
}

let scratch: string
const packed = new Map<string, Packed>()

beforeAll(() => {
  installRuntimes()
  scratch = mkdtempSync(join(tmpdir(), 'grpc-stack-packaging-'))
  const selection = packages.flatMap(({ dir }) => ['--workspace', dir])
  const json = run(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', scratch, ...selection],
    root,
  ).stdout
  for (const { name, filename, files } of JSON.parse(json) as PackReport[]) {
    packed.set(name, { name, tarball: join(scratch, filename), files: files.map(({ path }) => path) })
  }
}, 5 * minute)

afterAll(() => {
  if (scratch) rmSync(scratch, { recursive: true, force: true })
}, minute)

describe.each(packages)('$name', ({ name, dir, manifest }) => {
  const short = name.split('/')[1] ?? name
  const specifiers = entryPoints({ name, dir, manifest }).map(({ specifier }) => specifier)
  const subpaths = specifiers.filter((specifier) => specifier !== name)
  const peers = Object.keys(manifest.peerDependencies ?? {})
  const optionalPeers = peers.filter((peer) => manifest.peerDependenciesMeta?.[peer]?.optional)
  const requiredPeers = peers.filter((peer) => !optionalPeers.includes(peer))
  const installWith = (project: string, chosen: string[]): void => installProject(join(scratch, project), name, chosen)

  it('ships what was built, its sources, a README and the licence, and no tests', () => {
    const { files } = theTarballOf(name)
    expect(files).toEqual(
      expect.arrayContaining(['README.md', 'LICENSE', 'package.json', 'dist/index.js', 'dist/index.d.ts']),
    )
    expect(files.filter((file) => /\.test(-d)?\.|tsbuildinfo/.test(file))).toEqual([])
    // A file left over from a source that is gone: `npm run clean` removes it.
    const orphans = files.filter(
      (file) => /^dist\/.*\.js$/.test(file) && !files.includes(file.replace(/^dist/, 'src').replace(/\.js$/, '.ts')),
    )
    expect(orphans).toEqual([])
  })

  it(
    'passes publint',
    () => {
      const { status, output } = tryRun(process.execPath, [
        binary('publint'),
        'run',
        theTarballOf(name).tarball,
        '--strict',
      ])
      expect(status, output).toBe(0)
    },
    minute,
  )

  it(
    'passes attw for ESM-only packages',
    () => {
      const { tarball } = theTarballOf(name)
      const { status, output } = tryRun(process.execPath, [binary('attw'), tarball, '--profile', 'esm-only'])
      expect(status, output).toBe(0)
    },
    minute,
  )

  describe('with its required peers only', () => {
    beforeAll(() => installWith(`${short}-required`, requiredPeers), 2 * minute)

    for (const runtime of runtimeNames) {
      // reference: sentence 49
      it(
        `loads its main entry point as ESM and by require() on Node (${runtime})`,
        ({ skip }) => {
          loadsOn(runtime, `${short}-required`, [name], skip)
        },
        minute,
      )
    }

    it(
      'type-checks in a strict project',
      () => {
        expect(typeErrors(join(scratch, `${short}-required`), [name])).toEqual([])
      },
      minute,
    )
  })

  if (subpaths.length > 0) {
    describe('with its optional peers', () => {
      beforeAll(() => installWith(`${short}-all`, peers), 2 * minute)

      for (const runtime of runtimeNames) {
        it(
          `loads ${subpaths.join(', ')} as ESM and by require() on Node (${runtime})`,
          ({ skip }) => {
            loadsOn(runtime, `${short}-all`, specifiers, skip)
          },
          minute,
        )
      }

      it(
        'type-checks in a strict project',
        () => {
          expect(typeErrors(join(scratch, `${short}-all`), specifiers)).toEqual([])
        },
        minute,
      )
    })
  }
})

/** The export names an entry point has, asked of a fresh process of that runtime, once by `import` and once by `require`. */
function loadsOn(runtime: string, project: string, specifiers: string[], skip: (reason: string) => void): void {
  const { path, version } = runtimes().find(({ name }) => name === runtime) ?? {}
  if (!path || !version) {
    skip(`${runtime} is not installed: node scripts/runtimes.mjs --install`)
    return
  }
  const folder = join(scratch, project)
  const imported = JSON.parse(run(path, ['load.mjs', ...specifiers], folder).stdout)
  const required = JSON.parse(run(path, ['load.cjs', ...specifiers], folder).stdout)
  expect(Object.keys(imported)).toEqual(specifiers)
  for (const specifier of specifiers) expect(imported[specifier], `exports of ${specifier}`).not.toEqual([])
  expect(required).toEqual(imported)
}

/** The compiler's complaints about our declarations and their use; those about other people's declarations are theirs. */
function typeErrors(folder: string, specifiers: string[]): string[] {
  const imports = specifiers.map((specifier, index) => `export * as entry${index} from '${specifier}'\n`)
  writeFileSync(join(folder, 'use.ts'), imports.join(''))
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        module: 'nodenext',
        target: 'es2022',
        lib: ['es2023'],
        types: ['node'],
        strict: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: false,
        noEmit: true,
      },
      files: ['use.ts'],
    }),
  )
  const { output } = tryRun(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'], folder)
  return output.split('\n').filter((line) => /^(use\.ts|.*@grpc-stack\/).*error TS|^error TS/.test(line))
}

/** An npm project in `folder` that holds one package of ours and the given peers, in the versions this workspace uses. */
function installProject(folder: string, name: string, peers: string[]): void {
  mkdirSync(folder)
  const siblings = packages.filter((other) => other.name !== name).map((other) => other.name)
  const fileUrl = (other: string): string => `file:${theTarballOf(other).tarball}`
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({
      private: true,
      dependencies: {
        [name]: fileUrl(name),
        ...Object.fromEntries(peers.map((peer) => [peer, installedVersion(peer)])),
      },
      overrides: Object.fromEntries(siblings.map((sibling) => [sibling, fileUrl(sibling)])),
    }),
  )
  const list = 'for (const specifier of process.argv.slice(2)) names[specifier] ='
  writeFileSync(
    join(folder, 'load.mjs'),
    `const names = {}\n${list} Object.keys(await import(specifier)).sort()\nconsole.log(JSON.stringify(names))\n`,
  )
  writeFileSync(
    join(folder, 'load.cjs'),
    `const names = {}\n${list} Object.keys(require(specifier)).sort()\nconsole.log(JSON.stringify(names))\n`,
  )
  run(
    'npm',
    ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--no-package-lock'],
    folder,
  )
}

function theTarballOf(name: string): Packed {
  const found = packed.get(name)
  if (!found) throw new Error(`${name} was not packed`)
  return found
}

function installedVersion(name: string): string {
  return JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')).version
}

/** The script behind a command of a development dependency. */
function binary(command: string): string {
  const { stdout } = run(process.execPath, ['-p', `fs.realpathSync('node_modules/.bin/${command}')`], root)
  return stdout.trim()
}

function run(command: string, args: string[], cwd: string): SpawnSyncReturns<string> {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', env: cleanEnvironment() })
  if (result.error) throw result.error
  if (result.status !== 0) {
    throw new Error(`${command} ${args.join(' ')} ended with ${result.status}\n${result.stdout}${result.stderr}`)
  }
  return result
}

function tryRun(command: string, args: string[], cwd = root): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', env: cleanEnvironment() })
  return { status, output: `${stdout}${stderr}` }
}

/** Without what npm and vitest set for this process: it would configure the processes started here too. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([key]) => !/^npm_(?!config_(registry|cache|userconfig))|^VITEST|^NODE_OPTIONS$|^NODE_ENV$/i.test(key),
  )
  return Object.fromEntries(kept)
}

/** What `npm pack --json` says of a package. */
interface PackReport {
  name: string
  filename: string
  files: { path: string }[]
}
