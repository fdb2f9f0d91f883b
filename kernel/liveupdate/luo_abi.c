// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Blobs
 *
 * A subsystem serializes its state into a blob: a header and records, described
 * in include/uapi/linux/luo/abi.h. The subsystem provides the memory. It
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
 * The next kernel checks a blob as a whole, in one pass and without allocating
 * anything, before it uses any of it. After a successful check, iterating over
 * the records cannot fail, and only the meaning of the values is left to check:
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
 * Writer and reader use the same declaration of the tag's records and of all
 * their fields (&struct luo_abi_format):
 *
 * .. code-block:: c
 *
 *	static const struct luo_abi_field my_fields[] = {
 *		LUO_ABI_FIELDS(struct my_record, id, value),
 *		LUO_ABI_FLAGS(struct my_record, flags, MY_A | MY_B, LUO_ABI_ALWAYS),
 *		LUO_ABI_FLAGS(struct my_record, flags, MY_C, MY_INCOMPAT_C),
 *		LUO_ABI_RESERVED(struct my_record, reserved),
 *		LUO_ABI_APPENDED(struct my_record, limit, MY_INCOMPAT_LIMIT),
 *	};
 *
 *	static const struct luo_abi_type my_types[] = {
 *		{
 *			LUO_ABI_TYPE(MY_RECORD, struct my_record, 24, my_fields),
 *			.needs = LUO_ABI_ALWAYS,
 *			.max = 1,
 *		},
 *	};
 *
 * Whatever was added after the first version names the feature that it needs
 * from the next kernel. A blob is not sealed if a declaration is missing, or if
 * something is in use whose feature is not set: see luo_abi_seal().
 *
 * Nothing here depends on a subsystem, and nothing here locks: a blob belongs to
 * its writer or reader.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

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

/* Sizes of the first version. They do not change when the structs grow. */
#define LUO_ABI_HEADER_FIRST	40
#define LUO_ABI_ARRAY_FIRST	24

/*
 * A field that is appended to one of these needs a bit of incompat that every
 * tag knows, as a reader of the first version refuses a blob in which it is not
 * 0. Reserve such bits in abi.h before removing an assertion.
 */
static_assert(sizeof(struct luo_abi_header) == LUO_ABI_HEADER_FIRST);
static_assert(sizeof(struct luo_abi_array) == LUO_ABI_ARRAY_FIRST);

/* Bytes of entries in a block of an array. */
#define LUO_ABI_BLOCK_ROOM	(KHO_BLOCK_SIZE - sizeof(struct luo_abi_block))

/* struct luo_abi_block is the exported description of KHO's struct. */
static_assert(sizeof(struct luo_abi_block) ==
	      sizeof(struct kho_block_header_ser));
static_assert(offsetof(struct luo_abi_block, next) ==
	      offsetof(struct kho_block_header_ser, next));
static_assert(offsetof(struct luo_abi_block, count) ==
	      offsetof(struct kho_block_header_ser, count));

/* --- reasons */

/*
 * The errno is the class of a reason: the blob was not completed (-ENODATA), is
 * damaged (-EBADMSG), needs something that this kernel does not know
 * (-EOPNOTSUPP), or is not in preserved memory (-EFAULT).
 */
static const struct {
	int err;
	const char *text;
} luo_reasons[] = {
	[LUO_REASON_NONE] = { 0, "not refused" },
	[LUO_REASON_NOT_HANDED_OVER] = { -EFAULT, "not preserved" },
	[LUO_REASON_NOT_SEALED] = { -ENODATA, "not completed" },
	[LUO_REASON_MAGIC] = { -EBADMSG, "magic number mismatch" },
	[LUO_REASON_BYTE_ORDER] = { -EOPNOTSUPP, "byte order mismatch" },
	[LUO_REASON_HEADER_SIZE] = { -EBADMSG, "invalid header size" },
	[LUO_REASON_TOTAL_SIZE] = { -EBADMSG, "invalid size" },
	[LUO_REASON_CHECKSUM] = { -EBADMSG, "checksum mismatch" },
	[LUO_REASON_ARCH] = { -EOPNOTSUPP, "architecture mismatch" },
	[LUO_REASON_PAGE_SIZE] = { -EOPNOTSUPP, "page size mismatch" },
	[LUO_REASON_INCOMPAT] = { -EOPNOTSUPP, "unknown feature" },
	[LUO_REASON_HEADER_RESERVED] = { -EOPNOTSUPP, "unknown field of the header" },
	[LUO_REASON_RECORD_SIZE] = { -EBADMSG, "invalid record size" },
	[LUO_REASON_RECORD_TYPE] = { -EOPNOTSUPP, "unknown mandatory record" },
	[LUO_REASON_RECORD_INCOMPAT] = { -EOPNOTSUPP, "unknown feature of a record" },
	[LUO_REASON_RECORD_RESERVED] = { -EOPNOTSUPP, "unknown field of a record's header" },
	[LUO_REASON_RECORD_SHORT] = { -EBADMSG, "record too short" },
	[LUO_REASON_RECORD_TAIL] = { -EOPNOTSUPP, "unknown field or value of a record" },
	[LUO_REASON_RECORD_LIMIT] = { -EOPNOTSUPP, "too many records of a type" },
	[LUO_REASON_RECORD_MISSING] = { -EBADMSG, "missing record" },
	[LUO_REASON_ARRAY_STRIDE] = { -EBADMSG, "invalid entry size" },
	[LUO_REASON_ARRAY_LIMIT] = { -EOPNOTSUPP, "too many entries" },
	[LUO_REASON_ARRAY_COUNT] = { -EBADMSG, "number of entries mismatch" },
	[LUO_REASON_ARRAY_ADDRESS] = { -EBADMSG, "entries not preserved" },
	[LUO_REASON_ARRAY_BLOCK] = { -EBADMSG, "invalid number of entries in a block" },
	[LUO_REASON_ARRAY_CHECKSUM] = { -EBADMSG, "checksum mismatch of entries" },
	[LUO_REASON_ARRAY_TAIL] = { -EOPNOTSUPP, "unknown field or value of an entry" },
	[LUO_REASON_VALUE] = { -EBADMSG, "invalid value" },
};

