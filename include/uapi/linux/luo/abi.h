/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Serialized data of live updates: the part that all subsystems share.
 *
 * Documentation/core-api/liveupdate-abi.rst is the contract in prose. Read it
 * before changing anything here: a kernel that was built years ago reads what
 * this one writes, and the other way round.
 */
#ifndef _UAPI_LINUX_LUO_ABI_H
#define _UAPI_LINUX_LUO_ABI_H

#include <linux/types.h>

/**
 * enum luo_abi_magic - the number a blob begins with, one for each tag
 *
 * It identifies the tag before anything else in the memory is used: a handle
 * that leads to another tag's blob is detected by its first four bytes. A number
 * is never used for a second tag.
 *
 * @LUO_ABI_MAGIC_EXAMPLE: "luo-example-v1", see linux/luo/example.h
 * @LUO_ABI_MAGIC_PCI: "pci-v1", see linux/luo/pci.h
 * @LUO_ABI_MAGIC_VFIO_PCI: "vfio-pci-v1", see linux/luo/vfio_pci.h
 * @LUO_ABI_MAGIC_IOMMU: "iommu-v1", see linux/luo/iommu.h
 * @LUO_ABI_MAGIC_IOMMU_DOMAIN: "iommu-domain-v1", see linux/luo/iommu.h
 */
enum luo_abi_magic {
	LUO_ABI_MAGIC_EXAMPLE		= 0x454f554c,	/* "LUOE" */
	LUO_ABI_MAGIC_PCI		= 0x504f554c,	/* "LUOP" */
	LUO_ABI_MAGIC_VFIO_PCI		= 0x564f554c,	/* "LUOV" */
	LUO_ABI_MAGIC_IOMMU		= 0x494f554c,	/* "LUOI" */
	LUO_ABI_MAGIC_IOMMU_DOMAIN	= 0x444f554c,	/* "LUOD" */
};

/**
 * enum luo_abi_arch - the machine a blob was written on
 *
 * The numbers are ELF's (e_machine, elf(5)), so that there is no second list of
 * architectures to keep. An architecture that is run in either byte order needs
 * no two numbers: the magic tells them apart.
 *
 * @LUO_ABI_ARCH_X86_64: x86, 64 bit
 * @LUO_ABI_ARCH_AARCH64: Arm, 64 bit
 */
enum luo_abi_arch {
	LUO_ABI_ARCH_X86_64		= 62,
	LUO_ABI_ARCH_AARCH64		= 183,
};

/**
 * struct luo_abi_header - what every blob begins with
 *
 * A blob is one physically contiguous piece of preserved memory: this header
 * and the records that follow it. Its physical address is the handle of a file or
 * of shared state (FLB), or is in a KHO subtree.
 *
 * @magic: enum luo_abi_magic. Written last, when the blob is complete: until
 *         then it is 0. Without it a blob that the old kernel was still filling
 *         when it crashed or failed to freeze would be read as a whole one. The
 *         reader refuses 0 as not sealed, and anything but its tag's number.
 * @size: Size of this header in bytes, as the writer knows it. Without it
 *        nothing could ever be appended here: it says where the first record
 *        is. The reader takes what it lacks as 0, and refuses more than it
 *        knows unless all of that is 0.
 * @total_size: Size of the header and all records in bytes. Without it the
 *              reader could not tell where the records end. It is refused if it
 *              is not what the records add up to, or larger than the memory
 *              that was handed over.
 * @incompat: Features in use which a reader must know; the bits are the tag's,
 *            numbered from 0. Whatever a reader of the first version would
 *            refuse has a bit here: a mandatory type of record, a bit of a
 *            record's incompat, an appended or formerly reserved field that is
 *            not 0, a flag or an enumerated value, and exceeding a limit, if
 *            any of these is newer. This word is all that the next kernel can
 *            be asked about before the kexec. A bit is set when its feature is
 *            in use, not when the writer's kernel knows it: so going back to an
 *            older kernel works until something new is really used. The reader
 *            refuses a bit it does not know.
 * @compat: Features in use which a reader may ignore; the bits are the tag's.
 *          Without it the reader could not tell "0" from "not recorded".
 * @arch: enum luo_abi_arch. Records hold registers and structures of one
 *        architecture, which mean nothing on another. The reader refuses any
 *        other than its own.
 * @page_shift: Size of a page as a power of two. Arrays are in blocks of one
 *              page, and records count in pages: with another size all of these
 *              would be misread. The reader refuses any other than its own.
 * @reserved: 0. The reader refuses anything else, so that it can be used.
 * @crc: CRC-32C (as in RFC 3720, appendix B.4) of @total_size bytes from the
 *       start of the blob, with this field 0. It detects memory that was
 *       overwritten: by DMA, or by a kernel that did not know it was preserved.
 *       It is no protection against an attacker. The reader refuses a
 *       difference.
 */
