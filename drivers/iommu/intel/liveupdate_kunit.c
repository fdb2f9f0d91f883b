// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of live update on VT-d, with units and devices that exist in memory
 * only. They cover what emulated hardware does not offer: a device with PASID, ATS
 * and PRI in scalable mode, dirty tracking, nested parents, and the order of
 * invalidations.
 *
 * A unit can only be taken over if a previous kernel has preserved its tables. So on
 * the new kernel's side the tests begin with a unit that has been taken over, and
 * its restored domain is built here.
 */
#include <kunit/test.h>
#include <linux/cpumask.h>
#include <linux/iommu.h>
#include <linux/kallsyms.h>
#include <linux/kthread.h>
#include <linux/luo/iommu.h>
#include <linux/luo/vtd.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/sched.h>
#include <linux/unaligned.h>

#include "../../../kernel/liveupdate/kexec_handover_internal.h"
#include "../iommu-pages.h"
#include "../iommu_liveupdate.h"
#include "iommu.h"
#include "pasid.h"

#define TEST_BUS		5
#define TEST_DEVFN		0x08
#define TEST_OTHER_DEVFN	0x10
#define TEST_REG_PHYS		0xfed90000

/* Configuration space of a device */
#define TEST_PRI_CAP		0x100
#define TEST_PASID_CAP		0x120
#define TEST_ATS_CAP		0x140
#define TEST_CONFIG_SIZE	0x160

/* Fields of a scalable mode context entry (VT-d 9.4) */
#define TEST_CONTEXT_P		BIT_ULL(0)
#define TEST_CONTEXT_DTE	BIT_ULL(2)
#define TEST_CONTEXT_PASIDE	BIT_ULL(3)
#define TEST_CONTEXT_PRE	BIT_ULL(4)
#define TEST_CONTEXT_PDTS	GENMASK_ULL(11, 9)

enum test_kind { TEST_LEGACY, TEST_SECOND, TEST_FIRST };

struct test_device {
	struct pci_dev pdev;
	struct dev_iommu dev_iommu;
	struct device_domain_info info;
	u8 config[TEST_CONFIG_SIZE];
};

/* An invalidation, and the context entry of the first device at that time. */
struct test_flush {
	struct qi_desc desc;
	struct context_entry context;
};

struct test_unit {
	struct intel_iommu iommu;
	struct pci_sysdata sysdata;
	struct pci_bus bus;
	struct test_device devices[2];
	unsigned int nr_devices;

	struct q_inval qi;
	struct task_struct *thread;
	unsigned int head;
	struct test_flush flushes[16];
	unsigned int nr_flushes;
};

/* What freeze() writes. */
struct test_frozen {
	struct luo_iommu_unit unit;
	struct luo_iommu_attachment attachment;
};

static const struct iommu_liveupdate_ops *ops = &intel_liveupdate_ops;

/* --- a device */

static struct device *dev_of(struct test_device *d)
{
	return &d->pdev.dev;
}

static u16 rid_of(struct test_device *d)
{
	return PCI_DEVID(d->info.bus, d->info.devfn);
}

static u8 *config_of(struct pci_bus *bus, unsigned int devfn, int where, int size)
{
	struct test_unit *u = container_of(bus, struct test_unit, bus);

	for (unsigned int i = 0; i < u->nr_devices; i++) {
		if (u->devices[i].pdev.devfn == devfn &&
		    where + size <= TEST_CONFIG_SIZE)
			return u->devices[i].config + where;
	}

	return NULL;
}

static int config_read(struct pci_bus *bus, unsigned int devfn, int where,
		       int size, u32 *val)
{
	u8 *at = config_of(bus, devfn, where, size);

	if (!at)
		return PCIBIOS_DEVICE_NOT_FOUND;
	*val = 0;
	memcpy(val, at, size);

	return PCIBIOS_SUCCESSFUL;
}

