import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { entryPoints, workspacePackages } from './scripts/workspace.mjs'

const pathTo = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

// Vitest takes --exclude for no project that has a list of its own.
const leftOut = process.env.GRPC_STACK_TESTS_LEFT_OUT?.split(',') ?? []
const exclude = ['**/node_modules/**', '**/dist/**', ...leftOut]

/** What they tell happens in real time, by a browser and several services, and needs a machine that keeps up: one by one. */
const inRealTime = ['examples/shop/src/modes/**/*.test.ts']

export default defineConfig({
  resolve: {
    // Tests run the sources, those of other packages included. Only processes that a test starts use the built files.
    alias: workspacePackages()
      .flatMap(entryPoints)
      .map(({ specifier, source }) => ({ find: new RegExp(`^${specifier}$`), replacement: pathTo(source) })),
  },
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'tests',
          include: ['packages', 'examples', 'bench', 'chaos', 'test'].map((folder) => `${folder}/**/*.test.ts`),
          exclude: [...exclude, ...inRealTime],
          sequence: { groupOrder: 0 },
          // Tests wait on sockets and on processes of their own as much as they compute, so two cores are worth three workers.
          maxWorkers: Math.ceil(1.5 * availableParallelism()),
        },
      },
      {
        extends: true,
        test: {
          name: 'in real time',
          include: inRealTime,
          exclude,
          expect: { poll: { timeout: 20_000 } },
          sequence: { groupOrder: 1 },
          maxWorkers: 1,
        },
      },
    ],
    setupFiles: ['scripts/plain-environment.mjs', ...('bun' in process.versions ? ['scripts/not-on-bun.mjs'] : [])],
    pool: 'forks',
    // For tests that watch what the heap keeps.
    execArgv: ['--expose-gc'],
    globals: false,
    retry: 0,
    allowOnly: !process.env.CI,
    testTimeout: 10_000,
    // What is on its way comes, however busy the machine is: a second, as usual, would say how soon.
    expect: { poll: { timeout: 9_000 } },
    hookTimeout: 10_000,
    teardownTimeout: 10_000,
    unstubEnvs: true,
    restoreMocks: true,
  },
})
