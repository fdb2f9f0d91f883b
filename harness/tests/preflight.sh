#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# liveupdate-preflight on kernels and command lines of all kinds, against a /sys and
# /proc that are made up. What it says in a machine is the preflight* tests' part. Prints TAP.

. "$(dirname "$0")/../lib.sh"

PREFLIGHT=$BUILD/selftests/tools/liveupdate-preflight
KERNEL=$BUILD/kernel/fast
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

. "$(dirname "$0")/../tap.sh"

LIVEUPDATE=$WORK/sys/kernel/liveupdate
ON='kho=on liveupdate=on vfio.enable_unsafe_noiommu_mode=1'
mkdir -p "$LIVEUPDATE/tags" "$WORK/proc" "$WORK/sys/module/vfio/parameters"
echo "root=/dev/sda1 memmap=64M!4G" >"$WORK/proc/cmdline"
printf 'MemTotal: 1048576 kB\nMemAvailable: 819200 kB\nCmaFree: 204800 kB\n' \
	>"$WORK/proc/meminfo"
echo 1 >"$LIVEUPDATE/next_handover"
echo "$ON" >"$LIVEUPDATE/next_cmdline"
echo 0 >"$LIVEUPDATE/unfinished"
echo $((256 << 20)) >"$LIVEUPDATE/scratch"
echo Y >"$WORK/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

# tag NAME KIND USED NEEDS
tag()
{
	mkdir -p "$LIVEUPDATE/tags/$1"
	echo "$2" >"$LIVEUPDATE/tags/$1/kind"
	echo "$3" >"$LIVEUPDATE/tags/$1/used"
	echo "$4" >"$LIVEUPDATE/tags/$1/needs"
}

# says STATUS PATTERN WHAT ARGUMENT...
says()
{
	local want=$1 pattern=$2 what=$3 status=0
	shift 3

	"$PREFLIGHT" --root "$WORK" "$@" >"$WORK/out" 2>&1 || status=$?
	if [ $status = "$want" ] && grep -Eq "$pattern" "$WORK/out"; then
		point ok "$what"
	else
		echo "# status $status:"
		sed 's/^/# /' "$WORK/out"
		point "not ok" "$what"
	fi
}

# number OFFSET VALUE: 32 bits, little endian, into the bzImage that is made.
number()
{
	printf "\\x$(printf '%02x' $(($2 & 255)))\\x$(printf '%02x' $(($2 >> 8 & 255)))\\x$(printf '%02x' $(($2 >> 16 & 255)))\\x$(printf '%02x' $(($2 >> 24)))" |
		dd of="$WORK/bzImage" bs=1 seek="$1" conv=notrunc status=none
}

# repack COMMAND...: the same kernel, packed in another way, with its size
# behind it as the kernel's build puts it there.
repack()
{
	local sectors

	cp "$KERNEL/arch/x86/boot/bzImage" "$WORK/bzImage"
	sectors=$(od -An -tu1 -j $((0x1f1)) -N 1 "$WORK/bzImage")
	truncate -s $(((sectors + 1) * 512)) "$WORK/bzImage"
	"$@" <"$WORK/vmlinux" >"$WORK/packed"
	printf 'size' >>"$WORK/packed"
	cat "$WORK/packed" >>"$WORK/bzImage"
	number $((0x248)) 0
	number $((0x24c)) "$(stat -c %s "$WORK/packed")"
}

tag memfd-v2 file 3 0
tag luo-v5 subtree 1 0x0
tag liveupdate-test-file file 0 0

strip -o "$WORK/vmlinux" "$KERNEL/vmlinux"
says 0 'knows all 2 tags' "vmlinux" "$KERNEL/vmlinux"
says 0 'knows all 2 tags' "stripped vmlinux" "$WORK/vmlinux"
says 0 'knows all 2 tags' "bzImage" "$KERNEL/arch/x86/boot/bzImage"
for packer in bzip2 xz lzma lzop lz4 zstd; do
	command -v "$packer" >/dev/null || continue
	case $packer in
	lz4) repack lz4 -lc ;;
	*) repack "$packer" -c ;;
	esac
	says 0 'knows all 2 tags' "bzImage packed with $packer" "$WORK/bzImage"
