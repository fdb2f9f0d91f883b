// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: vfio-pci devices that keep running across a live update
 *
 * The file of a device can be preserved if the device was opened through its cdev
 * and is bound to an iommufd. The device continues DMA while the kernel is
 * replaced, see drivers/pci/liveupdate.c. VFIO preserves the virtual device: the
 * virtual configuration space, and properties of the device that cannot be found
 * out without disturbing it.
 *
 * In the new kernel the user retrieves the file, binds it to an iommufd and
 * attaches it. The device is not reset, enabled or disabled by that, and its
 * state is unchanged. Until the session is finished the device cannot be opened
 * in any other way. When it is closed after finish, it is reset as usual.
 *
 * All memory that is mapped for the device must be preserved, too, before or after
 * the device. The freeze checks that (drivers/iommu/iommufd/liveupdate.c). In the
 * new kernel the same memory must be mapped at the same IOVAs before the session
 * can be finished, because finish may unpin memory.
 *
 * Behind an IOMMU the device continues to use the page table of the previous kernel
 * (drivers/iommu/iommu_liveupdate.c) until the user attaches it to one that maps the
 * same memory. From then on the user may change the mappings.
 *
 * Not preserved are resources of the VMM's process: eventfds, ioeventfds and
 * mappings of BARs.
 *
 * Interrupts that are masked at the freeze stay enabled in the device. During the kexec
 * messages are pending in its registers, and are delivered when the user has set up the
 * vectors again. MSI vectors are always signaled then, because enabling MSI may clear
 * pending messages.
 *
 * Refused are devices behind an IOMMU whose driver does not support live update,
 * with interrupts that are not masked at the freeze, with VGA or vendor-specific regions,
 * with exported dma-bufs, in low power states, or with PASIDs.
 */

#include <linux/bitmap.h>
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/file.h>
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/iommufd_liveupdate.h>
#include <linux/kexec_handover.h>
#include <linux/kho_block.h>
#include <linux/liveupdate.h>
#include <linux/luo_abi.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>
#include <linux/pm_runtime.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "vfio_pci_liveupdate_wire.h"
#include "vfio_pci_priv.h"

MODULE_IMPORT_NS("IOMMUFD");

/* Set by vfio_pci_liveupdate_init(). */
static struct pci_driver *vfio_pci_liveupdate_driver;
static const struct vfio_device_ops *vfio_pci_liveupdate_ops;
static bool vfio_pci_liveupdate_registered;

/**
 * struct vfio_pci_outgoing - A device preserved for the next kernel
 * @writer: Writer of its blob.
 * @token:  Its token, from pci_liveupdate_preserve().
 * @iommu_token: Its token from iommu_liveupdate_preserve(), 0 without an IOMMU.
 * @intx:   INTx was masked by the freeze, and must be unmasked by unfreeze.
 * @areas:  Array of &struct luo_vfio_pci_area: the memory mapped for it; empty
 *          behind an IOMMU.
 * @last:   Iterator behind the last entry of @areas.
 * @nr_areas: Number of entries of @areas.
 */
struct vfio_pci_outgoing {
	struct luo_abi_writer writer;
	u64 token;
	u64 iommu_token;
	bool intx;
	struct kho_block_set areas;
	struct kho_block_set_it last;
	u64 nr_areas;
};

/**
 * struct vfio_pci_incoming - A device preserved by the previous kernel
 * @vdev:    The device, referenced; NULL if the file could not be retrieved.
 * @reader:  Reader of its blob.
 * @dev:     The record of the virtual device.
 * @config:  The whole virtual configuration space.
 * @adopted: The user has bound the device.
 */
struct vfio_pci_incoming {
	struct vfio_pci_core_device *vdev;
	struct luo_abi_reader reader;
	struct luo_vfio_pci_device dev;
	u8 config[LUO_VFIO_PCI_CONFIG_SIZE + LUO_VFIO_PCI_EXTENDED_SIZE];
	bool adopted;
};

/* Maximum number of capabilities. Bounds the walk of a circular list. */
#define VFIO_PCI_LIVEUPDATE_CAPS					\
	((PCI_CFG_SPACE_SIZE - PCI_STD_HEADER_SIZEOF) / PCI_CAP_SIZEOF)

/* Capabilities begin at a dword. */
#define VFIO_PCI_LIVEUPDATE_DWORDS	(PCI_CFG_SPACE_EXP_SIZE / 4)

#define VFIO_PCI_BLOB_SIZE						\
	(sizeof(struct luo_abi_header) +				\
	 4 * sizeof(struct luo_abi_record) +				\
	 sizeof(struct luo_vfio_pci_device) +				\
	 sizeof(struct luo_vfio_pci_config) +				\
	 sizeof(struct luo_vfio_pci_extended) +				\
	 sizeof(struct luo_abi_array))

static struct vfio_pci_core_device *vfio_pci_liveupdate_vdev(struct file *file)
{
	struct vfio_device *device = vfio_device_from_cdev_file(file);

	if (!device || device->ops != vfio_pci_liveupdate_ops)
		return NULL;

	return container_of(device, struct vfio_pci_core_device, vdev);
}

/* --- the old kernel */

static bool vfio_pci_liveupdate_can_preserve(struct liveupdate_file_handler *fh,
					     struct file *file)
{
	return vfio_pci_liveupdate_vdev(file);
}

/*
 * The errno and the log line of each reason. When a session is finished the errno is
 * always -EBUSY.
 */
static const struct {
	int err;
	const char *why;
} vfio_pci_liveupdate_reasons[] = {
	[VFIO_LIVEUPDATE_REASON_NOT_BOUND] = {
		-EBUSY, "this file is not bound to an iommufd" },
	[VFIO_LIVEUPDATE_REASON_NOT_ATTACHED] = {
		-ENXIO, "it is not attached to an IO address space" },
	[VFIO_LIVEUPDATE_REASON_VIRTUAL_FUNCTIONS] = {
		-EBUSY, "its virtual functions are enabled" },
	[VFIO_LIVEUPDATE_REASON_REGIONS] = {
		-EOPNOTSUPP, "it has VGA or vendor-specific regions" },
	[VFIO_LIVEUPDATE_REASON_MIGRATION] = {
		-EOPNOTSUPP, "it has a migration state" },
	[VFIO_LIVEUPDATE_REASON_INTX] = {
		-EOPNOTSUPP, "its INTx cannot be masked" },
	[VFIO_LIVEUPDATE_REASON_NOT_SAVED] = {
		-EOPNOTSUPP, "its state at open was not saved" },
	[VFIO_LIVEUPDATE_REASON_CONFIG_SIZE] = {
		-EOPNOTSUPP, "its configuration space has neither 256 nor 4096 bytes" },
	[VFIO_LIVEUPDATE_REASON_INTERRUPTS] = {
		-EBUSY, "its interrupts are enabled and not masked, or cannot be" },
	[VFIO_LIVEUPDATE_REASON_ROM] = {
		-EBUSY, "its ROM is being read" },
	[VFIO_LIVEUPDATE_REASON_LOW_POWER] = {
		-EBUSY, "it is in a low power state" },
	[VFIO_LIVEUPDATE_REASON_RESET] = {
		-EBUSY, "it is being accessed" },
	[VFIO_LIVEUPDATE_REASON_DMA_BUFS] = {
		-EBUSY, "its BARs are exported as dma-bufs" },
	[VFIO_LIVEUPDATE_REASON_MEMORY] = {
		-EOPNOTSUPP, "memory is mapped for it that is not preserved" },
	[VFIO_LIVEUPDATE_REASON_WAS_RESET] = {
		-ESTALE, "it was reset after it was preserved" },
};

