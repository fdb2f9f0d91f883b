// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Blobs
 *
 * A subsystem writes its state into a blob: a header and records, described in
 * include/uapi/linux/luo/abi.h. Memory comes from the subsystem, which
 * allocates it in preserve and fills it in freeze:
 *
 * .. code-block:: c
 *
 *	mem = kho_alloc_preserve(size);
 *	luo_abi_begin(&w, &my_format, mem, size);
 *	...
 *	data = luo_abi_append(&w, MY_RECORD, sizeof(*data));
 *	if (data)
 *		data->value = value;
 *	err = luo_abi_seal(&w);
 *
 * In the next kernel a blob is checked as a whole, in one pass and without
 * allocating anything, before any of it is used. What is known about the tag is
 * a table (&struct luo_abi_format). After a check that found nothing, walking
 * the records cannot fail, and only what a value means is left to be checked:
 *
 * .. code-block:: c
 *
 *	err = luo_abi_open(&r, &my_format, phys);
 *	if (err) {
 *		pr_err("%s\n", luo_abi_fault_text(&r.fault, why, sizeof(why)));
 *		return err;
 *	}
 *	while ((record = luo_abi_next(&r, record, MY_RECORD))) {
 *		luo_abi_get(record, &data, sizeof(data));
 *		...
 *	}
 *
 * Nothing here knows a subsystem, and nothing here locks: a blob belongs to
 * whoever writes or reads it.
 */

#include <kunit/static_stub.h>
#include <linux/align.h>
#include <linux/crc32.h>
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/kexec_handover.h>
#include <linux/luo_abi.h>
#include <linux/luo_tag.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/swab.h>

#include "kexec_handover_internal.h"
#include "luo_abi_internal.h"

#define LUO_ABI_ALIGN		8

/* Of the first version. They can never be smaller. */
#define LUO_ABI_HEADER_MIN	offsetofend(struct luo_abi_header, crc)
#define LUO_ABI_ARRAY_MIN	offsetofend(struct luo_abi_array, crc)

/* Bytes of entries in a block of an array. */
#define LUO_ABI_BLOCK_ROOM	(KHO_BLOCK_SIZE - sizeof(struct luo_abi_block))

/* The wire says it in its own words. */
static_assert(sizeof(struct luo_abi_block) ==
	      sizeof(struct kho_block_header_ser));
static_assert(offsetof(struct luo_abi_block, next) ==
	      offsetof(struct kho_block_header_ser, next));
static_assert(offsetof(struct luo_abi_block, count) ==
	      offsetof(struct kho_block_header_ser, count));

/* --- reasons */

/*
 * The errno says what is to be done: nothing is to be had (-ENODATA), the blob
 * is damaged (-EBADMSG), it is whole but asks for more than this kernel knows
 * (-EOPNOTSUPP), it is not there (-EFAULT).
 */
static const struct {
	int err;
	const char *text;
} luo_reasons[] = {
	[LUO_REASON_NONE] = { 0, "not refused" },
	[LUO_REASON_NOT_HANDED_OVER] = { -EFAULT, "not handed over" },
	[LUO_REASON_NOT_SEALED] = { -ENODATA, "not completed" },
	[LUO_REASON_MAGIC] = { -EBADMSG, "other magic number" },
	[LUO_REASON_BYTE_ORDER] = { -EOPNOTSUPP, "other byte order" },
	[LUO_REASON_HEADER_SIZE] = { -EBADMSG, "impossible size of the header" },
	[LUO_REASON_TOTAL_SIZE] = { -EBADMSG, "impossible size" },
	[LUO_REASON_CHECKSUM] = { -EBADMSG, "other checksum" },
	[LUO_REASON_ARCH] = { -EOPNOTSUPP, "other architecture" },
	[LUO_REASON_PAGE_SIZE] = { -EOPNOTSUPP, "other page size" },
	[LUO_REASON_INCOMPAT] = { -EOPNOTSUPP, "unknown feature" },
	[LUO_REASON_HEADER_RESERVED] = { -EOPNOTSUPP, "unknown part of the header" },
	[LUO_REASON_RECORD_SIZE] = { -EBADMSG, "impossible size of a record" },
	[LUO_REASON_RECORD_TYPE] = { -EOPNOTSUPP, "unknown mandatory record" },
	[LUO_REASON_RECORD_INCOMPAT] = { -EOPNOTSUPP, "unknown feature of a record" },
	[LUO_REASON_RECORD_RESERVED] = { -EOPNOTSUPP, "unknown part of a record's header" },
	[LUO_REASON_RECORD_SHORT] = { -EBADMSG, "short record" },
	[LUO_REASON_RECORD_TAIL] = { -EOPNOTSUPP, "unknown part of a record" },
	[LUO_REASON_RECORD_LIMIT] = { -EOPNOTSUPP, "too many records of a type" },
	[LUO_REASON_RECORD_MISSING] = { -EBADMSG, "missing record" },
	[LUO_REASON_ARRAY_STRIDE] = { -EBADMSG, "impossible size of an entry" },
	[LUO_REASON_ARRAY_LIMIT] = { -EOPNOTSUPP, "too many entries" },
	[LUO_REASON_ARRAY_COUNT] = { -EBADMSG, "other number of entries" },
	[LUO_REASON_ARRAY_ADDRESS] = { -EBADMSG, "entries not handed over" },
	[LUO_REASON_ARRAY_BLOCK] = { -EBADMSG, "impossible number of entries in a block" },
	[LUO_REASON_ARRAY_CHECKSUM] = { -EBADMSG, "other checksum of entries" },
	[LUO_REASON_ARRAY_TAIL] = { -EOPNOTSUPP, "unknown part of an entry" },
	[LUO_REASON_VALUE] = { -EBADMSG, "value without a meaning" },
};

