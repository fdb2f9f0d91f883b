// SPDX-License-Identifier: GPL-2.0-only
/*
 * Enumerating the memory of a page table, and its leaves: what a live update preserves.
 * A page that is left out would be used by the next kernel while a device translates
 * with it, or writes to it.
 */
#include <kunit/test.h>
#include <linux/generic_pt/iommu.h>
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/sizes.h>

#define TEST_PHYS	0x40000000
#define TEST_MAX	32

struct tables_test {
	union {
		struct iommu_domain domain;
		struct pt_iommu iommu;
		struct pt_iommu_vtdss table;
	};
	phys_addr_t listed[TEST_MAX];
	unsigned int nr_listed;
};

PT_IOMMU_CHECK_DOMAIN(struct tables_test, iommu, domain);

static const struct iommu_domain_ops tables_ops = {
	IOMMU_PT_DOMAIN_OPS(vtdss),
};

static void set_up(struct kunit *test, struct tables_test *t,
		   unsigned int top_level)
{
	struct pt_iommu_vtdss_cfg cfg = {
		.common.hw_max_vasz_lg2 = 12 + 9 * (top_level + 1),
		.common.hw_max_oasz_lg2 = 52,
		.common.features = BIT(PT_FEAT_FLUSH_RANGE),
		.top_level = top_level,
	};

	t->iommu.nid = NUMA_NO_NODE;
	t->domain.ops = &tables_ops;
	KUNIT_ASSERT_EQ(test, pt_iommu_vtdss_init(&t->table, &cfg, GFP_KERNEL),
			0);
	t->domain.type = IOMMU_DOMAIN_UNMANAGED;
}

static void map(struct kunit *test, struct tables_test *t, u64 iova, size_t size)
{
	KUNIT_ASSERT_EQ(test,
			iommu_map(&t->domain, iova, TEST_PHYS, size,
				  IOMMU_READ | IOMMU_WRITE, GFP_KERNEL), 0);
}

static int list_table(void *data, void *table)
{
	struct tables_test *t = data;

	if (t->nr_listed == TEST_MAX)
		return -ENOSPC;
	t->listed[t->nr_listed++] = virt_to_phys(table);

	return 0;
}

static int list(struct tables_test *t)
{
	t->nr_listed = 0;

	return t->iommu.ops->for_each_table(&t->iommu, list_table, t);
}

static bool none_twice(struct tables_test *t)
{
	for (unsigned int i = 0; i < t->nr_listed; i++) {
		for (unsigned int j = 0; j < i; j++) {
			if (t->listed[i] == t->listed[j])
				return false;
		}
	}

	return true;
}

static void expect_leaf(struct kunit *test, struct tables_test *t, u64 iova,
			phys_addr_t phys, size_t size)
{
	size_t found = 0;

	KUNIT_EXPECT_EQ(test, phys,
			t->iommu.ops->iova_to_leaf(&t->iommu, iova, &found));
	KUNIT_EXPECT_EQ(test, size, found);
}

/* @top_level is the number of tables below the top one on the way to a page. */
static void check(struct kunit *test, unsigned int top_level)
{
	struct tables_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	struct pt_iommu_vtdss_hw_info info;

	KUNIT_ASSERT_NOT_NULL(test, t);
	set_up(test, t, top_level);
	pt_iommu_vtdss_hw_info(&t->table, &info);

	KUNIT_EXPECT_EQ(test, list(t), 0);
	KUNIT_EXPECT_EQ(test, t->nr_listed, 1);
	KUNIT_EXPECT_EQ(test, t->listed[0], info.ssptptr);

	map(test, t, 0, SZ_4K);
	KUNIT_EXPECT_EQ(test, list(t), 0);
	KUNIT_EXPECT_EQ(test, t->nr_listed, 1 + top_level);

	/* The next table of the lowest level */
	map(test, t, SZ_2M, SZ_4K);
	/* A large page has none. */
	map(test, t, 2 * SZ_2M, SZ_2M);
	/* All others */
	map(test, t, t->domain.geometry.aperture_end - SZ_4K + 1, SZ_4K);
	KUNIT_EXPECT_EQ(test, list(t), 0);
	KUNIT_EXPECT_EQ(test, t->nr_listed, 1 + top_level + 1 + top_level);
	KUNIT_EXPECT_EQ(test, t->listed[0], info.ssptptr);
	KUNIT_EXPECT_TRUE(test, none_twice(t));

	expect_leaf(test, t, 0, TEST_PHYS, SZ_4K);
	expect_leaf(test, t, 0x123, TEST_PHYS + 0x123, SZ_4K - 0x123);
	expect_leaf(test, t, SZ_4K, 0, 0);
	expect_leaf(test, t, 2 * SZ_2M, TEST_PHYS, SZ_2M);
	expect_leaf(test, t, 2 * SZ_2M + SZ_64K, TEST_PHYS + SZ_64K,
		    SZ_2M - SZ_64K);
	expect_leaf(test, t, 3 * SZ_2M, 0, 0);

	pt_iommu_deinit(&t->iommu);
}

static void test_39_bits(struct kunit *test)
{
	check(test, 2);
}

static void test_48_bits(struct kunit *test)
{
	check(test, 3);
}

static void test_57_bits(struct kunit *test)
{
	check(test, 4);
}

static int stop_at_third(void *data, void *table)
{
	return ++*(unsigned int *)data == 3 ? -EINTR : 0;
}

static void test_an_errno_ends_it(struct kunit *test)
{
	struct tables_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	unsigned int nr = 0;

	KUNIT_ASSERT_NOT_NULL(test, t);
	set_up(test, t, 3);
	map(test, t, 0, SZ_4K);
	KUNIT_EXPECT_EQ(test,
			t->iommu.ops->for_each_table(&t->iommu, stop_at_third,
						     &nr), -EINTR);
	KUNIT_EXPECT_EQ(test, nr, 3);
	pt_iommu_deinit(&t->iommu);
}

static struct kunit_case tables_test_cases[] = {
	KUNIT_CASE(test_39_bits),
	KUNIT_CASE(test_48_bits),
	KUNIT_CASE(test_57_bits),
	KUNIT_CASE(test_an_errno_ends_it),
	{}
};

static struct kunit_suite tables_suite = {
	.name = "intel_iommu_tables",
	.test_cases = tables_test_cases,
};

kunit_test_suite(tables_suite);

MODULE_IMPORT_NS("GENERIC_PT_IOMMU");
MODULE_DESCRIPTION("KUnit tests of enumerating a VT-d page table");
MODULE_LICENSE("GPL");
