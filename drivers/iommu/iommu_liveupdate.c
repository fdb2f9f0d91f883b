// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: DMA translation across a live update
 *
 * A device that keeps running while the kernel is replaced needs its translation
 * all the time. The page table that it uses, built by the old kernel, stays in use
 * until the owner of the device attaches another one in the new kernel. The owner
 * builds that one with iommufd from its preserved memory, as after any start.
 * Attaching it is a hitless replace of the old page table.
 *
 * Old kernel
 *   iommu_liveupdate_preserve() preserves all pages of the page table. It serializes
 *   the list of pages and of mapped areas to a blob of its own, which is sealed at
 *   once. Only one entry per device is left for the freeze. iommufd refuses to map
 *   or unmap until then. When the driver of the unit is shut down, translation stays
 *   enabled, and all devices that are not preserved are blocked.
 *
 * New kernel
 *   The driver of a unit takes it over before anything can disable translation, and
 *   copies the entries of the attachments to its own tables. Each of these devices
 *   gets a *restored domain*, of the type IOMMU_DOMAIN_RESTORED: it represents the
 *   old kernel's page table, which cannot be changed. Until the session of the owner
 *   is finished, the group is attached to it whenever the owner has not attached a
 *   domain. The work at boot does not depend on the size of page tables.
 *
 * If a unit or an entry cannot be taken over, PCI stops the devices that use it
 * first, see pci_liveupdate_fail(). Then the unit is initialized as usual.
 *
 * The pages of the old page tables are freed when the last file of all sessions is
 * finished. Pages that may still be in use, and pages whose list is damaged, are
 * never freed.
 *
 * Devices with more than one requester ID are refused, and devices with regions that
 * must be mapped one to one (IOMMU_RESV_DIRECT). Other devices of the unit with such
 * regions are blocked from shutdown until they are probed.
 */

#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/iommu.h>
#include <linux/iommu_liveupdate.h>
#include <linux/kexec_handover.h>
#include <linux/liveupdate.h>
#include <linux/luo_abi.h>
#include <linux/luo_tag.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>
#include <linux/rwsem.h>
#include <linux/slab.h>

#include "iommu-priv.h"
#include "iommu_liveupdate.h"
#include "iommu_liveupdate_wire.h"

/*
 * Each protects the state of that name. Both are taken inside LUO's locks, outside
 * of iommufd's lock of an IO address space; the first outside of a group's mutex,
 * the second inside.
 */
static DEFINE_MUTEX(iommu_outgoing_lock);
static DEFINE_MUTEX(iommu_incoming_lock);

/* Keeps incoming domains, outside of the locks above: reading one takes O(areas). */
static DECLARE_RWSEM(iommu_incoming_reading);

#define IOMMU_LIVEUPDATE_BLOB_SIZE(arrays)				\
	(sizeof(struct luo_abi_header) +				\
	 (arrays) * (sizeof(struct luo_abi_record) +			\
		     sizeof(struct luo_abi_array)))

struct iommu_outgoing_unit {
	struct list_head list;
	struct luo_iommu_unit wire;
	u32 number;
	unsigned int users;
};

struct iommu_outgoing_domain {
	struct list_head list;
	struct iommu_domain *domain;
	u32 number;
	unsigned int users;
	void *blob;
	struct luo_abi_writer writer;
	struct kho_block_set tables;
	struct kho_block_set_it last_table;
	u64 nr_tables;
	struct kho_block_set areas;
	struct kho_block_set_it last_area;
	u64 nr_areas;
};

struct iommu_outgoing_attachment {
	struct list_head list;
	struct device *dev;
	u64 sbdf;
	u64 token;
	struct iommu_outgoing_unit *unit;
	struct iommu_outgoing_domain *domain;
	const struct iommu_liveupdate_ops *ops;
};

static struct {
	void *blob;
	struct luo_abi_writer writer;
	struct list_head units;
	struct list_head domains;
	struct list_head attachments;
	u64 nr_units;
	u64 nr_domains;
	u64 nr_attachments;
	struct kho_block_set unit_blocks;
	struct kho_block_set domain_blocks;
	struct kho_block_set attachment_blocks;
} iommu_outgoing = {
	.units = LIST_HEAD_INIT(iommu_outgoing.units),
	.domains = LIST_HEAD_INIT(iommu_outgoing.domains),
	.attachments = LIST_HEAD_INIT(iommu_outgoing.attachments),
};

static struct {
	struct luo_abi_reader reader;
	struct list_head units;
	struct list_head domains;
	struct list_head attachments;
	phys_addr_t data;
	bool unread;
} iommu_incoming = {
	.units = LIST_HEAD_INIT(iommu_incoming.units),
	.domains = LIST_HEAD_INIT(iommu_incoming.domains),
	.attachments = LIST_HEAD_INIT(iommu_incoming.attachments),
};

static u64 iommu_liveupdate_sbdf(u32 segment, u16 rid)
{
	return (u64)segment << 16 | rid;
}

static u64 iommu_liveupdate_dev_sbdf(struct device *dev)
{
	struct pci_dev *pdev = to_pci_dev(dev);

	return iommu_liveupdate_sbdf(pci_domain_nr(pdev->bus),
				     pci_dev_id(pdev));
}

static void iommu_liveupdate_get_area(const struct luo_iommu_area *from,
				      struct iommu_liveupdate_area *area)
{
	*area = (struct iommu_liveupdate_area) {
		.iova = from->iova,
		.length = from->length,
		.phys = from->phys,
	};
	if (from->access & LUO_IOMMU_READ)
		area->prot |= IOMMU_READ;
	if (from->access & LUO_IOMMU_WRITE)
		area->prot |= IOMMU_WRITE;
}

/* --- the old kernel: a table */

static int iommu_outgoing_add_table(void *data, void *table)
{
	struct iommu_outgoing_domain *domain = data;
	struct luo_iommu_table *to;
	int err;

	err = kho_block_set_grow(&domain->tables, domain->nr_tables + 1);
	if (err)
		return err;
	err = kho_preserve_folio(virt_to_folio(table));
	if (err)
		return err;

	if (!domain->nr_tables++)
		kho_block_set_it_init(&domain->last_table, &domain->tables);
	to = kho_block_set_it_reserve_entry(&domain->last_table);
	to->phys = virt_to_phys(table);

	return 0;
}

static int iommu_outgoing_add_area(void *data,
				   const struct iommu_liveupdate_area *area)
{
	struct iommu_outgoing_domain *domain = data;
	struct luo_iommu_area *to;
	int err;

	err = kho_block_set_grow(&domain->areas, domain->nr_areas + 1);
	if (err)
		return err;

	if (!domain->nr_areas++)
		kho_block_set_it_init(&domain->last_area, &domain->areas);
	to = kho_block_set_it_reserve_entry(&domain->last_area);
	to->iova = area->iova;
	to->length = area->length;
	to->phys = area->phys;
	if (area->prot & IOMMU_READ)
		to->access |= LUO_IOMMU_READ;
	if (area->prot & IOMMU_WRITE)
		to->access |= LUO_IOMMU_WRITE;

	return 0;
}

