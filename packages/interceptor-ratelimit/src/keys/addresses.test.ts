import { isIPv6 } from 'node:net'
import { ipV6, property, string } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { holds } from '../../test/holds.ts'
import { addressMatcher, networkOf, parseForwarded, withoutPort } from './addresses.ts'

describe('withoutPort', () => {
  it.each([
    ['10.0.0.7:53110', '10.0.0.7'],
    ['::1:53110', '::1'],
    ['2001:db8::5:53110', '2001:db8::5'],
    ['::ffff:10.0.0.7:53110', '10.0.0.7'],
    ['dns:localhost:50051', 'dns:localhost'],
    ['unknown', 'unknown'],
    ['', ''],
  ])('%s is %s', (peer, address) => {
    expect(withoutPort(peer)).toBe(address)
  })
})

describe('parseForwarded', () => {
  it.each([
    ['203.0.113.9', '203.0.113.9'],
    [' 203.0.113.9:4711 ', '203.0.113.9'],
    ['[2001:db8::1]:4711', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::FFFF:203.0.113.9', '203.0.113.9'],
    ['unknown', undefined],
    ['_hidden', undefined],
    ['', undefined],
    ['999.1.1.1', undefined],
    ['[2001:db8::1', undefined],
    ['[2001:db8::1]x', undefined],
  ])('%j is %s', (text, address) => {
    expect(parseForwarded(text)).toBe(address)
  })

  it('survives anything', () => {
    holds(
      property(string({ unit: 'binary' }), (text) => {
        parseForwarded(text)
        withoutPort(text)
        networkOf(text, 64)
      }),
    )
  })
})

describe('networkOf', () => {
  it.each([
    ['2001:db8:0:1:aaaa::1', 64, '2001:db8:0:1:0:0:0:0/64'],
    ['2001:DB8:0:1:bbbb::2', 64, '2001:db8:0:1:0:0:0:0/64'],
    ['2001:db8:0:1ff::', 56, '2001:db8:0:100:0:0:0:0/56'],
    ['::1', 128, '0:0:0:0:0:0:0:1'],
    ['64:ff9b::192.0.2.1', 64, '192.0.2.1'],
    ['64:ff9b::c000:202', 128, '192.0.2.2'],
    ['::ffff:c000:201', 64, '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', 64, '192.0.2.1'],
    ['64:ff9b:1::192.0.2.1', 128, '64:ff9b:1:0:0:0:c000:201'],
    ['203.0.113.9', 64, '203.0.113.9'],
    ['unix:/a:b', 64, 'unix:/a:b'],
  ])('%s/%d is %s', (address, prefix, network) => {
    expect(networkOf(address, prefix)).toBe(network)
  })

  it('spells every spelling of an address the same way', () => {
    holds(
      property(ipV6(), (address) => {
        const network = networkOf(address, 128)
        if (!network.includes(':')) return // an IPv4 address in IPv6 spelling
        expect(isIPv6(network)).toBe(true)
        expect(networkOf(network, 128)).toBe(network)
        expect(networkOf(address.toUpperCase(), 128)).toBe(network)
        expect(new URL(`http://[${network}]`).hostname).toBe(new URL(`http://[${address}]`).hostname)
      }),
    )
  })
})

describe('addressMatcher', () => {
  const matches = addressMatcher(['10.0.0.0/8', '192.168.1.1', 'fd00::/8'], 'here')

  it.each([
    ['10.255.0.1', true],
    ['11.0.0.1', false],
    ['192.168.1.1', true],
    ['192.168.1.2', false],
    ['fd12::1', true],
    ['fe80::1', false],
    ['unknown', false],
  ])('%s: %s', (address, expected) => {
    expect(matches(address)).toBe(expected)
  })

  it.each(['10.0.0.0/33', '10.0.0.0/', 'fd00::/129', 'localhost', '10.0.0.0/8/8', '10.0.0.0/x', ''])(
    'refuses %j',
    (entry) => {
      expect(() => addressMatcher([entry], 'here')).toThrow('here[0] must be an address or a network')
    },
  )
})
