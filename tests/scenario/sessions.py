#!/usr/bin/python3
# SPDX-License-Identifier: ISC
# needs: both uml image:debian-12-server tool:sshpass tool:ssh tool:scp timeout:900
"""What real ssh clients send and receive, against what was captured: byte for
byte, read from the evidence by a reader of its own (docs/formats.md) and through
the commands of the operator."""
import fcntl
import json
import os
import pathlib
import pty
import re
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

from honeynet import SKEP, SSH, Net, equal, eventually, main, skep, true

YAML = """\
honeynet: sess
networks:
  lan:
    v4: 192.0.2.0/24
uplink:
  lab: 203.0.113.0/24
honeypots:
  web1:
    image: debian-12-server
    address: 192.0.2.10
    memory: 384M
policy:
  outbound: {tcp: 50/hour}
evidence:
  max-size: 256M
  rotate: 8M
  min-free: 16M
"""
WEB = "192.0.2.10"
net = Net(YAML, "sess")
here = {}

NONE, SOURCE, LOSS, TAMPER, SESSION, END, TTY, WINSIZE, LOGIN, COMMAND, EXEC, FORK, EXIT, FILE, SOCKET = range(15)
HEAD = struct.Struct("<IHHQQQQIIII16s")


def records():
    """Every record of web1, in order."""
    where = net.evidence() / "sessions"
    closed = sorted(p for p in where.glob("web1.*.skt"))
    for path in [*closed, where / "web1.skt"]:
        data, at = path.read_bytes() if path.exists() else b"", 0
        while at + HEAD.size <= len(data):
            size, kind, flags, seq, when, _, session, pid, ppid, uid, line, comm = HEAD.unpack_from(data, at)
            if size < HEAD.size or at + size > len(data):
                break
            if kind != NONE:
                yield kind, flags, session, line, pid, data[at + HEAD.size:at + size], when
            at += (size + 7) & ~7


def captured(token):
    """(id, input, output) of the session on whose screen the token was; terminals by number of first use."""
    screens, keys = {}, {}
    for kind, _, session, line, _, body, _ in records():
        if kind == TTY and session:
            to = screens if body[0] else keys
            to.setdefault((session, line), bytearray()).extend(body[4:])
    for where, out in screens.items():
        if token in out:
            return where[0], bytes(keys.get(where, b"")), bytes(out)
    return None, b"", b""


class Client:
    """ssh on a terminal of its own; keeps every byte of both directions."""

    def __init__(self, user="root", password="123456", command=(), rows=30, cols=100):
        self.user, self.sent, self.got, self.lock = user, bytearray(), bytearray(), threading.Lock()
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        self.p = subprocess.Popen([SKEP, "lab", net.name, "--", "sshpass", "-p", password, "ssh", *SSH, "-e", "none", "-tt",
                                   f"{user}@{WEB}", *command], stdin=slave, stdout=slave, stderr=subprocess.PIPE,
                                  env={**os.environ, "TERM": "xterm"})
        net.procs.append(self.p)
        os.close(slave)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            if not data:
                return
            with self.lock:
                self.got += data

    def send(self, data):
        data = data if isinstance(data, bytes) else data.encode()
        self.sent += data
        while data:
            data = data[os.write(self.master, data):]

    def wait(self, token, since=0, seconds=60):
        token = token if isinstance(token, bytes) else token.encode()

        def there():
            with self.lock:
                return self.got.find(token, since) >= 0
        if not eventually(there, seconds, 0.01):
            raise AssertionError(f"{token!r} does not come; the last: {bytes(self.got[-400:])!r} {self.p.poll()}")

    def line(self, text, token=b"@@ "):
        """Types a line, waits for the next prompt."""
        at = len(self.got)
        self.send(text + "\r")
        self.wait(token, at)

    def prompt(self):
        self.wait(f"{self.user}@")
        self.wait("# " if self.user == "root" else "$ ", self.got.rindex(f"{self.user}@".encode()))
        self.line("bind 'set enable-bracketed-paste off'; PS1='@''@ '")

    def close(self, how="exit\r"):
        if how:
            self.send(how)
        self.p.wait(60)
        self.reader.join(5)
        os.close(self.master)


