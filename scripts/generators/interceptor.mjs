// npm run new-interceptor <name>: a generator of Nx. Nx gives it a tree of files, writes what it changed there, and then calls what it
// returned. Nothing here imports Nx: its toolkit for generators would be a dependency for three calls of that tree.
import { spawnSync } from 'node:child_process'
import { readmeOf, sourcesOf } from './interceptor-files.mjs'
import { manifestOf } from './interceptor-manifest.mjs'

/**
 * @param {{ root: string, exists(path: string): boolean, read(path: string, encoding: 'utf8'): string, write(path: string, content: string): void }} tree
 * @param {{ name: string, lockOnly?: boolean }} options
 */
export default function interceptor(tree, { name, lockOnly = false }) {
  const folder = `interceptor-${name}`
  const dir = `packages/${folder}`
  if (tree.exists(dir)) throw new Error(`${dir} is there already`)
  const factory = name.replace(/-([a-z0-9])/g, (_, letter) => letter.toUpperCase())
  const reserved = ['delete', 'export', 'import', 'new', 'default', 'function', 'return', 'switch', 'void', 'with']
  if (reserved.includes(factory)) throw new Error(`${name} is a word of JavaScript: no function can have that name`)

  tree.write(`${dir}/package.json`, `${JSON.stringify(manifestOf(tree, folder), null, 2)}\n`)
  tree.write(`${dir}/LICENSE`, tree.read('LICENSE', 'utf8'))
  tree.write(`${dir}/README.md`, readmeOf(folder, factory))
  for (const [file, text] of Object.entries(sourcesOf(name, factory))) tree.write(`${dir}/${file}`, text)
  tree.write(`.changeset/${folder}.md`, `---\n"@grpc-stack/${folder}": major\n---\n\nFirst release.\n`)
  edit(
    tree,
    'README.md',
    /(\| \[`interceptor-[^\n]*\n)(?!\| \[`interceptor-)/,
    `$1| [\`${folder}\`](${dir}) | what it does, in a line |\n`,
  )
  edit(tree, 'test/readme/package-readmes.test.ts', /(const pages: [^\n]*\n)/, `$1  '${folder}': [{}],\n`)

  return () => {
    run(tree.root, 'npm', 'install', '--no-audit', '--no-fund', ...(lockOnly ? ['--package-lock-only'] : []))
    run(tree.root, process.execPath, 'scripts/sync-references.mjs')
    if (lockOnly) return
    run(tree.root, 'npm', 'run', 'build')
    run(tree.root, 'npm', 'run', 'api')
    console.log(`\n${dir} is there. Begin with src/${name}.ts, README.md and its line in the README of the repository.`)
  }
}

/** Changes a file where a pattern says; the file has to have that place. */
function edit(tree, file, pattern, replacement) {
  const before = tree.read(file, 'utf8')
  const after = before.replace(pattern, replacement)
  if (after === before)
    throw new Error(`${file} has no place for the new package any more: see scripts/generators/interceptor.mjs`)
  tree.write(file, after)
}

function run(cwd, command, ...args) {
  const shell = process.platform === 'win32' && command === 'npm' // where npm is npm.cmd
  const { status } = spawnSync(command, args, { cwd, stdio: ['ignore', 2, 2], shell })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}`)
}
