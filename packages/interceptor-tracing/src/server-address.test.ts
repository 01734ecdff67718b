import { describe, expect, it } from 'vitest'
import { serverOfTarget, splitHost } from './server-address.ts'

describe('server.address and server.port of a target', () => {
  // The first five rows are the conventions' own examples.
  it.each([
    ['grpc.io:50051', 'grpc.io', 50051],
    ['dns://1.2.3.4/grpc.io:50051', 'grpc.io', 50051],
    ['unix:///run/containerd/containerd.sock', '/run/containerd/containerd.sock', undefined],
    ['zk://zookeeper:2181/my-server', 'zk://zookeeper:2181/my-server', undefined],
    ['ipv4:198.51.100.123:50051,198.51.100.124:50051', 'ipv4:198.51.100.123:50051,198.51.100.124:50051', undefined],
    ['dns:grpc.io:50051', 'grpc.io', 50051],
    ['dns:///grpc.io:50051', 'grpc.io', 50051],
    ['dns:grpc.io', 'grpc.io', undefined],
    ['dns:[::1]:50051', '::1', 50051],
    ['dns:my_service:50051', 'my_service', 50051],
    ['localhost:50051', 'localhost', 50051],
    ['localhost', 'localhost', undefined],
    ['unix:/run/app.sock', '/run/app.sock', undefined],
    ['unix:app.sock', 'app.sock', undefined],
    ['ipv4:198.51.100.123:50051', '198.51.100.123', 50051],
    ['ipv6:[2001:db8::1]:50051', '2001:db8::1', 50051],
    ['ipv6:2001:db8::1', '2001:db8::1', undefined],
    ['xds:///shop', 'xds:///shop', undefined],
    ['', '', undefined],
  ])('%s', (target, address, port) => {
    expect(serverOfTarget(target)).toEqual(port === undefined ? { address } : { address, port })
  })
})

describe('an :authority', () => {
  it.each([
    ['shop.example:443', 'shop.example', 443],
    ['shop.example', 'shop.example', undefined],
    ['[::1]:443', '::1', 443],
    ['[::1]', '::1', undefined],
    ['::1', '::1', undefined],
    ['a:b', 'a:b', undefined],
    ['127.0.0.1:50051', '127.0.0.1', 50051],
  ])('%s', (host, address, port) => {
    expect(splitHost(host)).toEqual(port === undefined ? { address } : { address, port })
  })
})
