"""Watchers that read a long call slowly but steadily, over real sockets with small buffers: everything arrives."""

import json
import socket
import threading
import time

from agents import finished, new_id, report, started, turn
from test_live import frames, gauge, path

TURNS = 4000


class Reader:
    def __init__(self, url, call, websocket, pause):
        self.websocket, self.pause, self.data = websocket, pause, b""
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host = url.split("//")[1]
        self.socket.connect((host.split(":")[0], int(host.split(":")[1])))
        self.socket.settimeout(60)
        headers = ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                   if websocket else "Accept: application/x-ndjson\r\n")
        # HTTP/1.0: no chunks to take apart.
        self.socket.sendall(f"GET {path(call, websocket=websocket)} HTTP/1.{int(websocket)}\r\nHost: {host}\r\n{headers}\r\n".encode())
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while piece := self.socket.recv(4096):
            self.data += piece
            if self.websocket and self.data.endswith(b"the stream has ended"):
                break  # the close frame, with its reason
            time.sleep(self.pause)
        self.socket.close()

    def messages(self):
        body = self.data.split(b"\r\n\r\n", 1)[1]
        if self.websocket:
            assert [int.from_bytes(payload[:2], "big") for opcode, payload in frames(body) if opcode == 8] == [1000]
        return [json.loads(text) for text in ([payload for opcode, payload in frames(body) if opcode == 1] if self.websocket else body.splitlines())]


def test_slow_but_steady_gets_everything(api, spare_gateway):
    """The table is read faster than anybody here reads: the service is held back for the quickest, the others go on alone."""
    call = new_id()
    report(api, call, [started(api.company())])
    for first in range(2, TURNS + 2, 500):
        report(api, call, [turn(seq, seq - 2, seq, content="x" * 1000) for seq in range(first, first + 500)])
    report(api, call, [finished(TURNS + 2, TURNS + 2)])
    url = spare_gateway("--live-buffer", "64KB", "--live-stall", "5m")
    readers = [Reader(url, call, websocket, pause) for websocket in (True, False) for pause in (0, 0.0003, 0.001)]
    for reader in readers:
        reader.thread.join(120)
        assert not reader.thread.is_alive()
    for reader in readers:
        messages = reader.messages()
        assert [m["seq"] for m in messages if m["type"] == "turn"] == list(range(2, TURNS + 2))
        assert [m["type"] for m in messages].count("init") == 1 and messages[0]["type"] == "init"
        assert [m["type"] for m in messages[-2:]] == ["metrics", "status"]
    assert gauge(url, "dialplane_watchers_cut_total") == 0
