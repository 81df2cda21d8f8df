"""Campaigns, their states and their call lists, over gRPC."""
import concurrent.futures
import csv
import io
import re
import pathlib
import time
import uuid

import pytest
from client import Failure, Tenant, micros, numbers, plain, refused, running, sql, word

SAMPLE = pathlib.Path(__file__).parents[2] / "samples" / "contacts.csv"
NOBODY = "00000000-0000-7000-8000-00000000dead"


@pytest.fixture(scope="module")
def client():
    with running() as made:
        yield made


@pytest.fixture
def tenant(client):
    return Tenant()


def test_create_has_defaults_and_get_gives_the_same(client, tenant):
    made = client.CreateCampaign(campaign={"company_id": tenant.id, "skillbase_id": tenant.skillbase, "name": "Autumn"})
    assert plain(made) == plain(client.GetCampaign(id=made.id))
    assert (made.daily_start_time, made.daily_end_time, made.timezone) == ("09:00", "18:00", "UTC")
    assert (made.max_concurrent_calls, made.calls_per_minute, made.max_retries, made.retry_delay_minutes) == (5, 10, 3, 30)
    assert list(made.days_of_week) == [1, 2, 3, 4, 5, 6, 7]
    assert word(made, "status") == "draft" and not made.HasField("started_at")
    assert uuid.UUID(made.id).version == 7


def test_create_reports_all_that_is_wrong(client, tenant):
    failure = refused("INVALID_ARGUMENT", None, client.CreateCampaign, campaign={
        "company_id": "x", "name": " ", "daily_start_time": "99:99", "timezone": "Mars/Base", "calls_per_minute": 0,
        "start_time": "2026-02-01T00:00:00Z", "end_time": "2026-01-01T00:00:00Z", "days_of_week": ["monday", "monday"]})
    assert set(failure.fields) == {"campaign.company_id", "campaign.skillbase_id", "campaign.name", "campaign.daily_start_time", "campaign.timezone",
                                   "campaign.calls_per_minute", "campaign.end_time", "campaign.days_of_week[1]"}
    values = {"company_id": tenant.id, "skillbase_id": tenant.skillbase, "name": "C"}
    assert "campaign.skillbase_id" in refused("INVALID_ARGUMENT", None, client.CreateCampaign, campaign={**values, "skillbase_id": Tenant().skillbase}).fields
    assert "campaign.company_id" in refused("INVALID_ARGUMENT", None, client.CreateCampaign, campaign={**values, "company_id": NOBODY}).fields
    refused("NOT_FOUND", None, client.GetCampaign, id=NOBODY)


def test_update(client, tenant):
    made = tenant.campaign(client, description="old", end_time="2030-01-01T00:00:00Z", timezone="Europe/Berlin", days_of_week=["friday"])
    changed = client.UpdateCampaign(id=made.id, campaign={"name": "New", "max_retries": 0})
    assert (changed.name, changed.max_retries, changed.description, changed.timezone) == ("New", 0, "old", "Europe/Berlin")
    assert micros(changed.updated_at) > micros(made.updated_at)
    # The whole object may be sent back.
    assert client.UpdateCampaign(id=made.id, campaign={k: v for k, v in plain(changed).items() if k not in ("status",)}).name == "New"
    # A named field without a value is cleared, or gets its default.
    cleared = client.UpdateCampaign(id=made.id, campaign={}, update_mask="description,endTime,timezone,daysOfWeek,maxRetries")
    assert not cleared.HasField("description") and not cleared.HasField("end_time")
    assert (cleared.timezone, cleared.max_retries, len(cleared.days_of_week)) == ("UTC", 3, 7)
    # The merged whole is checked.
    client.UpdateCampaign(id=made.id, campaign={"start_time": "2026-05-01T00:00:00Z"})
    assert "campaign.end_time" in refused("INVALID_ARGUMENT", None, client.UpdateCampaign, id=made.id,
                                          campaign={"end_time": "2026-04-01T00:00:00Z"}).fields
    failure = refused("INVALID_ARGUMENT", None, client.UpdateCampaign, id=made.id, campaign={"company_id": Tenant().id, "skillbase_id": NOBODY})
    assert failure.fields == {"campaign.company_id": "cannot be changed", "campaign.skillbase_id": "cannot be changed"}
    refused("NOT_FOUND", None, client.UpdateCampaign, id=NOBODY, campaign={"name": "x"})
    refused("FAILED_PRECONDITION", "ETAG_MISMATCH", client.UpdateCampaign, id=made.id, campaign={"name": "x"}, if_match=1)
    now = client.GetCampaign(id=made.id)
    assert client.UpdateCampaign(id=made.id, campaign={"name": "y"}, if_match=micros(now.updated_at)).name == "y"


