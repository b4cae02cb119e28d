# SPDX-License-Identifier: ISC
"""Meson builds and the meson tests in them."""
import json
import shutil

SANITIZER_ENV = {
    "ASAN_OPTIONS": "abort_on_error=0:halt_on_error=1:detect_leaks=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "SKEP_EDITS": "4000",  # of 20,000: a second look for bad memory accesses
}


def build(r, name, cc, *options, label=None):
    """A build directory below tmp, made once; None (and a failure counted) if it does not build."""
    if name in r.dirs:
        return r.dirs[name]
    d = r.tmp / f"build-{name}"
    label = label or f"{cc} build"
    status, out = r.cmd(["meson", "setup", d, r.top, *options], env={"CC": cc})
    if status == 0:
        status, more = r.cmd(["ninja", "-C", d, "-j", str(r.o.jobs)], timeout=1800)
        out += more
    r.dirs[name] = d if status == 0 else None
    r.check(label, status == 0, out)
    return r.dirs[name]


def run_tests(r, d, env=None, scale=1):
    """Every meson test of a build directory, counted by its TAP lines."""
    argv = ["meson", "test", "-C", d, "--no-rebuild", "--num-processes", str(r.o.jobs), "--timeout-multiplier", str(scale)]
    log = d / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    status, out = r.cmd(argv, timeout=1800, env=env)
    if not log.exists():
        if "No tests defined" in out:
            r.skipped("meson tests", "none defined")
        else:
            r.failed("meson test", out)
        return
    seen_bad = False
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        t = json.loads(line)
        name = t["name"].split(" / ")[-1]
        if not r.wanted(name):
            continue
        result = t["result"]
        text = (t.get("stdout") or "") + (t.get("stderr") or "")
        if result == "SKIP":
            r.skipped(name, "said so itself")
            continue
        why = None if result in ("OK", "EXPECTEDFAIL") else result
        seen_bad |= why is not None
        r.tap_test(name, text, why, f" {t.get('duration', 0):.1f} s")
    if status != 0 and not seen_bad and not r.words:
        r.failed("meson test", out)


def unit(r):
    d = build(r, "gcc", "gcc")
    if d:
        run_tests(r, d)


def sanitize(r):
    d = build(r, "sanitize", "gcc", "-Db_sanitize=address,undefined", label="gcc build with sanitizers")
    if d:
        run_tests(r, d, SANITIZER_ENV, 4)


def clang(r):
    if not shutil.which("clang"):
        r.skipped("clang build", "no clang")
        return
    build(r, "clang", "clang", label="clang build, warnings are errors")


def skep(r):
    """The gcc build's program, or None."""
    d = build(r, "gcc", "gcc")
    return d / "src" / "skep" if d else None
