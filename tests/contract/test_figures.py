"""Figures of many calls against an independent count, price lists and re-rating, search by number, pages by the figures, --verify-rollups."""

import json
import random
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from agents import START, Rpc, at, costs, finished, new_id, psql, random_call, report, started, status, turn
from clients import NOBODY, micros
from conftest import PRESET, ROOT, fields, wait_until

ANALYTICS = ROOT / "build" / PRESET / "bin" / "dialplane-analytics"


def command(platform, *arguments, url=None):
    """dialplane-analytics as a command on the platform's database: (exit status, output)."""
    url = url or f"host={platform.data}/run user=dialplane dbname=dialplane"
    done = subprocess.run([str(ANALYTICS), "--database-url", url, "--log-level", "error", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=300)
    return done.returncode, done.stdout


def verify(platform):
    """The figures must agree with the calls at every moment, folded or not."""
    code, text = command(platform, "--verify-rollups")
    assert (code, text) == (0, "The figures agree with the calls.\n")


# --- the same figures, counted by SQL over the calls themselves -------------------------------------------------------

COUNT = """
select json_build_object('total_calls', count(*), 'completed_calls', count(*) filter (where c.status = 2), 'failed_calls', count(*) filter (where c.status = 3),
    'avg_duration_sec', avg(trunc(extract(epoch from c.ended_at - c.started_at) * 1000)) / 1000, 'avg_turn_count', avg(c.turn_count) filter (where c.ended_at is not null),
    'avg_eou_latency', avg(m.avg_eou_latency), 'avg_interruption_rate', avg(m.interruption_rate), 'total_cost', sum(m.cost_total) / 1000000.0,
    'cost_stt', sum(m.cost_stt) / 1000000.0, 'cost_llm', sum(m.cost_llm) / 1000000.0, 'cost_tts', sum(m.cost_tts) / 1000000.0,
    'cost_livekit', sum(m.cost_livekit) / 1000000.0, 'avg_cost_per_call', round(sum(m.cost_total) / count(*)) / 1000000,
    'p50_eou_latency', percentile_disc(0.50) within group (order by m.avg_eou_latency), 'p95_eou_latency', percentile_disc(0.95) within group (order by m.avg_eou_latency),
    'p99_eou_latency', percentile_disc(0.99) within group (order by m.avg_eou_latency))
from calls c left join call_metrics m on m.call_id = c.id where {where}"""
OUTCOMES = "select json_object_agg(o, n) from (select coalesce(outcome, 'unknown') o, count(*) n from calls c where ended_at is not null and {where} group by 1) x"
HISTORY = "select json_agg(id) from (select id from calls c where {where} order by started_at desc, id desc offset {skip} limit {rows}) x"


def where(filters):
    words = ["active", "completed", "failed", "transferred"]
    terms = [f"c.{key} = '{value}'" for key, value in filters.items() if key in ("company_id", "skillbase_id", "campaign_id", "outcome")]
    if "status" in filters:
        terms.append(f"c.status = {words.index(filters['status']) + 1}")
    if "start_date" in filters:
        terms.append(f"c.started_at >= '{filters['start_date']} 00:00:00+00'")
    if "end_date" in filters:
        terms.append(f"c.started_at < '{filters['end_date']} 00:00:00+00'::timestamptz + interval '24 hours'")
    return " and ".join(terms) or "true"


def close(got, expected, key):
    if expected is None or got is None:
        assert got is None and expected is None, f"{key}: {got} is not {expected}"
    else:
        tolerance = 0.02 if key.startswith("p") and key.endswith("_eou_latency") else 1e-9
        assert abs(float(got) - float(expected)) <= tolerance * abs(float(expected)) + 1e-9, f"{key}: {got} is not {expected}"


@pytest.fixture(scope="module")
def crowd(api):
    """Three companies with some hundred calls around a change of month: (companies, skillbases, campaigns)."""
    rng = random.Random(77)
    companies = [api.company() for _ in range(3)]
    skillbases = [[api.skillbase(c) for _ in range(2)] for c in companies]
    campaigns = [[api.campaign(c, s) for s in of] for c, of in zip(companies, skillbases)]

    def one(seed):
        rng = random.Random(seed)
        which, n = rng.randrange(3), rng.choice([0, 1, None])
        values = {} if n is None else {"skillbase_id": skillbases[which][n]["id"], "skillbase_version": rng.randrange(1, 4), "campaign_id": campaigns[which][rng.choice([n, 1 - n])]["id"]}
        start = START + timedelta(seconds=rng.choice([rng.randrange(-4 * 86400, 4 * 86400), rng.randrange(0, 3000)]), microseconds=rng.randrange(1000000))
        call, events = new_id(), random_call(rng, companies[which], start, **values)
        if rng.random() < 0.15:
            events = events[:-1]
        if rng.random() < 0.2 and len(events) > 2:
            events = [events[0], status(2, 0.001, start, outcome="callback")] + [{**e, "seq": e["seq"] + 1} for e in events[1:]]
        i = 0
        while i < len(events):
            n = rng.choice([1, 3, len(events)])
            report(api, call, events[i:i + n])
            i += n
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, [rng.randrange(2**32) for _ in range(300)]))
    return companies, [s for of in skillbases for s in of], [c for of in campaigns for c in of]


