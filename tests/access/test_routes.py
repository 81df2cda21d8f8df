"""Every route of /openapi.json, in every form it has (JSON, files, uploads both ways, lines of JSON, server-sent events, WebSocket), as every role of the
company that owns everything, as every role of another one, and as nobody. What must come out is the table in the .proto files: 401 for nobody, 403 for a
role that the table does not name, and for another company exactly what is said of ids that nobody has. Requests are made from the recorded examples, so a
new method is tested as soon as it has one."""

import asyncio
import copy
import json
import re
import uuid
from typing import NamedTuple

import httpx
import pytest
import websockets

import openapi

pytest.register_assert_rewrite("secured")
from secured import ROLES, bearer, table  # noqa: E402
from agents import psql  # noqa: E402

pytest_plugins = ["secured"]

# A segment of a path → what the id after it is one of.
KINDS = {"companies": "company", "skillbases": "skillbase", "campaigns": "campaign", "tasks": "task", "uploads": "upload", "suppressions": "suppression",
         "prices": "prices", "calls": "call"}
# Names of fields and parameters that are ids.
NAMES = {"company_id": "company", "skillbase_id": "skillbase", "campaign_id": "campaign", "task_id": "task", "call_id": "call", "upload_id": "upload"}
DESTROYS = re.compile(r"^(Delete|Cancel|Erase|Revoke|Rotate)")
BATCHES = ("BeginDialBatch", "FinishTaskBatch", "Heartbeat")  # answer 200, and of each call by itself that it is unknown
CSV = b"phone_number,name\n+12015550111,Eve\n"
# What an answer says anew each time, whoever asks.
ANOTHER_TIME = re.compile(r'"(created_at|updated_at|now|at|valid_from|expires_at|ticket)":"[^"]*"')


class Form(NamedTuple):
    """One way to ask for an operation."""
    name: str
    accept: str | None = None
    upload: str | None = None


class Said(NamedTuple):
    """An answer without what differs every time."""
    status: int
    kind: str
    challenge: str
    body: str


def forms(operation):
    answers = operation["responses"].get("200", operation["responses"].get("201", {})).get("content", {})
    if "application/x-ndjson" in answers:
        return [Form("lines", "application/x-ndjson"), Form("events", "text/event-stream"), *([Form("websocket")] if "101" in operation["responses"] else [])]
    if "multipart/form-data" in operation.get("requestBody", {}).get("content", {}):
        return [Form("form", upload="form"), Form("file", upload="file")]
    return [Form("plain")]


