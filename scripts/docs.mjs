// The documentation as a site, from the markdown files of the repository (site/pages.mjs says which).
//
//   node scripts/docs.mjs build   writes site/dist and checks every link in it, anchors included
//   node scripts/docs.mjs dev     serves it and follows changes of the files
//
// What builds it has a folder and a lock file of its own, installed on first use: nothing else in the repository needs it.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isMain, readJson, root } from './workspace.mjs'

const site = join(root, 'site')
const output = join(site, 'dist')

function isInstalled() {
  const { dependencies } = readJson(join(site, 'package.json'))
  return Object.entries(dependencies).every(([name, version]) => {
    const manifest = join(site, 'node_modules', name, 'package.json')
    return existsSync(manifest) && readJson(manifest).version === version
  })
}

/** Whether a program of npm or Node ended well. */
const run = (program, args) =>
  spawnSync(program, args, { cwd: site, stdio: 'inherit', shell: process.platform === 'win32' && program === 'npm' })
    .status === 0

export function installSite() {
  return isInstalled() || run('npm', ['ci', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'])
}

if (isMain(import.meta.url)) {
  const [command, ...args] = process.argv.slice(2)
  if (!['build', 'dev'].includes(command)) {
    console.error('docs: say build or dev')
    process.exit(1)
  }
  const vitepress = [join(site, 'node_modules/vitepress/bin/vitepress.js'), command, '.', ...args]
  const done = installSite() && run(process.execPath, vitepress)
  if (done && command === 'build') {
    const { brokenLinks } = await import('./docs-links.mjs')
    const broken = brokenLinks(output)
    for (const one of broken) console.error(one)
    if (broken.length > 0) process.exit(1)
    console.log(`docs: ${join(output, 'index.html')}, no broken link`)
  }
  process.exitCode = done ? 0 : 1
}
