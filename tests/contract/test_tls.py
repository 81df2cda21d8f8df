"""TLS at the gateway, with clients that we did not write: curl, Python's ssl, httpx, websockets, openssl."""

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
import warnings
from pathlib import Path

import httpx
import pytest
import websockets

from agents import finished, new_id, report, started, turn
from certificates import Authority, write
from clients import Answer
from conftest import PRESET, ROOT, check_problem, free_ports, wait_until

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("tls"))
    authority.pair("gateway", ["localhost", "127.0.0.1"])
    return authority


class Gateway:
    """One that speaks TLS, in front of the platform's services."""

    def __init__(self, platform, authority, *flags, certificate="gateway", port=None):
        self.authority = authority
        self.address = f"127.0.0.1:{port or free_ports(1)}"
        self.port = int(self.address.rsplit(":", 1)[1])
        self.url = f"https://{self.address}"
        self.log_path = authority.folder / f"gateway-{self.port}.log"
        names = certificate.split(",")
        command = [str(ROOT / "build" / PRESET / "bin" / "dialplane-gateway"), "--listen", self.address, "--threads", "2", "--log-level", "debug",
                   "--tls-certificate", ",".join(f"{authority.folder}/{name}.pem" for name in names),
                   "--tls-key", ",".join(f"{authority.folder}/{name}.key" for name in names)]
        for name in ("skillbase", "campaign", "analytics"):
            command += [f"--{name}", getattr(platform, name)]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([*command, *flags], stdin=subprocess.DEVNULL, stderr=log)

        def listens():
            assert self.process.poll() is None, self.log()
            return '"event":"started"' in self.log()
        try:
            wait_until(listens, 30, "the gateway")
        except BaseException:
            self.process.kill()
            raise

    def log(self):
        return self.log_path.read_text()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(60) == 0
        assert "Sanitizer" not in self.log() and "runtime error" not in self.log(), self.log()

    def context(self, **values):
        return client_context(self.authority, **values)

    def client(self, **values):
        return httpx.Client(base_url=self.url, verify=self.context(), timeout=60, **values)

    def connect(self, context=None, name="localhost", session=None):
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        try:
            return (context or self.context()).wrap_socket(plain, server_hostname=name, session=session)
        except BaseException:
            plain.close()
            raise

    def metric(self, name, labels):
        """Asked through a connection that shows what client certificates want to see, where they are wanted."""
        with self.client() as client:
            text = client.get("/metrics").text
        lines = [line for line in text.splitlines() if line.startswith(f"{name}{{") and all(label in line for label in labels)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def client_context(authority, certificate=None, minimum=None, maximum=None, protocols=None):
    context = ssl.create_default_context(cafile=authority.path)
    if certificate:
        context.load_cert_chain(*certificate)
    if minimum:
        context.minimum_version = minimum
    if maximum:
        context.maximum_version = maximum
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


@pytest.fixture(scope="module")
def gateway(platform, authority):
    gateway = Gateway(platform, authority)
    yield gateway
    gateway.stop()


@pytest.fixture
def another(platform, authority):
    running = []

    def start(*flags, **values):
        running.append(Gateway(platform, authority, *flags, **values))
        return running[-1]
    yield start
    for one in running:
        one.stop()


def ask(connection, request=HEALTH):
    """One answer of HTTP/1.1 with a Content-Length."""
    connection.sendall(request)
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        assert piece, f"closed after {data!r}"
        data += piece
    head, body = data.split(b"\r\n\r\n", 1)
    headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in head.decode().split("\r\n")[1:])}
    while len(body) < int(headers["content-length"]):
        body += connection.recv(65536)
    return Answer(int(head.split()[1]), headers, body)


def curl(gateway, *arguments):
    """(exit status, version of HTTP, status, what curl says is wrong)"""
    done = subprocess.run(["curl", "-sS", "--max-time", "60", "--cacert", gateway.authority.path, "-o", "/dev/null", "-w", "%{http_version} %{http_code}", *arguments],
                          capture_output=True, text=True, timeout=90, check=False)
    return done.returncode, *done.stdout.split(), done.stderr


