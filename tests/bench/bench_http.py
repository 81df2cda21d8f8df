"""GET of one skillbase through gateway, service and PostgreSQL, against pgbench doing the same SELECT on the same server in the same run."""

import re
import socket
import tempfile
import time

from measure import ROOT, finish, heading, info, median, pgbench, platform, verdict, wrk

ROUNDS = 5
SECONDS = 4
LIMIT = 0.4
# Its best on two cores are 8 to 16; with the 64 that wrk has it does a third less.
PGBENCH_CLIENTS = 16


def same_select():
    """The statement that the service runs, as pgbench writes parameters."""
    text = (ROOT / "services" / "skillbase" / "sql" / "get_skillbase.sql").read_text()
    text = re.sub(r"--.*", "", text).replace("$1::uuid", "NULL::uuid").replace("$2", ":id")
    assert "$" not in text, "the statement has parameters that this benchmark does not know"
    return text.strip() + ";\n"


def post_script(campaign):
    """What wrk sends to create a campaign."""
    return ('wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
            f'wrk.body = [[{{"company_id": "{campaign["company_id"]}", "skillbase_id": "{campaign["skillbase_id"]}", "name": "Bench"}}]]\n')


def cpu_line(what, run, names):
    parts = ", ".join(f"{name} {run.per_request(name):.1f}" for name in names)
    info(f"{what}: CPU µs a request: {parts}, client {run.per_request('client'):.1f}")


def put_ms(owned, path, body, pieces):
    """The median milliseconds of a PUT over a kept connection, by a client without TCP_NODELAY that writes it in so many pieces."""
    head = (f"PUT {path} HTTP/1.1\r\nHost: {owned.http}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n").encode()
    host, port = owned.http.rsplit(":", 1)
    times = []
    with socket.create_connection((host, int(port)), timeout=20) as connection, connection.makefile("rb") as answers:
        for _ in range(60):
            began = time.perf_counter()
            for piece in ([head + body] if pieces == 1 else [head, body]):
                connection.sendall(piece)
            status, length = answers.readline(), 0
            while (line := answers.readline().lower()) not in (b"\r\n", b""):
                length = int(line.split(b":")[1]) if line.startswith(b"content-length:") else length
            answers.read(length)
            if not status.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(status.decode())
            times.append((time.perf_counter() - began) * 1000)
    return median(times[10:])


def main():
    heading("http: GET /api/skillbases/{id}")
    with platform() as (owned, api), tempfile.TemporaryDirectory(prefix="dialplane-bench.") as folder:
        company = api.company()
        skillbase = api.skillbase(company)
        campaign = api.campaign(company, skillbase)
        path = f"/api/skillbases/{skillbase['id']}"
        script = f"{folder}/select.sql"
        with open(script, "w", encoding="utf-8") as out:
            out.write(same_select())
        variables = {"id": f"{skillbase['id']}"}

        wrk(owned, path, 1)  # warm
        pgbench(owned, script, variables, 1, clients=PGBENCH_CLIENTS)
        gets, selects = [], []
        for number in range(1, ROUNDS + 1):
            selects.append(pgbench(owned, script, variables, SECONDS, clients=PGBENCH_CLIENTS))
            gets.append(wrk(owned, path, SECONDS))
            info(f"round {number}: pgbench {selects[-1].rate:.0f}/s, GET {gets[-1].rate:.0f}/s, ratio {gets[-1].rate / selects[-1].rate:.3f}, "
                 f"GET p99 {gets[-1].p99}")
        middle = sorted(gets, key=lambda run: run.rate)[len(gets) // 2]
        cpu_line("GET", middle, ("gateway", "skillbase", "postgres"))
        cpu_line("pgbench", sorted(selects, key=lambda run: run.rate)[len(selects) // 2], ("postgres",))
        verdict("GET / pgbench -M prepared", median([g.rate / s.rate for g, s in zip(gets, selects)]), "", LIMIT, at_least=True)

        cpu = [sum(s.after.values()) / s.count / (sum(g.after.values()) / g.count) for g, s in zip(gets, selects)]
        info(f"for information: the same ratio by CPU time, clients included, which other work on the machine does not move: {median(cpu):.2f}")

        listed = wrk(owned, f"/api/skillbases?company_id={company['id']}&limit=10", SECONDS)
        info(f"for information: list of skillbases {listed.rate:.0f}/s, p99 {listed.p99}")
        cpu_line("list", listed, ("gateway", "skillbase", "postgres"))
        with open(f"{folder}/post.lua", "w", encoding="utf-8") as out:
            out.write(post_script(campaign))
        posted = wrk(owned, "/api/campaigns", SECONDS, script=f"{folder}/post.lua")
        info(f"for information: POST of a campaign {posted.rate:.0f}/s, p99 {posted.p99}")
        cpu_line("POST", posted, ("gateway", "campaign", "postgres"))
        whole, apart = (put_ms(owned, f"/api/companies/{company['id']}", b'{"name": "Another"}', pieces) for pieces in (1, 2))
        verdict(f"PUT whose body follows its head ({apart:.2f} ms) / in one piece ({whole:.2f} ms)", apart / whole, "", 3)
    finish()


main()
