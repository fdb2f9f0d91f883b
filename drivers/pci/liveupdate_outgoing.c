// SPDX-License-Identifier: GPL-2.0-only
/*
 * Preserving functions for the next kernel: checking whether a function can be
 * preserved, and serializing its state.
 */

#include <linux/acpi.h>
#include <linux/cleanup.h>
#include <linux/delay.h>
#include <linux/export.h>
#include <linux/idr.h>
#include <linux/iommu.h>
#include <linux/jiffies.h>
#include <linux/kexec_handover.h>
#include <linux/kho_block.h>
#include <linux/liveupdate.h>
#include <linux/luo_abi.h>
#include <linux/pci.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "liveupdate.h"
#include "liveupdate_internal.h"
#include "liveupdate_wire.h"
#include "pci.h"

/* State preserved for the next kernel. */
static struct {
	struct list_head devices;
	unsigned int nr_devices;
	unsigned int nr_bars;
	unsigned int nr_registers;
	struct luo_abi_writer writer;
	void *blob;
	struct kho_block_set device_blocks;
	struct kho_block_set bar_blocks;
	struct kho_block_set register_blocks;
} pci_outgoing = {
	.devices = LIST_HEAD_INIT(pci_outgoing.devices),
};

#define PCI_LIVEUPDATE_BLOB_SIZE					\
	(sizeof(struct luo_abi_header) +				\
	 3 * (sizeof(struct luo_abi_record) + sizeof(struct luo_abi_array)))

/* --- checks */

static bool pci_liveupdate_refuse(struct pci_liveupdate_refusal *refusal,
				  int err, const char *why)
{
	refusal->err = err;
	refusal->why = why;

	return false;
}

/*
 * Features that must be disabled: they were not shown to survive a kexec. ATS and
 * PASIDs may have been enabled by the driver of the IOMMU, which preserves what
 * they need, or does not let the device be preserved.
 */
static const struct pci_liveupdate_feature {
	u16 cap;
	u16 offset;
	u32 mask;
	const char *why;
} pci_liveupdate_unsupported[] = {
	{ PCI_EXT_CAP_ID_ATS, PCI_ATS_CTRL & ~3, PCI_ATS_CTRL_ENABLE << 16,
	  "Address Translation Services are enabled without an IOMMU" },
	{ PCI_EXT_CAP_ID_PRI, PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE,
	  "Page Requests are enabled" },
	{ PCI_EXT_CAP_ID_PASID, PCI_PASID_CTRL & ~3,
	  PCI_PASID_CTRL_ENABLE << 16,
	  "PASIDs are enabled without an IOMMU" },
	{ PCI_EXT_CAP_ID_TPH, PCI_TPH_CTRL, PCI_TPH_CTRL_REQ_EN_MASK,
	  "TLP Processing Hints are enabled" },
	{ PCI_EXT_CAP_ID_PTM, PCI_PTM_CTRL, PCI_PTM_CTRL_ENABLE,
	  "Precision Time Measurement is enabled" },
	{ PCI_EXT_CAP_ID_DOE, PCI_DOE_STATUS,
	  PCI_DOE_STATUS_BUSY | PCI_DOE_STATUS_DATA_OBJECT_READY,
	  "a Data Object Exchange is not complete" },
};

static bool pci_liveupdate_ide_is_off(struct pci_dev *dev)
{
#ifdef CONFIG_PCI_IDE
	return ida_is_empty(&dev->ide_stream_ida);
#else
	return true;
#endif
}

static bool
pci_liveupdate_can_keep_feature(struct pci_dev *dev,
				const struct pci_liveupdate_feature *feature)
{
	u16 pos = 0;
	u32 val;

	if (feature->cap == PCI_EXT_CAP_ID_ATS && dev->ats_enabled)
		return true;
	if (feature->cap == PCI_EXT_CAP_ID_PASID && dev->pasid_enabled)
		return true;
	/* Shared by all functions below; the next kernel takes it over. */
	if (feature->cap == PCI_EXT_CAP_ID_PTM &&
	    dev->hdr_type == PCI_HEADER_TYPE_BRIDGE)
		return true;

	while ((pos = pci_find_next_ext_capability(dev, pos, feature->cap))) {
		pci_read_config_dword(dev, pos + feature->offset, &val);
		if (val & feature->mask)
			return false;
	}

	return true;
}

/**
 * pci_liveupdate_check_device - Check whether a device can be preserved now
 * @dev:     A function, or a bridge above one.
 * @refusal: Filled with errno and reason if it cannot.
 *
 * Context: Sleeps.
 * Return: true if it can.
 */
