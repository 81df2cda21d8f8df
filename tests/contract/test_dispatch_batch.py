"""BeginDialBatch and FinishTaskBatch: each call is judged by itself, as BeginDial and FinishTask judge it; and agents that ask at the same moment, whose steps the
service takes together. The campaigns here are larger than what counts as near their end (32 open calls), where every call is taken alone."""

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from agents import Rpc, psql
from clients import NOBODY, micros
from conftest import Api, fields, wait_until
from test_dispatch import Phones, seconds_from_now

CONTACTS = 60


@pytest.fixture
def dispatch(stubs, platform):
    with Rpc(stubs, platform.campaign, "DispatchService") as rpc:
        yield rpc


def held(task, **values):
    return {"call_id": task["call_id"], "fence": task["fence"], **values}


def begin(api, calls):
    results = api.ok("POST", "/api/dispatch/begin", json={"calls": calls})["results"]
    assert [r["call_id"] for r in results] == [c["call_id"] for c in calls]
    return results


def finish(api, calls):
    results = api.ok("POST", "/api/dispatch/finish", json={"calls": calls})["results"]
    assert [r["call_id"] for r in results] == [c["call_id"] for c in calls]
    return results


def reasons(results):
    return [r["refusal"] and (r["refusal"]["reason"] or r["refusal"]["code"]) for r in results]


def test_a_batch_from_claim_to_finish(api):
    phones = Phones(api, CONTACTS)
    tasks = phones.claim(max=20)
    begun = begin(api, [held(t) for t in tasks])
    assert reasons(begun) == [None] * 20 and all(40 < seconds_from_now(r["lease_expires_at"]) < 50 for r in begun)
    assert phones.counters() == (CONTACTS, CONTACTS - 20, 20, 0, 0)
    # Asked again: the same answer, for the same leases.
    assert begin(api, [held(t) for t in tasks]) == begun
    ends = [held(t, disposition="answered", outcome="success", error_message='"quoted", \\ and {braces}') for t in tasks]
    finished = finish(api, ends)
    assert [(r["task_id"], r["status"], r["next_attempt_at"], r["refusal"]) for r in finished] == [(t["task_id"], "completed", None, None) for t in tasks]
    assert finish(api, ends) == finished
    assert phones.counters() == (CONTACTS, CONTACTS - 20, 0, 20, 0)
    shown = phones.task(tasks[0])
    assert (shown["status"], shown["outcome"], shown["error_message"]) == ("completed", "success", '"quoted", \\ and {braces}')
    [attempt] = api.ok("GET", f"{phones.path}/tasks/{tasks[0]['task_id']}/attempts")["items"]
    assert attempt["disposition"] == "answered" and attempt["ended"] == "finished" and attempt["dialed_at"] and attempt["ended_at"]
    # The rest ends the campaign.
    rest = phones.claim(max=100)
    begin(api, [held(t) for t in rest])
    assert reasons(finish(api, [held(t, disposition="answered") for t in rest])) == [None] * len(rest)


def test_each_call_of_a_batch_is_judged_by_itself(api):
    phones, others = Phones(api, CONTACTS), Phones(api, CONTACTS)
    good, finished, dialing, begun_before = phones.claim(max=4)
    [paused] = others.claim()
    for task in (finished, dialing, begun_before):
        phones.begin(task)
    phones.finish(finished, "busy")
    api.ok("POST", f"{others.path}/pause")
    results = begin(api, [held(good), held(dialing) | {"fence": dialing["fence"] + 1}, {"call_id": NOBODY, "fence": 1}, held(finished), held(paused), held(begun_before)])
    assert reasons(results) == [None, "STALE_FENCE", "NOT_FOUND", "CALL_FINISHED", "CAMPAIGN_NOT_RUNNING", None]
    assert [r["lease_expires_at"] is None for r in results] == [False, True, True, True, True, False]
    assert results[1]["refusal"]["code"] == "FAILED_PRECONDITION" and NOBODY in results[2]["refusal"]["message"]
    [claimed] = phones.claim()
    ends = [held(good, disposition="answered"), held(dialing, disposition="busy") | {"fence": dialing["fence"] + 1}, {"call_id": NOBODY, "fence": 1, "disposition": "busy"},
            held(finished, disposition="answered"), held(claimed, disposition="busy"), held(finished, disposition="busy") | {"call_id": begun_before["call_id"],
                                                                                                                        "fence": begun_before["fence"]}]
    results = finish(api, ends)
    assert reasons(results) == [None, "STALE_FENCE", "NOT_FOUND", "FINISHED_DIFFERENTLY", "NOT_DIALING", None]
    assert [r["status"] for r in results] == ["completed", None, None, None, None, "retry"] and results[1]["task_id"] is None
    assert phones.task(dialing)["status"] == phones.task(claimed)["status"] == "in_progress"
    assert phones.counters() == (CONTACTS, CONTACTS - 3, 2, 1, 0)


