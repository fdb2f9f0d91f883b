# SPDX-License-Identifier: GPL-2.0-only
#
# The inputs of the tree: patches/series, the files it names, what must not be
# there. Sourced by tree.sh.

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

