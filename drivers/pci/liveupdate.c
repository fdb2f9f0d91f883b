// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: PCI functions that keep running across a live update
 *
 * A function that is passed through to a VM continues DMA while kexec replaces
 * the kernel. The old kernel does not stop the function or the bridges above it
 * (the path). The new kernel does not probe, size, renumber, move, configure,
 * reset or suspend a running device, and binds it only to its owner's driver.
 *
 * The preserved state is the blob of linux/luo/pci.h. It is the shared state
 * (FLB) of all files whose drivers preserve functions. The new kernel does not
 * trust it, but compares it with the hardware:
 *
 * - They match: config writes to the function and its path are blocked until
 *   the owner has finished, see liveupdate_write_block.c.
 * - They differ, or the device is absent: the device is *quarantined*. Its bus
 *   mastering is disabled, at the device or at the nearest bridge that can be
 *   reached. Then the kernel handles it like any other device, except that no
 *   driver is bound to it until the owner has finished. The owner gets an error
 *   and the reason. An invalid value in the preserved state of a device has the same
 *   effect.
 * - The preserved state as a whole cannot be read: every function that can still do DMA
 *   was left running by the previous kernel, and is stopped.
 *
 * The following cannot be preserved and are refused: virtual functions; physical
 * functions with virtual functions or PTM enabled; functions or paths with PRI, TPH
 * or IDE enabled, with ATS or PASID that no IOMMU driver has enabled, with an
 * incomplete DOE exchange, or with ACS that is not controlled by the standard
 * capability; and functions in an IOMMU group with devices that are not on the path.
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
#include <linux/string.h>

#include "liveupdate.h"
#include "liveupdate_internal.h"
#include "liveupdate_wire.h"
#include "pci.h"

/*
 * Protects the lists of incoming and outgoing devices and their entries. Nests
 * inside LUO's locks, the rescan lock and device locks. Config space is accessed
 * while it is held. pci_bus_sem must not be taken inside of it, as error recovery
 * takes device locks inside of pci_bus_sem: use for_each_pci_dev().
 */
DEFINE_MUTEX(pci_liveupdate_lock);

/*
 * &pci_dev.liveupdate and .liveupdate_out change with this lock and
 * pci_liveupdate_lock held. What they point to is freed only after they have
 * changed. sysfs takes only this lock: its files are removed with
 * pci_liveupdate_lock held.
 */
DEFINE_SPINLOCK(pci_liveupdate_pointers);

u64 pci_liveupdate_wire_sbdf(const struct luo_pci_device *wire)
{
	return pci_liveupdate_sbdf(wire->segment, wire->bus, wire->devfn);
}

