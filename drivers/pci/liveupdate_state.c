// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read a function or bridge into the structs of linux/luo/pci.h, compare it with
 * them, and convert its saved state. Nothing here writes to a device.
 */

#include <linux/acpi.h>
#include <linux/array_size.h>
#include <linux/cleanup.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "liveupdate.h"
#include "liveupdate_internal.h"
#include "pci.h"

/* --- registers */

/* In the order of &luo_pci_device.windows. */
static const u8 pci_state_windows[LUO_PCI_WINDOWS] = {
	PCI_IO_BASE,
	PCI_MEMORY_BASE,
	PCI_PREF_MEMORY_BASE,
	PCI_PREF_BASE_UPPER32,
	PCI_PREF_LIMIT_UPPER32,
};

static void pci_state_read_bridge(struct pci_dev *dev,
				  struct luo_pci_device *wire)
{
	u16 io;

	pci_read_config_dword(dev, PCI_PRIMARY_BUS, &wire->bus_numbers);
	wire->bus_numbers &= ~PCI_SEC_LATENCY_TIMER_MASK;

	for (int i = 0; i < LUO_PCI_WINDOWS; i++)
		pci_read_config_dword(dev, pci_state_windows[i],
				      &wire->windows[i]);
	/* Secondary Status is in the same dword. */
	pci_read_config_word(dev, PCI_IO_BASE, &io);
	wire->windows[0] = io;
	pci_read_config_dword(dev, PCI_IO_BASE_UPPER16, &wire->io_upper);
}

static void pci_state_read_subsystem(struct pci_dev *dev,
				     struct luo_pci_device *wire)
{
	int pos = PCI_SUBSYSTEM_VENDOR_ID;

	if (dev->hdr_type == PCI_HEADER_TYPE_BRIDGE) {
		pos = pci_find_capability(dev, PCI_CAP_ID_SSVID);
		if (!pos)
			return;
		pos += PCI_SSVID_VENDOR_ID;
	}
	pci_read_config_word(dev, pos, &wire->subsystem_vendor);
	pci_read_config_word(dev, pos + 2, &wire->subsystem);
}

/* The error bits of &luo_pci_device.errors; those of Status and Device Status. */
#define PCI_STATE_STATUS_ERRORS						\
	(PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT |		\
	 PCI_STATUS_REC_TARGET_ABORT | PCI_STATUS_REC_MASTER_ABORT |	\
	 PCI_STATUS_SIG_SYSTEM_ERROR | PCI_STATUS_DETECTED_PARITY)
#define PCI_STATE_DEVSTA_ERRORS	(PCI_EXP_DEVSTA_CED | PCI_EXP_DEVSTA_NFED | \
				 PCI_EXP_DEVSTA_FED | PCI_EXP_DEVSTA_URD)

/**
 * pci_liveupdate_read_errors - Read the errors that a device has logged
 * @dev:    The device; header type and config size must be known.
 * @errors: Array of %LUO_PCI_ERRORS, filled like &luo_pci_device.errors.
 *
 * Return: false if the device does not respond; then all errors are 0.
 */
bool pci_liveupdate_read_errors(struct pci_dev *dev, u32 *errors)
{
	u16 status, secondary = 0, devsta;
	int aer = pci_find_ext_capability(dev, PCI_EXT_CAP_ID_ERR);

	memset(errors, 0, LUO_PCI_ERRORS * sizeof(*errors));
	pci_read_config_word(dev, PCI_STATUS, &status);
	if (PCI_POSSIBLE_ERROR(status))
		return false;
	if (dev->hdr_type == PCI_HEADER_TYPE_BRIDGE)
		pci_read_config_word(dev, PCI_SEC_STATUS, &secondary);
	errors[0] = (status & PCI_STATE_STATUS_ERRORS) |
		    (u32)(secondary & PCI_STATE_STATUS_ERRORS) << 16;

	pcie_capability_read_word(dev, PCI_EXP_DEVSTA, &devsta);
	errors[1] = devsta & PCI_STATE_DEVSTA_ERRORS;

	if (aer) {
		pci_read_config_dword(dev, aer + PCI_ERR_UNCOR_STATUS,
				      &errors[2]);
		pci_read_config_dword(dev, aer + PCI_ERR_COR_STATUS, &errors[3]);
	}

	return true;
}

