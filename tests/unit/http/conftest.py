"""Starts test_http_server (path in the variable TEST_HTTP_SERVER) with the limits a test asks for, and checks how it ends."""
import json
import os
import signal
import socket
import subprocess

import pytest


class Server:
    def __init__(self, **limits):
        arguments = [os.environ["TEST_HTTP_SERVER"]] + [f"{k}={v}" for k, v in limits.items()]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])

    def connect(self, timeout=5):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def raw(self, data, timeout=5, shutdown=False):
        """Sends bytes, gives all that comes until the server closes."""
        with self.connect(timeout) as connection:
            connection.sendall(data)
            if shutdown:
                connection.shutdown(socket.SHUT_WR)
            return read_all(connection)

    def stats(self):
        answer = self.raw(b"GET /stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return json.loads(answer.split(b"\r\n\r\n", 1)[1])

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def read_all(connection):
    pieces = []
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            pieces.append(b"<RESET>")
            break
        if not piece:
            break
        pieces.append(piece)
    return b"".join(pieces)


@pytest.fixture
def start():
    """start(limit=…) -> Server; every server must end cleanly (a sanitizer's report is a failure)."""
    servers = []

    def start_server(**limits):
        servers.append(Server(**limits))
        return servers[-1]

    yield start_server
    for server in servers:
        assert server.stop() == 0


@pytest.fixture(scope="module")
def server():
    one = Server()
    yield one
    assert one.stop() == 0
