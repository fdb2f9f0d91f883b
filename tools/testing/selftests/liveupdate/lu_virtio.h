/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A modern virtio PCI device with one split virtqueue, driven through VFIO.
 * Little endian only. Interrupts are not used.
 */
#ifndef LU_VIRTIO_H
#define LU_VIRTIO_H

#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <stdint.h>

#include "lu_vfio.h"

#define LU_VIRTIO_VENDOR	0x1af4
#define LU_VIRTIO_DEVICE(type)	(0x1040 + (type))
#define LU_VIRTQUEUE_SIZE	8

/* In memory that is mapped for the device. */
struct lu_virtqueue {
	struct vring_desc desc[LU_VIRTQUEUE_SIZE];
	struct {
		uint16_t flags;
		uint16_t idx;
		uint16_t ring[LU_VIRTQUEUE_SIZE];
	} avail;
	struct {
		uint16_t flags;
		uint16_t idx;
		struct vring_used_elem ring[LU_VIRTQUEUE_SIZE];
	} used;
};

struct lu_virtio {
	struct lu_vfio vfio;
	struct virtio_pci_common_cfg *common;
	uint16_t *notify;	/* of queue 0 */
	uint8_t *isr;
};

/* Maps the registers of a device that is bound. Does not write to it. */
void lu_virtio_map(struct lu_virtio *dev);

/*
 * Resets the device and starts it, with queue 0 at @iova and its interrupt @vector, or
 * VIRTIO_MSI_NO_VECTOR. It needs its memory and bus mastering.
 */
void lu_virtio_start(struct lu_virtio *dev, uint64_t iova, uint16_t vector);

/* Whether the device is started, and has not failed since. */
bool lu_virtio_works(const struct lu_virtio *dev);

/* Acknowledge INTx. */
void lu_virtio_acknowledge(struct lu_virtio *dev);

/* Tell the device that buffers were made available. */
void lu_virtio_notify(struct lu_virtio *dev);

#endif /* LU_VIRTIO_H */
