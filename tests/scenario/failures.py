#!/usr/bin/python3
# SPDX-License-Identifier: ISC
# needs: both uml image:busybox tool:sshpass tool:ssh timeout:400
"""What goes wrong is said in one clear message and leaves nothing half-done."""
import os
import pathlib
import signal
import subprocess
import sys
import time

from honeynet import Net, SKEP, alive, equal, eventually, family, main, run, skep, true, two

STATE = pathlib.Path(os.environ["SKEP_STATE"])
net = Net(two("fail"), "fail")


def nothing_left(pids=()):
    left = eventually(lambda: not [p for p in pids if alive(p)], 10)
    true(left, f"processes left: {[p for p in pids if alive(p)]}")
    mounts = [line for line in pathlib.Path("/proc/self/mounts").read_text().splitlines() if str(STATE) in line]
    equal(mounts, [], "mounts left")
    for root in pathlib.Path("/sys/fs/cgroup").glob("*/"):
        for d in list(root.glob("skep/*")) + list(root.glob("skep.*")):
            true(net.name not in d.name, f"cgroup left: {d}")


def bad(argv, word, code=1):
    status, out = skep(*argv, check=False, timeout=60)
    equal(status, code, f"skep {' '.join(map(str, argv))}: {out}")
    true(word in out, f"{word!r} is not in: {out}")
    true(len([line for line in out.splitlines() if line.strip()]) <= 6, "not one clear message: " + out)


def test_bad_words():
    """names that do not exist, files that are none"""
    bad(["down", "nobody"], "nobody")
    bad(["pause", "nobody"], "nobody")
    bad(["console", "nobody"], "nobody")
    bad(["lab", "nobody", "--", "true"], "nobody")
    bad(["up", "/nonexistent.yaml"], "/nonexistent.yaml")
    bad(["frobnicate"], "frobnicate", 2)
    bad(["up"], "FILE", 2)


def test_bad_file():
    """a malformed file: line and column, nothing started"""
    f = net.dir / "bad.yaml"
    f.write_text(two("fail").replace("image: busybox", "imag: busybox", 1))
    bad(["up", f], "bad.yaml:")
    f.write_text("honeynet: [\n")
    bad(["up", f], "bad.yaml:")
    true(not (STATE / "run" / "fail" / "ctl").exists(), "something runs")


def test_missing_image():
    """an image that is not there: how to build it"""
    f = net.dir / "noimage.yaml"
    f.write_text(two("fail").replace("image: busybox", "image: solaris", 1))
    bad(["up", f], "solaris")
    bad(["check", f], "solaris")


def test_broken_image():
    """an image that is no disk"""
    d = STATE / "images" / "broken"
    d.mkdir(parents=True, exist_ok=True)
    (d / "disk.img").write_bytes(b"this is no disk" * 10000)
    f = net.dir / "broken.yaml"
    f.write_text(two("fail").replace("image: busybox", "image: broken", 1))
    status, out = skep("up", f, check=False, timeout=120)
    equal(status, 1, out)
    true("broken" in out or "disk" in out, out)
    nothing_left()
    true(not (STATE / "run" / "fail" / "ctl").exists(), "something runs: " + out)


