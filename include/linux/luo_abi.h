/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_LUO_ABI_H
#define _LINUX_LUO_ABI_H

#include <linux/kho_block.h>
#include <linux/list.h>
#include <linux/types.h>
#include <linux/luo/abi.h>

/* What a tag can have at most; more needs no memory, only this number. */
#define LUO_ABI_MAX_TYPES	16

/**
 * struct luo_abi_type - What this kernel knows about a type of record.
 * @type:           The type, with the bits of enum luo_abi_record_bits.
 * @size:           Size of this kernel's struct behind &struct luo_abi_record,
 *                  in bytes, a multiple of 8; of an array, of an entry.
 * @min_size:       What @size was in the first version.
 * @incompat:       The bits of &luo_abi_record.incompat it knows.
 * @min:            How many records of the type there must be at least.
 * @max:            How many there may be.
 * @max_entries:    Of an array: how many entries it may have.
 * @needs:          The bits of &luo_abi_header.incompat without which no record
 *                  of the type is written: what covers a type that came later.
 * @tail_needs:     Those without which all behind @min_size is 0.
 * @incompat_needs: Those without which &luo_abi_record.incompat is 0.
 *
 * Writer and reader have the same table. The last three are for the writer, who
 * refuses to seal what nobody was asked for.
 */
struct luo_abi_type {
	u16 type;
	u32 size;
	u32 min_size;
	u32 incompat;
	u32 min;
	u32 max;
	u64 max_entries;
	u64 needs;
	u64 tail_needs;
	u64 incompat_needs;
};

/**
 * struct luo_abi_format - What this kernel knows about a tag.
 * @tag:      The tag.
 * @types:    The types of records.
 * @nr_types: Their number, not more than %LUO_ABI_MAX_TYPES.
 */
struct luo_abi_format {
	const struct luo_abi_tag *tag;
	const struct luo_abi_type *types;
	unsigned int nr_types;
};

/**
 * struct luo_abi_fault - Why a blob was refused, for a log line.
 * @tag:      The tag it was read as.
 * @reason:   What is wrong.
 * @offset:   Where, in bytes from the start of the blob. What is wrong with a
 *            block of an array is wrong at its record.
 * @expected: What should be there; of a limit, the limit.
 * @found:    What is there.
 */
struct luo_abi_fault {
	const char *tag;
	enum luo_abi_reason reason;
	u64 offset;
	u64 expected;
	u64 found;
};

/* Long enough for luo_abi_fault_text() */
#define LUO_ABI_FAULT_LEN	192

/**
 * struct luo_abi_writer - A blob that is being written.
 * @format:   What it is written as.
 * @blob:     The memory.
 * @capacity: Its size in bytes.
 * @used:     How much of it the header and the records so far take.
 * @incompat: The features in use, see luo_abi_set_features().
 * @compat:   The features in use, see luo_abi_set_features().
 * @err:      The first error, which luo_abi_seal() returns.
 */
struct luo_abi_writer {
	const struct luo_abi_format *format;
	struct luo_abi_header *blob;
	size_t capacity;
	size_t used;
	u64 incompat;
	u64 compat;
	int err;

	/* private: among the writers of the tag */
	struct list_head list;
};

/**
 * struct luo_abi_reader - A blob that was checked.
 * @format: What is known about it.
 * @blob:   The memory.
 * @header: Its header, with what the writer did not know as 0.
 * @fault:  Why it was refused, if it was.
 * @sound:  Magic number and checksum are right: the memory is the blob's.
 * @whole:  So is all the rest of its form, whatever its values mean.
 * @count:  How many records there are of each of @format's types.
 */
struct luo_abi_reader {
	const struct luo_abi_format *format;
	const struct luo_abi_header *blob;
	struct luo_abi_header header;
	struct luo_abi_fault fault;
	bool sound;
	bool whole;
	u32 count[LUO_ABI_MAX_TYPES];
};

/**
 * struct luo_abi_array_it - A walk through an array.
 * @block:  The current block.
 * @index:  The next entry in it.
 * @left:   How many entries are left. If it is not 0 after the walk, somebody
 *          has taken the blocks over since the blob was checked.
 * @stride: The size of one.
 */
struct luo_abi_array_it {
	const struct luo_abi_block *block;
	u64 index;
	u64 left;
	u32 stride;
};

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
