// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Blocked config writes
 *
 * Config writes to a running device, and to the bridges above it, are blocked
 * from the freeze of its state until its owner has finished. Only the owner may
 * write.
 *
 * Many callers would write otherwise: enumeration, fixups, capabilities, power
 * management, error handling, hot plug and user space. The known ones check for
 * a preserved device first, but the block does not depend on that. A blocked
 * write is not sent to the device:
 *
 * - A write that would change a register is dropped, and counted and logged with
 *   its caller. The caller gets %PCIBIOS_WRITE_BLOCKED, and user space EBUSY.
 * - A write of the value that the register already has is redundant. It is
 *   dropped, too, because it could clear status bits that read as 1. The caller
 *   gets no error.
 * - A write that would only clear status bits is suppressed, so that the owner
 *   sees them. The caller gets the same error.
 *
 * The services of a port continue in the old kernel until they are shut down. They may
 * clear status bits, for which their interrupt handlers wait, and enable and disable
 * their interrupts. The next kernel does not compare these registers.
 *
 * Writes of AML are not blocked, because the firmware would not notice. They are
 * counted and logged. Not covered are other writes of the firmware, MMIO,
 * pci_check_and_mask_intx(), and raw_pci_write() in early boot.
 */

#include <linux/hash.h>
#include <linux/hashtable.h>
#include <linux/irq_work.h>
#include <linux/jump_label_ratelimit.h>
#include <linux/pci.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/stacktrace.h>

#include "liveupdate.h"
#include "liveupdate_internal.h"
#include "pci.h"

/* Enabled while there may be a write block. The only check on the fast path. */
/* Deferred: a user can begin and end preservations at any rate. */
DEFINE_STATIC_KEY_DEFERRED_FALSE(pci_any_write_block, HZ);

/*
 * Innermost lock: nests inside pci_lock and all others. The hash table is read with
 * RCU, so that writes to other devices do not contend for it.
 */
static DEFINE_RAW_SPINLOCK(pci_write_block_lock);
static DEFINE_HASHTABLE(pci_write_blocks, 6);
/* The tasks that may write to a blocked device, &struct pci_liveupdate_bypass. */
static LIST_HEAD(pci_write_bypasses);

/* --- status bits */

/*
 * Registers with write-1-to-clear bits: the dword, and the masks of these bits
 * and of the whole register. Status and Secondary Status, which are in the
 * header, are added separately. And registers with bits that only the services of a
 * port write, without those that control the power of a slot or trigger DPC. Section
 * numbers are those of PCIe 6.0.
 */
