"""/api/companies/{id}/audit: one entry for each change, by whom and from where, before and after, in the transaction of the change."""

import csv
import io
import json
import subprocess
import uuid

import grpc
import pytest

from agents import psql
from clients import NOBODY, REFUSED_ON_PURPOSE, TIME, UUID, walk
from conftest import SKILLBASE_CONFIG, Api, Platform, fields, wait_until
from reflected import Reflected
from test_skillbases import body, small

KEYS = ["id", "company_id", "at", "actor", "address", "request_id", "kind", "resource_id", "action", "before", "after"]
# With authentication off everybody is the administrator.
ACTOR = "administrator"


@pytest.fixture
def company(api):
    return api.company()


def entries(api, company, **filters):
    """Newest first."""
    return api.ok("GET", f"/api/companies/{company['id']}/audit", params={"limit": 1000, **filters})["items"]


class Watcher:
    """What an action adds to a company's log."""

    def __init__(self, api, company):
        self.api, self.company = api, company
        self.seen = len(entries(api, company))

    def new(self):
        found = entries(self.api, self.company)
        added = found[:len(found) - self.seen]
        self.seen = len(found)
        return added

    def one(self, kind, action, resource=None):
        added = self.new()
        assert [(entry["kind"], entry["action"]) for entry in added] == [(kind, action)], added
        assert resource is None or added[0]["resource_id"] == resource
        return added[0]


@pytest.fixture
def log(api, company):
    return Watcher(api, company)


# --- Kinds of changes -------------------------------------------------------------------------------------------------

def test_a_company(api):
    unique = uuid.uuid4().hex
    answer = api.client.post("/api/companies", json={"name": unique, "slug": unique, "settings": {"a": {"b": 1, "c": 2}}}, headers={"x-request-id": f"r-{unique}"})
    company = answer.json()
    log = Watcher(api, company)
    made, = entries(api, company)
    assert list(made) == KEYS and UUID.fullmatch(made["id"]) and TIME.fullmatch(made["at"])
    assert (made["actor"], made["request_id"]) == (ACTOR, f"r-{unique}")
    assert made["address"] == "127.0.0.1"  # the client's, as the gateway says it, however the gateway calls the service
    assert (made["company_id"], made["kind"], made["resource_id"], made["action"]) == (company["id"], "company", company["id"], "create")
    assert made["before"] is None
    assert made["after"] == {"name": unique, "slug": unique, "description": None, "settings": {"a": {"b": 1, "c": 2}}, "limits": {}, "is_active": True}
    # only what differs, to any depth
    api.ok("PUT", f"/api/companies/{company['id']}", json={"description": "d", "settings": {"a": {"b": 1, "c": 3}, "n": None}})
    changed = log.one("company", "update", company["id"])
    assert changed["before"] == {"description": None, "settings": {"a": {"c": 2}}}
    assert changed["after"] == {"description": "d", "settings": {"a": {"c": 3}, "n": None}}
    # no change, no entry; a failed one neither
    api.ok("PUT", f"/api/companies/{company['id']}", json={"description": "d"})
    api.problem("PUT", f"/api/companies/{company['id']}", 400, json={"slug": "No"})
    api.problem("PUT", f"/api/companies/{company['id']}", 409, json={"name": api.company()["name"]})
    api.problem("PUT", f"/api/companies/{company['id']}", 412, json={"description": "e"}, headers={"if-match": '"0-0"'})
    assert not log.new()


