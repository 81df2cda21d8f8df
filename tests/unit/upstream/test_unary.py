"""Ordinary calls: transcoding, conditions, errors, metadata."""
import http.client
import re
import signal
import socket
import struct
import threading
import time

import grpc
import pytest

ID = "0190a6b0-1234-7abc-8def-0123456789ab"


def skillbase(protos, **fields):
    message = protos.message("dialplane.v1.Skillbase")(id=ID, company_id=ID, name="Salon", slug="salon", version=3)
    message.updated_at.seconds, message.updated_at.nanos = 1768642200, 123456000
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def fail_with(protos, code, message="", details=()):
    """A behaviour that ends with google.rpc.Status in the trailers."""
    status = protos.message("google.rpc.Status")(code=code.value[0], message=message)
    for detail in details:
        status.details.add(type_url="type.googleapis.com/" + detail.DESCRIPTOR.full_name, value=detail.SerializeToString())

    def behave(_request, context):
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, message)

    return behave


def problem(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status and body["type"] == "about:blank" and body["title"] and body["detail"]
    assert body["request_id"] == answer.headers["x-request-id"]
    assert isinstance(body["errors"], list)
    return body


def test_get_with_etag_and_304(gateway, service, protos):
    service.behaviours["GetSkillbase"] = lambda request, context: skillbase(protos, id=request.id)
    answer = gateway.request("GET", f"/api/skillbases/{ID}")
    assert answer.status_code == 200 and answer.json()["id"] == ID
    assert answer.json()["updated_at"] == "2026-01-17T09:30:00.123456Z" and answer.json()["description"] is None
    revision = 1768642200 * 1000000 + 123456
    etag = answer.headers["etag"]
    assert re.fullmatch(r'"%x-[0-9a-f]{16}"' % revision, etag)
    for header in (etag, "W/" + etag, '"x", ' + etag, "*"):
        again = gateway.request("GET", f"/api/skillbases/{ID}", headers={"If-None-Match": header})
        assert again.status_code == 304 and not again.content and again.headers["etag"] == etag
    assert gateway.request("GET", f"/api/skillbases/{ID}", headers={"If-None-Match": '"x"'}).status_code == 200
    head = gateway.request("HEAD", f"/api/skillbases/{ID}")
    assert head.status_code == 200 and not head.content and head.headers["etag"] == etag


def test_if_match_becomes_metadata(gateway, service, protos):
    service.behaviours["DeleteSkillbase"] = lambda *_: protos.message("google.protobuf.Empty")()
    for header, expected in (('"64881da7b8a40-0123456789abcdef"', str(0x64881DA7B8A40)), ("*", None), ("garbage", "-1"),
                             ('W/"64881da7b8a40-0123456789abcdef"', "-1"), ('"0123456789abcdef"', "-1"),
                             ('"64881da7b8a40-0123456789abcdef", "64881da7b8a40-ffffffffffffffff"', str(0x64881DA7B8A40))):
        answer = gateway.request("DELETE", f"/api/skillbases/{ID}", headers={"If-Match": header})
        assert answer.status_code == 204 and not answer.content
        assert service.calls[-1][2].get("if-match") == expected, header
    answer = gateway.request("DELETE", f"/api/skillbases/{ID}",
                             headers={"If-Match": '"1-0123456789abcdef", "2-0123456789abcdef"'})
    assert "several revisions" in problem(answer, 400)["detail"]


def test_create_answers_201_with_location(gateway, service, protos):
    service.behaviours["CreateSkillbase"] = lambda request, context: skillbase(protos, name=request.skillbase.name)
    answer = gateway.request("POST", "/api/skillbases", json={"company_id": ID, "name": "Über", "slug": "x"})
    assert answer.status_code == 201 and answer.headers["location"] == f"/api/skillbases/{ID}"
    assert answer.json()["name"] == "Über"
    assert service.calls[-1][1].skillbase.slug == "x"


def test_put_fills_the_update_mask(gateway, service, protos):
    service.behaviours["UpdateSkillbase"] = lambda request, context: skillbase(protos)
    body = {"name": "New", "description": None, "isActive": False, "id": ID, "version": 9, "created_at": "2026-01-01T00:00:00Z"}
    answer = gateway.request("PUT", f"/api/skillbases/{ID}", json=body)
    assert answer.status_code == 200 and answer.headers["etag"]
    request = service.calls[-1][1]
    assert sorted(request.update_mask.paths) == ["description", "is_active", "name"]
    assert request.id == ID and request.skillbase.name == "New" and request.skillbase.id == ""
    answer = gateway.request("PUT", f"/api/skillbases/{ID}", json={})
    assert answer.status_code == 200 and service.calls[-1][1].HasField("update_mask")


def test_metadata_of_a_call(gateway, service, protos):
    service.behaviours["GetSkillbase"] = lambda *_: skillbase(protos)
    answer = gateway.request("GET", f"/api/skillbases/{ID}", headers={
        "X-Request-Id": "my-id.1", "traceparent": "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01", "Authorization": "Bearer secret",
        "Grpc-Metadata-X": "evil", "X-Other": "x"})
    assert answer.headers["x-request-id"] == "my-id.1"
    metadata = service.calls[-1][2]
    assert metadata["x-request-id"] == "my-id.1" and metadata["traceparent"].startswith("00-" + "ab" * 16)
    assert metadata["traceparent"].split("-")[2] != "cd" * 8
    assert metadata["authorization"] == "Bearer secret"  # handed on as it came: the services verify it
    assert not {"x-other", "grpc-metadata-x", "x"} & set(metadata)
    for bad in ("a b", "a" * 129, "ä".encode().decode("latin-1"), '"'):
        made = gateway.request("GET", f"/api/skillbases/{ID}", headers={"X-Request-Id": bad}).headers["x-request-id"]
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", made)


@pytest.mark.parametrize("code, reason, status", [
    ("INVALID_ARGUMENT", "", 400), ("OUT_OF_RANGE", "", 400), ("UNAUTHENTICATED", "", 401), ("PERMISSION_DENIED", "", 403),
    ("NOT_FOUND", "", 404), ("ALREADY_EXISTS", "SLUG_TAKEN", 409), ("ABORTED", "", 409), ("FAILED_PRECONDITION", "WRONG_STATE", 409),
    ("FAILED_PRECONDITION", "ETAG_MISMATCH", 412), ("RESOURCE_EXHAUSTED", "", 429), ("RESOURCE_EXHAUSTED", "TOO_LARGE", 413),
    ("UNIMPLEMENTED", "", 501), ("UNAVAILABLE", "", 503), ("DEADLINE_EXCEEDED", "", 504), ("INTERNAL", "", 500),
    ("UNKNOWN", "", 500), ("DATA_LOSS", "", 500), ("CANCELLED", "", 499)])
def test_errors_of_services(gateway, service, protos, code, reason, status):
    details = [protos.message("google.rpc.ErrorInfo")(reason=reason)] if reason else []
    service.behaviours["GetSkillbase"] = fail_with(protos, grpc.StatusCode[code], "It did not work: 100 % «нет»", details)
    answer = gateway.request("GET", f"/api/skillbases/{ID}")
    body = problem(answer, status)
    assert body["code"] == code and body["detail"] == "It did not work: 100 % «нет»"
    assert body.get("reason") == (reason or None)
    assert ("retry-after" in answer.headers) == (status in (429, 503))


def test_violations_lose_the_body_prefix(gateway, service, protos):
    bad = protos.message("google.rpc.BadRequest")()
    bad.field_violations.add(field="skillbase.config.llm.temperature", description="must be between 0 and 2")
    bad.field_violations.add(field="skillbase_id", description="odd")
    retry = protos.message("google.rpc.RetryInfo")()
    retry.retry_delay.seconds, retry.retry_delay.nanos = 7, 1
    service.behaviours["CreateSkillbase"] = fail_with(protos, grpc.StatusCode.INVALID_ARGUMENT, "2 fields are invalid", [bad, retry])
    answer = gateway.request("POST", "/api/skillbases", json={"name": "x"})
    assert problem(answer, 400)["errors"] == [
        {"field": "config.llm.temperature", "message": "must be between 0 and 2"}, {"field": "skillbase_id", "message": "odd"}]
    assert answer.headers["retry-after"] == "8"


def test_all_errors_of_a_body_at_once(gateway, service):
    body = {"company_id": "nope", "name": "x", "slug": "Not A Slug", "nmae": 1,
            "config": {"llm": {"provider": "groq", "model": "m", "temperature": "hot"}}}
    fields = {error["field"] for error in problem(gateway.request("POST", "/api/skillbases?x=1", json=body), 400)["errors"]}
    assert {"x", "nmae", "company_id", "slug", "config.llm.temperature", "config.context", "config.flow", "config.voice"} <= fields
    # The service is asked what else is wrong, and told to do nothing; it does not answer here, so what is known is the answer.
    assert [call[2].get("check-only") for call in service.calls] == ["true"]
    service.calls.clear()
    answer = gateway.request("PUT", f"/api/skillbases/{ID}", json={"nmae": 1, "slug": "Not A Slug"})
    fields = {error["field"] for error in problem(answer, 400)["errors"]}
    assert fields == {"nmae", "slug"}  # an update need not send what is required


def test_bodies_that_are_refused(gateway, service):
    post = lambda data, **headers: gateway.request("POST", "/api/skillbases", data=data, headers=headers)
    json_type = {"Content-Type": "application/json"}
    detail = problem(post(b'{\n "name": }', **json_type), 400)["detail"]
    assert "line 2" in detail and "column" in detail
    assert "required" in problem(post(b"", **json_type), 400)["detail"]
    problem(post(b'{"name": "\xff"}', **json_type), 400)
    problem(post(b"[" * 10000, **json_type), 400)
    problem(post(b"{}", **{"Content-Type": "text/plain"}), 415)
    problem(post(b"{}"), 415)
    problem(post(b"{}", **{"Content-Type": "application/json; charset=latin1"}), 415)
    problem(post(b" " * (1024 * 1024 + 1), **json_type), 413)
    problem(gateway.request("POST", "/api/skillbases", data=iter([b" " * 700000] * 2), headers=json_type), 413)
    problem(gateway.request("GET", "/api/skillbases", headers={"Accept": "text/html"}), 406)
    problem(gateway.request("GET", "/api/skillbases", headers={"Accept": "application/json;q=0, */*"}), 406)
    problem(gateway.request("POST", f"/api/campaigns/{ID}/start", json={"x": 1}), 400)
    assert not service.calls


def test_charset_and_accept_that_are_taken(gateway, service, protos):
    service.behaviours["CreateSkillbase"] = lambda *_: skillbase(protos)
    service.behaviours["StartCampaign"] = lambda *_: protos.message("dialplane.v1.Campaign")()
    for accept in ("*/*", "application/*;q=0.1", "text/html, application/json;q=0.5"):
        answer = gateway.request("POST", "/api/skillbases", data=b"{}",
                                 headers={"Content-Type": 'Application/JSON; charset="UTF-8"', "Accept": accept})
        assert answer.status_code == 201
    for arguments in ({}, {"json": {}}, {"data": b""}):
        assert gateway.request("POST", f"/api/campaigns/{ID}/start", **arguments).status_code == 200


def test_body_star_and_path_may_not_disagree(gateway, service, protos):
    service.behaviours["RollbackSkillbase"] = lambda *_: skillbase(protos)
    path = f"/api/skillbases/{ID}/rollback"
    assert gateway.request("POST", path, json={"version": 2, "id": ID}).status_code == 200
    assert service.calls[-1][1].version == 2 and service.calls[-1][1].id == ID
    answer = problem(gateway.request("POST", path, json={"version": 2, "id": ID.replace("0", "1")}), 400)
    assert answer["errors"] == [{"field": "id", "message": "differs from the path"}]


def test_methods_and_preflight(gateway):
    answer = gateway.request("PATCH", f"/api/skillbases/{ID}")
    assert answer.headers["allow"] == "GET, HEAD, PUT, DELETE" and problem(answer, 405)
    answer = gateway.request("OPTIONS", "/api/skillbases")
    assert answer.status_code == 204 and answer.headers["allow"] == "GET, HEAD, POST"
    preflight = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "PUT"}
    answer = gateway.request("OPTIONS", f"/api/skillbases/{ID}", headers=preflight)
    assert answer.status_code == 204 and answer.headers["access-control-allow-origin"] == "https://app.example.com"
    assert "PUT" in answer.headers["access-control-allow-methods"] and "if-match" in answer.headers["access-control-allow-headers"]
    assert answer.headers["vary"] == "Origin" and int(answer.headers["access-control-max-age"]) > 0
    answer = gateway.request("OPTIONS", f"/api/skillbases/{ID}", headers=preflight | {"Origin": "https://evil.example"})
    assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers
    answer = gateway.request("GET", "/healthz", headers={"Origin": "https://app.example.com"})
    assert "ETag" in answer.headers["access-control-expose-headers"]


