#!/usr/bin/python3
# SPDX-License-Identifier: ISC
# needs: root tool:ip tool:nft tool:tcpdump timeout:1200
"""What a frame costs by different ways to build a gateway that captures
everything, in one run: CPU-ns per delivered frame.

Arms: bridge (nothing is captured: what the kernel alone takes), nft (a bridge
with a limit per honeypot, and tcpdump writing a file), nfqueue (every frame asks
a program for its verdict, and tcpdump), skep (gateway and evidence processes on
AF_PACKET ports), skep again (A/A: how far two equal arms lie apart). Each arm
has three network namespaces of its own: a - m - b; a frame that arrives is
dropped and counted in b. A frame's cost is that of the sender above what
sending into nothing takes (a veth's receiver runs on the sender's time), and
all CPU time of the arm's own processes. Arms take turns in rotated order, ratios
are formed inside each round. Two loads: as fast as the sender can, and paced."""
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

SKEP = os.environ.get("SKEP", "build/src/skep")
TOOL = str(pathlib.Path(os.environ.get("SKEP_BUILD", "build")) / "tests/bench/arms_bench")
ROUNDS = int(os.environ.get("ROUNDS", "7"))
MAC_A, MAC_B = "02:00:00:00:aa:01", "52:54:00:00:00:10"  # MAC_B: honeypot 0 of tests/unit/gateway/world.c
COUNT = {64: 200000, 1500: 120000}
LOADS = {"paced 80,000/s": 80000, "saturating": 0}


def ip(*words, ns=None):
    subprocess.run(["ip", *(["-n", ns] if ns else []), *words], check=True)


def start(ns, *argv, cpu=1, **kw):
    return subprocess.Popen(["taskset", "-c", str(cpu), "ip", "netns", "exec", ns, *map(str, argv)], text=True, **kw)


def nft(ns, rules):
    subprocess.run(["ip", "netns", "exec", ns, "nft", "-f", "-"], input=rules, text=True, check=True)


def has_queue():
    """Some kernels are built without nft's queue statement."""
    r = subprocess.run(["unshare", "-n", "nft", "-c", "-f", "-"], text=True, capture_output=True,
                       input="table bridge t { chain c { type filter hook forward priority 0; queue num 0; }; }")
    return r.returncode == 0


def cpu_ns(pid):
    """All threads of a process."""
    total = 0
    for t in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((t / "schedstat").read_text().split()[0])
    return total


class Arm:
    def __init__(self, name):
        self.name = name
        self.ns = {x: f"ska{os.getpid()}-{x}" for x in "amb"}
        self.dir = tempfile.mkdtemp(prefix="skep-arms-")
        self.pids, self.procs = [], []
        try:
            self.build()
        except BaseException:
            self.close()
            raise

    def build(self):
        for n in self.ns.values():
            ip("netns", "add", n)
        for side, mac in (("a", MAC_A), ("b", MAC_B)):
            ip("link", "add", "v" + side, "netns", self.ns[side], "type", "veth", "peer", "name", "p" + side, "netns", self.ns["m"])
            for dev, ns in (("v" + side, self.ns[side]), ("p" + side, self.ns["m"])):
                subprocess.run(["ip", "netns", "exec", ns, "sysctl", "-qw", f"net.ipv6.conf.{dev}.disable_ipv6=1"], check=True)
            ip("link", "set", "v" + side, "address", mac, "up", ns=self.ns[side])
            ip("link", "set", "p" + side, "up", ns=self.ns["m"])
        nft(self.ns["b"], "table netdev t { chain c { type filter hook ingress device vb priority 0; policy drop; }; }")

    def bridge(self):
        m = self.ns["m"]
        ip("link", "add", "br0", "type", "bridge", ns=m)
        subprocess.run(["ip", "netns", "exec", m, "sysctl", "-qw", "net.ipv6.conf.br0.disable_ipv6=1"], check=True)
        for p in ("pa", "pb"):
            ip("link", "set", p, "master", "br0", ns=m)
        ip("link", "set", "br0", "up", ns=m)
        subprocess.run(["ip", "netns", "exec", m, "bridge", "fdb", "add", MAC_B, "dev", "pb", "master", "static"], check=True)

    def tcpdump(self):
        p = start(self.ns["m"], "tcpdump", "-Z", "root", "-ni", "pa", "-s", "0", "-B", "65536", "-w", self.dir + "/all.pcap", stderr=subprocess.PIPE)
        while "listening" not in p.stderr.readline():
            pass
        self.procs.append(p)
        self.pids.append(p.pid)

    def received(self):
        out = subprocess.run(["ip", "netns", "exec", self.ns["b"], "cat", "/sys/class/net/vb/statistics/rx_packets"],
                             capture_output=True, text=True, check=True)
        return int(out.stdout)

    def measure(self, size, count, rate):
        before, cpu = self.received(), sum(map(cpu_ns, self.pids))
        out = subprocess.run(["taskset", "-c", "0", "ip", "netns", "exec", self.ns["a"], TOOL, "send", "va", MAC_A, MAC_B,
                              str(size), str(count), str(rate)], capture_output=True, text=True, check=True)
        sent, own = map(int, out.stdout.split())
        last = -1
        while self.received() != last or time.sleep(0.2):
            last = self.received()
            time.sleep(0.2)
        time.sleep(0.3)  # what is written late
        return sent, last - before, own, sum(map(cpu_ns, self.pids)) - cpu

    def close(self):
        for p in self.procs:
            if p.stdin:
                p.stdin.close()
            else:
                p.terminate()
            try:
                p.wait(20)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        for n in self.ns.values():
            subprocess.run(["ip", "netns", "del", n], check=False)
        shutil.rmtree(self.dir, ignore_errors=True)


