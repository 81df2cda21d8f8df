"""How often one may ask, and who is asking from where. The services behind these gateways are a stand-in that notes what it is told and says whose token
it was, so that nothing depends on how tokens are made. Rates are of the hour, so that nothing depends on how quick the machine is."""

import json
import re
import subprocess
import threading
import time
from concurrent import futures
from pathlib import Path

import grpc
import httpx
import pytest

from clients import NOBODY, Raw
from conftest import check_problem, wait_until

ME = "127.0.0.1"
COMPANY = f"/api/companies/{NOBODY}"
COUNTED = ("--rate-exempt", "none")


class Services:
    """Answers every call with an empty message. `Bearer good-NAME-anything` is NAME's token; what begins otherwise is refused."""

    def __init__(self):
        self.calls, self.lock = [], threading.Lock()
        self.server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[self])
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def service(self, details):
        if details.method.startswith("/grpc.health"):
            return None
        metadata = dict(details.invocation_metadata)
        with self.lock:
            self.calls.append(metadata)

        def answer(_, context):
            token = metadata.get("authorization", "").removeprefix("Bearer ")
            if token and not token.startswith("good-"):
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "nobody's token")
            if token:
                context.send_initial_metadata((("dialplane-principal", f"*/{token.split('-')[1]}"),))
            return b""
        return grpc.unary_unary_rpc_method_handler(answer)

    def seen(self):
        with self.lock:
            return list(self.calls)


@pytest.fixture(scope="module")
def services():
    services = Services()
    yield services
    services.server.stop(0).wait(10)


@pytest.fixture
def gateway(spare_gateway, services):
    """gateway(*flags) gives a client of a gateway that is in front of the stand-in."""
    clients = []

    def start(*flags):
        flags = [flag for name in ("skillbase", "campaign", "analytics") for flag in (f"--{name}", f"127.0.0.1:{services.port}")] + list(flags)
        clients.append(httpx.Client(base_url=spare_gateway(*flags, ready=False), timeout=20))
        return clients[-1]
    yield start
    for client in clients:
        client.close()


def ask(client, token=None, method="GET", path=COMPANY, **headers):
    if token:
        headers["authorization"] = f"Bearer {token}"
    return client.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()},
                          json={} if method in ("PUT", "POST") else None)


def refused(answer, whose):
    assert answer.status_code == 429, answer.text
    problem = check_problem(answer)
    assert (problem["code"], problem["reason"]) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED") and problem["errors"] == []
    assert whose in problem["detail"]
    assert int(answer.headers["retry-after"]) >= 1
    return problem


def policies(answer, header):
    """{name: {parameter: number}} of a list of items with parameters (RFC 9651)."""
    found = {}
    for item in answer.headers[header].split(","):
        name, *parameters = item.split(";")
        assert re.fullmatch(r'"[a-z]+"', name.strip()), answer.headers[header]
        found[name.strip().strip('"')] = {key: int(value) for key, value in (p.split("=") for p in parameters)}
    return found


def left(answer, name):
    return policies(answer, "ratelimit")[name]["r"]


# --- Who is counted as what ---

def test_an_address_has_so_many_requests(gateway):
    client = gateway(*COUNTED, "--rate-address", "1/h:50", "--rate-reads", "2/h:5")
    for n in range(5):
        answer = ask(client)
        assert answer.status_code == 200
        assert policies(answer, "ratelimit-policy") == {"address": {"q": 50, "w": 50 * 3600}, "reads": {"q": 5, "w": 5 * 1800}}
        assert left(answer, "reads") == 4 - n and left(answer, "address") == 49 - n
        assert 0 < policies(answer, "ratelimit")["reads"]["t"] <= (n + 1) * 1800
    answer = ask(client)
    refused(answer, "reads from your address")
    assert left(answer, "reads") == 0 and 0 < int(answer.headers["retry-after"]) <= 1800
    # Another class has its own; what is no route counts as reading, errors as what they are.
    assert ask(client, method="PUT").status_code == 200
    assert ask(client, path="/nothing").status_code == 429


def test_what_one_address_has_used_is_not_anothers(gateway):
    client = gateway(*COUNTED, "--trusted-proxies", ME, "--rate-reads", "1/h:3")
    for address in ("192.0.2.1", "192.0.2.2", "2001:db8::1"):
        for _ in range(3):
            assert ask(client, x_forwarded_for=address).status_code == 200
        refused(ask(client, x_forwarded_for=address), "from your address")
    # In IPv6 whoever has one address has its /64.
    refused(ask(client, x_forwarded_for="2001:db8::ffff"), "from your address")
    assert ask(client, x_forwarded_for="2001:db8:0:1::1").status_code == 200


