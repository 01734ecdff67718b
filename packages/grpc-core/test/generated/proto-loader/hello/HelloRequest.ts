// Original file: greeter.proto

import type { Long } from '@grpc/proto-loader';

export interface HelloRequest {
  'name'?: (string);
  'id'?: (number | string | Long);
}

export interface HelloRequest__Output {
  'name': (string);
  'id': (Long);
}
