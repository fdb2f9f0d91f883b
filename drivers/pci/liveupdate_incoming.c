// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices preserved by the previous kernel: reading its blob, matching the blob
 * with the devices that enumeration finds, and quarantine of those that differ.
 */

#include <linux/cleanup.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/device/removal.h>
#include <linux/init.h>
#include <linux/liveupdate.h>
#include <linux/luo_abi.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/suspend.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "liveupdate.h"
#include "liveupdate_internal.h"
#include "liveupdate_wire.h"
#include "pci.h"

struct pci_liveupdate_incoming pci_incoming = {
	.devices = LIST_HEAD_INIT(pci_incoming.devices),
};

/* --- the blob */

static struct pci_liveupdate *pci_liveupdate_number(u32 number)
{
	struct pci_liveupdate *lu;

	list_for_each_entry(lu, &pci_incoming.devices, list) {
		if (lu->number == number)
			return lu;
	}

	return NULL;
}

/*
 * Check the values of a device and find the bridge above it. A device of an unknown
 * kind is handled like a function if it has an owner, otherwise like a bridge.
 */
static void pci_liveupdate_load_one(struct pci_liveupdate *lu)
{
	struct luo_pci_device *wire = &lu->wire;

	lu->invalid = pci_liveupdate_check_values(wire);
	if (wire->kind != LUO_PCI_FUNCTION && wire->kind != LUO_PCI_BRIDGE)
		wire->kind = wire->handle ? LUO_PCI_FUNCTION : LUO_PCI_BRIDGE;
	if (!wire->parent)
		return;

	/* A bridge comes before the devices below it. */
	lu->parent = pci_liveupdate_number(wire->parent);
	if (lu->parent && lu->parent->wire.kind == LUO_PCI_BRIDGE &&
	    lu->parent->wire.segment == wire->segment)
		return;
	lu->parent = NULL;
	lu->invalid = lu->invalid ?: "invalid state: the bridge above";
}

static int pci_liveupdate_load_devices(struct luo_abi_reader *r)
{
	struct luo_pci_device wire;
	struct pci_liveupdate *lu;
	struct luo_abi_array_it it;
	u32 number = 0;

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_PCI_DEVICES));
	while (luo_abi_array_next(&it, &wire, sizeof(wire))) {
		lu = kzalloc_obj(*lu);
		if (!lu)
			return -ENOMEM;
		lu->wire = wire;
		lu->state = PCI_LIVEUPDATE_EXPECTED;
		pci_liveupdate_load_one(lu);
		lu->number = ++number;
		pci_write_block_init(&lu->block, pci_liveupdate_wire_sbdf(&wire));
		list_add_tail(&lu->list, &pci_incoming.devices);
		wire.kind = lu->wire.kind;
		for (; lu && wire.kind == LUO_PCI_FUNCTION; lu = lu->parent)
			lu->users++;
	}

	return 0;
}

static int pci_liveupdate_load_bars(struct luo_abi_reader *r)
{
	struct pci_liveupdate *lu = NULL;
	struct luo_abi_array_it it;
	struct luo_pci_bar bar;
	const char *invalid;
	u16 next = 0;

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_PCI_BARS));
	while (luo_abi_array_next(&it, &bar, sizeof(bar))) {
		if (!lu || lu->number != bar.device) {
			lu = pci_liveupdate_number(bar.device);
			next = 0;
		}
		if (!lu)
			return -EBADMSG;
		invalid = pci_liveupdate_check_bar(&lu->wire, &bar, &next);
		if (!invalid && lu->nr_bars == PCI_LIVEUPDATE_MAX_BARS)
			invalid = "invalid state: too many BARs";
		if (invalid) {
			lu->invalid = lu->invalid ?: invalid;
			continue;
		}
		if (!lu->bars)
			lu->bars = kcalloc(PCI_LIVEUPDATE_MAX_BARS, sizeof(bar),
					   GFP_KERNEL);
		if (!lu->bars)
			return -ENOMEM;
		lu->bars[lu->nr_bars++] = bar;
	}

	return 0;
}

static int pci_liveupdate_load_registers(struct luo_abi_reader *r)
{
	struct pci_liveupdate *lu = NULL;
	struct luo_pci_register reg;
	struct luo_abi_array_it it;
	const char *invalid;

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_PCI_REGISTERS));
	while (luo_abi_array_next(&it, &reg, sizeof(reg))) {
		if (!lu || lu->number != reg.device)
			lu = pci_liveupdate_number(reg.device);
		if (!lu)
			return -EBADMSG;
		invalid = pci_liveupdate_check_register(&lu->wire, &reg);
		if (invalid) {
			lu->invalid = lu->invalid ?: invalid;
			continue;
		}
		if (!lu->registers)
			lu->registers = kcalloc(PCI_LIVEUPDATE_MAX_REGISTERS,
						sizeof(reg), GFP_KERNEL);
		if (!lu->registers)
			return -ENOMEM;
		/* A newer kernel may have saved more registers; ignore those. */
		if (lu->nr_registers < PCI_LIVEUPDATE_MAX_REGISTERS)
			lu->registers[lu->nr_registers++] = reg;
	}

	return 0;
}

static int pci_liveupdate_load(u64 data)
{
	struct luo_abi_reader *r = &pci_incoming.reader;
	struct pci_liveupdate *lu, *tmp;
	char text[LUO_ABI_FAULT_LEN];
	int err;

	err = luo_abi_open(r, &pci_liveupdate_format, data) ?:
	      pci_liveupdate_check(r);
	if (err) {
		pr_err("PCI: live update: %s\n",
		       luo_abi_fault_text(&r->fault, text, sizeof(text)));
		return err;
	}

	err = pci_liveupdate_load_devices(r) ?: pci_liveupdate_load_bars(r) ?:
	      pci_liveupdate_load_registers(r);
	if (err) {
		list_for_each_entry_safe(lu, tmp, &pci_incoming.devices, list)
			pci_liveupdate_free(lu);
		return err;
	}

	/* A bridge without a function below it is handled like any other. */
	list_for_each_entry(lu, &pci_incoming.devices, list) {
		if (lu->users)
			pci_block_writes(&lu->block);
	}

	return 0;
}

