"""Uploads as things of their own: their records, repeated keys, what becomes of duplicates, 202 and progress, rejected rows as a file, undo, and exports."""

import csv
import io
import json
import socket
import subprocess
import threading
import uuid

import pytest

from agents import psql
from clients import NOBODY, UUID, Raw, walk
from conftest import Api, Platform, check_problem, fields, wait_until

HEADER = "phone_number,name,city\n"
FORMULAS = ["=1+1", "@SUM(A1)", "+A1", "-A1", "\tx", "＝1+1"]


@pytest.fixture(scope="module")
def company(api):
    return api.company()


@pytest.fixture(scope="module")
def skillbase(api, company):
    return api.skillbase(company)


@pytest.fixture
def campaign(api, company, skillbase):
    return api.campaign(company, skillbase)


def path(campaign, *more):
    return "/".join([f"/api/campaigns/{campaign['id']}", *more])


def send(api, campaign, text, headers=None, **query):
    data = text.encode() if isinstance(text, str) else text
    return api.client.post(path(campaign, "call-list"), content=data, params=query or None, headers={"content-type": "text/csv", **(headers or {})})


def sent(api, campaign, text, **arguments):
    answer = send(api, campaign, text, **arguments)
    assert answer.status_code == 200, answer.text
    return answer.json()


def tasks(api, campaign):
    return {task["phone_number"]: task for task in walk(api, path(campaign, "tasks"), 1000)}


def upload(api, campaign, upload_id):
    return api.ok("GET", path(campaign, "uploads", upload_id))


def total(api, campaign):
    counters = api.ok("GET", path(campaign))
    assert counters["total_tasks"] == api.ok("GET", path(campaign, "tasks"))["total"]
    return counters["total_tasks"]


