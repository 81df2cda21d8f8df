"""/api/skillbases as the contract has it: the configuration's rules with their paths, versions, publication, lists, deletion."""

import copy
import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from clients import NOBODY, TIME, UUID, micros, walk
from conftest import SKILLBASE_CONFIG, fields
from reflected import Reflected

KEYS = ["id", "company_id", "name", "slug", "description", "config", "version", "knowledge_base_id", "is_active", "is_published", "created_at",
        "updated_at"]


def small(**parts):
    """The least that a configuration must have."""
    return {"context": {"role": "r", "style": "s"}, "flow": {"type": "linear", "states": ["a"]},
            "voice": {"tts_provider": "openai", "tts_voice_id": "v", "stt_provider": "openai"}, "llm": {"provider": "groq", "model": "m"}, **parts}


def graph(states, *ways):
    return small(flow={"type": "graph", "states": states, "transitions": [{"from_state": a, "to_state": b} for a, b in ways]})


def at(config, path, value):
    """The configuration with one value replaced: "llm.model", "flow.states[0]"."""
    config = copy.deepcopy(config)
    here, keys = config, path.replace("]", "").replace("[", ".").split(".")
    for key in keys[:-1]:
        here = here[int(key)] if key.isdigit() else here[key]
    if value is Ellipsis:
        here.pop(keys[-1], None)
    elif keys[-1].isdigit():
        here[int(keys[-1])] = value
    else:
        here[keys[-1]] = value
    return config


@pytest.fixture(scope="module")
def company(api):
    return api.company()


def body(company, **values):
    return {"company_id": company["id"], "name": "Salon", "slug": f"s-{uuid.uuid4().hex}", "config": small(), **values}


def invalid(api, company, config):
    """The errors of a configuration: the same on create, update and validate; nothing is stored."""
    made = getattr(invalid, "made", None)
    if not made or made["company_id"] != company["id"]:
        made = invalid.made = api.ok("POST", "/api/skillbases", 201, json=body(company))
    errors = fields(api.problem("POST", "/api/skillbases/validate", 400, json={"config": config}))
    sent = body(company, config=config)
    assert fields(api.problem("POST", "/api/skillbases", 400, json=sent)) == errors
    assert fields(api.problem("PUT", f"/api/skillbases/{made['id']}", 400, json={"config": config})) == errors
    assert api.ok("GET", f"/api/skillbases/{made['id']}") == made
    return errors


# --- Keys, defaults, spellings ---

def test_create_answers_every_key(api, company):
    answer = api.client.post("/api/skillbases", json=body(company))
    assert answer.status_code == 201
    made = answer.json()
    assert list(made) == KEYS
    assert UUID.fullmatch(made["id"]) and answer.headers["location"] == f"/api/skillbases/{made['id']}"
    assert (made["description"], made["knowledge_base_id"], made["version"], made["is_active"], made["is_published"]) == (None, None, 1, True, False)
    assert made["created_at"] == made["updated_at"] and TIME.fullmatch(made["created_at"])
    # every key of the configuration is there, with its default
    assert made["config"] == {
        "context": {"role": "r", "style": "s", "safety_rules": [], "facts": []},
        "flow": {"type": "linear", "states": ["a"], "transitions": []},
        "agent": {"handoff_criteria": {}, "crm_field_mapping": {}},
        "tools": [],
        "voice": {"tts_provider": "openai", "tts_voice_id": "v", "stt_provider": "openai", "stt_language": "ru"},
        "llm": {"provider": "groq", "model": "m", "temperature": 0.7, "max_tokens": None},
    }
    assert api.ok("GET", answer.headers["location"]) == made


def test_the_sample_comes_back_as_it_was_sent(api, company):
    made = api.ok("POST", "/api/skillbases", 201, json=body(company, config=SKILLBASE_CONFIG))

    def sent_is_there(sent, got, path="config"):
        if isinstance(sent, dict) and isinstance(got, dict):
            for key, value in sent.items():
                sent_is_there(value, got[key], f"{path}.{key}")
        elif isinstance(sent, list) and isinstance(got, list):
            assert len(sent) == len(got), path
            for i, value in enumerate(sent):
                sent_is_there(value, got[i], f"{path}[{i}]")
        else:
            assert sent == got, path
    sent_is_there(SKILLBASE_CONFIG, made["config"])


def test_states_are_bare_or_whole(api, company):
    states = ["a", {"id": "b"}, {"id": "c", "name": "C"}, {"id": "d", "prompt": "p"}]
    made = api.ok("POST", "/api/skillbases", 201, json=body(company, config=small(flow={"type": "linear", "states": states})))
    assert made["config"]["flow"]["states"] == [
        "a", "b", {"id": "c", "name": "C", "prompt": None}, {"id": "d", "name": None, "prompt": "p"}]


