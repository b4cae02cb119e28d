#!/usr/bin/python3
# SPDX-License-Identifier: ISC
# needs: both uml image:busybox tool:sshpass tool:ssh tool:tshark tool:suricata timeout:300
"""Suricata inline: what passes goes through it; its alerts join our flows; drop
rules stop packets; without it nothing passes."""
import json
import os
import signal
import subprocess
import sys
import time

from honeynet import SKEP, Net, equal, eventually, main, run, skep, true, two

RULES = """\
alert tcp any any -> $HOME_NET 22 (msg:"a client called lookhere"; flow:to_server; content:"SSH-2.0-lookhere"; sid:1000001; rev:3; priority:2;)
drop udp any any -> any any (msg:"stop this"; content:"stopthis"; sid:1000002; rev:1;)
"""
TEXT = two("inline") + """\
engine:
  rules: [inline.rules]
"""
net = Net(TEXT.replace("policy:\n", "policy:\n  inspect: inline\n"), "inline")
(net.dir / "inline.rules").write_text(RULES)
seen = {}


def engine():
    return json.loads(skep("rules", net.name, "--json")[1])[0]


def packets(display):
    file = net.dir / "all.pcapng"
    file.unlink(missing_ok=True)
    skep("pcap", net.name, "-w", file)
    _, out = run(["tshark", "-r", file, "-T", "fields", "-e", "frame.interface_name", "-e", "frame.comment", "-Y", display],
                 timeout=120)
    return [line.split("\t") for line in out.splitlines() if "verdict=" in line]


def lab_python(code, *args, **kw):
    return net.lab("python3", "-c", code, *args, **kw)


def udp(payload):
    lab_python("import socket,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
               "s.sendto(sys.argv[1].encode(),('192.0.2.11',9999))", payload)


def hello():
    """A client with this banner; its own address and port."""
    return lab_python("import socket\ns=socket.create_connection(('192.0.2.11',22),10)\n"
                      "s.recv(100)\ns.sendall(b'SSH-2.0-lookhere\\r\\n')\nimport time;time.sleep(1)\n"
                      "print('from', *s.getsockname())")[1].split("from ")[1].split()


def works():
    return "root" in net.ssh("192.0.2.11", "id -un", check=False, timeout=40)[1]


def test_up():
    """guests behind the engine answer, and every frame went through it"""
    net.up()
    true(eventually(works, 30), "no ssh")
    e = engine()
    equal(e["state"], "running", e)
    equal(e["mode"], "inline", e)
    equal((e["loaded"], e["failed"]), (2, 0), e)
    true(e["version"].startswith("7."), e)
    true(e["frames_given"] > 20 and e["frames_back"] >= e["frames_given"] - 5, e)
    # None that the uplink brought in for port 22 went straight to the honeypot.
    rows = [r for r in packets("tcp.dstport==22") if r[0].startswith("uplink")]
    true(rows and all("out=engine-out" in r[1] for r in rows), rows[:5])
    back = [r for r in packets("tcp.dstport==22") if r[0] == "engine-in"]
    true(back and all("reason=engine" in r[1] and "out=one" in r[1] for r in back), back[:5])


def test_alert():
    """an alert is an event with our flow and the community id of the conversation"""
    source = hello()
    found = eventually(lambda: [x for x in net.events() if x.get("event_type") == "alert" and
                                x["alert"]["signature_id"] == 1000001 and x["src_port"] == int(source[1])], 15, 0.5)
    true(found, "no alert")
    a = found[0]
    equal(a["src_ip"], source[0])
    equal(a["src_port"], int(source[1]))
    equal(a["dest_ip"], "192.0.2.11")
    equal(a["alert"]["signature"], "a client called lookhere")
    equal((a["alert"]["rev"], a["alert"]["severity"], a["alert"]["action"]), (3, 2, "allowed"))
    equal(a["skep"]["honeypot"], "one")
    true(a["community_id"].startswith("1:"), a)
    ours = packets(f"tcp.port=={source[1]}")
    true(ours and any(f"flow={a['flow_id']}" in r[1] for r in ours), (a, ours[:3]))
    flow = eventually(lambda: [x for x in net.events() if x.get("event_type") == "flow" and x.get("flow_id") == a["flow_id"]], 40, 1)
    true(flow, "its flow has no record")
    equal(flow[0]["community_id"], a["community_id"])


