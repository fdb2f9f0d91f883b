// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: IO address spaces of devices that keep running across a live update
 *
 * A device that keeps doing DMA while the kernel is replaced writes to the
 * memory that was mapped for it. All of that memory must be preserved, and it
 * must stay allocated until the device is stopped or its owner has mapped the
 * same memory again. The driver that preserves the device asks here for what
 * that requires of the device's IO address space (IOAS). Nothing of the IOAS
 * itself is preserved: in the next kernel the owner creates a new one.
 *
 * Preserve
 *   iommufd_liveupdate_preserve() makes the IOAS immutable and lists what it
 *   maps, as physically contiguous areas. Mapping and unmapping return -EBUSY
 *   until iommufd_liveupdate_unpreserve(). If the device is behind an IOMMU the
 *   list is kept with its page table, see drivers/iommu/iommu_liveupdate.c, else
 *   by the caller.
 *
 * Freeze
 *   Each folio of the list is compared with what KHO preserves. The list is still
 *   right because the IOAS is immutable, and sessions do not change during freeze.
 *   So the order in which memory and devices are preserved does not matter. A
 *   folio that was removed from its memfd after it was mapped is still mapped, but
 *   not preserved with the memfd. The check takes no lock of the IOAS, allocates
 *   nothing, and takes O(folios).
 *
 * Attach
 *   A device that translates through the previous kernel's table can only be
 *   attached to an HWPT that maps the same memory. Until then it goes on with that
 *   table.
 *
 * Finish
 *   Without an IOMMU, iommufd_liveupdate_check_mapped() checks that an area is
 *   mapped to the same memory again.
 *
 * Refused are areas that are no memory, for example dma-bufs of BARs.
 */

#include <linux/export.h>
#include <linux/generic_pt/iommu.h>
#include <linux/iommu.h>
#include <linux/iommufd_liveupdate.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "io_pagetable.h"
#include "iommufd_private.h"

/* The device stays attached because its driver holds its own lock. */
static struct iommufd_hwpt_paging *
iommufd_liveupdate_hwpt(struct iommufd_device *idev)
{
	struct iommufd_attach *attach;

	guard(mutex)(&idev->igroup->lock);

	attach = xa_load(&idev->igroup->pasid_attach, IOMMU_NO_PASID);
	if (!attach)
		return NULL;
	if (!hwpt_is_paging(attach->hwpt) || attach->hwpt->fault)
		return ERR_PTR(-EOPNOTSUPP);

	return to_hwpt_paging(attach->hwpt);
}

/*
 * Look up what @iova is mapped to, in the page table: the file of an area need not
 * have the same pages any more, not even the rest of a folio. The page tables of devices
 * without an IOMMU, and of drivers with &iommu_ops.liveupdate, are generic_pt's.
 *
 * Return: how much from @iova to @last is known to be contiguous, 0 if @iova is
 * not mapped to memory.
 */
static unsigned long iommufd_liveupdate_lookup(struct iommu_domain *domain,
					       unsigned long iova,
					       unsigned long last,
					       phys_addr_t *phys)
{
	struct pt_iommu *pt = container_of(domain, struct pt_iommu, domain);
	size_t size;

	*phys = pt->ops->iova_to_leaf(pt, iova, &size);
	if (!*phys || !pfn_valid(PHYS_PFN(*phys)))
		return 0;

	return min_t(u64, size - 1, last - iova) + 1;
}

/* Areas without pages are being mapped or unmapped. */
static int iommufd_liveupdate_make_immutable(struct io_pagetable *iopt)
{
	struct iopt_area *area;

	lockdep_assert_held_write(&iopt->iova_rwsem);

	for (area = iopt_area_iter_first(iopt, 0, ULONG_MAX); area;
	     area = iopt_area_iter_next(area, 0, ULONG_MAX)) {
		if (!area->pages)
			return -EBUSY;
	}
	iopt->immutable++;

	return 0;
}

static int iommufd_liveupdate_list_area(struct iommufd_device *idev,
					struct iommu_domain *domain,
					struct iopt_area *area,
					iommu_liveupdate_area_fn fn, void *data)
{
	unsigned long last = iopt_area_last_iova(area);
	unsigned long iova = iopt_area_iova(area);
	struct iommu_liveupdate_area run = {
		.prot = area->iommu_prot & (IOMMU_READ | IOMMU_WRITE),
	};
	unsigned long length;
	phys_addr_t phys;
	int rc;

	for (;; iova += length) {
		length = 0;
		if (!iopt_is_dmabuf(area->pages))
			length = iommufd_liveupdate_lookup(domain, iova,
							   last, &phys);
		if (!length) {
			dev_err(idev->dev,
				"live update: not preserved: IOVA %#lx is not mapped to memory; unmap it first\n",
				iova);
			return -EOPNOTSUPP;
		}

		if (run.length && run.phys + run.length == phys) {
			run.length += length;
		} else {
			rc = run.length ? fn(data, &run) : 0;
			if (rc)
				return rc;
			run.iova = iova;
			run.phys = phys;
			run.length = length;
		}
		if (length > last - iova)
			return fn(data, &run);
		cond_resched();
	}
}