def random_filters(rng, crowd):
    companies, skillbases, campaigns = crowd
    filters = {"company_id": rng.choice(companies)["id"]}
    for key, choices in (("skillbase_id", [s["id"] for s in skillbases if s["company_id"] == filters["company_id"] or rng.random() < 0.1]),
                         ("campaign_id", [c["id"] for c in campaigns if c["company_id"] == filters["company_id"] or rng.random() < 0.1]),
                         ("outcome", ["success", "fail", "callback", "voicemail", "unknown", "never_heard"]),
                         ("status", ["active", "completed", "failed", "transferred"])):
        if rng.random() < 0.3:
            filters[key] = rng.choice(choices)
    if ("skillbase_id" in filters or "campaign_id" in filters) and rng.random() < 0.5:
        del filters["company_id"]
    first = START + timedelta(days=rng.randrange(-5, 5))
    filters["start_date"] = first.strftime("%Y-%m-%d")
    filters["end_date"] = (first + timedelta(days=rng.randrange(0, 9))).strftime("%Y-%m-%d")
    return filters


@pytest.mark.parametrize("seed", range(3))
def test_figures_equal_an_independent_count(platform, api, crowd, seed):
    rng = random.Random(seed)
    for _ in range(12):
        filters = random_filters(rng, crowd)
        got = api.ok("GET", "/api/analytics/metrics", params=filters)
        for key, value in json.loads(psql(platform, COUNT.format(where=where(filters)))).items():
            close(got[key], value, f"{key}")
        assert got["outcome_distribution"] == (json.loads(psql(platform, OUTCOMES.format(where=where(filters))) or "{}") or {})
        rows, page = rng.choice([1, 7, 20, 100]), rng.randrange(1, 5)
        history = api.ok("GET", "/api/analytics/calls", params={**filters, "page": page, "page_size": rows})
        assert history["total"] == got["total_calls"] and history["total_is_estimate"] is False
        expected = json.loads(psql(platform, HISTORY.format(where=where(filters), skip=(page - 1) * rows, rows=rows)) or "[]") or []
        assert [i["id"] for i in history["items"]] == expected
        assert (history["next_page_token"] is not None) == (history["total"] > page * rows)
    verify(platform)


@pytest.mark.parametrize("seed", range(3))
def test_pages_of_random_filters_by_token(platform, api, crowd, seed):
    rng = random.Random(100 + seed)
    for _ in range(5):
        filters, rows, got, token = random_filters(rng, crowd), rng.choice([1, 3, 10]), [], None
        expected = json.loads(psql(platform, HISTORY.format(where=where(filters), skip=0, rows=100000)) or "[]") or []
        while True:
            page = api.ok("GET", "/api/analytics/calls", params={**filters, "page_size": rows, **({"page_token": token} if token else {})})
            assert page["total"] == len(expected)
            got += [i["id"] for i in page["items"]]
            token = page["next_page_token"]
            if not token:
                break
        assert got == expected


@pytest.mark.parametrize("zone, step", [("Asia/Kolkata", "hour"), ("Asia/Kathmandu", "day"), ("UTC", "day"), ("America/New_York", "day"), ("Australia/Lord_Howe", "hour")])
def test_series_in_any_zone_equal_an_independent_count(platform, api, crowd, zone, step):
    first, last = (START - timedelta(days=4)).strftime("%Y-%m-%d"), (START + timedelta(days=4)).strftime("%Y-%m-%d")
    for filters in ({"company_id": crowd[0][0]["id"]}, {"campaign_id": crowd[2][1]["id"]}, {"company_id": crowd[0][1]["id"], "status": "completed"}):
        got = api.ok("GET", "/api/analytics/metrics/timeseries", params={**filters, "timezone": zone, "step": step, "start_date": first, "end_date": last})
        counted = json.loads(psql(platform, f"""select coalesce(json_object_agg(extract(epoch from step) * 1000000, n), '{{}}') from (
            select date_trunc('{step}', c.started_at, '{zone}') as step, count(*) as n from calls c where {where(filters)}
            and c.started_at >= '{first}'::timestamp at time zone '{zone}' and c.started_at < ('{last}'::date + 1)::timestamp at time zone '{zone}' group by 1) x"""))
        assert {str(micros(p["start"])): p["total_calls"] for p in got["points"] if p["total_calls"]} == {str(int(float(k))): v for k, v in counted.items()}