static void iommu_outgoing_free_domain(struct iommu_outgoing_domain *domain)
{
	struct luo_iommu_table *table;
	struct kho_block_set_it it;

	kho_block_set_it_init(&it, &domain->tables);
	while (domain->nr_tables-- &&
	       (table = kho_block_set_it_read_entry(&it)))
		kho_unpreserve_folio(pfn_folio(PHYS_PFN(table->phys)));
	kho_block_set_destroy(&domain->tables);
	kho_block_set_destroy(&domain->areas);
	kho_unpreserve_free(domain->blob);
	kfree(domain);
}

static int iommu_outgoing_write_domain(struct iommu_outgoing_domain *domain,
				       const struct iommu_liveupdate_ops *ops,
				       iommu_liveupdate_list_fn list, void *owner)
{
	struct luo_abi_writer *w = &domain->writer;
	int err;

	err = ops->list_tables(domain->domain, iommu_outgoing_add_table,
				  domain) ?:
	      list(owner, iommu_outgoing_add_area, domain);
	if (err)
		return err;

	luo_abi_begin(w, &iommu_liveupdate_domain_format, domain->blob,
		      IOMMU_LIVEUPDATE_BLOB_SIZE(2));
	luo_abi_append_array(w, LUO_IOMMU_TABLES, &domain->tables);
	luo_abi_append_array(w, LUO_IOMMU_AREAS, &domain->areas);
	err = luo_abi_seal(w);
	if (err)
		luo_abi_end(w);

	return err;
}

/* In the order in which they are serialized. */
static void iommu_outgoing_insert_domain(struct iommu_outgoing_domain *domain)
{
	struct iommu_outgoing_domain *next;

	list_for_each_entry(next, &iommu_outgoing.domains, list) {
		if (next->blob > domain->blob)
			break;
	}
	list_add_tail(&domain->list, &next->list);
	iommu_outgoing.nr_domains++;
}

static struct iommu_outgoing_domain *
iommu_outgoing_get_domain(struct iommu_domain *iommu_domain,
			  const struct iommu_liveupdate_ops *ops,
			  iommu_liveupdate_list_fn list, void *owner)
{
	struct iommu_outgoing_domain *domain;
	int err;

	list_for_each_entry(domain, &iommu_outgoing.domains, list) {
		if (domain->domain == iommu_domain) {
			domain->users++;
			return domain;
		}
	}

	domain = kzalloc_obj(*domain);
	if (!domain)
		return ERR_PTR(-ENOMEM);
	domain->domain = iommu_domain;
	domain->users = 1;
	kho_block_set_init(&domain->tables, sizeof(struct luo_iommu_table));
	kho_block_set_init(&domain->areas, sizeof(struct luo_iommu_area));
	domain->blob = kho_alloc_preserve(IOMMU_LIVEUPDATE_BLOB_SIZE(2));
	if (IS_ERR(domain->blob)) {
		err = PTR_ERR(domain->blob);
		kfree(domain);
		return ERR_PTR(err);
	}

	err = iommu_outgoing_write_domain(domain, ops, list, owner);
	if (err) {
		iommu_outgoing_free_domain(domain);
		return ERR_PTR(err);
	}
	iommu_outgoing_insert_domain(domain);

	return domain;
}

static void iommu_outgoing_put_domain(struct iommu_outgoing_domain *domain)
{
	if (--domain->users)
		return;
	list_del(&domain->list);
	iommu_outgoing.nr_domains--;
	luo_abi_end(&domain->writer);
	iommu_outgoing_free_domain(domain);
}

/* --- the old kernel: units and attachments */

static struct iommu_outgoing_unit *
iommu_outgoing_get_unit(const struct luo_iommu_unit *wire)
{
	struct iommu_outgoing_unit *unit, *next;

	list_for_each_entry(unit, &iommu_outgoing.units, list) {
		if (unit->wire.base == wire->base) {
			unit->users++;
			return unit;
		}
	}

	unit = kzalloc_obj(*unit);
	if (!unit)
		return ERR_PTR(-ENOMEM);
	unit->wire = *wire;
	unit->users = 1;
	list_for_each_entry(next, &iommu_outgoing.units, list) {
		if (next->wire.base > wire->base)
			break;
	}
	list_add_tail(&unit->list, &next->list);
	iommu_outgoing.nr_units++;

	return unit;
}

static void iommu_outgoing_put_unit(struct iommu_outgoing_unit *unit)
{
	if (--unit->users)
		return;
	list_del(&unit->list);
	iommu_outgoing.nr_units--;
	kfree(unit);
}

static int iommu_liveupdate_count_alias(struct pci_dev *pdev, u16 alias,
					void *data)
{
	(*(unsigned int *)data)++;

	return 0;
}

/*
 * Only bridges above @owner stay as long as its file is open: they are the only other
 * devices that may be in its group.
 *
 * Return: why @dev cannot be preserved together with @owner, or NULL.
 */
static const char *iommu_liveupdate_unsupported(struct device *dev,
						struct device *owner)
{
	unsigned int aliases = 0;

	if (!dev_is_pci(dev))
		return "a device that is not PCI is in its IOMMU group";
	if (!pci_liveupdate_is_on_path(to_pci_dev(owner), dev))
		return "other devices are in its IOMMU group";
	if (dev->iommu->require_direct)
		return "the firmware requires memory to be mapped for it";
	if (pci_real_dma_dev(to_pci_dev(dev)) != to_pci_dev(dev))
		return "its DMA has another device's requester ID";
	pci_for_each_dma_alias(to_pci_dev(dev), iommu_liveupdate_count_alias,
			       &aliases);
	if (aliases != 1)
		return "it has more than one requester ID";

	return NULL;
}

static void iommu_outgoing_insert(struct iommu_outgoing_attachment *att)
{
	struct iommu_outgoing_attachment *next;

	list_for_each_entry(next, &iommu_outgoing.attachments, list) {
		if (next->sbdf > att->sbdf)
			break;
	}
	list_add_tail(&att->list, &next->list);
	iommu_outgoing.nr_attachments++;
}

struct iommu_outgoing_request {
	struct device *dev;
	struct iommu_outgoing_domain *domain;
	const struct iommu_liveupdate_ops *ops;
	u64 token;
};

