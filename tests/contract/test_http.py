"""HTTP as the contract has it, and as hostile clients send it: raw sockets, curl, httpx over HTTP/2, websockets."""

import asyncio
import json
import os
import re
import socket
import struct
import threading
import uuid
from pathlib import Path

import httpx
import pytest
import websockets

from clients import NOBODY, Raw, curl
from conftest import check_problem, fields, wait_until

JSON = {"content-type": "application/json"}


def company_body():
    unique = uuid.uuid4().hex
    return {"name": f"Company {unique}", "slug": f"c-{unique}"}


def get(path="/healthz", *headers):
    return f"GET {path} HTTP/1.1\r\nHost: dialplane\r\n" + "".join(f"{h}\r\n" for h in headers) + "\r\n"


def post(path, body, *headers):
    body = body if isinstance(body, bytes) else body.encode()
    head = f"POST {path} HTTP/1.1\r\nHost: dialplane\r\nContent-Type: application/json\r\n" + "".join(f"{h}\r\n" for h in headers)
    return head.encode() + b"\r\n" + body


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def client(request, platform):
    """The same request over both versions."""
    http2 = request.param == "HTTP/2"
    with httpx.Client(base_url=platform.url, http1=not http2, http2=http2, timeout=20) as client:
        assert client.get("/healthz").http_version == request.param
        yield client


def refused(answer, status):
    assert answer.status_code == status, answer.text
    return check_problem(answer)


# --- Methods, paths, media types: over both versions ---

def test_an_unknown_path(client):
    for path in ("/api/nothing", "/nothing", "/api", "/api/companies/", f"/api/companies/{NOBODY}/x", "/API/companies", "//api/companies"):
        problem = refused(client.get(path), 404)
        assert problem["code"] == "NOT_FOUND" and problem["errors"] == []
        refused(client.request("POST", path, json={}), 404)


@pytest.mark.parametrize("path, allow", [
    ("/api/companies", "GET, HEAD, POST"), (f"/api/companies/{NOBODY}", "DELETE, GET, HEAD, PUT"), (f"/api/skillbases/{NOBODY}/rollback", "POST"),
    (f"/api/campaigns/{NOBODY}/start", "POST"), (f"/api/campaigns/{NOBODY}/call-list", "POST"), ("/api/analytics/metrics", "GET, HEAD"),
])
def test_a_wrong_method(client, path, allow):
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "TRACE"} - set(allow.split(", ")):
        answer = client.request(method, path)
        problem = refused(answer, 405)
        assert sorted(re.split(", *", answer.headers["allow"])) == sorted(allow.split(", "))
        assert method in problem["detail"]


def test_options_tells_what_is_allowed(client):
    answer = client.options("/api/companies")
    assert answer.status_code == 204 and answer.headers["allow"] == "GET, HEAD, POST" and answer.content == b""


def test_the_method_cannot_be_overridden(client):
    assert client.post("/api/companies", json=company_body(), headers={"x-http-method-override": "DELETE"}).status_code == 201


def test_accept(client):
    for accept in ("application/json", "*/*", "application/*", "text/html, application/json;q=0.1", "", "image/png;q=1, */*;q=0.01"):
        assert client.get("/api/companies", headers={"accept": accept}).status_code == 200, accept
    for accept in ("text/html", "image/png", "application/json;q=0", "application/xml, text/plain", "text/*"):
        answer = client.get("/api/companies", headers={"accept": accept})
        assert refused(answer, 406)["reason"] == "NOT_ACCEPTABLE", accept


def test_content_type(client):
    for good in ("application/json", "application/json; charset=utf-8", "APPLICATION/JSON;charset=\"UTF-8\"", "application/merge-patch+json"):
        answer = client.post("/api/companies", content=json.dumps(company_body()), headers={"content-type": good})
        assert answer.status_code == 201, good
    for bad in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", "nonsense", "application/jsonp",
                "multipart/form-data; boundary=x", ""):
        answer = client.post("/api/companies", content=json.dumps(company_body()), headers={"content-type": bad} if bad else {})
        assert refused(answer, 415)["reason"] == "UNSUPPORTED_MEDIA_TYPE", bad
    refused(client.put(f"/api/companies/{NOBODY}", content="{}", headers={"content-type": "text/plain"}), 415)