def test_both_versions_and_both_protocols(gateway):
    for tls in ("1.2", "1.3"):
        versions = [f"--tlsv{tls}", "--tls-max", tls]
        assert curl(gateway, *versions, f"{gateway.url}/healthz")[:3] == (0, "2", "200")
        assert curl(gateway, *versions, "--http1.1", f"{gateway.url}/healthz")[:3] == (0, "1.1", "200")
    assert curl(gateway, "--http1.1", f"https://localhost:{gateway.port}/api/companies")[:3] == (0, "1.1", "200")


def test_what_is_agreed_on(gateway):
    for offered, agreed in ((["h2", "http/1.1"], "h2"), (["http/1.1", "h2"], "h2"), (["http/1.1"], "http/1.1"), (None, None)):
        with gateway.connect(gateway.context(protocols=offered)) as connection:
            assert connection.selected_alpn_protocol() == agreed
            assert connection.version() == "TLSv1.3" and connection.compression() is None
            if agreed != "h2":
                assert ask(connection).status_code == 200
    with pytest.raises(ssl.SSLError, match="(?i)alpn|no application protocol"):
        gateway.connect(gateway.context(protocols=["spdy/3"]))
    with gateway.connect(gateway.context(maximum=ssl.TLSVersion.TLSv1_2)) as connection:
        assert connection.version() == "TLSv1.2" and "GCM" in connection.cipher()[0] and connection.cipher()[0].startswith("ECDHE")


def test_http2_by_another_client_and_without_the_agreement(gateway):
    with httpx.Client(base_url=gateway.url, verify=gateway.context(), http2=True, timeout=60) as client:
        answers = [client.get("/api/companies") for _ in range(5)]
    assert {a.http_version for a in answers} == {"HTTP/2"} and {a.status_code for a in answers} == {200}
    with gateway.connect() as connection:  # RFC 9113 §3.2: over TLS there is no other way into HTTP/2
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 ")


def test_what_is_too_old_or_too_weak_is_refused(gateway, another):
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(gateway.authority.path)
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():  # that it is old is the point
        warnings.simplefilter("ignore")
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="(?i)protocol version|unsupported protocol"):
        gateway.connect(old)
    for weak in ("AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256"):
        context = gateway.context(maximum=ssl.TLSVersion.TLSv1_2)
        context.set_ciphers(f"{weak}:@SECLEVEL=0")
        with pytest.raises(ssl.SSLError, match="(?i)handshake failure"):
            gateway.connect(context)
    newest = another("--tls-minimum", "1.3")
    with pytest.raises(ssl.SSLError, match="(?i)protocol version"):
        newest.connect(newest.context(maximum=ssl.TLSVersion.TLSv1_2))
    with newest.connect() as connection:
        assert ask(connection).status_code == 200


def test_no_renegotiation(gateway):
    done = subprocess.run(["openssl", "s_client", "-connect", gateway.address, "-CAfile", gateway.authority.path, "-tls1_2"], input=b"R\n", timeout=60,
                          capture_output=True, check=False)
    said = done.stdout + done.stderr
    assert b"RENEGOTIATING" in said and b"no renegotiation" in said, said[-800:]


def test_sessions_are_resumed(gateway):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = gateway.context(minimum=version, maximum=version)
        before = gateway.metric("dialplane_tls_handshakes_total", ['result="resumed"'])
        with gateway.connect(context) as first:
            assert ask(first).status_code == 200 and not first.session_reused
            session = first.session  # with TLS 1.3 the ticket has come by now
        with gateway.connect(context, session=session) as second:
            assert second.session_reused and ask(second).status_code == 200
        assert gateway.metric("dialplane_tls_handshakes_total", ['result="resumed"']) == before + 1


