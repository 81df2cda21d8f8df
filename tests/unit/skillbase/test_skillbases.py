"""SkillbaseService over gRPC: every RPC and every error."""
import concurrent.futures
import copy
import json
import math
import uuid

from support import NOBODY, SQL, Client, Failure, by_name, fill, make, micros, refused, sample, small, sql


def test_skillbase_create_gives_defaults(client, company):
    made = make(client, company)
    assert uuid.UUID(made.id).version == 7 and made.company_id == company.id
    assert (made.name, made.slug, made.version, made.is_active, made.is_published) == ("Name", "one", 1, True, False)
    assert not made.HasField("description") and not made.HasField("knowledge_base_id")
    assert made.created_at == made.updated_at
    assert made.config.voice.stt_language == "ru" and made.config.llm.temperature == 0.7
    assert not made.config.llm.HasField("max_tokens")
    assert made.config.HasField("agent") and made.config.agent.HasField("handoff_criteria")
    assert [s.id for s in made.config.flow.states] == ["a"]
    assert client.GetSkillbase(id=made.id) == made
    assert client.GetSkillbase(id=made.id.upper()) == made


def test_sample_comes_back_as_it_was(client, company):
    made = make(client, company, config=sample(), description="Описание", knowledge_base_id=NOBODY, is_active=False,
                is_published=True)
    want = fill(by_name("dialplane.v1.SkillbaseConfig"), sample())
    got = copy.deepcopy(made.config)
    # What the sample leaves to the defaults.
    for tool, original in zip(got.tools, want.tools):
        if not original.HasField("enabled"):
            assert tool.enabled
            tool.ClearField("enabled")
        if not original.HasField("config"):
            tool.ClearField("config")
    if not want.voice.HasField("stt_language"):
        got.voice.ClearField("stt_language")
    if not want.llm.HasField("temperature"):
        got.llm.ClearField("temperature")
    assert got == want
    assert (made.description, made.knowledge_base_id, made.is_active, made.is_published) == ("Описание", NOBODY, False, True)
    assert client.GetSkillbase(id=made.id) == made
    # What PostgreSQL has as jsonb is the same thing.
    stored = json.loads(sql(f"SELECT config FROM skillbases WHERE id = '{made.id}'"))
    assert fill(by_name("dialplane.v1.SkillbaseConfig"), stored) == made.config
    # And without the derived bytes it is read from there.
    sql(f"UPDATE skillbases SET config_wire = NULL WHERE id = '{made.id}';"
        f"UPDATE skillbase_versions SET config_wire = NULL WHERE skillbase_id = '{made.id}'")
    assert client.GetSkillbase(id=made.id) == made
    assert client.ListSkillbases(company_id=company.id).items[0] == made
    assert client.GetSkillbaseVersion(id=made.id, version=1).config == made.config


def test_skillbase_everything_wrong_at_once(client, company):
    config = small(
        context={"role": " ", "facts": ["", "ok"]},
        flow={"type": "graph", "states": ["a", {"id": "b"}, "a", ""],
              "transitions": [{"from_state": "a", "to_state": "b"}, {"from_state": "x", "to_state": "a"},
                              {"from_state": "b", "to_state": "confirm"}]},
        tools=[{"name": "t"}, {"name": "u"}, {"name": "t"}, {"name": "t"}],
        llm={"provider": "groq", "model": "m", "temperature": 3.5, "max_tokens": 0})
    failure = refused("INVALID_ARGUMENT", make, client=client, company=company, slug="No", config=config, knowledge_base_id="x")
    prefix = "skillbase.config."
    assert failure.fields[prefix + "flow.transitions[2].to_state"] == 'unknown state "confirm"'
    assert failure.fields[prefix + "flow.transitions[1].from_state"] == 'unknown state "x"'
    assert failure.fields[prefix + "flow.states[2].id"] == 'duplicate state "a": states[0] has it already'
    assert failure.fields[prefix + "tools[2].name"] == 'duplicate tool "t": tools[0] has it already'
    assert set(failure.fields) == {"skillbase.slug", "skillbase.knowledge_base_id"} | {prefix + path for path in (
        "context.role", "context.style", "context.facts[0]", "flow.states[2].id", "flow.states[3].id",
        "flow.transitions[1].from_state", "flow.transitions[2].to_state", "tools[2].name", "tools[3].name",
        "llm.temperature", "llm.max_tokens")}
    assert failure.message == "13 fields are invalid"


