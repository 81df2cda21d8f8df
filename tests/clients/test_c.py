"""The C client against a running platform: its example, and the agent that is built on it."""

import json
import os
import subprocess

import pytest

from conftest import PRESET, ROOT, SKILLBASE_CONFIG

BIN = ROOT / "build" / PRESET / "bin"


def test_the_agent_goes_the_whole_way(platform, api):
    """A campaign by REST, its calls by dialplane-agent over clients/c, one watched, the figures."""
    company = api.company()
    campaign = api.campaign(company, api.skillbase(company, config=SKILLBASE_CONFIG), max_retries=0)
    api.upload(campaign, "phone_number,name\n+12015550123,Anna\n")
    api.ok("POST", f"/api/campaigns/{campaign['id']}/start")
    agent = [BIN / "dialplane-agent", "--dispatch", platform.campaign, "--analytics", platform.analytics, "--skillbase", platform.skillbase,
             "--campaign", campaign["id"], "--speed", "1000", "--seed", "7", "--limit", "1", "--idle-exit", "20s"]
    subprocess.run([str(word) for word in agent], check=True, timeout=300, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    [call] = api.ok("GET", "/api/analytics/calls", params={"campaign_id": campaign["id"]})["items"]
    watched = api.client.get(f"/api/analytics/calls/{call['id']}/events", headers={"accept": "application/x-ndjson"}, timeout=60)
    kinds = [json.loads(line)["type"] for line in watched.text.splitlines()]
    assert kinds[0] == "init" and kinds[-1] == "status"
    assert api.ok("GET", "/api/analytics/metrics", params={"campaign_id": campaign["id"]})["total_calls"] == 1


def test_the_example_goes_the_whole_way(platform):
    """clients/c/example.c: company, skillbase, campaign, upload, start, claim, begin, report, finish, watch, figures."""
    if "CAMPAIGN-ADDRESS" not in (ROOT / "clients/c/example.c").read_text():
        pytest.skip("this example does not go the whole way yet")
    done = subprocess.run([BIN / "dialplane-example", platform.skillbase, platform.campaign, platform.analytics], text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "done", done.stdout


def test_the_example_shows_its_token(guarded):
    done = subprocess.run([BIN / "dialplane-example", guarded.skillbase, guarded.campaign, guarded.analytics], text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False, env={**os.environ, "DIALPLANE_TOKEN": guarded.token()})
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "done", done.stdout
