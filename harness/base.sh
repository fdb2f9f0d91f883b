#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Prints the directory of the base: DIR/linux is the pristine kernel source, a
# git repository with one commit whose id is a function of the content alone.
# Where it comes from, in this order: KSRC=/path, the cache, a Debian mirror,
# the upstream archive that base.pin names.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$TOP/harness/apt.sh"

BASES=$CACHE/base
PACKAGE=linux-source-7.3
SUITES='trixie-backports sid forky trixie bookworm-backports'

# Room for the archive, the source and its repository, while they are made.
BASE_GIB=5

# The result, and why there is none. Each from_...() leaves one of the two; a
# return status would make the shell ignore failures inside the function.
FOUND=
WHY=

# version_of DIR: VERSION.PATCHLEVEL.SUBLEVEL and, of EXTRAVERSION, the -rcN.
version_of()
{
	awk -F' *= *' '
		$1 == "VERSION" && !v { v = $2 }
		$1 == "PATCHLEVEL" && !p { p = $2 }
		$1 == "SUBLEVEL" && s == "" { s = $2 }
		$1 == "EXTRAVERSION" && $2 ~ /^-rc/ && rc == "" { rc = $2 }
		END { if (v != "") printf "%s.%s.%s%s\n", v, p, s, rc }' "$1/Makefile"
}

# require_7_3 VERSION WHERE
require_7_3()
{
	[[ $1 =~ ^7\.3\.[0-9]+$ ]] ||
		die "$2 holds Linux ${1:-without a version}, and the series is for 7.3.y: give the path of a linux-7.3.y source."
}

# The threshold makes git write one pack instead of a hundred thousand files.
import_git()
{
	plain_git -c core.bigFileThreshold=1 "$@"
}

# commit_index REPO VERSION: makes what is in the index the only commit.
commit_index()
{
	local tree commit

	tree=$(plain_git --git-dir="$1" write-tree)
	commit=$(echo "Linux $2" | as_anonymous --git-dir="$1" commit-tree "$tree")
	plain_git --git-dir="$1" update-ref HEAD "$commit"
}

# make_repository DIR VERSION: -f because the kernel's .gitignore names files
# that are shipped.
make_repository()
{
	local repo=$1.git

	step "making a git repository of Linux $2"
	rm -rf "$repo"
	plain_git init -q -b base --template= --bare "$repo"
	plain_git --git-dir="$repo" config core.bare false
	plain_git --git-dir="$repo" config gc.auto 0
	import_git --git-dir="$repo" --work-tree="$1" -C "$1" add -f -A .
	commit_index "$repo" "$2"
	mv "$repo" "$1/.git"
}

# publish DIR ID: the source is complete; from here on others can see it.
publish()
{
	mkdir -p "$BASES/$2"
	rm -rf "$BASES/$2/linux"
	mv "$1" "$BASES/$2/linux"
	FOUND=$BASES/$2
}

is_base()
{
	[ -d "$1/linux" ] &&
		plain_git --git-dir="$1/linux/.git" rev-parse -q --verify HEAD >/dev/null 2>&1
}

# --- a tree of the user's own

check_ksrc()
{
	local hint='give the path of a linux-7.3.y source.'

	[ -d "$KSRC" ] || die "KSRC=$KSRC is not a directory: $hint"
	{ [ -f "$KSRC/Makefile" ] && [ -f "$KSRC/Kbuild" ] && [ -f "$KSRC/MAINTAINERS" ]; } ||
		die "KSRC=$KSRC is not a kernel source tree: $hint"
	require_7_3 "$(version_of "$KSRC")" "KSRC=$KSRC"
	if [ ! -e "$KSRC/.git" ] && { [ -e "$KSRC/.config" ] || [ -e "$KSRC/include/config" ]; }; then
		die "KSRC=$KSRC holds the output of a build: run 'make mrproper' there or give a clean copy."
	fi
}

# index_ksrc REPO: what belongs to the source. In a git tree that is what git
# tracks, as it is now; elsewhere everything. The index is kept from run to
# run, so that only files that changed are read again.
index_ksrc()
{
	if [ ! -e "$KSRC/.git" ]; then
		import_git --git-dir="$1" --work-tree="$KSRC" -C "$KSRC" add -f -A .
		return
	fi
	plain_git -C "$KSRC" ls-files -z | sort -zu >"$WORK/tracked"
	plain_git --git-dir="$1" ls-files -z | sort -zu >"$WORK/indexed"
	comm -z -13 "$WORK/tracked" "$WORK/indexed" |
		plain_git --git-dir="$1" --work-tree="$KSRC" -C "$KSRC" \
			update-index --force-remove -z --stdin
	import_git --git-dir="$1" --work-tree="$KSRC" -C "$KSRC" \
		update-index --add --remove -z --stdin <"$WORK/tracked"
}

from_ksrc()
{
	local version repo tree id

	version=$(version_of "$KSRC")
	repo=$CACHE/ksrc/$(printf %s "$KSRC" | sha256sum | cut -c1-12).git
	if [ ! -e "$repo/HEAD" ]; then
		need_space "$CACHE" "$BASE_GIB"
		step "importing Linux $version from $KSRC"
		plain_git init -q -b base --template= --bare "$repo"
	fi
	rm -f "$repo/index.lock"
	index_ksrc "$repo"
	tree=$(plain_git --git-dir="$repo" write-tree)
	id=$version-${tree:0:12}
	if is_base "$BASES/$id"; then
		FOUND=$BASES/$id
		return
	fi

	need_space "$CACHE" "$BASE_GIB"
	commit_index "$repo" "$version"
	plain_git clone -q --local --template= "$repo" "$WORK/linux"
	plain_git -C "$WORK/linux" config gc.auto 0
	plain_git -C "$WORK/linux" remote remove origin
	mkdir -p "$BASES/$id"
	printf '%s\n' "$KSRC" >"$BASES/$id/ksrc"
	publish "$WORK/linux" "$id"
}