def test_skillbase_missing_parts(client, company):
    failure = refused("INVALID_ARGUMENT", client.CreateSkillbase, skillbase={})
    assert set(failure.fields) == {"skillbase.company_id", "skillbase.name", "skillbase.slug", "skillbase.config"}
    failure = refused("INVALID_ARGUMENT", make, client=client, company=company, config={})
    assert set(failure.fields) == {f"skillbase.config.{part}" for part in ("context", "flow", "voice", "llm")}
    assert set(refused("INVALID_ARGUMENT", client.CreateSkillbase).fields) == {"skillbase"}
    request = by_name("dialplane.v1.CreateSkillbaseRequest")()
    request.skillbase.config.flow.SetInParent()
    request.skillbase.config.agent.handoff_criteria["x"] = math.nan
    failure = refused("INVALID_ARGUMENT", client.CreateSkillbase, request=request)
    assert 'skillbase.config.agent.handoff_criteria["x"]' in failure.fields


def test_skillbase_of_unknown_company(client):
    failure = refused("INVALID_ARGUMENT", client.CreateSkillbase,
                      skillbase={"company_id": NOBODY, "name": "n", "slug": "s", "config": small()})
    assert failure.fields == {"skillbase.company_id": f"company {NOBODY} does not exist"}


def test_skillbase_slug_is_unique_in_the_company(client, company):
    first = make(client, company, "taken")
    failure = refused("ALREADY_EXISTS", make, client=client, company=company, slug="taken")
    assert failure.reason == "SLUG_TAKEN" and '"taken"' in failure.message
    assert client.ListSkillbases(company_id=company.id).total == 1
    second = make(client, company, "free")
    failure = refused("ALREADY_EXISTS", client.UpdateSkillbase, id=second.id, skillbase={"slug": "taken"})
    assert failure.reason == "SLUG_TAKEN" and '"taken"' in failure.message
    other = client.CreateCompany(company={"name": "elsewhere", "slug": "elsewhere"})
    assert make(client, other, "taken").slug == "taken"
    client.DeleteCompany(id=other.id)
    client.DeleteSkillbase(id=first.id)
    assert client.UpdateSkillbase(id=second.id, skillbase={"slug": "taken"}).slug == "taken"


def test_skillbase_update_changes_only_what_is_sent(client, company):
    made = make(client, company, description="d", knowledge_base_id=NOBODY)
    changed = client.UpdateSkillbase(id=made.id, skillbase={"name": "New"})
    assert changed.name == "New" and changed.version == 1 and changed.config == made.config
    assert (changed.slug, changed.description, changed.knowledge_base_id) == ("one", "d", NOBODY)
    assert changed.created_at == made.created_at and micros(changed.updated_at) > micros(made.updated_at)
    assert client.GetSkillbase(id=made.id) == changed
    # The whole object as it was read: nothing is different afterwards.
    request = by_name("dialplane.v1.UpdateSkillbaseRequest")(id=made.id, skillbase=changed)
    assert client.UpdateSkillbase(request=request) == changed
    # Named without a value: cleared, or back to the default.
    changed = client.UpdateSkillbase(id=made.id, skillbase={"is_active": False, "is_published": True})
    assert (changed.is_active, changed.is_published) == (False, True)
    changed = client.UpdateSkillbase(id=made.id, skillbase={"name": "ignored"},
                                     update_mask="description,knowledgeBaseId,isActive,isPublished")
    assert not changed.HasField("description") and not changed.HasField("knowledge_base_id")
    assert (changed.is_active, changed.is_published, changed.name) == (True, False, "New")
    failure = refused("INVALID_ARGUMENT", client.UpdateSkillbase, id=made.id, skillbase={}, update_mask="name,slug,config")
    assert set(failure.fields) == {"skillbase.name", "skillbase.slug", "skillbase.config"}
    refused("NOT_FOUND", client.UpdateSkillbase, id=NOBODY, skillbase={"name": "n"})