def test_list_and_delete(client, tenant):
    made = [tenant.campaign(client, name=f"C{i}") for i in range(5)]
    page = client.ListCampaigns(company_id=tenant.id, limit=2)
    assert [c.name for c in page.items] == ["C4", "C3"] and page.total == 5
    rest = client.ListCampaigns(company_id=tenant.id, limit=10, page_token=page.next_page_token)
    assert [c.name for c in rest.items] == ["C2", "C1", "C0"] and not rest.HasField("next_page_token")
    assert [c.name for c in client.ListCampaigns(company_id=tenant.id, skip=4).items] == ["C0"]
    assert client.ListCampaigns(company_id=tenant.id, status="running").total == 0
    assert client.ListCampaigns(skillbase_id=tenant.skillbase, status="draft").total == 5
    assert "page_token" in refused("INVALID_ARGUMENT", None, client.ListCampaigns, page_token="zzz").fields
    refused("FAILED_PRECONDITION", "ETAG_MISMATCH", client.DeleteCampaign, id=made[0].id, if_match=1)
    client.upload(made[0].id, numbers(3))
    client.DeleteCampaign(id=made[0].id)
    refused("NOT_FOUND", None, client.GetCampaign, id=made[0].id)
    refused("NOT_FOUND", None, client.DeleteCampaign, id=made[0].id)
    until = time.monotonic() + 60  # the service removes in steps what it owned
    while sql(f"select (select count(*) from campaign_count_changes where campaign_id = '{made[0].id}') + (select count(*) from call_tasks where campaign_id = '{made[0].id}')") != "0":
        assert time.monotonic() < until
        time.sleep(0.1)


def test_states(client, tenant):
    made = tenant.campaign(client)
    failure = refused("FAILED_PRECONDITION", "NO_TASKS", client.StartCampaign, id=made.id)
    assert "draft" in failure.message
    assert "draft" in refused("FAILED_PRECONDITION", "WRONG_STATE", client.PauseCampaign, id=made.id).message
    client.upload(made.id, numbers(4))
    started = client.StartCampaign(id=made.id)
    assert word(started, "status") == "running" and started.pending_tasks == 4
    assert "running" in refused("FAILED_PRECONDITION", "WRONG_STATE", client.StartCampaign, id=made.id).message
    paused = client.PauseCampaign(id=made.id)
    assert word(paused, "status") == "paused"
    again = client.StartCampaign(id=made.id)
    assert again.started_at == started.started_at
    refused("FAILED_PRECONDITION", "ETAG_MISMATCH", client.CancelCampaign, id=made.id, if_match=5)
    cancelled = client.CancelCampaign(id=made.id)
    assert (word(cancelled, "status"), cancelled.pending_tasks, cancelled.total_tasks) == ("cancelled", 0, 4)
    assert client.ListTasks(campaign_id=made.id, status="cancelled").total == 4
    for move in client.StartCampaign, client.PauseCampaign, client.CancelCampaign:
        assert "cancelled" in refused("FAILED_PRECONDITION", "WRONG_STATE", move, id=made.id).message
    refused("FAILED_PRECONDITION", "CAMPAIGN_ENDED", client.upload, made.id, numbers(1))
    refused("NOT_FOUND", None, client.StartCampaign, id=NOBODY)


def expected_of_sample():
    """What a person reads in the sample, by a reader that we did not write. Good: possible for its country, with a country code."""
    phones, errors, total = [], [], 0
    lines = list(csv.reader(io.StringIO(SAMPLE.read_text(encoding="utf-8-sig"), newline="")))
    for number, cells in enumerate(lines[1:], start=2):
        if not cells:
            continue
        total += 1
        phone = re.sub(r"^(\d)\.(\d{10})E10$", r"+\1\2", cells[0].strip())  # what Excel makes of a number that has lost its plus
        digits = "".join(c for c in phone.replace("(0)", "") if c.isdigit())
        digits = digits[2:] if phone.startswith("00") else digits
        if cells[6] and not cells[6].lstrip("-").isdigit():
            errors.append(f'Row {number}: priority "{cells[6]}" is not a whole number')
        elif not phone:
            errors.append(f"Row {number}: phone_number is empty")
        elif not phone.startswith(("+", "00")):
            errors.append(f'Row {number}: phone_number "{phone}" is not a valid phone number')
        else:
            phones.append("+" + digits)
    return total, phones, errors


