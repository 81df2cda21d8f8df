"""What the tests of access share: an identity provider, a platform that asks its callers for tokens, one of everything in each of two companies, and the
table of the .proto files: who may call what. A pytest plugin (pytest_plugins), so that all of them share one platform."""

import base64
import contextlib
import json
import sys
import time
import uuid
from datetime import datetime, timezone
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from google.protobuf import descriptor_pb2

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "contract"))

from conftest import Api, Platform  # noqa: E402
from reflected import Reflected  # noqa: E402
from test_grpc import BACKENDS  # noqa: E402

ROLES = {1: "platform", 2: "admin", 3: "manager", 4: "viewer", 5: "agent"}
ACCESS_OPTION = 50104
seen = {}  # the table, once it has been read


# --- Keys and tokens --------------------------------------------------------------------------------------------------

def base64url(number_or_bytes, size=None):
    data = number_or_bytes if isinstance(number_or_bytes, bytes) else number_or_bytes.to_bytes(size or (number_or_bytes.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """An identity provider: one key of each kind, and what it signs with them."""

    def __init__(self):
        self.keys = {"rsa": rsa.generate_private_key(65537, 2048), "ec": ec.generate_private_key(ec.SECP256R1()),
                     "ed": ed25519.Ed25519PrivateKey.generate()}
        self.algorithms = {"rsa": "RS256", "ec": "ES256", "ed": "EdDSA"}

    def jwk(self, name):
        public = self.keys[name].public_key()
        if name == "ed":
            raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            return {"kty": "OKP", "crv": "Ed25519", "x": base64url(raw), "kid": name}
        numbers = public.public_numbers()
        if name == "ec":
            return {"kty": "EC", "crv": "P-256", "x": base64url(numbers.x, 32), "y": base64url(numbers.y, 32), "kid": name, "use": "sig"}
        return {"kty": "RSA", "n": base64url(numbers.n), "e": base64url(numbers.e), "kid": name, "alg": "RS256"}

    def key_set(self, *names):
        return json.dumps({"keys": [self.jwk(name) for name in names or self.keys] + [{"kty": "EC", "crv": "P-384", "use": "enc", "kid": "other"}]})

    def claims(self, role, company=None, **changes):
        now = int(time.time())
        claims = {"iss": "dialplane", "aud": "dialplane", "sub": f"{role}@example.com", "roles": [role], "iat": now, "exp": now + 3600, **changes}
        if company:
            claims["company_id"] = company
        return {key: value for key, value in claims.items() if value is not None}

    def token(self, role, company=None, key="ed", headers=None, **changes):
        return jwt.encode(self.claims(role, company, **changes), self.keys[key], algorithm=self.algorithms[key],
                          headers={"kid": key, **(headers or {})})


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def as_who(platform, token):
    api = Api(platform.url)
    api.client.headers.update(bearer(token))
    return api


@contextlib.contextmanager
def asking(issuer, folder, **settings):
    """A platform that asks who you are: the issuer's keys are in `folder`, and `platform.keys` names their file."""
    keys = folder / "keys.json"
    keys.write_text(issuer.key_set())
    platform = Platform({"DIALPLANE_AUTH": "token", "DIALPLANE_AUTH_KEYS": str(keys), **settings})
    platform.keys = keys
    try:
        platform.start()
        yield platform
    finally:
        platform.stop()


@pytest.fixture(scope="session")
def issuer():
    return Issuer()


@pytest.fixture(scope="session")
def closed(issuer, tmp_path_factory):
    with asking(issuer, tmp_path_factory.mktemp("keys"), DIALPLANE_AUTH_LEEWAY="2s", DIALPLANE_LEASE="1h") as platform:
        yield platform


@pytest.fixture(scope="session")
def root(closed, issuer):
    return as_who(closed, issuer.token("platform"))


def table(closed):
    """path → (backend, method, the words of its roles), from the .proto files by reflection."""
    if seen:
        return seen
    found = {}
    for backend, services in BACKENDS.items():
        with Reflected(getattr(closed, backend)) as client:
            for service in services:
                proto = descriptor_pb2.FileDescriptorProto()
                client.service(service).file.CopyToProto(proto)
                for method in next(s for s in proto.service if f"{proto.package}.{s.name}" == service).method:
                    found[f"{service}/{method.name}"] = (backend, method, roles_of(method.options))
    seen.update(found)
    return seen


def roles_of(options):
    """dialplane.access of a method: an extension that python has not been told of, so its bytes are read here."""
    def varint(data, at):
        value = shift = 0
        while True:
            value |= (data[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if data[at - 1] < 128:
                return value, at
    data, at, roles = options.SerializeToString(), 0, set()
    while at < len(data):
        key, at = varint(data, at)
        length, at = varint(data, at)
        if key & 7 == 0:  # an option that is a number
            continue
        assert key & 7 == 2
        if key >> 3 == ACCESS_OPTION:
            inner, i = data[at:at + length], 0
            while i < len(inner):
                tag, i = varint(inner, i)
                if tag & 7 == 2:
                    size, i = varint(inner, i)
                    end = i + size
                    while i < end:
                        role, i = varint(inner, i)
                        roles.add(ROLES[role])
                else:
                    role, i = varint(inner, i)
                    roles.add(ROLES[role])
        at += length
    return roles


def two_companies(root):
    """One of everything in each of two companies: name of the thing → id. The call in "held" is in an agent's hands, with its fence."""
    def make():
        company = root.company()
        skillbase = root.skillbase(company)
        campaign = root.campaign(company, skillbase)
        upload = root.upload(campaign, "phone_number,name\n+12015550100,Ann\n+12015550101,Bob\n+12015550102,Cid\nnobody,Dan\n")
        root.ok("POST", f"/api/campaigns/{campaign['id']}/start")
        held, = root.ok("POST", "/api/dispatch/claim", json={"worker_id": "owner", "max": 1, "campaign_id": campaign["id"]})["tasks"]
        root.ok("POST", f"/api/campaigns/{campaign['id']}/pause")
        tasks = root.ok("GET", f"/api/campaigns/{campaign['id']}/tasks")["items"]
        suppression = root.ok("POST", f"/api/companies/{company['id']}/suppressions", 201, json={"phone_number": "+12015550199"})
        prices = root.ok("POST", f"/api/companies/{company['id']}/prices", 201, json={
            "valid_from": "2099-01-01T00:00:00Z", "stt_minute": 0.005, "llm_million_input_tokens": 0.05, "llm_million_output_tokens": 0.08, "tts_thousand_characters": 0.015,
            "livekit_minute": 0.004})
        api_key = root.ok("POST", f"/api/companies/{company['id']}/api-keys", 201, json={"name": "CRM", "roles": ["agent"]})
        call = str(uuid.uuid4())
        root.ok("POST", f"/api/analytics/calls/{call}/events", json={"events": [
            {"seq": 1, "occurred_at": datetime.now(timezone.utc).isoformat().replace("+00:00", "Z"),
             "started": {"company_id": company["id"], "campaign_id": campaign["id"], "skillbase_id": skillbase["id"]}}]})
        return {"company": company["id"], "skillbase": skillbase["id"], "campaign": campaign["id"],
                "task": next(task["id"] for task in tasks if task["id"] != held["task_id"]), "suppression": suppression["id"], "call": call,
                "upload": upload["upload_id"], "prices": prices["id"], "held": held["call_id"],
                "api_key": api_key["id"]}
    return make(), make()


@pytest.fixture(scope="session")
def owned(root):
    return two_companies(root)




def pytest_terminal_summary(terminalreporter):
    """The table that was held: roles × methods."""
    if not seen:
        return
    terminalreporter.section("who may call what (dialplane.access in the .proto files)")
    words = list(ROLES.values())
    terminalreporter.write_line(f"{'':44}{' '.join(words)}")
    for path, (_, _, roles) in sorted(seen.items()):
        marks = " ".join(("x" if word in roles else "·").center(len(word)) for word in words)
        terminalreporter.write_line(f"{path.removeprefix('dialplane.v1.'):44}{marks}")
