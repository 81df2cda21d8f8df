"""Services and the gateway killed (SIGKILL) or stopped (SIGTERM) at work: 503 meanwhile, recovery by itself, and nothing acknowledged is lost."""

import asyncio
import json
import random
import signal
import subprocess
import threading
import time

import grpc
import httpx
import pytest
import websockets

from processes import SERVICES, check_away, is_ready, kill

from agents import Rpc, finished, new_id, random_call, report, started, turn  # noqa: E402
from conftest import PRESET, ROOT, Api, free_ports, wait_until  # noqa: E402
from test_live import Watcher, path  # noqa: E402

BOUND = 12


@pytest.fixture(autouse=True)
def ready_again(platform, api):
    wait_until(lambda: is_ready(api), 60, "readiness before the test")
    yield
    wait_until(lambda: is_ready(api), 60, "readiness after the test")


def address_of(service, api):
    company = api.company()
    return {"skillbase": f"/api/companies/{company['id']}", "campaign": "/api/campaigns", "analytics": "/api/analytics/calls"}[service]


@pytest.mark.parametrize("service", list(SERVICES))
def test_a_killed_service(platform, api, service):
    addresses = {name: address_of(name, api) for name in SERVICES}
    start = kill(platform, SERVICES[service])
    try:
        for _ in range(3):
            began = time.monotonic()
            check_away(api.get(addresses[service]), BOUND, began)
        ready = api.get("/readyz")
        assert ready.status_code == 503 and ready.json()["backends"][service] != "serving"
        for name in SERVICES:
            if name != service:
                assert ready.json()["backends"][name] == "serving"
                assert api.get(addresses[name]).status_code == 200, "a service that lives must go on answering"
        assert api.get("/healthz").status_code == 200
    finally:
        start()
    wait_until(lambda: api.get(addresses[service]).status_code == 200, what=f"{service}'s return")
    wait_until(lambda: is_ready(api), what="readiness")


def persist(ask, running, unsure=(httpx.TransportError,)):
    """As a careful client: again until it is answered with other than 503. None when the test ends first."""
    while not running.is_set():
        try:
            answer = ask()
        except unsure:
            time.sleep(0.05)
            continue
        if answer.status_code != 503:
            return answer
        time.sleep(0.05)
    return None


def test_acknowledged_reports_survive(platform, api):
    """Six agents report event by event while analytics and the gateway are killed three times each: repeating is harmless, nothing is lost."""
    company = api.company()
    calls = [(new_id(), random_call(random.Random(i), company, turns=60)) for i in range(6)]
    wrong, sent, stop = [], [0], threading.Event()

    def agent(call, events):
        mine = Api(platform.url)
        for event in events:
            answer = persist(lambda: mine.request("POST", f"/api/analytics/calls/{call}/events", json={"events": [event]}), stop)
            if answer is None or answer.status_code != 200:
                wrong.append(answer and answer.text)
                return
            sent[0] += 1
            time.sleep(0.01)
    threads = [threading.Thread(target=agent, args=c) for c in calls]
    for thread in threads:
        thread.start()
    try:
        for process in ("dialplane-analytics", "dialplane-gateway", "dialplane-analytics"):
            target = sent[0] + 25
            wait_until(lambda: sent[0] >= target or not any(t.is_alive() for t in threads), what="reports under way")
            kill(platform, process)()
        for thread in threads:
            thread.join(60)
    finally:
        stop.set()
    assert not wrong and not any(t.is_alive() for t in threads), wrong
    wait_until(lambda: is_ready(api), what="readiness")
    for call, events in calls:
        shown = api.ok("GET", f"/api/analytics/calls/{call}")
        assert (shown["last_seq"], shown["turn_count"], shown["status"]) == (len(events), 60, events[-1]["finished"]["status"])
        assert [t["turn"]["turn_index"] for t in shown["turns"]] == list(range(60)) and shown["metrics"]["turn_count"] == 60


