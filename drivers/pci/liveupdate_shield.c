// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: the config write shield
 *
 * While a device runs for an owner who is not there,
 * nobody writes to its configuration space, nor to that of the bridges above.
 *
 * There are too many who would: enumeration, fixups, capabilities, power
 * management, error handling, hot plug, users. Those that are known do not try,
 * but the rule does not depend on them. A write that comes here is not sent to
 * the device, whatever it would do:
 *
 * - if it would change something it is dropped, and counted with its caller;
 * - if it would write what is there it is swallowed: sent, it could still clear
 *   status bits that read as 1;
 * - if it would only clear status bits they are kept, for the owner to see. Only
 *   the old kernel may clear those of a port: its services' handlers would not end.
 *
 * What is not covered: AML and other firmware, MMIO, pci_check_and_mask_intx(),
 * and raw_pci_write(), which on x86 is AML's and the earliest boot's way to a
 * device.
 */

#include <linux/hash.h>
#include <linux/hashtable.h>
#include <linux/irq_work.h>
#include <linux/pci.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/stacktrace.h>

#include "liveupdate.h"
#include "liveupdate_internal.h"
#include "pci.h"

/* True while any shield is raised. All that a machine without one pays for. */
bool pci_shield_is_up;

/* Nests in pci_lock, and everything else. */
static DEFINE_RAW_SPINLOCK(pci_shield_lock);
static DEFINE_HASHTABLE(pci_shields, 6);
static unsigned int pci_nr_shields;
/* Who may write, and where, &struct pci_liveupdate_bypass. */
static LIST_HEAD(pci_shield_owners);

/* --- status bits */

/*
 * Where software clears bits by writing 1: the dword, and the bits in it. Beside
 * Status and Secondary Status, which every header has. Sections of PCIe 6.0.
 */
#define UPPER	0xffff0000
#define ALL	0xffffffff
static const struct {
	u16 cap;
	bool extended;
	u16 offset;
	u32 w1c;
	u32 status;
} pci_shield_known_status[] = {
	/* 7.5.2.2 Power Management Control/Status: PME_Status, Data_Scale, Data */
	{ PCI_CAP_ID_PM, false, PCI_PM_CTRL, PCI_PM_CTRL_PME_STATUS,
	  PCI_PM_CTRL_PME_STATUS | PCI_PM_CTRL_DATA_SCALE_MASK | UPPER },
	/* 7.5.3.5 Device Status: errors detected, Emergency Power Reduction */
	{ PCI_CAP_ID_EXP, false, PCI_EXP_DEVCTL, 0x004f0000, UPPER },
	/* 7.5.3.8 Link Status: bandwidth management, autonomous bandwidth */
	{ PCI_CAP_ID_EXP, false, PCI_EXP_LNKCTL, 0xc0000000, UPPER },
	/* 7.5.3.11 Slot Status: all events */
	{ PCI_CAP_ID_EXP, false, PCI_EXP_SLTCTL, 0x011f0000, UPPER },
	/* 7.5.3.14 Root Status: PME Status */
	{ PCI_CAP_ID_EXP, false, PCI_EXP_RTSTA, PCI_EXP_RTSTA_PME, ALL },
	/* 7.5.3.20 Link Status 2: Link Equalization Request, DRS received */
	{ PCI_CAP_ID_EXP, false, PCI_EXP_LNKCTL2, 0x80200000, UPPER },
	/* 7.8.4.2, 7.8.4.5, 7.8.4.10 of Advanced Error Reporting */
	{ PCI_EXT_CAP_ID_ERR, true, PCI_ERR_UNCOR_STATUS, ALL, ALL },
	{ PCI_EXT_CAP_ID_ERR, true, PCI_ERR_COR_STATUS, ALL, ALL },
	{ PCI_EXT_CAP_ID_ERR, true, PCI_ERR_ROOT_STATUS, 0x0000007f, ALL },
	/* 7.9.14.4 DPC Status: trigger, interrupt; 7.9.14.6 RP PIO Status */
	{ PCI_EXT_CAP_ID_DPC, true, PCI_EXP_DPC_STATUS,
	  PCI_EXP_DPC_STATUS_TRIGGER | PCI_EXP_DPC_STATUS_INTERRUPT, ALL },
	{ PCI_EXT_CAP_ID_DPC, true, PCI_EXP_DPC_RP_PIO_STATUS, ALL, ALL },
	/* 10.5.2.3 Page Request Status */
	{ PCI_EXT_CAP_ID_PRI, true, PCI_PRI_CTRL, 0x00030000, UPPER },
};

/* 7.5.1.1.4 Status, 7.5.1.3.7 Secondary Status: errors */
#define PCI_SHIELD_STATUS	0xf9000000

static void pci_shield_add_status(struct pci_shield *shield, u16 offset,
				  u32 w1c, u32 bits)
{
	struct pci_shield_status *status;

	if (WARN_ON_ONCE(shield->nr_status == PCI_SHIELD_MAX_STATUS))
		return;
	status = &shield->status[shield->nr_status++];
	status->offset = offset;
	status->w1c = w1c;
	status->status = bits;
}

