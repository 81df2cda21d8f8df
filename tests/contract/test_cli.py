"""The command line as a person and as a script meet it: every command against a running platform, tables, JSON equal to REST's, exit
statuses, wrong input, a terminal. And the C client's example, which makes the whole flow."""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import termios
import threading
import time
import uuid

import grpc
import pytest

from clients import NOBODY
from conftest import PRESET, ROOT, SAMPLES, SKILLBASE_CONFIG, free_ports, wait_until

BINARIES = ROOT / "build" / PRESET / "bin"
PROGRAM = str(BINARIES / "dialplane")
MADE = ROOT / "build" / PRESET / "clients" / "cli"
SECONDS = 60  # for one run on a loaded machine; the program's own limit is 30

OK, FAILED, USAGE, NOT_FOUND, INVALID, CONFLICT, UNAVAILABLE, DENIED, DEADLINE, ROWS_REFUSED = range(10)
INTERRUPTED, BROKEN_PIPE = 130, 141


class Cli:
    def __init__(self, server, folder):
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("DIALPLANE_")}
        self.environment.update(DIALPLANE_SERVER=server, XDG_CONFIG_HOME=str(folder), TERM="xterm-256color")
        self.environment.pop("NO_COLOR", None)

    def run(self, *arguments, status=OK, stdin="", environment=None, cwd=None):
        done = subprocess.run([PROGRAM, *map(str, arguments)], input=stdin, text=True, capture_output=True, timeout=SECONDS, cwd=cwd,
                              env={**self.environment, **(environment or {})})
        assert done.returncode == status, f"{arguments}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments, **more):
        return json.loads(self.run(*arguments, "--json", **more).stdout)

    def wrong(self, *arguments, status, **more):
        """What a command that must fail says."""
        done = self.run(*arguments, status=status, **more)
        assert done.stdout == "", done.stdout
        return done.stderr


@pytest.fixture
def cli(platform, tmp_path):
    return Cli(platform.http, tmp_path)


@pytest.fixture
def company(api):
    return api.company()


@pytest.fixture
def skillbase(api, company):
    return api.skillbase(company)


@pytest.fixture
def campaign(api, company, skillbase):
    return api.campaign(company, skillbase, name=f"Campaign {uuid.uuid4().hex[:12]}")


CONTACTS = "phone_number,name\n+12015550101,Ann\n+12015550102,Bob\n"


def commands():
    """(words, summary) of every command, as --help lists them."""
    found, groups, part = [], [], None
    top = subprocess.run([PROGRAM, "--help"], text=True, capture_output=True, timeout=SECONDS, check=True).stdout
    for line in top.splitlines():
        if re.fullmatch(r"\w.*:", line):
            part = line
        entry = re.fullmatch(r"  ([a-z-]+) +(\S.*)", line)
        if entry and part == "Groups:":
            groups.append(entry.group(1))
        elif entry and part == "Also:":
            found.append(((entry.group(1),), entry.group(2)))
    for group in groups:
        text = subprocess.run([PROGRAM, group, "--help"], text=True, capture_output=True, timeout=SECONDS, check=True).stdout
        for name, summary in re.findall(r"^  ([a-z-]+) +(\S.*)$", text.split("Commands:")[1], re.M):
            found.append(((group, name), summary))
    return groups, found


# --- help, completion, manual: one table --------------------------------------------------------------------------------------------

def test_help_completion_and_manual_agree(cli):
    groups, found = commands()
    assert len(groups) >= 8 and len(found) >= 45
    manual = cli.run("man").stdout.replace("\\-", "-")
    sections = {re.match(r"dialplane ((?:[a-z-]+ ?)+)", s).group(1).strip(): s for s in manual.split("\n.SS ")[1:]}
    scripts = {shell: cli.run("completion", shell).stdout for shell in ("bash", "zsh", "fish")}
    assert set(sections) == {" ".join(words) for words, _ in found}
    for words, summary in found:
        key = " ".join(words)
        text = cli.run(*words, "--help").stdout
        assert text.startswith(summary[:40]), key
        assert f"Usage: dialplane {key}" in text
        assert text == cli.run("help", *words).stdout
        flags = set(re.findall(r"^  (?:-\w, )?(--[a-z0-9-]+)", text, re.M))
        assert flags == set(re.findall(r"^\\fB(?:-\w, )?(--[a-z0-9-]+)", sections[key], re.M)), key
        bash = re.search(rf"^ +'{key}'\)\n +words='([^']*)'", scripts["bash"], re.M).group(1).split()
        assert flags <= set(bash) and not {w for w in bash if w.startswith("--")} - flags, key
        zsh = scripts["zsh"].split(f"    '{key}')\n")[1].split(";;")[0]
        for flag in flags:
            assert re.search(rf"'\*?{flag}[=\[]", zsh), (key, flag)
        condition = f"__fish_seen_subcommand_from {words[-1]}'"
        fish = "\n".join(line for line in scripts["fish"].splitlines() if condition in line)
        for flag in flags:
            assert re.search(rf"-l {flag[2:]}\b", fish), (key, flag)
        assert re.search(rf"-a {words[-1]} ", scripts["fish"])
    for name in ("dialplane.1", "dialplane.bash", "_dialplane", "dialplane.fish"):
        assert (MADE / name).stat().st_size > 1000  # what cmake --install takes


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_its_shell(cli, shell, tmp_path):
    assert shutil.which(shell), f"{shell} is not installed"
    script = tmp_path / "script"
    script.write_text(cli.run("completion", shell).stdout)
    subprocess.run([shell, "-n", str(script)], check=True, timeout=SECONDS)


