// Original file: greeter.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { HelloReply as _hello_HelloReply, HelloReply__Output as _hello_HelloReply__Output } from '../hello/HelloReply.ts';
import type { HelloRequest as _hello_HelloRequest, HelloRequest__Output as _hello_HelloRequest__Output } from '../hello/HelloRequest.ts';

export interface GreeterClient extends grpc.Client {
  Chat(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_hello_HelloRequest, _hello_HelloReply__Output>;
  Chat(options?: grpc.CallOptions): grpc.ClientDuplexStream<_hello_HelloRequest, _hello_HelloReply__Output>;
  chat(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_hello_HelloRequest, _hello_HelloReply__Output>;
  chat(options?: grpc.CallOptions): grpc.ClientDuplexStream<_hello_HelloRequest, _hello_HelloReply__Output>;
  
  Collect(metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hello_HelloReply__Output>): grpc.ClientWritableStream<_hello_HelloRequest>;
  Collect(metadata: grpc.Metadata, callback: grpc.requestCallback<_hello_HelloReply__Output>): grpc.ClientWritableStream<_hello_HelloRequest>;
  Collect(options: grpc.CallOptions, callback: grpc.requestCallback<_hello_HelloReply__Output>): grpc.ClientWritableStream<_hello_HelloRequest>;
  Collect(callback: grpc.requestCallback<_hello_HelloReply__Output>): grpc.ClientWritableStream<_hello_HelloRequest>;
  collect(metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hello_HelloReply__Output>): grpc.ClientWritableStream<_hello_HelloRequest>;
  collect(metadata: grpc.Metadata, callback: grpc.requestCallback<_hello_HelloReply__Output>): grpc.ClientWritableStream<_hello_HelloRequest>;
  collect(options: grpc.CallOptions, callback: grpc.requestCallback<_hello_HelloReply__Output>): grpc.ClientWritableStream<_hello_HelloRequest>;
  collect(callback: grpc.requestCallback<_hello_HelloReply__Output>): grpc.ClientWritableStream<_hello_HelloRequest>;
  
  SayHello(argument: _hello_HelloRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hello_HelloReply__Output>): grpc.ClientUnaryCall;
  SayHello(argument: _hello_HelloRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hello_HelloReply__Output>): grpc.ClientUnaryCall;
  SayHello(argument: _hello_HelloRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hello_HelloReply__Output>): grpc.ClientUnaryCall;
  SayHello(argument: _hello_HelloRequest, callback: grpc.requestCallback<_hello_HelloReply__Output>): grpc.ClientUnaryCall;
  sayHello(argument: _hello_HelloRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hello_HelloReply__Output>): grpc.ClientUnaryCall;
  sayHello(argument: _hello_HelloRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hello_HelloReply__Output>): grpc.ClientUnaryCall;
  sayHello(argument: _hello_HelloRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hello_HelloReply__Output>): grpc.ClientUnaryCall;
  sayHello(argument: _hello_HelloRequest, callback: grpc.requestCallback<_hello_HelloReply__Output>): grpc.ClientUnaryCall;
  
  Watch(argument: _hello_HelloRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_hello_HelloReply__Output>;
  Watch(argument: _hello_HelloRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_hello_HelloReply__Output>;
  watch(argument: _hello_HelloRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_hello_HelloReply__Output>;
  watch(argument: _hello_HelloRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_hello_HelloReply__Output>;
  
}

export interface GreeterHandlers extends grpc.UntypedServiceImplementation {
  Chat: grpc.handleBidiStreamingCall<_hello_HelloRequest__Output, _hello_HelloReply>;
  
  Collect: grpc.handleClientStreamingCall<_hello_HelloRequest__Output, _hello_HelloReply>;
  
  SayHello: grpc.handleUnaryCall<_hello_HelloRequest__Output, _hello_HelloReply>;
  
  Watch: grpc.handleServerStreamingCall<_hello_HelloRequest__Output, _hello_HelloReply>;
  
}

export interface GreeterDefinition extends grpc.ServiceDefinition {
  Chat: MethodDefinition<_hello_HelloRequest, _hello_HelloReply, _hello_HelloRequest__Output, _hello_HelloReply__Output>
  Collect: MethodDefinition<_hello_HelloRequest, _hello_HelloReply, _hello_HelloRequest__Output, _hello_HelloReply__Output>
  SayHello: MethodDefinition<_hello_HelloRequest, _hello_HelloReply, _hello_HelloRequest__Output, _hello_HelloReply__Output>
  Watch: MethodDefinition<_hello_HelloRequest, _hello_HelloReply, _hello_HelloRequest__Output, _hello_HelloReply__Output>
}
