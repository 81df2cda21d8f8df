"""Write-only values in the settings of tools: hidden in every answer, kept when "***" comes back, readable for the agent's call alone."""

import copy
import json
import uuid

import grpc
import pytest

from agents import psql
from clients import NOBODY
from conftest import fields
from reflected import Reflected
from test_skillbases import body, small

MARK = "***"
SECRETS = ["k-1234", "p-1234", "t-1234", "Bearer b-1234", "x-1234", "s-1234", "u-1234"]
CRM = {"api_url": "https://crm.example.com", "api_key": "k-1234", "max_tokens": 50, "timeout_ms": 1500,
       "auth": {"user": "me", "Password": "p-1234", "nothing": None, "empty_secret": "", "secrets": [], "token": None},
       "endpoints": [{"id": "eu", "url": "https://eu", "accessToken": "t-1234"}, {"url": "https://us", "accessToken": "x-1234"}],
       "headers": [{"name": "Authorization", "value": "Bearer b-1234"}, {"name": "Accept", "value": "*/*"}],
       "credentials": {"user": "u-1234", "number": 7}, "tokens": ["s-1234"]}
HIDDEN = {**CRM, "api_key": MARK, "auth": {**CRM["auth"], "Password": MARK},
          "endpoints": [{**CRM["endpoints"][0], "accessToken": MARK}, {**CRM["endpoints"][1], "accessToken": MARK}],
          "headers": [{"name": "Authorization", "value": MARK}, CRM["headers"][1]], "credentials": MARK, "tokens": MARK}


def tools(*named):
    return small(tools=[{"name": name, "config": config} for name, config in named])


def config_of(skillbase, name="crm"):
    return next(tool["config"] for tool in skillbase["config"]["tools"] if tool["name"] == name)


@pytest.fixture(scope="module")
def company(api):
    return api.company()


@pytest.fixture
def skillbase(api, company):
    return api.ok("POST", "/api/skillbases", 201, json=body(company, is_published=True, config=tools(("crm", CRM), ("calendar", {"url": "u"}))))


def for_call(api, skillbase, version=None):
    return api.ok("GET", f"/api/skillbases/{skillbase['id']}/for-call", params={"version": version} if version else None)


def put(api, skillbase, config, status=200):
    answer = api.request("PUT", f"/api/skillbases/{skillbase['id']}", json={"config": config})
    assert answer.status_code == status, answer.text
    return answer.json()


def test_no_answer_shows_a_secret(api, platform, skillbase, company):
    """Every way out, over REST and gRPC; what only looks alike is shown."""
    where = f"/api/skillbases/{skillbase['id']}"
    changed = api.ok("PUT", where, json={"name": "Other"})
    listed = api.ok("GET", "/api/skillbases", params={"company_id": company["id"], "limit": 1})["items"][0]
    version = api.ok("GET", f"{where}/versions/1")
    for answer in (skillbase, changed, listed, version, api.ok("GET", where), api.ok("POST", f"{where}/rollback", json={"version": 1})):
        assert config_of(answer) == HIDDEN
        assert config_of(answer, "calendar") == {"url": "u"}
    texts = [api.get(where).text, api.get(f"{where}/versions").text, api.get("/api/skillbases").text, api.get(f"/api/companies/{company['id']}/audit").text,
             api.get(f"/api/companies/{company['id']}/audit.csv").text, api.get(f"/api/companies/{company['id']}/audit.jsonl").text]
    with Reflected(platform.skillbase) as client:
        texts += [json.dumps(client.call(f"dialplane.v1.SkillbaseService/{method}", request)) for method, request in (
            ("GetSkillbase", {"id": skillbase["id"]}), ("ListSkillbases", {"company_id": company["id"]}),
            ("GetSkillbaseVersion", {"id": skillbase["id"], "version": 1}), ("UpdateSkillbase", {"id": skillbase["id"], "skillbase": {"name": "x"}}))]
    for text in [*texts, platform.log("dialplane-skillbase"), platform.log("dialplane-gateway")]:
        assert not [secret for secret in SECRETS if secret in text]
    assert config_of(for_call(api, skillbase)) == CRM


def test_what_was_read_can_be_sent_back(api, skillbase):
    """The whole object, as GET gives it: nothing changes, neither the version nor the revision; and a tag of the hidden form works."""
    where = f"/api/skillbases/{skillbase['id']}"
    got = api.get(where)
    assert api.ok("PUT", where, json=got.json(), headers={"if-match": got.headers["etag"]}) == got.json() == skillbase
    assert api.client.get(where, headers={"if-none-match": got.headers["etag"]}).status_code == 304
    assert config_of(for_call(api, skillbase)) == CRM
    config = copy.deepcopy(got.json()["config"])
    config["llm"]["temperature"] = 0.1
    changed = api.ok("PUT", where, json={"config": config}, headers={"if-match": got.headers["etag"]})
    assert changed["version"] == 2 and config_of(for_call(api, skillbase)) == CRM
    # a secret alone is a change, and changes the tag although the shown configuration is the same
    config["tools"][0]["config"]["api_key"] = "k-new"
    assert put(api, skillbase, config)["version"] == 3
    assert config_of(for_call(api, skillbase)) == {**CRM, "api_key": "k-new"}
    newest = api.get(where)
    assert newest.json()["config"] == changed["config"] and newest.headers["etag"] != got.headers["etag"]
    api.problem("PUT", where, 412, json={"config": config}, headers={"if-match": got.headers["etag"]})
    config["tools"][0]["config"]["api_key"] = MARK
    api.problem("PUT", where, 412, json={"config": config}, headers={"if-match": got.headers["etag"]})