bool pci_liveupdate_check_device(struct pci_dev *dev,
				 struct pci_liveupdate_refusal *refusal)
{
	if (test_bit(PCI_DEV_GOING, &dev->priv_flags))
		return pci_liveupdate_refuse(refusal, -EBUSY,
					     "it is being removed");
	if (!pci_device_is_present(dev))
		return pci_liveupdate_refuse(refusal, -ENODEV,
					     "it does not answer");
	/* Not by pci_refresh_power_state(), which may evaluate _PS0. */
	pci_update_current_state(dev, dev->current_state);
	if (dev->current_state != PCI_D0)
		return pci_liveupdate_refuse(refusal, -EBUSY,
					     "it is not in D0");
	if (dev->is_virtfn)
		return pci_liveupdate_refuse(refusal, -EOPNOTSUPP,
					     "virtual functions cannot be preserved");
	if (pci_num_vf(dev))
		return pci_liveupdate_refuse(refusal, -EBUSY,
					     "its virtual functions are enabled");
	if (dev->dev_flags & PCI_DEV_FLAGS_MSI_INTX_DISABLE_BUG)
		return pci_liveupdate_refuse(refusal, -EOPNOTSUPP,
					     "its MSI does not work while INTx is masked");
	/* A tunnel does not survive the kernel that has set it up. */
	if (dev->is_thunderbolt || dev->external_facing)
		return pci_liveupdate_refuse(refusal, -EOPNOTSUPP,
					     "it is a Thunderbolt, USB4 or other external-facing port");
	if (pcie_is_cxl(dev))
		return pci_liveupdate_refuse(refusal, -EOPNOTSUPP,
					     "it uses CXL");
	if (pci_dev_acs_is_specific(dev))
		return pci_liveupdate_refuse(refusal, -EOPNOTSUPP,
					     "its ACS is device-specific");

	for (int i = 0; i < ARRAY_SIZE(pci_liveupdate_unsupported); i++) {
		const struct pci_liveupdate_feature *feature =
			&pci_liveupdate_unsupported[i];

		if (!pci_liveupdate_can_keep_feature(dev, feature))
			return pci_liveupdate_refuse(refusal, -EOPNOTSUPP,
						     feature->why);
	}
	if (!pci_liveupdate_ide_is_off(dev))
		return pci_liveupdate_refuse(refusal, -EOPNOTSUPP,
					     "Integrity and Data Encryption is in use");

	return true;
}

/**
 * pci_liveupdate_is_on_path - Check whether a device is kept with a function
 * @dev:   The function.
 * @other: The device.
 *
 * Only these may be in the IOMMU group of a preserved function: any other could do
 * DMA with its requester ID.
 *
 * Context: Any. The caller keeps @dev, and so the bridges above, from being removed.
 * Return: true if @other is @dev, or a bridge above.
 */
bool pci_liveupdate_is_on_path(struct pci_dev *dev, struct device *other)
{
	for (; dev; dev = pci_upstream_bridge(dev)) {
		if (&dev->dev == other)
			return true;
	}

	return false;
}

static int pci_liveupdate_check_member(struct device *member, void *data)
{
	return pci_liveupdate_is_on_path(data, member) ? 0 : -EOPNOTSUPP;
}

static bool pci_liveupdate_group_is_alone(struct pci_dev *dev)
{
	struct iommu_group *group = iommu_group_get(&dev->dev);
	int err;

	if (!group)
		return true;
	err = iommu_group_for_each_dev(group, dev, pci_liveupdate_check_member);
	iommu_group_put(group);

	return !err;
}

static bool pci_liveupdate_can_preserve(struct pci_dev *dev, bool alone,
					struct pci_liveupdate_refusal *refusal)
{
	struct pci_dev *bridge;

	if (dev->liveupdate_out)
		return pci_liveupdate_refuse(refusal, -EBUSY,
					     "it is preserved already");
	if (dev->liveupdate)
		return pci_liveupdate_refuse(refusal, -EBUSY,
					     "its previous live update is not finished");
	if (dev->hdr_type != PCI_HEADER_TYPE_NORMAL)
		return pci_liveupdate_refuse(refusal, -EOPNOTSUPP,
					     "it is a bridge");
	if (!pci_liveupdate_check_device(dev, refusal))
		return false;
	if (!has_acpi_companion(&pci_find_host_bridge(dev->bus)->dev))
		return pci_liveupdate_refuse(refusal, -EOPNOTSUPP,
					     "its host bridge is not described by ACPI: its driver may reset it");
	if (!alone)
		return pci_liveupdate_refuse(refusal, -EOPNOTSUPP,
					     "other devices are in its IOMMU group");

