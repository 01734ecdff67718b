import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { generate, generatedCode, generatorMissing } from '../scripts/generated-code.mjs'
import { root } from '../scripts/workspace.mjs'

// The type tests of grpc-core and the pages of the site say what holds for the code of generators. So that code is theirs, and not what
// someone took it to be.

describe.each(generatedCode)('the code of $generator in $to', (code) => {
  const missing = generatorMissing(code.generator)

  it('is what the generator makes of its .proto file', ({ skip }) => {
    if (missing !== undefined) skip(missing)
    const made = generate(code)
    expect(made.size).toBeGreaterThan(0)
    // After a change of the .proto file or a version: node scripts/generated-code.mjs
    for (const [name, text] of made) expect(readFileSync(join(root, code.to, name), 'utf8'), name).toBe(text)
  })
})

describe('the service of the type tests', () => {
  it('has a method of each kind', () => {
    const proto = readFileSync(join(root, 'packages/grpc-core/test/generated/greeter.proto'), 'utf8')
    const kinds = [...proto.matchAll(/rpc \w+\((stream )?\w+\) returns \((stream )?\w+\)/g)]
    expect(kinds.map(([, request = '', response = '']) => [request, response])).toEqual([
      ['', ''],
      ['', 'stream '],
      ['stream ', ''],
      ['stream ', 'stream '],
    ])
  })
})