static int config_write(struct pci_bus *bus, unsigned int devfn, int where,
			int size, u32 val)
{
	u8 *at = config_of(bus, devfn, where, size);

	if (!at)
		return PCIBIOS_DEVICE_NOT_FOUND;
	memcpy(at, &val, size);

	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops config_ops = {
	.read = config_read,
	.write = config_write,
};

static bool pri_is_enabled(struct test_device *d)
{
	return d->config[TEST_PRI_CAP + PCI_PRI_CTRL] & PCI_PRI_CTRL_ENABLE;
}

static bool ats_is_enabled(struct test_device *d)
{
	return get_unaligned_le16(d->config + TEST_ATS_CAP + PCI_ATS_CTRL) &
	       PCI_ATS_CTRL_ENABLE;
}

static void enable_ats(struct test_device *d)
{
	put_unaligned_le16(PCI_ATS_CAP_PAGE_ALIGNED,
			   d->config + TEST_ATS_CAP + PCI_ATS_CAP);
	put_unaligned_le16(PCI_ATS_CTRL_ENABLE,
			   d->config + TEST_ATS_CAP + PCI_ATS_CTRL);
	d->pdev.ats_cap = TEST_ATS_CAP;
	d->pdev.ats_enabled = 1;
	d->info.ats_supported = 1;
	d->info.ats_qdep = 8;
	d->info.pfsid = rid_of(d);
}

/* 20 bits of PASID, so the directory has the largest size. */
static void enable_pasid_and_pri(struct test_device *d)
{
	put_unaligned_le16(20 << 8, d->config + TEST_PASID_CAP + PCI_PASID_CAP);
	d->pdev.pasid_cap = TEST_PASID_CAP;
	d->pdev.pasid_enabled = 1;
	d->info.pasid_supported = 1;
	d->info.pasid_enabled = 1;

	put_unaligned_le16(PCI_PRI_CTRL_ENABLE,
			   d->config + TEST_PRI_CAP + PCI_PRI_CTRL);
	put_unaligned_le16(PCI_PRI_STATUS_STOPPED,
			   d->config + TEST_PRI_CAP + PCI_PRI_STATUS);
	put_unaligned_le32(32, d->config + TEST_PRI_CAP + PCI_PRI_MAX_REQ);
	d->pdev.pri_cap = TEST_PRI_CAP;
	d->pdev.pri_enabled = 1;
	d->pdev.pasid_required = 1;
	d->info.pri_supported = 1;
	d->info.pri_enabled = 1;
}

static struct test_device *bare_device(struct test_unit *u, u8 devfn)
{
	struct test_device *d = &u->devices[u->nr_devices++];
	struct device *dev = dev_of(d);

	put_unaligned_le32(0x12345678, d->config + PCI_VENDOR_ID);
	d->pdev.bus = &u->bus;
	d->pdev.devfn = devfn;
	dev->bus = &pci_bus_type;
	dev->init_name = "kunit";
	dev->iommu = &d->dev_iommu;
	set_dev_node(dev, NUMA_NO_NODE);
	d->info.dev = dev;
	d->info.iommu = &u->iommu;
	d->info.bus = TEST_BUS;
	d->info.devfn = devfn;
	/* dev_iommu_priv_set() is for devices that are being probed. */
	d->dev_iommu.priv = &d->info;

	return d;
}

/* A device that uses all that there is in scalable mode. */
static struct test_device *scalable_device(struct kunit *test,
					   struct test_unit *u, u8 devfn)
{
	struct test_device *d = bare_device(u, devfn);

	enable_ats(d);
	d->info.ats_enabled = 1;
	enable_pasid_and_pri(d);
	KUNIT_ASSERT_EQ(test, intel_pasid_alloc_table(dev_of(d)), 0);
	KUNIT_ASSERT_EQ(test, intel_pasid_setup_sm_context(dev_of(d)), 0);

	return d;
}

static struct test_device *device_of_kind(struct kunit *test,
					  struct test_unit *u,
					  enum test_kind kind)
{
	struct test_device *d;

	if (kind != TEST_LEGACY)
		return scalable_device(test, u, TEST_DEVFN);
	d = bare_device(u, TEST_DEVFN);
	enable_ats(d);

	return d;
}

static struct context_entry *live_context(struct test_device *d)
{
	return iommu_context_addr(d->info.iommu, d->info.bus, d->info.devfn, false);
}

static struct pasid_entry *live_entries(struct test_device *d)
{
	return get_pasid_table_from_pde(d->info.pasid_table->table);
}

/* --- a unit */

static void unit_destroy(void *data)
{
	struct test_unit *u = data;
	struct root_entry *root = &u->iommu.root_entry[TEST_BUS];

	for (unsigned int i = 0; i < u->nr_devices; i++)
		intel_pasid_free_table(dev_of(&u->devices[i]));
	if (root->lo & 1)
		iommu_free_pages(phys_to_virt(root->lo & VTD_PAGE_MASK));
	if (root->hi & 1)
		iommu_free_pages(phys_to_virt(root->hi & VTD_PAGE_MASK));
	iommu_free_pages(u->iommu.root_entry);
	ida_destroy(&u->iommu.domain_ida);
}

static struct test_unit *unit_create(struct kunit *test, bool scalable)
{
	struct test_unit *u = kunit_kzalloc(test, sizeof(*u), GFP_KERNEL);
	void *reg = kunit_kzalloc(test, VTD_PAGE_SIZE, GFP_KERNEL);
	struct intel_iommu *iommu;

	if (scalable && !intel_iommu_sm)
		kunit_skip(test, "needs intel_iommu=sm_on");
	KUNIT_ASSERT_NOT_NULL(test, u);
	KUNIT_ASSERT_NOT_NULL(test, reg);

	iommu = &u->iommu;
	snprintf(iommu->name, sizeof(iommu->name), "kunit");
	iommu->reg = (__force void __iomem *)reg;
	iommu->reg_phys = TEST_REG_PHYS;
	iommu->node = NUMA_NO_NODE;
	/* Widths and tables of 48 bits, all page sizes. */
	iommu->cap = 47ULL << 16 | BIT_ULL(2) << 8 | 3ULL << 34 | BIT_ULL(56);
	/* Coherent, queued invalidation. */
	iommu->ecap = BIT_ULL(48) | 3;
	/* Scalable mode with nesting, both stages and dirty tracking. */
	if (scalable)
		iommu->ecap |= BIT_ULL(26) | BIT_ULL(43) | BIT_ULL(45) |
			       BIT_ULL(46) | BIT_ULL(47);
	iommu->agaw = 2;
	iommu->msagaw = 2;
	iommu->max_domain_id = 64;
	iommu->gcmd = DMA_GCMD_TE;
	/* All of them are descriptors in one queue, if there is one. */
	iommu->flush.flush_context = qi_flush_context;
	iommu->flush.flush_iotlb = qi_flush_iotlb;
	mutex_init(&iommu->did_lock);
	ida_init(&iommu->domain_ida);
	spin_lock_init(&iommu->lock);
	raw_spin_lock_init(&iommu->register_lock);
	/* The root table pointer is set as soon as this is requested. */
	writel(DMA_GSTS_RTPS, iommu->reg + DMAR_GSTS_REG);
	KUNIT_ASSERT_EQ(test, iommu_alloc_root_entry(iommu), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, unit_destroy, u), 0);

	u->bus.ops = &config_ops;
	u->bus.number = TEST_BUS;
	u->bus.sysdata = &u->sysdata;

	return u;
}

/* --- invalidations */

static void hardware_execute(struct test_unit *u, const struct qi_desc *desc)
{
	struct context_entry *context;

	if ((desc->qw0 & 0xf) == QI_IWD_TYPE) {
		WRITE_ONCE(*(u32 *)phys_to_virt(desc->qw1), desc->qw0 >> 32);
		return;
	}
	if (u->nr_flushes < ARRAY_SIZE(u->flushes)) {
		context = live_context(&u->devices[0]);
		u->flushes[u->nr_flushes].desc = *desc;
		u->flushes[u->nr_flushes].context = *context;
	}
	u->nr_flushes++;
}

static int hardware(void *data)
{
	struct test_unit *u = data;
	unsigned int tail, shift = qi_shift(&u->iommu);

	while (!kthread_should_stop()) {
		tail = readl(u->iommu.reg + DMAR_IQT_REG) >> shift;
		while (u->head != tail) {
			hardware_execute(u, u->qi.desc + (u->head << shift));
			u->head = (u->head + 1) % QI_LENGTH;
		}
		cpu_relax();
		cond_resched();
	}

	return 0;
}

static void hardware_stop(void *data)
{
	struct test_unit *u = data;

	u->iommu.qi = NULL;
	kthread_stop(u->thread);
}

/*
 * From here on invalidations are recorded in &test_unit.flushes. Without this there
 * is no queue, and they are dropped.
 */
static void hardware_start(struct kunit *test, struct test_unit *u)
{
	unsigned int cpu = cpumask_first(cpu_online_mask);
	unsigned int other = cpumask_next(cpu, cpu_online_mask);

	/* The CPU that waits for an invalidation has interrupts disabled. */
	if (other >= nr_cpu_ids)
		kunit_skip(test, "needs two CPUs");
	KUNIT_ASSERT_EQ(test, set_cpus_allowed_ptr(current, cpumask_of(cpu)), 0);

	raw_spin_lock_init(&u->qi.q_lock);
	u->qi.free_cnt = QI_LENGTH;
	u->qi.desc = kunit_kzalloc(test, QI_LENGTH << qi_shift(&u->iommu),
				   GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, u->qi.desc);
	u->qi.desc_status = kunit_kcalloc(test, QI_LENGTH,
					  sizeof(*u->qi.desc_status), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, u->qi.desc_status);

	u->thread = kthread_run_on_cpu(hardware, u, other, "kunit-vtd/%u");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, u->thread);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, hardware_stop, u), 0);
	u->iommu.qi = &u->qi;
}

static struct qi_desc context_desc(struct test_device *d, u16 did)
{
	return (struct qi_desc) {
		.qw0 = QI_CC_TYPE | QI_CC_GRAN(DMA_CCMD_DEVICE_INVL) |
		       QI_CC_SID(rid_of(d)) | QI_CC_DID(did),
	};
}

static struct qi_desc iotlb_desc(u16 did, u64 type)
{
	return (struct qi_desc) {
		.qw0 = QI_IOTLB_TYPE | QI_IOTLB_GRAN(type) | QI_IOTLB_DID(did),
	};
}

