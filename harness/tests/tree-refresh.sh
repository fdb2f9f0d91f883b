#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# tree.sh refresh: what was committed in build/linux comes back.

# snapshot: the content of everything refresh may write here.
snapshot()
{
	(cd "$REPO" && find . \( -path ./build -o -path ./.git \) -prune -o -type f -print0 |
		sort -z | xargs -0 sha256sum)
}

# round_trip: a tree that is made from what refresh wrote is the same tree.
round_trip()
{
	local tip

	tip=$(in_tree rev-parse HEAD)
	rm -rf "$REPO/build"
	works tree
	same "$(in_tree rev-parse HEAD)" "$tip" "the round trip gives another tree"
}

test_nothing_to_bring_back()
{
	works tree
	snapshot >"$SCRATCH/before"
	stamps >"$SCRATCH/stamps"
	works refresh
	snapshot | cmp "$SCRATCH/before" -
	stamps | cmp "$SCRATCH/stamps" -
	works tree
}

test_new_commit_becomes_a_patch()
{
	be_somebody
	works tree
	echo 'int more;' >>"$REPO/build/linux/kernel/core.c"
	echo 'int whole;' >"$REPO/build/linux/kernel/whole.c"
	printf '#!/bin/sh
' >"$REPO/build/linux/kernel/run.sh"
	chmod +x "$REPO/build/linux/kernel/run.sh"
	commit -m 'core: do more, and "more" \ of it' -m 'Because.'
	works refresh
	same "$(tail -n 1 "$REPO/patches/series")" '0003-core-do-more-and-more-of-it.patch  kernel/run.sh kernel/whole.c'
	same "$(sed -n 1,4p "$REPO/patches/0003-core-do-more-and-more-of-it.patch")" \
		"$(printf 'core: do more, and "more" \\ of it\n\nBecause.\n---')"
	same "$(grep -c '^index ' "$REPO"/patches/0003*)" 0
	same "$(cat "$REPO/kernel/whole.c")" 'int whole;'
	[ -x "$REPO/kernel/run.sh" ] || fail "not executable"
	same "$(in_tree log -1 --format=%an)" liveupdate
	round_trip
}

test_series_keeps_its_comments()
{
	be_somebody
	works tree
	cp "$REPO/patches/series" "$SCRATCH/series"
	echo 'int more;' >>"$REPO/build/linux/kernel/core.c"
	commit -m 'core: do more'
	works refresh
	echo '0003-core-do-more.patch' >>"$SCRATCH/series"
	cmp "$SCRATCH/series" "$REPO/patches/series"
}

test_fixup_changes_its_patch()
{
	be_somebody
	works tree
	echo 'int more;' >>"$REPO/build/linux/kernel/core.c"
	echo '/* more */' >>"$REPO/build/linux/include/uapi/linux/luo/abi.h"
	commit --fixup=HEAD~1
	echo '/* more */' >>"$REPO/build/linux/drivers/pci/liveupdate.c"
	commit --fixup=HEAD~1
	refused "'fixup! pci: add live update' is not folded in yet.*autosquash base" refresh
	works in_tree rebase -q -i --autosquash base
	cp "$REPO/patches/series" "$SCRATCH/series"
	works refresh
	cmp "$SCRATCH/series" "$REPO/patches/series"
	grep -q '^+int more;' "$REPO/patches/0001-luo-add-the-wire.patch" || fail "no hunk"
	grep -q more "$REPO/include/uapi/linux/luo/abi.h" || fail "header not brought back"
	grep -q more "$REPO/drivers/pci/liveupdate.c" || fail "new file not brought back"
	round_trip
}

test_dropped_commit_and_file()
{
	be_somebody
	works tree
	works in_tree rebase -q --onto base HEAD~1
	works refresh
	says 'removed: include/uapi/linux/luo/abi\.h'
	[ ! -e "$REPO/include/uapi/linux/luo/abi.h" ] || fail "the file is still here"
	[ ! -e "$REPO/patches/0001-luo-add-the-wire.patch" ] || fail "the patch is still here"
	[ -e "$REPO/patches/0002-pci-add-live-update.patch" ] || fail "the other one is gone"
	round_trip
}

test_untouched_patch_keeps_its_bytes()
{
	be_somebody
	sed -i '10i /* a line more */' "$KSRC/drivers/pci/pci.c"
	works tree
	echo 'int more;' >>"$REPO/build/linux/kernel/core.c"
	commit -m 'core: do more'
	sha256sum "$REPO"/patches/0002* >"$SCRATCH/before"
	works refresh
	sha256sum --status -c "$SCRATCH/before" || fail "the patch was rewritten for its line numbers"
	round_trip
}

test_commit_in_new_file_only_is_folded()
{
	be_somebody
	works tree
	echo '/* more */' >>"$REPO/build/linux/drivers/pci/liveupdate.c"
	commit -m 'pci: correct it'
	works refresh
	says "'pci: correct it' changes nothing but new files.*folded"
	grep -q more "$REPO/drivers/pci/liveupdate.c" || fail "not brought back"
	same "$(in_tree rev-list --count base..HEAD)" 2
	round_trip
}

