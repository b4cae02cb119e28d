# SPDX-License-Identifier: ISC
"""What the scenario tests share: a honeynet driven only through the `skep`
command, real clients in its lab, and TAP output. Each test ends what it began."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import traceback

SKEP = os.environ.get("SKEP", "build/skep")
STATE = os.environ.get("SKEP_STATE", "")
SSH = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
       "-o", "ConnectTimeout=10", "-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1",
       "-o", "HostKeyAlgorithms=+ssh-rsa"]

TWO = """\
honeynet: {name}
networks:
  lan:
    v4: 192.0.2.0/24
    v6: 2001:db8:2::/64
uplink:
  lab: [203.0.113.0/24, 2001:db8:ffff::/64]
honeypots:
  one:
    image: busybox
    address: [192.0.2.11, 2001:db8:2::11]
    memory: 64M
  two:
    image: busybox
    address: [192.0.2.12, 2001:db8:2::12]
    memory: 64M
policy:
  outbound: {outbound}
evidence:
  max-size: 256M
  rotate: 16M
  min-free: {min_free}
  ring: 1M
"""


def two(name="bees", outbound="{tcp: 3/hour, udp: 3/hour, icmp: 3/hour}", min_free="16M", extra=""):
    return TWO.format(name=name, outbound=outbound, min_free=min_free) + extra


class Failed(Exception):
    pass


def run(argv, timeout=60, check=True, input=None, env=None):
    """(status, output) of a program; both streams together."""
    r = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL if input is None else None, input=input,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, text=True, errors="replace",
                       env={**os.environ, **(env or {})})
    if check and r.returncode != 0:
        raise Failed(f"{' '.join(map(str, argv))}: status {r.returncode}\n{r.stdout}")
    return r.returncode, r.stdout


def skep(*args, **kw):
    return run([SKEP, *args], **kw)


class Net:
    """One honeynet, from its YAML text."""

    def __init__(self, text, name="bees"):
        self.name = name
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="net-", dir=STATE or None))
        self.file = self.dir / f"{name}.yaml"
        self.procs = []
        self.write(text)

    def write(self, text):
        self.file.write_text(text)

    def up(self, **kw):
        return skep("up", self.file, timeout=kw.pop("timeout", 180), **kw)

    def down(self, **kw):
        return skep("down", self.name, timeout=120, **kw)

    def ps(self):
        """The honeynet's entry of `skep ps --json`."""
        _, out = skep("ps", self.name, "--json")
        return json.loads(out)

    def honeypot(self, name):
        for net in self.nets():
            for h in net["honeypots"]:
                if h["name"] == name:
                    return h
        raise Failed(f"no honeypot {name} in {self.ps()}")

    def nets(self):
        data = self.ps()
        return data["honeynets"] if isinstance(data, dict) and "honeynets" in data else data if isinstance(data, list) else [data]

    def state(self, name):
        return self.honeypot(name)["state"]

    def lab(self, *argv, **kw):
        return skep("lab", self.name, "--", *argv, **kw)

    def lab_start(self, *argv):
        """A program that goes on running in the lab."""
        p = subprocess.Popen([SKEP, "lab", self.name, "--", *map(str, argv)], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        self.procs.append(p)
        return p

    def ssh(self, address, command, user="root", password="admin", source=None, **kw):
        bind = ["-b", source] if source else []
        return self.lab("sshpass", "-p", password, "ssh", *SSH, *bind, f"{user}@{address}", command, **kw)

    def events(self, *args):
        _, out = skep("events", self.name, "--json", *args)
        return [json.loads(line) for line in out.splitlines() if line.startswith("{")]

    def evidence(self):
        return pathlib.Path(STATE) / "nets" / self.name / "evidence"

    def recorded(self, *filters):
        """Every frame in the evidence that passes the display filters: (interface, source, destination, verdict and
        what else its comment says)."""
        whole = self.dir / "all.pcapng"
        skep("pcap", self.name, "-w", whole)
        _, out = run(["tshark", "-r", whole, "-T", "fields", "-e", "frame.interface_name", "-e", "ip.src", "-e", "ip.dst",
                      "-e", "frame.comment", "-Y", " && ".join(f"({f})" for f in filters)], timeout=120)
        rows = [line.split("\t") for line in out.splitlines() if "verdict=" in line]
        return [(r[0], r[1], r[2], dict(w.split("=", 1) for w in r[3].split() if "=" in w)) for r in rows]

    def pids(self):
        """Every process of this honeynet, by its role, from the operator's view."""
        return self.nets()[0]

    def end(self):
        for p in self.procs:
            if p.poll() is None:
                p.kill()
            p.communicate()
        skep("down", self.name, "--force", check=False, timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.end()


def eventually(what, seconds=10, step=0.1):
    """Calls what() until it returns something true; that, or the last answer."""
    end = time.monotonic() + seconds
    while True:
        got = what()
        if got or time.monotonic() > end:
            return got
        time.sleep(step)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    # A zombie is dead.
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def family(root):
    """pid and all its descendants."""
    children = {}
    for p in pathlib.Path("/proc").iterdir():
        if not p.name.isdigit():
            continue
        try:
            ppid = int((p / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        children.setdefault(ppid, []).append(int(p.name))
    out, todo = [], [root]
    while todo:
        pid = todo.pop()
        out.append(pid)
        todo += children.get(pid, [])
    return out


def equal(got, want, what=""):
    if got != want:
        raise Failed(f"{what}: got {got!r}, expected {want!r}")


def true(got, what):
    if not got:
        raise Failed(what)


def main(tests):
    """Runs the functions in order; TAP on standard output."""
    def stop(number, frame):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, stop)
    bad = 0
    print(f"1..{len(tests)}", flush=True)
    for n, test in enumerate(tests, 1):
        began = time.monotonic()
        label = (test.__doc__ or test.__name__).strip().splitlines()[0]
        try:
            test()
            print(f"ok {n} - {label} # {time.monotonic() - began:.1f} s", flush=True)
        except Exception:  # noqa: BLE001 - every failure is a failed test
            bad += 1
            print(f"not ok {n} - {label} # {time.monotonic() - began:.1f} s")
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
            log = pathlib.Path(STATE or "/nonexistent") / "run"
            for f in sorted(log.glob("*/log")) if log.is_dir() else []:
                for line in f.read_text(errors="replace").splitlines()[-30:]:
                    print(f"# {f.parent.name}: {line}")
            sys.stdout.flush()
    return 1 if bad else 0
