"""Workbooks, .xlsx and .xls: what is in the cells, which sheet, and files that are broken or meant to hurt."""

import datetime
import io
import os
import random
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import openpyxl
import pytest
import xlwt

sys.path.insert(0, str(Path(__file__).parent))
from reading import MAIN, RELATIONS, XML, cell, read, refused, relations, run, workbook  # noqa: E402

SAMPLES = Path(__file__).parents[2] / "samples"
LITTLE_KB = 32 * 1024 if "asan" not in os.environ["READ_LIST"] else 1 << 30  # freed memory stays in ASan's quarantine
HEAD = '<row r="1">' + cell("A1", "phone") + cell("B1", "note") + "</row>"


def saved(book):
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def row(number, *cells):
    return f'<row r="{number}">{"".join(cells)}</row>'


def value(data):
    """The cell B2."""
    return read(data)[2][1]


def number(text, style=None, kind=None):
    return (f'<c r="B2"{f""" s="{style}" """ if style is not None else ""}{f""" t="{kind}" """ if kind else ""}><v>{text}</v></c>')


def sheet(b2):
    return HEAD + row(2, cell("A2", "+1"), b2)


# --- cells ------------------------------------------------------------------------------------------------------------

def test_what_openpyxl_writes():
    book = openpyxl.Workbook()
    page = book.active
    page.append(["phone_number", "name", "balance", "due", "at", "clock", "vip", "formula"])
    page.append([79161234567, "Ann & <Bob>", 6828.09, datetime.date(2026, 9, 4), datetime.datetime(2026, 9, 4, 10, 20, 30), datetime.time(9, 5), True, "=1+1"])
    page["A4"], page["G4"] = "+12015550100", False
    page["A5"] = "line one\nline two  "
    got = read(saved(book))
    assert got == {
        1: ["phone_number", "name", "balance", "due", "at", "clock", "vip", "formula"],
        2: ["79161234567", "Ann & <Bob>", "6828.09", "2026-09-04", "2026-09-04T10:20:30", "09:05:00", "TRUE"],  # (no cached value)
        4: ["+12015550100", "", "", "", "", "", "FALSE"], 5: ["line one\nline two  "]}


@pytest.mark.parametrize("text, shown", [
    ("79161234567", "79161234567"), ("7.9161234567E10", "79161234567"), ("7.9161234567E+10", "79161234567"), ("79161234567.0", "79161234567"),
    ("6828.0900000000001", "6828.09"), ("8729.719999999999", "8729.72"), ("0.1", "0.1"), ("0.30000000000000004", "0.3"), ("1e3", "1000"), ("-0", "0"),
    ("-12.5", "-12.5"), ("100", "100"), ("100.50", "100.5"), ("007", "7"), ("1.5E-3", "0.0015"), ("1E-9", "0.000000001"), ("1E-10", "1e-10"),
    ("9007199254740991", "9007199254740991"), ("123456789012345678", "123456789012346000"), ("1E20", "100000000000000000000"), ("1E21", "1e+21"),
    ("1e400", "1e400"), ("nan", "nan"), ("0x10", "0x10"), ("", None), ("3.14159265358979", "3.14159265358979"), (" 5 ", "5"),
])
def test_numbers(text, shown):
    got = read(workbook(sheet(number(text))))[2]
    assert got == (["+1", shown] if shown is not None else ["+1"])


STYLES = ('<numFmts><numFmt numFmtId="164" formatCode="dd.mm.yyyy"/><numFmt numFmtId="165" formatCode="[$-419]d mmmm yyyy\\ hh:mm;@"/>'
          '<numFmt numFmtId="166" formatCode="[h]:mm"/><numFmt numFmtId="167" formatCode="0.00&quot; days&quot;"/><numFmt numFmtId="168" formatCode="[Red]0.0"/>'
          '<numFmt numFmtId="169" formatCode="#,##0\\ &quot;₽&quot;;[Red]\\-#,##0"/><numFmt numFmtId="170" formatCode="h:mm AM/PM"/><numFmt numFmtId="171" formatCode="mmm"/>'
          '</numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs>'
          + "".join(f'<xf numFmtId="{i}"/>' for i in (0, 14, 22, 20, 46, 164, 165, 166, 167, 168, 169, 170, 171, 9)) + "</cellXfs>")


