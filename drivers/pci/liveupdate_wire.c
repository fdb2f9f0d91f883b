// SPDX-License-Identifier: GPL-2.0-only
/*
 * Declaration of what linux/luo/pci.h describes, and the checks that do not need
 * the hardware. Nothing here depends on struct pci_dev, so that the tests can
 * build it for user space.
 */

#include <linux/array_size.h>
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

/*
 * Kinds, flags and widths are declared without their known values: one that is
 * unknown concerns one device, see pci_liveupdate_check_values(), and not the blob.
 * A new one still needs a feature of the tag.
 */
static const struct luo_abi_field pci_device_fields[] = {
	LUO_ABI_FIELDS(struct luo_pci_device, segment, owner),
};

static const struct luo_abi_field pci_bar_fields[] = {
	LUO_ABI_FIELDS(struct luo_pci_bar, device, width),
	LUO_ABI_RESERVED(struct luo_pci_bar, reserved),
	LUO_ABI_FIELDS(struct luo_pci_bar, value, size),
};

static const struct luo_abi_field pci_register_fields[] = {
	LUO_ABI_FIELDS(struct luo_pci_register, device, width),
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

#define PCI_WIRE_FLAGS	(LUO_PCI_INTX_STUCK | LUO_PCI_IO_WINDOW |	\
			 LUO_PCI_PREF_WINDOW | LUO_PCI_PREF_64 |	\
			 LUO_PCI_DRIVER_OVERRIDE)

/**
 * pci_liveupdate_check_values - Check the values of one device.
 * @dev: The device. &luo_pci_device.parent is not checked.
 *
 * The writer and the reader both call this.
 *
 * Context: Any.
 * Return: NULL, or what is invalid, for the log.
 */
const char *pci_liveupdate_check_values(const struct luo_pci_device *dev)
{
	bool function = dev->kind == LUO_PCI_FUNCTION;

	if (!function && dev->kind != LUO_PCI_BRIDGE)
		return "invalid state: its kind is unknown";
	if (dev->flags & ~PCI_WIRE_FLAGS)
		return "invalid state: it has unknown flags";
	if (function && pci_wire_has_bridge_fields(dev))
		return "invalid state: a function has bus numbers or windows";
	if (function != !!dev->handle)
		return "invalid state: the handle of its file";
	if (!pci_wire_owner_is_valid(dev))
		return "invalid state: the name of its owner";

	return NULL;
}

static int pci_wire_check_devices(struct luo_abi_reader *r)
{
	const struct luo_abi_record *record;
	struct luo_pci_device dev;
	struct luo_abi_array_it it;
	u64 sbdf, last = 0;
	u32 nr = 0;

	record = luo_abi_next(r, NULL, LUO_PCI_DEVICES);
	luo_abi_array_begin(&it, record);
	while (luo_abi_array_next(&it, &dev, sizeof(dev))) {
		sbdf = pci_wire_sbdf(&dev);
		if (nr++ && sbdf <= last)
			return REFUSE(r, record, struct luo_pci_device, segment,
				      last + 1, sbdf);
		last = sbdf;
	}

	return 0;
}

static u32 pci_wire_count_devices(struct luo_abi_reader *r)
{
	struct luo_pci_device dev;
	struct luo_abi_array_it it;
	u32 count = 0;

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_PCI_DEVICES));
	while (luo_abi_array_next(&it, &dev, sizeof(dev)))
		count++;

	return count;
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

static bool pci_wire_bar_is_valid(const struct luo_pci_bar *bar)
{
	bool wide = bar->width == 64;
	u64 smallest, type, limit = wide ? 0 : 1ULL << 32;

	smallest = pci_wire_bar_smallest(bar, &type);
	if (!is_power_of_2(bar->size) || bar->size < smallest ||
	    (limit && bar->size >= limit) || pci_wire_bar_is_wide(bar) != wide)
		return false;

	return !(bar->value & ~type & (bar->size - 1)) &&
	       (!limit || bar->value < limit);
}

/**
 * pci_liveupdate_check_bar - Check the next BAR of a device.
 * @dev:  The device.
 * @bar:  The BAR.
 * @next: Offset behind the device's previous BAR, at first 0. Updated.
 *
 * The writer and the reader both call this. A BAR of a device that does not respond
 * reads as all ones, which is invalid.
 *
 * Context: Any.
 * Return: NULL, or what is invalid, for the log.
 */
const char *pci_liveupdate_check_bar(const struct luo_pci_device *dev,
				     const struct luo_pci_bar *bar, u16 *next)
{
	if (bar->offset < *next ||
	    !pci_wire_bar_can_be_at(dev, bar->offset, bar->width))
		return "invalid state: the offset of a BAR";
	*next = bar->offset + bar->width / 8;

	return pci_wire_bar_is_valid(bar) ? NULL :
	       "invalid state: the value or size of a BAR";
}

/**
 * pci_liveupdate_check_register - Check a register of a device.
 * @dev: The device.
 * @reg: The register.
 *
 * Context: Any.
 * Return: NULL, or what is invalid, for the log.
 */
const char *pci_liveupdate_check_register(const struct luo_pci_device *dev,
					  const struct luo_pci_register *reg)
{
	if (dev->kind != LUO_PCI_FUNCTION)
		return "invalid state: a bridge has registers to restore";
	if (reg->width != 2 && reg->width != 4)
		return "invalid state: the width of a register";

	return NULL;
}

/* BARs and registers: each belongs to a device, in the order of the devices. */
static int pci_wire_check_bars(struct luo_abi_reader *r)
{
	const struct luo_abi_record *record;
	struct luo_abi_array_it it;
	struct luo_pci_bar bar;
	u32 last = 1, count;

	count = pci_wire_count_devices(r);
	record = luo_abi_next(r, NULL, LUO_PCI_BARS);
	luo_abi_array_begin(&it, record);
	while (luo_abi_array_next(&it, &bar, sizeof(bar))) {
		if (bar.device < last || bar.device > count)
			return REFUSE(r, record, struct luo_pci_bar, device,
				      last, bar.device);
		last = bar.device;
	}

	return 0;
}

static int pci_wire_check_registers(struct luo_abi_reader *r)
{
	const struct luo_abi_record *record;
	struct luo_pci_register reg;
	struct luo_abi_array_it it;
	u32 last = 1, count;

	count = pci_wire_count_devices(r);
	record = luo_abi_next(r, NULL, LUO_PCI_REGISTERS);
	luo_abi_array_begin(&it, record);
	while (luo_abi_array_next(&it, &reg, sizeof(reg))) {
		if (reg.device < last || reg.device > count)
			return REFUSE(r, record, struct luo_pci_register,
				      device, last, reg.device);
		last = reg.device;
	}

	return 0;
}

/**
 * pci_liveupdate_check - Check the order of a blob's arrays.
 * @r: A blob of %LUO_PCI_TAG that passed luo_abi_open() or luo_abi_check().
 *
 * What is wrong with the order concerns all devices: it is unknown to which one an
 * entry belongs. What is wrong with the values of one device concerns that device,
 * see pci_liveupdate_check_values(), pci_liveupdate_check_bar() and
 * pci_liveupdate_check_register(). The hardware is not accessed.
 *
 * Context: Any.
 * Return: 0, or -EBADMSG with the reason in @r.
 */
int pci_liveupdate_check(struct luo_abi_reader *r)
{
	return pci_wire_check_devices(r) ?: pci_wire_check_bars(r) ?:
	       pci_wire_check_registers(r);
}
