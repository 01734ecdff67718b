import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { defineConfig } from 'vitepress'
import { root } from '../../scripts/workspace.mjs'
import { indentedCode } from '../code.mjs'
import { drawings } from '../drawings.mjs'
import { copies, repositoryLinks, slugify } from '../links.mjs'
import { addressOf, groups, pages, titleOf } from '../pages.mjs'

const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], { cwd: root })
const otherFiles = listed
  .toString()
  .split('\n')
  .filter((file) => file !== '' && !pages.includes(file))

const link = (file) => `/${addressOf(file).replace(/\.md$/, '')}`

/** `/guides/` of `/guides/redis`, and `/troubleshooting` of itself. */
const areaOf = (page) => /^\/[^/]+\/?/.exec(page)[0]

/** The pages become components of Vue, and are outside of the folder that has it. */
const vueForPages = {
  name: 'vue-for-pages',
  enforce: 'pre',
  resolveId(id, _importer, options) {
    if (!/^vue(?:\/server-renderer)?$/.test(id)) return undefined
    // What renders the pages at build time is run from within that folder.
    if (options.ssr) return { id, external: true }
    return this.resolve(id, join(root, 'site/pages.mjs'), { ...options, skipSelf: true })
  },
}

export default defineConfig({
  title: 'grpc-stack',
  description: 'Interceptors for gRPC on Node',
  srcDir: '..',
  outDir: 'dist',
  srcExclude: otherFiles,
  rewrites: addressOf,
  // No page loads anything from elsewhere, so that the site works offline and behind a proxy.
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  markdown: {
    anchor: { slugify },
    // The languages that blocks of code are in.
    languages: ['ts', 'js', 'json', 'yaml', 'bash', 'proto', 'python'],
    theme: { light: 'github-light-high-contrast', dark: 'github-dark' },
    config(md) {
      md.use(repositoryLinks).use(drawings).use(indentedCode)
    },
  },
  // Wide tables get the room of the outline.
  transformPageData: ({ filePath, frontmatter }) =>
    /^docs\/(?:compared\/|reference-parity)/.test(filePath)
      ? { frontmatter: { ...frontmatter, aside: false } }
      : undefined,
  themeConfig: {
    nav: groups
      .filter(({ nav = true }) => nav)
      .map(({ text, pages: [first] }) => ({ text, link: link(first), activeMatch: `^${areaOf(link(first))}` })),
    sidebar: groups.map(({ text, collapsed = false, pages: files }) => ({
      text,
      collapsed,
      items: files.map((file) => ({ text: titleOf(file), link: link(file) })),
    })),
    outline: [2, 3],
    search: { provider: 'local' },
    docFooter: { prev: 'Before', next: 'Next' },
  },
  vite: {
    plugins: [vueForPages],
    build: { chunkSizeWarningLimit: 2000 },
  },
  buildEnd({ outDir }) {
    for (const [copy, file] of copies) {
      const to = join(outDir, copy)
      mkdirSync(dirname(to), { recursive: true })
      copyFileSync(join(root, file), to)
    }
  },
})