def test_deadline_of_a_slow_service(protos):
    from fakes import FakeService, Gateway
    service = FakeService(protos)
    gateway = Gateway(service, "--timeout", "300ms")
    service.behaviours["GetSkillbase"] = lambda *_: time.sleep(2) or skillbase(protos)
    started = time.monotonic()
    problem(gateway.request("GET", f"/api/skillbases/{ID}"), 504)
    assert time.monotonic() - started < 1.5
    gateway.stop()
    service.stop()


def test_a_client_that_goes_away_cancels(gateway, service, protos):
    cancelled = threading.Event()
    entered = threading.Event()

    def slow(_request, context):
        context.add_callback(cancelled.set)
        entered.set()
        time.sleep(1)
        return skillbase(protos)

    service.behaviours["GetSkillbase"] = slow
    with socket.create_connection(("127.0.0.1", gateway.port)) as client:
        client.sendall(f"GET /api/skillbases/{ID} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert entered.wait(5)
        # A reset, not only the end of its own side: after that an answer would still be wanted.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert cancelled.wait(0.8)


def test_large_answers(gateway, service, protos):
    def many(_request, _context):
        answer = protos.message("dialplane.v1.ListSkillbasesResponse")()
        for _ in range(1000):
            answer.items.add(id=ID, name="x" * 3000)
        return answer

    service.behaviours["ListSkillbases"] = many
    answer = gateway.request("GET", "/api/skillbases?limit=1000")
    assert answer.status_code == 200 and len(answer.json()["items"]) == 1000


def test_service_away_and_back(protos):
    from fakes import FakeService, Gateway
    service = FakeService(protos)
    service.behaviours["GetSkillbase"] = lambda *_: skillbase(protos)
    gateway = Gateway(service)
    path = f"/api/skillbases/{ID}"
    assert gateway.request("GET", path).status_code == 200
    assert gateway.request("GET", "/readyz").status_code == 200
    service.stop()
    for _ in range(30):
        started = time.monotonic()
        answer = gateway.request("GET", path)
        assert problem(answer, 503) and int(answer.headers["retry-after"]) >= 1
        assert time.monotonic() - started < 2.5
    answer = gateway.request("GET", "/readyz")
    assert answer.status_code == 503 and answer.json()["backends"]["skillbase"] != "serving"
    service.start()
    deadline = time.monotonic() + 8
    while gateway.request("GET", path).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    # Another thread of the gateway, with a connection and a wait of its own, may answer this one.
    ready = {"status": "ready", "authentication": "off", "backends": {"skillbase": "serving", "campaign": "serving", "analytics": "serving"}}
    while gateway.request("GET", "/readyz").json() != ready:
        assert time.monotonic() < deadline + 8
        time.sleep(0.05)
    gateway.stop()
    service.stop()


def test_what_speaks_no_grpc_is_502_or_503():
    """A server that answers with HTTP/2 and then nothing sensible, and one that accepts and is silent."""
    from types import SimpleNamespace
    from fakes import Gateway
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            client.close()

    threading.Thread(target=serve, daemon=True).start()
    gateway = Gateway(SimpleNamespace(port=listener.getsockname()[1]))
    for _ in range(3):
        problem(gateway.request("GET", f"/api/skillbases/{ID}"), 503)
    gateway.stop()
    listener.close()


def test_metrics_while_it_stops(service):
    """The threads that have nothing more to do still say their figures to the one that has."""
    from fakes import Gateway
    gateway = Gateway(service, "--threads", "4", "--drain-idle", "5s", "--grace", "60s")
    kept = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    kept.request("GET", "/healthz")
    kept.getresponse().read()
    gateway.process.send_signal(signal.SIGTERM)
    until = time.monotonic() + 20
    while True:  # until every thread has closed its listener; the three without a connection are done with that
        try:
            socket.create_connection(("127.0.0.1", gateway.port), timeout=5).close()
        except ConnectionRefusedError:
            break
        assert time.monotonic() < until
    kept.request("GET", "/metrics")
    answer = kept.getresponse()
    assert answer.status == 200 and b"dialplane_http_requests_total" in answer.read()
    kept.close()
    assert gateway.process.wait(60) == 0  # by itself, now that nobody is left


def test_metrics_and_log(gateway, service, protos):
    service.behaviours["GetSkillbase"] = lambda *_: skillbase(protos)
    gateway.request("GET", f"/api/skillbases/{ID}", headers={"X-Request-Id": "for-the-log"})
    text = gateway.request("GET", "/metrics").text
    assert 'dialplane_http_requests_total{method="GET",route="/api/skillbases/{id}",status="200"}' in text
    assert 'dialplane_upstream_calls_total{backend="skillbase"}' in text
    time.sleep(0.2)
    line = next(line for line in gateway.log if "for-the-log" in line)
    assert '"/api/skillbases/{id}"' in line and ID not in line


def test_pages(gateway, shared_service, tmp_path):
    from fakes import Gateway
    answer = gateway.request("GET", "/")
    assert answer.status_code == 200 and "Dialplane" in answer.text and "{{version}}" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert gateway.request("GET", "/", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    assert problem(gateway.request("POST", "/"), 405) and problem(gateway.request("GET", "/nope"), 404)
    (tmp_path / "guide").mkdir()
    (tmp_path / "index.html").write_text("own page")
    (tmp_path / "guide" / "index.html").write_text("docs")
    (tmp_path / "app.js").write_text("1")
    (tmp_path / ".hidden").write_text("secret")
    (tmp_path / "link").symlink_to("/etc/passwd")
    other = Gateway(shared_service, "--pages", str(tmp_path))
    assert other.request("GET", "/").text == "own page"
    assert other.request("GET", "/guide").text == other.request("GET", "/guide/").text == "docs"
    assert other.request("GET", "/app.js").headers["content-type"].startswith("text/javascript")
    for path in ("/.hidden", "/link", "/page.css", "/guide/../app.js", "/%2e%2e/etc/passwd"):
        with_path = requests_raw(other, path)
        assert with_path == 404, path
    other.stop()


def requests_raw(gateway, path):
    """The path as it is: requests would tidy it up."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return int(client.recv(65536).split()[1])
