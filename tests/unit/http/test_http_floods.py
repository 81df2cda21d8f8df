"""What costs a client little and a server much: each is counted, ended politely, and leaves others alone."""
import socket
import struct
import time

import pytest
from conftest import read_all
from test_http2 import HEADERS, PREFACE, Client
from test_websocket import PING, TEXT, Socket, frame

SETTINGS = b"\0\0\0\4\0\0\0\0\0"
ENHANCE_YOUR_CALM = 11


def h2_frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def frames_of(received, kind):
    """The payloads of the whole frames of that kind."""
    at, found = 0, []
    while at + 9 <= len(received):
        length = int.from_bytes(received[at:at + 3], "big")
        if received[at + 3] == kind and at + 9 + length <= len(received):
            found.append(received[at + 9:at + 9 + length])
        at += 9 + length
    return found


def goaways(received):
    return [struct.unpack(">I", payload[4:8])[0] for payload in frames_of(received, 7)]


def goaway(server, frames, times=1, expect=ENHANCE_YOUR_CALM):
    """Sends frames again and again; gives how many times it could. The connection must end with GOAWAY and the expected code."""
    sent = 0
    received = b""
    with server.connect(10) as connection:
        connection.sendall(PREFACE + SETTINGS + h2_frame(4, 1, 0))
        try:
            for sent in range(times):
                connection.sendall(frames)
        except OSError:
            pass
        received = read_all(connection)
    codes = goaways(received)
    assert codes and codes[0] == expect, f"GOAWAY {codes}, then {received[-20:]!r}"
    return sent


