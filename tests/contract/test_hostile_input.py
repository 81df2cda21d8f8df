"""Input that means something to somebody else: to a database, a shell of headers, a file system, another reader of the same bytes. Everywhere it is
refused clearly, or kept as the text that it is."""

import copy
import json
import re
import urllib.parse
import uuid

import httpx
import pytest

import examples
import openapi
from clients import NOBODY, Raw
from conftest import check_problem, fields

# --- Text in every string field of every request, generated from the description (which is generated from the descriptors) ---

HOSTILE = [
    "'; DROP TABLE companies; -- \" OR \"1\"=\"1 $1 \\' %s %_",
    '$.* ? (@ like_regex "(" flag "q") || ${jndi:ldap://x} {{7*7}} <script>alert(1)</script>',
    "a\u0000b",
]
LEAKS = re.compile(r"syntax error|SQLSTATE|pg_|libpq|relation \"|unterminated|jsonpath|SELECT |PREPARE|at character|invalid input syntax|backtrace|\.c:\d", re.I)
DEPTH = 8


class Recorder(examples.Tour):
    """Keeps one good request of every operation."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.good = {}

    def do(self, operation, status=None, path=None, query=None, **request):
        if status is None:
            self.good.setdefault(operation, {"path": path or {}, "query": query or {}, "json": request.get("json")})
        return super().do(operation, status, path, query, **request)


@pytest.fixture(scope="module")
def document(platform):
    return openapi.Document.of(platform.url)


@pytest.fixture(scope="module")
def good(platform, api, document):
    """operation: a request that was accepted, of things that are still there."""
    made = []

    class Kept(Recorder):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(examples, "Tour", Kept)
        patch.setattr(examples, "ends", lambda *_: None)
        examples.run(platform, api, document)
    return made[0].good


def string_fields(document, schema, path=(), depth=0):
    """Paths of all string fields of a body: keys, 0 for the first of a list, and one key of a map or a free-form object."""
    if depth > DEPTH:
        return
    if "$ref" in schema:
        schema = document.resolve(schema)
    for key in ("oneOf", "anyOf", "allOf"):
        for choice in schema.get(key, []):
            yield from string_fields(document, choice, path, depth + 1)
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "string" in kinds:
        yield path
    if "array" in kinds and "items" in schema:
        yield from string_fields(document, schema["items"], (*path, 0), depth + 1)
    for name, member in schema.get("properties", {}).items():
        yield from string_fields(document, member, (*path, name), depth + 1)
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        yield from string_fields(document, more, (*path, "key"), depth + 1)
    elif "object" in kinds and not schema.get("properties"):
        yield (*path, "key")


def put(value, path, text):
    """The value with the text at that path, whatever was there."""
    if not path:
        return text
    if path[0] == 0:
        items = list(value) if isinstance(value, list) and value else [None]
        return [put(items[0], path[1:], text), *items[1:]]
    members = dict(value) if isinstance(value, dict) else {}
    members[path[0]] = put(members.get(path[0]), path[1:], text)
    return members


def at(value, path):
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def harmless(answer, what):
    assert answer.status_code < 500, f"{what}: {answer.status_code} {answer.text[:500]}"
    if answer.status_code >= 400:
        problem = check_problem(answer)
        # a value that is repeated may be repeated; what a database says of it may not
        said = json.dumps(problem)
        for text in HOSTILE:
            said = said.replace(json.dumps(text)[1:-1], "")
        assert not LEAKS.search(said), f"{what}: {said}"


def ask(api, verb, url, query=None, body=None):
    """Streams are not waited for: their status is all that is asked for."""
    with api.client.stream(verb.upper(), url, params=query, json=body, timeout=60) as answer:
        if not answer.headers.get("content-type", "").startswith(("text/event-stream", "application/x-ndjson")):
            answer.read()
        return answer


def distinct(body):
    """Bodies of things with unique names can be sent again and again."""
    body = copy.deepcopy(body)
    if isinstance(body, dict):
        for key in ("slug", "name"):
            if isinstance(body.get(key), str):
                body[key] = f"{body[key][:40]}-{uuid.uuid4().hex[:12]}".lower()
    return body


def test_hostile_text_in_every_field_of_a_body(api, document, good):
    """Whatever it says, it is refused or stored as it is."""
    tried = stored = 0
    for name, (verb, template, operation) in document.operations.items():
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        base = good.get(name)
        if not content or not base:
            continue
        url = re.sub(r"\{(\w+)\}", lambda match, base=base: str(base["path"][match.group(1)]), template)
        paths = sorted(set(string_fields(document, content["schema"])), key=str)
        for number, path in enumerate(paths):
            # each text in the fields at the top, further down one after the other
            for text in HOSTILE if len(path) == 1 else HOSTILE[number % len(HOSTILE):][:1]:
                body = put(distinct(base["json"] or {}), path, text)
                answer = ask(api, verb, url, base["query"], body)
                what = f"{name} with {text!r} in {path}"
                harmless(answer, what)
                tried += 1
                if answer.status_code in (200, 201) and isinstance(kept := at(answer.json(), path), str):
                    assert kept == text, f"{what} became {kept!r}"
                    stored += 1
    assert tried > 100 and stored > 5, (tried, stored)


def test_hostile_text_in_every_path_and_query(api, document, good):
    tried = 0
    for name, (verb, template, operation) in document.operations.items():
        base = good.get(name, {"path": {}, "query": {}, "json": None})
        names = re.findall(r"\{(\w+)\}", template)
        values = {key: str(base["path"].get(key, NOBODY)) for key in names}
        queries = [p["name"] for p in operation.get("parameters", []) if p["in"] == "query"]
        for text in HOSTILE:
            for key in names:
                filled = {**values, key: urllib.parse.quote(text, safe="")}
                url = re.sub(r"\{(\w+)\}", lambda match, filled=filled: filled[match.group(1)], template)
                answer = ask(api, verb, url, base["query"], base["json"])
                harmless(answer, f"{name} with {text!r} as {key} of the path")
                assert answer.status_code >= 400, f"{name}: {text!r} was found as {key}"
                tried += 1
            if verb not in ("get", "delete") or not queries:
                continue
            nobody = {key: NOBODY if verb == "delete" else value for key, value in values.items()}
            url = re.sub(r"\{(\w+)\}", lambda match, nobody=nobody: nobody[match.group(1)], template)
            for key in queries:
                harmless(ask(api, verb, url, {**base["query"], key: text}), f"{name} with {text!r} as {key} of the query")
                tried += 1
    assert tried > 100, tried


def test_everything_is_still_there(api, good):
    """After all that: the tables, and what was in them."""
    company = good["GetCompany"]["path"]["id"]
    assert api.ok("GET", f"/api/companies/{company}")["id"] == company
    assert api.ok("GET", "/api/companies", params={"limit": 1})["total"] > 0


def test_hostile_rows_of_a_call_list(api):
    company = api.company()
    campaign = api.campaign(company, api.skillbase(company))
    names = [text.replace("\u0000", "").replace('"', '""') for text in HOSTILE]
    rows = "".join(f'+1201555{1000 + n},"{name}","=cmd|\'/c calc\'!A1"\n' for n, name in enumerate(names))
    uploaded = api.upload(campaign, f"phone_number,name,note\n{rows}")
    assert uploaded["accepted"] == len(names) if "accepted" in uploaded else True
    page = api.ok("GET", f"/api/campaigns/{campaign['id']}/tasks")
    kept = {json.dumps(task) for task in page["items"]}
    for text in HOSTILE[:2]:
        assert any(json.dumps(text)[1:-1] in task for task in kept), text


# --- Page tokens and tags that nobody was given ---

def forgeries(token):
    yield from ("x", "AAAA", "-1", "0", "null", "' OR 1=1 --", "%00", "=" * 8, token + "A", token[:-1], token[::-1], token.swapcase(), "A" * 5000)
    for place in range(0, len(token), max(1, len(token) // 6)):
        other = "A" if token[place] != "A" else "B"
        yield token[:place] + other + token[place + 1:]


def test_forged_page_tokens_of_every_list(api, document, good):
    """A token that was changed in any place is refused; it shows nobody's rows and moves no cursor."""
    lists = {name: base for name, base in good.items()
             if any(p["name"] == "page_token" for p in document.operations[name][2].get("parameters", []))}
    assert len(lists) >= 5
    real = 0
    for name, base in lists.items():
        verb, template, operation = document.operations[name]
        url = re.sub(r"\{(\w+)\}", lambda match, base=base: str(base["path"][match.group(1)]), template)
        size = next(p["name"] for p in operation["parameters"] if p["name"] in ("limit", "page_size"))
        token = ask(api, verb, url, {**base["query"], size: 1}).json().get("next_page_token")
        real += bool(token)
        for forged in forgeries(token or "eyJhIjoxfQ"):
            if forged == token:
                continue
            answer = ask(api, verb, url, {**base["query"], "page_token": forged})
            harmless(answer, f"{name} with the page token {forged[:60]!r}")
            assert answer.status_code == 400, f"{name} took the page token {forged[:60]!r}"
            if len(forged) < 1000:
                assert "page_token" in fields(answer.json()), answer.text
    assert real >= 2