/**
 * luo_abi_reason_errno - The class a reason belongs to.
 * @reason: The reason.
 *
 * Return: -ENODATA, -EBADMSG, -EOPNOTSUPP or -EFAULT, 0 for %LUO_REASON_NONE.
 */
int luo_abi_reason_errno(enum luo_abi_reason reason)
{
	return luo_reasons[reason].err;
}
EXPORT_SYMBOL_GPL(luo_abi_reason_errno);

/**
 * luo_abi_reason_text - A reason in words.
 * @reason: The reason.
 *
 * Return: a few words for a log line.
 */
const char *luo_abi_reason_text(enum luo_abi_reason reason)
{
	return luo_reasons[reason].text;
}
EXPORT_SYMBOL_GPL(luo_abi_reason_text);

/**
 * luo_abi_fault_text - A fault in words.
 * @fault: The fault.
 * @buf:   Where to write them.
 * @size:  Size of @buf, %LUO_ABI_FAULT_LEN is enough.
 *
 * Return: @buf.
 */
const char *luo_abi_fault_text(const struct luo_abi_fault *fault, char *buf,
			       size_t size)
{
	snprintf(buf, size,
		 "%s: %s (reason %d) at offset %llu: expected %#llx, found %#llx",
		 fault->tag, luo_abi_reason_text(fault->reason), fault->reason,
		 fault->offset, fault->expected, fault->found);

	return buf;
}
EXPORT_SYMBOL_GPL(luo_abi_fault_text);

/* --- checksums */

static u32 luo_abi_crc_end(u32 crc)
{
	return crc ^ ~0;
}

/*
 * Of a blob with the header @head, which need not be the one in memory. The
 * checksum is behind everything else in the first version of the header.
 */
static u32 luo_abi_blob_crc(const struct luo_abi_header *head, const void *blob,
			    size_t size)
{
	const __u32 no_crc = 0;
	u32 crc = ~0;

	crc = crc32c(crc, head, offsetof(struct luo_abi_header, crc));
	crc = crc32c(crc, &no_crc, sizeof(no_crc));
	crc = crc32c(crc, blob + LUO_ABI_HEADER_MIN, size - LUO_ABI_HEADER_MIN);

	return luo_abi_crc_end(crc);
}

/* --- writing */

/**
 * luo_abi_begin - Start a blob.
 * @w:        The writer, not one that luo_abi_end() has not seen yet.
 * @format:   What it is written as.
 * @mem:      Memory for it, at a multiple of 8.
 * @capacity: Size of @mem in bytes.
 *
 * Belongs into preserve. From then on, until luo_abi_end(), the features the
 * blob uses are listed as needed of the next kernel. Nobody takes what is in the
 * memory for a blob before luo_abi_seal().
 *
 * Context: May sleep.
 */
void luo_abi_begin(struct luo_abi_writer *w, const struct luo_abi_format *format,
		   void *mem, size_t capacity)
{
	*w = (struct luo_abi_writer) {
		.format = format,
		.blob = mem,
		.capacity = capacity,
	};
	INIT_LIST_HEAD(&w->list);
	luo_abi_rewind(w);
	luo_tag_add_writer(w);
}
EXPORT_SYMBOL_GPL(luo_abi_begin);

/**
 * luo_abi_end - The blob is no longer going to be handed over.
 * @w: The writer.
 *
 * Belongs into unpreserve. The memory stays the caller's.
 *
 * Context: May sleep.
 */
