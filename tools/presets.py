#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""presets.py OUT FILE.yaml...: a C header with the texts of the policy presets,
as an array `presets` in the order of their names (see lib/model/preset.c)."""
import pathlib
import sys

files = sorted((pathlib.Path(f) for f in sys.argv[2:]), key=lambda f: f.stem)
with open(sys.argv[1], "w") as out:
    out.write("/* made by tools/presets.py */\n")
    for i, f in enumerate(files):
        data = f.read_bytes()
        out.write("static const unsigned char preset_%d[] = {\n" % i)
        for at in range(0, len(data), 20):
            out.write(",".join(str(b) for b in data[at : at + 20]) + ",\n")
        out.write("0 };\n")
    out.write("static const struct preset presets[] = {\n")
    for i, f in enumerate(files):
        out.write('{ "%s", preset_%d, sizeof(preset_%d) - 1 },\n' % (f.stem, i, i))
    out.write("};\n")
