"""What monitoring sees of people: nothing. After one of everything that has a phone number, a name, a token or words of a call in it, well-formed and not, none
of these is in a page of figures, or anywhere in what has been sent to the collector of traces. (test_masking.py looks into the logs.)"""

import json
import uuid

import grpc
import httpx
import pytest
import websockets

from agents import Rpc, finished, report, started, status, turn
from collector import collector  # noqa: F401
from conftest import Api, wait_until
from reflected import Reflected
from secured import Issuer, asking, bearer
from test_access import watch
from test_metrics import OF, page

PHONE, OTHER, PREFIX = "+12015550163", "+12015550164", "+339998877"
NAME, SAID, REASON, WORD = "Philippa Quillfeather", "my cat is called Wellington", "sings in the choir", "xylophone_lesson"
PERSONAL = [PHONE.lstrip("+"), OTHER.lstrip("+"), PREFIX.lstrip("+"), "201-555-0163", "%2B12015550163", *NAME.split(), "Wellington", "choir", "dpk_", "dpt_", "eyJ"]


@pytest.fixture(scope="module")
def issuer():
    return Issuer()


@pytest.fixture(scope="module")
def watched(issuer, collector, tmp_path_factory):
    """A platform that asks who you are and records every request."""
    with asking(issuer, tmp_path_factory.mktemp("keys"), OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.port}", DIALPLANE_TRACE_RATIO="1") as platform:
        yield platform


def as_who(platform, credential):
    api = Api(platform.url)
    api.client.headers.update(bearer(credential))
    return api


def one_call(root, stubs, platform, token, company):
    """From the list to the end of the call; (campaign, task, call)."""
    campaign = root.campaign(company, root.skillbase(company), default_region="US")
    rows = f"phone_number,name,note\n(201) 555-0163,{NAME},{SAID}\n{OTHER},{NAME},{PHONE}\nnobody,{NAME},{PHONE}\n"
    assert root.upload(campaign, rows)["created"] == 2
    root.ok("POST", f"/api/campaigns/{campaign['id']}/start")
    metadata = [("authorization", f"Bearer {token}")]
    with Rpc(stubs, platform.campaign, "DispatchService") as rpc:
        task, = rpc.ClaimTasks({"worker_id": "w", "campaign_id": campaign["id"], "wait_ms": 20000, "max": 1}, metadata=metadata).tasks
        rpc.BeginDial({"call_id": task.call_id, "fence": task.fence}, metadata=metadata)
        report(root, task.call_id, [started(company, phone_number=task.phone_number, campaign_id=campaign["id"], task_id=task.task_id),
                                    turn(2, 0, 1, role="user", content=f"{SAID}, call {PHONE}"), status(3, 2, reason=f"{NAME} {REASON}"),
                                    finished(4, 3, outcome=WORD, outcome_reason=f"{NAME} {REASON}, {OTHER}")])
        rpc.FinishTask({"call_id": task.call_id, "fence": task.fence, "disposition": "DISPOSITION_DECLINED", "error_message": f"{NAME}: {PHONE}"}, metadata=metadata)
    return campaign, task.task_id, task.call_id


def read_all(root, company, campaign, task, call):
    """Looked for by number, exported, put on the list of those who are not called, erased."""
    tasks = f"/api/campaigns/{campaign['id']}/tasks"
    for path, parameters in ((tasks, {"phone_number": PHONE}), (f"{tasks}/{task}", {}), (f"{tasks}.csv", {}), (f"/api/analytics/calls/{call}", {}),
                             ("/api/analytics/calls.csv", {"company_id": company["id"]}), ("/api/analytics/calls", {"outcome": WORD}),
                             ("/api/analytics/metrics", {"company_id": company["id"]}), (f"/api/companies/{company['id']}/audit.jsonl", {})):
        assert root.get(path, **parameters).status_code == 200, path
    numbers = f"/api/companies/{company['id']}/suppressions"
    root.ok("POST", numbers, 201, json={"phone_number": OTHER, "reason": f"{NAME} {REASON}"})
    root.ok("POST", numbers, 201, json={"prefix": PREFIX, "reason": SAID})
    root.problem("POST", numbers, 409, json={"phone_number": OTHER, "reason": SAID})
    root.ok("POST", f"{numbers}/upload", content=f"phone_number,reason\n{PHONE},{NAME}\nnobody,{NAME}\n".encode(), headers={"content-type": "text/csv"})
    root.ok("POST", f"/api/companies/{company['id']}/erase-contact", json={"phone_number": PHONE, "reference": "ticket"})