done
repack cat
says 0 'knows all 2 tags' "bzImage that is not packed" "$WORK/bzImage"

says 1 'lists no tags' "the pristine kernel knows none" \
	"$("$TOP/harness/kernel.sh" image base fast)"

tag liveupdate-test-file file 1 0
says 1 'missing: liveupdate-test-file \(file\): not known' \
	"a module's tag is missing without the module" "$KERNEL/vmlinux"
says 0 'knows all 3 tags' "and there with it" "$KERNEL/vmlinux" \
	"$KERNEL/lib/tests/liveupdate_file.ko"

tag luo-example-v1 subtree 1 0x1
says 0 'knows all 4 tags' "a feature it knows" "$KERNEL/vmlinux" \
	"$KERNEL/lib/tests/liveupdate_file.ko"
tag luo-example-v1 subtree 1 0x8000000000000001
says 1 'luo-example-v1 \(subtree\): features 0x8000000000000000' \
	"a feature it does not know" "$KERNEL/vmlinux"
tag luo-example-v1 flb 1 0
says 1 'luo-example-v1 \(flb\): not known' "the same name of another kind" \
	"$KERNEL/vmlinux"
says 1 '"ready": false' "as JSON" --json "$KERNEL/vmlinux"
if command -v python3 >/dev/null; then
	python3 -c 'import json,sys; d = json.load(sys.stdin)
sys.exit(not (d["lists_tags"] and not d["ready"] and len(d["tags"]) == 4))' <"$WORK/out" &&
		point ok "the JSON can be read" || point "not ok" "the JSON can be read"
fi

offset=$(readelf -SW "$WORK/vmlinux" | sed -nE 's/.* \.luo_tags +PROGBITS +[0-9a-f]+ ([0-9a-f]+) .*/\1/p')
cp "$WORK/vmlinux" "$WORK/bzImage"
number $((0x$offset + 80)) $((183 | 12 << 16))
says 1 'another architecture, or another page size' "a kernel for another architecture" \
	"$WORK/bzImage"
number $((0x$offset + 80)) $((62 | 16 << 16))
says 1 'another architecture, or another page size' "a kernel with another page size" \
	"$WORK/bzImage"

echo "no kernel" >"$WORK/text"
: >"$WORK/empty"
head -c 100000 "$KERNEL/vmlinux" >"$WORK/short"
head -c 100000 "$KERNEL/arch/x86/boot/bzImage" >"$WORK/short-bzImage"
says 2 'neither a kernel nor a module' "a text" "$WORK/text"
says 2 'empty' "an empty file" "$WORK/empty"
says 2 'No such file' "no file" "$WORK/nothing"
says 2 'was it cut off' "a vmlinux that was cut off" "$WORK/short"
says 2 'not where its header says' "a bzImage that was cut off" "$WORK/short-bzImage"