def test_skillbase_company_cannot_change(client, company):
    made = make(client, company)
    assert client.UpdateSkillbase(id=made.id, skillbase={"company_id": company.id, "name": "ok"}).name == "ok"
    failure = refused("INVALID_ARGUMENT", client.UpdateSkillbase, id=made.id, skillbase={"company_id": NOBODY, "name": "no"})
    assert failure.fields == {"skillbase.company_id": "cannot be changed"}
    assert client.GetSkillbase(id=made.id).name == "ok"


def test_versions(client, company):
    made = make(client, company, config=sample())
    # Equal in another order and with the defaults written out is equal.
    config = sample()
    config["agent"]["crm_field_mapping"] = dict(reversed(config["agent"]["crm_field_mapping"].items()))
    same = client.UpdateSkillbase(id=made.id, skillbase={"config": config})
    assert same.version == 1 and same.updated_at == made.updated_at
    request = by_name("dialplane.v1.UpdateSkillbaseRequest")(id=made.id)
    request.skillbase.config.CopyFrom(made.config)
    assert client.UpdateSkillbase(request=request).version == 1
    config["llm"]["temperature"] = 1.25
    second = client.UpdateSkillbase(id=made.id, skillbase={"config": config, "name": "Two"})
    assert second.version == 2 and second.config.llm.temperature == 1.25
    # A configuration replaces the old one wholly.
    third = client.UpdateSkillbase(id=made.id, skillbase={"config": small()})
    assert third.version == 3 and not third.config.tools and third.config.llm.temperature == 0.7
    assert client.GetSkillbase(id=made.id) == third

    listed = client.ListSkillbaseVersions(id=made.id)
    assert [(v.version, v.is_current) for v in listed.items] == [(3, True), (2, False), (1, False)]
    assert listed.total == 3 and not listed.HasField("next_page_token")
    assert all(v.skillbase_id == made.id for v in listed.items)
    assert listed.items[2].created_at == made.created_at and listed.items[0].created_at == third.updated_at
    page = client.ListSkillbaseVersions(id=made.id, limit=2)
    assert [v.version for v in page.items] == [3, 2] and page.total == 3
    page = client.ListSkillbaseVersions(id=made.id, limit=2, page_token=page.next_page_token)
    assert [v.version for v in page.items] == [1] and not page.HasField("next_page_token")
    page = client.ListSkillbaseVersions(id=made.id, skip=1, limit=1)
    assert [v.version for v in page.items] == [2] and page.next_page_token
    empty = client.ListSkillbaseVersions(id=made.id, skip=3)
    assert not empty.items and empty.total == 3 and not empty.HasField("next_page_token")
    refused("NOT_FOUND", client.ListSkillbaseVersions, id=NOBODY)

    old = client.GetSkillbaseVersion(id=made.id, version=1)
    assert old.config == made.config and not old.is_current and old.created_at == made.created_at
    assert client.GetSkillbaseVersion(id=made.id, version=3).is_current
    failure = refused("NOT_FOUND", client.GetSkillbaseVersion, id=made.id, version=4)
    assert failure.message == f"skillbase {made.id} has no version 4"
    assert f"skillbase {NOBODY} does not exist" == refused("NOT_FOUND", client.GetSkillbaseVersion, id=NOBODY, version=1).message
    assert set(refused("INVALID_ARGUMENT", client.GetSkillbaseVersion, id=made.id, version=0).fields) == {"version"}


