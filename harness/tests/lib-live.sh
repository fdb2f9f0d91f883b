# SPDX-License-Identifier: GPL-2.0-only
# Sourced by declarations of runs with a device that keeps running, without an IOMMU.
# The declaration says where the device is.
iommu none
append vfio.enable_unsafe_noiommu_mode=1
# The whole gap has to fit into the guest's ring of 1024, or it cannot be told whether
# it continues its chain: while other queues are paused all frames are for the first.
case $FLAVOUR in
kasan) rate 25 ;;
debug) rate 50 ;;
*) rate 100 ;;
esac
program liveupdate/lu_vmm liveupdate/lu_was_reset
# As in 7.3 when a function is enabled before the driver of its port is bound:
# pci_enable_bridge() enables a bridge once, and nothing disables it again.
leaves 'enable 1 -> 2$' 'a bridge is enabled for the function below, and by its port driver'
leaves 'config/000 .........3..................01.. -> .........7' 'a bridge above a function that was enabled is a bus master'

# live: one update, nothing of which the device may notice.
live()
{
	stage 1 <<<'lu_vmm -s 1 -l -p --huge'
	stage 2 <<<'lu_vmm -s 2 -p'
	uninterrupted
}

# last_events: the last frame for each queue but the first comes in another part of the
# gap, and nothing after it until the guest has looked at all: one interrupt that is lost
# leaves it asleep. There is none for the last queue.
last_events()
{
	at_each shutdown 'pause 3'
	at_each purgatory 'pause 1 1'
	at_each early_boot 'pause 2 1'
}

uninterrupted()
{
	expect frames.lost == 0
	expect frames.reordered == 0
	expect frames.duplicated == 0
	expect frames.corrupted == 0
	expect landed_by_phase.shutdown '!=' null
	expect landed_by_phase.purgatory '>' 0
	expect landed_by_phase.early_boot '>' 0
	expect landed_by_phase.enumeration '>' 0
	expect landed_by_phase.user_space '>' 0
	expect landed_by_phase.after '>' 0
	expect guest.content_ok == true
	expect guest.alive == true
	expect memory_moved == 0
	expect interrupts.delivered '>' 0
	expect interrupts.lost == 0
	untouched
}

# Between the jump and the owner's bind the device is not written to. Before the
# jump the services of the port above have disabled their interrupts.
untouched()
{
	# Its owner masks INTx when it is frozen for the first time, and MSI-X each time.
	expect config_writes.device '<=' ${#IMAGES[@]}
	expect config_writes.in_gap == 0
}

# live_but_written: a control of a mechanism that no frame shows, as QEMU finds
# a device whatever its BARs, bus numbers or power state are.
live_but_written()
{
	stage 1 <<<'lu_vmm -s 1 -l -p --huge'
	stage 2 <<'SH'
lu_vmm -s 2 -p | sed 's/^/# /'
echo "ok 1 - control: the config-write report says it"
SH
	expect landed_by_phase.user_space '>' 0
	expect config_writes.in_gap '>' 0
	expect config_writes.state_changing '>' 0
}

# control SCRIPT: of a mechanism that frames or the owner notice.
control()
{
	stage 1 <<<'lu_vmm -s 1 -l -p --huge'
	stage 2 <<<"$1"
}

# refusals: what the table of refusals in Documentation/PCI/liveupdate.rst says,
# NAME=ERRNO of each row.
refusals()
{
	awk '/:name: pci-liveupdate-refusals/ { table = 1; next }
	     table && /^[^ ]/ { exit }
	     table && /^   \* - / { name = $3; cell = 0; rows++ }
	     table && rows > 1 && /^     - / && ++cell == 2 {
		gsub(/[^A-Z]/, ""); printf "%s=%s ", name, $0 }' \
		"$TOP/Documentation/PCI/liveupdate.rst"
}

# documented NAME [REGEX]: what the table of faults in
# Documentation/PCI/liveupdate.rst says the new kernel logs, or REGEX, once.
documented()
{
	local message

	message=$(awk -v name="$1" '
		$0 == "   * - " name { row = 1; next }
		row && /^   \* - / { exit }
		row && /^     - / && ++cell == 2 { sub(/^     - /, ""); print }' \
		"$TOP/Documentation/PCI/liveupdate.rst" | tr -d '`')
	[ -n "$message" ] || wrong "there is no fault '$1' in PCI/liveupdate.rst."
	console 2 1 "$message${2:+|$2}"
}

# fault NAME [gone|other]: the VM cannot continue; its device is stopped and reset, or
# gone, or another one is stopped in its place; the host lives.
fault()
{
	documented "$1"
	stage 1 <<<'lu_vmm -s 1 -l -p --huge'
	stage 2 <<SH
must_die 'LUO cannot retrieve the device' lu_vmm -s 2 -p
pci_stopped 0000:01:00.0 ${2-}
${2+true} lu_was_reset 0000:01:00.0
SH
}

# slot_off PHASE, slot_on PHASE: of the root port at 0000:00:10.0, from outside of
# the machine. Slot Control is at 0x6c; bit 10 switches the power off, bits 9:8
# the indicator. QEMU unplugs what is in a slot that loses its power, unless
# ACPI is to be asked.
slot_off()
{
	DEVICES+=(-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off)
	at "$1" "o/4 0xcf8 0x8000806c"
	at "$1" "o/2 0xcfc 0x7c0"
}

slot_on()
{
	at "$1" "o/4 0xcf8 0x8000806c"
	at "$1" "o/2 0xcfc 0x1c0"
}

# ejectable NAME: ACPI can eject the host bridge \_SB.NAME, for example PCI0. The
# table is Scope (\_SB.NAME) { Method (_EJ0, 1) {} }.
ejectable()
{
	mkdir -p "$BUILD"
	printf '\x10\x12\x5c\x2e_SB_%s\x14\x06_EJ0\x01' "$1" >"$BUILD/$NAME.aml"
	DEVICES+=(-acpitable "sig=SSDT,rev=2,oem_id=LUTEST,data=$BUILD/$NAME.aml")
}

# written_by_firmware SLOT: \_SB.PCI0.LUT0 is the function 00:SLOT.0, and its _STA
# increments Interrupt Line. The table is Scope (\_SB.PCI0) { Device (LUT0) {
# Name (_ADR, SLOT << 16) OperationRegion (LUTR, PCI_Config, 0x3c, 1)
# Field (LUTR, ByteAcc, NoLock, Preserve) { LINE, 8 }
# Method (_STA) { Increment (LINE) Return (0x0f) } } }.
written_by_firmware()
{
	local slot

	mkdir -p "$BUILD"
	slot=$(printf '\\x%02x' "$1")
	# shellcheck disable=SC2059
	printf "\x10\x44\x04\x5c\x2e_SB_PCI0\x5b\x82\x36LUT0\x08_ADR\x0c\x00\x00$slot\x00\x5b\x80LUTR\x02\x0a\x3c\x0a\x01\x5b\x81\x0bLUTR\x01LINE\x08\x14\x0e_STA\x00\x75LINE\xa4\x0a\x0f" \
		>"$BUILD/$NAME.aml"
	DEVICES+=(-acpitable "sig=SSDT,rev=2,oem_id=LUTEST,data=$BUILD/$NAME.aml")
}
