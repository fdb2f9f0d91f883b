#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the host tests share: a scratch repository, a kernel of a few files, and
# assertions. Called by host.sh as: tree-lib.sh FILE FUNCTION

set -euo pipefail
shopt -s inherit_errexit

HARNESS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

fail()
{
	echo "FAILED: $*"
	exit 1
}

skip()
{
	echo "SKIP $*"
	exit 4
}

# run COMMAND...: leaves STATUS and the file $SCRATCH/out.
run()
{
	STATUS=0
	"$@" >"$SCRATCH/out" 2>&1 || STATUS=$?
	sed "s/^/| /" "$SCRATCH/out"
}

works()
{
	run "$@"
	[ "$STATUS" = 0 ] || fail "$* ended with $STATUS"
}

# refused PATTERN COMMAND...: one sentence that begins with "error: " and says
# this, and nothing after it.
refused()
{
	local pattern=$1
	shift
	run "$@"
	[ "$STATUS" = 1 ] || fail "$* ended with $STATUS instead of 1"
	[ "$(grep -c '^error: ' "$SCRATCH/out")" = 1 ] || fail "not exactly one sentence"
	tail -n 1 "$SCRATCH/out" | grep -qE "^error: .*($pattern)" || fail "it does not say: $pattern"
}

says()
{
	grep -qE "$1" "$SCRATCH/out" || fail "it does not say: $1"
}

same()
{
	[ "$1" = "$2" ] || fail "${3:-not the same}: '$1' and '$2'"
}

differ()
{
	[ "$1" != "$2" ] || fail "${3:-the same}: '$1'"
}

in_tree()
{
	git -C "$REPO/build/linux" "$@"
}

tree()
{
	(cd "$REPO" && harness/tree.sh tree)
}

refresh()
{
	(cd "$REPO" && harness/tree.sh refresh)
}

series()
{
	(cd "$REPO" && harness/tree.sh series)
}

commit()
{
	in_tree add -A
	in_tree commit -q "$@"
}

# stamps: name and time of every file of the assembled tree.
stamps()
{
	(cd "$REPO/build/linux" && find . -name .git -prune -o -type f -printf '%P %T@\n' | sort)
}

# touched BEFORE AFTER: the files whose time or existence differs.
touched()
{
	diff "$1" "$2" | sed -nE 's/^[<>] (.*) [0-9.]+$/\1/p' | sort -u | paste -sd' '
}

lines()
{
	local n

	for n in $(seq "$2"); do
		echo "$1 line $n"
	done
}

# --- a kernel

