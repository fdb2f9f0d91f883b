// SPDX-License-Identifier: GPL-2.0-only
/*
 * The suite of "pci-v1": an igb behind a root port, and what is said about it.
 * A blob has three arrays and a golden one holds two, so there are two suites.
 */

#include <linux/array_size.h>
#include <linux/errno.h>
#include <linux/luo_abi.h>
#include <linux/string.h>
#include <linux/luo/pci.h>

#include "luo_abi_suite.h"
#include "../../drivers/pci/liveupdate_wire.h"
#include "golden/luo-pci-v1.h"
#include "golden/luo-pci-v1-registers.h"

static const struct luo_pci_device pci_devices[] = {
	{
		.bus = 0,
		.devfn = 2 << 3,
		.kind = LUO_PCI_BRIDGE,
		.vendor = 0x1b36,
		.device = 0x000c,
		.class_revision = 0x06040000,
		.command = 0x0107,
		.flags = LUO_PCI_IO_WINDOW | LUO_PCI_PREF_WINDOW |
			 LUO_PCI_PREF_64,
		.acs = 0x1d,
		.devctl = 0x000f,
		.devctl2 = 0x0020,
		.bus_numbers = 0x00010100,
		.windows = { 0x1111, 0xfe80fe80, 0x0001fff1, ~0, 0 },
		.errors = { 0x20000000, 0x0001, 0, 0x2000 },
	},
	{
		.bus = 1,
		.kind = LUO_PCI_FUNCTION,
		.vendor = 0x8086,
		.device = 0x10c9,
		.subsystem_vendor = 0x8086,
		.subsystem = 0xa02c,
		.class_revision = 0x02000001,
		.parent = 1,
		.serial = 0x0123456789abcdef,
		.command = 0x0107,
		.flags = LUO_PCI_INTX_STUCK,
		.vf_buses = 1,
		.devctl = 0x2810,
		.handle = 0x1234000,
		.owner = "vfio-pci-v1",
	},
};

static const struct luo_pci_bar pci_bars[] = {
	{ 1, 0x10, 64, 0, 0xfe80000000000004, 0x1000 },
	{ 2, 0x10, 32, 0, 0xfe840000, 0x20000 },
	{ 2, 0x18, 32, 0, 0x1001, 0x20 },
	{ 2, 0x30, 32, 0, 0, 0x800 },
	{ 2, 0x184, 64, 0, 0xfe82000c, 0x4000 },
};

static const struct luo_pci_register pci_registers[] = {
	{ 2, 0, 0x04, 0x00100103, 4 },
	{ 2, 0x10, 0x08, 0x2810, 2 },
	{ 2, LUO_PCI_CAPABILITY_EXTENDED | 1, 0x08, 0x02400000, 4 },
};

static int pci_write_array(struct luo_abi_state *state, u16 type,
			   const void *entries, size_t size, u64 count)
{
	struct kho_block_set *bs = luo_abi_state_array(state, size, count);
	struct kho_block_set_it it;

	if (!bs)
		return -ENOMEM;
	kho_block_set_it_init(&it, bs);
	for (u64 i = 0; i < count; i++)
		memcpy(kho_block_set_it_reserve_entry(&it), entries + i * size,
		       size);
	luo_abi_append_array(&state->w, type, bs);

	return 0;
}

static int pci_write(struct luo_abi_state *state)
{
	return pci_write_array(state, LUO_PCI_DEVICES, pci_devices,
			       sizeof(pci_devices[0]),
			       ARRAY_SIZE(pci_devices)) ?:
	       pci_write_array(state, LUO_PCI_BARS, pci_bars,
			       sizeof(pci_bars[0]), ARRAY_SIZE(pci_bars)) ?:
	       pci_write_array(state, LUO_PCI_REGISTERS, pci_registers,
			       sizeof(pci_registers[0]), 0);
}

static int pci_write_registers(struct luo_abi_state *state)
{
	return pci_write_array(state, LUO_PCI_DEVICES, pci_devices,
			       sizeof(pci_devices[0]),
			       ARRAY_SIZE(pci_devices)) ?:
	       pci_write_array(state, LUO_PCI_BARS, pci_bars,
			       sizeof(pci_bars[0]), 0) ?:
	       pci_write_array(state, LUO_PCI_REGISTERS, pci_registers,
			       sizeof(pci_registers[0]),
			       ARRAY_SIZE(pci_registers));
}