/*
 * Bridges lose their bus numbers in a suspend, and while config writes are
 * blocked these cannot be restored.
 */
static int pci_liveupdate_sleep(struct notifier_block *nb, unsigned long action,
				void *data)
{
	struct pci_liveupdate *lu;

	if (action != PM_SUSPEND_PREPARE)
		return NOTIFY_DONE;

	guard(mutex)(&pci_liveupdate_lock);

	list_for_each_entry(lu, &pci_incoming.devices, list) {
		if (!lu->users || !lu->dev || lu->state != PCI_LIVEUPDATE_INCOMING)
			continue;
		pci_warn(lu->dev, "live update: not suspended: finish its session first\n");
		return notifier_from_errno(-EBUSY);
	}

	return NOTIFY_DONE;
}

static struct notifier_block pci_liveupdate_sleep_nb = {
	.notifier_call = pci_liveupdate_sleep,
};

/*
 * After LUO (early_initcall) and before the first bus is scanned
 * (subsys_initcall on x86; arch_initcall at the earliest).
 */
static int __init pci_liveupdate_init(void)
{
	u64 data;
	int err;

	err = liveupdate_flb_peek_incoming(&pci_liveupdate_flb, &data);
	if (err == -ENODATA || err == -ENOENT)
		return 0;

	pci_write_blocks_begin();
	scoped_guard(mutex, &pci_liveupdate_lock)
		err = err ?: pci_liveupdate_load(data);

	if (err) {
		pci_write_blocks_end();
		pci_incoming.unread = true;
		pr_err("PCI: live update: the preserved state cannot be read (%pe): every function that can still do DMA will be stopped. Their VMs must be restarted.\n",
		       ERR_PTR(err));
	} else if (!liveupdate_enabled()) {
		pci_incoming.stop_all = "live update is disabled, boot with kho=on liveupdate=on";
	} else {
		register_pm_notifier(&pci_liveupdate_sleep_nb);
	}

	return 0;
}
postcore_initcall(pci_liveupdate_init);

/* Return: true if there are devices of the previous kernel that are not finished. */
static bool pci_liveupdate_any_incoming(void)
{
	return !list_empty(&pci_incoming.devices);
}

/**
 * pci_liveupdate_any_running - Check whether functions may be running already
 *
 * Context: From arch_initcall on.
 * Return: true if the previous kernel has preserved functions, also if its blob
 * cannot be read.
 */
bool pci_liveupdate_any_running(void)
{
	return pci_liveupdate_any_incoming() || pci_incoming.unread;
}

struct pci_liveupdate *pci_liveupdate_find(u64 sbdf)
{
	struct pci_liveupdate *lu;

	list_for_each_entry(lu, &pci_incoming.devices, list) {
		if (pci_liveupdate_wire_sbdf(&lu->wire) == sbdf)
			return lu;
	}

	return NULL;
}

/* --- release and quarantine */

struct pci_liveupdate_attach {
	struct work_struct work;
	struct pci_dev *dev;
};

/* Number of bridges whose drivers are being attached. */
static atomic_t pci_liveupdate_attaching;
static DECLARE_WAIT_QUEUE_HEAD(pci_liveupdate_attached);

#define PCI_LIVEUPDATE_ATTACH_TIMEOUT	(5 * HZ)

/*
 * Functions that were stopped, and then removed without a reset: when they are
 * found again, their DMA programming is still stale.
 */
struct pci_liveupdate_stale {
	struct list_head list;
	u64 sbdf;
};

static LIST_HEAD(pci_liveupdate_stale);
static DEFINE_SPINLOCK(pci_liveupdate_stale_lock);

static void pci_liveupdate_remember_stopped(struct pci_dev *dev)
{
	struct pci_liveupdate_stale *stale;

	/* A card that was pulled out has lost its state. */
	if (!pci_liveupdate_is_stopped(dev) || pci_dev_is_disconnected(dev) ||
	    dev->hdr_type != PCI_HEADER_TYPE_NORMAL || dev->is_virtfn)
		return;
	/* On failure the function could do DMA when it is found again. */
	stale = kzalloc_obj(*stale, GFP_KERNEL | __GFP_NOFAIL);
	stale->sbdf = pci_liveupdate_dev_sbdf(dev);

	guard(spinlock)(&pci_liveupdate_stale_lock);
	list_add(&stale->list, &pci_liveupdate_stale);
}

/* Forget the functions from @first to @last. Return: true if there were any. */
static bool pci_liveupdate_forget_stopped(u64 first, u64 last)
{
	struct pci_liveupdate_stale *stale, *tmp;
	bool found = false;

	guard(spinlock)(&pci_liveupdate_stale_lock);
	list_for_each_entry_safe(stale, tmp, &pci_liveupdate_stale, list) {
		if (stale->sbdf < first || stale->sbdf > last)
			continue;
		list_del(&stale->list);
		kfree(stale);
		found = true;
	}

	return found;
}

/**
 * pci_liveupdate_slot_off - Note that removed functions were powered off or reset
 * @bus:    The slot's bus.
 * @device: The slot's device number, or -1 for all devices of the bus and below.
 *
 * Their DMA programming is cleared.
 *
 * Context: Task.
 */
void pci_liveupdate_slot_off(struct pci_bus *bus, int device)
{
	int domain = pci_domain_nr(bus);
	u8 first = device < 0 ? 0 : PCI_DEVFN(device, 0);
	u8 last = device < 0 ? 0xff : PCI_DEVFN(device, 7);
	u8 end = device < 0 ? bus->busn_res.end : bus->number;

	pci_liveupdate_forget_stopped(pci_liveupdate_sbdf(domain, bus->number,
							  first),
				      pci_liveupdate_sbdf(domain, end, last));
}

/**
 * pci_liveupdate_was_reset - Allow bus mastering of a function again
 * @dev: The function, which was reset. Its DMA programming is cleared.
 *
 * Context: Any.
 */
void pci_liveupdate_was_reset(struct pci_dev *dev)
{
	if (dev->hdr_type == PCI_HEADER_TYPE_NORMAL)
		WRITE_ONCE(dev->liveupdate_stopped, false);
}

/* Return: true also if @dev is @bridge itself. */
bool pci_liveupdate_is_below(struct pci_dev *dev, struct pci_dev *bridge)
{
	while (dev && dev != bridge)
		dev = pci_upstream_bridge(dev);

	return dev;
}

