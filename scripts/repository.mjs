// Writes `repository`, `homepage` and `bugs` of every published manifest, and the links of every published README to other files of the
// repository, from one place: the field `repository` of the root package.json, the address of the repository on the web. Where the
// repository moves, change that field and run this. With --check, part of `npm run lint`, it writes nothing and fails when a file differs.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMain, publishablePackages, readJson, root } from './workspace.mjs'

/** The address of the repository on the web, without a slash at the end. */
export const repositoryUrl = () => readJson(join(root, 'package.json')).repository

/** What links to files of the repository begin with, for readers who have one package alone. */
export const fileUrl = (url = repositoryUrl()) => `${url}/blob/main/`

/** The page with its links to files of the repository at the new address. */
export const withLinks = (page, oldUrl, url = repositoryUrl()) => page.replaceAll(fileUrl(oldUrl), fileUrl(url))

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
    const oldUrl = manifest.bugs?.url.replace(/\/issues$/, '') ?? repositoryUrl()
    const texts = {
      'package.json': () => `${JSON.stringify(withRepository(manifest, dir), null, 2)}\n`,
      'README.md': (before) => withLinks(before, oldUrl),
    }
    for (const [name, textOf] of Object.entries(texts)) {
      const file = join(root, dir, name)
      const before = readFileSync(file, 'utf8')
      const after = textOf(before)
      if (after === before) continue
      stale.push(`${dir}/${name}`)
      if (!checkOnly) writeFileSync(file, after)
    }
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
