# SPDX-License-Identifier: GPL-2.0-only
# Sourced by declarations about functions that are abandoned.
. "$TESTS/lib-live.sh"
program liveupdate/lu_abandon

# abandoned_stage: two sessions, and a driver that driver_override has chosen.
abandoned_stage()
{
	stage 1 <<'SH'
echo vfio-pci > /sys/bus/pci/devices/0000:01:00.0/driver_override
echo 0000:01:00.0 > /sys/bus/pci/drivers_probe
lu_vmm -s 1 -l -p --huge --apart
SH
}

# The device and its memory are abandoned in two sessions, the memory first. Then
# the driver is as the administrator wants it.
ABANDONED='
f=/sys/bus/pci/devices/0000:01:00.0
echo 0 > /sys/bus/pci/drivers_autoprobe
lu_abandon apart 0000:01:00.0
echo KTAP version 1
echo 1..4
point() {
	if eval "$3"; then echo "ok $1 - $2"; else echo "not ok $1 - $2"; return 1; fi
}
bad=0
while [ -e $f/liveupdate ]; do sleep 0.1; done
# What is attached, is attached soon.
sleep 2
point 1 "the function is reset" "! dmesg | grep -q stays.stopped" || bad=1
point 2 "no driver is bound while drivers_autoprobe is 0" "[ ! -e $f/driver ]" || bad=1
point 3 "driver_override is as it was" "[ \"\$(cat $f/driver_override)\" = vfio-pci ]" || bad=1
echo 1 > /sys/bus/pci/drivers_autoprobe
[ -e $f/driver ] || echo 0000:01:00.0 > /sys/bus/pci/drivers_probe
point 4 "and the driver is the owner'"'"'s" "[ \"\$(basename \$(readlink $f/driver))\" = vfio-pci ]" || bad=1
'