/**
 * luo_abi_reason_errno - Return the class of a reason.
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
 * luo_abi_reason_text - Describe a reason.
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
 * luo_abi_fault_text - Describe a fault.
 * @fault: The fault.
 * @buf:   Buffer for the description.
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
 * The checksum of a blob whose magic number is or will be @magic, computed with
 * the checksum itself as 0. All the rest must be in memory, fields behind the
 * checksum included.
 */
static u32 luo_abi_blob_crc(const void *blob, __u32 magic, size_t size)
{
	const size_t from = sizeof(magic);
	const size_t to = offsetof(struct luo_abi_header, crc);
	const __u32 no_crc = 0;
	u32 crc = ~0;

	crc = crc32c(crc, &magic, sizeof(magic));
	crc = crc32c(crc, blob + from, to - from);
	crc = crc32c(crc, &no_crc, sizeof(no_crc));
	crc = crc32c(crc, blob + to + sizeof(no_crc),
		     size - to - sizeof(no_crc));

	return luo_abi_crc_end(crc);
}

/* --- declarations */

/* Find the declaration of @type; NULL if there is none. */
static const struct luo_abi_type *
luo_abi_type_of(const struct luo_abi_format *format, u16 type)
{
	for (unsigned int i = 0; i < format->nr_types; i++) {
		if (format->types[i].type == type)
			return &format->types[i];
	}

	return NULL;
}

/* True if something that needs @needs can be in use with features @incompat. */
static bool luo_abi_is_covered(u64 needs, u64 incompat)
{
	return needs == LUO_ABI_ALWAYS || (needs && !(needs & ~incompat));
}

/* The bits of luo_abi_record.incompat that can be set with @incompat. */
static u32 luo_abi_record_features(const struct luo_abi_type *type,
				   u64 incompat)
{
	u32 bits = 0;

	for (unsigned int i = 0; i < type->nr_features; i++) {
		if (luo_abi_is_covered(type->features[i].needs, incompat))
			bits |= type->features[i].bits;
	}

	return bits;
}

/* Fields that have several declarations have the same offset in all of them. */
static bool luo_abi_is_same_field(const struct luo_abi_type *type,
				  unsigned int i)
{
	return i && i < type->nr_fields &&
	       type->fields[i].offset == type->fields[i - 1].offset;
}

static u64 luo_abi_load(const void *p, u32 size)
{
	switch (size) {
	case 1:
		return *(const u8 *)p;
	case 2:
		return *(const u16 *)p;
	case 4:
		return *(const u32 *)p;
	default:
		return *(const u64 *)p;
	}
}

static bool luo_abi_value_is_known(enum luo_abi_field_kind kind, u64 value,
				   u64 known)
{
	if (kind == LUO_ABI_KIND_FLAGS)
		return !(value & ~known);

	return value < 64 && (known & BIT_ULL(value));
}

/**
 * struct luo_abi_excess - A field with a value that is not allowed.
 * @offset:   Its offset in the record's data, or in the entry.
 * @expected: The flags or values that are allowed, or 0.
 * @found:    The value.
 */
struct luo_abi_excess {
	size_t offset;
	u64 expected;
	u64 found;
};

/*
 * Check @data, @size bytes of a record or an entry, against the declarations of
 * its fields. @incompat has the features that can be in use.
 *
 * Return: true if each field is allowed to be what it is.
 */