def test_acknowledged_uploads_survive(platform, api):
    """Uploads one after the other while the service is killed: an acknowledged one is there whole, one that broke is there whole or not at all."""
    company = api.company()
    campaign = api.campaign(company, api.skillbase(company))
    size, acknowledged, tried, wrong, stop = 50, [], [], [], threading.Event()

    def uploads():
        mine = Api(platform.url)
        for n in range(40):
            rows = [f"+1201{5550000 + n * size + i}" for i in range(size)]
            tried.append(rows)
            answer = persist(lambda: mine.client.post(f"/api/campaigns/{campaign['id']}/call-list", content="phone_number\n" + "\n".join(rows),
                                                      headers={"content-type": "text/csv"}), stop)
            if answer is None or answer.status_code != 200 or answer.json()["created"] + answer.json()["duplicates"] != size:
                wrong.append(answer and answer.text)
                return
            acknowledged.append(rows)
    thread = threading.Thread(target=uploads)
    thread.start()
    try:
        for _ in range(3):
            target = len(acknowledged) + 3
            wait_until(lambda: len(acknowledged) >= target or not thread.is_alive(), what="uploads under way")
            kill(platform, "dialplane-campaign")()
        thread.join(60)
    finally:
        stop.set()
    assert not wrong and not thread.is_alive(), wrong
    wait_until(lambda: is_ready(api), what="readiness")
    numbers, token = set(), None
    while True:
        page = api.ok("GET", f"/api/campaigns/{campaign['id']}/tasks", params={"limit": 1000, **({"page_token": token} if token else {})})
        numbers |= {t["phone_number"] for t in page["items"]}
        token = page["next_page_token"]
        if not token:
            break
    assert numbers == {n for rows in acknowledged for n in rows}
    assert api.ok("GET", f"/api/campaigns/{campaign['id']}")["total_tasks"] == len(numbers) == 40 * size


@pytest.mark.parametrize("process", ["dialplane-analytics", "dialplane-gateway"])
def test_watchers_resume(platform, api, process):
    """A browser that reconnects with the last seq sees every event once, whoever was killed in between."""
    company, call = api.company(), new_id()
    events = [started(company)] + [turn(i, i - 2, i) for i in range(2, 62)] + [finished(62, 100, outcome="success")]
    report(api, call, events[:1])
    seen, connections, ended = [], [0], threading.Event()

    async def watch():
        last = 0
        while True:
            try:
                async with websockets.connect(f"ws://{platform.http}{path(call, last, True)}") as ws:
                    connections[0] += 1
                    while True:
                        message = json.loads(await ws.recv())
                        if message["type"] == "error":
                            break
                        if message["type"] in ("turn", "status"):
                            seen.append(message["seq"])
                        last = max(last, message["seq"])
            except websockets.ConnectionClosed as closed:
                if closed.code == 1000 and seen and seen[-1] == 62:
                    ended.set()
                    return
            except (OSError, websockets.InvalidStatusCode, websockets.InvalidMessage):
                pass
            await asyncio.sleep(0.05)
    threading.Thread(target=lambda: asyncio.run(watch()), daemon=True).start()
    wait_until(lambda: connections[0] > 0, what="the first connection")
    stop = threading.Event()
    for i, event in enumerate(events[1:], 2):
        answer = persist(lambda: Api(platform.url).request("POST", f"/api/analytics/calls/{call}/events", json={"events": [event]}), stop)
        assert answer.status_code == 200, answer.text
        if i in (15, 40):
            wait_until(lambda: seen and seen[-1] == i, what=f"event {i}")
            before = connections[0]
            kill(platform, process)()
            wait_until(lambda: connections[0] > before, what="a new connection")
    assert ended.wait(30), f"seen: {seen[-5:]}"
    assert seen == list(range(2, 63))


