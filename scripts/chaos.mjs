// npm run chaos -- <arguments>: sets the checkout up and runs the chaos suite with the Node that runs this file.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { setup } from './setup.mjs'
import { root } from './workspace.mjs'

const main = join(root, 'chaos/dist/main.js')
process.exitCode = setup()
  ? (spawnSync(process.execPath, ['--expose-gc', main, ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' })
      .status ?? 1)
  : 1