static bool luo_abi_check_fields(const struct luo_abi_type *type,
				 const void *data, size_t size, u64 incompat,
				 struct luo_abi_excess *excess)
{
	const struct luo_abi_field *field;
	const u8 *byte;
	u64 known = 0;

	for (unsigned int i = 0; i < type->nr_fields; i++) {
		field = &type->fields[i];
		if (field->offset >= size)
			break;

		excess->offset = field->offset;
		if (field->kind == LUO_ABI_KIND_ANY) {
			if (luo_abi_is_covered(field->needs, incompat))
				continue;
			byte = memchr_inv(data + field->offset, 0,
					  min_t(size_t, field->size,
						size - field->offset));
			if (!byte)
				continue;
			excess->offset = (const void *)byte - data;
			excess->expected = 0;
			excess->found = *byte;
			return false;
		}

		if (!luo_abi_is_same_field(type, i))
			known = 0;
		if (luo_abi_is_covered(field->needs, incompat))
			known |= field->known;
		if (luo_abi_is_same_field(type, i + 1))
			continue;

		/* Sizes are multiples of 8, so it is there as a whole. */
		excess->expected = known;
		excess->found = luo_abi_load(data + field->offset, field->size);
		/* An appended field of 0 is as if it were not there. */
		if (field->offset >= type->first_size && !excess->found)
			continue;
		if (!luo_abi_value_is_known(field->kind, excess->found, known))
			return false;
	}

	return true;
}

/* A type of which every field can have any value is not looked into. */
static bool luo_abi_has_only_any(const struct luo_abi_type *type)
{
	return type->nr_fields == 1 &&
	       type->fields[0].kind == LUO_ABI_KIND_ANY &&
	       type->fields[0].needs == LUO_ABI_ALWAYS;
}

static bool luo_abi_needs_are_known(const struct luo_abi_format *format,
				    u64 needs)
{
	return needs == LUO_ABI_ALWAYS || !(needs & ~format->tag->incompat);
}

/* Return: the offset of the first byte without a right declaration, or -1. */
static long luo_abi_first_undeclared(const struct luo_abi_format *format,
				     const struct luo_abi_type *type)
{
	u32 end = 0, start;

	for (unsigned int i = 0; i < type->nr_fields; i++) {
		const struct luo_abi_field *field = &type->fields[i];
		bool any = field->kind == LUO_ABI_KIND_ANY;

		start = field->offset;
		if (luo_abi_is_same_field(type, i) ?
		    any || field->kind != field[-1].kind ||
		    field->size != field[-1].size : start != end)
			return end;
		if (!any && field->size != 1 && field->size != 2 &&
		    field->size != 4 && field->size != 8)
			return start;
		if (!luo_abi_needs_are_known(format, field->needs))
			return start;

		/* What was appended needs a feature, or is reserved. */
		end = start + field->size;
		if (end > type->first_size &&
		    (start < type->first_size || field->needs == LUO_ABI_ALWAYS))
			return max(start, type->first_size);
	}

	return end == type->size ? -1 : (long)end;
}

/* Check what a type says about itself, its limits and its records' features. */
static bool luo_abi_type_needs_are_right(const struct luo_abi_format *format,
					 const struct luo_abi_type *type)
{
	if (!type->needs || !luo_abi_needs_are_known(format, type->needs) ||
	    !luo_abi_needs_are_known(format, type->max_needs))
		return false;

	for (unsigned int i = 0; i < type->nr_features; i++) {
		u64 needs = type->features[i].needs;

		if (!needs || (needs & ~format->tag->incompat))
			return false;
	}

	return true;
}

static bool luo_abi_type_is_complete(const struct luo_abi_format *format,
				     const struct luo_abi_type *type)
{
	const char *name = (const char *)format->tag->name;
	long offset = luo_abi_first_undeclared(format, type);

	if (offset >= 0) {
		pr_err("%s: record type %#x: offset %ld is not declared, or not with a feature of the tag\n",
		       name, type->type, offset);
		return false;
	}
	if (!luo_abi_type_needs_are_right(format, type)) {
		pr_err("%s: record type %#x: the type, its limits or its features are not declared with a feature of the tag\n",
		       name, type->type);
		return false;
	}
	if (type->first_size > type->size ||
	    !IS_ALIGNED(type->size, LUO_ABI_ALIGN) ||
	    !IS_ALIGNED(type->first_size, LUO_ABI_ALIGN) ||
	    type->first_max > type->max ||
	    type->first_max_entries > type->max_entries) {
		pr_err("%s: record type %#x: invalid sizes or limits\n", name,
		       type->type);
		return false;
	}

	return true;
}

/**
 * luo_abi_format_is_complete - Check the declarations of a tag.
 * @format: The declarations.
 *
 * They are complete if each byte of each record and entry has a declaration,
 * and whatever is not of the first version names a feature of the tag.
 *
 * Context: Any.
 * Return: true if so. Otherwise a log line says what is missing.
 */
