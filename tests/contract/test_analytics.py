"""Analytics over REST and gRPC: events in, history, the figures of one call and of many, all recomputed here."""

import math
import random
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import grpc
import pytest

from agents import (LATENCIES, START, Rpc, aggregate, at, details, figures, finished, new_id, random_call, report, same_aggregates, same_figures, seconds_between,
                    started, status, turn)
from clients import NOBODY, micros
from conftest import fields

SUMMARY = {"id", "skillbase_id", "campaign_id", "phone_number", "outcome", "duration_sec", "turn_count", "status", "started_at", "ended_at",
           "avg_eou_latency", "cost_total"}


@pytest.fixture(scope="module")
def company(api):
    return api.company()


@pytest.fixture
def analytics(stubs, platform):
    with Rpc(stubs, platform.analytics, "AnalyticsService") as rpc:
        yield rpc


def get(api, call, tail=""):
    return api.ok("GET", f"/api/analytics/calls/{call}{tail}")


def short(company, **end):
    return [started(company, 0), turn(2, 0, 1, role="user", content="Да?"), turn(3, 1, 2.5, eou_latency=800), finished(4, 30, **end)]


# --- reports ----------------------------------------------------------------------------------------------------------

def test_one_call_event_by_event(api, company):
    skillbase = api.skillbase(company)
    campaign = api.campaign(company, skillbase)
    call, task = new_id(), new_id()
    first = started(company, 0, skillbase_id=skillbase["id"], skillbase_version=1, campaign_id=campaign["id"], task_id=task, phone_number="+12015550100")
    assert report(api, call, [first]) == {"accepted": 1, "duplicates": 0, "last_seq": 1}
    shown = get(api, call)
    expected = {"id": call, "company_id": company["id"], "skillbase_id": skillbase["id"], "skillbase_version": 1, "campaign_id": campaign["id"],
                "task_id": task, "phone_number": "+12015550100", "outcome": None, "duration_sec": 0, "turn_count": 0, "status": "active",
                "ended_at": None, "last_seq": 1, "metrics": None, "turns": [], "turns_truncated": False}
    assert {k: shown[k] for k in expected} == expected and shown["started_at"] == at(0)
    api.problem("GET", f"/api/analytics/calls/{call}/metrics", 404)
    said = {"role": "user", "content": "Привет", "state_id": "greeting", "ttfb_stt": 120.5, "stt_duration_sec": 1.25, "interrupted": True}
    report(api, call, [turn(2, 0, 1.5, **said)])
    report(api, call, [status(3, 2, outcome="callback", reason="asks to be called")])
    shown = get(api, call)
    assert (shown["status"], shown["turn_count"], shown["last_seq"], shown["duration_sec"]) == ("active", 1, 3, 2)
    [record] = shown["turns"]
    assert (record["seq"], record["occurred_at"]) == (2, at(1.5))
    assert {k: record["turn"][k] for k in said} == said
    assert record["turn"]["eou_latency"] is None and record["turn"]["llm_input_tokens"] == 0 and record["turn"]["turn_index"] == 0
    report(api, call, [finished(4, 61.2345, outcome="success", outcome_confidence=0.9, outcome_reason="bought", sentiment_score=-0.25)])
    shown = get(api, call)
    assert (shown["status"], shown["outcome"], shown["duration_sec"], shown["ended_at"]) == ("completed", "success", 61.234, at(61.2345))
    metrics = get(api, call, "/metrics")
    assert metrics == shown["metrics"] and metrics["call_id"] == call
    assert (metrics["outcome"], metrics["outcome_confidence"], metrics["outcome_reason"], metrics["sentiment_score"]) == ("success", 0.9, "bought", -0.25)
    assert micros(metrics["created_at"]) > 0
    api.problem("GET", f"/api/analytics/calls/{NOBODY}", 404)
    assert NOBODY in api.problem("GET", f"/api/analytics/calls/{NOBODY}/metrics", 404)["detail"]
    api.problem("GET", "/api/analytics/calls/x/metrics", 400)


def test_an_earlier_outcome_holds_when_the_end_has_none(api, company):
    call = new_id()
    report(api, call, [started(company), status(2, 1, outcome="voicemail")])
    report(api, call, [turn(3, 0, 2), finished(4, 3)])
    assert get(api, call)["outcome"] == get(api, call, "/metrics")["outcome"] == "voicemail"