/* All of the device TLB. */
static struct qi_desc dev_iotlb_desc(struct test_device *d)
{
	struct qi_desc desc;

	qi_desc_dev_iotlb(rid_of(d), d->info.pfsid, d->info.ats_qdep, 0,
			  MAX_AGAW_PFN_WIDTH, &desc);

	return desc;
}

/*
 * What follows a change of a context entry that was present (VT-d 6.5.3.3), but for the
 * device TLB. In scalable mode it led to entries of any PASID and domain ID.
 */
static unsigned int flushes_of(struct test_device *d, u16 did,
			       struct qi_desc *want)
{
	want[0] = context_desc(d, did);
	if (!sm_supported(d->info.iommu)) {
		want[1] = iotlb_desc(did, DMA_TLB_DSI_FLUSH);
		return 2;
	}
	want[1] = (struct qi_desc) {
		.qw0 = QI_PC_TYPE | QI_PC_GRAN(QI_PC_GLOBAL),
	};
	want[2] = iotlb_desc(0, DMA_TLB_GLOBAL_FLUSH);

	return 3;
}

/* Expect these invalidations and no others, each with this context entry. */
static void expect_flushes(struct kunit *test, struct test_unit *u,
			   const struct qi_desc *want, unsigned int nr,
			   const struct context_entry *context)
{
	KUNIT_ASSERT_EQ(test, u->nr_flushes, nr);
	for (unsigned int i = 0; i < nr; i++) {
		KUNIT_EXPECT_EQ_MSG(test, u->flushes[i].desc.qw0, want[i].qw0,
				    "invalidation %u", i);
		KUNIT_EXPECT_EQ_MSG(test, u->flushes[i].desc.qw1, want[i].qw1,
				    "invalidation %u", i);
		KUNIT_EXPECT_EQ_MSG(test, u->flushes[i].context.lo, context->lo,
				    "invalidation %u", i);
		KUNIT_EXPECT_EQ_MSG(test, u->flushes[i].context.hi, context->hi,
				    "invalidation %u", i);
	}
}

/* --- a domain */

static void domain_block_all(struct dmar_domain *domain)
{
	struct device_domain_info *info, *tmp;

	list_for_each_entry_safe(info, tmp, &domain->devices, link)
		device_block_translation(info->dev);
}

static void domain_destroy(void *data)
{
	struct iommu_domain *domain = data;

	domain_block_all(to_dmar_domain(domain));
	domain->ops->free(domain);
}

static struct iommu_domain *domain_create(struct kunit *test,
					  struct test_device *d, u32 flags)
{
	struct iommu_domain *domain =
		intel_iommu_ops.domain_alloc_paging_flags(dev_of(d), flags, NULL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, domain);
	domain->type = IOMMU_DOMAIN_UNMANAGED;
	KUNIT_ASSERT_EQ(test,
			kunit_add_action_or_reset(test, domain_destroy, domain), 0);

	return domain;
}

static struct iommu_domain *domain_of_kind(struct kunit *test,
					   struct test_device *d,
					   enum test_kind kind)
{
	struct iommu_domain *domain =
		domain_create(test, d, kind == TEST_SECOND ?
			      IOMMU_HWPT_ALLOC_DIRTY_TRACKING : 0);

	KUNIT_ASSERT_EQ(test, intel_domain_is_fs_paging(to_dmar_domain(domain)),
			kind == TEST_FIRST);

	return domain;
}

static int attach(struct test_device *d, struct iommu_domain *domain)
{
	struct dmar_domain *old = d->info.domain;

	return domain->ops->attach_dev(domain, dev_of(d), old ? &old->domain : NULL);
}

/* --- the handover tables, as hardware and the next kernel find them */

static struct luo_vtd_attachment *vtd_attachment(struct test_frozen *f)
{
	return (struct luo_vtd_attachment *)f->attachment.vendor;
}

static u64 *handover_root(struct test_frozen *f)
{
	struct luo_vtd_unit *unit = (struct luo_vtd_unit *)f->unit.vendor;

	return phys_to_virt(unit->root & VTD_PAGE_MASK);
}

/* What an entry leads to: bit 0 means present in each of them. */
static void *next_table(u64 entry)
{
	return entry & 1 ? phys_to_virt(entry & VTD_PAGE_MASK) : NULL;
}

/* @half is 0 in legacy mode, and for devices from 0x80 on 1 in scalable mode. */
static struct context_entry *handover_contexts(struct test_frozen *f,
					       unsigned int half)
{
	return next_table(handover_root(f)[2 * TEST_BUS + half]);
}

static struct context_entry *handover_context(struct test_frozen *f,
					      struct test_device *d)
{
	u8 devfn = d->info.devfn;
	struct context_entry *contexts;

	if (!sm_supported(d->info.iommu)) {
		contexts = handover_contexts(f, 0);
		return contexts ? &contexts[devfn] : NULL;
	}
	contexts = handover_contexts(f, devfn >= 0x80);

	return contexts ? &contexts[2 * (devfn & 0x7f)] : NULL;
}

/* Check that a page is zero but for a range. */
static bool has_only(const void *page, size_t offset, size_t size)
{
	size_t end = offset + size;

	return !memchr_inv(page, 0, offset) &&
	       !memchr_inv(page + end, 0, VTD_PAGE_SIZE - end);
}

static bool is_preserved(const void *table)
{
	return kho_folio_is_preserved(virt_to_folio(table));
}

static void preserve(struct kunit *test, struct test_device *d,
		     struct iommu_domain *domain, struct test_frozen *f)
{
	const char *why = "";

	memset(f, 0, sizeof(*f));
	KUNIT_ASSERT_EQ_MSG(test, 0,
			    ops->preserve(dev_of(d), domain, &f->unit, &why),
			    "%s", why);
	KUNIT_EXPECT_EQ(test, f->unit.base, TEST_REG_PHYS);
}

static void freeze(struct test_device *d, struct test_frozen *f)
{
	ops->freeze(dev_of(d), &f->unit, &f->attachment);
}

/* Shut the unit down. Later parts of the test use its own tables again. */
static bool shutdown(struct test_unit *u)
{
	struct root_entry *root = u->iommu.root_entry;
	bool translates = intel_liveupdate_shutdown(&u->iommu);

	u->iommu.root_entry = root;

	return translates;
}

static void expect_refused(struct kunit *test, struct test_device *d,
			   struct iommu_domain *domain, const char *want)
{
	unsigned long pages = kho_preserved_pages();
	struct luo_iommu_unit unit = {};
	const char *why = "";
	int err;

	err = ops->preserve(dev_of(d), domain, &unit, &why);
	KUNIT_EXPECT_EQ_MSG(test, err, -EOPNOTSUPP, "instead of: %s", want);
	KUNIT_EXPECT_STREQ(test, why, want);
	if (!err)
		ops->unpreserve(dev_of(d));
	KUNIT_EXPECT_EQ(test, kho_preserved_pages(), pages);
	KUNIT_EXPECT_NULL(test, d->info.iommu->liveupdate);
}

static void expect_accepted(struct kunit *test, struct test_device *d,
			    struct iommu_domain *domain)
{
	struct test_frozen f;

	preserve(test, d, domain, &f);
	ops->unpreserve(dev_of(d));
}

