// SPDX-License-Identifier: GPL-2.0-only
/*
 * What of linux/luo/vfio_pci.h can be told to be wrong without looking at the
 * device. Nothing here knows VFIO, so that the tests of the wire can build it
 * for user space.
 */

#include <linux/array_size.h>
#include <linux/errno.h>
#include <linux/luo_abi.h>
#include <linux/luo_tag.h>
#include <linux/stddef.h>

#include "vfio_pci_liveupdate_wire.h"

#define VFIO_PCI_WIRE_FLAGS						\
	(LUO_VFIO_PCI_RESET_WORKS | LUO_VFIO_PCI_MASKS_INTX |		\
	 LUO_VFIO_PCI_NO_INTX | LUO_VFIO_PCI_NEEDS_RESET |		\
	 LUO_VFIO_PCI_NOINTXMASK | LUO_VFIO_PCI_DISABLE_IDLE_D3 |	\
	 LUO_VFIO_PCI_DISABLE_VGA)

LUO_TAG(vfio_pci_liveupdate_tag,
	.name = LUO_VFIO_PCI_TAG,
	.kind = LUO_ABI_TAG_FILE,
	.magic = LUO_ABI_MAGIC_VFIO_PCI,
	.flags = LUO_ABI_TAG_READS | LUO_ABI_TAG_WRITES);

static const struct luo_abi_type vfio_pci_liveupdate_types[] = {
	{
		.type = LUO_VFIO_PCI_DEVICE,
		.size = sizeof(struct luo_vfio_pci_device),
		.min_size = sizeof(struct luo_vfio_pci_device),
		.min = 1,
		.max = 1,
	},
	{
		.type = LUO_VFIO_PCI_CONFIG,
		.size = sizeof(struct luo_vfio_pci_config),
		.min_size = sizeof(struct luo_vfio_pci_config),
		.min = 1,
		.max = 1,
	},
	{
		.type = LUO_VFIO_PCI_EXTENDED,
		.size = sizeof(struct luo_vfio_pci_extended),
		.min_size = sizeof(struct luo_vfio_pci_extended),
		.max = 1,
	},
};

const struct luo_abi_format vfio_pci_liveupdate_format = {
	.tag = &vfio_pci_liveupdate_tag,
	.types = vfio_pci_liveupdate_types,
	.nr_types = ARRAY_SIZE(vfio_pci_liveupdate_types),
};

#define REFUSE(r, record, field, expected, found)			\
	luo_abi_refuse(r, record,					\
		       offsetof(struct luo_vfio_pci_device, field),	\
		       expected, found)

/**
 * vfio_pci_liveupdate_check - Check what the records mean.
 * @r: A blob of %LUO_VFIO_PCI_TAG that luo_abi_open() or luo_abi_check() found
 *     to be whole.
 *
 * After it all that is left to compare is the device.
 *
 * Return: 0, or -EBADMSG with the reason in @r.
 */
int vfio_pci_liveupdate_check(struct luo_abi_reader *r)
{
	const struct luo_abi_record *record;
	struct luo_vfio_pci_device dev;
	u32 config_size = LUO_VFIO_PCI_CONFIG_SIZE;

	record = luo_abi_next(r, NULL, LUO_VFIO_PCI_DEVICE);
	luo_abi_get(record, &dev, sizeof(dev));

	if (luo_abi_next(r, NULL, LUO_VFIO_PCI_EXTENDED))
		config_size += LUO_VFIO_PCI_EXTENDED_SIZE;

	if (!dev.pci_token)
		return REFUSE(r, record, pci_token, 1, 0);
	if (dev.flags & ~VFIO_PCI_WIRE_FLAGS)
		return REFUSE(r, record, flags, VFIO_PCI_WIRE_FLAGS, dev.flags);
	if (dev.config_size != config_size)
		return REFUSE(r, record, config_size, config_size,
			      dev.config_size);
	if (dev.msix_bar != 0xff && dev.msix_bar >= LUO_VFIO_PCI_BARS)
		return REFUSE(r, record, msix_bar, 0xff, dev.msix_bar);

	return 0;
}
