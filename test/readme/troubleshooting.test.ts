import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { publishablePackages, root } from '../../scripts/workspace.mjs'

// The page about messages has those of the sources, all of them, and no others.

const page = readFileSync(join(root, 'docs/troubleshooting.md'), 'utf8')

const sources = publishablePackages()
  .filter(({ dir }) => dir !== 'packages/grpc-testing')
  .flatMap(({ dir }) =>
    readdirSync(join(root, dir, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !/\.test(-d)?\.ts$/.test(file))
      .map((file) => readFileSync(join(root, dir, 'src', file), 'utf8')),
  )
const everything = sources.join('\n')

/** Parts of a text that do not vary: what stands between `…`, or between `${…}`. */
const fixedParts = (text: string, variable: RegExp): string[] =>
  text
    .split(variable)
    .map((part) => part.trim().replace(/^[;:]\s*/, ''))
    .filter((part) => /\w{3}/.test(part))

const unique = (values: Iterable<string>): string[] => [...new Set(values)].sort()

describe('the warnings on the page about troubleshooting', () => {
  it('have the codes of the sources', () => {
    const described = [...page.matchAll(/^### (GRPC_STACK_\w+)$/gm)].map(([, code]) => code as string)
    const emitted = [...everything.matchAll(/\bcode(?::| =) '(GRPC_STACK_\w+)'/g)].map(([, code]) => code as string)
    expect(emitted.length).toBeGreaterThan(10)
    expect(unique(described)).toEqual(unique(emitted))
    expect(described).toEqual([...new Set(described)])
  })

  it('include those without a code, by how they begin', () => {
    const withoutCode = [...everything.matchAll(/process\.emitWarning\(`([^`]*)`, '(\w+)'\)/g)]
    expect(withoutCode).toHaveLength(2)
    for (const [, text = '', type = ''] of withoutCode) {
      const [last = ''] = fixedParts(text, /\$\{.*?\}/).slice(-1)
      expect(page).toContain(last.replace(/:$/, ''))
      expect(page).toContain(`\`${type}\``)
    }
  })

  it('are all emitted in one of these two ways', () => {
    const calls = everything.match(/process\.emitWarning\(/g) ?? []
    const known = everything.match(
      /process\.emitWarning\((?:`[^`]*`, '\w+'\)|(?:(?!\n {2}\}\n)[\s\S])*?code: (?:'GRPC_STACK_\w+'|this\.#code))/g,
    )
    expect(known).toHaveLength(calls.length)
  })
})

describe('the statuses on the page about troubleshooting', () => {
  const rows = [...page.matchAll(/^\| (`[^|]+`) \| [^|]+ \| [^|]+ \| .*\|$/gm)].flatMap(([, texts = '']) =>
    [...texts.matchAll(/`([^`]+)`/g)].map(([, text]) => text as string),
  )

  it('are a table', () => expect(rows.length).toBeGreaterThan(25))

  it.each(rows)('are in the sources: %s', (text) => {
    const squeezed = everything.replaceAll(/' \+\s+'/g, '')
    expect(fixedParts(text, /…|\bonRequest\b/).filter((part) => !squeezed.includes(part))).toEqual([])
  })

  it('include all that the sources write as details', () => {
    const written = [...everything.matchAll(/details(?: =|:) (['`])([A-Z](?:(?!\1).)*)\1/g)].map(
      ([, , text]) => text as string,
    )
    const known = rows.flatMap((row) => fixedParts(row, /…/))
    const missing = unique(written).filter(
      (text) =>
        !fixedParts(text, /\$\{.*?\}/).some((part) => known.some((row) => row.includes(part) || part.includes(row))),
    )
    expect(missing).toEqual([])
  })
})
