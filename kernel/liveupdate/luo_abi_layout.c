// SPDX-License-Identifier: GPL-2.0-only
/*
 * The layout of linux/luo/abi.h.
 *
 * If one of these fails, the serialized data of live updates has changed. Do not
 * change the assertion: undo the change, and read in
 * Documentation/core-api/liveupdate-abi.rst how a struct can grow.
 */

#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/luo/abi.h>

static_assert(LUO_ABI_MAGIC_EXAMPLE == 0x454f554c);
static_assert(LUO_ABI_MAGIC_PCI == 0x504f554c);
static_assert(LUO_ABI_MAGIC_VFIO_PCI == 0x564f554c);
static_assert(LUO_ABI_MAGIC_IOMMU == 0x494f554c);
static_assert(LUO_ABI_MAGIC_IOMMU_DOMAIN == 0x444f554c);

static_assert(LUO_ABI_ARCH_X86_64 == 62);
static_assert(LUO_ABI_ARCH_AARCH64 == 183);

static_assert(sizeof(struct luo_abi_header) == 40);
static_assert(offsetof(struct luo_abi_header, magic) == 0);
static_assert(sizeof_field(struct luo_abi_header, magic) == 4);
static_assert(offsetof(struct luo_abi_header, size) == 4);
static_assert(sizeof_field(struct luo_abi_header, size) == 4);
static_assert(offsetof(struct luo_abi_header, total_size) == 8);
static_assert(sizeof_field(struct luo_abi_header, total_size) == 8);
static_assert(offsetof(struct luo_abi_header, incompat) == 16);
static_assert(sizeof_field(struct luo_abi_header, incompat) == 8);
static_assert(offsetof(struct luo_abi_header, compat) == 24);
static_assert(sizeof_field(struct luo_abi_header, compat) == 8);
static_assert(offsetof(struct luo_abi_header, arch) == 32);
static_assert(sizeof_field(struct luo_abi_header, arch) == 2);
static_assert(offsetof(struct luo_abi_header, page_shift) == 34);
static_assert(sizeof_field(struct luo_abi_header, page_shift) == 1);
static_assert(offsetof(struct luo_abi_header, reserved) == 35);
static_assert(sizeof_field(struct luo_abi_header, reserved) == 1);
static_assert(offsetof(struct luo_abi_header, crc) == 36);
static_assert(sizeof_field(struct luo_abi_header, crc) == 4);

static_assert(LUO_ABI_RECORD_ARRAY == 0x4000);
static_assert(LUO_ABI_RECORD_MANDATORY == 0x8000);

static_assert(sizeof(struct luo_abi_record) == 16);
static_assert(offsetof(struct luo_abi_record, type) == 0);
static_assert(sizeof_field(struct luo_abi_record, type) == 2);
static_assert(offsetof(struct luo_abi_record, reserved) == 2);
static_assert(sizeof_field(struct luo_abi_record, reserved) == 2);
static_assert(offsetof(struct luo_abi_record, size) == 4);
static_assert(sizeof_field(struct luo_abi_record, size) == 4);
static_assert(offsetof(struct luo_abi_record, incompat) == 8);
static_assert(sizeof_field(struct luo_abi_record, incompat) == 4);
static_assert(offsetof(struct luo_abi_record, compat) == 12);
static_assert(sizeof_field(struct luo_abi_record, compat) == 4);

static_assert(sizeof(struct luo_abi_block) == 16);
static_assert(offsetof(struct luo_abi_block, next) == 0);
static_assert(sizeof_field(struct luo_abi_block, next) == 8);
static_assert(offsetof(struct luo_abi_block, count) == 8);
static_assert(sizeof_field(struct luo_abi_block, count) == 8);

static_assert(sizeof(struct luo_abi_array) == 24);
static_assert(offsetof(struct luo_abi_array, head) == 0);
static_assert(sizeof_field(struct luo_abi_array, head) == 8);
static_assert(offsetof(struct luo_abi_array, count) == 8);
static_assert(sizeof_field(struct luo_abi_array, count) == 8);
static_assert(offsetof(struct luo_abi_array, stride) == 16);
static_assert(sizeof_field(struct luo_abi_array, stride) == 4);
static_assert(offsetof(struct luo_abi_array, crc) == 20);
static_assert(sizeof_field(struct luo_abi_array, crc) == 4);