/* Return: why the device, which is bound, cannot be preserved, or 0. */
static u32 vfio_pci_liveupdate_unsupported(struct vfio_pci_core_device *vdev)
{
	/* They can be in its IOMMU group, but this is temporary. */
	if (vdev->sriov_active)
		return VFIO_LIVEUPDATE_REASON_VIRTUAL_FUNCTIONS;
	if (vdev->has_vga || vdev->num_regions)
		return VFIO_LIVEUPDATE_REASON_REGIONS;
	if (vdev->vdev.mig_ops || vdev->vdev.log_ops)
		return VFIO_LIVEUPDATE_REASON_MIGRATION;
	if (vdev->pdev->pin && !vdev->pci_2_3 && !vdev->nointx)
		return VFIO_LIVEUPDATE_REASON_INTX;
	if (!vdev->pci_saved_state)
		return VFIO_LIVEUPDATE_REASON_NOT_SAVED;
	if (vdev->pdev->cfg_size != PCI_CFG_SPACE_SIZE &&
	    vdev->pdev->cfg_size != PCI_CFG_SPACE_EXP_SIZE)
		return VFIO_LIVEUPDATE_REASON_CONFIG_SIZE;
	if (vfio_device_is_translated(&vdev->vdev) &&
	    !vdev->vdev.iommufd_attached)
		return VFIO_LIVEUPDATE_REASON_NOT_ATTACHED;

	return 0;
}

/* Return: why the device cannot be frozen now, or 0. The user can end it. */
static u32 vfio_pci_liveupdate_busy(struct vfio_pci_core_device *vdev)
{
	u32 reason;

	lockdep_assert_held(&vdev->igate);

	if (!vfio_pci_irqs_are_masked(vdev))
		return VFIO_LIVEUPDATE_REASON_INTERRUPTS;
	if (atomic_read(&vdev->liveupdate_rom))
		return VFIO_LIVEUPDATE_REASON_ROM;
	if (vdev->pm_runtime_engaged)
		return VFIO_LIVEUPDATE_REASON_LOW_POWER;
	if (vdev->sriov_active)
		return VFIO_LIVEUPDATE_REASON_VIRTUAL_FUNCTIONS;
	/* Held while its memory is accessed for a user, or it is reset */
	if (!down_read_trylock(&vdev->memory_lock))
		return VFIO_LIVEUPDATE_REASON_RESET;
	reason = list_empty(&vdev->dmabufs) ? 0 :
		 VFIO_LIVEUPDATE_REASON_DMA_BUFS;
	up_read(&vdev->memory_lock);

	return reason;
}

static void vfio_pci_liveupdate_write_device(struct vfio_pci_core_device *vdev,
					     struct luo_vfio_pci_device *dev)
{
	struct pci_dev *pdev = vdev->pdev;

	dev->pci_token = vdev->outgoing->token;
	dev->iommu_token = vdev->outgoing->iommu_token;
	dev->config_size = pdev->cfg_size;
	if (vdev->pci_2_3)
		dev->flags |= LUO_VFIO_PCI_MASKS_INTX;
	if (vdev->nointx)
		dev->flags |= LUO_VFIO_PCI_NO_INTX;
	if (vdev->needs_reset)
		dev->flags |= LUO_VFIO_PCI_NEEDS_RESET;
	if (vdev->nointxmask)
		dev->flags |= LUO_VFIO_PCI_NOINTXMASK;
	if (vdev->disable_idle_d3)
		dev->flags |= LUO_VFIO_PCI_DISABLE_IDLE_D3;
	if (vdev->disable_vga)
		dev->flags |= LUO_VFIO_PCI_DISABLE_VGA;
	if (vdev->irq_type == VFIO_PCI_MSIX_IRQ_INDEX)
		dev->flags |= LUO_VFIO_PCI_MSIX;
	if (vdev->irq_type == VFIO_PCI_MSI_IRQ_INDEX)
		dev->flags |= LUO_VFIO_PCI_MSI;

	for (int i = 0; i < LUO_VFIO_PCI_RBARS; i++)
		dev->rbars[i] = vdev->rbar[i];
	dev->msix_bar = vdev->msix_bar;
	dev->msix_offset = vdev->msix_bar == 0xff ? 0 : vdev->msix_offset;
	dev->msix_size = vdev->msix_bar == 0xff ? 0 : vdev->msix_size;
	for (int i = 0; i < LUO_VFIO_PCI_BARS; i++) {
		dev->bar_starts[i] = pci_resource_start(pdev, i);
		dev->bar_sizes[i] = pci_resource_len(pdev, i);
	}
}

/*
 * Bytes that belong to no capability are not virtualized, and are not initialized
 * in @from.
 */
static void vfio_pci_liveupdate_copy_config(struct vfio_pci_core_device *vdev,
					    u8 *to, const u8 *from, u32 offset,
					    u32 size)
{
	for (u32 i = 0; i < size; i++) {
		if (vdev->pci_config_map[offset + i] != PCI_CAP_ID_INVALID)
			to[i] = from[offset + i];
	}
}

/*
 * Capability IDs are not virtualized, and their bytes in vconfig can be wrong: a
 * read of the MSI control register changes that of MSI. Write the real ones.
 */
static void vfio_pci_liveupdate_copy_ids(struct vfio_pci_core_device *vdev,
					 u8 *to)
{
	int ttl = VFIO_PCI_LIVEUPDATE_CAPS;
	u8 pos = to[PCI_CAPABILITY_LIST] & ~3;

	while (pos >= PCI_STD_HEADER_SIZEOF && ttl--) {
		to[pos + PCI_CAP_LIST_ID] = vdev->pci_config_map[pos];
		pos = to[pos + PCI_CAP_LIST_NEXT] & ~3;
	}
}

static int vfio_pci_liveupdate_write(struct vfio_pci_core_device *vdev)
{
	struct luo_abi_writer *w = &vdev->outgoing->writer;
	struct luo_vfio_pci_extended *extended;
	struct luo_vfio_pci_config *config;
	struct luo_vfio_pci_device *dev;

	dev = luo_abi_append(w, LUO_VFIO_PCI_DEVICE, sizeof(*dev));
	if (dev)
		vfio_pci_liveupdate_write_device(vdev, dev);

	config = luo_abi_append(w, LUO_VFIO_PCI_CONFIG, sizeof(*config));
	if (config) {
		vfio_pci_liveupdate_copy_config(vdev, config->bytes,
						vdev->vconfig, 0,
						sizeof(config->bytes));
		vfio_pci_liveupdate_copy_ids(vdev, config->bytes);
	}

	if (vdev->pdev->cfg_size > LUO_VFIO_PCI_CONFIG_SIZE) {
		extended = luo_abi_append(w, LUO_VFIO_PCI_EXTENDED,
					  sizeof(*extended));
		if (extended)
			vfio_pci_liveupdate_copy_config(vdev, extended->bytes,
							vdev->vconfig,
							LUO_VFIO_PCI_CONFIG_SIZE,
							sizeof(extended->bytes));
	}

	luo_abi_append_array(w, LUO_VFIO_PCI_AREAS, &vdev->outgoing->areas);

	return luo_abi_seal(w);
}

static int vfio_pci_liveupdate_add_area(void *data,
					const struct iommu_liveupdate_area *area)
{
	struct vfio_pci_outgoing *outgoing = data;
	struct luo_vfio_pci_area *to;
	int err;

	err = kho_block_set_grow(&outgoing->areas, outgoing->nr_areas + 1);
	if (err)
		return err;
	if (!outgoing->nr_areas++)
		kho_block_set_it_init(&outgoing->last, &outgoing->areas);

	to = kho_block_set_it_reserve_entry(&outgoing->last);
	to->iova = area->iova;
	to->length = area->length;
	to->phys = area->phys;
	if (area->prot & IOMMU_READ)
		to->access |= LUO_VFIO_PCI_READ;
	if (area->prot & IOMMU_WRITE)
		to->access |= LUO_VFIO_PCI_WRITE;

	return 0;
}