def mistakes(root, platform, company, token):
    """What goes wrong with a number, a name or a token in the wrong place; each is refused, and that is all."""
    for path in (f"/api/campaigns/{PHONE}/{NAME}", f"/api/analytics/calls/{PHONE}", f"/{NAME}/{PHONE}", f"/api/companies/{token}"):
        assert root.request("GET", path).status_code in (400, 404), path
    assert root.request("GET", "/api/campaigns", params={"status": NAME}).status_code == 400
    assert root.request("POST", "/api/companies", json={NAME: PHONE}).status_code == 400
    assert root.request("POST", "/api/companies", content=f'{{"name": "{NAME} {PHONE}').status_code in (400, 415)
    assert root.request(NAME.split()[0].upper(), "/api/companies").status_code in (400, 405, 501)
    assert httpx.get(f"{platform.url}/api/companies", params={"token": token}).status_code == 400
    assert httpx.get(f"{platform.url}/api/companies", headers={**bearer(token[:-3]), "user-agent": f"{NAME} {PHONE}", "x-caller": PHONE}).status_code == 401
    assert httpx.get(f"{platform.url}/api/companies", headers={**bearer(token), "tracestate": "a=b", "baggage": f"caller={PHONE}",
                                                             "x-request-id": f"{PHONE} {NAME}"}).status_code == 200
    with Reflected(platform.skillbase) as client:
        with pytest.raises(grpc.RpcError):
            client.call("dialplane.v1.CompanyService/GetCompany", {"id": PHONE}, metadata=[("authorization", f"Bearer {token}")])
    with grpc.insecure_channel(platform.campaign) as channel:
        with pytest.raises(grpc.RpcError):  # a method that nobody knows
            channel.unary_unary(f"/dialplane.v1.{NAME.replace(' ', '')}/Call{PHONE}", lambda m: m, lambda m: m)(b"", timeout=30)


def streams(root, platform, company, call, issuer):
    """With a token as the subprotocol, with a key, with a ticket in the address; good ones and bad ones."""
    made = root.ok("POST", f"/api/companies/{company['id']}/api-keys", 201, json={"name": NAME, "roles": ["viewer"], "grants": ["phones"]})
    key = made["key"]
    ticket = as_who(platform, key).ok("POST", "/api/analytics/ws-tickets", 201)["ticket"]
    url = f"ws://{platform.http}/api/analytics/ws/calls/{call}"
    token = issuer.token("viewer", company["id"], sub=f"{NAME}@example.com")
    for address, options in ((f"{url}?ticket={ticket}", {}), (url, {"subprotocols": ["bearer", key]}), (url, {"subprotocols": ["bearer", token]})):
        assert watch(address, **options)[1][0]["type"] == "init"
    assert watch(f"{url}?ticket={ticket}", until=2)[2] == 4401
    with pytest.raises(websockets.InvalidStatusCode):
        watch(f"{url}?token={token}")
    return [key[21:], ticket[4:], *token.split(".")[1:]]


KINDS = {"ClaimTasks", "FinishTask", "ReportCallEventBatch", "UploadCallList", "ListTasks", "ExportTasks", "WatchCall", "CreateWsTicket", "CreateApiKey",
         "CreateSuppression", "EraseContact", "GetCompany"}


def everything_has_come(collector, root):
    """(spans, bytes). Spans are sent in the order in which they ended: once those of a last request to each service are there, so is all that was before."""
    last = []
    for path in ("/api/companies", "/api/campaigns", "/api/analytics/calls"):
        trace = uuid.uuid4().hex
        last.append(trace)
        assert root.client.get(path, headers={"traceparent": f"00-{trace}-{uuid.uuid4().hex[:16]}-01"}).status_code == 200

    def come():
        found = [{(span.service, span.kind) for span in collector.of(trace)} for trace in last]
        if not all(("dialplane-gateway", "server") in one and any(service != "dialplane-gateway" and kind == "server" for service, kind in one) for one in found):
            return None
        with collector.lock:  # and what was watched has ended
            return (list(collector.spans), collector.raw) if KINDS <= {span.name.rsplit("/", 1)[-1] for span in collector.spans} else None
    return wait_until(come, 120, "the spans of the last requests")


def test_nothing_personal_in_figures_and_traces(watched, collector, issuer, stubs):
    token = issuer.token("platform", sub=f"{NAME}@example.com")
    root = as_who(watched, token)
    company = root.company()
    campaign, task, call = one_call(root, stubs, watched, token, company)
    secrets = streams(root, watched, company, call, issuer)
    mistakes(root, watched, company, token)
    read_all(root, company, campaign, task, call)
    spans, raw = everything_has_come(collector, root)
    assert {span.service for span in spans} == set(OF)
    wrong = [*PERSONAL, *token.split(".")[1:], *secrets]
    for span in spans:
        text = json.dumps([span.name, span.attributes, span.resource], ensure_ascii=False)
        assert not any(one.lower() in text.lower() for one in wrong), text
        assert {name.split(".")[0] for name in span.attributes} <= {"http", "rpc", "db", "dialplane"}, span.attributes
    for one in wrong:  # events, messages of errors, whatever else a span may have; identifiers are random bytes, in which anything short may stand
        assert len(one) < 5 or one.encode() not in raw, one
    # the pages: after all that, and with it
    for process in OF:
        text = page(watched, process).lower()
        assert "dialplane_build_info" in text
        for one in [*wrong, company["id"], task, call]:
            assert one.lower() not in text, (process, one, [line for line in text.splitlines() if one.lower() in line][:2])


def test_the_test_would_see_it(collector):
    """The collector keeps what a Span leaves out: the message of a status."""
    def field(number, data):
        return bytes([number << 3 | 2, len(data)]) + data
    span = field(1, b"t" * 16) + field(2, b"s" * 8) + field(5, b"name") + bytes([6 << 3, 2]) + field(15, field(2, NAME.encode()))
    request = field(1, field(1, field(1, field(1, b"service.name") + field(2, field(1, b"test")))) + field(2, field(2, span)))
    with grpc.insecure_channel(f"127.0.0.1:{collector.port}") as channel:
        channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export", lambda m: m, lambda m: m)(request, timeout=30)
    with collector.lock:
        assert NAME.encode() in collector.raw
        assert NAME not in repr(collector.spans)
