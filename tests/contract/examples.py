"""The examples of /openapi.json: one tour through every operation, with real requests and the answers that came.

A new method needs one step here (a line `tour.do("<Method>", …)`); then record, build again, and commit the new file:

    DIALPLANE_RECORD_EXAMPLES=1 ./dev test contract/openapi       (=all: also those that have not changed)

test_openapi.py makes the same tour with every run and says which operation has no step, no example, or one that has become untrue."""

import json
import re
import uuid

from agents import psql
from conftest import ROOT, SKILLBASE_CONFIG, wait_until

FOLDER = ROOT / "gateway" / "pages" / "examples"
# Bodies have every key that has a default: some generators of clients ask for them.
CONFIG = {**SKILLBASE_CONFIG, "tools": [{"enabled": True, "config": {}, **tool} for tool in SKILLBASE_CONFIG["tools"]]}
CONTACTS = ("phone_number,name,priority,favourite\n+12015550123,Anna Example,5,haircut\n+12015550124,Ben Example,,colour\n"
            "+12015550125,Cleo Example,,\nnobody,Dora Example,,\n")


class Tour:
    """Walks through the API and keeps what was asked and answered: steps[operationId] = {"path.id": …, "request": …, "answer": …}."""

    def __init__(self, platform, api, document, unique):
        self.platform, self.api, self.document = platform, api, document
        self.unique = unique  # appended to what must be unique; "" when the examples are recorded
        self.steps = {}

    def do(self, operation, status=None, path=None, query=None, **request):
        """One operation; json=, content= or files= is its body. What it answered, decoded."""
        if operation not in self.document.operations:
            return None  # a method of another time: test_openapi.py complains about what is left over
        verb, template, described = self.document.operations[operation]
        path = path or {}
        url = re.sub(r"\{(\w+)\}", lambda match: str(path[match.group(1)]), template)
        answer = self.api.request(verb.upper(), url, params=query, **request)
        expected = status or next(int(code) for code in described["responses"] if code.startswith("2"))
        assert answer.status_code == expected, f"{operation}: {answer.status_code} {answer.text}"
        step = self.steps.setdefault(operation, {})
        value = None
        if answer.content:
            value = answer.json() if re.search(r"[/+]json\b", answer.headers["content-type"]) else answer.text
        if expected >= 400:
            step["conflict"] = value
            return value
        step.update({f"path.{name}": value for name, value in path.items()})
        if "json" in request:
            step["request"] = request["json"]
        elif "content" in request:
            step["request"] = request["content"]
        if value is not None:
            step["answer"] = value
        return value

    def watch(self, operation, path=None, query=None, messages=None):
        """Both kinds of stream, to their end, or to so many messages."""
        if operation not in self.document.operations:
            return
        _, template, _ = self.document.operations[operation]
        step = self.steps.setdefault(operation, {f"path.{name}": value for name, value in (path or {}).items()})
        url = re.sub(r"\{(\w+)\}", lambda match: str(path[match.group(1)]), template)
        for part, kind, end in (("lines", "application/x-ndjson", "\n"), ("events", "text/event-stream", "\n\n")):
            text = ""
            with self.api.client.stream("GET", url, params=query, headers={"accept": kind}, timeout=60) as answer:
                assert answer.status_code == 200 and answer.headers["content-type"] == kind
                for piece in answer.iter_text():
                    text += piece
                    if messages and text.count(end) >= messages:
                        text = end.join(text.split(end)[:messages]) + end
                        break
            step[part] = text

    def problem(self, status, verb, path, **request):
        answer = self.api.request(verb, path, **request)
        assert answer.status_code == int(status), answer.text
        self.steps.setdefault("Problem", {})[status] = answer.json()


