"""Campaigns over REST: CRUD, defaults, every rule at its bounds, filters, the state machine, ETag, and what a DELETE takes with it."""

import time
import uuid

import pytest

from clients import NOBODY, TIME, UUID, micros, walk
from conftest import fields, wait_until

KEYS = {"id", "company_id", "skillbase_id", "name", "description", "status", "start_time", "end_time", "daily_start_time", "daily_end_time",
        "timezone", "days_of_week", "max_concurrent_calls", "calls_per_minute", "max_retries", "retry_delay_minutes", "total_tasks",
        "completed_tasks", "failed_tasks", "pending_tasks", "in_progress_tasks", "created_at", "updated_at", "started_at", "completed_at"}
WEEK = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
TWO_CONTACTS = "phone_number,name\n+12015550100,One\n+12015550101,Two\n"


@pytest.fixture(scope="module")
def company(api):
    return api.company()


@pytest.fixture(scope="module")
def skillbase(api, company):
    return api.skillbase(company)


@pytest.fixture
def body(company, skillbase):
    return {"company_id": company["id"], "skillbase_id": skillbase["id"], "name": "Spring"}


def path(campaign, *more):
    return "/".join(["/api/campaigns", campaign["id"], *more])


def move(api, campaign, verb, status=200):
    if status == 200:
        return api.ok("POST", path(campaign, verb))
    return api.problem("POST", path(campaign, verb), status)


def finish_all(api, campaign, disposition="answered"):
    """Plays an agent over REST until the campaign has nothing more to hand out."""
    while tasks := api.ok("POST", "/api/dispatch/claim", json={"worker_id": "w", "max": 100, "campaign_id": campaign["id"]})["tasks"]:
        for task in tasks:
            api.ok("POST", f"/api/dispatch/calls/{task['call_id']}/begin", json={"fence": task["fence"]})
            api.ok("POST", f"/api/dispatch/calls/{task['call_id']}/finish", json={"fence": task["fence"], "disposition": disposition})


# --- create and read --------------------------------------------------------------------------------------------------

def test_create_with_defaults(api, body, company, skillbase):
    answer = api.client.post("/api/campaigns", json=body)
    assert answer.status_code == 201, answer.text
    campaign = answer.json()
    assert answer.headers["location"] == path(campaign)
    assert set(campaign) >= KEYS
    assert UUID.fullmatch(campaign["id"]) and campaign["id"][14] == "7"
    expected = {"company_id": company["id"], "skillbase_id": skillbase["id"], "name": "Spring", "description": None, "status": "draft",
                "start_time": None, "end_time": None, "daily_start_time": "09:00", "daily_end_time": "18:00", "timezone": "UTC",
                "max_concurrent_calls": 5, "calls_per_minute": 10, "max_retries": 3, "retry_delay_minutes": 30, "total_tasks": 0,
                "completed_tasks": 0, "failed_tasks": 0, "pending_tasks": 0, "in_progress_tasks": 0, "started_at": None,
                "completed_at": None, "days_of_week": WEEK}
    assert {key: campaign[key] for key in expected} == expected
    assert TIME.fullmatch(campaign["created_at"]) and campaign["updated_at"] == campaign["created_at"]
    assert abs(micros(campaign["created_at"]) / 1e6 - time.time()) < 60
    assert api.ok("GET", path(campaign)) == campaign


def test_create_with_everything(api, body):
    values = {"name": "Ünïcode " + "é" * 247, "description": "d" * 5000, "start_time": "2030-01-17T09:30:00.123456Z",
              "end_time": "2030-02-17T10:30:00+01:00", "daily_start_time": "22:00", "daily_end_time": "02:00", "timezone": "Europe/Berlin",
              "days_of_week": ["monday", "friday"], "max_concurrent_calls": 10000, "calls_per_minute": 60000, "max_retries": 10,
              "retry_delay_minutes": 1440}
    campaign = api.ok("POST", "/api/campaigns", 201, json={**body, **values})
    values["end_time"] = "2030-02-17T09:30:00.000000Z"
    got = api.ok("GET", path(campaign))
    assert {key: got[key] for key in values} == values


