#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Writes the captures of the cases in this folder: make.py DIR. The honeypot is 192.0.2.10 (and .11), the router has the other MAC, the world is 198.51.100.0/24."""
import ipaddress
import pathlib
import struct
import sys

POT, POT2, OUT = bytes.fromhex("525400000010"), bytes.fromhex("525400000011"), bytes.fromhex("020000000001")
START = 1_767_607_200  # Monday, 2026-01-05 10:00:00 UTC
SYN, ACK, SYNACK, PSH, FIN, RST = 2, 16, 18, 24, 17, 4


def total(data):
    if len(data) % 2:
        data += b"\0"
    n = sum(struct.unpack(f">{len(data) // 2}H", data))
    while n >> 16:
        n = (n & 0xffff) + (n >> 16)
    return n


def ip(src, dst, proto, body, ident=1):
    a, b = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    if a.version == 6:
        return struct.pack(">IHBB", 6 << 28, len(body), proto, 64) + a.packed + b.packed + body
    h = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), ident, 0x4000, 64, proto, 0) + a.packed + b.packed
    return h[:10] + struct.pack(">H", 0xffff - total(h)) + h[12:] + body


def transport(src, dst, proto, body, at, partial=False):
    a, b = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    pseudo = a.packed + b.packed + struct.pack(">II", len(body), proto)
    s = total(pseudo) if partial else 0xffff - total(pseudo + body)
    return ip(src, dst, proto, body[:at] + struct.pack(">H", s) + body[at + 2:])


def tcp(src, sport, dst, dport, flags, data=b"", seq=1, ack=0, partial=False):
    h = struct.pack(">HHIIBBHHH", sport, dport, seq, ack if flags & ACK else 0, 0x50, flags, 64240, 0, 0)
    return transport(src, dst, 6, h + data, 16, partial)


def udp(src, sport, dst, dport, data=b"x" * 20):
    return transport(src, dst, 17, struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data, 6)


def eth(packet, out=True, mac=POT):
    kind = b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"
    return (OUT + mac if out else mac + OUT) + kind + packet


def talk(src, sport, dst, dport, up=b"GET / HTTP/1.0\r\n\r\n", down=b"HTTP/1.0 200 OK\r\n\r\n", mac=POT, began=True):
    """A whole TCP conversation that src begins."""
    a, b, x, y = src, dst, 1000, 5000
    steps = [(True, SYN, b"", x, 0), (False, SYNACK, b"", y, x + 1), (True, ACK, b"", x + 1, y + 1),
             (True, PSH, up, x + 1, y + 1), (False, PSH, down, y + 1, x + 1 + len(up)),
             (True, FIN, b"", x + 1 + len(up), y + 1 + len(down)),
             (False, FIN, b"", y + 1 + len(down), x + 2 + len(up)),
             (True, ACK, b"", x + 2 + len(up), y + 2 + len(down))]
    for forth, flags, data, seq, ack in steps:
        p = tcp(a, sport, b, dport, flags, data, seq, ack) if forth else tcp(b, dport, a, sport, flags, data, seq, ack)
        yield eth(p, forth == began, mac)


class Classic:
    def __init__(self, link=1):
        self.out = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, link)
        self.time = START * 1_000_000

    def add(self, frame, after=0.001, wire=None):
        self.time += int(after * 1_000_000)
        self.out += struct.pack("<IIII", self.time // 1_000_000, self.time % 1_000_000, len(frame), wire or len(frame))
        self.out += frame

    def all(self, frames, after=0.001):
        for f in frames:
            self.add(f, after)


class Ng:
    """As our own evidence is written: an interface for each port, nanoseconds, the direction in epb_flags."""
    def __init__(self, *names):
        self.out, self.time = b"", START * 1_000_000_000
        self.block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d, 1, 0, -1))
        for n in names:
            self.block(1, struct.pack("<HHI", 1, 0, 0) + self.opt(2, n.encode()) + self.opt(9, b"\x09") + self.opt(0, b""))

    @staticmethod
    def opt(code, value):
        return struct.pack("<HH", code, len(value)) + value + b"\0" * (-len(value) % 4)

    def block(self, kind, body):
        body += b"\0" * (-len(body) % 4)
        self.out += struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)

    def add(self, iface, frame, direction=1):
        self.time += 1_000_000
        body = struct.pack("<IIIII", iface, self.time >> 32, self.time & 0xffffffff, len(frame), len(frame))
        body += frame + b"\0" * (-len(frame) % 4)
        self.block(6, body + self.opt(2, struct.pack("<I", direction)) + self.opt(0, b""))


