// npm writes no integrity for optional packages of other platforms that it did not download when it wrote package-lock.json, so that
// they would be installed there unchecked. Asks the registry for what is missing and writes it. With --check, part of `npm run lint`,
// it writes nothing, asks nobody, and fails when something is missing.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readJson, root } from './workspace.mjs'

let missing = 0
for (const folder of ['', 'runtimes', 'tools', 'site']) {
  const file = join(root, folder, 'package-lock.json')
  const lock = readJson(file)
  let changed = false
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (!path.includes('node_modules/') || entry.link || entry.integrity) continue
    const name = entry.name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
    if (process.argv.includes('--check')) {
      console.error(
        `${join(folder, 'package-lock.json')}: no integrity for ${name}; run node scripts/lock-integrity.mjs`,
      )
      missing++
      continue
    }
    const { stdout } = spawnSync('npm', ['view', `${name}@${entry.version}`, 'dist', '--json'], { encoding: 'utf8' })
    const { tarball, integrity } = JSON.parse(stdout)
    const { version, ...rest } = entry
    lock.packages[path] = { version, resolved: tarball, integrity, ...rest }
    changed = true
  }
  if (changed) writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
}
process.exitCode = missing === 0 ? 0 : 1