def test_the_whole_of_an_address_before_anybody_is_known(gateway):
    client = gateway(*COUNTED, "--rate-address", "1/h:4")
    paths = [COMPANY, "/metrics", "/nothing", "/api/skillbases"]
    for path in paths:
        assert ask(client, path=path).status_code in (200, 404)
    for path in paths:
        refused(ask(client, path=path), "requests from your address")
    assert ask(client, path="/healthz").status_code == 200  # a probe is always answered


def test_a_principal_has_so_many_requests_wherever_it_comes_from(gateway):
    client = gateway(*COUNTED, "--trusted-proxies", ME, "--rate-reads", "1/h:5", "--rate-address", "1/h:20")
    # The first request of each token is its address's: whose it is, only the service can say.
    assert "address" in policies(ask(client, "good-anna-1", x_forwarded_for="192.0.2.1"), "ratelimit")
    assert "address" in policies(ask(client, "good-anna-2", x_forwarded_for="192.0.2.2"), "ratelimit")
    for n in range(5):
        answer = ask(client, f"good-anna-{n % 2 + 1}", x_forwarded_for=f"192.0.2.{n}")
        assert answer.status_code == 200 and policies(answer, "ratelimit-policy") == {"reads": {"q": 5, "w": 5 * 3600}}
        assert left(answer, "reads") == 4 - n
    for n in (1, 2):
        refused(ask(client, f"good-anna-{n}", x_forwarded_for="192.0.2.9"), "reads from you:")
    assert ask(client, "good-anna-1", method="PUT").status_code == 200
    # Others are not anna, whatever their address.
    assert ask(client, "good-bert-1", x_forwarded_for="192.0.2.1").status_code == 200
    assert left(ask(client, "good-bert-1", x_forwarded_for="192.0.2.1"), "reads") == 4


def test_services_say_whose_token_it_was(spare_gateway, guarded):
    """The same with our own services, and tokens that they verify."""
    services = [flag for name in ("skillbase", "campaign", "analytics") for flag in (f"--{name}", getattr(guarded, name))]
    with httpx.Client(base_url=spare_gateway(*COUNTED, "--auth", "token", *services), timeout=20) as client:
        first, second = guarded.token(), guarded.token("platform", None, "--subject", "somebody-else")
        for number, token in enumerate((first, first, second, second)):
            answer = ask(client, token, path="/api/companies")
            assert answer.status_code == 200
            assert set(policies(answer, "ratelimit-policy")) == ({"reads"} if number % 2 else {"address", "reads"})
            assert number % 2 == 0 or left(answer, "reads") >= 1990  # each has a full bucket of its own
        assert "address" in policies(ask(client, path="/api/companies"), "ratelimit-policy")
        assert ask(client, first + "x", path="/api/companies").status_code == 401


def test_guessing_costs_the_address_and_nobody_else(gateway):
    """A token that is not good counts as many requests. Whoever has shown a good one is not stopped by what others guess from the same address."""
    client = gateway(*COUNTED, "--rate-address", "1/h:50", "--rate-failure-cost", "10")
    assert ask(client, "good-anna-1").status_code == 200
    guesses = 0
    while (answer := ask(client, f"bad-anna-{guesses}")).status_code == 401:
        guesses += 1
        assert guesses < 10
    refused(answer, "your address")
    assert guesses == 5  # 1 + 5 * (1 + 10) > 50
    refused(ask(client), "your address")
    refused(ask(client, "good-bert-1"), "your address")  # not yet known, so not yet known from a guess
    assert ask(client, "good-anna-1").status_code == 200


