"""docker/: what is written there fits the programs: settings exist, files and images are where they are looked for, queries name metrics that are
shown, units are hardened."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import PRESET, ROOT
from test_metrics import OF, page

sys.path.insert(0, str(ROOT / "tests" / "docker"))

import settings as documented  # noqa: E402
from images import instructions  # noqa: E402

DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
UNITS = sorted((DOCKER / "systemd").glob("*.service"))
OURS = ["skillbase", "campaign", "analytics", "gateway"]
DASHBOARDS = sorted((DOCKER / "grafana" / "dashboards").glob("*.json"))


def variables(process):
    return {variable for _, variable, _ in documented.settings(process, PRESET).values()}


def test_every_setting_is_documented_once():
    text = (DOCKER / "OPERATIONS.md").read_text()
    shown = text.split(documented.BEGIN)[1].split(documented.END)[0]
    assert shown == documented.table(PRESET), "run tests/docker/settings.py --write"
    for process in OURS:
        for flag, (_, variable, _) in documented.settings(process, PRESET).items():
            assert shown.count(f"| `--{flag}` |") == 1 and f"`{variable}`" in shown


def test_the_operations_page_names_what_exists(platform):
    text = (DOCKER / "OPERATIONS.md").read_text()
    for path in re.findall(r"`((?:docker|tests|services)/[\w/.@-]+)`", text):
        assert (ROOT / path).exists(), path
    flags = {flag for process in [*OURS, "token", "agent"] for flag in documented.settings(process, PRESET)}
    for flag in re.findall(r"`--(?:no-)?([a-z-]+)[ `]", text):
        assert flag in flags | {"prefix", "component", "help"}, flag
    shown = "".join(page(platform, process) for process in OF)
    for metric in re.findall(r"`(dialplane_\w+)`", text):
        assert f"# TYPE {metric} " in shown, metric


# --- Images and compose ---

def test_compose_is_about_our_images():
    targets = {rest.split(" AS ")[1] for word, rest in instructions((DOCKER / "Dockerfile").read_text()) if word == "FROM"}
    services = COMPOSE["services"]
    assert set(OURS) | {"keys", "token", "postgres", "redis", "prometheus", "grafana"} == set(services)
    for name in OURS:
        service = services[name]
        assert service["build"] == {"context": "..", "dockerfile": "docker/Dockerfile", "target": name} and name in targets
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]
        # the three services share their environment; only those with a bus read where Redis is
        unknown = {v for v in service["environment"] if v.startswith("DIALPLANE_")} - variables(name) - {"DIALPLANE_REDIS_URL"}
        assert not unknown, f"{name} knows no {unknown}"
        assert all(isinstance(value, str) for value in service["environment"].values())
    for name, service in services.items():
        for other in service.get("depends_on", []):
            assert other in services
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name}: what passes is not encrypted"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DOCKER / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], volume


def test_callers_show_tokens():
    """Every process asks for one; what verifies them is made before the services start, and what signs them is in no container that serves."""
    services = COMPOSE["services"]
    for name in OURS:
        assert services[name]["environment"]["DIALPLANE_AUTH"] == "token"
    for name in OURS[:3]:
        assert services[name]["environment"]["DIALPLANE_AUTH_KEYS"] == services["keys"]["environment"]["DIALPLANE_TOKEN_KEYS"] == "/keys/token-keys.json"
        assert services[name]["volumes"] == ["keys:/keys:ro"] and services[name]["depends_on"]["keys"] == {"condition": "service_completed_successfully"}
    assert services["keys"]["command"] == ["--make-key"] and services["token"]["profiles"] == ["token"]
    assert {name for name, service in services.items() if any(v.startswith("signing:") for v in service.get("volumes", []))} == {"keys", "token"}
    program = ROOT / "build" / PRESET / "bin" / "dialplane-token"
    helped = subprocess.run([str(program), "--help"], capture_output=True, text=True, check=True, timeout=60).stdout
    for variable in services["keys"]["environment"]:
        assert variable in helped
    assert "DIALPLANE_AUTH=token" in (DOCKER / "systemd" / "dialplane.env").read_text().split()


def test_addresses_meet():
    """Where the gateway and Prometheus look is where the services listen."""
    services = COMPOSE["services"]
    for name in OURS[:3]:
        listen = services[name]["environment"][f"DIALPLANE_{name.upper()}_LISTEN"].rsplit(":", 1)[1]
        assert services["gateway"]["environment"][f"DIALPLANE_{name.upper()}"] == f"{name}:{listen}"
    jobs = yaml.safe_load((DOCKER / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    assert [job["job_name"] for job in jobs] == ["dialplane-gateway", *(f"dialplane-{name}" for name in OURS[:3])]
    for job in jobs:
        name, (found,) = job["job_name"].removeprefix("dialplane-"), job["dns_sd_configs"]
        variable = "DIALPLANE_GATEWAY_LISTEN" if name == "gateway" else f"DIALPLANE_{name.upper()}_METRICS_LISTEN"
        assert found["names"] == [name] and services[name]["environment"][variable].endswith(f":{found['port']}")


def test_the_dockerfile_takes_what_is_there():
    stages, copied = {}, []
    for word, rest in instructions((DOCKER / "Dockerfile").read_text()):
        if word == "FROM":
            source, stage = rest.split(" AS ")
            assert source in stages or source == "debian:12-slim"
            stages[stage] = dict(stages.get(source, {}))
        elif word == "COPY":
            copied.append(rest)
            if not rest.startswith("--from"):
                assert (ROOT / rest.split()[0]).exists(), rest
        else:
            stages[stage][word] = rest
    for name in [*OURS, "token"]:
        assert stages[name]["USER"] == "65532:65532" and json.loads(stages[name]["ENTRYPOINT"]) == [f"/usr/bin/dialplane-{name}"]
        assert f"--from=build /out/usr/bin/dialplane-{name} /usr/bin/" in copied
    done = subprocess.run([str(ROOT / "dev"), "packages", "build"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "libgrpc-dev" in done.stdout.split()


def test_install_layout(tmp_path):
    """Where the units look for the programs is where cmake --install puts them."""
    done = subprocess.run(["cmake", "--install", str(ROOT / "build" / PRESET), "--prefix", str(tmp_path / "usr"), "--component", "runtime"],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    subprocess.run(["cmake", "--install", str(ROOT / "build" / PRESET), "--prefix", str(tmp_path / "usr"), "--component", "systemd"], check=True,
                   capture_output=True, timeout=120)
    files = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert {f"usr/bin/dialplane-{name}" for name in [*OURS, "token"]} <= files
    assert {f"usr/lib/systemd/system/{unit.name}" for unit in UNITS} | {"usr/lib/systemd/system/dialplane-gateway.socket"} <= files
    assert "usr/share/dialplane/dialplane.env" in files
    for unit in UNITS:
        program = re.search(r"^ExecStart=/(\S+)", unit.read_text(), re.M).group(1)
        assert program in files


# --- systemd ---

@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units(unit, tmp_path):
    text = unit.read_text()
    name = re.match(r"dialplane-(\w+)", unit.name).group(1)
    # an instance of it, with a program that is there
    instance = tmp_path / unit.name.replace("@.", "@0.")
    instance.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.M))
    socket = DOCKER / "systemd" / "dialplane-gateway.socket"
    (tmp_path / socket.name).write_text(socket.read_text())
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(instance)], capture_output=True, text=True, timeout=60)
    complaints = [line for line in done.stderr.splitlines() if str(instance.name) in line and "dialplane" in line]
    assert not complaints, complaints
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", str(instance)], capture_output=True, text=True, timeout=60)
    exposure = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout).group(1))
    assert exposure <= 2.0, done.stdout
    for must in ("DynamicUser=yes", "ProtectSystem=strict", "NoNewPrivileges=yes", "EnvironmentFile=/etc/dialplane/dialplane.env", "Type=notify"):
        assert f"\n{must}\n" in text
    given = set(re.findall(r"(DIALPLANE_\w+)=", text))
    assert given and not given - variables(name), f"{name} knows no {given - variables(name)}"


def test_units_listen_where_the_gateway_looks():
    gateway = (DOCKER / "systemd" / "dialplane-gateway.service").read_text()
    for name in OURS[:3]:
        listen = re.search(rf"DIALPLANE_{name.upper()}_LISTEN=(\S+)", (DOCKER / "systemd" / f"dialplane-{name}@.service").read_text()).group(1)
        assert f"DIALPLANE_{name.upper()}={listen.replace('%i', '0')},{listen.replace('%i', '1')}" in gateway


def test_the_settings_file_names_settings():
    given = set(re.findall(r"^#?(DIALPLANE_\w+)=", (DOCKER / "systemd" / "dialplane.env").read_text(), re.M))
    assert given and not given - set.union(*(variables(name) for name in OURS))


# --- Prometheus and Grafana ---

def check_rules(path):
    done = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def names(expression):
    """The metrics that a query asks for, without what histograms and summaries add to theirs."""
    bare = re.sub(r'"[^"]*"', "", expression)
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\b((?:dialplane|process)_\w+)", bare)}


@pytest.fixture(scope="module")
def shown(platform):
    return {name for process in OF for name in re.findall(r"^# TYPE (\w+) ", page(platform, process), re.M)}


def test_prometheus_takes_its_configuration(shown):
    done = subprocess.run(["promtool", "check", "config", "prometheus.yml"], cwd=DOCKER / "prometheus", capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    check_rules(DOCKER / "prometheus" / "rules.yml")
    asked = set.union(*(names(rule["expr"]) for group in yaml.safe_load((DOCKER / "prometheus" / "rules.yml").read_text())["groups"] for rule in group["rules"]))
    assert asked and not asked - shown, asked - shown


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_dashboards_ask_for_what_is_shown(path, shown, tmp_path):
    dashboard = json.loads(path.read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert dashboard["title"] and dashboard["uid"] and queries
    for query in queries:
        assert names(query) - {"up"} or "up{" in query, query
        assert not names(query) - shown, f"{names(query) - shown} of {query}"
    # and are PromQL
    rules = [{"record": f"query_{i}", "expr": re.sub(r"\$__\w+|\$\w+", "5m", query)} for i, query in enumerate(queries)]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    check_rules(tmp_path / "queries.yml")


def test_grafana_is_provisioned():
    mounts = dict(volume.split(":")[:2] for volume in COMPOSE["services"]["grafana"]["volumes"])
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
    (source,) = yaml.safe_load((DOCKER / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090" and "prometheus" in COMPOSE["services"]
    (provider,) = yaml.safe_load((DOCKER / "grafana/provisioning/dashboards/dialplane.yaml").read_text())["providers"]
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            assert panel.get("datasource", {}).get("uid", source["uid"]) == source["uid"], f"{path.name}: {panel.get('title')}"
