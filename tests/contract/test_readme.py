"""The README is true: its tours run as pasted, every file and function it names exists, every setting it lists is one."""

import os
import re
import subprocess
import uuid
from pathlib import Path

import pytest

from conftest import PRESET, ROOT

README = (ROOT / "README.md").read_text()


def tour(name):
    return re.search(rf"<!-- tour:{name} -->\n```\w+\n(.*?)```", README, re.S).group(1)


@pytest.fixture
def checkout(guarded, tmp_path):
    """Runs a script as somebody would in this checkout, with the platform of the tests for that of the data folder; it may leave files behind."""
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (tmp_path / "dev").write_text(f'#!/bin/sh\nexec "{ROOT}/dev" "$@"\n')
    (tmp_path / "dev").chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DIALPLANE_")}
    environment.update(DIALPLANE_DATA=guarded.data, DIALPLANE_PRESET=PRESET, XDG_CONFIG_HOME=str(tmp_path / "config"),
                       PATH=f"{ROOT}/build/{PRESET}/bin:{os.environ['PATH']}")

    def run(script, **more):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env={**environment, **more}, text=True, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
        return done
    return run


def test_tour_with_curl(guarded, checkout, tmp_path):
    script = tour("curl").replace("http://localhost:8000", guarded.url)
    assert guarded.url in script
    done = checkout(script)
    out = done.stdout
    assert 'unknown state \\"confirm\\"' in out and "must be between 0 and 2, got 3.5" in out
    assert re.search(r'"created":\d{3}', out), out
    assert '"status":"running"' in out
    assert '"lease_expires_at":"2' in out
    watched = (tmp_path / "watched.ndjson").read_text()
    assert [re.search('"type":"(.*?)"', line).group(1) for line in watched.splitlines()][0] == "init"
    assert '"content":"Hello!"' in watched
    assert '"outcome":"success"' in watched.splitlines()[-1]
    assert '"avg_eou_latency":512' in out
    assert re.search(r"^304$", out, re.M) and '"description":"Two salons"' in out and '"code":"FAILED_PRECONDITION","reason":"ETAG_MISMATCH"' in out
    assert '"total_calls":1' in out
    assert '"completed_tasks":1' in out
    assert '"status":401,"code":"UNAUTHENTICATED","reason":"TOKEN_MISSING"' in out and '"status":403' in out
    assert out.rstrip().endswith("}") and '"status":404' in out.splitlines()[-1].split("{")[-1]


def test_tour_with_python(guarded, checkout):
    company = guarded.api().company()
    script = tour("python").replace('"127.0.0.1:8001"', f'"{guarded.skillbase}"')
    assert guarded.skillbase in script
    out = checkout('/usr/bin/python3 -c "$SCRIPT"', SCRIPT=script, DIALPLANE_TOKEN=guarded.token()).stdout
    assert "dialplane.v1.CompanyService" in out and "dialplane.v1.SkillbaseService" in out
    # ten of them by name: whichever they are, they are companies
    assert len(re.findall(r"^[0-9a-f-]{36} ", out, re.M)) >= 1, company


def test_tour_with_the_command_line(guarded, checkout):
    unique = uuid.uuid4().hex[:12]
    script = tour("cli").replace("glamour", unique).replace("Glamour", unique).replace("Reminders", f"R{unique}")
    done = checkout(f"set +e\n{script}", DIALPLANE_SERVER=guarded.http)  # rows that were refused give the upload a status of its own
    assert done.stderr == "", done.stderr
    assert "skillbase_salon.json is valid" in done.stdout and re.search(r"^status +running$", done.stdout, re.M)
    assert re.search(r"^rows 400, created \d{3}", done.stdout, re.M) and re.search(r"^5 of \d{3}; the next: --page-token", done.stdout, re.M)


NAMED = re.findall(r"`([a-z0-9_/]+\.c): (\w+)`", README)


def test_readme_names_functions():
    assert len(NAMED) >= 12


@pytest.mark.parametrize("path,function", NAMED)
def test_named_function_exists(path, function):
    text = (ROOT / path).read_text()
    assert re.search(rf"^[a-z].*\b{function}\(", text, re.M), f"{path} has no {function}()"


def test_named_paths_exist():
    layout = re.search(r"## Layout.*?```\n(.*?)```", README, re.S).group(1)
    paths = [part for line in layout.splitlines() for part in re.split(r", (?=clients/)", line.split("  ")[0].strip())]
    for path in paths + re.findall(r"`((?:services|tests|proto|gateway|clients)/[\w/.]+)`", README):
        path = path.rstrip(",")
        for name in ("skillbase", "campaign", "analytics"):
            assert (ROOT / path.replace("<name>", name)).exists(), path


@pytest.mark.parametrize("page", [".github/SECURITY.md", "services/ARCHITECTURE.md", "gateway/API.md", "clients/AGENTS.md", "clients/python/README.md",
                                  "clients/typescript/README.md"])
def test_pages_name_what_exists(page):
    """Every path in backquotes, and every gRPC method, reason and setting that stands for one."""
    text = (ROOT / page).read_text()
    paths = re.findall(r"`((?:services|tests|proto|gateway|clients)/[\w/.-]+)`", text)
    for path in paths:
        assert (ROOT / path).exists(), f"{page} names {path}, which does not exist"
    assert len(paths) >= 40 or "ARCHITECTURE" not in page
    protos = "".join(file.read_text() for file in (ROOT / "proto").rglob("*.proto"))
    for method in re.findall(r"\*\*(\w+)\*\*", text):
        assert "AGENTS" not in page or re.search(rf"rpc {method}\(", protos), f"{page} names the method {method}, which does not exist"
    for reason in re.findall(r"`([A-Z]+_[A-Z_]+)`", text):
        assert reason in protos or reason in ("DEADLINE_EXCEEDED", "FAILED_PRECONDITION"), f"{page} names {reason}, which does not exist"


def test_settings_exist():
    helps = "".join(subprocess.run([str(ROOT / "build" / PRESET / "bin" / f"dialplane-{name}"), "--help"], text=True, capture_output=True,
                                   timeout=20).stdout for name in ("skillbase", "campaign", "analytics", "gateway"))
    table = README.split("## Configuration")[1].split("## Layout")[0]
    flags = re.findall(r"`--([a-z-]+)`", table)
    variables = re.findall(r"`(DIALPLANE_[A-Z_]+)`", table)
    assert len(flags) > 10 and len(variables) > 15
    for flag in flags:
        assert re.search(rf"--(\[no-\])?{flag}\b", helps), flag
    for variable in variables:
        assert variable in helps, variable
