/** A value in OpenTelemetry's context, where the process has OpenTelemetry and a context manager. */
export interface TelemetryContext {
  with<T>(key: string, value: string, work: () => T): T
  /** Undefined without a context manager. */
  get(key: string): string | undefined
}

const none: TelemetryContext = { with: (_key, _value, work) => work(), get: () => undefined }

/** OpenTelemetry's API is an optional peer: the suite looks at its context only where it is installed. */
export async function telemetryContext(): Promise<TelemetryContext> {
  try {
    const { context } = await import('@opentelemetry/api')
    return {
      with: (key, value, work) => context.with(context.active().setValue(Symbol.for(key), value), work),
      get: (key) => context.active().getValue(Symbol.for(key)) as string | undefined,
    }
  } catch {
    return none
  }
}
