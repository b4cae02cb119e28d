# SPDX-License-Identifier: ISC
"""libFuzzer harnesses: executables fuzz_NAME of tests/fuzz; their seeds are in
tests/fuzz/seeds/NAME/."""
import os
import shutil

from . import builds


def harnesses(d):
    place = d / "tests" / "fuzz"
    found = sorted(place.glob("fuzz[_-]*")) if place.is_dir() else []
    return [p for p in found if p.is_file() and os.access(p, os.X_OK)]


def seeds(r, harness):
    return r.top / "tests" / "fuzz" / "seeds" / harness.name[5:]


def argv(r, harness, seconds, corpus):
    corpus.mkdir(parents=True, exist_ok=True)
    out = [harness, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1",
           f"-artifact_prefix={corpus.parent}/{harness.name}-"]
    words = r.top / "tests" / "fuzz" / f"{harness.name[5:]}.dict"
    if words.exists():
        out.append(f"-dict={words}")
    return out + [corpus, seeds(r, harness)]


def short(r):
    if not shutil.which("clang"):
        r.skipped("fuzzers", "no clang")
        return
    d = builds.build(r, "fuzz", "clang", "-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false",
                     label="clang build with sanitizers and fuzzers")
    if not d:
        return
    found = harnesses(d)
    if not found:
        r.skipped("fuzzers", "none built")
    for h in found:
        if not r.wanted(h.name):
            continue
        n = len(list(seeds(r, h).glob("*"))) if seeds(r, h).is_dir() else 0
        if not n:
            r.failed(h.name, f"no seeds in {seeds(r, h)}: without them a fuzzer finds nothing")
            continue
        corpus = r.tmp / "corpus" / h.name
        status, out = r.cmd(argv(r, h, r.o.fuzz_seconds, corpus), timeout=r.o.fuzz_seconds + 120,
                            env={"UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"})
        runs = next((x.split()[-1] for x in out.splitlines() if "number_of_executed_units" in x), "0")
        if status == 0 and int(runs) > n:
            r.passed(h.name, tail=f" {runs} runs from {n} seeds")
        else:
            r.failed(h.name, f"[status {status}, {runs} runs]\n{out}")


def forever(r, d, name, seconds):
    """./dev fuzz: one harness on the terminal until Ctrl-C; its corpus stays in the build directory."""
    found = harnesses(d)
    names = ", ".join(h.name[5:] for h in found)
    chosen = [h for h in found if h.name[5:] == name] if name else found[:1]
    if not chosen:
        raise SystemExit(f"no such fuzzer: {name} (there are: {names})")
    print(f"fuzzers: {names}; running {chosen[0].name[5:]}", flush=True)
    line = [str(a) for a in argv(r, chosen[0], seconds, d / "corpus" / chosen[0].name)]
    os.execv(line[0], line)