def test_proto_spelling_is_understood(api, body):
    campaign = api.ok("POST", "/api/campaigns", 201, json={
        "companyId": body["company_id"], "skillbaseId": body["skillbase_id"], "name": "x", "maxConcurrentCalls": 7, "dailyStartTime": "00:00",
        "daysOfWeek": ["WEEKDAY_SUNDAY"]})
    assert campaign["max_concurrent_calls"] == 7 and campaign["daily_start_time"] == "00:00" and campaign["days_of_week"] == ["sunday"]


@pytest.mark.parametrize("values", [
    {"name": "x"}, {"name": "n" * 255}, {"max_concurrent_calls": 1}, {"max_concurrent_calls": 10000}, {"calls_per_minute": 1},
    {"calls_per_minute": 60000}, {"max_retries": 0}, {"max_retries": 10}, {"retry_delay_minutes": 1}, {"retry_delay_minutes": 1440},
    {"daily_start_time": "00:00", "daily_end_time": "23:59"}, {"daily_start_time": "08:15", "daily_end_time": "08:15"},
    {"daily_start_time": "22:00", "daily_end_time": "02:00"}, {"timezone": "America/Argentina/Buenos_Aires"}, {"timezone": "Asia/Kathmandu"},
    {"days_of_week": WEEK[::-1]}, {"days_of_week": ["sunday"]}, {"start_time": "2030-01-01T00:00:00Z"}, {"end_time": "2030-01-01T00:00:00Z"},
    {"start_time": "2030-01-01T00:00:00Z", "end_time": "2030-01-01T00:00:00.000001Z"}, {"description": ""}, {"description": None},
    {"max_retries": 1e1}, {"max_retries": "3"},
])
def test_bounds_that_hold(api, body, values):
    campaign = api.ok("POST", "/api/campaigns", 201, json={**body, **values})
    for key, value in values.items():
        if key == "days_of_week":
            assert sorted(campaign[key]) == sorted(value)
        elif key == "max_retries":
            assert campaign[key] == int(value)
        elif key in ("start_time", "end_time"):
            assert micros(campaign[key]) == micros(value)
        else:
            assert campaign[key] == value


@pytest.mark.parametrize("values, field, words", [
    ({"name": ""}, "name", ""), ({"name": "   "}, "name", ""), ({"name": "n" * 256}, "name", "255"), ({"name": None}, "name", "required"),
    ({"name": 7}, "name", ""), ({"description": "d" * 5001}, "description", "5000"),
    ({"max_concurrent_calls": 0}, "max_concurrent_calls", "10000"), ({"max_concurrent_calls": 10001}, "max_concurrent_calls", "10000"),
    ({"calls_per_minute": 0}, "calls_per_minute", "60000"), ({"calls_per_minute": 60001}, "calls_per_minute", "60000"),
    ({"max_retries": -1}, "max_retries", "10"), ({"max_retries": 11}, "max_retries", "10"), ({"max_retries": 1.5}, "max_retries", ""),
    ({"retry_delay_minutes": 0}, "retry_delay_minutes", "1440"), ({"retry_delay_minutes": 1441}, "retry_delay_minutes", "1440"),
    ({"max_retries": 99999999999}, "max_retries", ""), ({"max_retries": True}, "max_retries", ""),
    ({"daily_start_time": "99:99"}, "daily_start_time", "99:99"), ({"daily_end_time": "24:00"}, "daily_end_time", "24:00"),
    ({"daily_end_time": "9:00"}, "daily_end_time", "9:00"), ({"daily_start_time": "09:60"}, "daily_start_time", ""),
    ({"daily_start_time": "09:00:00"}, "daily_start_time", ""), ({"daily_start_time": 900}, "daily_start_time", ""),
    ({"timezone": "Mars/Olympus"}, "timezone", "Mars/Olympus"), ({"timezone": "../../etc/passwd"}, "timezone", ""),
    ({"timezone": "utc2"}, "timezone", ""), ({"days_of_week": ["monday", "monday"]}, "days_of_week[1]", ""),
    ({"days_of_week": ["funday"]}, "days_of_week[0]", "funday"), ({"days_of_week": ["monday", 9]}, "days_of_week[1]", ""),
    ({"days_of_week": "monday"}, "days_of_week", ""),
    ({"start_time": "yesterday"}, "start_time", ""), ({"start_time": "2030-02-30T00:00:00Z"}, "start_time", ""),
    ({"start_time": "2030-01-01T00:00:00"}, "start_time", ""), ({"end_time": 5}, "end_time", ""),
    ({"start_time": "2030-01-02T00:00:00Z", "end_time": "2030-01-01T00:00:00Z"}, "end_time", "start_time"),
    ({"start_time": "2030-01-01T00:00:00Z", "end_time": "2030-01-01T00:00:00Z"}, "end_time", "start_time"),
    ({"company_id": None}, "company_id", "required"), ({"skillbase_id": None}, "skillbase_id", "required"),
    ({"company_id": "x"}, "company_id", ""), ({"skillbase_id": "1234"}, "skillbase_id", ""), ({"company_id": NOBODY}, "company_id", ""),
    ({"skillbase_id": NOBODY}, "skillbase_id", ""), ({"colour": "red"}, "colour", ""), ({"Name": "x"}, "Name", ""),
])
def test_bounds_that_break(api, body, values, field, words):
    problem = api.problem("POST", "/api/campaigns", 400, json={**body, **values})
    assert problem["code"] == "INVALID_ARGUMENT"
    assert set(fields(problem)) == {field}
    assert words in fields(problem)[field]


