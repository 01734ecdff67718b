// Whether docs/reference-parity.md keeps its word. Part of `npm run lint`.
//
//   every table    no empty cell, as many cells as the head has
//   column test    `[key] › title`, several with <br> between: the key is defined at the end of the page, its file exists,
//                  and a test or describe in it has a title with that text
//   exports        `package`: `Name`, `Name` or `none`: that entry point of the workspace exports each name
//   table Flaws    the numbers 1 to 90, once each; `flaw N` stands in the title of a test of row N
//   table …no.     numbered from 1 without a gap
//
//   node scripts/check-parity.mjs [page]
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { entryPoints, root, workspacePackages } from './workspace.mjs'

const FLAWS = 90
const TABLES = ['Symbols', 'Sentences', 'Deviations', 'Flaws']

const page = resolve(process.argv[2] ?? join(root, 'docs/reference-parity.md'))
const lines = readFileSync(page, 'utf8').split('\n')
const problems = []
const report = (line, problem) => problems.push(`${relative(root, page)}:${line}: ${problem}`)

/** `a | b` → `['a', 'b']`; a pipe in a cell is written `\|`. */
const cellsOf = (row) =>
  row
    .replace(/^\|/, '')
    .replace(/\|\s*$/, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim())

/** Every table: its section (`## …`), the names of its columns, and its rows with their line numbers. */
function tablesOf() {
  const tables = []
  let section = ''
  let table
  for (const [index, text] of lines.entries()) {
    const line = index + 1
    if (text.startsWith('## ')) section = text.slice(3).trim()
    if (!text.startsWith('|')) {
      table = undefined
      continue
    }
    const cells = cellsOf(text)
    if (table === undefined) {
      table = { section, head: cells, rows: [] }
      tables.push(table)
      continue
    }
    if (cells.every((cell) => /^:?-+:?$/.test(cell))) continue
    if (cells.length !== table.head.length) report(line, `${cells.length} cells, the head has ${table.head.length}`)
    const { head } = table
    table.rows.push({ line, cell: (name) => cells[head.indexOf(name)] ?? '' })
    for (const [i, cell] of cells.entries()) {
      if (/^[-–—\s]*$/.test(cell)) report(line, `the cell "${table.head[i] ?? i}" is empty`)
    }
  }
  return tables
}

// ── Tests ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const files = new Map()
for (const [index, text] of lines.entries()) {
  const [, key, target] = /^\[([^\]]+)\]:\s*(\S+)$/.exec(text) ?? []
  if (key === undefined) continue
  const path = resolve(dirname(page), target)
  if (files.has(key)) report(index + 1, `[${key}] is defined twice`)
  if (!existsSync(path)) report(index + 1, `${target} does not exist`)
  else if (!path.endsWith('.test.ts')) report(index + 1, `${target} is no test file`)
  files.set(key, path)
}

const titles = new Map()
/** The titles in a test file: the string that `it`, `it.each(…)` and their like are called with. Skipped ones do not count. */
function titlesIn(path) {
  let known = titles.get(path)
  if (known === undefined) {
    const string = /(?<=\b(?:it|test|describe)(?:\.(?!skip|todo)\w+)*|\))\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1\s*,/gs
    const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
    known = [...text.matchAll(string)].map((match) => match[2].replace(/\\(.)/gs, '$1'))
    titles.set(path, known)
  }
  return known
}

const named = new Set()
/** Checks a cell of tests; returns the full titles it names. */
function testsOf(line, cell) {
  return cell.split('<br>').flatMap((item) => {
    const [, key, title] = /^\[([^\]]+)\] › (.+)$/.exec(item.trim()) ?? []
    if (key === undefined || title === undefined) {
      report(line, `"${item}" is not of the form [key] › title`)
      return []
    }
    named.add(key)
    const path = files.get(key)
    if (path === undefined) {
      report(line, `[${key}] is not defined`)
      return []
    }
    const found = titlesIn(path).filter((candidate) => candidate.includes(title))
    if (found.length === 0 && existsSync(path)) report(line, `${relative(root, path)} has no test "${title}"`)
    return found
  })
}

