"""0007 on a database in use: calls that are under way while it is applied go on, and what has ended stays as it was."""
import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

DATABASE = os.environ["DIALPLANE_TEST_DATABASE_URL"]
MIGRATIONS = sorted((Path(__file__).resolve().parents[3] / "services" / "migrations").glob("[0-9]*.sql"))
SET_UP = """
insert into companies (id, name, slug) values ('00000000-0000-7000-8000-000000000001', 'c', 'c');
insert into skillbases (id, company_id, name, slug, config) values ('00000000-0000-7000-8000-000000000002', '00000000-0000-7000-8000-000000000001', 's', 's', '{}');
insert into campaigns (id, company_id, skillbase_id, name, status, daily_start_time, daily_end_time, timezone, days_of_week, max_concurrent_calls, calls_per_minute,
                       max_retries, retry_delay_minutes, created_at, updated_at)
    values ('00000000-0000-7000-8000-000000000003', '00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000002', 'n', 'running', '00:00', '00:00', 'UTC',
            '{1,2,3,4,5,6,7}', 100, 60000, 3, 30, now(), now());
insert into campaign_pacing (campaign_id, company_id, status, refilled_at)
    values ('00000000-0000-7000-8000-000000000003', '00000000-0000-7000-8000-000000000001', 'running', now());
insert into call_tasks (id, campaign_id, company_id, phone_number, ready_at, created_at, updated_at)
    select ('00000000-0000-7000-9000-' || to_char(n, 'FM000000000000'))::uuid, '00000000-0000-7000-8000-000000000003', '00000000-0000-7000-8000-000000000001',
           '+1201555' || to_char(n, 'FM0000'), now(), now(), now() from generate_series(1, 50) n;
insert into call_task_contacts select id, company_id, null, '{}' from call_tasks;
"""


@pytest.fixture
def sql():
    """An empty database beside the others of this server."""
    def psql(url, text):
        done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", url], input=text, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()
    psql(DATABASE, "create database upgrade")
    url = urlunsplit(urlsplit(DATABASE)._replace(path="/upgrade"))
    yield lambda text: psql(url, text)
    psql(DATABASE, "drop database upgrade with (force)")


def call_id(n):
    return f"00000000-0000-7000-a000-{n:012d}"


def test_calls_under_way_go_on(sql):
    before = [path for path in MIGRATIONS if path.name < "0007"]
    assert len(before) == 6
    for path in before:
        sql(path.read_text(encoding="utf-8"))
    sql(SET_UP)
    ids = ", ".join(f"'{call_id(n)}'" for n in range(1, 6))
    fences = dict(row.split("|") for row in sql(f"select call_id, fence from claim_tasks('w', 5, null, null, array[{ids}]::uuid[], '45 s')").splitlines())
    claimed, dialing, ringing, finished, unknown = (call_id(n) for n in range(1, 6))
    for call in (dialing, ringing, finished, unknown):
        assert sql(f"select verdict from begin_dial('{call}', {fences[call]}, null, '45 s')") == "ok"
    sql(f"select report_progress('{ringing}', {fences[ringing]}, null, 'ringing')")
    end = f"select verdict, state from finish_task('{finished}', {fences[finished]}, null, 'busy', 'busy', 'x')"
    assert sql(end) == "ok|retry"
    sql(f"update live_calls set lease_until = now() - interval '1 second' where call_id = '{unknown}'; select sweep_leases(10)")

    for path in MIGRATIONS:
        if path.name >= "0007":
            sql("begin;" + path.read_text(encoding="utf-8") + "commit;")

    assert sql("select count(*), count(ringing_at), min(number), bool_and(claimed_at is not null) from live_calls") == "3|1|1|t"
    assert sql("select ended_how from call_attempts order by 1").split() == ["finished", "unknown"]
    assert sql(f"select verdict from begin_dial('{claimed}', {fences[claimed]}, null, '45 s')") == "ok"
    assert sql(f"select verdict, ringing is not null from report_progress('{ringing}', {fences[ringing]}, null, 'answered')") == "ok|t"
    assert sql(end) == "ok|retry" and sql(end.replace("'x'", "'y'")) == "different|retry"
    assert sql(f"select verdict, state from finish_task('{unknown}', {fences[unknown]}, null, 'answered', null, null)") == "ok|completed"
    calls = [claimed, dialing, ringing]
    assert sql(f"select place, state from finish_tasks(array{calls}::uuid[], array[{','.join(fences[c] for c in calls)}], array[null, null, null]::uuid[],"
               " array['answered', 'no_answer', 'answered'], array[null, null, null]::text[], array[null, null, null]::text[]) order by 1"
               ).splitlines() == ["1|completed", "2|retry", "3|completed"]
    assert sql("select count(*) from live_calls") == "0"
    assert sql("select ended_how, count(*), count(ringing_at), count(answered_at) from call_attempts group by 1") == "finished|5|1|1"
    # A service of the version before still finds its function.
    assert sql(f"select phone_number from claim_tasks('w', 1, null, null, array['{call_id(9)}']::uuid[], '45 s')") == "+12015550006"
    assert sql("select total, pending, in_progress, completed, failed from campaign_details") == "50|46|1|3|0"

