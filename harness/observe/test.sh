#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# How the observer ends: every way a machine can go wrong, played by a shell
# script that speaks the channel in QEMU's place. Prints TAP.

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
console "[    0.000000] Linux version 7.3.4 (a@b)"
tell "hello 1"
tell "sync x"
heard "ok x" || exit 1
tell "verdict pass"
PLAY
result verdict pass
result frames.sent null
result translation_disabled null
result kernels.1 7.3.4

scene "the machine says fail" 1 "failed: because of this" <<'PLAY'
tell "verdict fail because of this"
PLAY

scene "the machine says skip" 4 "skipped: no device" <<'PLAY'
tell "verdict skip no device"
PLAY

scene "a crash after the verdict" 1 "QEMU ended badly after the verdict" <<'PLAY'
tell "hello 1"
tell "verdict pass"
sleep 0.2
kill -SEGV $$
PLAY

scene "no verdict" 1 "ended without a verdict" <<'PLAY'
console "[    0.000000] Linux version 7.3.4 (a@b)"
tell "hello 1"
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

scene "a declared panic goes on to a crash kernel" 0 passed --kernels 2 --expect '1:1:Kernel panic' <<'PLAY'
console "[    0.000000] Linux version 7.3.4 (a@b)"
tell "hello 1"
console "[    1.000000] Kernel panic - not syncing: sysrq triggered crash"
console "[    0.000000] Linux version 7.3.4 (a@b)"
tell "hello 2"
tell "verdict pass"
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
tell "hello 1"
tell "verdict pass"
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

scene "a word nobody knows" 1 "abracadabra" <<'PLAY'
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
	# a zombie that nobody has buried yet has ended, too
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

echo "1..$N"
exit $FAILED
