"""Messages made from the descriptors of $PROTOSET, for a client that we did not write (grpcio), and what it is refused with."""
import os

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

PROTOSET = os.environ["PROTOSET"]

pool = descriptor_pool.DescriptorPool()
with open(PROTOSET, "rb") as file:
    for proto in descriptor_pb2.FileDescriptorSet.FromString(file.read()).file:
        pool.Add(proto)
factory = message_factory.MessageFactory(pool)


def message_class(descriptor):
    return factory.GetPrototype(descriptor)


def by_name(name):
    return message_class(pool.FindMessageTypeByName(name))


class Failure(Exception):
    """A status with its details unpacked."""

    def __init__(self, error):
        self.code = error.code().name
        self.message = error.details()
        self.fields, self.reason = {}, None
        for key, value in error.trailing_metadata() or ():
            if key != "grpc-status-details-bin":
                continue
            for detail in by_name("google.rpc.Status").FromString(value).details:
                inner = by_name(detail.type_url.rsplit("/", 1)[1]).FromString(detail.value)
                if detail.type_url.endswith("BadRequest"):
                    self.fields = {v.field: v.description for v in inner.field_violations}
                elif detail.type_url.endswith("ErrorInfo"):
                    self.reason = inner.reason
        super().__init__(f"{self.code} {self.reason} {self.message} {self.fields}")


def micros(timestamp):
    return timestamp.seconds * 1000000 + timestamp.nanos // 1000


def plain(message):
    return json_format.MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=pool)
