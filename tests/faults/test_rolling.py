"""A rolling restart under load: two instances of each service behind a gateway, stopped (SIGTERM) and started again one after another, and the
gateway itself replaced on a socket that outlives it. Not one request fails, nothing is done twice, and watchers miss nothing."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path

import grpc
import httpx
import pytest

from agents import finished, new_id, report, started, turn
from conftest import PRESET, ROOT, Api, wait_until
from processes import SERVICES, is_gone, is_ready

BIN = ROOT / "build" / PRESET / "bin"
BOUND = 60  # of every wait here; less than what the processes would wait at most, so that a handshake that fails is seen
PATIENT = "300s"


class Fleet:
    """Further processes in front of a platform's database."""

    def __init__(self, platform):
        self.folder = tempfile.mkdtemp(prefix="dialplane-rolling.", dir="/tmp")
        pairs = Path(f"/proc/{platform.pid('dialplane-analytics')}/environ").read_bytes().split(b"\0")
        self.environment = {k.decode(): v.decode() for k, v in (p.split(b"=", 1) for p in pairs if b"=" in p)}
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.running = []
        self.instances = {name: [self._service(process, n) for n in range(2)] for name, process in SERVICES.items()}

    def begin(self):
        for name in SERVICES:
            for instance in self.instances[name]:
                self.start(instance)
        for name in SERVICES:
            for instance in self.instances[name]:
                wait_until(lambda: self.serves(instance), BOUND, f"{name}")
        self.gateway = self.start_gateway()

    def _service(self, process, n):
        path = f"{self.folder}/{process}.{n}"
        return {"address": f"unix:{path}", "command": [
            str(BIN / process), "--listen", f"unix:{path}", "--metrics-listen", "off", "--read-connections", "1", "--write-connections", "2",
            "--session-connections", "2", "--shutdown-leave", PATIENT, "--shutdown-grace", PATIENT]}

    def spawn(self, command):
        log = open(f"{self.folder}/log", "ab")
        with log:
            child = subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[self.socket.fileno()])
        self.running.append(child)
        return child

    def start(self, instance):
        instance["process"] = self.spawn(instance["command"])

    def serves(self, instance):
        assert instance["process"].poll() is None, "it ended"
        with grpc.insecure_channel(instance["address"], options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            try:
                return channel.unary_unary("/grpc.health.v1.Health/Check", lambda m: m, lambda m: m)(b"", timeout=5) == b"\x08\x01"
            except grpc.RpcError:
                return False

    def start_gateway(self):
        """As systemd's socket activation does: the listening socket is descriptor 3, and stays open when the gateway goes."""
        lists = {name: ",".join(i["address"] for i in self.instances[name]) for name in SERVICES}
        flags = [x for name in SERVICES for x in (f"--{name}", lists[name])]
        size = os.path.getsize(f"{self.folder}/log")
        child = self.spawn(["bash", "-c", f'exec 3<&{self.socket.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "bash", str(BIN / "dialplane-gateway"),
                            "--threads", "2", "--drain-idle", PATIENT, "--grace", PATIENT, *flags])

        def has_started():
            assert child.poll() is None, "the gateway ended"
            text = Path(self.folder, "log").read_text()[size:]
            return any(f'"started"' in line and "gateway" in line for line in text.splitlines())
        wait_until(has_started, BOUND, "the gateway")
        return child

    def end(self, child):
        child.send_signal(signal.SIGTERM)
        try:
            assert child.wait(BOUND) == 0
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{child.args[0]} did not end: {Path(self.folder, 'log').read_text()[-3000:]}") from None

    def close(self):
        for child in self.running:
            if child.poll() is None:
                child.kill()
        for child in self.running:
            child.wait(30)
        self.socket.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def fleet(platform, api):
    wait_until(lambda: is_ready(api), 60, "readiness before the test")
    fleet = Fleet(platform)
    try:
        fleet.begin()
        yield fleet
    finally:
        fleet.close()


class Load:
    """Clients that ask one thing after the other over connections that stay open; every answer must be a good one."""

    def __init__(self, url, asks):
        self.stop, self.wrong, self.done = threading.Event(), [], [0] * len(asks)
        self.threads = [threading.Thread(target=self._run, args=(i, url, ask)) for i, ask in enumerate(asks)]
        for thread in self.threads:
            thread.start()

    def _run(self, i, url, ask):
        with httpx.Client(base_url=url, timeout=BOUND) as client:
            while not self.stop.is_set() and not self.wrong:
                try:
                    answer = ask(client)
                    if answer.status_code >= 300:
                        self.wrong.append(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
                except httpx.HTTPError as error:
                    self.wrong.append(f"client {i}: {error!r}")
                self.done[i] += 1
                time.sleep(0.002)

    def go_on(self):
        """Every client has been answered again since now."""
        before = list(self.done)
        wait_until(lambda: self.wrong or all(now > then + 1 for now, then in zip(self.done, before)), BOUND, "further answers")
        assert not self.wrong, self.wrong

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(BOUND)
        assert not any(thread.is_alive() for thread in self.threads)
        assert not self.wrong, self.wrong


def rolling(fleet, load, name):
    for instance in fleet.instances[name]:
        load.go_on()
        fleet.end(instance["process"])
        load.go_on()
        fleet.start(instance)
        wait_until(lambda: fleet.serves(instance), BOUND, f"{name}'s return")
    load.go_on()


def test_services_one_after_another(fleet, api):
    company = api.company()
    campaign = api.campaign(company, api.skillbase(company))
    other = api.campaign(company, api.skillbase(company))
    prefix = uuid.uuid4().hex[:8]
    created, uploaded = [], []

    def create(client):
        slug = f"rolling-{prefix}-{len(created)}"
        created.append(slug)
        return client.post("/api/companies", json={"name": slug, "slug": slug})

    def upload(client):
        rows = [f"+1{2012000000 + len(uploaded) + i}" for i in range(5)]
        uploaded.extend(rows)
        answer = client.post(f"/api/campaigns/{campaign['id']}/call-list", content="phone_number\n" + "\n".join(rows), headers={"content-type": "text/csv"})
        if answer.status_code == 200 and answer.json()["created"] != len(rows):
            raise httpx.HTTPError(answer.text)
        return answer

    def poll(client):
        return client.post("/api/dispatch/claim", json={"worker_id": "w", "max": 1, "wait_ms": 100, "campaign_id": other["id"]})

    load = Load(fleet.url, [
        create, upload, poll,
        lambda client: client.get(f"/api/companies/{company['id']}"),
        lambda client: client.get(f"/api/campaigns/{campaign['id']}"),
        lambda client: client.get("/api/analytics/calls", params={"company_id": company["id"]}),
    ])
    try:
        for name in SERVICES:
            rolling(fleet, load, name)
    finally:
        load.stop.set()
    load.end()
    # a write done twice would have been refused, a slug or a number being there; one that was lost would be missing here
    for slug in created[-20:]:
        assert api.client.post("/api/companies", json={"name": slug, "slug": slug}).status_code == 409, slug
    assert api.ok("GET", f"/api/campaigns/{campaign['id']}")["total_tasks"] == len(uploaded)


def test_the_gateway_replaced_on_its_socket(fleet, api):
    company = api.company()
    load = Load(fleet.url, [lambda client: client.get(f"/api/companies/{company['id']}")] * 4 + [
        # a client without patience for connections: each request makes its own
        lambda client: httpx.get(f"{fleet.url}/api/companies/{company['id']}", timeout=BOUND)] * 2)
    try:
        for _ in range(3):
            load.go_on()
            new = fleet.start_gateway()
            load.go_on()
            fleet.end(fleet.gateway)
            fleet.gateway = new
        load.go_on()
        # not even with nobody there in between: the socket takes what comes until somebody is
        fleet.end(fleet.gateway)
        fleet.gateway = fleet.start_gateway()
        load.go_on()
    finally:
        load.stop.set()
    load.end()


def test_watchers_resume_where_they_were(fleet, api):
    """Server-sent events as a browser reads them: over restarts of analytics and of the gateway each event is seen once."""
    company, call = api.company(), new_id()
    count = 60
    events = [started(company)] + [turn(i, i - 2, i) for i in range(2, count + 1)] + [finished(count + 1, 100, outcome="success")]
    report(api, call, events[:1])
    seen, connections, ended, stop = [], [0], threading.Event(), threading.Event()

    def watch():
        last = 0
        while not stop.is_set():
            try:
                with httpx.stream("GET", f"{fleet.url}/api/analytics/calls/{call}/events", timeout=BOUND,
                                  headers={"accept": "text/event-stream", **({"last-event-id": str(last)} if last else {})}) as answer:
                    assert answer.status_code == 200
                    connections[0] += 1
                    for line in answer.iter_lines():
                        line = line.strip()
                        if line.startswith("id:"):
                            last = int(line[3:])
                        if line.startswith("data:"):
                            message = json.loads(line[5:])
                            if message.get("type") in ("turn", "status"):
                                seen.append(message["seq"])
                            if message.get("type") == "status":
                                ended.set()
                                return
            except (httpx.TransportError, AssertionError):
                pass  # a browser connects again, too
            time.sleep(0.02)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    wait_until(lambda: connections[0], BOUND, "the first connection")
    mine = Api(fleet.url)
    for number, event in enumerate(events[1:], 2):
        answer = mine.request("POST", f"/api/analytics/calls/{call}/events", json={"events": [event]})
        assert answer.status_code == 200, answer.text
        if number in (15, 30):
            instance = fleet.instances["analytics"][number // 30]
            fleet.end(instance["process"])
            fleet.start(instance)
            wait_until(lambda: fleet.serves(instance), BOUND, "analytics")
        elif number == 45:
            new = fleet.start_gateway()
            fleet.gateway.send_signal(signal.SIGTERM)  # it waits for our own connection's last request: the next report
            fleet.gateway, old = new, fleet.gateway
    try:
        assert ended.wait(BOUND), f"seen: {seen[-5:]}"
    finally:
        stop.set()
    assert seen == list(range(2, count + 2))
    wait_until(lambda: old.poll() is not None or is_gone(old.pid), BOUND, "the old gateway's end")
    assert old.wait(BOUND) == 0
