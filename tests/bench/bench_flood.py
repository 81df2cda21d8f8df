"""What a hostile crowd costs others: the 99th percentile of a well-behaved client's requests, idle and while 10,000 slow connections and a dozen other attacks
(tests/faults/flood.py) are under way, and the gateway's memory."""

import json
import os
import subprocess
import sys
import time

import httpx

from measure import ROOT, finish, heading, info, memory, platform, process_cpu, verdict

sys.path.insert(0, str(ROOT / "tests" / "faults"))

import flood  # noqa: E402

CONNECTIONS = int(os.environ.get("DIALPLANE_FLOOD_CONNECTIONS", "10000"))
SECONDS = 30
SETTLE_SECONDS = 8  # until the crowd has opened its connections
LIMIT = 3.0
MEMORY_MB = 200 + CONNECTIONS * 20 / 1024


def p99_ms(client, path, seconds):
    """200 requests a second at most, over one connection; each must succeed."""
    times, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        answer = client.get(path)
        times.append(time.perf_counter() - began)
        if answer.status_code != 200:
            raise RuntimeError(f"{answer.status_code} {answer.text}")
        time.sleep(0.005)
    times.sort()
    return times[int(len(times) * 0.99)] * 1000, len(times)


def main():
    heading(f"flood: {CONNECTIONS} slow connections and {len(flood.ATTACKS)} other attacks against one client that works")
    # Nobody is exempt, so that the attackers are counted like anybody.
    with platform({"DIALPLANE_GATEWAY_RATE_EXEMPT": "none"}) as (owned, api):
        path = f"/api/companies/{api.company()['id']}"
        pid = owned.pid("dialplane-gateway")
        with httpx.Client(base_url=owned.url, timeout=60) as client:
            p99_ms(client, path, 2)
            idle, count = p99_ms(client, path, 10)
            idle_mb = memory(pid)[0] / 1024
            info(f"idle: p99 {idle:.2f} ms of {count} requests; gateway {idle_mb:.0f} MB")
            crowd = subprocess.Popen([sys.executable, flood.__file__, owned.http, str(CONNECTIONS), str(SECONDS)], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, text=True)
            time.sleep(SETTLE_SECONDS)
            before = process_cpu(pid), process_cpu(crowd.pid), time.monotonic()
            busy, count = p99_ms(client, path, SECONDS - SETTLE_SECONDS - 4)
            passed = time.monotonic() - before[2]
            gateway_cpu, crowd_cpu = process_cpu(pid) - before[0], process_cpu(crowd.pid) - before[1]
            busy_mb = memory(pid)[0] / 1024
            reached = json.loads(crowd.communicate(timeout=120)[0])
        info(f"under the flood: p99 {busy:.2f} ms of {count} requests; gateway {busy_mb:.0f} MB, {gateway_cpu / passed:.0%} of a core; the crowd "
             f"{crowd_cpu / passed:.0%} of a core, {reached['connections']} connections at once, {reached['cut']} cut, "
             f"{sum(reached['rounds'].values())} other attacks")
        verdict("p99 under the flood / idle", busy / idle, "", LIMIT)
        verdict("memory of the gateway above idle", busy_mb - idle_mb, " MB", MEMORY_MB)
    finish()


main()
