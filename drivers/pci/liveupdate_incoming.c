// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions that run since before this kernel did: what the previous kernel
 * handed over, how they are found when buses are enumerated, and what becomes of
 * those that are not as they should be.
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

/* --- what was handed over */

static struct pci_liveupdate *pci_liveupdate_number(u32 number)
{
	struct pci_liveupdate *lu;

	list_for_each_entry(lu, &pci_incoming.devices, list) {
		if (lu->number == number)
			return lu;
	}

	return NULL;
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
		lu->number = ++number;
		lu->state = PCI_LIVEUPDATE_EXPECTED;
		lu->parent = pci_liveupdate_number(wire.parent);
		pci_shield_init(&lu->shield, pci_liveupdate_place_of(&wire));
		list_add_tail(&lu->list, &pci_incoming.devices);
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

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_PCI_BARS));
	while (luo_abi_array_next(&it, &bar, sizeof(bar))) {
		if (!lu || lu->number != bar.device)
			lu = pci_liveupdate_number(bar.device);
		if (!lu->bars)
			lu->bars = kcalloc(PCI_LIVEUPDATE_MAX_BARS, sizeof(bar),
					   GFP_KERNEL);
		if (!lu->bars)
			return -ENOMEM;
		if (lu->nr_bars == PCI_LIVEUPDATE_MAX_BARS)
			return -EBADMSG;
		lu->bars[lu->nr_bars++] = bar;
	}

	return 0;
}

static int pci_liveupdate_load_registers(struct luo_abi_reader *r)
{
	struct pci_liveupdate *lu = NULL;
	struct luo_pci_register reg;
	struct luo_abi_array_it it;

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_PCI_REGISTERS));
	while (luo_abi_array_next(&it, &reg, sizeof(reg))) {
		if (!lu || lu->number != reg.device)
			lu = pci_liveupdate_number(reg.device);
		if (!lu->registers)
			lu->registers = kcalloc(PCI_LIVEUPDATE_MAX_REGISTERS,
						sizeof(reg), GFP_KERNEL);
		if (!lu->registers)
			return -ENOMEM;
		/* A newer kernel may know more; what is left stays as it is. */
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

	list_for_each_entry(lu, &pci_incoming.devices, list)
		pci_shield_raise(&lu->shield);

	return 0;
}

/*
 * Bridges come back from sleep without their bus numbers, and the shield would
 * keep those away.
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
		pci_warn(lu->dev, "live update: no suspend until it is finished\n");
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

	scoped_guard(mutex, &pci_liveupdate_lock)
		err = err ?: pci_liveupdate_load(data);

	if (err) {
		pci_incoming.unread = true;
		pr_err("PCI: live update: what was preserved cannot be read (%pe): every function that can still do DMA will be stopped. Their VMs must be restarted.\n",
		       ERR_PTR(err));
	} else if (!liveupdate_enabled()) {
		pci_incoming.stop_all = "live update is switched off, start with kho=on liveupdate=on";
	} else {
		register_pm_notifier(&pci_liveupdate_sleep_nb);
	}

	return 0;
}
postcore_initcall(pci_liveupdate_init);

/**
 * pci_liveupdate_any_incoming - Does anything run that must not be renumbered?
 */
bool pci_liveupdate_any_incoming(void)
{
	return !list_empty(&pci_incoming.devices);
}

/**
 * pci_liveupdate_any_running - Check whether functions may be running already.
 *
 * Context: From arch_initcall on.
 * Return: true if the previous kernel has preserved functions, also if what it
 * has handed over about them cannot be read.
 */
bool pci_liveupdate_any_running(void)
{
	return pci_liveupdate_any_incoming() || pci_incoming.unread;
}

struct pci_liveupdate *pci_liveupdate_find(u64 place)
{
	struct pci_liveupdate *lu;

	list_for_each_entry(lu, &pci_incoming.devices, list) {
		if (pci_liveupdate_place_of(&lu->wire) == place)
			return lu;
	}

	return NULL;
}

/* --- letting go */

struct pci_liveupdate_attach {
	struct work_struct work;
	struct pci_dev *dev;
};

/* Bridges whose drivers are going to be attached, and who waits for that. */
static atomic_t pci_liveupdate_attaching;
static DECLARE_WAIT_QUEUE_HEAD(pci_liveupdate_attached);