@pytest.mark.parametrize("style, text, shown", [
    (0, "46269", "46269"), (1, "46269", "2026-09-04"), (2, "46269.4309", "2026-09-04T10:20:30"), (3, "0.43091", "10:20:31"), (4, "1.5", "36:00:00"),
    (5, "46269", "2026-09-04"), (5, "46269.5", "2026-09-04T12:00:00"), (6, "46269", "2026-09-04T00:00:00"), (7, "0.5", "12:00:00"), (8, "2.5", "2.5"),
    (9, "2.5", "2.5"), (10, "1000", "1000"), (11, "0.75", "18:00:00"), (12, "46269", "2026-09-04"), (13, "0.5", "0.5"), (99, "46269", "46269"),
    (1, "1", "1900-01-01"), (1, "59", "1900-02-28"), (1, "60", "1900-02-29"), (1, "61", "1900-03-01"), (1, "2958465", "9999-12-31"),
    (1, "2958466", "2958466"), (1, "-1", "-1"), (3, "46269.25", "2026-09-04T06:00:00"), (1, "x", "x"),
])
def test_dates(style, text, shown):
    assert value(workbook(sheet(number(text, style)), styles=STYLES)) == shown


def test_dates_of_1904():
    book = XML + f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><workbookPr date1904="1"/><sheets><sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>'
    assert value(workbook(sheet(number("44807", 1)), styles=STYLES, workbook_xml=book)) == "2026-09-04"
    assert value(workbook(sheet(number("0", 1)), styles=STYLES, workbook_xml=book)) == "1904-01-01"


@pytest.mark.parametrize("kind, text, shown", [
    ("b", "1", "TRUE"), ("b", "0", "FALSE"), ("str", " text of a formula ", " text of a formula "), ("e", "#N/A", "#N/A"), ("d", "2026-09-04T10:00:00", "2026-09-04T10:00:00"),
    ("n", "5", "5"), ("s", "1", "two  words"), ("s", "2", "rich text"), ("s", "3", "東京"), ("s", "4", "a\r\nb_x"), ("inlineStr", "plain", "plain"),
])
def test_types(kind, text, shown):
    strings = ('<si><t>zero</t></si><si><t xml:space="preserve">two  words</t></si><si><r><rPr><b/></rPr><t>rich</t></r><r><t xml:space="preserve"> text</t></r></si>'
               '<si><t>東京</t><rPh sb="0" eb="2"><t>トウキョウ</t></rPh><phoneticPr fontId="1"/></si><si><t>a_x000D_\nb_x005F_x</t></si>')
    assert value(workbook(sheet(number(text, kind=kind)), strings=strings)) == shown


def test_formulas_give_their_cached_value():
    assert value(workbook(sheet('<c r="B2"><f>A1&amp;"x"</f><v>42</v></c>'))) == "42"
    assert value(workbook(sheet('<c r="B2" t="str"><f>A1</f><v>+12015550100</v></c>'))) == "+12015550100"


def test_where_cells_are():
    rows = ('<row>' + '<c t="inlineStr"><is><t>phone</t></is></c><c t="inlineStr"><is><t>b</t></is></c>' + '</row>'  # no references: one after the other
            + '<row r="3" spans="1:3">' + cell("C3", "c") + cell("A3", "a") + "</row>"                            # out of order, with a gap
            + '<row r="4"/><row r="5"><c r="A5" s="1"/></row>' + '<row><c r="AB6" t="inlineStr"><is><t>far</t></is></c></row>')
    assert read(workbook(rows)) == {1: ["phone", "b"], 3: ["a", "", "c"], 6: [""] * 27 + ["far"]}