def test_every_version_has_its_own(api, skillbase):
    put(api, skillbase, tools(("crm", {**HIDDEN, "api_key": "k-2"})))
    assert config_of(for_call(api, skillbase)) == {**CRM, "api_key": "k-2"}
    assert config_of(for_call(api, skillbase, 1)) == CRM
    assert api.ok("POST", f"/api/skillbases/{skillbase['id']}/rollback", json={"version": 1})["version"] == 3
    assert config_of(for_call(api, skillbase)) == CRM
    # an old version that is read and sent: "***" is what is stored now
    put(api, skillbase, tools(("crm", {"api_key": "k-4"})))
    put(api, skillbase, tools(("crm", {"api_key": MARK, "note": 1})))
    assert config_of(for_call(api, skillbase)) == {"api_key": "k-4", "note": 1}


def test_tools_in_another_order_and_under_another_name(api, skillbase):
    put(api, skillbase, tools(("calendar", {"url": "u"}), ("crm", HIDDEN)))
    assert config_of(for_call(api, skillbase)) == CRM
    put(api, skillbase, tools(("calendar", {"url": "u"}), ("customers", HIDDEN)))
    assert config_of(for_call(api, skillbase), "customers") == CRM
    # two that could be meant, or none: nothing is guessed, and nothing changes
    put(api, skillbase, tools(("a", {"api_key": "k-a"}), ("b", {"api_key": "k-b"})))
    for named in ("c", "d"), ("a", "d"), ("c", "b"):
        config = tools(*[(name, {"api_key": MARK}) for name in named])
        if set(named) & {"a", "b"}:
            put(api, skillbase, config)
            put(api, skillbase, tools(("a", {"api_key": "k-a"}), ("b", {"api_key": "k-b"})))
        else:
            said = fields(check(put(api, skillbase, config, 400)))
            assert set(said) == {"config.tools[0].config.api_key", "config.tools[1].config.api_key"}
            assert all("nothing is stored" in sentence for sentence in said.values())
    got = for_call(api, skillbase)
    assert (config_of(got, "a"), config_of(got, "b")) == ({"api_key": "k-a"}, {"api_key": "k-b"})
    put(api, skillbase, tools(("a", {"api_key": MARK}), ("new", {"other_secret": MARK})), 400)


def check(problem):
    assert problem["code"] == "INVALID_ARGUMENT" and problem["status"] == 400
    return problem


@pytest.mark.parametrize("sent, stored", [
    # by what an item is called, wherever it is
    ([{"id": "b", "token": MARK}, {"id": "a", "token": MARK}], [{"id": "b", "token": "tb"}, {"id": "a", "token": "ta"}]),
    ([{"id": "b", "token": MARK}], [{"id": "b", "token": "tb"}]),
    ([{"id": "new", "token": "tn"}, {"id": "a", "token": MARK}, {"id": "b", "token": MARK}],
     [{"id": "new", "token": "tn"}, {"id": "a", "token": "ta"}, {"id": "b", "token": "tb"}]),
    # called otherwise in the same place
    ([{"id": "a", "token": MARK}, {"id": "c", "token": MARK}], [{"id": "a", "token": "ta"}, {"id": "c", "token": "tb"}]),
])
def test_lists_of_named_things(api, skillbase, sent, stored):
    put(api, skillbase, tools(("crm", {"list": [{"id": "a", "token": "ta"}, {"id": "b", "token": "tb"}]})))
    put(api, skillbase, tools(("crm", {"list": sent})))
    assert config_of(for_call(api, skillbase)) == {"list": stored}


def test_lists_of_things_without_names(api, skillbase):
    def began():
        put(api, skillbase, tools(("crm", {"list": [{"u": 1, "token": "t1"}, {"u": 2, "token": "t2"}, {"u": 3, "token": "t3"}]})))

    def sent(*items):
        began()
        put(api, skillbase, tools(("crm", {"list": [{"u": u, "token": MARK} for u in items]})))
        return [(item["u"], item["token"]) for item in config_of(for_call(api, skillbase))["list"]]
    assert sent(1, 2, 3) == [(1, "t1"), (2, "t2"), (3, "t3")]
    assert sent(3, 1, 2) == [(3, "t3"), (1, "t1"), (2, "t2")]
    assert sent(2, 3) == [(2, "t2"), (3, "t3")]
    assert sent(1, 7, 3) == [(1, "t1"), (7, "t2"), (3, "t3")]
    began()
    # another length, and one that is like none: nobody knows whose it was
    said = fields(check(put(api, skillbase, tools(("crm", {"list": [{"u": 7, "token": MARK}, {"u": 1, "token": MARK}]})), 400)))
    assert list(said) == ["config.tools[0].config.list[0].token"]


