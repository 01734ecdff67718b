// npm run chaos -- <arguments>: sets the checkout up and runs the chaos suite with the Node that runs this file. With --retention
// among the arguments, the processes of the suite have packages/free-ended-calls.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { setup } from './setup.mjs'
import { root } from './workspace.mjs'

const args = process.argv.slice(2)
const register = pathToFileURL(join(root, 'packages/free-ended-calls/dist/register.js')).href
const options = ['--expose-gc', ...(args.includes('--retention') ? ['--import', register] : [])]
// The one way to have grpc-js ask a DNS server of the suite's own.
const env = { ...process.env, GRPC_NODE_USE_ALTERNATIVE_RESOLVER: 'true' }
process.exitCode = setup()
  ? (spawnSync(process.execPath, [...options, join(root, 'chaos/dist/main.js'), ...args], {
      cwd: root,
      stdio: 'inherit',
      env,
    }).status ?? 1)
  : 1
