"""What the benchmarks of a running platform share: a platform of their own, CPU and memory of its processes from /proc, and the lines they print.
Every figure is a ratio to something measured in the same run, or CPU time or memory of our own processes, because machines differ and are shared."""

import os
import re
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from conftest import PRESET, ROOT, SAMPLES, Api, Platform, wait_until  # noqa: E402, F401

SERVICES = ("skillbase", "campaign", "analytics")
PROCESSES = ("gateway", *SERVICES)
TICKS = os.sysconf("SC_CLK_TCK")
missed = []


@contextmanager
def platform(settings=None):
    """A platform that runs for this benchmark only, and the REST client for it."""
    owned = Platform(settings)
    try:
        owned.start()
        yield owned, Api(owned.url)
    finally:
        owned.stop()


# --- what a process has used ------------------------------------------------------------------------------------------

def _stat(pid):
    """The fields of /proc/PID/stat after the name, which may contain anything: [0] is the state."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def process_cpu(pid):
    """CPU seconds, user and system, of all threads of a process."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS


def postgres_pid(owned):
    return int(Path(owned.data, "postgres", "postmaster.pid").read_text().split("\n", 1)[0])


def postgres_cpu(owned):
    """CPU seconds of the server: the postmaster, those of its children that have ended, and those that live."""
    postmaster = postgres_pid(owned)
    while True:
        own = [int(field) for field in _stat(postmaster)[11:15]]
        ticks = sum(own)
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = _stat(entry.name)
                except OSError:
                    continue  # ended meanwhile
                if int(fields[1]) == postmaster:
                    ticks += int(fields[11]) + int(fields[12])
        # A backend that was waited for meanwhile may have been counted in neither place, or in both: again.
        if [int(field) for field in _stat(postmaster)[13:15]] == own[2:]:
            return ticks / TICKS


def cpu(owned):
    """name → CPU seconds so far."""
    used = {name: process_cpu(owned.pid(f"dialplane-{name}")) for name in PROCESSES}
    used["postgres"] = postgres_cpu(owned)
    return used


def cpu_since(owned, before):
    return {name: value - before[name] for name, value in cpu(owned).items()}


def memory(pid):
    """Resident kilobytes of a process: (RSS, PSS). PSS counts a page that n processes share as 1/n in each."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return tuple(int(re.search(rf"^{name}:\s+(\d+) kB", text, re.M).group(1)) for name in ("Rss", "Pss"))


def socket_memory_kb():
    """Kilobytes of kernel memory in TCP buffers, of the whole machine."""
    pages = int(re.search(r"^TCP: .* mem (\d+)", Path("/proc/net/sockstat").read_text(), re.M).group(1))
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


# --- load generators --------------------------------------------------------------------------------------------------

class Run:
    """One timed run of a load generator against the platform: requests per second, and CPU microseconds a request."""

    def __init__(self, owned, command, environment=None):
        self.before = cpu(owned)
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                 env=dict(os.environ, **(environment or {})))
        self.output = child.stdout.read()  # every command here ends by itself
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        self.after = cpu_since(owned, self.before)
        if child.returncode != 0:
            raise RuntimeError(f"{command[0]} failed:\n{self.output}")
        self.after["client"] = used.ru_utime + used.ru_stime
        self.rate, self.count = 0.0, 0

    def per_request(self, name):
        return self.after[name] * 1e6 / self.count


def wrk(owned, path, seconds, *, connections=64, script=None):
    """GET of a path (or what a Lua script makes) over HTTP/1.1 keep-alive. Refuses a run in which not every answer was a success."""
    command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--latency"]
    run = Run(owned, [*command, *(["-s", script] if script else []), f"{owned.url}{path}"])
    if "Non-2xx" in run.output or "Socket errors" in run.output:
        raise RuntimeError(f"not every request succeeded:\n{run.output}")
    run.count = int(re.search(r"(\d+) requests in", run.output).group(1))
    run.rate = float(re.search(r"Requests/sec:\s+([\d.]+)", run.output).group(1))
    run.p99 = re.search(r"99%\s+(\S+)", run.output).group(1)
    return run


def pgbench(owned, script, variables, seconds, *, clients):
    """Prepared statements over the private server's unix socket, as the services use it."""
    command = ["/usr/lib/postgresql/15/bin/pgbench", "-n", "-M", "prepared", "-f", str(script), "-c", str(clients), "-j", "1", "-T", str(seconds)]
    for name, value in variables.items():
        command += ["-D", f"{name}={value}"]
    run = Run(owned, [*command, "-h", f"{owned.data}/run", "-U", "dialplane", "dialplane"])
    run.count = int(re.search(r"actually processed: (\d+)", run.output).group(1))
    run.rate = float(re.search(r"tps = ([\d.]+) \(without", run.output).group(1))
    return run


# --- what is printed --------------------------------------------------------------------------------------------------

def heading(name):
    """The title, and how busy the machine is before anything of ours runs."""
    def busy():
        ticks = [int(t) for t in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return sum(ticks), ticks[3] + ticks[4]
    total, idle = busy()
    time.sleep(1)
    total_after, idle_after = busy()
    share = 1 - (idle_after - idle) / max(total_after - total, 1)
    print(f"── {name} ({PRESET}; {os.cpu_count()} cores, {share:.0%} busy with other work before, load average {os.getloadavg()[0]:.1f})",
          flush=True)


def info(text):
    print(f"  {text}", flush=True)


def verdict(name, figure, unit, limit, at_least=False):
    """One promised figure: prints it with its limit, and remembers a miss for the exit status."""
    meets = figure >= limit if at_least else figure <= limit
    if not meets:
        missed.append(name)
    print(f"  {name}: {figure:.2f}{unit}, limit {'at least' if at_least else 'at most'} {limit:g}{unit}, "
          f"ratio {figure / limit:.2f}: {'meets' if meets else 'MISSES'}", flush=True)


def median(values):
    return statistics.median(values)


def finish():
    """The exit status: 1 when something promised was missed."""
    sys.exit(1 if missed else 0)