@pytest.mark.parametrize("piece", [7, 1000, 1 << 20])
def test_upload_of_the_sample(client, tenant, piece):
    total, phones, errors = expected_of_sample()
    made = tenant.campaign(client)
    result = client.upload(made.id, SAMPLE.read_bytes(), piece=piece)
    assert (result.total, result.created, result.error_count) == (total, len(set(phones)), len(errors))
    assert result.duplicates == len(phones) - len(set(phones))
    assert [got[: len(want)] for got, want in zip(result.errors, errors)] == errors
    after = client.GetCampaign(id=made.id)
    assert (after.total_tasks, after.pending_tasks) == (result.created, result.created)
    task = client.ListTasks(campaign_id=made.id, phone_number=phones[0]).items[0]
    assert task.contact_name == "Ольга Васильева" and task.contact_data["city"] == "Paris" and task.priority == 10
    multi = client.ListTasks(campaign_id=made.id, phone_number=phones[2]).items[0]
    assert multi.contact_data["note"] == "line one\nline two" and "priority" not in multi.contact_data
    assert client.GetTask(campaign_id=made.id, id=task.id) == task
    # The same file again: only duplicates.
    again = client.upload(made.id, SAMPLE.read_bytes())
    assert (again.created, again.duplicates) == (0, len(phones))
    assert again.upload_id != result.upload_id
    # In the order of handing out: priority, then age; pages neither repeat nor skip.
    seen, token = [], None
    while True:
        page = client.ListTasks(campaign_id=made.id, limit=50, **({"page_token": token} if token else {}))
        seen += page.items
        if not page.HasField("next_page_token"):
            break
        token = page.next_page_token
    assert len(seen) == page.total == result.created == len({t.id for t in seen})
    firsts = list(dict.fromkeys(phones))
    by_phone = {t.phone_number: t.priority for t in seen}
    assert [t.phone_number for t in seen] == sorted(firsts, key=lambda p: (-by_phone[p], firsts.index(p)))


@pytest.mark.parametrize("data", ["phone_number;Имя\n+12015550100;Иван\n".encode("cp1251"), "phone_number;Имя\n+12015550100;Иван\n".encode("utf-16")])
def test_other_charsets_are_found_out(client, tenant, data):
    made = tenant.campaign(client)
    assert client.upload(made.id, data).created == 1
    assert client.ListTasks(campaign_id=made.id).items[0].contact_data["Имя"] == "Иван"


@pytest.mark.parametrize("data, part", [
    (b"", "empty"), (b"\n\n", "empty"),
    (b"name,city\nA,B\n", "name, city"),
    (b"phone_number,Phone_Number\n+12015550100,1\n", "two columns"),
    (b"phone_number,name\n+12015550100,\"Ann\n+12015550101,Bob\n", "row 2"),
    (b"phone_number,name\n+12015550100,Ann \"x\" y\n", "row 2"),
    (b"phone_number,name\n+12015550100,\"Ann\"x\n", "row 2"),
    (b"phone_number,name\n+1201\x00555,A\n", "NUL"),
    (b"phone_number," + b"x," * 600 + b"\n", "columns"),
])
def test_files_that_are_refused(client, tenant, data, part):
    made = tenant.campaign(client)
    failure = refused("INVALID_ARGUMENT", None, client.upload, made.id, data)
    assert part in failure.message, failure
    assert client.GetCampaign(id=made.id).total_tasks == 0
    assert sql(f"select count(*) from call_tasks where campaign_id = '{made.id}'") == "0"


def test_rows_that_are_refused(client, tenant):
    made = tenant.campaign(client)
    data = b"\xef\xbb\xbf" + b"\r\n".join([
        b" PHONE_NUMBER ;Name;priority;TimeZone;note;note", b"+12015550100;Ann;7;Europe/Berlin;a;b", b"", b"+12015550101;Bob", b"+12015550102;C;x",
        b"+12015550103;D;1;Mars/Base", b"+12015550104;E;;;n;n;n", b"+1201555010\xff;F", b";;;;;", b"0012015550105;G;-1000;;;",
        b"+12015550106;" + b"x" * 70000, b"12345;H", b"+12015550107;\"I\r\nI\";1001;;;", b"+12015550108;J;1"])
    result = client.upload(made.id, data)
    assert [e.split(":")[0] for e in result.errors] == ["Row 5", "Row 6", "Row 7", "Row 8", "Row 11", "Row 12", "Row 13"]
    for part, error in zip(["priority", "timezone", "7 cells", "UTF-8", "64 KB", "not a valid phone", "priority"], result.errors):
        assert part in error
    assert (result.total, result.created, result.error_count) == (11, 4, 7)
    tasks = {t.phone_number: t for t in client.ListTasks(campaign_id=made.id).items}
    assert set(tasks) == {"+12015550100", "+12015550101", "+12015550105", "+12015550108"}
    assert dict(tasks["+12015550100"].contact_data) == {"note": "a", "note_2": "b"} and tasks["+12015550100"].timezone == "Europe/Berlin"
    assert dict(tasks["+12015550101"].contact_data) == {} and tasks["+12015550105"].priority == -1000
    assert client.upload(made.id, b"phone_number\n").total == 0
    many = client.upload(made.id, b"phone_number\n" + b"bad\n" * 1500)
    assert (many.total, many.error_count, len(many.errors)) == (1500, 1500, 1000)


