// SPDX-License-Identifier: GPL-2.0-only
/*
 * Declaration of what linux/luo/pci.h describes, and the checks that do not need
 * the hardware. Nothing here depends on struct pci_dev, so that the tests can
 * build it for user space.
 */

#include <linux/array_size.h>
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/log2.h>
#include <linux/luo_abi.h>
#include <linux/luo_tag.h>
#include <linux/pci_regs.h>
#include <linux/stddef.h>
#include <linux/string.h>

#include "liveupdate_wire.h"

LUO_TAG(pci_liveupdate_tag,
	.name = LUO_PCI_TAG,
	.kind = LUO_ABI_TAG_FLB,
	.magic = LUO_ABI_MAGIC_PCI,
	.flags = LUO_ABI_TAG_READS | LUO_ABI_TAG_WRITES);

static const struct luo_abi_field pci_device_fields[] = {
	LUO_ABI_FIELDS(struct luo_pci_device, segment, devfn),
	LUO_ABI_VALUES(struct luo_pci_device, kind,
		       BIT_ULL(LUO_PCI_FUNCTION) | BIT_ULL(LUO_PCI_BRIDGE),
		       LUO_ABI_ALWAYS),
	LUO_ABI_FIELDS(struct luo_pci_device, vendor, command),
	LUO_ABI_FLAGS(struct luo_pci_device, flags,
		      LUO_PCI_INTX_STUCK | LUO_PCI_IO_WINDOW |
		      LUO_PCI_PREF_WINDOW | LUO_PCI_PREF_64 |
		      LUO_PCI_DRIVER_OVERRIDE, LUO_ABI_ALWAYS),
	LUO_ABI_FIELDS(struct luo_pci_device, vf_buses, owner),
};

static const struct luo_abi_field pci_bar_fields[] = {
	LUO_ABI_FIELDS(struct luo_pci_bar, device, width),
	LUO_ABI_RESERVED(struct luo_pci_bar, reserved),
	LUO_ABI_FIELDS(struct luo_pci_bar, value, size),
};

static const struct luo_abi_field pci_register_fields[] = {
	LUO_ABI_FIELDS(struct luo_pci_register, device, value),
	LUO_ABI_VALUES(struct luo_pci_register, width, BIT_ULL(2) | BIT_ULL(4),
		       LUO_ABI_ALWAYS),
};

static const struct luo_abi_type pci_liveupdate_types[] = {
	{
		LUO_ABI_TYPE(LUO_PCI_DEVICES, struct luo_pci_device, 144,
			     pci_device_fields),
		.needs = LUO_ABI_ALWAYS,
		.min = 1,
		.max = 1,
		.max_entries = 1 << 12,
	},
	{
		LUO_ABI_TYPE(LUO_PCI_BARS, struct luo_pci_bar, 24,
			     pci_bar_fields),
		.needs = LUO_ABI_ALWAYS,
		.min = 1,
		.max = 1,
		.max_entries = 1 << 16,
	},
	{
		LUO_ABI_TYPE(LUO_PCI_REGISTERS, struct luo_pci_register, 16,
			     pci_register_fields),
		.needs = LUO_ABI_ALWAYS,
		.min = 1,
		.max = 1,
		.max_entries = 1 << 18,
	},
};

const struct luo_abi_format pci_liveupdate_format = {
	.tag = &pci_liveupdate_tag,
	.types = pci_liveupdate_types,
	.nr_types = ARRAY_SIZE(pci_liveupdate_types),
};

#define REFUSE(r, record, type, field, expected, found)			\
	luo_abi_refuse(r, record, offsetof(type, field), expected, found)

/* Find device number @nr, counted from 1, by iterating over all before it. */
static bool pci_wire_device(struct luo_abi_reader *r, u32 nr,
			    struct luo_pci_device *dev)
{
	struct luo_abi_array_it it;

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_PCI_DEVICES));
	while (nr && luo_abi_array_next(&it, dev, sizeof(*dev))) {
		if (!--nr)
			return true;
	}

	return false;
}

static u64 pci_wire_sbdf(const struct luo_pci_device *dev)
{
	return (u64)dev->segment << 16 | dev->bus << 8 | dev->devfn;
}

static bool pci_wire_owner_is_valid(const struct luo_pci_device *dev)
{
	size_t len = strnlen((const char *)dev->owner, sizeof(dev->owner));

	for (size_t i = len; i < sizeof(dev->owner); i++) {
		if (dev->owner[i])
			return false;
	}

	return len < sizeof(dev->owner) &&
	       (dev->kind == LUO_PCI_FUNCTION) == (len > 0);
}