def alive(server, limit, least=1):
    stats = server.stats()
    assert stats[f"limited_{limit}"] >= least, stats
    assert server.raw(b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").endswith(b"hello\n")


GET = b"\x82\x86\x84\x41\x01x"  # :method GET, :scheme http, :path /, :authority x

CONTROL = {
    "pings": h2_frame(6, 0, 0, b"abcdefgh") * 100,
    "settings": h2_frame(4, 0, 0, b"\0\3\0\0\0\x64") * 100,
    "empty settings": h2_frame(4, 0, 0) * 100,
    "priorities": h2_frame(2, 0, 1, b"\0\0\0\0\x10") * 100,
    "unknown frames": h2_frame(0xEE, 0, 0) * 100,
    "window updates for nothing": h2_frame(8, 0, 0, b"\0\0\0\1") * 100,
}


@pytest.mark.parametrize("name", CONTROL)
def test_frames_that_bring_nothing(start, name):
    server = start(control_frames_per_second=100)
    goaway(server, CONTROL[name], 10000)
    alive(server, "control_frames")


def test_data_without_data(start):
    server = start(control_frames_per_second=100)
    # POST /collect, whose body is read; with and without padding
    head = h2_frame(1, 4, 1, b"\x83\x86\x41\x01x\x44\x08/collect")
    for empty in (h2_frame(0, 0, 1), h2_frame(0, 8, 1, b"\x03\0\0\0")):
        with server.connect(10) as connection:
            connection.sendall(PREFACE + SETTINGS + h2_frame(4, 1, 0) + head)
            try:
                for _ in range(1000):
                    connection.sendall(empty * 100)
            except OSError:
                pass
            assert ENHANCE_YOUR_CALM in goaways(read_all(connection))
    alive(server, "control_frames", 2)


def test_window_updates_for_what_was_sent_are_no_flood(start):
    """A client that opens its windows for every frame of a large answer, as some do."""
    server = start(control_frames_per_second=20)
    client = Client(server)
    stream = client.get("/big?size=3000000")
    state = client.finish(stream)
    assert len(state["data"]) == 3000000 and client.goaway is None
    assert server.stats()["limited_control_frames"] == 0


def test_an_ordinary_keepalive_is_no_flood(server):
    client = Client(server)
    for _ in range(30):
        client.h2.ping(b"12345678")
        client.flush()
        assert client.finish(client.get())["data"] == b"hello\n"
    assert client.goaway is None


def test_resets_that_we_are_made_to_send(start):
    """MadeYouReset: a window that overflows in each stream, so that we reset it and not the peer."""
    server = start(resets_per_second=50)
    received = b""
    with server.connect(10) as connection:
        connection.sendall(PREFACE + SETTINGS + h2_frame(4, 1, 0))
        for first in range(0, 500, 20):
            connection.sendall(b"".join(h2_frame(1, 5, 1 + 2 * n, GET) + h2_frame(8, 0, 1 + 2 * n, b"\x7f\xff\xff\xff")
                                        for n in range(first, first + 20)))
            while len(frames_of(received, 3)) < first + 20 and not goaways(received):
                piece = connection.recv(65536)
                assert piece, received
                received += piece
            if goaways(received):
                break
    assert goaways(received) == [ENHANCE_YOUR_CALM]
    alive(server, "resets")


def test_rapid_reset_is_counted(start):
    server = start(resets_per_second=50)
    frames = b"".join(h2_frame(1, 5, 1 + 2 * n, GET) + h2_frame(3, 0, 1 + 2 * n, b"\0\0\0\x08") for n in range(2000))
    goaway(server, frames)
    alive(server, "resets")
    assert server.stats()["requests"] < 2000


def test_continuations_end_in_calm(server):
    before = server.stats()["limited_continuations"]
    goaway(server, h2_frame(1, 1, 1, b"\x82") + h2_frame(9, 0, 1) * 20)
    alive(server, "continuations", before + 1)


@pytest.mark.parametrize("where", ["head", "trailers"])
def test_a_head_that_unpacks_to_much_more(start, where):
    """Each byte stands for a field of 4000; the connection ends long before the bytes do."""
    server = start(header_bytes=8192)
    # A literal with indexing, then its index in the dynamic table (62) again and again.
    literal = b"\x40\x06x-bomb" + b"\x7f\xa1\x1e" + b"v" * 4000
    block = (GET if where == "head" else b"") + literal + b"\xbe" * 12000
    pieces = [block[at:at + 16000] for at in range(0, len(block), 16000)]
    frames = h2_frame(1, 4, 1, b"\x83\x86\x41\x01x\x44\x08/collect") if where == "trailers" else b""
    frames += h2_frame(1, 1 | (4 if len(pieces) == 1 else 0), 1, pieces[0])
    for n, piece in enumerate(pieces[1:], 2):
        frames += h2_frame(9, 4 if n == len(pieces) else 0, 1, piece)
    goaway(server, frames)
    alive(server, "header_size")


# --- Time ---

def slow(connection, head, pieces, pause):
    connection.sendall(head)
    try:
        for _ in range(pieces):
            time.sleep(pause)
            connection.sendall(b"x")
    except OSError:
        pass
    return read_all(connection)


def test_a_body_below_the_least_rate(start):
    """A byte now and then is not enough: 4 bytes in 0.4 s at 20 bytes a second."""
    server = start(body_idle_us=400000, least_rate_bytes=20)
    with server.connect(10) as connection:
        began = time.monotonic()
        answer = slow(connection, b"POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", 40, 0.1)
        assert answer.startswith(b"HTTP/1.1 408 ") and time.monotonic() - began < 8
    with server.connect(10) as connection:  # one that is just quick enough is not cut, however long it takes
        connection.sendall(b"POST /collect HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 400\r\n\r\n")
        for _ in range(20):
            time.sleep(0.1)
            connection.sendall(b"x" * 20)
        assert read_all(connection).endswith(b"400\n")
    alive(server, "body_time")


def test_a_body_below_the_least_rate_over_http2(start):
    """A slow stream beside one that is quick: only the slow one ends, and the connection's other bytes do not keep it."""
    server = start(body_idle_us=400000, least_rate_bytes=20)
    client = Client(server)
    post = [*HEADERS[1:3], (":method", "POST"), (":path", "/collect")]
    trickle = client.request(post, end=False)
    until = time.monotonic() + 15
    while not client.streams[trickle]["headers"] and client.streams[trickle]["reset"] is None:
        assert time.monotonic() < until, "the slow body was never ended"
        quick = client.request(post, body=b"y" * 1000)
        assert client.finish(quick)["data"] == b"1000\n"
        if not client.streams[trickle]["headers"]:
            client.h2.send_data(trickle, b"x")
            client.flush()
        time.sleep(0.1)
    assert client.streams[trickle]["headers"].get(":status") == "408", client.streams[trickle]
    assert client.finish(client.get())["data"] == b"hello\n"
    alive(server, "body_time")


def test_an_answer_that_is_taken_too_slowly(start):
    server = start(write_idle_us=400000, least_rate_bytes=1000000)
    with server.connect(20) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /big?size=30000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        taken = 0
        try:
            while piece := connection.recv(1000):
                taken += len(piece)
                time.sleep(0.02)
        except ConnectionResetError:
            pass
    assert taken < 30000000
    alive(server, "write_time")


def test_answers_that_nobody_takes_do_not_fill_memory(start):
    server = start(all_output_bytes=8000000)
    held = []
    for _ in range(20):
        connection = server.connect(20)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /big?size=3900000 HTTP/1.1\r\nHost: x\r\n\r\n" * 4)
        held.append(connection)
    until = time.monotonic() + 20
    while server.stats()["limited_output_memory"] == 0 or server.stats()["output_bytes"] > 12000000:
        assert time.monotonic() < until, server.stats()
        time.sleep(0.1)
    for connection in held:
        connection.close()
    alive(server, "output_memory")


# --- Connections ---

def test_connections_of_one_address(start):
    server = start(connections_per_address=5, connections=100)

    def connect_from(address):
        connection = socket.socket()
        connection.settimeout(10)
        connection.bind((address, 0))
        connection.connect(("127.0.0.1", server.port))
        return connection

    def ask(connection):
        connection.sendall(b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return read_all(connection)
    held = [connect_from("127.0.0.2") for _ in range(5)]
    for connection in held:
        connection.sendall(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(1000).endswith(b"hello\n")
    refused = read_all(connect_from("127.0.0.2"))
    assert refused.startswith(b"HTTP/1.1 503 ") and b"from your address" in refused and b"retry-after" in refused.lower()
    assert ask(connect_from("127.0.0.3")).endswith(b"hello\n")
    for connection in held:
        connection.close()
    until = time.monotonic() + 10
    while True:  # what is closed makes room
        connection = connect_from("127.0.0.2")
        if ask(connection).endswith(b"hello\n"):
            break
        assert time.monotonic() < until
    alive(server, "address_connections")


def test_idle_connections_make_room(start):
    server = start(connections=10)
    held = [server.connect() for _ in range(10)]
    for connection in held:
        connection.sendall(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(1000).endswith(b"hello\n")
    until = time.monotonic() + 20
    while not server.raw(b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").endswith(b"hello\n"):
        assert time.monotonic() < until, "no idle connection was given up"
        time.sleep(0.1)
    assert held[0].recv(10) == b""  # the one that was idle longest
    alive(server, "idle_connections")
    for connection in held:
        connection.close()


def test_slow_heads_make_room(start):
    server = start(connections=10, header_timeout_us=60000000)
    held = [server.connect(20) for _ in range(10)]
    for connection in held:
        connection.sendall(b"GET /hello HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    until = time.monotonic() + 20
    while not server.raw(b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").endswith(b"hello\n"):
        assert time.monotonic() < until, "no slow head was given up"
        time.sleep(0.1)
    assert read_all(held[0]).startswith(b"HTTP/1.1 408 ")
    for connection in held:
        connection.close()


# --- WebSocket ---

@pytest.mark.parametrize("name, frames", [
    ("messages", frame(TEXT, b"x") * 50),
    ("pings", frame(PING, b"x") * 50),
    ("empty messages", frame(TEXT) * 50),
])
def test_websocket_frames(start, name, frames):
    server = start(websocket_frames_per_second=100)
    ws = Socket(server)
    try:
        for _ in range(200):
            ws.send(frames)
    except OSError:
        pass
    received = read_all(ws.connection)
    assert b"\x88" in received and struct.pack(">H", 1008) + b"too many frames" in received
    ws.connection.close()
    alive(server, "websocket_frames")


def test_websocket_fragments(start):
    server = start(websocket_fragments=20, websocket_frames_per_second=10000)
    ws = Socket(server)
    ws.send(frame(TEXT, b"a", fin=False) + frame(0, b"b", fin=False) * 18 + frame(0, b"c"))
    assert ws.receive() == (TEXT, b"a" + b"b" * 18 + b"c")
    ws.send(frame(TEXT, b"", fin=False) + frame(0, b"", fin=False) * 30)
    received = read_all(ws.connection)
    assert struct.pack(">H", 1008) + b"too many fragments" in received
    ws.connection.close()
    alive(server, "websocket_frames")
