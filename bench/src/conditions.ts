/** How calls are made, whatever the scenario and the variant: the same for both processes of a pair. */
export interface Conditions {
  readonly tls: boolean
  /** 16 bytes and a codec by hand, or an order of about 1 KB and the codec that proto-loader makes. */
  readonly message: 'bytes' | 'protobuf'
  /** Of a stream. */
  readonly messages: number
}

export const usual: Conditions = { tls: false, message: 'bytes', messages: 100 }

/** The environment variable in which a process is told, as JSON. */
export const VARIABLE = 'GRPC_STACK_BENCH_CONDITIONS'

/** Those of this process. */
export const conditions: Conditions = { ...usual, ...JSON.parse(process.env[VARIABLE] ?? '{}') }
