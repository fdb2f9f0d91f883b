// SPDX-License-Identifier: GPL-2.0-only
/*
 * The layout of linux/luo/vfio_pci.h.
 *
 * If one of these fails, the serialized data of live updates has changed. Do not
 * change the assertion: undo the change, and read in
 * Documentation/core-api/liveupdate-abi.rst how a struct can grow.
 */

#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/luo/vfio_pci.h>

static_assert(!__builtin_strcmp(LUO_VFIO_PCI_TAG, "vfio-pci-v1"));

static_assert(LUO_VFIO_PCI_DEVICE == 0x8001);
static_assert(LUO_VFIO_PCI_CONFIG == 0x8002);
static_assert(LUO_VFIO_PCI_EXTENDED == 0x8003);
static_assert(LUO_VFIO_PCI_AREAS == 0xc004);

static_assert(LUO_VFIO_PCI_MASKS_INTX == 2);
static_assert(LUO_VFIO_PCI_NO_INTX == 4);
static_assert(LUO_VFIO_PCI_NEEDS_RESET == 8);
static_assert(LUO_VFIO_PCI_NOINTXMASK == 0x10);
static_assert(LUO_VFIO_PCI_DISABLE_IDLE_D3 == 0x20);
static_assert(LUO_VFIO_PCI_DISABLE_VGA == 0x40);
static_assert(LUO_VFIO_PCI_MSIX == 0x80);
static_assert(LUO_VFIO_PCI_MSI == 0x100);

static_assert(LUO_VFIO_PCI_BARS == 6);

static_assert(LUO_VFIO_PCI_RBARS == 7);

static_assert(sizeof(struct luo_vfio_pci_device) == 160);
static_assert(offsetof(struct luo_vfio_pci_device, pci_token) == 0);
static_assert(sizeof_field(struct luo_vfio_pci_device, pci_token) == 8);
static_assert(offsetof(struct luo_vfio_pci_device, iommu_token) == 8);
static_assert(sizeof_field(struct luo_vfio_pci_device, iommu_token) == 8);
static_assert(offsetof(struct luo_vfio_pci_device, flags) == 16);
static_assert(sizeof_field(struct luo_vfio_pci_device, flags) == 4);
static_assert(offsetof(struct luo_vfio_pci_device, config_size) == 20);
static_assert(sizeof_field(struct luo_vfio_pci_device, config_size) == 4);
static_assert(offsetof(struct luo_vfio_pci_device, rbars) == 24);
static_assert(sizeof_field(struct luo_vfio_pci_device, rbars) == 28);
static_assert(offsetof(struct luo_vfio_pci_device, msix_bar) == 52);
static_assert(sizeof_field(struct luo_vfio_pci_device, msix_bar) == 4);
static_assert(offsetof(struct luo_vfio_pci_device, msix_offset) == 56);
static_assert(sizeof_field(struct luo_vfio_pci_device, msix_offset) == 4);
static_assert(offsetof(struct luo_vfio_pci_device, msix_size) == 60);
static_assert(sizeof_field(struct luo_vfio_pci_device, msix_size) == 4);
static_assert(offsetof(struct luo_vfio_pci_device, bar_starts) == 64);
static_assert(sizeof_field(struct luo_vfio_pci_device, bar_starts) == 48);
static_assert(offsetof(struct luo_vfio_pci_device, bar_sizes) == 112);
static_assert(sizeof_field(struct luo_vfio_pci_device, bar_sizes) == 48);

static_assert(LUO_VFIO_PCI_CONFIG_SIZE == 0x100);

static_assert(LUO_VFIO_PCI_EXTENDED_SIZE == 0xf00);

static_assert(sizeof(struct luo_vfio_pci_config) == 256);
static_assert(offsetof(struct luo_vfio_pci_config, bytes) == 0);
static_assert(sizeof_field(struct luo_vfio_pci_config, bytes) == 256);

static_assert(sizeof(struct luo_vfio_pci_extended) == 3840);
static_assert(offsetof(struct luo_vfio_pci_extended, bytes) == 0);
static_assert(sizeof_field(struct luo_vfio_pci_extended, bytes) == 3840);

static_assert(LUO_VFIO_PCI_READ == 1);
static_assert(LUO_VFIO_PCI_WRITE == 2);

static_assert(sizeof(struct luo_vfio_pci_area) == 32);
static_assert(offsetof(struct luo_vfio_pci_area, iova) == 0);
static_assert(sizeof_field(struct luo_vfio_pci_area, iova) == 8);
static_assert(offsetof(struct luo_vfio_pci_area, length) == 8);
static_assert(sizeof_field(struct luo_vfio_pci_area, length) == 8);
static_assert(offsetof(struct luo_vfio_pci_area, phys) == 16);
static_assert(sizeof_field(struct luo_vfio_pci_area, phys) == 8);
static_assert(offsetof(struct luo_vfio_pci_area, access) == 24);
static_assert(sizeof_field(struct luo_vfio_pci_area, access) == 4);
static_assert(offsetof(struct luo_vfio_pci_area, reserved) == 28);
static_assert(sizeof_field(struct luo_vfio_pci_area, reserved) == 4);
