// npm run bench -- <arguments>: sets the checkout up and runs the benchmark. What the set-up says goes to stderr, since
// with --json stdout holds the results and nothing else.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { root } from './workspace.mjs'

const run = (script, args, stdio) => spawnSync(process.execPath, [join(root, script), ...args], { cwd: root, stdio })

const setup = run('scripts/setup.mjs', [], ['ignore', 2, 'inherit'])
process.exitCode =
  setup.status === 0 ? run('bench/dist/main.js', process.argv.slice(2), ['ignore', 'inherit', 'inherit']).status : 1
