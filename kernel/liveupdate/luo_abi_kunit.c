// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the serialized data of live updates. luo_abi has the rules, and
 * for each tag its golden blobs and mutants. The same tests, with more mutants,
 * can be built as a program: tools/testing/selftests/liveupdate/abi/.
 * luo_abi_test.seed=N on the command line repeats a run.
 *
 * The others need two kernels. In the first one luo_outgoing preserves blobs,
 * some of them damaged; then a kexec; in the second one luo_incoming opens
 * them:
 *
 *	kunit.autorun=1 kunit.filter_glob=luo_outgoing luo_abi_test.hand_over=1
 *	kunit.autorun=1 kunit.filter_glob=luo_incoming
 */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/crc32.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/luo_tag.h>
#include <linux/moduleparam.h>
#include <linux/random.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/timex.h>

#include "luo_abi_internal.h"
#include "luo_abi_suite.h"

/* Of each golden blob */
#define MUTANTS		5000

static unsigned long long seed;
module_param(seed, ullong, 0444);
MODULE_PARM_DESC(seed, "what the mutants are made from; 0: something new");

static const void *gen_rule(struct kunit *test, const void *prev, char *desc)
{
	const struct luo_abi_case *rule = prev;

	rule = rule ? rule + 1 : luo_abi_cases;
	if (rule == luo_abi_cases + luo_abi_nr_cases)
		return NULL;
	strscpy(desc, rule->name, KUNIT_PARAM_DESC_SIZE);

	return rule;
}

static const void *gen_suite(struct kunit *test, const void *prev, char *desc)
{
	const struct luo_abi_suite *const *suite = prev;

	suite = suite ? suite + 1 : luo_abi_suites;
	if (suite == luo_abi_suites + luo_abi_nr_suites)
		return NULL;
	strscpy(desc, (*suite)->name, KUNIT_PARAM_DESC_SIZE);

	return suite;
}

static const struct luo_abi_suite *suite_of(struct kunit *test)
{
	return *(const struct luo_abi_suite *const *)test->param_value;
}

static void rules(struct kunit *test)
{
	const struct luo_abi_case *rule = test->param_value;
	const char *wrong = luo_abi_run_case(rule);

	if (wrong)
		KUNIT_FAIL(test, "%s", wrong);
}

/* Load a golden blob for luo_abi_suite_read(). */
static void load(struct kunit *test, struct luo_abi_image *image,
		 const struct luo_abi_golden *golden)
{
	KUNIT_ASSERT_EQ(test, 0, luo_abi_image_load(image, golden->data,
						    golden->size));
	luo_abi_suite_use(image);
}

static void golden(struct kunit *test)
{
	const struct luo_abi_suite *suite = suite_of(test);
	struct luo_abi_image image;
	struct luo_abi_text *text;

	text = kunit_kzalloc(test, sizeof(*text), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, text);

	for (unsigned int i = 0; i < suite->nr_goldens; i++) {
		load(test, &image, &suite->goldens[i]);
		KUNIT_EXPECT_EQ(test, LUO_REASON_NONE,
				luo_abi_suite_read(suite, &image,
						   LUO_ABI_SUITE_PHYS, text,
						   false));
		KUNIT_EXPECT_STREQ(test, text->buf, suite->goldens[i].text);
		luo_abi_image_free(&image);
	}
}

KUNIT_DEFINE_ACTION_WRAPPER(free_data, kfree, const void *);

static void same_state_same_bytes(struct kunit *test)
{
	const struct luo_abi_suite *suite = suite_of(test);
	const struct luo_abi_golden *golden =
		&suite->goldens[suite->nr_goldens - 1];
	struct luo_abi_state *state;
	u8 *data = NULL;
	size_t size;
	void *mem;

	state = kunit_kzalloc(test, sizeof(*state), GFP_KERNEL);
	mem = kunit_kmalloc(test, LUO_ABI_SUITE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, state);
	KUNIT_ASSERT_NOT_NULL(test, mem);
	memset(mem, 0xaa, LUO_ABI_SUITE_SIZE);

	KUNIT_EXPECT_EQ(test, 0,
			luo_abi_suite_write(suite, state, mem,
					    LUO_ABI_SUITE_SIZE));
	KUNIT_EXPECT_EQ(test, 0,
			luo_abi_image_save(state, &data, &size));
	luo_abi_state_free(state);
	KUNIT_ASSERT_NOT_NULL(test, data);
	kunit_add_action(test, free_data, data);

	KUNIT_ASSERT_EQ(test, size, golden->size);
	KUNIT_EXPECT_MEMEQ(test, data, golden->data, size);
}

