#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A private apt: fetches a package of any suite of the system's Debian mirror
# without changing what the system itself knows. Sourced after lib.sh.

# apt_mirrors: the Debian mirrors apt is configured with, one address a line.
# Asking apt itself covers every format and place its sources can have, and
# works without downloaded lists and without being root.
apt_mirrors()
{
	apt-get update --print-uris | awk -F"'" '
		$2 !~ /security/ &&
		match($2, /\/dists\/(oldstable|stable|testing|unstable|sid|bookworm|trixie|forky)[^\/]*\/main\/binary-/) {
			uri = substr($2, 1, RSTART - 1)
			if (!(uri in seen)) {
				seen[uri] = 1
				print uri
			}
		}'
}

# The archive's own keys, not whatever the system trusts besides.
apt_keyring()
{
	local ring

	for ring in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
		if [ -e "$ring" ]; then
			echo "$ring"
			return
		fi
	done
	need_tool debian-archive-keyring debian-archive-keyring
	need_tools_done
}

# apt_private DIR ARGUMENT...: apt-get or apt-cache, everything kept in DIR.
# The hooks are cleared because the system's act on the system's own lists.
apt_private()
{
	local dir=$1 tool=$2
	shift 2
	"$tool" -c "$dir/apt.conf" "$@"
}

# apt_private_setup DIR MIRROR SUITE...
apt_private_setup()
{
	local dir=$1 mirror=$2 ring suite
	shift 2

	rm -rf "$dir"
	mkdir -p "$dir"/{lists/partial,cache/archives/partial,state,none}
	: >"$dir/status"
	ring=$(apt_keyring)
	for suite; do
		echo "deb [signed-by=$ring] $mirror $suite main"
	done >"$dir/sources.list"

	cat >"$dir/apt.conf" <<-CONF
	#clear APT::Update::Pre-Invoke;
	#clear APT::Update::Post-Invoke;
	#clear APT::Update::Post-Invoke-Success;
	Acquire::Languages "none";
	Acquire::Retries "0";
	Acquire::http::Timeout "5";
	Acquire::https::Timeout "5";
	APT::Update::Error-Mode "any";
	APT::Sandbox::User "root";
	Dir::State "$dir/state";
	Dir::State::lists "$dir/lists";
	Dir::State::status "$dir/status";
	Dir::Cache "$dir/cache";
	Dir::Etc::sourcelist "$dir/sources.list";
	Dir::Etc::sourceparts "$dir/none";
	Dir::Etc::preferences "$dir/none/preferences";
	Dir::Etc::preferencesparts "$dir/none";
	CONF
}
