"""What dispatch asks and what follows: progress, attempts, settlement, retry policies, the do-not-call list, explain."""
import time
import uuid

import pytest
from client import Failure, Tenant, micros, numbers, plain, refused, running, sql, word

NOBODY = "00000000-0000-7000-8000-00000000dead"


@pytest.fixture(scope="module")
def client():
    with running("--lease", "1s", "--sweep-period", "100ms") as made:
        yield made


@pytest.fixture
def tenant(client):
    return Tenant()


def claim(client, tenant, most=100, **filters):
    return list(client.ClaimTasks(worker_id="w1", max=most, company_id=tenant.id, **filters).tasks)


def begin(client, task):
    return client.BeginDial(call_id=task.call_id, fence=task.fence)


def finish(client, task, disposition="answered", **more):
    return client.FinishTask(call_id=task.call_id, fence=task.fence, disposition=disposition, **more)


def attempts(client, campaign, task):
    return client.ListAttempts(campaign_id=campaign.id, id=task.task_id).items


def due(campaign):
    sql(f"update call_tasks set ready_at = now() where campaign_id = '{campaign.id}' and waiting; "
        f"update campaign_pacing set idle_until = '-infinity' where campaign_id = '{campaign.id}'")


def until(condition, seconds=10):
    deadline = time.time() + seconds
    while not condition():
        assert time.time() < deadline, "has not come about"
        time.sleep(0.05)


# ---- Progress and attempts


def test_progress(client, tenant):
    campaign = tenant.started(client, 1)
    (task,) = claim(client, tenant)
    stage = lambda stage, **more: client.ReportProgress(**{"call_id": task.call_id, "fence": task.fence, "stage": stage, **more})
    refused("FAILED_PRECONDITION", "NOT_DIALING", stage, "ringing")
    begin(client, task)
    ringing = stage("ringing")
    assert ringing.HasField("ringing_at") and not ringing.HasField("answered_at")
    answered = stage("answered")
    assert answered.ringing_at == ringing.ringing_at and micros(answered.answered_at) >= micros(ringing.ringing_at)
    assert stage("answered") == stage("ringing") == answered  # the first word stands
    refused("FAILED_PRECONDITION", "STALE_FENCE", stage, "ringing", fence=task.fence + 1)
    refused("NOT_FOUND", None, stage, "ringing", call_id=NOBODY)
    refused("INVALID_ARGUMENT", None, stage, 99)
    refused("INVALID_ARGUMENT", None, stage, "ringing", fence=0)
    refused("INVALID_ARGUMENT", None, client.ReportProgress, call_id=task.call_id, fence=1)
    (one,) = attempts(client, campaign, task)
    assert (one.ringing_at, one.answered_at, one.worker_id, one.number) == (answered.ringing_at, answered.answered_at, "w1", 1)
    assert not one.HasField("ended") and not one.HasField("disposition")
    finish(client, task, outcome="success")
    refused("FAILED_PRECONDITION", "CALL_FINISHED", stage, "ringing")
    (one,) = attempts(client, campaign, task)
    assert (word(one, "ended"), word(one, "disposition"), one.outcome, one.HasField("fault")) == ("finished", "answered", "success", False)


def test_attempts_are_rows(client, tenant):
    campaign = tenant.started(client, 1, max_retries=5)
    for disposition in ("busy", "carrier_error", "provider_error"):
        due(campaign)
        (task,) = claim(client, tenant)
        begin(client, task)
        finish(client, task, disposition)
    due(campaign)
    claim(client, tenant)
    until(lambda: len([a for a in attempts(client, campaign, task) if a.HasField("ended")]) == 4)  # the last one's lease has run out
    rows = attempts(client, campaign, task)
    assert [word(a, "ended") for a in rows] == ["expired", "finished", "finished", "finished"]
    assert [a.fence for a in rows] == sorted((a.fence for a in rows), reverse=True)
    assert [word(a, "fault") for a in rows] == ["platform", "provider", "carrier", "callee"]
    assert len({a.call_id for a in rows}) == 4
    page = client.ListAttempts(campaign_id=campaign.id, id=task.task_id, limit=3)
    rest = client.ListAttempts(campaign_id=campaign.id, id=task.task_id, limit=3, page_token=page.next_page_token)
    assert [a.call_id for a in page.items] + [a.call_id for a in rest.items] == [a.call_id for a in rows] and page.total == 4
    assert "page_token" in refused("INVALID_ARGUMENT", None, client.ListAttempts, campaign_id=campaign.id, id=NOBODY, page_token=page.next_page_token).fields
    refused("NOT_FOUND", None, client.ListAttempts, campaign_id=campaign.id, id=NOBODY)
    refused("NOT_FOUND", None, client.ListAttempts, campaign_id=NOBODY, id=task.task_id)


