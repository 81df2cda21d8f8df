"""Uploads: multipart and raw, back-pressure, early answers, what is malformed."""
import socket
import threading
import time

import grpc
import pytest

from test_unary import ID, fail_with, problem

PATH = f"/api/campaigns/{ID}/call-list"


@pytest.fixture
def received(service, protos):
    """What the service was sent: the first message's fields, and the whole file."""
    seen = {"chunks": [], "ended": threading.Event()}

    def behave(requests, _context):
        for number, request in enumerate(requests):
            if number == 0:
                seen["first"] = request
            assert len(request.chunk) <= 64 * 1024
            assert number == 0 or (not request.campaign_id and not request.file_name)
            seen["chunks"].append(request.chunk)
        seen["ended"].set()
        return protos.message("dialplane.v1.UploadCallListResponse")(total=len(b"".join(seen["chunks"])))

    service.behaviours["UploadCallList"] = behave
    return seen


def content(seen):
    return b"".join(seen["chunks"])


def test_form_with_a_file(gateway, received):
    data = b"phone_number\r\n" + bytes(range(256)) * 40 + b"\r\n--almost\r\n"
    answer = gateway.request("POST", PATH, files={"file": ("contacts ä.csv", data, "text/csv")})
    assert answer.status_code == 200 and answer.json()["total"] == len(data)
    assert answer.json()["errors"] == []
    assert content(received) == data
    first = received["first"]
    assert (first.campaign_id, first.file_name, first.content_type) == (ID, "contacts ä.csv", "text/csv")


def test_raw_body(gateway, received):
    answer = gateway.request("POST", PATH + "?file_name=a.csv", data=b"x" * 200000, headers={"Content-Type": "text/csv; charset=utf-8"})
    assert answer.status_code == 200 and content(received) == b"x" * 200000
    assert received["first"].content_type == "text/csv; charset=utf-8" and received["first"].file_name == "a.csv"
    answer = gateway.request("POST", PATH, data=iter([b"chunked ", b"body"]))
    assert answer.status_code == 200 and content(received).endswith(b"chunked body")


def test_empty_files(gateway, received):
    assert gateway.request("POST", PATH, files={"file": ("empty.csv", b"")}).json()["total"] == 0
    assert gateway.request("POST", PATH, data=b"", headers={"Content-Type": "text/csv"}).json()["total"] == 0


def form(*parts, end=b"--XX--\r\n"):
    body = b"".join(b"--XX\r\nContent-Disposition: form-data; " + head + b"\r\n\r\n" + data + b"\r\n" for head, data in parts) + end
    return {"data": body, "headers": {"Content-Type": "multipart/form-data; boundary=XX"}}


def test_fields_before_the_file(gateway, received):
    answer = gateway.request("POST", PATH, **form((b"name=file_name", b"given.csv"), (b"name=file", b"data")))
    assert answer.status_code == 200 and received["first"].file_name == "given.csv" and content(received) == b"data"


def test_forms_that_are_refused(gateway, service, received):
    refused = lambda **arguments: problem(gateway.request("POST", PATH, **arguments), 400)
    assert "no part named" in refused(**form((b"name=file_name", b"a")))["detail"]
    assert refused(**form((b"name=nope", b"a"), (b"name=file", b"x")))["errors"] == [{"field": "nope", "message": "unknown parameter"}]
    assert "closing boundary" in refused(**form((b"name=file", b"x"), end=b""))["detail"]
    assert "before the file" in refused(**form((b"name=file", b"x"), (b"name=file_name", b"y")))["detail"]
    assert "more than one" in refused(**form((b"name=file", b"x"), (b"name=file", b"y")))["detail"]
    assert "boundary" in refused(data=b"x", headers={"Content-Type": "multipart/form-data"})["detail"]
    assert refused(**form((b"name=campaign_id", ID.encode()), (b"name=file", b"x")))["errors"][0]["field"] == "campaign_id"
    assert "Content-Type" in refused(data=b"x", headers={"Content-Type": "nonsense"})["detail"]
    answer = gateway.request("POST", PATH + "?nope=1", data=b"x", headers={"Content-Type": "text/csv"})
    assert problem(answer, 400)["errors"] == [{"field": "nope", "message": "unknown parameter"}]
    time.sleep(0.2)
    assert not received["ended"].is_set()  # what had begun was cancelled, not ended


def test_early_error_stops_the_upload(gateway, service, protos):
    service.behaviours["UploadCallList"] = fail_with(protos, grpc.StatusCode.NOT_FOUND, "Campaign not found")
    with socket.create_connection(("127.0.0.1", gateway.port)) as client:
        client.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 90000000\r\n\r\n".encode())
        client.sendall(b"x" * 1000)
        client.settimeout(5)
        assert client.recv(65536).startswith(b"HTTP/1.1 404")  # long before the file has come


def test_back_pressure_reaches_the_client(gateway, service, protos):
    release = threading.Event()
    total = []

    def behave(requests, _context):
        next(requests)
        release.wait(20)
        total.append(sum(len(request.chunk) for request in requests))
        return protos.message("dialplane.v1.UploadCallListResponse")(total=total[0])

    service.behaviours["UploadCallList"] = behave
    size = 60_000_000
    with socket.create_connection(("127.0.0.1", gateway.port)) as client:
        client.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: {size}\r\n\r\n".encode())
        client.setblocking(False)
        sent, idle = 0, 0
        while sent < size and idle < 10:
            try:
                sent += client.send(b"x" * min(65536, size - sent))
                idle = 0
            except BlockingIOError:
                idle += 1
                time.sleep(0.1)
        assert sent < size / 2  # the rest waits in the client
        release.set()
        client.settimeout(20)
        client.setblocking(True)
        while sent < size:
            sent += client.send(b"x" * min(65536, size - sent))
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
    assert total == [size]


def test_upload_limit(protos):
    from fakes import FakeService, Gateway
    service = FakeService(protos)
    service.behaviours["UploadCallList"] = lambda requests, _: [None for _ in requests] and None
    gateway = Gateway(service, "--upload-limit", "64KB")
    problem(gateway.request("POST", PATH, data=b"x" * 65537, headers={"Content-Type": "text/csv"}), 413)
    problem(gateway.request("POST", PATH, data=iter([b"x" * 40000] * 2), headers={"Content-Type": "text/csv"}), 413)
    gateway.stop()
    service.stop()
