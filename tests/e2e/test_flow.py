"""The whole way: skillbase → campaign → call list → start → agents call → one call watched live four ways → figures, all of which are computed here
again from what was said."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "contract"))

from agents import Rpc, aggregate, figures, psql, same_aggregates, same_figures, seconds_between  # noqa: E402
from clients import walk  # noqa: E402
from conftest import PRESET, ROOT, SAMPLES, wait_until  # noqa: E402
from test_live import FORMS, Watcher, plain  # noqa: E402


@pytest.fixture
def analytics(stubs, platform):
    with Rpc(stubs, platform.analytics, "AnalyticsService") as rpc:
        yield rpc


@pytest.fixture
def agent(platform, tmp_path):
    """Starts a simulated agent; it ends with the test, whatever happens."""
    running = []

    def start(*flags):
        log = open(tmp_path / "agent.log", "wb")
        running.append(subprocess.Popen([str(ROOT / "build" / PRESET / "bin" / "dialplane-agent"), "--dispatch", platform.campaign, "--analytics",
                                         platform.analytics, "--skillbase", platform.skillbase, "--seed", "7", "--dial-log", str(tmp_path / "dials"), *flags],
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        return running[-1]
    yield start
    for process in running:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def all_calls(api, **filters):
    items, token = [], None
    while True:
        page = api.ok("GET", "/api/analytics/calls", params={**filters, "page_size": 100, **({"page_token": token} if token else {})})
        items += page["items"]
        token = page["next_page_token"]
        if not token:
            assert page["total"] == len(items)
            return items


def watch_one(platform, api, analytics, campaign):
    """The watchers of one call that is under way, from within its first turns."""
    calls = wait_until(lambda: api.ok("GET", "/api/analytics/calls", params={"campaign_id": campaign["id"], "status": "active"})["items"], what="a call under way")
    return calls[0]["id"], [Watcher(platform, analytics, calls[0]["id"], form) for form in FORMS]


def check_watched(api, call, watchers):
    assert [watcher.wait_for_end() for watcher in watchers] == [1000] * len(FORMS)
    shown = api.ok("GET", f"/api/analytics/calls/{call}")
    metrics = api.ok("GET", f"/api/analytics/calls/{call}/metrics")
    for watcher in watchers:
        assert [m["type"] for m in watcher.messages][:1] == ["init"]
        turns = [plain(m) for m in watcher.messages if m["type"] == "turn"]
        assert [seq for _, seq, _ in turns] == [t["seq"] for t in shown["turns"]]
        kind, seq, end = plain(watcher.messages[-1])
        assert (kind, seq) == ("status", shown["last_seq"])
        if isinstance(end, dict):
            assert [t for _, _, t in turns] == [t["turn"] for t in shown["turns"]]
            assert (end["status"], end["outcome"]) == (shown["status"], shown["outcome"])
            kind, _, totals = plain(watcher.messages[-2])
            assert kind == "metrics"
            same_figures(totals, {k: v for k, v in metrics.items() if k != "created_at"})
        else:
            assert [t.content for _, _, t in turns] == [t["turn"]["content"] for t in shown["turns"]] and (end.outcome or None) == shown["outcome"]


def recompute(api, item):
    """One call of the history from its turns alone; its metrics and its row must agree."""
    shown = api.ok("GET", f"/api/analytics/calls/{item['id']}")
    turns, metrics = [t["turn"] for t in shown["turns"]], shown["metrics"]
    duration = seconds_between(shown["started_at"], shown["ended_at"])
    # What only the agent knew of the end is taken from the metrics: it is not in the turns.
    end = {k: metrics[k] for k in ("outcome", "outcome_confidence", "outcome_reason", "sentiment_score", "livekit_duration_sec")}
    expected = figures(turns, end, duration)
    same_figures(metrics, expected)
    assert api.ok("GET", f"/api/analytics/calls/{item['id']}/metrics") == metrics
    assert (item["turn_count"], item["duration_sec"], item["cost_total"]) == (len(turns), duration, expected["cost_total"])
    assert (item["avg_eou_latency"] is None) == (expected["avg_eou_latency"] is None)
    assert item["avg_eou_latency"] is None or math.isclose(item["avg_eou_latency"], expected["avg_eou_latency"], rel_tol=1e-12)
    assert item["status"] != "active" and item["outcome"] == metrics["outcome"]
    return {"id": item["id"], "status": item["status"], "outcome": item["outcome"], "duration": duration, "turns": len(turns), "metrics": expected,
            "phone_number": item["phone_number"], "started_at": shown["started_at"]}


def test_flow(platform, api, analytics, agent, tmp_path):
    company = api.company()
    skillbase = api.skillbase(company)
    campaign = api.campaign(company, skillbase, name="Spring", max_concurrent_calls=40, max_retries=0)
    where = f"/api/campaigns/{campaign['id']}"
    uploaded = api.upload(campaign, (SAMPLES / "contacts.csv").read_bytes())
    assert (uploaded["total"], uploaded["created"], uploaded["error_count"], uploaded["duplicates"]) == (400, 371, 28, 1)
    api.ok("POST", f"{where}/start")

    # A slow agent first, so that a call can be watched while it goes on; the bulk by a fast one.
    slow = agent("--speed", "60", "--calls", "3", "--limit", "3", "--campaign", campaign["id"], "--worker-id", "slow")
    call, watchers = watch_one(platform, api, analytics, campaign)
    fast = agent("--speed", "1000", "--calls", "30", "--campaign", campaign["id"], "--worker-id", "fast", "--idle-exit", "3s")
    check_watched(api, call, watchers)
    assert fast.wait(180) == 0 and slow.wait(180) == 0, (tmp_path / "agent.log").read_text()[-2000:]
    # Calls that failed at the carrier are retried after a minute and more: their time is made to come.
    for _ in range(8):
        if api.ok("GET", where)["pending_tasks"] == 0:
            break
        psql(platform, f"update call_tasks set ready_at = now() where campaign_id = '{campaign['id']}' and waiting;"
                       f"update campaign_pacing set idle_until = '-infinity' where campaign_id = '{campaign['id']}'")
        assert agent("--speed", "1000", "--calls", "30", "--campaign", campaign["id"], "--idle-exit", "1s").wait(60) == 0
    done = wait_until(lambda: (c := api.ok("GET", where))["status"] == "completed" and c, what="the campaign's completion")

    # Every task ended, was dialed once, and has its call.
    tasks = walk(api, f"{where}/tasks", 1000)
    assert len(tasks) == 371
    dials = [json.loads(line) for line in (tmp_path / "dials").read_text().splitlines()]
    assert len({d["call_id"] for d in dials}) == len(dials)
    by_status = {s: sum(t["status"] == s for t in tasks) for s in ("pending", "retry", "in_progress", "completed", "failed", "suppressed", "unknown")}
    assert by_status["pending"] == by_status["retry"] == by_status["in_progress"] == by_status["unknown"] == 0
    assert (done["total_tasks"], done["completed_tasks"], done["failed_tasks"], done["pending_tasks"], done["in_progress_tasks"]) == (
        371, by_status["completed"], by_status["failed"] + by_status["suppressed"], 0, 0)
    assert by_status["completed"] > 0 and by_status["failed"] > 0

    # Every call, recomputed from its turns; and the calls are those of the tasks.
    history = all_calls(api, campaign_id=campaign["id"])
    calls = [recompute(api, item) for item in history]
    assert call in {c["id"] for c in calls}
    assert {c["id"] for c in calls} >= {t["call_id"] for t in tasks if t["status"] == "completed"}
    assert {c["id"] for c in calls} <= {d["call_id"] for d in dials}
    phones = {t["phone_number"] for t in tasks}
    assert all(c["phone_number"] in phones for c in calls)
    of_task = {t["call_id"]: t for t in tasks}
    for c in calls:
        if of_task.get(c["id"], {}).get("status") == "completed":
            assert of_task[c["id"]]["outcome"] == c["outcome"]
    assert [h["started_at"] for h in history] == sorted((h["started_at"] for h in history), reverse=True)

    # Figures agree: for any filter, the aggregate equals what counting gives.
    for filters in ({}, {"outcome": "success"}, {"status": "failed"}, {"status": "completed", "outcome": "voicemail"}):
        some = [c for c in calls if all(c[k] == v for k, v in filters.items())]
        got = api.ok("GET", "/api/analytics/metrics", params={"campaign_id": campaign["id"], "skillbase_id": skillbase["id"], "company_id": company["id"], **filters})
        same_aggregates(got, aggregate(some))
        assert len(all_calls(api, campaign_id=campaign["id"], **filters)) == len(some)
        series = api.ok("GET", "/api/analytics/metrics/timeseries", params={"campaign_id": campaign["id"], **filters})["points"]
        assert sum(p["total_calls"] for p in series) == len(some)
        assert math.isclose(sum(p["total_cost"] or 0 for p in series), got["total_cost"] or 0, abs_tol=1e-9)
    # New contacts make the campaign startable again.
    assert api.upload(campaign, "phone_number\n+12015559999\n")["created"] == 1
    api.ok("POST", f"{where}/start")
    again = agent("--speed", "1000", "--campaign", campaign["id"], "--idle-exit", "2s")
    assert again.wait(60) == 0
    wait_until(lambda: api.ok("GET", where)["status"] == "completed", what="the second completion")
    assert api.ok("GET", where)["total_tasks"] == 372