struct luo_abi_header {
	__u32	magic;
	__u32	size;
	__u64	total_size;
	__u64	incompat;
	__u64	compat;
	__u16	arch;
	__u8	page_shift;
	__u8	reserved;
	__u32	crc;
} __attribute__((packed));

/**
 * enum luo_abi_record_bits - bits of a record's type
 *
 * @LUO_ABI_RECORD_ARRAY: The record leads to an array and has a &struct
 *                        luo_abi_array. A reader that does not know the type
 *                        must still check the array's blocks, and free them.
 * @LUO_ABI_RECORD_MANDATORY: A reader that does not know the type must refuse
 *                            the blob. Without the bit it skips the record.
 */
enum luo_abi_record_bits {
	LUO_ABI_RECORD_ARRAY		= 0x4000,
	LUO_ABI_RECORD_MANDATORY	= 0x8000,
};

/**
 * struct luo_abi_record - what every record begins with
 *
 * Records follow each other without a gap, each starting at a multiple of 8
 * bytes from the start of the blob.
 *
 * @type: What follows; the numbers are the tag's, enum luo_abi_record_bits is
 *        part of them. The reader refuses a type it does not know if
 *        %LUO_ABI_RECORD_MANDATORY is set, and skips the record otherwise.
 * @reserved: 0. The reader refuses anything else, also of a record it skips, so
 *            that it can be used.
 * @size: Size of the record with this struct in bytes, a multiple of 8. Without
 *        it a reader could skip nothing, and no record could grow. What the
 *        reader lacks is 0; it refuses more than it knows unless all of that is
 *        0, or less than the record had in its first version.
 * @incompat: As in &struct luo_abi_header, for this record: a bit the reader
 *            does not know makes it refuse the blob, unless it skips the
 *            record. In the header there is a bit that covers it.
 * @compat: As in &struct luo_abi_header, for this record.
 */
struct luo_abi_record {
	__u16	type;
	__u16	reserved;
	__u32	size;
	__u32	incompat;
	__u32	compat;
} __attribute__((packed));

/**
 * struct luo_abi_block - what every block of an array begins with
 *
 * A block is one page of preserved memory by itself. It is what KHO calls
 * &struct kho_block_header_ser.
 *
 * @next: Physical address of the next block, 0 if it is the last. The reader
 *        refuses an address that is not that of a single page which was handed
 *        over.
 * @count: Number of entries behind this struct. The reader refuses 0, and more
 *         than fit.
 */
struct luo_abi_block {
	__u64	next;
	__u64	count;
} __attribute__((packed));

/**
 * struct luo_abi_array - a record about things too many for the blob
 *
 * The entries are in blocks of one page each. A record whose type has the bit
 * %LUO_ABI_RECORD_ARRAY has this behind its &struct luo_abi_record.
 *
 * @head: Physical address of the first block, 0 if there are no entries. The
 *        reader refuses an address that is not that of a page which was handed
 *        over.
 * @count: Number of entries. Each block has a number of its own; without the
 *         sum a chain that was cut short would be accepted. The reader refuses a
 *         difference, more than the tag allows, and more blocks than all arrays
 *         of a blob can have.
 * @stride: Size of an entry in bytes, a multiple of 8. Without it no entry
 *          could grow. The reader refuses less than an entry had in its first
 *          version, takes what it lacks as 0, and refuses more than it knows
 *          unless all of that is 0.
 * @crc: CRC-32C of all entries in their order. That of the blob does not cover
 *       them. The reader refuses a difference.
 */