def test_merged_cells_have_their_value_once():
    book = openpyxl.Workbook()
    page = book.active
    page.append(["phone", "city"])
    page.append(["+1", "Paris"])
    page.append(["+2", None])
    page.merge_cells("B2:B3")
    assert read(saved(book)) == {1: ["phone", "city"], 2: ["+1", "Paris"], 3: ["+2"]}


def test_prefixed_and_strict_workbooks():
    rows = ('<x:worksheet xmlns:x="http://purl.oclc.org/ooxml/spreadsheetml/main"><x:sheetData><x:row r="1"><x:c r="A1" t="inlineStr"><x:is><x:t>phone</x:t></x:is></x:c>'
            '</x:row></x:sheetData></x:worksheet>')
    strict = relations([("rId1", "officeDocument", "xl/workbook.xml")]).replace("http://schemas.openxmlformats.org/officeDocument/2006", "http://purl.oclc.org/ooxml/officeDocument")
    assert read(workbook(sheets=[("S", None, (XML + rows).encode())], extra={"_rels/.rels": strict})) == {1: ["phone"]}
    wide = ('<?xml version="1.0" encoding="UTF-16"?>' + rows).encode("utf-16")
    assert read(workbook(sheets=[("S", None, wide)])) == {1: ["phone"]}


def test_parts_in_any_order_and_case():
    strings = "<si><t>phone</t></si>"
    rows = '<row r="1"><c r="A1" t="s"><v>0</v></c></row>'
    assert read(workbook(rows, strings=strings, order=lambda names: names[::-1])) == {1: ["phone"]}
    assert read(workbook(rows, strings=strings, compress=zipfile.ZIP_STORED)) == {1: ["phone"]}
    relation = relations([("rId1", "worksheet", "/xl/Worksheets/Sheet1.XML"), ("rId90", "sharedStrings", "../xl/./sharedStrings.xml")])
    assert read(workbook(rows, strings=strings, extra={"xl/_rels/workbook.xml.rels": relation.replace("./shared", "shared")})) == {1: ["phone"]}
    assert read(workbook(HEAD, drop=["_rels/.rels"])) == {1: ["phone", "note"]}


# --- sheets -----------------------------------------------------------------------------------------------------------

SHEETS = [("Hidden", "hidden", row(1, cell("A1", "1"))), ("Very", "veryHidden", row(1, cell("A1", "2"))),
          ("Контакты", None, row(1, cell("A1", "3"))), ("4", "visible", row(1, cell("A1", "4"))), ("Last", None, row(1, cell("A1", "5")))]


@pytest.mark.parametrize("wanted, found", [(None, "3"), ("Контакты", "3"), ("Hidden", "1"), ("2", "2"), ("4", "4"), ("5", "5"), ("Last", "5")])
def test_sheets(wanted, found):
    assert read(workbook(sheets=SHEETS), *(["--sheet", wanted] if wanted else [])) == {1: [found]}


def test_sheets_that_are_not_there():
    for wanted in ("6", "0", "-1", "hidden", "x"):
        refused(workbook(sheets=SHEETS), "--sheet", wanted, words=[f'"{wanted}"', "Hidden, Very, Контакты, 4, Last"])
    refused(workbook(sheets=SHEETS[:2]), words=["no visible sheet", "Hidden, Very"])
    charts = {"xl/_rels/workbook.xml.rels": relations([("rId1", "chartsheet", "chartsheets/sheet1.xml")])}
    refused(workbook(HEAD, extra=charts), words="no sheet with cells")
    assert run(workbook(sheets=SHEETS))[1]["sheet"] == "Контакты"


def test_charset_is_for_text():
    refused(workbook(HEAD), "--charset", "windows-1251", words="charset is for text files")


# --- large ones -------------------------------------------------------------------------------------------------------

