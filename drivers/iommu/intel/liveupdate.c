// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: VT-d units that translate while the kernel is replaced
 *
 * Old kernel
 *   For each unit with a preserved device there is a second root table with
 *   context tables of its own, the *handover tables*, which hold the entries of
 *   preserved devices and no others. In scalable mode each of these devices has
 *   PASID tables there, too, with the entry of requests without PASID and no
 *   other. The handover tables are preserved, unlike the unit's own. When the unit
 *   is shut down its root pointer is set to them, with translation on: preserved
 *   devices continue, all others are blocked.
 *
 * New kernel
 *   intel_liveupdate_take_over() allocates a root table as for any unit, copies
 *   the entries it finds in the handover tables if they are the ones that were
 *   recorded, and reserves their domain IDs. The caller sets the root pointer, with
 *   translation on. A copied entry is present without a driver having attached
 *   anything; the device is marked as attached to a restored domain when it is
 *   probed. With the next attach its entry is replaced, see
 *   dmar_domain_replace_device(). Attaching the restored domain again puts the old
 *   entry back. In scalable mode the entry leads to the previous kernel's PASID
 *   tables, which are not changed. Hardware does not use this kernel's PASID tables
 *   of the device until the entry is replaced.
 *
 * A kernel that starts in another mode than the one before it stops the preserved
 * devices: the mode cannot be changed while translation is on (VT-d 11.4.6).
 *
 * Section numbers are those of the Intel Virtualization Technology for Directed I/O
 * Architecture Specification, revision 4.1.
 */

#define pr_fmt(fmt)	"DMAR: " fmt

#include <linux/cleanup.h>
#include <linux/kexec_handover.h>
#include <linux/liveupdate.h>
#include <linux/luo_tag.h>
#include <linux/luo/vtd.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "../iommu_liveupdate.h"
#include "iommu.h"
#include "pasid.h"

static LUO_TAG(intel_liveupdate_tag,
	       .name = LUO_VTD_TAG,
	       .kind = LUO_ABI_TAG_PART,
	       .flags = LUO_ABI_TAG_READS | LUO_ABI_TAG_WRITES |
			(IS_ENABLED(CONFIG_INTEL_IOMMU_DEFAULT_ON) ?
			 LUO_ABI_TAG_DEFAULT_ON : 0));

static LUO_TAG(intel_scalable_tag,
	       .name = LUO_VTD_SCALABLE_TAG,
	       .kind = LUO_ABI_TAG_PART,
	       .flags = LUO_ABI_TAG_READS | LUO_ABI_TAG_WRITES |
			(IS_ENABLED(CONFIG_INTEL_IOMMU_SCALABLE_MODE_DEFAULT_ON) ?
			 LUO_ABI_TAG_DEFAULT_ON : 0));

/* Each entry of the root table has two halves, for a context table each (VT-d 9.2). */
#define CONTEXT_TABLE_NR	(2 * ROOT_ENTRY_NR)

/**
 * struct intel_liveupdate_pasids - Handover PASID tables of a device.
 * @dir:     The PASID directory (VT-d 9.5), of the smallest size.
 * @entries: The PASID table that its first entry leads to (VT-d 9.6).
 */
struct intel_liveupdate_pasids {
	struct pasid_dir_entry dir[VTD_PAGE_SIZE / sizeof(struct pasid_dir_entry)];
	struct pasid_entry entries[PASID_TBL_ENTRIES];
};

static_assert(sizeof(struct intel_liveupdate_pasids) == 2 * VTD_PAGE_SIZE);

/**
 * struct intel_liveupdate - The handover tables of a unit.
 * @root:     The root table, &root_entry with both halves as elements.
 * @contexts: The context tables, in the order of @root.
 * @users:    How many devices have an entry in each of @contexts.
 * @pasids:   In scalable mode the PASID tables, by requester ID.
 * @total:    How many devices in all.
 * @frozen:   The entries are filled in, and the next kernel is about to start.
 */
struct intel_liveupdate {
	u64 *root;
	struct context_entry *contexts[CONTEXT_TABLE_NR];
	unsigned int users[CONTEXT_TABLE_NR];
	struct xarray pasids;
	unsigned int total;
	bool frozen;
};

/* Where the entry of a device is: in which context table, and there. */
struct intel_liveupdate_slot {
	unsigned int table;
	unsigned int entry;
};

static_assert(sizeof(struct luo_vtd_unit) <=
	      sizeof_field(struct luo_iommu_unit, vendor));
static_assert(sizeof(struct luo_vtd_attachment) <=
	      sizeof_field(struct luo_iommu_attachment, vendor));

static struct luo_vtd_unit *intel_liveupdate_unit(struct luo_iommu_unit *unit)
{
	return (struct luo_vtd_unit *)unit->vendor;
}

static struct luo_vtd_attachment *
intel_liveupdate_entry(struct luo_iommu_attachment *attachment)
{
	return (struct luo_vtd_attachment *)attachment->vendor;
}

