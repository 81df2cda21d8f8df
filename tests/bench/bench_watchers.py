"""Many WebSocket watchers of one active call: what an idle one costs the gateway, what one event to all of them costs beside a bare loop of send(2), and what
those cost that read nothing."""

import base64
import os
import resource
import selectors
import socket
import subprocess
import sys
import threading
import time
import uuid
from datetime import datetime, timezone
from pathlib import Path

from measure import PRESET, ROOT, finish, heading, info, memory, platform, process_cpu, socket_memory_kb, verdict, wait_until

WATCHERS = int(os.environ.get("DIALPLANE_BENCH_WATCHERS", "10000"))
WARM_UP = 50
EVENTS = 20
LIMIT_KB = 1
LIMIT_CPU = 1.2  # times a bare send loop
STALLED = 200
LIMIT_STALLED_MB = 32
PATIENCE = 120  # seconds for what takes a moment on a machine of one's own
OTHER_SOCKETS = 500  # of this process and of the gateway's, beside the watchers


def event(seq, **what):
    return {"seq": seq, "occurred_at": datetime.now(timezone.utc).isoformat().replace("+00:00", "Z"), **what}


class Watcher:
    """A WebSocket as small as a client can be: the handshake, then it counts frames."""

    def __init__(self, owned, path):
        self.socket = socket.create_connection(("127.0.0.1", owned.port), timeout=PATIENCE)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET {path} HTTP/1.1\r\nHost: {owned.http}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n").encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self.more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 101"), head
        self.frames = self.bytes = 0
        while self.count() == 0:
            self.more()  # the first message: init

    def more(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise EOFError("the gateway closed a watcher")
        self.buffer += piece

    def count(self):
        """Takes the whole frames out of the buffer: text of less than 64 KB, from a server, unmasked."""
        while len(self.buffer) >= 4:
            size = self.buffer[1]
            size, at = (int.from_bytes(self.buffer[2:4], "big"), 4) if size == 126 else (size, 2)
            if len(self.buffer) < at + size:
                break
            if self.buffer[0] == 0x81:  # not the protocol's pings
                self.frames += 1
                self.bytes += at + size
            self.buffer = self.buffer[at + size:]
        return self.frames


def bare_send(count, size, rounds):
    """CPU microseconds a send(2) of `size` bytes to each of `count` sockets, as often as it is asked; the readers are this process, as for the gateway."""
    sender = subprocess.Popen([str(ROOT / "build" / PRESET / "bin" / "bench_bare_send"), str(count), str(size)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    port = int(sender.stdout.readline())
    sockets, selector, got = [], selectors.DefaultSelector(), 0
    for _ in range(count):
        sockets.append(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
        selector.register(sockets[-1], selectors.EVENT_READ)
    for number in range(rounds):
        sender.stdin.write("s")
        sender.stdin.flush()
        while got < (number + 1) * count * size:
            ready = selector.select(PATIENCE)
            assert ready, f"nothing came for {PATIENCE} s"
            for key, _ in ready:
                got += len(key.fileobj.recv(65536))
    output, _ = sender.communicate(timeout=PATIENCE)
    for one in sockets:
        one.close()
    return int(output) / (count * rounds)


class Stalled:
    """A WebSocket that reads nothing after the handshake."""

    def __init__(self, owned, path):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", owned.port))
        self.socket.sendall((f"GET {path} HTTP/1.1\r\nHost: {owned.http}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode())
        assert self.socket.recv(12) == b"HTTP/1.1 101"


def stalled(api, owned, new_call):
    """STALLED sockets read nothing while 4 MB are said to 100 that do: the most that the gateway grows, and whether the others get all."""
    call, path = new_call()
    pid = owned.pid("dialplane-gateway")
    quick = [Watcher(owned, path) for _ in range(100)]
    settle(owned)
    before, most, over = memory(pid)[0], 0, threading.Event()
    sockets = [Stalled(owned, path) for _ in range(STALLED)]

    def look():
        nonlocal most
        while not over.wait(0.02):
            most = max(most, memory(pid)[0])
    looking = threading.Thread(target=look)
    looking.start()
    turns, began = 200, time.monotonic()
    for first in range(2, turns + 2, 10):
        batch = [event(seq, turn={"turn_index": seq - 2, "role": "assistant", "content": "y" * 20000}) for seq in range(first, first + 10)]
        api.ok("POST", f"/api/analytics/calls/{call}/events", json={"events": batch})
        for watcher in quick:
            while watcher.bytes < 20000 * (first + 8):
                watcher.more()
                watcher.count()
    took = time.monotonic() - began
    cut = lambda: [line for line in api.get("/metrics").text.splitlines() if line.startswith("dialplane_watchers_cut_total ")][0].split()[1]
    wait_until(lambda: float(cut()) >= STALLED, PATIENCE, "the end of those that read nothing")
    over.set()
    looking.join()
    info(f"for information: {turns} turns of 20 KB reached each of {len(quick)} others in {took:.1f} s while {STALLED} read nothing; those were closed")
    verdict(f"gateway's growth by {STALLED} stalled watchers", (most - before) / 1024, " MB", LIMIT_STALLED_MB)
    for one in sockets:
        one.socket.close()
    for watcher in quick:
        watcher.socket.close()


def settle(owned):
    """Waits until the gateway has nothing to do, so that what it holds is what an idle watcher costs."""
    pid = owned.pid("dialplane-gateway")
    before = -1.0
    while (now := process_cpu(pid)) != before:
        before = now
        time.sleep(1)


def sizes(owned):
    settle(owned)
    rss, pss = memory(owned.pid("dialplane-gateway"))
    return {"RSS": rss, "PSS": pss, "analytics RSS": memory(owned.pid("dialplane-analytics"))[0], "TCP": socket_memory_kb()}


def deliver(api, owned, call, watchers):
    """Reports EVENTS turns, each when every watcher has the one before; gives CPU seconds of gateway and analytics."""
    selector = selectors.DefaultSelector()
    for watcher in watchers:
        watcher.socket.setblocking(False)
        selector.register(watcher.socket, selectors.EVENT_READ, watcher)
    pids = [owned.pid("dialplane-gateway"), owned.pid("dialplane-analytics")]
    before = [process_cpu(pid) for pid in pids]
    expected = [watcher.frames for watcher in watchers]
    delivered, messages = 0, None
    for number in range(EVENTS):
        turn = {"turn_index": number, "role": "assistant", "content": "One moment, I am looking at the calendar.", "eou_latency": 400}
        api.ok("POST", f"/api/analytics/calls/{call}/events", json={"events": [event(number + 2, turn=turn)]})
        quiet_until = time.monotonic() + PATIENCE
        while time.monotonic() < quiet_until:
            ready = selector.select(0.05 if messages is None else 10)
            for key, _ in ready:
                key.data.more()
                key.data.count()
            counts = [w.frames - e for w, e in zip(watchers, expected)]
            if min(counts) == max(counts) and counts[0] > 0 and (not ready if messages is None else counts[0] >= messages):
                break
        counts = {w.frames - e for w, e in zip(watchers, expected)}
        assert len(counts) == 1, f"watchers have got different numbers of messages: {counts}"
        if messages is None:
            messages = counts.pop()  # one event is one turn, and perhaps the running totals after it
        delivered += messages * len(watchers)
        expected = [watcher.frames for watcher in watchers]
    selector.close()
    return [process_cpu(pid) - b for pid, b in zip(pids, before)], delivered, messages


def main():
    heading(f"watchers: {WATCHERS} WebSockets of one call")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))  # the gateway inherits it
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    room = min(limit, last - first + 1) - OTHER_SOCKETS - WARM_UP
    if room < WATCHERS:
        sys.exit(f"this machine has room for {room} sockets of a process (ulimit -Hn {limit}, ports {first} to {last}): DIALPLANE_BENCH_WATCHERS={max(room, 0)} takes fewer watchers")
    with platform() as (owned, api):
        company = api.company()
        skillbase = api.skillbase(company)

        def new_call():
            call = str(uuid.uuid4())
            api.ok("POST", f"/api/analytics/calls/{call}/events",
                   json={"events": [event(1, started={"company_id": company["id"], "skillbase_id": skillbase["id"]})]})
            return call, f"/api/analytics/ws/calls/{call}"
        call, path = new_call()
        # What the first sockets make once (the stream to analytics, the allocator's arenas, the tables) is not a watcher's cost.
        watchers = [Watcher(owned, path) for _ in range(WARM_UP)]
        before = sizes(owned)
        watchers += [Watcher(owned, path) for _ in range(WATCHERS)]
        after = sizes(owned)
        growth = {name: (after[name] - before[name]) / WATCHERS for name in before}
        info(f"for information: a watcher costs analytics {growth['analytics RSS']:.2f} KB and the kernel's TCP buffers {growth['TCP']:.2f} KB")
        verdict("gateway's PSS a watcher", growth["PSS"], " KB", LIMIT_KB)
        verdict("gateway's RSS a watcher", growth["RSS"], " KB", LIMIT_KB)

        received = watchers[0].bytes
        (gateway, analytics), delivered, messages = deliver(api, owned, call, watchers)
        size = (watchers[0].bytes - received) // (EVENTS * messages)
        info(f"for information: {EVENTS} events to {len(watchers)} watchers ({messages} messages each, {size} bytes): gateway {gateway * 1e6 / delivered:.2f} "
             f"CPU µs a message delivered, analytics {analytics * 1e6 / EVENTS:.0f} CPU µs an event")
        used = {"after": memory(owned.pid("dialplane-gateway"))[0]}
        info(f"for information: gateway's RSS after the deliveries {used['after'] / 1024:.1f} MB")
        for watcher in watchers:
            watcher.socket.close()
        wait_until(lambda: api.get("/healthz").status_code == 200)
        bare = bare_send(len(watchers), size, EVENTS * messages)
        info(f"for information: a bare loop of send(2) takes {bare:.2f} CPU µs a message")
        verdict("gateway's CPU a message / a bare send loop's", gateway * 1e6 / delivered / bare, "", LIMIT_CPU)
        stalled(api, owned, new_call)
    finish()


main()
