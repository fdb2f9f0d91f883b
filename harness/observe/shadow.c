// SPDX-License-Identifier: GPL-2.0-only
/*
 * A copy of a function's configuration space on which writes are replayed.
 *
 * The masks are those of the PCI Express Base Specification, not those of
 * QEMU's models: a bit the standard makes writable counts as writable even
 * where a model ignores writes to it.  Registers not known here are writable
 * in all bits.  Bits that start an action and read as zero (reset, retrain)
 * are read-only here; config.c looks for them in the written value.
 */
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "observe.h"

#define ALL8	0xffu
#define ALL16	0xffffu
#define ALL32	0xffffffffu

/* What is neither in @rw nor in @w1c is read-only. */
struct layout {
	uint16_t off;
	uint8_t size;
	uint32_t rw, w1c;
	const char *name;
};

static const struct layout common_header[] = {
	{ 0x00, 4, 0, 0, "ID" },
	{ 0x04, 2, 0x0547, 0, "COMMAND" },
	{ 0x06, 2, 0, 0xf900, "STATUS" },
	{ 0x08, 4, 0, 0, "CLASS" },
	{ 0x0c, 1, ALL8, 0, "CACHE_LINE_SIZE" },
	{ 0x0d, 1, 0, 0, "LATENCY_TIMER" },
	{ 0x0e, 1, 0, 0, "HEADER_TYPE" },
	{ 0x0f, 1, 0, 0, "BIST" },
	{ 0x34, 4, 0, 0, "CAPABILITY_LIST" },
	{ 0x3c, 1, ALL8, 0, "INTERRUPT_LINE" },
	{ 0x3d, 1, 0, 0, "INTERRUPT_PIN" },
	{ 0 }
};

static const struct layout endpoint_header[] = {
	{ 0x28, 4, 0, 0, "CARDBUS_CIS" },
	{ 0x2c, 4, 0, 0, "SUBSYSTEM_ID" },
	{ 0x38, 4, 0, 0, "RESERVED" },
	{ 0x3e, 2, 0, 0, "MIN_GNT" },
	{ 0 }
};

static const struct layout bridge_header[] = {
	{ 0x18, 1, ALL8, 0, "PRIMARY_BUS" },
	{ 0x19, 1, ALL8, 0, "SECONDARY_BUS" },
	{ 0x1a, 1, ALL8, 0, "SUBORDINATE_BUS" },
	{ 0x1b, 1, 0, 0, "SEC_LATENCY_TIMER" },
	{ 0x1c, 1, 0xf0, 0, "IO_BASE" },
	{ 0x1d, 1, 0xf0, 0, "IO_LIMIT" },
	{ 0x1e, 2, 0, 0xf900, "SEC_STATUS" },
	{ 0x20, 2, 0xfff0, 0, "MEMORY_BASE" },
	{ 0x22, 2, 0xfff0, 0, "MEMORY_LIMIT" },
	{ 0x24, 2, 0xfff0, 0, "PREF_MEMORY_BASE" },
	{ 0x26, 2, 0xfff0, 0, "PREF_MEMORY_LIMIT" },
	{ 0x28, 4, ALL32, 0, "PREF_BASE_UPPER32" },
	{ 0x2c, 4, ALL32, 0, "PREF_LIMIT_UPPER32" },
	{ 0x30, 2, ALL16, 0, "IO_BASE_UPPER16" },
	{ 0x32, 2, ALL16, 0, "IO_LIMIT_UPPER16" },
	{ 0x3e, 2, 0x004f, 0, "BRIDGE_CONTROL" },
	{ 0 }
};

static const struct layout pm_cap[] = {
	{ 0x00, 4, 0, 0, "CAP" },
	{ 0x04, 2, 0x0103, 0x8000, "CONTROL" },
	{ 0x06, 2, 0, 0, "DATA" },
	{ 0 }
};