/* Return the enum luo_pci_flags of a device that the kernel has set up. */
static u16 pci_state_flags(struct pci_dev *dev)
{
	u16 flags = 0;

	if (dev->broken_intx_masking)
		flags |= LUO_PCI_INTX_STUCK;
	if (dev->io_window)
		flags |= LUO_PCI_IO_WINDOW;
	if (dev->pref_window)
		flags |= LUO_PCI_PREF_WINDOW;
	if (dev->pref_64_window)
		flags |= LUO_PCI_PREF_64;
	/* The lock for driver_override is initialized by device_register(). */
	if (device_is_registered(&dev->dev) &&
	    device_has_driver_override(&dev->dev))
		flags |= LUO_PCI_DRIVER_OVERRIDE;

	return flags;
}

/**
 * pci_liveupdate_read - Read the state of a device
 * @dev:  The device. Header type and config size must be known.
 *        &luo_pci_device.flags and .vf_buses are valid only if it is set up.
 * @wire: Filled, except &luo_pci_device.kind, .parent, .handle and .owner.
 *
 * Return: 0, or -ENODEV if the device does not respond.
 */
int pci_liveupdate_read(struct pci_dev *dev, struct luo_pci_device *wire)
{
	u32 id;
	int pos;

	wire->segment = pci_domain_nr(dev->bus);
	wire->bus = dev->bus->number;
	wire->devfn = dev->devfn;

	pci_read_config_dword(dev, PCI_VENDOR_ID, &id);
	if (PCI_POSSIBLE_ERROR(id))
		return -ENODEV;
	wire->vendor = id;
	wire->device = id >> 16;
	pci_state_read_subsystem(dev, wire);
	pci_read_config_dword(dev, PCI_CLASS_REVISION, &wire->class_revision);
	wire->serial = pci_get_dsn(dev);

	pci_read_config_word(dev, PCI_COMMAND, &wire->command);
	if (PCI_POSSIBLE_ERROR(wire->command))
		return -ENODEV;
	wire->flags = pci_state_flags(dev);
#ifdef CONFIG_PCI_IOV
	wire->vf_buses = dev->is_physfn ? dev->sriov->max_VF_buses : 0;
#endif

	pos = pci_find_ext_capability(dev, PCI_EXT_CAP_ID_ACS);
	if (pos)
		pci_read_config_word(dev, pos + PCI_ACS_CTRL, &wire->acs);
	/* Reads 0 if the register does not exist. */
	pcie_capability_read_word(dev, PCI_EXP_DEVCTL, &wire->devctl);
	pcie_capability_read_word(dev, PCI_EXP_DEVCTL2, &wire->devctl2);

	pci_liveupdate_read_errors(dev, wire->errors);

	if (dev->hdr_type == PCI_HEADER_TYPE_BRIDGE)
		pci_state_read_bridge(dev, wire);

	return 0;
}

/*
 * Error reporting and interrupts of a port are disabled when the old kernel shuts
 * its services down, after the freeze. They are not compared.
 */
#define PCI_STATE_DEVCTL_ERRORS	(PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | \
				 PCI_EXP_DEVCTL_FERE | PCI_EXP_DEVCTL_URRE)

/* Name the likely cause if extended configuration space cannot be read. */
static const char *pci_state_extended_differs(struct pci_dev *dev,
					      const char *why)
{
	if (pci_is_pcie(dev) && dev->cfg_size <= PCI_CFG_SPACE_SIZE)
		return "its extended config space cannot be read: remove pci=conf1 or pci=nommconf";

	return why;
}

