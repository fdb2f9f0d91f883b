# SPDX-License-Identifier: GPL-2.0-only
# Sourced after lib-live.sh, or after another declaration, by declarations of runs
# with a device behind VT-d, in legacy mode.
iommu intel-iommu,intremap=on
append intel_iommu=on,sm_off 'memmap=16M$0x40000000'
# Not needed, unlike without an IOMMU.
append vfio.enable_unsafe_noiommu_mode=0

# All the time, through the right table, and to where it leads: for a device that
# has faulted once before anything was counted (lu_vmm --fault), which proves that
# later faults would be seen.
translated()
{
	. "$TESTS/lib-dmar-faults.sh"
	expect translation_disabled == 0
	expect iommu_faults.device == 0
	expect iommu_faults.others == 0
	expect canary_damaged == 0
}
