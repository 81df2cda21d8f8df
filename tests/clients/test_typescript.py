"""The TypeScript client: compiled strictly, its own tests, and the whole way over @grpc/grpc-js."""

import json
import re

import built
import flow
from conftest import ROOT


def test_its_own_tests(platform):
    built.run("node", "--test", "dist/test/client.test.js", cwd=built.typescript(), timeout=300, DIALPLANE_PORT=str(platform.port))


def test_the_whole_way(platform, api):
    said = built.run("node", "dist/example.js", platform.port, cwd=built.typescript(), timeout=300)
    assert "refused: campaign.daily_start_time must be" in said and "uploaded: 2 of 3; Row 4" in said, said
    flow.check(api, json.loads(said.splitlines()[-1]))
    campaign = flow.campaign_of(api, "Glamour ")
    assert (campaign["status"], campaign["completed_tasks"]) == ("completed", 2)


def test_the_whole_way_with_a_token(guarded):
    said = built.run("node", "dist/example.js", guarded.port, cwd=built.typescript(), timeout=300, DIALPLANE_TOKEN=guarded.token())
    flow.check(guarded.api(), json.loads(said.splitlines()[-1]))


def test_every_service_is_there(platform):
    """services.ts is made from the .proto files: all of them, all their methods."""
    text = (built.typescript() / "generated" / "services.ts").read_text()
    for file in (ROOT / "proto/dialplane/v1").glob("*.proto"):
        for service in re.findall(r"^service (\w+)", file.read_text(), re.M):
            assert f"definition: {service}Definition" in text
        for method in re.findall(r"^  rpc (\w+)", file.read_text(), re.M):
            assert f"{method[0].lower()}{method[1:]}: {{" in text
