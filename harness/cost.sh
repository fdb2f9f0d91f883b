#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the series costs a kernel that preserves nothing: instructions of a
# boot, and from the kexec call to the next user space, beside the pristine
# kernel's in the same run.  QEMU counts them (-icount), so a busy host does
# not matter; what is left is the order of interrupts, below a thousandth in
# the smallest of five runs.
#
# The limit is for everything that was added. Most of it is the image,
# which has become larger and is unpacked at some ten instructions a byte; the
# rest is listing tags in sysfs, where live update is on.

. "$(dirname "$0")/lib.sh"

RUNS=${RUNS:-5}
LIMIT=1.009

# cycles WHICH: "BOOT KEXEC", the smallest of RUNS each.
cycles()
{
	local which=$1 run

	for ((run = 0; run < RUNS; run++)); do
		"$TOP/harness/vm.sh" "cost-$which" >&2 ||
			die "the cost-$which machine failed, see above."
		awk '/cycles at user space of kernel 1:/ { boot = $NF }
		     /cycles at kexec:/ { kexec = $NF }
		     boot && kexec && /cycles at user space of kernel 2:/ { print boot, $NF - kexec }' \
			"$BUILD/vm/cost-$which/ktap.log"
	done | awk -v RUNS="$RUNS" '
		NR == 1 || $1 < boot { boot = $1 }
		NR == 1 || $2 < kexec { kexec = $2 }
		END { if (NR != RUNS) exit 1; print boot, kexec }'
}

# compare NUMBER TEXT BASE TREE
compare()
{
	awk -v n="$1" -v text="$2" -v base="$3" -v tree="$4" -v limit="$LIMIT" '
	BEGIN {
		ratio = tree / base
		printf "%sok %d - %s: %.5f times the pristine kernel, %.1f million instructions\n",
			ratio <= limit ? "" : "not ", n, text, ratio, tree / 1e6
		exit ratio > limit
	}'
}

# Not inside the read: a machine that fails must end this script.
base=$(cycles base)
tree=$(cycles tree)
read -r base_boot base_kexec <<<"$base"
read -r tree_boot tree_kexec <<<"$tree"
status=0
echo "1..2"
compare 1 "boot" "$base_boot" "$tree_boot" || status=1
compare 2 "kexec" "$base_kexec" "$tree_kexec" || status=1
exit $status
