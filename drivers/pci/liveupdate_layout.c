// SPDX-License-Identifier: GPL-2.0-only
/*
 * The layout of linux/luo/pci.h.
 *
 * If one of these fails, the serialized data of live updates has changed. Do not
 * change the assertion: undo the change, and read in
 * Documentation/core-api/liveupdate-abi.rst how a struct can grow.
 */

#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/luo/pci.h>

static_assert(!__builtin_strcmp(LUO_PCI_TAG, "pci-v1"));

static_assert(LUO_PCI_DEVICES == 0xc001);
static_assert(LUO_PCI_BARS == 0xc002);
static_assert(LUO_PCI_REGISTERS == 0xc003);

static_assert(LUO_PCI_FUNCTION == 1);
static_assert(LUO_PCI_BRIDGE == 2);

static_assert(LUO_PCI_INTX_STUCK == 1);
static_assert(LUO_PCI_IO_WINDOW == 2);
static_assert(LUO_PCI_PREF_WINDOW == 4);
static_assert(LUO_PCI_PREF_64 == 8);
static_assert(LUO_PCI_DRIVER_OVERRIDE == 0x10);

static_assert(LUO_PCI_WINDOWS == 5);

static_assert(LUO_PCI_ERRORS == 4);

static_assert(LUO_PCI_OWNER_LENGTH == 0x30);

static_assert(sizeof(struct luo_pci_device) == 144);
static_assert(offsetof(struct luo_pci_device, segment) == 0);
static_assert(sizeof_field(struct luo_pci_device, segment) == 4);
static_assert(offsetof(struct luo_pci_device, bus) == 4);
static_assert(sizeof_field(struct luo_pci_device, bus) == 1);
static_assert(offsetof(struct luo_pci_device, devfn) == 5);
static_assert(sizeof_field(struct luo_pci_device, devfn) == 1);
static_assert(offsetof(struct luo_pci_device, kind) == 6);
static_assert(sizeof_field(struct luo_pci_device, kind) == 2);
static_assert(offsetof(struct luo_pci_device, vendor) == 8);
static_assert(sizeof_field(struct luo_pci_device, vendor) == 2);
static_assert(offsetof(struct luo_pci_device, device) == 10);
static_assert(sizeof_field(struct luo_pci_device, device) == 2);
static_assert(offsetof(struct luo_pci_device, subsystem_vendor) == 12);
static_assert(sizeof_field(struct luo_pci_device, subsystem_vendor) == 2);
static_assert(offsetof(struct luo_pci_device, subsystem) == 14);
static_assert(sizeof_field(struct luo_pci_device, subsystem) == 2);
static_assert(offsetof(struct luo_pci_device, class_revision) == 16);
static_assert(sizeof_field(struct luo_pci_device, class_revision) == 4);
static_assert(offsetof(struct luo_pci_device, parent) == 20);
static_assert(sizeof_field(struct luo_pci_device, parent) == 4);
static_assert(offsetof(struct luo_pci_device, serial) == 24);
static_assert(sizeof_field(struct luo_pci_device, serial) == 8);
static_assert(offsetof(struct luo_pci_device, command) == 32);
static_assert(sizeof_field(struct luo_pci_device, command) == 2);
static_assert(offsetof(struct luo_pci_device, flags) == 34);
static_assert(sizeof_field(struct luo_pci_device, flags) == 2);
static_assert(offsetof(struct luo_pci_device, vf_buses) == 36);
static_assert(sizeof_field(struct luo_pci_device, vf_buses) == 2);
static_assert(offsetof(struct luo_pci_device, acs) == 38);
static_assert(sizeof_field(struct luo_pci_device, acs) == 2);
static_assert(offsetof(struct luo_pci_device, devctl) == 40);
static_assert(sizeof_field(struct luo_pci_device, devctl) == 2);
static_assert(offsetof(struct luo_pci_device, devctl2) == 42);
static_assert(sizeof_field(struct luo_pci_device, devctl2) == 2);
static_assert(offsetof(struct luo_pci_device, bus_numbers) == 44);
static_assert(sizeof_field(struct luo_pci_device, bus_numbers) == 4);
static_assert(offsetof(struct luo_pci_device, windows) == 48);
static_assert(sizeof_field(struct luo_pci_device, windows) == 20);
static_assert(offsetof(struct luo_pci_device, io_upper) == 68);
static_assert(sizeof_field(struct luo_pci_device, io_upper) == 4);
static_assert(offsetof(struct luo_pci_device, errors) == 72);
static_assert(sizeof_field(struct luo_pci_device, errors) == 16);
static_assert(offsetof(struct luo_pci_device, handle) == 88);
static_assert(sizeof_field(struct luo_pci_device, handle) == 8);
static_assert(offsetof(struct luo_pci_device, owner) == 96);
static_assert(sizeof_field(struct luo_pci_device, owner) == 48);

static_assert(sizeof(struct luo_pci_bar) == 24);
static_assert(offsetof(struct luo_pci_bar, device) == 0);
static_assert(sizeof_field(struct luo_pci_bar, device) == 4);
static_assert(offsetof(struct luo_pci_bar, offset) == 4);
static_assert(sizeof_field(struct luo_pci_bar, offset) == 2);
static_assert(offsetof(struct luo_pci_bar, width) == 6);
static_assert(sizeof_field(struct luo_pci_bar, width) == 1);
static_assert(offsetof(struct luo_pci_bar, reserved) == 7);
static_assert(sizeof_field(struct luo_pci_bar, reserved) == 1);
static_assert(offsetof(struct luo_pci_bar, value) == 8);
static_assert(sizeof_field(struct luo_pci_bar, value) == 8);
static_assert(offsetof(struct luo_pci_bar, size) == 16);
static_assert(sizeof_field(struct luo_pci_bar, size) == 8);

static_assert(sizeof(struct luo_pci_register) == 16);
static_assert(offsetof(struct luo_pci_register, device) == 0);
static_assert(sizeof_field(struct luo_pci_register, device) == 4);
static_assert(offsetof(struct luo_pci_register, capability) == 4);
static_assert(sizeof_field(struct luo_pci_register, capability) == 2);
static_assert(offsetof(struct luo_pci_register, offset) == 6);
static_assert(sizeof_field(struct luo_pci_register, offset) == 2);
static_assert(offsetof(struct luo_pci_register, value) == 8);
static_assert(sizeof_field(struct luo_pci_register, value) == 4);
static_assert(offsetof(struct luo_pci_register, width) == 12);
static_assert(sizeof_field(struct luo_pci_register, width) == 4);

static_assert(LUO_PCI_CAPABILITY_EXTENDED == 0x8000);