def check_bytes(client, token, what):
    """Captured = sent and received; the session's id."""
    token = token.encode()
    got = eventually(lambda: (lambda c: c if len(c[2]) >= len(client.got) and len(c[1]) >= len(client.sent) else None)(
        captured(token)), 15, 0.3) or captured(token)
    ident, typed, shown = got
    true(ident, f"{what}: no session shows {token}")
    for name, a, b in (("output", shown, bytes(client.got)), ("input", typed, bytes(client.sent))):
        if a != b:
            at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
            raise AssertionError(f"{what}: {name} differs at {at}: captured {len(a)} bytes ...{a[at:at + 60]!r}, "
                                 f"client {len(b)} ...{b[at:at + 60]!r}")
    ident = f"{ident:012x}"
    raw = pathlib.Path(tempfile.mkstemp(dir=net.dir)[1])
    skep("replay", ident, "--export", "ttyrec", "-o", raw)
    data, at, out = raw.read_bytes(), 0, b""
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        out += data[at + 12:at + 12 + size]
        at += 12 + size
    equal(out, bytes(client.got), f"{what}: ttyrec")
    return ident


def session(ident):
    return json.loads(skep("session", ident, "--json", "--quiet")[1])


def test_up():
    """a real Debian answers"""
    net.up()
    true(eventually(lambda: "uid=0" in net.ssh(WEB, "id", password="123456", check=False)[1], 60, 0.5), "no ssh")


def commands():
    """200 and more, of all kinds; no two alike."""
    kinds = ["echo number {n}", "printf '%s-%s\\n' a {n}", "ls -d /etc /usr | head -n {n}", "true {n}", "test {n} -gt 3; echo $?",
             "cat /etc/hostname # {n}", "x={n}; echo $((x * x))", "echo {n} | wc -c", "cd /tmp; echo in $PWD {n}", "id -u # {n}"]
    return [kinds[n % len(kinds)].format(n=n) for n in range(210)]


