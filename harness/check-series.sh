#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What a maintainer would check before reading the series that build/series
# holds: checkpatch; each patch alone builds what it touches, with our options
# on and off, without a warning the base has not; at a layer boundary the whole
# kernel builds and boots.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

JOBS=${JOBS:-$(nproc)}
# 7.3 needs 17 or newer.
CLANG_VERSION=${CLANG_VERSION:-19}
TREE=$BUILD/linux
CHECK=$BUILD/check
SOURCE=$CHECK/linux
# CAMELCASE: libelf has its own way with names. MACRO_ARG_REUSE: a declaration
# names a field more than once, for its offset and its size, which has no effect.
IGNORE=FILE_PATH_CHANGES,MISSING_SIGN_OFF,NO_AUTHOR_SIGN_OFF,CAMELCASE,MACRO_ARG_REUSE
FRAGMENT=tools/testing/selftests/liveupdate/config.fast

# A header with more users than this is left to the next boundary.
MANY_USERS=20

FAULTS=0
SKIPPED=

tree_git()
{
	plain_git -c core.quotePath=false -C "$TREE" "$@"
}

source_git()
{
	plain_git -C "$SOURCE" "$@"
}

fault()
{
	FAULTS=$((FAULTS + 1))
	printf 'not ok: %s\n' "$*"
}

good()
{
	printf 'ok: %s\n' "$*"
}

skip()
{
	SKIPPED="${SKIPPED:+$SKIPPED; }$*"
	printf 'skipped: %s\n' "$*"
}

# --- checkpatch

# checkpatch goes on without it, as if it had found nothing.
probe_spdxcheck()
{
	[ -x "$TREE/scripts/spdxcheck.py" ] || return 0
	"$TREE/scripts/spdxcheck.py" --help >/dev/null 2>&1 ||
		skip "the SPDX part of checkpatch, because it needs the packages python3-ply and python3-git"
}

check_patches()
{
	local patch name count=0

	for patch in "$BUILD"/series/[0-9]*.patch; do
		name=$(basename "$patch")
		count=$((count + 1))
		if (cd "$TREE" && scripts/checkpatch.pl --strict --ignore "$IGNORE" "$patch") \
			>"$CHECK/checkpatch.log" 2>"$CHECK/checkpatch.errors"; then
			good "checkpatch $name"
		else
			cat "$CHECK/checkpatch.log"
			[ -s "$CHECK/checkpatch.log" ] || cat "$CHECK/checkpatch.errors"
			fault "checkpatch complains about $name"
		fi
	done
	[ "$count" -gt 0 ] || die "build/series is empty: run make series."
}

# --- a source to walk through, beside the one that is worked in

prepare_source()
{
	if [ ! -d "$SOURCE/.git" ]; then
		rm -rf "$SOURCE"
		need_space "$CHECK" 6
		step "making a second work tree"
		plain_git clone -q --shared --no-checkout --template= "$TREE" "$SOURCE"
	fi
	rm -f "$SOURCE/.git/index.lock"
	source_git fetch -q origin HEAD
	# From the base on, each checkout makes new what its patch touches, so
	# that make compiles it again and shows its warnings again.
	source_git checkout -q -f --detach "$(tree_git rev-parse base)"
}

# choose MODE: what it is built with and compared with.
choose()
{
	if [ "$1" = clang ]; then
		TOOLCHAIN=("LLVM=-$CLANG_VERSION")
		BASE_OUT=$CHECK/base-clang-$BASE_KEY
	else
		TOOLCHAIN=(CC="ccache gcc")
		BASE_OUT=$CHECK/base-$BASE_KEY
	fi
}

# configure OUTPUT MODE: with the fragment the finished series brings; what it
# asks for and this patch does not have yet is ignored.
configure()
{
	local output=$1 mode=$2 option

	mkdir -p "$output"
	tree_git show "HEAD:$FRAGMENT" >"$output/wanted.config"
	if [ "$mode" = off ]; then
		for option in $OPTIONS; do
			sed -i -E "/^(# )?${option}[= ]/d" "$output/wanted.config"
			echo "# $option is not set" >>"$output/wanted.config"
		done
	fi
	make -s -C "$SOURCE" O="$output" "${TOOLCHAIN[@]}" KCONFIG_ALLCONFIG="$output/wanted.config" \
		allnoconfig >"$output/config.log" 2>&1 ||
		die "the kernel cannot be configured: see $output/config.log"
}

