// Why not `nx sync`: @nx/js loads the compiler API of `typescript`, which version 7 has not, and has no release for Nx 24.
//
// Writes the `references` of every tsconfig from the dependencies in the package.json files, so that the two cannot
// disagree and adding a package edits no root file. With --check it writes nothing and fails when something differs.
//
//   tsconfig.build.json            → every package's tsconfig.build.json        (what `tsc -b tsconfig.build.json` builds)
//                                  and tsconfig.commonjs.json, if published
//   tsconfig.json                  → every package's tsconfig.json              (what `tsc -b` checks, tests included)
//   tsconfig.workspace-tests.json  → every package's tsconfig.build.json        (tests of the whole use any of them)
//   <package>/tsconfig.build.json  → the packages its sources may import        (dependencies, peerDependencies)
//   <package>/tsconfig.json        → itself, and those plus what its tests use  (devDependencies)
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { publishablePackages, root, workspacePackages } from './workspace.mjs'

const checkOnly = process.argv.includes('--check')
const packages = workspacePackages()
const dirOf = new Map(packages.map(({ name, dir }) => [name, dir]))
const stale = []

/** Replaces the `references` array in the file's text and leaves the rest, comments included, as it is. */
function setReferences(file, paths) {
  const path = join(root, file)
  if (!existsSync(path)) {
    stale.push(`${file} is missing; CONTRIBUTING.md has the template`)
    return
  }
  const before = readFileSync(path, 'utf8')
  const items = paths.map((p) => `{ "path": "${p}" }`)
  // As the formatter would print it: on one line if that fits.
  const inline = `"references": [${items.join(', ')}]`
  const list = inline.length <= 118 ? inline : `"references": [\n    ${items.join(',\n    ')}\n  ]`
  const after = before.replace(/"references":\s*\[[^\]]*\]/, () => list)
  if (!after.includes('"references"')) stale.push(`${file} has no "references" array to fill in`)
  if (after === before) return
  if (checkOnly) stale.push(`${file}: references differ from package.json; run node scripts/sync-references.mjs`)
  else writeFileSync(path, after)
}

const workspaceNames = (...groups) =>
  [...new Set(groups.flatMap((group) => Object.keys(group ?? {})))].filter((name) => dirOf.has(name)).sort()

const builds = packages.map(({ dir }) => `./${dir}/tsconfig.build.json`)
const commonjs = publishablePackages().map(({ dir }) => `./${dir}/tsconfig.commonjs.json`)
setReferences('tsconfig.build.json', [...builds, ...commonjs])
setReferences('tsconfig.workspace-tests.json', builds)
setReferences('tsconfig.json', ['./tsconfig.workspace-tests.json', ...packages.map(({ dir }) => `./${dir}`)])

for (const { name, dir, manifest } of packages) {
  const buildConfigOf = (other) => `${relative(dir, dirOf.get(other))}/tsconfig.build.json`
  const { dependencies, peerDependencies, devDependencies } = manifest
  const runtime = workspaceNames(dependencies, peerDependencies)
  const forTests = workspaceNames(dependencies, peerDependencies, devDependencies).filter((other) => other !== name)
  setReferences(`${dir}/tsconfig.build.json`, runtime.map(buildConfigOf))
  setReferences(`${dir}/tsconfig.json`, ['./tsconfig.build.json', ...forTests.map(buildConfigOf)])
}

if (stale.length > 0) {
  console.error(stale.join('\n'))
  process.exit(1)
}
