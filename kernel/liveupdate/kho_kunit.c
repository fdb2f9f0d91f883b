// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of kexec handover.
 *
 * They need two kernels. In the first one kho_outgoing checks which memory will
 * survive, and preserves memory, chains of blocks and vmalloc areas, which it
 * damages in every way that is detected separately. In the second one, after a
 * kexec, kho_incoming checks the preserved memory:
 *
 *	kunit.autorun=1 kunit.filter_glob=kho_outgoing*
 *	kunit.autorun=1 kunit.filter_glob=kho_incoming*
 *
 * kho_keys preserves kho_kunit.keys pieces of memory for measurements.
 */

#include <kunit/test.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/kexec_handover.h>
#include <linux/kho_block.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/pgtable.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <asm/sections.h>

#include "kexec_handover_internal.h"

#define KHO_KUNIT_SUBTREE	"kho-kunit"

/* An order-5 block; the pages before and behind are not preserved. */
#define KHO_KUNIT_ODD_ORDER	5
#define KHO_KUNIT_ODD_FIRST	3
#define KHO_KUNIT_ODD_NR	13

/* An order-5 block, preserved in two pieces: order 4 and order 3. */
#define KHO_KUNIT_EVEN_ORDER	5
#define KHO_KUNIT_EVEN_NR	24

#define KHO_KUNIT_CHAIN_BLOCKS	3
#define KHO_KUNIT_GOOD_ENTRIES	600

static const unsigned int kho_kunit_orders[] = { 0, 1, 3, 9, MAX_PAGE_ORDER };

struct kho_kunit_entry {
	u64 chain;
	u64 index;
};

/* What is wrong with a chain, always in its second block. */
enum kho_kunit_chain {
	CHAIN_NOT_PRESERVED,
	CHAIN_NO_MEMORY,
	CHAIN_MMIO,
	CHAIN_TOP_OF_ADDRESS_SPACE,
	CHAIN_LARGER,
	CHAIN_INSIDE_LARGER,
	CHAIN_MISALIGNED,
	CHAIN_LOOP,
	CHAIN_SELF,
	CHAIN_COUNT_ZERO,
	CHAIN_COUNT_LARGE,
	CHAIN_COUNT_HUGE,
	NR_CHAINS,
};

struct kho_kunit_damage {
	const char *name;
	int err;
	/* Blocks that are still not restored after the restore has failed. */
	unsigned long left;
};

static const struct kho_kunit_damage kho_kunit_damages[NR_CHAINS] = {
	[CHAIN_NOT_PRESERVED] = { "not preserved", -EFAULT, BIT(2) },
	[CHAIN_NO_MEMORY] = { "no memory", -EFAULT, BIT(2) },
	[CHAIN_MMIO] = { "mmio", -EFAULT, BIT(2) },
	[CHAIN_TOP_OF_ADDRESS_SPACE] = {
		"top of the address space", -EFAULT, BIT(2)
	},
	[CHAIN_LARGER] = { "larger than a block", -EFAULT, BIT(2) },
	[CHAIN_INSIDE_LARGER] = {
		"inside of something larger", -EFAULT, BIT(2)
	},
	[CHAIN_MISALIGNED] = { "misaligned", -EINVAL, BIT(2) },
	[CHAIN_LOOP] = { "loop", -ELOOP, 0 },
	[CHAIN_SELF] = { "follows itself", -ELOOP, BIT(2) },
	[CHAIN_COUNT_ZERO] = { "count zero", -ERANGE, BIT(1) | BIT(2) },
	[CHAIN_COUNT_LARGE] = {
		"count one too large", -ERANGE, BIT(1) | BIT(2)
	},
	[CHAIN_COUNT_HUGE] = { "count huge", -ERANGE, BIT(1) | BIT(2) },
};

/* What is wrong with a vmalloc area. */
enum kho_kunit_area {
	AREA_GOOD,
	AREA_GOOD_HUGE,
	AREA_FLAGS,
	AREA_ORDER_ONE,
	AREA_ORDER_TOO_LARGE,
	AREA_ORDER_31,
	AREA_ORDER_LARGEST,
	AREA_NO_PAGES,
	AREA_FEWER_PAGES,
	AREA_MORE_PAGES,
	AREA_MOST_PAGES,
	AREA_NO_CHUNK,
	AREA_CHUNK_NOT_PRESERVED,
	AREA_CHUNK_NO_MEMORY,
	AREA_CHUNK_TOP_OF_ADDRESS_SPACE,
	AREA_CHUNK_LARGER,
	AREA_CHUNK_INSIDE_LARGER,
	AREA_CHUNK_MISALIGNED,
	AREA_CHUNK_EMPTY,
	AREA_CHUNK_NOT_FULL,
	AREA_CHUNK_FOLLOWS_ITSELF,
	AREA_CHUNKS_LOOP,
	AREA_PAGE_NOT_PRESERVED,
	AREA_PAGE_NO_MEMORY,
	AREA_PAGE_TOP_OF_ADDRESS_SPACE,
	AREA_PAGE_LARGER,
	AREA_PAGE_INSIDE_LARGER,
	AREA_PAGE_MISALIGNED,
	AREA_PAGE_TWICE,
	AREA_PAGE_IS_CHUNK,
	NR_AREAS,
};

struct kho_kunit_area_case {
	const char *name;
	/* Number of pages. More than 511 have two chunks. */
	unsigned long pages;
	/* The first page was taken over although the restore failed. */
	bool taken;
};

