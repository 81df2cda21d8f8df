"""Dispatch over gRPC: claims, leases, fences, limits, and what becomes of a task."""
import concurrent.futures
import threading
import time
import uuid

import pytest
from client import Failure, Tenant, by_name, micros, numbers, refused, running, sql, word

NOBODY = "00000000-0000-7000-8000-00000000dead"


@pytest.fixture(scope="module")
def client():
    with running() as made:
        yield made


@pytest.fixture
def tenant(client):
    return Tenant()


def claim(client, tenant, most=100, worker="w1", wait_ms=0, **filters):
    return list(client.ClaimTasks(worker_id=worker, max=most, wait_ms=wait_ms, company_id=tenant.id, **filters).tasks)


def begin(client, task):
    return client.BeginDial(call_id=task.call_id, fence=task.fence)


def finish(client, task, disposition="answered", **more):
    return client.FinishTask(call_id=task.call_id, fence=task.fence, disposition=disposition, **more)


def finish_all(client, tasks, disposition="answered"):
    for task in tasks:
        begin(client, task)
        finish(client, task, disposition)


def test_a_call_from_claim_to_finish(client, tenant):
    campaign = tenant.started(client, 1)
    (task,) = claim(client, tenant)
    assert (task.campaign_id, task.company_id, task.skillbase_id, task.skillbase_version) == (campaign.id, tenant.id, tenant.skillbase, 1)
    assert (task.phone_number, task.contact_name, task.contact_data["city"], task.attempt_number) == ("+12015550000", "Ann 0", "Paris", 1)
    assert uuid.UUID(task.call_id).version == 7 and task.fence >= 1
    assert 40e6 < micros(task.lease_expires_at) - time.time() * 1e6 < 50e6
    assert claim(client, tenant) == []
    during = client.GetCampaign(id=campaign.id)
    assert (during.pending_tasks, during.in_progress_tasks) == (0, 1)
    refused("FAILED_PRECONDITION", "NOT_DIALING", finish, client, task)
    lease = begin(client, task).lease_expires_at
    assert begin(client, task).lease_expires_at == lease  # asked again
    (held,) = client.Heartbeat(worker_id="w1", calls=[{"call_id": task.call_id, "fence": task.fence}]).results
    assert word(held, "state") == "held" and micros(held.lease_expires_at) > micros(lease)
    listed = client.GetTask(campaign_id=campaign.id, id=task.task_id)
    assert word(listed, "status") == "in_progress" and listed.call_id == task.call_id and listed.HasField("last_attempt_at")
    answer = finish(client, task, outcome="success")
    assert word(answer, "status") == "completed" and answer.task_id == task.task_id and not answer.HasField("next_attempt_at")
    # The last one ended: completed, in the same transaction.
    done = client.GetCampaign(id=campaign.id)
    assert (word(done, "status"), done.completed_tasks, done.in_progress_tasks) == ("completed", 1, 0) and done.HasField("completed_at")
    # The same again is answered the same; another body is not.
    assert finish(client, task, outcome="success") == answer
    refused("FAILED_PRECONDITION", "FINISHED_DIFFERENTLY", finish, client, task, "busy")
    refused("FAILED_PRECONDITION", "FINISHED_DIFFERENTLY", finish, client, task, outcome="fail")
    refused("FAILED_PRECONDITION", "CALL_FINISHED", begin, client, task)
    (lost,) = client.Heartbeat(worker_id="w1", calls=[{"call_id": task.call_id, "fence": task.fence}]).results
    assert word(lost, "state") == "lost" and not lost.HasField("lease_expires_at")
    # New contacts make it startable again.
    refused("FAILED_PRECONDITION", "NO_TASKS", client.StartCampaign, id=campaign.id)
    client.upload(campaign.id, numbers(1, first=5))
    again = client.StartCampaign(id=campaign.id)
    assert word(again, "status") == "running" and not again.HasField("completed_at") and again.started_at == done.started_at