def test_a_skillbase(api, company, log):
    config = small(tools=[{"name": "crm", "config": {"url": "https://crm", "api_key": "k-1"}}, {"name": "x", "config": {}}])
    skillbase = api.ok("POST", "/api/skillbases", 201, json=body(company, config=config))
    where = f"/api/skillbases/{skillbase['id']}"
    made = log.one("skillbase", "create", skillbase["id"])
    assert made["before"] is None and made["after"]["version"] == 1 and made["after"]["config"]["llm"]["model"] == "m"
    # the names of a tool's settings, no value
    assert made["after"]["config"]["tools"]["crm"]["config"] == {"url": "***", "api_key": "***"}
    config["tools"].reverse()
    config["tools"][1]["config"]["url"] = "https://other"
    config["llm"]["model"] = "m2"
    api.ok("PUT", where, json={"config": config, "is_published": True})
    changed = log.one("skillbase", "update")
    assert changed["before"] == {"version": 1, "is_published": False, "config": {"llm": {"model": "m"}, "tools": {"crm": {"config": {"url": "***"}}}}}
    assert changed["after"] == {"version": 2, "is_published": True, "config": {"llm": {"model": "m2"}, "tools": {"crm": {"config": {"url": "***"}}}}}
    api.ok("POST", f"{where}/rollback", json={"version": 1})
    assert log.one("skillbase", "update")["after"] == {"version": 3, "config": {"llm": {"model": "m"}, "tools": {"crm": {"config": {"url": "***"}}}}}
    api.ok("POST", f"{where}/rollback", json={"version": 1})
    api.ok("POST", "/api/skillbases/validate", json={"config": config})
    api.problem("POST", "/api/skillbases", 409, json=body(company, slug=skillbase["slug"]))
    assert not log.new()
    campaign = api.campaign(company, skillbase)
    log.one("campaign", "create", campaign["id"])
    # what goes with it has its own entry
    api.ok("DELETE", where, 204)
    assert {(entry["kind"], entry["action"], entry["resource_id"]) for entry in log.new()} == {
        ("skillbase", "delete", skillbase["id"]), ("campaign", "delete", campaign["id"])}


def test_what_is_long_is_left_out(api, company, log):
    """Before and after are bounded, whatever is changed."""
    long = small(context={"role": "r", "style": "s", "facts": ["f" * 2000] * 200}, flow={"type": "linear", "states": [
        {"id": f"s{i}", "prompt": "p" * 5000} for i in range(20)]}, tools=[{"name": f"t{i}", "config": {f"k{j}": "v" * 100 for j in range(90)}} for i in range(20)])
    api.ok("POST", "/api/skillbases", 201, json=body(company, config=long))
    made = log.one("skillbase", "create")
    assert len(json.dumps(made)) < 40000
    assert made["after"]["name"] == "Salon" and made["after"]["config"]["omitted_bytes"] > 1000
    api.ok("PUT", f"/api/skillbases/{made['resource_id']}", json={"config": {**long, "context": {**long["context"], "facts": []}}})
    changed = log.one("skillbase", "update")
    assert changed["before"] == {"version": 1, "config": {"context": {"facts": {"omitted_bytes": 400800}}}}
    for n in range(60):  # the page ends earlier than `limit` rather than outgrow a message
        api.ok("PUT", f"/api/companies/{company['id']}", json={"settings": {f"k{i}": f"{n:02}" * 700 for i in range(11)}})
    first = api.ok("GET", f"/api/companies/{company['id']}/audit", params={"limit": 1000})
    assert 10 < len(first["items"]) < 63 and first["next_page_token"] and first["total"] == 63
    second = api.ok("GET", f"/api/companies/{company['id']}/audit", params={"limit": 1000, "page_token": first["next_page_token"]})
    assert not {entry["id"] for entry in first["items"]} & {entry["id"] for entry in second["items"]}


def test_a_campaign(api, company, log):
    campaign = api.campaign(company, api.skillbase(company))
    where = f"/api/campaigns/{campaign['id']}"
    log.new()
    api.ok("PUT", where, json={"calls_per_minute": 7, "retry_policy": {"busy": {"delay_minutes": 5}}})
    changed = log.one("campaign", "update", campaign["id"])
    assert changed["before"]["calls_per_minute"] == 60000 and changed["after"]["calls_per_minute"] == 7 and "name" not in changed["after"]
    api.problem("POST", f"{where}/start", 409)
    assert not log.new()
    api.upload(campaign, "phone_number,name\n+12015550100,Ann\n+12015550101,Bob\nnobody,Cid\n")
    begun, ended = reversed(log.new())
    assert (begun["kind"], begun["action"], begun["actor"]) == ("upload", "create", ACTOR) and begun["after"]["campaign_id"] == campaign["id"]
    assert (ended["action"], ended["resource_id"], ended["actor"]) == ("complete", begun["resource_id"], ACTOR)
    assert (ended["after"]["total"], ended["after"]["created"], ended["after"]["error_count"]) == (3, 2, 1)
    assert not any(word in json.dumps([begun, ended]) for word in ("555", "Ann"))
    for action, status in (("start", "running"), ("pause", "paused"), ("start", "running"), ("cancel", "cancelled")):
        api.ok("POST", f"{where}/{action}")
        moved = log.one("campaign", action, campaign["id"])
        assert moved["after"]["status"] == status and moved["actor"] == ACTOR
    api.problem("POST", f"{where}/cancel", 409)
    api.ok("DELETE", where, 204)
    assert log.one("campaign", "delete")["after"] is None


