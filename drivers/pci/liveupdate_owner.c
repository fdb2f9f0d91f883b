// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the driver of a function that runs since before this kernel did can do:
 * get it, take it over, write to it, give it up, and be done with its live
 * update.
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
 * pci_liveupdate_is_incoming - Was a function preserved by the previous kernel?
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
 * pci_liveupdate_token_of - The token of a function whose file is known.
 * @handle: The file's, as it was given to pci_liveupdate_preserve().
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
			return pci_liveupdate_place_of(&lu->wire) + 1;
	}

	return 0;
}
EXPORT_SYMBOL_GPL(pci_liveupdate_token_of);

/**
 * pci_liveupdate_get - Find a function that was preserved.
 * @token: What pci_liveupdate_preserve() gave.
 *
 * Context: Sleeps.
 * Return: the function, for pci_dev_put(), or
 * -EAGAIN if it may still be found,
 * -EIO if it is quarantined or was quiesced; the reason is in the log,
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
 * pci_liveupdate_adopt - Take a running function over.
 * @dev:       The function; the caller is its driver.
 * @pristinep: Where its pristine state is put, for
 *             pci_load_and_free_saved_state().
 *
 * Takes the place of pci_enable_device(), pci_set_master() and
 * pci_store_saved_state(), none of which may be called for a running function.
 * To be undone by pci_disable_device().
 *
 * Context: Sleeps.
 * Return: 0, -ENODEV if it is not running, -ENOMEM, or what
 * pcibios_enable_device() returned. Then nothing has changed.
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

	/* Its resources are claimed and decoded; this routes its interrupt. */
	err = pcibios_enable_device(dev, pci_select_bars(dev, IORESOURCE_MEM |
							 IORESOURCE_IO));
	if (err) {
		kfree(*pristinep);
		*pristinep = NULL;
		return err;
	}
	atomic_inc(&dev->enable_cnt);
	pci_shield_let_msi(&lu->shield, dev);

	return 0;
}
EXPORT_SYMBOL_GPL(pci_liveupdate_adopt);

/**
 * pci_liveupdate_abandon - Undo pci_liveupdate_adopt().
 * @dev:       The function. It goes on, and can be adopted again.
 * @pristinep: From pci_liveupdate_adopt(); becomes NULL.
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
		pci_shield_let_msi(&dev->liveupdate->shield, NULL);
}
EXPORT_SYMBOL_GPL(pci_liveupdate_abandon);

/**
 * pci_liveupdate_owner_begin - The owner is going to write to its function.
 * @dev:    The function; it does not have to be preserved.
 * @bypass: For pci_liveupdate_owner_end().
 *
 * Only for what the owner has asked for. Other tasks' writes are kept away as
 * before. Does nothing once the function is frozen.
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
		pci_shield_let(&dev->liveupdate->shield, bypass);
}
EXPORT_SYMBOL_GPL(pci_liveupdate_owner_begin);

/**
 * pci_liveupdate_restore_acs - A function that runs has perhaps been reset.
 * @dev: The function, hands-off.
 *
 * Only its owner can have done that, so only the owner's task writes: everybody
 * else finds ACS Control as it has to be.
 *
 * Context: Sleeps. Its live update may be finished meanwhile.
 */
void pci_liveupdate_restore_acs(struct pci_dev *dev)
{
	struct pci_liveupdate *lu;

	guard(mutex)(&pci_liveupdate_lock);

	lu = dev->liveupdate;
	if (lu && dev->acs_cap && pci_shield_is_let(&lu->shield))
		pci_write_config_word(dev, dev->acs_cap + PCI_ACS_CTRL,
				      lu->wire.acs);
}

/**
 * pci_liveupdate_owner_end - Undo pci_liveupdate_owner_begin().
 * @dev:    The function.
 * @bypass: From pci_liveupdate_owner_begin().
 */