#define PCI_LIVEUPDATE_ATTACH_TIMEOUT	(5 * HZ)

/**
 * pci_liveupdate_was_reset - Allow bus mastering of a function again
 * @dev: What was reset; its DMA programming is cleared.
 *
 * Context: The device lock is held.
 */
void pci_liveupdate_was_reset(struct pci_dev *dev)
{
	if (dev->hdr_type == PCI_HEADER_TYPE_NORMAL)
		WRITE_ONCE(dev->liveupdate_stopped, false);
}

/* With the locks of @dev and of the bridge above. */
static int pci_liveupdate_reset(struct pci_dev *dev)
{
	/* Another task has reset it, and it may be in use. */
	if (!pci_liveupdate_is_stopped(dev))
		return 0;
	/* A reset would wait a minute for it. */
	if (!pci_device_is_present(dev))
		return -ENODEV;

	return pci_reset_function_locked(dev);
}

/*
 * The DMA programming of a function that was stopped is stale. It must not become
 * a bus master before it is reset.
 */
static bool pci_liveupdate_forget(struct pci_dev *dev)
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
		pci_err(dev, "live update: stays stopped, it cannot be reset: %pe\n",
			ERR_PTR(err));

	return !err;
}

static bool pci_liveupdate_is_below(struct pci_dev *dev, struct pci_dev *bridge)
{
	while (dev && dev != bridge)
		dev = pci_upstream_bridge(dev);

	return dev;
}

/* Reset all functions below a bridge that were stopped, or could not be. */
static int pci_liveupdate_forget_below(struct pci_dev *bridge)
{
	struct pci_dev *dev = NULL;
	int err = 0;

	if (!bridge->subordinate || list_empty(&bridge->subordinate->devices)) {
		pci_cfg_access_lock(bridge);
		err = pci_bridge_secondary_bus_reset(bridge);
		pci_cfg_access_unlock(bridge);
		return err;
	}

	for_each_pci_dev(dev) {
		if (dev->hdr_type == PCI_HEADER_TYPE_NORMAL &&
		    pci_liveupdate_is_below(dev, bridge) &&
		    !pci_liveupdate_forget(dev))
			err = -EIO;
	}

	return err;
}

/*
 * A bridge was stopped for what could not be reached below. It becomes a bus
 * master again when all of that is reset.
 */
static void pci_liveupdate_restart(struct pci_dev *bridge)
{
	int err;

	if (!pci_liveupdate_is_stopped(bridge))
		return;
	err = pci_liveupdate_forget_below(bridge);
	if (err) {
		pci_err(bridge, "live update: stays stopped, what is below it cannot be reset: %pe\n",
			ERR_PTR(err));
		return;
	}
	WRITE_ONCE(bridge->liveupdate_stopped, false);
	pci_set_master(bridge);
}

/**
 * pci_liveupdate_fixup - Run the final fixups that were left out.
 * @dev: A function or bridge. Does nothing while it may be in use by its owner.
 */
void pci_liveupdate_fixup(struct pci_dev *dev)
{
	if (pci_liveupdate_hands_off(dev))
		return;
	dev->liveupdate_unfixed = false;
	pci_fixup_device(pci_fixup_final, dev);
}

/* Bridges above that were stopped for a function that is reset by now. */
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

	/* Whoever is just adding it is through after this. */
	pci_lock_rescan_remove();
	pci_unlock_rescan_remove();

	if (bridge) {
		pci_liveupdate_restart(dev);
	} else {
		/* Its driver waits for its user, which the next update must not. */
		while (!device_removal_begin())
			msleep(100);
		device_release_driver(&dev->dev);
		device_removal_end();
		ready = pci_liveupdate_forget(dev);
		if (ready)
			pci_liveupdate_restart_above(dev);
	}
	if (ready && pci_liveupdate_is_unfixed(dev))
		pci_liveupdate_fixup(dev);
	/* Attaching a bridge's driver was only deferred, and drivers_autoprobe on. */
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

	/* Without it nobody could ever open the device again. */
	attach = kzalloc_obj(*attach, GFP_KERNEL | __GFP_NOFAIL);
	INIT_WORK(&attach->work, func);
	attach->dev = pci_dev_get(dev);
	queue_work(system_dfl_long_wq, &attach->work);
}

