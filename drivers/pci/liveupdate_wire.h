/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DRIVERS_PCI_LIVEUPDATE_WIRE_H
#define DRIVERS_PCI_LIVEUPDATE_WIRE_H

#include <linux/luo_abi.h>
#include <linux/luo/pci.h>

extern const struct luo_abi_tag pci_liveupdate_tag;
extern const struct luo_abi_format pci_liveupdate_format;

int pci_liveupdate_check(struct luo_abi_reader *r);
const char *pci_liveupdate_check_values(const struct luo_pci_device *dev);
const char *pci_liveupdate_check_bar(const struct luo_pci_device *dev,
				     const struct luo_pci_bar *bar, u16 *next);
const char *pci_liveupdate_check_register(const struct luo_pci_device *dev,
					  const struct luo_pci_register *reg);

#endif /* DRIVERS_PCI_LIVEUPDATE_WIRE_H */
