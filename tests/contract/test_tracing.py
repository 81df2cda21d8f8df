"""Traces: one request across gateway, service and SQL, as a collector of OpenTelemetry sees it; and what happens without one."""

import socket
import uuid

import grpc
import pytest

from agents import Rpc, new_id, report, started, turn
from collector import Collector, collector  # noqa: F401
from conftest import Api, Platform, wait_until


@pytest.fixture(scope="module")
def traced(collector):
    platform = Platform({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}", "DIALPLANE_TRACE_RATIO": "0"})
    try:
        yield platform.start()
    finally:
        platform.stop()


@pytest.fixture
def api(traced):
    return Api(traced.url)


def parent(flags="01"):
    trace, span = uuid.uuid4().hex, uuid.uuid4().hex[:16]
    return trace, span, f"00-{trace}-{span}-{flags}"


def spans(collector, trace, count, caller):
    """At least so many, and every one that another stands below: processes send theirs at their own times."""
    def whole():
        got = collector.of(trace)
        return len(got) >= count and {s.parent for s in got} - {s.id for s in got} == {caller}
    try:
        wait_until(whole, what=f"{count} spans of {trace}")
    except AssertionError as error:
        raise AssertionError(f"{error}; the caller is {caller}, there came {collector.of(trace)}") from None
    return collector.of(trace)


def only(spans, **wanted):
    found = [s for s in spans if all(getattr(s, k) == v for k, v in wanted.items())]
    assert len(found) == 1, (wanted, spans)
    return found[0]


def check_chain(spans, outermost):
    """Each span stands below one that was there when it began, up to the caller's."""
    by_id = {s.id: s for s in spans}
    assert len(by_id) == len(spans)
    for span in spans:
        assert span.parent == outermost or span.parent in by_id, span
        assert span.end >= span.start > 1_600_000_000 * 10**9


def test_one_request_through_all(api, collector):
    company = api.company()
    trace, caller, header = parent()
    answer = api.client.post("/api/campaigns", json={"company_id": company["id"], "skillbase_id": api.skillbase(company)["id"], "name": "Traced"},
                             headers={"traceparent": header, "x-request-id": f"traced-{trace}"})
    assert answer.status_code == 201, answer.text
    got = spans(collector, trace, 4, caller)
    check_chain(got, caller)
    http = only(got, service="dialplane-gateway", kind="server")
    assert http.parent == caller and http.name == "POST /api/campaigns"
    assert http.attributes == {"http.request.method": "POST", "http.route": "/api/campaigns", "http.response.status_code": 201,
                               "dialplane.request_id": f"traced-{trace}"}
    call = only(got, service="dialplane-gateway", kind="client")
    assert call.parent == http.id and call.name == "dialplane.v1.CampaignService/CreateCampaign"
    served = only(got, service="dialplane-campaign", kind="server")
    assert served.parent == call.id and served.name == call.name
    assert served.attributes["rpc.method"] == "CreateCampaign" and served.attributes["rpc.service"] == "dialplane.v1.CampaignService"
    assert served.attributes["rpc.grpc.status_code"] == 0 and served.attributes["dialplane.request_id"] == f"traced-{trace}"
    sql = only(got, service="dialplane-campaign", kind="client", name="create_campaign")
    assert sql.parent == served.id and sql.attributes["db.system"] == "postgresql"
    assert served.start <= sql.start and sql.end <= served.end + 10**6  # one clock, read twice
    assert {s.resource["service.namespace"] for s in got} == {"dialplane"} and all(s.resource["service.version"] for s in got)
    for span in got:  # what a person has written is in none
        assert "Traced" not in repr(span)


def test_failures_are_marked(api, collector):
    trace, caller, header = parent()
    assert api.client.get(f"/api/campaigns/{new_id()}", headers={"traceparent": header}).status_code == 404
    got = spans(collector, trace, 3, caller)
    assert only(got, kind="server", service="dialplane-gateway").status == 0, "a caller's mistake is no failure of ours"
    assert only(got, kind="client", service="dialplane-gateway").attributes["rpc.grpc.status_code"] == grpc.StatusCode.NOT_FOUND.value[0]
    assert only(got, kind="client", service="dialplane-gateway").status == 2


def test_uploads_and_streams(traced, api, collector):
    company = api.company()
    campaign = api.campaign(company, api.skillbase(company))
    trace, caller, header = parent()
    answer = api.client.post(f"/api/campaigns/{campaign['id']}/call-list", content="phone_number\n+12015550123\n",
                             headers={"content-type": "text/csv", "traceparent": header})
    assert answer.status_code == 200, answer.text
    got = spans(collector, trace, 4, caller)
    check_chain(got, caller)
    assert len([s for s in got if s.attributes.get("db.system")]) >= 1
    # a stream's span ends with the stream
    call = new_id()
    report(api, call, [started(company), turn(2, 0, 1)])
    trace, caller, header = parent()
    with api.client.stream("GET", f"/api/analytics/calls/{call}/events", headers={"accept": "application/x-ndjson", "traceparent": header}) as lines:
        next(lines.iter_lines())
        assert not [s for s in collector.of(trace) if s.kind == "server"]
    got = spans(collector, trace, 4, caller)
    check_chain(got, caller)
    assert only(got, service="dialplane-analytics", kind="server").name == "dialplane.v1.AnalyticsService/WatchCall"


def test_straight_to_a_service(traced, stubs, collector):
    trace, caller, header = parent()
    with grpc.insecure_channel(traced.skillbase) as channel:
        ask = channel.unary_unary("/dialplane.v1.CompanyService/ListCompanies", lambda m: m, lambda m: m)
        ask(b"", timeout=20, metadata=(("traceparent", header),))
    got = spans(collector, trace, 2, caller)
    check_chain(got, caller)
    assert {s.service for s in got} == {"dialplane-skillbase"}


def test_the_caller_decides(api, collector):
    """Parent-based sampling: flag 00 records nothing anywhere; the ratio (0 here) is only asked of traces that begin here."""
    unsampled, _, header = parent("00")
    assert api.client.get("/api/companies", headers={"traceparent": header}).status_code == 200
    assert api.client.get("/api/companies").status_code == 200
    assert api.client.get("/readyz").status_code == 200
    trace, caller, header = parent()
    assert api.client.get("/api/companies", headers={"traceparent": header}).status_code == 200
    spans(collector, trace, 4, caller)  # what came before has arrived by then, or never does
    assert not collector.of(unsampled)
    with collector.lock:
        assert all(s.parent for s in collector.spans), "a trace began here"


def test_logs_name_the_trace(traced, api):
    import json
    trace, _, header = parent()
    assert api.client.get("/api/companies", headers={"traceparent": header}).status_code == 200
    for process in ("dialplane-gateway", "dialplane-skillbase"):
        wait_until(lambda: any(json.loads(line).get("trace_id") == trace for line in traced.log(process).splitlines()), what=f"the line of {process}")


def metric(text, name):
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + " ") or line.startswith(name + "{"))


