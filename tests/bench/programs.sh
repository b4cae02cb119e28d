#!/bin/sh
# SPDX-License-Identifier: ISC
# needs: root timeout:400
# What the jail costs at its start, how many records a second evidence takes, and what hooks cost a guest.
set -e
build=${SKEP_BUILD:-build}
echo "start of a program in its jail, against fork and exec:"
"$build/tests/bench/jail_bench" "$build/tests/bench/jail_nothing" 200
echo
echo "records through the evidence process:"
"$build/tests/bench/evidence_bench" "${SKEP:-$build/src/skep}"
"$build/tests/bench/evidence_bench" --intro "${SKEP:-$build/src/skep}"
echo
echo "a guest without and with hooks:"
SKEP_SHIM=$build/src/skep-uml-shim.so SHIM_GUEST=$build/tests/unit/shim/shim_guest "$build/tests/bench/shim_bench" 9
