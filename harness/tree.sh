#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# tree.sh tree      assembles build/linux: the base, and one commit per patch
# tree.sh ready     the same, but local work in build/linux is kept
# tree.sh refresh   brings what was committed there back into this repository
# tree.sh series    exports the patches as they are sent
#
# What the tree is made from ("inputs": patches/series, the patches, the new
# files, our MAINTAINERS sections) is kept as a git tree object in build/linux.
# So the tree is a function of two ids, the base's and the inputs', and refresh
# can tell what changed here since from what changed there.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

TREE=$BUILD/linux
REPO=$TREE
BRANCH=refs/heads/liveupdate
BASE=refs/tags/base
MADE=refs/liveupdate/made
MAKING=refs/liveupdate/making
INPUTS=refs/liveupdate/inputs

# What stands at the top of this repository without being a part of the tree.
HOUSE='^(README\.md|Makefile|COPYING|MAINTAINERS|\.gitignore|(\.ci|harness|patches|build)(/.*)?)$'

tree_git()
{
	plain_git -c core.quotePath=false -C "$REPO" "$@"
}

index_git()
{
	GIT_INDEX_FILE=$WORK/index tree_git "$@"
}

start()
{
	need_tool git git
	need_tools_done
	take_lock "$BUILD/tree.lock"
	WORK=$(mktemp -d "$BUILD/.tree.XXXXXX")
	trap 'rm -rf "$WORK"' EXIT
}

for part in inputs assemble refresh series; do
	. "$TOP/harness/tree/$part.sh"
done

# --- make tree

tree()
{
	local base

	base=$("$TOP/harness/base.sh")
	if [ -d "$TREE" ]; then
		use_base "$base"
		require_base_objects
		recover
		require_idle
		require_brought_back
	else
		create_repository
		use_base "$base"
	fi
	update_tree
}

update_tree()
{
	local inputs tip_before

	check_sources
	check_not_in_base "$BASE_COMMIT"
	inputs=$(inputs_of "$TOP")
	tip_before=$(ref HEAD)
	if [ "$inputs" != "$(ref "$INPUTS")" ] || [ "$BASE_COMMIT" != "$(ref "$BASE")" ]; then
		assemble "$BASE_COMMIT" "$inputs"
		move_to "$TIP" "$inputs"
	fi
	if [ "$REPO" != "$TREE" ]; then
		mv "$REPO" "$TREE"
		REPO=$TREE
	fi
	if [ "$tip_before" != "$(ref HEAD)" ]; then
		step "build/linux is Linux $(base_version) with $(tree_git rev-list --count "$BASE..HEAD") patches"
	fi
}

# ready: for the quick loop of editing, building and booting. Work that was
# not brought back yet is taken as it stands; everything else is "tree".
ready()
{
	if [ -d "$TREE" ] && has_own_work; then
		step "build/linux has changes that were not brought back: taken as they are"
	else
		tree
	fi
}

has_own_work()
{
	[ "$(ref HEAD)" != "$(ref "$MADE")" ] ||
		[ -n "$(tree_git status --porcelain --no-renames)" ]
}


case "${1:-}" in
tree | ready | refresh | series)
	start
	"$1"
	;;
*)
	die "usage: harness/tree.sh tree|ready|refresh|series"
	;;
esac