#define UPPER	0xffff0000
#define ALL	0xffffffff
static const struct {
	u16 cap;
	bool extended;
	u16 offset;
	u32 w1c;
	u32 status;
	u32 service;
} pci_known_status[] = {
	/* 7.5.2.2 Power Management Control/Status: PME_Status, Data_Scale, Data */
	{ PCI_CAP_ID_PM, false, PCI_PM_CTRL, PCI_PM_CTRL_PME_STATUS,
	  PCI_PM_CTRL_PME_STATUS | PCI_PM_CTRL_DATA_SCALE_MASK | UPPER },
	/* 7.5.3.5 Device Status: errors detected, Emergency Power Reduction */
	{ PCI_CAP_ID_EXP, false, PCI_EXP_DEVCTL, 0x004f0000, UPPER },
	/* 7.5.3.8 Link Status: bandwidth management, autonomous bandwidth */
	{ PCI_CAP_ID_EXP, false, PCI_EXP_LNKCTL, 0xc0000000, UPPER },
	/* 7.5.3.11 Slot Status: all events; 7.5.3.10 Slot Control: enables, indicators */
	{ PCI_CAP_ID_EXP, false, PCI_EXP_SLTCTL, 0x011f0000, UPPER,
	  PCI_EXP_SLTCTL_ABPE | PCI_EXP_SLTCTL_PFDE | PCI_EXP_SLTCTL_MRLSCE |
	  PCI_EXP_SLTCTL_PDCE | PCI_EXP_SLTCTL_CCIE | PCI_EXP_SLTCTL_HPIE |
	  PCI_EXP_SLTCTL_AIC | PCI_EXP_SLTCTL_PIC | PCI_EXP_SLTCTL_DLLSCE },
	/* 7.5.3.12 Root Control: error and PME interrupts */
	{ PCI_CAP_ID_EXP, false, PCI_EXP_RTCTL, 0, 0,
	  PCI_EXP_RTCTL_SECEE | PCI_EXP_RTCTL_SENFEE | PCI_EXP_RTCTL_SEFEE |
	  PCI_EXP_RTCTL_PMEIE },
	/* 7.5.3.14 Root Status: PME Status */
	{ PCI_CAP_ID_EXP, false, PCI_EXP_RTSTA, PCI_EXP_RTSTA_PME, ALL },
	/* 7.5.3.20 Link Status 2: Link Equalization Request, DRS received */
	{ PCI_CAP_ID_EXP, false, PCI_EXP_LNKCTL2, 0x80200000, UPPER },
	/* 7.8.4.2, 7.8.4.5, 7.8.4.9, 7.8.4.10 of Advanced Error Reporting */
	{ PCI_EXT_CAP_ID_ERR, true, PCI_ERR_UNCOR_STATUS, ALL, ALL },
	{ PCI_EXT_CAP_ID_ERR, true, PCI_ERR_COR_STATUS, ALL, ALL },
	{ PCI_EXT_CAP_ID_ERR, true, PCI_ERR_ROOT_COMMAND, 0, 0,
	  PCI_ERR_ROOT_CMD_COR_EN | PCI_ERR_ROOT_CMD_NONFATAL_EN |
	  PCI_ERR_ROOT_CMD_FATAL_EN },
	{ PCI_EXT_CAP_ID_ERR, true, PCI_ERR_ROOT_STATUS, 0x0000007f, ALL },
	/* 7.9.14.3 DPC Control: trigger and interrupt enable */
	{ PCI_EXT_CAP_ID_DPC, true, PCI_EXP_DPC_CTL & ~3, 0, 0,
	  (PCI_EXP_DPC_CTL_EN_FATAL | PCI_EXP_DPC_CTL_EN_NONFATAL |
	   PCI_EXP_DPC_CTL_INT_EN) << 16 },
	/* 7.9.14.4 DPC Status: trigger, interrupt; 7.9.14.6 RP PIO Status */
	{ PCI_EXT_CAP_ID_DPC, true, PCI_EXP_DPC_STATUS,
	  PCI_EXP_DPC_STATUS_TRIGGER | PCI_EXP_DPC_STATUS_INTERRUPT, ALL },
	{ PCI_EXT_CAP_ID_DPC, true, PCI_EXP_DPC_RP_PIO_STATUS, ALL, ALL },
	/* 10.5.2.3 Page Request Status */
	{ PCI_EXT_CAP_ID_PRI, true, PCI_PRI_CTRL, 0x00030000, UPPER },
};

/* 7.5.1.1.4 Status, 7.5.1.3.7 Secondary Status: errors */
#define PCI_STATUS_W1C	0xf9000000

static void pci_write_block_add_status(struct pci_write_block *block, u16 offset,
				       u32 w1c, u32 bits, u32 service)
{
	struct pci_write_block_status *status;

	if (WARN_ON_ONCE(block->nr_status == PCI_WRITE_BLOCK_MAX_STATUS))
		return;
	status = &block->status[block->nr_status++];
	status->offset = offset;
	status->w1c = w1c;
	status->status = bits;
	status->service = service;
}

/**
 * pci_write_block_init - Initialize a write block
 * @block: The write block.
 * @sbdf:  Address of the device, which need not be present yet.
 */
void pci_write_block_init(struct pci_write_block *block, u64 sbdf)
{
	block->sbdf = sbdf;
	INIT_HLIST_NODE(&block->node);
	pci_write_block_add_status(block, PCI_COMMAND, PCI_STATUS_W1C, UPPER, 0);
}

/* Return: 0, or the offset of the capability if @dev has the register. */
static u16 pci_find_known_status(struct pci_dev *dev, int i)
{
	u16 cap = pci_known_status[i].cap, offset = pci_known_status[i].offset, pos, val;

	if (!pci_known_status[i].extended) {
		if (cap == PCI_CAP_ID_EXP &&
		    !pcie_capability_reg_implemented(dev, offset))
			return 0;
		return pci_find_capability(dev, cap);
	}

	pos = pci_find_ext_capability(dev, cap);
	if (cap == PCI_EXT_CAP_ID_ERR && offset >= PCI_ERR_ROOT_COMMAND &&
	    !pcie_cap_has_rtctl(dev))
		return 0;
	if (pos && cap == PCI_EXT_CAP_ID_DPC && offset == PCI_EXP_DPC_RP_PIO_STATUS) {
		pci_read_config_word(dev, pos + PCI_EXP_DPC_CAP, &val);
		if (!(val & PCI_EXP_DPC_CAP_RP_EXT))
			return 0;
	}

	return pos;
}