def test_wrong_input(client, tenant):
    tenant.started(client, 1)
    (task,) = claim(client, tenant)
    stale = {"call_id": task.call_id, "fence": task.fence + 1}
    refused("FAILED_PRECONDITION", "STALE_FENCE", client.BeginDial, **stale)
    refused("FAILED_PRECONDITION", "STALE_FENCE", client.FinishTask, **stale, disposition="busy")
    refused("NOT_FOUND", None, client.BeginDial, call_id=NOBODY, fence=1)
    refused("NOT_FOUND", None, client.FinishTask, call_id=NOBODY, fence=1, disposition="busy")
    results = client.Heartbeat(worker_id="w1", calls=[stale, {"call_id": NOBODY, "fence": 1}, {"call_id": task.call_id, "fence": task.fence}]).results
    assert [word(r, "state") for r in results] == ["lost", "lost", "held"] and results[1].call_id == NOBODY
    (other,) = client.Heartbeat(worker_id="w2", calls=[{"call_id": task.call_id, "fence": task.fence}]).results
    assert word(other, "state") == "lost"
    for call, fields in ((client.ClaimTasks, {"worker_id": "w", "wait_ms": -1}), (client.ClaimTasks, {"worker_id": "w", "max": 101}),
                         (client.ClaimTasks, {}), (client.FinishTask, {"call_id": task.call_id, "fence": 1}),
                         (client.FinishTask, {"call_id": task.call_id, "fence": 1, "disposition": 99}), (client.BeginDial, {"call_id": "x", "fence": 1})):
        refused("INVALID_ARGUMENT", None, call, **fields)


@pytest.mark.parametrize("disposition, status, outcome", [
    ("answered", "completed", "success"), ("declined", "failed", "fail"), ("invalid_number", "failed", "fail"), ("opt_out", "suppressed", "fail"),
    ("busy", "retry", "busy"), ("no_answer", "retry", "no_answer"), ("voicemail", "retry", "voicemail"), ("carrier_error", "retry", "fail")])
def test_what_follows_from_a_disposition(client, tenant, disposition, status, outcome):
    campaign = tenant.started(client, 1, retry_delay_minutes=7)
    (task,) = claim(client, tenant)
    begin(client, task)
    answer = finish(client, task, disposition, error_message="486")
    now = time.time() * 1e6
    assert word(answer, "status") == status
    listed = client.ListTasks(campaign_id=campaign.id, outcome=outcome).items[0]
    assert word(listed, "status") == status and listed.error_message == "486"
    if status == "retry":
        delay = 60e6 if disposition == "carrier_error" else 420e6
        assert abs(micros(answer.next_attempt_at) - now - delay) < 5e6 and listed.next_attempt_at == answer.next_attempt_at
        assert listed.attempt_count == (0 if disposition == "carrier_error" else 1)
    assert word(client.GetCampaign(id=campaign.id), "status") == ("running" if status == "retry" else "completed")


def due(campaign):
    sql(f"update call_tasks set ready_at = now() where campaign_id = '{campaign.id}' and waiting; "
        f"update campaign_pacing set idle_until = '-infinity' where campaign_id = '{campaign.id}'")


def test_retries_end(client, tenant):
    campaign = tenant.started(client, 1, max_retries=2)
    fences = []
    for attempt in (1, 2, 3):
        due(campaign)
        (task,) = claim(client, tenant)
        assert task.attempt_number == attempt
        fences.append(task.fence)
        begin(client, task)
        answer = finish(client, task, "busy")
        assert word(answer, "status") == ("retry" if attempt < 3 else "failed")
    assert fences == sorted(set(fences))
    done = client.GetCampaign(id=campaign.id)
    assert (word(done, "status"), done.failed_tasks) == ("completed", 1)
    # Carrier errors have a budget of their own.
    other = tenant.started(client, 1, max_retries=0)
    for error in range(6):
        due(other)
        (task,) = claim(client, tenant)
        begin(client, task)
        answer = finish(client, task, "carrier_error")
    assert word(answer, "status") == "failed" and error == 5