def test_figures_are_exact_at_every_moment(platform, api, stubs):
    """While reports come in, calls are folded and a company is deleted: what is served never contradicts itself, and at the end all is counted."""
    company, doomed = api.company(), api.company()
    stop, wrong = threading.Event(), []

    def look():
        while not stop.is_set():
            got = api.ok("GET", "/api/analytics/metrics", params={"company_id": company["id"], "start_date": "2026-02-20", "end_date": "2026-03-20"})
            if sum(got["outcome_distribution"].values()) > got["total_calls"] or got["completed_calls"] + got["failed_calls"] > got["total_calls"]:
                wrong.append(got)

    def one(seed):
        rng = random.Random(seed)
        owner = company if seed % 4 else doomed
        call, events = new_id(), random_call(rng, owner, START + timedelta(hours=rng.randrange(-100, 100)))
        for i in range(0, len(events), 5):
            report(api, call, events[i:i + 5])
    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(one, range(200)))
            verify(platform)
            list(pool.map(one, range(200, 300)))
        assert api.client.request("DELETE", f"/api/companies/{doomed['id']}").status_code == 204
    finally:
        stop.set()
        watcher.join()
    assert not wrong
    verify(platform)
    assert api.ok("GET", "/api/analytics/metrics", params={"company_id": company["id"], "start_date": "2026-02-20", "end_date": "2026-03-20"})["total_calls"] == 225
    # What it left behind goes in steps; whatever is left meanwhile counts nowhere.
    wait_until(lambda: psql(platform, "select count(*) from deleted_companies") == "0", 90, "the removal of the deleted company's calls")
    assert psql(platform, f"select (select count(*) from calls where company_id = '{doomed['id']}') + (select count(*) from call_index where company_id = '{doomed['id']}')") == "0"
    assert psql(platform, "select count(*) from call_events e where not exists (select from calls c where c.id = e.call_id)") == "0"
    wait_until(lambda: psql(platform, "select count(*) from call_figure_changes") == "0", what="all changes to be folded")
    verify(platform)
    # What counts nothing any more goes; should the service fold at this moment, the lock is its.
    wait_until(lambda: int(psql(platform, "select prune_call_figures()")) > 0, what="rows of nothing to go")
    verify(platform)


def test_verify_finds_what_is_wrong(platform, api, crowd):
    """A figure that somebody changed by hand is reported, and gone when it is put right."""
    wait_until(lambda: psql(platform, "select count(*) from call_figure_changes") == "0", what="all changes to be folded")
    psql(platform, "update call_figures set calls = calls + 1000000 where ctid = (select ctid from call_figures where calls > 0 limit 1)")
    code, text = command(platform, "--verify-rollups")
    psql(platform, "update call_figures set calls = calls - 1000000 where calls > 1000000")
    assert code == 1 and "differences." in text and "figures of" in text and "sums of" in text
    verify(platform)
    # Each kind of sum by itself: quarters of all, days of a campaign, histograms.
    for what, change, back in (("sums", "update call_figure_sums set cost_stt = cost_stt + 1000000000 where ctid = (select ctid from call_figure_sums where kind = 0 and minutes = 15 and calls > 0 limit 1)",
                                "update call_figure_sums set cost_stt = cost_stt - 1000000000 where cost_stt >= 1000000000"),
                               ("sums", "update call_figure_sums set turns = turns + 1000000000 where ctid = (select ctid from call_figure_sums where kind = 2 and minutes = 1440 and calls > 0 limit 1)",
                                "update call_figure_sums set turns = turns - 1000000000 where turns >= 1000000000"),
                               ("latencies", "update call_latencies set slots = slots || 999::smallint, counts = counts || 7::bigint where ctid = (select ctid from call_latencies where kind = 0 and status = 0 "
                                "and counts <> '{}' limit 1)", "update call_latencies set slots = trim_array(slots, 1), counts = trim_array(counts, 1) where 999 = any (slots)")):
        psql(platform, change)
        code, text = command(platform, "--verify-rollups")
        psql(platform, back)
        assert code == 1 and f"{what} of" in text, (what, text)
    verify(platform)


