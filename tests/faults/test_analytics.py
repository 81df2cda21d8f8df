"""Analytics and PostgreSQL killed (SIGKILL) while agents report: every acknowledged event is there afterwards, once, and the figures agree with the calls.
Seeds: DIALPLANE_FAULT_SEEDS ("1,2"); each run prints its own and what it did."""

import collections
import os
import random
import shutil
import subprocess
import tempfile
import threading
import time
from datetime import datetime, timedelta, timezone

import grpc
import pytest

from agents import Rpc, details, new_id, random_call
from conftest import PRESET, ROOT
from private_postgres import PrivatePostgres

ANALYTICS = ROOT / "build" / PRESET / "bin" / "dialplane-analytics"
SERVICES, AGENTS, CALLS, KILLS = 2, 8, 25, 7
SECONDS = 240
PATIENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED, grpc.StatusCode.ABORTED, grpc.StatusCode.RESOURCE_EXHAUSTED)
COMPANIES = [{"id": f"00000000-0000-7000-8000-00000000000{n}"} for n in (1, 2)]


class Run:
    def __init__(self, stubs, seed):
        self.stubs, self.dice, self.seed = stubs, random.Random(seed), seed
        self.folder = tempfile.mkdtemp(prefix="dialplane-faults.", dir="/tmp")
        self.postgres = PrivatePostgres(shared_buffers="64MB")
        self.services, self.kills, self.wrong, self.acknowledged = {}, collections.Counter(), [], {}
        self.over = threading.Event()
        for index in range(SERVICES):
            self.start_service(index)
            self.wait_for(index)

    def address(self, index):
        return f"unix:{self.folder}/s{index}"

    def start_service(self, index):
        with open(f"{self.folder}/service{index}.log", "ab") as log:
            self.services[index] = subprocess.Popen([str(ANALYTICS), "--listen", self.address(index), "--metrics-listen", "off", "--database-url", self.postgres.url,
                                                     "--fold-period", "100ms", "--log-level", "error"], stdin=subprocess.DEVNULL, stderr=log)

    def wait_for(self, index):
        with grpc.insecure_channel(self.address(index)) as channel:
            grpc.channel_ready_future(channel).result(timeout=90)

    def kill_something(self):
        if self.dice.random() < 0.3:
            self.postgres.kill()
            time.sleep(self.dice.uniform(0, 0.3))
            self.postgres.start()
            self.kills["postgres"] += 1
        else:
            index = self.dice.randrange(SERVICES)
            self.services[index].kill()
            self.services[index].wait()
            self.start_service(index)
            self.kills["service"] += 1

    def report(self, clients, dice, call, events):
        """As a careful agent: again, perhaps at the other service, until there is an answer. Repeating is harmless."""
        while not self.over.is_set():
            try:
                answer = dice.choice(clients).ReportCallEventBatch({"call_id": call, "events": events}, timeout=10)
            except grpc.RpcError as error:
                if error.code() not in PATIENT:
                    self.wrong.append((call, error.code(), error.details(), details(error)))
                    return False
                time.sleep(0.05)
                continue
            if answer.accepted + answer.duplicates != len(events) or answer.last_seq < events[-1]["seq"]:
                self.wrong.append((call, "answer", str(answer)))
                return False
            self.acknowledged[call] = events[-1]["seq"]
            return True
        return False

    def agent(self, number):
        dice = random.Random(self.seed * 1000 + number)
        clients = [Rpc(self.stubs, self.address(index), "AnalyticsService") for index in range(SERVICES)]
        for _ in range(CALLS):
            start = datetime.now(timezone.utc) - timedelta(hours=dice.randrange(1, 60))
            call, events, at = new_id(), random_call(dice, dice.choice(COMPANIES), start), 0
            if dice.random() < 0.2:
                events = events[:-1]  # goes on
            while at < len(events):
                size = dice.randrange(1, 8)
                first = max(0, at - dice.choice([0, 0, 1, 3]))  # some begin with what was reported already
                if not self.report(clients, dice, call, events[first:at + size]):
                    return
                at += size

    def sql(self, text):
        return self.postgres.sql(text)

    def verify(self):
        done = subprocess.run([str(ANALYTICS), "--database-url", self.postgres.url, "--log-level", "error", "--verify-rollups"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=180)
        assert (done.returncode, done.stdout) == (0, "The figures agree with the calls.\n")

    def stop(self):
        self.over.set()
        for service in self.services.values():
            service.kill()
            service.wait()
        self.postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.mark.parametrize("seed", [int(s) for s in os.environ.get("DIALPLANE_FAULT_SEEDS", "1,2").split(",")])
def test_acknowledged_events_survive_and_count(stubs, seed):
    run = Run(stubs, seed)
    try:
        run.sql("insert into companies (id, name, slug) values " + ", ".join(f"('{c['id']}', '{c['id'][-1]}', 'c{c['id'][-1]}')" for c in COMPANIES))
        agents = [threading.Thread(target=run.agent, args=(n,)) for n in range(AGENTS)]
        for agent in agents:
            agent.start()
        until = time.monotonic() + SECONDS
        for _ in range(KILLS):
            # As soon as some more has been acknowledged: whatever the machine's speed, each kill hits work.
            target = len(run.acknowledged) + 8
            while len(run.acknowledged) < target and any(a.is_alive() for a in agents) and time.monotonic() < until:
                time.sleep(0.01)
            run.kill_something()
        for agent in agents:
            agent.join(max(1, until - time.monotonic()))
        print(f"seed {seed}: {dict(run.kills)}, {len(run.acknowledged)} calls")
        assert not run.wrong, run.wrong[:3]
        assert not any(a.is_alive() for a in agents), "agents were not done in time"
        stored = dict(line.split("|") for line in run.sql(
            "select c.id, c.last_seq || ',' || (select count(*) || ',' || coalesce(min(seq), 0) || ',' || coalesce(max(seq), 0) from call_events e where e.call_id = c.id) || ',' "
            "|| (c.ended_at is not null) || ',' || exists (select from call_metrics m where m.call_id = c.id) from calls c").splitlines())
        assert len(stored) == len(run.acknowledged) == AGENTS * CALLS
        for call, last in run.acknowledged.items():
            has_ended = stored[call].split(",")[4]
            assert stored[call] == f"{last},{last},1,{last},{has_ended},{has_ended}", (call, last, stored[call])
        run.verify()
    finally:
        run.stop()