void luo_abi_end(struct luo_abi_writer *w)
{
	luo_tag_remove_writer(w);
}
EXPORT_SYMBOL_GPL(luo_abi_end);

/**
 * luo_abi_rewind - Back to a blob without records, which is not sealed.
 * @w: The writer.
 *
 * Belongs into unfreeze. The features in use stay as they are.
 *
 * Context: Any.
 */
void luo_abi_rewind(struct luo_abi_writer *w)
{
	memset(w->blob, 0, w->capacity);
	w->used = sizeof(*w->blob);
	w->err = w->used > w->capacity ? -ENOSPC : 0;
}
EXPORT_SYMBOL_GPL(luo_abi_rewind);

/**
 * luo_abi_set_features - Say which features are in use.
 * @w:        The writer.
 * @incompat: &luo_abi_header.incompat, what the reader must know.
 * @compat:   &luo_abi_header.compat, what it may ignore.
 *
 * Belongs into preserve, and wherever a feature comes into use or goes out of
 * it before freeze: the next kernel can be asked in advance then.
 *
 * Context: Any.
 */
void luo_abi_set_features(struct luo_abi_writer *w, u64 incompat, u64 compat)
{
	WRITE_ONCE(w->incompat, incompat);
	w->compat = compat;
}
EXPORT_SYMBOL_GPL(luo_abi_set_features);

/**
 * luo_abi_append - Append a record.
 * @w:    The writer.
 * @type: Its type, with %LUO_ABI_RECORD_MANDATORY if it is.
 * @size: Size of what follows its &struct luo_abi_record, a multiple of 8.
 *
 * Context: Any.
 * Return: where to write it, all 0; NULL if there is no room, or was none
 * before: then luo_abi_seal() fails.
 */
void *luo_abi_append(struct luo_abi_writer *w, u16 type, size_t size)
{
	struct luo_abi_record *record = (void *)w->blob + w->used;

	if (!IS_ALIGNED(size, LUO_ABI_ALIGN))
		w->err = w->err ?: -EINVAL;
	else if (size > w->capacity ||
		 sizeof(*record) > w->capacity - size ||
		 w->used > w->capacity - size - sizeof(*record))
		w->err = w->err ?: -ENOSPC;
	if (w->err)
		return NULL;

	record->type = type;
	record->size = sizeof(*record) + size;
	w->used += record->size;

	return record + 1;
}
EXPORT_SYMBOL_GPL(luo_abi_append);

/**
 * luo_abi_record_of - The record that luo_abi_append() returned the inside of.
 * @data: What it returned.
 *
 * For the features of a single record.
 *
 * Return: the record.
 */
struct luo_abi_record *luo_abi_record_of(void *data)
{
	return (struct luo_abi_record *)data - 1;
}
EXPORT_SYMBOL_GPL(luo_abi_record_of);

/* Where @p, of @size bytes, is not 0; NULL if it is. */
static const void *luo_abi_not_zero(const void *p, size_t size)
{
	return memchr_inv(p, 0, size);
}

/* Of the records of type @type; NULL if there is none. */
static const struct luo_abi_type *
luo_abi_type_of(const struct luo_abi_format *format, u16 type)
{
	for (unsigned int i = 0; i < format->nr_types; i++) {
		if (format->types[i].type == type)
			return &format->types[i];
	}

	return NULL;
}

/* What a first version would refuse needs a feature that covers it. */
static bool luo_abi_is_covered(const struct luo_abi_writer *w,
			       const struct luo_abi_type *type, const void *data,
			       size_t size)
{
	return size <= type->min_size || !(type->tail_needs & ~w->incompat) ||
	       !luo_abi_not_zero(data + type->min_size, size - type->min_size);
}

/**
 * luo_abi_append_array - Append a record that leads to an array.
 * @w:    The writer.
 * @type: Its type, with %LUO_ABI_RECORD_ARRAY.
 * @bs:   The array: blocks of entries whose size is a multiple of 8. Each block
 *        must have an entry: if fewer were written than there is room for,
 *        kho_block_set_shrink() comes first. Nothing may be added, and no entry
 *        change, before the kexec.
 *
 * Context: Any.
 */
void luo_abi_append_array(struct luo_abi_writer *w, u16 type,
			  struct kho_block_set *bs)
{
	const struct luo_abi_type *known = luo_abi_type_of(w->format, type);
	struct luo_abi_array *array;
	struct kho_block *block;
	u32 crc = ~0;