class Caller:
    """Asks for an operation with the ids of somebody: a dict as the fixture `owned` makes them."""

    def __init__(self, closed, document):
        self.document = document
        self.http = closed.http
        self.client = httpx.Client(base_url=closed.url, timeout=60)

    def path(self, operation, ids):
        verb, template, described = self.document.operations[operation]
        segments, kind = [], None
        for segment in template.split("/"):
            name = re.fullmatch(r"\{(\w+)\}", segment)
            if not name:
                kind = segment
            elif name[1] == "id" or name[1] in NAMES:
                segment = self.id_of(operation, KINDS.get(kind, kind), ids)
            else:
                segment = str(next(p for p in described["parameters"] if p["name"] == name[1]).get("example", 1))
            segments.append(segment)
        return verb.upper(), "/".join(segments)

    @staticmethod
    def id_of(operation, kind, ids):
        if kind == "call" and re.match("Begin|Finish|ReportProgress|Heartbeat", operation):
            kind = "held"
        return ids[kind]

    def query(self, operation, ids):
        """Filters by ids, and whatever must be given."""
        _, _, described = self.document.operations[operation]
        query = {}
        for parameter in described.get("parameters", []):
            if parameter["in"] != "query":
                continue
            if parameter["name"] in NAMES and parameter["name"] != "task_id":
                query[parameter["name"]] = ids[NAMES[parameter["name"]]]
            elif parameter.get("required"):
                query[parameter["name"]] = parameter.get("example", "1")
        if operation.startswith("WatchLive"):  # exactly one of them
            query = {"company_id": ids["company"]}
        return query

    def body(self, operation, ids):
        """The recorded example, about these ids."""
        _, _, described = self.document.operations[operation]
        content = described.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            return None

        def about(value):
            if isinstance(value, list):
                return [about(item) for item in value]
            if not isinstance(value, dict):
                return value
            return {key: self.id_of(operation, NAMES[key], ids) if key in NAMES and isinstance(item, str) else 0 if key == "wait_ms" else about(item)
                    for key, item in value.items()}
        body = about(copy.deepcopy(content.get("example", {})))
        if "slug" in body:  # must be new
            body["slug"] = body["name"] = f"n-{uuid.uuid4().hex[:12]}"
        return body

    def ask(self, operation, form, ids, token):
        """The answer, or of a stream its first message."""
        verb, path = self.path(operation, ids)
        query, headers = self.query(operation, ids), bearer(token) if token else {}
        if form.name == "websocket":
            return self.websocket(path, query, token)
        arguments = {"params": query, "headers": headers}
        if form.accept:
            headers["accept"] = form.accept
            with self.client.stream(verb, path, **arguments) as answer:
                first = ""
                if answer.status_code == 200:
                    first = next(line for line in answer.iter_lines() if line.startswith(("{", "data")))
                else:
                    answer.read()
                    first = answer.text
                return self.said(answer, first)
        if form.upload == "form":
            arguments["files"] = {"file": ("list.csv", CSV, "text/csv")}
        elif form.upload == "file":
            arguments["content"] = CSV
            headers["content-type"] = "text/csv"
        elif (body := self.body(operation, ids)) is not None:
            arguments["json"] = body
        answer = self.client.request(verb, path, **arguments)
        return self.said(answer, answer.text)

    def websocket(self, path, query, token):
        """Its first message and how it was closed stand for body and status."""
        async def run():
            address = f"ws://{self.http}{path}?{httpx.QueryParams(query)}"
            async with websockets.connect(address, subprotocols=["bearer", token] if token else None) as socket:
                first = await asyncio.wait_for(socket.recv(), 60)
                if json.loads(first)["type"] == "error":
                    await asyncio.wait_for(socket.wait_closed(), 60)
                return first, socket.close_code
        first, code = asyncio.run(run())
        return Said(200 if code is None else code - 4000 if 4000 < code < 5000 else code, "websocket", "", ANOTHER_TIME.sub("", first))

    @staticmethod
    def said(answer, body):
        body = re.sub(r'"request_id":"[^"]*"', "", body)
        return Said(answer.status_code, answer.headers.get("content-type", ""), answer.headers.get("www-authenticate", ""), ANOTHER_TIME.sub("", body))


def nobodys(ids):
    return {kind: str(uuid.uuid4()) for kind in ids}


def blind(said, *sets):
    """Without the ids that were asked for: what is left must not depend on whose they are."""
    body = said.body
    for ids in sets:
        for value in ids.values():
            body = body.replace(value, "ID")
    return said._replace(body=body)


@pytest.fixture(scope="module")
def document(closed):
    return openapi.Document.of(closed.url)


@pytest.fixture(scope="module")
def caller(closed, document, owned, root):
    caller = Caller(closed, document)
    for ids in owned:
        make_the_rest(caller, root, ids)
    yield caller
    caller.client.close()


def make_the_rest(caller, root, ids):
    """Kinds that the fixture does not know: made by the POST beside them, from its example."""
    for operation, (_, template, _) in caller.document.operations.items():
        match = re.fullmatch(r"(.*/([\w-]+))/\{id\}(?:/.*)?", template)
        if not match or KINDS.get(match[2], match[2]) in ids:
            continue
        create = next((name for name, (verb, path, _) in caller.document.operations.items() if verb == "post" and path == match[1]), None)
        assert create, f"nothing makes what {operation} is about: let the fixture `owned` make one"
        verb, path = caller.path(create, ids)
        ids[match[2]] = root.ok(verb, path, 201, json=caller.body(create, ids))["id"]