// ── Exports ───────────────────────────────────────────────────────────────────────────────────────────────────────

const sources = new Map(
  workspacePackages()
    .flatMap(entryPoints)
    .map(({ specifier, source }) => [specifier.replace('@grpc-stack/', ''), join(root, source)]),
)

/** What an entry point exports, by `export { … } from`, `export type { … } from` and declarations. */
function exportsOf(source) {
  const text = readFileSync(source, 'utf8').replace(/\/\*.*?\*\/|^\s*\/\/.*$/gms, '')
  const lists = [...text.matchAll(/^export\s+(?:type\s+)?\{([^}]*)\}/gm)].flatMap((match) => match[1].split(','))
  const names = lists.map((name) =>
    name
      .replace(/^\s*type\s+/, '')
      .replace(/^.*\sas\s+/s, '')
      .trim(),
  )
  const declaration =
    /^export\s+(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(?:function\*?|class|const|let|interface|type)\s+([\w$]+)/gm
  return new Set([...names, ...[...text.matchAll(declaration)].map((match) => match[1])])
}

function checkExports(line, cell) {
  if (cell === 'none') return
  for (const item of cell.split('<br>')) {
    const [, name, list] = /^`([\w./-]+)`: ((?:`[\w$]+`(?:, )?)+)$/.exec(item.trim()) ?? []
    if (name === undefined || list === undefined) {
      report(line, `"${item}" is not of the form \`package\`: \`Name\`, \`Name\``)
      continue
    }
    const source = sources.get(name)
    if (source === undefined) {
      report(line, `${name} is no entry point of the workspace`)
      continue
    }
    const exported = exportsOf(source)
    for (const [, symbol] of list.matchAll(/`([\w$]+)`/g)) {
      if (!exported.has(symbol)) report(line, `${name} does not export ${symbol}`)
    }
  }
}

// ── The page ──────────────────────────────────────────────────────────────────────────────────────────────────────

const tables = tablesOf()
for (const section of TABLES) {
  const own = tables.filter((table) => table.section === section)
  if (own.length === 0) report(1, `there is no table under "## ${section}"`)
  for (const table of own) {
    if (!table.head.includes('test')) report(1, `a table under "## ${section}" has no column "test"`)
    if (table.rows.length === 0) report(1, `a table under "## ${section}" has no rows`)
  }
}

const flaws = new Map()
for (const { section, head, rows } of tables) {
  for (const [index, { line, cell }] of rows.entries()) {
    const tests = head.includes('test') ? testsOf(line, cell('test')) : []
    if (head.includes('exports')) checkExports(line, cell('exports'))
    if (head.includes('no.') && cell('no.') !== String(index + 1)) report(line, `no. ${index + 1} is "${cell('no.')}"`)
    if (section !== 'Flaws') continue
    const flaw = Number(cell('flaw'))
    if (!Number.isInteger(flaw) || flaw < 1 || flaw > FLAWS)
      report(line, `"${cell('flaw')}" is no flaw from 1 to ${FLAWS}`)
    if (flaws.has(flaw)) report(line, `flaw ${flaw} stands in line ${flaws.get(flaw)} already`)
    flaws.set(flaw, line)
    if (!tests.some((title) => new RegExp(`\\bflaw ${flaw}\\b`).test(title))) {
      report(line, `none of the tests has "flaw ${flaw}" in its title`)
    }
  }
}
for (let flaw = 1; flaw <= FLAWS; flaw++) {
  if (!flaws.has(flaw)) report(1, `flaw ${flaw} is missing`)
}
for (const key of files.keys()) {
  if (!named.has(key)) report(1, `[${key}] is defined and not used`)
}

if (problems.length > 0) {
  console.error(problems.join('\n'))
  process.exit(1)
}
