// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attribute group "liveupdate" of preserved devices, see
 * Documentation/ABI/testing/sysfs-bus-pci-liveupdate.
 */

#include <linux/cleanup.h>
#include <linux/pci.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "liveupdate.h"
#include "liveupdate_internal.h"

static struct pci_liveupdate *pci_liveupdate_shown(struct pci_dev *dev)
{
	return dev->liveupdate ?: dev->liveupdate_out;
}

static ssize_t state_show(struct device *d, struct device_attribute *attr,
			  char *buf)
{
	static const char * const names[] = {
		[PCI_LIVEUPDATE_OUTGOING] = "outgoing",
		[PCI_LIVEUPDATE_FROZEN] = "frozen",
		[PCI_LIVEUPDATE_EXPECTED] = "expected",
		[PCI_LIVEUPDATE_INCOMING] = "incoming",
		[PCI_LIVEUPDATE_QUARANTINED] = "quarantined",
	};
	struct pci_dev *dev = to_pci_dev(d);
	struct pci_liveupdate *lu;

	guard(spinlock)(&pci_liveupdate_pointers);
	lu = pci_liveupdate_shown(dev);

	return sysfs_emit(buf, "%s%s\n", lu ? names[lu->state] : "none",
			  dev->liveupdate && dev->liveupdate_out ?
			  " outgoing" : "");
}
static DEVICE_ATTR_RO(state);

static ssize_t reason_show(struct device *d, struct device_attribute *attr,
			   char *buf)
{
	struct pci_liveupdate *lu;

	guard(spinlock)(&pci_liveupdate_pointers);
	lu = pci_liveupdate_shown(to_pci_dev(d));

	return sysfs_emit(buf, "%s\n", lu && lu->reason ? lu->reason : "");
}
static DEVICE_ATTR_RO(reason);

static ssize_t preserved_show(struct device *d, struct device_attribute *attr,
			      char *buf)
{
	struct pci_liveupdate *lu;

	guard(spinlock)(&pci_liveupdate_pointers);
	lu = pci_liveupdate_shown(to_pci_dev(d));
	if (!lu || lu->state == PCI_LIVEUPDATE_QUARANTINED)
		return sysfs_emit(buf, "\n");

	return sysfs_emit(buf, "identity dma mmio config\n");
}
static DEVICE_ATTR_RO(preserved);

static ssize_t errors_show(struct device *d, struct device_attribute *attr,
			   char *buf)
{
	struct pci_dev *dev = to_pci_dev(d);
	u32 errors[LUO_PCI_ERRORS] = {}, frozen[LUO_PCI_ERRORS];
	bool incoming = false;

	scoped_guard(spinlock, &pci_liveupdate_pointers) {
		if (dev->liveupdate) {
			memcpy(frozen, dev->liveupdate->wire.errors,
			       sizeof(frozen));
			frozen[0] |= dev->liveupdate->scan_errors;
			incoming = true;
		}
	}
	if (incoming && pci_liveupdate_read_errors(dev, errors)) {
		for (int i = 0; i < LUO_PCI_ERRORS; i++)
			errors[i] &= ~frozen[i];
	}

	return sysfs_emit(buf, "%#x %#x %#x %#x %#x\n", errors[0] & 0xffff,
			  errors[0] >> 16, errors[1], errors[2], errors[3]);
}
static DEVICE_ATTR_RO(errors);

/* @offset is that of a counter in struct pci_write_block. */
static ssize_t pci_liveupdate_show_count(struct device *d, char *buf,
					 size_t offset)
{
	struct pci_liveupdate *lu;
	unsigned long count = 0;

	guard(spinlock)(&pci_liveupdate_pointers);
	lu = pci_liveupdate_shown(to_pci_dev(d));
	if (lu)
		count = READ_ONCE(*(unsigned long *)((void *)&lu->block +
						     offset));

	return sysfs_emit(buf, "%lu\n", count);
}

static ssize_t dropped_show(struct device *d, struct device_attribute *attr,
			    char *buf)
{
	return pci_liveupdate_show_count(d, buf,
					 offsetof(struct pci_write_block, dropped));
}
static DEVICE_ATTR_RO(dropped);

static ssize_t redundant_show(struct device *d, struct device_attribute *attr,
			      char *buf)
{
	return pci_liveupdate_show_count(d, buf,
					 offsetof(struct pci_write_block, redundant));
}
static DEVICE_ATTR_RO(redundant);

static ssize_t suppressed_show(struct device *d, struct device_attribute *attr,
			       char *buf)
{
	return pci_liveupdate_show_count(d, buf,
					 offsetof(struct pci_write_block, suppressed));
}
static DEVICE_ATTR_RO(suppressed);

static ssize_t firmware_show(struct device *d, struct device_attribute *attr,
			     char *buf)
{
	return pci_liveupdate_show_count(d, buf,
					 offsetof(struct pci_write_block, firmware));
}
static DEVICE_ATTR_RO(firmware);

static struct attribute *pci_liveupdate_attrs[] = {
	&dev_attr_state.attr,
	&dev_attr_reason.attr,
	&dev_attr_preserved.attr,
	&dev_attr_errors.attr,
	&dev_attr_dropped.attr,
	&dev_attr_redundant.attr,
	&dev_attr_suppressed.attr,
	&dev_attr_firmware.attr,
	NULL,
};

static bool pci_liveupdate_group_visible(struct kobject *kobj)
{
	struct pci_dev *dev = to_pci_dev(kobj_to_dev(kobj));

	return READ_ONCE(dev->liveupdate) || READ_ONCE(dev->liveupdate_out);
}

DEFINE_SIMPLE_SYSFS_GROUP_VISIBLE(pci_liveupdate)

const struct attribute_group pci_liveupdate_attr_group = {
	.name = "liveupdate",
	.attrs = pci_liveupdate_attrs,
	.is_visible = SYSFS_GROUP_VISIBLE(pci_liveupdate),
};

/**
 * pci_liveupdate_show - Update the visibility of a device's attribute group
 * @dev: The device.
 */
void pci_liveupdate_show(struct pci_dev *dev)
{
	/* A removed device is not in sysfs any more. */
	if (device_is_registered(&dev->dev))
		sysfs_update_group(&dev->dev.kobj, &pci_liveupdate_attr_group);
}
