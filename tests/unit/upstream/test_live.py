"""Server streams: WebSocket, server-sent events, JSON lines."""
import asyncio
import json
import queue
import threading
import time

import grpc
import httpx
import pytest
import websockets

from test_unary import ID, fail_with, problem

SOCKET = f"/api/analytics/ws/calls/{ID}"
EVENTS = f"/api/analytics/calls/{ID}/events"


class Call:
    """A fake call that is watched: emit() reaches everybody, late joiners get all of it."""

    def __init__(self, service, protos):
        self.message = protos.message("dialplane.v1.WatchCallResponse")
        self.events, self.ended, self.changed = [], False, threading.Condition()
        self.streams, self.cancelled = 0, 0
        service.behaviours["WatchCall"] = self.watch

    def watch(self, request, context):
        self.streams += 1
        context.add_callback(self.on_end)
        init = self.message(seq=request.after_seq)
        init.init.call_id = request.call_id
        yield init
        at = 0
        while context.is_active():
            with self.changed:
                if at == len(self.events):
                    if self.ended:
                        return
                    self.changed.wait(0.1)
                    continue
                event = self.events[at]
                at += 1
            if event.seq > request.after_seq:
                yield event

    def on_end(self):
        self.cancelled += 1

    def emit(self, count=1, text="hello"):
        with self.changed:
            for _ in range(count):
                event = self.message(seq=len(self.events) + 1)
                event.turn.content = text
                self.events.append(event)
            self.changed.notify_all()

    def end(self):
        with self.changed:
            self.ended = True
            self.changed.notify_all()


@pytest.fixture
def call(service, protos):
    call = Call(service, protos)
    yield call
    call.end()


def url(gateway, path):
    return f"ws://127.0.0.1:{gateway.port}{path}"


async def read(socket, count):
    return [json.loads(await asyncio.wait_for(socket.recv(), 10)) for _ in range(count)]


def test_websocket_from_beginning_to_end(gateway, call):
    async def run():
        async with websockets.connect(url(gateway, SOCKET)) as socket:
            (init,) = await read(socket, 1)
            assert init["type"] == "init" and init["data"]["call_id"] == ID and init["seq"] == 0
            await socket.send("ping")
            assert await socket.recv() == "pong"
            call.emit(3)
            turns = await read(socket, 3)
            assert [turn["seq"] for turn in turns] == [1, 2, 3] and turns[0]["data"]["content"] == "hello"
            call.end()
            with pytest.raises(websockets.ConnectionClosedOK) as closed:
                await asyncio.wait_for(socket.recv(), 5)
            assert closed.value.code == 1000

    asyncio.run(run())


def test_unknown_call(gateway, service, protos):
    service.behaviours["WatchCall"] = fail_streaming(protos, grpc.StatusCode.NOT_FOUND, "Call not found")

    async def run():
        async with websockets.connect(url(gateway, SOCKET)) as socket:
            assert await read(socket, 1) == [{"type": "error", "message": "Call not found"}]
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await asyncio.wait_for(socket.recv(), 5)
            assert closed.value.code == 4404

    asyncio.run(run())
    for accept in ("text/event-stream", "application/x-ndjson", "*/*"):
        problem(gateway.request("GET", EVENTS, headers={"Accept": accept}), 404)


def fail_streaming(protos, code, message):
    fail = fail_with(protos, code, message)

    def behave(request, context):
        context.send_initial_metadata(())  # headers alone promise nothing
        fail(request, context)
        yield

    return behave


def test_error_in_mid_stream(gateway, service, protos, call):
    def behave(request, context):
        yield call.message(seq=1)
        time.sleep(0.1)
        context.abort(grpc.StatusCode.UNAVAILABLE, "going away")

    service.behaviours["WatchCall"] = behave
    lines = gateway.request("GET", EVENTS).text.splitlines()
    assert json.loads(lines[-1])["error"]["code"] == "UNAVAILABLE" and len(lines) == 2
    text = gateway.request("GET", EVENTS, headers={"Accept": "text/event-stream"}).text
    assert "\n\nevent: error\ndata: {" in text

    async def run():
        async with websockets.connect(url(gateway, SOCKET)) as socket:
            await read(socket, 1)
            (error,) = await read(socket, 1)
            assert error["type"] == "error" and error["code"] == "UNAVAILABLE"
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.code == 1012

    asyncio.run(run())


def test_what_cannot_be_watched(gateway, service, call):
    problem(gateway.request("GET", EVENTS, headers={"Accept": "application/json"}), 406)
    problem(gateway.request("GET", "/api/analytics/calls/nope/events"), 400)
    problem(gateway.request("GET", EVENTS + "?after_seq=x"), 400)
    problem(gateway.request("GET", EVENTS, headers={"Last-Event-ID": "x", "Accept": "text/event-stream"}), 400)
    assert not service.calls

    async def refused(path, status, **arguments):
        with pytest.raises(websockets.InvalidStatusCode) as error:
            await websockets.connect(url(gateway, path), **arguments)
        assert error.value.status_code == status

    asyncio.run(refused("/api/analytics/ws/calls/nope", 400))
    asyncio.run(refused(SOCKET, 403, origin="https://evil.example"))


def test_same_and_allowed_origins_may_connect(gateway, call):
    async def run():
        for origin in (f"http://127.0.0.1:{gateway.port}", "https://app.example.com"):
            async with websockets.connect(url(gateway, SOCKET), origin=origin) as socket:
                await read(socket, 1)

    asyncio.run(run())


def lines_of(response):
    """As they come: httpx's own iter_lines() holds the last one back."""
    rest = ""
    for text in response.iter_text():
        *whole, rest = (rest + text).split("\n")
        yield from whole