struct luo_abi_array {
	__u64	head;
	__u64	count;
	__u32	stride;
	__u32	crc;
} __attribute__((packed));

/**
 * enum luo_abi_tag_kind - what a tag names
 *
 * @LUO_ABI_TAG_FILE: a kind of file, the handler's compatible string
 * @LUO_ABI_TAG_FLB: shared state (FLB), its compatible string
 * @LUO_ABI_TAG_SUBTREE: a subtree of KHO that belongs to neither
 * @LUO_ABI_TAG_PART: state that another tag's blob leads to, or a driver that it
 *                    needs
 */
enum luo_abi_tag_kind {
	LUO_ABI_TAG_FILE		= 1,
	LUO_ABI_TAG_FLB			= 2,
	LUO_ABI_TAG_SUBTREE		= 3,
	LUO_ABI_TAG_PART		= 4,
};

/**
 * enum luo_abi_tag_flags - what a kernel can do with a tag
 *
 * @LUO_ABI_TAG_READS: It understands what comes under this tag.
 * @LUO_ABI_TAG_WRITES: It may write under this tag.
 * @LUO_ABI_TAG_DEFAULT_ON: What reads the tag is on unless the kernel's command
 *                          line disables it. Only for subtrees that a
 *                          parameter enables or disables (kho=, liveupdate=).
 */
enum luo_abi_tag_flags {
	LUO_ABI_TAG_READS		= 1,
	LUO_ABI_TAG_WRITES		= 2,
	LUO_ABI_TAG_DEFAULT_ON		= 4,
};

/* The section of vmlinux, and of modules, that lists them */
#define LUO_ABI_TAG_SECTION	".luo_tags"
#define LUO_ABI_TAG_LENGTH	48

/**
 * struct luo_abi_tag - an entry of the section .luo_tags
 *
 * The section in a kernel's ELF file, and in those of its modules, says what
 * the kernel can take over from its predecessor, before it runs. It is an array
 * of these, one for each tag.
 *
 * @size: Size of this entry in bytes, which is where the next one begins. All
 *        entries of a section have the same. Without it a tool could not read
 *        kernels that are newer or older than itself.
 * @kind: enum luo_abi_tag_kind. No name is used for two kinds; without it that
 *        could not be noticed.
 * @name: The tag, as it is written, filled up with 0.
 * @magic: enum luo_abi_magic, or 0 if the tag's state does not begin with a
 *         &struct luo_abi_header. For tools that decode a blob.
 * @flags: enum luo_abi_tag_flags. Without it a kernel that still reads an old
 *         tag, or no longer does, could not be told from one that writes it.
 * @incompat: The bits of &luo_abi_header.incompat it knows. The next kernel
 *            must know those that are in use.
 * @compat: The bits of &luo_abi_header.compat it knows. To say what will be
 *          ignored.
 * @arch: &luo_abi_header.arch as this kernel writes it. With another one it
 *        would refuse every blob.
 * @page_shift: &luo_abi_header.page_shift as this kernel writes it. See @arch.
 * @reserved: 0.
 */
struct luo_abi_tag {
	__u32	size;
	__u32	kind;
	__u8	name[LUO_ABI_TAG_LENGTH];
	__u32	magic;
	__u32	flags;
	__u64	incompat;
	__u64	compat;
	__u16	arch;
	__u8	page_shift;
	__u8	reserved[5];
} __attribute__((packed));

