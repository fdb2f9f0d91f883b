// SPDX-License-Identifier: GPL-2.0-only
/*
 * Declaration of what linux/luo/vfio_pci.h describes, and the checks that do not
 * need the device. Nothing here depends on VFIO, so that the tests can build it
 * for user space.
 */

#include <linux/array_size.h>
#include <linux/errno.h>
#include <linux/luo_abi.h>
#include <linux/luo_tag.h>
#include <linux/stddef.h>

#include "vfio_pci_liveupdate_wire.h"

LUO_TAG(vfio_pci_liveupdate_tag,
	.name = LUO_VFIO_PCI_TAG,
	.kind = LUO_ABI_TAG_FILE,
	.magic = LUO_ABI_MAGIC_VFIO_PCI,
	.flags = LUO_ABI_TAG_READS | LUO_ABI_TAG_WRITES);

static const struct luo_abi_field vfio_pci_device_fields[] = {
	LUO_ABI_FIELDS(struct luo_vfio_pci_device, pci_token, iommu_token),
	LUO_ABI_FLAGS(struct luo_vfio_pci_device, flags,
		      LUO_VFIO_PCI_MASKS_INTX | LUO_VFIO_PCI_NO_INTX |
		      LUO_VFIO_PCI_NEEDS_RESET |
		      LUO_VFIO_PCI_NOINTXMASK | LUO_VFIO_PCI_DISABLE_IDLE_D3 |
		      LUO_VFIO_PCI_DISABLE_VGA | LUO_VFIO_PCI_MSIX |
		      LUO_VFIO_PCI_MSI, LUO_ABI_ALWAYS),
	LUO_ABI_FIELDS(struct luo_vfio_pci_device, config_size, bar_sizes),
};

static const struct luo_abi_field vfio_pci_config_fields[] = {
	LUO_ABI_FIELDS(struct luo_vfio_pci_config, bytes, bytes),
};

static const struct luo_abi_field vfio_pci_extended_fields[] = {
	LUO_ABI_FIELDS(struct luo_vfio_pci_extended, bytes, bytes),
};

static const struct luo_abi_field vfio_pci_area_fields[] = {
	LUO_ABI_FIELDS(struct luo_vfio_pci_area, iova, phys),
	LUO_ABI_FLAGS(struct luo_vfio_pci_area, access,
		      LUO_VFIO_PCI_READ | LUO_VFIO_PCI_WRITE, LUO_ABI_ALWAYS),
	LUO_ABI_RESERVED(struct luo_vfio_pci_area, reserved),
};

static const struct luo_abi_type vfio_pci_liveupdate_types[] = {
	{
		LUO_ABI_TYPE(LUO_VFIO_PCI_DEVICE, struct luo_vfio_pci_device,
			     160, vfio_pci_device_fields),
		.needs = LUO_ABI_ALWAYS,
		.min = 1,
		.max = 1,
	},
	{
		LUO_ABI_TYPE(LUO_VFIO_PCI_CONFIG, struct luo_vfio_pci_config,
			     256, vfio_pci_config_fields),
		.needs = LUO_ABI_ALWAYS,
		.min = 1,
		.max = 1,
	},
	{
		LUO_ABI_TYPE(LUO_VFIO_PCI_EXTENDED, struct luo_vfio_pci_extended,
			     3840, vfio_pci_extended_fields),
		.needs = LUO_ABI_ALWAYS,
		.max = 1,
	},
	{
		LUO_ABI_TYPE(LUO_VFIO_PCI_AREAS, struct luo_vfio_pci_area,
			     32, vfio_pci_area_fields),
		.needs = LUO_ABI_ALWAYS,
		.min = 1,
		.max = 1,
		.max_entries = 1 << 24,
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

#define REFUSE_AREA(r, record, field, expected, found)			\
	luo_abi_refuse(r, record,					\
		       offsetof(struct luo_vfio_pci_area, field),	\
		       expected, found)

static int vfio_pci_wire_check_areas(struct luo_abi_reader *r)
{
	const struct luo_abi_record *record;
	struct luo_vfio_pci_area area;
	struct luo_abi_array_it it;
	u64 free = 0;
	bool full = false;

	record = luo_abi_next(r, NULL, LUO_VFIO_PCI_AREAS);
	luo_abi_array_begin(&it, record);
	while (luo_abi_array_next(&it, &area, sizeof(area))) {
		if (full || area.iova < free)
			return REFUSE_AREA(r, record, iova, free, area.iova);
		if (!area.length || area.length - 1 > ~0ULL - area.iova)
			return REFUSE_AREA(r, record, length, 1, area.length);
		if (area.length - 1 > ~0ULL - area.phys)
			return REFUSE_AREA(r, record, phys, 0, area.phys);
		free = area.iova + area.length;
		full = !free;
	}

	return 0;
}

/**
 * vfio_pci_liveupdate_check - Check the values of a blob's records.
 * @r: A blob of %LUO_VFIO_PCI_TAG that passed luo_abi_open() or luo_abi_check().
 *
 * The device is not accessed: comparing it with the blob is left to the caller.
 *
 * Context: Any.
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
	if (dev.config_size != config_size)
		return REFUSE(r, record, config_size, config_size,
			      dev.config_size);
	if (dev.flags & LUO_VFIO_PCI_MSIX && dev.msix_bar == 0xff)
		return REFUSE(r, record, flags, 0, dev.flags);
	if (dev.flags & LUO_VFIO_PCI_MSIX && dev.flags & LUO_VFIO_PCI_MSI)
		return REFUSE(r, record, flags, LUO_VFIO_PCI_MSIX, dev.flags);
	if (dev.msix_bar != 0xff && dev.msix_bar >= LUO_VFIO_PCI_BARS)
		return REFUSE(r, record, msix_bar, 0xff, dev.msix_bar);

	return vfio_pci_wire_check_areas(r);
}
