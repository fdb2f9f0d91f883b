// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the preserved state of a memfd.
 *
 * They need two kernels, as kho_kunit.c explains. The first one preserves the
 * state of files and damages one word of each; the second one retrieves and
 * finishes them. Some have a name and an errno. The others are a sweep over all
 * bits and some unusual values of each word: whatever they are, retrieving the
 * file succeeds or fails with an errno, and nothing warns.
 */

#include <kunit/test.h>
#include <kunit/visibility.h>
#include <linux/array_size.h>
#include <linux/bits.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/memfd.h>
#include <linux/liveupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "../../mm/internal.h"
#include "kexec_handover_internal.h"

#define MEMFD_KUNIT_SUBTREE	"memfd-kunit"

/* The file: a large folio, a small one, and not all of its last page. */
#define MEMFD_KUNIT_ORDER	2
#define MEMFD_KUNIT_PAGES	((1 << MEMFD_KUNIT_ORDER) + 1)
#define MEMFD_KUNIT_SIZE	(MEMFD_KUNIT_PAGES * PAGE_SIZE - 100)

/* Words of 64 bits that describe the file, in the order of their use. */
enum memfd_kunit_word {
	WORD_POS,
	WORD_SIZE,
	WORD_SEALS_AND_FLAGS,
	WORD_NR_FOLIOS,
	WORD_LIST_FIRST,
	WORD_LIST_REST,
	WORD_CHUNK_NEXT,
	WORD_CHUNK_PAGE,
	WORD_LARGE_PFN,
	WORD_LARGE_INDEX,
	WORD_SMALL_PFN,
	WORD_SMALL_INDEX,
	NR_WORDS,
};

enum memfd_kunit_change {
	CHANGE_NOTHING,
	CHANGE_SET,
	CHANGE_FLIP,
	CHANGE_ADD,
	/* To the large folio's pfn or handle, plus a number */
	CHANGE_TO_LARGE,
};

/**
 * struct memfd_kunit_case - A file, and what retrieving it returns.
 * @name:   Name of the case.
 * @word:   The word that is damaged.
 * @change: How it is damaged.
 * @value:  The number for @change.
 * @err:    The errno.
 * @left:   The large folio stays preserved, as nothing leads to it.
 */
struct memfd_kunit_case {
	const char *name;
	enum memfd_kunit_word word;
	enum memfd_kunit_change change;
	u64 value;
	int err;
	bool left;
};

#define PFN_MASK	GENMASK_ULL(51, 0)

static const struct memfd_kunit_case memfd_kunit_cases[] = {
	{ "good", WORD_POS, CHANGE_NOTHING, 0, 0 },
	{ "good position", WORD_POS, CHANGE_SET, MAX_LFS_FILESIZE, 0 },
	{ "position too large", WORD_POS, CHANGE_SET, 1ULL << 63, -EINVAL },
	{ "size too large", WORD_SIZE, CHANGE_SET, 1ULL << 63, -EINVAL },
	{ "size 0", WORD_SIZE, CHANGE_SET, 0, -EINVAL },
	{ "a page is missing", WORD_SIZE, CHANGE_ADD, 101, -EIO },
	{ "a folio behind the end", WORD_SIZE, CHANGE_ADD, -PAGE_SIZE, -EIO },
	{ "unknown seal", WORD_SEALS_AND_FLAGS, CHANGE_FLIP, BIT(9),
	  -EOPNOTSUPP },
	{ "unknown flag", WORD_SEALS_AND_FLAGS, CHANGE_FLIP, BIT(32),
	  -EOPNOTSUPP },
	{ "no folios", WORD_NR_FOLIOS, CHANGE_SET, 0, -EINVAL,
	  true },
	{ "a folio is missing", WORD_NR_FOLIOS, CHANGE_SET, 1, -EIO },
	{ "more folios than the list has", WORD_NR_FOLIOS, CHANGE_SET,
	  PAGE_SIZE / sizeof(struct memfd_luo_folio_ser) + 1, -EINVAL,
	  true },
	{ "most folios", WORD_NR_FOLIOS, CHANGE_SET, U64_MAX, -EINVAL,
	  true },
	{ "no list", WORD_LIST_FIRST, CHANGE_SET, 0, -EINVAL, true },
	{ "pfn inside of a folio", WORD_LARGE_PFN, CHANGE_TO_LARGE, 1, -EIO,
	  true },
	{ "pfn inside of a restored folio", WORD_SMALL_PFN, CHANGE_TO_LARGE, 1,
	  -EIO },
	{ "pfn twice", WORD_SMALL_PFN, CHANGE_TO_LARGE, 0, -EIO },
	{ "pfn not preserved", WORD_SMALL_PFN, CHANGE_SET, 1, -EIO },
	{ "largest pfn", WORD_SMALL_PFN, CHANGE_SET, PFN_MASK, -EIO },
	{ "unknown flag of a folio", WORD_SMALL_PFN, CHANGE_FLIP, BIT_ULL(54),
	  -EOPNOTSUPP },
	{ "index of a large folio misaligned", WORD_LARGE_INDEX, CHANGE_SET, 1,
	  -EIO },
	{ "index behind the end", WORD_SMALL_INDEX, CHANGE_SET,
	  MEMFD_KUNIT_PAGES, -EIO },
	{ "largest index", WORD_SMALL_INDEX, CHANGE_SET, U64_MAX, -EIO },
	{ "index twice", WORD_SMALL_INDEX, CHANGE_SET, 1, -EEXIST },
};

