#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# How the observer ends: every way a machine can go wrong, played by a shell
# script that speaks the channel in QEMU's place; and how vm.sh judges what is
# left. Prints TAP.

set -euo pipefail

TOP=$(cd "$(dirname "$0")/../.." && pwd -P)
OBSERVE=${OBSERVE:-$TOP/build/bin/observe}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

[ -x "$OBSERVE" ] || {
	echo "error: $OBSERVE is missing: run harness/observe/build.sh." >&2
	exit 1
}

# The actor: runs the script it is given with CHANNEL, CONSOLE, QMP set to
# file descriptors, like a QEMU that has just started a kernel.
cat >"$WORK/actor" <<'ACTOR'
#!/bin/bash
play=$1
fd_of() { sed -n "s/.*id=observe-$1,fd=\([0-9]*\).*/\1/p" <<<"$all"; }
all=$(printf '%s\n' "$@")
CONSOLE=$(fd_of console) CHANNEL=$(fd_of channel) QMP=$(fd_of qmp)
tell() { echo "$*" >&"$CHANNEL"; }
console() { echo "$*" >&"$CONSOLE"; }
probe() { console "[    0.500000] init: WARNING: splat probe of kernel $1, $2"; }
hello() { probe "$1" begin; tell "hello $1"; }
boot() { console "[    0.000000] Linux version 7.3.4 (a@b)"; hello "$1"; }
pass() { probe "$1" end; tell "verdict pass"; }
answer() { read -r _ <&"$QMP"; echo "{\"return\": \"$1\"}" >&"$QMP"; }
heard() { read -r -t 5 line <&"$CHANNEL" && [ "$line" = "$1" ]; }
echo '{"QMP": {"version": {"qemu": {"micro": 0, "minor": 0, "major": 9}}}}' >&"$QMP"
read -r _ <&"$QMP"
echo '{"return": {}}' >&"$QMP"
. "$play"
ACTOR
chmod +x "$WORK/actor"

. "$TOP/harness/tap.sh"

# scene NAME STATUS PATTERN [OPTION...] <<PLAY: the observer must end with
# STATUS and PATTERN in its last line.
scene()
{
	local name=$1 want=$2 pattern=$3 status=0 last
	shift 3

	cat >"$WORK/play"
	mkdir -p "$WORK/dir"
	timeout 30 "$OBSERVE" --dir "$WORK/dir" --name scene --timeout 3 "$@" \
		-- "${ACTOR:-$WORK/actor}" "$WORK/play" >"$WORK/out" 2>&1 ||
		status=$?
	last=$(tail -n 1 "$WORK/out")
	if [ "$status" = "$want" ] && grep -Eq "$pattern" <<<"$last"; then
		point ok "$name"
	else
		point "not ok" "$name"
		echo "# status $status, wanted $want; last line: $last"
		sed 's/^/# | /' "$WORK/out"
	fi
	cp "$WORK/dir/result.tsv" "$WORK/result.tsv" 2>/dev/null || true
	rm -rf "$WORK/dir"
}

# result KEY VALUE of the scene before
result()
{
	if grep -qxF "$1	$2" "$WORK/result.tsv"; then
		point ok "  $1 is $2"
	else
		point "not ok" "  $1 is $2"
		echo "# $(grep "^$1" "$WORK/result.tsv" || echo "$1 is not there")"
	fi
}

scene "a machine that ends well" 0 "scene passed" <<'PLAY'
boot 1
tell "sync x"
heard "ok x" || exit 1
pass 1
PLAY
result verdict pass
result frames.sent null
result translation_disabled null
result kernels.1 7.3.4
result splats 0
result ktap.ok null

scene "no console" 1 "console of kernel 1 did not show" <<'PLAY'
tell "hello 1"
tell "verdict pass"
PLAY
result splats null

scene "a console that falls silent" 1 "console of kernel 1 did not show" <<'PLAY'
boot 1
tell "verdict pass"
PLAY

scene "a console without one of two kernels" 1 "console of kernel 2 did not show" <<'PLAY'
boot 1
tell "hello 2"
probe 2 end
tell "verdict pass"
PLAY

scene "the machine says fail" 1 "failed: because of this" <<'PLAY'
tell "verdict fail because of this"
PLAY