void pci_liveupdate_owner_end(struct pci_dev *dev,
			      struct pci_liveupdate_bypass *bypass)
{
	if (unlikely(bypass->task))
		pci_shield_unlet(bypass);
}
EXPORT_SYMBOL_GPL(pci_liveupdate_owner_end);

/**
 * pci_liveupdate_quiesce - Stop a function that is abandoned.
 * @token: What pci_liveupdate_preserve() gave.
 *
 * Bus mastering is switched off, so that the memory it was told to write to can
 * be freed. The function is not finished by that, but from now on
 * pci_liveupdate_get() and pci_liveupdate_adopt() fail.
 *
 * Belongs into the handler's .quiesce(), which returns what this returns.
 *
 * Context: Sleeps. May be called again.
 * Return: 0, or -EIO if neither the function nor a bridge above can be stopped, or
 * the function may still be found. Then it must not be finished, and its memory
 * not be freed.
 */
int pci_liveupdate_quiesce(u64 token)
{
	struct pci_liveupdate *lu;

	guard(mutex)(&pci_liveupdate_lock);

	lu = pci_liveupdate_find(token - 1);
	if (!lu || !lu->users || lu->stopped)
		return 0;
	if (lu->state == PCI_LIVEUPDATE_EXPECTED)
		return -EIO;

	lu->stopped = (lu->dev && pci_liveupdate_stop(lu, lu->dev)) ||
		      pci_liveupdate_stop_above(lu);
	if (!lu->stopped) {
		/* A running function can be retrieved again. */
		if (lu->dev && lu->state == PCI_LIVEUPDATE_INCOMING)
			WRITE_ONCE(lu->dev->liveupdate_stopped, false);
		pr_err("pci %04x:%02x:%02x.%d: live update: abandoned, but it cannot be stopped: neither it nor a bridge above that is its own can be reached. Its VM's memory is kept; try again or reboot.\n",
		       lu->wire.segment, lu->wire.bus,
		       PCI_SLOT(lu->wire.devfn), PCI_FUNC(lu->wire.devfn));
		return -EIO;
	}
	if (lu->dev)
		pci_info(lu->dev, "live update: given up, its DMA is stopped\n");

	return 0;
}
EXPORT_SYMBOL_GPL(pci_liveupdate_quiesce);

/* What the administrator has set since then is left alone. */
static void pci_liveupdate_override(struct pci_dev *dev)
{
	const struct device_driver *drv = READ_ONCE(dev->dev.driver);

	if (!drv || device_has_driver_override(&dev->dev))
		return;
	if (device_set_driver_override(&dev->dev, drv->name))
		pci_warn(dev, "live update: driver_override is lost, set it to %s again\n",
			 drv->name);
}

/**
 * pci_liveupdate_finish - A function's live update is over.
 * @token: What pci_liveupdate_preserve() gave.
 *
 * From now on it is one like any other, and so are the bridges above unless
 * somebody else needs them. A function that is abandoned must have been quiesced.
 * Also for functions that are quarantined or gone. If driver_override named its
 * driver in the previous kernel, it names the driver that has it now.
 *
 * Belongs into the handler's .finish().
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
		pci_liveupdate_let_go(lu);
		pci_liveupdate_leave_path(lu);
	}
	dev = lu->dev;
	if (!dev)
		return;
	if (lu->wire.flags & LUO_PCI_DRIVER_OVERRIDE)
		pci_liveupdate_override(dev);
	pci_liveupdate_release(dev);
	pci_liveupdate_part(lu);
}
EXPORT_SYMBOL_GPL(pci_liveupdate_finish);

/**
 * pci_liveupdate_match - May a driver have a device?
 * @dev: The device.
 * @tag: The driver's &pci_driver.liveupdate_tag, or NULL.
 *
 * Return: 0 if that is decided as ever, 1 if the driver is the owner's, -ENODEV
 * if it must not have it: the device's owner has not finished.
 */
int pci_liveupdate_match(struct pci_dev *dev, const char *tag)
{
	struct pci_liveupdate *lu;

	/* Not before it has forgotten where it wrote to. */
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
