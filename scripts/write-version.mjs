// Writes the version of a package into its sources, where they say it: grpc-core in the texts of errors, interceptor-tracing in the
// scope of its spans. A program that was bundled has no package.json to read. Part of `npm run version`. With --check, part of
// `npm run lint`, it writes nothing and fails when the two differ.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { publishablePackages, root } from './workspace.mjs'

for (const { dir, manifest } of publishablePackages()) {
  const file = [`${dir}/src/version.ts`, `${dir}/src/runtime/version.ts`].find((path) => existsSync(join(root, path)))
  if (file === undefined) continue
  const before = readFileSync(join(root, file), 'utf8')
  const after = before.replace(/(VERSION: string = )'[^']*'/, `$1'${manifest.version}'`)
  if (!after.includes(`'${manifest.version}'`)) {
    console.error(`${file} has no VERSION to fill in`)
    process.exit(1)
  }
  if (after === before) continue
  if (process.argv.includes('--check')) {
    console.error(`${file}: the version differs from package.json; run node scripts/write-version.mjs`)
    process.exit(1)
  }
  writeFileSync(join(root, file), after)
}