def test_memory_does_not_depend_on_the_strings():
    """150,000 distinct strings (9 MB), asked for from both ends."""
    count = 150_000
    strings = "".join(f"<si><t>string number {i} {'x' * (i % 50)}</t></si>" for i in range(count))
    rows = "".join(f'<row><c t="s"><v>{i}</v></c><c t="s"><v>{count - 1 - i}</v></c></row>' for i in range(count))
    got, end = run(workbook(rows, strings=strings))
    assert end["error"] is None and len(got) == count and end["peak_kb"] < LITTLE_KB
    for i, one in enumerate(got):
        assert one["cells"] == [f"string number {j} {'x' * (j % 50)}" for j in (i, count - 1 - i)]


def test_a_million_empty_rows():
    data = workbook(HEAD + "".join(f'<row r="{i}"/>' for i in range(2, 1_000_001)) + row(1_000_001, cell("A1000001", "+1")))
    rows, end = run(data)
    assert end["error"] is None and [r["row"] for r in rows] == [1, 1_000_001] and end["peak_kb"] < LITTLE_KB


def test_every_column():
    rows, end = run(workbook(row(1, *(cell("", f"c{i}").replace(' r=""', "") for i in range(16384)))))
    assert end["error"] is None and rows[0]["count"] == 16384 and len(rows[0]["cells"]) == 512
    rows, end = run(workbook(HEAD + row(2, cell("A2", "+1"), cell("XFD2", "x"))))
    assert rows[1]["count"] == 16384
    refused(workbook(HEAD + row(2, cell("XFE2", "x"))), words=["row 2", "XFD"])
    refused(workbook(HEAD + row(2, cell("AAAAAAAAAAAAAAAAAAAAAAAAA2", "x"))), words=["row 2", "XFD"])


def test_huge_cells():
    for data in (workbook(sheet(cell("B2", "x" * 10_000_000))), workbook(sheet(number("0", kind="s")), strings=f"<si><t>{'x' * 10_000_000}</t></si>"),
                 workbook(sheet(number("x" * 10_000_000, kind="str")))):
        rows, end = run(data)
        assert end["error"] is None and (rows[1]["long_cell"], len(rows[1]["cells"][1])) == (2, 65536) and end["peak_kb"] < LITTLE_KB
    long = "<si><t>" + "y" * 65536 + "</t></si>"
    assert read(workbook(sheet(number("0", kind="s")), strings=long))[2][1] == "y" * 65536


# --- what is meant to hurt --------------------------------------------------------------------------------------------

BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


def test_entities():
    bomb = (XML + BOMB + f'<worksheet xmlns="{MAIN}"><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>&b;</t></is></c></row></sheetData></worksheet>').encode()
    refused(workbook(sheets=[("S", None, bomb)]), words="DOCTYPE")
    refused(workbook(HEAD, strings=(XML + BOMB + f'<sst xmlns="{MAIN}"/>').encode()), words="DOCTYPE")
    outside = XML + '<!DOCTYPE x SYSTEM "file:///etc/passwd">' + f'<workbook xmlns="{MAIN}"/>'
    refused(workbook(HEAD, workbook_xml=outside), words="DOCTYPE")
    refused(workbook(row(1, cell("A1", "&undeclared;"))), words="not well-formed")


def test_zip_bombs():
    end = refused(workbook(HEAD + " " * 60_000_000), words="250 times")
    assert end["reason"] == "TOO_LARGE" and end["peak_kb"] < LITTLE_KB
    end = refused(workbook(HEAD + "<!-- -->" * 500_000), "--unpacked-limit", 1 << 20, words="larger than 1 MB")
    assert end["reason"] == "TOO_LARGE"
    # in one of the small parts, too
    refused(workbook(HEAD, styles=" " * 60_000_000), words="250 times")
    # one string a million times over
    strings = f"<si><t>{'s' * 60000}</t></si>"
    end = refused(workbook("<row>" + '<c t="s"><v>0</v></c>' * 16 + "</row>" + ("<row>" + '<c t="s"><v>0</v></c>' * 16 + "</row>") * 200, strings=strings), "--quiet",
                  "--unpacked-limit", 16 << 20, words="more than 16 MB of text")
    assert end["reason"] == "TOO_LARGE"
    end = refused(workbook(HEAD), "--spool-limit", 500, words=".xlsx file is larger")
    assert end["reason"] == "TOO_LARGE"


