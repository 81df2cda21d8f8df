"""Bodies: what is JSON and what is not, what becomes of numbers and text, how deep and how large. No matter which method: companies, validate."""

import json
import uuid

import pytest

from clients import Raw
from conftest import fields
from test_skillbases import small

JSON = {"content-type": "application/json"}


def company_text(settings='{}', **more):
    unique = uuid.uuid4().hex
    rest = "".join(f', "{key}": {value}' for key, value in more.items())
    return f'{{"name": "Company {unique}", "slug": "c-{unique}", "settings": {settings}{rest}}}'


def post(api, text, status):
    content = text if isinstance(text, bytes) else text.encode()
    if status == 201:
        return api.ok("POST", "/api/companies", 201, content=content, headers=JSON)
    return api.problem("POST", "/api/companies", status, content=content, headers=JSON)


@pytest.mark.parametrize("text, line, column", [
    ('{"name": "x", "name2": }', 1, 24),
    ('{"name": "x"', 1, 13),
    ('{"name": "x",}', 1, 14),
    ('{\n  "name": "x"\n  "slug": "y"\n}', 3, 3),
    ('{"settings": [1, 2,, 3]}', 1, 20),
    ("{'name': 'x'}", 1, 2),
    ("{name: 1}", 1, 2),
    ('{"name" "x"}', 1, 9),
    ('{"name": "a\nb"}', 1, 12),
    ('{"name": "a\tb"}', 1, 12),
    ('{"name": tru}', 1, 10),
    ('{"name": NaN}', 1, 10),
    ('{"name": 01}', 1, 10),
    ('{"name": +1}', 1, 10),
    ('{"name": .5}', 1, 10),
    ('{"name": 1.}', 1, 10),
    ('{"name": 1e}', 1, 10),
    ('{"name": "\\x"}', 1, 11),
    ('{"name": "\\u12"}', 1, 11),
    ('{"name": "\\ud800"}', 1, 11),
    ('{"name": "\\udc00\\ud800"}', 1, 11),
    ('{} {}', 1, 4),
    ('{}x', 1, 3),
    ('// c\n{}', 1, 1),
    ('{/* c */}', 1, 2),
    ('\ufeff\ufeff{}', 1, None),
    ('nothing', 1, 1),
    ('"text"', None, None),
    ('[]', None, None),
    ('[{"name": "x"}]', None, None),
    ('null', None, None),
    ('1', None, None),
])
def test_what_is_not_json(api, text, line, column):
    before = api.get("/api/companies").json()["total"]
    problem = post(api, text, 400)
    assert problem["code"] == "INVALID_ARGUMENT"
    if line:
        assert problem["reason"] == "MALFORMED_JSON"
        assert f"line {line}, column " in problem["detail"], problem["detail"]
        if column:
            found = int(problem["detail"].split("column ")[1].split(":")[0].split(",")[0])
            # within the token that is wrong
            assert column <= found <= column + 6, problem["detail"]
    else:
        assert problem["detail"] == problem["errors"][0]["message"] and "must be an object" in problem["detail"]
        assert list(fields(problem)) == [""]
    assert api.get("/api/companies").json()["total"] == before


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"\xe2\x82"])
def test_text_that_is_not_utf8(api, bad):
    for text in (b'{"name": "' + bad + b'", "slug": "a"}', b'{"name": "n", "slug": "a", "settings": {"' + bad + b'": 1}}',
                 b'{"' + bad + b'": 1}'):
        problem = post(api, text, 400)
        assert "UTF-8" in json.dumps(problem), problem


def test_utf16_is_not_json(api):
    post(api, company_text().encode("utf-16"), 400)


def test_every_escape(api):
    made = post(api, company_text(settings='{"\\u0041\\"\\\\\\/\\b\\f\\n\\r\\t\\ud83d\\ude00": "\\u00e4\\u001f"}'), 201)
    assert made["settings"] == {'A"\\/\b\f\n\r\t😀': "ä\u001f"}


def test_the_character_0_has_no_place_in_the_database(api):
    for settings, where in (('{"a": ["\\u0000"]}', 'settings["a"][0]'), ('{"a\\u0000": 1}', "settings")):
        problem = post(api, company_text(settings=settings), 400)
        assert len(problem["errors"]) == 1 and problem["errors"][0]["field"].startswith(where)
        assert problem["detail"] == "{field}: {message}".format(**problem["errors"][0]) and "U+0000" in problem["detail"]


