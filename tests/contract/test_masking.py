"""Phone numbers as viewers see them: every method whose answer says something of a person, found by the marks in the .proto files, as every role; files,
streams and the logs."""

import asyncio
import importlib
import json
import re
import uuid
from datetime import datetime, timezone
from pathlib import Path

import grpc
import httpx
import pytest
import websockets

from agents import Rpc
from conftest import ROOT
from secured import Issuer, as_who, asking, bearer

PHONE, OTHER = "+12015550117", "+12015550118"
SPOKEN = "+4915112345678"
SECRETS = [number.lstrip("+") for number in (PHONE, OTHER, SPOKEN)] + ["015112345678", "201-555-0117", "(201) 555-0117"]
NAMES = ["Zacharias Quillfeather"]


def mask(number):
    """As documented: the country code and the last four of more than nine digits behind it."""
    return {PHONE: "+1•••0117", OTHER: "+1•••0118", SPOKEN: "+49•••5678"}[number]


@pytest.fixture(scope="module")
def issuer():
    return Issuer()


@pytest.fixture(scope="module")
def closed(issuer, tmp_path_factory):
    """A platform of these tests alone: one of them reads what its processes say until their end."""
    with asking(issuer, tmp_path_factory.mktemp("keys")) as platform:
        yield platform


@pytest.fixture(scope="module")
def root(closed, issuer):
    return as_who(closed, issuer.token("platform"))


@pytest.fixture(scope="module")
def protos(stubs):
    """Every method of ours: (service, method, personal fields by message)."""
    from dialplane import options_pb2
    services = []
    for name in sorted(path.stem for path in (ROOT / "proto" / "dialplane" / "v1").glob("*.proto")):
        module = importlib.import_module(f"dialplane.v1.{name}_pb2")
        services += list(module.DESCRIPTOR.services_by_name.values())
    return options_pb2, services


def personal(options, message, seen=()):
    """[(message, field, mark)] of a message and of all that it holds."""
    if message.full_name in seen:
        return []
    found = []
    for field in message.fields:
        mark = field.GetOptions().Extensions[options.rules].personal
        if mark:
            found.append((message, field, mark))
        if field.message_type:
            found += personal(options, field.message_type, (*seen, message.full_name))
    return found


def test_what_looks_personal_is_marked(protos):
    """A field that says by its name that it is a phone or free text of a contact, in any answer, is marked."""
    options, services = protos

    def walk(message, seen):
        if message.full_name in seen or not message.full_name.startswith("dialplane."):
            return
        seen.add(message.full_name)
        for field in message.fields:
            if re.search(r"phone|contact_data|contact_name", field.name):
                assert field.GetOptions().Extensions[options.rules].personal, f"{message.full_name}.{field.name} needs (dialplane.rules).personal"
            if field.message_type:
                walk(field.message_type, seen)
    seen = set()
    for service in services:
        for method in service.methods:
            walk(method.output_type, seen)
    assert len(seen) > 30


@pytest.fixture(scope="module")
def seeded(stubs, closed, issuer, root):
    """A company in which every place that may hold a number holds one."""
    company = root.company()
    skillbase = root.skillbase(company)
    campaign = root.campaign(company, skillbase, max_retries=0, default_region="US")
    path = f"/api/campaigns/{campaign['id']}"
    text = (f"phone_number,name,note,id\n(201) 555-0117,{NAMES[0]},also 201-555-0117 and {SPOKEN} until 2026-03-01,A1234567\n{OTHER},Bob {OTHER},x,y\n"
            "+12015550117999999999,Wrong,2015550117,z\n")
    upload = root.upload(campaign, text)
    assert upload["created"] == 2 and upload["error_count"] == 1
    root.problem("POST", f"{path}/call-list?on_duplicate=error", 409, files={"file": ("l.csv", f"phone_number\n{PHONE}\n".encode(), "text/csv")})
    root.ok("POST", f"/api/companies/{company['id']}/suppressions", 201, json={"phone_number": "+12015550199", "reason": f"asked, from {SPOKEN}"})
    root.ok("POST", f"/api/companies/{company['id']}/suppressions", 201, json={"prefix": "+3312345678", "reason": "law"})
    root.ok("POST", f"{path}/start")
    token = issuer.token("platform")
    metadata = [("authorization", f"Bearer {token}")]
    with Rpc(stubs, closed.campaign, "DispatchService") as rpc:
        task = rpc.ClaimTasks({"worker_id": "w", "campaign_id": campaign["id"], "wait_ms": 10000}, metadata=metadata).tasks[0]
        assert task.phone_number == PHONE, "an agent sees the number"
        rpc.BeginDial({"call_id": task.call_id, "fence": task.fence}, metadata=metadata)
        rpc.FinishTask({"call_id": task.call_id, "fence": task.fence, "disposition": "DISPOSITION_DECLINED", "error_message": f"hung up: {PHONE}"}, metadata=metadata)
    now = datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")

    def report(call, *events):
        with Rpc(stubs, closed.analytics, "AnalyticsService") as rpc:
            rpc.ReportCallEventBatch({"call_id": call, "events": [{"seq": seq, "occurred_at": now, **event} for seq, event in enumerate(events, 1)]}, metadata=metadata)
    begin = {"started": {"company_id": company["id"], "campaign_id": campaign["id"], "task_id": task.task_id, "phone_number": PHONE}}
    said = {"turn": {"turn_index": 0, "role": "user", "content": f"call me at {SPOKEN}, please"}}
    status = {"status": {"status": "active", "reason": f"moved to {SPOKEN}"}}
    report(task.call_id, begin, said, status, {"finished": {"status": "completed", "outcome": "success", "outcome_reason": f"gave {SPOKEN}"}})
    active = str(uuid.uuid4())
    report(active, begin, said, status)
    return {"company": company["id"], "campaign": campaign["id"], "task": task.task_id, "call": task.call_id, "active": active, "upload": upload["upload_id"],
            "skillbase": skillbase["id"]}


