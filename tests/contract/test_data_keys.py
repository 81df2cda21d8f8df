"""Encryption at rest: what lies in the tables is opened here by Python's cryptography, which knows the format only from its description; keys are turned on,
changed, lost and mixed up."""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import uuid

import grpc
import httpx
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agents import Rpc, details, psql
from conftest import PRESET, ROOT, Api, Platform, wait_until

KEYS = {name: os.urandom(32) for name in ("first", "second", "third")}
WORDS = "the quick brown badger"


def setting(*names):
    return ",".join(f"{name}:{base64.b64encode(KEYS[name]).decode()}" for name in names)


@pytest.fixture(scope="module")
def place():
    """One platform, which is started again with other keys by the tests, in their order."""
    platform = Platform()
    try:
        platform.start()
        yield platform
    finally:
        platform.stop()


@pytest.fixture(scope="module")
def api(place):
    return Api(place.url)


@pytest.fixture(scope="module")
def own(api):
    company = api.company()
    return {"company": company, "campaign": api.campaign(company, api.skillbase(company))}


def again(place, keys):
    place.dev("down", "--data", place.data)
    place.environment["DIALPLANE_DATA_KEYS"] = keys
    place.start()


# --- The format, as services/runtime/vault/vault.c describes it --------------------------------------------------------

def text(value):
    data = value.encode()[:64]
    return bytes([len(data)]) + data


def open_sealed(stored, place_bytes):
    """(key id, plain) of a sealed value."""
    assert stored[:4] == b"\0DP\x01"
    length = stored[4]
    head, rest = stored[:5 + length], stored[5 + length:]
    name = head[5:].decode()
    key = hmac.digest(KEYS[name], b"dialplane seal 1", hashlib.sha256)
    plain = AESGCM(key).decrypt(rest[:12], rest[12:], head + place_bytes)
    nonce_key = hmac.digest(KEYS[name], b"dialplane nonce 1", hashlib.sha256)
    assert rest[:12] == hmac.digest(nonce_key, bytes([len(place_bytes)]) + place_bytes + plain, hashlib.sha256)[:12]
    return name, plain


def open_text(stored, place_bytes):
    return open_sealed(base64.urlsafe_b64decode(stored + "=" * (-len(stored) % 4)), place_bytes)


def contact_place(campaign, phone):
    return text("call_task_contacts.contact_data") + uuid.UUID(campaign["id"]).bytes + text(phone)


def event_place(call, seq):
    return text("call_events.event") + uuid.UUID(call).bytes + seq.to_bytes(8, "big")


def stored_contacts(place, campaign):
    rows = psql(place, f"select t.phone_number, d.contact_data from call_tasks t join call_task_contacts d on d.task_id = t.id where t.campaign_id = '{campaign['id']}' order by 1")
    return {line.split("|")[0]: json.loads(line.split("|", 1)[1]) for line in rows.splitlines()}


def stored_events(place, call):
    rows = psql(place, f"select seq, encode(event, 'hex') from call_events where call_id = '{call}' order by seq")
    return {int(line.split("|")[0]): bytes.fromhex(line.split("|")[1]) for line in rows.splitlines()}


# --- What is stored and read ------------------------------------------------------------------------------------------

def events(own, words=WORDS):
    return [{"started": {"company_id": own["company"]["id"], "campaign_id": own["campaign"]["id"], "phone_number": "+12015550100"}},
            {"turn": {"turn_index": 0, "role": "user", "content": f"{words} one", "eou_latency": 100}},
            {"turn": {"turn_index": 1, "role": "assistant", "content": f"{words} two", "eou_latency": 300}}]


def report(stubs, place, call, what, first=1, at="2026-03-02T10:00:00Z"):
    with Rpc(stubs, place.analytics, "AnalyticsService") as rpc:
        return rpc.ReportCallEventBatch({"call_id": call, "events": [{"seq": seq, "occurred_at": at, **event} for seq, event in enumerate(what, first)]})


def upload(api, own, rows, **parameters):
    return api.ok("POST", f"/api/campaigns/{own['campaign']['id']}/call-list", params=parameters,
                  files={"file": ("l.csv", ("phone_number,name,note,city\n" + rows).encode(), "text/csv")})


def tasks(api, own):
    return {task["phone_number"]: task["contact_data"] for task in api.ok("GET", f"/api/campaigns/{own['campaign']['id']}/tasks")["items"]}


def turns(api, call):
    return [turn["turn"]["content"] for turn in api.ok("GET", f"/api/analytics/calls/{call}")["turns"]]


