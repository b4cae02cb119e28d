# SPDX-License-Identifier: ISC
"""Real processes and real guests: tests/scenario and tests/bench."""
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import time

from . import builds

NEEDS = re.compile(r"^\s*(?:#|//|\*)\s*needs:\s*(.*)$", re.MULTILINE)
UNSET = ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "SUDO_USER", "SUDO_UID", "SUDO_GID")


def programs(folder):
    """Executables of a folder that are tests: not the demo, which has its own word in ./dev."""
    if not folder.is_dir():
        return []
    return [p for p in sorted(folder.iterdir())
            if p.is_file() and os.access(p, os.X_OK) and p.suffix in ("", ".py", ".sh") and p.name != "demo"]


def needs(path):
    m = NEEDS.search(path.read_text(encoding="utf-8", errors="replace")[:4000])
    return re.split(r"[\s,]+", m.group(1).strip()) if m else []


def other_user():
    """Who plays the ordinary user when we are root."""
    name = os.environ.get("SKEP_TEST_USER")
    if name:
        return pwd.getpwnam(name)
    for p in sorted(pwd.getpwall(), key=lambda p: p.pw_uid):
        if 1000 <= p.pw_uid < 60000:
            return p
    return pwd.getpwnam("nobody")


def cache():
    return pathlib.Path(os.environ.get("SKEP_IMAGE_CACHE") or
                        pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "skep")


class Place:
    """What all scenario tests share: the program and the recipes where every user can read them."""

    def __init__(self, r, skep, name):
        self.r = r
        self.root = r.tmp / name
        self.bin = self.root / "bin"
        self.bin.mkdir(parents=True)
        self.build = skep.parent.parent
        built = skep.parent
        shutil.copy2(skep, self.bin / "skep")
        # What stands next to the program: the VMM's preload library.
        for lib in list(built.rglob("*shim*.so")):
            shutil.copy2(lib, self.bin / lib.name)
        self.recipes = r.tmp / "recipes"
        if not self.recipes.exists():
            shutil.copytree(r.top / "images", self.recipes, symlinks=True)
        self.n = 0

    def image(self, name):
        """Builds it in the cache; None, or what went wrong."""
        where = cache()
        where.mkdir(parents=True, exist_ok=True)
        status, out = self.r.cmd([self.bin / "skep", "image", "build", name], timeout=1200,
                                 env={"SKEP_STATE": str(where), "SKEP_IMAGES": str(self.recipes)})
        return None if status == 0 else f"skep image build {name}: status {status}\n{out}"

    def state(self, images, owner):
        """A state directory with these images, hard links where that is possible."""
        self.n += 1
        d = self.root / f"state-{self.n}"
        for sub in ["images"] + [f"images/{i}" for i in images]:
            (d / sub).mkdir(parents=True, exist_ok=True)
        for i in images:
            for f in (cache() / "images" / i).iterdir():
                if not f.is_file():
                    continue
                to = d / "images" / i / f.name
                try:
                    os.link(f, to)
                except OSError:
                    subprocess.run(["cp", "--sparse=always", "-p", f, to], check=True)
        if owner:
            for p in [d, *d.rglob("*")]:
                if p.is_dir():
                    os.chown(p, owner.pw_uid, owner.pw_gid)
        return d