def test_uploads_that_go_wrong(client, tenant):
    made = tenant.campaign(client)
    refused("NOT_FOUND", None, client.upload, NOBODY, numbers(1))
    assert "campaign_id" in refused("INVALID_ARGUMENT", None, client.upload, "", numbers(1)).fields

    def broken_off():
        yield numbers(1000)
        raise RuntimeError("the client dies")

    with pytest.raises((Failure, RuntimeError)):
        client.upload(made.id, broken_off(), timeout=10)

    def deleted_meanwhile():
        yield numbers(10)
        time.sleep(0.3)
        client.DeleteCampaign(id=made.id)
        yield b"+12015559999,Z,Z\n"

    refused("NOT_FOUND", None, client.upload, made.id, deleted_meanwhile())
    assert sql(f"select count(*) from call_tasks where campaign_id = '{made.id}'") == "0"
    # The sessions are free again.
    other = tenant.campaign(client)
    for _ in range(6):
        client.upload(other.id, numbers(2))
    assert client.GetCampaign(id=other.id).total_tasks == 2


def test_two_uploads_at_once_and_a_cancel_meanwhile(client, tenant):
    made = tenant.campaign(client)
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        first = threads.submit(client.upload, made.id, numbers(3000))
        second = threads.submit(client.upload, made.id, numbers(0) + numbers(3000).split(b"\n", 1)[1] + numbers(500, first=3000).split(b"\n", 1)[1])
        results = [first.result(), second.result()]
    assert sum(r.created for r in results) == 3500 and sum(r.duplicates for r in results) == 3000
    after = client.GetCampaign(id=made.id)
    assert after.total_tasks == after.pending_tasks == 3500

    def cancelled_meanwhile():
        yield numbers(10, first=5000)
        time.sleep(0.3)
        client.CancelCampaign(id=made.id)
        yield b"+12015559999,Z,Z\n"

    refused("FAILED_PRECONDITION", "CAMPAIGN_ENDED", client.upload, made.id, cancelled_meanwhile())
    assert client.GetCampaign(id=made.id).total_tasks == 3500


def test_limits_of_uploads(tenant):
    with running("--upload-row-limit", "10", "--upload-byte-limit", "2KB", "--default-region", "US") as small:
        made = tenant.campaign(small)
        refused("RESOURCE_EXHAUSTED", "TOO_LARGE", small.upload, made.id, b"phone_number\n" + b"\n".join(b"+1201555%04d" % i for i in range(11)))
        refused("RESOURCE_EXHAUSTED", "TOO_LARGE", small.upload, made.id, b"phone_number,n\n" + b"1,x\n" * 1000)
        assert small.upload(made.id, b"phone_number\n" + b"\n".join(b"(201) 555-%04d" % i for i in range(10))).created == 10


def test_lists_of_tasks(client, tenant):
    made = tenant.campaign(client)
    client.upload(made.id, numbers(5))
    assert client.ListTasks(campaign_id=made.id, status="pending", limit=2).total == 5
    assert client.ListTasks(campaign_id=made.id, status="failed").total == 0
    assert client.ListTasks(campaign_id=made.id, outcome="busy").total == 0
    assert len(client.ListTasks(campaign_id=made.id, skip=3).items) == 2
    refused("NOT_FOUND", None, client.ListTasks, campaign_id=NOBODY)
    refused("NOT_FOUND", None, client.GetTask, campaign_id=made.id, id=NOBODY)
    token = client.ListTasks(campaign_id=made.id, limit=1).next_page_token
    other = tenant.campaign(client)
    assert "page_token" in refused("INVALID_ARGUMENT", None, client.ListTasks, campaign_id=other.id, page_token=token).fields