static const u64 memfd_kunit_odd[] = {
	0, 1, 2, 511, 512, U8_MAX, U16_MAX, U32_MAX, U64_MAX, PFN_MASK,
	1ULL << 63, PAGE_SIZE, -PAGE_SIZE, 0xfee00000, S64_MAX,
};

/* Handles that are wrong, relative to the file's. */
static const struct {
	const char *name;
	enum memfd_kunit_change change;
	u64 value;
} memfd_kunit_handles[] = {
	{ "0", CHANGE_SET, 0 },
	{ "1", CHANGE_SET, 1 },
	{ "misaligned", CHANGE_ADD, sizeof(u64) },
	{ "not preserved", CHANGE_SET, PAGE_SIZE },
	{ "the highest page", CHANGE_SET, -PAGE_SIZE },
	{ "the highest address", CHANGE_SET, U64_MAX },
	{ "a larger piece of memory", CHANGE_TO_LARGE, 0 },
	{ "inside of a larger piece of memory", CHANGE_TO_LARGE, PAGE_SIZE },
};

/**
 * struct memfd_kunit_file - One file. Physical addresses.
 * @ser:   Its state, what LUO would have as the handle.
 * @large: The large folio.
 * @small: The small folio.
 */
struct memfd_kunit_file {
	u64 ser;
	u64 large;
	u64 small;
};

#define MEMFD_KUNIT_SWEEP	(NR_WORDS * (64 + ARRAY_SIZE(memfd_kunit_odd)))

struct memfd_kunit_ser {
	struct memfd_kunit_file cases[ARRAY_SIZE(memfd_kunit_cases)];
	struct memfd_kunit_file handle;
	struct memfd_kunit_file sweep[MEMFD_KUNIT_SWEEP];
};

static u64 memfd_kunit_changed(u64 was, enum memfd_kunit_change change,
			       u64 value, u64 large)
{
	switch (change) {
	case CHANGE_SET:
		return value;
	case CHANGE_FLIP:
		return was ^ value;
	case CHANGE_ADD:
		return was + value;
	case CHANGE_TO_LARGE:
		return large + value;
	default:
		return was;
	}
}

/* --- first kernel */

static u64 memfd_kunit_folio(struct kunit *test, unsigned int order)
{
	struct folio *folio = folio_alloc(GFP_KERNEL | __GFP_ZERO, order);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_ASSERT_EQ(test, 0, kho_preserve_folio(folio));
	memset(folio_address(folio), 'a' + order, folio_size(folio));

	return PFN_PHYS(folio_pfn(folio));
}

/* The list of the file's folios, as kho_preserve_vmalloc() has preserved it. */
static struct memfd_luo_folio_ser *memfd_kunit_list(struct kunit *test,
						    struct memfd_luo_ser *ser)
{
	struct memfd_luo_folio_ser *list = vcalloc(2, sizeof(*list));

	KUNIT_ASSERT_NOT_NULL(test, list);
	KUNIT_ASSERT_EQ(test, 0, kho_preserve_vmalloc(list, &ser->folios));

	return list;
}