static void mutants(struct kunit *test)
{
	struct luo_abi_rng rng = { .state = seed ?: get_random_u64() ?: 1 };
	const struct luo_abi_suite *suite = suite_of(test);
	unsigned long killed[LUO_ABI_REASONS] = {};
	enum luo_abi_reason reason;
	struct luo_abi_image image;
	unsigned long unnoticed = 0;
	struct luo_abi_text *text;
	bool sealed, changed;
	u64 phys;

	text = kunit_kzalloc(test, sizeof(*text), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, text);
	kunit_info(test, "seed %llu", rng.state);

	for (unsigned int i = 0; i < suite->nr_goldens; i++) {
		for (unsigned int j = 0; j < MUTANTS; j++) {
			load(test, &image, &suite->goldens[i]);
			sealed = luo_abi_mutate(&image, &rng, &phys);
			changed = luo_abi_image_changed(&image,
							suite->goldens[i].data);
			reason = luo_abi_suite_read(suite, &image, phys, text,
						    false);
			killed[reason]++;
			unnoticed += !sealed && changed && !reason;
			luo_abi_image_free(&image);
			cond_resched();
		}
	}

	KUNIT_EXPECT_EQ(test, 0, unnoticed);
	for (unsigned int i = 0; i < LUO_ABI_REASONS; i++) {
		kunit_info(test, "%8lu %s", killed[i],
			   i ? luo_abi_reason_text(i) : "survived");
		if (luo_abi_suite_expects(suite, i) && !killed[i])
			KUNIT_FAIL(test, "no mutant: %s",
				   luo_abi_reason_text(i));
	}
}

/* A blob of 64 KiB of records that are SIZE bytes each. */
#define COST_SIZE	SZ_64K
#define COST_RECORD	(LUO_ABI_RECORD_MANDATORY | 1)

static const struct luo_abi_tag cost_tag = {
	.size = sizeof(cost_tag),
	.kind = LUO_ABI_TAG_SUBTREE,
	.name = "luo-abi-cost",
	.magic = LUO_ABI_MAGIC_EXAMPLE,
};

static u64 cost_of_check(struct kunit *test, void *mem, size_t size)
{
	const struct luo_abi_field field = {
		.size = size - sizeof(struct luo_abi_record),
		.needs = LUO_ABI_ALWAYS,
	};
	const struct luo_abi_type type = {
		.type = COST_RECORD,
		.size = field.size,
		.first_size = field.size,
		.fields = &field,
		.nr_fields = 1,
		.needs = LUO_ABI_ALWAYS,
		.max = U32_MAX,
	};
	const struct luo_abi_format format = {
		.tag = &cost_tag, .types = &type, .nr_types = 1,
	};
	struct luo_abi_writer w;
	struct luo_abi_reader r;
	u64 start, end;
	int err;

	luo_abi_begin(&w, &format, mem, COST_SIZE);
	while (w.used + size <= COST_SIZE)
		luo_abi_append(&w, COST_RECORD, type.size);
	KUNIT_ASSERT_EQ(test, 0, luo_abi_seal(&w));
	luo_abi_end(&w);

	start = get_cycles();
	err = luo_abi_check(&r, &format, mem, COST_SIZE);
	end = get_cycles();
	KUNIT_ASSERT_EQ(test, 0, err);

	return end - start;
}

/*
 * What a check costs beside the checksum. Cycles mean something where they
 * count instructions (QEMU's -icount), so nothing is expected of them here.
 */
static void cost(struct kunit *test)
{
	static const size_t sizes[] = { 32, 64, 128, 256, 512, 1024, 4096 };
	void *mem = kunit_kmalloc(test, COST_SIZE, GFP_KERNEL);
	u64 start, checksum;

	KUNIT_ASSERT_NOT_NULL(test, mem);
	memset(mem, 0xaa, COST_SIZE);
	crc32c(0, mem, COST_SIZE);
	start = get_cycles();
	crc32c(0, mem, COST_SIZE);
	checksum = get_cycles() - start;

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		kunit_info(test, "records of %zu bytes: %llu, checksum %llu per KiB",
			   sizes[i],
			   cost_of_check(test, mem, sizes[i]) / (COST_SIZE / SZ_1K),
			   checksum / (COST_SIZE / SZ_1K));
}

static int luo_abi_test_init(struct kunit *test)
{
	luo_abi_suite_use(NULL);
	kunit_activate_static_stub(test, luo_abi_map, luo_abi_suite_map);
	kunit_activate_static_stub(test, luo_tag_is_freezing,
				   luo_abi_suite_is_freezing);

	return 0;
}

