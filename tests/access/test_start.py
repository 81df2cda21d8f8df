"""Closed by default: a process that is not told who may call does not start, and one that asks nobody listens where nobody else can reach it."""

import os
import socket
import subprocess

import httpx
import jwt
import pytest

from conftest import PRESET, ROOT, Platform, wait_until

BIN = ROOT / "build" / PRESET / "bin"
SERVICES = ["skillbase", "campaign", "analytics"]


def start(process, *flags, descriptor=None, **environment):
    """(exit status, what it said) of a start that must fail."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DIALPLANE_")}
    command = [str(BIN / f"dialplane-{process}"), *flags]
    if descriptor is not None:
        command = ["bash", "-c", f'exec 3<&{descriptor}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "bash", *command]
    done = subprocess.run(command, env={**clean, **environment}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                          pass_fds=[] if descriptor is None else [descriptor])
    assert done.returncode != 0 and "Sanitizer" not in done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize("process", ["gateway", *SERVICES])
def test_without_a_word_nothing_starts(process):
    database = [] if process == "gateway" else ["--database-url", "host=/nowhere dbname=none"]
    for environment in ({}, {"DIALPLANE_AUTH": ""}):
        status, said = start(process, *database, **environment)
        assert status == 2 and said.count("\n") == 1, said
        for word in ("say who may call", "--auth token", "--auth off", "--auth-keys", "dialplane-token --make-key"):
            assert word in said
    status, said = start(process, *database, "--auth", "maybe")
    assert status == 2 and '--auth is "token" or "off"' in said


def test_a_token_with_grants(tmp_path):
    make = [str(BIN / "dialplane-token"), "--key", str(tmp_path / "key.pem"), "--keys", str(tmp_path / "keys.json")]
    viewer = [*make, "--role", "viewer", "--company", "01890000-0000-7000-8000-000000000000"]
    run = lambda command: subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run([*make, "--make-key"]).returncode == 0
    claims = lambda token: jwt.decode(token.strip(), options={"verify_signature": False})
    assert claims(run([*viewer, "--grants", "phones"]).stdout)["grants"] == ["phones"]
    assert "grants" not in claims(run(viewer).stdout)
    wrong = run([*viewer, "--grants", "phones,everything"])
    assert wrong.returncode == 1 and wrong.stderr == 'dialplane-token: there is no grant "everything": there is only phones\n' and not wrong.stdout


def test_a_service_needs_keys_for_tokens(tmp_path):
    url = ("--database-url", "host=/nowhere dbname=none")
    assert "needs --auth-keys" in start("skillbase", *url, "--auth", "token")[1]
    assert "nobody would be asked" in start("skillbase", *url, "--auth", "off", "--auth-keys", str(tmp_path / "keys"))[1]


NOT_LOCAL = ["0.0.0.0:0", "[::]:0", "127.0.0.1.example.com:0", "localhost.example.com:0", "[::ffff:0.0.0.0]:0"]


@pytest.mark.parametrize("address", NOT_LOCAL)
def test_a_gateway_that_asks_nobody_stays_at_home(address):
    for flags in ((), ("--allow-insecure",)):
        status, said = start("gateway", "--auth", "off", "--listen", address, *flags)
        assert status == 1 and f"will not listen on {address} with --auth off" in said and "everybody who reaches it would be the administrator" in said
    status, said = start("gateway", "--auth", "token", "--listen", address)
    assert status == 1 and "in plain text" in said and "--allow-insecure" in said


def test_a_gateway_that_asks_nobody_takes_no_socket_of_others():
    """Not even one that systemd has opened."""
    with socket.socket() as open_to_all:
        open_to_all.bind(("0.0.0.0", 0))
        open_to_all.listen()
        status, said = start("gateway", "--auth", "off", "--allow-insecure", descriptor=open_to_all.fileno())
    assert status == 1 and "with --auth off" in said


def test_a_service_that_asks_nobody_stays_at_home(platform):
    url = f"host='{platform.data}/run' user=dialplane dbname=dialplane"
    for address in (*NOT_LOCAL, "127.0.0.1:0,0.0.0.0:0"):
        status, said = start("skillbase", "--database-url", url, "--metrics-listen", "off", "--auth", "off", "--allow-insecure", "--listen", address)
        assert status == 1 and "with --auth off: everybody who reaches it would be the administrator" in said, said


def test_it_says_so(platform):
    """In the log of each process, and where a load balancer looks."""
    for process in ("gateway", *SERVICES):
        assert '"event":"authentication_off"' in platform.log(f"dialplane-{process}")
    assert httpx.get(f"{platform.url}/readyz").json()["authentication"] == "off"


def test_a_closed_gateway_in_front_of_open_services(platform, spare_gateway):
    """One forgotten setting opens nothing: the services refuse what comes through a gateway that should have closed ones behind it."""
    url = spare_gateway("--auth", "token", ready=False)
    assert httpx.get(f"{url}/api/companies").status_code == 401
    answer = httpx.get(f"{url}/api/companies", headers={"Authorization": "Bearer whatever"})
    assert answer.status_code == 503 and answer.json()["reason"] == "AUTHENTICATION_OFF"
    ready = httpx.get(f"{url}/readyz")
    assert ready.status_code == 503 and ready.json()["authentication"] == "token"
    assert all("--auth off" in why for why in ready.json()["backends"].values())


def test_up_asks_for_tokens_by_default(guarded):
    """The platform that ./dev up starts without a word about it."""
    assert httpx.get(f"{guarded.url}/readyz").json() == {"status": "ready", "authentication": "token", "backends": dict.fromkeys(SERVICES, "serving")}
    assert httpx.get(f"{guarded.url}/api/companies").status_code == 401
    company = guarded.api().company()
    token = guarded.dev("token", "--data", guarded.data, "--role", "viewer", "--company", company["id"]).stdout.strip()
    bearer = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{guarded.url}/api/companies/{company['id']}", headers=bearer).status_code == 200
    assert httpx.delete(f"{guarded.url}/api/companies/{company['id']}", headers=bearer).status_code == 403
    for file in ("token-key.pem",):
        assert os.stat(f"{guarded.data}/keys/{file}").st_mode & 0o077 == 0
    wrong = guarded.dev("token", "--data", guarded.data, "--role", "god", check=False)
    assert wrong.returncode == 1 and 'there is no role "god"' in wrong.stdout


def test_the_demo_shows_tokens():
    """./dev up --demo: agents with a token of their own call for the demo's company."""
    platform = Platform({"DIALPLANE_AUTH": "", "DIALPLANE_AGENT_SPEED": "100"})
    try:
        platform.start("--demo")
        assert os.stat(f"{platform.data}/keys/demo-agent.token").st_mode & 0o077 == 0
        api = platform.api()
        ended = wait_until(lambda: api.ok("GET", "/api/analytics/calls", params={"status": "completed"})["items"], 120, "a call of the demo")
        assert ended and "UNAUTHENTICATED" not in platform.log("dialplane-agent")
        # a second time: the same campaign, and nothing is made again
        again = platform.dev("up", "--detach", "--demo", "--data", platform.data, "--http", platform.http)
        assert "Already running" in again.stdout and api.ok("GET", "/api/companies")["total"] == 1
        for log in ("gateway", "skillbase", "campaign", "analytics", "agent"):
            assert "eyJ" not in platform.log(f"dialplane-{log}"), log
    finally:
        platform.stop()
