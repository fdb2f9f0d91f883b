#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The README's two commands where nothing was ever installed: an empty Debian
# root with git and make, a clone, and no cache.  Root only; an hour or two.
#
#	fresh.sh [SUITE...]	bookworm and trixie when none is named
#	COMMANDS='make demo' fresh.sh trixie

. "$(dirname "$0")/lib.sh"
. "$TOP/harness/apt.sh"

COMMANDS=${COMMANDS:-.ci/run}

make_root()
{
	local suite=$1 root=$2 mirror

	mirror=$(apt_mirrors | head -n 1)
	[ -n "$mirror" ] || die "apt knows no Debian mirror to make a root from."
	step "an empty $suite"
	rm -rf "$root"
	mkdir -p "$root"
	debootstrap --variant=minbase --include=git,make,ca-certificates \
		"$suite" "$root" "$mirror" >"$root.log" 2>&1 ||
		die "debootstrap of $suite fails: $(tail -n 1 "$root.log")"
}

# What is committed, nothing else.
clone_into()
{
	git clone -q "$TOP" "$1/src"
}

# In a separate mount namespace: nothing stays mounted, however it ends.
run_in()
{
	local root=$1

	unshare --mount --pid --fork bash -euc '
		mount -t proc proc "$0/proc"
		mount --bind /dev "$0/dev"
		mount -t tmpfs -o size=75% tmpfs "$0/dev/shm"
		exec chroot "$0" env -i HOME=/root TERM=dumb \
			PATH=/usr/sbin:/usr/bin:/sbin:/bin \
			bash -euc "cd /src && $1"
	' "$root" "$COMMANDS" </dev/null
}

[ "$(id -u)" = 0 ] || die "an empty root can only be made as root: sudo make test-fresh"
need_tool debootstrap debootstrap
need_tools_done
need_space "$BUILD" 25
[ $# -gt 0 ] || set -- bookworm trixie

failed=
for suite; do
	root=$BUILD/fresh/$suite
	make_root "$suite" "$root"
	clone_into "$root"
	step "$suite: $COMMANDS"
	if run_in "$root"; then
		echo "ok fresh $suite: $COMMANDS"
		rm -rf "$root"
	else
		echo "not ok fresh $suite: $COMMANDS (left in ${root#"$TOP"/})"
		failed=1
	fi
done
[ -z "$failed" ]
