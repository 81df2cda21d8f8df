#!/usr/bin/python3
"""Builds the images of docker/Dockerfile without a container engine: each stage is a bare Debian root directory (debootstrap), RUN is a chroot,
COPY a copy. It is the Dockerfile itself that is read, so what it says is what is tested. Then each image's program is started as the image says: its
user, a root that cannot be written, nothing else. Needs root, and some minutes; ./dev test images runs it.

usage: images.py [--keep]     --keep leaves the roots of the last run in build/images"""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
WORK = ROOT / "build" / "images"
SUITE = "bookworm"
MIRROR = os.environ.get("DIALPLANE_DEBIAN_MIRROR", "http://deb.debian.org/debian")
KNOWN = {"FROM", "RUN", "COPY", "WORKDIR", "ARG", "ENV", "USER", "EXPOSE", "ENTRYPOINT", "STOPSIGNAL"}


def say(text):
    print(f"── {text}", flush=True)


def instructions(text):
    """(instruction, rest) of a Dockerfile; a backslash at the end of a line goes on with the next."""
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            word, _, rest = line.strip().partition(" ")
            assert word in KNOWN, f"images.py knows no {word}: teach it"
            yield word, rest.strip()


class Stage:
    def __init__(self, name, root, workdir="/", environment=None, user="0:0", entrypoint=None):
        self.name, self.root, self.workdir, self.user, self.entrypoint = name, root, workdir, user, entrypoint
        self.environment = dict(environment or {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})

    def path(self, name):
        return self.root / os.path.normpath(os.path.join(self.workdir, name)).lstrip("/")

    def run(self, command):
        # Names are found as they are here, and packages where apt finds them here; an engine would see to both.
        for file in ("/etc/resolv.conf", "/etc/hosts"):
            shutil.copy(file, self.root / file[1:])
        with Mounts(self.root):
            subprocess.run(["chroot", str(self.root), "/bin/sh", "-c", f"cd {shlex.quote(self.workdir)} && {command}"], check=True, stdin=subprocess.DEVNULL,
                           env={**self.environment, **npm_settings(), "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}, timeout=3600)


def npm_settings():
    return {name: value for name, value in os.environ.items() if name.lower().startswith("npm_config_") or name.lower().endswith("_proxy")}


class Mounts:
    """proc and a few devices, as long as a RUN lasts."""

    def __init__(self, root):
        self.targets = [(["-t", "proc", "proc"], root / "proc"), *((["--bind", f"/dev/{d}"], root / "dev" / d) for d in ("null", "zero", "urandom", "random"))]

    def __enter__(self):
        for source, target in self.targets:
            if not target.exists():
                target.touch()
            subprocess.run(["mount", *source, str(target)], check=True)

    def __exit__(self, *_):
        for _, target in reversed(self.targets):
            subprocess.run(["umount", str(target)], check=False)


def bare_debian():
    """What FROM debian:12-slim stands for: made once, then copied."""
    base = WORK / "debian"
    done = WORK / "debian.done"
    if not done.exists():
        shutil.rmtree(base, ignore_errors=True)
        say(f"debootstrap {SUITE}")
        subprocess.run(["debootstrap", "--variant=minbase", "--include=ca-certificates", SUITE, str(base), MIRROR], check=True, stdout=subprocess.DEVNULL,
                       timeout=1800)
        for part in ("sources.list", "sources.list.d", "apt.conf.d/99local"):  # the machine's own mirror, where it has one
            source = Path("/etc/apt", part)
            if source.is_dir():
                shutil.copytree(source, base / "etc/apt" / part, dirs_exist_ok=True)
            elif source.is_file():
                shutil.copy(source, base / "etc/apt" / part)
        for kept in list(Path("/etc/npmrc").parent.glob("npmrc")) + list(Path.home().glob(".npmrc")):  # where npm packages come from
            shutil.copy(kept, base / "root" / ".npmrc")
        for part in ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):  # as "slim" has it
            shutil.rmtree(base / part, ignore_errors=True)
        done.touch()
    return base


def copy_root(source, target):
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True)


def ignored():
    return [line.removeprefix("**/") for line in (ROOT / "docker" / "Dockerfile.dockerignore").read_text().split() if line]


def copy(stage, stages, rest):
    match = re.fullmatch(r"(?:--from=(\S+) )?(\S+) (\S+)", rest)
    assert match, f"COPY {rest}"
    origin, source, target = match.groups()
    to = stage.path(target)
    if target.endswith("/") or to.is_dir():
        to.mkdir(parents=True, exist_ok=True)
    else:
        to.parent.mkdir(parents=True, exist_ok=True)
    source = stages[origin].path(source) if origin else ROOT / source
    if source.is_dir():
        names = ignored()
        shutil.copytree(source, to, dirs_exist_ok=True, symlinks=True, ignore=lambda _, files: [f for f in files if f in names])
    else:
        shutil.copy(source, to)


