"""Who may do what: tokens made by PyJWT, which we did not write, and every method as every role of two companies, held against the table in
the .proto files."""

import asyncio
import json
import time
import uuid

import grpc
import httpx
import pytest
import websockets
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

pytest.register_assert_rewrite("secured")
from secured import BACKENDS, ROLES, base64url, bearer, table  # noqa: E402  first: it says where the contract tests are
from agents import psql  # noqa: E402
from conftest import SKILLBASE_CONFIG, Api, check_problem, wait_until  # noqa: E402
from reflected import Reflected  # noqa: E402

pytest_plugins = ["secured"]
CODE = grpc.StatusCode


# --- Tokens -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("key", ["rsa", "ec", "ed"])
def test_each_kind_of_key(closed, issuer, key):
    token = issuer.token("platform", key=key)
    assert httpx.get(f"{closed.url}/api/companies", headers=bearer(token)).status_code == 200
    assert httpx.get(f"{closed.url}/api/companies", headers={"authorization": f"bearer {token}"}).status_code == 200
    with Reflected(closed.skillbase) as client:
        assert client.call("dialplane.v1.CompanyService/ListCompanies", metadata=[("authorization", f"Bearer {token}")])["items"] is not None


def raw_token(header, payload, sign):
    text = ".".join(base64url(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in (header, payload))
    return f"{text}.{base64url(sign(text.encode()))}"


def wrong_tokens(issuer):
    """name → (token, reason)."""
    ed = issuer.keys["ed"]
    now = int(time.time())
    header = {"alg": "EdDSA", "kid": "ed"}
    good = issuer.token("platform")
    parts = good.split(".")
    public = issuer.keys["rsa"].public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def hs256(key):
        def sign(text):
            mac = hmac.HMAC(key, hashes.SHA256())
            mac.update(text)
            return mac.finalize()
        return sign
    claims = issuer.claims("platform")
    text = json.dumps(claims)
    return {
        "expired": (issuer.token("platform", exp=now - 60), "TOKEN_EXPIRED"),
        "not yet valid": (issuer.token("platform", nbf=now + 3000), "TOKEN_NOT_YET_VALID"),
        "wrong issuer": (issuer.token("platform", iss="somebody"), "TOKEN_WRONG_ISSUER"),
        "no issuer": (issuer.token("platform", iss=None), "TOKEN_WRONG_ISSUER"),
        "wrong audience": (issuer.token("platform", aud=["a", "b"]), "TOKEN_WRONG_AUDIENCE"),
        "no audience": (issuer.token("platform", aud=None), "TOKEN_WRONG_AUDIENCE"),
        "unknown kid": (issuer.token("platform", headers={"kid": "nobody"}), "TOKEN_UNKNOWN_KEY"),
        "kid of an encryption key": (issuer.token("platform", headers={"kid": "other"}), "TOKEN_UNKNOWN_KEY"),
        "no kid": (raw_token({"alg": "EdDSA"}, claims, ed.sign), "TOKEN_MALFORMED"),
        "no alg": (raw_token({"kid": "ed"}, claims, ed.sign), "TOKEN_MALFORMED"),
        "crit": (raw_token({**header, "crit": ["b64"]}, claims, ed.sign), "TOKEN_MALFORMED"),
        "alg none": (f"{base64url(json.dumps({'alg': 'none', 'kid': 'ed'}).encode())}.{parts[1]}.", "TOKEN_MALFORMED"),
        "alg none with a signature": (raw_token({"alg": "none", "kid": "ed"}, claims, ed.sign), "TOKEN_BAD_SIGNATURE"),
        "HS256 with the public key": (raw_token({"alg": "HS256", "kid": "rsa"}, claims, hs256(public)), "TOKEN_BAD_SIGNATURE"),
        "another key's signature": (raw_token({"alg": "EdDSA", "kid": "ed"}, claims, ed25519.Ed25519PrivateKey.generate().sign), "TOKEN_BAD_SIGNATURE"),
        "tampered": (f"{parts[0]}.{base64url(text.replace('platform', 'admin___').encode())}.{parts[2]}", "TOKEN_BAD_SIGNATURE"),
        "signature cut": (good[:-10], "TOKEN_BAD_SIGNATURE"),
        "two parts": (f"{parts[0]}.{parts[1]}", "TOKEN_MALFORMED"),
        "four parts": (f"{good}.x", "TOKEN_MALFORMED"),
        "no base64": (f"{parts[0]}.{parts[1]}.***", "TOKEN_MALFORMED"),
        "rubbish": ("rubbish", "TOKEN_MALFORMED"),
        "too large": ("a." * 3000, "TOKEN_TOO_LARGE"),
        "duplicated claim": (raw_token(header, text.replace('"sub"', '"sub": "x", "sub"').encode(), ed.sign), "TOKEN_MALFORMED"),
        "claims no object": (raw_token(header, b"[1]", ed.sign), "TOKEN_MALFORMED"),
        "no exp": (issuer.token("platform", exp=None), "TOKEN_BAD_CLAIMS"),
        "exp a text": (raw_token(header, {**claims, "exp": "soon"}, ed.sign), "TOKEN_BAD_CLAIMS"),
        "exp too far": (raw_token(header, {**claims, "exp": 1e300}, ed.sign), "TOKEN_BAD_CLAIMS"),
        "no sub": (issuer.token("platform", sub=None), "TOKEN_BAD_CLAIMS"),
        "sub a number": (raw_token(header, {**claims, "sub": 7}, ed.sign), "TOKEN_BAD_CLAIMS"),
        "sub too long": (issuer.token("platform", sub="s" * 300), "TOKEN_BAD_CLAIMS"),
        "no role": (issuer.token("platform", roles=None), "TOKEN_BAD_CLAIMS"),
        "unknown role": (issuer.token("platform", roles=["platform", "god"]), "TOKEN_BAD_CLAIMS"),
        "role and roles": (raw_token(header, {**claims, "role": "admin"}, ed.sign), "TOKEN_BAD_CLAIMS"),
        "admin without a company": (issuer.token("admin"), "TOKEN_BAD_CLAIMS"),
        "company no id": (issuer.token("admin", "x' or 1=1"), "TOKEN_BAD_CLAIMS"),
        "platform with a company": (issuer.token("platform", str(uuid.uuid4())), "TOKEN_BAD_CLAIMS"),
    }


def test_wrong_tokens(closed, issuer):
    """Each is refused, says why without repeating any of it, and reveals nothing of what was asked for."""
    with httpx.Client(base_url=closed.url) as client, Reflected(closed.skillbase) as rpc:
        for name, (token, reason) in wrong_tokens(issuer).items():
            answer = client.get("/api/companies", headers=bearer(token))
            assert answer.status_code == 401, (name, answer.text)
            problem = check_problem(answer)
            assert answer.headers["www-authenticate"].startswith('Bearer realm="dialplane", error="invalid_token", error_description="'), name
            assert problem["code"] == "UNAUTHENTICATED" and problem["reason"] == reason, (name, problem)
            assert not any(len(part) > 4 and part in answer.text for part in token.split(".")), name
            if len(token) < 4000:
                with pytest.raises(grpc.RpcError) as caught:
                    rpc.call("dialplane.v1.CompanyService/ListCompanies", metadata=[("authorization", f"Bearer {token}")])
                assert caught.value.code() == CODE.UNAUTHENTICATED and rpc.reason(caught.value) == reason, name
        for headers in ({}, {"Authorization": ""}):
            answer = client.get("/api/companies", headers=headers)
            assert check_problem(answer)["reason"] == "TOKEN_MISSING" and answer.headers["www-authenticate"] == 'Bearer realm="dialplane"'
        for value in ("Basic dTpw", "Bearer", issuer.token("platform")):
            assert check_problem(client.get("/api/companies", headers={"Authorization": value}))["reason"] in ("TOKEN_MALFORMED", "TOKEN_MISSING")
        two = [("Authorization", f"Bearer {issuer.token('platform')}")] * 2
        assert client.get("/api/companies", headers=two).status_code == 401
        # a wrong request of somebody unknown is not told what is wrong with it
        wrong = client.post("/api/companies", json={"slug": "NO"})
        assert wrong.status_code == 401 and not check_problem(wrong)["errors"]
        # in an address it is refused, by name and not by value
        token = issuer.token("platform")
        for parameter in ("token", "access_token", "Api_Key"):
            for headers in ({}, bearer(token)):
                answer = client.get("/api/companies", params={"limit": 1, parameter: token}, headers=headers)
                assert answer.status_code == 400 and check_problem(answer)["reason"] == "CREDENTIALS_IN_URL" and token not in answer.text
                assert 'error="invalid_request"' in answer.headers["www-authenticate"]
    for process in ("gateway", "skillbase"):
        assert issuer.token("platform").split(".")[0] not in closed.log(f"dialplane-{process}")


def test_refusals_over_grpc_say_what_to_show(closed, issuer, owned):
    """The challenge of RFC 6750 as metadata."""
    mine, _ = owned
    with Reflected(closed.skillbase) as rpc:
        for token, expected in ((None, 'Bearer realm="dialplane"'), ("rubbish", 'Bearer realm="dialplane", error="invalid_token", '),
                                (issuer.token("viewer", mine["company"]), 'Bearer realm="dialplane", error="insufficient_scope", ')):
            with pytest.raises(grpc.RpcError) as caught:
                rpc.call("dialplane.v1.CompanyService/CreateCompany", {"company": {"name": "n", "slug": "s"}},
                         metadata=[("authorization", f"Bearer {token}")] if token else [])
            assert dict(caught.value.trailing_metadata())["www-authenticate"].startswith(expected)
        with pytest.raises(grpc.RpcError) as caught:
            rpc.call("dialplane.v1.CompanyService/GetCompany", {"id": str(uuid.uuid4())}, metadata=[("authorization", f"Bearer {issuer.token('platform')}")])
        assert caught.value.code() == CODE.NOT_FOUND and "www-authenticate" not in dict(caught.value.trailing_metadata())


def test_what_is_open(closed):
    """Probes and the pages need no token; reflection says what the protos say, which is no secret."""
    for path in ("/healthz", "/readyz", "/openapi.json", "/docs", "/metrics"):
        assert httpx.get(closed.url + path).status_code == 200, path
    with Reflected(closed.campaign) as client:
        assert "dialplane.v1.CampaignService" in client.services()


def test_rotation(closed, issuer, root):
    """A new key is known within seconds, one that was taken out ends at once what it had signed, and half a file changes nothing."""
    old = issuer.token("platform", key="rsa")

    def status(token):
        return httpx.get(f"{closed.url}/api/companies", headers=bearer(token)).status_code
    assert status(old) == 200
    try:
        closed.keys.write_text(issuer.key_set("ec", "ed"))
        wait_until(lambda: status(old) == 401, what="the end of the key that was taken out")
        assert status(issuer.token("platform", key="ec")) == 200
        closed.keys.write_text('{"keys": [')
        wait_until(lambda: status(issuer.token("platform")) == 200 and "key_set_refused" in closed.log("dialplane-skillbase"), what="the warning")
        assert status(old) == 401
    finally:
        closed.keys.write_text(issuer.key_set())
    wait_until(lambda: status(old) == 200, what="the key that is back")


# --- Roles ------------------------------------------------------------------------------------------------------------

def fill(descriptor, path, own, depth=0):
    """A request that names what belongs to `own` wherever an id is asked for."""
    service, method = path.rsplit(".", 1)[1].split("/")
    values = {}
    of_id = {"CompanyService": "company", "SkillbaseService": "skillbase", "CampaignService": "campaign", "AnalyticsService": "call",
             "SuppressionService": "suppression", "DispatchService": "call", "AuditService": "company", "ApiKeyService": "api_key", "PrivacyService": "company"}[service]
    if "Task" in method or "Attempts" in method:
        of_id = "task"
    names = {"id": own[of_id], "company_id": own["company"], "skillbase_id": own["skillbase"], "campaign_id": own["campaign"], "call_id": own["call"],
             "task_id": own["task"]}
    for field in descriptor.fields:
        if field.name in names and field.type == field.TYPE_STRING and field.label != field.LABEL_REPEATED:
            values[field.name] = names[field.name]
    return values


def calls_of(closed, own):
    """(path, backend, request bytes, roles) of every method that can be called with one message."""
    for path, (backend, method, roles) in sorted(table(closed).items()):
        with Reflected(getattr(closed, backend)) as client:
            request, _ = client.types(path)
            yield path, backend, method, request(**fill(request.DESCRIPTOR, path, own)).SerializeToString(), roles


def invoke(channel, path, method, request, token):
    """(code, bytes of the answer). Streams: their first message."""
    metadata = [("authorization", f"Bearer {token}")] if token else []
    kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    call = getattr(channel, kind)(f"/{path}", request_serializer=bytes, response_deserializer=bytes)
    argument = iter([request]) if method.client_streaming else request
    try:
        answer = call(argument, timeout=20, metadata=metadata)
        if method.name.startswith(("Export", "Download")):  # a file: all of it, its first piece is only the header
            return CODE.OK, b"".join(answer)
        if method.server_streaming:
            first = next(answer)
            answer.cancel()
            return CODE.OK, first
        return CODE.OK, answer
    except grpc.RpcError as error:
        return error.code(), b""


def test_every_method_names_its_roles(closed):
    methods = table(closed)
    assert len(methods) > 40
    for path, (_, _, roles) in methods.items():
        assert roles and "platform" in roles, f"{path} needs dialplane.access in its .proto"


DELETES = ("Delete", "Cancel")


def test_every_method_as_every_role(closed, issuer, owned):
    """A role that the table names gets past the door (whatever the method then says); every other, and nobody, does not."""
    mine, _ = owned
    channels = {name: grpc.insecure_channel(getattr(closed, name)) for name in BACKENDS}
    count = 0
    for path, backend, method, request, allowed in calls_of(closed, mine):
        for role in ROLES.values():
            # what deletes is tried on what does not exist, so that the next role finds everything in place
            sent = request if not method.name.startswith(DELETES) else b""
            token = issuer.token(role, None if role == "platform" else mine["company"])
            code, _ = invoke(channels[backend], path, method, sent, token)
            if role in allowed:
                assert code not in (CODE.UNAUTHENTICATED, CODE.UNIMPLEMENTED, CODE.INTERNAL, CODE.UNKNOWN), (path, role, code)
                if code == CODE.PERMISSION_DENIED:  # within the method, by what it was asked for: never for platform
                    assert role != "platform", path
            else:
                assert code == CODE.PERMISSION_DENIED, (path, role, code)
            count += 1
        assert invoke(channels[backend], path, method, request, None)[0] == CODE.UNAUTHENTICATED, path
    assert count == 5 * len(table(closed))
    for channel in channels.values():
        channel.close()


def check_no_row_crosses(closed, issuer, owned):
    """Another company's every role, with the ids of this one in every field: nothing of it comes back, and nothing of it changes."""
    mine, theirs = owned

    def snapshot():
        tables = ("companies", "skillbases", "skillbase_versions", "campaigns", "call_tasks", "suppressions", "calls", "turns", "api_keys")
        return {name: psql(closed, f"select md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from {name} t") for name in tables
                if psql(closed, f"select to_regclass('{name}') is not null") == "t"}
    before = snapshot()
    assert len(before) >= 5
    channels = {name: grpc.insecure_channel(getattr(closed, name)) for name in BACKENDS}
    nobodys = {name: str(uuid.uuid4()) for name in mine}

    def blind(data):  # some answers repeat the ids that were asked for
        for name, value in mine.items():
            data = data.replace(value.encode(), nobodys[name].encode())
        return data
    for path, backend, method, request, allowed in calls_of(closed, mine):
        for role in allowed - {"platform"}:
            token = issuer.token(role, theirs["company"])
            code, answer = invoke(channels[backend], path, method, request, token)
            assert code in (CODE.OK, CODE.NOT_FOUND, CODE.INVALID_ARGUMENT, CODE.PERMISSION_DENIED, CODE.FAILED_PRECONDITION), (path, role, code)
            # exactly what is said of ids that nobody has
            assert (code, blind(answer)) == invoke(channels[backend], path, method, blind(request), token), (path, role)
    for channel in channels.values():
        channel.close()
    assert snapshot() == before
    for kind, path in (("skillbase", "skillbases"), ("campaign", "campaigns"), ("company", "companies")):
        api = Api(closed.url)
        api.client.headers.update(bearer(issuer.token("admin", theirs["company"])))
        there, nowhere = (api.problem("GET", f"/api/{path}/{id}", 404) for id in (mine[kind], str(uuid.uuid4())))
        assert there["detail"].replace(mine[kind], "") == nowhere["detail"].replace(nowhere["detail"].split()[1], "")
        items = api.ok("GET", f"/api/{path}")["items"]
        assert [item["id"] for item in items] == [theirs[kind]]


def test_no_row_crosses(closed, issuer, owned):
    check_no_row_crosses(closed, issuer, owned)


def test_rest_by_role(closed, issuer, owned):
    """What one may not do is 403, over REST too; what one may works."""
    mine, _ = owned
    viewer, manager = Api(closed.url), Api(closed.url)
    viewer.client.headers.update(bearer(issuer.token("viewer", mine["company"])))
    manager.client.headers.update(bearer(issuer.token("manager", mine["company"])))
    assert viewer.ok("GET", f"/api/skillbases/{mine['skillbase']}")["config"]
    problem = viewer.problem("PUT", f"/api/skillbases/{mine['skillbase']}", 403, json={"name": "n"})
    assert problem["reason"] == "ROLE_NOT_ALLOWED" and "manager" in problem["detail"] and "viewer" in problem["detail"]
    assert viewer.problem("POST", f"/api/campaigns/{mine['campaign']}/call-list", 403, content=b"phone_number\n", headers={"content-type": "text/csv"})
    body = {"company_id": mine["company"], "name": "New", "slug": f"new-{uuid.uuid4().hex[:8]}", "config": SKILLBASE_CONFIG}
    assert manager.ok("POST", "/api/skillbases", 201, json=body)["name"] == "New"
    manager.problem("POST", "/api/companies", 403, json={"name": "x", "slug": "x"})


# --- Streams ----------------------------------------------------------------------------------------------------------

def watch(url, until=1, **options):
    """(chosen subprotocol, the first messages, close code) of a WebSocket."""
    async def run():
        async with websockets.connect(url, **options) as socket:
            messages = []
            try:
                while len(messages) < until:
                    messages.append(json.loads(await asyncio.wait_for(socket.recv(), 20)))
            except websockets.ConnectionClosed:
                pass
            return socket.subprotocol, messages, socket.close_code
    return asyncio.run(run())


def test_websocket_with_a_token(closed, issuer, owned):
    mine, theirs = owned
    url = f"ws://{closed.http}/api/analytics/ws/calls/{mine['call']}"
    token = issuer.token("viewer", mine["company"])
    assert watch(url, extra_headers=bearer(token))[1][0]["type"] == "init"
    protocol, messages, _ = watch(url, subprotocols=["bearer", token])
    assert protocol == "bearer" and messages[0]["type"] == "init"
    # a browser learns in a message why it is closed; what is not even of a form that a token has does not become a WebSocket
    _, messages, closing = watch(url, until=2)
    assert messages[0]["type"] == "error" and closing == 4401
    for refused in ({"uri": f"{url}?access_token={token}"}, {"uri": f"{url}?token={token}", "extra_headers": bearer(token)},
                    {"uri": url, "subprotocols": ["bearer", token], "extra_headers": bearer(token)}, {"uri": url, "extra_headers": {"Authorization": "a" * 5000}}):
        with pytest.raises(websockets.InvalidStatusCode) as caught:
            watch(refused.pop("uri"), **refused)
        assert caught.value.status_code in (400, 401) and token not in str(caught.value.headers)
        assert caught.value.headers["WWW-Authenticate"].startswith('Bearer realm="dialplane", error="invalid_')
    _, messages, closing = watch(url, until=2, extra_headers={"Authorization": "Basic dTpw"})
    assert messages[0]["type"] == "error" and closing == 4401
    for other, code in ((issuer.token("viewer", theirs["company"]), 4404), (issuer.token("agent", mine["company"]), 4403), ("rubbish", 4401)):
        _, messages, closing = watch(url, until=2, subprotocols=["bearer", other])
        assert [message["type"] for message in messages] == ["error"] and closing == code, (messages, closing)


def test_a_stream_ends_with_its_token(closed, issuer, owned):
    """Two who watch the same call have a stream each: that of the one ends with its token, the other's goes on."""
    mine, _ = owned
    url = f"{closed.url}/api/analytics/ws/calls/{mine['call']}"
    long = issuer.token("viewer", mine["company"])
    short = issuer.token("viewer", mine["company"], exp=int(time.time()) + 2)
    accept = {"Accept": "application/x-ndjson"}
    with httpx.stream("GET", url, headers={**accept, **bearer(long)}, timeout=60) as other:
        lines = other.iter_lines()
        assert json.loads(next(lines))["type"] == "init"
        with httpx.stream("GET", url, headers={**accept, **bearer(short)}, timeout=60) as answer:
            got = [json.loads(line) for line in answer.iter_lines()]  # until it ends
        assert got[0]["type"] == "init" and got[-1]["error"]["code"] == "UNAUTHENTICATED" and "expired" in got[-1]["error"]["detail"]
        assert not other.is_closed
    problem = httpx.get(url, headers={**accept, **bearer(short)})
    assert problem.status_code == 401


# --- The command line -------------------------------------------------------------------------------------------------

def test_the_command_line_shows_its_token(closed, issuer, owned, tmp_path):
    """0 done, 3 not there (another company's), 7 not allowed; the token itself is never said."""
    from test_cli import DENIED, NOT_FOUND, Cli
    ours, theirs = (one["company"] for one in owned)
    cli = Cli(closed.http, tmp_path)
    viewer = {"DIALPLANE_TOKEN": issuer.token("viewer", company=ours)}
    assert "give a token with DIALPLANE_TOKEN or --token" in cli.wrong("company", "list", status=DENIED)
    said = cli.wrong("company", "list", "--token", "nonsense", status=DENIED)
    assert "nonsense" not in said and "the token comes from --token" in said
    assert cli.json("company", "get", ours, environment=viewer)["id"] == ours
    assert cli.wrong("company", "get", theirs, environment=viewer, status=NOT_FOUND)
    said = cli.wrong("company", "delete", ours, "--yes", environment=viewer, status=DENIED)
    assert viewer["DIALPLANE_TOKEN"] not in said