def run_one(r, place, path, want, as_user):
    """(status, output) of one program; status None = fine. Raises Skip."""
    images = [w[6:] for w in want if w.startswith("image:")]
    for w in want:
        if w.startswith("tool:") and not shutil.which(w[5:]):
            raise Skip(f"{w[5:]} is not installed")
    if "uml" in want and not shutil.which("linux.uml"):
        raise Skip("user-mode-linux is not installed")
    if "tun" in want and not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        raise Skip("/dev/net/tun cannot be opened here")
    if "soak" in want and not os.environ.get("SKEP_SOAK"):
        raise Skip("soak: ./dev soak runs it")
    for i in images:
        problem = place.image(i)
        if problem:
            return "image", problem
    timeout = next((int(w[8:]) for w in want if w.startswith("timeout:")), 300)
    if os.environ.get("SKEP_SOAK"):
        timeout *= 20
    owner = other_user() if as_user and os.geteuid() == 0 else None
    state = place.state(images, owner)
    home = state / "home"
    home.mkdir()
    if owner:
        os.chown(home, owner.pw_uid, owner.pw_gid)
    env = {"SKEP": str(place.bin / "skep"), "SKEP_STATE": str(state), "SKEP_IMAGES": str(place.recipes),
           "SKEP_BUILD": str(place.build), "SKEP_TESTS": str(r.top / "tests"), "SKEP_CACHE": str(cache()), "HOME": str(home), "TMPDIR": str(state),
           "IMAGES": str(state / "images"), "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [str(path)]
    # The tests themselves may lie where the other user cannot look.
    if owner:
        tests = r.tmp / "tests"
        if not tests.exists():
            shutil.copytree(r.top / "tests", tests, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        argv = [str(tests / path.relative_to(r.top / "tests"))]
        env["SKEP_TESTS"] = str(tests)
        env["USER"] = env["LOGNAME"] = owner.pw_name
    saved = {k: os.environ.pop(k) for k in UNSET if k in os.environ}
    try:
        status, out = r.cmd(argv, timeout=timeout, cwd=state, env=env, user=(owner.pw_uid, owner.pw_gid) if owner else None)
    finally:
        os.environ.update(saved)
    left = r.orphans()
    if left:
        status = status or "orphans"
        out += "\nprocesses left behind:\n" + "\n".join(f"  {p}: {c}" for p, c in left.items())
        r.end_children()
    if not r.o.keep:
        shutil.rmtree(state, ignore_errors=True)
    return (None if status == 0 else str(status)), out


class Skip(Exception):
    pass


def variants(want):
    """[(label, as_user)]: with `both`, a test runs once as root and once as an ordinary user."""
    root = os.geteuid() == 0
    if "both" in want:
        return [(" (root)", False), (" (user)", True)] if root else [(" (root)", None), (" (user)", True)]
    if "root" in want:
        return [("", False if root else None)]
    return [("", True if "user" in want else False)]


def run(r):
    found = [p for p in programs(r.top / "tests" / "scenario") if r.wanted(p.name)]
    if not found:
        r.skipped("scenario tests", "none here")
        return
    skep = builds.skep(r)
    if not skep:
        return
    place = Place(r, skep, "scenario")
    for path in found:
        want = needs(path)
        for label, as_user in variants(want):
            if as_user is None:
                r.skipped(path.name + label, "needs root")
                continue
            start = time.monotonic()
            try:
                status, out = run_one(r, place, path, want, as_user)
            except Skip as e:
                r.skipped(path.name + label, str(e))
                continue
            r.tap_test(path.name + label, out, status, f" {time.monotonic() - start:.1f} s")


def mutant(r, skep, name):
    """(does scenario NAME fail with this program, output)"""
    path = next((p for p in programs(r.top / "tests" / "scenario") if p.name == name or p.stem == name), None)
    if not path:
        return None, f"no such scenario test: {name}"
    place = Place(r, skep, f"mutant-{time.monotonic_ns()}")
    want = needs(path)
    label, as_user = variants(want)[0]
    if as_user is None:
        return None, "needs root"
    try:
        status, out = run_one(r, place, path, want, as_user)
    except Skip as e:
        return None, str(e)
    return status is not None or "\nnot ok" in "\n" + out, out


def bench(r):
    """tests/bench: programs print lines for docs/measurements.md."""
    r.begin("bench", r.words)
    skep = builds.skep(r)
    if not skep:
        return
    place = Place(r, skep, "bench")
    for path in [p for p in programs(r.top / "tests" / "bench") if r.wanted(p.name)]:
        start = time.monotonic()
        try:
            status, out = run_one(r, place, path, needs(path), False)
        except Skip as e:
            r.skipped(path.name, str(e))
            continue
        print(out, flush=True)
        r.check(f"{path.name} {time.monotonic() - start:.0f} s", status is None, f"status {status}")
    r.end(0)