def requests(own):
    """What to ask each method whose answer is marked."""
    task = {"campaign_id": own["campaign"], "id": own["task"]}
    upload = {"campaign_id": own["campaign"], "id": own["upload"]}
    return {
        "ListCalls": {"company_id": own["company"]}, "GetCall": {"id": own["call"]}, "GetCallMetrics": {"id": own["call"]}, "WatchCall": {"call_id": own["active"]},
        "ListTasks": {"campaign_id": own["campaign"]}, "GetTask": task, "ListAttempts": task, "ExplainTask": task,
        "ListUploads": {"campaign_id": own["campaign"]}, "GetUpload": upload, "WatchUpload": upload,
        "ListSuppressions": {"company_id": own["company"]}, "GetSuppression": None,
    }


def answers(rpc, method, request, token):
    """The answer, or the first messages of a stream that has an `init`, a turn and a status."""
    invoke = getattr(rpc, method)
    metadata = [("authorization", f"Bearer {token}")]
    if not method.startswith("Watch"):
        return [invoke(request, metadata=metadata)]
    stream = invoke(request, metadata=metadata)
    found = []
    for message in stream:
        found.append(message)
        if method == "WatchUpload" or message.WhichOneof("event") == "metrics":
            break
    stream.cancel()
    return found


def masked(options, message):
    """A copy with every marked field masked, by this test's own rules (the numbers are known here)."""
    from google.protobuf import struct_pb2
    copy = type(message)()
    copy.CopyFrom(message)

    def text(value):
        for plain in (PHONE, OTHER, SPOKEN):
            value = value.replace(plain, mask(plain))
        return value.replace("201-555-0117", "•••0117").replace("(201) 555-0117", "•••0117").replace("+12015550199", "+1•••0199").replace("+3312345678", "+33•••678")

    def walk(part):
        for field, value in part.ListFields():
            mark = field.GetOptions().Extensions[options.rules].personal if field.containing_type.full_name.startswith("dialplane.") else 0
            many = field.label == field.LABEL_REPEATED
            if isinstance(value, struct_pb2.Struct) and mark:
                for key in value:
                    value[key] = text(value[key])
            elif mark and many:
                value[:] = [text(one) for one in value]
            elif mark:
                setattr(part, field.name, text(value))
            elif field.message_type and not field.message_type.GetOptions().map_entry and not field.message_type.full_name.startswith("google."):
                for one in value if many else [value]:
                    walk(one)
    walk(copy)
    return copy


class Service(Rpc):
    def __init__(self, descriptor, address):
        self.module = importlib.import_module(descriptor.file.name.removesuffix(".proto").replace("/", ".") + "_pb2")
        self.service = descriptor
        self.channel = grpc.insecure_channel(address)


