// SPDX-License-Identifier: GPL-2.0-only
/*
 * Declaration of what linux/luo/iommu.h describes, and the checks that do not
 * need the hardware. Nothing here depends on the IOMMU core, so that the tests
 * can build it for user space.
 */

#include <linux/array_size.h>
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/luo_abi.h>
#include <linux/luo_tag.h>
#include <linux/stddef.h>

#include "iommu_liveupdate_wire.h"

LUO_TAG(iommu_liveupdate_tag,
	.name = LUO_IOMMU_TAG,
	.kind = LUO_ABI_TAG_FLB,
	.magic = LUO_ABI_MAGIC_IOMMU,
	.flags = LUO_ABI_TAG_READS | LUO_ABI_TAG_WRITES);

LUO_TAG(iommu_liveupdate_domain_tag,
	.name = LUO_IOMMU_DOMAIN_TAG,
	.kind = LUO_ABI_TAG_PART,
	.magic = LUO_ABI_MAGIC_IOMMU_DOMAIN,
	.flags = LUO_ABI_TAG_READS | LUO_ABI_TAG_WRITES);

static const struct luo_abi_field iommu_unit_fields[] = {
	LUO_ABI_FIELDS(struct luo_iommu_unit, base, base),
	LUO_ABI_VALUES(struct luo_iommu_unit, kind, BIT_ULL(LUO_IOMMU_VTD),
		       LUO_ABI_ALWAYS),
	LUO_ABI_RESERVED(struct luo_iommu_unit, reserved),
	LUO_ABI_FIELDS(struct luo_iommu_unit, vendor, vendor),
};

static const struct luo_abi_field iommu_domain_fields[] = {
	LUO_ABI_FIELDS(struct luo_iommu_domain, data, data),
};

static const struct luo_abi_field iommu_attachment_fields[] = {
	LUO_ABI_FIELDS(struct luo_iommu_attachment, unit, rid),
	LUO_ABI_RESERVED(struct luo_iommu_attachment, reserved),
	LUO_ABI_FIELDS(struct luo_iommu_attachment, vendor, vendor),
};

static const struct luo_abi_field iommu_table_fields[] = {
	LUO_ABI_FIELDS(struct luo_iommu_table, phys, phys),
};

static const struct luo_abi_field iommu_area_fields[] = {
	LUO_ABI_FIELDS(struct luo_iommu_area, iova, phys),
	LUO_ABI_FLAGS(struct luo_iommu_area, access,
		      LUO_IOMMU_READ | LUO_IOMMU_WRITE, LUO_ABI_ALWAYS),
	LUO_ABI_RESERVED(struct luo_iommu_area, reserved),
};

static const struct luo_abi_type iommu_liveupdate_types[] = {
	{
		LUO_ABI_TYPE(LUO_IOMMU_UNITS, struct luo_iommu_unit, 48,
			     iommu_unit_fields),
		.needs = LUO_ABI_ALWAYS,
		.min = 1,
		.max = 1,
		.max_entries = 1 << 10,
	},
	{
		LUO_ABI_TYPE(LUO_IOMMU_DOMAINS, struct luo_iommu_domain, 8,
			     iommu_domain_fields),
		.needs = LUO_ABI_ALWAYS,
		.min = 1,
		.max = 1,
		.max_entries = 1 << 12,
	},
	{
		LUO_ABI_TYPE(LUO_IOMMU_ATTACHMENTS, struct luo_iommu_attachment, 80,
			     iommu_attachment_fields),
		.needs = LUO_ABI_ALWAYS,
		.min = 1,
		.max = 1,
		.max_entries = 1 << 12,
	},
};

const struct luo_abi_format iommu_liveupdate_format = {
	.tag = &iommu_liveupdate_tag,
	.types = iommu_liveupdate_types,
	.nr_types = ARRAY_SIZE(iommu_liveupdate_types),
};

static const struct luo_abi_type iommu_liveupdate_domain_types[] = {
	{
		LUO_ABI_TYPE(LUO_IOMMU_TABLES, struct luo_iommu_table, 8,
			     iommu_table_fields),
		.needs = LUO_ABI_ALWAYS,
		.min = 1,
		.max = 1,
		.max_entries = 1 << 24,
	},
	{
		LUO_ABI_TYPE(LUO_IOMMU_AREAS, struct luo_iommu_area, 32,
			     iommu_area_fields),
		.needs = LUO_ABI_ALWAYS,
		.min = 1,
		.max = 1,
		.max_entries = 1 << 24,
	},
};

