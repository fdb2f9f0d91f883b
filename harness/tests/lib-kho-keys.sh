# SPDX-License-Identifier: GPL-2.0-only
#
# What a number of preserved pieces of memory costs the next kernel.  Sourced.

# keys KERNEL PATTERN FEW MANY: KERNEL is started after no piece was preserved,
# after FEW and after MANY; harness/kho-keys.sh compares the three starts.
keys()
{
	local n

	flavours none
	kernels tree "$1" tree "$1" tree "$1"
	[ "$1" != base ] ||
		leaves '/used [0-9]+ -> $|preserved' 'the pristine kernel lists nothing'
	memory 2700M
	timeout_s 1800
	icount
	append nokaslr kunit.autorun=1 "kunit.filter_glob=kho_keys*" \
		"kho_kunit.pattern=$2"
	append_stage 3 kho_kunit.keys="$3"
	append_stage 5 kho_kunit.keys="$4"
	for n in 1 3 5; do
		stage $n <<'SH'
cat /sys/kernel/debug/kunit/kho_keys/results
SH
	done
	for n in 2 4 6; do
		stage $n <<'SH'
echo ok 1 - booted
SH
	done
}
