/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_LUO_ABI_H
#define _LINUX_LUO_ABI_H

#include <linux/array_size.h>
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/kho_block.h>
#include <linux/list.h>
#include <linux/stddef.h>
#include <linux/types.h>
#include <linux/luo/abi.h>

/* The most types of records a tag can have. */
#define LUO_ABI_MAX_TYPES	16

/*
 * The most blocks all arrays of a blob can have together. A number and not an
 * expression: a kernel that was built with fewer would refuse the blob.
 */
#define LUO_ABI_MAX_BLOCKS	10000
static_assert(LUO_ABI_MAX_BLOCKS <= KHO_MAX_BLOCKS);

/*
 * In place of a feature: a reader of the first version knows it, or skips it.
 * 0 in place of a feature is "not in use", so an initializer that lacks one
 * allows nothing.
 */
#define LUO_ABI_ALWAYS		(~0ULL)

/**
 * enum luo_abi_field_kind - Which values a field can have.
 * @LUO_ABI_KIND_ANY:    Any. The field can be a range of several fields.
 * @LUO_ABI_KIND_FLAGS:  The bits of &luo_abi_field.known.
 * @LUO_ABI_KIND_VALUES: The numbers N for which bit N of &luo_abi_field.known
 *                       is set. All are below 64.
 */
enum luo_abi_field_kind {
	LUO_ABI_KIND_ANY,
	LUO_ABI_KIND_FLAGS,
	LUO_ABI_KIND_VALUES,
};

/**
 * struct luo_abi_field - Declaration of a field of a record or an entry.
 * @offset: Offset in bytes from the end of &struct luo_abi_record, or from the
 *          start of the entry.
 * @size:   Size in bytes; 1, 2, 4 or 8 unless @kind is %LUO_ABI_KIND_ANY.
 * @kind:   Which values the field can have.
 * @known:  The flags or values that this declaration allows.
 * @needs:  The bits of &luo_abi_header.incompat that must be set before the
 *          field can be other than 0, or have these flags or values;
 *          %LUO_ABI_ALWAYS if none is needed; 0 if the field is reserved.
 *
 * Use the macros below. The declarations of a type are sorted by offset and
 * cover its struct without a gap. Several declarations of the same field follow
 * each other if its flags or values need different features.
 */
struct luo_abi_field {
	u32 offset;
	u32 size;
	enum luo_abi_field_kind kind;
	u64 known;
	u64 needs;
};

#define __LUO_ABI_FIELD(type_, first_, last_, kind_, known_, needs_)	\
	{								\
		.offset = offsetof(type_, first_),			\
		.size = offsetofend(type_, last_) - offsetof(type_, first_), \
		.kind = LUO_ABI_KIND_##kind_,				\
		.known = known_,					\
		.needs = needs_,					\
	}

/**
 * LUO_ABI_FIELDS - Declare fields of the first version.
 * @type:  The struct.
 * @first: The first of consecutive fields.
 * @last:  The last one, which can be the same.
 */
#define LUO_ABI_FIELDS(type, first, last)				\
	__LUO_ABI_FIELD(type, first, last, ANY, 0, LUO_ABI_ALWAYS)

/**
 * LUO_ABI_APPENDED - Declare a field that is newer than the first version.
 * @type:  The struct.
 * @field: The field: one that was appended, or was reserved before.
 * @needs: The bits of &luo_abi_header.incompat without which the field is 0.
 */
#define LUO_ABI_APPENDED(type, field, needs)				\
	__LUO_ABI_FIELD(type, field, field, ANY, 0, needs)

/**
 * LUO_ABI_RESERVED - Declare a field that is 0.
 * @type:  The struct.
 * @field: The field.
 */
#define LUO_ABI_RESERVED(type, field)					\
	__LUO_ABI_FIELD(type, field, field, ANY, 0, 0)

/**
 * LUO_ABI_FLAGS - Declare flags of a field.
 * @type:  The struct.
 * @field: The field.
 * @bits:  The flags.
 * @needs: The bits of &luo_abi_header.incompat without which the flags are not
 *         set; %LUO_ABI_ALWAYS for flags of the first version.
 */