def test_an_upload_that_is_undone_or_fails(api, company, log):
    campaign = api.campaign(company, api.skillbase(company))
    log.new()
    upload = api.upload(campaign, "phone_number\n+12015550100\n")["upload_id"]
    log.new()
    api.ok("DELETE", f"/api/campaigns/{campaign['id']}/uploads/{upload}", 204)
    undone = log.one("upload", "undo", upload)
    assert undone["before"]["state"] == "completed" and undone["after"]["state"] == "undone"
    api.problem("POST", f"/api/campaigns/{campaign['id']}/call-list", 400, content=b"name\nAnn\n", headers={"content-type": "text/csv"})
    added = log.new()
    assert [entry["action"] for entry in added if entry["kind"] == "upload"] in ([], ["fail", "create"])
    # worked through later, by nobody's request
    answer = api.client.post(f"/api/campaigns/{campaign['id']}/call-list", content=b"phone_number\n+12015550101\n",
                             headers={"content-type": "text/csv", "prefer": "respond-async"})
    assert answer.status_code == 202
    wait_until(lambda: entries(api, company, kind="upload", action="complete", resource_id=answer.json()["upload_id"]), what="the upload")


def test_numbers_that_may_not_be_called(api, company, log):
    where = f"/api/companies/{company['id']}/suppressions"
    one = api.ok("POST", where, 201, json={"phone_number": "+12015550199", "reason": "Ann asked"})
    made = log.one("suppression", "create", one["id"])
    assert made["after"] == {"pattern": "+1•••0199", "is_prefix": False, "source": "manual"}
    api.problem("POST", where, 409, json={"phone_number": "+12015550199"})
    assert not log.new()
    api.ok("POST", where, 201, json={"prefix": "+4990"})
    assert log.one("suppression", "create")["after"]["pattern"] == "+4990"
    api.ok("DELETE", f"{where}/{one['id']}", 204)
    assert log.one("suppression", "delete", one["id"])["before"]["pattern"] == "+1•••0199"
    # a file is one entry
    rows = "".join(f"+1201555{n:04}\n" for n in range(300))
    api.ok("POST", f"{where}/upload", content=f"phone_number\n{rows}nobody\n".encode(), headers={"content-type": "text/csv"})
    uploaded = log.one("suppression", "upload")
    assert uploaded["resource_id"] is None and uploaded["actor"] == ACTOR
    assert uploaded["after"] == {"total": 301, "created": 300, "error_count": 1, "suppressed_tasks": 0}
    api.problem("POST", f"{where}/upload", 400, content=b"name\nAnn\n", headers={"content-type": "text/csv"})
    assert not log.new()


def test_prices(api, company, log):
    where = f"/api/companies/{company['id']}/prices"
    prices = {"stt_minute": 0.0043, "llm_million_input_tokens": 0.05, "llm_million_output_tokens": 0.08, "tts_thousand_characters": 0.015, "livekit_minute": 0.004}
    made = api.ok("POST", where, json={**prices, "valid_from": "2099-01-01T00:00:00Z"}, status=api_status(api, where))
    assert log.one("price_list", "create", made["id"])["after"] == {**prices, "valid_from": "2099-01-01T00:00:00.000000Z"}
    api.ok("POST", where, json={**prices, "stt_minute": 1, "valid_from": "2099-01-01T00:00:00Z"}, status=api_status(api, where))
    changed = log.one("price_list", "update", made["id"])
    assert (changed["before"], changed["after"]) == ({"stt_minute": 0.0043}, {"stt_minute": 1})
    api.ok("DELETE", f"{where}/{made['id']}", 204)
    log.one("price_list", "delete", made["id"])