	if (!known || !(type & LUO_ABI_RECORD_ARRAY) || !bs->entry_size ||
	    !IS_ALIGNED(bs->entry_size, LUO_ABI_ALIGN))
		w->err = w->err ?: -EINVAL;
	array = luo_abi_append(w, type, sizeof(*array));
	if (!array)
		return;

	list_for_each_entry(block, &bs->blocks, list) {
		const void *entry = block->ser + 1;
		u64 count = block->ser->count;

		if (!count || count > bs->count_per_block)
			w->err = w->err ?: -EINVAL;
		if (w->err)
			return;

		crc = crc32c(crc, entry, count * bs->entry_size);
		array->count += count;
		for (; count; count--, entry += bs->entry_size) {
			if (!luo_abi_is_covered(w, known, entry,
						bs->entry_size))
				w->err = -EINVAL;
		}
	}

	if (array->count > known->max_entries)
		w->err = -EINVAL;
	array->head = kho_block_set_head_pa(bs);
	array->stride = bs->entry_size;
	array->crc = luo_abi_crc_end(crc);
}
EXPORT_SYMBOL_GPL(luo_abi_append_array);

/*
 * The next kernel was asked for everything that is in there, and not even this
 * one would refuse it.
 */
static bool luo_abi_can_be_sealed(const struct luo_abi_writer *w)
{
	const void *pos = w->blob + 1, *end = (const void *)w->blob + w->used;
	const struct luo_abi_format *format = w->format;
	u32 count[LUO_ABI_MAX_TYPES] = {};
	const struct luo_abi_record *record;
	const struct luo_abi_type *type;

	if (format->nr_types > LUO_ABI_MAX_TYPES ||
	    (w->incompat & ~format->tag->incompat))
		return false;

	for (; pos < end; pos += record->size) {
		record = pos;
		type = luo_abi_type_of(format, record->type);
		if (!type || ++count[type - format->types] > type->max ||
		    (type->needs & ~w->incompat) ||
		    (record->incompat & ~type->incompat) ||
		    (record->incompat && (type->incompat_needs & ~w->incompat)))
			return false;
		if (!(record->type & LUO_ABI_RECORD_ARRAY) &&
		    !luo_abi_is_covered(w, type, record + 1,
					record->size - sizeof(*record)))
			return false;
	}

	for (unsigned int i = 0; i < format->nr_types; i++) {
		if (count[i] < format->types[i].min)
			return false;
	}

	return true;
}

/**
 * luo_abi_seal - Complete a blob.
 * @w: The writer.
 *
 * Belongs into freeze. Nothing of the blob may change afterwards, except by
 * luo_abi_rewind().
 *
 * Context: Any.
 * Return: 0 on success. -ENOSPC if there was no room for a record. -EINVAL if
 * the size of a record or an entry was wrong, a block of an array empty, there
 * are more or fewer records than there may be, or if something is in use which
 * luo_abi_set_features() was not told of: nobody has asked the next kernel for
 * it.
 */
int luo_abi_seal(struct luo_abi_writer *w)
{
	struct luo_abi_header head = {
		.magic		= w->format->tag->magic,
		.size		= sizeof(head),
		.total_size	= w->used,
		.incompat	= w->incompat,
		.compat		= w->compat,
		.arch		= LUO_ABI_ARCH,
		.page_shift	= PAGE_SHIFT,
	};

	if (!w->err && !luo_abi_can_be_sealed(w))
		w->err = -EINVAL;
	if (w->err)
		return w->err;

	head.crc = luo_abi_blob_crc(&head, w->blob, w->used);

	memcpy((void *)w->blob + sizeof(head.magic),
	       (void *)&head + sizeof(head.magic),
	       sizeof(head) - sizeof(head.magic));
	/* The magic last: with it, all the rest is there. */
	smp_wmb();
	WRITE_ONCE(w->blob->magic, head.magic);

	return 0;
}
EXPORT_SYMBOL_GPL(luo_abi_seal);

/* --- checking */

static int luo_abi_fail(struct luo_abi_reader *r, enum luo_abi_reason reason,
			const void *at, u64 expected, u64 found)
{
	r->fault = (struct luo_abi_fault) {
		.tag = (const char *)r->format->tag->name,
		.reason = reason,
		.offset = at ? at - (const void *)r->blob : 0,
		.expected = expected,
		.found = found,
	};

	return luo_abi_reason_errno(reason);
}

/*
 * The piece of memory that was preserved at @phys, and its order; NULL if there
 * is none. All memory that is known by an address from the wire is found here,
 * which is where tests put theirs.
 */
