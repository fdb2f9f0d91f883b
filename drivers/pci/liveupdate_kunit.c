// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests that need no running device: blocking of config writes, BAR masks
 * without sizing, and the conversion between registers and what pci_save_state()
 * saves.
 */

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/unaligned.h>

#include "liveupdate.h"
#include "liveupdate_internal.h"
#include "liveupdate_wire.h"
#include "pci.h"

/* --- a fake bus with one function, which has only configuration space */

#define FAKE_BUS	0xfe
#define FAKE_DEVFN	PCI_DEVFN(3, 1)

struct fake {
	struct pci_bus bus;
	struct pci_write_block block;
	struct completion written;
	u8 config[256];
	unsigned int writes;
};

static struct fake *fake_of(struct pci_bus *bus)
{
	return container_of(bus, struct fake, bus);
}

static int fake_read(struct pci_bus *bus, unsigned int devfn, int where,
		     int size, u32 *val)
{
	u8 *at = fake_of(bus)->config + where;

	*val = size == 1 ? *at : size == 2 ? get_unaligned_le16(at) :
	       get_unaligned_le32(at);

	return PCIBIOS_SUCCESSFUL;
}

static int fake_write(struct pci_bus *bus, unsigned int devfn, int where,
		      int size, u32 val)
{
	struct fake *fake = fake_of(bus);

	put_unaligned_le32(val, fake->config + where);
	fake->writes++;

	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops fake_ops = {
	.read = fake_read,
	.write = fake_write,
};

static void fake_unblock(void *block)
{
	pci_unblock_writes(block);
	synchronize_rcu();
	pci_write_blocks_end();
}

/* Make a fake bus in the domain of a real one. */
static struct fake *fake_make(struct kunit *test)
{
	struct pci_bus *real = pci_find_next_bus(NULL);
	struct fake *fake;

	if (!real)
		kunit_skip(test, "there is no PCI bus");
	fake = kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fake);
	memcpy(&fake->bus, real, sizeof(*real));
	fake->bus.ops = &fake_ops;
	fake->bus.number = FAKE_BUS;
	init_completion(&fake->written);
	put_unaligned_le32(0xf9100107, fake->config + PCI_COMMAND);

	pci_write_block_init(&fake->block,
			     pci_liveupdate_sbdf(pci_domain_nr(real), FAKE_BUS,
						 FAKE_DEVFN));
	pci_write_blocks_begin();
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, fake_unblock,
							   &fake->block));
	pci_block_writes(&fake->block);

	return fake;
}

static void expect_counts(struct kunit *test, struct fake *fake,
			  unsigned long dropped, unsigned long redundant,
			  unsigned long suppressed)
{
	KUNIT_EXPECT_EQ(test, dropped, fake->block.dropped);
	KUNIT_EXPECT_EQ(test, redundant, fake->block.redundant);
	KUNIT_EXPECT_EQ(test, suppressed, fake->block.suppressed);
}

static void config_write_dropped(struct kunit *test)
{
	struct fake *fake = fake_make(test);
	u16 command;

	KUNIT_EXPECT_EQ(test, PCIBIOS_WRITE_BLOCKED,
			pci_bus_write_config_word(&fake->bus, FAKE_DEVFN,
						  PCI_COMMAND, 0));
	KUNIT_EXPECT_EQ(test, PCIBIOS_WRITE_BLOCKED,
			pci_bus_write_config_byte(&fake->bus, FAKE_DEVFN,
						  PCI_COMMAND + 1, 0));
	KUNIT_EXPECT_EQ(test, PCIBIOS_WRITE_BLOCKED,
			pci_bus_write_config_dword(&fake->bus, FAKE_DEVFN,
						   PCI_BASE_ADDRESS_0, ~0));
	KUNIT_EXPECT_EQ(test, -EBUSY, pcibios_err_to_errno(PCIBIOS_WRITE_BLOCKED));
	expect_counts(test, fake, 3, 0, 0);
	KUNIT_EXPECT_EQ(test, 0, fake->writes);
	pci_bus_read_config_word(&fake->bus, FAKE_DEVFN, PCI_COMMAND, &command);
	KUNIT_EXPECT_EQ(test, 0x0107, command);
}