	for (bridge = pci_upstream_bridge(dev); bridge;
	     bridge = pci_upstream_bridge(bridge)) {
		if (bridge->hdr_type != PCI_HEADER_TYPE_BRIDGE)
			return pci_liveupdate_refuse(refusal, -EOPNOTSUPP,
						     "it is below a CardBus bridge");
		if (!pci_liveupdate_check_device(bridge, refusal)) {
			pci_info(bridge, "live update: %s cannot be preserved below this bridge: %s\n",
				 pci_name(dev), refusal->why);
			return false;
		}
	}

	return true;
}

/* --- preserve and unpreserve */

/*
 * Hot plug, unbind and reset hold the device lock, also while they wait for the
 * owner. With the lock held they check whether the device is preserved. The
 * timeout allows for the time it takes to probe the services of a port.
 */
#define PCI_LIVEUPDATE_LOCK_TIMEOUT		HZ

static bool pci_liveupdate_trylock(struct pci_dev *dev)
{
	unsigned long end = jiffies + PCI_LIVEUPDATE_LOCK_TIMEOUT;

	while (!device_trylock(&dev->dev)) {
		if (time_after(jiffies, end))
			return false;
		msleep(20);
	}

	return true;
}

/* Unlock @dev and the bridges above it, up to but not including @end. */
static void pci_liveupdate_unlock_path(struct pci_dev *dev, struct pci_dev *end)
{
	for (; dev != end; dev = pci_upstream_bridge(dev))
		device_unlock(&dev->dev);
}

/* Return: NULL, or the device that cannot be locked; then no lock is held. */
static struct pci_dev *pci_liveupdate_lock_path(struct pci_dev *dev)
{
	struct pci_dev *it;

	for (it = dev; it; it = pci_upstream_bridge(it)) {
		if (!pci_liveupdate_trylock(it)) {
			pci_liveupdate_unlock_path(dev, it);
			return it;
		}
	}

	return NULL;
}

static void pci_liveupdate_insert(struct pci_liveupdate *lu)
{
	u64 sbdf = pci_liveupdate_wire_sbdf(&lu->wire);
	struct pci_liveupdate *next;

	list_for_each_entry(next, &pci_outgoing.devices, list) {
		if (pci_liveupdate_wire_sbdf(&next->wire) > sbdf)
			break;
	}
	list_add_tail(&lu->list, &next->list);
}

/* Return: NULL, or what the next kernel would refuse. */
static const char *pci_liveupdate_check_bars(const struct luo_pci_device *wire,
					     const struct luo_pci_bar *bars,
					     unsigned int nr)
{
	const char *invalid = NULL;
	u16 next = 0;

	for (unsigned int i = 0; !invalid && i < nr; i++)
		invalid = pci_liveupdate_check_bar(wire, &bars[i], &next);

	return invalid;
}

static struct pci_liveupdate *pci_liveupdate_new(struct pci_dev *dev,
						 enum luo_pci_kind kind)
{
	struct luo_pci_bar bars[PCI_LIVEUPDATE_MAX_BARS] = {};
	struct pci_liveupdate *lu;
	const char *invalid;
	int err;

	lu = kzalloc_obj(*lu);
	if (!lu)
		return ERR_PTR(-ENOMEM);

	INIT_LIST_HEAD(&lu->list);
	lu->state = PCI_LIVEUPDATE_OUTGOING;
	lu->dev = pci_dev_get(dev);
	lu->added = true;
	lu->wire.kind = kind;
	err = pci_liveupdate_read(dev, &lu->wire);
	if (err)
		goto out_free;

	lu->nr_bars = pci_liveupdate_read_bars(dev, bars);
	lu->bars = kmemdup_array(bars, lu->nr_bars, sizeof(*bars), GFP_KERNEL);
	err = -ENOMEM;
	if (lu->nr_bars && !lu->bars)
		goto out_free;

	invalid = pci_liveupdate_check_bars(&lu->wire, lu->bars, lu->nr_bars);
	if (invalid) {
		pci_info_ratelimited(dev, "live update: not preserved: %s\n", invalid);
		err = -EOPNOTSUPP;
		goto out_free;
	}

