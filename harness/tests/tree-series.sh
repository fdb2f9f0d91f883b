#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# tree.sh series: what is sent gives the identical tree.

test_git_am_gives_the_identical_tree()
{
	be_somebody
	works series
	same "$(ls "$REPO/build/series" | paste -sd' ')" \
		'0000-cover-letter.mbox 0001-luo-add-the-wire.patch 0002-pci-add-live-update.patch'
	git clone -q "$SCRATCH"/cache/pci-liveupdate/base/*/linux "$SCRATCH/pristine"
	works git -C "$SCRATCH/pristine" am "$REPO"/build/series/*.patch
	same "$(git -C "$SCRATCH/pristine" rev-parse 'HEAD^{tree}')" \
		"$(in_tree rev-parse 'HEAD^{tree}')"
	same "$(git -C "$SCRATCH/pristine" log --format='%an <%ae> %s' -2 --reverse)" \
		"$(printf 'Some Body <some@example.org> %s\n' 'luo: add the wire' 'pci: add live update')"
	same "$(git -C "$SCRATCH/pristine" log -1 --format='%(trailers)' | sed '/^$/d')" \
		'Signed-off-by: Some Body <some@example.org>'
}

test_generated_cover_letter()
{
	be_somebody
	works series
	grep -q '^Subject: \[PATCH 0/2\] PCI: live update' "$REPO/build/series/0000-cover-letter.mbox" ||
		fail "no subject"
	grep -q '^Linux 7\.3\.9\.$' "$REPO/build/series/0000-cover-letter.mbox" || fail "no version"
	! grep -q '\*\*\*' "$REPO/build/series/0000-cover-letter.mbox" || fail "left to be filled in"
}

test_written_cover_letter()
{
	be_somebody
	printf 'Our subject & more\n\nFirst \\1.\n\nSecond.\n' >"$REPO/patches/cover-letter.txt"
	works series
	same "$(sed -n '/^Subject/,/^Some Body/p' "$REPO/build/series/0000-cover-letter.mbox")" \
		"$(printf 'Subject: [PATCH 0/2] Our subject & more\n\nFirst \\1.\n\nSecond.\n\nSome Body (2):')"
}

test_old_patches_do_not_stay()
{
	be_somebody
	mkdir -p "$REPO/build/series"
	echo old >"$REPO/build/series/0009-old.patch"
	works series
	[ ! -e "$REPO/build/series/0009-old.patch" ] || fail "still there"
}

test_nobody_cannot_export()
{
	refused "git has no name for the exported series: run git config --global user\.name" series
	git config --global user.name 'Some Body'
	refused "git has no name for the exported series" series
	[ ! -e "$REPO/build/series" ] || fail "something was exported"
}

test_commits_not_brought_back()
{
	be_somebody
	works tree
	echo 'int more;' >>"$REPO/build/linux/kernel/core.c"
	commit -m 'core: more'
	refused 'were not brought back: run make refresh' series
}
