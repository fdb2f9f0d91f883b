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
 *   until iommufd_liveupdate_unpreserve().
 *
 * Freeze
 *   iommufd_liveupdate_check_preserved() compares each folio of the list with
 *   what KHO preserves. The list is still right because the IOAS is immutable,
 *   and sessions do not change during freeze. So the order in which memory and
 *   devices are preserved does not matter. A folio that was removed from its
 *   memfd after it was mapped is still mapped, but not preserved with the memfd.
 *   The check takes no lock of the IOAS, allocates nothing, and takes
 *   O(folios).
 *
 * Finish
 *   iommufd_liveupdate_check_mapped() checks that an area is mapped to the same
 *   memory again.
 *
 * Refused are areas that are no memory, for example dma-bufs of BARs.
 */

#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/iommufd_liveupdate.h>
#include <linux/kexec_handover.h>
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
	if (!hwpt_is_paging(attach->hwpt))
		return ERR_PTR(-EOPNOTSUPP);

	return to_hwpt_paging(attach->hwpt);
}

/*
 * Look up what @iova is mapped to. Pages of a file are pinned by folio, so the
 * rest of a folio follows its first page; pages of a user address range need
 * not.
 *
 * Return: how much from @iova to @last is known to be contiguous, 0 if @iova is
 * not mapped to memory.
 */
static unsigned long iommufd_liveupdate_lookup(struct iommu_domain *domain,
					       struct iopt_area *area,
					       unsigned long iova,
					       unsigned long last,
					       phys_addr_t *phys)
{
	struct folio *folio;
	phys_addr_t end;

	*phys = iommu_iova_to_phys(domain, iova);
	if (!*phys || !pfn_valid(PHYS_PFN(*phys)))
		return 0;

	end = PAGE_ALIGN(*phys + 1);
	if (area->pages->type == IOPT_ADDRESS_FILE) {
		folio = pfn_folio(PHYS_PFN(*phys));
		end = PFN_PHYS(folio_pfn(folio)) + folio_size(folio);
	}

	return min_t(u64, end - *phys - 1, last - iova) + 1;
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
					iommufd_liveupdate_add_t add, void *data)
{
	unsigned long last = iopt_area_last_iova(area);
	unsigned long iova = iopt_area_iova(area);
	struct iommufd_liveupdate_area run = {
		.prot = area->iommu_prot & (IOMMU_READ | IOMMU_WRITE),
	};
	unsigned long length;
	phys_addr_t phys;
	int rc;

	for (;; iova += length) {
		length = 0;
		if (!iopt_is_dmabuf(area->pages))
			length = iommufd_liveupdate_lookup(domain, area, iova,
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
			rc = run.length ? add(data, &run) : 0;
			if (rc)
				return rc;
			run.iova = iova;
			run.phys = phys;
			run.length = length;
		}
		if (length > last - iova)
			return add(data, &run);
		cond_resched();
	}
}

/**
 * iommufd_liveupdate_preserve - Make a device's IOAS immutable and list it
 * @idev: The device.
 * @add:  Called for each area, in ascending order of IOVA. It may allocate memory
 *        and must not call iommufd.
 * @data: First argument of @add.
 *
 * A device that is not attached has no areas.
 *
 * The caller does not attach, replace or detach the device before
 * iommufd_liveupdate_unpreserve().
 *
 * Context: Process context. The caller serializes attaching and detaching.
 * Return: 0 on success. On failure the IOAS is as before:
 *         -EBUSY if something is being mapped or unmapped.
 *         -EOPNOTSUPP if an area is not memory (its IOVA is logged), or the
 *         device is attached to a nested HWPT.
 *         Any other errno is what @add returned.
 */
int iommufd_liveupdate_preserve(struct iommufd_device *idev,
				iommufd_liveupdate_add_t add, void *data)
{
	struct iommufd_hwpt_paging *hwpt = iommufd_liveupdate_hwpt(idev);
	struct io_pagetable *iopt;
	struct iopt_area *area;
	int rc;

	if (IS_ERR_OR_NULL(hwpt))
		return PTR_ERR_OR_ZERO(hwpt);

	iopt = &hwpt->ioas->iopt;
	down_write(&iopt->iova_rwsem);
	rc = iommufd_liveupdate_make_immutable(iopt);
	downgrade_write(&iopt->iova_rwsem);
	if (rc) {
		up_read(&iopt->iova_rwsem);
		dev_err(idev->dev,
			"live update: not preserved: memory is being mapped or unmapped; try again\n");
		return rc;
	}

	for (area = iopt_area_iter_first(iopt, 0, ULONG_MAX); area && !rc;
	     area = iopt_area_iter_next(area, 0, ULONG_MAX))
		rc = iommufd_liveupdate_list_area(idev, hwpt->common.domain,
						  area, add, data);
	up_read(&iopt->iova_rwsem);
	if (rc)
		iommufd_liveupdate_unpreserve(idev);

	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_liveupdate_preserve, "IOMMUFD");

/**
 * iommufd_liveupdate_unpreserve - Undo iommufd_liveupdate_preserve()
 * @idev: The device, attached as at iommufd_liveupdate_preserve().
 *
 * Context: As iommufd_liveupdate_preserve().
 */
void iommufd_liveupdate_unpreserve(struct iommufd_device *idev)
{
	struct iommufd_hwpt_paging *hwpt = iommufd_liveupdate_hwpt(idev);

	if (IS_ERR_OR_NULL(hwpt))
		return;

	guard(rwsem_write)(&hwpt->ioas->iopt.iova_rwsem);
	hwpt->ioas->iopt.immutable--;
}
EXPORT_SYMBOL_NS_GPL(iommufd_liveupdate_unpreserve, "IOMMUFD");

/**
 * iommufd_liveupdate_check_preserved - Check that an area survives the kexec
 * @area: An area that iommufd_liveupdate_preserve() has listed.
 * @iova: Set to the first IOVA of which the memory is not preserved.
 *
 * The answer holds as long as nothing is unpreserved.
 *
 * Context: Process context. Takes the lock of KHO's radix tree; allocates
 *          nothing.
 * Return: 0 if each folio of the area is preserved, else -EOPNOTSUPP.
 */
int iommufd_liveupdate_check_preserved(const struct iommufd_liveupdate_area *area,
				       u64 *iova)
{
	phys_addr_t phys = area->phys, end = area->phys + area->length;
	struct folio *folio;

	while (phys < end) {
		folio = pfn_folio(PHYS_PFN(phys));
		if (!kho_folio_is_preserved(folio)) {
			*iova = area->iova + (phys - area->phys);
			return -EOPNOTSUPP;
		}
		phys = PFN_PHYS(folio_pfn(folio)) + folio_size(folio);
		cond_resched();
	}

	return 0;
}
EXPORT_SYMBOL_NS_GPL(iommufd_liveupdate_check_preserved, "IOMMUFD");

static int iommufd_liveupdate_check_iopt(struct io_pagetable *iopt,
					 struct iommu_domain *domain,
					 const struct iommufd_liveupdate_area *area,
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
		length = iommufd_liveupdate_lookup(domain, found, iova,
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
				    const struct iommufd_liveupdate_area *area,
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
