"""Processes of a platform that are killed and started again, with the command line and environment they had."""

import os
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "contract"))

from conftest import wait_until  # noqa: E402

SERVICES = {"skillbase": "dialplane-skillbase", "campaign": "dialplane-campaign", "analytics": "dialplane-analytics"}


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def kill(platform, process, number=signal.SIGKILL, seconds=40):
    """Ends a process; gives the function that starts it again."""
    pid = platform.pid(process)
    command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
    environment = dict(pair.split(b"=", 1) for pair in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if b"=" in pair)
    os.kill(pid, number)
    wait_until(lambda: is_gone(pid), seconds, f"the end of {process}")

    def start():
        with open(Path(platform.data, "logs", f"{process}.log"), "ab") as log:
            child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        Path(platform.data, "run", f"{process}.pid").write_text(f"{child.pid}\n")
        return child
    return start


def is_ready(api):
    import httpx
    try:
        return api.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def check_away(answer, seconds, began):
    """503 with Retry-After, in bounded time."""
    import time

    from conftest import check_problem
    assert time.monotonic() - began < seconds, "the answer took too long"
    assert answer.status_code == 503, answer.text
    assert check_problem(answer)["code"] == "UNAVAILABLE"
    assert int(answer.headers["retry-after"]) > 0
    for secret in ("dialplane dbname", "password", "/run/", "SELECT", "libpq"):
        assert secret not in answer.text