	pci_write_block_init(&lu->block, pci_liveupdate_wire_sbdf(&lu->wire));
	pci_write_block_find_status(&lu->block, dev);
	lu->block.allow_services = kind == LUO_PCI_BRIDGE;

	return lu;

out_free:
	pci_liveupdate_free(lu);
	return ERR_PTR(err);
}

static int pci_liveupdate_grow(void)
{
	return kho_block_set_grow(&pci_outgoing.device_blocks,
				  pci_outgoing.nr_devices) ?:
	       kho_block_set_grow(&pci_outgoing.bar_blocks,
				  pci_outgoing.nr_bars) ?:
	       kho_block_set_grow(&pci_outgoing.register_blocks,
				  pci_outgoing.nr_registers);
}

static void pci_liveupdate_shrink(void)
{
	kho_block_set_shrink(&pci_outgoing.device_blocks,
			     pci_outgoing.nr_devices);
	kho_block_set_shrink(&pci_outgoing.bar_blocks, pci_outgoing.nr_bars);
	kho_block_set_shrink(&pci_outgoing.register_blocks,
			     pci_outgoing.nr_registers);
}

static void pci_liveupdate_enlist(struct pci_liveupdate *lu)
{
	pci_outgoing.nr_devices++;
	pci_outgoing.nr_bars += lu->nr_bars;
	pci_outgoing.nr_registers += lu->nr_registers;
	pci_liveupdate_insert(lu);
	pci_liveupdate_set_outgoing(lu->dev, lu);
	pci_liveupdate_pin(lu);
	pci_liveupdate_show(lu->dev);
}

static void pci_liveupdate_delist(struct pci_liveupdate *lu)
{
	pci_outgoing.nr_devices--;
	pci_outgoing.nr_bars -= lu->nr_bars;
	pci_outgoing.nr_registers -= lu->nr_registers;
	pci_liveupdate_set_outgoing(lu->dev, NULL);
	pci_liveupdate_unpin(lu);
	pci_liveupdate_show(lu->dev);
	pci_liveupdate_free(lu);
}

static void pci_liveupdate_put(struct pci_liveupdate *lu)
{
	struct pci_liveupdate *parent;

	for (; lu; lu = parent) {
		parent = lu->parent;
		if (!--lu->users)
			pci_liveupdate_delist(lu);
	}
}

/* Preserve the bridge @dev and those above it, or add a user to them. */
static struct pci_liveupdate *pci_liveupdate_get_path(struct pci_dev *dev)
{
	struct pci_liveupdate *lu, *parent = NULL;
	struct pci_dev *bridge = pci_upstream_bridge(dev);

	/* The recursion is as deep as the bus hierarchy: at most 256. */
	if (bridge) {
		parent = pci_liveupdate_get_path(bridge);
		if (IS_ERR(parent))
			return parent;
	}

	lu = dev->liveupdate_out;
	if (!lu) {
		lu = pci_liveupdate_new(dev, LUO_PCI_BRIDGE);
		if (IS_ERR(lu)) {
			pci_liveupdate_put(parent);
			return lu;
		}
		lu->parent = parent;
		pci_liveupdate_enlist(lu);
	}
	lu->users++;

	return lu;
}

static int pci_liveupdate_add_function(struct pci_dev *dev, const char *owner,
				       u64 handle,
				       const struct pci_saved_state *pristine)
{
	struct pci_dev *bridge = pci_upstream_bridge(dev);
	struct luo_pci_register *registers __free(kfree) = NULL;
	struct pci_liveupdate *lu, *path = NULL;

	registers = kcalloc(PCI_LIVEUPDATE_MAX_REGISTERS, sizeof(*registers),
			    GFP_KERNEL);
	if (!registers)
		return -ENOMEM;

	if (bridge) {
		path = pci_liveupdate_get_path(bridge);
		if (IS_ERR(path))
			return PTR_ERR(path);
	}

	lu = pci_liveupdate_new(dev, LUO_PCI_FUNCTION);
	if (IS_ERR(lu)) {
		pci_liveupdate_put(path);
		return PTR_ERR(lu);
	}
	strscpy_pad(lu->wire.owner, owner);
	lu->wire.handle = handle;
	lu->parent = path;
	lu->users = 1;
	lu->nr_registers = pci_liveupdate_pristine(dev, pristine, registers);
	lu->registers = no_free_ptr(registers);
	pci_liveupdate_enlist(lu);

	return 0;
}