# --- the cache

# The newest one that was not made from a KSRC.
from_cache()
{
	local dir

	[ -d "$BASES" ] || return 0
	while read -r dir; do
		if [ ! -e "$dir/ksrc" ] && is_base "$dir"; then
			FOUND=$dir
			return
		fi
	done < <(find "$BASES" -mindepth 1 -maxdepth 1 -name '7.3.*' | sort -rV)
}

# --- archives

# unpack ARCHIVE
unpack()
{
	local version digest name

	name=$(basename "$1")
	digest=$(sha256sum "$1" | cut -c1-12)
	step "unpacking $name"
	mkdir "$WORK/linux"
	tar -C "$WORK/linux" --strip-components=1 -xf "$1" ||
		die "$name cannot be unpacked: run the same command again to fetch it again."
	version=$(version_of "$WORK/linux")
	require_7_3 "$version" "$name"
	make_repository "$WORK/linux" "$version"
	publish "$WORK/linux" "$version-$digest"
}

# apt_says LOG: the reason apt gave, in one line.
apt_says()
{
	awk '/^E: / { $1 = ""; $0 = substr($0, 2); $1 = $1; print; exit }' "$1"
}

# fetch_package MIRROR SUITE: leaves the package in $WORK/deb, or WHY; says in
# MIRROR_USABLE whether another suite is worth a try.
fetch_package()
{
	local log=$WORK/apt.log

	MIRROR_USABLE=yes
	WHY="no suite of the Debian mirror has $PACKAGE"
	apt_private_setup "$WORK/apt" "$1" "$2"
	if ! apt_private "$WORK/apt" apt-get -q update >"$log" 2>&1; then
		grep -q 'does not have a Release file' "$log" && return
		MIRROR_USABLE=
		WHY=$(apt_says "$log")
		return
	fi
	if ! apt_private "$WORK/apt" apt-cache show "$PACKAGE" >"$log" 2>&1; then
		return
	fi

	step "downloading $PACKAGE of $2"
	mkdir "$WORK/deb"
	if ! (cd "$WORK/deb" && apt_private "$WORK/apt" apt-get -q \
		-o Acquire::http::Timeout=60 download "$PACKAGE") >"$log" 2>&1; then
		rm -rf "$WORK/deb"
		MIRROR_USABLE=
		WHY=$(apt_says "$log")
	fi
}

from_debian()
{
	local mirrors mirror suite

	WHY="apt has no Debian mirror configured"
	mirrors=$(apt_mirrors)
	for mirror in $mirrors; do
		for suite in $SUITES; do
			step "looking for $PACKAGE in $suite"
			fetch_package "$mirror" "$suite"
			if [ -d "$WORK/deb" ]; then
				dpkg-deb -x "$WORK"/deb/*.deb "$WORK/package"
				unpack "$WORK/package/usr/src/$PACKAGE.tar.xz"
				return
			fi
			[ -n "$MIRROR_USABLE" ] || break
		done
	done
}

# Only with the digest that upstream published: nothing else would tell this
# archive from another one.
from_upstream()
{
	local VERSION URL SHA256 archive

	. "$TOP/harness/base.pin"
	if [ -z "$SHA256" ]; then
		WHY="$WHY; the upstream archive of $VERSION is no source either because harness/base.pin has no SHA256 for it"
		return
	fi
	need_tool curl curl
	need_tools_done
	archive=$WORK/$(basename "$URL")
	step "downloading Linux $VERSION"
	if ! curl -fsSL --connect-timeout 5 -o "$archive" "$URL"; then
		WHY="$WHY; the upstream archive of $VERSION cannot be downloaded"
		return
	fi
	echo "$SHA256  $archive" | sha256sum -c --status ||
		die "the upstream archive of Linux $VERSION has another SHA-256 than harness/base.pin says: do not use it, and check the network it came through."
	unpack "$archive"
}

# --- all together

# Nothing appears under its final name before it is complete, so whatever an
# interrupted run left behind is rubbish.
prepare_work()
{
	take_lock "$CACHE/base.lock"
	mkdir -p "$BASES"
	rm -rf "$BASES"/.new.*
	WORK=$(mktemp -d "$BASES/.new.XXXXXX")
	trap 'rm -rf "$WORK"' EXIT
}

fetch()
{
	need_tool xz xz-utils
	need_tools_done
	need_space "$CACHE" "$BASE_GIB"
	prepare_work
	# Another run may have fetched it while this one waited.
	from_cache
	[ -n "$FOUND" ] || from_debian
	[ -n "$FOUND" ] || from_upstream
}

main()
{
	need_tool git git
	need_tools_done

	if [ -n "${KSRC:-}" ]; then
		check_ksrc
		KSRC=$(cd "$KSRC" && pwd -P)
		prepare_work
		from_ksrc
	else
		from_cache
		[ -n "$FOUND" ] || fetch
	fi
	[ -n "$FOUND" ] ||
		die "there is no source of Linux 7.3 ($WHY): connect this machine to a Debian mirror, or unpack a linux-7.3.y source and run: make KSRC=/path/to/linux-7.3.y test"
	echo "$FOUND"
}

[ "${BASH_SOURCE[0]}" != "$0" ] || main "$@"
