"""A hostile crowd (flood.py) against a gateway, while somebody goes on working: every request of theirs succeeds, the gateway's memory stays within a limit,
and afterwards everything is as before. How quick it is meanwhile is printed by `./dev bench flood`.

DIALPLANE_FLOOD_CONNECTIONS (10000; as many as the machine allows to open) and DIALPLANE_FLOOD_SECONDS (20) make it larger or smaller."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import flood  # noqa: E402
from conftest import PRESET, ROOT, free_ports, wait_until  # noqa: E402

CONNECTIONS = int(os.environ.get("DIALPLANE_FLOOD_CONNECTIONS", "10000"))
SECONDS = float(os.environ.get("DIALPLANE_FLOOD_SECONDS", "20"))
# Of the gateway, above what it has when idle: 20 KB for each connection, and 200 MB for everything else. A sanitizer multiplies it.
MEMORY_MB = (200 + CONNECTIONS * 20 / 1024) * (8 if PRESET in ("asan", "tsan") else 1)


class Gateway:
    def __init__(self, platform, folder):
        self.address = f"127.0.0.1:{free_ports(1)}"
        self.log = open(folder / "gateway.log", "wb")
        command = [str(ROOT / "build" / PRESET / "bin" / "dialplane-gateway"), "--listen", self.address, "--threads", "2", "--log-level", "error",
                   "--rate-exempt", "", "--header-timeout", "5s"]
        for name in ("skillbase", "campaign", "analytics"):
            command += [f"--{name}", getattr(platform, name)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=self.log)

    def memory_mb(self):
        return int(re.search(r"^Rss:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/smaps_rollup").read_text(), re.M).group(1)) / 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def limited(self, client):
        text = client.get("/metrics").text
        return {name: int(value) for name, value in re.findall(r'^dialplane_http_limited_total\{limit="(\w+)"\} (\d+)$', text, re.M)}


@pytest.fixture
def gateway(platform, tmp_path):
    gateway = Gateway(platform, tmp_path)
    try:
        with httpx.Client(base_url=f"http://{gateway.address}") as client:
            def answers():
                assert gateway.process.poll() is None, "the gateway ended"
                try:
                    return client.get("/readyz").status_code == 200
                except httpx.TransportError:
                    return False
            wait_until(answers, 60, "the gateway")
        yield gateway
    finally:
        gateway.process.terminate()
        status = gateway.process.wait(60)
        gateway.log.close()
        assert status == 0, (tmp_path / "gateway.log").read_text(errors="replace")[-4000:]


class Worker(threading.Thread):
    """Somebody who goes on working: over one connection, or over a new one for every request."""

    def __init__(self, gateway, company, **settings):
        super().__init__()
        self.settings, self.company, self.gateway = settings, company, gateway
        self.done, self.wrong, self.slowest = 0, [], 0.0
        self.stop = threading.Event()

    def run(self):
        headers = {"connection": "close"} if self.settings.pop("close", False) else {}
        with httpx.Client(base_url=f"http://{self.gateway.address}", timeout=60, **self.settings) as client:
            while not self.stop.wait(0.02):
                began = time.monotonic()
                try:
                    answer = client.get(f"/api/companies/{self.company['id']}", headers=headers)
                    if answer.status_code != 200 or answer.json() != self.company:
                        self.wrong.append(f"{answer.status_code} {answer.text[:300]}")
                except httpx.HTTPError as error:
                    self.wrong.append(repr(error))
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.done += 1


def test_a_flood_leaves_others_alone(gateway, api):
    company = api.company()
    before, idle_mb = gateway.descriptors(), gateway.memory_mb()
    workers = [Worker(gateway, company), Worker(gateway, company, close=True), Worker(gateway, company, http1=False, http2=True)]
    crowd = subprocess.Popen([sys.executable, flood.__file__, gateway.address, str(CONNECTIONS), str(SECONDS)], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, text=True)
    most_mb = idle_mb
    try:
        for worker in workers:
            worker.start()
        until = time.monotonic() + SECONDS + 120
        while crowd.poll() is None:
            assert time.monotonic() < until, "the flood has no end"
            assert gateway.process.poll() is None, "the gateway has fallen"
            most_mb = max(most_mb, gateway.memory_mb())
            time.sleep(0.1)
    finally:
        if crowd.poll() is None:
            crowd.kill()
        for worker in workers:
            worker.stop.set()
        for worker in workers:
            worker.join(120)
    reached = json.loads(crowd.stdout.read())
    done = [worker.done for worker in workers]
    print(f"\nflood: {reached['connections']} of {CONNECTIONS} connections at once, {sum(reached['rounds'].values())} other attacks; meanwhile "
          f"{done} requests, the slowest {max(worker.slowest for worker in workers):.2f} s; memory {idle_mb:.0f} MB idle, {most_mb:.0f} MB at most, "
          f"limit {idle_mb + MEMORY_MB:.0f} MB")
    for worker in workers:
        assert not worker.wrong, f"{len(worker.wrong)} of {worker.done} requests failed: {worker.wrong[:5]}"
        assert worker.done > 5
    assert most_mb - idle_mb < MEMORY_MB
    # Every attack was carried out, and the server ended each by itself but for the requests that are only many.
    assert set(reached["rounds"]) == set(flood.ATTACKS)
    for name in set(flood.ATTACKS) - {"many requests"}:
        assert reached["ended"].get(name), f"{name} was never ended"
    with httpx.Client(base_url=f"http://{gateway.address}", timeout=60) as client:
        limited = gateway.limited(client)
        for name in ("header_size", "resets", "control_frames", "continuations", "websocket_frames"):
            assert limited[name] > 0, limited
        assert "RATE_LIMITED" not in client.get("/api/companies").text
    wait_until(lambda: gateway.descriptors() <= before + 10, 60, f"descriptors back to {before}")
