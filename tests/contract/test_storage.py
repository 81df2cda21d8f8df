"""Calls in partitions by month: retention drops months and keeps the figures, months are made ahead, and a database of the release before is brought over.
With a PostgreSQL and services of their own, because they reach into the database."""

import subprocess
from datetime import datetime, timedelta, timezone

import grpc
import pytest

from agents import Rpc, details, finished, new_id, started, turn
from conftest import PRESET, ROOT, wait_until
from private_postgres import PrivatePostgres

ANALYTICS = ROOT / "build" / PRESET / "bin" / "dialplane-analytics"
COMPANY = {"id": "00000000-0000-7000-8000-000000000001"}


class Analytics:
    """The service alone, on a database that outlives it."""

    def __init__(self, stubs, postgres, *arguments):
        self.stubs, self.postgres = stubs, postgres
        self.address = f"unix:{postgres.folder}/analytics"
        self.command = [str(ANALYTICS), "--listen", self.address, "--metrics-listen", "off", "--database-url", postgres.url, "--log-level", "error", "--fold-period", "50ms", *arguments]
        self.rpc = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL)
        with grpc.insecure_channel(self.address) as channel:
            try:
                grpc.channel_ready_future(channel).result(timeout=90)
            except grpc.FutureTimeoutError:
                busy = self.postgres.sql("select pid, state, wait_event_type, wait_event, pg_blocking_pids(pid), now() - xact_start, left(query, 200) from pg_stat_activity where pid <> pg_backend_pid()")
                raise AssertionError(f"the service is not reachable (exit status {self.process.poll()}); the database:\n{busy}") from None
        if self.rpc:
            self.rpc.close()
        self.rpc = Rpc(self.stubs, self.address, "AnalyticsService")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.rpc.close()
        self.process.terminate()
        assert self.process.wait(40) == 0

    def verify(self):
        done = subprocess.run([str(ANALYTICS), "--database-url", self.postgres.url, "--verify-rollups", "--log-level", "error"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        assert (done.returncode, done.stdout) == (0, "The figures agree with the calls.\n")


@pytest.fixture
def postgres():
    server = PrivatePostgres(shared_buffers="32MB", fsync="off")
    yield server
    server.stop()


def add_company(postgres):
    postgres.sql(f"insert into companies (id, name, slug) values ('{COMPANY['id']}', 'c', 'c')")


def add_months(postgres, count):
    """As if the service had run for so many months: they have partitions of their own."""
    postgres.sql(f"""do $$ declare m timestamptz; first timestamptz; tables text[] := '{{calls, call_events, call_metrics}}'; begin
        select first_month into first from call_storage;
        drop table calls_early, call_events_early, call_metrics_early;
        for m in select generate_series(first - interval '{count} months', first - interval '1 month', interval '1 month') loop
            perform attach_call_partitions(to_char(m, '"_"YYYY"_"MM'), m, m + interval '1 month', tables);
        end loop;
        perform attach_call_partitions('_early', null, first - interval '{count} months', tables);
        update call_storage set first_month = first - interval '{count} months'; end $$""")


def report(rpc, start):
    call = new_id()
    rpc.ReportCallEventBatch({"call_id": call, "events": [started(COMPANY, 0, start, phone_number="+12025550100"), turn(2, 0, 1, start, eou_latency=500, tts_characters=1000),
                                                          finished(3, 60, start, outcome="success")]})
    return call


def test_retention(stubs, postgres):
    """Turns of three months back go, and calls of seven months back; their figures stay, and what is older is refused."""
    now = datetime.now(timezone.utc)
    periods = [{"start_date": "2015-01-01", "end_date": "2024-12-31"}, {"start_date": (now - timedelta(days=400)).strftime("%Y-%m-%d"), "end_date": now.strftime("%Y-%m-%d")}]
    with Analytics(stubs, postgres) as service:
        add_company(postgres)
        add_months(postgres, 12)
        rpc = service.rpc
        fresh, older, oldest, stray = (report(rpc, now - timedelta(days=d, hours=1)) for d in (0, 150, 250, 3000))
        assert rpc.ListCalls({}).total == 4
        whole = [rpc.GetMetrics(period) for period in periods]
        assert postgres.sql("select count(*) from calls_early") == "1", "what is older than the first month"
    with Analytics(stubs, postgres, "--keep-calls-days", "200", "--keep-turns-days", "90") as service:
        rpc = service.rpc
        wait_until(lambda: rpc.ListCalls({}).total == 2 and postgres.sql("select count(*) from call_index") == "2", 60, "the old months to go")
        assert [c.id for c in rpc.ListCalls({}).items] == [fresh, older]
        assert rpc.ListCalls({"phone_number": "+12025550100"}).total == 2
        for gone in (oldest, stray):
            with pytest.raises(grpc.RpcError) as error:
                rpc.GetCall({"id": gone})
            assert error.value.code() == grpc.StatusCode.NOT_FOUND
        wait_until(lambda: len(rpc.GetCall({"id": older}).turns) == 0, 60, "the old turns to go")
        kept = rpc.GetCall({"id": older})
        assert (kept.turn_count, kept.turns_truncated, kept.metrics.turn_count, kept.last_seq) == (1, True, 1, 3)
        assert len(rpc.GetCall({"id": fresh}).turns) == 1 and not rpc.GetCall({"id": fresh}).turns_truncated
        # The figures of many calls outlive the calls.
        assert [rpc.GetMetrics(period) for period in periods] == whole
        service.verify()
        with pytest.raises(grpc.RpcError) as error:
            report(rpc, now - timedelta(days=260))
        assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT and set(details(error.value)[1]) == {"events[0].occurred_at"}
        report(rpc, now - timedelta(days=100))  # its turns are kept until the next month goes
        assert rpc.ListCalls({}).total == 3
        service.verify()
        months = postgres.sql("select count(*) from pg_class where relkind = 'r' and relname ~ '^call(s|_events|_metrics)_[0-9]{4}_[0-9]{2}$'")
    with Analytics(stubs, postgres, "--keep-calls-days", "200", "--keep-turns-days", "90") as service:
        service.verify()
        assert postgres.sql("select count(*) from pg_class where relkind = 'r' and relname ~ '^call(s|_events|_metrics)_[0-9]{4}_[0-9]{2}$'") == months


def test_months_are_made_ahead(stubs, postgres):
    """However long no service ran: at its start the months are there, three ahead."""
    with Analytics(stubs, postgres):
        add_company(postgres)
    postgres.sql("""do $$ declare m timestamptz; begin
        for m in select generate_series(date_trunc('month', now()), date_trunc('month', now()) + interval '3 months', interval '1 month') loop
            execute format('drop table %I, %I, %I', 'calls' || to_char(m, '"_"YYYY"_"MM'), 'call_events' || to_char(m, '"_"YYYY"_"MM'), 'call_metrics' || to_char(m, '"_"YYYY"_"MM'));
        end loop;
        update call_storage set next_month = date_trunc('month', now()); end $$""")
    with Analytics(stubs, postgres) as service:
        wait_until(lambda: postgres.sql("select next_month > now() + interval '3 months' from call_storage") == "t", 60, "the months ahead")
        report(service.rpc, datetime.now(timezone.utc))
        assert service.rpc.ListCalls({}).total == 1
        service.verify()


def test_a_database_of_the_release_before(stubs, postgres):
    """Calls, events and figures as migration 0003 kept them are there afterwards, counted, and can be re-rated."""
    for file in sorted((ROOT / "services" / "migrations").glob("000[1-6]_*.sql")):
        text = file.read_text(encoding="utf-8")
        postgres.sql(f"begin; {text}; create table if not exists dialplane_migration (number int primary key, name text not null, checksum text not null, "
                     f"applied_at timestamptz not null default now()); commit")
        postgres.sql(f"insert into dialplane_migration (number, name, checksum) values ({int(file.name[:4])}, '{file.stem}', encode(sha256(convert_to($text${text}$text$, 'UTF8')), 'hex'))")
    add_company(postgres)
    with Rpc(stubs, "unix:/nowhere", "AnalyticsService") as messages:
        metrics = messages.message("CallMetrics", {"stt_duration_sec": 60, "llm_input_tokens": 300, "tts_characters": 1000, "livekit_duration_sec": 60, "cost_stt": 0.0043,
                                                   "cost_llm": 0.000015, "cost_tts": 0.015, "cost_livekit": 0.004, "cost_total": 0.023315, "avg_eou_latency": 512.5, "turn_count": 2})
    calls = [new_id() for _ in range(3)]
    for n, call in enumerate(calls):
        ended = "null" if n == 2 else "now() - interval '30 days'"
        postgres.sql(f"""insert into calls (id, company_id, status, outcome, started_at, ended_at, last_event_at, last_seq, turn_count)
                         values ('{call}', '{COMPANY['id']}', {1 if n == 2 else 2}, null, now() - interval '31 days', {ended}, now() - interval '30 days', 2, 2);
                         insert into call_events values ('{call}', 1, 3, 'x'), ('{call}', 2, 4, 'y')""")
        if n < 2:
            postgres.sql(f"insert into call_metrics values ('{call}', 512.5, 0, 4300, 15, 15000, 4000, 23315, '\\x{metrics.SerializeToString().hex()}')")
    with Analytics(stubs, postgres) as service:
        assert service.rpc.ListCalls({}).total == 3
        got = service.rpc.GetMetrics({"start_date": (datetime.now(timezone.utc) - timedelta(days=40)).strftime("%Y-%m-%d")})
        assert (got.total_calls, got.completed_calls, got.total_cost, got.avg_eou_latency) == (3, 2, 46630, 512.5) and abs(got.p50_eou_latency / 512.5 - 1) <= 0.02
        assert postgres.sql("select stt_ms, llm_input_tokens, llm_output_tokens, tts_characters, livekit_ms from call_metrics limit 1") == "60000|300|0|1000|60000"
        assert postgres.sql("select count(*) from call_events") == "6" and service.rpc.GetCallMetrics({"id": calls[0]}).cost_total == 23315
        service.verify()