static void redundant_write_dropped(struct kunit *test)
{
	struct fake *fake = fake_make(test);

	KUNIT_EXPECT_EQ(test, PCIBIOS_SUCCESSFUL,
			pci_bus_write_config_word(&fake->bus, FAKE_DEVFN,
						  PCI_COMMAND, 0x0107));
	KUNIT_EXPECT_EQ(test, PCIBIOS_SUCCESSFUL,
			pci_bus_write_config_dword(&fake->bus, FAKE_DEVFN,
						   PCI_BASE_ADDRESS_0, 0));
	expect_counts(test, fake, 0, 2, 0);
	KUNIT_EXPECT_EQ(test, 0, fake->writes);
}

static void status_write_suppressed(struct kunit *test)
{
	struct fake *fake = fake_make(test);

	KUNIT_EXPECT_EQ(test, PCIBIOS_WRITE_BLOCKED,
			pci_bus_write_config_word(&fake->bus, FAKE_DEVFN,
						  PCI_STATUS, 0xf910));
	pci_bus_write_config_byte(&fake->bus, FAKE_DEVFN, PCI_STATUS + 1, 0x80);
	/* The current value of Command, and write-1-to-clear bits of Status. */
	pci_bus_write_config_dword(&fake->bus, FAKE_DEVFN, PCI_COMMAND,
				   0xf9100107);
	expect_counts(test, fake, 0, 0, 3);

	/* Zeroes do not clear status bits. */
	pci_bus_write_config_dword(&fake->bus, FAKE_DEVFN, PCI_COMMAND,
				   0x00100107);
	expect_counts(test, fake, 0, 1, 3);
	/* A write that also changes Command is dropped. */
	pci_bus_write_config_dword(&fake->bus, FAKE_DEVFN, PCI_COMMAND,
				   0xf9100103);
	expect_counts(test, fake, 1, 1, 3);
	KUNIT_EXPECT_EQ(test, 0, fake->writes);
}

static void write_block_is_per_function(struct kunit *test)
{
	struct fake *fake = fake_make(test);

	pci_bus_write_config_word(&fake->bus, PCI_DEVFN(3, 0), PCI_COMMAND, 0);
	KUNIT_EXPECT_EQ(test, 1, fake->writes);
	fake->bus.number--;
	pci_bus_write_config_word(&fake->bus, FAKE_DEVFN, PCI_COMMAND, 0);
	KUNIT_EXPECT_EQ(test, 2, fake->writes);
	fake->bus.number++;
	expect_counts(test, fake, 0, 0, 0);

	pci_unblock_writes(&fake->block);
	pci_bus_write_config_word(&fake->bus, FAKE_DEVFN, PCI_COMMAND, 0);
	KUNIT_EXPECT_EQ(test, 3, fake->writes);
	expect_counts(test, fake, 0, 0, 0);
}

static int write_command(void *data)
{
	struct fake *fake = data;

	pci_bus_write_config_word(&fake->bus, FAKE_DEVFN, PCI_COMMAND, 0x0103);
	complete(&fake->written);

	return 0;
}

static void other_task_writes(struct kunit *test, struct fake *fake)
{
	struct task_struct *task;

	reinit_completion(&fake->written);
	task = kthread_run(write_command, fake, "pci-liveupdate-test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	wait_for_completion(&fake->written);
}

static void owner_writes_allowed(struct kunit *test)
{
	struct pci_liveupdate_bypass outer, inner;
	struct fake *fake = fake_make(test);

	KUNIT_EXPECT_FALSE(test, pci_writes_allowed(&fake->block));
	pci_allow_writes(&fake->block, &outer);
	pci_allow_writes(&fake->block, &inner);
	write_command(fake);
	KUNIT_EXPECT_EQ(test, 1, fake->writes);
	pci_disallow_writes(&inner);
	KUNIT_EXPECT_TRUE(test, pci_writes_allowed(&fake->block));

	put_unaligned_le16(0x0107, fake->config + PCI_COMMAND);
	other_task_writes(test, fake);
	KUNIT_EXPECT_EQ(test, 1, fake->writes);
	expect_counts(test, fake, 1, 0, 0);

	pci_disallow_writes(&outer);
	write_command(fake);
	KUNIT_EXPECT_EQ(test, 1, fake->writes);
	expect_counts(test, fake, 2, 0, 0);
}

/* --- what is shared with functions that are not preserved */

#define FAKE_PTM	0x80

/* A bridge that has only what the callee uses. */
static struct pci_dev *fake_bridge(struct kunit *test, struct fake *fake)
{
	struct pci_dev *dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, dev);
	dev->bus = &fake->bus;
	dev->subordinate = &fake->bus;
	dev->devfn = FAKE_DEVFN;
	dev->hdr_type = PCI_HEADER_TYPE_BRIDGE;
	dev->cfg_size = PCI_CFG_SPACE_SIZE;
	dev->pcie_flags_reg = PCI_EXP_TYPE_ROOT_PORT << 4;

	return dev;
}