@pytest.mark.parametrize("how", ["finish", "batch", "service", "many", "late"])
def test_an_opt_out(api, platform, company, log, how):
    """The number that the called person wants off the list is added by whoever has finished the call: his entry, over REST and gRPC, alone and among others, and late."""
    campaign = api.campaign(company, api.skillbase(company))
    api.upload(campaign, "phone_number\n" + "".join(f"+120155501{n:02}\n" for n in range(40)))
    api.ok("POST", f"/api/campaigns/{campaign['id']}/start")
    claimed = []

    def claim():
        claimed.extend(api.ok("POST", "/api/dispatch/claim", json={"worker_id": "w", "campaign_id": campaign["id"], "max": 40, "wait_ms": 1000})["tasks"])
        return len(claimed) == 40
    wait_until(claim, what="the tasks")
    ids = [{"call_id": task["call_id"], "fence": task["fence"]} for task in claimed]
    api.ok("POST", "/api/dispatch/begin", json={"calls": ids})
    log.new()
    ends = [{**one, "disposition": "opt_out" if how != "many" or not n else "answered"} for n, one in enumerate(ids[:6])]
    headers = {"x-request-id": f"stop-{how}-{company['id']}"}
    if how == "late":  # its lease has run out, nobody knows how it has ended, and then its agent says so
        task = f"/api/campaigns/{campaign['id']}/tasks/{claimed[0]['task_id']}"
        psql(platform, f"update live_calls set lease_until = now() - interval '1 second' where call_id = '{ids[0]['call_id']}'")
        wait_until(lambda: api.ok("GET", task)["status"] == "unknown", what="the lost call's end")
        assert not log.new()
    if how in ("finish", "late"):
        api.ok("POST", f"/api/dispatch/calls/{ends[0]['call_id']}/finish", json={**ends[0], "call_id": ends[0]["call_id"]}, headers=headers)
        ends = ends[:1]
    elif how == "service":
        with Reflected(platform.campaign) as client:
            client.call("dialplane.v1.DispatchService/FinishTask", ends[0], metadata=[("x-request-id", headers["x-request-id"])])
        ends = ends[:1]
    else:
        api.ok("POST", "/api/dispatch/finish", json={"calls": ends}, headers=headers)
    added = log.new()
    wanted = [end for end in ends if end["disposition"] == "opt_out"]
    assert [(entry["kind"], entry["action"]) for entry in added] == [("suppression", "create")] * len(wanted)
    for entry in added:
        assert (entry["actor"], entry["address"], entry["request_id"]) == (ACTOR, "127.0.0.1", headers["x-request-id"]), entry
        assert entry["after"]["source"] == "opt_out" and entry["after"]["pattern"].startswith("+1•••01")


def api_status(api, path):
    """What a POST there answers when it has made something, by the description."""
    operation = api.document.operations["SetPrices"][2]
    return int(next(code for code in operation["responses"] if code.startswith("2")))


def test_a_person_settles_a_call(api, platform, company, log):
    campaign = api.campaign(company, api.skillbase(company))
    api.upload(campaign, "phone_number\n+12015550100\n")
    api.ok("POST", f"/api/campaigns/{campaign['id']}/start")
    with Reflected(platform.campaign) as client:
        def call(method, **request):
            return client.call(f"dialplane.v1.DispatchService/{method}", request)
        held, = call("ClaimTasks", worker_id="w", max=1, wait_ms=10000, campaign_id=campaign["id"])["tasks"]
        call("BeginDial", call_id=held["call_id"], fence=held["fence"])
    psql(platform, f"update live_calls set lease_until = now() - interval '1 second' where call_id = '{held['call_id']}'")
    task = f"/api/campaigns/{campaign['id']}/tasks/{held['task_id']}"
    wait_until(lambda: api.ok("GET", task)["status"] == "unknown", what="the lost call's end")
    log.new()
    api.ok("POST", f"{task}/settle", json={"disposition": "no_answer", "error_message": "Ann said so"})
    settled = [entry for entry in log.new() if entry["kind"] == "task"]
    assert [(entry["action"], entry["resource_id"], entry["actor"]) for entry in settled] == [("settle", held["task_id"], ACTOR)]
    assert settled[0]["after"] == {"campaign_id": campaign["id"], "call_id": held["call_id"], "disposition": "no_answer", "outcome": None, "status": "retry"}
    assert "Ann" not in json.dumps(settled)


