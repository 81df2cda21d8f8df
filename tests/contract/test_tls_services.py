"""TLS between processes, as ./dev up --tls sets it up: the gateway, agents and the command line show certificates, and services look at their names."""

import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import threading
from pathlib import Path

import grpc
import httpx
import pytest

from certificates import Authority, write
from conftest import PRESET, ROOT, Platform, free_ports, wait_until

BIN = ROOT / "build" / PRESET / "bin"
LIST = "/dialplane.v1.CompanyService/ListCompanies"


@pytest.fixture(scope="module")
def secured():
    platform = Platform()
    try:
        platform.said = platform.dev("up", "--detach", "--tls", "--data", platform.data, "--http", platform.http).stdout
        platform.url = f"https://{platform.http}"
        platform.keys = Path(platform.data, "keys", "tls")
        platform.ca = str(platform.keys / "ca.pem")
        yield platform
    finally:
        platform.stop()


@pytest.fixture
def client(secured):
    with httpx.Client(base_url=secured.url, verify=ssl.create_default_context(cafile=secured.ca), timeout=60) as client:
        yield client


def credentials(ca, certificate=None, key=None):
    return grpc.ssl_channel_credentials(Path(ca).read_bytes(), Path(key).read_bytes() if key else None, Path(certificate).read_bytes() if certificate else None)


def companies(address, given, name="services.internal"):
    """The status of one call by python-grpcio, and its reason."""
    options = [("grpc.ssl_target_name_override", name), ("grpc.enable_retries", 0)]
    channel = grpc.secure_channel(address, given, options) if given else grpc.insecure_channel(address, options[1:])
    with channel:
        call = channel.unary_unary(LIST, request_serializer=lambda m: m, response_deserializer=lambda m: m)
        try:
            call(b"", timeout=30)
            return "OK", ""
        except grpc.RpcError as error:
            return error.code().name, error.details()


def own(secured, who):
    return credentials(secured.ca, secured.keys / f"{who}.pem", secured.keys / f"{who}.key")


def test_dev_up_says_how_to_reach_it(secured, client):
    assert f"https://{secured.http}" in secured.said and "ca.pem" in secured.said
    assert client.get("/readyz").status_code == 200
    assert client.get("/api/companies").status_code == 200
    keys = list(secured.keys.glob("*.key"))
    assert len(keys) >= 5 and all(stat.S_IMODE(key.stat().st_mode) == 0o600 for key in keys)
    assert stat.S_IMODE(secured.keys.stat().st_mode) == 0o700
    assert f"https://{secured.http}" in secured.dev("status", "--data", secured.data).stdout


def test_whose_certificate_services_accept(secured, tmp_path):
    for address in (secured.skillbase,):
        for who in ("gateway", "agents", "operators"):
            assert companies(address, own(secured, who))[0] == "OK", who
        # of the same CA, but nobody who may call
        status, why = companies(address, own(secured, "services"))
        assert status == "PERMISSION_DENIED" and "--tls-peers" in why
        stranger = Authority(tmp_path / "stranger")
        for file, arguments in (("foreign", {}), ("self", {"self_signed": True})):
            certificate, key = stranger.pair(file, ["gateway.internal"], **arguments)
            assert companies(address, credentials(secured.ca, certificate, key))[0] == "UNAVAILABLE", file
        assert companies(address, credentials(secured.ca))[0] == "UNAVAILABLE"  # none
        assert companies(address, None)[0] == "UNAVAILABLE"  # no TLS
        # and whom callers accept
        assert companies(address, own(secured, "gateway"), "elsewhere.internal")[0] == "UNAVAILABLE"
        assert companies(address, credentials(stranger.path, secured.keys / "gateway.pem", secured.keys / "gateway.key"))[0] == "UNAVAILABLE"


