import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { brokenLinks } from '../../scripts/docs-links.mjs'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'docs-links-'))
  mkdirSync(join(folder, 'guides'))
  writeFileSync(join(folder, 'style.css'), '')
  writeFileSync(join(folder, 'guides/redis.html'), '<h1 id="redis">Redis</h1><a href="../index.html#top">up</a>')
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

function index(html: string): string[] {
  writeFileSync(join(folder, 'index.html'), `<h1 id="top">Home</h1>${html}`)
  return brokenLinks(folder)
}

describe('brokenLinks', () => {
  it('has nothing to say about pages, files, headings and other sites', () => {
    const links = ['/guides/redis.html', 'guides/redis.html#redis', '#top', '/', '/style.css', 'https://grpc.io/']
    expect(index(links.map((link) => `<a class="x" href="${link}">x</a>`).join(''))).toEqual([])
  })

  it.each([
    ['/guides/kafka.html', 'index.html: /guides/kafka.html is not there'],
    ['guides/redis.html#cluster', 'index.html: guides/redis.html#cluster: no such heading'],
    ['#bottom', 'index.html: #bottom: no such heading'],
  ])('names a link to %s', (link, line) => {
    expect(index(`<a href="${link}">x</a>`)).toEqual([line])
  })

  it('names what a browser would load from elsewhere, or not find', () => {
    expect(
      index('<link rel="stylesheet" href="https://fonts.example.com/inter.css"><script src="/app.js"></script>'),
    ).toEqual([
      'index.html: /app.js is not there',
      'index.html: loads https://fonts.example.com/inter.css from elsewhere',
    ])
  })
})