bool luo_abi_format_is_complete(const struct luo_abi_format *format)
{
	if (format->nr_types > LUO_ABI_MAX_TYPES)
		return false;

	for (unsigned int i = 0; i < format->nr_types; i++) {
		if (!luo_abi_type_is_complete(format, &format->types[i]))
			return false;
	}

	return true;
}
EXPORT_SYMBOL_GPL(luo_abi_format_is_complete);

/* --- writing */

/* Keep the first error. */
static void luo_abi_writer_fail(struct luo_abi_writer *w, int err)
{
	w->err = w->err ?: err;
}

/**
 * luo_abi_begin - Start a blob.
 * @w:        The writer. It must not be in use: luo_abi_end() comes before a
 *            second luo_abi_begin().
 * @format:   Declaration of the blob's contents.
 * @mem:      Memory for the blob, aligned to 8 bytes.
 * @capacity: Size of @mem in bytes.
 *
 * Call this in preserve. Until luo_abi_end(), the features that the blob uses
 * are listed as required from the next kernel. The memory is not a valid blob
 * before luo_abi_seal().
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
 * luo_abi_end - End the use of a writer whose blob is not going to be preserved.
 * @w: The writer.
 *
 * Call this in unpreserve. The memory stays the caller's.
 *
 * Context: May sleep.
 */
void luo_abi_end(struct luo_abi_writer *w)
{
	luo_tag_remove_writer(w);
}
EXPORT_SYMBOL_GPL(luo_abi_end);

/**
 * luo_abi_rewind - Remove all records and the seal.
 * @w: The writer.
 *
 * Call this in unfreeze. The features in use stay as they are; those that came
 * into use during the freeze count as known from now on.
 *
 * Context: Any.
 */
void luo_abi_rewind(struct luo_abi_writer *w)
{
	memset(w->blob, 0, w->capacity);
	w->used = sizeof(*w->blob);
	w->late = 0;
	w->blocks = 0;
	w->err = w->used > w->capacity ? -ENOSPC : 0;
}
EXPORT_SYMBOL_GPL(luo_abi_rewind);

/**
 * luo_abi_set_features - Set the features in use.
 * @w:        The writer.
 * @incompat: &luo_abi_header.incompat, what the reader must know.
 * @compat:   &luo_abi_header.compat, what it may ignore.
 *
 * Call this in preserve, and wherever a feature comes into use or goes out of
 * use before the freeze. What the next kernel knows is compared with these
 * features before the kexec. So a feature that is set only after the freeze has
 * begun does not count: luo_abi_seal() fails.
 *
 * Context: Any.
 */
void luo_abi_set_features(struct luo_abi_writer *w, u64 incompat, u64 compat)
{
	if (luo_tag_is_freezing())
		w->late |= incompat & ~w->incompat;
	WRITE_ONCE(w->incompat, incompat);
	w->compat = compat;
}
EXPORT_SYMBOL_GPL(luo_abi_set_features);

/**
 * luo_abi_append - Append a record.
 * @w:    The writer.
 * @type: Its type, with the bits of enum luo_abi_record_bits.
 * @size: Size of what follows its &struct luo_abi_record, a multiple of 8.
 *
 * Context: Any.
 * Return: a pointer to @size bytes of 0 behind the &struct luo_abi_record; NULL
 * if there is no room, or after an earlier error: luo_abi_seal() returns it.
 */
void *luo_abi_append(struct luo_abi_writer *w, u16 type, size_t size)
{
	struct luo_abi_record *record = (void *)w->blob + w->used;

	if (!IS_ALIGNED(size, LUO_ABI_ALIGN))
		luo_abi_writer_fail(w, -EINVAL);
	else if (size > w->capacity ||
		 sizeof(*record) > w->capacity - size ||
		 w->used > w->capacity - size - sizeof(*record))
		luo_abi_writer_fail(w, -ENOSPC);
	if (w->err)
		return NULL;

	record->type = type;
	record->size = sizeof(*record) + size;
	w->used += record->size;

	return record + 1;
}
EXPORT_SYMBOL_GPL(luo_abi_append);

/**
 * luo_abi_record_of - Return the record that contains data.
 * @data: The return value of luo_abi_append().
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

/* Return: the first byte of @p that is not 0; NULL if all @size bytes are. */
static const void *luo_abi_not_zero(const void *p, size_t size)
{
	return memchr_inv(p, 0, size);
}

/*
 * Check what is to be handed over as a record's data, or as an entry. The next
 * kernel must not find anything that this one has not declared, or that needs a
 * feature which is not set.
 */
