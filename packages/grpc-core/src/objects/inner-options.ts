import type { InterceptorOptions, Metadata } from '@grpc/grpc-js'
import type { ClientCall, Compression, Interceptor } from '../contract/call.ts'
import type { ChannelFacts } from '../grpc-js/channel-facts.ts'
import { endAfter, toEpochMs } from '../runtime/deadline.ts'
import type { ClientCallValues } from './client-call-details.ts'
import type { ClientPlan, ObjectLayer } from './client-plan.ts'

/** All that opening a call of a continuation takes. */
interface InnerCall {
  readonly plan: ClientPlan
  readonly options: InterceptorOptions
  readonly metadata: Metadata
  readonly facts: ChannelFacts
}

/**
 * What a continuation was asked for, in grpc-js's terms.
 * @param options those of the call around it, whose deadline holds for what is inside too
 * @throws Error for what cannot be honoured.
 */
export function innerCall(
  details: ClientCallValues,
  layer: ObjectLayer,
  { method }: ClientPlan,
  options: InterceptorOptions,
  facts: ChannelFacts,
): InnerCall {
  const rewritten = details.method !== method.path
  if (rewritten && !facts.canRewritePath) {
    throw new Error(
      `${layer.name}: continuation: the method can only be changed on a channel of this library; grpc-js binds a stub ` +
        'to its own paths',
    )
  }
  checkCompression(details.compression, facts, layer)
  return {
    plan: withCompression(layer.inside(details.method), details.compression),
    options: optionsFor(details, options),
    metadata: metadataFor(details),
    facts: rewritten ? onPath(facts, details.method) : facts,
  }
}

function optionsFor(details: ClientCallValues, outer: InterceptorOptions): InterceptorOptions {
  const { parent: _parent, credentials: _credentials, ...options } = outer
  options.method_definition = { ...options.method_definition, path: details.method }
  const deadline = Math.min(toEpochMs(outer.deadline), toEpochMs(details.deadline), endAfter(details.timeoutMs))
  if (deadline !== Number.POSITIVE_INFINITY) options.deadline = deadline
  return details.credentials === undefined ? options : { ...options, credentials: details.credentials }
}

function metadataFor({ metadata, waitForReady }: ClientCallValues): Metadata {
  const copy = metadata.clone()
  const options = copy.getOptions()
  if ((options.waitForReady ?? false) !== waitForReady) copy.setOptions({ ...options, waitForReady })
  return copy
}

function onPath(facts: ChannelFacts, path: string): ChannelFacts {
  return { ...facts, open: (nextCall, options, given) => facts.open(nextCall, options, given ?? path) }
}

function checkCompression(compression: Compression | undefined, facts: ChannelFacts, { name }: ObjectLayer): void {
  if (compression === undefined || compression === 'identity' || compression === facts.compression) return
  throw new Error(
    `${name}: continuation: compression "${compression}" cannot be honoured, grpc-js compresses per channel: create the ` +
      'channel with grpc.default_compression_algorithm',
  )
}

function withCompression(plan: ClientPlan, compression: Compression | undefined): ClientPlan {
  if (compression === undefined) return plan
  const compress: Interceptor<ClientCall> = (call, next) => {
    call.compression = compression
    return next()
  }
  return { ...plan, stack: [compress as Interceptor, ...plan.stack] } // runs on calls of clients only
}
