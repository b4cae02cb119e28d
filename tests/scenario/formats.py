#!/usr/bin/python3
# SPDX-License-Identifier: ISC
# needs: both uml image:busybox timeout:300
"""A reader of the evidence directory that knows only docs/formats.md: none of
skep's own code. Run it with a directory to check that one."""
import collections
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import sys

HEAD, START, OPEN, CLOSE, REMOVE, COMMIT, RECOVER, ALARM, STOP, SEAL, CLOCK = range(1, 12)
COMMENT = re.compile(r"verdict=(forward|drop) reason=([a-z-]+)( flow=\d+)?( out=[a-z0-9-]+)? seq=(\d+)")


class Broken(Exception):
    pass


def need(ok, what):
    if not ok:
        raise Broken(what)


def blake(*parts):
    h = hashlib.blake2b(digest_size=32)
    for p in parts:
        h.update(p)
    return h.digest()


def records(directory):
    """(file, type, seq, ns, payload) of every record of all journals, each checked."""
    last, before = None, 0
    for path in sorted((directory / "journal").glob("*.skj")):
        data, at = path.read_bytes(), 0
        while at < len(data):
            need(len(data) - at >= 56, f"{path.name}: cut at byte {at}")
            size, kind, zero, seq, ns = struct.unpack_from("<IHHQQ", data, at)
            need(56 <= size <= min(65536, len(data) - at) and not zero, f"{path.name}: no record at byte {at}")
            signed, digest = data[at:at + size - 32], data[at + size - 32:at + size]
            payload = signed[24:]
            if at == 0:
                need(kind == HEAD and payload[:8] == b"skepjrnl" and len(payload) == 120, f"{path.name}: no HEAD")
                form, number = struct.unpack_from("<II", payload, 8)
                need(form == 2 and number == int(path.stem), f"{path.name}: format {form}, number {number}")
                need(last is None or (payload[16:48] == last and seq == before + 1), f"{path.name}: does not continue")
                need(number > 1 or (payload[16:48] == bytes(32) and seq == 1), f"{path.name}: not the beginning")
                last, before = payload[16:48], seq - 1
            need(seq == before + 1, f"{path.name}: record {before} is followed by {seq}")
            need(blake(last, signed) == digest, f"{path.name}: wrong hash at byte {at}")
            yield path.name, kind, seq, ns, payload
            last, before, at = digest, seq, at + size


def check(directory):
    """Checks journals and all files that they tell of; {name: state}."""
    by_id, kinds = {}, []
    for _, kind, _, _, p in records(directory):
        kinds.append(kind)
        if kind == OPEN:
            by_id.setdefault(struct.unpack_from("<I", p)[0], {}).update(name=p[4:].decode())
        elif kind == CLOSE:
            number, flags, size = struct.unpack_from("<IIQ", p)
            need(flags in (0, 1, 3, 4), f"flags {flags} of a CLOSE")
            by_id.setdefault(number, {}).update(name=p[48:].decode(), closed=(size, p[16:48]), crashed=flags & 1)
        elif kind == COMMIT:
            need(len(p) == 4 + 48 * struct.unpack_from("<I", p)[0] + 96, "length of a COMMIT")
            for at in range(4, len(p) - 96, 48):
                number, _, size = struct.unpack_from("<IIQ", p, at)
                f = by_id[number]
                need(size >= f.get("committed", (0,))[0], f"{f['name']} shrank")
                f["committed"] = (size, p[at + 16:at + 48])
        elif kind == REMOVE:
            for f in by_id.values():
                f["removed"] = f.get("removed") or f["name"] == p[40:].decode()
    need(kinds[-2:] == [COMMIT, SEAL], "the journal does not end with a commit and its seal")
    names = {f["name"]: f for f in by_id.values() if not f.get("removed")}
    for name, f in names.items():
        data = (directory / name).read_bytes()
        for size, digest in filter(None, (f.get("committed"), f.get("closed"))):
            need(blake(data[:size]) == digest, f"{name} differs from its record")
        need("closed" not in f or len(data) == f["closed"][0], f"{name} has another length than when it was closed")
    for path in directory.glob("*/*"):
        name = str(path.relative_to(directory))
        need(name in names or name.startswith(("journal/", "key/")), f"nobody wrote {name}")
    return names, kinds


