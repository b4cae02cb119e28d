#!/usr/bin/python3
# SPDX-License-Identifier: ISC
# needs: root tun tool:ip timeout:300
"""What the gateway costs: CPU-ns of its process per forwarded and recorded
frame, and the round trip that it adds, against a bare kernel bridge between the
same two network namespaces in the same run. Arms take turns; the ratio is
formed inside each round."""
import os
import pathlib
import statistics
import subprocess
import sys

SKEP = pathlib.Path(os.environ.get("SKEP", "build/src/skep"))
TOOL = str(pathlib.Path(os.environ.get("SKEP_BUILD", "build")) / "tests/bench/gateway_bench")
ROUNDS, PINGS = 5, 5000
A, B = "192.0.2.200", "192.0.2.10"
MAC_A, MAC_B = "02:00:00:00:aa:01", "52:54:00:00:00:10"  # MAC_B: honeypot 0 of tests/unit/gateway/world.c


def ip(*words, ns=None):
    subprocess.run(["ip", *(["-n", ns] if ns else []), *words], check=True)


def in_ns(ns, *argv, **kw):
    return subprocess.Popen(["ip", "netns", "exec", ns, *map(str, argv)], stdout=subprocess.PIPE, text=True, **kw)


class Arm:
    """Two namespaces a and b, joined by something in m."""

    def __init__(self, name):
        self.name = name
        self.ns = [f"skb{os.getpid()}-{x}" for x in "abm"]
        for n in self.ns:
            ip("netns", "add", n)
            ip("link", "set", "lo", "up", ns=n)
        self.procs = []

    def ends(self, a, b):
        for ns, dev, addr, mac in ((self.ns[0], a, A, MAC_A), (self.ns[1], b, B, MAC_B)):
            ip("link", "set", dev, "address", mac, ns=ns)
            subprocess.run(["ip", "netns", "exec", ns, "sysctl", "-q", "-w", f"net.ipv6.conf.{dev}.disable_ipv6=1"], check=True)
            ip("addr", "add", addr + "/24", "dev", dev, ns=ns)
            ip("link", "set", dev, "up", ns=ns)
        ip("neigh", "add", B, "lladdr", MAC_B, "dev", a, ns=self.ns[0])
        ip("neigh", "add", A, "lladdr", MAC_A, "dev", b, ns=self.ns[1])

    def measure(self):
        echo = in_ns(self.ns[1], TOOL, "echo", B)
        self.procs.append(echo)
        echo.stdout.readline()
        ping = in_ns(self.ns[0], TOOL, "ping", B, PINGS)
        out, _ = ping.communicate(timeout=120)
        median, p99, lost = out.split()
        return float(median), float(p99), int(lost)

    def close(self):
        for p in self.procs:
            p.kill()
            p.communicate()
        for n in self.ns:
            subprocess.run(["ip", "netns", "del", n], check=False)


def bridge():
    arm = Arm("bridge")
    m = arm.ns[2]
    ip("link", "add", "br0", "type", "bridge", ns=m)
    ip("link", "set", "br0", "up", ns=m)
    for ns, dev in ((arm.ns[0], "va"), (arm.ns[1], "vb")):
        ip("link", "add", dev, "netns", ns, "type", "veth", "peer", "name", "p" + dev, "netns", m)
        ip("link", "set", "p" + dev, "master", "br0", ns=m)
        ip("link", "set", "p" + dev, "up", ns=m)
    arm.ends("va", "vb")
    return arm


def gateway():
    arm = Arm("skep")
    m = arm.ns[2]
    p = in_ns(m, TOOL, "host", SKEP, "ta", "tb", stdin=subprocess.PIPE)
    arm.procs.append(p)
    if p.stdout.readline().strip() != "ready":
        raise SystemExit("the gateway did not start")
    ip("link", "set", "ta", "netns", arm.ns[0], ns=m)
    ip("link", "set", "tb", "netns", arm.ns[1], ns=m)
    arm.ends("ta", "tb")
    return arm


def main():
    print("CPU-ns of the gateway's process per frame (in, judged, recorded in the ring, out), AF_UNIX to AF_UNIX")
    print(f"{'bytes':>6} {'frames':>8} {'recorded':>8} {'ns min':>7} {'median':>7} {'max':>7}")
    for size in (64, 1500):
        rows = [subprocess.run([TOOL, "cpu", str(SKEP), str(size), "48000"], check=True, capture_output=True, text=True).stdout.split()
                for _ in range(ROUNDS)]
        ns = sorted(float(r[3]) for r in rows)
        print(f"{size:>6} {rows[0][1]:>8} {rows[0][2]:>8} {ns[0]:>7.0f} {ns[len(ns) // 2]:>7.0f} {ns[-1]:>7.0f}", flush=True)
    print("\nround trip of a 64-byte UDP payload, us (median / p99)")
    print(f"{'round':>5} {'bridge':>17} {'skep':>17} {'bridge again':>17} {'added median':>13} {'added p99':>10}")
    added, tails = [], []
    for n in range(1, ROUNDS + 1):
        got = []
        for make in (bridge, gateway, bridge):
            arm = make()
            try:
                got.append(arm.measure())
            finally:
                arm.close()
        base = min(got[0][0], got[2][0]), min(got[0][1], got[2][1])
        added.append(got[1][0] - base[0])
        tails.append(got[1][1] - base[1])
        cells = " ".join(f"{m:>8.2f}/{p:>8.2f}" for m, p, _ in got)
        print(f"{n:>5} {cells} {added[-1]:>13.2f} {tails[-1]:>10.2f}", flush=True)
    print(f"added round trip, median of {ROUNDS} rounds: {statistics.median(added):.2f} us; p99: {statistics.median(tails):.2f} us")
    return 0


if __name__ == "__main__":
    sys.exit(main())
