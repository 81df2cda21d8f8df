"""The service pages: / and its files, /healthz, /readyz, /metrics, /openapi.json, /docs, /redoc."""

import json
import re

import httpx
import pytest

from clients import Raw, curl
from conftest import check_problem
from reflected import Reflected


def test_the_first_page_names_the_service_and_links(api):
    page = api.get("/")
    assert page.status_code == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
    assert "Dialplane" in page.text and re.search(r"\d+\.\d+\.\d+", page.text)
    links = set(re.findall(r'(?:href|src)="(/[^"{]*)"', page.text))
    assert {"/docs", "/redoc", "/openapi.json"} <= links
    for link in links:
        assert api.get(link).status_code == 200, link


def test_pages_are_cached_by_tag_and_guarded(api):
    for path in ("/", "/docs", "/redoc"):
        page = api.get(path)
        assert page.headers["x-content-type-options"] == "nosniff"
        assert "content-security-policy" in page.headers
        again = api.client.get(path, headers={"if-none-match": page.headers["etag"]})
        assert again.status_code == 304 and again.content == b""


def test_what_is_not_there(api):
    for path in ("/index", "/nothing.html", "/docs/", "/docs/x", "/favicon.ico.exe", "/static", "/page.css/"):
        answer = api.get(path)
        assert answer.status_code == 404, path
        check_problem(answer)
    assert api.client.post("/").status_code in (404, 405)


@pytest.mark.parametrize("path", [
    "/../etc/passwd", "/../../../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc/passwd", "/./index.html/../../etc/passwd",
    "//etc/passwd", "/%2fetc%2fpasswd", "/docs/../../etc/passwd", "/..\\..\\etc\\passwd", "/index.html%00.css", "/.git/config", "/api/../dev",
])
def test_no_way_out_of_the_pages(platform, path):
    for version in ("--http1.1", "--http2-prior-knowledge"):
        answer = curl(version, platform.url + path)
        assert answer.status_code in (400, 404), path
        assert b"root:" not in answer.content


def test_health(api):
    for path in ("/healthz", "/readyz"):
        answer = api.get(path)
        assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
    assert set(api.get("/readyz").json()["backends"].values()) == {"serving"}
    assert set(api.get("/readyz").json()["backends"]) == {"skillbase", "campaign", "analytics"}


# --- /metrics ---

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)(?: \d+)?')