static const struct layout msi32_cap[] = {
	{ 0x00, 2, 0, 0, "CAP" },
	{ 0x02, 2, 0x0071, 0, "CONTROL" },
	{ 0x04, 4, 0xfffffffc, 0, "ADDRESS" },
	{ 0x08, 2, ALL16, 0, "DATA" },
	{ 0 }
};

static const struct layout msi32_masks[] = {
	{ 0x0a, 2, 0, 0, "RESERVED" },
	{ 0x0c, 4, ALL32, 0, "MASK" },
	{ 0x10, 4, 0, 0, "PENDING" },
	{ 0 }
};

static const struct layout msi64_cap[] = {
	{ 0x00, 2, 0, 0, "CAP" },
	{ 0x02, 2, 0x0071, 0, "CONTROL" },
	{ 0x04, 4, 0xfffffffc, 0, "ADDRESS" },
	{ 0x08, 4, ALL32, 0, "ADDRESS_UPPER32" },
	{ 0x0c, 2, ALL16, 0, "DATA" },
	{ 0 }
};

static const struct layout msi64_masks[] = {
	{ 0x0e, 2, 0, 0, "RESERVED" },
	{ 0x10, 4, ALL32, 0, "MASK" },
	{ 0x14, 4, 0, 0, "PENDING" },
	{ 0 }
};

static const struct layout msix_cap[] = {
	{ 0x00, 2, 0, 0, "CAP" },
	{ 0x02, 2, 0xc000, 0, "CONTROL" },
	{ 0x04, 4, 0, 0, "TABLE" },
	{ 0x08, 4, 0, 0, "PBA" },
	{ 0 }
};

static const struct layout ssvid_cap[] = {
	{ 0x00, 4, 0, 0, "CAP" },
	{ 0x04, 4, 0, 0, "SUBSYSTEM_ID" },
	{ 0 }
};

static const struct layout header_only_cap[] = {
	{ 0x00, 2, 0, 0, "CAP" },
	{ 0 }
};

/* Every function has these; the second version's follow. */
static const struct layout exp_cap[] = {
	{ 0x00, 4, 0, 0, "CAP" },
	{ 0x04, 4, 0, 0, "DEVICE_CAP" },
	{ 0x08, 2, 0x7fff, 0, "DEVICE_CONTROL" },
	{ 0x0a, 2, 0, 0x004f, "DEVICE_STATUS" },
	{ 0x0c, 4, 0, 0, "LINK_CAP" },
	{ 0x10, 2, 0xcfdb, 0, "LINK_CONTROL" },
	{ 0x12, 2, 0, 0xc000, "LINK_STATUS" },
	{ 0 }
};

static const struct layout exp_slot[] = {
	{ 0x14, 4, 0, 0, "SLOT_CAP" },
	{ 0x18, 2, 0x37ff, 0, "SLOT_CONTROL" },
	{ 0x1a, 2, 0, 0x011f, "SLOT_STATUS" },
	{ 0 }
};

static const struct layout exp_root[] = {
	{ 0x1c, 2, 0x003f, 0, "ROOT_CONTROL" },
	{ 0x1e, 2, 0, 0, "ROOT_CAP" },
	{ 0x20, 4, 0, 0x00010000, "ROOT_STATUS" },
	{ 0 }
};

/* Reserved where there is no slot, no root. */
static const struct layout exp_no_slot[] = {
	{ 0x14, 4, 0, 0, "SLOT_CAP" },
	{ 0x18, 4, 0, 0, "SLOT_CONTROL" },
	{ 0 }
};

static const struct layout exp_no_root[] = {
	{ 0x1c, 4, 0, 0, "ROOT_CONTROL" },
	{ 0x20, 4, 0, 0, "ROOT_STATUS" },
	{ 0 }
};

