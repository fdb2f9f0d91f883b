// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interface for the driver of a running function: find it, adopt it, write to its
 * configuration space, abandon it, and finish its live update.
 */

#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "liveupdate.h"
#include "liveupdate_internal.h"
#include "pci.h"

/**
 * pci_liveupdate_is_incoming - Check whether the previous kernel preserved a function
 * @dev: The function.
 *
 * Return: true until pci_liveupdate_finish(), also in quarantine.
 */
bool pci_liveupdate_is_incoming(struct pci_dev *dev)
{
	return READ_ONCE(dev->liveupdate);
}
EXPORT_SYMBOL_GPL(pci_liveupdate_is_incoming);

/**
 * pci_liveupdate_is_running - Check whether a device runs since the previous kernel
 * @dev: A function or bridge.
 *
 * Return: true if it is preserved, and neither finished nor stopped.
 */
bool pci_liveupdate_is_running(struct pci_dev *dev)
{
	return pci_liveupdate_running(dev);
}

/**
 * pci_liveupdate_token_of - Find the token of a function by its file
 * @handle: The handle that was passed to pci_liveupdate_preserve().
 *
 * Return: the token, or 0 if there is no such function.
 */
u64 pci_liveupdate_token_of(u64 handle)
{
	struct pci_liveupdate *lu;

	guard(mutex)(&pci_liveupdate_lock);

	list_for_each_entry(lu, &pci_incoming.devices, list) {
		if (lu->wire.kind == LUO_PCI_FUNCTION &&
		    lu->wire.handle == handle)
			return pci_liveupdate_wire_sbdf(&lu->wire) + 1;
	}

	return 0;
}
EXPORT_SYMBOL_GPL(pci_liveupdate_token_of);

/**
 * pci_liveupdate_get - Get a preserved function by its token
 * @token: From pci_liveupdate_preserve().
 *
 * Context: Sleeps.
 * Return: the function; release it with pci_dev_put(). Or:
 * -EAGAIN if its bus was not scanned yet;
 * -EIO if it is quarantined or was quiesced; the reason is in the log;
 * -ENOENT if there is no such function, or it is finished.
 */
struct pci_dev *pci_liveupdate_get(u64 token)
{
	struct pci_liveupdate *lu;

	guard(mutex)(&pci_liveupdate_lock);

	if (pci_incoming.unread)
		return ERR_PTR(-EIO);
	lu = pci_liveupdate_find(token - 1);
	if (!lu || lu->wire.kind != LUO_PCI_FUNCTION || !lu->users)
		return ERR_PTR(-ENOENT);
	if (lu->state == PCI_LIVEUPDATE_EXPECTED)
		return ERR_PTR(-EAGAIN);
	if (lu->state != PCI_LIVEUPDATE_INCOMING || lu->stopped)
		return ERR_PTR(-EIO);
	if (!lu->added)
		return ERR_PTR(-EAGAIN);

	return pci_dev_get(lu->dev);
}
EXPORT_SYMBOL_GPL(pci_liveupdate_get);

/**
 * pci_liveupdate_adopt - Take over a running function
 * @dev:       The function. The caller is its driver.
 * @pristinep: Set to its pristine state, for pci_load_and_free_saved_state().
 *
 * Replaces pci_enable_device(), pci_set_master() and pci_store_saved_state(),
 * none of which may be called for a running function. Undone by
 * pci_disable_device().
 *
 * Context: Sleeps.
 * Return: 0, -ENODEV if it is not running, -ENOMEM, or an error of
 * pcibios_enable_device(). On error nothing has changed.
 */
int pci_liveupdate_adopt(struct pci_dev *dev, struct pci_saved_state **pristinep)
{
	struct pci_liveupdate *lu;
	int err;

	guard(mutex)(&pci_liveupdate_lock);

	lu = dev->liveupdate;
	if (!lu || lu->state != PCI_LIVEUPDATE_INCOMING || lu->stopped)
		return -ENODEV;

	*pristinep = pci_liveupdate_make_pristine(dev, lu->registers,
						  lu->nr_registers);
	if (!*pristinep)
		return -ENOMEM;

	/* Its resources are claimed and decoded. This only routes its interrupt. */
	err = pcibios_enable_device(dev, pci_select_bars(dev, IORESOURCE_MEM |
							 IORESOURCE_IO));
	if (err) {
		kfree(*pristinep);
		*pristinep = NULL;
		return err;
	}
	atomic_inc(&dev->enable_cnt);
	pci_allow_msi_writes(&lu->block, dev);

	return 0;
}
EXPORT_SYMBOL_GPL(pci_liveupdate_adopt);

