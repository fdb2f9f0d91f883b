# SPDX-License-Identifier: GPL-2.0-only
# Sourced by declarations of tests that replace the page table of an igb which
# receives. Before anything is counted it faults once, to prove that faults are
# seen.
. "$TESTS/lib-dmar-faults.sh"
append 'memmap=16M$0x40000000'
# Its buffers have to last while the program is busy.
[ "$FLAVOUR" = kasan ] && rate 50 || rate 200
root_port rp0
traffic rp0
program liveupdate/lu_replace
# Fault injection is a debug option.
[ "$FLAVOUR" = fast ] && FAIL= || FAIL=' --fail'

undisturbed()
{
	expect frames.lost == 0
	expect frames.duplicated == 0
	expect frames.corrupted == 0
	expect iommu_faults.device == 0
	expect iommu_faults.others == 0
	expect canary_damaged == 0
}