def companies(tour):
    body = {"name": f"Glamour{tour.unique}", "slug": f"glamour{tour.unique}", "description": "Two salons in the city",
            "settings": {"locale": "en"}, "limits": {"monthly_calls": 20000}, "is_active": True}
    company = tour.do("CreateCompany", json=body)
    tour.do("CreateCompany", 409, json=body)
    where = {"id": company["id"]}
    other = tour.api.company()
    tour.do("UpdateCompany", 409, path=where, json={"slug": other["slug"]})
    tour.do("UpdateCompany", path=where, json={"description": "Three salons in the city"})
    tour.do("GetCompany", path=where)
    tour.do("ListCompanies", query={"limit": 1})
    return company


def skillbases(tour, company):
    body = {"company_id": company["id"], "name": "Booking", "slug": "booking", "description": "Reminds of appointments", "config": CONFIG,
            "is_active": True, "is_published": True}
    skillbase = tour.do("CreateSkillbase", json=body)
    tour.do("CreateSkillbase", 409, json=body)
    where = {"id": skillbase["id"]}
    other = tour.api.skillbase(company)
    tour.do("UpdateSkillbase", 409, path=where, json={"slug": other["slug"]})
    tour.api.ok("DELETE", f"/api/skillbases/{other['id']}", 204)
    cooler = {**CONFIG, "llm": {**CONFIG["llm"], "temperature": 0.3}}
    tour.do("UpdateSkillbase", path=where, json={"config": cooler})
    tour.do("ListSkillbaseVersions", path=where)
    tour.do("GetSkillbaseVersion", path={**where, "version": 1})
    tour.do("RollbackSkillbase", path=where, json={"version": 1})
    tour.do("GetSkillbase", path=where)
    tour.do("GetSkillbaseForCall", path=where)
    tour.do("ListSkillbases", query={"company_id": company["id"]})
    tour.do("ValidateSkillbaseConfig", json={"config": {**CONFIG, "flow": {
        "type": "graph", "states": ["greeting", "goodbye", {"id": "lost", "name": "Nobody comes here"}],
        "transitions": [{"from_state": "greeting", "to_state": "goodbye"}]}}})
    return tour.do("GetSkillbase", path=where)


def suppressions(tour, company):
    where = {"company_id": company["id"]}
    body = {"phone_number": "+12015550199", "reason": "Asked in writing"}
    added = tour.do("CreateSuppression", path=where, json=body)
    tour.do("CreateSuppression", 409, path=where, json=body)
    tour.do("UploadSuppressions", path=where, content="phone_number,reason\n+12015550198,\n+4990*,premium numbers\n",
            headers={"content-type": "text/csv"})
    tour.do("ListSuppressions", path=where)
    tour.do("GetSuppression", path={**where, "id": added["id"]})
    tour.do("DeleteSuppression", path={**where, "id": added["id"]})


def api_keys(tour, company):
    where = {"company_id": company["id"]}
    body = {"name": "CRM", "roles": ["viewer"], "grants": ["phones"], "expires_at": "2099-01-01T00:00:00Z"}
    made = tour.do("CreateApiKey", path=where, json=body)
    if made is None:
        return
    # an example that looks like a key, and is none
    step = tour.steps["CreateApiKey"]
    step["answer"] = {**made, "prefix": "dpk_0123456789abcdef", "key": "dpk_0123456789abcdef_" + "EXAMPLE" * 6 + "X"}
    tour.do("ListApiKeys", path=where)
    tour.do("GetApiKey", path={**where, "id": made["id"]})
    tour.do("DeleteApiKey", path={**where, "id": made["id"]})
    psql(tour.platform, "insert into api_keys (id, company_id, name, roles, prefix, secret_hash, created_by, created_at) select gen_random_uuid(), "
                        f"'{company['id']}', 'n', '{{viewer}}', 'dpk_' || gen_random_uuid(), sha256(n::text::bytea), 'tour', now() "
                        "from generate_series(1, 1000) n")
    tour.do("CreateApiKey", 409, path=where, json=body)
    psql(tour.platform, f"delete from api_keys where company_id = '{company['id']}'")


