/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DRIVERS_PCI_LIVEUPDATE_H
#define DRIVERS_PCI_LIVEUPDATE_H

#include <linux/list.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>
#include <linux/types.h>
#include <linux/luo/pci.h>

struct attribute_group;

#ifdef CONFIG_PCI_LIVEUPDATE

/* Registers of a function with bits that are cleared by writing 1. */
#define PCI_SHIELD_MAX_STATUS	16

/**
 * struct pci_shield_status - A register some of whose bits are W1C.
 * @offset: In configuration space, a multiple of 4.
 * @mask:   The bits.
 */
struct pci_shield_status {
	u16 offset;
	u32 mask;
};

/**
 * struct pci_shield - Keeps config writes away from one function or bridge.
 * @node:      Where it is found by its place.
 * @place:     See pci_liveupdate_place().
 * @status:    Where bits are cleared by writing 1.
 * @nr_status: Their number.
 * @dropped:   Writes that would have changed something.
 * @swallowed: Writes that would have written what is there.
 * @kept:      Writes that would have cleared status bits and nothing else.
 * @lets_status: These are sent, and not counted: an interrupt handler may not end
 *             before its status is clear.
 * @msi:       Where the MSI capability of a function is that its owner has taken
 *             over, 0 before: whoever moves its interrupt writes there.
 *
 * All is protected by the shield's lock.
 */
struct pci_shield {
	struct hlist_node node;
	u64 place;
	struct pci_shield_status status[PCI_SHIELD_MAX_STATUS];
	unsigned int nr_status;
	unsigned long dropped;
	unsigned long swallowed;
	unsigned long kept;
	bool lets_status;
	u16 msi;
};

extern bool pci_shield_is_up;

void pci_shield_init(struct pci_shield *shield, u64 place);
void pci_shield_learn(struct pci_shield *shield, struct pci_dev *dev);
void pci_shield_raise(struct pci_shield *shield);
void pci_shield_lower(struct pci_shield *shield);
void pci_shield_set_msi(struct pci_shield *shield, u16 msi);
void pci_shield_let(const struct pci_shield *shield,
		    struct pci_liveupdate_bypass *bypass);
void pci_shield_unlet(struct pci_liveupdate_bypass *bypass);
bool pci_shield_is_let(const struct pci_shield *shield);
bool pci_shield_stops(struct pci_bus *bus, unsigned int devfn, int pos, int len,
		      u32 val);

/*
 * The writes to configuration space by the kernel and by users come here, but
 * for those of pci_check_and_mask_intx(), which is the owner's, and arch code.
 */
static inline int pci_shielded_write(struct pci_bus *bus, unsigned int devfn,
				     int pos, int len, u32 val)
{
	if (unlikely(READ_ONCE(pci_shield_is_up)) &&
	    pci_shield_stops(bus, devfn, pos, len, val))
		return PCIBIOS_SUCCESSFUL;

	return bus->ops->write(bus, devfn, pos, len, val);
}

/**
 * enum pci_liveupdate_state - What became of a preserved device.
 * @PCI_LIVEUPDATE_OUTGOING:    Preserved for the next kernel.
 * @PCI_LIVEUPDATE_FROZEN:      The same, and the kexec is about to happen.
 * @PCI_LIVEUPDATE_EXPECTED:    The previous kernel has preserved it, it was not
 *                              found yet.
 * @PCI_LIVEUPDATE_INCOMING:    It was found as it was, and runs.
 * @PCI_LIVEUPDATE_QUARANTINED: It was not, and was stopped.
 */
enum pci_liveupdate_state {
	PCI_LIVEUPDATE_OUTGOING,
	PCI_LIVEUPDATE_FROZEN,
	PCI_LIVEUPDATE_EXPECTED,
	PCI_LIVEUPDATE_INCOMING,
	PCI_LIVEUPDATE_QUARANTINED,
};

