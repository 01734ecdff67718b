"""A gRPC Python client with Python interceptors. Runs every check against the port it is given, prints one JSON line each."""

import collections
import json
import sys

import grpc
import interop_pb2
import interop_pb2_grpc

Details = collections.namedtuple(
    "Details", ("method", "timeout", "metadata", "credentials", "wait_for_ready", "compression")
)


class Details(Details, grpc.ClientCallDetails):
    pass


class Stamp(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Adds a header to every call, whatever its kind."""

    def _stamp(self, details):
        metadata = list(details.metadata or []) + [("x-stamp", "python")]
        return Details(
            details.method,
            details.timeout,
            metadata,
            details.credentials,
            details.wait_for_ready,
            details.compression,
        )

    def intercept_unary_unary(self, continuation, details, request):
        return continuation(self._stamp(details), request)

    def intercept_unary_stream(self, continuation, details, request):
        return continuation(self._stamp(details), request)

    def intercept_stream_unary(self, continuation, details, requests):
        return continuation(self._stamp(details), requests)

    def intercept_stream_stream(self, continuation, details, requests):
        return continuation(self._stamp(details), requests)


def plain(metadata):
    return {k: v if isinstance(v, str) else list(v) for k, v in metadata or ()}


def report(name, **facts):
    print(json.dumps({"check": name, **facts}), flush=True)


def failure(name, error):
    report(name, code=error.code().value[0], details=error.details(), trailers=plain(error.trailing_metadata()))


def main():
    port = sys.argv[1]
    channel = grpc.intercept_channel(
        grpc.insecure_channel(f"127.0.0.1:{port}", options=(("grpc.max_receive_message_length", -1),)), Stamp()
    )
    stub = interop_pb2_grpc.InteropStub(channel)
    Request = interop_pb2.Request
    token = (("authorization", "Bearer good"),)

    def requests(n, **fields):
        for i in range(n):
            yield Request(text=str(i), **fields)

    response, call = stub.Unary.with_call(
        Request(text="hello", payload=b"\x00\x01\xff"), metadata=token + (("x-echo-bin", b"\x00\xfe"),)
    )
    report(
        "unary",
        text=response.text,
        payload=list(response.payload),
        seen=dict(response.seen),
        headers=plain(call.initial_metadata()),
    )
    report("server stream", counts=[r.count for r in stub.ServerStream(Request(count=5), metadata=token)])
    report("client stream", text=stub.ClientStream(requests(5), metadata=token).text)
    report("bidi", texts=[r.text for r in stub.Bidi(requests(5), metadata=token)])

    for code in [c.value[0] for c in grpc.StatusCode if c.value[0] != 0]:
        for name, invoke in (
            ("unary", lambda c: stub.Unary(Request(code=c), metadata=token)),
            ("server stream", lambda c: list(stub.ServerStream(Request(code=c), metadata=token))),
            ("client stream", lambda c: stub.ClientStream(requests(1, code=c), metadata=token)),
            ("bidi", lambda c: list(stub.Bidi(requests(1, code=c), metadata=token))),
        ):
            try:
                invoke(code)
                report(f"status {code} {name}", code=0)
            except grpc.RpcError as error:
                failure(f"status {code} {name}", error)

    for name, invoke in (
        ("unary", lambda: stub.Unary(Request(text="x"))),
        ("server stream", lambda: list(stub.ServerStream(Request(count=3)))),
        ("client stream", lambda: stub.ClientStream(requests(0))),
        ("bidi", lambda: list(stub.Bidi(requests(0)))),
    ):
        try:
            invoke()
        except grpc.RpcError as error:
            failure(f"no token {name}", error)

    try:
        stub.Unary(Request(hold="deadline"), timeout=0.2, metadata=token)
    except grpc.RpcError as error:
        failure("deadline", error)

    stream = stub.ServerStream(Request(hold="cancel"), metadata=token)
    stream.initial_metadata()
    stream.cancel()
    try:
        list(stream)
    except grpc.RpcError as error:
        failure("cancel", error)

    big = b"x" * (3 * 1024 * 1024)
    response = stub.Unary(Request(payload=big), metadata=token)
    report("large", size=len(response.payload), same=response.payload == big)
    response = stub.Unary(Request(payload=b"z" * 100000), metadata=token, compression=grpc.Compression.Gzip)
    report("gzip", size=len(response.payload))

    try:
        channel.unary_unary("/interop.v1.Interop/Nowhere")(b"", metadata=token)
    except grpc.RpcError as error:
        failure("unregistered", error)

    codes = []
    for _ in range(4):
        try:
            stub.Unary(Request(text="limited"), metadata=token + (("x-customer", "hammering"),))
            codes.append(0)
        except grpc.RpcError as error:
            codes.append(error.code().value[0])
            last = plain(error.trailing_metadata())
    report("rate limit", codes=codes, pushback=last.get("grpc-retry-pushback-ms"), rich="grpc-status-details-bin" in last)

    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    response = stub.Unary(
        Request(text="traced"), metadata=token + (("traceparent", traceparent), ("x-request-id", "from-python"))
    )
    report("trace", seen=dict(response.seen), text=response.text)
    channel.close()


main()
