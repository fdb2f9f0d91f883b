/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _IOMMU_LIVEUPDATE_WIRE_H
#define _IOMMU_LIVEUPDATE_WIRE_H

#include <linux/luo/iommu.h>

struct luo_abi_format;
struct luo_abi_reader;
struct luo_abi_tag;

extern const struct luo_abi_tag iommu_liveupdate_tag;
extern const struct luo_abi_tag iommu_liveupdate_domain_tag;
extern const struct luo_abi_format iommu_liveupdate_format;
extern const struct luo_abi_format iommu_liveupdate_domain_format;

int iommu_liveupdate_check(struct luo_abi_reader *r);
int iommu_liveupdate_check_domain(struct luo_abi_reader *r);

#endif /* _IOMMU_LIVEUPDATE_WIRE_H */
