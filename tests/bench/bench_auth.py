"""What a verified token, and an API key, costs: the same GET on a platform that asks nobody and on one that asks everybody, at the same time, by CPU time. And what row-level
security costs on top of it: the same GETs with tokens of the platform, whose statements it does not confine, and with those of companies."""

import json
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

from measure import PRESET, ROOT, finish, heading, info, median, missed, platform, verdict, wrk

ROUNDS = 12
SECONDS = 2
LIMIT = 1.10
SECURITY_LIMIT = 1.15  # callers of one company: row-level security, and telling the server whose statement it is
CHANGES_LIMIT = 1.6  # the worst case: another company with every request, one request a batch
CALLERS = 100
CONNECTIONS, PAUSE_MS = 32, 10  # some 3,000 requests a second of each


def token(folder, number, *flags):
    command = [str(ROOT / "build" / PRESET / "bin" / "dialplane-token"), "--key", f"{folder}/key.pem", "--keys", f"{folder}/keys.json"]
    if number is None:
        return subprocess.run([*command, "--make-key"], check=True)
    return subprocess.run([*command, "--subject", f"caller-{number}", *flags], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def script(folder, name, pairs, pause_ms=0):
    """wrk sends these in turns: (token, path); without a token nothing is shown, without a path it is the one of its command line. Each connection pauses between."""
    made = ",".join(f"{{{json.dumps(f'Bearer {shown}') if shown else 'nil'}, {json.dumps(path) if path else 'nil'}}}" for shown, path in pairs)
    with open(f"{folder}/{name}.lua", "w", encoding="utf-8") as out:
        out.write(f"local made, n = {{}}, 0\nlocal pairs_of = {{{made}}}\n"
                  "function init() for i, p in ipairs(pairs_of) do made[i] = wrk.format(nil, p[2], {Authorization = p[1]}) end end\n"
                  "function request() n = n % #made + 1 return made[n] end\n" + (f"function delay() return {pause_ms} end\n" if pause_ms else ""))
    return f"{folder}/{name}.lua"


PARTS = ("gateway", "skillbase", "postgres")


class Costs:
    """CPU microseconds of a GET, of many runs."""

    def __init__(self):
        self.parts = {part: [] for part in PARTS}
        self.rates, self.wholes = [], []

    def add(self, run):
        for part, found in self.parts.items():
            found.append(run.per_request(part))
        self.rates.append(run.rate)
        self.wholes.append(sum(run.per_request(part) for part in PARTS))

    def tell(self, name):
        info(f"{name}: {median(self.rates):.0f}/s, {median(self.wholes):.1f} µs a GET ({', '.join(f'{part} {median(found):.1f}' for part, found in self.parts.items())}; "
             f"{min(self.wholes):.1f} to {max(self.wholes):.1f})")


def in_turns(arms):
    """name: (platform, path, script) → name: the median cost; forwards and backwards, because the machine's speed drifts."""
    found = {name: Costs() for name in arms}
    for number in range(ROUNDS):
        for name in list(arms)[::-1 if number % 2 else 1]:
            owned, path, made = arms[name]
            found[name].add(wrk(owned, path, SECONDS, script=made))
    for name, costs in found.items():
        costs.tell(name)
    return {name: median(costs.wholes) for name, costs in found.items()}


def at_once(one, other, name):
    """The median ratio of what the other costs to what the one does, both at the same moment, because the machine's speed changes from second to second by more than
    what is looked for here, and at the same rate, because a process that has more to do at once does each for less."""
    costs, ratios = (Costs(), Costs()), []
    with ThreadPoolExecutor(2) as pool:
        for _ in range(ROUNDS):
            runs = list(pool.map(lambda arm: wrk(arm[0], arm[1], SECONDS, connections=CONNECTIONS, script=arm[2]), (one, other)))
            for kept, run in zip(costs, runs):
                kept.add(run)
            ratios.append(costs[1].wholes[-1] / costs[0].wholes[-1])
    costs[0].tell("with nothing")
    costs[1].tell(f"at the same time with {name}")
    verdict(f"CPU of a GET with {name} / without ({min(ratios):.2f} to {max(ratios):.2f})", median(ratios), "", LIMIT)


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
    costs = in_turns({name: (closed, first_path, path) for name, path in scripts.items()})
    verdict("CPU of a GET of one company's callers / of who sees all", costs["one"] / costs["all"], "", SECURITY_LIMIT)
    verdict("the same when the company changes with every request", costs["each"] / costs["all"], "", CHANGES_LIMIT)


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
            nothing = free, paths[0], script(folder, "nothing", [(None, None)] * CALLERS, PAUSE_MS)
            at_once(nothing, (closed, paths[1], script(folder, "tokens", [(t, None) for t in tokens], PAUSE_MS)), "a token")
            at_once(nothing, (closed, paths[1], script(folder, "keys", [(k, None) for k in keys], PAUSE_MS)), "an API key")
            row_level_security(folder, tokens[0], closed, closed_api)
    # What rate limits cost, without a network: the program holds itself to its limit.
    if subprocess.run([str(ROOT / "build" / PRESET / "bin" / "bench_limits")], check=False).returncode != 0:
        missed.append("rate limits")
    finish()


main()
