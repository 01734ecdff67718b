"""A client that reads google.rpc.Status by Python protobuf, from descriptors written here, and writes it again."""

import json
import sys

import grpc
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, duration_pb2, json_format
from google.protobuf import message_factory

STRING, INT64, INT32, MESSAGE = 9, 3, 5, 11
file = descriptor_pb2.FileDescriptorProto(name="details.proto", package="google.rpc", syntax="proto3")
file.dependency.extend(["google/protobuf/any.proto", "google/protobuf/duration.proto"])


def define(into, name, *fields):
    """Each field: name, number, type or name of a message, repeated."""
    added = into.add(name=name)
    for field, number, kind, repeated in fields:
        made = added.field.add(name=field, number=number, label=3 if repeated else 1)
        made.type = MESSAGE if isinstance(kind, str) else kind
        if isinstance(kind, str):
            made.type_name = kind
    return added


def entry(of, name):
    define(of.nested_type, name, ("key", 1, STRING, 0), ("value", 2, STRING, 0)).options.map_entry = True


top = file.message_type
define(
    top,
    "Status",
    ("code", 1, INT32, 0),
    ("message", 2, STRING, 0),
    ("details", 3, ".google.protobuf.Any", 1),
)
info = define(
    top,
    "ErrorInfo",
    ("reason", 1, STRING, 0),
    ("domain", 2, STRING, 0),
    ("metadata", 3, ".google.rpc.ErrorInfo.MetadataEntry", 1),
)
entry(info, "MetadataEntry")
define(top, "RetryInfo", ("retry_delay", 1, ".google.protobuf.Duration", 0))
define(top, "DebugInfo", ("stack_entries", 1, STRING, 1), ("detail", 2, STRING, 0))
quota = define(top, "QuotaFailure", ("violations", 1, ".google.rpc.QuotaFailure.Violation", 1))
violation = define(
    quota.nested_type,
    "Violation",
    ("subject", 1, STRING, 0),
    ("description", 2, STRING, 0),
    ("api_service", 3, STRING, 0),
    ("quota_metric", 4, STRING, 0),
    ("quota_id", 5, STRING, 0),
    ("quota_dimensions", 6, ".google.rpc.QuotaFailure.Violation.QuotaDimensionsEntry", 1),
    ("quota_value", 7, INT64, 0),
    ("future_quota_value", 8, INT64, 0),
)
entry(violation, "QuotaDimensionsEntry")
violation.oneof_decl.add(name="_future_quota_value")
violation.field[7].oneof_index = 0
violation.field[7].proto3_optional = True
precondition = define(top, "PreconditionFailure", ("violations", 1, ".google.rpc.PreconditionFailure.Violation", 1))
define(
    precondition.nested_type,
    "Violation",
    ("type", 1, STRING, 0),
    ("subject", 2, STRING, 0),
    ("description", 3, STRING, 0),
)
bad = define(top, "BadRequest", ("field_violations", 1, ".google.rpc.BadRequest.FieldViolation", 1))
define(
    bad.nested_type,
    "FieldViolation",
    ("field", 1, STRING, 0),
    ("description", 2, STRING, 0),
    ("reason", 3, STRING, 0),
    ("localized_message", 4, ".google.rpc.LocalizedMessage", 0),
)
define(top, "RequestInfo", ("request_id", 1, STRING, 0), ("serving_data", 2, STRING, 0))
define(
    top,
    "ResourceInfo",
    ("resource_type", 1, STRING, 0),
    ("resource_name", 2, STRING, 0),
    ("owner", 3, STRING, 0),
    ("description", 4, STRING, 0),
)
links = define(top, "Help", ("links", 1, ".google.rpc.Help.Link", 1))
define(links.nested_type, "Link", ("description", 1, STRING, 0), ("url", 2, STRING, 0))
define(top, "LocalizedMessage", ("locale", 1, STRING, 0), ("message", 2, STRING, 0))

pool = descriptor_pool.Default()
pool.Add(file)
Status = message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName("google.rpc.Status"))

channel = grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}")
call = channel.unary_unary("/grpcstack.testing.Test/Unary", lambda data: data, lambda data: data)
try:
    call(b"{}", timeout=10)
except grpc.RpcError as error:
    data = dict(error.trailing_metadata())["grpc-status-details-bin"]
    status = Status.FromString(data)
    # A parse to Python's objects and back is what a Python server would have written.
    made = Status()
    json_format.ParseDict(json_format.MessageToDict(status), made)
    print(
        json.dumps(
            {
                "check": "details",
                "code": error.code().value[0],
                "text": error.details(),
                "status": json_format.MessageToDict(status),
                "made": made.SerializeToString(deterministic=True).hex(),
            }
        )
    )
