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

/*
 * In use while such a unit is in scalable mode. The mode cannot be changed while the
 * unit translates, so the next kernel must use it as well.
 */
#define LUO_VTD_SCALABLE_TAG	"vtd-scalable-v1"

/*
 * In use while such a unit remaps interrupts, and while interrupts have addresses of
 * x2APIC. A kernel that cannot go on with that would let devices send any interrupt.
 */
#define LUO_VTD_INTREMAP_TAG	"vtd-intremap-v1"
#define LUO_VTD_X2APIC_TAG	"vtd-x2apic-v1"

/**
 * struct luo_vtd_unit - &luo_iommu_unit.vendor of a VT-d unit
 *
 * @root: Root Table Address Register (VT-d 11.4.6): the root table and the mode.
 *        The root table and the context tables it leads to have entries of the
 *        attachments and no others; each is preserved as one page. The reader
 *        stops all devices of a unit whose register is another, or that it would
 *        use in another mode.
 * @irta: Interrupt Remapping Table Address Register (VT-d 5.1): the interrupt
 *        remapping table, its size, and whether interrupts have addresses of
 *        x2APIC. Interrupt remapping is enabled, none of the entries is present, and
 *        the table was preserved as one piece, which the reader frees when another one
 *        has taken its place. A reader that uses the other kind of addresses cannot
 *        leave interrupt remapping enabled, and stops all devices of the unit first.
 *        0 if interrupt remapping is disabled.
 */
struct luo_vtd_unit {
	__u64	root;
	__u64	irta;
} __attribute__((packed));

/**
 * struct luo_vtd_attachment - &luo_iommu_attachment.vendor of a VT-d unit
 *
 * The domain identifier, from wherever it is, is used for nothing else while caches
 * may hold translations that are tagged with it.
 *
 * @context_low: Bits 63:0 of the context entry: presence and, in legacy mode
 *               (VT-d 9.3), translation type and the address of the page table;
 *               in scalable mode (VT-d 9.4) what the device may use, and the address
 *               of the PASID directory. That was preserved as two pages, of which
 *               the second is the PASID table that the directory's first entry
 *               leads to, and has no other entries. The reader stops a device whose
 *               entry is another, or is not of a type that it knows.
 * @context_high: Bits 127:64: in legacy mode address width and domain identifier; in
 *                scalable mode which PASID requests without a PASID have, 0.
 * @pasid_entry: In scalable mode bits 191:0 of the first entry of the PASID table
 *               (VT-d 9.6): stage, domain identifier and the address of the page
 *               table. The others are 0. In legacy mode 0. The reader stops a
 *               device whose entry is another.
 */
struct luo_vtd_attachment {
	__u64	context_low;
	__u64	context_high;
	__u64	pasid_entry[3];
} __attribute__((packed));

#endif /* _UAPI_LINUX_LUO_VTD_H */
