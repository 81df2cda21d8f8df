"""HTTP/2 by prior knowledge: curl, httpx, and frames by hand (the h2 package) for what good clients do not do."""
import json
import shutil
import socket
import struct
import subprocess
import time

import h2.config
import h2.connection
import h2.events
import h2.settings
import httpx
import pytest
from conftest import read_all

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS = [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/hello")]


class Client:
    """One connection with the h2 package, lenient about what it sends."""

    def __init__(self, server, timeout=5, window=None):
        self.socket = server.connect(timeout)
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8", validate_outbound_headers=False,
                                           normalize_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        self.auto_window = window is None
        self.streams = {}
        self.goaway = None
        self.closed = False
        self.h2.initiate_connection()
        if window is not None:
            self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.flush()
        while window is not None and self.h2.local_settings.initial_window_size != window:
            self.pump()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def request(self, headers, body=None, end=True):
        stream = self.h2.get_next_available_stream_id()
        self.streams[stream] = {"headers": [], "informational": [], "data": b"", "ended": False, "reset": None}
        self.h2.send_headers(stream, headers, end_stream=end and body is None)
        if body is not None:
            self.h2.send_data(stream, body, end_stream=end)
        self.flush()
        return stream

    def get(self, path="/hello", method="GET", extra=()):
        return self.request([(":method", method), (":scheme", "http"), (":authority", "localhost"), (":path", path), *extra])

    def pump(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            return
        for event in self.h2.receive_data(data):
            stream = self.streams.get(getattr(event, "stream_id", None))
            if isinstance(event, h2.events.ConnectionTerminated):
                self.goaway = int(event.error_code)
            elif stream is None:
                continue
            elif isinstance(event, h2.events.ResponseReceived):
                stream["headers"] = dict(event.headers)
            elif isinstance(event, h2.events.InformationalResponseReceived):
                stream["informational"].append(dict(event.headers))
            elif isinstance(event, h2.events.DataReceived):
                stream["data"] += event.data
                if self.auto_window and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                stream["ended"] = True
            elif isinstance(event, h2.events.StreamReset):
                stream["reset"] = int(event.error_code)
        try:
            self.flush()
        except OSError:
            self.closed = True

    def finish(self, stream):
        state = self.streams[stream]
        while not (state["ended"] or state["reset"] is not None or self.closed or self.goaway):
            self.pump()
        return state

    def until_closed(self):
        while not self.closed:
            self.pump()


def curl(server, *arguments, data=None):
    return subprocess.run(["curl", "-s", "--max-time", "20", "--http2-prior-knowledge", *arguments], input=data,
                          capture_output=True, check=True).stdout


def url(server, path):
    return f"http://127.0.0.1:{server.port}{path}"


def test_curl(server):
    assert curl(server, "-i", url(server, "/hello")).startswith(b"HTTP/2 200 \r\ndate: ")
    body = bytes(range(256)) * 20000
    assert curl(server, "--data-binary", "@-", url(server, "/echo"), data=body) == body
    assert curl(server, "--data-binary", "@-", url(server, "/collect"), data=body) == b"5120000\n"
    assert curl(server, url(server, "/big?size=3000000")) == b"b" * 3000000
    assert b"content-length: 6" in curl(server, "-I", url(server, "/hello"))
    assert curl(server, "-w", "%{http_code}", "--data-binary", "@-", url(server, "/early"), data=body).endswith(b"422")
    assert b"HTTP/2 204" in curl(server, "-i", url(server, "/none"))


def test_curl_upgrade_is_not_taken(server):
    answer = subprocess.run(["curl", "-si", "--http2", url(server, "/hello")], capture_output=True, check=True).stdout
    assert answer.startswith(b"HTTP/1.1 200 OK") and answer.endswith(b"hello\n")


def test_httpx(server):
    with httpx.Client(http1=False, http2=True) as client:
        for _ in range(3):
            answer = client.get(url(server, "/hello"))
            assert (answer.http_version, answer.status_code, answer.text) == ("HTTP/2", 200, "hello\n")
        answer = client.get(url(server, "/headers?a=b"), headers={"X-Test": "1"})
        assert answer.text.startswith(f"GET /headers ? a=b @ 127.0.0.1:{server.port}\n") and "x-test=1\n" in answer.text
        assert client.post(url(server, "/echo"), content=iter([b"a", b"bc"])).content == b"abc"


def test_many_streams(server):
    client = Client(server)
    slow = client.get("/late?ms=200")
    streams = [client.get(f"/headers?{i}") for i in range(100)]
    for i, stream in enumerate(streams):
        assert f"? {i} @" in client.finish(stream)["data"].decode()
    assert not client.streams[slow]["ended"]
    assert client.finish(slow)["data"] == b"late\n"


def test_byte_by_byte(server):
    config = h2.config.H2Configuration(client_side=True)
    connection = h2.connection.H2Connection(config)
    connection.initiate_connection()
    connection.send_headers(1, [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", "/collect")])
    connection.send_data(1, b"hello", end_stream=True)
    data = connection.data_to_send()
    with server.connect() as plain:
        for i in range(len(data)):
            plain.send(data[i:i + 1])
        answer = b""
        while b"5\n" not in answer:
            answer += plain.recv(1000)


REJECTED = {
    "no slash": ([(":path", "hello")], 400),
    "fragment": ([(":path", "/hello#x")], 400),
    "asterisk": ([(":path", "*")], 400),
    "absolute": ([(":path", "http://x/hello")], 400),
    "bad authority": ([(":path", "/hello"), (":authority", "a/b")], 400),
    "host differs": ([(":path", "/hello"), ("host", "other")], 400),
    "expectation": ([(":path", "/hello"), ("expect", "tea")], 417),
    "long target": ([(":path", "/" + "a" * 9000)], 414),
    "many headers": ([(":path", "/hello")] + [(f"x-{i}", "v") for i in range(120)], 431),
    "large headers": ([(":path", "/hello")] + [(f"x-{i}", "v" * 3000) for i in range(12)], 431),
}


def with_defaults(headers):
    given = {name for name, _ in headers}
    rest = [(n, v) for n, v in ((":method", "GET"), (":scheme", "http"), (":authority", "localhost")) if n not in given]
    pseudo = [h for h in headers if h[0].startswith(":")]
    return rest + pseudo + [h for h in headers if not h[0].startswith(":")]


@pytest.mark.parametrize("name", REJECTED)
def test_rejected(server, name):
    headers, status = REJECTED[name]
    client = Client(server)
    state = client.finish(client.request(with_defaults(headers)))
    if state["reset"] is not None:  # what nghttp2 refuses by itself
        assert state["reset"] == 1
    else:
        assert state["headers"][":status"] == str(status), state
        assert json.loads(state["data"])["status"] == status
        assert state["headers"]["content-type"] == "application/problem+json"
    assert client.finish(client.get())["data"] == b"hello\n"  # the connection lives


MALFORMED = {
    "connection header": [(":path", "/hello"), ("connection", "close")],
    "transfer-encoding": [(":path", "/hello"), ("transfer-encoding", "chunked")],
    "upper-case name": [(":path", "/hello"), ("X-Upper", "a")],
    "no path": [],
    "two paths": [(":path", "/a"), (":path", "/b")],
    "unknown pseudo": [(":path", "/hello"), (":what", "x")],
    "two lengths": [(":path", "/hello"), ("content-length", "1"), ("content-length", "1")],
    "line end in a value": [(":path", "/hello"), ("x-a", "a\r\nb: c")],
    "length without a body": [(":path", "/hello"), ("content-length", "5")],
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(server, name):
    before = server.stats()["requests"]
    client = Client(server)
    state = client.finish(client.request(with_defaults(MALFORMED[name])))
    assert state["reset"] == 1, state  # PROTOCOL_ERROR
    client.socket.close()
    assert server.stats()["requests"] <= before + 2


def test_connect_is_refused(server):
    client = Client(server)
    state = client.finish(client.request([(":method", "CONNECT"), (":authority", "x:80")]))
    assert state["headers"][":status"] == "501"


def test_options_asterisk(server):
    client = Client(server)
    state = client.finish(client.get("*", "OPTIONS"))
    assert state["headers"][":status"] == "204" and "GET" in state["headers"]["allow"]


def test_expect_continue(server):
    client = Client(server)
    stream = client.request([*HEADERS[1:3], (":method", "POST"), (":path", "/collect"), ("expect", "100-continue")], end=False)
    state = client.streams[stream]
    while not state["informational"]:
        client.pump()
    assert state["informational"][0][":status"] == "100"
    client.h2.send_data(stream, b"abc", end_stream=True)
    client.flush()
    assert client.finish(stream)["data"] == b"3\n"


def test_trailers_are_ignored(server):
    client = Client(server)
    stream = client.request([*HEADERS[1:3], (":method", "POST"), (":path", "/collect")], body=b"abc", end=False)
    client.h2.send_headers(stream, [("x-trailer", "t")], end_stream=True)
    client.flush()
    assert client.finish(stream)["data"] == b"3\n"


def test_early_answer_resets_the_upload(server):
    client = Client(server)
    stream = client.request([*HEADERS[1:3], (":method", "POST"), (":path", "/early")], body=b"x" * 1000, end=False)
    state = client.streams[stream]
    while state["reset"] is None:
        client.pump()
    assert state["headers"][":status"] == "422" and state["data"] == b"not reading that\n" and state["reset"] == 0


def test_too_large(server):
    client = Client(server)
    stream = client.request([*HEADERS[1:3], (":method", "POST"), (":path", "/limited")], body=b"x" * 1001)
    assert client.finish(stream)["headers"][":status"] == "413"
    stream = client.request([*HEADERS[1:3], (":method", "POST"), (":path", "/limited"), ("content-length", "1001")], body=b"x" * 1001)
    assert client.finish(stream)["headers"][":status"] == "413"


def test_aborted_answer(server):
    client = Client(server)
    state = client.finish(client.get("/stream?n=3&size=4&abort=1"))
    assert state["reset"] == 2 and not state["ended"]


def test_reset_by_client(server):
    before = server.stats()["gone"]
    client = Client(server)
    stream = client.get("/late?ms=60000")
    time.sleep(0.05)
    client.h2.reset_stream(stream)
    client.flush()
    time.sleep(0.05)
    assert server.stats()["gone"] == before + 1
    client.get("/late?ms=60000")
    client.get("/stream?n=100000&ms=5")
    time.sleep(0.05)
    client.socket.close()
    time.sleep(0.05)
    stats = server.stats()
    assert stats["gone"] == before + 3 and stats["exchanges"] == 1


def test_upload_back_pressure(server):
    """A body that is not taken holds back its stream, and nobody else."""
    client = Client(server)
    slow = client.request([*HEADERS[1:3], (":method", "POST"), (":path", "/collect?ms=100000")], end=False)
    sent = 0
    deadline = time.monotonic() + 0.5
    client.socket.settimeout(0.1)
    while time.monotonic() < deadline:
        window = min(client.h2.local_flow_control_window(slow), 16384)
        if window:
            client.h2.send_data(slow, b"x" * window)
            client.flush()
            sent += window
        else:
            try:
                client.pump()
            except socket.timeout:
                pass
    assert 65535 <= sent <= 3 * 65535
    client.socket.settimeout(5)
    fast = client.request([*HEADERS[1:3], (":method", "POST"), (":path", "/collect")], end=False)
    left = 1000000
    while left:
        window = min(client.h2.local_flow_control_window(fast), 16384, left)
        if window:
            client.h2.send_data(fast, b"y" * window, end_stream=window == left)
            client.flush()
            left -= window
        else:
            client.pump()
    assert client.finish(fast)["data"] == b"1000000\n"
    client.socket.close()


def test_download_back_pressure(server):
    """A client that opens no window: the writer stops, others go on."""
    client = Client(server, window=1000)
    stalled = client.get("/stream?n=1000&size=10000")
    time.sleep(0.3)
    stats = server.stats()
    assert stats["most_waiting"] < 200000
    assert client.finish(client.get())["data"] == b"hello\n"
    assert len(client.streams[stalled]["data"]) == 1000
    client.h2.increment_flow_control_window(20000000)
    client.h2.increment_flow_control_window(20000000, stalled)
    client.flush()
    assert len(client.finish(stalled)["data"]) == 10000000
    client.socket.close()


def test_stalled_reader_is_cut(start):
    server = start(write_idle_us=400000)
    client = Client(server, window=1000)
    client.get("/stream?n=1000&size=10000")
    begin = time.monotonic()
    client.until_closed()
    assert 0.3 < time.monotonic() - begin < 4
    assert server.stats()["gone"] == 1


def test_body_time_limit(start):
    server = start(body_idle_us=300000)
    client = Client(server)
    stream = client.request([*HEADERS[1:3], (":method", "POST"), (":path", "/collect")], body=b"abc", end=False)
    state = client.finish(stream)
    assert state["headers"][":status"] == "408"
    assert client.finish(client.get())["data"] == b"hello\n"
    assert server.stats()["gone"] == 1


def test_idle_and_header_time_limits(start):
    server = start(keep_alive_us=300000, header_timeout_us=300000)
    client = Client(server)
    assert client.finish(client.get())["data"] == b"hello\n"
    begin = time.monotonic()
    client.until_closed()
    assert client.goaway == 0 and 0.2 < time.monotonic() - begin < 4
    # Half a header block: HEADERS without END_HEADERS, and silence.
    with server.connect() as plain:
        plain.sendall(PREFACE + b"\0\0\0\4\0\0\0\0\0" + b"\0\0\1\1\0\0\0\0\1\x82")
        begin = time.monotonic()
        read_all(plain)
        assert time.monotonic() - begin < 4


def test_too_many_streams(start):
    server = start(streams=5)
    client = Client(server)
    assert client.finish(client.get())["data"] == b"hello\n"
    client.h2.remote_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = 100
    client.h2.remote_settings.acknowledge()
    for _ in range(10):
        client.get("/late?ms=300")
    client.until_closed()
    assert client.goaway == 1  # it had acknowledged the limit: PROTOCOL_ERROR
    assert server.stats()["requests"] <= 1 + 5 + 1


def test_rapid_reset(start):
    server = start(resets_per_second=50)
    client = Client(server)
    for _ in range(60):
        try:
            client.h2.reset_stream(client.get("/late?ms=60000"))
            client.flush()
        except OSError:
            break
    client.until_closed()
    assert client.goaway == 11  # ENHANCE_YOUR_CALM
    time.sleep(0.1)
    assert server.stats()["exchanges"] == 1


def test_continuation_flood(server):
    before = server.stats()
    with server.connect() as plain:
        plain.sendall(PREFACE + b"\0\0\0\4\0\0\0\0\0" + b"\0\0\1\1\0\0\0\0\1\x82")
        try:
            for _ in range(100000):
                plain.sendall(b"\0\0\0\x09\0\0\0\0\1" * 100)
        except OSError:
            pass
        read_all(plain)
    assert server.stats()["requests"] == before["requests"] + 1


def test_header_bomb(server):
    """HPACK lets a few bytes stand for a large field again and again."""
    client = Client(server)
    # With indexing, so that each repetition is one byte.
    stream = client.request(with_defaults([(":path", "/hello")] + [("x-bomb", "v" * 3900)] * 90))
    state = client.finish(stream)
    assert state["reset"] is not None or client.goaway or state["headers"][":status"] == "431"


def test_garbage_after_the_preface(server):
    with server.connect() as plain:
        plain.sendall(PREFACE + b"this is not a frame at all, is it? " * 20)
        answer = read_all(plain)
    assert b"\x07" in answer  # GOAWAY


def test_ping_flood_is_bounded(server):
    """Pings whose answers are not read."""
    with server.connect() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 5000)
        plain.settimeout(1)
        plain.sendall(PREFACE + b"\0\0\0\4\0\0\0\0\0")
        ping = b"\0\0\x08\6\0\0\0\0\0abcdefgh" * 1000
        try:
            for _ in range(2000):
                plain.sendall(ping)
        except OSError:
            pass
    time.sleep(0.2)
    assert server.stats()["connections"] <= 2


def test_graceful_stop(start):
    server = start()
    waiting = subprocess.Popen(["curl", "-s", "--http2-prior-knowledge", url(server, "/late?ms=400"), url(server, "/hello")],
                               stdout=subprocess.PIPE)
    idle = Client(server)
    assert idle.finish(idle.get())["data"] == b"hello\n"
    time.sleep(0.2)
    server.process.terminate()
    idle.until_closed()
    assert idle.goaway == 0
    assert waiting.communicate(timeout=5)[0] == b"late\n"
    assert server.process.wait(5) == 0
