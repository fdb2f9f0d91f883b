#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# base.sh: where the base comes from, and what it says when it does not.

base()
{
	"$REPO/harness/base.sh"
}

# without_network: apt knows one mirror, and it cannot be reached.
without_network()
{
	unset KSRC
	echo "deb http://mirror.invalid/debian bookworm main" >"$SCRATCH/sources.list"
	cat >"$SCRATCH/apt.conf" <<-CONF
	Dir::Etc::sourcelist "$SCRATCH/sources.list";
	Dir::Etc::sourceparts "$SCRATCH/none";
	CONF
	export APT_CONFIG=$SCRATCH/apt.conf
}

test_ksrc_is_imported_and_untouched()
{
	local dir

	(cd "$KSRC" && find . -printf '%P %T@ %m\n' | sort) >"$SCRATCH/before"
	works base
	(cd "$KSRC" && find . -printf '%P %T@ %m\n' | sort) | cmp "$SCRATCH/before" -
	dir=$(tail -n 1 "$SCRATCH/out")
	[[ $(basename "$dir") =~ ^7\.3\.9-[0-9a-f]{12}$ ]] || fail "odd name: $dir"
	diff -r -x .git "$KSRC" "$dir/linux"
	same "$(git -C "$dir/linux" rev-list --count HEAD)" 1
	same "$(git -C "$dir/linux" status --porcelain --ignored)" ''
	same "$(ls -A "$SCRATCH/cache/pci-liveupdate/base")" "$(basename "$dir")"
}

test_ksrc_in_git_gives_what_git_tracks()
{
	local dir

	git -C "$KSRC" init -q
	git -C "$KSRC" add -f -A
	git -C "$KSRC" -c user.name=x -c user.email=x@example.org commit -qm all
	echo 'not tracked' >"$KSRC/notes"
	mkdir "$KSRC/include/config"
	echo 'int edited;' >>"$KSRC/kernel/core.c"
	works base
	dir=$(tail -n 1 "$SCRATCH/out")
	[ ! -e "$dir/linux/notes" ] || fail "notes are in the base"
	grep -q edited "$dir/linux/kernel/core.c" || fail "the edit is not in the base"
	git -C "$KSRC" rm -q --cached include/linux/pci.h
	works base
	differ "$(tail -n 1 "$SCRATCH/out")" "$dir"
	[ ! -e "$(tail -n 1 "$SCRATCH/out")/linux/include/linux/pci.h" ] || fail "still tracked"
}

test_same_content_same_commit()
{
	local dir

	works base
	dir=$(tail -n 1 "$SCRATCH/out")
	cp -r "$KSRC" "$SCRATCH/copy"
	KSRC=$SCRATCH/copy
	works base
	same "$(tail -n 1 "$SCRATCH/out")" "$dir"
	echo 'int more;' >>"$KSRC/kernel/core.c"
	works base
	differ "$(tail -n 1 "$SCRATCH/out")" "$dir"
}

test_ksrc_of_another_version()
{
	sed -i 's/^PATCHLEVEL = 3/PATCHLEVEL = 2/' "$KSRC/Makefile"
	refused "KSRC=$KSRC holds Linux 7\.2\.9, and the series is for 7\.3\.y" base
	refused "holds Linux 7\.2\.9" tree
	sed -i 's/^PATCHLEVEL = 2/PATCHLEVEL = 3/; s/^EXTRAVERSION =/& -rc4/' "$KSRC/Makefile"
	refused "holds Linux 7\.3\.9-rc4" base
	[ ! -e "$SCRATCH/cache" ] || fail "the cache was touched"
}

test_ksrc_that_is_no_kernel()
{
	rm "$KSRC/Kbuild"
	refused "KSRC=$KSRC is not a kernel source tree" base
	KSRC=$SCRATCH/nowhere
	refused "KSRC=$SCRATCH/nowhere is not a directory" base
}

test_ksrc_that_was_built_in()
{
	touch "$KSRC/.config"
	refused "holds the output of a build: run 'make mrproper'" base
}

test_no_network_and_nothing_cached()
{
	local before=$SECONDS

	without_network
	refused 'there is no source of Linux 7\.3 \(.*mirror\.invalid.*base\.pin has no SHA256.*make KSRC=/path/to/linux-7\.3\.y' base
	[ $((SECONDS - before)) -lt 15 ] || fail "it took too long"
	same "$(ls -A "$SCRATCH/cache/pci-liveupdate/base")" ''
}

test_no_mirror_at_all()
{
	without_network
	: >"$SCRATCH/sources.list"
	refused 'there is no source of Linux 7\.3 \(apt has no Debian mirror configured' base
}

# The newest archive's base, and never one that came from a KSRC.
test_cache_is_enough()
{
	local dir old new

	works base
	dir=$(tail -n 1 "$SCRATCH/out")
	without_network
	refused 'there is no source of Linux 7\.3' base
	old=$(dirname "$dir")/7.3.9-000000000000
	new=$(dirname "$dir")/7.3.10-000000000000
	cp -r "$dir" "$old"
	cp -r "$dir" "$new"
	rm "$old/ksrc" "$new/ksrc"
	works base
	same "$(tail -n 1 "$SCRATCH/out")" "$new"
	rm -rf "$new/linux"
	works base
	same "$(tail -n 1 "$SCRATCH/out")" "$old"
}

test_leftovers_of_an_interrupted_run()
{
	mkdir -p "$SCRATCH/cache/pci-liveupdate/base/.new.abc/linux"
	works base
	same "$(ls -A "$SCRATCH/cache/pci-liveupdate/base")" "$(basename "$(tail -n 1 "$SCRATCH/out")")"
}

test_two_at_once()
{
	base >"$SCRATCH/one" 2>&1 &
	works base
	wait $! || fail "the other one failed"
	same "$(tail -n 1 "$SCRATCH/one")" "$(tail -n 1 "$SCRATCH/out")"
}

# df says there is next to nothing left.
test_disk_too_small()
{
	mkdir "$SCRATCH/bin"
	printf '#!/bin/sh\nprintf "Filesystem\\nx 9999999 9 1048576 9%%%% /\\n"\n' >"$SCRATCH/bin/df"
	chmod +x "$SCRATCH/bin/df"
	PATH=$SCRATCH/bin:$PATH
	refused 'needs [0-9]+ GiB of free disk space and there are 1' base
}