def test_rollback(client, company):
    made = make(client, company, config=sample())
    second = client.UpdateSkillbase(id=made.id, skillbase={"config": small(), "name": "Two"})
    back = client.RollbackSkillbase(id=made.id, version=1, if_match=micros(second.updated_at))
    assert back.version == 3 and back.config == made.config and back.name == "Two"
    assert micros(back.updated_at) > micros(second.updated_at)
    assert client.GetSkillbase(id=made.id) == back
    assert client.GetSkillbaseVersion(id=made.id, version=3).config == made.config
    # Already that one: nothing changes.
    assert client.RollbackSkillbase(id=made.id, version=1) == back
    assert client.RollbackSkillbase(id=made.id, version=3) == back
    assert client.ListSkillbaseVersions(id=made.id).total == 3
    failure = refused("FAILED_PRECONDITION", client.RollbackSkillbase, id=made.id, version=2, if_match=micros(made.updated_at))
    assert failure.reason == "ETAG_MISMATCH"
    refused("NOT_FOUND", client.RollbackSkillbase, id=made.id, version=9)
    refused("NOT_FOUND", client.RollbackSkillbase, id=NOBODY, version=1)
    assert set(refused("INVALID_ARGUMENT", client.RollbackSkillbase, id=made.id).fields) == {"version"}


def test_skillbase_if_match(client, company):
    made = make(client, company)
    stale = micros(made.updated_at)
    changed = client.UpdateSkillbase(id=made.id, skillbase={"name": "1"}, if_match=stale)
    for wrong in (stale, stale + 1, "nonsense"):
        failure = refused("FAILED_PRECONDITION", client.UpdateSkillbase, id=made.id, skillbase={"name": "2"}, if_match=wrong)
        assert failure.reason == "ETAG_MISMATCH"
        assert refused("FAILED_PRECONDITION", client.DeleteSkillbase, id=made.id, if_match=wrong).reason == "ETAG_MISMATCH"
    failure = refused("FAILED_PRECONDITION", client.UpdateSkillbase, id=made.id, skillbase={}, if_match=stale)
    assert failure.message.startswith("the skillbase has been changed since 2")
    assert client.GetSkillbase(id=made.id) == changed
    client.DeleteSkillbase(id=made.id, if_match=micros(changed.updated_at))
    failure = refused("NOT_FOUND", client.GetSkillbase, id=made.id)
    assert failure.message == f"skillbase {made.id} does not exist"
    refused("NOT_FOUND", client.DeleteSkillbase, id=made.id)
    refused("NOT_FOUND", client.DeleteSkillbase, id=made.id, if_match=1)


def test_one_of_many_writers_wins(server, client, company):
    made = make(client, company)
    revision = micros(made.updated_at)

    def attempt(i):
        one = Client(server)
        try:
            return one.UpdateSkillbase(id=made.id, skillbase={"config": small(context={"role": f"r{i}", "style": "s"})}, if_match=revision)
        except Failure as failure:
            assert failure.reason == "ETAG_MISMATCH"
            return None
        finally:
            one.channel.close()

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        winners = [reply for reply in threads.map(attempt, range(8)) if reply]
    assert len(winners) == 1 and winners[0].version == 2
    assert client.GetSkillbase(id=made.id) == winners[0]

    # Without a revision each of them counts, one after the other.
    def change(i):
        one = Client(server)
        try:
            return one.UpdateSkillbase(id=made.id, skillbase={"config": small(context={"role": f"q{i}", "style": "s"})})
        finally:
            one.channel.close()

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        replies = list(threads.map(change, range(24)))
    assert sorted(reply.version for reply in replies) == list(range(3, 27))
    assert len(set(micros(reply.updated_at) for reply in replies)) == 24
    versions = client.ListSkillbaseVersions(id=made.id)
    assert versions.total == 26 and [v.is_current for v in versions.items].count(True) == 1
    last = max(replies, key=lambda reply: reply.version)
    assert client.GetSkillbase(id=made.id) == last
    for reply in replies:
        assert client.GetSkillbaseVersion(id=made.id, version=reply.version).config == reply.config