def parse_metrics(text):
    """Prometheus's text format: {(name, labels): value}, {name: kind}; every rule of the format that can be broken is checked."""
    samples, kinds, helped, last = {}, {}, set(), None
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# "):
            _, word, name, rest = line.split(" ", 3)
            if word == "HELP":
                assert name not in helped
                helped.add(name)
            elif word == "TYPE":
                assert rest in ("counter", "gauge", "histogram", "summary", "untyped") and name not in kinds
                kinds[name] = rest
                last = name
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        name, labels, value = match.groups()
        family = next((name[:-len(end)] for end in ("_bucket", "_sum", "_count") if name.endswith(end) and name[:-len(end)] in kinds), name)
        assert family == last, f"{name} stands apart from its family"
        key = name, tuple(sorted(re.findall(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"', labels or "")))
        assert key not in samples, line
        samples[key] = float(value)
        if kinds[family] == "counter":
            assert name.endswith("_total") and float(value) >= 0, name
    assert set(kinds) == helped
    for name in (name for name, kind in kinds.items() if kind == "histogram"):
        series = {}
        for (sample, labels), value in samples.items():
            if sample == f"{name}_bucket":
                rest = tuple(label for label in labels if label[0] != "le")
                series.setdefault(rest, []).append((float(dict(labels)["le"]), value))
        for rest, buckets in series.items():
            values = [value for _, value in sorted(buckets)]
            assert values == sorted(values) and sorted(buckets)[-1][0] == float("inf")
            assert samples[f"{name}_count", rest] == values[-1]
            assert (f"{name}_sum", rest) in samples
    return samples, kinds


def test_metrics_are_in_the_format(api):
    answer = api.get("/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples, kinds = parse_metrics(answer.text)
    assert "histogram" in kinds.values() and len(kinds) > 10
    # nothing that a client chose becomes a label
    tag = "zebra" * 4
    api.get(f"/{tag}")
    api.client.request("POST", f"/api/companies/{tag}?{tag}={tag}", headers={"x-request-id": tag, "origin": f"http://{tag}"})
    api.client.request(tag.upper(), "/")
    assert tag not in api.get("/metrics").text.lower()


def requests(api):
    samples, _ = parse_metrics(api.get("/metrics").text)
    return {labels: value for (name, labels), value in samples.items() if name == "dialplane_http_requests_total"}


def test_metrics_count_requests(api):
    label = tuple(sorted({"method": "GET", "route": "/api/companies/{id}", "status": "400"}.items()))
    before = requests(api).get(label, 0)
    for _ in range(3):
        api.get("/api/companies/x")
    assert requests(api)[label] == before + 3


def metrics_port(platform, process):
    """The services listen for /metrics on a port of their own choice: found among the ports of the process."""
    pid = platform.pid(process)
    import os
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    ports = set()
    for line in open("/proc/net/tcp").readlines()[1:]:
        columns = line.split()
        if columns[3] == "0A" and columns[9] in inodes:
            ports.add(int(columns[1].split(":")[1], 16))
    return ports


@pytest.mark.parametrize("process", ["skillbase", "campaign", "analytics"])
def test_metrics_and_health_of_the_services(platform, process):
    grpc_port = int(getattr(platform, process).rsplit(":", 1)[1])
    ports = metrics_port(platform, f"dialplane-{process}") - {grpc_port}
    assert len(ports) == 1
    url = f"http://127.0.0.1:{ports.pop()}"
    assert httpx.get(f"{url}/healthz").status_code == 200
    answer = httpx.get(f"{url}/metrics")
    assert answer.status_code == 200
    samples, _ = parse_metrics(answer.text)
    assert any("dialplane.v1" in str(labels) for _, labels in samples)
    assert httpx.get(f"{url}/nothing").status_code == 404


# --- /openapi.json ---

@pytest.fixture(scope="module")
def openapi(api):
    answer = api.get("/openapi.json")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def bindings(platform):
    """(verb, path) of every google.api.http binding, read from the services themselves by reflection."""
    out = set()
    for address in (platform.skillbase, platform.campaign, platform.analytics):
        with Reflected(address) as client:
            for service in client.services():
                if not service.startswith("dialplane."):
                    continue
                for method in client.service(service).methods:
                    http = next((value for field, value in _options(client, method).ListFields() if field.full_name == "google.api.http"), None)
                    for rule in [http, *http.additional_bindings] if http else []:
                        verb = rule.WhichOneof("pattern")
                        out.add((verb, re.sub(r"\{(\w+)=[^}]*\}", r"{\1}", getattr(rule, verb))))
    return out


def _options(client, method):
    """The options with the extensions that the reflected files define: parsed again with the reflected pool."""
    client.factory.GetMessages(["google/api/annotations.proto"])
    options = client.pool.FindMessageTypeByName("google.protobuf.MethodOptions")
    return client.factory.GetPrototype(options).FromString(method.GetOptions().SerializeToString())


def test_openapi_has_every_route(platform, openapi):
    assert openapi["openapi"].startswith("3.1.")
    assert openapi["info"]["title"] and openapi["info"]["version"]
    described = {(verb, path) for path, item in openapi["paths"].items() for verb in item if verb in ("get", "put", "post", "delete", "patch")}
    expected = bindings(platform)
    assert len(expected) >= 30
    assert expected <= described
    assert {path for _, path in described - expected} <= {"/healthz", "/readyz", "/metrics", "/openapi.json"}


def walk_references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from walk_references(item)
    elif isinstance(value, list):
        for item in value:
            yield from walk_references(item)


def test_openapi_is_sound(openapi):
    for reference in walk_references(openapi):
        assert reference.startswith("#/"), reference
        here = openapi
        for part in reference[2:].split("/"):
            here = here[part.replace("~1", "/").replace("~0", "~")]
    names = set()
    for path, item in openapi["paths"].items():
        for verb, operation in item.items():
            if verb == "parameters":
                continue
            assert operation["operationId"] not in names
            names.add(operation["operationId"])
            assert operation["responses"], (verb, path)
            in_path = {p["name"] for p in operation.get("parameters", []) + item.get("parameters", []) if p["in"] == "path"}
            assert in_path == set(re.findall(r"\{(\w+)\}", path)), (verb, path)
            assert all(p["required"] for p in operation.get("parameters", []) if p["in"] == "path")


def resolve(openapi, schema):
    while "$ref" in schema:
        here = openapi
        for part in schema["$ref"][2:].split("/"):
            here = here[part]
        schema = here
    return schema


def test_openapi_says_the_rules_and_the_answers(api, openapi):
    post = openapi["paths"]["/api/companies"]["post"]
    assert "201" in post["responses"] and "400" in post["responses"] or "default" in post["responses"]
    schema = resolve(openapi, post["requestBody"]["content"]["application/json"]["schema"])
    assert set(schema["required"]) == {"name", "slug"}
    assert schema["properties"]["name"]["maxLength"] == 255
    assert schema["properties"]["slug"]["pattern"] == "^[a-z0-9-]+$"
    get = openapi["paths"]["/api/companies"]["get"]
    limit = next(p for p in get["parameters"] if p["name"] == "limit")["schema"]
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, 1000, 50)
    answer = resolve(openapi, get["responses"]["200"]["content"]["application/json"]["schema"])
    assert set(answer["properties"]) == {"items", "total", "next_page_token"}
    company = resolve(openapi, openapi["paths"]["/api/companies/{id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"])
    assert set(company["properties"]) == set(api.company())
    upload = openapi["paths"]["/api/campaigns/{campaign_id}/call-list"]["post"]["requestBody"]["content"]
    assert "multipart/form-data" in upload
    assert "204" in openapi["paths"]["/api/companies/{id}"]["delete"]["responses"]


# --- /docs, /redoc ---

@pytest.mark.parametrize("path, word", [("/docs", "swagger"), ("/redoc", "redoc")])
def test_docs_come_whole_from_this_server(api, path, word):
    page = api.get(path)
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert word in page.text.lower()
    sources = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert any(source.endswith(".js") for source in sources)
    for source in sources:
        assert source.startswith("/") and not source.startswith("//"), f"{source}: nothing may come from elsewhere"
        part = api.get(source)
        assert part.status_code == 200 and len(part.content) > 0, source
        if source.endswith(".js"):
            assert part.headers["content-type"].startswith("text/javascript")
    texts = page.text + "".join(api.get(source).text for source in sources if source.endswith(".js") and len(api.get(source).content) < 20000)
    assert "/openapi.json" in texts


def test_pages_over_a_raw_socket_keep_the_connection(platform):
    with Raw(platform.http) as raw:
        for path in ("/", "/openapi.json", "/metrics", "/healthz"):
            answer = raw.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").answer()
            assert answer.status_code == 200 and len(answer.content) == int(answer.headers["content-length"])
            if path == "/openapi.json":
                json.loads(answer.content)
