"""Logs: one line a request, in JSON, with names to find it by; and never who was called."""

import json
import re
import time
import uuid

import httpx
import pytest

from clients import NOBODY, REFUSED_ON_PURPOSE, TIME, Raw
from conftest import wait_until
from reflected import Reflected

PROCESSES = ["dialplane-gateway", "dialplane-skillbase", "dialplane-campaign", "dialplane-analytics"]


def lines(platform, process):
    return [json.loads(line) for line in platform.log(process).splitlines()]


def requests_named(platform, name, count, process="dialplane-gateway", event="request"):
    def found():
        got = [line for line in lines(platform, process) if line.get("request_id") == name and line["event"] == event]
        return got if len(got) >= count else None
    return wait_until(found, 10, f"{count} lines of {name} in the log of {process}")


@pytest.mark.parametrize("process", PROCESSES)
def test_every_line_is_an_object_with_a_time(platform, api, process):
    api.company()
    text = platform.log(process)
    assert text
    for line in text.splitlines():
        event = json.loads(line)
        assert TIME.fullmatch(event["time"]) and event["level"] in ("debug", "info", "warn", "error") and event["process"] == process and event["event"]


def test_one_line_a_request(platform, api):
    company = api.company()
    cases = [("GET", f"/api/companies/{company['id']}", 200, "/api/companies/{id}"), ("GET", "/api/companies/x", 400, "/api/companies/{id}"),
             ("GET", f"/api/companies/{NOBODY}", 404, "/api/companies/{id}"), ("POST", "/api/companies", 415, "/api/companies"),
             ("PATCH", "/api/companies", 405, None), ("GET", "/nothing", 404, None), ("GET", "/", 200, None),
             ("DELETE", f"/api/companies/{company['id']}", 204, "/api/companies/{id}"), ("GET", "/api/companies/%zz", 400, None)]
    for version in (False, True):
        with httpx.Client(base_url=platform.url, http1=not version, http2=version) as client:
            for method, path, status, route in cases:
                if version and method == "DELETE":
                    status = 404
                if version and path.endswith(company["id"]) and method == "GET":
                    status = 404
                name = f"log-{uuid.uuid4().hex}"
                answer = client.request(method, path, headers={"x-request-id": name}, content=b"{}" if method == "POST" else None)
                assert answer.status_code == status
                got = requests_named(platform, name, 1)
                assert len(got) == 1
                assert (got[0]["method"], got[0]["status"]) == (method, status)
                assert route is None or got[0]["route"] == route
                assert 0 <= got[0]["duration_us"] < 30e6 and re.fullmatch("[0-9a-f]{32}", got[0]["trace_id"])
                assert got[0]["bytes"] >= len(answer.content)
    # exactly one each: all lines of this test are written by now
    counted = {}
    for line in lines(platform, "dialplane-gateway"):
        if line["event"] == "request" and line["request_id"].startswith("log-"):
            counted[line["request_id"]] = counted.get(line["request_id"], 0) + 1
    assert set(counted.values()) == {1}


@pytest.mark.parametrize("request_bytes", [
    b"GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"NONSENSE\r\n\r\n", b"GET /x HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 40000 + b"\r\n\r\n"])
def test_what_never_became_a_request_is_logged_too(platform, request_bytes):
    """The id that the answer names can be found."""
    with Raw(platform.http) as raw:
        answer = raw.send(request_bytes).answer()
    name = answer.headers["x-request-id"]
    found = wait_until(lambda: [line for line in lines(platform, "dialplane-gateway") if line.get("request_id") == name], 10, "a line in the log")
    assert len(found) == 1 and found[0]["status"] == answer.status_code