def test_calls_are_not_in_it(api, platform, company, log):
    """Claims, dials and ends of calls: the hot path writes no entry, but for the campaign's own end, which is nobody's request."""
    campaign = api.campaign(company, api.skillbase(company))
    api.upload(campaign, "phone_number\n+12015550100\n")
    api.ok("POST", f"/api/campaigns/{campaign['id']}/start")
    log.new()
    with Reflected(platform.campaign) as client:
        def call(method, **request):
            return client.call(f"dialplane.v1.DispatchService/{method}", request)
        held, = call("ClaimTasks", worker_id="w", max=1, wait_ms=10000, campaign_id=campaign["id"])["tasks"]
        named = {"call_id": held["call_id"], "fence": held["fence"]}
        call("BeginDial", **named)
        call("FinishTask", **named, disposition="answered", outcome="success")
    wait_until(lambda: api.ok("GET", f"/api/campaigns/{campaign['id']}")["status"] == "completed", what="the campaign's end")
    assert log.one("campaign", "complete", campaign["id"])["after"]["status"] == "completed"


def test_from_where(platform, company, log):
    """A caller of the service itself: its address, or the one that the gateway gives."""
    with Reflected(platform.skillbase) as client:
        for description, metadata, address in (("a", [], "127.0.0.1"), ("b", [("dialplane-client-address", "203.0.113.7")], "203.0.113.7"),
                                               ("c", [("dialplane-client-address", "2001:db8::7")], "2001:db8::7"),
                                               ("d", [("dialplane-client-address", "x' or 1=1")], "127.0.0.1")):
            client.call("dialplane.v1.CompanyService/UpdateCompany", {"id": company["id"], "company": {"description": description}},
                        metadata=[("x-request-id", f"id-{description}"), *metadata])
            entry = log.one("company", "update")
            assert (entry["address"], entry["request_id"], entry["after"]) == (address, f"id-{description}", {"description": description})
    # who calls over a unix socket has no address but that; "unix" is what the service itself says, and nobody can say of himself
    with Reflected(f"unix:{platform.data}/run/skillbase.sock") as client:
        for description, metadata, address in (("e", [], "unix"), ("f", [("dialplane-client-address", "203.0.113.7")], "203.0.113.7")):
            client.call("dialplane.v1.CompanyService/UpdateCompany", {"id": company["id"], "company": {"description": description}}, metadata=metadata)
            assert log.one("company", "update")["address"] == address
    with Reflected(platform.skillbase) as client:
        client.call("dialplane.v1.CompanyService/UpdateCompany", {"id": company["id"], "company": {"description": "g"}},
                    metadata=[("dialplane-client-address", "unix")])
        assert log.one("company", "update")["address"] == "127.0.0.1"


# --- The same transaction, and nothing afterwards ----------------------------------------------------------------------

def test_a_change_that_cannot_be_written_down_does_not_happen(api, platform, company, log):
    """With the log refusing (a trigger of the test's): every change fails as a whole, and is there again when it takes entries."""
    skillbase = api.skillbase(company)
    campaign = api.campaign(company, skillbase)
    api.ok("PUT", f"/api/companies/{company['id']}", json={"description": "before"})
    log.new()
    psql(platform, "create function test_refuse() returns trigger language plpgsql as $$ begin"
                   f" if new.company_id = '{company['id']}' then raise exception '{REFUSED_ON_PURPOSE}'; end if; return new; end $$;"
                   " create trigger test_refuse before insert on audit_entries for each row execute function test_refuse()")
    try:
        changes = [("PUT", f"/api/companies/{company['id']}", {"json": {"description": "after"}}),
                   ("PUT", f"/api/skillbases/{skillbase['id']}", {"json": {"name": "after"}}),
                   ("PUT", f"/api/campaigns/{campaign['id']}", {"json": {"name": "after"}}),
                   ("DELETE", f"/api/campaigns/{campaign['id']}", {}),
                   ("POST", f"/api/companies/{company['id']}/suppressions", {"json": {"phone_number": "+12015550123"}}),
                   ("POST", f"/api/companies/{company['id']}/suppressions/upload", {"content": b"phone_number\n+12015550124\n",
                                                                                     "headers": {"content-type": "text/csv"}})]
        for method, path, arguments in changes:
            problem = api.problem(method, path, 500, **arguments)
            assert REFUSED_ON_PURPOSE not in problem["detail"] and "audit" not in problem["detail"]
        assert api.ok("GET", f"/api/companies/{company['id']}")["description"] == "before"
        assert api.ok("GET", f"/api/skillbases/{skillbase['id']}") == skillbase
        assert api.ok("GET", f"/api/campaigns/{campaign['id']}")["name"] == campaign["name"]
        assert api.ok("GET", f"/api/companies/{company['id']}/suppressions")["total"] == 0
    finally:
        psql(platform, "drop trigger test_refuse on audit_entries; drop function test_refuse()")
    assert not log.new()
    api.ok("PUT", f"/api/companies/{company['id']}", json={"description": "after"})
    log.one("company", "update")