def test_repeats_are_harmless(api, company):
    call, events = new_id(), short(company, outcome="success")
    assert report(api, call, events[:2])["accepted"] == 2
    assert report(api, call, events[:2]) == {"accepted": 0, "duplicates": 2, "last_seq": 2}
    assert report(api, call, events[1:]) == {"accepted": 2, "duplicates": 1, "last_seq": 4}
    before = (get(api, call), get(api, call, "/metrics"))
    for batch in (events, events[3:], events[:1]):
        assert report(api, call, batch) == {"accepted": 0, "duplicates": len(batch), "last_seq": 4}
    assert (get(api, call), get(api, call, "/metrics")) == before


def test_repeats_at_the_same_time(api, company):
    """Many reporters of one call, all from the beginning: every event is stored once."""
    call, events = new_id(), random_call(random.Random(5), company, turns=40)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: report(api, call, events[:n]), [10, 20, 30, len(events)] * 6))
    assert sum(a["accepted"] for a in answers) == len(events)
    shown = get(api, call)
    assert (shown["turn_count"], shown["last_seq"]) == (40, len(events)) and [t["turn"]["turn_index"] for t in shown["turns"]] == list(range(40))
    same_figures(get(api, call, "/metrics"), figures([e["turn"] for e in events[1:-1]], events[-1]["finished"], shown["duration_sec"]))


@pytest.mark.parametrize("case, reason, words", [
    ("gap", "SEQUENCE_GAP", "seq 4"), ("reuse", "SEQUENCE_REUSED", "seq 2"), ("reused start", "SEQUENCE_REUSED", "seq 1"),
    ("after the end", "CALL_FINISHED", "seq 4"), ("not started", "CALL_NOT_STARTED", "started"),
])
def test_conflicts(api, company, analytics, case, reason, words):
    call, events = new_id(), short(company)
    if case != "not started":
        report(api, call, events if case == "after the end" else events[:3])
    batch = {"gap": [turn(5, 5, 5)], "reuse": [turn(2, 0, 1, content="other"), events[2]], "reused start": [started(company, 1)],
             "after the end": [turn(5, 2, 40)], "not started": [turn(2, 0, 1)]}[case]
    before = api.client.get(f"/api/analytics/calls/{call}").text if case != "not started" else None
    problem = report(api, call, batch, 409)
    assert words in problem["detail"] and problem["code"] == "FAILED_PRECONDITION"
    with pytest.raises(grpc.RpcError) as error:
        analytics.ReportCallEventBatch({"call_id": call, "events": batch})
    assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION and details(error.value)[0] == reason
    if before:
        assert api.client.get(f"/api/analytics/calls/{call}").text == before
    else:
        api.problem("GET", f"/api/analytics/calls/{call}", 404)


def without(event, key):
    return {k: v for k, v in event.items() if k != key}


