"""What monitoring tools see of calls, campaigns and watchers: figures with few labels, and a dashboard that asks only for figures that exist."""

import json
import re
import subprocess
import urllib.request
from datetime import datetime, timezone
from pathlib import Path

import pytest

from agents import finished, new_id, report, started, turn
from conftest import PRESET, ROOT, free_ports, wait_until

DASHBOARD = ROOT / "docker" / "grafana" / "dashboards" / "live.json"


@pytest.fixture(scope="module")
def pages(platform):
    """Further instances of the services on the same database, whose metrics have a known port; pages() gives all that is shown."""
    addresses, running = {}, []
    for name, flags in (("analytics", []), ("campaign", ["--metrics-campaigns", "1"])):
        addresses[name] = f"127.0.0.1:{free_ports(1)}"
        running.append(subprocess.Popen(
            [str(ROOT / "build" / PRESET / "bin" / f"dialplane-{name}"), "--listen", f"unix:{platform.data}/run/metrics-{name}.sock", "--metrics-listen", addresses[name],
             "--database-url", f"host='{platform.data}/run' user=dialplane dbname=dialplane", "--log-level", "error", *flags], stdin=subprocess.DEVNULL))

        def answers():
            try:
                return urllib.request.urlopen(f"http://{addresses[name]}/metrics", timeout=10).status == 200
            except OSError:
                assert running[-1].poll() is None
                return False
        wait_until(answers, 60, f"metrics of {name}")

    def read(name):
        where = f"{platform.url}/metrics" if name == "gateway" else f"http://{addresses[name]}/metrics"
        return urllib.request.urlopen(where, timeout=10).read().decode()
    yield read
    for process in running:
        process.terminate()
    for process in running:
        assert process.wait(30) == 0


def samples(text, name):
    """labels → value."""
    return {m[1] or "": float(m[2]) for m in re.finditer(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.M)}


def test_calls(platform, api, pages):
    company, now = api.company(), datetime.now(timezone.utc)
    before = wait_until(lambda: samples(pages("analytics"), "dialplane_calls_active"), 60)[""]
    calls = [new_id() for _ in range(3)]
    for call in calls:
        report(api, call, [started(company, 0, now), turn(2, 0, 0, now)])
    # Each look has it read again for the next one; another test's calls may end meanwhile, ours are three.
    wait_until(lambda: samples(pages("analytics"), "dialplane_calls_active").get("", 0) >= min(before, 1) + 2, 90, "the calls under way")
    for call in calls:
        report(api, call, [finished(3, 0, now, outcome="success")])
    labels = samples(pages("analytics"), "dialplane_calls_ended_total")
    assert set(labels) == {f'outcome="{o}"' for o in ("success", "fail", "voicemail", "no_answer", "busy", "unknown", "other")}


def test_tasks_of_few_campaigns(api, pages):
    """One campaign is named here; whatever else there is counts as other."""
    company = api.company()
    skillbase = api.skillbase(company)
    campaigns = [api.campaign(company, skillbase) for _ in range(3)]
    for campaign in campaigns:
        api.upload(campaign, "phone_number\n+12015550101\n+12015550102\n")
        api.ok("POST", f"/api/campaigns/{campaign['id']}/start")

    def shown():
        tasks = samples(pages("campaign"), "dialplane_campaign_tasks")
        names = {re.search(r'campaign="([^"]*)"', label)[1] for label in tasks}
        others = sum(value for label, value in tasks.items() if 'campaign="other"' in label)
        return len(names) == 2 and others >= 4 and any(f'campaign="{campaigns[-1]["id"]}"' in label for label in tasks)
    wait_until(shown, 90, "the newest running campaign by its id, and the others as one")
    for campaign in campaigns:
        api.ok("POST", f"/api/campaigns/{campaign['id']}/cancel")


def test_the_dashboard_asks_for_what_exists(pages):
    wait_until(lambda: samples(pages("analytics"), "dialplane_calls_active") and "dialplane_campaign_tasks" in pages("campaign"), 60)
    families = set(re.findall(r"^# TYPE (\S+)", "".join(pages(name) for name in ("gateway", "analytics", "campaign")), re.M))
    dashboard = json.loads(Path(DASHBOARD).read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(expressions) >= 10 and len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for expression in expressions:
        names = re.findall(r"dialplane_\w+", expression)
        assert names and set(names) <= families, expression
