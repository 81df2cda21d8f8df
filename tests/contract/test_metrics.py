"""What Prometheus sees: every process's page is one that promtool accepts, with what operators need, and with labels whose number is bounded."""

import json
import re
import subprocess
import uuid

import grpc
import httpx
import pytest

from agents import Rpc, new_id, report, started, turn
from conftest import wait_until

SERVICES = ["dialplane-skillbase", "dialplane-campaign", "dialplane-analytics"]
EVERYWHERE = {"dialplane_build_info", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds",
              "process_start_time_seconds", "dialplane_trace_spans_dropped_total"}
OF_SERVICES = {"dialplane_ready", "dialplane_rpc_started_total", "dialplane_rpc_in_flight", "dialplane_rpc_finished_total", "dialplane_rpc_duration_seconds",
               "dialplane_pg_connections_up", "dialplane_pg_units_waiting", "dialplane_pg_wait_seconds", "dialplane_pg_run_seconds",
               "dialplane_pg_batch_statements", "dialplane_pg_statement_seconds"}
OF = {
    "dialplane-gateway": {"dialplane_http_requests_total", "dialplane_http_request_duration_seconds", "dialplane_http_in_flight", "dialplane_watchers",
                          "dialplane_websockets", "dialplane_upstream_in_flight", "dialplane_upstream_calls_total", "dialplane_upstream_retries_total"},
    "dialplane-skillbase": OF_SERVICES,
    "dialplane-campaign": OF_SERVICES | {"dialplane_claims_waiting", "dialplane_leases_expired_total", "dialplane_calls_settled_total"},
    "dialplane-analytics": OF_SERVICES | {"dialplane_events_accepted_total", "dialplane_live_watchers"},
}


def page_url(platform, process):
    if process == "dialplane-gateway":
        return f"{platform.url}/metrics"
    lines = [json.loads(line) for line in platform.log(process).splitlines()]
    return f"http://127.0.0.1:{[line for line in lines if line['event'] == 'listening'][-1]['metrics_port']}/metrics"


def page(platform, process):
    answer = httpx.get(page_url(platform, process), timeout=30)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.text


def samples(text):
    """{name: {labels: value}}"""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value = re.fullmatch(r'(\w+)(?:\{(.*)\})? (\S+)', line).groups()
            found.setdefault(name, {})[labels or ""] = float(value)
    return found


@pytest.fixture(scope="module")
def busy(platform, api):
    """Something of everything has happened."""
    company = api.company()
    campaign = api.campaign(company, api.skillbase(company))
    api.upload(campaign, "phone_number\n+12015550123\n")
    call = new_id()
    report(api, call, [started(company), turn(2, 0, 1)])
    for path in ("/api/companies", "/api/campaigns", f"/api/analytics/calls/{call}", "/api/companies/nonsense", "/no/such/path", "/", "/readyz"):
        api.client.get(path)
    return call


@pytest.mark.parametrize("process", list(OF))
def test_promtool_accepts_the_page(platform, busy, process):
    text = page(platform, process)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stdout + done.stderr, "promtool has remarks"
    families = set(re.findall(r"^# TYPE (\w+) ", text, re.M))
    assert not (EVERYWHERE | OF[process]) - families
    assert all(re.search(rf"^# HELP {family} \S", text, re.M) for family in families)


@pytest.mark.parametrize("process", list(OF))
def test_the_process_describes_itself(platform, busy, process):
    found = samples(page(platform, process))
    (labels, one), = found["dialplane_build_info"].items()
    assert one == 1 and re.fullmatch(r'version="0\.\S+"', labels)
    assert found["process_resident_memory_bytes"][""] > 1e6 and found["process_cpu_seconds_total"][""] > 0
    assert 5 < found["process_open_fds"][""] <= found["process_max_fds"][""]
    import time
    assert 0 < time.time() - found["process_start_time_seconds"][""] < 86400


def test_labels_are_templates(platform, api, busy):
    """However many paths clients invent, the number of series stays what the contract makes it."""
    api.client.get(f"/api/companies/{new_id()}")
    before = page(platform, "dialplane-gateway").count("\n")
    for _ in range(20):
        api.client.get(f"/api/companies/{new_id()}")
        api.client.get(f"/{uuid.uuid4()}")
        api.client.request(f"X{uuid.uuid4().hex[:4].upper()}", "/api/companies")
        with grpc.insecure_channel(platform.skillbase) as channel:
            channel.unary_unary(f"/x/{uuid.uuid4()}", lambda m: m, lambda m: m).future(b"", timeout=20).exception()
    text = page(platform, "dialplane-gateway")
    assert text.count("\n") <= before + 40  # a status or a bucket that is new, not one a path
    assert 'route="/api/companies/{id}"' in text
    for process in OF:
        # Campaigns are named, but few of them: --metrics-campaigns (test_live_metrics.py).
        shown = re.sub(r'^dialplane_campaign_tasks\{campaign="[0-9a-f-]{36}"', "", page(platform, process), flags=re.M)
        assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", shown), process


def test_figures_follow_what_happens(platform, api, stubs, busy):
    def of(process):
        return samples(page(platform, process))
    labels = 'method="GET",route="/api/companies/{id}",status="404"'
    before, rpc_before = of("dialplane-gateway"), of("dialplane-skillbase")
    for _ in range(7):
        assert api.client.get(f"/api/companies/{new_id()}").status_code == 404
    after = of("dialplane-gateway")
    assert after["dialplane_http_requests_total"][labels] - before["dialplane_http_requests_total"].get(labels, 0) == 7
    method = 'method="/dialplane.v1.CompanyService/GetCompany"'

    def grown(name, labels):
        return of("dialplane-skillbase")[name][labels] - rpc_before[name].get(labels, 0)
    assert grown("dialplane_rpc_finished_total", f'{method},code="NOT_FOUND"') == 7
    assert grown("dialplane_rpc_duration_seconds_count", method) >= 7
    assert grown("dialplane_pg_statement_seconds_count", 'statement="get_company"') >= 7
    assert grown("dialplane_pg_wait_seconds_count", "") >= 7 and grown("dialplane_pg_run_seconds_count", "") >= 7
    assert grown("dialplane_pg_batch_statements_count", "") >= 1
    # watchers come and go
    with Rpc(stubs, platform.analytics, "AnalyticsService") as analytics:
        stream = analytics.WatchCall({"call_id": busy}) if hasattr(analytics, "WatchCall") else None
        if stream is not None:
            next(iter(stream))
            assert of("dialplane-analytics")["dialplane_live_watchers"][""] >= 1
            stream.cancel()
    wait_until(lambda: of("dialplane-analytics")["dialplane_live_watchers"][""] == 0, what="no watcher")


@pytest.mark.parametrize("process", list(OF))
def test_histograms_are_whole(platform, busy, process):
    """Buckets grow, the last is the count."""
    text = page(platform, process)
    for family in re.findall(r"^# TYPE (\w+) histogram", text, re.M):
        series = {}
        for labels, value in re.findall(rf"^{family}_bucket\{{(.*)\}} (\S+)$", text, re.M):
            rest, limit = re.fullmatch(r'(.*?),?le="(.*?)"', labels).groups()
            series.setdefault(rest, []).append((float(limit.replace("+Inf", "inf")), float(value)))
        for rest, buckets in series.items():
            assert buckets == sorted(buckets) and [v for _, v in buckets] == sorted(v for _, v in buckets)
            labels = f"{{{rest}}}" if rest else ""
            assert f"{family}_count{labels} {int(buckets[-1][1])}\n" in text and f"{family}_sum{labels} " in text
