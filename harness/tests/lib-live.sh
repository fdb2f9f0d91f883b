# SPDX-License-Identifier: GPL-2.0-only
# Sourced by declarations of runs with a device that goes on: an igb behind one
# root port, without an IOMMU.
iommu none
append vfio.enable_unsafe_noiommu_mode=1
rate 100
root_port rp0
traffic rp0
program liveupdate/lu_vmm
