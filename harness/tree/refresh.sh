# SPDX-License-Identifier: GPL-2.0-only
#
# make refresh: commits of build/linux become patches and new files again.
# Sourced by tree.sh.

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

# refuse_leftovers: a new file that is in no commit any more and still lies
# there was left out, most likely because git ignores it, not dropped.
refuse_leftovers()
{
	local path

	while read -r path; do
		[ -e "$STAGE/$path" ] || [ ! -e "$REPO/$path" ] ||
			die "$path is in no commit of build/linux but lies there: add it with git -C $TREE add -f $path, or remove it."
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
	refuse_leftovers
	take
	tree_git update-ref refs/liveupdate/before-refresh HEAD
	move_to "$TIP" "$staged"
	rm -rf "$STAGE"
	# What only this repository changed is not in the tree yet.
	update_tree
}