@pytest.mark.parametrize("tag", ['"', '""', "*x", 'W/', '"a', 'a"', '"1-zzzz"', '"-1-0"', '"99999999999999999999-0"', "' OR 1=1 --", '"\'; --"', "a,b,,", ",",
                                 '"x", *', '"' + "a" * 4000 + '"', '"\x80\xff"'])
def test_forged_tags(api, tag):
    company = api.company()
    path = f"/api/companies/{company['id']}"
    # As bytes: a header is not text.
    matched = api.client.put(path, json={"description": "x"}, headers={b"if-match": tag.encode("latin-1")})
    harmless(matched, f"If-Match {tag!r}")
    assert matched.status_code in (400, 412), f"If-Match {tag!r} matched"
    assert api.ok("GET", path)["description"] == company["description"]
    assert api.client.get(path, headers={b"if-none-match": tag.encode("latin-1")}).status_code in (200, 400)


# --- Headers ---

INJECTED = ["a\r\nX-Injected: 1", "a\nX-Injected: 1", "a\rX-Injected: 1", "a\x00b", "a\r\n\r\n<html>", "a\x0bb", "a\x7fb"]


@pytest.mark.parametrize("value", INJECTED)
@pytest.mark.parametrize("name", ["X-Request-Id", "X-Other", "traceparent", "Origin", "Authorization", "Accept", "If-Match"])
def test_line_ends_in_headers(platform, name, value):
    """Over HTTP/1.1 a line end ends the header, or the request is refused; nothing of a value comes back as a header of its own."""
    with Raw(platform.http) as raw:
        raw.send(f"GET /healthz HTTP/1.1\r\nHost: dialplane\r\n{name}: ".encode() + value.encode() + b"\r\nConnection: close\r\n\r\n")
        answer = raw.answer()
        assert "x-injected" not in answer.headers and b"<html>" not in answer.content
        assert answer.headers.get("x-request-id", "") != value
        if "\r\n" not in value and value != "a\x0bb":
            assert answer.status_code == 400
        else:
            assert answer.status_code in (200, 400)


