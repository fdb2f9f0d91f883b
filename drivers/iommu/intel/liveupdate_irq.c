// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Interrupt remapping while the kernel is replaced
 *
 * A write of a device to the interrupt address range is an interrupt. A device that
 * keeps running can write there all the time, whatever its driver has told it to do.
 * So interrupt remapping stays enabled as long as one is running, and the table it
 * uses is not memory that something else is using already.
 *
 * Old kernel
 *   The table of a unit with preserved devices is preserved. When the unit is shut
 *   down all its entries are cleared: no interrupt arrives until the next kernel
 *   has allocated entries of its own.
 *
 * New kernel
 *   intel_liveupdate_keep_irqs() is asked before the first initcall, when the unit
 *   is prepared for interrupt remapping. A new and empty table takes the place of the
 *   preserved one, with interrupt remapping enabled. If interrupts have another format
 *   in this kernel, interrupt remapping is disabled first, as in any other kernel
 *   that finds it enabled, and before that the preserved devices are stopped in
 *   their configuration space. PCI finds them changed and does not give them back
 *   to their owners.
 */

#define pr_fmt(fmt)	"DMAR: " fmt

#include <linux/kexec_handover.h>
#include <linux/list.h>
#include <linux/liveupdate.h>
#include <linux/luo_tag.h>
#include <linux/luo/vtd.h>
#include <linux/mm.h>
#include <linux/pci.h>

#include <asm/pci-direct.h>

#include "../iommu_liveupdate.h"
#include "iommu.h"

#define IRTE_FAULT_DISABLE	BIT_ULL(1)

static LUO_TAG(intel_intremap_tag,
	       .name = LUO_VTD_INTREMAP_TAG,
	       .kind = LUO_ABI_TAG_PART,
	       .flags = LUO_ABI_TAG_READS | LUO_ABI_TAG_WRITES);

#ifdef CONFIG_X86_X2APIC
static LUO_TAG(intel_x2apic_tag,
	       .name = LUO_VTD_X2APIC_TAG,
	       .kind = LUO_ABI_TAG_PART,
	       .flags = LUO_ABI_TAG_READS | LUO_ABI_TAG_WRITES);

static const struct luo_abi_tag *intel_liveupdate_mode_tag(struct intel_iommu *iommu)
{
	return intel_liveupdate_irta(iommu) & INTR_REMAP_X2APIC ?
	       &intel_x2apic_tag : NULL;
}
#else
static const struct luo_abi_tag *intel_liveupdate_mode_tag(struct intel_iommu *iommu)
{
	return NULL;
}
#endif

static bool intel_liveupdate_remaps_irqs(struct intel_iommu *iommu)
{
	return iommu->ir_table &&
	       readl(iommu->reg + DMAR_GSTS_REG) & DMA_GSTS_IRES;
}

/* --- the old kernel */

/**
 * intel_liveupdate_preserve_irqs - Preserve the interrupt remapping table of a unit
 * @iommu: The unit.
 *
 * Context: Process context.
 * Return: 0, also if there is none, or the errno of kho_preserve_folio().
 */
int intel_liveupdate_preserve_irqs(struct intel_iommu *iommu)
{
	int err;

	if (!intel_liveupdate_remaps_irqs(iommu))
		return 0;

	err = kho_preserve_folio(virt_to_folio(iommu->ir_table->base));
	if (err)
		return err;
	liveupdate_tag_use(&intel_intremap_tag);
	if (intel_liveupdate_mode_tag(iommu))
		liveupdate_tag_use(intel_liveupdate_mode_tag(iommu));

	return 0;
}

/**
 * intel_liveupdate_unpreserve_irqs - Undo intel_liveupdate_preserve_irqs()
 * @iommu: The unit.
 *
 * Context: Process context.
 */
void intel_liveupdate_unpreserve_irqs(struct intel_iommu *iommu)
{
	if (!intel_liveupdate_remaps_irqs(iommu))
		return;

	if (intel_liveupdate_mode_tag(iommu))
		liveupdate_tag_unuse(intel_liveupdate_mode_tag(iommu));
	liveupdate_tag_unuse(&intel_intremap_tag);
	kho_unpreserve_folio(virt_to_folio(iommu->ir_table->base));
}

/**
 * intel_liveupdate_irta - The Interrupt Remapping Table Address Register of a unit
 * @iommu: The unit.
 *
 * Context: Any.
 * Return: the register, or 0 if interrupt remapping is disabled.
 */
u64 intel_liveupdate_irta(struct intel_iommu *iommu)
{
	return intel_liveupdate_remaps_irqs(iommu) ?
	       readq(iommu->reg + DMAR_IRTA_REG) : 0;
}

/**
 * intel_liveupdate_block_irqs - Clear the interrupt remapping table of a unit
 * @iommu: The unit, in which interrupt remapping stays enabled.
 *
 * Context: The only CPU that runs, interrupts off.
 */
void intel_liveupdate_block_irqs(struct intel_iommu *iommu)
{
	struct irte *entry;

	if (!intel_liveupdate_remaps_irqs(iommu))
		return;

	for (unsigned int i = 0; i < INTR_REMAP_TABLE_ENTRIES; i++) {
		entry = &iommu->ir_table->base[i];
		WRITE_ONCE(entry->low, IRTE_FAULT_DISABLE);
		WRITE_ONCE(entry->high, 0);
	}
	__iommu_flush_cache(iommu, iommu->ir_table->base,
			    INTR_REMAP_TABLE_ENTRIES * sizeof(struct irte));
	qi_global_iec(iommu);
}