test_inserted_commit_is_numbered()
{
	be_somebody
	works tree
	in_tree checkout -q HEAD~1
	echo 'int more;' >>"$REPO/build/linux/kernel/core.c"
	commit -m 'core: do more'
	in_tree cherry-pick liveupdate >/dev/null
	in_tree checkout -q -B liveupdate
	works refresh
	same "$(ls "$REPO/patches" | paste -sd' ')" \
		'0001-luo-add-the-wire.patch 0002-core-do-more.patch 0003-pci-add-live-update.patch series'
	same "$(grep -c boundary "$REPO/patches/series")" 1
	round_trip
}

test_maintainers_come_back()
{
	be_somebody
	works tree
	sed -i 's|^F:.*liveupdate.c|&\nF:\tdrivers/pci/liveupdate_write_block.c|' "$REPO/build/linux/MAINTAINERS"
	commit --amend --no-edit
	works refresh
	same "$(tail -n 1 "$REPO/MAINTAINERS")" "$(printf 'F:\tdrivers/pci/liveupdate_write_block.c')"
	same "$(wc -l <"$REPO/MAINTAINERS")" 4
	round_trip
}

test_maintainers_of_others()
{
	be_somebody
	works tree
	sed -i 's|^F:.*drivers/acpi/|&\nF:\tmore/|' "$REPO/build/linux/MAINTAINERS"
	commit -m 'acpi: more'
	refused "changes the section 'ACPI' of MAINTAINERS" refresh
}

test_uncommitted()
{
	works tree
	echo 'int more;' >>"$REPO/build/linux/kernel/core.c"
	snapshot >"$SCRATCH/before"
	refused 'build/linux has uncommitted changes \(kernel/core\.c\): commit them' refresh
	snapshot | cmp "$SCRATCH/before" -
}

test_new_file_left_out_by_mistake()
{
	be_somebody
	works tree
	in_tree rm -q --cached include/uapi/linux/luo/abi.h
	echo include/uapi/linux/luo/abi.h >>"$REPO/build/linux/.git/info/exclude"
	in_tree commit -q --amend -m 'again'
	snapshot >"$SCRATCH/before"
	refused 'include/uapi/linux/luo/abi\.h is in no commit .* git -C .* add -f' refresh
	snapshot | cmp "$SCRATCH/before" -
}

test_unfinished_rebase()
{
	be_somebody
	works tree
	run in_tree -c core.editor=false rebase -x false base
	refused 'a rebase is under way in build/linux' refresh
}

test_both_sides_changed()
{
	local file=drivers/pci/liveupdate.c

	be_somebody
	works tree
	echo '/* here */' >>"$REPO/$file"
	echo '/* there */' >>"$REPO/build/linux/$file"
	commit -m 'pci: there'
	snapshot >"$SCRATCH/before"
	refused "changed since the last make tree: $file; compare" refresh
	says "^diff -u $REPO/$file $REPO/build/linux/$file\$"
	snapshot | cmp "$SCRATCH/before" -
	run bash -c "$(grep '^diff -u' "$SCRATCH/out")"
	says '^\+/\* there \*/'
	says '^-/\* here \*/'

	cp "$REPO/build/linux/$file" "$REPO/$file"
	works refresh
	grep -q there "$REPO/$file" || fail "lost"
}

test_both_sides_changed_a_patch()
{
	local patch=patches/0002-pci-add-live-update.patch

	be_somebody
	works tree
	sed -i 's/Why it/The reason why it/' "$REPO/$patch"
	sed -i 's/pci_hook/pci_other/' "$REPO/build/linux/drivers/pci/pci.c"
	commit -a --amend --no-edit
	refused "changed since the last make tree: $patch; compare" refresh
	says "^diff -u $REPO/$patch $REPO/build/refresh/$patch\$"
	[ -e "$REPO/build/refresh/$patch" ] || fail "nothing to compare with"
}

test_each_side_changed_another_file()
{
	be_somebody
	works tree
	echo '/* here */' >>"$REPO/include/uapi/linux/luo/abi.h"
	echo '/* there */' >>"$REPO/build/linux/drivers/pci/liveupdate.c"
	commit -m 'pci: there'
	works refresh
	grep -q here "$REPO/include/uapi/linux/luo/abi.h" || fail "what changed here is lost"
	grep -q here "$REPO/build/linux/include/uapi/linux/luo/abi.h" || fail "not in the tree"
	grep -q there "$REPO/drivers/pci/liveupdate.c" || fail "what changed there is lost"
	grep -q there "$REPO/build/linux/drivers/pci/liveupdate.c" || fail "gone from the tree"
	round_trip
}

test_same_subject_twice()
{
	be_somebody
	works tree
	echo 'int more;' >>"$REPO/build/linux/kernel/core.c"
	commit -m 'luo: add the wire'
	refused "two commits of build/linux are called 'luo: add the wire'" refresh
}

test_merge()
{
	be_somebody
	works tree
	in_tree checkout -q -b side base
	echo 'int more;' >>"$REPO/build/linux/kernel/core.c"
	commit -m 'core: more'
	in_tree checkout -q liveupdate
	in_tree merge -q -m merge side
	refused 'build/linux has a merge' refresh
}

test_no_tree()
{
	refused 'there is no build/linux to bring anything back from: run make tree' refresh
}
