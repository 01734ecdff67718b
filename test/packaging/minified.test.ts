import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { rolldown } from 'rolldown'
import { expect, it } from 'vitest'

it('interceptors keep their names in a minified bundle, so that refusals tell who refused', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'minified-'))
  try {
    // Built files, as an application bundles them.
    const bundle = await rolldown({ input: fileURLToPath(new URL('refusals.mjs', import.meta.url)), platform: 'node' })
    const file = join(folder, 'refusals.mjs')
    await bundle.write({ file, format: 'esm', minify: true, codeSplitting: false })
    await bundle.close()
    const { stdout } = await promisify(execFile)(process.execPath, [file])
    const { control, refusedBy, retried } = JSON.parse(stdout) as Record<string, unknown>
    // What is named by its function alone has lost its name, so the bundle is minified indeed.
    expect(control).not.toBe('namedByItsFunction')
    expect(refusedBy).toEqual(['rateLimit', 'serverAuth', 'circuitBreaker', 'mine'])
    expect(retried).toBe(2)
  } finally {
    await rm(folder, { recursive: true })
  }
}, 60_000)