def test_a_body_that_is_too_large(platform, client):
    before = client.get("/api/companies").json()["total"]
    big = json.dumps({**company_body(), "description": "x" * (1 << 20)}).encode()
    # curl: httpx does not look at answers that come before it has sent everything
    for version in ("--http1.1", "--http2-prior-knowledge"):
        for length in ([], ["-H", "Transfer-Encoding: chunked"] if version == "--http1.1" else ["-H", "Content-Length:"]):
            answer = curl(version, "-H", "Content-Type: application/json", "-H", "Expect:", *length, "--data-binary", "@-",
                          f"{platform.url}/api/companies", data=big)
            assert str(1 << 20) in refused(answer, 413)["detail"]
    # just under it: read, and refused by its rules
    body = json.dumps({**company_body(), "description": ""})
    body = body.replace('"description": ""', '"description": "' + "x" * ((1 << 20) - len(body)) + '"')
    assert len(body) == 1 << 20
    assert list(fields(refused(client.post("/api/companies", content=body, headers=JSON), 400))) == ["description"]
    assert client.get("/api/companies").json()["total"] == before


def test_head_is_get_without_a_body(client):
    for path in ("/api/companies?limit=3", "/", "/healthz", "/openapi.json", f"/api/companies/{NOBODY}"):
        whole, head = client.get(path), client.head(path)
        assert head.status_code == whole.status_code and head.content == b"", path
        for name in ("content-type", "content-length", "etag"):
            assert head.headers.get(name) == whole.headers.get(name), (path, name)


@pytest.mark.parametrize("path", [
    "/api/companies/%", "/api/companies/%zz", "/api/companies/%f", "/api/companies/%ff", "/api/companies/%c3%28", "/%", "/api/companies/%ed%a0%80",
    "/api/companies?limit=%", "/api/companies?limit=%g1", "/api/companies?page_token=%ff", "/api/companies?%c0%80=1", "/api/companies?x%=1",
])
def test_bad_escapes_and_bad_utf8_in_the_target(platform, path):
    with Raw(platform.http) as raw:
        refused(raw.send(get(path)).answer(), 400)
        assert raw.send(get()).answer().status_code == 200  # the connection is still good
    answer = curl("--http2-prior-knowledge", platform.url + path)
    assert (answer.version, answer.status_code) == ("HTTP/2", 400)


def test_escapes_that_are_good(platform, api):
    made = api.company()
    with Raw(platform.http) as raw:
        escaped = "".join(f"%{ord(c):02X}" for c in made["id"])
        assert raw.send(get(f"/api/companies/{escaped}")).answer().json() == made
        assert raw.send(get("/%61pi/companies?li%6Dit=%31")).answer().status_code == 200
        # an escaped slash is part of its segment
        assert list(fields(refused(raw.send(get("/api/companies/a%2Fb")).answer(), 400))) == ["id"]


# --- Names of requests, traces ---

def test_request_ids(client):
    assert client.get("/api/companies", headers={"x-request-id": "abc-123_X.y:z"}).headers["x-request-id"] == "abc-123_X.y:z"
    made = {client.get("/api/companies").headers["x-request-id"] for _ in range(5)}
    assert len(made) == 5 and all(uuid.UUID(one).version == 7 for one in made)
    for bad in ("", "x" * 200, "a b", 'a"b', "a\tb", "ä", "{}", "a,b"):
        got = client.get("/api/companies", headers={"x-request-id": bad.encode()}).headers["x-request-id"]
        assert got != bad and uuid.UUID(got).version == 7, bad
    # errors and every status have it
    for answer in (client.get("/nothing"), client.delete(f"/api/companies/{NOBODY}"), client.put("/api/companies")):
        assert answer.json()["request_id"] == answer.headers["x-request-id"]


def log_lines(platform, process):
    return [json.loads(line) for line in platform.log(process).splitlines() if line.startswith("{")]


