/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What PCI hands over about devices that keep running across a live update.
 *
 * The hardware itself is the truth: nearly everything here is what the next
 * kernel must find there, so that a device which was swapped, reset or
 * renumbered meanwhile is noticed before anybody relies on it. The rest is what
 * a kernel cannot learn without disturbing a device that is in use, and what its
 * owner needs back.
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
 *                   and bridges, in the order of segment, bus and devfn. So a
 *                   bridge comes before what is below it.
 * @LUO_PCI_BARS: &struct luo_abi_array of &struct luo_pci_bar: their BARs, in
 *                the order of device and offset.
 * @LUO_PCI_REGISTERS: &struct luo_abi_array of &struct luo_pci_register: what
 *                     a function is reset to when its owner closes it, in the
 *                     order of device.
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
 * enum luo_pci_kind - what a device is kept for
 *
 * @LUO_PCI_FUNCTION: It is preserved for its owner, a file.
 * @LUO_PCI_BRIDGE: It is a bridge that a preserved function's DMA passes.
 */
enum luo_pci_kind {
	LUO_PCI_FUNCTION		= 1,
	LUO_PCI_BRIDGE			= 2,
};

/**
 * enum luo_pci_flags - what cannot be read of the device without a write
 *
 * @LUO_PCI_INTX_STUCK: Interrupt Disable in Command cannot be changed. To find
 *                      out one has to change it.
 * @LUO_PCI_IO_WINDOW: The bridge has a window for I/O.
 * @LUO_PCI_PREF_WINDOW: The bridge has a prefetchable window.
 * @LUO_PCI_PREF_64: The prefetchable window has 64 bits. A window that is not
 *                   in use reads as one that is not there, unless it is opened.
 * @LUO_PCI_DRIVER_OVERRIDE: driver_override named the function's driver. Without
 *                           it an abandoned function would get another driver.
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
 * All of it is as it was when the old kernel froze. Registers are in the byte
 * order of the machine.
 *
 * @segment: PCI segment (domain). With @bus and @devfn it is where the device
 *           is; DMA carries these numbers. Without it the device could not be
 *           found. The reader refuses what is not in order.
 * @bus: Bus number, see @segment.
 * @devfn: Device in bits 7:3 and function in bits 2:0, or the function alone if
 *         the bridge above forwards ARI. See @segment.
 * @kind: enum luo_pci_kind. Without it a bridge would be handed to an owner.
 *        The reader refuses what it does not know.
 * @vendor: Vendor ID (PCIe 7.5.1.1.1). Without the five of these another device
 *          in the same place would be taken for this one; the reader
 *          quarantines it.
 * @device: Device ID (PCIe 7.5.1.1.2), see @vendor.
 * @subsystem_vendor: Subsystem Vendor ID (PCIe 7.5.1.2.3), see @vendor.
 * @subsystem: Subsystem ID (PCIe 7.5.1.2.3), see @vendor.
 * @class_revision: Class Code and Revision ID (PCIe 7.5.1.1.6), see @vendor.
 * @parent: Which of %LUO_PCI_DEVICES is the bridge right above it, counted from
 *          1; 0 if it is on a root bus. Without it a device moved to another
 *          slot would be taken for this one. The reader refuses what is not a
 *          bridge, and not before this.
 * @serial: Device Serial Number (PCIe 7.9.3), 0 if it has none. To tell a
 *          device from another one of the same make.
 * @command: Command (PCIe 7.5.1.1.3). A reset clears it; the reader then
 *           quarantines the device.
 * @flags: enum luo_pci_flags. The reader refuses what it does not know.
 * @vf_buses: How many the bus numbers above its own its virtual functions would
 *            need, none are enabled. To find out, Number of VFs has to be
 *            written; without it these numbers could be given away.
 * @acs: ACS Control (PCIe 7.7.11.3), 0 if it has none. DMA would not be kept
 *       apart any more, or take another way; the reader quarantines the device.
 * @devctl: Device Control (PCIe 7.5.3.4), 0 if not PCI Express. The largest
 *          payload has to be the same all the way; the reader quarantines the
 *          device.
 * @devctl2: Device Control 2 (PCIe 7.5.3.16), 0 if not PCI Express. Without ARI
 *           Forwarding Enable functions below are not reached; the reader
 *           quarantines the device.
 * @bus_numbers: Of a bridge: Primary Bus Number and what follows, without the
 *               Secondary Latency Timer (PCIe 7.5.1.3.2 to .4). A bridge that
 *               lost them does not reach what is below; the reader quarantines
 *               the device. 0 for a function.
 * @windows: Of a bridge: I/O Base and Limit; Memory Base and Limit;
 *           Prefetchable Memory Base and Limit; Prefetchable Base Upper 32
 *           Bits; Prefetchable Limit Upper 32 Bits (PCIe 7.5.1.3.6 to .10).
 *           What is outside is not reached any more; the reader quarantines the
 *           device. 0 for a function.
 * @io_upper: Of a bridge: I/O Base and Limit Upper 16 Bits (PCIe 7.5.1.3.11).
 *            See @windows.
 * @errors: What errors were logged: Status, and in the upper half Secondary Status
 *          (PCIe 7.5.1.1.4, 7.5.1.3.7); Device Status (PCIe 7.5.3.5);
 *          Uncorrectable Error Status; Correctable Error Status (PCIe 7.8.4.2,
 *          7.8.4.5). Only the bits that say so, 0 without the register. What is
 *          there now and not here has happened meanwhile, and is reported.
 * @handle: LUO's handle of its owner's file; 0 for a bridge. If what the owner has
 *          handed over cannot be read, this is what is left to say whose function
 *          has to be stopped when that file is finished.
 * @owner: The tag of its owner's file, filled up with 0. Only a driver that has
 *         declared this tag is given the function: any other would reset it.
 *         All 0 for a bridge.
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
 * struct luo_pci_bar - a base address register that is implemented
 *
 * To find out the size of what a BAR decodes one has to write to it, and the
 * device does not answer meanwhile.
 *
 * @device: Which of %LUO_PCI_DEVICES it is in, counted from 1. The reader
 *          refuses what is not there or not in order.
 * @offset: Of the BAR in configuration space, in bytes: that of BAR 0 to 5, of
 *          the expansion ROM, or of a VF BAR in the SR-IOV capability. The
 *          reader refuses what is not in order, and where no BAR can be.
 * @width: Of the BAR in bits, 32 or 64.
 * @reserved: 0. The reader refuses anything else, so that it can be used.
 * @value: What is in the BAR, with the bits that say of what type it is. Where
 *         the owner, and perhaps other devices, reach the device: if it is not
 *         there the reader quarantines the device. The reader refuses a value
 *         that is not aligned to @size.
 * @size: What it decodes, in bytes; of a VF BAR, for one VF. The reader refuses
 *        what is not a power of two, or too small for the type.
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
 * struct luo_pci_register - what a register is to be after a reset
 *
 * When an owner closes its device, the device is reset and becomes as it was when
 * it was opened. These values can no longer be read from the running device.
 *
 * @device: Which of %LUO_PCI_DEVICES it is in, counted from 1. The reader
 *          refuses what is not a function or not in order.
 * @capability: ID of the capability it is in (PCIe 7.5.3.1 and others), as it
 *              is in configuration space; that of an extended capability plus
 *              0x8000; 0 for the header. The reader skips a capability that
 *              the device does not have.
 * @offset: From the start of the capability, in bytes. The reader skips what it
 *          would not restore.
 * @value: What to write there.
 * @width: Of the register in bytes: 2 or 4. The reader refuses anything else.
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
