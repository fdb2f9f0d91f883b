# SPDX-License-Identifier: GPL-2.0-only
# Sourced by declarations of measured runs: an igb behind one root port that a
# small VM owns, and the range its I/O addresses would hit untranslated kept free.
# lu_vmm --fault makes the device fault once before anything is counted, which
# proves that later faults would be seen.
. "$TESTS/lib-dmar-faults.sh"
append 'memmap=16M$0x40000000'
rate 100
root_port rp0
traffic rp0
program liveupdate/lu_vmm
