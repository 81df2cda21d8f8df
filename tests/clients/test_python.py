"""The Python package against a running platform, and against a service of our own making for what no platform does on command."""

import json
import threading
import uuid
from concurrent import futures
from datetime import datetime, timezone

import grpc
import pytest

import built
import flow
from agents import psql
from conftest import PRESET, ROOT, SKILLBASE_CONFIG, wait_until


@pytest.fixture(scope="module")
def dialplane():
    return built.import_python()


@pytest.fixture(scope="module")
def client(dialplane, platform):
    with dialplane.Client(platform.skillbase, platform.campaign, platform.analytics) as client:
        yield client


def test_the_whole_way(platform, api):
    said = built.run("/usr/bin/python3", ROOT / "clients/python/example.py", "--port", platform.port, timeout=300, PYTHONPATH=str(built.python_package()))
    assert "refused: campaign.daily_start_time must be" in said and "uploaded: 2 of 3; Row 4" in said, said
    flow.check(api, json.loads(said.splitlines()[-1]))
    campaign = flow.campaign_of(api, "Glamour ")
    assert (campaign["status"], campaign["completed_tasks"]) == ("completed", 2)


def test_every_method_is_there(client):
    """By what the generated code knows of each service; a new method comes with the next build."""
    from google.protobuf import descriptor_pool
    from dialplane.services import SERVICES
    for attribute, service, _ in SERVICES:
        described = descriptor_pool.Default().FindServiceByName(service.full_name)
        assert set(service.methods) == set(described.methods_by_name)
        for name in service.methods:
            snake = "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))
            assert getattr(client, attribute).__class__.__dict__[snake].__doc__, name


def test_a_token_is_renewed(dialplane, guarded):
    """A token that is a function: a call that is refused for what it gave is asked again with what it gives then."""
    given = []

    def token():
        given.append(guarded.token() if given else "a.b.c")
        return given[-1]
    with dialplane.Client(guarded.skillbase, guarded.campaign, guarded.analytics, token=token) as client:
        assert client.company.list_companies(limit=1) is not None
        assert len(given) == 2 and given[0] != given[1]
    with dialplane.Client(guarded.skillbase, guarded.campaign, guarded.analytics, token="a.b.c") as client:
        with pytest.raises(dialplane.Unauthenticated) as refused:
            client.company.list_companies(limit=1)
        assert refused.value.reason == "TOKEN_MALFORMED"


def test_the_whole_way_with_a_token(guarded):
    said = built.run("/usr/bin/python3", ROOT / "clients/python/example.py", "--port", guarded.port, timeout=300, PYTHONPATH=str(built.python_package()),
                     DIALPLANE_TOKEN=guarded.token())
    flow.check(guarded.api(), json.loads(said.splitlines()[-1]))


def test_errors_are_typed(dialplane, client):
    with pytest.raises(dialplane.InvalidArgument) as refused:
        client.company.create_company({"name": "", "slug": "No spaces"})
    assert {v.field for v in refused.value.violations} == {"company.name", "company.slug"}
    assert "must be lower-case" in str(refused.value)
    with pytest.raises(dialplane.NotFound):
        client.company.get_company(str(uuid.uuid4()))
    slug = f"twice-{uuid.uuid4().hex[:12]}"
    client.company.create_company({"name": slug, "slug": slug})
    with pytest.raises(dialplane.AlreadyExists) as taken:
        client.company.create_company({"name": f"{slug} two", "slug": slug})
    assert taken.value.reason == "SLUG_TAKEN" and isinstance(taken.value.__cause__, grpc.RpcError)
    with pytest.raises(TypeError, match="has no field 'nmae'"):
        client.company.create_company({"nmae": "Mistyped"})
    with pytest.raises(ValueError, match="none of"):
        client.campaign.list_campaigns(status="runing")
    with pytest.raises(dialplane.DeadlineExceeded):
        client.company.list_companies(timeout=-1)  # over before it begins, however quick the answer