static int iommu_outgoing_attach(struct device *dev, void *data)
{
	struct iommu_outgoing_request *request = data;
	const struct iommu_liveupdate_ops *ops = request->ops;
	struct iommu_outgoing_attachment *att;
	struct luo_iommu_unit wire = {};
	const char *why;
	int err;

	why = iommu_liveupdate_unsupported(dev, request->dev);
	if (why) {
		dev_info(request->dev, "live update: not preserved: %s\n", why);
		return -EOPNOTSUPP;
	}

	att = kzalloc_obj(*att);
	if (!att)
		return -ENOMEM;

	why = "out of memory";
	err = ops->preserve(dev, request->domain->domain, &wire, &why);
	if (err) {
		dev_info(dev, "live update: not preserved: %s\n", why);
		goto out_free;
	}
	wire.kind = ops->kind;

	att->unit = iommu_outgoing_get_unit(&wire);
	if (IS_ERR(att->unit)) {
		err = PTR_ERR(att->unit);
		goto out_unpreserve;
	}
	att->dev = dev;
	att->sbdf = iommu_liveupdate_dev_sbdf(dev);
	att->token = request->token;
	att->ops = ops;
	att->domain = request->domain;
	att->domain->users++;
	liveupdate_tag_use(ops->tag);
	iommu_outgoing_insert(att);

	return 0;

out_unpreserve:
	ops->unpreserve(dev);
out_free:
	kfree(att);
	return err;
}

static void iommu_outgoing_detach(struct iommu_outgoing_attachment *att)
{
	list_del(&att->list);
	iommu_outgoing.nr_attachments--;
	liveupdate_tag_unuse(att->ops->tag);
	att->ops->unpreserve(att->dev);
	iommu_outgoing_put_unit(att->unit);
	iommu_outgoing_put_domain(att->domain);
	kfree(att);
}

static void iommu_outgoing_detach_all(u64 token)
{
	struct iommu_outgoing_attachment *att, *tmp;

	list_for_each_entry_safe(att, tmp, &iommu_outgoing.attachments, list) {
		if (att->token == token)
			iommu_outgoing_detach(att);
	}
}

static int iommu_outgoing_grow(void)
{
	return kho_block_set_grow(&iommu_outgoing.unit_blocks,
				  iommu_outgoing.nr_units) ?:
	       kho_block_set_grow(&iommu_outgoing.domain_blocks,
				  iommu_outgoing.nr_domains) ?:
	       kho_block_set_grow(&iommu_outgoing.attachment_blocks,
				  iommu_outgoing.nr_attachments);
}

static void iommu_outgoing_shrink(void)
{
	kho_block_set_shrink(&iommu_outgoing.unit_blocks,
			     iommu_outgoing.nr_units);
	kho_block_set_shrink(&iommu_outgoing.domain_blocks,
			     iommu_outgoing.nr_domains);
	kho_block_set_shrink(&iommu_outgoing.attachment_blocks,
			     iommu_outgoing.nr_attachments);
}

/**
 * iommu_liveupdate_preserve - Preserve the translation of a device
 * @dev:    The device.
 * @domain: What it is attached to, with its whole group. It stays attached, and
 *          nothing is mapped or unmapped, until iommu_liveupdate_unpreserve().
 * @list:   Enumerates what @domain maps. Not called if @domain is preserved already,
 *          for another device.
 * @owner:  First argument of @list.
 * @tokenp: Set to a token by which the next kernel finds the device's translation.
 *          Not 0, and the same as that of pci_liveupdate_preserve().
 *
 * To be called from the .preserve() of a file whose handler is registered, see
 * iommu_liveupdate_register().
 *
 * Context: Process context.
 * Return: 0, or an errno and nothing has changed; the reason is logged.
 *         -EOPNOTSUPP if the device, its IOMMU or the domain cannot be preserved.
 *         -ENOENT if no file with a registered handler is preserved.
 *         -ENOSPC if the table has too many pages, or what it maps too many pieces.
 *         -ENOMEM, and what @list returns.
 */
int iommu_liveupdate_preserve(struct device *dev, struct iommu_domain *domain,
			      iommu_liveupdate_list_fn list, void *owner,
			      u64 *tokenp)
{
	struct iommu_outgoing_request request = {
		.dev = dev,
		.ops = dev_iommu_ops(dev)->liveupdate,
	};
	struct iommu_group *group;
	int err;

	if (!request.ops || !dev_is_pci(dev)) {
		dev_info(dev, "live update: not preserved: its IOMMU's driver does not support it\n");
		return -EOPNOTSUPP;
	}

	guard(mutex)(&iommu_outgoing_lock);

	if (!iommu_outgoing.blob)
		return -ENOENT;

	request.domain = iommu_outgoing_get_domain(domain, request.ops, list,
						   owner);
	if (IS_ERR(request.domain))
		return PTR_ERR(request.domain);

	request.token = iommu_liveupdate_dev_sbdf(dev) + 1;
	group = iommu_group_get(dev);
	err = iommu_group_for_each_dev(group, &request, iommu_outgoing_attach);
	iommu_group_put(group);
	err = err ?: iommu_outgoing_grow();
	if (err)
		iommu_outgoing_detach_all(request.token);
	iommu_outgoing_put_domain(request.domain);
	if (err)
		iommu_outgoing_shrink();
	else
		*tokenp = request.token;

	return err;
}
EXPORT_SYMBOL_GPL(iommu_liveupdate_preserve);

/**
 * iommu_liveupdate_unpreserve - Undo iommu_liveupdate_preserve()
 * @token: From there.
 *
 * Context: Process context.
 */
void iommu_liveupdate_unpreserve(u64 token)
{
	guard(mutex)(&iommu_outgoing_lock);

	iommu_outgoing_detach_all(token);
	iommu_outgoing_shrink();
}
EXPORT_SYMBOL_GPL(iommu_liveupdate_unpreserve);

/* --- the old kernel: the shared state */

static int iommu_liveupdate_flb_preserve(struct liveupdate_flb_op_args *args)
{
	void *blob = kho_alloc_preserve(IOMMU_LIVEUPDATE_BLOB_SIZE(3));
	int err;

	if (IS_ERR(blob))
		return PTR_ERR(blob);

	/* For iommu_liveupdate_early(), when LUO is not there yet. */
	err = kho_add_subtree(LUO_IOMMU_TAG, blob, IOMMU_LIVEUPDATE_BLOB_SIZE(3));
	if (err) {
		kho_unpreserve_free(blob);
		return err;
	}

	guard(mutex)(&iommu_outgoing_lock);

	kho_block_set_init(&iommu_outgoing.unit_blocks,
			   sizeof(struct luo_iommu_unit));
	kho_block_set_init(&iommu_outgoing.domain_blocks,
			   sizeof(struct luo_iommu_domain));
	kho_block_set_init(&iommu_outgoing.attachment_blocks,
			   sizeof(struct luo_iommu_attachment));
	iommu_outgoing.blob = blob;
	luo_abi_begin(&iommu_outgoing.writer, &iommu_liveupdate_format, blob,
		      IOMMU_LIVEUPDATE_BLOB_SIZE(3));
	args->data = virt_to_phys(blob);
	args->obj = &iommu_outgoing;

	return 0;
}