VISIBLE_IF_KUNIT const void *luo_abi_map(u64 phys, unsigned int *order)
{
	int incoming;

	KUNIT_STATIC_STUB_REDIRECT(luo_abi_map, phys, order);

	if (!IS_ALIGNED(phys, PAGE_SIZE))
		return NULL;
	incoming = kho_incoming_order(phys);
	if (incoming < 0)
		return NULL;
	*order = incoming;

	return phys_to_virt(phys);
}
EXPORT_SYMBOL_IF_KUNIT(luo_abi_map);

/* Everything that must be right before the checksum can be looked at. */
static int luo_abi_check_extent(struct luo_abi_reader *r, size_t size)
{
	const struct luo_abi_header *head = r->blob;
	u32 magic = r->format->tag->magic;

	if (size < LUO_ABI_HEADER_MIN)
		return luo_abi_fail(r, LUO_REASON_TOTAL_SIZE, head,
				    LUO_ABI_HEADER_MIN, size);

	if (!head->magic)
		return luo_abi_fail(r, LUO_REASON_NOT_SEALED, &head->magic,
				    magic, head->magic);
	if (head->magic == swab32(magic))
		return luo_abi_fail(r, LUO_REASON_BYTE_ORDER, &head->magic,
				    magic, head->magic);
	if (head->magic != magic)
		return luo_abi_fail(r, LUO_REASON_MAGIC, &head->magic,
				    magic, head->magic);

	if (head->total_size > size || head->total_size < LUO_ABI_HEADER_MIN ||
	    !IS_ALIGNED(head->total_size, LUO_ABI_ALIGN))
		return luo_abi_fail(r, LUO_REASON_TOTAL_SIZE, &head->total_size,
				    size, head->total_size);
	if (head->size > head->total_size || head->size < LUO_ABI_HEADER_MIN ||
	    !IS_ALIGNED(head->size, LUO_ABI_ALIGN))
		return luo_abi_fail(r, LUO_REASON_HEADER_SIZE, &head->size,
				    sizeof(*head), head->size);
	return 0;
}

static int luo_abi_check_header(struct luo_abi_reader *r)
{
	const struct luo_abi_header *head = r->blob;
	u64 known = r->format->tag->incompat;
	const void *tail;
	u32 crc;

	crc = luo_abi_blob_crc(head, head, head->total_size);
	if (head->crc != crc)
		return luo_abi_fail(r, LUO_REASON_CHECKSUM, &head->crc,
				    crc, head->crc);
	r->sound = true;

	if (head->arch != LUO_ABI_ARCH)
		return luo_abi_fail(r, LUO_REASON_ARCH, &head->arch,
				    LUO_ABI_ARCH, head->arch);
	if (head->page_shift != PAGE_SHIFT)
		return luo_abi_fail(r, LUO_REASON_PAGE_SIZE, &head->page_shift,
				    PAGE_SHIFT, head->page_shift);
	if (head->incompat & ~known)
		return luo_abi_fail(r, LUO_REASON_INCOMPAT, &head->incompat,
				    known, head->incompat);
	if (head->reserved)
		return luo_abi_fail(r, LUO_REASON_HEADER_RESERVED,
				    &head->reserved, 0, head->reserved);

	if (head->size > sizeof(*head)) {
		tail = luo_abi_not_zero(head + 1, head->size - sizeof(*head));
		if (tail)
			return luo_abi_fail(r, LUO_REASON_HEADER_RESERVED, tail,
					    0, *(const u8 *)tail);
	}

	memcpy(&r->header, head, min_t(size_t, head->size, sizeof(*head)));

	return 0;
}

/* One that kho_block_set_restore() will take, too. */
static const struct luo_abi_block *luo_abi_block(u64 phys)
{
	const struct luo_abi_block *block;
	unsigned int order;

	block = luo_abi_map(phys, &order);

	return block && order == get_order(KHO_BLOCK_SIZE) ? block : NULL;
}

static int luo_abi_check_entries(struct luo_abi_reader *r,
				 const struct luo_abi_array *array,
				 const struct luo_abi_type *type,
				 const struct luo_abi_block *block)
{
	const void *entry = block + 1, *tail;

	/* What an entry means that is skipped is not looked at. */
	if (!type || array->stride <= type->size)
		return 0;

	for (u64 i = 0; i < block->count; i++, entry += array->stride) {
		tail = luo_abi_not_zero(entry + type->size,
					array->stride - type->size);
		if (tail)
			return luo_abi_fail(r, LUO_REASON_ARRAY_TAIL, array, 0,
					    *(const u8 *)tail);
	}

	return 0;
}