def test_tags_without_end():
    refused(workbook(row(1, f'<c r="A1" t="{"x" * 3_000_000}"/>')), words="longer than 1 MB")
    refused(workbook("<a>" * 100_000), words="nested too deeply")
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for i in range(5000):
            archive.writestr(f"{i}", "")
    refused(data.getvalue(), words="more than 4096 entries")


def test_lies_about_the_count_of_entries():
    data = workbook(HEAD)
    end = data.rindex(b"PK\x05\x06")
    lie = data[:end + 8] + struct.pack("<HH", 60000, 60000) + data[end + 12:]
    refused(lie, words="entries")
    lie = data[:end] + struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, 1 << 40, 1 << 40, 46 << 40, 0) + struct.pack("<IIQI", 0x07064B50, 0, end, 1) \
        + data[end:end + 8] + b"\xff\xff\xff\xff" + data[end + 12:]
    refused(lie, words="entries")


# --- broken ones ------------------------------------------------------------------------------------------------------

def zipped(parts):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize("parts, words", [
    ({"readme.txt": "x"}, "no workbook"),
    ({"_rels/.rels": relations([("rId1", "officeDocument", "word/document.xml")]), "word/document.xml": "<x/>"}, "Word document"),
    ({"_rels/.rels": relations([("rId1", "officeDocument", "ppt/presentation.xml")]), "ppt/presentation.xml": "<x/>"}, "presentation"),
    ({"_rels/.rels": relations([("rId1", "officeDocument", "xl/workbook.bin")]), "xl/workbook.bin": "x"}, "xlsb"),
    ({"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": "<x/>"}, "OpenDocument"),
    ({"list.csv": "phone\n+1\n"}, "no workbook"),
])
def test_zips_that_are_no_workbook(parts, words):
    refused(zipped(parts), words=[words])


@pytest.mark.parametrize("drop, words", [
    ("xl/workbook.xml", "no workbook"), ("xl/worksheets/sheet1.xml", "sheet1.xml is missing"), ("xl/_rels/workbook.xml.rels", "workbook.xml.rels is missing"),
])
def test_parts_that_are_missing(drop, words):
    refused(workbook(HEAD, drop=[drop]), words=words)


def test_strings_that_are_missing():
    for strings in (None, "", "<si><t>x</t></si>"):
        refused(workbook(HEAD + row(2, '<c r="A2" t="s"><v>1</v></c>'), strings=strings), words=["row 2", "string"])
    refused(workbook(HEAD + row(2, '<c r="A2" t="s"><v>-1</v></c>'), strings=""), words=["row 2", "string"])


def test_rows_out_of_order():
    refused(workbook(HEAD + row(3, cell("A3", "x")) + row(2, cell("A2", "x"))), words=["row 3", "not higher"])
    refused(workbook(HEAD + row("x", cell("A3", "x"))), words="not higher")
    refused(workbook(HEAD + row(99999999, cell("A3", "x"))), words="that many rows")


