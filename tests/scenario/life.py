#!/usr/bin/python3
# SPDX-License-Identifier: ISC
# needs: both uml image:busybox tool:sshpass tool:ssh tool:nmap tool:tshark timeout:400
"""The life of a honeynet, as its operator and as an intruder see it."""
import json
import os
import pathlib
import re
import subprocess
import sys
import time

from honeynet import SKEP, SSH, Net, alive, equal, eventually, family, main, run, skep, true, two

net = Net(two("life"), "life")
seen = {}


def test_up():
    """up starts two guests and says so"""
    began = time.monotonic()
    _, out = net.up()
    seen["up"] = time.monotonic() - began
    true("2 honeypots" in out, out)
    equal({h["name"]: h["state"] for h in net.nets()[0]["honeypots"]}, {"one": "running", "two": "running"})


def test_ssh():
    """an intruder logs in with ssh, over IPv4 and IPv6"""
    for address in ("192.0.2.11", "2001:db8:2::12"):
        name = "one" if "." in address else "two"

        def inside():
            status, out = net.ssh(address, "id -un; hostname", check=False)
            return status == 0 and "root" in out and name in out
        true(eventually(inside, 20), net.ssh(address, "id -un; hostname", check=False))


def test_ping_scan():
    """an ordinary network scan finds both, and nobody else"""
    _, out = net.lab("nmap", "-n", "-sn", "--disable-arp-ping", "--max-retries", "1", "192.0.2.8-15")
    equal(sorted(re.findall(r"report for (\S+)", out)), ["192.0.2.11", "192.0.2.12"], out)


def test_jail():
    """every thread of every VMM is confined, and holds only its own fds"""
    _, out = skep("ps", net.name, "-v", "--json")
    entry = json.loads(out)["honeynets"][0]
    threads = [t for t in entry["threads"] if t["command"].startswith("linux.uml")]
    true(len(threads) >= 4, entry)
    for t in threads:
        equal((t["seccomp"], t["no_new_privs"]), (2, 1), str(t))
        equal(int(str(t["capbnd"]), 16), 0, str(t))
    for h in entry["honeypots"]:
        want = {"userns", "mounts", "pidns", "netns", "landlock", "seccomp", "caps"}
        true(want <= set(h["jail"]), h)


def test_up_again():
    """up on a running honeynet changes nothing"""
    before = net.honeypot("one")["vmm_pid"]
    net.up()
    equal(net.honeypot("one")["vmm_pid"], before)


def test_pause():
    """a paused guest answers nothing; its open ssh session goes on after resume"""
    s = net.lab_start("sshpass", "-p", "admin", "ssh", *SSH, "root@192.0.2.11",
                      "echo before; sleep 3; echo after")
    line = s.stdout.readline()
    while line and "before" not in line:
        line = s.stdout.readline()
    true(line, "no session")
    skep("pause", "one")
    equal(net.state("one"), "paused")
    status, _ = net.lab("ping", "-c", "1", "-W", "2", "192.0.2.11", check=False)
    true(status != 0, "a paused guest answered a ping")
    time.sleep(2)
    skep("resume", "one")
    equal(net.state("one"), "running")
    out, _ = s.communicate(timeout=30)
    true("after" in out, out)


