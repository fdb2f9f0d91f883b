# SPDX-License-Identifier: GPL-2.0-only
# Sourced after lib-vtd.sh by declarations of runs with a virtio-rng device, which
# writes 4 bytes to its next buffer in each period. The 8 buffers it has at the kexec
# have to last for the gap.
[ "$FLAVOUR" = fast ] && PERIOD=500 || PERIOD=1000
leaves 'enable 1 -> 2$' 'a bridge is enabled for the function below, and by its port driver'
root_port rp0
DEVICES+=(-object rng-builtin,id=rng0)
program liveupdate/lu_rng

# rng [PROPERTY,...]
rng()
{
	device "virtio-rng-pci,bus=rp0,rng=rng0,max-bytes=4,period=$PERIOD,disable-legacy=on,iommu_platform=on${1:+,$1}"
}

# rng_stages [--at ADDRESS]: one update, then the host uses the device.
rng_stages()
{
	stage 1 <<<"lu_rng preserve${*:+ $*} 0000:01:00.0"
	stage 2 <<SH
lu_rng finish${*:+ $*} 0000:01:00.0
echo 0000:01:00.0 > /sys/bus/pci/drivers/vfio-pci/unbind
echo 0000:01:00.0 > /sys/bus/pci/drivers/virtio-pci/bind
SH
}
