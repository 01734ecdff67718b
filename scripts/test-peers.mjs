// npm run test:peers -- oldest|newest [--only <peer>,…] [--write] [vitest paths]: the tests with the oldest or the newest versions of the
// libraries that packages declare as peers, and of the Redis clients that are documented, in a copy of the checkout, which stays as it is.
// One line for each peer: its version, and the tests of the packages that have it. Closes with "N passed, N failed".
//
// Without paths: packages and test/stacks. --write puts the table into docs/reliability.md.
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { publishablePackages, readJson, root, workspacePackages } from './workspace.mjs'

const PAGE = 'docs/reliability.md'

/** What no manifest declares: libraries that a peer must be in step with, and clients that an application hands over. */
const BESIDE = {
  '@opentelemetry/sdk-trace-node': [
    '@opentelemetry/context-async-hooks',
    '@opentelemetry/core',
    '@opentelemetry/propagator-b3',
    '@opentelemetry/sdk-metrics',
    '@opentelemetry/sdk-trace-base',
  ],
  '@opentelemetry/exporter-trace-otlp-grpc': [
    '@opentelemetry/exporter-metrics-otlp-grpc',
    '@opentelemetry/exporter-trace-otlp-proto',
    '@opentelemetry/instrumentation',
    '@opentelemetry/instrumentation-grpc',
  ],
}
const CLIENTS = [
  { name: 'ioredis-5', library: 'ioredis', range: '^5.0.0' },
  { name: 'ioredis', library: 'ioredis', range: '^6.0.0' },
  { name: 'redis-5', library: 'redis', range: '^5.0.0' },
  { name: 'redis', library: 'redis', range: '^6.0.0' },
]
const USES_CLIENTS = '@grpc-stack/interceptor-ratelimit'

/** `{ name, library, range, packages }`: what it is called in node_modules and in the registry, and the packages that have it. */
function peers() {
  const found = new Map()
  const own = publishablePackages()
  for (const { dir, manifest } of own) {
    for (const [name, range] of Object.entries(manifest.peerDependencies ?? {})) {
      if (own.some((other) => other.name === name)) continue
      const peer = found.get(name) ?? { name, library: name, range, packages: [] }
      // A package that needs more than others decides what all of them can be tried with together.
      if (isHigher(lowestOf(range), lowestOf(peer.range))) peer.range = range
      peer.packages.push(dir)
      found.set(name, peer)
    }
  }
  const { dir } = own.find(({ name }) => name === USES_CLIENTS)
  return [...found.values(), ...CLIENTS.map((client) => ({ ...client, packages: [dir] }))]
}

/** The lowest version that a range allows: it is the first that the range names. */
const lowestOf = (range) => /\d+\.\d+\.\d+/.exec(range)[0]

function isHigher(one, other) {
  const [a, b] = [one, other].map((version) => version.split('.').map(Number))
  return (a[0] - b[0] || a[1] - b[1] || a[2] - b[2]) > 0
}

function newestOf({ library, range }) {
  const { status, stdout, stderr } = npm(['view', `${library}@${range}`, 'version', '--json'], root)
  if (status !== 0) throw new Error(`npm view ${library}: ${stderr}`)
  const stable = [JSON.parse(stdout)].flat().filter((version) => !version.includes('-'))
  return stable.reduce((best, version) => (isHigher(version, best) ? version : best))
}

function npm(args, cwd) {
  return spawnSync('npm', args, { cwd, encoding: 'utf8', maxBuffer: 2 ** 26, shell: process.platform === 'win32' })
}

/** Copies the checkout as it is now. What is installed is linked, where the file system can: npm replaces files, and writes into none. */
function copyCheckout(folder) {
  const listed = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  })
  if (listed.status !== 0) throw new Error(`git ls-files: ${listed.stderr}`)
  for (const file of listed.stdout.split('\0').filter(Boolean)) {
    if (existsSync(join(root, file))) cpSync(join(root, file), join(folder, file))
  }
  for (const dir of ['.', ...workspacePackages().map(({ dir }) => dir)]) {
    if (existsSync(join(root, dir, 'node_modules')))
      linkTree(join(root, dir, 'node_modules'), join(folder, dir, 'node_modules'))
  }
}

/** Files that programs write into: npm its list of what is there, others their caches. */
const WRITTEN = new Set(['.package-lock.json', '.cache', '.vite', '.vite-temp', '.vitest', '.nx'])

function linkTree(from, to) {
  mkdirSync(to, { recursive: true })
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (WRITTEN.has(entry.name)) continue
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isDirectory()) linkTree(source, target)
    else if (entry.isSymbolicLink()) symlinkSync(readlinkSync(source), target)
    else {
      try {
        linkSync(source, target)
      } catch {
        copyFileSync(source, target)
      }
    }
  }
}

/** Has every manifest of the copy ask for these versions, by what they are called in node_modules, and installs them. */
function install(folder, versions) {
  for (const dir of ['.', ...workspacePackages().map(({ dir }) => dir)]) {
    const file = join(folder, dir, 'package.json')
    const manifest = readJson(file)
    for (const { name, library, version } of versions) {
      // At the root too, so that tests of no package load them.
      if (dir !== '.' && manifest.devDependencies?.[name] === undefined) continue
      manifest.devDependencies[name] = name === library ? version : `npm:${library}@${version}`
    }
    for (const field of ['dependencies', 'overrides']) {
      for (const { name, version } of versions)
        if (manifest[field]?.[name] !== undefined) manifest[field][name] = version
    }
    writeFileSync(file, `${JSON.stringify(manifest, null, 2)}\n`)
  }
  const flags = ['--no-audit', '--no-fund', '--ignore-scripts', '--legacy-peer-deps', '--prefer-offline']
  const { status, stdout, stderr } = npm(['install', ...flags], folder)
  if (status !== 0) throw new Error(`npm install ended with ${status}\n${stdout}${stderr}`)
}

