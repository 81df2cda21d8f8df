"""What a verified token, and an API key, costs: the same GET on a platform that asks nobody and on one that asks everybody, in turns, by CPU time. And what row-level
security costs on top of it: the same GETs with tokens of the platform, whose statements it does not confine, and with those of companies."""

import subprocess
import tempfile

from measure import PRESET, ROOT, finish, heading, info, median, missed, platform, verdict, wrk

ROUNDS = 5
SECONDS = 4
LIMIT = 1.10
SECURITY_LIMIT = 1.15  # callers of one company: row-level security, and telling the server whose statement it is
CHANGES_LIMIT = 1.6  # the worst case: another company with every request, one request a batch
CALLERS = 100


def token(folder, number, *flags):
    command = [str(ROOT / "build" / PRESET / "bin" / "dialplane-token"), "--key", f"{folder}/key.pem", "--keys", f"{folder}/keys.json"]
    if number is None:
        return subprocess.run([*command, "--make-key"], check=True)
    return subprocess.run([*command, "--subject", f"caller-{number}", *flags], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def script(folder, name, pairs):
    """wrk sends these in turns: (token, path); without a path the one of its command line."""
    made = ",".join("{" + f'"{t}",' + (f'"{path}"' if path else "nil") + "}" for t, path in pairs)
    with open(f"{folder}/{name}.lua", "w", encoding="utf-8") as out:
        out.write(f"local made, n = {{}}, 0\nlocal pairs_of = {{{made}}}\n"
                  "function init() for i, p in ipairs(pairs_of) do made[i] = wrk.format(nil, p[2], {Authorization = 'Bearer ' .. p[1]}) end end\n"
                  "function request() n = n % #made + 1 return made[n] end\n")
    return f"{folder}/{name}.lua"


def cost(run):
    return sum(run.per_request(name) for name in ("gateway", "skillbase", "postgres"))


def row_level_security(folder, platform_token, closed, api):
    """The same 100 skillbases: read by who may read all, by callers of each one's company, and one company's by its own callers."""
    heading("auth: row-level security, GET /api/skillbases/{id} of " + f"{CALLERS} companies")
    own = [(company["id"], f"/api/skillbases/{api.skillbase(company)['id']}") for company in (api.company() for _ in range(CALLERS))]
    first, first_path = own[0]
    scripts = {
        "all": script(folder, "all", [(platform_token, path) for _, path in own]),
        "one": script(folder, "one", [(token(folder, n, "--role", "manager", "--company", first), first_path) for n in range(CALLERS)]),
        "each": script(folder, "each", [(token(folder, n, "--role", "manager", "--company", company), path) for n, (company, path) in enumerate(own)]),
    }
    ratios = {"one": [], "each": []}
    for number in range(1, ROUNDS + 1):
        runs = {name: wrk(closed, first_path, SECONDS, script=path) for name, path in scripts.items()}
        for name, found in ratios.items():
            found.append(cost(runs[name]) / cost(runs["all"]))
        info(f"round {number}: not confined {runs['all'].rate:.0f}/s, {cost(runs['all']):.1f} µs a GET; of one company {runs['one'].rate:.0f}/s, "
             f"{cost(runs['one']):.1f} µs (postgres {runs['one'].per_request('postgres') - runs['all'].per_request('postgres'):+.1f}, skillbase "
             f"{runs['one'].per_request('skillbase') - runs['all'].per_request('skillbase'):+.1f}); of {CALLERS} in turns {runs['each'].rate:.0f}/s, "
             f"{cost(runs['each']):.1f} µs (postgres {runs['each'].per_request('postgres') - runs['all'].per_request('postgres'):+.1f})")
    verdict("CPU of a GET of one company's callers / of who sees all", median(ratios["one"]), "", SECURITY_LIMIT)
    verdict("the same when the company changes with every request", median(ratios["each"]), "", CHANGES_LIMIT)



def main():
    heading(f"auth: GET /api/skillbases/{{id}} by {CALLERS} callers")
    with tempfile.TemporaryDirectory(prefix="dialplane-bench.") as folder:
        token(folder, None)
        tokens = [token(folder, number) for number in range(CALLERS)]
        settings = {"DIALPLANE_AUTH": "token", "DIALPLANE_AUTH_KEYS": f"{folder}/keys.json"}
        with platform() as (free, api), platform(settings) as (closed, closed_api):
            closed_api.client.headers["Authorization"] = f"Bearer {tokens[0]}"
            company = closed_api.company()
            paths = [f"/api/skillbases/{a.skillbase(c)['id']}" for a, c in ((api, api.company()), (closed_api, company))]
            # Platform keys, as the tokens are: row-level security is measured below.
            keys = [closed_api.ok("POST", f"/api/companies/{company['id']}/api-keys", 201, json={"name": f"caller {n}", "roles": ["platform"]})["key"]
                    for n in range(CALLERS)]
            scripts = {"a token": script(folder, "tokens", [(t, None) for t in tokens]), "an API key": script(folder, "keys", [(k, None) for k in keys])}
            ratios = {name: [] for name in scripts}
            for number in range(1, ROUNDS + 1):
                off = wrk(free, paths[0], SECONDS)
                info(f"round {number}: without {off.rate:.0f}/s, {cost(off):.1f} µs a GET")
                for name, path in scripts.items():
                    on = wrk(closed, paths[1], SECONDS, script=path)
                    ratios[name].append(cost(on) / cost(off))
                    info(f"  with {name} {on.rate:.0f}/s, {cost(on):.1f} µs "
                         f"(gateway {on.per_request('gateway') - off.per_request('gateway'):+.1f}, skillbase "
                         f"{on.per_request('skillbase') - off.per_request('skillbase'):+.1f}); ratio {ratios[name][-1]:.3f}")
            for name, found in ratios.items():
                verdict(f"CPU of a GET with {name} / without", median(found), "", LIMIT)
            row_level_security(folder, tokens[0], closed, closed_api)
    # What rate limits cost, without a network: the program holds itself to its limit.
    if subprocess.run([str(ROOT / "build" / PRESET / "bin" / "bench_limits")], check=False).returncode != 0:
        missed.append("rate limits")
    finish()


main()