def sse(response):
    event = {}
    for line in lines_of(response):
        if line.startswith(":"):
            continue
        if not line:
            if event:
                yield event
            event = {}
        else:
            name, _, value = line.partition(": ")
            event[name] = value


def test_server_sent_events_and_lines(gateway, call):
    call.emit(2)
    with httpx.Client(base_url=gateway.url, timeout=10) as client:
        with client.stream("GET", EVENTS, headers={"Accept": "text/event-stream"}) as response:
            assert response.headers["content-type"] == "text/event-stream"
            assert response.headers["cache-control"] == "no-store" and response.headers["x-accel-buffering"] == "no"
            events = sse(response)
            got = [next(events) for _ in range(3)]
            assert [event["event"] for event in got] == ["init", "turn", "turn"]
            assert [event["id"] for event in got] == ["0", "1", "2"]
            assert json.loads(got[2]["data"])["seq"] == 2
        with client.stream("GET", EVENTS + "?after_seq=1", headers={"Accept": "text/event-stream", "Last-Event-ID": "2"}) as response:
            events = sse(response)
            call.emit(1)
            assert [next(events)["id"] for _ in range(2)] == ["2", "3"]
        with client.stream("GET", EVENTS + "?after_seq=1") as response:
            assert response.headers["content-type"] == "application/x-ndjson"
            lines = lines_of(response)
            assert [json.loads(next(lines))["seq"] for _ in range(3)] == [1, 2, 3]
            call.end()
            assert list(lines) == []


def test_headers_go_out_before_a_silent_stream_speaks(gateway, service, protos, call):
    def behave(_request, context):
        time.sleep(3.0)
        yield call.message(seq=1)

    service.behaviours["WatchCall"] = behave
    started = time.monotonic()
    with httpx.stream("GET", gateway.url + EVENTS, timeout=10) as response:
        assert response.status_code == 200 and time.monotonic() - started < 2
        assert len(response.read().splitlines()) == 1


def test_one_stream_for_many_watchers(gateway, call):
    async def run():
        call.emit(1)
        sockets = [await websockets.connect(url(gateway, SOCKET)) for _ in range(60)]
        call.emit(5)
        for socket in sockets:
            assert [event["seq"] for event in await read(socket, 7)] == [0, 1, 2, 3, 4, 5, 6]
        assert call.streams <= 2  # one for each thread
        late = await websockets.connect(url(gateway, SOCKET))
        assert [event["seq"] for event in await read(late, 7)] == [0, 1, 2, 3, 4, 5, 6]
        for socket in sockets + [late]:
            await socket.close()
        for _ in range(50):
            if call.cancelled == call.streams:
                break
            await asyncio.sleep(0.1)
        assert call.cancelled == call.streams <= 3  # nobody watches: nothing is streamed

    asyncio.run(run())


def test_a_history_that_was_cut_is_asked_for_anew(protos):
    from fakes import FakeService, Gateway
    service = FakeService(protos)
    gateway = Gateway(service, "--live-buffer", "16KB", "--threads", "1")
    call = Call(service, protos)

    async def run():
        first = await websockets.connect(url(gateway, SOCKET))
        await read(first, 1)
        for _ in range(100):
            call.emit(1, "x" * 1000)
            await read(first, 1)
        second = await websockets.connect(url(gateway, SOCKET))
        assert [event["seq"] for event in await read(second, 101)] == list(range(101))
        assert call.streams == 2
        call.emit(1)
        assert (await read(first, 1))[0]["seq"] == (await read(second, 1))[0]["seq"] == 101
        await first.close()
        await second.close()

    asyncio.run(run())
    call.end()
    gateway.stop()
    service.stop()


def test_a_slow_watcher_is_cut_and_others_are_not(gateway, call):
    async def run():
        slow = await websockets.connect(url(gateway, SOCKET), max_queue=1, read_limit=1024)
        fast = await websockets.connect(url(gateway, SOCKET))
        await read(fast, 1)
        for round_number in range(400):
            call.emit(10, "x" * 3000)
            assert [event["seq"] for event in await read(fast, 10)][-1] == 10 * (round_number + 1)
        # It could go on later, alone, but not when it takes nothing for the whole of --live-stall.
        until = time.monotonic() + 60
        while "dialplane_watchers_cut_total 0\n" in (await asyncio.to_thread(gateway.request, "GET", "/metrics")).text:
            assert time.monotonic() < until
            await asyncio.sleep(0.1)
        with pytest.raises(websockets.ConnectionClosed):
            while True:
                await asyncio.wait_for(slow.recv(), 30)
        assert slow.close_code in (1013, 1006)
        await fast.close()

    asyncio.run(run())


def test_stop_ends_the_streams(protos):
    from fakes import FakeService, Gateway
    service = FakeService(protos)
    gateway = Gateway(service)
    call = Call(service, protos)
    lines = queue.Queue()

    def follow():
        with httpx.stream("GET", gateway.url + EVENTS, timeout=10) as response:
            for line in lines_of(response):
                lines.put(json.loads(line))

    thread = threading.Thread(target=follow)
    thread.start()
    assert lines.get(timeout=5)["type"] == "init"

    async def run():
        async with websockets.connect(url(gateway, SOCKET)) as socket:
            await read(socket, 1)
            await asyncio.get_running_loop().run_in_executor(None, gateway.stop)
            with pytest.raises(websockets.ConnectionClosed) as closed:
                while True:
                    await asyncio.wait_for(socket.recv(), 5)
            assert closed.value.code in (1001, 1012)

    asyncio.run(run())
    assert lines.get(timeout=5)["error"]["code"] == "UNAVAILABLE"
    thread.join(5)
    call.end()
    service.stop()