static struct kunit_case luo_abi_test_cases[] = {
	KUNIT_CASE_PARAM(rules, gen_rule),
	KUNIT_CASE_PARAM(golden, gen_suite),
	KUNIT_CASE_PARAM(same_state_same_bytes, gen_suite),
	KUNIT_CASE(cost),
	KUNIT_CASE_PARAM_ATTR(mutants, gen_suite, { .speed = KUNIT_SPEED_SLOW }),
	{}
};

static struct kunit_suite luo_abi_test_suite = {
	.name = "luo_abi",
	.init = luo_abi_test_init,
	.test_cases = luo_abi_test_cases,
};

/* --- two kernels */

#define SUBTREE		"luo-abi-kunit"

/* What is done to a blob after it was sealed. */
enum fate {
	FATE_GOOD,
	FATE_NOT_SEALED,
	FATE_BIT_FLIPPED,
	FATE_LOOP,
	FATE_BLOCK_ELSEWHERE,
	FATE_NOT_PRESERVED,
	FATE_ANOTHERS_PAGE,
	FATE_MIDDLE_OF_A_FOLIO,
	FATE_NR,
};

static const enum luo_abi_reason fate_reasons[FATE_NR] = {
	[FATE_NOT_SEALED] = LUO_REASON_NOT_SEALED,
	[FATE_BIT_FLIPPED] = LUO_REASON_CHECKSUM,
	[FATE_LOOP] = LUO_REASON_ARRAY_COUNT,
	[FATE_BLOCK_ELSEWHERE] = LUO_REASON_ARRAY_ADDRESS,
	[FATE_NOT_PRESERVED] = LUO_REASON_NOT_HANDED_OVER,
	[FATE_ANOTHERS_PAGE] = LUO_REASON_MAGIC,
	[FATE_MIDDLE_OF_A_FOLIO] = LUO_REASON_NOT_HANDED_OVER,
};

/**
 * struct luo_abi_kunit_ser - The record for the second kernel.
 * @blobs: Physical addresses of the blobs.
 * @block: Physical address of the first block of the good blob's array.
 * @folio: Physical address of four preserved pages that are not a blob.
 */
struct luo_abi_kunit_ser {
	u64 blobs[FATE_NR];
	u64 block;
	u64 folio;
};

static bool hand_over_blobs;
module_param_named(hand_over, hand_over_blobs, bool, 0444);
MODULE_PARM_DESC(hand_over, "hand over blobs to the next kernel, for luo_incoming");

/* They belong to the next kernel. */
static struct luo_abi_state outgoing[FATE_NR];

static void meet_fate(struct kunit *test, struct luo_abi_state *state,
		      enum fate fate)
{
	struct kho_block_set *bs = &state->sets[0];
	struct kho_block *block = list_first_entry(&bs->blocks,
						   struct kho_block, list);
	const struct luo_abi_suite *suite = luo_abi_suites[0];
	void *elsewhere;

	switch (fate) {
	case FATE_NOT_SEALED:
		luo_abi_rewind(&state->w);
		break;
	case FATE_BIT_FLIPPED:
		((u8 *)state->w.blob)[state->w.used - 1] ^= 0x10;
		break;
	case FATE_LOOP:
		list_next_entry(block, list)->ser->next = virt_to_phys(block->ser);
		break;
	case FATE_BLOCK_ELSEWHERE:
		/* Not preserved, and in use until the kexec. */
		elsewhere = kmalloc(PAGE_SIZE, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, elsewhere);
		bs->head_pa = virt_to_phys(elsewhere);
		luo_abi_rewind(&state->w);
		luo_abi_append_array(&state->w, suite->format->types[1].type,
				     bs);
		KUNIT_ASSERT_EQ(test, 0, luo_abi_seal(&state->w));
		break;
	default:
		break;
	}
}