# ---- Unknown


def lose(client, tenant, campaign):
    """A call whose agent is lost while dialing."""
    (task,) = claim(client, tenant, 1, campaign_id=campaign.id)
    begin(client, task)
    until(lambda: word(attempts(client, campaign, task)[0], "ended") == "unknown")
    return task


def test_unknown_is_held_and_settled_by_a_person(client, tenant):
    campaign = tenant.started(client, 2)
    settle = lambda task, disposition, **more: client.SettleTask(campaign_id=campaign.id, id=task.task_id, disposition=disposition, **more)
    first, second = lose(client, tenant, campaign), lose(client, tenant, campaign)
    counters = client.GetCampaign(id=campaign.id)
    assert (counters.unknown_tasks, counters.failed_tasks, counters.suppressed_tasks, counters.cancelled_tasks) == (2, 2, 0, 0)
    assert claim(client, tenant) == []
    assert "unknown" in client.ExplainTask(campaign_id=campaign.id, id=first.task_id).decisions[1].detail
    refused("FAILED_PRECONDITION", "CALL_CHANGED", settle, first, "answered", call_id=second.call_id)
    refused("INVALID_ARGUMENT", None, settle, first, 0)
    settled = settle(first, "answered", outcome="success", error_message="they called back", call_id=first.call_id)
    assert (word(settled, "status"), settled.outcome, settled.error_message) == ("completed", "success", "they called back")
    assert word(attempts(client, campaign, first)[0], "settled_by") == "person"
    refused("FAILED_PRECONDITION", "NOT_UNKNOWN", settle, first, "answered")
    refused("FAILED_PRECONDITION", "STALE_FENCE", finish, client, first)  # too late
    retried = settle(second, "no_answer")
    assert word(retried, "status") == "retry" and retried.attempt_count == 1
    refused("NOT_FOUND", None, client.SettleTask, campaign_id=campaign.id, id=NOBODY, disposition="busy")
    refused("NOT_FOUND", None, client.SettleTask, campaign_id=NOBODY, id=second.task_id, disposition="busy")


def test_unknown_may_be_retried(client, tenant):
    campaign = tenant.started(client, 1, on_unknown="retry", max_retries=1, retry_delay_minutes=10)
    task = lose(client, tenant, campaign)
    listed = client.GetTask(campaign_id=campaign.id, id=task.task_id)
    assert (word(listed, "status"), listed.attempt_count) == ("retry", 1)
    assert abs(micros(listed.next_attempt_at) - time.time() * 1e6 - 600e6) < 10e6
    assert word(attempts(client, campaign, task)[0], "settled_by") == "policy"
    due(campaign)
    again = lose(client, tenant, campaign)  # no attempts are left: held
    assert word(client.GetTask(campaign_id=campaign.id, id=again.task_id), "status") == "unknown"
    # A late word settles while nobody has called again.
    other = Tenant()
    campaign = other.started(client, 1, on_unknown="retry")
    task = lose(client, other, campaign)
    assert word(finish(client, task), "status") == "completed"
    assert word(attempts(client, campaign, task)[0], "settled_by") == "agent"
    assert finish(client, task).task_id == task.task_id


@pytest.mark.parametrize("status, outcome, turns, becomes", [
    (2, "success", 5, "completed"), (4, None, 0, "completed"), (3, "busy", 0, "retry"), (2, "voicemail", 1, "retry"), (3, "fail", 3, "completed"),
    (3, "fail", 0, "unknown")])
def test_the_calls_record_settles(client, tenant, status, outcome, turns, becomes):
    campaign = tenant.started(client, 1)
    (task,) = claim(client, tenant)
    begin(client, task)
    sql(f"insert into calls (id, company_id, task_id, status, outcome, started_at, ended_at, last_event_at, last_seq, turn_count) values ('{task.call_id}', "
        f"'{tenant.id}', '{task.task_id}', {status}, {repr(outcome) if outcome else 'null'}, now(), now(), now(), 2, {turns})")
    until(lambda: word(attempts(client, campaign, task)[0], "ended") == "unknown")
    if becomes == "unknown":
        time.sleep(0.5)
    until(lambda: word(client.GetTask(campaign_id=campaign.id, id=task.task_id), "status") == becomes)
    (one,) = attempts(client, campaign, task)
    assert one.HasField("settled_by") == (becomes != "unknown") and (becomes == "unknown" or word(one, "settled_by") == "record")


