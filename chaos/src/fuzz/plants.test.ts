import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { plants } from './plants.ts'

// `npm run chaos -- --parts planted` takes too long for every run; that its faults still have their places is seen here.
it.each(plants)('has one place to plant it in $file: $fault', ({ file, code, instead }) => {
  const source = readFileSync(
    fileURLToPath(new URL(`../../../packages/grpc-core/src/${file}`, import.meta.url)),
    'utf8',
  )
  expect(source.split(code)).toHaveLength(2)
  expect(instead).not.toBe(code)
})
