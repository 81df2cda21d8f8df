"""The statements behind live figures and the gauge of active calls against an independent count, at moments around midnight and a change of month: they are run as
they stand in services/analytics/sql with another `now()`. The calls come through the service: ended late, reported twice, never ended."""

import json
import random
import re
from datetime import datetime, timedelta, timezone

import pytest

from agents import new_id, random_call, status
from conftest import ROOT, wait_until
from private_postgres import PrivatePostgres
from test_removal import let_go, stop_removal
from test_storage import Analytics, add_months

MIDNIGHT = datetime(2026, 3, 1, tzinfo=timezone.utc)
COMPANIES = [{"id": f"00000000-0000-7000-8000-00000000000{n}"} for n in (1, 2, 3)]
MOMENTS = [timedelta(0), timedelta(microseconds=-1), timedelta(seconds=30), timedelta(minutes=14, seconds=59), timedelta(hours=-3, minutes=-7), timedelta(hours=9),
           timedelta(hours=23, minutes=59), timedelta(hours=24)]


@pytest.fixture(scope="module")
def service(stubs):
    """With calls over four days; many begin in the minutes around midnight."""
    server = PrivatePostgres(shared_buffers="32MB", fsync="off")
    dice = random.Random(3)
    try:
        with Analytics(stubs, server) as service:
            add_months(server, 12)
            for n, company in enumerate(COMPANIES):
                server.sql(f"""
                    insert into companies (id, name, slug) values ('{company['id']}', 'c{n}', 'c{n}');
                    insert into skillbases (id, company_id, name, slug, config)
                        select replace('{company['id']}', '-8000-', '-800' || k || '-')::uuid, '{company['id']}', 's' || k, 's' || k, '{{}}' from generate_series(1, 2) k;
                    insert into campaigns (id, company_id, skillbase_id, name, status, daily_start_time, daily_end_time, timezone, days_of_week, max_concurrent_calls,
                                           calls_per_minute, max_retries, retry_delay_minutes, created_at, updated_at)
                        select replace(id::text, '-800', '-801')::uuid, company_id, id, name, 'draft', '00:00', '00:00', 'UTC', '{{1,2,3,4,5,6,7}}', 10, 10, 3, 30, now(), now()
                        from skillbases where company_id = '{company['id']}'""")
            for _ in range(260):
                company, k = dice.choice(COMPANIES), dice.choice([None, 1, 2])
                start = MIDNIGHT + timedelta(seconds=dice.choice([dice.uniform(-172800, 172800), dice.uniform(-1200, 1200), dice.uniform(-90, 90)]))
                where = {} if k is None else {"skillbase_id": company["id"].replace("-8000-", f"-800{k}-"), "skillbase_version": 1,
                                              "campaign_id": company["id"].replace("-8000-", f"-801{k}-")}
                call, events = new_id(), random_call(dice, company, start, **where)
                if dice.random() < 0.3:
                    events = events[:-1]  # never ended
                elif dice.random() < 0.2:  # first it looks otherwise
                    events = [events[0], status(2, 0.001, start, outcome="callback")] + [{**e, "seq": e["seq"] + 1} for e in events[1:]]
                for _ in range(dice.choice([1, 1, 2])):  # perhaps all of it twice
                    service.rpc.ReportCallEventBatch({"call_id": call, "events": events})
            yield service
    finally:
        server.stop()


def statement(name, now):
    text = (ROOT / "services" / "analytics" / "sql" / f"{name}.sql").read_text(encoding="utf-8")
    text = re.sub(r"--.*", "", text)
    return text.replace("now()", f"'{now.isoformat()}'::timestamptz")


COUNT = """
with mine as (select c.*, m.avg_eou_latency, m.cost_total from calls c left join call_metrics m on m.call_id = c.id
              where {column} = '{subject}' and c.company_id not in (select company_id from deleted_companies))
select json_build_object(
    'active', count(*) filter (where status = 1 and started_at >= '{yesterday}'), 'minute', count(*) filter (where started_at > '{now}'::timestamptz - interval '1 minute' and started_at <= '{now}'),
    'today', count(*) filter (where started_at >= '{today}'), 'spend', coalesce(sum(cost_total) filter (where started_at >= '{today}'), 0),
    'p50', percentile_disc(0.50) within group (order by avg_eou_latency) filter (where started_at >= '{recent}'),
    'p95', percentile_disc(0.95) within group (order by avg_eou_latency) filter (where started_at >= '{recent}'),
    'outcomes', (select json_object_agg(o, n) from (select coalesce(outcome, 'unknown') o, count(*) n from mine where started_at >= '{today}' and ended_at is not null group by 1) x))
from mine"""


