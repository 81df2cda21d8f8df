"""Kills services, agents and PostgreSQL with SIGKILL while campaigns run, and then holds what the telephone side has written down by itself against what must
always be true. Seeds: DIALPLANE_FAULT_SEEDS ("1,2,3"); each run prints its own and what it did. See phone.py for the agents' side."""
import collections
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import grpc
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "clients" / "python"), str(ROOT / "tests")]
from agent import Service  # noqa: E402
from private_postgres import PrivatePostgres  # noqa: E402

BUILD = ROOT / "build" / os.environ.get("DIALPLANE_PRESET", "release")
PROTOSET = str(BUILD / "proto" / "dialplane.protoset")
SERVICES, AGENTS, CONTACTS, LINES, PER_MINUTE = 3, 6, 250, 5, 1500
SECONDS = int(os.environ.get("DIALPLANE_FAULT_SECONDS", "240"))


class Run:
    def __init__(self, seed):
        self.dice, self.seed = random.Random(seed), seed
        self.folder = tempfile.mkdtemp(prefix="dialplane-faults.", dir="/tmp")
        self.log = f"{self.folder}/phone.log"
        self.postgres = PrivatePostgres(shared_buffers="64MB")
        self.kills = collections.Counter()
        self.services, self.agents, self.incarnation = {}, {}, 0
        for index in range(SERVICES):
            self.start_service(index)
        self.wait_for_service()

    def address(self, index):
        return f"unix:{self.folder}/s{index}"

    def start_service(self, index):
        with open(f"{self.folder}/service{index}.log", "ab") as log:
            self.services[index] = subprocess.Popen(
                [str(BUILD / "bin" / "dialplane-campaign"), "--listen", self.address(index), "--metrics-listen", "off", "--database-url", self.postgres.url,
                 "--lease", "3s", "--sweep-period", "200ms", "--log-level", "error"], stderr=log)

    def wait_for_service(self):
        with grpc.insecure_channel(self.address(0)) as channel:
            grpc.channel_ready_future(channel).result(timeout=60)

    def start_agent(self, index, share):
        self.incarnation += 1
        with open(f"{self.folder}/agent{index}.log", "ab") as log:
            self.agents[index] = subprocess.Popen(
                [sys.executable, str(ROOT / "tests" / "faults" / "phone.py"), self.address(index % SERVICES), PROTOSET, self.log,
                 str(self.seed * 100000 + self.incarnation), str(share)], stdout=log, stderr=log)

    def kill_something(self):
        which = self.dice.choices(("service", "agent", "postgres"), (10, 8, 2))[0]
        if which == "postgres":
            self.postgres.kill()
            time.sleep(self.dice.uniform(0, 0.5))
            self.postgres.start()
        elif which == "service":
            index = self.dice.randrange(SERVICES)
            self.services[index].kill()
            self.services[index].wait()
            time.sleep(self.dice.uniform(0, 0.3))
            self.start_service(index)
        else:
            self.kill_agent(self.agents[self.dice.randrange(AGENTS)])
        self.kills[which] += 1

    def kill_agent(self, agent):
        """Its calls end now: said at once, because the platform lets their lines go when their leases run out, however long anything here takes."""
        agent.kill()
        agent.wait()
        self.write("died", worker=f"phone-{agent.args[5]}", step="from outside")

    def revive_agents(self, share):
        for index, agent in self.agents.items():
            if agent.poll() is not None:
                self.kill_agent(agent)  # of itself, as it has written; or else it says so here
                self.start_agent(index, share)

    def write(self, what, **fields):
        with open(self.log, "a", encoding="utf-8") as log:
            log.write(json.dumps({"what": what, "at": time.monotonic(), **fields}) + "\n")

    def sql(self, text):
        """Until PostgreSQL is back, should it be away."""
        for attempt in range(60):
            try:
                return self.postgres.sql(text)
            except subprocess.CalledProcessError:
                time.sleep(0.5)
        raise AssertionError("the database stays away")

    def stop(self):
        for process in [*self.agents.values(), *self.services.values()]:
            process.kill()
            process.wait()
        self.postgres.stop()


