"""WebSocket: an ordinary client (websockets), and frames by hand that break the rules."""
import asyncio
import os
import socket
import struct
import time

import pytest
import websockets
from conftest import read_all

OPEN = (b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(opcode, payload=b"", fin=True, masked=True, rsv=0):
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", len(payload))
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", len(payload))
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


class Socket:
    def __init__(self, server, extra=b""):
        self.connection = server.connect()
        self.connection.sendall(OPEN + extra)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += self.connection.recv(1)
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer

    def send(self, data):
        self.connection.sendall(data)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            piece = self.connection.recv(count - len(data))
            if not piece:
                raise EOFError(data)
            data += piece
        return data

    def receive(self):
        first, length = self.exactly(2)
        assert not length & 0x80  # a server does not mask
        if length == 126:
            length = struct.unpack(">H", self.exactly(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self.exactly(8))[0]
        return first & 15, self.exactly(length)

    def expect_close(self, code):
        opcode, payload = self.receive()
        assert opcode == CLOSE and struct.unpack(">H", payload[:2])[0] == code, (opcode, payload[:50])
        assert read_all(self.connection) == b""
        self.connection.close()


def test_ordinary_client(server):
    async def talk():
        async with websockets.connect(f"ws://127.0.0.1:{server.port}/ws", max_size=None) as ws:
            for text in ("hello", "", "ünïcödé €", "x" * 125, "x" * 126, "x" * 65535, "y" * 65536):
                await ws.send(text)
                assert await ws.recv() == text
            await ws.send(["in ", "three ", "pieces"])
            assert await ws.recv() == "in three pieces"
            await (await ws.ping(b"are you there"))
            await ws.send("close 4404")
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await ws.recv()
            assert closed.value.rcvd.code == 4404 and closed.value.rcvd.reason == "as you wish"
        async with websockets.connect(f"ws://127.0.0.1:{server.port}/ws") as ws:
            await ws.close(3999, "bye")
            assert ws.close_code == 3999
    asyncio.run(talk())
    assert server.stats()["last_close_code"] == 3999


def test_frames_behind_the_handshake_are_not_lost(server):
    ws = Socket(server, frame(TEXT, b"early") + frame(TEXT, b"bird"))
    assert ws.receive() == (TEXT, b"early")
    assert ws.receive() == (TEXT, b"bird")
    ws.send(frame(CLOSE, struct.pack(">H", 1000)))
    ws.expect_close(1000)


def test_byte_by_byte(server):
    ws = Socket(server)
    message = (frame(TEXT, "fragé".encode()[:5], fin=False) + frame(PING, b"p") +
               frame(0, "fragé".encode()[5:] + b"mented", fin=True) + frame(TEXT, b"z" * 300))
    for i in range(len(message)):
        ws.send(message[i:i + 1])
    answers = [ws.receive() for _ in range(3)]
    answers.remove((PONG, b"p"))  # before or after what it was sent among
    assert answers == [(TEXT, "fragémented".encode()), (TEXT, b"z" * 300)]
    ws.send(frame(CLOSE))
    opcode, payload = ws.receive()
    assert opcode == CLOSE
    assert server.stats()["last_close_code"] == 1005


BROKEN = {
    "unmasked": (frame(TEXT, b"x", masked=False), 1002),
    "reserved bit": (frame(TEXT, b"x", rsv=4), 1002),
    "unknown opcode": (frame(3, b"x"), 1002),
    "unknown control opcode": (frame(11, b"x"), 1002),
    "continuation of nothing": (frame(0, b"x"), 1002),
    "text inside a message": (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
    "fragmented ping": (frame(PING, b"x", fin=False), 1002),
    "long ping": (frame(PING, b"x" * 126), 1002),
    "length not minimal": (b"\x81\xfe\x00\x05\0\0\0\0abcde", 1002),
    "length with the top bit": (b"\x81\xff\xff\0\0\0\0\0\0\1\0\0\0\0", 1002),
    "one-byte close": (frame(CLOSE, b"x"), 1002),
    "close code 999": (frame(CLOSE, struct.pack(">H", 999)), 1002),
    "close code 1006": (frame(CLOSE, struct.pack(">H", 1006)), 1002),
    "bad UTF-8": (frame(TEXT, b"\xff\xfe"), 1007),
    "overlong UTF-8": (frame(TEXT, b"\xc0\xaf"), 1007),
    "a surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "UTF-8 cut off": (frame(TEXT, b"\xe2\x82"), 1007),
    "bad UTF-8 in a later fragment": (frame(TEXT, b"ok", fin=False) + frame(0, b"\xff"), 1007),
    "bad UTF-8 in a reason": (frame(CLOSE, struct.pack(">H", 1000) + b"\xff"), 1007),
    "binary": (frame(BINARY, b"x"), 1003),
    "too large": (frame(TEXT, b"x" * 70000), 1009),
    "too large, announced": (b"\x81\xff\0\0\0\1\0\0\0\0\0\0\0\0abc", 1009),
    "too large in fragments": (frame(TEXT, b"x" * 40000, fin=False) + frame(0, b"x" * 40000), 1009),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_rules(server, name):
    data, code = BROKEN[name]
    before = server.stats()["sockets_closed"]
    ws = Socket(server)
    ws.send(data)
    if code == 1003:
        assert ws.receive() == (CLOSE, struct.pack(">H", 1003) + b"text only")
        ws.send(frame(CLOSE, struct.pack(">H", 1003)))
        assert read_all(ws.connection) == b""
    else:
        ws.expect_close(code)
    time.sleep(0.02)
    stats = server.stats()
    assert (stats["sockets_closed"], stats["last_close_code"]) == (before + 1, code)


def test_gone(server):
    before = server.stats()["sockets_closed"]
    Socket(server).connection.close()
    time.sleep(0.05)
    stats = server.stats()
    assert (stats["sockets_closed"], stats["last_close_code"]) == (before + 1, 1006)


def test_too_slow(server):
    ws = Socket(server)
    ws.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 10000)
    ws.send(frame(TEXT, b"flood 3000"))  # 30 MB
    time.sleep(0.5)
    opcode = TEXT
    try:
        while opcode == TEXT:
            opcode, payload = ws.receive()
        assert opcode == CLOSE and struct.unpack(">H", payload[:2])[0] == 1013
    except (EOFError, ConnectionResetError):
        pytest.fail("cut without a close frame")
    ws.connection.close()
    time.sleep(0.1)
    stats = server.stats()
    assert stats["last_close_code"] == 1013 and stats["most_waiting"] < 600000


def test_close_is_not_waited_for_longer_than_two_seconds(server):
    ws = Socket(server)
    ws.send(frame(TEXT, b"close 4000"))
    assert ws.receive()[0] == CLOSE
    begin = time.monotonic()
    assert read_all(ws.connection) in (b"", b"<RESET>")
    assert 1.5 < time.monotonic() - begin < 4.5


def test_pings(start):
    server = start(websocket_ping_us=200000)
    alive, dead = Socket(server), Socket(server)
    begin = time.monotonic()
    for _ in range(6):
        assert alive.receive() == (PING, b"")
        alive.send(frame(PONG))
    dead.connection.settimeout(2)
    rest = read_all(dead.connection)
    assert rest in (b"\x89\0\x89\0", b"\x89\0\x89\0<RESET>") and time.monotonic() - begin < 4.5
    alive.send(frame(TEXT, b"still here"))
    while True:
        opcode, payload = alive.receive()
        if opcode == TEXT:
            break
    assert payload == b"still here"
    alive.connection.close()


def test_server_stops(start):
    server = start()
    ws = Socket(server)
    server.process.terminate()
    opcode, payload = ws.receive()
    assert opcode == CLOSE and struct.unpack(">H", payload[:2])[0] == 1001
    ws.send(frame(CLOSE, payload))
    assert read_all(ws.connection) == b""
    assert server.process.wait(5) == 0


def resident_kb(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


@pytest.mark.skipif(any(preset in os.environ.get("TEST_HTTP_SERVER", "") for preset in ("/asan/", "/tsan/")), reason="measures memory")
def test_idle_sockets_are_small(start):
    """After a message each, 1,000 idle sockets."""
    server = start()
    before = resident_kb(server.process.pid)
    sockets = [Socket(server) for _ in range(1000)]
    for ws in sockets:
        ws.send(frame(TEXT, b"hello"))
        assert ws.receive() == (TEXT, b"hello")
    time.sleep(0.3)
    each = (resident_kb(server.process.pid) - before) * 1024 / 1000
    for ws in sockets:
        ws.connection.close()
    print("bytes each:", each)
    assert each < 1500