/**
 * pci_shield_init - Prepare a shield.
 * @shield: The shield.
 * @place:  Where the device is, or will be found.
 */
void pci_shield_init(struct pci_shield *shield, u64 place)
{
	shield->place = place;
	INIT_HLIST_NODE(&shield->node);
	pci_shield_add_status(shield, PCI_COMMAND, PCI_SHIELD_STATUS, UPPER);
}

/**
 * pci_shield_learn - Find out where status bits are.
 * @shield: The shield, raised or not.
 * @dev:    The device. Header type and config size must be known.
 *
 * Until then a write that clears them counts as one that changes something. It
 * is not sent in either case.
 */
void pci_shield_learn(struct pci_shield *shield, struct pci_dev *dev)
{
	u16 pos[ARRAY_SIZE(pci_shield_known_status)];

	for (int i = 0; i < ARRAY_SIZE(pos); i++) {
		u16 cap = pci_shield_known_status[i].cap;

		pos[i] = pci_shield_known_status[i].extended ?
			 pci_find_ext_capability(dev, cap) :
			 pci_find_capability(dev, cap);
	}

	guard(raw_spinlock_irqsave)(&pci_shield_lock);

	shield->nr_status = 1;
	if (dev->hdr_type == PCI_HEADER_TYPE_BRIDGE)
		pci_shield_add_status(shield, PCI_IO_BASE, PCI_SHIELD_STATUS,
				      UPPER);
	for (int i = 0; i < ARRAY_SIZE(pos); i++) {
		if (pos[i])
			pci_shield_add_status(shield, pos[i] +
					      pci_shield_known_status[i].offset,
					      pci_shield_known_status[i].w1c,
					      pci_shield_known_status[i].status);
	}
}

/* What of the bytes at @pos is status. Return: the W1C bits of it. */
static u32 pci_shield_w1c(const struct pci_shield *shield, int pos, u32 *statusp)
{
	int shift = 8 * (pos & 3);

	for (unsigned int i = 0; i < shield->nr_status; i++) {
		if (shield->status[i].offset != (pos & ~3))
			continue;
		*statusp = shield->status[i].status >> shift;
		return shield->status[i].w1c >> shift;
	}
	*statusp = 0;

	return 0;
}

/* --- who did it */

#define PCI_SHIELD_DEPTH	5
#define PCI_SHIELD_CALLERS	32

struct pci_shield_caller {
	unsigned long trace[PCI_SHIELD_DEPTH];
	u64 place;
	u32 old;
	u32 new;
	u16 pos;
	u16 len;
	bool logged;
};

/* Each caller is logged once; what does not fit is counted all the same. */
static struct pci_shield_caller pci_shield_callers[PCI_SHIELD_CALLERS];
static unsigned int pci_nr_shield_callers;

/* Not under the lock of whoever was writing: a console may be a PCI device. */
static void pci_shield_log(struct irq_work *work)
{
	for (unsigned int i = 0; i < PCI_SHIELD_CALLERS; i++) {
		struct pci_shield_caller *caller = &pci_shield_callers[i];

		/* Pairs with pci_shield_note(): what is counted is complete. */
		if (i >= smp_load_acquire(&pci_nr_shield_callers))
			return;
		if (caller->logged)
			continue;
		caller->logged = true;
		pr_info("pci %04llx:%02llx:%02llx.%lld: live update: dropped a config write: %#05x:%u %#x -> %#x by %ps < %ps < %ps < %ps < %ps\n",
			caller->place >> 16, caller->place >> 8 & 0xff,
			caller->place >> 3 & 0x1f, caller->place & 7,
			caller->pos, caller->len, caller->old, caller->new,
			(void *)caller->trace[0], (void *)caller->trace[1],
			(void *)caller->trace[2], (void *)caller->trace[3],
			(void *)caller->trace[4]);
	}
}

static DEFINE_IRQ_WORK(pci_shield_work, pci_shield_log);

static void pci_shield_note(const struct pci_shield *shield, int pos, int len,
			    u32 old, u32 new)
{
	struct pci_shield_caller *caller, this = {
		.place = shield->place,
		.old = old,
		.new = new,
		.pos = pos,
		.len = len,
	};

	/* Not this, pci_shield_stops() and the accessor. */
	stack_trace_save(this.trace, PCI_SHIELD_DEPTH, 3);

	for (unsigned int i = 0; i < pci_nr_shield_callers; i++) {
		caller = &pci_shield_callers[i];
		if (caller->place == this.place &&
		    !memcmp(caller->trace, this.trace, sizeof(this.trace)))
			return;
	}
	if (pci_nr_shield_callers == PCI_SHIELD_CALLERS)
		return;

	pci_shield_callers[pci_nr_shield_callers] = this;
	/* Pairs with pci_shield_log(). */
	smp_store_release(&pci_nr_shield_callers, pci_nr_shield_callers + 1);
	irq_work_queue(&pci_shield_work);
}

