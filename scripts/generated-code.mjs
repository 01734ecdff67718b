// The code that tests and pages take from generators, and how it is made: `node scripts/generated-code.mjs` writes all of it.
//
// test/generators.test.ts makes it again and compares. Needs a protoc: that of gRPC Python (Debian: python3-grpc-tools) or one on the PATH
// (Debian: protobuf-compiler). ts-proto and proto-loader are dependencies of the workspace, the other generators are among the tools.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { optionalTool } from './tools.mjs'
import { isMain, root } from './workspace.mjs'

const fixtures = 'packages/grpc-core/test/generated'
const greeter = `${fixtures}/greeter.proto`

/** The plugins of protoc: where each is, the name that protoc knows it by, and how it takes options. */
const plugins = {
  'ts-proto': { path: join(root, 'node_modules/ts-proto/protoc-gen-ts_proto'), name: 'ts_proto' },
  'protobuf-es': { path: optionalTool('@bufbuild/protoc-gen-es/bin/protoc-gen-es'), name: 'es' },
  'protobuf-ts': { path: optionalTool('@protobuf-ts/plugin/bin/protoc-gen-ts'), name: 'ts' },
  'grpc-tools': { path: optionalTool('grpc_tools_node_protoc_ts/bin/protoc-gen-ts'), name: 'ts' },
}
const protoLoader = join(root, 'node_modules/@grpc/proto-loader/build/bin/proto-loader-gen-types.js')

/**
 * @typedef {object} GeneratedCode What is made of which file, where to, and which of the files that a generator writes are kept.
 * @property {string} generator
 * @property {string} proto
 * @property {string} to
 * @property {string} options
 * @property {RegExp} [only]
 */

/** @type {readonly GeneratedCode[]} */
export const generatedCode = [
  {
    generator: 'ts-proto',
    proto: greeter,
    to: `${fixtures}/ts-proto`,
    options: 'outputServices=grpc-js,esModuleInterop=true,importSuffix=.ts',
  },
  { generator: 'protobuf-es', proto: greeter, to: `${fixtures}/protobuf-es`, options: 'target=ts,import_extension=ts' },
  // The messages need @protobuf-ts/runtime, which is not here: greeter.ts stands in for them.
  {
    generator: 'protobuf-ts',
    proto: greeter,
    to: `${fixtures}/protobuf-ts`,
    options: 'server_grpc1,client_none',
    only: /grpc-server/,
  },
  // The declarations that accompany the JavaScript of grpc-tools.
  { generator: 'grpc-tools', proto: greeter, to: `${fixtures}/grpc-tools`, options: 'grpc_js' },
  {
    generator: 'proto-loader',
    proto: greeter,
    to: `${fixtures}/proto-loader`,
    options: '--grpcLib=@grpc/grpc-js --importFileExtension=.ts --defaults',
  },
  {
    generator: 'protobuf-es',
    proto: 'test/readme/greeter/greeter.proto',
    to: 'test/readme/greeter/generated',
    options: 'target=ts,import_extension=ts',
  },
  {
    generator: 'ts-proto',
    proto: 'test/readme/greeter/greeter.proto',
    to: 'test/readme/greeter/generated',
    options: 'outputServices=grpc-js,esModuleInterop=true,importSuffix=.ts',
  },
  ...['interceptor-ratelimit/src/rls/rls', 'interceptor-auth/src/ext-authz/authorization'].map((file) => ({
    generator: 'protobuf-es',
    proto: `packages/${file}.proto`,
    to: dirname(`packages/${file}`),
    options: 'target=ts,import_extension=ts',
  })),
]

/** How to start protoc, or undefined where there is none. */
const protoc = [['/usr/bin/python3', '-m', 'grpc_tools.protoc'], ['protoc']].find(
  ([program, ...args]) => spawnSync(program, [...args, '--version']).status === 0,
)

/** Why code of a generator cannot be made on this machine, or undefined. */
export function generatorMissing(generator) {
  if (generator === 'proto-loader') return undefined
  if (protoc === undefined) return 'no protoc: apt-get install python3-grpc-tools'
  if (plugins[generator].path === undefined)
    return `the generator of ${generator} is not installed: npm ci --prefix tools --ignore-scripts`
  return undefined
}

/**
 * Makes code again.
 * @param {GeneratedCode} code
 * @returns {Map<string, string>} the text of each file, by its name in the folder that it belongs to
 */
export function generate({ generator, proto, options, only }) {
  const to = mkdtempSync(join(tmpdir(), 'generated-code-'))
  try {
    const file = proto.split('/').at(-1)
    const [program, ...args] =
      generator === 'proto-loader'
        ? [process.execPath, protoLoader, ...options.split(' '), `--outDir=${to}`, file]
        : [...protoc, '-I.', ...ofPlugin(plugins[generator], to, options), file]
    const { status, stderr } = spawnSync(program, args, { cwd: join(root, dirname(proto)), encoding: 'utf8' })
    if (status !== 0) throw new Error(`${generator}: ${stderr}`)
    const files = readdirSync(to, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    const names = files.map((entry) => join(entry.parentPath, entry.name).slice(to.length + 1))
    return new Map(
      names
        .filter((name) => only?.test(name) ?? true)
        .map((name) => [name, asKept(readFileSync(join(to, name), 'utf8'), generator)]),
    )
  } finally {
    rmSync(to, { recursive: true, force: true })
  }
}

const ofPlugin = ({ path, name }, to, options) => [
  `--plugin=protoc-gen-${name}=${path}`,
  `--${name}_out=${to}`,
  `--${name}_opt=${options}`,
]

/** ts-proto writes the version of protoc, which differs between machines. protobuf-ts writes imports for bundlers and CommonJS alone. */
function asKept(text, generator) {
  if (generator === 'ts-proto') return text.replace(/^(\/\/ {3}protoc +).*$/m, '$1unknown')
  return generator === 'protobuf-ts' ? text.replaceAll(/from "(\.\/\w+)"/g, 'from "$1.ts"') : text
}

if (isMain(import.meta.url)) {
  for (const code of generatedCode) {
    const missing = generatorMissing(code.generator)
    if (missing !== undefined) {
      console.error(`${code.to}: ${missing}`)
      process.exitCode = 1
      continue
    }
    for (const [name, text] of generate(code)) {
      const file = join(root, code.to, name)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, text)
    }
  }
}