def test_list_filters_and_pages(client, company):
    other = client.CreateCompany(company={"name": "list other", "slug": "list-other"})
    made = [make(client, company, f"s{i}", is_active=i % 2 == 0, is_published=i % 3 == 0) for i in range(7)]
    foreign = make(client, other, "s0")
    listed = client.ListSkillbases(company_id=company.id)
    assert list(listed.items) == made[::-1] and listed.total == 7 and not listed.HasField("next_page_token")
    everyone = client.ListSkillbases()
    assert everyone.total >= 8 and everyone.items[0] == foreign
    for active in (True, False, None):
        for published in (True, False, None):
            fields = {k: v for k, v in (("is_active", active), ("is_published", published)) if v is not None}
            want = [s for s in made[::-1] if (active is None or s.is_active == active)
                    and (published is None or s.is_published == published)]
            page = client.ListSkillbases(company_id=company.id, **fields)
            assert list(page.items) == want and page.total == len(want)
    # Pages by key: a row that comes meanwhile is neither shown twice nor makes another one be left out.
    page = client.ListSkillbases(company_id=company.id, limit=3)
    assert list(page.items) == made[:3:-1]
    newer = make(client, company, "newer")
    page = client.ListSkillbases(company_id=company.id, limit=3, page_token=page.next_page_token)
    assert list(page.items) == made[3:0:-1] and page.total == 8
    page = client.ListSkillbases(company_id=company.id, limit=3, page_token=page.next_page_token)
    assert list(page.items) == made[:1] and not page.HasField("next_page_token")
    page = client.ListSkillbases(company_id=company.id, skip=1, limit=2)
    assert list(page.items) == made[:4:-1] and page.HasField("next_page_token")
    client.DeleteSkillbase(id=newer.id)
    page = client.ListSkillbases(company_id=company.id, limit=7)
    assert page.total == 7 and not page.HasField("next_page_token")
    assert client.ListSkillbases(company_id=NOBODY).total == 0
    assert set(refused("INVALID_ARGUMENT", client.ListSkillbases, company_id="x").fields) == {"company_id"}
    client.DeleteCompany(id=other.id)
    refused("NOT_FOUND", client.GetSkillbase, id=foreign.id)


def test_equal_times_are_told_apart_by_id(client, company):
    made = sorted(make(client, company, f"s{i}").id for i in range(5))
    sql(f"UPDATE skillbases SET created_at = '2026-01-01Z' WHERE company_id = '{company.id}'")
    got, token = [], ""
    while True:
        page = client.ListSkillbases(company_id=company.id, limit=2, page_token=token)
        got += [s.id for s in page.items]
        if not page.HasField("next_page_token"):
            break
        token = page.next_page_token
    assert got == made[::-1]


def test_a_page_of_large_configurations_ends_early(client, company):
    big = small(flow={"type": "linear", "states": [{"id": str(i), "prompt": "x" * 20000} for i in range(60)]})
    made = [make(client, company, f"s{i}", config=big) for i in range(5)]
    got, token, pages = [], "", 0
    while True:
        page = client.ListSkillbases(company_id=company.id, page_token=token)
        assert page.ByteSize() < 4000000 and page.total == 5
        got += [s.id for s in page.items]
        pages += 1
        if not page.HasField("next_page_token"):
            break
        token = page.next_page_token
    assert got == [s.id for s in made[::-1]] and pages == 3


