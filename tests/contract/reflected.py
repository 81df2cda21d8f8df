"""python-grpcio that knows nothing of our protos: what it calls, it has learned from server reflection."""

import re
import subprocess
import tempfile
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory


def _reflection_messages():
    """grpc.reflection itself must be known beforehand; every grpc client has it. So are the messages of error details."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "set")
        subprocess.run(["protoc", f"--descriptor_set_out={out}", "--include_imports", "-I", "/usr/share/grpc-proto", "-I",
                        "/usr/share/gocode/src/github.com/gogo/googleapis", "grpc/reflection/v1/reflection.proto",
                        "grpc/reflection/v1alpha/reflection.proto", "grpc/health/v1/health.proto", "google/rpc/status.proto",
                        "google/rpc/error_details.proto"], check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return lambda name: factory.GetPrototype(pool.FindMessageTypeByName(name))


known = _reflection_messages()


class Reflected:
    def __init__(self, address, version="v1", options=()):
        self.address = address
        self.version = version
        self.channel = grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1), *options])
        self.pool = descriptor_pool.DescriptorPool()
        self.factory = message_factory.MessageFactory(self.pool)
        self.files = set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def reflect(self, **request):
        package = f"grpc.reflection.{self.version}"
        ask, answer = known(f"{package}.ServerReflectionRequest"), known(f"{package}.ServerReflectionResponse")
        stream = self.channel.stream_stream(f"/{package}.ServerReflection/ServerReflectionInfo", ask.SerializeToString, answer.FromString)
        replies = list(stream(iter([ask(**request)]), timeout=20))
        assert len(replies) == 1
        return replies[0]

    def services(self):
        return [service.name for service in self.reflect(list_services="*").list_services_response.service]

    def _add(self, reply):
        """Files come with or without what they import, in any order: ask until all is there."""
        files = [descriptor_pb2.FileDescriptorProto.FromString(raw) for raw in reply.file_descriptor_response.file_descriptor_proto]
        by_name = {file.name: file for file in files}

        def add(file):
            if file.name in self.files:
                return
            for name in file.dependency:
                if name not in self.files:
                    if name not in by_name:
                        more = self.reflect(file_by_filename=name)
                        by_name.update((f.name, f) for f in map(descriptor_pb2.FileDescriptorProto.FromString,
                                                                 more.file_descriptor_response.file_descriptor_proto))
                    add(by_name[name])
            self.pool.Add(file)
            self.files.add(file.name)
        for file in files:
            add(file)

    def service(self, name):
        try:
            return self.pool.FindServiceByName(name)
        except KeyError:
            self._add(self.reflect(file_containing_symbol=name))
            return self.pool.FindServiceByName(name)

    def methods(self, service):
        """(name, client streams, server streams) of each, from the file: descriptors of this version of protobuf do not say."""
        proto = descriptor_pb2.FileDescriptorProto()
        self.service(service).file.CopyToProto(proto)
        found = next(s for s in proto.service if f"{proto.package}.{s.name}" == service)
        return [(m.name, m.client_streaming, m.server_streaming) for m in found.method]

    def types(self, path):
        service, method = path.split("/")
        method = self.service(service).methods_by_name[method]
        return self.factory.GetPrototype(method.input_type), self.factory.GetPrototype(method.output_type)

    def call(self, path, request=None, timeout=20, metadata=None, words=True):
        """A unary call: the request as a dict of plain values, the answer as a dict."""
        ask, answer = self.types(path)
        if not isinstance(request, ask):
            request = json_format.ParseDict(_names(request or {}, ask.DESCRIPTOR), ask(), descriptor_pool=self.pool)
        reply = self.channel.unary_unary(f"/{path}", ask.SerializeToString, answer.FromString)(request, timeout=timeout, metadata=metadata)
        assert isinstance(reply, answer)
        return json_format.MessageToDict(reply, including_default_value_fields=True, preserving_proto_field_name=True, descriptor_pool=self.pool)

    def status(self, error):
        """google.rpc.Status of a failed call, from grpc-status-details-bin; None when there is none."""
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                return known("google.rpc.Status").FromString(value)
        return None

    def details(self, error, kind):
        status = self.status(error)
        for detail in status.details if status else ():
            if detail.type_url == f"type.googleapis.com/google.rpc.{kind}":
                return known(f"google.rpc.{kind}").FromString(detail.value)
        return None

    def reason(self, error):
        info = self.details(error, "ErrorInfo")
        return info.reason if info else None

    def fields(self, error):
        bad = self.details(error, "BadRequest")
        return {violation.field: violation.description for violation in bad.field_violations} if bad else {}


def _names(value, descriptor):
    """Our JSON writes enum words and bare states; python's json_format knows only full names and objects."""
    if descriptor.full_name == "dialplane.v1.FlowState" and isinstance(value, str):
        return {"id": value}
    if not isinstance(value, dict) or descriptor.full_name.startswith("google.protobuf."):
        return value
    out = {}
    for key, item in value.items():
        field = descriptor.fields_by_name[key]
        if field.enum_type and isinstance(item, str) and item.islower():
            item = f"{re.sub(r'(?<!^)(?=[A-Z])', '_', field.enum_type.name).upper()}_{item.upper()}"
        elif field.message_type and not field.message_type.GetOptions().map_entry:
            item = [_names(one, field.message_type) for one in item] if isinstance(item, list) else _names(item, field.message_type)
        out[key] = item
    return out
