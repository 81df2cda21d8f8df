"""The C client against a running platform: the agent that is built on it."""

import json
import subprocess

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
    subprocess.run([str(word) for word in agent], check=True, timeout=150, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    [call] = api.ok("GET", "/api/analytics/calls", params={"campaign_id": campaign["id"]})["items"]
    watched = api.client.get(f"/api/analytics/calls/{call['id']}/events", headers={"accept": "application/x-ndjson"}, timeout=60)
    kinds = [json.loads(line)["type"] for line in watched.text.splitlines()]
    assert kinds[0] == "init" and kinds[-1] == "status"
    assert api.ok("GET", "/api/analytics/metrics", params={"campaign_id": campaign["id"]})["total_calls"] == 1