def test_every_marked_answer_as_every_role(protos, closed, issuer, seeded):
    """Derived from the marks: what a manager sees, a viewer sees masked and nothing else changed; with the grant, whole."""
    options, services = protos
    from dialplane import options_pb2
    asked, covered = requests(seeded), set()
    for service in services:
        backend = service.GetOptions().Extensions[options_pb2.service].backend
        with Service(service, getattr(closed, backend)) as rpc:
            for method in service.methods:
                roles = {options_pb2.Role.Name(role).removeprefix("ROLE_").lower() for role in method.GetOptions().Extensions[options_pb2.access].roles}
                if "viewer" not in roles or not personal(options, method.output_type):
                    continue
                covered.add(method.name)
                request = asked[method.name]
                if method.name == "GetSuppression":
                    listed = answers(rpc, "ListSuppressions", asked["ListSuppressions"], issuer.token("manager", seeded["company"]))[0].items
                    request = {"company_id": seeded["company"], "id": next(item.id for item in listed if item.phone_number)}
                by_role = {role: answers(rpc, method.name, request, issuer.token(role, None if role == "platform" else seeded["company"])) for role in roles}
                granted = answers(rpc, method.name, request, issuer.token("viewer", seeded["company"], grants=["phones"]))
                both = answers(rpc, method.name, request, issuer.token("viewer", seeded["company"], roles=["viewer", "manager"]))
                whole = by_role["manager"]
                for name, seen in {**by_role, "granted": granted, "both": both}.items():
                    expected = [masked(options, message) for message in whole] if name == "viewer" else whole
                    for one, other in zip(seen, expected):
                        for field in ("now", "rows_per_second", "bytes_per_second"):  # they go on
                            for side in (one, other):
                                if field in side.DESCRIPTOR.fields_by_name:
                                    side.ClearField(field)
                    assert seen == expected, (method.name, name)
                viewed = b"".join(message.SerializeToString() for message in by_role["viewer"]).decode(errors="replace")
                assert not any(secret in viewed for secret in SECRETS), method.name
                if method.name in ("ListCalls", "GetCall", "WatchCall", "ListTasks", "GetTask", "ListAttempts", "ListSuppressions", "GetCallMetrics"):
                    assert any(secret in b"".join(message.SerializeToString() for message in whole).decode(errors="replace") for secret in SECRETS), method.name
    assert covered == set(asked), covered ^ set(asked)


def test_files(closed, issuer, seeded):
    """tasks.csv, calls.csv and errors.csv go through the same mask; what is no phone stays."""
    for path in (f"/api/campaigns/{seeded['campaign']}/tasks.csv", f"/api/analytics/calls.csv?company_id={seeded['company']}",
                 f"/api/campaigns/{seeded['campaign']}/uploads/{seeded['upload']}/errors.csv"):
        def read(role, **claims):
            answer = httpx.get(closed.url + path, headers=bearer(issuer.token(role, seeded["company"], **claims)))
            assert answer.status_code == 200
            return answer.text
        whole, viewed = read("manager"), read("viewer")
        assert read("viewer", grants=["phones"]) == whole
        assert any(secret in whole for secret in SECRETS) and "•••" in viewed
        assert not any(secret in viewed for secret in SECRETS), path
        assert len(viewed.splitlines()) == len(whole.splitlines())
        if "tasks.csv" in path:
            assert "until 2026-03-01" in viewed and "A1234567" in viewed and NAMES[0] in viewed and "'+1•••0117" in viewed


def test_rest_and_filters(closed, issuer, seeded):
    """The same over REST; a number that somebody knows can still be looked for, whole."""
    viewer = as_who(closed, issuer.token("viewer", seeded["company"]))
    path = f"/api/campaigns/{seeded['campaign']}/tasks"
    items = viewer.ok("GET", path, params={"phone_number": PHONE})["items"]
    assert [item["phone_number"] for item in items] == ["+1•••0117"] and items[0]["phone_text"] == "•••0117"
    assert items[0]["contact_data"]["note"] == "also •••0117 and +49•••5678 until 2026-03-01" and items[0]["contact_data"]["id"] == "A1234567"
    assert not viewer.ok("GET", path, params={"phone_number": PHONE[:-1]})["items"] and not viewer.ok("GET", path, params={"phone_number": "+1•••0117"})["items"]
    manager = as_who(closed, issuer.token("manager", seeded["company"]))
    seen, whole = viewer.get(f"{path}/{seeded['task']}"), manager.get(f"{path}/{seeded['task']}")
    assert whole.json()["phone_number"] == PHONE and seen.json()["phone_number"] == "+1•••0117"


def test_watchers_of_one_call(closed, issuer, seeded):
    """A viewer and a manager watch the same call at the same time, through the same gateway: each sees what is his."""
    async def watch(token):
        async with websockets.connect(f"ws://{closed.http}/api/analytics/ws/calls/{seeded['active']}", extra_headers=bearer(token)) as socket:
            found = []
            while not found or found[-1]["type"] != "metrics":
                found.append(json.loads(await asyncio.wait_for(socket.recv(), 30)))
            return found

    async def both():
        tokens = [issuer.token("manager", seeded["company"]), issuer.token("viewer", seeded["company"])]
        return await asyncio.gather(*(watch(tokens[i % 2]) for i in range(6)))
    found = asyncio.run(both())
    for i, messages in enumerate(found):
        text = json.dumps(messages, ensure_ascii=False)
        assert messages[0]["data"]["phone_number"] == (PHONE if i % 2 == 0 else mask(PHONE))
        assert (SPOKEN in text) == (i % 2 == 0) and (mask(SPOKEN) in text) == (i % 2 == 1)
    for form in ("text/event-stream", "application/x-ndjson"):
        with httpx.stream("GET", f"{closed.url}/api/analytics/calls/{seeded['call']}/events", timeout=30,
                          headers={"Accept": form, **bearer(issuer.token("viewer", seeded["company"]))}) as answer:
            text = answer.read().decode()
        assert not any(secret in text for secret in SECRETS) and "+49" in text


