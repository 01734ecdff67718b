// Pages link to files of the repository, so that they can be read there. On the site these links lead to the page that a file has
// become, or to a copy of the file. The READMEs of packages, which are read on npm, do so by the address of the repository.
import { existsSync, statSync } from 'node:fs'
import { dirname, join, posix, relative, sep } from 'node:path'
import { fileUrl } from '../scripts/repository.mjs'
import { root } from '../scripts/workspace.mjs'
import { addressOf, pages } from './pages.mjs'

/** Files that pages link to and that are no pages, by where they are on the site. Complete once all pages are rendered. */
export const copies = new Map()

const isRelative = (href) => !/^(?:[a-z]+:|\/|#)/i.test(href)

/** The file of the repository that a link leads to. */
const fileOf = (path, from) =>
  path.startsWith(fileUrl())
    ? path.slice(fileUrl().length)
    : posix.normalize(posix.join(dirname(from), path)).replace(/\/$/, '')

/** Where a file of the repository is on the site. */
function onSite(file, from) {
  const page = [file, posix.join(file, 'README.md')].find((candidate) => pages.includes(candidate))
  if (page !== undefined) return `/${addressOf(page)}`
  if (!existsSync(join(root, file))) throw new Error(`${from}: ${file} is linked to and does not exist`)
  if (statSync(join(root, file)).isDirectory()) return undefined
  // As text, which browsers show, whatever the file is.
  const copy = `files/${file}.txt`
  copies.set(copy, file)
  return `/${copy}`
}

/** A markdown-it plugin. A link to a folder that is no page becomes plain text. */
export function repositoryLinks(md) {
  md.core.ruler.push('repository-links', (state) => {
    const from = relative(root, state.env.realPath ?? state.env.path)
      .split(sep)
      .join('/')
    for (const { children } of state.tokens) {
      if (children === null) continue
      const open = []
      for (const token of children) {
        if (token.type === 'link_open') {
          const href = token.attrGet('href')
          if (isRelative(href) || href.startsWith(fileUrl())) {
            const [path, anchor] = href.split('#')
            const target = onSite(fileOf(decodeURI(path), from), from)
            if (target === undefined) Object.assign(token, { tag: 'span', attrs: null, type: 'no_link_open' })
            else {
              token.attrSet('href', target + (anchor === undefined ? '' : `#${anchor}`))
              if (target.startsWith('/files/')) token.attrSet('target', '_blank')
            }
          }
          open.push(token)
        } else if (token.type === 'link_close' && open.pop()?.tag === 'span') {
          Object.assign(token, { tag: 'span', type: 'no_link_close' })
        }
      }
    }
  })
}

/** Anchors as the repository's viewers make them of headings, so that links to them hold in both places. */
export const slugify = (heading) =>
  heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
