#!/usr/bin/python3
# SPDX-License-Identifier: ISC
# needs: root uml image:busybox timeout:900
"""From `skep up` to an answer of ssh, and memory per honeypot, for 1, 8 and 32
User Mode Linux honeypots. Prints a table for docs/measurements.md."""
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scenario"))
from honeynet import SKEP, Net  # noqa: E402

HEAD = """honeynet: many
networks: {lan: {v4: 192.0.2.0/24}}
uplink: {lab: [203.0.113.0/24]}
evidence: {ring: 1M, min-free: 16M}
honeypots:
"""
# Runs in the lab: tries every address until each has sent its ssh banner.
PROBE = """
import socket, sys, time
left = sys.argv[1:]
end = time.monotonic() + 240
while left and time.monotonic() < end:
    for a in list(left):
        try:
            s = socket.create_connection((a, 22), 0.3)
            s.settimeout(2)
            if s.recv(8).startswith(b"SSH-"):
                print(a, time.clock_gettime(time.CLOCK_REALTIME), flush=True)
                left.remove(a)
            s.close()
        except OSError:
            time.sleep(0.01)
"""


def measure(n):
    text = HEAD + "".join(f"  hp{i}: {{image: busybox, address: 192.0.2.{10 + i}, memory: 64M}}\n" for i in range(n))
    with Net(text, "many") as net:
        began = time.clock_gettime(time.CLOCK_REALTIME)
        up = subprocess.Popen([SKEP, "up", "-q", str(net.file)], stdout=subprocess.DEVNULL)
        addresses = [f"192.0.2.{10 + i}" for i in range(n)]
        probe = None
        while probe is None or (probe.poll() not in (None, 0)):
            probe = subprocess.Popen([SKEP, "lab", "many", "--", sys.executable, "-c", PROBE, *addresses],
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            time.sleep(0.05)
        out, _ = probe.communicate(timeout=300)
        if up.wait() != 0:
            raise SystemExit(f"up with {n} honeypots failed")
        done = time.clock_gettime(time.CLOCK_REALTIME)
        answers = sorted(float(line.split()[1]) - began for line in out.splitlines())
        time.sleep(2)
        pss = sorted(h["pss"] for h in net.nets()[0]["honeypots"])
        return answers, done - began, pss


def main():
    print(f"{'honeypots':>9} {'answering':>9} {'first s':>8} {'median s':>8} {'last s':>8} {'PSS median MiB':>14}")
    for n in (1, 8, 32):
        answers, _, pss = measure(n)
        print(f"{n:>9} {len(answers):>9} {answers[0]:>8.2f} {answers[len(answers) // 2]:>8.2f} {answers[-1]:>8.2f} "
              f"{pss[len(pss) // 2] / 2**20:>14.1f}", flush=True)


if __name__ == "__main__":
    main()
