"""Call lists in every format: the same rows mean the same, whatever they are saved as, and what a client may say about them."""

import csv
import gzip
import io
import re

import openpyxl
import pytest

from clients import walk
from conftest import SAMPLES, check_problem

SPREADSHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

# Every row of samples/contacts.csv that is refused, and why; contacts.xlsx has the same 400 rows, contacts.xls the first 150.
NO_COUNTRY = "is not a valid phone number: it has no country code (begin with +)"
REFUSED = {
    9: ("phone_number", "phone_number is empty"),
    **{n: ("phone_number", f'phone_number "1-201-555-{last:04}" {NO_COUNTRY}') for n, last in (
        (18, 104), (30, 107), (34, 108), (38, 109), (58, 114), (70, 117), (90, 122), (142, 135), (146, 136), (162, 140), (198, 149), (210, 152), (226, 156), (254, 163),
        (262, 165), (290, 172), (298, 174), (326, 181), (330, 182), (346, 186), (354, 188), (366, 191), (378, 194), (386, 196))},
    21: ("phone_number", f'phone_number "12345" {NO_COUNTRY}'),
    35: ("phone_number", 'phone_number "not a phone" is not a valid phone number: these are not the digits of one'),
    122: ("priority", 'priority "x" is not a whole number from -1000 to 1000'),
}
REFUSED_RU = {9: "phone_number is empty", 18: f'phone_number "1-201-555-0104" {NO_COUNTRY}'}


@pytest.fixture(scope="module")
def company(api):
    return api.company()


@pytest.fixture(scope="module")
def skillbase(api, company):
    return api.skillbase(company)


@pytest.fixture
def campaign(api, company, skillbase):
    return api.campaign(company, skillbase)


def send(api, campaign, data, content_type="text/csv", **query):
    return api.client.post(f"/api/campaigns/{campaign['id']}/call-list", content=data, params=query, headers={"content-type": content_type})