static const struct kho_kunit_area_case kho_kunit_areas[NR_AREAS] = {
	[AREA_GOOD] = { "good", 600 },
	[AREA_GOOD_HUGE] = { "good and huge", 2 << (PMD_SHIFT - PAGE_SHIFT) },
	[AREA_FLAGS] = { "unknown flags", 3 },
	[AREA_ORDER_ONE] = { "order one", 4 },
	[AREA_ORDER_TOO_LARGE] = { "order too large", 3 },
	[AREA_ORDER_31] = { "order 31", 3 },
	[AREA_ORDER_LARGEST] = { "largest order", 3 },
	[AREA_NO_PAGES] = { "no pages", 3 },
	[AREA_FEWER_PAGES] = { "fewer pages", 3 },
	[AREA_MORE_PAGES] = { "more pages", 3 },
	[AREA_MOST_PAGES] = { "most pages", 3 },
	[AREA_NO_CHUNK] = { "no chunk", 3 },
	[AREA_CHUNK_NOT_PRESERVED] = { "chunk not preserved", 3 },
	[AREA_CHUNK_NO_MEMORY] = { "chunk not in memory", 3 },
	[AREA_CHUNK_TOP_OF_ADDRESS_SPACE] = {
		"chunk at the top of the address space", 3
	},
	[AREA_CHUNK_LARGER] = { "chunk in something larger", 3 },
	[AREA_CHUNK_INSIDE_LARGER] = { "chunk inside of something larger", 3 },
	[AREA_CHUNK_MISALIGNED] = { "chunk misaligned", 3 },
	[AREA_CHUNK_EMPTY] = { "chunk empty", 3 },
	[AREA_CHUNK_NOT_FULL] = { "chunk not full", 600 },
	[AREA_CHUNK_FOLLOWS_ITSELF] = { "chunk follows itself", 600 },
	[AREA_CHUNKS_LOOP] = { "chunks loop", 600 },
	[AREA_PAGE_NOT_PRESERVED] = { "page not preserved", 3 },
	[AREA_PAGE_NO_MEMORY] = { "page not in memory", 3 },
	[AREA_PAGE_TOP_OF_ADDRESS_SPACE] = {
		"page at the top of the address space", 3
	},
	[AREA_PAGE_LARGER] = { "page larger", 3 },
	[AREA_PAGE_INSIDE_LARGER] = { "page inside of something larger", 3 },
	[AREA_PAGE_MISALIGNED] = { "page misaligned", 3 },
	[AREA_PAGE_TWICE] = { "page listed twice", 3, true },
	[AREA_PAGE_IS_CHUNK] = { "page is the chunk", 3, true },
};

/* The record for the second kernel. Physical addresses. */
struct kho_kunit_ser {
	u64 folios[ARRAY_SIZE(kho_kunit_orders)];
	u64 odd;
	u64 even;
	u64 not_preserved;
	u64 target;
	u64 chains[NR_CHAINS][KHO_KUNIT_CHAIN_BLOCKS];
	u64 good;
	u64 shared[2];
	u64 too_long;
	u64 too_long_blocks;
	struct kho_vmalloc areas[NR_AREAS];
	u64 area_pages[NR_AREAS];
};

/* --- first kernel -------------------------------------------------------- */

static void kho_outgoing_folio(struct kunit *test)
{
	for (int i = 0; i < ARRAY_SIZE(kho_kunit_orders); i++) {
		unsigned int order = kho_kunit_orders[i];
		struct folio *folio = folio_alloc(GFP_KERNEL, order);

		KUNIT_ASSERT_NOT_NULL(test, folio);
		KUNIT_EXPECT_FALSE(test, kho_folio_is_preserved(folio));
		KUNIT_EXPECT_EQ(test, kho_preserve_folio(folio), 0);
		KUNIT_EXPECT_TRUE(test, kho_folio_is_preserved(folio));
		kho_unpreserve_folio(folio);
		KUNIT_EXPECT_FALSE(test, kho_folio_is_preserved(folio));
		folio_put(folio);
	}
}

/* A folio of which each part is preserved survives, one with a gap does not. */
static void kho_outgoing_pieces(struct kunit *test)
{
	struct folio *folio = folio_alloc(GFP_KERNEL, 3);
	struct page *page;

	KUNIT_ASSERT_NOT_NULL(test, folio);
	page = folio_page(folio, 0);

	KUNIT_EXPECT_EQ(test, kho_preserve_pages(page, 3), 0);
	KUNIT_EXPECT_FALSE(test, kho_folio_is_preserved(folio));
	KUNIT_EXPECT_EQ(test, kho_preserve_pages(page + 4, 4), 0);
	KUNIT_EXPECT_FALSE(test, kho_folio_is_preserved(folio));
	KUNIT_EXPECT_EQ(test, kho_preserve_pages(page + 3, 1), 0);
	KUNIT_EXPECT_TRUE(test, kho_folio_is_preserved(folio));

	kho_unpreserve_pages(page, 3);
	KUNIT_EXPECT_FALSE(test, kho_folio_is_preserved(folio));
	kho_unpreserve_pages(page + 3, 1);
	kho_unpreserve_pages(page + 4, 4);
	folio_put(folio);
}

/* Small folios in a range that was preserved in larger pieces, and around it */
static void kho_outgoing_range(struct kunit *test)
{
	const unsigned int order = KHO_KUNIT_ODD_ORDER;
	const unsigned long first = KHO_KUNIT_ODD_FIRST;
	const unsigned long nr = KHO_KUNIT_ODD_NR;
	struct page *page = alloc_pages(GFP_KERNEL, order);

	KUNIT_ASSERT_NOT_NULL(test, page);
	split_page(page, order);

	KUNIT_EXPECT_EQ(test, kho_preserve_pages(page + first, nr), 0);
	for (unsigned long i = 0; i < 1UL << order; i++)
		KUNIT_EXPECT_EQ_MSG(test,
				    kho_folio_is_preserved(page_folio(page + i)),
				    i >= first && i < first + nr,
				    "page %lu", i);

	kho_unpreserve_pages(page + first, nr);
	for (unsigned long i = 0; i < 1UL << order; i++) {
		KUNIT_EXPECT_FALSE(test,
				   kho_folio_is_preserved(page_folio(page + i)));
		__free_page(page + i);
	}
}

