// Writes src/generated from proto/. Needs protoc on the PATH (Debian: protobuf-compiler); the result is checked in, so
// that building and running the shop does not.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const shop = fileURLToPath(new URL('..', import.meta.url))
const plugin = createRequire(import.meta.url).resolve('ts-proto/protoc-gen-ts_proto')

const options = [
  'outputServices=grpc-js',
  'esModuleInterop=true',
  'importSuffix=.ts',
  'enumsAsLiterals=true',
  'unrecognizedEnum=false',
  'outputJsonMethods=false',
  'useExactTypes=false',
  'annotateFilesWithVersion=false',
]

if (spawnSync('protoc', ['--version']).error) {
  console.error('generate: protoc is not on the PATH. On Debian: apt-get install protobuf-compiler')
  process.exit(1)
}

rmSync(`${shop}src/generated`, { recursive: true, force: true })
const protos = readdirSync(`${shop}proto`, { recursive: true }).filter((file) => file.endsWith('.proto'))
mkdirSync(`${shop}src/generated`)
const { status } = spawnSync(
  'protoc',
  [
    `--plugin=protoc-gen-ts_proto=${plugin}`,
    '--proto_path=proto',
    '--ts_proto_out=src/generated',
    `--ts_proto_opt=${options.join(',')}`,
    ...protos,
  ],
  { cwd: shop, stdio: 'inherit' },
)
process.exit(status ?? 1)
