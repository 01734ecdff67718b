import { dirname } from 'node:path'
// biome-ignore lint/correctness/useImportExtensions: the file is JavaScript, and only its types are in a .cts.
import { createRequire, here } from '../here.cjs'

/** What this package needs of a copy of grpc-js. */
export interface GrpcJsCopy {
  /** The folder it was loaded from. */
  readonly folder: string
  /** The prototype of its servers. */
  readonly server: object | undefined
  /** The prototype of what makes the connections of its channels (transport.ts: Http2SubchannelConnector). */
  readonly connector: object | undefined
}

/** The copies of grpc-js that this package, the application's main file, or anything loaded so far has. */
export function grpcJsCopies(): GrpcJsCopy[] {
  const require = createRequire(here)
  const found = new Set<string>()
  for (const from of [here, process.argv[1]]) {
    const file = from === undefined ? undefined : mainFile(from)
    if (file !== undefined) found.add(file)
  }
  for (const file of Object.keys(require.cache)) if (MAIN_FILE.test(file)) found.add(file)
  return [...found].flatMap((file) => load(require, file) ?? [])
}

const MAIN_FILE = /[\\/]@grpc[\\/]grpc-js[\\/]build[\\/]src[\\/]index\.js$/

function mainFile(from: string): string | undefined {
  try {
    return createRequire(from).resolve('@grpc/grpc-js')
  } catch {
    return undefined
  }
}

function load(require: NodeJS.Require, file: string): GrpcJsCopy | undefined {
  const folder = dirname(dirname(dirname(file)))
  try {
    const { Server } = require(file) as { Server?: { prototype: object } }
    return { folder, server: Server?.prototype, connector: connectorOf(require, file) }
  } catch {
    return undefined
  }
}

function connectorOf(require: NodeJS.Require, file: string): object | undefined {
  try {
    const transport = require(`${dirname(file)}/transport.js`) as { Http2SubchannelConnector?: { prototype: object } }
    return transport.Http2SubchannelConnector?.prototype
  } catch {
    return undefined
  }
}