def test_a_stopped_service_says_goodbye(platform, api, stubs):
    """SIGTERM: streams end with UNAVAILABLE (1012 over WebSocket), the process ends soon, in order, and is started again."""
    company, call = api.company(), new_id()
    report(api, call, [started(company), turn(2, 0, 1)])
    with Rpc(stubs, platform.analytics, "AnalyticsService") as analytics:
        watchers = [Watcher(platform, analytics, call, form) for form in ("grpc", "websocket")]
        for watcher in watchers:
            watcher.wait_for(3)
        size = len(platform.log("dialplane-analytics"))
        start = kill(platform, "dialplane-analytics", signal.SIGTERM, seconds=30)
        start()
        assert [w.wait_for_end() for w in watchers] == [grpc.StatusCode.UNAVAILABLE, 1012]
    log = platform.log("dialplane-analytics")[size:]
    assert '"drained"' in log and "AddressSanitizer" not in log and "LeakSanitizer" not in log


# --- two instances on one database ------------------------------------------------------------------------------------

@pytest.fixture
def second(platform, api):
    """A second analytics service on the platform's database."""
    port = free_ports(1)
    environment = dict(platform_environment(platform))
    process = subprocess.Popen([str(ROOT / "build" / PRESET / "bin" / "dialplane-analytics"), "--listen", f"127.0.0.1:{port}", "--metrics-listen", "off",
                                "--live-poll", "200ms"], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        grpc.channel_ready_future(channel).result(30)
        channel.close()
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        assert process.wait(30) == 0


def platform_environment(platform):
    from pathlib import Path
    pairs = Path(f"/proc/{platform.pid('dialplane-analytics')}/environ").read_bytes().split(b"\0")
    return {k.decode(): v.decode() for k, v in (p.split(b"=", 1) for p in pairs if b"=" in p)}


def test_events_of_another_instance_arrive(platform, api, stubs, second):
    """Reported to one, watched at the other, both ways: the slow poll brings them, once and in order."""
    company, call = api.company(), new_id()
    with Rpc(stubs, platform.analytics, "AnalyticsService") as here, Rpc(stubs, second, "AnalyticsService") as there:
        here.ReportCallEventBatch({"call_id": call, "events": [started(company)]})
        watchers = [Watcher(platform, client, call, "grpc") for client in (here, there)] + [Watcher(platform, here, call, "websocket")]
        for watcher in watchers:
            watcher.wait_for(1)
        for seq in range(2, 12):
            (there if seq % 3 else here).ReportCallEventBatch({"call_id": call, "events": [turn(seq, seq - 2, seq)]})
        for watcher in watchers:
            wait_until(lambda: watcher.kinds()[-1] == ("turn", 11), what="the turns of the other instance")
        there.ReportCallEventBatch({"call_id": call, "events": [finished(12, 60, outcome="success")]})
        for watcher in watchers:
            assert watcher.wait_for_end() == 1000
            assert watcher.kinds() == [("init", 0)] + [("turn", seq) for seq in range(2, 12)] + [("status", 12)]


def test_two_instances_agree_on_one_call(platform, api, stubs, second):
    """The same call reported to both at once: each event is stored once, the figures are computed once."""
    company = api.company()
    with Rpc(stubs, platform.analytics, "AnalyticsService") as here, Rpc(stubs, second, "AnalyticsService") as there:
        for seed in range(5):
            call, events = new_id(), random_call(random.Random(seed), company, turns=30)
            accepted, wrong = [], []

            def send(client):
                try:
                    for i in range(0, len(events), 4):
                        accepted.append(client.ReportCallEventBatch({"call_id": call, "events": events[i:i + 4]}).accepted)
                except Exception as error:  # noqa: BLE001
                    wrong.append(error)
            threads = [threading.Thread(target=send, args=(c,)) for c in (here, there, here, there)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            assert not wrong and sum(accepted) == len(events)
            assert api.ok("GET", f"/api/analytics/calls/{call}/metrics")["turn_count"] == 30
