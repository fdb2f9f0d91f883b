#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds what the tests need, runs them, adds up.  The last line is
# "N passed, N failed, N skipped"; every skip is listed with its reason.
#
#	test.sh			everything that fits into half an hour
#	test.sh --full		the rest too
#	T='pci-* abi' test.sh	only the tests with these names
#	test.sh --points	write the list of points of the last run
#	test.sh --build-only FLAVOUR...
#	test.sh --build-ready FLAVOUR...	with unfinished work in build/linux

. "$(dirname "$0")/lib.sh"

H=$TOP/harness
PARALLEL=2
POINTS=$H/tests/points
DURATIONS=$CACHE/durations

# The tests that need no machine of their own: NAME, WHERE (test or full), COMMAND.
HOST_TESTS='
observe		test	$BUILD/bin/observe-selftest
observe-ends	test	$H/observe/test.sh
host		test	$H/tests/host.sh
preflight	test	$H/tests/preflight.sh
readme		test	$H/tests/readme.sh
abi		test	$H/abi.sh test
abi-layout	test	$H/abi.sh layout
docs		test	$H/docs.sh
without		test	$H/tests/without.sh
cost		full	$H/cost.sh
cost-pci	full	$H/cost-pci.sh cost-pci
cost-vtd-many	full	$H/cost-pci.sh cost-vtd-many
cost-vtd	full	$H/cost-vtd.sh
kho-keys	full	$H/kho-keys.sh
abi-controls	full	$H/abi.sh controls
abi-grow	full	$H/abi.sh grow
'

# Both a first and a changed build: each step skips what is up to date.
build_all()
{
	local flavour

	[ $# -gt 0 ] || die "build which kernel of the series? Name fast, debug or kasan."
	[ -d "$BUILD/kernel" ] || need_space "$BUILD" 10
	"$H/base.sh" >/dev/null
	"$H/tree.sh" "$TREE_VERB"
	"$H/observe/build.sh"
	"$H/kernel.sh" initrd >/dev/null
	"$H/kernel.sh" image base fast >/dev/null
	for flavour; do
		[ "$flavour" != other-qemu ] || flavour=fast
		"$H/kernel.sh" image tree "$flavour" >/dev/null
	done
	"$H/kernel.sh" selftests >/dev/null
}

# What vm.sh would build too, one by one and with machines running beside.
build_for_plan()
{
	local kernel flavours=fast

	! grep -q ' debug$' "$RESULTS/plan" || flavours+=' debug'
	! grep -q ' kasan$' "$RESULTS/plan" || flavours+=' kasan'
	# shellcheck disable=SC2086 # a list
	build_all $flavours
	for kernel in $(grep '^without' "$RESULTS/kernels" | sort -u); do
		"$H/kernel.sh" image "$kernel" >/dev/null
	done
}

# wanted NAME: was it asked for? T holds names and patterns.
wanted()
{
	local pattern

	[ -n "${T-}" ] || return 0
	set -f
	for pattern in $T; do
		# shellcheck disable=SC2254 # a pattern it is
		case $1 in $pattern) set +f; return 0 ;; esac
	done
	set +f
	return 1
}

# flavours_now FLAVOUR...: those of a declaration that run now. Whatever runs on the
# debug kernel runs in a full run with the dear checkers, too.
flavours_now()
{
	local flavour

	for flavour; do
		case $flavour in
		none) ;;
		fast | other-qemu) echo "$flavour" ;;
		debug) echo "debug${FULL:+ kasan}" ;;
		full) echo "${FULL:+fast}" ;;
		full-debug) echo "${FULL:+debug kasan}" ;;
		*) die "test.sh does not know the flavour '$flavour'." ;;
		esac
	done
}

