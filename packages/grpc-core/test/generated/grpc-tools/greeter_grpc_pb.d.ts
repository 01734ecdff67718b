// package: hello
// file: greeter.proto

/* tslint:disable */
/* eslint-disable */

import * as grpc from "@grpc/grpc-js";
import * as greeter_pb from "./greeter_pb";

interface IGreeterService extends grpc.ServiceDefinition<grpc.UntypedServiceImplementation> {
    sayHello: IGreeterService_ISayHello;
    watch: IGreeterService_IWatch;
    collect: IGreeterService_ICollect;
    chat: IGreeterService_IChat;
}

interface IGreeterService_ISayHello extends grpc.MethodDefinition<greeter_pb.HelloRequest, greeter_pb.HelloReply> {
    path: "/hello.Greeter/SayHello";
    requestStream: false;
    responseStream: false;
    requestSerialize: grpc.serialize<greeter_pb.HelloRequest>;
    requestDeserialize: grpc.deserialize<greeter_pb.HelloRequest>;
    responseSerialize: grpc.serialize<greeter_pb.HelloReply>;
    responseDeserialize: grpc.deserialize<greeter_pb.HelloReply>;
}
interface IGreeterService_IWatch extends grpc.MethodDefinition<greeter_pb.HelloRequest, greeter_pb.HelloReply> {
    path: "/hello.Greeter/Watch";
    requestStream: false;
    responseStream: true;
    requestSerialize: grpc.serialize<greeter_pb.HelloRequest>;
    requestDeserialize: grpc.deserialize<greeter_pb.HelloRequest>;
    responseSerialize: grpc.serialize<greeter_pb.HelloReply>;
    responseDeserialize: grpc.deserialize<greeter_pb.HelloReply>;
}
interface IGreeterService_ICollect extends grpc.MethodDefinition<greeter_pb.HelloRequest, greeter_pb.HelloReply> {
    path: "/hello.Greeter/Collect";
    requestStream: true;
    responseStream: false;
    requestSerialize: grpc.serialize<greeter_pb.HelloRequest>;
    requestDeserialize: grpc.deserialize<greeter_pb.HelloRequest>;
    responseSerialize: grpc.serialize<greeter_pb.HelloReply>;
    responseDeserialize: grpc.deserialize<greeter_pb.HelloReply>;
}
interface IGreeterService_IChat extends grpc.MethodDefinition<greeter_pb.HelloRequest, greeter_pb.HelloReply> {
    path: "/hello.Greeter/Chat";
    requestStream: true;
    responseStream: true;
    requestSerialize: grpc.serialize<greeter_pb.HelloRequest>;
    requestDeserialize: grpc.deserialize<greeter_pb.HelloRequest>;
    responseSerialize: grpc.serialize<greeter_pb.HelloReply>;
    responseDeserialize: grpc.deserialize<greeter_pb.HelloReply>;
}

export const GreeterService: IGreeterService;

export interface IGreeterServer extends grpc.UntypedServiceImplementation {
    sayHello: grpc.handleUnaryCall<greeter_pb.HelloRequest, greeter_pb.HelloReply>;
    watch: grpc.handleServerStreamingCall<greeter_pb.HelloRequest, greeter_pb.HelloReply>;
    collect: grpc.handleClientStreamingCall<greeter_pb.HelloRequest, greeter_pb.HelloReply>;
    chat: grpc.handleBidiStreamingCall<greeter_pb.HelloRequest, greeter_pb.HelloReply>;
}

