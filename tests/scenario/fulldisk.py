#!/usr/bin/python3
# SPDX-License-Identifier: ISC
# needs: root uml image:busybox tool:sshpass tool:ssh tool:unshare timeout:200
"""A full disk: forwarding stops and says so, what was written stays readable,
and after making room `up` goes on."""
import os
import pathlib
import subprocess
import sys
import time

from honeynet import STATE, Net, eventually, main, run, skep, true, two

if not os.environ.get("SKEP_OWN_MOUNTS"):
    # The small disk is a mount that nobody else sees.
    os.environ["SKEP_OWN_MOUNTS"] = "1"
    os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, *sys.argv])

DISK = pathlib.Path(STATE) / "nets" / "full" / "evidence"
net = Net(two("full", outbound="{icmp: unlimited}", min_free="1M"), "full")


def ping(check=False, count=2):
    return net.lab("ping", "-c", str(count), "-W", "1", "-i", "0.2", "192.0.2.11", check=check)[0] == 0


def test_up():
    """a honeynet whose evidence lies on a disk of 6 MiB"""
    os.umask(0o077)
    DISK.mkdir(parents=True)
    run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=0700", "disk", DISK])
    (DISK / "ballast").write_bytes(bytes(1 << 20))
    net.up()
    true(eventually(ping, 10), "no ping before")


def test_fills():
    """it fills up: nothing passes any more, and ps says why"""
    flood = net.lab_start("ping", "-q", "-f", "-s", "1400", "-c", "40000", "-w", "60", "192.0.2.11")
    true(eventually(lambda: net.nets()[0]["evidence_status"] < 0, 60), net.nets()[0])
    flood.kill()
    flood.communicate()
    true(not ping(), "a ping passed unrecorded")
    _, out = skep("ps", "full", check=False)
    true("evidence" in out, out)
    log = (pathlib.Path(STATE) / "run" / "full" / "log").read_text()
    true("evidence stopped" in log and "Free space" in log, log[-500:])


def test_readable():
    """what was recorded before stays readable, whole"""
    before = net.nets()[0]
    pcap = net.dir / "x.pcapng"
    skep("pcap", "full", "-w", pcap)
    r = subprocess.run(["tshark", "-r", pcap, "-T", "fields", "-e", "frame.number"], capture_output=True, text=True, check=False)
    true(r.returncode == 0 and "cut short" not in r.stderr, r.stderr)
    true(len(r.stdout.splitlines()) > 100, "too few frames")
    true(before["frames_in"] > 0, before)
    net.events()


def test_up_again():
    """with room again, up starts evidence anew and packets pass"""
    for f in sorted(DISK.glob("packets/*.pcapng"))[:1]:
        f.unlink()
    (DISK / "ballast").unlink()
    net.up()
    true(eventually(ping, 20), "no ping after")
    true(net.nets()[0]["evidence_status"] == 0, net.nets()[0])


if __name__ == "__main__":
    try:
        code = main([test_up, test_fills, test_readable, test_up_again])
    finally:
        net.end()
        subprocess.run(["umount", "-l", str(DISK)], check=False)
    sys.exit(code)