def test_a_skillbase_that_is_gone(platform, api):
    """Its calls stay, without it; what was counted under it stays as well."""
    company = api.company()
    skillbase = api.skillbase(company)
    call = new_id()
    report(api, call, [started(company, skillbase_id=skillbase["id"]), finished(2, 10)])
    ask = lambda: api.ok("GET", "/api/analytics/calls", params={"company_id": company["id"]})["items"][0]["skillbase_id"]
    assert ask() == skillbase["id"]
    assert api.client.request("DELETE", f"/api/skillbases/{skillbase['id']}").status_code == 204
    assert ask() is None and api.ok("GET", f"/api/analytics/calls/{call}")["skillbase_id"] is None
    verify(platform)


# --- search by number -------------------------------------------------------------------------------------------------

def test_a_number_with_very_many_calls(platform, api):
    """Matches of a number are counted to 10,000, and that is said; pages go on beyond."""
    company, number = api.company(), f"+1202556{random.randrange(10000):04}"
    psql(platform, f"""
        insert into calls (id, company_id, phone_number, status, started_at, ended_at, last_event_at, last_seq, turn_count)
            select gen_random_uuid(), '{company['id']}', '{number}', 2, '2026-05-01 00:00:00+00'::timestamptz + n * interval '1 second', '2026-06-01 00:00:00+00', '2026-06-01 00:00:00+00', 2, 0
            from generate_series(1, 10003) n;
        insert into call_figure_changes select quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, count(*), 0, sum(duration_ms), 0, 0, 0, 0, 0, 0, 0, 0,
            '{{}}', '{{}}' from counted_calls where company_id = '{company['id']}' group by 1, 2, 3, 4, 5, 6, 7""")
    ask = lambda **more: api.ok("GET", "/api/analytics/calls", params={"phone_number": number, "page_size": 100, **more})
    first, last = ask(), ask(page=101)
    assert (first["total"], first["total_is_estimate"], len(first["items"])) == (10000, True, 100) and first["next_page_token"]
    assert (last["total"], last["total_is_estimate"], len(last["items"]), last["next_page_token"]) == (10000, True, 3, None)
    # Without a number the figures know.
    all_ = api.ok("GET", "/api/analytics/calls", params={"company_id": company["id"]})
    assert (all_["total"], all_["total_is_estimate"]) == (10003, False)


def test_search_by_number(api):
    company, other = api.company(), api.company()
    number = f"+1202555{random.randrange(10000):04}{random.randrange(100):02}"
    calls = [new_id() for _ in range(7)]
    for i, call in enumerate(calls):
        report(api, call, [started(company, i, phone_number=number), *([finished(2, i + 5, outcome="success")] if i % 2 else [])])
    report(api, new_id(), [started(other, 0, phone_number=number)])
    report(api, new_id(), [started(company, 0, phone_number="+12025550000")])
    ask = lambda **more: api.ok("GET", "/api/analytics/calls", params={"phone_number": number, "company_id": company["id"], **more})
    page = ask()
    assert [i["id"] for i in page["items"]] == calls[::-1] and (page["total"], page["total_is_estimate"]) == (7, False)
    first = ask(page_size=4)
    rest = ask(page_size=4, page_token=first["next_page_token"])
    assert [i["id"] for i in first["items"] + rest["items"]] == calls[::-1] and rest["next_page_token"] is None
    assert [i["id"] for i in ask(page_size=3, page=3)["items"]] == calls[:1]
    assert ask(outcome="success")["total"] == 3 and ask(status="active")["total"] == 4
    assert api.ok("GET", "/api/analytics/calls", params={"phone_number": number})["total"] == 8
    assert ask(phone_number="+0")["total"] == 0
    assert set(fields(api.problem("GET", "/api/analytics/calls", 400, params={"phone_number": "1" * 33}))) == {"phone_number"}


# --- price lists ------------------------------------------------------------------------------------------------------

PRICES = {"stt_minute": 0.006, "llm_million_input_tokens": 0.5, "llm_million_output_tokens": 1.5, "tts_thousand_characters": 0.0301, "livekit_minute": 0.000000000001}
USED = {"stt_duration_sec": 60, "llm_input_tokens": 1000000, "llm_output_tokens": 1000000, "tts_characters": 1000}