/* The next kernel boots in scratch memory, whatever was preserved there. */
static void kho_outgoing_scratch(struct kunit *test)
{
	struct page *page = pfn_to_page(PHYS_PFN(kho_scratch[0].addr));
	struct folio *folio = page_folio(page);

	if (IS_ENABLED(CONFIG_KEXEC_HANDOVER_DEBUG)) {
		/* Preserving it is refused there, with a splat. */
		KUNIT_EXPECT_FALSE(test, kho_folio_is_preserved(folio));
		return;
	}

	/* By page: it may become part of another folio at any time. */
	KUNIT_EXPECT_EQ(test, kho_preserve_pages(page, 1), 0);
	KUNIT_EXPECT_FALSE(test, kho_folio_is_preserved(folio));
	kho_unpreserve_pages(page, 1);
}

/*
 * The following tests leave memory allocated and preserved until the kexec, for the
 * second kernel.
 */
static u64 kho_kunit_hand_over_folio(struct kunit *test, unsigned int order)
{
	struct folio *folio = folio_alloc(GFP_KERNEL, order);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_ASSERT_EQ(test, kho_preserve_folio(folio), 0);
	KUNIT_EXPECT_TRUE(test, kho_folio_is_preserved(folio));
	return PFN_PHYS(folio_pfn(folio));
}

static u64 kho_kunit_hand_over_pages(struct kunit *test, unsigned int order,
				     unsigned long first, unsigned long nr)
{
	struct page *page = alloc_pages(GFP_KERNEL, order);

	KUNIT_ASSERT_NOT_NULL(test, page);
	split_page(page, order);
	KUNIT_ASSERT_EQ(test, kho_preserve_pages(page + first, nr), 0);
	return page_to_phys(page);
}

/* Preserve a chain of @nr_blocks. The set itself is not freed. */
static struct kho_block_set *kho_kunit_chain(struct kunit *test, u64 chain,
					     long nr_blocks)
{
	struct kho_block_set *bs = kmalloc_obj(*bs);
	struct kho_block *block;
	u64 i = 0;

	KUNIT_ASSERT_NOT_NULL(test, bs);
	kho_block_set_init(bs, sizeof(struct kho_kunit_entry));
	KUNIT_ASSERT_EQ(test, 0, kho_block_set_grow(bs, nr_blocks *
						    bs->count_per_block));
	list_for_each_entry(block, &bs->blocks, list) {
		struct kho_kunit_entry *entry = (void *)(block->ser + 1);

		block->ser->count = 1;
		entry->chain = chain;
		entry->index = i++;
	}

	return bs;
}

static struct kho_block_header_ser *
kho_kunit_block(struct kunit *test, struct kho_block_set *bs, long n)
{
	struct kho_block *block;

	list_for_each_entry(block, &bs->blocks, list) {
		if (!n--)
			return block->ser;
	}

	KUNIT_FAIL_AND_ABORT(test, "no such block");
	return NULL;
}

static void kho_kunit_damage(struct kunit *test, struct kho_kunit_ser *ser,
			     struct kho_block_set *bs,
			     enum kho_kunit_chain chain)
{
	struct kho_block_header_ser *block = kho_kunit_block(test, bs, 1);

	switch (chain) {
	case CHAIN_NOT_PRESERVED:
		block->next = ser->not_preserved;
		break;
	case CHAIN_NO_MEMORY:
		block->next = PFN_PHYS(max_pfn) + SZ_1G;
		break;
	case CHAIN_MMIO:
		block->next = 0xfee00000;
		break;
	case CHAIN_TOP_OF_ADDRESS_SPACE:
		block->next = -PAGE_SIZE;
		break;
	case CHAIN_LARGER:
		block->next = ser->target;
		break;
	case CHAIN_INSIDE_LARGER:
		block->next = ser->target + PAGE_SIZE;
		break;
	case CHAIN_MISALIGNED:
		block->next += sizeof(u64);
		break;
	case CHAIN_LOOP:
		block = kho_kunit_block(test, bs, 2);
		block->next = ser->chains[chain][0];
		break;
	case CHAIN_SELF:
		block->next = virt_to_phys(block);
		break;
	case CHAIN_COUNT_ZERO:
		block->count = 0;
		break;
	case CHAIN_COUNT_LARGE:
		block->count = bs->count_per_block + 1;
		break;
	case CHAIN_COUNT_HUGE:
		block->count = U64_MAX;
		break;
	case NR_CHAINS:
		break;
	}
}

static void kho_kunit_hand_over_damaged(struct kunit *test,
					struct kho_kunit_ser *ser)
{
	for (int i = 0; i < NR_CHAINS; i++) {
		struct kho_block_set *bs;

		bs = kho_kunit_chain(test, i, KHO_KUNIT_CHAIN_BLOCKS);
		for (int j = 0; j < KHO_KUNIT_CHAIN_BLOCKS; j++)
			ser->chains[i][j] =
				virt_to_phys(kho_kunit_block(test, bs, j));
		kho_kunit_damage(test, ser, bs, i);
	}
}

static void kho_kunit_hand_over_good(struct kunit *test,
				     struct kho_kunit_ser *ser)
{
	struct kho_block_set *bs = kmalloc_obj(*bs);
	struct kho_block_set_it it;

	KUNIT_ASSERT_NOT_NULL(test, bs);
	kho_block_set_init(bs, sizeof(struct kho_kunit_entry));
	KUNIT_ASSERT_EQ(test, 0,
			kho_block_set_grow(bs, KHO_KUNIT_GOOD_ENTRIES));
	KUNIT_ASSERT_GT(test, bs->nblocks, 2);

	kho_block_set_it_init(&it, bs);
	for (int i = 0; i < KHO_KUNIT_GOOD_ENTRIES; i++) {
		struct kho_kunit_entry *entry;

		entry = kho_block_set_it_reserve_entry(&it);
		KUNIT_ASSERT_NOT_NULL(test, entry);
		entry->chain = NR_CHAINS;
		entry->index = i;
	}
	ser->good = kho_block_set_head_pa(bs);
}