@pytest.mark.parametrize("events, wrong", [
    (lambda c: [], {"events"}),
    (lambda c: [{**started(c), "seq": 0}], {"events[0].seq"}),
    (lambda c: [started(c), turn(3, 0, 1)], {"events[1].seq"}),
    (lambda c: [started(c), turn(2, 0, 1), turn(2, 1, 1)], {"events[2].seq"}),
    (lambda c: [turn(2, 0, 1), turn(1, 0, 1)], {"events[1].seq", "events[1]"}),
    (lambda c: [turn(1, 0, 1)], {"events[0]"}),
    (lambda c: [started(c), {**started(c), "seq": 2}], {"events[1].started"}),
    (lambda c: [started(c), finished(2, 1), turn(3, 0, 2)], {"events[2]"}),
    (lambda c: [started(c), finished(2, 1, status="active")], {"events[1].finished.status"}),
    (lambda c: [started(c), status(2, 1, status="completed")], {"events[1].status.status"}),
    (lambda c: [started(c), {"seq": 2, "occurred_at": at(1)}], {"events[1]"}),
    (lambda c: [without(started(c), "occurred_at")], {"events[0].occurred_at"}),
    (lambda c: [started({"id": "x"})], {"events[0].started.company_id"}),
    (lambda c: [started(c, skillbase_id="x", campaign_id="y", task_id="z", phone_number="1" * 33, skillbase_version=0)],
     {f"events[0].started.{k}" for k in ("skillbase_id", "campaign_id", "task_id", "phone_number", "skillbase_version")}),
    (lambda c: [started(c), turn(2, -1, 1, role="ghost", content="x" * 20001)], {f"events[1].turn.{k}" for k in ("turn_index", "role", "content")}),
    (lambda c: [started(c), turn(2, 0, 1, ttfb_stt=-1, latency_llm=600001, eou_latency=-0.1, llm_input_tokens=-1, tts_characters=-5, stt_duration_sec=-1)],
     {f"events[1].turn.{k}" for k in ("ttfb_stt", "latency_llm", "eou_latency", "llm_input_tokens", "tts_characters", "stt_duration_sec")}),
    (lambda c: [started(c), turn(2, 0, 1, ttfb_tts="NaN")], {"events[1].turn.ttfb_tts"}),
    (lambda c: [started(c), turn(2, 0, 1, stt_duration_sec=1.2345)], {"events[1].turn.stt_duration_sec"}),
    (lambda c: [started(c), finished(2, 1, outcome="Not A Word", outcome_confidence=1.01, sentiment_score=-2, livekit_duration_sec=-1)],
     {f"events[1].finished.{k}" for k in ("outcome", "outcome_confidence", "sentiment_score", "livekit_duration_sec")}),
    (lambda c: [started(c), finished(2, 1, sentiment_score=3)], {"events[1].finished.sentiment_score"}),
    (lambda c: [started(c), turn(2, 0, 1, llm_output_tokens=-1)], {"events[1].turn.llm_output_tokens"}),
    (lambda c: [started(c), {**turn(2, 0, 1), "colour": 1}], {"events[1].colour"}),
    (lambda c: [started(c), turn(2, 0, 1, mood="x")], {"events[1].turn.mood"}),
    (lambda c: [started(c)] + [turn(i, i, i) for i in range(2, 503)], {"events"}),
    (lambda c: [started(c, 0, datetime.now(timezone.utc) + timedelta(days=2))], {"events[0].occurred_at"}),
    (lambda c: [started(c, 0, datetime(1969, 12, 31, tzinfo=timezone.utc))], {"events[0].occurred_at"}),
])
def test_wrong_events(api, company, events, wrong):
    call = new_id()
    problem = report(api, call, events(company), 400)
    assert set(fields(problem)) == wrong
    api.problem("GET", f"/api/analytics/calls/{call}", 404)


def test_two_things_in_one_event(api, company):
    problem = report(api, new_id(), [{**started(company), "turn": {"turn_index": 0, "role": "user"}}], 400)
    assert "turn" in str(problem["errors"]) + problem["detail"]


def test_a_turn_of_ten_megabytes(api, company, analytics):
    """Too large for a body, and for a message; the call is as before."""
    call = new_id()
    report(api, call, [started(company)])
    problem = report(api, call, [turn(2, 0, 1, content="x" * 10_000_000)], 413)
    assert problem["detail"]
    for size, code in ((10_000_000, grpc.StatusCode.RESOURCE_EXHAUSTED), (1_000_000, grpc.StatusCode.INVALID_ARGUMENT)):
        with pytest.raises(grpc.RpcError) as error:
            analytics.ReportCallEventBatch({"call_id": call, "events": [turn(2, 0, 1, content="x" * size)]})
        assert error.value.code() == code
    assert get(api, call)["last_seq"] == 1


def test_forged_page_tokens(api, company):
    """A token with one byte changed, cut off, or made up is refused; one that was made for another place only says where to start."""
    for i in range(3):
        report(api, new_id(), [started(company, i)])
    token = api.ok("GET", "/api/analytics/calls", params={"company_id": company["id"], "page_size": 1})["next_page_token"]
    for forged in (token[:-1], token + "A", token[:5] + ("B" if token[5] != "B" else "C") + token[6:], "A" * len(token), token[::-1]):
        problem = api.problem("GET", "/api/analytics/calls", 400, params={"company_id": company["id"], "page_token": forged})
        assert set(fields(problem)) == {"page_token"}


def test_unknown_owners(api, company):
    stranger = api.company()
    skillbase = api.skillbase(stranger)
    campaign = api.campaign(stranger, skillbase)
    for values, wrong in (({"company": {"id": NOBODY}}, "company_id"), ({"skillbase_id": NOBODY}, "skillbase_id"), ({"skillbase_id": skillbase["id"]}, "skillbase_id"),
                          ({"campaign_id": campaign["id"]}, "campaign_id"), ({"campaign_id": NOBODY}, "campaign_id")):
        call = new_id()
        problem = report(api, call, [started(values.pop("company", company), **values), turn(2, 0, 1)], 400)
        assert set(fields(problem)) == {f"events[0].started.{wrong}"}
        api.problem("GET", f"/api/analytics/calls/{call}", 404)