def set_up(run):
    """Two campaigns of one company with the same contacts: a person may be on one call only."""
    company, skillbase = ("00000000-0000-7000-8000-00000000000%d" % n for n in (1, 2))
    run.sql(f"insert into companies (id, name, slug) values ('{company}', 'c', 'c');"
            f"insert into skillbases (id, company_id, name, slug, config) values ('{skillbase}', '{company}', 's', 's', '{{}}')")
    campaigns = Service(run.address(0), PROTOSET, "dialplane.v1.CampaignService")
    made = []
    for _ in range(2):
        campaign = campaigns.CreateCampaign(campaign={"company_id": company, "skillbase_id": skillbase, "name": "F", "daily_start_time": "00:00", "daily_end_time": "00:00",
                                                      "max_concurrent_calls": LINES, "calls_per_minute": PER_MINUTE, "max_retries": 3, "retry_delay_minutes": 1})
        run.sql(f"""with made as (insert into call_tasks (id, campaign_id, company_id, phone_number, ready_at, created_at, updated_at)
                    select gen_random_uuid(), '{campaign.id}', '{company}', '+1201555' || to_char(n, 'FM0000'), now(), now(), now() from generate_series(1, {CONTACTS}) n
                    returning id, company_id) insert into call_task_contacts select id, company_id, null, '{{}}' from made""")
        campaigns.StartCampaign(id=campaign.id)
        made.append(campaign.id)
    return campaigns, made


def restart_what_came_back(run, campaigns):
    """A call that was lost does not keep its campaign open. When its agent reports late that nobody answered, the contact waits for another attempt in
    a campaign that has completed: a person starts it again."""
    for campaign in run.sql("select distinct c.id from campaigns c join call_tasks t on t.campaign_id = c.id"
                            " where c.status = 'completed' and (t.ready or t.waiting)").split():
        try:
            campaigns.StartCampaign(id=campaign)
        except grpc.RpcError as error:  # a service that was just killed, or somebody was faster
            assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.CANCELLED), error


def pause_for_a_while(run, campaigns, campaign, pauses):
    try:
        campaigns.PauseCampaign(id=campaign)
    except grpc.RpcError as error:  # completed, or paused by a call whose answer was lost
        if "already" not in error.details():
            return
    answered = time.monotonic()
    time.sleep(run.dice.uniform(0.3, 1))
    asked = time.monotonic()
    try:
        campaigns.StartCampaign(id=campaign)
    except grpc.RpcError as error:
        assert "already" in error.details() or "no tasks" in error.details() or "completed" in error.details(), error.details()
    pauses.append((campaign, answered, asked))


def most_at_once(dials, until):
    """The calls that were under way when the most were."""
    return max(([d for d in dials if d["at"] <= moment < until(d)] for moment in (d["at"] for d in dials)), key=len)


def overlap(intervals):
    """The most that are under way at once."""
    most = now = 0
    for _, change in sorted((moment, change) for start, end in intervals for moment, change in ((start, 1), (end, -1))):
        now += change
        most = max(most, now)
    return most


