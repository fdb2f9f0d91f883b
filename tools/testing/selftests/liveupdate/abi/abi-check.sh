#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Check whether the formats of serialized data have changed: compares the debug
# information of a kernel with the description that is checked in beside this script,
# and the assertions of the layout files with the headers.
#
#	abi-check.sh check KBUILD_OUTPUT	fails on any difference
#	abi-check.sh update KBUILD_OUTPUT	takes over what was appended, no more
#	abi-check.sh create KBUILD_OUTPUT	describes what has no description yet
#	abi-check.sh selftest KBUILD_OUTPUT	is each kind of change caught?
#
# Nothing of a format is written by hand but its header: update and create write the
# descriptions and the assertions. The kernel need not build for that, but must have
# been built before. LUO_ABI_TOP is the tree to write to, if not this one.

set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd -P)
SOURCE=$(cd "$HERE/../../../../.." && pwd -P)
TOP=${LUO_ABI_TOP:-$SOURCE}
DIR=$TOP/${HERE#"$SOURCE"/}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# One line for each header: its layout file, and the headers it nails down.
LAYOUTS='
kernel/liveupdate/luo_abi_layout	abi
kernel/liveupdate/luo_example_layout	example
drivers/pci/liveupdate_layout	pci
drivers/iommu/iommu_liveupdate_layout	iommu vtd
drivers/vfio/pci/vfio_pci_liveupdate_layout	vfio_pci
'

die() { echo "abi-check: error: $*" >&2; exit 2; }

for tool in abidw abidiff; do
	command -v "$tool" >/dev/null ||
		die "$tool is missing: install abigail-tools (Debian) or libabigail."
done

each_layout() { sed '/^$/d' <<<"$LAYOUTS"; }

# describe LAYOUT "HEADER..." OUT [INCLUDE-DIR]: as the kernel compiles it. With
# a directory, headers are looked for there first. The assertions may be broken: they
# are compared by themselves.
describe()
{
	local layout=$1 headers=$2 out=$3 overlay=${4-} header command dir
	local cmd=$OUTPUT/${layout%/*}/.${layout##*/}.o.cmd

	[ -e "$cmd" ] || die "$layout.c is not built: build the kernel in $OUTPUT first."
	command=$(sed -n 's/^savedcmd_[^ ]* := //p' "$cmd" | sed -E '
		s/ ;.*//; s/-Wp,-MMD,[^ ]* //; s/ -o [^ ]*\.o / /
		s|[^ ]*/'"${layout##*/}"'\.c||')
	command=${command/gcc /gcc ${overlay:+-I$overlay }-D\'_Static_assert(...)=\' }

	{
		echo "#include \"$SOURCE/$layout.c\""
		for header in $headers; do
			dir=$SOURCE/include/uapi
			[ -z "$overlay" ] || dir=$overlay
			sed -nE 's/^(struct|enum) (luo_[a-z0-9_]+) \{.*/\1 \2 \2_;/p' \
				"$dir/linux/luo/$header.h"
		done
	} >"$WORK/describe.c"
	(cd "$OUTPUT" && eval "$command -g -Wno-error -o $WORK/describe.o $WORK/describe.c") ||
		die "$layout.c does not compile by itself."
	abidw --no-show-locs --no-corpus-path --no-comp-dir-path \
		"$WORK/describe.o" | sed -E "s| path='[^']*'||" >"$out"
}

# print_assertions HEADER: the statements of a program that prints them. Numbers are
# hexadecimal where the header has a #define or flags.
print_assertions()
{
	# A value may stand in two lines.
	sed -E ':more; /\|$/ { N; s/\n[ \t]*/ /; b more }' "$1" | awk '
	function say(what, value, hex) {
		printf "say(\"%s\", %s, %d);\n", what, value, hex
	}
	/^#define LUO_[A-Z0-9_]+[ \t]/ {
		if (/"/)
			printf "say_text(\"%s\", %s);\n", $2, $2
		else
			say($2, $2, 1)
		print "gap = 1;"
	}
	/^(enum|struct) luo_[a-z0-9_]+ \{$/ { type = $1 " " $2 }
	/^struct luo_[a-z0-9_]+ \{$/ {
		say("sizeof(" type ")", "sizeof(" type ")", 0)
	}
	/^\}/ { type = ""; print "gap = 1;" }
	type ~ /^struct/ && /;$/ {
		sub(/(\[.*)?;$/, "", $NF)
		field = "(" type ", " $NF ")"
		say("offsetof" field, "offsetof" field, 0)
		say("sizeof_field" field, "sizeof_field" field, 0)
	}
	type ~ /^enum/ && /^\tLUO_[A-Z0-9_]+[ \t]*= / {
		say($1, $1, /0x|<<|\|/)
	}'
}

# assertions LAYOUT "HEADER...": the layout file as it has to be, with its own head.
assertions()
{
	local header

	{
		cat <<-'EOF'
		#include <stddef.h>
		#include <stdio.h>
		#define sizeof_field(type, field) sizeof(((type *)0)->field)
		static int gap;
		static void begin(void) { if (gap) puts(""); gap = 0; }
		static void say(const char *what, unsigned long long value, int hex)
		{
			begin();
			printf(hex && value > 9 ? "static_assert(%s == 0x%llx);\n" :
				"static_assert(%s == %llu);\n", what, value);
		}
		static void say_text(const char *what, const char *text)
		{
			begin();
			printf("static_assert(!__builtin_strcmp(%s, \"%s\"));\n", what, text);
		}
		EOF
		printf '#include <linux/luo/%s.h>\n' $2
		echo 'int main(void) {'
		for header in $2; do
			print_assertions "$SOURCE/include/uapi/linux/luo/$header.h"
		done
		echo 'return 0; }'
	} >"$WORK/assertions.c"
	gcc -w -idirafter "$SOURCE/include/uapi" -o "$WORK/assertions" \
		"$WORK/assertions.c" || die "the headers of $1.c do not compile."
	sed -n '/^static_assert/q; p' "$SOURCE/$1.c"
	"$WORK/assertions"
}

# What abidiff says of an append, and nothing else, line by line.
only_appended()
{
	awk '
	/^$/ || /changes summary:/ || /^[0-9]+ (Changed|Added) variables?:/ { next }
	/^  \[[CA]\] / || /(type of variable|size of symbol) changed/ { next }
	/[0-9]+ (data member|enumerator) insertions?:/ { next }
	# A field that does not make its struct larger is in a hole.
	/type size hasn.t changed/ { old = 2 ^ 53; next }
	/type size changed from [0-9]+ to [0-9]+/ { old = $5; next }
	/, at offset [0-9]+ \(in bits\)/ { if ($(NF - 2) >= old) next }
	# A whole reserved field is put to use, with a feature of its tag. There is
	# no such feature for what all tags have in common.
	/^ *[0-9]+ data member changes?:/ { next }
	/name of .luo_[a-z0-9_]+::reserved. changed to/ && !/luo_abi_/ { next }
	/^ *.luo_[a-z0-9_]+::LUO_[A-Z0-9_]+. value / { next }
	{ print "not an append: " $0; bad = 1 }
	END { exit bad }' "$1"
}

# compare LAYOUT NEW: 0 the same, 1 appended, 2 anything else.
compare()
{
	local old=$DIR/${1##*/}.abi status=0

	[ -e "$old" ] || { echo "$old is missing: see abi-check.sh create"; return 2; }
	abidiff --harmless "$old" "$2" >"$WORK/report" || status=$?
	[ $((status & 3)) = 0 ] || die "abidiff cannot compare $old with what is built."
	[ $status != 0 ] || grep -q '^ *\[' "$WORK/report" || return 0
	cat "$WORK/report"
	only_appended "$WORK/report" && return 1
	return 2
}

# asserts LAYOUT "HEADER...": is everything asserted, and nothing else?
asserts()
{
	assertions "$1" "$2" | diff "$SOURCE/$1.c" - >"$WORK/said"
}

# write_down LAYOUT "HEADER...": what describe() has left in new.abi, and the assertions.
write_down()
{
	cp "$WORK/new.abi" "$DIR/${1##*/}.abi"
	assertions "$1" "$2" >"$WORK/layout.c"
	cmp -s "$WORK/layout.c" "$TOP/$1.c" || cp "$WORK/layout.c" "$TOP/$1.c"
}

# A header that is in no layout, or a type that is written in another way than
# describe() looks for, would not be described.
everything_is_described()
{
	local any='\b(struct|enum|union)\b' header name bad=0
	local any_type="^[^*]*$any.*\{|^(struct|enum|union)\b[^;]*\$"

	for header in "$SOURCE"/include/uapi/linux/luo/*.h; do
		name=$(basename "$header" .h)
		each_layout | cut -f2- | tr '\t ' '\n\n' | grep -qx "$name" ||
			{ echo "# $name.h is in no line of LAYOUTS"; bad=1; }
		[ "$(grep -cE "$any_type" "$header")" = \
		  "$(grep -cE '^(struct|enum) luo_[a-z0-9_]+ \{$' "$header")" ] || {
			echo "# $name.h: a type is not written 'struct luo_NAME {'"
			bad=1
		}
	done
	return $bad
}

check()
{
	local layout headers status bad=0 n=1

	if everything_is_described; then
		echo "ok 1 - every type is described"
	else
		echo "not ok 1 - every type is described"
		bad=1
	fi
	while read -r layout headers; do
		n=$((n + 1)) status=0
		describe "$layout" "$headers" "$WORK/new.abi"
		compare "$layout" "$WORK/new.abi" >"$WORK/said" || status=$?
		sed 's/^/# /' "$WORK/said"
		case $status in
		0) echo "ok $n - ${layout##*/}: as described" ;;
		1) echo "not ok $n - ${layout##*/}: appended to, but abi-update is missing" ;;
		*) echo "not ok $n - ${layout##*/}: changed, which no older kernel knows" ;;
		esac
		[ $status = 0 ] || bad=1
		n=$((n + 1))
		if asserts "$layout" "$headers"; then
			echo "ok $n - ${layout##*/}: asserted"
		else
			sed 's/^/# /' "$WORK/said"
			echo "not ok $n - ${layout##*/}: not asserted, abi-update is missing"
			bad=1
		fi
	done < <(each_layout)
	echo "1..$n"
	return $bad
}

update()
{
	local layout headers status

	while read -r layout headers; do
		status=0
		describe "$layout" "$headers" "$WORK/new.abi"
		compare "$layout" "$WORK/new.abi" || status=$?
		[ $status != 2 ] ||
			die "${layout##*/}: this is not an append, and will not be described."
		[ $status != 0 ] || asserts "$layout" "$headers" ||
			status=1
		[ $status = 0 ] || write_down "$layout" "$headers"
	done < <(each_layout)
}

create()
{
	local layout headers

	while read -r layout headers; do
		[ ! -e "$DIR/${layout##*/}.abi" ] || continue
		describe "$layout" "$headers" "$WORK/new.abi"
		write_down "$layout" "$headers"
	done < <(each_layout)
}

# change NUMBER WANT WHAT SED: the headers with a change must compare as WANT.
change()
{
	local n=$1 want=$2 what=$3 script=$4 status=0 dir=$WORK/overlay
	local header=abi layout=kernel/liveupdate/luo_abi_layout

	rm -rf "$dir"
	mkdir -p "$dir/linux/luo"
	cp "$SOURCE"/include/uapi/linux/luo/*.h "$dir/linux/luo/"
	sed -i -E "$script" "$dir"/linux/luo/{abi,example}.h
	cmp -s "$dir/linux/luo/example.h" "$SOURCE/include/uapi/linux/luo/example.h" ||
		header=example layout=kernel/liveupdate/luo_example_layout
	if diff -rq "$SOURCE/include/uapi/linux/luo" "$dir/linux/luo" >/dev/null; then
		echo "not ok $n - $what: the change changes nothing"
		return
	fi
	describe "$layout" "$header" "$WORK/changed.abi" "$dir"
	compare "$layout" "$WORK/changed.abi" >"$WORK/said" || status=$?
	if [ $status = "$want" ]; then
		echo "ok $n - $what: $(case $want in
			0) echo accepted ;; 1) echo an append ;; 2) echo caught ;; esac)"
	else
		echo "not ok $n - $what: $status, not $want"
		sed 's/^/# /' "$WORK/said"
	fi
}

selftest()
{
	echo "1..17"
	change 1 0 "a comment" '1s|$| /* */|'
	change 2 2 "a field moved" \
		'/^\t__u64\tincompat;/d; s/^\t__u64\tcompat;/&\n\t__u64\tincompat;/'
	change 3 2 "a field widened" 's/^\t__u16\tarch;/\t__u32\tarch;/'
	change 4 2 "a field narrowed" 's/^\t__u32\tstride;/\t__u16\tstride;/'
	change 5 2 "a field removed" '/^\t__u32\tcompat;/d'
	change 6 2 "a field renamed" 's/^\t__u64\tlimit;/\t__u64\tmaximum;/'
	change 7 2 "a record removed" '/^struct luo_example_note \{/,/^\}/d'
	change 8 2 "a constant renumbered" 's/(LUO_ABI_TAG_FLB\t*= )2/\15/'
	change 9 2 "a constant removed" '/^\tLUO_EXAMPLE_NOTE\t/d'
	change 10 2 "a field inserted" 's/^\t__u64\ttime;/\t__u64\tmore;\n&/'
	change 11 1 "a field appended" 's/^\t__u64\terror;/&\n\t__u64\tmore;/'
	change 12 1 "a constant appended" 's/^\tLUO_EXAMPLE_NOTE\t.*/&\n\tLUO_EXAMPLE_MORE = 4,/'
	change 13 1 "a record added" \
		's/^#define LUO_EXAMPLE_NOTE_L.*/&\nstruct luo_example_more {\n\t__u64\ta;\n};/'
	change 14 2 "a constant given another's number" 's/(LUO_EXAMPLE_NOTE\t*= )3/\14/'
	change 15 1 "a reserved field put to use" 's/^\t__u32\treserved;/\t__u32\tmore;/'
	change 16 2 "a part of one" 's/^\t__u32\treserved;/\t__u16\tmore;\n\t__u16\treserved;/'
	change 17 2 "one that all tags have" 's/^\t__u16\treserved;/\t__u16\tmore;/'
}

[ $# = 2 ] || die "usage: abi-check.sh check|update|create|selftest KBUILD_OUTPUT"
OUTPUT=$(cd "$2" && pwd -P)
case $1 in
check) check ;;
update) update ;;
create) create ;;
selftest) selftest | tee "$WORK/tap"; ! grep -q '^not ok' "$WORK/tap" ;;
*) die "usage: abi-check.sh check|update|create|selftest KBUILD_OUTPUT" ;;
esac
