"""Watching a call: the same stream as WebSocket, server-sent events, lines of JSON and gRPC; joining late, resuming, slow clients, many clients."""

import asyncio
import json
import random
import socket
import threading
import time
import urllib.request

import grpc
import httpx
import pytest
import websockets

from agents import Rpc, figures, finished, new_id, random_call, report, same_figures, started, status, turn
from clients import NOBODY, Raw
from conftest import check_problem, wait_until

FORMS = ["websocket", "events", "lines", "grpc"]


@pytest.fixture(scope="module")
def company(api):
    return api.company()


@pytest.fixture
def analytics(stubs, platform):
    with Rpc(stubs, platform.analytics, "AnalyticsService") as rpc:
        yield rpc


def path(call, after=None, websocket=False):
    return f"/api/analytics/{'ws/calls/' + call if websocket else 'calls/' + call + '/events'}" + ("" if after is None else f"?after_seq={after}")


class Watcher:
    """Watches in a thread of its own; messages as {"type", "seq", "data"} of the contract, whatever the form."""

    def __init__(self, platform, analytics, call, form, after=None, headers=None):
        self.messages, self.end, self.stop = [], None, threading.Event()
        self.run = {"websocket": self._websocket, "events": self._events, "lines": self._lines, "grpc": self._grpc}[form]
        self.platform, self.analytics, self.call, self.after, self.headers = platform, analytics, call, after, headers or {}
        self.thread = threading.Thread(target=self._guarded, daemon=True)
        self.thread.start()

    def _guarded(self):
        try:
            self.run()
        except BaseException as error:  # noqa: BLE001 - shown by the test
            self.end = error

    def _websocket(self):
        async def watch():
            uri = f"ws://{self.platform.http}{path(self.call, self.after, True)}"
            async with websockets.connect(uri, extra_headers=self.headers, max_size=None) as ws:
                try:
                    while True:
                        self.messages.append(json.loads(await ws.recv()))
                        if self.stop.is_set():
                            return
                except websockets.ConnectionClosed:
                    self.end = ws.close_code
        asyncio.run(watch())

    def _http(self, accept):
        # An hour without a word is no error: the test bounds the time.
        with httpx.stream("GET", f"{self.platform.url}{path(self.call, self.after)}", headers={"Accept": accept, **self.headers}, timeout=3600) as answer:
            self.status, self.content_type = answer.status_code, answer.headers["content-type"]
            if answer.status_code != 200:
                answer.read()
                self.problem = check_problem(answer)
                self.end = answer.status_code
                return
            yield from answer.iter_lines()
        self.end = 1000

    def _events(self):
        event = {}
        for line in self._http("text/event-stream"):
            line = line.rstrip("\n")
            if not line:
                if "data" in event:
                    message = json.loads(event["data"])
                    assert int(event["id"]) == message["seq"] and event["event"] == message["type"]
                    self.messages.append(message)
                event = {}
                if self.stop.is_set():
                    return
            elif not line.startswith(":"):
                key, value = line.split(": ", 1)
                event[key] = value

    def _lines(self):
        for line in self._http("application/x-ndjson"):
            self.messages.append(json.loads(line))
            if self.stop.is_set():
                return

    def _grpc(self):
        stream = self.analytics.WatchCall({"call_id": self.call, "after_seq": self.after or 0}, timeout=3600)
        try:
            for message in stream:
                kind = message.WhichOneof("event")
                self.messages.append({"type": kind, "seq": message.seq, "message": message})
                if self.stop.is_set():
                    stream.cancel()
                    return
            self.end = 1000
        except grpc.RpcError as error:
            self.end = error.code()

    def wait_for(self, count):
        wait_until(lambda: len(self.messages) >= count or self.end, what=f"{count} messages")
        assert not isinstance(self.end, BaseException), self.end
        return self.messages

    def wait_for_end(self):
        wait_until(lambda: self.end, what="the end of the stream")
        self.thread.join(10)
        assert not isinstance(self.end, BaseException), self.end
        return self.end

    def kinds(self):
        return [(m["type"], m["seq"]) for m in self.messages if m["type"] != "metrics"]


def plain(message):
    """What a message says, in the contract's terms, from either side."""
    if "data" in message:
        return message["type"], message["seq"], message["data"]
    event = getattr(message["message"], message["type"])
    return message["type"], message["seq"], event