static void ptm_of_a_port_taken_over(struct kunit *test)
{
	struct fake *fake = fake_make(test);
	struct pci_dev *dev = fake_bridge(test, fake);
	u8 *ctrl = fake->config + FAKE_PTM + PCI_PTM_CTRL;

	if (!IS_ENABLED(CONFIG_PCIE_PTM))
		kunit_skip(test, "there is no PTM");
	dev->ptm_cap = FAKE_PTM;
	dev->ptm_root = 1;

	KUNIT_EXPECT_EQ(test, -EBUSY, pci_enable_ptm(dev));
	KUNIT_EXPECT_FALSE(test, pcie_ptm_enabled(dev));

	/* The previous kernel has enabled it, for another function below. */
	dev->liveupdate_running = true;
	put_unaligned_le32(PCI_PTM_CTRL_ENABLE | PCI_PTM_CTRL_ROOT, ctrl);
	KUNIT_EXPECT_EQ(test, 0, pci_enable_ptm(dev));
	KUNIT_EXPECT_TRUE(test, pcie_ptm_enabled(dev));
	pci_disable_ptm(dev);
	KUNIT_EXPECT_FALSE(test, pcie_ptm_enabled(dev));
	KUNIT_EXPECT_EQ(test, 0, fake->writes);

	dev->liveupdate_running = false;
	pci_unblock_writes(&fake->block);
	pci_ptm_reconcile(dev);
	KUNIT_EXPECT_EQ(test, 0, get_unaligned_le32(ctrl));
}

/* Received Master Abort, in the bits of Secondary Status. */
#define MASTER_ABORT	((u32)PCI_STATUS_REC_MASTER_ABORT << 16)

static void errors_of_the_scan_ignored(struct kunit *test)
{
	struct fake *fake = fake_make(test);
	struct pci_dev *dev = fake_bridge(test, fake);
	struct pci_liveupdate *lu;

	lu = kunit_kzalloc(test, sizeof(*lu), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, lu);
	dev->liveupdate = lu;
	lu->dev = dev;
	put_unaligned_le16(PCI_STATUS_REC_MASTER_ABORT |
			   PCI_STATUS_DETECTED_PARITY,
			   fake->config + PCI_SEC_STATUS);

	/* Logged in the gap, before the scan */
	lu->errors[0] = MASTER_ABORT;
	pci_liveupdate_bridge_scanned(dev);
	KUNIT_EXPECT_EQ(test, 0, lu->scan_errors);

	lu->errors[0] = 0;
	pci_liveupdate_bridge_scanned(dev);
	KUNIT_EXPECT_EQ(test, MASTER_ABORT, lu->scan_errors);
}

/* --- resets */

static void set_reset_method(struct pci_dev *dev, const char *name)
{
	for (int i = 1; i < PCI_NUM_RESET_METHODS; i++) {
		if (!strcmp(pci_reset_fn_methods[i].name, name))
			dev->reset_methods[0] = i;
	}
}

static void reset_of_a_running_bus_refused(struct kunit *test)
{
	struct fake *fake = fake_make(test);
	struct pci_dev *bridge = fake_bridge(test, fake);
	struct pci_dev *dev = fake_bridge(test, fake);
	struct pci_liveupdate_bypass bypass;
	struct pci_liveupdate *lu;
	struct pci_bus *bus;

	lu = kunit_kzalloc(test, sizeof(*lu), GFP_KERNEL);
	bus = kunit_kzalloc(test, sizeof(*bus), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, lu);
	KUNIT_ASSERT_NOT_NULL(test, bus);
	memcpy(bus, &fake->bus, sizeof(*bus));
	bus->parent = &fake->bus;
	bus->self = bridge;
	bridge->liveupdate_running = true;
	dev->bus = bus;
	dev->subordinate = NULL;
	dev->hdr_type = PCI_HEADER_TYPE_NORMAL;
	dev->liveupdate = lu;
	dev->liveupdate_running = true;
	pci_write_block_init(&lu->block, fake->block.sbdf);

	set_reset_method(dev, "flr");
	KUNIT_EXPECT_TRUE(test, pci_liveupdate_forbids_reset(dev));
	KUNIT_EXPECT_TRUE(test, pci_liveupdate_forbids_reset(bridge));

	/* The owner. Refused before Bus Master Enable is cleared. */
	pci_allow_writes(&lu->block, &bypass);
	KUNIT_EXPECT_FALSE(test, pci_liveupdate_forbids_reset(dev));
	set_reset_method(dev, "bus");
	KUNIT_EXPECT_EQ(test, -EBUSY, pci_try_reset_function(dev));
	set_reset_method(dev, "cxl_bus");
	KUNIT_EXPECT_EQ(test, -EBUSY, pci_try_reset_function(dev));
	pci_disallow_writes(&bypass);
	KUNIT_EXPECT_EQ(test, 0, fake->writes);
}

