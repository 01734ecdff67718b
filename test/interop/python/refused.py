"""A gRPC Python client whose calls are refused while it is still sending. Prints one JSON line for each kind of call."""

import collections
import json
import sys
import time

import grpc

ROUNDS = 20
channel = grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}")
large = json.dumps({"data": "x" * 500_000}).encode()
small = json.dumps({"data": "x" * 20_000}).encode()


def requests():
    for _ in range(200):
        yield small
        time.sleep(0.001)


def same(data):
    return data


kinds = {
    "Unary": (channel.unary_unary, lambda: large),
    "ServerStream": (channel.unary_stream, lambda: large),
    "ClientStream": (channel.stream_unary, requests),
    "Bidi": (channel.stream_stream, requests),
}

for name, (kind, argument) in kinds.items():
    call = kind(f"/grpcstack.testing.Test/{name}", same, same)
    ends = collections.Counter()
    for _ in range(ROUNDS):
        try:
            answer = call(argument(), timeout=10)
            if name in ("ServerStream", "Bidi"):
                list(answer)
            ends["OK"] += 1
        except grpc.RpcError as error:
            ends[f"{error.code().value[0]} {error.details()}"] += 1
    print(json.dumps({"check": name, "ends": ends}), flush=True)