def test_long():
    """210 commands, full-screen programs, pasted blocks, UTF-8: every byte, and every line that was typed"""
    watch = subprocess.Popen([SKEP, "watch", "web1", "--lines", "--quiet"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    net.procs.append(watch)
    c = here["long"] = Client()
    c.prompt()
    for text in commands():
        c.line(text)
    c.line("echo gr\u00fc\u00dfe \u20ac \U0001f600 \u65e5\u672c")
    at = len(c.got)
    c.send("vi /tmp/poem\r")
    c.wait("poem", at + 20)
    c.send("iroses are red\rviolets\x1b")
    time.sleep(0.5)
    c.line(":wq")
    c.line("cat /tmp/poem", b"violets\r\n@@ ")
    at = len(c.got)
    c.send("top -d 0.3\r")
    c.wait("PID USER", at)
    time.sleep(1)
    c.line("q")
    block = "".join(f"echo pasted line {i} \u00e4\r" for i in range(60))
    at = len(c.got)
    c.send(block + "echo end of''paste\r")
    c.wait("end ofpaste\r\n@@ ", at)
    c.line("bind 'set enable-bracketed-paste on'", b"@@ ")
    c.send("\x1b[200~echo bracketed\recho block\x1b[201~\r")
    c.wait("\r\nblock\r\n\x1b[?2004h@@ ", at)
    c.line("bind 'set enable-bracketed-paste off'")
    c.line("cat <<X >/tmp/here\rone\rtwo\rX")
    c.line("echo tok''en-long")
    c.close()
    ident = here["id"] = check_bytes(c, "token-long", "long session")
    typed = [x["text"] for x in session(ident)["typed"]]
    missing = [x for x in commands() if x not in typed]
    equal(missing, [], "typed lines that are not there")
    for i in range(60):
        true(f"echo pasted line {i} \u00e4" in typed, f"pasted line {i} is missing")
    watch.send_signal(signal.SIGINT)
    shown = watch.communicate(timeout=20)[0].decode(errors="replace")
    equal(watch.returncode, 0, "status of watch")
    true("| token-long" in shown and "number 200" in shown, "watch did not show it: " + shown[-500:])
    true(not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", shown), "watch passed control bytes on")


def test_executed():
    """what was typed is what was executed, in the tree of processes"""
    s = session(here["id"])
    ran = [" ".join(x["argv"]) for x in s["executed"]]
    for want in ("vi /tmp/poem", "top -d 0.3", "cat /tmp/poem", "cat /etc/hostname", "id -u"):
        true(want in ran, f"{want} is not among what was executed")
    # And once by the shell's profile.
    equal(ran.count("id -u"), 22, "how often id -u was executed")
    true(any(x["path"] == "/tmp/poem" for x in s["touched"]), "the file that vi wrote")
    equal(s["from"]["ip"], "203.0.113.1", "from")
    equal(s["user"], "root", "user")
    term = s["terminals"][0]
    equal((term["rows"], term["cols"]), (30, 100), "terminal size")
    equal(s["lost_records"], 0, "lost records")
    out = skep("tree", "web1", "--session", here["id"])[1]
    true("top -d 0.3" in out and "> $ vi /tmp/poem" in out, "tree")


def test_who():
    """who it was: password, and the flow that carried it"""
    s = eventually(lambda: (lambda x: x if x["flow_id"] else None)(session(here["id"])), 30, 1)
    true(s, "no flow joined")
    flow = next(e for e in net.events() if e.get("flow_id") == s["flow_id"])
    equal((flow["src_port"], flow["dest_port"], flow["community_id"]), (s["from"]["port"], 22, s["community_id"]), "flow")
    equal([(x["outcome"], x["user"], x["password"]) for x in s["logins"]], [("succeeded", "root", "123456")], "logins")


def test_megabyte():
    """1 MB of output"""
    c = Client()
    c.prompt()
    c.line("head -c 780000 /dev/urandom | base64; echo tok''en-megabyte", b"token-megabyte\r\n@@ ")
    c.close()
    true(len(c.got) > 1000000, "less than a megabyte came")
    check_bytes(c, "token-megabyte", "megabyte")


def test_tmux():
    """tmux: the outer terminal byte for byte, the inner one's commands"""
    c = Client()
    c.prompt()
    at = len(c.got)
    c.send("tmux -f /dev/null\r")
    c.wait("[0]", at)
    time.sleep(1)
    at = len(c.got)
    c.send("echo inner''most $((6 * 7))\r")
    c.wait("innermost 42", at)
    at = len(c.got)
    c.send("exit\r")
    c.wait("[exited]", at)
    c.line("echo tok''en-tmux")
    c.close()
    ident = check_bytes(c, "token-tmux", "tmux")
    s = session(ident)
    true(len(s["terminals"]) >= 2, "the inner terminal belongs to the session")
    true(any("inner''most" in x["text"] for x in s["typed"]), "what was typed inside")


def test_twenty():
    """20 sessions at once: none loses or gets a byte of another"""
    clients = []
    for i in range(20):
        c = Client(rows=20 + i, cols=80 + i)
        c.prompt()
        clients.append(c)
    problems = []

    def work(i, c):
        try:
            for n in range(15):
                c.line(f"echo client {i} line {n} $(({i} * 1000 + {n}))")
            c.line(f"seq {i}000 {i}400")
            c.line(f"echo tok''en-of-{i}.")
        except Exception as e:  # noqa: BLE001
            problems.append(f"client {i}: {e}")
    threads = [threading.Thread(target=work, args=(i, c)) for i, c in enumerate(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(180)
    equal(problems, [], "clients")
    for c in clients:
        c.close()
    idents = {check_bytes(c, f"token-of-{i}.", f"client {i}") for i, c in enumerate(clients)}
    equal(len(idents), 20, "sessions")
    for i, ident in enumerate(sorted(idents)[:3]):
        true(session(ident)["terminals"][0]["cols"] >= 80, "size")


def test_sudo():
    """sudo: its password, that nothing echoed, and the root that it made"""
    c = Client("admin", "admin123")
    c.prompt()
    at = len(c.got)
    c.send("sudo id\r")
    c.wait("assword", at)
    c.line("admin123")
    c.line("echo tok''en-sudo")
    c.close()
    true(b"uid=0(root)" in c.got, "sudo did not work: " + repr(bytes(c.got[-300:])))
    s = session(check_bytes(c, "token-sudo", "sudo"))
    secret = [(x["how"], x["user"], x["password"]) for x in s["logins"]]
    true(("terminal", "admin", "admin123") in secret, f"what sudo was told: {secret}")
    true(not any(x["text"] == "admin123" for x in s["typed"]), "a password is no command")
    true(any(x["argv"] == ["id"] and x["uid"] == 0 for x in s["executed"]), "id as root")
    equal(s["user"], "admin", "user")


def test_scp():
    """scp: no terminal, but the file and the program"""
    src = net.dir / "tool.sh"
    src.write_text("#!/bin/sh\necho from scp\n")
    net.lab("sshpass", "-p", "123456", "scp", *SSH, "-p", src, f"root@{WEB}:/tmp/dropped.sh")
    found = eventually(lambda: [x for x in json.loads(skep("sessions", "web1", "--json", "--quiet")[1]) if x["files"] and any(
        "dropped.sh" in f["path"] for f in session(x["id"])["touched"])], 15, 0.5)
    true(found, "no session touched dropped.sh")
    s = session(found[-1]["id"])
    true(any("sftp-server" in x["path"] for x in s["executed"]), f"sftp-server: {s['executed']}")


def test_short():
    """a login of a moment"""
    c = Client(command=("echo tok''en-moment",))
    c.p.wait(30)
    c.close(None)
    s = session(check_bytes(c, "token-moment", "moment"))
    true(any(x["text"] == "echo tok''en-moment" for x in s["typed"]), f"the command of the request: {s['typed']}")
    true(s["end"], "its end was seen")


def test_reconnects():
    """the same client again and again: a session each"""
    idents = set()
    for i in range(5):
        c = Client()
        c.prompt()
        c.line(f"echo tok''en-again-{i}")
        c.close()
        idents.add(check_bytes(c, f"token-again-{i}", f"connection {i}"))
    equal(len(idents), 5, "sessions")


def test_torn():
    """a client that is killed: what it typed is there, and the session ends"""
    c = Client()
    c.prompt()
    c.line("echo tok''en-torn")
    c.send("half a li")
    time.sleep(0.5)
    c.p.kill()
    c.p.wait(10)
    ident, typed, _ = eventually(lambda: (lambda x: x if x[1].endswith(b"half a li") else None)(captured(b"token-torn")), 10) or (
        None, b"", b"")
    true(ident, "what was typed last")
    equal(typed, bytes(c.sent), "input")


def test_search():
    """the index finds what was typed, shown, executed and touched"""
    for word, kind in (("roses", "output"), ("poem", "exec"), ("poem", "file"), ("pasted", "command"), ("gr\u00fc\u00dfe", "output"),
                       ("123456", "login")):
        hits = json.loads(skep("search", word, "--kind", kind, "--json")[1])
        true(any(h["session"] == here["id"] for h in hits), f"{word} as {kind}: {len(hits)} hits, not in {here['id']}")
    out = skep("replay", here["id"], "--export", "txt")[1]
    true("number 200\n" in out and "gr\u00fc\u00dfe \u20ac \U0001f600 \u65e5\u672c\n" in out, "txt")
    cast = [json.loads(x) for x in skep("replay", here["id"], "--export", "cast")[1].splitlines()]
    c = here["long"]
    equal("".join(x[2] for x in cast[1:] if x[1] == "o").encode(), bytes(c.got), "cast, output")
    equal("".join(x[2] for x in cast[1:] if x[1] == "i").encode(), bytes(c.sent), "cast, input")


def test_verify():
    """nothing lost, nothing changed"""
    lost = [1 for kind, *_ in records() if kind == LOSS]
    equal(lost, [], "records of losses")
    net.down()
    skep("verify", net.name)


if __name__ == "__main__":
    ALL = [test_up, test_long, test_executed, test_who, test_megabyte, test_tmux, test_twenty, test_sudo, test_scp, test_short,
           test_reconnects, test_torn, test_search, test_verify]
    with net:
        # Words choose: sessions.py up long
        sys.exit(main([t for t in ALL if not sys.argv[1:] or t.__name__[5:] in sys.argv[1:]]))