@pytest.mark.parametrize("policy", [{}, {"busy": {"delay_minutes": 7, "max_attempts": 1}, "voicemail": {"retry": False}, "declined": {"retry": True}}])
def test_a_batch_follows_the_rules_of_single_calls(api, policy):
    """Every disposition, once in a batch and once alone."""
    dispositions = ("answered", "no_answer", "busy", "voicemail", "declined", "invalid_number", "opt_out", "carrier_error", "provider_error", "platform_error")
    batched, alone = Phones(api, CONTACTS, retry_policy=policy), Phones(api, 10, retry_policy=policy)
    tasks = batched.claim(max=len(dispositions))
    begin(api, [held(t) for t in tasks])
    results = finish(api, [held(t, disposition=d, outcome="maybe" if d == "no_answer" else None) for t, d in zip(tasks, dispositions)])
    for task, disposition, result in zip(tasks, dispositions, results):
        [single] = alone.claim()
        alone.begin(single)
        answer = alone.finish(single, disposition, outcome="maybe" if disposition == "no_answer" else None)
        assert (result["status"], result["refusal"]) == (answer["status"], None), disposition
        assert (result["next_attempt_at"] is None) == (answer["next_attempt_at"] is None), disposition
        if answer["next_attempt_at"]:
            assert abs(micros(result["next_attempt_at"]) - micros(answer["next_attempt_at"])) < 20e6
        one, other = batched.task(task), alone.task(single)
        for key in ("status", "attempt_count", "outcome", "error_message"):
            assert one[key] == other[key], (disposition, key)
        assert one["next_attempt_at"] == result["next_attempt_at"] and one["last_attempt_at"]
        (one,), (other,) = (api.ok("GET", f"{p.path}/tasks/{t['task_id']}/attempts")["items"] for p, t in ((batched, task), (alone, single)))
        for key in ("number", "disposition", "outcome", "fault", "ended"):
            assert one[key] == other[key], (disposition, key)


def test_a_batch_asks_the_do_not_call_list(api):
    phones = Phones(api, CONTACTS)
    first, second, third = phones.claim(max=3)
    api.ok("POST", f"/api/companies/{phones.company['id']}/suppressions", status=201, json={"phone_number": second["phone_number"]})
    assert reasons(begin(api, [held(t) for t in (first, second, third)])) == [None, "SUPPRESSED", None]
    assert phones.task(second)["status"] == "suppressed"
    # A number that is put on the list during the call is not called again.
    api.ok("POST", f"/api/companies/{phones.company['id']}/suppressions", status=201, json={"phone_number": third["phone_number"]})
    results = finish(api, [held(t, disposition="no_answer") for t in (first, third)])
    assert [r["status"] for r in results] == ["retry", "suppressed"] and results[1]["next_attempt_at"] is None


def test_a_lost_lease_in_a_batch(api, platform):
    phones = Phones(api, CONTACTS)
    kept, lost = phones.claim(max=2)
    psql(platform, f"update live_calls set lease_until = now() - interval '1 second' where call_id = '{lost['call_id']}'")
    assert reasons(begin(api, [held(lost), held(kept)])) == ["STALE_FENCE", None]


def test_contacts_keep_their_own_window_in_a_batch(api, platform):
    phones = Phones(api, CONTACTS)
    near, far = phones.claim(max=2)
    # A zone in which the campaign's window, put around this very minute in UTC, is closed.
    psql(platform, f"update call_tasks set timezone = 'Asia/Tokyo' where id = '{far['task_id']}'")
    psql(platform, "update campaigns set daily_start_time = ((now() at time zone 'UTC') - interval '1 hour')::time,"
                   f" daily_end_time = ((now() at time zone 'UTC') + interval '1 hour')::time where id = '{phones.campaign['id']}'")
    assert reasons(begin(api, [held(far), held(near)])) == ["WINDOW_CLOSED", None]


@pytest.mark.parametrize("path", ["begin", "finish"])
def test_wrong_batches(api, path):
    extra = {"disposition": "busy"} if path == "finish" else {}
    ask = lambda calls: fields(api.problem("POST", f"/api/dispatch/{path}", 400, json={"calls": calls}))
    good = {"call_id": NOBODY, "fence": 1, **extra}
    assert set(ask([])) == {"calls"}
    assert set(ask([good | {"call_id": NOBODY[:-4] + f"{i:04x}"} for i in range(101)])) == {"calls"}
    assert set(ask([good, {"call_id": "x", "fence": 0, **extra}])) == {"calls[1].call_id", "calls[1].fence"}
    # The same call twice is nobody's intention; it is refused before anything happens, whatever the case of the letters.
    assert ask([good, good | {"call_id": NOBODY.upper()}]) == {"calls[1].call_id": "is the same call as calls[0]"}
    if path == "finish":
        assert set(ask([{"call_id": NOBODY, "fence": 1}, good | {"disposition": "vanished", "outcome": "No Word"}])) >= {"calls[1].disposition"}


