"""PostgreSQL keeps the companies apart by itself: services whose statements have forgotten to ask for the company show no row of another one,
and every method works for its own company as the confined role that it runs as."""

import asyncio
import random
import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import grpc
import httpx
import pytest

from secured import Issuer, as_who, asking, bearer, two_companies  # first: it says where the contract tests are
import examples
import openapi
from agents import psql
from conftest import PRESET, ROOT, SKILLBASE_CONFIG, Api, wait_until
from reflected import Reflected
from test_access import CODE, check_no_row_crosses

pytest_plugins = ["secured"]
SERVICES = ("skillbase", "campaign", "analytics")


@pytest.fixture(scope="session")
def issuer():
    return Issuer()


@pytest.fixture(scope="session")
def closed(issuer, tmp_path_factory):
    with asking(issuer, tmp_path_factory.mktemp("keys")) as platform:
        yield platform


@pytest.fixture(scope="session")
def root(closed, issuer):
    return as_who(closed, issuer.token("platform"))


@pytest.fixture(scope="session")
def owned(root):
    return two_companies(root)


def everything(issuer, company):
    """A token that may do all that can be done within a company."""
    return issuer.token("admin", company, roles=["admin", "manager", "viewer", "agent"])


@pytest.fixture(scope="session")
def unscoped(closed, root):
    """The same platform, its services replaced by those whose statements ask for no company."""
    for name in SERVICES:
        closed.restart(f"dialplane-{name}", str(ROOT / "build" / PRESET / "bin" / "unscoped" / f"dialplane-{name}"))
    wait_until(lambda: root.get("/readyz").status_code == 200, 60, "the services without their filter")
    return closed


# --- What is guarded --------------------------------------------------------------------------------------------------

# Tables of which those of one company need nothing, or which are the same for all.
OURS = {"dialplane_migration", "database_roles", "upkeep_turn"}
COMMON = {"call_storage", "disposition_rules"}


def rows(platform, query):
    return [line.split("|") for line in psql(platform, query).splitlines()]


def test_every_table_is_guarded(closed):
    """A table that a later migration makes, and forgets to guard, is found here."""
    tables = rows(closed, """
        select c.relname, c.relispartition, c.relrowsecurity,
               exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'company_id' and not a.attisdropped),
               (select string_agg(p.polname, ',' order by p.polname) from pg_policy p where p.polrelid = c.oid),
               (select regexp_replace(p.polroles::regrole[]::text || p.polcmd::text || pg_get_expr(p.polqual, c.oid) || pg_get_expr(p.polwithcheck, c.oid), '[[:space:]]+', ' ', 'g')
                from pg_policy p where p.polrelid = c.oid and p.polname = 'own_company'),
               (select p.polroles::regrole[]::text from pg_policy p where p.polrelid = c.oid and p.polname = 'every_company'),
               has_table_privilege('dialplane_company', c.oid, 'select'),
               has_table_privilege('dialplane_company', c.oid, 'insert, update, delete, truncate, references, trigger'),
               has_table_privilege('dialplane_service', c.oid, 'select'), has_table_privilege('dialplane_service', c.oid, 'truncate')
        from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'f', 'm')""")
    names = {name for name, *_ in tables}
    assert len(tables) > 25 and OURS | COMMON <= names
    for name, is_partition, has_security, has_company, policies, own, every, reads, writes, serves, truncates in tables:
        assert truncates == "f", name
        if is_partition == "t":
            assert (reads, writes, serves) == ("f", "f", "f"), f"{name} is a partition: it must be reached through its table only"
        elif name in OURS:
            assert (reads, writes) == ("f", "f"), f"{name} is not for callers of a company"
        elif name in COMMON:
            assert (reads, writes) == ("t", "f"), f"{name} may be read by all and written by none"
        else:
            assert (has_security, policies) == ("t", "every_company,own_company"), f"{name} is not guarded: end its migration with `select guard_tables();`"
            mine = "( SELECT own_company() AS own_company))"
            assert own.startswith("{dialplane_company}*(") and own.count(mine) == 2 and own.endswith(mine), (name, own)
            assert has_company == "f" or own.count("(company_id = " + mine) == 2, (name, own)
            assert every == "{dialplane_service}", name


# Functions that run as the owner although they are no triggers, and why.
DEFINERS = {"forget_audit_entries"}  # nobody else may delete an entry, and it refuses what is younger than 30 days


