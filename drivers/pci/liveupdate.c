// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: PCI functions that keep running across a live update
 *
 * A function that is passed through to a VM goes on with DMA while the kernel
 * is replaced by kexec. PCI does little for that and leaves a lot undone: in the
 * old kernel it does not stop the function, or a bridge above it (the path); in
 * the new one it does not probe, size, renumber, move, configure, reset or put
 * to sleep anything that runs, and gives it to nobody but its owner.
 *
 * What was preserved is in the blob of linux/luo/pci.h, shared state (FLB) of
 * all files whose drivers preserve functions. Nothing in it is believed: the new
 * kernel reads the hardware and compares.
 *
 * - The same: the function and its path are *hands-off* until the owner has
 *   finished. See liveupdate_shield.c for what that means.
 * - Not the same, or not there: *quarantine*. Its bus mastering is switched
 *   off, there or at the nearest bridge that can be reached, and only then the
 *   kernel does with it what it does with any other device, but binds no driver
 *   until the owner, who gets an error and the reason, has finished.
 * - What was preserved cannot be read: every function that could still do DMA is
 *   one that the previous kernel did not stop, and is stopped.
 *
 * Not preserved, and refused: virtual functions, physical functions with virtual
 * functions, ATS, PRI, PASID, TPH, PTM and IDE if enabled, a DOE exchange that
 * is not complete, ACS that is not configured by the standard capability, groups
 * with members that are not on the path.
 */

#include <linux/cleanup.h>
#include <linux/device/removal.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/liveupdate.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "liveupdate.h"
#include "liveupdate_internal.h"
#include "liveupdate_wire.h"
#include "pci.h"

/*
 * Protects all that the files beside this one know about devices. Taken inside
 * LUO's locks, the rescan lock and device locks; outside of config accesses.
 */
DEFINE_MUTEX(pci_liveupdate_lock);

/*
 * &pci_dev.liveupdate and .liveupdate_out change with both locks held, and what
 * they lead to is freed only after that. For those who cannot wait for the
 * other: sysfs, whose files are removed with it held.
 */
DEFINE_SPINLOCK(pci_liveupdate_pointers);

u64 pci_liveupdate_place_of(const struct luo_pci_device *wire)
{
	return pci_liveupdate_place(wire->segment, wire->bus, wire->devfn);
}

u64 pci_liveupdate_place_of_dev(struct pci_dev *dev)
{
	return pci_liveupdate_place(pci_domain_nr(dev->bus), dev->bus->number,
				    dev->devfn);
}

/* @lu may be NULL, here and below. */
void pci_liveupdate_set_incoming(struct pci_dev *dev,
				 struct pci_liveupdate *lu)
{
	guard(spinlock)(&pci_liveupdate_pointers);
	WRITE_ONCE(dev->liveupdate, lu);
}

void pci_liveupdate_set_outgoing(struct pci_dev *dev,
				 struct pci_liveupdate *lu)
{
	guard(spinlock)(&pci_liveupdate_pointers);
	WRITE_ONCE(dev->liveupdate_out, lu);
	WRITE_ONCE(dev->liveupdate_kept, !!lu);
}

void pci_liveupdate_free(struct pci_liveupdate *lu)
{
	list_del(&lu->list);
	if (lu->added)
		pci_dev_put(lu->dev);
	kfree(lu->bars);
	kfree(lu->registers);
	kfree(lu);
}

void pci_liveupdate_pin(struct pci_liveupdate *lu)
{
	if (lu->pinned)
		return;
	lu->pinned = true;
	pm_runtime_get_noresume(&lu->dev->dev);
}

void pci_liveupdate_unpin(struct pci_liveupdate *lu)
{
	if (!lu->pinned)
		return;
	lu->pinned = false;
	pm_runtime_put(&lu->dev->dev);
}

/**
 * pci_liveupdate_forbids_reset - Would a reset hit a device that must run?
 * @dev: What is to be reset; of a bridge, the bus below.
 *
 * Context: Sleeps.
 * Return: true, with a log line, unless the owner of a function resets it.
 */
bool pci_liveupdate_forbids_reset(struct pci_dev *dev)
{
	struct pci_liveupdate *lu;

	if (!pci_liveupdate_hands_off(dev) && !pci_liveupdate_frozen(dev) &&
	    !(dev->subordinate && pci_liveupdate_kept(dev)))
		return false;

	scoped_guard(mutex, &pci_liveupdate_lock) {
		lu = dev->liveupdate;
		if (lu && !dev->subordinate && pci_shield_is_let(&lu->shield))
			return false;
	}
	pci_info(dev, "not reset: preserved for live update\n");

	return true;
}

/**
 * pci_liveupdate_veto - Refuse what would end a preserved device
 * @dev:  A function or bridge.
 * @what: What is refused, for the log: "removed", "unbound", "reset".
 *
 * A bridge above a preserved function is preserved, too, so that nothing below
 * @dev has to be looked at.
 *
 * Context: Any. The result changes only while @dev's lock is held, see
 * pci_liveupdate_preserve(), or when its live update is finished.
 * Return: 0 or -EBUSY, with a log line.
 */
int pci_liveupdate_veto(struct pci_dev *dev, const char *what)
{
	if (!pci_liveupdate_kept(dev))
		return 0;
	pci_info(dev, "not %s: preserved for live update, close or finish its session first\n",
		 what);

	return -EBUSY;
}