def test_order_is_priority_then_age(client, tenant):
    campaign = tenant.campaign(client)
    client.upload(campaign.id, b"phone_number,priority\n" + b"".join(b"+1201555%04d,%d\n" % (i, i % 3) for i in range(30)))
    client.StartCampaign(id=campaign.id)
    listed = [t.phone_number for t in client.ListTasks(campaign_id=campaign.id).items]
    claimed = [t.phone_number for t in claim(client, tenant, 12)] + [t.phone_number for t in claim(client, tenant, 18)]
    assert claimed == listed == ["+1201555%04d" % i for p in (2, 1, 0) for i in range(30) if i % 3 == p]


def test_after_pause_nothing_begins(client, tenant):
    campaign = tenant.started(client, 5)
    first, second = claim(client, tenant, 2)
    begin(client, first)
    client.PauseCampaign(id=campaign.id)
    refused("FAILED_PRECONDITION", "CAMPAIGN_NOT_RUNNING", begin, client, second)
    begin(client, first)  # has leave already
    assert claim(client, tenant) == []
    assert word(finish(client, first), "status") == "completed"
    client.StartCampaign(id=campaign.id)
    begin(client, second)
    client.CancelCampaign(id=campaign.id)
    (result,) = client.Heartbeat(worker_id="w1", calls=[{"call_id": second.call_id, "fence": second.fence}]).results
    assert word(result, "state") == "end"
    assert word(finish(client, second, "busy"), "status") == "cancelled"
    counters = client.GetCampaign(id=campaign.id)
    assert (counters.completed_tasks, counters.pending_tasks, counters.in_progress_tasks, counters.total_tasks) == (1, 0, 0, 5)


def test_when_pause_has_answered_no_call_begins_any_more(client, tenant):
    campaign = tenant.started(client, 300)
    tasks = [task for _ in range(3) for task in claim(client, tenant)]
    assert len(tasks) == 300
    paused, refusals, begun = threading.Event(), [], []

    def work(mine):
        for task in mine:
            late = paused.is_set()
            try:
                begin(client, task)
                begun.append(task.call_id)
                assert not late
            except Failure as failure:
                refusals.append(failure.reason)

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        workers = [threads.submit(work, tasks[i::8]) for i in range(8)]
        while len(begun) < 60:
            time.sleep(0.005)
        client.PauseCampaign(id=campaign.id)
        dialed = sql(f"select count(*) from live_calls where campaign_id = '{campaign.id}' and dialed_at is not null")
        paused.set()
        for worker in workers:
            worker.result()
    assert dialed == sql(f"select count(*) from live_calls where campaign_id = '{campaign.id}' and dialed_at is not null") == str(len(begun))
    assert set(refusals) == {"CAMPAIGN_NOT_RUNNING"} and len(refusals) == 300 - len(begun)


def test_cancel_takes_claimed_ones_back(client, tenant):
    campaign = tenant.started(client, 3)
    (task,) = claim(client, tenant, 1)
    client.CancelCampaign(id=campaign.id)
    refused("FAILED_PRECONDITION", "CAMPAIGN_NOT_RUNNING", begin, client, task)
    refused("FAILED_PRECONDITION", "STALE_FENCE", finish, client, task)
    assert client.ListTasks(campaign_id=campaign.id, status="cancelled").total == 3
    assert sql(f"select count(*) from live_calls where company_id = '{tenant.id}'") == "0"


def test_inactive_company_hands_out_nothing(client, tenant):
    tenant.started(client, 2)
    (task,) = claim(client, tenant, 1)
    sql(f"update companies set is_active = false where id = '{tenant.id}'")
    assert claim(client, tenant) == []
    refused("FAILED_PRECONDITION", "CAMPAIGN_NOT_RUNNING", begin, client, task)