def check_stream(watcher, call, events, after=0, finished_call=True):
    """One whole stream: init, each event once and in order, running totals that are right, the end."""
    messages = watcher.messages
    kind, seq, init = plain(messages[0])
    assert (kind, seq) == ("init", after)
    assert (init["call_id"] if isinstance(init, dict) else init.call_id) == call
    expected = [("turn" if "turn" in e else "status", e["seq"]) for e in events if e["seq"] > after and "started" not in e]
    assert watcher.kinds()[1:] == expected
    turns = [e["turn"] for e in events if "turn" in e]
    for kind, seq, data in map(plain, messages[1:]):
        if kind == "turn":
            said = next(e for e in events if e["seq"] == seq)["turn"]
            if isinstance(data, dict):
                assert {k: data[k] for k in said} == said
            else:
                assert (data.turn_index, data.content) == (said["turn_index"], said["content"])
    totals = [plain(m) for m in messages if m["type"] == "metrics"]
    if not finished_call:
        return
    assert messages[-1]["type"] == "status" and watcher.wait_for_end() == 1000
    if not expected:
        return
    last = plain(messages[-1])[2]
    end = events[-1]["finished"]
    if isinstance(last, dict):
        assert (last["status"], last["outcome"], last["reason"]) == (end["status"], end.get("outcome"), end.get("outcome_reason"))
        assert messages[-2]["type"] == "metrics" and totals
        duration = watcher.duration if hasattr(watcher, "duration") else None
        if duration is not None:
            same_figures(totals[-1][2], figures(turns, end, duration))


# --- the same for all -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("seed", [1, 2])
def test_all_forms_at_the_same_time(platform, api, analytics, company, seed):
    rng = random.Random(seed)
    call, events = new_id(), random_call(rng, company, turns=12)
    events.insert(7, status(0, 20, reason="on hold"))
    events = [{**e, "seq": i} for i, e in enumerate(events, 1)]
    report(api, call, events[:1])
    watchers = [Watcher(platform, analytics, call, form) for form in FORMS]
    for watcher in watchers:
        watcher.wait_for(1)
        _, _, init = plain(watcher.messages[0])
        assert (init["status"], init["turn_count"], init["last_seq"]) == ("active", 0, 1) if isinstance(init, dict) else init.last_seq == 1
    for i in range(1, len(events) - 1):
        report(api, call, [events[i]])
        seen = [wait_until(lambda w=w: w.end or w.kinds()[-1][1] == events[i]["seq"] and w.kinds()[-1], what=f"event {i + 1}") for w in watchers]
        assert len(set(seen)) == 1
    joins_late = [Watcher(platform, analytics, call, form) for form in FORMS]
    resumes = [Watcher(platform, analytics, call, form, after=6) for form in FORMS]
    for watcher in joins_late:
        wait_until(lambda: watcher.kinds()[-1:] and watcher.kinds()[-1][1] == len(events) - 1, what="the late joiner's turns")
    report(api, call, events[-1:])
    duration = api.ok("GET", f"/api/analytics/calls/{call}")["duration_sec"]
    afterwards = [Watcher(platform, analytics, call, form) for form in FORMS]
    for group, after in ((watchers, 0), (joins_late, 0), (resumes, 6), (afterwards, 0)):
        for watcher in group:
            watcher.wait_for_end()
            watcher.duration = duration
            check_stream(watcher, call, events, after)
    # The three forms of the gateway say literally the same, event for event, and gRPC the same in its own words.
    for group in (watchers, joins_late, resumes, afterwards):
        assert len({json.dumps([m for m in w.messages if m["type"] in ("turn", "status")]) for w in group[:3]}) == 1
        assert len({json.dumps(w.kinds()) for w in group}) == 1
        ends = [json.dumps({**w.messages[-2]["data"], "created_at": None}) for w in group[:3]]
        assert len(set(ends)) == 1
    # The final totals are the stored figures.
    stored = api.ok("GET", f"/api/analytics/calls/{call}/metrics")
    same_figures({**watchers[0].messages[-2]["data"]}, {k: v for k, v in stored.items() if k != "created_at"})
    assert afterwards[0].messages[0]["data"]["status"] == stored.get("status", afterwards[0].messages[-1]["data"]["status"])


