// npm run test:retention -- <arguments for vitest>: the tests with packages/free-ended-calls in every process that runs them and every
// Node process that they start. Without arguments: the invariants of core.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { setup } from './setup.mjs'
import { root } from './workspace.mjs'

const register = pathToFileURL(join(root, 'packages/free-ended-calls/dist/register.js')).href
const chosen = process.argv.slice(2)
const compiled = setup()
const { status } = spawnSync(
  process.execPath,
  [join(root, 'scripts/test.mjs'), ...(chosen.length > 0 ? chosen : ['packages/grpc-core/src/invariants'])],
  {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import ${register}`.trim() },
  },
)
process.exitCode = compiled ? (status ?? 1) : 1