static const struct layout exp_v2[] = {
	{ 0x24, 4, 0, 0, "DEVICE_CAP2" },
	{ 0x28, 2, ALL16, 0, "DEVICE_CONTROL2" },
	{ 0x2a, 2, 0, 0, "DEVICE_STATUS2" },
	{ 0x2c, 4, 0, 0, "LINK_CAP2" },
	{ 0x30, 2, ALL16, 0, "LINK_CONTROL2" },
	{ 0x32, 2, 0, 0x0020, "LINK_STATUS2" },
	{ 0x34, 4, 0, 0, "SLOT_CAP2" },
	{ 0x38, 4, 0, 0, "SLOT_CONTROL2" },
	{ 0 }
};

static const struct layout aer_cap[] = {
	{ 0x00, 4, 0, 0, "CAP" },
	{ 0x04, 4, 0, ALL32, "UNCORRECTABLE_STATUS" },
	{ 0x08, 4, ALL32, 0, "UNCORRECTABLE_MASK" },
	{ 0x0c, 4, ALL32, 0, "UNCORRECTABLE_SEVERITY" },
	{ 0x10, 4, 0, ALL32, "CORRECTABLE_STATUS" },
	{ 0x14, 4, ALL32, 0, "CORRECTABLE_MASK" },
	{ 0x18, 4, 0x00000540, 0, "CONTROL" },
	{ 0x1c, 4, 0, 0, "HEADER_LOG" },
	{ 0x20, 4, 0, 0, "HEADER_LOG" },
	{ 0x24, 4, 0, 0, "HEADER_LOG" },
	{ 0x28, 4, 0, 0, "HEADER_LOG" },
	{ 0 }
};

static const struct layout aer_root[] = {
	{ 0x2c, 4, 0x7, 0, "ROOT_COMMAND" },
	{ 0x30, 4, 0, 0x7f, "ROOT_STATUS" },
	{ 0x34, 4, 0, 0, "ERROR_SOURCE" },
	{ 0 }
};

static const struct layout dsn_cap[] = {
	{ 0x00, 4, 0, 0, "CAP" },
	{ 0x04, 4, 0, 0, "SERIAL" },
	{ 0x08, 4, 0, 0, "SERIAL" },
	{ 0 }
};

static const struct layout acs_cap[] = {
	{ 0x00, 4, 0, 0, "CAP" },
	{ 0x04, 2, 0, 0, "CAPABILITY" },
	{ 0x06, 2, 0x1fff, 0, "CONTROL" },
	{ 0 }
};

static const struct layout ari_cap[] = {
	{ 0x00, 4, 0, 0, "CAP" },
	{ 0x04, 2, 0, 0, "CAPABILITY" },
	{ 0x06, 2, 0x0073, 0, "CONTROL" },
	{ 0 }
};

static const struct layout ats_cap[] = {
	{ 0x00, 4, 0, 0, "CAP" },
	{ 0x04, 2, 0, 0, "CAPABILITY" },
	{ 0x06, 2, 0x801f, 0, "CONTROL" },
	{ 0 }
};

static const struct layout sriov_cap[] = {
	{ 0x00, 4, 0, 0, "CAP" },
	{ 0x04, 4, 0, 0, "CAPABILITY" },
	{ 0x08, 2, 0x003f, 0, "CONTROL" },
	{ 0x0a, 2, 0, 0x0001, "STATUS" },
	{ 0x0c, 2, 0, 0, "INITIAL_VFS" },
	{ 0x0e, 2, 0, 0, "TOTAL_VFS" },
	{ 0x10, 2, ALL16, 0, "NUM_VFS" },
	{ 0x12, 2, 0, 0, "FUNCTION_LINK" },
	{ 0x14, 2, 0, 0, "VF_OFFSET" },
	{ 0x16, 2, 0, 0, "VF_STRIDE" },
	{ 0x18, 4, 0, 0, "VF_DEVICE_ID" },
	{ 0x1c, 4, 0, 0, "SUPPORTED_PAGE_SIZES" },
	{ 0x20, 4, ALL32, 0, "SYSTEM_PAGE_SIZE" },
	{ 0x3c, 4, 0, 0, "MIGRATION_STATE" },
	{ 0 }
};