def test_a_collector_that_is_away():
    """Nothing waits for it, what does not fit is counted, and it is found again when it comes."""
    held = socket.socket()  # bound, and nobody listens
    held.bind(("127.0.0.1", 0))
    port = held.getsockname()[1]
    platform = Platform({"DIALPLANE_OTLP_ENDPOINT": f"127.0.0.1:{port}"})
    try:
        platform.start()
        api = Api(platform.url)
        for _ in range(20):
            assert api.client.get("/api/companies").status_code == 200
        wait_until(lambda: metric(api.client.get("/metrics").text, "dialplane_trace_failures_total") >= 1, what="a failed export")
        held.close()
        late = Collector(port)
        try:
            def arrived():
                assert api.client.get("/api/companies").status_code == 200
                return {"dialplane-gateway", "dialplane-skillbase"} <= {s.service for s in late.spans}
            wait_until(arrived, 60, "spans of both")
            wait_until(lambda: metric(api.client.get("/metrics").text, "dialplane_trace_spans_exported_total") > 0, what="the figure")
            late.refuse = grpc.StatusCode.INVALID_ARGUMENT  # for good: not tried again, dropped

            def dropped():
                assert api.client.get("/api/companies").status_code == 200
                return metric(api.client.get("/metrics").text, "dialplane_trace_spans_dropped_total") > 0
            wait_until(dropped, 60, "dropped spans")
        finally:
            late.stop()
    finally:
        held.close()
        platform.stop()


@pytest.mark.parametrize("endpoint", ["https://collector:4317", "collector", "http://a/b:1", "127.0.0.1:99999"])
def test_wrong_endpoints_stop_the_start(endpoint):
    import subprocess

    from conftest import PRESET, ROOT
    done = subprocess.run([str(ROOT / "build" / PRESET / "bin" / "dialplane-gateway"), "--otlp-endpoint", endpoint, "--listen", "127.0.0.1:0"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "--otlp-endpoint must be HOST:PORT" in done.stderr and endpoint in done.stderr
