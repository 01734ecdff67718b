// npm run mutation [-- area ...]: changes the sources one place at a time and runs the tests that reach the place. A change
// that no test notices has survived: the score of an area is the share of changes that were noticed. Prints the score and the survivors.
//
// An area is a policy, or a part of the engine, with the tests that are meant to hold it. Other tests that happen to pass through are
// not run: the score tells what is asserted on purpose.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installTools, toolPath } from './tools.mjs'
import { isMain, readJson, root } from './workspace.mjs'

const inFolder = (folder, names, end) => names.map((name) => `packages/${folder}/${name}${end}`)

/** What is changed in each area, and the tests that are to notice. */
const areas = {
  limiter: {
    mutate: inFolder('interceptor-ratelimit/src/quota', ['gcra'], '.ts'),
    tests: inFolder('interceptor-ratelimit/src', ['quota/gcra', 'stores/memory-store'], '.test.ts'),
  },
  breaker: {
    mutate: inFolder('interceptor-circuit/src', ['circuit-breaker', 'time-window', 'count-window', 'open-time'], '.ts'),
    tests: inFolder(
      'interceptor-circuit/src',
      ['circuit-breaker', 'circuit-model', 'deadlines', 'windows'],
      '.test.ts',
    ),
  },
  retry: {
    mutate: inFolder(
      'interceptor-retry/src',
      ['decision', 'backoff', 'token-bucket', 'ratio-budget', 'pushback'],
      '.ts',
    ),
    tests: inFolder(
      'interceptor-retry/src',
      ['decision', 'backoff', 'token-bucket', 'ratio-budget', 'pushback'],
      '.test.ts',
    ),
  },
  engine: {
    mutate: inFolder('grpc-core/src/engine/client', ['attempt-runner', 'request-log', 'request-sender'], '.ts'),
    tests: inFolder(
      'grpc-core/src',
      [
        'engine/attempt-taps',
        'engine/client/request-log',
        'engine/taps',
        'invariants/answered-below',
        'invariants/as-it-was',
        'invariants/attempts-on-status',
        'invariants/backpressure',
        'invariants/cancel-at-once',
        'invariants/odd-moments',
        'invariants/replay',
        'invariants/terminal-status',
        'invariants/transparency',
        'invariants/write-callbacks',
        'objects/write-flags',
      ],
      '.test.ts',
    ),
  },
}

function mutate(area) {
  const { mutate, tests } = areas[area]
  const scratch = mkdtempSync(join(tmpdir(), 'grpc-stack-mutation-'))
  const report = join(scratch, 'report.json')
  const settings = join(scratch, 'stryker.json')
  writeFileSync(
    settings,
    JSON.stringify({
      mutate,
      plugins: [toolPath('@stryker-mutator/vitest-runner/dist/src/index.js')],
      testRunner: 'vitest',
      testRunnerNodeArgs: ['--expose-gc'],
      vitest: { configFile: 'scripts/mutation-tests.config.ts', related: false },
      coverageAnalysis: 'perTest',
      // It would rewrite the tsconfig with the API of TypeScript 6; the tests do not need one.
      tsconfigFile: 'none.json',
      ignorePatterns: ['/tools', '/runtimes', '**/dist', '**/commonjs'],
      // Texts of errors and warnings are words, not behaviour.
      mutator: { excludedMutations: ['StringLiteral'] },
      concurrency: 2,
      // On top of the time that the tests need. Vitest ends a test that hangs; this is for what never lets it.
      timeoutMS: 30_000,
      reporters: ['json', 'dots'],
      jsonReporter: { fileName: report },
      tempDirName: join(scratch, 'sandboxes'),
    }),
  )
  try {
    spawnSync(process.execPath, [toolPath('@stryker-mutator/core/bin/stryker.js'), 'run', settings], {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, GRPC_STACK_MUTATION_TESTS: tests.join() },
    })
    return existsSync(report) ? Object.entries(readJson(report).files) : undefined
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

const noticed = ['Killed', 'Timeout']
const missed = ['Survived', 'NoCoverage']

/** The score of an area, and a line for each survivor. */
function summary(files) {
  const all = files.flatMap(([file, { mutants }]) => mutants.map((mutant) => ({ ...mutant, file })))
  const survivors = all.filter(({ status }) => missed.includes(status))
  const caught = all.filter(({ status }) => noticed.includes(status)).length
  const endless = all.filter(({ status }) => status === 'Timeout').length
  const lines = survivors.map(
    ({ file, location, mutatorName, replacement }) =>
      `${file}:${location.start.line}:${location.start.column} ${mutatorName}: ${replacement?.replace(/\s+/g, ' ')}`,
  )
  return { caught, endless, of: caught + survivors.length, lines }
}

if (isMain(import.meta.url)) {
  const chosen = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(areas)
  const unknown = chosen.filter((area) => !(area in areas))
  if (unknown.length > 0) {
    console.error(`no such area: ${unknown.join()}; there are ${Object.keys(areas).join(', ')}`)
    process.exit(2)
  }
  const why = installTools()
  if (why) {
    console.error(why)
    process.exit(1)
  }
  for (const area of chosen) {
    const files = mutate(area)
    if (!files) {
      console.log(`${area}: the run broke off`)
      process.exitCode = 1
      continue
    }
    const { caught, endless, of, lines } = summary(files)
    console.log(`\n${area}: ${caught} of ${of} changes noticed (${((100 * caught) / of).toFixed(1)} %)`)
    // On a busy machine this may be for want of time.
    if (endless > 0) console.log(`  ${endless} of them because the tests came to no end`)
    for (const line of lines) console.log(`  ${line}`)
  }
}