/**
 * struct pci_liveupdate - A function that is preserved, or a bridge above it.
 * @list:      Among the outgoing or the incoming, in the order of their places.
 * @wire:      What crosses the kexec; outgoing: as it was when it was preserved.
 * @bars:      Its BARs.
 * @nr_bars:   Their number.
 * @registers: What it is reset to.
 * @nr_registers: Their number.
 * @parent:    The bridge above, NULL on a root bus.
 * @dev:       The device; NULL if there is none.
 * @added:     There is a reference to @dev, and it can be used.
 * @number:    Outgoing: its number in the wire's array.
 * @users:     Functions that need it, itself included.
 * @state:     What became of it.
 * @reason:    Why it is quarantined.
 * @stopped:   Its bus mastering was found off, or switched off, for that.
 * @pinned:    It is kept in D0.
 * @enabled:   It counts as enabled though nobody has enabled it.
 * @fixed:     Which of its resources must not be moved.
 * @shield:    Keeps writes away.
 */
struct pci_liveupdate {
	struct list_head list;
	struct luo_pci_device wire;
	struct luo_pci_bar *bars;
	unsigned int nr_bars;
	struct luo_pci_register *registers;
	unsigned int nr_registers;
	struct pci_liveupdate *parent;
	struct pci_dev *dev;
	bool added;
	u32 number;
	unsigned int users;
	enum pci_liveupdate_state state;
	const char *reason;
	bool stopped;
	bool pinned;
	bool enabled;
	u32 fixed;
	struct pci_shield shield;
};

static inline u64 pci_liveupdate_place(u32 segment, u8 bus, u8 devfn)
{
	return (u64)segment << 16 | bus << 8 | devfn;
}

/**
 * pci_liveupdate_hands_off - May nobody but the owner touch a device?
 * @dev: A function or bridge, or NULL.
 *
 * Return: true from before the first fixup of a device that the previous kernel
 * preserved until its owner has finished.
 */
static inline bool pci_liveupdate_hands_off(const struct pci_dev *dev)
{
	return dev && unlikely(dev->liveupdate_hands_off);
}

/**
 * pci_liveupdate_frozen - Is the kexec about to happen, and a device kept?
 * @dev: A function or bridge, or NULL.
 */
static inline bool pci_liveupdate_frozen(const struct pci_dev *dev)
{
	return dev && unlikely(dev->liveupdate_frozen);
}

/**
 * pci_liveupdate_kept - Must a device be left running?
 * @dev: A function or bridge, or NULL.
 *
 * Return: true if it is preserved for the next kernel, or was preserved by the
 * previous one and is not finished.
 */
static inline bool pci_liveupdate_kept(const struct pci_dev *dev)
{
	return dev && unlikely(dev->liveupdate_hands_off |
			       dev->liveupdate_kept);
}

/**
 * pci_liveupdate_needs_master - Must bus mastering stay on?
 * @dev: A function or bridge.
 *
 * Return: true for what is frozen, and for bridges above what is preserved: who
 * disables a bridge does not mean the functions below it. A function that is not
 * frozen is its owner's.
 */
static inline bool pci_liveupdate_needs_master(const struct pci_dev *dev)
{
	return unlikely(dev->liveupdate_frozen) ||
	       (pci_liveupdate_kept(dev) && dev->subordinate);
}

/**
 * pci_liveupdate_is_stopped - Must a device not become a bus master?
 * @dev: A function or bridge.
 *
 * Return: true while what it, or what is below it, was told to write to may be
 * anybody's memory by now.
 */
static inline bool pci_liveupdate_is_stopped(const struct pci_dev *dev)
{
	return unlikely(dev->liveupdate_stopped);
}

bool pci_liveupdate_any_incoming(void);
bool pci_liveupdate_forbids_reset(struct pci_dev *dev);
void pci_liveupdate_setup(struct pci_dev *dev);
void pci_liveupdate_verify(struct pci_dev *dev);
void pci_liveupdate_add(struct pci_dev *dev);
void pci_liveupdate_remove(struct pci_dev *dev);
void pci_liveupdate_claim(struct pci_bus *bus);
bool pci_liveupdate_bar_masks(struct pci_dev *dev, unsigned int count,
			      unsigned int pos, u32 *masks);
