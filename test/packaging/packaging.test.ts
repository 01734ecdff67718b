import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { installRuntimes, runtimes } from '../../scripts/runtimes.mjs'
import { entryPoints, publishablePackages, readJson, root } from '../../scripts/workspace.mjs'
import { installedVersion, npmInstall, type Packed, packInto, run, tryRun, typeErrors } from './npm.ts'

// Every package as a user gets it: packed by npm, installed from the tarball into an empty project, loaded by each Node
// version the project supports. The siblings a package depends on are installed from their tarballs too.

const packages = publishablePackages()
const runtimeNames = runtimes().map(({ name }) => name)
const minute = 60_000

let scratch: string
let packed: Map<string, Packed>

beforeAll(() => {
  installRuntimes()
  scratch = mkdtempSync(join(tmpdir(), 'grpc-stack-packaging-'))
  packed = packInto(scratch, packages)
  installAll()
}, 5 * minute)

afterAll(() => {
  if (scratch) rmSync(scratch, { recursive: true, force: true })
}, 5 * minute)

describe.each(packages)('$name', ({ name, manifest }) => {
  const short = name.split('/')[1] ?? name
  const requiredPeers = Object.keys(manifest.peerDependencies ?? {}).filter(
    (peer) => !manifest.peerDependenciesMeta?.[peer]?.optional,
  )

  it('ships what was built, its sources, a README and the licence, and no tests', () => {
    const { files } = theTarballOf(name)
    expect(files).toEqual(expect.arrayContaining(['README.md', 'LICENSE', 'package.json']))
    for (const folder of ['dist', 'commonjs']) {
      expect(files).toEqual(expect.arrayContaining([`${folder}/index.js`, `${folder}/index.d.ts`]))
    }
    expect(files).toContain('commonjs/package.json')
    expect(files.filter((file) => /\.test(-d)?\.|tsbuildinfo/.test(file))).toEqual([])
    // A file left over from a source that is gone: `npm run clean` removes it.
    const orphans = files.filter(
      (file) =>
        /^(dist|commonjs)\/.*\.js$/.test(file) &&
        !files.includes(file.replace(/^(dist|commonjs)/, 'src').replace(/\.js$/, '.ts')),
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
    'passes attw for CommonJS, ESM and bundlers, by every resolution of the compiler',
    () => {
      const { tarball } = theTarballOf(name)
      const { status, output } = tryRun(process.execPath, [binary('attw'), tarball])
      expect(status, output).toBe(0)
    },
    minute,
  )

  describe('with its required peers only', () => {
    beforeAll(() => projectWith(`${short}-required`, [name, ...requiredPeers]), minute)

    // reference: sentence 49
    it(
      'loads its main entry point as ESM and by require()',
      ({ skip }) => loadsOn('current', `${short}-required`, [name], skip),
      minute,
    )

    it('type-checks in a strict project', () => expect(typeErrorsOf(`${short}-required`, [name])).toEqual([]), minute)
  })
})

// That a package imports nothing it does not declare is the lint's to say (.dependency-cruiser.mjs).
describe('all packages with all their peers in one project', () => {
  const specifiers = packages.flatMap((one) => entryPoints(one).map(({ specifier }) => specifier))

  for (const runtime of runtimeNames) {
    it(
      `load every entry point as ESM and by require() on Node (${runtime})`,
      ({ skip }) => loadsOn(runtime, 'all', specifiers, skip),
      2 * minute,
    )
  }

  it('type-check in a strict project', () => expect(typeErrorsOf('all', specifiers)).toEqual([]), minute)
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
function typeErrorsOf(project: string, specifiers: string[]): string[] {
  return typeErrors(
    join(scratch, project),
    specifiers.map((specifier, index) => `export * as entry${index} from '${specifier}'\n`).join(''),
  )
}

/** An npm project with all packages of ours from their tarballs and all their peers, in the versions this workspace uses. */
function installAll(): void {
  const folder = newProject('all')
  const peers = packages.flatMap(({ manifest }) => Object.keys(manifest.peerDependencies ?? {}))
  const versionOf = (name: string): string =>
    packed.has(name) ? `file:${theTarballOf(name).tarball}` : installedVersion(name)
  const chosen = [...new Set([...packages.map(({ name }) => name), ...peers])]
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ private: true, dependencies: Object.fromEntries(chosen.map((one) => [one, versionOf(one)])) }),
  )
  npmInstall(folder)
}

/**
 * A project with these packages and what their manifests ask for, and no more: copied from the one with all, which takes a twentieth of the
 * time. That npm comes to the same is seen in publish.test.ts.
 */
function projectWith(project: string, names: readonly string[]): void {
  const folder = newProject(project)
  const modules = join(scratch, 'all', 'node_modules')
  const copied = new Set<string>()
  const take = (name: string): void => {
    if (copied.has(name) || !existsSync(join(modules, name))) return
    copied.add(name)
    cpSync(join(modules, name), join(folder, 'node_modules', name), { recursive: true })
    askedForBy(join(modules, name)).forEach(take)
  }
  names.forEach(take)
}

/** What a package needs beside itself, and what those need that it holds in a node_modules of its own. */
function askedForBy(folder: string): string[] {
  const { dependencies, peerDependencies, peerDependenciesMeta } = readJson(join(folder, 'package.json')) as Manifest
  const peers = Object.keys(peerDependencies ?? {}).filter((peer) => !peerDependenciesMeta?.[peer]?.optional)
  return [...Object.keys(dependencies ?? {}), ...peers].flatMap((name) => {
    const held = join(folder, 'node_modules', name)
    return existsSync(held) ? askedForBy(held) : [name]
  })
}

interface Manifest {
  dependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
  peerDependenciesMeta?: Record<string, { optional?: boolean }>
}

/** A folder with the two programs that tell what a package exports. */
function newProject(project: string): string {
  const folder = join(scratch, project)
  mkdirSync(folder)
  const list = 'for (const specifier of process.argv.slice(2)) names[specifier] ='
  writeFileSync(
    join(folder, 'load.mjs'),
    `const names = {}\n${list} Object.keys(await import(specifier)).sort()\nconsole.log(JSON.stringify(names))\n`,
  )
  writeFileSync(
    join(folder, 'load.cjs'),
    `const names = {}\n${list} Object.keys(require(specifier)).sort()\nconsole.log(JSON.stringify(names))\n`,
  )
  return folder
}

function theTarballOf(name: string): Packed {
  const found = packed.get(name)
  if (!found) throw new Error(`${name} was not packed`)
  return found
}

/** The script behind a command of a development dependency. */
function binary(command: string): string {
  const { stdout } = run(process.execPath, ['-p', `fs.realpathSync('node_modules/.bin/${command}')`], root)
  return stdout.trim()
}
