#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Installs what the host lacks, as root; otherwise prints the one line to run.

. "$(dirname "$0")/lib.sh"
. "$TOP/harness/apt.sh"

# COMMAND-or-FILE PACKAGE, one a line.
NEEDED='
gcc			gcc
make			make
git			git
flex			flex
bison			bison
bc			bc
cpio			cpio
xz			xz-utils
rsync			rsync
ccache			ccache
perl			perl
gnuplot			gnuplot-nox
flock			util-linux
awk			mawk
file:/usr/include/libelf.h		libelf-dev
file:/usr/include/openssl/ssl.h		libssl-dev
file:/usr/include/uuid/uuid.h		uuid-dev
file:/usr/include/sys/capability.h	libcap-dev
file:/usr/include/stdio.h		libc6-dev
static:busybox		busybox-static
g++			g++
abidw			abigail-tools
file:/usr/bin/sphinx-build	python3-sphinx
file:/usr/lib/python3/dist-packages/yaml/__init__.py	python3-yaml
'
# For libFuzzer; nothing else needs a second compiler.
[ "${1-}" != fuzz ] || NEEDED+='
clang			clang
libfuzzer:		libclang-rt-dev
'

has()
{
	case $1 in
	file:*) [ -e "${1#file:}" ] ;;
	libfuzzer:) echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
		clang -x c -fsanitize=fuzzer -o /dev/null - 2>/dev/null ;;
	static:*) command -v "${1#static:}" >/dev/null &&
		! ldd "$(command -v "${1#static:}")" >/dev/null 2>&1 ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

missing_packages()
{
	local what package

	while read -r what package; do
		[ -z "$what" ] || has "$what" || echo "$package"
	done <<<"$NEEDED" | sort -u
}

qemu_is_good()
{
	local qemu version

	qemu=${QEMU:-$(command -v qemu-system-x86_64)} || return 1
	version=$("$qemu" --version 2>/dev/null |
		sed -n 's/.*version \([0-9]*\).*/\1/p')
	[ "${version:-0}" -ge 8 ]
}

# Installing another one would not help if a certain one is requested.
[ -z "${QEMU-}" ] || qemu_is_good ||
	die "QEMU=$QEMU is not a QEMU 8.0 or newer: give the path of one, or leave QEMU away."

# Debian 12's own QEMU is too old, its backports have a good one; Debian 13's
# own is good.  Backports come through a private apt: the system's sources
# stay as they are.
install_qemu()
{
	local codename mirror dir version

	version=$(apt-cache policy qemu-system-x86 |
		sed -n 's/^  Candidate: \([0-9]*:\)\?\([0-9]*\).*/\2/p')
	step "installing QEMU"
	if [ "${version:-0}" -ge 8 ]; then
		apt-get install -y --no-install-recommends qemu-system-x86 >&2
		return
	fi
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
	mirror=$(apt_mirrors | head -n 1)
	[ -n "$mirror" ] && [ -n "$codename" ] ||
		die "QEMU 8 or newer is needed and apt knows no Debian mirror: install QEMU by hand and set QEMU=/path/qemu-system-x86_64."
	dir=$(mktemp -d)
	apt_private_setup "$dir" "$mirror" "$codename" "$codename-backports"
	apt_private "$dir" apt-get update >&2
	apt_private "$dir" apt-get -o Dir::State::status=/var/lib/dpkg/status \
		install -y --no-install-recommends -t "$codename-backports" \
		qemu-system-x86 >&2
	rm -rf "$dir"
}

packages=$(missing_packages)
qemu_is_good && qemu=good || qemu=
[ -n "$packages" ] || [ -z "$qemu" ] || exit 0

[ "$(id -u)" = 0 ] ||
	die "packages are missing (${packages:+$(echo $packages) }${qemu:-qemu-system-x86}); install them with: sudo make deps"
command -v apt-get >/dev/null ||
	die "this is not a Debian machine; install by hand: $(echo $packages) and QEMU 8.0 or newer."

export DEBIAN_FRONTEND=noninteractive
step "installing packages: $(echo $packages) ${qemu:-qemu}"
apt-get update >&2 ||
	die "apt-get update fails: check the network and /etc/apt/sources.list, then run 'make deps' again."
# shellcheck disable=SC2086
[ -z "$packages" ] ||
	apt-get install -y --no-install-recommends $packages >&2 ||
	die "apt-get cannot install: $(echo $packages)"
[ -n "$qemu" ] || install_qemu
qemu_is_good ||
	die "QEMU 8.0 or newer could not be installed: set QEMU=/path/qemu-system-x86_64."
