// Who may import whom. Part of `npm run lint`.
//
//   package          its sources                          its tests, besides
//   grpc-core        nothing of the workspace             grpc-testing
//   grpc-testing     grpc-core                            nothing
//   interceptor-*    grpc-core                            grpc-testing
//   private ones     what their package.json declares     the same
//
// Also: no import reaches into another package's files; what published sources import is a dependency or a peer
// dependency of the package; an optional peer is imported by sub-path entry points only, so that `import` of the main
// one works without it, or by `import()`, whose failure can be handled. Nx's project graph answers for what package.json files declare, the sources for what they import.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, join, relative, sep } from 'node:path'
import { entryPoints, readJson, root, workspacePackages } from './workspace.mjs'

const scope = '@grpc-stack/'
const packages = workspacePackages()
const rootDependencies = Object.keys(readJson(join(root, 'package.json')).devDependencies)
const problems = []

/** The workspace packages a published package may use, or undefined for a private one, which may use any. */
function allowedFor({ name, manifest }, { inTests }) {
  if (manifest.private) return undefined
  const sources = name === `${scope}grpc-core` ? [] : [`${scope}grpc-core`]
  return inTests ? [...sources, `${scope}grpc-testing`, name] : sources
}

const isTest = (file) => /\.test(-d)?\.ts$/.test(file) || !file.startsWith(`src${sep}`)

/** The TypeScript files of a package, relative to its folder. */
function filesOf(dir) {
  return readdirSync(join(root, dir), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(join(root, dir), join(entry.parentPath, entry.name)))
    .filter((file) => !/(^|[\\/])(node_modules|dist)[\\/]/.test(file))
}

/**
 * The module specifiers a file imports. Statements are found at the start of a line, so that the examples in comments,
 * whose lines start with an asterisk, do not count.
 */
function importsOf(path, { dynamic = true } = {}) {
  const text = readFileSync(path, 'utf8')
  const statements = /^\s*(?:import|export)\s+(?:[\w$*{}\s,]*?\sfrom\s+|)['"]([^'"]+)['"]/gm
  const calls = /^(?!\s*(?:\*|\/\/)).*?\b(?:import|require)\(\s*['"]([^'"]+)['"]\s*\)/gm
  return [...text.matchAll(statements), ...(dynamic ? text.matchAll(calls) : [])].map((match) => match[1])
}

/** `@scope/name/sub/path` → `@scope/name`, `name/sub` → `name`. */
const packageNameOf = (specifier) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

// What package.json files declare, as Nx sees it.
const nx = join(root, 'node_modules/nx/dist/bin/nx.js')
const printed = execFileSync(process.execPath, [nx, 'graph', '--print'], {
  cwd: root,
  encoding: 'utf8',
  env: { ...process.env, NX_DAEMON: 'false' },
  maxBuffer: 64 * 1024 * 1024,
  stdio: ['ignore', 'pipe', 'inherit'],
})
const { dependencies: edges } = JSON.parse(printed.slice(printed.indexOf('{'))).graph
for (const workspacePackage of packages) {
  const allowed = allowedFor(workspacePackage, { inTests: true })
  for (const { target } of edges[workspacePackage.name] ?? []) {
    if (target.startsWith(scope) && allowed && !allowed.includes(target)) {
      problems.push(`${workspacePackage.dir}: depends on ${target}`)
    }
  }
}

// What the sources import.
const specifiers = new Set(packages.flatMap(entryPoints).map(({ specifier }) => specifier))
for (const workspacePackage of packages) {
  const { name, dir, manifest } = workspacePackage
  const runtime = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })
  const inTests = [...runtime, ...Object.keys(manifest.devDependencies ?? {}), ...rootDependencies, name]

  for (const file of filesOf(dir)) {
    const allowed = allowedFor(workspacePackage, { inTests: isTest(file) })
    for (const specifier of importsOf(join(root, dir, file))) {
      const report = (problem) => problems.push(`${dir}/${file}: import of '${specifier}' ${problem}`)
      if (specifier.startsWith('.')) {
        const target = join(dir, dirname(file), specifier)
        if (!target.startsWith(dir + sep)) report('leaves the package')
        else if (!isTest(file) && isTest(relative(dir, target))) report('brings test code into the build')
        continue
      }
      if (isBuiltin(specifier)) continue
      const imported = packageNameOf(specifier)
      if (specifier.startsWith(scope)) {
        if (!specifiers.has(specifier)) report('is none of the entry points that package exports')
        if (allowed && !allowed.includes(imported)) report('is not allowed here; see the table in this script')
      }
      if (!(isTest(file) ? inTests : runtime).includes(imported)) {
        report(isTest(file) ? 'is not declared' : 'is no dependency or peer dependency of the package')
      }
    }
  }

  // The files the main entry point loads, followed through relative imports.
  const main = entryPoints(workspacePackage).find(({ specifier }) => specifier === name)
  const optional = Object.entries(manifest.peerDependenciesMeta ?? {}).flatMap(([peer, meta]) =>
    meta.optional ? [peer] : [],
  )
  const loaded = new Set(main ? [join(root, main.source)] : [])
  for (const path of loaded) {
    if (!existsSync(path)) continue
    for (const specifier of importsOf(path, { dynamic: false })) {
      if (specifier.startsWith('.')) loaded.add(join(dirname(path), specifier))
      else if (optional.includes(packageNameOf(specifier))) {
        problems.push(
          `${relative(root, path)}: import of '${specifier}', an optional peer, is reached from the main entry point`,
        )
      }
    }
  }
}

if (problems.length > 0) {
  console.error(problems.join('\n'))
  process.exit(1)
}
