/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DRIVERS_PCI_LIVEUPDATE_H
#define DRIVERS_PCI_LIVEUPDATE_H

#include <linux/cleanup.h>
#include <linux/device/removal.h>
#include <linux/errno.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>
#include <linux/rcupdate.h>
#include <linux/types.h>
#include <linux/luo/pci.h>

struct attribute_group;

#ifdef CONFIG_PCI_LIVEUPDATE

/* liveupdate_shield.c */
extern bool pci_shield_is_up;

bool pci_shield_stops(struct pci_bus *bus, unsigned int devfn, int pos, int len,
		      u32 val);

/*
 * The writes to configuration space by the kernel and by users come here, but
 * for those of pci_check_and_mask_intx(), which is the owner's, and arch code.
 */
static inline int pci_shielded_write(struct pci_bus *bus, unsigned int devfn,
				     int pos, int len, u32 val)
{
	/* Who raises a shield waits for those who are past this. */
	guard(rcu)();

	if (unlikely(READ_ONCE(pci_shield_is_up)) &&
	    pci_shield_stops(bus, devfn, pos, len, val))
		return PCIBIOS_SUCCESSFUL;

	return bus->ops->write(bus, devfn, pos, len, val);
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

/**
 * pci_liveupdate_leave_unfixed - Final fixups are left out.
 * @dev: A function or bridge, hands-off.
 */
static inline void pci_liveupdate_leave_unfixed(struct pci_dev *dev)
{
	dev->liveupdate_unfixed = true;
}

/**
 * pci_liveupdate_is_unfixed - Were final fixups left out, and not run since?
 * @dev: A function or bridge.
 */
static inline bool pci_liveupdate_is_unfixed(const struct pci_dev *dev)
{
	return unlikely(dev->liveupdate_unfixed);
}

int pci_liveupdate_veto(struct pci_dev *dev, const char *what);
int pci_liveupdate_removal_begin(struct pci_dev *dev);
int pci_liveupdate_slot_begin(struct pci_bus *bus, int device, bool surprise);
bool pci_liveupdate_any_incoming(void);
bool pci_liveupdate_forbids_vpd(struct pci_dev *dev);
bool pci_liveupdate_forbids_reset(struct pci_dev *dev);
void pci_liveupdate_was_reset(struct pci_dev *dev);
void pci_liveupdate_fixup(struct pci_dev *dev);
void pci_liveupdate_setup(struct pci_dev *dev);
void pci_liveupdate_verify(struct pci_dev *dev);
void pci_liveupdate_add(struct pci_dev *dev);
void pci_liveupdate_remove(struct pci_dev *dev);
void pci_liveupdate_claim(struct pci_bus *bus);
bool pci_liveupdate_bar_masks(struct pci_dev *dev, unsigned int count,
			      unsigned int pos, u32 *masks);
u16 pci_liveupdate_flags(struct pci_dev *dev);
u16 pci_liveupdate_vf_buses(struct pci_dev *dev);
void pci_liveupdate_restore_acs(struct pci_dev *dev);
int pci_liveupdate_match(struct pci_dev *dev, const char *tag);
bool pci_liveupdate_shutdown_begin(struct pci_dev *dev,
				   struct pci_liveupdate_bypass *bypass);
void pci_liveupdate_shutdown_end(struct pci_dev *dev,
				 struct pci_liveupdate_bypass *bypass);
extern const struct attribute_group pci_liveupdate_attr_group;

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

static inline int pci_liveupdate_veto(struct pci_dev *dev, const char *what)
{
	return 0;
}

static inline int pci_liveupdate_removal_begin(struct pci_dev *dev)
{
	return device_removal_begin() ? 0 : -EBUSY;
}

static inline int pci_liveupdate_slot_begin(struct pci_bus *bus, int device,
					    bool surprise)
{
	return device_removal_begin() ? 0 : -EBUSY;
}

static inline void pci_liveupdate_leave_unfixed(struct pci_dev *dev)
{
}

static inline bool pci_liveupdate_is_unfixed(const struct pci_dev *dev)
{
	return false;
}

static inline void pci_liveupdate_fixup(struct pci_dev *dev)
{
}

static inline bool pci_liveupdate_forbids_vpd(struct pci_dev *dev)
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

static inline void pci_liveupdate_was_reset(struct pci_dev *dev)
{
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

static inline void pci_liveupdate_restore_acs(struct pci_dev *dev)
{
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

/* Undo pci_liveupdate_removal_begin() and pci_liveupdate_slot_begin(). */
static inline void pci_liveupdate_removal_end(void)
{
	device_removal_end();
}

#endif /* DRIVERS_PCI_LIVEUPDATE_H */
