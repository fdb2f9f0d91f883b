#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds what the tests need, runs them, adds up.  The last line is
# "N passed, N failed, N skipped"; every skip is listed with its reason.
#
#	test.sh			everything that fits into an hour
#	test.sh --full		the rest too
#	test.sh --build-only [FLAVOUR...]
#	test.sh --build-ready [FLAVOUR...]	with unfinished work in build/linux

. "$(dirname "$0")/lib.sh"

H=$TOP/harness
PARALLEL=2

# Both a first and a changed build: each step skips what is up to date.
build_all()
{
	local flavour

	[ -d "$BUILD/kernel" ] || need_space "$BUILD" 10
	"$H/base.sh" >/dev/null
	"$H/tree.sh" "$TREE_VERB"
	"$H/observe/build.sh"
	"$H/kernel.sh" initrd >/dev/null
	"$H/kernel.sh" image base fast >/dev/null
	for flavour; do
		"$H/kernel.sh" image tree "$flavour" >/dev/null
	done
	"$H/kernel.sh" selftests >/dev/null
}

# The kernel of the controls. vm.sh would build it too, with machines running beside.
build_without()
{
	"$H/kernel.sh" image without >/dev/null
}

# One line "NAME FLAVOUR" per run.  Written down before anything is built: a
# declaration that cannot be read must not make runs vanish.
plan_runs()
{
	local list name flavours about flavour

	list=$("$H/vm.sh" --list)
	while IFS=$'\t' read -r name flavours about; do
		for flavour in $flavours; do
			case $flavour in
			none) ;;
			full) [ -z "$FULL" ] || echo "$name fast" ;;
			full-debug) [ -z "$FULL" ] || echo "$name debug" ;;
			*) echo "$name $flavour" ;;
			esac
		done
	done <<<"$list" >"$RESULTS/plan"
}

# A host test prints TAP; every line is kept with the test's name before it.
host_test()
{
	local name=$1 log=$RESULTS/$1.log status=0
	shift

	"$@" >"$log" 2>&1 || status=$?
	awk -v name="$name" '
		/^(not )?ok / {
			bad = /^not/
			sub(/^(not )?ok [0-9]+( -)? */, "")
			print (bad ? "not ok " : "ok ") name ": " $0
			n++
		}
		END { exit !n }' "$log" >"$RESULTS/$name.tap" ||
		echo "not ok $name: printed no result" >"$RESULTS/$name.tap"
	[ $status = 0 ] || grep -q '^not ok' "$RESULTS/$name.tap" ||
		echo "not ok $name: ended with status $status" >>"$RESULTS/$name.tap"
	summary_line "$name" "$RESULTS/$name.tap" "$log"
}

summary_line()
{
	local name=$1 tap=$2 log=$3

	if grep -q '^not ok' "$tap"; then
		printf 'FAIL %-34s (%s)\n' "$name" "${log#"$TOP"/}"
		grep '^not ok' "$tap" | sed 's/^/     /'
	else
		printf 'PASS %-34s %3d good\n' "$name" "$(grep -c '^ok' "$tap")"
	fi
}

run_host_tests()
{
	host_test observe "$BUILD/bin/observe-selftest"
	[ -z "$FULL" ] || host_test cost "$H/cost.sh"
	[ -z "$FULL" ] || host_test kho-keys "$H/kho-keys.sh"
	[ -z "$FULL" ] || host_test cost-pci "$H/cost-pci.sh"
	host_test observe-ends "$H/observe/test.sh"
	host_test host "$H/tests/host.sh"
	host_test preflight "$H/tests/preflight.sh"
	host_test abi "$H/abi.sh" test
	host_test abi-layout "$H/abi.sh" layout
	host_test docs "$H/docs.sh"
	[ -z "$FULL" ] || host_test abi-controls "$H/abi.sh" controls
}

run_vm_tests()
{
	xargs -a "$RESULTS/plan" -P "$PARALLEL" -L 1 bash -c '
		"$0" --flavour "$2" "$1" || [ $? = 1 ] || [ $? = 4 ] ||
			echo "FAIL $1 $2: the harness failed"' "$H/vm.sh" || true
}

# A planned run that left no result must not go unnoticed.
collect_vm_results()
{
	local name flavour label

	while read -r name flavour; do
		label=$name
		[ "$flavour" = fast ] || label+=.$flavour
		if [ -s "$BUILD/vm/$label/tap" ]; then
			cat "$BUILD/vm/$label/tap"
		else
			echo "not ok $label: left no result"
		fi
	done <"$RESULTS/plan" >"$RESULTS/vm.tap"
}

total()
{
	local all=$RESULTS/all passed failed skipped

	cat "$RESULTS"/*.tap >"$all"
	skipped=$(grep -c '^ok.*# SKIP' "$all" || true)
	failed=$(grep -c '^not ok' "$all" || true)
	passed=$(($(grep -c '^ok' "$all" || true) - skipped))
	if [ "$skipped" -gt 0 ]; then
		echo
		echo "Skipped:"
		grep '^ok.*# SKIP' "$all" | sed -E 's/^ok /  /; s/# SKIP/—/'
	fi
	if [ "$failed" -gt 0 ]; then
		echo
		echo "Failed:"
		grep '^not ok' "$all" | sed 's/^not ok /  /'
	fi
	echo
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}

FULL= TREE_VERB=tree
case ${1-} in
--build-only) shift; build_all "$@"; exit ;;
--build-ready) TREE_VERB=ready; shift; build_all "$@"; exit ;;
--full) FULL=1 ;;
'') ;;
*) die "usage: test.sh [--full]" ;;
esac

RESULTS=$BUILD/results
take_lock "$BUILD/test.lock"
rm -rf "$RESULTS" "$BUILD/vm"
mkdir -p "$RESULTS"
plan_runs
build_all fast debug
build_without
step "host tests"
run_host_tests
step "tests in machines, $PARALLEL at a time"
run_vm_tests
collect_vm_results
total
