// SPDX-License-Identifier: GPL-2.0-only
/*
 * The layout of linux/luo/iommu.h and linux/luo/vtd.h.
 *
 * If one of these fails, the serialized data of live updates has changed. Do not
 * change the assertion: undo the change, and read in
 * Documentation/core-api/liveupdate-abi.rst how a struct can grow.
 */

#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/luo/iommu.h>
#include <linux/luo/vtd.h>

static_assert(!__builtin_strcmp(LUO_IOMMU_TAG, "iommu-v1"));

static_assert(!__builtin_strcmp(LUO_IOMMU_DOMAIN_TAG, "iommu-domain-v1"));

static_assert(LUO_IOMMU_UNITS == 0xc001);
static_assert(LUO_IOMMU_DOMAINS == 0xc002);
static_assert(LUO_IOMMU_ATTACHMENTS == 0xc003);

static_assert(LUO_IOMMU_VTD == 1);

static_assert(LUO_IOMMU_UNIT_WORDS == 4);

static_assert(LUO_IOMMU_ATTACHMENT_WORDS == 8);

static_assert(sizeof(struct luo_iommu_unit) == 48);
static_assert(offsetof(struct luo_iommu_unit, base) == 0);
static_assert(sizeof_field(struct luo_iommu_unit, base) == 8);
static_assert(offsetof(struct luo_iommu_unit, kind) == 8);
static_assert(sizeof_field(struct luo_iommu_unit, kind) == 4);
static_assert(offsetof(struct luo_iommu_unit, reserved) == 12);
static_assert(sizeof_field(struct luo_iommu_unit, reserved) == 4);
static_assert(offsetof(struct luo_iommu_unit, vendor) == 16);
static_assert(sizeof_field(struct luo_iommu_unit, vendor) == 32);

static_assert(sizeof(struct luo_iommu_domain) == 8);
static_assert(offsetof(struct luo_iommu_domain, data) == 0);
static_assert(sizeof_field(struct luo_iommu_domain, data) == 8);

static_assert(sizeof(struct luo_iommu_attachment) == 80);
static_assert(offsetof(struct luo_iommu_attachment, unit) == 0);
static_assert(sizeof_field(struct luo_iommu_attachment, unit) == 4);
static_assert(offsetof(struct luo_iommu_attachment, domain) == 4);
static_assert(sizeof_field(struct luo_iommu_attachment, domain) == 4);
static_assert(offsetof(struct luo_iommu_attachment, segment) == 8);
static_assert(sizeof_field(struct luo_iommu_attachment, segment) == 4);
static_assert(offsetof(struct luo_iommu_attachment, rid) == 12);
static_assert(sizeof_field(struct luo_iommu_attachment, rid) == 2);
static_assert(offsetof(struct luo_iommu_attachment, reserved) == 14);
static_assert(sizeof_field(struct luo_iommu_attachment, reserved) == 2);
static_assert(offsetof(struct luo_iommu_attachment, vendor) == 16);
static_assert(sizeof_field(struct luo_iommu_attachment, vendor) == 64);

static_assert(LUO_IOMMU_TABLES == 0xc001);
static_assert(LUO_IOMMU_AREAS == 0xc002);

static_assert(sizeof(struct luo_iommu_table) == 8);
static_assert(offsetof(struct luo_iommu_table, phys) == 0);
static_assert(sizeof_field(struct luo_iommu_table, phys) == 8);

static_assert(LUO_IOMMU_READ == 1);
static_assert(LUO_IOMMU_WRITE == 2);

static_assert(sizeof(struct luo_iommu_area) == 32);
static_assert(offsetof(struct luo_iommu_area, iova) == 0);
static_assert(sizeof_field(struct luo_iommu_area, iova) == 8);
static_assert(offsetof(struct luo_iommu_area, length) == 8);
static_assert(sizeof_field(struct luo_iommu_area, length) == 8);
static_assert(offsetof(struct luo_iommu_area, phys) == 16);
static_assert(sizeof_field(struct luo_iommu_area, phys) == 8);
static_assert(offsetof(struct luo_iommu_area, access) == 24);
static_assert(sizeof_field(struct luo_iommu_area, access) == 4);
static_assert(offsetof(struct luo_iommu_area, reserved) == 28);
static_assert(sizeof_field(struct luo_iommu_area, reserved) == 4);

static_assert(!__builtin_strcmp(LUO_VTD_TAG, "vtd-v1"));

static_assert(!__builtin_strcmp(LUO_VTD_SCALABLE_TAG, "vtd-scalable-v1"));

static_assert(!__builtin_strcmp(LUO_VTD_INTREMAP_TAG, "vtd-intremap-v1"));

static_assert(!__builtin_strcmp(LUO_VTD_X2APIC_TAG, "vtd-x2apic-v1"));

static_assert(sizeof(struct luo_vtd_unit) == 16);
static_assert(offsetof(struct luo_vtd_unit, root) == 0);
static_assert(sizeof_field(struct luo_vtd_unit, root) == 8);
static_assert(offsetof(struct luo_vtd_unit, irta) == 8);
static_assert(sizeof_field(struct luo_vtd_unit, irta) == 8);

static_assert(sizeof(struct luo_vtd_attachment) == 40);
static_assert(offsetof(struct luo_vtd_attachment, context_low) == 0);
static_assert(sizeof_field(struct luo_vtd_attachment, context_low) == 8);
static_assert(offsetof(struct luo_vtd_attachment, context_high) == 8);
static_assert(sizeof_field(struct luo_vtd_attachment, context_high) == 8);
static_assert(offsetof(struct luo_vtd_attachment, pasid_entry) == 16);
static_assert(sizeof_field(struct luo_vtd_attachment, pasid_entry) == 24);
