// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: VT-d units that translate while the kernel is replaced
 *
 * Old kernel
 *   For each unit with a preserved device there is a second root table with
 *   context tables of its own, the *handover tables*, which hold the entries of
 *   preserved devices and no others. They are preserved, unlike the unit's own.
 *   When the unit is shut down its root pointer is set to them, with translation
 *   on: preserved devices continue, all others are blocked.
 *
 * New kernel
 *   intel_liveupdate_take_over() allocates a root table as for any unit, copies
 *   the entries it finds in the handover tables if they are the ones that were
 *   recorded, and reserves their domain IDs. The caller sets the root pointer, with
 *   translation on. A copied entry is present without a driver having attached
 *   anything; the device is marked as attached to a restored domain when it is
 *   probed. With the next attach its entry is replaced, see
 *   dmar_domain_replace_device().
 *
 * Only legacy mode. With scalable mode a device is not preserved, and a kernel that
 * starts in another mode than the one before it stops the preserved devices: the
 * mode cannot be changed while translation is on (VT-d 11.4.6).
 *
 * Section numbers are those of the Intel Virtualization Technology for Directed I/O
 * Architecture Specification, revision 4.1.
 */

#define pr_fmt(fmt)	"DMAR: " fmt

#include <linux/cleanup.h>
#include <linux/kexec_handover.h>
#include <linux/luo_tag.h>
#include <linux/luo/vtd.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "../iommu_liveupdate.h"
#include "iommu.h"
#include "pasid.h"

static LUO_TAG(intel_liveupdate_tag,
	       .name = LUO_VTD_TAG,
	       .kind = LUO_ABI_TAG_PART,
	       .flags = LUO_ABI_TAG_READS | LUO_ABI_TAG_WRITES |
			(IS_ENABLED(CONFIG_INTEL_IOMMU_DEFAULT_ON) ?
			 LUO_ABI_TAG_DEFAULT_ON : 0));

/**
 * struct intel_liveupdate - The handover tables of a unit.
 * @root:     The root table.
 * @contexts: The context tables, by bus.
 * @users:    How many devices have an entry in each of @contexts.
 * @total:    How many in all.
 * @frozen:   The entries are filled in, and the next kernel is about to start.
 */
struct intel_liveupdate {
	struct root_entry *root;
	struct context_entry *contexts[ROOT_ENTRY_NR];
	unsigned int users[ROOT_ENTRY_NR];
	unsigned int total;
	bool frozen;
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

/* Entries of other types need more than a page table (VT-d 9.3). */
static bool intel_liveupdate_is_supported(struct context_entry *context)
{
	return context_present(context) &&
	       ((context->lo >> 2) & 3) == CONTEXT_TT_MULTI_LEVEL;
}

/* --- the old kernel */

static const char *intel_liveupdate_unsupported(struct device_domain_info *info,
						struct iommu_domain *domain)
{
	struct dmar_domain *dmar_domain = to_dmar_domain(domain);
	struct context_entry *context;

	if (sm_supported(info->iommu))
		return "its IOMMU is in scalable mode, start with intel_iommu=sm_off";
	if (!context_can_replace_ssptptr())
		return "the CPU does not have cmpxchg16b";
	if (!info->domain || &info->domain->domain != domain ||
	    !intel_domain_is_ss_paging(dmar_domain))
		return "it is not attached to a page table of its own";
	if (dmar_domain->nested_parent)
		return "its page table is the parent of nested ones";
	if (dmar_domain->dirty_tracking)
		return "dirty tracking is active";
	if (info->ats_enabled)
		return "ATS is in use";

	guard(spinlock)(&info->iommu->lock);
	context = iommu_context_addr(info->iommu, info->bus, info->devfn, false);
	if (!context || !intel_liveupdate_is_supported(context))
		return "its translation type is not supported, for example with ATS";

