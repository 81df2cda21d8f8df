"""What a verified token costs: the same GET on a platform that asks nobody and on one that asks everybody, in turns, by CPU time."""

import subprocess
import tempfile

from measure import PRESET, ROOT, finish, heading, info, median, missed, platform, verdict, wrk

ROUNDS = 5
SECONDS = 4
LIMIT = 1.10
CALLERS = 100


def token(folder, number):
    command = [str(ROOT / "build" / PRESET / "bin" / "dialplane-token"), "--key", f"{folder}/key.pem", "--keys", f"{folder}/keys.json"]
    if number is None:
        return subprocess.run([*command, "--make-key"], check=True)
    return subprocess.run([*command, "--subject", f"caller-{number}"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def main():
    heading(f"auth: GET /api/skillbases/{{id}} with the tokens of {CALLERS} callers")
    with tempfile.TemporaryDirectory(prefix="dialplane-bench.") as folder:
        token(folder, None)
        tokens = [token(folder, number) for number in range(CALLERS)]
        with open(f"{folder}/get.lua", "w", encoding="utf-8") as out:
            out.write("local made, n = {}, 0\nlocal tokens = {" + ",".join(f'"{t}"' for t in tokens) + "}\n"
                      "function init() for i, t in ipairs(tokens) do made[i] = wrk.format(nil, nil, {Authorization = 'Bearer ' .. t}) end end\n"
                      "function request() n = n % #made + 1 return made[n] end\n")
        settings = {"DIALPLANE_AUTH": "token", "DIALPLANE_AUTH_KEYS": f"{folder}/keys.json"}
        with platform() as (free, api), platform(settings) as (closed, closed_api):
            closed_api.client.headers["Authorization"] = f"Bearer {tokens[0]}"
            paths = [f"/api/skillbases/{a.skillbase(a.company())['id']}" for a in (api, closed_api)]
            ratios = []
            for number in range(1, ROUNDS + 1):
                off = wrk(free, paths[0], SECONDS)
                on = wrk(closed, paths[1], SECONDS, script=f"{folder}/get.lua")
                ours = [sum(run.per_request(name) for name in ("gateway", "skillbase", "postgres")) for run in (off, on)]
                ratios.append(ours[1] / ours[0])
                info(f"round {number}: without {off.rate:.0f}/s, {ours[0]:.1f} µs a GET; with {on.rate:.0f}/s, {ours[1]:.1f} µs "
                     f"(gateway {on.per_request('gateway') - off.per_request('gateway'):+.1f}, skillbase "
                     f"{on.per_request('skillbase') - off.per_request('skillbase'):+.1f}); ratio {ratios[-1]:.3f}")
            verdict("CPU of a GET with a token / without", median(ratios), "", LIMIT)
    # What rate limits cost, without a network: the program holds itself to its limit.
    if subprocess.run([str(ROOT / "build" / PRESET / "bin" / "bench_limits")], check=False).returncode != 0:
        missed.append("rate limits")
    finish()


main()