# Command lines
rm -r "$LIVEUPDATE/tags"
tag luo-v5 subtree 1 0
tag kho-v4 subtree 1 0
tag pci-v1 flb 1 0
tag vfio-pci-v1 file 1 0
# line STATUS PATTERN COMMAND-LINE
line()
{
	echo "$3" >"$LIVEUPDATE/next_cmdline"
	says "$1" "$2" "command line: $3" "$KERNEL/vmlinux"
}
line 0 '^READY' "$ON"
line 0 'about 600 MiB more' "$ON quiet"
line 0 '256 of 1024 MiB' "$ON root=/dev/sda1"
line 1 'disables kho' "$ON kho=off"
line 1 'disables kho' "kho=on kho=0 liveupdate=1"
line 0 '^READY' "$ON kho=off kho=y"
line 0 '^READY' "$ON -- kho=off"
line 1 'no liveupdate=on' "kho=on"
line 1 'disables liveupdate' "$ON liveupdate=n"
line 1 'mem=512M on its command line' "$ON mem=512M"
line 1 'memmap=16M\$1G on its command line' "$ON memmap=16M\$1G"
line 0 '^READY' "$ON memmap=64M!4G"
line 1 'memtest' "$ON memtest"
line 1 'memtest' "$ON memtest=4"
line 0 '^READY' "$ON memtest=0"
line 1 'pci=off on' "$ON pci=off"
line 1 'pci=noacpi on' "$ON pci=realloc=on,noacpi"
line 1 'pci=conf1 on' "$ON pci=conf1"
line 1 'pci=nommconf on' "$ON \"pci=nommconf,noari\""
line 0 '^READY' "$ON pci=assign-busses,realloc=on,noari,pcie_bus_perf,nomsi"
line 1 'acpi=off on' "$ON acpi=off"
line 0 '^READY' "$ON acpi=force"
line 1 'intel_iommu=on,sm_on on' "$ON intel_iommu=on,sm_on"
line 0 '^READY' "$ON intel_iommu=off"
line 1 'no vfio.enable_unsafe_noiommu_mode=1' "kho=on liveupdate=on"
line 1 'no vfio.enable_unsafe_noiommu_mode=1' "$ON vfio.enable_unsafe_noiommu_mode=0"
line 0 '^READY' "kho=on liveupdate=on vfio.enable-unsafe-noiommu-mode"
mkdir -p "$WORK/sys/firmware/acpi/tables"
: >"$WORK/sys/firmware/acpi/tables/DMAR"
line 0 'note: this machine has an IOMMU that is off' "$ON"
line 0 '^scratch' "$ON intel_iommu=off"
grep -q note "$WORK/out" && point "not ok" "no note about an IOMMU that is off" ||
	point ok "no note about an IOMMU that is off"

# Behind VT-d
UNIT=$WORK/sys/class/iommu/dmar0/intel-iommu
mkdir -p "$UNIT"
tag vtd-v1 part 1 0
tag iommu-v1 flb 1 0
echo 'nr_iommu_pages 300' >"$WORK/proc/vmstat"
echo f0f42 >"$UNIT/ecap"
line 0 '^READY' "$ON intel_iommu=on"
line 0 '^READY' "$ON"
line 0 '^IOMMU page tables: up to 1200 KiB' "$ON intel_iommu=on,sm_on"
line 1 'switches VT-d off' "$ON intel_iommu=off"
line 1 'switches VT-d off' "$ON intel_iommu=on,sm_off iommu=off"
line 1 'switches VT-d off' "$ON iommu=off intel_iommu=on,sm_off"
line 0 '^READY' "$ON intel_iommu=off intel_iommu=on iommu=pt"
echo 800000f0f42 >"$UNIT/ecap"
line 1 'in scalable mode, .* add intel_iommu=sm_off' "$ON intel_iommu=sm_on"
line 0 '^READY' "$ON intel_iommu=sm_on,sm_off"
line 0 '^READY' "$ON intel_iommu=on"
line 0 'note: .*no vfio.enable_unsafe_noiommu_mode=1' "kho=on liveupdate=on intel_iommu=sm_off"
tag vtd-scalable-v1 part 1 0
line 1 'in legacy mode, .* add intel_iommu=sm_on' "$ON intel_iommu=on"
line 1 'in legacy mode, .* add intel_iommu=sm_on' "$ON intel_iommu=sm_on,sm_off"
line 0 '^READY' "$ON intel_iommu=sm_on"
rm -r "$LIVEUPDATE/tags/vtd-scalable-v1"
line 0 '^READY' "$ON intel_iommu=sm_off intremap=off nox2apic"
tag vtd-intremap-v1 part 1 0
line 1 'intremap=off on its command line' "$ON intel_iommu=sm_off intremap=off"
line 1 'noapic on its command line' "$ON intel_iommu=sm_off noapic"
line 1 'nox2apic is on its command line only' "$ON intel_iommu=sm_off nox2apic"
line 1 'intremap=no_x2apic_optout is on its' "$ON intel_iommu=sm_off intremap=nosid,no_x2apic_optout"
line 0 '^READY' "$ON intel_iommu=sm_off intremap=nosid"
sed -i 's/$/ nox2apic/' "$WORK/proc/cmdline"
line 1 "nox2apic is on the running kernel's" "$ON intel_iommu=sm_off"
line 0 '^READY' "$ON intel_iommu=sm_off nox2apic"
sed -i 's/ nox2apic//' "$WORK/proc/cmdline"
rm -r "$LIVEUPDATE/tags/vtd-intremap-v1"
says 0 '"iommu_tables": 1228800' "the size of page tables in JSON" --json "$KERNEL/vmlinux"
rm -r "$LIVEUPDATE/tags/vtd-v1" "$LIVEUPDATE/tags/iommu-v1" "$WORK/sys/class/iommu"

