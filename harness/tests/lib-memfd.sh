# SPDX-License-Identifier: GPL-2.0-only
# Sourced by declarations about a memfd's memory: a second node to move it to,
# and a swap on a RAM disk.
append numa=fake=2 brd.rd_size=524288 brd.rd_nr=1
program liveupdate/luo_memfd
SWAP='
mkswap /dev/ram0 > /dev/null
swapon /dev/ram0
'