static void vfio_pci_liveupdate_get_area(const struct luo_vfio_pci_area *from,
					 struct iommu_liveupdate_area *area)
{
	*area = (struct iommu_liveupdate_area) {
		.iova = from->iova,
		.length = from->length,
		.phys = from->phys,
	};
	if (from->access & LUO_VFIO_PCI_READ)
		area->prot |= IOMMU_READ;
	if (from->access & LUO_VFIO_PCI_WRITE)
		area->prot |= IOMMU_WRITE;
}

/* The areas do not change from preserve to unpreserve. */
static int vfio_pci_liveupdate_list_areas(struct vfio_pci_core_device *vdev,
					  struct vfio_pci_outgoing *outgoing)
{
	int err;

	kho_block_set_init(&outgoing->areas, sizeof(struct luo_vfio_pci_area));
	err = iommufd_liveupdate_preserve(vdev->vdev.iommufd_device,
					  vfio_pci_liveupdate_add_area, outgoing,
					  &outgoing->iommu_token);
	if (err == -ENOSPC)
		pci_err(vdev->pdev, "live update: not preserved: the memory mapped for it is too fragmented, use transparent huge pages\n");
	if (err)
		kho_block_set_destroy(&outgoing->areas);

	return err;
}

static int vfio_pci_liveupdate_check_areas(struct vfio_pci_outgoing *outgoing,
					   u64 *iova)
{
	struct iommu_liveupdate_area area;
	struct luo_vfio_pci_area *from;
	struct kho_block_set_it it;
	int err;

	kho_block_set_it_init(&it, &outgoing->areas);
	while ((from = kho_block_set_it_read_entry(&it))) {
		vfio_pci_liveupdate_get_area(from, &area);
		err = iommu_liveupdate_check_preserved(&area, iova);
		if (err)
			return err;
	}

	return 0;
}

static int vfio_pci_liveupdate_check_memory(struct vfio_pci_outgoing *outgoing,
					    u64 *iova)
{
	if (outgoing->iommu_token)
		return iommu_liveupdate_check_memory(outgoing->iommu_token,
						     iova);

	return vfio_pci_liveupdate_check_areas(outgoing, iova);
}

static int vfio_pci_liveupdate_refuse(struct vfio_pci_core_device *vdev,
				      u32 reason)
{
	pci_info_ratelimited(vdev->pdev, "live update: not preserved: %s\n",
			     vfio_pci_liveupdate_reasons[reason].why);

	return vfio_pci_liveupdate_reasons[reason].err;
}

/* What has refused it has logged why, and may not know it when it is asked again. */
static int vfio_pci_liveupdate_remember(struct vfio_pci_core_device *vdev,
					u32 reason, int err)
{
	if (err && err != -ENOMEM) {
		vdev->liveupdate_refusal = reason;
		vdev->liveupdate_refusal_err = err;
	}

	return err;
}

/* With the lock of the device set, so that the device is not opened or closed. */
static int vfio_pci_liveupdate_preserve_locked(struct vfio_pci_core_device *vdev,
					       struct liveupdate_file_op_args *args)
{
	struct vfio_pci_outgoing *outgoing;
	u32 reason;
	void *blob;
	int err;

	lockdep_assert_held(&vdev->vdev.dev_set->lock);

	vdev->liveupdate_refusal = 0;
	if (!vfio_device_file_is_bound(args->file))
		return vfio_pci_liveupdate_refuse(vdev,
						  VFIO_LIVEUPDATE_REASON_NOT_BOUND);
	if (vdev->vdev.liveupdate_incoming || vdev->outgoing) {
		pci_info_ratelimited(vdev->pdev, "live update: not preserved: %s\n",
				     vdev->outgoing ? "it is preserved already" :
				     "its previous live update is not finished");
		return -EBUSY;
	}
	reason = vfio_pci_liveupdate_unsupported(vdev);
	if (reason)
		return vfio_pci_liveupdate_refuse(vdev, reason);

	outgoing = kzalloc_obj(*outgoing);
	if (!outgoing)
		return -ENOMEM;

	blob = kho_alloc_preserve(VFIO_PCI_BLOB_SIZE);
	if (IS_ERR(blob)) {
		err = PTR_ERR(blob);
		goto out_free;
	}

	err = vfio_pci_liveupdate_list_areas(vdev, outgoing);
	err = vfio_pci_liveupdate_remember(vdev, VFIO_LIVEUPDATE_REASON_IOMMU,
					   err);
	if (err)
		goto out_blob;

	args->serialized_data = virt_to_phys(blob);
	err = pci_liveupdate_preserve(vdev->pdev, args->handler,
				      args->serialized_data,
				      vdev->pci_saved_state, &outgoing->token);
	err = vfio_pci_liveupdate_remember(vdev, VFIO_LIVEUPDATE_REASON_PCI,
					   err);
	if (err)
		goto out_areas;

	luo_abi_begin(&outgoing->writer, &vfio_pci_liveupdate_format, blob,
		      VFIO_PCI_BLOB_SIZE);
	vdev->outgoing = outgoing;
	vdev->vdev.liveupdate_outgoing = true;

	return 0;

out_areas:
	iommufd_liveupdate_unpreserve(vdev->vdev.iommufd_device,
				      outgoing->iommu_token);
	kho_block_set_destroy(&outgoing->areas);
out_blob:
	kho_unpreserve_free(blob);
out_free:
	kfree(outgoing);
	return err;
}

static int vfio_pci_liveupdate_preserve(struct liveupdate_file_op_args *args)
{
	struct vfio_pci_core_device *vdev = vfio_pci_liveupdate_vdev(args->file);

	guard(mutex)(&vdev->vdev.dev_set->lock);

	return vfio_pci_liveupdate_preserve_locked(vdev, args);
}

static void vfio_pci_liveupdate_unpreserve(struct liveupdate_file_op_args *args)
{
	struct vfio_pci_core_device *vdev = vfio_pci_liveupdate_vdev(args->file);
	struct vfio_pci_outgoing *outgoing;

	guard(mutex)(&vdev->vdev.dev_set->lock);

	outgoing = vdev->outgoing;
	vdev->outgoing = NULL;
	vdev->vdev.liveupdate_outgoing = false;
	pci_liveupdate_unpreserve(vdev->pdev);
	luo_abi_end(&outgoing->writer);
	iommufd_liveupdate_unpreserve(vdev->vdev.iommufd_device,
				      outgoing->iommu_token);
	kho_block_set_destroy(&outgoing->areas);
	kho_unpreserve_free(phys_to_virt(args->serialized_data));
	kfree(outgoing);
}

/* The user can write to the mask bits of the vectors. */
static void vfio_pci_liveupdate_mask_msix(struct vfio_pci_core_device *vdev,
					  bool mask)
{
	struct pci_dev *pdev = vdev->pdev;
	u16 ctrl;

	if (vdev->irq_type != VFIO_PCI_MSIX_IRQ_INDEX)
		return;
	pci_read_config_word(pdev, pdev->msix_cap + PCI_MSIX_FLAGS, &ctrl);
	if (mask)
		ctrl |= PCI_MSIX_FLAGS_MASKALL;
	else
		ctrl &= ~PCI_MSIX_FLAGS_MASKALL;
	pci_write_config_word(pdev, pdev->msix_cap + PCI_MSIX_FLAGS, ctrl);
}

/* While it is frozen, an eventfd that unmasks INTx is ignored. */
static void vfio_pci_liveupdate_set_frozen(struct vfio_pci_core_device *vdev,
					   bool frozen)
{
	guard(spinlock_irqsave)(&vdev->irqlock);

	vdev->liveupdate_frozen = frozen;
}

/*
 * A running device may assert INTx, even if its user has never enabled an
 * interrupt. It is not handled until the device is adopted, and would disturb
 * other devices on the same line and the next kernel. The guest's value of
 * Interrupt Disable is in vconfig.
 */