/**
 * pci_write_block_find_status - Find the status registers of a device
 * @block: The write block, active or not.
 * @dev:   The device. Header type and config size must be known.
 *
 * Before this is called a write that clears status bits is counted as dropped.
 */
void pci_write_block_find_status(struct pci_write_block *block, struct pci_dev *dev)
{
	u16 pos[ARRAY_SIZE(pci_known_status)];

	for (int i = 0; i < ARRAY_SIZE(pos); i++)
		pos[i] = pci_find_known_status(dev, i);

	guard(raw_spinlock_irqsave)(&pci_write_block_lock);

	block->nr_status = 1;
	if (dev->hdr_type == PCI_HEADER_TYPE_BRIDGE)
		pci_write_block_add_status(block, PCI_IO_BASE, PCI_STATUS_W1C,
					   UPPER, 0);
	for (int i = 0; i < ARRAY_SIZE(pos); i++) {
		if (pos[i])
			pci_write_block_add_status(block, pos[i] +
						   pci_known_status[i].offset,
						   pci_known_status[i].w1c,
						   pci_known_status[i].status,
						   pci_known_status[i].service);
	}
}

static u32 pci_write_bits(int len)
{
	return len == 4 ? ~0 : (1U << (8 * len)) - 1;
}

/*
 * Return the mask of write-1-to-clear bits of the bytes at @pos, and the masks of the
 * bits that belong to a status register and of service bits.
 */
static u32 pci_write_block_w1c(const struct pci_write_block *block, int pos, u32 *statusp,
			       u32 *servicep)
{
	int shift = 8 * (pos & 3);

	for (unsigned int i = 0; i < block->nr_status; i++) {
		if (block->status[i].offset != (pos & ~3))
			continue;
		*statusp = block->status[i].status >> shift;
		*servicep = block->status[i].service >> shift;
		return block->status[i].w1c >> shift;
	}
	*statusp = 0;
	*servicep = 0;

	return 0;
}

/* --- log of dropped writes */

#define PCI_BLOCKED_DEPTH	5
#define PCI_BLOCKED_CALLERS	32

struct pci_blocked_caller {
	unsigned long trace[PCI_BLOCKED_DEPTH];
	u64 sbdf;
	u32 old;
	u32 new;
	u16 pos;
	u16 len;
	bool logged;
};

/* Each caller is logged once. Writes of further callers are only counted. */
static struct pci_blocked_caller pci_blocked_callers[PCI_BLOCKED_CALLERS];
static unsigned int pci_nr_blocked_callers;

/* Log outside of the writer's locks: the console may be a PCI device. */
static void pci_blocked_log(struct irq_work *work)
{
	for (unsigned int i = 0; i < PCI_BLOCKED_CALLERS; i++) {
		struct pci_blocked_caller *caller = &pci_blocked_callers[i];

		/* Pairs with pci_blocked_note(): entries below the count are complete. */
		if (i >= smp_load_acquire(&pci_nr_blocked_callers))
			return;
		if (caller->logged)
			continue;
		caller->logged = true;
		pr_info("pci %04llx:%02llx:%02llx.%lld: live update: dropped a config write: %#05x:%u %#x -> %#x by %ps < %ps < %ps < %ps < %ps\n",
			caller->sbdf >> 16, caller->sbdf >> 8 & 0xff,
			caller->sbdf >> 3 & 0x1f, caller->sbdf & 7,
			caller->pos, caller->len, caller->old, caller->new,
			(void *)caller->trace[0], (void *)caller->trace[1],
			(void *)caller->trace[2], (void *)caller->trace[3],
			(void *)caller->trace[4]);
	}
}

static DEFINE_IRQ_WORK(pci_blocked_work, pci_blocked_log);