/* The second chain has two blocks, and then continues with blocks of the first. */
static void kho_kunit_hand_over_shared(struct kunit *test,
				       struct kho_kunit_ser *ser)
{
	struct kho_block_set *first = kho_kunit_chain(test, 1, 3);
	struct kho_block_set *second = kho_kunit_chain(test, 2, 2);

	kho_kunit_block(test, second, 1)->next =
		virt_to_phys(kho_kunit_block(test, first, 1));
	ser->shared[0] = kho_block_set_head_pa(first);
	ser->shared[1] = kho_block_set_head_pa(second);
}

/* As many blocks as a set can have, and one more. */
static void kho_kunit_hand_over_too_long(struct kunit *test,
					 struct kho_kunit_ser *ser)
{
	struct kho_block_set *bs = kho_kunit_chain(test, 0, 1);
	struct kho_block_set *more = kho_kunit_chain(test, 0, 1);
	struct kho_block *block;
	int err;

	do {
		err = kho_block_set_grow(bs, (bs->nblocks + 1) *
					 bs->count_per_block);
	} while (!err);
	KUNIT_ASSERT_EQ(test, err, -ENOSPC);

	list_for_each_entry(block, &bs->blocks, list)
		block->ser->count = 1;
	block = list_last_entry(&bs->blocks, struct kho_block, list);
	block->ser->next = kho_block_set_head_pa(more);
	ser->too_long = kho_block_set_head_pa(bs);
	ser->too_long_blocks = bs->nblocks + 1;
}

/* Other memory than a preserved page of order 0 that an address can lead to. */
static u64 kho_kunit_bad_address(struct kho_kunit_ser *ser,
				 enum kho_kunit_area area, u64 good)
{
	switch (area) {
	case AREA_CHUNK_NOT_PRESERVED:
	case AREA_PAGE_NOT_PRESERVED:
		return ser->not_preserved;
	case AREA_CHUNK_NO_MEMORY:
	case AREA_PAGE_NO_MEMORY:
		return PFN_PHYS(max_pfn) + SZ_1G;
	case AREA_CHUNK_TOP_OF_ADDRESS_SPACE:
	case AREA_PAGE_TOP_OF_ADDRESS_SPACE:
		return -PAGE_SIZE;
	case AREA_CHUNK_LARGER:
	case AREA_PAGE_LARGER:
		return ser->target;
	case AREA_CHUNK_INSIDE_LARGER:
	case AREA_PAGE_INSIDE_LARGER:
		return ser->target + PAGE_SIZE;
	default:
		return good + sizeof(u64);
	}
}

static void kho_kunit_damage_area(struct kho_kunit_ser *ser,
				  enum kho_kunit_area nr)
{
	struct kho_vmalloc *area = &ser->areas[nr];
	struct kho_vmalloc_chunk *chunk = phys_to_virt(area->first.phys);
	struct kho_vmalloc_chunk *second;

	switch (nr) {
	case AREA_GOOD ... AREA_GOOD_HUGE:
	case NR_AREAS:
		break;
	case AREA_FLAGS:
		area->flags |= BIT(15);
		break;
	case AREA_ORDER_ONE:
		area->order = 1;
		break;
	case AREA_ORDER_TOO_LARGE:
		area->order = MAX_PAGE_ORDER + 1;
		break;
	case AREA_ORDER_31:
		area->order = 31;
		break;
	case AREA_ORDER_LARGEST:
		area->order = U16_MAX;
		break;
	case AREA_NO_PAGES:
		area->total_pages = 0;
		break;
	case AREA_FEWER_PAGES:
		area->total_pages--;
		break;
	case AREA_MORE_PAGES:
		area->total_pages++;
		break;
	case AREA_MOST_PAGES:
		area->total_pages = U32_MAX;
		break;
	case AREA_NO_CHUNK:
		area->first.phys = 0;
		break;
	case AREA_CHUNK_NOT_PRESERVED ... AREA_CHUNK_MISALIGNED:
		area->first.phys = kho_kunit_bad_address(ser, nr,
							 area->first.phys);
		break;
	case AREA_CHUNK_EMPTY:
		chunk->phys[0] = 0;
		break;
	case AREA_CHUNK_NOT_FULL:
		chunk->phys[10] = 0;
		break;
	case AREA_CHUNK_FOLLOWS_ITSELF:
		chunk->hdr.next.phys = virt_to_phys(chunk);
		break;
	case AREA_CHUNKS_LOOP:
		second = phys_to_virt(chunk->hdr.next.phys);
		second->hdr.next.phys = virt_to_phys(chunk);
		break;
	case AREA_PAGE_NOT_PRESERVED ... AREA_PAGE_MISALIGNED:
		chunk->phys[1] = kho_kunit_bad_address(ser, nr,
						       chunk->phys[1]);
		break;
	case AREA_PAGE_TWICE:
		chunk->phys[2] = chunk->phys[0];
		break;
	case AREA_PAGE_IS_CHUNK:
		chunk->phys[2] = virt_to_phys(chunk);
		break;
	}
}

static void kho_kunit_hand_over_areas(struct kunit *test,
				      struct kho_kunit_ser *ser)
{
	for (int i = 0; i < NR_AREAS; i++) {
		const unsigned long pages = kho_kunit_areas[i].pages;
		struct kho_vmalloc_chunk *chunk;
		void *area;

		area = i == AREA_GOOD_HUGE ?
		       vmalloc_huge(pages * PAGE_SIZE, GFP_KERNEL) :
		       vmalloc(pages * PAGE_SIZE);
		KUNIT_ASSERT_NOT_NULL(test, area);
		for (unsigned long page = 0; page < pages; page++)
			*(u64 *)(area + page * PAGE_SIZE) = page;
		KUNIT_ASSERT_EQ(test, 0,
				kho_preserve_vmalloc(area, &ser->areas[i]));
		chunk = phys_to_virt(ser->areas[i].first.phys);
		ser->area_pages[i] = chunk->phys[0];
		kho_kunit_damage_area(ser, i);
	}
}

