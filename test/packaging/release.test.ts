import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeNextRelease } from '../../scripts/release-dry.mjs'
import { repositoryUrl, withRepository } from '../../scripts/repository.mjs'
import { publishablePackages, readJson, root } from '../../scripts/workspace.mjs'

// What `npm run version` makes of the changesets that wait, and what manifests say of where the sources are.

const packages = publishablePackages()
const names = new Set(packages.map(({ name }) => name))

let scratch: string
let next: string

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'grpc-stack-release-'))
  next = join(scratch, 'next')
  makeNextRelease(next)
}, 60_000)

afterAll(() => {
  if (scratch) rmSync(scratch, { recursive: true, force: true })
})

describe.each(packages)('the next release of $name', ({ dir, manifest }) => {
  const released = (): { version: string } & Record<string, Record<string, string>> =>
    readJson(join(next, dir, 'package.json'))

  // Before a package is published its version is below 1.0.0, and its first release is that.
  it.runIf(manifest.version.startsWith('0.'))('is 1.0.0, and its changelog says so', () => {
    expect(released().version).toBe('1.0.0')
    expect(readFileSync(join(next, dir, 'CHANGELOG.md'), 'utf8')).toMatch(/^# .*\n\n## 1\.0\.0\n/)
  })

  it('asks for the releases of the packages that it needs', () => {
    const { dependencies, peerDependencies } = released()
    const wanted = Object.entries({ ...dependencies, ...peerDependencies }).filter(([name]) => names.has(name))
    for (const [name, range] of wanted) {
      const { dir: folder = '' } = packages.find((one) => one.name === name) ?? {}
      const { version } = readJson(join(next, folder, 'package.json')) as { version: string }
      expect(range, name).toBe(`^${version}`)
    }
  })

  it('leads to the repository by its manifest', () => {
    expect(withRepository(manifest, dir)).toEqual(manifest)
    expect(manifest).toMatchObject({
      homepage: `${repositoryUrl()}/tree/main/${dir}#readme`,
      repository: { type: 'git', url: `git+${repositoryUrl()}.git`, directory: dir },
      bugs: { url: `${repositoryUrl()}/issues` },
    })
  })
})

describe('the address of the repository', () => {
  it('stands in the root package.json, from where a script writes it into manifests and READMEs', () => {
    const file = join(next, 'package.json')
    const moved = readFileSync(file, 'utf8').replace(repositoryUrl(), 'https://forge.example/acme/rpc')
    const check = (): number | null =>
      spawnSync(process.execPath, ['scripts/repository.mjs', '--check'], { cwd: next }).status
    expect(check()).toBe(0)
    writeFileSync(file, moved)
    expect(check()).toBe(1)
    spawnSync(process.execPath, ['scripts/repository.mjs'], { cwd: next })
    expect(check()).toBe(0)
    for (const { dir } of packages) {
      const text = readFileSync(join(next, dir, 'package.json'), 'utf8')
      expect(text).not.toContain(repositoryUrl())
      expect(text).toContain('git+https://forge.example/acme/rpc.git')
      expect(readFileSync(join(next, dir, 'README.md'), 'utf8')).not.toContain(repositoryUrl())
    }
    const links = readFileSync(join(next, 'packages/grpc-core/README.md'), 'utf8')
    expect(links).toContain('](https://forge.example/acme/rpc/blob/main/docs/concepts/call.md)')
  })

  it('stands nowhere else in what is published', () => {
    const { stdout } = spawnSync('git', ['grep', '-l', '-F', repositoryUrl(), '--', 'packages'], {
      cwd: root,
      encoding: 'utf8',
    })
    const others = stdout
      .split('\n')
      .filter((file) => file !== '' && !/^packages\/[^/]+\/(?:package\.json|README\.md)$/.test(file))
    expect(others).toEqual([])
  })
})