static const struct layout pri_cap[] = {
	{ 0x00, 4, 0, 0, "CAP" },
	{ 0x04, 2, 0x0003, 0, "CONTROL" },
	{ 0x06, 2, 0, 0x0003, "STATUS" },
	{ 0x08, 4, 0, 0, "CAPACITY" },
	{ 0x0c, 4, ALL32, 0, "ALLOCATION" },
	{ 0 }
};

static const struct layout ltr_cap[] = {
	{ 0x00, 4, 0, 0, "CAP" },
	{ 0x04, 4, 0x1fff1fff, 0, "MAX_LATENCY" },
	{ 0 }
};

static const struct layout pasid_cap[] = {
	{ 0x00, 4, 0, 0, "CAP" },
	{ 0x04, 2, 0, 0, "CAPABILITY" },
	{ 0x06, 2, 0x0007, 0, "CONTROL" },
	{ 0 }
};

static const struct layout dpc_cap[] = {
	{ 0x00, 4, 0, 0, "CAP" },
	{ 0x04, 2, 0, 0, "CAPABILITY" },
	{ 0x06, 2, ALL16, 0, "CONTROL" },
	{ 0x08, 2, 0, 0x2009, "STATUS" },
	{ 0x0a, 2, 0, 0, "SOURCE" },
	{ 0 }
};

static const struct layout l1ss_cap[] = {
	{ 0x00, 4, 0, 0, "CAP" },
	{ 0x04, 4, 0, 0, "CAPABILITY" },
	{ 0x08, 4, ALL32, 0, "CONTROL1" },
	{ 0x0c, 4, 0x000000ff, 0, "CONTROL2" },
	{ 0 }
};

static const struct layout ptm_cap[] = {
	{ 0x00, 4, 0, 0, "CAP" },
	{ 0x04, 4, 0, 0, "CAPABILITY" },
	{ 0x08, 4, 0x0000ff03, 0, "CONTROL" },
	{ 0 }
};

static const struct layout header_only_ext[] = {
	{ 0x00, 4, 0, 0, "CAP" },
	{ 0 }
};

struct known_cap {
	uint16_t id;
	const char *name;
	const struct layout *layout;
};

static const struct known_cap caps[] = {
	{ PCI_CAP_ID_PM, "PM", pm_cap },
	{ PCI_CAP_ID_SSVID, "SSVID", ssvid_cap },
	{ PCI_CAP_ID_MSIX, "MSI-X", msix_cap },
	{ PCI_CAP_ID_EXP, "PCIE", exp_cap },
	{ PCI_CAP_ID_VPD, "VPD", header_only_cap },
	{ PCI_CAP_ID_VNDR, "VENDOR", header_only_cap },
};

static const struct known_cap ext_caps[] = {
	{ PCI_EXT_CAP_ID_ERR, "AER", aer_cap },
	{ PCI_EXT_CAP_ID_DSN, "DSN", dsn_cap },
	{ PCI_EXT_CAP_ID_ACS, "ACS", acs_cap },
	{ PCI_EXT_CAP_ID_ARI, "ARI", ari_cap },
	{ PCI_EXT_CAP_ID_ATS, "ATS", ats_cap },
	{ PCI_EXT_CAP_ID_SRIOV, "SR-IOV", sriov_cap },
	{ PCI_EXT_CAP_ID_PRI, "PRI", pri_cap },
	{ PCI_EXT_CAP_ID_LTR, "LTR", ltr_cap },
	{ PCI_EXT_CAP_ID_PASID, "PASID", pasid_cap },
	{ PCI_EXT_CAP_ID_DPC, "DPC", dpc_cap },
	{ PCI_EXT_CAP_ID_L1SS, "L1SS", l1ss_cap },
	{ PCI_EXT_CAP_ID_PTM, "PTM", ptm_cap },
};

uint32_t shadow_get(const struct function *f, unsigned int off,
		    unsigned int size)
{
	uint32_t value = 0;

	while (size--)
		value = value << 8 | f->cfg[off + size];
	return value;
}

