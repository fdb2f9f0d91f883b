/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * State of vfio-pci devices that keep running across a live update: the virtual
 * device of the user. The physical device is in linux/luo/pci.h.
 *
 * "PCIe" is the PCI Express Base Specification, revision 6.0.
 */
#ifndef _UAPI_LINUX_LUO_VFIO_PCI_H
#define _UAPI_LINUX_LUO_VFIO_PCI_H

#include <linux/luo/abi.h>

/* The file of a device that is bound to vfio-pci. */
#define LUO_VFIO_PCI_TAG	"vfio-pci-v1"

/**
 * enum luo_vfio_pci_record - types of records
 *
 * @LUO_VFIO_PCI_DEVICE: &struct luo_vfio_pci_device, one.
 * @LUO_VFIO_PCI_CONFIG: &struct luo_vfio_pci_config, one.
 * @LUO_VFIO_PCI_EXTENDED: &struct luo_vfio_pci_extended, one if the device has
 *                         extended configuration space.
 * @LUO_VFIO_PCI_AREAS: An array of &struct luo_vfio_pci_area, one. It is empty
 *                      if the device was not attached to an IO address space, or
 *                      is behind an IOMMU.
 */
enum luo_vfio_pci_record {
	LUO_VFIO_PCI_DEVICE		= LUO_ABI_RECORD_MANDATORY | 1,
	LUO_VFIO_PCI_CONFIG		= LUO_ABI_RECORD_MANDATORY | 2,
	LUO_VFIO_PCI_EXTENDED		= LUO_ABI_RECORD_MANDATORY | 3,
	LUO_VFIO_PCI_AREAS		= LUO_ABI_RECORD_MANDATORY |
					  LUO_ABI_RECORD_ARRAY | 4,
};

/**
 * enum luo_vfio_pci_flags - properties of the virtual device
 *
 * They are found out by disabling its interrupt, which is not possible while the
 * device is running, or are decisions of the previous kernel. Those in quotes are
 * module parameters: they may differ in the next kernel, but those of an open
 * device do not change.
 *
 * @LUO_VFIO_PCI_MASKS_INTX: INTx can be masked, and its status can be read.
 * @LUO_VFIO_PCI_NO_INTX: INTx does not work and is hidden.
 * @LUO_VFIO_PCI_NEEDS_RESET: The device was not reset after its last use.
 * @LUO_VFIO_PCI_NOINTXMASK: "nointxmask"
 * @LUO_VFIO_PCI_DISABLE_IDLE_D3: "disable_idle_d3"
 * @LUO_VFIO_PCI_DISABLE_VGA: "disable_vga"
 * @LUO_VFIO_PCI_MSIX: MSI-X was enabled at the freeze, with all vectors masked:
 *                     messages are pending until the user enables them. The reader
 *                     leaves MSI-X enabled until then, and disables it if the user
 *                     has not enabled it when the live update is finished. It refuses
 *                     the flag without an MSI-X table.
 * @LUO_VFIO_PCI_MSI: The same of MSI. Enabling MSI again may clear pending messages:
 *                    the reader signals each vector once when the user has done that.
 */
enum luo_vfio_pci_flags {
	LUO_VFIO_PCI_MASKS_INTX		= 1 << 1,
	LUO_VFIO_PCI_NO_INTX		= 1 << 2,
	LUO_VFIO_PCI_NEEDS_RESET	= 1 << 3,
	LUO_VFIO_PCI_NOINTXMASK		= 1 << 4,
	LUO_VFIO_PCI_DISABLE_IDLE_D3	= 1 << 5,
	LUO_VFIO_PCI_DISABLE_VGA	= 1 << 6,
	LUO_VFIO_PCI_MSIX		= 1 << 7,
	LUO_VFIO_PCI_MSI		= 1 << 8,
};

#define LUO_VFIO_PCI_BARS	6
#define LUO_VFIO_PCI_RBARS	7