static struct intel_liveupdate_slot
intel_liveupdate_slot(struct intel_iommu *iommu, u16 rid)
{
	u8 devfn = rid & 0xff;

	/* In scalable mode a context entry has the size of two (VT-d 9.4). */
	if (sm_supported(iommu))
		return (struct intel_liveupdate_slot) {
			.table = 2 * PCI_BUS_NUM(rid) + (devfn >> 7),
			.entry = 2 * (devfn & 0x7f),
		};

	return (struct intel_liveupdate_slot) {
		.table = 2 * PCI_BUS_NUM(rid),
		.entry = devfn,
	};
}

static size_t intel_liveupdate_context_size(struct intel_iommu *iommu)
{
	return (sm_supported(iommu) ? 2 : 1) * sizeof(struct context_entry);
}

/* Entries of other types need more than a page table (VT-d 9.3). */
static bool intel_liveupdate_is_supported(struct intel_iommu *iommu,
					  struct context_entry *context)
{
	unsigned int type = (context->lo >> 2) & 3;

	if (!context_present(context))
		return false;

	return sm_supported(iommu) || type == CONTEXT_TT_MULTI_LEVEL ||
	       type == CONTEXT_TT_DEV_IOTLB;
}

/* --- the old kernel */

/* Requests with other PASIDs are blocked during the kexec. */
static bool intel_liveupdate_uses_pasids(struct device_domain_info *info)
{
	struct pasid_table *table = info->pasid_table;
	struct pasid_dir_entry *dir = table->table;
	unsigned int max_pde = table->max_pasid >> PASID_PDE_SHIFT;

	for (unsigned int i = 0; i < max_pde; i++) {
		struct pasid_entry *entries = get_pasid_table_from_pde(&dir[i]);

		for (unsigned int j = i ? 0 : 1; entries && j < PASID_TBL_ENTRIES; j++) {
			if (pasid_pte_is_present(&entries[j]))
				return true;
		}
	}

	return false;
}

static const char *intel_liveupdate_unsupported(struct device_domain_info *info,
						struct iommu_domain *domain)
{
	struct dmar_domain *dmar_domain = to_dmar_domain(domain);
	struct context_entry *context;

	if (!sm_supported(info->iommu) && !context_can_replace_ssptptr())
		return "the CPU does not have cmpxchg16b";
	if (!info->domain || &info->domain->domain != domain ||
	    !(intel_domain_is_ss_paging(dmar_domain) ||
	      intel_domain_is_fs_paging(dmar_domain)))
		return "it is not attached to a page table of its own";
	if (dmar_domain->nested_parent)
		return "its page table is the parent of nested ones";
	if (dmar_domain->dirty_tracking)
		return "dirty tracking is active";
	if (info->iopf_refcount)
		return "page requests of it are handled";

	guard(spinlock)(&info->iommu->lock);
	context = iommu_context_addr(info->iommu, info->bus, info->devfn, false);
	if (!context || !intel_liveupdate_is_supported(info->iommu, context))
		return "its translation type is not supported";
	if (sm_supported(info->iommu) && intel_liveupdate_uses_pasids(info))
		return "it is attached to page tables with PASIDs";

	return NULL;
}

static void intel_liveupdate_put_root(struct intel_iommu *iommu)
{
	struct intel_liveupdate *lu = iommu->liveupdate;

	if (lu->total)
		return;
	intel_liveupdate_unpreserve_irqs(iommu);
	kho_unpreserve_free(lu->root);
	xa_destroy(&lu->pasids);
	kfree(lu);
	iommu->liveupdate = NULL;
}

static int intel_liveupdate_get_root(struct intel_iommu *iommu)
{
	struct intel_liveupdate *lu;
	void *table;
	int err;

	if (iommu->liveupdate)
		return 0;

	lu = kzalloc_obj(*lu);
	if (!lu)
		return -ENOMEM;
	table = kho_alloc_preserve(ROOT_SIZE);
	if (IS_ERR(table)) {
		err = PTR_ERR(table);
		goto out_free;
	}
	err = intel_liveupdate_preserve_irqs(iommu);
	if (err)
		goto out_table;
	/* The unit reads all of it, and need not snoop the CPU's cache. */
	__iommu_flush_cache(iommu, table, ROOT_SIZE);
	lu->root = table;
	xa_init(&lu->pasids);
	iommu->liveupdate = lu;

	return 0;

out_table:
	kho_unpreserve_free(table);
out_free:
	kfree(lu);
	return err;
}

static void intel_liveupdate_put_contexts(struct intel_iommu *iommu,
					  unsigned int table)
{
	struct intel_liveupdate *lu = iommu->liveupdate;

	if (lu->users[table])
		return;
	lu->root[table] = 0;
	__iommu_flush_cache(iommu, &lu->root[table], sizeof(lu->root[table]));
	kho_unpreserve_free(lu->contexts[table]);
	lu->contexts[table] = NULL;
}

static int intel_liveupdate_get_contexts(struct intel_iommu *iommu,
					 unsigned int table)
{
	struct intel_liveupdate *lu = iommu->liveupdate;
	void *contexts;

	if (lu->contexts[table])
		return 0;

	contexts = kho_alloc_preserve(CONTEXT_SIZE);
	if (IS_ERR(contexts))
		return PTR_ERR(contexts);
	__iommu_flush_cache(iommu, contexts, CONTEXT_SIZE);
	lu->contexts[table] = contexts;

	return 0;
}