/* @type is NULL if it is not known. The blocks must be right all the same. */
static int luo_abi_check_array(struct luo_abi_reader *r,
			       const struct luo_abi_array *array,
			       const struct luo_abi_type *type)
{
	const struct luo_abi_block *block;
	u64 phys = array->head, count = 0, room;
	u32 crc = ~0;
	int err;

	if (!array->stride || (type && array->stride < type->min_size) ||
	    array->stride > LUO_ABI_BLOCK_ROOM ||
	    !IS_ALIGNED(array->stride, LUO_ABI_ALIGN))
		return luo_abi_fail(r, LUO_REASON_ARRAY_STRIDE, &array->stride,
				    type ? type->size : LUO_ABI_ALIGN,
				    array->stride);
	if (type && array->count > type->max_entries)
		return luo_abi_fail(r, LUO_REASON_ARRAY_LIMIT, &array->count,
				    type->max_entries, array->count);
	room = LUO_ABI_BLOCK_ROOM / array->stride;

	/* Each block has an entry at least, so the count ends a loop. */
	while (phys) {
		block = luo_abi_block(phys);
		if (!block)
			return luo_abi_fail(r, LUO_REASON_ARRAY_ADDRESS,
					    &array->head, 0, phys);
		if (!block->count || block->count > room)
			return luo_abi_fail(r, LUO_REASON_ARRAY_BLOCK,
					    &array->head, room, block->count);
		count += block->count;
		if (count > array->count)
			break;

		crc = crc32c(crc, block + 1, block->count * array->stride);
		err = luo_abi_check_entries(r, array, type, block);
		if (err)
			return err;
		phys = block->next;
	}

	if (count != array->count)
		return luo_abi_fail(r, LUO_REASON_ARRAY_COUNT, &array->count,
				    count, array->count);
	crc = luo_abi_crc_end(crc);
	if (array->crc != crc)
		return luo_abi_fail(r, LUO_REASON_ARRAY_CHECKSUM, &array->crc,
				    crc, array->crc);

	return 0;
}

/* The extent of @record is right; @type is NULL if it is to be skipped. */
static int luo_abi_check_record(struct luo_abi_reader *r,
				const struct luo_abi_record *record,
				const struct luo_abi_type *type)
{
	bool array = record->type & LUO_ABI_RECORD_ARRAY;
	size_t size = record->size - sizeof(*record);
	const void *data = record + 1, *tail;
	size_t known = size, least = 0;
	u32 *count;

	if (array) {
		known = sizeof(struct luo_abi_array);
		least = LUO_ABI_ARRAY_MIN;
	} else if (type) {
		known = type->size;
		least = type->min_size;
	}

	if (record->reserved)
		return luo_abi_fail(r, LUO_REASON_RECORD_RESERVED,
				    &record->reserved, 0, record->reserved);
	if (size < least)
		return luo_abi_fail(r, LUO_REASON_RECORD_SHORT, &record->size,
				    sizeof(*record) + least, record->size);
	if (type && (record->incompat & ~type->incompat))
		return luo_abi_fail(r, LUO_REASON_RECORD_INCOMPAT,
				    &record->incompat, type->incompat,
				    record->incompat);
	if (size > known) {
		tail = luo_abi_not_zero(data + known, size - known);
		if (tail)
			return luo_abi_fail(r, LUO_REASON_RECORD_TAIL, tail, 0,
					    *(const u8 *)tail);
	}
	if (type) {
		count = &r->count[type - r->format->types];
		if (++*count > type->max)
			return luo_abi_fail(r, LUO_REASON_RECORD_LIMIT, record,
					    type->max, *count);
	}

	return array ? luo_abi_check_array(r, data, type) : 0;
}

/*
 * Pass over records of one type which are just as this kernel writes them: most
 * are, and checking should not cost much more than the checksum.
 *
 * Return: the first one that is not.
 */
static const void *luo_abi_pass_usual(struct luo_abi_reader *r,
				      const struct luo_abi_type *type,
				      const void *pos, const void *end)
{
	const struct luo_abi_record usual = {
		.type = type->type,
		.size = sizeof(usual) + type->size,
	}, *record = pos;
	const size_t same = offsetof(struct luo_abi_record, incompat);
	u32 *count = &r->count[type - r->format->types];
	u64 nr = min_t(u64, (end - pos) / usual.size, type->max - *count);

	end = pos + nr * usual.size;
	while (pos < end && !memcmp(record, &usual, same) &&
	       !(record->incompat & ~type->incompat)) {
		pos += usual.size;
		record = pos;
	}
	*count += nr - (end - pos) / usual.size;

	return pos;
}

