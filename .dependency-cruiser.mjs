// Who may import whom, checked by `npm run lint`. Files that are not built, the tests, are not read: dependency-cruiser parses
// by swc, since TypeScript 7 has no parser for it, and its swc visitor (17.4) does not know `using`. biome.json has the
// rule for their imports.
import { entryPoints, workspacePackages } from './scripts/workspace.mjs'

/** The rooms of grpc-core from the inside out: each imports itself and those before it. */
const rooms = [
  'runtime/',
  'contract/',
  'grpc-js/',
  'engine/[^/]+$',
  'engine/(client|server)/',
  'calls/',
  'objects/',
  'compose/',
  'authoring(/|\\.ts$)',
  'entry/',
]

/** The published packages that sources may import, where their package.json declares them. */
const foundations = ['@grpc-stack/error-details', '@grpc-stack/grpc-core']

const core = '^packages/grpc-core/src/'
const tests = '\\.test(-d)?\\.ts$|^packages/[^/]+/test/'

const layers = rooms.map((room, index) => ({
  name: `grpc-core: ${room}`,
  comment: 'A room imports only itself and the rooms before it; see `rooms` in .dependency-cruiser.mjs.',
  severity: 'error',
  from: { path: core + room },
  to: { path: core, pathNot: `${core}(${rooms.slice(0, index + 1).join('|')})` },
}))

const perPackage = workspacePackages().flatMap((workspacePackage) => {
  const { name, dir, manifest } = workspacePackage
  const declared = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })
  const others = manifest.private ? declared : declared.filter((other) => foundations.includes(other))
  const reachable = workspacePackages().filter((other) => other.name === name || others.includes(other.name))
  const optional = Object.entries(manifest.peerDependenciesMeta ?? {}).flatMap(([peer, meta]) =>
    meta.optional ? [peer] : [],
  )
  const main = entryPoints(workspacePackage).find(({ specifier }) => specifier === name)
  return [
    {
      name: `${name}: packages`,
      comment:
        'Published sources import grpc-core and error-details, private ones any package; package.json declares them.',
      severity: 'error',
      from: { path: `^${dir}/src/` },
      to: { path: '^(packages|examples|bench|chaos)/', pathNot: reachable.map((other) => `^${other.dir}/`) },
    },
    {
      name: `${name}: inside`,
      comment: 'Other packages are imported by the names they export, not by path.',
      severity: 'error',
      from: { path: `^${dir}/src/` },
      to: { path: '^(packages|examples|bench|chaos)/', pathNot: `^${dir}/`, dependencyTypes: ['local'] },
    },
    ...(main === undefined || optional.length === 0
      ? []
      : [
          {
            name: `${name}: optional peers`,
            comment: 'The main entry point loads without optional peers, so only sub-paths import them.',
            severity: 'error',
            from: { path: `^${main.source.replaceAll('.', '\\.')}$` },
            to: { path: `^node_modules/(${optional.join('|')})/`, reachable: true },
          },
        ]),
  ]
})

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'no cycles',
      comment:
        'Of types neither, except that a call has its context, and a context its call and its variables. Biome looks at examples, bench and chaos.',
      severity: 'error',
      from: { path: '^packages/', pathNot: `${core}contract/(call|context|context-var)\\.ts$` },
      to: { circular: true },
    },
    {
      name: 'resolvable',
      comment: 'An import leads to a file, a package, or an entry point that package.json exports.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'sources only',
      comment: 'Other packages are imported by an entry point that their package.json exports.',
      severity: 'error',
      from: {},
      to: { path: '^(packages|examples|bench|chaos)/.*/?dist/' },
    },
    {
      name: 'declared',
      comment: 'What sources import is a dependency or a peer dependency of their package.',
      severity: 'error',
      from: {},
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown', 'npm-bundled'],
        dependencyTypesNot: ['npm', 'npm-peer', 'npm-optional'],
      },
    },
    {
      name: 'no tests in builds',
      comment: 'Built files import no tests and nothing made for them.',
      severity: 'error',
      from: {},
      to: { path: tests },
    },
    ...layers,
    ...perPackage,
  ],
  options: {
    parser: 'swc',
    // import() of an optional peer is allowed, because its failure can be handled.
    exclude: { dynamic: true },
    doNotFollow: { path: ['node_modules', '(^|/)dist/', tests] },
    webpackConfig: { fileName: 'scripts/source-aliases.mjs' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'types', 'default'],
    },
  },
}