def test_a_name_has_its_certificate(another, authority):
    authority.pair("shop", ["shop.test", "*.shop.test"], kind="rsa")
    gateway = another(certificate="gateway,shop")
    for name, expected in (("localhost", "localhost"), ("shop.test", "shop.test"), ("www.shop.test", "shop.test")):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with gateway.connect(gateway.context(maximum=version), name) as connection:
                assert ("DNS", expected) in connection.getpeercert()["subjectAltName"] and ask(connection).status_code == 200
    with pytest.raises(ssl.SSLCertVerificationError, match="(?i)mismatch"):  # the first stands in for names that nobody has
        gateway.connect(name="elsewhere.test")
    assert gateway.metric("dialplane_tls_certificate_days_left", ['certificate="shop.test"', 'number="2"']) == pytest.approx(90, abs=0.1)


def test_clients_refuse_what_is_not_signed_for(gateway, tmp_path):
    with pytest.raises(ssl.SSLCertVerificationError):
        gateway.connect(client_context(Authority(tmp_path)))
    assert curl(gateway, f"https://127.0.0.2:{gateway.port}/healthz", "--connect-to", f"::127.0.0.1:{gateway.port}")[0] == 60


def test_client_certificates(another, authority, tmp_path):
    other = Authority(tmp_path)
    good = authority.pair("caller", ["caller.test"])
    gateway = another("--tls-client-ca", authority.path)
    bad = {"none": None, "expired": authority.pair("expired", ["caller.test"], days=-1), "self-signed": other.pair("self", ["caller.test"], self_signed=True),
           "of another CA": other.pair("other", ["caller.test"])}
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = gateway.context(certificate=good, maximum=version)
        with gateway.connect(context) as connection:
            assert ask(connection).status_code == 200
            session = connection.session
        if session:  # a resumed session would not look at the certificate again
            with gateway.connect(context, session=session) as connection:
                assert not connection.session_reused
        for what, certificate in bad.items():
            refused = None
            try:  # TLS 1.3: the client hears of it with the first answer
                with gateway.connect(gateway.context(certificate=certificate, maximum=version)) as connection:
                    ask(connection)
            except OSError as error:
                refused = error
            assert refused, what
            assert version == ssl.TLSVersion.TLSv1_3 or "alert" in str(refused), (what, refused)
    wait_until(lambda: gateway.log().count("tls_handshake_failed") == 2 * len(bad), 30, "the log of refusals")
    assert "certificate has expired" in gateway.log()


def test_plain_http_is_told_to_speak_tls(gateway):
    before = gateway.metric("dialplane_tls_handshakes_total", ['result="not_tls"'])
    answer = httpx.get(f"http://{gateway.address}/api/companies", timeout=60)
    assert answer.status_code == 400 and answer.headers["connection"] == "close" and "strict-transport-security" not in answer.headers
    assert "https://" in answer.json()["detail"]
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
        connection.sendall(b"\x00\x01\x02\x03 no protocol at all \xff\xfe")
        while connection.recv(1000):  # an alert at most, then the end
            pass
    assert gateway.metric("dialplane_tls_handshakes_total", ['result="not_tls"']) == before + 2


def test_handshakes_that_are_not_finished_end(another):
    gateway = another("--tls-handshake-timeout", "3s")
    context = gateway.context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    half = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        half.do_handshake()
    hello = outgoing.read()
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as silent, \
            socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as cut_off, \
            socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as deaf, \
            socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as slow, \
            gateway.connect() as finished_in_time:
        cut_off.sendall(hello[:100])
        deaf.sendall(hello)  # and never says "Finished"

        def drip():  # each byte comes in time, the handshake does not
            slow.sendall(hello[:5])
            for byte in hello[5:]:
                try:
                    slow.sendall(bytes([byte]))
                except OSError:
                    return
                time.sleep(0.05)
        dripping = threading.Thread(target=drip)
        dripping.start()

        def ends(connection):
            try:
                while connection.recv(65536):
                    pass
            except ConnectionResetError:
                pass
            return True
        assert ends(silent) and ends(cut_off) and ends(deaf) and ends(slow)
        dripping.join(60)
        assert ask(finished_in_time).status_code == 200
    assert gateway.metric("dialplane_tls_handshakes_total", ['result="late"']) == 4


def serial(gateway):
    with gateway.connect() as connection:
        return connection.getpeercert()["serialNumber"]


