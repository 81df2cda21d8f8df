"""gRPC as an internal service meets it: python-grpcio that learns everything by reflection."""

import json
import os
import subprocess
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

import conftest
from agents import psql
from clients import NOBODY
from conftest import SKILLBASE_CONFIG, wait_until
from reflected import Reflected, known

BACKENDS = {
    "skillbase": {"dialplane.v1.CompanyService", "dialplane.v1.SkillbaseService", "dialplane.v1.AuditService", "dialplane.v1.ApiKeyService"},
    "campaign": {"dialplane.v1.CampaignService", "dialplane.v1.DispatchService", "dialplane.v1.PrivacyService", "dialplane.v1.SuppressionService"},
    "analytics": {"dialplane.v1.AnalyticsService"},
}
COMMON = {"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}
CODE = grpc.StatusCode


@pytest.fixture(scope="module")
def clients(platform):
    made = {name: Reflected(getattr(platform, name)) for name in BACKENDS}
    yield made
    for client in made.values():
        client.channel.close()


def fails(code, run):
    with pytest.raises(grpc.RpcError) as caught:
        run()
    assert caught.value.code() == code, caught.value
    return caught.value


# --- Reflection ---

@pytest.mark.parametrize("version", ["v1", "v1alpha"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_reflection(platform, backend, version):
    with Reflected(getattr(platform, backend), version) as client:
        assert set(client.services()) == BACKENDS[backend] | COMMON
        for service in BACKENDS[backend] | COMMON:
            assert client.service(service).methods
        some = next(iter(BACKENDS[backend]))
        file = client.service(some).file.name
        # the same file by its name, by a method, by a message
        for request in ({"file_by_filename": file}, {"file_containing_symbol": f"{some}.{client.service(some).methods[0].name}"},
                        {"file_containing_symbol": client.service(some).methods[0].input_type.full_name}):
            assert client.reflect(**request).file_descriptor_response.file_descriptor_proto
        for request in ({"file_by_filename": "nothing.proto"}, {"file_containing_symbol": "no.Symbol"}, {"file_containing_symbol": ""},
                        {"file_containing_symbol": "x" * 100000}):
            assert client.reflect(**request).error_response.error_code == CODE.NOT_FOUND.value[0]
        # what is not offered is said, and the stream goes on: every request has its answer
        assert client.reflect(file_containing_extension={"containing_type": "no.Type", "extension_number": 1}).error_response.error_code


def test_comments_are_not_needed_but_rules_are_reflected(clients):
    """What a client generates from reflection carries the value rules of options.proto."""
    client = clients["skillbase"]
    client.service("dialplane.v1.CompanyService")
    field = client.pool.FindMessageTypeByName("dialplane.v1.Company").fields_by_name["name"]
    assert field.GetOptions().SerializeToString() != b""


# --- Every unary method ---

def unary_methods(clients):
    return {f"{service}/{name}": backend for backend, services in BACKENDS.items() for service in services
            for name, client_streams, server_streams in clients[backend].methods(service) if not client_streams and not server_streams}


def test_each_unary_method_answers(clients, api, platform):
    """One good call of each, in an order in which each finds what it needs. The list comes from the descriptors: a new method needs a line."""
    done = set()

    def call(path, **request):
        done.add(f"dialplane.v1.{path}")
        backend = next(name for name, services in BACKENDS.items() if f"dialplane.v1.{path.split('/')[0]}" in services)
        return clients[backend].call(f"dialplane.v1.{path}", request)
    tag = uuid.uuid4().hex
    company = call("CompanyService/CreateCompany", company={"name": tag, "slug": tag, "settings": {"a": [1, {"b": None}]}})
    assert call("CompanyService/GetCompany", id=company["id"]) == company
    assert call("CompanyService/UpdateCompany", id=company["id"], company={"description": "d"})["description"] == "d"
    assert call("CompanyService/ListCompanies", limit=1)["items"]
    assert [item["action"] for item in call("AuditService/ListAuditEntries", company_id=company["id"])["items"]] == ["update", "create"]

    skillbase = call("SkillbaseService/CreateSkillbase", skillbase={
        "company_id": company["id"], "name": "n", "slug": "s", "is_published": True, "config": SKILLBASE_CONFIG})
    assert skillbase["config"]["flow"]["type"] == "FLOW_TYPE_GRAPH" and skillbase["config"]["flow"]["states"][0]["id"] == "greeting"
    assert call("SkillbaseService/GetSkillbase", id=skillbase["id"]) == skillbase
    assert call("SkillbaseService/ListSkillbases", company_id=company["id"])["items"] == [skillbase]
    config = {**SKILLBASE_CONFIG, "tools": []}
    assert call("SkillbaseService/UpdateSkillbase", id=skillbase["id"], skillbase={"config": config})["version"] == 2
    assert call("SkillbaseService/ListSkillbaseVersions", id=skillbase["id"])["total"] == "2"
    assert call("SkillbaseService/GetSkillbaseVersion", id=skillbase["id"], version=1)["config"] == skillbase["config"]
    assert call("SkillbaseService/RollbackSkillbase", id=skillbase["id"], version=1)["version"] == 3
    assert call("SkillbaseService/ValidateSkillbaseConfig", config=config)["valid"] is True
    assert call("SkillbaseService/GetSkillbaseForCall", id=skillbase["id"])["version"] == 3

    campaign = call("CampaignService/CreateCampaign", campaign={
        "company_id": company["id"], "skillbase_id": skillbase["id"], "name": "c", "daily_start_time": "00:00", "daily_end_time": "00:00",
        "calls_per_minute": 60000, "max_concurrent_calls": 10})
    assert campaign["status"] == "CAMPAIGN_STATUS_DRAFT"
    assert call("CampaignService/GetCampaign", id=campaign["id"]) == campaign
    assert call("CampaignService/ListCampaigns", company_id=company["id"])["items"] == [campaign]
    assert call("CampaignService/UpdateCampaign", id=campaign["id"], campaign={"name": "d"})["name"] == "d"
    api.upload(campaign, "phone_number,name\n+12015550100,Ann\n+12015550101,Bob\n")
    tasks = call("CampaignService/ListTasks", campaign_id=campaign["id"])["items"]
    assert len(tasks) == 2
    assert call("CampaignService/GetTask", campaign_id=campaign["id"], id=tasks[0]["id"]) == tasks[0]
    spare_upload = api.upload(campaign, "phone_number\n+12015550150\n")["upload_id"]
    uploads = call("CampaignService/ListUploads", campaign_id=campaign["id"])["items"]
    assert len(uploads) == 2 and uploads[0]["id"] == spare_upload and uploads[0]["state"] == "UPLOAD_STATE_COMPLETED"
    named = {"campaign_id": campaign["id"], "id": spare_upload}
    assert call("CampaignService/GetUpload", **named)["created"] == "1"
    assert call("CampaignService/DeleteUpload", **named) == {}
    assert call("CampaignService/StartCampaign", id=campaign["id"])["status"] == "CAMPAIGN_STATUS_RUNNING"
    assert call("CampaignService/PauseCampaign", id=campaign["id"])["status"] == "CAMPAIGN_STATUS_PAUSED"
    call("CampaignService/StartCampaign", id=campaign["id"])

    claimed = call("DispatchService/ClaimTasks", worker_id="w", max=1, wait_ms=10000, campaign_id=campaign["id"])["tasks"]
    assert len(claimed) == 1
    held = {"call_id": claimed[0]["call_id"], "fence": claimed[0]["fence"]}
    assert call("DispatchService/BeginDial", **held)["lease_expires_at"]
    assert call("DispatchService/ReportProgress", **held, stage="answered")["answered_at"]
    assert call("DispatchService/Heartbeat", worker_id="w", calls=[held])["results"][0]["state"] == "LEASE_STATE_HELD"
    finished = call("DispatchService/FinishTask", **held, disposition="answered", outcome="success")
    assert finished["status"] == "TASK_STATUS_COMPLETED" and finished["task_id"] == claimed[0]["task_id"]
    again = call("DispatchService/FinishTaskBatch", calls=[{**held, "disposition": "answered", "outcome": "success"}])["results"]
    assert [(item["task_id"], item["status"]) for item in again] == [(finished["task_id"], finished["status"])]
    task = {"campaign_id": campaign["id"], "id": claimed[0]["task_id"]}
    assert [item["number"] for item in call("CampaignService/ListAttempts", **task)["items"]] == [1]
    assert call("CampaignService/ExplainTask", **task)["callable"] is False
    assert call("CampaignService/SimulateCampaign", id=campaign["id"])["contacts"] == "1"

    # A call whose agent is lost after it began: a person settles it.
    lost = call("DispatchService/ClaimTasks", worker_id="w", max=1, wait_ms=10000, campaign_id=campaign["id"])["tasks"][0]
    assert call("DispatchService/BeginDialBatch", calls=[{"call_id": lost["call_id"], "fence": lost["fence"]}])["results"][0]["lease_expires_at"]
    psql(platform, f"update live_calls set lease_until = now() - interval '1 second' where call_id = '{lost['call_id']}'")
    task["id"] = lost["task_id"]
    wait_until(lambda: call("CampaignService/GetTask", **task)["status"] == "TASK_STATUS_UNKNOWN", what="the lost call")
    assert call("CampaignService/SettleTask", **task, disposition="answered")["status"] == "TASK_STATUS_COMPLETED"

    entry = call("SuppressionService/CreateSuppression", company_id=company["id"], suppression={"phone_number": "+12015550199", "reason": "asked"})
    named = {"company_id": company["id"], "id": entry["id"]}
    assert call("SuppressionService/GetSuppression", **named) == entry
    assert call("SuppressionService/ListSuppressions", company_id=company["id"])["items"] == [entry]
    assert call("SuppressionService/DeleteSuppression", **named) == {}

    key = call("ApiKeyService/CreateApiKey", company_id=company["id"], api_key={"name": "CRM", "roles": ["API_KEY_ROLE_VIEWER"]})
    named = {"company_id": company["id"], "id": key["id"]}
    shown = call("ApiKeyService/GetApiKey", **named)
    assert key.pop("key").startswith(key["prefix"]) and shown == key
    assert call("ApiKeyService/ListApiKeys", company_id=company["id"])["items"] == [key]
    assert call("ApiKeyService/DeleteApiKey", **named) == {}

    assert call("CampaignService/GetCampaign", id=campaign["id"])["status"] == "CAMPAIGN_STATUS_COMPLETED"
    spare = call("CampaignService/CreateCampaign", campaign={"company_id": company["id"], "skillbase_id": skillbase["id"], "name": "e"})
    assert call("CampaignService/CancelCampaign", id=spare["id"])["status"] == "CAMPAIGN_STATUS_CANCELLED"

    when = "2026-03-01T10:00:0%dZ"
    reported = call("AnalyticsService/ReportCallEventBatch", call_id=held["call_id"], events=[
        {"seq": 1, "occurred_at": when % 0, "started": {"company_id": company["id"], "skillbase_id": skillbase["id"]}},
        {"seq": 2, "occurred_at": when % 1, "turn": {"role": "assistant", "content": "hello", "eou_latency": 500}},
        {"seq": 3, "occurred_at": when % 2, "finished": {"status": "completed", "outcome": "success"}}])
    assert (reported["accepted"], reported["last_seq"]) == ("3", "3")
    assert call("AnalyticsService/GetCall", id=held["call_id"])["status"] == "CALL_STATUS_COMPLETED"
    assert call("AnalyticsService/GetCallMetrics", id=held["call_id"])["avg_eou_latency"] == 500
    assert [item["id"] for item in call("AnalyticsService/ListCalls", company_id=company["id"])["items"]] == [held["call_id"]]
    days = {"start_date": "2026-03-01", "end_date": "2026-03-01", "company_id": company["id"]}
    assert call("AnalyticsService/GetMetrics", **days)["total_calls"] == "1"
    assert len(call("AnalyticsService/GetMetricsTimeSeries", **days, step="hour")["points"]) == 24
    prices = call("AnalyticsService/SetPrices", company_id=company["id"], valid_from="2100-01-01T00:00:00Z", stt_minute=5000000000)
    assert call("AnalyticsService/ListPrices", company_id=company["id"])["items"] == [prices]
    assert call("AnalyticsService/DeletePrices", company_id=company["id"], id=prices["id"]) == {}
    assert call("AnalyticsService/CreateWsTicket")["ticket"].startswith("dpt_")
    assert call("AnalyticsService/ReRateCalls", **days)["rated"] == "1"

    erased = call("PrivacyService/EraseContact", company_id=company["id"], phone_number=claimed[0]["phone_number"])
    assert erased["removed"]["tasks"] == "1" and erased["removed"]["calls"] == "1"

    assert call("CampaignService/DeleteCampaign", id=campaign["id"]) == {}
    assert call("SkillbaseService/DeleteSkillbase", id=skillbase["id"]) == {}
    assert call("CompanyService/DeleteCompany", id=company["id"]) == {}
    assert done == set(unary_methods(clients))


def test_each_unary_method_refuses_an_empty_request_or_answers(clients):
    """Nothing crashes, hangs or answers INTERNAL on a message without any field."""
    for path, backend in unary_methods(clients).items():
        ask, _ = clients[backend].types(path)
        try:
            clients[backend].call(path, ask(), timeout=10)
        except grpc.RpcError as error:
            assert error.code() == CODE.INVALID_ARGUMENT, (path, error)
            assert clients[backend].fields(error), path


def test_each_unary_method_refuses_bytes_that_are_no_message(clients):
    for path, backend in unary_methods(clients).items():
        call = clients[backend].channel.unary_unary(f"/{path}", lambda raw: raw, lambda raw: raw)
        for raw in (b"\xff\xff\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x05ab", b"\x0b", b"\x0a\x02\xc3\x28"):
            assert fails(CODE.INVALID_ARGUMENT, lambda: call(raw, timeout=10)).details(), path


# --- Health ---

HEALTH = "grpc.health.v1.Health"


@pytest.mark.parametrize("backend", BACKENDS)
def test_health(clients, backend):
    client = clients[backend]
    for service in ["", *BACKENDS[backend]]:
        assert client.call(f"{HEALTH}/Check", {"service": service})["status"] == "SERVING"
    fails(CODE.NOT_FOUND, lambda: client.call(f"{HEALTH}/Check", {"service": "no.Service"}))
    ask, answer = client.types(f"{HEALTH}/Watch")
    watch = client.channel.unary_stream(f"/{HEALTH}/Watch", ask.SerializeToString, answer.FromString)
    stream = watch(ask(service=next(iter(BACKENDS[backend]))), timeout=20)
    assert next(stream).status == 1
    stream.cancel()
    # of one that is not there: SERVICE_UNKNOWN, and the stream stays open
    stream = watch(ask(service="no.Service"), timeout=20)
    assert next(stream).status == 3
    stream.cancel()


# --- Wrong calls ---

@pytest.mark.parametrize("backend", BACKENDS)
def test_an_unknown_method_is_refused_at_once(clients, backend):
    for path in ("/dialplane.v1.CompanyService/Nothing", "/no.Service/Method", "/x", f"/{'x' * 500}/y"):
        call = clients[backend].channel.unary_unary(path, lambda raw: raw, lambda raw: raw)
        started = time.monotonic()
        fails(CODE.UNIMPLEMENTED, lambda: call(b"", timeout=30))
        assert time.monotonic() - started < 5
        stream = clients[backend].channel.stream_stream(path, lambda raw: raw, lambda raw: raw)
        fails(CODE.UNIMPLEMENTED, lambda: list(stream(iter([b"", b""]), timeout=30)))


def nested_struct(depth):
    """A google.protobuf.Struct in a Struct …, from the inside out, on the wire; `depth` levels of Value."""
    def varint(n):
        out = b""
        while n > 127:
            out += bytes([n & 127 | 128])
            n >>= 7
        return out + bytes([n])

    def field(number, data):
        return bytes([number << 3 | 2]) + varint(len(data)) + data
    value = field(3, b"leaf")
    for _ in range(depth):
        struct_ = field(1, field(1, b"k") + field(2, value))
        value = field(5, struct_)
    struct_ = field(1, field(1, b"k") + field(2, value))
    return struct_, field


@pytest.mark.parametrize("depth", [200, 10000, 16000])
def test_a_struct_nested_too_deep(platform, clients, api, depth):
    pid = platform.pid("dialplane-skillbase")
    struct_, field = nested_struct(depth)
    tag = uuid.uuid4().hex.encode()
    request = field(1, field(2, tag) + field(3, tag) + field(5, struct_))
    call = clients["skillbase"].channel.unary_unary("/dialplane.v1.CompanyService/CreateCompany", lambda raw: raw, lambda raw: raw)
    error = fails(CODE.INVALID_ARGUMENT, lambda: call(request, timeout=20))
    assert "deep" in error.details() or "nest" in error.details() or "depth" in error.details(), error.details()
    assert platform.pid("dialplane-skillbase") == pid
    assert api.get("/api/companies").status_code == 200


def test_a_struct_that_is_not_too_deep(clients):
    struct_, field = nested_struct(10)
    tag = uuid.uuid4().hex.encode()
    call = clients["skillbase"].channel.unary_unary("/dialplane.v1.CompanyService/CreateCompany", lambda raw: raw, lambda raw: raw)
    assert call(field(1, field(2, tag) + field(3, tag) + field(5, struct_)), timeout=20)


def test_what_rest_takes_every_client_can_read(clients, api):
    """Most protobuf libraries decode at most 100 messages in each other (C++, Java, Python): one row that is deeper would break whole lists."""
    def company(opening, closing, depth):
        text = f'{{"name": "{uuid.uuid4().hex}", "slug": "{uuid.uuid4().hex}", "settings": {{"x": {opening * depth}1{closing * depth}}}}}'
        return api.client.post("/api/companies", content=text, headers={"content-type": "application/json"})
    for opening, closing in (("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")):
        good, bad = 1, 200
        while bad - good > 1:
            middle = (good + bad) // 2
            good, bad = (middle, bad) if (answer := company(opening, closing, middle)).status_code == 201 else (good, middle)
            if answer.status_code == 201:
                deepest = answer.json()
                found = deepest["id"]
                try:
                    got = clients["skillbase"].call("dialplane.v1.CompanyService/GetCompany", {"id": found})
                finally:
                    api.ok("DELETE", f"/api/companies/{found}", 204)
                assert got["settings"] == deepest["settings"]


def test_a_message_that_is_too_large(clients):
    call = clients["skillbase"].channel.unary_unary("/dialplane.v1.CompanyService/CreateCompany", lambda raw: raw, lambda raw: raw)
    fails(CODE.RESOURCE_EXHAUSTED, lambda: call(b"\x0a\x80\x80\x80\x04" + b"x" * (8 << 20), timeout=20))
    assert clients["skillbase"].call("dialplane.v1.CompanyService/ListCompanies", {"limit": 1})


# --- Errors and their details ---

def test_bad_request_details(clients):
    client = clients["skillbase"]
    error = fails(CODE.INVALID_ARGUMENT, lambda: client.call("dialplane.v1.CompanyService/CreateCompany", {
        "company": {"name": " ", "slug": "A B", "description": "x" * 5001}}))
    assert set(client.fields(error)) == {"company.name", "company.slug", "company.description"}
    assert all(client.fields(error).values())
    status = client.status(error)
    assert status.code == CODE.INVALID_ARGUMENT.value[0] and status.message == error.details()
    config = {**SKILLBASE_CONFIG, "llm": {"provider": "groq", "model": "m", "temperature": 3.5}}
    error = fails(CODE.INVALID_ARGUMENT, lambda: client.call("dialplane.v1.SkillbaseService/ValidateSkillbaseConfig", {"config": config}))
    assert client.fields(error) == {"config.llm.temperature": "must be between 0 and 2, got 3.5"}


def test_enum_numbers_that_nobody_knows(clients):
    client = clients["skillbase"]
    ask, _ = client.types("dialplane.v1.SkillbaseService/ValidateSkillbaseConfig")
    request = ask()
    request.config.context.role = request.config.context.style = "x"
    request.config.flow.type = 1
    request.config.flow.states.add(id="a")
    request.config.voice.tts_provider, request.config.voice.tts_voice_id, request.config.voice.stt_provider = 77, "v", 1
    request.config.llm.provider, request.config.llm.model = 1, "m"
    error = fails(CODE.INVALID_ARGUMENT, lambda: client.call("dialplane.v1.SkillbaseService/ValidateSkillbaseConfig", request))
    assert list(client.fields(error)) == ["config.voice.tts_provider"] and "77" in client.fields(error)["config.voice.tts_provider"]


def test_error_info_details(clients, api):
    client = clients["skillbase"]
    made = api.company()
    error = fails(CODE.ALREADY_EXISTS, lambda: client.call("dialplane.v1.CompanyService/CreateCompany", {"company": {
        "name": uuid.uuid4().hex, "slug": made["slug"]}}))
    info = client.details(error, "ErrorInfo")
    assert info.reason == "SLUG_TAKEN" and info.domain
    error = fails(CODE.NOT_FOUND, lambda: client.call("dialplane.v1.CompanyService/GetCompany", {"id": NOBODY}))
    assert NOBODY in error.details()
    campaign = api.campaign(made, api.skillbase(made))
    error = fails(CODE.FAILED_PRECONDITION, lambda: clients["campaign"].call("dialplane.v1.CampaignService/StartCampaign", {"id": campaign["id"]}))
    assert client.reason(error) == "NO_TASKS"
    assert clients["campaign"].details(error, "ErrorInfo").domain == info.domain


def test_no_error_shows_the_inside(clients, api):
    """No SQL, no path, no password, whatever goes wrong."""
    for path, backend in unary_methods(clients).items():
        ask, _ = clients[backend].types(path)
        request = ask()
        for field in ask.DESCRIPTOR.fields:
            if field.type == field.TYPE_STRING and field.label != field.LABEL_REPEATED:
                setattr(request, field.name, NOBODY)
            elif field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_INT64) and field.label != field.LABEL_REPEATED:
                setattr(request, field.name, 1)
        try:
            clients[backend].call(path, request, timeout=10)
        except grpc.RpcError as error:
            assert error.code() not in (CODE.INTERNAL, CODE.UNKNOWN), (path, error)
            for word in ("SELECT", "select ", "INSERT", "constraint", "relation", ".c:", "password", "pg_"):
                assert word not in error.details(), (path, error.details())


def test_if_match_over_grpc(clients, api):
    made = api.company()
    client = clients["skillbase"]
    revision = api.client.get(f"/api/companies/{made['id']}").headers["etag"].strip('"').split("-")[0]
    error = fails(CODE.FAILED_PRECONDITION, lambda: client.call("dialplane.v1.CompanyService/DeleteCompany", {"id": made["id"]}, metadata=[("if-match", "1")]))
    assert client.reason(error) == "ETAG_MISMATCH"
    client.call("dialplane.v1.CompanyService/DeleteCompany", {"id": made["id"]}, metadata=[("if-match", str(int(revision, 16)))])


def test_update_masks(clients, api):
    client = clients["skillbase"]
    made = api.company(description="d", settings={"a": 1})
    update = "dialplane.v1.CompanyService/UpdateCompany"
    got = client.call(update, {"id": made["id"], "company": {"name": "ignored"}, "update_mask": "description"})
    assert got["name"] == made["name"] and "description" not in got and got["settings"] == {"a": 1}
    got = client.call(update, {"id": made["id"], "company": {}, "update_mask": "settings"})
    assert got["settings"] == {}
    error = fails(CODE.INVALID_ARGUMENT, lambda: client.call(update, {"id": made["id"], "company": {}, "update_mask": "nonsense"}))
    assert any("update_mask" in field for field in client.fields(error))


# --- Deadlines, cancellation ---

def test_deadlines(clients):
    client = clients["campaign"]
    claim = "dialplane.v1.DispatchService/ClaimTasks"
    # A long poll that is cut short by the client's own deadline: either it answers what it has just before, or the deadline has passed.
    def poll(timeout):
        started = time.monotonic()
        try:
            assert client.call(claim, {"worker_id": "w", "wait_ms": 60000, "campaign_id": NOBODY}, timeout=timeout)["tasks"] == []
        except grpc.RpcError as error:
            assert error.code() == CODE.DEADLINE_EXCEEDED, error
        assert time.monotonic() - started < timeout + 5
    poll(0.5)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(poll, [0.3] * 64))
    # nothing of it stays behind
    assert client.call(claim, {"worker_id": "w", "wait_ms": 0, "campaign_id": NOBODY})["tasks"] == []


def test_a_deadline_reaches_the_database(platform, clients, api):
    """Someone holds a table: the call ends with its deadline, and so does its statement."""
    made = api.company()
    client = clients["skillbase"]
    session = subprocess.Popen(["/usr/lib/postgresql/15/bin/psql", "-XAtq", f"host={platform.data}/run user=dialplane dbname=dialplane"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        def sql(text):
            session.stdin.write(f"{text}\nselect 'done';\n")
            session.stdin.flush()
            out = []
            while (line := session.stdout.readline().strip()) != "done":
                assert line or session.poll() is None
                out.append(line)
            return out
        sql("begin; lock table companies in access exclusive mode;")
        started = time.monotonic()
        for path, request in (("GetCompany", {"id": made["id"]}), ("UpdateCompany", {"id": made["id"], "company": {"description": "late"}})):
            fails(CODE.DEADLINE_EXCEEDED, lambda: client.call(f"dialplane.v1.CompanyService/{path}", request, timeout=0.7))
        assert time.monotonic() - started < 5
        # what the service waits for in the database has been given up
        wait_until(lambda: sql("select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database();") == ["0"], 15,
                   "the statements to end")
        sql("commit;")
    finally:
        session.stdin.close()
        session.wait(10)
        session.stdout.close()
    assert client.call("dialplane.v1.CompanyService/GetCompany", {"id": made["id"]})["name"] == made["name"]
    assert api.ok("GET", f"/api/companies/{made['id']}") == made


def test_cancellation(clients, api):
    client = clients["campaign"]
    ask, answer = client.types("dialplane.v1.DispatchService/ClaimTasks")
    call = client.channel.unary_unary("/dialplane.v1.DispatchService/ClaimTasks", ask.SerializeToString, answer.FromString)
    waiting = [call.future(ask(worker_id="w", wait_ms=60000, campaign_id=NOBODY), timeout=60) for _ in range(8)]
    for one in waiting:
        one.cancel()
    assert all(one.cancelled() for one in waiting)
    assert api.get("/api/campaigns").status_code == 200


def test_request_ids_are_logged(platform, clients):
    name = f"grpc-{uuid.uuid4().hex}"
    clients["skillbase"].call("dialplane.v1.CompanyService/ListCompanies", {"limit": 1}, metadata=[("x-request-id", name)])
    line = wait_until(lambda: [line for line in platform.log("dialplane-skillbase").splitlines() if name in line], 10)[0]
    assert json.loads(line)["method"] == "/dialplane.v1.CompanyService/ListCompanies"


def test_gateway_and_service_answer_the_same(clients, api):
    """The JSON of the gateway is the message of the service."""
    made = api.skillbase(api.company())
    message = clients["skillbase"].call("dialplane.v1.SkillbaseService/GetSkillbase", {"id": made["id"]})
    assert message["config"]["context"] == made["config"]["context"]
    assert message["config"]["llm"]["provider"] == f"LLM_PROVIDER_{made['config']['llm']['provider'].upper()}"
    assert message["created_at"].rstrip("0Z.") == made["created_at"].rstrip("0Z.")
    assert [state["id"] for state in message["config"]["flow"]["states"]] == [
        state if isinstance(state, str) else state["id"] for state in made["config"]["flow"]["states"]]


# --- Ports ---

@pytest.mark.parametrize("process", ["dialplane-skillbase", "dialplane-campaign", "dialplane-analytics"])
def test_two_services_do_not_share_a_port(platform, process):
    """gRPC would let a second one bind and take half of the calls."""
    program = conftest.ROOT / "build" / conftest.PRESET / "bin" / process
    address = getattr(platform, process.removeprefix("dialplane-"))
    environment = dict(line.split("=", 1) for line in open(f"/proc/{platform.pid(process)}/environ").read().split("\0") if "=" in line)
    done = subprocess.run([program, "--listen", address, "--metrics-listen", "off"], env={**os.environ, **environment}, timeout=60, capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode != 0
    lines = done.stderr.strip().splitlines()
    assert any(address.rsplit(":", 1)[1] in line for line in lines), done.stderr
    with Reflected(address) as client:
        assert client.call(f"{HEALTH}/Check", {})["status"] == "SERVING"


def test_a_client_that_vanishes_with_open_streams(platform, clients, api):
    company = api.company()
    call = str(uuid.uuid4())
    api.ok("POST", f"/api/analytics/calls/{call}/events", json={"events": [
        {"seq": 1, "occurred_at": "2026-03-01T10:00:00Z", "started": {"company_id": company["id"]}}]})
    descriptors = f"/proc/{platform.pid('dialplane-analytics')}/fd"
    before = len(os.listdir(descriptors))
    for _ in range(5):
        client = Reflected(platform.analytics)
        ask, answer = client.types("dialplane.v1.AnalyticsService/WatchCall")
        watch = client.channel.unary_stream("/dialplane.v1.AnalyticsService/WatchCall", ask.SerializeToString, answer.FromString)
        streams = [watch(ask(call_id=call), timeout=30) for _ in range(20)]
        assert [next(stream).WhichOneof("event") for stream in streams] == ["init"] * 20
        client.channel.close()
    wait_until(lambda: len(os.listdir(descriptors)) <= before + 2, 20, "descriptors of watchers")
    assert threading.active_count() < 200
