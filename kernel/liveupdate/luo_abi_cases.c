// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the rules of linux/luo/abi.h, each with a format that is as small as
 * possible.
 */

#include <linux/align.h>
#include <linux/array_size.h>
#include <linux/bits.h>
#include <linux/crc32.h>
#include <linux/errno.h>
#include <linux/luo_abi.h>
#include <linux/stddef.h>
#include <linux/string.h>

#include "luo_abi_suite.h"

#define CASE_RECORD	(LUO_ABI_RECORD_MANDATORY | 1)
#define CASE_OTHER	2
#define CASE_ARRAY	(LUO_ABI_RECORD_ARRAY | 3)
#define CASE_LATER	(LUO_ABI_RECORD_MANDATORY | 4)
#define CASE_UNKNOWN	(LUO_ABI_RECORD_ARRAY | 5)
#define CASE_ENTRIES	(LUO_ABI_RECORD_ARRAY | 6)

/* One for each way to add something after the first version. */
enum case_incompat {
	CASE_NEEDS_LIMIT	= 1 << 0,
	CASE_NEEDS_MORE		= 1 << 1,
	CASE_NEEDS_FLAG		= 1 << 2,
	CASE_NEEDS_KIND		= 1 << 3,
	CASE_NEEDS_SPARE	= 1 << 4,
	CASE_NEEDS_RECORD	= 1 << 5,
	CASE_NEEDS_LATER	= 1 << 6,
	CASE_NEEDS_MAX		= 1 << 7,
};

#define CASE_ALL		0xff

/* The first version had 16 bytes, and @spare was reserved. */
struct case_record {
	__u64 value;
	__u32 flags;
	__u16 kind;
	__u8 spare;
	__u8 reserved;
	__u64 limit;
	__u64 more;
};

#define CASE_FIRST_SIZE		16

static const struct luo_abi_tag case_tag = {
	.size = sizeof(case_tag),
	.kind = LUO_ABI_TAG_SUBTREE,
	.name = "luo-abi-case",
	.magic = LUO_ABI_MAGIC_EXAMPLE,
	.incompat = CASE_ALL,
};

static const struct luo_abi_field case_fields[] = {
	LUO_ABI_FIELDS(struct case_record, value, value),
	LUO_ABI_FLAGS(struct case_record, flags, 3, LUO_ABI_ALWAYS),
	LUO_ABI_FLAGS(struct case_record, flags, 4, CASE_NEEDS_FLAG),
	LUO_ABI_VALUES(struct case_record, kind, BIT_ULL(0) | BIT_ULL(1),
		       LUO_ABI_ALWAYS),
	LUO_ABI_VALUES(struct case_record, kind, BIT_ULL(2), CASE_NEEDS_KIND),
	LUO_ABI_APPENDED(struct case_record, spare, CASE_NEEDS_SPARE),
	LUO_ABI_RESERVED(struct case_record, reserved),
	LUO_ABI_APPENDED(struct case_record, limit, CASE_NEEDS_LIMIT),
	LUO_ABI_APPENDED(struct case_record, more, CASE_NEEDS_MORE),
};

static const struct luo_abi_feature case_features[] = {
	{ 1, CASE_NEEDS_RECORD },
};

static const struct luo_abi_field case_word[] = {
	{ .size = 8, .needs = LUO_ABI_ALWAYS },
};

static const struct luo_abi_type case_types[] = {
	{ LUO_ABI_TYPE(CASE_RECORD, struct case_record, CASE_FIRST_SIZE,
		       case_fields),
	  .features = case_features, .nr_features = ARRAY_SIZE(case_features),
	  .needs = LUO_ABI_ALWAYS, .max = 3, .first_max = 2,
	  .max_needs = CASE_NEEDS_MAX },
	{ LUO_ABI_TYPE(CASE_ARRAY, struct case_record, CASE_FIRST_SIZE,
		       case_fields),
	  .needs = LUO_ABI_ALWAYS, .max = 2, .max_entries = 10 },
	{ LUO_ABI_TYPE(CASE_LATER, u64, 8, case_word),
	  .needs = CASE_NEEDS_LATER, .max = 2 },
	{ LUO_ABI_TYPE(CASE_ENTRIES, u64, 8, case_word),
	  .needs = LUO_ABI_ALWAYS, .max = 1, .max_entries = 10,
	  .first_max_entries = 5, .max_needs = CASE_NEEDS_MAX },
};

