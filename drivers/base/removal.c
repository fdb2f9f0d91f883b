// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mutual exclusion of device removals and the start of the next kernel by a live
 * update.
 *
 * A driver's remove() may wait for the user of its device without a bound and
 * with the device lock held: VFIO does. device_shutdown() takes the lock of every
 * device, and some shutdown callbacks wait for a hot-plug interrupt thread, which
 * may be the remover. After a live update has frozen its files it cannot be
 * aborted any more and would hang.
 *
 * Therefore a live update is aborted while a removal is in progress, and removals
 * are refused between the freeze and the start of the next kernel.
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
#define DEVICE_REMOVAL_TIMEOUT		HZ

/*
 * Held for read by removals, for write to block them. Only trylocks are used:
 * there is no lock order with other locks, and removals can be nested.
 */
static DECLARE_RWSEM(device_removal_rwsem);
static struct task_struct *device_removals_blocker;

/**
 * device_removal_begin - Begin to remove a device or to unbind its driver
 *
 * To be called on each path on which a user or an interrupt can cause a driver's
 * remove(), before any lock is taken that device_shutdown() may need.
 *
 * Context: May sleep, with any locks held. May be nested.
 * Return: true, then the caller must call device_removal_end(); false if a live
 * update is about to start the next kernel, then the device must not be changed.
 */
bool device_removal_begin(void)
{
	return down_read_trylock(&device_removal_rwsem);
}
EXPORT_SYMBOL_GPL(device_removal_begin);

/**
 * device_removal_wait - Begin a removal that cannot be refused
 *
 * Like device_removal_begin(), but waits while a live update is about to start the
 * next kernel. To be called before any lock is taken: unregistering a driver does.
 *
 * Context: Sleeps. The task of the live update does not wait for itself.
 * Return: true, then the caller must call device_removal_end(); false in the task of
 * the live update.
 */
bool device_removal_wait(void)
{
	if (READ_ONCE(device_removals_blocker) == current)
		return false;
	wait_var_event(&device_removal_rwsem, device_removal_begin());

	return true;
}

/**
 * device_removal_end - End the removal of a device
 *
 * Context: The task that called device_removal_begin().
 */
void device_removal_end(void)
{
	up_read(&device_removal_rwsem);
}
EXPORT_SYMBOL_GPL(device_removal_end);

/*
 * Find a device whose lock is held, in the order of device_shutdown(). Return: the
 * device with a reference, or NULL.
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

/* Let removals begin again, and wake those that wait in device_removal_wait(). */
static void device_allow_removals(void)
{
	up_write(&device_removal_rwsem);
	/* Order the release before the check for waiters in wake_up_var(). */
	smp_mb();
	wake_up_var(&device_removal_rwsem);
}

/**
 * device_removals_blocked - Check whether a live update is about to start the next kernel
 *
 * For what takes long with a device lock held, such as a reset: device_shutdown() would
 * wait for it. To be called with the lock held.
 *
 * Context: Any.
 * Return: true if it must not be done, false also for the task of the live update.
 */
bool device_removals_blocked(void)
{
	struct task_struct *blocker = READ_ONCE(device_removals_blocker);

	return blocker && blocker != current;
}

/**
 * device_unblock_removals - Undo device_block_removals()
 *
 * Removals need not be blocked.
 *
 * Context: The task that called device_block_removals().
 */
void device_unblock_removals(void)
{
	if (!device_removals_blocker)
		return;
	WRITE_ONCE(device_removals_blocker, NULL);
	device_allow_removals();
}

/**
 * device_block_removals - Block removals of devices
 *
 * Waits for at most a second until no removal is in progress and until the lock of
 * each device was free. After success a task that holds a device lock does not
 * wait for the user of the device, until device_unblock_removals().
 *
 * Context: May sleep. The caller is a live update before its point of no return.
 * Return: 0, or -EBUSY with a log line that names the device.
 */
int device_block_removals(void)
{
	unsigned long end = jiffies + DEVICE_REMOVAL_TIMEOUT;
	struct device *dev;

	for (;;) {
		/* While a device is locked do not refuse removals. */
		dev = device_find_locked();
		if (!dev && down_write_trylock(&device_removal_rwsem)) {
			/*
			 * A lock may have been taken since. A task that takes one
			 * from now on sees device_removals_blocked().
			 */
			WRITE_ONCE(device_removals_blocker, current);
			dev = device_find_locked();
			if (!dev)
				return 0;
			device_unblock_removals();
		}
		if (time_after(jiffies, end))
			break;
		put_device(dev);
		msleep(20);
	}

	if (dev)
		dev_err(dev, "live update: aborted: the device is locked because it is being removed, unbound, probed or reset: close it and try again\n");
	else
		pr_err("live update: aborted: a device is being removed, try again\n");
	put_device(dev);

	return -EBUSY;
}

static BLOCKING_NOTIFIER_HEAD(device_unbind_notifiers);

/**
 * device_unbind_notifier_register - Register a notifier that can refuse an unbind
 * @nb: Called when a user unbinds a device of any bus, with the device as data and
 *      the device lock held. Refuses by notifier_from_errno(). Cannot be
 *      unregistered.
 *
 * Context: Sleeps.
 * Return: 0.
 */
int device_unbind_notifier_register(struct notifier_block *nb)
{
	return blocking_notifier_chain_register(&device_unbind_notifiers, nb);
}

/* Called with the lock of @dev held. Return: 0, or an errno with a log line. */
int device_unbind_allowed(struct device *dev)
{
	int ret;

	ret = blocking_notifier_call_chain(&device_unbind_notifiers, 0, dev);

	return notifier_to_errno(ret);
}