@pytest.mark.parametrize("name, value", [("ttfb_stt", math.nan), ("eou_latency", math.inf), ("latency_llm", -math.inf)])
def test_nan_over_grpc(analytics, company, name, value):
    call = new_id()
    request = analytics.message("ReportCallEventsRequest", {"call_id": call, "events": [started(company), turn(2, 0, 1)]})
    setattr(request.events[1].turn, name, value)
    with pytest.raises(grpc.RpcError) as error:
        analytics.ReportCallEventBatch(request)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT and set(details(error.value)[1]) == {f"events[1].turn.{name}"}


def test_stream_of_batches(api, company, analytics):
    """One stream, several calls; the answer sums up. An error ends it, and what came before stays: sending all of it again is harmless."""
    calls = [(new_id(), random_call(random.Random(i), company)) for i in range(3)]
    batches = [(call, events[i:i + 4]) for call, events in calls for i in range(0, len(events), 4)]
    messages = [analytics.message("ReportCallEventsRequest", {"call_id": call, "events": events}) for call, events in batches]
    total = sum(len(events) for _, events in calls)
    bad = analytics.message("ReportCallEventsRequest", {"call_id": calls[0][0], "events": [turn(9999, 1, 1)]})
    with pytest.raises(grpc.RpcError) as error:
        analytics.ReportCallEvents(iter([messages[0], bad, *messages[1:]]))
    assert details(error.value)[0] == "SEQUENCE_GAP"
    assert get(api, calls[0][0])["last_seq"] == len(batches[0][1])
    answer = analytics.ReportCallEvents(iter(messages))
    assert (answer.accepted, answer.duplicates, answer.last_seq) == (total - len(batches[0][1]), len(batches[0][1]), len(calls[2][1]))
    answer = analytics.ReportCallEvents(iter(messages))
    assert (answer.accepted, answer.duplicates) == (0, total)
    for call, events in calls:
        assert get(api, call)["last_seq"] == len(events)
    assert analytics.ReportCallEvents(iter([])).accepted == 0


def test_reports_of_different_encodings_are_the_same(api, company, analytics):
    """What was reported over REST is a repetition over gRPC."""
    call, events = new_id(), random_call(random.Random(11), company, turns=5)
    report(api, call, events[:4])
    answer = analytics.ReportCallEventBatch({"call_id": call.upper(), "events": events[:4]})
    assert (answer.accepted, answer.duplicates) == (0, 4)


# --- figures of one call ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("seed", range(8))
def test_figures_of_random_calls(api, company, seed):
    rng = random.Random(seed)
    call, events = new_id(), random_call(rng, company)
    i = 0
    while i < len(events):
        n = rng.randrange(1, 6)
        report(api, call, events[i:i + n])
        i += n
    shown = get(api, call)
    turns = [t["turn"] for t in shown["turns"]]
    # What is shown is what was reported …
    for got, event in zip(turns, events[1:]):
        assert {k: got[k] for k in event["turn"]} == event["turn"]
    assert shown["turn_count"] == len(turns) == len(events) - 2
    assert shown["duration_sec"] == seconds_between(shown["started_at"], shown["ended_at"])
    # … and the figures are made of it.
    same_figures(get(api, call, "/metrics"), figures(turns, events[-1]["finished"], shown["duration_sec"]))


@pytest.mark.parametrize("usage, component, expected", [
    ({"stt_duration_sec": 60}, "cost_stt", 0.0043), ({"llm_input_tokens": 1000000}, "cost_llm", 0.05), ({"llm_output_tokens": 1000000}, "cost_llm", 0.08),
    ({"tts_characters": 1000}, "cost_tts", 0.015), ({"tts_characters": 1}, "cost_tts", 0.000015),
    # Half up, once, after adding input and output: 10 × 0.05 = 0.5 micro-dollars; 9.99… below.
    ({"llm_input_tokens": 10}, "cost_llm", 0.000001), ({"llm_input_tokens": 9}, "cost_llm", 0), ({"llm_input_tokens": 29}, "cost_llm", 0.000001),
    ({"llm_input_tokens": 30}, "cost_llm", 0.000002), ({"llm_input_tokens": 2, "llm_output_tokens": 5}, "cost_llm", 0.000001),
    ({"stt_duration_sec": 0.007}, "cost_stt", 0.000001), ({"stt_duration_sec": 0.006}, "cost_stt", 0), ({}, "cost_stt", 0), ({}, "cost_llm", 0),
    ({"llm_input_tokens": 1000000000, "llm_output_tokens": 1000000000}, "cost_llm", 130), ({"stt_duration_sec": 86400}, "cost_stt", 6.192),
])
def test_prices(api, company, usage, component, expected):
    call = new_id()
    report(api, call, [started(company), turn(2, 0, 1, **usage), finished(3, 1, livekit_duration_sec=0)])
    metrics = get(api, call, "/metrics")
    assert metrics[component] == expected and metrics[component] is not None
    assert metrics["cost_total"] == expected and metrics["cost_livekit"] == 0