# ---- Retry policies


def test_retry_policy(client, tenant):
    policy = {"busy": {"delay_minutes": 2, "max_attempts": 2}, "voicemail": {"retry": False}, "declined": {"retry": True, "delay_minutes": 60},
              "carrier_error": {"delay_minutes": 3, "max_attempts": 2}, "no_answer": {"max_attempts": 6}}
    campaign = tenant.campaign(client, retry_policy=policy, max_retries=3)
    assert set(campaign.retry_policy) == set(policy) and campaign.retry_policy["busy"].delay_minutes == 2
    assert not campaign.retry_policy["busy"].HasField("retry") and campaign.retry_policy["voicemail"].retry is False
    client.upload(campaign.id, numbers(6))
    client.StartCampaign(id=campaign.id)

    def end(disposition, **wanted):
        (task,) = claim(client, tenant, 1)
        begin(client, task)
        answer = finish(client, task, disposition)
        delay = (micros(answer.next_attempt_at) - time.time() * 1e6) / 60e6 if answer.HasField("next_attempt_at") else None
        return word(answer, "status"), delay and round(delay)

    assert end("busy") == ("retry", 2)
    assert end("voicemail") == ("failed", None)
    assert end("declined") == ("retry", 60)
    assert end("carrier_error") == ("retry", 3)
    assert end("no_answer") == ("retry", 30)
    assert end("invalid_number") == ("failed", None)
    due(campaign)
    seen = {}
    for _ in range(4):
        (task,) = claim(client, tenant, 1)
        begin(client, task)
        index = int(task.phone_number[-1])
        seen[index] = word(finish(client, task, {0: "busy", 2: "declined", 3: "carrier_error", 4: "no_answer"}[index]), "status")
    assert seen == {0: "failed", 2: "retry", 3: "failed", 4: "retry"}  # busy twice at most; no more than two carrier errors
    for number in range(3, 7):  # six attempts for who does not answer, in spite of max_retries 3
        sql(f"update call_tasks set ready_at = now() where campaign_id = '{campaign.id}' and waiting and phone_number like '%4'")
        (task,) = claim(client, tenant, 1)
        begin(client, task)
        assert word(finish(client, task, "no_answer"), "status") == ("retry" if number < 6 else "failed")
    # Changed, kept, cleared.
    assert len(client.UpdateCampaign(id=campaign.id, campaign={"name": "N"}).retry_policy) == 5
    assert dict(client.UpdateCampaign(id=campaign.id, campaign={"retry_policy": {"busy": {}}}).retry_policy).keys() == {"busy"}
    assert len(client.UpdateCampaign(id=campaign.id, campaign={}, update_mask="retryPolicy").retry_policy) == 0


def test_retry_policy_is_checked(client, tenant):
    failure = refused("INVALID_ARGUMENT", None, tenant.campaign, client, on_unknown=99, retry_policy={
        "busy": {"delay_minutes": 0, "max_attempts": 21}, "lunch": {"retry": True}, "opt_out": {"retry": True}, "answered": {"retry": True}})
    assert set(failure.fields) == {'campaign.retry_policy["busy"].delay_minutes', 'campaign.retry_policy["busy"].max_attempts', 'campaign.on_unknown',
                                   'campaign.retry_policy["lunch"]', 'campaign.retry_policy["opt_out"].retry', 'campaign.retry_policy["answered"].retry'}


# ---- Do not call


def suppress(client, tenant, **fields):
    return client.CreateSuppression(company_id=tenant.id, suppression=fields)


