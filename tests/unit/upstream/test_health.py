"""Where several addresses are known the gateway watches grpc.health.v1 on each connection: who says NOT_SERVING is left in peace."""
import queue
import threading
import time

from fakes import Gateway
from test_backends import Load, fake
from test_unary import ID


class Health:
    """The behaviour of Health/Watch: says what it is told to, and knows who still listens."""

    def __init__(self, protos, service, serving=True):
        self.protos, self.serving, self.watchers, self.lock = protos, serving, [], threading.Lock()
        service.behaviours["Watch"] = self.watch

    def watch(self, _request, context):
        words = queue.Queue()
        if not context.add_callback(lambda: words.put(None)):
            return  # it has gone already
        with self.lock:
            self.watchers.append(words)
            words.put(self.serving)
        try:  # a call that has ended is dropped where it yields
            while True:
                word = words.get()
                if word is None:
                    break
                yield self.protos.message("grpc.health.v1.HealthCheckResponse")(status=1 if word else 2)
        finally:
            with self.lock:
                self.watchers.remove(words)

    def say(self, serving):
        with self.lock:
            self.serving = serving
            for words in self.watchers:
                words.put(serving)


def wait(condition, what):
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def asked(service):
    return sum(call[0] == "GetSkillbase" for call in service.calls)


def test_who_does_not_serve_is_left_and_found_again(protos):
    services = [fake(protos), fake(protos)]
    health = [Health(protos, service) for service in services]
    gateway = Gateway(services[0], "--skillbase", ",".join(f"127.0.0.1:{service.port}" for service in services))
    load = Load(gateway)
    try:
        # two threads of the gateway, one connection each
        wait(lambda: all(asked(s) > 5 for s in services) and all(len(h.watchers) == 2 for h in health), "calls and watches of both")
        first = list(health[0].watchers)
        health[0].say(False)
        wait(lambda: not any(w in health[0].watchers for w in first), "the connections closed: nobody watches")
        before = asked(services[0])
        target = asked(services[1]) + 50
        wait(lambda: asked(services[1]) > target, "calls of the other")
        assert asked(services[0]) == before
        # the new connections that ask again are told the same, and take no calls
        wait(lambda: sum(call[0] == "Watch" for call in services[0].calls) > 4, "further attempts")
        assert asked(services[0]) == before
        health[0].say(True)
        wait(lambda: asked(services[0]) > before + 10, "calls again")
    finally:
        load.stop()
        gateway.stop()
        for service in services:
            service.stop()
    assert set(load.statuses) == {200}


def test_when_nobody_serves_all_are_asked(protos):
    """Their own answers are better than ours."""
    services = [fake(protos), fake(protos)]
    health = [Health(protos, service, serving=False) for service in services]
    gateway = Gateway(services[0], "--skillbase", ",".join(f"127.0.0.1:{service.port}" for service in services))
    try:
        for _ in range(20):
            assert gateway.request("GET", f"/api/skillbases/{ID}").status_code == 200
        wait(lambda: all(h.watchers for h in health), "watches")
        for _ in range(20):
            assert gateway.request("GET", f"/api/skillbases/{ID}").status_code == 200
    finally:
        gateway.stop()
        for service in services:
            service.stop()


def test_one_address_is_not_watched(protos):
    service = fake(protos)
    gateway = Gateway(service)
    try:
        assert gateway.request("GET", f"/api/skillbases/{ID}").status_code == 200
        assert not [call for call in service.calls if call[0] == "Watch"]
    finally:
        gateway.stop()
        service.stop()