def packets(path):
    """The frames of one file, compared with its interface statistics if it was closed properly."""
    data, at, names, counted, told = path.read_bytes(), 0, [], {}, {}
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        need(size % 4 == 0 and size >= 12 and struct.unpack_from("<I", data, at + size - 4)[0] == size, f"block at {at}")
        body = data[at + 8:at + size - 4]
        if kind == 1:
            names.append(options(body[8:])[2].decode())
        elif kind == 6:
            port, _, _, cap, wire = struct.unpack_from("<IIIII", body)
            o = options(body[20 + cap + (-cap & 3):])
            m = COMMENT.fullmatch(o[1].decode())
            need(m and wire >= cap, f"comment {o[1]!r}")
            need(int(m[5]) == struct.unpack("<Q", o[5])[0], "epb_packetid is not seq")
            counted[port] = counted.get(port, 0) + 1
        elif kind == 5:
            o = options(body[12:])
            told[struct.unpack_from("<I", body)[0]] = struct.unpack("<Q", o[4])[0]
        else:
            need(kind == 0x0a0d0d0a and at == 0, f"block type {kind:#x}")
        at += size
    if told:
        need(told == {i: counted.get(i, 0) for i in range(len(names))}, f"{path.name}: {counted}, statistics {told}")
    return sum(counted.values())


def options(b):
    out, at = {}, 0
    while at < len(b):
        code, size = struct.unpack_from("<HH", b, at)
        if not code:
            break
        out[code] = b[at + 4:at + 4 + size]
        at += 4 + size + (-size & 3)
    return out


(SOURCE, LOSS, TAMPER, SESSION, END, TTY, WINSIZE, LOGIN, COMMAND, EXEC, FORK, EXIT, FILE, SOCKET, MODULE,
 CRED) = range(1, 17)
# Bytes before the texts, and how many texts; -1: any bytes follow.
SHAPES = {SOURCE: (24, 1), LOSS: (16, 0), TAMPER: (0, 1), SESSION: (56, 1), END: (40, 0), TTY: (4, -1), WINSIZE: (4, 0),
          LOGIN: (8, 2), COMMAND: (0, 1), EXEC: (8, -1), FORK: (4, 0), EXIT: (4, 0), FILE: (8, 2), SOCKET: (40, 0),
          MODULE: (0, 1), CRED: (16, 0)}
Record = collections.namedtuple("Record", "kind flags seq time gtime session pid ppid uid tty comm payload")
KINDS = ("flow", "machine", "policy", "operator", "evidence", "stats", "session", "login", "command", "process", "module",
         "file", "connection", "introspection", "dns", "smtp", "http", "sinkhole",
         "trigger", "engine", "alert")


def sessions(path):
    """The records of one file of sessions/, each checked."""
    data, at, out = path.read_bytes(), 0, []
    while at < len(data):
        need(len(data) - at >= 72, f"{path.name}: cut at byte {at}")
        size, *rest = struct.unpack_from("<IHHQQQQIIII16s", data, at)
        need(72 <= size <= 16384 and size <= len(data) - at, f"{path.name}: length {size} at byte {at}")
        end = at + size + (-size & 7)
        need(end <= len(data) and not any(data[at + size:end]), f"{path.name}: padding of byte {at}")
        r = Record(*rest, data[at + 72:at + size])
        if at == 0:
            magic, form, zero = struct.unpack_from("<8sII", r.payload)
            need((r.kind, r.seq, magic, form, zero, len(r.payload)) == (0, 0, b"skepsess", 1, 0, 80), f"{path.name}: no head")
            need(r.payload[48:].rstrip(b"\0").decode() == path.name.split(".")[0], f"{path.name}: of another honeypot")
        else:
            need(r.kind in SHAPES and r.seq and not r.flags & ~63 and not r.session >> 48, f"{path.name}: record at {at}")
            need(not out or r.seq == out[-1].seq + 1 or r.kind == SOURCE and r.seq == 1,
                 f"{path.name}: {r.seq} follows {out[-1].seq if out else 0}")
            fixed, texts = SHAPES[r.kind]
            need(r.flags & 8 or len(r.payload) >= fixed, f"{path.name}: payload at {at}")
            if texts >= 0:
                need(r.payload[fixed:].count(b"\0") == texts and (not texts and len(r.payload) == fixed or
                     texts and r.payload.endswith(b"\0")), f"{path.name}: texts at {at}")
            out.append(r)
        at = end
    return out


