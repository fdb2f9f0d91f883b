/* SPDX-License-Identifier: GPL-2.0-only */
/* PCI functions as sysfs shows them; @bdf is domain:bus:dev.fn. */
#ifndef LU_PCI_H
#define LU_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LU_PCI_BDF_SIZE		16
#define LU_PCI_CONFIG_SIZE	4096
#define LU_PCI_PATH_MAX		16

/*
 * The only function with this vendor and device id that has no driver yet, or
 * vfio-pci already.
 */
void lu_pci_find(uint16_t vendor, uint16_t device, char bdf[LU_PCI_BDF_SIZE]);

bool lu_pci_is(const char *bdf, uint16_t vendor, uint16_t device);

/* Check a function that was named on the command line, before it is used. */
void lu_pci_require(const char *bdf, uint16_t vendor, uint16_t device);

/* The bridges above the function, root port first; returns their number. */
int lu_pci_path(const char *bdf, char path[LU_PCI_PATH_MAX][LU_PCI_BDF_SIZE]);

/* Returns how many bytes of config space there are. */
size_t lu_pci_read_config(const char *bdf, uint8_t config[LU_PCI_CONFIG_SIZE]);

/* Where in @config a capability is, 0 if there is none. */
size_t lu_pci_capability(const uint8_t config[LU_PCI_CONFIG_SIZE], uint8_t id);
size_t lu_pci_ext_capability(const uint8_t config[LU_PCI_CONFIG_SIZE],
			     uint16_t id);

uint16_t lu_pci_command(const char *bdf);

/* As an administrator may, past the driver. */
void lu_pci_write_word(const char *bdf, size_t offset, uint16_t value);

/* Returns whether Command can be changed; it is restored. */
bool lu_pci_can_be_written(const char *bdf);

/*
 * Number of config writes to a function or bridge that the kernel has blocked:
 * those that would have changed a register, and all.
 */
struct lu_pci_blocked {
	unsigned long dropped;
	unsigned long all;
};

struct lu_pci_blocked lu_pci_blocked(const char *bdf);

/* Whichever driver has the function now, vfio-pci has it afterwards. */
void lu_pci_bind_vfio(const char *bdf);

/* Name of the function's vfio character device, like "vfio0". */
void lu_pci_vfio_name(const char *bdf, char *name, size_t size);

/*
 * BAR 0 of a function without a driver.  Switches its decode on, and nothing here
 * switches it off again: lu_pci_enable(bdf, false) gives the function back to the
 * PCI core, which ends only its bus mastering.
 */
void *lu_pci_map_bar0(const char *bdf, size_t size);
void lu_pci_enable(const char *bdf, bool on);

#endif /* LU_PCI_H */
