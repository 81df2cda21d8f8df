"""Where services are: several addresses, names, restarts under load, stream limits."""
import asyncio
import concurrent.futures
import threading
import time
import uuid

import grpc
import websockets

from fakes import FakeService, Gateway
from test_live import Call, read, url
from test_unary import ID, problem, skillbase


def fake(protos, **options):
    service = FakeService(protos, **options)
    service.behaviours["GetSkillbase"] = lambda *_: skillbase(protos)
    return service


class Load:
    """Threads that ask without pause; statuses has every answer."""

    def __init__(self, gateway, count=4):
        self.statuses, self.failures, self.running = [], [], True
        self.rounds = [0] * count
        self.threads = [threading.Thread(target=self.run, args=(gateway, number)) for number in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self, gateway, number):
        while self.running:
            answer = gateway.request("GET", f"/api/skillbases/{ID}")
            self.statuses.append(answer.status_code)
            if answer.status_code != 200:
                self.failures.append(answer.text)
            self.rounds[number] += 1

    def next_round(self):
        """Until each thread has begun and ended a request: none that was under way before is left."""
        wanted, until = [rounds + 2 for rounds in self.rounds], time.monotonic() + 30
        while any(rounds < least for rounds, least in zip(self.rounds, wanted)):
            assert time.monotonic() < until, "requests get no answer"
            time.sleep(0.01)

    def stop(self):
        self.running = False
        for thread in self.threads:
            thread.join(20)


def test_calls_are_spread_and_a_rolling_restart_is_not_seen(protos):
    services = [fake(protos), fake(protos)]
    gateway = Gateway(services[0], "--skillbase", ",".join(f"127.0.0.1:{service.port}" for service in services))
    load = Load(gateway)

    def used(service, count=10):
        before, until = len(service.calls), time.monotonic() + 30
        while len(service.calls) < before + count:
            assert time.monotonic() < until, "it gets no calls"
            time.sleep(0.02)

    for service in services:
        used(service)
    for service in services:
        service.server.stop(5).wait()  # GOAWAY, then what is under way
        service.start()
        used(service)  # again, before the next one goes
        load.next_round()  # what one restart hit is asked again once, not twice
    load.stop()
    assert set(load.statuses) == {200}, load.failures[:3]
    gateway.stop()
    for service in services:
        service.stop()


def test_a_killed_backend_costs_only_what_was_under_way(protos):
    services = [fake(protos), fake(protos)]
    gateway = Gateway(services[0], "--skillbase", ",".join(f"127.0.0.1:{service.port}" for service in services))
    load = Load(gateway)
    time.sleep(0.5)
    services[0].stop()
    time.sleep(1)
    load.stop()
    failed = [status for status in load.statuses if status != 200]
    assert len(failed) <= 4 and set(failed) <= {503}
    gateway.stop()
    services[1].stop()


def test_names(protos):
    service = fake(protos)
    gateway = Gateway(service, "--skillbase", f"localhost:{service.port}")
    assert gateway.request("GET", f"/api/skillbases/{ID}").status_code == 200
    gateway.stop()
    gateway = Gateway(service, "--skillbase", f"no-such-host.invalid:{service.port}")
    started = time.monotonic()
    problem(gateway.request("GET", f"/api/skillbases/{ID}", timeout=40), 503)
    assert time.monotonic() - started < 35
    gateway.stop()
    service.stop()


def test_more_streams_than_one_connection_takes(protos):
    service = FakeService(protos, options=[("grpc.max_concurrent_streams", 4)])
    call = Call(service, protos)
    gateway = Gateway(service, "--threads", "1")

    async def run():
        paths = [f"/api/analytics/ws/calls/{uuid.uuid4()}" for _ in range(20)]
        sockets = await asyncio.gather(*(websockets.connect(url(gateway, path)) for path in paths))
        for socket in sockets:
            (init,) = await read(socket, 1)
            assert init["type"] == "init", init
        for socket in sockets:
            await socket.close()

    asyncio.run(run())
    call.end()
    gateway.stop()
    service.stop()


def test_too_many_at_once(protos):
    service = fake(protos)
    release = threading.Event()
    service.behaviours["GetSkillbase"] = lambda *_: release.wait(10) and skillbase(protos)
    gateway = Gateway(service, "--threads", "1", "--max-in-flight", "3")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(gateway.request, "GET", f"/api/skillbases/{ID}") for _ in range(8)]
        deadline = time.monotonic() + 5
        while sum(answer.done() for answer in answers) < 5 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert gateway.request("GET", "/healthz").status_code == 200
        release.set()
    statuses = sorted(answer.result().status_code for answer in answers)
    assert statuses == [200] * 3 + [503] * 5
    assert all(answer.result().headers.get("retry-after") for answer in answers if answer.result().status_code == 503)
    gateway.stop()
    service.stop()


def test_status_without_message_and_answers_that_are_none(protos):
    service = fake(protos)
    gateway = Gateway(service)

    def empty(_request, context):
        context.set_code(grpc.StatusCode.NOT_FOUND)
        context.set_details("")

    service.behaviours["GetSkillbase"] = empty
    assert problem(gateway.request("GET", f"/api/skillbases/{ID}"), 404)["detail"] == "Not Found"
    gateway.stop()
    service.stop()