static void intel_liveupdate_put_pasids(struct intel_iommu *iommu, u16 rid)
{
	struct intel_liveupdate_pasids *pasids;

	pasids = xa_erase(&iommu->liveupdate->pasids, rid);
	if (pasids)
		kho_unpreserve_free(pasids);
}

static int intel_liveupdate_get_pasids(struct intel_iommu *iommu, u16 rid)
{
	struct intel_liveupdate_pasids *pasids;
	int err;

	if (!sm_supported(iommu))
		return 0;

	pasids = kho_alloc_preserve(sizeof(*pasids));
	if (IS_ERR(pasids))
		return PTR_ERR(pasids);
	pasids->dir[0].val = virt_to_phys(pasids->entries) | PASID_PTE_PRESENT;
	__iommu_flush_cache(iommu, pasids, sizeof(*pasids));

	err = xa_err(xa_store(&iommu->liveupdate->pasids, rid, pasids, GFP_KERNEL));
	if (err)
		kho_unpreserve_free(pasids);

	return err;
}

static void intel_liveupdate_put_tables(struct intel_iommu *iommu, u16 rid)
{
	unsigned int table = intel_liveupdate_slot(iommu, rid).table;

	intel_liveupdate_put_pasids(iommu, rid);
	iommu->liveupdate->users[table]--;
	iommu->liveupdate->total--;
	intel_liveupdate_put_contexts(iommu, table);
	intel_liveupdate_put_root(iommu);
}

static int intel_liveupdate_get_tables(struct intel_iommu *iommu, u16 rid)
{
	unsigned int table = intel_liveupdate_slot(iommu, rid).table;
	int err;

	err = intel_liveupdate_get_root(iommu);
	if (err)
		return err;
	err = intel_liveupdate_get_contexts(iommu, table);
	if (err)
		goto out_root;
	err = intel_liveupdate_get_pasids(iommu, rid);
	if (err)
		goto out_contexts;

	iommu->liveupdate->users[table]++;
	iommu->liveupdate->total++;

	return 0;

out_contexts:
	intel_liveupdate_put_contexts(iommu, table);
out_root:
	intel_liveupdate_put_root(iommu);
	return err;
}

static u16 intel_liveupdate_rid(struct device_domain_info *info)
{
	return PCI_DEVID(info->bus, info->devfn);
}

static int intel_liveupdate_preserve(struct device *dev,
				     struct iommu_domain *domain,
				     struct luo_iommu_unit *unit,
				     const char **whyp)
{
	struct device_domain_info *info = dev_iommu_priv_get(dev);
	const char *why = intel_liveupdate_unsupported(info, domain);
	int err;

	if (why) {
		*whyp = why;
		return -EOPNOTSUPP;
	}
	unit->base = info->iommu->reg_phys;

	err = intel_liveupdate_get_tables(info->iommu, intel_liveupdate_rid(info));
	if (err)
		return err;
	if (sm_supported(info->iommu))
		liveupdate_tag_use(&intel_scalable_tag);
	/* Page requests cannot be answered during the kexec. */
	info->pri_preserved = info->pri_enabled;
	iommu_disable_pci_pri(info);

	return 0;
}

static void intel_liveupdate_unpreserve(struct device *dev)
{
	struct device_domain_info *info = dev_iommu_priv_get(dev);

	if (info->pri_preserved)
		iommu_enable_pci_pri(info);
	if (info->pri_preserved && !info->pri_enabled)
		dev_warn(dev, "live update: page requests cannot be enabled again, they are outstanding\n");
	info->pri_preserved = false;
	if (sm_supported(info->iommu))
		liveupdate_tag_unuse(&intel_scalable_tag);
	intel_liveupdate_put_tables(info->iommu, intel_liveupdate_rid(info));
}

/* Fill in the device's PASID tables, and let its context entry lead to them. */
static void intel_liveupdate_freeze_pasids(struct device_domain_info *info,
					   struct context_entry *context,
					   struct luo_vtd_attachment *wire)
{
	struct intel_iommu *iommu = info->iommu;
	struct intel_liveupdate_pasids *pasids =
		xa_load(&iommu->liveupdate->pasids, intel_liveupdate_rid(info));
	struct pasid_entry *to = &pasids->entries[IOMMU_NO_PASID];
	struct pasid_entry *from =
		get_pasid_table_from_pde(info->pasid_table->table);

	*to = from[IOMMU_NO_PASID];
	__iommu_flush_cache(iommu, to, sizeof(*to));
	memcpy(wire->pasid_entry, to, sizeof(wire->pasid_entry));

	context->lo &= ~(VTD_PAGE_MASK | context_pdts(~0ULL));
	context->lo |= virt_to_phys(pasids->dir);
	context_clear_sm_pre(context);
}

static void intel_liveupdate_freeze(struct device *dev,
				    struct luo_iommu_unit *unit,
				    struct luo_iommu_attachment *attachment)
{
	struct luo_vtd_attachment *wire = intel_liveupdate_entry(attachment);
	struct device_domain_info *info = dev_iommu_priv_get(dev);
	struct intel_iommu *iommu = info->iommu;
	struct intel_liveupdate *lu = iommu->liveupdate;
	struct intel_liveupdate_slot slot =
		intel_liveupdate_slot(iommu, intel_liveupdate_rid(info));
	struct context_entry *to = &lu->contexts[slot.table][slot.entry];

