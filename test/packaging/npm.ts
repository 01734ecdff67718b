import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../scripts/workspace.mjs'

/** A package as npm would publish it. */
export interface Packed {
  readonly name: string
  readonly tarball: string
  readonly files: string[]
}

/** Packs these packages of the workspace into a folder. */
export function packInto(folder: string, packages: readonly { readonly dir: string }[]): Map<string, Packed> {
  const selection = packages.flatMap(({ dir }) => ['--workspace', dir])
  return pack(folder, root, selection)
}

/** Packs the package in a folder into another. */
export function packFolder(folder: string, source: string): string {
  const [packed] = pack(folder, source, []).values()
  if (packed === undefined) throw new Error(`npm packed nothing of ${source}`)
  return packed.tarball
}

function pack(folder: string, cwd: string, selection: readonly string[]): Map<string, Packed> {
  const json = run(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', folder, ...selection],
    cwd,
  ).stdout
  return new Map(
    (JSON.parse(json) as PackReport[]).map(({ name, filename, files }) => [
      name,
      { name, tarball: join(folder, filename), files: files.map(({ path }) => path) },
    ]),
  )
}

export function npmInstall(folder: string): void {
  run(
    'npm',
    ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--no-package-lock'],
    folder,
  )
}

/** The version of a package that this workspace uses. */
export function installedVersion(name: string): string {
  return JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')).version
}

/** The compiler's complaints about a file with this text in a strict project, and about declarations of ours that it uses. */
export function typeErrors(folder: string, text: string): string[] {
  writeFileSync(join(folder, 'use.ts'), text)
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        module: 'nodenext',
        target: 'es2022',
        lib: ['es2023'],
        types: ['node'],
        strict: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: false,
        noEmit: true,
      },
      files: ['use.ts'],
    }),
  )
  const { output } = tryRun(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'], folder)
  return output.split('\n').filter((line) => /^(use\.ts|.*@grpc-stack\/).*error TS|^error TS/.test(line))
}

export function run(command: string, args: string[], cwd: string): SpawnSyncReturns<string> {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', env: cleanEnvironment() })
  if (result.error) throw result.error
  if (result.status !== 0) {
    throw new Error(`${command} ${args.join(' ')} ended with ${result.status}\n${result.stdout}${result.stderr}`)
  }
  return result
}

export function tryRun(command: string, args: string[], cwd = root): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', env: cleanEnvironment() })
  return { status, output: `${stdout}${stderr}` }
}

/** Without what npm and vitest set for this process: it would configure the processes started here too. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([key]) => !/^npm_(?!config_(registry|cache|userconfig))|^VITEST|^NODE_OPTIONS$|^NODE_ENV$/i.test(key),
  )
  return Object.fromEntries(kept)
}

/** What `npm pack --json` says of a package. */
interface PackReport {
  name: string
  filename: string
  files: { path: string }[]
}
