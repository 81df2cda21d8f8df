"""Keys of tokens from a URL: http on loopback and https; rotation, outages, and what is refused at start."""

import datetime
import ipaddress
import json
import os
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from conftest import PRESET, ROOT, Platform, wait_until
from secured import Issuer, bearer


class Provider:
    """An identity provider's page of keys, over TLS with a certificate of its own making."""

    def __init__(self, folder, tls):
        self.body, self.status, self.asked = b"", 200, 0
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                provider.asked += 1
                self.send_response(provider.status)
                self.send_header("content-length", str(len(provider.body)))
                if provider.status == 302:
                    self.send_header("location", "/elsewhere")
                self.end_headers()
                self.wfile.write(provider.body)

            def log_message(self, *_):
                pass
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.certificate = folder / "ca.pem"
        if tls:
            self.server.socket = self.context(folder).wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.server_port}/keys.json"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def context(self, folder):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "identity provider")])
        now = datetime.datetime.utcnow()
        certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
                       .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
                       .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
                       .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256()))
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private = folder / "key.pem"
        private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, private)
        return context

    def serve(self, text, status=200):
        self.body, self.status = text.encode(), status

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def issuer():
    return Issuer()


@pytest.fixture(scope="module")
def provider(issuer, tmp_path_factory):
    provider = Provider(tmp_path_factory.mktemp("provider"), tls=True)
    provider.serve(issuer.key_set("rsa", "ed"))
    yield provider
    provider.close()


@pytest.fixture(scope="module")
def closed(provider):
    platform = Platform({"DIALPLANE_AUTH": "token", "DIALPLANE_AUTH_KEYS": provider.url, "DIALPLANE_AUTH_KEYS_CA": str(provider.certificate),
                         "DIALPLANE_AUTH_KEYS_REFRESH": "1s", "DIALPLANE_AUTH_KEYS_RETRY": "1s"})
    try:
        platform.start()
        yield platform
    finally:
        platform.stop()


def status(closed, token):
    return httpx.get(f"{closed.url}/api/companies", headers=bearer(token), timeout=30).status_code


def test_rotation(closed, issuer, provider):
    """A new key is known with its first token or soon after; one that was taken out ends what it had signed."""
    old, kept, new = (issuer.token("platform", key=key) for key in ("rsa", "ed", "ec"))
    assert status(closed, old) == status(closed, kept) == 200 and status(closed, new) == 401
    provider.serve(issuer.key_set("ed", "ec"))
    wait_until(lambda: status(closed, new) == 200, what="the new key")
    wait_until(lambda: status(closed, old) == 401, what="the end of the old one")
    assert status(closed, kept) == 200


def test_an_outage_changes_nothing(closed, issuer, provider):
    provider.serve(issuer.key_set("ed"))
    token = issuer.token("platform")
    wait_until(lambda: status(closed, issuer.token("platform", key="ec")) == 401, what="the set of one key")
    assert status(closed, token) == 200
    for text, code in (("gone", 500), ("<html>", 200), ('{"keys": []}', 200), (issuer.key_set("rsa"), 302), ("x" * 300_000, 200), ("", 200)):
        asked = provider.asked
        provider.serve(text, code)
        wait_until(lambda asked=asked: provider.asked > asked + 3, what=f"a fetch that fails ({code})")
        assert status(closed, token) == 200, (code, text[:20])
        assert status(closed, issuer.token("platform", key="rsa")) == 401
    wait_until(lambda: "key_set_refused" in closed.log("dialplane-skillbase"), what="the warning")
    port = next(json.loads(line)["metrics_port"] for line in closed.log("dialplane-skillbase").splitlines() if '"listening"' in line)
    metrics = dict(line.rsplit(" ", 1) for line in httpx.get(f"http://127.0.0.1:{port}/metrics").text.splitlines() if not line.startswith("#"))
    assert int(metrics["dialplane_auth_key_reload_failures_total"]) >= 1 and int(metrics["dialplane_auth_keys"]) == 1
    provider.serve(issuer.key_set())
    wait_until(lambda: status(closed, issuer.token("platform", key="rsa")) == 200, what="the keys that are back")


def start(*flags, seconds=60):
    """A service that is to refuse its start: (exit status, what it said)."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DIALPLANE_")}
    ended = subprocess.run([str(ROOT / "build" / PRESET / "bin" / "dialplane-skillbase"), "--database-url", "host=/nowhere", "--auth", "token", *flags],
                           env=environment, timeout=seconds, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)
    return ended.returncode, ended.stdout


@pytest.mark.parametrize("url, why", [
    ("http://example.com/keys", "https://"), ("http://127.evil.example/keys", "https://"), ("http://127.0.0.1.evil.example/", "https://"),
    ("ftp://127.0.0.1/keys", "https://"), ("file:///etc/keys", "host"), ("https://user:pw@example.com/keys", "user"), ("https://", "URL"),
    ("gopher://127.0.0.1/", "https://"),
])
def test_urls_that_are_refused(url, why):
    code, said = start("--auth-keys", url)
    assert code == 2 and why in said and "pw" not in said, (code, said)


def test_without_keys_there_is_no_start(closed, issuer, tmp_path):
    """Nobody is there: it is tried for --auth-keys-wait, then said in one clear line; a certificate that nobody trusts likewise."""
    database = ["--database-url", f"host={closed.data}/run user=dialplane dbname=dialplane", "--listen", "127.0.0.1:0", "--metrics-listen", "off"]
    provider = Provider(tmp_path, tls=True)
    provider.serve(issuer.key_set())
    try:
        code, said = start(*database, "--auth-keys", provider.url, "--auth-keys-wait", "0s")
        assert code == 1 and "key set cannot be fetched" in said, (code, said)
    finally:
        provider.close()
    code, said = start(*database, "--auth-keys", provider.url.replace("https", "http"), "--auth-keys-wait", "1s")
    assert code == 1 and "key set cannot be fetched" in said.splitlines()[-1], (code, said)
    assert "key_set_awaited" in said and not [line for line in said.splitlines() if line.startswith("{") and not json.loads(line)]