def complete(tmp_path, cli, *words):
    script = tmp_path / "completion.bash"
    script.write_text(cli.run("completion", "bash").stdout)
    code = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _dialplane; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", code, "-", str(script), "dialplane", *words], text=True, capture_output=True, timeout=SECONDS,
                          check=True, cwd=tmp_path)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_completion_completes(cli, tmp_path):
    (tmp_path / "contacts.csv").write_text(CONTACTS)
    assert complete(tmp_path, cli, "camp") == {"campaign"}
    assert {"list", "upload", "watch"} <= complete(tmp_path, cli, "--server", "x:1", "campaigns", "")
    assert complete(tmp_path, cli, "campaign", "list", "--stat") == {"--status"}
    assert complete(tmp_path, cli, "campaign", "list", "--status", "") == {"draft", "running", "paused", "completed", "cancelled"}
    assert "contacts.csv" in complete(tmp_path, cli, "campaign", "upload", "X", "con")
    assert complete(tmp_path, cli, "completion", "b") == {"bash"}


def test_fish_completes(cli, tmp_path):
    script = tmp_path / "dialplane.fish"
    script.write_text(cli.run("completion", "fish").stdout)
    done = subprocess.run(["fish", "-c", f"source {script}; complete -C 'dialplane campaign st'; complete -C 'dialplane call list --status '"],
                          text=True, capture_output=True, timeout=SECONDS, env={**cli.environment, "HOME": str(tmp_path)}, check=True)
    assert re.search(r"^start\t", done.stdout, re.M) and re.search(r"^transferred\t", done.stdout, re.M)


def test_version(cli):
    assert re.fullmatch(r"dialplane \d+\.\d+\.\d+\S*\n", cli.run("version").stdout)
    assert cli.run("--version").stdout == cli.run("version").stdout


# --- every resource ------------------------------------------------------------------------------------------------------------------

def test_company(cli, api):
    slug = f"cli-{uuid.uuid4().hex[:12]}"
    made = cli.json("company", "create", "--name", f"Имя {slug}", "--slug", slug, "--settings", '{"a": [1, {"b": null}]}')
    path = f"/api/companies/{made['id']}"
    assert made == api.ok("GET", path)
    assert made["settings"] == {"a": [1, {"b": None}]} and made["is_active"] is True
    for name in (made["id"], slug, made["name"], made["id"][:-1]):
        assert cli.json("company", "get", name) == made
    changed = cli.json("company", "update", slug, "--no-is-active", "--description", "x")
    assert changed == api.ok("GET", path)
    assert (changed["is_active"], changed["description"], changed["name"]) == (False, "x", made["name"])
    assert cli.json("company", "update", slug, "--clear", "description")["description"] is None
    text = cli.run("company", "get", slug).stdout
    assert re.search(rf"^slug +{slug}$", text, re.M) and re.search(r"^is_active +no$", text, re.M)
    log = cli.json("company", "audit", slug)
    assert [entry["action"] for entry in log["items"]] == ["update", "update", "create"]
    assert re.search(r"administrator +company +create", cli.run("company", "audit", slug, "--action", "create").stdout)
    assert "--yes" in cli.wrong("company", "delete", slug, status=USAGE)
    assert cli.run("company", "delete", slug, "--yes").stdout == "Done.\n"
    assert "has the id, slug or name" in cli.wrong("company", "get", slug, status=NOT_FOUND)
    assert cli.wrong("company", "get", made["id"], status=NOT_FOUND)


def test_company_list_is_that_of_rest(cli, api, company):
    assert cli.json("company", "list", "--limit", "2") == api.ok("GET", "/api/companies", params={"limit": 2})
    first = cli.json("companies", "list", "--limit", "1")
    if first["next_page_token"]:
        second = cli.json("company", "list", "--limit", "1", "--page-token", first["next_page_token"])
        assert second["items"][0]["id"] != first["items"][0]["id"]
        assert f"--page-token {first['next_page_token']}" in cli.run("company", "list", "--limit", "1").stdout


def test_skillbase(cli, api, company, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps(SKILLBASE_CONFIG))
    made = cli.json("skillbase", "create", "--company", company["slug"], "--name", "Salon", "--slug", "salon", "--config", f"@{config}")
    path = f"/api/skillbases/{made['id']}"
    name = f"{company['slug']}/salon"
    assert made == api.ok("GET", path) == cli.json("skillbase", "get", name)
    changed = json.loads(json.dumps(SKILLBASE_CONFIG))
    changed["llm"]["temperature"] = 1.5
    whole = tmp_path / "skillbase.json"
    whole.write_text(json.dumps({"config": changed, "description": "from the file"}))
    updated = cli.json("skillbase", "update", name, "-f", whole, "--name", "Named by the flag")
    assert updated == api.ok("GET", path)
    assert (updated["version"], updated["description"], updated["name"]) == (2, "from the file", "Named by the flag")
    # all of what GET answers may be sent back
    assert cli.json("skillbase", "update", name, "-f", "-", stdin=json.dumps(updated))["version"] == 2
    assert cli.json("skillbase", "versions", name) == api.ok("GET", f"{path}/versions")
    assert cli.json("skillbase", "version", name, "1") == api.ok("GET", f"{path}/versions/1")
    assert cli.json("skillbase", "rollback", name, "1")["version"] == 3
    assert "not published" in cli.wrong("skillbase", "for-call", name, status=CONFLICT)
    cli.run("skillbase", "update", name, "--is-published")
    assert cli.json("skillbase", "for-call", name, "--version", "2")["config"]["llm"]["temperature"] == 1.5
    assert cli.json("skillbase", "list", "--company", company["id"], "--is-published") == \
        api.ok("GET", "/api/skillbases", params={"company_id": company["id"], "is_published": "true"})
    assert cli.json("skillbase", "list", "--company", company["id"], "--is-published=false")["total"] == 0
    taken = cli.wrong("skillbase", "create", "--company", company["id"], "--name", "x", "--slug", "salon", "--config", f"@{config}",
                      status=CONFLICT)
    assert "salon" in taken or "slug" in taken
    text = cli.run("skillbase", "get", name).stdout
    assert re.search(r"^    - greeting|^      - greeting", text, re.M) and "Гламур" in text
    assert cli.run("skillbase", "delete", name, "-y").stdout == "Done.\n"


