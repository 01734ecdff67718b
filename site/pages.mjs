// Which files of the repository are pages of the site, in the order of its side bar, and the address that each has.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { publishablePackages, root } from '../scripts/workspace.mjs'

const packages = publishablePackages().map(({ dir }) => dir)

const filesIn = (folder) =>
  readdirSync(join(root, folder))
    .sort()
    .map((file) => `${folder}/${file}`)

/** The home page, and the groups of the side bar. A page that is in none of them is no page of the site. */
export const home = 'docs/index.md'

export const groups = [
  {
    text: 'Start',
    pages: ['install', 'first-server', 'first-client', 'first-interceptor'].map((page) => `docs/start/${page}.md`),
  },
  {
    text: 'Concepts',
    pages: ['call', 'attempts', 'contexts', 'statuses', 'handlers', 'verification', 'tokens-of-a-client', 'limits'].map(
      (page) => `docs/concepts/${page}.md`,
    ),
  },
  {
    text: 'Guides',
    pages: [
      ...[
        'stacks',
        'generated-code',
        'writing-interceptors',
        'async-handlers',
        'error-details',
        'testing',
        'opentelemetry',
        'prometheus',
        'tokens-and-certificates',
        'policies',
        'redis',
        'kubernetes',
        'nestjs',
        'commonjs',
      ].map((page) => `docs/guides/${page}.md`),
      'docs/runtimes.md',
    ],
  },
  {
    text: 'Migration',
    pages: ['nice-grpc', 'grpc-js', 'grpc-python', 'connect', 'instrumentation-grpc'].map(
      (page) => `docs/migration/from-${page}.md`,
    ),
  },
  { text: 'Troubleshooting', pages: ['docs/troubleshooting.md'] },
  { text: 'Packages', pages: packages.map((dir) => `${dir}/README.md`) },
  {
    text: 'API',
    nav: false,
    collapsed: true,
    pages: packages.map((dir) => dir.replace('packages/', 'api/')).map((page) => `${page}.md`),
  },
  { text: 'Beside others', nav: false, collapsed: true, pages: filesIn('docs/compared') },
  {
    text: 'Inside',
    nav: false,
    collapsed: true,
    pages: [
      'docs/architecture.md',
      ...filesIn('docs/decisions'),
      'docs/performance.md',
      'docs/internals/performance-notes.md',
      'docs/internals/relied-upon.md',
      'docs/internals/sizes.md',
      'bench/README.md',
      'bench/RESULTS.md',
      'docs/reliability.md',
      'docs/scale.md',
      'docs/reference-parity.md',
      'docs/upstream/README.md',
      'examples/shop/README.md',
      'examples/reference/README.md',
      'SECURITY.md',
      'CONTRIBUTING.md',
    ],
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
