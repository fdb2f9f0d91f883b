#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Serialized data of live updates, tested without a machine.
#
#	abi.sh test		golden blobs and 100,000 mutants of each; TAP
#	abi.sh controls		the same with each check off, which must be noticed; TAP
#	abi.sh grow		a field appended to each struct: noticed, and then harmless; TAP
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

# --- controls: a test must fail when a check is off

# without_check REASON: luo_abi.c with one way to refuse less.
without_check()
{
	local reason=$1

	sed -E "s/return (luo_abi_fail\(r, LUO_REASON_$reason,)/if (0) return \1/" \
		"$TREE/$LUO/luo_abi.c" >"$OUT/control/luo_abi.c"
}

# What is not refused for a reason of its own: a name, and how to do without.
rules()
{
	cat <<-'EOF'
	that a writer uses only declared fields and features	/^static bool luo_abi_can_be_written/,/^}/s/if \(luo_abi_check_fields\(.*/if (true)/
	that each field needs its own feature	/^static bool luo_abi_is_covered/,/^}/s/return .*/return needs \&\& (needs == LUO_ABI_ALWAYS || (needs \& incompat) || incompat);/
	of known flags and values	/^static bool luo_abi_value_is_known/,/^}/s/^\tif \(/\treturn true;\n&/
	of complete declarations	/^bool luo_abi_format_is_complete/,/^}/s/^\tif \(/\treturn true;\n&/
	of features set during the freeze	s/^\t\tw->late \|= .*/\t\t;/
	of the number of records and entries	/^static bool luo_abi_number_can_be_written/,/^}/s/if \(number <= max.*/if (true ||/
	of a record's features by the writer	/^static bool luo_abi_record_can_be_sealed/,/^}/s/\(record->incompat \& /(false \&\& /
	of a record type's feature	/^static bool luo_abi_record_can_be_sealed/,/^}/s/ \|\| !luo_abi_is_covered\(.*\) \|\|$/ ||/
	of the number of blocks	s/^(\t\tif \()(\+\+r->blocks > LUO_ABI_MAX_BLOCKS)/\1false \&\& \2/
	EOF
}

# control WHAT: luo_abi.c without it must be noticed.
control()
{
	local what=$1

	if cmp -s "$TREE/$LUO/luo_abi.c" "$OUT/control/luo_abi.c"; then
		point "not ok" "control: there is no check $what"
	elif ! in_tree "$OUT/control/abi" LUO_ABI="$OUT/control/luo_abi.c" \
		>"$OUT/log" 2>&1; then
		sed 's/^/# /' "$OUT/log"
		point "not ok" "control: without the check $what it does not build"
	elif timeout 60 "$OUT/control/abi" test 5000 1 >"$OUT/log" 2>&1; then
		point "not ok" "control: no test fails without the check $what"
	else
		sed -n '/^not ok/{ s/^/# /p; q }' "$OUT/log"
		point ok "control: the check $what is missed"
	fi
	rm -f "$OUT/control/abi"
}

controls()
{
	local reason what script

	in_tree all >&2
	rm -rf "$OUT/control"
	mkdir -p "$OUT/control"
	cp "$TREE/$LUO"/luo_abi_internal.h "$OUT/control/"
	for reason in $(sed -nE 's/^\tLUO_REASON_(\w+)\t*= [1-9].*/\1/p' \
		"$TREE/include/uapi/linux/luo/abi.h"); do
		# What a value means is for the owner of the tag to check.
		[ "$reason" != VALUE ] || continue
		without_check "$reason"
		control "for $reason"
	done
	while IFS=$'\t' read -r what script; do
		sed -E "$script" "$TREE/$LUO/luo_abi.c" >"$OUT/control/luo_abi.c"
		control "$what"
	done < <(rules)
	echo "1..$N"
}

# --- growth: a field is appended to each struct in turn

# small_tree DIR: as much of the tree as the program is built from.
small_tree()
{
	local dir=$1 path

	rm -rf "$dir"
	for path in $LUO drivers/pci drivers/iommu drivers/vfio/pci include/uapi/linux \
		include/linux/kho/abi "${ABI#"$TREE"/}"; do
		mkdir -p "$dir/$path"
	done
	cp -r "$TREE/$LUO"/{luo_abi*.[ch],kho_block.c,kexec_handover_internal.h,golden} "$dir/$LUO/"
	cp "$TREE"/drivers/pci/liveupdate_wire.[ch] "$dir/drivers/pci/"
	cp "$TREE"/drivers/iommu/iommu_liveupdate_wire.[ch] "$dir/drivers/iommu/"
	cp "$TREE"/drivers/vfio/pci/vfio_pci_liveupdate_wire.[ch] "$dir/drivers/vfio/pci/"
	cp -r "$TREE/include/uapi/linux/luo" "$TREE/include/uapi/linux/pci_regs.h" \
		"$dir/include/uapi/linux/"
	cp "$TREE"/include/linux/{kho_block,luo_abi,luo_tag}.h "$dir/include/linux/"
	cp "$TREE/include/linux/kho/abi/block.h" "$dir/include/linux/kho/abi/"
	cp "$ABI"/* "$dir/${ABI#"$TREE"/}/"
	ln -s "$TREE/tools/include" "$dir/tools/include"
}

# wire_of STRUCT: the file that declares it.
wire_of()
{
	grep -lE "LUO_ABI_FIELDS\(struct $1," "$GROWN/$LUO/luo_abi_example.c" \
		"$GROWN/drivers/pci/liveupdate_wire.c" \
		"$GROWN/drivers/iommu/iommu_liveupdate_wire.c" \
		"$GROWN/drivers/vfio/pci/vfio_pci_liveupdate_wire.c"
}

# grown_run: the tests on the small tree. Few mutants reach everything, and the
# newest golden blob is not what is written now: both are right here.
grown_run()
{
	make -s -C "$GROWN/${ABI#"$TREE"/}" O="$OUT/grown-out" LAYOUTS= \
		SANITIZE="-O0 -g0" all >"$OUT/log" 2>&1 || return 1
	"$OUT/grown-out/abi" test 100 1 >"$OUT/log" 2>&1
	grep -q '^1\.\.' "$OUT/log" || return 1
	grep '^not ok' "$OUT/log" |
		grep -vE ': a mutant is refused|: same state, same bytes' >"$OUT/broken"
	true
}

grown_works() { grown_run && [ ! -s "$OUT/broken" ]; }

# grown_fails POINT
grown_fails() { grown_run && grep -qE "$1" "$OUT/broken"; }

append_field()
{
	sed -i -E "/^struct $1 \{/,/^\}/s/^\} __attribute/\t__u64\tappended;\n&/" \
		"$GROWN"/include/uapi/linux/luo/*.h
}

# declare_field STRUCT: behind its last declaration, with a feature of the tag.
declare_field()
{
	local wire=$2

	# A tag without features gets one.
	grep -q '^\t*\.incompat = ' "$wire" ||
		sed -i -E 's/^\t\.magic = /\t.incompat = 1,\n&/' "$wire"
	awk -v type="$1" '
	index($0, "(struct " type ",") && /^\tLUO_ABI_(FIELDS|FLAGS|VALUES|APPENDED|RESERVED)\(/ { last = NR }
	/^};/ && last && !done { print "\tLUO_ABI_APPENDED(struct " type ", appended, 1),"; done = 1 }
	{ print }' "$wire" >"$GROWN/wire.c"
	mv "$GROWN/wire.c" "$wire"
}

grow_struct()
{
	local type=$1 wire

	small_tree "$GROWN"
	wire=$(wire_of "$type") || die "no file declares the fields of struct $type."
	append_field "$type"
	good "$type: an appended field without declaration is noticed" \
		grown_fails 'the declarations of all tags are complete'
	declare_field "$type" "$wire"
	good "$type: an appended field leaves older blobs readable" \
		grown_works
	sed -i -E "/LUO_ABI_TYPE\(.*, struct $type,/{
		:more; /[0-9]+,[ \n\t]+[a-z_]+\),$/!{ N; b more }
		s/[0-9]+(,[ \n\t]+[a-z_]+\),)$/sizeof(struct $type)\1/ }" "$wire"
	good "$type: control: with its present size as the first, they are not" \
		grown_fails '(: accepted|declarations of all tags)'
}

# Of the structs that all tags have in common.
grow_common()
{
	local type=$1 set=$2

	small_tree "$GROWN"
	append_field "$type"
	# What the assertion there asks for is not part of this.
	sed -i -E '/^static_assert\(sizeof\(struct luo_abi_(header|array)\)/d' \
		"$GROWN/$LUO/luo_abi.c"
	good "$type: an appended field leaves older blobs readable" \
		grown_works
	# What the writer puts there the checksum must cover.
	sed -i -E "$set" "$GROWN/$LUO/luo_abi.c"
	good "$type: an appended field can be other than 0" \
		grown_works
}

grow()
{
	local type

	GROWN=$OUT/grown
	while read -r type; do
		grow_struct "$type"
	done < <(sed -nE 's/^struct (luo_\w+) \{/\1/p' \
		"$TREE"/include/uapi/linux/luo/{example,pci,iommu,vfio_pci}.h)
	grow_common luo_abi_header 's/^\t\t\.arch\t\t= /\t\t.appended = 42,\n&/'
	sed -i -E '/^\t\*w->blob = head;/{ h; d }; /^\tw->blob->crc = /G' "$GROWN/$LUO/luo_abi.c"
	good "luo_abi_header: control: a checksum before the header is wrong" \
		grown_fails 'features are those in use'
	grow_common luo_abi_array 's/^\tarray->stride = /\tarray->appended = 42;\n&/'
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

# Two names with one number could not be told apart.
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

is_packed_and_unique()
{
	local path bad=0 layouts

	mapfile -t layouts < <(sed -nE "s|^([a-z_/]+_layout)\t.*|$TREE/\1.c|p" \
		"$ABI/abi-check.sh")
	for path in "${layouts[@]}"; do
		has_no_hole "$path" || bad=1
	done
	for path in "$TREE"/include/uapi/linux/luo/*.h; do
		numbers_are_unique "$path" || bad=1
		[ "$(grep -c '^struct .* {$' "$path")" = "$(grep -c '^} __attribute__((packed));$' "$path")" ] ||
			{ echo "$path has a struct that is not packed"; bad=1; }
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
	good "structs are packed and numbers are unique" is_packed_and_unique
	good "an assertion fails when a field moves" assertion_bites \
		's/^\t__u32\tcrc;/\t__u32\tmore;\n&/'
	good "an assertion fails when a number changes" assertion_bites \
		's/(LUO_ABI_TAG_FLB\t*= )2/\15/'
	headers
	good "nothing differs from the descriptions and the assertions" \
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
grow) grow ;;
layout) layout ;;
check) "$ABI/abi-check.sh" check "$BUILD/kernel/fast"; exit ;;
update)
	# With a changed header it builds only after this.
	[ -e "$BUILD/kernel/fast/.config" ] || "$TOP/harness/kernel.sh" image tree fast >/dev/null
	LUO_ABI_TOP=$TOP "$ABI/abi-check.sh" update "$BUILD/kernel/fast"
	exit
	;;
fuzz)
	in_tree fuzz FOR="${2:-60}"
	coverage
	exit
	;;
golden) in_tree golden; exit ;;
*) die "usage: abi.sh test|controls|grow|layout|check|update|fuzz|golden" ;;
esac
exit $FAILED
