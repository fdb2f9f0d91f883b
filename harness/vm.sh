#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs one test in a separate machine and judges it.
#
#	vm.sh [--flavour fast|debug|kasan|other-qemu] NAME	harness/tests/NAME.test
#	vm.sh --list				the tests, where they run, on which kernels
#	vm.sh --about NAME			what it shows
#	vm.sh boot-only --kernel BZIMAGE	does this kernel reach user space?
#
# Exit status: 0 passed, 1 failed, 2 the harness failed, 4 skipped.

. "$(dirname "$0")/lib.sh"

TESTS=$TOP/harness/tests
KERNEL=$TOP/harness/kernel.sh

# --- what a declaration says (harness/README.md has the list) ---------------

reset_declaration()
{
	ABOUT='' FLAVOURS='fast' IMAGES=(tree) MEMORY=1536M CPUS=2 TIMEOUT=60
	RATE=0 APPEND='' IOMMU='intel-iommu,intremap=on' CPU=max,la57=off
	PORTS=0 DEVICES=() PROGRAMS=() MODULES=() EXPECT=() OBSERVE=() SKIP='' FAILS=''
	STAGE_APPEND=() STAGES=() ICOUNT=() MAY_SKIP=() PREFLIGHT=() LEAVES=()
	# 7.3's own test of KHO is built in and preserves memory in the first kernel.
	[ "$FLAVOUR" = fast ] || LEAVES=('preserved_pages')
	# KASAN's shadow is allocated from KHO's scratch and counted into its
	# size: left to itself the scratch is now and then too large to be had.
	[ "$FLAVOUR" != kasan ] ||
		MEMORY=2560M APPEND=' kho_scratch=640M,64M,64M'
}

# What a declaration gets wrong is said of the declaration, before anything runs.
wrong() { die "$NAME.test: $*"; }

