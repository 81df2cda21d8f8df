"""A gateway in front of fake services: python-grpcio servers that answer whatever a test tells them to.

GATEWAY is the executable, PROTOSET the FileDescriptorSet of proto/. Loopback and free ports only."""
import concurrent.futures
import os
import signal
import socket
import subprocess
import threading
import time

import grpc
import requests
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


class Protos:
    def __init__(self, path):
        self.pool = descriptor_pool.DescriptorPool()
        files = descriptor_pb2.FileDescriptorSet()
        with open(path, "rb") as file:
            files.ParseFromString(file.read())
        for file in files.file:
            self.pool.Add(file)
        self.factory = message_factory.MessageFactory(self.pool)

    def message(self, name):
        return self.factory.GetPrototype(self.pool.FindMessageTypeByName(name))


class FakeService(grpc.GenericRpcHandler):
    """Every method of every service; what it does is self.behaviours[method name](request or iterator, context)."""

    def __init__(self, protos, port=0, options=()):
        self.protos = protos
        self.options = [("grpc.so_reuseport", 0), *options]
        self.behaviours = {}
        self.calls = []  # (method, request, metadata)
        self.port = port
        self.server = None
        self.start()

    def start(self):
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(32), options=self.options)
        self.server.add_generic_rpc_handlers((self,))
        self.port = self.server.add_insecure_port(f"127.0.0.1:{self.port}")
        self.server.start()

    def stop(self):
        self.server.stop(0).wait()

    def service(self, details):
        _, service, method = details.method.split("/")
        descriptor = self.protos.pool.FindServiceByName(service).methods_by_name[method]
        request = self.protos.message(descriptor.input_type.full_name)
        proto = descriptor_pb2.MethodDescriptorProto()
        descriptor.CopyToProto(proto)

        def call(message, context):
            metadata = dict(context.invocation_metadata())
            if proto.client_streaming:
                self.calls.append((method, None, metadata))
            else:
                self.calls.append((method, message, metadata))
            if method == "Check":
                return self.protos.message("grpc.health.v1.HealthCheckResponse")(status=1)
            if method not in self.behaviours:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, "no behaviour")
            return self.behaviours[method](message, context)

        def call_stream(message, context):
            if method not in self.behaviours:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, "no behaviour")
            self.calls.append((method, message, dict(context.invocation_metadata())))
            yield from self.behaviours[method](message, context)

        serialize = lambda message: message.SerializeToString()
        if proto.server_streaming:
            return grpc.unary_stream_rpc_method_handler(call_stream, request.FromString, serialize)
        if proto.client_streaming:
            return grpc.stream_unary_rpc_method_handler(call, request.FromString, serialize)
        return grpc.unary_unary_rpc_method_handler(call, request.FromString, serialize)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gateway:
    def __init__(self, service, *flags):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        address = f"127.0.0.1:{service.port}"
        self.process = subprocess.Popen(
            [os.environ["GATEWAY"], "--listen", f"127.0.0.1:{self.port}", "--skillbase", address, "--campaign", address,
             "--analytics", address, "--threads", "2", *flags], stderr=subprocess.PIPE, text=True)
        self.log = []
        threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True).start()
        deadline = time.monotonic() + 20
        while True:
            try:
                requests.get(self.url + "/healthz", timeout=1)
                return
            except requests.ConnectionError:
                assert self.process.poll() is None and time.monotonic() < deadline, "".join(self.log)
                time.sleep(0.05)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        assert code == 0, "".join(self.log)[-4000:]

    def request(self, method, path, **arguments):
        arguments.setdefault("timeout", 20)
        return requests.request(method, self.url + path, **arguments)