def test_an_expired_certificate_is_refused(secured):
    """Signed by the very CA, for the right name, but yesterday's."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    theirs = Authority.__new__(Authority)
    theirs.folder = Path(secured.data)
    theirs.certificate = x509.load_pem_x509_certificate((secured.keys / "ca.pem").read_bytes())
    theirs.key = serialization.load_pem_private_key((secured.keys / "ca.key").read_bytes(), None)
    theirs.name = theirs.certificate.subject
    certificate, key = theirs.pair("good", ["gateway.internal"])
    assert companies(secured.skillbase, credentials(secured.ca, certificate, key))[0] == "OK"
    certificate, key = theirs.pair("expired", ["gateway.internal"], days=-1)
    assert companies(secured.skillbase, credentials(secured.ca, certificate, key))[0] == "UNAVAILABLE"


def spare(secured, *flags):
    """A further gateway before the same services; gives its process and what /readyz says."""
    address = f"127.0.0.1:{free_ports(1)}"
    settings = {"--services-tls-ca": secured.ca, "--services-tls-certificate": str(secured.keys / "gateway.pem"), "--services-tls-key": str(secured.keys / "gateway.key"),
                "--services-tls-name": "services.internal"}
    settings.update(zip(flags[::2], flags[1::2]))
    command = [str(BIN / "dialplane-gateway"), "--listen", address, "--threads", "1", "--log-level", "debug"]
    for name in ("skillbase", "campaign", "analytics"):
        command += [f"--{name}", getattr(secured, name)]
    command += [word for pair in settings.items() if pair[1] for word in pair]
    log = Path(secured.data, "logs", f"spare-{address}.log")
    with open(log, "wb") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=file)
    try:
        wait_until(lambda: process.poll() is not None or '"event":"started"' in log.read_text(), 30, "the gateway")
        status = httpx.get(f"http://{address}/readyz", timeout=60).status_code
        answer = httpx.get(f"http://{address}/api/companies", timeout=60)
    finally:
        process.terminate()
        assert process.wait(60) == 0
    return status, answer, log.read_text()


def test_whose_certificate_the_gateway_accepts(secured, tmp_path):
    status, answer, _ = spare(secured)
    assert status == 200 and answer.status_code == 200
    for flags, why in ((("--services-tls-name", "elsewhere.internal"), "mismatch"), (("--services-tls-name", ""), "mismatch"),
                       (("--services-tls-ca", Authority(tmp_path).path), "certificate")):
        status, answer, log = spare(secured, *flags)
        assert status == 503 and answer.status_code == 503 and why in log, (flags, log[-2000:])
    # not one of those who may call
    status, answer, _ = spare(secured, "--services-tls-certificate", str(secured.keys / "services.pem"), "--services-tls-key", str(secured.keys / "services.key"))
    assert answer.status_code == 403 and "--tls-peers" in answer.json()["detail"]
    # without TLS
    status, answer, _ = spare(secured, "--services-tls-ca", "", "--services-tls-certificate", "", "--services-tls-key", "", "--services-tls-name", "")
    assert status == 503 and answer.status_code == 503


def shown(secured, address):
    context = ssl.create_default_context(cafile=secured.ca)
    context.load_cert_chain(secured.keys / "operators.pem", secured.keys / "operators.key")
    context.set_alpn_protocols(["h2"])
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=60) as plain, context.wrap_socket(plain, server_hostname="services.internal") as connection:
        assert connection.version() == "TLSv1.3" and connection.selected_alpn_protocol() == "h2"
        return connection.getpeercert()["serialNumber"]


def test_services_read_their_certificate_again(secured, client):
    """Calls go on meanwhile, over new connections as well."""
    keys = secured.keys
    before = shown(secured, secured.skillbase), shown(secured, secured.campaign)
    good = (keys / "services.pem").read_bytes(), (keys / "services.key").read_bytes()
    stop, failures, calls = threading.Event(), [], [0]

    def load():
        while not stop.is_set():
            status = companies(secured.skillbase, own(secured, "agents"))
            answer = client.get("/api/companies").status_code
            if status[0] != "OK" or answer != 200:
                failures.append((status, answer))
            calls[0] += 1
    worker = threading.Thread(target=load)
    worker.start()
    try:
        write(keys / "services.pem", b"not a certificate\n")
        wait_until(lambda: "tls_reload_refused" in secured.log("dialplane-skillbase"), 60, "the refusal")
        assert shown(secured, secured.skillbase) == before[0]
        subprocess.run(["openssl", "req", "-x509", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{keys}/next.key", "-out", f"{keys}/next.pem",
                        "-CA", secured.ca, "-CAkey", f"{keys}/ca.key", "-days", "30", "-subj", "/CN=next", "-addext", "subjectAltName=DNS:services.internal"],
                       check=True, timeout=60, capture_output=True)
        os.replace(keys / "next.key", keys / "services.key")
        os.replace(keys / "next.pem", keys / "services.pem")
        os.kill(secured.pid("dialplane-skillbase"), signal.SIGHUP)
        wait_until(lambda: shown(secured, secured.skillbase) != before[0] and shown(secured, secured.campaign) != before[1], 60, "the new certificate")
        reached = calls[0]
        wait_until(lambda: calls[0] > reached + 2, 60, "calls after the change")
    finally:
        stop.set()
        worker.join(120)
        write(keys / "services.key", good[1])
        write(keys / "services.pem", good[0])
    assert not failures, failures[:3]


def test_the_command_line_and_agents_speak_tls(secured):
    keys = secured.keys
    settings = {"DIALPLANE_SERVICES_TLS_CA": secured.ca, "DIALPLANE_SERVICES_TLS_NAME": "services.internal",
                "DIALPLANE_SERVICES_TLS_CERTIFICATE": str(keys / "operators.pem"), "DIALPLANE_SERVICES_TLS_KEY": str(keys / "operators.key")}

    def dialplane(*arguments, **changed):
        given = {name: value for name, value in {**settings, **changed}.items() if value}
        environment = {name: value for name, value in os.environ.items() if name not in settings}
        return subprocess.run([str(BIN / "dialplane"), "--server", secured.http, *arguments], env={**environment, **given, "DIALPLANE_CONFIG": "/dev/null"}, text=True,
                              capture_output=True, timeout=90, check=False)
    good = dialplane("company", "list")
    assert good.returncode == 0, good.stderr
    assert dialplane("company", "list", "--tls-name", "services.internal", DIALPLANE_SERVICES_TLS_NAME=None).returncode == 0
    assert dialplane("company", "list", DIALPLANE_SERVICES_TLS_NAME=None).returncode == 6  # unavailable: 127.0.0.1 is not its name
    assert dialplane("company", "list", DIALPLANE_SERVICES_TLS_CERTIFICATE=None, DIALPLANE_SERVICES_TLS_KEY=None).returncode == 6
    denied = dialplane("company", "list", DIALPLANE_SERVICES_TLS_CERTIFICATE=str(keys / "http.pem"), DIALPLANE_SERVICES_TLS_KEY=str(keys / "http.key"))
    assert denied.returncode == 7 and "--tls-peers" in denied.stderr
    for changed, said in (({"DIALPLANE_SERVICES_TLS_CA": "/nowhere.pem"}, "/nowhere.pem"), ({"DIALPLANE_SERVICES_TLS_KEY": None}, "together"),
                          ({"DIALPLANE_SERVICES_TLS_CA": None}, "CA")):
        wrong = dialplane("company", "list", **changed)
        assert wrong.returncode == 2 and said in wrong.stderr, wrong.stderr

    agent = [str(BIN / "dialplane-agent"), "--dispatch", secured.campaign, "--skillbase", secured.skillbase, "--analytics", secured.analytics, "--idle-exit", "1s", "--calls", "1"]
    done = subprocess.run([*agent, "--services-tls-ca", secured.ca, "--services-tls-certificate", str(keys / "agents.pem"), "--services-tls-key", str(keys / "agents.key"),
                           "--services-tls-name", "services.internal"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and "agent_stopped" in done.stderr, done.stderr
    bad = subprocess.run([*agent, "--services-tls-ca", "/nowhere.pem"], capture_output=True, text=True, timeout=60, check=False)
    assert bad.returncode == 1 and "/nowhere.pem" in bad.stderr


def test_where_tls_settings_do_not_fit_together(secured):
    program, keys = str(BIN / "dialplane-skillbase"), secured.keys
    pair = ["--tls-certificate", str(keys / "services.pem"), "--tls-key", str(keys / "services.key")]
    for flags, said in ((pair[:2], "--tls-key"), (pair[2:], "--tls-certificate"), ([*pair, "--tls-peers", "gateway.internal"], "--tls-client-ca"),
                        (["--tls-peers", "gateway.internal"], "--tls-certificate")):
        done = subprocess.run([program, "--database-url", f"host={secured.data}/run user=dialplane dbname=dialplane", "--listen", "127.0.0.1:0", "--metrics-listen", "off", *flags],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1 and said in done.stderr.splitlines()[-1], (flags, done.stderr)


def test_the_figures_of_certificates(secured, client):
    assert companies(secured.skillbase, own(secured, "services"))[0] == "PERMISSION_DENIED"
    text = client.get("/metrics").text
    days = {use: float(value) for use, value in re.findall(r'dialplane_tls_certificate_days_left\{use="(\w+)"[^}]*\} (\S+)', text)}
    assert set(days) == {"server", "upstream"} and all(300 < value < 370 for value in days.values())
    log = secured.log("dialplane-skillbase")
    port = int(re.search(r'"metrics_port":(\d+)', log).group(1))
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text
    assert 'dialplane_tls_certificate_days_left{use="server",certificate="services.internal",number="1"}' in text
    assert float(re.search(r"^dialplane_tls_peers_refused_total (\S+)", text, re.M).group(1)) >= 1
