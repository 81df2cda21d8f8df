"""API keys: made, shown once, used over REST, gRPC and WebSocket, and over at the latest when --auth-recheck is."""

import json
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import grpc
import httpx
import pytest
import websockets

from agents import psql
from conftest import check_problem, fields, wait_until
from reflected import Reflected
from secured import Issuer, as_who, asking, bearer
from test_access import watch, wrong_tokens

CODE = grpc.StatusCode
KEY = re.compile(r"dpk_[0-9a-f]{16}_[A-Za-z0-9_-]{43}")
LIST = "dialplane.v1.CompanyService/ListCompanies"


@pytest.fixture(scope="module")
def issuer():
    return Issuer()


@pytest.fixture(scope="module")
def closed(issuer, tmp_path_factory):
    """A platform that asks who you are, and looks again each second."""
    with asking(issuer, tmp_path_factory.mktemp("keys"), DIALPLANE_AUTH_RECHECK="1s") as platform:
        yield platform


@pytest.fixture(scope="module")
def root(closed, issuer):
    return as_who(closed, issuer.token("platform"))


@pytest.fixture(scope="module")
def company(root):
    return root.company()


@pytest.fixture(scope="module")
def admin(closed, issuer, company):
    return as_who(closed, issuer.token("admin", company["id"]))


def make(api, company, *roles, status=201, **values):
    body = {"name": "CRM", "roles": list(roles), **values}
    return api.ok("POST", f"/api/companies/{company['id']}/api-keys", status, json=body)


def rfc3339(moment):
    return moment.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def status_of(closed, key, path="/api/companies"):
    return httpx.get(f"{closed.url}{path}", headers=bearer(key)).status_code


# --- The resource -----------------------------------------------------------------------------------------------------

def test_shown_once(closed, admin, company):
    path = f"/api/companies/{company['id']}/api-keys"
    answer = admin.request("POST", path, json={"name": "CRM", "roles": ["viewer", "agent"]})
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["location"] == f"{path}/{made['id']}"
    assert KEY.fullmatch(made["key"]) and made["key"].startswith(made["prefix"] + "_") and len(made["prefix"]) == 20
    assert made["company_id"] == company["id"] and sorted(made["roles"]) == ["agent", "viewer"]
    assert made["expires_at"] is None and made["last_used_at"] is None and made["created_by"] == "admin@example.com"
    again = admin.ok("GET", f"{path}/{made['id']}")
    assert again == {**made, "key": None}
    listed = admin.ok("GET", path)
    assert again in listed["items"] and made["key"] not in json.dumps(listed)
    # what is stored does not give it back, and no process has said it
    assert made["prefix"] in psql(closed, "select string_agg(t::text, ' ') from api_keys t")
    secret = made["key"][21:]
    assert secret not in psql(closed, "select string_agg(t::text, ' ') from api_keys t")
    assert status_of(closed, made["key"]) == 200
    for process in ("gateway", "skillbase", "campaign", "analytics", "postgres"):
        assert secret not in closed.log(process if process == "postgres" else f"dialplane-{process}"), process


def test_grants(closed, admin, company):
    """What a key may besides its roles: shown, listed, written down; none where nobody has said so, as in keys of before."""
    path = f"/api/companies/{company['id']}/api-keys"
    made = make(admin, company, "viewer", grants=["phones"])
    assert made["grants"] == ["phones"]
    assert admin.ok("GET", f"{path}/{made['id']}")["grants"] == ["phones"]
    plain = make(admin, company, "viewer")
    assert plain["grants"] == [] and make(admin, company, "manager", grants=[])["grants"] == []
    by_id = {item["id"]: item["grants"] for item in admin.ok("GET", path)["items"]}
    assert by_id[made["id"]] == ["phones"] and by_id[plain["id"]] == []
    entry, = admin.ok("GET", f"/api/companies/{company['id']}/audit", params={"kind": "api_key", "resource_id": made["id"]})["items"]
    assert entry["after"]["grants"] == ["phones"]
    admin.ok("DELETE", f"{path}/{made['id']}", 204)
    gone = admin.ok("GET", f"/api/companies/{company['id']}/audit", params={"resource_id": made["id"], "action": "delete"})["items"]
    assert gone[0]["before"]["grants"] == ["phones"]
    # a row as the version before wrote it
    old = str(uuid.uuid4())
    psql(closed, "insert into api_keys (id, company_id, name, roles, prefix, secret_hash, created_by, created_at) values "
                 f"('{old}', '{company['id']}', 'old', array['viewer'], 'dpk_{uuid.uuid4().hex[:16]}', sha256('{old}'), 'test', now())")
    assert admin.ok("GET", f"{path}/{old}")["grants"] == []


