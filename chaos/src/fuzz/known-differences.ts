import type { Script } from './script.ts'

/** Something that a run does otherwise than bare grpc-js, or than it should, and that is known. */
export interface KnownDifference {
  readonly what: string
  /** `meant`: documented and wanted. `grpc-js`: its own fault, inherited. `open`: to be repaired, then removed from here. */
  readonly kind: 'meant' | 'grpc-js' | 'open'
  readonly applies: (fault: string, script: Script, world: string) => boolean
}

const isSingleResponse = ({ pattern }: Script): boolean => pattern === 'unary' || pattern === 'clientStream'

export const knownDifferences: readonly KnownDifference[] = [
  {
    what: 'hedge() gives a single response to the application with its headers, once the attempt that wins is known',
    kind: 'meant',
    applies: (fault, script, world) =>
      world.startsWith('hedge()') && isSingleResponse(script) && /^differs: bare has "client: headers/.test(fault),
  },
  {
    what: 'an RPC that its server ends before the client has half-closed ends its stream: the handler hears that it is over, where bare it may hear of a half-close that follows',
    kind: 'meant',
    applies: (fault, { pattern }) =>
      (pattern === 'clientStream' || pattern === 'bidi') &&
      fault === 'differs: bare has "server: half-closed", this "server: over"',
  },
  {
    what: 'without interceptors of ours a handler is not told that its RPC is over: the reset of a call that is cancelled in the tick of its start is lost, and the server learns of it when it sends something',
    kind: 'grpc-js',
    applies: (fault, _script, world) =>
      world.startsWith('bare') && fault === 'the handler was not told that its RPC is over',
  },
  {
    what: 'without interceptors of ours response headers that are on their way when a request does not serialize are given to the application after the status',
    kind: 'grpc-js',
    applies: (fault, _script, world) => world.startsWith('bare') && fault === 'response headers came after the status',
  },
]

export function known(fault: string, script: Script, world: string): KnownDifference | undefined {
  return knownDifferences.find(({ applies }) => applies(fault, script, world))
}