def test_console():
    """the console shows the boot, takes a login, and keeps a scroll-back"""
    p = subprocess.Popen([SKEP, "console", "one", "--raw", "--wait", "2s"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, bufsize=0)
    os.set_blocking(p.stdout.fileno(), False)
    got = bytearray()

    def until(word, seconds=15):
        def more():
            got.extend(p.stdout.read() or b"")
            return word in got
        true(eventually(more, seconds), f"{word!r} is not in {bytes(got)!r}")

    until(b"login:")
    for answer, prompt in ((b"root", b"assword:"), (b"admin", b"# "), (b"uname -s; echo con''sole", b"console")):
        p.stdin.write(answer + b"\n")
        until(prompt)
    p.stdin.write(b"exit\n")
    p.stdin.close()
    p.wait(timeout=30)
    true(b"Linux" in got, bytes(got))
    _, again = run([SKEP, "console", "one", "--readonly", "--wait", "1s"], timeout=60)
    true("con''sole" in again, "nothing was kept: " + again)

    def kept():
        files = [f for f in (net.evidence() / "console").rglob("*") if f.is_file()]
        return any(b"login" in f.read_bytes() for f in files) and any(b"uname" in f.read_bytes() for f in files)
    true(eventually(kept, 5), "the console is not in the evidence")


def test_reset():
    """reset brings the clean image back, running"""
    net.ssh("192.0.2.12", "echo owned > /root/owned; sync")
    net.ssh("192.0.2.12", "cat /root/owned")
    skep("reset", "two", timeout=120)
    equal(net.state("two"), "running")
    got = eventually(lambda: "clean" in net.ssh("192.0.2.12", "test -e /root/owned || echo clean", check=False)[1], 20)
    true(got, "the file is still there")


def test_stop_start():
    """stop and start keep the disk"""
    net.ssh("192.0.2.12", "echo kept > /root/kept; sync")
    skep("stop", "two", timeout=60)
    equal(net.state("two"), "stopped")
    skep("start", "two", timeout=120)
    got = eventually(lambda: "kept" in net.ssh("192.0.2.12", "cat /root/kept", check=False)[1], 20)
    true(got, "the file is gone")


def test_difference():
    """up with a changed file changes only what differs"""
    before = net.honeypot("one")["vmm_pid"]
    text = two("life", outbound="{tcp: 5/hour, udp: 3/hour, icmp: 3/hour}")
    net.write(text.replace("  two:\n    image: busybox\n    address: [192.0.2.12, 2001:db8:2::12]\n    memory: 64M\n", ""))
    net.up()
    equal([h["name"] for h in net.nets()[0]["honeypots"]], ["one"])
    equal(net.honeypot("one")["vmm_pid"], before)
    net.write(two("life"))
    net.up()
    equal(sorted(h["name"] for h in net.nets()[0]["honeypots"]), ["one", "two"])


def test_identity():
    """two honeypots differ: host name, ssh host key, MAC"""
    keys = set()
    for address in ("192.0.2.11", "192.0.2.12"):
        out = eventually(lambda: net.lab("ssh-keyscan", "-T", "5", address, check=False)[1], 20)
        found = re.findall(r"(ssh-\S+|ecdsa-\S+) (\S{40,})", out)
        true(found, out)
        keys |= {k for _, k in found}
    true(len(keys) >= 2, "both have one key")
    true(net.honeypot("one")["mac"] != net.honeypot("two")["mac"], "both have one MAC")


def test_readers():
    """events, flows and pcap read the evidence; it opens in tshark"""
    _, flows = skep("flows", net.name)
    true("192.0.2.11" in flows, flows)
    events = net.events()
    true(any(e["event_type"] == "flow" for e in events), "no flow event")
    true(any(e["event_type"] == "machine" for e in events), "no machine event")
    pcap = net.dir / "all.pcapng"
    skep("pcap", net.name, "-w", pcap)
    _, out = run(["tshark", "-r", pcap, "-T", "fields", "-e", "frame.comment", "-Y", "tcp.port==22"], timeout=120)
    true("verdict=forward" in out, out[:500])


def test_down():
    """down leaves no process, and the evidence stays"""
    entry = net.nets()[0]
    pids = family(entry["priv_pid"])
    true(len(pids) >= 6, pids)
    net.down()
    left = eventually(lambda: not [p for p in pids if alive(p)], 10)
    true(left, f"left behind: {[p for p in pids if alive(p)]}")
    true(not list((pathlib.Path(os.environ['SKEP_STATE']) / "run").glob("*/ctl")), "a control socket is left")
    _, out = net.down()
    true("not" in out, out)
    true(list(net.evidence().rglob("*.pcapng")), "no packets kept")
    net.events()


if __name__ == "__main__":
    try:
        code = main([test_up, test_ssh, test_ping_scan, test_jail, test_up_again, test_pause, test_console, test_reset, test_stop_start,
                     test_difference, test_identity, test_readers, test_down])
    finally:
        net.end()
    sys.exit(code)