@pytest.mark.parametrize("seconds, expected", [(60, 0.004), (0.0075, 0), (0.008, 0.000001), (7.5, 0.0005), (0, 0), (86400, 5.76)])
def test_price_of_the_media_server(api, company, seconds, expected):
    """Reported, or the length of the call."""
    calls = [new_id(), new_id()]
    report(api, calls[0], [started(company), finished(2, seconds)])
    report(api, calls[1], [started(company), finished(2, 5, livekit_duration_sec=math.floor(seconds * 1000) / 1000)])
    for call in calls:
        metrics = get(api, call, "/metrics")
        assert (metrics["cost_livekit"], metrics["cost_total"]) == (expected, expected)


def test_percentiles_are_by_nearest_rank(api, company):
    call = new_id()
    values = [float(v) for v in range(1, 101)]
    random.Random(1).shuffle(values)
    report(api, call, [started(company)] + [turn(i + 2, i, i, eou_latency=v) for i, v in enumerate(values)] + [finished(102, 200)])
    metrics = get(api, call, "/metrics")
    assert [metrics[f"{p}_eou_latency"] for p in ("min", "p50", "p95", "p99", "max", "avg")] == [1, 50, 95, 99, 100, 50.5]
    assert all(metrics[f"{p}_{name}"] is None for name in LATENCIES[:3] for p in ("avg", "min", "max", "p50", "p95", "p99"))


def test_a_call_of_many_batches(api, company):
    """More turns than are read at once, and more than GET shows."""
    call, count = new_id(), 2300
    report(api, call, [started(company)])
    for first in range(2, count + 2, 500):
        batch = [turn(seq, seq - 2, seq / 10, latency_llm=seq % 700, tts_characters=3) for seq in range(first, min(first + 500, count + 2))]
        assert report(api, call, batch)["accepted"] == len(batch)
    report(api, call, [finished(count + 2, 1000)])
    shown = get(api, call)
    assert (shown["turn_count"], len(shown["turns"]), shown["turns_truncated"], shown["last_seq"]) == (count, 2000, True, count + 2)
    values = [seq % 700 for seq in range(2, count + 2)]
    same_figures(shown["metrics"], figures([{"latency_llm": float(v), "tts_characters": 3} for v in values], {}, 1000))


# --- history ----------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def many(api):
    """A company with 60 calls over ten days: (company, [what each must look like])."""
    rng, company = random.Random(42), api.company()
    skillbases = [api.skillbase(company) for _ in range(2)]
    campaigns = [api.campaign(company, s) for s in skillbases]
    calls = []
    for number in range(60):
        start = START + timedelta(days=rng.randrange(-5, 5), seconds=rng.randrange(86400), microseconds=rng.randrange(1000000))
        if number in (3, 4, 5):  # equal times: the id decides
            start = START
        which = rng.choice([0, 1, None])
        values = {} if which is None else {"skillbase_id": skillbases[which]["id"], "campaign_id": campaigns[which]["id"]}
        call, events = str(uuid.UUID(int=rng.getrandbits(128), version=4)), random_call(rng, company, start, **values)
        if rng.random() < 0.2:
            events = events[:-1]
        report(api, call, events)
        shown = get(api, call)
        turns, end = [t["turn"] for t in shown["turns"]], events[-1].get("finished")
        calls.append({"id": call, "started": start, "status": end["status"] if end else "active", "outcome": end.get("outcome") if end else None,
                      "duration": seconds_between(events[0]["occurred_at"], max(e["occurred_at"] for e in events)), "turns": len(turns),
                      "metrics": figures(turns, end, seconds_between(events[0]["occurred_at"], events[-1]["occurred_at"])) if end else None,
                      "skillbase_id": values.get("skillbase_id"), "campaign_id": values.get("campaign_id")})
    return company, skillbases, campaigns, calls


def matching(calls, **filters):
    day = lambda text: datetime.strptime(text, "%Y-%m-%d").date()
    return [c for c in calls
            if all(filters.get(k) in (None, c[k]) for k in ("skillbase_id", "campaign_id", "outcome", "status"))
            and ("start_date" not in filters or c["started"].date() >= day(filters["start_date"]))
            and ("end_date" not in filters or c["started"].date() <= day(filters["end_date"]))]