static void vfio_pci_liveupdate_mask_intx(struct vfio_pci_core_device *vdev)
{
	u16 cmd;

	pci_read_config_word(vdev->pdev, PCI_COMMAND, &cmd);
	vdev->outgoing->intx = vdev->pci_2_3 && !(cmd & PCI_COMMAND_INTX_DISABLE);
	if (vdev->outgoing->intx)
		pci_intx(vdev->pdev, 0);
}

static int vfio_pci_liveupdate_freeze_locked(struct vfio_pci_core_device *vdev)
{
	u32 reason;
	u64 iova;
	int err;

	/* While the gate is held for write, igate is held for short times only. */
	scoped_guard(mutex, &vdev->igate)
		reason = vfio_pci_liveupdate_busy(vdev);
	if (reason) {
		pci_err(vdev->pdev, "live update: aborted: %s\n",
			vfio_pci_liveupdate_reasons[reason].why);
		return vfio_pci_liveupdate_reasons[reason].err;
	}

	err = vfio_pci_liveupdate_check_memory(vdev->outgoing, &iova);
	if (err) {
		pci_err(vdev->pdev, "live update: aborted: IOVA %#llx is mapped to memory that is not preserved; preserve its memfd, or unmap it before the device is preserved\n",
			iova);
		return err;
	}

	err = vfio_pci_liveupdate_write(vdev);
	if (err) {
		luo_abi_rewind(&vdev->outgoing->writer);
		return err;
	}
	vfio_pci_liveupdate_mask_msix(vdev, true);
	vfio_pci_liveupdate_mask_intx(vdev);

	return 0;
}

/*
 * The gate is held for read while the virtual device is changed. With the gate
 * held for write all earlier changes are complete, and later ones are refused.
 * Accesses to BARs do not change the state that is serialized here.
 *
 * A change can take as long as a reset, a minute. Do not wait for it: the VMs of
 * this host are stopped.
 */
static int vfio_pci_liveupdate_freeze(struct liveupdate_file_op_args *args)
{
	struct vfio_pci_core_device *vdev = vfio_pci_liveupdate_vdev(args->file);
	int err;

	if (!down_write_trylock(&vdev->liveupdate_gate)) {
		pci_err(vdev->pdev, "live update: aborted: its owner resets it or writes to its configuration space, try again\n");
		return -EBUSY;
	}
	vfio_pci_liveupdate_set_frozen(vdev, true);
	err = vfio_pci_liveupdate_freeze_locked(vdev);
	if (err)
		vfio_pci_liveupdate_set_frozen(vdev, false);
	up_write(&vdev->liveupdate_gate);

	return err;
}

static void vfio_pci_liveupdate_unfreeze(struct liveupdate_file_op_args *args)
{
	struct vfio_pci_core_device *vdev = vfio_pci_liveupdate_vdev(args->file);

	guard(rwsem_write)(&vdev->liveupdate_gate);
	vfio_pci_liveupdate_mask_msix(vdev, false);
	/* INTx has no eventfd: those that have one are masked. */
	if (vdev->outgoing->intx)
		pci_intx(vdev->pdev, 1);
	vfio_pci_liveupdate_set_frozen(vdev, false);
	luo_abi_rewind(&vdev->outgoing->writer);
}

/**
 * vfio_pci_liveupdate_enter - Begin to change the virtual device
 * @vdev:   The device.
 * @bypass: For vfio_pci_liveupdate_leave().
 *
 * Context: Sleeps. The caller must not access user memory before
 * vfio_pci_liveupdate_leave(): a page fault could block without a bound.
 * Return: 0, or -EBUSY if the device is frozen for a kexec.
 */
int vfio_pci_liveupdate_enter(struct vfio_pci_core_device *vdev,
			      struct pci_liveupdate_bypass *bypass)
{
	down_read(&vdev->liveupdate_gate);
	if (vdev->liveupdate_frozen) {
		up_read(&vdev->liveupdate_gate);
		return -EBUSY;
	}
	pci_liveupdate_owner_begin(vdev->pdev, bypass);

	return 0;
}

/**
 * vfio_pci_liveupdate_leave - Undo vfio_pci_liveupdate_enter()
 * @vdev:   The device.
 * @bypass: From vfio_pci_liveupdate_enter().
 */
void vfio_pci_liveupdate_leave(struct vfio_pci_core_device *vdev,
			       struct pci_liveupdate_bypass *bypass)
{
	pci_liveupdate_owner_end(vdev->pdev, bypass);
	up_read(&vdev->liveupdate_gate);
}

/* --- the new kernel */

static int vfio_pci_liveupdate_read(struct vfio_pci_incoming *incoming, u64 data)
{
	const struct luo_abi_record *record;
	struct luo_abi_reader *r = &incoming->reader;
	char text[LUO_ABI_FAULT_LEN];
	int err;

	err = luo_abi_open(r, &vfio_pci_liveupdate_format, data) ?:
	      vfio_pci_liveupdate_check(r);
	if (err) {
		pr_err("live update: cannot retrieve a device: %s\n",
		       luo_abi_fault_text(&r->fault, text, sizeof(text)));
		return err;
	}

	record = luo_abi_next(r, NULL, LUO_VFIO_PCI_DEVICE);
	luo_abi_get(record, &incoming->dev, sizeof(incoming->dev));
	record = luo_abi_next(r, NULL, LUO_VFIO_PCI_CONFIG);
	luo_abi_get(record, incoming->config, LUO_VFIO_PCI_CONFIG_SIZE);
	record = luo_abi_next(r, NULL, LUO_VFIO_PCI_EXTENDED);
	if (record)
		luo_abi_get(record, incoming->config + LUO_VFIO_PCI_CONFIG_SIZE,
			    LUO_VFIO_PCI_EXTENDED_SIZE);

	return 0;
}

/* Called by finish, because retrieve may be called again until then. */
static void vfio_pci_liveupdate_release(u64 data)
{
	struct luo_abi_reader r;

	luo_abi_open(&r, &vfio_pci_liveupdate_format, data);
	luo_abi_release(&r);
}

static const char *vfio_pci_liveupdate_differs(struct pci_dev *pdev,
					       const struct luo_vfio_pci_device *dev)
{
	if (pdev->cfg_size != dev->config_size)
		return "the size of its configuration space has changed";
	for (int i = 0; i < LUO_VFIO_PCI_BARS; i++) {
		if (pci_resource_start(pdev, i) != dev->bar_starts[i] ||
		    pci_resource_len(pdev, i) != dev->bar_sizes[i])
			return "its BARs have changed";
	}

	return NULL;
}

/* Return: NULL, or why the addresses of the device's DMA have another meaning. */
static const char *
vfio_pci_liveupdate_translation_differs(struct vfio_pci_core_device *vdev,
					const struct luo_vfio_pci_device *dev)
{
	bool translated = vfio_device_is_translated(&vdev->vdev);

	if (translated && !dev->iommu_token)
		return "its DMA is translated now and was not before, boot with the IOMMU off";
	if (!translated && dev->iommu_token)
		return "its DMA was translated and is not now, boot with the IOMMU on";
	if (dev->iommu_token &&
	    !iommu_liveupdate_is_incoming(&vdev->pdev->dev, dev->iommu_token))
		return "its translation was not taken over";

	return NULL;
}

/* With the device lock. Return: a new file, which references the device. */
static struct file *vfio_pci_liveupdate_file(struct pci_dev *pdev,
					     struct vfio_pci_incoming *incoming)
{
	struct vfio_pci_core_device *vdev;
	struct file *file;
	const char *why;

	device_lock_assert(&pdev->dev);

	/* The driver may not be bound yet. */
	if (pdev->driver != vfio_pci_liveupdate_driver)
		return ERR_PTR(-EAGAIN);
	vdev = dev_get_drvdata(&pdev->dev);
	if (!vdev)
		return ERR_PTR(-EAGAIN);

