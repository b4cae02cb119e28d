#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""run.py SKEP CASE [--write]: runs `skep policy test` with the words of CASE.args beside the captures of make.py and this
folder's policies, and compares what it prints and its exit status with CASE.expect. --write: writes CASE.expect. Public
captures are taken from $SKEP_DATA (tests/data/README.md); without the one that is needed: skipped, status 77."""
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def main():
    skep, case = os.path.abspath(sys.argv[1]), sys.argv[2]
    words = shlex.split((HERE / f"{case}.args").read_text(), comments=True)
    with tempfile.TemporaryDirectory(prefix="skep-policy-") as place:
        subprocess.run([sys.executable, HERE / "make.py", place], check=True)
        for policy in HERE.glob("*.yaml"):
            shutil.copy(policy, place)
        for name in (w for w in words if w.endswith(".pcap") and not os.path.exists(os.path.join(place, w))):
            public = os.path.join(os.environ.get("SKEP_DATA", "."), name)
            if not os.path.exists(public):
                print(f"{public} is not there: skipped (see tests/data/README.md)")
                return 77
            os.symlink(os.path.abspath(public), os.path.join(place, name))
        done = subprocess.run([skep, "policy", "test", *words], cwd=place, capture_output=True, text=True, timeout=60,
                              env={**os.environ, "LC_ALL": "C"})
    # Warnings about what this computer does not offer begin with skep[; they are no part of the result.
    err = "".join(x for x in done.stderr.splitlines(True) if not x.startswith("skep["))
    got = done.stdout + err + f"exit {done.returncode}\n"
    expect = HERE / f"{case}.expect"
    if "--write" in sys.argv:
        expect.write_text(got)
        return 0
    want = expect.read_text()
    if got != want:
        print(f"--- expected ({expect.name})\n{want}--- got\n{got}")
    return got != want


if __name__ == "__main__":
    sys.exit(main())