static void kho_outgoing_hand_over(struct kunit *test)
{
	struct kho_kunit_ser *ser = kho_alloc_preserve(sizeof(*ser));
	struct page *page = alloc_page(GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ser);
	KUNIT_ASSERT_NOT_NULL(test, page);

	for (int i = 0; i < ARRAY_SIZE(kho_kunit_orders); i++)
		ser->folios[i] = kho_kunit_hand_over_folio(test,
							   kho_kunit_orders[i]);
	ser->odd = kho_kunit_hand_over_pages(test, KHO_KUNIT_ODD_ORDER,
					     KHO_KUNIT_ODD_FIRST,
					     KHO_KUNIT_ODD_NR);
	ser->even = kho_kunit_hand_over_pages(test, KHO_KUNIT_EVEN_ORDER, 0,
					      KHO_KUNIT_EVEN_NR);
	ser->not_preserved = page_to_phys(page);
	ser->target = kho_kunit_hand_over_folio(test, 3);

	kho_kunit_hand_over_good(test, ser);
	kho_kunit_hand_over_shared(test, ser);
	kho_kunit_hand_over_damaged(test, ser);
	kho_kunit_hand_over_too_long(test, ser);
	kho_kunit_hand_over_areas(test, ser);

	KUNIT_ASSERT_EQ(test, 0, kho_add_subtree(KHO_KUNIT_SUBTREE, ser,
						 sizeof(*ser)));
}

static int kho_outgoing_init(struct kunit_suite *suite)
{
	return kho_is_enabled() ? 0 : -EOPNOTSUPP;
}

static struct kunit_case kho_outgoing_cases[] = {
	KUNIT_CASE(kho_outgoing_folio),
	KUNIT_CASE(kho_outgoing_pieces),
	KUNIT_CASE(kho_outgoing_range),
	KUNIT_CASE(kho_outgoing_scratch),
	KUNIT_CASE(kho_outgoing_hand_over),
	{}
};

static struct kunit_suite kho_outgoing_suite = {
	.name = "kho_outgoing",
	.suite_init = kho_outgoing_init,
	.test_cases = kho_outgoing_cases,
};

/* --- many keys, for measurements ----------------------------------------- */

static unsigned long keys;
module_param(keys, ulong, 0);
MODULE_PARM_DESC(keys, "how many pieces of memory kho_keys preserves");

static char *pattern = "scattered";
module_param(pattern, charp, 0);
MODULE_PARM_DESC(pattern, "how they lie: scattered, mixed or contiguous");

/*
 * Preserve up to @nr pieces in the pages at @page, which are half of them
 * (scattered), three of four (mixed: a pair, a single page, a gap) or all.
 */
static unsigned long kho_keys_preserve(struct kunit *test, struct page *page,
				       unsigned long nr)
{
	const unsigned long nr_pages = MAX_ORDER_NR_PAGES;
	const bool mixed = !strcmp(pattern, "mixed");
	const unsigned long step = !strcmp(pattern, "contiguous") ? 1 : 2;
	unsigned long done = 0;

	for (unsigned long i = 0; i < nr_pages && done < nr; i += step) {
		unsigned long pages = mixed && i % 4 == 0 ? 2 : 1;

		KUNIT_ASSERT_EQ(test, kho_preserve_pages(page + i, pages), 0);
		done++;
	}

	return done;
}

static void kho_keys_preserve_many(struct kunit *test)
{
	unsigned long left = keys;

	while (left) {
		struct page *page = alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER);

		KUNIT_ASSERT_NOT_NULL(test, page);
		split_page(page, MAX_PAGE_ORDER);
		left -= kho_keys_preserve(test, page, left);
	}
}

static struct kunit_case kho_keys_cases[] = {
	KUNIT_CASE_SLOW(kho_keys_preserve_many),
	{}
};

static struct kunit_suite kho_keys_suite = {
	.name = "kho_keys",
	.suite_init = kho_outgoing_init,
	.test_cases = kho_keys_cases,
};

/* --- second kernel ------------------------------------------------------- */

static struct kho_kunit_ser *kho_kunit_in;

/* What was true before the first initcall. */
static struct {
	bool ran;
	bool record, folio, pages, behind, not_preserved;
} kho_kunit_early;

/* These calls are made before late_time_init() and interrupt remapping. */
static int __init kho_kunit_before_initcalls(void)
{
	struct kho_kunit_ser *ser;
	phys_addr_t phys;

	if (kho_retrieve_subtree(KHO_KUNIT_SUBTREE, &phys, NULL))
		return 0;

	kho_kunit_early.ran = true;
	kho_kunit_early.record = kho_range_is_incoming(phys, sizeof(*ser));
	if (!kho_kunit_early.record)
		return 0;

	ser = phys_to_virt(phys);
	kho_kunit_early.folio = kho_range_is_incoming(ser->target,
						      PAGE_SIZE << 3);
	kho_kunit_early.pages = kho_range_is_incoming(ser->even,
						      KHO_KUNIT_EVEN_NR *
						      PAGE_SIZE);
	kho_kunit_early.behind = kho_range_is_incoming(ser->even,
						       (KHO_KUNIT_EVEN_NR + 1) *
						       PAGE_SIZE);
	kho_kunit_early.not_preserved =
		kho_range_is_incoming(ser->not_preserved, PAGE_SIZE);

	return 0;
}
console_initcall(kho_kunit_before_initcalls);