# plan has one line "host NAME COMMAND..." or "vm NAME FLAVOUR" per run. It is
# written before anything is built: a declaration that cannot be read must not
# make runs vanish.
plan_runs()
{
	local list name flavours kernels about flavour where command

	: >"$RESULTS/plan"
	: >"$RESULTS/kernels"
	list=$("$H/vm.sh" --list)
	while IFS=$'\t' read -r name flavours kernels about; do
		wanted "$name" || continue
		# shellcheck disable=SC2086 # a list
		for flavour in $(flavours_now $flavours); do
			echo "vm $name $flavour" >>"$RESULTS/plan"
			tr ' ' '\n' <<<"$kernels" >>"$RESULTS/kernels"
		done
	done <<<"$list"
	while read -r name where command; do
		[ -n "$name" ] && wanted "$name" || continue
		[ "$where" = test ] || [ -n "$FULL" ] || continue
		echo "host $name $(eval "echo $command")" >>"$RESULTS/plan"
	done <<<"$HOST_TESTS"
	[ -s "$RESULTS/plan" ] ||
		die "no test is called '${T-}': 'make vm-list' shows them."
}

# The longest first, by what they took here before; a guess for the others.
longest_first()
{
	touch "$DURATIONS"
	awk '
	FILENAME == ARGV[1] { took[$1] = $2; next }
	{
		label = $1 == "vm" && $3 != "fast" ? $2 "." $3 : $2
		guess = $1 == "host" ? 100 : $3 == "fast" ? 10 : 50
		if (label in took)
			guess = took[label]
		print guess, $0
	}' "$DURATIONS" "$RESULTS/plan" | sort -s -k1,1nr | cut -d' ' -f2-
}

# run_one vm NAME FLAVOUR | host NAME COMMAND...
run_one()
{
	local kind=$1 name=$2 label=$2 start status=0
	shift 2

	start=$(date +%s)
	if [ "$kind" = host ]; then
		host_test "$name" "$@"
	else
		[ "$1" = fast ] || label+=.$1
		"$H/vm.sh" --flavour "$1" "$name" || status=$?
		case $status in 0 | 1 | 4) ;; *) echo "FAIL $label: the harness failed" ;; esac
	fi
	echo "$label $(($(date +%s) - start))" >>"$RESULTS/times"
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

# A planned run that left no result must not go unnoticed.
collect_results()
{
	local kind name flavour label tap

	while read -r kind name flavour; do
		label=$name tap=$RESULTS/$name.tap
		if [ "$kind" = vm ]; then
			[ "$flavour" = fast ] || label+=.$flavour
			tap=$BUILD/vm/$label/tap
		fi
		if [ -s "$tap" ]; then
			cat "$tap"
		else
			echo "not ok $label: left no result"
		fi
	done <"$RESULTS/plan" >"$RESULTS/all"
}

# The points of this run as they are listed: without figures, which differ from
# run to run. The pristine kernel's own selftests are only counted.
points_of()
{
	sed -nE '/^(not )?ok /!d; s/^(not )?ok //; s/ # SKIP.*//; s/ \(is [^)]*\)$//; p' "$1" |
		awk '
		/^base-/ { sub(/:.*/, ""); counted[$0]++; next }
		{
			name = $0
			sub(/:.*/, "", name)
			point = substr($0, length(name) + 1)
			gsub(/[0-9]+(\.[0-9]+)?/, "N", point)
			print name point
		}
		END { for (i in counted) print i ": " counted[i] " results" }' | LC_ALL=C sort | uniq -c |
		sed -E 's/^ *([0-9]+) /\1 /'
}

