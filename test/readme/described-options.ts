import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { status as Code } from '@grpc/grpc-js'

// Reads the options and defaults that the README of a package describes.

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Options as a page has them: names, each with what it says of the default. */
export type DescribedOptions = ReadonlyMap<string, string>

export const readmeOf = (name: string): string => readFileSync(join(root, 'packages', name, 'README.md'), 'utf8')

/** The tables of a page whose first column is `option`, by their headings. */
export function optionTables(page: string): Map<string, DescribedOptions> {
  const found = new Map<string, Map<string, string>>()
  let heading = ''
  let table: Map<string, string> | undefined
  for (const line of page.split('\n')) {
    if (line.startsWith('#')) heading = line
    if (!line.startsWith('|')) table = undefined
    else if (line.startsWith('| option |')) {
      if (found.has(heading)) throw new Error(`${heading} has two tables of options`)
      table = new Map()
      found.set(heading, table)
    } else if (!line.startsWith('|---')) for (const [name, says] of optionsOfRow(line)) table?.set(name, says)
  }
  return found
}

/** `` | `a`, `b(call)` | 1, 2 | … `` is a: 1, b: 2; one default for several names holds for each. */
function optionsOfRow(line: string): (readonly [name: string, says: string])[] {
  const [first = '', second = ''] = line.slice(1, -1).split(/(?<!\\)\|/)
  const names = [...first.matchAll(/`(\w+)[^`]*`/g)].map(([, name]) => name as string)
  const says = second.split(', ').map((part) => part.trim())
  return names.map((name, index) => [name, (says.length === names.length ? says[index] : second.trim()) ?? ''])
}

/** `f({ a, b = 1 })` and `{ a, b: 1 }` are a: '', b: 1. The first braces from `start` on. */
export function signature(page: string, start: string): DescribedOptions {
  const from = page.indexOf(start)
  if (from < 0) throw new Error(`the page has no ${start}`)
  const [, inside = ''] = /\{([^{}]*)\}/.exec(page.slice(from)) ?? []
  return new Map(
    inside.split(',').map((member) => {
      const [, name = '', says = ''] = /^\s*(\w+)(?:\s*[=:]\s*(.*?))?\s*$/.exec(member) ?? []
      return [name, says] as const
    }),
  )
}

const NOTHING = ['', '–', 'none']
const UNITS = new Map([
  ['', 1],
  ['KiB', 1024],
  ['MiB', 1024 ** 2],
])

/** The value that a default stands for. Undefined where it is in words. */
export function valueSaid(says: string): { readonly value: unknown } | undefined {
  const text = says.replaceAll('`', '')
  if (NOTHING.includes(text)) return { value: undefined }
  if (text === 'true' || text === 'false') return { value: text === 'true' }
  if (text === 'Math.random') return { value: Math.random }
  if (text === '2^31-1') return { value: 2 ** 31 - 1 }
  const [, quoted] = /^'(.*)'$/.exec(text) ?? []
  if (quoted !== undefined) return { value: quoted }
  const [, digits, unit = ''] = /^([\d _]*\d(?:\.\d+)?)(?: ([KM]iB))?$/.exec(text) ?? []
  if (digits !== undefined) return { value: Number(digits.replaceAll(/[ _]/g, '')) * (UNITS.get(unit) as number) }
  const [, codes] = /^\[(\w*)\]$/.exec(text) ?? []
  if (codes !== undefined) return { value: codes === '' ? [] : [codeNamed(codes)] }
  if (says.startsWith('`') && /^[\w-]+$/.test(text)) return { value: text }
  return Object.hasOwn(Code, text) ? { value: codeNamed(text) } : undefined
}

const codeNamed = (name: string): unknown => Code[name as keyof typeof Code]