static const struct luo_abi_format case_format = {
	.tag = &case_tag,
	.types = case_types,
	.nr_types = ARRAY_SIZE(case_types),
};

/* The declarations of a newer kernel, which writes for the one above. */
static const struct luo_abi_field case_words[] = {
	{ .size = 48, .needs = LUO_ABI_ALWAYS },
};

#define CASE_NEWER(type_, max_)						\
	{ .type = (type_), .size = 48, .first_size = 48,		\
	  .fields = case_words, .nr_fields = 1,				\
	  .features = case_newer_features, .nr_features = 1,		\
	  .needs = LUO_ABI_ALWAYS, .max = (max_), .max_entries = 10000 }

static const struct luo_abi_feature case_newer_features[] = {
	{ 3, CASE_NEEDS_RECORD },
};

static const struct luo_abi_type case_newer_types[] = {
	CASE_NEWER(CASE_RECORD, 4),
	CASE_NEWER(CASE_OTHER, 2),
	CASE_NEWER(CASE_OTHER | LUO_ABI_RECORD_MANDATORY, 2),
	CASE_NEWER(CASE_ARRAY, 2),
	CASE_NEWER(CASE_UNKNOWN, 2),
};

static const struct luo_abi_format case_newer = {
	.tag = &case_tag,
	.types = case_newer_types,
	.nr_types = ARRAY_SIZE(case_newer_types),
};

/* Declarations of no kernel: the record is too short. */
static const struct luo_abi_type case_short_type = {
	LUO_ABI_TYPE(CASE_RECORD, u64, 8, case_word),
	.needs = LUO_ABI_ALWAYS, .max = 1,
};

static const struct luo_abi_format case_short = {
	.tag = &case_tag,
	.types = &case_short_type,
	.nr_types = 1,
};

/* One blob at a time. */
static u64 case_mem[64];
static struct luo_abi_writer case_w;
static struct luo_abi_reader case_r;

static void *case_begin(u16 type, size_t size)
{
	luo_abi_begin(&case_w, &case_format, case_mem, sizeof(case_mem));

	return luo_abi_append(&case_w, type, size);
}

static void *case_begin_newer(u16 type, size_t size)
{
	luo_abi_begin(&case_w, &case_newer, case_mem, sizeof(case_mem));

	return luo_abi_append(&case_w, type, size);
}

static int case_check(void)
{
	return luo_abi_check(&case_r, &case_format, case_mem, sizeof(case_mem));
}

static int case_end(void)
{
	int err = luo_abi_seal(&case_w);

	luo_abi_end(&case_w);

	return err ?: case_check();
}

static const char *case_wrong;

static void case_expect(bool good, const char *what)
{
	if (!good && !case_wrong)
		case_wrong = what;
}

#define EXPECT(condition)	case_expect(condition, #condition)

/* The check value of CRC-32C: what another implementation would compute. */
static void case_checksum(void)
{
	EXPECT((crc32c(~0, "123456789", 9) ^ 0xffffffff) == 0xe3069283);
}

static void case_not_sealed(void)
{
	EXPECT(case_begin(CASE_RECORD, CASE_FIRST_SIZE));
	EXPECT(case_check() == -ENODATA);
	EXPECT(case_r.fault.reason == LUO_REASON_NOT_SEALED);
	EXPECT(!luo_abi_seal(&case_w));
	EXPECT(!case_check());
	luo_abi_rewind(&case_w);
	EXPECT(case_check() == -ENODATA);
	EXPECT(!case_end());
	EXPECT(!luo_abi_next(&case_r, NULL, CASE_RECORD));
}

static void case_shorter(void)
{
	struct case_record *data = case_begin(CASE_RECORD, CASE_FIRST_SIZE);
	struct case_record got = { .limit = 1, .more = 1 };

	data->value = 42;
	EXPECT(!case_end());
	luo_abi_get(luo_abi_next(&case_r, NULL, CASE_RECORD), &got, sizeof(got));
	EXPECT(got.value == 42 && !got.limit && !got.more);
}