def test_append_only(api, platform, company):
    """Not even the owner of the tables changes an entry or takes one away, unless it is past any retention."""
    entry, = entries(api, company)
    for statement in (f"update audit_entries set actor = 'x' where id = '{entry['id']}'", f"delete from audit_entries where id = '{entry['id']}'", "truncate audit_entries"):
        with pytest.raises(subprocess.CalledProcessError):
            psql(platform, statement)
    # the services have not even the right to
    assert psql(platform, "select count(*), bool_or(has_table_privilege(d.name, 'audit_entries', p)) from database_roles d, unnest(array['update', 'delete', 'truncate']) p"
                ) == "6|f"
    assert psql(platform, "select forget_audit_entries(0, 1000)") == "0"
    assert entries(api, company) == [entry]
    # one that is old enough goes when it is asked for, and no other
    psql(platform, f"insert into audit_entries (id, company_id, at, kind, action) select uuid_v7(), '{company['id']}', now() - make_interval(days => d), 'company', 'update'"
                   " from (values (32), (40), (50)) v (d)")
    assert psql(platform, f"select forget_audit_entries(45, 1000) > 0, count(*) from audit_entries where company_id = '{company['id']}'") == "t|4"
    assert len(entries(api, company)) == 3
    assert psql(platform, "select forget_audit_entries(35, 0)") == "0"


def test_changes_by_hand_are_in_it(api, platform, company, log):
    """What somebody does with SQL is a change as well, by nobody that the platform knows."""
    psql(platform, f"update companies set description = 'by hand' where id = '{company['id']}'")
    entry = log.one("company", "update", company["id"])
    assert (entry["actor"], entry["address"], entry["request_id"], entry["after"]) == (None, None, None, {"description": "by hand"})


# --- Reading it -------------------------------------------------------------------------------------------------------

def test_filters_and_pages(api, company):
    skillbase = api.skillbase(company)
    for n in range(7):
        api.ok("PUT", f"/api/skillbases/{skillbase['id']}", json={"name": f"n{n}"})
    where = f"/api/companies/{company['id']}/audit"
    everything = entries(api, company)
    assert len(everything) == 9
    assert [entry["at"] for entry in everything] == sorted((entry["at"] for entry in everything), reverse=True)
    for limit in (1, 2, 4, 9, 100):
        assert walk(api, where, limit) == everything
    assert api.ok("GET", where, params={"skip": 3, "limit": 2})["items"] == everything[3:5]

    def ask(**filters):
        page = api.ok("GET", where, params=filters)
        assert page["total"] == len(page["items"])
        return page["items"]
    assert ask(kind="company") == everything[8:]
    assert ask(kind="skillbase", action="update") == everything[:7]
    assert ask(resource_id=skillbase["id"]) == everything[:8]
    assert ask(actor=ACTOR) == everything and ask(actor="nobody") == [] and ask(kind="nothing") == [] and ask(resource_id=NOBODY) == []
    middle = everything[4]["at"]
    assert ask(since=middle) == everything[:5] and ask(until=middle) == everything[5:]
    assert ask(since=middle, until=middle) == []
    assert walk(api, where, 2, kind="skillbase", action="update") == everything[:7]
    assert fields(api.problem("GET", where, 400, params={"kind": "No Word", "resource_id": "x", "since": "yesterday", "limit": 0})).keys() == {
        "kind", "resource_id", "since", "limit"}
    token = api.ok("GET", where, params={"limit": 1})["next_page_token"]
    api.problem("GET", where, 400, params={"page_token": token, "skip": 1})
    api.problem("GET", f"/api/companies/{api.company()['id']}/audit", 400, params={"page_token": token})
    api.problem("GET", f"/api/companies/{NOBODY}/audit", 404)


