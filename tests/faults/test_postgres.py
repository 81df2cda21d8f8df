"""PostgreSQL stopped as by a crash while requests run: 503 with Retry-After in bounded time, recovery without a restart, nothing half-done."""

import threading
import time

import grpc
import pytest

from processes import SERVICES, check_away, is_ready

from agents import Rpc, finished, new_id, report, started, turn  # noqa: E402
from conftest import Api, wait_until  # noqa: E402
from test_live import Watcher  # noqa: E402

# The longest that a request waits for the database before it gives up, and some for a busy machine.
BOUND = 12


@pytest.fixture
def database(platform, api):
    """Stops and starts the private PostgreSQL; it runs again when the test is over."""
    class Database:
        runs = True

        def stop(self):
            platform.postgres("stop")
            self.runs = False

        def start(self):
            if not self.runs:
                platform.postgres("start")
            self.runs = True
            wait_until(lambda: is_ready(api), 60, "readiness after PostgreSQL's return")
    database = Database()
    before = {p: platform.pid(p) for p in (*SERVICES.values(), "dialplane-gateway")}
    yield database
    database.start()
    assert {p: platform.pid(p) for p in before} == before and all(platform_runs(pid) for pid in before.values()), "a process has died"


def platform_runs(pid):
    from processes import is_gone
    return not is_gone(pid)


def test_every_service_says_so_and_recovers(platform, api, database):
    company = api.company()
    skillbase = api.skillbase(company)
    campaign = api.campaign(company, skillbase)
    call = new_id()
    report(api, call, [started(company)])
    requests = [("GET", "/api/companies", {}), ("GET", f"/api/skillbases/{skillbase['id']}", {}), ("GET", f"/api/campaigns/{campaign['id']}", {}),
                ("GET", f"/api/analytics/calls/{call}", {}), ("GET", "/api/analytics/metrics", {}),
                ("POST", "/api/companies", {"json": {"name": "x", "slug": "x-y"}}), ("PUT", f"/api/campaigns/{campaign['id']}", {"json": {"name": "changed"}}),
                ("DELETE", f"/api/campaigns/{campaign['id']}", {}), ("POST", f"/api/campaigns/{campaign['id']}/cancel", {}),
                ("POST", f"/api/analytics/calls/{call}/events", {"json": {"events": [turn(2, 0, 1)]}}),
                ("POST", "/api/dispatch/claim", {"json": {"worker_id": "w"}}),
                ("POST", f"/api/campaigns/{campaign['id']}/call-list", {"files": {"file": ("c.csv", b"phone_number\n+12015550100\n", "text/csv")}})]
    database.stop()
    wait_until(lambda: not is_ready(api), what="/readyz to notice")
    assert api.get("/healthz").status_code == 200
    for method, path, arguments in requests:
        began = time.monotonic()
        check_away(api.request(method, path, **arguments), BOUND, began)
    database.start()
    for method, path, arguments in requests[:5]:
        assert api.request(method, path, **arguments).status_code == 200, path
    assert api.ok("GET", f"/api/campaigns/{campaign['id']}") == campaign, "something was done although it was refused"
    assert api.ok("GET", f"/api/analytics/calls/{call}")["last_seq"] == 1
    assert report(api, call, [turn(2, 0, 1), finished(3, 2)])["accepted"] == 2


def test_streams_over_grpc(platform, api, stubs, database):
    with Rpc(stubs, platform.analytics, "AnalyticsService") as analytics, Rpc(stubs, platform.campaign, "DispatchService") as dispatch:
        database.stop()
        wait_until(lambda: not is_ready(api), what="/readyz to notice")
        for ask in (lambda: list(analytics.WatchCall({"call_id": new_id()}, timeout=30)), lambda: dispatch.ClaimTasks({"worker_id": "w", "wait_ms": 1000}, timeout=30),
                    lambda: analytics.ReportCallEvents(iter([analytics.message("ReportCallEventsRequest", {"call_id": new_id(), "events": [started(api_company())]})]))):
            began = time.monotonic()
            with pytest.raises(grpc.RpcError) as error:
                ask()
            assert error.value.code() == grpc.StatusCode.UNAVAILABLE and time.monotonic() - began < BOUND