/* A bridge that was stopped for functions below becomes a bus master when used. */
static void pci_liveupdate_was_reset_below(struct pci_dev *dev)
{
	pci_liveupdate_was_reset(dev);
	if (dev->hdr_type != PCI_HEADER_TYPE_NORMAL && !READ_ONCE(dev->liveupdate))
		WRITE_ONCE(dev->liveupdate_stopped, false);
}

/**
 * pci_liveupdate_bus_was_reset - Allow bus mastering of all devices below a bridge
 * @bridge: The bridge, whose secondary bus was reset.
 *
 * Also allows it for @bridge, if it was stopped for a function below.
 *
 * Context: Sleeps.
 */
void pci_liveupdate_bus_was_reset(struct pci_dev *bridge)
{
	struct pci_dev *dev = NULL;

	for_each_pci_dev(dev) {
		if (pci_liveupdate_is_below(dev, bridge))
			pci_liveupdate_was_reset_below(dev);
	}

	guard(rwsem_read)(&pci_bus_sem);
	if (bridge->subordinate)
		pci_liveupdate_slot_off(bridge->subordinate, -1);
}

/**
 * pci_liveupdate_slot_was_reset - Allow bus mastering of all devices of a slot
 * @slot: The slot, which was reset.
 *
 * Context: Sleeps.
 */
void pci_liveupdate_slot_was_reset(struct pci_slot *slot)
{
	struct pci_dev *dev = NULL, *top;

	for_each_pci_dev(dev) {
		for (top = dev; top && top->slot != slot;)
			top = pci_upstream_bridge(top);
		if (top)
			pci_liveupdate_was_reset_below(dev);
	}
}

/* Called with the device locks of @dev and of the bridge above held. */
static int pci_liveupdate_reset(struct pci_dev *dev)
{
	/* Another task has reset it, and it may be in use. */
	if (!pci_liveupdate_is_stopped(dev))
		return 0;
	/* A reset of an absent device would wait for a minute. */
	if (!pci_device_is_present(dev))
		return -ENODEV;

	return pci_reset_function_locked(dev);
}

/*
 * The DMA programming of a function that was stopped is stale. It must not become
 * a bus master before it is reset.
 */
static bool pci_liveupdate_reset_stopped(struct pci_dev *dev)
{
	struct pci_dev *bridge = pci_upstream_bridge(dev);
	int err;

	if (!pci_liveupdate_is_stopped(dev))
		return true;

	if (bridge)
		pci_dev_lock(bridge);
	pci_dev_lock(dev);
	err = pci_liveupdate_reset(dev);
	pci_dev_unlock(dev);
	if (bridge)
		pci_dev_unlock(bridge);
	if (err)
		pci_err(dev, "live update: stays stopped: it cannot be reset: %pe. Power-cycle it, or reset the bridge above.\n",
			ERR_PTR(err));

	return !err;
}

/* Reset all stopped functions below a bridge, including unreachable ones. */
static int pci_liveupdate_reset_below(struct pci_dev *bridge)
{
	struct pci_dev *dev = NULL;
	bool empty;
	int err = 0;

	scoped_guard(rwsem_read, &pci_bus_sem)
		empty = !bridge->subordinate ||
			list_empty(&bridge->subordinate->devices);
	if (empty) {
		pci_cfg_access_lock(bridge);
		err = pci_bridge_secondary_bus_reset(bridge);
		pci_cfg_access_unlock(bridge);
		return err;
	}

	for_each_pci_dev(dev) {
		if (dev->hdr_type == PCI_HEADER_TYPE_NORMAL &&
		    pci_liveupdate_is_below(dev, bridge) &&
		    !pci_liveupdate_reset_stopped(dev))
			err = -EIO;
	}

	return err;
}

/*
 * A bridge was stopped because a function below it could not be reached. It
 * becomes a bus master again after the functions below it were reset.
 */
static void pci_liveupdate_restart(struct pci_dev *bridge)
{
	int err;

	if (!pci_liveupdate_is_stopped(bridge) || !pci_dev_is_added(bridge))
		return;
	err = pci_liveupdate_reset_below(bridge);
	if (err) {
		pci_err(bridge, "live update: stays stopped: a function below it cannot be reset: %pe. Power-cycle that function, or reset this bridge.\n",
			ERR_PTR(err));
		return;
	}
	WRITE_ONCE(bridge->liveupdate_stopped, false);
	pci_set_master(bridge);
}

/**
 * pci_liveupdate_fixup - Run the deferred final fixups
 * @dev: A function or bridge. Nothing is done while it is running for its owner.
 */
void pci_liveupdate_fixup(struct pci_dev *dev)
{
	if (pci_liveupdate_running(dev))
		return;
	dev->liveupdate_fixups_deferred = false;
	pci_fixup_device(pci_fixup_final, dev);
}

/* Restart the bridges above that were stopped for @dev, which was reset. */
static void pci_liveupdate_restart_above(struct pci_dev *dev)
{
	while ((dev = pci_upstream_bridge(dev))) {
		if (!READ_ONCE(dev->liveupdate))
			pci_liveupdate_restart(dev);
	}
}

static void pci_liveupdate_attach(struct work_struct *work)
{
	struct pci_liveupdate_attach *attach =
		container_of(work, struct pci_liveupdate_attach, work);
	struct pci_dev *dev = attach->dev;
	bool bridge = dev->hdr_type != PCI_HEADER_TYPE_NORMAL;
	bool ready = true;

	/* Wait for a concurrent device add. */
	pci_lock_rescan_remove();
	pci_unlock_rescan_remove();

	if (bridge) {
		pci_liveupdate_restart(dev);
	} else {
		/* The driver waits for its user; block a freeze meanwhile. */
		while (!device_removal_begin())
			msleep(100);
		device_release_driver(&dev->dev);
		device_removal_end();
		ready = pci_liveupdate_reset_stopped(dev);
		if (ready)
			pci_liveupdate_restart_above(dev);
	}
	if (ready && pci_liveupdate_fixups_deferred(dev))
		pci_liveupdate_fixup(dev);
	/* It was counted as enabled, but its INTx was not routed. */
	if (pci_dev_is_added(dev) && bridge && pci_reenable_device(dev))
		pci_warn(dev, "live update: the bridge could not be enabled again\n");
	/* Ignores drivers_autoprobe: attaching the bridge's driver was deferred. */
	if (pci_dev_is_added(dev) && bridge && device_attach(&dev->dev) < 0)
		pci_warn(dev, "live update: its driver could not be attached\n");
	if (pci_dev_is_added(dev) && !bridge && ready)
		device_initial_probe(&dev->dev);
	if (bridge && atomic_dec_and_test(&pci_liveupdate_attaching))
		wake_up_all(&pci_liveupdate_attached);
	pci_dev_put(dev);
	kfree(attach);
}

