/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DMA translation that goes on while the kernel is replaced. For iommufd and the
 * drivers whose devices are bound to it.
 */
#ifndef _LINUX_IOMMU_LIVEUPDATE_H
#define _LINUX_IOMMU_LIVEUPDATE_H

#include <linux/errno.h>
#include <linux/types.h>

struct device;
struct iommu_domain;
struct liveupdate_file_handler;

/**
 * struct iommu_liveupdate_area - Part of an IO address space
 * @iova:   The first IO virtual address.
 * @length: Size in bytes, not 0.
 * @phys:   The physical address that @iova is mapped to. All of the area is
 *          physically contiguous.
 * @prot:   %IOMMU_READ, %IOMMU_WRITE.
 */
struct iommu_liveupdate_area {
	u64 iova;
	u64 length;
	u64 phys;
	u32 prot;
};

/* Called with one area; an errno ends the enumeration and is returned by it. */
typedef int (*iommu_liveupdate_area_fn)(void *data,
					const struct iommu_liveupdate_area *area);

/* Enumerates what @owner has mapped, in ascending order of IOVA. */
typedef int (*iommu_liveupdate_list_fn)(void *owner,
					iommu_liveupdate_area_fn fn, void *data);

#ifdef CONFIG_IOMMU_LIVEUPDATE

int iommu_liveupdate_register(struct liveupdate_file_handler *fh);
void iommu_liveupdate_unregister(struct liveupdate_file_handler *fh);

int iommu_liveupdate_preserve(struct device *dev, struct iommu_domain *domain,
			      iommu_liveupdate_list_fn list, void *owner,
			      u64 *tokenp);
void iommu_liveupdate_unpreserve(u64 token);
int iommu_liveupdate_check_preserved(const struct iommu_liveupdate_area *area,
				     u64 *iova);
int iommu_liveupdate_check_memory(u64 token, u64 *iova);

bool iommu_liveupdate_is_incoming(struct device *dev, u64 token);
bool iommu_liveupdate_is_restored(struct device *dev);
int iommu_liveupdate_list_areas(struct device *dev,
				iommu_liveupdate_area_fn fn, void *data);
void iommu_liveupdate_finish(u64 token);

#else /* CONFIG_IOMMU_LIVEUPDATE */

static inline int iommu_liveupdate_register(struct liveupdate_file_handler *fh)
{
	return 0;
}

static inline void
iommu_liveupdate_unregister(struct liveupdate_file_handler *fh)
{
}

static inline int
iommu_liveupdate_preserve(struct device *dev, struct iommu_domain *domain,
			  iommu_liveupdate_list_fn list, void *owner,
			  u64 *tokenp)
{
	return -EOPNOTSUPP;
}

static inline void iommu_liveupdate_unpreserve(u64 token)
{
}

static inline int iommu_liveupdate_check_memory(u64 token, u64 *iova)
{
	return 0;
}

static inline bool iommu_liveupdate_is_incoming(struct device *dev, u64 token)
{
	return false;
}

static inline bool iommu_liveupdate_is_restored(struct device *dev)
{
	return false;
}

static inline int iommu_liveupdate_list_areas(struct device *dev,
					      iommu_liveupdate_area_fn fn,
					      void *data)
{
	return 0;
}

static inline void iommu_liveupdate_finish(u64 token)
{
}

#endif /* CONFIG_IOMMU_LIVEUPDATE */
#endif /* _LINUX_IOMMU_LIVEUPDATE_H */