# A point that was checked once must still be checked: a point of the list that did
# not come, in a test that ran and was not skipped, is a failure.
compare_points()
{
	local missing

	[ -e "$POINTS" ] || return 0
	points_of "$RESULTS/all" >"$RESULTS/points"
	sed -E 's/^vm ([^ ]+) fast$/\1/; s/^vm ([^ ]+) ([^ ]+)$/\1.\2/; s/^host ([^ ]+) .*/\1/' \
		"$RESULTS/plan" |
		grep -vxFf <(sed -n 's/^ok \([^:]*\): all # SKIP.*/\1/p' "$RESULTS/all") \
			>"$RESULTS/labels" || true
	missing=$(awk '
	FILENAME == ARGV[1] { ran[$1] = 1; next }
	{ n = $1; name = $0; sub(/^[0-9]+ /, "", name) }
	FILENAME == ARGV[2] { came[name] = n; next }
	/^#/ { next }
	{
		label = name
		sub(/:.*/, "", label)
		if (ran[label] && came[name] < n)
			print "not ok " name " # came " came[name] + 0 " of " n " times: see harness/tests/points"
	}' "$RESULTS/labels" "$RESULTS/points" "$POINTS")
	[ -z "$missing" ] || echo "$missing" >>"$RESULTS/all"
	compare_labels
}

# A test of the list that is in neither suite any more is a failure, too.
compare_labels()
{
	local list

	[ -z "${T-}" ] || return 0
	list=$(FULL=1; "$H/vm.sh" --list | cut -f1,2 | tr '\t' ' ' | while read -r name flavours; do
		# shellcheck disable=SC2086 # a list
		flavours_now $flavours | tr ' ' '\n' | sed -n "s/^fast$/$name/p; s/^debug$/$name.debug/p; s/^kasan$/$name.kasan/p; s/^other-qemu$/$name.other-qemu/p"
	done
	awk 'NF { print $1 }' <<<"$HOST_TESTS")
	awk '
	NR == FNR { known[$1] = 1; next }
	/^#/ { next }
	{
		sub(/^[0-9]+ /, "")
		sub(/:.*/, "")
		if (!known[$0]++)
			print "not ok " $0 ": is listed in harness/tests/points, and no suite runs it"
	}' - "$POINTS" <<<"$list" >>"$RESULTS/all"
}

# labels_run: the tests of the last run, one a line, as their points call them.
labels_run()
{
	sed -E 's/^vm ([^ ]+) fast$/\1/; s/^vm ([^ ]+) ([^ ]+)$/\1.\2/; s/^host ([^ ]+) .*/\1/' \
		"$RESULTS/plan"
}

# What the last run did not run stays in the list as it is.
write_points()
{
	[ -s "$RESULTS/all" ] || die "the list of points comes from a run: make test or make test-full, then make points."
	touch "$POINTS"
	{
		echo "# How often each test makes each of its points, figures left out. 'make points'"
		echo "# writes this list after a run; a run fails where a point does not come."
		{
			points_of <(grep -v ': is listed in harness/tests/points\|: see harness/tests/points' "$RESULTS/all")
			awk 'NR == FNR { ran[$1] = 1; next }
			     /^#/ { next }
			     { label = $2; sub(/:$/, "", label) }
			     !ran[label]' <(labels_run) "$POINTS"
		} | LC_ALL=C sort -k2
	} >"$POINTS.new"
	mv "$POINTS.new" "$POINTS"
}

# Where the time went, so that what is slow can be made fast.
report_times()
{
	local all=$(($(date +%s) - STARTED)) built=$((BUILT - STARTED))

	# What ran now is what the next run is ordered by.
	awk 'NR == FNR { took[$1] = $2; next } !($1 in took) { took[$1] = $2 }
	     END { for (i in took) print i, took[i] }' "$RESULTS/times" "$DURATIONS" >"$DURATIONS.new"
	mv "$DURATIONS.new" "$DURATIONS"
	echo
	sort -k2,2nr "$RESULTS/times" | awk -v all=$all -v built=$built -v parallel=$PARALLEL '
	{ sum += $2; if (NR <= 10) top = top sprintf("  %5d s  %s\n", $2, $1) }
	END {
		busy = 100 * sum / parallel / (all - built + 1)
		printf "Time: %d s, of which building %d s; %d runs took %d s, %d at a time (%d%% busy). The longest:\n%s",
			all, built, NR, sum, parallel, busy, top
	}'
}

total()
{
	local all=$RESULTS/all passed failed skipped

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

FULL='' TREE_VERB=tree RESULTS=$BUILD/results
case ${1-} in
--build-only) shift; build_all "$@"; exit ;;
--build-ready) TREE_VERB=ready; shift; build_all "$@"; exit ;;
--points) write_points; exit ;;
--one) shift; run_one "$@"; exit ;;
--full) FULL=1 ;;
'') ;;
*) die "usage: test.sh [--full]" ;;
esac

take_lock "$BUILD/test.lock"
STARTED=$(date +%s)
rm -rf "$RESULTS" "$BUILD/vm"
mkdir -p "$RESULTS"
plan_runs
build_for_plan
BUILT=$(date +%s)
step "$(wc -l <"$RESULTS/plan") tests, $PARALLEL at a time, the longest first"
: >"$RESULTS/times"
longest_first >"$RESULTS/order"
xargs -r -a "$RESULTS/order" -P "$PARALLEL" -L 1 "$0" --one || true
collect_results
compare_points
report_times
total
