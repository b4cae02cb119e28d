#!/usr/bin/python3
# SPDX-License-Identifier: ISC
# needs: both uml image:busybox tool:sshpass tool:ssh tool:tcpdump tool:tshark timeout:300
"""The emergency switch: frozen, nothing comes or goes, and all of it is
recorded; thawed, even what was open goes on."""
import collections
import os
import sys
import time

from honeynet import SSH, Net, equal, eventually, main, run, skep, true, two

net = Net(two("freeze", outbound="{tcp: 50/hour, udp: 50/hour, icmp: 50/hour}"), "freeze")
ONE = "192.0.2.11"
here = {"text": ""}


def sends(seconds=2):
    """Lines of an independent witness in the lab: what honeypot one really sends."""
    m = [int(x, 16) for x in net.honeypot("one")["mac"].split(":")]
    local = "fe80::%x:%x:%x:%x" % ((m[0] ^ 2) << 8 | m[1], m[2] << 8 | 0xff, 0xfe00 | m[3], m[4] << 8 | m[5])
    p = net.lab_start("timeout", str(seconds), "tcpdump", "-i", "any", "-n", "-l", "-Q", "in", "--immediate-mode",
                      f"src host {ONE} or src host 2001:db8:2::11 or src host {local}")
    out, _ = p.communicate(timeout=30)
    return [line for line in out.splitlines() if " IP " in line or " IP6 " in line or "ARP" in line]


def test_up():
    """two guests; one of them talks all the time"""
    net.up()
    for address in (ONE, "192.0.2.12"):
        true(eventually(lambda: "root" in net.ssh(address, "id -un", check=False)[1], 20), "no ssh")
    equal([h["frozen"] for h in net.nets()[0]["honeypots"]], [False, False])
    net.ssh(ONE, "(while :; do ping -c 1 -W 1 203.0.113.9; echo x | nc -w 1 203.0.113.9 4444; done) </dev/null >/dev/null 2>&1 &")
    s = here["session"] = net.lab_start("sshpass", "-p", "admin", "ssh", *SSH, "-o", "ServerAliveInterval=0",
                                        f"root@{ONE}", "i=0; while [ $i -lt 2000 ]; do echo tick $i; i=$((i+1)); sleep 0.2; done")
    os.set_blocking(s.stdout.fileno(), False)
    true(eventually(lambda: "tick 3" in ticks(), 20), "the session does not run")
    true(sends(), "the witness sees nothing")


def ticks():
    fd = here["session"].stdout.fileno()
    try:
        here["text"] += os.read(fd, 65536).decode(errors="replace")
    except BlockingIOError:
        pass
    return here["text"]


def test_freeze():
    """frozen: the open session stalls, nothing leaves, no ping and no ARP is answered"""
    _, out = skep("freeze", "one")
    true("one is frozen" in out, out)
    time.sleep(0.3)
    ticks()
    before = ticks()
    equal(sends(3), [], "what got out")
    equal(ticks(), before, "the session goes on")
    status, _ = net.lab("ping", "-c", "1", "-W", "1", ONE, check=False)
    true(status != 0, "a frozen honeypot answered")
    true(net.lab("ping", "-c", "1", "-W", "2", "192.0.2.12", check=False)[0] == 0, "the other one is cut too")
    equal({h["name"]: h["frozen"] for h in net.nets()[0]["honeypots"]}, {"one": True, "two": False})
    equal(net.state("one"), "running")
    _, out = skep("freeze", "one")
    true("already" in out, out)


def test_up_does_not_thaw():
    """up, and a reset, leave it frozen"""
    net.up()
    equal(net.honeypot("one")["frozen"], True)
    skep("freeze", "two")
    skep("reset", "two", timeout=120)
    equal(net.honeypot("two")["frozen"], True)
    status, _ = net.lab("ping", "-c", "2", "-W", "1", "192.0.2.12", check=False)
    true(status != 0, "a reset thawed it")
    skep("thaw", "two")
    true(eventually(lambda: net.lab("ping", "-c", "1", "-W", "1", "192.0.2.12", check=False)[0] == 0, 20), "thaw does not help")


def test_thaw():
    """thawed: the very same session goes on where it was"""
    before = ticks().count("tick")
    _, out = skep("thaw", "one")
    true("thawed" in out, out)
    # TCP waits longer and longer between its tries.
    true(eventually(lambda: ticks().count("tick") > before + 5, 90), f"the session stays dead: {ticks()[-200:]}")
    numbers = [int(line.split()[1]) for line in ticks().splitlines()[:-1] if line.startswith("tick ")]
    equal(numbers, list(range(len(numbers))), "lines of the session")
    true(sends(), "nothing leaves after thaw")


def test_honeynet():
    """the whole honeynet at once, also through a new gateway"""
    skep("freeze", "freeze")
    equal([h["frozen"] for h in net.nets()[0]["honeypots"]], [True, True])
    equal(sends(), [], "what got out")
    os.kill(net.nets()[0]["gateway_pid"], 9)
    true(eventually(lambda: net.nets()[0]["gateway_pid"] == 0, 10), "the gateway lives")
    net.up()
    equal(net.nets()[0]["frozen"], True)
    status, _ = net.lab("ping", "-c", "2", "-W", "1", ONE, check=False)
    true(status != 0, "a new gateway thawed it")
    skep("thaw", "freeze")
    true(eventually(lambda: net.lab("ping", "-c", "1", "-W", "1", ONE, check=False)[0] == 0, 20), "thaw does not help")


def test_recorded():
    """what was dropped is recorded as frozen, both ways, ARP too; and who froze it"""
    pcap = net.dir / "all.pcapng"
    skep("pcap", net.name, "-w", pcap)
    _, out = run(["tshark", "-r", pcap, "-T", "fields", "-e", "ip.src", "-e", "ip.dst", "-e", "arp.opcode", "-e", "frame.comment"],
                 timeout=120)
    seen = collections.Counter()
    for line in out.splitlines():
        if "reason=frozen" not in line:
            continue
        true("verdict=drop" in line, line)
        src, dst, arp = line.split("\t")[:3]
        seen["from" if src == ONE else "to" if dst == ONE else "arp" if arp else "other"] += 1
    true(seen["from"] and seen["to"] and seen["arp"], seen)
    print(f"# recorded as frozen: {dict(seen)}")
    told = [e["policy"] for e in net.events() if e["event_type"] == "policy" and
            e["policy"]["eventid"] in ("skep.policy.frozen", "skep.policy.thawed")]
    equal([(e["eventid"].rsplit(".", 1)[1], e.get("honeypot")) for e in told],
          [("frozen", "one"), ("frozen", "two"), ("thawed", "two"), ("thawed", "one"), ("frozen", None), ("thawed", None)])
    equal({e["uid"] for e in told}, {os.getuid()}, "who did it")


if __name__ == "__main__":
    try:
        code = main([test_up, test_freeze, test_up_does_not_thaw, test_thaw, test_honeynet, test_recorded])
    finally:
        net.end()
    sys.exit(code)