def check_all(directory):
    names, kinds = check(directory)
    total = sum(packets(path) for path in (directory / "packets").iterdir())
    stats = {}
    for path in sorted((directory / "events").iterdir()):
        for line in path.read_text().splitlines():
            e = json.loads(line)
            kind = e["event_type"]
            need(kind in KINDS, kind)
            need(kind in e and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+0000", e["timestamp"]), line)
            if kind == "evidence" and e["evidence"]["eventid"] == "skep.evidence.started":
                stats[len(stats)] = 0
            if kind == "stats":
                stats[len(stats) - 1] = e["stats"]["evidence"]["frames"]
    crashed = any(f.get("crashed") for f in names.values())
    need(total == sum(stats.values()) or crashed, f"{total} frames in packets, {stats} in stats")
    for path in (directory / "console").glob("*.times.json"):
        at = 0
        for line in path.read_text().splitlines():
            t = json.loads(line)
            need(t["offset"] == at, f"{path.name}: offset {t['offset']}, not {at}")
            at += t["length"]
        log = path.with_name(path.name.replace(".times.json", ".log"))
        need(log.stat().st_size == at or crashed, f"{log.name} is not {at} bytes long")
    for path in (directory / "sessions").iterdir():
        sessions(path)
    return names, kinds, total


def scenario():
    from honeynet import Net, equal, eventually, main, true, two
    net = Net(two("formats"), "formats")

    def test_read():
        """what two runs left is read and checked by its description alone"""
        for _ in range(2):
            net.up()
            net.lab("ping", "-c", "3", "192.0.2.11")
            net.down()
        names, kinds, total = check_all(net.evidence())
        equal(len(list((net.evidence() / "journal").iterdir())), 2)
        equal((kinds.count(HEAD), kinds.count(START), kinds.count(STOP)), (2, 2, 2))
        true({"config/0001-honeynet.yaml", "config/0002-honeynet.yaml", "console/one.000002.log"} <= set(names), names)
        true(total >= 12, total)

    def test_changed():
        """any byte of a journal or of another file that is changed is found"""
        copy = net.dir / "copy"
        shutil.copytree(net.evidence(), copy, ignore=lambda *_: ["key"])  # a secret, and no evidence
        check(copy)
        tried = 0
        for path in sorted(copy.glob("*/*")):
            good = path.read_bytes()
            for at in sorted({0, len(good) // 3, len(good) // 2, len(good) - 1} if path.parent.name != "journal"
                             else set(range(0, len(good), len(good) // 40)) | {len(good) - 1}):
                path.write_bytes(good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1:])
                tried += 1
                try:
                    check(copy)
                except (Broken, KeyError, ValueError):
                    continue
                raise Broken(f"byte {at} of {path.name} may be changed unnoticed")
            path.write_bytes(good)
        check(copy)
        true(tried > 100, tried)

    def test_killed():
        """what a killed evidence process left is closed by the next one, and still checks"""
        net.up()
        net.lab("ping", "-c", "2", "192.0.2.11")
        os.kill(net.nets()[0]["evidence_pid"], signal.SIGKILL)
        true(eventually(lambda: not net.nets()[0]["evidence_pid"]), "its death was not noticed")
        net.up()
        net.lab("ping", "-c", "2", "192.0.2.11")
        net.down()
        names, kinds, _ = check_all(net.evidence())
        equal((kinds.count(HEAD), kinds.count(STOP), kinds.count(ALARM)), (4, 3, 0))
        true(any(f.get("crashed") for f in names.values()), "no file was closed by recovery")

    try:
        return main([test_read, test_changed, test_killed])
    finally:
        net.end()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        found, _, frames = check_all(pathlib.Path(sys.argv[1]))
        print(f"{len(found)} files, {frames} frames: all as the journal says")
    else:
        sys.exit(scenario())
