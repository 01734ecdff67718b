// What each entry point weighs in a bundle, minified and gzipped, without other packages: `npm run size`. Below it, what is left of the larger
// ones for applications that import a part alone. Fails when one is over its limit. The goal is 16 kB for grpc-core and 8 kB for each
// interceptor. Limits are goals where they are kept, and elsewhere just above what the entry point weighs today, so that it does not grow
// unnoticed. Where the bytes are: docs/internals/sizes.md.
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'
import { entryPoints, publishablePackages, root } from './workspace.mjs'

const kB = 1000
const goalOf = (name) => (name === '@grpc-stack/grpc-core' ? 16 * kB : 8 * kB)
const limits = {
  '@grpc-stack/grpc-core': 42.5 * kB,
  '@grpc-stack/grpc-core/authoring': 12 * kB,
  '@grpc-stack/grpc-testing': 10 * kB,
  '@grpc-stack/interceptor-auth': 15 * kB,
  '@grpc-stack/interceptor-ratelimit': 14.5 * kB,
}

/** What an application imports of an entry point. */
const parts = {
  '@grpc-stack/grpc-core': [
    { names: ['clientInterceptors'], limit: 21.5 * kB },
    { names: ['serverInterceptors'], limit: 20.5 * kB },
    { names: ['createChannel', 'createClient', 'interceptChannel'], limit: 25 * kB },
    { names: ['createServer'], limit: 25.5 * kB },
    { names: ['ContextVar', 'RpcError'], limit: 3.5 * kB },
  ],
  '@grpc-stack/grpc-core/authoring': [{ names: ['named', 'observe'], limit: 8.5 * kB }],
  '@grpc-stack/interceptor-auth': [
    { names: ['clientAuth'], limit: 5 * kB },
    { names: ['serverAuth'], limit: 8 * kB },
    { names: ['policy', 'serverAuth'], limit: 11 * kB },
  ],
  '@grpc-stack/interceptor-ratelimit': [
    { names: ['rateLimit'], limit: 10 * kB },
    { names: ['concurrencyLimit'], limit: 4 * kB },
    { names: ['throttle'], limit: 3.6 * kB },
  ],
}

/** The bytes of a bundle of an entry point, or of the parts of it that are named. */
async function sizeOf(source, names = []) {
  const importing = `export { ${names.join(', ')} } from ${JSON.stringify(join(root, source))}`
  const bundle = await rolldown({
    input: names.length === 0 ? source : 'application',
    platform: 'node',
    external: /^[^./](?!ackages\/|pplication$)/,
    plugins: [
      {
        name: 'application',
        resolveId: (id) => (id === 'application' ? id : null),
        load: (id) => (id === 'application' ? importing : null),
      },
    ],
  })
  const { output } = await bundle.generate({ format: 'esm', minify: true })
  await bundle.close()
  return output.reduce((sum, { code }) => sum + (code === undefined ? 0 : gzipSync(code).length), 0)
}

let over = 0
function report(what, bytes, limit, goal) {
  const verdict = bytes > limit ? `over its limit of ${limit}` : bytes > goal ? `over the goal of ${goal}` : ''
  if (bytes > limit) over++
  console.log(`${what.padEnd(52)} ${String(bytes).padStart(6)} B  ${verdict}`)
}

for (const workspacePackage of publishablePackages()) {
  for (const { specifier, source } of entryPoints(workspacePackage)) {
    const goal = goalOf(specifier)
    report(specifier, await sizeOf(source), limits[specifier] ?? goal, goal)
    for (const { names, limit } of parts[specifier] ?? []) {
      report(`  ${names.join(', ')}`, await sizeOf(source, names), limit, limit)
    }
  }
}
process.exitCode = over === 0 ? 0 : 1