def test_values_and_pages(dialplane, client, api):
    company = api.company()
    for i in range(5):
        client.skillbase.create_skillbase({"company_id": company["id"], "name": f"S{i}", "slug": f"s{i}", "config": SKILLBASE_CONFIG})
    pages = [s.name for s in client.skillbase.iterate_skillbases(company_id=company["id"], limit=2)]
    assert pages == ["S4", "S3", "S2", "S1", "S0"]
    [first] = client.skillbase.list_skillbases(company_id=company["id"], limit=1).items
    changed = client.skillbase.update_skillbase(first.id, {"description": "Changed"}, update_mask=["description"])
    assert dialplane.to_dict(changed)["description"] == "Changed"
    campaign = client.campaign.create_campaign({
        "company_id": company["id"], "skillbase_id": first.id, "name": "All kinds of values", "start_time": datetime(2026, 3, 2, 10, tzinfo=timezone.utc),
        "days_of_week": ["monday", 5], "retry_policy": {"busy": {"delay_minutes": 5}}})
    assert campaign.start_time.ToJsonString() == "2026-03-02T10:00:00Z" and list(campaign.days_of_week) == [1, 5]
    assert campaign.retry_policy["busy"].delay_minutes == 5
    stored = client.company.get_company(company["id"])
    stored.settings["deep"] = {"list": [1, "two", None]}
    assert dialplane.to_dict(client.company.update_company(stored.id, stored))["settings"] == {"deep": {"list": [1, "two", None]}}


class Breaking:
    """An AnalyticsService and a CompanyService that go away in the middle, as often as they are told."""

    def __init__(self):
        from dialplane.v1 import analytics_pb2, company_pb2
        self.v1 = analytics_pb2, company_pb2
        self.calls = []
        self.failures = 0
        self.asked_after = []

    def WatchCall(self, request, context):
        analytics_pb2, _ = self.v1
        self.asked_after.append(request.after_seq)
        yield analytics_pb2.WatchCallResponse(seq=request.after_seq, init=analytics_pb2.CallSnapshot(call_id=request.call_id))
        for seq in range(request.after_seq + 1, 5):
            yield analytics_pb2.WatchCallResponse(seq=seq, turn=analytics_pb2.Turn(turn_index=seq, content=f"turn {seq}"))
            if self.failures > 0 and seq == 2:  # between two messages of the same seq
                self.failures -= 1
                context.abort(grpc.StatusCode.UNAVAILABLE, "going away")
            yield analytics_pb2.WatchCallResponse(seq=seq, metrics=analytics_pb2.CallMetrics(turn_count=seq))

    def _fails(self, name, context):
        self.calls.append(name)
        self.authorization = dict(context.invocation_metadata()).get("authorization")
        if self.failures > 0:
            self.failures -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")

    def GetCompany(self, request, context):
        self._fails("GetCompany", context)
        return self.v1[1].Company(id=request.id)

    def CreateCompany(self, request, context):
        self._fails("CreateCompany", context)
        return request.company


