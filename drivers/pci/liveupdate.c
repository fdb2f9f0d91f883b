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

#include <linux/acpi.h>
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/idr.h>
#include <linux/iommu.h>
#include <linux/kexec_handover.h>
#include <linux/kho_block.h>
#include <linux/liveupdate.h>
#include <linux/luo_abi.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/workqueue.h>

#include "liveupdate.h"
#include "liveupdate_wire.h"
#include "pci.h"

/*
 * Protects all of the two below. Taken inside LUO's locks, the rescan lock and
 * device locks; outside of config accesses.
 */
static DEFINE_MUTEX(pci_liveupdate_lock);

/*
 * &pci_dev.liveupdate and .liveupdate_out change with both locks held, and what
 * they lead to is freed only after that. For those who cannot wait for the
 * other: sysfs, whose files are removed with it held.
 */
static DEFINE_SPINLOCK(pci_liveupdate_pointers);

/* For the next kernel. */
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

/* From the previous kernel. */
static struct {
	struct list_head devices;
	struct luo_abi_reader reader;
	const char *stop_all;	/* why nothing can be left running */
	bool unread;		/* something was preserved, nobody knows what */
} pci_incoming = {
	.devices = LIST_HEAD_INIT(pci_incoming.devices),
};

#define PCI_LIVEUPDATE_BLOB_SIZE					\
	(sizeof(struct luo_abi_header) +				\
	 3 * (sizeof(struct luo_abi_record) + sizeof(struct luo_abi_array)))

/* --- both directions */

static u64 pci_liveupdate_place_of(const struct luo_pci_device *wire)
{
	return pci_liveupdate_place(wire->segment, wire->bus, wire->devfn);
}

static u64 pci_liveupdate_place_of_dev(struct pci_dev *dev)
{
	return pci_liveupdate_place(pci_domain_nr(dev->bus), dev->bus->number,
				    dev->devfn);
}

static void pci_liveupdate_set_incoming(struct pci_dev *dev,
					struct pci_liveupdate *lu)
{
	guard(spinlock)(&pci_liveupdate_pointers);
	WRITE_ONCE(dev->liveupdate, lu);
	if (!lu)
		WRITE_ONCE(dev->liveupdate_stopped, false);
}

static void pci_liveupdate_set_outgoing(struct pci_dev *dev,
					struct pci_liveupdate *lu)
{
	guard(spinlock)(&pci_liveupdate_pointers);
	WRITE_ONCE(dev->liveupdate_out, lu);
	WRITE_ONCE(dev->liveupdate_kept, lu);
}

static void pci_liveupdate_free(struct pci_liveupdate *lu)
{
	list_del(&lu->list);
	if (lu->added)
		pci_dev_put(lu->dev);
	kfree(lu->bars);
	kfree(lu->registers);
	kfree(lu);
}

static void pci_liveupdate_insert(struct list_head *devices,
				  struct pci_liveupdate *lu)
{
	u64 place = pci_liveupdate_place_of(&lu->wire);
	struct pci_liveupdate *next;

	list_for_each_entry(next, devices, list) {
		if (pci_liveupdate_place_of(&next->wire) > place)
			break;
	}
	list_add_tail(&lu->list, &next->list);
}

static void pci_liveupdate_pin(struct pci_liveupdate *lu)
{
	if (lu->pinned)
		return;
	lu->pinned = true;
	pm_runtime_get_noresume(&lu->dev->dev);
}

static void pci_liveupdate_unpin(struct pci_liveupdate *lu)
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

/* --- outgoing: who can be preserved */

struct pci_liveupdate_refusal {
	int err;
	const char *why;
};

#define REFUSE(_refusal, _err, _why) \
	((_refusal)->err = (_err), (_refusal)->why = (_why), false)