def test_every_view_and_function_asks_as_its_caller(closed):
    views = rows(closed, "select relname, coalesce(reloptions::text, '') from pg_class where relnamespace = 'public'::regnamespace and relkind = 'v'")
    assert len(views) >= 4
    for name, options in views:
        assert "security_invoker=true" in options, f"the view {name} shows what its owner may see: end its migration with `select guard_tables();`"
    for name, definer, is_trigger in rows(closed, "select proname, prosecdef, prorettype = 'trigger'::regtype from pg_proc "
                                                  "where pronamespace = 'public'::regnamespace"):
        assert (definer == "t") == (is_trigger == "t" or name in DEFINERS), f"{name}: trigger functions run as their owner, and nothing else does"


def test_conditions_of_pages_keep_their_index():
    """COALESCE is not leakproof, so behind a policy a condition with it is no index condition: least($1, 'infinity') says the same and is."""
    ours = {"verify_call_figures.sql"}  # not behind a policy: work of our own
    for path in sorted((ROOT / "services").glob("*/sql/*.sql")):
        found = re.findall(r"(?<!<)[<>]=? \(?coalesce\(\$[^)]*\)", path.read_text())
        assert not found or path.name in ours, f"{path.name}: {found}"


def test_roles_are_not_more_than_they_must_be(closed):
    found = rows(closed, "select rolname, rolcanlogin, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication from pg_roles "
                         "where rolname like 'dialplane\\_%' order by 1")
    assert found == [["dialplane_company", *"ffffff"], ["dialplane_service", *"ffffff"]]


def test_who_was_told_nothing_sees_nothing(closed, root):
    root.company()
    for role, count in (("dialplane_service", True), ("dialplane_company", False)):
        assert (int(psql(closed, f"set role {role}; select count(*) from companies")) > 0) == count
    for statement in ("insert into companies (id, name, slug) values (gen_random_uuid(), 'x', 'x')", "truncate companies", "create table t ()",
                      "drop table companies", "select count(*) from calls_early", "alter table companies disable row level security"):
        with pytest.raises(Exception):
            psql(closed, f"set role dialplane_company; {statement}")


# --- What still works -------------------------------------------------------------------------------------------------

class CompanyApi(Api):
    """Asks as everything that a company has, and as the platform only for what is the platform's."""

    def __init__(self, url, platform_token):
        super().__init__(url)
        self.platform = bearer(platform_token)
        self.client.headers.update(self.platform)

    def request(self, method, path, **arguments):
        answer = super().request(method, path, **arguments)
        if answer.status_code == 403 and answer.json()["reason"] == "ROLE_NOT_ALLOWED":
            arguments["headers"] = {**arguments.get("headers", {}), **self.platform}
            answer = super().request(method, path, **arguments)
        return answer

    def ok(self, method, path, status=200, **arguments):
        answer = self.request(method, path, **arguments)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


def test_every_method_works_for_its_own_company(closed, issuer):
    """The tour of examples.py, as one company: each statement may do what it must as the confined role."""
    api = CompanyApi(closed.url, issuer.token("platform"))
    document = openapi.Document.of(closed.url)
    steps = examples.run(closed, api, document, on_company=lambda company: api.client.headers.update(bearer(everything(issuer, company["id"]))))
    assert not set(document.operations) - set(steps)
    for name in SERVICES:
        assert '"sql_error"' not in closed.log(f"dialplane-{name}") and '"sql_of_nobody"' not in closed.log(f"dialplane-{name}")
    # What goes behind a company that is gone, some of it in steps.
    wait_until(lambda: rows(closed, "select (select count(*) from campaign_counts c where not exists (select from campaigns k where k.id = c.campaign_id)),"
                             " (select count(*) from call_events e where not exists (select from calls c where c.id = e.call_id))")
               == [["0", "0"]], 60, "the counts and events of what is gone")


TASKS = 12  # of each of the companies below


