/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A vfio character device and the iommufd it is bound to.
 *
 * Not libvfio: there a device is opened, bound, attached and mapped in one step.
 * One that comes back through a live update needs these steps one by one,
 * beginning with a file that was not opened by path.
 */
#ifndef LU_VFIO_H
#define LU_VFIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lu_pci.h"

#define LU_VFIO_MAX_IRQS	32

struct lu_vfio {
	int fd;
	int iommufd;
	uint32_t id;		/* of the device in its iommufd */
	uint32_t ioas;
	uint64_t config_offset;
	void *bar0;
	char bdf[LU_PCI_BDF_SIZE];
	char name[64];		/* of its character device, "": not known yet */
};

/* Behind an IOMMU. */
bool lu_vfio_is_translated(struct lu_vfio *dev);

/* Opens the function's character device.  Needs vfio-pci bound. */
int lu_vfio_open_file(const char *bdf);

/*
 * Binds a file to a new iommufd: one from lu_vfio_open_file(), which resets the
 * function, or one that was retrieved, which does not.
 */
void lu_vfio_take_over(struct lu_vfio *dev, const char *bdf, int fd);

/* The same to an iommufd that other devices may be bound to. */
void lu_vfio_bind(struct lu_vfio *dev, const char *bdf, int fd, int iommufd);

/* lu_vfio_open_file() and lu_vfio_take_over(). */
void lu_vfio_open(struct lu_vfio *dev, const char *bdf);

/*
 * A device has one I/O address space here. It is created by the first of the next
 * three, in any order.
 */

/* Attaches the device to it. */
void lu_vfio_attach(struct lu_vfio *dev);

/* Creates it, if it does not exist. Returns its number. */
uint32_t lu_vfio_ioas(struct lu_vfio *dev);

/* Maps the whole memfd into it at @iova. */
void lu_vfio_map_memory(struct lu_vfio *dev, int memfd, size_t size,
			uint64_t iova);

/* Unmaps it. */
void lu_vfio_unmap_memory(struct lu_vfio *dev, size_t size, uint64_t iova);

/* The same, but they return 0 or a negative errno. */
int lu_vfio_try_map(struct lu_vfio *dev, int memfd, size_t size, uint64_t iova);
int lu_vfio_try_unmap(struct lu_vfio *dev, size_t size, uint64_t iova);

/*
 * What the device calls the page at @iova, which is mapped: that, or without an
 * IOMMU its physical address.
 */
uint64_t lu_vfio_dma_address(struct lu_vfio *dev, uint64_t iova);

/* Config space as its owner sees it, @size bytes. */
void lu_vfio_read_config(struct lu_vfio *dev, void *config, size_t size);

/* BAR 0, which must have exactly this size. */
void lu_vfio_map_bar0(struct lu_vfio *dev, size_t size);

/* As a guest's firmware does: where BAR 0 is, for the guest alone. */
void lu_vfio_place_bar0(struct lu_vfio *dev, uint32_t address);

uint16_t lu_vfio_command(struct lu_vfio *dev);
void lu_vfio_write_command(struct lu_vfio *dev, uint16_t command);
void lu_vfio_set_command(struct lu_vfio *dev, uint16_t bits);

/*
 * Has the first interrupt of @index trigger the eventfd @fd, with
 * VFIO_IRQ_SET_DATA_EVENTFD in @flags, or with VFIO_IRQ_SET_DATA_NONE disables all
 * of them. Returns 0 or a negative errno.
 */
int lu_vfio_set_irqs(struct lu_vfio *dev, uint32_t index, uint32_t flags, int fd);

/*
 * Has each of @count interrupts of @index, at most LU_VFIO_MAX_IRQS and beginning with
 * @start, trigger its eventfd in @fds, or none for -1. Returns 0 or a negative errno.
 */
int lu_vfio_set_eventfds(struct lu_vfio *dev, uint32_t index, uint32_t start,
			 uint32_t count, const int *fds);

/* Has the eventfd @fd unmask the first interrupt of @index. */
int lu_vfio_unmask_by(struct lu_vfio *dev, uint32_t index, int fd);

/*
 * Masks or unmasks the first @count interrupts of @index. Returns 0 or a negative
 * errno.
 */
int lu_vfio_mask_irqs(struct lu_vfio *dev, uint32_t index, uint32_t count, bool mask);

/* The same for the first one. */
int lu_vfio_mask_irq(struct lu_vfio *dev, uint32_t index, bool mask);
bool lu_vfio_irq_is_maskable(struct lu_vfio *dev, uint32_t index);

#endif /* LU_VFIO_H */
