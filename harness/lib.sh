#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What every script of the harness shares. Sourced, never run.

set -euo pipefail
shopt -s inherit_errexit

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
BUILD=$TOP/build
CACHE=${XDG_CACHE_HOME:-${HOME:?is not set: set it, or XDG_CACHE_HOME, to where the base kernel is to be kept}/.cache}/pci-liveupdate
export TOP BUILD CACHE

# Messages of tools are compared with text in several places.
export LC_ALL=C

# One object in ccache serves every tree and directory it is built in ...
export CCACHE_DIR=$CACHE/ccache CCACHE_BASEDIR=/ CCACHE_NOHASHDIR=1
export CCACHE_MAXSIZE=15G

# ... which works only when a kernel is a function of its source and nothing
# else. An empty LOCALVERSION is what keeps the "+" of a git tree away.
export KBUILD_BUILD_TIMESTAMP="2026-01-01 00:00:00 UTC"
export KBUILD_BUILD_USER=liveupdate KBUILD_BUILD_HOST=localhost
export KBUILD_BUILD_VERSION=1 LOCALVERSION=

# A caller that is itself a git hook must not redirect our repositories.
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_PREFIX GIT_OBJECT_DIRECTORY
unset GIT_ALTERNATE_OBJECT_DIRECTORIES

# die SENTENCE: the one way a script ends badly.
die()
{
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# The kernel's makefiles take no other paths.
case $TOP:$CACHE in
*[[:space:]]* | *:*:*)
	die "there is a space or a colon in '$TOP' or '$CACHE': the kernel cannot be built there, clone to another path or set XDG_CACHE_HOME." ;;
*:/*) ;;
*) die "XDG_CACHE_HOME is '$XDG_CACHE_HOME': it must be an absolute path." ;;
esac

# Each script exits on its own account: a machine that was told to stop reports that, and
# bash would take its orderly end as a reason to continue with the next one.
trap 'exit 130' INT

# step TEXT: says what a long step is doing; standard output stays free.
step()
{
	printf '==> %s\n' "$*" >&2
}

# need_space DIR GIB: DIR need not exist yet.
need_space()
{
	local dir=$1 gib=$2 free

	while [ ! -d "$dir" ]; do
		dir=$(dirname "$dir")
	done
	free=$(df -Pk "$dir" | awk 'NR == 2 { print int($4 / 1048576) }')
	[ "$free" -ge "$gib" ] ||
		die "$1 needs $gib GiB of free disk space and there are $free: make room, or set XDG_CACHE_HOME to a larger disk."
}

MISSING_PACKAGES=()

# need_tool COMMAND PACKAGE: remembers what is missing, need_tools_done says it.
need_tool()
{
	command -v "$1" >/dev/null 2>&1 || MISSING_PACKAGES+=("$2")
}

need_tools_done()
{
	local sudo=

	[ ${#MISSING_PACKAGES[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || sudo='sudo '
	die "packages are missing, install them with: ${sudo}apt-get install -y $(
		printf '%s\n' "${MISSING_PACKAGES[@]}" | sort -u | paste -sd' ')"
}

# take_lock FILE: held until the script ends; waits for another holder.
take_lock()
{
	local fd

	mkdir -p "$(dirname "$1")"
	exec {fd}>>"$1"
	if ! flock -n "$fd"; then
		step "waiting for another run that holds $1"
		flock "$fd"
	fi
}

# plain_git ARGUMENT...: git as it comes, whatever the user's configuration
# says, so that the same input gives the same commits everywhere.
plain_git()
{
	GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null git \
		-c safe.directory='*' -c gc.auto=0 -c core.autocrlf=false \
		-c core.fileMode=true -c advice.detachedHead=false "$@"
}

# as_anonymous ARGUMENT...: the same, for commits without a person's name.
as_anonymous()
{
	GIT_AUTHOR_NAME=liveupdate GIT_AUTHOR_EMAIL=liveupdate@localhost \
	GIT_AUTHOR_DATE='1767225600 +0000' \
	GIT_COMMITTER_NAME=liveupdate GIT_COMMITTER_EMAIL=liveupdate@localhost \
	GIT_COMMITTER_DATE='1767225600 +0000' \
		plain_git "$@"
}