#define LUO_ABI_FLAGS(type, field, bits, needs)				\
	__LUO_ABI_FIELD(type, field, field, FLAGS, bits, needs)

/**
 * LUO_ABI_VALUES - Declare values of a field that holds an enum.
 * @type:   The struct.
 * @field:  The field.
 * @values: BIT_ULL() of each value, combined by "|".
 * @needs:  The bits of &luo_abi_header.incompat without which the field does
 *          not have these values; %LUO_ABI_ALWAYS for those of the first
 *          version.
 */
#define LUO_ABI_VALUES(type, field, values, needs)			\
	__LUO_ABI_FIELD(type, field, field, VALUES, values, needs)

/**
 * struct luo_abi_feature - Declaration of bits of &luo_abi_record.incompat.
 * @bits:  The bits.
 * @needs: The bits of &luo_abi_header.incompat without which they are not set.
 */
struct luo_abi_feature {
	u32 bits;
	u64 needs;
};

/**
 * struct luo_abi_type - Declaration of a type of record.
 * @type:        The type, with the bits of enum luo_abi_record_bits.
 * @size:        Size of this kernel's struct behind &struct luo_abi_record, in
 *               bytes, a multiple of 8; of an array, of an entry.
 * @first_size:  What @size was in the first version. A number and not an
 *               expression: it does not change when the struct grows.
 * @fields:      Declarations of all of the struct.
 * @nr_fields:   Their number.
 * @features:    Declarations of the bits of &luo_abi_record.incompat.
 * @nr_features: Their number.
 * @needs:       The bits of &luo_abi_header.incompat without which there is no
 *               record of the type; %LUO_ABI_ALWAYS if the first version had
 *               it, or if it is not mandatory.
 * @min:         The least number of records of the type. It does not change: an
 *               older reader refuses fewer.
 * @max:         The greatest number of them.
 * @max_entries: The greatest number of entries, if it is an array.
 * @first_max:   What @max was in the first version, if it was another.
 * @first_max_entries: What @max_entries was in the first version, if it was
 *               another.
 * @max_needs:   The bits of &luo_abi_header.incompat without which @first_max
 *               and @first_max_entries are not exceeded.
 *
 * Writer and reader use the same declarations: the writer does not seal what
 * they do not allow, and the reader refuses it.
 */
struct luo_abi_type {
	u16 type;
	u32 size;
	u32 first_size;
	const struct luo_abi_field *fields;
	unsigned int nr_fields;
	const struct luo_abi_feature *features;
	unsigned int nr_features;
	u64 needs;
	u32 min;
	u32 max;
	u64 max_entries;
	u32 first_max;
	u64 first_max_entries;
	u64 max_needs;
};

/**
 * LUO_ABI_TYPE - The part of a &struct luo_abi_type that is about its struct.
 * @type_:   The type.
 * @struct_: The struct; of an array, that of an entry.
 * @first_:  Its size in the first version, as a number.
 * @fields_: An array of &struct luo_abi_field.
 */
#define LUO_ABI_TYPE(type_, struct_, first_, fields_)			\
	.type = type_,							\
	.size = sizeof(struct_),					\
	.first_size = (first_) + BUILD_BUG_ON_ZERO((first_) > sizeof(struct_)), \
	.fields = fields_,						\
	.nr_fields = ARRAY_SIZE(fields_)

/**
 * struct luo_abi_format - Declaration of what a blob of a tag can contain.
 * @tag:      The tag.
 * @types:    The types of records.
 * @nr_types: Their number, at most %LUO_ABI_MAX_TYPES.
 */
struct luo_abi_format {
	const struct luo_abi_tag *tag;
	const struct luo_abi_type *types;
	unsigned int nr_types;
};

/**
 * struct luo_abi_fault - Why a blob was refused, for a log line.
 * @tag:      The tag the blob was read as.
 * @reason:   The reason.
 * @offset:   Offset of the fault in bytes from the start of the blob. For a
 *            fault in a block of an array, that of the array's record.
 * @expected: An expected value; for a limit, the limit.
 * @found:    The value that was found.
 */
struct luo_abi_fault {
	const char *tag;
	enum luo_abi_reason reason;
	u64 offset;
	u64 expected;
	u64 found;
};