static void pci_blocked_note(const struct pci_write_block *block, int pos, int len,
			     u32 old, u32 new)
{
	struct pci_blocked_caller *caller, this = {
		.sbdf = block->sbdf,
		.old = old,
		.new = new,
		.pos = pos,
		.len = len,
	};

	/* Skip this function, pci_write_is_blocked() and the accessor. */
	stack_trace_save(this.trace, PCI_BLOCKED_DEPTH, 3);

	for (unsigned int i = 0; i < pci_nr_blocked_callers; i++) {
		caller = &pci_blocked_callers[i];
		if (caller->sbdf == this.sbdf &&
		    !memcmp(caller->trace, this.trace, sizeof(this.trace)))
			return;
	}
	if (pci_nr_blocked_callers == PCI_BLOCKED_CALLERS)
		return;

	pci_blocked_callers[pci_nr_blocked_callers] = this;
	/* Pairs with pci_blocked_log(). */
	smp_store_release(&pci_nr_blocked_callers, pci_nr_blocked_callers + 1);
	irq_work_queue(&pci_blocked_work);
}

/* --- blocking and allowing writes */

/* Called in an RCU read-side critical section. */
static struct pci_write_block *pci_write_block_find(u64 sbdf)
{
	struct pci_write_block *block;

	hash_for_each_possible_rcu(pci_write_blocks, block, node, sbdf) {
		if (block->sbdf == sbdf)
			return block;
	}

	return NULL;
}

static bool pci_writes_allowed_locked(const struct pci_write_block *block)
{
	struct pci_liveupdate_bypass *bypass;

	if (!in_task())
		return false;
	list_for_each_entry(bypass, &pci_write_bypasses, list) {
		if (bypass->task == current && bypass->sbdf == block->sbdf)
			return true;
	}

	return false;
}

/**
 * pci_write_blocks_begin - Let config writes look for write blocks
 *
 * To be called before pci_block_writes().
 *
 * Context: Sleeps. Takes cpus_read_lock().
 */
void pci_write_blocks_begin(void)
{
	static_branch_deferred_inc(&pci_any_write_block);
}

/**
 * pci_write_blocks_end - Undo pci_write_blocks_begin()
 *
 * Context: Any.
 */
void pci_write_blocks_end(void)
{
	static_branch_slow_dec_deferred(&pci_any_write_block);
}

/**
 * pci_block_writes - Block config writes to a device
 * @block: The write block; may be active already.
 *
 * Writes that have begun before have ended after synchronize_rcu().
 *
 * Context: Any.
 */
void pci_block_writes(struct pci_write_block *block)
{
	guard(raw_spinlock_irqsave)(&pci_write_block_lock);

	if (!hlist_unhashed(&block->node))
		return;
	hash_add_rcu(pci_write_blocks, &block->node, block->sbdf);
}

/**
 * pci_unblock_writes - Undo pci_block_writes()
 * @block: The write block; may be inactive already. It must not be freed before an
 *         RCU grace period has ended.
 *
 * Context: Any.
 */
void pci_unblock_writes(struct pci_write_block *block)
{
	guard(raw_spinlock_irqsave)(&pci_write_block_lock);

	if (hlist_unhashed(&block->node))
		return;
	hash_del_rcu(&block->node);
}

/**
 * pci_allow_writes - Allow the current task to write
 * @block:  The write block.
 * @bypass: Initialized, and passed to pci_disallow_writes().
 *
 * May be nested.
 */
void pci_allow_writes(const struct pci_write_block *block,
		      struct pci_liveupdate_bypass *bypass)
{
	guard(raw_spinlock_irqsave)(&pci_write_block_lock);
	bypass->task = current;
	bypass->sbdf = block->sbdf;
	list_add(&bypass->list, &pci_write_bypasses);
}

/**
 * pci_disallow_writes - Undo pci_allow_writes()
 * @bypass: From pci_allow_writes(). The write block may have been freed.
 */
void pci_disallow_writes(struct pci_liveupdate_bypass *bypass)
{
	guard(raw_spinlock_irqsave)(&pci_write_block_lock);
	list_del(&bypass->list);
}

/* PCIe 7.7.1: the size depends on 64-bit addresses and per-vector masking. */
static u16 pci_msi_cap_size(struct pci_dev *dev)
{
	u16 flags, size = 0x0a;

	pci_read_config_word(dev, dev->msi_cap + PCI_MSI_FLAGS, &flags);
	if (flags & PCI_MSI_FLAGS_MASKBIT)
		size = 0x14;
	if (flags & PCI_MSI_FLAGS_64BIT)
		size += 4;

	return size;
}

