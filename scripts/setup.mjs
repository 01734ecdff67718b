// Makes a checkout ready to run: installs what package-lock.json says when it is not what node_modules holds, then
// compiles. Needs nothing but Node and npm, and takes well under a second when there is nothing to do.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { writeCommonjsType } from './commonjs-type.mjs'
import { isMain, readJson, root } from './workspace.mjs'

/**
 * Whether node_modules holds the versions that package-lock.json names. Versions rather than file times, because a
 * checkout or a copy changes times and not contents.
 */
function isInstalled() {
  const installedLock = join(root, 'node_modules/.package-lock.json')
  if (!existsSync(installedLock)) return false
  const installed = readJson(installedLock).packages
  const wanted = readJson(join(root, 'package-lock.json')).packages
  return Object.entries(wanted).every(([path, entry]) => {
    if (!path.includes('node_modules/')) return true
    // npm leaves out optional packages made for other platforms.
    if (!installed[path]) return entry.optional || entry.devOptional
    return installed[path].version === entry.version && existsSync(join(root, path))
  })
}

function run(command, args, options = {}) {
  return spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options }).status === 0
}

/** Throws when dependencies cannot be installed. Returns whether everything compiled without an error. */
export function setup() {
  if (!isInstalled()) {
    console.log('> npm ci')
    const windows = process.platform === 'win32' // where npm is npm.cmd, which only a shell can start
    if (!run('npm', ['ci', '--include=dev'], { shell: windows })) throw new Error('npm ci failed')
  }
  writeCommonjsType()
  return (
    run(process.execPath, ['scripts/sync-references.mjs']) &&
    run(process.execPath, ['node_modules/typescript/bin/tsc', '-b', 'tsconfig.build.json'])
  )
}

if (isMain(import.meta.url)) process.exit(setup() ? 0 : 1)