def subjects():
    """(kind, column of calls, table, id) of all that can be watched."""
    for company in COMPANIES:
        yield 1, "c.company_id", "companies", company["id"]
        for k in (1, 2):
            yield 2, "c.campaign_id", "campaigns", company["id"].replace("-8000-", f"-801{k}-")
            yield 3, "c.skillbase_id", "skillbases", company["id"].replace("-8000-", f"-800{k}-")


def compare(service, now):
    today, quarter = now.replace(hour=0, minute=0, second=0, microsecond=0), now - timedelta(minutes=15)
    times = {"now": now.isoformat(), "today": today.isoformat(), "yesterday": (today - timedelta(days=1)).isoformat(),
             "recent": quarter.replace(minute=quarter.minute // 15 * 15, second=0, microsecond=0).isoformat()}
    # One session for all: what is asked, what must come out, and whether there is such a thing at all.
    script = [f"prepare live(smallint, uuid) as {statement('get_live_figures', now)};", f"prepare active(bigint) as {statement('count_active_calls', now)};"]
    for kind, column, table, subject in subjects():
        script += ["\\echo ---", f"execute live({kind}, '{subject}');", "\\echo ---", COUNT.format(column=column, subject=subject, **times).replace("\n", " ") + ";",
                   "\\echo ---", f"select count(*) from {table} where id = '{subject}';"]
    script += ["\\echo ---", "execute active(1);", "\\echo ---", f"select count(*) from calls where status = 1 and started_at >= '{times['yesterday']}' and company_id not in "
               "(select company_id from deleted_companies);"]
    answers = [part.strip() for part in service.postgres.sql("\n".join(script)).split("---")[1:]]
    assert answers[-2] == answers[-1], now
    seen = 0
    for (kind, column, _, subject), live, counted, exists in zip(subjects(), answers[0::3], answers[1::3], answers[2::3]):
        rows = [line.split("|") for line in live.splitlines()]
        if exists == "0":
            assert rows == []
            continue
        expected = json.loads(counted)
        _, active, minute, of_today, spend, p50, p95, _, _ = rows[0]
        got = {"active": int(active), "minute": int(minute), "today": int(of_today), "spend": int(spend), "outcomes": {row[7]: int(row[8]) for row in rows if row[7]} or None}
        assert got == {key: expected[key] for key in got}, (now, column, subject)
        for value, exact in ((p50, expected["p50"]), (p95, expected["p95"])):
            assert (value == "") == (exact is None) and (exact is None or abs(float(value) - exact) <= 0.02 * exact + 1e-9), (now, column, value, exact)
        seen += got["today"] + got["active"]
    return seen


@pytest.mark.parametrize("moment", MOMENTS)
def test_equal_to_a_count(service, moment):
    assert compare(service, MIDNIGHT + moment) > 0
    wait_until(lambda: service.postgres.sql("select count(*) from call_figure_changes") == "0", what="all changes to be folded")
    assert compare(service, MIDNIGHT + moment) > 0


def test_changes_that_are_not_folded_yet(service):
    """As long as somebody holds the lock of folding, what is reported counts all the same."""
    holder = stop_removal(service.postgres, 2)
    try:
        dice = random.Random(4)
        for _ in range(20):
            start = MIDNIGHT + timedelta(seconds=dice.uniform(-600, 600))
            service.rpc.ReportCallEventBatch({"call_id": new_id(), "events": random_call(dice, COMPANIES[0], start)[:dice.choice([1, 100])]})
        assert int(service.postgres.sql("select count(*) from call_figure_changes")) > 0
        for moment in MOMENTS[:4]:
            compare(service, MIDNIGHT + moment)
    finally:
        let_go(holder)


def test_without_a_company_that_is_deleted(service):
    """The last test of this module: one of the three goes."""
    holder = stop_removal(service.postgres)
    try:
        service.postgres.sql(f"delete from companies where id = '{COMPANIES[2]['id']}'")
        for moment in MOMENTS:
            compare(service, MIDNIGHT + moment)
    finally:
        let_go(holder)
    wait_until(lambda: service.postgres.sql("select count(*) from deleted_companies") == "0", 90, "the removal")
    for moment in MOMENTS:
        compare(service, MIDNIGHT + moment)
    service.verify()
