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
#define CASE_ARRAY	3

static const struct luo_abi_tag case_tag = {
	.size = sizeof(case_tag),
	.kind = LUO_ABI_TAG_SUBTREE,
	.name = "luo-abi-case",
	.magic = LUO_ABI_MAGIC_EXAMPLE,
	.incompat = 1,
};

static const struct luo_abi_type case_types[] = {
	{ .type = CASE_RECORD, .size = 16, .min_size = 8, .max = 2 },
	{ .type = CASE_ARRAY, .array = true, .size = 16, .min_size = 8,
	  .max = 2, .max_entries = 10 },
};

static const struct luo_abi_format case_format = {
	.tag = &case_tag,
	.types = case_types,
	.nr_types = ARRAY_SIZE(case_types),
};

/* One blob at a time. */
static u64 case_mem[64];
static struct luo_abi_writer case_w;
static struct luo_abi_reader case_r;

static void *case_begin(u16 type, size_t size)
{
	luo_abi_begin(&case_w, &case_tag, case_mem, sizeof(case_mem));

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
	u64 *data = case_begin(CASE_RECORD, 32), got[2] = { 0, 0 };

	data[0] = 42;
	data[1] = 43;
	EXPECT(!case_end());
	luo_abi_get(luo_abi_next(&case_r, NULL, CASE_RECORD), got, sizeof(got));
	EXPECT(got[0] == 42 && got[1] == 43);

	data = case_begin(CASE_RECORD, 32);
	data[3] = 1ULL << 32;
	EXPECT(case_end() == -EOPNOTSUPP);
	EXPECT(case_r.fault.reason == LUO_REASON_RECORD_TAIL);
	EXPECT(case_r.fault.offset ==
	       sizeof(struct luo_abi_header) + sizeof(struct luo_abi_record) +
	       3 * 8 + 4 * (*(u8 *)&data[3] == 0));
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
	u64 *data = case_begin(CASE_OTHER, 24), got[2];

	EXPECT(data);
	data = luo_abi_append(&case_w, CASE_RECORD, 16);
	data[1] = 7;
	EXPECT(!case_end());
	luo_abi_get(luo_abi_next(&case_r, NULL, CASE_RECORD), got, sizeof(got));
	EXPECT(got[1] == 7);

	EXPECT(case_begin(CASE_OTHER | LUO_ABI_RECORD_MANDATORY, 24));
	EXPECT(case_end() == -EOPNOTSUPP);
	EXPECT(case_r.fault.reason == LUO_REASON_RECORD_TYPE);
}

static void case_too_many(void)
{
	EXPECT(case_begin(CASE_RECORD, 8));
	EXPECT(luo_abi_append(&case_w, CASE_RECORD, 8));
	EXPECT(!luo_abi_seal(&case_w));
	EXPECT(!case_check());
	EXPECT(luo_abi_append(&case_w, CASE_RECORD, 8));
	EXPECT(case_end() == -EBADMSG);
	EXPECT(case_r.fault.reason == LUO_REASON_RECORD_REPEATED);
}

static void case_features(void)
{
	EXPECT(case_begin(CASE_RECORD, 8));
	luo_abi_require(&case_w, 1);
	luo_abi_announce(&case_w, 0x8000000000000000ULL);
	EXPECT(!case_end());
	EXPECT(case_r.header.incompat == 1);
	EXPECT(case_r.header.compat == 0x8000000000000000ULL);

	/* What the tag does not declare nobody was asked for. */
	EXPECT(case_begin(CASE_RECORD, 8));
	luo_abi_require(&case_w, 2);
	EXPECT(case_end() == -EINVAL);
}

static void case_no_room(void)
{
	EXPECT(case_begin(CASE_RECORD, 8));
	EXPECT(!luo_abi_append(&case_w, CASE_RECORD, sizeof(case_mem)));
	EXPECT(!luo_abi_append(&case_w, CASE_RECORD, 8));
	EXPECT(case_end() == -ENOSPC);

	luo_abi_begin(&case_w, &case_tag, case_mem, 8);
	EXPECT(case_end() == -ENOSPC);

	EXPECT(!case_begin(CASE_RECORD, 12));
	EXPECT(case_end() == -EINVAL);
}

static void case_empty_array(void)
{
	struct luo_abi_array_it it;
	struct kho_block_set bs;
	u64 entry[2];

	luo_abi_begin(&case_w, &case_tag, case_mem, sizeof(case_mem));
	kho_block_set_init(&bs, 16);
	luo_abi_append_array(&case_w, CASE_ARRAY, &bs);
	EXPECT(!case_end());
	luo_abi_array_begin(&it, luo_abi_next(&case_r, NULL, CASE_ARRAY));
	EXPECT(!luo_abi_array_next(&it, entry, sizeof(entry)));

	/* No room for one either. */
	luo_abi_begin(&case_w, &case_tag, case_mem,
		      sizeof(struct luo_abi_header));
	luo_abi_append_array(&case_w, CASE_ARRAY, &bs);
	EXPECT(case_end() == -ENOSPC);
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
	{ "a writer without room says so", case_no_room },
	{ "an array can be empty", case_empty_array },
	{ "memory must have been handed over", case_not_handed_over },
	{ "memory can be too small for a header", case_too_small },
	{ "each reason has an errno and words", case_reasons },
};

const unsigned int luo_abi_nr_cases = ARRAY_SIZE(luo_abi_cases);
