"""Runs read_list, and makes workbooks by hand where a library would not make them."""

import io
import json
import os
import subprocess
import zipfile

PROGRAM = os.environ["READ_LIST"]
XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def run(data, *arguments):
    """(rows, end) as read_list prints them."""
    done = subprocess.run([PROGRAM, *map(str, arguments)], input=data, capture_output=True, timeout=300)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    lines = [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]
    return lines[:-1], lines[-1]


def read(data, *arguments):
    """{row number: cells}, the same whatever the pieces are and whenever a row asks for a pause."""
    rows, end = run(data, *arguments)
    assert end["error"] is None, end["error"]
    for piece in [1, 7, 1000] if len(data) < 20000 else [4099]:
        assert run(data, "--piece", piece, "--pause", *arguments)[0] == rows
    return {row["row"]: row["cells"] for row in rows}


def refused(data, *arguments, words):
    """The sentence with which it is refused."""
    _, end = run(data, *arguments)
    assert end["error"], "it was not refused"
    for word in [words] if isinstance(words, str) else words:
        assert word in end["error"], end["error"]
    return end


def relations(entries):
    """entries: (id, last word of the type, target)"""
    return (XML + '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            + "".join(f'<Relationship Id="{i}" Type="{RELATIONS}/{kind}" Target="{target}"/>' for i, kind, target in entries) + "</Relationships>")


def workbook(sheet=None, strings=None, styles=None, workbook_xml=None, compress=zipfile.ZIP_DEFLATED, extra=None, drop=(), sheets=None, order=None):
    """An .xlsx. sheet: the rows' XML, or bytes of the whole part; strings: <si> items; sheets: [(name, state, rows)] for several;
    extra: {part: content}; drop: parts left out; order: of the parts in the zip."""
    sheets = sheets or [("Sheet1", None, sheet or "")]
    parts = {"[Content_Types].xml": XML + '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
             "_rels/.rels": relations([("rId1", "officeDocument", "xl/workbook.xml")])}
    parts["xl/workbook.xml"] = workbook_xml or (
        XML + f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets>'
        + "".join(f'<sheet name="{name}" sheetId="{i}" {f"""state="{state}" """ if state else ""}r:id="rId{i}"/>'
                  for i, (name, state, _) in enumerate(sheets, 1)) + "</sheets></workbook>")
    entries = [(f"rId{i}", "worksheet", f"worksheets/sheet{i}.xml") for i in range(1, len(sheets) + 1)]
    for i, (_, _, rows) in enumerate(sheets, 1):
        parts[f"xl/worksheets/sheet{i}.xml"] = rows if isinstance(rows, bytes) else (
            XML + f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>')
    if strings is not None:
        entries.append(("rId90", "sharedStrings", "sharedStrings.xml"))
        parts["xl/sharedStrings.xml"] = strings if isinstance(strings, bytes) else XML + f'<sst xmlns="{MAIN}">{strings}</sst>'
    if styles is not None:
        entries.append(("rId91", "styles", "styles.xml"))
        parts["xl/styles.xml"] = XML + f'<styleSheet xmlns="{MAIN}">{styles}</styleSheet>'
    parts["xl/_rels/workbook.xml.rels"] = relations(entries)
    parts.update(extra or {})
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compress) as archive:
        for name in order(list(parts)) if order else parts:
            if name not in drop:
                archive.writestr(name, parts[name])
    return out.getvalue()


def cell(reference, text):
    return f'<c r="{reference}" t="inlineStr"><is><t>{text}</t></is></c>'