def test_validate(client):
    reply = client.ValidateSkillbaseConfig(config=sample())
    assert reply.valid and not reply.warnings
    reply = client.ValidateSkillbaseConfig(config=small(flow={
        "type": "graph", "states": ["a", "b", "c", "d"],
        "transitions": [{"from_state": "a", "to_state": "c"}, {"from_state": "b", "to_state": "a"}, {"from_state": "c", "to_state": "a"}]}))
    assert reply.valid and [(w.field, w.message) for w in reply.warnings] == [
        ("config.flow.states[1]", 'state "b" cannot be reached from the first state, "a"'),
        ("config.flow.states[3]", 'state "d" cannot be reached from the first state, "a"')]
    reply = client.ValidateSkillbaseConfig(config=small(flow={
        "type": "linear", "states": ["a"], "transitions": [{"from_state": "a", "to_state": "z"}]}))
    assert [w.field for w in reply.warnings] == ["config.flow.transitions[0].to_state"]
    failure = refused("INVALID_ARGUMENT", client.ValidateSkillbaseConfig, config=small(flow={
        "type": "graph", "states": ["a"], "transitions": [{"from_state": "a", "to_state": "confirm"}]}))
    assert failure.fields == {"config.flow.transitions[0].to_state": 'unknown state "confirm"'}
    assert set(refused("INVALID_ARGUMENT", client.ValidateSkillbaseConfig).fields) == {"config"}


def test_for_call(client, company):
    made = make(client, company, config=sample(), knowledge_base_id=NOBODY)
    failure = refused("FAILED_PRECONDITION", client.GetSkillbaseForCall, id=made.id)
    assert failure.reason == "SKILLBASE_NOT_PUBLISHED"
    client.UpdateSkillbase(id=made.id, skillbase={"is_published": True, "is_active": False})
    failure = refused("FAILED_PRECONDITION", client.GetSkillbaseForCall, id=made.id)
    assert failure.reason == "SKILLBASE_NOT_ACTIVE"
    client.UpdateSkillbase(id=made.id, skillbase={"is_active": True, "config": small()})
    got = client.GetSkillbaseForCall(id=made.id)
    assert (got.id, got.company_id, got.name, got.version, got.knowledge_base_id) == (made.id, company.id, "Name", 2, NOBODY)
    assert got.config == client.GetSkillbase(id=made.id).config
    got = client.GetSkillbaseForCall(id=made.id, version=1)
    assert got.version == 1 and got.config == made.config
    assert refused("NOT_FOUND", client.GetSkillbaseForCall, id=made.id, version=3).message == f"skillbase {made.id} has no version 3"
    refused("NOT_FOUND", client.GetSkillbaseForCall, id=NOBODY)
    assert set(refused("INVALID_ARGUMENT", client.GetSkillbaseForCall, id=made.id, version=0).fields) == {"version"}


def test_deleting_a_company_deletes_what_it_owns(client):
    owner = client.CreateCompany(company={"name": "owner", "slug": "owner"})
    made = make(client, owner)
    client.DeleteCompany(id=owner.id)
    refused("NOT_FOUND", client.GetSkillbase, id=made.id)
    assert sql(f"SELECT count(*) FROM skillbase_versions WHERE skillbase_id = '{made.id}'") == "0"


def test_a_configuration_that_fills_a_message(client, company):
    big = small(flow={"type": "linear", "states": [{"id": str(i), "prompt": "x" * 20000} for i in range(208)]})
    made = make(client, company, config=big)
    assert made.config.ByteSize() > 4000000
    # An answer is no larger than 4 MB plus the rest of the row, which this client takes.
    assert client.GetSkillbase(id=made.id) == made
    big["flow"]["states"][0]["prompt"] = "y"
    changed = client.UpdateSkillbase(id=made.id, skillbase={"config": big})
    assert changed.version == 2 and changed.config.flow.states[0].prompt == "y"
    assert client.RollbackSkillbase(id=made.id, version=1).config == made.config


