// Files and exports that nothing uses, tests included: npm run unused, part of `npm run hygiene`. By knip, which reads TypeScript by a
// parser of its own, so that version 7 is nothing to it. What packages export is used. Dependencies are the business of dependency-cruiser.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './workspace.mjs'

const knip = join(root, 'node_modules/knip/bin/knip.js')
if (existsSync(knip)) {
  const { status } = spawnSync(process.execPath, [knip, '--no-progress', '--no-config-hints'], {
    cwd: root,
    stdio: 'inherit',
  })
  process.exitCode = status ?? 1
} else {
  console.log('skipped: knip is not installed: npm ci')
  process.exitCode = process.env.CI ? 1 : 0
}