def watched(place, call, after=0):
    """What a watcher is shown, up to the running totals."""
    found = []
    with httpx.stream("GET", f"{place.url}/api/analytics/calls/{call}/events", params={"after_seq": after}, headers={"Accept": "application/x-ndjson"}, timeout=30) as answer:
        for line in answer.iter_lines():
            found.append(json.loads(line))
            if found[-1]["type"] == "metrics":
                return [message["data"]["content"] for message in found if message["type"] == "turn"]


def test_before_there_are_keys(place, api, own, stubs):
    """Rows that are not encrypted, for what follows."""
    upload(api, own, f"+12015550100,Ann,{WORDS},Rome\n+12015550101,Bob,plain,Oslo\n12,Cid,{WORDS},Bonn\n")
    own["call"] = str(uuid.uuid4())
    report(stubs, place, own["call"], events(own))
    assert stored_contacts(place, own["campaign"])["+12015550100"] == {"note": WORDS, "city": "Rome"}
    assert WORDS.encode() in stored_events(place, own["call"])[2]


def test_turned_on(place, api, own, stubs):
    """What is new is encrypted, bound to its place; what was there is read as before, and both mix."""
    again(place, setting("first"))
    assert tasks(api, own)["+12015550100"] == {"note": WORDS, "city": "Rome"} and turns(api, own["call"]) == [f"{WORDS} one", f"{WORDS} two"]
    done = upload(api, own, f"+12015550102,Dan,{WORDS},Köln\n13,Eve,{WORDS},Bern\n+12015550101,Bob,new,Turin\n", on_duplicate="update")
    assert (done["created"], done["updated"], done["error_count"]) == (1, 1, 1)
    stored = stored_contacts(place, own["campaign"])
    assert json.loads(open_text(stored["+12015550102"], contact_place(own["campaign"], "+12015550102"))[1]) == {"note": WORDS, "city": "Köln"}
    # over the plain row lies a layer, which is encrypted
    assert stored["+12015550101"][0] == {"note": "plain", "city": "Oslo"}
    assert json.loads(open_text(stored["+12015550101"][1], contact_place(own["campaign"], "+12015550101"))[1]) == {"note": "new", "city": "Turin"}
    with pytest.raises(InvalidTag):
        open_text(stored["+12015550102"], contact_place(own["campaign"], "+12015550101"))
    upload(api, own, "+12015550102,Dan,later,Köln\n+12015550101,Bob,newer,Turin\n", on_duplicate="update")
    assert tasks(api, own) == {"+12015550100": {"note": WORDS, "city": "Rome"}, "+12015550101": {"note": "newer", "city": "Turin"},
                               "+12015550102": {"note": "later", "city": "Köln"}}
    own["sealed"] = str(uuid.uuid4())
    report(stubs, place, own["sealed"], events(own))
    for seq, raw in stored_events(place, own["sealed"]).items():
        name, plain = open_sealed(raw, event_place(own["sealed"], seq))
        assert name == "first" and (seq == 1 or WORDS.encode() in plain)
        with pytest.raises(InvalidTag):
            open_sealed(raw, event_place(own["sealed"], seq + 1))
    # the same event again, of calls stored either way, is known to be the same; another is not
    for call in (own["call"], own["sealed"]):
        assert report(stubs, place, call, events(own)).duplicates == 3
        assert report(stubs, place, call, [*events(own), {"turn": {"turn_index": 2, "role": "user", "content": "more"}}]).accepted == 1
        with pytest.raises(grpc.RpcError) as caught:
            report(stubs, place, call, events(own, "something else"))
        assert details(caught.value)[0] == "SEQUENCE_REUSED" and "seq 2" in caught.value.details()
        assert turns(api, call) == [f"{WORDS} one", f"{WORDS} two", "more"]
        assert watched(place, call) == [f"{WORDS} one", f"{WORDS} two", "more"] and watched(place, call, 3) == ["more"]


