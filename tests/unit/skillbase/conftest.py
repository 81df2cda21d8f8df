"""One dialplane-skillbase for a file of tests."""
import os
import signal
import subprocess
import uuid

import grpc
import pytest

from support import DATABASE, SERVER, Client, Failure


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    # Not a pipe: one that nobody reads would stop the service.
    log = tmp_path_factory.mktemp("skillbase") / "log"
    target = f"unix:/tmp/dialplane-skillbase-test.{os.getpid()}"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [SERVER, "--listen", target, "--metrics-listen", "off", "--database-url", DATABASE], stderr=stderr)
    try:
        with grpc.insecure_channel(target) as channel:
            grpc.channel_ready_future(channel).result(timeout=60)
        yield target
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
        print(*[line for line in log.read_text().splitlines() if '"level":"error"' in line][-20:], sep="\n")
        os.path.exists(target[5:]) and os.unlink(target[5:])


@pytest.fixture()
def client(server):
    made = Client(server)
    yield made
    made.channel.close()


@pytest.fixture()
def company(client):
    tag = uuid.uuid4().hex
    made = client.CreateCompany(company={"name": "Company " + tag, "slug": tag})
    yield made
    try:
        client.DeleteCompany(id=made.id)
    except Failure as failure:
        assert failure.code == "NOT_FOUND"