/* --- preserved values */

static void invalid_values_are_told(struct kunit *test)
{
	struct luo_pci_device dev = {
		.kind = LUO_PCI_FUNCTION,
		.handle = 1,
		.owner = "vfio-pci-v1",
	};
	struct luo_pci_bar bar = {
		.offset = PCI_BASE_ADDRESS_0, .width = 32, .value = 0xfe840000,
		.size = 0x20000,
	};
	struct luo_pci_register reg = { .width = 4 };
	u16 next = 0;

	KUNIT_EXPECT_NULL(test, pci_liveupdate_check_values(&dev));
	dev.flags = 0x8000;
	KUNIT_EXPECT_NOT_NULL(test, pci_liveupdate_check_values(&dev));
	dev.flags = 0;
	dev.kind = 3;
	KUNIT_EXPECT_NOT_NULL(test, pci_liveupdate_check_values(&dev));
	dev.kind = LUO_PCI_BRIDGE;
	KUNIT_EXPECT_NOT_NULL(test, pci_liveupdate_check_values(&dev));
	KUNIT_EXPECT_NOT_NULL(test, pci_liveupdate_check_register(&dev, &reg));
	dev.kind = LUO_PCI_FUNCTION;

	KUNIT_EXPECT_NULL(test, pci_liveupdate_check_bar(&dev, &bar, &next));
	KUNIT_EXPECT_EQ(test, PCI_BASE_ADDRESS_1, next);
	/* Not behind the previous one */
	KUNIT_EXPECT_NOT_NULL(test, pci_liveupdate_check_bar(&dev, &bar, &next));
	/* What a device that does not respond reads as */
	next = 0;
	bar.value = U32_MAX;
	KUNIT_EXPECT_NOT_NULL(test, pci_liveupdate_check_bar(&dev, &bar, &next));

	KUNIT_EXPECT_NULL(test, pci_liveupdate_check_register(&dev, &reg));
	reg.width = 1;
	KUNIT_EXPECT_NOT_NULL(test, pci_liveupdate_check_register(&dev, &reg));
}

/* --- BARs */

static void bars_are_told(struct kunit *test)
{
	static const u32 expected[] = {
		0xfff0000c, 0xffffffff, 0xffffffe1, 0, 0xfffff000, 0,
	};
	struct luo_pci_bar bars[] = {
		{ .offset = 0x10, .width = 64, .value = 0x38000010000cULL,
		  .size = 0x100000 },
		{ .offset = 0x18, .width = 32, .value = 0xc001, .size = 0x20 },
		{ .offset = 0x20, .width = 32, .value = 0xfe840000,
		  .size = 0x1000 },
		{ .offset = 0x30, .width = 32, .value = 0xfe000001,
		  .size = 0x80000 },
		{ .offset = 0x184, .width = 64, .value = 0x400000000cULL,
		  .size = 0x200000000ULL },
	};
	struct pci_liveupdate *lu;
	struct pci_dev *dev;
	u32 masks[6];

	dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);
	lu = kunit_kzalloc(test, sizeof(*lu), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dev);
	KUNIT_ASSERT_NOT_NULL(test, lu);
	lu->bars = bars;
	lu->nr_bars = ARRAY_SIZE(bars);
	dev->liveupdate = lu;
	KUNIT_EXPECT_FALSE(test, pci_liveupdate_bar_masks(dev, 6, 0x10, masks));

	dev->liveupdate_running = true;
	KUNIT_EXPECT_TRUE(test, pci_liveupdate_bar_masks(dev, 6, 0x10, masks));
	KUNIT_EXPECT_MEMEQ(test, expected, masks, sizeof(expected));
	KUNIT_EXPECT_TRUE(test, pci_liveupdate_bar_masks(dev, 1, 0x30, masks));
	KUNIT_EXPECT_EQ(test, 0xfff80001, masks[0]);
	KUNIT_EXPECT_TRUE(test, pci_liveupdate_bar_masks(dev, 6, 0x184, masks));
	KUNIT_EXPECT_EQ(test, 0x0000000c, masks[0]);
	KUNIT_EXPECT_EQ(test, 0xfffffffe, masks[1]);
	KUNIT_EXPECT_EQ(test, 0, masks[2]);
}