static bool luo_abi_can_be_written(const struct luo_abi_writer *w,
				   const struct luo_abi_type *type,
				   const void *data, size_t size)
{
	struct luo_abi_excess excess;

	if (size < type->first_size || size > type->size) {
		pr_err("%s: record type %#x: %zu bytes are not a size of it\n",
		       w->format->tag->name, type->type, size);
		return false;
	}
	if (luo_abi_check_fields(type, data, size, w->incompat, &excess))
		return true;

	pr_err("%s: record type %#x: %#llx at offset %zu is not declared, or needs a feature that is not set in %#llx\n",
	       w->format->tag->name, type->type, excess.found, excess.offset,
	       w->incompat);
	return false;
}

/* Check a number of records or entries against the limits of @type. */
static bool luo_abi_number_can_be_written(const struct luo_abi_writer *w,
					  const struct luo_abi_type *type,
					  u64 number, u64 max, u64 first_max)
{
	if (number <= max &&
	    (!first_max || number <= first_max ||
	     luo_abi_is_covered(type->max_needs, w->incompat)))
		return true;

	pr_err("%s: record type %#x: %llu are too many, or need a feature that is not set in %#llx\n",
	       w->format->tag->name, type->type, number, w->incompat);
	return false;
}

/**
 * luo_abi_append_array - Append a record that leads to an array.
 * @w:    The writer.
 * @type: Its type, with %LUO_ABI_RECORD_ARRAY.
 * @bs:   The array: blocks of entries whose size is a multiple of 8. Each block
 *        must have an entry: if fewer were written than there is room for, call
 *        kho_block_set_shrink() first. Nothing may be added, and no entry may
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
		luo_abi_writer_fail(w, -EINVAL);
	array = luo_abi_append(w, type, sizeof(*array));
	if (!array)
		return;

	list_for_each_entry(block, &bs->blocks, list) {
		const void *entry = block->ser + 1;
		u64 count = block->ser->count;

		if (!count || count > bs->count_per_block ||
		    ++w->blocks > LUO_ABI_MAX_BLOCKS)
			luo_abi_writer_fail(w, -EINVAL);
		if (w->err)
			return;

		crc = crc32c(crc, entry, count * bs->entry_size);
		array->count += count;
		for (; count; count--, entry += bs->entry_size) {
			if (luo_abi_can_be_written(w, known, entry,
						   bs->entry_size))
				continue;
			luo_abi_writer_fail(w, -EINVAL);
			return;
		}
	}

	if (!luo_abi_number_can_be_written(w, known, array->count,
					   known->max_entries,
					   known->first_max_entries))
		luo_abi_writer_fail(w, -EINVAL);
	array->head = kho_block_set_head_pa(bs);
	array->stride = bs->entry_size;
	array->crc = luo_abi_crc_end(crc);
}
EXPORT_SYMBOL_GPL(luo_abi_append_array);

static bool luo_abi_record_can_be_sealed(const struct luo_abi_writer *w,
					 const struct luo_abi_record *record,
					 const struct luo_abi_type *type)
{
	if (!type || !luo_abi_is_covered(type->needs, w->incompat) ||
	    (record->incompat & ~luo_abi_record_features(type, w->incompat)) ||
	    record->reserved) {
		pr_err("%s: record type %#x: the type or its features %#x are not declared, or need a feature that is not set in %#llx\n",
		       w->format->tag->name, record->type, record->incompat,
		       w->incompat);
		return false;
	}

	/* The entries of an array were checked when it was appended. */
	return record->type & LUO_ABI_RECORD_ARRAY ||
	       luo_abi_can_be_written(w, type, record + 1,
				      record->size - sizeof(*record));
}

static bool luo_abi_features_can_be_sealed(const struct luo_abi_writer *w)
{
	if (w->incompat & ~w->format->tag->incompat) {
		pr_err("%s: features %#llx are not declared by the tag\n",
		       w->format->tag->name,
		       w->incompat & ~w->format->tag->incompat);
		return false;
	}
	if (w->late & w->incompat) {
		pr_err("%s: features %#llx came into use during the freeze, so it is unknown whether the next kernel knows them; set them before\n",
		       w->format->tag->name, w->late & w->incompat);
		return false;
	}

	return true;
}

/*
 * Check that everything in the blob is declared and covered by the features the
 * next kernel was asked for, and that this kernel would accept the blob.
 */
static bool luo_abi_can_be_sealed(const struct luo_abi_writer *w)
{
	const void *pos = w->blob + 1, *end = (const void *)w->blob + w->used;
	const struct luo_abi_format *format = w->format;
	u32 count[LUO_ABI_MAX_TYPES] = {};
	const struct luo_abi_record *record;
	const struct luo_abi_type *type;

	if (!luo_abi_format_is_complete(format) ||
	    !luo_abi_features_can_be_sealed(w))
		return false;

	for (; pos < end; pos += record->size) {
		record = pos;
		type = luo_abi_type_of(format, record->type);
		if (!luo_abi_record_can_be_sealed(w, record, type))
			return false;
		count[type - format->types]++;
	}

	for (unsigned int i = 0; i < format->nr_types; i++) {
		type = &format->types[i];
		if (count[i] < type->min ||
		    !luo_abi_number_can_be_written(w, type, count[i], type->max,
						   type->first_max))
			return false;
	}

	return true;
}

