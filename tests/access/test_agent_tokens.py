"""An agent's token ends in the middle of a call: it reads the next one from its file and goes on. The call is never lost, and never made twice."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from conftest import PRESET, ROOT, wait_until  # noqa: E402

pytest_plugins = ["secured"]
AGENT = ROOT / "build" / PRESET / "bin" / "dialplane-agent"


def write(path, token):
    """At once or not at all, as dialplane-token --out does."""
    beside = Path(f"{path}.new")
    beside.write_text(token + "\n")
    os.replace(beside, path)


def test_a_call_survives_the_end_of_its_token(closed, issuer, root, tmp_path):
    company = root.company()
    campaign = root.campaign(company, root.skillbase(company))
    root.upload(campaign, "phone_number,name\n+12015550123,Anna\n")
    root.ok("POST", f"/api/campaigns/{campaign['id']}/start")
    file = tmp_path / "token"
    write(file, issuer.token("agent", company["id"], key="rsa"))
    log = tmp_path / "log"
    with open(log, "wb") as errors:
        agent = subprocess.Popen(
            [str(AGENT), "--token-file", str(file), "--dispatch", closed.campaign, "--analytics", closed.analytics, "--skillbase", closed.skillbase,
             "--calls", "1", "--speed", "4", "--seed", "7", "--limit", "1", "--heartbeat", "500ms"], stdin=subprocess.DEVNULL, stderr=errors)
    try:
        def active():
            assert agent.poll() is None, log.read_text()
            return root.ok("GET", "/api/analytics/calls", params={"campaign_id": campaign["id"]})["items"]
        wait_until(active, 120, "the call")
        # what signed the token is taken out of the key set: from now on no service accepts it
        closed.keys.write_text(issuer.key_set("ec", "ed"))
        wait_until(lambda: '"token_refused"' in log.read_text() or agent.poll() is not None, 120, "the refusal")
        write(file, issuer.token("agent", company["id"], key="ed"))
        assert agent.wait(240) == 0, log.read_text()
    finally:
        closed.keys.write_text(issuer.key_set())
        if agent.poll() is None:
            agent.kill()
        agent.wait(30)
    [task] = root.ok("GET", f"/api/campaigns/{campaign['id']}/tasks")["items"]
    assert (task["status"], task["attempt_count"]) == ("completed", 1), (task, log.read_text())
    [call] = root.ok("GET", "/api/analytics/calls", params={"campaign_id": campaign["id"]})["items"]
    assert call["status"] == "completed"
    whole = root.ok("GET", f"/api/analytics/calls/{call['id']}")
    assert len(whole["turns"]) == call["turn_count"] > 2  # every event came, once
    stopped = next(line for line in map(json.loads, log.read_text().splitlines()) if line["event"] == "agent_stopped")
    assert (stopped["calls"], stopped["lost"]) == (1, 0)
    assert not any(part in log.read_text() for part in file.read_text().strip().split("."))


def test_an_agent_without_a_good_token_says_so(closed, issuer, root, tmp_path):
    (tmp_path / "empty").write_text("\n")
    for name in ("missing", "empty"):
        done = subprocess.run([str(AGENT), "--dispatch", closed.campaign, "--token-file", str(tmp_path / name)], capture_output=True, text=True, timeout=120,
                              stdin=subprocess.DEVNULL)
        assert done.returncode == 1 and "--token-file cannot be read, or holds no token" in done.stderr
    # of the wrong role: refused, with the reason, each time it asks
    log = tmp_path / "log"
    with open(log, "wb") as errors:
        agent = subprocess.Popen([str(AGENT), "--dispatch", closed.campaign], stdin=subprocess.DEVNULL, stderr=errors,
                                 env={**os.environ, "DIALPLANE_TOKEN": issuer.token("viewer", root.company()["id"])})
    try:
        wait_until(lambda: "PERMISSION_DENIED" in log.read_text(), 60, "the refusal")
        assert "this is for platform, agent; your token says viewer" in log.read_text()
    finally:
        agent.terminate()
        assert agent.wait(60) == 0
