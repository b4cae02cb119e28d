#!/usr/bin/python3
# SPDX-License-Identifier: ISC
# needs: both uml image:busybox image:debian-12-server tool:sshpass tool:ssh timeout:600
"""What happens inside of real guests is seen from outside: logins with their
passwords, commands, programs, files, and every byte of a terminal."""
import json
import os
import pathlib
import signal
import struct
import sys
import time

import formats
from honeynet import SSH, SKEP, Net, equal, eventually, main, skep, true

# Probes where this machine allows them, so that both ways are seen with real clients.
PROBES = os.geteuid() == 0 and "BPF probes work" in skep("doctor", check=False)[1]
TEXT = """\
honeynet: inside
networks:
  lan:
    v4: 192.0.2.0/24
uplink:
  lab: [203.0.113.0/24]
honeypots:
  web:
    image: debian-12-server
    address: 192.0.2.10
    memory: 160M
  box:
    image: busybox
    address: 192.0.2.11
    memory: 64M
  any:
    image: busybox
    address: 192.0.2.13
    memory: 64M
    introspection: WAY
  blind:
    image: busybox
    address: 192.0.2.12
    memory: 64M
    introspection: off
introspection: hooks
policy:
  outbound: {tcp: 50/hour}
evidence: {max-size: 512M, rotate: 16M, min-free: 16M, ring: 1M}
""".replace("WAY", "probes" if PROBES else "auto")
WEB, BOX, ANY = "192.0.2.10", "192.0.2.11", "192.0.2.13"
net = Net(TEXT, "inside")
INTRUDER = "203.0.113.77"
PASSWORD = {WEB: "123456", BOX: "admin", ANY: "admin", "192.0.2.12": "admin"}


def ssh(address, command, **kw):
    return net.ssh(address, command, password=PASSWORD[address], **kw)


def events(kind, **want):
    """Events of a type whose object has these values."""
    out = []
    for e in net.events("--type", kind):
        o = e.get(kind, {})
        if all(o.get(k, e.get(k)) == v for k, v in want.items()):
            out.append(e)
    return out


def inside(name):
    return net.honeypot(name)["introspection"]


def test_up():
    """four guests; two are seen by hooks, one by probes if they work here, one is not by configuration; ps says so"""
    net.up()
    true(eventually(lambda: [inside(n)["state"] for n in ("web", "box", "blind")] == ["hooks", "hooks", "off"], 15),
         [inside(n) for n in ("web", "box", "blind")])
    true(eventually(lambda: inside("any")["state"] == ("probes" if PROBES else "hooks"), 15), inside("any"))
    print(f"# any: {inside('any')['state']}, {inside('any')['detail']}")
    for address in (WEB, BOX, ANY):
        true(eventually(lambda: "root" in ssh(address, "id -un", check=False)[1], 60, 1), f"no ssh at {address}")
    _, out = skep("ps", net.name)
    true("hooks" in out and "off" in out, out)
    for name in ("web", "box", "any"):
        true(events("introspection", eventid="skep.introspection.on", honeypot=name), "not told")
    true(events("introspection", eventid="skep.introspection.off", honeypot="blind"), "not told")


def test_wrong_password():
    """a failed login of OpenSSH: user, password, address"""
    net.ssh(WEB, "id", user="oracle", password="s3cret!", source=INTRUDER, check=False)
    got = eventually(lambda: events("login", eventid="skep.login.failed", honeypot="web", username="oracle"), 10)
    true(got, net.events("--type", "login"))
    equal((got[0]["login"]["password"], got[0]["src_ip"]), ("s3cret!", INTRUDER))


TYPED = b"uname -a\necho -n s\xc3\xbc\xc3\x9f; id -un\ncp /bin/true /tmp/.x\nchmod +x /tmp/.x && /tmp/.x a 'b c'\nrm /tmp/.x\nexit\n"
COMMANDS = [c.decode() for c in TYPED.splitlines()]
here = {}


def interactive(address):
    """One session on a terminal; what the client saw, byte for byte."""
    p = net.lab_start("sshpass", "-p", PASSWORD[address], "ssh", "-tt", *SSH, "-b", INTRUDER, f"root@{address}")
    fd, seen, mark = p.stdout.fileno(), b"", 0
    os.set_blocking(fd, False)
    todo, end = TYPED.splitlines(keepends=True), time.monotonic() + 60
    while p.poll() is None and time.monotonic() < end:
        try:
            got = os.read(fd, 65536)
            seen += got
            if got == b"":
                break
        except BlockingIOError:
            time.sleep(0.05)
        if todo and b"# " in seen[mark:]:
            time.sleep(0.2)
            mark = len(seen) + 3
            p.stdin.buffer.write(todo.pop(0))
            p.stdin.buffer.flush()
    p.wait(timeout=10)
    while True:
        try:
            got = os.read(fd, 65536)
        except BlockingIOError:
            continue
        if not got:
            return seen
        seen += got


def session_of(honeypot, command):
    got = eventually(lambda: events("command", honeypot=honeypot, input=command), 10)
    true(got, f"{honeypot}: no command {command!r}: " + str(net.events("--type", "command")))
    return got[-1]["command"]["session"]