static int luo_abi_check_records(struct luo_abi_reader *r)
{
	const void *pos = (const void *)r->blob + r->blob->size;
	const void *end = (const void *)r->blob + r->blob->total_size;
	const struct luo_abi_type *type = NULL;
	const struct luo_abi_record *record;
	int err;

	for (; pos < end; pos += record->size) {
		if (type && !(type->type & LUO_ABI_RECORD_ARRAY)) {
			pos = luo_abi_pass_usual(r, type, pos, end);
			if (pos == end)
				break;
		}
		record = pos;
		if (end - pos < sizeof(*record) ||
		    record->size < sizeof(*record) ||
		    record->size > end - pos ||
		    !IS_ALIGNED(record->size, LUO_ABI_ALIGN))
			return luo_abi_fail(r, LUO_REASON_RECORD_SIZE, record,
					    end - pos,
					    end - pos < sizeof(*record) ?
					    0 : record->size);

		/* Mostly many of one type follow each other. */
		if (!type || type->type != record->type)
			type = luo_abi_type_of(r->format, record->type);
		if (!type && (record->type & LUO_ABI_RECORD_MANDATORY))
			return luo_abi_fail(r, LUO_REASON_RECORD_TYPE,
					    &record->type, 0, record->type);
		err = luo_abi_check_record(r, record, type);
		if (err)
			return err;
	}

	for (unsigned int i = 0; i < r->format->nr_types; i++) {
		type = &r->format->types[i];
		if (r->count[i] < type->min)
			return luo_abi_fail(r, LUO_REASON_RECORD_MISSING, end,
					    type->type, r->count[i]);
	}

	return 0;
}

/**
 * luo_abi_check - Check a blob.
 * @r:      The reader, to be used when nothing is found.
 * @format: What is known about the tag.
 * @mem:    Where the blob is, at a multiple of 8.
 * @size:   How much memory there is, in bytes. The blob may be smaller.
 *
 * Reads each byte of the blob and of its arrays about once, and allocates
 * nothing. @r->fault says what is wrong if something is.
 *
 * Context: Any.
 * Return: 0 if nothing is wrong. Otherwise the class of @r->fault.reason:
 *
 * * -ENODATA: the blob was not completed
 * * -EBADMSG: it is damaged, or another tag's
 * * -EOPNOTSUPP: it needs something that this kernel does not know
 */
int luo_abi_check(struct luo_abi_reader *r, const struct luo_abi_format *format,
		  const void *mem, size_t size)
{
	int err;

	*r = (struct luo_abi_reader) {
		.format = format,
		.blob = mem,
		.fault.tag = (const char *)format->tag->name,
	};

	err = luo_abi_check_extent(r, size);
	if (err)
		return err;
	err = luo_abi_check_header(r);
	if (err)
		return err;
	err = luo_abi_check_records(r);
	if (err)
		return err;

	r->whole = true;

	return 0;
}
EXPORT_SYMBOL_GPL(luo_abi_check);

/**
 * luo_abi_open - Check a blob that is known by its physical address.
 * @r:      The reader, to be used when nothing is found.
 * @format: What is known about the tag.
 * @phys:   Physical address, as the previous kernel handed it over.
 *
 * The address is believed no more than what it leads to: it must be that of a
 * piece of memory which was preserved as a whole, as kho_alloc_preserve() does,
 * and the blob must fit into it. Otherwise like luo_abi_check().
 *
 * Context: Any, from the end of kho_memory_init() on: before that, nothing is
 *          known to have been handed over.
 * Return: as luo_abi_check(), or -EFAULT if @phys is not that of memory which
 * was handed over.
 */
int luo_abi_open(struct luo_abi_reader *r, const struct luo_abi_format *format,
		 u64 phys)
{
	unsigned int order;
	const void *mem = luo_abi_map(phys, &order);

	*r = (struct luo_abi_reader) { .format = format };

	if (!mem)
		return luo_abi_fail(r, LUO_REASON_NOT_HANDED_OVER, NULL, 0,
				    phys);

	return luo_abi_check(r, format, mem, PAGE_SIZE << order);
}
EXPORT_SYMBOL_GPL(luo_abi_open);

/**
 * luo_abi_refuse - A value means nothing to the reader's owner.
 * @r:        The reader.
 * @record:   The record it is in.
 * @offset:   Of the value, in bytes from the end of &struct luo_abi_record.
 * @expected: A value that could be there.
 * @found:    The value.
 *
 * Return: -EBADMSG.
 */
int luo_abi_refuse(struct luo_abi_reader *r, const struct luo_abi_record *record,
		   size_t offset, u64 expected, u64 found)
{
	return luo_abi_fail(r, LUO_REASON_VALUE,
			    (const void *)(record + 1) + offset, expected,
			    found);
}
EXPORT_SYMBOL_GPL(luo_abi_refuse);