scene "the machine says skip" 4 "skipped: no device" <<'PLAY'
tell "verdict skip no device"
PLAY

scene "a crash after the verdict" 1 "QEMU ended badly after the verdict" <<'PLAY'
hello 1
pass 1
sleep 0.2
kill -SEGV $$
PLAY

scene "no verdict" 1 "ended without a verdict" <<'PLAY'
boot 1
PLAY

scene "a kernel that does not boot" 1 "within 1 seconds .*did not boot" --timeout 1 <<'PLAY'
sleep 20
PLAY

scene "a test that hangs" 1 "within 1 seconds" --timeout 1 <<'PLAY'
console "[    0.000000] Linux version 7.3.4 (a@b)"
exec sleep 20
PLAY

scene "a panic does not wait for the time-out" 1 "panicked: .*Attempted to kill" --timeout 25 <<'PLAY'
console "[    0.000000] Linux version 7.3.4 (a@b)"
console "[    1.000000] Kernel panic - not syncing: Attempted to kill init!"
exec sleep 20
PLAY

scene "a declared panic continues with a crash kernel" 0 passed --kernels 2 --expect '1:1:Kernel panic' <<'PLAY'
boot 1
console "[    1.000000] Kernel panic - not syncing: sysrq triggered crash"
boot 2
pass 2
PLAY

scene "a splat fails a machine that passes" 1 "1 bad lines.*WARNING: CPU" <<'PLAY'
console "[    1.000000] WARNING: CPU: 0 PID: 1 at x.c:1"
tell "verdict pass"
PLAY

scene "a declared line" 0 passed --expect '*:1:WARNING: CPU' <<'PLAY'
console "[    1.000000] WARNING: CPU: 0 PID: 1 at x.c:1"
tell "verdict pass"
PLAY

scene "a declared line that does not come" 1 "came 0 times, not 1" --expect '2:1:WARNING' <<'PLAY'
tell "verdict pass"
PLAY

scene "the verdict of an earlier kernel than planned" 1 "kernel 1's, and it should be kernel 2's" --kernels 2 <<'PLAY'
hello 1
pass 1
PLAY

scene "a QEMU that lacks a trace" 1 "does not trace .*'vtd_dmar_fault' does not exist" <<'PLAY'
echo "warning: trace event 'vtd_dmar_fault' does not exist" >&2
tell "watch 0000:01:00.0 device"
sleep 0.2
tell "verdict pass"
PLAY

scene "a trace that nothing is measured with" 0 passed <<'PLAY'
echo "warning: trace event 'pci_pm_transition' does not exist" >&2
tell "watch 0000:01:00.0 device"
sleep 0.2
tell "verdict pass"
PLAY

scene "a trace that cannot be read" 1 "trace cannot be read.*pci_cfg_write igb" <<'PLAY'
echo "1@1.000000:pci_cfg_write igb 0000:01:00.0 offset 4 value 7" >&2
boot 1
sleep 0.2
pass 1
PLAY

scene "a fault is made" 0 passed --at 'shutdown:stop' <<'PLAY'
boot 1
tell "kexec"
heard "ok kexec" || exit 1
answer ""
pass 1
PLAY

scene "a fault the monitor does not understand" 1 "monitor: .*invalid char" --at 'shutdown:o/4 zz' <<'PLAY'
boot 1
tell "kexec"
heard "ok kexec" || exit 1
answer "invalid char 'z' in expression"
pass 1
PLAY

scene "a fault the monitor does not answer" 1 "did not answer to 'stop'" --at 'shutdown:stop' <<'PLAY'
boot 1
tell "kexec"
heard "ok kexec" || exit 1
pass 1
PLAY

scene "a fault whose phase does not come" 1 "phase purgatory did not begin" --at 'purgatory:stop' <<'PLAY'
boot 1
tell "kexec"
heard "ok kexec" || exit 1
pass 1
PLAY

scene "a fault at no phase that is reported" 2 "no such phase" --at 'boot:stop' </dev/null

scene "a doorbell is rung" 0 passed --doorbell 2 --at 'shutdown:doorbell 1' <<'PLAY'
boot 1
[ "$(fd_of doorbell)" ] || exit 1
tell "doorbell 0"
tell "kexec"
heard "ok kexec" || exit 1
sleep 0.2
pass 1
PLAY