static const char *pci_state_bars_differ(struct pci_dev *dev,
					 const struct pci_liveupdate *lu)
{
	for (unsigned int i = 0; i < lu->nr_bars; i++) {
		const struct luo_pci_bar *bar = &lu->bars[i];
		u32 low, high = 0;

		if (bar->offset + bar->width / 8 > dev->cfg_size)
			return pci_state_extended_differs(dev,
					"configuration space is smaller");
		pci_read_config_dword(dev, bar->offset, &low);
		if (bar->width == 64)
			pci_read_config_dword(dev, bar->offset + 4, &high);
		if (((u64)high << 32 | low) != bar->value)
			return "a BAR has changed";
	}

	return NULL;
}

/**
 * pci_liveupdate_differs - Compare a device with its preserved state
 * @dev: The device; header type and config size must be known.
 * @lu:  The preserved state.
 *
 * Return: NULL if the device is the same and unchanged, otherwise the difference,
 * for the log.
 */
const char *pci_liveupdate_differs(struct pci_dev *dev,
				   const struct pci_liveupdate *lu)
{
	const struct luo_pci_device *wire = &lu->wire;
	struct pci_dev *parent = pci_upstream_bridge(dev);
	bool bridge = wire->kind == LUO_PCI_BRIDGE;
	struct luo_pci_device found = {};
	bool is_bridge = dev->hdr_type == PCI_HEADER_TYPE_BRIDGE;
	u16 port = bridge ? PCI_COMMAND_INTX_DISABLE : 0;

	if (pci_liveupdate_read(dev, &found))
		return "it does not respond";
	if (found.vendor != wire->vendor || found.device != wire->device ||
	    found.subsystem_vendor != wire->subsystem_vendor ||
	    found.subsystem != wire->subsystem ||
	    found.class_revision != wire->class_revision ||
	    bridge != is_bridge)
		return "it was replaced by another device";
	if (!has_acpi_companion(&pci_find_host_bridge(dev->bus)->dev))
		return "its host bridge is not described by ACPI: remove pci=noacpi or acpi=off";
	if (found.serial != wire->serial)
		return pci_state_extended_differs(dev,
				"it was replaced by another device of the same model");
	if ((parent ? parent->liveupdate : NULL) != lu->parent)
		return "it is not below the same bridge";
	if ((found.command ^ wire->command) & ~port)
		return "Command has changed, perhaps by a reset";
	if (found.bus_numbers != wire->bus_numbers)
		return "the bridge has lost its bus numbers";
	if (memcmp(found.windows, wire->windows, sizeof(found.windows)) ||
	    found.io_upper != wire->io_upper)
		return "the bridge has lost its windows";
	if (found.acs != wire->acs)
		return pci_state_extended_differs(dev,
						  "ACS Control has changed");
	if ((found.devctl ^ wire->devctl) & ~PCI_STATE_DEVCTL_ERRORS)
		return "Device Control has changed";
	if (found.devctl2 != wire->devctl2)
		return "Device Control 2 has changed";

	return pci_state_bars_differ(dev, lu);
}

/* --- BARs */

static bool pci_state_read_bar(struct pci_dev *dev, u16 offset, u64 size,
			       bool rom, struct luo_pci_bar *bar)
{
	u32 low, high = 0;

	if (!size)
		return false;

	pci_read_config_dword(dev, offset, &low);
	bar->width = 32;
	if (!rom && !(low & PCI_BASE_ADDRESS_SPACE_IO) &&
	    (low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) ==
	    PCI_BASE_ADDRESS_MEM_TYPE_64) {
		pci_read_config_dword(dev, offset + 4, &high);
		bar->width = 64;
	}
	bar->offset = offset;
	bar->value = (u64)high << 32 | low;
	bar->size = size;

	return true;
}

/**
 * pci_liveupdate_read_bars - Read the BARs of a device that was set up
 * @dev:  The device.
 * @bars: Array of %PCI_LIVEUPDATE_MAX_BARS, filled in the order of the offsets.
 *
 * Return: the number of BARs.
 */
