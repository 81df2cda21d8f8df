"""Watchers of different speeds: the service is held back for the quickest, who falls behind goes on alone, and who takes nothing is cut."""
import json
import re
import socket
import threading
import time

import pytest

from fakes import FakeService, Gateway
from test_live import EVENTS, SOCKET, Call

EVENT = "x" * 4000


class Reader:
    """Reads as much as it is told to, through a small receive buffer: what it does not read waits in the gateway."""

    def __init__(self, gateway, form, after=0):
        self.form, self.data, self.over = form, b"", False
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", gateway.port))
        self.socket.settimeout(60)
        path = (SOCKET if form == "websocket" else EVENTS) + f"?after_seq={after}"
        extra = {"websocket": "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                 "lines": "Accept: application/x-ndjson\r\n", "events": "Accept: text/event-stream\r\n"}[form]
        # HTTP/1.0: no chunks to take apart; the end of the connection is the end of the stream.
        self.socket.sendall(f"GET {path} HTTP/1.{1 if form == 'websocket' else 0}\r\nHost: {gateway.url[7:]}\r\n{extra}\r\n".encode())
        while b"\r\n\r\n" not in self.data:
            self.read(1024)
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        assert b" 101 " in head or b" 200 " in head, head

    def read(self, size=4096):
        try:
            piece = self.socket.recv(size)
        except ConnectionResetError:
            piece = b""
        self.over = self.over or not piece
        self.data += piece

    def read_all(self, pause=0.0):
        while not self.over and not (self.form == "websocket" and self.close_code()):
            self.read()
            if pause:
                time.sleep(pause)
        self.socket.close()

    def messages(self):
        if self.form == "websocket":
            return [json.loads(payload) for opcode, payload in frames(self.data) if opcode == 1]
        lines = self.data.split(b"\n")[:-1]
        if self.form == "events":
            lines = [line[6:] for line in lines if line.startswith(b"data: ")]
        return [json.loads(line) for line in lines]

    def close_code(self):
        if b"\x88" not in self.data[-200:]:
            return None
        codes = [int.from_bytes(payload[:2], "big") for opcode, payload in frames(self.data) if opcode == 8]
        return codes[0] if codes else None


def frames(data):
    """(opcode, payload) of whole unmasked frames."""
    at = 0
    while at + 2 <= len(data):
        opcode, length, at = data[at] & 15, data[at + 1] & 127, at + 2
        if length >= 126:
            size = 2 if length == 126 else 8
            length, at = int.from_bytes(data[at:at + size], "big"), at + size
        if at + length > len(data):
            return
        yield opcode, data[at:at + length]
        at += length


def figure(gateway, name):
    return float(re.search(rf"^{name} (\S+)$", gateway.request("GET", "/metrics").text, re.M)[1])


def wait_until(condition, what):
    until = time.monotonic() + 60
    while not (value := condition()):
        assert time.monotonic() < until, f"{what} did not come about"
        time.sleep(0.02)
    return value


def wait_until_still(value):
    """What value() is when it has not changed for half a second."""
    seen, since = value(), time.monotonic()
    while not seen or time.monotonic() - since < 0.5:
        time.sleep(0.05)
        if value() != seen:
            seen, since = value(), time.monotonic()
    return seen


class Counted(Call):
    """A call that counts what was taken from it, of all its streams."""
    taken = 0

    def watch(self, request, context):
        for message in super().watch(request, context):
            self.taken += 1
            yield message


@pytest.fixture
def start(protos):
    parts = []

    def start(*flags):
        service = FakeService(protos)
        gateway = Gateway(service, "--threads", "1", *flags)
        call = Counted(service, protos)
        parts.append((call, gateway, service))
        return gateway, call
    yield start
    for call, gateway, service in parts:
        call.end()
        gateway.stop()
        service.stop()


def check_whole(reader, count):
    messages = reader.messages()
    assert [m["type"] for m in messages] == ["init"] + ["turn"] * count
    assert [m["seq"] for m in messages] == list(range(count + 1))


@pytest.mark.parametrize("form", ["websocket", "lines", "events"])
def test_the_service_is_held_back_for_a_watcher_that_is_slower(start, form):
    """A long past comes faster than it is read: it waits in the service, and everything arrives."""
    gateway, call = start("--live-stall", "5m", "--live-buffer", "64KB")
    count = 2500
    call.emit(count, EVENT)
    call.end()
    reader = Reader(gateway, form)
    assert wait_until_still(lambda: call.taken) < count
    reader.read_all()
    check_whole(reader, count)
    assert call.streams == 1 and figure(gateway, "dialplane_watchers_cut_total") == 0


@pytest.mark.parametrize("form", ["websocket", "lines"])
def test_who_falls_behind_a_quicker_one_goes_on_alone(start, form):
    gateway, call = start("--live-stall", "5m", "--live-buffer", "64KB")
    slow, quick = Reader(gateway, form), Reader(gateway, form)
    count = 2500
    call.emit(count, EVENT)
    call.end()
    quick.read_all()  # which the slow one, that reads nothing yet, does not delay
    check_whole(quick, count)
    assert figure(gateway, "dialplane_watchers_behind") == 1 and call.streams == 1
    slow.read_all()
    check_whole(slow, count)
    assert call.streams == 2 and figure(gateway, "dialplane_watchers_behind") == 0
    assert figure(gateway, "dialplane_watchers_resumed_total") == 1


def test_many_that_read_steadily_at_speeds_of_their_own(start):
    gateway, call = start("--live-stall", "5m", "--live-buffer", "64KB")
    readers = [Reader(gateway, form) for form in ("websocket", "lines", "events") * 3]
    threads = [threading.Thread(target=reader.read_all, args=(0.0003 * i,)) for i, reader in enumerate(readers)]
    for thread in threads:
        thread.start()
    count = 600
    for _ in range(count // 50):
        call.emit(50, EVENT)
        time.sleep(0.01)
    call.end()
    for thread in threads:
        thread.join(60)
    for reader in readers:
        check_whole(reader, count)


@pytest.mark.parametrize("form", ["websocket", "lines"])
def test_who_takes_nothing_is_cut(start, form):
    """Alone, holding back the service, or waiting behind a quicker one: bounded in time."""
    gateway, call = start("--live-stall", "500ms", "--live-buffer", "64KB")
    count = 2500
    call.emit(count, EVENT)
    alone = Reader(gateway, form)
    wait_until(lambda: figure(gateway, "dialplane_watchers_cut_total") == 1, "the first cut")
    stalled, quick = Reader(gateway, form), Reader(gateway, "websocket")
    call.end()
    quick.read_all()
    check_whole(quick, count)
    wait_until(lambda: figure(gateway, "dialplane_watchers_cut_total") == 2, "the second cut")
    for reader in (alone, stalled):
        reader.read_all()
        seqs = [m["seq"] for m in reader.messages()]
        assert seqs == list(range(len(seqs))) and len(seqs) < count
        assert form != "websocket" or reader.close_code() in (1013, None)  # None: it did not get as far as that in two seconds
    wait_until(lambda: figure(gateway, "dialplane_watchers") == 0, "no watchers")


def test_too_many_behind_are_cut_at_once(start):
    gateway, call = start("--live-stall", "5m", "--live-buffer", "64KB", "--live-behind", "2")
    slow = [Reader(gateway, "websocket") for _ in range(5)]
    quick = Reader(gateway, "websocket")
    call.emit(2500, EVENT)
    call.end()
    quick.read_all()
    check_whole(quick, 2500)
    wait_until(lambda: figure(gateway, "dialplane_watchers_cut_total") == 3, "three cut")
    whole = 0
    for reader in slow:
        reader.read_all()
        whole += len(reader.messages()) == 2501
    assert whole == 2