def test_campaign(cli, api, company, skillbase):
    assert "--retry-policy" in cli.wrong("campaign", "create", "--retry-policy", '{}, "name": "x"', status=INVALID)
    made = cli.json("campaign", "create", "--company", company["slug"], "--skillbase", f"{company['slug']}/{skillbase['slug']}", "--name",
                    f"Calls {company['slug']}", "--days-of-week", "monday", "--days-of-week", "friday", "--calls-per-minute", "60",
                    "--retry-policy", '{"busy": {"delay_minutes": 5}}', "--start-time", "2026-01-17T09:30:00+02:00")
    path = f"/api/campaigns/{made['id']}"
    assert made == api.ok("GET", path)
    assert made["days_of_week"] == ["monday", "friday"] and made["start_time"].startswith("2026-01-17T07:30:00")
    name = made["name"]
    assert "has no" in cli.wrong("campaign", "start", name, status=CONFLICT)
    assert cli.json("campaign", "update", name, "--days-of-week", "sunday", "--clear", "start-time")["days_of_week"] == ["sunday"]
    uploaded = cli.json("campaign", "upload", name, "-", stdin=CONTACTS)
    assert (uploaded["total"], uploaded["created"]) == (2, 2)
    assert cli.json("campaign", "start", name)["status"] == "running"
    assert "running already" in cli.wrong("campaign", "start", name, status=CONFLICT)
    assert cli.json("campaign", "pause", name)["status"] == "paused"
    assert cli.json("campaign", "list", "--company", company["id"], "--status", "paused") == \
        api.ok("GET", "/api/campaigns", params={"company_id": company["id"], "status": "paused"})
    simulated = cli.json("campaign", "simulate", name, "--share-answered", "1")
    assert simulated["contacts"] == 2
    assert cli.json("campaign", "cancel", name, "--yes")["status"] == "cancelled"
    assert cli.json("campaign", "get", name) == api.ok("GET", path)
    assert cli.run("campaign", "delete", name, "--yes", "--json").stdout == ""  # 204 has no body


def test_tasks(cli, api, campaign):
    api.upload(campaign, CONTACTS)
    path = f"/api/campaigns/{campaign['id']}/tasks"
    listed = cli.json("task", "list", campaign["name"])
    assert listed == api.ok("GET", path) and listed["total"] == 2
    task = listed["items"][0]["id"]
    assert cli.json("task", "get", campaign["id"], task) == api.ok("GET", f"{path}/{task}")
    assert cli.json("task", "attempts", campaign["id"], task) == api.ok("GET", f"{path}/{task}/attempts")
    explained = cli.json("task", "explain", campaign["id"], task)
    assert explained["obstacle"] == "campaign_state"
    text = cli.run("task", "explain", campaign["id"], task).stdout
    assert re.search(r"^obstacle +campaign_state$", text, re.M) and re.search(r"^no +campaign_state ", text, re.M)
    assert cli.wrong("task", "settle", campaign["id"], task, "--disposition", "answered", status=CONFLICT)
    assert "--disposition" in cli.wrong("task", "settle", campaign["id"], task, "--disposition", "sleepy", status=INVALID)


def test_do_not_call_list(cli, api, company, tmp_path):
    made = cli.json("dnc", "create", company["slug"], "--phone-number", "+12015550155", "--reason", "asked to")
    path = f"/api/companies/{company['id']}/suppressions"
    assert cli.json("suppressions", "list", company["slug"]) == api.ok("GET", path)
    assert cli.json("dnc", "get", company["slug"], made["id"]) == made
    numbers = tmp_path / "numbers.csv"
    numbers.write_text("phone_number\n+12015550156\nnobody\n")
    assert "Row 3:" in cli.run("dnc", "upload", company["slug"], numbers, status=ROWS_REFUSED).stdout
    assert cli.run("dnc", "delete", company["slug"], made["id"], "--yes").stdout == "Done.\n"
    assert cli.json("dnc", "list", company["slug"])["total"] == 1


def make_call(api, company, campaign=None, finished=True, turns=2):
    call = str(uuid.uuid4())
    at = "2026-01-17T09:30:00Z"
    started = {"company_id": company["id"], "phone_number": "+12015550101", **({"campaign_id": campaign["id"]} if campaign else {})}
    events = [{"seq": 1, "occurred_at": at, "started": started}]
    events += [{"seq": 2 + i, "occurred_at": at, "turn": {"turn_index": i, "role": "assistant", "content": f"Hello number {i}", "eou_latency": 512}}
               for i in range(turns)]
    if finished:
        events.append({"seq": 2 + turns, "occurred_at": at, "finished": {"status": "completed", "outcome": "success"}})
    report(api, call, events)
    return call


def report(api, call, events):
    api.ok("POST", f"/api/analytics/calls/{call}/events", json={"events": events})


