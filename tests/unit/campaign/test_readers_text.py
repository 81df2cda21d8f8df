"""Lists that are text: charsets, delimiters, compression, and what is no list at all."""

import gzip
import os
import sys
import zlib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from reading import read, refused, run  # noqa: E402

LITTLE_KB = 32 * 1024 if "asan" not in os.environ["READ_LIST"] else 1 << 30  # freed memory stays in ASan's quarantine

LIST = "телефон;имя;город\r\n+79161234567;Анна Сидорова;Москва\r\n+79161234568;Пётр Кузнецов;Санкт-Петербург\r\n"
CELLS = {1: ["телефон", "имя", "город"], 2: ["+79161234567", "Анна Сидорова", "Москва"], 3: ["+79161234568", "Пётр Кузнецов", "Санкт-Петербург"]}


@pytest.mark.parametrize("encoding, found", [
    ("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16-le", "utf-16le"), ("utf-16-be", "utf-16be"), ("utf-16", "utf-16le"), ("cp1251", "windows-1251"),
])
def test_charsets_that_are_found(encoding, found):
    assert read(LIST.encode(encoding)) == CELLS
    assert run(LIST.encode(encoding))[1]["charset"] == found


@pytest.mark.parametrize("encoding, said", [
    ("utf-8", "UTF-8"), ("utf-8-sig", "utf8"), ("utf-16-le", "utf-16le"), ("utf-16-be", "utf-16"), ("utf-16", "UTF-16"), ("cp1251", "Windows-1251"),
    ("cp1251", "cp1251"), ("koi8-r", "koi8-r"), ("cp866", "IBM866"), ("iso8859-5", "iso-8859-5"), ("mac-cyrillic", "x-mac-cyrillic"),
])
def test_charsets_that_are_said(encoding, said):
    assert read(LIST.encode(encoding), "--charset", said) == CELLS


@pytest.mark.parametrize("encoding, said, text", [
    ("cp1252", "windows-1252", "phone,name\n+1,José Müller\n"), ("latin2", "iso-8859-2", "phone,name\n+1,Łukasz\n"),
    ("shift_jis", "shift_jis", "phone,name\n+1,田中さくら\n"), ("gb18030", "gb18030", "phone,name\n+1,王小明\n"), ("big5", "big5", "phone,name\n+1,王小明\n"),
    ("euc-kr", "euc-kr", "phone,name\n+1,김철수\n"),
])
def test_other_charsets(encoding, said, text):
    assert read(text.encode(encoding), "--charset", said) == {i: line.split(",") for i, line in enumerate(text.splitlines(), 1)}


@pytest.mark.parametrize("words", ["Анна", "Олег", "Щукин", "ИВАНОВ ИВАН", "Її їжак, Київ", "«Ромашка» №5", "Ёлкина — бухгалтер"])
def test_windows_1251_by_few_letters(words):
    data = f"phone;name\n+79161234567;{words}\n".encode("cp1251")
    assert read(data)[2] == ["+79161234567", words]


def test_the_charset_is_found_far_into_a_file():
    """ASCII for 300 KB: what comes first decides nothing."""
    lines = "".join(f"+1201555{i:04};x\n" for i in range(9999))
    for encoding in ("utf-8", "cp1251"):
        data = ("phone;name\n" + lines * 2 + "+79161234567;Анна\n" + lines + "+79161234568;Пётр\n").encode(encoding)
        rows, end = run(data)
        assert end["error"] is None
        assert [row["cells"][1] for row in rows if row["cells"][1] not in ("x", "name")] == ["Анна", "Пётр"]


@pytest.mark.parametrize("data", [
    "phone,name\n+1,José\n+2,Müller\n".encode("cp1252"),          # not asked for: only 1251 is guessed
    "телефон;имя\n+1;Иван Петров\n+2;Анна Сидорова\n".encode("koi8-r"),
    b"phone,n\xff\n+1,x\n",
    b"phone,name\n+1,\xff\xfe\n+2,\xed\xa0\x80\n+3,\xc3\xa9\n",
    "phone;name\n".encode() + "Анна Мария Ольга Пётр\n".encode() * 50 + "Анна\n".encode("cp1251"),
])
def test_what_is_not_guessed_stays_as_it_is(data):
    assert run(data)[1]["charset"] == "utf-8"


@pytest.mark.parametrize("data, said, words", [
    (LIST.encode(), "windows-1251", ["UTF-8", "windows-1251"]),
    (LIST.encode("utf-8-sig"), "windows-1251", "UTF-8"),
    (LIST.encode("utf-16"), "utf-8", "UTF-16"),
    (LIST.encode("utf-16-le"), "utf-8", "UTF-16"),
    (LIST.encode("utf-16"), "koi8-r", "UTF-16"),
    (b"phone_number,name\n+12015550100,Ann\n", "utf-16", "utf-16"),
    (LIST.encode(), "klingon", "klingon"),
    (LIST.encode(), "utf-7", "utf-7"),
    (LIST.encode(), "iso-2022-kr", "iso-2022-kr"),
])
def test_wrong_charsets(data, said, words):
    refused(data, "--charset", said, words=words)