def test_every_statement_is_scoped(client, company):
    """Until authentication exists no caller has a company; what they will see is asked of the statements themselves."""
    other = client.CreateCompany(company={"name": "scope", "slug": "scope"})
    made = make(client, company)
    client.UpdateSkillbase(id=made.id, skillbase={"config": small(context={"role": "2", "style": "2"})})

    def rows(name, *arguments):
        text = (SQL / (name + ".sql")).read_text()
        values = ", ".join("NULL" if a is None else f"'{a}'" for a in arguments)
        return sql(f"BEGIN; PREPARE q AS {text}; EXECUTE q({values}); ROLLBACK").splitlines()

    one = made.id
    key = str(uuid.uuid4())
    sql(f"INSERT INTO api_keys VALUES ('{key}', '{company.id}', 'k', '{{agent}}', 'dpk_scope', sha256('scope'), NULL, 'test', now())")
    cases = {
        "create_api_key": (str(uuid.uuid4()), company.id, "n", "{agent}", "dpk_other", "\\x" + "00" * 32, None, "test", 10, "{}"),
        "list_api_keys": (company.id, None, None, 0, 10), "get_api_key": (company.id, key), "delete_api_key": (company.id, key),
        "get_skillbase": (one,), "update_skillbase": (one, None, None, "n", "s", False, None, None, None, False, None, None, None, None),
        "rollback_skillbase": (one, None, 1), "delete_skillbase": (one, None), "get_skillbase_version": (one, 1),
        "get_skillbase_for_call": (one, None), "list_skillbase_versions": (one, None, 0, 10),
        "get_company": (company.id,), "update_company": (company.id, None, "n", "s", False, None, None, None, None),
        "delete_company": (company.id, None),
        "create_skillbase": (NOBODY, company.id, "n", "s", None, "{}", None, None, True, True),
        "list_audit_entries": (company.id, *[None] * 8, 0, 10, 100000), "export_audit_entries": (company.id, *[None] * 8),
    }
    for name, arguments in cases.items():
        assert rows(name, None, *arguments) and rows(name, company.id, *arguments), name
        assert rows(name, other.id, *arguments) == [], name
    assert len(rows("list_companies", company.id, None, 0, 10, 1000)) == 1
    assert company.id in rows("list_companies", company.id, None, 0, 10, 1000)[0]
    for name, tail in (("list_skillbases", ()), ("list_company_skillbases", (company.id,))):
        arguments = (None, None, None, None, 0, 10, 1000000) + tail
        assert one in rows(name, company.id, *arguments)[0]
        (empty,) = rows(name, other.id, *arguments)
        assert one not in empty and empty.split("|")[-2:] == ["0", "0"]
    assert [rows("check_audited_company", who, company.id) for who in (None, company.id, other.id)] == [["t"], ["t"], ["f"]]
    unscoped = {path.stem for path in SQL.glob("*.sql")} - set(cases) - {"list_companies", "list_skillbases", "list_company_skillbases", "check_audited_company"}
    assert unscoped == {"create_company", "forget_audit_entries"}  # the latter is no caller's
    client.DeleteCompany(id=other.id)


def test_largest_configuration(client, company):
    states = [{"id": f"s{i}"} for i in range(500)]
    ways = [{"from_state": f"s{i % 500}", "to_state": f"s{(i * 7 + 1) % 500}", "condition": "c"} for i in range(2000)]
    made = make(client, company, config=small(flow={"type": "graph", "states": states, "transitions": ways}))
    assert client.GetSkillbase(id=made.id) == made
    assert len(made.config.flow.transitions) == 2000
    failure = refused("INVALID_ARGUMENT", make, client=client, company=company, slug="more", config=small(
        flow={"type": "graph", "states": states + states, "transitions": ways * 2}))
    assert "skillbase.config.flow.states" in failure.fields and "skillbase.config.flow.transitions" in failure.fields