static void iommu_liveupdate_flb_unpreserve(struct liveupdate_flb_op_args *args)
{
	guard(mutex)(&iommu_outgoing_lock);

	luo_abi_end(&iommu_outgoing.writer);
	kho_block_set_destroy(&iommu_outgoing.unit_blocks);
	kho_block_set_destroy(&iommu_outgoing.domain_blocks);
	kho_block_set_destroy(&iommu_outgoing.attachment_blocks);
	kho_remove_subtree(iommu_outgoing.blob);
	kho_unpreserve_free(iommu_outgoing.blob);
	iommu_outgoing.blob = NULL;
}

/**
 * iommu_liveupdate_check_preserved - Check that an area survives the kexec
 * @area: An area that is mapped for a preserved device.
 * @iova: Set to the first IOVA of which the memory is not preserved.
 *
 * A folio that was removed from its memfd after it was mapped is still mapped, but
 * not preserved with the memfd.
 *
 * The answer holds as long as nothing is unpreserved.
 *
 * Context: Process context. Takes the lock of KHO's radix tree; allocates
 *          nothing.
 * Return: 0 if each folio of the area is preserved, else -EOPNOTSUPP.
 */
int iommu_liveupdate_check_preserved(const struct iommu_liveupdate_area *area,
				     u64 *iova)
{
	phys_addr_t phys = area->phys, end = area->phys + area->length;
	struct folio *folio;

	while (phys < end) {
		folio = pfn_folio(PHYS_PFN(phys));
		if (!kho_folio_is_preserved(folio)) {
			*iova = area->iova + (phys - area->phys);
			return -EOPNOTSUPP;
		}
		phys = PFN_PHYS(folio_pfn(folio)) + folio_size(folio);
		cond_resched();
	}

	return 0;
}
EXPORT_SYMBOL_GPL(iommu_liveupdate_check_preserved);

static int iommu_outgoing_check_domain(struct iommu_outgoing_domain *domain,
				       u64 *iova)
{
	struct iommu_liveupdate_area area;
	struct luo_iommu_area *from;
	struct kho_block_set_it it;
	int err;

	kho_block_set_it_init(&it, &domain->areas);
	while ((from = kho_block_set_it_read_entry(&it))) {
		iommu_liveupdate_get_area(from, &area);
		err = iommu_liveupdate_check_preserved(&area, iova);
		if (err)
			return err;
	}

	return 0;
}

/* Return: the page table of a device if no other device checks it, or NULL. */
static struct iommu_outgoing_domain *iommu_outgoing_domain_to_check(u64 token)
{
	struct iommu_outgoing_attachment *att, *first;

	list_for_each_entry(att, &iommu_outgoing.attachments, list) {
		if (att->token == token)
			break;
	}
	if (list_entry_is_head(att, &iommu_outgoing.attachments, list))
		return NULL;

	list_for_each_entry(first, &iommu_outgoing.attachments, list) {
		if (first->domain == att->domain)
			break;
	}

	return first->token == token ? att->domain : NULL;
}

/**
 * iommu_liveupdate_check_memory - Check that all that a device may access survives
 * @token: The token of the device's iommu_liveupdate_preserve().
 * @iova:  Set to the first IOVA of which the memory is not preserved.
 *
 * For the .freeze() of the device's file. Devices with the same page table each
 * call it, and the first of them checks the table.
 *
 * Context: As iommu_liveupdate_check_preserved(). Takes O(folios). The caller keeps the
 *          device preserved.
 * Return: 0, or -EOPNOTSUPP if the memory of an IOVA is not preserved.
 */
int iommu_liveupdate_check_memory(u64 token, u64 *iova)
{
	struct iommu_outgoing_domain *domain;

	scoped_guard(mutex, &iommu_outgoing_lock)
		domain = iommu_outgoing_domain_to_check(token);

	/* Not with the lock held, for which the freeze of another device would wait. */
	return domain ? iommu_outgoing_check_domain(domain, iova) : 0;
}
EXPORT_SYMBOL_GPL(iommu_liveupdate_check_memory);

static void iommu_outgoing_freeze_attachment(struct iommu_outgoing_attachment *att,
					     struct luo_iommu_attachment *wire)
{
	wire->unit = att->unit->number;
	wire->domain = att->domain->number;
	wire->segment = att->sbdf >> 16;
	wire->rid = (u16)att->sbdf;
	att->ops->freeze(att->dev, &att->unit->wire, wire);
}

static void iommu_outgoing_write(void)
{
	struct luo_abi_writer *w = &iommu_outgoing.writer;
	struct iommu_outgoing_attachment *att;
	struct iommu_outgoing_domain *domain;
	struct iommu_outgoing_unit *unit;
	struct kho_block_set_it it;
	u32 number = 0;

	list_for_each_entry(unit, &iommu_outgoing.units, list)
		unit->number = ++number;

	number = 0;
	kho_block_set_it_init(&it, &iommu_outgoing.domain_blocks);
	list_for_each_entry(domain, &iommu_outgoing.domains, list) {
		struct luo_iommu_domain *wire =
			kho_block_set_it_reserve_entry(&it);

		domain->number = ++number;
		wire->data = virt_to_phys(domain->blob);
	}

	kho_block_set_it_init(&it, &iommu_outgoing.attachment_blocks);
	list_for_each_entry(att, &iommu_outgoing.attachments, list)
		iommu_outgoing_freeze_attachment(att,
						 kho_block_set_it_reserve_entry(&it));

	/* The calls above have filled in the units. */
	kho_block_set_it_init(&it, &iommu_outgoing.unit_blocks);
	list_for_each_entry(unit, &iommu_outgoing.units, list) {
		struct luo_iommu_unit *wire = kho_block_set_it_reserve_entry(&it);

		*wire = unit->wire;
	}

	luo_abi_append_array(w, LUO_IOMMU_UNITS, &iommu_outgoing.unit_blocks);
	luo_abi_append_array(w, LUO_IOMMU_DOMAINS,
			     &iommu_outgoing.domain_blocks);
	luo_abi_append_array(w, LUO_IOMMU_ATTACHMENTS,
			     &iommu_outgoing.attachment_blocks);
}

static void iommu_liveupdate_thaw(void)
{
	struct iommu_outgoing_attachment *att;

	list_for_each_entry(att, &iommu_outgoing.attachments, list)
		att->ops->unfreeze(att->dev);
	luo_abi_rewind(&iommu_outgoing.writer);
	kho_block_set_clear(&iommu_outgoing.unit_blocks);
	kho_block_set_clear(&iommu_outgoing.domain_blocks);
	kho_block_set_clear(&iommu_outgoing.attachment_blocks);
}

static int iommu_liveupdate_flb_freeze(struct liveupdate_flb_op_args *args)
{
	int err;

	guard(mutex)(&iommu_outgoing_lock);

	iommu_outgoing_write();
	err = luo_abi_seal(&iommu_outgoing.writer);
	if (err)
		iommu_liveupdate_thaw();

	return err;
}

