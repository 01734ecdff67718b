// Whether what the packages bring along may be used with them: every dependency and peer dependency of a published package, and what
// those depend on, has one of these licences. Reads what is installed, by package-lock.json: `npm run licences`.
import { join } from 'node:path'
import { publishablePackages, readJson, root } from './workspace.mjs'

const allowed = new Set(['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'BlueOak-1.0.0', 'ISC', 'MIT'])

/** `(Apache-2.0 AND BSD-3-Clause)` asks for both, `(MIT OR X)` for one of them. */
function isAllowed(expression = '') {
  const plain = expression.replace(/^\((.*)\)$/, '$1')
  if (/[()]/.test(plain)) return false
  if (plain.includes(' OR ')) return !plain.includes(' AND ') && plain.split(' OR ').some((one) => allowed.has(one))
  return plain.split(' AND ').every((one) => allowed.has(one))
}

const locked = readJson(join(root, 'package-lock.json')).packages

/** The entry of a package as Node would resolve it from another. */
function find(name, from) {
  for (let folder = from; ; folder = folder.replace(/\/?node_modules\/(?!.*node_modules\/).*$/, '')) {
    const path = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`
    if (locked[path] !== undefined) return path
    if (!folder.includes('node_modules')) return locked[`node_modules/${name}`] && `node_modules/${name}`
  }
}

const seen = new Set()
const pending = publishablePackages().map(({ dir }) => dir)
while (pending.length > 0) {
  const path = pending.pop()
  if (seen.has(path)) continue
  seen.add(path)
  const { dependencies, peerDependencies, link, resolved } = locked[path]
  if (link) pending.push(resolved)
  for (const name of Object.keys({ ...dependencies, ...peerDependencies })) {
    const found = find(name, path)
    if (found !== undefined) pending.push(found)
  }
}

const refused = []
const counts = new Map()
for (const path of seen) {
  if (!path.includes('node_modules') || locked[path].link) continue
  const licence = locked[path].license ?? readJson(join(root, path, 'package.json')).license
  counts.set(licence, (counts.get(licence) ?? 0) + 1)
  if (!isAllowed(licence)) refused.push(`${path}: ${licence ?? 'no licence'}`)
}
console.log([...counts].map(([licence, count]) => `${licence} ${count}`).join(', '))
if (refused.length > 0) {
  console.error(`not among ${[...allowed].join(', ')}:\n${refused.join('\n')}`)
  process.exit(1)
}
