import { spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Section } from '../section.ts'
import { type Plant, plants } from './plants.ts'

export interface PlantedOptions {
  readonly seed: number
  /** Most random RPCs for each. */
  readonly scripts: number
  readonly say: (line: string) => void
}

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const WORKSPACES = ['packages', 'chaos', 'examples', 'bench']

/**
 * Puts each fault of the table into a copy of this checkout, one at a time, compiles the copy and runs random RPCs there until one
 * fails. The checkout itself stays as it is.
 */
export async function planted({ seed, scripts, say }: PlantedOptions): Promise<Section> {
  const copy = mkdtempSync(join(tmpdir(), 'grpc-stack-planted-'))
  try {
    copyCheckout(copy)
    const rows: (readonly string[])[] = []
    let faults = 0
    for (const plant of plants) {
      const found = await plantAndRun(copy, plant, seed, scripts)
      if (found === undefined && plant.harmless === undefined) faults++
      const told = found ?? (plant.harmless === undefined ? 'NOT FOUND' : `not found: ${plant.harmless}`)
      rows.push([`\`${plant.file}\``, plant.fault, told])
      say(`${plant.file}: ${plant.fault}: ${told}`)
    }
    return {
      title: `Each was put into grpc-core for one run of at most ${scripts} random RPCs from seed ${seed}:`,
      head: ['planted in', 'fault', 'found as'],
      rows,
      calls: plants.length * scripts,
      faults,
    }
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

/** Sources and what was compiled from them; dependencies are linked, and the packages of this checkout stand for themselves. */
function copyCheckout(copy: string): void {
  const isOwn = (path: string): boolean => !path.slice(ROOT.length).split('/').includes('node_modules')
  for (const name of readdirSync(ROOT)) {
    if (WORKSPACES.includes(name) || /^(package\.json|tsconfig.*\.json)$/.test(name)) {
      cpSync(join(ROOT, name), join(copy, name), { recursive: true, filter: isOwn })
    }
  }
  const modules = join(copy, 'node_modules')
  mkdirSync(modules)
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    const from = join(ROOT, 'node_modules', name)
    // Links between the packages are relative, and lead to the copies.
    if (name === '@grpc-stack') cpSync(from, join(modules, name), { recursive: true, verbatimSymlinks: true })
    else symlinkSync(from, join(modules, name))
  }
}

async function plantAndRun(copy: string, plant: Plant, seed: number, scripts: number): Promise<string | undefined> {
  const path = join(copy, 'packages/grpc-core/src', plant.file)
  const sound = readFileSync(path, 'utf8')
  const parts = sound.split(plant.code)
  if (parts.length !== 2)
    throw new Error(`${plant.file}: expected once, found ${parts.length - 1} times: ${plant.code}`)
  writeFileSync(path, parts.join(plant.instead))
  try {
    compile(copy)
    return await firstFault(copy, seed, scripts)
  } finally {
    writeFileSync(path, sound)
  }
}

function compile(copy: string): void {
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-b', 'chaos/tsconfig.build.json'], { cwd: copy })
  if (status !== 0) throw new Error(`the copy with a fault does not compile:\n${stdout}`)
}

/** The first fault of a run, without the numbers in it; or that the run itself broke. Undefined if nothing was found. */
async function firstFault(copy: string, seed: number, scripts: number): Promise<string | undefined> {
  const args = ['chaos/dist/main.js', '--seed', String(seed), '--scripts', String(scripts)]
  const child = spawn(process.execPath, args, { cwd: copy, stdio: ['ignore', 'pipe', 'pipe'] })
  let found: string | undefined
  let world: string | undefined
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  let thrown = ''
  child.stderr.on('data', (text) => {
    thrown += text
  })
  for await (const line of createInterface({ input: child.stdout })) {
    const failed = /^seed \d+, (.+):$/.exec(line)
    if (failed !== null) world = failed[1]
    else if (world !== undefined) {
      found = `${world}: ${line.trim().slice(0, 160).replaceAll('|', '/')}`
      break
    }
  }
  child.kill()
  const code = await ended
  if (found !== undefined || code === 0) return found
  return `the run itself fails: ${/^\w*Error.*$/m.exec(thrown)?.[0] ?? `exit code ${code}`}`
}
