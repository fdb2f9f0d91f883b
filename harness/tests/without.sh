#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Patches of controls that only `make test-full` builds: do they apply to the tree?
# Prints TAP.

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../tap.sh"

for patch in "$TOP"/harness/without/alone/*.patch; do
	if git -C "$BUILD/linux" apply --check "$patch"; then
		point ok "$(basename "$patch") applies"
	else
		point "not ok" "$(basename "$patch") applies"
	fi
done
echo "1..$N"
exit $FAILED