/**
 * pci_liveupdate_abandon - Undo pci_liveupdate_adopt()
 * @dev:       The function. It keeps running and can be adopted again.
 * @pristinep: From pci_liveupdate_adopt(). Freed and set to NULL.
 *
 * Context: Sleeps.
 */
void pci_liveupdate_abandon(struct pci_dev *dev,
			    struct pci_saved_state **pristinep)
{
	guard(mutex)(&pci_liveupdate_lock);

	kfree(*pristinep);
	*pristinep = NULL;
	atomic_dec(&dev->enable_cnt);
	if (dev->liveupdate)
		pci_allow_msi_writes(&dev->liveupdate->block, NULL);
}
EXPORT_SYMBOL_GPL(pci_liveupdate_abandon);

/**
 * pci_liveupdate_owner_begin - Allow the current task to write on the owner's behalf
 * @dev:    The function; need not be preserved.
 * @bypass: For pci_liveupdate_owner_end().
 *
 * Only for config writes that the owner has requested. Config writes of other
 * tasks stay blocked. Has no effect on a function that is frozen.
 *
 * Context: Any task.
 */
void pci_liveupdate_owner_begin(struct pci_dev *dev,
				struct pci_liveupdate_bypass *bypass)
{
	bypass->task = NULL;
	if (likely(!READ_ONCE(dev->liveupdate)))
		return;

	guard(spinlock)(&pci_liveupdate_pointers);
	if (dev->liveupdate)
		pci_allow_writes(&dev->liveupdate->block, bypass);
}
EXPORT_SYMBOL_GPL(pci_liveupdate_owner_begin);

/**
 * pci_liveupdate_restore_acs - Restore ACS Control of a running function
 * @dev: A running function, which its owner may have reset.
 *
 * Only the owner can reset it. In other tasks ACS Control is unchanged, and
 * nothing is written.
 *
 * Context: Sleeps. The live update may be finished concurrently.
 */
void pci_liveupdate_restore_acs(struct pci_dev *dev)
{
	struct pci_liveupdate *lu;

	guard(mutex)(&pci_liveupdate_lock);

	lu = dev->liveupdate;
	if (lu && dev->acs_cap && pci_writes_allowed(&lu->block))
		pci_write_config_word(dev, dev->acs_cap + PCI_ACS_CTRL,
				      lu->wire.acs);
}

/**
 * pci_liveupdate_owner_end - Undo pci_liveupdate_owner_begin()
 * @dev:    The function.
 * @bypass: From pci_liveupdate_owner_begin().
 */
void pci_liveupdate_owner_end(struct pci_dev *dev,
			      struct pci_liveupdate_bypass *bypass)
{
	if (unlikely(bypass->task))
		pci_disallow_writes(bypass);
}
EXPORT_SYMBOL_GPL(pci_liveupdate_owner_end);

/**
 * pci_liveupdate_quiesce - Stop an abandoned function
 * @token: From pci_liveupdate_preserve().
 *
 * Disables bus mastering, so that the memory the function writes to can be freed.
 * Afterwards pci_liveupdate_get() and pci_liveupdate_adopt() fail. The function
 * still has to be finished.
 *
 * To be called in the handler's .quiesce(), which returns the result.
 *
 * Context: Sleeps. May be called again.
 * Return: 0, or -EIO if neither the function nor a bridge above can be stopped, if
 * its bus was not scanned yet, or if there is no function with this token. Then it
 * must not be finished, and its memory must not be freed.
 */
