"""CompanyService over gRPC, and what the lists of both services refuse."""
import math
import time
import uuid

from support import NOBODY, by_name, micros, plain, refused


def test_company_create_gives_defaults(client):
    made = client.CreateCompany(company={"name": "Ёлка & Co", "slug": "yolka", "id": NOBODY})
    assert made.id != NOBODY and uuid.UUID(made.id).version == 7
    assert (made.name, made.slug, made.is_active) == ("Ёлка & Co", "yolka", True)
    assert not made.HasField("description")
    assert made.HasField("settings") and made.HasField("limits") and not plain(made.settings)
    assert made.created_at == made.updated_at and abs(made.created_at.seconds - time.time()) < 60
    assert client.GetCompany(id=made.id) == made
    assert client.GetCompany(id=made.id.upper()) == made
    client.DeleteCompany(id=made.id)
    failure = refused("NOT_FOUND", client.GetCompany, id=made.id)
    assert failure.message == f"company {made.id} does not exist"
    refused("NOT_FOUND", client.DeleteCompany, id=made.id)
    refused("NOT_FOUND", client.UpdateCompany, id=made.id, company={"name": "x"})


def test_company_keeps_free_form(client):
    tag = uuid.uuid4().hex
    free = {"a": [1.5, None, True, {"b": "ж\"\\\n"}], "big": 1e300, "": {}}
    made = client.CreateCompany(company={"name": tag, "slug": tag, "description": "", "settings": free, "limits": {"n": 3},
                                         "is_active": False})
    assert plain(made.settings) == free and plain(made.limits) == {"n": 3}
    assert made.description == "" and made.HasField("description") and made.is_active is False
    assert client.GetCompany(id=made.id) == made
    client.DeleteCompany(id=made.id)


def test_company_wrong_values(client):
    failure = refused("INVALID_ARGUMENT", client.CreateCompany, company={"name": " ", "slug": "No Slug", "description": "x" * 5001})
    assert set(failure.fields) == {"company.name", "company.slug", "company.description"}
    failure = refused("INVALID_ARGUMENT", client.CreateCompany, company={})
    assert set(failure.fields) == {"company.name", "company.slug"}
    assert set(refused("INVALID_ARGUMENT", client.CreateCompany).fields) == {"company"}
    assert set(refused("INVALID_ARGUMENT", client.GetCompany, id="7").fields) == {"id"}
    assert set(refused("INVALID_ARGUMENT", client.GetCompany).fields) == {"id"}
    request = by_name("dialplane.v1.CreateCompanyRequest")()
    request.company.name, request.company.slug = "n", "n"
    request.company.settings["deep"] = {"list": [0, math.inf]}
    failure = refused("INVALID_ARGUMENT", client.CreateCompany, request=request)
    assert {'company.settings["deep"]["list"][1]'} == set(failure.fields), failure
    # A Value of no kind has no JSON either: it is stored, and read, as null.
    request.company.settings.Clear()
    request.company.settings.fields["odd"].SetInParent()
    made = client.CreateCompany(request=request)
    assert plain(made.settings) == {"odd": None}
    client.DeleteCompany(id=made.id)


def test_company_names_and_slugs_are_unique(client, company):
    failure = refused("ALREADY_EXISTS", client.CreateCompany, company={"name": company.name, "slug": "free"})
    assert failure.reason == "NAME_TAKEN"
    failure = refused("ALREADY_EXISTS", client.CreateCompany, company={"name": "free", "slug": company.slug})
    assert failure.reason == "SLUG_TAKEN" and company.slug in failure.message
    other = client.CreateCompany(company={"name": "other", "slug": "other"})
    assert refused("ALREADY_EXISTS", client.UpdateCompany, id=other.id, company={"name": company.name}).reason == "NAME_TAKEN"
    failure = refused("ALREADY_EXISTS", client.UpdateCompany, id=other.id, company={"slug": company.slug})
    assert failure.reason == "SLUG_TAKEN" and company.slug in failure.message
    assert client.GetCompany(id=other.id) == other
    client.DeleteCompany(id=other.id)