struct iommufd_liveupdate_list {
	struct iommufd_device *idev;
	struct iommufd_hwpt_paging *hwpt;
};

static int iommufd_liveupdate_list(void *owner, iommu_liveupdate_area_fn fn,
				   void *data)
{
	struct iommufd_liveupdate_list *list = owner;
	struct io_pagetable *iopt = &list->hwpt->ioas->iopt;
	struct iopt_area *area;
	int rc = 0;

	guard(rwsem_read)(&iopt->iova_rwsem);

	for (area = iopt_area_iter_first(iopt, 0, ULONG_MAX); area && !rc;
	     area = iopt_area_iter_next(area, 0, ULONG_MAX))
		rc = iommufd_liveupdate_list_area(list->idev,
						  list->hwpt->common.domain,
						  area, fn, data);

	return rc;
}

/**
 * iommufd_liveupdate_preserve - Make a device's IOAS immutable and list it
 * @idev: The device.
 * @fn:   Called for each area, in ascending order of IOVA, if the device is not
 *        behind an IOMMU. It may allocate memory and must not call iommufd.
 * @data: First argument of @fn.
 * @tokenp: Set to the token of iommu_liveupdate_preserve(), or to 0 if the device
 *        is not behind an IOMMU.
 *
 * A device that is not attached has no areas; behind an IOMMU it is refused.
 *
 * The caller does not attach, replace or detach the device before
 * iommufd_liveupdate_unpreserve().
 *
 * Context: Process context. The caller serializes attaching and detaching.
 * Return: 0 on success. On failure the IOAS is as before:
 *         -EBUSY if something is being mapped or unmapped.
 *         -EOPNOTSUPP if an area is not memory (its IOVA is logged), the device is
 *         attached to an HWPT that is nested or handles faults, or what
 *         iommu_liveupdate_preserve() refuses.
 *         -ENXIO if the device is behind an IOMMU and not attached.
 *         Any other errno is what @fn or iommu_liveupdate_preserve() returned.
 */
int iommufd_liveupdate_preserve(struct iommufd_device *idev,
				iommu_liveupdate_area_fn fn, void *data,
				u64 *tokenp)
{
	struct iommufd_liveupdate_list list = {
		.idev = idev,
		.hwpt = iommufd_liveupdate_hwpt(idev),
	};
	bool translated = idev->igroup->group;
	struct io_pagetable *iopt;
	int rc;

	*tokenp = 0;
	if (!list.hwpt && translated) {
		dev_info_ratelimited(idev->dev, "live update: not preserved: it is not attached to an IO address space\n");
		return -ENXIO;
	}
	if (PTR_ERR_OR_ZERO(list.hwpt) == -EOPNOTSUPP)
		dev_info_ratelimited(idev->dev, "live update: not preserved: its page table is nested or handles faults\n");
	if (IS_ERR_OR_NULL(list.hwpt))
		return PTR_ERR_OR_ZERO(list.hwpt);

	iopt = &list.hwpt->ioas->iopt;
	scoped_guard(rwsem_write, &iopt->iova_rwsem)
		rc = iommufd_liveupdate_make_immutable(iopt);
	if (rc) {
		dev_err_ratelimited(idev->dev,
				    "live update: not preserved: memory is being mapped or unmapped; try again\n");
		return rc;
	}

	if (translated)
		rc = iommu_liveupdate_preserve(idev->dev,
					       list.hwpt->common.domain,
					       iommufd_liveupdate_list, &list,
					       tokenp);
	else
		rc = iommufd_liveupdate_list(&list, fn, data);
	if (rc)
		iommufd_liveupdate_unpreserve(idev, 0);

	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_liveupdate_preserve, "IOMMUFD");

/**
 * iommufd_liveupdate_unpreserve - Undo iommufd_liveupdate_preserve()
 * @idev:  The device, attached as at iommufd_liveupdate_preserve().
 * @token: The token from there.
 *
 * Context: As iommufd_liveupdate_preserve().
 */
