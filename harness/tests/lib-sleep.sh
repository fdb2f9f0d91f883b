# SPDX-License-Identifier: GPL-2.0-only
# Sourced after lib-vtd.sh by declarations of runs in which every queue gets its last
# frame in the gap.
root_port rp0
traffic rp0
last_events
at_each user_space 'pause 0 2'
at_each user_space 'pause 3 1'

# In KiB. What is freed later, and the pools of the checkers, are not of the same size after
# each boot.
case $FLAVOUR in
fast) FLAT=16384 ;;
*) FLAT=32768 ;;
esac

# sleep_through UPDATES [OPTION...]: of stage 1, and --held of all.
sleep_through()
{
	local i held= more="${*:2}"

	[[ " $* " != *\ --held\ * ]] || held=" --held"
	stage 1 <<<"lu_vmm -s 1 -l -p --huge${more:+ $more}"
	for i in $(seq 2 "$1"); do
		stage "$i" <<<"lu_vmm -s 2 -l -p --flat $FLAT$held"
	done
	stage $(($1 + 1)) <<<"lu_vmm -s 2 -p --flat $FLAT"
	uninterrupted
	expect guest.longest_sleep_ms '!=' null
	expect interrupt_remapping_disabled == 0
}