	why = vfio_pci_liveupdate_translation_differs(vdev, &incoming->dev) ?:
	      vfio_pci_liveupdate_differs(pdev, &incoming->dev);
	if (why) {
		pci_err(pdev, "live update: cannot be retrieved: %s\n", why);
		return ERR_PTR(-EIO);
	}

	file = vfio_device_cdev_file(&vdev->vdev);
	if (IS_ERR(file))
		return file;

	/* The device may be removed after the file is closed. */
	get_device(&vdev->vdev.device);

	guard(mutex)(&vdev->vdev.dev_set->lock);
	incoming->vdev = vdev;
	vdev->incoming = incoming;

	return file;
}

static void vfio_pci_liveupdate_log_noiommu(struct pci_dev *pdev)
{
	pci_info_ratelimited(pdev, "live update: cannot be retrieved, because vfio.enable_unsafe_noiommu_mode is not set: write 1 to /sys/module/vfio/parameters/enable_unsafe_noiommu_mode and %s to /sys/bus/pci/drivers_probe, then retrieve its file again\n",
			     pci_name(pdev));
}

/* What opening a noiommu device requires. */
static int vfio_pci_liveupdate_check_caller(struct pci_dev *pdev,
					    const struct vfio_pci_incoming *incoming)
{
	if (incoming->dev.iommu_token)
		return 0;
	if (!vfio_noiommu_is_enabled()) {
		vfio_pci_liveupdate_log_noiommu(pdev);
		return -EPERM;
	}
	if (!capable(CAP_SYS_RAWIO)) {
		pci_info_ratelimited(pdev, "live update: cannot be retrieved without CAP_SYS_RAWIO, because it is a noiommu device\n");
		return -EPERM;
	}

	return 0;
}

static int vfio_pci_liveupdate_permit(struct liveupdate_file_op_args *args)
{
	struct vfio_pci_incoming *incoming = args->private_data;

	return vfio_pci_liveupdate_check_caller(incoming->vdev->pdev, incoming);
}

static int vfio_pci_liveupdate_retrieve(struct liveupdate_file_op_args *args)
{
	struct vfio_pci_incoming *incoming;
	struct pci_dev *pdev;
	struct file *file;
	int err;

	/* -EAGAIN: the call can be repeated when memory is available. */
	incoming = kvzalloc_obj(*incoming);
	if (!incoming)
		return -EAGAIN;

	err = vfio_pci_liveupdate_read(incoming, args->serialized_data);
	if (err)
		goto out_free;

	pdev = pci_liveupdate_get(incoming->dev.pci_token);
	if (IS_ERR(pdev)) {
		err = PTR_ERR(pdev);
		if (err == -EAGAIN)
			goto out_free;
		/* finish() frees it. */
		args->private_data = incoming;
		return err;
	}

	/* finish() finds the function by the handle: both must agree. */
	if (incoming->dev.pci_token !=
	    pci_liveupdate_token_of(args->serialized_data)) {
		pci_err(pdev, "live update: cannot be retrieved: it belongs to another file\n");
		pci_dev_put(pdev);
		args->private_data = incoming;
		return -EBADMSG;
	}

	err = vfio_pci_liveupdate_check_caller(pdev, incoming);
	if (err) {
		pci_dev_put(pdev);
		goto out_free;
	}

	scoped_guard(device, &pdev->dev)
		file = vfio_pci_liveupdate_file(pdev, incoming);
	pci_dev_put(pdev);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
		if (err == -EAGAIN || err == -ENOMEM || err == -ENFILE) {
			kvfree(incoming);
			return -EAGAIN;
		}
		args->private_data = incoming;
		return err;
	}

	args->private_data = incoming;
	args->file = file;

	return 0;

out_free:
	kvfree(incoming);
	return err;
}

/* The close of the file calls vfio_pci_liveupdate_disable() if bound. */
static int vfio_pci_liveupdate_unretrieve(struct liveupdate_file_op_args *args)
{
	struct vfio_pci_incoming *incoming = args->private_data;
	struct vfio_pci_core_device *vdev = incoming->vdev;

	scoped_guard(mutex, &vdev->vdev.dev_set->lock) {
		if (vdev->vdev.cdev_opened) {
			pci_info(vdev->pdev, "live update: not retrieved: its file is still being closed, try again\n");
			return -EAGAIN;
		}
		vdev->incoming = NULL;
	}
	put_device(&vdev->vdev.device);
	kvfree(incoming);

	return 0;
}

/* Set the bit of each dword at which a capability of @config begins. */
static void vfio_pci_liveupdate_find_caps(const u8 *config, u32 size,
					  unsigned long *starts)
{
	int ttl = VFIO_PCI_LIVEUPDATE_CAPS;
	u32 pos = config[PCI_CAPABILITY_LIST] & ~3;

	bitmap_zero(starts, VFIO_PCI_LIVEUPDATE_DWORDS);
	while (pos >= PCI_STD_HEADER_SIZEOF && ttl--) {
		__set_bit(pos / 4, starts);
		pos = config[pos + PCI_CAP_LIST_NEXT] & ~3;
	}

	if (size <= PCI_CFG_SPACE_SIZE)
		return;

	ttl = (PCI_CFG_SPACE_EXP_SIZE - PCI_CFG_SPACE_SIZE) / 8;
	for (pos = PCI_CFG_SPACE_SIZE; pos >= PCI_CFG_SPACE_SIZE && ttl--;
	     pos = PCI_EXT_CAP_NEXT(le32_to_cpup((__le32 *)&config[pos])))
		__set_bit(pos / 4, starts);
}

/* ID and version of an extended capability; 0 if the first one is hidden. */
static u32 vfio_pci_liveupdate_ecap(const u8 *config, u32 pos)
{
	return le32_to_cpup((__le32 *)&config[pos]) & 0xfffff;
}

/*
 * The guest has cached the offsets of the capabilities: they must not change.
 * Return: the offset of the first one of @was that is another now, 0 if none is.
 */
static u32 vfio_pci_liveupdate_differing_cap(struct vfio_pci_core_device *vdev,
					     const u8 *was,
					     const unsigned long *starts)
{
	unsigned int dword;
	u32 pos, ecap;

	for_each_set_bit(dword, starts, VFIO_PCI_LIVEUPDATE_DWORDS) {
		pos = 4 * dword;
		if (pos < PCI_CFG_SPACE_SIZE) {
			if (was[pos + PCI_CAP_LIST_ID] != vdev->pci_config_map[pos])
				return pos;
			continue;
		}
		ecap = vfio_pci_liveupdate_ecap(was, pos);
		if (ecap && ecap != vfio_pci_liveupdate_ecap(vdev->vconfig, pos))
			return pos;
	}

	return 0;
}

/*
 * Hide the capabilities that the previous kernel has hidden. The chain without them is
 * in the preserved configuration space.
 */
static void vfio_pci_liveupdate_hide_caps(struct vfio_pci_core_device *vdev,
					  const u8 *was,
					  const unsigned long *starts, u32 size)
{
	DECLARE_BITMAP(now, VFIO_PCI_LIVEUPDATE_DWORDS);
	u8 *map = vdev->pci_config_map;
	unsigned int dword;
	u32 pos;
	u8 cap;

	vfio_pci_liveupdate_find_caps(vdev->vconfig, size, now);
	for_each_set_bit(dword, now, VFIO_PCI_LIVEUPDATE_DWORDS) {
		pos = 4 * dword;
		cap = map[pos];
		if (test_bit(dword, starts)) {
			if (pos != PCI_CFG_SPACE_SIZE ||
			    vfio_pci_liveupdate_ecap(was, pos))
				continue;
			/* The header is the beginning of the chain. */
			pos += sizeof(u32);
		}
		for (; pos < size && map[pos] == cap; pos++) {
			if (pos > 4 * dword && !(pos % 4) && test_bit(pos / 4, now))
				break;
			map[pos] = PCI_CAP_ID_INVALID;
		}
	}
}

