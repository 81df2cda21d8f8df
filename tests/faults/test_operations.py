"""What an operator does to a service: starts it under a supervisor, takes its database away, stops it, upgrades, goes back. Each with a PostgreSQL
of its own."""

import os
import re
import signal
import socket
import subprocess
import threading

import grpc
import pytest

from conftest import PRESET, ROOT, wait_until
from private_postgres import PrivatePostgres

SKILLBASE = ROOT / "build" / PRESET / "bin" / "dialplane-skillbase"
OPERATIONS = (ROOT / "docker" / "OPERATIONS.md").read_text()
BOUND = 60
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"  # grpc.health.v1.HealthCheckResponse


@pytest.fixture
def database():
    database = PrivatePostgres(fsync="off")
    yield database
    database.stop()


class Service:
    """A skillbase service on a unix socket."""

    def __init__(self, database, tmp_path, *flags, **environment):
        self.address = f"unix:{tmp_path}/skillbase"
        self.errors = open(tmp_path / "log", "a+", encoding="utf-8")
        self.process = subprocess.Popen(
            [str(SKILLBASE), "--listen", self.address, "--metrics-listen", "off", "--read-connections", "1", "--write-connections", "1", *flags],
            env={"PATH": os.environ["PATH"], "DIALPLANE_AUTH": "off", "DIALPLANE_DATABASE_URL": database.url, **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=self.errors)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(30)
        self.errors.close()

    def call(self, path, request=b"", seconds=20):
        with grpc.insecure_channel(self.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            return channel.unary_unary(path, lambda m: m, lambda m: m)(request, timeout=seconds, wait_for_ready=True)

    def health(self):
        try:
            return self.call("/grpc.health.v1.Health/Check", seconds=5)
        except grpc.RpcError as error:
            return error.code()

    def wait(self, health=SERVING):
        def reached():
            assert self.process.poll() is None, self.log()
            return self.health() == health
        wait_until(reached, BOUND, f"health {health}")
        return self

    def log(self):
        self.errors.seek(0)
        return self.errors.read()


class Watch:
    """grpc.health.v1.Health/Watch: what it has said so far, and how it ended."""

    def __init__(self, service, name=b""):
        self.said, self.end, self.channel = [], None, grpc.insecure_channel(service.address, options=[("grpc.use_local_subchannel_pool", 1)])
        request = b"\x0a" + bytes([len(name)]) + name if name else b""
        self.call = self.channel.unary_stream("/grpc.health.v1.Health/Watch", lambda m: m, lambda m: m)(request, wait_for_ready=True)
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self):
        try:
            for message in self.call:
                self.said.append(message)
        except grpc.RpcError as error:
            self.end = error.code()

    def close(self):
        self.call.cancel()
        self.thread.join(BOUND)
        self.channel.close()


def test_health_follows_the_database_and_the_stop(database, tmp_path):
    with Service(database, tmp_path, "--shutdown-leave", "300s") as service:
        service.wait()
        watches = [Watch(service), Watch(service, b"dialplane.v1.CompanyService")]
        try:
            wait_until(lambda: all(w.said == [SERVING] for w in watches), BOUND, "the first word")
            database.kill()
            wait_until(lambda: all(w.said == [SERVING, NOT_SERVING] for w in watches), BOUND, "NOT_SERVING")
            assert service.health() == NOT_SERVING
            database.start()
            wait_until(lambda: all(w.said == [SERVING, NOT_SERVING, SERVING] for w in watches), BOUND, "SERVING again")
            # at stop it says so, goes on answering, and waits for those who watch
            service.process.send_signal(signal.SIGTERM)
            wait_until(lambda: all(w.said[-1] == NOT_SERVING and len(w.said) == 4 for w in watches), BOUND, "NOT_SERVING")
            assert service.health() == NOT_SERVING
            service.call("/dialplane.v1.CompanyService/ListCompanies")
            late = Watch(service)
            wait_until(lambda: late.said == [NOT_SERVING], BOUND, "the word to who comes late")
            assert service.process.poll() is None and all(w.end is None for w in watches)
            late.close()
            watches.pop().close()
            assert service.process.poll() is None
        finally:
            for watch in watches:
                watch.close()
        assert service.process.wait(BOUND) == 0
        assert "Sanitizer" not in service.log()


def test_those_who_watch_do_not_hold_it_for_ever(database, tmp_path):
    with Service(database, tmp_path, "--shutdown-leave", "200ms") as service:
        service.wait()
        watch = Watch(service)
        try:
            wait_until(lambda: watch.said == [SERVING], BOUND, "the first word")
            service.process.send_signal(signal.SIGTERM)
            assert service.process.wait(BOUND) == 0
            wait_until(lambda: watch.end == grpc.StatusCode.UNAVAILABLE, BOUND, "the end of the watch")
            assert watch.said == [SERVING, NOT_SERVING]
        finally:
            watch.close()


def test_the_supervisor_is_told(database, tmp_path):
    """systemd's Type=notify: ready when it serves, not before; stopping at once."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(BOUND)
        with Service(database, tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify")) as service:
            assert told.recv(100) == b"READY=1"
            assert service.health() == SERVING
            service.process.send_signal(signal.SIGTERM)
            assert told.recv(100) == b"STOPPING=1"
            assert service.process.wait(BOUND) == 0


def tour(name):
    return re.search(rf"<!-- tour:{name} -->\n```sh\n(.*?)```", OPERATIONS, re.S).group(1)


def run_tour(name, database, folder):
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", tour(name)], cwd=folder, capture_output=True, text=True, timeout=120,
                          env={"PATH": f"{os.environ['PATH']}:/usr/lib/postgresql/15/bin", "PGHOST": database.folder, "PGUSER": "dialplane", "LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, done.stdout + done.stderr


def refusal(database, tmp_path, *flags):
    with Service(database, tmp_path, *flags) as service:
        assert service.process.wait(BOUND) == 1
        return service.log().splitlines()[-1]


def company(name):
    """CreateCompanyRequest {Company company = 1 {name, slug}} by reflection would be long; the service is asked through SQL instead."""
    return f"INSERT INTO companies (id, name, slug) VALUES (gen_random_uuid(), '{name}', '{name}')"


def test_a_newer_schema_is_refused_and_the_way_back(database, tmp_path):
    with Service(database, tmp_path) as service:
        service.wait()
    database.sql(company("before"))
    run_tour("backup", database, tmp_path)
    # an upgrade: a migration that this version does not know
    database.sql("INSERT INTO dialplane_migration (number, name, checksum) VALUES (9999, 'from_the_future', 'x'); ALTER TABLE companies RENAME TO firms;")
    database.sql("INSERT INTO firms (id, name, slug) VALUES (gen_random_uuid(), 'after', 'after')")
    for flags in ((), ("--no-migrate",), ("--migrate-only",)):
        line = refusal(database, tmp_path, *flags)
        assert "from_the_future" in line and "does not know" in line, line
    assert database.sql("SELECT count(*) FROM firms") == "2", "a refusal changes nothing"
    # and back: as it was, and the newer one is kept
    run_tour("restore", database, tmp_path)
    assert database.sql("SELECT name FROM companies") == "before"
    with Service(database, tmp_path) as service:
        service.wait()
        assert b"before" in service.call("/dialplane.v1.CompanyService/ListCompanies")
    kept = subprocess.run(["psql", "-XAtq", database.url.replace("/dialplane?", "/dialplane_newer?"), "-c", "SELECT name FROM firms ORDER BY 1"],
                          capture_output=True, text=True, check=True, timeout=60).stdout.split()
    assert kept == ["after", "before"]


def test_a_schema_that_lacks_something_is_refused_without_migrate(database, tmp_path):
    line = refusal(database, tmp_path, "--no-migrate")
    assert "lacks migration" in line and "--migrate-only" in line, line
    with Service(database, tmp_path, "--migrate-only") as service:
        assert service.process.wait(BOUND) == 0
    with Service(database, tmp_path, "--no-migrate") as service:
        service.wait()
