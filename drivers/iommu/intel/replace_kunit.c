// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replacing the paging domain of a device, with an IOMMU that exists in memory
 * only. A thread reads the tables as hardware does and must always find one of the
 * two domains. Invalidation waits for it, so what is freed before shows up with
 * KASAN. Unlike an emulated IOMMU this one may offer both stages.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/kthread.h>
#include <linux/pci.h>

#include "iommu.h"
#include "pasid.h"
#include "../iommu-pages.h"

#define TEST_DEVFN	8
#define TEST_ALIAS	9
#define TEST_ROUNDS	300

enum test_kind { TEST_LEGACY, TEST_SECOND, TEST_FIRST };

/* What hardware finds. */
struct test_entry {
	bool present;
	u16 did;
	u16 pgtt;
	u64 ptr;
};

struct replace_test {
	struct intel_iommu iommu;
	struct dev_iommu dev_iommu;
	struct device_domain_info info;
	struct pci_sysdata sysdata;
	struct pci_bus bus;
	struct pci_dev pdev;
	bool scalable;

	spinlock_t walk;		/* held by hardware while it walks */
	struct test_entry known[2];
	unsigned long seen[2], absent, wrong;

	unsigned int nr_context;	/* invalidations since they were reset */
	unsigned int nr_context_locked;	/* of these: with iommu->lock held */
	unsigned int nr_iotlb_global;
	u16 iotlb_did;
};

/* The KUnit case that runs; invalidation is not told. */
static struct replace_test *running;

static u128 read_entry(struct context_entry *context)
{
	return cmpxchg128(&context->val, 0, 0);
}

static struct test_entry walk(struct replace_test *t, u8 devfn)
{
	struct context_entry *context =
		iommu_context_addr(&t->iommu, 0, devfn, false);
	struct context_entry copy;
	struct test_entry e = {};
	struct pasid_dir_entry *dir;
	struct pasid_entry *pte;

	if (!context)
		return e;
	copy.val = read_entry(context);
	if (!context_present(&copy))
		return e;
	if (!t->scalable) {
		e.present = true;
		e.did = context_domain_id(&copy);
		e.ptr = copy.lo & VTD_PAGE_MASK;
		return e;
	}
	dir = phys_to_virt(copy.lo & VTD_PAGE_MASK);
	pte = get_pasid_table_from_pde(dir);
	if (!pte)
		return e;
	e.present = pasid_pte_is_present(pte);
	e.did = pasid_get_domain_id(pte);
	e.pgtt = pasid_pte_get_pgtt(pte);
	e.ptr = READ_ONCE(pte->val[e.pgtt == PASID_ENTRY_PGTT_FL_ONLY ? 2 : 0]) &
		VTD_PAGE_MASK;
	return e;
}

static bool entry_is(const struct test_entry *a, const struct test_entry *b)
{
	return a->present == b->present && a->did == b->did &&
	       a->pgtt == b->pgtt && a->ptr == b->ptr;
}

static int hardware(void *data)
{
	struct replace_test *t = data;
	struct test_entry e;

	while (!kthread_should_stop()) {
		spin_lock(&t->walk);
		e = walk(t, TEST_DEVFN);
		spin_unlock(&t->walk);
		if (!e.present)
			t->absent++;
		else if (entry_is(&e, &t->known[0]))
			t->seen[0]++;
		else if (entry_is(&e, &t->known[1]))
			t->seen[1]++;
		else
			t->wrong++;
		cond_resched();
	}

	return 0;
}

static void test_flush_context(struct intel_iommu *iommu, u16 did, u16 sid,
			       u8 fm, u64 type)
{
	running->nr_context++;
	if (spin_trylock(&iommu->lock))
		spin_unlock(&iommu->lock);
	else
		running->nr_context_locked++;
	/* A walk that has begun ends. */
	spin_lock(&running->walk);
	spin_unlock(&running->walk);
}

static void test_flush_iotlb(struct intel_iommu *iommu, u16 did, u64 addr,
			     unsigned int size_order, u64 type)
{
	if (type == DMA_TLB_GLOBAL_FLUSH)
		running->nr_iotlb_global++;
	else
		running->iotlb_did = did;
}

static struct device *test_dev(struct replace_test *t)
{
	return &t->pdev.dev;
}

static struct iommu_domain *domain_alloc(struct kunit *test,
					 enum test_kind kind)
{
	struct replace_test *t = test->priv;
	struct iommu_domain *domain;

