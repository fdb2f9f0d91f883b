#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What crosses a live update, tested without a machine.
#
#	abi.sh test		golden blobs and 100,000 mutants of each; TAP
#	abi.sh controls		the same with each check off, which must be noticed; TAP
#	abi.sh layout		descriptions, assertions, uAPI headers; TAP
#	abi.sh check|update	compare with the descriptions, or append to them
#	abi.sh fuzz [SECONDS]	libFuzzer, and how many lines of luo_abi.c it reaches
#	abi.sh golden		write the newest golden blobs
#
# SEED=N repeats a run of mutants.

. "$(dirname "$0")/lib.sh"

TREE=$BUILD/linux
ABI=$TREE/tools/testing/selftests/liveupdate/abi
OUT=$BUILD/abi
LUO=kernel/liveupdate

. "$(dirname "$0")/tap.sh"

# good WHAT COMMAND...
good()
{
	local what=$1
	shift
	if "$@" >"$OUT/log" 2>&1; then
		point ok "$what"
	else
		sed 's/^/# /' "$OUT/log" | tail -n 20
		point "not ok" "$what"
	fi
}

in_tree() { make -s -C "$ABI" O="$OUT" "$@"; }

run_test()
{
	in_tree all >&2
	"$OUT/abi" test 100000 ${SEED-}
}

# --- controls: a check that is off must be missed by somebody

# without_check REASON: luo_abi.c with one way to refuse less.
without_check()
{
	local reason=$1

	sed -E "s/return (luo_abi_fail\(r, LUO_REASON_$reason,)/if (0) return \1/" \
		"$TREE/$LUO/luo_abi.c" >"$OUT/control/luo_abi.c"
	! cmp -s "$TREE/$LUO/luo_abi.c" "$OUT/control/luo_abi.c"
}

controls()
{
	local reason

	in_tree all >&2
	rm -rf "$OUT/control"
	mkdir -p "$OUT/control"
	cp "$TREE/$LUO"/luo_abi_internal.h "$OUT/control/"
	for reason in $(sed -nE 's/^\tLUO_REASON_(\w+)\t*= [1-9].*/\1/p' \
		"$TREE/include/uapi/linux/luo/abi.h"); do
		# What a value means is for the owner of the tag to check.
		[ "$reason" != VALUE ] || continue
		if ! without_check "$reason"; then
			point "not ok" "control: there is no check for $reason"
			continue
		fi
		if ! in_tree "$OUT/control/abi" LUO_ABI="$OUT/control/luo_abi.c" \
			>"$OUT/log" 2>&1; then
			sed 's/^/# /' "$OUT/log"
			point "not ok" "control: without $reason it does not build"
		elif timeout 60 "$OUT/control/abi" test 5000 1 >"$OUT/log" 2>&1; then
			point "not ok" "control: nobody misses the check for $reason"
		else
			point ok "control: the check for $reason is missed"
		fi
		rm -f "$OUT/control/abi"
	done
	echo "1..$N"
}

# --- layout

# uAPI headers are C90 and C++ and know no 64-bit long.
header_builds()
{
	local header=$1
	shift

	echo "#include <linux/luo/$header.h>" >"$OUT/header.c"
	"$@" -fsyntax-only -Wall -Werror -nostdinc -I"$BUILD/headers/include" "$OUT/header.c"
}

headers()
{
	local path header

	"$TOP/harness/kernel.sh" headers >/dev/null
	for path in "$TREE"/include/uapi/linux/luo/*.h; do
		header=$(basename "$path" .h)
		good "$header.h is installed" test -e "$BUILD/headers/include/linux/luo/$header.h"
		good "$header.h is C90" header_builds "$header" gcc -std=c90
		good "$header.h is C++" header_builds "$header" g++ -std=c++98 -x c++
		good "$header.h is C for 32 bits" header_builds "$header" gcc -std=c90 -m32
	done
}

# What the layout files must have of a header: each struct's size, each field's
# place and width, each number.
assertions_for()
{
	awk '
	/^struct .* \{/ { type = $2; print "sizeof(struct " type ")" }
	/^\}/ { type = "" }
	type && /;$/ {
		field = $NF
		sub(/(\[.*)?;$/, "", field)
		print "offsetof(struct " type ", " field ")"
		print "sizeof_field(struct " type ", " field ")"
	}
	!type && /^\tLUO_[A-Z0-9_]+\t*= / { print $1 }' "$1"
}

# Packed, and without a hole: what is not a field is not 0 by itself.
has_no_hole()
{
	awk '
	/^static_assert\(sizeof\(struct / { if (size && at != size) { print last ": " at " of " size " bytes are fields"; bad = 1 }
		last = $2; size = $NF + 0; at = 0 }
	/^static_assert\(offsetof/ { if ($NF + 0 != at) { print "a hole before " $0; bad = 1 } }
	/^static_assert\(sizeof_field/ { at += $NF }
	END { if (size && at != size) { print last ": " at " of " size " bytes are fields"; bad = 1 }; exit bad }' "$1"
}

# One number for two things would be told apart by nobody.
numbers_are_unique()
{
	# A number may stand in two lines.
	sed -E ':more; /\|$/ { N; s/\n[ \t]*/ /; b more }' "$1" | awk '
	/^enum / { split("", seen) }
	/^\tLUO_.*= / {
		number = $0
		gsub(/.*= |,.*/, "", number)
		if (number in seen) { print $1 " and " seen[number] " are both " number; bad = 1 }
		seen[number] = $1
	}
	END { exit bad }'
}

