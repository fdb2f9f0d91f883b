/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory of devices that keep running across a live update. For drivers
 * whose devices are bound to an iommufd.
 */
#ifndef _LINUX_IOMMUFD_LIVEUPDATE_H
#define _LINUX_IOMMUFD_LIVEUPDATE_H

#include <linux/iommu_liveupdate.h>
#include <linux/types.h>

struct iommufd_device;

#ifdef CONFIG_IOMMUFD_LIVEUPDATE

int iommufd_liveupdate_preserve(struct iommufd_device *idev,
				iommu_liveupdate_area_fn fn, void *data,
				u64 *tokenp);
void iommufd_liveupdate_unpreserve(struct iommufd_device *idev, u64 token);
int iommufd_liveupdate_check_mapped(struct iommufd_device *idev,
				    const struct iommu_liveupdate_area *area,
				    u64 *iova);

#endif /* CONFIG_IOMMUFD_LIVEUPDATE */
#endif /* _LINUX_IOMMUFD_LIVEUPDATE_H */