def test_drop():
    """a drop rule stops the packet; another one passes"""
    udp("gothrough")
    udp("stopthis")
    found = eventually(lambda: [x for x in net.events() if x.get("event_type") == "alert" and
                                x["alert"]["signature_id"] == 1000002], 15, 0.5)
    true(found, "no alert")
    equal(found[0]["alert"]["action"], "blocked")
    time.sleep(3)
    rows = packets('udp.dstport==9999 && frame contains "gothrough"')
    true(any(r[0] == "engine-in" and "out=one" in r[1] for r in rows), rows)
    rows = packets('udp.dstport==9999 && frame contains "stopthis"')
    true(any(r[0].startswith("uplink") for r in rows), rows)
    true(not any(r[0] == "engine-in" for r in rows), rows)
    true(engine()["frames_kept"] >= 1, engine())


def test_kill():
    """killed: nothing passes unjudged; started again: it goes on"""
    before = engine()
    true(before["pid"] > 0, before)
    os.kill(before["pid"], signal.SIGKILL)
    for i in range(20):
        udp("afterdeath%02d" % i)
    after = eventually(lambda: (lambda e: e if e["state"] == "running" and e["starts"] > before["starts"] else None)(engine()), 30, 0.5)
    true(after, engine())
    true(after["pid"] != before["pid"], after)
    true(eventually(works, 30), "no ssh after the restart")
    rows = packets('frame contains "afterdeath"')
    down = [r for r in rows if "reason=engine-down" in r[1]]
    straight = [r for r in rows if r[0].startswith("uplink") and "verdict=forward" in r[1] and "out=engine-out" not in r[1]]
    true(down, rows)
    equal(straight, [], "frames that went past the engine")
    kinds = {x["engine"]["eventid"] for x in net.events() if x.get("event_type") == "engine"}
    true({"skep.engine.up", "skep.engine.down"} <= kinds, kinds)


def test_bad_rules():
    """rules that cannot be loaded are told, line by line"""
    bad = net.dir / "bad.rules"
    bad.write_text("# nothing\nalert bogus any any -> any any (msg:\"x\"; sid:9;)\n#alert tcp any any -> any any (msg:\"off\"; sid:10;)\n")
    status, out = skep("rules", "check", bad, check=False)
    equal(status, 1, out)
    true("bad.rules:2: " in out and "0 loaded, 1 failed, 1 disabled" in out, out)
    net.write(TEXT.replace("policy:\n", "policy:\n  inspect: inline\n").replace("inline.rules", "missing.rules"))
    status, out = net.up(check=False)
    true(status != 0 and "missing.rules" in out, out)


FORWARDER = """
import socket, select, sys
a, b = [socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) for _ in range(2)]
a.bind(("left", 0)); b.bind(("right", 0))
for s in (a, b): s.setsockopt(263, 23, 1)  # SOL_PACKET, PACKET_IGNORE_OUTGOING
print("forwarding", flush=True)
while True:
    for s in select.select([a, b], [], [])[0]:
        f = s.recv(65536)
        if b"badword" in f and f[23] == 17:
            f = f[:40] + b"\\0\\0" + f[42:].replace(b"badword", b"goodwrd")
        (b if s is a else a).send(f)
"""


def test_appliance():
    """any appliance between two interfaces: nothing passes without it, and it may change payloads"""
    text = two("inline") + "engine:\n  interfaces: [left, right]\n"
    net.write(text.replace("policy:\n", "policy:\n  inspect: inline\n"))
    net.up()
    status, _ = net.lab("ping", "-c", "1", "-W", "2", "192.0.2.11", check=False)
    true(status != 0, "it answers without an appliance")
    p = subprocess.Popen([SKEP, "lab", net.name, "--engine", "--", "python3", "-c", FORWARDER], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)
    net.procs.append(p)
    line = p.stdout.readline()
    true("forwarding" in line, line)
    true(eventually(works, 30), "no ssh through the appliance")
    udp("a badword here")
    time.sleep(1)
    rows = packets('frame contains "a badword here" && !icmp')
    true(rows and all(r[0].startswith("uplink") for r in rows), rows)
    rows = packets('frame contains "a goodwrd here" && !icmp')
    true(rows and all(r[0] == "engine-in" and "verdict=rewrite" in r[1] and "out=one" in r[1] for r in rows), rows)
    p.kill()
    p.wait()
    status, _ = net.lab("ping", "-c", "1", "-W", "2", "192.0.2.11", check=False)
    true(status != 0, "it answers without an appliance")


if __name__ == "__main__":
    try:
        code = main([test_up, test_alert, test_drop, test_kill, test_bad_rules, test_appliance])
    finally:
        net.end()
    sys.exit(code)