def test_agents_of_many_companies_at_once(closed, issuer, root):
    """Their claims, leaves to dial, ends and reports go out together, but only with those of their own company: nobody's is lost or mixed up."""
    fleets = []
    for number in range(4):
        company = root.company()
        campaign = root.campaign(company, root.skillbase(company))
        root.upload(campaign, "phone_number\n" + "".join(f"+1201555{number}{n:03}\n" for n in range(TASKS)))
        root.ok("POST", f"/api/campaigns/{campaign['id']}/start")
        fleets.append((company["id"], campaign["id"], everything(issuer, company["id"]), []))

    def agent(fleet, name):
        company, campaign, token, done = fleet
        metadata = [("authorization", f"Bearer {token}")]
        until = time.monotonic() + 120
        with Reflected(closed.campaign) as client, Reflected(closed.analytics) as analytics:
            while len(done) < TASKS and time.monotonic() < until:
                claim = {"worker_id": name, "max": 3, "wait_ms": 500}
                for task in client.call("dialplane.v1.DispatchService/ClaimTasks", claim, metadata=metadata).get("tasks", ()):
                    assert (task["company_id"], task["campaign_id"]) == (company, campaign)
                    one = {"call_id": task["call_id"], "fence": task["fence"]}
                    client.call("dialplane.v1.DispatchService/BeginDial", one, metadata=metadata)
                    now = datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")
                    analytics.call("dialplane.v1.AnalyticsService/ReportCallEventBatch", {"call_id": task["call_id"], "events": [
                        {"seq": 1, "occurred_at": now, "started": {"company_id": company, "campaign_id": campaign}},
                        {"seq": 2, "occurred_at": now, "finished": {"status": "CALL_STATUS_COMPLETED"}}]}, metadata=metadata)
                    client.call("dialplane.v1.DispatchService/FinishTask", {**one, "disposition": "DISPOSITION_ANSWERED"}, metadata=metadata)
                    done.append(task["task_id"])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: agent(fleets[n % len(fleets)], f"agent-{n}"), range(8)))
    for company, campaign, _, done in fleets:
        assert len(set(done)) == len(done) == TASKS
        assert psql(closed, f"select count(*) from call_tasks where campaign_id = '{campaign}' and state = 'completed'") == str(TASKS)
        counted = psql(closed, f"select count(*), count(distinct company_id), min(company_id::text) from calls where campaign_id = '{campaign}'")
        assert counted == f"{TASKS}|1|{company}"


# --- Without the filter -----------------------------------------------------------------------------------------------

def test_no_row_crosses_without_the_filter(unscoped, issuer, owned):
    check_no_row_crosses(unscoped, issuer, owned)


def test_lists_show_ones_own_without_the_filter(unscoped, issuer, owned):
    mine, theirs = owned
    api = as_who(unscoped, everything(issuer, theirs["company"]))
    for path, own in (("companies", "company"), ("skillbases", "skillbase"), ("campaigns", "campaign"), ("calls", "call")):
        listed = api.ok("GET", f"/api/{path}" if path != "calls" else "/api/analytics/calls")
        text = str(listed)
        assert not any(id in text for id in mine.values()), path
        if path != "calls":  # whose pages are placed by figures, which are the platform's when nobody asks for a company
            assert [item["id"] for item in listed["items"]] == [theirs[own]]
            assert listed["total"] == 1


def test_dispatch_hands_out_ones_own_without_the_filter(unscoped, issuer, owned, root):
    """Agents of one company, in statements that serve many: they get no task of another's campaign, and cannot touch its calls."""
    mine, theirs = owned
    root.ok("POST", f"/api/campaigns/{mine['campaign']}/start")
    with Reflected(unscoped.campaign) as client:
        def call(method, request, company):
            return client.call(f"dialplane.v1.DispatchService/{method}", request, metadata=[("authorization", f"Bearer {everything(issuer, company)}")])

        for request in ({}, {"campaign_id": mine["campaign"]}, {"company_id": mine["company"]}):
            assert not call("ClaimTasks", {"worker_id": "thief", "max": 10, **request}, theirs["company"]).get("tasks")
        held = call("ClaimTasks", {"worker_id": "agent", "max": 1, "wait_ms": 10000}, mine["company"])["tasks"][0]
        one = {"call_id": held["call_id"], "fence": held["fence"]}
        for method, request in (("BeginDial", one), ("FinishTask", {**one, "disposition": "DISPOSITION_ANSWERED"})):
            with pytest.raises(grpc.RpcError) as caught:
                call(method, request, theirs["company"])
            assert caught.value.code() == CODE.NOT_FOUND, method
        call("Heartbeat", {"worker_id": "agent", "calls": [one]}, theirs["company"])
        assert psql(unscoped, f"select count(*) from live_calls where call_id = '{held['call_id']}' and dialed_at is null") == "1"
        call("BeginDial", one, mine["company"])
        call("FinishTask", {**one, "disposition": "DISPOSITION_ANSWERED"}, mine["company"])


