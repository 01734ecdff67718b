import { describe, expect, it } from 'vitest'
import { networkPeer } from './network-peer.ts'

describe('network.peer of what call.peer() says', () => {
  it.each([
    ['127.0.0.1:50051', { address: '127.0.0.1', port: 50051 }],
    ['[::1]:50051', { address: '::1', port: 50051 }],
    ['::1:50051', { address: '::1', port: 50051 }],
    ['::ffff:127.0.0.1:50051', { address: '::ffff:127.0.0.1', port: 50051 }],
    ['::1', { address: '::1' }],
    ['10.0.0.1', { address: '10.0.0.1' }],
    ['/run/app.sock', { address: '/run/app.sock' }],
    // Not addresses of a connection.
    ['unknown', undefined],
    ['dns:localhost:50051', undefined],
    ['localhost:50051', undefined],
    ['unix:/run/app.sock', undefined],
    ['ipv4:10.0.0.1:50051', undefined],
    ['', undefined],
  ])('%s', (peer, expected) => {
    expect(networkPeer(peer)).toEqual(expected)
  })
})
