#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds what runs in the test machine.  The path of the result is the last
# line on standard output; everything else goes to standard error.
#
#	kernel.sh image base|tree fast|debug|kasan	a bzImage
#	kernel.sh image without			the tree whose mechanisms can be left out
#	kernel.sh image without-NAME		the tree less harness/without/alone/NAME.patch
#	kernel.sh headers			uAPI headers of the tree
#	kernel.sh selftests			test programs, static
#	kernel.sh initrd			the machine's first user space

. "$(dirname "$0")/lib.sh"

JOBS=${JOBS:-$(nproc)}
FRAGMENTS=$TOP/tools/testing/selftests/liveupdate
TREE=$BUILD/linux
OPTIONS=$TOP/patches/options
WITHOUT=$TOP/harness/without

fragments()
{
	case $1 in
	fast) cat "$FRAGMENTS/config.fast" ;;
	debug) cat "$FRAGMENTS"/config.{fast,debug} ;;
	kasan) cat "$FRAGMENTS"/config.{fast,debug,kasan} ;;
	*) die "there is no kernel flavour '$1': use fast, debug or kasan." ;;
	esac
}

# wanted SOURCE FLAVOUR: the pristine kernel does not know the series' options.
wanted()
{
	local source=$1 flavour=$2 ours=

	[ "$source" != "$(base_source)" ] ||
		ours=$(sed -E 's/#.*//; /^$/d; s/.*/^&=/' "$OPTIONS" | paste -sd'|')
	fragments "$flavour" | grep -vE "${ours:-^$}"
}

base_source()
{
	echo "$("$TOP/harness/base.sh")/linux"
}

# What decides about a pristine kernel besides its source; comments do not.
flavour_key()
{
	{
		wanted "$(base_source)" "$1" | grep -E "^(# )?CONFIG_"
		gcc --version | head -n 1
	} | sha256sum | cut -c1-12
}

# configure SOURCE OUTPUT FLAVOUR: keeps an up-to-date .config as it is.  With
# new options in the source it is not: the build would ask for them.
configure()
{
	local source=$1 output=$2 flavour=$3 wanted line lost

	mkdir -p "$output"
	wanted=$output/wanted.config
	wanted "$source" "$flavour" >"$wanted.new"
	if [ -e "$output/.config" ] && cmp -s "$wanted" "$wanted.new" &&
	   [ "$(cat "$output/configured-from" 2>/dev/null)" = "$source" ] &&
	   [ -z "$(find "$source" -name 'Kconfig*' \
		-newer "$output/configured-from" -print -quit)" ]; then
		rm "$wanted.new"
		return
	fi
	rm -f "$output/configured-from"
	mv "$wanted.new" "$wanted"
	make -s -C "$source" O="$output" KCONFIG_ALLCONFIG="$wanted" \
		allnoconfig >&2
	lost=$(grep -E '^(# )?CONFIG_' "$wanted" | while read -r line; do
		grep -qxF "$line" "$output/.config" || echo "$line"
	done)
	[ -z "$lost" ] ||
		die "the $flavour configuration asks for what this kernel does not give: $(echo $lost)"
	echo "$source" >"$output/configured-from"
}

# compile SOURCE OUTPUT NAME [TARGETS]: one line per some hundred objects.
compile()
{
	local source=$1 output=$2 name=$3

	need_space "$output" 4
	step "building $name (log: ${output#"$TOP"/}/build.log)"
	make -C "$source" O="$output" CC="ccache gcc" -j"$JOBS" ${4-bzImage modules} 2>&1 </dev/null |
		tee "$output/build.log" |
		awk '/^  (CC|AS|LD|AR) / && ++n % 300 == 0 {
			printf "    %d objects\n", n > "/dev/stderr" }' ||
		die "the $name kernel does not build: $(grep -m 1 -E 'error:|Error ' "$output/build.log")"
}

image_base()
{
	local flavour=$1 base dir

	base=$("$TOP/harness/base.sh")
	dir=$base/kernel/$flavour-$(flavour_key "$flavour")
	take_lock "$base/kernel/lock"
	if [ ! -e "$dir/complete" ]; then
		configure "$base/linux" "$dir" "$flavour"
		compile "$base/linux" "$dir" "pristine $flavour kernel"
		touch "$dir/complete"
	fi
	echo "$dir/arch/x86/boot/bzImage"
}

image_tree()
{
	local flavour=$1 dir=$BUILD/kernel/$1

	[ -d "$TREE" ] || die "there is no tree: run 'make tree'."
	take_lock "$BUILD/kernel/$flavour.lock"
	configure "$TREE" "$dir" "$flavour"
	# Reports must tell the two kernels apart.
	LOCALVERSION=-liveupdate compile "$TREE" "$dir" "$flavour kernel"
	echo "$dir/arch/x86/boot/bzImage"
}