def test_files_and_claims(place, api, own, stubs):
    """Exports, errors.csv, a file for later and an agent's claim."""
    path = f"/api/campaigns/{own['campaign']['id']}"
    rows = httpx.get(f"{place.url}{path}/tasks.csv").text.splitlines()
    assert rows[0].endswith("note,city") and [row.rsplit(",", 2)[1:] for row in rows[1:]] == [[WORDS, "Rome"], ["newer", "Turin"], ["later", "Köln"]]
    first = api.ok("GET", f"{path}/uploads")["items"]
    errors = {item["id"]: httpx.get(f"{place.url}{path}/uploads/{item['id']}/errors.csv").text for item in first if item["error_count"]}
    assert sorted(text.splitlines()[1].split(",", 3)[3] for text in errors.values()) == [f'"12,Cid,{WORDS},Bonn"', f'"13,Eve,{WORDS},Bern"']
    kept = psql(place, f"select content from call_list_upload_errors e join call_list_uploads u on u.id = e.upload_id where u.campaign_id = '{own['campaign']['id']}'").splitlines()
    assert sorted(WORDS in content for content in kept) == [False, True]
    answer = httpx.post(f"{place.url}{path}/call-list", content=f"phone_number,name,note,city\n+12015550103,Fay,{WORDS},Nice\n".encode(),
                        headers={"content-type": "text/csv", "prefer": "respond-async"})
    assert answer.status_code == 202
    wait_until(lambda: api.ok("GET", answer.headers["location"])["state"] == "completed", what="the file for later")
    assert api.ok("GET", answer.headers["location"])["bytes"] == len(answer.request.content)
    api.ok("POST", f"{path}/start")
    with Rpc(stubs, place.campaign, "DispatchService") as rpc:
        claimed = rpc.ClaimTasks({"worker_id": "w", "campaign_id": own["campaign"]["id"], "max": 10, "wait_ms": 10000}).tasks
    assert {task.phone_number: task.contact_data["city"] for task in claimed} == {"+12015550100": "Rome", "+12015550101": "Turin", "+12015550102": "Köln", "+12015550103": "Nice"}
    # nothing that was encrypted shows in the tables, except what was there before
    assert psql(place, f"select count(*) from call_task_contacts where contact_data::text like '%{WORDS}%'") == "1"


