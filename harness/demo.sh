#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The measurement before your eyes: a machine, a guest in it with a
# passed-through device, and the kernel under both replaced by kexec.

. "$(dirname "$0")/lib.sh"

H=$TOP/harness
OUT=$BUILD/demo
RUNS=(baseline-idle negative-unpatched pci-vtd)

"$H/test.sh" --build-only fast

# What an earlier run measured is not this one's result.
rm -rf "$OUT"
status=0
for run in "${RUNS[@]}"; do
	step "$run: $("$H/vm.sh" --about "$run")"
	PROGRESS=1 "$H/vm.sh" "$run" || status=1
done

mkdir -p "$OUT"
"$H/report/report.sh" "$OUT" "${RUNS[@]/#/$BUILD/vm/}"
echo
cat "$OUT/report.txt"
echo
echo "picture: build/demo/report.svg, build/demo/report.png; numbers: build/demo/report.json"
[ $status = 0 ] ||
	die "a run did not go as its declaration says; see the lines marked 'not ok' above."
