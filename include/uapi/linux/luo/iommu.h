/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Serialized data about DMA translation that goes on across a live update: which
 * devices translate, through which table, in which IOMMU unit.
 *
 * The table itself stays where it is and is not described here, apart from the
 * list of its pages: a kernel that reads this need not know the table's format.
 * What only the driver of a unit understands is in that vendor's header, for
 * example linux/luo/vtd.h.
 *
 * Written and read by kernels; a VMM does not use it.
 */
#ifndef _UAPI_LINUX_LUO_IOMMU_H
#define _UAPI_LINUX_LUO_IOMMU_H

#include <linux/luo/abi.h>

/* Units, domains and attachments: shared state (FLB) of devices' files. */
#define LUO_IOMMU_TAG		"iommu-v1"

/* The pages and areas of a domain; &luo_iommu_domain.data leads there. */
#define LUO_IOMMU_DOMAIN_TAG	"iommu-domain-v1"

/**
 * enum luo_iommu_record - types of records of %LUO_IOMMU_TAG
 *
 * @LUO_IOMMU_UNITS: An array of &struct luo_iommu_unit, one, in ascending order of
 *                   base.
 * @LUO_IOMMU_DOMAINS: An array of &struct luo_iommu_domain, one, in ascending order of
 *                     data.
 * @LUO_IOMMU_ATTACHMENTS: An array of &struct luo_iommu_attachment, one, in the
 *                         order of segment and requester ID.
 */
enum luo_iommu_record {
	LUO_IOMMU_UNITS			= LUO_ABI_RECORD_MANDATORY |
					  LUO_ABI_RECORD_ARRAY | 1,
	LUO_IOMMU_DOMAINS		= LUO_ABI_RECORD_MANDATORY |
					  LUO_ABI_RECORD_ARRAY | 2,
	LUO_IOMMU_ATTACHMENTS		= LUO_ABI_RECORD_MANDATORY |
					  LUO_ABI_RECORD_ARRAY | 3,
};

/**
 * enum luo_iommu_kind - the driver that a unit needs
 *
 * @LUO_IOMMU_VTD: Intel VT-d, see linux/luo/vtd.h.
 */
enum luo_iommu_kind {
	LUO_IOMMU_VTD			= 1,
};

#define LUO_IOMMU_UNIT_WORDS		4
#define LUO_IOMMU_ATTACHMENT_WORDS	8

/**
 * struct luo_iommu_unit - an IOMMU that translates for a preserved device
 *
 * @base: Physical address of its registers. Identifies the unit: the reader
 *        stops the devices of a unit that it does not find, and refuses what is
 *        not in order.
 * @kind: enum luo_iommu_kind. Says what @vendor holds. The reader refuses a kind
 *        that it does not know.
 * @reserved: 0. The reader refuses anything else.
 * @vendor: What the unit's driver must find in the hardware, as the header of
 *          @kind says; the rest is 0. If the hardware has other values, its tables
 *          are not the previous kernel's, and the reader does not take them over.
 */
struct luo_iommu_unit {
	__u64	base;
	__u32	kind;
	__u32	reserved;
	__u64	vendor[LUO_IOMMU_UNIT_WORDS];
} __attribute__((packed));

/**
 * struct luo_iommu_domain - a table that devices translate through
 *
 * @data: Physical address of the blob of %LUO_IOMMU_DOMAIN_TAG with the table's
 *        pages and areas. It is a blob of its own so that it is completed before
 *        the VM is stopped, and not read before the VM runs again: both take a
 *        time that grows with the table. The reader refuses 0, and what is not in
 *        order.
 */
struct luo_iommu_domain {
	__u64	data;
} __attribute__((packed));

/**
 * struct luo_iommu_attachment - a requester that translates through a domain
 *
 * All members of a device's IOMMU group are attached.
 *
 * @unit: Which of %LUO_IOMMU_UNITS translates for it, counted from 1. The reader
 *        refuses 0, and more than there are.
 * @domain: Through which of %LUO_IOMMU_DOMAINS, counted from 1. The reader
 *          refuses 0, and more than there are.
 * @segment: PCI segment (domain). With @rid it is what the unit knows the
 *           requester by. The reader refuses what is not in order.
 * @rid: Requester ID: bus in bits 15:8, device and function in bits 7:0. See
 *       @segment.
 * @reserved: 0. The reader refuses anything else.
 * @vendor: The requester's entry in the unit's tables, as the header of the
 *          unit's kind says; the rest is 0. The reader stops a device whose entry
 *          in memory is another.
 */
struct luo_iommu_attachment {
	__u32	unit;
	__u32	domain;
	__u32	segment;
	__u16	rid;
	__u16	reserved;
	__u64	vendor[LUO_IOMMU_ATTACHMENT_WORDS];
} __attribute__((packed));

/**
 * enum luo_iommu_domain_record - types of records of %LUO_IOMMU_DOMAIN_TAG
 *
 * @LUO_IOMMU_TABLES: An array of &struct luo_iommu_table, one.
 * @LUO_IOMMU_AREAS: An array of &struct luo_iommu_area, one.
 */
enum luo_iommu_domain_record {
	LUO_IOMMU_TABLES		= LUO_ABI_RECORD_MANDATORY |
					  LUO_ABI_RECORD_ARRAY | 1,
	LUO_IOMMU_AREAS			= LUO_ABI_RECORD_MANDATORY |
					  LUO_ABI_RECORD_ARRAY | 2,
};

/**
 * struct luo_iommu_table - memory that holds a part of the table
 *
 * @phys: Its physical address; it was preserved as one folio. When no device
 *        uses the table any more this is how its memory is found. The reader does
 *        not free an address that was not preserved. If the list is damaged it
 *        frees nothing.
 */
struct luo_iommu_table {
	__u64	phys;
} __attribute__((packed));

/**
 * enum luo_iommu_access - what devices may do with an area
 *
 * @LUO_IOMMU_READ: They may read it.
 * @LUO_IOMMU_WRITE: They may write to it.
 */
enum luo_iommu_access {
	LUO_IOMMU_READ			= 1 << 0,
	LUO_IOMMU_WRITE			= 1 << 1,
};

/**
 * struct luo_iommu_area - memory that the table maps
 *
 * A device that is running may use all of it. Without the list another table
 * could take the place of this one although it lacks what the device uses.
 *
 * @iova: The first IO virtual address. Areas are sorted by it; the reader
 *        refuses areas that overlap or wrap around.
 * @length: Size in bytes. The reader refuses 0.
 * @phys: The physical address of the first byte; all of the area is physically
 *        contiguous. A table that maps @iova to anything else does not take this
 *        one's place. The reader refuses an area that wraps around.
 * @access: enum luo_iommu_access. It must be mapped with at least that. The
 *          reader refuses what it does not know.
 * @reserved: 0. The reader refuses anything else.
 */
struct luo_iommu_area {
	__u64	iova;
	__u64	length;
	__u64	phys;
	__u32	access;
	__u32	reserved;
} __attribute__((packed));

#endif /* _UAPI_LINUX_LUO_IOMMU_H */
