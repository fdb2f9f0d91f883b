# SPDX-License-Identifier: GPL-2.0-only
# Sourced after lib-live.sh by declarations of runs with a second device that gets
# the same frames, and is not preserved. Its bus mastering is left on.
. "$TESTS/lib-vtd.sh"
. "$TESTS/lib-dmar-faults.sh"
append_stage 1 without=clear-master
leaves '0000:02:00.0/config/000' 'its bus mastering was left on'
root_port rp0
root_port rp1
DEVICES+=(-netdev "dgram,id=n0,local.type=unix,local.path=net.qemu,remote.type=unix,remote.path=net.host")
DEVICES+=(-netdev hubport,id=h0,hubid=0,netdev=n0)
for n in 1 2; do
	DEVICES+=(-netdev "hubport,id=h$n,hubid=0")
	device "igb,bus=rp$((n - 1)),netdev=h$n"
done
program liveupdate/lu_beside

# beside BUFFERS: in the ring of the other device.
beside()
{
	stage 1 <<SH
lu_beside 0000:02:00.0 $1
lu_vmm -s 1 -l -p --huge -c --fault -d 0000:01:00.0
SH
}

# tail_at PHASE NUMBER: gives it more buffers by RDT, through IOADDR and IODATA (82576
# datasheet, 8.1.1.3). Frames wait for them in QEMU.
tail_at()
{
	at "$1" "o/4 0xc000 0xc018"
	at "$1" "o/4 0xc004 $2"
}