about() { ABOUT=$*; }
flavours() { FLAVOURS=$*; }
kernels() { IMAGES=("$@"); }
cpus() { CPUS=$1; }
cpu() { CPU=$1; }
timeout_s() { TIMEOUT=$1; }
rate() { RATE=$1; }
append() { APPEND+=" $*"; }
append_stage() { STAGE_APPEND[$1]="${STAGE_APPEND[$1]-} ${*:2}"; }
iommu()
{
	[[ $1 != *,x-* ]] ||
		wrong "iommu $1: properties have the names of QEMU 11.1 here, which are without x-."
	IOMMU=$1
}
device() { DEVICES+=(-device "$1"); }
program() { PROGRAMS+=("$@"); }
module() { MODULES+=("$@"); }
stage()
{
	STAGES[$1]=$(cat)
	[ -n "${STAGES[$1]}" ] || wrong "stage $1 has no script."
}
memory()
{
	[[ $1 =~ ^[0-9]+M$ ]] && [ "${1%M}" -lt 2816 ] ||
		wrong "memory $1: it reads 'memory NUMBERM', and less than 2816M."
	MEMORY=$1
}
expect()
{
	[ $# -ge 3 ] || wrong "expect $*: it reads KEY OP VALUE, and OP needs quotes when it is > or <."
	EXPECT+=("$*")
}
# What liveupdate-preflight says of kernel N: its exit status, or "none".
preflight() { PREFLIGHT[$1]=$2; }
console() { OBSERVE+=(--expect "$1:$2:$3"); }
at() { OBSERVE+=(--at "$1:$2"); }
at_each() { OBSERVE+=(--at-each "$1:$2"); }
skip() { SKIP=$*; }
# A control: the machine fails, and the observer's last line matches.
fails() { FAILS=$1; }
# A test point that matches may be skipped; any other skip is a failure.
may_skip() { MAY_SKIP+=("$1"); }
# A value that is not as it was when the first kernel started, and why: a regular
# expression for "KEY BEFORE -> AFTER". Anything else that differs is a failure.
leaves()
{
	[ $# -ge 2 ] || wrong "leaves $*: it reads REGEX REASON."
	LEAVES+=("$1")
}
# One CPU whose clock counts instructions: costs become repeatable.
icount() { ICOUNT=(-icount shift=0,align=off,sleep=off -seed 1) CPUS=1; }


root_port()
{
	PORTS=$((PORTS + 1))
	device "pcie-root-port,id=$1,chassis=$PORTS,slot=$PORTS${2:+,$2}"
}

# switch UPSTREAM-ID PARENT DOWNSTREAM-ID...
switch()
{
	local up=$1 parent=$2 down
	shift 2

	device "x3130-upstream,id=$up,bus=$parent"
	for down; do
		PORTS=$((PORTS + 1))
		device "xio3130-downstream,id=$down,bus=$up,chassis=$PORTS,slot=$PORTS"
	done
}

# traffic BUS: an igb whose frames the observer sends.
traffic()
{
	DEVICES+=(-netdev "dgram,id=n0,local.type=unix,local.path=net.qemu,remote.type=unix,remote.path=net.host")
	device "igb,id=nic0,bus=$1,netdev=n0"
}

# doorbell VECTORS BUS: an ivshmem-doorbell that the observer rings.
doorbell()
{
	OBSERVE+=(--doorbell "$1")
	device "ivshmem-doorbell,id=doorbell0,bus=$2,vectors=$1,chardev=observe-doorbell"
}

# ---------------------------------------------------------------------------

read_declaration()
{
	local file=$TESTS/$1.test flavour

	[ -e "$file" ] ||
		die "there is no test '$1': 'make vm-list' shows them."
	NAME=$1
	reset_declaration
	. "$file" </dev/null
	[ "${!STAGES[*]}" = "$(seq -s ' ' ${#IMAGES[@]})" ] ||
		wrong "it has the stages ${!STAGES[*]} and ${#IMAGES[@]} kernels."
	[ -n "$FLAVOURS" ] || wrong "it declares no flavour."
	for flavour in $FLAVOURS; do
		[[ $flavour =~ ^(fast|debug|other-qemu|full|full-debug|none)$ ]] ||
			wrong "there is no flavour '$flavour'."
	done
}

list_tests()
{
	local file name

	for file in "$TESTS"/*.test; do
		name=$(basename "$file" .test)
		read_declaration "$name"
		printf '%s\t%s\t%s\t%s\n' "$name" "$FLAVOURS" "${IMAGES[*]}" "$ABOUT"
	done
}

# built FILE WHAT...: FILE, and kernel.sh builds it when it is missing. So no
# caller can forget to; "make test" and "make vm" also bring it up to date.
built()
{
	[ -e "$1" ] || "$KERNEL" "${@:2}" >/dev/null
	echo "$1"
}

image_of()
{
	case $1 in
	base) "$KERNEL" image base fast ;;	# pristine: the baseline
	without | without-*) "$KERNEL" image "$1" ;;	# mechanisms off
	tree) built "$BUILD/kernel/$FLAVOUR/arch/x86/boot/bzImage" image tree "$FLAVOUR" ;;
	/*) echo "$1" ;;
	*) die "a stage's kernel is 'base', 'tree', 'without' or 'without-NAME', not '$1'." ;;
	esac
}

# The other supported version; where it cannot be had the test is skipped.
find_other_qemu()
{
	local qemu

	if qemu=$("$TOP/harness/qemu.sh" other 2>"$DIR/qemu.sh.log"); then
		QEMU=$qemu
	else
		SKIP="no other QEMU: $(sed -n 's/^error: //p' "$DIR/qemu.sh.log" | tail -n 1)"
	fi
}

find_qemu()
{
	local version

	QEMU=${QEMU:-$(command -v qemu-system-x86_64)} ||
		die "qemu-system-x86_64 is missing: run 'make deps'."
	version=$("$QEMU" --version 2>/dev/null |
		sed -n 's/.*version \([0-9]*\).*/\1/p') || version=
	[ "${version:-0}" -ge 8 ] ||
		die "QEMU 8.0 or newer is needed for igb, $QEMU is ${version:-no QEMU at all}: run 'make deps' or set QEMU=/path."
}

# TCG unless KVM is asked for, and KVM only when a probe boot came up with it:
# the file /dev/kvm alone proves nothing.
choose_accelerator()
{
	case ${ACCEL:-tcg} in
	tcg)
		# With a thread per CPU, QEMU 10.0 now and then loses the end of a
		# timer interrupt and that CPU sleeps for ever (seen within a minute
		# of device resets; never with one thread, which is not slower).
		ACCELERATOR=tcg,thread=single ;;
	kvm)
		[ -w /dev/kvm ] || die "ACCEL=kvm: /dev/kvm cannot be opened."
		ACCELERATOR=kvm CPU=host
		[ -n "${PROBING_KVM-}" ] || probe_kvm ;;
	*) die "ACCEL is tcg or kvm, not '$ACCEL'." ;;
	esac
}