def test_init_has_all_that_a_late_joiner_needs(platform, api, analytics):
    company = api.company()
    skillbase = api.skillbase(company)
    campaign = api.campaign(company, skillbase)
    call = new_id()
    report(api, call, [started(company, 0, skillbase_id=skillbase["id"], skillbase_version=1, campaign_id=campaign["id"], phone_number="+12015550100"),
                       turn(2, 0, 1, eou_latency=500, tts_characters=1000, interrupted=True)])
    watcher = Watcher(platform, analytics, call, "websocket")
    init = watcher.wait_for(3)[0]
    assert set(init) == {"type", "seq", "data"}
    data, shown = init["data"], api.ok("GET", f"/api/analytics/calls/{call}")
    for key in ("status", "started_at", "ended_at", "company_id", "skillbase_id", "skillbase_version", "campaign_id", "phone_number", "outcome", "turn_count", "last_seq"):
        assert data[key] == shown[key], key
    assert data["call_id"] == call
    assert (data["metrics"]["turn_count"], data["metrics"]["avg_eou_latency"], data["metrics"]["cost_tts"], data["metrics"]["interruption_rate"]) == (1, 500, 0.015, 1)
    assert [m["type"] for m in watcher.messages] == ["init", "turn", "metrics"] and [m["seq"] for m in watcher.messages] == [0, 2, 2]
    watcher.stop.set()
    report(api, call, [finished(3, 2)])


def test_running_totals_follow_the_turns(platform, api, analytics, company):
    call = new_id()
    report(api, call, [started(company)])
    watcher = Watcher(platform, analytics, call, "lines")
    watcher.wait_for(1)
    said = []
    for i in range(4):
        report(api, call, [turn(i + 2, i, i + 1, tts_characters=100 * (i + 1), eou_latency=100.0 * i)])
        said.append({"tts_characters": 100 * (i + 1), "eou_latency": 100.0 * i})
        wait_until(lambda: watcher.messages[-1]["type"] == "metrics" and watcher.messages[-1]["seq"] == i + 2, what="the totals")
        data = watcher.messages[-1]["data"]
        same_figures(data, {k: v for k, v in figures(said, {}, i + 1.0).items()})
    report(api, call, [finished(6, 9, outcome="success")])
    watcher.wait_for_end()
    assert [m["type"] for m in watcher.messages[-2:]] == ["metrics", "status"]


# --- resuming ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("form", FORMS)
def test_resume_at_every_place(platform, api, analytics, company, form):
    """A connection lost after any message: what follows the last seq, no loss, no repetition."""
    call, events = new_id(), random_call(random.Random(3), company, turns=5)
    report(api, call, events)
    whole = Watcher(platform, analytics, call, form)
    whole.wait_for_end()
    seen = [(m["type"], m["seq"]) for m in whole.messages]
    for i, (kind, seq) in enumerate(seen):
        rest = Watcher(platform, analytics, call, form, after=seq)
        rest.wait_for_end()
        assert rest.messages[0]["type"] == "init" and rest.messages[0]["seq"] == seq
        got = [m for m in rest.kinds() if m[0] != "init"]
        assert got == [m for m in seen[i + 1:] if m[0] != "metrics"], f"after {kind} {seq}"


def test_last_event_id(platform, api, analytics, company):
    call, events = new_id(), random_call(random.Random(4), company, turns=6)
    report(api, call, events)
    # What the browser saw last beats what the address said at first.
    watcher = Watcher(platform, analytics, call, "events", after=1, headers={"Last-Event-ID": "5"})
    watcher.wait_for_end()
    check_stream(watcher, call, events, after=5)
    answer = api.client.get(path(call), headers={"Accept": "text/event-stream", "Last-Event-ID": "five"})
    assert answer.status_code == 400 and "Last-Event-ID" in check_problem(answer)["detail"]


@pytest.mark.parametrize("form", FORMS)
def test_waiting_for_what_is_yet_to_come(platform, api, analytics, company, form):
    call = new_id()
    report(api, call, [started(company), turn(2, 0, 1)])
    watcher = Watcher(platform, analytics, call, form, after=3)
    watcher.wait_for(1)
    report(api, call, [turn(3, 1, 2), turn(4, 2, 3), finished(5, 4)])
    watcher.wait_for_end()
    assert watcher.kinds() == [("init", 3), ("turn", 4), ("status", 5)]
    # All seen: nothing but the beginning and the end.
    watcher = Watcher(platform, analytics, call, form, after=5)
    assert watcher.wait_for_end() == 1000 and watcher.kinds() == [("init", 5)]


def test_a_long_call_for_a_late_joiner(platform, api, analytics, company):
    """Far more events than are kept in memory: the table has the rest, in order; and the live edge goes on meanwhile."""
    call, count = new_id(), 1500
    report(api, call, [started(company)])
    for first in range(2, count, 500):
        report(api, call, [turn(seq, seq - 2, seq, content="x" * 400) for seq in range(first, first + 500)])
    watchers = [Watcher(platform, analytics, call, form, after=after) for form in FORMS for after in (0, 700)]
    last = 2 + 3 * 500
    for seq in range(last, last + 20):
        report(api, call, [turn(seq, seq - 2, seq)])
    report(api, call, [finished(last + 20, last + 20)])
    for watcher in watchers:
        assert watcher.wait_for_end() == 1000
        turns = [m["seq"] for m in watcher.messages if m["type"] == "turn"]
        assert turns == list(range(max(2, (watcher.after or 0) + 1), last + 20))