@pytest.mark.parametrize("text, value", [
    ("0", 0), ("-0", 0), ("1", 1), ("-1.5", -1.5), ("1e3", 1000), ("1E-3", 0.001), ("123456789012345678", 123456789012345678 // 1),
    ("0.1", 0.1), ("1.7976931348623157e308", 1.7976931348623157e308), ("5e-324", 5e-324), ("2.2250738585072014e-308", 2.2250738585072014e-308),
    ("3.141592653589793238462643383279", 3.141592653589793), ("9007199254740993", 9007199254740992),
])
def test_numbers_of_a_free_form_object_are_doubles(api, text, value):
    assert post(api, company_text(settings=f'{{"n": {text}}}'), 201)["settings"]["n"] == float(value)


@pytest.mark.parametrize("text", ["1e309", "-1e999", "1" + "0" * 400])
def test_numbers_that_no_double_holds(api, text):
    problem = post(api, company_text(settings=f'{{"n": {text}}}'), 400)
    assert "settings" in list(fields(problem))[0]


@pytest.mark.parametrize("text, value", [("7", 7), ('"7"', 7), ("7.0", 7), ("7e0", 7), ('"2147483647"', 2147483647), ("2147483647", 2147483647)])
def test_integers_in_every_spelling(api, text, value):
    config = json.dumps({"config": small(llm={"provider": "groq", "model": "m", "max_tokens": "@"})}).replace('"@"', text)
    assert api.ok("POST", "/api/skillbases/validate", content=config, headers=JSON)["valid"] is True


@pytest.mark.parametrize("text", ["7.5", '"7.5"', "2147483648", '"9999999999999999999999"', '"7 "', '""', '"0x7"', "true", "[7]", "1e30"])
def test_integers_that_are_none(api, text):
    config = json.dumps({"config": small(llm={"provider": "groq", "model": "m", "max_tokens": "@"})}).replace('"@"', text)
    problem = api.problem("POST", "/api/skillbases/validate", 400, content=config, headers=JSON)
    assert list(fields(problem)) == ["config.llm.max_tokens"]


def test_64_bit_integers_as_strings(api):
    """uint64 and int64 fields: quoted as proto3 clients write them, or bare; never through a double."""
    company = api.company()
    for seq, tokens in ((1, None), ('"2"', '"1000000000"'), (3, 1000000000)):
        event = ('"started": {"company_id": "%s"}' % company["id"]) if tokens is None else (
            '"turn": {"turn_index": 0, "role": "user", "llm_input_tokens": %s}' % tokens)
        text = '{"events": [{"seq": %s, "occurred_at": "2026-03-01T10:00:00Z", %s}]}' % (seq, event)
        if tokens is None:
            call = str(uuid.uuid4())
        answer = api.ok("POST", f"/api/analytics/calls/{call}/events", content=text, headers=JSON)
        assert answer["accepted"] == 1 and isinstance(answer["last_seq"], int)
    turns = api.ok("GET", f"/api/analytics/calls/{call}")["turns"]
    assert [turn["turn"]["llm_input_tokens"] for turn in turns] == [1000000000, 1000000000]


def test_a_key_twice(api):
    problem = post(api, '{"name": "a", "name": "b", "slug": "s"}', 400)
    assert list(fields(problem)) == ["name"]
    problem = post(api, company_text(settings='{"a": 1, "a": 2}'), 400)
    assert len(problem["errors"]) == 1 and "a" in problem["errors"][0]["field"]
    text = json.dumps({"config": small()}).replace('"model": "m"', '"model": "m", "model": "n"')
    problem = api.problem("POST", "/api/skillbases/validate", 400, content=text, headers=JSON)
    assert list(fields(problem)) == ["config.llm.model"]


def test_unknown_keys_name_their_path(api):
    config = small(tools=[{"name": "a"}, {"name": "b", "enbled": True}], Voice={}, flow={"type": "linear", "states": [{"id": "a", "x": {"y": 1}}]})
    problem = api.problem("POST", "/api/skillbases/validate", 400, json={"config": config, "conf": 1})
    assert set(fields(problem)) == {"conf", "config.Voice", "config.tools[1].enbled", "config.flow.states[0].x"}
    assert "enabled" in fields(problem)["config.tools[1].enbled"]
    # names that JSON or a log could stumble over
    for key in ("a b", "ä", '"', "\\", "", "a.b", "\n", "x" * 300, "__proto__"):
        problem = api.problem("POST", "/api/companies", 400, json={"name": "n", "slug": "s", key: 1})
        assert len(problem["errors"]) == 1


def test_errors_are_bounded(api):
    problem = api.problem("POST", "/api/companies", 400, json={"name": "n", "slug": "s", **{f"k{n}": 1 for n in range(5000)}})
    assert 50 <= len(problem["errors"]) <= 1000


@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
@pytest.mark.parametrize("depth", [10000, 100000])
def test_json_nested_too_deep(api, opening, closing, depth):
    nested = opening * depth + "1" + closing * depth
    for text in (company_text(settings=f'{{"x": {nested}}}'), nested, f'{{"unknown": {nested}}}', opening * depth):
        problem = post(api, text, 400)
        assert len(problem["detail"]) < 1000 and len(problem["errors"]) <= 100
    problem = post(api, company_text(settings=f'{{"x": {nested}}}'), 400)
    assert "deep" in json.dumps(problem) or "nest" in json.dumps(problem), problem


def test_depth_at_its_bound(api):
    """What is refused is refused at one depth, and what is taken comes back."""
    def nested(depth):
        return "[" * depth + "1" + "]" * depth
    good, bad = 1, 200
    while bad - good > 1:
        middle = (good + bad) // 2
        answer = api.client.post("/api/companies", content=company_text(settings=f'{{"x": {nested(middle)}}}'), headers=JSON)
        assert answer.status_code in (201, 400)
        good, bad = (middle, bad) if answer.status_code == 201 else (good, middle)
    assert 20 <= good <= 100
    made = post(api, company_text(settings=f'{{"x": {nested(good)}}}'), 201)
    assert api.ok("GET", f"/api/companies/{made['id']}")["settings"] == json.loads(f'{{"x": {nested(good)}}}')
    assert api.ok("PUT", f"/api/companies/{made['id']}", json=made)["settings"] == made["settings"]


def test_a_large_free_form_object_comes_back(api):
    settings = {f"key {n}": [n, n / 7, str(n) * 3, None, True] for n in range(8000)}
    made = api.ok("POST", "/api/companies", 201, json={"name": uuid.uuid4().hex, "slug": uuid.uuid4().hex, "settings": settings})
    assert made["settings"] == settings
    assert api.ok("GET", f"/api/companies/{made['id']}")["settings"] == settings


def test_a_body_of_white_space_and_a_mark(api):
    made = post(api, "\r\n\t " + company_text() + " \n\r\t", 201)
    assert made["settings"] == {}


def test_null_is_absent_or_an_error(api):
    made = post(api, company_text(settings="null", description="null", limits="null", is_active="null"), 201)
    assert (made["settings"], made["limits"], made["description"], made["is_active"]) == ({}, {}, None, True)
    problem = api.problem("POST", "/api/skillbases/validate", 400, json={"config": small(tools=[None])})
    assert list(fields(problem)) == ["config.tools[0]"]


def test_times_in(api):
    company = api.company()
    skillbase = api.skillbase(company)
    for text, out in [("2026-01-17T09:30:00.123456Z", "2026-01-17T09:30:00.123456Z"), ("2026-01-17T09:30:00Z", "2026-01-17T09:30:00Z"),
                      ("2026-01-17T12:30:00+03:00", "2026-01-17T09:30:00Z"), ("2026-01-17t09:30:00.5z", "2026-01-17T09:30:00.500Z"), (None, None)]:
        answer = api.client.post("/api/campaigns", json={"company_id": company["id"], "skillbase_id": skillbase["id"], "name": "n", "start_time": text})
        if answer.status_code == 201:
            got = answer.json()["start_time"]
            assert got == out or got.rstrip("0Z.") == out.rstrip("0Z."), (text, got)
        else:
            assert text[10] == "t", answer.text  # lower-case letters: RFC 3339 allows to refuse them
    for bad in ("2026-01-17", "2026-01-17T09:30:00", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-17T24:00:00Z", "2026-01-17T09:60:00Z",
                "17.01.2026", "", 5, {}, "2026-01-17 09:30:00Z", "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z"):
        problem = api.problem("POST", "/api/campaigns", 400, json={
            "company_id": company["id"], "skillbase_id": skillbase["id"], "name": "n", "start_time": bad})
        assert list(fields(problem)) == ["start_time"], bad


def test_a_campaign_as_get_gave_it_can_be_put_back(api):
    company = api.company()
    campaign = api.campaign(company, api.skillbase(company), description="d", days_of_week=["monday", "WEEKDAY_SUNDAY"],
                            start_time="2026-01-01T00:00:00Z", end_time="2027-01-01T00:00:00Z")
    back = api.ok("PUT", f"/api/campaigns/{campaign['id']}", json=api.ok("GET", f"/api/campaigns/{campaign['id']}"))
    assert {**back, "updated_at": None} == {**campaign, "updated_at": None}
    assert campaign["days_of_week"] == ["monday", "sunday"]


def test_a_body_where_none_belongs(platform, api):
    made = api.company()
    body = b"x" * 10
    for method in ("GET", "DELETE"):
        with Raw(platform.http) as raw:
            raw.send(f"{method} /api/companies/{made['id']} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            assert raw.answer().status_code in (200, 204, 400, 415)
            # whatever it is, it is not read as the next request
            try:
                raw.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
                assert raw.answer().status_code == 200
            except (EOFError, ConnectionError):
                pass
