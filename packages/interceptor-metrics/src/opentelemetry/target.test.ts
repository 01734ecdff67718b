import { expect, it } from 'vitest'
import { readTarget } from './target.ts'

// OpenTelemetry semantic conventions, docs/rpc/grpc.md; gRFC A66 for the URI.
it.each([
  ['grpc.io:50051', 'grpc.io', 50051, 'dns:///grpc.io:50051'],
  ['grpc.io', 'grpc.io', undefined, 'dns:///grpc.io'],
  ['dns:grpc.io:50051', 'grpc.io', 50051, 'dns:///grpc.io:50051'],
  ['dns:///grpc.io:50051', 'grpc.io', 50051, 'dns:///grpc.io:50051'],
  ['dns://1.2.3.4/grpc.io:50051', 'grpc.io', 50051, 'dns://1.2.3.4/grpc.io:50051'],
  ['dns:my_service:50051', 'my_service', 50051, 'dns:///my_service:50051'],
  ['dns:[::1]:50051', '::1', 50051, 'dns:///[::1]:50051'],
  ['[::1]:50051', '::1', 50051, 'dns:///[::1]:50051'],
  ['localhost:50051', 'localhost', 50051, 'dns:///localhost:50051'],
  ['127.0.0.1:50051', '127.0.0.1', 50051, 'dns:///127.0.0.1:50051'],
  [
    'unix:///run/containerd/containerd.sock',
    '/run/containerd/containerd.sock',
    undefined,
    'unix:///run/containerd/containerd.sock',
  ],
  ['unix:/run/shop.sock', '/run/shop.sock', undefined, 'unix:///run/shop.sock'],
  ['unix:shop.sock', 'shop.sock', undefined, 'unix:///shop.sock'],
  ['zk://zookeeper:2181/my-server', 'zk://zookeeper:2181/my-server', undefined, 'zk://zookeeper:2181/my-server'],
  ['xds:///shop', 'xds:///shop', undefined, 'xds:///shop'],
  ['ipv4:198.51.100.123:50051', '198.51.100.123', 50051, 'ipv4:///198.51.100.123:50051'],
  [
    'ipv4:198.51.100.123:50051,198.51.100.124:50051',
    'ipv4:198.51.100.123:50051,198.51.100.124:50051',
    undefined,
    'ipv4:///198.51.100.123:50051,198.51.100.124:50051',
  ],
  ['fe80::1', 'fe80::1', undefined, 'dns:///fe80::1'],
  ['', '', undefined, 'dns:///'],
])('%s', (target, address, port, uri) => {
  expect(readTarget(target)).toEqual({ address, port, uri })
})