static void kho_incoming_early(struct kunit *test)
{
	KUNIT_ASSERT_TRUE(test, kho_kunit_early.ran);
	KUNIT_EXPECT_TRUE(test, kho_kunit_early.record);
	KUNIT_EXPECT_TRUE(test, kho_kunit_early.folio);
	KUNIT_EXPECT_TRUE(test, kho_kunit_early.pages);
	KUNIT_EXPECT_FALSE(test, kho_kunit_early.behind);
	KUNIT_EXPECT_FALSE(test, kho_kunit_early.not_preserved);
}

static void kho_incoming_folio_range(struct kunit *test)
{
	for (int i = 0; i < ARRAY_SIZE(kho_kunit_orders); i++) {
		u64 phys = kho_kunit_in->folios[i];
		size_t size = PAGE_SIZE << kho_kunit_orders[i];

		KUNIT_EXPECT_TRUE(test, kho_range_is_incoming(phys, size));
		KUNIT_EXPECT_TRUE(test, kho_range_is_incoming(phys, 1));
		KUNIT_EXPECT_TRUE(test, kho_range_is_incoming(phys + size - 1,
							      1));
		KUNIT_EXPECT_TRUE(test, kho_range_is_incoming(phys + size / 2,
							      size / 2));
		KUNIT_EXPECT_FALSE(test, kho_range_is_incoming(phys, 0));
	}
}

static void kho_incoming_odd_range(struct kunit *test)
{
	u64 phys = kho_kunit_in->odd + KHO_KUNIT_ODD_FIRST * PAGE_SIZE;
	size_t size = KHO_KUNIT_ODD_NR * PAGE_SIZE;

	KUNIT_EXPECT_TRUE(test, kho_range_is_incoming(phys, size));
	KUNIT_EXPECT_FALSE(test, kho_range_is_incoming(phys - 1, size));
	KUNIT_EXPECT_FALSE(test, kho_range_is_incoming(phys - 1, 1));
	KUNIT_EXPECT_FALSE(test, kho_range_is_incoming(phys, size + 1));
	KUNIT_EXPECT_FALSE(test, kho_range_is_incoming(phys + size, 1));

	for (size_t from = 0; from < size; from += PAGE_SIZE)
		for (size_t to = from + PAGE_SIZE; to <= size; to += PAGE_SIZE)
			KUNIT_EXPECT_TRUE(test,
					  kho_range_is_incoming(phys + from,
								to - from));
}

static void kho_incoming_even_range(struct kunit *test)
{
	u64 phys = kho_kunit_in->even;
	size_t size = KHO_KUNIT_EVEN_NR * PAGE_SIZE;

	KUNIT_EXPECT_TRUE(test, kho_range_is_incoming(phys, size));
	/* Across the end of the first piece */
	KUNIT_EXPECT_TRUE(test, kho_range_is_incoming(phys + 16 * PAGE_SIZE - 1,
						      2));
	KUNIT_EXPECT_FALSE(test, kho_range_is_incoming(phys, size + 1));
}

static void kho_incoming_anything(struct kunit *test)
{
	const struct {
		u64 phys;
		size_t size;
	} ranges[] = {
		{ 0, 0 }, { 0, 1 }, { 0, SIZE_MAX }, { U64_MAX, 0 },
		{ U64_MAX, 1 }, { U64_MAX, 2 }, { U64_MAX, SIZE_MAX },
		{ 1, SIZE_MAX }, { -PAGE_SIZE, PAGE_SIZE },
		{ kho_kunit_in->target, SIZE_MAX },
		{ kho_kunit_in->target, -kho_kunit_in->target },
		{ kho_kunit_in->not_preserved, PAGE_SIZE },
		{ 0xa0000, PAGE_SIZE }, { 0xfed00000, PAGE_SIZE },
		{ 0xfee00000, PAGE_SIZE }, { 0xfffff000, PAGE_SIZE },
		{ PFN_PHYS(max_pfn), PAGE_SIZE },
		{ PFN_PHYS(max_pfn) + SZ_1G, PAGE_SIZE },
		{ __pa_symbol(_text), PAGE_SIZE },
		{ kho_scratch[0].addr, PAGE_SIZE },
		{ kho_scratch[0].addr, kho_scratch[0].size },
	};

	for (int i = 0; i < ARRAY_SIZE(ranges); i++)
		KUNIT_EXPECT_FALSE_MSG(test,
				       kho_range_is_incoming(ranges[i].phys,
							     ranges[i].size),
				       "%#llx+%#zx", ranges[i].phys,
				       ranges[i].size);

	/* The results are unknown, but the calls must do no harm. */
	for (int i = 0; i < 64; i++) {
		for (int j = 0; j < 64; j++) {
			kho_range_is_incoming(BIT_ULL(i), BIT_ULL(j));
			kho_range_is_incoming(BIT_ULL(i) - 1, BIT_ULL(j) - 1);
			kho_range_is_incoming(-BIT_ULL(i), BIT_ULL(j));
		}
	}
}

/* Restored memory has an owner; a second user of the address is refused. */
static void kho_incoming_restored(struct kunit *test)
{
	for (int i = 0; i < ARRAY_SIZE(kho_kunit_orders); i++) {
		u64 phys = kho_kunit_in->folios[i];
		size_t size = PAGE_SIZE << kho_kunit_orders[i];
		struct folio *folio = kho_restore_folio(phys);

		KUNIT_ASSERT_NOT_NULL(test, folio);
		KUNIT_EXPECT_EQ(test, folio_size(folio), size);
		KUNIT_EXPECT_FALSE(test, kho_range_is_incoming(phys, size));
		KUNIT_EXPECT_FALSE(test, kho_range_is_incoming(phys, 1));
		KUNIT_EXPECT_FALSE(test, kho_range_is_incoming(phys + size - 1,
							       1));
		folio_put(folio);
		KUNIT_EXPECT_FALSE(test, kho_range_is_incoming(phys, size));
	}
}