static void set_masks(struct function *f, unsigned int off, unsigned int size,
		      uint32_t rw, uint32_t w1c)
{
	unsigned int i;

	for (i = 0; i < size && off + i < CONFIG_BYTES; i++) {
		f->w1c[off + i] = w1c >> (8 * i);
		f->ro[off + i] = ~((rw | w1c) >> (8 * i));
	}
}

static void set_name(struct function *f, unsigned int off, unsigned int size,
		     const char *cap, const char *name)
{
	if (f->regs < ARRAY_SIZE(f->reg))
		f->reg[f->regs++] = (struct reg){ off, size, cap, name };
}

static void apply(struct function *f, unsigned int base, const char *cap,
		  const struct layout *l)
{
	for (; l->size; l++) {
		if (base + l->off + l->size > f->len)
			continue;
		set_masks(f, base + l->off, l->size, l->rw, l->w1c);
		set_name(f, base + l->off, l->size, cap, l->name);
	}
}

/* @size 0: not known. */
static uint32_t bar_writable(uint32_t bar, uint64_t size)
{
	uint32_t fixed = bar & PCI_BASE_ADDRESS_SPACE_IO ? 3 : 15;

	return size ? ~(uint32_t)(size - 1) & ~fixed : ~fixed;
}

/*
 * A base address register that is not there reads zero whatever is written.
 * QEMU tells which are there; without its word, zero means it is not.
 */
static bool bar_present(const struct function *f, int i, uint32_t bar)
{
	if (i >= 0 && f->bars_known && f->bar_size[i])
		return true;
	return bar != 0;
}

static void learn_bars(struct function *f, unsigned int off, int count,
		       const char *cap, bool listed)
{
	static const char *const name[] = {
		"BAR0", "BAR1", "BAR2", "BAR3", "BAR4", "BAR5"
	};
	int i;

	for (i = 0; i < count; i++, off += 4) {
		uint32_t bar = shadow_get(f, off, 4);
		uint64_t size = listed && f->bars_known ? f->bar_size[i] : 0;
		bool is64 = (bar & 7) == PCI_BASE_ADDRESS_MEM_TYPE_64;
		uint32_t rw = 0;

		if (bar_present(f, listed ? i : -1, bar))
			rw = bar_writable(bar, size);
		set_masks(f, off, 4, rw, 0);
		set_name(f, off, 4, cap, name[i]);
		if (!is64 || i + 1 == count)
			continue;
		i++;
		off += 4;
		set_masks(f, off, 4, ALL32, 0);
		set_name(f, off, 4, cap, name[i]);
	}
}

static void learn_rom(struct function *f, unsigned int off)
{
	uint32_t rw = 0xfffff801;

	if (f->bars_known) {
		uint64_t size = f->bar_size[6];

		rw = size ? (~(uint32_t)(size - 1) & 0xfffff800) | 1 : 0;
	}
	set_masks(f, off, 4, rw, 0);
	set_name(f, off, 4, NULL, "ROM");
}

static bool is_bridge(const struct function *f)
{
	return (f->cfg[PCI_HEADER_TYPE] & PCI_HEADER_TYPE_MASK) ==
	       PCI_HEADER_TYPE_BRIDGE;
}

static void learn_header(struct function *f)
{
	apply(f, 0, NULL, common_header);
	if (!is_bridge(f)) {
		apply(f, 0, NULL, endpoint_header);
		learn_bars(f, PCI_BASE_ADDRESS_0, 6, NULL, true);
		learn_rom(f, PCI_ROM_ADDRESS);
		return;
	}
	apply(f, 0, NULL, bridge_header);
	learn_bars(f, PCI_BASE_ADDRESS_0, 2, NULL, true);
	learn_rom(f, PCI_ROM_ADDRESS1);
	if ((f->cfg[PCI_IO_BASE] & PCI_IO_RANGE_TYPE_MASK) !=
	    PCI_IO_RANGE_TYPE_32) {
		set_masks(f, PCI_IO_BASE_UPPER16, 2, 0, 0);
		set_masks(f, PCI_IO_LIMIT_UPPER16, 2, 0, 0);
	}
}