/* Their drivers are not restricted, and may reset more than their function. */
static void pci_liveupdate_log_siblings(struct pci_dev *dev)
{
	struct pci_dev *other = NULL;

	for_each_pci_dev(other) {
		const struct device_driver *drv = READ_ONCE(other->dev.driver);

		if (other->bus != dev->bus || !drv ||
		    drv == READ_ONCE(dev->dev.driver) ||
		    (!pci_ari_enabled(dev->bus) &&
		     PCI_SLOT(other->devfn) != PCI_SLOT(dev->devfn)))
			continue;
		pci_info(dev, "live update: %s is a function of the same card and bound to %s, which must not reset the card\n",
			 pci_name(other), dev_driver_string(&other->dev));
	}
}

/* Called with the device locks of @dev and of the bridges above held. */
static int pci_liveupdate_preserve_locked(struct pci_dev *dev,
					  const struct liveupdate_file_handler *fh,
					  u64 handle,
					  struct pci_saved_state *pristine,
					  u64 *tokenp)
{
	/* Outside of the lock, which IOMMU drivers need when they are initialized. */
	bool alone = pci_liveupdate_group_is_alone(dev);
	struct pci_liveupdate_refusal refusal;
	int err;

	guard(mutex)(&pci_liveupdate_lock);

	if (!pci_outgoing.blob)
		return -ENOENT;

	if (!pci_liveupdate_can_preserve(dev, alone, &refusal)) {
		pci_info_ratelimited(dev, "live update: not preserved: %s\n", refusal.why);
		return refusal.err;
	}

	err = pci_liveupdate_add_function(dev, fh->compatible, handle, pristine);
	if (err)
		return err;

	err = pci_liveupdate_grow();
	if (err) {
		pci_liveupdate_put(dev->liveupdate_out);
		pci_liveupdate_shrink();
		return err;
	}

	pci_liveupdate_log_siblings(dev);
	/* 0 is never a valid token. */
	*tokenp = pci_liveupdate_dev_sbdf(dev) + 1;

	return 0;
}

/**
 * pci_liveupdate_preserve - Preserve a function across the next live update
 * @dev:      The function. The caller is its driver, which must stay bound.
 * @fh:       The handler of the file that owns the function, registered with
 *            pci_liveupdate_register(). The next kernel binds the function only
 *            to a driver whose &pci_driver.liveupdate_tag is the handler's
 *            compatible string.
 * @handle:   The file's &liveupdate_file_op_args.serialized_data; not 0. The next
 *            kernel can stop the function by it if the data behind it cannot be
 *            read, see pci_liveupdate_token_of().
 * @pristine: The state that a reset restores when the owner closes the function.
 * @tokenp:   Set to a token, which the driver passes to pci_liveupdate_get() in
 *            the next kernel. Its value is opaque.
 *
 * The bridges above are preserved, too. From now on none of these devices is
 * suspended, removed, or disabled. If others reset the function before the freeze,
 * for example error recovery, its preservation fails: the freeze returns -ESTALE. From
 * the freeze of the shared state on config writes to them are blocked, and resets are
 * refused.
 *
 * To be called in the handler's .preserve().
 *
 * Context: Sleeps.
 * Return: 0, or an error, with the reason in the log; then nothing has changed:
 * -EBUSY if the function cannot be preserved now: it is preserved already, its
 * previous live update is not finished, it is not in D0, its virtual functions
 * are enabled, it or a bridge above is being removed, or a device lock was not
 * free within a second;
 * -EOPNOTSUPP if it cannot be preserved, see the top of liveupdate.c;
 * -ENODEV if it does not respond;
 * -ENOENT if no handler that is registered with PCI has a preserved file;
 * -ENOMEM if memory is short. The last two are not logged.
 */
int pci_liveupdate_preserve(struct pci_dev *dev,
			    const struct liveupdate_file_handler *fh,
			    u64 handle, struct pci_saved_state *pristine,
			    u64 *tokenp)
{
	struct pci_dev *locked;
	int err;

	locked = pci_liveupdate_lock_path(dev);
	if (locked) {
		pci_info_ratelimited(dev, "live update: not preserved: %s is being removed, unbound, probed or reset, try again\n",
				     pci_name(locked));
		return -EBUSY;
	}
	err = pci_liveupdate_preserve_locked(dev, fh, handle, pristine, tokenp);
	pci_liveupdate_unlock_path(dev, NULL);

	return err;
}
EXPORT_SYMBOL_GPL(pci_liveupdate_preserve);

/**
 * pci_liveupdate_unpreserve - Undo pci_liveupdate_preserve()
 * @dev: The function; need not be preserved.
 *
 * To be called in the handler's .unpreserve().
 *
 * Context: Sleeps.
 */