def mixed():
    """Inbound ssh, outbound web, mail and IRC, a scan, UDP that is answered."""
    c = Classic()
    c.all(talk("198.51.100.7", 40000, "192.0.2.10", 22, b"SSH-2.0-x\r\n", b"SSH-2.0-OpenSSH_9.2p1\r\n", began=False))
    c.all(talk("192.0.2.10", 41000, "198.51.100.80", 80))
    c.all(talk("192.0.2.10", 41001, "198.51.100.25", 25, b"HELO there\r\n", b"250 hello\r\n"))
    c.all(talk("192.0.2.10", 41002, "198.51.100.66", 6667, b"NICK bot\r\n", b":irc 001 bot\r\n"))
    for i in range(8):
        c.add(eth(tcp("192.0.2.10", 42000 + i, f"198.51.100.{100 + i}", 445, SYN)))
    for i in range(3):
        c.add(eth(udp("192.0.2.10", 43000 + i, "198.51.100.53", 53)))
        c.add(eth(udp("198.51.100.53", 53, "192.0.2.10", 43000 + i), False))
    return c


def hours():
    """A connection begins every 20 minutes for a day, beginning on Monday at 10:00."""
    c = Classic()
    for i in range(72):
        c.add(eth(tcp("192.0.2.10", 42000 + i, "198.51.100.80", 443, SYN)), 1200 if i else 0)
    return c


def minute():
    """A connection begins every 6 seconds for two minutes."""
    c = Classic()
    for i in range(20):
        c.add(eth(tcp("192.0.2.10", 42000 + i, "198.51.100.80", 443, SYN)), 6 if i else 0)
    return c


def cut():
    """Captured with a snapshot length of 60 bytes."""
    c = Classic()
    for f in talk("192.0.2.10", 41000, "198.51.100.80", 80):
        c.add(f[:60], wire=len(f))
    return c


def raw():
    """Without a link layer: a router's tunnel interface."""
    c = Classic(101)
    c.all(f[14:] for f in talk("192.0.2.10", 41000, "198.51.100.80", 80))
    c.add(udp("2001:db8::10", 4000, "2001:db8:ffff::1", 9000))
    return c


def router():
    """Two honeypots behind a router: all frames have its MACs."""
    c = Classic()
    c.all(talk("192.0.2.10", 41000, "198.51.100.80", 80))
    c.all(talk("192.0.2.11", 41000, "198.51.100.80", 80))
    return c


def offload():
    """On the sender's own computer: checksums are left to the network card."""
    c = Classic()
    c.add(eth(tcp("192.0.2.10", 41000, "198.51.100.80", 80, SYN, partial=True)))
    c.add(eth(tcp("192.0.2.10", 41001, "198.51.100.80", 80, SYN)[:-4] + b"\xde\xad\0\0"))
    return c


def own():
    """Our own evidence: ports by name; a spoofed MAC and address, and a reset that the gateway made."""
    c = Ng("web", "uplink-lan")
    c.add(0, eth(tcp("192.0.2.10", 41000, "198.51.100.80", 80, SYN)))
    c.add(0, eth(tcp("192.0.2.10", 41001, "198.51.100.80", 80, SYN), mac=bytes.fromhex("5254000000aa")))
    c.add(0, eth(tcp("198.51.100.1", 41001, "198.51.100.80", 80, SYN)))
    c.add(0, eth(tcp("198.51.100.80", 80, "192.0.2.10", 41001, RST | ACK), False), 2)
    c.add(1, eth(tcp("198.51.100.7", 40000, "192.0.2.10", 22, SYN), False))
    c.add(1, eth(tcp("192.0.2.10", 40000, "198.51.100.7", 22, SYN)))
    return c


def answers():
    """Questions that a policy refuses are answered in the capture, outwards and inwards."""
    c = Classic()
    c.add(eth(udp("192.0.2.10", 5000, "198.51.100.53", 123)))
    c.add(eth(udp("198.51.100.53", 123, "192.0.2.10", 5000), False))
    c.add(eth(udp("192.0.2.10", 5000, "198.51.100.53", 123)))
    c.add(eth(udp("198.51.100.9", 6000, "192.0.2.10", 161), False))
    c.add(eth(udp("192.0.2.10", 161, "198.51.100.9", 6000)))
    c.all(talk("192.0.2.10", 41001, "198.51.100.25", 25))
    return c


def main():
    for make in (mixed, hours, minute, cut, raw, router, offload, own, answers):
        name = make.__name__ + (".pcapng" if make is own else ".pcap")
        (pathlib.Path(sys.argv[1]) / name).write_bytes(make().out)


if __name__ == "__main__":
    main()
