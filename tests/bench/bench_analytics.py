#!/usr/bin/env python3
"""Analytics: ingest through gRPC against INSERTs by libpq, the time of figures at 100,000 and 10,000,000 calls, and the history's page 1 and 10,000.

    bench_analytics.py [--calls 10000000] [--seed 1] [--seconds 8] [--requests 1000] [--keep FOLDER]

Prints the figures of the issue with their limits, and exits 1 when one is missed. Ingest runs on a durable PostgreSQL (fsync on). The calls of the large set are
made in SQL from the seed (analytics_data.py), each with two turns; ten million take about 20 GB below DIALPLANE_BENCH_DIR (default /tmp), which are removed at
the end; with --keep they stay in FOLDER, and a later run with the same FOLDER measures them instead of making them again. Everything shares this machine's cores: database, service and clients."""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import grpc

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from analytics_data import CAMPAIGNS, COMPANIES, DAYS, company, generate, set_up  # noqa: E402
from private_postgres import PrivatePostgres  # noqa: E402

BUILD = ROOT / "build" / os.environ.get("DIALPLANE_PRESET", "release")
SMALL, TURNS, PAGE = 100_000, 12, 10_000
missed = []


def figure(name, value, limit, ok):
    print(f"  {name:<96} {value:>10}   limit {limit:<9} {'' if ok else '  <-- missed'}", flush=True)
    if not ok:
        missed.append(name)


class Database:
    """Another database of the same server, with a service of its own."""

    def __init__(self, server, name):
        if not server.found:
            server.sql(f"create database {name}")
        self.url = server.url.replace("/dialplane?", f"/{name}?")
        self.sql = lambda text, timeout=300: PrivatePostgres.sql(self, text, timeout)


# --- requests, as bytes -----------------------------------------------------------------------------------------------

def message(**values):
    """Fields by number: text and small integers."""
    out = b""
    for name, value in values.items():
        number = int(name[1:])
        if isinstance(value, str):
            out += bytes([number << 3 | 2, len(value)]) + value.encode()
        else:
            out += bytes([number << 3])
            while value > 127:
                out += bytes([value & 127 | 128])
                value >>= 7
            out += bytes([value])
    return out


def fields(data):
    """number → last value of a message's integers and bytes."""
    found, i = {}, 0

    def varint():
        nonlocal i
        value = shift = 0
        while True:
            byte = data[i]
            i += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while i < len(data):
        tag = varint()
        if tag & 7 == 0:
            found[tag >> 3] = varint()
        elif tag & 7 == 2:
            length = varint()
            found.setdefault(tag >> 3, []).append(data[i:i + length])
            i += length
        else:
            i += 8 if tag & 7 == 1 else 4
    return found


class Client:
    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        grpc.channel_ready_future(self.channel).result(timeout=60)
        self.methods = {name: self.channel.unary_unary(f"/dialplane.v1.AnalyticsService/{name}") for name in ("GetMetrics", "ListCalls")}

    def timed(self, name, request):
        began = time.perf_counter()
        answer = self.methods[name](request, timeout=60)
        return (time.perf_counter() - began) * 1000, answer


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, int(len(values) * p))]


def filters(rng):
    """What dashboards ask for: all, a company, a campaign, a skillbase, an outcome, a status."""
    c, k = rng.randrange(1, COMPANIES + 1), rng.randrange(1, CAMPAIGNS + 1)
    return rng.choice([{}, {"f1": company(c)}, {"f1": company(c)}, {"f3": f"00000000-0000-7000-8002-{c * 100 + k:012}"}, {"f2": f"00000000-0000-7000-8001-{c * 100 + k:012}"},
                       {"f1": company(c), "f4": "success"}, {"f1": company(c), "f5": 2}])


def time_metrics(clients, count):
    """Milliseconds of the same requests, asked of each in turn: both meet the same machine."""
    rng, times = random.Random(5), [[] for _ in clients]
    days = {"f6": (datetime.now(timezone.utc) - timedelta(days=DAYS - 1)).strftime("%Y-%m-%d"), "f7": datetime.now(timezone.utc).strftime("%Y-%m-%d")}
    for i in range(count + 50):
        request = message(**filters(rng), **days)
        for client, kept in zip(clients, times):
            took, _ = client.timed("GetMetrics", request)
            if i >= 50:
                kept.append(took)
    return times


def alternate(client, requests, count):
    """Median milliseconds of each request, taken in turns."""
    times = [[] for _ in requests]
    for i in range(count + 20):
        for request, kept in zip(requests, times):
            took, _ = client.timed("ListCalls", request)
            if i >= 20:
                kept.append(took)
    return [statistics.median(kept) for kept in times]