def test_wrong_grants(closed, admin, issuer, company):
    """Each names the field and says what would be right; nothing is made."""
    path = f"/api/companies/{company['id']}/api-keys"
    before = admin.ok("GET", path)["total"]
    for grants, field in ((["everything"], "grants[0]"), (["phones", "phones"], "grants"), ("phones", "grants"), ([0], "grants[0]"), ([9], "grants[0]"),
                          ([{"phones": True}], "grants[0]"), ([None], "grants[0]"), (["phones", "names"], "grants[1]")):
        said = fields(admin.problem("POST", path, 400, json={"name": "n", "roles": ["viewer"], "grants": grants}))
        assert any(name.startswith(field) for name in said), (grants, said)
        if grants in (["everything"], [0], [9]):
            assert "phones" in said["grants[0]"], (grants, said)
    # all that is wrong at once
    said = fields(admin.problem("POST", path, 400, json={"name": " ", "roles": [0], "grants": [0]}))
    assert {"name", "roles[0]", "grants[0]"} <= set(said), said
    # over gRPC any number gets through to the service
    with Reflected(closed.skillbase) as client:
        for number in (0, 9):
            with pytest.raises(grpc.RpcError) as caught:
                client.call("dialplane.v1.ApiKeyService/CreateApiKey", {"company_id": company["id"], "api_key": {
                    "name": "n", "roles": ["API_KEY_ROLE_VIEWER"], "grants": [number]}}, metadata=[("authorization", f"Bearer {issuer.token('admin', company['id'])}")])
            assert caught.value.code() == CODE.INVALID_ARGUMENT and "phones" in client.fields(caught.value)["api_key.grants[0]"], number
    assert admin.ok("GET", path)["total"] == before
    # who may make no keys, grants nothing either
    for role in ("manager", "viewer", "agent"):
        who = as_who(closed, issuer.token(role, company["id"], grants=["phones"]))
        assert who.problem("POST", path, 403, json={"name": "n", "roles": ["viewer"], "grants": ["phones"]})["reason"] == "ROLE_NOT_ALLOWED"


def test_pages(root, issuer, closed):
    company = root.company()
    path = f"/api/companies/{company['id']}/api-keys"
    assert root.ok("GET", path) == {"items": [], "total": 0, "next_page_token": None}
    made = [make(root, company, "viewer", name=f"key {n}")["id"] for n in range(5)]
    seen, token = [], None
    while True:
        page = root.ok("GET", path, params={"limit": 2, **({"page_token": token} if token else {})})
        assert page["total"] == 5 and len(page["items"]) <= 2
        seen += [item["id"] for item in page["items"]]
        token = page["next_page_token"]
        if not token:
            break
    assert seen == made[::-1]
    assert [item["id"] for item in root.ok("GET", path, params={"skip": 3})["items"]] == made[1::-1]
    other = root.company()
    first = root.ok("GET", path, params={"limit": 2})["next_page_token"]
    assert "page_token" in fields(root.problem("GET", f"/api/companies/{other['id']}/api-keys", 400, params={"page_token": first}))


