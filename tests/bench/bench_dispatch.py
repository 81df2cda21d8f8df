#!/usr/bin/env python3
"""Dispatch under load: several service processes on one private PostgreSQL (fsync on), workers over gRPC, and a million ready tasks over 20 campaigns.

Prints the figures of the issue with their limits, and exits 1 when one is missed. Everything shares this machine's cores: database, services and workers.
DIALPLANE_BENCH_TASKS (1000000), DIALPLANE_BENCH_SECONDS (60; the dead rows' figure asks for 300), DIALPLANE_BENCH_SERVICES (8), DIALPLANE_BENCH_WORKERS (64)."""
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import grpc

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from private_postgres import PrivatePostgres  # noqa: E402

BUILD = ROOT / "build" / os.environ.get("DIALPLANE_PRESET", "release")
TASKS, SECONDS, SERVICES, WORKERS = (int(os.environ.get(f"DIALPLANE_BENCH_{name}", default)) for name, default in (
    ("TASKS", 1000000), ("SECONDS", 60), ("SERVICES", 8), ("WORKERS", 64)))
CAMPAIGNS, BATCH, SMALL = 20, 10, 10000
HOT = ("call_tasks", "live_calls", "campaign_pacing", "campaign_counts", "campaign_count_changes", "call_attempts")
missed = []


def figure(name, value, limit, ok):
    print(f"  {name:<62} {value:>12}   limit {limit:<10} {'' if ok else '  <-- missed'}", flush=True)
    if not ok:
        missed.append(name)


def set_up(database, count):
    """Campaigns open the whole day, as fast as they may; numbers that no two campaigns share."""
    database.sql(f"""
        insert into companies (id, name, slug) select ('00000000-0000-7000-8000-' || to_char(n, 'FM000000000000'))::uuid, 'c' || n, 'c' || n from generate_series(1, 4) n;
        insert into skillbases (id, company_id, name, slug, config) select id, id, 's', 's', '{{}}' from companies;
        insert into campaigns (id, company_id, skillbase_id, name, status, daily_start_time, daily_end_time, timezone, days_of_week, max_concurrent_calls,
                               calls_per_minute, max_retries, retry_delay_minutes, created_at, updated_at, started_at)
            select ('00000000-0000-7000-9000-' || to_char(n, 'FM000000000000'))::uuid, ('00000000-0000-7000-8000-' || to_char(1 + n % 4, 'FM000000000000'))::uuid,
                   ('00000000-0000-7000-8000-' || to_char(1 + n % 4, 'FM000000000000'))::uuid, 'b' || n, 'draft', '00:00', '00:00', 'UTC', '{{1,2,3,4,5,6,7}}', 10000,
                   60000, 3, 30, now(), now(), now() from generate_series(1, {CAMPAIGNS}) n;
        insert into campaign_pacing (campaign_id, company_id, status, refilled_at) select id, company_id, status, now() from campaigns""")
    fill(database, 0, count)
    # Not before: a running campaign without tasks is completed within the second.
    database.sql("update campaigns set status = 'running'; update campaign_pacing set status = 'running'")


def fill(database, first, count):
    database.sql(f"""
        with made as (
            insert into call_tasks (id, campaign_id, company_id, phone_number, ready_at, created_at, updated_at)
            select (lpad(to_hex(1700000000000 + n), 12, '0') || '7000' || '8000' || lpad(to_hex(n), 12, '0'))::uuid, c.id, c.company_id, '+49' || (10000000000 + n), now(), now(), now()
            from generate_series({first}, {first + count - 1}) n
                join (select id, company_id, row_number() over (order by id) - 1 as k from campaigns) c on c.k = n % {CAMPAIGNS}
            returning id, company_id)
        insert into call_task_contacts select id, company_id, null, '{{"city": "Paris", "note": "asked for a call back"}}' from made;
        update campaign_pacing set idle_until = '-infinity';
        select fold_counts(1000000)""", timeout=900)
    database.sql("vacuum analyze call_tasks; vacuum analyze call_task_contacts", timeout=900)


