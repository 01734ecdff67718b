import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { fileUrl, repositoryUrl } from '../../scripts/repository.mjs'
import { publishablePackages, root } from '../../scripts/workspace.mjs'
import { run } from '../packaging/npm.ts'

// A package's README is read on npm and in node_modules, where the rest of the repository is not.

const packages = publishablePackages()
let shipped: Map<string, readonly string[]>

beforeAll(() => {
  const selection = packages.flatMap(({ dir }) => ['--workspace', dir])
  const report = run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts', ...selection], root).stdout
  const packed = JSON.parse(report) as { readonly name: string; readonly files: readonly { readonly path: string }[] }[]
  shipped = new Map(packed.map(({ name, files }) => [name, files.map(({ path }) => path)]))
}, 60_000)

/** What the links and images of a page lead to. */
function linksOf(page: string): string[] {
  const prose = page.replaceAll(/^```.*?^```/gms, '')
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target as string)
}

/** The anchors of a page, as GitHub makes them of headings. */
function anchorsOf(page: string): string[] {
  return [...page.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

const isAbsolute = (target: string): boolean => /^https?:/.test(target)

describe.each(packages)('the README of $name', ({ name, dir }) => {
  const page = readFileSync(join(root, dir, 'README.md'), 'utf8')

  it('links to pages of the web and to files that the package ships, and to nothing else', () => {
    const files = shipped.get(name) ?? []
    expect(files).toContain('README.md')
    const dead = linksOf(page)
      .filter((target) => !isAbsolute(target))
      .filter((target) => {
        const [file = '', anchor] = target.split('#')
        return file === '' ? !anchorsOf(page).includes(anchor ?? '') : !files.includes(file)
      })
    expect(dead).toEqual([])
  })

  it('links by the address of the repository to files and headings that are there', () => {
    const dead = linksOf(page)
      .filter((target) => target.startsWith(repositoryUrl()))
      .filter((target) => {
        if (!target.startsWith(fileUrl())) return true
        const [file = '', anchor] = target.slice(fileUrl().length).split('#')
        const path = join(root, file)
        return !existsSync(path) || (anchor !== undefined && !anchorsOf(readFileSync(path, 'utf8')).includes(anchor))
      })
    expect(dead).toEqual([])
  })

  it('says of files that only the repository has that they are there', () => {
    const files = shipped.get(name) ?? []
    const sources = run('git', ['ls-files', dir, 'docs', 'bench'], root).stdout.split('\n')
    const named = page.split(/\n\n|\n(?=\||- )/).flatMap((paragraph) =>
      [...paragraph.matchAll(/`(?:node )?([\w./-]+\.(?:md|mjs|json|ts|yml))`/g)].map(([, file]) => ({
        paragraph,
        file,
      })),
    )
    const silent = named
      .filter(({ file }) => sources.some((source) => `/${source}`.endsWith(`/${file}`)) && !files.includes(`${file}`))
      .filter(({ paragraph }) => !/\brepository\b/.test(paragraph))
    expect(silent.map(({ file }) => file)).toEqual([])
  })
})

describe('the README of the repository', () => {
  it('links to pages of the web and to files and headings that are here', () => {
    const page = readFileSync(join(root, 'README.md'), 'utf8')
    const dead = linksOf(page)
      .filter((target) => !isAbsolute(target))
      .filter((target) => {
        const [file = '', anchor] = target.split('#')
        const path = join(dirname(join(root, 'README.md')), file)
        return !existsSync(path) || (anchor !== undefined && !anchorsOf(readFileSync(path, 'utf8')).includes(anchor))
      })
    expect(dead).toEqual([])
  })
})