def rows_of(answer):
    """The lines of a CSV as lists of cells."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(answer.text)))


def ended(api, location):
    def look():
        found = api.ok("GET", location)
        return found if found["state"] not in ("queued", "receiving", "processing") else None
    return wait_until(look, 120, "the upload's end")


# --- records ----------------------------------------------------------------------------------------------------------

def test_the_record_of_an_upload(api, campaign):
    answer = api.ok("POST", path(campaign, "call-list"), files={"file": ("März.csv", (HEADER + "+12015550100,Ann,Paris\n,x,\n+12015550100,x,\n").encode(), "text/csv")})
    found = upload(api, campaign, answer["upload_id"])
    assert {k: found[k] for k in ("id", "campaign_id", "state", "file_name", "format", "charset", "sheet", "on_duplicate", "total", "created", "updated",
                                  "duplicates", "error_count", "errors_kept", "failure")} == {
        "id": answer["upload_id"], "campaign_id": campaign["id"], "state": "completed", "file_name": "März.csv", "format": "csv", "charset": "utf-8",
        "sheet": None, "on_duplicate": "skip", "total": 3, "created": 1, "updated": 0, "duplicates": 1, "error_count": 1, "errors_kept": 1, "failure": None}
    assert found["bytes"] > 40 and found["rows_per_second"] > 0 and found["bytes_per_second"] > 0
    assert found["created_at"] <= found["updated_at"] <= found["finished_at"]
    for wrong in (NOBODY, answer["upload_id"][:-1] + ("0" if answer["upload_id"][-1] != "0" else "1")):
        problem = api.problem("GET", path(campaign, "uploads", wrong), 404)
        assert wrong in problem["detail"]
    assert fields(api.problem("GET", path(campaign, "uploads", "x"), 400)).keys() == {"id"}
    api.problem("GET", f"/api/campaigns/{NOBODY}/uploads/{answer['upload_id']}", 404)


def test_uploads_are_listed_newest_first(api, campaign):
    made = [sent(api, campaign, f"{HEADER}+120155501{i:02},x,\n")["upload_id"] for i in range(7)]
    failed = check_problem(send(api, campaign, "name\nx\n"))
    assert failed["status"] == 400
    items = walk(api, path(campaign, "uploads"), 3)
    assert [item["id"] for item in items[1:]] == made[::-1]
    assert items[0]["state"] == "failed" and items[0]["failure"] == failed["detail"] and items[0]["finished_at"]
    assert [item["id"] for item in walk(api, path(campaign, "uploads"), 3, state="completed")] == made[::-1]
    listed = api.ok("GET", path(campaign, "uploads"), params={"skip": 2, "limit": 2})
    assert [item["id"] for item in listed["items"]] == made[::-1][1:3] and listed["total"] == 8
    api.problem("GET", path(campaign, "uploads"), 400, params={"page_token": "x"})
    api.problem("GET", f"/api/campaigns/{NOBODY}/uploads", 404)
    token = api.ok("GET", path(campaign, "tasks"), params={"limit": 1})["next_page_token"]
    api.problem("GET", path(campaign, "uploads"), 400, params={"page_token": token})


def test_an_upload_goes_with_its_campaign(api, platform, campaign):
    made = sent(api, campaign, HEADER + "+12015550100,x,\n,y,\n")["upload_id"]
    api.ok("DELETE", path(campaign), 204)
    api.problem("GET", path(campaign, "uploads", made), 404)
    for table, column in (("call_list_uploads", "id"), ("call_list_upload_errors", "upload_id")):
        assert psql(platform, f"select count(*) from {table} where {column} = '{made}'") == "0"
    # Tasks and contacts may be millions: they are removed in steps.
    wait_until(lambda: psql(platform, f"select count(*) from call_task_contacts where upload_id = '{made}'") == "0", 90, "the contacts to go")
    assert psql(platform, f"select count(*) from call_tasks where campaign_id = '{campaign['id']}'") == "0"


# --- parameters -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("query", [{"column.phone_number": "Mobile", "column.contact_name": "Who"}, {"column[phone_number]": "Mobile", "column[contact_name]": "Who"}])
def test_columns_are_mapped(api, campaign, query):
    answer = sent(api, campaign, "Mobile,Who,phone_number\n+12015550100,Ann,no number\n", **query)
    assert answer["created"] == 1
    task = tasks(api, campaign)["+12015550100"]
    assert task["contact_name"] == "Ann" and "no number" in task["contact_data"].values()


def test_columns_are_mapped_by_a_form(api, campaign):
    api.ok("POST", path(campaign, "call-list"), data={"column.phone_number": "Mobile", "on_duplicate": "update"},
           files={"file": ("c.csv", b"Mobile\n+12015550100\n", "text/csv")})
    assert set(tasks(api, campaign)) == {"+12015550100"}


@pytest.mark.parametrize("query, field", [
    ({"on_duplicate": "maybe"}, "on_duplicate"), ({"charset": "klingon"}, "charset"), ({"column.shoe_size": "x"}, "column"),
    ({"idempotency_key": "x"}, "idempotency_key"), ({"respond_async": "true"}, "respond_async"), ({"content_encoding": "gzip"}, "content_encoding"),
    ({"chunk": "x"}, "chunk"), ({"colour": "red"}, "colour")])
def test_wrong_parameters(api, campaign, query, field):
    problem = check_problem(send(api, campaign, "phone_number\n+12015550100\n", **query))
    assert problem["status"] == 400 and any(name.startswith(field) for name in fields(problem)), problem
    assert total(api, campaign) == 0 and api.ok("GET", path(campaign, "uploads"))["total"] == 0


def test_a_parameter_given_twice(api, campaign):
    answer = api.client.post(path(campaign, "call-list") + "?column.phone_number=a&column.phone_number=b", content=b"a\n+12015550100\n",
                             headers={"content-type": "text/csv"})
    assert answer.status_code == 400 and "column.phone_number" in fields(check_problem(answer))


def test_the_region_of_a_campaign(api, company, skillbase):
    campaign = api.campaign(company, skillbase, default_region="DE")
    assert campaign["default_region"] == "DE"
    assert sent(api, campaign, "phone_number\n030 901820\n")["created"] == 1
    task = tasks(api, campaign)["+4930901820"]
    assert task["phone_text"] == "030 901820"
    assert api.ok("PUT", path(campaign), json={"default_region": None})["default_region"] is None
    assert sent(api, campaign, "phone_number\n030 901821\n")["error_count"] == 1
    for wrong in ("de", "ZZ", "D", "DEU"):
        for method, where, body in (("PUT", path(campaign), {"default_region": wrong}),
                                    ("POST", "/api/campaigns", {"company_id": company["id"], "skillbase_id": skillbase["id"], "name": "x", "default_region": wrong})):
            assert fields(api.problem(method, where, 400, json=body)).keys() == {"default_region"}


# --- duplicates -------------------------------------------------------------------------------------------------------

def test_duplicates_are_skipped(api, campaign):
    sent(api, campaign, HEADER + "+12015550100,Ann,Paris\n")
    answer = sent(api, campaign, HEADER + "+12015550100,Bob,Rome\n+12015550101,Cy,Oslo\n+12015550101,Di,Bonn\n")
    assert (answer["created"], answer["duplicates"], answer["updated"]) == (1, 2, 0)
    found = tasks(api, campaign)
    assert found["+12015550100"]["contact_name"] == "Ann" and found["+12015550101"]["contact_name"] == "Cy"


def test_duplicates_update_what_nobody_has_claimed(api, campaign):
    sent(api, campaign, "phone_number,name,city,note,priority\n+12015550100,Ann,Paris,old,900\n+12015550101,Bob,Rome,old,1\n+12015550102,Cy,Oslo,old,1\n")
    before = tasks(api, campaign)
    api.ok("POST", path(campaign, "start"))
    (claimed,) = wait_until(lambda: api.ok("POST", "/api/dispatch/claim", json={"worker_id": "w", "max": 1, "campaign_id": campaign["id"], "wait_ms": 5000})["tasks"],
                            what="a claim")
    assert claimed["task_id"] == before["+12015550100"]["id"]
    answer = sent(api, campaign, "phone_number,name,city,street,priority\n+12015550100,X,X,X,5\n+12015550101,,Milan,Via Roma,5\n+12015550101,Z,Z,Z,5\n+12015550103,New,,,\n",
                  on_duplicate="update")
    assert (answer["total"], answer["created"], answer["duplicates"], answer["updated"]) == (4, 1, 3, 1)
    after = tasks(api, campaign)
    # claimed: untouched
    assert after["+12015550100"]["contact_name"] == "Ann" and after["+12015550100"]["contact_data"] == {"city": "Paris", "note": "old"}
    # not claimed: the file's columns, no more; an empty name does not take one away
    assert after["+12015550101"]["contact_name"] == "Bob"
    assert after["+12015550101"]["contact_data"] == {"city": "Milan", "note": "old", "street": "Via Roma"}
    assert (after["+12015550101"]["priority"], after["+12015550101"]["id"]) == (1, before["+12015550101"]["id"])
    assert after["+12015550101"]["updated_at"] > before["+12015550101"]["updated_at"]
    assert after["+12015550102"] == before["+12015550102"]
    assert after["+12015550103"]["contact_name"] == "New" and total(api, campaign) == 4


def test_duplicates_refuse_the_upload(api, campaign):
    sent(api, campaign, HEADER + "+12015550100,Ann,Paris\n")
    answer = send(api, campaign, HEADER + "+12015550101,x,\n+12015550100,y,\nbad,,\n+12015550101,z,\n", on_duplicate="error")
    problem = check_problem(answer)
    assert (answer.status_code, problem["code"], problem["reason"]) == (409, "ALREADY_EXISTS", "DUPLICATE_ROWS")
    assert {name: ("campaign" in message, "row 2" in message) for name, message in fields(problem).items()} == {"row 3": (True, False), "row 5": (False, True)}
    assert total(api, campaign) == 1
    newest = api.ok("GET", path(campaign, "uploads"))["items"][0]
    assert (newest["state"], newest["total"], newest["created"], newest["error_count"]) == ("failed", 4, 0, 3)
    rows = rows_of(api.client.get(path(campaign, "uploads", newest["id"], "errors.csv")))
    assert [row[0] for row in rows[1:]] == ["3", "4", "5"]
    assert sent(api, campaign, HEADER + "+12015550107,x,\n", on_duplicate="error")["created"] == 1


def test_many_duplicates_are_listed_as_far_as_they_fit(api, campaign):
    lines = "".join(f"+12015550{i:03},x,\n" for i in range(100, 200))
    sent(api, campaign, HEADER + lines)
    problem = check_problem(send(api, campaign, HEADER + lines * 2, on_duplicate="error"))
    assert problem["detail"].startswith("200 rows") and 20 < len(problem["errors"]) <= 101
    assert total(api, campaign) == 100


# --- Idempotency-Key --------------------------------------------------------------------------------------------------

def test_the_same_upload_again_answers_the_same(api, campaign):
    text = HEADER + "+12015550100,Ann,Paris\nx,x,\n,y,\n"
    key = {"idempotency-key": "monday's list"}
    first = sent(api, campaign, text, headers=key)
    assert first["created"] == 1 and len(first["errors"]) == 2
    assert sent(api, campaign, text, headers=key) == first
    assert total(api, campaign) == 1 and api.ok("GET", path(campaign, "uploads"))["total"] == 1
    for other, query in ((text + "+12015550101,x,\n", {}), (text, {"on_duplicate": "update"}), (text, {"column.contact_name": "city"})):
        answer = send(api, campaign, other, headers=key, **query)
        assert answer.status_code == 409 and check_problem(answer)["reason"] == "IDEMPOTENCY_KEY_REUSED"
    assert total(api, campaign) == 1
    # another key, and no key, are other uploads; another campaign has keys of its own
    assert sent(api, campaign, text, headers={"idempotency-key": "tuesday"})["duplicates"] == 1


def test_a_key_belongs_to_its_campaign(api, company, skillbase, campaign):
    other = api.campaign(company, skillbase)
    key = {"idempotency-key": "k"}
    assert sent(api, campaign, "phone_number\n+12015550100\n", headers=key)["created"] == 1
    assert sent(api, other, "phone_number\n+12015550101\n", headers=key)["created"] == 1


def test_a_failed_upload_frees_its_key(api, campaign):
    key = {"idempotency-key": "k"}
    assert send(api, campaign, "name\nx\n", headers=key).status_code == 400
    assert sent(api, campaign, "phone_number\n+12015550100\n", headers=key)["created"] == 1


def test_an_old_key_is_forgotten(api, platform, campaign):
    key = {"idempotency-key": "k"}
    first = sent(api, campaign, "phone_number\n+12015550100\n", headers=key)
    psql(platform, f"update call_list_uploads set finished_at = finished_at - interval '25 hours' where id = '{first['upload_id']}'")
    again = sent(api, campaign, "phone_number\n+12015550101\n", headers=key)
    assert again["created"] == 1 and again["upload_id"] != first["upload_id"]


def test_a_key_whose_upload_is_still_coming(api, platform, campaign):
    with Raw(platform.http) as raw:
        raw.send(f"POST {path(campaign, 'call-list')} HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 30\r\nIdempotency-Key: k\r\n\r\nphone_number\n+1")
        wait_until(lambda: api.ok("GET", path(campaign, "uploads"))["total"], what="the first upload's record")
        answer = send(api, campaign, "phone_number\n+12015550100\n", headers={"idempotency-key": "k"})
        assert answer.status_code == 409 and check_problem(answer)["reason"] == "UPLOAD_IN_PROGRESS"
        assert api.ok("GET", path(campaign, "uploads"))["items"][0]["state"] == "receiving"
        raw.send("2015550100,,\n\n\n\n")
        first = raw.answer()
    assert first.status_code == 200, first.text


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_wrong_key(api, campaign, key):
    answer = send(api, campaign, "phone_number\n+12015550100\n", headers={"idempotency-key": key})
    if key:
        assert answer.status_code == 400 and check_problem(answer)
        assert total(api, campaign) == 0
    else:
        assert answer.status_code == 200  # a header without a value is none


def test_a_repeated_key_at_once(api, campaign):
    """Eight at the same time: one is the upload, the others say so, and the answers that are one agree."""
    answers = []

    def run():
        answers.append(send(api, campaign, HEADER + "".join(f"+12015550{i:03},x,\n" for i in range(100, 200)), headers={"idempotency-key": "k"}))
    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 8 and {answer.status_code for answer in answers} <= {200, 409}
    good = [answer.json() for answer in answers if answer.status_code == 200]
    assert good and all(answer == good[0] for answer in good)
    assert all(check_problem(answer)["reason"] == "UPLOAD_IN_PROGRESS" for answer in answers if answer.status_code == 409)
    assert total(api, campaign) == 100 and api.ok("GET", path(campaign, "uploads"))["total"] == 1


# --- Prefer: respond-async --------------------------------------------------------------------------------------------

ASYNC = {"prefer": "respond-async"}


def test_respond_async(api, campaign):
    answer = send(api, campaign, HEADER + "+12015550100,Ann,Paris\n,x,\n", headers={"prefer": "wait=10, Respond-Async"})
    assert answer.status_code == 202, answer.text
    accepted = answer.json()
    assert answer.headers["preference-applied"] == "respond-async"
    assert answer.headers["location"] == path(campaign, "uploads", accepted["upload_id"]) and accepted["state"] == "queued"
    found = ended(api, answer.headers["location"])
    assert (found["state"], found["total"], found["created"], found["error_count"], found["failure"]) == ("completed", 2, 1, 1, None)
    assert total(api, campaign) == 1
    assert [row[0] for row in rows_of(api.client.get(answer.headers["location"] + "/errors.csv"))[1:]] == ["3"]


def test_respond_async_by_a_form_with_a_key(api, campaign):
    files = {"file": ("c.csv", (HEADER + "+12015550100,Ann,Paris\n").encode(), "text/csv")}
    headers = {**ASYNC, "idempotency-key": "k"}
    first = api.client.post(path(campaign, "call-list"), files=files, headers=headers)
    assert first.status_code == 202
    found = ended(api, first.headers["location"])
    assert found["state"] == "completed" and found["file_name"] == "c.csv"
    again = api.client.post(path(campaign, "call-list"), files=files, headers=headers)
    assert again.status_code == 202 and again.headers["location"] == first.headers["location"]
    assert again.json()["created"] == 1 and total(api, campaign) == 1


@pytest.mark.parametrize("text, words", [("", "empty"), ("name\nx\n", "phone_number"), ('phone_number\n"x\n', "quot")])
def test_respond_async_with_a_bad_file(api, platform, campaign, text, words):
    answer = send(api, campaign, text, headers=ASYNC)
    assert answer.status_code == 202
    found = ended(api, answer.headers["location"])
    assert found["state"] == "failed" and words in found["failure"]
    assert total(api, campaign) == 0
    assert psql(platform, f"select count(*) from call_list_upload_chunks where upload_id = '{found['id']}'") == "0"


def test_respond_async_refuses_at_once_what_it_can(api, campaign):
    assert send(api, {"id": NOBODY}, "phone_number\n+12015550100\n", headers=ASYNC).status_code == 404
    assert fields(check_problem(send(api, campaign, "x", headers=ASYNC, charset="klingon"))).keys() == {"charset"}
    api.ok("POST", path(campaign, "cancel"))
    answer = send(api, campaign, "phone_number\n+12015550100\n", headers=ASYNC)
    assert answer.status_code == 409 and check_problem(answer)["reason"] == "CAMPAIGN_ENDED"


def test_progress_as_a_stream(api, campaign):
    accepted = send(api, campaign, HEADER + "".join(f"+12015550{i:03},x,\n" for i in range(100, 200)), headers=ASYNC)
    with api.client.stream("GET", accepted.headers["location"] + "/progress", headers={"accept": "application/x-ndjson"}, timeout=120) as stream:
        assert stream.status_code == 200
        seen = [json.loads(line) for line in stream.iter_lines() if line.strip()]
    assert seen[-1]["state"] == "completed" and seen[-1]["created"] == 100
    assert {item["id"] for item in seen} == {accepted.json()["upload_id"]}
    states = ["queued", "processing", "completed"]
    order = [states.index(item["state"]) for item in seen]
    assert order == sorted(order)
    # of one that has ended: its last word, then the end
    with api.client.stream("GET", accepted.headers["location"] + "/progress", headers={"accept": "text/event-stream"}, timeout=60) as stream:
        text = "".join(stream.iter_text())
    assert text.count("data: ") == 1 and '"state":"completed"' in text
    api.problem("GET", path(campaign, "uploads", NOBODY, "progress"), 404)


def test_a_service_that_dies_while_a_file_waits(company):
    """A file that was answered with 202 is worked through by the next service; one that was still coming in has failed."""
    platform = Platform({"DIALPLANE_UPLOAD_LEASE": "3s"})
    try:
        platform.start()
        api = Api(platform.url)
        owner = api.company()
        campaign = api.campaign(owner, api.skillbase(owner))
        with Raw(platform.http) as raw:
            raw.send(f"POST {path(campaign, 'call-list')} HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 100000\r\n\r\nphone_number\n+12015550107\n")
            wait_until(lambda: api.ok("GET", path(campaign, "uploads"))["total"] == 1, what="the upload that comes in")
            # Held between staging and tasks by the lock that uploads into one campaign take turns with.
            holder = subprocess.Popen(["psql", "-X", "-q", "-d", f"host={platform.data}/run user=dialplane dbname=dialplane"],
                                      stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                holder.stdin.write(f"select pg_advisory_lock(hashtextextended('{campaign['id']}', 1));\n".encode())
                holder.stdin.flush()
                wait_until(lambda: psql(platform, "select count(*) from pg_locks where locktype = 'advisory' and granted") != "0", what="the lock")
                accepted = send(api, campaign, HEADER + "+12015550100,Ann,Paris\n,x,\n", headers=ASYNC)
                assert accepted.status_code == 202
                wait_until(lambda: api.ok("GET", accepted.headers["location"])["state"] == "processing", what="the work on it")
                platform.restart("dialplane-campaign")
            finally:
                holder.stdin.close()  # its session ends, and the lock with it
                holder.wait(30)

        def settled():
            answer = api.client.get(accepted.headers["location"])
            return answer.status_code == 200 and answer.json()["state"] == "completed"
        wait_until(settled, 120, "the next service's end of it")
        found = {item["state"]: item for item in api.ok("GET", path(campaign, "uploads"))["items"]}
        assert set(found) == {"completed", "failed"} and "service stopped" in found["failed"]["failure"]
        assert total(api, campaign) == 1
        assert psql(platform, "select count(*) from call_list_upload_chunks") == "0"
    finally:
        platform.stop()


# --- errors.csv -------------------------------------------------------------------------------------------------------

def test_rejected_rows_as_a_file(api, campaign):
    text = HEADER + "+12015550100,Ann,Paris\n12,\"=cmd|' /C calc'!A0\",\"a \"\"b\"\", c\"\n" + "".join(f'{formula},x,y\n' for formula in FORMULAS) + ",Zoë,\n"
    made = sent(api, campaign, text)
    answer = api.client.get(path(campaign, "uploads", made["upload_id"], "errors.csv"))
    assert 'filename="errors.csv"' in answer.headers["content-disposition"]
    rows = rows_of(answer)
    assert rows[0] == ["row", "column", "reason", "content"]
    assert [int(row[0]) for row in rows[1:]] == [3, 4, 5, 6, 7, 8, 9, 10] and made["error_count"] == 8
    assert all(row[1] == "phone_number" for row in rows[1:])
    assert [f"Row {row[0]}: {row[2].lstrip(chr(39))}" for row in rows[1:]] == made["errors"]
    assert next(csv.reader([rows[1][3]])) == ["12", "=cmd|' /C calc'!A0", 'a "b", c']
    for row in rows[1:]:
        for cell in row:
            assert not cell or cell[0] not in "=+-@\t\r＝"
    assert rows[-1][3].startswith(",Zoë")
    bom = api.client.get(path(campaign, "uploads", made["upload_id"], "errors.csv"), params={"bom": "true"})
    assert bom.content == b"\xef\xbb\xbf" + answer.content
    api.problem("GET", path(campaign, "uploads", NOBODY, "errors.csv"), 404)


def test_more_rejected_rows_than_are_kept(api, campaign):
    made = sent(api, campaign, HEADER + "bad,x,\n" * 10500 + "+12015550100,Ann,Paris\n")
    assert (made["error_count"], len(made["errors"])) == (10500, 1000)
    found = upload(api, campaign, made["upload_id"])
    assert (found["error_count"], found["errors_kept"]) == (10500, 10000)
    rows = rows_of(api.client.get(path(campaign, "uploads", made["upload_id"], "errors.csv")))
    assert [row[0] for row in rows[1:-1]] == [str(i) for i in range(2, 10002)]
    assert "500 more" in rows[-1][2]


# --- undo -------------------------------------------------------------------------------------------------------------

def test_undo(api, platform, campaign):
    kept = sent(api, campaign, HEADER + "+12015550100,Ann,Paris\n")
    key = {"idempotency-key": "k"}
    made = sent(api, campaign, HEADER + "+12015550100,Bob,Rome\n+12015550101,Bob,Rome\n+12015550102,Cy,Oslo\n,x,\n", headers=key)
    where = path(campaign, "uploads", made["upload_id"])
    api.ok("DELETE", where, 204)
    assert set(tasks(api, campaign)) == {"+12015550100"} and total(api, campaign) == 1
    counters = api.ok("GET", path(campaign))
    assert (counters["total_tasks"], counters["pending_tasks"]) == (1, 1)
    assert psql(platform, f"select count(*) from call_task_contacts where upload_id = '{made['upload_id']}'") == "0"
    assert api.ok("GET", where)["state"] == "undone"
    api.ok("DELETE", where, 204)  # again: the same
    # the same file may come again, under the same key
    assert sent(api, campaign, HEADER + "+12015550101,Bob,Rome\n", headers=key)["created"] == 1
    assert upload(api, campaign, kept["upload_id"])["state"] == "completed" and total(api, campaign) == 2


def test_undo_in_stretches(api, campaign):
    numbers = [f"+1201{area}{i:04}" for area in range(200, 206) for i in range(10000)]
    made = sent(api, campaign, "phone_number\n" + "\n".join(numbers) + "\n")
    assert made["created"] + made["error_count"] == 60000 and made["created"] > 30000
    api.ok("DELETE", path(campaign, "uploads", made["upload_id"]), 204)
    assert total(api, campaign) == 0


def test_undo_is_refused_once_a_task_has_been_claimed(api, campaign):
    made = sent(api, campaign, HEADER + "+12015550100,Ann,Paris\n+12015550101,Bob,Rome\n+12015550102,Cy,Oslo\n")
    api.ok("POST", path(campaign, "start"))
    claimed = []

    def claim():
        claimed.extend(api.ok("POST", "/api/dispatch/claim", json={"worker_id": "w", "max": 2 - len(claimed), "campaign_id": campaign["id"], "wait_ms": 5000})["tasks"])
        return len(claimed) == 2
    wait_until(claim, what="two claims")
    problem = api.problem("DELETE", path(campaign, "uploads", made["upload_id"]), 409)
    assert problem["reason"] == "TASKS_CLAIMED" and problem["detail"].startswith("2 of its tasks")
    assert total(api, campaign) == 3 and upload(api, campaign, made["upload_id"])["state"] == "completed"


def test_undo_of_what_cannot_be_undone(api, platform, campaign):
    api.problem("DELETE", path(campaign, "uploads", NOBODY), 404)
    send(api, campaign, "name\nx\n")
    failed = api.ok("GET", path(campaign, "uploads"))["items"][0]
    assert api.problem("DELETE", path(campaign, "uploads", failed["id"]), 409)["reason"] == "UPLOAD_FAILED"
    with Raw(platform.http) as raw:
        raw.send(f"POST {path(campaign, 'call-list')} HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 30\r\n\r\nphone_number\n+1")
        coming = wait_until(lambda: api.ok("GET", path(campaign, "uploads"), params={"state": "receiving"})["items"], what="the upload that comes in")
        assert api.problem("DELETE", path(campaign, "uploads", coming[0]["id"]), 409)["reason"] == "UPLOAD_IN_PROGRESS"


# --- exports ----------------------------------------------------------------------------------------------------------

def test_tasks_as_a_file(api, campaign):
    text = "phone_number,name,priority,Город,note,status\n" + "".join(
        f'+120155501{i:02},"{formula}",{i},Пермь,"two\nlines; {i}",mine\n' for i, formula in enumerate(FORMULAS)) + "+12015550190,-5.20,900,,\"quote \"\"\",\n"
    assert sent(api, campaign, text)["created"] == len(FORMULAS) + 1
    sent(api, campaign, "phone_number,name,extra\n+12015550191,Ann,late\n")
    answer = api.client.get(path(campaign, "tasks.csv"))
    assert 'filename="tasks.csv"' in answer.headers["content-disposition"]
    rows = rows_of(answer)
    names = rows[0]
    assert names[:2] == ["id", "phone_number"] and names[-4:] == ["Город", "note", "contact_data.status", "extra"]
    found = [dict(zip(names, row)) for row in rows[1:]]
    listed = walk(api, path(campaign, "tasks"), 1000)
    assert [row["id"] for row in found] == [task["id"] for task in listed]
    for row, task in zip(found, listed):
        assert row["phone_number"] == task["phone_number"]  # a number is no formula
        assert row["status"] == "pending" and row["created_at"] == task["created_at"] and row["outcome"] == ""
        assert row["contact_name"].lstrip("'") == task["contact_name"]
        assert row["note"] == task["contact_data"].get("note", "") and row["contact_data.status"] == task["contact_data"].get("status", "")
        assert row["contact_name"] == "-5.20" or row["contact_name"][0] not in "=+-@\t\r＝"
    assert {row["contact_name"] for row in found} >= {"-5.20", "'=1+1", "Ann"}
    only = rows_of(api.client.get(path(campaign, "tasks.csv"), params={"phone_number": "+12015550191", "status": "pending"}))
    assert len(only) == 2 and only[1][names.index("extra")] == "late"
    assert rows_of(api.client.get(path(campaign, "tasks.csv"), params={"status": "completed"})) == [names]


def test_an_export_can_be_uploaded_again(api, company, skillbase, campaign):
    sent(api, campaign, "phone_number,name,city\n+12015550100,Ann,Paris\n+12015550101,=1+1,Rome\n")
    exported = api.client.get(path(campaign, "tasks.csv"), params={"bom": "true"})
    assert exported.content.startswith(b"\xef\xbb\xbf")
    other = api.campaign(company, skillbase)
    assert sent(api, other, exported.content)["created"] == 2
    assert tasks(api, other)["+12015550100"]["contact_data"]["city"] == "Paris"


def test_exports_of_nothing_and_wrong_ones(api, campaign):
    assert len(rows_of(api.client.get(path(campaign, "tasks.csv")))) == 1
    api.problem("GET", f"/api/campaigns/{NOBODY}/tasks.csv", 404)
    assert fields(api.problem("GET", path(campaign, "tasks.csv"), 400, params={"status": "maybe", "colour": "red"})).keys() == {"status", "colour"}
    api.problem("GET", path(campaign, "tasks.csv"), 406, headers={"accept": "application/json"})
    assert api.client.post(path(campaign, "tasks.csv")).status_code == 405
    head = api.client.head(path(campaign, "tasks.csv"))
    assert head.status_code == 200 and head.headers["content-type"].startswith("text/csv") and head.content == b""
    assert api.client.head(f"/api/campaigns/{NOBODY}/tasks.csv").status_code == 404


def test_a_large_export_over_both_versions(api, platform, campaign):
    numbers = [f"+1201{area}{i:04}" for area in range(210, 213) for i in range(10000)]
    made = sent(api, campaign, "phone_number,note\n" + "".join(f"{number},{'x' * 200}\n" for number in numbers))
    rows = rows_of(api.client.get(path(campaign, "tasks.csv")))
    assert len(rows) == made["created"] + 1 and len({row[0] for row in rows[1:]}) == made["created"]
    done = subprocess.run(["curl", "-sS", "--http2-prior-knowledge", "--max-time", "60", f"{platform.url}{path(campaign, 'tasks.csv')}"], capture_output=True, timeout=90)
    assert list(csv.reader(io.StringIO(done.stdout.decode()))) == rows


def test_a_slow_reader_of_an_export_holds_up_nobody(api, platform, campaign):
    """It stops reading in the middle; others go on, and it gets the rest when it reads again."""
    numbers = [f"+1201{area}{i:04}" for area in range(220, 222) for i in range(10000)]
    made = sent(api, campaign, "phone_number,note\n" + "".join(f"{number},{'x' * 900}\n" for number in numbers))
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        slow.settimeout(60)
        slow.connect(("127.0.0.1", platform.port))
        slow.sendall(f"GET {path(campaign, 'tasks.csv')} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head = slow.recv(4096)
        assert b"200 OK" in head
        for _ in range(3):
            assert len(rows_of(api.client.get(path(campaign, "tasks.csv")))) == made["created"] + 1
        received = len(head)
        last = b""
        while piece := slow.recv(65536):
            received += len(piece)
            last = (last + piece)[-5:]
    assert last == b"0\r\n\r\n" and received > made["created"] * 900


def test_calls_as_a_file(api, company, skillbase, campaign):
    made = []
    for i in range(5):
        call = str(uuid.uuid4())
        api.ok("POST", f"/api/analytics/calls/{call}/events", json={"events": [
            {"seq": 1, "occurred_at": f"2026-03-0{i + 1}T10:00:00Z", "started": {"company_id": company["id"], "skillbase_id": skillbase["id"], "campaign_id": campaign["id"],
                                                                              "phone_number": "+12015550100"}},
            {"seq": 2, "occurred_at": f"2026-03-0{i + 1}T10:00:01Z", "turn": {"turn_index": 0, "role": "assistant", "content": "x", "eou_latency": 500, "llm_input_tokens": 900}},
            {"seq": 3, "occurred_at": f"2026-03-0{i + 1}T10:00:02.5Z", "finished": {"status": "completed", "outcome": "success" if i else "busy"}}]})
        made.append(call)
    rows = rows_of(api.client.get("/api/analytics/calls.csv", params={"campaign_id": campaign["id"]}))
    found = [dict(zip(rows[0], row)) for row in rows[1:]]
    listed = api.ok("GET", "/api/analytics/calls", params={"campaign_id": campaign["id"]})["items"]
    assert [row["id"] for row in found] == made[::-1] == [item["id"] for item in listed]
    for row, item in zip(found, listed):
        assert (row["status"], row["outcome"], row["phone_number"], row["started_at"][:19], row["company_id"]) == (
            item["status"], item["outcome"], item["phone_number"], item["started_at"][:19], company["id"])
        assert float(row["duration_sec"]) == item["duration_sec"] and float(row["cost_total"]) == item["cost_total"]
        assert float(row["avg_eou_latency"]) == item["avg_eou_latency"] and int(row["turn_count"]) == item["turn_count"]
    some = rows_of(api.client.get("/api/analytics/calls.csv", params={"campaign_id": campaign["id"], "start_date": "2026-03-02", "end_date": "2026-03-03", "outcome": "success"}))
    assert [row[0] for row in some[1:]] == [made[2], made[1]]
    assert fields(api.problem("GET", "/api/analytics/calls.csv", 400, params={"start_date": "2026-03-05", "end_date": "2026-03-01"}))
    assert UUID.fullmatch(rows[1][0])