static void pci_liveupdate_queue(struct pci_dev *dev, work_func_t func)
{
	struct pci_liveupdate_attach *attach;

	/* On failure the device would stay without a driver. */
	attach = kzalloc_obj(*attach, GFP_KERNEL | __GFP_NOFAIL);
	INIT_WORK(&attach->work, func);
	attach->dev = pci_dev_get(dev);
	queue_work(system_dfl_long_wq, &attach->work);
}

/*
 * Attach a driver: to a bridge, for its services; or to a function that is not in
 * use, after a reset. A driver that was bound to the running function is unbound
 * and reprobed. Done by a work, which holds none of the caller's locks.
 */
static void pci_liveupdate_probe(struct pci_dev *dev)
{
	if (dev->hdr_type != PCI_HEADER_TYPE_NORMAL)
		atomic_inc(&pci_liveupdate_attaching);
	pci_liveupdate_queue(dev, pci_liveupdate_attach);
}

/**
 * pci_liveupdate_settle - Wait until the drivers of bridges are attached
 * @dev: A function that is about to be reset.
 *
 * A driver that closes a function uses a trylock of the bridge above for the
 * reset. Right after the live update of the function is finished the trylock
 * would fail, because the driver of the bridge is being attached.
 *
 * Returns at once for a stopped function, which the PCI core resets.
 *
 * Context: Sleeps, for at most five seconds. The wait is bounded because a
 * removal may block the attaching, and may wait for the caller.
 * Return: false if the driver of a bridge is still being attached. Then, if the
 * function could not be reset, the caller must call pci_liveupdate_reset_later().
 */
bool pci_liveupdate_settle(struct pci_dev *dev)
{
	if (pci_liveupdate_is_stopped(dev))
		return true;

	return wait_event_timeout(pci_liveupdate_attached,
				  !atomic_read(&pci_liveupdate_attaching),
				  PCI_LIVEUPDATE_ATTACH_TIMEOUT);
}
EXPORT_SYMBOL_GPL(pci_liveupdate_settle);

static void pci_liveupdate_reset_work(struct work_struct *work)
{
	struct pci_liveupdate_attach *attach =
		container_of(work, struct pci_liveupdate_attach, work);
	struct pci_dev *dev = attach->dev;

	/* Its driver may have been unbound meanwhile. */
	if (pci_liveupdate_reset_stopped(dev) && pci_dev_is_added(dev))
		device_initial_probe(&dev->dev);
	pci_dev_put(dev);
	kfree(attach);
}

/**
 * pci_liveupdate_reset_later - Reset a function when the bridge can be locked
 * @dev: A function that was closed and disabled, but not reset.
 *
 * Until it is reset, by this or by the next open, it cannot become a bus master,
 * and no other driver is bound to it.
 *
 * Context: Sleeps.
 */
void pci_liveupdate_reset_later(struct pci_dev *dev)
{
	WRITE_ONCE(dev->liveupdate_stopped, true);
	pci_liveupdate_queue(dev, pci_liveupdate_reset_work);
	pci_info(dev, "live update: not reset yet: the bridge above is locked\n");
}
EXPORT_SYMBOL_GPL(pci_liveupdate_reset_later);

/**
 * pci_liveupdate_end - End the live update of a device
 * @dev: The function or bridge.
 */
void pci_liveupdate_end(struct pci_dev *dev)
{
	pci_liveupdate_set_incoming(dev, NULL);
	/* The previous kernel had users of PTM; this one may have none. */
	pci_ptm_reconcile(dev);
	pci_liveupdate_show(dev);
	/*
	 * The owner of a running function resets it on close. A stopped one is
	 * reset here: on close the reset is skipped if a lock is contended, for
	 * example by the probe of a bridge's driver.
	 */
	if (dev->hdr_type != PCI_HEADER_TYPE_NORMAL || !pci_is_enabled(dev) ||
	    pci_liveupdate_is_stopped(dev))
		pci_liveupdate_probe(dev);
}

/*
 * Save and log the errors since the freeze. They are not handled until the owner
 * has finished, and are not cleared: the owner sees them in the registers.
 */
static void pci_liveupdate_save_errors(struct pci_liveupdate *lu)
{
	u32 errors[LUO_PCI_ERRORS], any = 0;

	if (!pci_liveupdate_read_errors(lu->dev, errors))
		return;
	errors[0] &= ~lu->scan_errors;
	for (int i = 0; i < LUO_PCI_ERRORS; i++) {
		errors[i] &= ~lu->wire.errors[i];
		any |= errors[i] & ~lu->errors[i];
		lu->errors[i] |= errors[i];
	}
	if (any)
		pci_warn(lu->dev, "live update: unhandled errors since the freeze: Status %#x, Secondary Status %#x, Device Status %#x, Uncorrectable %#x, Correctable %#x\n",
			 lu->errors[0] & 0xffff, lu->errors[0] >> 16,
			 lu->errors[1], lu->errors[2], lu->errors[3]);
}

/**
 * pci_liveupdate_bridge_scanned - Ignore the errors of a scan below a bridge
 * @bridge: A running bridge, below which all devices were looked for.
 *
 * A config request to a device that is absent sets Received Master Abort in
 * Secondary Status. In other bridges the scan clears it. Nothing is written to a
 * running bridge: the bit stays set, and is not reported. The errors of the gap were
 * saved when the bridge was found, before the scan.
 *
 * Context: Sleeps.
 */