def filter_sets(many):
    _, skillbases, campaigns, _ = many
    return [{}, {"skillbase_id": skillbases[0]["id"]}, {"campaign_id": campaigns[1]["id"]}, {"outcome": "success"}, {"status": "active"}, {"status": "completed"},
            {"status": "failed", "outcome": "busy"}, {"start_date": "2026-03-02"}, {"end_date": "2026-03-01"}, {"start_date": "2026-03-01", "end_date": "2026-03-03"},
            {"start_date": "2026-03-02", "end_date": "2026-03-02", "skillbase_id": skillbases[1]["id"]}, {"outcome": "never_heard"},
            {"skillbase_id": skillbases[0]["id"], "campaign_id": campaigns[1]["id"]}, {"status": "transferred", "end_date": "2026-03-04"}]


def test_history_filters(api, many):
    company, _, _, calls = many
    for filters in filter_sets(many):
        page = api.ok("GET", "/api/analytics/calls", params={"company_id": company["id"], "page_size": 100, **filters})
        expected = sorted(matching(calls, **filters), key=lambda c: (c["started"], c["id"]), reverse=True)
        assert [i["id"] for i in page["items"]] == [c["id"] for c in expected], filters
        assert (page["total"], page["page"], page["page_size"], page["next_page_token"]) == (len(expected), 1, 100, None)
        for item, call in zip(page["items"], expected):
            assert set(item) >= SUMMARY
            assert (item["status"], item["outcome"], item["turn_count"], item["duration_sec"]) == (call["status"], call["outcome"], call["turns"], call["duration"])
            assert (item["skillbase_id"], item["campaign_id"]) == (call["skillbase_id"], call["campaign_id"])
            assert item["cost_total"] == (call["metrics"]["cost_total"] if call["metrics"] else None)
            assert micros(item["started_at"]) == round(call["started"].timestamp() * 1000000)
            assert (item["ended_at"] is None) == (call["status"] == "active")
            if call["metrics"] and call["metrics"]["avg_eou_latency"] is not None:
                assert math.isclose(item["avg_eou_latency"], call["metrics"]["avg_eou_latency"], rel_tol=1e-12)
            else:
                assert item["avg_eou_latency"] is None


def test_history_pages(api, many):
    company, _, _, calls = many
    order = [c["id"] for c in sorted(calls, key=lambda c: (c["started"], c["id"]), reverse=True)]
    ask = lambda **parameters: api.ok("GET", "/api/analytics/calls", params={"company_id": company["id"], **parameters})
    assert [i["id"] for i in ask()["items"]] == order[:50] and ask()["page_size"] == 50
    by_page = [ask(page=n, page_size=7) for n in range(1, 11)]
    assert [[i["id"] for i in p["items"]] for p in by_page] == [order[i:i + 7] for i in range(0, 70, 7)]
    assert [p["page"] for p in by_page] == list(range(1, 11)) and {p["total"] for p in by_page} == {60}
    assert [p["next_page_token"] is None for p in by_page] == [False] * 8 + [True] * 2
    got, token = [], None
    while True:
        page = ask(page_size=9, **({"page_token": token} if token else {}))
        got += [i["id"] for i in page["items"]]
        token = page["next_page_token"]
        if not token:
            break
    assert got == order


def test_history_pages_are_stable(api):
    company = api.company()
    for i in range(5):
        report(api, new_id(), [started(company, i * 10)])
    first = api.ok("GET", "/api/analytics/calls", params={"company_id": company["id"], "page_size": 2})
    report(api, new_id(), [started(company, 1000)])
    rest = api.ok("GET", "/api/analytics/calls", params={"company_id": company["id"], "page_size": 100, "page_token": first["next_page_token"]})
    times = [i["started_at"] for i in first["items"] + rest["items"]]
    assert times == [at(s) for s in (40, 30, 20, 10, 0)]


@pytest.mark.parametrize("parameters, wrong", [
    ({"page": 0}, {"page"}), ({"page": 100001}, {"page"}), ({"page_size": 0}, {"page_size"}), ({"page_size": 101}, {"page_size"}), ({"page_token": "x"}, {"page_token"}),
    ({"company_id": "x", "skillbase_id": "y", "campaign_id": "z"}, {"company_id", "skillbase_id", "campaign_id"}), ({"outcome": "A B"}, {"outcome"}),
    ({"status": "asleep"}, {"status"}), ({"start_date": "2026-02-30"}, {"start_date"}), ({"end_date": "tomorrow"}, {"end_date"}), ({"start_date": "2026-1-1"}, {"start_date"}),
    ({"start_date": "2026-01-02", "end_date": "2026-01-01"}, {"end_date"}), ({"colour": "red"}, {"colour"}), ({"limit": "5"}, {"limit"}),
])
def test_wrong_history_parameters(api, parameters, wrong):
    assert set(fields(api.problem("GET", "/api/analytics/calls", 400, params=parameters))) == wrong


