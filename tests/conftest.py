"""What the tests of a running platform share: the platform itself, started as a user starts it, and small helpers over clients that we
did not write (httpx, grpcio). Everything is on the loopback interface, in a folder of its own, and ends with the tests."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import httpx
import pytest

import openapi

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "contract"), str(ROOT / "tests" / "access")]  # clients and fixtures that several kinds of tests share
SAMPLES = ROOT / "tests" / "samples"
PRESET = os.environ.get("DIALPLANE_PRESET", "release")
# Everything that a test starts asks nobody who they are, unless it says otherwise: who may do what has tests of its own.
os.environ.setdefault("DIALPLANE_AUTH", "off")
# What the thread sanitizer says is kept of every process, also of those whose stderr nobody reads: a test in whose time it comes has failed.
SANITIZER_REPORTS = Path(tempfile.mkdtemp(prefix="dialplane-tsan.")) if PRESET == "tsan" else None
if SANITIZER_REPORTS:
    os.environ.setdefault("DIALPLANE_THREADS", "4")  # of the gateway: more than there are cores, so that they meet
    os.environ["TSAN_OPTIONS"] = (f"suppressions='{ROOT}/tests/tsan.supp':second_deadlock_stack=1:atexit_sleep_ms=20:log_exe_name=1:"
                                  f"{os.environ.get('TSAN_OPTIONS', '')}:log_path='{SANITIZER_REPORTS}/report'")
THREADS = "3" if PRESET == "tsan" else "1"  # of further gateways
reports_read = {}  # report → bytes of it that have failed a test
SKILLBASE_CONFIG = json.loads((SAMPLES / "skillbase_salon.json").read_text())


def free_ports(count):
    """The first of `count` consecutive ports that nobody uses."""
    for first in range(20000 + os.getpid() % 5000, 32000, count):
        sockets = []
        try:
            for port in range(first, first + count):
                s = socket.socket()
                sockets.append(s)
                s.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for s in sockets:
                s.close()
    raise RuntimeError("no free ports")


class Platform:
    """A platform of its own: PostgreSQL, three services, the gateway."""

    def __init__(self, settings=None):
        self.data = tempfile.mkdtemp(prefix="dialplane-test.", dir="/tmp")
        os.chmod(self.data, 0o755)
        self._address(f"127.0.0.1:{free_ports(4)}")
        self.environment = dict(os.environ, DIALPLANE_PRESET=PRESET, **(settings or {}))
        for name in ("DIALPLANE_DATABASE_URL", "DIALPLANE_DATA", "DIALPLANE_HTTP", "DIALPLANE_CMAKE_FLAGS"):
            self.environment.pop(name, None)

    @classmethod
    def running(cls, data, http):
        """One that runs already, and stays."""
        platform = cls.__new__(cls)
        platform.data = data
        platform._address(http)
        return platform

    def _address(self, http):
        host, port = http.rsplit(":", 1)
        self.port = int(port)
        self.http = http
        self.url = f"http://{http}"
        self.skillbase = f"{host}:{self.port + 1}"
        self.campaign = f"{host}:{self.port + 2}"
        self.analytics = f"{host}:{self.port + 3}"

    def dev(self, *arguments, check=True):
        return subprocess.run([str(ROOT / "dev"), *arguments], env=self.environment, check=check, timeout=300, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def start(self, *flags):
        result = self.dev("up", "--detach", "--data", self.data, "--http", self.http, *flags, check=False)
        if result.returncode != 0:
            raise RuntimeError(f"./dev up failed:\n{result.stdout}")
        return self

    def stop(self):
        down = self.dev("down", "--data", self.data, check=False)
        # what the sanitizers said, some of it only at the end: leaks
        reports = [f"{log.name}: {line}" for log in sorted(Path(self.data, "logs").glob("*.log*"))
                   for line in log.read_text(errors="replace").splitlines() if "Sanitizer" in line or "runtime error:" in line]
        reports += [log.read_text(errors="replace") for log in sorted(Path(self.data, "logs").glob("sanitizer*"))]
        shutil.rmtree(self.data, ignore_errors=True)
        assert not reports, "\n".join(reports)
        assert down.returncode == 0, down.stdout  # something did not end by itself

    def token(self, role="platform", company=None, *flags):
        """One that the data folder's own key has signed: of a platform that was started with --auth token."""
        program = ROOT / "build" / PRESET / "bin" / "dialplane-token"
        command = [str(program), "--key", f"{self.data}/keys/token-key.pem", "--role", role, *(["--company", company] if company else []), *flags]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()

    def api(self, role="platform", company=None):
        """Its REST side, as somebody of that role."""
        api = Api(self.url)
        api.client.headers["Authorization"] = f"Bearer {self.token(role, company)}"
        return api

    def pid(self, process):
        return int(Path(self.data, "run", f"{process}.pid").read_text())

    def log(self, process):
        return Path(self.data, "logs", f"{process}.log").read_text()

    def postgres(self, action):
        """stop (at once, as a crash) or start the private PostgreSQL, as its own user and as ./dev does."""
        data = Path(self.data, "postgres")
        binaries = "/usr/lib/postgresql/15/bin"

        def as_owner():
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(data.stat().st_gid)
                os.setuid(data.stat().st_uid)
        if action == "stop":
            subprocess.run([f"{binaries}/pg_ctl", "stop", "-m", "immediate", "-w", "-s", "-D", str(data)], check=True, timeout=60, preexec_fn=as_owner,
                           cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            return
        with open(Path(self.data, "logs", "postgres.log"), "ab") as log:
            server = subprocess.Popen([f"{binaries}/postgres", "-D", str(data)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                      preexec_fn=as_owner, start_new_session=True)
        Path(self.data, "run", "postgres.pid").write_text(f"{server.pid}\n")
        ask = [f"{binaries}/pg_isready", "-q", "-d", f"host={self.data}/run user=dialplane dbname=dialplane"]
        wait_until(lambda: subprocess.run(ask, check=False).returncode == 0, 60, "PostgreSQL")

    def restart(self, process, program=None):
        """Kills one process (SIGKILL) and starts it again with the command line it had; program: another one in its place."""
        pid = self.pid(process)
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
        command[0] = program or command[0]
        environment = dict(line.split(b"=", 1) for line in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if b"=" in line)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3])
        with open(Path(self.data, "logs", f"{process}.log"), "ab") as log:
            child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     start_new_session=True)
        Path(self.data, "run", f"{process}.pid").write_text(f"{child.pid}\n")


