#!/usr/bin/python3
# SPDX-License-Identifier: ISC
# needs: both tool:tcpdump timeout:300
"""How long `skep policy test` takes for a capture of 1 GB, next to tcpdump, which only copies its packets, in the same
run: the arms take turns, and the ratio is formed inside each round. The file is in the page cache. Peak memory is that
of the largest process."""
import os
import pathlib
import resource
import statistics
import subprocess
import tempfile
import time

SKEP = os.environ.get("SKEP", "build/src/skep")
BUILD = pathlib.Path(os.environ.get("SKEP_BUILD", "build"))
SIZE, ROUNDS = int(os.environ.get("SKEP_BENCH_BYTES", 1_000_000_000)), 5
POLICY = """policy:
  outbound: {tcp: 20/minute, udp: 20/minute, icmp: 20/minute}
  rules:
"""


def run(argv):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout.decode()


def main():
    with tempfile.TemporaryDirectory(prefix="skep-bench-") as tmp:
        cap, policy = pathlib.Path(tmp) / "capture.pcap", pathlib.Path(tmp) / "rules.yaml"
        with cap.open("wb") as f:
            subprocess.run([BUILD / "tests/bench/capture_bench", str(SIZE)], stdout=f, check=True)
        policy.write_text(POLICY + "".join(
            f"    - {{name: r{i}, do: drop, protocol: tcp, ports: {2000 + i}, to: 203.0.{i // 250}.0/24}}\n" for i in range(500)))
        test = [SKEP, "policy", "test", cap, "--policy", "honeywall"]
        for i in range(1, 17):
            test += ["--honeypot", f"192.0.2.{i}"]
        rules = test[:5] + [str(policy)] + test[6:]
        arms = {"tcpdump -r -w /dev/null": ["tcpdump", "-r", cap, "-w", "/dev/null"], "honeywall": test,
                "500 rules": rules, "honeywall against strict": test + ["--against", "strict"]}
        print(run(test)[2].splitlines()[0])  # also warms the cache
        times = {name: [] for name in arms}
        for n in range(ROUNDS):
            names = list(arms)[n % len(arms):] + list(arms)[:n % len(arms)]
            for name in names:
                times[name].append(run(arms[name])[:2])
        base = times["tcpdump -r -w /dev/null"]
        for name, got in times.items():
            wall, cpu = [x[0] for x in got], [x[1] for x in got]
            ratio = statistics.median(a[1] / b[1] for a, b in zip(got, base))
            print(f"{name}: wall median {statistics.median(wall):.2f} s ({min(wall):.2f} to {max(wall):.2f}), "
                  f"CPU median {statistics.median(cpu):.2f} s, {ratio:.2f} x tcpdump's CPU")
        print(f"peak memory {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
