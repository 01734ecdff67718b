// Writes the version of grpc-core's package.json into its sources, where error texts take it from: a program that was bundled has
// no package.json to read. Part of `npm run version`. With --check, part of `npm run lint`, it writes nothing and fails when the
// two differ.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readJson, root } from './workspace.mjs'

const file = 'packages/grpc-core/src/runtime/version.ts'
const { version } = readJson(join(root, 'packages/grpc-core/package.json'))
const before = readFileSync(join(root, file), 'utf8')
const after = before.replace(/(VERSION: string = )'[^']*'/, `$1'${version}'`)
if (!after.includes(`'${version}'`)) {
  console.error(`${file} has no VERSION to fill in`)
  process.exit(1)
}
if (after !== before) {
  if (process.argv.includes('--check')) {
    console.error(`${file}: the version differs from package.json; run node scripts/write-version.mjs`)
    process.exit(1)
  }
  writeFileSync(join(root, file), after)
}
