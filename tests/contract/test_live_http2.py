"""A call watched by WebSocket over HTTP/2 (RFC 8441): the same messages as over HTTP/1.1, several calls on one connection."""

import json
import socket

import h2.config
import h2.connection
import h2.events

from agents import finished, new_id, report, started, turn
from clients import NOBODY
from conftest import wait_until
from test_live import frames, path, watching


class Connection:
    def __init__(self, platform):
        self.host = platform.http
        self.socket = socket.create_connection(("127.0.0.1", platform.port), timeout=60)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8", validate_outbound_headers=False,
                                                                       normalize_outbound_headers=False))
        self.h2.initiate_connection()
        self.status, self.data, self.ended = {}, {}, set()
        self.flush()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def connect(self, where, **headers):
        stream = self.h2.get_next_available_stream_id()
        self.data[stream] = b""
        self.h2.send_headers(stream, [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", self.host), (":path", where),
                                      ("sec-websocket-version", "13"), *headers.items()])
        self.flush()
        self.until(lambda: stream in self.status)
        return stream

    def until(self, condition):
        while not condition():
            data = self.socket.recv(65536)
            assert data, "the connection was closed"
            for event in self.h2.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    self.status[event.stream_id] = dict(event.headers)[":status"]
                elif isinstance(event, h2.events.DataReceived):
                    self.data[event.stream_id] += event.data
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                    self.ended.add(event.stream_id)
            self.flush()

    def messages(self, stream):
        return [json.loads(payload) for opcode, payload in frames(self.data[stream]) if opcode == 1]

    def code(self, stream):
        return next((int.from_bytes(payload[:2], "big") for opcode, payload in frames(self.data[stream]) if opcode == 8), None)


def test_two_calls_on_one_connection(platform, api):
    company, calls = api.company(), [new_id(), new_id()]
    for call in calls:
        report(api, call, [started(company), turn(2, 0, 1)])
    wait_until(lambda: watching(platform) == 0, what="no watchers")
    connection = Connection(platform)
    streams = [connection.connect(path(call, websocket=True)) for call in calls]
    assert [connection.status[s] for s in streams] == ["200", "200"]
    for stream, call in zip(streams, calls):
        connection.until(lambda: len(connection.messages(stream)) == 3)
        assert [m["type"] for m in connection.messages(stream)] == ["init", "turn", "metrics"]
        assert connection.messages(stream)[0]["data"]["call_id"] == call
    report(api, calls[0], [turn(3, 1, 2), finished(4, 3, outcome="success")])
    connection.until(lambda: connection.code(streams[0]))
    assert connection.code(streams[0]) == 1000 and connection.code(streams[1]) is None
    assert [m["seq"] for m in connection.messages(streams[0]) if m["type"] in ("turn", "status")] == [2, 3, 4]
    resumed = connection.connect(path(calls[0], 3, websocket=True))
    connection.until(lambda: connection.code(resumed))
    assert [(m["type"], m["seq"]) for m in connection.messages(resumed) if m["type"] != "metrics"] == [("init", 3), ("status", 4)]
    connection.h2.reset_stream(streams[1])
    connection.flush()
    wait_until(lambda: watching(platform) == 0, what="the release of the watchers")
    connection.socket.close()


def test_long_calls_with_small_windows(platform, api):
    """HTTP/2's flow control is the back-pressure: 64 KB a stream, and everything arrives."""
    company, call, count = api.company(), new_id(), 1500
    report(api, call, [started(company)])
    for first in range(2, count + 2, 500):
        report(api, call, [turn(seq, seq - 2, seq, content="x" * 1000) for seq in range(first, first + 500)])
    report(api, call, [finished(count + 2, count + 2)])
    connection = Connection(platform)
    streams = [connection.connect(path(call, websocket=True)) for _ in range(3)]
    for stream in streams:
        connection.until(lambda: b"the stream has ended" in connection.data[stream][-200:])
    for stream in streams:
        assert connection.code(stream) == 1000
        assert [m["seq"] for m in connection.messages(stream) if m["type"] == "turn"] == list(range(2, count + 2))
    connection.socket.close()


def test_errors(platform, api):
    call = new_id()
    report(api, call, [started(api.company())])
    connection = Connection(platform)
    unknown = connection.connect(path(NOBODY, websocket=True))
    connection.until(lambda: connection.code(unknown))
    assert connection.messages(unknown) == [{"type": "error", "message": "Call not found"}] and connection.code(unknown) == 4404
    assert connection.status[connection.connect(path("x", websocket=True))] == "400"
    assert connection.status[connection.connect(path(call, websocket=True), origin="https://evil.example")] == "403"
    # What is no WebSocket must not look like one that was opened.
    assert connection.status[connection.connect("/api/companies")] == "501"
    assert connection.status[connection.connect("/healthz")] == "501"
    connection.socket.close()
