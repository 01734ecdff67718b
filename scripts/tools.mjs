// What users of the packages build, test and run with: compilers, bundlers, test runners, a registry, other engines. The tests of
// packaging prove the packages with them.
//
//   node scripts/tools.mjs --install   downloads them (about 500 MB, of which Bun and Deno are two thirds)
//
// They have a folder and a lock file of their own: several versions of one compiler, each with a command of the same name, do not
// belong into the workspace's node_modules, and most work on the packages needs none of them.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isMain, readJson, root } from './workspace.mjs'

const folder = join(root, 'tools')

/** Where a file of a tool is, such as `toolPath('jest/bin/jest.js')`. */
export const toolPath = (file) => join(folder, 'node_modules', file)

/** The file, or undefined where the tool has none for this platform. */
export const optionalTool = (file) => (existsSync(toolPath(file)) ? toolPath(file) : undefined)

function isInstalled() {
  const manifest = readJson(join(folder, 'package.json'))
  return Object.entries(manifest.dependencies).every(([name, wanted]) => {
    const path = toolPath(`${name}/package.json`)
    return existsSync(path) && wanted.endsWith(readJson(path).version)
  })
}

/** Installs what is missing. Returns why that was not possible, or undefined. */
export function installTools() {
  if (isInstalled()) return undefined
  // Output goes to stderr, for callers who read what this process prints.
  const { status } = spawnSync(
    'npm',
    ['ci', '--prefix', folder, '--no-bin-links', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'],
    { cwd: folder, stdio: ['ignore', 2, 2] },
  )
  return status === 0 ? undefined : 'the tools could not be installed: node scripts/tools.mjs --install'
}

if (isMain(import.meta.url)) {
  const problem = process.argv.includes('--install') ? installTools() : isInstalled() ? undefined : 'not installed'
  if (problem !== undefined) console.error(problem)
  process.exitCode = problem === undefined ? 0 : 1
}
