import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

// The commands that CONTRIBUTING.md names, as written. Those that .ci/run is made of are run there.

const root = fileURLToPath(new URL('../..', import.meta.url))
const contributing = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8')
const runInCi = [
  'npm test',
  'npx nx test interceptor-logging',
  'npm run typecheck',
  'npm run build',
  'npm run lint',
  'npm run demo',
  'npm run chaos -- --quick',
  'npm run simulate',
  'npm run hygiene',
  'npm run docs:build',
]
/** Would change the checkout the tests run in, or wait for changes. */
const notRun = [
  'npm run format',
  'npm run clean',
  'npm run api',
  'npm run docs:dev',
  'npx vitest packages/interceptor-retry',
  'npx changeset',
  'npm run release:dry',
  'npm publish',
  'npm run mutation -- retry', // minutes
]

const run: readonly string[] = [
  'npx tsc -b packages/interceptor-retry',
  'npx tsc -b packages/interceptor-retry/tsconfig.build.json',
]

/** Commands the page has that are neither above nor built of something else. */
const others = [
  'npm test -- packages/interceptor-retry', // as npm test, with arguments
  'npx nx affected -t build typecheck test', // depends on what the checkout has changed
  'npm run test:bun', // minutes, and for the continuous integration
  'npm run test:peers -- oldest', // minutes, and asks a registry
  'npm run test:stress', // as npm test, three times, with the machine kept busy
  'npm run test:retention', // as npm test for the invariants, with another package beside them
  'npm install',
  'npm run new-interceptor <name>', // run in a copy by test/packaging/new-interceptor.test.ts
  'npm run new-interceptor request-size',
  'npm install --save-dev --save-exact <name> --workspace packages/<folder>',
]

describe('the commands in CONTRIBUTING.md', () => {
  it('are all accounted for', () => {
    const named = [...contributing.matchAll(/`((?:npm|npx) [^`]+)`/g)].map(([, command]) => command as string)
    const known = [...runInCi, ...notRun, ...run, ...others]
    expect(named.filter((command) => !known.includes(command))).toEqual([])
    expect(run.filter((command) => !named.includes(command))).toEqual([])
  })

  it.each(run)(
    '%s',
    (command) => {
      const [program = '', ...args] = command.split(' ')
      const { status, stdout, stderr } = spawnSync(program, args, { cwd: root, encoding: 'utf8' })
      expect(status, stdout + stderr).toBe(0)
    },
    120_000,
  )
})
