"""WebSocket in a stream of HTTP/2 (RFC 8441), by hand: extended CONNECT with the h2 package, frames as in test_websocket."""
import struct
import time

import h2.settings

from test_http2 import Client
from test_websocket import BINARY, CLOSE, PING, PONG, TEXT, frame

CONNECT = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "localhost"), (":path", "/ws"),
           ("sec-websocket-version", "13")]


class Socket:
    def __init__(self, client, headers=CONNECT, early=b""):
        self.client, self.at = client, 0
        self.stream = client.request(list(headers), body=early or None, end=False)
        self.state = client.streams[self.stream]
        self.until(lambda: self.state["headers"])

    def until(self, condition):
        while not condition():
            assert not self.client.closed and not self.client.goaway and self.state["reset"] is None
            self.client.pump()

    def send(self, data, end=False):
        self.client.h2.send_data(self.stream, data, end_stream=end)
        self.client.flush()

    def exactly(self, count):
        self.until(lambda: len(self.state["data"]) >= self.at + count)
        self.at += count
        return self.state["data"][self.at - count:self.at]

    def receive(self):
        first, length = self.exactly(2)
        if length == 126:
            length = struct.unpack(">H", self.exactly(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self.exactly(8))[0]
        return first & 15, self.exactly(length)

    def expect_close(self, code):
        opcode, payload = self.receive()
        assert opcode == CLOSE and struct.unpack(">H", payload[:2])[0] == code


def wait_until(condition):
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_it_is_offered_and_works(server):
    client = Client(server)
    while not client.h2.remote_settings.enable_connect_protocol:
        client.pump()
    socket = Socket(client, early=frame(TEXT, b"before the answer"))
    assert socket.state["headers"][":status"] == "200" and "sec-websocket-accept" not in socket.state["headers"]
    assert socket.receive() == (TEXT, b"before the answer")
    for text in (b"hello", b"", b"x" * 126, b"y" * 60000):
        socket.send(frame(TEXT, text)) if len(text) < 16000 else [socket.send(part) for part in pieces(frame(TEXT, text))]
        assert socket.receive() == (TEXT, text)
    socket.send(frame(PING, b"abc"))
    assert socket.receive() == (PONG, b"abc")
    socket.send(frame(CLOSE, struct.pack(">H", 1000)))
    socket.expect_close(1000)
    socket.until(lambda: socket.state["ended"])
    # The connection goes on.
    assert client.finish(client.get())["headers"][":status"] == "200"


def pieces(data, size=16000):
    return [data[i:i + size] for i in range(0, len(data), size)]


def test_several_beside_requests(server):
    client = Client(server)
    sockets = [Socket(client) for _ in range(5)]
    for i, socket in enumerate(sockets):
        socket.send(frame(TEXT, b"number %d" % i))
    assert client.finish(client.get())["data"] == b"hello\n"
    for i, socket in enumerate(sockets):
        assert socket.receive() == (TEXT, b"number %d" % i)
    # One is reset, one ends without a word, one breaks the rules: the others stay.
    client.h2.reset_stream(sockets[0].stream, 8)
    sockets[1].send(b"", end=True)
    sockets[2].send(frame(BINARY, b"x"))
    sockets[2].expect_close(1003)
    sockets[1].until(lambda: sockets[1].state["ended"])
    sockets[3].send(frame(TEXT, b"close 4404"))
    sockets[3].expect_close(4404)
    sockets[4].send(frame(TEXT, b"still here"))
    assert sockets[4].receive() == (TEXT, b"still here")


def test_pings_and_a_peer_that_answers_none(start):
    server = start(websocket_ping_us=200000)
    client = Client(server)
    silent, lively = Socket(client), Socket(client)
    for _ in range(4):
        opcode, _ = lively.receive()
        assert opcode == PING
        lively.send(frame(PONG))
        if silent.state["reset"] is not None:
            break
    while silent.state["reset"] is None and not silent.state["ended"]:
        opcode, _ = lively.receive()
        lively.send(frame(PONG))
    lively.send(frame(TEXT, b"alive"))
    while (message := lively.receive())[0] == PING:
        pass
    assert message == (TEXT, b"alive")


def open_windows(client, socket):
    for _ in range(2):
        client.h2.increment_flow_control_window(1_000_000, socket.stream)
        client.h2.increment_flow_control_window(1_000_000)
    client.flush()


def test_a_window_that_stays_shut_holds_up_nobody_else(start):
    server = start()
    client = Client(server, window=1000)
    stuck = Socket(client)
    stuck.send(frame(TEXT, b"flood 12"))
    assert client.finish(client.get())["data"] == b"hello\n"
    assert len(stuck.state["data"]) <= 1000
    open_windows(client, stuck)
    for _ in range(12):
        assert stuck.receive() == (TEXT, b"f" * 10000)


def test_who_takes_nothing_is_closed(start):
    """More than websocket_output_bytes wait: what it has not begun to take is dropped, then 1013."""
    server = start(websocket_output_bytes=65536)
    client = Client(server, window=1000)
    stuck = Socket(client)
    stuck.send(frame(TEXT, b"flood 40"))
    assert client.finish(client.get())["data"] == b"hello\n"
    open_windows(client, stuck)
    while (message := stuck.receive())[0] == TEXT:
        assert message[1] == b"f" * 10000
    assert message[0] == CLOSE and struct.unpack(">H", message[1][:2])[0] == 1013
    wait_until(lambda: server.stats()["websockets"] == 0)  # it says nothing to that: two seconds


def test_wrong_requests(server):
    client = Client(server)

    def status(headers, end=False):
        stream = client.request(headers, end=end)
        return client.finish(stream)["headers"].get(":status")
    without = [h for h in CONNECT if h[0] != "sec-websocket-version"]
    assert status(without) == "400"
    assert status(without + [("sec-websocket-version", "8")]) == "426"
    assert status([(k, "connect-udp" if k == ":protocol" else v) for k, v in CONNECT]) == "501"
    assert status(CONNECT, end=True) == "400"
    # A path that is no WebSocket must not look like one that was opened.
    assert status([(k, "/hello" if k == ":path" else v) for k, v in CONNECT]) == "501"
    assert status([(k, "/nothing" if k == ":path" else v) for k, v in CONNECT]) == "404"
    # :protocol belongs to CONNECT alone.
    stream = client.request([(":method", "GET"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "localhost"), (":path", "/ws")])
    assert client.finish(stream)["reset"] is not None or client.goaway


def test_stop_closes_them(start):
    server = start()
    client = Client(server)
    Socket(client)
    server.process.terminate()
    # The h2 package takes nothing after a GOAWAY, although streams that are open go on: by hand.
    data = b""
    while struct.pack(">BBH", 0x88, 2 + len("the server is stopping"), 1001) not in data:
        piece = client.socket.recv(65536)
        assert piece
        data += piece
    client.socket.close()
    assert server.process.wait(20) == 0


def test_the_settings_name_it(server):
    client = Client(server)
    while h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL not in client.h2.remote_settings:
        client.pump()
