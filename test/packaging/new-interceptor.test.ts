import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { installTools } from '../../scripts/tools.mjs'
import { publishablePackages, root, workspacePackages } from '../../scripts/workspace.mjs'
import { packFolder, run, tryRun } from './npm.ts'

// `npm run new-interceptor request-size`, in a copy of the checkout: what it makes passes every check as it is.

const minute = 60_000
const folder = 'interceptor-request-size'
const dir = `packages/${folder}`

let copy: string
let missing: string | undefined

beforeAll(() => {
  missing = installTools()
  if (missing !== undefined) return
  copy = mkdtempSync(join(tmpdir(), 'grpc-stack-new-interceptor-'))
  const files = run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], root).stdout
  for (const file of files.split('\0')) {
    if (!existsSync(join(root, file)) || !lstatSync(join(root, file)).isFile()) continue
    mkdirSync(dirname(join(copy, file)), { recursive: true })
    copyFileSync(join(root, file), join(copy, file))
  }
  for (const one of publishablePackages()) {
    for (const output of ['dist', 'commonjs']) {
      cpSync(join(root, one.dir, output), join(copy, one.dir, output), { recursive: true })
    }
  }
  linkModules()
  run('npm', ['run', 'new-interceptor', '--', 'request-size', '--lockOnly'], copy)
  link(join(copy, dir), `node_modules/@grpc-stack/${folder}`)
}, 2 * minute)

afterAll(() => {
  if (copy) rmSync(copy, { recursive: true, force: true })
}, minute)

/** What is installed here, but for the packages of the workspace, which are those of the copy. */
function linkModules(): void {
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (name !== '@grpc-stack' && !name.startsWith('.nx'))
      link(join(root, 'node_modules', name), `node_modules/${name}`)
  }
  for (const one of workspacePackages()) {
    link(join(copy, one.dir), `node_modules/${one.name}`)
    const nested = join(root, one.dir, 'node_modules')
    if (existsSync(nested)) link(nested, `${one.dir}/node_modules`)
  }
  link(join(root, 'tools/node_modules'), 'tools/node_modules')
}

function link(target: string, path: string): void {
  mkdirSync(dirname(join(copy, path)), { recursive: true })
  symlinkSync(target, join(copy, path))
}

/** A command of the copy, by its words. */
const passes = (...words: string[]): void => {
  const [script = '', ...args] = words
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { cwd: copy, encoding: 'utf8' })
  expect({ command: words.join(' '), status, said: status === 0 ? '' : stdout + stderr }).toEqual({
    command: words.join(' '),
    status: 0,
    said: '',
  })
}

const bin = (path: string): string => join('node_modules', path)

function prove(title: string, test: () => void): void {
  it(
    title,
    ({ skip }) => {
      if (missing !== undefined) skip(missing)
      test()
    },
    2 * minute,
  )
}

prove('lint', () => {
  passes(bin('@biomejs/biome/bin/biome'), 'check', '--error-on-warnings', dir, 'test/readme', 'tsconfig.json')
  passes('scripts/sync-references.mjs', '--check')
  passes('scripts/repository.mjs', '--check')
  passes(bin('dependency-cruiser/bin/dependency-cruise.mjs'), `${dir}/src`)
})

prove('the compiler, over sources and tests, and the build of both module systems', () => {
  passes(bin('typescript/bin/tsc'), '-b', dir)
  passes(bin('typescript/bin/tsc'), '-b', `${dir}/tsconfig.build.json`, `${dir}/tsconfig.commonjs.json`)
  run(process.execPath, ['../../scripts/commonjs-type.mjs'], join(copy, dir))
  const load = `const { requestSize } = require('@grpc-stack/${folder}')
import('@grpc-stack/${folder}').then((esm) => console.log(typeof requestSize, typeof esm.requestSize))`
  expect(run(process.execPath, ['-e', load], copy).stdout).toBe('function function\n')
})

prove('the suite of grpc-testing, its own tests, and those of the READMEs', () => {
  const { status, output } = tryRun(
    process.execPath,
    [join(copy, 'node_modules/vitest/vitest.mjs'), 'run', `${dir}/`, 'test/readme/manifests.test.ts'],
    copy,
  )
  expect(status, output).toBe(0)
  const [, count] = /Tests .*?(\d+) passed/.exec(stripVTControlCharacters(output)) ?? []
  expect(Number(count)).toBeGreaterThan(100)
})

prove('surface, size, licences', () => {
  passes('scripts/api-report.mjs')
  expect(readFileSync(join(copy, `api/${folder}.md`), 'utf8')).toContain('requestSize(): Interceptor')
  passes('scripts/size.mjs')
  passes('scripts/licences.mjs')
})

prove('publint and attw', () => {
  const tarball = packFolder(copy, join(copy, dir))
  passes(bin('publint/src/cli.js'), 'run', tarball, '--strict')
  passes(bin('@arethetypeswrong/cli/dist/index.js'), tarball)
})

prove('refuses a name that is taken, or none', () => {
  for (const name of ['retry', 'Request Size']) {
    expect(tryRun('npm', ['run', 'new-interceptor', '--', name, '--lockOnly'], copy).status).not.toBe(0)
  }
})