def prices_of(company):
    return f"/api/companies/{company['id']}/prices"


def rated(api, company, start=START):
    call = new_id()
    report(api, call, [started(company, 0, start), turn(2, 0, 1, start, **USED), finished(3, 60, start, livekit_duration_sec=60)])
    return call


def test_price_lists(api):
    company = api.company()
    none = api.ok("GET", prices_of(company))
    assert none["items"] == [] and none["defaults"]["in_force"] is True
    assert {k: none["defaults"][k] for k in PRICES} == {"stt_minute": 0.0043, "llm_million_input_tokens": 0.05, "llm_million_output_tokens": 0.08,
                                                       "tts_thousand_characters": 0.015, "livekit_minute": 0.004}
    made = api.client.request("POST", prices_of(company), json={"valid_from": "2026-01-01T00:00:00Z", **PRICES})
    assert made.status_code == 201, made.text
    made = made.json()
    assert {k: made[k] for k in PRICES} == PRICES and made["in_force"] and made["company_id"] == company["id"]
    later = (datetime.now(timezone.utc) + timedelta(days=30)).strftime("%Y-%m-%dT00:00:00Z")
    future = api.client.request("POST", prices_of(company), json={"valid_from": later, "stt_minute": 1}).json()
    assert (future["in_force"], future["stt_minute"], future["livekit_minute"]) == (False, 1, 0.004)
    again = api.client.request("POST", prices_of(company), json={"valid_from": later, "stt_minute": 2}).json()
    assert (again["id"], again["stt_minute"]) == (future["id"], 2), "the same moment replaces"
    listed = api.ok("GET", prices_of(company))
    assert [p["id"] for p in listed["items"]] == [future["id"], made["id"]] and [p["in_force"] for p in listed["items"]] == [False, True]
    assert listed["defaults"]["in_force"] is False
    assert api.problem("DELETE", f"{prices_of(company)}/{made['id']}", 409)["code"] == "FAILED_PRECONDITION"
    assert api.client.request("DELETE", f"{prices_of(company)}/{future['id']}").status_code == 204
    api.problem("DELETE", f"{prices_of(company)}/{future['id']}", 404)
    api.problem("DELETE", f"{prices_of(api.company())}/{made['id']}", 404)
    now = api.client.request("POST", prices_of(company), json={}).json()
    assert now["in_force"] and now["stt_minute"] == 0.0043 and [p["in_force"] for p in api.ok("GET", prices_of(company))["items"]] == [True, False]


@pytest.mark.parametrize("body, wrong", [
    ({"stt_minute": -1}, {"stt_minute"}), ({"stt_minute": 1000.1, "livekit_minute": "x"}, {"livekit_minute"}), ({"stt_minute": 1001}, {"stt_minute"}),
    ({"tts_thousand_characters": 0.0000000000001}, {"tts_thousand_characters"}), ({"valid_from": "yesterday"}, {"valid_from"}),
    ({"valid_from": "1969-01-01T00:00:00Z"}, {"valid_from"}), ({"valid_from": "2101-01-01T00:00:00Z"}, {"valid_from"}), ({"colour": 1}, {"colour"}), ({"stt_minute": "NaN"}, {"stt_minute"}),
])
def test_wrong_prices(api, body, wrong):
    company = api.company()
    assert wrong <= set(fields(api.problem("POST", prices_of(company), 400, json=body)))
    assert api.ok("GET", prices_of(company))["items"] == []


def test_prices_of_nobody(api):
    for method, path in (("GET", ""), ("POST", ""), ("DELETE", f"/{NOBODY}")):
        api.problem(method, f"/api/companies/{NOBODY}/prices{path}", 404, **({"json": {}} if method == "POST" else {}))