void pci_liveupdate_bridge_scanned(struct pci_dev *bridge)
{
	struct pci_liveupdate *lu;
	u32 errors[LUO_PCI_ERRORS];

	guard(mutex)(&pci_liveupdate_lock);

	lu = bridge->liveupdate;
	if (!lu || !pci_liveupdate_read_errors(bridge, errors))
		return;
	lu->scan_errors |= errors[0] & ~lu->wire.errors[0] & ~lu->errors[0] &
			   (PCI_STATUS_REC_MASTER_ABORT << 16);
}

/* Unblock config writes, and release everything that was held for the device. */
void pci_liveupdate_release(struct pci_liveupdate *lu)
{
	struct pci_dev *dev = lu->dev;

	if (dev && lu->state == PCI_LIVEUPDATE_INCOMING)
		pci_liveupdate_save_errors(lu);
	pci_unblock_writes(&lu->block);
	if (!dev)
		return;

	WRITE_ONCE(dev->liveupdate_running, false);
	for (int i = 0; i < PCI_NUM_RESOURCES; i++) {
		if (lu->fixed & BIT(i))
			dev->resource[i].flags &= ~IORESOURCE_PCI_FIXED;
	}
	/*
	 * Otherwise the count is needed for the enabled devices below. There are none
	 * before the bridge is added.
	 */
	if (lu->enabled && (lu->state == PCI_LIVEUPDATE_QUARANTINED ||
			    !pci_dev_is_added(dev)))
		atomic_dec(&dev->enable_cnt);
	lu->enabled = false;
	pci_liveupdate_unpin(lu);
}

/* Drop the reference of @lu to its device. */
void pci_liveupdate_detach(struct pci_liveupdate *lu)
{
	struct pci_dev *dev = lu->dev;

	lu->dev = NULL;
	if (lu->added)
		pci_dev_put(dev);
	lu->added = false;
}

/* Drop a function's use of the bridges above it. */
void pci_liveupdate_put_upstream(struct pci_liveupdate *lu)
{
	for (lu = lu->parent; lu; lu = lu->parent) {
		if (--lu->users || lu->state == PCI_LIVEUPDATE_QUARANTINED)
			continue;
		/* A function below cannot be reached: the bridge stays stopped. */
		if (lu->stopped)
			continue;
		pci_liveupdate_release(lu);
		if (!lu->dev)
			continue;
		/* Starts its services: error reporting, hot plug and others. */
		pci_liveupdate_end(lu->dev);
		pci_liveupdate_detach(lu);
	}
}

/* DPC has disabled the link above @dev, and so has reset it. */
static bool pci_liveupdate_is_contained(struct pci_dev *dev)
{
	while ((dev = pci_upstream_bridge(dev))) {
		if (test_bit(PCI_DPC_RECOVERING, &dev->priv_flags))
			return true;
	}

	return false;
}

/* Disable bus mastering of @dev. Return: true if it is disabled. */
bool pci_liveupdate_stop(struct pci_liveupdate *lu, struct pci_dev *dev)
{
	struct pci_liveupdate_bypass bypass;
	u16 cmd;

	/* Also if it cannot be reached: no driver is bound before a reset. */
	WRITE_ONCE(dev->liveupdate_stopped, true);
	pci_read_config_word(dev, PCI_COMMAND, &cmd);
	if (PCI_POSSIBLE_ERROR(cmd))
		return pci_liveupdate_is_contained(dev);
	if (!(cmd & PCI_COMMAND_MASTER))
		return true;

	pci_allow_writes(&lu->block, &bypass);
	pci_write_config_word(dev, PCI_COMMAND, cmd & ~PCI_COMMAND_MASTER);
	pci_disallow_writes(&bypass);
	dev->is_busmaster = 0;
	pci_read_config_word(dev, PCI_COMMAND, &cmd);

	return !PCI_POSSIBLE_ERROR(cmd) && !(cmd & PCI_COMMAND_MASTER);
}

/*
 * Return: true if a function below @bridge is not part of the update. The bridges
 * above a function are not freed: pci_liveupdate_remove() takes the lock.
 */
static bool pci_liveupdate_has_others(struct pci_liveupdate *bridge)
{
	struct pci_dev *dev = NULL;

	for_each_pci_dev(dev) {
		if (dev->hdr_type == PCI_HEADER_TYPE_NORMAL && !dev->liveupdate &&
		    bridge->dev && pci_liveupdate_is_below(dev, bridge->dev)) {
			pci_dev_put(dev);
			return true;
		}
	}

	return false;
}

/*
 * Stop the nearest bridge above that can be reached. Fail if another function is
 * below it: one that runs for another owner, or one of the host.
 */
bool pci_liveupdate_stop_above(struct pci_liveupdate *lu)
{
	unsigned int own = lu->users;
	struct pci_liveupdate *bridge;

	/* Its use of the path was dropped when it was quarantined. */
	if (lu->wire.kind == LUO_PCI_FUNCTION &&
	    lu->state == PCI_LIVEUPDATE_QUARANTINED)
		own = 0;

	for (bridge = lu->parent; bridge; bridge = bridge->parent) {
		if (bridge->stopped)
			return true;
		if (bridge->users > own || pci_liveupdate_has_others(bridge))
			return false;
		if (bridge->dev && pci_liveupdate_stop(bridge, bridge->dev)) {
			bridge->stopped = true;
			pci_err(bridge->dev, "live update: bus mastering is disabled, all devices below are stopped\n");
			return true;
		}
	}

	return false;
}

/* Return: true if each function below @bridge is stopped by itself, or finished. */
static bool pci_liveupdate_is_idle(struct pci_liveupdate *bridge)
{
	struct pci_liveupdate *lu, *above;

	list_for_each_entry(lu, &pci_incoming.devices, list) {
		if (lu->wire.kind != LUO_PCI_FUNCTION || !lu->users)
			continue;
		for (above = lu->parent; above && above != bridge;)
			above = above->parent;
		if (above && !(lu->dev && pci_liveupdate_is_stopped(lu->dev)))
			return false;
	}

	return true;
}

/*
 * A quarantined bridge was stopped before the devices below it were found. When
 * the preserved ones are all stopped by themselves, let it forward for the
 * others.
 */