@pytest.fixture
def breaking(dialplane):
    from dialplane.v1 import analytics_pb2_grpc, company_pb2_grpc
    service = Breaking()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    for name, module in (("AnalyticsService", analytics_pb2_grpc), ("CompanyService", company_pb2_grpc)):
        servicer = type(name, (getattr(module, f"{name}Servicer"),), {m: getattr(service, m) for m in dir(service) if m[0].isupper()})
        getattr(module, f"add_{name}Servicer_to_server")(servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    address = f"127.0.0.1:{port}"
    with dialplane.Client(address, address, address, timeout=30, token=lambda: "a.b.c") as client:
        yield service, client
    server.stop(0).wait(10)


def test_only_what_may_be_repeated_is(dialplane, breaking):
    service, client = breaking
    service.failures = 2
    assert client.company.get_company("x").id == "x"
    assert service.calls == ["GetCompany"] * 3 and service.authorization == "Bearer a.b.c"
    service.calls.clear()
    service.failures = 1
    with pytest.raises(dialplane.Unavailable):
        client.company.create_company({"name": "Once"})
    assert service.calls == ["CreateCompany"]


def test_a_stream_resumes_without_loss_or_repetition(breaking):
    service, client = breaking
    service.failures = 2
    with client.analytics.watch_call("c") as stream:
        seen = [(m.seq, m.WhichOneof("event")) for m in stream]
    assert seen == [(0, "init"), *((seq, kind) for seq in range(1, 5) for kind in ("turn", "metrics"))]
    assert service.asked_after == [0, 1, 1]


def test_a_stream_is_closed_from_another_thread(client, api):
    company = api.company()
    call = str(uuid.uuid4())
    client.analytics.report_call_event_batch(call, [{"seq": 1, "occurred_at": "2026-03-02T10:00:00Z", "started": {"company_id": company["id"]}}])
    stream, seen = client.analytics.watch_call(call), []
    reader = threading.Thread(target=lambda: seen.extend(stream))
    reader.start()
    wait_until(lambda: seen, what="the first message")
    stream.close()
    reader.join(30)
    assert not reader.is_alive() and seen[0].WhichOneof("event") == "init"


def campaign_with_one_contact(api):
    company = api.company()
    campaign = api.campaign(company, api.skillbase(company))
    api.upload(campaign, "phone_number\n+12015550123\n")
    api.ok("POST", f"/api/campaigns/{campaign['id']}/start")
    return campaign


@pytest.fixture
def run_agent(dialplane, client):
    """Runs an agent until the test ends."""
    running = []

    def start(handle, campaign, **options):
        agent = dialplane.Agent(client, handle, campaign_id=campaign["id"], **options)
        thread = threading.Thread(target=agent.run)
        thread.start()
        running.append((agent, thread))
    yield start
    for agent, _ in running:
        agent.stop()
    for _, thread in running:
        thread.join(60)
        assert not thread.is_alive()


def only_task(api, campaign):
    return api.ok("GET", f"/api/campaigns/{campaign['id']}/tasks")["items"][0]


def test_an_agent_that_fails_leaves_no_task_in_the_air(api, run_agent):
    campaign = campaign_with_one_contact(api)

    def handle(call):
        raise RuntimeError("the telephony fell over")
    run_agent(handle, campaign, lines=1)
    task = wait_until(lambda: (t := only_task(api, campaign))["attempt_count"] + (t["status"] == "retry") and t["status"] == "retry" and t, what="the retry")
    assert task["error_message"] == "The agent failed"


def test_a_call_that_is_taken_away_is_said_to_be_lost(platform, api, run_agent):
    """Heartbeats keep the lease; when the campaign is cancelled, the one who calls hears of it."""
    campaign = campaign_with_one_contact(api)
    lost, begun = threading.Event(), threading.Event()

    def handle(call):
        begun.set()
        if call.lost.wait(60):
            lost.set()
        return "no_answer"
    run_agent(handle, campaign, lines=1, heartbeat_seconds=0.1)
    assert begun.wait(60)
    before = psql(platform, f"select max(lease_until) from live_calls where campaign_id = '{campaign['id']}'")
    wait_until(lambda: psql(platform, f"select max(lease_until) from live_calls where campaign_id = '{campaign['id']}'") > before, what="a longer lease")
    api.ok("POST", f"/api/campaigns/{campaign['id']}/cancel")
    assert lost.wait(60)


def test_the_agent_on_plain_grpcio_works(platform, api):
    """clients/python/agent.py, which needs nothing but grpcio: one contact, called by it."""
    import subprocess
    import sys
    campaign = campaign_with_one_contact(api)
    program = (f"import sys; sys.path.insert(0, {str(ROOT / 'clients/python')!r}); import agent\n"
               f"service = agent.Service({platform.campaign!r}, {str(ROOT / 'build' / PRESET / 'proto/dialplane.protoset')!r})\n"
               "def dial(task, progress, is_lost):\n    progress(1); progress(2); return 1, 'success'\n"
               "agent.Agent(service, dial, 1).run()\n")
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.DEVNULL, env={"PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin"})
    try:
        wait_until(lambda: only_task(api, campaign)["status"] == "completed", 60, "the call by agent.py")
    finally:
        process.kill()
        process.wait(30)