def test_calls_are_rated_by_the_list_of_their_time(platform, api):
    """The list in force when a call began, for each call; re-rating follows the lists of today, figures included."""
    company, other = api.company(), api.company()
    api.client.request("POST", prices_of(company), json={"valid_from": at(0), **PRICES})
    before, after = rated(api, company, START - timedelta(microseconds=1)), rated(api, company, START)
    rated(api, other)
    cost = lambda call: {k: api.ok("GET", f"/api/analytics/calls/{call}/metrics")[k] for k in ("cost_stt", "cost_llm", "cost_tts", "cost_livekit", "cost_total")}
    default = {k: float(v) for k, v in costs(60, 1000000, 1000000, 1000, 60).items()}
    dear = {"cost_stt": 0.006, "cost_llm": 2, "cost_tts": 0.0301, "cost_livekit": 0, "cost_total": 2.0361}
    assert cost(before) == default and cost(after) == dear
    assert api.ok("GET", f"/api/analytics/calls/{after}")["metrics"]["cost_total"] == 2.0361
    total = lambda who: api.ok("GET", "/api/analytics/metrics", params={"company_id": who["id"], "start_date": "2026-02-01", "end_date": "2026-04-01"})["total_cost"]
    sum_before = total(company)
    assert Decimal(str(sum_before)) == Decimal(str(default["cost_total"])) + Decimal("2.0361")
    # A correction that reaches back: nothing changes until somebody asks for it.
    api.client.request("POST", prices_of(company), json={"valid_from": at(-86400), **PRICES, "livekit_minute": 1000})
    api.client.request("POST", prices_of(company), json={"valid_from": at(0), **{k: 0 for k in PRICES}})
    assert total(company) == sum_before
    day = START.strftime("%Y-%m-%d")
    code, text = command(platform, "--re-rate", "--company", company["id"], "--from", (START - timedelta(days=1)).strftime("%Y-%m-%d"), "--to", day)
    assert code == 0 and "Done: 2 calls rated, 2 changed." in text, text
    assert cost(before)["cost_livekit"] == 1000 and set(cost(after).values()) == {0}
    assert api.ok("GET", f"/api/analytics/calls/{after}")["metrics"]["cost_total"] == 0
    assert total(company) == 1002.0361 and total(other) == default["cost_total"]
    assert [i["cost_total"] for i in api.ok("GET", "/api/analytics/calls", params={"company_id": company["id"]})["items"]] == [0, 1002.0361]
    verify(platform)
    assert "2 calls rated, 0 changed" in command(platform, "--re-rate", "--company", company["id"], "--from", "2026-01-01", "--to", "2026-12-31")[1]


@pytest.mark.parametrize("arguments, words", [
    (["--re-rate"], "--company"), (["--re-rate", "--company", "x", "--from", "2026-01-01", "--to", "2026-01-02"], "--company"),
    (["--re-rate", "--company", NOBODY, "--from", "2026-13-01", "--to", "2026-01-02"], "--from"), (["--re-rate", "--company", NOBODY, "--from", "2026-01-01"], "--to"),
    (["--re-rate", "--company", NOBODY, "--from", "2026-01-02", "--to", "2026-01-01"], "--to"), (["--re-rate", "--verify-rollups"], "exclude"),
])
def test_wrong_commands(platform, arguments, words):
    code, text = command(platform, *arguments)
    assert code == 2 and words in text and text.count("\n") == 1


def test_a_long_period_is_re_rated_in_steps(platform, api):
    """More calls than one transaction takes, while others are reported."""
    company = api.company()
    psql(platform, f"""
        insert into calls (id, company_id, status, started_at, ended_at, last_event_at, last_seq, turn_count)
            select ('00000000-0000-4000-8000-' || lpad(to_hex(n + {random.randrange(2**40)}), 12, '0'))::uuid, '{company['id']}', 2,
                   '2026-05-01 00:00:00+00'::timestamptz + n * interval '7 seconds', '2026-05-01 00:01:00+00'::timestamptz + n * interval '7 seconds', now(), 2, 0
            from generate_series(1, 4500) n;
        insert into call_metrics select id, started_at, null, 0, 0, 0, 0, 0, 60000, 0, 0, 0, 4000, 4000, '' from calls where company_id = '{company['id']}';
        insert into call_figure_changes select quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, count(*), sum(measured), sum(duration_ms),
            sum(turns), 0, 0, 0, 0, 0, 0, sum(cost_livekit), '{{}}', '{{}}' from counted_calls where company_id = '{company['id']}' group by 1, 2, 3, 4, 5, 6, 7""")
    api.client.request("POST", prices_of(company), json={"valid_from": "2026-05-01T00:00:00Z", "livekit_minute": 0.5})
    code, text = command(platform, "--re-rate", "--company", company["id"], "--from", "2026-05-01", "--to", "2026-05-31")
    assert code == 0 and "Done: 4500 calls rated, 4500 changed." in text and text.count("\n") == 4
    got = api.ok("GET", "/api/analytics/metrics", params={"company_id": company["id"], "start_date": "2026-05-01", "end_date": "2026-05-31"})
    assert (got["total_cost"], got["total_calls"]) == (2250, 4500)
    verify(platform)