def test_all_errors_at_once(api, body):
    before = api.ok("GET", "/api/campaigns")["total"]
    problem = api.problem("POST", "/api/campaigns", 400, json={
        "company_id": body["company_id"], "name": " ", "daily_start_time": "99:99", "timezone": "Nowhere/At_All", "max_concurrent_calls": 0,
        "calls_per_minute": 60001, "max_retries": 11, "retry_delay_minutes": 0, "start_time": "2030-01-02T00:00:00Z",
        "end_time": "2030-01-01T00:00:00Z"})
    assert set(fields(problem)) == {"skillbase_id", "name", "daily_start_time", "timezone", "max_concurrent_calls", "calls_per_minute",
                                    "max_retries", "retry_delay_minutes", "end_time"}
    assert str(len(problem["errors"])) in problem["detail"]
    assert api.ok("GET", "/api/campaigns")["total"] == before


def test_skillbase_of_another_company(api, body):
    stranger = api.skillbase(api.company())
    problem = api.problem("POST", "/api/campaigns", 400, json={**body, "skillbase_id": stranger["id"]})
    assert set(fields(problem)) == {"skillbase_id"}
    assert stranger["id"] in fields(problem)["skillbase_id"]


@pytest.mark.parametrize("method, tail", [("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/start"), ("POST", "/pause"), ("POST", "/cancel"),
                                          ("GET", "/tasks")])
def test_unknown_and_malformed_id(api, method, tail):
    arguments = {"json": {"name": "x"}} if method == "PUT" else {}
    problem = api.problem(method, f"/api/campaigns/{NOBODY}{tail}", 404, **arguments)
    assert NOBODY in problem["detail"]
    problem = api.problem(method, f"/api/campaigns/not-an-id{tail}", 400, **arguments)
    assert len(problem["errors"]) == 1


# --- change -----------------------------------------------------------------------------------------------------------

def test_put_changes_only_what_is_sent(api, body):
    campaign = api.ok("POST", "/api/campaigns", 201, json={**body, "description": "d", "max_retries": 7, "timezone": "Asia/Tokyo"})
    changed = api.ok("PUT", path(campaign), json={"name": "Autumn", "max_concurrent_calls": 9})
    assert changed.pop("updated_at") > campaign["updated_at"]
    assert changed == {**{k: v for k, v in campaign.items() if k != "updated_at"}, "name": "Autumn", "max_concurrent_calls": 9}


