# SPDX-License-Identifier: GPL-2.0-only
#
# make series: the patches as they are sent. Sourced by tree.sh.

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
		die "git has no name for the exported series: run git config --global user.name 'Your Name' and git config --global user.email you@example.org"
	tree
	# shellcheck disable=SC2046 # a list of ids
	signed=$(sign $(tree_git rev-list --reverse "$BASE..HEAD"))
	as_exporter format-patch -q -s --cover-letter --numbered --no-renames --no-signature \
		--abbrev=12 -o "$out" "$BASE..$signed"
	# git am takes *.patch, and stops at a patch that changes nothing.
	mv "$out/0000-cover-letter.patch" "$out/0000-cover-letter.mbox"
	fill_cover "$out/0000-cover-letter.mbox"
	rm -rf "$BUILD/series"
	mv "$out" "$BUILD/series"
	step "exported $(tree_git rev-list --count "$BASE..HEAD") patches to build/series"
}