static void case_longer(void)
{
	u64 *data = case_begin_newer(CASE_RECORD, 48), got[2] = { 0, 0 };
	size_t first = sizeof(struct luo_abi_header) +
		       sizeof(struct luo_abi_record);

	data[0] = 42;
	data[1] = 3;
	EXPECT(!case_end());
	luo_abi_get(luo_abi_next(&case_r, NULL, CASE_RECORD), got, sizeof(got));
	EXPECT(got[0] == 42 && got[1] == 3);

	data = case_begin_newer(CASE_RECORD, 48);
	((u8 *)data)[45] = 1;
	EXPECT(case_end() == -EOPNOTSUPP);
	EXPECT(case_r.fault.reason == LUO_REASON_RECORD_TAIL);
	EXPECT(case_r.fault.offset == first + 45);
	EXPECT(case_r.fault.expected == 0 && case_r.fault.found == 1);
}

static void case_too_short(void)
{
	EXPECT(case_begin(CASE_RECORD, CASE_FIRST_SIZE - 8));
	EXPECT(case_end() == -EINVAL);

	/* It is not accepted from a kernel that writes it either. */
	luo_abi_begin(&case_w, &case_short, case_mem, sizeof(case_mem));
	EXPECT(luo_abi_append(&case_w, CASE_RECORD, CASE_FIRST_SIZE - 8));
	EXPECT(case_end() == -EBADMSG);
	EXPECT(case_r.fault.reason == LUO_REASON_RECORD_SHORT);
}

static void case_unknown_record(void)
{
	u64 *data = case_begin_newer(CASE_OTHER, 48), got[2];

	EXPECT(data);
	luo_abi_set_features(&case_w, CASE_NEEDS_RECORD, 0);
	luo_abi_record_of(data)->incompat = 1;
	data = luo_abi_append(&case_w, CASE_RECORD, 48);
	data[1] = 3;
	EXPECT(!case_end());
	luo_abi_get(luo_abi_next(&case_r, NULL, CASE_RECORD), got, sizeof(got));
	EXPECT(got[1] == 3);

	EXPECT(case_begin_newer(CASE_OTHER | LUO_ABI_RECORD_MANDATORY, 48));
	EXPECT(case_end() == -EOPNOTSUPP);
	EXPECT(case_r.fault.reason == LUO_REASON_RECORD_TYPE);
}

/* Begin with @nr records of the first version. */
static void case_begin_many(const struct luo_abi_format *format, int nr,
			    size_t size)
{
	luo_abi_begin(&case_w, format, case_mem, sizeof(case_mem));
	while (nr--)
		EXPECT(luo_abi_append(&case_w, CASE_RECORD, size));
}

static void case_too_many(void)
{
	case_begin_many(&case_newer, 3, 48);
	EXPECT(!case_end());
	case_begin_many(&case_newer, 4, 48);
	EXPECT(case_end() == -EOPNOTSUPP);
	EXPECT(case_r.fault.reason == LUO_REASON_RECORD_LIMIT);

	/* This kernel does not write what it would not read. */
	case_begin_many(&case_format, 4, CASE_FIRST_SIZE);
	luo_abi_set_features(&case_w, CASE_NEEDS_MAX, 0);
	EXPECT(case_end() == -EINVAL);
}

static void case_in_use(void)
{
	EXPECT(case_begin(CASE_RECORD, CASE_FIRST_SIZE));
	luo_abi_set_features(&case_w, 1, 0x8000000000000000ULL);
	EXPECT(!case_end());
	EXPECT(case_r.header.incompat == 1);
	EXPECT(case_r.header.compat == 0x8000000000000000ULL);

	/* The next kernel cannot be asked for a feature that is not declared. */
	EXPECT(case_begin(CASE_RECORD, CASE_FIRST_SIZE));
	luo_abi_set_features(&case_w, CASE_ALL + 1, 0);
	EXPECT(case_end() == -EINVAL);
}

static void case_late(void)
{
	EXPECT(case_begin(CASE_RECORD, CASE_FIRST_SIZE));
	luo_abi_set_features(&case_w, CASE_NEEDS_LIMIT, 0);
	luo_abi_suite_freeze(true);
	/* Again, or less, is not late. */
	luo_abi_set_features(&case_w, CASE_NEEDS_LIMIT, 1);
	EXPECT(!luo_abi_seal(&case_w));
	luo_abi_rewind(&case_w);
	EXPECT(luo_abi_append(&case_w, CASE_RECORD, CASE_FIRST_SIZE));
	luo_abi_set_features(&case_w, CASE_NEEDS_LIMIT | CASE_NEEDS_MORE, 0);
	EXPECT(luo_abi_seal(&case_w) == -EINVAL);

	/* The freeze is undone: from now on the feature is listed. */
	luo_abi_rewind(&case_w);
	EXPECT(luo_abi_append(&case_w, CASE_RECORD, CASE_FIRST_SIZE));
	EXPECT(!case_end());

	/* A blob that is begun now was never listed. */
	EXPECT(case_begin(CASE_RECORD, CASE_FIRST_SIZE));
	luo_abi_set_features(&case_w, CASE_NEEDS_LIMIT, 0);
	EXPECT(case_end() == -EINVAL);
	luo_abi_suite_freeze(false);
}

