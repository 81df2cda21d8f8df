"""Uploads: a call list of 7 columns through the gateway against \\copy alone of the same rows into the same indexed table, as CSV and as .xlsx; how much gateway and
service grow; and what a GET of a skillbase takes meanwhile."""

import argparse
import csv
import statistics
import subprocess
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import httpx

from measure import finish, heading, info, platform, verdict

COLUMNS = ["phone_number", "name", "priority", "timezone", "city", "balance", "due_date"]
AREAS = [201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 224, 225, 228]  # of numbers in use in the USA


def rows(count):
    """The same rows every time; numbers in no order, as in a real list."""
    for i in range(count):
        shuffled = (i * 7919 + 13) % count  # 7919 is prime: every number once, unless count is a multiple of it
        area, rest = AREAS[shuffled // 8000 % len(AREAS)], shuffled % 8000 + shuffled // (8000 * len(AREAS)) * 8000
        yield [f"+1{area}{2000000 + rest:07d}", f"Contact {i}", str(i % 10), "Europe/Berlin", f"City {i % 1000}", f"{i * 7 % 100000}.50", f"2026-01-{i % 28 + 1:02d}"]


def write_csv(path, count):
    with open(path, "w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        writer.writerows(rows(count))


def write_xlsx(path, count):
    """A workbook as spreadsheets write them: shared strings for what repeats, inline for the rest; in constant memory."""
    def cell(column, number, text):
        return f'<c r="{column}{number}" t="inlineStr"><is><t>{text}</t></is></c>'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as book:
        book.writestr("[Content_Types].xml", '<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
                      '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
                      '<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
                      '<Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>')
        book.writestr("_rels/.rels", '<?xml version="1.0" encoding="UTF-8"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
                      '<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>')
        book.writestr("xl/workbook.xml", '<?xml version="1.0" encoding="UTF-8"?><workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
                      'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="Contacts" sheetId="1" r:id="rId1"/></sheets></workbook>')
        book.writestr("xl/_rels/workbook.xml.rels", '<?xml version="1.0" encoding="UTF-8"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
                      '<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>')
        with book.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            sheet.write(b'<?xml version="1.0" encoding="UTF-8"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>')
            piece = []
            for number, row in enumerate(_with_header(count), 1):
                cells = "".join(f'<c r="{column}{number}"><v>{text}</v></c>' if column in "CF" and number > 1 else cell(column, number, text)
                                for column, text in zip("ABCDEFG", row))
                piece.append(f'<row r="{number}">{cells}</row>')
                if len(piece) == 1000:
                    sheet.write("".join(piece).encode())
                    piece = []
            sheet.write("".join(piece).encode() + b"</sheetData></worksheet>")


def _with_header(count):
    yield COLUMNS
    yield from rows(count)


def psql(owned, *statements):
    command = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", f"host={owned.data}/run user=dialplane dbname=dialplane"]
    for statement in statements:
        command += ["-c", statement]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=900).stdout


def copy_seconds(owned, path, count):
    """\\copy alone, into a table like call_tasks with all its indexes and the contact's data beside it, ids from the file as the service makes them."""
    prepared = path.with_suffix(".copy")
    with open(prepared, "w", newline="") as out:
        writer = csv.writer(out)
        for i, row in enumerate(rows(count)):
            writer.writerow([f"01900000-0000-7000-{0x8000 + (i >> 20):04x}-{i:012x}", *row])
    psql(owned, "create table copied (like call_tasks including all)", "alter table copied add name text, add city text, add balance text, add due_date text, "
         "alter campaign_id set default '01890000-0000-7000-8000-000000000001', alter company_id set default '01890000-0000-7000-8000-000000000002', "
         "alter ready_at set default now(), alter created_at set default now(), alter updated_at set default now()")
    psql(owned, "checkpoint")
    began = time.monotonic()
    psql(owned, f"\\copy copied (id, {', '.join(COLUMNS)}) from '{prepared}' csv")
    took = time.monotonic() - began
    psql(owned, "drop table copied")
    prepared.unlink()
    return took


class Latency:
    """GETs of one skillbase, one after the other, until it is stopped."""

    def __init__(self, owned, skillbase):
        self.times, self.stopping = [], threading.Event()
        self.url = f"{owned.url}/api/skillbases/{skillbase['id']}"
        self.thread = threading.Thread(target=self.run)

    def run(self):
        with httpx.Client() as client:
            while not self.stopping.is_set():
                began = time.perf_counter()
                assert client.get(self.url).status_code == 200
                self.times.append(time.perf_counter() - began)
                self.stopping.wait(0.005)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()

    def p99_ms(self):
        return statistics.quantiles(self.times, n=100)[98] * 1000


def peak(pid, reset=False):
    if reset:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    return int(next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")).split()[1])


def upload(owned, api, company, skillbase, path, kind, count):
    """Seconds and growth of one upload, into a campaign of its own."""
    campaign = api.campaign(company, skillbase)
    psql(owned, "checkpoint")
    pids = {name: owned.pid(f"dialplane-{name}") for name in ("gateway", "campaign")}
    before = {name: peak(pid, reset=True) for name, pid in pids.items()}
    with open(path, "rb") as body:
        began = time.monotonic()
        answer = api.client.post(f"/api/campaigns/{campaign['id']}/call-list", content=body, headers={"content-type": kind}, timeout=900)
        took = time.monotonic() - began
    assert answer.status_code == 200, answer.text
    answer = answer.json()
    assert answer["created"] == count, {**answer, "errors": answer["errors"][:3]}
    grown = {name: (peak(pid) - before[name]) / 1024 for name, pid in pids.items()}
    api.ok("DELETE", f"/api/campaigns/{campaign['id']}", 204)
    return took, grown


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    count = parser.parse_args().rows
    heading(f"upload: a call list of {count:,} rows and {len(COLUMNS)} columns")
    with tempfile.TemporaryDirectory(prefix="dialplane-bench.") as folder, platform({"DIALPLANE_GATEWAY_UPLOAD_LIMIT": "1GB", "DIALPLANE_UPLOAD_BYTE_LIMIT": "1GB",
                                                                                    "DIALPLANE_SPOOL_BYTE_LIMIT": "1GB"}) as (owned, api):
        api.client.timeout = httpx.Timeout(300)
        table, book = Path(folder, "contacts.csv"), Path(folder, "contacts.xlsx")
        write_csv(table, count)
        company = api.company()
        skillbase = api.skillbase(company)
        small = api.campaign(company, skillbase)
        api.upload(small, table.read_bytes()[:4000].rsplit(b"\n", 1)[0])  # buffers and threads are there
        with Latency(owned, skillbase) as idle:
            time.sleep(5)
        copied = copy_seconds(owned, table, count)
        info(f"\\copy alone: {count / copied:,.0f} rows/s ({copied * 1e6 / count:.1f} µs a row)")
        with Latency(owned, skillbase) as busy:
            took, grown = upload(owned, api, company, skillbase, table, "text/csv", count)
        info(f"CSV: {count / took:,.0f} rows/s ({took * 1e6 / count:.1f} µs a row)")
        verdict("rows/s of the upload over those of \\copy", copied / took, "", 0.4, at_least=True)
        for name, mb in grown.items():
            verdict(f"{name} grew by", mb, " MB", 32)
        info(f"GET of a skillbase, p99: idle {idle.p99_ms():.2f} ms, meanwhile {busy.p99_ms():.2f} ms")
        verdict("p99 of a GET meanwhile over idle", busy.p99_ms() / idle.p99_ms(), "", 3)
        table.unlink()
        write_xlsx(book, count)
        took, grown = upload(owned, api, company, skillbase, book, "application/octet-stream", count)
        info(f".xlsx: {count / took:,.0f} rows/s ({took * 1e6 / count:.1f} µs a row, {book.stat().st_size / 1e6:.0f} MB)")
        verdict("rows/s of the .xlsx over those of \\copy", copied / took, "", 0.2, at_least=True)
        for name, mb in grown.items():
            verdict(f"{name} grew by, .xlsx", mb, " MB", 32)
    finish()


main()
