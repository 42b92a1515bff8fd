#!/usr/bin/env python3
"""Checks a configuration profile against Apple's payload keys (payload-keys.txt), and
prints what is in it as JSON. Usage: check_profile.py PROFILE [DIRECTORY]; the PKCS#12
files of the profile go to the directory, under their PayloadUUID."""

import json
import pathlib
import plistlib
import re
import sys

TYPES = {"string": str, "integer": int, "boolean": bool, "data": bytes, "array": list, "dictionary": dict, "real": float}
UUID = re.compile(r"[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}")

table = {}
for line in pathlib.Path(__file__).with_name("payload-keys.txt").read_text().splitlines():
    if line.startswith("#"):
        continue
    payload, key, kind, presence, *values = line.split()
    table.setdefault(payload, {})[key] = (kind, presence == "required", values[0].split(",") if values else None)

faults = []


def check(payload, allowed, where):
    for key, (_, required, _) in allowed.items():
        if required and key not in payload:
            faults.append(f"{where}: {key} is missing")
    for key, value in payload.items():
        if key not in allowed:
            faults.append(f"{where}: {key} is no key of it")
            continue
        kind, _, values = allowed[key]
        expected = TYPES[kind]
        if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
            faults.append(f"{where}: {key} is {type(value).__name__}, not {kind}")
        if values and str(value) not in values:
            faults.append(f"{where}: {key} is {value!r}, not one of {values}")
        if key.endswith("UUID") and not UUID.fullmatch(value):
            faults.append(f"{where}: {key} is no UUID: {value!r}")


with open(sys.argv[1], "rb") as file:
    profile = plistlib.load(file, fmt=plistlib.FMT_XML)
check(profile, table["Configuration"], "profile")
content = profile["PayloadContent"]
for payload in content:
    kind = payload["PayloadType"]
    if kind not in table:
        faults.append(f"{kind} is no payload type that is known")
        continue
    check(payload, table["*"] | table[kind], kind)
for name in ("PayloadUUID", "PayloadIdentifier"):
    all_of = [one[name] for one in [profile, *content]]
    if len(set(all_of)) != len(all_of):
        faults.append(f"{name} is not unique: {all_of}")
identities = {one["PayloadUUID"]: one for one in content if one["PayloadType"] == "com.apple.security.pkcs12"}
for payload in content:
    for key in ("SMIMESigningCertificateUUID", "SMIMEEncryptionCertificateUUID"):
        if key in payload and payload[key] not in identities:
            faults.append(f"{key} names no identity of the profile")
if len(sys.argv) > 2:
    for uuid, payload in identities.items():
        path = pathlib.Path(sys.argv[2], uuid + ".p12")
        path.touch(mode=0o600)
        path.write_bytes(payload["PayloadContent"])
json.dump(profile, sys.stdout, default=lambda value: {"octets": len(value)})
for fault in faults:
    print(fault, file=sys.stderr)
sys.exit(1 if faults else 0)