# --- unknown calls and wrong requests ---------------------------------------------------------------------------------

def test_unknown_call(platform, api, analytics):
    async def watch():
        async with websockets.connect(f"ws://{platform.http}{path(NOBODY, websocket=True)}") as ws:
            assert json.loads(await ws.recv()) == {"type": "error", "message": "Call not found"}
            with pytest.raises(websockets.ConnectionClosed):
                await ws.recv()
            assert ws.close_code == 4404
    asyncio.run(watch())
    for accept in ("text/event-stream", "application/x-ndjson"):
        answer = api.client.get(path(NOBODY), headers={"Accept": accept})
        assert answer.status_code == 404
        check_problem(answer)
    assert Watcher(platform, analytics, NOBODY, "grpc").wait_for_end() == grpc.StatusCode.NOT_FOUND


def test_wrong_requests(platform, api, company):
    call = new_id()
    report(api, call, [started(company), finished(2, 1)])
    for wrong in (path("x"), path(call, "x"), path(call, -1), path(call) + "?colour=red"):
        assert len(api.problem("GET", wrong, 400, headers={"Accept": "text/event-stream"})["errors"]) == 1
    api.problem("GET", path(call), 406, headers={"Accept": "text/html"})

    async def upgrade(where, **headers):
        with pytest.raises(websockets.InvalidStatusCode) as error:
            async with websockets.connect(f"ws://{platform.http}{where}", extra_headers=headers):
                pass
        return error.value.status_code
    assert asyncio.run(upgrade(path("x", websocket=True))) == 400
    assert asyncio.run(upgrade(path(call, websocket=True), Origin="https://evil.example")) == 403
    # A path that is no stream: the upgrade is not taken up (RFC 9110 §7.8), the answer is the usual one.
    assert asyncio.run(upgrade("/api/companies")) == 200


def test_a_call_deleted_while_it_is_watched(platform, api, analytics):
    company, call = api.company(), new_id()
    report(api, call, [started(company), turn(2, 0, 1)])
    watchers = [Watcher(platform, analytics, call, form) for form in ("websocket", "grpc")]
    for watcher in watchers:
        watcher.wait_for(2)
    api.ok("DELETE", f"/api/companies/{company['id']}", 204)
    assert [w.wait_for_end() for w in watchers] == [4404, grpc.StatusCode.NOT_FOUND]


# --- WebSocket manners ------------------------------------------------------------------------------------------------

def test_ping_and_pong(platform, api, company):
    call = new_id()
    report(api, call, [started(company)])

    async def watch():
        async with websockets.connect(f"ws://{platform.http}{path(call, websocket=True)}") as ws:
            assert json.loads(await ws.recv())["type"] == "init"
            for _ in range(3):
                await ws.send("ping")
                assert await asyncio.wait_for(ws.recv(), 5) == "pong"
            await asyncio.wait_for(await ws.ping(b"abc"), 5)
            await ws.send("something else")
            await ws.send("ping")
            assert await asyncio.wait_for(ws.recv(), 5) == "pong"
            await asyncio.to_thread(report, _api(platform), call, [turn(2, 0, 1), finished(3, 2, outcome="success")])
            kinds = []
            with pytest.raises(websockets.ConnectionClosed):
                while True:
                    kinds.append(json.loads(await asyncio.wait_for(ws.recv(), 10))["type"])
            assert kinds[0] == "turn" and kinds[-2:] == ["metrics", "status"] and ws.close_code == 1000
    asyncio.run(watch())


def _api(platform):
    from conftest import Api
    return Api(platform.url)


# --- many, slow, gone -------------------------------------------------------------------------------------------------

def gauge(url, name):
    for line in urllib.request.urlopen(f"{url}/metrics", timeout=10).read().decode().splitlines():
        if line.split("{")[0].split(" ")[0] == name:
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"{name} is not in {url}/metrics")


def watching(platform):
    return gauge(platform.url, "dialplane_watchers")


