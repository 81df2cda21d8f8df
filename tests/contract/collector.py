"""A collector of traces: takes OTLP over gRPC as the OpenTelemetry collector does, and keeps the spans. The numbers of fields are
opentelemetry-proto's (trace/v1/trace.proto, common/v1/common.proto, collector/trace/v1/trace_service.proto)."""

import struct
import threading
from concurrent import futures

import grpc
import pytest


def fields(data):
    """(number, bytes or int) of one message."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
        elif tag & 7 == 1:
            yield tag >> 3, struct.unpack_from("<Q", data, at)[0]
            at += 8
        else:
            assert tag & 7 == 2, f"wire type {tag & 7}"
            size = varint()
            assert at + size <= len(data)
            yield tag >> 3, data[at:at + size]
            at += size


def attribute(data):
    parts = dict(fields(data))
    (kind, value), = fields(parts[2])
    return parts[1].decode(), value.decode() if kind == 1 else value


class Span:
    def __init__(self, resource, data):
        self.resource, self.attributes, self.parent, self.status = resource, {}, "", 0
        for number, value in fields(data):
            if number == 1:
                self.trace = value.hex()
            elif number == 2:
                self.id = value.hex()
            elif number == 4:
                self.parent = value.hex()
            elif number == 5:
                self.name = value.decode()
            elif number == 6:
                self.kind = {1: "internal", 2: "server", 3: "client"}[value]
            elif number == 7:
                self.start = value
            elif number == 8:
                self.end = value
            elif number == 9:
                self.attributes.update([attribute(value)])
            elif number == 15:
                self.status = dict(fields(value)).get(3, 0)

    @property
    def service(self):
        return self.resource["service.name"]

    def __repr__(self):
        return f"<{self.service} {self.kind} {self.name} {self.id} below {self.parent or '-'} {self.attributes}>"


class Collector:
    """Answers OK, or the status that `refuse` names. `raw` has all that has come, as it came: also what a Span leaves out."""

    def __init__(self, port=0):
        self.spans, self.requests, self.raw, self.refuse, self.lock = [], 0, b"", None, threading.Lock()
        handler = grpc.unary_unary_rpc_method_handler(self._export)
        self.server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[
            grpc.method_handlers_generic_handler("opentelemetry.proto.collector.trace.v1.TraceService", {"Export": handler})])
        self.port = self.server.add_insecure_port(f"127.0.0.1:{port}")
        self.server.start()

    def _export(self, request, context):
        with self.lock:
            self.requests += 1
            self.raw += request
            if self.refuse:
                context.abort(self.refuse, "not now")
            for number, resource_spans in fields(request):
                assert number == 1
                parts = list(fields(resource_spans))
                resource = dict(attribute(a) for n, r in parts if n == 1 for m, a in fields(r) if m == 1)
                self.spans += [Span(resource, s) for n, scope in parts if n == 2 for m, s in fields(scope) if m == 2]
        return b""

    def of(self, trace):
        with self.lock:
            return [s for s in self.spans if s.trace == trace]

    def stop(self):
        self.server.stop(0).wait(10)


@pytest.fixture(scope="module")
def collector():
    collector = Collector()
    yield collector
    collector.stop()