/**
 * luo_abi_seal - Complete a blob.
 * @w: The writer.
 *
 * Call this in freeze. Nothing of the blob may change afterwards, except by
 * luo_abi_rewind().
 *
 * Context: Any.
 * Return: 0 on success, or a negative errno. The first of them is returned:
 *
 * * -ENOSPC: there was no room for a record
 * * -EINVAL: the size of a record or an entry is wrong, a block of an array is
 *   empty, there are more or fewer records than allowed, the declarations are
 *   not complete, something is in use that is not declared or whose feature is
 *   not set, or a feature was set after the freeze began. In all but the first
 *   three cases a log line says what.
 */
int luo_abi_seal(struct luo_abi_writer *w)
{
	const struct luo_abi_header head = {
		.size		= sizeof(head),
		.total_size	= w->used,
		.incompat	= w->incompat,
		.compat		= w->compat,
		.arch		= LUO_ABI_ARCH,
		.page_shift	= PAGE_SHIFT,
	};
	const __u32 magic = w->format->tag->magic;

	if (!w->err && !luo_abi_can_be_sealed(w))
		w->err = -EINVAL;
	if (w->err)
		return w->err;

	/* The checksum covers all of the header, so it comes after it. */
	*w->blob = head;
	w->blob->crc = luo_abi_blob_crc(w->blob, magic, w->used);
	/* The magic number comes last: with it, all the rest is there. */
	smp_wmb();
	WRITE_ONCE(w->blob->magic, magic);

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
 * Find the preserved memory that begins at @phys, and its order; NULL if there
 * is none. Each physical address that is read from preserved memory comes here
 * before it is used. Tests replace this function.
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

/* Check what must be right before the checksum can be computed. */
static int luo_abi_check_extent(struct luo_abi_reader *r, size_t size)
{
	const struct luo_abi_header *head = r->blob;
	u32 magic = r->format->tag->magic;

	if (size < LUO_ABI_HEADER_FIRST)
		return luo_abi_fail(r, LUO_REASON_TOTAL_SIZE, head,
				    LUO_ABI_HEADER_FIRST, size);

	if (!head->magic)
		return luo_abi_fail(r, LUO_REASON_NOT_SEALED, &head->magic,
				    magic, head->magic);
	if (head->magic == swab32(magic))
		return luo_abi_fail(r, LUO_REASON_BYTE_ORDER, &head->magic,
				    magic, head->magic);
	if (head->magic != magic)
		return luo_abi_fail(r, LUO_REASON_MAGIC, &head->magic,
				    magic, head->magic);

	if (head->total_size > size || head->total_size < LUO_ABI_HEADER_FIRST ||
	    !IS_ALIGNED(head->total_size, LUO_ABI_ALIGN))
		return luo_abi_fail(r, LUO_REASON_TOTAL_SIZE, &head->total_size,
				    size, head->total_size);
	if (head->size > head->total_size || head->size < LUO_ABI_HEADER_FIRST ||
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

	crc = luo_abi_blob_crc(head, head->magic, head->total_size);
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

/* Find a block that kho_block_set_restore() accepts, too. */
static const struct luo_abi_block *luo_abi_block(u64 phys)
{
	const struct luo_abi_block *block;
	unsigned int order;

	block = luo_abi_map(phys, &order);

	return block && order == get_order(KHO_BLOCK_SIZE) ? block : NULL;
}

/*
 * Check the chain of an array's blocks, but not their entries. The limit of all
 * blocks of the blob ends a chain that leads back to itself.
 */
static int luo_abi_check_chain(struct luo_abi_reader *r,
			       const struct luo_abi_array *array)
{
	const u64 room = LUO_ABI_BLOCK_ROOM / array->stride;
	const struct luo_abi_block *block;
	u64 phys = array->head, count = 0;

	while (phys) {
		block = luo_abi_block(phys);
		if (!block)
			return luo_abi_fail(r, LUO_REASON_ARRAY_ADDRESS,
					    &array->head, 0, phys);
		if (!block->count || block->count > room)
			return luo_abi_fail(r, LUO_REASON_ARRAY_BLOCK,
					    &array->head, room, block->count);
		if (++r->blocks > LUO_ABI_MAX_BLOCKS)
			return luo_abi_fail(r, LUO_REASON_ARRAY_LIMIT,
					    &array->head, LUO_ABI_MAX_BLOCKS,
					    r->blocks);
		count += block->count;
		if (count > array->count)
			break;
		phys = block->next;
	}

	if (count != array->count)
		return luo_abi_fail(r, LUO_REASON_ARRAY_COUNT, &array->count,
				    count, array->count);

	return 0;
}

static int luo_abi_check_entry(struct luo_abi_reader *r,
			       const struct luo_abi_array *array,
			       const struct luo_abi_type *type,
			       const void *entry)
{
	struct luo_abi_excess excess;
	const void *tail;

	if (array->stride > type->size) {
		tail = luo_abi_not_zero(entry + type->size,
					array->stride - type->size);
		if (tail)
			return luo_abi_fail(r, LUO_REASON_ARRAY_TAIL, array, 0,
					    *(const u8 *)tail);
	}
	if (!luo_abi_check_fields(type, entry, array->stride,
				  r->header.incompat, &excess))
		return luo_abi_fail(r, LUO_REASON_ARRAY_TAIL, array,
				    excess.expected, excess.found);

	return 0;
}

/* The chain is right. The entries of an unknown type are not looked at. */
static int luo_abi_check_entries(struct luo_abi_reader *r,
				 const struct luo_abi_array *array,
				 const struct luo_abi_type *type)
{
	bool any = !type || (luo_abi_has_only_any(type) &&
			     array->stride <= type->size);
	const struct luo_abi_block *block;
	u64 phys = array->head;
	u32 crc = ~0;
	int err;

	for (; phys; phys = block->next) {
		const void *entry;

		block = luo_abi_block(phys);
		entry = block + 1;
		crc = crc32c(crc, entry, block->count * array->stride);
		for (u64 i = 0; !any && i < block->count; i++) {
			err = luo_abi_check_entry(r, array, type,
						  entry + i * array->stride);
			if (err)
				return err;
		}
	}

	crc = luo_abi_crc_end(crc);
	if (array->crc != crc)
		return luo_abi_fail(r, LUO_REASON_ARRAY_CHECKSUM, &array->crc,
				    crc, array->crc);

	return 0;
}

/* The blocks of an unknown type, for which @type is NULL, must be right too. */
static int luo_abi_check_array(struct luo_abi_reader *r,
			       const struct luo_abi_array *array,
			       const struct luo_abi_type *type)
{
	int err;

	if (!array->stride || (type && array->stride < type->first_size) ||
	    array->stride > LUO_ABI_BLOCK_ROOM ||
	    !IS_ALIGNED(array->stride, LUO_ABI_ALIGN))
		return luo_abi_fail(r, LUO_REASON_ARRAY_STRIDE, &array->stride,
				    type ? type->size : LUO_ABI_ALIGN,
				    array->stride);
	if (type && array->count > type->max_entries)
		return luo_abi_fail(r, LUO_REASON_ARRAY_LIMIT, &array->count,
				    type->max_entries, array->count);

	err = luo_abi_check_chain(r, array);
	if (err)
		return err;

	return luo_abi_check_entries(r, array, type);
}

/* Check that each field of a record of a known type is allowed to be as it is. */
static int luo_abi_check_data(struct luo_abi_reader *r,
			      const struct luo_abi_record *record,
			      const struct luo_abi_type *type)
{
	const void *data = record + 1;
	struct luo_abi_excess excess;

	if (luo_abi_check_fields(type, data, record->size - sizeof(*record),
				 r->header.incompat, &excess))
		return 0;

	return luo_abi_fail(r, LUO_REASON_RECORD_TAIL, data + excess.offset,
			    excess.expected, excess.found);
}

/* The extent of @record is right; @type is NULL if it is to be skipped. */
static int luo_abi_check_record(struct luo_abi_reader *r,
				const struct luo_abi_record *record,
				const struct luo_abi_type *type)
{
	bool array = record->type & LUO_ABI_RECORD_ARRAY;
	u32 features = type ? luo_abi_record_features(type,
						      r->header.incompat) : 0;
	size_t size = record->size - sizeof(*record);
	const void *data = record + 1, *tail;
	size_t known = size, least = 0;
	u32 *count;

	if (array) {
		known = sizeof(struct luo_abi_array);
		least = LUO_ABI_ARRAY_FIRST;
	} else if (type) {
		known = type->size;
		least = type->first_size;
	}

	if (record->reserved)
		return luo_abi_fail(r, LUO_REASON_RECORD_RESERVED,
				    &record->reserved, 0, record->reserved);
	if (size < least)
		return luo_abi_fail(r, LUO_REASON_RECORD_SHORT, &record->size,
				    sizeof(*record) + least, record->size);
	if (type && (record->incompat & ~features))
		return luo_abi_fail(r, LUO_REASON_RECORD_INCOMPAT,
				    &record->incompat, features,
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

	if (array)
		return luo_abi_check_array(r, data, type);

	return type ? luo_abi_check_data(r, record, type) : 0;
}

/*
 * Pass over records of one type that have this kernel's size, no features and
 * no field to look into: many records are such, and checking should not cost
 * much more than the checksum.
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
	const size_t same = offsetof(struct luo_abi_record, compat);
	u32 *count = &r->count[type - r->format->types];
	u64 nr = min_t(u64, (end - pos) / usual.size, type->max - *count);

	end = pos + nr * usual.size;
	while (pos < end && !memcmp(record, &usual, same)) {
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
		if (type && !(type->type & LUO_ABI_RECORD_ARRAY) &&
		    luo_abi_has_only_any(type)) {
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

		/* Records of one type usually follow each other. */
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
 * @r:      The reader, for use after a successful check.
 * @format: Declaration of its contents.
 * @mem:    The blob, aligned to 8 bytes.
 * @size:   Size of the memory in bytes. The blob may be smaller.
 *
 * Reads each byte of the blob and of its arrays about once, and allocates
 * nothing. The arrays of one blob have at most %LUO_ABI_MAX_BLOCKS blocks, which
 * bounds the time it takes. @r->fault describes what is wrong.
 *
 * Context: Any.
 * Return: 0 if the blob is right. Otherwise the class of @r->fault.reason:
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
 * luo_abi_open - Check a blob at a physical address.
 * @r:      The reader, for use after a successful check.
 * @format: Declaration of its contents.
 * @phys:   Physical address, as the previous kernel wrote it.
 *
 * The address is not trusted either: it must be the start of memory that was
 * preserved as a whole, as kho_alloc_preserve() does, and the blob must fit into
 * it. Otherwise like luo_abi_check().
 *
 * Context: Any, after kho_memory_init(): before that, no memory is known to be
 *          preserved.
 * Return: as luo_abi_check(), or -EFAULT if no preserved memory starts at @phys.
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
 * luo_abi_refuse - Refuse a blob because of an invalid value.
 * @r:        The reader.
 * @record:   The record that has the value.
 * @offset:   Offset of the value in bytes from the end of
 *            &struct luo_abi_record.
 * @expected: A valid value.
 * @found:    The value.
 *
 * For the subsystem, which knows what its values mean. Flags, enumerated values
 * and reserved fields that are declared in @r->format were checked already.
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

/* --- reading, after a successful check */

/**
 * luo_abi_next - Find the next record of a type.
 * @r:      The reader.
 * @record: The previous record, NULL for the first.
 * @type:   The type, with the bits of enum luo_abi_record_bits.
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

/* Copy the common part. What the writer did not know becomes 0. */
static void luo_abi_copy(void *to, size_t to_size, const void *from,
			 size_t from_size)
{
	size_t size = min(to_size, from_size);

	memcpy(to, from, size);
	memset(to + size, 0, to_size - size);
}

/**
 * luo_abi_get - Copy the data of a record.
 * @record: The record.
 * @to:     Destination, a struct as this kernel knows it.
 * @size:   Size of @to in bytes. Fields that the record does not have become 0.
 */
void luo_abi_get(const struct luo_abi_record *record, void *to, size_t size)
{
	luo_abi_copy(to, size, record + 1, record->size - sizeof(*record));
}
EXPORT_SYMBOL_GPL(luo_abi_get);

/**
 * luo_abi_array_begin - Start to iterate over the entries of an array.
 * @it:     The iterator.
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
 * luo_abi_array_next - Copy an entry and advance to the next.
 * @it:   The iterator.
 * @to:   Destination, a struct as this kernel knows it.
 * @size: Size of @to in bytes. Fields that the entry does not have become 0.
 *
 * Return: false if there is no entry left, or if its block was taken over by
 * another user since the check: then @it->left is not 0.
 */
bool luo_abi_array_next(struct luo_abi_array_it *it, void *to, size_t size)
{
	if (!it->left)
		return false;

	if (it->block && it->index == it->block->count) {
		it->block = luo_abi_block(it->block->next);
		it->index = 0;
	}
	/* A damaged array of another blob can have led to the same block. */
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

/* Take over the blocks of each array and free them. */
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
 * luo_abi_release - Free a blob after luo_abi_open().
 * @r: The reader. Its blob may have been refused. Memory that may not be the
 *     blob's stays reserved: the arrays of a damaged blob, and memory that is not
 *     a blob of this tag or was changed after it was sealed.
 *
 * Context: May sleep.
 */
void luo_abi_release(struct luo_abi_reader *r)
{
	void *blob = (void *)r->blob;

	if (blob && r->whole)
		luo_abi_release_arrays(r);
	/* It is gone if something preserved led to it that should not. */
	if (blob && r->sound && kho_incoming_order(virt_to_phys(blob)) >= 0)
		kho_restore_free(blob);
	r->blob = NULL;
}
EXPORT_SYMBOL_GPL(luo_abi_release);
