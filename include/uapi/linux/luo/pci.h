/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * State of PCI devices that keep running across a live update.
 *
 * Most of it is compared with the hardware by the next kernel, in order to detect
 * a device that was replaced, reset or renumbered. The rest is what a kernel
 * cannot read without disturbing a running device, and what its owner needs.
 *
 * "PCIe" is the PCI Express Base Specification, revision 6.0.
 */
#ifndef _UAPI_LINUX_LUO_PCI_H
#define _UAPI_LINUX_LUO_PCI_H

#include <linux/luo/abi.h>

/* The functions that are preserved, and the bridges above them. */
#define LUO_PCI_TAG		"pci-v1"

/**
 * enum luo_pci_record - types of records
 *
 * @LUO_PCI_DEVICES: &struct luo_abi_array of &struct luo_pci_device: functions
 *                   and bridges, sorted by segment, bus and devfn. A bridge
 *                   comes before the devices below it.
 * @LUO_PCI_BARS: &struct luo_abi_array of &struct luo_pci_bar: their BARs,
 *                sorted by device and offset.
 * @LUO_PCI_REGISTERS: &struct luo_abi_array of &struct luo_pci_register: the
 *                     register values that a reset restores when the owner
 *                     closes the function, sorted by device.
 */
enum luo_pci_record {
	LUO_PCI_DEVICES			= LUO_ABI_RECORD_MANDATORY |
					  LUO_ABI_RECORD_ARRAY | 1,
	LUO_PCI_BARS			= LUO_ABI_RECORD_MANDATORY |
					  LUO_ABI_RECORD_ARRAY | 2,
	LUO_PCI_REGISTERS		= LUO_ABI_RECORD_MANDATORY |
					  LUO_ABI_RECORD_ARRAY | 3,
};

/**
 * enum luo_pci_kind - why a device is preserved
 *
 * @LUO_PCI_FUNCTION: A function that is owned by a preserved file.
 * @LUO_PCI_BRIDGE: A bridge above a preserved function, which forwards its DMA.
 */
enum luo_pci_kind {
	LUO_PCI_FUNCTION		= 1,
	LUO_PCI_BRIDGE			= 2,
};

/**
 * enum luo_pci_flags - properties that cannot be read without a write
 *
 * @LUO_PCI_INTX_STUCK: Interrupt Disable in Command cannot be changed. This is
 *                      found out by changing it.
 * @LUO_PCI_IO_WINDOW: The bridge has an I/O window. A window that is closed reads
 *                     like one that is not implemented.
 * @LUO_PCI_PREF_WINDOW: The bridge has a prefetchable window.
 * @LUO_PCI_PREF_64: The prefetchable window has 64 bits.
 * @LUO_PCI_DRIVER_OVERRIDE: driver_override was set to the function's driver.
 *                           Without it another driver would be bound to an
 *                           abandoned function.
 */
enum luo_pci_flags {
	LUO_PCI_INTX_STUCK		= 1 << 0,
	LUO_PCI_IO_WINDOW		= 1 << 1,
	LUO_PCI_PREF_WINDOW		= 1 << 2,
	LUO_PCI_PREF_64			= 1 << 3,
	LUO_PCI_DRIVER_OVERRIDE		= 1 << 4,
};

#define LUO_PCI_WINDOWS		5
#define LUO_PCI_ERRORS		4
#define LUO_PCI_OWNER_LENGTH	48

