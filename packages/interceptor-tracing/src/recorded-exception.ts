import type { CredentialScrubber } from '@grpc-stack/grpc-core/authoring'
import type { Exception } from '@opentelemetry/api'

/** What an SDK records of an error, without the credentials of the call. */
export function recordedException(error: Error, scrub: CredentialScrubber): Exception {
  const text = (name: 'name' | 'stack'): string | undefined => {
    const value = read(error, name)
    return typeof value === 'string' ? scrub(value) : undefined
  }
  const message = read(error, 'message')
  const code = read(error, 'code')
  const [name, stack] = [text('name'), text('stack')]
  return {
    message: typeof message === 'string' ? scrub(message) : '',
    ...(name !== undefined && { name }),
    ...(stack !== undefined && { stack }),
    ...(typeof code === 'number' && { code }),
    ...(typeof code === 'string' && { code: scrub(code) }),
  }
}

/** An error may have getters, and they may throw. */
function read(error: Error, name: string): unknown {
  try {
    return (error as unknown as Record<string, unknown>)[name]
  } catch {
    return undefined
  }
}
