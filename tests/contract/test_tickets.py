"""Tickets: one stream, within a minute, as who asked for it. And what may not stand in an address."""

import json
import re
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
import httpx
import pytest
import websockets

from agents import new_id, psql, report, started, turn
from conftest import check_problem, fields, wait_until
from reflected import Reflected
from secured import Issuer, as_who, asking, bearer
from test_access import watch

CODE = grpc.StatusCode
TICKETS = "/api/analytics/ws-tickets"
LINES = {"Accept": "application/x-ndjson"}


@pytest.fixture(scope="module")
def issuer():
    return Issuer()


@pytest.fixture(scope="module")
def closed(issuer, tmp_path_factory):
    with asking(issuer, tmp_path_factory.mktemp("keys"), DIALPLANE_AUTH_RECHECK="1s", DIALPLANE_LOG_LEVEL="debug") as platform:
        yield platform


@pytest.fixture(scope="module")
def root(closed, issuer):
    return as_who(closed, issuer.token("platform"))


@pytest.fixture(scope="module")
def company(root):
    return root.company()


@pytest.fixture(scope="module")
def viewer(closed, issuer, company):
    return as_who(closed, issuer.token("viewer", company["id"]))


def ticket_of(api):
    return api.ok("POST", TICKETS, 201)["ticket"]


def live(closed, company, ticket, scheme="http", more=""):
    path = "/api/analytics/ws/live" if scheme == "ws" else "/api/analytics/live"
    return f"{scheme}://{closed.http}{path}?{more}ticket={ticket}&company_id={company['id']}"


def first_line(url, headers=LINES):
    """(status, first line or problem) of a stream."""
    with httpx.stream("GET", url, headers=headers, timeout=30) as answer:
        if answer.status_code != 200:
            answer.read()
            return answer.status_code, answer.json()
        return 200, json.loads(next(answer.iter_lines()))


def test_one_stream(closed, viewer, company):
    """Good once, in each form; then no more."""
    made = viewer.ok("POST", TICKETS, 201)
    assert re.fullmatch(r"dpt_[A-Za-z0-9_-]{43}", made["ticket"]) and made["expires_at"].endswith("Z")
    assert watch(live(closed, company, made["ticket"], "ws"))[1][0]["type"] == "init"
    _, messages, closing = watch(live(closed, company, made["ticket"], "ws"), until=2)
    assert closing == 4401 and [message["type"] for message in messages] == ["error"]
    status, problem = first_line(live(closed, company, made["ticket"]))
    assert status == 401 and problem["reason"] == "TICKET_REFUSED"

    other = ticket_of(viewer)
    assert first_line(live(closed, company, other))[0] == 200
    assert first_line(live(closed, company, other))[0] == 401
    events = ticket_of(viewer)
    with httpx.stream("GET", live(closed, company, events), headers={"Accept": "text/event-stream"}, timeout=30) as answer:
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
    assert first_line(live(closed, company, events))[0] == 401


def test_of_two_at_once_one_wins(closed, viewer, company):
    for _ in range(5):
        url = live(closed, company, ticket_of(viewer))
        gate = threading.Barrier(4)

        def use(_, url=url, gate=gate):
            gate.wait()
            return first_line(url)[0]
        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(use, range(4))) == [200, 401, 401, 401]


def test_as_who_asked(closed, issuer, root, viewer, company):
    """Roles and company are those of the ticket's maker; an agent gets none, because it watches nothing."""
    other = root.company()
    status, problem = first_line(live(closed, other, ticket_of(viewer)))
    assert status == 404, problem
    assert first_line(live(closed, other, ticket_of(root)))[0] == 200  # the platform's own see every company
    agent = as_who(closed, issuer.token("agent", company["id"]))
    agent.problem("POST", TICKETS, 403)
    assert httpx.post(f"{closed.url}{TICKETS}").status_code == 401