	scoped_guard(spinlock, &iommu->lock) {
		memcpy(to, iommu_context_addr(iommu, info->bus, info->devfn, false),
		       intel_liveupdate_context_size(iommu));
		if (sm_supported(iommu))
			intel_liveupdate_freeze_pasids(info, to, wire);
	}
	__iommu_flush_cache(iommu, to, intel_liveupdate_context_size(iommu));
	lu->root[slot.table] = virt_to_phys(lu->contexts[slot.table]) | 1;
	__iommu_flush_cache(iommu, &lu->root[slot.table],
			    sizeof(lu->root[slot.table]));

	wire->context_low = to->lo;
	wire->context_high = to->hi;
	intel_liveupdate_unit(unit)->irta = intel_liveupdate_irta(iommu);
	intel_liveupdate_unit(unit)->root = virt_to_phys(lu->root);
	if (sm_supported(iommu))
		intel_liveupdate_unit(unit)->root |= DMA_RTADDR_SMT;
	lu->frozen = true;
}

static void intel_liveupdate_unfreeze(struct device *dev)
{
	struct device_domain_info *info = dev_iommu_priv_get(dev);
	struct intel_iommu *iommu = info->iommu;
	struct intel_liveupdate *lu = iommu->liveupdate;
	struct intel_liveupdate_slot slot =
		intel_liveupdate_slot(iommu, intel_liveupdate_rid(info));
	struct context_entry *entry = &lu->contexts[slot.table][slot.entry];

	memset(entry, 0, intel_liveupdate_context_size(iommu));
	__iommu_flush_cache(iommu, entry, intel_liveupdate_context_size(iommu));
	lu->frozen = false;
}

static int intel_liveupdate_list_tables(struct iommu_domain *domain,
					int (*fn)(void *data, void *table),
					void *data)
{
	struct pt_iommu *pt = &to_dmar_domain(domain)->iommu;

	return pt->ops->for_each_table(pt, fn, data);
}

/**
 * intel_liveupdate_shutdown - Let a unit translate for preserved devices
 * @iommu: The unit.
 *
 * Context: The only CPU that runs, interrupts off.
 * Return: true if translation stays on, false if the unit has no preserved device.
 */
bool intel_liveupdate_shutdown(struct intel_iommu *iommu)
{
	struct intel_liveupdate *lu = iommu->liveupdate;

	if (!lu || !lu->frozen)
		return false;

	/* Blocked devices may fault, and the fault event has no handler (VT-d 11.4.8). */
	writel(DMA_FECTL_IM, iommu->reg + DMAR_FECTL_REG);
	readl(iommu->reg + DMAR_FECTL_REG);
	if (ecap_prs(iommu->ecap)) {
		writel(DMA_FECTL_IM, iommu->reg + DMAR_PECTL_REG);
		readl(iommu->reg + DMAR_PECTL_REG);
	}

	/* A CPU may have been stopped while it waited for an invalidation. */
	if (iommu->qi && raw_spin_is_locked(&iommu->qi->q_lock)) {
		raw_spin_lock_init(&iommu->qi->q_lock);
		dmar_reenable_qi(iommu);
	}

	iommu_flush_write_buffer(iommu);
	iommu->root_entry = (struct root_entry *)lu->root;
	iommu_set_root_entry(iommu);
	intel_liveupdate_block_irqs(iommu);

	return true;
}

/* --- the new kernel: units */

/* Return: why the unit cannot be taken over, or NULL. */
static const char *intel_liveupdate_differs(struct intel_iommu *iommu,
					    struct iommu_liveupdate_unit *unit)
{
	u64 root = intel_liveupdate_unit(&unit->wire)->root;
	u64 mode = sm_supported(iommu) ? DMA_RTADDR_SMT : 0;

	if (!liveupdate_enabled())
		return "live updates are disabled in this kernel";
	if (!(readl(iommu->reg + DMAR_GSTS_REG) & DMA_GSTS_TES))
		return "translation is disabled in its IOMMU";
	if (readq(iommu->reg + DMAR_RTADDR_REG) != root ||
	    memchr_inv(intel_liveupdate_unit(&unit->wire) + 1, 0,
		       sizeof(unit->wire.vendor) - sizeof(struct luo_vtd_unit))) {
		/* Whatever it leads to is not freed. */
		intel_liveupdate_unit(&unit->wire)->root = 0;
		return "the root table of its IOMMU has changed";
	}
	if ((root & ~VTD_PAGE_MASK) != mode)
		return "its IOMMU is in another mode in this kernel, see intel_iommu=sm_on";
	if (kho_incoming_order(root & VTD_PAGE_MASK) != get_order(ROOT_SIZE))
		return "the tables of its IOMMU were not preserved";

	return NULL;
}

/*
 * What an entry of the previous kernel's tables leads to, which is NULL if it is
 * not present, or not @size bytes that were preserved as one piece.
 */
static void *intel_liveupdate_old_table(u64 entry, size_t size)
{
	u64 phys = entry & VTD_PAGE_MASK;

	if (!(entry & 1) || kho_incoming_order(phys) != get_order(size))
		return NULL;

	return phys_to_virt(phys);
}