def test_transitions_show_their_condition(api, company):
    config = graph(["a", "b"], ("a", "b"))
    made = api.ok("POST", "/api/skillbases", 201, json=body(company, config=config))
    assert made["config"]["flow"]["transitions"] == [{"from_state": "a", "to_state": "b", "condition": None}]


def test_input_takes_the_spelling_of_proto3(api, company):
    config = {
        "context": {"role": "r", "style": "s", "safetyRules": ["x"]},
        "flow": {"type": "FLOW_TYPE_GRAPH", "states": ["a", "b"], "transitions": [{"fromState": "a", "toState": "b"}]},
        "agent": {"handoffCriteria": {"someKey": 1}, "crmFieldMapping": {"someKey": "v"}},
        "voice": {"ttsProvider": "TTS_PROVIDER_CARTESIA", "ttsVoiceId": "v", "sttProvider": "STT_PROVIDER_ASSEMBLYAI", "sttLanguage": "en"},
        "llm": {"provider": "LLM_PROVIDER_ANTHROPIC", "model": "m", "temperature": "0.5", "maxTokens": "100"},
    }
    made = api.ok("POST", "/api/skillbases", 201, json={
        "companyId": company["id"], "name": "n", "slug": f"s-{uuid.uuid4().hex}", "config": config, "isPublished": True, "knowledgeBaseId": NOBODY})
    got = made["config"]
    assert made["is_published"] is True and made["knowledge_base_id"] == NOBODY
    assert got["flow"]["type"] == "graph" and got["flow"]["transitions"][0]["to_state"] == "b"
    assert got["voice"] == {"tts_provider": "cartesia", "tts_voice_id": "v", "stt_provider": "assemblyai", "stt_language": "en"}
    assert got["llm"] == {"provider": "anthropic", "model": "m", "temperature": 0.5, "max_tokens": 100}
    # what is free-form keeps its keys
    assert got["agent"] == {"handoff_criteria": {"someKey": 1}, "crm_field_mapping": {"someKey": "v"}}


# --- Value rules, each at its bounds: on the skillbase ---

@pytest.mark.parametrize("field, good, bad", [
    ("name", ["x", "ж" * 255], ["", " ", "x" * 256, None, 1]),
    ("slug", ["s" * 100], ["", "A", "a_b", "s" * 101, None, 1]),
    ("description", [None, "", "d" * 5000], ["d" * 5001, 1]),
    ("knowledge_base_id", [None, NOBODY], ["", "x", NOBODY[:-1], 1]),
    ("is_active", [True, False, None], ["true", 1]),
    ("is_published", [True, False, None], ["false", 0]),
    ("config", [], [None, {}, [], "x", 1]),
])
def test_bounds_of_the_skillbase(api, company, field, good, bad):
    for value in good:
        if field == "slug":
            value = value[:-32] + uuid.uuid4().hex
        made = api.ok("POST", "/api/skillbases", 201, json=body(company, **{field: value}))
        expected = {"is_active": True, "is_published": False}.get(field) if value is None else value
        assert made[field] == expected
    for value in bad:
        errors = fields(api.problem("POST", "/api/skillbases", 400, json=body(company, **{field: value})))
        assert errors and all(path == field or path.startswith(field + ".") for path in errors), (value, errors)


def test_the_company_must_be_named_and_exist(api, company):
    for value in ("x", "", None, 7, {}):
        problem = api.problem("POST", "/api/skillbases", 400, json=body(company, company_id=value))
        assert list(fields(problem)) == ["company_id"], (value, problem)
    problem = api.problem("POST", "/api/skillbases", 400, json=body(company, company_id=NOBODY))
    assert problem["code"] == "INVALID_ARGUMENT" and NOBODY in fields(problem)["company_id"]


def test_a_slug_is_unique_in_its_company(api, company):
    made = api.ok("POST", "/api/skillbases", 201, json=body(company))
    problem = api.problem("POST", "/api/skillbases", 409, json=body(company, slug=made["slug"]))
    assert (problem["code"], problem["reason"]) == ("ALREADY_EXISTS", "SLUG_TAKEN") and made["slug"] in problem["detail"]
    other = api.ok("POST", "/api/skillbases", 201, json=body(company))
    problem = api.problem("PUT", f"/api/skillbases/{other['id']}", 409, json={"slug": made["slug"]})
    assert problem["reason"] == "SLUG_TAKEN"
    assert api.ok("GET", f"/api/skillbases/{other['id']}") == other
    assert api.ok("POST", "/api/skillbases", 201, json=body(api.company(), slug=made["slug"]))


# --- Value rules: in the configuration ---