says 0 '^READY' "a command line that is given" --cmdline "$ON" "$KERNEL/vmlinux"
says 1 'disables kho' "another one" --cmdline "kho=off" "$KERNEL/vmlinux"
says 1 '"problems": \["its command line disables kho' "the problem in JSON" \
	--json --cmdline "$ON kho=off" "$KERNEL/vmlinux"
# With nothing of PCI in use its options do not matter.
tag pci-v1 flb 0 0
line 0 '^READY' "$ON pci=off acpi=off intel_iommu=on"
tag pci-v1 flb 1 0

line 0 '^READY' "$ON"
echo 2 >"$LIVEUPDATE/unfinished"
says 1 '2 sessions of the previous kernel are not finished' "unfinished sessions" \
	"$KERNEL/vmlinux"
says 0 'note: 2 sessions' "unfinished sessions that may go" --discard "$KERNEL/vmlinux"
echo 0 >"$LIVEUPDATE/unfinished"
echo 0 >"$LIVEUPDATE/next_handover"
says 1 'does not carry the preserved state' "an image that gets no handover" "$KERNEL/vmlinux"
rm "$LIVEUPDATE/next_cmdline"
says 1 'does not carry the preserved state' "an image from kexec_load()" "$KERNEL/vmlinux"
rm "$LIVEUPDATE/next_handover"
says 2 'no image is loaded' "no image" "$KERNEL/vmlinux"

# The same kernel, built with kho on or off: the flags of its tag.
kho_at=$(grep -abo 'kho-v4' "$WORK/vmlinux" | cut -d: -f1 | while read -r at; do
	[ "$at" -gt $((0x$offset)) ] && [ $(((at - 8 - 0x$offset) % 88)) = 0 ] &&
		echo "$at"
done | head -n 1)
NO_KHO="liveupdate=on vfio.enable_unsafe_noiommu_mode=1"
cp "$WORK/vmlinux" "$WORK/bzImage"
number $((kho_at + 52)) 3
says 1 'no kho=on, and the kernel was built with it off' \
	"a kernel that was built with kho off" --cmdline "$NO_KHO" "$WORK/bzImage"
says 0 '^READY' "the same, switched on" --cmdline "$ON" "$WORK/bzImage"
number $((kho_at + 52)) 7
says 0 '^READY' "a kernel that was built with kho on" --cmdline "$NO_KHO" \
	"$WORK/bzImage"
says 1 'disables kho' "the same, switched off" --cmdline "$ON kho=off" \
	"$WORK/bzImage"

mv "$LIVEUPDATE/tags" "$WORK/no-tags"
says 2 'Live update is off' "a kernel without live update" "$KERNEL/vmlinux"
echo "1..$N"
exit $FAILED