probe_kvm()
{
	step "probing KVM"
	PROBING_KVM=1 PROGRESS='' "$0" boot-only --kernel "$(image_of tree)" \
		--probe >/dev/null ||
		die "ACCEL=kvm: this machine has /dev/kvm, yet a kernel does not boot with it; leave ACCEL away."
}

# On a busy host an emulated timer now and then misses the ten ticks the kernel
# waits for at boot, and it panics; on KVM it leaves that check away by itself.
cmdline()
{
	echo "console=ttyS0 earlyprintk=ttyS0,115200 panic=-1 no_timer_check kho=on" \
		"liveupdate=on lu.stage=$1$APPEND${STAGE_APPEND[$1]-}"
}

# preflight_of N: the pristine kernel lists no tags, neither of another nor of
# itself.
preflight_of()
{
	local n=$1

	if [ -n "${PREFLIGHT[n]-}" ]; then
		echo "${PREFLIGHT[n]}"
	elif [ "${IMAGES[n - 2]}" = base ]; then
		echo none
	elif [ "${IMAGES[n - 1]}" = base ]; then
		echo 1
	else
		echo 0
	fi
}

# old_property NAME VALUE: what QEMU 10.0 calls a property of QEMU 11.1.
old_property()
{
	case $IOMMU,$1 in
	intel-iommu*,scalable-mode) echo "x-scalable-mode=$2" ;;
	intel-iommu*,fsts) echo "x-flts=$2" ;;
	intel-iommu*,pasid-bits)
		[ "$2" = 0 ] && echo x-pasid-mode=off || echo x-pasid-mode=on ;;
	intel-iommu*,svm | amd-iommu*,dma-remap) echo "$1=$2" ;;
	*) return 1 ;;
	esac
}

# Use this QEMU's names of the IOMMU's properties; skip the test if it lacks one.
translate_iommu()
{
	local device=${IOMMU%%,*} known property properties old out

	[[ $IOMMU =~ ,(scalable-mode|fsts|pasid-bits|svm|dma-remap)= ]] || return 0
	known=$("$QEMU" -device "$device,help" | sed -n 's/^  \([a-z0-9-]*\)=.*/ \1=/p')
	out=$device
	IFS=, read -ra properties <<<"${IOMMU#*,}"
	for property in "${properties[@]}"; do
		if ! grep -q "^ ${property%%=*}=" <<<"$known" &&
		   old=$(old_property "${property%%=*}" "${property#*=}"); then
			property=$old
			grep -q "^ ${old%%=*}=" <<<"$known" ||
				SKIP="this QEMU's $device has no ${old%%=*}"
		fi
		out+=,$property
	done
	IOMMU=$out
}

