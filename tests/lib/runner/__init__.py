# SPDX-License-Identifier: ISC
"""What all suites share: counting, running commands with a time limit, TAP."""
import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time

PR_SET_CHILD_SUBREAPER = 36
TAP = re.compile(r"^\s*(not )?ok\b(?:\s+(\d+))?\s*-?\s*(.*?)(?:#\s*(skip|todo)\b(.*))?$", re.IGNORECASE)


def become_subreaper():
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children():
    """pid -> command line of every live child of ours."""
    out = {}
    for pid in (p for p in os.listdir("/proc") if p.isdigit()):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            if int(fields[1]) != os.getpid() or fields[0] == "Z":
                continue
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                out[int(pid)] = f.read().replace(b"\0", b" ").decode(errors="replace").strip()
        except (OSError, IndexError):
            continue
    return out


def tap(text):
    """[(ok, name, skipped)] of every test line; and the number the plan promises, or None."""
    points, plan = [], None
    for line in text.splitlines():
        m = re.match(r"^1\.\.(\d+)", line)
        if m:
            # cmocka prints one plan for each group of tests.
            plan = (plan or 0) + int(m.group(1))
            continue
        m = TAP.match(line)
        if m:
            skipped = bool(m.group(4)) and m.group(4).lower() == "skip"
            points.append((not m.group(1), (m.group(3) or "").strip() or f"test {m.group(2)}", skipped))
    return points, plan


