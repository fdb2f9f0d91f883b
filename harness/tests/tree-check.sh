#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# check-series.sh: that each of its checks can fail, and passes otherwise.

# with_check: what it needs, and a machine that writes down what it booted.
with_check()
{
	for tool in ccache gcc make perl; do
		command -v "$tool" >/dev/null || skip "$tool is not installed"
	done
	be_somebody
	cat >"$REPO/harness/vm.sh" <<-VM
	#!/bin/sh
	echo "\$@" >>$SCRATCH/booted
	[ ! -e $SCRATCH/does-not-boot ]
	VM
	chmod +x "$REPO/harness/vm.sh"
}

# with_sparse STATE: a sparse of our own that is there, old or missing.
with_sparse()
{
	mkdir -p "$SCRATCH/bin"
	printf '#!/bin/sh\n' >"$SCRATCH/bin/sparse"
	chmod +x "$SCRATCH/bin/sparse"
	[ "$1" != old ] || printf '#!/bin/sh\necho 0\n' >"$KSRC/scripts/checker-valid.sh"
	PATH=$SCRATCH/bin:$PATH
}

# Whether the host has a clang must not matter, but where it is asked for.
CLANG_VERSION=none
export CLANG_VERSION

check()
{
	"$REPO/harness/check-series.sh"
}

test_clean_series()
{
	with_check
	echo CONFIG_OURS >"$REPO/patches/options"
	works check
	says '^ok: checkpatch 0001-luo-add-the-wire\.patch$'
	says '^ok: 0001-luo-add-the-wire\.patch touches no object'
	says '^ok: boundary luo: built and booted$'
	says '^ok: 0002-pci-add-live-update\.patch builds drivers/pci/ with our options on$'
	says '^ok: 0002-pci-add-live-update\.patch builds drivers/pci/ with our options off$'
	same "$(cat "$SCRATCH/booted")" "boot-only --kernel $REPO/build/check/kernel/full/arch/x86/boot/bzImage"
	works check
}

test_clang()
{
	with_check
	works check
	says "^skipped: clang, because clang-none"
	mkdir -p "$SCRATCH/bin"
	export PATH=$SCRATCH/bin:$PATH
	printf "#!/bin/sh\n" | tee "$SCRATCH/bin/clang-none" >"$SCRATCH/bin/ld.lld-none"
	chmod +x "$SCRATCH"/bin/*-none
	works check
	says "^ok: 0002-pci-add-live-update\.patch builds drivers/pci/ with clang$"
}

test_checkpatch()
{
	with_check
	echo 'int UGLY;' >>"$REPO/drivers/pci/liveupdate.c"
	refused 'check-series found 1 faults' check
	says '^ERROR: ugly'
	says '^not ok: checkpatch complains about 0002-pci-add-live-update\.patch'
}

test_new_warning()
{
	with_check
	echo 'static int nobody_reads_this;' >>"$REPO/drivers/pci/liveupdate.c"
	refused 'check-series found 1 faults' check
	says 'drivers/pci/liveupdate\.c: warning: .nobody_reads_this. defined but not used'
	says '^not ok: 0002-pci-add-live-update\.patch brings warnings with our options on'
	# It must be found again, though its object is up to date by now.
	refused 'check-series found 1 faults' check
}

test_warning_of_the_base()
{
	with_check
	works tree
	sed -i 's/^int core;/int core, more;/' "$REPO/build/linux/kernel/core.c"
	sed -i '1i /* moves the line */' "$REPO/build/linux/kernel/core.c"
	commit -m 'core: more'
	works refresh
	works check
	says '^ok: 0003-core-more\.patch builds kernel/ with our options on$'
	grep -q 'unused_in_base' "$REPO"/build/check/on/build.log || fail "the base's warning was not there"
}

test_does_not_build_on()
{
	with_check
	sed -i 's/^int ours;/int ours/' "$REPO/drivers/pci/liveupdate.c"
	echo CONFIG_OURS >"$REPO/patches/options"
	refused 'check-series found 1 faults' check
	says '^not ok: 0002-pci-add-live-update\.patch does not build with our options on'
	says '^ok: 0002.* with our options off'
}

test_does_not_build_off()
{
	with_check
	printf '#ifndef CONFIG_OURS\n#error needs it\n#endif\n' >>"$REPO/drivers/pci/liveupdate.c"
	echo CONFIG_OURS >"$REPO/patches/options"
	refused 'check-series found 1 faults' check
	says '^ok: 0002.* with our options on'
	says '^not ok: 0002-pci-add-live-update\.patch does not build with our options off'
}

# Each patch alone: a later one that mends it does not count.
test_patch_that_a_later_one_mends()
{
	with_check
	works tree
	sed -i 's/^int core;/int core = LATER;/' "$REPO/build/linux/kernel/core.c"
	commit -m 'core: first'
	sed -i '1i #define LATER 1' "$REPO/build/linux/kernel/core.c"
	commit -m 'core: second'
	works refresh
	refused 'check-series found 1 faults' check
	says '^not ok: 0003-core-first\.patch does not build'
	says '^ok: 0004-core-second\.patch builds kernel/'
}

test_header_builds_its_users()
{
	with_check
	sed -i '1i #include <linux/pci.h>' "$KSRC/kernel/core.c"
	works tree
	echo 'BROKEN' >>"$REPO/build/linux/include/linux/pci.h"
	commit -m 'pci: break the header'
	works refresh
	# The fake kernel's make does not follow headers.
	run check
	says '0003-pci-break-the-header\.patch .*(builds kernel/|does not build)'
}

test_boundary_does_not_boot()
{
	with_check
	touch "$SCRATCH/does-not-boot"
	refused 'check-series found 1 faults' check
	says '^not ok: the kernel does not boot at the boundary luo'
}

test_old_sparse_is_skipped_not_clean()
{
	with_check
	with_sparse old
	works check
	says "^skipped: sparse, because the kernel's own check refuses"
	says 'the series is clean, but skipped: .*sparse'
}

test_sparse_that_is_good_enough()
{
	with_check
	with_sparse good
	works check
	! grep -q 'skipped: sparse' "$SCRATCH/out" || fail "sparse was skipped"
}

# The fake kernel builds two directories only.
test_what_is_not_built_is_named()
{
	with_check
	works check
	! grep -q "^skipped: drivers" "$SCRATCH/out" || fail "it was built"
	sed -i 's/\$@\*\.c/$$(ls $@*.c | grep -v liveupdate)/' "$KSRC/Makefile"
	works check
	says '^skipped: drivers/pci/liveupdate\.c of 0002-pci-add-live-update\.patch, because this configuration does not build it'
}
