import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

it('the README of error-details has code that compiles, and an example that prints what it promises', () => {
  const page = readFileSync(join(root, 'packages/error-details/README.md'), 'utf8')
  const [first = '', second = ''] = [...page.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code]) => code ?? '')
  const directory = mkdtempSync(join(root, 'test/readme/compiled-'))
  try {
    const options = {
      extends: '../../../tsconfig.base.json',
      compilerOptions: { outDir: 'out', noUnusedLocals: false },
      include: ['*.ts'],
    }
    writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(options))
    writeFileSync(join(directory, 'package.json'), '{ "type": "module" }')
    writeFileSync(join(directory, 'first.ts'), first)
    writeFileSync(join(directory, 'second.ts'), `import { status } from '@grpc/grpc-js'\n${second}`)
    const tsc = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', directory], {
      encoding: 'utf8',
    })
    expect(tsc.stdout + tsc.stderr).toBe('')
    const run = spawnSync(process.execPath, [join(directory, 'out/first.js')], { encoding: 'utf8', timeout: 9_000 })
    expect(run.stderr).toBe('')
    expect(run.stdout).toBe('sku is missing\n')
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}, 30_000)
