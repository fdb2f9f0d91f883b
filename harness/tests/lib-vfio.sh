# SPDX-License-Identifier: GPL-2.0-only
# Sourced by declarations: an igb bound to vfio-pci for 7.3's own selftests.
# KHO's scratch is CMA: with the debug kernel's large one, huge pages come from
# there and cannot be pinned for long.  Nothing is handed over in these tests.
append intel_iommu=on kho=off
root_port rp0
device igb,bus=rp0
VFIO_SETUP='
BDF=0000:01:00.0
mkdir /tmp/huge && mount -t hugetlbfs none /tmp/huge || exit 1
echo 64 > /proc/sys/vm/nr_hugepages
echo vfio-pci > /sys/bus/pci/devices/$BDF/driver_override
echo $BDF > /sys/bus/pci/drivers/vfio-pci/bind || exit 1
'
