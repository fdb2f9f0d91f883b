#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds the observer and its self-test when a source is newer.

. "$(dirname "$0")/../lib.sh"

SELFTESTS=$TOP/tools/testing/selftests/liveupdate
FLAGS=(-O2 -Wall -Wextra -I "$SELFTESTS")

up_to_date()
{
	local out=$BUILD/bin/$1

	[ -x "$out" ] && [ -z "$(find "$TOP/harness/observe" \
		"$SELFTESTS/lu_guest.h" -newer "$out" -name '*.[ch]')" ]
}

# program NAME FLAG...
program()
{
	local out=$BUILD/bin/$1
	shift

	gcc "${FLAGS[@]}" "$@" "$TOP"/harness/observe/*.c -o "$out.new" ||
		die "$(basename "$out") does not build: see the compiler's message above."
	mv "$out.new" "$out"
}

up_to_date observe && up_to_date observe-selftest && exit
mkdir -p "$BUILD/bin"
take_lock "$BUILD/observe.lock"
program observe
program observe-selftest -DOBSERVE_SELFTEST