int pci_liveupdate_read_bars(struct pci_dev *dev, struct luo_pci_bar *bars)
{
	bool bridge = dev->hdr_type == PCI_HEADER_TYPE_BRIDGE;
	int nr = 0, last = bridge ? 2 : PCI_STD_NUM_BARS;

	for (int i = 0; i < last; i++)
		nr += pci_state_read_bar(dev, PCI_BASE_ADDRESS_0 + 4 * i,
					 pci_resource_len(dev, i), false,
					 &bars[nr]);
	nr += pci_state_read_bar(dev, bridge ? PCI_ROM_ADDRESS1 :
				 PCI_ROM_ADDRESS,
				 pci_resource_len(dev, PCI_ROM_RESOURCE), true,
				 &bars[nr]);
#ifdef CONFIG_PCI_IOV
	for (int i = 0; dev->is_physfn && i < PCI_SRIOV_NUM_BARS; i++)
		nr += pci_state_read_bar(dev, dev->sriov->pos + PCI_SRIOV_BAR +
					 4 * i, dev->sriov->barsz[i], false,
					 &bars[nr]);
#endif

	return nr;
}

/* --- saved state */

/*
 * &struct pci_saved_state is private to PCI and may change with any release.
 * Therefore registers are preserved, and this table tells the offset of each in
 * it. If an assertion here fails, or the KUnit test that compares them with a
 * device, add the registers that pci_save_state() saves now. A register that is
 * not in the table is restored to its value in the running device.
 */
static_assert(sizeof_field(struct pci_saved_state, config_space) ==
	      PCI_STD_HEADER_SIZEOF);
static_assert(sizeof_field(struct pci_cap_saved_data, data[0]) == 4);

static const struct {
	u16 cap;
	u16 offset;	/* of the register in the capability */
	u16 where;	/* in &pci_cap_saved_data.data, in bytes */
	u8 width;
} pci_state_saved[] = {
	/* pci_save_pcie_state() */
	{ PCI_CAP_ID_EXP, PCI_EXP_DEVCTL, 0, 2 },
	{ PCI_CAP_ID_EXP, PCI_EXP_LNKCTL, 2, 2 },
	{ PCI_CAP_ID_EXP, PCI_EXP_SLTCTL, 4, 2 },
	{ PCI_CAP_ID_EXP, PCI_EXP_RTCTL, 6, 2 },
	{ PCI_CAP_ID_EXP, PCI_EXP_DEVCTL2, 8, 2 },
	{ PCI_CAP_ID_EXP, PCI_EXP_LNKCTL2, 10, 2 },
	{ PCI_CAP_ID_EXP, PCI_EXP_SLTCTL2, 12, 2 },
	/* pci_save_pcix_state() */
	{ PCI_CAP_ID_PCIX, PCI_X_CMD, 0, 2 },
	/* pci_save_aer_state() */
	{ LUO_PCI_CAPABILITY_EXTENDED | PCI_EXT_CAP_ID_ERR,
	  PCI_ERR_UNCOR_MASK, 0, 4 },
	{ LUO_PCI_CAPABILITY_EXTENDED | PCI_EXT_CAP_ID_ERR,
	  PCI_ERR_UNCOR_SEVER, 4, 4 },
	{ LUO_PCI_CAPABILITY_EXTENDED | PCI_EXT_CAP_ID_ERR,
	  PCI_ERR_COR_MASK, 8, 4 },
	{ LUO_PCI_CAPABILITY_EXTENDED | PCI_EXT_CAP_ID_ERR,
	  PCI_ERR_CAP, 12, 4 },
	/* pci_save_ltr_state() */
	{ LUO_PCI_CAPABILITY_EXTENDED | PCI_EXT_CAP_ID_LTR,
	  PCI_LTR_MAX_SNOOP_LAT, 0, 4 },
	/* pci_save_aspm_l1ss_state() */
	{ LUO_PCI_CAPABILITY_EXTENDED | PCI_EXT_CAP_ID_L1SS,
	  PCI_L1SS_CTL2, 0, 4 },
	{ LUO_PCI_CAPABILITY_EXTENDED | PCI_EXT_CAP_ID_L1SS,
	  PCI_L1SS_CTL1, 4, 4 },
	/* pci_save_ptm_state() */
	{ LUO_PCI_CAPABILITY_EXTENDED | PCI_EXT_CAP_ID_PTM,
	  PCI_PTM_CTRL, 0, 4 },
	/* pci_save_dpc_state() */
	{ LUO_PCI_CAPABILITY_EXTENDED | PCI_EXT_CAP_ID_DPC,
	  PCI_EXP_DPC_CTL, 0, 2 },
};

