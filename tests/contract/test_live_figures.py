"""Live figures of a company, a campaign or a skillbase: one message a second, from what all instances share."""

import asyncio
import json
import time
from datetime import datetime, timedelta, timezone

import grpc
import httpx
import pytest
import websockets

from agents import Rpc, finished, new_id, report, started, turn
from clients import NOBODY
from conftest import fields, wait_until
from test_live import gauge, watching

WATCH = "/api/analytics/live"
SOCKET = "/api/analytics/ws/live"


@pytest.fixture
def analytics(stubs, platform):
    with Rpc(stubs, platform.analytics, "AnalyticsService") as rpc:
        yield rpc


def now():
    """Calls of today are wanted: not in the last minute of a day, when they would be yesterday's as they are looked at."""
    while (moment := datetime.now(timezone.utc)) + timedelta(minutes=1) >= moment.replace(hour=0, minute=0, second=0) + timedelta(days=1):
        time.sleep(1)
    return moment


@pytest.fixture
def setting(api):
    company = api.company()
    skillbase = api.skillbase(company)
    return company, skillbase, api.campaign(company, skillbase)


def read(url, query, until, accept="application/x-ndjson"):
    """Messages up to the first that `until` likes."""
    seen, deadline = [], time.monotonic() + 60
    with httpx.stream("GET", f"{url}{WATCH}?{query}", headers={"Accept": accept}, timeout=60) as answer:
        assert answer.status_code == 200, answer.read()
        event = {}
        for line in lines_of(answer):
            if accept == "text/event-stream":
                if line:
                    key, _, value = line.partition(": ")
                    event[key] = value
                    continue
                if "data" not in event:
                    continue
                line, kind = event["data"], event["event"]
                assert json.loads(line)["type"] == kind and json.loads(line)["seq"] == int(event["id"])
                event = {}
            seen.append(json.loads(line))
            if until(seen[-1]):
                return seen
            assert time.monotonic() < deadline, seen[-1]


def lines_of(answer):
    """As they come: iter_lines() of this httpx holds the last one back."""
    rest = ""
    for text in answer.iter_text():
        *whole, rest = (rest + text).split("\n")
        yield from whole


def ask_until(url, query, until, accept="application/x-ndjson"):
    messages = read(url, query, lambda m: m["type"] == "figures" and until(m["data"]), accept)
    assert [m["type"] for m in messages] == ["init"] + ["figures"] * (len(messages) - 1)
    seqs = [m["seq"] for m in messages]
    assert seqs[0] == 0 and seqs == sorted(set(seqs))
    return messages[0]["data"], messages[-1]["data"]


def report_some(api, company, **where):
    """Three calls: one under way, one a success, one a failure; latencies 100 and 300, known costs."""
    start = now()
    begin = started(company, 0, start, **where)
    report(api, new_id(), [begin, turn(2, 0, 0, start)])
    report(api, new_id(), [begin, turn(2, 0, 0, start, eou_latency=100, tts_characters=1000), finished(3, 0, start, outcome="success", livekit_duration_sec=0)])
    report(api, new_id(), [begin, turn(2, 0, 0, start, eou_latency=300, tts_characters=2000), finished(3, 0, start, status="failed", livekit_duration_sec=0)])


def near(value, expected):
    """Percentiles of many calls have a relative error of at most 2 %."""
    return abs(value - expected) <= 0.02 * expected


@pytest.mark.parametrize("accept", ["application/x-ndjson", "text/event-stream"])
def test_each_scope_counts_its_own_calls(platform, api, setting, accept):
    company, skillbase, campaign = setting
    report_some(api, company, skillbase_id=skillbase["id"], skillbase_version=1, campaign_id=campaign["id"])
    report_some(api, company)
    report_some(api, api.company())  # counts nowhere here
    both = ask_until(platform.url, f"company_id={company['id']}", lambda f: f["calls_today"] == 6 and f["active_calls"] == 2, accept)
    one = ask_until(platform.url, f"campaign_id={campaign['id']}", lambda f: f["calls_today"] == 3, accept)
    other = ask_until(platform.url, f"skillbase_id={skillbase['id']}", lambda f: f["calls_today"] == 3, accept)
    assert both[0] == {"company_id": company["id"], "campaign_id": None, "skillbase_id": None, "name": company["name"], "interval_ms": 1000}
    assert one[0]["campaign_id"] == campaign["id"] and one[0]["name"] == campaign["name"] and one[0]["company_id"] == company["id"]
    assert other[0]["skillbase_id"] == skillbase["id"] and other[0]["name"] == skillbase["name"]
    for figures, times in ((both[1], 2), (one[1], 1), (other[1], 1)):
        assert figures["active_calls"] == times and figures["calls_today"] == 3 * times
        assert figures["outcomes_today"] == {"success": times, "unknown": times}
        assert near(figures["p50_eou_latency"], 100) and near(figures["p95_eou_latency"], 300)
        assert abs(figures["spend_today"] - 0.045 * times) < 1e-9
        assert figures["calls_per_minute"] <= 3 * times


