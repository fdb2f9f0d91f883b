#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs every command that a README of this repository prints, as printed: only
# placeholders are replaced. A command that nothing here knows fails. After the
# build of `make test`; prints TAP.
#
#	readme.sh [PATTERN]	only commands that match

. "$(dirname "$0")/../lib.sh"
. "$TOP/harness/tap.sh"

# As a reader's shell, not as a part of the make that started this.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES T FOR

TESTS=$TOP/harness/tests
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# result STATUS WHAT: with the log, when it is bad.
result()
{
	if [ "$1" = 0 ]; then
		point ok "$2"
	else
		tail -n 20 "$WORK/log" | sed 's/^/# /'
		point "not ok" "$2"
	fi
}

# one_line TEXT
one_line()
{
	paste -sd';' <<<"$1" | sed 's/;/ ; /g'
}

# how COMMAND: where it is run. Neighbours in a block that are run in the same
# way are one script.
how()
{
	case $1 in
	"make demo" | "make test") echo ci ;;
	"make series" | "git -C /your/linux-7.3 am "*) echo series ;;
	"KSRC=/your/linux-7.3 make test") echo scratch_ksrc ;;
	"cd "* | "git commit "* | "git rebase "* | "make refresh") echo scratch_refresh ;;
	"make check-series") echo scratch_check ;;
	"make vm-list" | "make vm T=boot" | "make abi-check" | "make abi-update") echo here ;;
	"make fuzz FOR="*) echo fuzz ;;
	"lu_vmm "*) echo machine ;;
	*) echo unknown ;;
	esac
}

unknown()
{
	point "not ok" "$1: nothing runs this, see how() in harness/tests/readme.sh"
}

# --- in this clone

# One after the other until one fails: abi-update has nothing to write after a
# good abi-check.
here()
{
	local command status=0

	while read -r command; do
		[ $status != 0 ] ||
			(cd "$TOP" && bash -ec "$command") >"$WORK/log" 2>&1 </dev/null || status=$?
		result $status "$command"
	done <<<"$1"
}

# For two seconds. Nothing else needs clang, so it need not be there.
fuzz()
{
	if ! echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
	     clang -x c -fsanitize=fuzzer -o /dev/null - 2>/dev/null; then
		point ok "$1 # SKIP clang and libFuzzer are not installed"
		return
	fi
	here "$(sed -E 's/FOR=[0-9]+/FOR=2/' <<<"$1")"
}

