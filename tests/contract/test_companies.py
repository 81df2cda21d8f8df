"""/api/companies as the contract has it: keys, rules and their bounds, updates, revisions, lists, deletion."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from clients import NOBODY, TIME, UUID, micros, walk
from conftest import fields

KEYS = ["id", "name", "slug", "description", "settings", "limits", "is_active", "created_at", "updated_at"]


def body(**values):
    unique = uuid.uuid4().hex
    return {"name": f"Company {unique}", "slug": f"c-{unique}", **values}


def without(value, *keys):
    return {key: item for key, item in value.items() if key not in keys}


def test_create_answers_every_key_and_location(api):
    sent = body()
    answer = api.client.post("/api/companies", json=sent)
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    made = answer.json()
    assert list(made) == KEYS
    assert UUID.fullmatch(made["id"]) and uuid.UUID(made["id"]).version == 7
    assert answer.headers["location"] == f"/api/companies/{made['id']}"
    assert (made["name"], made["slug"]) == (sent["name"], sent["slug"])
    assert (made["description"], made["settings"], made["limits"], made["is_active"]) == (None, {}, {}, True)
    assert made["created_at"] == made["updated_at"]
    assert TIME.fullmatch(made["created_at"])
    assert abs(micros(made["created_at"]) / 1e6 - time.time()) < 60
    assert api.ok("GET", answer.headers["location"]) == made
    assert api.ok("GET", f"/api/companies/{made['id'].upper()}") == made


def test_create_takes_camel_case_and_ignores_read_only_keys(api):
    made = api.company(isActive=False, id=NOBODY, createdAt="2001-01-01T00:00:00Z", updated_at="2001-01-01T00:00:00Z")
    assert made["is_active"] is False
    assert made["id"] != NOBODY
    assert not made["created_at"].startswith("2001") and not made["updated_at"].startswith("2001")


def test_a_key_in_both_spellings_is_an_error(api):
    problem = api.problem("POST", "/api/companies", 400, json=body(is_active=True, isActive=True))
    assert list(fields(problem)) == ["is_active"]


def test_free_form_parts_come_back_as_they_were_sent(api):
    free = {"a": [1.5, None, True, -0.25, {"b": "ж\"\\\n\u0001"}], "": {}, "big": 1e300, "snake_case": 1, "camelCase": [], "n": 9007199254740991}
    made = api.company(settings=free, limits={"calls": 3}, description="")
    assert made["settings"] == free and made["limits"] == {"calls": 3} and made["description"] == ""
    assert api.ok("GET", f"/api/companies/{made['id']}") == made


@pytest.mark.parametrize("field, good, bad", [
    ("name", ["x", "ж" * 255, "😀" * 255], ["", " ", "\t\u00a0\u3000", "x" * 256, "😀" * 256, "a\u0000b"]),
    ("slug", ["a", "-", "0-9", "s" * 100], ["", "A", "a_b", "é", "a b", "s" * 101, "a\n"]),
    ("description", ["", "d" * 5000, "ж" * 5000], ["d" * 5001]),
])
def test_bounds_of_text(api, field, good, bad):
    for value in good:
        # what must be unique is made so within its length
        tag = uuid.uuid4().hex[:8]
        if field == "name" and len(value) > 8:
            value = value[:-8] + tag
        if field == "slug":
            value = value[:-8] + tag if len(value) > 8 else value
        answer = api.client.post("/api/companies", json=body(**{field: value}))
        assert answer.status_code in ((201, 409) if len(value) < 8 else (201,)), (value, answer.text)
        if answer.status_code == 201:
            assert answer.json()[field] == value
    for value in bad:
        for method, path in (("POST", "/api/companies"), ("PUT", f"/api/companies/{api.company()['id']}")):
            problem = api.problem(method, path, 400, json=body(**{field: value}))
            assert list(fields(problem)) == [field], (value, problem)
            assert problem["code"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize("field, bad", [
    ("name", [1, True, [], {}]), ("slug", [1.5, False, ["a"], {"a": 1}]), ("description", [0, [], {}]),
    ("settings", ["{}", 1, [], True]), ("limits", ["", 0, [{}], False]), ("is_active", ["true", 0, 1, [], {}]),
])
def test_wrong_types(api, field, bad):
    for value in bad:
        problem = api.problem("POST", "/api/companies", 400, json=body(**{field: value}))
        assert list(fields(problem)) == [field], (value, problem)
        assert "must be" in fields(problem)[field]


def test_required_fields(api):
    assert set(fields(api.problem("POST", "/api/companies", 400, json={}))) == {"name", "slug"}
    assert set(fields(api.problem("POST", "/api/companies", 400, json={"name": None, "slug": None}))) == {"name", "slug"}


def test_everything_wrong_is_told_at_once(api):
    before = api.get("/api/companies").json()["total"]
    problem = api.problem("POST", "/api/companies", 400, json={
        "name": " ", "slug": "A B", "nme": 1, "settings": [], "isActive": "yes", "description": "x" * 5001})
    assert set(fields(problem)) == {"name", "slug", "nme", "settings", "is_active", "description"}
    assert "unknown" in fields(problem)["nme"]
    assert problem["detail"] == "6 fields are invalid"
    assert api.get("/api/companies").json()["total"] == before


def test_a_missing_body_is_named(api):
    for content in (b"", b"  \n"):
        problem = api.problem("POST", "/api/companies", 400, content=content, headers={"content-type": "application/json"})
        assert "body" in problem["detail"].lower()


def test_name_and_slug_are_unique(api):
    taken = api.company()
    other = api.company()
    for method, path in (("POST", "/api/companies"), ("PUT", f"/api/companies/{other['id']}")):
        problem = api.problem(method, path, 409, json=body(name=taken["name"]))
        assert (problem["code"], problem["reason"]) == ("ALREADY_EXISTS", "NAME_TAKEN")
        problem = api.problem(method, path, 409, json=body(slug=taken["slug"]))
        assert (problem["code"], problem["reason"]) == ("ALREADY_EXISTS", "SLUG_TAKEN")
        assert taken["slug"] in problem["detail"]
    assert api.ok("GET", f"/api/companies/{other['id']}") == other


def test_a_slug_is_given_once_to_many_who_ask_together(api):
    slug = f"race-{uuid.uuid4().hex}"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api.client.post("/api/companies", json=body(slug=slug)).status_code, range(8)))
    assert sorted(answers) == [201] + [409] * 7


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_who_is_not_there(api, method):
    content = {"json": {"name": "x"}} if method == "PUT" else {}
    problem = api.problem(method, f"/api/companies/{NOBODY}", 404, **content)
    assert problem["code"] == "NOT_FOUND" and NOBODY in problem["detail"] and problem["errors"] == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("bad", ["1", "not-a-uuid", NOBODY[:-1], NOBODY + "0", NOBODY.replace("-", ""), "{" + NOBODY + "}", NOBODY[:-1] + "g"])
def test_a_bad_id_in_the_path(api, method, bad):
    content = {"json": {"name": "x"}} if method == "PUT" else {}
    problem = api.problem(method, f"/api/companies/{bad}", 400, **content)
    assert list(fields(problem)) == ["id"] and "UUID" in fields(problem)["id"]


# --- PUT ---

def test_put_changes_only_what_was_sent(api):
    made = api.company(description="d", settings={"a": 1}, limits={"b": 2}, is_active=False)
    path = f"/api/companies/{made['id']}"
    changed = api.ok("PUT", path, json={"settings": {"c": []}})
    assert changed["settings"] == {"c": []}
    assert without(changed, "settings", "updated_at") == without(made, "settings", "updated_at")
    assert micros(changed["updated_at"]) > micros(made["updated_at"])
    assert api.ok("GET", path) == changed
    assert without(api.ok("PUT", path, json={}), "updated_at") == without(changed, "updated_at")


def test_put_takes_back_what_get_gave(api):
    made = api.company(description="d", settings={"a": [None]}, is_active=False)
    path = f"/api/companies/{made['id']}"
    whole = api.ok("GET", path)
    assert without(api.ok("PUT", path, json=whole), "updated_at") == without(made, "updated_at")
    whole = api.ok("GET", path)
    assert without(api.ok("PUT", path, json={**whole, "name": whole["name"] + "!"}), "name", "updated_at") == without(whole, "name", "updated_at")


def test_put_null_clears_resets_or_is_refused(api):
    made = api.company(description="d", settings={"a": 1}, limits={"b": 2}, is_active=False)
    path = f"/api/companies/{made['id']}"
    changed = api.ok("PUT", path, json={"description": None, "settings": None, "limits": None, "isActive": None})
    assert (changed["description"], changed["settings"], changed["limits"], changed["is_active"]) == (None, {}, {}, True)
    assert changed["name"] == made["name"]
    problem = api.problem("PUT", path, 400, json={"name": None, "slug": None})
    assert set(fields(problem)) == {"name", "slug"}
    assert api.ok("GET", path) == changed


def test_put_refuses_unknown_keys(api):
    made = api.company()
    problem = api.problem("PUT", f"/api/companies/{made['id']}", 400, json={"name": "n", "is_actve": True})
    assert list(fields(problem)) == ["is_actve"]
    assert api.ok("GET", f"/api/companies/{made['id']}") == made


# --- Revisions ---

def test_get_answers_an_etag_that_follows_the_content(api):
    made = api.company()
    path = f"/api/companies/{made['id']}"
    first = api.client.get(path)
    tag = first.headers["etag"]
    assert tag.startswith('"') and tag.endswith('"')
    assert api.client.get(path).headers["etag"] == tag
    for condition in (tag, f'"x", {tag}', f"W/{tag}", "*"):
        same = api.client.get(path, headers={"if-none-match": condition})
        assert same.status_code == 304 and same.content == b"" and same.headers["etag"] == tag
        assert same.headers["x-request-id"]
    assert api.client.get(path, headers={"if-none-match": '"other"'}).status_code == 200
    changed = api.client.put(path, json={"description": "new"})
    assert changed.headers["etag"] not in ("", tag)
    now = api.client.get(path, headers={"if-none-match": tag})
    assert now.status_code == 200 and now.headers["etag"] == changed.headers["etag"]


def test_lists_answer_an_etag_too(api):
    api.company()
    first = api.client.get("/api/companies", params={"limit": 2})
    assert api.client.get("/api/companies", params={"limit": 2}, headers={"if-none-match": first.headers["etag"]}).status_code == 304
    api.company(name=f"!{uuid.uuid4().hex}")
    assert api.client.get("/api/companies", params={"limit": 2}, headers={"if-none-match": first.headers["etag"]}).status_code == 200


def mismatch(api, method, path, tag, **content):
    problem = api.problem(method, path, 412, headers={"if-match": tag}, **content)
    assert problem["reason"] == "ETAG_MISMATCH"


def test_two_editors(api):
    made = api.company()
    path = f"/api/companies/{made['id']}"
    one = api.client.get(path).headers["etag"]
    two = api.client.get(path).headers["etag"]
    saved = api.client.put(path, json={"description": "one"}, headers={"if-match": one})
    assert saved.status_code == 200
    mismatch(api, "PUT", path, two, json={"description": "two"})
    mismatch(api, "DELETE", path, two)
    assert api.ok("GET", path)["description"] == "one"
    # what the first editor got back lets it go on
    assert api.client.put(path, json={"description": "more"}, headers={"if-match": saved.headers["etag"]}).status_code == 200
    fresh = api.client.get(path).headers["etag"]
    assert api.client.put(path, json={"description": "two"}, headers={"if-match": f'"zzz", {fresh}'}).status_code == 200
    assert api.client.put(path, json={"description": "any"}, headers={"if-match": "*"}).status_code == 200
    mismatch(api, "PUT", path, "W/" + api.client.get(path).headers["etag"], json={"description": "weak"})
    for nonsense in ('"nonsense"', "nonsense", '""', '"0-0000000000000000"'):
        mismatch(api, "PUT", path, nonsense, json={"description": "no"})
    assert api.ok("GET", path)["description"] == "any"
    assert api.client.delete(path, headers={"if-match": api.client.get(path).headers["etag"]}).status_code == 204
    api.problem("DELETE", path, 404, headers={"if-match": fresh})


def test_of_many_editors_at_once_one_wins(api):
    made = api.company()
    path = f"/api/companies/{made['id']}"
    tag = api.client.get(path).headers["etag"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: api.client.put(path, json={"description": str(n)}, headers={"if-match": tag}), range(8)))
    codes = [answer.status_code for answer in answers]
    assert sorted(codes) == [200] + [412] * 7
    assert api.ok("GET", path)["description"] == str(codes.index(200))


# --- Lists ---

def names(items):
    return [item["name"] for item in items]


@pytest.fixture
def row(api):
    """Seven companies that stand next to each other in the list, and how many stand before them."""
    tag = uuid.uuid4().hex
    made = [api.company(name=f"{tag} {letter}") for letter in "dbgface"]
    items = walk(api, "/api/companies", 1000)
    first = names(items).index(f"{tag} a")
    return tag, first, sorted(made, key=lambda c: c["name"])


def test_list_is_by_name_with_skip_and_limit(api, row):
    tag, first, made = row
    page = api.ok("GET", "/api/companies", params={"skip": first, "limit": 7})
    assert page["items"] == made
    assert set(page) == {"items", "total", "next_page_token"}
    everything = walk(api, "/api/companies", 1000)
    assert page["total"] == len(everything)
    page = api.ok("GET", "/api/companies", params={"skip": first + 2, "limit": 3})
    assert page["items"] == made[2:5] and page["next_page_token"]
    page = api.ok("GET", "/api/companies", params={"skip": len(everything)})
    assert page["items"] == [] and page["next_page_token"] is None and page["total"] == len(everything)
    page = api.ok("GET", "/api/companies", params={"skip": len(everything) - 1, "limit": 1})
    assert len(page["items"]) == 1 and page["next_page_token"] is None


def test_default_limit_is_50(api):
    missing = 51 - api.get("/api/companies").json()["total"]
    for _ in range(missing):
        api.company()
    page = api.ok("GET", "/api/companies")
    assert len(page["items"]) == 50 and page["next_page_token"]


def test_page_token_neither_repeats_nor_skips(api, row):
    tag, first, made = row
    page = api.ok("GET", "/api/companies", params={"skip": first, "limit": 3})
    assert page["items"] == made[:3]
    api.company(name=f"{tag} aa")  # before the place: not seen any more
    api.company(name=f"{tag} da")  # after it: seen once
    api.ok("DELETE", f"/api/companies/{made[2]['id']}", 204)  # the place itself goes
    page = api.ok("GET", "/api/companies", params={"limit": 3, "page_token": page["next_page_token"]})
    assert names(page["items"]) == [f"{tag} {end}" for end in ("d", "da", "e")]
    page = api.ok("GET", "/api/companies", params={"limit": 2, "pageToken": page["next_page_token"]})
    assert names(page["items"]) == [f"{tag} f", f"{tag} g"]


def test_page_token_of_the_longest_names(api):
    tag = uuid.uuid4().hex
    for end in "ab":
        api.company(name=tag + "😀" * 222 + end)
    at = names(walk(api, "/api/companies", 1000)).index(tag + "😀" * 222 + "a")
    page = api.ok("GET", "/api/companies", params={"skip": at, "limit": 1})
    if page["next_page_token"]:
        page = api.ok("GET", "/api/companies", params={"limit": 1, "page_token": page["next_page_token"]})
        assert names(page["items"]) == [tag + "😀" * 222 + "b"]


@pytest.mark.parametrize("parameters, field", [
    ({"limit": "0"}, "limit"), ({"limit": "1001"}, "limit"), ({"limit": "-1"}, "limit"), ({"limit": "abc"}, "limit"),
    ({"limit": "1.5"}, "limit"), ({"limit": ""}, "limit"), ({"limit": "99999999999999999999"}, "limit"),
    ({"skip": "-1"}, "skip"), ({"skip": "100001"}, "skip"), ({"skip": "x"}, "skip"),
    ({"page_token": "garbage"}, "page_token"), ({"page_token": "x" * 3000}, "page_token"),
    ({"page_token": "AAAAAAAAAAAAAAAAAAAAAAAA"}, "page_token"), ({"page_token": "ж"}, "page_token"),
    ({"foo": "1"}, "foo"), ({"name": "x"}, "name"),
])
def test_bad_parameters_of_the_list(api, parameters, field):
    problem = api.problem("GET", "/api/companies", 400, params=parameters)
    assert list(fields(problem)) == [field], problem


def test_limits_at_their_bounds(api):
    for parameters in ({"limit": 1}, {"limit": 1000}, {"skip": 0}, {"skip": 100000}, {"page_token": ""}):
        api.ok("GET", "/api/companies", params=parameters)


def test_one_parameter_twice_and_several_errors(api):
    assert list(fields(api.problem("GET", "/api/companies?limit=1&limit=2", 400))) == ["limit"]
    assert set(fields(api.problem("GET", "/api/companies?limit=0&skip=-1&x=1", 400))) == {"limit", "skip", "x"}


def test_tokens_are_not_exchangeable_nor_forgeable(api, row):
    _, first, made = row
    token = api.ok("GET", "/api/companies", params={"skip": first, "limit": 1})["next_page_token"]
    problem = api.problem("GET", "/api/companies", 400, params={"page_token": token, "skip": 1})
    assert set(fields(problem)) <= {"skip", "page_token"} and problem["errors"]
    for path in ("/api/skillbases", "/api/campaigns", "/api/analytics/calls"):
        assert list(fields(api.problem("GET", path, 400, params={"page_token": token}))) == ["page_token"]
    for at in range(0, len(token), 5):
        forged = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1:]
        answer = api.get("/api/companies", page_token=forged)
        # either it is noticed, or it is another place of the same list: never a failure of the server
        assert answer.status_code in (200, 400), answer.text
    assert list(fields(api.problem("GET", "/api/companies", 400, params={"page_token": token[:-3]}))) == ["page_token"]


# --- DELETE ---

def test_delete_answers_204_without_a_body(api):
    made = api.company()
    answer = api.client.delete(f"/api/companies/{made['id']}")
    assert answer.status_code == 204 and answer.content == b""
    assert "content-type" not in answer.headers and "content-length" not in answer.headers
    api.problem("GET", f"/api/companies/{made['id']}", 404)
    # name and slug are free again
    api.ok("POST", "/api/companies", 201, json={"name": made["name"], "slug": made["slug"]})


def test_delete_takes_what_the_company_owns(api):
    company, other = api.company(), api.company()
    skillbase, kept = api.skillbase(company), api.skillbase(other)
    campaign = api.campaign(company, skillbase)
    api.upload(campaign, "phone_number\n+12015550100\n")
    call = str(uuid.uuid4())
    now = "2026-03-01T10:00:00Z"
    api.ok("POST", f"/api/analytics/calls/{call}/events", json={"events": [
        {"seq": 1, "occurred_at": now, "started": {"company_id": company["id"], "skillbase_id": skillbase["id"], "campaign_id": campaign["id"]}},
        {"seq": 2, "occurred_at": now, "finished": {"status": "completed"}}]})
    api.ok("GET", f"/api/analytics/calls/{call}")
    api.ok("DELETE", f"/api/companies/{company['id']}", 204)
    for path in (f"/api/skillbases/{skillbase['id']}", f"/api/campaigns/{campaign['id']}", f"/api/analytics/calls/{call}"):
        api.problem("GET", path, 404)
    assert api.ok("GET", f"/api/skillbases/{kept['id']}") == kept