static u64 *memfd_kunit_word(struct memfd_luo_ser *ser,
			     struct memfd_luo_folio_ser *list,
			     enum memfd_kunit_word word)
{
	struct kho_vmalloc_chunk *chunk = phys_to_virt(ser->folios.first.phys);
	u64 *const words[NR_WORDS] = {
		[WORD_POS] = (void *)&ser->pos,
		[WORD_SIZE] = (void *)&ser->size,
		[WORD_SEALS_AND_FLAGS] = (void *)&ser->seals,
		[WORD_NR_FOLIOS] = (void *)&ser->nr_folios,
		[WORD_LIST_FIRST] = (void *)&ser->folios,
		[WORD_LIST_REST] = (u64 *)&ser->folios + 1,
		[WORD_CHUNK_NEXT] = &chunk->hdr.next.phys,
		[WORD_CHUNK_PAGE] = &chunk->phys[0],
		[WORD_LARGE_PFN] = (u64 *)&list[0],
		[WORD_LARGE_INDEX] = (u64 *)&list[0] + 1,
		[WORD_SMALL_PFN] = (u64 *)&list[1],
		[WORD_SMALL_INDEX] = (u64 *)&list[1] + 1,
	};

	return words[word];
}

static struct memfd_kunit_file memfd_kunit_file(struct kunit *test,
						enum memfd_kunit_word word,
						enum memfd_kunit_change change,
						u64 value)
{
	struct memfd_luo_ser *ser = kho_alloc_preserve(sizeof(*ser));
	struct memfd_luo_folio_ser *list;
	struct memfd_kunit_file file;
	u64 *where;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ser);
	file.ser = virt_to_phys(ser);
	file.large = memfd_kunit_folio(test, MEMFD_KUNIT_ORDER);
	file.small = memfd_kunit_folio(test, 0);

	ser->size = MEMFD_KUNIT_SIZE;
	ser->nr_folios = 2;
	list = memfd_kunit_list(test, ser);
	list[0].pfn = PHYS_PFN(file.large);
	list[0].flags = MEMFD_LUO_FOLIO_DIRTY | MEMFD_LUO_FOLIO_UPTODATE;
	list[1] = list[0];
	list[1].pfn = PHYS_PFN(file.small);
	list[1].index = 1 << MEMFD_KUNIT_ORDER;

	where = memfd_kunit_word(ser, list, word);
	*where = memfd_kunit_changed(*where, change, value, list[0].pfn);

	return file;
}

static void memfd_outgoing_hand_over(struct kunit *test)
{
	struct memfd_kunit_ser *ser = kho_alloc_preserve(sizeof(*ser));
	unsigned int n = 0;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ser);

	for (int i = 0; i < ARRAY_SIZE(memfd_kunit_cases); i++) {
		const struct memfd_kunit_case *c = &memfd_kunit_cases[i];

		ser->cases[i] = memfd_kunit_file(test, c->word, c->change,
						 c->value);
	}
	ser->handle = memfd_kunit_file(test, 0, CHANGE_NOTHING, 0);

	for (enum memfd_kunit_word word = 0; word < NR_WORDS; word++) {
		for (int i = 0; i < 64; i++)
			ser->sweep[n++] = memfd_kunit_file(test, word,
							   CHANGE_FLIP,
							   BIT_ULL(i));
		for (int i = 0; i < ARRAY_SIZE(memfd_kunit_odd); i++)
			ser->sweep[n++] = memfd_kunit_file(test, word,
							   CHANGE_SET,
							   memfd_kunit_odd[i]);
	}
	KUNIT_ASSERT_EQ(test, n, MEMFD_KUNIT_SWEEP);

	KUNIT_ASSERT_EQ(test, 0, kho_add_subtree(MEMFD_KUNIT_SUBTREE, ser,
						 sizeof(*ser)));
}

static int memfd_outgoing_init(struct kunit_suite *suite)
{
	return kho_is_enabled() ? 0 : -EOPNOTSUPP;
}

static struct kunit_case memfd_outgoing_cases[] = {
	KUNIT_CASE(memfd_outgoing_hand_over),
	{}
};

static struct kunit_suite memfd_outgoing_suite = {
	.name = "kho_outgoing_memfd",
	.suite_init = memfd_outgoing_init,
	.test_cases = memfd_outgoing_cases,
};

/* --- second kernel */

static struct memfd_kunit_ser *memfd_kunit_in;

/* Retrieve, look at the file with @check, finish and release, as LUO does. */
static int memfd_kunit_use(u64 handle,
			   void (*check)(struct kunit *test, struct file *file),
			   struct kunit *test)
{
	const struct liveupdate_file_ops *ops = memfd_luo_handler.ops;
	struct liveupdate_file_op_args args = {
		.handler = &memfd_luo_handler,
		.serialized_data = handle,
	};
	int err;

	err = ops->retrieve(&args);
	if (!err && check)
		check(test, args.file);
	args.retrieve_status = err ?: 1;
	ops->finish(&args);
	if (!err)
		fput(args.file);
	ops->release(&args);

	return err;
}

