"""Deleting a company or a campaign with much in it: gone for everybody as soon as DELETE has answered, and removed in steps that may be broken off.
The service runs alone on a database of its own, which these tests reach into; the campaign's side is seen at the shared platform."""

import subprocess
import urllib.request
from datetime import datetime, timedelta, timezone

import grpc
import pytest

from agents import Rpc, finished, new_id, psql, report, started, turn
from conftest import PRESET, ROOT, free_ports, wait_until
from private_postgres import PrivatePostgres
from test_storage import Analytics

COMPANIES = [{"id": f"00000000-0000-7000-8000-00000000000{n}"} for n in (1, 2)]
PHONE = "+12025550123"


@pytest.fixture(scope="module")
def server():
    server = PrivatePostgres(shared_buffers="32MB", fsync="off")
    yield server
    server.stop()


@pytest.fixture
def postgres(server):
    """A database of its own with two companies, each with some calls over three days and one under way."""
    class Database:
        folder, sql = server.folder, None
        url = server.url.replace("/dialplane?", f"/removal_{new_id()[:8]}?")

        def __init__(self):
            server.sql(f"create database {self.url.split('/')[3].split('?')[0]}")
            self.sql = lambda text: PrivatePostgres.sql(self, text)
    return Database()


def add_calls(postgres, rpc):
    """(first moment, calls of each company)."""
    for company in COMPANIES:
        postgres.sql(f"insert into companies (id, name, slug) values ('{company['id']}', '{company['id'][-1]}', 's{company['id'][-1]}')")
    first, calls = datetime.now(timezone.utc) - timedelta(days=3), []
    for company in COMPANIES:
        calls.append([new_id() for _ in range(12)])
        for n, call in enumerate(calls[-1]):
            start = first + timedelta(hours=6 * n)
            events = [started(company, 0, start, phone_number=PHONE), turn(2, 0, 1, start, eou_latency=100 + n, tts_characters=1000)]
            rpc.ReportCallEventBatch({"call_id": call, "events": events + ([finished(3, 60, start, outcome="success")] if n < 11 else [])})
    return first, calls


def seen(rpc, **filters):
    """All that the API says of these calls, in numbers."""
    period = {"start_date": (datetime.now(timezone.utc) - timedelta(days=10)).strftime("%Y-%m-%d"), "end_date": datetime.now(timezone.utc).strftime("%Y-%m-%d")}
    got = rpc.GetMetrics({**period, **filters})
    series = rpc.GetMetricsTimeSeries({**period, **filters, "step": "day", "timezone": "Asia/Kolkata"})
    history = rpc.ListCalls(filters)
    rows = sum(piece.data.count(b"\n") for piece in rpc.ExportCalls(filters)) - 1
    return {"total": got.total_calls, "completed": got.completed_calls, "cost": got.total_cost, "outcomes": dict(got.outcome_distribution), "p95": got.p95_eou_latency,
            "series": sum(p.total_calls for p in series.points), "history": history.total, "listed": len(history.items), "exported": rows,
            "by number": rpc.ListCalls({**filters, "phone_number": PHONE}).total}


def nothing(figures):
    return not any(bool(v) for v in figures.values())


