"""Many idle WebSocket watchers of one active call: what each costs the gateway, and what one event to all of them costs."""

import base64
import os
import selectors
import socket
import time
import uuid
from datetime import datetime, timezone

from measure import finish, heading, info, memory, platform, process_cpu, socket_memory_kb, verdict, wait_until

WATCHERS = 1000
WARM_UP = 50
EVENTS = 50
LIMIT_KB = 4


def event(seq, **what):
    return {"seq": seq, "occurred_at": datetime.now(timezone.utc).isoformat().replace("+00:00", "Z"), **what}


class Watcher:
    """A WebSocket as small as a client can be: the handshake, then it counts frames."""

    def __init__(self, owned, path):
        self.socket = socket.create_connection(("127.0.0.1", owned.port), timeout=10)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET {path} HTTP/1.1\r\nHost: {owned.http}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n").encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self.more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 101"), head
        self.frames = 0
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
            self.buffer = self.buffer[at + size:]
        return self.frames


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
        quiet_until = time.monotonic() + 30
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
    with platform() as (owned, api):
        company = api.company()
        skillbase = api.skillbase(company)
        call = str(uuid.uuid4())
        api.ok("POST", f"/api/analytics/calls/{call}/events",
               json={"events": [event(1, started={"company_id": company["id"], "skillbase_id": skillbase["id"]})]})
        path = f"/api/analytics/ws/calls/{call}"
        # What the first sockets make once (the stream to analytics, the allocator's arenas, the tables) is not a watcher's cost.
        watchers = [Watcher(owned, path) for _ in range(WARM_UP)]
        before = sizes(owned)
        watchers += [Watcher(owned, path) for _ in range(WATCHERS)]
        after = sizes(owned)
        growth = {name: (after[name] - before[name]) / WATCHERS for name in before}
        info(f"for information: a watcher costs analytics {growth['analytics RSS']:.2f} KB and the kernel's TCP buffers {growth['TCP']:.2f} KB")
        verdict("gateway's PSS a watcher", growth["PSS"], " KB", LIMIT_KB)
        verdict("gateway's RSS a watcher", growth["RSS"], " KB", LIMIT_KB)

        (gateway, analytics), delivered, messages = deliver(api, owned, call, watchers)
        info(f"for information: {EVENTS} events to {len(watchers)} watchers ({messages} messages each): gateway {gateway * 1e6 / delivered:.2f} "
             f"CPU µs a message delivered, analytics {analytics * 1e6 / EVENTS:.0f} CPU µs an event")
        used = {"after": memory(owned.pid("dialplane-gateway"))[0]}
        info(f"for information: gateway's RSS after the deliveries {used['after'] / 1024:.1f} MB")
        for watcher in watchers:
            watcher.socket.close()
        wait_until(lambda: api.get("/healthz").status_code == 200)
    finish()


main()
