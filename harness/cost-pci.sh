#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What preserved functions cost: instructions from the kexec call to the next user
# space with 1, 8 and many of them beside none, and of freezing and thawing each.
# One machine with all in it, which QEMU counts (-icount).
#
#	cost-pci.sh cost-pci		64 without an IOMMU
#	cost-pci.sh cost-vtd-many	32 behind VT-d

. "$(dirname "$0")/lib.sh"

LIMIT=1.05	# with 8 functions

"$TOP/harness/vm.sh" "$1" >&2 || die "the $1 machine failed, see above."

awk -v limit="$LIMIT" '
/cycles at kexec:/ { kexec = $NF }
/cycles of freezing and thawing/ { off[$(NF - 1) + 0] = $NF; order[++runs] = $(NF - 1) + 0 }
kexec && /cycles at user space of kernel [2468]:/ {
	boot[order[runs]] = $NF - kexec
	kexec = 0
}
END {
	print "1..3"
	for (i = 2; i <= runs; i++) {
		n = order[i]
		if (!(n in boot) || !(0 in boot) || !off[n] || !off[0]) {
			printf "not ok %d - %d functions: not measured\n", i - 1, n
			bad++
			continue
		}
		ratio = boot[n] / boot[0]
		good = n != 8 || ratio <= limit
		bad += !good
		printf "%sok %d - %d functions: %.4f times the boot without, %.2f million instructions each; freezing and thawing %.2f million each\n",
			good ? "" : "not ", i - 1, n, ratio,
			(boot[n] - boot[0]) / n / 1e6, (off[n] - off[0]) / n / 1e6
	}
	exit runs != 4 || bad
}' "$BUILD/vm/$1/ktap.log"