class Run:
    def __init__(self, top, tmp, options):
        self.top, self.tmp, self.o = top, tmp, options
        self.n = {"passed": 0, "failed": 0, "skipped": 0}
        self.suite, self.words, self.line = "", [], 0
        self.per_suite, self.failures, self.skips = [], [], []
        self.ours = set()
        self.lock = threading.Lock()  # of ours: who is in it is not buried by reap()
        self.told = threading.Lock()  # of what is counted and printed
        self.dirs = {}  # build directories made by earlier suites
        self.started = time.monotonic()

    # ---- counting
    def begin(self, suite, words):
        self.suite, self.words = suite, [w for w in words if w]
        self.mark = dict(self.n)
        print(f"# {suite}", flush=True)

    def end(self, seconds):
        part = {k: self.n[k] - self.mark[k] for k in self.n}
        self.per_suite.append((self.suite, part, seconds))
        print(f"# {self.suite}: {self.text(part)}, {seconds:.0f} s", flush=True)

    @staticmethod
    def text(n):
        return f"{n['passed']} passed, {n['failed']} failed" + (f", {n['skipped']} skipped" if n["skipped"] else "")

    def wanted(self, name):
        return not self.words or any(w in name for w in self.words)

    def say(self, ok, name, tail=""):
        self.line += 1
        print(f"{'ok' if ok else 'not ok'} {self.line} - {self.suite}: {name}{tail}", flush=True)

    def passed(self, name, count=1, tail=""):
        with self.told:
            self.n["passed"] += count
            self.say(True, name, tail)

    def skipped(self, name, why):
        self.n["skipped"] += 1
        self.skips.append(f"{self.suite}: {name}: {why}")
        self.say(True, name, f" # SKIP {why}")

    def failed(self, name, output="", count=1):
        output = output.rstrip()
        if len(output) > 12000:
            output = output[:4000] + "\n[...]\n" + output[-8000:]
        with self.told:
            self.n["failed"] += count
            self.say(False, name)
            self.failures.append((f"{self.suite}: {name}", output))
            for row in output.splitlines()[-60:]:
                print(f"#   {row}", flush=True)

    def check(self, name, ok, output=""):
        if ok:
            self.passed(name)
        else:
            self.failed(name, output)
        return ok

    def tap_test(self, name, text, status, tail=""):
        """Counts one program's TAP output; status: None or why it failed as a whole."""
        points, plan = tap(text)
        bad = [p for p in points if not p[0] and not p[2]]
        good = [p for p in points if p[0] and not p[2]]
        skips = [p for p in points if p[2]]
        if plan is not None and plan != len(points) and not status:
            status = f"planned {plan} tests, ran {len(points)}"
        self.n["passed"] += len(good)
        for p in skips:
            self.n["skipped"] += 1
            self.skips.append(f"{self.suite}: {name}: {p[1]}")
        if bad or status:
            why = f"[{status}]\n" if status else ""
            self.failed(f"{name} ({len(good)} of {len(points)} passed)", why + text, max(1, len(bad)))
        elif not points:
            self.passed(name, tail=tail)
        else:
            self.say(True, f"{name} ({len(good)})", tail)

    def summary(self):
        print(f"# all: {time.monotonic() - self.started:.0f} s")
        for suite, part, seconds in self.per_suite:
            print(f"#   {suite:9} {self.text(part)}, {seconds:.0f} s")
        for row in self.skips:
            print(f"# skipped: {row}")
        for name, _ in self.failures:
            print(f"# FAILED: {name}")
        if not self.per_suite and not self.n["failed"] and not self.n["passed"]:
            return 0
        print(self.text(self.n), flush=True)
        return 1 if self.n["failed"] or not self.n["passed"] else 0

    # ---- commands
    def cmd(self, argv, timeout=600, cwd=None, env=None, user=None, data=None):
        """(status, stdout and stderr). status: 0, the exit status, -signal, or
        'timeout'. The command gets its own session, all of which is killed at
        the end of the time."""
        full = dict(os.environ)
        full.update(env or {})
        extra = {}
        if user:
            extra = {"user": user[0], "group": user[1], "extra_groups": []}
        with self.lock:
            p = subprocess.Popen([str(a) for a in argv], cwd=str(cwd or self.top), env=full, start_new_session=True,
                                 stdin=subprocess.DEVNULL if data is None else subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, **extra)
            self.ours.add(p.pid)
        with p:
            try:
                out = self.talk(p, data, time.monotonic() + timeout)
                status = p.returncode
            except subprocess.TimeoutExpired:
                self.kill_session(p.pid)
                try:
                    out, _ = p.communicate(timeout=10)
                except subprocess.TimeoutExpired as e:
                    out = e.stdout or b""
                status = "timeout"
            except BaseException:
                self.kill_session(p.pid)
                raise
            finally:
                self.ours.discard(p.pid)
        return status, out.decode(errors="replace")

    def talk(self, p, data, end):
        """What p prints. Orphans are buried meanwhile: fakeroot(1) waits until
        its daemon, which is one, is gone."""
        while True:
            left = end - time.monotonic()
            try:
                return p.communicate(data, timeout=max(0.0, min(0.5, left)))[0]
            except subprocess.TimeoutExpired:
                if left <= 0:
                    raise
                self.reap()

    @staticmethod
    def kill_session(pid):
        try:
            os.killpg(pid, signal.SIGKILL)
        except OSError:
            pass

    def orphans(self, patience=3.0):
        """Processes that somebody left to us; waits a little for those that are on their way out."""
        end = time.monotonic() + patience
        while True:
            self.reap()
            left = {p: c for p, c in children().items() if p not in self.ours}
            if not left or time.monotonic() > end:
                return left
            time.sleep(0.1)

    def end_children(self):
        for _ in range(50):
            left = {p for p in children() if p not in self.ours}
            if not left:
                break
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
            time.sleep(0.05)
            self.reap()

    def reap(self):
        with self.lock:
            for pid in [int(p) for p in os.listdir("/proc") if p.isdigit()]:
                if pid in self.ours:
                    continue
                try:
                    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                        fields = f.read().rsplit(")", 1)[1].split()
                    if fields[0] == "Z" and int(fields[1]) == os.getpid():
                        os.waitpid(pid, os.WNOHANG)
                except (OSError, IndexError, ChildProcessError):
                    continue
