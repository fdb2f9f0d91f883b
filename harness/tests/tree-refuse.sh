#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# tree.sh tree: what it does not take, and that it then leaves all as it is.

SERIES=patches/series
PATCH=patches/0002-pci-add-live-update.patch

# refused_and_unchanged PATTERN: a tree that exists stays what it was.
refused_and_unchanged()
{
	local head

	head=$(in_tree rev-parse HEAD)
	stamps >"$SCRATCH/before"
	refused "$1" tree
	stamps >"$SCRATCH/after"
	same "$(touched "$SCRATCH/before" "$SCRATCH/after")" ''
	same "$(in_tree rev-parse HEAD)" "$head"
}

test_unlisted_file()
{
	works tree
	echo 'int x;' >"$REPO/drivers/pci/extra.c"
	refused_and_unchanged 'drivers/pci/extra\.c .*patches/series does not list it'
	git -C "$REPO" add drivers/pci/extra.c
	refused_and_unchanged 'drivers/pci/extra\.c .*patches/series does not list it'
}

test_unlisted_file_without_git()
{
	rm -rf "$REPO/.git"
	works tree
	echo 'int x;' >"$REPO/drivers/pci/extra.c"
	refused_and_unchanged 'drivers/pci/extra\.c .*patches/series does not list it'
}

test_unlisted_maintainers()
{
	sed -i 's/ MAINTAINERS / /' "$REPO/$SERIES"
	refused 'MAINTAINERS holds our sections.*does not list it' tree
}

test_file_listed_twice()
{
	sed -i 's|^0001.*|& drivers/pci/liveupdate.c|' "$REPO/$SERIES"
	refused 'lists drivers/pci/liveupdate\.c twice' tree
}

test_listed_file_missing()
{
	works tree
	rm "$REPO/drivers/pci/liveupdate.c"
	refused_and_unchanged 'lists drivers/pci/liveupdate\.c, but there is no such file'
}

test_listed_file_outside()
{
	sed -i 's|^0001.*|& ../secret|' "$REPO/$SERIES"
	refused "lists '../secret', which is not a path inside the tree" tree
	sed -i 's|\.\./secret|harness/lib.sh|' "$REPO/$SERIES"
	refused 'lists harness/lib\.sh, which belongs to this repository only' tree
}

test_listed_file_in_base()
{
	mkdir -p "$REPO/kernel"
	echo 'int core;' >"$REPO/kernel/core.c"
	sed -i 's|^0001.*|& kernel/core.c|' "$REPO/$SERIES"
	refused 'lists kernel/core\.c, which the base has already' tree
}

test_patch_missing()
{
	rm "$REPO/$PATCH"
	refused 'names 0002-pci-add-live-update\.patch, but there is no' tree
}

test_patch_unlisted()
{
	printf 'x\n\n---\n' >"$REPO/patches/0003-more.patch"
	refused 'patches/0003-more\.patch is not in patches/series' tree
}

test_patch_name()
{
	mv "$REPO/$PATCH" "$REPO/patches/more.patch"
	sed -i 's/^0002[^ ]*/more.patch/' "$REPO/$SERIES"
	refused "names 'more\.patch': a patch is called NNNN-name\.patch" tree
}

test_patch_without_parting_line()
{
	sed -i '/^---$/d' "$REPO/$PATCH"
	refused "0002-pci-add-live-update\.patch has no line '---'" tree
}

test_patch_that_creates_a_file()
{
	cat >>"$REPO/$PATCH" <<-'DIFF'
	diff --git a/kernel/made.c b/kernel/made.c
	new file mode 100644
	--- /dev/null
	+++ b/kernel/made.c
	@@ -0,0 +1 @@
	+int made;
	DIFF
	refused '0002-pci-add-live-update\.patch creates kernel/made\.c' tree
}

