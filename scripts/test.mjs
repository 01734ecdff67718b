// npm test -- <arguments for vitest>: sets the checkout up, runs the tests with the Node that runs this file, lists what
// failed and what was skipped and why, and closes with one line, "N passed, N failed" (", N skipped" when there were
// any), that counts single tests. What failed without being a test counts too: a file that does not load, a hook, a
// compile error.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setup } from './setup.mjs'
import { readJson, root } from './workspace.mjs'

const vitestArguments = process.argv.slice(2)
const scratch = mkdtempSync(join(tmpdir(), 'grpc-stack-test-'))
const summaryFile = join(scratch, 'summary.json')

/** What the run comes to when vitest did not live to tell. */
let summary = { passed: 0, failed: [], skipped: [], broken: [] }
let vitestSucceeded = false
let compiled = false
try {
  // Tests run on the sources, so they can run, and say more, when something does not compile.
  compiled = setup()
  // Every file runs in a process of its own. Node 22 and later compile what they all load once: a quarter of the time.
  const environment = {
    ...process.env,
    GRPC_STACK_TEST_SUMMARY: summaryFile,
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(scratch, 'compiled'),
  }
  const reporters = ['--reporter=default', `--reporter=${join(root, 'scripts/count-reporter.mjs')}`]
  const vitest = spawnSync(
    process.execPath,
    ['node_modules/vitest/vitest.mjs', 'run', ...reporters, ...vitestArguments],
    { cwd: root, stdio: 'inherit', env: environment },
  )
  vitestSucceeded = vitest.status === 0
  summary = readJson(summaryFile)
} catch (error) {
  summary.broken.push({ name: 'test run', message: error.message })
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
if (!compiled) summary.broken.push({ name: 'build', message: 'did not compile' })

const accountedFor = summary.failed.length + summary.broken.length
if (accountedFor === 0 && summary.passed === 0) summary.broken.push({ name: 'test run', message: 'no test ran' })
else if (accountedFor === 0 && !vitestSucceeded) {
  summary.broken.push({ name: 'test run', message: 'vitest ended with an error' })
}
for (const { name, message } of [...summary.failed, ...summary.broken]) {
  console.log(`failed: ${name}: ${message.split('\n', 1)[0]}`)
}

// A filter by test name makes vitest skip every other test. Those are not worth a line each.
const filtered = vitestArguments.some((argument) => /^(-t|--testNamePattern)/.test(argument))
const skipped = filtered ? [] : summary.skipped
for (const { name, reason } of skipped) console.log(`skipped: ${name} (${reason})`)

// Where GRPC_STACK_ALLOW_SKIPS is set, even to nothing, only tests may be skipped whose name holds one of its lines.
const allowed = process.env.GRPC_STACK_ALLOW_SKIPS?.split('\n').filter((line) => line.trim() !== '')
const notAllowed = allowed ? skipped.filter(({ name }) => !allowed.some((part) => name.includes(part.trim()))) : []
for (const { name } of notAllowed) console.log(`may not be skipped here: ${name}`)

const failed = summary.failed.length + summary.broken.length
process.exitCode = failed === 0 && notAllowed.length === 0 ? 0 : 1
const skippedCount = summary.skipped.length > 0 ? `, ${summary.skipped.length} skipped` : ''
console.log(`${summary.passed} passed, ${failed} failed${skippedCount}`)
