# SPDX-License-Identifier: GPL-2.0-only
# Sourced by declarations that run the example of a VMM. Its device is any that
# vfio-pci can preserve.
iommu none
append vfio.enable_unsafe_noiommu_mode=1
leaves 'enable 1 -> 2$' 'a bridge counts as enabled for the function below and for its port driver'
root_port rp0
device igb,bus=rp0
program liveupdate/lu_example
stage 1 <<'SH'
echo vfio-pci > /sys/bus/pci/devices/0000:01:00.0/driver_override
echo 0000:01:00.0 > /sys/bus/pci/drivers_probe
lu_example 0000:01:00.0 > log 2>&1 &
until grep -q 'start the next kernel' log || ! kill -0 $!; do
	sleep 0.1
done
sed 's/^/# /' log
grep -q 'start the next kernel' log
echo "ok 1 - the example preserved its guest and device"
SH