def make_base():
    arm = Arm("base")
    nft(arm.ns["m"], "table netdev t { chain c { type filter hook ingress device pa priority 0; policy drop; }; }")
    return arm


def make_bridge():
    arm = Arm("bridge")
    arm.bridge()
    return arm


def make_nft():
    arm = Arm("nft")
    arm.bridge()
    nft(arm.ns["m"], """table bridge t { chain c { type filter hook forward priority 0; policy drop;
        ip daddr 192.0.2.10 meta l4proto udp limit rate 4000000/second burst 100000 packets counter accept
        ip saddr 192.0.2.10 meta l4proto tcp limit rate 15/hour counter accept; }; }""")
    arm.tcpdump()
    return arm


def make_nfqueue():
    arm = Arm("nfqueue")
    arm.bridge()
    nft(arm.ns["m"], "table bridge t { chain c { type filter hook forward priority 0; policy accept; queue num 0; }; }")
    p = start(arm.ns["m"], TOOL, "nfqueue", stdout=subprocess.PIPE)
    p.stdout.readline()
    arm.procs.append(p)
    arm.pids.append(p.pid)
    arm.tcpdump()
    return arm


def make_skep():
    arm = Arm("skep")
    p = start(arm.ns["m"], TOOL, "gateway", SKEP, arm.dir, "pa", "pb", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    arm.pids = list(map(int, p.stdout.readline().split()))
    arm.procs.append(p)
    return arm


ARMS = [("bridge", make_bridge), ("nft", make_nft), ("nfqueue", make_nfqueue), ("skep", make_skep), ("skep again", make_skep)]


def one(make, size, count, rate):
    """One arm's figures: sent, received, the sender's CPU-ns, the arm's own."""
    arm = make()
    try:
        arm.measure(size, 5000, 20000)  # warms up
        return arm.measure(size, count, rate)
    finally:
        arm.close()


def main():
    arms = ARMS
    if not has_queue():
        print("this kernel has no nft queue: the arm nfqueue is left out")
        arms = [a for a in ARMS if a[0] != "nfqueue"]
    for label, rate in LOADS.items():
        for size, count in COUNT.items():
            rows = {name: [] for name, _ in arms}
            lost = {name: [] for name, _ in arms}
            for n in range(ROUNDS):
                sent, _, own, _ = one(make_base, size, count, rate)
                base = own / sent
                for name, make in arms[n % len(arms):] + arms[:n % len(arms)]:
                    sent, got, own, cpu = one(make, size, count, rate)
                    lost[name].append(100 * (1 - got / sent))
                    rows[name].append((own - base * sent + cpu) / max(got, 1))
            print(f"\n{label}, {size} bytes, {ROUNDS} rounds of {count}: CPU-ns per delivered frame")
            print(f"{'arm':<11} {'min':>7} {'median':>7} {'max':>7} {'lost %':>7}   times skep (median of the rounds' ratios, range)")
            for name, _ in arms:
                r = [x / y for x, y in zip(rows[name], rows["skep"])]
                print(f"{name:<11} {min(rows[name]):>7.0f} {statistics.median(rows[name]):>7.0f} {max(rows[name]):>7.0f} "
                      f"{statistics.median(lost[name]):>7.2f}   {statistics.median(r):.2f} ({min(r):.2f} - {max(r):.2f})", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