static void pci_say_device(struct luo_abi_text *text, u32 nr,
			   const struct luo_pci_device *dev)
{
	luo_abi_say(text, "%u: %04x:%02x:%02x.%u %04x:%04x below %u for '%.*s'",
		    nr, dev->segment, dev->bus, dev->devfn >> 3, dev->devfn & 7,
		    dev->vendor, dev->device, dev->parent, LUO_PCI_OWNER_LENGTH,
		    (const char *)dev->owner);
	luo_abi_say(text, " (%llx), command %x, flags %x, buses %x, errors %x %x %x %x\n",
		    (unsigned long long)dev->handle, dev->command, dev->flags,
		    dev->bus_numbers, dev->errors[0], dev->errors[1],
		    dev->errors[2], dev->errors[3]);
}

/* Return what is invalid of a device, which the kernel quarantines then, or NULL. */
static const char *pci_check_device(struct luo_abi_reader *r, u32 nr,
				    const struct luo_pci_device *dev)
{
	const char *why = pci_liveupdate_check_values(dev);
	struct luo_pci_register reg;
	struct luo_abi_array_it it;
	struct luo_pci_bar bar;
	u16 next = 0;

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_PCI_BARS));
	while (luo_abi_array_next(&it, &bar, sizeof(bar)))
		if (!why && bar.device == nr)
			why = pci_liveupdate_check_bar(dev, &bar, &next);

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_PCI_REGISTERS));
	while (luo_abi_array_next(&it, &reg, sizeof(reg)))
		if (!why && reg.device == nr)
			why = pci_liveupdate_check_register(dev, &reg);

	return why;
}

static int pci_read(struct luo_abi_reader *r, struct luo_abi_text *text)
{
	struct luo_pci_register reg;
	struct luo_pci_device dev;
	struct luo_abi_array_it it;
	struct luo_pci_bar bar;
	const char *why;
	u32 nr = 0;
	int err;

	err = pci_liveupdate_check(r);
	if (err)
		return err;

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_PCI_DEVICES));
	while (luo_abi_array_next(&it, &dev, sizeof(dev))) {
		pci_say_device(text, ++nr, &dev);
		why = pci_check_device(r, nr, &dev);
		if (why)
			luo_abi_say(text, "%u: %s\n", nr, why);
	}

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_PCI_BARS));
	while (luo_abi_array_next(&it, &bar, sizeof(bar)))
		luo_abi_say(text, "%u: BAR at %x, %u bits: %llx, %llx bytes\n",
			    bar.device, bar.offset, bar.width,
			    (unsigned long long)bar.value,
			    (unsigned long long)bar.size);

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_PCI_REGISTERS));
	while (luo_abi_array_next(&it, &reg, sizeof(reg)))
		luo_abi_say(text, "%u: capability %x, at %x: %x, %u bytes\n",
			    reg.device, reg.capability, reg.offset, reg.value,
			    reg.width);

	return 0;
}

static const struct luo_abi_golden pci_goldens[] = {
	LUO_ABI_GOLDEN(luo_pci_v1),
};

const struct luo_abi_suite luo_abi_pci_suite = {
	.name = "luo_pci_v1",
	.format = &pci_liveupdate_format,
	.write = pci_write,
	.read = pci_read,
	.goldens = pci_goldens,
	.nr_goldens = ARRAY_SIZE(pci_goldens),
};

static const struct luo_abi_golden pci_registers_goldens[] = {
	LUO_ABI_GOLDEN(luo_pci_v1_registers),
};

const struct luo_abi_suite luo_abi_pci_registers_suite = {
	.name = "luo_pci_v1_registers",
	.format = &pci_liveupdate_format,
	.write = pci_write_registers,
	.read = pci_read,
	.goldens = pci_registers_goldens,
	.nr_goldens = ARRAY_SIZE(pci_registers_goldens),
};
