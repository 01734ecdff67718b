// Links of the built site that lead nowhere: pages and files that are not there, anchors that a page does not have, and anything that a
// browser would load from elsewhere.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative, sep } from 'node:path'

const plain = (text) =>
  text.replaceAll('&amp;', '&').replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&lt;', '<')

/** What a page of the site links to, loads, and can be linked to. */
function readPage(file) {
  // Code shows tags as text only, but the script that restores the page's data is not markup.
  const html = readFileSync(file, 'utf8').replaceAll(/<script\b.*?<\/script>/gs, (script) => script.split('>')[0])
  const values = (pattern) => [...html.matchAll(pattern)].map(([, value]) => plain(value))
  return {
    links: values(/<a\b[^>]*\shref="([^"]*)"/g),
    loads: [
      ...values(/<(?:img|script|iframe|source)\b[^>]*\ssrc="([^"]*)"/g),
      ...values(/<link\b[^>]*\shref="([^"]*)"/g),
    ],
    anchors: new Set(values(/\sid="([^"]*)"/g)),
  }
}

/** @returns {string[]} a line for each, none where all is well */
export function brokenLinks(folder) {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.html'))
  const pages = new Map(files.map((file) => [file.split(sep).join('/'), readPage(join(folder, file))]))
  const broken = []
  for (const [page, { links, loads }] of pages) {
    for (const url of loads) {
      if (/^(?:https?:)?\/\//.test(url)) broken.push(`${page}: loads ${url} from elsewhere`)
      else if (!url.startsWith('data:') && !existsSync(join(folder, url))) broken.push(`${page}: ${url} is not there`)
    }
    for (const url of links) {
      if (/^[a-z]+:/i.test(url)) continue
      const [path, anchor] = url.split('#')
      const target =
        path === '' ? page : posix.join('.', path.startsWith('/') ? path : posix.join('/', dirname(page), path))
      const file = relative('/', posix.join('/', target))
        .split(sep)
        .join('/')
        .replace(/(^|\/)$/, '$1index.html')
      if (!pages.has(file) && !existsSync(join(folder, file))) broken.push(`${page}: ${url} is not there`)
      else if (anchor && !pages.get(file)?.anchors.has(decodeURIComponent(anchor)))
        broken.push(`${page}: ${url}: no such heading`)
    }
  }
  return broken
}