def test_put_zero_is_a_value(api, body):
    campaign = api.ok("POST", "/api/campaigns", 201, json=body)
    assert api.ok("PUT", path(campaign), json={"max_retries": 0})["max_retries"] == 0


def test_put_null_clears(api, body):
    campaign = api.ok("POST", "/api/campaigns", 201, json={
        **body, "description": "d", "start_time": "2030-01-01T00:00:00Z", "end_time": "2030-01-02T00:00:00Z"})
    changed = api.ok("PUT", path(campaign), json={"description": None, "start_time": None, "end_time": None})
    assert (changed["description"], changed["start_time"], changed["end_time"]) == (None, None, None)
    assert changed["name"] == body["name"]


def test_put_null_of_a_setting_is_its_default(api, body):
    campaign = api.ok("POST", "/api/campaigns", 201, json={**body, "max_retries": 9, "timezone": "Asia/Tokyo", "days_of_week": ["monday"]})
    changed = api.ok("PUT", path(campaign), json={"max_retries": None, "timezone": None, "days_of_week": None})
    assert (changed["max_retries"], changed["timezone"]) == (3, "UTC")
    assert changed["days_of_week"] == WEEK


def test_put_null_of_what_must_be_there(api, body):
    campaign = api.ok("POST", "/api/campaigns", 201, json=body)
    assert set(fields(api.problem("PUT", path(campaign), 400, json={"name": None}))) == {"name"}
    assert api.ok("GET", path(campaign)) == campaign


def test_put_of_a_whole_get(api, body):
    campaign = api.ok("POST", "/api/campaigns", 201, json={**body, "start_time": "2030-01-01T00:00:00Z", "days_of_week": ["tuesday"]})
    api.upload(campaign, TWO_CONTACTS)
    got = api.ok("GET", path(campaign))
    changed = api.ok("PUT", path(campaign), json=got)
    assert {**changed, "updated_at": None} == {**got, "updated_at": None}


def test_put_of_company_or_skillbase(api, body, company):
    campaign = api.ok("POST", "/api/campaigns", 201, json=body)
    other_skillbase = api.skillbase(company)
    other = api.company()
    problem = api.problem("PUT", path(campaign), 400, json={"company_id": other["id"], "skillbase_id": other_skillbase["id"]})
    assert set(fields(problem)) == {"company_id", "skillbase_id"}
    problem = api.problem("PUT", path(campaign), 400, json={"skillbase_id": other_skillbase["id"], "name": "y"})
    assert set(fields(problem)) == {"skillbase_id"}
    assert api.ok("GET", path(campaign)) == campaign
    assert api.ok("PUT", path(campaign), json={"skillbase_id": body["skillbase_id"], "company_id": body["company_id"], "name": "y"})["name"] == "y"


@pytest.mark.parametrize("values, wrong", [
    ({"name": ""}, {"name"}), ({"max_retries": 11, "calls_per_minute": 0}, {"max_retries", "calls_per_minute"}),
    ({"daily_end_time": "99:99", "timezone": "X/Y"}, {"daily_end_time", "timezone"}), ({"end_time": "2029-12-31T00:00:00Z"}, {"end_time"}),
    ({"start_time": "2031-01-01T00:00:00Z"}, None), ({"nonsense": 1}, {"nonsense"}), ({"days_of_week": ["someday"]}, {"days_of_week[0]"}),
])
def test_put_is_checked_like_a_create(api, body, values, wrong):
    campaign = api.ok("POST", "/api/campaigns", 201, json={**body, "start_time": "2030-01-01T00:00:00Z", "end_time": "2030-06-01T00:00:00Z"})
    problem = api.problem("PUT", path(campaign), 400, json=values)
    # Which of the two times is blamed for their order is not said by the contract.
    assert set(fields(problem)) == wrong if wrong else set(fields(problem)) <= {"start_time", "end_time"}
    assert api.ok("GET", path(campaign)) == campaign