def check(run, campaigns, made, pauses):
    with open(run.log, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    dials = [line for line in lines if line["what"] == "dial"]
    hangups = {line["call"]: line["at"] for line in lines if line["what"] == "hangup"}
    deaths = {}
    for line in lines:
        if line["what"] == "died":
            deaths.setdefault(line["worker"], line["at"])
            if line["step"] != "from outside":
                run.kills["agent, itself " + line["step"]] += 1
    # A whole batch fails only when the service or the database is away, or its agent gave up waiting.
    odd = [line["error"] for line in lines if line["what"] == "failed" and not any(code in line["error"] for code in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "ABORTED", "RESOURCE_EXHAUSTED"))]
    assert not odd, odd
    attempts = {}
    for row in run.sql("select call_id, task_id, fence, dialed_at is not null, ended_how, settled_by, extract(epoch from claimed_at) from call_attempts").splitlines():
        call, task, fence, was_dialed, ended, settled, claimed = row.split("|")
        attempts[call] = (task, int(fence), was_dialed == "t", ended, settled, float(claimed))
    # No task is dialed twice in one attempt, and none without leave that is on disk.
    twice = [call for call, n in collections.Counter(d["call"] for d in dials).items() if n > 1]
    assert not twice, f"dialed twice: {twice}"
    assert all(d["call"] in attempts and attempts[d["call"]][2] for d in dials), "dialed without leave"
    # What was lost while dialing is not redialed: it is the last attempt of its task.
    last = {}
    for call, (task, fence, *_rest) in attempts.items():
        last[task] = max(last.get(task, 0), fence)
    assert all(fence == last[task] for task, fence, _, ended, settled, _ in attempts.values() if ended == "unknown" and not settled), "redialed silently"
    # Limits: lines of a campaign, one call a person, calls a minute.
    until = lambda d: hangups.get(d["call"]) or deaths[d["worker"]]
    for campaign in made:
        busiest = most_at_once([d for d in dials if d["campaign"] == campaign], until)
        assert len(busiest) <= LINES, "\n".join(f"{json.dumps(d)} until {until(d)} {attempts[d['call']]} {'hung up' if d['call'] in hangups else 'died'}" for d in busiest)
        moments = sorted(d["at"] for d in dials if d["campaign"] == campaign)
        assert all(b - a > 59 for a, b in zip(moments, moments[PER_MINUTE:]))
    by_number = collections.defaultdict(list)
    for d in dials:
        by_number[d["number"]].append((d["at"], until(d)))
    assert all(overlap(intervals) == 1 for intervals in by_number.values()), "two calls to one person"
    # After pause has answered nobody is given leave.
    for campaign, answered, asked in pauses:
        assert not [d for d in dials if d["campaign"] == campaign and answered < d["asked"] and d["at"] < asked], "dialed after pause had answered"
    # None is lost: every contact has ended, and the counters say so.
    states = collections.Counter()
    for campaign in made:
        found = dict(row.split("|") for row in run.sql(f"select state, count(*) from call_tasks where campaign_id = '{campaign}' group by 1").splitlines())
        c = campaigns.GetCampaign(id=campaign)
        states.update({state: int(n) for state, n in found.items()})
        assert sum(map(int, found.values())) == CONTACTS and set(found) <= {"completed", "failed", "unknown"}, found
        assert (c.total_tasks, c.completed_tasks, c.unknown_tasks) == (CONTACTS, int(found.get("completed", 0)), int(found.get("unknown", 0)))
        assert c.failed_tasks == int(found.get("failed", 0)) + c.unknown_tasks and (c.pending_tasks, c.in_progress_tasks) == (0, 0)
    assert run.sql("select count(*) from live_calls") == "0"
    return len(dials), states, len(attempts)


@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.parametrize("seed", [int(s) for s in os.environ.get("DIALPLANE_FAULT_SEEDS", "1,2,3").split(",")])
def test_kill_anything_at_any_step(seed, capsys):
    run = Run(seed)
    try:
        campaigns, made = set_up(run)
        start, pauses, share = time.monotonic(), [], 0.008
        for index in range(AGENTS):
            run.start_agent(index, share)
        while time.monotonic() < start + SECONDS:
            time.sleep(run.dice.uniform(0.1, 0.6))
            open_tasks = int(run.sql("update call_tasks set ready_at = now() where waiting and waiting_for in ('retry', 'person_busy');" # time goes by
                                     "select count(*) from call_tasks where ready or waiting or state = 'in_progress'").split()[-1])
            if open_tasks == 0:
                break
            restart_what_came_back(run, campaigns)
            share = 0.008 if open_tasks > 20 else 0  # let the rest come to its end
            run.revive_agents(share)
            if share and run.dice.random() < 0.5:
                run.kill_something()
            elif share and run.dice.random() < 0.3:
                pause_for_a_while(run, campaigns, run.dice.choice(made), pauses)
        for agent in run.agents.values():
            agent.kill()
            agent.wait()
            run.write("died", worker=f"phone-{agent.args[5]}", step="from outside")
        deadline = time.monotonic() + 60
        while run.sql("select count(*) from live_calls") != "0" and time.monotonic() < deadline:
            time.sleep(0.2)
        calls, states, attempts = check(run, campaigns, made, pauses)
        with capsys.disabled():
            print(f"\nseed {seed}: {sum(run.kills.values())} kills in {time.monotonic() - start:.0f} s ({', '.join(f'{n} × {k}' for k, n in sorted(run.kills.items()))}); "
                  f"{len(pauses)} pauses; {calls} calls dialed of {attempts} attempts; contacts: {dict(states)}")
    finally:
        run.stop()
    assert sum(run.kills.values()) > 0