void pci_liveupdate_unpreserve(struct pci_dev *dev)
{
	guard(mutex)(&pci_liveupdate_lock);

	if (!dev->liveupdate_out)
		return;
	pci_liveupdate_put(dev->liveupdate_out);
	pci_liveupdate_shrink();
}
EXPORT_SYMBOL_GPL(pci_liveupdate_unpreserve);

/**
 * pci_liveupdate_is_outgoing - Check whether a function is preserved for the next kernel
 * @dev: The function.
 */
bool pci_liveupdate_is_outgoing(struct pci_dev *dev)
{
	return READ_ONCE(dev->liveupdate_preserved);
}
EXPORT_SYMBOL_GPL(pci_liveupdate_is_outgoing);

/**
 * pci_liveupdate_has_failed - Check whether the preservation of a function has failed
 * @dev: The function.
 *
 * Context: Sleeps.
 * Return: true if others have reset it: its freeze will return -ESTALE.
 */
bool pci_liveupdate_has_failed(struct pci_dev *dev)
{
	guard(mutex)(&pci_liveupdate_lock);

	return dev->liveupdate_out && dev->liveupdate_out->reason;
}
EXPORT_SYMBOL_GPL(pci_liveupdate_has_failed);

/* Called with pci_liveupdate_lock held. */
static void pci_liveupdate_lose(struct pci_dev *top, const struct pci_driver *by)
{
	struct pci_liveupdate *lu;

	list_for_each_entry(lu, &pci_outgoing.devices, list) {
		if (lu->wire.kind != LUO_PCI_FUNCTION || lu->reason ||
		    (by && lu->dev->driver == by) ||
		    !pci_liveupdate_is_below(lu->dev, top))
			continue;
		lu->reason = "it was reset after it was preserved";
		pci_warn(lu->dev, "live update: its preservation has failed, because it is being reset; end its preservation, then preserve it again\n");
	}
}

/**
 * pci_liveupdate_was_lost - Note that preserved functions lose their state
 * @top: A function that is about to be reset, or a bridge: everything below it is.
 * @by:  The driver that resets its own functions, or NULL.
 *
 * Error recovery resets everything below a port, and all devices there depend on
 * it. So it goes ahead, and the preservation of the functions fails: the next
 * freeze is refused. Not that of the functions of @by, whose owner has them reset
 * and restored.
 *
 * To be called before the reset, with the device locks held that the reset takes: a
 * function below cannot be preserved or frozen during the reset. A reset of a frozen
 * function is refused.
 *
 * Context: Sleeps.
 */
void pci_liveupdate_was_lost(struct pci_dev *top, const struct pci_driver *by)
{
	if (!pci_liveupdate_preserved(top))
		return;

	guard(mutex)(&pci_liveupdate_lock);

	if (!pci_liveupdate_forbids_bus_reset(top))
		pci_liveupdate_lose(top, by);
}

/**
 * pci_liveupdate_was_contained - Note that DPC has reset the functions below a port
 * @port: The port, marked with %PCI_DPC_RECOVERING.
 *
 * The hardware has disabled the link. This cannot be refused: the preservation of
 * functions that are frozen fails, too, which matters if the update is aborted.
 * Functions that run since the previous kernel are quarantined. This unblocks config
 * writes to @port, so that it can leave DPC.
 *
 * Context: Sleeps.
 */
void pci_liveupdate_was_contained(struct pci_dev *port)
{
	if (!pci_liveupdate_preserved(port))
		return;

	guard(mutex)(&pci_liveupdate_lock);

	pci_liveupdate_lose(port, NULL);
	pci_liveupdate_fail_below(port, "DPC has disabled the link above");
}

/* --- the shared state */

int pci_liveupdate_flb_preserve(struct liveupdate_flb_op_args *args)
{
	void *blob = kho_alloc_preserve(PCI_LIVEUPDATE_BLOB_SIZE);

	if (IS_ERR(blob))
		return PTR_ERR(blob);

	/* Not in the freeze, and not with the lock held, which CPU hotplug would need. */
	pci_write_blocks_begin();

	guard(mutex)(&pci_liveupdate_lock);

	kho_block_set_init(&pci_outgoing.device_blocks,
			   sizeof(struct luo_pci_device));
	kho_block_set_init(&pci_outgoing.bar_blocks,
			   sizeof(struct luo_pci_bar));
	kho_block_set_init(&pci_outgoing.register_blocks,
			   sizeof(struct luo_pci_register));
	pci_outgoing.blob = blob;
	luo_abi_begin(&pci_outgoing.writer, &pci_liveupdate_format, blob,
		      PCI_LIVEUPDATE_BLOB_SIZE);
	args->data = virt_to_phys(blob);
	args->obj = &pci_outgoing;

	return 0;
}

