// Why not Vitest's JSON reporter: it tells neither the reason of a skip, nor failed hooks, nor errors outside of tests.
//
// A vitest reporter that writes the outcome of a run to the file named in GRPC_STACK_TEST_SUMMARY:
// `{ passed, failed: [{ name, message }], skipped: [{ name, reason }], broken: [{ name, message }] }`. `broken` are
// failures that no test accounts for: files that did not load, hooks that failed, uncaught errors.
import { writeFileSync } from 'node:fs'

export default class CountReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const summary = { passed: 0, failed: [], skipped: [], broken: [] }

    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const name = `${module.relativeModuleId} > ${test.fullName}`
        const result = test.result()
        if (result.state === 'passed') summary.passed++
        else if (result.state === 'failed')
          summary.failed.push({ name, message: result.errors[0]?.message ?? 'no error' })
        else {
          summary.skipped.push({
            name,
            reason: result.note ?? (test.options.mode === 'todo' ? 'todo' : 'no reason given'),
          })
        }
      }
      for (const suite of [module, ...module.children.allSuites()]) {
        for (const error of suite.errors()) {
          summary.broken.push({ name: suite.fullName ?? module.relativeModuleId, message: error.message })
        }
      }
    }
    for (const error of unhandledErrors) summary.broken.push({ name: 'unhandled error', message: error.message })

    writeFileSync(process.env.GRPC_STACK_TEST_SUMMARY, JSON.stringify(summary))
  }
}
