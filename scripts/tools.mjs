// What users of the packages build, test and run with: compilers, bundlers, test runners, a registry, other engines. The tests of
// packaging prove the packages with them.
//
//   node scripts/tools.mjs --install   downloads them (about 500 MB, of which Bun and Deno are two thirds)
//
// They have a folder and a lock file of their own: several versions of one compiler, each with a command of the same name, do not
// belong into the workspace's node_modules, and most work on the packages needs none of them.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMain, root } from './workspace.mjs'

const folder = join(root, 'tools')

/** Where a file of a tool is, such as `toolPath('jest/bin/jest.js')`. */
export const toolPath = (file) => join(folder, 'node_modules', file)

/** The file, or undefined where the tool has none for this platform. */
export const optionalTool = (file) => (existsSync(toolPath(file)) ? toolPath(file) : undefined)

/** The lock file that the tools were installed from. Optional ones may be missing on a platform, so what is there does not tell. */
const installedFrom = toolPath('.installed-from.json')

function isInstalled() {
  return existsSync(installedFrom) && readFileSync(installedFrom, 'utf8') === lock()
}

const lock = () => readFileSync(join(folder, 'package-lock.json'), 'utf8')

/** Installs what is missing. Returns why that was not possible, or undefined. */
export function installTools() {
  if (isInstalled()) return undefined
  // Output goes to stderr, for callers who read what this process prints.
  const { status } = spawnSync(
    'npm',
    ['ci', '--prefix', folder, '--no-bin-links', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'],
    { cwd: folder, stdio: ['ignore', 2, 2] },
  )
  if (status !== 0) return 'the tools could not be installed: node scripts/tools.mjs --install'
  writeFileSync(installedFrom, lock())
  return undefined
}

if (isMain(import.meta.url)) {
  const problem = process.argv.includes('--install') ? installTools() : isInstalled() ? undefined : 'not installed'
  if (problem !== undefined) console.error(problem)
  process.exitCode = problem === undefined ? 0 : 1
}
