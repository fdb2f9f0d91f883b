#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The commands that a README prints: the lines of its blocks ```sh. .ci/run and
# the tests take them from here, so that they run what a reader would.
#
#	printed.sh FILE		all of them, as "BLOCK<TAB>COMMAND"
#	printed.sh FILE BLOCK	those of one block; the first is number 1

set -euo pipefail

[ $# = 1 ] || [ $# = 2 ] || { echo "usage: printed.sh FILE [BLOCK]" >&2; exit 1; }
awk -v only="${2-}" '
	/^```/ {
		fence = fence ? "" : $0
		block += fence == "```sh"
		next
	}
	fence != "```sh" { next }
	!only { print block "\t" $0 }
	block == only { print }' "$1"