def test_one_call_a_person(client, tenant):
    tenant.started(client, 3)
    second = tenant.started(client, 4)
    mine = claim(client, tenant, 3)
    others = claim(client, tenant, 10)
    assert len(mine) == 3 and [t.phone_number for t in others] == ["+12015550003"]
    assert sql(f"select count(*) from call_tasks where campaign_id = '{second.id}' and waiting_for = 'person_busy'") == "3"
    finish_all(client, mine)
    due(second)
    assert len(claim(client, tenant, 10)) == 3


def test_one_who_wants_one_task_finds_it_behind_many_busy_people(client, tenant):
    tenant.started(client, 60)
    assert len(claim(client, tenant)) == 60
    second = tenant.started(client, 61)
    assert [t.phone_number for t in claim(client, tenant, 1)] == ["+12015550060"]
    assert sql(f"select count(*) from call_tasks where campaign_id = '{second.id}' and waiting_for = 'person_busy'") == "60"


def test_turns_of_campaigns(client, tenant):
    made = [tenant.campaign(client) for _ in range(3)]
    for i, campaign in enumerate(made):
        client.upload(campaign.id, numbers(4, first=10 * i))
        client.StartCampaign(id=campaign.id)
    order = [claim(client, tenant, 1)[0].campaign_id for _ in range(9)]
    assert all(set(order[i : i + 3]) == {c.id for c in made} for i in (0, 3, 6))
    assert claim(client, tenant, 1, campaign_id=made[2].id)[0].campaign_id == made[2].id


def test_limits_hold_with_eight_claimers_on_three_instances(client, tenant):
    with running() as second, running() as third:
        limits_hold([client, second, third], tenant)


def limits_hold(instances, tenant):
    client = instances[0]
    campaign = tenant.started(client, 400, max_concurrent_calls=7)
    most, stop, errors, done = [0], threading.Event(), [], []

    def watch():
        while not stop.is_set():
            most[0] = max(most[0], int(sql(f"select count(*) from live_calls where campaign_id = '{campaign.id}'")))

    def work(number):
        mine = instances[number % len(instances)]
        while not stop.is_set():
            try:
                tasks = claim(mine, tenant, 5, worker=f"w{number}", wait_ms=300)
                finish_all(mine, tasks)
                done.extend(t.task_id for t in tasks)
            except Failure as failure:
                errors.append(failure)

    with concurrent.futures.ThreadPoolExecutor(9) as threads:
        threads.submit(watch)
        for number in range(8):
            threads.submit(work, number)
        deadline = time.time() + 90
        while time.time() < deadline and word(client.GetCampaign(id=campaign.id), "status") != "completed":
            time.sleep(0.05)
        stop.set()
    after = client.GetCampaign(id=campaign.id)
    assert errors == [] and 1 <= most[0] <= 7
    assert (word(after, "status"), after.completed_tasks, after.pending_tasks, after.in_progress_tasks) == ("completed", 400, 0, 0)
    assert len(done) == len(set(done)) == 400
    assert sql(f"select max(n) from (select count(*) n from call_attempts where campaign_id = '{campaign.id}' group by task_id) a") == "1"
    # What the counters say is what counting the tasks gives.
    assert sql(f"select total, completed from campaign_counters('{campaign.id}')") == sql(
        f"select count(*), count(*) filter (where state = 'completed') from call_tasks where campaign_id = '{campaign.id}'")


def test_calls_per_minute(client, tenant):
    start = time.time()
    tenant.started(client, 200, calls_per_minute=30)
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        claimed = sum(len(tasks) for tasks in threads.map(lambda i: claim(client, tenant, 100, worker=f"w{i}"), range(8)))
    assert 5 <= claimed <= 5 + (time.time() - start) / 2  # the bucket's depth, whoever asks
    while time.time() < start + 6:
        claimed += len(claim(client, tenant, 100, wait_ms=500))
    assert 7 <= claimed <= 5 + (time.time() - start) / 2  # one each two seconds