/* --- what a function is reset to */

static u32 read_register(struct pci_dev *dev, const struct luo_pci_register *reg)
{
	u16 cap = reg->capability & ~LUO_PCI_CAPABILITY_EXTENDED, word;
	int pos = 0;
	u32 val;

	/* Handles registers of ports, which an endpoint does not have. */
	if (reg->capability == PCI_CAP_ID_EXP) {
		pcie_capability_read_word(dev, reg->offset, &word);
		return word;
	}
	if (reg->capability & LUO_PCI_CAPABILITY_EXTENDED)
		pos = pci_find_ext_capability(dev, cap);
	else if (reg->capability)
		pos = pci_find_capability(dev, cap);
	if (reg->width == 4) {
		pci_read_config_dword(dev, pos + reg->offset, &val);
		return val;
	}
	pci_read_config_word(dev, pos + reg->offset, &word);

	return word;
}

/* If this fails pci_save_state() has changed: see liveupdate_state.c. */
static void registers_are_what_was_saved(struct kunit *test)
{
	struct luo_pci_register *registers;
	struct pci_saved_state *state;
	struct pci_dev *dev = NULL;
	unsigned int nr, seen = 0;

	registers = kunit_kcalloc(test, PCI_LIVEUPDATE_MAX_REGISTERS,
				  sizeof(*registers), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, registers);

	for_each_pci_dev(dev) {
		if (dev->hdr_type != PCI_HEADER_TYPE_NORMAL ||
		    dev->current_state != PCI_D0 || pci_save_state(dev))
			continue;
		state = pci_store_saved_state(dev);
		KUNIT_EXPECT_NOT_NULL(test, state);
		if (!state)
			continue;
		memset(registers, 0, PCI_LIVEUPDATE_MAX_REGISTERS *
		       sizeof(*registers));
		nr = pci_liveupdate_pristine(dev, state, registers);
		KUNIT_EXPECT_GE(test, nr, PCI_STD_HEADER_SIZEOF / 4);
		for (unsigned int i = 0; i < nr; i++) {
			KUNIT_EXPECT_EQ_MSG(test, registers[i].value,
					    read_register(dev, &registers[i]),
					    "%s: capability %#x at %#x",
					    pci_name(dev),
					    registers[i].capability,
					    registers[i].offset);
			seen++;
		}
		kfree(state);
	}
	if (!seen)
		kunit_skip(test, "there is no PCI function");
}

static void registers_come_back(struct kunit *test)
{
	struct luo_pci_register *registers, *again;
	struct pci_saved_state *state;
	struct pci_dev *dev = NULL;
	unsigned int nr;

	registers = kunit_kcalloc(test, PCI_LIVEUPDATE_MAX_REGISTERS,
				  sizeof(*registers), GFP_KERNEL);
	again = kunit_kcalloc(test, PCI_LIVEUPDATE_MAX_REGISTERS,
			      sizeof(*again), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, registers);
	KUNIT_ASSERT_NOT_NULL(test, again);

	for_each_pci_dev(dev) {
		if (dev->hdr_type == PCI_HEADER_TYPE_NORMAL &&
		    pci_is_pcie(dev) && dev->current_state == PCI_D0)
			break;
	}
	if (!dev)
		kunit_skip(test, "there is no PCI Express function");

	KUNIT_ASSERT_EQ(test, 0, pci_save_state(dev));
	state = pci_store_saved_state(dev);
	KUNIT_ASSERT_NOT_NULL(test, state);
	nr = pci_liveupdate_pristine(dev, state, registers);
	kfree(state);
	/* Use values that differ from those of the device. */
	for (unsigned int i = 0; i < nr; i++)
		registers[i].value ^= registers[i].width == 2 ? 0x5555 :
							       0x55555555;

	state = pci_liveupdate_make_pristine(dev, registers, nr);
	KUNIT_ASSERT_NOT_NULL(test, state);
	KUNIT_EXPECT_EQ(test, nr, pci_liveupdate_pristine(dev, state, again));
	KUNIT_EXPECT_MEMEQ(test, registers, again, nr * sizeof(*registers));
	kfree(state);
	pci_save_state(dev);
	pci_dev_put(dev);
}

