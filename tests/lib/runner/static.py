# SPDX-License-Identifier: ISC
"""What can be checked without building."""
import shutil
import subprocess
import sys

# (file below a copy of src, line that breaks the rules)
BREACHES = [
    ("proc/gateway/gateway.c", '#include "proc/priv/priv.h"'),
    ("cli/cli.c", '#include "proc/super/super.h"'),
    ("lib/base/err.c", '#include "proto/proto.h"'),
    ("lib/model/model.h", '#include "sandbox/isolate.h"'),
    ("lib/proto/proto.c", '#include "proc/priv/priv.h"'),
    ("proc/gateway/control.c", "\tf->out->ops->send(f->out, f->bytes);"),
    ("proc/gateway/flow.c", "\tforward(g, f);"),
    ("proc/gateway/hold.c", "\tcapture_made(g, f->in, f, f->bytes);"),
    ("proc/gateway/play.c", "\tforward_late(g, f);"),
    ("proc/gateway/process.c", "\twrite(p->fd, f->bytes.p, f->bytes.n);"),
]


def files(run, *patterns):
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "--", *patterns], cwd=run.top,
                         capture_output=True, text=True, check=False)
    if out.returncode == 0:
        found = out.stdout.splitlines()
    else:  # no repository: a release's tar file
        found = [str(p.relative_to(run.top)) for pat in patterns for p in run.top.rglob(pat) if "build" not in p.parts[0]]
    return [f for f in found if (run.top / f).is_file()]


def run(r):
    layers(r)
    clang_format(r)
    scripts(r)


def layers(r):
    tool = r.top / "tools" / "layers.py"
    status, out = r.cmd([sys.executable, tool])
    r.check("layers: who includes whom", status == 0, out)
    for path, line in BREACHES:
        copy = r.tmp / "layers"
        shutil.copytree(r.top / "src", copy)
        target = copy / path
        target.write_text(line + "\n" + target.read_text(encoding="utf-8"), encoding="utf-8")
        status, out = r.cmd([sys.executable, tool, copy])
        r.check(f"layers: {line} in {path} is caught", status == 1 and path in out, out)
        shutil.rmtree(copy)


def clang_format(r):
    version = r.cmd(["clang-format", "--version"])[1] if shutil.which("clang-format") else ""
    if " 14." not in version:
        r.skipped("clang-format", f"version 14 is what the style is checked with, here: {version.strip() or 'none'}")
        return
    status, out = r.cmd(["clang-format", "--dry-run", "-Werror", *files(r, "*.c", "*.h")])
    r.check("clang-format", status == 0, out)


def is_shell(path):
    with open(path, "rb") as f:
        first = f.readline(100)
    return first.startswith(b"#!") and (first.rstrip().endswith(b"sh"))


def scripts(r):
    every = files(r, "*")
    shell = [f for f in every if is_shell(r.top / f)]
    if shutil.which("shellcheck"):
        status, out = r.cmd(["shellcheck", "-S", "info", *shell])
        r.check(f"shellcheck: {len(shell)} scripts", status == 0, out)
    else:
        r.skipped("shellcheck", "not installed")
    bad = []
    for f in every:
        if f.endswith(".py") or open(r.top / f, "rb").readline(60).startswith(b"#!/usr/bin/env python3"):
            try:
                compile((r.top / f).read_text(encoding="utf-8"), f, "exec")
            except (SyntaxError, UnicodeDecodeError) as e:
                bad.append(f"{f}: {e}")
    r.check("python files compile", not bad, "\n".join(bad))
    bad = []
    for f in files(r, "src/*.c", "src/*.h", "tests/*.c", "tests/*.h"):
        if not open(r.top / f, encoding="utf-8").readline().startswith("/* SPDX-License-Identifier: ISC"):
            bad.append(f)
    r.check("every C file names its licence", not bad, "\n".join(bad))