def test_exports(api, company):
    """The same entries, as CSV and as lines of JSON, of any number."""
    api.ok("PUT", f"/api/companies/{company['id']}", json={"description": '=1+1, "quoted"\nand a line', "settings": {"ключ": "значение"}})
    skillbase = api.skillbase(company)
    for n in range(3):
        api.ok("PUT", f"/api/skillbases/{skillbase['id']}", json={"name": f"n{n}"})
    where = f"/api/companies/{company['id']}/audit"
    listed = entries(api, company)
    lines = api.get(f"{where}.jsonl")
    assert lines.headers["content-type"] == "application/jsonl" and "attachment" in lines.headers["content-disposition"]
    got = [json.loads(line) for line in lines.text.splitlines()]
    assert got == listed and list(got[0]) == KEYS
    text = api.get(f"{where}.csv", bom=True)
    assert text.headers["content-type"] == "text/csv; charset=utf-8" and text.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(text.content.decode("utf-8-sig"))))
    assert list(rows[0]) == KEYS
    assert [{key: json.loads(value) if key in ("before", "after") and value else value or None for key, value in row.items()} for row in rows] == listed
    assert [json.loads(line) for line in api.get(f"{where}.jsonl", kind="skillbase", action="update").text.splitlines()] == listed[:3]
    api.problem("GET", f"/api/companies/{NOBODY}/audit.csv", 404)


def test_an_export_of_many(api, platform, company):
    psql(platform, f"insert into audit_entries (id, company_id, at, kind, action, resource_id) select uuid_v7(), '{company['id']}', '2026-01-01'::timestamptz + n / 3 * interval '1 s',"
                   " 'company', 'update', uuid_v7() from generate_series(1, 1700) n")
    got = [json.loads(line) for line in api.get(f"/api/companies/{company['id']}/audit.jsonl").text.splitlines()]
    assert len(got) == 1701 == len({entry["id"] for entry in got})
    assert got == sorted(got, key=lambda entry: (entry["at"], entry["id"]), reverse=True)
    assert walk(api, f"/api/companies/{company['id']}/audit", 400) == got


def test_a_company_that_is_gone(api, company):
    """Its entries stay, for the platform."""
    skillbase = api.skillbase(company)
    api.ok("POST", f"/api/companies/{company['id']}/suppressions", 201, json={"phone_number": "+12015550199"})
    api.ok("DELETE", f"/api/companies/{company['id']}", 204)
    found = entries(api, company)
    # what goes by the thousand goes without a word
    assert {(entry["kind"], entry["action"]) for entry in found} == {("company", "create"), ("skillbase", "create"), ("suppression", "create"), ("company", "delete"),
                                                                    ("skillbase", "delete")}
    assert next(entry for entry in found if entry["kind"] == "skillbase" and entry["action"] == "delete")["resource_id"] == skillbase["id"]
    assert api.get(f"/api/companies/{company['id']}/audit.csv").status_code == 200


# --- Who reads, and who is written down ---------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def secured():
    """A platform that asks who you are."""
    platform = Platform()
    try:
        platform.start("--auth", "token")
        yield platform
    finally:
        platform.stop()


def token(platform, role, company=None, subject=None):
    options = [*(["--company", company["id"]] if company else []), *(["--subject", subject] if subject else [])]
    return platform.dev("token", "--data", platform.data, "--role", role, *options).stdout.split()[-1]


