#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What preserved memory costs the next kernel must grow with the number of its
# pieces and not with its square.  Ten times as many may cost at most LIMIT
# times as much; a kernel without one of the things that see to it costs more.
# QEMU counts the instructions, so a busy host does not matter.
#
#	kho-keys.sh [NAME...]		all, or these machines of harness/tests

. "$(dirname "$0")/lib.sh"

LIMIT=15

# costs NAME: "NONE FEW MANY", instructions from the kexec call to user space.
costs()
{
	"$TOP/harness/vm.sh" "$1" >&2 ||
		die "the $1 machine failed, see above."
	awk '/cycles at kexec:/ { kexec = $NF }
	     kexec && /cycles at user space of kernel [246]:/ {
		printf "%.0f ", $NF - kexec
		kexec = 0
	     }' \
		"$BUILD/vm/$1/ktap.log"
}

# judge NUMBER NAME COSTS: a control is good when it is over the limit.
judge()
{
	awk -v n="$1" -v name="$2" -v costs="$3" -v limit="$LIMIT" \
	    -v control="$([[ $2 =~ ^kho-keys(-mixed)?$ ]] || echo 1)" '
	BEGIN {
		if (split(costs, c, " ") != 3) {
			printf "not ok %d - %s: not measured\n", n, name
			exit 1
		}
		ratio = (c[3] - c[1]) / (c[2] - c[1])
		good = control ? ratio > limit : ratio > 0 && ratio <= limit
		printf "%sok %d - %s: ten times the pieces cost %.1f times as much (%.1f, %.1f, %.1f million instructions)\n",
			good ? "" : "not ", n, name, ratio,
			c[1] / 1e6, c[2] / 1e6, c[3] / 1e6
		exit !good
	}'
}

[ $# -gt 0 ] || set -- kho-keys kho-keys-mixed kho-keys-base \
	kho-keys-bisection kho-keys-order
status=0
number=0
echo "1..$#"
for name; do
	measured=$(costs "$name")
	judge $((++number)) "$name" "$measured" || status=1
done
exit $status