void pci_liveupdate_flb_unpreserve(struct liveupdate_flb_op_args *args)
{
	scoped_guard(mutex, &pci_liveupdate_lock) {
		luo_abi_end(&pci_outgoing.writer);
		kho_block_set_destroy(&pci_outgoing.device_blocks);
		kho_block_set_destroy(&pci_outgoing.bar_blocks);
		kho_block_set_destroy(&pci_outgoing.register_blocks);
		kho_unpreserve_free(pci_outgoing.blob);
		pci_outgoing.blob = NULL;
	}
	pci_write_blocks_end();
}

/* Read the state that the next kernel compares with the device. */
static int pci_liveupdate_freeze_one(struct pci_liveupdate *lu)
{
	struct luo_pci_bar bars[PCI_LIVEUPDATE_MAX_BARS] = {};
	struct pci_liveupdate_refusal refusal;
	const char *invalid;
	int err;

	if (lu->reason) {
		pci_err(lu->dev, "live update: aborted: %s; end its preservation, then preserve it again\n",
			lu->reason);
		return -ESTALE;
	}
	if (!pci_liveupdate_check_device(lu->dev, &refusal)) {
		pci_err(lu->dev, "live update: aborted: %s\n", refusal.why);
		return refusal.err;
	}
	err = pci_liveupdate_read(lu->dev, &lu->wire);
	if (err) {
		pci_err(lu->dev, "live update: aborted: it does not respond\n");
		return err;
	}
	if (pci_liveupdate_read_bars(lu->dev, bars) != lu->nr_bars) {
		pci_err(lu->dev, "live update: aborted: its BAR layout has changed since it was preserved\n");
		return -EBUSY;
	}
	memcpy(lu->bars, bars, lu->nr_bars * sizeof(*bars));
	/* The next kernel would quarantine it. */
	invalid = pci_liveupdate_check_values(&lu->wire) ?:
		  pci_liveupdate_check_bars(&lu->wire, lu->bars, lu->nr_bars);
	if (invalid) {
		pci_err(lu->dev, "live update: aborted: %s, perhaps the device does not respond\n",
			invalid);
		return -EIO;
	}

	return 0;
}

static void pci_liveupdate_write(void)
{
	struct kho_block_set_it devices, bars, registers;
	struct luo_abi_writer *w = &pci_outgoing.writer;
	struct luo_pci_device *wire;
	struct pci_liveupdate *lu;
	u32 number = 0;

	kho_block_set_it_init(&devices, &pci_outgoing.device_blocks);
	kho_block_set_it_init(&bars, &pci_outgoing.bar_blocks);
	kho_block_set_it_init(&registers, &pci_outgoing.register_blocks);

	/* Sorted by SBDF: a bridge gets its number before the devices below it. */
	list_for_each_entry(lu, &pci_outgoing.devices, list) {
		lu->number = ++number;
		wire = kho_block_set_it_reserve_entry(&devices);
		*wire = lu->wire;
		wire->parent = lu->parent ? lu->parent->number : 0;

		for (unsigned int i = 0; i < lu->nr_bars; i++) {
			struct luo_pci_bar *bar =
				kho_block_set_it_reserve_entry(&bars);

			*bar = lu->bars[i];
			bar->device = number;
		}
		for (unsigned int i = 0; i < lu->nr_registers; i++) {
			struct luo_pci_register *reg =
				kho_block_set_it_reserve_entry(&registers);

			*reg = lu->registers[i];
			reg->device = number;
		}
	}

	luo_abi_append_array(w, LUO_PCI_DEVICES, &pci_outgoing.device_blocks);
	luo_abi_append_array(w, LUO_PCI_BARS, &pci_outgoing.bar_blocks);
	luo_abi_append_array(w, LUO_PCI_REGISTERS,
			     &pci_outgoing.register_blocks);
}