def test_request_id_and_trace_reach_the_service(platform, client):
    trace = f"{uuid.uuid4().hex}"
    name = f"req-{uuid.uuid4().hex}"
    client.get("/api/companies", headers={"x-request-id": name, "traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    for process in ("dialplane-gateway", "dialplane-skillbase"):
        line = wait_until(lambda: [line for line in log_lines(platform, process) if line.get("request_id") == name], 10, process)[0]
        assert line["trace_id"] == trace
    for bad in ("", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", "ff-" + trace + "-00f067aa0ba902b7-01", "00-" + trace[:-1] + "-00f067aa0ba902b7-01", "x"):
        name = f"req-{uuid.uuid4().hex}"
        client.get("/api/companies", headers={"x-request-id": name, "traceparent": bad})
        line = wait_until(lambda: [line for line in log_lines(platform, "dialplane-skillbase") if line.get("request_id") == name], 10)[0]
        assert re.fullmatch("[0-9a-f]{32}", line["trace_id"]) and line["trace_id"] not in (trace, "0" * 32)


# --- CORS ---

ORIGIN = "https://app.example.com"


def test_without_configuration_no_origin_is_allowed(client):
    answer = client.get("/api/companies", headers={"origin": ORIGIN})
    assert answer.status_code == 200 and "access-control-allow-origin" not in answer.headers
    answer = client.options("/api/companies", headers={"origin": ORIGIN, "access-control-request-method": "POST"})
    refused(answer, 403)
    assert "access-control-allow-origin" not in answer.headers


def test_cors(spare_gateway):
    url = spare_gateway("--cors-origins", f"{ORIGIN}, http://localhost:3000")
    with httpx.Client(base_url=url) as client:
        asked = {"origin": ORIGIN, "access-control-request-method": "PUT", "access-control-request-headers": "content-type, if-match"}
        answer = client.options(f"/api/companies/{NOBODY}", headers=asked)
        assert answer.status_code == 204 and answer.content == b""
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert {"GET", "PUT", "DELETE"} <= set(re.split(", *", answer.headers["access-control-allow-methods"]))
        allowed = answer.headers["access-control-allow-headers"].lower()
        for name in ("content-type", "if-match", "if-none-match", "x-request-id"):
            assert name in allowed
        assert int(answer.headers["access-control-max-age"]) > 0
        assert "origin" in answer.headers["vary"].lower()
        for origin in (ORIGIN, "http://localhost:3000"):
            for path, status in (("/api/companies", 200), ("/api/companies/x", 400), ("/nothing", 404)):
                answer = client.get(path, headers={"origin": origin})
                assert answer.status_code == status and answer.headers["access-control-allow-origin"] == origin
                exposed = answer.headers["access-control-expose-headers"].lower()
                assert all(name in exposed for name in ("etag", "location", "x-request-id"))
        for origin in ("https://evil.example", "null", ORIGIN + ".evil.example", "http://app.example.com"):
            answer = client.get("/api/companies", headers={"origin": origin})
            assert "access-control-allow-origin" not in answer.headers and "origin" in answer.headers["vary"].lower()
            assert client.options("/api/companies", headers={**asked, "origin": origin}).status_code == 403
        assert "origin" in client.get("/api/companies").headers["vary"].lower()


def test_cors_for_all(spare_gateway):
    with httpx.Client(base_url=spare_gateway("--cors-origins", "*")) as client:
        assert client.get("/api/companies", headers={"origin": ORIGIN}).headers["access-control-allow-origin"] == "*"


# --- Limits of heads ---

def test_headers_that_are_too_large(platform, client):
    answer = client.get("/healthz", headers={"x-large": "a" * 16000})
    assert answer.status_code == 200
    # One header over the limit; too many of them; a target that is too long.
    with Raw(platform.http) as raw:
        assert raw.send(get("/healthz", "X-Large: " + "a" * 40000)).answer().status_code == 431
        assert raw.is_closed()
    with Raw(platform.http) as raw:
        assert raw.send(get("/healthz", *(f"X-{n}: v" for n in range(200)))).answer().status_code == 431
        assert raw.is_closed()
    with Raw(platform.http) as raw:
        assert raw.send(get("/" + "a" * 20000)).answer().status_code == 414
        assert raw.is_closed()
    assert client.get("/healthz").status_code == 200


def test_headers_that_are_too_large_over_http2(platform):
    with httpx.Client(base_url=platform.url, http1=False, http2=True) as client:
        try:
            assert client.get("/healthz", headers={f"x-{n}": "a" * 4000 for n in range(12)}).status_code == 431
        except httpx.RemoteProtocolError:
            pass  # an early end of the stream is an answer too
        assert client.get("/healthz").status_code == 200
        try:
            assert client.get("/" + "a" * 20000).status_code == 414
        except httpx.RemoteProtocolError:
            pass
        assert client.get("/healthz").status_code == 200


def test_headers_that_never_end_do_not_fill_memory(platform):
    with Raw(platform.http) as raw:
        raw.send("GET /healthz HTTP/1.1\r\nHost: dialplane\r\nX-Endless: ")
        with pytest.raises((BrokenPipeError, ConnectionResetError, AssertionError)):
            for _ in range(1000):
                raw.send(b"a" * 65536)
            raise AssertionError("64 MB of header were taken")


# --- Requests that different readers would read differently ---

@pytest.mark.parametrize("request_bytes", [
    post("/api/companies", "{}", "Content-Length: 2", "Content-Length: 3"),
    post("/api/companies", "{}", "Content-Length: 2", "Content-Length: 2"),
    post("/api/companies", "{}", "Content-Length: 2, 2"),
    post("/api/companies", "{}", "Content-Length: +2"),
    post("/api/companies", "{}", "Content-Length: -2"),
    post("/api/companies", "{}", "Content-Length: 0x2"),
    post("/api/companies", "{}", "Content-Length: 99999999999999999999"),
    post("/api/companies", "{}", "Content-Length : 2"),
    post("/api/companies", "2\r\n{}\r\n0\r\n\r\n", "Content-Length: 12", "Transfer-Encoding: chunked"),
    post("/api/companies", "2\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked", "Content-Length: 12"),
    post("/api/companies", "2\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    post("/api/companies", "2\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: gzip, chunked"),
    post("/api/companies", "2\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: xchunked"),
    post("/api/companies", "2\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding : chunked"),
    b"GET /healthz HTTP/1.1\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: a/b\r\n\r\n",
    b"GET /health z HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /healthz HTTP/1.1\nHost: a\n\n",
    b"GET /healthz HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: a\r\nX y: a\r\n\r\n",
    b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /healthz#x HTTP/1.1\r\nHost: a\r\n\r\n",
    b"NONSENSE\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
    b"get /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
])
def test_what_is_ambiguous_is_refused_and_the_connection_ends(platform, request_bytes):
    with Raw(platform.http) as raw:
        # what follows would be answered if the body had been measured in another way
        raw.send(request_bytes + get("/api/smuggled").encode())
        answer = raw.answer()
        assert answer.status_code in (400, 501, 505), answer.text
        assert answer.headers["connection"] == "close"
        check_problem(answer)
        assert raw.is_closed()


@pytest.mark.parametrize("body", [
    "zz\r\n{}\r\n0\r\n\r\n", "2\r\n{}xx\r\n0\r\n\r\n", "-2\r\n{}\r\n0\r\n\r\n", "\r\n\r\n", "ffffffffffffffffff\r\n{}", "2;\n{}\r\n0\r\n\r\n",
    "2\r\n{}\r\n0\r\nContent-Length 5\r\n\r\n", "2\n{}\n0\n\n", "0x2\r\n{}\r\n0\r\n\r\n",
])
def test_chunked_garbage(platform, api, body):
    before = api.get("/api/companies").json()["total"]
    with Raw(platform.http) as raw:
        answer = raw.send(post("/api/companies", body, "Transfer-Encoding: chunked")).answer()
        refused(answer, 400)
        assert answer.headers["connection"] == "close" and raw.is_closed()
    assert api.get("/api/companies").json()["total"] == before


def test_chunks_of_every_size(platform):
    with Raw(platform.http) as raw:
        for size in (1, 3, 1000):
            text = json.dumps(company_body()).encode()
            pieces = [text[at:at + size] for at in range(0, len(text), size)]
            body = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nX-Trailer: 1\r\n\r\n"
            assert raw.send(post("/api/companies", body, "Transfer-Encoding: chunked")).answer().status_code == 201


def test_a_request_may_come_byte_by_byte(platform):
    with Raw(platform.http) as raw:
        raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        text = json.dumps(company_body())
        for byte in post("/api/companies", text, f"Content-Length: {len(text)}"):
            raw.send(bytes([byte]))
        assert raw.answer().status_code == 201


@pytest.mark.parametrize("how", [socket.SHUT_WR, "close", "reset"])
def test_a_truncated_body_leaves_nothing_behind(platform, api, how):
    sent = company_body()
    before = api.get("/api/companies").json()["total"]
    text = json.dumps(sent)
    with Raw(platform.http) as raw:
        raw.send(post("/api/companies", text[:-5], f"Content-Length: {len(text)}"))
        if how == "close":
            raw.socket.close()
        elif how == "reset":
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.socket.close()
        else:
            raw.socket.shutdown(how)
            try:
                assert raw.answer().status_code == 400
            except EOFError:
                pass
    # what is on its way to be made would be made by now: another request on the same service has been
    made = api.company()
    assert api.get("/api/companies").json()["total"] == before + 1
    api.ok("DELETE", f"/api/companies/{made['id']}", 204)
    api.ok("POST", "/api/companies", 201, json=sent)


def test_expect_continue(platform):
    text = json.dumps(company_body())
    with Raw(platform.http) as raw:
        raw.send(post("/api/companies", "", f"Content-Length: {len(text)}", "Expect: 100-continue"))
        assert raw.answer().status_code == 100
        assert raw.send(text).answer().status_code == 201
    with Raw(platform.http) as raw:
        # refused before the body is sent
        raw.send(post("/api/companies", "", f"Content-Length: {1 << 30}", "Expect: 100-continue"))
        refused(raw.answer(), 413)


# --- Pipelining, keep-alive ---

def test_pipelining_answers_in_order(platform, api):
    made = api.company()
    paths = ["/healthz", f"/api/companies/{made['id']}", "/nothing", "/api/companies/x", "/", f"/api/companies/{made['id']}"] * 8
    with Raw(platform.http) as raw:
        raw.send("".join(get(path, f"X-Request-Id: p{n}") for n, path in enumerate(paths)))
        for n, path in enumerate(paths):
            answer = raw.answer()
            assert answer.headers["x-request-id"] == f"p{n}"
            assert answer.status_code == {"/nothing": 404, "/api/companies/x": 400}.get(path, 200)
        text = json.dumps(company_body())
        raw.send(post("/api/companies", text, f"Content-Length: {len(text)}") + get().encode() + get("/healthz", "Connection: close").encode() + get("/lost").encode())
        assert [raw.answer().status_code for _ in range(3)] == [201, 200, 200]
        assert raw.is_closed()


def test_http_1_0(platform):
    with Raw(platform.http) as raw:
        raw.send("GET /healthz HTTP/1.0\r\n\r\n")
        assert raw.answer().status_code == 200 and raw.is_closed()


def test_an_answer_that_nobody_waits_for(platform, api):
    """Clients that go away in the middle, in every way: the server answers others, and keeps neither memory of them nor descriptors."""
    company = api.company()
    descriptors = Path(f"/proc/{platform.pid('dialplane-gateway')}/fd")

    def count():
        return len(os.listdir(descriptors))
    api.get("/healthz")
    before = count()
    text = json.dumps({"company_id": company["id"]})
    starts = [
        b"G", b"GET /api/comp", b"GET /api/companies HTTP/1.1\r\nHost:", get("/api/companies?limit=1000").encode(),
        post("/api/companies", text, "Content-Length: 500"), post("/api/companies", "5\r\n{", "Transfer-Encoding: chunked"),
        get(f"/api/analytics/calls/{NOBODY}/events", "Accept: text/event-stream").encode(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), b"",
    ]
    for round_ in range(6):
        for start in starts:
            raw = Raw(platform.http)
            raw.send(start)
            if round_ % 2:
                raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.socket.close()
    assert api.get("/healthz").status_code == 200
    wait_until(lambda: count() <= before + 2, 20, f"descriptors back to {before}")


# --- HTTP/2 ---

def test_curl_over_http2_does_the_same(platform):
    body = json.dumps(company_body())
    answer = curl("--http2-prior-knowledge", "-H", "Content-Type: application/json", "-d", body, f"{platform.url}/api/companies")
    assert (answer.version, answer.status_code) == ("HTTP/2", 201)
    made = answer.json()
    one = curl("--http2-prior-knowledge", platform.url + answer.headers["location"])
    other = curl("--http1.1", platform.url + answer.headers["location"])
    assert one.json() == other.json() == made and one.headers["etag"] == other.headers["etag"]
    assert curl("--http2-prior-knowledge", "-X", "DELETE", "-H", 'If-Match: "1-0000000000000000"', platform.url + answer.headers["location"]).status_code == 412
    assert curl("--http2-prior-knowledge", "-X", "DELETE", platform.url + answer.headers["location"]).status_code == 204
    # curl's own upgrade from 1.1 is either taken or left, never an error
    assert curl("--http2", f"{platform.url}/healthz").status_code == 200


def test_many_streams_on_one_connection(platform, api):
    made = api.company()

    async def ask():
        async with httpx.AsyncClient(base_url=platform.url, http1=False, http2=True, timeout=20, limits=httpx.Limits(max_connections=1)) as client:
            return await asyncio.gather(*(client.get(f"/api/companies/{made['id']}", headers={"x-request-id": f"s{n}"}) for n in range(300)))
    answers = asyncio.run(ask())
    assert all(answer.json() == made for answer in answers)
    assert [answer.headers["x-request-id"] for answer in answers] == [f"s{n}" for n in range(300)]


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


@pytest.mark.parametrize("name, frames", [
    ("no settings first", frame(0, 0, 1, b"x")),
    ("data on a stream that was never opened", frame(4, 0, 0) + frame(0, 1, 5, b"x")),
    ("headers on an even stream", frame(4, 0, 0) + frame(1, 5, 2, b"\x82")),
    ("headers on stream 0", frame(4, 0, 0) + frame(1, 5, 0, b"\x82")),
    ("settings of an odd size", frame(4, 0, 0, b"x" * 5)),
    ("a frame that is too large", frame(4, 0, 0) + frame(0, 0, 1, b"x" * 16385)),
    ("bytes that are no HPACK", frame(4, 0, 0) + frame(1, 5, 1, b"\xff\xff\xff\xff\xff\xff\xff")),
    ("a window update of 0", frame(4, 0, 0) + frame(8, 0, 0, bytes(4))),
    ("a ping of the wrong size", frame(4, 0, 0) + frame(6, 0, 0, b"x")),
    ("continuation without headers", frame(4, 0, 0) + frame(9, 4, 1, b"\x82")),
])
def test_broken_http2_ends_the_connection_and_nothing_else(platform, api, name, frames):
    with Raw(platform.http) as raw:
        raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frames)
        received = b""
        try:
            while piece := raw.socket.recv(65536):
                received += piece
        except ConnectionResetError:
            pass
    kinds = []
    while received:
        kinds.append(received[3])
        received = received[9 + int.from_bytes(received[:3], "big"):]
    assert 7 in kinds, f"{name}: no GOAWAY but {kinds}"
    assert api.get("/healthz").status_code == 200


def test_http2_paths_must_begin_with_a_slash(platform):
    import h2.connection
    import h2.config
    import h2.events
    for path in ("api/companies", "", "*"):
        with Raw(platform.http) as raw:
            connection = h2.connection.H2Connection(h2.config.H2Configuration(
                validate_outbound_headers=False, normalize_outbound_headers=False))
            connection.initiate_connection()
            connection.send_headers(1, [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", path)], end_stream=True)
            raw.send(connection.data_to_send())
            status = None
            while status is None:
                for event in connection.receive_data(raw.socket.recv(65536)):
                    if isinstance(event, h2.events.ResponseReceived):
                        status = dict(event.headers)[b":status"]
                    elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                        status = b"reset"
            assert status in (b"400", b"404", b"reset"), path


# --- WebSocket ---

def websocket_head(path, *headers):
    return get(path, "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
               *headers)


@pytest.fixture
def call(api):
    """A call that is under way."""
    company = api.company()
    call = str(uuid.uuid4())
    api.ok("POST", f"/api/analytics/calls/{call}/events", json={"events": [
        {"seq": 1, "occurred_at": "2026-03-01T10:00:00Z", "started": {"company_id": company["id"]}}]})
    return call


def ws_frame(opcode, payload=b"", fin=True, mask=True, rsv=0, length=None):
    size = len(payload) if length is None else length
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    head = bytes([first, (0x80 if mask else 0) | size]) if size < 126 else bytes([first, (0x80 if mask else 0) | 127]) + size.to_bytes(8, "big")
    if not mask:
        return head + payload
    return head + b"\x01\x02\x03\x04" + bytes(byte ^ (i % 4 + 1) for i, byte in enumerate(payload))


def closing_code(raw):
    """The code of the close frame that the server ends with."""
    while True:
        head = raw.take(2)
        size = head[1] & 127
        if size == 126:
            size = int.from_bytes(raw.take(2), "big")
        elif size == 127:
            size = int.from_bytes(raw.take(8), "big")
        payload = raw.take(size)
        if head[0] & 15 == 8:
            return int.from_bytes(payload[:2], "big")


@pytest.mark.parametrize("name, frames, codes", [
    ("not masked", ws_frame(1, b"ping", mask=False), {1002}),
    ("a reserved bit", ws_frame(1, b"ping", rsv=4), {1002}),
    ("an unknown opcode", ws_frame(3, b"x"), {1002}),
    ("an unknown control opcode", ws_frame(11), {1002}),
    ("a ping that is too long", ws_frame(9, b"x" * 126), {1002}),
    ("a ping in pieces", ws_frame(9, b"x", fin=False), {1002}),
    ("continuation of nothing", ws_frame(0, b"x"), {1002}),
    ("a message inside a message", ws_frame(1, b"a", fin=False) + ws_frame(1, b"b"), {1002}),
    ("text that is not UTF-8", ws_frame(1, b"\xff\xfe"), {1007}),
    ("a message that is too large", ws_frame(1, b"x", length=1 << 40), {1009}),
    ("a close with one byte", ws_frame(8, b"x"), {1002}),
    ("a close with a code of nobody", ws_frame(8, b"\x03\xed"), {1002}),
    ("a close", ws_frame(8, b"\x03\xe8"), {1000}),
])
def test_websocket_frames_that_break_the_rules(platform, api, call, name, frames, codes):
    with Raw(platform.http) as raw:
        answer = raw.send(websocket_head(f"/api/analytics/ws/calls/{call}")).answer()
        assert answer.status_code == 101 and answer.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        raw.send(frames)
        assert closing_code(raw) in codes, name
        assert raw.is_closed()
    assert api.get("/healthz").status_code == 200


def test_websocket_handshakes_that_are_wrong(platform, call):
    path = f"/api/analytics/ws/calls/{call}"
    for status, lines in [
        (426, ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 8", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]),
        (400, ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]),
        (400, ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: c2hvcnQ="]),
    ]:
        with Raw(platform.http) as raw:
            refused(raw.send(get(path, *lines)).answer(), status)
    with Raw(platform.http) as raw:
        assert raw.send(websocket_head("/api/companies")).answer().status_code in (200, 400, 404, 426)
    with Raw(platform.http) as raw:
        assert raw.send(websocket_head("/nothing")).answer().status_code == 404


def test_websocket_of_a_foreign_page_is_refused(platform, call):
    with Raw(platform.http) as raw:
        answer = raw.send(websocket_head(f"/api/analytics/ws/calls/{call}", "Origin: https://evil.example")).answer()
        refused(answer, 403)
    with Raw(platform.http) as raw:
        assert raw.send(websocket_head(f"/api/analytics/ws/calls/{call}", "Origin: http://dialplane")).answer().status_code == 101


def test_websockets_own_client(platform, call):
    async def watch():
        async with websockets.connect(f"ws://{platform.http}/api/analytics/ws/calls/{call}") as socket_:
            first = json.loads(await asyncio.wait_for(socket_.recv(), 10))
            assert first["type"] == "init" and first["data"]["call_id"] == call
            await socket_.send("ping")
            while (text := await asyncio.wait_for(socket_.recv(), 10)) != "pong":
                json.loads(text)
            await (await socket_.ping())
        async with websockets.connect(f"ws://{platform.http}/api/analytics/ws/calls/{NOBODY}") as socket_:
            assert json.loads(await asyncio.wait_for(socket_.recv(), 10)) == {"type": "error", "message": "Call not found"}
            with pytest.raises(websockets.ConnectionClosed):
                await asyncio.wait_for(socket_.recv(), 10)
            assert socket_.close_code == 4404
    asyncio.run(watch())


# --- A service that is away ---

def test_a_service_that_is_away_is_503_at_once(spare_gateway):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = spare_gateway("--skillbase", "127.0.0.1:%d" % nobody.getsockname()[1], ready=False)
        with httpx.Client(base_url=url, timeout=10) as client:
            assert client.get("/healthz").status_code == 200
            answer = client.get("/readyz")
            assert answer.status_code == 503
            answer = client.get("/api/companies")
            problem = refused(answer, 503)
            assert problem["code"] == "UNAVAILABLE" and int(answer.headers["retry-after"]) >= 1
            assert client.get("/api/campaigns").status_code == 200


def test_slow_heads_are_cut(platform):
    """A head that does not end within 10 seconds; in the background of nothing else, so it is the longest test here."""
    with Raw(platform.http, timeout=20) as raw:
        raw.send("GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        stop = threading.Event()

        def drip():
            while not stop.wait(0.5):
                try:
                    raw.send(b"a")
                except OSError:
                    return
        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            assert raw.answer().status_code == 408
        finally:
            stop.set()
            dripping.join()