static void learn_msi(struct function *f, unsigned int base)
{
	uint16_t control = shadow_get(f, base + PCI_MSI_FLAGS, 2);
	bool is64 = control & PCI_MSI_FLAGS_64BIT;
	unsigned int vectors = 1u << ((control & PCI_MSI_FLAGS_QMASK) >> 1);
	uint32_t all = vectors >= 32 ? ALL32 : (1u << vectors) - 1;

	apply(f, base, "MSI", is64 ? msi64_cap : msi32_cap);
	if (!(control & PCI_MSI_FLAGS_MASKBIT))
		return;
	apply(f, base, "MSI", is64 ? msi64_masks : msi32_masks);
	set_masks(f, base + (is64 ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32), 4, all, 0);
}

static void learn_pcie(struct function *f, unsigned int base)
{
	uint16_t flags = shadow_get(f, base + PCI_EXP_FLAGS, 2);
	unsigned int type = (flags & PCI_EXP_FLAGS_TYPE) >> 4;
	bool root = type == PCI_EXP_TYPE_ROOT_PORT || type == PCI_EXP_TYPE_RC_EC;

	f->pcie_cap = base;
	apply(f, base, "PCIE", exp_cap);
	apply(f, base, "PCIE",
	      flags & PCI_EXP_FLAGS_SLOT ? exp_slot : exp_no_slot);
	apply(f, base, "PCIE", root ? exp_root : exp_no_root);
	if ((flags & PCI_EXP_FLAGS_VERS) >= 2)
		apply(f, base, "PCIE", exp_v2);
}

static void learn_pm(struct function *f, unsigned int base)
{
	f->pm_cap = base;
	apply(f, base, "PM", pm_cap);
	/* Without any state to signal from, PME cannot be enabled. */
	if (!(shadow_get(f, base + PCI_PM_PMC, 2) & PCI_PM_CAP_PME_MASK))
		set_masks(f, base + PCI_PM_CTRL, 2, 0x0003, 0);
}

static const struct known_cap *find_cap(const struct known_cap *table,
					size_t n, unsigned int id)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (table[i].id == id)
			return &table[i];
	return NULL;
}

static void learn_cap(struct function *f, unsigned int base)
{
	unsigned int id = f->cfg[base];
	const struct known_cap *cap = find_cap(caps, ARRAY_SIZE(caps), id);

	if (id == PCI_CAP_ID_MSIX)
		f->msix_cap = base;
	if (id == PCI_CAP_ID_MSI)
		learn_msi(f, base);
	else if (id == PCI_CAP_ID_EXP)
		learn_pcie(f, base);
	else if (id == PCI_CAP_ID_PM)
		learn_pm(f, base);
	else
		apply(f, base, cap ? cap->name : "UNKNOWN",
		      cap ? cap->layout : header_only_cap);
}

static bool is_root_port(const struct function *f)
{
	return f->pcie_cap &&
	       (shadow_get(f, f->pcie_cap + PCI_EXP_FLAGS, 2) &
		PCI_EXP_FLAGS_TYPE) >> 4 == PCI_EXP_TYPE_ROOT_PORT;
}

static void learn_ext_cap(struct function *f, unsigned int base)
{
	unsigned int id = shadow_get(f, base, 2);
	const struct known_cap *cap =
		find_cap(ext_caps, ARRAY_SIZE(ext_caps), id);

	apply(f, base, cap ? cap->name : "UNKNOWN",
	      cap ? cap->layout : header_only_ext);
	if (id == PCI_EXT_CAP_ID_ERR && is_root_port(f))
		apply(f, base, "AER", aer_root);
	if (id == PCI_EXT_CAP_ID_SRIOV)
		learn_bars(f, base + PCI_SRIOV_BAR, 6, "SR-IOV", false);
}

