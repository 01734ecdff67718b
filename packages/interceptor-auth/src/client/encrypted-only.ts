import { CallCredentials, status as Code, Metadata } from '@grpc/grpc-js'
import type { ClientCall, Next, Status } from '@grpc-stack/grpc-core'
import { rememberCredentials } from '@grpc-stack/grpc-core/authoring'

// The code and the reason are grpc-java's (CallCredentials on a channel without PRIVACY_AND_INTEGRITY).
const PLAINTEXT: Status = {
  code: Code.UNAUTHENTICATED,
  details:
    'clientAuth: credentials are not sent over a connection that is not encrypted; ' +
    'use TLS, or set allowInsecure if every machine on the path may read them',
}

const UNKNOWN: Status = {
  code: Code.UNAUTHENTICATED,
  details:
    'clientAuth: cannot tell whether this channel is encrypted, so no credentials are sent; ' +
    'make it with createChannel, or set allowInsecure if you know that it is',
}

/** What a call on a plaintext channel gets instead of its credentials. */
export function refusePlaintext(): Status {
  return PLAINTEXT
}

/**
 * Sends a credential whose connection is not known yet. grpc-js gives an interceptor no way to ask, and would hand call
 * credentials to a plaintext connection too (load-balancing-call.ts, 1.14); but it asks for them once the connection
 * stands and before the headers leave, and by then the call knows whether its channel is encrypted.
 */
export async function sendIfEncrypted(
  call: ClientCall,
  next: Next,
  header: string,
  values: readonly (string | Buffer)[],
): Promise<Status> {
  let refusal: Status | undefined
  // The header itself must be gone from the metadata, which leave whatever the connection is.
  call.metadata.remove(header)
  // Observers keep it out of what they record.
  rememberCredentials(call, values)
  const withheld = CallCredentials.createFromMetadataGenerator((_options, done) => {
    // grpc-js may ask while it is still starting the attempt, which is before the call knows of it.
    queueMicrotask(() => {
      if (call.secure === true) {
        const metadata = new Metadata()
        for (const value of values) metadata.add(header, value)
        done(null, metadata)
      } else {
        refusal = call.secure === false ? PLAINTEXT : UNKNOWN
        done(Object.assign(new Error('withheld'), { code: Code.UNAUTHENTICATED }))
      }
    })
  })
  const outer = call.credentials
  call.credentials = outer?.compose(withheld) ?? withheld
  const status = await next()
  // A second attempt of this interceptor must not send the first one's, too.
  call.credentials = outer
  return refusal ?? status
}