def test_certificates_are_read_again_under_load(another, authority):
    """New connections and kept ones, all the time; not one request is lost while the certificate changes."""
    authority.pair("renewed", ["localhost", "127.0.0.1"])
    gateway = another(certificate="renewed")
    stop, counts, failures = threading.Event(), [0, 0], []

    def fresh_connections():
        while not stop.is_set():
            try:
                with gateway.connect() as connection:
                    assert ask(connection).status_code == 200
                counts[0] += 1
            except BaseException as error:  # noqa: BLE001 - shown below
                failures.append(error)

    def one_connection():
        try:
            with gateway.client() as client:
                while not stop.is_set():
                    assert client.get("/api/companies").status_code == 200
                    counts[1] += 1
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    workers = [threading.Thread(target=fresh_connections) for _ in range(2)] + [threading.Thread(target=one_connection) for _ in range(2)]
    for worker in workers:
        worker.start()
    try:
        serials = [serial(gateway)]
        for round in range(3):
            authority.pair("renewed", ["localhost", "127.0.0.1"], kind="rsa" if round == 1 else "ec")
            if round == 2:
                gateway.process.send_signal(signal.SIGHUP)
            wait_until(lambda: serial(gateway) not in serials, 60, "the new certificate")
            serials.append(serial(gateway))
        reached = list(counts)
        wait_until(lambda: counts[0] > reached[0] and counts[1] > reached[1], 60, "requests after the last change")
    finally:
        stop.set()
        for worker in workers:
            worker.join(60)
    assert not failures, failures[:3]
    assert gateway.metric("dialplane_tls_reloads_total", ['result="loaded"']) >= 3


def test_a_broken_file_changes_nothing(another, authority):
    certificate, key = authority.pair("stays", ["localhost", "127.0.0.1"])
    gateway = another(certificate="stays")
    before = serial(gateway)
    good = Path(certificate).read_bytes(), Path(key).read_bytes()
    other = [Path(path).read_bytes() for path in authority.pair("foreign", ["localhost", "127.0.0.1"])]
    old = [Path(path).read_bytes() for path in authority.pair("past", ["localhost", "127.0.0.1"], days=-2)]
    for number, (broken, reason) in enumerate((((b"no certificate\n", good[1]), "no certificate in PEM form"), ((good[0], b""), "no private key"),
                                               ((good[0], other[1]), "is not that of the certificate"), (tuple(old), "has expired")), 1):
        write(key, broken[1])
        write(certificate, broken[0])
        wait_until(lambda: any("tls_reload_refused" in line and reason in line for line in gateway.log().splitlines()), 60, reason)
        assert serial(gateway) == before
        assert gateway.metric("dialplane_tls_reloads_total", ['result="refused"']) >= number
        assert "BEGIN" not in gateway.log()  # nothing of the files is told
    os.unlink(certificate)
    gateway.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "cannot be read" in gateway.log(), 60, "the missing file")
    assert serial(gateway) == before
    write(key, other[1])
    write(certificate, other[0])
    wait_until(lambda: serial(gateway) != before, 60, "the good file")


