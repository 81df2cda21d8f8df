"""Services that break HTTP/2 or gRPC, spoken by hand with python-h2."""
import socket
import struct
import threading
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest

from fakes import Gateway
from test_unary import ID, problem, skillbase

PATH = f"/api/skillbases/{ID}"
OK_HEADERS = [(":status", "200"), ("content-type", "application/grpc")]
REFUSED = h2.errors.ErrorCodes.REFUSED_STREAM


class RawService:
    """behave(connection, stream_id, number of the request) for each request; what it leaves unsaid is never said."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.behave, self.requests, self.connections, self.resets = None, 0, 0, []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        client.sendall(connection.data_to_send())
        while data := client.recv(65536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.StreamReset):
                    self.resets.append(event.error_code)
                if isinstance(event, h2.events.StreamEnded):
                    self.requests += 1
                    if self.behave(connection, event.stream_id, self.requests) == "hang up":
                        client.sendall(connection.data_to_send())
                        client.close()
                        return
            client.sendall(connection.data_to_send())


def frame(message, flag=0):
    return struct.pack(">BI", flag, len(message)) + message


@pytest.fixture(scope="module")
def raw():
    return RawService()


@pytest.fixture(scope="module")
def raw_gateway(raw):
    gateway = Gateway(raw, "--threads", "1", "--timeout", "3s")
    yield gateway
    gateway.stop()


@pytest.fixture
def ask(raw, raw_gateway):
    def ask(behave):
        raw.behave, raw.requests = behave, 0
        return raw_gateway.request("GET", PATH)

    return ask


@pytest.fixture
def reply(protos):
    def reply(connection, stream_id, number):
        connection.send_headers(stream_id, OK_HEADERS)
        connection.send_data(stream_id, frame(skillbase(protos).SerializeToString()))
        connection.send_headers(stream_id, [("grpc-status", "0")], end_stream=True)

    return reply


def test_it_works_at_all_and_byte_by_byte(ask, reply, protos):
    assert ask(reply).status_code == 200

    def slowly(connection, stream_id, number):
        connection.send_headers(stream_id, OK_HEADERS)
        for byte in frame(skillbase(protos).SerializeToString()):
            connection.send_data(stream_id, bytes([byte]))
        connection.send_headers(stream_id, [("grpc-status", "0")], end_stream=True)

    assert ask(slowly).json()["id"] == ID


def test_no_status_is_502(ask, protos):
    def no_trailers(connection, stream_id, number):
        connection.send_headers(stream_id, OK_HEADERS)
        connection.send_data(stream_id, frame(skillbase(protos).SerializeToString()), end_stream=True)

    def no_grpc(connection, stream_id, number):
        connection.send_headers(stream_id, [(":status", "404")], end_stream=True)

    def early_status(connection, stream_id, number):
        connection.send_headers(stream_id, OK_HEADERS + [("grpc-status", "0")])
        connection.send_data(stream_id, frame(b""), end_stream=True)

    def no_message(connection, stream_id, number):
        connection.send_headers(stream_id, OK_HEADERS)
        connection.send_headers(stream_id, [("grpc-status", "0")], end_stream=True)

    for behave in (no_trailers, no_grpc, early_status, no_message):
        assert problem(ask(behave), 502)["code"] == "INTERNAL"


def test_broken_messages_are_502(ask, protos):
    message = skillbase(protos).SerializeToString()

    def sending(*frames):
        def behave(connection, stream_id, number):
            connection.send_headers(stream_id, OK_HEADERS)
            connection.send_data(stream_id, b"".join(frames))
            connection.send_headers(stream_id, [("grpc-status", "0")], end_stream=True)

        return behave

    problem(ask(sending(frame(message, flag=1))), 502)
    problem(ask(sending(frame(message), frame(message))), 502)
    problem(ask(sending(struct.pack(">BI", 0, 0xFFFFFFFF))), 502)
    problem(ask(sending(frame(message)[:-1])), 502)
    problem(ask(sending(frame(b"\xff\xff"))), 502)


def test_trailers_only_and_strange_statuses(ask):
    def trailers_only(*headers):
        return lambda connection, stream_id, number: connection.send_headers(stream_id, OK_HEADERS + list(headers), end_stream=True)

    answer = problem(ask(trailers_only(("grpc-status", "5"), ("grpc-message", "gone%20%E2%9C%93 100%"))), 404)
    assert answer["detail"] == "gone ✓ 100%"
    problem(ask(trailers_only(("grpc-status", "99"))), 500)
    problem(ask(trailers_only(("grpc-status", "x"))), 500)
    answer = ask(trailers_only(("grpc-status", "8"), ("retry-after", "9"), ("grpc-status-details-bin", "not base64!")))
    assert problem(answer, 429) and answer.headers["retry-after"] == "9"
    problem(ask(lambda connection, stream_id, number: connection.send_headers(stream_id, [(":status", "503")], end_stream=True)), 503)


def test_refused_streams_are_sent_twice_more(ask, raw, reply):
    def refuse_first(connection, stream_id, number):
        if number == 1:
            connection.reset_stream(stream_id, REFUSED)
        else:
            reply(connection, stream_id, number)

    assert ask(refuse_first).status_code == 200 and raw.requests == 2
    problem(ask(lambda connection, stream_id, number: connection.reset_stream(stream_id, REFUSED)), 503)
    assert raw.requests == 3  # no storm: two instances that are restarted one after the other may each refuse it
    problem(ask(lambda connection, stream_id, number: connection.reset_stream(stream_id, h2.errors.ErrorCodes.INTERNAL_ERROR)), 502)
    assert raw.requests == 1


def test_goaway_before_a_stream_and_after(ask, raw, reply):
    def leave(connection, stream_id, number):
        if number == 1:
            connection.close_connection(last_stream_id=stream_id - 2 if stream_id > 1 else 0)
            return "hang up"
        reply(connection, stream_id, number)

    assert ask(leave).status_code == 200 and raw.requests == 2  # never processed: asked again

    def lose(connection, stream_id, number):
        return "hang up"

    problem(ask(lose), 503)
    assert raw.requests == 1  # may have been processed: not asked again
    assert ask(reply).status_code == 200


def test_a_silent_service_is_cancelled_at_the_deadline(ask, raw):
    raw.resets.clear()
    started = time.monotonic()
    problem(ask(lambda connection, stream_id, number: None), 504)
    assert 2.5 < time.monotonic() - started < 5
    time.sleep(0.3)
    assert raw.resets == [h2.errors.ErrorCodes.CANCEL]