def stop_removal(postgres, lock=3):
    """As if another process were at it: the lock of removal (2: of folding) is taken until the connection ends."""
    holder = subprocess.Popen(["psql", "-XAtq", postgres.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    holder.stdin.write(f"select pg_advisory_lock(7203, {lock});\nselect 'held';\n")
    holder.stdin.flush()
    while holder.stdout.readline().strip() != "held":
        assert holder.poll() is None
    return holder


def let_go(holder):
    holder.stdin.close()
    assert holder.wait(60) == 0


def test_a_company_is_gone_at_once_and_removed_in_steps(stubs, postgres):
    gone, kept = COMPANIES
    with Analytics(stubs, postgres) as service:
        rpc = service.rpc
        _, calls = add_calls(postgres, rpc)
        alone = seen(rpc, company_id=kept["id"])
        assert seen(rpc)["total"] == 24 and alone["total"] == 12 == seen(rpc, company_id=gone["id"])["listed"]
        holder = stop_removal(postgres)
        try:
            postgres.sql(f"delete from companies where id = '{gone['id']}'")
            # Nothing has been removed, and nothing is to be seen of it, whether it is asked for or is one of all.
            assert postgres.sql(f"select count(*) from calls where company_id = '{gone['id']}'") == "12"
            assert postgres.sql("select calls, removed from deleted_companies") == "12|0"
            assert nothing(seen(rpc, company_id=gone["id"]))
            assert seen(rpc) == alone == seen(rpc, company_id=kept["id"])
            assert nothing(seen(rpc, company_id=gone["id"], outcome="success")) and seen(rpc, outcome="success") == seen(rpc, company_id=kept["id"], outcome="success")
            for method in (rpc.GetCall, rpc.GetCallMetrics):
                with pytest.raises(grpc.RpcError) as error:
                    method({"id": calls[0][0]})
                assert error.value.code() == grpc.StatusCode.NOT_FOUND
            with pytest.raises(grpc.RpcError) as error:
                next(iter(rpc.WatchCall({"call_id": calls[0][11]})))
            assert error.value.code() == grpc.StatusCode.NOT_FOUND
            # Neither the call under way nor a new one takes another event.
            for events in ([turn(3, 1, 70)], [started(gone, 0, datetime.now(timezone.utc)), turn(2, 0, 1)]):
                with pytest.raises(grpc.RpcError) as error:
                    rpc.ReportCallEventBatch({"call_id": calls[0][11] if len(events) == 1 else new_id(), "events": events})
                assert error.value.code() in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)
            with pytest.raises(grpc.RpcError) as error:
                rpc.ReRateCalls({"company_id": gone["id"], "start_date": "2026-01-01", "end_date": "2026-01-01"})
            assert error.value.code() == grpc.StatusCode.NOT_FOUND
            service.verify()
            # Step by step, by hand: after each of them the rest is as exact as before.
            let_go(holder)
            holder = None
        finally:
            if holder:
                let_go(holder)
        wait_until(lambda: postgres.sql("select count(*) from deleted_companies") == "0", 90, "the removal")
        for table in ("calls", "call_index", "call_figures", "call_figure_changes", "call_figure_sums", "call_latencies"):
            assert postgres.sql(f"select count(*) from {table} where company_id = '{gone['id']}'") == "0", table
        assert postgres.sql("select (select count(*) from call_events) - (select sum(last_seq) from calls), (select count(*) from call_metrics)") == "0|11"
        assert seen(rpc) == alone == seen(rpc, company_id=kept["id"])
        service.verify()


def test_every_step_leaves_exact_figures(stubs, postgres):
    """One call or one day of figures a step, and what is served is looked at after each; kill -9 between two of them loses nothing."""
    gone, kept = COMPANIES
    with Analytics(stubs, postgres) as service:
        add_calls(postgres, service.rpc)
        alone = seen(service.rpc, company_id=kept["id"])
        holder = stop_removal(postgres)
        try:
            postgres.sql(f"delete from companies where id = '{gone['id']}'")
            wait_until(lambda: postgres.sql("select count(*) from call_figure_changes") == "0", what="all changes to be folded")
        finally:
            let_go(holder)
            # the service may take some steps here: none of them is special
        for _ in range(60):
            postgres.sql("select remove_deleted_calls(1)")
            assert seen(service.rpc) == alone
            service.verify()
            if postgres.sql("select count(*) from deleted_companies") == "0":
                break
        assert postgres.sql("select count(*) from deleted_companies") == "0"


def test_broken_off_by_a_kill(stubs, postgres):
    """A service that is killed in the middle of it leaves the rest to the next one."""
    gone, kept = COMPANIES
    with Analytics(stubs, postgres) as service:
        add_calls(postgres, service.rpc)
        alone = seen(service.rpc, company_id=kept["id"])
        service.process.kill()
        service.process.wait()
        # a good many calls, so that the kill comes in the middle
        postgres.sql(f"""
            insert into calls (id, company_id, status, started_at, ended_at, last_event_at, last_seq, turn_count)
                select gen_random_uuid(), '{gone['id']}', 2, now() - interval '5 days' + n * interval '30 seconds', now() - interval '5 days' + n * interval '31 seconds', now(), 1, 0
                from generate_series(1, 8000) n;
            insert into call_index select id, started_at, company_id from calls where last_seq = 1;
            insert into call_figure_changes select quarter, company_id, campaign_id, skillbase_id, skillbase_version, status, outcome, count(*), 0, sum(duration_ms), 0, 0, 0, 0, 0, 0, 0, 0,
                '{{}}', '{{}}' from counted_calls where company_id = '{gone['id']}' and measured = 0 and status = 2
                group by 1, 2, 3, 4, 5, 6, 7""")
        postgres.sql(f"delete from companies where id = '{gone['id']}'")
        service.start()
        wait_until(lambda: int(postgres.sql("select coalesce(max(removed), 1) from deleted_companies")) > 0, 60, "the first steps")
        service.process.kill()
        service.process.wait()
        service.start()
        assert seen(service.rpc) == alone
        service.verify()
        wait_until(lambda: postgres.sql("select count(*) from deleted_companies") == "0", 120, "the removal")
        assert postgres.sql("select count(*), (select count(*) from call_index) from calls") == "12|12"
        assert seen(service.rpc) == alone
        service.verify()


def test_progress_is_a_metric(stubs, postgres):
    port = free_ports(1)

    def value(name):
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
        return next((float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} ")), None)
    with Analytics(stubs, postgres, "--metrics-listen", f"127.0.0.1:{port}") as service:
        add_calls(postgres, service.rpc)
        holder = stop_removal(postgres)
        try:
            postgres.sql(f"delete from companies where id = '{COMPANIES[0]['id']}'")
            wait_until(lambda: (value("dialplane_companies_to_remove"), value("dialplane_calls_to_remove")) == (1, 12), 60, "the work to be shown")
        finally:
            let_go(holder)
        wait_until(lambda: (value("dialplane_companies_to_remove"), value("dialplane_calls_to_remove")) == (0, 0), 90, "the end of the work to be shown")
        assert (value("dialplane_calls_removed_total"), value("dialplane_companies_removed_total")) == (12, 1)


def test_over_rest(platform, api):
    """The same from outside: every path of a deleted company, its slug is free again, and all of its tasks and calls go in the end."""
    company = api.company()
    skillbase = api.skillbase(company)
    campaign = api.campaign(company, skillbase)
    api.upload(campaign, "phone_number\n" + "".join(f"+1201555{n:04}\n" for n in range(2500)))
    call, now = new_id(), datetime.now(timezone.utc)
    report(api, call, [started(company, 0, now, skillbase_id=skillbase["id"], campaign_id=campaign["id"]), finished(2, 1, now, outcome="success")])
    api.ok("DELETE", f"/api/companies/{company['id']}", 204)
    for path in (f"/api/companies/{company['id']}", f"/api/skillbases/{skillbase['id']}", f"/api/campaigns/{campaign['id']}", f"/api/campaigns/{campaign['id']}/tasks",
                 f"/api/companies/{company['id']}/prices", f"/api/analytics/calls/{call}", f"/api/analytics/calls/{call}/metrics", f"/api/analytics/live?company_id={company['id']}"):
        api.problem("GET", path, 404)
    assert api.ok("GET", "/api/analytics/calls", params={"company_id": company["id"]})["total"] == 0
    assert api.ok("GET", "/api/analytics/metrics", params={"campaign_id": campaign["id"]})["total_calls"] == 0
    api.company(slug=company["slug"], name=company["name"])
    wait_until(lambda: psql(platform, f"select (select count(*) from call_tasks where campaign_id = '{campaign['id']}') + (select count(*) from deleted_campaigns where campaign_id = "
                                      f"'{campaign['id']}') + (select count(*) from deleted_companies where company_id = '{company['id']}')") == "0", 90, "tasks and calls to go")
    assert psql(platform, f"select count(*) from calls where company_id = '{company['id']}'") == "0"


@pytest.mark.parametrize("what", ["campaign", "skillbase"])
def test_a_campaign_goes_in_steps(platform, api, what):
    """Tasks, contacts, attempts and counts; calls and their figures stay as history."""
    company = api.company()
    skillbase = api.skillbase(company)
    campaign, other = (api.campaign(company, skillbase) for _ in range(2)) if what == "campaign" else (api.campaign(company, skillbase), api.campaign(company, api.skillbase(company)))
    for one in (campaign, other):
        api.upload(one, "phone_number\n" + "".join(f"+1201555{n:04}\n" for n in range(1500)))
    api.ok("POST", f"/api/campaigns/{campaign['id']}/start")
    task = api.ok("POST", "/api/dispatch/claim", json={"worker_id": "w", "max": 1, "wait_ms": 5000, "campaign_id": campaign["id"]})["tasks"][0]
    held = {"call_id": task["call_id"], "fence": task["fence"]}
    api.ok("POST", f"/api/dispatch/calls/{held['call_id']}/begin", json={"fence": held["fence"]})
    api.ok("POST", f"/api/dispatch/calls/{held['call_id']}/finish", json={"fence": held["fence"], "disposition": "answered", "outcome": "success"})
    now = datetime.now(timezone.utc)
    report(api, held["call_id"], [started(company, 0, now, skillbase_id=skillbase["id"], campaign_id=campaign["id"]), finished(2, 1, now, outcome="success")])
    api.ok("DELETE", f"/api/campaigns/{campaign['id']}" if what == "campaign" else f"/api/skillbases/{skillbase['id']}", 204)
    api.problem("GET", f"/api/campaigns/{campaign['id']}/tasks", 404)
    # An agent that repeats its word, or says another, is told that there is no such call.
    for outcome in ("success", "fail"):
        api.problem("POST", f"/api/dispatch/calls/{held['call_id']}/finish", 404, json={"fence": held["fence"], "disposition": "answered", "outcome": outcome})
    assert api.ok("GET", "/api/analytics/metrics", params={"campaign_id": campaign["id"]})["total_calls"] == 1
    where = f"where campaign_id = '{campaign['id']}'"
    wait_until(lambda: psql(platform, f"select (select count(*) from call_tasks {where}) + (select count(*) from deleted_campaigns {where}) + (select count(*) from campaign_counts {where})") == "0",
               90, "the tasks to go")
    assert psql(platform, f"select (select count(*) from call_attempts {where}), (select count(*) from campaign_count_changes {where}), "
                          "(select count(*) from call_task_contacts d where not exists (select from call_tasks t where t.id = d.task_id))") == "0|0|0"
    assert api.ok("GET", f"/api/campaigns/{other['id']}")["total_tasks"] == 1500
    assert api.ok("GET", f"/api/analytics/calls/{held['call_id']}")["outcome"] == "success"
