#!/usr/bin/python3
# SPDX-License-Identifier: ISC
# needs: both uml image:busybox tool:sshpass tool:ssh tool:tcpdump tool:tshark timeout:400
"""What happens when something happens: a keyword freezes, a program tightens, an
operator is told; the machine is paused, its policy changed and it goes on with
its connections; and policies change under a guest's flood."""
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time

from honeynet import SSH, Net, equal, eventually, main, run, skep, true, two

ONE, TWO = "192.0.2.11", "192.0.2.12"
SERVER = "203.0.113.9"
PAUSE = int(os.environ.get("SKEP_PAUSE", "15"))  # 60: as long as an administrator needs

# Where the notify process, which is nobody if root began, can write.
there = pathlib.Path(tempfile.mkdtemp(prefix="skep-notices-", dir="/tmp"))
there.chmod(0o777)
notices = there / "notices"

REACT = f"""\
policies:
  shut:
    outbound: {{tcp: 0/hour, udp: 0/hour, icmp: 0/hour}}
triggers:
  - name: botnet
    on: keyword
    match: "JOIN #owned"
    do: [freeze, notify]
    for: 8s
    throttle: 1/minute
  - name: tool
    on: process
    match: telnet
    honeypot: two
    do: [policy shut, notify]
    for: 10s
  - name: dropper
    on: command
    match: "run-the-dropper"
    do: [pause, event]
    for: {PAUSE}s
notify:
  exec: [/bin/sh, -c, 'cat >> {notices}']
  throttle: 20/minute
"""
OUT = "{tcp: 200/hour, icmp: 200/hour}"
net = Net(two("react", outbound=OUT, extra=REACT), "react")

# Plays the server: a PING a second, and what comes back; and whether the connection is established (1).
IRC = r"""
import select, socket, struct, sys, time
s = socket.create_server(("203.0.113.9", 6667))
print("listening", flush=True)
conns, n, last = [], 0, 0
while True:
    ready, _, _ = select.select([s] + conns, [], [], 0.2)
    for r in ready:
        if r is s:
            c, a = s.accept()
            conns.append(c)
            print("accepted", a[1], flush=True)
        else:
            try:
                d = r.recv(4096)
            except OSError as e:
                d = b""
                print("error", e, flush=True)
            if not d:
                print("closed", flush=True)
                conns.remove(r)
            for line in d.decode(errors="replace").splitlines():
                print("got", line, flush=True)
    if time.monotonic() - last >= 1:
        last, n = time.monotonic(), n + 1
        for c in conns:
            try:
                c.sendall(b"PING %d\n" % n)
                state = c.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
                print("ping", n, "state", state[0], "retransmits", state[2], flush=True)
            except OSError as e:
                print("error", e, flush=True)
"""
CLIENT = (f"rm -f /tmp/f; mkfifo /tmp/f; (nc {SERVER} 6667 </tmp/f | while read a b; do "
          "[ \"$a\" = PING ] && echo \"PONG $b\"; done >/tmp/f) >/dev/null 2>&1 </dev/null &")
irc = {"text": ""}


def irc_lines():
    try:
        irc["text"] += os.read(irc["p"].stdout.fileno(), 1 << 20).decode(errors="replace")
    except BlockingIOError:
        pass
    return irc["text"].splitlines()


def pongs():
    return [int(x.split()[2]) for x in irc_lines() if x.startswith("got PONG ")]


def told(eventid):
    return [e for e in net.events() if e.get(e["event_type"], {}).get("eventid") == eventid]


def got():
    if not notices.exists():
        return []
    return [json.loads(line) for line in notices.read_text().splitlines()]


def reaction(name):
    return net.honeypot(name)["reaction"]


def ping(address, count=1):
    return net.lab("ping", "-c", str(count), "-W", "1", address, check=False)[0] == 0


def test_up():
    """two guests, a server in the lab, and a process that tells"""
    net.up()
    for address in (ONE, TWO):
        true(eventually(lambda: "root" in net.ssh(address, "id -un", check=False)[1], 20), "no ssh")
    irc["p"] = net.lab_start("python3", "-u", "-c", IRC)
    os.set_blocking(irc["p"].stdout.fileno(), False)
    true(eventually(lambda: "listening" in irc_lines(), 10), "the server does not listen")
    _, out = run(["ps", "-eo", "user:20,pid,comm"])
    mine = [line for line in out.splitlines() if "skep-notify" in line]
    true(mine, "no notify process")
    true(not any(line.startswith("root ") for line in mine), f"it is root: {mine}")


