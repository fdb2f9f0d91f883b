#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# tree.sh tree      assembles build/linux: the base, and one commit per patch
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

# --- patches/series and what it names

# first: the first line. Reads the rest too, or the writer would be killed.
first()
{
	sed -n 1p
}

# series_lines <SERIES: the lines that name a patch, one blank between words.
series_lines()
{
	awk '!/^[ \t]*(#|$)/ { $1 = $1; print }'
}

# series_files <SERIES: every file the series brings.
series_files()
{
	series_lines | cut -s -d' ' -f2- | tr ' ' '\n' | sed '/^$/d'
}

check_series_names()
{
	local name twice

	while read -r name _; do
		[[ $name =~ ^[0-9]{4}-[A-Za-z0-9._-]+\.patch$ ]] ||
			die "patches/series names '$name': a patch is called NNNN-name.patch."
		[ -f "$TOP/patches/$name" ] ||
			die "patches/series names $name, but there is no patches/$name: write it or take the line out."
	done < <(series_lines <"$TOP/patches/series")

	series_lines <"$TOP/patches/series" | cut -d' ' -f1 | sort >"$WORK/patches"
	twice=$(uniq -d "$WORK/patches" | first)
	[ -z "$twice" ] || die "patches/series names $twice twice: take one line out."

	for name in "$TOP"/patches/*.patch; do
		[ -e "$name" ] || continue
		name=$(basename "$name")
		grep -qFx "$name" "$WORK/patches" ||
			die "patches/$name is not in patches/series: add it there or remove the file."
	done
}

check_series_files()
{
	local file twice

	series_files <"$TOP/patches/series" | sort >"$WORK/listed"
	twice=$(uniq -d "$WORK/listed" | first)
	[ -z "$twice" ] || die "patches/series lists $twice twice: a new file arrives in exactly one patch."

	while read -r file; do
		[[ $file =~ ^[A-Za-z0-9._,+@-]+(/[A-Za-z0-9._,+@-]+)*$ && ! /$file/ =~ /\.\.?/ ]] ||
			die "patches/series lists '$file', which is not a path inside the tree."
		if [[ $file =~ $HOUSE ]] && [ "$file" != MAINTAINERS ]; then
			die "patches/series lists $file, which belongs to this repository only: take it out."
		fi
		{ [ -f "$TOP/$file" ] && [ ! -h "$TOP/$file" ]; } ||
			die "patches/series lists $file, but there is no such file in this repository."
	done <"$WORK/listed"
}

# Files git ignores here are left out; without git there is no telling.
repository_files()
{
	if [ -e "$TOP/.git" ]; then
		plain_git -c core.quotePath=false -C "$TOP" ls-files -co --exclude-standard
	else
		(cd "$TOP" && find . \( -path ./build -o -name .git \) -prune -o ! -type d -printf '%P\n')
	fi
}

check_unlisted()
{
	local file

	repository_files | sort -u >"$WORK/repository"
	grep -Ev "$HOUSE" "$WORK/repository" >"$WORK/in-tree" || true
	while read -r file; do
		if [ -e "$TOP/$file" ]; then
			die "$file stands in a place of the tree, but patches/series does not list it: add it to its patch's line or remove it."
		fi
	done < <(comm -13 "$WORK/listed" "$WORK/in-tree")
	if [ -e "$TOP/MAINTAINERS" ] && ! grep -qx MAINTAINERS "$WORK/listed"; then
		die "MAINTAINERS holds our sections, but patches/series does not list it: add it to a patch's line."
	fi
}

check_sources()
{
	[ -f "$TOP/patches/series" ] || die "there is no patches/series: this is not a complete clone."
	check_series_names
	check_series_files
	check_unlisted
}

# check_not_in_base COMMIT
check_not_in_base()
{
	local file

	tree_git ls-tree -r --name-only "$1" | sort >"$WORK/in-base"
	file=$(comm -12 "$WORK/listed" "$WORK/in-base" | sed /^MAINTAINERS$/d | first)
	[ -z "$file" ] ||
		die "patches/series lists $file, which the base has already: only its hunks may be here, in a patch."
}

# inputs_of ROOT: writes the inputs that lie below ROOT as a tree object.
inputs_of()
{
	local root=$1 index=$WORK/inputs.index

	rm -f "$index"
	{
		echo patches/series
		series_lines <"$root/patches/series" | awk '{ print "patches/" $1 }'
		series_files <"$root/patches/series"
	} | GIT_INDEX_FILE=$index plain_git --git-dir="$REPO/.git" \
		--work-tree="$root" -C "$root" update-index --add --stdin
	GIT_INDEX_FILE=$index plain_git --git-dir="$REPO/.git" write-tree
}

# --- MAINTAINERS: a section is a block of lines whose second one has a tag

# insert_sections OURS KERNELS: each of our sections goes where most titles
# before it are smaller and most after it greater; the kernel's list is sorted,
# but not quite.
insert_sections()
{
	awk '
	function place(title,    i, sum, best, at) {
		at = first
		for (i = first; i <= n; i++) {
			if (!(i in titles) || titles[i] == "THE REST")
				continue
			if (titles[i] == title) {
				print title >"/dev/stderr"
				exit 1
			}
			sum += titles[i] < title ? 1 : -1
			if (sum > best) {
				best = sum
				at = i + 1
			}
		}
		return at
	}
	BEGIN { RS = ""; FS = "\n" }
	NR == FNR { ours[++m] = $0; our_titles[m] = $1; next }
	{
		blocks[++n] = $0
		if ($2 ~ /^[A-Z]:[ \t]/) {
			titles[n] = $1
			if (!first)
				first = n
		}
	}
	END {
		for (i = 1; i <= m; i++) {
			at = place(our_titles[i])
			before[at] = before[at] ours[i] "\n\n"
		}
		for (i = 1; i <= n; i++)
			printf "%s%s\n%s", before[i], blocks[i], i < n ? "\n" : ""
		if ((n + 1) in before)
			printf "\n%s", substr(before[n + 1], 1, length(before[n + 1]) - 1)
	}' "$1" "$2"
}

# our_sections BASES TREES: the sections TREES has and BASES has not. Fails,
# naming it, when a section of the kernel's own differs.
our_sections()
{
	awk '
	BEGIN { RS = ""; FS = "\n" }
	NR == FNR { base[$0] = 1; next }
	$0 in base { delete base[$0]; next }
	{ printf "%s%s\n", sep, $0; sep = "\n" }
	END {
		for (block in base) {
			split(block, line, "\n")
			print line[1] >"/dev/stderr"
			exit 1
		}
	}' "$1" "$2"
}

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
		TIP=$(as_nobody -C "$REPO" commit-tree "$tree" -p "$TIP" <"$WORK/message")
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

# --- make refresh

# require_rewritable: what refresh can express as a series.
require_rewritable()
{
	local subject twice

	tree_git merge-base --is-ancestor "$BASE" HEAD ||
		die "build/linux no longer stands on its base: run git -C $TREE rebase --onto base OLDBASE"
	[ -z "$(tree_git rev-list --merges "$BASE..HEAD")" ] ||
		die "build/linux has a merge, and a series has none: run git -C $TREE rebase base"
	tree_git log --format=%s "$BASE..HEAD" >"$WORK/subjects"
	subject=$(sed -nE '/^(fixup|squash|amend)! /p' "$WORK/subjects" | first)
	[ -z "$subject" ] ||
		die "'$subject' is not folded in yet: run git -C $TREE rebase -i --autosquash base"
	twice=$(sort "$WORK/subjects" | uniq -d | first)
	[ -z "$twice" ] || die "two commits of build/linux are called '$twice': reword one."
}

# old_names: SUBJECT<tab>PATCH of the series the tree was made from, whose
# lines and whose commits are in the same order.
old_names()
{
	tree_git cat-file blob "$INPUTS:patches/series" | series_lines | cut -d' ' -f1 >"$WORK/old-patches"
	tree_git log --reverse --format=%s "$BASE..$MADE" | paste - "$WORK/old-patches"
}

# choose_name COMMIT: leaves the patch's name in NAME and its old one in OLD. A
# known subject keeps its name as long as the numbers go up.
choose_name()
{
	local subject slug number

	subject=$(tree_git log -1 --format=%s "$1")
	OLD=$(awk -F'\t' -v subject="${subject//\\/\\\\}" '$1 == subject { print $2; exit }' "$WORK/old-names")
	if [ -n "$OLD" ]; then
		number=$((10#${OLD:0:4}))
		slug=${OLD:5}
	else
		number=0
		slug=$(tree_git log -1 --format=%f "$1" | cut -c1-52).patch
	fi
	[ "$number" -gt "$LAST_NUMBER" ] || number=$((LAST_NUMBER + 1))
	LAST_NUMBER=$number
	NAME=$(printf '%04d-%s' "$number" "$slug")
}

# write_diff COMMIT: its hunks in files of the base. Without index lines, whose
# ids would change with every other 7.3.y.
write_diff()
{
	local paths

	tree_git diff-tree -r --no-renames --name-only "$1^" "$1" | sort >"$WORK/touched"
	mapfile -t paths < <(comm -12 "$WORK/touched" "$WORK/in-base" | sed /^MAINTAINERS$/d)
	[ ${#paths[@]} -gt 0 ] || return 0
	GIT_LITERAL_PATHSPECS=1 tree_git diff-tree -p -U3 --no-renames --no-color --no-ext-diff \
		--no-textconv --diff-algorithm=myers --src-prefix=a/ --dst-prefix=b/ \
		"$1^" "$1" -- "${paths[@]}" | sed -E '/^index [0-9a-f]+\.\.[0-9a-f]+/d'
}

# owned_files COMMIT: the new files that arrive with it.
owned_files()
{
	tree_git diff-tree -r --no-renames --name-only "$1^" "$1" | sort |
		comm -12 - "$WORK/unowned" >"$WORK/owned"
	comm -13 "$WORK/owned" "$WORK/unowned" >"$WORK/unowned.new"
	mv "$WORK/unowned.new" "$WORK/unowned"
	paste -sd' ' "$WORK/owned"
}

# stage_patch COMMIT: one patch file and one line of the list.
stage_patch()
{
	local commit=$1 files patch subject

	files=$(owned_files "$commit")
	write_diff "$commit" >"$WORK/diff"
	subject=$(tree_git log -1 --format=%s "$commit")
	if [ -z "$files" ] && [ ! -s "$WORK/diff" ]; then
		step "'$subject' changes nothing but new files, which arrive whole in their own patch: folded into it"
		return
	fi
	! grep -q '^Binary files ' "$WORK/diff" ||
		die "'$subject' changes a binary file, which a patch here cannot carry."
	tree_git log -1 --format=%B "$commit" | tree_git stripspace >"$WORK/message"
	! grep -qx -e --- "$WORK/message" ||
		die "the message of '$subject' has a line '---', where mail programs would cut it: reword it."

	choose_name "$commit"
	patch=$STAGE/patches/$NAME
	{
		cat "$WORK/message"
		echo ---
		cat "$WORK/diff"
	} >"$patch"
	keep_if_same "$patch"
	echo "$NAME ${OLD:--} $files" >>"$WORK/list"
}

# keep_if_same PATCH: where only line numbers moved, because the base is
# another 7.3.y, the patch stays as it was.
keep_if_same()
{
	[ -n "$OLD" ] || return 0
	tree_git cat-file blob "$INPUTS:patches/$OLD" >"$WORK/old-patch"
	if cmp -s <(sed 's/^@@ [^@]* @@/@@/' "$1") <(sed 's/^@@ [^@]* @@/@@/' "$WORK/old-patch"); then
		cp "$WORK/old-patch" "$1"
	fi
}

# stage_series: the old one's comments stay behind the patch they followed.
stage_series()
{
	tree_git cat-file blob "$INPUTS:patches/series" >"$WORK/old-series"
	awk '
	FILENAME == ARGV[1] {
		kept[$2] = 1
		old[++n] = $2
		$2 = ""
		sub(/  /, " ")
		sub(/ $/, "")
		sub(/ /, "  ")
		line[n] = $0
		next
	}
	/^[ \t]*(#|$)/ { after[last] = after[last] $0 "\n"; next }
	$1 in kept { last = $1 }
	END {
		printf "%s", after[""]
		for (i = 1; i <= n; i++)
			printf "%s\n%s", line[i], after[old[i]]
	}' "$WORK/list" "$WORK/old-series" >"$STAGE/patches/series"
}

stage_new_files()
{
	local file

	while read -r file; do
		mkdir -p "$STAGE/$(dirname "$file")"
		if [ "$file" = MAINTAINERS ]; then
			cp "$WORK/ours" "$STAGE/MAINTAINERS"
		else
			cp -p "$TREE/$file" "$STAGE/$file"
		fi
	done <"$WORK/new"
}

# find_new_files: MAINTAINERS counts as one when it has sections of ours.
find_new_files()
{
	tree_git ls-tree -r --name-only "$BASE" | sort >"$WORK/in-base"
	tree_git cat-file blob "$BASE:MAINTAINERS" >"$WORK/kernels"
	tree_git cat-file blob HEAD:MAINTAINERS >"$WORK/both"
	our_sections "$WORK/kernels" "$WORK/both" >"$WORK/ours" 2>"$WORK/log" ||
		die "build/linux changes the section '$(cat "$WORK/log")' of MAINTAINERS: only sections of our own can be brought back."
	{
		tree_git diff-tree -r --no-renames --diff-filter=A --name-only "$BASE" HEAD
		[ ! -s "$WORK/ours" ] || echo MAINTAINERS
	} | sort >"$WORK/new"
}

# stage: the repository as it would be if only the tree had changed.
stage()
{
	local commit

	STAGE=$BUILD/refresh
	LAST_NUMBER=0
	rm -rf "$STAGE"
	mkdir -p "$STAGE/patches"
	find_new_files
	cp "$WORK/new" "$WORK/unowned"
	old_names >"$WORK/old-names"
	: >"$WORK/list"
	for commit in $(tree_git rev-list --reverse "$BASE..HEAD"); do
		stage_patch "$commit"
	done
	stage_series
	stage_new_files
}

# require_faithful TIP: what was staged must give the tree it was taken from;
# only our sections in MAINTAINERS may have moved to their alphabetical place.
require_faithful()
{
	local differing

	differing=$(tree_git diff-tree -r --no-renames --name-only HEAD "$1" | sed /^MAINTAINERS$/d | first)
	[ -z "$differing" ] ||
		die "the refreshed series would not give build/linux again ($differing differs), nothing was changed: see $STAGE"
}

# entry TREE PATH: mode and id, nothing when it is not there.
entry()
{
	GIT_LITERAL_PATHSPECS=1 tree_git ls-tree "$1" -- "$2" | awk '{ print $1, $3 }'
}

# entry_here PATH: the same for what lies in this repository now.
entry_here()
{
	local mode=100644

	[ -e "$TOP/$1" ] || return 0
	[ ! -x "$TOP/$1" ] || mode=100755
	echo "$mode $(tree_git hash-object --no-filters "$TOP/$1")"
}

# compare_sides STAGED: sorts every path into take (only the tree changed it)
# and conflict (both did); what only this repository changed stays.
compare_sides()
{
	local path was here there

	: >"$WORK/take"
	: >"$WORK/conflict"
	while read -r path; do
		was=$(entry "$INPUTS" "$path")
		there=$(entry "$1" "$path")
		[ "$was" != "$there" ] || continue
		here=$(entry_here "$path")
		if [ "$here" = "$was" ]; then
			echo "$path" >>"$WORK/take"
		elif [ "$here" != "$there" ]; then
			echo "$path" >>"$WORK/conflict"
		fi
	done < <({
		tree_git ls-tree -r --name-only "$INPUTS"
		tree_git ls-tree -r --name-only "$1"
	} | sort -u)
}

refuse_conflicts()
{
	local path theirs

	[ -s "$WORK/conflict" ] || return 0
	while read -r path; do
		theirs=$STAGE/$path
		[ ! -e "$TREE/$path" ] || [ "$path" = MAINTAINERS ] || theirs=$TREE/$path
		echo "diff -u $(quoted "$TOP/$path") $(quoted "$theirs")" >&2
	done <"$WORK/conflict"
	die "here and in build/linux changed since the last make tree: $(paste -sd' ' "$WORK/conflict"); compare with the command above, make both sides equal, and run make refresh again."
}

# quoted PATH: as a shell reads it; what is not there is compared as empty.
quoted()
{
	if [ -e "$1" ]; then
		printf '%q' "$1"
	else
		echo /dev/null
	fi
}

# take: each file appears whole under its name, or not at all.
take()
{
	local path

	while read -r path; do
		if [ -e "$STAGE/$path" ]; then
			mkdir -p "$TOP/$(dirname "$path")"
			cp "$STAGE/$path" "$TOP/$path.new"
			mv "$TOP/$path.new" "$TOP/$path"
			step "brought back: $path"
		else
			rm -f "$TOP/$path"
			step "removed: $path"
		fi
	done <"$WORK/take"
}

refresh()
{
	local staged

	[ -d "$TREE" ] || die "there is no build/linux to bring anything back from: run make tree."
	require_base_objects
	recover
	require_idle
	require_rewritable
	BASE_COMMIT=$(ref "$BASE")

	stage
	staged=$(inputs_of "$STAGE")
	assemble "$BASE_COMMIT" "$staged"
	require_faithful "$TIP"
	compare_sides "$staged"
	refuse_conflicts
	take
	tree_git update-ref refs/liveupdate/before-refresh HEAD
	move_to "$TIP" "$staged"
	rm -rf "$STAGE"
	# What only this repository changed is not in the tree yet.
	update_tree
}

# --- make series

# sign COMMIT...: the same trees once more, with the exporter as the author.
sign()
{
	local commit tip=$BASE

	for commit; do
		tip=$(tree_git log -1 --format=%B "$commit" | tree_git stripspace |
			as_exporter commit-tree "$commit^{tree}" -p "$tip")
	done
	echo "$tip"
}

as_exporter()
{
	GIT_AUTHOR_NAME=$EXPORTER GIT_AUTHOR_EMAIL=$EXPORTER_EMAIL \
	GIT_AUTHOR_DATE='1767225600 +0000' \
	GIT_COMMITTER_NAME=$EXPORTER GIT_COMMITTER_EMAIL=$EXPORTER_EMAIL \
	GIT_COMMITTER_DATE='1767225600 +0000' \
		tree_git "$@"
}

# cover_letter: subject, blank line, text.
cover_letter()
{
	if [ -e "$TOP/patches/cover-letter.txt" ]; then
		cat "$TOP/patches/cover-letter.txt"
		return
	fi
	cat <<-TEXT
	PCI: live update with passed-through devices

	This series lets a device that is passed through to a virtual machine keep
	running while the host kernel under it is replaced by kexec. It applies to
	Linux $(base_version).
	TEXT
}

# fill_cover FILE: git leaves two places to be filled in.
fill_cover()
{
	cover_letter >"$WORK/cover"
	awk '
	NR == FNR { if (NR == 1) subject = $0; else if (NR > 2) text = text sep $0; if (NR > 2) sep = "\n"; next }
	{
		at = index($0, "*** SUBJECT HERE ***")
		if (at)
			$0 = substr($0, 1, at - 1) subject
		if ($0 == "*** BLURB HERE ***")
			$0 = text
		print
	}' "$WORK/cover" "$1" >"$WORK/filled"
	cp "$WORK/filled" "$1"
}

series()
{
	local out=$WORK/series signed

	EXPORTER=$(git -C "$TOP" config user.name || true)
	EXPORTER_EMAIL=$(git -C "$TOP" config user.email || true)
	{ [ -n "$EXPORTER" ] && [ -n "$EXPORTER_EMAIL" ]; } ||
		die "git does not know who exports the series: run git config --global user.name 'Your Name' and git config --global user.email you@example.org"
	tree
	# shellcheck disable=SC2046 # a list of ids
	signed=$(sign $(tree_git rev-list --reverse "$BASE..HEAD"))
	as_exporter format-patch -q -s --cover-letter --numbered --no-renames --no-signature \
		--abbrev=12 -o "$out" "$BASE..$signed"
	fill_cover "$out/0000-cover-letter.patch"
	rm -rf "$BUILD/series"
	mv "$out" "$BUILD/series"
	step "exported $(tree_git rev-list --count "$BASE..HEAD") patches to build/series"
}

case "${1:-}" in
tree | refresh | series)
	start
	"$1"
	;;
*)
	die "usage: harness/tree.sh tree|refresh|series"
	;;
esac