static void kho_incoming_restored_pages(struct kunit *test)
{
	u64 phys = kho_kunit_in->odd + KHO_KUNIT_ODD_FIRST * PAGE_SIZE;
	struct page *page = kho_restore_pages(phys, KHO_KUNIT_ODD_NR);

	KUNIT_ASSERT_NOT_NULL(test, page);
	for (int i = 0; i < KHO_KUNIT_ODD_NR; i++) {
		KUNIT_EXPECT_FALSE(test, kho_range_is_incoming(phys, 1));
		__free_page(page + i);
		phys += PAGE_SIZE;
	}

	phys = kho_kunit_in->even;
	page = kho_restore_pages(phys, 16);
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_FALSE(test, kho_range_is_incoming(phys, 17 * PAGE_SIZE));
	phys += 16 * PAGE_SIZE;
	KUNIT_EXPECT_TRUE(test, kho_range_is_incoming(phys, 8 * PAGE_SIZE));
	KUNIT_EXPECT_NOT_NULL(test, kho_restore_pages(phys, 8));
	for (int i = 0; i < KHO_KUNIT_EVEN_NR; i++)
		__free_page(page + i);
}

static void kho_incoming_good_chain(struct kunit *test)
{
	struct kho_block_set bs;
	struct kho_block_set_it it;
	struct kho_kunit_entry *entry;
	u64 i = 0;

	kho_block_set_init(&bs, sizeof(struct kho_kunit_entry));
	KUNIT_ASSERT_EQ(test, 0,
			kho_block_set_restore(&bs, kho_kunit_in->good));
	KUNIT_EXPECT_EQ(test, kho_block_set_head_pa(&bs), kho_kunit_in->good);
	KUNIT_EXPECT_FALSE(test, kho_range_is_incoming(kho_kunit_in->good,
						       KHO_BLOCK_SIZE));

	kho_block_set_it_init(&it, &bs);
	while ((entry = kho_block_set_it_read_entry(&it))) {
		KUNIT_EXPECT_EQ(test, entry->chain, NR_CHAINS);
		KUNIT_EXPECT_EQ(test, entry->index, i++);
	}
	KUNIT_EXPECT_EQ(test, i, KHO_KUNIT_GOOD_ENTRIES);

	kho_block_set_shrink(&bs, 1);
	KUNIT_EXPECT_EQ(test, bs.nblocks, 1);
	kho_block_set_destroy(&bs);
	KUNIT_EXPECT_TRUE(test, kho_block_set_is_empty(&bs));

	/* They were freed. A second restore must fail, and not return their memory. */
	KUNIT_EXPECT_EQ(test, -EFAULT,
			kho_block_set_restore(&bs, kho_kunit_in->good));
	KUNIT_EXPECT_TRUE(test, kho_block_set_is_empty(&bs));
}