def test_what_cannot_work_stops_the_start(authority, tmp_path):
    program = str(ROOT / "build" / PRESET / "bin" / "dialplane-gateway")
    certificate, key = f"{authority.folder}/gateway.pem", f"{authority.folder}/gateway.key"
    foreign = authority.pair("unrelated", ["x.test"])[1]
    locked = tmp_path / "locked.key"
    subprocess.run(["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", str(locked)], check=True, timeout=60)
    for flags, said in ((["--tls-certificate", certificate], "--tls-key"), (["--tls-key", key], "--tls-certificate"), (["--tls-client-ca", authority.path], "--tls-certificate"),
                        (["--tls-certificate", certificate, "--tls-key", foreign], "is not that of the certificate"),
                        (["--tls-certificate", certificate, "--tls-key", str(locked)], "without a passphrase"),
                        (["--tls-certificate", f"{certificate},{certificate}", "--tls-key", key], "one key file for each"),
                        (["--tls-certificate", "/nowhere.pem", "--tls-key", key], "/nowhere.pem"),
                        (["--tls-certificate", certificate, "--tls-key", key, "--tls-minimum", "1.1"], "1.2 or 1.3"),
                        (["--redirect-listen", "127.0.0.1:0"], "--tls-certificate"),
                        (["--services-tls-certificate", certificate, "--services-tls-key", key], "--services-tls-ca")):
        done = subprocess.run([program, "--listen", "127.0.0.1:0", *flags], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode in (1, 2) and said in done.stderr.splitlines()[-1], (flags, done.stderr)


def test_other_addresses_take_tls_and_tokens(authority):
    """One rule (services/runtime/app/exposure.c); the address is nobody's here, so that what is allowed fails a step later."""
    program = str(ROOT / "build" / PRESET / "bin" / "dialplane-gateway")
    tls = ["--tls-certificate", f"{authority.folder}/gateway.pem", "--tls-key", f"{authority.folder}/gateway.key"]
    for flags, said in ((["--auth", "token"], "in plain text"), (["--auth", "token", *tls], "cannot listen on"), (["--auth", "off", *tls], "--auth off")):
        done = subprocess.run([program, "--listen", "203.0.113.7:8000", "--threads", "1", *flags], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1 and said in done.stderr.splitlines()[-1], (flags, done.stderr)


def test_large_answers_and_slow_readers(gateway, platform):
    """What does not fit into the kernel's buffers goes on where it stopped, byte for byte."""
    path = "/redoc/redoc.js" if httpx.get(f"{platform.url}/redoc/redoc.js").status_code == 200 else "/openapi.json"
    expected = httpx.get(f"{platform.url}{path}").content
    assert len(expected) > 200000
    for http2 in (False, True):
        with httpx.Client(base_url=gateway.url, verify=gateway.context(), http2=http2, http1=not http2, timeout=60) as client:
            assert client.get(path).content == expected
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.settimeout(60)
    plain.connect(("127.0.0.1", gateway.port))
    with gateway.context().wrap_socket(plain, server_hostname="localhost") as slow:
        for _ in range(8):  # pipelined: more than all buffers between us
            slow.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        got, wanted = b"", None
        answers = 0
        while answers < 8:
            piece = slow.recv(16384)
            assert piece
            got += piece
            while b"\r\n\r\n" in got:
                head, body = got.split(b"\r\n\r\n", 1)
                wanted = int(head.lower().split(b"content-length: ")[1].split()[0])
                if len(body) < wanted:
                    break
                assert body[:wanted] == expected
                got = body[wanted:]
                answers += 1
    folder = gateway.authority.folder
    files = [f"{folder}/copy-{i}" for i in range(6)]
    command = ["curl", "-sS", "--parallel", "--http2", "--cacert", gateway.authority.path, "--max-time", "120"]
    for file in files:
        command += ["-o", file, f"{gateway.url}{path}"]
    subprocess.run(command, check=True, timeout=150)
    assert all(Path(file).read_bytes() == expected for file in files)


def test_a_large_upload(gateway, platform, api):
    company = api.company()
    campaign = api.campaign(company, api.skillbase(company))
    rows = "phone_number,contact_name\n" + "".join(f"+1202555{i:04d},{'x' * 200} {i}\n" for i in range(8000))
    with gateway.client() as client:
        answer = client.post(f"/api/campaigns/{campaign['id']}/call-list", files={"file": ("list.csv", rows.encode(), "text/csv")})
        assert answer.status_code == 200, answer.text
        counted = answer.json()
        exported = client.get(f"/api/campaigns/{campaign['id']}/tasks.csv")
    assert sum(1 for _ in exported.text.splitlines()) > 1000 and len(rows) > 1700000, counted
    with httpx.Client(base_url=gateway.url, verify=gateway.context(), http2=True, timeout=60) as client:
        assert client.post(f"/api/campaigns/{campaign['id']}/call-list", files={"file": ("list.csv", rows.encode(), "text/csv")}).status_code == 200


def test_live_streams(gateway, api):
    company, call = api.company(), new_id()
    report(api, call, [started(company)])

    async def watch():
        uri = f"wss://localhost:{gateway.port}/api/analytics/ws/calls/{call}"
        async with websockets.connect(uri, ssl=gateway.context(), open_timeout=60) as ws:
            first = json.loads(await asyncio.wait_for(ws.recv(), 60))
            assert first["type"] == "init"
            await asyncio.get_running_loop().run_in_executor(None, report, api, call, [turn(2, 0, 1), finished(3, 2)])
            types = []
            while "call_finished" not in types and len(types) < 10:
                try:
                    types.append(json.loads(await asyncio.wait_for(ws.recv(), 60))["type"])
                except websockets.ConnectionClosed:
                    break
            return types
    seen = asyncio.run(watch())
    assert len(seen) >= 2, seen
    with gateway.client() as client, client.stream("GET", f"/api/analytics/calls/{call}/events", headers={"Accept": "text/event-stream"}) as answer:
        assert answer.status_code == 200
        assert sum(1 for line in answer.iter_lines() if line.startswith("data:")) >= 3


def test_stopping_loses_no_request(platform, authority):
    gateway = Gateway(platform, authority, "--drain-idle", "30s", "--grace", "60s")
    body = json.dumps({"name": "Drained", "slug": f"drained-{time.time_ns()}"}).encode()
    try:
        with gateway.connect() as idle, gateway.connect() as busy:
            assert ask(idle).status_code == 200
            busy.sendall(b"POST /api/companies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:10])
            assert ask(idle).status_code == 200
            gateway.process.terminate()
            wait_until(lambda: '"event":"draining"' in gateway.log(), 30, "the drain")
            # What was on its way is answered, and says that it was the last, as soon as the connection's own thread has heard of it.
            wait_until(lambda: (answer := ask(idle)).status_code == 200 and answer.headers.get("connection") == "close", 30, "the last answer")
            assert idle.recv(1) == b""  # in order: close_notify
            created = ask(busy, body[10:])
            assert created.status_code == 201 and json.loads(created.content)["name"] == "Drained"
        assert gateway.process.wait(60) == 0  # a second signal would be obeyed at once
    finally:
        gateway.stop()


def test_browsers_are_told_to_stay_with_tls(gateway, another, platform):
    with gateway.client() as client:
        for path in ("/", "/docs", "/healthz", "/api/companies", "/nothing"):
            assert client.get(path).headers["strict-transport-security"] == "max-age=31536000", path
        assert "strict-transport-security" in client.options("/api/companies").headers
    assert "strict-transport-security" not in httpx.get(f"{platform.url}/healthz").headers
    with another("--hsts-max-age", "0").client() as client:
        assert "strict-transport-security" not in client.get("/healthz").headers
    with another("--hsts-max-age", "600").client() as client:
        assert client.get("/").headers["strict-transport-security"] == "max-age=600"
        assert check_problem(client.get("/nothing"))["code"] == "NOT_FOUND"


def test_plain_http_is_led_to_tls(another):
    port = free_ports(2)
    gateway = another("--redirect-listen", f"127.0.0.1:{port}", port=port + 1)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        for method, path in (("GET", "/"), ("GET", "/api/companies?limit=5&page_token=%2F"), ("POST", "/api/companies")):
            answer = client.request(method, path)
            assert answer.status_code == 308 and answer.headers["location"] == f"{gateway.url}{path}" and not answer.content
        assert client.get("/x", headers={"Host": "dialplane.test:8080"}).headers["location"] == f"https://dialplane.test:{gateway.port}/x"
        assert client.get("/x", headers={"Host": "[::1]"}).headers["location"] == f"https://[::1]:{gateway.port}/x"
    assert httpx.get(f"http://127.0.0.1:{port}/healthz", follow_redirects=True, verify=gateway.context(), timeout=60).json() == {"status": "ok"}
    with socket.create_connection(("127.0.0.1", port), timeout=60) as old:
        old.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert old.recv(1000).startswith(b"HTTP/1.1 400 ")
