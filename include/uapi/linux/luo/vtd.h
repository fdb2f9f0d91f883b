/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What linux/luo/iommu.h leaves to the VT-d driver.
 *
 * "VT-d" is the Intel Virtualization Technology for Directed I/O Architecture
 * Specification, revision 4.1.
 */
#ifndef _UAPI_LINUX_LUO_VTD_H
#define _UAPI_LINUX_LUO_VTD_H

#include <linux/luo/abi.h>

/*
 * Has no blob of its own. In use while a device behind a VT-d unit is preserved:
 * a kernel without the driver would neither translate nor stop translating.
 */
#define LUO_VTD_TAG		"vtd-v1"

/**
 * struct luo_vtd_unit - &luo_iommu_unit.vendor of a VT-d unit
 *
 * @root: Root Table Address Register (VT-d 11.4.6): the root table and the mode.
 *        The root table and the context tables it leads to have entries of the
 *        attachments and no others; each is preserved as one page. The reader
 *        stops all devices of a unit whose register is another.
 */
struct luo_vtd_unit {
	__u64	root;
} __attribute__((packed));

/**
 * struct luo_vtd_attachment - &luo_iommu_attachment.vendor of a VT-d unit
 *
 * @context_low: Low half of the context entry (VT-d 9.3): presence, translation
 *               type and the address of the table. The reader stops a device
 *               whose entry is another, or is not of a type that it knows.
 * @context_high: High half: address width and domain identifier. Nothing else
 *                gets the domain identifier while caches may hold translations
 *                that are tagged with it.
 */
struct luo_vtd_attachment {
	__u64	context_low;
	__u64	context_high;
} __attribute__((packed));

#endif /* _UAPI_LINUX_LUO_VTD_H */