/*
 * Look for a driver: of a bridge, for its services; or of a function that nobody
 * has running. The driver that left it alone so far is to begin anew, after a
 * reset. That is done later, by somebody who holds none of the caller's locks.
 */
static void pci_liveupdate_probe(struct pci_dev *dev)
{
	if (dev->hdr_type != PCI_HEADER_TYPE_NORMAL)
		atomic_inc(&pci_liveupdate_attaching);
	pci_liveupdate_queue(dev, pci_liveupdate_attach);
}

/**
 * pci_liveupdate_settle - Wait until a bridge's driver is attached.
 * @dev: A function that is about to be reset.
 *
 * A driver that closes a function can only try to lock the bridge above for the
 * reset. Right after the function's live update is finished that fails, as the
 * bridge's driver is being attached.
 *
 * Does nothing for a function that PCI has stopped, and resets itself.
 *
 * Context: Sleeps, for at most five seconds: whoever removes a device may hold up
 * the bridge, and wait for the caller.
 * Return: false if a bridge's driver is still being attached. If the function
 * cannot be reset then, pci_liveupdate_reset_later() must follow.
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
	if (pci_liveupdate_forget(dev) && pci_dev_is_added(dev))
		device_initial_probe(&dev->dev);
	pci_dev_put(dev);
	kfree(attach);
}

/**
 * pci_liveupdate_reset_later - Reset a function when the bridge can be locked
 * @dev: A function that is closed and disabled, but was not reset.
 *
 * Until it is reset, by this or when it is opened again, it cannot become a bus
 * master, and no other driver is bound to it.
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
 * pci_liveupdate_release - A device's live update is over.
 * @dev: The function, or bridge.
 */
void pci_liveupdate_release(struct pci_dev *dev)
{
	pci_liveupdate_set_incoming(dev, NULL);
	pci_liveupdate_show(dev);
	/*
	 * Whoever has a function that runs resets it when it is closed. Not one
	 * that was stopped: the reset is left out if a lock is taken just then,
	 * perhaps by a bridge's driver that is probed at the same time.
	 */
	if (dev->hdr_type != PCI_HEADER_TYPE_NORMAL || !pci_is_enabled(dev) ||
	    pci_liveupdate_is_stopped(dev))
		pci_liveupdate_probe(dev);
}

/*
 * Look for errors since the freeze. In the gap nobody was there to handle them,
 * and until the owner has finished nobody may. They stay in the registers, where
 * the owner finds them, too.
 */
static void pci_liveupdate_save_errors(struct pci_liveupdate *lu)
{
	u32 errors[LUO_PCI_ERRORS], any = 0;

	if (!pci_liveupdate_read_errors(lu->dev, errors))
		return;
	for (int i = 0; i < LUO_PCI_ERRORS; i++) {
		errors[i] &= ~lu->wire.errors[i];
		any |= errors[i] & ~lu->errors[i];
		lu->errors[i] |= errors[i];
	}
	if (any)
		pci_warn(lu->dev, "live update: errors while nobody handled them: Status %#x, Secondary Status %#x, Device Status %#x, Uncorrectable %#x, Correctable %#x\n",
			 lu->errors[0] & 0xffff, lu->errors[0] >> 16,
			 lu->errors[1], lu->errors[2], lu->errors[3]);
}

/* From now on the device is one like any other. */
void pci_liveupdate_let_go(struct pci_liveupdate *lu)
{
	struct pci_dev *dev = lu->dev;

	if (dev && lu->state == PCI_LIVEUPDATE_INCOMING)
		pci_liveupdate_save_errors(lu);
	pci_shield_lower(&lu->shield);
	if (!dev)
		return;

	WRITE_ONCE(dev->liveupdate_hands_off, false);
	for (int i = 0; i < PCI_NUM_RESOURCES; i++) {
		if (lu->fixed & BIT(i))
			dev->resource[i].flags &= ~IORESOURCE_PCI_FIXED;
	}
	/* Else it counts as enabled for what is enabled below. */
	if (lu->enabled && lu->state == PCI_LIVEUPDATE_QUARANTINED)
		atomic_dec(&dev->enable_cnt);
	lu->enabled = false;
	pci_liveupdate_unpin(lu);
}