def build():
    shutil.rmtree(WORK / "stages", ignore_errors=True)
    (WORK / "stages").mkdir(parents=True)
    bare, stages, stage = bare_debian(), {}, None
    for word, rest in instructions((ROOT / "docker" / "Dockerfile").read_text()):
        if word != "FROM":
            print(f"   {word} {rest}", flush=True)
        if word == "FROM":
            source, _, name = re.fullmatch(r"(\S+)( AS (\S+))?", rest).groups()
            say(f"{name} from {source}")
            before = stages.get(source)
            assert before or source == "debian:12-slim", f"images.py has no {source}"
            root = WORK / "stages" / name
            copy_root(before.root if before else bare, root)
            stage = stages[name] = Stage(name, root, **({"workdir": before.workdir, "environment": before.environment, "user": before.user} if before else {}))
        elif word == "RUN":
            stage.run(rest)
        elif word == "COPY":
            copy(stage, stages, rest)
        elif word == "WORKDIR":
            stage.workdir = rest
            stage.path(".").mkdir(parents=True, exist_ok=True)
        elif word in ("ARG", "ENV"):
            name, _, value = rest.partition("=")
            stage.environment[name] = value
        elif word == "USER":
            stage.user = rest
        elif word == "ENTRYPOINT":
            stage.entrypoint = json.loads(rest)
    return stages


def start(stage, arguments, **options):
    """The image's program as an engine would start it: read-only root, its own user, no capabilities."""
    user, group = stage.user.split(":")
    assert user != "0", f"{stage.name} runs as root"
    inside = " ".join(map(shlex.quote, [*stage.entrypoint, *arguments]))
    root = shlex.quote(str(stage.root))
    # in a mount namespace of its own: nothing stays mounted
    script = (f"mount --bind {root} {root} && mount -t proc proc {root}/proc && mount --bind /dev/urandom {root}/dev/urandom && "
              f"mount -o remount,bind,ro {root} && cd {root} && exec chroot --userspec={user}:{group} . {inside}")
    return subprocess.Popen(["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script], stdin=subprocess.DEVNULL, env=stage.environment, **options)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def check_program(stage):
    say(f"{stage.name}: {' '.join(stage.entrypoint)}")
    for flag in ("--version", "--help"):
        child = start(stage, [flag], stdout=subprocess.PIPE, text=True)
        text, _ = child.communicate(timeout=60)
        assert child.returncode == 0 and f"dialplane-{stage.name}" in text, text
    size = sum(f.lstat().st_size for f in stage.root.rglob("*") if not f.is_symlink() and f.is_file()) / 2**20
    extra = [p for p in ("usr/bin/gcc", "usr/bin/cmake", "src") if (stage.root / p).exists()]
    assert not extra, f"{stage.name} holds {extra}"
    print(f"   {size:.0f} MB", flush=True)


def check_token(stage):
    """What compose.yaml's volumes are mounted on belongs to who writes there, and is closed to others."""
    for name, mode in (("signing", 0o700), ("keys", 0o755)):
        status = (stage.root / name).stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (65532, 65532, mode), f"/{name}: {status}"


def check_gateway(stage):
    """It serves with nothing but its own files."""
    port = free_port()
    child = start(stage, ["--auth", "off", "--listen", f"127.0.0.1:{port}"], stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
                    assert answer.status == 200
                break
            except OSError:
                assert child.poll() is None and time.monotonic() < until, "the gateway does not answer"
                time.sleep(0.1)
        status = Path(f"/proc/{child.pid}/status").read_text()
        assert re.search(r"^Uid:\s+65532\s", status, re.M) and re.search(r"^CapEff:\s+0+$", status, re.M), status
        with open(f"/proc/{child.pid}/mounts", encoding="utf-8") as mounts:
            flags = {line.split()[1]: line.split()[3].split(",") for line in mounts}
        assert "ro" in flags["/"], "its root can be written"
    finally:
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 0


def main():
    if os.getuid() != 0:
        sys.exit("images.py: chroot and mount need root")
    os.umask(0o022)
    began = time.monotonic()
    stages = build()
    programs = [stage for stage in stages.values() if stage.entrypoint]
    assert [s.name for s in programs] == ["token", "skillbase", "campaign", "analytics", "gateway"]
    for stage in programs:
        check_program(stage)
    check_token(stages["token"])
    check_gateway(stages["gateway"])
    if "--keep" not in sys.argv:
        shutil.rmtree(WORK / "stages")
    say(f"the images are good ({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    main()
