// Writes what every package exports into api/<package>.md: each entry point, each export with its declaration, and what those
// declarations name of the same package. With --check it writes nothing and fails when a page would change, so that a change of
// the public surface is seen in review, and says that it needs a changeset.
//
// Reads the built declarations by the compiler API of TypeScript 6, which version 7 does not have. API Extractor would write one
// entry point per run, two seconds each, and complains about what we do on purpose (sub-paths that share types).
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import { installTools, toolPath } from './tools.mjs'
import { entryPoints, publishablePackages, root } from './workspace.mjs'

const problem = installTools()
if (problem !== undefined) {
  console.error(problem)
  process.exit(1)
}
const ts = createRequire(import.meta.url)(toolPath('typescript-6'))

const packages = publishablePackages().map((one) => ({
  ...one,
  entries: entryPoints(one).map(({ specifier, source }) => ({
    specifier,
    file: join(root, source.replace('/src/', '/dist/').replace(/\.ts$/, '.d.ts')),
  })),
}))
const files = packages.flatMap(({ entries }) => entries.map(({ file }) => file))
const program = ts.createProgram(files, { module: ts.ModuleKind.NodeNext, types: ['node'], strict: true, noEmit: true })
const checker = program.getTypeChecker()
const printer = ts.createPrinter({ removeComments: true })

const resolved = (symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol)

/** The declarations of a symbol that are in this folder, as text. */
function declarationsOf(symbol, folder) {
  return (symbol.declarations ?? []).filter((declaration) => declaration.getSourceFile().fileName.startsWith(folder))
}

/** What a declaration is written in: `const` belongs to the statement. */
const statementOf = (declaration) => (ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration)

const isTop = (declaration) => {
  const { parent } = statementOf(declaration)
  return parent !== undefined && ts.isSourceFile(parent)
}

function textOf(declaration) {
  const node = statementOf(declaration)
  return printer
    .printNode(ts.EmitHint.Unspecified, node, node.getSourceFile())
    .replace(/^export (declare )?/, '')
    .replace(/^declare /, '')
    .replace(/\n\s*private [^\n]*;/g, '')
}

/** Of the same package, what these declarations name beside what they are. */
function namedIn(declarations, folder) {
  const found = new Set()
  const visit = (node) => {
    if (ts.isIdentifier(node)) {
      const symbol = checker.getSymbolAtLocation(node)
      const target = symbol && resolved(symbol)
      if (target?.declarations?.some(isTop) && declarationsOf(target, folder).length > 0) found.add(target)
    }
    ts.forEachChild(node, visit)
  }
  for (const declaration of declarations) visit(declaration)
  return found
}

function page({ name, dir, entries }) {
  const folder = join(root, dir, 'dist/')
  const parts = [
    `# ${name}\n\nWritten by \`npm run api\`. A change here is a change for users: it needs a changeset.\n`,
  ]
  const shown = new Map()
  const pending = new Set()
  for (const { specifier, file } of entries) {
    const module = checker.getSymbolAtLocation(program.getSourceFile(file))
    const lines = (module ? checker.getExportsOfModule(module) : [])
      .map((symbol) => ({ as: symbol.name, target: resolved(symbol) }))
      .sort((a, b) => (a.as < b.as ? -1 : 1))
      .map(({ as, target }) => {
        const own = declarationsOf(target, folder)
        if (own.length === 0) return `// ${as}, of another package`
        const before = shown.get(target)
        if (before !== undefined) return `// ${as}, as in ${before}`
        shown.set(target, specifier)
        for (const other of namedIn(own, folder)) pending.add(other)
        return own.map(textOf).join('\n')
      })
    parts.push(`## ${specifier}\n\n\`\`\`ts\n${lines.join('\n\n')}\n\`\`\`\n`)
  }
  const hidden = []
  for (const symbol of pending) {
    if (shown.has(symbol)) continue
    shown.set(symbol, 'below')
    const own = declarationsOf(symbol, folder)
    hidden.push({ name: symbol.name, text: own.map(textOf).join('\n') })
    for (const other of namedIn(own, folder)) pending.add(other)
  }
  if (hidden.length > 0) {
    const text = hidden
      .sort((a, b) => (a.name + a.text < b.name + b.text ? -1 : 1))
      .map((one) => one.text)
      .join('\n\n')
    parts.push(`## Named by these, and not exported\n\n\`\`\`ts\n${text}\n\`\`\`\n`)
  }
  return parts.join('\n')
}

const stale = []
mkdirSync(join(root, 'api'), { recursive: true })
for (const one of packages) {
  const file = join(root, 'api', `${basename(one.dir)}.md`)
  const after = page(one)
  if (existsSync(file) && readFileSync(file, 'utf8') === after) continue
  if (process.argv.includes('--check')) stale.push(one.name)
  else writeFileSync(file, after)
}
if (stale.length > 0) {
  console.error(`the public surface changed: ${stale.join(', ')}; run npm run api, look at it, and add a changeset`)
  process.exit(1)
}