static struct context_entry *
intel_liveupdate_old_entry(struct intel_iommu *iommu, u64 root, u16 rid)
{
	struct intel_liveupdate_slot slot = intel_liveupdate_slot(iommu, rid);
	u64 *roots = phys_to_virt(root & VTD_PAGE_MASK);
	struct context_entry *contexts;

	contexts = intel_liveupdate_old_table(roots[slot.table], CONTEXT_SIZE);

	return contexts ? &contexts[slot.entry] : NULL;
}

static int intel_liveupdate_attach(struct iommu_domain *iommu_domain,
				   struct device *dev, struct iommu_domain *old);

/* Its table is freed by the core, see intel_liveupdate_free_domain(). */
static const struct iommu_domain_ops intel_liveupdate_domain_ops = {
	.attach_dev = intel_liveupdate_attach,
	.iova_to_phys = iommu_liveupdate_iova_to_phys,
};

/* Return the domain that represents a page table of the previous kernel. */
static struct dmar_domain *
intel_liveupdate_domain(struct iommu_liveupdate_domain *incoming)
{
	struct dmar_domain *domain;

	if (incoming->restored)
		return to_dmar_domain(incoming->restored);

	domain = paging_domain_alloc();
	if (IS_ERR(domain))
		return domain;
	domain->domain.type = IOMMU_DOMAIN_RESTORED;
	domain->domain.ops = &intel_liveupdate_domain_ops;
	domain->domain.owner = &intel_iommu_ops;
	incoming->restored = &domain->domain;
	incoming->ops = &intel_liveupdate_ops;

	return domain;
}

/*
 * On each unit the domain has the domain ID of the previous kernel, until
 * intel_liveupdate_free_domain(), whatever devices are attached to.
 */
static int intel_liveupdate_reserve_did(struct dmar_domain *domain,
					struct intel_iommu *iommu, u16 did)
{
	struct iommu_domain_info *info, *curr;
	int ret;

	guard(mutex)(&iommu->did_lock);

	curr = xa_load(&domain->iommu_array, iommu->seq_id);
	if (curr)
		return curr->did == did ? 0 : -EBADMSG;

	info = kzalloc_obj(*info);
	if (!info)
		return -ENOMEM;
	ret = ida_alloc_range(&iommu->domain_ida, did, did, GFP_KERNEL);
	if (ret < 0)
		goto out_free;

	info->did = did;
	info->iommu = iommu;
	ret = xa_err(xa_store(&domain->iommu_array, iommu->seq_id, info,
			      GFP_KERNEL));
	if (!ret)
		return 0;

	ida_free(&iommu->domain_ida, did);
out_free:
	kfree(info);
	return ret;
}

/* The page table, and the domain ID that caches know it by. */
struct intel_liveupdate_target {
	u64 table;
	u16 did;
};

/* Return: false if it is not what the previous kernel has preserved. */
static bool intel_liveupdate_legacy_target(struct intel_iommu *iommu,
					   struct context_entry *from,
					   struct intel_liveupdate_target *target)
{
	target->table = from->lo & VTD_PAGE_MASK;
	target->did = context_domain_id(from);

	return cap_sagaw(iommu->cap) & BIT(from->hi & 7);
}

static bool intel_liveupdate_scalable_target(struct context_entry *from,
					     struct luo_vtd_attachment *wire,
					     struct intel_liveupdate_target *target)
{
	struct intel_liveupdate_pasids *pasids =
		intel_liveupdate_old_table(from->lo, sizeof(*pasids));
	struct pasid_entry *entry;

	/* Bits 255:128 of the context entry */
	if (memchr_inv(from + 1, 0, sizeof(*from)))
		return false;
	/* Only the directory's first entry is present, and only the table's. */
	if (!pasids ||
	    pasids->dir[0].val != (virt_to_phys(pasids->entries) | PASID_PTE_PRESENT) ||
	    memchr_inv(&pasids->dir[1], 0, VTD_PAGE_SIZE - sizeof(pasids->dir[0])) ||
	    memchr_inv(&pasids->entries[1], 0,
		       VTD_PAGE_SIZE - sizeof(pasids->entries[0])))
		return false;

	entry = &pasids->entries[IOMMU_NO_PASID];
	if (memcmp(entry, wire->pasid_entry, sizeof(wire->pasid_entry)) ||
	    memchr_inv(entry->val + ARRAY_SIZE(wire->pasid_entry), 0,
		       sizeof(*entry) - sizeof(wire->pasid_entry)))
		return false;

	target->did = pasid_get_domain_id(entry);
	switch (pasid_pte_get_pgtt(entry)) {
	case PASID_ENTRY_PGTT_SL_ONLY:
		target->table = entry->val[0] & VTD_PAGE_MASK;
		return pasid_pte_is_present(entry);
	case PASID_ENTRY_PGTT_FL_ONLY:
		target->table = entry->val[2] & VTD_PAGE_MASK;
		return pasid_pte_is_present(entry);
	default:
		return false;
	}
}

static bool intel_liveupdate_target(struct intel_iommu *iommu,
				    struct context_entry *from,
				    struct luo_vtd_attachment *wire,
				    struct intel_liveupdate_target *target)
{
	if (sm_supported(iommu))
		return intel_liveupdate_scalable_target(from, wire, target);