/* What becomes of the device from now on is no matter of @lu any more. */
void pci_liveupdate_part(struct pci_liveupdate *lu)
{
	struct pci_dev *dev = lu->dev;

	lu->dev = NULL;
	if (lu->added)
		pci_dev_put(dev);
	lu->added = false;
}

/* A function needs its path no longer. */
void pci_liveupdate_leave_path(struct pci_liveupdate *lu)
{
	for (lu = lu->parent; lu; lu = lu->parent) {
		if (--lu->users || lu->state == PCI_LIVEUPDATE_QUARANTINED)
			continue;
		/* What is below cannot be reached: it stays stopped here. */
		if (lu->stopped)
			continue;
		pci_liveupdate_let_go(lu);
		if (!lu->dev)
			continue;
		/* Its services begin: error reporting, hot plug, ... */
		pci_liveupdate_release(lu->dev);
		pci_liveupdate_part(lu);
	}
}

/* Switch off @dev's bus mastering. Return: true if it is off. */
bool pci_liveupdate_stop(struct pci_liveupdate *lu, struct pci_dev *dev)
{
	struct pci_liveupdate_bypass bypass;
	u16 cmd;

	/* Also if it cannot be reached now: before it is reset nobody gets it. */
	WRITE_ONCE(dev->liveupdate_stopped, true);
	pci_read_config_word(dev, PCI_COMMAND, &cmd);
	if (PCI_POSSIBLE_ERROR(cmd))
		return false;
	if (!(cmd & PCI_COMMAND_MASTER))
		return true;

	pci_shield_let(&lu->shield, &bypass);
	pci_write_config_word(dev, PCI_COMMAND, cmd & ~PCI_COMMAND_MASTER);
	pci_shield_unlet(&bypass);
	dev->is_busmaster = 0;
	pci_read_config_word(dev, PCI_COMMAND, &cmd);

	return !PCI_POSSIBLE_ERROR(cmd) && !(cmd & PCI_COMMAND_MASTER);
}

static int pci_liveupdate_find_other(struct pci_dev *dev, void *found)
{
	if (dev->hdr_type == PCI_HEADER_TYPE_NORMAL && !dev->liveupdate)
		*(bool *)found = true;

	return 0;
}

/* Is a function below @bridge that has nothing to do with the update? */
static bool pci_liveupdate_has_others(struct pci_liveupdate *bridge)
{
	bool found = false;

	if (bridge->dev && bridge->dev->subordinate)
		pci_walk_bus(bridge->dev->subordinate,
			     pci_liveupdate_find_other, &found);

	return found;
}

/*
 * The nearest bridge above that can be reached, unless somebody else's function
 * is below it: one that runs for a VM, or one of the host.
 */
bool pci_liveupdate_stop_above(struct pci_liveupdate *lu)
{
	unsigned int own = lu->users;
	struct pci_liveupdate *bridge;

	/* It has left the path when it was quarantined. */
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
			pci_err(bridge->dev, "live update: bus mastering is off, all that is below is stopped\n");
			return true;
		}
	}

	return false;
}

/* Is each function that needed @bridge stopped by itself, or done with? */
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
 * A bridge was stopped when it was found, nobody knew then what is below. If that
 * is all stopped by itself, others below need not do without.
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
	pci_info(dev, "live update: may forward again, what ran below is stopped by itself\n");
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
			     "Neither it nor a bridge above can be reached");

	pci_liveupdate_let_go(lu);
	if (lu->wire.kind == LUO_PCI_FUNCTION) {
		pci_liveupdate_leave_path(lu);
		return;
	}
	list_for_each_entry(below, &pci_incoming.devices, list) {
		if (below->parent == lu && below->users)
			pci_liveupdate_quarantine(below, below->dev,
						  "a bridge above is quarantined");
	}
}

/* --- enumeration */

/**
 * pci_liveupdate_setup - A device was found.
 * @dev: The device, of which no more is known than where it is.
 *
 * Called before anything is written to it.
 */
void pci_liveupdate_setup(struct pci_dev *dev)
{
	struct pci_liveupdate *lu;

	if (!pci_liveupdate_any_incoming())
		return;

	guard(mutex)(&pci_liveupdate_lock);

	lu = pci_liveupdate_find(pci_liveupdate_place_of_dev(dev));
	if (!lu || !lu->users)
		return;

	pci_liveupdate_set_incoming(dev, lu);
	lu->dev = dev;
	if (lu->state != PCI_LIVEUPDATE_EXPECTED)
		return;

	dev->liveupdate_hands_off = true;
}