def test_for_less_than_its_maker(closed, root, viewer, company):
    """A ticket for one company, as a viewer: from the platform's own, and from the company's."""
    other = root.company()
    for maker in (root, viewer):
        ticket = maker.ok("POST", TICKETS, 201, params={"company_id": company["id"]})["ticket"]
        status, problem = first_line(live(closed, other, ticket))
        assert status == 404, problem
        ticket = maker.ok("POST", TICKETS, 201, params={"company_id": company["id"].upper()})["ticket"]
        assert first_line(live(closed, company, ticket))[0] == 200
    there, nowhere = (fields(viewer.problem("POST", TICKETS, 400, params={"company_id": id}))["company_id"] for id in (other["id"], str(uuid.uuid4())))
    assert there.replace(other["id"], "") == re.sub("[0-9a-f-]{36}", "", nowhere)
    root.problem("POST", TICKETS, 400, params={"company_id": str(uuid.uuid4())})
    root.problem("POST", TICKETS, 400, params={"company_id": "x"})


PHONE, MASKED = "+12015550142", "+1•••0142"


@pytest.fixture(scope="module")
def called(root, company):
    """A call under way, to a number that is also said."""
    call = new_id()
    report(root, call, [started(company, phone_number=PHONE), turn(2, 0, 1, content=f"It is {PHONE}.")])
    return call


def first_of_call(closed, call, ticket):
    """Its init over a WebSocket and its first three lines, each with a ticket of its own: the numbers that are in them."""
    init = watch(f"ws://{closed.http}/api/analytics/ws/calls/{call}?ticket={ticket()}")[1][0]["data"]["phone_number"]
    with httpx.stream("GET", f"{closed.url}/api/analytics/calls/{call}/events?ticket={ticket()}", headers=LINES, timeout=30) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()
        text = "".join(next(lines) for _ in range(2))
    return init, (PHONE in text, MASKED in text)


def test_with_the_grants_of_who_asked(closed, issuer, root, company, called):
    """A viewer's ticket shows numbers whole if his token or key does, and else does not."""
    def key(*grants):
        return root.ok("POST", f"/api/companies/{company['id']}/api-keys", 201, json={"name": "wall", "roles": ["viewer"], "grants": list(grants)})["key"]
    whole, masked = (PHONE, (True, False)), (MASKED, (False, True))
    for name, credential, expected in (
            ("a token", issuer.token("viewer", company["id"]), masked), ("a token with the grant", issuer.token("viewer", company["id"], grants=["phones"]), whole),
            ("a key", key(), masked), ("a key with the grant", key("phones"), whole),
            ("a manager", issuer.token("manager", company["id"]), whole), ("no viewer", root.client.headers["authorization"].split()[1], whole)):
        who = as_who(closed, credential)
        assert first_of_call(closed, called, lambda who=who: ticket_of(who)) == expected, name


def test_for_less_than_its_maker_gains_no_grant(closed, issuer, root, company, called):
    """As a viewer of one company: what the maker sees by his role is not handed on; a grant that he has himself is, and no other."""
    def confined(who):
        return lambda: who.ok("POST", TICKETS, 201, params={"company_id": company["id"]})["ticket"]
    for role in ("admin", "manager", "viewer"):
        who = as_who(closed, issuer.token(role, company["id"]))
        assert first_of_call(closed, called, confined(who)) == (MASKED, (False, True)), role
    assert first_of_call(closed, called, confined(root)) == (MASKED, (False, True))
    granted = as_who(closed, issuer.token("viewer", company["id"], grants=["phones"]))
    assert first_of_call(closed, called, confined(granted)) == (PHONE, (True, False))
    # what is stored says the same; one that an instance of the version before has made has none
    psql(closed, "delete from ws_tickets")
    confined(as_who(closed, issuer.token("admin", company["id"])))()
    assert psql(closed, "select roles, grants from ws_tickets") == "{viewer}|{}"


def test_a_ticket_of_the_version_before(closed, viewer, company, called):
    """It names no grants, and has none."""
    ticket = f"dpt_{uuid.uuid4().hex}{'A' * 11}"
    assert re.fullmatch(r"dpt_[A-Za-z0-9_-]{43}", ticket)
    psql(closed, "insert into ws_tickets (ticket_hash, subject, company_id, roles, expires_at) values "
                 f"(sha256('{ticket}'), 'old', '{company['id']}', array['viewer'], now() + interval '1 minute')")
    assert watch(f"ws://{closed.http}/api/analytics/ws/calls/{called}?ticket={ticket}")[1][0]["data"]["phone_number"] == MASKED