/**
 * struct luo_pci_device - a function, or a bridge above one
 *
 * The values are those of the freeze in the old kernel. Registers are in the byte
 * order of the machine. The reader quarantines a device with an invalid value, and
 * a bridge with all devices below it; the other devices are not affected. A new kind
 * or flag needs a feature of the tag.
 *
 * @segment: PCI segment (domain). With @bus and @devfn it is the address of the
 *           device, and the requester ID of its DMA. Without it the device
 *           could not be found. The reader refuses devices that are not sorted.
 * @bus: Bus number, see @segment.
 * @devfn: Device in bits 7:3 and function in bits 2:0, or the function alone if
 *         the bridge above forwards ARI. See @segment.
 * @kind: enum luo_pci_kind. Without it an owner could retrieve a bridge. The
 *        reader quarantines a device of an unknown kind.
 * @vendor: Vendor ID (PCIe 7.5.1.1.1). Without this and the next four fields
 *          another device at the same address would be taken for this one; the
 *          reader quarantines it.
 * @device: Device ID (PCIe 7.5.1.1.2), see @vendor.
 * @subsystem_vendor: Subsystem Vendor ID (PCIe 7.5.1.2.3), see @vendor.
 * @subsystem: Subsystem ID (PCIe 7.5.1.2.3), see @vendor.
 * @class_revision: Class Code and Revision ID (PCIe 7.5.1.1.6), see @vendor.
 * @parent: Number of the bridge right above in %LUO_PCI_DEVICES, from 1; 0 if the
 *          device is on a root bus. Without it a device moved to another slot
 *          would be taken for this one. The reader quarantines a device whose
 *          number is not that of a bridge, or not smaller than its own.
 * @serial: Device Serial Number (PCIe 7.9.3), 0 if it has none. It tells devices
 *          of the same model apart.
 * @command: Command (PCIe 7.5.1.1.3). A reset clears it; the reader then
 *           quarantines the device.
 * @flags: enum luo_pci_flags. The reader quarantines a device with unknown flags.
 * @vf_buses: Highest bus number that its virtual functions would use, 0 if it has
 *            none. This is found out by writing NumVFs; without it these bus
 *            numbers could be assigned to other buses.
 * @acs: ACS Control (PCIe 7.7.11.3), 0 if it has none. A change would break the
 *       isolation of DMA or redirect it; the reader quarantines the device.
 * @devctl: Device Control (PCIe 7.5.3.4), 0 if not PCI Express. The maximum
 *          payload size must be the same on the whole path; the reader
 *          quarantines a device that differs.
 * @devctl2: Device Control 2 (PCIe 7.5.3.16), 0 if not PCI Express. Without ARI
 *           Forwarding Enable functions below cannot be reached; the reader
 *           quarantines a device that differs.
 * @bus_numbers: Of a bridge: the dword at Primary Bus Number, without the
 *               Secondary Latency Timer (PCIe 7.5.1.3.2 to .4). A bridge that
 *               lost them cannot forward to the devices below; the reader
 *               quarantines it. 0 for a function.
 * @windows: Of a bridge: I/O Base and Limit; Memory Base and Limit;
 *           Prefetchable Memory Base and Limit; Prefetchable Base Upper 32
 *           Bits; Prefetchable Limit Upper 32 Bits (PCIe 7.5.1.3.6 to .10).
 *           A BAR outside of them cannot be reached; the reader quarantines a
 *           bridge that differs. 0 for a function.
 * @io_upper: Of a bridge: I/O Base and Limit Upper 16 Bits (PCIe 7.5.1.3.11).
 *            See @windows.
 * @errors: The logged errors: Status, and in the upper half Secondary Status
 *          (PCIe 7.5.1.1.4, 7.5.1.3.7); Device Status (PCIe 7.5.3.5);
 *          Uncorrectable Error Status; Correctable Error Status (PCIe 7.8.4.2,
 *          7.8.4.5). Only error bits; 0 without the register. The reader reports
 *          errors that were logged since.
 * @handle: LUO's handle of the owner's file; 0 for a bridge. If the owner's
 *          preserved state cannot be read, the function is found by this and
 *          stopped when the file is finished.
 * @owner: The tag of the owner's file, padded with 0. The function is bound only
 *         to a driver that declares this tag: any other would reset it. All 0
 *         for a bridge.
 */
struct luo_pci_device {
	__u32	segment;
	__u8	bus;
	__u8	devfn;
	__u16	kind;
	__u16	vendor;
	__u16	device;
	__u16	subsystem_vendor;
	__u16	subsystem;
	__u32	class_revision;
	__u32	parent;
	__u64	serial;
	__u16	command;
	__u16	flags;
	__u16	vf_buses;
	__u16	acs;
	__u16	devctl;
	__u16	devctl2;
	__u32	bus_numbers;
	__u32	windows[LUO_PCI_WINDOWS];
	__u32	io_upper;
	__u32	errors[LUO_PCI_ERRORS];
	__u64	handle;
	__u8	owner[LUO_PCI_OWNER_LENGTH];
} __attribute__((packed));

/**
 * struct luo_pci_bar - an implemented base address register
 *
 * The size of a BAR is found out by writing to it, and meanwhile the device cannot
 * be accessed.
 *
 * @device: Number of its device in %LUO_PCI_DEVICES, from 1. The reader refuses
 *          numbers that do not exist or are not sorted.
 * @offset: Offset of the BAR in configuration space, in bytes: that of BAR 0 to
 *          5, of the expansion ROM, or of a VF BAR in the SR-IOV capability. The
 *          reader quarantines a device whose offsets are not sorted or not those
 *          of a BAR.
 * @width: Width of the BAR in bits, 32 or 64.
 * @reserved: 0, for extensions. The reader refuses other values.
 * @value: Value of the BAR, with the type bits. The owner, and perhaps other
 *         devices, access the device at this address: if the BAR has changed the
 *         reader quarantines the device. It does so, too, if the value is not
 *         aligned to @size.
 * @size: Size of the decoded range in bytes; of a VF BAR, for one VF. The reader
 *        quarantines the device if it is not a power of two, or too small for the
 *        type.
 */
struct luo_pci_bar {
	__u32	device;
	__u16	offset;
	__u8	width;
	__u8	reserved;
	__u64	value;
	__u64	size;
} __attribute__((packed));

/**
 * struct luo_pci_register - the value of a register after a reset
 *
 * When its owner closes a device, the device is reset and restored to its state
 * at open. These values cannot be read from the running device.
 *
 * @device: Number of its device in %LUO_PCI_DEVICES, from 1. The reader refuses
 *          numbers that do not exist or are not sorted, and quarantines a bridge
 *          that has registers.
 * @capability: ID of its capability (PCIe 7.5.3.1 and others), as in
 *              configuration space; that of an extended capability plus 0x8000;
 *              0 for the header. The reader skips a capability that the device
 *              does not have.
 * @offset: Offset in the capability, in bytes. The reader skips registers that
 *          it does not restore.
 * @value: The value to write.
 * @width: Width of the register in bytes: 2 or 4. The reader quarantines the device
 *         if it is another.
 */
struct luo_pci_register {
	__u32	device;
	__u16	capability;
	__u16	offset;
	__u32	value;
	__u32	width;
} __attribute__((packed));

#define LUO_PCI_CAPABILITY_EXTENDED	0x8000

#endif /* _UAPI_LINUX_LUO_PCI_H */