/* Each of these uses one thing that is newer than the first version. */
static void case_write_limit(struct case_record *data)
{
	data->limit = 1;
}

static void case_write_more(struct case_record *data)
{
	data->more = 1ULL << 63;
}

static void case_write_flag(struct case_record *data)
{
	data->flags = 5;
}

static void case_write_kind(struct case_record *data)
{
	data->kind = 2;
}

static void case_write_spare(struct case_record *data)
{
	data->spare = 0x80;
}

static void case_write_incompat(struct case_record *data)
{
	luo_abi_record_of(data)->incompat = 1;
}

static void case_write_later(struct case_record *data)
{
	EXPECT(luo_abi_append(&case_w, CASE_LATER, 8));
}

static void case_write_third(struct case_record *data)
{
	EXPECT(luo_abi_append(&case_w, CASE_RECORD, CASE_FIRST_SIZE));
	EXPECT(luo_abi_append(&case_w, CASE_RECORD, CASE_FIRST_SIZE));
}

static const struct {
	void (*write)(struct case_record *data);
	u64 feature;
} case_additions[] = {
	{ case_write_limit, CASE_NEEDS_LIMIT },
	{ case_write_more, CASE_NEEDS_MORE },
	{ case_write_flag, CASE_NEEDS_FLAG },
	{ case_write_kind, CASE_NEEDS_KIND },
	{ case_write_spare, CASE_NEEDS_SPARE },
	{ case_write_incompat, CASE_NEEDS_RECORD },
	{ case_write_later, CASE_NEEDS_LATER },
	{ case_write_third, CASE_NEEDS_MAX },
};

static void case_all_is_covered(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(case_additions); i++) {
		u64 feature = case_additions[i].feature;

		/* No other feature will do, and this one is enough. */
		case_additions[i].write(case_begin(CASE_RECORD,
						   sizeof(struct case_record)));
		luo_abi_set_features(&case_w, CASE_ALL & ~feature, 0);
		EXPECT(case_end() == -EINVAL);
		case_additions[i].write(case_begin(CASE_RECORD,
						   sizeof(struct case_record)));
		luo_abi_set_features(&case_w, feature, 0);
		EXPECT(!case_end());
	}
}

/* Neither writer nor reader accepts what is not declared, whatever is set. */
static void case_undeclared(void (*write)(struct case_record *data))
{
	write(case_begin(CASE_RECORD, sizeof(struct case_record)));
	luo_abi_set_features(&case_w, CASE_ALL, 0);
	EXPECT(case_end() == -EINVAL);

	write(case_begin_newer(CASE_RECORD, 48));
	luo_abi_set_features(&case_w, CASE_ALL, 0);
	EXPECT(case_end() == -EOPNOTSUPP);
	EXPECT(case_r.fault.reason == LUO_REASON_RECORD_TAIL);
}

static void case_write_unknown_flag(struct case_record *data)
{
	data->flags = 8;
}

static void case_write_unknown_kind(struct case_record *data)
{
	data->kind = 3;
}

static void case_write_large_kind(struct case_record *data)
{
	data->kind = 64 + 1;
}

static void case_write_reserved(struct case_record *data)
{
	data->reserved = 1;
}

static void case_nothing_undeclared(void)
{
	case_undeclared(case_write_unknown_flag);
	case_undeclared(case_write_unknown_kind);
	case_undeclared(case_write_large_kind);
	case_undeclared(case_write_reserved);

	/* Types and features of records, too. */
	EXPECT(case_begin(CASE_OTHER, 8));
	EXPECT(case_end() == -EINVAL);
	luo_abi_record_of(case_begin(CASE_RECORD, CASE_FIRST_SIZE))->incompat = 2;
	luo_abi_set_features(&case_w, CASE_ALL, 0);
	EXPECT(case_end() == -EINVAL);
	luo_abi_record_of(case_begin(CASE_RECORD, CASE_FIRST_SIZE))->reserved = 2;
	EXPECT(case_end() == -EINVAL);
	/* More than this kernel's struct has. */
	EXPECT(case_begin(CASE_RECORD, sizeof(struct case_record) + 8));
	EXPECT(case_end() == -EINVAL);
}