/* Find a function or bridge that was not preserved by a previous kernel. */
static struct pci_dev *find_device(struct kunit *test, u8 hdr_type)
{
	struct pci_dev *dev = NULL;

	for_each_pci_dev(dev) {
		if (dev->hdr_type == hdr_type && pci_is_pcie(dev) &&
		    dev->current_state == PCI_D0 && !dev->liveupdate)
			return dev;
	}
	kunit_skip(test, "there is no such PCI Express device");
}

static void expect_difference(struct kunit *test, struct pci_dev *dev,
			      struct pci_liveupdate *lu, void *field,
			      const char *what)
{
	const char *why;

	*(u8 *)field ^= 0x10;
	why = pci_liveupdate_differs(dev, lu);
	KUNIT_EXPECT_NOT_NULL(test, why);
	if (why)
		KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(why, what), "%s", why);
	*(u8 *)field ^= 0x10;
	KUNIT_EXPECT_NULL(test, pci_liveupdate_differs(dev, lu));
}

static void expect_refusal(struct kunit *test, struct pci_dev *dev, int err,
			   const char *what)
{
	struct pci_liveupdate_refusal refusal = {};

	KUNIT_EXPECT_FALSE(test, pci_liveupdate_check_device(dev, &refusal));
	KUNIT_EXPECT_EQ(test, err, refusal.err);
	if (refusal.why)
		KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(refusal.why, what), "%s",
					  refusal.why);
}

/* QEMU emulates none of these. */
static void paths_are_refused(struct kunit *test)
{
	struct pci_dev *dev = find_device(test, PCI_HEADER_TYPE_BRIDGE);
	struct pci_liveupdate_refusal refusal;

	KUNIT_ASSERT_TRUE(test, pci_liveupdate_check_device(dev, &refusal));
	dev->is_thunderbolt = 1;
	expect_refusal(test, dev, -EOPNOTSUPP, "Thunderbolt");
	dev->is_thunderbolt = 0;
	dev->external_facing = 1;
	expect_refusal(test, dev, -EOPNOTSUPP, "external-facing");
	dev->external_facing = 0;
	dev->is_cxl = 1;
	expect_refusal(test, dev, -EOPNOTSUPP, "CXL");
	dev->is_cxl = 0;
	set_bit(PCI_DEV_GOING, &dev->priv_flags);
	expect_refusal(test, dev, -EBUSY, "being removed");
	clear_bit(PCI_DEV_GOING, &dev->priv_flags);
	KUNIT_EXPECT_TRUE(test, pci_liveupdate_check_device(dev, &refusal));
	pci_dev_put(dev);
}

static void differences_are_told(struct kunit *test)
{
	struct pci_dev *dev = find_device(test, PCI_HEADER_TYPE_NORMAL);
	struct luo_pci_bar *bars;
	struct pci_liveupdate *lu;

	lu = kunit_kzalloc(test, sizeof(*lu), GFP_KERNEL);
	bars = kunit_kcalloc(test, PCI_LIVEUPDATE_MAX_BARS, sizeof(*bars),
			     GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, lu);
	KUNIT_ASSERT_NOT_NULL(test, bars);
	lu->wire.kind = LUO_PCI_FUNCTION;
	KUNIT_ASSERT_EQ(test, 0, pci_liveupdate_read(dev, &lu->wire));
	lu->bars = bars;
	lu->nr_bars = pci_liveupdate_read_bars(dev, bars);
	KUNIT_ASSERT_NULL(test, pci_liveupdate_differs(dev, lu));

	expect_difference(test, dev, lu, &lu->wire.vendor, "another device");
	expect_difference(test, dev, lu, &lu->wire.device, "another device");
	expect_difference(test, dev, lu, &lu->wire.subsystem, "another device");
	expect_difference(test, dev, lu, &lu->wire.class_revision,
			  "another device");
	expect_difference(test, dev, lu, &lu->wire.serial, "same model");
	expect_difference(test, dev, lu, &lu->wire.command, "Command");
	expect_difference(test, dev, lu, &lu->wire.acs, "ACS");
	expect_difference(test, dev, lu, &lu->wire.devctl, "Device Control");
	expect_difference(test, dev, lu, &lu->wire.devctl2, "Device Control 2");
	if (lu->nr_bars)
		expect_difference(test, dev, lu, &bars[0].value, "BAR");
	pci_dev_put(dev);
}