def test_wrong_requests(admin, root, company):
    path = f"/api/companies/{company['id']}/api-keys"
    nothing = str(uuid.uuid4())
    assert set(fields(admin.problem("POST", path, 400, json={}))) >= {"name", "roles"}
    for body, field in (({"name": " ", "roles": ["viewer"]}, "name"), ({"name": "n" * 101, "roles": ["viewer"]}, "name"),
                        ({"name": "n", "roles": []}, "roles"), ({"name": "n", "roles": ["god"]}, "roles"),
                        ({"name": "n", "roles": ["viewer", "viewer"]}, "roles"), ({"name": "n", "roles": [0]}, "roles"), ({"name": "n", "roles": [9]}, "roles"),
                        ({"name": "n", "roles": "viewer"}, "roles"),
                        ({"name": "n", "roles": ["viewer"], "expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
                        ({"name": "n", "roles": ["viewer"], "scope": "all"}, "scope")):
        problem = admin.problem("POST", path, 400, json=body)
        assert any(error["field"].startswith(field) for error in problem["errors"]), (body, problem)
    assert "roles" in fields(root.problem("POST", path, 400, json={"name": "n", "roles": ["platform", "viewer"]}))
    admin.problem("GET", f"{path}/{nothing}", 404)
    admin.problem("DELETE", f"{path}/{nothing}", 404)
    for verb, where in (("GET", ""), ("POST", "")):
        body = {"json": {"name": "n", "roles": ["viewer"]}} if verb == "POST" else {}
        root.problem(verb, f"/api/companies/{nothing}/api-keys{where}", 404, **body)


def test_who_may_make_what(closed, issuer, admin, root, company):
    """An administrator gives what is within the company; only the platform's own give `platform`, and nobody else anything."""
    path = f"/api/companies/{company['id']}/api-keys"
    problem = admin.problem("POST", path, 403, json={"name": "n", "roles": ["platform"]})
    assert problem["reason"] == "ROLE_NOT_YOURS"
    for role in ("manager", "viewer", "agent"):
        who = as_who(closed, issuer.token(role, company["id"]))
        who.problem("GET", path, 403)
        assert who.problem("POST", path, 403, json={"name": "n", "roles": [role]})["reason"] == "ROLE_NOT_ALLOWED"
    # another company's: as if there were nothing
    other = root.company()
    theirs = make(root, other, "viewer")
    there, nowhere = (admin.problem("GET", f"/api/companies/{id}/api-keys", 404) for id in (other["id"], str(uuid.uuid4())))
    assert there["detail"].replace(other["id"], "") == re.sub(r"[0-9a-f-]{36}", "", nowhere["detail"])
    admin.problem("POST", f"/api/companies/{other['id']}/api-keys", 404, json={"name": "n", "roles": ["viewer"]})
    for where in (f"/api/companies/{other['id']}/api-keys/{theirs['id']}", f"{path}/{theirs['id']}"):
        admin.problem("GET", where, 404)
        admin.problem("DELETE", where, 404)
    # a platform key works across companies
    across = make(root, company, "platform")
    assert {item["id"] for item in as_who(closed, across["key"]).ok("GET", "/api/companies", params={"limit": 1000})["items"]} >= {company["id"], other["id"]}


def test_a_key_that_makes_keys(closed, admin, company):
    """What a key makes ends with it at the latest."""
    end = datetime.now(timezone.utc) + timedelta(hours=1)
    maker = make(admin, company, "admin", expires_at=rfc3339(end))
    api = as_who(closed, maker["key"])
    made = make(api, company, "viewer")
    assert made["expires_at"] == maker["expires_at"] and made["created_by"] == maker["prefix"]
    later = {"name": "n", "roles": ["viewer"], "expires_at": rfc3339(end + timedelta(hours=1))}
    assert "expires_at" in fields(api.problem("POST", f"/api/companies/{company['id']}/api-keys", 400, json=later))


def test_not_more_than_a_thousand(closed, root):
    company = root.company()
    psql(closed, "insert into api_keys (id, company_id, name, roles, prefix, secret_hash, created_by, created_at) select gen_random_uuid(), "
                 f"'{company['id']}', 'n', array['viewer'], 'dpk_x' || n, sha256(n::text::bytea), 'test', now() from generate_series(1, 1000) n")
    problem = root.problem("POST", f"/api/companies/{company['id']}/api-keys", 409, json={"name": "n", "roles": ["viewer"]})
    assert problem["reason"] == "TOO_MANY_API_KEYS"


# --- Use --------------------------------------------------------------------------------------------------------------

def test_everywhere_a_token_works(closed, root, admin, company, issuer):
    """Each service verifies for itself: over REST, over gRPC without the gateway, over a WebSocket in both forms; with the roles of the key."""
    key = make(admin, company, "viewer")["key"]
    for path in ("/api/companies", "/api/campaigns", "/api/analytics/calls"):
        assert status_of(closed, key, path) == 200, path
    for address, method in ((closed.skillbase, LIST), (closed.campaign, "dialplane.v1.CampaignService/ListCampaigns"),
                            (closed.analytics, "dialplane.v1.AnalyticsService/ListCalls")):
        with Reflected(address) as client:
            assert client.call(method, metadata=[("authorization", f"Bearer {key}")])["items"] is not None
    items = as_who(closed, key).ok("GET", "/api/companies")["items"]
    assert [item["id"] for item in items] == [company["id"]]
    as_who(closed, key).problem("GET", f"/api/companies/{root.company()['id']}", 404)
    problem = as_who(closed, key).problem("PUT", f"/api/companies/{company['id']}", 403, json={"description": "x"})
    assert problem["reason"] == "ROLE_NOT_ALLOWED" and "API key" in problem["detail"]
    url = f"ws://{closed.http}/api/analytics/ws/live?company_id={company['id']}"
    assert watch(url, extra_headers=bearer(key))[1][0]["type"] == "init"
    protocol, messages, _ = watch(url, subprotocols=["bearer", key])
    assert protocol == "bearer" and messages[0]["type"] == "init"
    # a client-streaming call waits for the key as well
    manager = make(admin, company, "manager")["key"]
    campaign = root.campaign(company, root.skillbase(company))
    for who, status in ((manager, 200), (key, 403)):
        answer = httpx.post(f"{closed.url}/api/campaigns/{campaign['id']}/call-list", headers={**bearer(who), "content-type": "text/csv"},
                            content=b"phone_number\n+12015550123\n")
        assert answer.status_code == status, answer.text


def wrong_keys(good):
    prefix, secret = good[:20], good[21:]
    flipped = ("A" if secret[0] != "A" else "B") + secret[1:]
    return {
        "another secret": (f"{prefix}_{flipped}", "KEY_UNKNOWN"),
        "nobody's": (f"dpk_{'0' * 16}_{secret}", "KEY_UNKNOWN"),
        "cut": (good[:-1], "KEY_MALFORMED"),
        "the prefix alone": (prefix, "KEY_MALFORMED"),
        "longer": (good + "A", "KEY_MALFORMED"),
        "upper case": (f"{prefix.upper().replace('DPK', 'dpk')[:-1]}F_{secret}", "KEY_MALFORMED"),
        "sql": (f"dpk_' or 1=1 --    _{secret}", "KEY_MALFORMED"),
        "oversized": ("dpk_" + "a" * 4000, "KEY_MALFORMED"),
        "more than is read": ("dpk_" + "a" * 6000, "TOKEN_TOO_LARGE"),
        "a ticket's form": (f"dpt_{secret}", "TOKEN_MALFORMED"),
    }


def test_wrong_keys(closed, admin, company):
    """401 over all three ways, without a part of what was shown, and the same for a wrong secret as for a key that nobody has."""
    good = make(admin, company, "viewer")["key"]
    said = {}
    url = f"ws://{closed.http}/api/analytics/ws/live?company_id={company['id']}"
    with Reflected(closed.skillbase) as client:
        for name, (key, reason) in wrong_keys(good).items():
            problem = check_problem(httpx.get(f"{closed.url}/api/companies", headers=bearer(key)))
            assert problem["status"] == 401 and problem["reason"] == reason, (name, problem)
            assert good[21:] not in json.dumps(problem)
            said[name] = problem["detail"]
            if len(key) < 4000:
                with pytest.raises(grpc.RpcError) as caught:
                    client.call(LIST, metadata=[("authorization", f"Bearer {key}")])
                assert caught.value.code() == CODE.UNAUTHENTICATED and client.reason(caught.value) == reason, name
            if len(key) < 100 and " " not in key and "'" not in key:
                _, messages, closing = watch(url, until=2, subprotocols=["bearer", key])
                assert closing == 4401 and [message["type"] for message in messages] == ["error"], (name, messages, closing)
        with pytest.raises(grpc.RpcError) as caught:
            client.call(LIST, metadata=[("authorization", f"Bearer {good}"), ("authorization", f"Bearer {good}")])
        assert caught.value.code() == CODE.UNAUTHENTICATED
    assert said["another secret"] == said["nobody's"]


def test_wrong_tokens_over_a_websocket(closed, issuer, company):
    """What REST and gRPC refuse (test_access.py), this refuses as well: 401 before the upgrade or 4401 after it, and nothing else comes."""
    url = f"ws://{closed.http}/api/analytics/ws/live?company_id={company['id']}"
    for name, (token, _) in wrong_tokens(issuer).items():
        try:
            _, messages, closing = watch(url, until=2, extra_headers=bearer(token))
        except websockets.InvalidStatusCode as refused:
            assert refused.status_code == 401, name
        else:
            assert closing == 4401 and [message["type"] for message in messages] == ["error"], (name, messages, closing)
            assert not any(len(part) > 4 and part in json.dumps(messages) for part in token.split(".")), name


def test_revoked(closed, admin, company):
    """Refused within the second of --auth-recheck and some, everywhere; streams end too, and those of other keys do not."""
    made, other = make(admin, company, "viewer"), make(admin, company, "viewer")
    assert all(status_of(closed, made["key"], path) == 200 for path in ("/api/companies", "/api/campaigns", "/api/analytics/calls"))
    live = f"{closed.url}/api/analytics/live?company_id={company['id']}"
    accept = {"Accept": "application/x-ndjson"}
    with httpx.stream("GET", live, headers={**accept, **bearer(other["key"])}, timeout=60) as goes_on:
        lines = goes_on.iter_lines()
        assert json.loads(next(lines))["type"] == "init"
        with httpx.stream("GET", live, headers={**accept, **bearer(made["key"])}, timeout=60) as ends:
            got = ends.iter_lines()
            assert json.loads(next(got))["type"] == "init"
            admin.ok("DELETE", f"/api/companies/{company['id']}/api-keys/{made['id']}", 204)
            last = json.loads([line for line in got][-1])
            assert last["error"]["code"] == "UNAUTHENTICATED" and last["error"]["reason"] == "KEY_UNKNOWN", last
        assert json.loads(next(lines))["type"] == "figures"
    for path in ("/api/companies", "/api/campaigns", "/api/analytics/calls"):
        wait_until(lambda path=path: status_of(closed, made["key"], path) == 401, what=f"the end of the key at {path}")
    problem = check_problem(httpx.get(f"{closed.url}/api/companies", headers=bearer(made["key"])))
    assert problem["reason"] == "KEY_UNKNOWN"
    admin.problem("DELETE", f"/api/companies/{company['id']}/api-keys/{made['id']}", 404)


def test_expired(closed, admin, company):
    """A key ends at its time, and its streams with it."""
    made = make(admin, company, "viewer", expires_at=rfc3339(datetime.now(timezone.utc) + timedelta(seconds=8)))
    live = f"{closed.url}/api/analytics/live?company_id={company['id']}"
    with httpx.stream("GET", live, headers={"Accept": "application/x-ndjson", **bearer(made["key"])}, timeout=60) as answer:
        last = json.loads([line for line in answer.iter_lines()][-1])
    last = last.get("error", last)  # a machine that is slower than that says it at once
    assert last["reason"] == "KEY_EXPIRED" and "expired" in last["detail"]
    wait_until(lambda: status_of(closed, made["key"]) == 401, what="its end")
    assert check_problem(httpx.get(f"{closed.url}/api/companies", headers=bearer(made["key"])))["reason"] == "KEY_EXPIRED"


def test_last_used(closed, admin, company):
    """Written at the first use and then once a minute, not with each request; the row of the key does not change by it."""
    made = make(admin, company, "viewer")
    path = f"/api/companies/{company['id']}/api-keys/{made['id']}"
    before = psql(closed, f"select xmin from api_keys where id = '{made['id']}'")
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: status_of(closed, made["key"]), range(50))) == {200}
    used = wait_until(lambda: admin.ok("GET", path)["last_used_at"], what="its use")
    version = psql(closed, f"select xmin from api_key_uses where api_key_id = '{made['id']}'")
    for place in ("/api/companies", "/api/campaigns", "/api/analytics/calls"):
        assert status_of(closed, made["key"], place) == 200
    assert admin.ok("GET", path)["last_used_at"] == used
    assert psql(closed, f"select xmin from api_key_uses where api_key_id = '{made['id']}'") == version
    assert psql(closed, f"select xmin from api_keys where id = '{made['id']}'") == before
    # a minute later it would be: seen by the statement alone, without waiting for a minute
    psql(closed, f"update api_key_uses set last_used_at = last_used_at - interval '61 seconds' where api_key_id = '{made['id']}'")
    closed.restart("dialplane-skillbase")
    wait_until(lambda: status_of(closed, made["key"]) == 200, what="the service that is back")
    wait_until(lambda: admin.ok("GET", path)["last_used_at"] >= used, what="the later use")


