// npm run simulate -- <arguments>: sets the checkout up and runs the simulation.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { setup } from './setup.mjs'
import { root } from './workspace.mjs'

const main = join(root, 'bench/dist/simulation/main.js')
process.exitCode = setup()
  ? (spawnSync(process.execPath, [main, ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' }).status ?? 1)
  : 1