test_patch_with_hunk_in_new_file()
{
	cat >>"$REPO/$PATCH" <<-'DIFF'
	diff --git a/include/uapi/linux/luo/abi.h b/include/uapi/linux/luo/abi.h
	--- a/include/uapi/linux/luo/abi.h
	+++ b/include/uapi/linux/luo/abi.h
	@@ -1 +1,2 @@
	 /* the wire */
	+/* more */
	DIFF
	refused 'has a hunk in include/uapi/linux/luo/abi\.h, which is a new file' tree
}

test_patch_that_does_not_apply_names_the_hunk()
{
	works tree
	sed -i 's|^ /\* pci \*/ // line 29| /* pci */ // line twenty-nine|' "$REPO/$PATCH"
	refused_and_unchanged '0002-pci-add-live-update\.patch no longer applies to Linux 7\.3\.9: hunk 2 of drivers/pci/pci\.c \(@@ -29,4 \+30,5 @@'
	sed -i 's/^ int pci_before;/ int pci_something;/' "$REPO/$PATCH"
	refused_and_unchanged 'hunk 1 of drivers/pci/pci\.c \(@@ -1,4 \+1,5 @@'
}

test_patch_to_a_file_that_is_gone()
{
	sed -i 's|drivers/pci/pci\.c|drivers/pci/gone.c|' "$REPO/$PATCH"
	refused '0002-pci-add-live-update\.patch no longer applies to Linux 7\.3\.9: .*gone\.c' tree
}

test_damaged_patch()
{
	sed -i '/line 30$/d' "$REPO/$PATCH"
	refused '0002-pci-add-live-update\.patch is damaged: git says corrupt patch' tree
}

test_section_the_base_has()
{
	printf '\nACPI\nL:\tother@example.org\n' >>"$REPO/MAINTAINERS"
	refused 'MAINTAINERS has a section that the base has too: ACPI' tree
}

test_commits_not_brought_back()
{
	be_somebody
	works tree
	echo 'int more;' >>"$REPO/build/linux/kernel/core.c"
	commit -m 'core: more'
	refused_and_unchanged 'build/linux has commits that were not brought back: run make refresh'
	echo '/* changed */' >>"$REPO/drivers/pci/liveupdate.c"
	refused_and_unchanged 'build/linux has commits that were not brought back: run make refresh'
}

test_uncommitted_changes()
{
	works tree
	echo 'int more;' >>"$REPO/build/linux/kernel/core.c"
	refused_and_unchanged 'build/linux has uncommitted changes \(kernel/core\.c\).*make refresh'
	in_tree checkout -q kernel/core.c
	echo 'int more;' >"$REPO/build/linux/kernel/more.c"
	refused_and_unchanged 'build/linux has uncommitted changes \(kernel/more\.c\).*make refresh'
}

test_work_taken_as_it_stands()
{
	ready() { (cd "$REPO" && harness/tree.sh ready); }
	be_somebody
	works ready
	echo 'int more;' >>"$REPO/build/linux/kernel/core.c"
	echo '/* newer here */' >>"$REPO/drivers/pci/liveupdate.c"
	stamps >"$SCRATCH/before"
	works ready
	commit -m 'core: more'
	works ready
	stamps >"$SCRATCH/after"
	same "$(touched "$SCRATCH/before" "$SCRATCH/after")" '' 'nothing touched'
}

test_another_branch()
{
	works tree
	in_tree checkout -q -b mine
	refused_and_unchanged 'build/linux is on another branch'
}

test_base_gone_from_the_cache()
{
	works tree
	rm -rf "$SCRATCH/cache"
	echo 'int more;' >>"$KSRC/kernel/core.c"
	refused 'was made from a base that is no longer in' tree
}

test_no_series()
{
	rm "$REPO/$SERIES"
	refused 'there is no patches/series' tree
}

test_wrong_verb()
{
	refused 'usage: harness/tree\.sh tree\|ready\|refresh\|series' "$REPO/harness/tree.sh" trees
}