/* A copy of case_types[0] in which one declaration is missing. */
static struct luo_abi_field case_bad_fields[ARRAY_SIZE(case_fields)];
static struct luo_abi_feature case_bad_features[ARRAY_SIZE(case_features)];
static struct luo_abi_type case_bad_type;

static void case_good_type(void)
{
	memcpy(case_bad_fields, case_fields, sizeof(case_fields));
	memcpy(case_bad_features, case_features, sizeof(case_features));
	case_bad_type = case_types[0];
	case_bad_type.fields = case_bad_fields;
	case_bad_type.features = case_bad_features;
}

static bool case_is_complete(void)
{
	const struct luo_abi_format format = {
		.tag = &case_tag, .types = &case_bad_type, .nr_types = 1,
	};
	bool complete = luo_abi_format_is_complete(&format);

	luo_abi_begin(&case_w, &format, case_mem, sizeof(case_mem));
	luo_abi_append(&case_w, CASE_RECORD, CASE_FIRST_SIZE);
	EXPECT(!luo_abi_seal(&case_w) == complete);
	luo_abi_end(&case_w);
	case_good_type();

	return complete;
}

static void case_incomplete(void)
{
	const unsigned int last = ARRAY_SIZE(case_fields) - 1;

	case_good_type();
	EXPECT(case_is_complete());

	/* An appended field is not declared, or as one of the first version. */
	case_bad_type.nr_fields = last;
	EXPECT(!case_is_complete());
	case_bad_fields[last].needs = LUO_ABI_ALWAYS;
	EXPECT(!case_is_complete());
	case_bad_type.nr_fields = last - 1;
	case_bad_fields[last - 2].size += 16;
	EXPECT(!case_is_complete());

	/* The tag does not know the feature. */
	case_bad_fields[last].needs = CASE_ALL + 1;
	EXPECT(!case_is_complete());

	/* Any one of the declarations is missing, or out of order. */
	for (unsigned int i = 0; i <= last; i++) {
		bool twice = (i && case_fields[i].offset ==
			      case_fields[i - 1].offset) ||
			     (i < last && case_fields[i].offset ==
			      case_fields[i + 1].offset);

		memmove(&case_bad_fields[i], &case_bad_fields[i + 1],
			(last - i) * sizeof(case_bad_fields[0]));
		case_bad_type.nr_fields--;
		/* Of two declarations of a field one may go. */
		if (!twice)
			EXPECT(!case_is_complete());
		case_good_type();

		case_bad_fields[i].offset += 1;
		EXPECT(!case_is_complete());
		case_bad_fields[i].size += 1;
		EXPECT(!case_is_complete());
	}

	/* The type, its limit, or a feature of the record. */
	case_bad_type.needs = 0;
	EXPECT(!case_is_complete());
	case_bad_type.needs = CASE_ALL + 1;
	EXPECT(!case_is_complete());
	case_bad_type.max_needs = CASE_ALL + 1;
	EXPECT(!case_is_complete());
	case_bad_type.first_max = case_bad_type.max + 1;
	EXPECT(!case_is_complete());
	case_bad_features[0].needs = 0;
	EXPECT(!case_is_complete());
	case_bad_features[0].needs = LUO_ABI_ALWAYS;
	EXPECT(!case_is_complete());
	case_bad_type.first_size = case_bad_type.size + 8;
	EXPECT(!case_is_complete());
}

static void case_suites_are_complete(void)
{
	EXPECT(luo_abi_format_is_complete(&case_format));
	EXPECT(luo_abi_format_is_complete(&case_newer));
	for (unsigned int i = 0; i < luo_abi_nr_suites; i++)
		EXPECT(luo_abi_format_is_complete(luo_abi_suites[i]->format));
}

static void case_no_room(void)
{
	EXPECT(case_begin(CASE_RECORD, CASE_FIRST_SIZE));
	EXPECT(!luo_abi_append(&case_w, CASE_RECORD, sizeof(case_mem)));
	EXPECT(!luo_abi_append(&case_w, CASE_RECORD, CASE_FIRST_SIZE));
	EXPECT(case_end() == -ENOSPC);

	luo_abi_begin(&case_w, &case_format, case_mem, 8);
	EXPECT(case_end() == -ENOSPC);

	EXPECT(!case_begin(CASE_RECORD, 12));
	EXPECT(case_end() == -EINVAL);
}

