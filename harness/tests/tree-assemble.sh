#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# tree.sh tree: what comes out, and that only what changed is touched.

test_one_commit_per_patch()
{
	works tree
	same "$(in_tree log --format=%s --reverse)" \
		"$(printf 'Linux 7.3.9\nluo: add the wire\npci: add live update')"
	same "$(in_tree rev-parse HEAD~2)" "$(in_tree rev-parse base)"
	same "$(in_tree log -1 --format=%B)" \
		"$(printf 'pci: add live update\n\nWhy it is there.\n\nIn two paragraphs.')"
	same "$(in_tree diff --name-status base HEAD~1)" \
		"$(printf 'A\tinclude/uapi/linux/luo/abi.h')"
	same "$(in_tree diff --stat HEAD~1 HEAD -- drivers/pci/pci.c | tail -n 1)" \
		' 1 file changed, 2 insertions(+)'
	cmp "$REPO/drivers/pci/liveupdate.c" "$REPO/build/linux/drivers/pci/liveupdate.c"
	[ -x "$REPO/build/linux/tools/testing/selftests/liveupdate/run.sh" ] || fail "not executable"
	same "$(in_tree status --porcelain --ignored)" ''
}

test_maintainers_in_alphabetical_place()
{
	works tree
	same "$(grep -E '^[A-Z3][A-Z ]+$' "$REPO/build/linux/MAINTAINERS" | paste -sd,)" \
		'ACPI,PCI DEVICE LIVE UPDATE,PCI SUBSYSTEM,THE REST'
	same "$(in_tree diff --numstat base HEAD -- MAINTAINERS)" "$(printf '4\t0\tMAINTAINERS')"
}

test_shipped_files_that_git_ignores_are_there()
{
	works tree
	cmp "$KSRC/ignored-but-shipped" "$REPO/build/linux/ignored-but-shipped"
}

test_same_input_same_ids()
{
	local first

	works tree
	first=$(in_tree rev-parse HEAD)
	make_repository "$SCRATCH/elsewhere/repo"
	be_somebody
	git config --global core.autocrlf true
	git config --global commit.gpgsign true
	git config --global diff.noprefix true
	git config --global init.defaultBranch other
	cp -r "$KSRC" "$SCRATCH/other-ksrc"
	touch "$SCRATCH"/other-ksrc/*/*
	REPO=$SCRATCH/elsewhere/repo KSRC=$SCRATCH/other-ksrc XDG_CACHE_HOME=$SCRATCH/cache2
	export KSRC XDG_CACHE_HOME
	works tree
	same "$(in_tree rev-parse HEAD)" "$first"
}

test_again_touches_nothing()
{
	local head

	works tree
	head=$(in_tree rev-parse HEAD)
	stamps >"$SCRATCH/before"
	[ -s "$SCRATCH/before" ] || fail "no files"
	touch "$REPO"/patches/* "$REPO/drivers/pci/liveupdate.c"
	works tree
	stamps >"$SCRATCH/after"
	same "$(touched "$SCRATCH/before" "$SCRATCH/after")" ''
	same "$(in_tree rev-parse HEAD)" "$head"
}

test_changed_file_touches_only_itself()
{
	works tree
	stamps >"$SCRATCH/before"
	echo '/* changed */' >>"$REPO/include/uapi/linux/luo/abi.h"
	works tree
	stamps >"$SCRATCH/after"
	same "$(touched "$SCRATCH/before" "$SCRATCH/after")" include/uapi/linux/luo/abi.h
	grep -q changed "$REPO/build/linux/include/uapi/linux/luo/abi.h" || fail "not in the tree"
	same "$(in_tree diff --name-only base HEAD~1)" include/uapi/linux/luo/abi.h
	same "$(in_tree status --porcelain)" ''
}

test_changed_patch_touches_only_its_files()
{
	works tree
	stamps >"$SCRATCH/before"
	sed -i 's/pci_hook/pci_other_hook/' "$REPO/patches/0002-pci-add-live-update.patch"
	works tree
	stamps >"$SCRATCH/after"
	same "$(touched "$SCRATCH/before" "$SCRATCH/after")" drivers/pci/pci.c
	grep -q pci_other_hook "$REPO/build/linux/drivers/pci/pci.c" || fail "not in the tree"
}