static bool pci_wire_has_bridge_fields(const struct luo_pci_device *dev)
{
	u32 any = dev->bus_numbers | dev->io_upper;

	for (int i = 0; i < LUO_PCI_WINDOWS; i++)
		any |= dev->windows[i];

	return any;
}

static int pci_wire_check_device(struct luo_abi_reader *r,
				 const struct luo_abi_record *record,
				 const struct luo_pci_device *dev, u32 nr)
{
	bool function = dev->kind == LUO_PCI_FUNCTION;
	struct luo_pci_device parent;

	if (function && pci_wire_has_bridge_fields(dev))
		return REFUSE(r, record, struct luo_pci_device, bus_numbers, 0,
			      dev->bus_numbers);
	if (function != !!dev->handle)
		return REFUSE(r, record, struct luo_pci_device, handle, 0,
			      dev->handle);
	if (!pci_wire_owner_is_valid(dev))
		return REFUSE(r, record, struct luo_pci_device, owner, 0,
			      dev->owner[0]);
	if (!dev->parent)
		return 0;
	if (dev->parent >= nr || !pci_wire_device(r, dev->parent, &parent) ||
	    parent.kind != LUO_PCI_BRIDGE || parent.segment != dev->segment)
		return REFUSE(r, record, struct luo_pci_device, parent, nr - 1,
			      dev->parent);

	return 0;
}

static int pci_wire_check_devices(struct luo_abi_reader *r)
{
	const struct luo_abi_record *record;
	struct luo_pci_device dev;
	struct luo_abi_array_it it;
	u64 sbdf, last = 0;
	u32 nr = 0;
	int err;

	record = luo_abi_next(r, NULL, LUO_PCI_DEVICES);
	luo_abi_array_begin(&it, record);
	while (luo_abi_array_next(&it, &dev, sizeof(dev))) {
		sbdf = pci_wire_sbdf(&dev);
		if (nr++ && sbdf <= last)
			return REFUSE(r, record, struct luo_pci_device, segment,
				      last + 1, sbdf);
		last = sbdf;
		err = pci_wire_check_device(r, record, &dev, nr);
		if (err)
			return err;
	}

	return 0;
}

/* Iterates over the devices in step with entries that are in their order. */
struct pci_wire_devices {
	struct luo_abi_array_it it;
	struct luo_pci_device dev;
	u32 nr;
};

static void pci_wire_devices_begin(struct pci_wire_devices *devices,
				   struct luo_abi_reader *r)
{
	luo_abi_array_begin(&devices->it,
			    luo_abi_next(r, NULL, LUO_PCI_DEVICES));
	devices->nr = 0;
}

static bool pci_wire_devices_seek(struct pci_wire_devices *devices, u32 nr)
{
	while (devices->nr < nr) {
		if (!luo_abi_array_next(&devices->it, &devices->dev,
					sizeof(devices->dev)))
			return false;
		devices->nr++;
	}

	return nr && devices->nr == nr;
}

static bool pci_wire_bar_can_be_at(const struct luo_pci_device *dev, u16 offset,
				   u8 width)
{
	bool function = dev->kind == LUO_PCI_FUNCTION;
	u16 last = function ? PCI_BASE_ADDRESS_5 : PCI_BASE_ADDRESS_1;
	u16 rom = function ? PCI_ROM_ADDRESS : PCI_ROM_ADDRESS1;

	if (offset & 3 || (width != 32 && width != 64))
		return false;
	if (offset == rom)
		return width == 32;
	if (offset >= PCI_CFG_SPACE_SIZE)
		return function &&
		       offset + width / 8 <= PCI_CFG_SPACE_EXP_SIZE;

	return offset >= PCI_BASE_ADDRESS_0 &&
	       offset + width / 8 <= last + sizeof(u32);
}

static bool pci_wire_bar_is_rom(u16 offset)
{
	return offset == PCI_ROM_ADDRESS || offset == PCI_ROM_ADDRESS1;
}

/*
 * Return the smallest size a BAR can decode, and in @type the mask of the bits
 * that hold its type (PCIe 7.5.1.2.1, 7.5.1.2.4).
 */
static u64 pci_wire_bar_smallest(const struct luo_pci_bar *bar, u64 *type)
{
	if (pci_wire_bar_is_rom(bar->offset)) {
		*type = ~(u64)PCI_ROM_ADDRESS_MASK;
		return 2048;
	}
	if (bar->value & PCI_BASE_ADDRESS_SPACE_IO) {
		*type = ~PCI_BASE_ADDRESS_IO_MASK;
		return 4;
	}
	*type = ~PCI_BASE_ADDRESS_MEM_MASK;

	return 16;
}