/* The chipset's own functions are bus masters for ever, and nobody's VM has them. */
static void pci_liveupdate_stop_unread(struct pci_dev *dev)
{
	u16 cmd;

	if (dev->hdr_type != PCI_HEADER_TYPE_NORMAL ||
	    dev->class >> 16 == PCI_BASE_CLASS_BRIDGE)
		return;
	pci_read_config_word(dev, PCI_COMMAND, &cmd);
	if (PCI_POSSIBLE_ERROR(cmd) || !(cmd & PCI_COMMAND_MASTER))
		return;
	pci_write_config_word(dev, PCI_COMMAND, cmd & ~PCI_COMMAND_MASTER);
	WRITE_ONCE(dev->liveupdate_stopped, true);
	pci_err(dev, "live update: its DMA is stopped: the previous kernel may have preserved it\n");
}

/* Perhaps it has another number now than when it was preserved. */
static bool pci_liveupdate_is_below_stopped(struct pci_dev *dev)
{
	while ((dev = pci_upstream_bridge(dev))) {
		if (pci_liveupdate_is_stopped(dev))
			return true;
	}

	return false;
}

/**
 * pci_liveupdate_verify - Is a device what was preserved?
 * @dev: The device. Header type and config size are known, and no fixup was run.
 */
void pci_liveupdate_verify(struct pci_dev *dev)
{
	struct pci_liveupdate *lu;
	const char *why;

	if (pci_incoming.unread || pci_liveupdate_is_below_stopped(dev))
		pci_liveupdate_stop_unread(dev);
	if (!READ_ONCE(dev->liveupdate)) {
		/* Its driver needs the bridge, which is restarted after a reset. */
		if (dev->hdr_type == PCI_HEADER_TYPE_NORMAL &&
		    pci_liveupdate_is_below_stopped(dev))
			WRITE_ONCE(dev->liveupdate_stopped, true);
		return;
	}

	guard(mutex)(&pci_liveupdate_lock);

	lu = dev->liveupdate;
	if (!lu)
		return;
	pci_shield_learn(&lu->shield, dev);
	why = pci_incoming.stop_all ?: pci_liveupdate_differs(dev, lu);
	if (lu->state == PCI_LIVEUPDATE_QUARANTINED)
		pci_liveupdate_stop(lu, dev);
	else if (why)
		pci_liveupdate_quarantine(lu, dev, why);
	if (lu->state != PCI_LIVEUPDATE_EXPECTED) {
		dev->liveupdate_hands_off = false;
		return;
	}

	lu->state = PCI_LIVEUPDATE_INCOMING;
	pci_info(dev, "live update: %s as it was, hands off\n",
		 lu->wire.kind == LUO_PCI_BRIDGE ? "bridge" : "function");
	/*
	 * It is enabled and a bus master. Who enables something below would set
	 * both again, and who disables it clear them.
	 */
	if (lu->wire.kind == LUO_PCI_BRIDGE) {
		atomic_inc(&dev->enable_cnt);
		lu->enabled = true;
	}
	dev->is_busmaster = !!(lu->wire.command & PCI_COMMAND_MASTER);
	pci_liveupdate_save_errors(lu);
}

/**
 * pci_liveupdate_add - A device is on its bus.
 * @dev: The device, not yet in sysfs.
 */