def audit(tour, company):
    where = {"company_id": company["id"]}
    query = {"kind": "skillbase", "action": "update"}
    tour.do("ListAuditEntries", path=where, query=query)
    tour.do("ExportAuditEntries", path=where, query=query)
    tour.do("ExportAuditEntryLines", path=where, query=query)


def prices(tour, company):
    where = {"company_id": company["id"]}
    list_of = {"stt_minute": 0.004, "llm_million_input_tokens": 0.05, "llm_million_output_tokens": 0.08, "tts_thousand_characters": 0.015,
               "livekit_minute": 0.004}
    later = tour.do("SetPrices", path=where, json={**list_of, "valid_from": "2099-01-01T00:00:00Z"})
    if later is None:
        return
    now = tour.do("SetPrices", path=where, json={**list_of, "valid_from": "2026-01-01T00:00:00Z"})
    tour.do("ListPrices", path=where)
    tour.do("ReRateCalls", path=where, json={"start_date": "2026-01-01", "end_date": "2026-01-31"})
    tour.do("DeletePrices", 409, path={**where, "id": now["id"]})
    tour.do("DeletePrices", path={**where, "id": later["id"]})


def uploads(tour, campaign, uploaded):
    """What is known of the upload of the call list, which had a bad row; and one that is undone."""
    where = {"campaign_id": campaign["id"]}
    one = {**where, "id": uploaded["upload_id"]}
    tour.do("GetUpload", path=one)
    tour.do("ListUploads", path=where)
    tour.watch("WatchUpload", one)
    tour.do("DownloadUploadErrors", path=one)
    tour.do("ExportTasks", path=where)
    if "DeleteUpload" in tour.document.operations:
        second = tour.api.upload(campaign, "phone_number\n+12015550177\n")
        tour.do("DeleteUpload", path={**where, "id": second["upload_id"]})


def campaigns(tour, company, skillbase):
    campaign = tour.do("CreateCampaign", json={
        "company_id": company["id"], "skillbase_id": skillbase["id"], "name": "Reminders", "description": "A day before each appointment",
        "daily_start_time": "00:00", "daily_end_time": "00:00", "timezone": "Europe/Berlin", "days_of_week": [], "max_concurrent_calls": 20,
        "calls_per_minute": 600, "max_retries": 1, "retry_delay_minutes": 45, "on_unknown": "hold",
        "retry_policy": {"busy": {"delay_minutes": 5, "max_attempts": 2}}})
    where = {"id": campaign["id"]}
    tour.do("StartCampaign", 409, path=where)  # there are no tasks yet
    uploaded = tour.do("UploadCallList", path={"campaign_id": campaign["id"]}, content=CONTACTS, headers={"content-type": "text/csv"})
    uploads(tour, campaign, uploaded)
    tour.do("UpdateCampaign", path=where, json={"calls_per_minute": 60000, "retry_delay_minutes": 60})
    tour.do("SimulateCampaign", path=where, json={"mean_call_seconds": 90, "mean_ring_seconds": 20, "share_answered": 0.5})
    tour.do("StartCampaign", path=where)
    tour.do("PauseCampaign", path=where)
    tour.do("PauseCampaign", 409, path=where)
    tour.do("StartCampaign", path=where)
    tour.do("GetCampaign", path=where)
    tour.do("ListCampaigns", query={"company_id": company["id"]})
    return {**campaign, "upload_id": uploaded["upload_id"]}