const struct luo_abi_format iommu_liveupdate_domain_format = {
	.tag = &iommu_liveupdate_domain_tag,
	.types = iommu_liveupdate_domain_types,
	.nr_types = ARRAY_SIZE(iommu_liveupdate_domain_types),
};

#define REFUSE(r, record, type, field, expected, found)			\
	luo_abi_refuse(r, record, offsetof(type, field), expected, found)

static u64 iommu_wire_count(struct luo_abi_reader *r, u16 type)
{
	struct luo_abi_array_it it;

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, type));

	return it.left;
}

static int iommu_wire_check_units(struct luo_abi_reader *r)
{
	const struct luo_abi_record *record;
	struct luo_iommu_unit unit;
	struct luo_abi_array_it it;
	u64 next = 0;

	record = luo_abi_next(r, NULL, LUO_IOMMU_UNITS);
	luo_abi_array_begin(&it, record);
	while (luo_abi_array_next(&it, &unit, sizeof(unit))) {
		if (unit.base < next)
			return REFUSE(r, record, struct luo_iommu_unit, base,
				      next, unit.base);
		next = unit.base + 1;
	}

	return 0;
}

static int iommu_wire_check_domains(struct luo_abi_reader *r)
{
	const struct luo_abi_record *record;
	struct luo_iommu_domain domain;
	struct luo_abi_array_it it;
	u64 next = 1;

	record = luo_abi_next(r, NULL, LUO_IOMMU_DOMAINS);
	luo_abi_array_begin(&it, record);
	while (luo_abi_array_next(&it, &domain, sizeof(domain))) {
		if (domain.data < next)
			return REFUSE(r, record, struct luo_iommu_domain, data,
				      next, domain.data);
		next = domain.data + 1;
	}

	return 0;
}

static int iommu_wire_check_attachments(struct luo_abi_reader *r)
{
	u64 domains = iommu_wire_count(r, LUO_IOMMU_DOMAINS);
	u64 units = iommu_wire_count(r, LUO_IOMMU_UNITS);
	const struct luo_abi_record *record;
	struct luo_iommu_attachment att;
	struct luo_abi_array_it it;
	u64 next = 0, sbdf;

	record = luo_abi_next(r, NULL, LUO_IOMMU_ATTACHMENTS);
	luo_abi_array_begin(&it, record);
	while (luo_abi_array_next(&it, &att, sizeof(att))) {
		if (!att.unit || att.unit > units)
			return REFUSE(r, record, struct luo_iommu_attachment,
				      unit, units, att.unit);
		if (!att.domain || att.domain > domains)
			return REFUSE(r, record, struct luo_iommu_attachment,
				      domain, domains, att.domain);
		sbdf = (u64)att.segment << 16 | att.rid;
		if (sbdf < next)
			return REFUSE(r, record, struct luo_iommu_attachment,
				      segment, next, sbdf);
		next = sbdf + 1;
	}

	return 0;
}

/**
 * iommu_liveupdate_check - Check the values of a blob's arrays.
 * @r: A blob of %LUO_IOMMU_TAG that passed luo_abi_open() or luo_abi_check().
 *
 * Context: Any.
 * Return: 0, or -EBADMSG with the reason in @r.
 */
int iommu_liveupdate_check(struct luo_abi_reader *r)
{
	return iommu_wire_check_units(r) ?: iommu_wire_check_domains(r) ?:
	       iommu_wire_check_attachments(r);
}

/**
 * iommu_liveupdate_check_domain - Check the values of a domain's areas.
 * @r: A blob of %LUO_IOMMU_DOMAIN_TAG that passed luo_abi_open() or
 *     luo_abi_check().
 *
 * Context: Any.
 * Return: 0, or -EBADMSG with the reason in @r.
 */
int iommu_liveupdate_check_domain(struct luo_abi_reader *r)
{
	const struct luo_abi_record *record;
	struct luo_abi_array_it it;
	struct luo_iommu_area area;
	bool full = false;
	u64 free = 0;

	record = luo_abi_next(r, NULL, LUO_IOMMU_AREAS);
	luo_abi_array_begin(&it, record);
	while (luo_abi_array_next(&it, &area, sizeof(area))) {
		if (full || area.iova < free)
			return REFUSE(r, record, struct luo_iommu_area, iova,
				      free, area.iova);
		if (!area.length || area.length - 1 > ~0ULL - area.iova)
			return REFUSE(r, record, struct luo_iommu_area, length,
				      1, area.length);
		if (area.length - 1 > ~0ULL - area.phys)
			return REFUSE(r, record, struct luo_iommu_area, phys, 0,
				      area.phys);
		free = area.iova + area.length;
		full = !free;
	}

	return 0;
}