LONG = "x" * 2001
BOUNDS = [
    ("context", [], [None, ..., [], "x"]),
    ("context.role", ["r", "ж" * 500], [..., None, "", " ", "x" * 501, 1]),
    ("context.style", ["s", "ж" * 500], [..., None, "", "\n", "x" * 501, []]),
    ("context.safety_rules", [[], ["x"], ["x" * 2000], ["x"] * 200], [["x"] * 201, "x", {}, 1]),
    ("context.facts", [[], ["x"], ["x" * 2000], ["x"] * 1000], [["x"] * 1001, "x", True]),
    ("flow", [], [None, ..., [], 1]),
    ("flow.type", ["linear", "graph", 1, 2], [..., None, "", "Linear", "circle", 0, 3, 99, True]),
    ("flow.states", [["a"], ["s" * 100], [f"s{i}" for i in range(500)]], [..., None, [], [f"s{i}" for i in range(501)], "a", {}]),
    ("flow.transitions", [[]], [[{"from_state": "a", "to_state": "a"}] * 2001, {}, "a"]),
    ("agent", [{}, None, ...], [[], "x", 1]),
    ("agent.handoff_criteria", [{}, None, {"a": {"b": []}}], [[], "x", 1]),
    ("agent.crm_field_mapping", [{}, None, {"": ""}, {str(i): "v" for i in range(200)}], [{str(i): "v" for i in range(201)}, [], "x"]),
    ("tools", [[], [{"name": "t"}], [{"name": f"t{i}"} for i in range(100)]], [[{"name": f"t{i}"} for i in range(101)], {}, "x"]),
    ("voice", [], [None, ..., []]),
    ("voice.tts_provider", ["cartesia", "elevenlabs", "openai"], [..., None, "", "google", "Cartesia", 4, {}]),
    ("voice.tts_voice_id", ["v", "v" * 200], [..., None, "", " ", "v" * 201, 1]),
    ("voice.stt_provider", ["deepgram", "assemblyai", "openai"], [..., None, "", "cartesia", 0]),
    ("voice.stt_language", ["ru", "x" * 35, None, ...], ["", "r", "x" * 36, 1]),
    ("llm", [], [None, ..., "x"]),
    ("llm.provider", ["groq", "openai", "ollama", "anthropic"], [..., None, "", "deepgram", 5]),
    ("llm.model", ["m", "m" * 200], [..., None, "", "  ", "m" * 201, 1]),
    ("llm.temperature", [0, 2, 0.0001, None, ..., "1.5", 1e0], [-0.0001, 2.0001, 3.5, "warm", "NaN", "Infinity", [], True]),
    ("llm.max_tokens", [1, 2147483647, None, ..., "5", 1e3, 1.0], [0, -1, 2147483648, 1.5, "x", "", []]),
]


@pytest.mark.parametrize("path, good, bad", BOUNDS, ids=[path for path, _, _ in BOUNDS])
def test_bounds_in_the_configuration(api, company, path, good, bad):
    base = small(agent={}, tools=[])
    for value in good:
        answer = api.ok("POST", "/api/skillbases/validate", json={"config": at(base, path, value)})
        assert answer == {"valid": True, "warnings": []}, value
    for value in bad:
        errors = invalid(api, company, at(base, path, value))
        assert list(errors) == [f"config.{path}"] or all(e.startswith(f"config.{path}[") for e in errors), (value, errors)


@pytest.mark.parametrize("path, value, where", [
    ("context.safety_rules", ["ok", " "], "context.safety_rules[1]"),
    ("context.facts", ["", "ok"], "context.facts[0]"),
    ("context.facts", [LONG], "context.facts[0]"),
    ("context.facts", ["a", None], "context.facts[1]"),
    ("context.facts", ["a", 5], "context.facts[1]"),
    ("flow.states", ["a", ""], "flow.states[1].id"),
    ("flow.states", ["a", {"name": "x"}], "flow.states[1].id"),
    ("flow.states", ["s" * 101], "flow.states[0].id"),
    ("flow.states", [{"id": "a", "name": "n" * 256}], "flow.states[0].name"),
    ("flow.states", [{"id": "a", "prompt": "n" * 20001}], "flow.states[0].prompt"),
    ("flow.states", ["a", 5], "flow.states[1]"),
    ("flow.states", ["a", None], "flow.states[1]"),
    ("flow.transitions", [{"to_state": "a"}], "flow.transitions[0].from_state"),
    ("flow.transitions", [{"from_state": "a"}], "flow.transitions[0].to_state"),
    ("flow.transitions", [{"from_state": "a", "to_state": "a", "condition": LONG}], "flow.transitions[0].condition"),
    ("agent.crm_field_mapping", {"a": 5}, 'agent.crm_field_mapping["a"]'),
    ("agent.crm_field_mapping", {"a": None}, 'agent.crm_field_mapping["a"]'),
    ("tools", [{"name": ""}], "tools[0].name"),
    ("tools", [{}], "tools[0].name"),
    ("tools", [{"name": "n" * 101}], "tools[0].name"),
    ("tools", [{"name": "n", "config": []}], "tools[0].config"),
    ("tools", [{"name": "n", "enabled": "yes"}], "tools[0].enabled"),
    ("llm.modell", "x", "llm.modell"),
    ("flow.states", [{"id": "a", "promt": "x"}], "flow.states[0].promt"),
    ("tools", [{"name": "n"}, {"name": "m", "confg": {}}], "tools[1].confg"),
])
def test_where_an_error_is(api, company, path, value, where):
    errors = invalid(api, company, at(small(agent={}), path, value))
    assert list(errors) == [f"config.{where}"], errors