	return intel_liveupdate_legacy_target(iommu, from, target);
}

/* Return: why the entry cannot be taken over, or NULL. */
static const char *intel_liveupdate_copy(struct intel_iommu *iommu, u64 root,
					 struct iommu_liveupdate_attachment *att)
{
	struct luo_vtd_attachment *wire = intel_liveupdate_entry(&att->wire);
	struct intel_liveupdate_target target;
	struct context_entry *from, *to;
	struct dmar_domain *domain;
	u16 rid = att->wire.rid;

	from = intel_liveupdate_old_entry(iommu, root, rid);
	if (!from || from->lo != wire->context_low ||
	    from->hi != wire->context_high)
		return "its entry in the IOMMU's tables has changed";

	if (att->wire.segment != iommu->segment ||
	    !intel_liveupdate_is_supported(iommu, from) ||
	    !intel_liveupdate_target(iommu, from, wire, &target) ||
	    memchr_inv(wire + 1, 0, sizeof(att->wire.vendor) - sizeof(*wire)) ||
	    !kho_range_is_incoming(target.table, VTD_PAGE_SIZE) ||
	    target.did < IDA_START_DID || target.did >= iommu->max_domain_id)
		return "its entry in the IOMMU's tables is not valid";

	domain = intel_liveupdate_domain(att->domain);
	if (IS_ERR(domain))
		return "memory for its translation could not be allocated";
	if (intel_liveupdate_reserve_did(domain, iommu, target.did))
		return "its domain ID could not be reserved";

	guard(spinlock)(&iommu->lock);
	to = iommu_context_addr(iommu, PCI_BUS_NUM(rid), rid & 0xff, true);
	if (!to)
		return "memory for its translation could not be allocated";
	memcpy(to, from, intel_liveupdate_context_size(iommu));
	__iommu_flush_cache(iommu, to, intel_liveupdate_context_size(iommu));

	return NULL;
}

/**
 * intel_liveupdate_stop - Stop the preserved devices of a unit
 * @iommu: The unit.
 * @why:   The reason, for the log.
 *
 * Context: While the units are initialized.
 * Return: true if translation can be switched off; false if a device does DMA and
 *         cannot be stopped.
 */
bool intel_liveupdate_stop(struct intel_iommu *iommu, const char *why)
{
	return iommu_liveupdate_stop_unit(&intel_liveupdate_ops,
					  iommu->reg_phys, why);
}

/* Translation is about to end: a device that runs would write to any memory. */
static void intel_liveupdate_panic(const char *why)
{
	panic("DMAR: live update: a device does DMA, cannot be stopped, and will not be translated any longer: %s\n",
	      why);
}

/**
 * intel_liveupdate_stop_all - Stop the preserved devices of all units
 * @why: The reason, for the log.
 *
 * To be called before translation is switched off. A panic if a device cannot be
 * stopped.
 *
 * Context: While the units are initialized.
 */
void intel_liveupdate_stop_all(const char *why)
{
	if (!iommu_liveupdate_stop_all(&intel_liveupdate_ops, why))
		intel_liveupdate_panic(why);
}

static bool intel_liveupdate_is_translated(struct device *dev)
{
	u8 bus, devfn;

	return device_lookup_iommu(dev, &bus, &devfn);
}

/**
 * intel_liveupdate_begin - Stop devices that will not be translated as before
 *
 * Context: Before the units are initialized.
 */
void intel_liveupdate_begin(void)
{
	struct dmar_drhd_unit *drhd;
	struct intel_iommu *iommu;

	for_each_iommu(iommu, drhd)
		iommu_liveupdate_found(&intel_liveupdate_ops, iommu->reg_phys);
	iommu_liveupdate_stop_others(intel_liveupdate_is_translated);
}

/**
 * intel_liveupdate_take_over - Take over a unit that is translating
 * @iommu: The unit; it has no root table.
 *
 * On success it has a root table, with entries of the devices that go on. The caller
 * sets the root pointer and does not switch translation off. If a unit cannot be
 * taken over its preserved devices are stopped.
 *
 * Context: While the units are initialized.
 * Return: true if the unit was taken over.
 */
bool intel_liveupdate_take_over(struct intel_iommu *iommu)
{
	struct iommu_liveupdate_attachment *att;
	struct iommu_liveupdate_unit *unit;
	const char *why;
	u64 root;

	unit = iommu_liveupdate_find_unit(iommu->reg_phys);
	if (!unit)
		return false;

	why = intel_liveupdate_differs(iommu, unit);
	if (!why && iommu_alloc_root_entry(iommu))
		why = "memory for its IOMMU's tables could not be allocated";
	if (why) {
		if (!intel_liveupdate_stop(iommu, why))
			intel_liveupdate_panic(why);
		return false;
	}

	root = intel_liveupdate_unit(&unit->wire)->root;
	list_for_each_entry(att, iommu_liveupdate_attachments(), list) {
		if (att->unit != unit)
			continue;
		why = intel_liveupdate_copy(iommu, root, att);
		att->taken = !why;
		if (why)
			iommu_liveupdate_stop(att, why);
	}

	unit->state = IOMMU_LIVEUPDATE_TAKEN;
	unit->ops = &intel_liveupdate_ops;
	unit->driver = iommu;
	pr_info("%s: live update: translation continues from the previous kernel\n", iommu->name);

	return true;
}