/*
 * The module parameters may differ from those of the previous kernel. Use the
 * preserved ones. disable_idle_d3 took effect when the driver was bound.
 */
static void vfio_pci_liveupdate_take_parameters(struct vfio_pci_core_device *vdev,
						u32 flags)
{
	bool disable_idle_d3 = flags & LUO_VFIO_PCI_DISABLE_IDLE_D3;

	if (disable_idle_d3 && !vdev->disable_idle_d3)
		pm_runtime_get_noresume(&vdev->pdev->dev);
	if (!disable_idle_d3 && vdev->disable_idle_d3)
		pm_runtime_put(&vdev->pdev->dev);

	vdev->disable_idle_d3 = disable_idle_d3;
	vdev->nointxmask = !!(flags & LUO_VFIO_PCI_NOINTXMASK);
	vdev->disable_vga = !!(flags & LUO_VFIO_PCI_DISABLE_VGA);
}

static int vfio_pci_liveupdate_overlay(struct vfio_pci_core_device *vdev)
{
	const struct vfio_pci_incoming *incoming = vdev->incoming;
	const struct luo_vfio_pci_device *dev = &incoming->dev;
	DECLARE_BITMAP(caps, VFIO_PCI_LIVEUPDATE_DWORDS);
	u16 command;
	u32 pos;

	vfio_pci_liveupdate_find_caps(incoming->config, dev->config_size, caps);
	pos = vfio_pci_liveupdate_differing_cap(vdev, incoming->config, caps);
	if (pos) {
		pci_err(vdev->pdev, "live update: cannot be bound: virtual configuration space at %#x is %*ph and was %*ph\n",
			pos, 4, &vdev->vconfig[pos], 4, &incoming->config[pos]);
		return -EIO;
	}

	/*
	 * Not that of the ROM: pci_enable_rom() writes its address, which may be another
	 * than at open. PCI has compared the register with its value at the freeze.
	 */
	for (int i = 0; i < LUO_VFIO_PCI_BARS; i++) {
		if (vdev->rbar[i] != dev->rbars[i]) {
			pci_err(vdev->pdev, "live update: cannot be bound: the BAR values to restore after a reset have changed\n");
			return -EIO;
		}
	}

	vfio_pci_liveupdate_hide_caps(vdev, incoming->config, caps,
				      dev->config_size);
	vfio_pci_liveupdate_copy_config(vdev, vdev->vconfig, incoming->config, 0,
					dev->config_size);
	for (int i = 0; i < LUO_VFIO_PCI_RBARS; i++)
		vdev->rbar[i] = dev->rbars[i];
	vdev->bardirty = true;
	command = le16_to_cpup((__le16 *)&vdev->vconfig[PCI_COMMAND]);
	vdev->virq_disabled = !!(command & PCI_COMMAND_INTX_DISABLE);

	return 0;
}

static int vfio_pci_liveupdate_check_msi(struct vfio_pci_core_device *vdev)
{
	const struct luo_vfio_pci_device *dev = &vdev->incoming->dev;

	if (dev->flags & LUO_VFIO_PCI_MSI && !vdev->pdev->msi_cap) {
		pci_err(vdev->pdev, "live update: cannot be bound: it has no MSI capability\n");
		return -EIO;
	}
	if (vdev->msix_bar == dev->msix_bar &&
	    (vdev->msix_bar == 0xff || (vdev->msix_offset == dev->msix_offset &&
					vdev->msix_size == dev->msix_size)))
		return 0;
	pci_err(vdev->pdev, "live update: cannot be bound: its MSI-X table has moved\n");

	return -EIO;
}

/**
 * vfio_pci_liveupdate_enable - Adopt a running device
 * @vdev: The device, incoming.
 *
 * Replaces the part of vfio_pci_core_enable() up to vfio_config_init(). Nothing
 * is written to the device.
 *
 * Context: Sleeps, with the lock of the device set held.
 * Return: 0 or an errno. On error nothing has changed and the call can be
 * repeated.
 */
int vfio_pci_liveupdate_enable(struct vfio_pci_core_device *vdev)
{
	u32 flags = vdev->incoming->dev.flags;
	struct pci_dev *pdev = vdev->pdev;
	int err;

	vfio_pci_liveupdate_take_parameters(vdev, flags);

	if (!vdev->disable_idle_d3) {
		err = pm_runtime_resume_and_get(&pdev->dev);
		if (err < 0)
			return err;
	}

	err = pci_liveupdate_adopt(pdev, &vdev->pci_saved_state);
	if (err)
		goto out_power;

	/* Without a reset it is only known which methods the device has. */
	vdev->reset_works = pdev->reset_methods[0];
	vdev->pci_2_3 = !!(flags & LUO_VFIO_PCI_MASKS_INTX);
	vdev->nointx = !!(flags & LUO_VFIO_PCI_NO_INTX);
	vdev->needs_reset = !!(flags & LUO_VFIO_PCI_NEEDS_RESET);

	err = vfio_config_init(vdev);
	if (err)
		goto out_abandon;
	vfio_pci_core_find_msix(vdev);
	err = vfio_pci_liveupdate_overlay(vdev) ?:
	      vfio_pci_liveupdate_check_msi(vdev);
	if (err)
		goto out_config;

	vdev->incoming->adopted = true;

	return 0;

out_config:
	vfio_config_free(vdev);
out_abandon:
	pci_liveupdate_abandon(pdev, &vdev->pci_saved_state);
out_power:
	if (!vdev->disable_idle_d3)
		pm_runtime_put(&pdev->dev);
	return err;
}

/**
 * vfio_pci_liveupdate_disable - Undo vfio_pci_liveupdate_enable()
 * @vdev: The device, incoming. BARs may be mapped and interrupts enabled.
 *
 * The device keeps running and can be bound again. Nothing is written to it,
 * except to disable interrupts.
 *
 * Context: Sleeps, with the lock of the device set held.
 */
void vfio_pci_liveupdate_disable(struct vfio_pci_core_device *vdev)
{
	struct pci_liveupdate_bypass bypass;

	pci_liveupdate_owner_begin(vdev->pdev, &bypass);
	vfio_pci_core_disable_events(vdev);
	/*
	 * Mask INTx again, as it was preserved: it is not handled. Disabling MSI has
	 * unmasked it, or the guest has.
	 */
	if (vdev->pci_2_3)
		pci_intx(vdev->pdev, 0);
	pci_liveupdate_owner_end(vdev->pdev, &bypass);
	vdev->incoming->adopted = false;
	vfio_pci_core_release_regions(vdev);
	vfio_config_free(vdev);
	vfio_pci_core_unmap_bars(vdev);
	pci_liveupdate_abandon(vdev->pdev, &vdev->pci_saved_state);
	if (!vdev->disable_idle_d3)
		pm_runtime_put(&vdev->pdev->dev);
}

/**
 * vfio_pci_liveupdate_explain - Log why a preserved device was not registered
 * @vdev: The device.
 *
 * A noiommu device cannot be registered without a module parameter of vfio. It
 * keeps running, and can be registered later.
 */
void vfio_pci_liveupdate_explain(struct vfio_pci_core_device *vdev)
{
	struct pci_dev *pdev = vdev->pdev;

	if (vdev->vdev.liveupdate_incoming && !pdev->dev.iommu_group)
		vfio_pci_liveupdate_log_noiommu(pdev);
}

