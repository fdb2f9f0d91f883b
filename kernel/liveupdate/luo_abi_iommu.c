// SPDX-License-Identifier: GPL-2.0-only
/*
 * The suites of "iommu-v1" and "iommu-domain-v1": an igb and a disk controller
 * behind a VT-d unit, and what one of them may access.
 */

#include <linux/array_size.h>
#include <linux/errno.h>
#include <linux/kho_block.h>
#include <linux/luo_abi.h>
#include <linux/string.h>
#include <linux/luo/iommu.h>
#include <linux/luo/vtd.h>

#include "luo_abi_suite.h"
#include "../../drivers/iommu/iommu_liveupdate_wire.h"
#include "golden/luo-iommu-v1.h"
#include "golden/luo-iommu-domain-v1.h"

static const struct luo_iommu_unit iommu_units[] = {
	{ 0xfed90000, LUO_IOMMU_VTD, 0, { 0x1a0000 } },
	{ 0xfed91000, LUO_IOMMU_VTD, 0, { 0x1a2000 } },
};

static const struct luo_iommu_domain iommu_domains[] = {
	{ 0x1b0000 },
	{ 0x1b1000 },
};

static const struct luo_iommu_attachment iommu_attachments[] = {
	{ 1, 1, 0, 0x0100, 0, { 0x1c0001, 0x102 } },
	{ 2, 2, 0, 0x0208, 0, { 0x1d0001, 0x102 } },
	{ 2, 2, 1, 0x0000, 0, { 0x1d0001, 0x102 } },
};

static const struct luo_iommu_table iommu_tables[] = {
	{ 0x1c0000 }, { 0x1c1000 }, { 0x1c2000 }, { 0x1c8000 },
};

static const struct luo_iommu_area iommu_areas[] = {
	{ 0, 0x80000000, 0x100000000, LUO_IOMMU_READ | LUO_IOMMU_WRITE },
	{ 0xfffc0000, 0x40000, 0x7fe00000, LUO_IOMMU_READ },
};

static int iommu_write_array(struct luo_abi_state *state, u16 type,
			     const void *entries, size_t size, u64 count)
{
	struct kho_block_set *bs = luo_abi_state_array(state, size, count);
	struct kho_block_set_it it;

	if (!bs)
		return -ENOMEM;
	kho_block_set_it_init(&it, bs);
	for (u64 i = 0; i < count; i++)
		memcpy(kho_block_set_it_reserve_entry(&it), entries + i * size,
		       size);
	luo_abi_append_array(&state->w, type, bs);

	return 0;
}

#define WRITE_ARRAY(state, type, entries)				\
	iommu_write_array(state, type, entries, sizeof((entries)[0]),	\
			  ARRAY_SIZE(entries))

static int iommu_write(struct luo_abi_state *state)
{
	return WRITE_ARRAY(state, LUO_IOMMU_UNITS, iommu_units) ?:
	       WRITE_ARRAY(state, LUO_IOMMU_DOMAINS, iommu_domains) ?:
	       WRITE_ARRAY(state, LUO_IOMMU_ATTACHMENTS, iommu_attachments);
}

static int iommu_read(struct luo_abi_reader *r, struct luo_abi_text *text)
{
	struct luo_iommu_attachment att;
	struct luo_iommu_domain domain;
	struct luo_iommu_unit unit;
	struct luo_abi_array_it it;
	int err;

	err = iommu_liveupdate_check(r);
	if (err)
		return err;

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_IOMMU_UNITS));
	while (luo_abi_array_next(&it, &unit, sizeof(unit)))
		luo_abi_say(text, "unit of kind %u at %llx, root %llx\n",
			    unit.kind, (unsigned long long)unit.base,
			    (unsigned long long)unit.vendor[0]);

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_IOMMU_DOMAINS));
	while (luo_abi_array_next(&it, &domain, sizeof(domain)))
		luo_abi_say(text, "domain at %llx\n",
			    (unsigned long long)domain.data);

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_IOMMU_ATTACHMENTS));
	while (luo_abi_array_next(&it, &att, sizeof(att)))
		luo_abi_say(text, "%04x:%02x:%02x.%u: domain %u, unit %u, entry %llx %llx\n",
			    att.segment, att.rid >> 8, att.rid >> 3 & 0x1f,
			    att.rid & 7, att.domain, att.unit,
			    (unsigned long long)att.vendor[0],
			    (unsigned long long)att.vendor[1]);

	return 0;
}

static int iommu_write_domain(struct luo_abi_state *state)
{
	return WRITE_ARRAY(state, LUO_IOMMU_TABLES, iommu_tables) ?:
	       WRITE_ARRAY(state, LUO_IOMMU_AREAS, iommu_areas);
}

static int iommu_read_domain(struct luo_abi_reader *r,
			     struct luo_abi_text *text)
{
	struct luo_iommu_table table;
	struct luo_iommu_area area;
	struct luo_abi_array_it it;
	int err;

	err = iommu_liveupdate_check_domain(r);
	if (err)
		return err;

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_IOMMU_TABLES));
	while (luo_abi_array_next(&it, &table, sizeof(table)))
		luo_abi_say(text, "table at %llx\n",
			    (unsigned long long)table.phys);

	luo_abi_array_begin(&it, luo_abi_next(r, NULL, LUO_IOMMU_AREAS));
	while (luo_abi_array_next(&it, &area, sizeof(area)))
		luo_abi_say(text, "IOVA %llx+%llx is mapped to %llx, access %x\n",
			    (unsigned long long)area.iova,
			    (unsigned long long)area.length,
			    (unsigned long long)area.phys, area.access);

	return 0;
}

static const struct luo_abi_golden iommu_goldens[] = {
	LUO_ABI_GOLDEN(luo_iommu_v1),
};

const struct luo_abi_suite luo_abi_iommu_suite = {
	.name = "luo_iommu_v1",
	.format = &iommu_liveupdate_format,
	.write = iommu_write,
	.read = iommu_read,
	.goldens = iommu_goldens,
	.nr_goldens = ARRAY_SIZE(iommu_goldens),
};

static const struct luo_abi_golden iommu_domain_goldens[] = {
	LUO_ABI_GOLDEN(luo_iommu_domain_v1),
};

const struct luo_abi_suite luo_abi_iommu_domain_suite = {
	.name = "luo_iommu_domain_v1",
	.format = &iommu_liveupdate_domain_format,
	.write = iommu_write_domain,
	.read = iommu_read_domain,
	.goldens = iommu_domain_goldens,
	.nr_goldens = ARRAY_SIZE(iommu_domain_goldens),
};
