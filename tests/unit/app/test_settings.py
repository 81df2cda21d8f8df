"""Settings, metrics port and drain of a real process: flags, variables, and what a person sees when one is wrong."""
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

PROBE = os.environ["APP_PROBE"]


def run(*flags, **variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DIALPLANE_")}
    environment.update(variables)
    return subprocess.run([PROBE, *flags], env=environment, capture_output=True, text=True, timeout=20)


def values(result):
    assert result.returncode == 0, result.stderr
    return dict(part.split("=", 1) for part in result.stdout.split())


def test_defaults():
    got = values(run())
    assert got == {"listen": "127.0.0.1:0", "password": "unset", "count": "5", "wait": "250000", "size": "65536", "verbose": "1"}


def test_flag_beats_variable_beats_default():
    assert values(run(DIALPLANE_COUNT="7"))["count"] == "7"
    assert values(run("--count", "8", DIALPLANE_COUNT="7"))["count"] == "8"
    assert values(run("--count=9", DIALPLANE_COUNT="7"))["count"] == "9"
    assert values(run(DIALPLANE_COUNT=""))["count"] == "5"


def test_own_variable():
    assert values(run(DIALPLANE_PROBE_LISTEN="127.0.0.1:1"))["listen"] == "127.0.0.1:1"
    assert values(run(DIALPLANE_LISTEN="127.0.0.1:1"))["listen"] == "127.0.0.1:0"


def test_booleans():
    assert values(run("--no-verbose"))["verbose"] == "0"
    assert values(run("--verbose=false"))["verbose"] == "0"
    assert values(run("--verbose", DIALPLANE_VERBOSE="no"))["verbose"] == "1"


def refused(result, text):
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == f"dialplane-probe: {text}\n"


def test_wrong_ones_are_one_line():
    refused(run("--count", "11"), '--count must be between 1 and 10, got "11"')
    refused(run(DIALPLANE_WAIT="soon"), 'DIALPLANE_WAIT must be a duration such as 250ms, 5s or 2m, got "soon"')
    refused(run("--cuont", "3"), "unknown flag --cuont; did you mean --count?")
    refused(run("--colour"), "unknown flag --colour; --help lists all")
    refused(run("--count"), "--count needs a value")
    refused(run("3"), 'unexpected argument "3"; settings are written --NAME VALUE')
    refused(run("--log-level", "loud"), '--log-level must be debug, info, warn or error, got "loud"')


def test_help_and_version():
    result = run("--help")
    assert result.returncode == 0 and result.stderr == ""
    for text in ("--listen TEXT", "DIALPLANE_PROBE_LISTEN", "--[no-]verbose", "default 250ms", "--log-level"):
        assert text in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert run("--version").stdout.startswith("dialplane-probe 0.")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def serve(*flags):
    port = free_port()
    process = subprocess.Popen([PROBE, "--serve", f"--listen=127.0.0.1:{port}", *flags], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("listen=")
    assert process.stdout.readline() == "serving\n"
    return process, port


def test_metrics_and_drain():
    process, port = serve()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert 'probe_total{kind="a"} 42\n' in text and 'probe_total{kind="b"} 0.5\n' in text
        assert "dialplane_build_info{version=" in text
        assert urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).read() == b"ok\n"
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/other", timeout=5)
            raise AssertionError("404 expected")
        except urllib.error.HTTPError as error:
            assert error.code == 404
        second = subprocess.run([PROBE, "--serve", f"--listen=127.0.0.1:{port}"], capture_output=True, text=True, timeout=10)
        assert second.returncode == 1
        assert second.stderr == f"cannot serve metrics on 127.0.0.1:{port}: Address already in use\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def test_not_loopback_is_refused():
    result = run("--serve", "--listen=0.0.0.0:0")
    assert result.returncode == 1 and "only loopback is safe" in result.stderr


def test_second_signal_and_limit_end_it():
    process, _ = serve("--slow")
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 1
    process, _ = serve("--slow")
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 1  # after its limit of one second