# --- Companies that are gone ------------------------------------------------------------------------------------------

def test_tokens_of_a_deleted_company(closed, issuer, root):
    """401, and not a 404 that would say what was there; the same for a company that never was. Keys and streams go too."""
    company = root.company()
    token = issuer.token("viewer", company["id"])
    key = make(root, company, "viewer")["key"]
    assert status_of(closed, token) == status_of(closed, key) == 200
    live = f"{closed.url}/api/analytics/live?company_id={company['id']}"
    with httpx.stream("GET", live, headers={"Accept": "application/x-ndjson", **bearer(token)}, timeout=60) as answer:
        lines = answer.iter_lines()
        assert json.loads(next(lines))["type"] == "init"
        root.ok("DELETE", f"/api/companies/{company['id']}", 204)
        last = json.loads([line for line in lines][-1])
        # either of the two that look each second was first
        assert last["error"]["code"] == "NOT_FOUND" or last["error"]["reason"] == "TOKEN_COMPANY_GONE", last
    wait_until(lambda: status_of(closed, token) == status_of(closed, key) == 401, what="the end of what was the company's")
    never = issuer.token("viewer", str(uuid.uuid4()))
    problems = [check_problem(httpx.get(f"{closed.url}/api/companies", headers=bearer(each))) for each in (token, never)]
    assert [problem["reason"] for problem in problems] == ["TOKEN_COMPANY_GONE"] * 2 and problems[0]["detail"] == problems[1]["detail"]
    for address, method in ((closed.skillbase, LIST), (closed.campaign, "dialplane.v1.CampaignService/ListCampaigns"),
                            (closed.analytics, "dialplane.v1.AnalyticsService/ListCalls")):
        with Reflected(address) as client:
            with pytest.raises(grpc.RpcError) as caught:
                client.call(method, metadata=[("authorization", f"Bearer {never}")])
            assert caught.value.code() == CODE.UNAUTHENTICATED and client.reason(caught.value) == "TOKEN_COMPANY_GONE"
    _, messages, closing = watch(f"ws://{closed.http}/api/analytics/ws/live?company_id={company['id']}", until=2, subprotocols=["bearer", token])
    assert closing == 4401 and [message["type"] for message in messages] == ["error"]


