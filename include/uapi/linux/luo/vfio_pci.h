/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What vfio-pci hands over about a device that keeps running across a live
 * update: the virtual device its user has been given. The physical one is in
 * linux/luo/pci.h.
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
 *                      if the device was not attached to an IO address space.
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
 * To find out one would have to reset the device, or switch off its interrupt.
 * The last three are parameters of the module: in the next kernel they may be
 * others, but a user's device does not change.
 *
 * @LUO_VFIO_PCI_RESET_WORKS: The device can be reset by itself.
 * @LUO_VFIO_PCI_MASKS_INTX: Its INTx can be masked, and told from another's.
 * @LUO_VFIO_PCI_NO_INTX: It is shown without INTx, which does not work.
 * @LUO_VFIO_PCI_NEEDS_RESET: It was used by somebody and not reset since.
 * @LUO_VFIO_PCI_NOINTXMASK: "nointxmask"
 * @LUO_VFIO_PCI_DISABLE_IDLE_D3: "disable_idle_d3"
 * @LUO_VFIO_PCI_DISABLE_VGA: "disable_vga"
 */
enum luo_vfio_pci_flags {
	LUO_VFIO_PCI_RESET_WORKS	= 1 << 0,
	LUO_VFIO_PCI_MASKS_INTX		= 1 << 1,
	LUO_VFIO_PCI_NO_INTX		= 1 << 2,
	LUO_VFIO_PCI_NEEDS_RESET	= 1 << 3,
	LUO_VFIO_PCI_NOINTXMASK		= 1 << 4,
	LUO_VFIO_PCI_DISABLE_IDLE_D3	= 1 << 5,
	LUO_VFIO_PCI_DISABLE_VGA	= 1 << 6,
};

#define LUO_VFIO_PCI_BARS	6
#define LUO_VFIO_PCI_RBARS	7

/**
 * struct luo_vfio_pci_device - the virtual device
 *
 * @pci_token: By which PCI finds the function; it means nothing to VFIO. The
 *             reader refuses 0.
 * @flags: enum luo_vfio_pci_flags. The reader refuses what it does not know.
 * @config_size: Size of configuration space in bytes, 256 or 4096. Without it
 *               the user would see a device of another size. The reader refuses
 *               anything else, and another size than the device has.
 * @rbars: What the six BARs and the expansion ROM are set to again when the
 *         user's device was reset behind its back. Without it a device that
 *         resets itself would not decode any more. The reader refuses others
 *         than the device has.
 * @msix_bar: In which BAR the MSI-X table is, 255 if there is none. The reader
 *            refuses the device if that is not so: the user must not write
 *            there, and must elsewhere. So for the next two.
 * @msix_offset: Where in the BAR, in bytes.
 * @msix_size: Size of the table in bytes.
 * @bar_starts: Where the BARs are in the machine's physical address space, 0 if
 *              they are not. Other devices have been told these addresses: the
 *              reader refuses the device if they are others.
 * @bar_sizes: Their sizes in bytes. What the user has mapped cannot change.
 */
struct luo_vfio_pci_device {
	__u64	pci_token;
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
 * @bytes: What of it is virtual, as the user has written it; the rest is read
 *         from the device. Without it a guest would find its BARs and Command
 *         as they were when it started. The reader refuses the device if the
 *         capabilities are at other places.
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
 * enum luo_vfio_pci_access - what a device may do with memory
 *
 * @LUO_VFIO_PCI_READ: It may read it.
 * @LUO_VFIO_PCI_WRITE: It may write to it.
 */
enum luo_vfio_pci_access {
	LUO_VFIO_PCI_READ		= 1 << 0,
	LUO_VFIO_PCI_WRITE		= 1 << 1,
};

/**
 * struct luo_vfio_pci_area - memory that was mapped for the device
 *
 * The device keeps writing there. Without the list a session could be finished,
 * and the memory unpinned, although its owner has not mapped it again.
 *
 * @iova: The first IO virtual address. Areas are sorted by it; the reader
 *        refuses areas that overlap or wrap around.
 * @length: Size in bytes. The reader refuses 0.
 * @phys: The physical address of the first byte; all of the area is physically
 *        contiguous. The session cannot be finished before @iova is mapped to it
 *        again. The reader refuses an area that wraps around.
 * @access: enum luo_vfio_pci_access. It must be mapped with at least that. The
 *          reader refuses what it does not know.
 * @reserved: 0. The reader refuses anything else.
 */
struct luo_vfio_pci_area {
	__u64	iova;
	__u64	length;
	__u64	phys;
	__u32	access;
	__u32	reserved;
} __attribute__((packed));

#endif /* _UAPI_LINUX_LUO_VFIO_PCI_H */
