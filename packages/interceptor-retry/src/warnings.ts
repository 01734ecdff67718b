import type { ChannelOptions } from '@grpc/grpc-js'
import type { ClientCall } from '@grpc-stack/grpc-core'
import { entryFor } from './service-config.ts'

interface ChannelServiceConfig {
  readonly methodConfig?: readonly {
    readonly name: readonly { readonly service?: string; readonly method?: string }[]
    readonly retryPolicy?: unknown
    readonly hedgingPolicy?: unknown
  }[]
}

const warned = new Set<string>()
const MAX_WARNED = 1000

/** Tells, once per target and method, that something below retries too: attempts multiply. */
export function warnOfSecondRetrier(call: ClientCall): void {
  const key = `${call.target ?? ''} ${call.method.path}`
  if (warned.has(key) || warned.size >= MAX_WARNED) return
  warned.add(key)
  process.emitWarning(
    `retry: the channel retries or hedges ${call.method.path} by itself, so attempts multiply. Take the policy out of the ` +
      `service config, or give it to retry({ serviceConfig }) and the channel "grpc.service_config_disable_resolution": 1.`,
    { type: 'GrpcStackWarning', code: 'GRPC_STACK_RETRY_TWICE' },
  )
}

/** Whether a channel with these options would try this method more than once itself. */
export function retriesBelow(options: ChannelOptions, method: ClientCall['method']): boolean {
  const config = options['grpc.service_config']
  if (config === undefined || options['grpc.enable_retries'] === 0) return false
  // grpc-js has checked it: a channel cannot be made with another.
  const { methodConfig = [] } = JSON.parse(config) as ChannelServiceConfig
  const entry = entryFor(methodConfig, method)
  return entry?.retryPolicy !== undefined || entry?.hedgingPolicy !== undefined
}
