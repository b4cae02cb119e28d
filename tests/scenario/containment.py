#!/usr/bin/python3
# SPDX-License-Identifier: ISC
# needs: both uml image:busybox tool:sshpass tool:ssh tool:tshark timeout:300
"""What leaves a honeypot is at most what its policy says, exactly, and every
frame is in the evidence with its verdict."""
import collections
import sys
import time

from honeynet import Net, equal, eventually, main, true, two

# Three of each class an hour; nothing between honeypots.
net = Net(two("contain", outbound="{tcp: 3/hour, udp: 2/hour, icmp: 1/hour}"), "contain")
packets = {}
frames = net.recorded


def sniff():
    """What really reaches the outside, by an independent witness in the lab."""
    p = net.lab_start("tcpdump", "-i", "any", "-n", "-l", "-Q", "in", "--immediate-mode",
                      "src 192.0.2.11 or src 192.0.2.12")
    time.sleep(1)
    return p


def test_up():
    """two guests, a policy of three connections"""
    net.up()
    true(eventually(lambda: "root" in net.ssh("192.0.2.11", "id -un", check=False)[1], 20), "no ssh")
    packets["witness"] = sniff()


def test_download():
    """a download out of the guest works: it is within the limits"""
    server = net.lab_start("sh", "-c", "cd /tmp && exec python3 -m http.server --bind 203.0.113.80 80")
    time.sleep(1)
    _, out = net.ssh("192.0.2.11", "wget -q -O /dev/null http://203.0.113.80/ && echo fetched")
    true("fetched" in out, out)
    server.kill()


def test_scan():
    """a scan of forty addresses: two more connections leave, the rest does not"""
    net.ssh("192.0.2.11", "for i in $(seq 100 139); do nc -w 1 203.0.113.$i 4444 </dev/null & done; wait; true", timeout=120)
    net.ssh("192.0.2.11", "for i in $(seq 1 20); do timeout 2 nslookup -type=a example.com 203.0.113.$i & done >/dev/null 2>&1; wait; true", timeout=120)
    net.ssh("192.0.2.11", "for i in $(seq 1 10); do ping -c 1 -W 1 203.0.113.$i & done; wait; true", timeout=120)


def test_lateral():
    """nothing passes between honeypots without a rule"""
    _, out = net.ssh("192.0.2.11", "nc -w 2 192.0.2.12 22 </dev/null; ping -c 1 -W 2 192.0.2.12; true", timeout=60)
    true("SSH-" not in out and " 0% packet loss" not in out, out)


def test_spoof():
    """frames with another's address or MAC do not pass"""
    net.ssh("192.0.2.11", "ip addr add 192.0.2.99/24 dev eth0; ping -c 2 -W 1 -I 192.0.2.99 203.0.113.5; "
            "ip addr del 192.0.2.99/24 dev eth0; true", timeout=60)
    net.ssh("192.0.2.12", "(sleep 1; ip link set eth0 down; ip link set eth0 address 02:00:00:00:00:01; ip link set eth0 up; "
            "ping -c 3 -W 1 203.0.113.9) </dev/null >/dev/null 2>&1 & true", timeout=60)
    time.sleep(5)
    status, _ = net.lab("ping", "-c", "1", "-W", "1", "192.0.2.12", check=False)
    true(status != 0, "it answers with a foreign MAC")


def test_witness():
    """the witness outside saw exactly what the policy lets out"""
    w = packets["witness"]
    time.sleep(1)
    w.terminate()
    out, _ = w.communicate(timeout=20)
    syn, udp, icmp = set(), set(), set()
    for line in out.splitlines():
        if " IP " not in line or " > " not in line:
            continue
        left, right = line.split(" IP ", 1)[1].split(": ", 1)
        src, dst = left.split(" > ")
        if "Flags [S]" in right:
            syn.add((src, dst))
        elif dst.endswith(".53"):
            udp.add((src, dst))
        elif "echo request" in right:
            icmp.add((src, dst))
        true(not src.startswith("192.0.2.99"), "a spoofed address got out: " + line)
    equal(len(syn), 3, f"TCP connections that left {sorted(syn)}")
    equal(len(udp), 2, f"UDP conversations that left {sorted(udp)}")
    equal(len(icmp), 1, f"pings that left {sorted(icmp)}")


def test_recorded():
    """what was stopped is recorded with its reason"""
    time.sleep(1)
    dropped = collections.Counter(f[3]["reason"] for f in frames("ip.src==192.0.2.11") if f[3]["verdict"] == "drop")
    true(dropped["limit-tcp"] >= 38, dropped)
    true(dropped["limit-udp"] >= 18, dropped)
    true(dropped["limit-icmp"] >= 9, dropped)
    true(dropped["denied-lateral"] + dropped["limit-tcp"] + dropped["limit-icmp"] > 0, dropped)
    true(any(f[3]["reason"] == "spoofed-mac" for f in frames("eth.src==02:00:00:00:00:01")), "the foreign MAC is not recorded")
    true(any(f[3]["reason"] in ("spoofed-address", "spoofed-arp") for f in frames("ip.src==192.0.2.99 || arp.src.proto_ipv4==192.0.2.99")),
         "the spoofed frames are not recorded")


def test_counts():
    """frames in the evidence / frames forwarded = 1.000"""
    def quiet():
        # Between two equal readings of the gateway's counters nothing came in.
        before = net.nets()[0]
        time.sleep(0.5)
        rows = frames("frame")
        after = net.nets()[0]
        return (after, rows) if before["frames_in"] == after["frames_in"] else None
    found = eventually(quiet, 20)
    true(found, "the network does not come to rest")
    count, rows = found
    forwarded = sum(1 for r in rows if r[3]["verdict"] == "forward")
    print(f"# in the evidence / came in: {len(rows)}/{count['frames_in']}; "
          f"forwarded: {forwarded}/{count['frames_forwarded']} = {forwarded / count['frames_forwarded']:.3f}")
    equal(len(rows), count["frames_in"], "recorded")
    equal(forwarded, count["frames_forwarded"], "recorded as forwarded")
    equal(count["frames_in"], count["frames_forwarded"] + count["frames_dropped"], "in = forwarded + dropped")


if __name__ == "__main__":
    try:
        code = main([test_up, test_download, test_scan, test_lateral, test_spoof, test_witness, test_recorded, test_counts])
    finally:
        net.end()
    sys.exit(code)