def test_another_service_takes_it(closed, root, company, issuer):
    """A ticket is in the database, so any instance of any service knows it: this stream is the campaign service's."""
    manager = as_who(closed, issuer.token("manager", company["id"]))
    campaign = root.campaign(company, root.skillbase(company))
    answer = manager.request("POST", f"/api/campaigns/{campaign['id']}/call-list", content=b"phone_number\n+12015550123\n",
                             headers={"content-type": "text/csv", "prefer": "respond-async"})
    assert answer.status_code == 202, answer.text
    where = f"{closed.url}/api/campaigns/{campaign['id']}/uploads/{answer.json()['upload_id']}/progress"
    ticket = ticket_of(manager)
    assert first_line(f"{where}?ticket={ticket}")[0] == 200
    assert first_line(f"{where}?ticket={ticket}")[0] == 401


def test_late_and_forged(closed, viewer, company):
    late = ticket_of(viewer)
    psql(closed, f"update ws_tickets set expires_at = now() - interval '1 second' where ticket_hash = sha256('{late}')")
    good = ticket_of(viewer)
    forged = {"late": late, "nobody's": "dpt_" + "A" * 43, "flipped": good[:10] + ("A" if good[10] != "A" else "B") + good[11:],
              "cut": good[:-1], "longer": good + "A", "empty": "", "a key's form": "dpk_" + "0" * 16 + "_" + "A" * 43,
              "sql": "dpt_'%20or%201=1--", "with a session": good + "%20" + "A" * 22}
    said = {}
    for name, ticket in forged.items():
        status, problem = first_line(live(closed, company, ticket))
        assert status == 401 and problem["reason"] in ("TICKET_REFUSED", "TICKET_MALFORMED"), (name, status, problem)
        said[name] = problem["detail"]
        assert good not in json.dumps(problem)
        if name not in ("sql", "with a session", "empty"):
            _, messages, closing = watch(live(closed, company, ticket, "ws"), until=2)
            assert closing == 4401 and [message["type"] for message in messages] == ["error"], (name, messages)
    assert said["late"] == said["nobody's"] == said["flipped"]
    # the ticket that all this was about is still good
    assert first_line(live(closed, company, good))[0] == 200


def test_only_for_streams(closed, viewer, company):
    """Not for a request, a file, or another way of showing it; and not beside a token."""
    ticket = ticket_of(viewer)
    for path in ("/api/companies", "/api/analytics/calls.csv"):
        problem = check_problem(httpx.get(f"{closed.url}{path}", params={"ticket": ticket}))
        assert problem["status"] == 401 and problem["reason"] == "TICKET_NOT_HERE", path
    assert httpx.get(f"{closed.url}/api/companies", headers={"authorization": f"Ticket {ticket}"}).status_code == 401
    assert httpx.get(f"{closed.url}/api/companies", headers=bearer(ticket)).status_code == 401
    token = viewer.client.headers["authorization"]
    status, problem = first_line(live(closed, company, ticket), {**LINES, "authorization": token})
    assert status == 401 and problem["reason"] == "TOKEN_MALFORMED"
    for name, method, request in ((closed.skillbase, "CompanyService/ListCompanies", {}),):
        with Reflected(name) as client:
            with pytest.raises(grpc.RpcError) as caught:
                client.call(f"dialplane.v1.{method}", request, metadata=[("authorization", f"Ticket {ticket}")])
            assert caught.value.code() == CODE.UNAUTHENTICATED and client.reason(caught.value) == "TICKET_NOT_HERE"
    assert first_line(live(closed, company, ticket))[0] == 200  # none of these has used it


