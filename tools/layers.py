#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Checks who includes whom, and that only `forward` sends: proc/X includes lib/ and proc/X only; cli includes
lib/ and cli/; inside lib, base < proto, model < sandbox. Exit status 1 and one
line per breach. `layers.py DIR` looks at DIR instead of this checkout's src."""
import pathlib
import re
import sys

# What each layer of src/lib may include besides itself.
LIB = {
    "base": set(),
    "model": {"base"},
    "proto": {"base", "model"},
    "guest": {"base", "proto"},
    "pcap": {"base"},
    "probe": {"base", "proto"},
    "sandbox": {"base", "model", "proto"},
}
# Below this folder, who alone may call it (invariant 5: only `forward` sends).
CALLS = [
    ("proc/gateway", re.compile(r"(->|\.)send\s*\("), {"forward.c"}),
    ("proc/gateway", re.compile(r"(?<![\w.>])forward\s*\((?!struct)"), {"gateway.c"}),
    ("proc/gateway", re.compile(r"(?<![\w.>])forward_late\s*\((?!struct)"), {"forward.c", "shape.c"}),
    ("proc/gateway", re.compile(r"(?<![\w.>])capture_made\s*\((?!struct)"), {"forward.c"}),
    ("proc/gateway", re.compile(r"(?<![\w.>])(send|sendto|sendmsg|sendmmsg|write|writev|pwrite|splice)\s*\("), {"port.c", "port_packet.c"}),
    ("proc/gateway", re.compile(r"(->|\.)(queue|flush)\s*\("), {"forward.c"}),
]
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def allowed(place, target):
    """place and target are path tuples below src (target with lib/ left out)."""
    if place[0] == "lib":
        return target[0] == place[1] or target[0] in LIB.get(place[1], set())
    if target[0] in LIB:
        return True
    if place[0] == "proc":
        return target[0] == "proc" and target[1] == place[1]
    if place[0] in ("bpf", "shim"):
        return target[0] == place[0]
    if place[0] == "cli":
        return target[0] == "cli"
    # main.c picks the role, so it alone sees every process's entry point.
    return place == ("main.c",) and len(target) == 3 and target[2] == target[1] + ".h" or target == ("cli", "cli.h")


def main():
    src = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent / "src"
    bad = 0
    for path in sorted(src.rglob("*.[ch]")):
        place = path.relative_to(src).parts
        mutant = False
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.startswith("#"):  # a mutant breaks rules on purpose
                mutant = line.startswith("#ifdef MUTANT_") or mutant and not line.startswith(("#endif", "#else"))
            for folder, call, who in CALLS:
                if not mutant and "/".join(place[:-1]) == folder and path.suffix == ".c" and place[-1] not in who and call.search(line):
                    print(f"{path}:{number}: only {', '.join(sorted(who))} may call this: {line.strip()}")
                    bad = 1
            found = INCLUDE.match(line)
            if not found:
                continue
            target = tuple(found.group(1).split("/"))
            if len(target) < 2 or not allowed(place, target):
                print(f"{path}:{number}: {'/'.join(place)} may not include \"{found.group(1)}\"")
                bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