/*
 * Expect that the handover entry of a device leads to tables with the entry of
 * IOMMU_NO_PASID and no others, and that it is what was serialized.
 */
static void expect_scalable_entry(struct kunit *test, struct test_device *d,
				  struct test_frozen *f)
{
	struct context_entry *context = handover_context(f, d);
	struct luo_vtd_attachment *wire = vtd_attachment(f);
	struct pasid_entry *entries;
	struct pasid_dir_entry *dir;

	KUNIT_ASSERT_NOT_NULL(test, context);
	KUNIT_EXPECT_TRUE(test, is_preserved(context));
	KUNIT_EXPECT_EQ(test, context[0].lo & ~VTD_PAGE_MASK,
			TEST_CONTEXT_P | TEST_CONTEXT_DTE | TEST_CONTEXT_PASIDE);
	KUNIT_EXPECT_EQ(test, context[0].hi, 0);
	KUNIT_EXPECT_EQ(test, context[1].lo, 0);
	KUNIT_EXPECT_EQ(test, context[1].hi, 0);

	dir = next_table(context[0].lo);
	KUNIT_ASSERT_NOT_NULL(test, dir);
	KUNIT_ASSERT_PTR_NE(test, (void *)dir, d->info.pasid_table->table);
	KUNIT_EXPECT_TRUE(test, is_preserved(dir));
	KUNIT_EXPECT_TRUE(test, has_only(dir, 0, sizeof(*dir)));

	entries = next_table(dir[0].val);
	KUNIT_ASSERT_NOT_NULL(test, entries);
	KUNIT_EXPECT_EQ(test, dir[0].val, virt_to_phys(entries) | PASID_PTE_PRESENT);
	KUNIT_ASSERT_PTR_NE(test, entries, live_entries(d));
	KUNIT_EXPECT_TRUE(test, is_preserved(entries));
	KUNIT_EXPECT_TRUE(test, has_only(entries, 0, sizeof(*entries)));
	KUNIT_EXPECT_TRUE(test, pasid_pte_is_present(entries));
	KUNIT_EXPECT_MEMEQ(test, entries, live_entries(d), sizeof(*entries));

	KUNIT_EXPECT_EQ(test, wire->context_low, context[0].lo);
	KUNIT_EXPECT_EQ(test, wire->context_high, context[0].hi);
	KUNIT_EXPECT_MEMEQ(test, wire->pasid_entry, entries,
			   sizeof(wire->pasid_entry));
	KUNIT_EXPECT_TRUE(test, has_only(handover_root(f),
					 2 * TEST_BUS * sizeof(u64),
					 2 * sizeof(u64)));
}

/* --- the old kernel: what is frozen */

static const enum test_kind scalable_kinds[] = { TEST_SECOND, TEST_FIRST };

