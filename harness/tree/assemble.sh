# SPDX-License-Identifier: GPL-2.0-only
#
# From inputs to commits, and from commits to the work tree. Sourced by tree.sh.

# --- from inputs to commits

# assemble BASE INPUTS: leaves the id of the last commit in TIP. A commit is
# remembered under everything it depends on, so that only the patches behind
# the first changed one are applied again.
assemble()
{
	local base=$1 inputs=$2 lines patch files

	TIP=$base
	INDEX_AT=
	ALL_FILES=$(tree_git cat-file blob "$inputs:patches/series" | series_files)
	lines=$(tree_git cat-file blob "$inputs:patches/series" | series_lines)
	[ -n "$lines" ] || return 0

	: >"$WORK/known"
	[ ! -e "$REPO/.git/liveupdate-commits" ] ||
		cp "$REPO/.git/liveupdate-commits" "$WORK/known"
	: >"$WORK/known.new"
	while read -r patch files; do
		make_commit "$inputs" "$patch" "$files"
	done <<<"$lines"
	mv "$WORK/known.new" "$REPO/.git/liveupdate-commits"
}

# input_entries INPUTS FILE...: their modes and ids, as update-index reads them.
input_entries()
{
	[ $# -gt 1 ] || return 0
	tree_git ls-tree -r "$@"
}

# make_commit INPUTS PATCH FILES: one more commit on top of TIP.
make_commit()
{
	local inputs=$1 patch=$2 files=$3 key known tree

	# shellcheck disable=SC2086 # FILES is a list
	key=$({
		echo "$TIP $patch"
		input_entries "$inputs" "patches/$patch" $files
	} | tree_git hash-object --stdin)
	known=$(awk -v key="$key" '$1 == key { print $2 }' "$WORK/known")
	if [ -n "$known" ] && tree_git cat-file -e "$known" 2>/dev/null; then
		TIP=$known
	else
		[ "$INDEX_AT" = "$TIP" ] || index_git read-tree "$TIP"
		split_patch "$inputs" "$patch"
		apply_diff "$patch"
		add_new_files "$inputs" "$files"
		tree=$(index_git write-tree)
		TIP=$(as_anonymous -C "$REPO" commit-tree "$tree" -p "$TIP" <"$WORK/message")
		INDEX_AT=$TIP
	fi
	echo "$key $TIP" >>"$WORK/known.new"
}

# split_patch INPUTS PATCH: message and diff, which a line of --- parts.
split_patch()
{
	tree_git cat-file blob "$1:patches/$2" >"$WORK/patch"
	grep -qx -e --- "$WORK/patch" ||
		die "patches/$2 has no line '---' between its message and its diff: add one."
	sed '/^---$/,$d' "$WORK/patch" | tree_git stripspace >"$WORK/message"
	sed '1,/^---$/d' "$WORK/patch" >"$WORK/diff"
	[ -s "$WORK/message" ] || die "patches/$2 has no message: its first line is the subject."
}

# apply_diff PATCH
apply_diff()
{
	local patch=$1 file added

	grep -q '^diff --git ' "$WORK/diff" || return 0
	tree_git apply --numstat "$WORK/diff" >"$WORK/numstat" 2>"$WORK/log" ||
		die "patches/$patch is damaged: git says $(sed -n 's/^error: //p' "$WORK/log" | first)."
	while read -r _ _ file; do
		[ "$file" != MAINTAINERS ] ||
			die "patches/$patch has a hunk in MAINTAINERS: our sections stand in the MAINTAINERS of this repository, and no others are changed."
		! grep -qFx "$file" <<<"$ALL_FILES" ||
			die "patches/$patch has a hunk in $file, which is a new file: edit the file itself, it arrives whole."
	done <"$WORK/numstat"

	index_git apply --cached --whitespace=nowarn "$WORK/diff" 2>"$WORK/log" ||
		die "patches/$patch no longer applies to Linux $(base_version): $(failed_hunks); bring it up to date there."
	added=$(index_git diff-index --cached --no-renames --diff-filter=A --name-only "$TIP" | first)
	[ -z "$added" ] ||
		die "patches/$patch creates $added: put the file at this place in the repository and list it in patches/series."
}

base_version()
{
	tree_git log -1 --format=%s "$BASE_COMMIT" | sed 's/^Linux //'
}

# failed_hunks: git names a hunk by the line it expects it at.
failed_hunks()
{
	sed -n 's/^error: patch failed: //p' "$WORK/log" >"$WORK/failed"
	if [ ! -s "$WORK/failed" ]; then
		sed -n 's/^error: //p' "$WORK/log" | first
		return
	fi
	awk '
	NR == FNR { failed[$0] = 1; next }
	/^--- / { file = $2; sub(/^a\//, "", file); hunk = 0 }
	/^@@ / {
		hunk++
		line = $2
		sub(/^-/, "", line)
		sub(/,.*/, "", line)
		if ((file ":" line) in failed) {
			printf "%shunk %d of %s (%s)", sep, hunk, file, $0
			sep = ", "
		}
	}' "$WORK/failed" "$WORK/diff"
}

# add_new_files INPUTS FILES
add_new_files()
{
	local inputs=$1 files=" $2 " blob

	if [[ $files = *' MAINTAINERS '* ]]; then
		files=${files/ MAINTAINERS / }
		tree_git cat-file blob "$inputs:MAINTAINERS" >"$WORK/ours"
		[ -s "$WORK/ours" ] || die "MAINTAINERS is empty: write our sections or remove it."
		tree_git cat-file blob "$TIP:MAINTAINERS" >"$WORK/kernels"
		insert_sections "$WORK/ours" "$WORK/kernels" >"$WORK/both" 2>"$WORK/log" ||
			die "MAINTAINERS has a section that the base has too: $(cat "$WORK/log")."
		blob=$(tree_git hash-object -w --no-filters "$WORK/both")
		index_git update-index --cacheinfo "100644,$blob,MAINTAINERS"
	fi
	# shellcheck disable=SC2086 # FILES is a list
	input_entries "$inputs" $files | index_git update-index --index-info
}

# --- the work tree

ref()
{
	tree_git rev-parse -q --verify "$1" || true
}

# create_repository: under another name until there is something in it.
create_repository()
{
	REPO=$BUILD/.linux.new
	rm -rf "$REPO"
	need_space "$BUILD" 3
	plain_git init -q --template= -b "${BRANCH#refs/heads/}" "$REPO"
	tree_git config gc.auto 0
	mkdir -p "$REPO/.git/info"
}

# use_base DIR: the base's objects stay where they are.
use_base()
{
	local objects=$1/linux/.git/objects alternates=$REPO/.git/objects/info/alternates

	mkdir -p "$(dirname "$alternates")"
	grep -qsFx "$objects" "$alternates" || echo "$objects" >>"$alternates"
	BASE_COMMIT=$(plain_git --git-dir="$1/linux/.git" rev-parse HEAD)
}

# move_to TIP INPUTS: writes only files whose content differs.
move_to()
{
	local tip=$1 inputs=$2 head

	head=$(ref HEAD)
	tree_git update-ref "$MAKING" "$tip"
	if [ -n "$head" ]; then
		tree_git read-tree -m -u "$head" "$tip"
	else
		step "checking out $(base_version) with the series"
		tree_git read-tree -m -u "$tip"
	fi
	tree_git update-ref --stdin <<-REFS
	update $BRANCH $tip
	update $MADE $tip
	update $INPUTS $inputs
	update $BASE $BASE_COMMIT
	delete $MAKING
	REFS
}

# recover: a run that was interrupted inside move_to() left some files new and
# some old. Those, and only those, are put back.
recover()
{
	local making head

	making=$(ref "$MAKING")
	[ -n "$making" ] || return 0
	rm -f "$REPO/.git/index.lock"
	tree_git diff-tree -r --no-renames --name-only HEAD "$making" | sort >"$WORK/moving"
	tree_git status --porcelain --no-renames -uall | cut -c4- | sort >"$WORK/dirty"
	if [ -s "$WORK/dirty" ] && [ -z "$(comm -13 "$WORK/moving" "$WORK/dirty")" ]; then
		step "cleaning up after an interrupted run"
		head=$(ref HEAD)
		tree_git reset -q --hard "$making"
		tree_git reset -q --hard "$head"
	fi
	tree_git update-ref -d "$MAKING"
}

require_idle()
{
	local dirty

	if [ -d "$REPO/.git/rebase-merge" ] || [ -d "$REPO/.git/rebase-apply" ]; then
		die "a rebase is under way in build/linux: finish it with git -C $TREE rebase --continue, or give it up with --abort."
	fi
	[ "$(tree_git symbolic-ref -q HEAD || true)" = "$BRANCH" ] ||
		die "build/linux is on another branch: run git -C $TREE checkout ${BRANCH#refs/heads/}"
	tree_git status --porcelain --no-renames >"$WORK/status"
	dirty=$(first <"$WORK/status" | cut -c4-)
	[ -z "$dirty" ] ||
		die "build/linux has uncommitted changes ($dirty): commit them there and run make refresh."
}

require_brought_back()
{
	[ "$(ref HEAD)" = "$(ref "$MADE")" ] ||
		die "build/linux has commits that were not brought back: run make refresh, or drop them with git -C $TREE reset --hard $MADE"
}

require_base_objects()
{
	tree_git cat-file -e "$BASE^{tree}" 2>/dev/null ||
		die "build/linux was made from a base that is no longer in $CACHE: remove $TREE and run make tree."
}
