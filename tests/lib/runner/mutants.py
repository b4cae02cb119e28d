# SPDX-License-Identifier: ISC
"""Proof that the tests can fail. tests/mutants/*.txt: `NAME  TEST  what it
breaks`. `#ifdef MUTANT_NAME` in the source breaks one invariant; TEST, a meson
test or scenario/FILE, passes without it and must fail with it.

Everything is built once. For a mutant only the objects whose sources mention
it are compiled again, with the define, behind ninja's back: their times stay, so
that ninja does not make them clean again, and the archives and programs made of
them are removed, so that it links them again.

Many tests wait more than they compute: there is a worker, with a build of its
own, for each processor that may be used. All mutants of a test go to one."""
import json
import os
import re
import shlex
import shutil
import threading
import time

from . import builds, scenario

BPF = "src/lib/probe/probe.bpf.o"
DEFINE = re.compile(r"\bMUTANT_([A-Z0-9_]+)\b")


def listed(r):
    out = []
    for path in sorted((r.top / "tests" / "mutants").glob("*.txt")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            words = line.split("#", 1)[0].split(None, 2)
            if words:
                out.append((f"{path.name}:{number}", *(words + ["", ""])[:3]))
    return out


def mentioned(r):
    """mutant -> files that mention it"""
    out = {}
    for path in sorted((r.top / "src").rglob("*.[ch]")):
        for name in set(DEFINE.findall(path.read_text(encoding="utf-8", errors="replace"))):
            out.setdefault(name, set()).add(path.resolve())
    return out


def dependencies(r, d):
    """object -> files it was compiled from, as ninja knows them"""
    out, current = {}, None
    for line in r.cmd(["ninja", "-C", d, "-t", "deps"])[1].splitlines():
        if line.startswith("    "):
            if current is not None:
                out[current].add((d / line.strip()).resolve())
        elif ": #deps" in line:
            current = line.split(": #deps")[0]
            out[current] = set()
    return out


def run(r):
    lines, where = listed(r), mentioned(r)
    missing = sorted(set(where) - {x[1] for x in lines})
    r.check("every MUTANT_ in src is listed in tests/mutants", not missing, "not listed: " + " ".join(missing))
    lines = [x for x in lines if r.wanted(x[1])]
    if not lines:
        r.skipped("mutants", "none listed")
        return
    groups = {}
    for x in lines:
        groups.setdefault(x[2], []).append(x)
    # The long ones first, so that nobody is left with one at the end.
    todo = sorted(groups.values(), key=len)
    workers = [threading.Thread(target=worker, args=(r, n, todo, where)) for n in range(min(r.o.jobs, 2, len(todo)))]
    for w in workers:
        w.start()
    for w in workers:
        w.join()


def worker(r, number, todo, where):
    try:
        work(r, number, todo, where)
    except Exception as e:  # pylint: disable=broad-except
        r.failed(f"worker {number}", f"the runner itself: {e!r}")


def work(r, number, todo, where):
    d = builds.build(r, f"mutants-{number}", "gcc", "-Dbuildtype=debug", "-Doptimization=0", label=f"build for mutants {number}")
    if not d:
        return
    commands = {x["output"]: x for x in json.loads((d / "compile_commands.json").read_text(encoding="utf-8"))}
    line = r.cmd(["ninja", "-C", d, "-t", "commands", BPF])[1].splitlines()[-1:]
    if line and "-target bpf" in line[0]:  # not a compiler that meson knows
        commands[BPF] = {"command": line[0], "directory": d}
    tests = {t["name"]: t for t in json.loads(r.cmd(["meson", "introspect", "--tests", d])[1])}
    targets = {t["id"]: t["filename"] for t in json.loads(r.cmd(["meson", "introspect", "--targets", d])[1])}
    deps = dependencies(r, d)
    honest = {}
    while True:
        try:
            group = todo.pop()
        except IndexError:
            return
        for place, name, test, what in group:
            label = f"{name} is caught by {test}"
            if name not in where:
                r.failed(label, f"{place}: no MUTANT_{name} in src")
            elif not test.startswith("scenario/") and test not in tests:
                r.failed(label, f"{place}: no such meson test: {test}")
            else:
                objects = [o for o, files in deps.items() if files & where[name] and o in commands]
                one(r, d, commands, objects, needed(r, d, test, tests, targets), name, test, what, label, honest)


def fails(r, d, test):
    """(True if the test fails, output)"""
    if test.startswith("scenario/"):
        return scenario.mutant(r, d / "src" / "skep", test.split("/", 1)[1])
    log = d / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    # Fewer rounds than in the suites: a mutant fails early or not at all.
    _, out = r.cmd(["meson", "test", "-C", d, "--no-rebuild", test], timeout=300, env={"SKEP_EDITS": "2000"})
    if not log.exists():
        return None, out
    results = [json.loads(x) for x in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    text = "".join((t.get("stdout") or "") + (t.get("stderr") or "") for t in results)
    return any(t["result"] in ("FAIL", "ERROR", "TIMEOUT") for t in results), text or out


def needed(r, d, test, tests, targets):
    """What ninja must bring up to date for a test."""
    if test.startswith("scenario/"):
        return ["all"]
    t = tests[test]
    files = [t["cmd"][0]] + [f for i in t.get("depends", []) for f in targets.get(i, [])]
    inside = [os.path.relpath(f, d) for f in files if str(f).startswith(f"{d}/")]
    return inside or ["all"]


def unlink_products(d, objects):
    for o in objects:
        if o == BPF:  # becomes a header, from which the rest is made
            (d / o).with_name("object.h").unlink(missing_ok=True)
            continue
        # src/lib/libskep.a.p/base_err.c.o belongs to src/lib/libskep.a
        (d / o.split(".p/", 1)[0]).unlink(missing_ok=True)


def compile_mutant(r, d, commands, objects, name):
    for o in objects:
        was = os.stat(d / o)
        shutil.copy2(d / o, d / f"{o}.clean")
        argv = shlex.split(commands[o]["command"]) + [f"-DMUTANT_{name}", "-Wno-error"]
        status, out = r.cmd(argv, cwd=commands[o]["directory"])
        if status != 0:
            return status, out
        os.utime(d / o, ns=(was.st_atime_ns, was.st_mtime_ns))
    unlink_products(d, objects)
    return (0, "") if objects else (1, "no object is built from the files that mention it")


def one(r, d, commands, objects, goals, name, test, what, label, honest):
    began = time.monotonic()

    def ninja():
        return r.cmd(["ninja", "-C", d, "-j", str(r.o.jobs), *goals], timeout=600)

    if test not in honest:
        status, out = ninja()
        bad, out = fails(r, d, test) if status == 0 else (None, out)
        honest[test] = None if bad is False else out
    if honest[test] is not None:
        r.failed(label, f"{test} does not even pass without the mutant\n{honest[test]}")
        return
    try:
        status, out = compile_mutant(r, d, commands, objects, name)
        if status == 0:
            status, out = ninja()
        if status != 0:
            r.failed(label, f"the mutant does not build\n{out}")
            return
        bad, out = fails(r, d, test)
        if bad:
            r.passed(label, tail=f" {time.monotonic() - began:.1f} s")
        elif bad is None:
            r.failed(label, f"the test could not be run\n{out}")
        else:
            r.failed(label, f"the test passed although it is broken: {what}\n{out}")
    finally:
        for o in objects:
            if (d / f"{o}.clean").exists():
                os.replace(d / f"{o}.clean", d / o)
        unlink_products(d, objects)
