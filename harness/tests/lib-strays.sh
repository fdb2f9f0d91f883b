# SPDX-License-Identifier: GPL-2.0-only
# Sourced after lib-rng.sh by declarations of runs with a device that writes to the
# interrupt address range: in the remappable format, bit 4, with a handle in bits
# 19:5 that no kernel uses. The observer looks for this address.
STRAY=0xfeeffff0
# These writes have no requester ID in QEMU.
for n in 1 2; do
	console $n 1+ 'DMAR: DRHD: handling fault status reg'
	console $n 1+ 'DMAR: \[INTR-REMAP\] Request device \[0000:ff:1f\.7\] fault index 0x7fff'
done
