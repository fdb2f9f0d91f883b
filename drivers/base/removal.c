// SPDX-License-Identifier: GPL-2.0-only
/*
 * Removals of devices, and a live update that must not wait for them.
 *
 * A driver's remove() may wait for the user of its device for as long as that
 * user likes, with the device's lock held: VFIO does. device_shutdown() takes
 * the lock of every device, and some shutdown callbacks wait for a hot-plug
 * interrupt thread, which may be the remover. When a live update has frozen its
 * files there is no way back from there.
 *
 * So a live update is aborted while a removal is under way, and no removal
 * begins between the freeze and the start of the next kernel.
 */

#include <linux/delay.h>
#include <linux/device.h>
#include <linux/device/removal.h>
#include <linux/export.h>
#include <linux/jiffies.h>
#include <linux/notifier.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/wait_bit.h>

#include "base.h"

/* How long a live update waits for removals and device locks. */
#define DEVICE_REMOVAL_PATIENCE		HZ

/*
 * Read: a removal is under way. Write: removals are blocked. Only trylocks, so
 * that it has no order among other locks, and a removal may contain another.
 */
static DECLARE_RWSEM(device_removal_rwsem);
static struct task_struct *device_removals_blocker;

/**
 * device_removal_begin - Begin to remove a device or to unbind its driver
 *
 * To be called before any lock is taken that device_shutdown() may need, by
 * each path on which a user or an interrupt can cause a driver's remove().
 *
 * Context: Any that may sleep, with any locks held. May be nested.
 * Return: true if device_removal_end() must follow; false if a live update is
 * about to start the next kernel, and the device must be left as it is.
 */
bool device_removal_begin(void)
{
	return down_read_trylock(&device_removal_rwsem);
}
EXPORT_SYMBOL_GPL(device_removal_begin);

/**
 * device_removal_end - The removal is complete, or was not made
 *
 * Context: The task that called device_removal_begin().
 */
void device_removal_end(void)
{
	up_read(&device_removal_rwsem);
}
EXPORT_SYMBOL_GPL(device_removal_end);

/*
 * A device whose lock is taken, with a reference, or NULL. In the order in which
 * device_shutdown() would come to it.
 */
static struct device *device_find_locked(void)
{
	struct device *dev;

	guard(spinlock)(&devices_kset->list_lock);
	list_for_each_entry_reverse(dev, &devices_kset->list, kobj.entry) {
		if (!device_trylock(dev))
			return get_device(dev);
		device_unlock(dev);
	}

	return NULL;
}

/**
 * device_block_removals - Allow no removals from now on
 *
 * Waits a moment for removals that are under way, and for the locks of all
 * devices. From its success until device_unblock_removals() each device's lock
 * was free once, and whoever takes it does not wait for the device's user.
 *
 * Context: May sleep. The caller is a live update before its point of no return.
 * Return: 0, or -EBUSY with a log line that names the device.
 */
int device_block_removals(void)
{
	unsigned long end = jiffies + DEVICE_REMOVAL_PATIENCE;
	bool blocked = false;
	struct device *dev;

	for (;;) {
		if (!blocked)
			blocked = down_write_trylock(&device_removal_rwsem);
		dev = device_find_locked();
		if (blocked && !dev) {
			WRITE_ONCE(device_removals_blocker, current);
			return 0;
		}
		if (time_after(jiffies, end))
			break;
		put_device(dev);
		msleep(20);
	}

	if (dev)
		dev_err(dev, "live update: aborted: this device is locked, it is being removed, unbound, probed or reset: let its user close it and try again\n");
	else
		pr_err("live update: aborted: a device is being removed, try again\n");
	put_device(dev);
	if (blocked)
		up_write(&device_removal_rwsem);

	return -EBUSY;
}

/**
 * device_unblock_removals - Undo device_block_removals()
 *
 * Does nothing when removals are not blocked.
 *
 * Context: The task that called device_block_removals().
 */
void device_unblock_removals(void)
{
	if (!device_removals_blocker)
		return;
	WRITE_ONCE(device_removals_blocker, NULL);
	up_write(&device_removal_rwsem);
	wake_up_var(&device_removal_rwsem);
}

static BLOCKING_NOTIFIER_HEAD(device_unbind_notifiers);

/**
 * device_unbind_notifier_register - Be asked before a user unbinds a device
 * @nb: Called with the device and its lock held, for devices of all buses. An
 *      errno, by notifier_from_errno(), refuses it. It is never unregistered.
 *
 * Context: Sleeps.
 * Return: 0.
 */
int device_unbind_notifier_register(struct notifier_block *nb)
{
	return blocking_notifier_chain_register(&device_unbind_notifiers, nb);
}

/* With the lock of @dev. Return: 0 or an errno, with a log line. */
int device_unbind_allowed(struct device *dev)
{
	int ret;

	ret = blocking_notifier_call_chain(&device_unbind_notifiers, 0, dev);

	return notifier_to_errno(ret);
}

/*
 * A driver that is unregistered cannot be refused: wait, before any lock is
 * taken, unless the live update's task itself does it while it shuts down.
 * Return: true if device_removal_end() must follow.
 */
bool device_removal_wait(void)
{
	if (READ_ONCE(device_removals_blocker) == current)
		return false;
	wait_var_event(&device_removal_rwsem, device_removal_begin());

	return true;
}