# The machine's first user space and, behind it, the stages and the declared
# programs: what a guest waits for is read from memory.
fill_initrd()
{
	local root=$DIR/initrd program n

	cat "$BUILD/initrd"
	mkdir -p "$root/programs"
	for ((n = 1; n <= ${#IMAGES[@]}; n++)); do
		echo "${STAGES[n]}" >"$root/stage$n"
	done
	for program in ${PROGRAMS[@]+"${PROGRAMS[@]}"}; do
		cp "$(built "$BUILD/selftests/$program" selftests)" "$root/programs/" ||
			die "there is no test program $program, see selftests() in harness/kernel.sh."
	done
	(cd "$root" && find . | cpio -o -H newc --quiet)
	rm -r "$root"
}

# Everything the machine sees of the host: a read-only directory.
fill_share()
{
	local share=$DIR/share n module image

	mkdir -p "$share/bin" "$share/modules"
	cp "$TOP/harness/guest/"{must_fail,must_die,must_be_killed,pci_stopped,verdict_pass} \
		"$TOP/harness/guest/liveupdate-preflight" "$share/bin/"
	cp -r "$(built "$BUILD/selftests/tools/lib" selftests)" "$share/"
	cp "$BUILD/selftests/tools/liveupdate-preflight" "$share/lib/"
	fill_initrd >"$share/initrd"
	for ((n = 1; n <= ${#IMAGES[@]}; n++)); do
		cmdline "$n" >"$share/cmdline$n"
		image=$(image_of "${IMAGES[n - 1]}")
		[ -e "$image" ] || die "there is no kernel $image."
		cp "$image" "$share/kernel$n"
		[ "$n" = 1 ] || preflight_of "$n" >"$share/preflight$n"
	done
	for module in ${MODULES[@]+"${MODULES[@]}"}; do
		[ "$module" != late/vfio-pci-late ] ||
			"$TOP/harness/kernel.sh" late "$FLAVOUR"
		[ -e "$BUILD/kernel/$FLAVOUR/$module.ko" ] ||
			die "the module $module is not built: run 'make kernels'."
		cp "$BUILD/kernel/$FLAVOUR/$module.ko" "$share/modules/"
	done
}

qemu_arguments()
{
	ARGS=(-M "q35,kernel-irqchip=split,memory-backend=m" -cpu "$CPU"
	      -smp "$CPUS" -m "$MEMORY" -accel "$ACCELERATOR"
	      -object "memory-backend-file,id=m,size=$MEMORY,share=on,mem-path=$RAM"
	      -nodefaults -display none -no-reboot
	      -kernel share/kernel1 -initrd share/initrd
	      -append "$(cmdline 1)"
	      -fsdev "local,id=host,path=share,security_model=none,readonly=on"
	      -device "virtio-9p-pci,bus=pcie.0,fsdev=host,mount_tag=host")
	[ "$IOMMU" = none ] || ARGS+=(-device "$IOMMU")
	ARGS+=(${ICOUNT[@]+"${ICOUNT[@]}"} ${DEVICES[@]+"${DEVICES[@]}"})
}

# A file without a name: however this ends, nothing stays behind.
make_ram()
{
	local file fd free

	free=$(df -Pm /dev/shm | awk 'NR == 2 { print $4 }')
	[ "${free:-0}" -ge "${MEMORY%M}" ] ||
		die "the machine's memory is $MEMORY and /dev/shm has ${free:-0}M free: mount it larger, for example with mount -o remount,size=75% /dev/shm."
	file=$(mktemp /dev/shm/liveupdate.XXXXXX)
	exec {fd}<>"$file"
	rm "$file"
	RAM=/proc/self/fd/$fd
}

run_machine()
{
	local status=0 seconds=$TIMEOUT observe

	# Only a machine that hangs needs it: be generous to the slower kernel.
	[ "$FLAVOUR" = fast ] || seconds=$((seconds * 2))
	observe=("$BUILD/bin/observe" --dir "$DIR" --name "$1"
		--timeout "$seconds" --memory "$RAM" --kernels ${#IMAGES[@]})
	[ "$RATE" = 0 ] || observe+=(--rate "$RATE")
	[ -z "${PROGRESS-}" ] || observe+=(--progress)
	"${observe[@]}" ${OBSERVE[@]+"${OBSERVE[@]}"} -- "$QEMU" "${ARGS[@]}" \
		</dev/null >"$DIR/observe.log" 2>&1 || status=$?
	[ -z "${PROGRESS-}" ] || cat "$DIR/observe.log" >&2
	return $status
}

# point STATUS TEXT: one result of this test.  They get their name when all are
# there: half of them would pass for a good result.
point()
{
	echo "$1 $LABEL: ${*:2}" >>"$DIR/tap.part"
}

# The leaves of what the test programs printed: a result that sums up deeper
# ones is not counted again, unless it fails where none of them did.  A result
# that was planned and did not come is a failure, and so are a program that
# planned nothing and a machine in which nothing had a result.
ktap_points()
{
	touch "$DIR/ktap.log"
	awk -v label="$LABEL" '
	{
		line = $0
		sub(/^\[ *[0-9.]+\] /, "", line)
		match(line, /^ */)
		indent = RLENGTH
		sub(/^ */, "", line)
	}
	line ~ /^Bail out!/ { print "not ok " label ": " line }
	line ~ /^K?TAP version/ && !indent {
		unplanned()
		header = 1
	}
	line ~ /^1\.\.[0-9]+/ {
		header = 0
		any = 1
		end_plan(indent)
		planned[indent] = substr(line, 4) + 0
		came[indent] = 0
	}
	line !~ /^(not )?ok [0-9]+/ { next }
	{
		any = 1
		came[indent]++
		bad = line ~ /^not ok/
		parent = (indent < deepest)
		if (!parent || (bad && !child_failed))
			print (bad ? "not ok " : "ok ") label ": " \
			      name_of(line)
		child_failed = parent ? bad : (child_failed || bad)
		if (indent == 0)
			child_failed = 0
		deepest = indent
	}
	END {
		for (i in planned)
			end_plan(i)
		unplanned()
		if (!any)
			print "not ok " label ": no test program had a result"
	}
	function unplanned() {
		if (header)
			print "not ok " label ": a test program announced no plan"
	}
	function end_plan(i) {
		if (i in planned && came[i] < planned[i])
			printf "not ok %s: only %d of %d planned results came\n",
			       label, came[i], planned[i]
		delete planned[i]
	}
	function name_of(s) {
		sub(/^(not )?ok [0-9]+( -)? */, "", s)
		return s
	}' "$DIR/ktap.log" >>"$DIR/tap.part"
}

# check_expectation KEY OPERATOR VALUE against what the observer measured; a
# thing that was not measured meets no expectation but "== null".
check_expectation()
{
	awk -F '\t' -v key="$1" -v op="$2" -v want="$3" '
	$1 == key { got = $2; known = 1 }
	END {
		if (!known) { print "no such result"; exit 1 }
		print got
		if (got == "null") exit !(op == "==" && want == "null")
		if (op == "==") exit !(got "" == want "")
		if (op == "!=") exit !(got "" != want "")
		if (op == "~") exit !(got ~ want)
		if (got !~ /^-?[0-9.]+$/) exit 1
		if (op == ">") exit !(got + 0 > want + 0)
		if (op == ">=") exit !(got + 0 >= want + 0)
		if (op == "<") exit !(got + 0 < want + 0)
		if (op == "<=") exit !(got + 0 <= want + 0)
		print "unknown operator " op; exit 1
	}' "$DIR/result.tsv"
}

check_expectations()
{
	local line key op value got

	for line in ${EXPECT[@]+"${EXPECT[@]}"}; do
		read -r key op value <<<"$line"
		if got=$(check_expectation "$key" "$op" "$value"); then
			point ok "$line (is $got)"
		else
			point "not ok" "$line (is $got)"
		fi
	done
}

# What was not run and need not be is said in the declaration, with its reason.
refuse_undeclared_skips()
{
	local allowed

	allowed=$(printf '%s\n' ${MAY_SKIP[@]+"${MAY_SKIP[@]}"} | paste -sd'|')
	awk -v allowed="${allowed:-^$}" '
	/^ok.*# SKIP/ && $0 !~ allowed {
		sub(/^ok /, "not ok ")
		sub(/# SKIP/, "skipped, which nothing declares:")
	}
	{ print }' "$DIR/tap.part" >"$DIR/tap.checked"
	mv "$DIR/tap.checked" "$DIR/tap.part"
}

# Nothing is left behind: at the end of the last stage, and where a stage runs
# nothing_left, everything is as it was when the first kernel reached user space
# (harness/guest/state.c).
compare_state()
{
	[ -s "$DIR/state.log" ] || return 0
	awk -v label="$LABEL" -v leaves="$(printf '%s\n' ${LEAVES[@]+"${LEAVES[@]}"} | paste -sd'|')" '
	{ key = $2; value = $0; sub(/^[^ ]+ [^ ]+ ?/, "", value) }
	$1 == "before" { before[key] = value; seen[key] = 1 }
	$1 == "after" { after[key] = value; seen[key] = 1 }
	$1 == "after" && key == "end" && ("end" in before) { compare() }
	END {
		if (!compared)
			print "ok " label ": what is left behind # SKIP the last stage did not end in user space"
	}
	function compare(	key, line, n, bad) {
		compared = 1
		for (key in seen) {
			n++
			# What the test has brought itself, and does not use any more
			if (!(key in before) && after[key] == "0")
				continue
			if (before[key] == after[key])
				continue
			if (key ~ /config\/000$/ && only_stopped(before[key], after[key]))
				continue
			line = key " " before[key] " -> " after[key]
			if (leaves != "" && line ~ leaves)
				continue
			print "# " line
			bad++
		}
		print (bad ? "not ok " : "ok ") label ": nothing is left behind (is " bad + 0 " of " n " values)"
		delete after
		for (key in seen)
			if (!(key in before))
				delete seen[key]
	}
	# Bus mastering that the firmware left on may be off: a kexec clears it.
	function only_stopped(was, is,	digit) {
		digit = index("0123456789abcdef", substr(was, 10, 1)) - 1
		if (int(digit / 4) % 2 == 0)
			return 0
		return substr(was, 1, 9) sprintf("%x", digit - 4) substr(was, 11) == is
	}' "$DIR/state.log" >>"$DIR/tap.part"
}

judge()
{
	local status=$1

	if [ -n "$FAILS" ]; then
		if [ "$status" -ne 0 ] && tail -n 1 "$DIR/observe.log" | grep -qE "$FAILS"; then
			point ok "control: the machine fails: $FAILS"
		else
			point "not ok" "control: the machine: $(tail -n 1 "$DIR/observe.log")"
		fi
		return
	fi
	case $status in
	0) point ok "the machine ended well, no splat" ;;
	4) point "not ok" "skipped, and nothing declares that it may be" ;;
	*) point "not ok" "the machine: $(tail -n 1 "$DIR/observe.log")" ;;
	esac
	ktap_points
	[ "$status" != 0 ] || compare_state
	refuse_undeclared_skips
	# An observer that failed has left none; nothing is met then.
	touch "$DIR/result.tsv"
	check_expectations
}

summary()
{
	local good bad skipped seconds=$1

	mv "$DIR/tap.part" "$DIR/tap"
	bad=$(grep -c '^not ok' "$DIR/tap" || true)
	skipped=$(grep -c '^ok.*# SKIP' "$DIR/tap" || true)
	good=$(($(grep -c '^ok' "$DIR/tap" || true) - skipped))
	if [ "$bad" -gt 0 ]; then
		printf 'FAIL %-34s %3d good, %d bad, %d skipped, %d s (%s)\n' \
			"$LABEL" "$good" "$bad" "$skipped" "$seconds" \
			"${DIR#"$TOP"/}"
		grep -E '^(not ok|#)' "$DIR/tap" | sed 's/^/     /'
		! grep -q "^not ok $LABEL: the machine" "$DIR/tap" ||
			[ -n "${PROGRESS-}" ] ||
			tail -n 20 "$DIR/observe.log" | sed 's/^/     | /'
		return 1
	fi
	if [ "$good" = 0 ]; then
		printf 'SKIP %-34s %s\n' "$LABEL" "$(sed -n 's/.*# SKIP //p' "$DIR/tap")"
		return 4
	fi
	printf 'PASS %-34s %3d good, %d skipped, %d s\n' \
		"$LABEL" "$good" "$skipped" "$seconds"
}

run_test()
{
	local status=0 start=$SECONDS

	LABEL=$1
	[ "$FLAVOUR" = fast ] || LABEL+=".$FLAVOUR"
	[ -z "$OTHER_QEMU" ] || LABEL+=.other-qemu
	DIR=$BUILD/vm/$LABEL
	take_lock "$BUILD/vm/.$LABEL.lock"
	rm -rf "$DIR"
	mkdir -p "$DIR"
	[ -n "$SKIP" ] || [ -z "$OTHER_QEMU" ] || find_other_qemu
	[ -n "$SKIP" ] || find_qemu
	[ -n "$SKIP" ] || translate_iommu
	if [ -n "$SKIP" ]; then
		point ok "all # SKIP $SKIP"
		summary 0
		return
	fi
	choose_accelerator
	"$TOP/harness/observe/build.sh"
	"$KERNEL" initrd >/dev/null
	fill_share
	make_ram
	qemu_arguments
	run_machine "$LABEL" || status=$?
	judge $status
	summary $((SECONDS - start))
}

boot_only()
{
	reset_declaration
	ABOUT="this kernel reaches user space"
	TIMEOUT=30
	IMAGES=("$1")
	STAGES[1]='echo ok 1 - user space'
	run_test "${2:-boot-only}"
}

FLAVOUR=fast OTHER_QEMU=
while [ $# -gt 0 ]; do
	case $1 in
	--flavour)
		[[ ${2-} =~ ^(fast|debug|kasan|other-qemu)$ ]] ||
			die "there is no flavour '${2-}': use fast, debug, kasan or other-qemu."
		FLAVOUR=$2
		[ "$2" != other-qemu ] || FLAVOUR=fast OTHER_QEMU=1
		shift 2 ;;
	--list) list_tests; exit ;;
	--about) read_declaration "${2-}"; echo "$ABOUT"; exit ;;
	boot-only)
		[ "${2-}" = --kernel ] && [ -e "${3-}" ] ||
			die "usage: vm.sh boot-only --kernel BZIMAGE"
		boot_only "$(realpath "$3")" "boot-only${4:+-probe}"
		exit ;;
	-*) die "vm.sh does not know '$1'." ;;
	*) break ;;
	esac
done
[ $# = 1 ] || die "which test? 'make vm T=name'; 'make vm-list' shows them."
read_declaration "$1"
run_test "$1"