def test_what_stands_for_nothing(api, skillbase, company):
    """On create, on a new key, where there was null: said with its path, all at once, and nothing is stored."""
    config = tools(("crm", {"api_key": MARK, "deep": [{"a": {"password": MARK}}]}), ("other", {"url": MARK, "credentials": {"a": MARK}}))
    said = fields(api.problem("POST", "/api/skillbases", 400, json=body(company, name="", config=config)))
    assert set(said) == {"name", "config.tools[0].config.api_key", "config.tools[0].config.deep[0].a.password",
                         "config.tools[1].config.credentials"}
    assert "as a whole" in said["config.tools[1].config.credentials"]
    said = fields(api.problem("PUT", f"/api/skillbases/{skillbase['id']}", 400, json={"config": tools(
        ("crm", {**HIDDEN, "new_secret": MARK, "auth": {"token": MARK}}))}))
    assert set(said) == {"config.tools[0].config.new_secret", "config.tools[0].config.auth.token"}
    assert config_of(for_call(api, skillbase)) == CRM
    api.problem("PUT", f"/api/skillbases/{NOBODY}", 404, json={"config": tools(("crm", {"api_key": MARK}))})
    # under a key that hides nothing it is a text as any other
    made = api.ok("POST", "/api/skillbases", 201, json=body(company, is_published=True, config=tools(("crm", {"note": MARK}))))
    assert config_of(for_call(api, made)) == {"note": MARK}


def test_validation_takes_what_was_read(api, skillbase):
    answer = api.ok("POST", "/api/skillbases/validate", json={"config": skillbase["config"]})
    assert answer["valid"] is True
    assert {warning["field"] for warning in answer["warnings"]} >= {"config.tools[0].config.api_key", "config.tools[0].config.headers[0].value"}
    said = fields(api.problem("POST", "/api/skillbases/validate", 400, json={"config": tools(("crm", {"tokens": [MARK, "new"]}))}))
    assert list(said) == ["config.tools[0].config.tokens"]


def test_a_configuration_changed_by_hand(api, platform, skillbase):
    """Then only the JSON form is stored: hidden and kept like the other."""
    psql(platform, "update skillbases set config_wire = null, config = jsonb_set(config, '{tools,0,config,api_key}', '\"by-hand-1234\"')"
                   f" where id = '{skillbase['id']}'")
    got = api.ok("GET", f"/api/skillbases/{skillbase['id']}")
    assert config_of(got)["api_key"] == MARK and "by-hand" not in json.dumps(got)
    config = got["config"]
    config["llm"]["model"] = "other"
    put(api, skillbase, config)
    assert config_of(for_call(api, skillbase)) == {**CRM, "api_key": "by-hand-1234"}


def test_many_members(api, skillbase):
    """More than are gone through one by one, in another order; and long lists, where the place says whose it is."""
    many = {f"key{i}": {"n": i, "secret": f"s{i}"} for i in range(300)}
    long = [{"n": i, "secret": f"l{i}"} for i in range(200)]
    put(api, skillbase, tools(("crm", {"many": many, "long": long})))
    shown = config_of(api.ok("GET", f"/api/skillbases/{skillbase['id']}"))
    assert all(value["secret"] == MARK for value in [*shown["many"].values(), *shown["long"]])
    put(api, skillbase, tools(("crm", {"many": dict(reversed(shown["many"].items())), "long": shown["long"], "x": 1})))
    assert config_of(for_call(api, skillbase)) == {"many": many, "long": long, "x": 1}


def test_two_who_change_it_at_once(api, skillbase):
    """Each keeps the secret while the other changes the rest: nobody's secret is lost, whoever is last."""
    from concurrent.futures import ThreadPoolExecutor

    def change(n):
        return api.request("PUT", f"/api/skillbases/{skillbase['id']}", json={"config": tools(("crm", {"api_key": MARK, "n": n}))}).status_code
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(change, range(12)))
    assert set(codes) <= {200, 409} and 200 in codes
    assert config_of(for_call(api, skillbase))["api_key"] == "k-1234"


def test_rpc_masks_of_updates(platform, skillbase):
    """Over gRPC with an update_mask that does not name the configuration, its marks are nobody's business."""
    with Reflected(platform.skillbase) as client:
        sent = {"name": "n", "config": tools(("crm", {"api_key": MARK, "unknown_secret": MARK}))}
        client.call("dialplane.v1.SkillbaseService/UpdateSkillbase", {"id": skillbase["id"], "skillbase": sent, "update_mask": "name"})
        with pytest.raises(grpc.RpcError) as caught:
            client.call("dialplane.v1.SkillbaseService/UpdateSkillbase", {"id": skillbase["id"], "skillbase": sent, "update_mask": "config"})
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