/*
 * The unit may have been stopped and yet translate: its driver gave up early, or never
 * switches it off (iommu_skip_te_disable).
 */
static bool
intel_liveupdate_uses_old_tables(struct iommu_liveupdate_unit *unit)
{
	u64 root = intel_liveupdate_unit(&unit->wire)->root;
	void __iomem *reg = ioremap(unit->wire.base, VTD_PAGE_SIZE);
	bool uses;

	if (!reg)
		return true;
	uses = readl(reg + DMAR_GSTS_REG) & DMA_GSTS_TES &&
	       (readq(reg + DMAR_RTADDR_REG) & VTD_PAGE_MASK) ==
	       (root & VTD_PAGE_MASK);
	iounmap(reg);

	return uses;
}

/* In legacy mode the entries lead to page tables, which the core frees. */
static void intel_liveupdate_free_contexts(struct context_entry *contexts,
					   bool scalable)
{
	struct intel_liveupdate_pasids *pasids;

	for (unsigned int i = 0; scalable && i < VTD_PAGE_SIZE / sizeof(*contexts);
	     i += 2) {
		pasids = intel_liveupdate_old_table(contexts[i].lo,
						    sizeof(*pasids));
		if (pasids)
			kho_restore_free(pasids);
	}
	kho_restore_free(contexts);
}

static void intel_liveupdate_release_unit(struct iommu_liveupdate_unit *unit)
{
	u64 root = intel_liveupdate_unit(&unit->wire)->root;
	struct context_entry *contexts;
	u64 *roots;

	if (kho_incoming_order(root & VTD_PAGE_MASK) != get_order(ROOT_SIZE))
		return;

	roots = phys_to_virt(root & VTD_PAGE_MASK);
	for (unsigned int i = 0; i < CONTEXT_TABLE_NR; i++) {
		contexts = intel_liveupdate_old_table(roots[i], CONTEXT_SIZE);
		if (contexts)
			intel_liveupdate_free_contexts(contexts,
						       root & DMA_RTADDR_SMT);
	}
	kho_restore_free(roots);
}

/* --- the new kernel: domains */

/* Hardware uses the domain for the device. */
static void intel_liveupdate_attached(struct device_domain_info *info,
				      struct dmar_domain *domain)
{
	info->domain = domain;
	info->domain_attached = true;
	guard(spinlock_irqsave)(&domain->lock);
	list_add(&info->link, &domain->devices);
}

/*
 * What of the device uses translations is as the previous kernel has left it, and
 * cannot be changed while the device is running. Page requests are disabled.
 *
 * Return: false if translations in the device could not be invalidated.
 */
static bool intel_liveupdate_features(struct device_domain_info *info)
{
	struct pci_dev *pdev = to_pci_dev(info->dev);

	/* Otherwise PCI has stopped it. */
	if (!pci_liveupdate_is_running(pdev))
		return true;
	if (pdev->ats_enabled && !info->ats_supported)
		return false;
	if (!pdev->pasid_enabled)
		info->pasid_supported = 0;
	info->ats_supported = pdev->ats_enabled;
	info->ats_enabled = pdev->ats_enabled;
	info->pasid_enabled = pdev->pasid_enabled;
	info->pri_supported = 0;

	return true;
}

static struct iommu_domain *
intel_liveupdate_restore(struct device *dev,
			 struct iommu_liveupdate_attachment *att)
{
	struct luo_vtd_attachment *wire = intel_liveupdate_entry(&att->wire);
	struct dmar_domain *domain = to_dmar_domain(att->domain->restored);
	struct device_domain_info *info = dev_iommu_priv_get(dev);

	if (info->iommu != att->unit->driver ||
	    intel_liveupdate_rid(info) != att->wire.rid)
		return NULL;

	if (!intel_liveupdate_features(info) ||
	    (sm_supported(info->iommu) && intel_pasid_clear(dev)))
		return NULL;

	info->restored.lo = wire->context_low;
	info->restored.hi = wire->context_high;
	intel_liveupdate_attached(info, domain);

	return &domain->domain;
}

/* What hardware knows of a requester ID is invalidated, then @did. */
static void intel_liveupdate_flush(struct intel_iommu *iommu, u16 rid, u16 did)
{
	iommu->flush.flush_context(iommu, did, rid, DMA_CCMD_MASK_NOBIT,
				   DMA_CCMD_DEVICE_INVL);
	if (!sm_supported(iommu)) {
		iommu->flush.flush_iotlb(iommu, did, 0, 0, DMA_TLB_DSI_FLUSH);
		return;
	}
	/* The device's tables may have had entries of other PASIDs. */
	qi_flush_pasid_cache(iommu, 0, QI_PC_GLOBAL, 0);
	iommu->flush.flush_iotlb(iommu, 0, 0, 0, DMA_TLB_GLOBAL_FLUSH);
}