@pytest.mark.parametrize("value", INJECTED)
@pytest.mark.parametrize("name", ["x-request-id", "x-other"])
def test_line_ends_in_headers_over_http2(platform, name, value):
    import h2.config
    import h2.connection
    import h2.events
    with Raw(platform.http) as raw:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False,
                                                                          header_encoding="latin-1"))
        connection.initiate_connection()
        connection.send_headers(1, [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/healthz"), (name, value)], end_stream=True)
        raw.send(connection.data_to_send())
        ended = None
        while ended is None:
            for event in connection.receive_data(raw.socket.recv(65536)):
                if isinstance(event, h2.events.ResponseReceived):
                    headers = dict(event.headers)
                    assert "x-injected" not in headers and value not in headers.values()
                    ended = headers[":status"]
                elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                    ended = "reset"
        assert ended in ("400", "reset")


@pytest.mark.parametrize("name", ["X\r\nInjected", "X Injected", "X:Injected", "", "X\x00", "X\x7f", "(X)", "\u00e4".encode().decode("latin-1")])
def test_names_that_are_none(platform, name):
    with Raw(platform.http) as raw:
        raw.send(b"GET /healthz HTTP/1.1\r\nHost: dialplane\r\n" + name.encode("latin-1") + b": 1\r\nConnection: close\r\n\r\n")
        answer = raw.answer()
        assert answer.status_code in ((200, 400) if name == "X:Injected" else (400,)) and "injected" not in answer.headers


@pytest.mark.parametrize("value", ["<script>", "a b", "a\tb", "'; --", "x" * 129, "\u00e4", "%0d%0aX-Injected: 1", "a,b"])
def test_request_ids_that_are_not_safe_are_not_repeated(platform, value):
    with httpx.Client(base_url=platform.url) as client:
        answer = client.get("/healthz", headers={b"x-request-id": value.encode()})
        assert answer.status_code == 200 and re.fullmatch(r"[0-9a-f-]{36}", answer.headers["x-request-id"])


# --- Paths ---

TRAVERSALS = [
    "/../{}", "/%2e%2e/{}", "/%2E%2E%2F{}", "/..%2f{}", "/%252e%252e/{}", "/%252e%252e%252f{}", "/..\\{}", "/..%5c{}", "/%2e%2e%5c{}", "/..%255c{}",
    "/%c0%ae%c0%ae/{}", "/%e0%80%ae%e0%80%ae/{}", "/....//{}", "/..;/{}", "/./../{}", "/page.css/../../{}", "/page.css/%2e%2e/%2e%2e/{}", "/{}%00.css",
    "//{}", "/%2f{}", "/\\{}", "/%5c{}", "/~/{}", "/.%2e/{}", "/file:{}", "/%uff0e%uff0e/{}",
]


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
def test_paths_out_of_the_pages(platform, spare_gateway, tmp_path, version):
    """Whatever is written for "one up": nothing outside the folder of pages is served, nor by way of a link in it."""
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "page.css").write_text("body {}")
    (pages / "index.html").write_text("<p>index</p>")
    (pages / ".hidden").write_text("the secret")
    own = spare_gateway("--pages", str(pages))
    with httpx.Client(http1=version == "HTTP/1.1", http2=version == "HTTP/2") as client:
        assert client.get(f"{own}/page.css").text == "body {}"
        for base in (own, platform.url):
            for pattern in TRAVERSALS:
                for target in ("secret.txt", str(secret).lstrip("/"), "etc/passwd", ".hidden"):
                    path = pattern.format(target)
                    # as it is written: no client shortens it
                    answer = client.send(httpx.Request("GET", httpx.URL(base).copy_with(raw_path=path.encode("latin-1"))))
                    assert answer.status_code in (400, 404), f"{path}: {answer.status_code}"
                    assert "the secret" not in answer.text and "root:" not in answer.text


# --- WebSockets of foreign pages, over both versions ---

FOREIGN = ["https://evil.example", "null", "http://dialplane.evil.example", "http://evil.example/dialplane", "http://dialplane@evil.example", "http://dialplane:1",
           "file://", "http://dialplane, http://evil.example", "dialplane", "http://", "http://DIALPLANE.", "http://dialplane:8000#"]


@pytest.mark.parametrize("origin", FOREIGN)
def test_websockets_of_foreign_pages(platform, spare_gateway, origin):
    own = spare_gateway("--cors-origins", "https://app.example.com").removeprefix("http://")
    for address in (platform.http, own):
        with Raw(address) as raw:
            raw.send(f"GET /api/analytics/ws/calls/{NOBODY} HTTP/1.1\r\nHost: dialplane\r\nOrigin: {origin}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            answer = raw.answer()
            assert answer.status_code == 403
            assert check_problem(answer)["reason"] == "ORIGIN_NOT_ALLOWED"


def test_websockets_of_foreign_pages_over_http2(platform):
    import h2.config
    import h2.connection
    import h2.events
    with Raw(platform.http) as raw:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(validate_outbound_headers=False, header_encoding="utf-8"))
        connection.initiate_connection()
        raw.send(connection.data_to_send())
        connection.send_headers(1, [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "dialplane"),
                                    (":path", f"/api/analytics/ws/calls/{NOBODY}"), ("sec-websocket-version", "13"), ("origin", "https://evil.example")])
        raw.send(connection.data_to_send())
        status = None
        while status is None:
            for event in connection.receive_data(raw.socket.recv(65536)):
                if isinstance(event, h2.events.ResponseReceived):
                    status = dict(event.headers)[":status"]
        assert status == "403"


