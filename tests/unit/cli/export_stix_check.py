# SPDX-License-Identifier: ISC
"""Checks a STIX bundle by the rules of STIX 2.1 (OASIS Standard, 10 June 2021),
as far as skep's objects go: names of properties, what is required, identifiers,
references, times. Knows nothing of skep."""
import datetime
import ipaddress
import json
import re
import uuid

SPACE = uuid.UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")  # 2.9
COMMON = {"type", "spec_version", "id"}
DOMAIN = COMMON | {"created_by_ref", "created", "modified", "revoked", "labels", "confidence", "lang"}

# type: (required, optional, ID contributing properties in 6.x or None for SDOs and SROs)
TYPES = {
    "identity": ({"name"}, {"description", "roles", "identity_class", "sectors", "contact_information"}, None),
    "observed-data": ({"first_observed", "last_observed", "number_observed", "object_refs"}, set(), None),
    "note": ({"content", "object_refs"}, {"abstract", "authors"}, None),
    "indicator": ({"pattern", "pattern_type", "valid_from"}, {"name", "description", "indicator_types", "valid_until"}, None),
    "sighting": ({"sighting_of_ref"}, {"description", "first_seen", "last_seen", "count", "observed_data_refs",
                                       "where_sighted_refs", "summary"}, None),
    "ipv4-addr": ({"value"}, set(), ["value"]),
    "ipv6-addr": ({"value"}, set(), ["value"]),
    "directory": ({"path"}, set(), ["path"]),
    "file": ({"name"}, {"parent_directory_ref", "size", "hashes"}, ["hashes", "name", "parent_directory_ref", "extensions"]),
    "user-account": (set(), {"user_id", "account_login", "account_type"}, ["account_type", "user_id", "account_login"]),
    "process": (set(), {"pid", "created_time", "cwd", "command_line", "image_ref", "creator_user_ref", "parent_ref"}, []),
    "network-traffic": ({"protocols"}, {"start", "end", "is_active", "src_ref", "dst_ref", "src_port", "dst_port",
                                        "src_packets", "dst_packets", "src_byte_count", "dst_byte_count", "extensions"},
                        ["start", "end", "src_ref", "dst_ref", "src_port", "dst_port", "protocols", "extensions"]),
}
ADDRESS = {"ipv4-addr", "ipv6-addr"}
REFS = {
    "created_by_ref": {"identity"}, "where_sighted_refs": {"identity"}, "sighting_of_ref": {"indicator"},
    "observed_data_refs": {"observed-data"}, "parent_directory_ref": {"directory"}, "image_ref": {"file"},
    "creator_user_ref": {"user-account"}, "parent_ref": {"process"}, "src_ref": ADDRESS, "dst_ref": ADDRESS,
    "object_refs": None,
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def instant(text):
    if not TIME.fullmatch(text):
        raise ValueError(f"time {text}")
    whole, _, frac = text[:-1].partition(".")
    at = datetime.datetime.fromisoformat(whole + "+00:00")
    return int(at.timestamp()) * 10**9 + int((frac + "000000000")[:9])


def one(v, bad, harmless):
    kind = v.get("type")
    if kind not in TYPES:
        bad(f"type {kind}")
        return
    required, optional, key = TYPES[kind]
    sco = key is not None
    allowed = required | optional | (COMMON if sco else DOMAIN)
    if v.get("spec_version") != "2.1":
        bad("no spec_version 2.1")
    for name in required - v.keys():
        bad(f"no {name}")
    for name in v.keys() - allowed:
        bad(f"property {name} is not of {kind}")
    for name, x in v.items():
        if x in ("", [], {}, None):
            bad(f"{name} is empty")
    prefix, _, number = v["id"].partition("--")
    u = uuid.UUID(number)
    if prefix != kind or str(u) != number or u.variant != uuid.RFC_4122 or u.version not in (4, 5):
        bad("id has not the form of one")
    if sco and key:
        some = {k: v[k] for k in key if k in v}
        # RFC 8785 of objects of strings, integers and lists of strings.
        text = json.dumps(some, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        if u != uuid.uuid5(SPACE, text):
            bad(f"id is not that of {text}")
    for name in ("created", "modified"):
        if not sco and not re.fullmatch(r".*\.\d{3}Z", v.get(name, "")):
            bad(f"{name} has not three digits")
    for name in ("created", "modified", "first_observed", "last_observed", "first_seen", "last_seen", "valid_from", "start",
                 "end", "created_time"):
        if name in v:
            instant(v[name])
    for a, b in (("created", "modified"), ("first_observed", "last_observed"), ("first_seen", "last_seen")):
        if a in v and b in v and instant(v[a]) > instant(v[b]):
            bad(f"{a} is after {b}")
    special(kind, v, bad)


def special(kind, v, bad):
    for name, low, high in (("number_observed", 1, 999999999), ("count", 0, 999999999), ("src_port", 0, 65535),
                            ("dst_port", 0, 65535), ("pid", 0, 2**53), ("src_packets", 0, 2**53), ("dst_packets", 0, 2**53)):
        if name in v and not (type(v[name]) is int and low <= v[name] <= high):
            bad(f"{name} {v[name]}")
    if kind in ADDRESS and ipaddress.ip_address(v["value"]).version != int(kind[3]):
        bad(f"value {v['value']}")
    if kind == "network-traffic":
        if "src_ref" not in v and "dst_ref" not in v:
            bad("neither src_ref nor dst_ref")
        if "end" in v and (v.get("is_active") is not False or instant(v["end"]) <= instant(v["start"])):
            bad("end without is_active false, or not after start")
        if any(p != p.lower() for p in v["protocols"]):
            bad("protocols are not lower case")
        for name, x in v.get("extensions", {}).get("icmp-ext", {}).items():
            if not re.fullmatch(r"([0-9a-f]{2})+", x):
                bad(name)
    if kind == "user-account" and not {"user_id", "account_login"} & v.keys():
        bad("says nothing")
    if kind == "process" and len(v.keys() - COMMON) == 0:
        bad("says nothing")
    if kind == "indicator":
        m = re.fullmatch(r"\[(ipv[46]-addr):value = '([0-9a-f.:]+)'\]", v["pattern"])
        if v["pattern_type"] != "stix" or not m or ipaddress.ip_address(m[2]).version != int(m[1][3]):
            bad(f"pattern {v['pattern']}")
        if not set(v.get("indicator_types", [])) <= {"anomalous-activity", "anonymization", "benign", "compromised",
                                                     "malicious-activity", "attribution", "unknown"}:
            bad("indicator_types")


def check(path, harmless):
    faults = []
    text = open(path, "rb").read().decode("utf-8")
    if not harmless(text):
        faults.append("control characters")
    bundle = json.loads(text)
    if bundle.keys() != {"type", "id", "objects"} or bundle["type"] != "bundle":
        faults.append(f"a bundle has type, id and objects: {list(bundle)}")
    ids = {}
    numbers = {bundle["id"].partition("--")[2]}
    for v in bundle["objects"]:
        if v["id"] in ids:
            faults.append(f"{v['id']} twice")
        number = v["id"].partition("--")[2]
        if number in numbers:
            faults.append(f"{number} of two types")
        numbers.add(number)
        ids[v["id"]] = v
    for v in bundle["objects"]:
        one(v, lambda what, v=v: faults.append(f"{v.get('id')}: {what}"), harmless)
        for name, x in v.items():
            if not name.endswith(("_ref", "_refs")):
                continue
            for ref in x if isinstance(x, list) else [x]:
                if ref not in ids:
                    faults.append(f"{v['id']}: {name} names nothing: {ref}")
                elif REFS[name] and ids[ref]["type"] not in REFS[name]:
                    faults.append(f"{v['id']}: {name} names a {ids[ref]['type']}")
    return faults
