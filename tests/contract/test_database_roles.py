"""A database server that is not ours alone: the user of --database-url is no superuser, other installations live beside, or roles may not be made."""

import os
import subprocess
import sys

import pytest

from conftest import PRESET, ROOT, Api, Platform

sys.path.insert(0, str(ROOT / "tests"))
from private_postgres import PrivatePostgres  # noqa: E402


@pytest.fixture(scope="module")
def server():
    server = PrivatePostgres(fsync="off")
    try:
        yield server
    finally:
        server.stop()


def make(server, owner, attributes=""):
    """A user and a database of its own; gives its URL."""
    for statement in (f"create role {owner} login {attributes}", f"create database {owner} owner {owner}"):
        server.sql(statement)
    return f"postgresql://{owner}@/{owner}?host={server.folder}"


def migrate(url, *flags):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DIALPLANE_")}
    return subprocess.run([str(ROOT / "build" / PRESET / "bin" / "dialplane-skillbase"), "--migrate-only", *flags], timeout=120, text=True, check=False,
                          env={**environment, "DIALPLANE_DATABASE_URL": url}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_a_plain_owner_who_may_create_roles(server):
    """What managed PostgreSQL gives: everything works, row-level security included, and upkeep makes its partitions."""
    url = make(server, "plain", "createrole")
    platform = Platform()
    try:
        platform.start("--database-url", url)
        api = Api(platform.url)
        company = api.company()
        campaign = api.campaign(company, api.skillbase(company))
        assert api.upload(campaign, "phone_number\n+12015550100\n")["created"] == 1
        api.ok("DELETE", f"/api/campaigns/{campaign['id']}", 204)
        assert [item["id"] for item in api.ok("GET", "/api/companies")["items"]] == [company["id"]]
        for name in ("skillbase", "campaign", "analytics"):
            assert '"sql_error"' not in platform.log(f"dialplane-{name}")
    finally:
        platform.stop()

    def count(role, company_id):
        command = ["psql", "-XAtq", url, "-c", f"set role {role}; set dialplane.company = '{company_id}'; select count(*) from companies"]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()
    assert [count("dialplane_service", ""), count("dialplane_company", ""), count("dialplane_company", company["id"])] == ["1", "0", "1"]


def test_roles_of_another_installation_are_not_taken(server):
    if not server.sql("select 1 from pg_roles where rolname = 'dialplane_company'"):
        assert migrate(make(server, "first", "createrole")).returncode == 0
    url = make(server, "second", "createrole")
    refused = migrate(url)
    assert refused.returncode != 0
    assert 'the role dialplane_company belongs to another installation' in refused.stdout and "--database-roles" in refused.stdout
    assert migrate(url, "--database-roles", "second").returncode == 0
    assert server.sql("select string_agg(rolname, ',' order by rolname) from pg_roles where rolname like 'second\\_%'") == "second_company,second_service"
    assert migrate(url, "--database-roles", "second").returncode == 0


def test_without_the_right_to_create_roles(server):
    url = make(server, "modest")
    refused = migrate(url, "--database-roles", "modest")
    assert refused.returncode != 0
    assert 'the database user modest may not create roles' in refused.stdout and "create role modest_company nologin" in refused.stdout
    for statement in ("create role modest_company nologin", "create role modest_service nologin", "grant modest_company, modest_service to modest"):
        server.sql(statement)
    assert migrate(url, "--database-roles", "modest").returncode == 0


@pytest.mark.parametrize("name", ["", "Upper", "9lives", "pg_mine", "a-b", "x" * 41, "a'; drop table companies; --"])
def test_names_that_are_none(name):
    refused = migrate("postgresql://nobody@/nowhere?host=/nonexistent", "--database-roles", name)
    assert refused.returncode == 2 and "--database-roles is 1 to 40 lower-case letters" in refused.stdout