/**
 * enum luo_abi_reason - why a blob was refused
 *
 * The same number always means the same, in logs, in sysfs and to tools.
 * Documentation/core-api/liveupdate-abi.rst says what to do about each.
 *
 * @LUO_REASON_NONE: It was not refused.
 * @LUO_REASON_NOT_HANDED_OVER: The address is not that of memory which the
 *                              previous kernel handed over.
 * @LUO_REASON_NOT_SEALED: The previous kernel did not complete the blob.
 * @LUO_REASON_MAGIC: The blob belongs to another tag, or is none.
 * @LUO_REASON_BYTE_ORDER: The blob was written in the other byte order.
 * @LUO_REASON_HEADER_SIZE: The header's size is not possible.
 * @LUO_REASON_TOTAL_SIZE: The blob's size is not possible.
 * @LUO_REASON_CHECKSUM: The blob was changed after it was sealed.
 * @LUO_REASON_ARCH: The blob was written on another architecture.
 * @LUO_REASON_PAGE_SIZE: The blob was written with another page size.
 * @LUO_REASON_INCOMPAT: The blob uses a feature that this kernel does not know.
 * @LUO_REASON_HEADER_RESERVED: A part of the header that should be 0 is not.
 * @LUO_REASON_RECORD_SIZE: A record's size is not possible.
 * @LUO_REASON_RECORD_TYPE: There is a record that must not be skipped, and
 *                          which this kernel does not know.
 * @LUO_REASON_RECORD_INCOMPAT: A record uses a feature this kernel does not
 *                              know.
 * @LUO_REASON_RECORD_RESERVED: A part of a record that should be 0 is not.
 * @LUO_REASON_RECORD_SHORT: A record is shorter than it ever was.
 * @LUO_REASON_RECORD_TAIL: A field of a record that this kernel does not know
 *                          is not 0, or a flag or value is not known.
 * @LUO_REASON_RECORD_LIMIT: There are more records of a type than this kernel
 *                           knows what to do with.
 * @LUO_REASON_RECORD_MISSING: A record that must be there is not.
 * @LUO_REASON_ARRAY_STRIDE: The size of an array's entries is not possible.
 * @LUO_REASON_ARRAY_LIMIT: An array has more entries than this kernel accepts,
 *                          or all arrays together have too many blocks.
 * @LUO_REASON_ARRAY_COUNT: An array has not as many entries as it says.
 * @LUO_REASON_ARRAY_ADDRESS: A block of an array is not in memory which the
 *                            previous kernel handed over.
 * @LUO_REASON_ARRAY_BLOCK: A block of an array has no entries, or more than
 *                          fit.
 * @LUO_REASON_ARRAY_CHECKSUM: The entries were changed after they were sealed.
 * @LUO_REASON_ARRAY_TAIL: A field of an entry that this kernel does not know is
 *                         not 0, or a flag or value is not known.
 * @LUO_REASON_VALUE: A value is invalid for the subsystem that reads it.
 */
enum luo_abi_reason {
	LUO_REASON_NONE			= 0,
	LUO_REASON_NOT_HANDED_OVER	= 1,
	LUO_REASON_NOT_SEALED		= 2,
	LUO_REASON_MAGIC		= 3,
	LUO_REASON_BYTE_ORDER		= 4,
	LUO_REASON_HEADER_SIZE		= 5,
	LUO_REASON_TOTAL_SIZE		= 6,
	LUO_REASON_CHECKSUM		= 7,
	LUO_REASON_ARCH			= 8,
	LUO_REASON_PAGE_SIZE		= 9,
	LUO_REASON_INCOMPAT		= 10,
	LUO_REASON_HEADER_RESERVED	= 11,
	LUO_REASON_RECORD_SIZE		= 12,
	LUO_REASON_RECORD_TYPE		= 13,
	LUO_REASON_RECORD_INCOMPAT	= 14,
	LUO_REASON_RECORD_RESERVED	= 15,
	LUO_REASON_RECORD_SHORT		= 16,
	LUO_REASON_RECORD_TAIL		= 17,
	LUO_REASON_RECORD_LIMIT		= 18,
	LUO_REASON_RECORD_MISSING	= 19,
	LUO_REASON_ARRAY_STRIDE		= 20,
	LUO_REASON_ARRAY_LIMIT		= 21,
	LUO_REASON_ARRAY_COUNT		= 22,
	LUO_REASON_ARRAY_ADDRESS	= 23,
	LUO_REASON_ARRAY_BLOCK		= 24,
	LUO_REASON_ARRAY_CHECKSUM	= 25,
	LUO_REASON_ARRAY_TAIL		= 26,
	LUO_REASON_VALUE		= 27,
};

#endif /* _UAPI_LINUX_LUO_ABI_H */
