// Which files of the repository are pages of the site, in the order of its side bar, and the address that each has.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { publishablePackages, root } from '../scripts/workspace.mjs'

const packages = publishablePackages().map(({ dir }) => dir)

/** The home page, and the groups of the side bar. A page that is in none of them is no page of the site. */
export const home = 'docs/index.md'

export const groups = [
  {
    text: 'Start',
    pages: ['install', 'first-client', 'first-server', 'first-interceptor'].map((page) => `docs/start/${page}.md`),
  },
  { text: 'Guides', pages: ['docs/runtimes.md'] },
  { text: 'Packages', pages: packages.map((dir) => `${dir}/README.md`) },
  {
    text: 'API',
    nav: false,
    collapsed: true,
    pages: packages.map((dir) => dir.replace('packages/', 'api/')).map((page) => `${page}.md`),
  },
]

export const pages = [home, ...groups.flatMap((group) => group.pages)]

/** `packages/grpc-core/README.md` → `packages/grpc-core.md`: the page's address, with `.md` in the place of `.html`. */
export const addressOf = (file) =>
  file
    .replace(/^docs\//, '')
    .replace(/\/README\.md$/, '.md')
    .toLowerCase()

/** What the side bar calls a page: its heading, without the scope of a package and without emphasis. */
export function titleOf(file) {
  const [, heading = file] = /^# (.*)$/m.exec(readFileSync(join(root, file), 'utf8')) ?? []
  return heading.replace('@grpc-stack/', '').replaceAll('`', '')
}