def test_batches_over_grpc(api, dispatch):
    phones = Phones(api, CONTACTS)
    tasks = phones.claim(max=3)
    calls = [held(t) for t in tasks]
    begun = dispatch.BeginDialBatch({"calls": calls[:2] + [{**calls[2], "fence": calls[2]["fence"] + 1}]}).results
    assert [r.HasField("refusal") for r in begun] == [False, False, True]
    assert (begun[2].refusal.code, begun[2].refusal.reason) == ("FAILED_PRECONDITION", "STALE_FENCE") and not begun[2].HasField("lease_expires_at")
    ended = dispatch.FinishTaskBatch({"calls": [{**c, "disposition": "DISPOSITION_ANSWERED"} for c in calls]}).results
    assert [r.HasField("refusal") for r in ended] == [False, False, True] and ended[2].refusal.reason == "NOT_DIALING"
    assert ended[0].task_id == tasks[0]["task_id"] and not ended[2].HasField("task_id") and not ended[2].HasField("status")
    with pytest.raises(grpc.RpcError) as error:
        dispatch.BeginDialBatch({"calls": []})
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_agents_that_ask_at_the_same_moment(api, platform):
    """Their steps go into the database together; each has his own answer, and nobody's mistake is another's."""
    phones, agents = Phones(api, 200, max_concurrent_calls=1000, calls_per_minute=60000), 8
    start, seen = threading.Barrier(agents), []

    def work(number):
        mine = Phones.__new__(Phones)
        mine.api, mine.campaign, mine.path = Api(platform.url), phones.campaign, phones.path
        start.wait(30)
        for turn in range(6):
            [task] = mine.claim(f"agent-{number}", wait_ms=20000)
            seen.append(task["call_id"])
            if turn % 3 == 2:  # a mistake now and then
                assert mine.begin(task, 409, fence=task["fence"] + 7)["reason"] == "STALE_FENCE"
                assert mine.finish(task, "busy", 409)["reason"] == "NOT_DIALING"
            lease = mine.begin(task)["lease_expires_at"]
            assert mine.begin(task)["lease_expires_at"] == lease
            done = mine.finish(task, ("answered", "busy")[turn % 2])
            assert done["task_id"] == task["task_id"] and done["status"] == ("completed", "retry")[turn % 2]
            assert mine.finish(task, ("answered", "busy")[turn % 2]) == done
            [attempt] = mine.api.ok("GET", f"{mine.path}/tasks/{task['task_id']}/attempts")["items"]
            assert attempt["worker_id"] == f"agent-{number}" and attempt["call_id"] == task["call_id"]
    with ThreadPoolExecutor(agents) as pool:
        for done in [pool.submit(work, i) for i in range(agents)]:
            done.result()
    assert len(set(seen)) == agents * 6
    assert phones.counters() == (200, 200 - agents * 3, 0, agents * 3, 0)


def test_claims_at_the_same_moment_share_what_there_is(api, platform):
    """More is wanted than may be under way: everything that may be is handed out, once."""
    phones = Phones(api, 100, max_concurrent_calls=30)
    start = threading.Barrier(12)

    def claim(number):
        mine = Phones.__new__(Phones)
        mine.api, mine.campaign = Api(platform.url), phones.campaign
        start.wait(30)
        return mine.claim(f"w{number}", max=5, wait_ms=300)
    with ThreadPoolExecutor(12) as pool:
        got = list(pool.map(claim, range(12)))
    calls = [t["call_id"] for tasks in got for t in tasks]
    assert len(calls) == len(set(calls)) == 30 and all(len(tasks) <= 5 for tasks in got)
    owners = dict(row.split("|") for row in psql(platform, f"select call_id, worker_id from live_calls where campaign_id = '{phones.campaign['id']}'").splitlines())
    assert owners == {t["call_id"]: f"w{n}" for n, tasks in enumerate(got) for t in tasks}


def test_deleting_a_campaign_takes_its_calls_along(api, platform):
    phones = Phones(api, 5)
    first, second = phones.claim(max=2)
    phones.begin(first)
    api.ok("DELETE", phones.path, status=204)
    assert psql(platform, f"select count(*) from live_calls where campaign_id = '{phones.campaign['id']}'") == "0"
    for table in ("call_attempts", "call_tasks"):  # which go in steps, behind the campaign
        wait_until(lambda: psql(platform, f"select count(*) from {table} where campaign_id = '{phones.campaign['id']}'") == "0", what=f"the end of {table}")
    phones.begin(second, 404)
    phones.finish(first, "answered", 404)