def test_grants(closed, issuer, seeded):
    company = seeded["company"]
    for grants in ("phones", ["everything"], [1], {"phones": True}):
        answer = httpx.get(f"{closed.url}/api/companies", headers=bearer(issuer.token("viewer", company, grants=grants)))
        assert answer.status_code == 401 and answer.json()["reason"] == "TOKEN_BAD_CLAIMS", grants
    assert httpx.get(f"{closed.url}/api/companies", headers=bearer(issuer.token("viewer", company, grants=[]))).status_code == 200


def test_keys_with_grants(stubs, closed, root, seeded):
    """A key's grants are worth what a token's are, in every service, over REST, gRPC and WebSocket, in files and in free text; without them nothing is lifted."""
    made = {name: root.ok("POST", f"/api/companies/{seeded['company']}/api-keys", 201, json={"name": name, "roles": roles, "grants": grants})["key"]
            for name, roles, grants in (("plain", ["viewer"], []), ("granted", ["viewer"], ["phones"]), ("manager", ["manager"], []))}
    rpc_asked = (("CampaignService", closed.campaign, "GetTask"), ("AnalyticsService", closed.analytics, "GetCall"), ("AnalyticsService", closed.analytics, "WatchCall"))
    paths = (f"/api/campaigns/{seeded['campaign']}/tasks/{seeded['task']}", f"/api/campaigns/{seeded['campaign']}/tasks.csv",
             f"/api/analytics/calls/{seeded['call']}", f"/api/companies/{seeded['company']}/suppressions")
    for path in paths:
        seen = {name: httpx.get(closed.url + path, headers=bearer(key)) for name, key in made.items()}
        assert {answer.status_code for answer in seen.values()} == {200}, path
        seen = {name: answer.text for name, answer in seen.items()}
        assert seen["granted"] == seen["manager"] != seen["plain"], path
        assert "•••" in seen["plain"] and not any(secret in seen["plain"] for secret in SECRETS), path
    for service, address, method in rpc_asked:
        with Rpc(stubs, address, service) as rpc:
            seen = {name: b"".join(message.SerializeToString() for message in answers(rpc, method, requests(seeded)[method], key)).decode(errors="replace")
                    for name, key in made.items()}
        assert PHONE in seen["granted"] and PHONE in seen["manager"] and not any(secret in seen["plain"] for secret in SECRETS), method

    async def watch(key):
        async with websockets.connect(f"ws://{closed.http}/api/analytics/ws/calls/{seeded['active']}", subprotocols=["bearer", key]) as socket:
            return json.loads(await asyncio.wait_for(socket.recv(), 30))
    assert asyncio.run(watch(made["granted"]))["data"]["phone_number"] == PHONE
    assert asyncio.run(watch(made["plain"]))["data"]["phone_number"] == mask(PHONE)


def test_nothing_personal_is_logged(closed, issuer, seeded, root):
    """After all of the above and some mistakes: no number, no name, no token in any log of any process."""
    token = issuer.token("manager", seeded["company"])
    manager = as_who(closed, token)
    manager.problem("POST", f"/api/companies/{seeded['company']}/suppressions", 409, json={"phone_number": "+12015550199"})
    manager.problem("POST", f"/api/companies/{seeded['company']}/suppressions", 400, json={"phone_number": "2015550117"})
    manager.ok("GET", f"/api/campaigns/{seeded['campaign']}/tasks", params={"phone_number": PHONE})
    assert httpx.get(f"{closed.url}/api/campaigns/{PHONE}/nowhere", headers=bearer(token)).status_code == 404
    closed.dev("down", "--data", closed.data)  # what is said at the end counts too
    logs = {log.name: log.read_text(errors="replace") for log in sorted(Path(closed.data, "logs").glob("*.log*"))}
    assert len(logs) >= 5
    for name, text in logs.items():
        for secret in [*SECRETS, *NAMES, "12015550199", token.split(".")[2], "eyJ"]:
            assert secret not in text, (name, [line for line in text.splitlines() if secret in line][:1])
    closed.start()
