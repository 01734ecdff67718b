import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { rolldown } from 'rolldown'
import { expect, it } from 'vitest'

/** What a program of this folder prints as JSON once it is bundled and minified. */
async function printedByMinified(program: string): Promise<Record<string, unknown>> {
  const folder = await mkdtemp(join(tmpdir(), 'minified-'))
  try {
    // Built files, as an application bundles them.
    const bundle = await rolldown({ input: fileURLToPath(new URL(program, import.meta.url)), platform: 'node' })
    const file = join(folder, program)
    await bundle.write({ file, format: 'esm', minify: true, codeSplitting: false })
    await bundle.close()
    const { stdout } = await promisify(execFile)(process.execPath, [file])
    return JSON.parse(stdout) as Record<string, unknown>
  } finally {
    await rm(folder, { recursive: true })
  }
}

it('interceptors keep their names in a minified bundle, so that refusals tell who refused', async () => {
  const { control, refusedBy, retried } = await printedByMinified('refusals.mjs')
  // What is named by its function alone has lost its name, so the bundle is minified indeed.
  expect(control).not.toBe('namedByItsFunction')
  expect(refusedBy).toEqual(['rateLimit', 'serverAuth', 'circuitBreaker', 'mine'])
  expect(retried).toBe(2)
}, 60_000)

it('policy rules about authenticators mean the same in a minified bundle', async () => {
  const { control, vouching, codes, refusal } = await printedByMinified('authenticators.mjs')
  expect(control).not.toBe('checkSession')
  expect(vouching).toEqual(['bearer', 'bearer', 'bearer', 'sessions'])
  const [OK, PERMISSION_DENIED] = [0, 7]
  expect(codes).toEqual([
    [OK, PERMISSION_DENIED],
    [OK, PERMISSION_DENIED],
  ])
  expect(refusal).toMatch(/"checkSession" is none of the authenticators, which are bearer/)
}, 60_000)