def test_calls_and_metrics(cli, api, company):
    call = make_call(api, company)
    assert cli.json("calls", "list", "--company", company["slug"]) == api.ok("GET", "/api/analytics/calls", params={"company_id": company["id"]})
    assert cli.json("calls", "list", "--company", company["id"], "--outcome", "busy")["total"] == 0
    assert cli.json("calls", "list", "--company", company["id"], "--limit", "1")["page_size"] == 1
    assert cli.json("call", "get", call) == api.ok("GET", f"/api/analytics/calls/{call}")
    assert cli.json("call", "metrics", call) == api.ok("GET", f"/api/analytics/calls/{call}/metrics")
    text = cli.run("call", "get", call).stdout
    assert re.search(r"^ +0 +2026-01-17 09:30:00Z +assistant +Hello number 0$", text, re.M)
    figures = {"company_id": company["id"], "start_date": "2026-01-01", "end_date": "2026-01-31"}
    flags = ["--company", company["slug"], "--start-date", "2026-01-01", "--end-date", "2026-01-31"]
    assert cli.json("metrics", "show", *flags) == api.ok("GET", "/api/analytics/metrics", params=figures)
    assert cli.json("metrics", "series", *flags, "--step", "day") == \
        api.ok("GET", "/api/analytics/metrics/timeseries", params={**figures, "step": "day"})
    assert re.search(r"^2026-01-17 00:00:00Z +1 +1 +0 ", cli.run("metrics", "series", *flags).stdout, re.M)


def test_rpc(cli, company):
    listed = cli.run("rpc", "CompanyService/GetCompany", "--data", json.dumps({"id": company["id"]})).stdout
    assert json.loads(listed) == company
    assert json.loads(cli.run("rpc", "dialplane.v1.CompanyService/GetCompany", "-f", "-", stdin=json.dumps({"id": company["id"]})).stdout) == company
    assert "no RPC" in cli.wrong("rpc", "CompanyService/Nothing", status=USAGE)
    assert "stream of requests" in cli.wrong("rpc", "CampaignService/UploadCallList", status=USAGE)
    assert "unknown key" in cli.wrong("rpc", "CompanyService/GetCompany", "-d", '{"oops": 1}', status=INVALID)
    assert "id" in cli.wrong("rpc", "CompanyService/GetCompany", status=INVALID)


# --- tables ----------------------------------------------------------------------------------------------------------------------------

def test_tables(cli, api, company):
    """Aligned also where letters are wide; nothing that came from outside reaches the terminal as a command to it."""
    for slug, name in (("one", "日本語"), ("two", "evil \x1b[31m\x1b]0;title\x07 name"), ("three", "plain")):
        api.skillbase(company, slug=slug, name=name)
    lines = cli.run("skillbase", "list", "--company", company["id"]).stdout.splitlines()
    assert lines[0].split() == ["ID", "SLUG", "NAME", "VERSION", "ACTIVE", "PUBLISHED", "UPDATED"]
    assert lines[-1] == "3 of 3"
    assert all("\x1b" not in line and "\x07" not in line for line in lines)
    rows = {re.split(r"\s{2,}", line)[1]: line for line in lines[1:-1]}
    assert set(rows) == {"one", "two", "three"}
    # where VERSION begins, in columns: 日本語 takes six
    assert rows["three"].index("      1") - rows["one"].index("      1") == 3 or rows["three"].index("yes") - rows["one"].index("yes") == 3
    assert cli.run("campaign", "list", "--company", company["id"]).stdout == "Nothing here.\n"


class Terminal:
    """The program in a terminal of its own, which is its controlling one: Ctrl-C is a signal."""

    def __init__(self, cli, *arguments, columns=100, environment=None):
        self.output = b""
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        self.process = subprocess.Popen(["setsid", "--ctty", PROGRAM, *map(str, arguments)], stdin=slave, stdout=slave, stderr=slave,
                                        env={**cli.environment, **(environment or {})})
        os.close(slave)

    def read(self, seconds=0.1):
        """Takes what is there; False at the end."""
        if select.select([self.master], [], [], seconds)[0]:
            try:
                piece = os.read(self.master, 65536)
            except OSError:  # the other side is closed
                piece = b""
            self.output += piece
            return piece != b""
        return True

    def until(self, pattern, seconds=SECONDS):
        def found():
            self.read()
            return re.search(pattern, self.output.decode(errors="replace"))
        return wait_until(found, seconds, f"{pattern} in {self.output!r}")

    def write(self, text):
        os.write(self.master, text.encode())

    def end(self):
        until = time.monotonic() + SECONDS
        while self.read() and time.monotonic() < until:
            pass
        return self.process.wait(SECONDS)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal(cli):
    running = []

    def start(*arguments, **more):
        running.append(Terminal(cli, *arguments, **more))
        return running[-1]
    yield start
    for one in running:
        one.close()


def visible(output):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.decode()).replace("\r\n", "\n")


def test_tables_fit_the_terminal(cli, terminal, api, company):
    api.skillbase(company, name="A name that is far too long for a narrow terminal " * 3)
    narrow = terminal("skillbase", "list", "--company", company["id"], columns=70)
    assert narrow.end() == OK
    assert b"\x1b[1m" in narrow.output  # the titles are bold
    lines = visible(narrow.output).splitlines()
    assert max(map(len, lines)) <= 70 and "UPDATED" not in lines[0]
    assert re.match(r"[0-9a-f-]{36}  ", lines[1])  # ids are never cut
    plain = terminal("skillbase", "list", "--company", company["id"], environment={"NO_COLOR": "1"})
    assert plain.end() == OK and b"\x1b" not in plain.output


def test_deleting_asks(terminal, api, company):
    path = f"/api/companies/{company['id']}"
    no = terminal("company", "delete", company["slug"])
    no.until(r"\[y/N\]")
    no.write("\n")
    assert no.end() == INTERRUPTED
    api.ok("GET", path)
    yes = terminal("company", "delete", company["slug"])
    yes.until(r"\[y/N\]")
    yes.write("y\n")
    assert yes.end() == OK
    api.problem("GET", path, 404)