def api_company():
    return {"id": new_id()}


def test_stopped_while_requests_run(platform, api, database):
    """Writers and readers all through a crash and the return: what was acknowledged is there, what was not is there whole or not at all."""
    company = api.company()
    skillbase = api.skillbase(company)
    tried, acknowledged, wrong, slowest, running = set(), set(), [], [0], threading.Event()
    lock = threading.Lock()

    def work(number):
        mine = Api(platform.url)
        count = 0
        while not running.is_set():
            count += 1
            name = f"w{number}-{count}"
            began = time.monotonic()
            try:
                if number % 2:
                    with lock:
                        tried.add(name)
                    answer = mine.request("POST", "/api/campaigns", json={"company_id": company["id"], "skillbase_id": skillbase["id"], "name": name})
                    if answer.status_code == 201:
                        with lock:
                            acknowledged.add(name)
                else:
                    answer = mine.get(f"/api/skillbases/{skillbase['id']}")
                took = time.monotonic() - began
                slowest[0] = max(slowest[0], took)
                if answer.status_code == 503:
                    check_away(answer, BOUND, began)
                    time.sleep(0.05)  # as a client that was told to come back
                elif answer.status_code not in (200, 201):
                    wrong.append(answer.text)
            except Exception as error:  # noqa: BLE001
                wrong.append(repr(error))
                return
    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(acknowledged) > 20, what="requests under way")
    database.stop()
    before = len(acknowledged)
    wait_until(lambda: not is_ready(api), what="/readyz to notice")
    database.start()
    wait_until(lambda: len(acknowledged) > before + 20, 60, "requests after the return")
    running.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not wrong, wrong[:3]
    assert slowest[0] < BOUND
    names, token = [], None
    while True:
        page = api.ok("GET", "/api/campaigns", params={"company_id": company["id"], "limit": 1000, **({"page_token": token} if token else {})})
        names += [c["name"] for c in page["items"]]
        token = page["next_page_token"]
        if not token:
            break
    assert len(names) == len(set(names)) and acknowledged <= set(names) <= tried


def test_upload_under_way(platform, api, database):
    company = api.company()
    campaign = api.campaign(company, api.skillbase(company))
    path = f"/api/campaigns/{campaign['id']}/call-list"
    begun, stopped = threading.Event(), threading.Event()

    def pieces():
        yield b"phone_number\n" + b"+12015550100\n" * 20000
        begun.set()
        assert stopped.wait(60)
        for i in range(20):
            yield b"+12015550101\n" * 5000
    answers = []

    def upload():
        answers.append(Api(platform.url).client.post(path, content=pieces(), headers={"content-type": "text/csv"}))
    thread = threading.Thread(target=upload)
    thread.start()
    assert begun.wait(30)
    database.stop()
    stopped.set()
    began = time.monotonic()
    thread.join(60)
    assert answers, "the upload was cut instead of answered"
    check_away(answers[0], BOUND, began)
    database.start()
    assert api.ok("GET", f"/api/campaigns/{campaign['id']}")["total_tasks"] == 0
    assert api.upload(campaign, "phone_number\n+12015550100\n")["created"] == 1


def test_watchers_stay(platform, api, stubs, database):
    """A database that is away for a moment ends no stream; what is reported afterwards arrives."""
    company, call = api.company(), new_id()
    report(api, call, [started(company), turn(2, 0, 1)])
    with Rpc(stubs, platform.analytics, "AnalyticsService") as analytics:
        watchers = [Watcher(platform, analytics, call, form) for form in ("websocket", "events", "grpc")]
        for watcher in watchers:
            watcher.wait_for(3)
        database.stop()
        wait_until(lambda: not is_ready(api), what="/readyz to notice")
        time.sleep(2.5)  # longer than a watched call's poll: it must fail once meanwhile
        assert [w.end for w in watchers] == [None] * 3
        database.start()
        report(api, call, [turn(3, 1, 2), finished(4, 3)])
        for watcher in watchers:
            assert watcher.wait_for_end() == 1000
            assert watcher.kinds() == [("init", 0), ("turn", 2), ("turn", 3), ("status", 4)]
