import { withRepository } from '../repository.mjs'

/** The package.json of a new package: ranges and versions are those of a package that is there. */
export function manifestOf(tree, folder) {
  const model = JSON.parse(tree.read('packages/interceptor-logging/package.json', 'utf8'))
  const { repository } = JSON.parse(tree.read('package.json', 'utf8'))
  const paths = (output) => ({ types: `./${output}/index.d.ts`, default: `./${output}/index.js` })
  const manifest = {
    name: `@grpc-stack/${folder}`,
    // Below the first release, which its changeset makes 1.0.0.
    version: '0.9.0',
    description: 'What it does, in a line, for @grpc/grpc-js',
    keywords: ['grpc', 'grpc-js', 'interceptor', 'middleware'],
    license: model.license,
    type: 'module',
    sideEffects: false,
    engines: model.engines,
    main: './commonjs/index.js',
    types: './commonjs/index.d.ts',
    exports: { '.': { import: paths('dist'), require: paths('commonjs') }, './package.json': './package.json' },
    files: model.files,
    publishConfig: model.publishConfig,
    scripts: { ...model.scripts, test: `vitest run --root ../.. --passWithNoTests packages/${folder}/` },
    peerDependencies: model.peerDependencies,
    devDependencies: model.devDependencies,
  }
  return withRepository(manifest, `packages/${folder}`, repository)
}