def operations(document):
    """operation → (forms, roles): of /openapi.json, whose roles are held against those of the .proto files below."""
    return {name: (forms(described), set(described["x-roles"])) for name, (_, _, described) in sorted(document.operations.items())}


def test_the_description_names_the_roles_of_the_proto_files(closed, document):
    methods = {path.rsplit("/", 1)[1]: roles for path, (_, _, roles) in table(closed).items()}
    seen = set()
    for name, (_, _, described) in document.operations.items():
        method = re.sub(r"\d+$", "", name)
        seen.add(method)
        assert set(described["x-roles"]) == methods[method], name
        assert described["security"] == [{"bearer": []}] and f"Roles: {', '.join(described['x-roles'])}." in described["description"]
        assert {"401", "403"} <= set(described["responses"])
    assert len(methods) - len(seen) <= 1, set(methods) - seen  # ReportCallEvents is a stream of the client's: gRPC only
    assert document.document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_as_nobody(caller, document, owned):
    """Every route, in every form: 401 in the same words, whatever it was asked for."""
    mine, _ = owned
    for name, (ways, _) in operations(document).items():
        for form in ways:
            said = caller.ask(name, form, mine, None)
            assert said.status == 401 and "say who you are" in said.body, (name, form, said)
            if form.name != "websocket":
                assert said.challenge == 'Bearer realm="dialplane"' and '"reason":"TOKEN_MISSING"' in said.body, (name, form, said)
            unknown = nobodys(mine)
            assert blind(said, mine) == blind(caller.ask(name, form, unknown, None), unknown), (name, form)


def test_as_every_role(caller, document, owned, issuer):
    """Of the owning company, and platform: past the door where the table says so, and 403 in the same words elsewhere."""
    mine, _ = owned
    for name, (ways, allowed) in operations(document).items():
        for form in ways:
            for role in ROLES.values():
                token = issuer.token(role, None if role == "platform" else mine["company"])
                unknown = nobodys(mine)
                # what destroys is tried on what does not exist, so that the next one finds everything in place
                said = caller.ask(name, form, unknown if DESTROYS.match(name) and role in allowed else mine, token)
                if role in allowed:
                    assert said.status not in (401, 405, 406, 415) and said.status < 500, (name, form, role, said)
                    assert said.status != 403 or "ROLE_NOT_ALLOWED" not in said.body and role != "platform", (name, form, role, said)
                    continue
                assert said.status == 403, (name, form, role, said)
                assert form.name == "websocket" or "ROLE_NOT_ALLOWED" in said.body and 'error="insufficient_scope"' in said.challenge, (name, form, role, said)
                assert blind(said, mine) == blind(caller.ask(name, form, unknown, token), unknown), (name, form, role)


def snapshot(closed, company, ids):
    """What there is of a company in any table that names it or its things: a digest by table."""
    tables = psql(closed, "select string_agg(distinct c.table_name, ',' order by c.table_name) from information_schema.columns c join information_schema.tables t "
                          "using (table_schema, table_name) where c.table_schema = 'public' and t.table_type = 'BASE TABLE' and c.column_name in "
                          "('company_id', 'campaign_id', 'skillbase_id', 'call_id')").split(",")
    # sums of what is in the others, folded in the background
    tables = [t for t in tables if not re.search("figures|counts|changes|_index", t)] + ["companies"]
    things = "|".join([company, *(ids[kind] for kind in sorted(ids))])
    return {t: psql(closed, f"select md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from {t} t where t::text ~ '{things}'") for t in tables}


