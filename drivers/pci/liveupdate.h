/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DRIVERS_PCI_LIVEUPDATE_H
#define DRIVERS_PCI_LIVEUPDATE_H

#include <linux/cleanup.h>
#include <linux/device/removal.h>
#include <linux/errno.h>
#include <linux/jump_label_ratelimit.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>
#include <linux/rcupdate.h>
#include <linux/types.h>
#include <linux/luo/pci.h>

struct attribute_group;

#ifdef CONFIG_PCI_LIVEUPDATE

/* liveupdate_write_block.c */
extern struct static_key_false_deferred pci_any_write_block;

bool pci_write_is_blocked(struct pci_bus *bus, unsigned int devfn, int pos, int len,
			  u32 val, int *result);

/*
 * All config writes of the kernel and of user space go through this function,
 * except those of pci_check_and_mask_intx(), which the owner calls, and of
 * architecture code.
 */
static inline int pci_checked_write(struct pci_bus *bus, unsigned int devfn,
				    int pos, int len, u32 val)
{
	int result;

	/* Pairs with synchronize_rcu_expedited() in the freeze path. */
	guard(rcu)();

	if (static_branch_unlikely(&pci_any_write_block.key) &&
	    pci_write_is_blocked(bus, devfn, pos, len, val, &result))
		return result;

	return bus->ops->write(bus, devfn, pos, len, val);
}

/**
 * pci_liveupdate_running - Check whether a device runs since the previous kernel
 * @dev: A function or bridge, or NULL.
 *
 * Config writes to such a device are blocked, except those of its owner.
 *
 * Return: true from before the first fixup of a device that the previous kernel
 * preserved until its owner has finished.
 */
static inline bool pci_liveupdate_running(const struct pci_dev *dev)
{
	return dev && unlikely(dev->liveupdate_running);
}

/**
 * pci_liveupdate_frozen - Check whether a device is frozen for the kexec
 * @dev: A function or bridge, or NULL.
 *
 * Return: true if @dev is preserved and its shared state is frozen.
 */
static inline bool pci_liveupdate_frozen(const struct pci_dev *dev)
{
	return dev && unlikely(dev->liveupdate_frozen);
}

/**
 * pci_liveupdate_preserved - Check whether a device is preserved
 * @dev: A function or bridge, or NULL.
 *
 * Return: true if it is preserved for the next kernel, or was preserved by the
 * previous one and is not finished.
 */
static inline bool pci_liveupdate_preserved(const struct pci_dev *dev)
{
	return dev && unlikely(dev->liveupdate_running |
			       dev->liveupdate_preserved);
}

/**
 * pci_liveupdate_forbids_bus_reset - Check whether a bus reset would hit a running device
 * @dev: A function or bridge.
 *
 * Return: true from the freeze until the owner has finished.
 */
static inline bool pci_liveupdate_forbids_bus_reset(const struct pci_dev *dev)
{
	return pci_liveupdate_running(dev) || pci_liveupdate_frozen(dev);
}

/**
 * pci_liveupdate_needs_master - Check whether bus mastering must stay enabled
 * @dev: A function or bridge.
 *
 * Return: true for a frozen device, and for a preserved bridge, because the
 * functions below it depend on it. The owner of a function that is not frozen
 * may disable it.
 */
static inline bool pci_liveupdate_needs_master(const struct pci_dev *dev)
{
	return unlikely(dev->liveupdate_frozen) ||
	       (pci_liveupdate_preserved(dev) && dev->subordinate);
}

/**
 * pci_liveupdate_is_stopped - Check whether a device must not become a bus master
 * @dev: A function or bridge.
 *
 * Return: true while the DMA programming of @dev, or of a device below it, is
 * stale: the memory may have been freed and reused.
 */
static inline bool pci_liveupdate_is_stopped(const struct pci_dev *dev)
{
	return unlikely(dev->liveupdate_stopped);
}

/**
 * pci_liveupdate_defer_fixups - Defer the final fixups of a device
 * @dev: A running function or bridge.
 */
static inline void pci_liveupdate_defer_fixups(struct pci_dev *dev)
{
	dev->liveupdate_fixups_deferred = true;
}

/**
 * pci_liveupdate_fixups_deferred - Check whether final fixups are still deferred
 * @dev: A function or bridge.
 */
static inline bool pci_liveupdate_fixups_deferred(const struct pci_dev *dev)
{
	return unlikely(dev->liveupdate_fixups_deferred);
}

int pci_liveupdate_veto(struct pci_dev *dev, const char *what);
int pci_liveupdate_removal_begin(struct pci_dev *dev);
int pci_liveupdate_slot_begin(struct pci_bus *bus, int device, bool surprise);
bool pci_liveupdate_forbids_vpd(struct pci_dev *dev);
bool pci_liveupdate_forbids_reset(struct pci_dev *dev);
void pci_liveupdate_was_lost(struct pci_dev *top, const struct pci_driver *by);
void pci_liveupdate_was_contained(struct pci_dev *port);
void pci_liveupdate_was_reset(struct pci_dev *dev);
void pci_liveupdate_bus_was_reset(struct pci_dev *bridge);
void pci_liveupdate_slot_was_reset(struct pci_slot *slot);
void pci_liveupdate_slot_off(struct pci_bus *bus, int device);
void pci_liveupdate_fixup(struct pci_dev *dev);
void pci_liveupdate_setup(struct pci_dev *dev);
void pci_liveupdate_verify(struct pci_dev *dev);
void pci_liveupdate_add(struct pci_dev *dev);
void pci_liveupdate_remove(struct pci_dev *dev);
void pci_liveupdate_bridge_scanned(struct pci_dev *bridge);
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

static inline int pci_checked_write(struct pci_bus *bus, unsigned int devfn,
				    int pos, int len, u32 val)
{
	return bus->ops->write(bus, devfn, pos, len, val);
}

static inline bool pci_liveupdate_running(const struct pci_dev *dev)
{
	return false;
}

static inline bool pci_liveupdate_frozen(const struct pci_dev *dev)
{
	return false;
}

static inline bool pci_liveupdate_preserved(const struct pci_dev *dev)
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

static inline void pci_liveupdate_defer_fixups(struct pci_dev *dev)
{
}

static inline bool pci_liveupdate_fixups_deferred(const struct pci_dev *dev)
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

static inline bool pci_liveupdate_forbids_bus_reset(const struct pci_dev *dev)
{
	return false;
}

static inline void pci_liveupdate_was_lost(struct pci_dev *top,
					   const struct pci_driver *by)
{
}

static inline void pci_liveupdate_was_contained(struct pci_dev *port)
{
}

static inline void pci_liveupdate_was_reset(struct pci_dev *dev)
{
}

static inline void pci_liveupdate_bus_was_reset(struct pci_dev *bridge)
{
}

static inline void pci_liveupdate_slot_was_reset(struct pci_slot *slot)
{
}

static inline void pci_liveupdate_slot_off(struct pci_bus *bus, int device)
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

static inline void pci_liveupdate_bridge_scanned(struct pci_dev *bridge)
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
