#!/bin/sh
# SPDX-License-Identifier: ISC
# needs: root timeout:120
# What the jail costs at its start, and how many records a second evidence takes.
set -e
build=${SKEP_BUILD:-build}
echo "start of a program in its jail, against fork and exec:"
"$build/tests/bench/jail_bench" "$build/tests/bench/jail_nothing" 200
echo
echo "records through the evidence process:"
"$build/tests/bench/evidence_bench" "${SKEP:-$build/src/skep}"
"$build/tests/bench/evidence_bench" --intro "${SKEP:-$build/src/skep}"