# --- The database is away ---------------------------------------------------------------------------------------------

def test_without_the_database(closed, admin, company, issuer):
    """Who cannot be looked up is told to come back (503), not that he is nobody; and is let in when the database is back."""
    made = make(admin, company, "viewer")
    assert status_of(closed, made["key"]) == 200
    closed.postgres("stop")
    try:
        def refused():
            answer = httpx.get(f"{closed.url}/api/companies", headers=bearer(made["key"]), timeout=30)
            return answer if answer.status_code == 503 and "looked up" in answer.text else None
        answer = wait_until(refused, what="503")
        assert int(answer.headers["retry-after"]) >= 1
    finally:
        closed.postgres("start")
    wait_until(lambda: status_of(closed, made["key"]) == 200, 60, "the key is good again")


# --- The command line -------------------------------------------------------------------------------------------------

def test_the_command_line(closed, issuer, company, tmp_path):
    from test_cli import DENIED, INVALID, Cli
    cli = Cli(closed.http, tmp_path)
    admin = {"DIALPLANE_TOKEN": issuer.token("admin", company["id"])}
    made = cli.json("key", "create", company["id"], "--name", "from the shell", "--roles", "viewer", environment=admin)
    assert KEY.fullmatch(made["key"]) and made["grants"] == []
    granted = cli.json("key", "create", company["id"], "--name", "sees phones", "--roles", "viewer", "--grants", "phones", environment=admin)
    assert granted["grants"] == ["phones"]
    assert cli.json("key", "get", company["id"], granted["id"], environment=admin)["grants"] == ["phones"]
    assert "phones" in cli.run("key", "get", company["id"], granted["id"], environment=admin).stdout
    table = cli.run("key", "list", company["id"], environment=admin).stdout
    assert "GRANTS" in table.splitlines()[0]
    assert ["phones" in line for line in table.splitlines() if granted["id"] in line or made["id"] in line] == [True, False]
    refused = cli.wrong("key", "create", company["id"], "--name", "n", "--roles", "viewer", "--grants", "everything", environment=admin, status=INVALID)
    assert "grants" in refused and "phones" in refused
    assert cli.json("company", "get", company["id"], environment={"DIALPLANE_TOKEN": made["key"]})["id"] == company["id"]
    listed = cli.json("key", "list", company["id"], environment=admin)
    assert made["id"] in json.dumps(listed) and made["key"] not in json.dumps(listed)
    assert cli.wrong("key", "list", company["id"], environment={"DIALPLANE_TOKEN": made["key"]}, status=DENIED)
    cli.run("key", "revoke", company["id"], made["id"], "--yes", environment=admin)
    wait_until(lambda: status_of(closed, made["key"]) == 401, what="its end")
