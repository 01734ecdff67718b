import { isIP } from 'node:net'
import { type CallCredentials, ChannelCredentials } from '@grpc/grpc-js'

type CreateConnector = ChannelCredentials['_createSecureConnector']
type SecureConnector = ReturnType<CreateConnector>

/**
 * Credentials with which a channel reaches an IP address over TLS on every Node version.
 *
 * grpc-js takes the host of the target for the TLS server name (channel-credentials.ts: getConnectionOptions, 1.14). An
 * address is not a server name (RFC 6066, section 3), and from version 26 on Node refuses to connect with one, so that
 * each call ends UNAVAILABLE. Without a server name Node checks the certificate against the host, which is the address.
 */
export function withoutIpServerName(credentials: ChannelCredentials): ChannelCredentials {
  // What is no credentials of this copy of grpc-js is left for the channel to refuse.
  if (!(credentials instanceof ChannelCredentials) || !credentials._isSecure()) return credentials
  return new NamelessForIp(credentials)
}

class NamelessForIp extends ChannelCredentials {
  readonly #credentials: ChannelCredentials

  constructor(credentials: ChannelCredentials) {
    super()
    this.#credentials = credentials
  }

  override compose(callCredentials: CallCredentials): ChannelCredentials {
    return new NamelessForIp(this.#credentials.compose(callCredentials))
  }

  _isSecure(): boolean {
    return true
  }

  /** Not equal to bare credentials: channels with equal ones share connections, and theirs would not be possible. */
  _equals(other: ChannelCredentials): boolean {
    return other instanceof NamelessForIp && this.#credentials._equals(other.#credentials)
  }

  _createSecureConnector(...args: Parameters<CreateConnector>): SecureConnector {
    const connector = this.#credentials._createSecureConnector(...args)
    // Absent where a certificate provider gives the certificates, an experiment of grpc-js; those still need a name.
    const { connectionOptions } = connector as { connectionOptions?: { servername?: string } }
    if (connectionOptions?.servername !== undefined && isIP(connectionOptions.servername)) {
      delete connectionOptions.servername
    }
    return connector
  }
}