scene "a doorbell without such a vector" 1 "doorbell 2.*no such vector" --doorbell 2 <<'PLAY'
boot 1
tell "doorbell 2"
pass 1
PLAY

scene "no doorbell to ring when a phase begins" 1 "doorbell 1.*no such vector" --at 'shutdown:doorbell 1' <<'PLAY'
boot 1
tell "kexec"
heard "ok kexec" || exit 1
sleep 0.2
pass 1
PLAY

scene "QEMU ends at once" 2 "status 1.*no such device" <<'PLAY'
echo "actor: no such device" >&2
exit 1
PLAY

scene "QEMU is killed" 2 "signal 11" <<'PLAY'
kill -SEGV $$
PLAY

ACTOR=$WORK/nobody scene "QEMU is missing" 2 "cannot be started" </dev/null

scene "frames without a ring" 1 "frames start.*before" --rate 100 <<'PLAY'
tell "frames start"
tell "verdict pass"
PLAY

scene "an unknown word" 1 "abracadabra" <<'PLAY'
tell "abracadabra"
tell "verdict pass"
PLAY

scene "a wrong declaration" 2 "STAGE:COUNT:REGEX" --expect nonsense </dev/null
scene "an unknown option" 2 "no option '--what'" --what 1 </dev/null

# The actor has no network back end.
head -c 1048576 /dev/zero >"$WORK/ram"
scene "a ring without frames" 0 passed --rate 200 --memory "$WORK/ram" <<'PLAY'
tell "memory 0 0x10000 0x10000"
tell "memory end"
tell "ring 16 2048 0"
tell "sync x"
heard "ok x"
tell "verdict pass"
PLAY
scene "no back end at all" 1 "no network back end" --rate 200 --memory "$WORK/ram" <<'PLAY'
tell "memory 0 0x10000 0x10000"
tell "memory end"
tell "ring 16 2048 0"
tell "frames start"
sleep 0.2
tell "verdict pass"
PLAY

# SIGTERM must take QEMU along, and so must SIGKILL.
for signal in TERM INT KILL; do
	mkdir -p "$WORK/dir"
	echo 'echo $$ >"pid"; exec sleep 30' >"$WORK/play"
	# with job control: without, a background job ignores SIGINT
	set -m
	"$OBSERVE" --dir "$WORK/dir" --timeout 20 -- "$WORK/actor" \
		"$WORK/play" >"$WORK/out" 2>&1 &
	observer=$!
	set +m
	for _ in $(seq 50); do
		[ -s "$WORK/dir/pid" ] && break
		sleep 0.1
	done
	kill -"$signal" $observer
	wait $observer 2>/dev/null || true
	sleep 0.2
	# a zombie that was not reaped yet has ended, too
	if grep -q '^State:[[:space:]]*[A-Y]' \
		"/proc/$(cat "$WORK/dir/pid")/status" 2>/dev/null; then
		point "not ok" "SIG$signal ends QEMU too"
	else
		point ok "SIG$signal ends QEMU too"
	fi
	rm -rf "$WORK/dir"
done

# Two at once do not meet.
mkdir -p "$WORK/a" "$WORK/b"
cat >"$WORK/play" <<'PLAY'
tell "sync x"
heard "ok x" || exit 1
sleep 0.5
tell "verdict pass"
PLAY
"$OBSERVE" --dir "$WORK/a" --timeout 5 -- "$WORK/actor" "$WORK/play" >"$WORK/out.a" 2>&1 &
first=$!
"$OBSERVE" --dir "$WORK/b" --timeout 5 -- "$WORK/actor" "$WORK/play" >"$WORK/out.b" 2>&1 &
second=$!
if wait $first && wait $second; then
	point ok "two observers at once"
else
	point "not ok" "two observers at once"
	cat "$WORK/out.a" "$WORK/out.b" | sed 's/^/# | /'
fi

# What vm.sh says of what a run has left behind.
DIR=$WORK LABEL=x
for function in check_expectation ktap_points; do
	eval "$(sed -n "/^$function()$/,/^}$/p" "$TOP/harness/vm.sh")"
done