def test_the_service_logs_the_call_under_the_same_name(platform, api):
    name, trace = f"log-{uuid.uuid4().hex}", uuid.uuid4().hex
    api.client.get(f"/api/campaigns/{NOBODY}", headers={"x-request-id": name, "traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    line = requests_named(platform, name, 1, "dialplane-campaign", "rpc")[0]
    assert (line["method"], line["code"], line["trace_id"]) == ("/dialplane.v1.CampaignService/GetCampaign", "NOT_FOUND", trace)
    assert requests_named(platform, name, 1)[0]["trace_id"] == trace


def test_a_client_that_goes_away_is_logged_too(platform, api):
    """A long poll that nobody waits for any more: one line, and the service hears of it."""
    name = f"log-{uuid.uuid4().hex}"
    body = json.dumps({"worker_id": "w", "wait_ms": 60000, "campaign_id": NOBODY})
    started = time.monotonic()
    with Raw(platform.http) as raw:
        raw.send(f"POST /api/dispatch/claim HTTP/1.1\r\nHost: a\r\nX-Request-Id: {name}\r\nContent-Type: application/json\r\n"
                 f"Content-Length: {len(body)}\r\n\r\n{body}")
        wait_until(lambda: re.search(r'dialplane_upstream_in_flight\{backend="campaign"\} [1-9]', api.get("/metrics").text), 10, "the call to begin")
    assert requests_named(platform, name, 1)[0]["status"] == 499
    assert requests_named(platform, name, 1, "dialplane-campaign", "rpc")[0]["code"] == "CANCELLED"
    assert time.monotonic() - started < 30


def test_no_log_says_who_was_called(platform, api):
    """Names, numbers, contents, queries and bodies stay out of every log, also of failures."""
    phone, name, secret = "+12015550177", f"Zeppelin{uuid.uuid4().hex}", f"secret{uuid.uuid4().hex}"
    company = api.company(name=name, description=secret, settings={"key": secret})
    skillbase = api.skillbase(company)
    campaign = api.campaign(company, skillbase, name=name)
    api.upload(campaign, f"phone_number,name,note\n{phone},{name},{secret}\nbad{secret},{name},x\n")
    api.ok("GET", f"/api/campaigns/{campaign['id']}/tasks", params={"phone_number": phone})
    api.client.get(f"/api/campaigns/{campaign['id']}/tasks", params={"phone_number": phone * 20})
    api.client.get(f"/api/companies/{name}", params={secret: phone}, headers={"authorization": f"Bearer {secret}", "cookie": secret, "user-agent": name})
    api.client.get(f"/{name}/{phone}")
    api.client.post("/api/companies", content=f'{{"name": "{name}", {secret}', headers={"content-type": "application/json"})
    api.client.post("/api/companies", json={"name": name, "slug": secret})
    api.client.post("/api/companies", json={secret: name, "slug": phone})
    api.ok("POST", f"/api/campaigns/{campaign['id']}/start")
    task = api.ok("POST", "/api/dispatch/claim", json={"worker_id": "w", "max": 1, "wait_ms": 10000, "campaign_id": campaign["id"]})["tasks"][0]
    assert task["phone_number"] == phone
    held = {"fence": task["fence"]}
    api.ok("POST", f"/api/dispatch/calls/{task['call_id']}/begin", json=held)
    when = "2026-03-01T10:00:00Z"
    api.ok("POST", f"/api/analytics/calls/{task['call_id']}/events", json={"events": [
        {"seq": 1, "occurred_at": when, "started": {"company_id": company["id"], "phone_number": phone}},
        {"seq": 2, "occurred_at": when, "turn": {"role": "user", "content": secret}},
        {"seq": 3, "occurred_at": when, "finished": {"status": "failed", "outcome_reason": secret}}]})
    api.client.post(f"/api/analytics/calls/{task['call_id']}/events", json={"events": [
        {"seq": 9, "occurred_at": when, "turn": {"role": "user", "content": secret}}]})
    api.ok("POST", f"/api/dispatch/calls/{task['call_id']}/finish", json={**held, "disposition": "carrier_error", "error_message": secret})
    with Reflected(platform.skillbase) as client:
        client.channel.unary_unary("/x/" + secret, lambda raw: raw, lambda raw: raw).future(b"", timeout=5).exception()
    marker = f"end-{uuid.uuid4().hex}"
    for path, process in (("/api/companies", "dialplane-skillbase"), ("/api/campaigns", "dialplane-campaign"), ("/api/analytics/calls", "dialplane-analytics")):
        api.client.get(path, headers={"x-request-id": marker})
        requests_named(platform, marker, 1, process, "rpc")
    requests_named(platform, marker, 3)
    for process in PROCESSES:
        text = platform.log(process)
        for private in (phone, phone[1:], name, secret):
            assert private not in text, f"{process}: {[line for line in text.splitlines() if private in line][:1]}"
    # the database's own log neither
    for private in (phone, name, secret):
        assert private not in platform.log("postgres")


def test_nothing_failed_inside(platform):
    """After all that the tests of this session have sent: no process logged an error of its own."""
    for process in PROCESSES:
        errors = [line for line in lines(platform, process) if line["level"] == "error" and line.get("message") != REFUSED_ON_PURPOSE]
        assert errors == [], process
    for process in PROCESSES:
        assert "Sanitizer" not in platform.log(process)