def test_bad_words_name_the_good_ones(api, company):
    errors = invalid(api, company, at(small(), "llm.provider", "acme"))
    for word in ("groq", "openai", "ollama", "anthropic", "acme"):
        assert word in errors["config.llm.provider"]


def test_the_example_of_the_contract(api, company):
    config = graph(["a", "b"], ("a", "b"), ("b", "a"), ("a", "confirm"))
    config["llm"]["temperature"] = 3.5
    problem = api.problem("POST", "/api/skillbases", 400, json=body(company, config=config))
    assert (problem["title"], problem["code"], problem["detail"]) == ("Bad Request", "INVALID_ARGUMENT", "2 fields are invalid")
    assert sorted(problem["errors"], key=lambda e: e["field"]) == [
        {"field": "config.flow.transitions[2].to_state", "message": "unknown state \"confirm\""},
        {"field": "config.llm.temperature", "message": "must be between 0 and 2, got 3.5"}]


def test_everything_wrong_is_told_at_once(api, company):
    config = {"context": {"role": "", "style": "x" * 501, "facts": [" "]}, "flow": {"type": "graph", "states": ["a", "a", "b"], "transitions": [
        {"from_state": "x", "to_state": "y"}]}, "tools": [{"name": "t"}, {"name": "t"}], "voice": {"tts_provider": "acme"}, "llm": {
        "provider": "groq", "model": "m", "temperature": -1, "max_tokens": 0}, "extra": 1}
    problem = api.problem("POST", "/api/skillbases", 400, json={"company_id": "x", "name": "", "slug": "Ä", "config": config, "nme": 0})
    # the unknown keys and the bad word are found while reading, the rest by rules: all of it together
    assert set(fields(problem)) >= {
        "company_id", "name", "slug", "nme", "config.extra", "config.context.role", "config.context.style", "config.context.facts[0]",
        "config.voice.tts_provider", "config.voice.tts_voice_id", "config.voice.stt_provider", "config.llm.temperature", "config.llm.max_tokens"}
    config["voice"]["tts_provider"] = "openai"
    del config["extra"]
    problem = api.problem("POST", "/api/skillbases", 400, json={"company_id": "x", "name": "", "slug": "Ä", "config": config})
    assert set(fields(problem)) == {
        "company_id", "name", "slug", "config.context.role", "config.context.style", "config.context.facts[0]", "config.flow.states[1].id",
        "config.flow.transitions[0].from_state", "config.flow.transitions[0].to_state", "config.tools[1].name", "config.voice.tts_voice_id",
        "config.voice.stt_provider", "config.llm.temperature", "config.llm.max_tokens"}
    assert problem["detail"] == "14 fields are invalid"


# --- What code knows ---

def test_names_are_unique(api, company):
    errors = invalid(api, company, small(flow={"type": "linear", "states": ["a", {"id": "b"}, {"id": "a", "name": "again"}, "b"]}))
    assert list(errors) == ["config.flow.states[2].id", "config.flow.states[3].id"]
    errors = invalid(api, company, small(tools=[{"name": "t"}, {"name": "u"}, {"name": "t"}]))
    assert list(errors) == ["config.tools[2].name"]
    # letters of another case are another name
    api.ok("POST", "/api/skillbases/validate", json={"config": small(tools=[{"name": "t"}, {"name": "T"}])})


def test_a_graph_needs_its_states(api, company):
    errors = invalid(api, company, graph(["a", "b"], ("a", "b"), ("c", "a"), ("a", "d")))
    assert errors == {"config.flow.transitions[1].from_state": "unknown state \"c\"", "config.flow.transitions[2].to_state": "unknown state \"d\""}


