import { type ProxyTracerProvider, propagation, type Tracer, type TracerProvider, trace } from '@opentelemetry/api'
import { VERSION } from './version.ts'

const NAME = '@grpc-stack/interceptor-tracing'

/**
 * The tracer, from the provider of an option or the global one. An application may set the global provider after it made
 * the interceptor, or replace it, so it is looked up for each call; the tracer is made once per provider.
 */
export class TracerSource {
  readonly #own: TracerProvider | undefined
  readonly #propagates: boolean
  #provider: TracerProvider | undefined
  #tracer: Tracer | undefined
  #records = false

  /** @param propagates whether there is something to carry along even without a provider */
  constructor(own: TracerProvider | undefined, propagates: boolean) {
    this.#own = own
    this.#propagates = propagates
  }

  /** Undefined where it would make no difference: there is neither a provider nor anything that propagates. */
  get(): Tracer | undefined {
    const given = this.#own ?? trace.getTracerProvider()
    const provider = isProxy(given) ? given.getDelegate() : given
    if (provider !== this.#provider) {
      this.#tracer = provider.getTracer(NAME, VERSION)
      this.#records = !isProxy(given) || given.getDelegateTracer(NAME, VERSION) !== undefined
      this.#provider = provider
    }
    return this.#records || this.#propagates || propagation.fields().length > 0 ? this.#tracer : undefined
  }
}

/** By shape: a second copy of the API package has a class of its own. */
function isProxy(provider: TracerProvider): provider is ProxyTracerProvider {
  return 'getDelegate' in provider && 'getDelegateTracer' in provider
}