static_assert(PCI_STD_HEADER_SIZEOF / 4 + ARRAY_SIZE(pci_state_saved) <=
	      PCI_LIVEUPDATE_MAX_REGISTERS);

static void *pci_state_saved_cap(struct pci_saved_state *state, int i)
{
	struct pci_cap_saved_data *cap = state->cap;
	u16 id = pci_state_saved[i].cap & ~LUO_PCI_CAPABILITY_EXTENDED;
	bool extended = pci_state_saved[i].cap & LUO_PCI_CAPABILITY_EXTENDED;

	while (cap->size) {
		if (cap->cap_nr == id && cap->cap_extended == extended) {
			if (pci_state_saved[i].where +
			    pci_state_saved[i].width > cap->size)
				return NULL;
			return (void *)cap->data + pci_state_saved[i].where;
		}
		cap = (void *)(cap + 1) + cap->size;
	}

	return NULL;
}

/**
 * pci_liveupdate_pristine - Convert a saved state to registers
 * @dev:       The device.
 * @state:     Its saved state.
 * @registers: Array of %PCI_LIVEUPDATE_MAX_REGISTERS to fill.
 *
 * Return: the number of registers.
 */
unsigned int pci_liveupdate_pristine(struct pci_dev *dev,
				     const struct pci_saved_state *state,
				     struct luo_pci_register *registers)
{
	struct luo_pci_register *reg = registers;

	for (int i = 0; i < PCI_STD_HEADER_SIZEOF / 4; i++) {
		reg->offset = 4 * i;
		reg->width = 4;
		reg->value = state->config_space[i];
		reg++;
	}

	for (int i = 0; i < ARRAY_SIZE(pci_state_saved); i++) {
		void *saved = pci_state_saved_cap((void *)state, i);

		if (!saved)
			continue;
		reg->capability = pci_state_saved[i].cap;
		reg->offset = pci_state_saved[i].offset;
		reg->width = pci_state_saved[i].width;
		reg->value = reg->width == 2 ? *(u16 *)saved : *(u32 *)saved;
		reg++;
	}

	return reg - registers;
}

static void *pci_state_saved_register(struct pci_saved_state *state,
				      const struct luo_pci_register *reg)
{
	if (!reg->capability) {
		if (reg->width != 4 || reg->offset & 3 ||
		    reg->offset >= PCI_STD_HEADER_SIZEOF)
			return NULL;
		return &state->config_space[reg->offset / 4];
	}

	for (int i = 0; i < ARRAY_SIZE(pci_state_saved); i++) {
		if (pci_state_saved[i].cap == reg->capability &&
		    pci_state_saved[i].offset == reg->offset &&
		    pci_state_saved[i].width == reg->width)
			return pci_state_saved_cap(state, i);
	}

	return NULL;
}

/**
 * pci_liveupdate_make_pristine - Convert registers to a saved state
 * @dev:       The device, running.
 * @registers: The registers.
 * @nr:        Number of entries of @registers.
 *
 * Return: the state, for pci_load_and_free_saved_state(); NULL if memory is
 * short.
 */
struct pci_saved_state *
pci_liveupdate_make_pristine(struct pci_dev *dev,
			     const struct luo_pci_register *registers,
			     unsigned int nr)
{
	struct pci_saved_state *state;

	if (pci_save_state(dev))
		return NULL;
	state = pci_store_saved_state(dev);
	if (!state)
		return NULL;

	for (unsigned int i = 0; i < nr; i++) {
		void *saved = pci_state_saved_register(state, &registers[i]);

		if (!saved)
			continue;
		if (registers[i].width == 2)
			*(u16 *)saved = registers[i].value;
		else
			*(u32 *)saved = registers[i].value;
	}

	return state;
}