# --- Two readers, one request ---

SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: smuggled\r\n\r\n"


@pytest.mark.parametrize("head", [
    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    b"Content-Length: 0\r\nContent-Length: 48\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding: \x0bchunked\r\n",
    b"Transfer-Encoding: chunked, identity\r\n",
    b"Transfer-Encoding:\r\n chunked\r\n",
    b"Transfer_Encoding: chunked\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    b"Content-Length: 5 \r\nX: y\r\nContent-Length:5\r\n",
    b"Content-Length: 5\r\n\tfolded\r\n",
])
def test_a_second_request_is_never_found_in_the_first(platform, head):
    """The connection ends with the refusal, so that nothing that follows is taken for a request of anybody's."""
    with Raw(platform.http) as raw:
        raw.send(b"POST /api/companies HTTP/1.1\r\nHost: dialplane\r\nContent-Type: application/json\r\n" + head + b"\r\n0\r\n\r\n" + SMUGGLED)
        assert raw.answer().status_code == 400
        assert raw.is_closed()


def test_a_body_is_not_a_request(platform):
    with Raw(platform.http) as raw:
        raw.send(b"POST /api/companies HTTP/1.1\r\nHost: dialplane\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED)
        assert raw.answer().status_code == 400
        raw.send("GET /healthz HTTP/1.1\r\nHost: dialplane\r\n\r\n")
        assert raw.answer().status_code == 200
        assert raw.buffer == b""
