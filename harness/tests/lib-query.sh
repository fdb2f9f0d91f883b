# SPDX-License-Identifier: GPL-2.0-only
# Sourced by declarations about lu_query: an igb with a ROM of 64 KiB that no firmware
# runs.
. "$TESTS/lib-live.sh"
program liveupdate/lu_query
# The signature, the offset 0x1c of the data structure, and that: 128 blocks of code
# type 3, the last image.
mkdir -p "$BUILD"
{
	printf '\x55\xaa'
	head -c 22 /dev/zero
	printf '\x1c\0\0\0PCIR\x86\x80\xc9\x10\0\0\x18\0\0\0\0\x02\x80\0\0\0\x03\x80\0\0'
} >"$BUILD/$NAME.rom"
truncate -s 65536 "$BUILD/$NAME.rom"
# Native hot plug: only its slots can be reset.
DEVICES+=(-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off)
root_port rp0
device "igb,bus=rp0,romfile=$BUILD/$NAME.rom"
leaves '01:00.0/config/030 .* -> 00000000' 'the test has taken the address of the ROM away'
