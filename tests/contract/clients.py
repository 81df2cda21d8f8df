"""Clients of the contract tests beyond httpx: raw sockets, curl, and python-grpcio that knows nothing but server reflection."""

import json
import re
import socket
import subprocess

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6}|\.\d{9})?Z")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
REFUSED_ON_PURPOSE = "refused by a trigger of the tests"  # what the database says where a test makes it fail
NOBODY = "01890000-0000-7000-8000-000000000000"


class Answer:
    """An answer of HTTP/1.1 as it came: with the names that conftest.check_problem() needs."""

    def __init__(self, status, headers, body):
        self.status_code, self.headers, self.content = status, headers, body

    @property
    def text(self):
        return self.content.decode()

    def json(self):
        return json.loads(self.content)


class Raw:
    """One TCP connection: what is sent is what the test wrote."""

    def __init__(self, address, timeout=10):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())
        return self

    def _more(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise EOFError(f"closed after {self.buffer[:200]!r}")
        self.buffer += piece

    def _until(self, mark):
        while mark not in self.buffer:
            self._more()
        head, self.buffer = self.buffer.split(mark, 1)
        return head

    def take(self, count):
        while len(self.buffer) < count:
            self._more()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def answer(self, head_only=False):
        """The next answer; raises EOFError when the server has closed instead."""
        lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(re.fullmatch(r"HTTP/1\.1 (\d{3}) .*", lines[0]).group(1))
        headers = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            assert name.lower() not in headers or name.lower() == "vary", f"{name} twice"
            headers[name.lower()] = value.strip()
        body = b""
        if head_only or status in (204, 304) or status < 200:
            pass
        elif headers.get("transfer-encoding") == "chunked":
            while size := int(self._until(b"\r\n"), 16):
                body += self.take(size)
                self.take(2)
            self.take(2)
        else:
            body = self.take(int(headers["content-length"]))
        return Answer(status, headers, body)

    def is_closed(self):
        """Waits for the server's end of the connection: True when it closes and says nothing more."""
        try:
            return self.buffer == b"" and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def curl(*arguments, data=None):
    """curl with the answer's head; the last answer when there are several."""
    command = ["curl", "-sS", "-i", "--max-time", "20", "--path-as-is", *arguments]
    done = subprocess.run(command, input=data, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
    head, body = done.stdout.split(b"\r\n\r\n", 1)
    while head.startswith(b"HTTP/1.1 1"):
        head, body = body.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
    answer = Answer(int(lines[0].split()[1]), headers, body)
    answer.version = lines[0].split()[0]
    return answer


def micros(text):
    """A time of an answer as microseconds since 1970, exactly."""
    from datetime import datetime, timezone
    assert TIME.fullmatch(text), text
    whole, _, part = text[:-1].partition(".")
    seconds = int(datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp())
    return seconds * 1000000 + int(part.ljust(6, "0")[:6] or 0)


def walk(api, path, limit, **parameters):
    """All pages of a list, by page_token; checks that every page but the last is full and totals stay."""
    token, items = None, []
    while True:
        page = api.ok("GET", path, params={**parameters, "limit": limit, **({"page_token": token} if token else {})})
        assert set(page) >= {"items", "total", "next_page_token"}
        items += page["items"]
        token = page["next_page_token"]
        if token is None:
            return items
        assert len(page["items"]) == limit