	domain = intel_iommu_ops.domain_alloc_paging_flags(test_dev(t),
			kind == TEST_SECOND ? IOMMU_HWPT_ALLOC_DIRTY_TRACKING : 0,
			NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, domain);
	domain->type = IOMMU_DOMAIN_UNMANAGED;
	KUNIT_EXPECT_EQ(test, intel_domain_is_fs_paging(to_dmar_domain(domain)),
			kind == TEST_FIRST);
	return domain;
}

static int attach(struct replace_test *t, struct iommu_domain *domain,
		  struct iommu_domain *old)
{
	t->nr_context = 0;
	t->nr_context_locked = 0;
	t->nr_iotlb_global = 0;
	t->iotlb_did = 0;
	return domain->ops->attach_dev(domain, test_dev(t), old);
}

static void block(struct replace_test *t, struct iommu_domain *old)
{
	attach(t, intel_iommu_ops.blocked_domain, old);
}

static void set_up_iommu(struct kunit *test, struct replace_test *t)
{
	struct intel_iommu *iommu = &t->iommu;

	snprintf(iommu->name, sizeof(iommu->name), "kunit");
	iommu->node = NUMA_NO_NODE;
	/* Widths and tables of 48 bits, all page sizes. */
	iommu->cap = 47ULL << 16 | BIT_ULL(2) << 8 | 3ULL << 34 | BIT_ULL(56);
	/* Coherent, queued invalidation. */
	iommu->ecap = BIT_ULL(48) | 3;
	/* Scalable mode with both stages and dirty tracking. */
	if (t->scalable)
		iommu->ecap |= BIT_ULL(43) | BIT_ULL(45) | BIT_ULL(46) |
			       BIT_ULL(47);
	iommu->agaw = 2;
	iommu->msagaw = 2;
	iommu->max_domain_id = 64;
	iommu->flush.flush_context = test_flush_context;
	iommu->flush.flush_iotlb = test_flush_iotlb;
	mutex_init(&iommu->did_lock);
	ida_init(&iommu->domain_ida);
	spin_lock_init(&iommu->lock);
	raw_spin_lock_init(&iommu->register_lock);
	iommu->root_entry = iommu_alloc_pages_node_sz(NUMA_NO_NODE, GFP_KERNEL,
						      SZ_4K);
	KUNIT_ASSERT_NOT_NULL(test, iommu->root_entry);
}

static void set_up_device(struct kunit *test, struct replace_test *t)
{
	struct device *dev = test_dev(t);

	t->bus.sysdata = &t->sysdata;
	t->pdev.bus = &t->bus;
	t->pdev.devfn = TEST_DEVFN;
	dev->bus = &pci_bus_type;
	dev->init_name = "kunit";
	dev->iommu = &t->dev_iommu;
	set_dev_node(dev, NUMA_NO_NODE);
	t->info.dev = dev;
	t->info.iommu = &t->iommu;
	t->info.devfn = TEST_DEVFN;
	/* dev_iommu_priv_set() is for devices that are being probed. */
	t->dev_iommu.priv = &t->info;
	if (!t->scalable)
		return;
	KUNIT_ASSERT_EQ(test, intel_pasid_alloc_table(dev), 0);
	KUNIT_ASSERT_EQ(test, intel_pasid_setup_sm_context(dev), 0);
}

static struct replace_test *set_up(struct kunit *test, enum test_kind kind)
{
	struct replace_test *t = test->priv;

	if (kind != TEST_LEGACY && !intel_iommu_sm)
		kunit_skip(test, "needs intel_iommu=sm_on");
	if (!context_can_replace_ssptptr())
		kunit_skip(test, "needs cmpxchg16b");
	t->scalable = kind != TEST_LEGACY;
	set_up_iommu(test, t);
	set_up_device(test, t);
	return t;
}

static void tear_down(struct replace_test *t)
{
	struct root_entry *root = t->iommu.root_entry;

	if (t->scalable) {
		intel_pasid_teardown_sm_context(test_dev(t));
		intel_pasid_free_table(test_dev(t));
	}
	if (root->lo & 1)
		iommu_free_pages(phys_to_virt(root->lo & VTD_PAGE_MASK));
	iommu_free_pages(root);
	ida_destroy(&t->iommu.domain_ida);
}

