"""What TLS costs at the gateway: CPU of a GET over kept connections with and without it, in turns; and of a handshake, against `openssl s_server`
with the same certificate and the same client in the same run."""

import re
import subprocess
import tempfile
from contextlib import contextmanager

from measure import PRESET, ROOT, finish, heading, info, median, platform, process_cpu, verdict, wait_until

from certificates import Authority  # measure has said where
from conftest import free_ports

ROUNDS = 5
SECONDS = 4
REQUEST_LIMIT = 1.6  # of the gateway's own CPU: a record each way, and the buffers that an idle connection does without
HANDSHAKE_LIMIT = 1.5


@contextmanager
def program(command, listens):
    """A server of its own; gives its process once the port answers."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def answers():
            assert process.poll() is None, f"it ended: {command}"
            return subprocess.run(["openssl", "s_client", "-connect", listens], stdin=subprocess.DEVNULL, capture_output=True, timeout=20,
                                  check=False).returncode == 0 if listens else True
        wait_until(answers, 30, command[0])
        yield process
    finally:
        process.terminate()
        process.wait(30)


def load(process, url, connections=32):
    """(requests a second, CPU µs a request) of wrk over kept connections."""
    before = process_cpu(process.pid)
    done = subprocess.run(["wrk", "-t", "1", "-c", str(connections), "-d", f"{SECONDS}s", url], capture_output=True, text=True, timeout=60, check=True)
    assert "Non-2xx" not in done.stdout and "Socket errors" not in done.stdout, done.stdout
    count = int(re.search(r"(\d+) requests in", done.stdout).group(1))
    return count / SECONDS, (process_cpu(process.pid) - before) * 1e6 / count


def handshakes(process, address, version, kind):
    """(connections a second, CPU µs a connection) of openssl s_time, one connection after another."""
    before = process_cpu(process.pid)
    done = subprocess.run(["openssl", "s_time", "-connect", address, f"-{kind}", f"-{version}", "-time", str(SECONDS)], capture_output=True, text=True, timeout=60,
                          check=True)
    count, seconds = re.findall(r"(\d+) connections in (\d+) real seconds", done.stdout)[-1]
    return int(count) / int(seconds), (process_cpu(process.pid) - before) * 1e6 / int(count)


def main():
    heading("tls: GET /api/skillbases/{id} through a gateway of one thread; handshakes")
    with platform() as (owned, api), tempfile.TemporaryDirectory(prefix="dialplane-bench.") as folder:
        authority = Authority(folder)
        path = f"/api/skillbases/{api.skillbase(api.company())['id']}"
        first = free_ports(3)
        plain, secure, reference = (f"127.0.0.1:{first + i}" for i in range(3))
        gateway = [str(ROOT / "build" / PRESET / "bin" / "dialplane-gateway"), "--threads", "1", "--no-access-log"]
        for name in ("skillbase", "campaign", "analytics"):
            gateway += [f"--{name}", getattr(owned, name)]
        for kind in ("ec", "rsa"):
            certificate, key = authority.pair(kind, ["127.0.0.1", "localhost"], kind=kind)
            with program([*gateway, "--listen", plain], None) as one, \
                    program([*gateway, "--listen", secure, "--tls-certificate", certificate, "--tls-key", key], secure) as two, \
                    program(["openssl", "s_server", "-accept", reference, "-cert", certificate, "-key", key, "-quiet", "-www"], reference) as three:
                if kind == "ec":
                    ratios = []
                    for number in range(1, ROUNDS + 1):
                        (rate, cost), (tls_rate, tls_cost) = load(one, f"http://{plain}{path}"), load(two, f"https://{secure}{path}")
                        ratios.append(tls_cost / cost)
                        info(f"round {number}: plain {rate:.0f}/s, gateway {cost:.1f} µs a GET; TLS {tls_rate:.0f}/s, {tls_cost:.1f} µs; ratio {ratios[-1]:.3f}")
                    verdict("gateway's CPU of a GET with TLS / without", median(ratios), "", REQUEST_LIMIT)
                for version in ("tls1_3", "tls1_2"):
                    ours, theirs = [], []
                    for _ in range(3):
                        ours.append(handshakes(two, secure, version, "new"))
                        theirs.append(handshakes(three, reference, version, "new"))
                    again = handshakes(two, secure, version, "reuse")
                    info(f"{kind} {version}: gateway {median([o[0] for o in ours]):.0f} connections/s at {median([o[1] for o in ours]):.0f} µs CPU, "
                         f"openssl s_server {median([t[0] for t in theirs]):.0f}/s at {median([t[1] for t in theirs]):.0f} µs; "
                         f"resumed {again[0]:.0f}/s at {again[1]:.0f} µs")
                    verdict(f"CPU of a connection, {kind} {version}: gateway / openssl s_server", median([o[1] / t[1] for o, t in zip(ours, theirs)]), "",
                            HANDSHAKE_LIMIT)
    finish()


main()
