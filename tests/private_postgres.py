"""A PostgreSQL of one's own for faults and benchmarks: unix socket in a temporary folder, durable (fsync on unless told), killable."""
import os
import shutil
import signal
import subprocess
import tempfile
import time

BIN = "/usr/lib/postgresql/15/bin"


class PrivatePostgres:
    def __init__(self, keep=None, **settings):
        """keep: a folder whose data stays after stop(), and is taken as it is when there is some (settings are those it was made with)."""
        # DIALPLANE_BENCH_DIR: a folder with room for large data, which the user nobody can reach
        self.kept = keep is not None
        self.folder = os.path.abspath(keep) if self.kept else tempfile.mkdtemp(prefix="dialplane-pg.", dir=os.environ.get("DIALPLANE_BENCH_DIR", "/tmp"))
        self.user = "nobody" if os.getuid() == 0 else None
        self.data = f"{self.folder}/data"
        self.url = f"postgresql://dialplane@/dialplane?host={self.folder}"
        self.found = os.path.exists(f"{self.data}/PG_VERSION")
        if self.found:
            self.start()
            return
        os.makedirs(self.folder, exist_ok=True)
        os.chmod(self.folder, 0o755)
        if self.user:
            shutil.chown(self.folder, self.user)
        self._run(f"{BIN}/initdb", "-D", self.data, "-U", "dialplane", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        values = {"listen_addresses": "''", "unix_socket_directories": f"'{self.folder}'", "max_connections": 300, "jit": "off", "timezone": "'UTC'", **settings}
        with open(f"{self.data}/postgresql.conf", "a", encoding="utf-8") as conf:
            conf.writelines(f"{name} = {value}\n" for name, value in values.items())
        self.start()
        self._run(f"{BIN}/createdb", "-h", self.folder, "-U", "dialplane", "dialplane")

    def _run(self, *command, check=True):
        prefix = ["runuser", "-u", self.user, "--"] if self.user else []
        return subprocess.run([*prefix, *command], cwd="/", check=check, timeout=120, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode

    def start(self):
        for _ in range(100):  # after a SIGKILL the children of the old server take a moment to notice
            if self._run(f"{BIN}/pg_ctl", "-D", self.data, "-w", "-t", "60", "-l", f"{self.folder}/log", "start", check=False) == 0:
                return
            time.sleep(0.1)
        raise RuntimeError("PostgreSQL did not start: " + open(f"{self.folder}/log", encoding="utf-8", errors="replace").read()[-2000:])

    def kill(self):
        """SIGKILL to the server's first process; the others end when they notice."""
        with open(f"{self.data}/postmaster.pid", encoding="utf-8") as file:
            os.kill(int(file.readline()), signal.SIGKILL)

    def stop(self):
        self._run(f"{BIN}/pg_ctl", "-D", self.data, "-w", "-m", "fast" if self.kept else "immediate", "stop", check=False)
        if self.kept:
            return
        shutil.rmtree(self.folder, ignore_errors=True)

    def sql(self, text, timeout=300):
        return subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", self.url], input=text, check=True, capture_output=True, text=True, timeout=timeout).stdout.strip()