# What decides about such a kernel, so that nothing is built twice.
without_key()
{
	{
		git -C "$TREE" ls-tree HEAD | grep -vE "	(tools|Documentation|MAINTAINERS)$"
		cat "$@"
		fragments fast
	} | sha256sum
}

# image_without NAME PATCH...: the tree with these patches on top. Its source
# follows the assembled tree: only what a patch or an edit touches is compiled.
image_without()
{
	local name=$1 dir=$BUILD/without out source key patch
	# As deep below its source as the other kernels: ccache knows the objects.
	local objects=$dir/kernel/fast
	shift

	for patch; do
		[ -e "$patch" ] ||
			die "there is no ${patch#"$TOP"/}, and that is what kernel $name is made with."
	done
	[ -d "$TREE" ] || die "there is no tree: run 'make tree'."
	mkdir -p "$dir"
	out=$dir/$name.bzImage source=$dir/linux
	take_lock "$dir/lock"
	key=$(without_key "$@")
	if [ -e "$out" ] && [ "$(cat "$out.key" 2>/dev/null)" = "$key" ]; then
		echo "$out"
		return
	fi
	git -C "$TREE" worktree prune
	[ -d "$source" ] ||
		git -C "$TREE" worktree add -q --detach "$source" HEAD
	git -C "$source" reset -q --hard
	git -C "$source" clean -q -fdx
	git -C "$source" checkout -q --detach "$(git -C "$TREE" rev-parse HEAD)"
	for patch; do
		git -C "$source" apply -C1 "$patch" ||
			die "${patch#"$TOP"/} does not apply to the tree any more: bring it up to date."
	done
	configure "$source" "$objects" fast
	LOCALVERSION=-liveupdate compile "$source" "$objects" "kernel $name" bzImage
	cp "$objects/arch/x86/boot/bzImage" "$out"
	echo "$key" >"$out.key"
	echo "$out"
}

headers()
{
	local out=$BUILD/headers

	take_lock "$BUILD/headers.lock"
	make -s -C "$TREE" O="$BUILD/headers.build" \
		INSTALL_HDR_PATH="$out" headers_install >"$BUILD/headers.log" 2>&1 ||
		die "headers_install fails: $(tail -n 1 "$BUILD/headers.log")"
	echo "$out"
}

# A test that has not ended after 30 seconds fails, which a slow machine does not
# deserve. This header is found first without a path.
be_patient()
{
	local patient=$BUILD/selftests/patient

	mkdir -p "$patient"
	sed 's/^#define TEST_TIMEOUT_DEFAULT 30$/#define TEST_TIMEOUT_DEFAULT 600/' \
		"$TREE/tools/testing/selftests/kselftest_harness.h" \
		>"$patient/kselftest_harness.h.new"
	grep -q 'TEST_TIMEOUT_DEFAULT 600' "$patient/kselftest_harness.h.new" ||
		die "kselftest_harness.h has no TEST_TIMEOUT_DEFAULT of 30 any more: see be_patient() in harness/kernel.sh."
	cmp -s "$patient/kselftest_harness.h.new" "$patient/kselftest_harness.h" ||
		mv "$patient/kselftest_harness.h.new" "$patient/kselftest_harness.h"
}

# selftest DIRECTORY LIBRARIES TARGET...: a kselftest directory, static.
selftest()
{
	local name=$1 libs=$2 out=$BUILD/selftests/$1
	shift 2

	mkdir -p "$out"
	make -s -C "$TREE/tools/testing/selftests/$name" OUTPUT="$out" \
		KHDR_INCLUDES="-isystem $BUILD/headers/include" \
		CC="ccache gcc -I$BUILD/selftests/patient" EXTRA_CFLAGS= LDFLAGS="-static -pthread" \
		LDLIBS="$libs" -j"$JOBS" "${@/#/$out/}" \
		>"$out/build.log" 2>&1 ||
		die "selftests/$name do not build: $(grep -m 1 -E 'error|Error' "$out/build.log") (log: ${out#"$TOP"/}/build.log)"
}