def wait_until(condition, seconds=30, what="the condition"):
    """Waits until condition() is true and gives its value. Bounded: a test that hangs says what it waited for."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not come about within {seconds} s")
        time.sleep(0.05)


def pytest_runtest_logreport(report):
    """A test that is run again must not hide why: its first failure is shown at once."""
    if report.outcome == "rerun":
        print(f"\n{report.nodeid} failed and is run again:\n{report.longreprtext}", flush=True)


@pytest.fixture(scope="session", autouse=True)
def sanitizer_reports():
    """Those that come when the session's own processes end."""
    yield
    take_sanitizer_reports(last=True)


@pytest.fixture(autouse=True)
def sanitizer_reports_of_test(sanitizer_reports):
    yield
    take_sanitizer_reports()


def take_sanitizer_reports(last=False):
    reports = []
    for report in sorted(SANITIZER_REPORTS.iterdir()) if SANITIZER_REPORTS else ():
        text = report.read_bytes()  # the process goes on, and writes its next report behind this one
        new = text[reports_read.get(report, 0):].decode(errors="replace")
        reports_read[report] = len(text)
        reports += [f"{report.name}: {new}"] if new else []
    if last and SANITIZER_REPORTS:
        shutil.rmtree(SANITIZER_REPORTS)
    assert not reports, "\n".join(reports)


@pytest.fixture(scope="session")
def platform():
    running = os.environ.get("DIALPLANE_TEST_PLATFORM")
    if running:  # "DATA HOST:PORT" of one that ./dev up has started: for quick rounds while writing tests
        yield Platform.running(*running.split())
        return
    platform = Platform()
    try:
        platform.start()
        yield platform
    finally:
        platform.stop()


@pytest.fixture(scope="session")
def guarded():
    """A platform as ./dev up starts it when nothing else is said: who calls shows a token, signed with the key of its data folder."""
    platform = Platform({"DIALPLANE_AUTH": ""})
    try:
        platform.start()
        yield platform
    finally:
        platform.stop()


