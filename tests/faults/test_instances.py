"""Two instances of each service with a Redis between them (./dev up --instances 2 --redis): what is reported to one is seen at the other; and whatever is
killed with SIGKILL (analytics, Redis, PostgreSQL), no watcher misses an event or sees one twice, and no acknowledged one is lost. Seeds: DIALPLANE_FAULT_SEEDS ("1,2,3")."""
import asyncio
import collections
import json
import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path

import grpc
import pytest
import websockets

from agents import Rpc, finished, new_id, started, turn
from conftest import Api, Platform, wait_until

CALLS, TURNS = 6, 150


class Instances:
    """A platform of two, its analytics instances by themselves, and its Redis."""

    def __init__(self, stubs, poll):
        self.platform = Platform({"DIALPLANE_ANALYTICS_LIVE_POLL": poll})
        self.platform.start("--instances", "2", "--redis")
        run = Path(self.platform.data, "run")
        self.socket = str(run / "redis.sock")
        self.analytics = [Rpc(stubs, f"unix:{run}/{name}.sock", "AnalyticsService") for name in ("analytics", "analytics-2")]
        self.api = Api(self.platform.url)

    def stop(self):
        for rpc in self.analytics:
            rpc.close()
        self.platform.stop()

    def redis(self, *words):
        return subprocess.run(["redis-cli", "-s", self.socket, *words], check=True, timeout=30, text=True, stdout=subprocess.PIPE).stdout.strip()

    def kill_redis(self):
        os.kill(self.platform.pid("redis"), signal.SIGKILL)
        wait_until(lambda: subprocess.run(["redis-cli", "-s", self.socket, "ping"], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0)

    def start_redis(self):
        """As ./dev does, which stops it."""
        run = Path(self.platform.data, "run")
        with open(Path(self.platform.data, "logs", "redis.log"), "ab") as log:
            server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "700", "--save", "", "--appendonly", "no",
                                       "--dir", str(run)], executable="/usr/bin/redis-check-rdb", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                      start_new_session=True, cwd=run)
        (run / "redis.pid").write_text(f"{server.pid}\n")
        wait_until(lambda: subprocess.run(["redis-cli", "-s", self.socket, "ping"], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0)

    def kill_postgres(self):
        """SIGKILL to the server's first process, and up again as soon as its children have noticed."""
        data = Path(self.platform.data, "postgres")
        os.kill(int((data / "postmaster.pid").read_text().splitlines()[0]), signal.SIGKILL)
        owner = data.stat()

        def as_owner():
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(owner.st_gid)
                os.setuid(owner.st_uid)
        ask = ["/usr/lib/postgresql/15/bin/pg_isready", "-q", "-d", f"host={self.platform.data}/run user=dialplane dbname=dialplane"]
        deadline = time.monotonic() + 120
        while True:
            with open(Path(self.platform.data, "logs", "postgres.log"), "ab") as log:
                server = subprocess.Popen(["/usr/lib/postgresql/15/bin/postgres", "-D", str(data)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                          preexec_fn=as_owner, start_new_session=True)
            # It ends by itself while the children of the old one hold the shared memory.
            while server.poll() is None:
                assert time.monotonic() < deadline, "PostgreSQL did not come back"
                if subprocess.run(ask, check=False).returncode == 0:
                    Path(self.platform.data, "run", "postgres.pid").write_text(f"{server.pid}\n")
                    return
                time.sleep(0.05)
            assert time.monotonic() < deadline, "PostgreSQL did not come back"
            time.sleep(0.1)

    def wait_for_bus(self):
        """Both instances hear their own beats, and each other's."""
        wait_until(lambda: self.redis("pubsub", "numsub", "dialplane:0:beat").split() == ["dialplane:0:beat", "2"], 60, "both instances at the bus")


def report(rpc, call, events):
    """Until it is acknowledged: repeating is harmless. How often it had to be said again."""
    deadline, again = time.monotonic() + 120, 0
    while True:
        try:
            answer = rpc().ReportCallEventBatch({"call_id": call, "events": events}, timeout=20)
            assert answer.accepted + answer.duplicates == len(events)
            return again
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED, grpc.StatusCode.ABORTED):
                raise
            assert time.monotonic() < deadline, error
            again += 1
            time.sleep(0.1)


class Watcher:
    """Sees a call to its end; comes back after the last seq that it has seen, as often as it is cut."""

    def __init__(self, call, watch):
        self.call, self.watch = call, watch
        self.seqs, self.seq, self.connects, self.over, self.error = [], 0, 0, False, None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        deadline = time.monotonic() + 240
        try:
            while not self.over:
                assert time.monotonic() < deadline
                self.connects += 1
                for kind, seq in self.watch(self.call, self.seq):
                    if kind in ("turn", "status"):
                        self.seqs.append(seq)
                    self.seq = seq
                    self.over = self.over or kind == "end"
                time.sleep(0.05)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            self.error = error


def watch_grpc(rpc):
    def watch(call, after):
        stream = rpc.WatchCall({"call_id": call, "after_seq": after}, timeout=240)
        seq = after
        try:
            for message in stream:
                seq = message.seq
                yield message.WhichOneof("event"), seq
            yield "end", seq
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                raise
    return watch


def watch_websocket(platform):
    def watch(call, after):
        messages = []

        async def follow():
            seq = after
            async with websockets.connect(f"ws://{platform.http}/api/analytics/ws/calls/{call}?after_seq={after}", max_size=None) as ws:
                try:
                    while True:
                        message = json.loads(await ws.recv())
                        if message["type"] == "error":
                            continue
                        seq = message["seq"]
                        messages.append((message["type"], seq))
                except websockets.ConnectionClosed:
                    if ws.close_code == 1000:
                        messages.append(("end", seq))
                    else:
                        assert ws.close_code in (1006, 1012), ws.close_code
        try:
            asyncio.run(follow())
        except (OSError, websockets.InvalidHandshake):
            pass  # on its way up again
        return messages
    return watch


@pytest.fixture(scope="module")
def instances(stubs):
    """Polls so seldom that what comes at once has come over the bus."""
    instances = Instances(stubs, "20s")
    yield instances
    instances.stop()


def said(call, seq):
    return turn(seq, seq - 2, seq)


def test_what_is_reported_to_one_is_seen_at_the_other(instances):
    company, call = instances.api.company(), new_id()
    instances.wait_for_bus()
    one, other = instances.analytics
    report(lambda: one, call, [started(company)])
    watchers = [Watcher(call, watch_grpc(other)), Watcher(call, watch_grpc(one)), Watcher(call, watch_websocket(instances.platform))]
    wait_until(lambda: watchers[0].connects and instances.redis("pubsub", "channels", "dialplane:0:events:*"), what="a channel for the call")
    # Each is waited for before the next: by polling, every 100 s while the bus is up, this would not come about.
    for seq in range(2, 22):
        report(lambda: one, call, [said(call, seq)])
        wait_until(lambda: watchers[0].seqs[-1:] == [seq], 60, f"event {seq} at the other instance")
    report(lambda: one, call, [finished(22, 22)])
    for watcher in watchers:
        wait_until(lambda: watcher.over or watcher.error, 60, "the end")
        assert not watcher.error and watcher.seqs == list(range(2, 23)) and watcher.connects == 1
    wait_until(lambda: not instances.redis("pubsub", "channels", "dialplane:0:events:*"), what="nobody listening any more")


def test_redis_away_means_polling_and_a_warning(instances):
    company, call = instances.api.company(), new_id()
    instances.wait_for_bus()
    one, other = instances.analytics
    report(lambda: one, call, [started(company), said(call, 2)])
    watcher = Watcher(call, watch_grpc(other))
    wait_until(lambda: watcher.seqs == [2], what="the first turn")
    instances.kill_redis()
    try:
        report(lambda: one, call, [said(call, 3)])
        wait_until(lambda: watcher.seqs == [2, 3], 60, "what was said without Redis")
        for name in ("dialplane-analytics", "dialplane-analytics-2"):
            lines = [json.loads(line) for line in instances.platform.log(name).splitlines()]
            assert [line["level"] for line in lines if line.get("event") == "bus_away"] == ["warn"], "once an outage"
    finally:
        instances.start_redis()
    instances.wait_for_bus()
    wait_until(lambda: instances.redis("pubsub", "channels", "dialplane:0:events:*"), what="the channel again")
    for seq in range(4, 14):
        report(lambda: one, call, [said(call, seq)])
        wait_until(lambda: watcher.seqs[-1:] == [seq], 60, f"event {seq} over the bus again")
    report(lambda: one, call, [finished(14, 14)])
    wait_until(lambda: watcher.over or watcher.error, 60, "the end")
    assert not watcher.error and watcher.seqs == list(range(2, 15)) and watcher.connects == 1


@pytest.mark.parametrize("seed", [int(seed) for seed in os.environ.get("DIALPLANE_FAULT_SEEDS", "1,2,3").split(",")])
def test_nothing_is_lost_or_repeated_whatever_is_killed(stubs, seed):
    instances = Instances(stubs, "1s")
    try:
        chaos(instances, seed)
    finally:
        instances.stop()


def chaos(instances, seed):
    dice, kills, stop = random.Random(seed), collections.Counter(), threading.Event()
    platform, company = instances.platform, instances.api.company()
    instances.wait_for_bus()
    calls = [new_id() for _ in range(CALLS)]
    for call in calls:
        report(lambda: instances.analytics[0], call, [started(company)])
    watchers = [Watcher(call, watch) for call in calls
                for watch in (watch_grpc(instances.analytics[0]), watch_grpc(instances.analytics[1]), watch_websocket(platform))]
    failures = []

    def tell(call, dice):
        try:
            seq = 2
            while seq <= TURNS:
                count = min(dice.randrange(1, 6), TURNS + 1 - seq)
                # the other instance each time that one does not answer
                rpcs = iter(instances.analytics * 1000 if dice.random() < 0.5 else instances.analytics[::-1] * 1000)
                report(lambda: next(rpcs), call, [said(call, s) for s in range(seq, seq + count)])
                seq += count
                time.sleep(dice.uniform(0, 0.15))
            stop.wait()  # the calls end after the last kill
            report(lambda: dice.choice(instances.analytics), call, [finished(TURNS + 1, TURNS + 1)])
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failures.append(error)
    tellers = [threading.Thread(target=tell, args=(call, random.Random(dice.random())), daemon=True) for call in calls]
    for teller in tellers:
        teller.start()
    for number in range(8):
        time.sleep(dice.uniform(0.1, 0.8))
        which = dice.choice(["redis", "dialplane-analytics", "dialplane-analytics-2", "postgres"]) if number else "postgres"
        kills[which] += 1
        if which == "redis":
            instances.kill_redis()
            time.sleep(dice.uniform(0, 0.5))
            instances.start_redis()
        elif which == "postgres":
            instances.kill_postgres()
        else:
            platform.restart(which)
    stop.set()
    for thread in tellers:
        thread.join(200)
    assert not failures and not any(thread.is_alive() for thread in tellers), failures
    expected = list(range(2, TURNS + 2))
    for watcher in watchers:
        watcher.thread.join(200)
        assert not watcher.error and watcher.over, watcher.error
        assert watcher.seqs == expected, f"seed {seed}: {watcher.seqs}"
    for call in calls:
        shown = instances.api.ok("GET", f"/api/analytics/calls/{call}")
        assert (shown["last_seq"], shown["turn_count"], shown["status"]) == (TURNS + 1, TURNS - 1, "completed")
    print(f"seed {seed}: killed {dict(kills)}, watchers came back {sum(w.connects - 1 for w in watchers)} times")