static void kho_kunit_damage_desc(const struct kho_kunit_damage *damage,
				  char *desc)
{
	strscpy(desc, damage->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(kho_kunit_damage, kho_kunit_damages, kho_kunit_damage_desc);

static void kho_incoming_damaged_chain(struct kunit *test)
{
	const struct kho_kunit_damage *damage = test->param_value;
	u64 *blocks = kho_kunit_in->chains[damage - kho_kunit_damages];
	u64 target = kho_kunit_in->target;
	struct kho_block_set bs;

	kho_block_set_init(&bs, sizeof(struct kho_kunit_entry));
	KUNIT_EXPECT_EQ(test, kho_block_set_restore(&bs, blocks[0]),
			damage->err);
	KUNIT_EXPECT_TRUE(test, kho_block_set_is_empty(&bs));
	KUNIT_EXPECT_EQ(test, bs.nblocks, 0);
	KUNIT_EXPECT_EQ(test, kho_block_set_head_pa(&bs), 0);
	KUNIT_EXPECT_TRUE(test, kho_range_is_incoming(target, PAGE_SIZE << 3));

	for (int i = 0; i < KHO_KUNIT_CHAIN_BLOCKS; i++) {
		bool left = damage->left & BIT(i);

		KUNIT_EXPECT_EQ_MSG(test, left,
				    kho_range_is_incoming(blocks[i],
							  KHO_BLOCK_SIZE),
				    "block %d", i);
		if (left && kho_incoming_order(blocks[i]) == 0)
			kho_restore_free(phys_to_virt(blocks[i]));
	}
	kho_block_set_destroy(&bs);
}

static void kho_incoming_bad_head(struct kunit *test)
{
	const struct {
		u64 head;
		int err;
	} heads[] = {
		{ 0, 0 },
		{ 1, -EINVAL },
		{ U64_MAX, -EINVAL },
		{ kho_kunit_in->target + 16, -EINVAL },
		{ kho_kunit_in->target, -EFAULT },
		{ kho_kunit_in->target + PAGE_SIZE, -EFAULT },
		{ kho_kunit_in->not_preserved, -EFAULT },
		{ PAGE_SIZE, -EFAULT },
		{ -PAGE_SIZE, -EFAULT },
		{ PFN_PHYS(max_pfn), -EFAULT },
	};
	struct kho_block_set bs;

	for (int i = 0; i < ARRAY_SIZE(heads); i++) {
		kho_block_set_init(&bs, sizeof(struct kho_kunit_entry));
		KUNIT_EXPECT_EQ_MSG(test, heads[i].err,
				    kho_block_set_restore(&bs, heads[i].head),
				    "%#llx", heads[i].head);
		KUNIT_EXPECT_TRUE(test, kho_block_set_is_empty(&bs));
	}
}

static void kho_incoming_shared_chain(struct kunit *test)
{
	struct kho_block_set first, second;
	struct kho_block_set_it it;

	kho_block_set_init(&first, sizeof(struct kho_kunit_entry));
	kho_block_set_init(&second, sizeof(struct kho_kunit_entry));
	KUNIT_ASSERT_EQ(test, 0, kho_block_set_restore(&first,
						       kho_kunit_in->shared[0]));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			kho_block_set_restore(&second,
					      kho_kunit_in->shared[1]));
	KUNIT_EXPECT_TRUE(test, kho_block_set_is_empty(&second));
	kho_block_set_destroy(&second);

	/* The first set has not suffered. */
	KUNIT_EXPECT_EQ(test, first.nblocks, 3);
	kho_block_set_it_init(&it, &first);
	for (int i = 0; i < 3; i++) {
		struct kho_kunit_entry *entry = kho_block_set_it_read_entry(&it);

		KUNIT_ASSERT_NOT_NULL(test, entry);
		KUNIT_EXPECT_EQ(test, entry->chain, 1);
		KUNIT_EXPECT_EQ(test, entry->index, i);
	}
	KUNIT_EXPECT_NULL(test, kho_block_set_it_read_entry(&it));
	kho_block_set_destroy(&first);
}

/* A valid chain that is too long is freed to its end. */
static void kho_incoming_too_long_chain(struct kunit *test)
{
	const u64 nr_blocks = kho_kunit_in->too_long_blocks;
	unsigned long ram = totalram_pages();
	u64 phys = kho_kunit_in->too_long;
	struct kho_block_set bs;
	struct page **pages;
	u64 in_use = 0;

	pages = kunit_kcalloc(test, nr_blocks, sizeof(*pages), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	for (u64 i = 0; i < nr_blocks; i++) {
		KUNIT_ASSERT_TRUE(test, kho_range_is_incoming(phys,
							      KHO_BLOCK_SIZE));
		pages[i] = phys_to_page(phys);
		phys = ((struct kho_block_header_ser *)phys_to_virt(phys))->next;
	}
	KUNIT_EXPECT_EQ(test, phys, 0);

	kho_block_set_init(&bs, sizeof(struct kho_kunit_entry));
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			kho_block_set_restore(&bs, kho_kunit_in->too_long));
	KUNIT_EXPECT_TRUE(test, kho_block_set_is_empty(&bs));
	KUNIT_EXPECT_EQ(test, totalram_pages() - ram, nr_blocks);

	/* Free pages have new users soon, but not that many. */
	for (u64 i = 0; i < nr_blocks; i++)
		in_use += page_count(pages[i]) != 0;
	KUNIT_EXPECT_LT(test, in_use, nr_blocks / 10);
}

static void kho_kunit_area_desc(const struct kho_kunit_area_case *area,
				char *desc)
{
	strscpy(desc, area->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(kho_kunit_area, kho_kunit_areas, kho_kunit_area_desc);

static void kho_incoming_area(struct kunit *test)
{
	const struct kho_kunit_area_case *area = test->param_value;
	const enum kho_kunit_area nr = area - kho_kunit_areas;
	const bool good = nr <= AREA_GOOD_HUGE;
	void *mem;

	KUNIT_EXPECT_TRUE(test,
			  kho_range_is_incoming(kho_kunit_in->area_pages[nr],
						PAGE_SIZE));
	mem = kho_restore_vmalloc(&kho_kunit_in->areas[nr]);
	KUNIT_EXPECT_EQ(test, !!mem, good);
	KUNIT_EXPECT_EQ(test, !good && !area->taken,
			kho_range_is_incoming(kho_kunit_in->area_pages[nr],
					      PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, kho_range_is_incoming(kho_kunit_in->target,
						      PAGE_SIZE << 3));
	if (!mem || !good)
		return;

	for (unsigned long page = 0; page < area->pages; page++)
		KUNIT_EXPECT_EQ(test, *(u64 *)(mem + page * PAGE_SIZE), page);
	vfree(mem);
	KUNIT_EXPECT_NULL(test, kho_restore_vmalloc(&kho_kunit_in->areas[nr]));
}

static void kho_incoming_end(struct kunit *test)
{
	phys_addr_t phys = virt_to_phys(kho_kunit_in);

	KUNIT_EXPECT_TRUE(test, kho_range_is_incoming(kho_kunit_in->target,
						      PAGE_SIZE << 3));
	kho_restore_free(phys_to_virt(kho_kunit_in->target));
	kho_restore_free(kho_kunit_in);
	KUNIT_EXPECT_FALSE(test, kho_range_is_incoming(phys, 1));
}

static int kho_incoming_init(struct kunit_suite *suite)
{
	phys_addr_t phys;
	size_t size;
	int err;

	err = kho_retrieve_subtree(KHO_KUNIT_SUBTREE, &phys, &size);
	if (err)
		return err;
	if (size != sizeof(*kho_kunit_in))
		return -EINVAL;

	kho_kunit_in = phys_to_virt(phys);
	return 0;
}

static struct kunit_case kho_incoming_cases[] = {
	KUNIT_CASE(kho_incoming_early),
	KUNIT_CASE(kho_incoming_folio_range),
	KUNIT_CASE(kho_incoming_odd_range),
	KUNIT_CASE(kho_incoming_even_range),
	KUNIT_CASE(kho_incoming_anything),
	KUNIT_CASE(kho_incoming_restored),
	KUNIT_CASE(kho_incoming_restored_pages),
	KUNIT_CASE(kho_incoming_good_chain),
	KUNIT_CASE_PARAM(kho_incoming_damaged_chain,
			 kho_kunit_damage_gen_params),
	KUNIT_CASE(kho_incoming_bad_head),
	KUNIT_CASE(kho_incoming_shared_chain),
	KUNIT_CASE(kho_incoming_too_long_chain),
	KUNIT_CASE_PARAM(kho_incoming_area, kho_kunit_area_gen_params),
	/* The last one: frees the record. */
	KUNIT_CASE(kho_incoming_end),
	{}
};

static struct kunit_suite kho_incoming_suite = {
	.name = "kho_incoming",
	.suite_init = kho_incoming_init,
	.test_cases = kho_incoming_cases,
};

kunit_test_suites(&kho_outgoing_suite, &kho_keys_suite, &kho_incoming_suite);