def test_as_another_company(caller, closed, document, owned, issuer):
    """Its every role that may call the method, with this company's ids wherever an id is asked for: word for word what is said of ids that nobody has;
    nothing of this company comes back, and nothing of it changes."""
    mine, theirs = owned
    before = snapshot(closed, mine["company"], mine)
    assert len(before) >= 10, sorted(before)
    named = 0
    for name, (ways, allowed) in operations(document).items():
        for form in ways:
            for role in sorted(allowed - {"platform"}):
                token = issuer.token(role, theirs["company"])
                unknown = nobodys(mine)
                said, of_nothing = caller.ask(name, form, mine, token), caller.ask(name, form, unknown, token)
                assert said.status not in (401, 403) and said.status < 500, (name, form, role, said)
                assert blind(said, mine) == blind(of_nothing, unknown), (name, form, role, said, of_nothing)
                if "{" in document.operations[name][1]:
                    named += 1
                    assert said.status in (404, 400) or name in BATCHES or name == "ReportCallEventBatch" and said.status == 409, (name, form, role, said)
    assert named > 100
    assert snapshot(closed, mine["company"], mine) == before


def test_lists_hold_what_is_ones_own(caller, document, owned, issuer):
    """Every list without a filter, as every role of the other company: nothing of this one is in it."""
    mine, theirs = owned
    lists = [name for name, (_, template, _) in document.operations.items() if name.startswith(("List", "Export", "GetMetrics")) and "{" not in template]
    assert {"ListCompanies", "ListSkillbases", "ListCampaigns", "ListCalls", "ExportCalls"} <= set(lists)
    for name in lists:
        _, template, described = document.operations[name]
        for role in set(described["x-roles"]) - {"platform"}:
            text = caller.client.get(template, headers=bearer(issuer.token(role, theirs["company"]))).text
            own = caller.client.get(template, headers=bearer(issuer.token(role, mine["company"]))).text
            assert not any(value in text for value in mine.values()), (name, role)
            assert not any(value in own for value in theirs.values()), (name, role)
            assert name.startswith("GetMetrics") or any(value in text for value in theirs.values()), (name, role)


# --- What an agent sees -------------------------------------------------------------------------------------------------

# Everything that these answer with, of what an agent may see: a new key is looked at by a person before it is added here. The configuration is whole,
# because the agent speaks by it; of contacts there is the one that it calls.
AGENT_SEES = {
    "ClaimTasks": "tasks: attempt_number call_id campaign_id company_id contact_data contact_name fence lease_expires_at phone_number skillbase_id "
                  "skillbase_version task_id",
    "BeginDial": "lease_expires_at",
    "BeginDialBatch": "results: call_id lease_expires_at refusal",
    "Heartbeat": "results: call_id lease_expires_at state",
    "ReportProgress": "answered_at ringing_at",
    "FinishTask": "next_attempt_at status task_id",
    "FinishTaskBatch": "results: call_id next_attempt_at refusal status task_id",
    "ReportCallEventBatch": "accepted duplicates last_seq",
    "GetSkillbaseForCall": "company_id config id knowledge_base_id name version",
}


def test_an_agent_sees_what_its_calls_need(document):
    assert {name for name, (_, roles) in operations(document).items() if "agent" in roles} == set(AGENT_SEES)
    for name, expected in AGENT_SEES.items():
        answer = document.resolve(document.answer(document.operations[name][2], 200)["schema"])
        properties, _, rest = expected.rpartition(": ")
        assert not properties or set(answer["properties"]) == {properties}, name
        inner = document.resolve(answer["properties"][properties]["items"]) if properties else answer
        assert set(inner["properties"]) == set(rest.split()), f"{name} answers with other keys: does an agent need to see them?"


def test_an_agent_claims_in_its_own_company_only(caller, owned, issuer):
    """Without a word about whose tasks it wants; and another agent's call is out of its hands by the fence alone."""
    mine, theirs = owned
    for own, other in ((mine, theirs), (theirs, mine)):
        token = bearer(issuer.token("agent", own["company"]))
        for filters in ({}, {"company_id": other["company"]}, {"campaign_id": other["campaign"]}):
            answer = caller.client.post("/api/dispatch/claim", headers=token, json={"worker_id": "w", "max": 1, "wait_ms": 0, **filters})
            assert answer.status_code == 200 and all(not filters and task["company_id"] == own["company"] for task in answer.json()["tasks"]), answer.text
        assert caller.client.post(f"/api/dispatch/calls/{own['held']}/begin", headers=token, json={"fence": 987654}).json()["reason"] == "STALE_FENCE"
