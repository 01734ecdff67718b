// npm run test:bun -- <arguments for vitest>: the tests of the packages, run by Bun. Vitest, its workers and what tests start run on the
// binary of the npm package @oven/bun-linux-x64 (tools/package.json). What Bun does not run stands in scripts/not-on-bun.mjs by name,
// and is listed at the end with the reason; files that look at nothing but V8 or Node are left out below.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { setup } from './setup.mjs'
import { installTools, optionalTool } from './tools.mjs'
import { root } from './workspace.mjs'

/** By pattern, why. */
const leftOut = {
  'packages/free-ended-calls/**':
    'made for V8 and HTTP/2 of Node; does nothing on Bun, as test/packaging/module-systems.test.ts sees',
  '**/ended-calls-are-freed.test.ts': 'about minor garbage collections of V8',
}

const problem = installTools()
const bun = optionalTool('@oven/bun-linux-x64/bin/bun')
if (problem !== undefined || bun === undefined) {
  console.log(`skipped: ${problem ?? 'there is no Bun for this platform'}`)
  console.log('0 passed, 0 failed, 1 skipped')
} else {
  const compiled = setup()
  for (const [files, reason] of Object.entries(leftOut)) console.log(`left out: ${files} (${reason})`)
  const chosen = process.argv.slice(2)
  // Where skips fail a run, those on Bun do not: each has its reason in scripts/not-on-bun.mjs.
  const { GRPC_STACK_ALLOW_SKIPS: _, ...env } = process.env
  const { status } = spawnSync(bun, [join(root, 'scripts/test.mjs'), ...(chosen.length > 0 ? chosen : ['packages/'])], {
    cwd: root,
    stdio: 'inherit',
    env: { ...env, GRPC_STACK_TESTS_LEFT_OUT: Object.keys(leftOut).join() },
  })
  process.exitCode = compiled ? (status ?? 1) : 1
}
