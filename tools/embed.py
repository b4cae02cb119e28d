#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""embed.py FILE NAME OUT: a C header that holds FILE's bytes as NAME, NAME_len."""
import sys

data, name = open(sys.argv[1], "rb").read(), sys.argv[2]
with open(sys.argv[3], "w") as out:
    out.write("/* made by tools/embed.py */\n#include <stddef.h>\n")
    out.write("static const size_t %s_len = %d;\n" % (name, len(data)))
    out.write("static const unsigned char %s[] __attribute__((aligned(8))) = {\n" % name)
    for i in range(0, len(data), 20):
        out.write(",".join(str(b) for b in data[i : i + 20]) + ",\n")
    out.write("};\n")