def check_session(honeypot, address, seen, shell):
    sid = session_of(honeypot, COMMANDS[0])
    true(eventually(lambda: events("session", eventid="skep.session.closed", session=sid), 10), "it is not closed")
    equal([e["command"]["input"] for e in events("command", session=sid)], COMMANDS, "commands")
    connect = events("session", eventid="skep.session.connect", session=sid)[0]
    equal((connect["src_ip"], connect["dest_ip"], connect["dest_port"], connect["proto"]), (INTRUDER, address, 22, "TCP"))
    flows = eventually(lambda: [e for e in net.events("--type", "flow") if e["community_id"] == connect["community_id"]], 10)
    programs = [e["process"] for e in events("process", eventid="skep.process.exec", session=sid) if e["process"]["result"] == 0]
    true(any(p["argv"] == ["/tmp/.x", "a", "b c"] and p["cwd"] == "/root" and p["uid"] == 0 for p in programs), programs)
    true(any(shell in p["argv"][0] for p in programs), programs)
    true(events("file", eventid="skep.file.chmod", path="/tmp/.x", session=sid), "chmod is not seen")
    true(events("file", eventid="skep.file.unlink", path="/tmp/.x", session=sid), "rm is not seen")
    # Every byte of the terminal, as the client saw it.
    skt = [r for p in sorted((net.evidence() / "sessions").glob(f"{honeypot}*.skt")) for r in formats.sessions(p)]
    mine = [r for r in skt if r.session == int(sid, 16) and r.kind == formats.TTY]
    shown = b"".join(r.payload[4:] for r in mine if r.payload[:4] == b"\1\0\0\0")
    typed = b"".join(r.payload[4:] for r in mine if r.payload[:4] == b"\0\0\0\0")
    equal(typed.replace(b"\r", b"\n"), TYPED, "what was typed")
    here[honeypot] = (shown, seen)
    equal(shown, seen, "what the screen showed")
    return sid, bool(flows)


def test_ssh_debian():
    """an ssh session at Debian: password, commands, programs, files, and the terminal's bytes"""
    seen = interactive(WEB)
    sid, _ = check_session("web", WEB, seen, "bash")
    login = events("login", eventid="skep.login.success", session=sid)
    true(login, net.events("--type", "login"))
    equal((login[0]["login"]["username"], login[0]["login"]["password"]), ("root", "123456"))


def test_ssh_busybox():
    """the same at dropbear and busybox, which reveals no password"""
    check_session("box", BOX, interactive(BOX), "sh")


def test_ssh_any():
    """the same at a guest that is seen by what works best here"""
    check_session("any", ANY, interactive(ANY), "sh")


def test_join():
    """a session and the gateway's flow have one community id"""
    def joined():
        flows = {e["community_id"] for e in net.events("--type", "flow") if e.get("dest_port") == 22}
        return {e["community_id"] for e in events("session", eventid="skep.session.closed") if "community_id" in e} & flows
    true(eventually(joined, 150, 5), "no session has a flow")


def test_blind():
    """the honeypot without introspection has none"""
    ssh("192.0.2.12", "echo unseen", check=False)
    time.sleep(1)
    equal([e for k in ("session", "command", "process") for e in events(k, honeypot="blind")], [])
    equal(list((net.evidence() / "sessions").glob("blind*")), [])


def test_death():
    """a killed introspect process is told and replaced; the guest goes on, and so does what is seen"""
    os.kill(inside("box")["pid"], signal.SIGKILL)
    true(eventually(lambda: inside("box")["starts"] == 2 and inside("box")["pid"], 10), inside("box"))
    ssh(BOX, "echo after the death")
    session_of("box", "echo after the death")
    true(events("introspection", eventid="skep.introspection.exited", honeypot="box"), "not told")
    equal(net.state("box"), "running")


def test_guest_restarts():
    """a guest that restarts is seen again, from its first program on"""
    before = len(events("introspection", eventid="skep.introspection.source", honeypot="box"))
    ssh(BOX, "reboot", check=False)
    true(eventually(lambda: len(events("introspection", eventid="skep.introspection.source", honeypot="box")) > before, 15),
         "its kernel does not say hello")
    true(eventually(lambda: events("introspection", eventid="skep.introspection.restarted", honeypot="box"), 15), "not told")
    true(eventually(lambda: "root" in ssh(BOX, "id -un", check=False)[1], 30, 1), "no ssh")
    ssh(BOX, "echo after the restart")
    session_of("box", "echo after the restart")


def test_tampered():
    """a hook that is taken out is noticed, told, and the honeypot frozen; the other one is not"""
    h = net.honeypot("box")
    fds = pathlib.Path(f"/proc/{h['introspection']['pid']}/fd")
    try:
        plan = next(f.read_bytes() for f in fds.iterdir() if "plan" in os.readlink(f))
    except PermissionError:
        # Its fds are nobody's business; the VMM has the plan too.
        plan = next(f.read_bytes() for f in pathlib.Path(f"/proc/{h['vmm_pid']}/fd").iterdir() if "plan" in os.readlink(f))
    addr, = struct.unpack_from("<Q", plan, 72)
    with open(f"/proc/{h['vmm_pid']}/mem", "r+b", buffering=0) as f:
        f.seek(addr)
        equal(f.read(1), b"\xe9", "no jump stands there")
        f.seek(addr)
        f.write(plan[80:85])
    true(eventually(lambda: inside("box")["state"] == "tampered" and net.honeypot("box")["frozen"], 10), net.honeypot("box"))
    true(eventually(lambda: events("introspection", eventid="skep.introspection.tampered", honeypot="box"), 10), "not told")
    equal((inside("web")["state"], net.honeypot("web")["frozen"]), ("hooks", False))
    status, _ = net.lab("ping", "-c", "1", "-W", "1", BOX, check=False)
    true(status != 0, "a frozen honeypot answers")


def test_down():
    """down drains all; the files are as docs/formats.md says, and verify finds nothing"""
    net.down()
    formats.check_all(net.evidence())
    skep("verify", net.name, timeout=120)


if __name__ == "__main__":
    with net:
        sys.exit(main([test_up, test_wrong_password, test_ssh_debian, test_ssh_busybox, test_ssh_any, test_blind, test_death,
                       test_guest_restarts, test_join, test_tampered, test_down]))