def test_reports_reach_ones_own_without_the_filter(unscoped, issuer, owned):
    mine, theirs = owned
    now = datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")

    def report(call_id, seq, event, company):
        with Reflected(unscoped.analytics) as client:
            return client.call("dialplane.v1.AnalyticsService/ReportCallEventBatch", {"call_id": call_id, "events": [{"seq": seq, "occurred_at": now, **event}]},
                               metadata=[("authorization", f"Bearer {everything(issuer, company)}")])
    turn = {"turn": {"turn_index": 0, "role": "TURN_ROLE_USER", "content": "Mine now"}}
    before = psql(unscoped, "select count(*) from call_events")
    for call_id, seq, event in ((mine["call"], 2, turn), (str(uuid.uuid4()), 1, {"started": {"company_id": mine["company"]}}),
                                (str(uuid.uuid4()), 1, {"started": {"company_id": theirs["company"], "campaign_id": mine["campaign"]}})):
        with pytest.raises(grpc.RpcError):
            report(call_id, seq, event, theirs["company"])
    assert psql(unscoped, "select count(*) from call_events") == before
    report(mine["call"], 2, turn, mine["company"])


def test_uploads_reach_ones_own_without_the_filter(unscoped, issuer, owned):
    mine, theirs = owned
    thief = as_who(unscoped, everything(issuer, theirs["company"]))
    before = psql(unscoped, f"select count(*) from call_tasks where campaign_id = '{mine['campaign']}'")
    for path in (f"/api/campaigns/{mine['campaign']}/call-list", f"/api/companies/{mine['company']}/suppressions/upload"):
        answer = thief.request("POST", path, content="phone_number\n+12015550177\n", headers={"content-type": "text/csv"})
        assert answer.status_code == 404, (path, answer.text)
    assert psql(unscoped, f"select count(*) from call_tasks where campaign_id = '{mine['campaign']}'") == before
    owner = as_who(unscoped, everything(issuer, mine["company"]))
    owner.upload({"id": mine["campaign"]}, "phone_number\n+12015550177\n")


def test_callers_of_many_companies_at_once(unscoped, issuer, root):
    """Reads, writes and failures of several companies and of the platform share connections and batches: each finds its own rows and nobody else's."""
    companies = [root.company() for _ in range(6)]
    own = {company["id"]: root.skillbase(company) for company in companies}
    tokens = {id: bearer(everything(issuer, id)) for id in own}
    randomly = random.Random(7)

    async def ask(client, gate, company):
        other = randomly.choice([id for id in own if id != company])
        what, kind = own[company]["id"], randomly.randrange(6)
        async with gate:
            if kind == 0:
                answer = await client.get("/api/skillbases", headers=tokens[company])
                assert [item["id"] for item in answer.json()["items"]] == [what]
            elif kind == 1:
                assert (await client.get(f"/api/skillbases/{own[other]['id']}", headers=tokens[company])).status_code == 404
            elif kind == 2:
                answer = await client.put(f"/api/skillbases/{what}", headers=tokens[company], json={"description": f"of {company}"})
                assert answer.status_code == 200 and answer.json()["company_id"] == company, answer.text
            elif kind == 3:
                answer = await client.put(f"/api/skillbases/{own[other]['id']}", headers=tokens[company], json={"description": "stolen"})
                assert answer.status_code == 404, answer.text
            elif kind == 4:  # fails in the database, and takes its batch or transaction with it
                answer = await client.post("/api/skillbases", headers=tokens[company],
                                           json={"company_id": company, "name": "Again", "slug": own[company]["slug"], "config": SKILLBASE_CONFIG})
                assert answer.status_code == 409, answer.text
            else:
                answer = await client.get("/api/companies", headers=root.client.headers)
                assert set(own) <= {item["id"] for item in answer.json()["items"]} or answer.json()["total"] > len(answer.json()["items"])

    async def run():
        gate = asyncio.Semaphore(40)
        async with httpx.AsyncClient(base_url=unscoped.url, timeout=60) as client:
            await asyncio.gather(*(ask(client, gate, randomly.choice(list(own))) for _ in range(900)))
    asyncio.run(run())
    for company, skillbase in own.items():
        assert root.ok("GET", f"/api/skillbases/{skillbase['id']}")["description"] in (None, f"of {company}")