static void kind_name(const enum test_kind *kind, char *desc)
{
	static const char * const names[] = { "legacy", "second stage", "first stage" };

	strscpy(desc, names[*kind], KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(scalable_kind, scalable_kinds, kind_name);

static enum test_kind kind_of(struct kunit *test)
{
	return *(const enum test_kind *)test->param_value;
}

static void set_pasid(struct kunit *test, struct test_device *d, u32 pasid)
{
	KUNIT_ASSERT_EQ(test, 0,
			intel_pasid_setup_first_level(d->info.iommu, dev_of(d),
						      0x1234000, pasid,
						      FLPT_DEFAULT_DID, 0));
}

static void clear_pasid(struct test_device *d, u32 pasid)
{
	intel_pasid_tear_down_entry(d->info.iommu, dev_of(d), pasid, false);
}

static void *copy_of(struct kunit *test, const void *from, size_t size)
{
	void *copy = kunit_kmalloc(test, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, copy);

	return memcpy(copy, from, size);
}

static void test_scalable_entry(struct kunit *test)
{
	enum test_kind kind = kind_of(test);
	unsigned long pages = kho_preserved_pages();
	struct test_unit *u = unit_create(test, true);
	struct test_device *d = scalable_device(test, u, TEST_DEVFN);
	struct iommu_domain *domain = domain_of_kind(test, d, kind);
	void *dir = d->info.pasid_table->table;
	struct context_entry *live, *context;
	void *old_context, *old_dir, *old_entries;
	size_t dir_size;
	struct test_frozen f;

	KUNIT_ASSERT_EQ(test, attach(d, domain), 0);
	/* Entries that are not present: one that is not zero, and a PASID table. */
	live_entries(d)[5].val[0] = PASID_PTE_FPD;
	set_pasid(test, d, 70);
	clear_pasid(d, 70);

	live = live_context(d);
	KUNIT_ASSERT_EQ(test, live->lo & ~(VTD_PAGE_MASK | TEST_CONTEXT_PDTS),
			TEST_CONTEXT_P | TEST_CONTEXT_DTE | TEST_CONTEXT_PASIDE |
			TEST_CONTEXT_PRE);
	KUNIT_ASSERT_NE(test, live->lo & TEST_CONTEXT_PDTS, 0);
	dir_size = (d->info.pasid_table->max_pasid >> PASID_PDE_SHIFT) *
		   sizeof(struct pasid_dir_entry);
	old_context = copy_of(test, live, 2 * sizeof(*live));
	old_dir = copy_of(test, dir, dir_size);
	old_entries = copy_of(test, live_entries(d), VTD_PAGE_SIZE);

	preserve(test, d, domain, &f);
	KUNIT_EXPECT_FALSE(test, pri_is_enabled(d));
	KUNIT_EXPECT_FALSE(test, d->info.pri_enabled);
	KUNIT_EXPECT_FALSE(test, shutdown(u));

	freeze(d, &f);
	KUNIT_EXPECT_TRUE(test, shutdown(u));
	KUNIT_EXPECT_EQ(test, readq(u->iommu.reg + DMAR_RTADDR_REG),
			f.unit.vendor[0]);
	KUNIT_EXPECT_TRUE(test, is_preserved(handover_root(&f)));
	KUNIT_EXPECT_EQ(test, f.unit.vendor[0],
			virt_to_phys(handover_root(&f)) | DMA_RTADDR_SMT);
	KUNIT_EXPECT_PTR_NE(test, (void *)handover_root(&f),
			    (void *)u->iommu.root_entry);
	expect_scalable_entry(test, d, &f);
	KUNIT_EXPECT_NULL(test, handover_contexts(&f, 1));
	context = handover_context(&f, d);
	KUNIT_EXPECT_TRUE(test, has_only(handover_contexts(&f, 0),
					 2 * TEST_DEVFN * sizeof(*context),
					 2 * sizeof(*context)));

	KUNIT_EXPECT_PTR_EQ(test, live_context(d), live);
	KUNIT_EXPECT_MEMEQ(test, live, old_context, 2 * sizeof(*live));
	KUNIT_EXPECT_PTR_EQ(test, d->info.pasid_table->table, dir);
	KUNIT_EXPECT_MEMEQ(test, dir, old_dir, dir_size);
	KUNIT_EXPECT_MEMEQ(test, live_entries(d), old_entries, VTD_PAGE_SIZE);

	ops->unfreeze(dev_of(d));
	KUNIT_EXPECT_NULL(test, memchr_inv(handover_contexts(&f, 0), 0,
					   VTD_PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, shutdown(u));

	ops->unpreserve(dev_of(d));
	KUNIT_EXPECT_EQ(test, kho_preserved_pages(), pages);
	KUNIT_EXPECT_NULL(test, u->iommu.liveupdate);
	KUNIT_EXPECT_TRUE(test, pri_is_enabled(d));
	KUNIT_EXPECT_TRUE(test, d->info.pri_enabled);
}

struct halves_case {
	const char *name;
	u8 devfn[2];
};

static const struct halves_case halves_cases[] = {
	{ "08 and f8", { 0x08, 0xf8 } },
	{ "7f and 80", { 0x7f, 0x80 } },
};

KUNIT_ARRAY_PARAM_DESC(halves, halves_cases, name);

static void test_halves(struct kunit *test)
{
	const struct halves_case *c = test->param_value;
	unsigned long pages = kho_preserved_pages();
	struct test_unit *u = unit_create(test, true);
	struct context_entry *contexts;
	struct iommu_domain *domain;
	struct test_device *d[2];
	struct test_frozen f[2];
	int i;

	for (i = 0; i < 2; i++) {
		d[i] = scalable_device(test, u, c->devfn[i]);
		domain = domain_of_kind(test, d[i], TEST_FIRST);
		KUNIT_ASSERT_EQ(test, attach(d[i], domain), 0);
		preserve(test, d[i], domain, &f[i]);
	}
	for (i = 0; i < 2; i++)
		freeze(d[i], &f[i]);

	KUNIT_EXPECT_PTR_EQ(test, handover_root(&f[0]), handover_root(&f[1]));
	for (i = 0; i < 2; i++) {
		expect_scalable_entry(test, d[i], &f[i]);
		contexts = handover_contexts(&f[i], i);
		KUNIT_ASSERT_NOT_NULL(test, contexts);
		KUNIT_EXPECT_TRUE(test, has_only(contexts,
						 32 * (c->devfn[i] - 0x80 * i), 32));
	}
	KUNIT_EXPECT_NE(test, vtd_attachment(&f[0])->context_low,
			vtd_attachment(&f[1])->context_low);

	for (i = 0; i < 2; i++)
		ops->unfreeze(dev_of(d[i]));
	for (i = 0; i < 2; i++)
		ops->unpreserve(dev_of(d[i]));
	KUNIT_EXPECT_EQ(test, kho_preserved_pages(), pages);
}

/* A root table, a context table and twice a PASID directory and a PASID table */
static void test_two_devices(struct kunit *test)
{
	unsigned long pages = kho_preserved_pages();
	struct test_unit *u = unit_create(test, true);
	struct context_entry *contexts;
	struct iommu_domain *domain;
	struct test_device *d[2];
	struct test_frozen f[2];
	int first, i;

	d[0] = scalable_device(test, u, TEST_DEVFN);
	d[1] = scalable_device(test, u, TEST_OTHER_DEVFN);
	domain = domain_of_kind(test, d[0], TEST_FIRST);
	for (i = 0; i < 2; i++)
		KUNIT_ASSERT_EQ(test, attach(d[i], domain), 0);

	for (first = 0; first < 2; first++) {
		for (i = 0; i < 2; i++)
			preserve(test, d[i], domain, &f[i]);
		KUNIT_EXPECT_EQ(test, kho_preserved_pages(), pages + 6);
		for (i = 0; i < 2; i++)
			freeze(d[i], &f[i]);
		for (i = 0; i < 2; i++)
			expect_scalable_entry(test, d[i], &f[i]);
		contexts = handover_contexts(&f[0], 0);
		for (i = 0; i < 2; i++)
			ops->unfreeze(dev_of(d[i]));

		ops->unpreserve(dev_of(d[first]));
		KUNIT_ASSERT_EQ(test, kho_preserved_pages(), pages + 4);
		KUNIT_ASSERT_TRUE(test, is_preserved(contexts));
		freeze(d[!first], &f[!first]);
		expect_scalable_entry(test, d[!first], &f[!first]);
		KUNIT_EXPECT_PTR_EQ(test, handover_contexts(&f[!first], 0),
				    contexts);
		KUNIT_EXPECT_EQ(test, handover_context(&f[first], d[first])->lo, 0);
		ops->unfreeze(dev_of(d[!first]));

		ops->unpreserve(dev_of(d[!first]));
		KUNIT_EXPECT_EQ(test, kho_preserved_pages(), pages);
		KUNIT_EXPECT_NULL(test, u->iommu.liveupdate);
	}
}

struct legacy_case {
	const char *name;
	u8 devfn;
	bool ats;
};

static const struct legacy_case legacy_cases[] = {
	{ "multi-level", 0x08, false },
	{ "device TLB", 0xf8, true },
};

KUNIT_ARRAY_PARAM_DESC(legacy, legacy_cases, name);

static void test_legacy_entry(struct kunit *test)
{
	const struct legacy_case *c = test->param_value;
	unsigned long pages = kho_preserved_pages();
	struct test_unit *u = unit_create(test, false);
	struct test_device *d = bare_device(u, c->devfn);
	struct luo_vtd_attachment *wire;
	struct context_entry *live, old;
	struct iommu_domain *domain;
	struct test_frozen f;

	if (c->ats)
		enable_ats(d);
	domain = domain_of_kind(test, d, TEST_LEGACY);
	KUNIT_ASSERT_EQ(test, attach(d, domain), 0);
	live = live_context(d);
	old = *live;
	KUNIT_ASSERT_EQ(test, old.lo >> 2 & 3,
			c->ats ? CONTEXT_TT_DEV_IOTLB : CONTEXT_TT_MULTI_LEVEL);

	preserve(test, d, domain, &f);
	KUNIT_EXPECT_EQ(test, kho_preserved_pages(), pages + 2);
	freeze(d, &f);
	KUNIT_EXPECT_EQ(test, f.unit.vendor[0], virt_to_phys(handover_root(&f)));
	KUNIT_EXPECT_TRUE(test, has_only(handover_root(&f),
					 2 * TEST_BUS * sizeof(u64), sizeof(u64)));
	KUNIT_ASSERT_NOT_NULL(test, handover_contexts(&f, 0));
	KUNIT_EXPECT_MEMEQ(test, handover_context(&f, d), &old, sizeof(old));
	KUNIT_EXPECT_TRUE(test, has_only(handover_contexts(&f, 0),
					 c->devfn * sizeof(old), sizeof(old)));
	wire = vtd_attachment(&f);
	KUNIT_EXPECT_EQ(test, wire->context_low, old.lo);
	KUNIT_EXPECT_EQ(test, wire->context_high, old.hi);
	KUNIT_EXPECT_NULL(test, memchr_inv(wire->pasid_entry, 0,
					   sizeof(wire->pasid_entry)));
	KUNIT_EXPECT_MEMEQ(test, live, &old, sizeof(old));

	ops->unfreeze(dev_of(d));
	KUNIT_EXPECT_NULL(test, memchr_inv(handover_contexts(&f, 0), 0,
					   VTD_PAGE_SIZE));
	ops->unpreserve(dev_of(d));
	KUNIT_EXPECT_EQ(test, kho_preserved_pages(), pages);
	KUNIT_EXPECT_NULL(test, u->iommu.liveupdate);
}

/* --- the old kernel: what is refused */

static void test_other_pasid(struct kunit *test)
{
	struct test_unit *u = unit_create(test, true);
	struct test_device *d = scalable_device(test, u, TEST_DEVFN);
	struct iommu_domain *domain = domain_of_kind(test, d, TEST_FIRST);
	/* The first ones and the last ones of PASID tables */
	u32 pasids[] = { 1, 63, 64, 127, d->info.pasid_table->max_pasid - 1 };

	KUNIT_ASSERT_EQ(test, attach(d, domain), 0);
	expect_accepted(test, d, domain);
	for (int i = 0; i < ARRAY_SIZE(pasids); i++) {
		set_pasid(test, d, pasids[i]);
		expect_refused(test, d, domain,
			       "it is attached to page tables with PASIDs");
		KUNIT_EXPECT_TRUE(test, pri_is_enabled(d));
		/* Its PASID table is still there. */
		clear_pasid(d, pasids[i]);
		expect_accepted(test, d, domain);
	}
}

static void test_dirty_tracking(struct kunit *test)
{
	struct test_unit *u = unit_create(test, true);
	struct test_device *d = scalable_device(test, u, TEST_DEVFN);
	struct iommu_domain *domain = domain_of_kind(test, d, TEST_SECOND);
	const struct iommu_dirty_ops *dirty_ops = domain->dirty_ops;

	KUNIT_ASSERT_NOT_NULL(test, dirty_ops);
	KUNIT_ASSERT_EQ(test, attach(d, domain), 0);
	expect_accepted(test, d, domain);
	KUNIT_ASSERT_EQ(test, dirty_ops->set_dirty_tracking(domain, true), 0);
	expect_refused(test, d, domain, "dirty tracking is active");
	KUNIT_ASSERT_EQ(test, dirty_ops->set_dirty_tracking(domain, false), 0);
	expect_accepted(test, d, domain);
}

static void test_nested_parent(struct kunit *test)
{
	struct test_unit *u = unit_create(test, true);
	struct test_device *d = scalable_device(test, u, TEST_DEVFN);
	struct iommu_domain *domain =
		domain_create(test, d, IOMMU_HWPT_ALLOC_NEST_PARENT);

	KUNIT_ASSERT_EQ(test, attach(d, domain), 0);
	expect_refused(test, d, domain, "its page table is the parent of nested ones");
}

static void test_page_requests(struct kunit *test)
{
	struct test_unit *u = unit_create(test, true);
	struct test_device *d = scalable_device(test, u, TEST_DEVFN);
	struct iommu_domain *domain = domain_of_kind(test, d, TEST_FIRST);

	KUNIT_ASSERT_EQ(test, attach(d, domain), 0);
	/* Without PRI: there is no queue from which the device could be removed. */
	iommu_disable_pci_pri(&d->info);
	d->info.iopf_refcount = 1;
	expect_refused(test, d, domain, "page requests of it are handled");
	d->info.iopf_refcount = 0;
	expect_accepted(test, d, domain);
	/* It is not enabled now if it was not before. */
	KUNIT_EXPECT_FALSE(test, pri_is_enabled(d));
}

static const enum test_kind all_kinds[] = { TEST_LEGACY, TEST_SECOND, TEST_FIRST };

KUNIT_ARRAY_PARAM(kind, all_kinds, kind_name);

static void test_not_attached(struct kunit *test)
{
	static const char want[] = "it is not attached to a page table of its own";
	enum test_kind kind = kind_of(test);
	struct test_unit *u = unit_create(test, kind != TEST_LEGACY);
	struct iommu_domain *domain, *other;
	struct test_device *d;

	d = device_of_kind(test, u, kind);
	domain = domain_of_kind(test, d, kind);
	other = domain_of_kind(test, d, kind);

	expect_refused(test, d, domain, want);
	KUNIT_ASSERT_EQ(test, attach(d, other), 0);
	expect_refused(test, d, domain, want);
	KUNIT_ASSERT_EQ(test, attach(d, domain), 0);
	expect_accepted(test, d, domain);

	KUNIT_ASSERT_EQ(test, attach(d, intel_iommu_ops.identity_domain), 0);
	expect_refused(test, d, domain, want);
	expect_refused(test, d, intel_iommu_ops.identity_domain, want);
	device_block_translation(dev_of(d));
	expect_refused(test, d, domain, want);
}

static void test_legacy_types(struct kunit *test)
{
	static const char want[] = "its translation type is not supported";
	struct test_unit *u = unit_create(test, false);
	struct test_device *d = bare_device(u, TEST_DEVFN);
	struct iommu_domain *domain = domain_of_kind(test, d, TEST_LEGACY);
	struct context_entry *context;

	KUNIT_ASSERT_EQ(test, attach(d, domain), 0);
	context = live_context(d);
	context_set_translation_type(context, CONTEXT_TT_DEV_IOTLB);
	expect_accepted(test, d, domain);
	context_set_translation_type(context, CONTEXT_TT_PASS_THROUGH);
	expect_refused(test, d, domain, want);
	context_set_translation_type(context, CONTEXT_TT_MULTI_LEVEL);
	expect_accepted(test, d, domain);
	context_clear_present(context);
	expect_refused(test, d, domain, want);
}

/* --- the new kernel */

struct test_restored {
	struct test_unit *u;
	struct test_device *d;
	struct dmar_domain *dmar_domain;
	struct iommu_domain *domain;
	struct iommu_domain_ops ops;
	u16 did;
	struct context_entry context;	/* of the previous kernel */
	struct iommu_liveupdate_unit unit;
	struct iommu_liveupdate_domain table;
	struct iommu_liveupdate_attachment att;
};

static void restored_destroy(void *data)
{
	struct test_restored *r = data;

	domain_block_all(r->dmar_domain);
	ops->free_domain(r->domain);
}

/* As intel_liveupdate_take_over() makes it. */
static void restored_domain(struct kunit *test, struct test_restored *r)
{
	struct intel_iommu *iommu = &r->u->iommu;
	struct iommu_domain_info *info;

	r->dmar_domain = paging_domain_alloc();
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, r->dmar_domain);
	r->domain = &r->dmar_domain->domain;
	r->domain->type = IOMMU_DOMAIN_RESTORED;
	r->domain->ops = &r->ops;
	r->domain->owner = &intel_iommu_ops;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, restored_destroy, r),
			0);

	info = kzalloc_obj(*info);
	KUNIT_ASSERT_NOT_NULL(test, info);
	info->did = r->did;
	info->iommu = iommu;
	KUNIT_ASSERT_EQ(test, xa_err(xa_store(&r->dmar_domain->iommu_array,
					      iommu->seq_id, info, GFP_KERNEL)), 0);
	KUNIT_ASSERT_EQ(test, ida_alloc_range(&iommu->domain_ida, r->did, r->did,
					      GFP_KERNEL), r->did);
}