static void pci_liveupdate_restart_bridge(struct pci_liveupdate *lu)
{
	struct pci_dev *dev = lu->dev;

	if (lu->wire.kind != LUO_PCI_BRIDGE || !dev ||
	    !pci_liveupdate_is_stopped(dev) || !pci_liveupdate_is_idle(lu))
		return;
	lu->stopped = false;
	WRITE_ONCE(dev->liveupdate_stopped, false);
	if (pci_is_enabled(dev))
		pci_set_master(dev);
	pci_info(dev, "live update: bus mastering is enabled again: the preserved functions below are stopped by themselves\n");
}

static void pci_liveupdate_quarantine(struct pci_liveupdate *lu,
				      struct pci_dev *dev, const char *reason)
{
	struct pci_liveupdate *below;

	if (lu->state == PCI_LIVEUPDATE_QUARANTINED)
		return;

	lu->stopped = (dev && pci_liveupdate_stop(lu, dev)) ||
		      pci_liveupdate_stop_above(lu);
	lu->state = PCI_LIVEUPDATE_QUARANTINED;
	lu->reason = reason;

	pr_err("pci %04x:%02x:%02x.%d: live update: quarantined: %s. %s; its VM must be restarted.\n",
	       lu->wire.segment, lu->wire.bus, PCI_SLOT(lu->wire.devfn),
	       PCI_FUNC(lu->wire.devfn), reason,
	       lu->stopped ? "Its DMA is stopped" :
			     "Its DMA cannot be stopped, neither here nor at a bridge above");

	pci_liveupdate_release(lu);
	if (lu->wire.kind == LUO_PCI_FUNCTION) {
		pci_liveupdate_put_upstream(lu);
		return;
	}
	list_for_each_entry(below, &pci_incoming.devices, list) {
		if (below->parent == lu && below->users)
			pci_liveupdate_quarantine(below, below->dev,
						  "a bridge above is quarantined");
	}
}

/**
 * pci_liveupdate_fail - Stop a preserved function that cannot keep running
 * @segment: PCI segment (domain).
 * @rid:     Its requester ID.
 * @why:     The reason, for the log. Not freed or changed afterwards.
 *
 * For the IOMMU core, which finds that the function's DMA cannot be translated any
 * longer. The function is quarantined; one that is not preserved is ignored.
 *
 * Context: Process context. If it returns false, it can be called again after other
 *          functions have failed.
 * Return: false if the function does DMA and cannot be stopped.
 */
bool pci_liveupdate_fail(u32 segment, u16 rid, const char *why)
{
	struct pci_liveupdate *lu;

	guard(mutex)(&pci_liveupdate_lock);

	lu = pci_liveupdate_find(pci_liveupdate_sbdf(segment, PCI_BUS_NUM(rid),
						     rid & 0xff));
	if (!lu || lu->wire.kind != LUO_PCI_FUNCTION)
		return true;
	/* The bridge above can be stopped when all functions below it have failed. */
	if (lu->state == PCI_LIVEUPDATE_QUARANTINED && !lu->stopped)
		lu->stopped = (lu->dev && pci_liveupdate_stop(lu, lu->dev)) ||
			      pci_liveupdate_stop_above(lu);
	else if (lu->users)
		pci_liveupdate_quarantine(lu, lu->dev, why);

	return lu->state != PCI_LIVEUPDATE_QUARANTINED || lu->stopped;
}

/**
 * pci_liveupdate_fail_some - Stop preserved functions that cannot keep running
 * @check: Returns why a function cannot, for the log, or NULL. Called for each
 *         function that was found; must not call anything here.
 * @data:  Its last argument.
 *
 * Context: Process context.
 */
void pci_liveupdate_fail_some(pci_liveupdate_check_fn check, void *data)
{
	struct pci_liveupdate *lu;
	const char *why;

	guard(mutex)(&pci_liveupdate_lock);

	list_for_each_entry(lu, &pci_incoming.devices, list) {
		if (lu->wire.kind != LUO_PCI_FUNCTION || !lu->users || !lu->dev)
			continue;
		why = check(lu->dev, data);
		if (why)
			pci_liveupdate_quarantine(lu, lu->dev, why);
	}
}

/**
 * pci_liveupdate_fail_all - Stop all preserved functions
 * @why: The reason, for the log. Not freed or changed afterwards.
 *
 * Those that are found later are stopped when they are found.
 *
 * Context: Process context.
 */
void pci_liveupdate_fail_all(const char *why)
{
	struct pci_liveupdate *lu;

	guard(mutex)(&pci_liveupdate_lock);

	pci_incoming.stop_all = why;
	list_for_each_entry(lu, &pci_incoming.devices, list) {
		if (lu->dev && lu->users && lu->wire.kind == LUO_PCI_FUNCTION)
			pci_liveupdate_quarantine(lu, lu->dev, why);
	}
}

/* Stop all preserved functions below a bridge. Called with pci_liveupdate_lock held. */
void pci_liveupdate_fail_below(struct pci_dev *bridge, const char *why)
{
	struct pci_liveupdate *lu;

	list_for_each_entry(lu, &pci_incoming.devices, list) {
		if (lu->dev && lu->users && lu->wire.kind == LUO_PCI_FUNCTION &&
		    pci_liveupdate_is_below(lu->dev, bridge))
			pci_liveupdate_quarantine(lu, lu->dev, why);
	}
}

/* --- enumeration */

/**
 * pci_liveupdate_setup - Associate a new device with its preserved state
 * @dev: The device, of which only the address is known.
 *
 * Called before the first config write to it.
 */
void pci_liveupdate_setup(struct pci_dev *dev)
{
	struct pci_liveupdate *lu;

	/* Virtual functions are not preserved. */
	if (!pci_liveupdate_any_incoming() || dev->is_virtfn)
		return;

	guard(mutex)(&pci_liveupdate_lock);

	lu = pci_liveupdate_find(pci_liveupdate_dev_sbdf(dev));
	if (!lu || !lu->users)
		return;

	pci_liveupdate_set_incoming(dev, lu);
	lu->dev = dev;
	if (lu->state != PCI_LIVEUPDATE_EXPECTED)
		return;

	dev->liveupdate_running = true;
}