def test_bytes_that_are_nothing_in_the_charset():
    """0x98 is no character of Windows-1251: the row keeps a mark that is not UTF-8, and is refused by its number later."""
    rows, end = run("phone;name\n+1;Анна\n+2;".encode("cp1251") + b"\x98\n+3;x\n", "--charset", "windows-1251")
    assert end["error"] is None and [row["row"] for row in rows] == [1, 2, 3, 4] and rows[2]["cells"][1] == "�"
    rows, end = run("phone;name\n+1;Анна\n".encode("utf-16-le") + b"\x00\xd8\n\x00", "--charset", "utf-16le")
    assert end["error"] is None and "�" in rows[2]["cells"][0]
    rows, end = run("phone;name\n+1;Анна\n".encode("utf-16-le") + b"x")
    assert end["error"] is None and rows[2]["cells"] == ["�"]


def test_odd_characters():
    assert read("phone,name\n+1,😀 \u2028 ﷽\n".encode()) == {1: ["phone", "name"], 2: ["+1", "😀 \u2028 ﷽"]}
    assert read("phone,name\n+1,😀\n".encode("utf-16"))[2] == ["+1", "😀"]


# --- compression ------------------------------------------------------------------------------------------------------

def test_gzip():
    packed = gzip.compress(LIST.encode())
    assert read(packed) == CELLS
    assert read(packed, "--gzip") == CELLS
    half = LIST.encode().index(b"\r\n") + 1
    assert read(gzip.compress(LIST.encode()[:half]) + gzip.compress(LIST.encode()[half:])) == CELLS
    assert read(gzip.compress(b"")) == {}


def test_gzip_that_is_broken():
    packed = gzip.compress(LIST.encode() * 100)
    refused(LIST.encode(), "--gzip", words="Content-Encoding")
    refused(b"", "--gzip", words="Content-Encoding")
    refused(packed[:-20], words="cut off")
    refused(packed[:3], words="cut off")
    refused(packed[:12] + b"\xff" * 30 + packed[42:], words="broken")
    refused(packed[:-8] + b"12345678", words="broken")
    refused(packed + b"more", words="broken")


def test_gzip_bombs():
    line = b"+12015550100,x\n"
    data = b"phone,name\n" + line * 4_000_000
    end = refused(gzip.compress(data), "--quiet", words=["250 times", "unpacked"])
    assert end["reason"] == "TOO_LARGE" and end["peak_kb"] < LITTLE_KB
    end = refused(gzip.compress(data[:3_000_000]), "--unpacked-limit", 1 << 20, words="larger than 1 MB")
    assert end["reason"] == "TOO_LARGE"
    # of several layers only the outer one is taken off
    refused(gzip.compress(gzip.compress(data)), words="NUL")


# --- delimiters -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters(delimiter):
    text = delimiter.join(["phone", "name", "note"]) + "\n" + delimiter.join(["+1", "Ann", '"a,b;c|d\te"']) + "\n"
    assert read(text.encode())[2] == ["+1", "Ann", "a,b;c|d\te"]
    assert read(text.encode("utf-16"))[2] == ["+1", "Ann", "a,b;c|d\te"]


# --- what is no list --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("data, word", [
    (b"%PDF-1.7\n%...", "PDF"), (b"\x89PNG\r\n\x1a\n" + bytes(600), "PNG"), (b"\xff\xd8\xff\xe0" + bytes(600), "JPEG"),
    (b"  <!doctype html><html><body><table>", "HTML"), (b"<html xmlns:o='x'><table>", "HTML"), (b"\xef\xbb\xbf<?xml version='1.0'?><Workbook/>", "XML"),
    (b"Rar!\x1a\x07\x00" + bytes(600), "RAR"), (b"7z\xbc\xaf\x27\x1c" + bytes(600), "7z"), (b"BZh91AY", "bzip2"),
    (b"PK\x05\x06" + bytes(18), "empty zip"), (b"{\\rtf1", "RTF"), (b"SQLite format 3\x00", "SQLite"),
])
def test_other_files(data, word):
    refused(data, words=[word, ".xlsx"])
    refused(gzip.compress(data), words=word)


def test_nul_bytes():
    refused(b"phone,name\n+1,a\n+2,b\x00c\n", words=["row 3", "NUL"])
    refused(b"phone,name\n" + bytes(1000), words=["row 2", "NUL"])
    refused(zlib.compress(b"phone,name\n" * 100)[:40] + bytes(100), words="NUL")


def test_empty():
    for data in (b"", b"\n", b"\xef\xbb\xbf", b"\xff\xfe"):
        assert read(data) == {}


def test_large_cells():
    rows, end = run(b"phone,note\n+1," + b"x" * 10_000_000 + b"\n+2,y\n")
    assert end["error"] is None and (rows[1]["long_cell"], len(rows[1]["cells"][1])) == (2, 65536) and rows[2]["cells"] == ["+2", "y"]
    rows, end = run(b"phone,note\n+1,\"" + b"x" * 3_000_000 + b"\n+2,y\n")
    assert "never closed" in end["error"] and end["peak_kb"] < LITTLE_KB
    refused(b'"' + b"phone,note\n" * 300_000, words="1 MB")