def test_what_is_doubtful_is_a_warning(api):
    def warnings(config):
        answer = api.ok("POST", "/api/skillbases/validate", json={"config": config})
        assert answer["valid"] is True
        return {warning["field"]: warning["message"] for warning in answer["warnings"]}
    assert warnings(graph(["a", "b", "c"], ("a", "b"), ("b", "c"), ("c", "a"))) == {}
    found = warnings(graph(["a", "b", {"id": "c", "name": "C"}, "d"], ("a", "b"), ("c", "d"), ("d", "c")))
    assert list(found) == ["config.flow.states[2]", "config.flow.states[3]"] and '"c"' in found["config.flow.states[2]"]
    assert warnings(small(flow={"type": "linear", "states": ["a", "b"]})) == {}


def test_validate_stores_nothing(api, company):
    before = api.get("/api/skillbases", company_id=company["id"]).json()["total"]
    api.ok("POST", "/api/skillbases/validate", json={"config": SKILLBASE_CONFIG})
    assert list(fields(api.problem("POST", "/api/skillbases/validate", 400, json={}))) == ["config"]
    assert list(fields(api.problem("POST", "/api/skillbases/validate", 400, json={"config": small(), "x": 1}))) == ["x"]
    assert api.get("/api/skillbases", company_id=company["id"]).json()["total"] == before


# --- Versions ---

def reordered(value):
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(item) for item in value] if isinstance(value, list) else value


def test_a_version_is_a_changed_configuration(api, company):
    made = api.ok("POST", "/api/skillbases", 201, json=body(company, config=SKILLBASE_CONFIG))
    path = f"/api/skillbases/{made['id']}"
    for same in (SKILLBASE_CONFIG, reordered(SKILLBASE_CONFIG), made["config"], reordered(made["config"])):
        assert api.ok("PUT", path, json={"config": same})["version"] == 1
    assert api.ok("PUT", path, json={"name": "other", "is_published": True})["version"] == 1
    config = at(made["config"], "llm.temperature", 0.1)
    changed = api.ok("PUT", path, json={"config": config, "name": "third"})
    assert (changed["version"], changed["config"], changed["name"]) == (2, config, "third")
    assert changed["created_at"] == made["created_at"] and micros(changed["updated_at"]) > micros(made["updated_at"])
    # an order that means something is a change
    states = at(config, "flow.states", list(reversed(config["flow"]["states"])))
    assert api.ok("PUT", path, json={"config": states})["version"] == 3
    # back to what was: a new version all the same
    assert api.ok("PUT", path, json={"config": config})["version"] == 4
    versions = api.ok("GET", f"{path}/versions")
    assert [item["version"] for item in versions["items"]] == [4, 3, 2, 1] and versions["total"] == 4 and versions["next_page_token"] is None
    assert [item["is_current"] for item in versions["items"]] == [True, False, False, False]
    for item in versions["items"]:
        assert set(item) == {"skillbase_id", "version", "is_current", "created_at"} and item["skillbase_id"] == made["id"]
    assert [item["version"] for item in walk(api, f"{path}/versions", 3)] == [4, 3, 2, 1]
    first = api.ok("GET", f"{path}/versions/1")
    assert first["config"] == made["config"] and first["is_current"] is False and set(first) == {
        "skillbase_id", "version", "is_current", "config", "created_at"}
    assert api.ok("GET", f"{path}/versions/4")["config"] == config


def test_many_changes_at_once_are_each_a_version(api, company):
    made = api.ok("POST", "/api/skillbases", 201, json=body(company))
    path = f"/api/skillbases/{made['id']}"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: api.client.put(path, json={"config": at(small(), "llm.max_tokens", n + 1)}), range(16)))
    assert [answer.status_code for answer in answers] == [200] * 16
    assert sorted(answer.json()["version"] for answer in answers) == list(range(2, 18))
    assert api.ok("GET", path)["version"] == 17 and api.ok("GET", f"{path}/versions")["total"] == 17


def test_rollback(api, company):
    made = api.ok("POST", "/api/skillbases", 201, json=body(company))
    path = f"/api/skillbases/{made['id']}"
    api.ok("PUT", path, json={"config": at(small(), "llm.model", "two")})
    back = api.ok("POST", f"{path}/rollback", json={"version": 1})
    assert back["version"] == 3 and back["config"] == made["config"]
    same = api.ok("POST", f"{path}/rollback", json={"version": "1"})
    assert same["version"] == 3 and same["updated_at"] == back["updated_at"]
    problem = api.problem("POST", f"{path}/rollback", 404, json={"version": 9})
    assert "9" in problem["detail"]
    for bad in (0, -1, None, 1.5, "x"):
        assert list(fields(api.problem("POST", f"{path}/rollback", 400, json={"version": bad}))) == ["version"], bad
    assert list(fields(api.problem("POST", f"{path}/rollback", 400, json={}))) == ["version"]
    assert list(fields(api.problem("POST", f"{path}/rollback", 400, json={"version": 1, "x": 2}))) == ["x"]
    api.problem("POST", f"{path}/rollback", 412, json={"version": 2}, headers={"if-match": '"1-0000000000000000"'})
    assert api.ok("GET", path)["version"] == 3
    api.problem("POST", f"/api/skillbases/{NOBODY}/rollback", 404, json={"version": 1})


