// npm run release:dry: what the next release is, in a copy of the checkout, which stays as it is. Turns the changesets that wait into
// versions and changelogs as `npm run version` does, lets npm say what it would publish, and lists the versions.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isMain, publishablePackages, readJson, root } from './workspace.mjs'

/** Copies the checkout, as it is now, to `folder`, and gives its packages the versions of the next release. */
export function makeNextRelease(folder) {
  // A clone, because changelogs name the commits of their changesets; over it what is not committed.
  run('git', ['clone', '--quiet', '--no-checkout', root, folder], root)
  const listed = run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], root)
  const built = publishablePackages().flatMap(({ dir }) => [`${dir}/dist`, `${dir}/commonjs`])
  for (const file of [...listed.split('\0').filter(Boolean), ...built]) {
    if (existsSync(join(root, file))) cpSync(join(root, file), join(folder, file), { recursive: true })
  }
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  run(process.execPath, [join(root, 'node_modules/@changesets/cli/bin.js'), 'version'], folder)
  run(process.execPath, ['scripts/write-version.mjs'], folder)
}

function run(command, args, cwd) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 2 ** 26 })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}\n${stdout}${stderr}`)
  return stdout
}

if (isMain(import.meta.url)) {
  const scratch = mkdtempSync(join(tmpdir(), 'grpc-stack-release-'))
  try {
    const folder = join(scratch, 'next')
    makeNextRelease(folder)
    const selection = publishablePackages().flatMap(({ dir }) => ['--workspace', dir])
    const { status } = spawnSync('npm', ['publish', '--dry-run', '--ignore-scripts', ...selection], {
      cwd: folder,
      stdio: ['ignore', 2, 2],
      shell: process.platform === 'win32', // where npm is npm.cmd
    })
    process.exitCode = status ?? 1
    for (const { name, dir, manifest } of publishablePackages()) {
      const { version } = readJson(join(folder, dir, 'package.json'))
      const news = version === manifest.version ? 'nothing new' : `after ${manifest.version}`
      console.log(`${name.padEnd(36)} ${version}  ${news}`)
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}
