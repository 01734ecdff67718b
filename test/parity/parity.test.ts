// docs/reference-parity.md and the script that checks it.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { root } from '../../scripts/workspace.mjs'

const page = readFileSync(join(root, 'docs/reference-parity.md'), 'utf8')
let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'parity-'))
})
afterAll(() => rmSync(dir, { recursive: true }))

/** What the script says of a page. */
function check(...args: string[]): { status: number | null; said: string } {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts/check-parity.mjs'), ...args], {
    encoding: 'utf8',
  })
  return { status, said: stderr }
}

describe('the page about the reference', () => {
  it('names every flaw, tests that exist and exports that are there, and has no empty cell', () => {
    expect(check()).toEqual({ status: 0, said: '' })
  })

  const row = (flaw: number): RegExp => new RegExp(`^\\| ${flaw} \\| .*? \\| \\[flaws\\].*\n`, 'm')

  it.each<[string, (text: string) => string, string]>([
    ['a flaw is missing', (text) => text.replace(row(7), ''), 'flaw 7 is missing'],
    ['a flaw stands there twice', (text) => text.replace(row(7), '$&$&'), 'flaw 7 stands in line'],
    ['a cell is empty', (text) => text.replace(/(\| 7 \| )[^|]+/, '$1 '), 'is empty'],
    ['a cell is a dash', (text) => text.replace(/(\| 7 \| )[^|]+/, '$1– '), 'is empty'],
    ['a cell is too many', (text) => text.replace(row(7), (found) => found.replace('\n', ' x |\n')), '5 cells'],
    ['a test has another name', (text) => text.replace('› flaw 7: ', '› flaw 7: not '), 'has no test'],
    [
      'a test is of another flaw',
      (text) => text.replace(row(7), (found) => found.replace('flaw 7: one deadline covers', 'flaw 8: a repeated')),
      'none of the tests has "flaw 7" in its title',
    ],
    ['a test has no file', (text) => text.replace('/src/flaws.test.ts', '/src/gone.test.ts'), 'does not exist'],
    ['a file is not defined', (text) => text.replace(/^\[flaws\]: .*$/m, ''), '[flaws] is not defined'],
    ['exports are prose', (text) => text.replace('| none |', '| nothing |'), 'is not of the form'],
    [
      'an export does not exist',
      (text) => text.replace(/: `interceptChannel`/, ': `pierceChannel`'),
      'does not export',
    ],
    ['a deviation is gone', (text) => text.replace(/^\| 3 \| a plain.*\n/m, ''), 'no. 3 is "4"'],
  ])('%s: the script says so', (_what, change, problem) => {
    const whole = page.replaceAll(']: ../', `]: ${root}`)
    const changed = change(whole)
    expect(changed).not.toBe(whole)
    const file = join(dir, 'page.md')
    writeFileSync(file, changed)
    const { status, said } = check(file)
    expect(said).toContain(problem)
    expect(status).toBe(1)
  })
})
