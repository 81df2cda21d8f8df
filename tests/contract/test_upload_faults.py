"""Wrong uploads over REST: each a clear answer, and nothing left behind: no task, no counter, no staged row, no transaction, no file, and a service that goes on."""

import gzip
import io
import subprocess
import threading
import zipfile

import pytest

from agents import psql
from clients import Raw, walk
from conftest import check_problem, wait_until

GOOD = "phone_number,name\n+12015550100,Ann\n"
OLE = bytes.fromhex("d0cf11e0a1b11ae1")
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def workbook(rows, **parts):
    """A workbook of one sheet with these <row> elements, an iterable of text."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("[Content_Types].xml", '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
                      '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
                      '<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
                      '<Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>')
        book.writestr("_rels/.rels", '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
                      f'<Relationship Id="r1" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>')
        book.writestr("xl/workbook.xml", f'<?xml version="1.0"?><workbook xmlns="{SHEET}" xmlns:r="{OFFICE}"><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>')
        book.writestr("xl/_rels/workbook.xml.rels", '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
                      f'<Relationship Id="r1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>')
        with book.open("xl/worksheets/sheet1.xml", "w") as sheet:
            sheet.write(f'<?xml version="1.0"?><worksheet xmlns="{SHEET}"><sheetData>'.encode())
            for row in rows:
                sheet.write(row.encode())
            sheet.write(b"</sheetData></worksheet>")
        for name, data in parts.items():
            book.writestr(name, data)
    return out.getvalue()


def row(number, *cells):
    return f'<row r="{number}">' + "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in cells) + "</row>"


def zipped(name, data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr(name, data)
    return out.getvalue()


def bomb():
    """Four hundred megabytes of one sheet in some hundred kilobytes."""
    filler = "<row/>" + " " * (4 << 20)
    return workbook([row(1, "phone_number"), *[filler] * 100])


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


def send(api, campaign, data, headers=None, **query):
    data = data.encode() if isinstance(data, str) else data
    return api.client.post(path(campaign, "call-list"), content=data, params=query or None, timeout=120,
                           headers={"content-type": "application/octet-stream", **(headers or {})})


def nothing_left(api, platform, campaign, tasks=0):
    """What a failed upload may leave is a record that says why."""
    counters = api.ok("GET", path(campaign))
    assert (counters["total_tasks"], counters["pending_tasks"]) == (tasks, tasks)
    assert api.ok("GET", path(campaign, "tasks"))["total"] == tasks
    for item in walk(api, path(campaign, "uploads"), 100, state="failed"):
        assert item["failure"] and item["created"] == 0 and item["finished_at"]
        assert psql(platform, f"select count(*) from call_task_contacts where upload_id = '{item['id']}'") == "0"
        assert psql(platform, f"select count(*) from call_list_upload_chunks where upload_id = '{item['id']}'") == "0"
    wait_until(lambda: psql(platform, "select count(*) from pg_stat_activity where xact_start is not null and pid <> pg_backend_pid() and query like '%call_list_rows%'") == "0",
               what="the end of every staging transaction")
    # The service does what it did.
    answer = send(api, campaign, GOOD.replace("+12015550100", "+12025550199"))
    assert answer.status_code == 200 and answer.json()["created"] == 1, answer.text


def refused(api, platform, campaign, data, words, status=400, **arguments):
    answer = send(api, campaign, data, **arguments)
    assert answer.status_code == status, answer.text
    detail = check_problem(answer)["detail"]
    assert any(word in detail for word in words.split("|")), detail
    assert api.ok("GET", path(campaign, "uploads"))["items"][0]["failure"] == detail
    nothing_left(api, platform, campaign)


# --- files ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("data, words", [
    ("", "empty"), ("\n\n", "empty"), ("name,city\nAnn,Paris\n", "phone_number"), ("phone_number,Phone Number\n+12015550100,+12015550101\n", "phone_number"),
    ('phone_number,name\n+12015550100,"Ann\n+12015550101,x\n', "quot"), (b"phone_number,name\n+12015550100,A\0nn\n", "NUL"),
    (zipped("readme.txt", "hello"), "workbook|spreadsheet|xlsx"), (b"PK\3\4" + b"\0" * 100, "zip|workbook|damaged|broken"),
    (OLE + b"\0" * 4096, "xls|workbook|damaged|encrypted|password"), (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + b"x" * 100, "phone_number|PDF"),
    (b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "PNG|image|phone_number|NUL"),
], ids=["empty", "blank", "no_phone_column", "two_phone_columns", "unclosed_quote", "nul", "zip", "broken_zip", "broken_xls", "pdf", "png"])
def test_files_that_are_no_list(api, platform, campaign, data, words):
    refused(api, platform, campaign, data, words)


def test_a_header_alone(api, platform, campaign):
    answer = send(api, campaign, "phone_number,name\n")
    assert answer.status_code == 200 and answer.json()["total"] == 0
    nothing_left(api, platform, campaign)


def test_ragged_rows(api, platform, campaign):
    answer = send(api, campaign, "phone_number,name,city\n+12015550100\n+12015550101,x,y,z\n+12015550102,x\n").json()
    assert (answer["total"], answer["created"], answer["error_count"]) == (3, 2, 1) and answer["errors"][0].startswith("Row 3: ")
    nothing_left(api, platform, campaign, tasks=2)


@pytest.mark.parametrize("charset", ["utf-8", "utf-16"])
def test_a_wrong_charset(api, platform, campaign, charset):
    """What is not text in the charset that was said: a row is refused, or the file."""
    answer = send(api, campaign, "phone_number,Имя\n+12015550100,Анна\n".encode("windows-1251"), charset=charset)
    assert answer.status_code == 400, answer.text
    nothing_left(api, platform, campaign)


def test_a_zip_bomb(api, platform, campaign):
    data = bomb()
    assert len(data) < 2_000_000
    refused(api, platform, campaign, data, "larger|grow|compress|unpack", status=413)


def test_a_gzip_bomb(api, platform, campaign):
    data = gzip.compress(b"phone_number\n" + b" " * 300_000_000, 9)
    refused(api, platform, campaign, data, "larger|grow|compress|unpack|longer", status=413, headers={"content-encoding": "gzip"})


def test_a_packed_file(api, platform, campaign):
    assert send(api, campaign, gzip.compress(GOOD.encode()), headers={"content-encoding": "gzip"}).json()["created"] == 1
    other = send(api, campaign, GOOD, headers={"content-encoding": "br"})
    assert other.status_code == 415 and "gzip" in check_problem(other)["detail"]
    refused_form = api.client.post(path(campaign, "call-list"), files={"file": ("c.csv", GOOD.encode(), "text/csv")}, headers={"content-encoding": "gzip"})
    assert refused_form.status_code == 415
    broken = send(api, campaign, gzip.compress(GOOD.encode())[:-9], headers={"content-encoding": "gzip"})
    assert broken.status_code == 400 and check_problem(broken)
    nothing_left(api, platform, campaign, tasks=1)


def test_an_encrypted_workbook(api, platform, campaign):
    """As Excel writes them: an OLE container whose directory names EncryptedPackage."""
    sector = 512
    header = OLE + bytes(16) + (0x3E).to_bytes(2, "little") + (3).to_bytes(2, "little") + (0xFFFE).to_bytes(2, "little") + (9).to_bytes(2, "little") + (6).to_bytes(2, "little")
    header += bytes(6) + (0).to_bytes(4, "little") + (1).to_bytes(4, "little") + (1).to_bytes(4, "little") + bytes(4) + (4096).to_bytes(4, "little")
    header += (0xFFFFFFFE).to_bytes(4, "little") + bytes(4) + (0xFFFFFFFE).to_bytes(4, "little") + bytes(4) + (0).to_bytes(4, "little") + b"\xff" * 4 * 108
    fat = (0xFFFFFFFD).to_bytes(4, "little") + (0xFFFFFFFE).to_bytes(4, "little") + b"\xff" * (sector - 8)

    def entry(name, kind):
        text = name.encode("utf-16-le")
        return text.ljust(64, b"\0") + (len(text) + 2).to_bytes(2, "little") + bytes([kind, 1]) + b"\xff" * 12 + bytes(36) + (0xFFFFFFFE).to_bytes(4, "little") + bytes(8)
    directory = entry("Root Entry", 5) + entry("EncryptionInfo", 2) + entry("EncryptedPackage", 2) + bytes(128)
    refused(api, platform, campaign, header + fat + directory + bytes(4096), "password|encrypted")


def test_a_million_empty_rows(api, platform, campaign):
    answer = send(api, campaign, workbook([row(1, "phone_number"), row(2, "+12015550100"), *["<row/>" * 10000] * 100]))
    assert answer.status_code == 200, answer.text
    assert (answer.json()["total"], answer.json()["created"]) == (1, 1)
    nothing_left(api, platform, campaign, tasks=1)


def test_all_the_columns_of_a_sheet(api, platform, campaign):
    refused(api, platform, campaign, workbook([row(1, "phone_number", *[f"c{i}" for i in range(16383)]), row(2, "+12015550100")]), "columns")


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_cell_of_ten_megabytes(api, platform, campaign, kind):
    cell = "x" * (10 << 20)
    data = f"phone_number,note\n+12015550100,{cell}\n+12015550101,y\n" if kind == "csv" else workbook(
        [row(1, "phone_number", "note"), row(2, "+12015550100", cell), row(3, "+12015550101", "y")])
    answer = send(api, campaign, data)
    if answer.status_code == 200:  # the row is refused, the others are not
        assert (answer.json()["created"], answer.json()["error_count"]) == (1, 1) and len(answer.json()["errors"][0]) < 500
        nothing_left(api, platform, campaign, tasks=1)
    else:
        assert answer.status_code in (400, 413) and check_problem(answer)
        nothing_left(api, platform, campaign)


# --- what happens meanwhile -------------------------------------------------------------------------------------------

def begin(platform, campaign, query="", headers="", length=100000):
    """An upload whose first row has been sent."""
    raw = Raw(platform.http, timeout=60)
    raw.send(f"POST {path(campaign, 'call-list')}{query} HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n{headers}Content-Length: {length}\r\n\r\nphone_number\n+12015550107\n")
    return raw


def end(raw, sent=26, length=100000):
    return raw.send("\n" * (length - sent)).answer()


def staging(platform):
    return psql(platform, "select count(*) from pg_stat_activity where xact_start is not null and query like 'COPY call_list_rows%'") != "0"


@pytest.mark.parametrize("headers", ["", "Prefer: respond-async\r\n"])
def test_an_upload_broken_off(api, platform, campaign, headers):
    with begin(platform, campaign, headers=headers):
        wait_until(lambda: api.ok("GET", path(campaign, "uploads"), params={"state": "receiving"})["total"], what="the upload")
    found = wait_until(lambda: api.ok("GET", path(campaign, "uploads"), params={"state": "failed"})["items"], what="the end of the broken upload")
    assert "broken off" in found[0]["failure"]
    nothing_left(api, platform, campaign)


def test_two_uploads_at_once(api, platform, campaign):
    """Both come in at the same time and share numbers: each number is one task, whoever is first."""
    with begin(platform, campaign) as first, begin(platform, campaign) as second:
        wait_until(lambda: api.ok("GET", path(campaign, "uploads"), params={"state": "receiving"})["total"] == 2, what="both uploads")
        answers = [end(first).json(), end(second).json()]
    assert sorted((answer["created"], answer["duplicates"]) for answer in answers) == [(0, 1), (1, 0)]
    nothing_left(api, platform, campaign, tasks=1)


def test_many_uploads_at_once(api, platform, campaign):
    """More than the service has sessions; shared numbers in opposite orders must not deadlock."""
    numbers = [f"+12015550{i}" for i in range(100, 200)]
    answers = []

    def run(order):
        answers.append(send(api, campaign, "phone_number\n" + "\n".join(numbers[::order]) + "\n"))
    threads = [threading.Thread(target=run, args=(1 if i % 2 else -1,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [answer.status_code for answer in answers] == [200] * 8, [answer.text for answer in answers]
    assert sum(answer.json()["created"] for answer in answers) == 100
    nothing_left(api, platform, campaign, tasks=100)


def test_into_a_running_campaign(api, platform, campaign):
    assert send(api, campaign, GOOD).json()["created"] == 1
    api.ok("POST", path(campaign, "start"))
    assert send(api, campaign, GOOD.replace("5550100", "5550101")).json()["created"] == 1
    claimed = set()

    def claim():
        tasks = api.ok("POST", "/api/dispatch/claim", json={"worker_id": "w", "max": 5, "campaign_id": campaign["id"], "wait_ms": 5000})["tasks"]
        claimed.update(task["phone_number"] for task in tasks)
        return claimed == {"+12015550100", "+12015550101"}
    wait_until(claim, what="both claims")


def test_into_a_cancelled_campaign(api, platform, campaign):
    api.ok("POST", path(campaign, "cancel"))
    answer = send(api, campaign, GOOD)
    assert answer.status_code == 409 and check_problem(answer)["reason"] == "CAMPAIGN_ENDED"
    assert api.ok("GET", path(campaign, "uploads"))["total"] == 0 and api.ok("GET", path(campaign))["total_tasks"] == 0


def test_a_campaign_that_is_cancelled_meanwhile(api, platform, campaign):
    with begin(platform, campaign) as raw:
        wait_until(lambda: staging(platform), what="the staging")
        api.ok("POST", path(campaign, "cancel"))
        answer = end(raw)
    assert answer.status_code == 409 and check_problem(answer)["reason"] == "CAMPAIGN_ENDED"
    assert api.ok("GET", path(campaign))["total_tasks"] == 0
    assert api.ok("GET", path(campaign, "uploads"))["items"][0]["state"] == "failed"


@pytest.mark.parametrize("headers", ["", "Prefer: respond-async\r\n"])
def test_a_campaign_that_is_deleted_meanwhile(api, platform, campaign, headers):
    with begin(platform, campaign, headers=headers) as raw:
        wait_until(lambda: api.ok("GET", path(campaign, "uploads"))["total"], what="the upload")
        api.ok("DELETE", path(campaign), 204)
        answer = end(raw)
    assert answer.status_code in (404, 409), answer.text
    check_problem(answer)
    for table in ("call_tasks", "call_list_uploads", "campaign_count_changes"):
        assert psql(platform, f"select count(*) from {table} where campaign_id = '{campaign['id']}'") == "0"


def test_a_company_that_is_deleted_takes_uploads_along(api, platform):
    owner = api.company()
    campaign = api.campaign(owner, api.skillbase(owner))
    made = send(api, campaign, GOOD).json()["upload_id"]
    api.ok("DELETE", f"/api/companies/{owner['id']}", 204)
    assert psql(platform, f"select count(*) from call_list_uploads where campaign_id = '{campaign['id']}'") == "0"
    # Tasks may be millions: they are removed in steps.
    wait_until(lambda: psql(platform, f"select count(*) from deleted_campaigns where campaign_id = '{campaign['id']}'") == "0", 90, "the tasks to go")
    for table in ("call_tasks", "campaign_counts"):
        assert psql(platform, f"select count(*) from {table} where campaign_id = '{campaign['id']}'") == "0"
    assert psql(platform, f"select count(*) from call_task_contacts where upload_id = '{made}'") == "0"


def test_tasks_need_their_campaign(platform):
    """What a foreign key would say, the trigger says."""
    done = subprocess.run(["psql", "-X", "-q", "-d", f"host={platform.data}/run user=dialplane dbname=dialplane", "-c",
                           "insert into call_tasks (id, campaign_id, company_id, phone_number, ready_at, created_at, updated_at) "
                           "select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), '+12015550100', now(), now(), now()"], capture_output=True, text=True, timeout=30)
    assert done.returncode != 0 and "does not exist" in done.stderr
