// The workspace as its package.json files describe it. Every other script and vitest.config.ts reads it from here, so
// that adding a package is adding a folder.
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

/** Whether the module with this `import.meta.url` is what Node was started with, rather than imported by another. */
export const isMain = (url) => process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(url)

export const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'))

/**
 * Every workspace package: `{ name, dir, manifest }`, `dir` relative to the root with forward slashes, sorted by `dir`.
 * Understands the two shapes of pattern the root package.json uses: `folder/*` and `folder`.
 * @returns {{ name: string, dir: string, manifest: any }[]}
 */
export function workspacePackages() {
  return readJson(join(root, 'package.json'))
    .workspaces.flatMap((pattern) => {
      if (!pattern.endsWith('/*')) return [pattern]
      const parent = pattern.slice(0, -2)
      if (!existsSync(join(root, parent))) return []
      return readdirSync(join(root, parent), { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => `${parent}/${entry.name}`)
    })
    .filter((dir) => existsSync(join(root, dir, 'package.json')))
    .sort()
    .map((dir) => {
      const manifest = readJson(join(root, dir, 'package.json'))
      return { name: manifest.name, dir, manifest }
    })
}

/** The packages that go to the registry. */
export const publishablePackages = () => workspacePackages().filter(({ manifest }) => !manifest.private)

/**
 * The code entry points of a package: `{ specifier, source }`, e.g. `@grpc-stack/interceptor-auth/jwt` and
 * `packages/interceptor-auth/src/jwt.ts`. `exports` names files in `dist`, and what `require()` gets in `commonjs`; `dist/x.js` is
 * compiled from `src/x.ts`.
 * @param {{ name: string, dir: string, manifest: any }} workspacePackage
 * @returns {{ specifier: string, source: string }[]}
 */
export function entryPoints({ name, dir, manifest }) {
  return Object.entries(manifest.exports ?? {})
    .filter(([, target]) => typeof target === 'object')
    .map(([subpath, target]) => ({
      specifier: name + subpath.slice(1),
      source: join(dir, target.import.default.replace(/^\.\/dist\//, 'src/').replace(/\.js$/, '.ts')),
    }))
}
