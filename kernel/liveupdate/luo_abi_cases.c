// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the rules of linux/luo/abi.h, each with a format that is as small as
 * can be.
 */

#include <linux/align.h>
#include <linux/array_size.h>
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

static const struct luo_abi_tag case_tag = {
	.size = sizeof(case_tag),
	.kind = LUO_ABI_TAG_SUBTREE,
	.name = "luo-abi-case",
	.magic = LUO_ABI_MAGIC_EXAMPLE,
	.incompat = 7,
};

static const struct luo_abi_type case_types[] = {
	{ .type = CASE_RECORD, .size = 16, .min_size = 8, .max = 2,
	  .tail_needs = 1, .incompat = 1, .incompat_needs = 2 },
	{ .type = CASE_ARRAY, .size = 16, .min_size = 8, .max = 2,
	  .max_entries = 10, .tail_needs = 1 },
	{ .type = CASE_LATER, .size = 8, .min_size = 8, .max = 2, .needs = 4 },
};

static const struct luo_abi_format case_format = {
	.tag = &case_tag,
	.types = case_types,
	.nr_types = ARRAY_SIZE(case_types),
};

/* What a later kernel knows, which writes for the one above. */
static const struct luo_abi_type case_newer_types[] = {
	{ .type = CASE_RECORD, .size = 32, .min_size = 8, .max = 3,
	  .incompat = 3 },
	{ .type = CASE_OTHER, .size = 24, .min_size = 24, .max = 2,
	  .incompat = 1 },
	{ .type = CASE_OTHER | LUO_ABI_RECORD_MANDATORY, .size = 24,
	  .min_size = 24, .max = 2 },
	{ .type = CASE_ARRAY, .size = 16, .min_size = 8, .max = 2,
	  .max_entries = 10000 },
	{ .type = CASE_UNKNOWN, .size = 16, .min_size = 8, .max = 2,
	  .max_entries = 10000 },
};

static const struct luo_abi_format case_newer = {
	.tag = &case_tag,
	.types = case_newer_types,
	.nr_types = ARRAY_SIZE(case_newer_types),
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
	u64 *data = case_begin(CASE_RECORD, 16);

	EXPECT(data);
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
	u64 *data = case_begin(CASE_RECORD, 8), got[2] = { 1, 1 };

	*data = 42;
	EXPECT(!case_end());
	luo_abi_get(luo_abi_next(&case_r, NULL, CASE_RECORD), got, sizeof(got));
	EXPECT(got[0] == 42 && got[1] == 0);
}

static void case_longer(void)
{
	u64 *data = case_begin_newer(CASE_RECORD, 32), got[2] = { 0, 0 };
	size_t first = sizeof(struct luo_abi_header) +
		       sizeof(struct luo_abi_record);

	data[0] = 42;
	data[1] = 43;
	EXPECT(!case_end());
	luo_abi_get(luo_abi_next(&case_r, NULL, CASE_RECORD), got, sizeof(got));
	EXPECT(got[0] == 42 && got[1] == 43);

	data = case_begin_newer(CASE_RECORD, 32);
	((u8 *)data)[29] = 1;
	EXPECT(case_end() == -EOPNOTSUPP);
	EXPECT(case_r.fault.reason == LUO_REASON_RECORD_TAIL);
	EXPECT(case_r.fault.offset == first + 29);
	EXPECT(case_r.fault.expected == 0 && case_r.fault.found == 1);
}

static void case_too_short(void)
{
	EXPECT(case_begin(CASE_RECORD, 0));
	EXPECT(case_end() == -EBADMSG);
	EXPECT(case_r.fault.reason == LUO_REASON_RECORD_SHORT);
}

static void case_unknown_record(void)
{
	u64 *data = case_begin_newer(CASE_OTHER, 24), got[2];

	EXPECT(data);
	luo_abi_record_of(data)->incompat = 1;
	data = luo_abi_append(&case_w, CASE_RECORD, 16);
	data[1] = 7;
	EXPECT(!case_end());
	luo_abi_get(luo_abi_next(&case_r, NULL, CASE_RECORD), got, sizeof(got));
	EXPECT(got[1] == 7);

	data = case_begin_newer(CASE_OTHER, 24);
	luo_abi_record_of(data)->reserved = 1;
	EXPECT(case_end() == -EOPNOTSUPP);
	EXPECT(case_r.fault.reason == LUO_REASON_RECORD_RESERVED);

	EXPECT(case_begin_newer(CASE_OTHER | LUO_ABI_RECORD_MANDATORY, 24));
	EXPECT(case_end() == -EOPNOTSUPP);
	EXPECT(case_r.fault.reason == LUO_REASON_RECORD_TYPE);
}

static void case_too_many(void)
{
	EXPECT(case_begin_newer(CASE_RECORD, 8));
	EXPECT(luo_abi_append(&case_w, CASE_RECORD, 8));
	EXPECT(!luo_abi_seal(&case_w));
	EXPECT(!case_check());
	EXPECT(luo_abi_append(&case_w, CASE_RECORD, 8));
	EXPECT(case_end() == -EOPNOTSUPP);
	EXPECT(case_r.fault.reason == LUO_REASON_RECORD_LIMIT);

	/* This kernel does not write what it would not read. */
	EXPECT(case_begin(CASE_RECORD, 8));
	EXPECT(luo_abi_append(&case_w, CASE_RECORD, 8));
	EXPECT(luo_abi_append(&case_w, CASE_RECORD, 8));
	EXPECT(case_end() == -EINVAL);
}

