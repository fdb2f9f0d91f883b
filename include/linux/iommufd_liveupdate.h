/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory of devices that keep running across a live update. For drivers
 * whose devices are bound to an iommufd.
 */
#ifndef _LINUX_IOMMUFD_LIVEUPDATE_H
#define _LINUX_IOMMUFD_LIVEUPDATE_H

#include <linux/types.h>

struct iommufd_device;

/**
 * struct iommufd_liveupdate_area - Part of an IO address space
 * @iova:   The first IO virtual address.
 * @length: Size in bytes, not 0.
 * @phys:   The physical address that @iova is mapped to. All of the area is
 *          physically contiguous.
 * @prot:   %IOMMU_READ, %IOMMU_WRITE.
 */
struct iommufd_liveupdate_area {
	u64 iova;
	u64 length;
	u64 phys;
	u32 prot;
};

typedef int (*iommufd_liveupdate_add_t)(void *data,
					const struct iommufd_liveupdate_area *area);

#ifdef CONFIG_IOMMUFD_LIVEUPDATE

int iommufd_liveupdate_preserve(struct iommufd_device *idev,
				iommufd_liveupdate_add_t add, void *data);
void iommufd_liveupdate_unpreserve(struct iommufd_device *idev);
int iommufd_liveupdate_check_preserved(const struct iommufd_liveupdate_area *area,
				       u64 *iova);
int iommufd_liveupdate_check_mapped(struct iommufd_device *idev,
				    const struct iommufd_liveupdate_area *area,
				    u64 *iova);

#endif /* CONFIG_IOMMUFD_LIVEUPDATE */
#endif /* _LINUX_IOMMUFD_LIVEUPDATE_H */