static void walk_caps(struct function *f)
{
	unsigned int at = f->cfg[PCI_CAPABILITY_LIST] & ~3u, hops;

	if (!(shadow_get(f, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return;
	for (hops = 0; at >= 0x40 && hops < 48; hops++) {
		learn_cap(f, at);
		at = f->cfg[at + 1] & ~3u;
	}
}

static void walk_ext_caps(struct function *f)
{
	unsigned int at = 0x100, hops;
	uint32_t header;

	for (hops = 0; at >= 0x100 && at + 4 <= f->len && hops < 96; hops++) {
		header = shadow_get(f, at, 4);
		if (!header || header == ALL32)
			return;
		learn_ext_cap(f, at);
		at = PCI_EXT_CAP_NEXT(header);
	}
}

/* After the dump has arrived, and again after the sizes of the BARs have. */
void shadow_learn(struct function *f)
{
	f->regs = 0;
	f->pcie_cap = 0;
	f->pm_cap = 0;
	f->msix_cap = 0;
	memset(f->ro, 0, sizeof(f->ro));
	memset(f->w1c, 0, sizeof(f->w1c));
	learn_header(f);
	walk_caps(f);
	walk_ext_caps(f);
}

struct write_effect shadow_write(struct function *f, unsigned int off,
				 unsigned int size, uint32_t value)
{
	struct write_effect e = { .new = value };
	unsigned int i;

	if (off + size > f->len)
		return e;
	e.known = true;
	e.old = shadow_get(f, off, size);
	for (i = 0; i < size; i++) {
		uint8_t wrote = value >> (8 * i), old = f->cfg[off + i];
		uint8_t ro = f->ro[off + i], w1c = f->w1c[off + i];
		uint8_t new = (old & (ro | w1c)) | (wrote & ~(ro | w1c));

		if (new != old)
			e.state_changing = true;
		if (wrote & w1c & old)
			e.rw1c = true;
		if (wrote & w1c & ~old)
			e.rw1c_maybe = true;
		f->cfg[off + i] = new & ~(wrote & w1c);
	}
	e.new = shadow_get(f, off, size);
	return e;
}

/* "COMMAND", "MSI-X CONTROL", "CACHE_LINE_SIZE+1", "0x0d4". */
void shadow_name(const struct function *f, unsigned int off, char *buf,
		 size_t size)
{
	unsigned int i;

	for (i = 0; i < f->regs; i++) {
		const struct reg *r = &f->reg[i];
		int n;

		if (off < r->off || off >= (unsigned int)r->off + r->size)
			continue;
		n = snprintf(buf, size, "%s%s%s", r->cap ? r->cap : "",
			     r->cap ? " " : "", r->name);
		if (off != r->off && n > 0 && (size_t)n < size)
			snprintf(buf + n, size - n, "+%u", off - r->off);
		return;
	}
	snprintf(buf, size, "0x%03x", off);
}

static void clear_writable(struct function *f, unsigned int off,
			   unsigned int size)
{
	for (; size--; off++)
		f->cfg[off] &= f->ro[off];
}

/*
 * What a function level or bus reset does to the registers that matter here.
 * Extended capabilities are left alone: many of their bits are sticky.
 */
void shadow_reset(struct function *f)
{
	clear_writable(f, PCI_COMMAND, 2);
	clear_writable(f, PCI_CACHE_LINE_SIZE, 1);
	clear_writable(f, PCI_INTERRUPT_LINE, 1);
	if (f->is_device)
		clear_writable(f, PCI_BASE_ADDRESS_0, 24);
	if (f->pm_cap)
		clear_writable(f, f->pm_cap + PCI_PM_CTRL, 2);
	if (f->msix_cap)
		clear_writable(f, f->msix_cap + PCI_MSIX_FLAGS, 2);
	if (f->pcie_cap) {
		clear_writable(f, f->pcie_cap + PCI_EXP_DEVCTL, 2);
		clear_writable(f, f->pcie_cap + PCI_EXP_DEVCTL2, 2);
	}
}