/* The entry may be present, and then the device does DMA all the time. */
static void intel_liveupdate_put_back(struct device_domain_info *info)
{
	struct intel_iommu *iommu = info->iommu;
	struct context_entry *context;

	guard(spinlock)(&iommu->lock);

	/* It exists since intel_liveupdate_copy(). */
	context = iommu_context_addr(iommu, info->bus, info->devfn, false);
	if (sm_supported(iommu)) {
		context->hi = info->restored.hi;
		WRITE_ONCE(context->lo, info->restored.lo);
	} else {
		context_replace(context, &info->restored);
	}
	__iommu_flush_cache(iommu, context, intel_liveupdate_context_size(iommu));
}

/*
 * &iommu_domain_ops.attach_dev of restored domains. It puts back the entry that the
 * previous kernel has left, in one store, and cannot fail. The owner has detached
 * the device before it has finished its live update.
 */
static int intel_liveupdate_attach(struct iommu_domain *iommu_domain,
				   struct device *dev, struct iommu_domain *old)
{
	struct device_domain_info *info = dev_iommu_priv_get(dev);
	struct dmar_domain *domain = to_dmar_domain(iommu_domain);
	struct dmar_domain *from = info->domain;
	struct intel_iommu *iommu = info->iommu;

	if (from == domain)
		return 0;

	iopf_for_domain_remove(from ? &from->domain : NULL, dev);
	if (from) {
		scoped_guard(spinlock_irqsave, &from->lock)
			list_del(&info->link);
	}
	intel_liveupdate_put_back(info);
	/* Blocking in legacy mode has disabled it. */
	if (!info->ats_enabled)
		iommu_enable_pci_ats(info);
	intel_liveupdate_flush(iommu, intel_liveupdate_rid(info),
			       from ? domain_id_iommu(from, iommu) : 0);
	intel_context_flush_dev_iotlb(info);
	/* The entry is there since intel_liveupdate_restore(). */
	if (sm_supported(iommu))
		intel_pasid_clear(dev);
	if (from) {
		cache_tag_unassign_domain(from, dev, IOMMU_NO_PASID);
		domain_detach_iommu(from, iommu);
	}
	intel_liveupdate_attached(info, domain);

	return 0;
}

/**
 * intel_liveupdate_block - Block a device that is attached to a restored domain
 * @info: The device, in scalable mode.
 *
 * Has hardware use this kernel's PASID tables of the device, which have no entry for
 * requests without PASID.
 *
 * Context: With the group's mutex.
 */
void intel_liveupdate_block(struct device_domain_info *info)
{
	struct intel_iommu *iommu = info->iommu;

	intel_pasid_use_table(info->dev);
	intel_liveupdate_flush(iommu, intel_liveupdate_rid(info),
			       domain_id_iommu(info->domain, iommu));
	intel_context_flush_dev_iotlb(info);
}

static void intel_liveupdate_clear(struct iommu_liveupdate_attachment *att)
{
	struct dmar_domain *domain = to_dmar_domain(att->domain->restored);
	struct intel_iommu *iommu = att->unit->driver;
	struct device_domain_info *info =
		att->dev ? dev_iommu_priv_get(att->dev) : NULL;
	struct context_entry *context;
	u16 rid = att->wire.rid;

	scoped_guard(spinlock, &iommu->lock) {
		context = iommu_context_addr(iommu, PCI_BUS_NUM(rid), rid & 0xff,
					     false);
		context_clear_present(context);
		__iommu_flush_cache(iommu, context, sizeof(*context));
		intel_liveupdate_flush(iommu, rid, domain_id_iommu(domain, iommu));
		memset(context, 0, intel_liveupdate_context_size(iommu));
		__iommu_flush_cache(iommu, context,
				    intel_liveupdate_context_size(iommu));
	}

	/* In scalable mode a device that was probed keeps an entry; there is memory. */
	if (info && sm_supported(iommu) && info->iommu == iommu &&
	    intel_liveupdate_rid(info) == rid)
		intel_pasid_setup_sm_context(att->dev);
}

static bool intel_liveupdate_free_domain(struct iommu_domain *iommu_domain)
{
	struct dmar_domain *domain = to_dmar_domain(iommu_domain);
	struct iommu_domain_info *info;
	unsigned long index;

	/* Hardware uses the table. */
	if (WARN_ON(!list_empty(&domain->devices)))
		return false;
	xa_for_each(&domain->iommu_array, index, info) {
		ida_free(&info->iommu->domain_ida, info->did);
		xa_erase(&domain->iommu_array, index);
		kfree(info);
	}
	kfree(domain);

	return true;
}

const struct iommu_liveupdate_ops intel_liveupdate_ops = {
	.tag = &intel_liveupdate_tag,
	.kind = LUO_IOMMU_VTD,
	.preserve = intel_liveupdate_preserve,
	.unpreserve = intel_liveupdate_unpreserve,
	.freeze = intel_liveupdate_freeze,
	.unfreeze = intel_liveupdate_unfreeze,
	.list_tables = intel_liveupdate_list_tables,
	.restore = intel_liveupdate_restore,
	.clear = intel_liveupdate_clear,
	.free_domain = intel_liveupdate_free_domain,
	.unit_uses_old_tables = intel_liveupdate_uses_old_tables,
	.release_unit = intel_liveupdate_release_unit,
};