def test_by_role(secured):
    def as_who(role, company=None):
        api = Api(secured.url)
        api.client.headers["Authorization"] = f"Bearer {token(secured, role, company, f'{role}@salon.example')}"
        return api
    root = as_who("platform")
    mine, theirs = root.company(), root.company()
    apis = {role: as_who(role, mine) for role in ("admin", "manager", "viewer", "agent")}
    skillbase = apis["manager"].ok("POST", "/api/skillbases", 201, json=body(mine, config=SKILLBASE_CONFIG))
    apis["admin"].ok("PUT", f"/api/companies/{mine['id']}", json={"description": "d"})
    found = entries(apis["admin"], mine)
    assert [(entry["actor"], entry["kind"], entry["action"]) for entry in found] == [
        ("admin@salon.example", "company", "update"), ("manager@salon.example", "skillbase", "create"), ("platform@salon.example", "company", "create")]
    assert entries(root, mine) == found and entries(root, mine, actor="manager@salon.example") == found[1:2]
    assert found[1]["resource_id"] == skillbase["id"]
    for path in ("audit", "audit.csv", "audit.jsonl"):
        for role in ("manager", "viewer", "agent"):
            apis[role].problem("GET", f"/api/companies/{mine['id']}/{path}", 403)
        apis["admin"].problem("GET", f"/api/companies/{theirs['id']}/{path}", 404)
        apis["admin"].problem("GET", f"/api/companies/{NOBODY}/{path}", 404)
    # what was refused is in nobody's log
    apis["viewer"].problem("PUT", f"/api/skillbases/{skillbase['id']}", 403, json={"name": "x"})
    assert entries(root, mine) == found
    with Reflected(secured.skillbase) as client, pytest.raises(grpc.RpcError) as caught:
        client.call("dialplane.v1.AuditService/ListAuditEntries", {"company_id": theirs["id"]},
                    metadata=[("authorization", f"Bearer {token(secured, 'admin', mine)}")])
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_an_opt_out_by_role(secured):
    """It is his who finished the call, whatever credential that was."""
    root = Api(secured.url)
    root.client.headers["Authorization"] = f"Bearer {token(secured, 'platform')}"
    company = root.company()
    key = root.ok("POST", f"/api/companies/{company['id']}/api-keys", 201, json={"name": "agents", "roles": ["agent"]})
    campaign = root.campaign(company, root.skillbase(company))
    root.upload(campaign, "phone_number\n" + "".join(f"+120155501{n:02}\n" for n in range(3)))
    root.ok("POST", f"/api/campaigns/{campaign['id']}/start")
    log = Watcher(root, company)
    for credential, actor in ((token(secured, "agent", company, "agent-7@salon.example"), "agent-7@salon.example"),
                              (token(secured, "platform", subject="agents@platform.example"), "agents@platform.example"), (key["key"], key["prefix"])):
        api = Api(secured.url)
        api.client.headers["Authorization"] = f"Bearer {credential}"
        claimed = []

        def claim():
            claimed.extend(api.ok("POST", "/api/dispatch/claim", json={"worker_id": "w", "campaign_id": campaign["id"], "max": 1, "wait_ms": 1000})["tasks"])
            return claimed
        wait_until(claim, what="a task")
        call = f"/api/dispatch/calls/{claimed[0]['call_id']}"
        fence = {"fence": claimed[0]["fence"]}
        api.ok("POST", f"{call}/begin", json=fence)
        api.ok("POST", f"{call}/finish", json={**fence, "disposition": "opt_out"})
        entry, = [entry for entry in log.new() if entry["kind"] == "suppression"]  # the last one completes the campaign
        assert (entry["action"], entry["actor"], entry["address"]) == ("create", actor, "127.0.0.1"), entry


def test_secrets_by_role(secured):
    """The agent gets them with the call's configuration, and nowhere else; nobody else gets that."""
    def as_who(role, company=None):
        api = Api(secured.url)
        api.client.headers["Authorization"] = f"Bearer {token(secured, role, company)}"
        return api
    root = as_who("platform")
    company = root.company()
    config = small(tools=[{"name": "crm", "config": {"api_key": "k-1234"}}])
    made = as_who("admin", company).ok("POST", "/api/skillbases", 201, json=body(company, config=config, is_published=True))
    where = f"/api/skillbases/{made['id']}"
    for role in ("platform", "admin", "manager", "viewer"):
        api = as_who(role, None if role == "platform" else company)
        assert api.ok("GET", where)["config"]["tools"][0]["config"] == {"api_key": "***"}
        answer = api.get(f"{where}/for-call")
        assert answer.status_code == 200 if role == "platform" else answer.status_code == 403
    agent = as_who("agent", company)
    agent.problem("GET", where, 403)
    assert agent.ok("GET", f"{where}/for-call")["config"]["tools"][0]["config"] == {"api_key": "k-1234"}