/* Set one field of the last entry of the next array. */
static void (*case_change_entry)(struct case_record *entry);
static u64 case_array_features;

/* An array of @nr entries of @size bytes in a set that has room for @room. */
static int case_array(const struct luo_abi_format *format, u16 type,
		      size_t size, u64 nr, u64 room)
{
	struct kho_block_set_it it;
	struct kho_block_set bs;
	u32 *entry = NULL;
	int err;

	luo_abi_begin(&case_w, format, case_mem, sizeof(case_mem));
	luo_abi_set_features(&case_w, case_array_features, 0);
	kho_block_set_init(&bs, size);
	err = kho_block_set_grow(&bs, room);
	kho_block_set_it_init(&it, &bs);
	for (u64 i = 0; !err && i < nr; i++) {
		entry = kho_block_set_it_reserve_entry(&it);
		entry[0] = i;
	}
	if (entry && case_change_entry)
		case_change_entry((void *)entry);
	luo_abi_append_array(&case_w, type, &bs);
	err = err ?: luo_abi_seal(&case_w);
	luo_abi_end(&case_w);
	kho_block_set_destroy(&bs);

	return err;
}

static void case_empty_array(void)
{
	struct luo_abi_array_it it;
	u64 entry[2];

	EXPECT(!case_array(&case_format, CASE_ARRAY, 16, 0, 0));
	EXPECT(!case_check());
	luo_abi_array_begin(&it, luo_abi_next(&case_r, NULL, CASE_ARRAY));
	EXPECT(!luo_abi_array_next(&it, entry, sizeof(entry)));
	EXPECT(!it.left);
}

static void case_bad_array(void)
{
	EXPECT(!case_array(&case_format, CASE_ARRAY, 16, 5, 5));
	EXPECT(case_array(&case_format, CASE_ARRAY, 16, 11, 11) == -EINVAL);
	/* A block without an entry: the next kernel would refuse it. */
	EXPECT(case_array(&case_format, CASE_ARRAY, 16, 5, 300) == -EINVAL);
	EXPECT(case_array(&case_format, CASE_ARRAY, 16, 0, 5) == -EINVAL);
	EXPECT(case_array(&case_format, CASE_ARRAY, 12, 5, 5) == -EINVAL);
	EXPECT(case_array(&case_format, CASE_ARRAY, 8, 5, 5) == -EINVAL);
	EXPECT(case_array(&case_format, CASE_ARRAY, 40, 5, 5) == -EINVAL);
	EXPECT(case_array(&case_format, CASE_RECORD, 16, 5, 5) == -EINVAL);
	EXPECT(case_array(&case_format, CASE_UNKNOWN, 16, 5, 5) == -EINVAL);

	/* Its blocks are not preserved, whether it is known or not. */
	EXPECT(!case_array(&case_newer, CASE_ARRAY, 48, 5, 5));
	EXPECT(case_check() == -EBADMSG);
	EXPECT(case_r.fault.reason == LUO_REASON_ARRAY_ADDRESS);
	EXPECT(!case_array(&case_newer, CASE_UNKNOWN, 48, 5, 5));
	EXPECT(case_check() == -EBADMSG);
	EXPECT(case_r.fault.reason == LUO_REASON_ARRAY_ADDRESS);

	EXPECT(!case_array(&case_newer, CASE_ARRAY, 48, 300, 300));
	EXPECT(case_check() == -EOPNOTSUPP);
	EXPECT(case_r.fault.reason == LUO_REASON_ARRAY_LIMIT);
}

/* The rules of fields hold for entries, and for the number of them. */
static void case_array_is_covered(void)
{
	const size_t size = sizeof(struct case_record);

	case_array_features = CASE_ALL & ~CASE_NEEDS_MAX;
	EXPECT(case_array(&case_format, CASE_ENTRIES, 8, 6, 6) == -EINVAL);
	case_array_features = CASE_NEEDS_MAX;
	EXPECT(!case_array(&case_format, CASE_ENTRIES, 8, 6, 6));
	case_array_features = 0;
	EXPECT(!case_array(&case_format, CASE_ENTRIES, 8, 5, 5));

	case_change_entry = case_write_more;
	case_array_features = CASE_ALL & ~CASE_NEEDS_MORE;
	EXPECT(case_array(&case_format, CASE_ARRAY, size, 5, 5) == -EINVAL);
	case_array_features = CASE_NEEDS_MORE;
	EXPECT(!case_array(&case_format, CASE_ARRAY, size, 5, 5));
	case_array_features = CASE_ALL;
	case_change_entry = case_write_reserved;
	EXPECT(case_array(&case_format, CASE_ARRAY, size, 5, 5) == -EINVAL);
	case_change_entry = NULL;
	case_array_features = 0;
}