# build OUTPUT LOG TARGET...
build()
{
	local output=$1 log=$2
	shift 2

	make -C "$SOURCE" O="$output" "${TOOLCHAIN[@]}" -j"$JOBS" W=1 C="$SPARSE" "$@" \
		>>"$log" 2>&1
}

# warnings LOG: file and text, without the line, which moves.
warnings()
{
	grep -E '(warning|error): ' "$1" |
		sed -E "s|^$SOURCE/||; s|^(\.\./)+(linux/)?||; s|:[0-9]+(:[0-9]+)?: |: |" | sort -u || true
}

probe_sparse()
{
	SPARSE=0
	if ! command -v sparse >/dev/null 2>&1; then
		skip "sparse, because it is not installed"
	elif [ "$("$TREE/scripts/checker-valid.sh" sparse)" != 1 ]; then
		skip "sparse, because the kernel's own check refuses this host's sparse as too old"
	else
		SPARSE=1
	fi
}

probe_clang()
{
	CLANG=
	if command -v "clang-$CLANG_VERSION" >/dev/null 2>&1 &&
	   command -v "ld.lld-$CLANG_VERSION" >/dev/null 2>&1; then
		CLANG=1
	else
		skip "clang, because clang-$CLANG_VERSION and ld.lld-$CLANG_VERSION are not installed"
	fi
}

# --- what a patch touches

# users_of HEADER: the files that include it directly.
users_of()
{
	local name=$1

	name=${name#arch/x86/}
	name=${name#include/}
	name=${name#uapi/}
	tree_git grep -lF "#include <$name>" -- '*.c' || true
}

# directories COMMIT: where the touched objects are built; kbuild knows which
# of a directory's files a configuration has, we do not.
directories()
{
	local file users

	while read -r file; do
		case $file in
		tools/* | scripts/* | samples/* | Documentation/*) ;;
		include/*.h | arch/x86/include/*.h)
			users=$(users_of "$file")
			if [ "$(grep -c . <<<"$users")" -le "$MANY_USERS" ]; then
				sed -E '/^(tools|scripts|samples)\//d' <<<"$users"
			else
				step "$file has too many users to build them all: left to the next boundary"
			fi
			;;
		*.c | *.h | *.S | */Kconfig | */Makefile)
			echo "$file"
			;;
		esac
	done < <(tree_git diff-tree -r --no-renames --diff-filter=d --name-only "$1^" "$1") |
		sed -nE 's|/[^/]+$|/|p' | sort -u | without_nested
}

# without_nested: kbuild enters subdirectories.
without_nested()
{
	awk '{ if (last != "" && index($0, last) == 1) next; last = $0; print }'
}

# --- one patch after the other

# build_base MODE TARGET...: what the base itself warns about there. Every object is
# compiled once only, so the log is kept with the output.
build_base()
{
	choose "$1"
	shift
	configure "$BASE_OUT" on
	build "$BASE_OUT" "$BASE_OUT/build.log" "$@" ||
		die "the base itself does not build: see $BASE_OUT/build.log"
}

# objects COMMIT: of the C files it touches.
objects()
{
	tree_git diff-tree -r --no-renames --diff-filter=d --name-only "$1^" "$1" |
		sed -nE '/^(tools|scripts|samples|Documentation)\//d; s/\.c$/.o/p'
}

# name_unbuilt NAME: kbuild passes over a file that is not configured
# without a word, and that it compiles would then be said of nothing.
name_unbuilt()
{
	local object

	while read -r object; do
		[ -e "$CHECK/on/$object" ] ||
			skip "${object%.o}.c of $1, because this configuration does not build it"
	done <"$CHECK/objects"
}

# said MODE: for people.
said()
{
	case $1 in
	clang) echo "with clang" ;;
	*) echo "with our options $1" ;;
	esac
}

# build_patch COMMIT NAME MODE TARGET...
build_patch()
{
	local commit=$1 name=$2 mode=$3 log=$CHECK/$3/build.log object new
	shift 3
	choose "$mode"

	configure "$CHECK/$mode" "$mode"
	objects "$commit" >"$CHECK/objects"
	while read -r object; do
		rm -f "$CHECK/$mode/$object"
	done <"$CHECK/objects"
	: >"$log"
	if ! build "$CHECK/$mode" "$log" "$@"; then
		grep -E 'error:|Error ' "$log" || tail -n 5 "$log"
		fault "$name does not build $(said "$mode")"
		return
	fi
	[ "$mode" = off ] || name_unbuilt "$name"
	new=$(comm -13 <(warnings "$BASE_OUT/build.log") <(warnings "$log"))
	if [ -n "$new" ]; then
		printf '%s\n' "$new"
		fault "$name brings warnings $(said "$mode")"
	else
		good "$name builds $* $(said "$mode")"
	fi
}