	return NULL;
}

static void intel_liveupdate_put_tables(struct intel_iommu *iommu, u8 bus)
{
	struct intel_liveupdate *lu = iommu->liveupdate;

	if (!--lu->users[bus]) {
		lu->root[bus].lo = 0;
		__iommu_flush_cache(iommu, &lu->root[bus],
				    sizeof(lu->root[bus]));
		kho_unpreserve_free(lu->contexts[bus]);
		lu->contexts[bus] = NULL;
	}
	if (--lu->total)
		return;
	kho_unpreserve_free(lu->root);
	kfree(lu);
	iommu->liveupdate = NULL;
}

static int intel_liveupdate_get_tables(struct intel_iommu *iommu, u8 bus)
{
	struct intel_liveupdate *lu = iommu->liveupdate;
	void *table;

	if (!lu) {
		lu = kzalloc_obj(*lu);
		if (!lu)
			return -ENOMEM;
		table = kho_alloc_preserve(ROOT_SIZE);
		if (IS_ERR(table)) {
			kfree(lu);
			return PTR_ERR(table);
		}
		/* The unit reads all of it, and need not snoop the CPU's cache. */
		__iommu_flush_cache(iommu, table, ROOT_SIZE);
		lu->root = table;
		iommu->liveupdate = lu;
	}

	if (!lu->contexts[bus]) {
		table = kho_alloc_preserve(CONTEXT_SIZE);
		if (IS_ERR(table)) {
			if (!lu->total) {
				kho_unpreserve_free(lu->root);
				kfree(lu);
				iommu->liveupdate = NULL;
			}
			return PTR_ERR(table);
		}
		__iommu_flush_cache(iommu, table, CONTEXT_SIZE);
		lu->contexts[bus] = table;
	}
	lu->users[bus]++;
	lu->total++;

	return 0;
}

static int intel_liveupdate_preserve(struct device *dev,
				     struct iommu_domain *domain,
				     struct luo_iommu_unit *unit,
				     const char **whyp)
{
	struct device_domain_info *info = dev_iommu_priv_get(dev);
	const char *why = intel_liveupdate_unsupported(info, domain);

	if (why) {
		*whyp = why;
		return -EOPNOTSUPP;
	}
	unit->base = info->iommu->reg_phys;

	return intel_liveupdate_get_tables(info->iommu, info->bus);
}

static void intel_liveupdate_unpreserve(struct device *dev)
{
	struct device_domain_info *info = dev_iommu_priv_get(dev);

	intel_liveupdate_put_tables(info->iommu, info->bus);
}

static void intel_liveupdate_freeze(struct device *dev,
				    struct luo_iommu_unit *unit,
				    struct luo_iommu_attachment *attachment)
{
	struct luo_vtd_attachment *entry = intel_liveupdate_entry(attachment);
	struct device_domain_info *info = dev_iommu_priv_get(dev);
	struct intel_iommu *iommu = info->iommu;
	struct intel_liveupdate *lu = iommu->liveupdate;
	struct context_entry *to = &lu->contexts[info->bus][info->devfn];
	struct root_entry *root = &lu->root[info->bus];
	struct context_entry *from;

	scoped_guard(spinlock, &iommu->lock) {
		from = iommu_context_addr(iommu, info->bus, info->devfn, false);
		to->lo = from->lo;
		to->hi = from->hi;
	}
	__iommu_flush_cache(iommu, to, sizeof(*to));
	root->lo = virt_to_phys(lu->contexts[info->bus]) | 1;
	__iommu_flush_cache(iommu, root, sizeof(*root));

	entry->context_low = to->lo;
	entry->context_high = to->hi;
	intel_liveupdate_unit(unit)->root = virt_to_phys(lu->root);
	lu->frozen = true;
}

static void intel_liveupdate_unfreeze(struct device *dev)
{
	struct device_domain_info *info = dev_iommu_priv_get(dev);
	struct intel_liveupdate *lu = info->iommu->liveupdate;
	struct context_entry *entry = &lu->contexts[info->bus][info->devfn];

	context_clear_entry(entry);
	__iommu_flush_cache(info->iommu, entry, sizeof(*entry));
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

	iommu_flush_write_buffer(iommu);
	iommu->root_entry = lu->root;
	iommu_set_root_entry(iommu);

	return true;
}

/* --- the new kernel: units */

/* Return: why the unit cannot be taken over, or NULL. */
static const char *intel_liveupdate_differs(struct intel_iommu *iommu,
					    struct iommu_liveupdate_unit *unit)
{
	u64 root = intel_liveupdate_unit(&unit->wire)->root;

	if (!(readl(iommu->reg + DMAR_GSTS_REG) & DMA_GSTS_TES))
		return "translation is disabled in its IOMMU";
	if (readq(iommu->reg + DMAR_RTADDR_REG) != root ||
	    memchr_inv(intel_liveupdate_unit(&unit->wire) + 1, 0,
		       sizeof(unit->wire.vendor) - sizeof(struct luo_vtd_unit))) {
		/* Whatever it leads to is not freed. */
		intel_liveupdate_unit(&unit->wire)->root = 0;
		return "the root table of its IOMMU has changed";
	}
	if (root & ~VTD_PAGE_MASK || sm_supported(iommu))
		return "its IOMMU is in another mode in this kernel, start with intel_iommu=sm_off";
	if (!kho_range_is_incoming(root, ROOT_SIZE))
		return "the tables of its IOMMU were not preserved";

	return NULL;
}

static struct context_entry *intel_liveupdate_old_entry(u64 root, u16 rid)
{
	struct root_entry *table = phys_to_virt(root);
	u64 lo = table[PCI_BUS_NUM(rid)].lo;
	u64 context = lo & VTD_PAGE_MASK;

	if (!(lo & 1) || !kho_range_is_incoming(context, CONTEXT_SIZE))
		return NULL;

	return (struct context_entry *)phys_to_virt(context) + (rid & 0xff);
}

/* Its table is freed by the core, see intel_liveupdate_free_domain(). */
static const struct iommu_domain_ops intel_liveupdate_domain_ops = {
	.attach_dev = intel_iommu_attach_device,
	.iova_to_phys = iommu_liveupdate_iova_to_phys,
};

/* Return the domain that represents a page table of the previous kernel. */
static struct dmar_domain *
intel_liveupdate_domain(struct iommu_liveupdate_domain *incoming,
			struct luo_vtd_attachment *entry)
{
	struct dmar_domain *domain;

