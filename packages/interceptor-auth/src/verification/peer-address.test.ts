import type { ServerCall } from '@grpc-stack/grpc-core'
import { describe, expect, it } from 'vitest'
import { peerAddress } from './peer-address.ts'

describe('the address that limits count by', () => {
  const table: [string, string, string][] = [
    ['IPv4 without its port', '10.0.0.7:53110', '10.0.0.7'],
    ['IPv4 in IPv6', '::ffff:10.0.0.7:53110', '10.0.0.7'],
    ['IPv4 in IPv6, in hexadecimal', '::ffff:a00:7:53110', '10.0.0.7'],
    ['the /64 of IPv6', '2001:db8:0:1:2:3:4:5:53110', '2001:db8:0:1::/64'],
    ['the same of another address in it', '2001:db8:0:1:ffff::1:9', '2001:db8:0:1::/64'],
    ['not the same of the next /64', '2001:db8:0:2::1:9', '2001:db8:0:2::/64'],
    ['of a shortened address', '2001:db8::1:443', '2001:db8:0:0::/64'],
    ['of one in upper case', '2001:DB8::1:443', '2001:db8:0:0::/64'],
    ['loopback', '::1:443', '0:0:0:0::/64'],
    ['link-local with its zone', 'fe80::1%eth0:443', 'fe80:0:0:0::/64'],
    ['a path', '/run/grpc.sock', '/run/grpc.sock'],
    ['a connection that is gone', 'unknown', 'unknown'],
  ]
  for (const [what, peer, key] of table) {
    it(`${what}: ${peer} is ${key}`, () => {
      expect(peerAddress({ peer: () => peer } as ServerCall)).toBe(key)
    })
  }
})
