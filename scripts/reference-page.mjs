// Writes what tests prove into docs/reference-parity.md. A test says it by a comment above it, which names rows of the tables:
//
//   // reference: flaw 12, symbol 3
//   it('…', …)
//
// The column `test` and the list of files are written from those, all else by hand. With --check, which `npm run lint` runs,
// nothing is written, and a page that would change is an error. Always errors: a row without a test, a comment that names no
// row, a row out of count, an export that its entry point does not name. No tool does this, because the page is our own.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { entryPoints, root, workspacePackages } from './workspace.mjs'

const page = join(root, 'docs/reference-parity.md')
const before = readFileSync(page, 'utf8')
const problems = []

/** By the name of a row, `flaw 12`: the tests that name it, `[file] › title`. */
const proofs = new Map()
const files = new Set()
const annotation = /^[ \t]*\/\/ reference: (.+)$/gm
const title = /(?<=\b(?:it|test|describe)(?:\.(?!skip|todo)\w+)*|\))\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1\s*,/s

/** `packages/grpc-core/src/entry/server.test.ts` → `grpc-core/entry/server`. */
const keyOf = (file) =>
  file
    .replace(/^packages\//, '')
    .replace('/src/', '/')
    .replace(/\.test\.ts$/, '')

const testFiles = ['packages', 'examples', 'bench', 'chaos', 'test'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true })
    .map((file) => `${folder}/${file.replaceAll('\\', '/')}`)
    .filter((file) => file.endsWith('.test.ts') && !/\/(node_modules|dist)\//.test(file)),
)
for (const file of testFiles.sort()) {
  const text = readFileSync(join(root, file), 'utf8')
  for (const { 1: rows, index } of text.matchAll(annotation)) {
    const name = title.exec(text.slice(index))?.[2].replace(/\\(.)/gs, '$1').replaceAll('|', '\\|')
    files.add(file)
    for (const row of rows.split(', ')) {
      proofs.set(row, [...(proofs.get(row) ?? []), `[${keyOf(file)}] › ${name}`])
    }
  }
}

const sources = new Map(
  workspacePackages()
    .flatMap(entryPoints)
    .map(({ specifier, source }) => [specifier.replace('@grpc-stack/', ''), readFileSync(join(root, source), 'utf8')]),
)
/** `package`: `Name`, `Name`, several with <br> between. */
function checkExports(row, cell) {
  for (const item of cell.split('<br>')) {
    const [entryPoint, ...names] = [...item.matchAll(/`([^`]+)`/g)].map((match) => match[1])
    for (const name of names) {
      const exported = new RegExp(`\\b${name.replaceAll('$', '\\$')}\\b`).test(sources.get(entryPoint) ?? '')
      if (!exported) problems.push(`${row}: ${entryPoint} does not export ${name}`)
    }
  }
}

// The tables, each row named by the heading that its table stands under, in the singular, and its number.
let kind = ''
let count = 0
let columns
const rows = new Set()
const lines = before.split('\n').map((line) => {
  if (line.startsWith('## ')) {
    kind = line.slice(3).toLowerCase().replace(/s$/, '')
    count = 0
  }
  if (!line.startsWith('|')) {
    columns = undefined
    return line
  }
  const cells = line.slice(1, line.lastIndexOf('|')).split(/(?<!\\)\|/)
  if (columns === undefined) columns = cells.map((cell) => cell.trim())
  const column = columns.indexOf('test')
  if (column === -1 || cells[0].trim() === columns[0] || /^-+$/.test(cells[0])) return line
  const row = `${kind} ${++count}`
  rows.add(row)
  if (cells[0].trim() !== String(count)) problems.push(`${row}: the number is "${cells[0].trim()}"`)
  if (cells.length !== columns.length) problems.push(`${row}: ${cells.length} cells, the head has ${columns.length}`)
  if (cells.some((cell, index) => index !== column && /^[-–—\s]*$/.test(cell))) problems.push(`${row}: an empty cell`)
  if (columns.includes('exports')) checkExports(row, cells[columns.indexOf('exports')])
  if (!proofs.has(row)) problems.push(`${row}: no test has it in a comment "// reference: ${row}"`)
  cells[column] = ` ${[...new Set(proofs.get(row))].join('<br>')} `
  return `|${cells.join('|')}|`
})
for (const row of proofs.keys()) if (!rows.has(row)) problems.push(`"// reference: ${row}" names no row`)

const links = [...files].map((file) => `[${keyOf(file)}]: ../${file}`)
const after = `${lines
  .filter((line) => !/^\[[^\]]+\]: /.test(line))
  .join('\n')
  .trimEnd()}\n\n${links.join('\n')}\n`
if (process.argv.includes('--check')) {
  if (after !== before) problems.push('docs/reference-parity.md differs: run node scripts/reference-page.mjs')
} else if (after !== before) {
  writeFileSync(page, after)
}
if (problems.length > 0) {
  console.error(problems.join('\n'))
  process.exit(1)
}