static void iommu_liveupdate_flb_unfreeze(struct liveupdate_flb_op_args *args)
{
	guard(mutex)(&iommu_outgoing_lock);
	iommu_liveupdate_thaw();
}

/* --- the new kernel: reading preserved state */

static struct iommu_liveupdate_unit *iommu_incoming_unit(u32 number)
{
	struct iommu_liveupdate_unit *unit;

	list_for_each_entry(unit, &iommu_incoming.units, list) {
		if (unit->number == number)
			return unit;
	}

	return NULL;
}

static struct iommu_liveupdate_domain *iommu_incoming_domain(u32 number)
{
	struct iommu_liveupdate_domain *domain;

	list_for_each_entry(domain, &iommu_incoming.domains, list) {
		if (domain->number == number)
			return domain;
	}

	return NULL;
}

static struct iommu_liveupdate_attachment *iommu_incoming_attachment(u64 sbdf)
{
	struct iommu_liveupdate_attachment *att;

	list_for_each_entry(att, &iommu_incoming.attachments, list) {
		if (iommu_liveupdate_sbdf(att->wire.segment, att->wire.rid) ==
		    sbdf)
			return att;
	}

	return NULL;
}

static struct iommu_liveupdate_attachment *
iommu_incoming_attachment_of(struct device *dev)
{
	struct iommu_liveupdate_attachment *att;

	list_for_each_entry(att, &iommu_incoming.attachments, list) {
		if (att->dev == dev)
			return att;
	}

	return NULL;
}

static void iommu_incoming_free(void)
{
	struct iommu_liveupdate_attachment *att, *tmp_att;
	struct iommu_liveupdate_domain *domain, *tmp_domain;
	struct iommu_liveupdate_unit *unit, *tmp_unit;

	list_for_each_entry_safe(att, tmp_att, &iommu_incoming.attachments, list) {
		list_del(&att->list);
		kfree(att);
	}
	list_for_each_entry_safe(domain, tmp_domain, &iommu_incoming.domains,
				 list) {
		list_del(&domain->list);
		kfree(domain);
	}
	list_for_each_entry_safe(unit, tmp_unit, &iommu_incoming.units, list) {
		list_del(&unit->list);
		kfree(unit);
	}
}

static int iommu_incoming_load_units(struct luo_abi_reader *r)
{
	struct iommu_liveupdate_unit *unit;
	struct luo_iommu_unit wire;
	struct luo_abi_array_it it;
	u32 number = 0;

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_IOMMU_UNITS));
	while (luo_abi_array_next(&it, &wire, sizeof(wire))) {
		unit = kzalloc_obj(*unit);
		if (!unit)
			return -ENOMEM;
		unit->wire = wire;
		unit->number = ++number;
		list_add_tail(&unit->list, &iommu_incoming.units);
	}

	return 0;
}

static int iommu_incoming_load_domains(struct luo_abi_reader *r)
{
	struct iommu_liveupdate_domain *domain;
	struct luo_iommu_domain wire;
	struct luo_abi_array_it it;
	u32 number = 0;

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_IOMMU_DOMAINS));
	while (luo_abi_array_next(&it, &wire, sizeof(wire))) {
		domain = kzalloc_obj(*domain);
		if (!domain)
			return -ENOMEM;
		mutex_init(&domain->lock);
		domain->data = wire.data;
		domain->number = ++number;
		list_add_tail(&domain->list, &iommu_incoming.domains);
	}

	return 0;
}

static int iommu_incoming_load_attachments(struct luo_abi_reader *r)
{
	struct iommu_liveupdate_attachment *att;
	struct luo_iommu_attachment wire;
	struct luo_abi_array_it it;

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_IOMMU_ATTACHMENTS));
	while (luo_abi_array_next(&it, &wire, sizeof(wire))) {
		att = kzalloc_obj(*att);
		if (!att)
			return -ENOMEM;
		att->wire = wire;
		att->unit = iommu_incoming_unit(wire.unit);
		att->domain = iommu_incoming_domain(wire.domain);
		list_add_tail(&att->list, &iommu_incoming.attachments);
	}

	return 0;
}

static int iommu_incoming_load(u64 data)
{
	struct luo_abi_reader *r = &iommu_incoming.reader;
	char text[LUO_ABI_FAULT_LEN];
	int err;

	err = luo_abi_open(r, &iommu_liveupdate_format, data) ?:
	      iommu_liveupdate_check(r);
	if (err) {
		pr_err("iommu: live update: %s\n",
		       luo_abi_fault_text(&r->fault, text, sizeof(text)));
		return err;
	}

	err = iommu_incoming_load_units(r) ?: iommu_incoming_load_domains(r) ?:
	      iommu_incoming_load_attachments(r);
	if (err)
		iommu_incoming_free();

	return err;
}

/**
 * iommu_liveupdate_early - Read preserved state before LUO does
 *
 * For drivers that must know of their units before the first initcall.
 *
 * Context: Boot, when memory can be allocated.
 * Return: 0; -ENOENT if the previous kernel has preserved nothing; -EBADMSG if it
 *         cannot be read, which is logged.
 */
int iommu_liveupdate_early(void)
{
	phys_addr_t data;
	int err;

	guard(mutex)(&iommu_incoming_lock);

	if (!iommu_incoming.data) {
		err = kho_retrieve_subtree(LUO_IOMMU_TAG, &data, NULL);
		if (err)
			return err == -ENOENT ? -ENOENT : -EBADMSG;
		iommu_incoming.data = data;
		iommu_incoming.unread = iommu_incoming_load(data);
	}

	return iommu_incoming.unread ? -EBADMSG : 0;
}

static struct liveupdate_flb iommu_liveupdate_flb;

/* After LUO (early_initcall) and before PCI looks for devices. */
static int __init iommu_liveupdate_init(void)
{
	u64 data;
	int err;

	err = liveupdate_flb_peek_incoming(&iommu_liveupdate_flb, &data);
	if (err == -ENODATA || err == -ENOENT)
		return 0;

	err = err ?: iommu_liveupdate_early();
	if (!err && data != iommu_incoming.data)
		err = -EBADMSG;
	if (!err)
		return 0;
	iommu_incoming.unread = true;
	pr_err("iommu: live update: preserved state cannot be read (%pe), all preserved devices are stopped; their VMs must be restarted\n",
	       ERR_PTR(err));
	pci_liveupdate_fail_all("the preserved state of its IOMMU cannot be read");

	return 0;
}
postcore_initcall(iommu_liveupdate_init);

/* --- the new kernel: for the drivers of units */

/**
 * iommu_liveupdate_find_unit - Look for a unit that the previous kernel left on
 * @base: Physical address of its registers.
 *
 * Context: While the driver initializes its units.
 * Return: the unit, or NULL if there is nothing to take over. The driver sets its
 *         state.
 */
struct iommu_liveupdate_unit *iommu_liveupdate_find_unit(u64 base)
{
	struct iommu_liveupdate_unit *unit;

