"""EraseContact: a person's data go, everywhere, and the figures stay. What "everywhere" means is asked of a dump of the whole database."""

import base64
import json
import os
import re
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import httpx
import pytest

from agents import Rpc, psql
from conftest import PRESET, ROOT, Api, Platform, check_problem, fields, wait_until

PHONE, OTHER = "+12025550143", "+12025550144"
NAME, SAID, NOTE = "Thaddeus Wobblethorpe", "my cat is called Mister Fluffbottom", "lives behind the windmill"
SPELLINGS = [PHONE.lstrip("+"), "(202) 555-0143", "202-555-0143", "2025550143"]


def dump(platform):
    """The whole database as text, as pg_dump writes it: every row of every table, hidden ones and those of no API included."""
    done = subprocess.run(["pg_dump", "--data-only", "--inserts", "-d", f"host={platform.data}/run user=dialplane dbname=dialplane"], check=True, capture_output=True,
                          timeout=120)
    text = done.stdout.decode(errors="replace")
    assert "INSERT INTO public.calls" in text or "INSERT INTO public.call_index" in text
    # what is bytes is written as hexadecimal digits
    return text + "".join(bytes.fromhex(part).decode(errors="replace") for part in re.findall(r"'\\x([0-9a-f]*)'", text) if len(part) % 2 == 0)


def lines_with(platform, *secrets):
    return [line[:300] for line in dump(platform).splitlines() if any(secret in line for secret in secrets)]


@pytest.fixture(scope="module", params=["plain", "encrypted"])
def place(request):
    """A platform for these tests alone: their dump is of one whose data they know."""
    keys = "k1:" + base64.b64encode(os.urandom(32)).decode()
    platform = Platform({"DIALPLANE_DATA_KEYS": keys} if request.param == "encrypted" else None)
    try:
        platform.start()
        yield platform
    finally:
        platform.stop()


@pytest.fixture(scope="module")
def api(place):
    return Api(place.url)


@pytest.fixture
def rpcs(stubs, place):
    with Rpc(stubs, place.campaign, "DispatchService") as dispatch, Rpc(stubs, place.analytics, "AnalyticsService") as analytics:
        yield dispatch, analytics