def run(place, process, *flags):
    return subprocess.run([str(ROOT / "build" / PRESET / "bin" / process), *flags, "--database-url", f"host={place.data}/run user=dialplane dbname=dialplane"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, env={**os.environ, "DIALPLANE_DATA_KEYS": place.environment["DIALPLANE_DATA_KEYS"]},
                          check=False)


def test_rotation(place, api, own, stubs):
    """The first key seals, all open; --reencrypt makes everything new, beside the running services, and then the old key may go."""
    again(place, setting("second", "first"))
    before = tasks(api, own)
    assert turns(api, own["sealed"]) == [f"{WORDS} one", f"{WORDS} two", "more"]
    assert report(stubs, place, own["sealed"], events(own)).duplicates == 3  # sealed with the key before
    finished = report(stubs, place, own["sealed"], [{"finished": {"status": "completed", "outcome": "success"}}], 5)
    assert finished.accepted == 1  # its figures are computed from events under two keys
    assert api.ok("GET", f"/api/analytics/calls/{own['sealed']}/metrics")["avg_eou_latency"] == 200
    names = {open_sealed(raw, event_place(own["sealed"], seq))[0] for seq, raw in stored_events(place, own["sealed"]).items()}
    assert names == {"first", "second"}
    for process in ("dialplane-campaign", "dialplane-analytics"):
        done = run(place, process, "--reencrypt")
        assert done.returncode == 0 and "Done: " in done.stdout and " 0 encrypted" not in done.stdout.splitlines()[0], (done.stdout, done.stderr)
        twice = run(place, process, "--reencrypt")
        assert twice.returncode == 0 and all(line.endswith(" 0 encrypted.") for line in twice.stdout.splitlines()), twice.stdout
    for seq, raw in stored_events(place, own["call"]).items():
        assert open_sealed(raw, event_place(own["call"], seq))[0] == "second"
    for phone, value in stored_contacts(place, own["campaign"]).items():
        assert open_text(value, contact_place(own["campaign"], phone))[0] == "second", phone
    assert psql(place, f"select count(*) from call_list_upload_errors where content like '%{WORDS}%'") == "0"
    again(place, setting("second"))
    assert tasks(api, own) == before and turns(api, own["call"]) == turns(api, own["sealed"])
    assert watched(place, own["call"]) == [f"{WORDS} one", f"{WORDS} two", "more"]


def refused(api, own, path, reason):
    answer = api.problem("GET", path, 500)
    assert answer["reason"] == reason, answer
    return answer["detail"]


def test_swapped(place, api, own):
    """A value that somebody has put into another row is refused, never shown as that row's."""
    ids = [task["id"] for task in api.ok("GET", f"/api/campaigns/{own['campaign']['id']}/tasks")["items"][:2]]
    swap = f"""update call_task_contacts a set contact_data = b.contact_data from call_task_contacts b
               where (a.task_id, b.task_id) in (('{ids[0]}', '{ids[1]}'), ('{ids[1]}', '{ids[0]}'))"""
    psql(place, swap)
    path = f"/api/campaigns/{own['campaign']['id']}/tasks/{ids[0]}"
    refused(api, own, path, "DATA_DAMAGED")
    psql(place, swap)
    assert api.ok("GET", path)["contact_data"]
    swap = f"""update call_events a set event = b.event from call_events b
               where a.call_id = '{own['call']}' and b.call_id = '{own['sealed']}' and a.seq = 2 and b.seq = 2"""
    saved = psql(place, f"select encode(event, 'hex') from call_events where call_id = '{own['call']}' and seq = 2")
    psql(place, swap)
    assert "changed or moved" in refused(api, own, f"/api/analytics/calls/{own['call']}", "DATA_DAMAGED")
    psql(place, f"update call_events set event = decode('{saved}', 'hex') where call_id = '{own['call']}' and seq = 2")
    assert turns(api, own["call"])


def test_without_the_key(place, api, own, stubs):
    """A missing key is named; another key of its name is noticed; nothing is ever shown that is not what was stored."""
    path, call = f"/api/campaigns/{own['campaign']['id']}/tasks", f"/api/analytics/calls/{own['call']}"
    for keys, reason in ((setting("third"), "DATA_KEY_MISSING"), ("", "DATA_KEY_MISSING"), (f"second:{os.urandom(32).hex()}", "DATA_DAMAGED")):
        again(place, keys)
        for where in (path, call):
            said = refused(api, own, where, reason)
            assert ('"second"' in said) == (reason == "DATA_KEY_MISSING"), said
        with pytest.raises(httpx.RemoteProtocolError):  # a file that is cut off shows as such
            httpx.get(f"{place.url}{path}.csv")
        # what needs no decrypting works on
        assert api.ok("GET", "/api/analytics/calls", params={"company_id": own["company"]["id"]})["total"] == 2
        with pytest.raises(grpc.RpcError) as caught:
            report(stubs, place, own["call"], events(own))
        assert details(caught.value)[0] == reason
    again(place, setting("second"))
    assert turns(api, own["call"]) and tasks(api, own)


def test_wrong_settings(place, tmp_path):
    """Each stops the start with one line that says what is wrong and never shows a key."""
    key = base64.b64encode(KEYS["first"]).decode()
    good = tmp_path / "keys"
    good.write_text(f"# ours\nsecond:{base64.b64encode(KEYS['second']).decode()} # since March\n\nfirst:{KEYS['first'].hex()}\n")
    for process in ("dialplane-campaign", "dialplane-analytics"):
        for flags, part in ((["--data-keys", key], "is not ID:KEY"), (["--data-keys", f"a:{key[:-4]}"], 'data key "a" is not 32 bytes'),
                            (["--data-keys", f"a:{key},a:{key}"], "twice"), (["--data-keys", f"a b:{key}"], "is not ID:KEY"),
                            (["--data-keys-file", str(tmp_path / "nowhere")], "cannot be read"), (["--data-keys-file", "/dev/null"], "has no data key"),
                            (["--data-keys", f"a:{key}", "--data-keys-file", str(good)], "one of the two")):
            done = subprocess.run([str(ROOT / "build" / PRESET / "bin" / process), *flags, "--reencrypt", "--database-url", "host=/nowhere"], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=60, check=False, env={k: v for k, v in os.environ.items() if k != "DIALPLANE_DATA_KEYS"})
            assert done.returncode == 2 and part in done.stderr, (flags, done.stderr)
            assert key[:12] not in done.stderr.replace("--data-keys", "")
        done = run(place, process, "--reencrypt", "--data-keys-file", str(good), "--data-keys", "")
        assert done.returncode == 0, done.stderr
        done = run(place, process, "--reencrypt", "--data-keys", "")
        assert done.returncode == 2 and "--reencrypt needs --data-keys" in done.stderr
        help_text = subprocess.run([str(ROOT / "build" / PRESET / "bin" / process), "--help"], capture_output=True, text=True, timeout=60, check=True).stdout
        assert "DIALPLANE_DATA_KEYS" in help_text
    for log in ("dialplane-campaign", "dialplane-analytics"):
        assert not any(base64.b64encode(value).decode() in place.log(log) for value in KEYS.values())


def test_each_value_once(place, own):
    """No nonce twice: two values that share one are the same value in the same place."""
    seen = {}
    for line in psql(place, "select call_id, seq, encode(event, 'hex') from call_events").splitlines():
        call, seq, raw = line.split("|")
        raw = bytes.fromhex(raw)
        nonce = raw[5 + raw[4]:][:12]
        assert seen.setdefault(nonce, (call, seq)) == (call, seq)
    assert len(seen) > 5