def dispatch(tour, campaign):
    """One call that is answered, and one whose agent is lost: (the first call's claim, the second's)."""
    claim = {"worker_id": "agent-1", "wait_ms": 10000, "campaign_id": campaign["id"]}
    lost = tour.do("ClaimTasks", json={**claim, "max": 1})["tasks"][0]
    tour.do("DeleteUpload", 409, path={"campaign_id": campaign["id"], "id": campaign["upload_id"]})  # one of its tasks is in an agent's hands
    tour.do("BeginDial", path={"call_id": lost["call_id"]}, json={"fence": lost["fence"]})
    psql(tour.platform, f"update live_calls set lease_until = now() - interval '1 second' where call_id = '{lost['call_id']}'")
    task = {"campaign_id": campaign["id"], "id": lost["task_id"]}
    wait_until(lambda: tour.do("GetTask", path=task)["status"] == "unknown", what="the lost call's end")
    tour.do("SettleTask", path=task, json={"disposition": "no_answer", "error_message": "The person says that it rang once"})
    tour.do("SettleTask", 409, path=task, json={"disposition": "answered"})

    held = tour.do("ClaimTasks", json={**claim, "max": 1})["tasks"][0]
    call, fence = {"call_id": held["call_id"]}, {"fence": held["fence"]}
    tour.do("BeginDial", path=call, json=fence)
    tour.do("BeginDialBatch", json={"calls": [{**call, **fence}, {**call, "call_id": lost["call_id"], "fence": lost["fence"]}]})
    tour.do("BeginDial", 409, path=call, json={"fence": held["fence"] + 1})
    tour.do("ReportProgress", path=call, json={**fence, "stage": "ringing"})
    tour.do("ReportProgress", path=call, json={**fence, "stage": "answered"})
    tour.do("ReportProgress", 409, path=call, json={"fence": held["fence"] + 1, "stage": "answered"})
    tour.do("Heartbeat", json={"worker_id": "agent-1", "calls": [{**call, **fence}]})
    tour.do("EraseContact", 409, path={"company_id": campaign["company_id"]}, json={"phone_number": held["phone_number"]})
    return held


def analytics(tour, company, skillbase, campaign, held):
    call = {"call_id": held["call_id"]}
    at = [held["lease_expires_at"][:19] + f".{i}00000Z" for i in range(4)]
    started = {"seq": 1, "occurred_at": at[0], "started": {
        "company_id": company["id"], "skillbase_id": skillbase["id"], "skillbase_version": held["skillbase_version"], "campaign_id": campaign["id"],
        "task_id": held["task_id"], "phone_number": held["phone_number"]}}
    said = [{"seq": 2, "occurred_at": at[1], "turn": {
                "turn_index": 0, "role": "assistant", "content": "Hello, this is the salon. Does tomorrow at three still suit you?", "state_id": "greeting",
                "latency_llm": 310.5, "ttfb_tts": 120, "eou_latency": 512, "llm_input_tokens": 900, "llm_output_tokens": 18, "tts_characters": 63}},
            {"seq": 3, "occurred_at": at[2], "turn": {
                "turn_index": 1, "role": "user", "content": "Yes, see you then.", "ttfb_stt": 85, "stt_duration_sec": 1.75}}]
    ended = {"seq": 4, "occurred_at": at[3], "finished": {
        "status": "completed", "outcome": "success", "outcome_confidence": 0.97, "outcome_reason": "Confirmed", "sentiment_score": 0.8}}
    tour.do("ReportCallEventBatch", path=call, json={"events": [started, *said, ended]})
    tour.do("ReportCallEventBatch", 409, path=call, json={"events": [{**ended, "seq": 9}]})
    tour.do("FinishTask", path=call, json={"fence": held["fence"], "disposition": "answered", "outcome": "success"})
    tour.do("FinishTaskBatch", json={"calls": [{**call, "fence": held["fence"], "disposition": "answered", "outcome": "success"}]})
    tour.do("FinishTask", 409, path=call, json={"fence": held["fence"], "disposition": "busy"})
    if tour.do("CreateWsTicket", query={"company_id": company["id"]}):
        tour.steps["CreateWsTicket"]["answer"]["ticket"] = "dpt_" + "EXAMPLE" * 6 + "X"
    tour.watch("WatchCall", call)
    tour.watch("WatchCall2", call)
    tour.watch("WatchLive", query={"company_id": company["id"]}, messages=2)
    tour.watch("WatchLive2", query={"company_id": company["id"]}, messages=2)
    one = {"id": held["call_id"]}
    tour.do("GetCall", path=one)
    tour.do("GetCallMetrics", path=one)
    mine = {"campaign_id": campaign["id"]}
    tour.do("ExportCalls", query=mine)
    day = held["lease_expires_at"][:10]
    tour.do("ListCalls", query=mine)
    tour.do("GetMetrics", query=mine)
    tour.do("GetMetricsTimeSeries", query={**mine, "start_date": day, "end_date": day})