def test_keyword():
    """a word in a packet: frozen at once, an operator told, thawed by itself"""
    began = time.monotonic()
    # Its session is cut at once, too: nobody waits for its end.
    net.lab_start("sshpass", "-p", "admin", "ssh", *SSH, f"root@{ONE}", f"(echo 'JOIN #owned'; sleep 1) | nc -w 3 {SERVER} 6667")
    true(eventually(lambda: net.honeypot("one")["frozen"], 10), f"not frozen: {irc['text'][-300:]}")
    true(not ping(ONE, 2), "a frozen honeypot answered")
    true(ping(TWO, 2), "the other one is cut too")
    true(1 <= reaction("one")["freeze_left"] <= 8, reaction("one"))
    hit, = told("skep.trigger.keyword")
    equal(hit["trigger"]["honeypot"], "one")
    frozen, = told("skep.policy.frozen")
    print(f"# frozen {hit['timestamp']} {frozen['timestamp']}")
    note = eventually(got, 10)
    true(note, "nobody was told")
    equal((note[0]["trigger"]["name"], note[0]["trigger"]["honeypot"], note[0]["trigger"]["text"], note[0]["trigger"]["actions"]),
          ("botnet", "one", "JOIN #owned", ["notify", "freeze"]))
    true(eventually(lambda: not net.honeypot("one")["frozen"], 20), "not thawed")
    print(f"# thawed after {time.monotonic() - began:.1f} s")
    true(eventually(lambda: ping(ONE), 20), "thaw does not help")
    equal(len(told("skep.policy.thawed")), 1)


def test_process():
    """a program is executed: its honeypot is under another policy, for a time"""
    ask = f"(sleep 3) | nc -w 3 {SERVER} 6667 | head -n 1"
    true("PING" in net.ssh(TWO, ask, check=False)[1], "the own policy lets nothing out")
    net.ssh(TWO, f"telnet {SERVER} 6667 </dev/null >/dev/null 2>&1 &", check=False, timeout=30)
    true(eventually(lambda: reaction("two")["tightened"] == "shut", 10), told("skep.trigger.process"))
    true("PING" not in net.ssh(TWO, ask, check=False)[1], "the tight policy let it out")
    equal(reaction("one")["tightened"], None)
    true("PING" in net.ssh(ONE, ask, check=False)[1], "the other one is tightened as well")
    true(eventually(lambda: any(n["trigger"]["name"] == "tool" for n in got()), 10), "nobody was told")
    true(eventually(lambda: reaction("two")["tightened"] is None, 20), "it stays tightened")
    true(eventually(lambda: "PING" in net.ssh(TWO, ask, check=False)[1], 10), "its own policy does not come back")


def test_suspend():
    """paused with its connection open, the policy changed, resumed: the same connection goes on"""
    net.ssh(ONE, CLIENT)
    true(eventually(lambda: len(pongs()) >= 3, 20), f"no PONG: {irc_lines()[-5:]}")
    accepted = irc["text"].count("accepted")
    # Its session is paused, too: nobody waits for its end.
    net.lab_start("sshpass", "-p", "admin", "ssh", *SSH, f"root@{ONE}", "echo run-the-dropper")
    true(eventually(lambda: net.state("one") == "paused", 10), told("skep.trigger.command"))
    began = time.monotonic()
    held = reaction("one")["held"]
    irc_lines()
    before = pongs()
    # The firewall is adjusted meanwhile: nothing new may leave any more.
    net.write(two("react", outbound="{tcp: 0/hour}", extra=REACT + "\n").replace("policy:\n  outbound: {tcp: 0/hour}",
              "policy:\n  outbound: {tcp: 0/hour}\n  rules:\n    - {name: irc, do: allow, direction: out, protocol: tcp, ports: 6667}"))
    _, out = skep("policy", "apply", net.file)
    true("is in force" in out, out)
    equal(net.state("one"), "paused")
    time.sleep(max(0, PAUSE - 8 - (time.monotonic() - began)))
    equal(net.state("one"), "paused")
    states = [x for x in irc_lines() if x.startswith("ping ")]
    equal(states[-1].split()[3], "1", "the connection's state")
    print(f"# held {held}, {states[-1]}")
    # The other side is answered: it has no reason to repeat itself, and none to give up.
    equal(held, True, "held")
    true(int(states[-1].split()[5]) <= 2, f"nobody answers for the paused machine: {states[-1]}")
    true(len(pongs()) <= len(before) + 2, "a paused machine answered")
    true(eventually(lambda: net.state("one") == "running", 30), "not resumed")
    print(f"# paused for {time.monotonic() - began:.0f} s")
    true(eventually(lambda: len(pongs()) > len(before) + 10, 120), f"the connection is dead: {irc_lines()[-5:]}")
    equal(irc["text"].count("accepted"), accepted, "connections that were made")
    answered = pongs()
    last = answered[-1]
    first = before[0]
    equal(answered[answered.index(first):], list(range(first, last + 1)), "every PING is answered, in order")


