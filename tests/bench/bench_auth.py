"""What asking who calls costs: the same GET on a platform that asks nobody, and on one that asks everybody, with tokens of companies and with API keys, in turns,
by CPU time. Companies and keys are looked up in the database; what that costs is in it."""

import subprocess
import tempfile

from measure import PRESET, ROOT, finish, heading, info, median, platform, verdict, wrk

ROUNDS = 5
SECONDS = 4
LIMIT = 1.10
CALLERS = 100


def token(folder, number):
    command = [str(ROOT / "build" / PRESET / "bin" / "dialplane-token"), "--key", f"{folder}/key.pem", "--keys", f"{folder}/keys.json"]
    if number is None:
        return subprocess.run([*command, "--make-key"], check=True)
    return subprocess.run([*command, "--subject", f"caller-{number}"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def script(folder, name, credentials):
    path = f"{folder}/{name}.lua"
    with open(path, "w", encoding="utf-8") as out:
        out.write("local made, n = {}, 0\nlocal tokens = {" + ",".join(f'"{each}"' for each in credentials) + "}\n"
                  "function init() for i, t in ipairs(tokens) do made[i] = wrk.format(nil, nil, {Authorization = 'Bearer ' .. t}) end end\n"
                  "function request() n = n % #made + 1 return made[n] end\n")
    return path


def made_in(folder, company, number):
    """A token for a company."""
    command = [str(ROOT / "build" / PRESET / "bin" / "dialplane-token"), "--key", f"{folder}/key.pem", "--keys", f"{folder}/keys.json",
               "--subject", f"caller-{number}", "--role", "viewer", "--company", company]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def cost(run):
    return sum(run.per_request(name) for name in ("gateway", "skillbase", "postgres"))


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
            keys = [closed_api.ok("POST", f"/api/companies/{company['id']}/api-keys", 201, json={"name": f"caller {n}", "roles": ["viewer"]})["key"]
                    for n in range(CALLERS)]
            scripts = {"tokens": script(folder, "tokens", tokens), "keys": script(folder, "keys", keys),
                       "tokens of a company": script(folder, "company", [made_in(folder, company["id"], n) for n in range(CALLERS)])}
            ratios = {name: [] for name in scripts}
            for number in range(1, ROUNDS + 1):
                off = wrk(free, paths[0], SECONDS)
                info(f"round {number}: without {off.rate:.0f}/s, {cost(off):.1f} µs a GET")
                for name, path in scripts.items():
                    on = wrk(closed, paths[1], SECONDS, script=path)
                    ratios[name].append(cost(on) / cost(off))
                    info(f"  with {name} {on.rate:.0f}/s, {cost(on):.1f} µs "
                         f"(gateway {on.per_request('gateway') - off.per_request('gateway'):+.1f}, skillbase "
                         f"{on.per_request('skillbase') - off.per_request('skillbase'):+.1f}, postgres "
                         f"{on.per_request('postgres') - off.per_request('postgres'):+.1f}); ratio {ratios[name][-1]:.3f}")
            verdict("CPU of a GET with a token / without", median(ratios["tokens"]), "", LIMIT)
            verdict("CPU of a GET with a token of a company / without", median(ratios["tokens of a company"]), "", LIMIT)
            verdict("CPU of a GET with an API key / without", median(ratios["keys"]), "", LIMIT)
    finish()


main()