/* --- one of the two, always ----------------------------------------------- */

struct replace_case {
	const char *name;
	enum test_kind kind[2];
};

static const struct replace_case replace_cases[] = {
	{ "legacy", { TEST_LEGACY, TEST_LEGACY } },
	{ "second stage", { TEST_SECOND, TEST_SECOND } },
	{ "first stage", { TEST_FIRST, TEST_FIRST } },
	{ "second and first stage", { TEST_SECOND, TEST_FIRST } },
};

KUNIT_ARRAY_PARAM_DESC(replace, replace_cases, name);

static void test_always_translated(struct kunit *test)
{
	const struct replace_case *c = test->param_value;
	struct replace_test *t = set_up(test, c->kind[0]);
	struct iommu_domain *domain[2];
	int i, now = 0, failed = 0, not_flushed = 0;
	struct task_struct *thread;

	for (i = 0; i < 2; i++)
		domain[i] = domain_alloc(test, c->kind[i]);

	KUNIT_ASSERT_EQ(test, attach(t, domain[0], NULL), 0);
	t->known[0] = walk(t, TEST_DEVFN);
	KUNIT_ASSERT_EQ(test, attach(t, domain[1], domain[0]), 0);
	t->known[1] = walk(t, TEST_DEVFN);
	KUNIT_ASSERT_EQ(test, attach(t, domain[0], domain[1]), 0);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_TRUE(test, t->known[i].present);
	KUNIT_EXPECT_NE(test, t->known[0].did, t->known[1].did);
	KUNIT_EXPECT_NE(test, t->known[0].ptr, t->known[1].ptr);

	thread = kthread_run(hardware, t, "kunit-vtd");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, thread);
	for (i = 0; i < TEST_ROUNDS; i++) {
		failed += !!attach(t, domain[!now], domain[now]);
		if (t->nr_context != 1 || t->iotlb_did != t->known[now].did)
			not_flushed++;
		now = !now;
		usleep_range(50, 100);
	}
	kthread_stop(thread);

	KUNIT_EXPECT_EQ(test, failed, 0);
	KUNIT_EXPECT_EQ(test, not_flushed, 0);
	KUNIT_EXPECT_EQ(test, t->absent, 0);
	KUNIT_EXPECT_EQ(test, t->wrong, 0);
	KUNIT_EXPECT_GT(test, t->seen[0], 0);
	KUNIT_EXPECT_GT(test, t->seen[1], 0);

	block(t, domain[now]);
	KUNIT_EXPECT_FALSE(test, walk(t, TEST_DEVFN).present);
	for (i = 0; i < 2; i++)
		domain[i]->ops->free(domain[i]);
	KUNIT_EXPECT_TRUE(test, ida_is_empty(&t->iommu.domain_ida));
	tear_down(t);
}

/* --- a failure changes nothing -------------------------------------------- */

static const enum test_kind all_kinds[] = { TEST_LEGACY, TEST_SECOND, TEST_FIRST };