def upload(api, campaign, data, content_type="text/csv", **query):
    answer = send(api, campaign, data, content_type, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def tasks(api, campaign):
    return {t["phone_number"]: t for t in walk(api, f"/api/campaigns/{campaign['id']}/tasks", 1000)}


def meaning(task):
    data = {key: value.strip() for key, value in task["contact_data"].items()}
    if data.get("balance"):
        data["balance"] = float(data["balance"].replace(",", "."))
    return task["contact_name"], task["priority"], task["timezone"], data


def expected(name, encoding="utf-8", delimiter=",", rows=None):
    """By Python's csv: {number of the row: cells} and the names."""
    table = list(csv.reader(io.StringIO((SAMPLES / name).read_bytes().decode(encoding)), delimiter=delimiter))
    return dict(list(enumerate(table, 1))[1:rows]), table[0]


@pytest.mark.parametrize("name, rows", [("contacts.csv", 401), ("contacts.xlsx", 401), ("contacts.xls", 151)])
def test_the_samples_mean_the_same(api, campaign, name, rows):
    answer = upload(api, campaign, (SAMPLES / name).read_bytes(), "application/octet-stream")
    wanted = {n: reason for n, (_, reason) in REFUSED.items() if n <= rows}
    assert answer["errors"] == [f"Row {n}: {wanted[n]}" for n in sorted(wanted)]
    assert (answer["total"], answer["error_count"]) == (rows - 1, len(wanted))
    table, names = expected("contacts.csv", rows=rows)
    by_number = {}
    for n, cells in table.items():
        phone = re.sub(r"^(\d)\.(\d{10})E10$", r"+\1\2", re.sub(r"^00", "+", cells[0].strip()))
        if n not in wanted:
            by_number.setdefault("+" + re.sub(r"\D", "", phone.replace("(0)", "")), cells)
    assert (answer["created"], answer["duplicates"]) == (len(by_number), rows - 1 - len(wanted) - len(by_number))
    made = tasks(api, campaign)
    assert set(made) == set(by_number)
    for number, cells in by_number.items():
        values = dict(zip(names, (cell.strip() for cell in cells)))
        name_, priority = values.pop("name"), values.pop("priority")
        del values["phone_number"]
        values["balance"] = float(values["balance"]) if values["balance"] else ""
        assert meaning(made[number]) == (name_ or None, int(priority or 0), None, values), number


def test_the_sample_of_a_russian_excel(api, campaign):
    answer = upload(api, campaign, (SAMPLES / "contacts_excel_ru.csv").read_bytes())
    table, names = expected("contacts_excel_ru.csv", "cp1251", ";")
    refused = {n: REFUSED[n][1] for n in REFUSED if n <= 59}
    assert answer["errors"] == [f"Row {n}: {refused[n]}" for n in sorted(refused)]
    # rows 60 and 61 have the number 1-201-555-0104 of row 18, with a plus: one of them is a contact, the other its duplicate
    assert (answer["total"], answer["created"], answer["duplicates"], answer["error_count"]) == (60, 60 - 1 - len(refused), 1, len(refused))
    made = tasks(api, campaign)
    assert meaning(made["+447700900001"]) == ("Bj?rn Кузнецов", 0, None, {"город": "Москва", "balance": 11765.55})
    for n, cells in table.items():
        if n not in refused and n != 61:
            assert made["+" + re.sub(r"\D", "", cells[0].replace("(0)", ""))]["contact_name"] == cells[1]


# --- what a client says -----------------------------------------------------------------------------------------------

def book(rows, title="Контакты"):
    out = io.BytesIO()
    made = openpyxl.Workbook()
    made.active.title = "Первый"
    made.active.append(["phone"])
    page = made.create_sheet(title)
    for row in rows:
        page.append(row)
    made.save(out)
    return out.getvalue()


def test_sheet(api, campaign):
    data = book([["Телефон", "Имя"], [12015550100, "Анна"]])
    for sheet in ("Контакты", "2"):
        answer = upload(api, campaign, data, SPREADSHEET, sheet=sheet)
        assert answer["total"] == 1 and answer["created"] + answer["duplicates"] == 1
    assert tasks(api, campaign)["+12015550100"]["contact_data"] == {"Имя": "Анна"}
    assert upload(api, campaign, data, SPREADSHEET)["total"] == 0
    problem = check_problem(send(api, campaign, data, SPREADSHEET, sheet="3"))
    assert problem["status"] == 400 and "Первый, Контакты" in problem["detail"]


def test_charset(api, campaign):
    data = "телефон;имя\n+12015550100;Анна\n".encode("koi8-r")
    assert upload(api, campaign, data, charset="KOI8-R")["created"] == 1
    assert tasks(api, campaign)["+12015550100"]["contact_data"] == {"имя": "Анна"}
    problem = check_problem(send(api, campaign, data, charset="klingon"))
    assert problem["status"] == 400 and [e["field"] for e in problem["errors"]] == ["charset"]


def test_columns_by_name(api, campaign):
    for i, name in enumerate(["phone_number", "Phone", "ТЕЛЕФОН", " номер ", "Phone Number", "PHONE-NUMBER"]):
        assert upload(api, campaign, f"name,{name}\nAnn,+1201555010{i}\n".encode())["created"] == 1


def test_mapped_columns(api, campaign):
    data = b"phone,Mobile,Client,zone\n1,+12015550100,Ann,Europe/Paris\n"
    query = {"column.phone_number": "mobile", "column.contact_name": "Client", "column.timezone": "Zone"}
    assert upload(api, campaign, data, **query)["created"] == 1
    task = tasks(api, campaign)["+12015550100"]
    assert (task["contact_name"], task["timezone"], task["contact_data"]) == ("Ann", "Europe/Paris", {"phone": "1"})
    problem = check_problem(send(api, campaign, data, **{"column.phone_number": "Fax", "column.contact_name": "Who"}))
    assert problem["status"] == 400 and '"Fax"' in problem["detail"] and '"Who"' in problem["detail"] and "phone, Mobile" in problem["detail"]
    problem = check_problem(send(api, campaign, data, **{"column.city": "Client"}))
    assert problem["status"] == 400 and [e["field"] for e in problem["errors"]] == ["column.city"]


def test_two_phone_columns(api, campaign):
    data = b"phone,name,phone_number\n+12015550100,Ann,+12015550101\n"
    problem = check_problem(send(api, campaign, data))
    assert problem["status"] == 400 and '"phone"' in problem["detail"] and '"phone_number"' in problem["detail"] and "column.phone_number" in problem["detail"]
    assert upload(api, campaign, data, **{"column.phone_number": "phone"})["created"] == 1


def test_gzip(api, campaign):
    packed = gzip.compress(b"phone\n+12015550100\n")
    url = f"/api/campaigns/{campaign['id']}/call-list"
    for headers in ({"content-encoding": "gzip"}, {}):
        answer = api.client.post(url, content=packed, headers={"content-type": "text/csv", **headers})
        assert answer.status_code == 200 and answer.json()["total"] == 1, answer.text
    answer = api.client.post(url, content=b"phone\n", headers={"content-type": "text/csv", "content-encoding": "gzip"})
    assert answer.status_code == 400 and "Content-Encoding" in check_problem(answer)["detail"]


# --- numbers that a spreadsheet has mangled ---------------------------------------------------------------------------

@pytest.mark.parametrize("text, number", [
    ("79161234567", "+79161234567"), ("79161234567.0", "+79161234567"), ("7.9161234567E+10", "+79161234567"), ('"7,9161234567E+10"', "+79161234567"),
    ('"=""+79161234567"""', "+79161234567"), ("'+79161234567", "+79161234567"), ("0079161234567", "+79161234567"), ("\u202a+7\u00a0916\u00a0123-45-67\u202c", "+79161234567"),
    ("+79161234567.0", "+79161234567"),
])
def test_repaired_numbers(api, campaign, text, number):
    assert upload(api, campaign, f"phone,x\n{text},y\n".encode())["created"] == 1
    assert list(tasks(api, campaign)) == [number]


@pytest.mark.parametrize("text, words", [
    ("7.9E+10", ["rounded", "2 of its 11 digits"]), ('"7,91612E+10"', ["rounded", "6 of its 11 digits"]), ("9161234567", ["country code"]), ("10000000000", ["country code"]),
    ("+1 201", ["too short"]), ("+1 201 555 0101 99", ["too long"]), ("+7 916 123 45 67 89", ["none of that length"]), ("+7 916 123-45-67 ext. 5", ["extension"]), ("+999 123456", ["country code is not known"]),
])
def test_numbers_that_are_reported(api, campaign, text, words):
    answer = upload(api, campaign, f"phone,x\n{text},y\n".encode())
    assert answer["created"] == 0 and answer["error_count"] == 1
    assert all(word in answer["errors"][0] for word in words) and text.strip('"') in answer["errors"][0]
