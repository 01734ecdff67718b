/** What became of one change. */
export interface PartStatus {
  /** `waiting`: in place, and the first connection shows whether it fits. `off`: nothing was changed. */
  readonly state: 'active' | 'waiting' | 'off'
  /** Why it is off. */
  readonly reason?: string
}

/** What is changed in this process. Workers have a status each. */
export interface FreeingStatus {
  /** The function that Node binds for each HTTP/2 request of a client. */
  readonly boundRequests: PartStatus
  /** The map in which Node keeps the streams of an HTTP/2 session, of clients and of servers. */
  readonly sessionStreams: PartStatus
  /** The set in which grpc-js keeps the calls of a connection. */
  readonly activeCalls: PartStatus
  /** V8's allocation-site pretenuring. For the whole process, its workers included. */
  readonly pretenuring: PartStatus
  /** The copies of grpc-js that are covered, by the folder they were loaded from. */
  readonly grpcJs: readonly string[]
}

export type PartName = Exclude<keyof FreeingStatus, 'grpcJs'>

/** What the parts say of themselves, and whom they covered. */
export class Parts {
  readonly #parts: Record<PartName, PartStatus>
  readonly grpcJs: string[] = []
  #warned = false

  constructor(reason: string) {
    const off = { state: 'off', reason } as const
    this.#parts = { boundRequests: off, sessionStreams: off, activeCalls: off, pretenuring: off }
  }

  waiting(part: PartName): void {
    this.#parts[part] = { state: 'waiting' }
  }

  /** One that has been found not to fit stays off. */
  active(part: PartName): void {
    if (this.#parts[part].state === 'waiting') this.#parts[part] = { state: 'active' }
  }

  off(part: PartName, reason: string): void {
    this.#parts[part] = { state: 'off', reason }
  }

  /** Something is not as this package knows it: nothing of it is changed, and the first such finding is made public. */
  unknown(part: PartName, found: string): void {
    this.off(part, found)
    if (this.#warned) return
    this.#warned = true
    process.emitWarning(
      `free-ended-calls: ${found}. Node ${process.version} differs from what this package knows, so ended calls are kept as ` +
        'without it. status() tells which parts are off; a newer version of the package may know this one.',
      { type: 'GrpcStackWarning', code: 'GRPC_STACK_NOT_FREED' },
    )
  }

  get now(): FreeingStatus {
    return { ...this.#parts, grpcJs: [...this.grpcJs] }
  }
}