static void differences_of_bridges_are_told(struct kunit *test)
{
	struct pci_dev *dev = find_device(test, PCI_HEADER_TYPE_BRIDGE);
	struct pci_liveupdate *lu;

	lu = kunit_kzalloc(test, sizeof(*lu), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, lu);
	lu->wire.kind = LUO_PCI_BRIDGE;
	KUNIT_ASSERT_EQ(test, 0, pci_liveupdate_read(dev, &lu->wire));
	KUNIT_ASSERT_NULL(test, pci_liveupdate_differs(dev, lu));

	expect_difference(test, dev, lu, &lu->wire.bus_numbers, "bus numbers");
	expect_difference(test, dev, lu, &lu->wire.windows[1], "windows");
	expect_difference(test, dev, lu, &lu->wire.io_upper, "windows");
	/* Its error reporting and its interrupt end with the old kernel. */
	lu->wire.devctl ^= PCI_EXP_DEVCTL_CERE;
	lu->wire.command ^= PCI_COMMAND_INTX_DISABLE;
	KUNIT_EXPECT_NULL(test, pci_liveupdate_differs(dev, lu));
	pci_dev_put(dev);
}

/* Not counted: the virtual configuration space of VFIO, and headers of blobs. */
static void a_function_is_small(struct kunit *test)
{
	struct luo_pci_bar bars[PCI_LIVEUPDATE_MAX_BARS];
	struct luo_pci_register *registers;
	struct pci_saved_state *state;
	struct pci_dev *dev = NULL;
	size_t bytes;

	registers = kunit_kcalloc(test, PCI_LIVEUPDATE_MAX_REGISTERS,
				  sizeof(*registers), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, registers);
	for_each_pci_dev(dev) {
		if (dev->current_state != PCI_D0 || dev->liveupdate ||
		    dev->hdr_type != PCI_HEADER_TYPE_NORMAL)
			continue;
		KUNIT_ASSERT_EQ(test, 0, pci_save_state(dev));
		state = pci_store_saved_state(dev);
		KUNIT_ASSERT_NOT_NULL(test, state);
		bytes = sizeof(struct luo_pci_device) +
			pci_liveupdate_read_bars(dev, bars) * sizeof(bars[0]) +
			pci_liveupdate_pristine(dev, state, registers) *
			sizeof(*registers);
		kfree(state);
		kunit_info(test, "%s: %zu bytes\n", pci_name(dev), bytes);
		KUNIT_EXPECT_LT(test, bytes, 1024);
	}
}

#define FAKE_EXP	0x40
#define FAKE_SLTCTL	(FAKE_EXP + PCI_EXP_SLTCTL)

static bool has_status(struct fake *fake, u16 offset)
{
	for (unsigned int i = 0; i < fake->block.nr_status; i++) {
		if (fake->block.status[i].offset == FAKE_EXP + offset)
			return true;
	}

	return false;
}

/* Behind the capability of an endpoint may be registers of another one. */
static void absent_registers_are_no_status(struct kunit *test)
{
	struct fake *fake = fake_make(test);
	struct pci_dev *dev = fake_bridge(test, fake);

	fake->config[PCI_CAPABILITY_LIST] = FAKE_EXP;
	fake->config[FAKE_EXP] = PCI_CAP_ID_EXP;
	dev->pcie_cap = FAKE_EXP;

	dev->hdr_type = PCI_HEADER_TYPE_NORMAL;
	dev->pcie_flags_reg = PCI_EXP_TYPE_ENDPOINT << 4 | 1;
	pci_write_block_find_status(&fake->block, dev);
	KUNIT_EXPECT_EQ(test, 3, fake->block.nr_status);
	KUNIT_EXPECT_TRUE(test, has_status(fake, PCI_EXP_DEVCTL));
	KUNIT_EXPECT_TRUE(test, has_status(fake, PCI_EXP_LNKCTL));

	dev->hdr_type = PCI_HEADER_TYPE_BRIDGE;
	dev->pcie_flags_reg = PCI_EXP_TYPE_ROOT_PORT << 4 | PCI_EXP_FLAGS_SLOT | 2;
	pci_write_block_find_status(&fake->block, dev);
	KUNIT_EXPECT_EQ(test, 8, fake->block.nr_status);
	KUNIT_EXPECT_TRUE(test, has_status(fake, PCI_EXP_SLTCTL));
	KUNIT_EXPECT_TRUE(test, has_status(fake, PCI_EXP_RTCTL));
	KUNIT_EXPECT_TRUE(test, has_status(fake, PCI_EXP_RTSTA));
	KUNIT_EXPECT_TRUE(test, has_status(fake, PCI_EXP_LNKCTL2));
}

