"""A gRPC Python server with a Python interceptor. Prints its port, serves until its standard input ends."""

import collections
import sys
import threading
from concurrent import futures

import grpc
import interop_pb2
import interop_pb2_grpc

calls = collections.Counter()
held = {}


def see(context):
    return {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}


class Interop(interop_pb2_grpc.InteropServicer):
    def _admit(self, request, context):
        """What a request asks for besides an answer. Ends the call by raising."""
        binary = dict(context.invocation_metadata()).get("x-echo-bin")
        if binary is not None:
            context.send_initial_metadata((("x-echo-bin", binary),))
        if request.gzip:
            context.set_compression(grpc.Compression.Gzip)
        if request.code:
            context.set_trailing_metadata((("x-reason", "asked for"), ("x-reason-bin", b"\x00\xff\x7f")))
            context.abort(list(grpc.StatusCode)[[c.value[0] for c in grpc.StatusCode].index(request.code)], "asked for")
        if request.flaky:
            calls[request.flaky] += 1
            if calls[request.flaky] <= request.failures:
                context.abort(grpc.StatusCode.UNAVAILABLE, "flaky")
        if request.pushback:
            calls[request.pushback] += 1
            if calls[request.pushback] == 1:
                context.set_trailing_metadata((("grpc-retry-pushback-ms", "20"),))
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many")
        if request.hold:
            ended = threading.Event()
            held[request.hold] = "held"

            def on_end():
                held[request.hold] = "cancelled"
                ended.set()

            if context.add_callback(on_end):
                ended.wait(20)

    def _answer(self, request, context):
        if request.ask:
            return interop_pb2.Response(text=held.get(request.ask, ""), count=calls[request.ask])
        return interop_pb2.Response(text=request.text, payload=request.payload, seen=see(context))

    def Unary(self, request, context):
        self._admit(request, context)
        return self._answer(request, context)

    def ServerStream(self, request, context):
        self._admit(request, context)
        for i in range(request.count):
            yield interop_pb2.Response(text=request.text, count=i, seen=see(context))

    def ClientStream(self, requests, context):
        texts = []
        for request in requests:
            self._admit(request, context)
            texts.append(request.text)
        return interop_pb2.Response(text=" ".join(texts), count=len(texts), seen=see(context))

    def Bidi(self, requests, context):
        for request in requests:
            self._admit(request, context)
            yield self._answer(request, context)


class Gate(grpc.ServerInterceptor):
    """Refuses calls that say they need a token and have none. The handler is a bidirectional one: it fits any call."""

    def __init__(self):
        def refuse(requests, context):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no valid token")

        self._refuse = grpc.stream_stream_rpc_method_handler(refuse)

    def intercept_service(self, continuation, details):
        metadata = dict(details.invocation_metadata)
        if "x-needs-token" in metadata and metadata.get("authorization") != "Bearer good":
            return self._refuse
        return continuation(details)


def main():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), interceptors=(Gate(),))
    interop_pb2_grpc.add_InteropServicer_to_server(Interop(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(0).wait()


main()
