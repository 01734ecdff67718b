// npm run demo -- <arguments>: sets the checkout up and starts the demo.
import { spawn } from 'node:child_process'
import { setup } from './setup.mjs'
import { root } from './workspace.mjs'

if (!setup()) process.exit(1)

const demo = spawn(process.execPath, ['examples/shop/dist/main.js', ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
})
// A terminal sends Ctrl-C to the whole group; what a supervisor sends to this process alone is passed on. Either way the
// demo decides when to end.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    if (signal !== 'SIGINT' || !process.stdin.isTTY) demo.kill(signal)
  })
}
demo.on('exit', (code, signal) => {
  process.exitCode = signal ? 1 : code
})
