"""The do-not-call list, explain, attempts, settle and simulate over REST: paths, statuses and keys."""
import uuid

import pytest


@pytest.fixture
def owner(api):
    return api.company()


@pytest.fixture
def company(owner):
    return owner["id"]


def test_suppressions(api, company):
    path = f"/api/companies/{company}/suppressions"
    answer = api.request("POST", path, json={"phone_number": "+1 201-555-0100", "reason": "by letter"})
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["location"] == f"{path}/{made['id']}"
    assert {k: made[k] for k in ("phone_number", "prefix", "reason", "source", "call_id", "company_id")} == {
        "phone_number": "+12015550100", "prefix": None, "reason": "by letter", "source": "manual", "call_id": None, "company_id": company}
    assert api.problem("POST", path, 409, json={"phone_number": "+12015550100"})["code"] == "ALREADY_EXISTS"
    api.ok("POST", path, 201, json={"prefix": "+1202"})
    uploaded = api.ok("POST", f"{path}/upload", files={"file": ("list.csv", b"phone_number,reason\n+12035550100,law\n+1204*,law\nx,\n", "text/csv")})
    assert (uploaded["total"], uploaded["created"], uploaded["error_count"], uploaded["duplicates"]) == (3, 2, 1, 0)
    listed = api.get(path).json()
    assert listed["total"] == 4 and {s["source"] for s in listed["items"]} == {"manual", "upload"} and listed["next_page_token"] is None
    assert api.get(path, phone_number="+12045550199").json()["items"][0]["prefix"] == "+1204"
    assert api.get(path, source="opt_out").json()["items"] == []
    assert api.request("DELETE", f"{path}/{made['id']}").status_code == 204
    api.problem("GET", f"{path}/{made['id']}", 404)
    assert [e["field"] for e in api.problem("POST", path, 400, json={})["errors"]] == ["phone_number"]
    assert [e["field"] for e in api.problem("POST", path, 400, json={"prefix": "12", "nonsense": 1})["errors"]]
    api.problem("GET", f"/api/companies/{uuid.uuid4()}/suppressions", 404)


def test_questions_about_a_task(api, owner, company):
    skillbase = api.skillbase(owner)["id"]
    campaign = api.ok("POST", "/api/campaigns", 201, json={
        "company_id": company, "skillbase_id": skillbase, "name": "C", "on_unknown": "retry", "daily_start_time": "00:00", "daily_end_time": "00:00",
        "retry_policy": {"busy": {"delay_minutes": 5}}})
    assert campaign["on_unknown"] == "retry"
    assert campaign["retry_policy"] == {"busy": {"retry": None, "delay_minutes": 5, "max_attempts": None}}
    assert [campaign[k] for k in ("suppressed_tasks", "unknown_tasks", "cancelled_tasks")] == [0, 0, 0]
    problem = api.problem("POST", "/api/campaigns", 400, json={"company_id": company, "skillbase_id": skillbase, "name": "C", "retry_policy": {"lunch": {}}})
    assert [e["field"] for e in problem["errors"]] == ['retry_policy["lunch"]']
    path = f"/api/campaigns/{campaign['id']}"
    # What GET gave may be sent back whole.
    assert api.ok("PUT", path, json=campaign)["retry_policy"] == campaign["retry_policy"]
    api.ok("POST", f"{path}/call-list", files={"file": ("list.csv", b"phone_number\n+12015550100\n", "text/csv")})
    simulated = api.ok("POST", f"{path}/simulate", json={"share_answered": 1, "mean_call_seconds": 60})
    assert (simulated["contacts"], simulated["calls"], simulated["answered"], simulated["is_extrapolated"]) == (1, 1, 1, False)
    assert simulated["finishes_at"] > simulated["start_at"]
    (task,) = api.get(f"{path}/tasks").json()["items"]
    explained = api.get(f"{path}/tasks/{task['id']}/explain").json()
    assert (explained["callable"], explained["obstacle"], explained["earliest"]) == (False, "campaign_state", None)
    assert len(explained["decisions"]) == 9
    api.ok("POST", f"{path}/start")
    (claimed,) = api.ok("POST", "/api/dispatch/claim", json={"worker_id": "w", "campaign_id": campaign["id"]})["tasks"]
    call = f"/api/dispatch/calls/{claimed['call_id']}"
    fence = {"fence": claimed["fence"]}
    assert api.request("POST", f"{call}/progress", json={**fence, "stage": "ringing"}).json()["detail"].startswith("the call has not begun")
    api.ok("POST", f"{call}/begin", json=fence)
    progress = api.ok("POST", f"{call}/progress", json={**fence, "stage": "ringing"})
    assert progress["ringing_at"] and progress["answered_at"] is None
    api.ok("POST", f"{call}/finish", json={**fence, "disposition": "opt_out"})
    (attempt,) = api.get(f"{path}/tasks/{task['id']}/attempts").json()["items"]
    assert (attempt["ended"], attempt["disposition"], attempt["fault"], attempt["settled_by"], attempt["number"]) == ("finished", "opt_out", "callee", None, 1)
    assert api.get(f"/api/companies/{company}/suppressions").json()["items"][0]["source"] == "opt_out"
    api.problem("POST", f"{path}/tasks/{task['id']}/settle", 409, json={"disposition": "answered"})
    api.problem("POST", f"{path}/tasks/{task['id']}/settle", 400, json={"disposition": "nonsense"})
