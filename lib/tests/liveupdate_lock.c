// SPDX-License-Identifier: GPL-2.0
/*
 * Hold a PCI device's lock until the program that loads this module is killed.
 *
 * Whoever binds or resets a device holds its lock, and whoever only tries to get
 * it goes without what he wanted. When that happens is left to chance; with this
 * module it happens in the test of what becomes of the device then.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device.h>
#include <linux/errno.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/wait.h>

static char *bdf;
module_param(bdf, charp, 0);
MODULE_PARM_DESC(bdf, "the device, as in 0000:00:02.0");

static DECLARE_WAIT_QUEUE_HEAD(never);

static int __init liveupdate_lock_init(void)
{
	struct device *dev;

	if (!bdf)
		return -EINVAL;
	dev = bus_find_device_by_name(&pci_bus_type, NULL, bdf);
	if (!dev)
		return -ENODEV;
	scoped_guard(device, dev) {
		pr_info("%s is locked\n", bdf);
		wait_event_killable(never, false);
	}
	put_device(dev);

	/* It has done what it is for: nothing stays loaded. */
	return -EINTR;
}
module_init(liveupdate_lock_init);

MODULE_DESCRIPTION("Holds a PCI device's lock, for tests of live updates");
MODULE_LICENSE("GPL");