def test_put_ignores_read_only_keys(api, body):
    campaign = api.ok("POST", "/api/campaigns", 201, json=body)
    changed = api.ok("PUT", path(campaign), json={
        "id": NOBODY, "status": "running", "total_tasks": 99, "completed_tasks": 98, "created_at": "2001-01-01T00:00:00Z",
        "started_at": "2001-01-01T00:00:00Z"})
    assert {**changed, "updated_at": None} == {**campaign, "updated_at": None}


# --- lists ------------------------------------------------------------------------------------------------------------

def test_filters_and_order(api):
    company, other = api.company(), api.company()
    first, second, third = api.skillbase(company), api.skillbase(company), api.skillbase(other)
    made = [api.campaign(company, first, name=f"c{i}") for i in range(3)] + [api.campaign(company, second, name="s")]
    api.campaign(other, third)
    listed = api.ok("GET", "/api/campaigns", params={"company_id": company["id"]})
    assert [c["id"] for c in listed["items"]] == [c["id"] for c in reversed(made)]
    assert listed["total"] == 4 and listed["next_page_token"] is None
    assert set(listed["items"][0]) >= KEYS
    assert [c["id"] for c in api.ok("GET", "/api/campaigns", params={"skillbase_id": second["id"]})["items"]] == [made[3]["id"]]
    api.upload(made[1], TWO_CONTACTS)
    move(api, made[1], "start")
    move(api, made[2], "cancel")
    for status, expected in (("running", [made[1]]), ("cancelled", [made[2]]), ("draft", [made[3], made[0]]), ("paused", []), ("completed", [])):
        page = api.ok("GET", "/api/campaigns", params={"company_id": company["id"], "status": status})
        assert ([c["id"] for c in page["items"]], page["total"]) == ([c["id"] for c in expected], len(expected))
    both = api.ok("GET", "/api/campaigns", params={"company_id": company["id"], "skillbase_id": third["id"]})
    assert (both["items"], both["total"], both["next_page_token"]) == ([], 0, None)


def test_paging_is_stable_while_rows_are_added(api):
    company = api.company()
    skillbase = api.skillbase(company)
    made = [api.campaign(company, skillbase, name=f"c{i}")["id"] for i in range(7)]
    first = api.ok("GET", "/api/campaigns", params={"company_id": company["id"], "limit": 3})
    api.campaign(company, skillbase, name="late")
    api.ok("DELETE", f"/api/campaigns/{made[6]}", 204)
    rest, token = [], first["next_page_token"]
    while token:
        page = api.ok("GET", "/api/campaigns", params={"company_id": company["id"], "limit": 3, "page_token": token})
        rest += page["items"]
        token = page["next_page_token"]
    assert [c["id"] for c in first["items"] + rest] == made[::-1]
    assert len(walk(api, "/api/campaigns", 2, company_id=company["id"])) == 7
    skipped = api.ok("GET", "/api/campaigns", params={"company_id": company["id"], "skip": 5, "limit": 50})
    assert len(skipped["items"]) == 2 and skipped["total"] == 7


@pytest.mark.parametrize("parameters, wrong", [
    ({"limit": 0}, "limit"), ({"limit": 1001}, "limit"), ({"skip": -1}, "skip"), ({"limit": "many"}, "limit"), ({"status": "asleep"}, "status"),
    ({"company_id": "x"}, "company_id"), ({"skillbase_id": "x"}, "skillbase_id"), ({"page_token": "!!"}, "page_token"), ({"colour": "red"}, "colour"),
])
def test_wrong_list_parameters(api, parameters, wrong):
    problem = api.problem("GET", "/api/campaigns", 400, params=parameters)
    assert wrong in problem["detail"] or wrong in fields(problem)


# --- states -----------------------------------------------------------------------------------------------------------

def bring_to(api, campaign, state):
    if state in ("running", "paused", "completed"):
        api.upload(campaign, TWO_CONTACTS)
        move(api, campaign, "start")
    if state == "paused":
        move(api, campaign, "pause")
    if state == "completed":
        finish_all(api, campaign)
        wait_until(lambda: api.ok("GET", path(campaign))["status"] == "completed", what="completion")
    if state == "cancelled":
        move(api, campaign, "cancel")