int pci_liveupdate_quiesce(u64 token)
{
	struct pci_liveupdate *lu;

	guard(mutex)(&pci_liveupdate_lock);

	lu = pci_liveupdate_find(token - 1);
	/* If nothing could be read all functions are stopped. */
	if (!lu)
		return pci_incoming.unread ? 0 : -EIO;
	if (!lu->users || lu->stopped)
		return 0;
	if (lu->state == PCI_LIVEUPDATE_EXPECTED)
		return -EIO;

	lu->stopped = (lu->dev && pci_liveupdate_stop(lu, lu->dev)) ||
		      pci_liveupdate_stop_above(lu);
	if (!lu->stopped) {
		/* A running function can be retrieved again. */
		if (lu->dev && lu->state == PCI_LIVEUPDATE_INCOMING)
			WRITE_ONCE(lu->dev->liveupdate_stopped, false);
		pr_err("pci %04x:%02x:%02x.%d: live update: abandoned, but cannot be stopped: neither it nor a bridge that only serves it can be reached. The memory of its VM stays allocated and no kexec is possible; try again, or power-cycle the machine.\n",
		       lu->wire.segment, lu->wire.bus,
		       PCI_SLOT(lu->wire.devfn), PCI_FUNC(lu->wire.devfn));
		return -EIO;
	}
	if (lu->dev)
		pci_info(lu->dev, "live update: abandoned, its DMA is stopped\n");

	return 0;
}
EXPORT_SYMBOL_GPL(pci_liveupdate_quiesce);

/* Restore driver_override, unless the administrator has set it since the kexec. */
static void pci_liveupdate_override(struct pci_dev *dev)
{
	const struct device_driver *drv = READ_ONCE(dev->dev.driver);

	if (!drv || device_has_driver_override(&dev->dev))
		return;
	if (device_set_driver_override(&dev->dev, drv->name))
		pci_warn(dev, "live update: driver_override was not restored, set it to %s\n",
			 drv->name);
}

/**
 * pci_liveupdate_finish - Finish the live update of a function
 * @token: From pci_liveupdate_preserve().
 *
 * Afterwards the function is handled like any other, and so are the bridges above
 * that no other preserved function needs. An abandoned function must have been
 * quiesced before. Must also be called for a function that is quarantined or
 * absent. If driver_override was set in the previous kernel, it is set to the
 * name of the bound driver.
 *
 * To be called in the handler's .finish().
 *
 * Context: Sleeps. Drivers are probed later.
 */
void pci_liveupdate_finish(u64 token)
{
	struct pci_liveupdate *lu;
	struct pci_dev *dev;

	guard(mutex)(&pci_liveupdate_lock);

	lu = pci_liveupdate_find(token - 1);
	if (!lu || lu->wire.kind != LUO_PCI_FUNCTION || !lu->users)
		return;

	lu->users = 0;
	if (lu->state != PCI_LIVEUPDATE_QUARANTINED) {
		pci_liveupdate_release(lu);
		pci_liveupdate_put_upstream(lu);
	}
	dev = lu->dev;
	if (!dev)
		return;
	if (lu->wire.flags & LUO_PCI_DRIVER_OVERRIDE)
		pci_liveupdate_override(dev);
	pci_liveupdate_end(dev);
	pci_liveupdate_detach(lu);
}
EXPORT_SYMBOL_GPL(pci_liveupdate_finish);

/**
 * pci_liveupdate_match - Check whether a driver may be bound to a device
 * @dev: The device.
 * @tag: The driver's &pci_driver.liveupdate_tag, or NULL.
 *
 * Return: 0 if the usual rules apply, 1 if the driver is that of the owner,
 * -ENODEV if the driver must not be bound because the owner has not finished.
 */
int pci_liveupdate_match(struct pci_dev *dev, const char *tag)
{
	struct pci_liveupdate *lu;

	/* Not before a reset: its DMA programming is stale. */
	if (pci_liveupdate_is_stopped(dev) &&
	    dev->hdr_type == PCI_HEADER_TYPE_NORMAL &&
	    !READ_ONCE(dev->liveupdate))
		return -ENODEV;
	if (likely(!READ_ONCE(dev->liveupdate)))
		return 0;

	guard(mutex)(&pci_liveupdate_lock);

	lu = dev->liveupdate;
	if (!lu)
		return 0;
	if (lu->state != PCI_LIVEUPDATE_INCOMING || !tag ||
	    lu->wire.kind != LUO_PCI_FUNCTION ||
	    strncmp(tag, lu->wire.owner, sizeof(lu->wire.owner)))
		return -ENODEV;

	return 1;
}