u64 pci_liveupdate_dev_sbdf(struct pci_dev *dev)
{
	return pci_liveupdate_sbdf(pci_domain_nr(dev->bus), dev->bus->number,
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
	WRITE_ONCE(dev->liveupdate_preserved, !!lu);
}

void pci_liveupdate_free(struct pci_liveupdate *lu)
{
	list_del(&lu->list);
	if (lu->added)
		pci_dev_put(lu->dev);
	kfree(lu->bars);
	kfree(lu->registers);
	kfree_rcu(lu, rcu);
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

/* Return: true if the first reset method of @dev resets a bus with a running device. */
static bool pci_liveupdate_resets_bus(struct pci_dev *dev)
{
	const char *method = pci_reset_fn_methods[dev->reset_methods[0]].name;
	struct pci_dev *bridge = pci_upstream_bridge(dev);

	return method && (!strcmp(method, "bus") || !strcmp(method, "cxl_bus")) &&
	       bridge && pci_liveupdate_forbids_bus_reset(bridge);
}

/**
 * pci_liveupdate_forbids_reset - Check whether a reset would hit a running device
 * @dev: The function to reset, or a bridge whose secondary bus is to be reset.
 *
 * From the freeze until its owner has finished only the owner of a function may
 * reset it, and not by a reset of the bus. Before the freeze see
 * pci_liveupdate_was_lost().
 *
 * To be called before the function is disabled for the reset, which would stop its
 * DMA.
 *
 * Context: Sleeps.
 * Return: true, with a log line, if the reset must not be done.
 */
bool pci_liveupdate_forbids_reset(struct pci_dev *dev)
{
	struct pci_liveupdate *lu;

	if (!pci_liveupdate_forbids_bus_reset(dev))
		return false;

	scoped_guard(mutex, &pci_liveupdate_lock) {
		lu = dev->liveupdate;
		if (lu && !dev->subordinate && pci_writes_allowed(&lu->block) &&
		    !pci_liveupdate_resets_bus(dev))
			return false;
	}
	/* A guest can trigger this through its VMM at any rate. */
	pci_info_ratelimited(dev, "not reset: preserved for live update, close or finish its session first\n");

	return true;
}

/**
 * pci_liveupdate_veto - Refuse to remove, unbind or reset a preserved device
 * @dev:  A function or bridge.
 * @what: The refused operation, for the log: "removed", "unbound", "reset", "changed".
 *
 * The bridges above a preserved function are preserved, too. The devices below
 * @dev need no check.
 *
 * Context: Any. The result changes only while @dev's lock is held, see
 * pci_liveupdate_preserve(), or when its live update is finished.
 * Return: 0, or -EBUSY with a log line.
 */
int pci_liveupdate_veto(struct pci_dev *dev, const char *what)
{
	if (!pci_liveupdate_preserved(dev))
		return 0;
	pci_info(dev, "not %s: preserved for live update, close or finish its session first\n",
		 what);

	return -EBUSY;
}

/* A device that was pulled out can be removed: it does no DMA any more. */
static int pci_liveupdate_may_remove(struct pci_dev *dev)
{
	if (!pci_liveupdate_preserved(dev) || !pci_device_is_present(dev))
		return 0;

	return pci_liveupdate_veto(dev, "removed");
}

/**
 * pci_liveupdate_removal_begin - Begin to remove a device and all devices below it
 * @dev: The function or bridge.
 *
 * Every removal calls this, except the removal of a root bus, see
 * pci_liveupdate_root_veto(). After success neither @dev nor a device below it can
 * be preserved.
 *
 * Context: Sleeps. May be nested.
 * Return: 0, then the caller must call pci_liveupdate_removal_end(). -EBUSY, with
 * a log line, if the device is preserved and present, or if a live update is
 * about to start the next kernel.
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

static bool pci_liveupdate_is_in_slot(struct pci_dev *dev, struct pci_bus *bus,
				      int device)
{
	return dev->bus == bus && (device < 0 || PCI_SLOT(dev->devfn) == device);
}

/**
 * pci_liveupdate_slot_begin - Begin to remove all devices of a slot
 * @bus:      The slot's bus.
 * @device:   The slot's device number, or -1 for all devices of the bus.
 * @surprise: The devices are absent or have been replaced.
 *
 * Either all devices are removed or none. After success
 * pci_liveupdate_removal_begin() succeeds for each of them.
 *
 * Context: Sleeps.
 * Return: as pci_liveupdate_removal_begin().
 */
int pci_liveupdate_slot_begin(struct pci_bus *bus, int device, bool surprise)
{
	struct pci_dev *dev = NULL;
	int err = 0;

	if (!device_removal_begin()) {
		dev_info(&bus->dev, "devices not removed: a live update is about to start the next kernel\n");
		return -EBUSY;
	}
	if (surprise)
		return 0;

	scoped_guard(mutex, &pci_liveupdate_lock) {
		for_each_pci_dev(dev) {
			if (pci_liveupdate_is_in_slot(dev, bus, device))
				err = err ?: pci_liveupdate_may_remove(dev);
		}
		for_each_pci_dev(dev) {
			if (!err && pci_liveupdate_is_in_slot(dev, bus, device))
				set_bit(PCI_DEV_GOING, &dev->priv_flags);
		}
	}
	if (err)
		pci_liveupdate_removal_end();

	return err;
}

/**
 * pci_liveupdate_root_veto - Refuse to remove a root bus with a preserved device
 * @bus: The root bus.
 *
 * For the driver of the host bridge, before it stops the bus. A device that is
 * preserved after this check is removed when its user closes it.
 *
 * Context: Sleeps.
 * Return: 0, or -EBUSY with a log line.
 */
int pci_liveupdate_root_veto(struct pci_bus *bus)
{
	struct pci_dev *dev;
	int err = 0;

	guard(rwsem_read)(&pci_bus_sem);
	list_for_each_entry(dev, &bus->devices, bus_list)
		err = err ?: pci_liveupdate_may_remove(dev);

	return err;
}

/**
 * pci_liveupdate_forbids_vpd - Check whether VPD cannot be read
 * @dev: The function.
 *
 * A read of VPD begins with a config write, of the address.
 *
 * Return: true if config writes of the current task are blocked.
 */
bool pci_liveupdate_forbids_vpd(struct pci_dev *dev)
{
	if (!pci_liveupdate_running(dev) && !pci_liveupdate_frozen(dev))
		return false;

	guard(spinlock)(&pci_liveupdate_pointers);

	return !dev->liveupdate || !pci_writes_allowed(&dev->liveupdate->block);
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

/*
 * Lockdep does not check device locks, so it cannot see the order of error recovery:
 * pci_bus_sem, a device lock, and in pci_liveupdate_match() pci_liveupdate_lock.
 */
static void __init pci_liveupdate_teach_lockdep(void)
{
	guard(rwsem_read)(&pci_bus_sem);
	guard(mutex)(&pci_liveupdate_lock);
}

static int __init pci_liveupdate_watch(void)
{
	if (IS_ENABLED(CONFIG_LOCKDEP))
		pci_liveupdate_teach_lockdep();

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
 * pci_liveupdate_register - Let the files of a handler preserve functions
 * @fh: The handler, registered with LUO.
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
 * pci_liveupdate_unregister - Undo pci_liveupdate_register()
 * @fh: The handler.
 *
 * Context: Sleeps.
 */
void pci_liveupdate_unregister(struct liveupdate_file_handler *fh)
{
	liveupdate_unregister_flb(fh, &pci_liveupdate_flb);
}
EXPORT_SYMBOL_GPL(pci_liveupdate_unregister);
