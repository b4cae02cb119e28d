#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Checks what skep export wrote, by the formats' own rules and nothing of skep:
   export_check.py FORMAT FILE     exit status 1 and a line for each fault."""
import datetime
import json
import re
import sys

faults = []


def fault(text):
    faults.append(text)


def harmless(text):
    """Nothing that a terminal could be moved by, once it is printed."""
    for c in text:
        n = ord(c)
        if (n < 0x20 and c != "\n") or 0x7f <= n <= 0x9f or n in (0x61c, 0x200e, 0x200f, 0x2028, 0x2029) or \
                0x202a <= n <= 0x202e or 0x2066 <= n <= 0x2069:
            return False
    return True


def lines(path):
    data = open(path, "rb").read()
    if data and not data.endswith(b"\n"):
        fault("the last line has no end")
    text = data.decode("utf-8")  # raises: not UTF-8
    if not harmless(text):
        fault("control characters")
    return [json.loads(x) for x in text.splitlines()]


def eve(path):
    before = ""
    for v in lines(path):
        if v["timestamp"] < before:
            fault(f"{v['timestamp']} after {before}")
        before = v["timestamp"]
        if not {"event_type", "honeynet", "sensor"} <= v.keys():
            fault(f"no EVE envelope: {v}")
    return before


def timesketch(path):
    before = 0
    for v in lines(path):
        for key, kind in (("message", str), ("datetime", str), ("timestamp_desc", str), ("timestamp", int)):
            if not isinstance(v.get(key), kind) or v[key] == "":
                fault(f"{key} is missing in {v}")
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)", v["datetime"]):
            fault(f"datetime {v['datetime']}")
        at = datetime.datetime.fromisoformat(v["datetime"].replace("Z", "+00:00"))
        us = round(at.replace(tzinfo=None, microsecond=0).replace(tzinfo=datetime.timezone.utc).timestamp()) * 1000000 + at.microsecond
        if us != v["timestamp"]:
            fault(f"timestamp {v['timestamp']} is not {v['datetime']}")
        if us < before:
            fault(f"{v['datetime']} is out of order")
        before = us
        if not harmless(v["message"]):
            fault("control characters in a message")
        for key, x in v.items():
            if isinstance(x, dict) or (isinstance(x, list) and any(isinstance(y, (dict, list)) for y in x)):
                fault(f"{key} is not flat")


def cast(path):
    all_lines = lines(path)
    head = all_lines[0]
    if head.get("version") != 2 or not all(isinstance(head.get(k), int) and head[k] > 0 for k in ("width", "height")):
        fault(f"header {head}")
    before = 0
    for e in all_lines[1:]:
        if not (isinstance(e, list) and len(e) == 3 and e[1] in "oirm" and isinstance(e[2], str)):
            fault(f"event {e}")
        if e[0] < before:
            fault(f"event {e} goes back")
        before = e[0]


def main():
    kind, path = sys.argv[1:3]
    if kind == "stix":
        import export_stix_check
        faults.extend(export_stix_check.check(path, harmless))
    else:
        {"eve": eve, "timesketch": timesketch, "cast": cast}[kind](path)
    for f in faults[:20]:
        print(f)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