static void pci_liveupdate_thaw(void)
{
	struct pci_liveupdate *lu;

	list_for_each_entry(lu, &pci_outgoing.devices, list) {
		pci_unblock_writes(&lu->block);
		WRITE_ONCE(lu->dev->liveupdate_frozen, false);
		lu->state = PCI_LIVEUPDATE_OUTGOING;
		/* PTM may have been disabled while writes were blocked. */
		if (lu->ptm)
			pci_ptm_reconcile(lu->dev);
	}
	luo_abi_rewind(&pci_outgoing.writer);
	kho_block_set_clear(&pci_outgoing.device_blocks);
	kho_block_set_clear(&pci_outgoing.bar_blocks);
	kho_block_set_clear(&pci_outgoing.register_blocks);
}

/* Sysfs and other users hold a device lock for a short time. */
#define PCI_LIVEUPDATE_FREEZE_TIMEOUT		msecs_to_jiffies(50)

/*
 * The holder of the device lock may wait for pci_liveupdate_lock: drop that
 * meanwhile. LUO does not preserve or unpreserve files during a freeze, so the
 * list of outgoing devices does not change.
 */
static bool pci_liveupdate_freeze_trylock(struct pci_dev *dev)
{
	unsigned long end = jiffies + PCI_LIVEUPDATE_FREEZE_TIMEOUT;

	while (!device_trylock(&dev->dev)) {
		if (time_after(jiffies, end))
			return false;
		mutex_unlock(&pci_liveupdate_lock);
		usleep_range(1000, 2000);
		mutex_lock(&pci_liveupdate_lock);
	}

	return true;
}

/*
 * Block config writes to a device. Abort if its lock stays held: an unbind waits
 * for the device's user, and the shutdown of the device would wait for the unbind;
 * a reset has to restore the device's state first.
 */
static int pci_liveupdate_freeze_writers(struct pci_liveupdate *lu)
{
	struct device *dev = &lu->dev->dev;

	if (!pci_liveupdate_freeze_trylock(lu->dev)) {
		pci_err(lu->dev, "live update: aborted: its lock is held: it is being unbound, probed or reset, try again\n");
		return -EBUSY;
	}
	WRITE_ONCE(lu->dev->liveupdate_frozen, true);
	pci_block_writes(&lu->block);
	lu->state = PCI_LIVEUPDATE_FROZEN;
	lu->ptm = pcie_ptm_enabled(lu->dev);
	device_unlock(dev);

	return 0;
}

static int pci_liveupdate_freeze_all(void)
{
	struct pci_liveupdate *lu;
	int err;

	list_for_each_entry(lu, &pci_outgoing.devices, list) {
		err = pci_liveupdate_freeze_writers(lu);
		if (err)
			return err;
	}
	/* Wait for writes that have begun. Pairs with pci_checked_write(). */
	synchronize_rcu_expedited();
	list_for_each_entry(lu, &pci_outgoing.devices, list) {
		err = pci_liveupdate_freeze_one(lu);
		if (err)
			return err;
	}
	pci_liveupdate_write();

	return luo_abi_seal(&pci_outgoing.writer);
}

int pci_liveupdate_flb_freeze(struct liveupdate_flb_op_args *args)
{
	int err;

	guard(mutex)(&pci_liveupdate_lock);

	err = pci_liveupdate_freeze_all();
	if (err)
		pci_liveupdate_thaw();

	return err;
}

void pci_liveupdate_flb_unfreeze(struct liveupdate_flb_op_args *args)
{
	guard(mutex)(&pci_liveupdate_lock);
	pci_liveupdate_thaw();
}

/**
 * pci_liveupdate_shutdown_begin - Begin to shut a device down
 * @dev:    The device.
 * @bypass: For pci_liveupdate_shutdown_end().
 *
 * Allows config writes of the current task: the services of a port disable their
 * interrupts, and an incoming device that is not preserved again must be stopped.
 *
 * Return: true if the device must keep running, false if it must be stopped.
 */
bool pci_liveupdate_shutdown_begin(struct pci_dev *dev,
				   struct pci_liveupdate_bypass *bypass)
{
	bypass->task = NULL;

	guard(spinlock)(&pci_liveupdate_pointers);
	if (dev->liveupdate_out)
		pci_allow_writes(&dev->liveupdate_out->block, bypass);
	else if (dev->liveupdate)
		pci_allow_writes(&dev->liveupdate->block, bypass);

	return pci_liveupdate_frozen(dev);
}

/**
 * pci_liveupdate_shutdown_end - End the shutdown of a device
 * @dev:    The device.
 * @bypass: From pci_liveupdate_shutdown_begin().
 */
void pci_liveupdate_shutdown_end(struct pci_dev *dev,
				 struct pci_liveupdate_bypass *bypass)
{
	if (bypass->task)
		pci_disallow_writes(bypass);
}