static void kind_name(const enum test_kind *kind, char *desc)
{
	static const char * const names[] = { "legacy", "second stage", "first stage" };

	strscpy(desc, names[*kind], KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(kind, all_kinds, kind_name);

static void test_failure_changes_nothing(struct kunit *test)
{
	enum test_kind kind = *(const enum test_kind *)test->param_value;
	struct replace_test *t = set_up(test, kind);
	struct iommu_domain *a = domain_alloc(test, kind);
	struct iommu_domain *b = domain_alloc(test, kind);
	struct test_entry before, after;
	u64 cap = t->iommu.cap;

	KUNIT_ASSERT_EQ(test, attach(t, a, NULL), 0);
	before = walk(t, TEST_DEVFN);

	t->iommu.max_domain_id = IDA_START_DID + 1;
	KUNIT_EXPECT_EQ(test, attach(t, b, a), -ENOSPC);
	t->iommu.max_domain_id = 64;
	after = walk(t, TEST_DEVFN);
	KUNIT_EXPECT_TRUE(test, entry_is(&before, &after));
	KUNIT_EXPECT_EQ(test, t->nr_context, 0);
	KUNIT_EXPECT_PTR_EQ(test, t->info.domain, to_dmar_domain(a));

	/* It has pages of 1 GiB, and now the unit has not. */
	t->iommu.cap &= ~(BIT_ULL(56) | 3ULL << 34);
	KUNIT_EXPECT_EQ(test, attach(t, b, a), -EINVAL);
	t->iommu.cap = cap;
	after = walk(t, TEST_DEVFN);
	KUNIT_EXPECT_TRUE(test, entry_is(&before, &after));
	KUNIT_EXPECT_EQ(test, t->nr_context, 0);
	KUNIT_EXPECT_PTR_EQ(test, t->info.domain, to_dmar_domain(a));

	/* Nothing of it is left that would be in the way. */
	KUNIT_EXPECT_EQ(test, attach(t, b, a), 0);
	block(t, b);
	a->ops->free(a);
	b->ops->free(b);
	KUNIT_EXPECT_TRUE(test, ida_is_empty(&t->iommu.domain_ida));
	tear_down(t);
}

/* --- more than one requester ID ------------------------------------------- */

static void test_alias(struct kunit *test)
{
	enum test_kind kind = *(const enum test_kind *)test->param_value;
	struct replace_test *t = test->priv;
	struct context_entry *context;
	struct test_entry e, alias;
	struct iommu_domain *a, *b;

	t->pdev.dma_alias_mask = bitmap_zalloc(256, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t->pdev.dma_alias_mask);
	set_bit(TEST_ALIAS, t->pdev.dma_alias_mask);
	set_up(test, kind);
	a = domain_alloc(test, kind);
	b = domain_alloc(test, kind);

	KUNIT_ASSERT_EQ(test, attach(t, a, NULL), 0);
	KUNIT_EXPECT_EQ(test, attach(t, b, a), 0);
	KUNIT_EXPECT_EQ(test, t->nr_context, 2);
	e = walk(t, TEST_DEVFN);
	alias = walk(t, TEST_ALIAS);
	KUNIT_EXPECT_TRUE(test, e.present);
	KUNIT_EXPECT_TRUE(test, entry_is(&e, &alias));

	if (kind == TEST_LEGACY) {
		/* A device that shares the requester ID was blocked. */
		context = iommu_context_addr(&t->iommu, 0, TEST_ALIAS, false);
		context_clear_entry(context);
		KUNIT_EXPECT_EQ(test, attach(t, a, b), 0);
		e = walk(t, TEST_DEVFN);
		alias = walk(t, TEST_ALIAS);
		KUNIT_EXPECT_TRUE(test, e.present);
		KUNIT_EXPECT_TRUE(test, entry_is(&e, &alias));
		block(t, a);
	} else {
		block(t, b);
	}
	a->ops->free(a);
	b->ops->free(b);
	tear_down(t);
	bitmap_free(t->pdev.dma_alias_mask);
}

/* --- what else is in the tables ------------------------------------------- */

static void set_pasid(struct kunit *test, u32 pasid, struct pasid_entry *copy)
{
	struct replace_test *t = test->priv;
	struct device *dev = test_dev(t);
	struct pasid_dir_entry *dir;

	KUNIT_EXPECT_EQ(test, 0,
			intel_pasid_setup_first_level(&t->iommu, dev, 0x1234000,
						      pasid, FLPT_DEFAULT_DID, 0));
	dir = t->info.pasid_table->table;
	*copy = get_pasid_table_from_pde(&dir[pasid >> PASID_PDE_SHIFT])
		[pasid & PASID_PTE_MASK];
}

static void expect_pasid(struct kunit *test, u32 pasid,
			 const struct pasid_entry *want)
{
	struct replace_test *t = test->priv;
	struct pasid_dir_entry *dir = t->info.pasid_table->table;
	struct pasid_entry *got =
		get_pasid_table_from_pde(&dir[pasid >> PASID_PDE_SHIFT]);

	KUNIT_ASSERT_NOT_NULL(test, got);
	KUNIT_EXPECT_MEMEQ(test, &got[pasid & PASID_PTE_MASK], want,
			   sizeof(*want));
}

static void test_other_pasids(struct kunit *test)
{
	struct replace_test *t = set_up(test, TEST_FIRST);
	struct iommu_domain *a = domain_alloc(test, TEST_FIRST);
	struct iommu_domain *b = domain_alloc(test, TEST_SECOND);
	/* The first one shares a page with IOMMU_NO_PASID. */
	static const u32 pasids[] = { 5, 70 };
	struct pasid_entry copies[ARRAY_SIZE(pasids)];
	int i;

	KUNIT_ASSERT_EQ(test, attach(t, a, NULL), 0);
	KUNIT_EXPECT_EQ(test, attach(t, b, a), 0);
	KUNIT_EXPECT_EQ(test, t->nr_iotlb_global, 0);
	for (i = 0; i < ARRAY_SIZE(pasids); i++) {
		set_pasid(test, pasids[i], &copies[i]);
		KUNIT_EXPECT_EQ(test, attach(t, a, b), 0);
		KUNIT_EXPECT_EQ(test, t->nr_iotlb_global, 1);
		/* Entries of other PASIDs change as soon as it is dropped. */
		if (IS_ENABLED(CONFIG_SMP))
			KUNIT_EXPECT_EQ(test, t->nr_context_locked, 1);
		expect_pasid(test, pasids[i], &copies[i]);
		KUNIT_EXPECT_EQ(test, attach(t, b, a), 0);
		expect_pasid(test, pasids[i], &copies[i]);
		intel_pasid_tear_down_entry(&t->iommu, test_dev(t), pasids[i],
					    false);
	}
	block(t, b);
	a->ops->free(a);
	b->ops->free(b);
	tear_down(t);
}

static bool tracks_dirty(struct replace_test *t)
{
	struct pasid_dir_entry *dir = t->info.pasid_table->table;

	return pasid_get_ssade(get_pasid_table_from_pde(dir));
}

static void test_dirty_tracking(struct kunit *test)
{
	struct replace_test *t = set_up(test, TEST_SECOND);
	struct iommu_domain *a = domain_alloc(test, TEST_SECOND);
	struct iommu_domain *b = domain_alloc(test, TEST_SECOND);

	KUNIT_ASSERT_EQ(test, attach(t, a, NULL), 0);
	KUNIT_EXPECT_EQ(test, b->dirty_ops->set_dirty_tracking(b, true), 0);
	KUNIT_EXPECT_FALSE(test, tracks_dirty(t));
	KUNIT_EXPECT_EQ(test, attach(t, b, a), 0);
	KUNIT_EXPECT_TRUE(test, tracks_dirty(t));
	KUNIT_EXPECT_EQ(test, a->dirty_ops->set_dirty_tracking(a, true), 0);
	KUNIT_EXPECT_EQ(test, a->dirty_ops->set_dirty_tracking(a, false), 0);
	KUNIT_EXPECT_TRUE(test, tracks_dirty(t));
	KUNIT_EXPECT_EQ(test, b->dirty_ops->set_dirty_tracking(b, false), 0);
	KUNIT_EXPECT_FALSE(test, tracks_dirty(t));
	block(t, b);
	a->ops->free(a);
	b->ops->free(b);
	tear_down(t);
}

/* Fields that belong to the device stay as they are. */
static void test_context_entry(struct kunit *test)
{
	struct context_entry e = {};

	if (!context_can_replace_ssptptr())
		kunit_skip(test, "needs cmpxchg16b");
	e.lo = 0x123456789000 | CONTEXT_TT_DEV_IOTLB << 2 | 3;
	e.hi = 0xabcd << 8 | 2;
	context_replace_ssptptr(&e, 0xfedcba987000, 1, 0x1234);
	KUNIT_EXPECT_EQ(test, e.lo,
			0xfedcba987000 | CONTEXT_TT_DEV_IOTLB << 2 | 3);
	KUNIT_EXPECT_EQ(test, e.hi, 0x1234 << 8 | 1);
}

static int replace_init(struct kunit *test)
{
	struct replace_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	spin_lock_init(&t->walk);
	test->priv = t;
	running = t;
	return 0;
}

static struct kunit_case replace_test_cases[] = {
	KUNIT_CASE(test_context_entry),
	KUNIT_CASE_PARAM(test_always_translated, replace_gen_params),
	KUNIT_CASE_PARAM(test_failure_changes_nothing, kind_gen_params),
	KUNIT_CASE_PARAM(test_alias, kind_gen_params),
	KUNIT_CASE(test_other_pasids),
	KUNIT_CASE(test_dirty_tracking),
	{}
};

static struct kunit_suite replace_suite = {
	.name = "intel_iommu_replace",
	.init = replace_init,
	.test_cases = replace_test_cases,
};

kunit_test_suite(replace_suite);

MODULE_DESCRIPTION("KUnit tests of replacing a paging domain on VT-d");
MODULE_LICENSE("GPL");