def test_refused():
    """what is no policy is for `up`; a file that is wrong changes nothing"""
    text = net.file.read_text()
    net.write(text.replace("memory: 64M", "memory: 96M"))
    status, out = skep("policy", "apply", net.file, check=False)
    true(status != 0 and "memory of one" in out and "skep up" in out, out)
    net.write(text.replace("ports: 6667", "ports: none"))
    status, out = skep("policy", "apply", net.file, check=False)
    true(status != 0, out)
    net.write(text)
    _, out = skep("policy", "apply", "--dry-run", net.file)
    true("nothing was changed" in out, out)


def test_flood():
    """policies change under a guest's flood: not one packet of it leaves, all of it is recorded"""
    tcp = "{tcp: 200/hour, icmp: 0/hour}"
    shut = two("react", outbound=tcp, extra=REACT)
    ruled = shut.replace(f"policy:\n  outbound: {tcp}", "policy:\n  outbound: {tcp: 200/hour, icmp: 1000/hour}\n"
                         "  rules:\n    - {name: no-ping, do: drop, direction: [out, lateral], protocol: icmp}")
    true(ruled != shut, "the file")
    files = [net.dir / "shut.yaml", net.dir / "ruled.yaml"]
    files[0].write_text(shut)
    files[1].write_text(ruled)
    skep("policy", "apply", files[0])
    witness = net.lab_start("timeout", "60", "tcpdump", "-i", "any", "-n", "-l", "-Q", "in", "--immediate-mode", f"icmp[icmptype] == icmp-echo and src host {ONE}")
    before = int(net.nets()[0]["frames_dropped"])
    net.ssh(ONE, f"for i in 1 2 3 4 5; do ping -q -i 0.001 -w 60 {SERVER} </dev/null >/dev/null 2>&1 & done")
    swaps = 0
    end = time.monotonic() + 12
    while swaps < 30 or time.monotonic() < end and swaps < 200:
        skep("policy", "apply", files[(swaps + 1) % 2])
        swaps += 1
    net.ssh(ONE, "killall ping", check=False)
    dropped = int(net.nets()[0]["frames_dropped"]) - before
    witness.terminate()
    out, _ = witness.communicate(timeout=30)
    left = [line for line in out.splitlines() if " IP " in line]
    equal(left, [], "what left")
    true(dropped > 1000, f"the flood was only {dropped} frames")
    pcap = net.dir / "all.pcapng"
    skep("pcap", net.name, "-w", pcap)
    _, out = run(["tshark", "-r", pcap, "-Y", f"ip.src == {ONE} && ip.dst == {SERVER} && icmp.type == 8", "-T", "fields", "-e", "frame.number",
                  "-e", "frame.comment"], timeout=120)
    seen = {}
    for line in out.splitlines():
        if not line[:1].isdigit():  # what tshark says besides
            continue
        key = " ".join(w for w in line.split() if w.startswith(("verdict=", "reason=")))
        seen[key] = seen.get(key, 0) + 1
    true(all(k.startswith("verdict=drop") for k in seen), seen)
    print(f"# {swaps} policies, {sum(seen.values())} frames recorded: {seen}")
    true(len(seen) >= 2, f"only one of the policies met the flood: {seen}")


def test_recorded():
    """all of it is in the evidence: events, and each file that was applied"""
    for eventid in ("skep.trigger.keyword", "skep.trigger.process", "skep.trigger.command", "skep.policy.tightened",
                    "skep.policy.own", "skep.policy.apply", "skep.machine.paused"):
        true(told(eventid), f"no event {eventid}")
    equal(told("skep.notify.failed"), [])
    equal(told("skep.trigger.failed"), [])
    sets = [e["policy"]["message"] for e in told("skep.policy.set")]
    true(any("before" in m for m in sets), sets)
    kept = len(list((net.evidence() / "config").iterdir()))
    true(kept > len(sets) - 2, f"{kept} files are kept of {len(sets)} that were applied")


if __name__ == "__main__":
    try:
        code = main([test_up, test_keyword, test_process, test_suspend, test_refused, test_flood, test_recorded])
    finally:
        net.end()
        shutil.rmtree(there, ignore_errors=True)
    sys.exit(code)