static bool pci_wire_bar_is_wide(const struct luo_pci_bar *bar)
{
	return !pci_wire_bar_is_rom(bar->offset) &&
	       !(bar->value & PCI_BASE_ADDRESS_SPACE_IO) &&
	       (bar->value & PCI_BASE_ADDRESS_MEM_TYPE_MASK) ==
	       PCI_BASE_ADDRESS_MEM_TYPE_64;
}

/* @r is NULL when the writer checks a BAR before the kexec. */
static int pci_wire_refuse_bar(struct luo_abi_reader *r,
			       const struct luo_abi_record *record,
			       size_t offset, u64 expected, u64 found)
{
	if (!r)
		return -EBADMSG;

	return luo_abi_refuse(r, record, offset, expected, found);
}

#define BAR(field) offsetof(struct luo_pci_bar, field)

static int pci_wire_check_bar(struct luo_abi_reader *r,
			      const struct luo_abi_record *record,
			      const struct luo_pci_bar *bar)
{
	u64 smallest, type, limit = bar->width == 64 ? 0 : 1ULL << 32;
	bool wide = bar->width == 64;

	smallest = pci_wire_bar_smallest(bar, &type);
	if (!is_power_of_2(bar->size) || bar->size < smallest ||
	    (limit && bar->size >= limit))
		return pci_wire_refuse_bar(r, record, BAR(size),
					   smallest, bar->size);
	if (pci_wire_bar_is_wide(bar) != wide)
		return pci_wire_refuse_bar(r, record, BAR(width),
					   wide ? 32 : 64, bar->width);
	if ((bar->value & ~type & (bar->size - 1)) ||
	    (limit && bar->value >= limit))
		return pci_wire_refuse_bar(r, record, BAR(value),
					   0, bar->value);

	return 0;
}

/**
 * pci_liveupdate_check_bar - Check whether the next kernel would accept a BAR.
 * @bar: The BAR.
 *
 * Context: Any.
 * Return: 0, or -EBADMSG if its size, width or value is invalid.
 */
int pci_liveupdate_check_bar(const struct luo_pci_bar *bar)
{
	return pci_wire_check_bar(NULL, NULL, bar);
}

static int pci_wire_check_bars(struct luo_abi_reader *r)
{
	const struct luo_abi_record *record;
	struct pci_wire_devices devices;
	struct luo_abi_array_it it;
	struct luo_pci_bar bar;
	u32 last_device = 0;
	u16 next = 0;
	int err;

	pci_wire_devices_begin(&devices, r);
	record = luo_abi_next(r, NULL, LUO_PCI_BARS);
	luo_abi_array_begin(&it, record);
	while (luo_abi_array_next(&it, &bar, sizeof(bar))) {
		if (!pci_wire_devices_seek(&devices, bar.device))
			return REFUSE(r, record, struct luo_pci_bar, device,
				      devices.nr, bar.device);
		if (bar.device != last_device)
			next = 0;
		if (bar.offset < next ||
		    !pci_wire_bar_can_be_at(&devices.dev, bar.offset, bar.width))
			return REFUSE(r, record, struct luo_pci_bar, offset,
				      next, bar.offset);
		last_device = bar.device;
		next = bar.offset + bar.width / 8;
		err = pci_wire_check_bar(r, record, &bar);
		if (err)
			return err;
	}

	return 0;
}

static int pci_wire_check_registers(struct luo_abi_reader *r)
{
	const struct luo_abi_record *record;
	struct pci_wire_devices devices;
	struct luo_pci_register reg;
	struct luo_abi_array_it it;

	pci_wire_devices_begin(&devices, r);
	record = luo_abi_next(r, NULL, LUO_PCI_REGISTERS);
	luo_abi_array_begin(&it, record);
	while (luo_abi_array_next(&it, &reg, sizeof(reg))) {
		if (!pci_wire_devices_seek(&devices, reg.device) ||
		    devices.dev.kind != LUO_PCI_FUNCTION)
			return REFUSE(r, record, struct luo_pci_register,
				      device, devices.nr, reg.device);
	}

	return 0;
}

/**
 * pci_liveupdate_check - Check the values of a blob's arrays.
 * @r: A blob of %LUO_PCI_TAG that passed luo_abi_open() or luo_abi_check().
 *
 * The hardware is not accessed: comparing it with the blob is left to the
 * caller.
 *
 * Context: Any.
 * Return: 0, or -EBADMSG with the reason in @r.
 */
int pci_liveupdate_check(struct luo_abi_reader *r)
{
	return pci_wire_check_devices(r) ?: pci_wire_check_bars(r) ?:
	       pci_wire_check_registers(r);
}