@pytest.fixture
def spare_gateway(platform):
    """Starts further gateways in front of the same services: spare_gateway("--cors-origins", "*") gives its URL. A later flag wins."""
    running = []

    def start(*flags, ready=True):
        address = f"127.0.0.1:{free_ports(1)}"
        command = [str(ROOT / "build" / PRESET / "bin" / "dialplane-gateway"), "--listen", address, "--threads", THREADS, "--log-level", "error"]
        given = {flag for flag in flags if flag.startswith("--")}
        for name in ("skillbase", "campaign", "analytics"):
            if f"--{name}" not in given:
                command += [f"--{name}", getattr(platform, name)]
        running.append(subprocess.Popen([*command, *flags], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

        def answers():
            assert running[-1].poll() is None, f"the gateway ended: {flags}"
            try:
                return httpx.get(f"http://{address}/{'readyz' if ready else 'healthz'}").status_code == 200
            except httpx.TransportError:
                return False
        wait_until(answers, 20, "the spare gateway")
        return f"http://{address}"
    yield start
    for process in running:
        process.terminate()
    for process in running:
        process.wait(30)


class Api:
    """The REST side, by httpx."""

    def __init__(self, url):
        # Threads of the gateway share out connections: under the thread sanitizer each request brings a new one.
        limits = httpx.Limits(max_keepalive_connections=0 if PRESET == "tsan" else 20)
        self.client = httpx.Client(base_url=url, timeout=30, limits=limits, event_hooks={"response": [self._check]})
        self.url = url
        self.document = None

    def _check(self, answer):
        """Every answer is one that /openapi.json describes."""
        if self.document is None:
            self.document = openapi.Document.of(self.url)
        if answer.headers.get("content-type", "").split(";")[0] in ("application/json", "application/problem+json"):
            answer.read()  # streams and files are read by the test, as it likes
        self.document.check(answer)

    def request(self, method, path, **arguments):
        return self.client.request(method, path, **arguments)

    def get(self, path, **parameters):
        return self.client.get(path, params=parameters or None)

    def ok(self, method, path, status=200, **arguments):
        answer = self.client.request(method, path, **arguments)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def problem(self, method, path, status, **arguments):
        """A request that must fail: checks the shape that every error has, and gives it."""
        answer = self.client.request(method, path, **arguments)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return check_problem(answer)

    # What most tests begin with.
    def company(self, **values):
        unique = uuid.uuid4().hex[:12]
        return self.ok("POST", "/api/companies", 201, json={"name": f"Company {unique}", "slug": f"company-{unique}", **values})

    def skillbase(self, company, **values):
        unique = uuid.uuid4().hex[:12]
        body = {"company_id": company["id"], "name": "Salon", "slug": f"salon-{unique}", "is_published": True, "config": SKILLBASE_CONFIG}
        return self.ok("POST", "/api/skillbases", 201, json={**body, **values})

    def campaign(self, company, skillbase, **values):
        body = {"company_id": company["id"], "skillbase_id": skillbase["id"], "name": "Campaign",
                "daily_start_time": "00:00", "daily_end_time": "00:00", "calls_per_minute": 60000, "max_concurrent_calls": 1000}
        return self.ok("POST", "/api/campaigns", 201, json={**body, **values})

    def upload(self, campaign, text, name="contacts.csv"):
        data = text.encode() if isinstance(text, str) else text
        return self.ok("POST", f"/api/campaigns/{campaign['id']}/call-list", files={"file": (name, data, "text/csv")})


def check_problem(answer):
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "about:blank"
    assert problem["status"] == answer.status_code
    assert problem["title"]
    assert problem["code"].isupper()
    assert len(problem["detail"]) > 5
    assert isinstance(problem["errors"], list)
    assert problem["request_id"] == answer.headers["x-request-id"]
    return problem


def fields(problem):
    """field → message of a problem."""
    return {error["field"]: error["message"] for error in problem["errors"]}


@pytest.fixture(scope="session")
def api(platform):
    return Api(platform.url)


@pytest.fixture(scope="session")
def stubs(tmp_path_factory):
    """The generated Python messages and method paths of our protos, made with protoc as any client would."""
    out = tmp_path_factory.mktemp("stubs")
    include = ["-I", str(ROOT / "proto"), "-I", "/usr/share/gocode/src/github.com/gogo/googleapis", "-I", "/usr/share/grpc-proto", "-I", "/usr/include"]
    protos = sorted(str(p.relative_to(ROOT / "proto")) for p in (ROOT / "proto" / "dialplane").rglob("*.proto"))
    subprocess.run(["protoc", f"--python_out={out}", *include, *protos, "google/api/annotations.proto", "google/api/http.proto",
                    "google/rpc/status.proto", "google/rpc/error_details.proto", "grpc/health/v1/health.proto",
                    "grpc/reflection/v1/reflection.proto", "grpc/reflection/v1alpha/reflection.proto"], check=True)
    # google is a namespace that the installed protobuf package already has: ours is added to its path.
    import sys
    sys.path.insert(0, str(out))
    import google
    google.__path__.append(str(out / "google"))
    # A folder named grpc would hide grpcio's module of that name.
    (out / "grpc").rename(out / "grpc_protos")
    return out