def test_suppressions_are_kept(client, tenant):
    made = suppress(client, tenant, phone_number="+1 201-555-0100", reason="asked by letter")
    assert (made.phone_number, made.reason, word(made, "source"), made.HasField("prefix")) == ("+12015550100", "asked by letter", "manual", False)
    assert uuid.UUID(made.id).version == 7 and made.company_id == tenant.id
    assert client.GetSuppression(company_id=tenant.id, id=made.id) == made
    refused("ALREADY_EXISTS", "ALREADY_SUPPRESSED", suppress, client, tenant, phone_number="+12015550100")
    prefix = suppress(client, tenant, prefix="+1201")
    assert prefix.prefix == "+1201" and not prefix.HasField("phone_number")
    assert suppress(client, tenant, prefix="+12015550100").prefix  # a number as a prefix is another thing
    listed = client.ListSuppressions(company_id=tenant.id, limit=2)
    rest = client.ListSuppressions(company_id=tenant.id, limit=2, page_token=listed.next_page_token)
    assert listed.total == 3 and [s.id for s in rest.items] == [made.id] and not rest.HasField("next_page_token")
    assert client.ListSuppressions(company_id=tenant.id, phone_number="+12015550199").items[0].id == prefix.id
    assert client.ListSuppressions(company_id=tenant.id, source="opt_out").total == 0
    client.DeleteSuppression(company_id=tenant.id, id=prefix.id)
    refused("NOT_FOUND", None, client.DeleteSuppression, company_id=tenant.id, id=prefix.id)
    refused("NOT_FOUND", None, client.GetSuppression, company_id=Tenant().id, id=made.id)
    refused("NOT_FOUND", None, client.ListSuppressions, company_id=NOBODY)
    refused("NOT_FOUND", None, client.CreateSuppression, company_id=NOBODY, suppression={"prefix": "+1"})
    for wrong, field in (({}, "phone_number"), ({"prefix": "+1", "phone_number": "+12015550100"}, "phone_number"), ({"prefix": "1201"}, "prefix"),
                         ({"prefix": "+0"}, "prefix"), ({"prefix": "+"}, "prefix"), ({"phone_number": "12"}, "phone_number"),
                         ({"prefix": "+1", "reason": "x" * 501}, "reason")):
        assert set(refused("INVALID_ARGUMENT", None, client.CreateSuppression, company_id=tenant.id, suppression=wrong).fields) == {"suppression." + field}


def test_suppressing_takes_open_tasks_of_the_whole_company(client, tenant):
    first, second, strangers = tenant.started(client, 20), tenant.started(client, 20), Tenant()
    other = strangers.started(client, 20)
    (live,) = claim(client, tenant, 1, campaign_id=first.id)  # +12015550000
    begin(client, live)
    suppress(client, tenant, prefix="+1201555000")  # ten of twenty
    assert client.GetCampaign(id=first.id).suppressed_tasks == 9  # not the one on the phone
    assert client.GetCampaign(id=second.id).suppressed_tasks == 10
    assert client.GetCampaign(id=other.id).suppressed_tasks == 0
    assert all(t.phone_number >= "+12015550010" for t in claim(client, tenant))
    # It goes on, but is not called again.
    assert word(finish(client, live, "busy"), "status") == "suppressed"
    # What is uploaded afterwards is met at the claim.
    third = tenant.campaign(client)
    client.upload(third.id, numbers(10))
    client.StartCampaign(id=third.id)
    assert claim(client, tenant, campaign_id=third.id) == []
    until(lambda: word(client.GetCampaign(id=third.id), "status") == "completed")
    assert client.GetCampaign(id=third.id).suppressed_tasks == 10


def test_begin_dial_asks_again(client, tenant):
    campaign = tenant.started(client, 2)
    task, other = claim(client, tenant)
    suppress(client, tenant, phone_number=task.phone_number)
    refused("FAILED_PRECONDITION", "SUPPRESSED", begin, client, task)
    refused("FAILED_PRECONDITION", "SUPPRESSED", begin, client, task)
    refused("FAILED_PRECONDITION", "STALE_FENCE", finish, client, task)
    listed = client.GetTask(campaign_id=campaign.id, id=task.task_id)
    assert (word(listed, "status"), listed.attempt_count) == ("suppressed", 0)
    assert word(attempts(client, campaign, task)[0], "ended") == "suppressed"
    begin(client, other)


def test_opt_out(client, tenant):
    first, second = tenant.started(client, 2), tenant.started(client, 3)
    (task, _) = claim(client, tenant, 2, campaign_id=first.id)
    begin(client, task)
    assert word(finish(client, task, "opt_out", outcome="opt_out"), "status") == "suppressed"
    (entry,) = client.ListSuppressions(company_id=tenant.id).items
    assert (entry.phone_number, word(entry, "source"), entry.call_id) == (task.phone_number, "opt_out", task.call_id)
    assert uuid.UUID(entry.id).version == 7
    assert client.GetCampaign(id=second.id).suppressed_tasks == 1
    assert word(finish(client, task, "opt_out", outcome="opt_out"), "status") == "suppressed"  # the same again