/* Finish unpins the memory, so it must be mapped again before. */
static bool vfio_pci_liveupdate_is_mapped(struct vfio_pci_incoming *incoming,
					  u64 *iova)
{
	struct vfio_pci_core_device *vdev = incoming->vdev;
	struct luo_abi_reader *r = &incoming->reader;
	struct iommu_liveupdate_area area;
	struct luo_vfio_pci_area from;
	struct luo_abi_array_it it;

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_VFIO_PCI_AREAS));
	while (luo_abi_array_next(&it, &from, sizeof(from))) {
		vfio_pci_liveupdate_get_area(&from, &area);
		if (iommufd_liveupdate_check_mapped(vdev->vdev.iommufd_device,
						    &area, iova))
			return false;
		cond_resched();
	}

	/* The array ended early: a block could not be read. */
	return !it.left;
}

/*
 * Return: why the session cannot be finished while the file is in use, or 0. @iova is
 * set for VFIO_LIVEUPDATE_REASON_NOT_MAPPED.
 */
static u32 vfio_pci_liveupdate_unfinished(struct vfio_pci_incoming *incoming,
					  u64 *iova)
{
	lockdep_assert_held(&incoming->vdev->vdev.dev_set->lock);

	if (!incoming->adopted)
		return VFIO_LIVEUPDATE_REASON_NOT_BOUND;
	if (!incoming->vdev->vdev.iommufd_attached)
		return VFIO_LIVEUPDATE_REASON_NOT_ATTACHED;
	/* Behind an IOMMU attaching has checked that. */
	if (!incoming->dev.iommu_token &&
	    !vfio_pci_liveupdate_is_mapped(incoming, iova))
		return VFIO_LIVEUPDATE_REASON_NOT_MAPPED;

	return 0;
}

static bool vfio_pci_liveupdate_can_finish(struct liveupdate_file_op_args *args)
{
	struct vfio_pci_incoming *incoming = args->private_data;
	struct pci_dev *pdev = incoming->vdev->pdev;
	u64 iova = 0;
	u32 reason;

	/* Called only for a file that was retrieved and is in use. */
	guard(mutex)(&incoming->vdev->vdev.dev_set->lock);

	reason = vfio_pci_liveupdate_unfinished(incoming, &iova);
	if (reason == VFIO_LIVEUPDATE_REASON_NOT_MAPPED)
		pci_info_ratelimited(pdev, "live update: not finished: IOVA %#llx is not mapped to the same memory as before the kexec, map it first\n",
				     iova);
	else if (reason)
		pci_info_ratelimited(pdev, "live update: not finished: %s\n",
				     vfio_pci_liveupdate_reasons[reason].why);

	return !reason;
}

/* Also called for a device that could not be retrieved: use the handle. */
static int vfio_pci_liveupdate_quiesce(struct liveupdate_file_op_args *args)
{
	return pci_liveupdate_quiesce(pci_liveupdate_token_of(args->serialized_data));
}

/**
 * vfio_pci_liveupdate_irqs_lost - Messages may have been lost
 * @vdev: The device.
 *
 * Each vector is signaled once when it gets an eventfd. A device that is not
 * incoming any more loses nothing that its user does not know of.
 *
 * Context: With igate held.
 */
void vfio_pci_liveupdate_irqs_lost(struct vfio_pci_core_device *vdev)
{
	if (vdev->incoming)
		bitmap_fill(vdev->liveupdate_lost, PCI_MSIX_FLAGS_QSIZE + 1);
	else
		bitmap_zero(vdev->liveupdate_lost, PCI_MSIX_FLAGS_QSIZE + 1);
}

/**
 * vfio_pci_liveupdate_irqs_disabled - The owner has disabled MSI or MSI-X
 * @vdev: The device.
 *
 * What the previous kernel has left enabled is disabled now, too.
 *
 * Context: With igate held.
 */
void vfio_pci_liveupdate_irqs_disabled(struct vfio_pci_core_device *vdev)
{
	if (vdev->incoming)
		vdev->incoming->dev.flags &= ~(LUO_VFIO_PCI_MSI | LUO_VFIO_PCI_MSIX);
	vfio_pci_liveupdate_irqs_lost(vdev);
}

/* Messages are pending in the device that its user will not get. */
static void vfio_pci_liveupdate_drop(struct vfio_pci_core_device *vdev, u32 flag,
				     int reg, u16 bits)
{
	struct luo_vfio_pci_device *dev = &vdev->incoming->dev;
	u16 ctrl;

	if (!(dev->flags & flag))
		return;
	dev->flags &= ~flag;
	vfio_pci_liveupdate_irqs_lost(vdev);
	pci_info(vdev->pdev, "live update: its owner has not enabled MSI%s again, pending messages are dropped\n",
		 flag == LUO_VFIO_PCI_MSIX ? "-X" : "");
	pci_read_config_word(vdev->pdev, reg, &ctrl);
	pci_write_config_word(vdev->pdev, reg, ctrl & ~bits);
}

/**
 * vfio_pci_liveupdate_begin_irqs - Interrupts of a kind are about to be enabled
 * @vdev:  The device, whose interrupts are disabled.
 * @index: VFIO_PCI_*_IRQ_INDEX, VFIO_PCI_NUM_IRQS for none.
 *
 * What the previous kernel has left enabled of other kinds is disabled.
 *
 * Context: With igate held, between vfio_pci_liveupdate_enter() and _leave().
 */
void vfio_pci_liveupdate_begin_irqs(struct vfio_pci_core_device *vdev,
				    unsigned int index)
{
	if (!vdev->incoming)
		return;
	if (index != VFIO_PCI_MSIX_IRQ_INDEX)
		vfio_pci_liveupdate_drop(vdev, LUO_VFIO_PCI_MSIX,
					 vdev->pdev->msix_cap + PCI_MSIX_FLAGS,
					 PCI_MSIX_FLAGS_ENABLE |
					 PCI_MSIX_FLAGS_MASKALL);
	if (index != VFIO_PCI_MSI_IRQ_INDEX)
		vfio_pci_liveupdate_drop(vdev, LUO_VFIO_PCI_MSI,
					 vdev->pdev->msi_cap + PCI_MSI_FLAGS,
					 PCI_MSI_FLAGS_ENABLE);
	/* It is disabled on the way. */
	else if (vdev->incoming->dev.flags & LUO_VFIO_PCI_MSI)
		vfio_pci_liveupdate_irqs_lost(vdev);
}

/* Interrupts are not set up any more after the end of the live update. */
static void vfio_pci_liveupdate_detach(struct vfio_pci_core_device *vdev)
{
	struct pci_liveupdate_bypass bypass;

	guard(mutex)(&vdev->igate);

	if (vdev->incoming->adopted && vdev->irq_type == VFIO_PCI_NUM_IRQS) {
		pci_liveupdate_owner_begin(vdev->pdev, &bypass);
		vfio_pci_liveupdate_begin_irqs(vdev, VFIO_PCI_NUM_IRQS);
		pci_liveupdate_owner_end(vdev->pdev, &bypass);
	}
	vdev->incoming = NULL;
}

static void vfio_pci_liveupdate_finish(struct liveupdate_file_op_args *args)
{
	struct vfio_pci_incoming *incoming = args->private_data;
	struct vfio_pci_core_device *vdev = incoming ? incoming->vdev : NULL;
	u64 token = pci_liveupdate_token_of(args->serialized_data);
	bool adopted = false;

	if (vdev) {
		guard(mutex)(&vdev->vdev.dev_set->lock);
		adopted = incoming->adopted;
		vfio_pci_liveupdate_detach(vdev);
	}

	/*
	 * A device that its user has not attached is stopped. Its blob is not needed,
	 * as it can be damaged: both tokens are the same.
	 */
	iommu_liveupdate_finish(token);
	pci_liveupdate_finish(token);

	/* An abandoned device is reprobed and gets a new vdev. */
	if (adopted)
		WRITE_ONCE(vdev->vdev.liveupdate_incoming, false);
	if (vdev)
		put_device(&vdev->vdev.device);

	kvfree(incoming);
	vfio_pci_liveupdate_release(args->serialized_data);
}