everything_is_nailed()
{
	local path what bad=0 layouts

	mapfile -t layouts < <(sed -nE "s|^([a-z_/]+_layout)\t.*|$TREE/\1.c|p" \
		"$ABI/abi-check.sh")
	for path in "${layouts[@]}"; do
		has_no_hole "$path" || bad=1
	done
	for path in "$TREE"/include/uapi/linux/luo/*.h; do
		numbers_are_unique "$path" || bad=1
		[ "$(grep -c '^struct .* {$' "$path")" = "$(grep -c '^} __attribute__((packed));$' "$path")" ] ||
			{ echo "$path has a struct that is not packed"; bad=1; }
		while read -r what; do
			grep -qE "^static_assert\((!__builtin_strcmp\()?$what[, ]" "${layouts[@]}" ||
				{ echo "$what is not in a layout file"; bad=1; }
		done < <(sed -nE 's/^#define (LUO_[A-Z0-9_]+)[ \t]+.*/\1/p' "$path")
	done
	cat "${layouts[@]}" >"$OUT/layout"
	for path in "$TREE"/include/uapi/linux/luo/*.h; do
		while read -r what; do
			grep -qF "static_assert($what == " "$OUT/layout" ||
				{ echo "$what is not in a layout file"; bad=1; }
		done < <(assertions_for "$path")
	done
	return $bad
}

# The assertions themselves: a header with a change must not build.
assertion_bites()
{
	local overlay=$OUT/overlay command

	rm -rf "$overlay"
	mkdir -p "$overlay/linux/luo"
	sed -E "$1" "$TREE/include/uapi/linux/luo/abi.h" >"$overlay/linux/luo/abi.h"
	cp "$TREE/include/uapi/linux/luo/example.h" "$overlay/linux/luo/"
	! cmp -s "$TREE/include/uapi/linux/luo/abi.h" "$overlay/linux/luo/abi.h" || return 1
	command=$(sed -n 's/^savedcmd_[^ ]* := //p' \
		"$BUILD/kernel/fast/$LUO/.luo_abi_layout.o.cmd" |
		sed -E 's/ ;.*//; s/-Wp,-MMD,[^ ]* //; s/ -o [^ ]*\.o / /')
	cd "$BUILD/kernel/fast" &&
		eval "$command -fsyntax-only" &&
		! eval "${command/gcc /gcc -I$overlay } -fsyntax-only"
}

# The table of reasons in the documentation is the one in the code.
reasons_are_documented()
{
	in_tree all >&2
	"$OUT/abi" reasons >"$OUT/reasons"
	sed -nE 's/^   ([0-9]+) +(-E[A-Z]+) +(.*)$/\1|\2|\3/p' \
		"$TREE/Documentation/core-api/liveupdate-abi.rst" |
		diff "$OUT/reasons" -
}

layout()
{
	good "the documentation's reasons are the code's" reasons_are_documented
	good "everything is nailed down" everything_is_nailed
	good "an assertion fails when a field moves" assertion_bites \
		's/^\t__u32\tcrc;/\t__u32\tmore;\n&/'
	good "an assertion fails when a number changes" assertion_bites \
		's/(LUO_ABI_TAG_FLB\t*= )2/\15/'
	headers
	good "nothing differs from the description" \
		"$ABI/abi-check.sh" check "$BUILD/kernel/fast"
	"$ABI/abi-check.sh" selftest "$BUILD/kernel/fast" >"$OUT/selftest" || true
	while read -r line; do
		case $line in
		"ok "*) point ok "description: ${line#* - }" ;;
		"not ok "*) point "not ok" "description: ${line#* - }" ;;
		"#"*) echo "$line" ;;
		esac
	done <"$OUT/selftest"
	coverage
	echo "1..$N"
}

coverage()
{
	local percent

	percent=$(in_tree coverage | sed -nE 's/^Lines executed:([0-9.]+)%.*/\1/p')
	if awk -v p="$percent" 'BEGIN { exit !(p > 95) }'; then
		point ok "the mutants reach $percent % of luo_abi.c's lines"
	else
		point "not ok" "the mutants reach ${percent:-no} % of luo_abi.c's lines, not 95"
	fi
}

mkdir -p "$OUT"
take_lock "$OUT/lock"
case ${1-} in
test) run_test; exit ;;
controls) controls ;;
layout) layout ;;
check) "$ABI/abi-check.sh" check "$BUILD/kernel/fast"; exit ;;
update)
	LUO_ABI_DIR=$TOP/tools/testing/selftests/liveupdate/abi \
		"$ABI/abi-check.sh" update "$BUILD/kernel/fast"
	exit
	;;
fuzz)
	in_tree fuzz FOR="${2:-60}"
	coverage
	exit
	;;
golden) in_tree golden; exit ;;
*) die "usage: abi.sh test|controls|layout|check|update|fuzz|golden" ;;
esac
exit $FAILED
