#!/usr/bin/python3
# SPDX-License-Identifier: ISC
# needs: root uml image:busybox tool:sshpass tool:ssh tool:tcpdump timeout:300
"""A honeypot's names are resolved by the operator's resolver whatever server it
asks; what is no plain question, or too many names, goes nowhere."""
import sys
import time

from honeynet import Net, equal, eventually, main, true, two

POLICY = """{tcp: 3/hour, udp: 100/hour, icmp: 3/hour}
  dns: {resolver: 203.0.113.53, queries: 60/minute, names: 8/hour, label-length: 40, entropy: 3.8, types: [A, AAAA], answer-size: 512}"""
net = Net(two("dns", outbound=POLICY), "dns")
state = {}

# Answers every question with 203.0.113.99, and says which it got.
SERVER = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("203.0.113.53", 53))
while True:
    q, who = s.recvfrom(2048)
    end = q.index(b"\\0", 12) + 5
    name = q[12:end - 4].decode("latin-1")
    print(repr(name), flush=True)
    a = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4" + bytes([203, 0, 113, 99])
    one = q[end - 4:end - 2] == b"\\0\\1"
    s.sendto(q[:2] + b"\\x81\\x80\\0\\1" + (b"\\0\\1" if one else b"\\0\\0") + b"\\0\\0\\0\\0" + q[12:end] + (a if one else b""), who)
"""


def lookup(name, server="198.51.100.9", kind="a"):
    return net.ssh("192.0.2.11", f"timeout 3 nslookup -type={kind} {name} {server}; true", timeout=30)[1]


def test_up():
    """a guest, and a policy with a resolver"""
    net.up()
    true(eventually(lambda: "root" in net.ssh("192.0.2.11", "id -un", check=False)[1], 20), "no ssh")
    state["server"] = net.lab_start("python3", "-c", SERVER)
    state["witness"] = net.lab_start("tcpdump", "-i", "any", "-n", "-l", "-Q", "in", "--immediate-mode", "port 53 and src 192.0.2.11")
    time.sleep(1)


def test_resolver():
    """whatever server it asks, the operator's answers under that one's address"""
    for server in ("198.51.100.9", "203.0.113.200"):
        out = lookup("www.example.org", server)
        true("203.0.113.99" in out and server in out, out)


def test_refused():
    """other types, data in names and a stream to port 53 go nowhere"""
    for name, kind in (("www.example.org", "txt"), ("mfzwizltoq2gk43uojuw4zzamfzsa.example.org", "a"),
                       ("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz.example.org", "a")):
        out = lookup(name, kind=kind)
        true("203.0.113.99" not in out, out)
    _, out = net.ssh("192.0.2.11", "nc -w 2 203.0.113.53 53 </dev/null && echo open; true", timeout=30)
    true("open" not in out, out)


def test_many_names():
    """eight names below one domain an hour, and no more"""
    net.ssh("192.0.2.11", "for i in $(seq 1 20); do timeout 2 nslookup -type=a x$i.example.net 198.51.100.9; done >/dev/null 2>&1; true", timeout=90)
    asked = {e["dns"]["rrname"] for e in net.events() if e["event_type"] == "dns" and e["dns"]["type"] == "query"
             and e["skep"]["verdict"] != "drop" and e["dns"]["rrname"].endswith(".example.net")}
    equal(len(asked), 8, f"names that were let out {sorted(asked)}")


def test_witness():
    """only the resolver was asked, and only what was let through"""
    time.sleep(1)
    w, server = state["witness"], state["server"]
    w.terminate()
    out, _ = w.communicate(timeout=20)
    asked = [line for line in out.splitlines() if " > " in line and " IP " in line]
    true(asked and all(" > 203.0.113.53.53:" in line for line in asked), out)
    true(not any("TXT" in line or "mfzwizl" in line for line in asked), out)
    server.kill()


def test_evidence():
    """questions and answers are in the evidence, the refused ones too"""
    dns = [e for e in net.events() if e["event_type"] == "dns"]
    answers = [e for e in dns if e["dns"]["type"] == "answer" and e["dns"]["rrname"] == "www.example.org"]
    true(len(answers) >= 2, dns)
    equal({e["dest_ip"] for e in answers}, {"198.51.100.9", "203.0.113.200"}, "servers as the honeypot saw them")
    equal(answers[0]["dns"]["grouped"]["A"], ["203.0.113.99"], "answer")
    true(all(e["skep"]["resolver"] for e in answers), answers)
    reasons = {e["skep"]["reason"] for e in dns if e["skep"]["verdict"] == "drop"}
    true({"dns-tunnel", "dns-limit"} <= reasons, reasons)


if __name__ == "__main__":
    try:
        code = main([test_up, test_resolver, test_refused, test_many_names, test_witness, test_evidence])
    finally:
        net.end()
    sys.exit(code)
