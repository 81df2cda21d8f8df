"""HTTP/1.1 as raw bytes: what is served, and what is refused."""
import json
import os
import socket
import struct
import time

import pytest
from conftest import read_all

HOST = b"Host: localhost\r\n"


def get(path=b"/hello", extra=b"", version=b"1.1", host=HOST):
    return b"GET " + path + b" HTTP/" + version + b"\r\n" + host + extra + b"\r\n"


def last(path=b"/hello", extra=b""):
    return get(path, b"Connection: close\r\n" + extra)


def head_and_body(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


def check_problem(answer, status):
    head, body = head_and_body(answer)
    assert head.startswith(b"HTTP/1.1 %d " % status), answer
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    assert b"<RESET>" not in answer
    problem = json.loads(body)
    assert problem["status"] == status
    assert set(problem) == {"type", "title", "status", "code", "detail", "errors", "request_id"}
    assert problem["request_id"].encode() in head
    return problem


REFUSED = {
    "no host": (b"GET /hello HTTP/1.1\r\n\r\n", 400),
    "two hosts": (get(extra=HOST), 400),
    "empty host": (get(host=b"Host: \r\n"), 400),
    "host with a path": (get(host=b"Host: a/b\r\n"), 400),
    "host with user": (get(host=b"Host: u@h\r\n"), 400),
    "two equal lengths": (b"POST /collect HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 400),
    "two lengths": (b"POST /collect HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "a list of lengths": (b"POST /collect HTTP/1.1\r\n" + HOST + b"Content-Length: 1, 1\r\n\r\na", 400),
    "length and chunked": (b"POST /collect HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked and length": (b"POST /collect HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", 400),
    "negative length": (b"POST /collect HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
    "plus length": (b"POST /collect HTTP/1.1\r\n" + HOST + b"Content-Length: +1\r\n\r\na", 400),
    "hex length": (b"POST /collect HTTP/1.1\r\n" + HOST + b"Content-Length: 0x1\r\n\r\na", 400),
    "huge length": (b"POST /collect HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999\r\n\r\n", 400),
    "over int64": (b"POST /collect HTTP/1.1\r\n" + HOST + b"Content-Length: 9223372036854775808\r\n\r\n", 400),
    "unknown coding": (b"POST /collect HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n", 400),
    "gzip, chunked": (b"POST /collect HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked twice": (b"POST /collect HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "xchunked": (b"POST /collect HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    "chunked in 1.0": (b"POST /collect HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "folded header": (get(extra=b"X-A: a\r\n b\r\n"), 400),
    "tab folded header": (get(extra=b"X-A: a\r\n\tb\r\n"), 400),
    "first header folded": (b"GET /hello HTTP/1.1\r\n X: a\r\n" + HOST + b"\r\n", 400),
    "bare LF lines": (b"GET /hello HTTP/1.1\nHost: x\n\n", 400),
    "one bare LF": (get(extra=b"X-A: a\nX-B: b\r\n"), 400),
    "bare CR in a value": (get(extra=b"X-A: a\rb\r\n"), 400),
    "NUL in a value": (get(extra=b"X-A: a\0b\r\n"), 400),
    "space before colon": (get(extra=b"X-A : a\r\n"), 400),
    "no colon": (get(extra=b"X-A\r\n"), 400),
    "empty name": (get(extra=b": a\r\n"), 400),
    "control in a name": (get(extra=b"X\x01A: a\r\n"), 400),
    "fragment": (get(b"/hello#part"), 400),
    "no slash": (get(b"hello"), 400),
    "space in target": (get(b"/he llo"), 400),
    "raw UTF-8 in target": (get("/hellö".encode()), 400),
    "asterisk with GET": (get(b"*"), 400),
    "other scheme": (get(b"ftp://h/x"), 400),
    "absolute without host": (get(b"http:///x"), 400),
    "CONNECT": (b"CONNECT h:80 HTTP/1.1\r\n" + HOST + b"\r\n", 501),
    "unknown method": (b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n", 501),
    "method with more": (b"GETX / HTTP/1.1\r\n" + HOST + b"\r\n", 501),
    "lower-case method": (b"get / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "RTSP": (b"DESCRIBE / RTSP/1.0\r\n" + HOST + b"\r\n", 501),
    "HTTP/2.0 in words": (get(version=b"2.0"), 505),
    "HTTP/3.7": (get(version=b"3.7"), 505),
    "HTTP/0.9": (get(version=b"0.9"), 505),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "preface gone wrong": (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 505),
    "expectation": (b"POST /collect HTTP/1.1\r\n" + HOST + b"Expect: cookies\r\nContent-Length: 1\r\n\r\na", 417),
    "bad chunk size": (b"POST /collect HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "chunk too long": (b"POST /collect HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", 400),
    "chunk with LF": (b"POST /collect HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n2\nab\n0\n\n", 400),
    "chunk size overflow": (b"POST /collect HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400),
    "negative chunk": (b"POST /collect HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
    "endless chunk extension": (b"POST /collect HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 70000, 431),
    "endless trailers": (b"POST /collect HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X-T: abcdefgh\r\n" * 6000, 431),
    "long target": (get(b"/" + b"a" * 9000), 414),
    "endless target": (b"GET /" + b"a" * 200000, 414),
    "many headers": (get(extra=b"".join(b"X-%d: v\r\n" % i for i in range(120))), 431),
    "large headers": (get(extra=b"X-Large: " + b"v" * 33000 + b"\r\n"), 431),
    "endless header": (b"GET / HTTP/1.1\r\nX-Large: " + b"v" * 300000, 431),
    "endless blank lines": (b"\r\n" * 60000, 431),
    "WebSocket version": (get(b"/ws", b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), 426),
    "WebSocket without key": (get(b"/ws", b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"), 400),
    "WebSocket with a short key": (get(b"/ws", b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: abc\r\n"), 400),
    "WebSocket without connection": (get(b"/ws", b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), 400),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(server, name):
    request, status = REFUSED[name]
    check_problem(server.raw(request), status)


@pytest.mark.parametrize("name", [n for n in REFUSED if len(REFUSED[n][0]) < 300])
def test_refused_byte_by_byte(server, name):
    request, status = REFUSED[name]
    with server.connect() as connection:
        for i in range(len(request)):
            try:
                connection.send(request[i:i + 1])
            except OSError:
                break
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer


def test_a_request_after_a_refused_one_is_not_served(server):
    before = server.stats()["requests"]
    answer = server.raw(get(extra=HOST) + last())
    check_problem(answer, 400)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert server.stats()["requests"] == before + 1


def test_plain_get(server):
    head, body = head_and_body(server.raw(last()))
    assert head.startswith(b"HTTP/1.1 200 OK\r\ndate: ")
    assert b"\r\ncontent-length: 6" in head and b"\r\nconnection: close" in head
    assert body == b"hello\n"


def test_get_byte_by_byte(server):
    with server.connect() as connection:
        for byte in last():
            connection.send(bytes([byte]))
        assert read_all(connection).endswith(b"hello\n")


def test_target_and_headers_arrive(server):
    answer = server.raw(last(b"/headers?a=1&b=%20?", b"X-Mixed-Case:  two words \t\r\nX-Empty:\r\nx-last: z\r\n"))
    body = head_and_body(answer)[1]
    assert body.startswith(b"GET /headers ? a=1&b=%20? @ localhost\n")
    assert b"x-mixed-case=two words\n" in body and b"x-empty=\n" in body and b"x-last=z\n" in body


def test_absolute_form(server):
    body = head_and_body(server.raw(last(b"http://other:81/headers?q")))[1]
    assert body.startswith(b"GET /headers ? q @ other:81\n")
    assert head_and_body(server.raw(last(b"http://other")))[0].startswith(b"HTTP/1.1 404")


def test_options_asterisk(server):
    answer = server.raw(b"OPTIONS * HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 204 ") and b"\r\nallow: GET" in answer


def test_many_headers_grow(server):
    extra = b"".join(b"X-Number-%d: %s\r\n" % (i, b"v" * 200) for i in range(90))
    body = head_and_body(server.raw(last(b"/headers", extra)))[1]
    assert body.startswith(b"GET /headers ?  @ localhost\n")
    assert all(b"x-number-%d=%s\n" % (i, b"v" * 200) in body for i in range(90))


def test_head(server):
    head, body = head_and_body(server.raw(b"HEAD /hello HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"))
    assert b"content-length: 6" in head and body == b""
    head, body = head_and_body(server.raw(b"HEAD /stream HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"))
    assert head.startswith(b"HTTP/1.1 200") and body == b""


def test_204_has_no_body_and_no_length(server):
    head, body = head_and_body(server.raw(last(b"/none")))
    assert head.startswith(b"HTTP/1.1 204 No Content") and b"content-length" not in head and body == b""


def test_http10(server):
    head, body = head_and_body(server.raw(b"GET /hello HTTP/1.0\r\n\r\n"))
    assert head.startswith(b"HTTP/1.1 200") and b"connection: close" in head and body == b"hello\n"
    head, body = head_and_body(server.raw(b"GET /stream?n=3&size=2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"))
    assert b"chunked" not in head and body == b"ddccbb"
    assert server.raw(b"GET /stream?n=3&size=2&abort=1 HTTP/1.0\r\n\r\n").endswith(b"<RESET>")


def test_header_injection_is_impossible(server):
    head = head_and_body(server.raw(last(b"/evil")))[0]
    assert b"\r\nx-injected" not in head and b"x-evil: a  x-injected: 1" in head


def test_keep_alive_and_pipelining(server):
    with server.connect() as connection:
        for _ in range(3):
            connection.sendall(get())
            assert connection.recv(1000).endswith(b"hello\n")
    answer = server.raw(get() + get(b"/none") + get(b"/late?ms=30") + get(b"/stream?n=2&size=1") + last())
    statuses = [answer[i + 9:i + 12] for i in range(len(answer)) if answer.startswith(b"HTTP/1.1 ", i)]
    assert statuses == [b"200", b"204", b"200", b"200", b"200"]
    assert answer.index(b"late\n") < answer.index(b"\r\n0\r\n\r\n") < answer.rindex(b"hello\n")


def test_200_pipelined(server):
    requests = b"".join(get(b"/headers?%d" % i) for i in range(199)) + last(b"/headers?last")
    answer = server.raw(requests)
    positions = [answer.index(b"? %d @" % i) for i in range(199)]
    assert positions == sorted(positions) and b"? last @" in answer
    with server.connect() as connection:  # in odd pieces
        for i in range(0, len(requests), 97):
            connection.sendall(requests[i:i + 97])
        assert read_all(connection).count(b"HTTP/1.1 200 ") == 200


def test_blank_lines_before_a_request(server):
    assert server.raw(b"\r\n\r\n" + last()).startswith(b"HTTP/1.1 200")


def test_bodies(server):
    assert server.raw(b"POST /collect HTTP/1.1\r\n" + HOST + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello").endswith(b"\r\n\r\n5\n")
    assert server.raw(b"POST /collect HTTP/1.1\r\n" + HOST + b"Connection: close\r\nContent-Length: 0\r\n\r\n").endswith(b"\r\n\r\n0\n")
    assert server.raw(b"POST /collect HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n").endswith(b"\r\n\r\n0\n")
    chunked = b"POST /collect HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n1;a;c=\"d\"\r\n!\r\n0\r\nX-Trailer: t\r\n\r\n"
    answer = server.raw(chunked + chunked + last())
    assert answer.count(b"\r\n\r\n6\n") == 2 and answer.endswith(b"hello\n")


def test_bodies_byte_by_byte(server):
    chunked = b"POST /collect HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Trailer: t\r\n\r\n"
    sized = b"POST /collect HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello"
    with server.connect() as connection:
        for byte in chunked + sized + last():
            connection.send(bytes([byte]))
        answer = read_all(connection)
    assert answer.count(b"\r\n\r\n5\n") == 2 and answer.endswith(b"hello\n")


def test_expect_continue(server):
    with server.connect() as connection:
        connection.sendall(b"POST /collect HTTP/1.1\r\n" + HOST + b"Connection: close\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        assert read_all(connection).endswith(b"\r\n\r\n3\n")
    # Not wanted: no 100, the answer at once, and the end of the connection, since the body may or may not come.
    answer = server.raw(b"POST /early HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 422 ") and b"connection: close" in answer
    answer = server.raw(b"POST /limited HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 30000000\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_unread_bodies(server):
    # A small one is read away; a large one ends the connection, and the answer can still be read.
    small = b"POST /early HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello"
    answer = server.raw(small + last())
    assert answer.startswith(b"HTTP/1.1 422 ") and answer.endswith(b"hello\n") and answer.count(b"HTTP/1.1 ") == 2
    with server.connect() as connection:
        connection.sendall(b"POST /early HTTP/1.1\r\n" + HOST + b"Content-Length: 10000000\r\n\r\n")
        try:
            for _ in range(100):
                connection.sendall(b"x" * 100000)
        except OSError:
            pass
        assert b"connection: close" in read_all(connection)


def test_too_large(server):
    head = b"POST /limited HTTP/1.1\r\n" + HOST
    assert server.raw(head + b"Connection: close\r\nContent-Length: 1000\r\n\r\n" + b"a" * 1000).endswith(b"\r\n\r\n1000\n")
    assert server.raw(head + b"Connection: close\r\nContent-Length: 1001\r\n\r\n" + b"a" * 1001).startswith(b"HTTP/1.1 413 ")
    chunks = b"64\r\n" + b"a" * 100 + b"\r\n"
    assert server.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks * 20).startswith(b"HTTP/1.1 413 ")


def test_cut_off(server):
    before = server.stats()
    check_problem(server.raw(b"POST /collect HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nabc", shutdown=True), 400)
    check_problem(server.raw(b"GET /hello HT", shutdown=True), 400)
    assert server.raw(b"", shutdown=True) == b""
    after = server.stats()
    assert after["gone"] == before["gone"] + 1
    assert after["done"] == before["done"] + 2  # the one that was gone, and the first /stats


def test_half_closed_is_answered(server):
    assert server.raw(get(b"/late?ms=100"), shutdown=True).endswith(b"late\n")
    assert server.raw(get() + get(b"/late?ms=50") + get(), shutdown=True).count(b"HTTP/1.1 200") == 3


def test_client_goes_away(server):
    before = server.stats()["gone"]
    connection = server.connect()
    connection.sendall(get(b"/stream?n=100000&size=10&ms=5"))
    connection.recv(1000)
    connection.close()
    connection = server.connect()
    connection.sendall(get(b"/late?ms=60000"))
    time.sleep(0.05)
    connection.close()  # might be half closed: noticed a second later
    time.sleep(1.6)
    stats = server.stats()
    assert stats["gone"] == before + 2 and stats["exchanges"] == 1
    connection = server.connect()
    connection.sendall(get(b"/late?ms=60000") + get())  # with a request that waits unread behind it
    time.sleep(0.05)
    connection.close()
    time.sleep(2.8)
    stats = server.stats()
    assert stats["gone"] == before + 3 and stats["exchanges"] == 1


def cpu_seconds(server):
    with open(f"/proc/{server.process.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_waiting_costs_nothing(server):
    """Unread requests behind a slow one, a body that nobody takes, a reader that stands still."""
    before = cpu_seconds(server)
    with server.connect() as one, server.connect() as two, server.connect() as three, server.connect() as four:
        one.sendall(get(b"/late?ms=900") + get() * 100)
        two.sendall(b"POST /late?ms=900 HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\n" + b"x" * 200000)
        three.sendall(get(b"/big?size=20000000") + get())
        four.sendall(get(b"/late?ms=900") + get()[:9])
        time.sleep(1)
    assert cpu_seconds(server) - before < 0.3


def test_streamed(server):
    answer = server.raw(last(b"/stream?n=3&size=4"))
    assert b"transfer-encoding: chunked" in answer
    assert answer.endswith(b"\r\n\r\n4\r\ndddd\r\n4\r\ncccc\r\n4\r\nbbbb\r\n0\r\n\r\n")
    cut = server.raw(last(b"/stream?n=3&size=4&abort=1"))
    assert cut.endswith(b"bbbb\r\n")  # no last chunk


def test_slow_reader_holds_back_the_writer(server):
    with server.connect(20) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20000)
        connection.sendall(last(b"/stream?n=2000&size=10000"))
        time.sleep(0.3)
        answer = read_all(connection)
    assert answer.count(b"2710\r\n") == 2000 and answer.endswith(b"0\r\n\r\n")
    stats = server.stats()
    assert stats["most_waiting"] < 200000 and stats["drained"] > 0


def test_big_answer(server):
    head, body = head_and_body(server.raw(last(b"/big?size=5000000")))
    assert b"content-length: 5000000" in head and body == b"b" * 5000000


def test_request_body_back_pressure(server):
    """The server takes a piece each 500 ms: the client must be held back by what the kernel buffers."""
    before = server.stats()["gone"]
    with server.connect() as connection:
        connection.sendall(b"POST /collect?ms=500 HTTP/1.1\r\n" + HOST + b"Content-Length: 100000000\r\n\r\n")
        connection.settimeout(0.3)
        sent = 0
        with pytest.raises(socket.timeout):
            while sent < 100000000:
                sent += connection.send(b"x" * 100000)
        # A reset: an orderly end would come after the megabytes that wait unread.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # It notices within a second and a half, on a machine that does nothing else.
    until = time.monotonic() + 10
    while (gone := server.stats()["gone"]) == before:
        assert time.monotonic() < until, "the server has not noticed that the client is gone"
        time.sleep(0.05)
    assert gone == before + 1


def timed(function):
    begin = time.monotonic()
    result = function()
    return result, time.monotonic() - begin


def test_slow_loris(start):
    server = start(header_timeout_us=300000, body_idle_us=300000, keep_alive_us=300000)

    def drip(data, gap):
        with server.connect() as connection:
            connection.settimeout(gap)
            answer = b""
            for i in range(len(data)):
                try:
                    connection.send(data[i:i + 1])
                    answer += connection.recv(4096)
                except socket.timeout:
                    continue
                except OSError:
                    break
                if answer:
                    break
            connection.settimeout(3)
            return answer + read_all(connection)

    answer, seconds = timed(lambda: drip(get(extra=b"X: " + b"y" * 1000), 0.05))
    check_problem(answer, 408)
    assert 0.25 < seconds < 4
    body = b"POST /collect HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nabc"
    answer, seconds = timed(lambda: server.raw(body))
    check_problem(answer, 408)
    assert 0.25 < seconds < 4
    answer, seconds = timed(lambda: server.raw(get()))
    assert answer.endswith(b"hello\n") and 0.25 < seconds < 4
    answer, seconds = timed(lambda: server.raw(b""))
    assert answer == b"" and 0.25 < seconds < 4
    answer, seconds = timed(lambda: server.raw(b"PRI * HT"))
    check_problem(answer, 408)
    # A body that trickles but does not stop is not cut.
    with server.connect() as connection:
        connection.sendall(b"POST /collect HTTP/1.1\r\n" + HOST + b"Connection: close\r\nContent-Length: 8\r\n\r\n")
        for _ in range(8):
            time.sleep(0.1)
            connection.send(b"x")
        assert read_all(connection).endswith(b"\r\n\r\n8\n")
    # A keep-alive connection in use is not cut, each head has its own limit.
    with server.connect() as connection:
        for _ in range(8):
            time.sleep(0.1)
            connection.sendall(get())
            assert connection.recv(1000).endswith(b"hello\n")


def test_reader_that_takes_nothing_is_cut(start):
    server = start(write_idle_us=400000)
    with server.connect() as connection:
        connection.sendall(get(b"/big?size=50000000"))
        time.sleep(2)
        assert len(read_all(connection)) < 50000000
    stats = server.stats()
    assert stats["connections"] == 1 and stats["exchanges"] == 1


def test_too_many_connections(start):
    server = start(connections=3)
    held = [server.connect() for _ in range(3)]
    for connection in held:
        connection.sendall(get())
        assert connection.recv(1000).endswith(b"hello\n")
    problem = check_problem(server.raw(get()), 503)
    assert problem["code"] == "UNAVAILABLE"
    held.pop().close()
    time.sleep(0.1)
    assert server.raw(last()).endswith(b"hello\n")
    for connection in held:
        connection.close()


def test_graceful_stop(start):
    server = start()
    idle = server.connect()
    idle.sendall(get())
    idle.recv(1000)
    busy = server.connect()
    busy.sendall(get(b"/late?ms=500"))
    streaming = server.connect()
    streaming.sendall(get(b"/stream?n=10&size=3&ms=50"))
    time.sleep(0.1)
    server.process.terminate()
    time.sleep(0.1)
    assert read_all(idle) == b""
    with pytest.raises(OSError):
        server.connect()
    answer = read_all(busy)
    assert b"connection: close" in answer and answer.endswith(b"late\n")
    assert read_all(streaming).endswith(b"0\r\n\r\n")
    assert server.process.wait(5) == 0


def test_stop_cuts_after_the_grace(start):
    server = start()
    busy = server.connect()
    busy.sendall(get(b"/late?ms=60000"))
    time.sleep(0.1)
    server.process.terminate()
    assert server.process.wait(5) == 0
    assert read_all(busy) in (b"", b"<RESET>")