	list_for_each_entry(unit, &iommu_incoming.units, list) {
		if (unit->wire.base == base &&
		    unit->state == IOMMU_LIVEUPDATE_EXPECTED)
			return unit;
	}

	return NULL;
}

/**
 * iommu_liveupdate_attachments - All attachments, for drivers to choose from
 *
 * Context: While the driver initializes its units.
 * Return: a list of &struct iommu_liveupdate_attachment.
 */
struct list_head *iommu_liveupdate_attachments(void)
{
	return &iommu_incoming.attachments;
}

/**
 * iommu_liveupdate_stop - Stop a device whose translation cannot be taken over
 * @att: Its attachment.
 * @why: The reason, for the log.
 *
 * Context: While the driver initializes its units, before the device is blocked or
 *          no longer translated.
 * Return: true if it does no DMA any more.
 */
bool iommu_liveupdate_stop(struct iommu_liveupdate_attachment *att,
			   const char *why)
{
	return pci_liveupdate_fail(att->wire.segment, att->wire.rid, why);
}

/* Return: true if no device of the unit does DMA any more. */
static bool iommu_incoming_stop_unit(struct iommu_liveupdate_unit *unit,
				     const struct iommu_liveupdate_ops *ops,
				     const char *why)
{
	struct iommu_liveupdate_attachment *att;
	bool stopped = true;

	list_for_each_entry(att, &iommu_incoming.attachments, list) {
		if (att->unit != unit)
			continue;
		att->taken = false;
		iommu_liveupdate_stop(att, why);
	}
	/* Some can only be stopped together, at a bridge above. */
	list_for_each_entry(att, &iommu_incoming.attachments, list) {
		if (att->unit == unit && !iommu_liveupdate_stop(att, why))
			stopped = false;
	}
	unit->state = IOMMU_LIVEUPDATE_STOPPED;
	unit->ops = ops;

	return stopped;
}

/**
 * iommu_liveupdate_stop_unit - Stop all devices of a unit
 * @ops:  The unit's driver.
 * @base: Physical address of its registers.
 * @why:  The reason, for the log.
 *
 * To be called before the unit's translation is switched off. Does nothing if the
 * previous kernel has not left it on.
 *
 * Context: While the driver initializes its units.
 * Return: false if a device does DMA and cannot be stopped. Without translation it
 *         would write to any memory.
 */
bool iommu_liveupdate_stop_unit(const struct iommu_liveupdate_ops *ops, u64 base,
				const char *why)
{
	struct iommu_liveupdate_unit *unit;

	list_for_each_entry(unit, &iommu_incoming.units, list) {
		if (unit->wire.base == base &&
		    unit->state != IOMMU_LIVEUPDATE_STOPPED)
			return iommu_incoming_stop_unit(unit, ops, why);
	}

	return true;
}

/**
 * iommu_liveupdate_stop_all - Stop all devices of all units of a driver
 * @ops: The driver.
 * @why: The reason, for the log.
 *
 * As iommu_liveupdate_stop_unit(). Nothing refers to the units any more afterwards.
 */
bool iommu_liveupdate_stop_all(const struct iommu_liveupdate_ops *ops,
			       const char *why)
{
	struct iommu_liveupdate_domain *domain;
	struct iommu_liveupdate_unit *unit;
	bool stopped = true;

	list_for_each_entry(unit, &iommu_incoming.units, list) {
		if (unit->wire.kind == ops->kind &&
		    unit->state != IOMMU_LIVEUPDATE_STOPPED &&
		    !iommu_incoming_stop_unit(unit, ops, why))
			stopped = false;
	}

	/* The driver frees its units. */
	list_for_each_entry(domain, &iommu_incoming.domains, list) {
		if (domain->restored && domain->ops == ops &&
		    ops->free_domain(domain->restored))
			domain->restored = NULL;
	}

	return stopped;
}

struct iommu_incoming_others {
	bool (*is_translated)(struct device *dev);
};

/* Return: why a running function cannot be translated as before, or NULL. */
static const char *iommu_incoming_check(struct pci_dev *dev, void *data)
{
	struct iommu_liveupdate_attachment *att;
	struct iommu_incoming_others *others = data;

	att = iommu_incoming_attachment(iommu_liveupdate_dev_sbdf(&dev->dev));
	if (att)
		return att->unit->found ? NULL : "its IOMMU was not found";
	if (!others->is_translated(&dev->dev))
		return NULL;

	return "its DMA is translated now and was not before, start with the IOMMU off";
}

/**
 * iommu_liveupdate_found - Note that a unit exists
 * @ops:  The unit's driver.
 * @base: Physical address of its registers.
 *
 * Context: Before the driver initializes its units.
 */
void iommu_liveupdate_found(const struct iommu_liveupdate_ops *ops, u64 base)
{
	struct iommu_liveupdate_unit *unit;

	list_for_each_entry(unit, &iommu_incoming.units, list) {
		if (unit->wire.base == base && unit->wire.kind == ops->kind)
			unit->found = true;
	}
}

/**
 * iommu_liveupdate_stop_others - Stop devices that will not be translated as before
 * @is_translated: Check whether a device is behind a unit.
 *
 * That is devices whose unit was not found with iommu_liveupdate_found(), and
 * devices that are behind a unit and whose translation was not preserved.
 *
 * Context: Before the driver initializes its units, which may switch translation off
 *          or on.
 */
void iommu_liveupdate_stop_others(bool (*is_translated)(struct device *dev))
{
	struct iommu_incoming_others others = { is_translated };

	pci_liveupdate_fail_some(iommu_incoming_check, &others);
}

/* A unit without a driver continues to use its tables: they are never freed. */
static int __init iommu_liveupdate_scanned(void)
{
	struct iommu_liveupdate_attachment *att;

	list_for_each_entry(att, &iommu_incoming.attachments, list) {
		if (att->unit->state == IOMMU_LIVEUPDATE_EXPECTED)
			iommu_liveupdate_stop(att, "its IOMMU was not found");
	}

	return 0;
}
late_initcall(iommu_liveupdate_scanned);

/* --- the new kernel: restored domains */

/**
 * iommu_liveupdate_restore - Return the domain that a device translates through
 * @dev:    The device; its driver was probed, and no domain was attached.
 * @domain: What its group is attached to, NULL at first.
 *
 * Context: With the group's mutex.
 * Return: the restored domain, to be the group's.
 *         NULL if the previous kernel has preserved no translation of the device.
 *         -EBUSY if it has, and that cannot be taken over, or is not @domain. The
 *         device is blocked, which is logged.
 */
struct iommu_domain *iommu_liveupdate_restore(struct device *dev,
					      struct iommu_domain *domain)
{
	struct iommu_liveupdate_attachment *att;
	struct iommu_domain *restored = NULL;

	if (list_empty(&iommu_incoming.attachments) || !dev_is_pci(dev))
		return NULL;