def test_upload_of_suppressions(client, tenant):
    campaign = tenant.started(client, 30)
    answer = client.suppress_file(tenant.id, b"phone_number,reason\n+1 201 555 0001,letter\n+1201555002*,law\nnonsense,\n+12015550001,again\n+x*,\n")
    assert (answer.total, answer.created, answer.duplicates, answer.error_count, answer.suppressed_tasks) == (5, 2, 1, 2, 11)
    assert answer.errors[0].startswith("Row 4:") and answer.errors[1].startswith("Row 6:")
    entries = {s.prefix or s.phone_number: s for s in client.ListSuppressions(company_id=tenant.id, source="upload").items}
    assert set(entries) == {"+12015550001", "+1201555002"} and entries["+1201555002"].reason == "law"
    assert client.GetCampaign(id=campaign.id).suppressed_tasks == 11
    assert client.suppress_file(tenant.id, b"phone_number\n+12015550001\n").duplicates == 1
    refused("NOT_FOUND", None, client.suppress_file, NOBODY, b"phone_number\n+12015550001\n")
    refused("INVALID_ARGUMENT", None, client.suppress_file, tenant.id, b"name\nAnn\n")
    many = b"phone_number\n" + b"".join(b"+1202555%04d\n" % i for i in range(10000))
    assert client.suppress_file(tenant.id, many).created == 10000


# ---- Explain


def explain(client, campaign, task_id):
    return client.ExplainTask(campaign_id=campaign.id, id=task_id)


def failing(answer):
    return [d.rule for d in answer.decisions if not d.passed]


RULES = ["campaign_state", "task_state", "campaign_window", "contact_window", "pacing", "concurrency", "person_busy", "suppressed", "attempts"]


def test_explain(client, tenant):
    campaign = tenant.campaign(client, max_concurrent_calls=1)
    client.upload(campaign.id, numbers(3))
    ids = [t.id for t in client.ListTasks(campaign_id=campaign.id).items]
    answer = explain(client, campaign, ids[0])
    assert [d.rule for d in answer.decisions] == RULES
    assert (answer.callable, answer.obstacle, answer.HasField("earliest"), answer.decisions[0].detail) == (False, "campaign_state", False, "the campaign is draft")
    client.StartCampaign(id=campaign.id)
    answer = explain(client, campaign, ids[1])
    assert answer.callable and not answer.HasField("obstacle") and answer.earliest == answer.now and answer.ahead == 1
    (task,) = claim(client, tenant)
    begin(client, task)
    assert failing(explain(client, campaign, ids[0])) == ["task_state", "concurrency"]
    assert failing(explain(client, campaign, ids[1])) == ["concurrency"]
    finish(client, task, "busy")
    answer = explain(client, campaign, ids[0])
    assert failing(answer) == ["task_state"] and answer.decisions[1].passes_at == answer.earliest
    assert abs(micros(answer.earliest) - micros(answer.now) - 1800e6) < 10e6
    client.PauseCampaign(id=campaign.id)
    assert failing(explain(client, campaign, ids[1])) == ["campaign_state"]
    suppress(client, tenant, phone_number="+12015550001")
    answer = explain(client, campaign, ids[1])
    assert failing(answer) == ["campaign_state", "task_state", "suppressed"] and not answer.HasField("earliest")
    refused("NOT_FOUND", None, explain, client, campaign, NOBODY)
    # Somebody on the phone for another campaign; the pace; attempts taken away.
    first, second = tenant.started(client, 9), tenant.started(client, 9, calls_per_minute=1)
    (task,) = claim(client, tenant, 1, campaign_id=first.id)
    (other,) = client.ListTasks(campaign_id=second.id, phone_number=task.phone_number).items
    assert failing(explain(client, second, other.id)) == ["person_busy"]
    claim(client, tenant, 100, campaign_id=second.id)
    assert "pacing" in failing(explain(client, second, other.id))
    sql(f"update call_tasks set attempt_count = 9 where id = '{other.id}'")
    assert "attempts" in failing(explain(client, second, other.id))