/** The version that Node loads for a module of this folder, and where from. */
function loaded(folder, dir, name) {
  for (let at = join(folder, dir); at.startsWith(folder); at = dirname(at)) {
    const file = join(at, 'node_modules', name, 'package.json')
    if (existsSync(file)) return { version: readJson(file).version, file: relative(folder, realpathSync(file)) }
    if (at === folder) break
  }
  return undefined
}

/** Throws where a package, or the tests of several, would load another version than the one wanted. */
function check(folder, versions) {
  for (const { name, version, packages } of versions) {
    for (const dir of ['.', ...packages]) {
      const found = loaded(folder, dir, name)
      if (found?.version !== version) {
        throw new Error(`${dir} would load ${name} ${found?.version} (${found?.file}), not ${version}`)
      }
    }
  }
}

/** Passed and failed tests of each file, relative to the folder, what failed, and the closing line of the run. */
function runTests(folder, paths) {
  const report = join(folder, 'node_modules/.test-peers.json')
  const { status, stdout } = spawnSync(
    process.execPath,
    ['scripts/test.mjs', ...paths, '--reporter=json', `--outputFile.json=${report}`],
    { cwd: folder, encoding: 'utf8', maxBuffer: 2 ** 28, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const files = existsSync(report)
    ? readJson(report).testResults.map(({ name, assertionResults }) => ({
        file: relative(realpathSync(folder), realpathSync(name)),
        passed: assertionResults.filter((test) => test.status === 'passed').length,
        failed: assertionResults.filter((test) => test.status === 'failed').length,
      }))
    : []
  const closing = stdout.trimEnd().split('\n').pop()
  const faults = stdout.split('\n').filter((line) => line.startsWith('failed: ') || /error TS\d+/.test(line))
  return { ok: status === 0, files, closing, faults, output: stdout }
}

function writeTable(which, rows, paths) {
  const file = join(root, PAGE)
  const begin = `<!-- peers, ${which}: written by npm run test:peers -- ${which} --write -->`
  const end = `<!-- end of peers, ${which} -->`
  const text = readFileSync(file, 'utf8')
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from === -1 || to === -1) throw new Error(`${PAGE} has no place for this: ${begin}`)
  const lines = rows.map(({ peer, version, passed, failed }) => `| ${peer} | ${version} | ${passed} | ${failed} |`)
  const table = ['| peer | version | tests passed | failed |', '|---|---|---:|---:|', ...lines].join('\n')
  const written = `${begin}\n\nNode ${process.version}; ${paths.join(', ')}.\n\n${table}\n\n`
  writeFileSync(file, text.slice(0, from) + written + text.slice(to))
}

function readArguments(args) {
  const [which, ...rest] = args
  const [paths, only] = [[], []]
  let write = false
  while (rest.length > 0) {
    const argument = rest.shift()
    if (argument === '--write') write = true
    else if (argument === '--only') only.push(...(rest.shift() ?? '').split(','))
    else paths.push(argument)
  }
  const known = peers().map(({ name }) => name)
  const wrong = only.find((name) => !known.includes(name))
  if (wrong !== undefined) throw new Error(`--only ${wrong}: no such peer; there are ${known.join(', ')}`)
  if (which !== 'oldest' && which !== 'newest') throw new Error('say which: npm run test:peers -- oldest, or newest')
  return { which, only, write, paths: paths.length > 0 ? paths : ['packages', 'test/stacks'] }
}

function main() {
  const { which, only, write, paths } = readArguments(process.argv.slice(2))
  const chosen = peers()
    .filter(({ name }) => only.length === 0 || only.includes(name))
    .map((peer) => ({ ...peer, version: which === 'oldest' ? lowestOf(peer.range) : newestOf(peer) }))
  const beside = chosen.flatMap(({ name, range, packages }) =>
    (BESIDE[name] ?? []).map((library) => {
      const peer = { name: library, library, range, packages }
      return { ...peer, version: which === 'oldest' ? lowestOf(range) : newestOf(peer) }
    }),
  )
  const scratch = mkdtempSync(join(tmpdir(), 'grpc-stack-peers-'))
  try {
    const folder = join(realpathSync(scratch), 'checkout')
    copyCheckout(folder)
    install(folder, [...chosen, ...beside])
    check(folder, chosen)
    console.log(chosen.map(({ name, version }) => `${name} ${version}`).join(', '))
    const { ok, files, closing, faults, output } = runTests(folder, paths)
    for (const line of faults) console.log(line)
    if (!ok && files.length === 0) console.log(output)
    const rows = chosen.map(({ name, library, version, packages }) => {
      const own = files.filter(({ file }) => packages.some((dir) => file.startsWith(`${dir}/`)))
      const passed = own.reduce((sum, { passed }) => sum + passed, 0)
      const failed = own.reduce((sum, { failed }) => sum + failed, 0)
      return { peer: library, name, version, passed, failed }
    })
    for (const { peer, version, passed, failed } of rows) {
      console.log(
        `${peer.padEnd(42)} ${version.padEnd(9)} ${passed} passed, ${failed} failed in the packages that have it`,
      )
    }
    if (write) writeTable(which, rows, paths)
    process.exitCode = ok ? 0 : 1
    console.log(closing)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

main()