def test_company_update(client, company):
    changed = client.UpdateCompany(id=company.id, company={"description": "d", "settings": {"a": 1}})
    assert (changed.description, plain(changed.settings)) == ("d", {"a": 1})
    assert (changed.name, changed.slug, changed.created_at) == (company.name, company.slug, company.created_at)
    assert micros(changed.updated_at) > micros(company.updated_at)
    assert client.GetCompany(id=company.id) == changed
    # The whole object back: nothing changes, not even the revision.
    same = client.UpdateCompany(id=company.id, company=plain(changed))
    assert same == changed
    # The mask decides: what it names and has no value is cleared, the rest is left alone.
    changed = client.UpdateCompany(id=company.id, company={"name": "ignored", "is_active": False}, update_mask="isActive,description")
    assert changed.is_active is False and not changed.HasField("description") and changed.name == company.name
    changed = client.UpdateCompany(id=company.id, company={}, update_mask="isActive,settings")
    assert changed.is_active is True and changed.HasField("settings") and not plain(changed.settings)
    failure = refused("INVALID_ARGUMENT", client.UpdateCompany, id=company.id, company={}, update_mask="name,slug")
    assert set(failure.fields) == {"company.name", "company.slug"}
    failure = refused("INVALID_ARGUMENT", client.UpdateCompany, id=company.id, company={}, update_mask="nonsense")
    assert set(failure.fields) == {"update_mask"}


def test_company_if_match(client, company):
    stale = micros(company.updated_at)
    changed = client.UpdateCompany(id=company.id, company={"description": "1"}, if_match=stale)
    for wrong in (stale, stale - 1, "nonsense", -1):
        failure = refused("FAILED_PRECONDITION", client.UpdateCompany, id=company.id, company={"description": "2"}, if_match=wrong)
        assert failure.reason == "ETAG_MISMATCH"
        assert refused("FAILED_PRECONDITION", client.DeleteCompany, id=company.id, if_match=wrong).reason == "ETAG_MISMATCH"
    failure = refused("FAILED_PRECONDITION", client.UpdateCompany, id=company.id, company={}, if_match=stale)
    assert failure.message.startswith("the company has been changed since 2")
    assert client.GetCompany(id=company.id) == changed
    client.DeleteCompany(id=company.id, if_match=micros(changed.updated_at))


def test_companies_are_listed_by_name(client):
    prefix = uuid.uuid4().hex
    made = [client.CreateCompany(company={"name": f"{prefix} {i:02}", "slug": f"{prefix}-{i}"}) for i in (3, 1, 4, 0, 2)]
    long_name = client.CreateCompany(company={"name": "ю" * 255, "slug": prefix})
    listed = client.ListCompanies()
    assert listed.total == len(listed.items) and not listed.HasField("next_page_token")
    assert [c.name for c in listed.items] == sorted(c.name for c in listed.items)
    assert set(c.id for c in made) <= set(c.id for c in listed.items)
    assert next(c for c in listed.items if c.id == made[0].id) == made[0]
    # In pages of one, by token and by skip, the same list; the long name is a token too.
    by_token, token = [], ""
    while True:
        page = client.ListCompanies(limit=1, page_token=token)
        assert page.total == listed.total
        by_token += page.items
        if not page.HasField("next_page_token"):
            break
        token = page.next_page_token
    assert by_token == list(listed.items)
    by_skip = [client.ListCompanies(limit=1, skip=i).items[0] for i in range(listed.total)]
    assert by_skip == by_token
    beyond = client.ListCompanies(skip=listed.total)
    assert not beyond.items and beyond.total == listed.total and not beyond.HasField("next_page_token")
    for one in made + [long_name]:
        client.DeleteCompany(id=one.id)


def test_list_arguments(client, company):
    other = client.CreateCompany(company={"name": "zzz", "slug": "zzz"})
    token = client.ListCompanies(limit=1).next_page_token
    client.DeleteCompany(id=other.id)
    assert token
    for call, more in ((client.ListCompanies, {}), (client.ListSkillbases, {}), (client.ListSkillbaseVersions, {"id": NOBODY})):
        failure = refused("INVALID_ARGUMENT", call, limit=0, skip=-1, **more)
        assert set(failure.fields) == {"limit", "skip"}
        assert set(refused("INVALID_ARGUMENT", call, limit=1001, skip=100001, **more).fields) == {"limit", "skip"}
        for wrong in ("nonsense", "AAAA", token[:-1], token + "A", token.swapcase(), "%", "x" * 400):
            assert set(refused("INVALID_ARGUMENT", call, page_token=wrong, **more).fields) == {"page_token"}
    assert set(refused("INVALID_ARGUMENT", client.ListSkillbases, page_token=token).fields) == {"page_token"}
    failure = refused("INVALID_ARGUMENT", client.ListCompanies, page_token=token, skip=1)
    assert failure.fields == {"page_token": "cannot be used together with skip"}
