# SPDX-License-Identifier: GPL-2.0-only
# Sourced by scripts that print TAP: counts their points.

N=0 FAILED=0

# point ok|"not ok" WHAT
point()
{
	N=$((N + 1))
	[ "$1" = ok ] || FAILED=1
	echo "$1 $N - $2"
}