def test_figures_move_while_they_are_watched(platform, api, setting):
    company, _, _ = setting
    call, start = new_id(), now()

    async def watch():
        async with websockets.connect(f"ws://{platform.http}{SOCKET}?company_id={company['id']}") as ws:
            async def until(condition):
                while True:
                    message = json.loads(await asyncio.wait_for(ws.recv(), 30))
                    if message["type"] == "figures" and condition(message["data"]):
                        return message["data"]
            init = json.loads(await asyncio.wait_for(ws.recv(), 30))
            assert (init["type"], init["seq"]) == ("init", 0)
            empty = await until(lambda f: True)
            assert (empty["active_calls"], empty["calls_today"], empty["outcomes_today"], empty["p50_eou_latency"], empty["spend_today"]) == (0, 0, {}, None, 0)
            await asyncio.to_thread(report, api, call, [started(company, 0, start), turn(2, 0, 0, start, eou_latency=200, tts_characters=1000)])
            await until(lambda f: f["active_calls"] == 1 and f["calls_today"] == 1)
            await asyncio.to_thread(report, api, call, [finished(3, 0, start, outcome="voicemail", livekit_duration_sec=0)])
            last = await until(lambda f: f["outcomes_today"] == {"voicemail": 1})
            assert last["active_calls"] == 0 and abs(last["spend_today"] - 0.015) < 1e-9 and near(last["p95_eou_latency"], 200)
            # One message a second: a few of them follow each other, in order.
            seqs = [json.loads(await asyncio.wait_for(ws.recv(), 30))["seq"] for _ in range(3)]
            assert seqs == sorted(set(seqs))
            await ws.send("ping")
            while (text := await asyncio.wait_for(ws.recv(), 30)) != "pong":
                assert json.loads(text)["type"] == "figures"
    asyncio.run(watch())


def test_who_joins_later_gets_init_too_and_all_share_one_stream(platform, api, setting):
    company, _, _ = setting
    wait_until(lambda: watching(platform) == 0, what="no watchers")

    async def watch():
        uri = f"ws://{platform.http}{SOCKET}?company_id={company['id']}"
        first = await websockets.connect(uri)
        for _ in range(2):
            await asyncio.wait_for(first.recv(), 30)
        others = await asyncio.gather(*(websockets.connect(uri) for _ in range(40)))
        for ws in others:
            kinds = [json.loads(await asyncio.wait_for(ws.recv(), 30))["type"] for _ in range(3)]
            assert kinds == ["init", "figures", "figures"]
        assert await asyncio.to_thread(watching, platform) == 41
        assert await asyncio.to_thread(gauge, platform.url, "dialplane_live_streams") <= 64  # one for each of the gateway's threads
        for ws in [first, *others]:
            await ws.close()
    asyncio.run(watch())
    wait_until(lambda: watching(platform) == 0, what="the release of all watchers")
    wait_until(lambda: gauge(platform.url, "dialplane_live_streams") == 0, what="the release of all streams")


def test_over_grpc(analytics, api, setting):
    company, _, campaign = setting
    stream = analytics.WatchLive({"campaign_id": campaign["id"]}, timeout=60)
    init, first, second = (next(stream) for _ in range(3))
    assert init.WhichOneof("event") == "init" and (init.init.company_id, init.init.campaign_id) == (company["id"], campaign["id"])
    assert [(m.WhichOneof("event"), m.seq) for m in (first, second)] == [("figures", 1), ("figures", 2)]
    # Once a second, by the clock of the one who counts.
    assert 0.1 < second.figures.at.ToMicroseconds() / 1e6 - first.figures.at.ToMicroseconds() / 1e6 < 30
    stream.cancel()


def test_unknown_and_wrong(platform, api, analytics, setting):
    company, _, campaign = setting
    for name in ("company", "campaign", "skillbase"):
        answer = api.problem("GET", f"{WATCH}?{name}_id={NOBODY}", 404)
        assert name in answer["detail"] and NOBODY in answer["detail"]
    assert list(fields(api.problem("GET", WATCH, 400))) == ["company_id"]
    api.problem("GET", f"{WATCH}?company_id={company['id']}&campaign_id={campaign['id']}", 400)
    api.problem("GET", f"{WATCH}?company_id=x", 400)
    api.problem("GET", f"{WATCH}?company_id={company['id']}&colour=red", 400)
    with pytest.raises(grpc.RpcError) as error:
        next(iter(analytics.WatchLive({"skillbase_id": NOBODY}, timeout=30)))
    assert error.value.code() == grpc.StatusCode.NOT_FOUND

    async def watch():
        async with websockets.connect(f"ws://{platform.http}{SOCKET}?campaign_id={NOBODY}") as ws:
            message = json.loads(await asyncio.wait_for(ws.recv(), 30))
            assert message["type"] == "error" and NOBODY in message["message"]
            with pytest.raises(websockets.ConnectionClosed):
                await asyncio.wait_for(ws.recv(), 30)
            assert ws.close_code == 4404
    asyncio.run(watch())


def test_deleted_while_watched(analytics, api):
    company = api.company()
    stream = analytics.WatchLive({"company_id": company["id"]}, timeout=60)
    assert next(stream).WhichOneof("event") == "init" and next(stream).WhichOneof("event") == "figures"
    api.ok("DELETE", f"/api/companies/{company['id']}", 204)
    with pytest.raises(grpc.RpcError) as error:
        for _ in stream:
            pass
    assert error.value.code() == grpc.StatusCode.NOT_FOUND