make_kernel()
{
	local dir=$1

	mkdir -p "$dir"/{drivers/pci,kernel,include/linux,scripts,tools/testing/selftests/liveupdate}
	cat >"$dir/Makefile" <<-'MAKE'
	# SPDX-License-Identifier: GPL-2.0
	VERSION = 7
	PATCHLEVEL = 3
	SUBLEVEL = 9
	EXTRAVERSION =
	.RECIPEPREFIX = >

	DIRS := drivers/pci/ kernel/
	.PHONY: $(DIRS) allnoconfig bzImage

	allnoconfig:
	>@cp $(KCONFIG_ALLCONFIG) $(O)/.config

	$(DIRS):
	>@for c in $@*.c; do \
			o=$(O)/$${c%.c}.o; mkdir -p $$(dirname $$o); \
			[ $$o -nt $$c ] && continue; \
			$(CC) $$(sed -n 's/^\(CONFIG_.*\)=y/-D\1/p' $(O)/.config) \
				-Wall -Iinclude -c $$c -o $$o || exit 1; \
		done

	bzImage: $(DIRS)
	>@mkdir -p $(O)/arch/x86/boot
	>@cat $(O)/kernel/*.o >$(O)/arch/x86/boot/bzImage
	MAKE
	echo 'obj-y += kernel/ drivers/' >"$dir/Kbuild"
	printf '*.o\nignored-but-shipped\n.*\n!.gitignore\n' >"$dir/.gitignore"
	echo shipped >"$dir/ignored-but-shipped"
	{
		printf 'List of maintainers\n\n\tM: *Mail* patches to\n\nMaintainers List\n\n'
		printf '.. note:: When reading\n          this list\n\n'
		printf 'ACPI\nL:\tacpi@example.org\nF:\tdrivers/acpi/\n\n'
		printf 'PCI SUBSYSTEM\nL:\tpci@example.org\nF:\tdrivers/pci/\n\n'
		printf 'THE REST\nL:\trest@example.org\nF:\t*\n'
	} >"$dir/MAINTAINERS"
	{
		echo 'int pci_before;'
		lines '/* pci */ //' 30
		echo 'int pci_after;'
	} >"$dir/drivers/pci/pci.c"
	{
		lines '/* core */ //' 20
		echo 'static int unused_in_base;'
		echo 'int core;'
	} >"$dir/kernel/core.c"
	echo 'extern int pci_before;' >"$dir/include/linux/pci.h"
	cat >"$dir/scripts/checkpatch.pl" <<-'CHECK'
	#!/bin/sh
	for last; do :; done
	grep '^+.*UGLY' "$last" && echo "ERROR: ugly" && exit 1
	exit 0
	CHECK
	printf '#!/bin/sh\necho 1\n' >"$dir/scripts/checker-valid.sh"
	chmod +x "$dir"/scripts/*
	echo 'all:' >"$dir/tools/testing/selftests/liveupdate/Makefile"
}

# --- a repository with two patches

make_repository()
{
	local dir=$1

	mkdir -p "$dir"/{harness,patches,drivers/pci,include/uapi/linux/luo,tools/testing/selftests/liveupdate}
	cp "$HARNESS"/{lib,apt,base,tree,check-series}.sh "$HARNESS/base.pin" "$dir/harness/"
	cp -r "$HARNESS/tree" "$dir/harness/"
	echo '/build/' >"$dir/.gitignore"
	printf 'PCI DEVICE LIVE UPDATE\nL:\tpci@example.org\nF:\tdrivers/pci/liveupdate.c\n' >"$dir/MAINTAINERS"
	echo '/* the wire */' >"$dir/include/uapi/linux/luo/abi.h"
	printf '#ifdef CONFIG_OURS\nint ours;\n#endif\n' >"$dir/drivers/pci/liveupdate.c"
	printf '#!/bin/sh\ntrue\n' >"$dir/tools/testing/selftests/liveupdate/run.sh"
	chmod +x "$dir/tools/testing/selftests/liveupdate/run.sh"
	echo 'CONFIG_OURS=y' >"$dir/tools/testing/selftests/liveupdate/config.fast"
	cat >"$dir/patches/series" <<-'SERIES'
	# The order of the series.
	0001-luo-add-the-wire.patch  include/uapi/linux/luo/abi.h
	# boundary luo
	0002-pci-add-live-update.patch  MAINTAINERS drivers/pci/liveupdate.c tools/testing/selftests/liveupdate/config.fast tools/testing/selftests/liveupdate/run.sh
	SERIES
	printf 'luo: add the wire\n\nIt is new.\n---\n' >"$dir/patches/0001-luo-add-the-wire.patch"
	cat >"$dir/patches/0002-pci-add-live-update.patch" <<-'PATCH'
	pci: add live update

	Why it is there.

	In two paragraphs.
	---
	diff --git a/drivers/pci/pci.c b/drivers/pci/pci.c
	--- a/drivers/pci/pci.c
	+++ b/drivers/pci/pci.c
	@@ -1,4 +1,5 @@
	 int pci_before;
	+int pci_hook;
	 /* pci */ // line 1
	 /* pci */ // line 2
	 /* pci */ // line 3
	@@ -29,4 +30,5 @@ int pci_before;
	 /* pci */ // line 28
	 /* pci */ // line 29
	 /* pci */ // line 30
	+int pci_second_hook;
	 int pci_after;
	PATCH
	git -C "$dir" init -q
	git -C "$dir" add -A
	git -C "$dir" -c user.name=x -c user.email=x@example.org commit -qm start
}

setup()
{
	SCRATCH=$(mktemp -d)
	trap 'rm -rf "$SCRATCH"' EXIT
	REPO=$SCRATCH/repo
	KSRC=$SCRATCH/ksrc

	# No configuration, no cache, and a git without a name.
	unset "${!GIT_@}"
	export HOME=$SCRATCH/home XDG_CACHE_HOME=$SCRATCH/cache KSRC
	export GIT_CONFIG_NOSYSTEM=1 LC_ALL=C
	export XDG_CONFIG_HOME=$SCRATCH/home CCACHE_DIR=$SCRATCH/ccache
	mkdir -p "$HOME"
	make_kernel "$KSRC"
	make_repository "$REPO"
}

# A user who commits in build/linux and exports the series.
be_somebody()
{
	git config --global user.name 'Some Body'
	git config --global user.email some@example.org
	git config --global core.editor true
}

. "$1"
setup
"$2"
