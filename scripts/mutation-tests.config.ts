// The tests of `npm run mutation`, which names them and runs them in worker threads.
import usual from '../vitest.config.ts'

const include = process.env.GRPC_STACK_MUTATION_TESTS?.split(',') ?? []
export default {
  ...usual,
  test: { ...usual.test, projects: undefined, include, execArgv: [], isolate: false },
}