# meets STATUS KEY OPERATOR VALUE
meets()
{
	local want=$1 status=0
	shift

	check_expectation "$@" >/dev/null 2>&1 || status=1
	if [ "$status" = "$want" ]; then
		point ok "expect $* $([ "$want" = 0 ] && echo "is met" || echo "is not met")"
	else
		point "not ok" "expect $*"
	fi
}

printf 'none\tnull\nzero\t0\ntext\tnullify\n' >"$WORK/result.tsv"
meets 0 none == null
meets 1 none == 0
meets 1 none '!=' 1
meets 1 none '!=' null
meets 1 none '~' '.*'
meets 1 none '<=' 1
meets 1 none '>=' 0
meets 0 zero == 0
meets 0 zero '!=' null
meets 0 zero '<=' 1
meets 1 zero '>' 0
meets 0 text '~' 'null'
meets 1 unknown == null
meets 1 zero '=' 0
: >"$WORK/result.tsv"
meets 1 zero == 0
rm "$WORK/result.tsv"
meets 1 zero == 0

# judged NAME LINES <ktap.log: the points that vm.sh makes of it
judged()
{
	local got

	cat >"$WORK/ktap.log"
	: >"$WORK/tap.part"
	ktap_points
	got=$(cat "$WORK/tap.part")
	if [ "$got" = "$2" ]; then
		point ok "ktap: $1"
	else
		point "not ok" "ktap: $1"
		sed 's/^/# got: /' <<<"$got"
	fi
}

judged "a plan that is met" "ok x: a" <<'KTAP'
TAP version 13
1..1
ok 1 - a
KTAP
judged "a result that does not come" "ok x: a
not ok x: only 1 of 2 planned results came" <<'KTAP'
TAP version 13
1..2
ok 1 - a
KTAP
judged "a program without a plan" "ok x: a
not ok x: a test program announced no plan
ok x: b" <<'KTAP'
TAP version 13
ok 1 - a
KTAP version 1
1..1
ok 1 - b
KTAP
judged "a program that dies at once" "not ok x: a test program announced no plan
not ok x: no test program had a result" <<'KTAP'
TAP version 13
KTAP
judged "a shell's results need no plan" "ok x: a" <<'KTAP'
ok 1 - a
KTAP
judged "nothing at all" "not ok x: no test program had a result" </dev/null

# The IOMMU's properties in the words of either QEMU.
for function in old_property translate_iommu; do
	eval "$(sed -n "/^$function()$/,/^}$/p" "$TOP/harness/vm.sh")"
done
cat >"$WORK/qemu10" <<'SH'
#!/bin/sh
[ "$0" = "${0%11}" ] && old=x- || old=
echo "$2 options:"
for name in aw-bits intremap ${old}scalable-mode; do
	echo "  $name=<bool>    - on/off (default: off)"
done
[ "$old" ] && set -- x-flts x-pasid-mode || set -- fsts pasid-bits svm
for name; do
	echo "  $name=<bool>    - on/off (default: off)"
done
SH
chmod +x "$WORK/qemu10"
cp "$WORK/qemu10" "$WORK/qemu11"

# translated VERSION IOMMU WANTED: or that it is skipped
translated()
{
	QEMU=$WORK/qemu$1 IOMMU=$2 SKIP=
	translate_iommu
	[ -z "$SKIP" ] || IOMMU=skipped
	if [ "$IOMMU" = "$3" ]; then
		point ok "$2 is $3 for QEMU $1"
	else
		point "not ok" "$2 is $3 for QEMU $1"
		echo "# it is $IOMMU"
	fi
}

translated 10 intel-iommu,intremap=on intel-iommu,intremap=on
translated 10 intel-iommu,intremap=on,scalable-mode=on,fsts=on intel-iommu,intremap=on,x-scalable-mode=on,x-flts=on
translated 11 intel-iommu,intremap=on,scalable-mode=on,fsts=on intel-iommu,intremap=on,scalable-mode=on,fsts=on
translated 10 intel-iommu,scalable-mode=on,pasid-bits=20 intel-iommu,x-scalable-mode=on,x-pasid-mode=on
translated 10 intel-iommu,scalable-mode=on,pasid-bits=0 intel-iommu,x-scalable-mode=on,x-pasid-mode=off
translated 10 intel-iommu,svm=on skipped
translated 11 intel-iommu,svm=on intel-iommu,svm=on
translated 10 none none

echo "1..$N"
exit $FAILED