def drive(addresses, seconds, workers, batch, cycles=0, rate=0):
    answer = subprocess.run([str(BUILD / "bin" / "bench_dispatch"), str(seconds), str(workers), str(batch), str(cycles), str(rate), *addresses], check=True,
                            stdout=subprocess.PIPE, text=True, timeout=seconds + 60)
    return json.loads(answer.stdout)


def dead_rows(database):
    return dict(row.split("|") for row in database.sql("select relname, n_dead_tup from pg_stat_user_tables where relname in (%s)"
                                                       % ", ".join(f"'{name}'" for name in HOT)).splitlines())


def main():
    database = PrivatePostgres(shared_buffers="512MB", max_wal_size="4GB", autovacuum_naptime="5s", max_connections=400)
    services = []
    try:
        addresses = [f"unix:/tmp/dialplane-bench.{os.getpid()}.{i}" for i in range(SERVICES)]
        for address in addresses:
            services.append(subprocess.Popen([str(BUILD / "bin" / "dialplane-campaign"), "--listen", address, "--metrics-listen", "off", "--database-url", database.url,
                                              "--log-level", "error"]))
            if len(services) == 1:
                with grpc.insecure_channel(address) as channel:
                    grpc.channel_ready_future(channel).result(timeout=60)
        for address in addresses:
            with grpc.insecure_channel(address) as channel:
                grpc.channel_ready_future(channel).result(timeout=60)
        print(f"dispatch: {SERVICES} services, {WORKERS} workers, {CAMPAIGNS} campaigns, {os.cpu_count()} cores shared by all, load {os.getloadavg()[0]:.1f}")
        set_up(database, SMALL)
        drive(addresses[:1], 5, 1, 1, 500)
        small = drive(addresses[:1], 30, 1, 1, 3000)
        started = time.monotonic()
        fill(database, SMALL, TASKS - SMALL)
        print(f"  ({TASKS:,} tasks ready after {time.monotonic() - started:.0f} s)", flush=True)
        drive(addresses[:1], 5, 1, 1, 500)
        large = drive(addresses[:1], 30, 1, 1, 3000)
        ratio = large["claim"]["p50"] / small["claim"]["p50"]
        figure(f"cost of a claim, {SMALL:,} to {TASKS:,} tasks (p50 {small['claim']['p50']:.2f} ms to {large['claim']['p50']:.2f} ms)", f"{ratio:.2f} x", "1.3 x", ratio <= 1.3)
        single = drive(addresses, max(10, SECONDS // 4), WORKERS, 1)
        figure(f"claim p99, one task at a time ({single['cycles'] / single['seconds']:.0f} cycles/s)", f"{single['claim']['p99']:.1f} ms", "50 ms", single["claim"]["p99"] < 50)
        before = int(database.sql("select count(*) from call_tasks where ready"))
        load = drive(addresses, SECONDS, WORKERS, BATCH)
        figure(f"claim p99, batches of {BATCH} (p50 {load['claim']['p50']:.1f} ms)", f"{load['claim']['p99']:.1f} ms", "50 ms", load["claim"]["p99"] < 50)
        rate = load["cycles"] / load["seconds"]
        figure(f"claim + begin + finish, batches of {BATCH}", f"{rate:.0f} /s", "3000 /s", rate >= 3000)
        print(f"  begin p50/p99 {load['begin']['p50']:.1f}/{load['begin']['p99']:.1f} ms, finish p50/p99 {load['finish']['p50']:.1f}/{load['finish']['p99']:.1f} ms; "
              f"failures {load['failures']}; empty claims {load['empty']}; {before - load['cycles']:,} tasks were left")
        time.sleep(10)  # a round of autovacuum
        dead = dead_rows(database)
        touched = load["cycles"] + single["cycles"]
        most = max(int(n) for n in dead.values())
        figure(f"dead rows {SECONDS} s and 10 s later, worst table (of {touched:,} calls)", f"{most:,}", f"{max(20000, TASKS // 10):,}", most <= max(20000, TASKS // 10))
        print("  dead rows:", ", ".join(f"{name} {int(n):,}" for name, n in sorted(dead.items())))
    finally:
        for service in services:
            service.kill()
            service.wait()
        database.stop()
    if missed:
        print(f"missed: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
