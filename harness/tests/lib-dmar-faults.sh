# SPDX-License-Identifier: GPL-2.0-only
# Sourced by declarations whose test makes the device touch what is not mapped,
# on purpose.  How many faults are reported is QEMU's choice: it compresses.
console 1 1+ 'DMAR: DRHD: handling fault status reg'
console 1 1+ 'DMAR: \[DMA (Read|Write) (NO_PASID|PASID 0x0)\] Request device \['${FAULTING:-'0000:01:00\.0'}'\]'