def test_versions_that_are_not_there(api, company):
    made = api.ok("POST", "/api/skillbases", 201, json=body(company))
    path = f"/api/skillbases/{made['id']}/versions"
    api.problem("GET", f"{path}/2", 404)
    api.problem("GET", f"/api/skillbases/{NOBODY}/versions", 404)
    api.problem("GET", f"/api/skillbases/{NOBODY}/versions/1", 404)
    for bad in ("0", "-1", "x", "1.5", "2147483648"):
        assert list(fields(api.problem("GET", f"{path}/{bad}", 400))) == ["version"], bad


# --- PUT ---

def test_put_takes_back_what_get_gave(api, company):
    made = api.ok("POST", "/api/skillbases", 201, json=body(company, config=SKILLBASE_CONFIG, is_published=True, description="d"))
    path = f"/api/skillbases/{made['id']}"
    back = api.ok("PUT", path, json=made)
    assert {**back, "updated_at": None} == {**made, "updated_at": None}
    # read-only keys are ignored, whatever they say
    back = api.ok("PUT", path, json={**made, "id": NOBODY, "version": 77, "created_at": "2001-01-01T00:00:00Z"})
    assert {**back, "updated_at": None} == {**made, "updated_at": None}


def test_put_null_clears_resets_or_is_refused(api, company):
    made = api.ok("POST", "/api/skillbases", 201, json=body(company, description="d", knowledge_base_id=NOBODY, is_active=False, is_published=True))
    path = f"/api/skillbases/{made['id']}"
    changed = api.ok("PUT", path, json={"description": None, "knowledgeBaseId": None, "is_active": None, "is_published": None})
    assert (changed["description"], changed["knowledge_base_id"], changed["is_active"], changed["is_published"]) == (None, None, True, False)
    assert changed["version"] == 1 and changed["config"] == made["config"]
    assert set(fields(api.problem("PUT", path, 400, json={"name": None, "slug": None, "config": None}))) == {"name", "slug", "config"}
    assert api.ok("GET", path) == changed


def test_the_company_cannot_change(api, company):
    made = api.ok("POST", "/api/skillbases", 201, json=body(company))
    path = f"/api/skillbases/{made['id']}"
    assert list(fields(api.problem("PUT", path, 400, json={"company_id": api.company()["id"]}))) == ["company_id"]
    assert api.ok("PUT", path, json={"company_id": made["company_id"].upper(), "name": "n"})["company_id"] == made["company_id"]


def test_a_configuration_is_replaced_as_a_whole(api, company):
    made = api.ok("POST", "/api/skillbases", 201, json=body(company, config=SKILLBASE_CONFIG))
    changed = api.ok("PUT", f"/api/skillbases/{made['id']}", json={"config": small()})
    assert changed["config"]["tools"] == [] and changed["config"]["agent"]["crm_field_mapping"] == {} and changed["version"] == 2


def test_etag_and_if_match(api, company):
    made = api.ok("POST", "/api/skillbases", 201, json=body(company))
    path = f"/api/skillbases/{made['id']}"
    tag = api.client.get(path).headers["etag"]
    assert api.client.get(path, headers={"if-none-match": tag}).status_code == 304
    assert api.client.put(path, json={"name": "one"}, headers={"if-match": tag}).status_code == 200
    for method, content in (("PUT", {"json": {"name": "two"}}), ("DELETE", {})):
        assert api.problem(method, path, 412, headers={"if-match": tag}, **content)["reason"] == "ETAG_MISMATCH"
    assert api.ok("GET", path)["name"] == "one"
    tag = api.client.get(path).headers["etag"]
    assert api.client.delete(path, headers={"if-match": tag}).status_code == 204


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_who_is_not_there(api, method):
    content = {"json": {"name": "x"}} if method == "PUT" else {}
    assert NOBODY in api.problem(method, f"/api/skillbases/{NOBODY}", 404, **content)["detail"]
    assert list(fields(api.problem(method, "/api/skillbases/x", 400, **content))) == ["id"]


# --- Lists ---