check_boundary()
{
	# As deep below its source as the other kernels: ccache knows the objects.
	local name=$1 out=$CHECK/kernel/full log=$CHECK/kernel/full/build.log

	step "boundary $name: building and booting the whole kernel"
	choose on
	configure "$out" on
	if ! make -C "$SOURCE" O="$out" CC="ccache gcc" -j"$JOBS" bzImage >"$log" 2>&1; then
		grep -E 'error:|Error ' "$log" || tail -n 5 "$log"
		fault "the kernel does not build at the boundary $name"
	elif ! "$TOP/harness/vm.sh" boot-only --kernel "$out/arch/x86/boot/bzImage" >"$CHECK/boot.log" 2>&1; then
		tail -n 20 "$CHECK/boot.log"
		fault "the kernel does not boot at the boundary $name"
	else
		good "boundary $name: built and booted"
	fi
}

# steps: the commits in their order, and the boundaries behind them.
steps()
{
	awk 'NR == FNR { commit[NR] = $1; next }
	$1 == "#" && $2 == "boundary" { print "boundary", $3 }
	!/^[ \t]*(#|$)/ { print "patch", commit[++n], $1 }' \
		<(tree_git rev-list --reverse base..HEAD) "$TOP/patches/series"
}

list_targets()
{
	local kind commit

	while read -r kind commit _; do
		[ "$kind" != patch ] || directories "$commit" 2>/dev/null
	done <"$CHECK/steps" | sort -u | without_nested
}

# existing <TARGETS: a directory the series brings is not in the base.
existing()
{
	local target

	while read -r target; do
		[ ! -d "$SOURCE/$target" ] || echo "$target"
	done
}

check_steps()
{
	local kind what name targets

	steps >"$CHECK/steps"
	list_targets >"$CHECK/targets"
	if [ -s "$CHECK/targets" ] || grep -q "^boundary" "$CHECK/steps"; then
		prepare_source
	fi
	mapfile -t targets < <(existing <"$CHECK/targets")
	if [ ${#targets[@]} -gt 0 ]; then
		step "building in the base: ${targets[*]}"
		build_base on "${targets[@]}"
		[ -z "$CLANG" ] || build_base clang "${targets[@]}"
	fi

	while read -r kind what name; do
		if [ "$kind" = boundary ]; then
			check_boundary "$what"
			continue
		fi
		mapfile -t targets < <(directories "$what")
		[ ! -d "$SOURCE" ] || source_git checkout -q --detach "$what"
		if [ ${#targets[@]} = 0 ]; then
			good "$name touches no object of the kernel"
			continue
		fi
		build_patch "$what" "$name" on "${targets[@]}"
		[ -z "$OPTIONS" ] || build_patch "$what" "$name" off "${targets[@]}"
		[ -z "$CLANG" ] || build_patch "$what" "$name" clang "${targets[@]}"
	done <"$CHECK/steps"
}

main()
{
	need_tool git git
	need_tool perl perl
	need_tool make make
	need_tool gcc gcc
	need_tool ccache ccache
	need_tools_done
	"$TOP/harness/tree.sh" series
	take_lock "$CHECK/lock"

	OPTIONS=$(sed 's/#.*//' "$TOP/patches/options" 2>/dev/null | xargs || true)
	[ -n "$OPTIONS" ] ||
		skip "builds with our options off, because patches/options names none"
	check_patches
	probe_spdxcheck
	probe_sparse
	probe_clang
	BASE_KEY=$({
		tree_git rev-parse base "HEAD:$FRAGMENT"
		gcc --version
		echo "$SPARSE"
	} | sha256sum | cut -c1-12)
	check_steps

	[ "$FAULTS" = 0 ] ||
		die "check-series found $FAULTS faults: the lines that begin with 'not ok' name them."
	step "the series is clean${SKIPPED:+, but skipped: $SKIPPED}"
}

main "$@"