static void memfd_kunit_check(struct kunit *test, struct file *file)
{
	const size_t large = PAGE_SIZE << MEMFD_KUNIT_ORDER;
	loff_t pos = 0;
	char *buf;

	KUNIT_EXPECT_EQ(test, i_size_read(file_inode(file)), MEMFD_KUNIT_SIZE);
	buf = kunit_kzalloc(test, MEMFD_KUNIT_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, buf);
	KUNIT_EXPECT_EQ(test, kernel_read(file, buf, MEMFD_KUNIT_SIZE, &pos),
			MEMFD_KUNIT_SIZE);
	KUNIT_EXPECT_NULL(test, memchr_inv(buf, 'a' + MEMFD_KUNIT_ORDER, large));
	KUNIT_EXPECT_NULL(test, memchr_inv(buf + large, 'a',
					   MEMFD_KUNIT_SIZE - large));
}

static void memfd_kunit_desc(const struct memfd_kunit_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(memfd_kunit, memfd_kunit_cases, memfd_kunit_desc);

static void memfd_incoming_case(struct kunit *test)
{
	const struct memfd_kunit_case *c = test->param_value;
	struct memfd_kunit_file *file = &memfd_kunit_in->cases[c - memfd_kunit_cases];

	KUNIT_EXPECT_TRUE(test, kho_range_is_incoming(file->ser, 1));
	KUNIT_EXPECT_EQ(test, c->err,
			memfd_kunit_use(file->ser, memfd_kunit_check, test));
	KUNIT_EXPECT_FALSE(test, kho_range_is_incoming(file->ser, 1));
	KUNIT_EXPECT_EQ(test, c->left, kho_range_is_incoming(file->large, 1));
	if (!c->err)
		KUNIT_EXPECT_FALSE(test, kho_range_is_incoming(file->small, 1));
	KUNIT_EXPECT_EQ(test, -EINVAL, memfd_kunit_use(file->ser, NULL, test));
}

/* Neither retrieve nor finish takes over what is not a file's state. */
static void memfd_incoming_handle(struct kunit *test)
{
	struct memfd_kunit_file *file = &memfd_kunit_in->handle;

	for (int i = 0; i < ARRAY_SIZE(memfd_kunit_handles); i++) {
		u64 handle = memfd_kunit_changed(file->ser,
						 memfd_kunit_handles[i].change,
						 memfd_kunit_handles[i].value,
						 file->large);

		KUNIT_EXPECT_EQ_MSG(test, -EINVAL,
				    memfd_kunit_use(handle, NULL, test), "%s",
				    memfd_kunit_handles[i].name);
	}
	KUNIT_EXPECT_EQ(test, 0,
			memfd_kunit_use(file->ser, memfd_kunit_check, test));
}

/*
 * A damaged address can lead to another file of the sweep, which then fails. So
 * it comes last, and no file has to be retrieved.
 */
static void memfd_incoming_sweep(struct kunit *test)
{
	unsigned int retrieved = 0;

	for (unsigned int i = 0; i < MEMFD_KUNIT_SWEEP; i++) {
		int err = memfd_kunit_use(memfd_kunit_in->sweep[i].ser, NULL,
					  test);

		KUNIT_EXPECT_LE_MSG(test, err, 0, "file %u", i);
		retrieved += !err;
		cond_resched();
	}
	kunit_info(test, "%u of %zu were retrieved", retrieved,
		   MEMFD_KUNIT_SWEEP);
	KUNIT_EXPECT_GT(test, retrieved, 0);
	KUNIT_EXPECT_LT(test, retrieved, MEMFD_KUNIT_SWEEP / 2);
}

static int memfd_incoming_init(struct kunit_suite *suite)
{
	phys_addr_t phys;
	size_t size;
	int err;

	err = kho_retrieve_subtree(MEMFD_KUNIT_SUBTREE, &phys, &size);
	if (err)
		return err;
	if (size != sizeof(*memfd_kunit_in))
		return -EINVAL;
	memfd_kunit_in = phys_to_virt(phys);

	return 0;
}

static struct kunit_case memfd_incoming_cases[] = {
	KUNIT_CASE_PARAM(memfd_incoming_case, memfd_kunit_gen_params),
	KUNIT_CASE(memfd_incoming_handle),
	KUNIT_CASE(memfd_incoming_sweep),
	{}
};

static struct kunit_suite memfd_incoming_suite = {
	.name = "kho_incoming_memfd",
	.suite_init = memfd_incoming_init,
	.test_cases = memfd_incoming_cases,
};

kunit_test_suites(&memfd_outgoing_suite, &memfd_incoming_suite);