def test_list_filters_and_order(api):
    company = api.company()
    made = [api.ok("POST", "/api/skillbases", 201, json=body(company, is_active=n % 2 == 0, is_published=n < 3)) for n in range(6)]
    made.reverse()

    def ids(**parameters):
        page = api.ok("GET", "/api/skillbases", params={"company_id": company["id"], **parameters})
        assert page["total"] >= len(page["items"])
        return [item["id"] for item in page["items"]]

    def expected(condition):
        return [item["id"] for item in made if condition(item)]
    assert ids() == expected(lambda s: True)
    assert ids(is_active="true") == expected(lambda s: s["is_active"])
    assert ids(is_active="false") == expected(lambda s: not s["is_active"])
    assert ids(is_published="true", isActive="true") == expected(lambda s: s["is_active"] and s["is_published"])
    assert ids(skip=2, limit=3) == expected(lambda s: True)[2:5]
    assert api.ok("GET", "/api/skillbases", params={"company_id": company["id"]})["items"] == made
    assert api.ok("GET", "/api/skillbases", params={"company_id": NOBODY}) == {"items": [], "total": 0, "next_page_token": None}
    assert [s["id"] for s in walk(api, "/api/skillbases", 4, company_id=company["id"])] == expected(lambda s: True)
    # without a filter: newest first, over companies
    assert [s["id"] for s in api.ok("GET", "/api/skillbases", params={"limit": 6})["items"]] == expected(lambda s: True)


def test_pages_neither_repeat_nor_skip(api):
    company = api.company()
    made = [api.ok("POST", "/api/skillbases", 201, json=body(company)) for _ in range(5)]
    made.reverse()
    page = api.ok("GET", "/api/skillbases", params={"company_id": company["id"], "limit": 2})
    api.ok("POST", "/api/skillbases", 201, json=body(company))
    api.ok("DELETE", f"/api/skillbases/{made[1]['id']}", 204)
    page = api.ok("GET", "/api/skillbases", params={"company_id": company["id"], "limit": 2, "page_token": page["next_page_token"]})
    assert page["items"] == made[2:4] and page["total"] == 5
    page = api.ok("GET", "/api/skillbases", params={"company_id": company["id"], "limit": 2, "page_token": page["next_page_token"]})
    assert page["items"] == made[4:] and page["next_page_token"] is None


@pytest.mark.parametrize("parameters, field", [
    ({"company_id": "x"}, "company_id"), ({"company_id": ""}, "company_id"), ({"is_active": "yes"}, "is_active"), ({"is_active": ""}, "is_active"),
    ({"is_published": "1"}, "is_published"), ({"limit": "0"}, "limit"), ({"limit": "1001"}, "limit"), ({"limit": "abc"}, "limit"),
    ({"skip": "-1"}, "skip"), ({"page_token": "garbage"}, "page_token"), ({"status": "x"}, "status"),
])
def test_bad_parameters_of_the_list(api, parameters, field):
    problem = api.problem("GET", "/api/skillbases", 400, params=parameters)
    assert list(fields(problem)) == [field], problem


def test_page_tokens_of_other_lists_are_refused(api):
    company = api.company()
    made = [api.skillbase(company) for _ in range(2)]
    token = api.ok("GET", "/api/skillbases", params={"company_id": company["id"], "limit": 1})["next_page_token"]
    for path in ("/api/companies", "/api/campaigns", "/api/analytics/calls", f"/api/skillbases/{made[0]['id']}/versions"):
        assert list(fields(api.problem("GET", path, 400, params={"page_token": token}))) == ["page_token"]
    problem = api.problem("GET", "/api/skillbases", 400, params={"page_token": token, "skip": 1, "company_id": company["id"]})
    assert set(fields(problem)) <= {"skip", "page_token"} and problem["errors"]


# --- For a call ---

def test_what_an_agent_gets_for_a_call(api, platform, company):
    made = api.ok("POST", "/api/skillbases", 201, json=body(company, is_published=True, knowledge_base_id=NOBODY))
    api.ok("PUT", f"/api/skillbases/{made['id']}", json={"config": at(small(), "llm.model", "two")})
    with Reflected(platform.skillbase) as agent:
        def get(**request):
            return agent.call("dialplane.v1.SkillbaseService/GetSkillbaseForCall", request)

        def refused(code, reason, **request):
            with pytest.raises(grpc.RpcError) as caught:
                get(**request)
            assert (caught.value.code(), agent.reason(caught.value)) == (code, reason), caught.value.details()
        now = get(id=made["id"])
        assert (now["id"], now["company_id"], now["name"], now["version"], now["knowledge_base_id"]) == (
            made["id"], company["id"], "Salon", 2, NOBODY)
        assert now["config"]["llm"]["model"] == "two" and now["config"]["voice"]["stt_language"] == "ru"
        assert get(id=made["id"], version=1)["config"]["llm"]["model"] == "m"
        refused(grpc.StatusCode.NOT_FOUND, None, id=made["id"], version=3)
        refused(grpc.StatusCode.NOT_FOUND, None, id=NOBODY)
        refused(grpc.StatusCode.INVALID_ARGUMENT, None, id="x")
        api.ok("PUT", f"/api/skillbases/{made['id']}", json={"is_published": False})
        refused(grpc.StatusCode.FAILED_PRECONDITION, "SKILLBASE_NOT_PUBLISHED", id=made["id"])
        api.ok("PUT", f"/api/skillbases/{made['id']}", json={"is_published": True, "is_active": False})
        refused(grpc.StatusCode.FAILED_PRECONDITION, "SKILLBASE_NOT_ACTIVE", id=made["id"])
        api.ok("PUT", f"/api/skillbases/{made['id']}", json={"is_active": True})
        assert get(id=made["id"])["version"] == 2
        api.ok("DELETE", f"/api/skillbases/{made['id']}", 204)
        refused(grpc.StatusCode.NOT_FOUND, None, id=made["id"])