@pytest.mark.parametrize("state, verb, becomes", [
    ("draft", "start", None), ("draft", "pause", None), ("draft", "cancel", "cancelled"),
    ("running", "start", None), ("running", "pause", "paused"), ("running", "cancel", "cancelled"),
    ("paused", "start", "running"), ("paused", "pause", None), ("paused", "cancel", "cancelled"),
    ("completed", "start", None), ("completed", "pause", None), ("completed", "cancel", None),
    ("cancelled", "start", None), ("cancelled", "pause", None), ("cancelled", "cancel", None),
])
def test_every_move(api, company, skillbase, state, verb, becomes):
    campaign = api.campaign(company, skillbase)
    bring_to(api, campaign, state)
    if becomes:
        moved = move(api, campaign, verb)
        assert moved["status"] == becomes
        assert moved == api.ok("GET", path(campaign))
    else:
        before = api.ok("GET", path(campaign))
        problem = move(api, campaign, verb, 409)
        assert state in problem["detail"]
        assert api.ok("GET", path(campaign)) == before


def test_start_and_completion_have_times(api, company, skillbase):
    campaign = api.campaign(company, skillbase)
    problem = move(api, campaign, "start", 409)
    assert "no tasks" in problem["detail"] and "draft" in problem["detail"]
    api.upload(campaign, TWO_CONTACTS)
    running = move(api, campaign, "start")
    assert running["status"] == "running" and running["started_at"] and running["completed_at"] is None
    assert (running["total_tasks"], running["pending_tasks"]) == (2, 2)
    finish_all(api, campaign)
    done = wait_until(lambda: (c := api.ok("GET", path(campaign)))["status"] == "completed" and c, what="completion")
    assert done["completed_at"] >= done["started_at"] == running["started_at"]
    assert (done["total_tasks"], done["completed_tasks"], done["pending_tasks"], done["in_progress_tasks"], done["failed_tasks"]) == (2, 2, 0, 0, 0)
    problem = move(api, campaign, "start", 409)
    assert "completed" in problem["detail"]
    # New contacts make it startable again; it completes again.
    assert api.upload(campaign, "phone_number\n+12015550102\n+12015550100\n")["created"] == 1
    assert api.ok("GET", path(campaign))["status"] == "completed"
    again = move(api, campaign, "start")
    assert again["status"] == "running" and again["started_at"] == running["started_at"] and again["completed_at"] is None
    finish_all(api, campaign)
    done = wait_until(lambda: (c := api.ok("GET", path(campaign)))["status"] == "completed" and c, what="completion")
    assert done["completed_tasks"] == done["total_tasks"] == 3


def test_paused_hands_out_nothing(api):
    campaign = api.campaign(company := api.company(), api.skillbase(company))
    api.upload(campaign, "phone_number\n" + "".join(f"+1201555{i:04}\n" for i in range(100, 104)))
    move(api, campaign, "start")
    claim = {"worker_id": "w", "max": 1, "campaign_id": campaign["id"]}
    dialing, claimed = (api.ok("POST", "/api/dispatch/claim", json=claim)["tasks"][0] for _ in range(2))
    api.ok("POST", f"/api/dispatch/calls/{dialing['call_id']}/begin", json={"fence": dialing["fence"]})
    paused = move(api, campaign, "pause")
    assert (paused["in_progress_tasks"], paused["pending_tasks"]) == (2, 2)
    assert api.ok("POST", "/api/dispatch/claim", json=claim)["tasks"] == []
    problem = api.problem("POST", f"/api/dispatch/calls/{claimed['call_id']}/begin", 409, json={"fence": claimed["fence"]})
    assert "dial" in problem["detail"]
    # The call under way finishes, and its begin is still answered the same.
    api.ok("POST", f"/api/dispatch/calls/{dialing['call_id']}/begin", json={"fence": dialing["fence"]})
    api.ok("POST", f"/api/dispatch/calls/{dialing['call_id']}/finish", json={"fence": dialing["fence"], "disposition": "answered"})
    assert api.ok("GET", path(campaign))["completed_tasks"] == 1
    move(api, campaign, "start")
    assert len(api.ok("POST", "/api/dispatch/claim", json={**claim, "max": 10})["tasks"]) == 2


