# SPDX-License-Identifier: GPL-2.0-only
# Sourced after lib-live.sh, or after another declaration, by declarations of runs
# with a device behind VT-d: in legacy mode, or in the mode that the test's name ends
# with (they are links to the declaration for legacy mode).
append intel_iommu=on,sm_off 'memmap=16M$0x40000000'
# Not needed, unlike without an IOMMU.
append vfio.enable_unsafe_noiommu_mode=0

VTD=intel-iommu,intremap=on
# QEMU has no narrower first-stage tables than 48 bits.
NARROW=,aw-bits=39
case $NAME in
*-second-stage)
	VTD+=,scalable-mode=on
	append intel_iommu=sm_on
	about "$ABOUT (scalable mode, second-stage tables)"
	;;
*-first-stage)
	VTD+=,scalable-mode=on,fsts=on NARROW=
	append intel_iommu=sm_on
	about "$ABOUT (scalable mode, first-stage tables)"
	;;
esac
iommu "$VTD"

# Of all tests in all modes each pair of a mechanism and a mode runs always, and the
# others in a full run.
case $NAME in
pci-vtd-second-stage | pci-vtd-first-stage) flavours fast full-debug ;;
pci-vtd-switch-second-stage | pci-vtd-device-second-stage | \
pci-vtd-remap-second-stage | pci-vtd-beside-second-stage | \
pci-vtd-given-up-first-stage | pci-vtd-damaged-first-stage | \
pci-vtd-many-first-stage | pci-vtd-freed-first-stage | pci-vtd-ats-second-stage | \
pci-vtd-ats-reset-first-stage | \
pci-vtd-shared-second-stage | \
negative-vtd-take-over-second-stage | negative-vtd-restore-first-stage)
	flavours fast
	;;
pci-vtd-failing-first-stage) flavours debug ;;
*-failing-*-stage) flavours full-debug ;;
*-stage) flavours full ;;
esac

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