/**
 * pci_allow_msi_writes - Allow writes to the MSI capability
 * @block: The write block.
 * @dev:   The function, or NULL to block these writes again.
 *
 * A change of the interrupt's affinity writes to the capability, in any task.
 */
void pci_allow_msi_writes(struct pci_write_block *block, struct pci_dev *dev)
{
	u16 size = dev && dev->msi_cap ? pci_msi_cap_size(dev) : 0;

	guard(raw_spinlock_irqsave)(&pci_write_block_lock);
	block->msi = size ? dev->msi_cap : 0;
	block->msi_size = size;
}

/**
 * pci_writes_allowed - Check whether the current task may write
 * @block: The write block.
 */
bool pci_writes_allowed(const struct pci_write_block *block)
{
	guard(raw_spinlock_irqsave)(&pci_write_block_lock);

	return pci_writes_allowed_locked(block);
}

/**
 * pci_write_is_blocked - Check whether a config write is blocked, and count it
 * @bus:   The bus.
 * @devfn: Device and function.
 * @pos:   Offset in configuration space, aligned to @len.
 * @len:   1, 2 or 4 bytes.
 * @val:   The value to write.
 * @result: If it must not be sent, set to what the caller gets:
 *         %PCIBIOS_SUCCESSFUL if the register has the value already, otherwise
 *         %PCIBIOS_WRITE_BLOCKED.
 *
 * Context: RCU read-side critical section, with or without pci_lock.
 * Return: true if the write must not be sent.
 */
bool pci_write_is_blocked(struct pci_bus *bus, unsigned int devfn, int pos, int len,
			  u32 val, int *result)
{
	u32 old = 0, changed, w1c, status, service, bits = pci_write_bits(len);
	struct pci_write_block *block;

	block = pci_write_block_find(pci_liveupdate_sbdf(pci_domain_nr(bus),
							 bus->number, devfn));
	if (!block)
		return false;

	guard(raw_spinlock_irqsave)(&pci_write_block_lock);

	if (hlist_unhashed(&block->node) || pci_writes_allowed_locked(block))
		return false;
	if (block->msi && pos >= block->msi &&
	    pos < block->msi + block->msi_size)
		return false;

	*result = PCIBIOS_WRITE_BLOCKED;
	bus->ops->read(bus, devfn, pos, len, &old);
	w1c = pci_write_block_w1c(block, pos, &status, &service);
	changed = (val ^ old) & ~status & bits;
	if (block->allow_services && !(changed & ~service) &&
	    (changed || val & old & w1c & bits))
		return false;

	if (changed) {
		block->dropped++;
		pci_blocked_note(block, pos, len, old, val);
	} else if (val & old & w1c & bits) {
		block->suppressed++;
	} else {
		block->redundant++;
		*result = PCIBIOS_SUCCESSFUL;
	}

	return true;
}

/* --- firmware */

/**
 * pci_liveupdate_firmware_write - Count and log a config write of AML
 * @segment: PCI segment (domain).
 * @bus:     Bus number.
 * @devfn:   Device and function.
 * @pos:     Offset in configuration space.
 * @len:     1, 2 or 4 bytes.
 * @val:     The value that is about to be written.
 *
 * The write is not blocked: AML has no way to handle an error.
 *
 * Context: Any.
 */
void pci_liveupdate_firmware_write(u32 segment, u8 bus, unsigned int devfn, int pos,
				   int len, u32 val)
{
	struct pci_write_block *block;
	unsigned long nr = 0;
	u32 old = 0;

	if (!static_branch_unlikely(&pci_any_write_block.key))
		return;

	guard(rcu)();

	block = pci_write_block_find(pci_liveupdate_sbdf(segment, bus, devfn));
	if (!block)
		return;
	raw_pci_read(segment, bus, devfn, pos, len, &old);
	if (!((val ^ old) & pci_write_bits(len)))
		return;

	scoped_guard(raw_spinlock_irqsave, &pci_write_block_lock)
		nr = ++block->firmware;
	/* Firmware may do this in each call of a method. */
	if (nr == 1)
		pr_warn("pci %04x:%02x:%02x.%u: live update: the firmware (AML) writes to its configuration space while it is preserved: %#05x:%d %#x -> %#x\n",
			segment, bus, PCI_SLOT(devfn), PCI_FUNC(devfn), pos, len,
			old, val);
}