def test_the_same_over_rest(api, company):
    made = api.ok("POST", "/api/skillbases", 201, json=body(company))
    problem = api.problem("GET", f"/api/skillbases/{made['id']}/for-call", 409)
    assert (problem["code"], problem["reason"]) == ("FAILED_PRECONDITION", "SKILLBASE_NOT_PUBLISHED")
    api.ok("PUT", f"/api/skillbases/{made['id']}", json={"is_published": True})
    got = api.ok("GET", f"/api/skillbases/{made['id']}/for-call")
    assert got == {"id": made["id"], "company_id": company["id"], "name": "Salon", "version": 1, "config": made["config"], "knowledge_base_id": None}


# --- DELETE ---

def test_delete_takes_campaigns_and_tasks_but_keeps_calls(api):
    company = api.company()
    skillbase, kept = api.skillbase(company), api.skillbase(company)
    campaign, other = api.campaign(company, skillbase), api.campaign(company, kept)
    for one in (campaign, other):
        api.upload(one, "phone_number\n+12015550100\n")
    call = str(uuid.uuid4())
    when = "2026-03-01T10:00:00Z"
    api.ok("POST", f"/api/analytics/calls/{call}/events", json={"events": [
        {"seq": 1, "occurred_at": when, "started": {"company_id": company["id"], "skillbase_id": skillbase["id"], "campaign_id": campaign["id"]}},
        {"seq": 2, "occurred_at": when, "finished": {"status": "completed", "outcome": "success"}}]})
    answer = api.client.delete(f"/api/skillbases/{skillbase['id']}")
    assert answer.status_code == 204 and answer.content == b""
    for path in (f"/api/skillbases/{skillbase['id']}", f"/api/skillbases/{skillbase['id']}/versions", f"/api/campaigns/{campaign['id']}",
                 f"/api/campaigns/{campaign['id']}/tasks"):
        api.problem("GET", path, 404)
    history = api.ok("GET", f"/api/analytics/calls/{call}")
    assert (history["status"], history["outcome"], history["skillbase_id"], history["campaign_id"]) == ("completed", "success", None, None)
    assert api.ok("GET", f"/api/campaigns/{other['id']}/tasks")["total"] == 1
    api.problem("DELETE", f"/api/skillbases/{skillbase['id']}", 404)


def test_errors_of_gateway_and_service_come_together(api):
    """An unknown key and a bad word are found by the gateway, a broken flow by the service: one answer tells all of it, and nothing is done."""
    company = api.company()
    config = copy.deepcopy(SKILLBASE_CONFIG)
    config["flow"]["transitions"].append({"from_state": "greeting", "to_state": "confirm"})
    config["tools"].append({"name": "calendar"})
    config["llm"]["provider"] = "abacus"
    config["llm"]["temperature"] = 3.5
    body = {"company_id": company["id"], "name": "Salon", "slug": "salon", "nmae": 1, "config": config}
    found = fields(api.problem("POST", "/api/skillbases", 400, json=body))
    assert found["nmae"].startswith("unknown key")
    assert found["config.llm.provider"].startswith("must be one of groq")
    assert found["config.llm.temperature"] == "must be between 0 and 2, got 3.5"
    assert found[f"config.flow.transitions[{len(config['flow']['transitions']) - 1}].to_state"] == 'unknown state "confirm"'
    assert any(path.startswith("config.tools[") for path in found), found
    assert len(found) == 5, found
    # Only what the gateway finds is wrong: the service has nothing to add, and creates nothing.
    only = fields(api.problem("POST", "/api/skillbases", 400, json={**body, "config": SKILLBASE_CONFIG}))
    assert list(only) == ["nmae"]
    assert api.ok("GET", "/api/skillbases", params={"company_id": company["id"]})["total"] == 0