static_assert(LUO_ABI_TAG_FILE == 1);
static_assert(LUO_ABI_TAG_FLB == 2);
static_assert(LUO_ABI_TAG_SUBTREE == 3);
static_assert(LUO_ABI_TAG_PART == 4);

static_assert(LUO_ABI_TAG_READS == 1);
static_assert(LUO_ABI_TAG_WRITES == 2);
static_assert(LUO_ABI_TAG_DEFAULT_ON == 4);

static_assert(!__builtin_strcmp(LUO_ABI_TAG_SECTION, ".luo_tags"));

static_assert(LUO_ABI_TAG_LENGTH == 0x30);

static_assert(sizeof(struct luo_abi_tag) == 88);
static_assert(offsetof(struct luo_abi_tag, size) == 0);
static_assert(sizeof_field(struct luo_abi_tag, size) == 4);
static_assert(offsetof(struct luo_abi_tag, kind) == 4);
static_assert(sizeof_field(struct luo_abi_tag, kind) == 4);
static_assert(offsetof(struct luo_abi_tag, name) == 8);
static_assert(sizeof_field(struct luo_abi_tag, name) == 48);
static_assert(offsetof(struct luo_abi_tag, magic) == 56);
static_assert(sizeof_field(struct luo_abi_tag, magic) == 4);
static_assert(offsetof(struct luo_abi_tag, flags) == 60);
static_assert(sizeof_field(struct luo_abi_tag, flags) == 4);
static_assert(offsetof(struct luo_abi_tag, incompat) == 64);
static_assert(sizeof_field(struct luo_abi_tag, incompat) == 8);
static_assert(offsetof(struct luo_abi_tag, compat) == 72);
static_assert(sizeof_field(struct luo_abi_tag, compat) == 8);
static_assert(offsetof(struct luo_abi_tag, arch) == 80);
static_assert(sizeof_field(struct luo_abi_tag, arch) == 2);
static_assert(offsetof(struct luo_abi_tag, page_shift) == 82);
static_assert(sizeof_field(struct luo_abi_tag, page_shift) == 1);
static_assert(offsetof(struct luo_abi_tag, reserved) == 83);
static_assert(sizeof_field(struct luo_abi_tag, reserved) == 5);

static_assert(LUO_REASON_NONE == 0);
static_assert(LUO_REASON_NOT_HANDED_OVER == 1);
static_assert(LUO_REASON_NOT_SEALED == 2);
static_assert(LUO_REASON_MAGIC == 3);
static_assert(LUO_REASON_BYTE_ORDER == 4);
static_assert(LUO_REASON_HEADER_SIZE == 5);
static_assert(LUO_REASON_TOTAL_SIZE == 6);
static_assert(LUO_REASON_CHECKSUM == 7);
static_assert(LUO_REASON_ARCH == 8);
static_assert(LUO_REASON_PAGE_SIZE == 9);
static_assert(LUO_REASON_INCOMPAT == 10);
static_assert(LUO_REASON_HEADER_RESERVED == 11);
static_assert(LUO_REASON_RECORD_SIZE == 12);
static_assert(LUO_REASON_RECORD_TYPE == 13);
static_assert(LUO_REASON_RECORD_INCOMPAT == 14);
static_assert(LUO_REASON_RECORD_RESERVED == 15);
static_assert(LUO_REASON_RECORD_SHORT == 16);
static_assert(LUO_REASON_RECORD_TAIL == 17);
static_assert(LUO_REASON_RECORD_LIMIT == 18);
static_assert(LUO_REASON_RECORD_MISSING == 19);
static_assert(LUO_REASON_ARRAY_STRIDE == 20);
static_assert(LUO_REASON_ARRAY_LIMIT == 21);
static_assert(LUO_REASON_ARRAY_COUNT == 22);
static_assert(LUO_REASON_ARRAY_ADDRESS == 23);
static_assert(LUO_REASON_ARRAY_BLOCK == 24);
static_assert(LUO_REASON_ARRAY_CHECKSUM == 25);
static_assert(LUO_REASON_ARRAY_TAIL == 26);
static_assert(LUO_REASON_VALUE == 27);
