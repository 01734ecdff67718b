// What each entry point weighs in a bundle, minified and gzipped, without other packages: `npm run size`. Fails when one is over its
// limit. The goal is 16 kB for grpc-core and 8 kB for each interceptor. Limits are goals where they are kept, and elsewhere just above
// what the entry point weighs today, so that it does not grow unnoticed.
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'
import { entryPoints, publishablePackages } from './workspace.mjs'

const kB = 1000
const goalOf = (name) => (name === '@grpc-stack/grpc-core' ? 16 * kB : 8 * kB)
const limits = {
  '@grpc-stack/grpc-core': 42.5 * kB,
  '@grpc-stack/grpc-core/authoring': 12 * kB,
  '@grpc-stack/grpc-testing': 10 * kB,
  '@grpc-stack/interceptor-auth': 15 * kB,
  '@grpc-stack/interceptor-ratelimit': 14.5 * kB,
}

let over = 0
for (const workspacePackage of publishablePackages()) {
  for (const { specifier, source } of entryPoints(workspacePackage)) {
    const bundle = await rolldown({ input: source, platform: 'node', external: /^[^./](?!ackages\/)/ })
    const { output } = await bundle.generate({ format: 'esm', minify: true })
    await bundle.close()
    const bytes = output.reduce((sum, { code }) => sum + (code === undefined ? 0 : gzipSync(code).length), 0)
    const goal = goalOf(specifier)
    const limit = limits[specifier] ?? goal
    const verdict = bytes > limit ? `over its limit of ${limit}` : bytes > goal ? `over the goal of ${goal}` : ''
    if (bytes > limit) over++
    console.log(`${specifier.padEnd(42)} ${String(bytes).padStart(6)} B  ${verdict}`)
  }
}
process.exitCode = over === 0 ? 0 : 1
