#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs the tests that need no machine of their own: every function test_... of
# every tree-*.sh beside this file, each in a scratch repository with a kernel
# of a few files. Prints TAP.
#
#	host.sh [PATTERN]	only tests whose name matches

set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
COUNT=0
FAILED=0

# run_one FILE FUNCTION: in a shell of its own, so that set -e works in it.
run_one()
{
	local name status=0 why

	name=$(basename "$1" .sh)_${2#test_}
	name=${name//[_-]/ }
	[[ $name =~ $PATTERN ]] || return 0
	COUNT=$((COUNT + 1))
	bash "$HERE/tree-lib.sh" "$1" "$2" >"$LOG" 2>&1 </dev/null || status=$?
	case $status in
	0)
		echo "ok $COUNT $name"
		;;
	4)
		why=$(sed -n 's/^SKIP //p' "$LOG" | tail -n 1)
		echo "ok $COUNT $name # SKIP ${why:-without a reason}"
		;;
	*)
		FAILED=$((FAILED + 1))
		echo "not ok $COUNT $name"
		sed 's/^/# /' "$LOG"
		;;
	esac
}

PATTERN=${1:-}
LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT
for file in "$HERE"/tree-*.sh; do
	[ "$(basename "$file")" != tree-lib.sh ] || continue
	while read -r function; do
		run_one "$file" "$function"
	done < <(sed -n 's/^\(test_[a-z0-9_]*\)()$/\1/p' "$file")
done
echo "1..$COUNT"
[ "$COUNT" -gt 0 ] && [ "$FAILED" = 0 ]