/* A device that was pulled out is gone, and only has to be accounted for. */
static int pci_liveupdate_may_remove(struct pci_dev *dev)
{
	if (!pci_liveupdate_kept(dev) || !pci_device_is_present(dev))
		return 0;

	return pci_liveupdate_veto(dev, "removed");
}

/**
 * pci_liveupdate_removal_begin - Begin to remove a device and all below it
 * @dev: The function or bridge.
 *
 * All removals pass here, except that of a whole root bus. From its success on
 * neither the device nor anything below it can be preserved.
 *
 * Context: Sleeps. May be nested.
 * Return: 0, and pci_liveupdate_removal_end() must follow, or -EBUSY with a log
 * line: the device is preserved, and still there, or a live update is about to
 * start the next kernel.
 */
int pci_liveupdate_removal_begin(struct pci_dev *dev)
{
	int err;

	if (!device_removal_begin()) {
		pci_info(dev, "not removed: a live update is about to start the next kernel\n");
		return -EBUSY;
	}

	scoped_guard(mutex, &pci_liveupdate_lock) {
		err = pci_liveupdate_may_remove(dev);
		if (!err)
			set_bit(PCI_DEV_GOING, &dev->priv_flags);
	}
	if (err)
		pci_liveupdate_removal_end();

	return err;
}

/**
 * pci_liveupdate_slot_begin - Begin to remove all devices of a slot
 * @bus:      The slot's bus.
 * @device:   The slot's device number, or -1 for all that is on the bus.
 * @surprise: They are gone, or others are there in their place.
 *
 * All are removed or none. After this pci_liveupdate_removal_begin() succeeds for
 * each of them.
 *
 * Context: Sleeps.
 * Return: as pci_liveupdate_removal_begin().
 */
int pci_liveupdate_slot_begin(struct pci_bus *bus, int device, bool surprise)
{
	struct pci_dev *dev;
	int err = 0;

	if (!device_removal_begin()) {
		dev_info(&bus->dev, "devices not removed: a live update is about to start the next kernel\n");
		return -EBUSY;
	}
	if (surprise)
		return 0;

	scoped_guard(mutex, &pci_liveupdate_lock) {
		guard(rwsem_read)(&pci_bus_sem);
		list_for_each_entry(dev, &bus->devices, bus_list) {
			if (device >= 0 && PCI_SLOT(dev->devfn) != device)
				continue;
			err = err ?: pci_liveupdate_may_remove(dev);
		}
		list_for_each_entry(dev, &bus->devices, bus_list) {
			if (!err && (device < 0 || PCI_SLOT(dev->devfn) == device))
				set_bit(PCI_DEV_GOING, &dev->priv_flags);
		}
	}
	if (err)
		pci_liveupdate_removal_end();

	return err;
}

/**
 * pci_liveupdate_forbids_vpd - Would VPD not be what is read?
 * @dev: The function whose VPD it is.
 *
 * Who reads VPD writes its address first.
 *
 * Return: true if that would be kept away.
 */
bool pci_liveupdate_forbids_vpd(struct pci_dev *dev)
{
	if (!pci_liveupdate_hands_off(dev) && !pci_liveupdate_frozen(dev))
		return false;

	guard(spinlock)(&pci_liveupdate_pointers);

	return !dev->liveupdate || !pci_shield_is_let(&dev->liveupdate->shield);
}

static int pci_liveupdate_unbind(struct notifier_block *nb, unsigned long action,
				 void *data)
{
	struct device *dev = data;

	if (!dev_is_pci(dev))
		return NOTIFY_DONE;

	return notifier_from_errno(pci_liveupdate_veto(to_pci_dev(dev),
						       "unbound"));
}

static struct notifier_block pci_liveupdate_unbind_nb = {
	.notifier_call = pci_liveupdate_unbind,
};

static int __init pci_liveupdate_watch(void)
{
	return device_unbind_notifier_register(&pci_liveupdate_unbind_nb);
}
postcore_initcall(pci_liveupdate_watch);

static const struct liveupdate_flb_ops pci_liveupdate_flb_ops = {
	.preserve = pci_liveupdate_flb_preserve,
	.unpreserve = pci_liveupdate_flb_unpreserve,
	.freeze = pci_liveupdate_flb_freeze,
	.unfreeze = pci_liveupdate_flb_unfreeze,
	.retrieve = pci_liveupdate_flb_retrieve,
	.finish = pci_liveupdate_flb_finish,
};

struct liveupdate_flb pci_liveupdate_flb = {
	.ops = &pci_liveupdate_flb_ops,
	.compatible = LUO_PCI_TAG,
	.tag = &pci_liveupdate_tag,
};

/**
 * pci_liveupdate_register - The files of a handler preserve functions.
 * @fh: The handler, registered.
 *
 * Context: Sleeps.
 * Return: as liveupdate_register_flb().
 */
int pci_liveupdate_register(struct liveupdate_file_handler *fh)
{
	return liveupdate_register_flb(fh, &pci_liveupdate_flb);
}
EXPORT_SYMBOL_GPL(pci_liveupdate_register);

/**
 * pci_liveupdate_unregister - Undo pci_liveupdate_register().
 * @fh: The handler.
 *
 * Context: Sleeps.
 */
void pci_liveupdate_unregister(struct liveupdate_file_handler *fh)
{
	liveupdate_unregister_flb(fh, &pci_liveupdate_flb);
}
EXPORT_SYMBOL_GPL(pci_liveupdate_unregister);