/* --- a query of the user */

/* A device that was stopped, after its file was retrieved. */
static bool vfio_pci_liveupdate_is_quarantined(struct vfio_pci_incoming *incoming)
{
	struct pci_dev *pdev = pci_liveupdate_get(incoming->dev.pci_token);

	if (IS_ERR(pdev))
		return PTR_ERR(pdev) == -EIO;
	pci_dev_put(pdev);

	return false;
}

static void vfio_pci_liveupdate_query_incoming(struct vfio_pci_core_device *vdev,
					       struct vfio_device_feature_liveupdate *info)
{
	u64 iova = 0;

	if (vfio_pci_liveupdate_is_quarantined(vdev->incoming)) {
		info->state = VFIO_LIVEUPDATE_STATE_QUARANTINED;
		return;
	}
	info->state = VFIO_LIVEUPDATE_STATE_INCOMING;
	info->reason = vfio_pci_liveupdate_unfinished(vdev->incoming, &iova);
	info->error = info->reason ? EBUSY : 0;
	if (info->reason == VFIO_LIVEUPDATE_REASON_NOT_MAPPED)
		info->iova = iova;
}

static void vfio_pci_liveupdate_query_outgoing(struct vfio_pci_core_device *vdev,
					       struct vfio_device_feature_liveupdate *info)
{
	u64 iova;

	info->state = VFIO_LIVEUPDATE_STATE_PRESERVED;
	scoped_guard(mutex, &vdev->igate)
		info->reason = vfio_pci_liveupdate_busy(vdev);
	if (pci_liveupdate_has_failed(vdev->pdev))
		info->reason = VFIO_LIVEUPDATE_REASON_WAS_RESET;
	if (!info->reason &&
	    vfio_pci_liveupdate_check_memory(vdev->outgoing, &iova)) {
		info->reason = VFIO_LIVEUPDATE_REASON_MEMORY;
		info->iova = iova;
	}
	info->error = -vfio_pci_liveupdate_reasons[info->reason].err;
}

static void vfio_pci_liveupdate_query_other(struct vfio_pci_core_device *vdev,
					    struct vfio_device_feature_liveupdate *info)
{
	info->state = VFIO_LIVEUPDATE_STATE_NONE;
	info->reason = vdev->vdev.cdev_opened ?
		       vfio_pci_liveupdate_unsupported(vdev) :
		       VFIO_LIVEUPDATE_REASON_NOT_BOUND;
	info->error = -vfio_pci_liveupdate_reasons[info->reason].err;
	if (!info->reason && vdev->liveupdate_refusal) {
		info->reason = vdev->liveupdate_refusal;
		info->error = -vdev->liveupdate_refusal_err;
	}
}

/**
 * vfio_pci_liveupdate_feature - Handle VFIO_DEVICE_FEATURE_LIVEUPDATE
 * @vdev:  The device; need not be open.
 * @flags: Flags of the ioctl.
 * @arg:   A &struct vfio_device_feature_liveupdate.
 * @argsz: Its size.
 *
 * Nothing is changed, and nothing is read from the device but the mask bits of its MSI
 * if that is enabled.
 *
 * Context: Sleeps. Takes the lock of the device set.
 * Return: 0 or an errno; -ENOTTY if devices of this driver cannot be preserved.
 */
int vfio_pci_liveupdate_feature(struct vfio_pci_core_device *vdev, u32 flags,
				void __user *arg, size_t argsz)
{
	struct vfio_device_feature_liveupdate info = {};
	int ret;

	if (!vfio_pci_liveupdate_registered ||
	    vdev->vdev.ops != vfio_pci_liveupdate_ops)
		return -ENOTTY;
	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_GET,
				 sizeof(info));
	if (ret != 1)
		return ret;

	scoped_guard(mutex, &vdev->vdev.dev_set->lock) {
		if (vdev->incoming)
			vfio_pci_liveupdate_query_incoming(vdev, &info);
		else if (vdev->outgoing)
			vfio_pci_liveupdate_query_outgoing(vdev, &info);
		else
			vfio_pci_liveupdate_query_other(vdev, &info);
	}

	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static unsigned long vfio_pci_liveupdate_get_id(struct file *file)
{
	return (unsigned long)vfio_pci_liveupdate_vdev(file);
}

static struct liveupdate_file_ops vfio_pci_liveupdate_file_ops = {
	.can_preserve = vfio_pci_liveupdate_can_preserve,
	.preserve = vfio_pci_liveupdate_preserve,
	.unpreserve = vfio_pci_liveupdate_unpreserve,
	.freeze = vfio_pci_liveupdate_freeze,
	.unfreeze = vfio_pci_liveupdate_unfreeze,
	.retrieve = vfio_pci_liveupdate_retrieve,
	.unretrieve = vfio_pci_liveupdate_unretrieve,
	.permit = vfio_pci_liveupdate_permit,
	.can_finish = vfio_pci_liveupdate_can_finish,
	.quiesce = vfio_pci_liveupdate_quiesce,
	.finish = vfio_pci_liveupdate_finish,
	.get_id = vfio_pci_liveupdate_get_id,
};

static struct liveupdate_file_handler vfio_pci_liveupdate_handler = {
	.ops = &vfio_pci_liveupdate_file_ops,
	.compatible = LUO_VFIO_PCI_TAG,
	.tag = &vfio_pci_liveupdate_tag,
};

static int vfio_pci_liveupdate_register(void)
{
	int err;

	err = pci_liveupdate_register(&vfio_pci_liveupdate_handler);
	if (err)
		return err;
	err = iommu_liveupdate_register(&vfio_pci_liveupdate_handler);
	if (err)
		pci_liveupdate_unregister(&vfio_pci_liveupdate_handler);

	return err;
}

/**
 * vfio_pci_liveupdate_init - Allow the files of a driver's devices to be preserved
 * @driver: The driver. Not registered yet: registering it binds running devices.
 * @ops:    The driver's ops, which tell its devices from those of other drivers.
 * @owner:  The driver's module. It is pinned while its files are preserved.
 *
 * On failure a warning is logged, and the driver works without live update.
 */
void vfio_pci_liveupdate_init(struct pci_driver *driver,
			      const struct vfio_device_ops *ops,
			      struct module *owner)
{
	int err;

	vfio_pci_liveupdate_file_ops.owner = owner;
	vfio_pci_liveupdate_driver = driver;
	vfio_pci_liveupdate_ops = ops;
	driver->liveupdate_tag = LUO_VFIO_PCI_TAG;

	if (!liveupdate_enabled())
		return;

	err = liveupdate_register_file_handler(&vfio_pci_liveupdate_handler);
	if (!err) {
		err = vfio_pci_liveupdate_register();
		if (err)
			liveupdate_unregister_file_handler(&vfio_pci_liveupdate_handler);
	}
	vfio_pci_liveupdate_registered = !err;
	if (err)
		pr_warn("vfio-pci: devices cannot be preserved across a live update: %pe\n",
			ERR_PTR(err));
}
EXPORT_SYMBOL_GPL(vfio_pci_liveupdate_init);

/** vfio_pci_liveupdate_exit - Undo vfio_pci_liveupdate_init() */
void vfio_pci_liveupdate_exit(void)
{
	if (!vfio_pci_liveupdate_registered)
		return;
	iommu_liveupdate_unregister(&vfio_pci_liveupdate_handler);
	pci_liveupdate_unregister(&vfio_pci_liveupdate_handler);
	liveupdate_unregister_file_handler(&vfio_pci_liveupdate_handler);
	/* The driver's module goes, and this one may stay. */
	vfio_pci_liveupdate_registered = false;
	vfio_pci_liveupdate_driver = NULL;
	vfio_pci_liveupdate_ops = NULL;
}
EXPORT_SYMBOL_GPL(vfio_pci_liveupdate_exit);