	guard(mutex)(&iommu_incoming_lock);

	att = iommu_incoming_attachment(iommu_liveupdate_dev_sbdf(dev));
	if (!att || !att->taken || att->dev)
		return NULL;

	if (!domain || domain == att->domain->restored)
		restored = att->unit->ops->restore(dev, att);
	att->dev = dev;
	if (!att->group)
		att->group = iommu_group_ref_get(dev->iommu_group);
	if (!restored) {
		dev_err(dev, "live update: its translation could not be taken over, its DMA is blocked; its VM must be restarted\n");
		att->taken = false;
		att->unit->ops->clear(att);
		return ERR_PTR(-EBUSY);
	}

	return restored;
}

/**
 * iommu_liveupdate_is_listed - Check whether the previous kernel has preserved a device
 * @dev: The device.
 *
 * Context: With the group's mutex.
 * Return: true if its translation was preserved, and its live update is not finished.
 */
bool iommu_liveupdate_is_listed(struct device *dev)
{
	if (list_empty(&iommu_incoming.attachments))
		return false;

	guard(mutex)(&iommu_incoming_lock);

	return iommu_incoming_attachment_of(dev);
}

/**
 * iommu_liveupdate_device_gone - Note that a device is blocked and goes away
 * @dev: The device.
 *
 * Context: With the group's mutex.
 */
void iommu_liveupdate_device_gone(struct device *dev)
{
	struct iommu_liveupdate_attachment *att;

	if (list_empty(&iommu_incoming.attachments))
		return;

	guard(mutex)(&iommu_incoming_lock);

	att = iommu_incoming_attachment_of(dev);
	if (!att)
		return;
	att->dev = NULL;
	att->taken = false;
}

static struct luo_abi_reader *
iommu_incoming_open(struct iommu_liveupdate_domain *domain)
{
	struct luo_abi_reader *r = &domain->reader;
	char text[LUO_ABI_FAULT_LEN];

	lockdep_assert_held(&iommu_incoming_reading);
	guard(mutex)(&domain->lock);

	if (!domain->opened) {
		domain->opened = true;
		domain->err = luo_abi_open(r, &iommu_liveupdate_domain_format,
					   domain->data) ?:
			      iommu_liveupdate_check_domain(r);
		if (domain->err)
			pr_err("iommu: live update: %s\n",
			       luo_abi_fault_text(&r->fault, text, sizeof(text)));
	}

	return domain->err ? ERR_PTR(domain->err) : r;
}

static int iommu_incoming_list_areas(struct iommu_liveupdate_domain *domain,
				     iommu_liveupdate_area_fn fn, void *data)
{
	struct luo_abi_reader *r = iommu_incoming_open(domain);
	struct iommu_liveupdate_area area;
	struct luo_iommu_area from;
	struct luo_abi_array_it it;
	int err;

	if (IS_ERR(r))
		return PTR_ERR(r);

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_IOMMU_AREAS));
	while (luo_abi_array_next(&it, &from, sizeof(from))) {
		iommu_liveupdate_get_area(&from, &area);
		err = fn(data, &area);
		if (err)
			return err;
	}

	/* Blocks that are gone cannot be compared. */
	return it.left ? -EBADMSG : 0;
}

/**
 * iommu_liveupdate_is_incoming - Check whether a translation was taken over
 * @dev:   The device.
 * @token: The token of the previous kernel's iommu_liveupdate_preserve().
 *
 * Context: Process context.
 * Return: true if the device translates through the previous kernel's table, or
 *         one that its owner has attached since.
 */
bool iommu_liveupdate_is_incoming(struct device *dev, u64 token)
{
	struct iommu_liveupdate_attachment *att;

	guard(mutex)(&iommu_incoming_lock);

	att = iommu_incoming_attachment_of(dev);

	return att && att->taken && token == iommu_liveupdate_dev_sbdf(dev) + 1;
}
EXPORT_SYMBOL_GPL(iommu_liveupdate_is_incoming);

/**
 * iommu_liveupdate_is_restored - Check what a device translates through
 * @dev: The device.
 *
 * Context: Process context. The answer holds while the caller keeps the device's
 *          owner from attaching and detaching.
 * Return: true if it is the previous kernel's table.
 */
bool iommu_liveupdate_is_restored(struct device *dev)
{
	return !list_empty(&iommu_incoming.attachments) &&
	       iommu_group_is_restored(dev);
}
EXPORT_SYMBOL_GPL(iommu_liveupdate_is_restored);

/**
 * iommu_liveupdate_list_areas - Enumerate what the previous table maps
 * @dev:  A device for which iommu_liveupdate_is_restored().
 * @fn:   Called for each area in ascending order of IOVA. It must not call anything
 *        here.
 * @data: First argument of @fn.
 *
 * Context: Process context.
 * Return: 0, what @fn returned, -EBADMSG or another errno if the areas cannot be
 *         read, which is logged.
 */
int iommu_liveupdate_list_areas(struct device *dev,
				iommu_liveupdate_area_fn fn, void *data)
{
	struct iommu_liveupdate_attachment *att;

	guard(rwsem_read)(&iommu_incoming_reading);

	scoped_guard(mutex, &iommu_incoming_lock)
		att = iommu_incoming_attachment_of(dev);
	if (!att)
		return -ENODEV;

	return iommu_incoming_list_areas(att->domain, fn, data);
}
EXPORT_SYMBOL_GPL(iommu_liveupdate_list_areas);

struct iommu_liveupdate_lookup {
	u64 iova;
	phys_addr_t phys;
};

static int iommu_incoming_match(void *data,
				const struct iommu_liveupdate_area *area)
{
	struct iommu_liveupdate_lookup *lookup = data;

	if (lookup->iova < area->iova)
		return 1;
	if (lookup->iova - area->iova >= area->length)
		return 0;
	lookup->phys = area->phys + (lookup->iova - area->iova);

	return 1;
}

/**
 * iommu_liveupdate_iova_to_phys - &iommu_domain_ops.iova_to_phys of restored domains
 * @domain: The domain.
 * @iova:   The IO virtual address.
 *
 * Context: Process context.
 * Return: the physical address, 0 if there is none.
 */
phys_addr_t iommu_liveupdate_iova_to_phys(struct iommu_domain *domain,
					  dma_addr_t iova)
{
	struct iommu_liveupdate_lookup lookup = { .iova = iova };
	struct iommu_liveupdate_domain *incoming;

	guard(rwsem_read)(&iommu_incoming_reading);

	list_for_each_entry(incoming, &iommu_incoming.domains, list) {
		if (incoming->restored == domain)
			iommu_incoming_list_areas(incoming,
						  iommu_incoming_match,
						  &lookup);
	}

	return lookup.phys;
}

/* --- the new kernel: the end */

/*
 * End the use of the previous kernel's table by a device and its group. What the
 * owner has attached stays attached.
 */