def test_guessing_over_a_websocket_costs_as_much(gateway):
    """There the upgrade has been answered before the service refuses."""
    client = gateway(*COUNTED, "--rate-address", "1/h:50", "--rate-failure-cost", "10")
    address = client.base_url.netloc.decode()
    guesses = 0
    while True:
        with Raw(address) as raw:
            raw.send(f"GET /api/analytics/ws/calls/{NOBODY} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     f"Authorization: Bearer bad-{guesses}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            answer = raw.answer(head_only=True)
            if answer.status_code != 101:
                break
            while raw.take(1) != b"\x88":  # the message that says why is a text without such a byte
                pass
            assert int.from_bytes(raw.take(3)[1:], "big") == 4401
        guesses += 1
        assert guesses < 10
    assert answer.status_code == 429 and guesses == 5  # as above


def test_a_token_that_says_anna_is_not_anna(gateway):
    """What a forged token says of itself empties nobody's bucket, and makes none."""
    client = gateway(*COUNTED, "--rate-reads", "1/h:20", "--rate-failure-cost", "0")
    ask(client, "good-anna-1")
    assert left(ask(client, "good-anna-1"), "reads") == 19
    for n in range(10):
        assert ask(client, f"bad-anna-{n}").status_code == 401
    assert left(ask(client, "good-anna-1"), "reads") == 18


def test_a_token_that_is_no_longer_good_is_its_address_again(gateway, services):
    client = gateway(*COUNTED)
    token = "good-carl-1"
    ask(client, token)
    assert "address" not in policies(ask(client, token), "ratelimit")
    original = services.service

    def revoked(details):
        return grpc.unary_unary_rpc_method_handler(lambda _, context: context.abort(grpc.StatusCode.UNAUTHENTICATED, "revoked"))
    services.service = revoked
    try:
        assert ask(client, token).status_code == 401
        assert "address" in policies(ask(client, token), "ratelimit")
    finally:
        services.service = original


def test_streams_and_uploads_have_their_own(gateway):
    client = gateway(*COUNTED, "--rate-streams", "1/h:2", "--rate-uploads", "1/h:1")
    address = client.base_url.netloc.decode()
    watch = f"/api/analytics/ws/calls/{NOBODY}"
    upgrade = (f"GET {watch} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    for expected in (101, 101, 429):
        with Raw(address) as raw:
            answer = raw.send(upgrade).answer(head_only=expected == 101)
            assert answer.status_code == expected
    refused(answer, "streams")
    upload = f"/api/campaigns/{NOBODY}/call-list"
    first = client.post(upload, files={"file": ("a.csv", b"phone_number\n+15550100\n", "text/csv")})
    assert first.status_code != 429 and "uploads" in first.headers["ratelimit"]
    refused(client.post(upload, files={"file": ("a.csv", b"phone_number\n", "text/csv")}), "uploads")
    assert ask(client).status_code == 200


# --- Who is not counted ---

@pytest.mark.parametrize("flags", [(), ("--no-rate-limits", *COUNTED),
                                   (*COUNTED, *(flag for name in ("address", "reads", "writes", "uploads", "streams") for flag in (f"--rate-{name}", "off")))])
def test_nobody_is_counted(gateway, flags):
    """By default those on the machine itself are not; otherwise when it is switched off, as a whole or each."""
    client = gateway(*flags)
    for _ in range(20):
        answer = ask(client, "good-anna-1")
        assert answer.status_code == 200 and "ratelimit" not in answer.headers and "ratelimit-policy" not in answer.headers


def test_a_trusted_proxy_is_never_exempt(gateway):
    """Who comes through a proxy on the machine itself is somebody else, also where the proxy does not say who."""
    client = gateway("--trusted-proxies", ME, "--rate-reads", "1/h:2")
    assert left(ask(client, x_forwarded_for="192.0.2.1"), "reads") == 1
    assert left(ask(client), "reads") == 1


def test_pages_may_read_the_headers(gateway):
    origin = "https://app.example.com"
    client = gateway(*COUNTED, "--cors-origins", origin, "--rate-reads", "1/h:1")
    for status in (200, 429):
        answer = ask(client, origin=origin)
        assert answer.status_code == status
        exposed = {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}
        assert exposed >= {"ratelimit", "ratelimit-policy", "retry-after"}


def test_figures(gateway):
    client = gateway(*COUNTED, "--rate-writes", "1/h:1")
    ask(client, method="PUT")
    refused(ask(client, method="PUT"), "writes")
    with Raw(client.base_url.netloc.decode()) as raw:
        raw.send("GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + "a" * 40000 + "\r\n\r\n")
        assert raw.answer().status_code == 431
    metrics = client.get("/metrics").text.splitlines()
    assert 'dialplane_rate_limited_total{by="address",class="writes"} 1' in metrics
    assert 'dialplane_rate_limited_total{by="principal",class="writes"} 0' in metrics
    assert 'dialplane_http_limited_total{limit="header_size"} 1' in metrics
    assert 'dialplane_http_limited_total{limit="resets"} 0' in metrics


@pytest.mark.parametrize("flags, said", [
    (("--rate-reads", "many"), "--rate-reads"), (("--rate-address", "5:0"), "--rate-address"), (("--trusted-proxies", "10.0.0.1/8"), "10.0.0.1/8"),
    (("--rate-exempt", "localhost"), "localhost"), (("--forwarded-header", "x-real-ip"), "x-real-ip"), (("--redis-url", "http://x"), "redis"),
    (("--rate-table", "3"), "rate-table"),
])
def test_a_wrong_setting_stops_the_start_with_one_line(platform, flags, said):
    from conftest import PRESET, ROOT
    command = [str(ROOT / "build" / PRESET / "bin" / "dialplane-gateway"), "--listen", "127.0.0.1:0", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
    lines = [line for line in done.stderr.splitlines() if line]
    assert done.returncode != 0 and len(lines) == 1 and said in lines[0], done.stderr


# --- The client's address ---

def address_at_service(services, client, **headers):
    before = len(services.seen())
    assert ask(client, **headers).status_code == 200
    calls = services.seen()[before:]
    assert len(calls) == 1
    return calls[0].get("dialplane-client-address")


def test_services_are_told_the_peers_address(gateway, services):
    client = gateway()
    assert address_at_service(services, client) == ME
    # What a client says about itself is not handed on, by any name.
    assert address_at_service(services, client, dialplane_client_address="192.0.2.1", x_forwarded_for="192.0.2.1", forwarded="for=192.0.2.1",
                              dialplane_principal="*/anna") == ME
    assert "dialplane-principal" not in services.seen()[-1]


def test_services_are_told_what_a_trusted_proxy_says(gateway, services):
    client = gateway("--trusted-proxies", "127.0.0.0/8,10.0.0.0/8")
    for said, expected in [("192.0.2.1", "192.0.2.1"), ("198.51.100.1, 192.0.2.1, 10.0.0.2", "192.0.2.1"), ("2001:db8::1", "2001:db8::1"), ("nobody", ME)]:
        assert address_at_service(services, client, x_forwarded_for=said) == expected
    assert address_at_service(services, client, forwarded="for=192.0.2.1") == ME  # not the header that was named
    client = gateway("--trusted-proxies", "127.0.0.0/8", "--forwarded-header", "forwarded")
    assert address_at_service(services, client, forwarded='for=198.51.100.1, for="[2001:db8::1]:4711";proto=https') == "2001:db8::1"
    assert address_at_service(services, client, x_forwarded_for="192.0.2.1") == ME


# --- Several gateways ---

class Redis:
    def __init__(self, folder):
        self.socket, self.process = str(folder / "redis.sock"), None

    def start(self):
        self.process = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly", "no",
                                         "--dir", str(Path(self.socket).parent)], executable="/usr/bin/redis-check-rdb",
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: subprocess.run(["redis-cli", "-s", self.socket, "ping"], check=False, capture_output=True).stdout == b"PONG\n", 30, "Redis")

    def kill(self):
        self.process.kill()
        self.process.wait(30)


@pytest.fixture
def redis(tmp_path):
    redis = Redis(tmp_path)
    redis.start()
    yield redis
    redis.kill()


def test_gateways_share_one_budget(gateway, redis):
    flags = (*COUNTED, "--rate-reads", "off", "--rate-address", "off", "--rate-writes", "1/h:60", "--redis-url", f"unix:{redis.socket}")
    first, second = clients = [gateway(*flags), gateway(*flags)]

    def is_shared(client, value):
        return f"dialplane_rate_limits_shared {value}" in client.get("/metrics").text
    for client in clients:
        wait_until(lambda client=client: is_shared(client, 1), 30, "a gateway that hears the others")
        assert ask(client, "good-dora-1").status_code == 200  # now it knows whose token that is
    # An address, and a principal: what is used up at one gateway is soon used up at the other, which has let through next to nothing itself.
    for token in (None, "good-dora-1"):
        for _ in range(60):
            assert ask(first, token, method="PUT").status_code == 200
        refused(ask(first, token, method="PUT"), "writes")
        looks = 0
        while (answer := ask(second, token, method="PUT")).status_code == 200:
            looks += 1
            assert looks < 40, "the other gateway has not heard of it"
            time.sleep(0.5)
        refused(answer, "writes")
    # Without Redis each limits for itself: it goes on, and says so.
    redis.kill()
    for client in clients:
        wait_until(lambda client=client: is_shared(client, 0), 30, "a gateway that knows it is alone")
        assert ask(client, "good-eva-1").status_code == 200
        for _ in range(60):
            assert ask(client, "good-eva-1", method="PUT").status_code == 200
        refused(ask(client, "good-eva-1", method="PUT"), "you")


def test_the_description_knows_it(gateway):
    document = gateway().get("/openapi.json").json()
    operations = [o for path in document["paths"].values() for o in path.values() if isinstance(o, dict) and "responses" in o]
    assert operations and all(o["responses"]["429"] == {"$ref": "#/components/responses/TooManyRequests"} for o in operations)
    response = document["components"]["responses"]["TooManyRequests"]
    assert set(response["headers"]) >= {"Retry-After", "RateLimit", "RateLimit-Policy"}
    for header in response["headers"].values():
        assert json.dumps(header).split("/")[-1].rstrip('"}') in document["components"]["headers"]