# --- uploads ---------------------------------------------------------------------------------------------------------------------------

def test_upload_lists_what_is_wrong_by_row(cli, campaign, tmp_path):
    contacts = tmp_path / "contacts.csv"
    contacts.write_text("phone_number,name\n+12015550101,Ann\n,Bob\nnumber,Eve\n+12015550101,Ann again\n")
    out = cli.run("campaign", "upload", campaign["name"], contacts, status=ROWS_REFUSED).stdout.splitlines()
    assert out[0].startswith("Row 3: phone_number is empty") and out[1].startswith('Row 4: phone_number "number"')
    assert out[-1].startswith("rows 4") and "created 1" in out[-1] and "refused 2" in out[-1] and "duplicates 1" in out[-1]
    again = cli.json("campaign", "upload", campaign["name"], contacts, status=ROWS_REFUSED)
    assert (again["total"], again["created"], again["error_count"]) == (4, 0, 2)


def test_upload_of_a_large_file(cli, api, campaign, tmp_path):
    contacts = tmp_path / "contacts.csv"
    with contacts.open("w") as file:
        file.write("phone_number,note\n")
        for i in range(20000):
            file.write(f"+1201555{i % 10000:04d},{'x' * 60} {i}\n")
    result = cli.json("campaign", "upload", campaign["id"], contacts)
    assert result["total"] == 20000 and result["created"] + result["duplicates"] == 20000
    assert api.ok("GET", f"/api/campaigns/{campaign['id']}")["total_tasks"] == result["created"]


def test_upload_in_a_terminal_shows_progress(terminal, campaign, tmp_path):
    contacts = tmp_path / "contacts.csv"
    contacts.write_text(CONTACTS)
    shown = terminal("campaign", "upload", campaign["id"], contacts)
    assert shown.end() == OK
    text = shown.output.decode()
    assert "100 %" in text and "█" in text and "the rows are being stored" in text
    assert text.rstrip().endswith("updated 0") and text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1


def test_upload_of_what_cannot_be(cli, campaign, tmp_path):
    assert "No such file" in cli.wrong("campaign", "upload", campaign["id"], tmp_path / "none.csv", status=USAGE)
    assert "folder" in cli.wrong("campaign", "upload", campaign["id"], tmp_path, status=USAGE)
    assert cli.wrong("campaign", "upload", NOBODY, "-", stdin=CONTACTS, status=NOT_FOUND)
    assert "phone_number" in cli.wrong("campaign", "upload", campaign["id"], "-", stdin="a,b\n1,2\n", status=INVALID)
    assert cli.wrong("campaign", "upload", campaign["id"], "-", stdin="", status=INVALID)


# --- validation ------------------------------------------------------------------------------------------------------------------------

WRONG = """{
  "name": "Salon",
  "config": {
    "context": {"role": "é", "style": "s"},
    "flow": {"type": "graph", "states": ["a", {"id": "b"}], "transitions": [
      {"fromState": "a", "to_state": "b"},
      {"from_state": "a", "to_state": "confirm"}]},
    "voice": {"tts_provider": "cartesia", "tts_voice_id": "v", "stt_provider": "deepgram"},
    "llm": {"provider": "groq", "model": "m", "temperature": 3.5, "oops": 1}
  }
}
"""


def test_validate_names_line_and_column(cli, tmp_path):
    file = tmp_path / "salon.json"
    file.write_text(WRONG)
    said = cli.wrong("skillbase", "validate", "salon.json", status=INVALID, cwd=tmp_path).splitlines()
    assert said[0] == "dialplane: 3 fields are invalid"
    lines = WRONG.splitlines()
    confirm = lines[6].index('"confirm') + 1
    assert set(said[1:]) == {
        f"salon.json:9:{lines[8].index('1}') + 1}: config.llm.oops: unknown key",
        f"salon.json:9:{lines[8].index('3.5') + 1}: config.llm.temperature: must be between 0 and 2, got 3.5",
        f"salon.json:7:{confirm}: config.flow.transitions[1].to_state: unknown state \"confirm\"",
    }
    problem = json.loads(cli.wrong("skillbase", "validate", "salon.json", "--json", status=INVALID, cwd=tmp_path))
    assert problem["code"] == "INVALID_ARGUMENT" and len(problem["errors"]) == 3
    assert {(e["file"], e["line"]) for e in problem["errors"]} == {("salon.json", 9), ("salon.json", 7)}


def test_validate_a_bare_configuration(cli, tmp_path):
    sample = SAMPLES / "skillbase_salon.json"
    assert cli.run("skillbase", "validate", sample).stdout == f"{sample} is valid\n"
    assert cli.json("skillbase", "validate", sample) == {"valid": True, "warnings": []}
    config = json.loads(sample.read_text())
    config["flow"]["states"].append({"id": "island"})
    out = cli.run("skillbase", "validate", "-", stdin=json.dumps(config, indent=1)).stdout.splitlines()
    line = [i for i, text in enumerate(json.dumps(config, indent=1).splitlines()) if '"island"' in text][0]
    assert re.match(rf"standard input:({line}|{line + 1}):\d+: warning: ", out[0]) and out[1] == "standard input is valid, with 1 warning"
    config["llm"]["temperature"] = -1
    said = cli.wrong("skillbase", "validate", "-", stdin=json.dumps(config, indent=1), status=INVALID)
    assert re.match(r"standard input:\d+:\d+: config\.llm\.temperature: must be between 0 and 2", said)