/*
 * The interrupt handler of a port loops until its status bits are clear, and after an
 * aborted freeze its interrupts must be enabled.
 */
static void port_services_write(struct kunit *test)
{
	struct fake *fake = fake_make(test);
	struct pci_write_block_status *slot = &fake->block.status[1];

	slot->offset = FAKE_SLTCTL;
	slot->w1c = 0x011f0000;
	slot->status = 0xffff0000;
	slot->service = PCI_EXP_SLTCTL_HPIE;
	fake->block.nr_status = 2;
	fake->block.allow_services = true;
	/* Presence Detect State, which is read-only, and its change. */
	put_unaligned_le32(0x00481000, fake->config + FAKE_SLTCTL);

	pci_bus_write_config_word(&fake->bus, FAKE_DEVFN, FAKE_SLTCTL + 2, 0x08);
	KUNIT_EXPECT_EQ(test, 1, fake->writes);
	pci_bus_write_config_word(&fake->bus, FAKE_DEVFN, FAKE_SLTCTL,
				  0x1000 | PCI_EXP_SLTCTL_HPIE);
	KUNIT_EXPECT_EQ(test, 2, fake->writes);
	expect_counts(test, fake, 0, 0, 0);
	/* The slot cannot be powered off. */
	pci_bus_write_config_word(&fake->bus, FAKE_DEVFN, FAKE_SLTCTL,
				  0x1000 | PCI_EXP_SLTCTL_PCC);
	KUNIT_EXPECT_EQ(test, 2, fake->writes);
	expect_counts(test, fake, 1, 0, 0);

	fake->block.allow_services = false;
	put_unaligned_le32(0x00481000, fake->config + FAKE_SLTCTL);
	pci_bus_write_config_word(&fake->bus, FAKE_DEVFN, FAKE_SLTCTL + 2, 0x08);
	expect_counts(test, fake, 1, 0, 1);
	/* Slot Control is not status. */
	pci_bus_write_config_word(&fake->bus, FAKE_DEVFN, FAKE_SLTCTL,
				  0x1000 | PCI_EXP_SLTCTL_HPIE);
	expect_counts(test, fake, 2, 0, 1);
	KUNIT_EXPECT_EQ(test, 2, fake->writes);
}

static struct kunit_case pci_liveupdate_cases[] = {
	KUNIT_CASE(config_write_dropped),
	KUNIT_CASE(redundant_write_dropped),
	KUNIT_CASE(status_write_suppressed),
	KUNIT_CASE(absent_registers_are_no_status),
	KUNIT_CASE(port_services_write),
	KUNIT_CASE(write_block_is_per_function),
	KUNIT_CASE(owner_writes_allowed),
	KUNIT_CASE(ptm_of_a_port_taken_over),
	KUNIT_CASE(errors_of_the_scan_ignored),
	KUNIT_CASE(reset_of_a_running_bus_refused),
	KUNIT_CASE(invalid_values_are_told),
	KUNIT_CASE(bars_are_told),
	KUNIT_CASE(registers_are_what_was_saved),
	KUNIT_CASE(registers_come_back),
	KUNIT_CASE(differences_are_told),
	KUNIT_CASE(differences_of_bridges_are_told),
	KUNIT_CASE(a_function_is_small),
	KUNIT_CASE(paths_are_refused),
	{}
};

static struct kunit_suite pci_liveupdate_suite = {
	.name = "pci_liveupdate",
	.test_cases = pci_liveupdate_cases,
};

kunit_test_suite(pci_liveupdate_suite);
