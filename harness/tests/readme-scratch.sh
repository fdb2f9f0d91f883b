#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What readme.sh runs in the scratch repository of tree-lib.sh: $SCRIPT is a
# piece of a README, as printed.

. "$HARNESS/tests/tree-check.sh"

# in_shell DIR SCRIPT
in_shell()
{
	(cd "$1" && works bash -euc "$2")
}

# Nothing is installed here.
with_real_makefile()
{
	cp "$HARNESS/../Makefile" "$REPO"
	printf '#!/bin/sh\n' >"$REPO/harness/deps.sh"
	chmod +x "$REPO/harness/deps.sh"
}

ksrc()
{
	with_real_makefile
	# From here on the tests are .ci/run's.
	printf '#!/bin/sh\nexec "$(dirname "$0")/tree.sh" tree\n' >"$REPO/harness/test.sh"
	chmod +x "$REPO/harness/test.sh"
	cp -r "$KSRC" "$SCRATCH/own"
	sed -i 's/^SUBLEVEL = .*/SUBLEVEL = 11/' "$SCRATCH/own/Makefile"
	unset KSRC
	in_shell "$REPO" "${SCRIPT//\/your\/linux-7.3/$SCRATCH/own}"
	same "$(in_tree log -1 --format=%s base)" 'Linux 7.3.11'
}

# A change that belongs to the first of two patches.
refresh_commits()
{
	with_real_makefile
	be_somebody
	git config --global sequence.editor true
	works tree
	echo '/* more */' >>"$REPO/build/linux/include/uapi/linux/luo/abi.h"
	in_shell "$REPO" "${SCRIPT/PATCH/HEAD~1}"
	same "$(tail -n 1 "$REPO/include/uapi/linux/luo/abi.h")" '/* more */'
	same "$(in_tree rev-list --count base..HEAD)" 2
	works tree
}

check_series()
{
	with_check
	with_real_makefile
	in_shell "$REPO" "$SCRIPT"
	grep -q '^ok: checkpatch 0002' "$SCRATCH/out" || fail "nothing was checked"
	sed -i 's/^int ours;/int ours/' "$REPO/drivers/pci/liveupdate.c"
	! (cd "$REPO" && bash -euc "$SCRIPT") || fail "it does not notice"
}

# --- .ci/run

# with_makefile TARGET...: one that fails at these.
with_makefile()
{
	local target

	cp "$HARNESS/printed.sh" "$REPO/harness/"
	mkdir "$REPO/.ci"
	cp "$HARNESS/../.ci/run" "$REPO/.ci/"
	cp "$HARNESS/../README.md" "$REPO/"
	{
		printf 'demo test:\n\t@test ! -e build\n\t@echo $@ >>%s\n' "$SCRATCH/made"
		printf '\t@case " %s " in *" $@ "*) exit 1 ;; esac\n' "$*"
		printf '\t@echo "1 passed, 0 failed, 0 skipped"\n'
	} >"$REPO/Makefile"
	git -C "$REPO" add -A
	git -C "$REPO" -c user.name=x -c user.email=x@example.org commit -qm more
}

ci_runs()
{
	with_makefile
	works "$REPO/.ci/run"
	same "$(cat "$SCRATCH/made")" "$(sed 's/^make //' <<<"$SCRIPT")"
	same "$(tail -n 1 "$SCRATCH/out")" '1 passed, 0 failed, 0 skipped'
	# With something built, from a clone.
	mkdir "$REPO/build"
	works "$REPO/.ci/run"
	works "$REPO/.ci/run"
	same "$(grep -c . "$SCRATCH/made")" 6
}

ci_stops_at_a_failure()
{
	with_makefile demo
	run "$REPO/.ci/run"
	differ "$STATUS" 0
	same "$(cat "$SCRATCH/made")" demo
}