def test_cancel_ends_open_tasks(api):
    campaign = api.campaign(company := api.company(), api.skillbase(company))
    api.upload(campaign, "phone_number\n" + "".join(f"+1201555{i:04}\n" for i in range(100, 104)))
    move(api, campaign, "start")
    claim = {"worker_id": "w", "max": 1, "campaign_id": campaign["id"]}
    dialing, claimed = (api.ok("POST", "/api/dispatch/claim", json=claim)["tasks"][0] for _ in range(2))
    api.ok("POST", f"/api/dispatch/calls/{dialing['call_id']}/begin", json={"fence": dialing["fence"]})
    move(api, campaign, "cancel")
    tasks = {t["id"]: t["status"] for t in api.ok("GET", path(campaign, "tasks"))["items"]}
    assert tasks.pop(dialing["task_id"]) == "in_progress"
    assert set(tasks.values()) == {"cancelled"} and len(tasks) == 3
    api.problem("POST", f"/api/dispatch/calls/{claimed['call_id']}/begin", 409, json={"fence": claimed["fence"]})
    results = api.ok("POST", "/api/dispatch/heartbeat", json={"worker_id": "w", "calls": [
        {"call_id": c["call_id"], "fence": c["fence"]} for c in (dialing, claimed)]})["results"]
    assert [r["state"] for r in results] == ["end", "lost"]
    api.ok("POST", f"/api/dispatch/calls/{dialing['call_id']}/finish", json={"fence": dialing["fence"], "disposition": "busy"})
    # Nobody is called again for a cancelled campaign: a retry is cancelled, too.
    assert api.ok("GET", path(campaign, "tasks", dialing["task_id"]))["status"] == "cancelled"
    campaign = api.ok("GET", path(campaign))
    assert (campaign["status"], campaign["total_tasks"], campaign["pending_tasks"], campaign["in_progress_tasks"]) == ("cancelled", 4, 0, 0)
    assert "cancelled" in api.problem("POST", path(campaign, "call-list"), 409, files={"file": ("c.csv", TWO_CONTACTS, "text/csv")})["detail"]


# --- conditional requests ---------------------------------------------------------------------------------------------

def test_etag(api, company, skillbase):
    campaign = api.campaign(company, skillbase)
    answer = api.client.get(path(campaign))
    etag = answer.headers["etag"]
    assert api.client.get(path(campaign), headers={"If-None-Match": etag}).status_code == 304
    same = api.client.get(path(campaign), headers={"If-None-Match": '"other"'})
    assert same.status_code == 200 and same.headers["etag"] == etag
    changed = api.client.put(path(campaign), json={"name": "b"}, headers={"If-Match": etag})
    assert changed.status_code == 200, changed.text
    stale = api.problem("PUT", path(campaign), 412, json={"name": "c"}, headers={"If-Match": etag})
    assert stale["code"] == "FAILED_PRECONDITION"
    api.problem("DELETE", path(campaign), 412, headers={"If-Match": etag})
    assert api.ok("GET", path(campaign))["name"] == "b"
    assert api.client.get(path(campaign), headers={"If-None-Match": etag}).status_code == 200
    new = api.client.get(path(campaign)).headers["etag"]
    assert new != etag
    api.ok("PUT", path(campaign), json={"name": "d"}, headers={"If-Match": "*"})
    new = api.client.get(path(campaign)).headers["etag"]
    assert api.client.delete(path(campaign), headers={"If-Match": new}).status_code == 204
    api.problem("GET", path(campaign), 404)


def test_etag_changes_with_the_counters(api, company, skillbase):
    """A cached GET must not hide that tasks were added."""
    campaign = api.campaign(company, skillbase)
    etag = api.client.get(path(campaign)).headers["etag"]
    api.upload(campaign, TWO_CONTACTS)
    answer = api.client.get(path(campaign), headers={"If-None-Match": etag})
    assert answer.status_code == 200 and answer.json()["total_tasks"] == 2