static void case_features(void)
{
	EXPECT(case_begin(CASE_RECORD, 8));
	luo_abi_set_features(&case_w, 1, 0x8000000000000000ULL);
	EXPECT(!case_end());
	EXPECT(case_r.header.incompat == 1);
	EXPECT(case_r.header.compat == 0x8000000000000000ULL);

	/* What the tag does not declare nobody can be asked for. */
	EXPECT(case_begin(CASE_RECORD, 8));
	luo_abi_set_features(&case_w, 8, 0);
	EXPECT(case_end() == -EINVAL);
}

/* Try @prepare without the feature, and with it. */
static void case_covered(void (*prepare)(void), u64 feature)
{
	prepare();
	luo_abi_set_features(&case_w, 7 & ~feature, 0);
	EXPECT(case_end() == -EINVAL);
	prepare();
	luo_abi_set_features(&case_w, feature, 0);
	EXPECT(!case_end());
}

static void case_write_tail(void)
{
	u64 *data = case_begin(CASE_RECORD, 16);

	data[1] = 1;
}

static void case_write_incompat(void)
{
	luo_abi_record_of(case_begin(CASE_RECORD, 8))->incompat = 1;
}

static void case_write_later(void)
{
	EXPECT(case_begin(CASE_LATER, 8));
}

static void case_all_is_covered(void)
{
	case_covered(case_write_tail, 1);
	case_covered(case_write_incompat, 2);
	case_covered(case_write_later, 4);

	/* What the table does not have, or not any more. */
	EXPECT(case_begin(CASE_OTHER, 8));
	EXPECT(case_end() == -EINVAL);
	luo_abi_record_of(case_begin(CASE_RECORD, 8))->incompat = 2;
	luo_abi_set_features(&case_w, 7, 0);
	EXPECT(case_end() == -EINVAL);
}

static void case_no_room(void)
{
	EXPECT(case_begin(CASE_RECORD, 8));
	EXPECT(!luo_abi_append(&case_w, CASE_RECORD, sizeof(case_mem)));
	EXPECT(!luo_abi_append(&case_w, CASE_RECORD, 8));
	EXPECT(case_end() == -ENOSPC);

	luo_abi_begin(&case_w, &case_format, case_mem, 8);
	EXPECT(case_end() == -ENOSPC);

	EXPECT(!case_begin(CASE_RECORD, 12));
	EXPECT(case_end() == -EINVAL);
}

/* An array of @nr entries of @size bytes in a set that has room for @room. */
static int case_array(const struct luo_abi_format *format, u16 type,
		      size_t size, u64 nr, u64 room)
{
	struct kho_block_set_it it;
	struct kho_block_set bs;
	u32 *entry;
	int err;

	luo_abi_begin(&case_w, format, case_mem, sizeof(case_mem));
	kho_block_set_init(&bs, size);
	err = kho_block_set_grow(&bs, room);
	kho_block_set_it_init(&it, &bs);
	for (u64 i = 0; !err && i < nr; i++) {
		entry = kho_block_set_it_reserve_entry(&it);
		entry[0] = i;
	}
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
	EXPECT(case_array(&case_format, CASE_RECORD, 16, 5, 5) == -EINVAL);
	EXPECT(case_array(&case_format, CASE_UNKNOWN, 16, 5, 5) == -EINVAL);

	/* Its blocks are not to be had here, whether it is known or not. */
	EXPECT(!case_array(&case_newer, CASE_ARRAY, 16, 5, 5));
	EXPECT(case_check() == -EBADMSG);
	EXPECT(case_r.fault.reason == LUO_REASON_ARRAY_ADDRESS);
	EXPECT(!case_array(&case_newer, CASE_UNKNOWN, 16, 5, 5));
	EXPECT(case_check() == -EBADMSG);
	EXPECT(case_r.fault.reason == LUO_REASON_ARRAY_ADDRESS);

	EXPECT(!case_array(&case_newer, CASE_ARRAY, 16, 300, 300));
	EXPECT(case_check() == -EOPNOTSUPP);
	EXPECT(case_r.fault.reason == LUO_REASON_ARRAY_LIMIT);
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
	EXPECT(case_begin(CASE_RECORD, 8));
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
	{ "what an older writer did not know is 0", case_shorter },
	{ "what a newer writer added is accepted while it is 0", case_longer },
	{ "a record that is shorter than ever is refused", case_too_short },
	{ "an unknown record is skipped, unless it is mandatory",
	  case_unknown_record },
	{ "there are not more records than there may be", case_too_many },
	{ "features are what is used, and declared", case_features },
	{ "whatever an older kernel would refuse needs a feature",
	  case_all_is_covered },
	{ "a writer without room says so", case_no_room },
	{ "an array can be empty", case_empty_array },
	{ "an array has no empty block, and only what it may have",
	  case_bad_array },
	{ "memory must have been handed over", case_not_handed_over },
	{ "memory can be too small for a header", case_too_small },
	{ "each reason has an errno and words", case_reasons },
};

const unsigned int luo_abi_nr_cases = ARRAY_SIZE(luo_abi_cases);