def test_page_and_token_exclude_each_other(api, many):
    company = many[0]
    token = api.ok("GET", "/api/analytics/calls", params={"company_id": company["id"], "page_size": 2})["next_page_token"]
    problem = api.problem("GET", "/api/analytics/calls", 400, params={"page_token": token, "page": 2})
    assert set(fields(problem)) == {"page_token"}
    # The token of another list is none of this one.
    for _ in range(2):
        api.campaign(company, many[1][0])
    other = api.ok("GET", "/api/campaigns", params={"limit": 1, "company_id": company["id"]})["next_page_token"]
    api.problem("GET", "/api/analytics/calls", 400, params={"page_token": other})


# --- figures of many calls --------------------------------------------------------------------------------------------

def test_aggregated_metrics(api, many):
    company, _, _, calls = many
    for filters in filter_sets(many):
        if not {"start_date", "end_date"} <= set(filters):
            filters = {"start_date": filters.get("start_date", "2026-02-01"), "end_date": filters.get("end_date", "2026-04-01"), **filters}
        got = api.ok("GET", "/api/analytics/metrics", params={"company_id": company["id"], **filters})
        expected = aggregate(matching(calls, **filters))
        assert (got["start_date"], got["end_date"]) == (filters["start_date"], filters["end_date"])
        assert (got["skillbase_id"], got["campaign_id"]) == (filters.get("skillbase_id"), filters.get("campaign_id"))
        same_aggregates(got, expected)
        # The history, counted, says the same.
        history = api.ok("GET", "/api/analytics/calls", params={"company_id": company["id"], "page_size": 100, **filters})
        assert history["total"] == got["total_calls"]
        assert math.isclose(sum(i["cost_total"] or 0 for i in history["items"]), got["total_cost"] or 0, abs_tol=1e-9)


def test_no_calls_at_all(api):
    company = api.company()
    got = api.ok("GET", "/api/analytics/metrics", params={"company_id": company["id"]})
    assert got["total_calls"] == 0 and got["outcome_distribution"] == {} and got["total_cost"] is None and got["avg_cost_per_call"] is None
    assert all(got[k] is None for k in ("avg_duration_sec", "avg_turn_count", "avg_eou_latency", "avg_interruption_rate", "p50_eou_latency", "cost_stt"))


def test_default_period(api):
    """The last 30 days, today included; one date given: 30 days from or until it."""
    company, today = api.company(), datetime.now(timezone.utc)
    for days in (0, 29, 30, 60):
        report(api, new_id(), [started(company, 0, today - timedelta(days=days))])
    ask = lambda **parameters: api.ok("GET", "/api/analytics/metrics", params={"company_id": company["id"], **parameters})
    got = ask()
    if got["end_date"] != today.strftime("%Y-%m-%d"):
        pytest.skip("midnight has passed")
    assert got["start_date"] == (today - timedelta(days=29)).strftime("%Y-%m-%d") and got["total_calls"] == 2
    ago = lambda days: (today - timedelta(days=days)).strftime("%Y-%m-%d")
    assert ask(end_date=ago(30))["total_calls"] == 1 and ask(end_date=ago(30))["start_date"] == ago(59)
    assert ask(start_date=ago(30))["total_calls"] == 3 and ask(start_date=ago(30))["end_date"] == ago(0)


def test_cost_per_call_is_half_up(api):
    company = api.company()
    for characters in (1, 0):  # 15 micro-dollars over two calls: 7.5 → 8
        report(api, new_id(), [started(company), turn(2, 0, 0, tts_characters=characters), finished(3, 0)])
    got = api.ok("GET", "/api/analytics/metrics", params={"company_id": company["id"], "start_date": "2026-03-01", "end_date": "2026-03-03"})
    assert (got["total_cost"], got["avg_cost_per_call"]) == (0.000015, 0.000008)
    report(api, new_id(), [started(company)])
    got = api.ok("GET", "/api/analytics/metrics", params={"company_id": company["id"], "start_date": "2026-03-01", "end_date": "2026-03-03"})
    assert (got["total_calls"], got["avg_cost_per_call"], got["outcome_distribution"]) == (3, 0.000005, {"unknown": 2})