def test_broken_zips():
    data = workbook(HEAD + "".join(row(i, cell(f"A{i}", f"+{i * 7919}")) for i in range(2, 3000)))
    for cut in range(5, len(data), len(data) // 40):
        refused(data[:cut], words="cut off")
    at = data.index(b"xl/worksheets/sheet1.xml") + 500
    refused(data[:at] + bytes(100) + data[at + 100:], words="sheet")
    refused(b"PK\x03\x04" + random.Random(1).randbytes(5000), words="cut off")
    refused(workbook(b"<worksheet><sheetData>"), words=["the sheet", "not well-formed"])
    refused(workbook(sheets=[("S", None, b"")]), words="the sheet")
    refused(workbook(b'<?xml version="1.0" encoding="windows-1251"?><worksheet/>'), words="the sheet")


def test_encrypted_zip():
    """The flag in the headers of an entry."""
    data = bytearray(workbook(HEAD))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(signature, at + 4)
    refused(bytes(data), words="encrypted")


def test_nothing_is_left_behind(tmp_path):
    read(workbook(HEAD, strings="<si><t>x</t></si>"), "--spool", tmp_path)
    read(xls(("S", 0, {1: ["phone"]})), "--spool", tmp_path)
    refused(workbook(HEAD)[:300], "--spool", tmp_path, words="cut off")
    assert not list(tmp_path.iterdir())
    refused(workbook(HEAD), "--spool", tmp_path / "none", words="spool file")


# --- .xls -------------------------------------------------------------------------------------------------------------

def xls(*sheets):
    """sheets: (name, visibility, rows)"""
    book = xlwt.Workbook(encoding="utf-8")
    for name, visibility, rows in sheets:
        page = book.add_sheet(name)
        page.visibility = visibility
        for y, cells in rows.items():
            for x, content in enumerate(cells):
                style = xlwt.easyxf(num_format_str="YYYY-MM-DD HH:MM:SS") if isinstance(content, datetime.datetime) else \
                    xlwt.easyxf(num_format_str="DD.MM.YYYY") if isinstance(content, datetime.date) else xlwt.Style.default_style
                if content is not None:
                    page.write(y - 1, x, content, style)
    return saved(book)


def test_xls():
    got = read(xls(("Контакты", 0, {1: ["phone", "имя", "due", "at", "n"], 2: [79161234567, "Анна", datetime.date(2026, 9, 4), datetime.datetime(2026, 9, 4, 10, 20, 30), 0.1],
                                    5: ["+12015550100", None, None, None, -3]})))
    assert got == {1: ["phone", "имя", "due", "at", "n"], 2: ["79161234567", "Анна", "2026-09-04", "2026-09-04T10:20:30", "0.1"], 5: ["+12015550100", "", "", "", "-3"]}


def test_xls_sheets():
    data = xls(("Hidden", 1, {1: ["1"]}), ("Very", 2, {1: ["2"]}), ("Контакты", 0, {1: ["3"]}), ("Last", 0, {1: ["4"]}))
    assert read(data) == {1: ["3"]} and run(data)[1]["sheet"] == "Контакты"
    assert read(data, "--sheet", "Hidden") == {1: ["1"]} and read(data, "--sheet", "4") == {1: ["4"]} and read(data, "--sheet", "Last") == {1: ["4"]}
    refused(data, "--sheet", "5", words=['"5"', "Hidden, Very, Контакты, Last"])


def test_large_xls():
    data = xls(("S", 0, {i: [f"+1201{i:07}", "Анна", i] for i in range(1, 20001)}))
    rows, end = run(data)
    assert end["error"] is None and len(rows) == 20000 and rows[-1]["cells"] == ["+12010020000", "Анна", "20000"] and end["peak_kb"] < LITTLE_KB
    end = refused(data, "--xls-limit", 100000, words=".xls file is larger")
    assert end["reason"] == "TOO_LARGE"


def test_broken_xls():
    data = xls(("S", 0, {i: [f"+1201{i:07}", "Анна", i] for i in range(1, 2001)}))
    for cut in (8, 100, 511, 512, 600, 1024, 5000, len(data) // 2):
        refused(data[:cut], words=".xls")
    refused(data[:512] + random.Random(2).randbytes(len(data) - 512), words=".xls")
    refused(b"\x09\x04\x06\x00" + bytes(600), words=".xls")


@pytest.mark.parametrize("kind", ["xls", "xlsx"])
def test_bytes_that_are_changed(kind):
    """Rows or a sentence come of it, never a crash; what dies is the process of libfreexl, and that is a sentence, too."""
    whole = (SAMPLES / "contacts.xls").read_bytes() if kind == "xls" else workbook(
        HEAD + "".join(row(i, cell(f"A{i}", f"+{i * 7919}"), number("0", kind="s").replace("B2", f"B{i}")) for i in range(2, 40)), strings="<si><t>x</t></si>",
        compress=zipfile.ZIP_STORED)
    chance = random.Random(kind)
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 3, 10, 50])):
            data[chance.randrange(len(data))] = chance.choice([0, 255, chance.randrange(256)])
        rows, end = run(bytes(data), "--quiet")
        assert end["error"] is None or len(end["error"]) > 20