void iommufd_liveupdate_unpreserve(struct iommufd_device *idev, u64 token)
{
	struct iommufd_hwpt_paging *hwpt = iommufd_liveupdate_hwpt(idev);

	if (token)
		iommu_liveupdate_unpreserve(token);
	if (IS_ERR_OR_NULL(hwpt))
		return;

	guard(rwsem_write)(&hwpt->ioas->iopt.iova_rwsem);
	hwpt->ioas->iopt.immutable--;
}
EXPORT_SYMBOL_NS_GPL(iommufd_liveupdate_unpreserve, "IOMMUFD");

static int iommufd_liveupdate_check_iopt(struct io_pagetable *iopt,
					 struct iommu_domain *domain,
					 const struct iommu_liveupdate_area *area,
					 u64 *iovap)
{
	u64 last = area->iova + area->length - 1;
	u64 phys = area->phys;
	struct iopt_area *found;
	unsigned long length;
	phys_addr_t now;
	u64 iova;

	guard(rwsem_read)(&iopt->iova_rwsem);

	for (iova = area->iova;; iova += length, phys += length) {
		*iovap = iova;
		found = iopt_area_iter_first(iopt, iova, iova);
		if (!found || !found->pages || iopt_is_dmabuf(found->pages) ||
		    (area->prot & ~found->iommu_prot))
			return -EBUSY;
		length = iommufd_liveupdate_lookup(domain, iova,
						   min_t(u64, last, iopt_area_last_iova(found)),
						   &now);
		if (!length || now != phys)
			return -EBUSY;
		if (length > last - iova)
			return 0;
		cond_resched();
	}
}

/**
 * iommufd_liveupdate_check_mapped - Check that an area is mapped again
 * @idev: The device.
 * @area: An area that the previous kernel's iommufd_liveupdate_preserve() has
 *        listed. It does not wrap around.
 * @iova: Set to the first IOVA that is not mapped to the same memory, or with
 *        less access.
 *
 * Context: Process context. The caller serializes attaching and detaching. The
 *          answer holds until the owner changes the IOAS.
 * Return: 0 if all of the area is mapped as before, else -EBUSY.
 */
int iommufd_liveupdate_check_mapped(struct iommufd_device *idev,
				    const struct iommu_liveupdate_area *area,
				    u64 *iova)
{
	struct iommufd_hwpt_paging *hwpt = iommufd_liveupdate_hwpt(idev);

	*iova = area->iova;
	if (IS_ERR_OR_NULL(hwpt))
		return -EBUSY;

	return iommufd_liveupdate_check_iopt(&hwpt->ioas->iopt,
					     hwpt->common.domain, area, iova);
}
EXPORT_SYMBOL_NS_GPL(iommufd_liveupdate_check_mapped, "IOMMUFD");

static int iommufd_liveupdate_check_area(void *data,
					 const struct iommu_liveupdate_area *area)
{
	struct iommufd_liveupdate_list *list = data;
	u64 iova;

	if (!iommufd_liveupdate_check_iopt(&list->hwpt->ioas->iopt,
					   list->hwpt->common.domain, area,
					   &iova))
		return 0;
	dev_info_ratelimited(list->idev->dev, "live update: not attached: IOVA %#llx is not mapped to the memory it was mapped to; map it first\n",
			     iova);

	return -ENXIO;
}

/**
 * iommufd_liveupdate_check_attach - Check what a running device is attached to
 * @idev: A device that is about to be attached.
 * @hwpt: The HWPT.
 *
 * Context: Process context. igroup->lock is held.
 * Return: 0 if the device does not use the previous kernel's page table, or @hwpt
 *         can take that one's place.
 *         -ENXIO if @hwpt lacks an area, maps it elsewhere, or with less access; the
 *         IOVA is logged.
 *         Any other errno is from iommu_liveupdate_list_areas().
 */
int iommufd_liveupdate_check_attach(struct iommufd_device *idev,
				    struct iommufd_hw_pagetable *hwpt)
{
	struct iommufd_liveupdate_list list = { .idev = idev };

	lockdep_assert_held(&idev->igroup->lock);

	if (!idev->igroup->group || !iommu_liveupdate_is_restored(idev->dev))
		return 0;
	if (!hwpt_is_paging(hwpt)) {
		dev_info_ratelimited(idev->dev, "live update: not attached: a nested page table cannot take the place of the previous kernel's\n");
		return -ENXIO;
	}
	list.hwpt = to_hwpt_paging(hwpt);

	return iommu_liveupdate_list_areas(idev->dev,
					   iommufd_liveupdate_check_area,
					   &list);
}