def test_validate_what_is_no_json(cli):
    said = cli.wrong("skillbase", "validate", "-", stdin='{"config": {\n  "llm": {,}\n}}', status=INVALID)
    assert "line 2, column 11" in said
    assert cli.wrong("skillbase", "validate", "-", stdin="", status=INVALID)
    assert cli.wrong("skillbase", "validate", "-", stdin="[1]", status=INVALID)


def test_create_from_a_file_names_places(cli, company, tmp_path):
    file = tmp_path / "salon.json"
    file.write_text(WRONG)
    said = cli.wrong("skillbase", "create", "-f", "salon.json", "--company", company["id"], "--slug", "UPPER", status=INVALID, cwd=tmp_path)
    assert "salon.json:9:" in said and "salon.json:7:" in said and "--slug: " in said
    said = cli.wrong("skillbase", "create", "--company", company["id"], "--name", "x", status=INVALID)
    assert "--slug: is required" in said and "--config: is required" in said


# --- errors ----------------------------------------------------------------------------------------------------------------------------

def test_all_that_is_wrong_at_once(cli, company, skillbase):
    said = cli.wrong("campaign", "create", "--company", company["id"], "--skillbase", skillbase["id"], "--calls-per-minute", "many",
                     "--timezone", "Mars/Olympus", "--start-time", "tomorrow", status=INVALID)
    for expected in ("--name: is required", "--calls-per-minute: ", "--timezone: ", "--start-time: "):
        assert expected in said, said
    problem = json.loads(cli.wrong("campaign", "create", "--json", "--name", "", status=INVALID))
    assert {"company_id", "skillbase_id", "name"} <= {error["field"] for error in problem["errors"]}


def test_usage(cli):
    assert "did you mean" in cli.wrong("campain", "list", status=USAGE)
    assert "did you mean" in cli.wrong("campaign", "lst", status=USAGE)
    assert "did you mean" in cli.wrong("campaign", "list", "--staus", "running", status=USAGE)
    assert "CAMPAIGN is missing" in cli.wrong("campaign", "start", status=USAGE)
    assert cli.wrong(status=USAGE)
    assert "--timeout" in cli.wrong("company", "list", "--timeout", "soon", status=USAGE)
    assert "no server" in cli.wrong("company", "list", "--server", "nowhere", status=USAGE)
    assert "nothing to change" in cli.wrong("company", "update", NOBODY, status=USAGE)
    assert "no field" in cli.wrong("company", "update", NOBODY, "--clear", "created_at", status=USAGE)
    assert json.loads(cli.wrong("campaign", "start", "--json", status=USAGE))["reason"] == "USAGE"


def test_a_name_that_is_not_unique(cli, api, company):
    other = api.company()
    for owner in (company, other):
        api.skillbase(owner, slug=f"same-{company['slug']}")
    said = cli.wrong("skillbase", "get", f"same-{company['slug']}", status=USAGE)
    assert "give the id" in said
    assert cli.json("skillbase", "get", f"{other['slug']}/same-{company['slug']}")["company_id"] == other["id"]


def test_nobody_answers(cli):
    port = free_ports(4)
    said = cli.wrong("company", "list", "--server", f"127.0.0.1:{port}", status=UNAVAILABLE)
    assert f"127.0.0.1:{port + 1}" in said and "cannot be reached" in said


def test_no_answer_in_time(cli):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and says nothing
        address = "127.0.0.1:%d" % silent.getsockname()[1]
        said = cli.wrong("company", "list", "--timeout", "300ms", "--server", f"skillbase={address},campaign={address},analytics={address}",
                         status=DEADLINE)
    assert "within 0.3 s" in said


def test_servers(cli, platform, company):
    each = f"analytics={platform.analytics},skillbase={platform.skillbase},campaign={platform.campaign}"
    for server in (platform.url + "/", each, f"unix:{platform.data}/run"):
        if server.startswith("unix:") and not os.path.exists(f"{platform.data}/run/skillbase.sock"):
            continue
        assert cli.json("company", "get", company["id"], "--server", server) == company