def compound_file(*names):
    """A compound file with streams of these names and nothing in them: a directory of one sector."""
    def entry(name, kind, child):
        wide = (name + "\0").encode("utf-16-le")
        return (wide.ljust(64, b"\0") + struct.pack("<HBBIII", len(wide), kind, 1, 0xFFFFFFFF, 0xFFFFFFFF, child) + bytes(16 + 4 + 16)
                + struct.pack("<IQ", 0xFFFFFFFE, 0)).ljust(128, b"\0")
    fat = struct.pack("<II", 0xFFFFFFFD, 0xFFFFFFFE).ljust(512, b"\xff")
    directory = (entry("Root Entry", 5, 1) + b"".join(entry(name, 2, 0xFFFFFFFF) for name in names)).ljust(512, b"\0")
    head = (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH6xIIIIIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
            + struct.pack("<I", 0)).ljust(512, b"\xff")
    return head + fat + directory


@pytest.mark.parametrize("names, words", [
    (["EncryptionInfo", "EncryptedPackage"], "encrypted"), (["WordDocument"], "Word document"), (["PowerPoint Document"], "presentation"), (["Other"], "no workbook"),
])
def test_other_compound_files(names, words):
    refused(compound_file(*names), words=words)


def test_xls_with_a_password():
    """FILEPASS after the BOF of the workbook's globals."""
    data = bytearray(xls(("S", 0, {1: ["phone"]})))
    at = data.index(b"\x09\x08\x10\x00") + 20   # the record after BOF
    data[at:at + 2] = b"\x2f\x00"
    refused(bytes(data), words="encrypted")


def test_samples_have_the_same_rows():
    csv, xlsx_, xls_ = (read((SAMPLES / f"contacts.{kind}").read_bytes()) for kind in ("csv", "xlsx", "xls"))
    same = lambda a, b: [float(x) if i == 3 and n > 1 else x for i, x in enumerate(a)] == [float(x) if i == 3 and n > 1 else x for i, x in
                                                                                        enumerate(b + [""] * (7 - len(b)))]
    mangled = []
    for n in csv:
        if not same(csv[n], xlsx_[n]):
            mangled.append(n)
    for n in mangled:  # the phone is a number there, and nothing else differs
        assert xlsx_[n][0] == "".join(c for c in csv[n][0] if c.isdigit()) and same([""] + csv[n][1:], [""] + xlsx_[n][1:])
    assert mangled == [6, 26, 46, 66, 86, 106, 126, 166, 186, 206, 246, 266, 286, 306]
    assert sorted(xls_) == list(range(1, 152)) and all(xls_[n] == xlsx_[n] for n in xls_)


def test_the_process_ends_with_its_reader():
    """A reader that is given up leaves no process behind, and a service without the program says so."""
    data = xls(("S", 0, {i: ["x" * 100, i] for i in range(1, 60000)}))
    reading = subprocess.Popen([os.environ["READ_LIST"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    reading.stdin.write(data)
    reading.stdin.close()
    assert reading.stdout.readline()
    reading.stdout.close()
    assert reading.wait(60) != 0