def test_200_sockets_on_one_call(platform, api, company):
    call = new_id()
    report(api, call, [started(company)])
    wait_until(lambda: watching(platform) == 0, what="no watchers")
    streams = "dialplane_live_streams"

    async def watch():
        sockets = await asyncio.gather(*(websockets.connect(f"ws://{platform.http}{path(call, websocket=True)}") for _ in range(200)))
        for ws in sockets:
            assert json.loads(await asyncio.wait_for(ws.recv(), 20))["type"] == "init"
        assert await asyncio.to_thread(watching, platform) == 200
        # However many sockets: one stream for each of the gateway's threads at most.
        assert 1 <= await asyncio.to_thread(gauge, platform.url, streams) <= 64
        # Half of them go away without a word; the others see everything.
        gone, stay = sockets[::2], sockets[1::2]
        for ws in gone:
            ws.transport.abort()
        batch = [turn(i, i - 2, i) for i in range(2, 52)] + [finished(52, 60, outcome="success")]
        await asyncio.to_thread(report, _api(platform), call, batch)

        async def drain(ws):
            messages = []
            try:
                while True:
                    messages.append(json.loads(await asyncio.wait_for(ws.recv(), 20)))
            except websockets.ConnectionClosed:
                return messages, ws.close_code
        results = await asyncio.gather(*(drain(ws) for ws in stay))
        for messages, code in results:
            assert [m["seq"] for m in messages if m["type"] in ("turn", "status")] == list(range(2, 53)) and code == 1000
    asyncio.run(watch())
    wait_until(lambda: watching(platform) == 0, what="the release of all watchers")
    wait_until(lambda: gauge(platform.url, streams) == 0, what="the release of all streams")


@pytest.mark.parametrize("form", FORMS)
def test_clients_that_go_away_free_everything(platform, api, analytics, company, form):
    call = new_id()
    report(api, call, [started(company)])
    wait_until(lambda: watching(platform) == 0, what="no watchers")
    watchers = [Watcher(platform, analytics, call, form) for _ in range(5)]
    for watcher in watchers:
        watcher.wait_for(1)
    if form != "grpc":
        assert watching(platform) == 5
    for watcher in watchers:
        watcher.stop.set()
    report(api, call, [turn(2, 0, 1)])  # wakes them: they leave
    for watcher in watchers:
        watcher.thread.join(20)
        assert not watcher.thread.is_alive()
    wait_until(lambda: watching(platform) == 0, what="the release of the watchers")
    wait_until(lambda: gauge(platform.url, "dialplane_live_streams") == 0, what="the release of the streams")


def test_a_slow_client_is_closed_and_others_go_on(platform, api, analytics, company):
    """It reads nothing while megabytes are said: closed with 1013, at a bounded cost, while a quick one gets everything."""
    call = new_id()
    report(api, call, [started(company)])
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(("127.0.0.1", platform.port))
    slow.sendall(f"GET {path(call, websocket=True)} HTTP/1.1\r\nHost: {platform.http}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
    slow.settimeout(20)
    assert slow.recv(12) == b"HTTP/1.1 101"
    quick = Watcher(platform, analytics, call, "websocket")
    quick.wait_for(1)
    assert watching(platform) == 2
    seq = 2
    while watching(platform) == 2 and seq < 1000:  # far more than the gateway's history and all buffers on the way
        report(api, call, [turn(s, s - 2, s, content="ы" * 10000) for s in range(seq, seq + 10)])
        seq += 10
    wait_until(lambda: watching(platform) == 1, 60, "the end of the slow one")
    # The slow one, when it reads at last (the gateway does not wait for ever), finds whole frames and then a close frame with 1013.
    data = b""
    while True:
        try:
            piece = slow.recv(65536)
        except ConnectionResetError:
            break
        if not piece:
            break
        data += piece
    slow.close()
    codes = [payload for opcode, payload in frames(data.split(b"\r\n\r\n", 1)[1]) if opcode == 8]
    assert codes and int.from_bytes(codes[0][:2], "big") == 1013
    report(api, call, [turn(seq, seq - 2, seq), finished(seq + 1, seq)])
    assert quick.wait_for_end() == 1000
    assert [m["seq"] for m in quick.messages if m["type"] == "turn"] == list(range(2, seq + 1))


def frames(data):
    """(opcode, payload) of unmasked frames; a cut last one is left out."""
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


def test_headers_of_the_streams(platform, api, company):
    call = new_id()
    report(api, call, [started(company)])
    for accept, content_type in (("text/event-stream", "text/event-stream"), ("application/x-ndjson", "application/x-ndjson"), ("*/*", "application/x-ndjson")):
        with Raw(platform.http) as raw:
            began = time.monotonic()
            raw.send(f"GET {path(call)} HTTP/1.1\r\nHost: {platform.http}\r\nAccept: {accept}\r\n\r\n")
            head = raw._until(b"\r\n\r\n").decode().lower()
            assert time.monotonic() - began < 5
        assert head.startswith("http/1.1 200") and f"content-type: {content_type}" in head and "x-accel-buffering: no" in head
        assert "cache-control: no-store" in head and "content-length" not in head