/*
 * A unit that was taken over: its context entry is the one that another unit, that
 * of the previous kernel, has frozen.
 */
static struct test_restored *take_over(struct kunit *test, enum test_kind kind)
{
	struct test_restored *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	struct test_unit *old = unit_create(test, kind != TEST_LEGACY);
	struct test_device *d = device_of_kind(test, old, kind);
	struct iommu_domain *domain = domain_of_kind(test, d, kind);
	struct intel_iommu *iommu;
	struct test_frozen f;

	KUNIT_ASSERT_NOT_NULL(test, r);
	KUNIT_ASSERT_EQ(test, attach(d, domain), 0);
	preserve(test, d, domain, &f);
	freeze(d, &f);
	r->context = *handover_context(&f, d);
	r->did = domain_id_iommu(to_dmar_domain(domain), &old->iommu);
	ops->unfreeze(dev_of(d));
	/* Only hardware reads what the entry leads to. */
	ops->unpreserve(dev_of(d));

	r->u = unit_create(test, kind != TEST_LEGACY);
	r->d = device_of_kind(test, r->u, kind);
	iommu = &r->u->iommu;
	*iommu_context_addr(iommu, TEST_BUS, TEST_DEVFN, true) = r->context;
	/* As the previous kernel has left it. */
	iommu_disable_pci_pri(&r->d->info);
	r->d->pdev.liveupdate_running = true;
	restored_domain(test, r);
	r->unit.driver = iommu;
	r->table.restored = r->domain;
	r->att.wire = f.attachment;
	r->att.wire.rid = rid_of(r->d);
	r->att.unit = &r->unit;
	r->att.domain = &r->table;

