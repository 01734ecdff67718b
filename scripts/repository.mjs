// Writes `repository`, `homepage` and `bugs` of every published manifest from one place, the field `repository` of the root
// package.json, the address of the repository on the web. Where the repository moves, change that field and run this. With --check, part
// of `npm run lint`, it writes nothing and fails when a manifest differs.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMain, publishablePackages, readJson, root } from './workspace.mjs'

/** The address of the repository on the web, without a slash at the end. */
export const repositoryUrl = () => readJson(join(root, 'package.json')).repository

/** The manifest with the fields that lead to its folder in the repository, behind `license`. */
export function withRepository(manifest, dir, url = repositoryUrl()) {
  const { repository: _, homepage: __, bugs: ___, ...rest } = manifest
  const fields = {
    homepage: `${url}/tree/main/${dir}#readme`,
    repository: { type: 'git', url: `git+${url}.git`, directory: dir },
    bugs: { url: `${url}/issues` },
  }
  return Object.fromEntries(
    Object.entries(rest).flatMap((entry) => (entry[0] === 'license' ? [entry, ...Object.entries(fields)] : [entry])),
  )
}

function writeAll(checkOnly) {
  const stale = []
  for (const { dir, manifest } of publishablePackages()) {
    const file = join(root, dir, 'package.json')
    const after = `${JSON.stringify(withRepository(manifest, dir), null, 2)}\n`
    if (after === readFileSync(file, 'utf8')) continue
    stale.push(dir)
    if (!checkOnly) writeFileSync(file, after)
  }
  return stale
}

if (isMain(import.meta.url)) {
  const checkOnly = process.argv.includes('--check')
  const stale = writeAll(checkOnly)
  if (checkOnly && stale.length > 0) {
    console.error(`${stale.join(', ')}: not as the root package.json has it; run node scripts/repository.mjs`)
    process.exitCode = 1
  }
}
