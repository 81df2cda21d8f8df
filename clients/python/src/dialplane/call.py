"""How a method is called: with a deadline, in typed errors, page after page, and as a stream that resumes."""
from __future__ import annotations

import io
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

import grpc

from dialplane.errors import DialplaneError, Unavailable, from_rpc_error
from dialplane.values import fill

PIECE_BYTES = 64 * 1024
T = TypeVar("T")


class Options(NamedTuple):
    """What the .proto says of one method."""
    request: type
    repeatable: bool  # a repeated call does no harm: UNAVAILABLE is retried
    timeout: float | None  # seconds that the method itself may take
    cursor: str | None  # the request's field that names the last seq seen, so that a stream can resume


class Service:
    """The base of the generated services."""
    full_name: str
    stub_class: type
    methods: dict[str, Options]

    def __init__(self, channel: grpc.Channel, token: Callable[[], str | None], timeout: float, patience: float):
        self._stub = self.stub_class(channel)
        self._token = token
        self._timeout = timeout
        self._patience = patience

    def _deadline(self, name, timeout):
        return timeout if timeout is not None else self.methods[name].timeout or self._timeout

    def _metadata(self):
        token = self._token()
        return (("authorization", f"Bearer {token}"),) if token else ()

    def _call(self, name: str, values: dict[str, Any], timeout: float | None):
        request, shown = fill(self.methods[name].request(), values), self._metadata()
        try:
            try:
                return getattr(self._stub, name)(request, timeout=self._deadline(name, timeout), metadata=shown)
            except grpc.RpcError as error:
                # refused for its token, the call was not begun: with a new one it is asked again, once
                if error.code() is not grpc.StatusCode.UNAUTHENTICATED or (renewed := self._metadata()) == shown:
                    raise
                return getattr(self._stub, name)(request, timeout=self._deadline(name, timeout), metadata=renewed)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error

    def _pages(self, name, values, timeout):
        token = None
        while True:
            page = self._call(name, {**values, "page_token": token}, timeout)
            yield from page.items
            token = page.next_page_token
            if not token:
                return

    def _send(self, name, requests, timeout):
        kind = self.methods[name].request
        messages = (item if isinstance(item, kind) else fill(kind(), item) for item in requests)
        try:
            return getattr(self._stub, name)(messages, timeout=self._deadline(name, timeout), metadata=self._metadata())
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error

    def _upload(self, name, values, file, timeout):
        if isinstance(file, str):
            with open(file, "rb") as opened:
                return self._upload(name, {**values, **({"file_name": file.rsplit("/", 1)[-1]} if values.get("file_name") is None else {})},
                                    opened, timeout)
        stream = io.BytesIO(file) if isinstance(file, (bytes, bytearray)) else file
        kind = self.methods[name].request

        def messages():
            yield fill(kind(), values)
            while piece := stream.read(PIECE_BYTES):
                yield kind(chunk=piece)
        return self._send(name, messages(), timeout)

    def _watch(self, name, values, timeout):
        return Stream(self, name, values, timeout)


class Stream(Generic[T]):
    """Messages as they come: an iterator and a context manager. Where the method has a cursor, a service that goes away is asked again from the last
    message on, for as long as `patience` says; nothing is lost, and nothing comes twice."""

    def __init__(self, service: Service, name: str, values: dict[str, Any], timeout: float | None):
        self._service, self._name, self._values, self._timeout = service, name, dict(values), timeout
        self._options = service.methods[name]
        self._seen: set[tuple] = set()  # what has come of the last seq
        self._last: int | None = None
        self._call = None
        self._closed = False
        self._lock = threading.Lock()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends it, from any thread; the iterator stops."""
        with self._lock:
            self._closed = True
            if self._call is not None:
                self._call.cancel()

    def _open(self):
        values = dict(self._values)
        if self._last is not None:
            # Several messages may share a seq: the last one is asked for again, and what has come of it is left out.
            values[self._options.cursor] = max(self._last - 1, values.get(self._options.cursor) or 0)
        with self._lock:
            if self._closed:
                return False
            self._call = getattr(self._service._stub, self._name)(fill(self._options.request(), values), timeout=self._timeout,
                                                                          metadata=self._service._metadata())
        return True

    def _is_new(self, message) -> bool:
        """Whether it has not come before; remembers it."""
        if self._options.cursor is None or "seq" not in message.DESCRIPTOR.fields_by_name:
            return True
        kind = tuple(message.WhichOneof(oneof.name) for oneof in message.DESCRIPTOR.oneofs)
        if "init" in kind:  # carries the seq asked for, not one of its own
            new, self._last = self._last is None, message.seq if self._last is None else self._last
            return new
        if self._last is not None and message.seq < self._last:
            return False
        if message.seq != self._last:
            self._last, self._seen = message.seq, set()
        if kind in self._seen:
            return False
        self._seen.add(kind)
        return True

    def __iter__(self) -> Iterator[T]:
        pause, until = 0.05, None
        while self._open():
            try:
                for message in self._call:
                    pause, until = 0.05, None
                    if self._is_new(message):
                        yield message
                return
            except grpc.RpcError as error:
                if self._closed:
                    return
                failure = from_rpc_error(error)
                until = until or time.monotonic() + self._service._patience
                if not isinstance(failure, Unavailable) or self._options.cursor is None or time.monotonic() + pause > until:
                    raise failure from error
                time.sleep(random.uniform(pause / 2, pause))
                pause = min(2.0, pause * 2)


def patiently(action, seconds: float, stopping: threading.Event | None = None, *, for_token: bool = False):
    """Runs action() until it succeeds, for at most so many seconds: for steps that may be repeated. What no repetition can help is raised at once.
    for_token: a token that is not accepted is waited for to be renewed, too."""
    until, pause = time.monotonic() + seconds, 0.1
    transient = (*((grpc.StatusCode.UNAUTHENTICATED,) if for_token else ()), grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED, grpc.StatusCode.RESOURCE_EXHAUSTED)
    while True:
        try:
            return action()
        except DialplaneError as error:
            wait = max(random.uniform(pause / 2, pause), error.retry_after or 0)
            if error.code not in transient or time.monotonic() + wait > until or (stopping and stopping.is_set()):
                raise
            time.sleep(wait)
            pause = min(2.0, pause * 2)