/* --- the new kernel, before the first initcall */

static struct luo_vtd_unit *intel_liveupdate_wire(struct iommu_liveupdate_unit *unit)
{
	return (struct luo_vtd_unit *)unit->wire.vendor;
}

static size_t intel_liveupdate_old_irtes_size(u64 irta)
{
	return (2ULL << (irta & INTR_REMAP_TABLE_REG_SIZE_MASK)) *
	       sizeof(struct irte);
}

/* PCI has not looked for devices yet. Return: true if the function is stopped. */
static bool intel_liveupdate_stop_early(struct iommu_liveupdate_attachment *att,
					const char *why)
{
	u8 bus = PCI_BUS_NUM(att->wire.rid);
	u8 slot = PCI_SLOT(att->wire.rid), func = PCI_FUNC(att->wire.rid);
	u16 command;

	if (att->wire.segment || !early_pci_allowed())
		return false;

	pr_err("live update: %04x:%02x:%02x.%d is stopped: %s; its VM must be restarted\n",
	       att->wire.segment, bus, slot, func, why);
	command = read_pci_config_16(bus, slot, func, PCI_COMMAND);
	write_pci_config_16(bus, slot, func, PCI_COMMAND,
			    command & ~PCI_COMMAND_MASTER);
	/* The read returns after what the function has written has arrived. */
	command = read_pci_config_16(bus, slot, func, PCI_COMMAND);

	return !(command & PCI_COMMAND_MASTER);
}

static void intel_liveupdate_panic_irqs(const char *why)
{
	panic("DMAR: live update: a device does DMA, cannot be stopped, and could send any interrupt: %s\n",
	      why);
}

/**
 * intel_liveupdate_stop_irqs - Stop the preserved devices of a unit
 * @iommu: The unit.
 * @why:   The reason, for the log.
 *
 * To be called before interrupt remapping is disabled. Does nothing if it is disabled
 * already. Panics if a device cannot be stopped, or if the list of devices cannot be
 * read: a device could send any interrupt. Only segment 0 can be reached at that time.
 *
 * Context: When units are prepared for interrupt remapping.
 */
void intel_liveupdate_stop_irqs(struct intel_iommu *iommu, const char *why)
{
	struct iommu_liveupdate_attachment *att;
	struct iommu_liveupdate_unit *unit;
	bool stopped = true;

	/* There is nothing to disable, and the devices could do that before. */
	if (!(readl(iommu->reg + DMAR_GSTS_REG) & DMA_GSTS_IRES))
		return;

	if (iommu_liveupdate_early() == -EBADMSG)
		intel_liveupdate_panic_irqs(why);
	unit = iommu_liveupdate_find_unit(iommu->reg_phys);
	if (!unit)
		return;
	list_for_each_entry(att, iommu_liveupdate_attachments(), list) {
		if (att->unit == unit && !intel_liveupdate_stop_early(att, why))
			stopped = false;
	}
	if (!stopped)
		intel_liveupdate_panic_irqs(why);
}

/**
 * intel_liveupdate_keep_irqs - Check whether interrupt remapping stays enabled
 * @iommu:  The unit, in which it is enabled.
 * @x2apic: In which mode this kernel uses it.
 *
 * Otherwise the unit's preserved devices have been stopped.
 *
 * Context: When units are prepared for interrupt remapping.
 * Return: true if the caller has just to change the table's address.
 */
bool intel_liveupdate_keep_irqs(struct intel_iommu *iommu, bool x2apic)
{
	u64 irta = readq(iommu->reg + DMAR_IRTA_REG);
	struct iommu_liveupdate_unit *unit;
	int err = iommu_liveupdate_early();

	unit = iommu_liveupdate_find_unit(iommu->reg_phys);
	/* If preserved state cannot be read there is no list of units. */
	if (err == -ENOENT || (!err && !unit))
		return false;
	/* Whatever it leads to is not freed. */
	if (unit && intel_liveupdate_wire(unit)->irta != irta)
		intel_liveupdate_wire(unit)->irta = 0;
	if (!(irta & INTR_REMAP_X2APIC) == !x2apic) {
		/* Hardware need not snoop the CPU's cache. */
		__iommu_flush_cache(iommu, iommu->ir_table->base,
				    INTR_REMAP_TABLE_ENTRIES * sizeof(struct irte));
		return true;
	}

	intel_liveupdate_stop_irqs(iommu,
				   "interrupts have another format in this kernel, see nox2apic and intremap=no_x2apic_optout");

	return false;
}

/**
 * intel_liveupdate_free_irqs - Free the previous kernel's interrupt remapping table
 * @iommu: The unit, which is not using it any more.
 *
 * Context: When units are prepared for interrupt remapping.
 */
void intel_liveupdate_free_irqs(struct intel_iommu *iommu)
{
	struct iommu_liveupdate_unit *unit;
	struct folio *folio;
	u64 irta;

	unit = iommu_liveupdate_find_unit(iommu->reg_phys);
	if (!unit)
		return;

	irta = intel_liveupdate_wire(unit)->irta;
	if (!irta || kho_incoming_order(irta & VTD_PAGE_MASK) !=
		     get_order(intel_liveupdate_old_irtes_size(irta)))
		return;
	folio = kho_restore_folio(irta & VTD_PAGE_MASK);
	if (folio)
		folio_put(folio);
}