/**
 * struct luo_vfio_pci_device - the virtual device
 *
 * @pci_token: Token of the function, from pci_liveupdate_preserve(); opaque to
 *             VFIO. The reader refuses 0.
 * @iommu_token: Token of the device's translation, from iommu_liveupdate_preserve(),
 *               0 if its DMA is not translated; opaque to VFIO. The reader refuses a
 *               device whose DMA is translated now and was not, or the other way
 *               round: its addresses would have another meaning.
 * @flags: enum luo_vfio_pci_flags. The reader refuses unknown flags.
 * @config_size: Size of configuration space in bytes, 256 or 4096. The user relies
 *               on it. The reader refuses a size other than that of the device.
 * @rbars: The values that are restored to the six BARs and the expansion ROM
 *         after an unexpected reset. Without them the device would not decode
 *         its BARs any more. The reader refuses a device whose BARs differ; the
 *         ROM's is not compared, as reading the ROM changes it.
 * @msix_bar: Number of the BAR with the MSI-X table, 255 if there is none. The
 *            user must not write to the table. The reader refuses a device that
 *            differs in this or the next two fields.
 * @msix_offset: Offset of the table in the BAR, in bytes.
 * @msix_size: Size of the table in bytes.
 * @bar_starts: Physical addresses of the BARs, 0 for a BAR that is not
 *              implemented. Other devices may access them: the reader refuses a
 *              device whose addresses differ.
 * @bar_sizes: Sizes of the BARs in bytes. The user has mapped them: the reader
 *             refuses a device whose sizes differ.
 */
struct luo_vfio_pci_device {
	__u64	pci_token;
	__u64	iommu_token;
	__u32	flags;
	__u32	config_size;
	__u32	rbars[LUO_VFIO_PCI_RBARS];
	__u32	msix_bar;
	__u32	msix_offset;
	__u32	msix_size;
	__u64	bar_starts[LUO_VFIO_PCI_BARS];
	__u64	bar_sizes[LUO_VFIO_PCI_BARS];
} __attribute__((packed));

#define LUO_VFIO_PCI_CONFIG_SIZE	256
#define LUO_VFIO_PCI_EXTENDED_SIZE	3840

/**
 * struct luo_vfio_pci_config - virtual configuration space, the first part
 *
 * @bytes: The virtualized bytes, as the user has written them; other bytes are
 *         read from the device. Without them a guest would find the initial
 *         values of its BARs and Command. The reader refuses a device whose
 *         capabilities have other offsets.
 */
struct luo_vfio_pci_config {
	__u8	bytes[LUO_VFIO_PCI_CONFIG_SIZE];
} __attribute__((packed));

/**
 * struct luo_vfio_pci_extended - virtual configuration space, the rest
 *
 * @bytes: As in &struct luo_vfio_pci_config, from offset 256 on.
 */
struct luo_vfio_pci_extended {
	__u8	bytes[LUO_VFIO_PCI_EXTENDED_SIZE];
} __attribute__((packed));

/**
 * enum luo_vfio_pci_access - access of a device to memory
 *
 * @LUO_VFIO_PCI_READ: The device may read.
 * @LUO_VFIO_PCI_WRITE: The device may write.
 */
enum luo_vfio_pci_access {
	LUO_VFIO_PCI_READ		= 1 << 0,
	LUO_VFIO_PCI_WRITE		= 1 << 1,
};

/**
 * struct luo_vfio_pci_area - memory that was mapped for the device
 *
 * The device keeps writing to it. Without the list a session could be finished,
 * and the memory unpinned, before its owner has mapped the memory again.
 *
 * @iova: The first IO virtual address. Areas are sorted by it; the reader
 *        refuses areas that overlap or wrap around.
 * @length: Size in bytes. The reader refuses 0.
 * @phys: The physical address of the first byte; all of the area is physically
 *        contiguous. The session cannot be finished before @iova is mapped to it
 *        again. The reader refuses an area that wraps around.
 * @access: enum luo_vfio_pci_access. The memory must be mapped with at least this
 *          access. The reader refuses unknown flags.
 * @reserved: 0, for extensions. The reader refuses other values.
 */
struct luo_vfio_pci_area {
	__u64	iova;
	__u64	length;
	__u64	phys;
	__u32	access;
	__u32	reserved;
} __attribute__((packed));

#endif /* _UAPI_LINUX_LUO_VFIO_PCI_H */
