#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# liveupdate-preflight on kernels of all kinds, against a list of tags that is
# made up. What it says in a machine is the preflight* tests' part. Prints TAP.

. "$(dirname "$0")/../lib.sh"

PREFLIGHT=$BUILD/selftests/tools/liveupdate-preflight
KERNEL=$BUILD/kernel/fast
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

. "$(dirname "$0")/../tap.sh"

# tag NAME KIND USED NEEDS
tag()
{
	mkdir -p "$WORK/tags/$1"
	echo "$2" >"$WORK/tags/$1/kind"
	echo "$3" >"$WORK/tags/$1/used"
	echo "$4" >"$WORK/tags/$1/needs"
}

# says STATUS PATTERN WHAT ARGUMENT...
says()
{
	local want=$1 pattern=$2 what=$3 status=0
	shift 3

	"$PREFLIGHT" --tags "$WORK/tags" "$@" >"$WORK/out" 2>&1 || status=$?
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
mv "$WORK/tags" "$WORK/no-tags"
says 2 'Live update is off' "a kernel without live update" "$KERNEL/vmlinux"
echo "1..$N"
exit $FAILED