def time_pages(client, name, filter_):
    rows = 50
    total = fields(client.timed("ListCalls", message(**filter_, f9=rows))[1]).get(2, 0)
    rows = max(1, min(rows, total // PAGE))
    before = fields(client.timed("ListCalls", message(**filter_, f8=PAGE - 1, f9=rows))[1])
    if 5 not in before:
        print(f"  (no page {PAGE:,} of {name}: {total:,} calls)", flush=True)
        return
    token = before[5][-1].decode()
    first, by_token, by_number = alternate(client, [message(**filter_, f9=rows), message(**filter_, f9=rows, f10=token), message(**filter_, f8=PAGE, f9=rows)], 150)
    for how, took in (("token", by_token), ("number", by_number)):
        ratio = took / first
        figure(f"history of {name}, pages of {rows} of {total:,}: page {PAGE:,} by {how} to page 1 ({took:.2f} ms to {first:.2f} ms)", f"{ratio:.2f} x", "1.3 x", ratio <= 1.3)


# --- ingest -----------------------------------------------------------------------------------------------------------

def drive(*arguments):
    done = subprocess.run([str(BUILD / "bin" / "bench_analytics"), *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True, timeout=600)
    return json.loads(done.stdout)


def ingest(database, address, seconds, seed):
    """In turns, so that both meet the same machine."""
    reference, ours, pieces = [], [], []
    for i in range(3):
        reference.append(drive("libpq", seconds, 4, TURNS, company(0), seed + i, database.url)["rows"])
        ours.append(drive("grpc", seconds, 64, TURNS, 1, company(0), seed + 100 + i, address))
    pieces = drive("grpc", seconds, 64, TURNS, 4, company(0), seed + 200, address)
    ratio = statistics.median(o["rows"] for o in ours) / statistics.median(reference)
    best = max(ours, key=lambda o: o["rows"])
    figure(f"ingest: rows/s through gRPC ({best['rows']:,.0f}; p50 {best['p50']:.1f} ms, p99 {best['p99']:.1f} ms a call) to INSERTs by libpq ({max(reference):,.0f})",
           f"{ratio:.2f} x", "0.3 x", ratio >= 0.3)
    print(f"  (each call reported in 4 pieces: {pieces['rows']:,.0f} rows/s, p50 {pieces['p50']:.1f} ms, p99 {pieces['p99']:.1f} ms a report)", flush=True)


def make(database, larger, address, options):
    """Ingest into the empty database first, which its calls then replace."""
    set_up(database)
    set_up(larger)
    ingest(database, address, options.seconds, options.seed)
    database.sql("alter system set fsync = off; select pg_reload_conf()")  # for making data only
    generate(database, SMALL, options.seed)
    began = time.monotonic()
    generate(larger, options.calls, options.seed)
    database.sql("alter system reset fsync; select pg_reload_conf()")
    print(f"  ({options.calls:,} calls made in {time.monotonic() - began:.0f} s; the database has {larger.sql('select pg_size_pretty(pg_database_size(current_database()))')})", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--keep", metavar="FOLDER", help="keep the databases there, or measure those that are there")
    options = parser.parse_args()
    database = PrivatePostgres(options.keep, shared_buffers="1GB", max_wal_size="8GB", effective_cache_size="4GB", checkpoint_timeout="30min")
    services, addresses = [], [f"unix:/tmp/dialplane-bench.{os.getpid()}.{n}" for n in range(2)]
    try:
        larger = Database(database, "larger")
        for address, url in zip(addresses, (database.url, larger.url)):
            services.append(subprocess.Popen([str(BUILD / "bin" / "dialplane-analytics"), "--listen", address, "--metrics-listen", "off", "--database-url", url,
                                              "--log-level", "error", "--auth", "off"]))
        clients = [Client(address) for address in addresses]
        client = clients[1]
        print(f"analytics: one service a database, {os.cpu_count()} cores shared by all, load {os.getloadavg()[0]:.1f}, seed {options.seed}", flush=True)
        if database.found:
            options.calls = int(larger.sql("select count(*) from call_index", timeout=3600))
            print(f"  (the {options.calls:,} calls of {options.keep}; ingest is not measured)", flush=True)
        else:
            make(database, larger, addresses[0], options)
        small, large = time_metrics(clients, options.requests)
        ratio = statistics.median(large) / statistics.median(small)
        figure(f"metrics over {DAYS} days, {SMALL:,} to {options.calls:,} calls (median {statistics.median(small):.2f} ms to {statistics.median(large):.2f} ms)", f"{ratio:.2f} x", "1.5 x",
               ratio <= 1.5)
        figure(f"metrics over {DAYS} days, p99 at {options.calls:,} calls (at {SMALL:,}: {percentile(small, 0.99):.2f} ms)", f"{percentile(large, 0.99):.2f} ms", "10 ms",
               percentile(large, 0.99) < 10)
        began = time.monotonic()
        subprocess.run([str(BUILD / "bin" / "dialplane-analytics"), "--verify-rollups", "--database-url", larger.url, "--log-level", "error"], check=True, stdout=subprocess.DEVNULL)
        print(f"  (--verify-rollups recounted all in {time.monotonic() - began:.0f} s)", flush=True)
        if options.calls >= PAGE * COMPANIES * 2:
            time_pages(client, "all", {})
            time_pages(client, "a company", {"f1": company(1)})
            time_pages(client, "an outcome in a company", {"f1": company(1), "f4": "success"})
        else:
            print("  (too few calls for page 10,000)")
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