	return r;
}

static bool is_scalable(struct test_restored *r)
{
	return sm_supported(&r->u->iommu);
}

/* In the PASID table of this kernel, which may be in use or not. */
static void expect_no_entry(struct kunit *test, struct test_restored *r)
{
	KUNIT_ASSERT_NOT_NULL(test, live_entries(r->d));
	KUNIT_EXPECT_NULL(test, memchr_inv(&live_entries(r->d)[IOMMU_NO_PASID], 0,
					   sizeof(struct pasid_entry)));
}

static void expect_restored(struct kunit *test, struct test_restored *r)
{
	struct context_entry *context = live_context(r->d);

	KUNIT_EXPECT_EQ(test, context->lo, r->context.lo);
	KUNIT_EXPECT_EQ(test, context->hi, r->context.hi);
	KUNIT_EXPECT_PTR_EQ(test, r->d->info.domain, r->dmar_domain);
	KUNIT_EXPECT_TRUE(test, r->d->info.domain_attached);
	KUNIT_EXPECT_TRUE(test, list_is_singular(&r->dmar_domain->devices));
	if (is_scalable(r))
		expect_no_entry(test, r);
}

static void restore(struct kunit *test, struct test_restored *r)
{
	KUNIT_ASSERT_PTR_EQ(test, ops->restore(dev_of(r->d), &r->att), r->domain);
	expect_restored(test, r);
}

/* Expect this kernel's PASID directory, of its own size, and without PRE. */
static void expect_own_tables(struct kunit *test, struct test_device *d)
{
	struct context_entry *context = live_context(d);
	unsigned int nr = d->info.pasid_table->max_pasid >> PASID_PDE_SHIFT;

	KUNIT_EXPECT_EQ(test, context->lo & ~TEST_CONTEXT_PDTS,
			virt_to_phys(d->info.pasid_table->table) | TEST_CONTEXT_P |
			TEST_CONTEXT_DTE | TEST_CONTEXT_PASIDE);
	KUNIT_EXPECT_EQ(test, get_pasid_dir_size(context), nr);
}

static void test_restore(struct kunit *test)
{
	struct test_restored *r = take_over(test, kind_of(test));
	struct device_domain_info *info = &r->d->info;

	hardware_start(test, r->u);
	/* Enabled on a device for which this kernel does not use it. */
	info->ats_supported = 0;
	KUNIT_ASSERT_NULL(test, ops->restore(dev_of(r->d), &r->att));
	info->ats_supported = 1;
	r->att.wire.rid++;
	KUNIT_ASSERT_NULL(test, ops->restore(dev_of(r->d), &r->att));
	r->att.wire.rid--;
	r->unit.driver = NULL;
	KUNIT_ASSERT_NULL(test, ops->restore(dev_of(r->d), &r->att));
	r->unit.driver = &r->u->iommu;
	KUNIT_EXPECT_NULL(test, info->domain);
	KUNIT_EXPECT_TRUE(test, list_empty(&r->dmar_domain->devices));

	info->ats_enabled = 0;
	info->pasid_enabled = 0;
	restore(test, r);
	KUNIT_EXPECT_EQ(test, info->restored.lo, r->context.lo);
	KUNIT_EXPECT_EQ(test, info->restored.hi, r->context.hi);
	KUNIT_EXPECT_TRUE(test, info->ats_enabled);
	KUNIT_EXPECT_EQ(test, !!info->pasid_supported, is_scalable(r));
	KUNIT_EXPECT_EQ(test, !!info->pasid_enabled, is_scalable(r));
	KUNIT_EXPECT_FALSE(test, info->pri_supported);
	KUNIT_EXPECT_EQ(test, r->u->nr_flushes, 0);

	expect_refused(test, r->d, r->domain,
		       "it is not attached to a page table of its own");
}

static void test_restore_without_features(struct kunit *test)
{
	struct test_restored *r = take_over(test, TEST_FIRST);
	struct device_domain_info *info = &r->d->info;

	/* They would be enabled if this kernel had started the device. */
	r->d->pdev.ats_enabled = 0;
	r->d->pdev.pasid_enabled = 0;
	restore(test, r);
	KUNIT_EXPECT_FALSE(test, info->ats_supported);
	KUNIT_EXPECT_FALSE(test, info->ats_enabled);
	KUNIT_EXPECT_FALSE(test, info->pasid_supported);
	KUNIT_EXPECT_FALSE(test, info->pasid_enabled);
}

/* This kernel may enable what it supports on a device that does not run. */
static void test_restore_stopped(struct kunit *test)
{
	struct test_restored *r = take_over(test, TEST_FIRST);
	struct device_domain_info *info = &r->d->info;

	r->d->pdev.liveupdate_running = false;
	r->d->pdev.ats_enabled = 0;
	r->d->pdev.pasid_enabled = 0;
	restore(test, r);
	KUNIT_EXPECT_TRUE(test, info->ats_supported);
	KUNIT_EXPECT_TRUE(test, info->pasid_supported);
	KUNIT_EXPECT_TRUE(test, info->pri_supported);
}

/*
 * The function is static, and only a unit that was taken over has a domain that leads
 * to it.
 */
static void find_attach(struct kunit *test, struct test_restored *r)
{
	r->ops.attach_dev = (void *)kallsyms_lookup_name("intel_liveupdate_attach");
	if (!r->ops.attach_dev)
		kunit_skip(test, "needs CONFIG_KALLSYMS");
}

static void attach_again(struct kunit *test, struct test_restored *r, u16 old_did)
{
	struct qi_desc want[4];
	unsigned int nr = flushes_of(r->d, old_did, want);

	want[nr++] = dev_iotlb_desc(r->d);
	r->u->nr_flushes = 0;
	KUNIT_ASSERT_EQ(test, attach(r->d, r->domain), 0);
	expect_restored(test, r);
	expect_flushes(test, r->u, want, nr, &r->context);
}

