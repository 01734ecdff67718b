// The Node versions the packages are proven on: the one running this, and those that runtimes/package.json names.
//
//   node scripts/runtimes.mjs             lists them and says which are missing
//   node scripts/runtimes.mjs --install   downloads the missing ones (Linux x64; about 50 MB each)
//
// They have a folder and a lock file of their own because each of those npm packages brings a command called `node`.
// In the workspace's node_modules it would come first on the PATH of every npm script, and be the one that runs it.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isMain, readJson, root } from './workspace.mjs'

const folder = join(root, 'runtimes')
const aliases = Object.keys(readJson(join(folder, 'package.json')).optionalDependencies)

const versionOf = (node) => spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout?.trim()

/** Every runtime: `{ name, path, version }`, where `version` is undefined if the runtime is missing or does not start. */
export function runtimes() {
  const others = aliases.map((name) => {
    const path = join(folder, 'node_modules', name, 'bin/node')
    return { name, path, version: existsSync(path) ? versionOf(path) : undefined }
  })
  return [{ name: 'current', path: process.execPath, version: process.version }, ...others]
}

/** Downloads what is missing, where there is something to download. Returns all runtimes, as they are afterwards. */
export function installRuntimes() {
  const found = runtimes()
  const downloadable = process.platform === 'linux' && process.arch === 'x64'
  if (!downloadable || found.every(({ version }) => version)) return found
  // Output goes to stderr, for callers who read what this process prints.
  spawnSync('npm', ['ci', '--prefix', folder, '--no-bin-links', '--prefer-offline'], {
    cwd: folder,
    stdio: ['ignore', 2, 2],
  })
  return runtimes()
}

if (isMain(import.meta.url)) {
  const found = process.argv.includes('--install') ? installRuntimes() : runtimes()
  for (const { name, path, version } of found) console.log(`${name.padEnd(8)} ${version ?? 'missing'}  ${path}`)
  process.exitCode = found.every(({ version }) => version) ? 0 : 1
}
