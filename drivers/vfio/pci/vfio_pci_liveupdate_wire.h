/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VFIO_PCI_LIVEUPDATE_WIRE_H
#define VFIO_PCI_LIVEUPDATE_WIRE_H

#include <linux/luo_abi.h>
#include <linux/luo/vfio_pci.h>

extern const struct luo_abi_tag vfio_pci_liveupdate_tag;
extern const struct luo_abi_format vfio_pci_liveupdate_format;

int vfio_pci_liveupdate_check(struct luo_abi_reader *r);

#endif /* VFIO_PCI_LIVEUPDATE_WIRE_H */
