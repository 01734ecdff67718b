// npm run test:stress -- [--times N] <arguments for vitest>: runs the tests while two processes per core do nothing but keep it busy, three
// times in a row by default. A test that fails here and not by itself waits for time where it should wait for an event. The closing
// line of each run is repeated at the end.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { root } from './workspace.mjs'

const given = process.argv.slice(2)
const at = given.indexOf('--times')
const times = at < 0 ? 3 : Number(given.splice(at, 2)[1])
if (!Number.isInteger(times) || times < 1) {
  console.error('test:stress: --times must be followed by a whole number, 1 or more')
  process.exit(2)
}

// Each ends by itself once this process has gone.
const BUSY = `process.stdin.on('end', () => process.exit()).resume()
setImmediate(function spin() { for (let n = 0; n < 1e7; n++); setImmediate(spin) })`
for (let n = 0; n < 2 * cpus().length; n++) {
  const busy = spawn(process.execPath, ['-e', BUSY], { stdio: ['pipe', 'ignore', 'inherit'] })
  busy.unref()
  busy.stdin.unref()
}

// A test that hangs is ended later. What a test asserts of time stays as it is.
const LONGER = ['--testTimeout=60000', '--hookTimeout=60000']

const closings = []
for (let n = 1; n <= times; n++) {
  const tests = spawn(process.execPath, [join(root, 'scripts/test.mjs'), ...LONGER, ...given], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let last = ''
  tests.stdout.pipe(process.stdout, { end: false })
  createInterface(tests.stdout).on('line', (line) => {
    last = line
  })
  const [status] = await once(tests, 'close')
  if (status !== 0) process.exitCode = 1
  closings.push(last)
}
console.log(`\n${closings.map((line, n) => `run ${n + 1} of ${times}: ${line}`).join('\n')}`)
process.exit()