static void iommu_incoming_detach(struct iommu_liveupdate_attachment *att)
{
	struct iommu_liveupdate_attachment *other;
	struct iommu_group *group;

	scoped_guard(mutex, &iommu_incoming_lock) {
		group = att->group;
		att->group = NULL;
	}
	if (group)
		iommu_group_end_restored(group);

	scoped_guard(mutex, &iommu_incoming_lock) {
		list_for_each_entry(other, &iommu_incoming.attachments, list) {
			if (other != att && (!group || other->group != group))
				continue;
			/* Never probed: nothing else has changed its entry. */
			if (other->taken && !other->dev)
				other->unit->ops->clear(other);
			other->dev = NULL;
			other->taken = false;
		}
	}
	iommu_group_put(group);
}

/**
 * iommu_liveupdate_finish - End a device's use of the previous kernel's table
 * @token: The token of the previous kernel's iommu_liveupdate_preserve(), or of its
 *         pci_liveupdate_preserve(). Ignored if it is 0, or the device's
 *         translation was not preserved.
 *
 * If the owner has not attached a domain, the device has been stopped.
 *
 * Context: Process context.
 */
void iommu_liveupdate_finish(u64 token)
{
	struct iommu_liveupdate_attachment *att;

	if (!token)
		return;

	scoped_guard(mutex, &iommu_incoming_lock)
		att = iommu_incoming_attachment(token - 1);
	if (att)
		iommu_incoming_detach(att);
}
EXPORT_SYMBOL_GPL(iommu_liveupdate_finish);

/* The driver warns. What its devices translate through is not freed. */
static void iommu_incoming_keep_units(struct iommu_liveupdate_domain *domain)
{
	struct iommu_liveupdate_attachment *att;

	list_for_each_entry(att, &iommu_incoming.attachments, list) {
		if (att->domain == domain)
			att->unit->state = IOMMU_LIVEUPDATE_EXPECTED;
	}
}

static bool iommu_incoming_domain_is_used(struct iommu_liveupdate_domain *domain)
{
	struct iommu_liveupdate_attachment *att;

	list_for_each_entry(att, &iommu_incoming.attachments, list) {
		if (att->domain == domain &&
		    att->unit->state == IOMMU_LIVEUPDATE_EXPECTED)
			return true;
	}

	return false;
}

/*
 * Put the pages of a table on @folios, and free its description. The pages are freed
 * when all descriptions are, because a damaged list can lead to one.
 */
static void iommu_incoming_free_tables(struct iommu_liveupdate_domain *domain,
				       struct list_head *folios)
{
	struct luo_abi_reader *r = iommu_incoming_open(domain);
	struct luo_iommu_table table;
	struct luo_abi_array_it it;
	struct folio *folio;

	if (IS_ERR(r)) {
		pr_err("iommu: live update: a table of the previous kernel is not freed: %pe\n",
		       r);
		return;
	}

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_IOMMU_TABLES));
	while (luo_abi_array_next(&it, &table, sizeof(table))) {
		if (kho_incoming_order(table.phys) < 0)
			continue;
		folio = kho_restore_folio(table.phys);
		if (folio)
			list_add(&folio->lru, folios);
		cond_resched();
	}
	luo_abi_release(r);
}

static void iommu_incoming_free_folios(struct list_head *folios)
{
	struct folio *folio, *next;

	list_for_each_entry_safe(folio, next, folios, lru) {
		list_del(&folio->lru);
		folio_put(folio);
		cond_resched();
	}
}

static int iommu_liveupdate_flb_retrieve(struct liveupdate_flb_op_args *args)
{
	guard(mutex)(&iommu_incoming_lock);

	if (iommu_incoming.unread) {
		luo_abi_release(&iommu_incoming.reader);
		return -EBADMSG;
	}
	args->obj = &iommu_incoming;

	return 0;
}

static void iommu_liveupdate_flb_finish(struct liveupdate_flb_op_args *args)
{
	struct iommu_liveupdate_attachment *att;
	struct iommu_liveupdate_domain *domain;
	struct iommu_liveupdate_unit *unit;
	LIST_HEAD(folios);

	/* Those of files that were not retrieved, or of bridges. */
	list_for_each_entry(att, &iommu_incoming.attachments, list)
		iommu_incoming_detach(att);

	guard(rwsem_write)(&iommu_incoming_reading);
	guard(mutex)(&iommu_incoming_lock);

	list_for_each_entry(unit, &iommu_incoming.units, list) {
		if (unit->ops && unit->ops->unit_uses_old_tables(unit))
			unit->state = IOMMU_LIVEUPDATE_EXPECTED;
	}
	list_for_each_entry(domain, &iommu_incoming.domains, list) {
		if (domain->restored &&
		    !domain->ops->free_domain(domain->restored)) {
			iommu_incoming_keep_units(domain);
			continue;
		}
		if (!iommu_incoming_domain_is_used(domain))
			iommu_incoming_free_tables(domain, &folios);
	}
	list_for_each_entry(unit, &iommu_incoming.units, list) {
		if (unit->state == IOMMU_LIVEUPDATE_EXPECTED)
			pr_warn("iommu: live update: the unit at %#llx may use the previous kernel's tables, they are not freed\n",
				unit->wire.base);
		else if (unit->ops)
			unit->ops->release_unit(unit);
	}
	luo_abi_release(&iommu_incoming.reader);
	iommu_incoming_free();
	iommu_incoming_free_folios(&folios);
}

static const struct liveupdate_flb_ops iommu_liveupdate_flb_ops = {
	.preserve = iommu_liveupdate_flb_preserve,
	.unpreserve = iommu_liveupdate_flb_unpreserve,
	.freeze = iommu_liveupdate_flb_freeze,
	.unfreeze = iommu_liveupdate_flb_unfreeze,
	.retrieve = iommu_liveupdate_flb_retrieve,
	.finish = iommu_liveupdate_flb_finish,
};

static struct liveupdate_flb iommu_liveupdate_flb = {
	.ops = &iommu_liveupdate_flb_ops,
	.compatible = LUO_IOMMU_TAG,
	.tag = &iommu_liveupdate_tag,
};

/**
 * iommu_liveupdate_register - Let the files of a handler preserve translations
 * @fh: The handler, registered.
 *
 * Context: Process context.
 * Return: as liveupdate_register_flb().
 */
int iommu_liveupdate_register(struct liveupdate_file_handler *fh)
{
	return liveupdate_register_flb(fh, &iommu_liveupdate_flb);
}
EXPORT_SYMBOL_GPL(iommu_liveupdate_register);

/**
 * iommu_liveupdate_unregister - Undo iommu_liveupdate_register()
 * @fh: The handler.
 *
 * Context: Process context.
 */
void iommu_liveupdate_unregister(struct liveupdate_file_handler *fh)
{
	liveupdate_unregister_flb(fh, &iommu_liveupdate_flb);
}
EXPORT_SYMBOL_GPL(iommu_liveupdate_unregister);