/* Host and ISA bridges are always bus masters and are never preserved. */
static void pci_liveupdate_stop_unread(struct pci_dev *dev)
{
	u16 cmd;

	if (dev->hdr_type != PCI_HEADER_TYPE_NORMAL ||
	    dev->class >> 8 == PCI_CLASS_BRIDGE_HOST ||
	    dev->class >> 8 == PCI_CLASS_BRIDGE_ISA)
		return;
	pci_read_config_word(dev, PCI_COMMAND, &cmd);
	if (PCI_POSSIBLE_ERROR(cmd) || !(cmd & PCI_COMMAND_MASTER))
		return;
	pci_write_config_word(dev, PCI_COMMAND, cmd & ~PCI_COMMAND_MASTER);
	WRITE_ONCE(dev->liveupdate_stopped, true);
	pci_err(dev, "live update: its DMA is stopped: the previous kernel may have preserved it, its VM must be restarted\n");
}

/* Its bus number may have changed since it was preserved. */
static bool pci_liveupdate_is_below_stopped(struct pci_dev *dev)
{
	while ((dev = pci_upstream_bridge(dev))) {
		if (pci_liveupdate_is_stopped(dev))
			return true;
	}

	return false;
}

/**
 * pci_liveupdate_verify - Compare a new device with its preserved state
 * @dev: The device. Header type and config size are known, and no fixup was run.
 *
 * A device that differs is quarantined.
 */
void pci_liveupdate_verify(struct pci_dev *dev)
{
	struct pci_liveupdate *lu;
	u64 sbdf = pci_liveupdate_dev_sbdf(dev);
	bool stale = pci_liveupdate_forget_stopped(sbdf, sbdf);
	const char *why;

	if (stale || pci_incoming.unread || pci_liveupdate_is_below_stopped(dev))
		pci_liveupdate_stop_unread(dev);
	if (stale && dev->hdr_type == PCI_HEADER_TYPE_NORMAL)
		WRITE_ONCE(dev->liveupdate_stopped, true);
	if (!READ_ONCE(dev->liveupdate)) {
		/* Bind no driver before the bridge is restarted, after a reset. */
		if (dev->hdr_type == PCI_HEADER_TYPE_NORMAL &&
		    pci_liveupdate_is_below_stopped(dev))
			WRITE_ONCE(dev->liveupdate_stopped, true);
		return;
	}

	guard(mutex)(&pci_liveupdate_lock);

	lu = dev->liveupdate;
	if (!lu)
		return;
	pci_write_block_find_status(&lu->block, dev);
	why = pci_incoming.stop_all ?: lu->invalid ?:
	      pci_liveupdate_differs(dev, lu);
	if (lu->state == PCI_LIVEUPDATE_QUARANTINED)
		pci_liveupdate_stop(lu, dev);
	else if (why)
		pci_liveupdate_quarantine(lu, dev, why);
	if (lu->state != PCI_LIVEUPDATE_EXPECTED) {
		dev->liveupdate_running = false;
		return;
	}

	lu->state = PCI_LIVEUPDATE_INCOMING;
	pci_info(dev, "live update: %s unchanged, config writes are blocked until finish\n",
		 lu->wire.kind == LUO_PCI_BRIDGE ? "bridge" : "function");
	/*
	 * The bridge is enabled and a bus master. The count prevents that drivers
	 * of devices below enable it again, or disable it.
	 */
	if (lu->wire.kind == LUO_PCI_BRIDGE) {
		atomic_inc(&dev->enable_cnt);
		lu->enabled = true;
	}
	dev->is_busmaster = !!(lu->wire.command & PCI_COMMAND_MASTER);
	pci_liveupdate_save_errors(lu);
}

/**
 * pci_liveupdate_add - Note that a device was added to its bus
 * @dev: The device, not yet in sysfs.
 */
void pci_liveupdate_add(struct pci_dev *dev)
{
	struct pci_liveupdate *lu;

	if (!READ_ONCE(dev->liveupdate)) {
		/* Before the end of the scan pci_liveupdate_scanned() does it. */
		if (pci_liveupdate_is_stopped(dev) && READ_ONCE(pci_incoming.scanned))
			pci_liveupdate_probe(dev);
		return;
	}

	guard(mutex)(&pci_liveupdate_lock);

	lu = dev->liveupdate;
	if (!lu)
		return;
	pci_dev_get(dev);
	lu->added = true;
	if (lu->state == PCI_LIVEUPDATE_INCOMING)
		pci_liveupdate_pin(lu);
}

/**
 * pci_liveupdate_remove - Quarantine a preserved device that is removed
 * @dev: The device.
 */
void pci_liveupdate_remove(struct pci_dev *dev)
{
	struct pci_liveupdate *lu;

	if (pci_liveupdate_any_incoming()) {
		guard(mutex)(&pci_liveupdate_lock);

		lu = dev->liveupdate;
		if (lu) {
			pci_liveupdate_quarantine(lu, dev, "it was removed");
			pci_liveupdate_set_incoming(dev, NULL);
			pci_liveupdate_detach(lu);
		}
	}
	pci_liveupdate_remember_stopped(dev);
}

static void pci_liveupdate_fix(struct pci_liveupdate *lu, int i)
{
	struct resource *res = pci_resource_n(lu->dev, i);

	if (res->flags & IORESOURCE_PCI_FIXED)
		return;
	res->flags |= IORESOURCE_PCI_FIXED;
	lu->fixed |= BIT(i);
}

/*
 * No virtual function is enabled, so BARs of virtual functions need not be claimed. But
 * no other address must be assigned, as they cannot be written.
 */
static void pci_liveupdate_claim_iov(struct pci_liveupdate *lu, int i)
{
	struct resource *res = pci_resource_n(lu->dev, i);

	if (!res->flags || res->parent || !resource_size(res))
		return;
	if (!res->start)
		res->flags |= IORESOURCE_UNSET;
	else if (!(res->flags & IORESOURCE_UNSET))
		pci_claim_resource(lu->dev, i);
	pci_liveupdate_fix(lu, i);
}

