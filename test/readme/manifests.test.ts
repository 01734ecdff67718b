import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { publishablePackages, root } from '../../scripts/workspace.mjs'
import { readmeOf } from './described-options.ts'

// What the READMEs say of packages, versions and measurements, against the manifests and results that decide it.

const packages = publishablePackages().map(({ name, dir, manifest }) => ({
  name: name as string,
  readme: readmeOf(dir.replace('packages/', '')),
  manifest,
}))
const rootReadme = readFileSync(join(root, 'README.md'), 'utf8')

describe.each(packages)('the README of $name', ({ name, readme, manifest }) => {
  it('says how to install the package, with the peers that it needs and can use', () => {
    const commands = readme.match(/^ {4}npm install (?:.*\\\n)*.*$/gm) ?? []
    const words = commands.flatMap((command) => command.replaceAll(/#.*$/gm, '').split(/[\s\\]+/))
    const named = words.map((word) => word.replace(/(?<=.)@[~^\d].*$/, ''))
    const peers = Object.keys(manifest.peerDependencies)
    const required = peers.filter((peer) => !manifest.peerDependenciesMeta?.[peer]?.optional)
    expect(named).toEqual(expect.arrayContaining([name, ...required]))
    // A peer that only the suite's own tests look at is not the reader's concern.
    const optional = peers.filter((peer) => !required.includes(peer) && name !== '@grpc-stack/grpc-testing')
    expect(named).toEqual(expect.arrayContaining(optional))
    const strangers = named.filter(
      (word) => /^@|^[a-z]/.test(word) && ![name, ...peers, 'npm', 'install'].includes(word),
    )
    expect(strangers).toEqual([])
  })

  it('names only versions of Node and grpc-js that the package allows', () => {
    const [, oldest] = /Node (\d+\.\d+) or newer/.exec(readme) ?? []
    if (oldest !== undefined) expect(manifest.engines.node).toBe(`>=${oldest}`)
    const [, grpcJs] = /`@grpc\/grpc-js` (\d+\.\d+) or newer/.exec(readme) ?? []
    if (grpcJs !== undefined) expect(manifest.peerDependencies['@grpc/grpc-js']).toBe(`^${grpcJs}.0`)
  })
})

describe('what the READMEs say of dependencies', () => {
  it.each(['@grpc-stack/grpc-core', '@grpc-stack/error-details', '@grpc-stack/free-ended-calls'])(
    '%s has none',
    (name) => {
      const { manifest } = packages.find((one) => one.name === name) ?? {}
      expect(manifest.dependencies ?? {}).toEqual({})
      const required = Object.keys(manifest.peerDependencies).filter(
        (peer) => !manifest.peerDependenciesMeta?.[peer]?.optional,
      )
      expect(required).toEqual(['@grpc/grpc-js'])
    },
  )
})

/** Others' packages, by the names that the comparisons give them, with the version that was compared. */
const compared: Readonly<Record<string, readonly (readonly [says: RegExp, dependency: string])[]>> = {
  'interceptor-retry': [
    [/nice-grpc-client-middleware-retry (\d+)/, 'nice-grpc-client-middleware-retry'],
    [/cockatiel (\d+)/, 'cockatiel'],
    [/grpc-js (\d+\.\d+), built in/, '@grpc/grpc-js'],
  ],
  'interceptor-circuit': [
    [/cockatiel (\d+)/, 'cockatiel'],
    [/opossum (\d+)/, 'opossum'],
  ],
  'interceptor-logging': [[/nice-grpc (\d+)/, 'nice-grpc']],
  'interceptor-metrics': [[/nice-grpc-prometheus (\d+\.\d+)/, 'nice-grpc-prometheus']],
  'interceptor-ratelimit': [[/rate-limiter-flexible (\d+)/, 'rate-limiter-flexible']],
  'interceptor-tracing': [
    [/instrumentation-grpc (\d+\.\d+\.\d+)/, '@opentelemetry/instrumentation-grpc'],
    [/nice-grpc-opentelemetry (\d+\.\d+)/, 'nice-grpc-opentelemetry'],
    [/SDK (\d+\.\d+)/, '@opentelemetry/sdk-trace-base'],
  ],
}
const comparisons = Object.entries(compared).flatMap(([name, versions]) =>
  versions.map(([says, dependency]) => ({ name, says, dependency })),
)

describe('a comparison', () => {
  it.each(comparisons)(
    'of $name names the version of $dependency that is installed here',
    ({ name, says, dependency }) => {
      const compares = join(root, `docs/compared/${name}.md`)
      const page = readmeOf(name) + (existsSync(compares) ? readFileSync(compares, 'utf8') : '')
      const [, version = 'none'] = says.exec(page) ?? []
      const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
        packages: Record<string, { version?: string }>
      }
      const installed = Object.entries(lock.packages)
        .filter(([path]) => path.endsWith(`node_modules/${dependency}`))
        .map(([, entry]) => entry.version)
      expect(installed.filter((one) => `${one}.`.startsWith(`${version}.`))).not.toEqual([])
    },
  )
})

describe('the README of the repository', () => {
  it('lists every package that is published, and no other', () => {
    const listed = [...rootReadme.matchAll(/^\| \[`([\w-]+)`\]\(packages\/\1\)/gm)].map(
      ([, name]) => `@grpc-stack/${name}`,
    )
    expect(listed.sort()).toEqual(packages.map(({ name }) => name).sort())
  })

  it('names the versions of Node that the tests run on', () => {
    const require = createRequire(join(root, 'package.json'))
    const { engines } = require('./package.json') as { engines: { node: string } }
    const { optionalDependencies: others } = require('./runtimes/package.json') as {
      optionalDependencies: Record<string, string>
    }
    expect(engines.node).toContain('20.19')
    const [, versions = ''] = /^Node (.*?)\. Apache/m.exec(rootReadme) ?? []
    const named = [...versions.matchAll(/\b(\d+)(?:\.\d+)?/g)].map(([, major]) => `node-${major}`)
    expect(named.sort()).toEqual(['node-20', ...Object.keys(others)].sort())
  })

  it('has the measurements of the results', () => {
    const results = readFileSync(join(root, 'bench/RESULTS.md'), 'utf8')
    const measured = (row: string): string | undefined =>
      new RegExp(`^\\| ${row} (?:\\| [\\d.]+ ){3}\\| ([\\d.]+) `, 'm').exec(results)?.[1]
    const [, ...cells] = /eight empty layers.*?\) \| ([\d.]+) × \| ([\d.]+) × \| ([\d.]+) × /.exec(rootReadme) ?? []
    const rows = ['ours-passthrough-8', 'nice-grpc-passthrough-8', 'connect-node-passthrough-8']
    expect(cells).toEqual(rows.map(measured))
  })

  it('has the measurement of what it costs beside code written by hand', () => {
    const cost = readFileSync(join(root, 'docs/performance.md'), 'utf8')
    const [, ratio] = /full stack over full by hand.*\n.*\n\| unary \| ([\d.]+) \(/.exec(cost) ?? []
    const [, shown] = /all concerns.*?\) \| ([\d.]+) × \|/.exec(rootReadme) ?? []
    expect(shown).toBeDefined()
    expect(shown).toBe(ratio)
  })
})
