"""Re-rating a period over REST and gRPC: steps that are continued by a token, figures that follow, wrong input. (The command: test_figures.py.)"""

import random
from datetime import timedelta

import pytest

from agents import START, finished, new_id, psql, report, started, turn
from clients import NOBODY
from conftest import fields
from test_figures import verify

DAY = START.strftime("%Y-%m-%d")


def where(company):
    return f"/api/companies/{company['id']}/prices/re-rate"


def add_calls(platform, company, count):
    """So many finished calls of one minute each, 0.004 dollars, from 2026-05-01 on, as reports would have left them."""
    psql(platform, f"""
        insert into calls (id, company_id, status, started_at, ended_at, last_event_at, last_seq, turn_count)
            select ('00000000-0000-4000-8000-' || lpad(to_hex(n + {random.randrange(2**40)}), 12, '0'))::uuid, '{company['id']}', 2,
                   '2026-05-01 00:00:00+00'::timestamptz + n * interval '7 seconds', '2026-05-01 00:01:00+00'::timestamptz + n * interval '7 seconds', now(), 2, 0
            from generate_series(1, {count}) n;
        insert into call_metrics select id, started_at, null, 0, 0, 0, 0, 0, 60000, 0, 0, 0, 4000, 4000, '' from calls where company_id = '{company['id']}';
        insert into call_figure_changes select quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, count(*), sum(measured), sum(duration_ms),
            sum(turns), 0, 0, 0, 0, 0, 0, sum(cost_livekit), '{{}}', '{{}}' from counted_calls where company_id = '{company['id']}' group by 1, 2, 3, 4, 5, 6, 7""")


def test_a_period_in_steps(platform, api):
    company, other = api.company(), api.company()
    add_calls(platform, company, 12500)
    add_calls(platform, other, 1)
    total = lambda who, **more: api.ok("GET", "/api/analytics/metrics", params={"company_id": who["id"], "start_date": "2026-05-01", "end_date": "2026-05-31", **more})["total_cost"]
    assert (total(company), total(other)) == (50, 0.004)
    api.ok("POST", f"/api/companies/{company['id']}/prices", 201, json={"valid_from": "2026-05-01T00:00:00Z", "livekit_minute": 0.5})
    period, token, steps = {"start_date": "2026-05-01", "end_date": "2026-05-31"}, None, []
    while not steps or token:
        steps.append(api.ok("POST", where(company), json={**period, **({"page_token": token} if token else {})}))
        token = steps[-1]["next_page_token"]
        # What is rated so far counts already, and nothing else.
        changed = sum(s["changed"] for s in steps)
        assert total(company) == pytest.approx(50 + changed * 0.496, abs=1e-6)
    assert len(steps) >= 2 and all(0 < s["rated"] <= 10000 for s in steps) and sum(s["rated"] for s in steps) == changed == 12500
    assert [s["rated_until"] for s in steps] == sorted(s["rated_until"] for s in steps) and steps[-1]["rated_until"].startswith("2026-05-02T00:18:20")
    assert (total(company), total(other), total(company, status="completed")) == (6250, 0.004, 6250)
    verify(platform)
    # Again: all is right already; a step repeated in the middle as well.
    again = api.ok("POST", where(company), json={**period, "page_token": steps[0]["next_page_token"]})
    assert (again["rated"], again["changed"], again["next_page_token"]) == (12500 - steps[0]["rated"], 0, None)
    # Only these days.
    assert api.ok("POST", where(company), json={"start_date": "2026-05-02", "end_date": "2026-05-02"})["rated"] == 158
    verify(platform)


def test_a_call_and_its_figures_follow(api):
    company = api.company()
    calls = [new_id() for _ in range(2)]
    for call in calls:
        report(api, call, [started(company), turn(2, 0, 1, tts_characters=1000), *([finished(3, 60, livekit_duration_sec=60)] if call == calls[0] else [])])
    api.ok("POST", f"/api/companies/{company['id']}/prices", 201, json={"valid_from": "2026-01-01T00:00:00Z", "tts_thousand_characters": 2, "livekit_minute": 3})
    assert api.ok("POST", where(company), json={"start_date": DAY, "end_date": DAY})["changed"] == 1
    assert api.ok("GET", f"/api/analytics/calls/{calls[0]}/metrics")["cost_total"] == 5
    assert api.ok("GET", f"/api/analytics/calls/{calls[0]}")["metrics"]["cost_total"] == 5
    assert api.ok("GET", "/api/analytics/metrics", params={"company_id": company["id"], "start_date": DAY, "end_date": DAY})["total_cost"] == 5
    # The one under way is rated when it ends, by the list that holds now.
    report(api, calls[1], [finished(3, 60, livekit_duration_sec=60)])
    assert api.ok("GET", "/api/analytics/metrics", params={"company_id": company["id"], "start_date": DAY, "end_date": DAY})["total_cost"] == 10
    empty = api.ok("POST", where(company), json={"start_date": "2025-01-01", "end_date": "2025-12-31"})
    assert empty == {"rated": 0, "changed": 0, "rated_until": None, "next_page_token": None}


def test_wrong_requests(platform, api):
    company, other = api.company(), api.company()
    period = {"start_date": DAY, "end_date": DAY}
    ask = lambda **body: fields(api.problem("POST", where(company), 400, json={**period, **body}))
    assert set(fields(api.problem("POST", where(company), 400, json={}))) == {"start_date", "end_date"}
    assert set(ask(start_date="2026-13-01")) == {"start_date"} and set(ask(end_date="yesterday")) == {"end_date"}
    assert set(ask(start_date=(START + timedelta(days=1)).strftime("%Y-%m-%d"))) == {"end_date"}
    assert set(ask(start_date="1926-01-01")) == {"start_date"}
    assert set(ask(page_token="forged")) == {"page_token"} and set(ask(colour="red")) == {"colour"}
    api.problem("POST", f"/api/companies/{NOBODY}/prices/re-rate", 404, json=period)
    api.problem("POST", "/api/companies/x/prices/re-rate", 400, json=period)
    # A token is of its company and period.
    add_calls(platform, company, 10001)
    wide = {"start_date": "2026-05-01", "end_date": "2026-05-31"}
    token = api.ok("POST", where(company), json=wide)["next_page_token"]
    assert token
    assert set(fields(api.problem("POST", where(other), 400, json={**wide, "page_token": token}))) == {"page_token"}
    assert set(ask(page_token=token)) == {"page_token"}
