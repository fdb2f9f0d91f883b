#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# QEMU 10.0 and 11.1 are supported and tested.  Fetch the one that the host does
# not have from Debian 13 or its backports.  Nothing is installed: the packages
# are unpacked in the cache and run with their own libraries.  Prints the path to
# use as QEMU=.
#
#	qemu.sh other

. "$(dirname "$0")/lib.sh"
. "$TOP/harness/apt.sh"

suite_of_other()
{
	local qemu major

	qemu=${QEMU:-$(command -v qemu-system-x86_64)} ||
		die "qemu-system-x86_64 is missing: run 'make deps'."
	major=$("$qemu" --version | sed -n 's/.*version \([0-9]*\).*/\1/p')
	[ "${major:-0}" -lt 11 ] && echo trixie-backports || echo trixie
}

# fetch SUITE DIR: QEMU's package and all it depends on, into DIR/root.
fetch()
{
	local suite=$1 dir=$2 mirror deb suites=(trixie)

	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
		die "another QEMU is fetched with apt, and this is not a Debian machine."
	mirror=$(apt_mirrors | head -n 1)
	[ -n "$mirror" ] || die "apt knows no Debian mirror to fetch another QEMU from."
	need_space "$dir" 1
	[ "$suite" = trixie ] || suites+=("$suite")
	apt_private_setup "$dir/apt" "$mirror" "${suites[@]}"
	apt_private "$dir/apt" apt-get update >"$dir/log" 2>&1 &&
		apt_private "$dir/apt" apt-get -o Debug::NoLocking=true install \
			--yes --download-only --no-install-recommends \
			-t "$suite" qemu-system-x86 >>"$dir/log" 2>&1 ||
		die "apt cannot fetch QEMU from $suite: $(grep '^E:' "$dir/log" | tail -n 1)"
	for deb in "$dir"/apt/cache/archives/*.deb; do
		dpkg-deb -x "$deb" "$dir/root"
	done
	rm -rf "$dir/apt"
}

# write_program DIR ROOT: ROOT is where it will be.
write_program()
{
	local root=$2

	cat >"$1" <<-SH
	#!/bin/sh
	libs=$root/usr/lib/x86_64-linux-gnu
	QEMU_MODULE_DIR=\$libs/qemu exec \$libs/ld-linux-x86-64.so.2 \\
		--library-path \$libs:\$libs/pulseaudio $root/usr/bin/qemu-system-x86_64 \\
		-L $root/usr/share/qemu -L $root/usr/share/seabios "\$@"
	SH
	chmod +x "$1"
}

other()
{
	local suite dir

	suite=$(suite_of_other)
	dir=$CACHE/qemu/$suite
	mkdir -p "$CACHE/qemu"
	take_lock "$CACHE/qemu/$suite.lock"
	if ! [ -x "$dir/qemu-system-x86_64" ]; then
		step "fetching QEMU from $suite"
		rm -rf "$dir" "$dir.new"
		mkdir -p "$dir.new"
		fetch "$suite" "$dir.new"
		write_program "$dir.new/qemu-system-x86_64" "$dir/root"
		mv "$dir.new" "$dir"
	fi
	"$dir/qemu-system-x86_64" --version >/dev/null ||
		die "QEMU from $suite does not run: remove $dir and try again."
	echo "$dir/qemu-system-x86_64"
}

case ${1-} in
other) other ;;
*) die "usage: qemu.sh other" ;;
esac