def test_what_ends_it(closed, root, viewer, company):
    """A stream that a ticket has opened ends with the key that the ticket was asked for with; an unused ticket goes with it."""
    made = root.ok("POST", f"/api/companies/{company['id']}/api-keys", 201, json={"name": "wall", "roles": ["viewer"]})
    wall = as_who(closed, made["key"])
    unused = ticket_of(wall)
    with httpx.stream("GET", live(closed, company, ticket_of(wall)), headers=LINES, timeout=60) as answer:
        lines = answer.iter_lines()
        assert json.loads(next(lines))["type"] == "init"
        root.ok("DELETE", f"/api/companies/{company['id']}/api-keys/{made['id']}", 204)
        last = json.loads([line for line in lines][-1])
    assert last["error"]["code"] == "UNAUTHENTICATED" and last["error"]["reason"] == "KEY_UNKNOWN", last
    assert first_line(live(closed, company, unused))[0] == 401
    wait_until(lambda: wall.request("POST", TICKETS).status_code == 401, what="the end of the key")
    assert psql(closed, f"select count(*) from ws_tickets where subject = '{made['prefix']}'") == "0"


def test_a_token_s_end_is_the_stream_s(closed, viewer, company):
    ticket = ticket_of(viewer)
    psql(closed, f"update ws_tickets set principal_expires_at = now() + interval '3 seconds' where ticket_hash = sha256('{ticket}')")
    with httpx.stream("GET", live(closed, company, ticket), headers=LINES, timeout=60) as answer:
        last = json.loads([line for line in answer.iter_lines()][-1])
    assert last.get("error", last)["reason"] == "TOKEN_EXPIRED", last  # a machine that is slower than that says it at once


@pytest.mark.parametrize("name", ["token", "access_token", "api_key", "apikey", "Api-Key", "authorization", "Authorization", "bearer", "jwt", "%74oken",
                                  "id_token", "auth"])
def test_not_in_an_address(closed, issuer, company, name):
    """Refused whatever it is about, by name; neither said again nor logged."""
    token = issuer.token("platform")
    key = f"dpk_{uuid.uuid4().hex[:16]}_{'s' * 43}"
    for secret in (token, key):
        for path in ("/api/companies", "/api/analytics/live", "/docs", "/nowhere", "/"):
            answer = httpx.get(f"{closed.url}{path}?limit=5&{name}={secret}", headers=LINES)
            problem = check_problem(answer)
            assert answer.status_code == 400 and problem["reason"] == "CREDENTIALS_IN_URL", (path, answer.text)
            assert secret not in answer.text and "Authorization" in problem["detail"]
        # also with a good token beside it: who writes it into an address must learn of it
        assert httpx.get(f"{closed.url}/api/companies?{name}={secret}", headers=bearer(token)).status_code == 400
        with pytest.raises(websockets.InvalidStatusCode) as caught:
            watch(f"ws://{closed.http}/api/analytics/ws/live?company_id={company['id']}&{name}={secret}")
        assert caught.value.status_code == 400
    for process in ("gateway", "skillbase", "analytics"):
        log = closed.log(f"dialplane-{process}")
        assert token not in log and key not in log


def test_by_its_form(closed, issuer, viewer):
    """A token or key under another name is one all the same."""
    for value in (issuer.token("platform"), f"dpk_{'0' * 16}_{'s' * 43}"):
        for name in ("q", "page_token", "x"):
            problem = check_problem(httpx.get(f"{closed.url}/api/companies", params={name: value}))
            assert problem["reason"] == "CREDENTIALS_IN_URL" and value not in json.dumps(problem)
    page = viewer.ok("GET", "/api/companies", params={"limit": 1, "page_token": ""})
    assert page["items"]


def test_tickets_are_not_logged_and_do_not_stay(closed, viewer, company):
    ticket = ticket_of(viewer)
    assert first_line(live(closed, company, ticket, more="&"))[0] == 200
    assert httpx.get(f"{closed.url}/api/companies?ticket={ticket}&ticket={ticket}").status_code == 400
    for process in ("gateway", "skillbase", "analytics", "campaign"):
        assert ticket not in closed.log(f"dialplane-{process}"), process
    # what was never used goes with the next ones
    for _ in range(3):
        ticket_of(viewer)
    psql(closed, "update ws_tickets set expires_at = now() - interval '1 second'")
    before = int(psql(closed, "select count(*) from ws_tickets"))
    ticket_of(viewer)
    assert before >= 3 and int(psql(closed, "select count(*) from ws_tickets")) == max(before - 10, 0) + 1