/* What was not shown to go on across a kexec, and is switched on. */
static const struct {
	u16 cap;
	u16 offset;
	u32 mask;
	const char *why;
} pci_liveupdate_unsupported[] = {
	{ PCI_EXT_CAP_ID_ATS, PCI_ATS_CTRL & ~3, PCI_ATS_CTRL_ENABLE << 16,
	  "Address Translation Services are enabled" },
	{ PCI_EXT_CAP_ID_PRI, PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE,
	  "Page Requests are enabled" },
	{ PCI_EXT_CAP_ID_PASID, PCI_PASID_CTRL & ~3,
	  PCI_PASID_CTRL_ENABLE << 16, "PASIDs are enabled" },
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

static bool pci_liveupdate_feature_is_off(struct pci_dev *dev, u16 cap,
					  u16 offset, u32 mask)
{
	u16 pos = 0;
	u32 val;

	while ((pos = pci_find_next_ext_capability(dev, pos, cap))) {
		pci_read_config_dword(dev, pos + offset, &val);
		if (val & mask)
			return false;
	}

	return true;
}

static bool pci_liveupdate_can_keep(struct pci_dev *dev,
				    struct pci_liveupdate_refusal *refusal)
{
	if (pci_dev_is_disconnected(dev))
		return REFUSE(refusal, -ENODEV, "it was unplugged");
	pci_refresh_power_state(dev);
	if (dev->current_state != PCI_D0)
		return REFUSE(refusal, -EBUSY, "it is not in D0");
	if (dev->is_virtfn)
		return REFUSE(refusal, -EOPNOTSUPP,
			      "virtual functions cannot be preserved");
	if (pci_num_vf(dev))
		return REFUSE(refusal, -EBUSY,
			      "its virtual functions are enabled");
	if (pci_dev_acs_is_specific(dev))
		return REFUSE(refusal, -EOPNOTSUPP,
			      "its ACS is configured in a way of its own");

	for (int i = 0; i < ARRAY_SIZE(pci_liveupdate_unsupported); i++) {
		if (!pci_liveupdate_feature_is_off(dev,
				pci_liveupdate_unsupported[i].cap,
				pci_liveupdate_unsupported[i].offset,
				pci_liveupdate_unsupported[i].mask))
			return REFUSE(refusal, -EOPNOTSUPP,
				      pci_liveupdate_unsupported[i].why);
	}
	if (!pci_liveupdate_ide_is_off(dev))
		return REFUSE(refusal, -EOPNOTSUPP,
			      "Integrity and Data Encryption is in use");

	return true;
}

static bool pci_liveupdate_is_on_path(struct pci_dev *dev, struct pci_dev *other)
{
	for (; dev; dev = pci_upstream_bridge(dev)) {
		if (dev == other)
			return true;
	}

	return false;
}

static int pci_liveupdate_check_member(struct device *member, void *data)
{
	struct pci_dev *dev = data;

	if (!dev_is_pci(member) ||
	    !pci_liveupdate_is_on_path(dev, to_pci_dev(member)))
		return -EOPNOTSUPP;

	return 0;
}

/* Who shares a group with the function could do DMA in its name. */
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

static bool pci_liveupdate_can_preserve(struct pci_dev *dev,
					struct pci_liveupdate_refusal *refusal)
{
	struct pci_dev *bridge;

	if (dev->liveupdate_out)
		return REFUSE(refusal, -EBUSY, "it is preserved already");
	if (dev->liveupdate)
		return REFUSE(refusal, -EBUSY,
			      "its previous live update is not finished");
	if (dev->hdr_type != PCI_HEADER_TYPE_NORMAL)
		return REFUSE(refusal, -EOPNOTSUPP, "it is a bridge");
	if (!pci_liveupdate_can_keep(dev, refusal))
		return false;
	if (!has_acpi_companion(&pci_find_host_bridge(dev->bus)->dev))
		return REFUSE(refusal, -EOPNOTSUPP,
			      "its host bridge is not the firmware's: a driver may reset it");
	if (!pci_liveupdate_group_is_alone(dev))
		return REFUSE(refusal, -EOPNOTSUPP,
			      "others are in its IOMMU group");

	for (bridge = pci_upstream_bridge(dev); bridge;
	     bridge = pci_upstream_bridge(bridge)) {
		if (bridge->hdr_type != PCI_HEADER_TYPE_BRIDGE)
			return REFUSE(refusal, -EOPNOTSUPP,
				      "it is below a CardBus bridge");
		if (!pci_liveupdate_can_keep(bridge, refusal)) {
			pci_info(bridge, "live update: is above %s: %s\n",
				 pci_name(dev), refusal->why);
			return false;
		}
	}

	return true;
}

/* --- outgoing: preserve and unpreserve */

static struct pci_liveupdate *pci_liveupdate_new(struct pci_dev *dev,
						 enum luo_pci_kind kind)
{
	struct luo_pci_bar bars[PCI_LIVEUPDATE_MAX_BARS] = {};
	struct pci_liveupdate *lu;
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

	for (unsigned int i = 0; i < lu->nr_bars; i++) {
		err = pci_liveupdate_check_bar(&bars[i]);
		if (err) {
			pci_info(dev, "live update: the BAR at %#x is not one that can be handed over\n",
				 bars[i].offset);
			err = -EOPNOTSUPP;
			goto out_free;
		}
	}

	pci_shield_init(&lu->shield, pci_liveupdate_place_of(&lu->wire));
	pci_shield_learn(&lu->shield, dev);
	lu->shield.lets_status = kind == LUO_PCI_BRIDGE;

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

static void pci_liveupdate_show(struct pci_dev *dev)
{
	/* Who has gone may have gone from sysfs, too. */
	if (device_is_registered(&dev->dev))
		sysfs_update_group(&dev->dev.kobj, &pci_liveupdate_attr_group);
}

static void pci_liveupdate_enlist(struct pci_liveupdate *lu)
{
	pci_outgoing.nr_devices++;
	pci_outgoing.nr_bars += lu->nr_bars;
	pci_outgoing.nr_registers += lu->nr_registers;
	pci_liveupdate_insert(&pci_outgoing.devices, lu);
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

/* The bridge @dev and those above it have one user more. */
static struct pci_liveupdate *pci_liveupdate_get_path(struct pci_dev *dev)
{
	struct pci_liveupdate *lu, *parent = NULL;
	struct pci_dev *bridge = pci_upstream_bridge(dev);

	/* No deeper than bus numbers go. */
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

/**
 * pci_liveupdate_preserve - Let a function run across the next live update.
 * @dev:      The function; its driver is the caller and does not go away.
 * @fh:       The handler of the file that is preserved for it, whose FLB this is
 *            (see pci_liveupdate_register()). The next kernel gives the function
 *            to a driver whose &pci_driver.liveupdate_tag is the handler's
 *            compatible string, and to no other.
 * @handle:   The file's, &liveupdate_file_op_args.serialized_data; not 0. If what
 *            it leads to cannot be read in the next kernel, this is how the
 *            function can still be stopped, see pci_liveupdate_token_of().
 * @pristine: What the function is reset to when its owner closes it.
 * @tokenp:   Where a token is put, by which the driver finds the function again
 *            with pci_liveupdate_get() in the next kernel. It means nothing to
 *            anybody else.
 *
 * The bridges above are preserved with it. From here on neither is put to sleep,
 * reset by others, removed or disabled; from the freeze of the shared state on
 * nothing is written to their configuration space any more.
 *
 * Belongs into the handler's .preserve().
 *
 * Context: Sleeps.
 * Return: 0, or what was not done:
 * -EBUSY if the function's state forbids it now: preserved already, its previous
 * live update not finished, not in D0, virtual functions enabled;
 * -EOPNOTSUPP if it cannot be preserved, see the top of this file;
 * -ENODEV if it does not answer;
 * -ENOENT if no handler that is registered with PCI has a preserved file;
 * -ENOMEM. The reason is logged.
 */
int pci_liveupdate_preserve(struct pci_dev *dev,
			    const struct liveupdate_file_handler *fh,
			    u64 handle, struct pci_saved_state *pristine,
			    u64 *tokenp)
{
	struct pci_liveupdate_refusal refusal;
	int err;

	guard(mutex)(&pci_liveupdate_lock);

	if (!pci_outgoing.blob)
		return -ENOENT;

	if (!pci_liveupdate_can_preserve(dev, &refusal)) {
		pci_info(dev, "live update: not preserved: %s\n", refusal.why);
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

	/* 0 is nobody's. */
	*tokenp = pci_liveupdate_place_of_dev(dev) + 1;

	return 0;
}
EXPORT_SYMBOL_GPL(pci_liveupdate_preserve);

/**
 * pci_liveupdate_unpreserve - Undo pci_liveupdate_preserve().
 * @dev: The function; not preserved is fine.
 *
 * Belongs into the handler's .unpreserve().
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
 * pci_liveupdate_is_outgoing - Is a function preserved for the next kernel?
 * @dev: The function.
 */
bool pci_liveupdate_is_outgoing(struct pci_dev *dev)
{
	return READ_ONCE(dev->liveupdate_kept);
}
EXPORT_SYMBOL_GPL(pci_liveupdate_is_outgoing);

/* --- outgoing: the shared state */

static int pci_liveupdate_flb_preserve(struct liveupdate_flb_op_args *args)
{
	void *blob = kho_alloc_preserve(PCI_LIVEUPDATE_BLOB_SIZE);

	if (IS_ERR(blob))
		return PTR_ERR(blob);

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

static void pci_liveupdate_flb_unpreserve(struct liveupdate_flb_op_args *args)
{
	guard(mutex)(&pci_liveupdate_lock);

	luo_abi_end(&pci_outgoing.writer);
	kho_block_set_destroy(&pci_outgoing.device_blocks);
	kho_block_set_destroy(&pci_outgoing.bar_blocks);
	kho_block_set_destroy(&pci_outgoing.register_blocks);
	kho_unpreserve_free(pci_outgoing.blob);
	pci_outgoing.blob = NULL;
}

/* What a device is at this moment is what the next kernel must find. */
static int pci_liveupdate_freeze_one(struct pci_liveupdate *lu)
{
	struct luo_pci_bar bars[PCI_LIVEUPDATE_MAX_BARS] = {};
	struct pci_liveupdate_refusal refusal;
	int err;

	if (!pci_liveupdate_can_keep(lu->dev, &refusal)) {
		pci_err(lu->dev, "live update: called off: %s\n", refusal.why);
		return refusal.err;
	}
	err = pci_liveupdate_read(lu->dev, &lu->wire);
	if (err) {
		pci_err(lu->dev, "live update: called off: it does not answer\n");
		return err;
	}
	if (pci_liveupdate_read_bars(lu->dev, bars) != lu->nr_bars) {
		pci_err(lu->dev, "live update: called off: it has got other BARs\n");
		return -EBUSY;
	}
	memcpy(lu->bars, bars, lu->nr_bars * sizeof(*bars));

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

	/* In the order of their places: a bridge has its number first. */
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
		pci_shield_lower(&lu->shield);
		WRITE_ONCE(lu->dev->liveupdate_frozen, false);
		lu->state = PCI_LIVEUPDATE_OUTGOING;
	}
	luo_abi_rewind(&pci_outgoing.writer);
	kho_block_set_clear(&pci_outgoing.device_blocks);
	kho_block_set_clear(&pci_outgoing.bar_blocks);
	kho_block_set_clear(&pci_outgoing.register_blocks);
}

/* Unlock those before @end, or all. */
static void pci_liveupdate_unlock_devices(struct pci_liveupdate *end)
{
	struct pci_liveupdate *lu;

	list_for_each_entry(lu, &pci_outgoing.devices, list) {
		if (lu == end)
			break;
		device_unlock(&lu->dev->dev);
	}
}

/*
 * Who unbinds a device waits for its user, and shutting down would wait for that.
 * Who resets one will put it back as it was, and must be through with that.
 */
static int pci_liveupdate_lock_devices(void)
{
	struct pci_liveupdate *lu;

	list_for_each_entry(lu, &pci_outgoing.devices, list) {
		if (device_trylock(&lu->dev->dev))
			continue;
		pci_err(lu->dev, "live update: called off: it is being unbound or reset\n");
		pci_liveupdate_unlock_devices(lu);
		return -EBUSY;
	}

	return 0;
}

static int pci_liveupdate_flb_freeze(struct liveupdate_flb_op_args *args)
{
	struct pci_liveupdate *lu;
	int err;

	guard(mutex)(&pci_liveupdate_lock);

	err = pci_liveupdate_lock_devices();
	if (err)
		return err;

	/* First nobody changes anything any more, then it is read. */
	list_for_each_entry(lu, &pci_outgoing.devices, list) {
		WRITE_ONCE(lu->dev->liveupdate_frozen, true);
		pci_shield_raise(&lu->shield);
		lu->state = PCI_LIVEUPDATE_FROZEN;
	}
	pci_liveupdate_unlock_devices(NULL);
	list_for_each_entry(lu, &pci_outgoing.devices, list) {
		err = pci_liveupdate_freeze_one(lu);
		if (err)
			break;
	}
	if (!err) {
		pci_liveupdate_write();
		err = luo_abi_seal(&pci_outgoing.writer);
	}
	if (err)
		pci_liveupdate_thaw();

	return err;
}

static void pci_liveupdate_flb_unfreeze(struct liveupdate_flb_op_args *args)
{
	guard(mutex)(&pci_liveupdate_lock);
	pci_liveupdate_thaw();
}

/**
 * pci_liveupdate_shutdown_begin - A device is about to be shut down.
 * @dev:    The device.
 * @bypass: For pci_liveupdate_shutdown_end().
 *
 * A port's services may switch off its interrupts: nobody would be there for
 * them. What nobody takes over must be stopped as ever, though writes to it are
 * kept away.
 *
 * Return: true if the device must go on, false if it must be stopped.
 */
bool pci_liveupdate_shutdown_begin(struct pci_dev *dev,
				   struct pci_liveupdate_bypass *bypass)
{
	bypass->task = NULL;

	guard(spinlock)(&pci_liveupdate_pointers);
	if (dev->liveupdate_out)
		pci_shield_let(&dev->liveupdate_out->shield, bypass);
	else if (dev->liveupdate)
		pci_shield_let(&dev->liveupdate->shield, bypass);

	return pci_liveupdate_frozen(dev);
}

/**
 * pci_liveupdate_shutdown_end - The device was shut down.
 * @dev:    The device.
 * @bypass: From pci_liveupdate_shutdown_begin().
 */
void pci_liveupdate_shutdown_end(struct pci_dev *dev,
				 struct pci_liveupdate_bypass *bypass)
{
	if (bypass->task)
		pci_shield_unlet(bypass);
}

/* --- incoming: what was handed over */

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

static struct liveupdate_flb pci_liveupdate_flb;

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

	guard(mutex)(&pci_liveupdate_lock);

	err = err ?: pci_liveupdate_load(data);
	if (err) {
		pci_incoming.unread = true;
		pr_err("PCI: live update: what was preserved cannot be read (%pe): every function that can still do DMA will be stopped. Their VMs must be restarted.\n",
		       ERR_PTR(err));
	} else if (!liveupdate_enabled()) {
		pci_incoming.stop_all = "live update is switched off, start with liveupdate=on";
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

static struct pci_liveupdate *pci_liveupdate_find(u64 place)
{
	struct pci_liveupdate *lu;

	list_for_each_entry(lu, &pci_incoming.devices, list) {
		if (pci_liveupdate_place_of(&lu->wire) == place)
			return lu;
	}

	return NULL;
}

/* --- incoming: letting go */

static void pci_liveupdate_attach(struct work_struct *work);

struct pci_liveupdate_attach {
	struct work_struct work;
	struct pci_dev *dev;
	bool again;
};

/* Drivers are probed by somebody who holds none of the caller's locks. */
static void pci_liveupdate_probe(struct pci_dev *dev, bool again)
{
	struct pci_liveupdate_attach *attach = kzalloc_obj(*attach);

	if (!attach) {
		pci_warn(dev, "live update: no memory to look for a driver\n");
		return;
	}
	INIT_WORK(&attach->work, pci_liveupdate_attach);
	attach->dev = pci_dev_get(dev);
	attach->again = again;
	queue_work(system_dfl_long_wq, &attach->work);
}

static void pci_liveupdate_attach(struct work_struct *work)
{
	struct pci_liveupdate_attach *attach =
		container_of(work, struct pci_liveupdate_attach, work);
	struct device *dev = &attach->dev->dev;

	if (attach->again)
		device_release_driver(dev);
	if (pci_dev_is_added(attach->dev) && device_attach(dev) < 0)
		pci_warn(attach->dev, "live update: its driver could not be attached\n");
	pci_dev_put(attach->dev);
	kfree(attach);
}

/* From now on the device is one like any other. */
static void pci_liveupdate_let_go(struct pci_liveupdate *lu)
{
	struct pci_dev *dev = lu->dev;

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

/* A function needs its path no longer. */
static void pci_liveupdate_leave_path(struct pci_liveupdate *lu)
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
		pci_liveupdate_set_incoming(lu->dev, NULL);
		pci_liveupdate_show(lu->dev);
		/* Its services: error reporting, hot plug, ... */
		pci_liveupdate_probe(lu->dev, false);
	}
}

/* Switch off @dev's bus mastering. Return: true if it is off. */
static bool pci_liveupdate_stop(struct pci_liveupdate *lu, struct pci_dev *dev)
{
	struct pci_liveupdate_bypass bypass;
	u16 cmd;

	pci_read_config_word(dev, PCI_COMMAND, &cmd);
	if (PCI_POSSIBLE_ERROR(cmd))
		return false;
	/* Until its owner has finished nobody switches it on. */
	WRITE_ONCE(dev->liveupdate_stopped, true);
	if (!(cmd & PCI_COMMAND_MASTER))
		return true;

	pci_shield_let(&lu->shield, &bypass);
	pci_write_config_word(dev, PCI_COMMAND, cmd & ~PCI_COMMAND_MASTER);
	pci_shield_unlet(&bypass);
	dev->is_busmaster = 0;
	pci_read_config_word(dev, PCI_COMMAND, &cmd);

	return !PCI_POSSIBLE_ERROR(cmd) && !(cmd & PCI_COMMAND_MASTER);
}

/*
 * The nearest bridge above that can be reached, unless somebody else's function
 * runs below it.
 */
static bool pci_liveupdate_stop_above(struct pci_liveupdate *lu)
{
	struct pci_liveupdate *bridge;

	for (bridge = lu->parent; bridge; bridge = bridge->parent) {
		if (bridge->stopped)
			return true;
		if (bridge->users > 1)
			return false;
		if (bridge->dev && pci_liveupdate_stop(bridge, bridge->dev)) {
			bridge->stopped = true;
			pci_err(bridge->dev, "live update: bus mastering is off, to stop what is below\n");
			return true;
		}
	}

	return false;
}

static void pci_liveupdate_quarantine(struct pci_liveupdate *lu,
				      struct pci_dev *dev, const char *reason)
{
	struct pci_liveupdate *below;

	if (lu->state == PCI_LIVEUPDATE_QUARANTINED)
		return;

	lu->state = PCI_LIVEUPDATE_QUARANTINED;
	lu->reason = reason;
	lu->stopped = (dev && pci_liveupdate_stop(lu, dev)) ||
		      pci_liveupdate_stop_above(lu);

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
		if (below->parent == lu)
			pci_liveupdate_quarantine(below, below->dev,
						  "a bridge above is quarantined");
	}
}

/* --- incoming: enumeration */

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

static void pci_liveupdate_stop_unread(struct pci_dev *dev)
{
	u16 cmd;

	if (dev->hdr_type != PCI_HEADER_TYPE_NORMAL)
		return;
	pci_read_config_word(dev, PCI_COMMAND, &cmd);
	if (PCI_POSSIBLE_ERROR(cmd) || !(cmd & PCI_COMMAND_MASTER))
		return;
	pci_write_config_word(dev, PCI_COMMAND, cmd & ~PCI_COMMAND_MASTER);
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
	if (!READ_ONCE(dev->liveupdate))
		return;

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
}

/**
 * pci_liveupdate_add - A device is on its bus.
 * @dev: The device, not yet in sysfs.
 */
void pci_liveupdate_add(struct pci_dev *dev)
{
	struct pci_liveupdate *lu;

	if (!READ_ONCE(dev->liveupdate))
		return;

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
	lu->dev = NULL;
	if (lu->added)
		pci_dev_put(dev);
	lu->added = false;
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
		if (lu->state != PCI_LIVEUPDATE_INCOMING || !lu->dev ||
		    pci_find_host_bridge(lu->dev->bus)->bus != bus)
			continue;
		why = pci_liveupdate_claim_one(lu);
		if (why)
			pci_liveupdate_quarantine(lu, lu->dev, why);
	}
}

static int __init pci_liveupdate_scanned(void)
{
	struct pci_liveupdate *lu;

	if (!pci_liveupdate_any_incoming())
		return 0;

	/* Some host bridges come late. */
	wait_for_device_probe();

	guard(mutex)(&pci_liveupdate_lock);

	list_for_each_entry(lu, &pci_incoming.devices, list) {
		if (lu->state == PCI_LIVEUPDATE_EXPECTED)
			pci_liveupdate_quarantine(lu, NULL, "it is not there");
	}

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

/* --- incoming: the owner */

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
 * -EIO if it is quarantined; the reason is in the log and in sysfs,
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
	if (lu->state != PCI_LIVEUPDATE_INCOMING)
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
	if (!lu || lu->state != PCI_LIVEUPDATE_INCOMING)
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
	pci_shield_set_msi(&lu->shield, dev->msi_cap);

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
		pci_shield_set_msi(&dev->liveupdate->shield, 0);
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
 * pci_liveupdate_quiesce - Stop a function that nobody takes over.
 * @token: What pci_liveupdate_preserve() gave.
 *
 * Bus mastering is switched off, so that the memory it was told to write to can
 * be freed. It is not finished by that.
 *
 * Context: Sleeps.
 * Return: 0, or -EIO if neither the function nor a bridge above can be reached.
 */
int pci_liveupdate_quiesce(u64 token)
{
	struct pci_liveupdate *lu;

	guard(mutex)(&pci_liveupdate_lock);

	lu = pci_liveupdate_find(token - 1);
	if (!lu)
		return 0;
	if (lu->state != PCI_LIVEUPDATE_INCOMING)
		return lu->stopped ? 0 : -EIO;
	if (!pci_liveupdate_stop(lu, lu->dev) && !pci_liveupdate_stop_above(lu)) {
		pci_err(lu->dev, "live update: given up, but it cannot be stopped: it may write to memory that was its VM's\n");
		return -EIO;
	}
	pci_info(lu->dev, "live update: given up, its DMA is stopped\n");

	return 0;
}
EXPORT_SYMBOL_GPL(pci_liveupdate_quiesce);

/**
 * pci_liveupdate_finish - A function's live update is over.
 * @token: What pci_liveupdate_preserve() gave.
 *
 * From now on it is one like any other, and so are the bridges above unless
 * somebody else needs them. A function that nobody has taken over must have been
 * quiesced. Also for functions that are quarantined or gone.
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
	pci_liveupdate_set_incoming(dev, NULL);
	pci_liveupdate_show(dev);
	pci_liveupdate_probe(dev, !pci_is_enabled(dev));
}
EXPORT_SYMBOL_GPL(pci_liveupdate_finish);

static int pci_liveupdate_flb_retrieve(struct liveupdate_flb_op_args *args)
{
	guard(mutex)(&pci_liveupdate_lock);

	if (pci_incoming.unread) {
		luo_abi_release(&pci_incoming.reader);
		return -EBADMSG;
	}
	args->obj = &pci_incoming;

	return 0;
}

static void pci_liveupdate_flb_finish(struct liveupdate_flb_op_args *args)
{
	struct pci_liveupdate *lu, *tmp;

	guard(mutex)(&pci_liveupdate_lock);

	list_for_each_entry_safe(lu, tmp, &pci_incoming.devices, list) {
		/* A file that was preserved without its function. */
		if (lu->users && lu->state == PCI_LIVEUPDATE_INCOMING)
			pci_liveupdate_quarantine(lu, lu->dev,
						  "nobody has finished it");
		if (lu->dev && lu->dev->liveupdate == lu) {
			pci_liveupdate_set_incoming(lu->dev, NULL);
			pci_liveupdate_show(lu->dev);
			pci_liveupdate_probe(lu->dev,
					     !pci_is_enabled(lu->dev));
		}
		pci_liveupdate_free(lu);
	}
	luo_abi_release(&pci_incoming.reader);
}

static const struct liveupdate_flb_ops pci_liveupdate_flb_ops = {
	.preserve = pci_liveupdate_flb_preserve,
	.unpreserve = pci_liveupdate_flb_unpreserve,
	.freeze = pci_liveupdate_flb_freeze,
	.unfreeze = pci_liveupdate_flb_unfreeze,
	.retrieve = pci_liveupdate_flb_retrieve,
	.finish = pci_liveupdate_flb_finish,
};

static struct liveupdate_flb pci_liveupdate_flb = {
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

/* --- sysfs */

static struct pci_liveupdate *pci_liveupdate_shown(struct pci_dev *dev)
{
	return dev->liveupdate ?: dev->liveupdate_out;
}

static ssize_t state_show(struct device *d, struct device_attribute *attr,
			  char *buf)
{
	static const char * const names[] = {
		[PCI_LIVEUPDATE_OUTGOING] = "outgoing",
		[PCI_LIVEUPDATE_FROZEN] = "frozen",
		[PCI_LIVEUPDATE_EXPECTED] = "expected",
		[PCI_LIVEUPDATE_INCOMING] = "incoming",
		[PCI_LIVEUPDATE_QUARANTINED] = "quarantined",
	};
	struct pci_dev *dev = to_pci_dev(d);
	struct pci_liveupdate *lu;

	guard(spinlock)(&pci_liveupdate_pointers);
	lu = pci_liveupdate_shown(dev);

	return sysfs_emit(buf, "%s%s\n", lu ? names[lu->state] : "none",
			  dev->liveupdate && dev->liveupdate_out ?
			  " outgoing" : "");
}
static DEVICE_ATTR_RO(state);

static ssize_t reason_show(struct device *d, struct device_attribute *attr,
			   char *buf)
{
	struct pci_liveupdate *lu;

	guard(spinlock)(&pci_liveupdate_pointers);
	lu = pci_liveupdate_shown(to_pci_dev(d));

	return sysfs_emit(buf, "%s\n", lu && lu->reason ? lu->reason : "");
}
static DEVICE_ATTR_RO(reason);

static ssize_t promised_show(struct device *d, struct device_attribute *attr,
			     char *buf)
{
	struct pci_liveupdate *lu;

	guard(spinlock)(&pci_liveupdate_pointers);
	lu = pci_liveupdate_shown(to_pci_dev(d));
	if (!lu || lu->state == PCI_LIVEUPDATE_QUARANTINED)
		return sysfs_emit(buf, "\n");

	return sysfs_emit(buf, "identity dma mmio config\n");
}
static DEVICE_ATTR_RO(promised);

#define PCI_LIVEUPDATE_COUNT(name)					\
static ssize_t name##_show(struct device *d,				\
			   struct device_attribute *attr, char *buf)	\
{									\
	struct pci_liveupdate *lu;					\
									\
	guard(spinlock)(&pci_liveupdate_pointers);				\
	lu = pci_liveupdate_shown(to_pci_dev(d));			\
									\
	return sysfs_emit(buf, "%lu\n",					\
			  lu ? READ_ONCE(lu->shield.name) : 0);		\
}									\
static DEVICE_ATTR_RO(name)

PCI_LIVEUPDATE_COUNT(dropped);
PCI_LIVEUPDATE_COUNT(swallowed);
PCI_LIVEUPDATE_COUNT(kept);

static struct attribute *pci_liveupdate_attrs[] = {
	&dev_attr_state.attr,
	&dev_attr_reason.attr,
	&dev_attr_promised.attr,
	&dev_attr_dropped.attr,
	&dev_attr_swallowed.attr,
	&dev_attr_kept.attr,
	NULL,
};

static bool pci_liveupdate_group_visible(struct kobject *kobj)
{
	struct pci_dev *dev = to_pci_dev(kobj_to_dev(kobj));

	return READ_ONCE(dev->liveupdate) || READ_ONCE(dev->liveupdate_out);
}
DEFINE_SIMPLE_SYSFS_GROUP_VISIBLE(pci_liveupdate)

const struct attribute_group pci_liveupdate_attr_group = {
	.name = "liveupdate",
	.attrs = pci_liveupdate_attrs,
	.is_visible = SYSFS_GROUP_VISIBLE(pci_liveupdate),
};