/* Enough for luo_abi_fault_text() */
#define LUO_ABI_FAULT_LEN	192

/**
 * struct luo_abi_writer - A blob that is being written.
 * @format:   Declaration of its contents.
 * @blob:     Its memory.
 * @capacity: Size of that memory in bytes.
 * @used:     Bytes used by the header and the records so far.
 * @incompat: Features in use, see luo_abi_set_features().
 * @compat:   Features in use, see luo_abi_set_features().
 * @late:     The part of @incompat that came into use after the freeze began.
 * @blocks:   Number of blocks of all arrays so far.
 * @err:      The first error, which luo_abi_seal() returns.
 */
struct luo_abi_writer {
	const struct luo_abi_format *format;
	struct luo_abi_header *blob;
	size_t capacity;
	size_t used;
	u64 incompat;
	u64 compat;
	u64 late;
	u64 blocks;
	int err;

	/* private: in the tag's list of writers */
	struct list_head list;
};

/**
 * struct luo_abi_reader - A blob that was checked.
 * @format: Declaration of its contents.
 * @blob:   Its memory.
 * @header: Its header; fields that the writer did not know are 0.
 * @fault:  Why it was refused, if it was.
 * @sound:  The magic number and the checksum are right, so the memory is a blob
 *          of the tag.
 * @whole:  Everything is right except perhaps for what the values mean.
 * @count:  Number of records of each of @format's types.
 * @blocks: Number of blocks of all arrays.
 */
struct luo_abi_reader {
	const struct luo_abi_format *format;
	const struct luo_abi_header *blob;
	struct luo_abi_header header;
	struct luo_abi_fault fault;
	bool sound;
	bool whole;
	u32 count[LUO_ABI_MAX_TYPES];
	u64 blocks;
};

/**
 * struct luo_abi_array_it - Iterator over the entries of an array.
 * @block:  The current block.
 * @index:  Index of the next entry in it.
 * @left:   Number of entries left. If it is not 0 at the end, the blocks were
 *          taken over by another user since the blob was checked.
 * @stride: Size of an entry in bytes.
 */
struct luo_abi_array_it {
	const struct luo_abi_block *block;
	u64 index;
	u64 left;
	u32 stride;
};

bool luo_abi_format_is_complete(const struct luo_abi_format *format);

void luo_abi_begin(struct luo_abi_writer *w, const struct luo_abi_format *format,
		   void *mem, size_t capacity);
void luo_abi_end(struct luo_abi_writer *w);
void luo_abi_set_features(struct luo_abi_writer *w, u64 incompat, u64 compat);
void *luo_abi_append(struct luo_abi_writer *w, u16 type, size_t size);
void luo_abi_append_array(struct luo_abi_writer *w, u16 type,
			  struct kho_block_set *bs);
struct luo_abi_record *luo_abi_record_of(void *data);
int luo_abi_seal(struct luo_abi_writer *w);
void luo_abi_rewind(struct luo_abi_writer *w);

int luo_abi_open(struct luo_abi_reader *r, const struct luo_abi_format *format,
		 u64 phys);
int luo_abi_check(struct luo_abi_reader *r, const struct luo_abi_format *format,
		  const void *mem, size_t size);
const struct luo_abi_record *
luo_abi_next(const struct luo_abi_reader *r, const struct luo_abi_record *record,
	     u16 type);
void luo_abi_get(const struct luo_abi_record *record, void *to, size_t size);
void luo_abi_array_begin(struct luo_abi_array_it *it,
			 const struct luo_abi_record *record);
bool luo_abi_array_next(struct luo_abi_array_it *it, void *to, size_t size);
int luo_abi_refuse(struct luo_abi_reader *r, const struct luo_abi_record *record,
		   size_t offset, u64 expected, u64 found);
void luo_abi_release(struct luo_abi_reader *r);

int luo_abi_reason_errno(enum luo_abi_reason reason);
const char *luo_abi_reason_text(enum luo_abi_reason reason);
const char *luo_abi_fault_text(const struct luo_abi_fault *fault, char *buf,
			       size_t size);

#endif /* _LINUX_LUO_ABI_H */
