#!/usr/bin/python3
# SPDX-License-Identifier: ISC
# needs: both image:busybox tool:mke2fs timeout:300
"""Images: built once and then from the cache, imported only if they are one,
and never half there."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from honeynet import SKEP, STATE, equal, main, run, skep, true

TMP = pathlib.Path(tempfile.mkdtemp(prefix="images-", dir=STATE or None))
IMAGES = pathlib.Path(STATE) / "images"


def ext4(name, mib=8, *args):
    f = TMP / name
    tree = TMP / "tree"
    (tree / "etc").mkdir(parents=True, exist_ok=True)
    (tree / "etc" / "hostname").write_text("x\n")
    with open(f, "wb") as out:
        out.truncate(mib << 20)
    env = {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    run(["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", *args, "-d", tree, f], env=env)
    return f


def refused(f, word):
    status, out = skep("image", "import", "thing", f, check=False)
    equal(status, 1, out)
    true(word in out, f"{word!r} is not in: {out}")
    true(not (IMAGES / "thing").exists(), "half an image: " + out)
    equal([p.name for p in IMAGES.iterdir() if p.name.startswith(".")], [], "leftovers")


def test_cached():
    """an unchanged recipe is not built again, and says so"""
    _, out = skep("image", "build", "busybox")
    true("up to date" in out, out)


def test_list():
    """list tells name, size and state"""
    _, out = skep("image", "list", "--json")
    entry = [i for i in json.loads(out) if i["name"] == "busybox"][0]
    equal(entry["state"], "current")
    disk = IMAGES / "busybox" / "disk.img"
    equal(entry["bytes"], disk.stat().st_size)
    _, digest = run(["sha256sum", disk])
    equal(entry["sha256"], digest.split()[0], "the disk's hash")


def test_no_recipe():
    """a recipe that does not exist"""
    status, out = skep("image", "build", "solaris", check=False)
    equal(status, 1, out)
    true("solaris" in out, out)


def test_import_refuses():
    """what is no ext4 file system is refused, by what it is"""
    for name, data, word in (
            ("text", b"this is no disk\n" * 5000, "no disk"),
            ("empty", b"", "short"),
            ("qcow2", b"QFI\xfb" + bytes(8000), "qcow2"),
            ("gzip", b"\x1f\x8b\x08" + bytes(8000), "gzip"),
            ("vmdk", b"KDMV" + bytes(8000), "VMDK"),
            ("mbr", bytes(450) + b"\x83" + bytes(59) + b"\x55\xaa" + bytes(8000), "partitions")):
        f = TMP / name
        f.write_bytes(data)
        refused(f, word)
    refused(TMP / "nothing-here", "nothing-here")
    refused(TMP, str(TMP))


def test_import_damaged():
    """a cut-off file system is refused"""
    f = ext4("cut")
    os.truncate(f, 4 << 20)
    refused(f, "cut off")


def test_import():
    """a file system becomes an image, byte for byte, once"""
    f = ext4("good")
    skep("image", "import", "thing", f)
    disk = IMAGES / "thing" / "disk.img"
    equal(subprocess.run(["cmp", f, disk], check=False).returncode, 0, "the copy differs")
    equal(disk.stat().st_mode & 0o777, 0o644, "mode")
    _, out = skep("image", "list")
    true("thing" in out, out)


def test_interrupted():
    """an import that is killed leaves no image"""
    f = ext4("big", 64)
    p = subprocess.Popen([SKEP, "image", "import", "late", str(f)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    p.kill()
    p.wait()
    late = IMAGES / "late"
    true(not late.exists() or (late / "image.json").exists(), "half an image")


if __name__ == "__main__":
    sys.exit(main([test_cached, test_list, test_no_recipe, test_import_refuses, test_import_damaged, test_import, test_interrupted]))