void pci_liveupdate_add(struct pci_dev *dev)
{
	struct pci_liveupdate *lu;

	if (!READ_ONCE(dev->liveupdate)) {
		/* Else all that are stopped are looked after at once. */
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
 * pci_liveupdate_remove - A device goes away.
 * @dev: The device.
 */
void pci_liveupdate_remove(struct pci_dev *dev)
{
	struct pci_liveupdate *lu;

	guard(mutex)(&pci_liveupdate_lock);

	lu = dev->liveupdate;
	if (!lu)
		return;
	pci_liveupdate_quarantine(lu, dev, "it was removed");
	pci_liveupdate_set_incoming(dev, NULL);
	pci_liveupdate_part(lu);
}

/* Nobody else gets what a running device decodes. Return: what is wrong. */
static const char *pci_liveupdate_claim_one(struct pci_liveupdate *lu)
{
	struct pci_dev *dev = lu->dev;

	for (int i = 0; i < PCI_NUM_RESOURCES; i++) {
		struct resource *res = pci_resource_n(dev, i);
		bool rom = i == PCI_ROM_RESOURCE;

		if (!res->flags || res->parent || !resource_size(res) ||
		    res->flags & (IORESOURCE_UNSET | IORESOURCE_DISABLED))
			continue;
		/* Not assigned, or not decoded: that may be anywhere. */
		if (!res->start || (rom && !(res->flags & IORESOURCE_ROM_ENABLE)))
			continue;
		/* Nothing is decoded there without virtual functions. */
		if (pci_resource_is_iov(i)) {
			pci_claim_resource(dev, i);
			continue;
		}
		if (pci_claim_resource(dev, i))
			return pci_resource_is_bridge_win(i) ?
			       "somebody else has what its window forwards" :
			       "somebody else has what its BARs decode";
		if (!(res->flags & IORESOURCE_PCI_FIXED)) {
			res->flags |= IORESOURCE_PCI_FIXED;
			lu->fixed |= BIT(i);
		}
	}

	return NULL;
}

/**
 * pci_liveupdate_claim - All below a root bus was found.
 * @bus: The root bus.
 *
 * Called before anybody is given a resource there.
 */
void pci_liveupdate_claim(struct pci_bus *bus)
{
	struct pci_liveupdate *lu;
	const char *why;

	if (!pci_is_root_bus(bus) || !pci_liveupdate_any_incoming())
		return;

	guard(mutex)(&pci_liveupdate_lock);

	/* A bridge comes before what is below it. */
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

/* Whoever they belonged to will not ask for them. */
static void __init pci_liveupdate_begin_unread_anew(void)
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

	/* Some host bridges come late. */
	wait_for_device_probe();

	guard(mutex)(&pci_liveupdate_lock);

	list_for_each_entry(lu, &pci_incoming.devices, list) {
		if (lu->state == PCI_LIVEUPDATE_EXPECTED)
			pci_liveupdate_quarantine(lu, NULL, "it is not there");
	}
	WRITE_ONCE(pci_incoming.scanned, true);
	pci_liveupdate_begin_unread_anew();

	return 0;
}
late_initcall_sync(pci_liveupdate_scanned);

/**
 * pci_liveupdate_bar_masks - What sizing the BARs of a running device would read.
 * @dev:   The device.
 * @count: How many BARs, of 32 bits each.
 * @pos:   Offset of the first in configuration space.
 * @masks: Where to put it.
 *
 * Return: false if it has to be found out by writing to them.
 */
bool pci_liveupdate_bar_masks(struct pci_dev *dev, unsigned int count,
			      unsigned int pos, u32 *masks)
{
	struct pci_liveupdate *lu = dev->liveupdate;

	if (!pci_liveupdate_hands_off(dev))
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
 * pci_liveupdate_flags - What cannot be read of a running device.
 * @dev: The device, hands-off.
 *
 * Return: enum luo_pci_flags.
 */
u16 pci_liveupdate_flags(struct pci_dev *dev)
{
	return dev->liveupdate->wire.flags;
}

/**
 * pci_liveupdate_vf_buses - Bus numbers the virtual functions would need.
 * @dev: A physical function, hands-off.
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

void pci_liveupdate_flb_finish(struct liveupdate_flb_op_args *args)
{
	struct pci_liveupdate *lu, *tmp;

	guard(mutex)(&pci_liveupdate_lock);

	/* What is below a bridge comes first, and lets it go. */
	list_for_each_entry_safe_reverse(lu, tmp, &pci_incoming.devices, list) {
		/* A file that was preserved without its function. */
		if (lu->users && lu->state == PCI_LIVEUPDATE_INCOMING)
			pci_liveupdate_quarantine(lu, lu->dev,
						  "nobody has finished it");
		/* A bridge that was stopped for what is below, or not found. */
		pci_liveupdate_let_go(lu);
		if (lu->dev && lu->dev->liveupdate == lu)
			pci_liveupdate_release(lu->dev);
		pci_liveupdate_free(lu);
	}
	luo_abi_release(&pci_incoming.reader);
}