/* A chain that leads back to itself, of as many entries as can be written. */
static void case_endless(void)
{
	struct luo_abi_image image = {
		.blob = case_mem,
		.block_phys = LUO_ABI_SUITE_PHYS + KHO_BLOCK_SIZE,
	};
	static u64 block[KHO_BLOCK_SIZE / sizeof(u64)];
	struct kho_block_header_ser *ser = (void *)block;
	struct luo_abi_array *array;

	EXPECT(!case_array(&case_newer, CASE_UNKNOWN, 48, 5, 5));
	image.blob_size = case_w.used;
	image.blocks[image.nr_blocks++] = ser;
	ser->next = image.block_phys;
	ser->count = 1;
	array = (void *)(case_w.blob + 1) + sizeof(struct luo_abi_record);
	array->head = image.block_phys;
	array->count = ~0ULL;
	luo_abi_image_seal(&image);

	luo_abi_suite_use(&image);
	EXPECT(case_check() == -EOPNOTSUPP);
	EXPECT(case_r.fault.reason == LUO_REASON_ARRAY_LIMIT);
	luo_abi_suite_use(NULL);
}

static void case_not_handed_over(void)
{
	EXPECT(luo_abi_open(&case_r, &case_format, 0) == -EFAULT);
	EXPECT(luo_abi_open(&case_r, &case_format, ~0ULL) == -EFAULT);
	EXPECT(case_r.fault.reason == LUO_REASON_NOT_HANDED_OVER);
	EXPECT(case_r.fault.found == ~0ULL);
	luo_abi_release(&case_r);
}

static void case_too_small(void)
{
	EXPECT(case_begin(CASE_RECORD, CASE_FIRST_SIZE));
	EXPECT(!case_end());
	EXPECT(luo_abi_check(&case_r, &case_format, case_mem, 8) == -EBADMSG);
	EXPECT(case_r.fault.reason == LUO_REASON_TOTAL_SIZE);
}

static void case_reasons(void)
{
	EXPECT(!luo_abi_reason_errno(LUO_REASON_NONE));
	for (int i = 1; i < LUO_ABI_REASONS; i++) {
		EXPECT(luo_abi_reason_errno(i) < 0);
		EXPECT(luo_abi_reason_text(i)[0]);
	}
}

const char *luo_abi_run_case(const struct luo_abi_case *c)
{
	case_wrong = NULL;
	c->run();

	return case_wrong;
}

const struct luo_abi_case luo_abi_cases[] = {
	{ "the checksum is CRC-32C", case_checksum },
	{ "a blob that was not sealed is refused", case_not_sealed },
	{ "fields that an older writer did not know are 0", case_shorter },
	{ "fields of a newer writer are accepted while they are 0",
	  case_longer },
	{ "a record shorter than in the first version is refused",
	  case_too_short },
	{ "an unknown record is skipped, unless it is mandatory",
	  case_unknown_record },
	{ "the number of records is limited", case_too_many },
	{ "features are those in use, and declared", case_in_use },
	{ "a feature that is set during the freeze is too late", case_late },
	{ "each addition needs its own feature", case_all_is_covered },
	{ "what is not declared is neither written nor read",
	  case_nothing_undeclared },
	{ "a blob with incomplete declarations is not sealed",
	  case_incomplete },
	{ "the declarations of all tags are complete",
	  case_suites_are_complete },
	{ "a writer without room fails", case_no_room },
	{ "an array can be empty", case_empty_array },
	{ "an array without room, entries or declaration is refused",
	  case_bad_array },
	{ "each addition to an entry needs its feature",
	  case_array_is_covered },
	{ "a chain of blocks without end is refused", case_endless },
	{ "memory must have been preserved", case_not_handed_over },
	{ "memory can be too small for a header", case_too_small },
	{ "each reason has an errno and a description", case_reasons },
};

const unsigned int luo_abi_nr_cases = ARRAY_SIZE(luo_abi_cases);