export interface IGreeterClient {
    sayHello(request: greeter_pb.HelloRequest, callback: (error: grpc.ServiceError | null, response: greeter_pb.HelloReply) => void): grpc.ClientUnaryCall;
    sayHello(request: greeter_pb.HelloRequest, metadata: grpc.Metadata, callback: (error: grpc.ServiceError | null, response: greeter_pb.HelloReply) => void): grpc.ClientUnaryCall;
    sayHello(request: greeter_pb.HelloRequest, metadata: grpc.Metadata, options: Partial<grpc.CallOptions>, callback: (error: grpc.ServiceError | null, response: greeter_pb.HelloReply) => void): grpc.ClientUnaryCall;
    watch(request: greeter_pb.HelloRequest, options?: Partial<grpc.CallOptions>): grpc.ClientReadableStream<greeter_pb.HelloReply>;
    watch(request: greeter_pb.HelloRequest, metadata?: grpc.Metadata, options?: Partial<grpc.CallOptions>): grpc.ClientReadableStream<greeter_pb.HelloReply>;
    collect(callback: (error: grpc.ServiceError | null, response: greeter_pb.HelloReply) => void): grpc.ClientWritableStream<greeter_pb.HelloRequest>;
    collect(metadata: grpc.Metadata, callback: (error: grpc.ServiceError | null, response: greeter_pb.HelloReply) => void): grpc.ClientWritableStream<greeter_pb.HelloRequest>;
    collect(options: Partial<grpc.CallOptions>, callback: (error: grpc.ServiceError | null, response: greeter_pb.HelloReply) => void): grpc.ClientWritableStream<greeter_pb.HelloRequest>;
    collect(metadata: grpc.Metadata, options: Partial<grpc.CallOptions>, callback: (error: grpc.ServiceError | null, response: greeter_pb.HelloReply) => void): grpc.ClientWritableStream<greeter_pb.HelloRequest>;
    chat(): grpc.ClientDuplexStream<greeter_pb.HelloRequest, greeter_pb.HelloReply>;
    chat(options: Partial<grpc.CallOptions>): grpc.ClientDuplexStream<greeter_pb.HelloRequest, greeter_pb.HelloReply>;
    chat(metadata: grpc.Metadata, options?: Partial<grpc.CallOptions>): grpc.ClientDuplexStream<greeter_pb.HelloRequest, greeter_pb.HelloReply>;
}

export class GreeterClient extends grpc.Client implements IGreeterClient {
    constructor(address: string, credentials: grpc.ChannelCredentials, options?: Partial<grpc.ClientOptions>);
    public sayHello(request: greeter_pb.HelloRequest, callback: (error: grpc.ServiceError | null, response: greeter_pb.HelloReply) => void): grpc.ClientUnaryCall;
    public sayHello(request: greeter_pb.HelloRequest, metadata: grpc.Metadata, callback: (error: grpc.ServiceError | null, response: greeter_pb.HelloReply) => void): grpc.ClientUnaryCall;
    public sayHello(request: greeter_pb.HelloRequest, metadata: grpc.Metadata, options: Partial<grpc.CallOptions>, callback: (error: grpc.ServiceError | null, response: greeter_pb.HelloReply) => void): grpc.ClientUnaryCall;
    public watch(request: greeter_pb.HelloRequest, options?: Partial<grpc.CallOptions>): grpc.ClientReadableStream<greeter_pb.HelloReply>;
    public watch(request: greeter_pb.HelloRequest, metadata?: grpc.Metadata, options?: Partial<grpc.CallOptions>): grpc.ClientReadableStream<greeter_pb.HelloReply>;
    public collect(callback: (error: grpc.ServiceError | null, response: greeter_pb.HelloReply) => void): grpc.ClientWritableStream<greeter_pb.HelloRequest>;
    public collect(metadata: grpc.Metadata, callback: (error: grpc.ServiceError | null, response: greeter_pb.HelloReply) => void): grpc.ClientWritableStream<greeter_pb.HelloRequest>;
    public collect(options: Partial<grpc.CallOptions>, callback: (error: grpc.ServiceError | null, response: greeter_pb.HelloReply) => void): grpc.ClientWritableStream<greeter_pb.HelloRequest>;
    public collect(metadata: grpc.Metadata, options: Partial<grpc.CallOptions>, callback: (error: grpc.ServiceError | null, response: greeter_pb.HelloReply) => void): grpc.ClientWritableStream<greeter_pb.HelloRequest>;
    public chat(options?: Partial<grpc.CallOptions>): grpc.ClientDuplexStream<greeter_pb.HelloRequest, greeter_pb.HelloReply>;
    public chat(metadata?: grpc.Metadata, options?: Partial<grpc.CallOptions>): grpc.ClientDuplexStream<greeter_pb.HelloRequest, greeter_pb.HelloReply>;
}