/* Claim the resources that a running device decodes. Return: NULL or a reason. */
static const char *pci_liveupdate_claim_one(struct pci_liveupdate *lu)
{
	struct pci_dev *dev = lu->dev;

	for (int i = 0; i < PCI_NUM_RESOURCES; i++) {
		struct resource *res = pci_resource_n(dev, i);
		bool rom = i == PCI_ROM_RESOURCE;

		if (pci_resource_is_iov(i)) {
			pci_liveupdate_claim_iov(lu, i);
			continue;
		}
		if (!res->flags || res->parent || !resource_size(res) ||
		    res->flags & (IORESOURCE_UNSET | IORESOURCE_DISABLED))
			continue;
		/* Not assigned or not decoded: the address is meaningless. */
		if (!res->start || (rom && !(res->flags & IORESOURCE_ROM_ENABLE)))
			continue;
		if (pci_claim_resource(dev, i))
			return pci_resource_is_bridge_win(i) ?
			       "its window overlaps another resource" :
			       "its BAR overlaps another resource";
		pci_liveupdate_fix(lu, i);
	}

	return NULL;
}

/**
 * pci_liveupdate_claim - Claim the resources of running devices
 * @bus: A root bus, below which all devices were found.
 *
 * Called before other resources are assigned there.
 */
void pci_liveupdate_claim(struct pci_bus *bus)
{
	struct pci_liveupdate *lu;
	const char *why;

	if (!pci_is_root_bus(bus) || !pci_liveupdate_any_incoming())
		return;

	guard(mutex)(&pci_liveupdate_lock);

	/* Sorted: a bridge comes before the devices below it. */
	list_for_each_entry(lu, &pci_incoming.devices, list) {
		if (lu->state != PCI_LIVEUPDATE_INCOMING || !lu->dev || !lu->users ||
		    pci_find_host_bridge(lu->dev->bus)->bus != bus)
			continue;
		why = pci_liveupdate_claim_one(lu);
		if (why)
			pci_liveupdate_quarantine(lu, lu->dev, why);
	}

	list_for_each_entry(lu, &pci_incoming.devices, list) {
		if (lu->dev && pci_find_host_bridge(lu->dev->bus)->bus == bus)
			pci_liveupdate_restart_bridge(lu);
	}
}

/* Reset and reprobe the stopped functions: their owners cannot be known. */
static void __init pci_liveupdate_reprobe_unread(void)
{
	struct pci_dev *dev = NULL;

	for_each_pci_dev(dev) {
		if (dev->hdr_type == PCI_HEADER_TYPE_NORMAL &&
		    pci_liveupdate_is_stopped(dev) && !dev->liveupdate)
			pci_liveupdate_probe(dev);
	}
}

static int __init pci_liveupdate_scanned(void)
{
	struct pci_liveupdate *lu;

	if (!pci_liveupdate_any_incoming() && !pci_incoming.unread)
		return 0;

	/* Host bridges may be probed asynchronously. */
	wait_for_device_probe();

	guard(mutex)(&pci_liveupdate_lock);

	list_for_each_entry(lu, &pci_incoming.devices, list) {
		if (lu->state == PCI_LIVEUPDATE_EXPECTED && lu->users)
			pci_liveupdate_quarantine(lu, NULL, "it is absent");
	}
	WRITE_ONCE(pci_incoming.scanned, true);
	pci_liveupdate_reprobe_unread();

	return 0;
}
late_initcall_sync(pci_liveupdate_scanned);

/**
 * pci_liveupdate_bar_masks - Get the BAR masks of a running device
 * @dev:   The device.
 * @count: Number of BARs, of 32 bits each.
 * @pos:   Offset of the first one in configuration space.
 * @masks: Set to the values that would be read after writing all ones.
 *
 * Return: false if the device is not running and can be sized.
 */
bool pci_liveupdate_bar_masks(struct pci_dev *dev, unsigned int count,
			      unsigned int pos, u32 *masks)
{
	struct pci_liveupdate *lu = dev->liveupdate;

	if (!pci_liveupdate_running(dev))
		return false;

	memset(masks, 0, count * sizeof(*masks));
	for (unsigned int i = 0; i < lu->nr_bars; i++) {
		const struct luo_pci_bar *bar = &lu->bars[i];
		unsigned int nr = (bar->offset - pos) / 4;
		u64 mask = ~(bar->size - 1) | (bar->value & 0xf);

		if (bar->offset < pos || nr >= count)
			continue;
		if (bar->value & PCI_BASE_ADDRESS_SPACE_IO)
			mask = ~(bar->size - 1) | (bar->value & 0x3);
		masks[nr] = lower_32_bits(mask);
		if (bar->width == 64 && nr + 1 < count)
			masks[nr + 1] = upper_32_bits(mask);
	}

	return true;
}

/**
 * pci_liveupdate_flags - Get properties that can only be found out by writing
 * @dev: A running device.
 *
 * Return: enum luo_pci_flags.
 */
u16 pci_liveupdate_flags(struct pci_dev *dev)
{
	return dev->liveupdate->wire.flags;
}

/**
 * pci_liveupdate_vf_buses - Get the highest bus number of virtual functions
 * @dev: A running physical function.
 */
u16 pci_liveupdate_vf_buses(struct pci_dev *dev)
{
	return dev->liveupdate->wire.vf_buses;
}

/* --- the shared state */

int pci_liveupdate_flb_retrieve(struct liveupdate_flb_op_args *args)
{
	guard(mutex)(&pci_liveupdate_lock);

	if (pci_incoming.unread) {
		luo_abi_release(&pci_incoming.reader);
		return -EBADMSG;
	}
	args->obj = &pci_incoming;

	return 0;
}

static void pci_liveupdate_finish_all(void)
{
	struct pci_liveupdate *lu, *tmp;

	/* In reverse order: functions are released before the bridges above. */
	list_for_each_entry_safe_reverse(lu, tmp, &pci_incoming.devices, list) {
		/* Its file was finished without it. */
		if (lu->users && lu->state == PCI_LIVEUPDATE_INCOMING)
			pci_liveupdate_quarantine(lu, lu->dev,
						  "its owner has not finished it");
		/* A bridge that was stopped for a function below, or is absent. */
		pci_liveupdate_release(lu);
		if (lu->dev && lu->dev->liveupdate == lu)
			pci_liveupdate_end(lu->dev);
		pci_liveupdate_free(lu);
	}
	luo_abi_release(&pci_incoming.reader);
}

void pci_liveupdate_flb_finish(struct liveupdate_flb_op_args *args)
{
	scoped_guard(mutex, &pci_liveupdate_lock)
		pci_liveupdate_finish_all();
	if (!pci_incoming.unread)
		pci_write_blocks_end();
}