def test_two_ups():
    """two up at once: both end, one honeynet"""
    first = subprocess.Popen([SKEP, "up", net.file], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    time.sleep(0.2)
    status, out = net.up(check=False)
    text, _ = first.communicate(timeout=120)
    equal(first.returncode, 0, text)
    true(status == 0 or "progress" in out or "busy" in out, out)
    equal(len(net.nets()[0]["honeypots"]), 2)


def test_killed_uml():
    """a killed VMM is seen, recorded, and starts again"""
    pid = net.honeypot("one")["vmm_pid"]
    os.kill(pid, signal.SIGKILL)
    true(eventually(lambda: net.state("one") == "failed", 10), net.honeypot("one"))
    equal(net.state("two"), "running")
    true(eventually(lambda: any("exited" in str(e) and "one" in str(e) for e in net.events("--type", "machine")), 5), "no event")
    skep("start", "one", timeout=60)
    equal(net.state("one"), "running")


def test_killed_gateway():
    """a killed gateway: no connectivity, said so; up mends it"""
    true(eventually(lambda: "root" in net.ssh("192.0.2.11", "id -un", check=False)[1], 20), "no ssh before")
    os.kill(net.nets()[0]["gateway_pid"], signal.SIGKILL)
    true(eventually(lambda: not net.nets()[0]["gateway_pid"], 10), "its death was not noticed")
    status, _ = net.lab("ping", "-c", "1", "-W", "2", "192.0.2.11", check=False)
    true(status != 0, "a ping passed without a gateway")
    _, out = skep("ps", net.name, check=False)
    true("gateway" in out, "ps does not say it: " + out)
    net.up()
    true(eventually(lambda: "root" in net.ssh("192.0.2.11", "id -un", check=False)[1], 20), "no ssh after")


def test_killed_evidence():
    """killed evidence: nothing passes unrecorded; up mends it"""
    os.kill(net.nets()[0]["evidence_pid"], signal.SIGKILL)
    true(eventually(lambda: not net.nets()[0]["evidence_pid"], 10), "its death was not noticed")
    status, _ = net.lab("ping", "-c", "2", "-W", "2", "192.0.2.12", check=False)
    true(status != 0, "a ping passed without evidence")
    net.up()
    true(eventually(lambda: "root" in net.ssh("192.0.2.12", "id -un", check=False)[1], 20), "no ssh after")


def test_killed_handler():
    """a killed handler takes its machine down, and no other"""
    entry = net.honeypot("two")
    os.kill(entry["handler_pid"], signal.SIGKILL)
    true(eventually(lambda: net.state("two") == "failed", 10), net.honeypot("two"))
    true(eventually(lambda: not alive(entry["vmm_pid"]), 5), "its VMM lives on")
    equal(net.state("one"), "running")


def test_killed_super():
    """a killed super ends everything, at once"""
    entry = net.nets()[0]
    pids = family(entry["priv_pid"])
    os.kill(entry["super_pid"], signal.SIGKILL)
    nothing_left(pids)
    net.up()
    equal(net.state("one"), "running")


def test_killed_priv():
    """a killed priv ends everything, and up starts anew"""
    entry = net.nets()[0]
    pids = family(entry["priv_pid"])
    os.kill(entry["priv_pid"], signal.SIGKILL)
    true(eventually(lambda: not [p for p in pids if alive(p)], 10), f"left: {[p for p in pids if alive(p)]}")
    net.up()
    equal(net.state("one"), "running")


def test_down_during_up():
    """down during up: up says so, nothing is left"""
    net.down()
    up = subprocess.Popen([SKEP, "up", net.file], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    true(eventually(lambda: (STATE / "run" / "fail" / "ctl").exists(), 10, 0.01), "no start")
    time.sleep(0.3)
    _, out = run([SKEP, "down", "fail"], check=False, timeout=60)
    text, _ = up.communicate(timeout=60)
    true(eventually(lambda: not (STATE / "run" / "fail" / "ctl").exists(), 10), "it still runs: " + out + text)
    nothing_left()
    net.up()
    equal(net.state("one"), "running")
    net.down()


def test_changed_image():
    """an image that was rebuilt under a honeypot's disk: said so; reset mends it, also while nothing runs"""
    net.up()
    net.down()
    disk = STATE / "images" / "busybox" / "disk.img"
    copy = disk.with_suffix(".new")
    run(["cp", "--sparse=always", disk, copy])
    os.chmod(copy, 0o644)
    os.replace(copy, disk)
    status, out = net.up(check=False)
    equal(status, 1, out)
    true("skep reset" in out, out)
    skep("reset", "fail/one", "fail/two")
    net.up()
    equal(net.state("one"), "running")
    bad(["reset", "fail/nobody"], "nobody")
    net.down()


def test_evidence_readable():
    """the evidence of all this stays readable"""
    true(len(net.events()) > 10, "events")
    _, out = skep("flows", net.name)
    _, out = skep("pcap", net.name)
    true("192.0.2.11" in out, out[:300])


if __name__ == "__main__":
    try:
        code = main([test_bad_words, test_bad_file, test_missing_image, test_broken_image, test_two_ups, test_killed_uml,
                     test_killed_gateway, test_killed_evidence, test_killed_handler, test_killed_super, test_killed_priv,
                     test_down_during_up, test_changed_image, test_evidence_readable])
    finally:
        net.end()
    sys.exit(code)