u16 pci_liveupdate_flags(struct pci_dev *dev);
u16 pci_liveupdate_vf_buses(struct pci_dev *dev);
int pci_liveupdate_match(struct pci_dev *dev, const char *tag);
bool pci_liveupdate_shutdown_begin(struct pci_dev *dev,
				   struct pci_liveupdate_bypass *bypass);
void pci_liveupdate_shutdown_end(struct pci_dev *dev,
				 struct pci_liveupdate_bypass *bypass);
extern const struct attribute_group pci_liveupdate_attr_group;

/* liveupdate_state.c */
int pci_liveupdate_read(struct pci_dev *dev, struct luo_pci_device *wire);
const char *pci_liveupdate_differs(struct pci_dev *dev,
				   const struct pci_liveupdate *lu);
int pci_liveupdate_read_bars(struct pci_dev *dev, struct luo_pci_bar *bars);
unsigned int pci_liveupdate_pristine(struct pci_dev *dev,
				     const struct pci_saved_state *state,
				     struct luo_pci_register *registers);
struct pci_saved_state *
pci_liveupdate_make_pristine(struct pci_dev *dev,
			     const struct luo_pci_register *registers,
			     unsigned int nr);

/* BAR 0 to 5, the ROM, and as many VF BARs */
#define PCI_LIVEUPDATE_MAX_BARS		13
#define PCI_LIVEUPDATE_MAX_REGISTERS	48

#else /* CONFIG_PCI_LIVEUPDATE */

static inline int pci_shielded_write(struct pci_bus *bus, unsigned int devfn,
				     int pos, int len, u32 val)
{
	return bus->ops->write(bus, devfn, pos, len, val);
}

static inline bool pci_liveupdate_hands_off(const struct pci_dev *dev)
{
	return false;
}

static inline bool pci_liveupdate_frozen(const struct pci_dev *dev)
{
	return false;
}

static inline bool pci_liveupdate_kept(const struct pci_dev *dev)
{
	return false;
}

static inline bool pci_liveupdate_any_incoming(void)
{
	return false;
}

static inline bool pci_liveupdate_needs_master(const struct pci_dev *dev)
{
	return false;
}

static inline bool pci_liveupdate_is_stopped(const struct pci_dev *dev)
{
	return false;
}

static inline bool pci_liveupdate_forbids_reset(struct pci_dev *dev)
{
	return false;
}

static inline void pci_liveupdate_setup(struct pci_dev *dev)
{
}

static inline void pci_liveupdate_verify(struct pci_dev *dev)
{
}

static inline void pci_liveupdate_add(struct pci_dev *dev)
{
}

static inline void pci_liveupdate_remove(struct pci_dev *dev)
{
}

static inline void pci_liveupdate_claim(struct pci_bus *bus)
{
}

static inline bool pci_liveupdate_bar_masks(struct pci_dev *dev,
					    unsigned int count,
					    unsigned int pos, u32 *masks)
{
	return false;
}

static inline u16 pci_liveupdate_flags(struct pci_dev *dev)
{
	return 0;
}

static inline u16 pci_liveupdate_vf_buses(struct pci_dev *dev)
{
	return 0;
}

static inline int pci_liveupdate_match(struct pci_dev *dev, const char *tag)
{
	return 0;
}

static inline bool
pci_liveupdate_shutdown_begin(struct pci_dev *dev,
			      struct pci_liveupdate_bypass *bypass)
{
	return false;
}

static inline void
pci_liveupdate_shutdown_end(struct pci_dev *dev,
			    struct pci_liveupdate_bypass *bypass)
{
}

#endif /* CONFIG_PCI_LIVEUPDATE */
#endif /* DRIVERS_PCI_LIVEUPDATE_H */