test_changed_message_touches_no_file()
{
	local head

	works tree
	head=$(in_tree rev-parse HEAD)
	stamps >"$SCRATCH/before"
	sed -i 's/Why it/The reason why it/' "$REPO/patches/0002-pci-add-live-update.patch"
	works tree
	stamps >"$SCRATCH/after"
	same "$(touched "$SCRATCH/before" "$SCRATCH/after")" ''
	differ "$(in_tree rev-parse HEAD)" "$head"
	in_tree log -1 --format=%B | grep -q 'The reason why' || fail "old message"
}

test_what_leaves_the_series_leaves_the_tree()
{
	works tree
	rm "$REPO/include/uapi/linux/luo/abi.h" "$REPO/patches/0001-luo-add-the-wire.patch"
	sed -i '/^0001/d' "$REPO/patches/series"
	works tree
	[ ! -e "$REPO/build/linux/include/uapi/linux/luo/abi.h" ] || fail "still there"
	same "$(in_tree rev-list --count base..HEAD)" 1
}

test_ignored_file_is_not_unlisted()
{
	echo '*.swp' >>"$REPO/.gitignore"
	touch "$REPO/drivers/pci/x.swp"
	works tree
	[ ! -e "$REPO/build/linux/drivers/pci/x.swp" ] || fail "in the tree"
}

test_hunks_may_have_moved()
{
	sed -i '10i /* a line more */' "$KSRC/drivers/pci/pci.c"
	works tree
	grep -q pci_second_hook "$REPO/build/linux/drivers/pci/pci.c" || fail "not applied"
}

test_another_base()
{
	works tree
	echo 'int more;' >>"$KSRC/kernel/core.c"
	stamps >"$SCRATCH/before"
	works tree
	stamps >"$SCRATCH/after"
	same "$(touched "$SCRATCH/before" "$SCRATCH/after")" kernel/core.c
	same "$(in_tree rev-list --count base..HEAD)" 2
	same "$(in_tree status --porcelain)" ''
}

# A git that is killed together with its caller when the files are written and
# the index is not.
test_interrupted_run_is_cleaned_up()
{
	local head real

	works tree
	head=$(in_tree rev-parse HEAD)
	real=$(command -v git)
	mkdir "$SCRATCH/bin"
	cat >"$SCRATCH/bin/git" <<-WRAPPER
	#!/bin/sh
	case "\$*" in
	*"read-tree -m -u"*)
		cp "$REPO/build/linux/.git/index" "$SCRATCH/index"
		"$real" "\$@"
		mv "$SCRATCH/index" "$REPO/build/linux/.git/index"
		touch "$REPO/build/linux/.git/index.lock"
		kill -9 \$PPID
		exit 1 ;;
	esac
	exec "$real" "\$@"
	WRAPPER
	chmod +x "$SCRATCH/bin/git"
	echo '/* changed */' >>"$REPO/drivers/pci/liveupdate.c"
	echo 'int added;' >"$REPO/drivers/pci/added.c"
	sed -i '/^0002/s|$| drivers/pci/added.c|' "$REPO/patches/series"
	run env PATH="$SCRATCH/bin:$PATH" "$REPO/harness/tree.sh" tree
	[ "$STATUS" -gt 1 ] || fail "it was not interrupted"
	same "$(in_tree rev-parse HEAD)" "$head"
	differ "$(in_tree status --porcelain)" '' "nothing was half done"
	works tree
	same "$(in_tree status --porcelain)" ''
	grep -q changed "$REPO/build/linux/drivers/pci/liveupdate.c" || fail "not in the tree"
	[ -e "$REPO/build/linux/drivers/pci/added.c" ] || fail "the added file is not in the tree"
}

test_interrupted_first_run_is_cleaned_up()
{
	works tree
	mv "$REPO/build/linux" "$REPO/build/.linux.new"
	works tree
	same "$(in_tree status --porcelain)" ''
	same "$(ls -A "$REPO/build" | paste -sd' ')" 'linux tree.lock'
}