@pytest.mark.parametrize("parameters, wrong", [
    ({"start_date": "2026-01-02", "end_date": "2026-01-01"}, {"end_date"}), ({"start_date": "2026-13-01"}, {"start_date"}), ({"company_id": "x"}, {"company_id"}),
    ({"start_date": "2000-01-01", "end_date": "2026-01-01"}, {"start_date"}), ({"start_date": "1990-01-01", "end_date": "2089-12-31"}, {"start_date"}), ({"start_date": "2999-01-01"}, {"start_date"}), ({"status": "x"}, {"status"}),
    ({"page": 1}, {"page"}),
])
def test_wrong_metrics_parameters(api, parameters, wrong):
    assert set(fields(api.problem("GET", "/api/analytics/metrics", 400, params=parameters))) == wrong
    if "page" not in parameters:
        assert set(fields(api.problem("GET", "/api/analytics/metrics/timeseries", 400, params=parameters))) == wrong


# --- time series ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("step, zone, start, end, steps, begins", [
    ("day", "UTC", "2026-02-25", "2026-03-08", 12, "2026-02-25T00:00:00.000000Z"),
    ("day", "Europe/Berlin", "2026-03-28", "2026-03-30", 3, "2026-03-27T23:00:00.000000Z"),
    ("hour", "Europe/Berlin", "2026-03-29", "2026-03-29", 23, "2026-03-28T23:00:00.000000Z"),
    ("hour", "America/New_York", "2025-11-02", "2025-11-02", 25, "2025-11-02T04:00:00.000000Z"),
    ("hour", "Asia/Kathmandu", "2026-03-02", "2026-03-02", 24, "2026-03-01T18:15:00.000000Z"),
    ("hour", "Australia/Lord_Howe", "2026-04-05", "2026-04-05", None, "2026-04-04T13:00:00.000000Z"),
    ("day", "America/Sao_Paulo", "2018-11-03", "2018-11-05", 3, "2018-11-03T03:00:00.000000Z"),
])
def test_steps(api, many, step, zone, start, end, steps, begins):
    got = api.ok("GET", "/api/analytics/metrics/timeseries", params={"company_id": many[0]["id"], "step": step, "timezone": zone, "start_date": start, "end_date": end})
    assert (got["step"], got["timezone"]) == (step, zone)
    points = got["points"]
    assert points[0]["start"] == begins and (steps is None or len(points) == steps)
    assert [p["start"] for p in points] == sorted({p["start"] for p in points})


@pytest.mark.parametrize("step, zone", [("day", "UTC"), ("hour", "UTC"), ("day", "Asia/Tokyo"), ("hour", "America/St_Johns")])
def test_series_adds_up(api, many, step, zone):
    """Each point is what counting the calls between its beginning and the next gives."""
    company, _, _, calls = many
    got = api.ok("GET", "/api/analytics/metrics/timeseries", params={"company_id": company["id"], "step": step, "timezone": zone,
                                                                    "start_date": "2026-02-20", "end_date": "2026-03-15"})
    starts = [micros(p["start"]) for p in got["points"]] + [2**62]
    assert sum(p["total_calls"] for p in got["points"]) == len(calls)
    for point, begins, ends in zip(got["points"], starts, starts[1:]):
        expected = aggregate([c for c in calls if begins <= round(c["started"].timestamp() * 1000000) < ends])
        same_figures(point, {k: expected[k] for k in ("total_calls", "completed_calls", "failed_calls", "avg_duration_sec", "avg_eou_latency", "total_cost")})


def test_series_limits(api):
    assert len(api.ok("GET", "/api/analytics/metrics/timeseries")["points"]) == 30
    problem = api.problem("GET", "/api/analytics/metrics/timeseries", 400, params={"step": "hour", "start_date": "2026-01-01", "end_date": "2026-12-31"})
    assert set(fields(problem)) == {"step"}
    assert set(fields(api.problem("GET", "/api/analytics/metrics/timeseries", 400, params={"timezone": "Mars/Olympus", "step": "week"}))) == {"timezone", "step"}


# --- conditional requests ---------------------------------------------------------------------------------------------

def test_etag_of_a_call(api, company):
    call, events = new_id(), short(company)
    report(api, call, events[:3])
    first = api.client.get(f"/api/analytics/calls/{call}")
    assert api.client.get(f"/api/analytics/calls/{call}", headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    report(api, call, events[3:])
    assert api.client.get(f"/api/analytics/calls/{call}", headers={"If-None-Match": first.headers["etag"]}).status_code == 200