# /your/linux-7.3: the base, with the files that the series changes.
series()
{
	local script=${1//\/your\/linux-7.3/$WORK/linux} status=0

	{
		plain_git -C "$BUILD/linux" diff --name-only base HEAD >"$WORK/touched" &&
			plain_git clone -q --shared --no-checkout "$BUILD/linux" "$WORK/linux" &&
			plain_git -C "$WORK/linux" sparse-checkout set --no-cone --stdin \
				<"$WORK/touched" &&
			plain_git -C "$WORK/linux" checkout -q --detach base &&
			(cd "$TOP" && as_somebody bash -euc "$script") &&
			same_tree
	} >"$WORK/log" 2>&1 </dev/null || status=$?
	result $status "$(one_line "$1"): gives the tree of build/linux"
}

same_tree()
{
	[ "$(git -C "$WORK/linux" rev-parse 'HEAD^{tree}')" = \
	  "$(git -C "$BUILD/linux" rev-parse 'HEAD^{tree}')" ]
}

# A name for git, where it knows none.
as_somebody()
{
	if git -C "$TOP" config user.email >/dev/null; then
		"$@"
		return
	fi
	GIT_CONFIG_COUNT=3 GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0='Some Body' \
		GIT_CONFIG_KEY_1=user.email GIT_CONFIG_VALUE_1=some@example.org \
		GIT_CONFIG_KEY_2=safe.directory GIT_CONFIG_VALUE_2='*' \
		"$@"
}

# --- in a repository and a kernel of a few files

# scratch FUNCTION SCRIPT [WHAT]
scratch()
{
	local status=0

	SCRIPT=$2 bash "$TESTS/tree-lib.sh" "$TESTS/readme-scratch.sh" "$1" \
		>"$WORK/log" 2>&1 </dev/null || status=$?
	result $status "$(one_line "$2")${3-}"
}

scratch_ksrc() { scratch ksrc "$1"; }
scratch_refresh() { scratch refresh_commits "$1"; }
scratch_check() { scratch check_series "$1"; }

# These run this test: a run of them is .ci/run, which takes them from the
# README. Here it does so with a Makefile that only says what it was asked for.
ci()
{
	scratch ci_runs "$1" ": .ci/run runs them in this order"
	scratch ci_stops_at_a_failure "$1" ": .ci/run fails when the first fails"
}

# --- in the test machine: the command must stand in a test of `make test`

machine()
{
	local command status

	: >"$WORK/log"
	while read -r command; do
		status=0
		command=${command/BDF/0000:01:00.0}
		grep -qxE "(stage . <<<')?$command'?" "$TESTS"/{,negative-}pci-*.test || status=1
		result $status "$command: a test runs it"
	done <<<"$1"
}

# --- what is printed elsewhere than in a block of commands

# Indented lines would be a block that nobody looks at.
other_blocks()
{
	awk '
	/^```/ {
		if (!fence && $0 != "```sh" && $0 != "```text") {
			print FILENAME ":" FNR ": a block is ```sh (commands) or ```text"
			bad = 1
		}
		fence = !fence
		next
	}
	!fence && /^(    |\t)/ {
		print FILENAME ":" FNR ": a block without ```"
		bad = 1
	}
	END { exit bad }' "$@"
}

# In a sentence it is a name rather than a line to type: it must exist.
inline_commands()
{
	grep -ohE '`(make|git|cd|[A-Z]+=[^ `]*|lu_[a-z]+|sudo|kexec|apt-get) [^`]+`' "$@" |
		tr -d '`' | sort -u
}

readmes()
{
	plain_git -C "$TOP" ls-files '*README.md'
}

# run_script HOW SCRIPT
run_script()
{
	[ -z "$2" ] || [[ ! $2 =~ $PATTERN ]] || "$1" "$2"
}

main()
{
	local file block command kind last='' script='' files status

	mapfile -t files < <(readmes)
	cd "$TOP"
	status=0
	other_blocks "${files[@]}" >"$WORK/log" 2>&1 || status=$?
	result $status "a README has blocks of commands and blocks of text, no other"

	for file in "${files[@]}"; do
		while IFS=$'\t' read -r block command; do
			kind=$file:$block:$(how "$command")
			if [ "$kind" != "$last" ]; then
				run_script "${last##*:}" "$script"
				script=
			fi
			script+=${script:+$'\n'}$command
			last=$kind
		done < <("$TOP/harness/printed.sh" "$file")
	done
	run_script "${last##*:}" "$script"

	while read -r command; do
		[[ $command =~ $PATTERN ]] || continue
		case $command in
		"make "*)
			status=0
			make -n ${command#make } >"$WORK/log" 2>&1 || status=$?
			result $status "$command: there is such a target"
			;;
		'QEMU=$(harness/qemu.sh other) make vm T='*)
			status=0
			grep -q '^flavours .*other-qemu' "$TESTS/${command##*=}.test" || status=1
			result $status "$command: make test does so"
			;;
		"lu_vmm "*)
			status=0
			grep -qE "^lu_vmm .*${command#lu_vmm }" "$TESTS"/*.test || status=1
			result $status "$command: a test uses it"
			;;
		*) unknown "$command" ;;
		esac
	done < <(inline_commands "${files[@]}")
	echo "1..$N"
}

PATTERN=${1-}
main
exit "$FAILED"
