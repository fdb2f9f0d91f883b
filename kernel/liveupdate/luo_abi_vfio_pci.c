// SPDX-License-Identifier: GPL-2.0-only
/* The suite of "vfio-pci-v1". */

#include <linux/array_size.h>
#include <linux/errno.h>
#include <linux/kho_block.h>
#include <linux/luo_abi.h>
#include <linux/string.h>
#include <linux/luo/vfio_pci.h>

#include "luo_abi_suite.h"
#include "../../drivers/vfio/pci/vfio_pci_liveupdate_wire.h"
#include "golden/luo-vfio-pci-v1.h"

static const struct luo_vfio_pci_area vfio_pci_areas[] = {
	{ 0, 0x80000000, 0x100000000, LUO_VFIO_PCI_READ | LUO_VFIO_PCI_WRITE },
	{ 0xfffc0000, 0x40000, 0x7fe00000, LUO_VFIO_PCI_READ },
};

static int vfio_pci_write_areas(struct luo_abi_state *state)
{
	struct kho_block_set *bs;
	struct kho_block_set_it it;

	bs = luo_abi_state_array(state, sizeof(vfio_pci_areas[0]),
				 ARRAY_SIZE(vfio_pci_areas));
	if (!bs)
		return -ENOMEM;
	kho_block_set_it_init(&it, bs);
	for (u32 i = 0; i < ARRAY_SIZE(vfio_pci_areas); i++)
		memcpy(kho_block_set_it_reserve_entry(&it), &vfio_pci_areas[i],
		       sizeof(vfio_pci_areas[i]));
	luo_abi_append_array(&state->w, LUO_VFIO_PCI_AREAS, bs);

	return 0;
}

static int vfio_pci_write(struct luo_abi_state *state)
{
	struct luo_abi_writer *w = &state->w;
	struct luo_vfio_pci_extended *extended;
	struct luo_vfio_pci_config *config;
	struct luo_vfio_pci_device *dev;

	dev = luo_abi_append(w, LUO_VFIO_PCI_DEVICE, sizeof(*dev));
	config = luo_abi_append(w, LUO_VFIO_PCI_CONFIG, sizeof(*config));
	extended = luo_abi_append(w, LUO_VFIO_PCI_EXTENDED, sizeof(*extended));
	if (!dev || !config || !extended)
		return -ENOSPC;

	dev->pci_token = 0x101;
	dev->iommu_token = 0x102;
	dev->flags = LUO_VFIO_PCI_MASKS_INTX | LUO_VFIO_PCI_NEEDS_RESET |
		     LUO_VFIO_PCI_NOINTXMASK;
	dev->config_size = LUO_VFIO_PCI_CONFIG_SIZE +
			   LUO_VFIO_PCI_EXTENDED_SIZE;
	dev->rbars[0] = 0xfe840000;
	dev->msix_bar = 3;
	dev->msix_size = 160;
	dev->bar_starts[0] = 0xfe840000;
	dev->bar_sizes[0] = 0x20000;
	config->bytes[0x04] = 0x07;
	config->bytes[0x10] = 0x84;
	extended->bytes[0] = 0x01;

	return vfio_pci_write_areas(state);
}

static int vfio_pci_read(struct luo_abi_reader *r, struct luo_abi_text *text)
{
	struct luo_vfio_pci_config config;
	struct luo_vfio_pci_device dev;
	struct luo_vfio_pci_area area;
	struct luo_abi_array_it it;
	u32 sum = 0;
	int err;

	err = vfio_pci_liveupdate_check(r);
	if (err)
		return err;

	luo_abi_get(luo_abi_next(r, NULL, LUO_VFIO_PCI_DEVICE), &dev,
		    sizeof(dev));
	luo_abi_get(luo_abi_next(r, NULL, LUO_VFIO_PCI_CONFIG), &config,
		    sizeof(config));
	for (int i = 0; i < LUO_VFIO_PCI_CONFIG_SIZE; i++)
		sum += config.bytes[i];

	luo_abi_say(text, "tokens %llx, %llx, flags %x, %u bytes of config space, %x in all\n",
		    (unsigned long long)dev.pci_token,
		    (unsigned long long)dev.iommu_token, dev.flags,
		    dev.config_size, sum);
	luo_abi_say(text, "BAR 0: %x, %llx+%llx; MSI-X in BAR %u at %x, %u bytes\n",
		    dev.rbars[0], (unsigned long long)dev.bar_starts[0],
		    (unsigned long long)dev.bar_sizes[0], dev.msix_bar,
		    dev.msix_offset, dev.msix_size);
	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_VFIO_PCI_AREAS));
	while (luo_abi_array_next(&it, &area, sizeof(area)))
		luo_abi_say(text, "IOVA %llx+%llx is mapped to %llx, access %x\n",
			    (unsigned long long)area.iova,
			    (unsigned long long)area.length,
			    (unsigned long long)area.phys, area.access);

	return 0;
}

static const struct luo_abi_golden vfio_pci_goldens[] = {
	LUO_ABI_GOLDEN(luo_vfio_pci_v1),
};

const struct luo_abi_suite luo_abi_vfio_pci_suite = {
	.name = "luo_vfio_pci_v1",
	.format = &vfio_pci_liveupdate_format,
	.write = vfio_pci_write,
	.read = vfio_pci_read,
	.goldens = vfio_pci_goldens,
	.nr_goldens = ARRAY_SIZE(vfio_pci_goldens),
};