def tasks(tour, campaign, held):
    where = {"campaign_id": campaign["id"]}
    task = {**where, "id": held["task_id"]}
    tour.do("ListTasks", path=where)
    tour.do("GetTask", path=task)
    tour.do("ListAttempts", path=task)
    tour.do("ExplainTask", path=task)


def erasure(tour, company):
    tour.do("EraseContact", path={"company_id": company["id"]}, json={"phone_number": "+12015550100", "reference": "Ticket 4711", "keep_suppression": True})


def ends(tour, company, skillbase, campaign):
    tour.do("CancelCampaign", path={"id": campaign["id"]})
    tour.do("CancelCampaign", 409, path={"id": campaign["id"]})
    tour.do("UploadCallList", 409, path={"campaign_id": campaign["id"]}, content=CONTACTS, headers={"content-type": "text/csv"})
    tour.do("DeleteCampaign", path={"id": campaign["id"]})
    tour.do("UpdateSkillbase", path={"id": skillbase["id"]}, json={"is_published": False})
    tour.do("GetSkillbaseForCall", 409, path={"id": skillbase["id"]})
    tour.do("DeleteSkillbase", path={"id": skillbase["id"]})
    tour.do("DeleteCompany", path={"id": company["id"]})


def problems(tour, company):
    nobody = "/api/companies/01890000-0000-7000-8000-000000000000"
    there = f"/api/companies/{company['id']}"
    tour.problem("400", "POST", "/api/companies", json={"name": "", "slug": "No spaces, please"})
    tour.problem("404", "GET", nobody)
    tour.problem("406", "GET", nobody, headers={"accept": "text/html"})
    tour.problem("412", "PUT", there, json={"description": "Mine"}, headers={"if-match": '"an-older-tag"'})
    tour.problem("413", "POST", "/api/companies", content=b" " * (2 << 20), headers={"content-type": "application/json"})
    tour.problem("415", "POST", "/api/companies", content="name=Glamour", headers={"content-type": "application/x-www-form-urlencoded"})


def run(platform, api, document, unique=None, on_company=lambda company: None):
    """The whole tour; gives its steps. on_company(company) is called when that has been made."""
    tour = Tour(platform, api, document, f"-{uuid.uuid4().hex[:12]}" if unique is None else unique)
    company = companies(tour)
    on_company(company)
    skillbase = skillbases(tour, company)
    audit(tour, company)
    suppressions(tour, company)
    api_keys(tour, company)
    prices(tour, company)
    campaign = campaigns(tour, company, skillbase)
    held = dispatch(tour, campaign)
    analytics(tour, company, skillbase, campaign, held)
    tasks(tour, campaign, held)
    problems(tour, company)
    erasure(tour, company)
    ends(tour, company, skillbase, campaign)
    return tour.steps


def same_shape(old, new):
    """Whether two values have the same keys all the way down."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(same_shape(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return not old or not new or same_shape(old[0], new[0])
    return True


def write(steps, everything):
    """Into the tree, one member a line, as gateway/pages/openapi_examples.c reads them: what is new or has other keys than before, or everything."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.json"):
        if old.stem not in steps:
            old.unlink()
    for operation, step in steps.items():
        file = FOLDER / f"{operation}.json"
        if not everything and file.exists() and same_shape(json.loads(file.read_text()), step):
            continue
        lines = ",\n".join(f'"{part}": {json.dumps(value, ensure_ascii=False)}' for part, value in step.items())
        file.write_text(f"{{\n{lines}\n}}\n")