# tool NAME PROGRAM: a program of tools/NAME, and what it is linked with: Debian
# 13 has no libelf that can be linked statically.
tool()
{
	local name=$1 program=$2 out=$BUILD/selftests/tools library
	local made=$BUILD/selftests/tools.made

	mkdir -p "$out" "$made"
	# It takes a second, and make does not know when it is linked otherwise.
	rm -f "$made/$program"
	make -s -C "$TREE/tools/$name" OUTPUT="$made/" CC="ccache gcc" \
		>"$made/build.log" 2>&1 ||
		die "tools/$name does not build: $(grep -m 1 -E 'error|Error' "$made/build.log") (log: ${made#"$TOP"/}/build.log)"
	# A test may be using it.
	[ ! -e "$out/lib/ld.so" ] || ! cmp -s "$made/$program" "$out/$program" || return 0
	cp "$made/$program" "$out/"
	rm -rf "$out/lib"
	mkdir -p "$out/lib"
	for library in $(ldd "$out/$program" | grep -o '/[^ ]*'); do
		cp "$library" "$out/lib/"
	done
	cp "$out"/lib/ld-linux* "$out/lib/ld.so"
}

selftests()
{
	headers >/dev/null
	take_lock "$BUILD/selftests.lock"
	step "building the test programs"
	be_patient
	selftest liveupdate "" liveupdate luo_kexec_simple luo_multi_session \
		luo_stress_sessions luo_stress_files luo_frame luo_memfd \
		lu_vmm lu_device lu_functions lu_was_reset lu_abandon lu_beside lu_coverage lu_query lu_removal lu_master lu_reset lu_two_removals lu_replace lu_cost lu_irqs lu_pin lu_rng lu_doorbell lu_selftest lu_example
	selftest vfio "-luuid" vfio_dma_mapping_test vfio_dma_mapping_mmio_test \
		vfio_iommufd_setup_test vfio_pci_device_test \
		vfio_pci_driver_test vfio_pci_sriov_uapi_test
	selftest iommu "-lcap" iommufd iommufd_fail_nth
	tool liveupdate liveupdate-preflight
	echo "$BUILD/selftests"
}

initrd()
{
	local root=$BUILD/initrd.root out=$BUILD/initrd busybox

	take_lock "$BUILD/initrd.lock"
	busybox=$(command -v busybox) ||
		die "busybox is missing: run 'make deps'."
	if [ -e "$out" ] && [ -z "$(find "$TOP/harness/guest" "$FRAGMENTS/lu_stop.h" \
		-name '*.[ch]' -newer "$out")" ]; then
		echo "$out"
		return
	fi
	rm -rf "$root"
	mkdir -p "$root/bin"
	gcc -static -O2 -Wall -Wextra -I"$FRAGMENTS" \
		"$TOP"/harness/guest/{init,state}.c -o "$root/init"
	cp "$busybox" "$root/bin/busybox"
	"$busybox" --list | while read -r applet; do
		[ "$applet" = busybox ] || ln -sf busybox "$root/bin/$applet"
	done
	ln -s ../init "$root/bin/nothing_left"
	(cd "$root" && find . | cpio -o -H newc --quiet) >"$out.new"
	mv "$out.new" "$out"
	echo "$out"
}

# late FLAVOUR: vfio-pci of the tree as a module, for a kernel that has it built in
# and is told initcall_blacklist=vfio_pci_init, which must not mean this one.
late()
{
	local flavour=$1 out=$BUILD/kernel/$1 late=$BUILD/kernel/$1/late

	mkdir -p "$late"
	take_lock "$late/lock"
	rm -f "$late/vfio_pci.c"
	sed 's/\<vfio_pci_init\>/vfio_pci_late/' \
		"$TREE/drivers/vfio/pci/vfio_pci.c" >"$late/vfio_pci.c"
	printf 'obj-m := vfio-pci-late.o\nvfio-pci-late-y := vfio_pci.o\nccflags-y := -I%s/drivers/vfio/pci\n' \
		"$TREE" >"$late/Makefile"
	make -s -C "$TREE" O="$out" M="$late" CC="ccache gcc" -j"$JOBS" modules \
		>"$late/build.log" 2>&1 </dev/null ||
		die "vfio-pci does not build as a module: $(grep -m 1 -E 'error|ERROR' "$late/build.log") (log: ${late#"$TOP"/}/build.log)"
}

case ${1-} in
image)
	case ${2-} in
	base) image_base "${3-fast}" ;;
	tree) image_tree "${3-fast}" ;;
	without) image_without without "$WITHOUT"/*.patch ;;
	without-*) image_without "$2" "$WITHOUT/alone/${2#without-}.patch" ;;
	*) die "whose kernel? Use: kernel.sh image base|tree|without|without-NAME fast|debug|kasan" ;;
	esac ;;
late) late "${2-fast}" ;;
headers | selftests | initrd) "$1" ;;
*) die "usage: kernel.sh image base|tree|without|without-NAME fast|debug|kasan, late fast|debug|kasan, headers, selftests, initrd" ;;
esac
