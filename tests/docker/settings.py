#!/usr/bin/python3
"""The table of settings in docker/OPERATIONS.md, made from what the processes say with --help: the one place where each of them is documented.

usage: settings.py [--write] [PRESET]     without --write it prints the table"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docker" / "OPERATIONS.md"
SERVICES = ["skillbase", "campaign", "analytics"]
PROCESSES = [*SERVICES, "gateway"]
BEGIN, END = "<!-- settings: made by tests/docker/settings.py --write -->\n", "<!-- end of settings -->\n"


def settings(process, preset="release"):
    """{flag: (help, variable, default or None)} of a process."""
    text = subprocess.run([str(ROOT / "build" / preset / "bin" / f"dialplane-{process}"), "--help"], capture_output=True, text=True, check=True, timeout=60,
                          env={"PATH": "/usr/bin:/bin"}).stdout
    found = {}
    for flag, body in re.findall(r"^  --(?:\[no-\])?([a-z0-9-]+)(?: [A-Z]+)?\n((?:        .*\n)+)", text, re.M):
        match = re.fullmatch(r"(.*) \[(DIALPLANE_\w+)(?:; default (.*))?\]", " ".join(body.split()))
        if match:
            found[flag] = match.groups()
    return found


def distinct(items):
    return list(dict.fromkeys(items))


def table(preset="release"):
    of = {process: settings(process, preset) for process in PROCESSES}
    lines = ["| flag | variable | of | default | meaning |", "| --- | --- | --- | --- | --- |"]
    for flag in distinct(flag for process in PROCESSES for flag in of[process]):
        who = [process for process in PROCESSES if flag in of[process]]
        helps, variables, defaults = (distinct(of[p][flag][i] for p in who) for i in range(3))
        whose = "all" if who == PROCESSES else "services" if who == SERVICES else ", ".join(who)
        cells = [f"`--{flag}`", ", ".join(f"`{v}`" for v in variables), whose, ", ".join(f"`{d}`" if d else "none" for d in defaults),
                 "; ".join(h.replace("|", "\\|") for h in helps)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main():
    preset = next((a for a in sys.argv[1:] if not a.startswith("--")), "release")
    if "--write" not in sys.argv:
        print(table(preset), end="")
        return
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + table(preset) + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