static void outgoing_blobs(struct kunit *test)
{
	const struct luo_abi_suite *suite = luo_abi_suites[0];
	struct luo_abi_kunit_ser *ser;
	void *anothers;

	/* The next kernel must know the example then. */
	if (!hand_over_blobs)
		kunit_skip(test, "luo_abi_test.hand_over=1 is not set");
	if (outgoing[0].w.blob)
		kunit_skip(test, "it has been done");

	ser = kho_alloc_preserve(sizeof(*ser));
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ser);
	for (enum fate fate = 0; fate < FATE_ANOTHERS_PAGE; fate++) {
		void *mem = fate == FATE_NOT_PRESERVED ?
			    (void *)__get_free_page(GFP_KERNEL) :
			    kho_alloc_preserve(PAGE_SIZE);

		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mem);
		KUNIT_ASSERT_EQ(test, 0,
				luo_abi_suite_write(suite, &outgoing[fate], mem,
						    PAGE_SIZE));
		meet_fate(test, &outgoing[fate], fate);
		ser->blobs[fate] = virt_to_phys(mem);
	}
	ser->block = kho_block_set_head_pa(&outgoing[FATE_GOOD].sets[0]);

	/* Two handles lead to preserved memory that is not a blob. */
	anothers = kho_alloc_preserve(4 * PAGE_SIZE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, anothers);
	memset(anothers, 0x55, 4 * PAGE_SIZE);
	memcpy(anothers + PAGE_SIZE, outgoing[FATE_GOOD].w.blob, PAGE_SIZE);
	ser->folio = virt_to_phys(anothers);
	ser->blobs[FATE_ANOTHERS_PAGE] = ser->folio;
	ser->blobs[FATE_MIDDLE_OF_A_FOLIO] = ser->folio + PAGE_SIZE;

	liveupdate_tag_use(suite->format->tag);
	KUNIT_ASSERT_EQ(test, 0, kho_add_subtree(SUBTREE, ser, sizeof(*ser)));
}

static struct kunit_case outgoing_cases[] = {
	KUNIT_CASE(outgoing_blobs),
	{}
};

static struct kunit_suite outgoing_suite = {
	.name = "luo_outgoing",
	.test_cases = outgoing_cases,
};

static struct luo_abi_kunit_ser *incoming;

static void taken_over(struct kunit *test)
{
	const struct luo_abi_suite *suite = luo_abi_suites[0];
	u64 phys = incoming->blobs[FATE_GOOD];
	struct luo_abi_reader r;
	struct luo_abi_text *text;

	text = kunit_kzalloc(test, sizeof(*text), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, text);

	KUNIT_ASSERT_EQ(test, 0, luo_abi_open(&r, suite->format, phys));
	KUNIT_EXPECT_EQ(test, 0, suite->read(&r, text));
	KUNIT_EXPECT_STREQ(test, text->buf,
			   suite->goldens[suite->nr_goldens - 1].text);

	KUNIT_EXPECT_TRUE(test, kho_range_is_incoming(incoming->block, PAGE_SIZE));
	luo_abi_release(&r);
	KUNIT_EXPECT_FALSE(test, kho_range_is_incoming(phys, 1));
	KUNIT_EXPECT_FALSE(test, kho_range_is_incoming(incoming->block, 1));

	/* Not twice. */
	KUNIT_EXPECT_EQ(test, -EFAULT, luo_abi_open(&r, suite->format, phys));
	luo_abi_release(&r);
}

static void refused(struct kunit *test)
{
	const struct luo_abi_suite *suite = luo_abi_suites[0];
	char why[LUO_ABI_FAULT_LEN];
	struct luo_abi_reader r;

	for (enum fate fate = FATE_GOOD + 1; fate < FATE_NR; fate++) {
		u64 phys = incoming->blobs[fate];
		bool sound;

		KUNIT_EXPECT_LT(test, luo_abi_open(&r, suite->format, phys), 0);
		kunit_info(test, "%s",
			   luo_abi_fault_text(&r.fault, why, sizeof(why)));
		KUNIT_EXPECT_EQ(test, r.fault.reason, fate_reasons[fate]);
		sound = r.sound;
		luo_abi_release(&r);
		/* Memory that may not be the blob's stays preserved. */
		KUNIT_EXPECT_EQ(test, kho_range_is_incoming(phys, 1),
				!sound && fate != FATE_NOT_PRESERVED);
	}
	KUNIT_EXPECT_TRUE(test, kho_range_is_incoming(incoming->folio,
						      4 * PAGE_SIZE));
	kho_restore_free(phys_to_virt(incoming->folio));
	kho_restore_free(incoming);
}

static int incoming_init(struct kunit *test)
{
	phys_addr_t phys;
	size_t size;

	if (kho_retrieve_subtree(SUBTREE, &phys, &size))
		kunit_skip(test, "nothing was handed over");
	KUNIT_ASSERT_EQ(test, size, sizeof(*incoming));
	incoming = phys_to_virt(phys);

	return 0;
}

static struct kunit_case incoming_cases[] = {
	KUNIT_CASE(taken_over),
	/* The last one: frees the record. */
	KUNIT_CASE(refused),
	{}
};

static struct kunit_suite incoming_suite = {
	.name = "luo_incoming",
	.init = incoming_init,
	.test_cases = incoming_cases,
};

kunit_test_suites(&luo_abi_test_suite, &outgoing_suite, &incoming_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_DESCRIPTION("KUnit tests of the serialized data of live updates");
MODULE_LICENSE("GPL");