/* --- reading, after a check that found nothing */

/**
 * luo_abi_next - The next record of a type.
 * @r:      The reader.
 * @record: The record before, NULL for the first.
 * @type:   The type, with %LUO_ABI_RECORD_MANDATORY if it has that.
 *
 * Return: the record, NULL if there is none left.
 */
const struct luo_abi_record *
luo_abi_next(const struct luo_abi_reader *r, const struct luo_abi_record *record,
	     u16 type)
{
	const void *end = (const void *)r->blob + r->blob->total_size;
	const void *pos = record ? (const void *)record + record->size :
				   (const void *)r->blob + r->blob->size;

	for (; pos < end; pos += record->size) {
		record = pos;
		if (record->type == type)
			return record;
	}

	return NULL;
}
EXPORT_SYMBOL_GPL(luo_abi_next);

/* What the writer did not know is 0, what the reader does not know too. */
static void luo_abi_copy(void *to, size_t to_size, const void *from,
			 size_t from_size)
{
	size_t size = min(to_size, from_size);

	memcpy(to, from, size);
	memset(to + size, 0, to_size - size);
}

/**
 * luo_abi_get - Read a record.
 * @record: The record.
 * @to:     Where to, a struct as this kernel knows it.
 * @size:   Size of @to in bytes. What the record does not have is 0.
 */
void luo_abi_get(const struct luo_abi_record *record, void *to, size_t size)
{
	luo_abi_copy(to, size, record + 1, record->size - sizeof(*record));
}
EXPORT_SYMBOL_GPL(luo_abi_get);

/**
 * luo_abi_array_begin - Go to the first entry of an array.
 * @it:     The walk.
 * @record: The record that leads to the array.
 */
void luo_abi_array_begin(struct luo_abi_array_it *it,
			 const struct luo_abi_record *record)
{
	const struct luo_abi_array *array = (const void *)(record + 1);

	*it = (struct luo_abi_array_it) {
		.block = array->head ? luo_abi_block(array->head) : NULL,
		.left = array->count,
		.stride = array->stride,
	};
}
EXPORT_SYMBOL_GPL(luo_abi_array_begin);

/**
 * luo_abi_array_next - Read an entry and go to the next.
 * @it:   The walk.
 * @to:   Where to, a struct as this kernel knows it.
 * @size: Size of @to in bytes. What the entry does not have is 0.
 *
 * Return: false if there is none left, or its block is no longer there because
 * somebody has taken it over: @it->left is not 0 then.
 */
bool luo_abi_array_next(struct luo_abi_array_it *it, void *to, size_t size)
{
	if (!it->left)
		return false;

	if (it->block && it->index == it->block->count) {
		it->block = luo_abi_block(it->block->next);
		it->index = 0;
	}
	/* The array of another blob can have led to the same block. */
	if (!it->block || it->index >= it->block->count)
		return false;

	luo_abi_copy(to, size,
		     (const void *)(it->block + 1) + it->index * it->stride,
		     it->stride);
	it->index++;
	it->left--;

	return true;
}
EXPORT_SYMBOL_GPL(luo_abi_array_next);

/* The blocks of each array become ordinary memory, and are freed. */
static void luo_abi_release_arrays(struct luo_abi_reader *r)
{
	const void *pos = (const void *)r->blob + r->blob->size;
	const void *end = (const void *)r->blob + r->blob->total_size;
	const struct luo_abi_record *record;
	const struct luo_abi_array *array;
	struct kho_block_set bs;

	for (; pos < end; pos += record->size) {
		record = pos;
		if (!(record->type & LUO_ABI_RECORD_ARRAY))
			continue;
		array = pos + sizeof(*record);
		kho_block_set_init(&bs, array->stride);
		if (!kho_block_set_restore(&bs, array->head))
			kho_block_set_destroy(&bs);
	}
}

/**
 * luo_abi_release - Free a blob that luo_abi_open() has read.
 * @r: The reader. Can be one whose blob was refused. What is not known to be
 *     the blob's stays reserved: the arrays of one that is damaged, and memory
 *     that is no blob of this tag, or was changed after it was sealed.
 *
 * Context: May sleep.
 */
void luo_abi_release(struct luo_abi_reader *r)
{
	if (r->blob && r->whole)
		luo_abi_release_arrays(r);
	if (r->blob && r->sound)
		kho_restore_free((void *)r->blob);
	r->blob = NULL;
}
EXPORT_SYMBOL_GPL(luo_abi_release);