static void test_attach_again(struct kunit *test)
{
	static const enum test_kind kinds[] = { TEST_FIRST, TEST_SECOND };
	struct test_restored *r = take_over(test, kind_of(test));
	struct dmar_domain *dmar_domain;
	struct iommu_domain *domain;
	u16 did;

	find_attach(test, r);
	hardware_start(test, r->u);
	restore(test, r);

	for (int i = 0; i < ARRAY_SIZE(kinds); i++) {
		domain = domain_of_kind(test, r->d,
					is_scalable(r) ? kinds[i] : TEST_LEGACY);
		dmar_domain = to_dmar_domain(domain);
		KUNIT_ASSERT_EQ(test, attach(r->d, domain), 0);
		KUNIT_EXPECT_TRUE(test, list_empty(&r->dmar_domain->devices));
		if (is_scalable(r))
			expect_own_tables(test, r->d);
		did = domain_id_iommu(dmar_domain, &r->u->iommu);
		KUNIT_ASSERT_NE(test, did, r->did);

		attach_again(test, r, did);
		KUNIT_EXPECT_TRUE(test, list_empty(&dmar_domain->devices));
		KUNIT_EXPECT_TRUE(test, list_empty(&dmar_domain->cache_tags));
		KUNIT_EXPECT_FALSE(test, ida_exists(&r->u->iommu.domain_ida, did));
	}
	KUNIT_EXPECT_TRUE(test, ida_exists(&r->u->iommu.domain_ida, r->did));

	r->u->nr_flushes = 0;
	KUNIT_EXPECT_EQ(test, attach(r->d, r->domain), 0);
	expect_restored(test, r);
	KUNIT_EXPECT_EQ(test, r->u->nr_flushes, 0);
}

static void expect_blocked(struct kunit *test, struct test_restored *r)
{
	struct qi_desc want[5] = { context_desc(r->d, 0) };
	unsigned int nr;

	KUNIT_EXPECT_NULL(test, r->d->info.domain);
	KUNIT_EXPECT_FALSE(test, r->d->info.domain_attached);
	KUNIT_EXPECT_TRUE(test, list_empty(&r->dmar_domain->devices));
	KUNIT_EXPECT_TRUE(test, ida_exists(&r->u->iommu.domain_ida, r->did));
	if (!is_scalable(r)) {
		KUNIT_EXPECT_EQ(test, live_context(r->d)->lo, 0);
		KUNIT_EXPECT_FALSE(test, ats_is_enabled(r->d));
		return;
	}
	expect_own_tables(test, r->d);
	expect_no_entry(test, r);
	/* With the lock of the context entry, and again without it. */
	nr = 1 + flushes_of(r->d, r->did, want + 1);
	want[nr++] = dev_iotlb_desc(r->d);
	expect_flushes(test, r->u, want, nr, live_context(r->d));
}

static void test_block(struct kunit *test)
{
	struct test_restored *r = take_over(test, kind_of(test));

	find_attach(test, r);
	hardware_start(test, r->u);
	restore(test, r);

	r->u->nr_flushes = 0;
	KUNIT_ASSERT_EQ(test, attach(r->d, intel_iommu_ops.blocked_domain), 0);
	expect_blocked(test, r);

	/* Domain ID 0 is that of entries that are not present. */
	attach_again(test, r, 0);
	KUNIT_EXPECT_TRUE(test, ats_is_enabled(r->d));
	KUNIT_EXPECT_TRUE(test, r->d->info.ats_enabled);
}

static void test_clear(struct kunit *test)
{
	struct test_restored *r = take_over(test, kind_of(test));
	struct context_entry not_present = r->context;
	size_t size = sizeof(struct context_entry);
	struct qi_desc want[3];
	unsigned int nr = flushes_of(r->d, r->did, want);

	if (is_scalable(r)) {
		live_context(r->d)[1].lo = 0x5a;
		size *= 2;
	}
	hardware_start(test, r->u);
	ops->clear(&r->att);
	not_present.lo &= ~TEST_CONTEXT_P;
	expect_flushes(test, r->u, want, nr, &not_present);
	KUNIT_EXPECT_NULL(test, memchr_inv(live_context(r->d), 0, size));
}

/* It was probed, and is blocked with the tables that it has since. */
static void test_clear_probed(struct kunit *test)
{
	struct test_restored *r = take_over(test, TEST_FIRST);
	struct context_entry not_present = r->context;
	struct qi_desc want[3];
	unsigned int nr = flushes_of(r->d, r->did, want);

	hardware_start(test, r->u);
	r->att.dev = dev_of(r->d);
	r->d->info.pri_supported = 0;
	ops->clear(&r->att);
	not_present.lo &= ~TEST_CONTEXT_P;
	expect_flushes(test, r->u, want, nr, &not_present);
	expect_own_tables(test, r->d);
	KUNIT_EXPECT_NULL(test, live_entries(r->d));
}

static void test_free_domain(struct kunit *test)
{
	struct test_restored *r = take_over(test, TEST_FIRST);

	KUNIT_EXPECT_TRUE(test, ida_exists(&r->u->iommu.domain_ida, r->did));
	kunit_release_action(test, restored_destroy, r);
	KUNIT_EXPECT_TRUE(test, ida_is_empty(&r->u->iommu.domain_ida));
}

static int liveupdate_init(struct kunit *test)
{
	if (!kho_is_enabled())
		kunit_skip(test, "needs kho=on");
	if (!context_can_replace_ssptptr())
		kunit_skip(test, "needs cmpxchg16b");

	return 0;
}

static struct kunit_case liveupdate_test_cases[] = {
	KUNIT_CASE_PARAM(test_scalable_entry, scalable_kind_gen_params),
	KUNIT_CASE_PARAM(test_halves, halves_gen_params),
	KUNIT_CASE(test_two_devices),
	KUNIT_CASE_PARAM(test_legacy_entry, legacy_gen_params),
	KUNIT_CASE(test_other_pasid),
	KUNIT_CASE(test_dirty_tracking),
	KUNIT_CASE(test_nested_parent),
	KUNIT_CASE(test_page_requests),
	KUNIT_CASE_PARAM(test_not_attached, kind_gen_params),
	KUNIT_CASE(test_legacy_types),
	KUNIT_CASE_PARAM(test_restore, kind_gen_params),
	KUNIT_CASE(test_restore_without_features),
	KUNIT_CASE(test_restore_stopped),
	KUNIT_CASE_PARAM(test_attach_again, kind_gen_params),
	KUNIT_CASE_PARAM(test_block, kind_gen_params),
	KUNIT_CASE_PARAM(test_clear, kind_gen_params),
	KUNIT_CASE(test_clear_probed),
	KUNIT_CASE(test_free_domain),
	{}
};

static struct kunit_suite liveupdate_suite = {
	.name = "intel_iommu_liveupdate",
	.init = liveupdate_init,
	.test_cases = liveupdate_test_cases,
};

kunit_test_suite(liveupdate_suite);

MODULE_DESCRIPTION("KUnit tests of live update on VT-d");
MODULE_LICENSE("GPL");