def now(minutes=0):
    return (datetime.now(timezone.utc) + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def report(analytics, call, *events, minutes=0, first=1):
    analytics.ReportCallEventBatch({"call_id": call, "events": [{"seq": seq, "occurred_at": now(minutes), **event} for seq, event in enumerate(events, first)]})


def live(api, rpcs, finish=True):
    """A company with two campaigns that call the person, another contact, and everything that remembers them."""
    dispatch, analytics = rpcs
    company = api.company()
    skillbase = api.skillbase(company)
    campaigns = [api.campaign(company, skillbase, default_region="US", max_retries=0) for _ in range(2)]
    head = "phone_number,name,note\n"
    row = f"(202) 555-0143,{NAME},{NOTE}\n"
    for campaign in campaigns:
        uploaded = api.upload(campaign, head + row + f"{OTHER},Other Person,something else\n202-555-0143,{NAME},again\n202-555-0143 or 202-555-0199,{NAME},two\n")
        assert (uploaded["created"], uploaded["duplicates"], uploaded["error_count"]) == (2, 1, 1)
    api.problem("POST", f"/api/campaigns/{campaigns[0]['id']}/call-list?on_duplicate=error", 409, files={"file": ("l.csv", (head + row).encode(), "text/csv")})
    api.ok("POST", f"/api/campaigns/{campaigns[0]['id']}/start")
    task = dispatch.ClaimTasks({"worker_id": "w", "campaign_id": campaigns[0]["id"], "wait_ms": 10000}).tasks[0]
    assert task.phone_number == PHONE and task.contact_data["note"] == NOTE
    held = {"call_id": task.call_id, "fence": task.fence}
    dispatch.BeginDial(held)
    begin = {"started": {"company_id": company["id"], "campaign_id": campaigns[0]["id"], "task_id": task.task_id, "phone_number": PHONE}}
    said = {"turn": {"turn_index": 0, "role": "user", "content": SAID, "eou_latency": 400}}
    end = {"finished": {"status": "completed", "outcome": "success", "outcome_reason": f"told us: {SAID}"}}
    report(analytics, task.call_id, begin, said)
    if finish:
        report(analytics, task.call_id, end, first=3)
        dispatch.FinishTask({**held, "disposition": "DISPOSITION_DECLINED", "error_message": f"{NAME} hung up"})
    # a call of no campaign, whose agent wrote the number otherwise, and one to somebody else
    calls = [str(uuid.uuid4()) for _ in range(2)]
    for call, number in zip(calls, (PHONE.lstrip("+"), OTHER)):
        report(analytics, call, {"started": {"company_id": company["id"], "phone_number": number}}, said if number != OTHER else
               {"turn": {"turn_index": 0, "role": "user", "content": "somebody else's words"}}, end if number != OTHER else {"finished": {"status": "completed"}})
    api.ok("POST", f"/api/companies/{company['id']}/suppressions", 201, json={"phone_number": PHONE, "reason": f"{NAME} asked for it"})
    return {"company": company["id"], "campaigns": campaigns, "task": task, "held": held, "calls": [task.call_id, calls[0]], "other": calls[1]}


def erase(api, company, **values):
    return api.ok("POST", f"/api/companies/{company}/erase-contact", json={"phone_number": PHONE, **values})


def figures(api, own):
    counters = [{k: v for k, v in api.ok("GET", f"/api/campaigns/{c['id']}").items() if k.endswith("_tasks")} for c in own["campaigns"]]
    return counters, api.ok("GET", "/api/analytics/metrics", params={"company_id": own["company"]})


def test_all_of_it_goes(place, api, rpcs):
    own = live(api, rpcs)
    _, analytics = rpcs
    assert lines_with(place, *SPELLINGS) and lines_with(place, NAME)
    counters, metrics = figures(api, own)
    answer = erase(api, own["company"], reference="Ticket 12")
    # two tasks, of which that of the second campaign and the suppressed one were open or not: see the counters
    assert answer["removed"]["tasks"] == 2 and answer["removed"]["attempts"] == 1
    assert answer["removed"]["calls"] == 2 and answer["removed"]["events"] == 6 and answer["removed"]["outcome_reasons"] == 2
    assert answer["removed"]["upload_errors"] == 3  # one rejected row in each of two uploads, and that of the refused one
    assert answer["removed"]["suppressions"] == 0 and answer["suppressions_kept"] == 1 and answer["uploads_under_way"] == 0

    for secret in (NAME, SAID, "Fluffbottom", NOTE):
        assert not lines_with(place, secret), secret
    left = lines_with(place, *SPELLINGS)
    assert len(left) == 1 and "suppressions" in left[0] and NAME not in left[0], left
    # others keep what is theirs
    assert len(lines_with(place, OTHER)) >= 3
    kept = api.ok("GET", f"/api/analytics/calls/{own['other']}")
    assert kept["phone_number"] == OTHER and kept["turns"][0]["turn"]["content"] == "somebody else's words"

    # rows without a person, and figures as before
    after, metrics_after = figures(api, own)
    assert metrics_after == metrics
    for before, then in zip(counters, after):
        assert then["total_tasks"] == before["total_tasks"] and then["completed_tasks"] == before["completed_tasks"]
        assert sum(then[k] for k in then if k != "total_tasks") == sum(before[k] for k in before if k != "total_tasks")
    task = api.ok("GET", f"/api/campaigns/{own['campaigns'][0]['id']}/tasks/{own['task'].task_id}")
    assert task["phone_number"] == f"erased:{task['id']}" and task["contact_name"] is None and task["contact_data"] == {} and task["phone_text"] is None
    call = api.ok("GET", f"/api/analytics/calls/{own['calls'][0]}")
    assert call["phone_number"] is None and call["turns"] == [] and call["turns_truncated"] and call["outcome"] == "success" and call["turn_count"] == 1
    assert api.ok("GET", f"/api/analytics/calls/{own['calls'][0]}/metrics")["outcome_reason"] is None
    assert not api.ok("GET", "/api/analytics/calls", params={"phone_number": PHONE})["items"]
    errors = httpx.get(f"{place.url}/api/campaigns/{own['campaigns'][0]['id']}/uploads").json()["items"]
    text = "".join(httpx.get(f"{place.url}/api/campaigns/{own['campaigns'][0]['id']}/uploads/{u['id']}/errors.csv").text for u in errors)
    assert text.count("erased on request") == 2 and NAME not in text

    # the record knows it happened, not to whom
    record = psql(place, f"select removed::text, reference, length(phone_hash), finished_at is not null from erasures where id = '{answer['id']}'")
    assert record.endswith("|Ticket 12|32|t") and json.loads(record.split("|")[0])["calls"] == 2
    # a late or repeated report of the agent brings nothing back
    report(analytics, own["calls"][0], {"started": {"company_id": own["company"], "phone_number": PHONE}}, {"turn": {"turn_index": 0, "role": "user", "content": SAID}})
    assert not lines_with(place, "Fluffbottom")
    # again: nothing is left to remove; without the do-not-call entry not even that
    again = erase(api, own["company"], keep_suppression=False)
    assert again["removed"] == {key: int(key == "suppressions") for key in again["removed"]} and again["suppressions_kept"] == 0
    assert not lines_with(place, *SPELLINGS)
    hashes = psql(place, f"select count(distinct phone_hash) from erasures where company_id = '{own['company']}'")
    assert hashes == "1"
    assert subprocess.run([str(ROOT / "build" / PRESET / "bin" / "dialplane-analytics"), "--verify-rollups",
                           "--database-url", f"host={place.data}/run user=dialplane dbname=dialplane"], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=120, check=False).returncode == 0


def test_not_while_a_call_is_under_way(place, api, rpcs):
    own = live(api, rpcs, finish=False)
    dispatch, analytics = rpcs
    problem = api.problem("POST", f"/api/companies/{own['company']}/erase-contact", 409, json={"phone_number": PHONE})
    assert problem["reason"] == "CALL_UNDER_WAY" and own["held"]["call_id"] in problem["detail"]
    assert api.ok("GET", f"/api/campaigns/{own['campaigns'][0]['id']}/tasks/{own['task'].task_id}")["contact_name"] == NAME
    dispatch.FinishTask({**own["held"], "disposition": "DISPOSITION_ANSWERED"})
    # the dispatcher has let go, but its record has not ended
    assert api.problem("POST", f"/api/companies/{own['company']}/erase-contact", 409, json={"phone_number": PHONE})["reason"] == "CALL_UNDER_WAY"
    # left open by its agent for more than an hour: over, and what may still come of it is dropped
    psql(place, f"update calls set last_event_at = now() - interval '61 minutes' where id = '{own['held']['call_id']}'")
    assert erase(api, own["company"])["removed"]["calls"] == 2
    report(analytics, own["held"]["call_id"], {"turn": {"turn_index": 1, "role": "user", "content": SAID}}, first=3)
    assert not lines_with(place, "Fluffbottom", NAME)
    one = psql(place, f"select count(*), count(finished_at) from erasures where company_id = '{own['company']}'")
    assert one == "1|1", "the refused ones and the one that was done are one record"


def test_whose(api, rpcs):
    """Another company's person with the same number stays; an unknown company is not found; wrong input says what is wrong."""
    mine, theirs = live(api, rpcs), live(api, rpcs)
    erase(api, mine["company"])
    task = api.ok("GET", f"/api/campaigns/{theirs['campaigns'][0]['id']}/tasks/{theirs['task'].task_id}")
    assert task["phone_number"] == PHONE and task["contact_name"] == NAME and task["contact_data"] == {"note": NOTE}
    assert api.ok("GET", f"/api/analytics/calls/{theirs['calls'][0]}")["turns"][0]["turn"]["content"] == SAID
    path = f"/api/companies/{mine['company']}/erase-contact"
    assert fields(api.problem("POST", path, 400, json={})) == {"phone_number": "is required"}
    assert fields(api.problem("POST", path, 400, json={"phone_number": "nobody"})) == {"phone_number": "is not a phone number with country code"}
    assert fields(api.problem("POST", path, 400, json={"phone_number": PHONE, "reference": f"of 202-555-0143"})) == {"reference": "must not repeat the number: it is kept"}
    assert check_problem(api.request("POST", f"/api/companies/{uuid.uuid4()}/erase-contact", json={"phone_number": PHONE}))["status"] == 404
    assert erase(api, mine["company"], phone_number="+12025550190")["removed"]["tasks"] == 0
    erase(api, theirs["company"])


def test_beside_claims(place, api, stubs):
    """While agents claim and finish, erasures either refuse or are whole: nobody is dialed after it."""
    company = api.company()
    campaign = api.campaign(company, api.skillbase(company))
    numbers = [f"+1202555{i:04d}" for i in range(200, 260)]
    api.upload(campaign, "phone_number,name\n" + "".join(f"{number},{NAME}\n" for number in numbers))
    api.ok("POST", f"/api/campaigns/{campaign['id']}/start")
    erased, dialed = set(), []

    def agent(name):
        with Rpc(stubs, place.campaign, "DispatchService") as rpc:
            for _ in range(100):
                tasks = rpc.ClaimTasks({"worker_id": name, "campaign_id": campaign["id"], "max": 3}).tasks
                if not tasks:
                    return
                for task in tasks:
                    assert task.phone_number.startswith("+1202555"), task.phone_number
                    before = set(erased)
                    rpc.BeginDial({"call_id": task.call_id, "fence": task.fence})
                    dialed.append((task.phone_number, before))
                    rpc.FinishTask({"call_id": task.call_id, "fence": task.fence, "disposition": "DISPOSITION_ANSWERED"})

    def eraser():
        for number in numbers[::3]:
            answer = api.request("POST", f"/api/companies/{company['id']}/erase-contact", json={"phone_number": number})
            if answer.status_code == 200:
                erased.add(number)
            else:
                assert check_problem(answer)["reason"] == "CALL_UNDER_WAY", answer.text
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(agent, "a"), pool.submit(agent, "b"), pool.submit(eraser)]:
            future.result(120)
    assert not [number for number, before in dialed if number in before]
    assert len(dialed) == len({number for number, _ in dialed})
    for number in numbers[::3]:
        if number not in erased:
            erase(api, company["id"], phone_number=number)
    assert wait_until(lambda: api.ok("GET", f"/api/campaigns/{campaign['id']}")["status"] == "completed", what="the end of the campaign")
    counters = api.ok("GET", f"/api/campaigns/{campaign['id']}")
    assert counters["total_tasks"] == 60 and counters["completed_tasks"] + counters["cancelled_tasks"] == 60
    assert psql(place, f"select count(*) from call_tasks where campaign_id = '{campaign['id']}' and phone_number like 'erased:%'") == "20"
