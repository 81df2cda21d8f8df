"""What the tests of the clients need built, each once, below build/clients: nothing is written into the tree."""

import functools
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

BUILD = ROOT / "build" / "clients"
NPM = {"npm_config_cache": str(BUILD / "npm-cache"), "npm_config_update_notifier": "false", "npm_config_audit": "false", "npm_config_fund": "false",
       "npm_config_ignore_scripts": "true", "npm_config_fetch_timeout": "60000", "npm_config_fetch_retries": "3", "npm_config_fetch_retry_mintimeout": "2000",
       "npm_config_fetch_retry_maxtimeout": "10000"}


def run(*command, cwd=None, timeout=300, check=True, **environment):
    """A program of the build or the test; what it said is in the failure."""
    done = subprocess.run([str(word) for word in command], cwd=cwd, env={**os.environ, **environment}, timeout=timeout, text=True, check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if check and done.returncode != 0:
        pytest.fail(f"{' '.join(str(word) for word in command)} failed ({done.returncode}):\n{done.stdout[-6000:]}", pytrace=False)
    return done.stdout


unreachable = []  # what npm said the first time: asking again would take as long


def npm_ci(folder):
    """node_modules by the lock file: exact versions with their checksums; again only when the lock has changed."""
    lock = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    stamp = folder / "node_modules" / ".dialplane-lock"
    if stamp.exists() and stamp.read_text() == lock:
        return
    if unreachable:
        pytest.fail(unreachable[0], pytrace=False)
    done = subprocess.run(["npm", "ci", "--no-progress"], cwd=folder, env={**os.environ, **NPM}, timeout=600, text=True, check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        unreachable.append(f"The npm packages of {folder.name} could not be had: is the npm registry reachable from this machine? (npm ci in {folder})\n"
                           f"{done.stdout[-3000:]}")
        pytest.fail(unreachable[0], pytrace=False)
    stamp.write_text(lock)


def copied(source, name, ignore=()):
    """A copy of a folder of the tree to build in; what is built there (node_modules) stays."""
    folder = BUILD / name
    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules", "generated", "dist", "__pycache__", *ignore))
    return folder


@functools.cache
def python_package():
    """The folder for PYTHONPATH."""
    folder = BUILD / "python"
    shutil.rmtree(folder, ignore_errors=True)
    run("/usr/bin/python3", "setup.py", "-q", "build_py", "--build-lib", folder, cwd=ROOT / "clients" / "python", PYTHONDONTWRITEBYTECODE="1")
    return folder


@functools.cache
def import_python():
    """The package itself."""
    sys.path.insert(0, str(python_package()))
    import dialplane
    return dialplane


@functools.cache
def typescript():
    """clients/typescript, generated and compiled by its own scripts."""
    folder = copied(ROOT / "clients" / "typescript", "typescript")
    shutil.rmtree(folder / "dist", ignore_errors=True)
    npm_ci(folder)
    run("npm", "run", "-s", "build", cwd=folder, DIALPLANE_PROTO=str(ROOT / "proto"), **NPM)
    return folder


@functools.cache
def openapi_tools():
    """The folder with spectral, openapi-typescript and tsc."""
    folder = copied(Path(__file__).parent, "openapi", ignore=("*.py",))
    npm_ci(folder)
    return folder