	if (incoming->restored) {
		domain = to_dmar_domain(incoming->restored);
		if (domain->restored.ssptptr !=
		    (entry->context_low & VTD_PAGE_MASK) ||
		    domain->restored.aw != (entry->context_high & 7))
			return ERR_PTR(-EBADMSG);
		return domain;
	}

	domain = paging_domain_alloc();
	if (IS_ERR(domain))
		return domain;
	domain->domain.type = IOMMU_DOMAIN_RESTORED;
	domain->domain.ops = &intel_liveupdate_domain_ops;
	domain->domain.owner = &intel_iommu_ops;
	domain->restored.ssptptr = entry->context_low & VTD_PAGE_MASK;
	domain->restored.aw = entry->context_high & 7;
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

/* Return: why the entry cannot be taken over, or NULL. */
static const char *intel_liveupdate_copy(struct intel_iommu *iommu, u64 root,
					 struct iommu_liveupdate_attachment *att)
{
	struct luo_vtd_attachment *entry = intel_liveupdate_entry(&att->wire);
	struct context_entry *from, *to;
	struct dmar_domain *domain;
	u16 rid = att->wire.rid;
	u16 did;

	from = intel_liveupdate_old_entry(root, rid);
	if (!from || from->lo != entry->context_low ||
	    from->hi != entry->context_high)
		return "its entry in the IOMMU's tables has changed";

	did = context_domain_id(from);
	if (!intel_liveupdate_is_supported(from) ||
	    memchr_inv(entry + 1, 0, sizeof(att->wire.vendor) - sizeof(*entry)) ||
	    !kho_range_is_incoming(from->lo & VTD_PAGE_MASK, VTD_PAGE_SIZE) ||
	    !(cap_sagaw(iommu->cap) & BIT(from->hi & 7)) ||
	    did < IDA_START_DID || did >= iommu->max_domain_id)
		return "its entry in the IOMMU's tables is not valid";

	domain = intel_liveupdate_domain(att->domain, entry);
	if (IS_ERR(domain))
		return "memory for its translation could not be allocated";
	if (intel_liveupdate_reserve_did(domain, iommu, did))
		return "its domain ID could not be reserved";

	guard(spinlock)(&iommu->lock);
	to = iommu_context_addr(iommu, PCI_BUS_NUM(rid), rid & 0xff, true);
	if (!to)
		return "memory for its translation could not be allocated";
	to->hi = from->hi;
	to->lo = from->lo;
	__iommu_flush_cache(iommu, to, sizeof(*to));

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
	pr_warn_once("live update: interrupt remapping was disabled during the kexec, so that a guest could send any interrupt to the host\n");

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

static void intel_liveupdate_release_unit(struct iommu_liveupdate_unit *unit)
{
	u64 root = intel_liveupdate_unit(&unit->wire)->root & VTD_PAGE_MASK;
	struct root_entry *table;

	if (!kho_range_is_incoming(root, ROOT_SIZE))
		return;

	table = phys_to_virt(root);
	for (int bus = 0; bus < ROOT_ENTRY_NR; bus++) {
		u64 context = table[bus].lo & VTD_PAGE_MASK;

		if (table[bus].lo & 1 &&
		    kho_range_is_incoming(context, CONTEXT_SIZE))
			kho_restore_free(phys_to_virt(context));
	}
	kho_restore_free(table);
}

/* --- the new kernel: domains */

static struct iommu_domain *
intel_liveupdate_restore(struct device *dev,
			 struct iommu_liveupdate_attachment *att)
{
	struct dmar_domain *domain = to_dmar_domain(att->domain->restored);
	struct device_domain_info *info = dev_iommu_priv_get(dev);

	if (info->iommu != att->unit->driver ||
	    PCI_DEVID(info->bus, info->devfn) != att->wire.rid)
		return NULL;

	info->domain = domain;
	info->domain_attached = true;
	guard(spinlock_irqsave)(&domain->lock);
	list_add(&info->link, &domain->devices);

	return &domain->domain;
}

static void intel_liveupdate_clear(struct iommu_liveupdate_attachment *att)
{
	struct intel_iommu *iommu = att->unit->driver;
	struct context_entry *context;
	u16 rid = att->wire.rid;
	u16 did;

	scoped_guard(spinlock, &iommu->lock) {
		context = iommu_context_addr(iommu, PCI_BUS_NUM(rid),
					     rid & 0xff, false);
		did = context_domain_id(context);
		context_clear_present(context);
		__iommu_flush_cache(iommu, context, sizeof(*context));
		iommu->flush.flush_context(iommu, did, rid,
					   DMA_CCMD_MASK_NOBIT,
					   DMA_CCMD_DEVICE_INVL);
		iommu->flush.flush_iotlb(iommu, did, 0, 0, DMA_TLB_DSI_FLUSH);
		context_clear_entry(context);
		__iommu_flush_cache(iommu, context, sizeof(*context));
	}
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