def test_broken_pipe(cli):
    """The reader goes away before anything is written: no message, the status that a shell knows."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run([PROGRAM, "company", "list"], stdin=subprocess.DEVNULL, stdout=closed, stderr=subprocess.PIPE, timeout=SECONDS,
                              env=cli.environment)
    assert (done.returncode, done.stderr) == (BROKEN_PIPE, b"")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([PROGRAM, "company", "list"], stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, timeout=SECONDS,
                              env=cli.environment)
    assert done.returncode == FAILED and b"cannot be written" in done.stderr


# --- profiles --------------------------------------------------------------------------------------------------------------------------

def test_profiles(platform, company, tmp_path):
    cli = Cli(platform.http, tmp_path)
    del cli.environment["DIALPLANE_SERVER"]
    path = tmp_path / "dialplane" / "config"
    assert cli.run("config", "path").stdout == f"{path}\n"
    cli.run("config", "set", "server", platform.http)
    cli.run("config", "set", "token", "-", stdin="s3cr3t\n")
    assert path.stat().st_mode & 0o777 == 0o600
    assert cli.json("company", "get", company["id"]) == company
    for arguments in (["config", "show"], ["config", "show", "--json"], ["company", "list", "--server", "127.0.0.1:1"]):
        done = subprocess.run([PROGRAM, *arguments], text=True, capture_output=True, timeout=SECONDS, env=cli.environment)
        assert "s3cr3t" not in done.stdout + done.stderr
    port = free_ports(4)
    cli.run("config", "set", "server", f"127.0.0.1:{port}", "--profile", "other")
    cli.wrong("company", "list", "--profile", "other", status=UNAVAILABLE)
    cli.wrong("company", "list", environment={"DIALPLANE_PROFILE": "other"}, status=UNAVAILABLE)
    cli.run("company", "list", "--profile", "other", "--server", platform.http)
    cli.run("config", "use", "other")
    cli.wrong("company", "list", status=UNAVAILABLE)
    assert cli.json("config", "show") == {"profile": "other", "profiles": [
        {"name": "default", "server": platform.http, "has_token": True, "timeout": None},
        {"name": "other", "server": f"127.0.0.1:{port}", "has_token": False, "timeout": None}]}
    assert re.search(r"^\*  other ", cli.run("config", "show").stdout, re.M)
    cli.run("config", "unset", "token", "--profile", "default")
    assert "s3cr3t" not in path.read_text()
    assert "no profile" in cli.wrong("company", "list", "--profile", "none", status=USAGE)
    assert cli.wrong("config", "set", "server", "nowhere", status=USAGE)
    assert cli.wrong("config", "set", "colour", "red", status=USAGE)


def test_a_token_stays_a_secret(platform, cli, tmp_path):
    path = tmp_path / "dialplane" / "config"
    path.parent.mkdir()
    path.write_text(f"[default]\nserver = {platform.http}\ntoken = s3cr3t\n")
    path.chmod(0o644)
    said = cli.wrong("company", "list", status=USAGE)
    assert "others may read it" in said and "s3cr3t" not in said
    path.chmod(0o600)
    cli.run("company", "list")
    # an address that is nobody's: it is refused before anything is sent
    said = cli.wrong("company", "list", "--server", "192.0.2.1:8000", status=DENIED)
    assert "without encryption" in said and "s3cr3t" not in said
    path.write_text("[default]\ntoken = s3cr3t\nwhat is this s3cr3t\n")
    said = cli.wrong("company", "list", status=USAGE)
    assert "line 3" in said and "s3cr3t" not in said


class Recorder(grpc.GenericRpcHandler):
    """A service that answers everything with an empty message, and keeps what came with it."""

    def __init__(self):
        self.metadata = []

    def service(self, details):
        def answer(_, context):
            self.metadata.append(dict(context.invocation_metadata()))
            return b""
        return grpc.unary_unary_rpc_method_handler(answer)


def test_a_token_goes_along(cli):
    from concurrent.futures import ThreadPoolExecutor
    recorder = Recorder()
    server = grpc.server(ThreadPoolExecutor(2), handlers=[recorder])
    address = "127.0.0.1:%d" % server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        where = f"skillbase={address},campaign={address},analytics={address}"
        cli.run("company", "list", "--server", where)
        cli.run("company", "list", "--server", where, "--token", "from.a-flag")
        cli.run("company", "list", "--server", where, environment={"DIALPLANE_TOKEN": "from-the-environment"})
    finally:
        server.stop(None).wait()
    assert [m.get("authorization") for m in recorder.metadata] == [None, "Bearer from.a-flag", "Bearer from-the-environment"]


# --- watching --------------------------------------------------------------------------------------------------------------------------

class Running:
    """A command that goes on, its output read line by line."""

    def __init__(self, cli, *arguments):
        self.process = subprocess.Popen([PROGRAM, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=cli.environment)
        self.output = b""

    def until(self, text):
        def found():
            if text in self.output:
                return True
            assert self.process.poll() is None or select.select([self.process.stdout], [], [], 0)[0], self.output
            if select.select([self.process.stdout], [], [], 0.1)[0]:
                self.output += os.read(self.process.stdout.fileno(), 65536)
            return text in self.output
        wait_until(found, SECONDS, f"{text} in {self.output}")

    def end(self):
        out, errors = self.process.communicate(timeout=SECONDS)
        self.output += out
        return self.process.returncode, errors.decode()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


@pytest.fixture
def running(cli):
    all_of_them = []

    def start(*arguments):
        all_of_them.append(Running(cli, *arguments))
        return all_of_them[-1]
    yield start
    for one in all_of_them:
        one.close()


def test_watch_a_campaign(running, api, campaign):
    api.upload(campaign, CONTACTS)
    watch = running("campaign", "watch", campaign["name"], "--interval", "100ms")
    watch.until(b"draft  0 of 2 done")
    api.ok("POST", f"/api/campaigns/{campaign['id']}/start")
    watch.until(b"running  0 of 2 done")
    api.ok("POST", f"/api/campaigns/{campaign['id']}/cancel")
    assert watch.end() == (OK, "")  # it ends with the campaign
    assert b"cancelled  2 of 2 done" in watch.output


def test_watch_a_campaign_as_json(running, api, campaign):
    watch = running("campaign", "watch", campaign["id"], "--json", "-n", "100ms")
    watch.until(b"\n")
    watch.process.send_signal(signal.SIGINT)
    assert watch.end() == (INTERRUPTED, "")
    assert json.loads(watch.output.splitlines()[0]) == api.ok("GET", f"/api/campaigns/{campaign['id']}")
    assert len(watch.output.splitlines()) == 1  # only what changes


def test_watch_a_campaign_in_a_terminal(terminal, api, campaign):
    api.upload(campaign, CONTACTS)
    watch = terminal("campaign", "watch", campaign["id"], "-n", "100ms", columns=60)
    watch.until("draft")
    watch.until("0 of 2")
    api.ok("POST", f"/api/campaigns/{campaign['id']}/start")
    watch.until(r"\x1b\[5F\x1b\[J[^F]*running")  # drawn over what was there
    watch.write("\x03")  # Ctrl-C
    assert watch.end() == INTERRUPTED
    text = watch.output.decode()
    assert text.endswith("\x1b[?25h") and text.count("\x1b[?25l") == 1  # the cursor is back
    assert max(len(line) for line in visible(watch.output).split("\n")) < 60
    api_status = api.ok("GET", f"/api/campaigns/{campaign['id']}")["status"]
    assert api_status == "running"  # only the watching has ended


def test_watch_a_call(running, api, company):
    call = make_call(api, company, finished=False, turns=1)
    watch = running("call", "watch", call)
    watch.until(b"Hello number 0")
    report(api, call, [{"seq": 3, "occurred_at": "2026-01-17T09:30:01Z", "turn": {"turn_index": 1, "role": "user", "content": "Good\x1b[2J day"}},
                       {"seq": 4, "occurred_at": "2026-01-17T09:30:02Z", "finished": {"status": "completed", "outcome": "success"}}])
    assert watch.end() == (OK, "")
    lines = watch.output.decode().splitlines()
    assert lines[0].startswith(f"call {call} to +12015550101, active")
    assert re.fullmatch(r"   0 assistant  Hello number 0 \(512 ms\)", lines[1])
    assert lines[2] == "   1 user       Good\N{REPLACEMENT CHARACTER}[2J day"
    assert lines[3] == "status completed, outcome success"
    assert lines[4].startswith("2 turns, 0 interruptions, latency 512 ms")


def test_watch_a_call_as_json(cli, api, company):
    call = make_call(api, company, turns=3)
    messages = [json.loads(line) for line in cli.run("call", "watch", call, "--json").stdout.splitlines()]
    rest = api.client.get(f"/api/analytics/calls/{call}/events", headers={"Accept": "application/x-ndjson"})
    assert messages == [json.loads(line) for line in rest.text.splitlines()]
    after = [json.loads(line) for line in cli.run("call", "watch", call, "--json", "--after-seq", "3").stdout.splitlines()]
    assert [m["data"]["content"] for m in after if m["type"] == "turn"] == ["Hello number 2"]
    assert cli.wrong("call", "watch", NOBODY, status=NOT_FOUND)
    assert "after-seq" in cli.wrong("call", "watch", call, "--after-seq", "x", status=USAGE)


class Relay:
    """A TCP relay whose connections the test can break."""

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.pairs, self.is_open = [], True
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while self.is_open:
            try:
                near, _ = self.listener.accept()
                host, port = self.target.rsplit(":", 1)
                far = socket.create_connection((host, int(port)))
            except OSError:
                return
            self.pairs.append((near, far))
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(a, b), daemon=True).start()

    @staticmethod
    def _copy(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def break_all(self):
        pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for s in pair:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        return len(pairs)

    def close(self):
        self.is_open = False
        self.break_all()
        self.listener.close()


def test_watch_goes_on_after_a_break(platform, running, api, company):
    call = make_call(api, company, finished=False, turns=1)
    relay = Relay(platform.analytics)
    try:
        watch = running("call", "watch", call, "--server",
                        f"skillbase={platform.skillbase},campaign={platform.campaign},analytics={relay.address}")
        watch.until(b"Hello number 0")
        assert relay.break_all() == 1
        report(api, call, [{"seq": 3, "occurred_at": "2026-01-17T09:30:01Z", "turn": {"turn_index": 1, "role": "user", "content": "Still here"}}])
        watch.until(b"Still here")
        report(api, call, [{"seq": 4, "occurred_at": "2026-01-17T09:30:02Z", "finished": {"status": "completed"}}])
        status, errors = watch.end()
    finally:
        relay.close()
    assert status == OK and "trying again" in errors
    assert watch.output.count(b"Hello number 0") == 1 and watch.output.count(b"Still here") == 1


def test_install(tmp_path):
    subprocess.run(["cmake", "--install", str(ROOT / "build" / PRESET), "--component", "cli", "--prefix", str(tmp_path)], check=True, timeout=SECONDS,
                   stdout=subprocess.DEVNULL)
    for name in ("share/man/man1/dialplane.1", "share/bash-completion/completions/dialplane", "share/zsh/site-functions/_dialplane",
                 "share/fish/vendor_completions.d/dialplane.fish"):
        assert (tmp_path / name).stat().st_size > 1000
    assert subprocess.run([tmp_path / "bin" / "dialplane", "version"], capture_output=True, timeout=SECONDS, check=True).stdout.startswith(b"dialplane ")


# --- the C client ----------------------------------------------------------------------------------------------------------------------

def test_the_example_of_the_c_client(platform):
    done = subprocess.run([str(BINARIES / "dialplane-example"), platform.skillbase, platform.campaign, platform.analytics], text=True,
                          capture_output=True, timeout=2 * SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for expected in ("refused, as it should be: skillbase.config.llm.temperature must be between 0 and 2, got 3.5", "3 rows, 2 contacts",
                     "Row 4: phone_number", "2: Hello!", "1 turn, ", "done"):
        assert expected in done.stdout
    wrong = subprocess.run([str(BINARIES / "dialplane-example")], text=True, capture_output=True, timeout=SECONDS)
    assert wrong.returncode == 2 and "usage:" in wrong.stderr


def test_every_rpc_has_a_typed_call():
    """dialplane_methods.h is made from the .proto files."""
    header = (ROOT / "build" / PRESET / "clients" / "c" / "dialplane_methods.h").read_text()
    methods = [name for proto in (ROOT / "proto" / "dialplane" / "v1").glob("*.proto") for name in re.findall(r"^  rpc (\w+)\(", proto.read_text(), re.M)]
    assert len(methods) > 35
    for method in methods:
        snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", method).lower()
        assert re.search(rf"\bdialplane_{snake}(_open)?\(", header), method