def test_long_poll(client, tenant):
    campaign = tenant.campaign(client)
    client.upload(campaign.id, numbers(1))
    start = time.time()
    assert claim(client, tenant, wait_ms=400) == []
    assert 0.35 < time.time() - start < 2
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        waiting = threads.submit(claim, client, tenant, wait_ms=10000)
        time.sleep(0.5)
        client.StartCampaign(id=campaign.id)
        start = time.time()
        assert len(waiting.result()) == 1 and time.time() - start < 0.9
        # A deadline before the end of the wait: nothing rather than an error.
        start = time.time()
        assert not client.ClaimTasks(worker_id="w", wait_ms=30000, company_id=tenant.id, timeout=1.5).tasks
        assert time.time() - start < 1.5


def test_who_goes_away_while_waiting_gets_nothing(client, tenant):
    campaign = tenant.campaign(client)
    client.upload(campaign.id, numbers(1))
    cls = by_name("dialplane.v1.ClaimTasksRequest")
    wait = client.channel.unary_unary("/dialplane.v1.DispatchService/ClaimTasks", cls.SerializeToString, by_name("dialplane.v1.ClaimTasksResponse").FromString)
    waiting = wait.future(cls(worker_id="gone", wait_ms=60000, company_id=tenant.id))
    time.sleep(0.3)
    waiting.cancel()
    time.sleep(0.3)
    client.StartCampaign(id=campaign.id)
    assert len(claim(client, tenant, wait_ms=2000)) == 1
    assert sql(f"select worker_id from live_calls where campaign_id = '{campaign.id}'") == "w1"


def test_waiting_agents_do_not_hold_up_the_stop(tenant):
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        with running() as client:
            waiting = threads.submit(claim, client, tenant, wait_ms=50000)
            time.sleep(0.5)
            start = time.time()
        assert waiting.result(timeout=20) == [] and time.time() - start < 5


def test_leases_that_run_out(tenant):
    with running("--lease", "2s", "--sweep-period", "200ms") as client:
        campaign = tenant.started(client, 3)
        claimed, dialing, beating = claim(client, tenant, 3)
        begin(client, dialing)
        begin(client, beating)
        for _ in range(8):
            time.sleep(0.4)
            assert word(client.Heartbeat(worker_id="w1", calls=[{"call_id": beating.call_id, "fence": beating.fence}]).results[0], "state") == "held"
        # Claimed: ready again, the attempt refunded. Dialing: unknown.
        tasks = {t.id: t for t in client.ListTasks(campaign_id=campaign.id).items}
        assert (word(tasks[claimed.task_id], "status"), tasks[claimed.task_id].attempt_count) == ("pending", 0)
        assert (word(tasks[dialing.task_id], "status"), tasks[dialing.task_id].attempt_count) == ("unknown", 1)
        refused("FAILED_PRECONDITION", "STALE_FENCE", begin, client, claimed)
        refused("FAILED_PRECONDITION", "STALE_FENCE", finish, client, claimed)
        (again,) = claim(client, tenant, 3)
        assert again.task_id == claimed.task_id and again.fence > claimed.fence and again.attempt_number == 1
        refused("FAILED_PRECONDITION", "STALE_FENCE", begin, client, claimed)
        finish_all(client, [again])
        finish(client, beating)
        # An unknown one does not keep the campaign open; a late word settles it.
        done = client.GetCampaign(id=campaign.id)
        assert (word(done, "status"), done.completed_tasks, done.failed_tasks) == ("completed", 2, 1)
        assert word(finish(client, dialing), "status") == "completed"
        assert client.GetCampaign(id=campaign.id).completed_tasks == 3
        assert sql(f"select count(*) from live_calls where company_id = '{tenant.id}'") == "0"


def test_deleting_under_way(client, tenant):
    campaign = tenant.started(client, 2)
    (task,) = claim(client, tenant, 1)
    begin(client, task)
    client.DeleteCampaign(id=campaign.id)
    refused("NOT_FOUND", None, finish, client, task)
    assert word(client.Heartbeat(worker_id="w1", calls=[{"call_id": task.call_id, "fence": task.fence}]).results[0], "state") == "lost"
    tenant.started(client, 2)  # the person is free again
    assert len(claim(client, tenant)) == 2