/* --- the shield */

static struct pci_shield *pci_shield_find(u64 place)
{
	struct pci_shield *shield;

	hash_for_each_possible(pci_shields, shield, node, place) {
		if (shield->place == place)
			return shield;
	}

	return NULL;
}

static bool pci_shield_lets(const struct pci_shield *shield)
{
	struct pci_liveupdate_bypass *bypass;

	if (!in_task())
		return false;
	list_for_each_entry(bypass, &pci_shield_owners, list) {
		if (bypass->task == current && bypass->place == shield->place)
			return true;
	}

	return false;
}

/**
 * pci_shield_raise - Nobody may begin to write from now on.
 * @shield: The shield; raised already is fine.
 *
 * Who has begun before is through after synchronize_rcu().
 *
 * Context: any.
 */
void pci_shield_raise(struct pci_shield *shield)
{
	guard(raw_spinlock_irqsave)(&pci_shield_lock);

	if (!hlist_unhashed(&shield->node))
		return;
	hash_add(pci_shields, &shield->node, shield->place);
	pci_nr_shields++;
	WRITE_ONCE(pci_shield_is_up, true);
}

/**
 * pci_shield_lower - Undo pci_shield_raise().
 * @shield: The shield; lowered already is fine.
 *
 * Context: any.
 */
void pci_shield_lower(struct pci_shield *shield)
{
	guard(raw_spinlock_irqsave)(&pci_shield_lock);

	if (hlist_unhashed(&shield->node))
		return;
	hash_del(&shield->node);
	if (!--pci_nr_shields)
		WRITE_ONCE(pci_shield_is_up, false);
}

/**
 * pci_shield_let - The current task may write.
 * @shield: The shield.
 * @bypass: Remembers it.
 */
void pci_shield_let(const struct pci_shield *shield,
		    struct pci_liveupdate_bypass *bypass)
{
	guard(raw_spinlock_irqsave)(&pci_shield_lock);
	bypass->task = current;
	bypass->place = shield->place;
	list_add(&bypass->list, &pci_shield_owners);
}

/**
 * pci_shield_unlet - Undo pci_shield_let(). The shield may be gone.
 * @bypass: What remembered it.
 */
void pci_shield_unlet(struct pci_liveupdate_bypass *bypass)
{
	guard(raw_spinlock_irqsave)(&pci_shield_lock);
	list_del(&bypass->list);
}

/* PCIe 7.7.1: with 64-bit addresses, with masks, with both, or without. */
static u16 pci_shield_msi_size(struct pci_dev *dev)
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
 * pci_shield_let_msi - Somebody may move a function's interrupt.
 * @shield: The shield.
 * @dev:    The function, or NULL: nobody may any more.
 */
void pci_shield_let_msi(struct pci_shield *shield, struct pci_dev *dev)
{
	u16 size = dev && dev->msi_cap ? pci_shield_msi_size(dev) : 0;

	guard(raw_spinlock_irqsave)(&pci_shield_lock);
	shield->msi = size ? dev->msi_cap : 0;
	shield->msi_size = size;
}

/**
 * pci_shield_is_let - May the current task write?
 * @shield: The shield.
 */
bool pci_shield_is_let(const struct pci_shield *shield)
{
	guard(raw_spinlock_irqsave)(&pci_shield_lock);

	return pci_shield_lets(shield);
}

/**
 * pci_shield_stops - Does the shield keep a write away?
 * @bus:   The bus.
 * @devfn: Device and function.
 * @pos:   Offset in configuration space, aligned to @len.
 * @len:   1, 2 or 4 bytes.
 * @val:   What is to be written.
 *
 * Context: any; with or without pci_lock.
 * Return: true if the write must not be sent.
 */
bool pci_shield_stops(struct pci_bus *bus, unsigned int devfn, int pos, int len,
		      u32 val)
{
	u32 old = 0, w1c, status, bits = len == 4 ? ~0 : (1U << (8 * len)) - 1;
	struct pci_shield *shield;

	guard(raw_spinlock_irqsave)(&pci_shield_lock);

	shield = pci_shield_find(pci_liveupdate_place(pci_domain_nr(bus),
						      bus->number, devfn));
	if (!shield || pci_shield_lets(shield))
		return false;
	if (shield->msi && pos >= shield->msi &&
	    pos < shield->msi + shield->msi_size)
		return false;

	bus->ops->read(bus, devfn, pos, len, &old);
	w1c = pci_shield_w1c(shield, pos, &status);
	if ((val ^ old) & ~status & bits) {
		shield->dropped++;
		pci_shield_note(shield, pos, len, old, val);
	} else if (val & old & w1c & bits) {
		if (shield->lets_status)
			return false;
		shield->kept++;
	} else {
		shield->swallowed++;
	}

	return true;
}