# --- deletion ---------------------------------------------------------------------------------------------------------

def report(api, company, skillbase, campaign, finish=True):
    """A call, reported as its agent would."""
    call = str(uuid.uuid4())
    events = [{"seq": 1, "occurred_at": "2026-01-05T10:00:00Z", "started": {
        "company_id": company["id"], "skillbase_id": skillbase["id"], "campaign_id": campaign["id"], "phone_number": "+12015550100"}}]
    if finish:
        events.append({"seq": 2, "occurred_at": "2026-01-05T10:01:00Z", "finished": {"status": "completed", "outcome": "success"}})
    assert api.ok("POST", f"/api/analytics/calls/{call}/events", json={"events": events})["accepted"] == len(events)
    return call


def test_delete_keeps_finished_calls(api):
    company = api.company()
    skillbase = api.skillbase(company)
    campaign = api.campaign(company, skillbase)
    api.upload(campaign, TWO_CONTACTS)
    task = api.ok("GET", path(campaign, "tasks"))["items"][0]
    call, active = report(api, company, skillbase, campaign), report(api, company, skillbase, campaign, finish=False)
    answer = api.client.delete(path(campaign))
    assert answer.status_code == 204 and answer.content == b""
    for gone in (path(campaign), path(campaign, "tasks"), path(campaign, "tasks", task["id"])):
        api.problem("GET", gone, 404)
    api.problem("DELETE", path(campaign), 404)
    kept = api.ok("GET", f"/api/analytics/calls/{call}")
    assert (kept["campaign_id"], kept["skillbase_id"], kept["status"]) == (None, skillbase["id"], "completed")
    # A call under way goes on without its campaign, and without its skillbase.
    api.ok("DELETE", f"/api/skillbases/{skillbase['id']}", 204)
    api.ok("POST", f"/api/analytics/calls/{active}/events", json={"events": [
        {"seq": 2, "occurred_at": "2026-01-05T10:02:00Z", "finished": {"status": "failed"}}]})
    kept = api.ok("GET", f"/api/analytics/calls/{active}")
    assert (kept["campaign_id"], kept["skillbase_id"], kept["status"]) == (None, None, "failed")


def test_delete_of_a_skillbase_takes_its_campaigns(api):
    company = api.company()
    skillbase, other = api.skillbase(company), api.skillbase(company)
    campaign, stays = api.campaign(company, skillbase), api.campaign(company, other)
    api.upload(campaign, TWO_CONTACTS)
    move(api, campaign, "start")
    call = report(api, company, skillbase, campaign)
    held = api.ok("POST", "/api/dispatch/claim", json={"worker_id": "w", "campaign_id": campaign["id"]})["tasks"][0]
    api.ok("DELETE", f"/api/skillbases/{skillbase['id']}", 204)
    api.problem("GET", path(campaign), 404)
    api.ok("GET", path(stays))
    api.problem("POST", f"/api/dispatch/calls/{held['call_id']}/begin", 404, json={"fence": held["fence"]})
    kept = api.ok("GET", f"/api/analytics/calls/{call}")
    assert (kept["campaign_id"], kept["skillbase_id"], kept["outcome"]) == (None, None, "success")
    assert api.ok("GET", f"/api/analytics/calls/{call}/metrics")["call_id"] == call


def test_delete_of_a_company_takes_everything(api):
    company = api.company()
    skillbase = api.skillbase(company)
    campaign = api.campaign(company, skillbase)
    api.upload(campaign, TWO_CONTACTS)
    call = report(api, company, skillbase, campaign)
    api.ok("DELETE", f"/api/companies/{company['id']}", 204)
    for gone in (path(campaign), f"/api/skillbases/{skillbase['id']}", f"/api/analytics/calls/{call}", f"/api/analytics/calls/{call}/metrics"):
        api.problem("GET", gone, 404)
    assert api.ok("GET", "/api/analytics/calls", params={"company_id": company["id"]})["total"] == 0
