// SPDX-License-Identifier: GPL-2.0-only
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lu_access.h"
#include "lu_die.h"
#include "lu_virtio.h"

#define RESET_TRIES	1000
/* Bits 63:32. */
#define FEATURES_HIGH	(1u << (VIRTIO_F_VERSION_1 - 32) |		\
			 1u << (VIRTIO_F_ACCESS_PLATFORM - 32))
#define STATUS_DRIVER	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define STATUS_FEATURES	(STATUS_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)
#define STATUS_STARTED	(STATUS_FEATURES | VIRTIO_CONFIG_S_DRIVER_OK)

/* --- the registers --------------------------------------------------------- */

/* Only VIRTIO_PCI_CAP_NOTIFY_CFG has a multiplier. */
static struct virtio_pci_notify_cap find_structure(const uint8_t *config, uint8_t type)
{
	size_t pos = lu_pci_capability(config, PCI_CAP_ID_VNDR);
	struct virtio_pci_notify_cap notify;
	const struct virtio_pci_cap *cap = &notify.cap;

	for (; pos; pos = cap->cap_next & ~3u) {
		memcpy(&notify, config + pos, sizeof(notify));
		if (cap->cap_vndr == PCI_CAP_ID_VNDR && cap->cfg_type == type)
			return notify;
	}
	lu_die("there is no virtio structure of type %u: is the device modern?", type);
}

static void *map_structure(const struct lu_vfio *vfio, const struct virtio_pci_cap *cap)
{
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = cap->bar };
	char *mem;

	if (ioctl(vfio->fd, VFIO_DEVICE_GET_REGION_INFO, &bar))
		lu_die_errno("VFIO_DEVICE_GET_REGION_INFO of BAR %u", cap->bar);
	mem = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, vfio->fd, bar.offset);
	if (mem == MAP_FAILED)
		lu_die_errno("cannot map BAR %u", cap->bar);
	return mem + cap->offset;
}

void lu_virtio_map(struct lu_virtio *dev)
{
	uint8_t config[LU_PCI_CONFIG_SIZE] = {};
	struct virtio_pci_notify_cap common, notify, isr;
	char *mem;

	lu_vfio_read_config(&dev->vfio, config, PCI_CFG_SPACE_SIZE);
	common = find_structure(config, VIRTIO_PCI_CAP_COMMON_CFG);
	notify = find_structure(config, VIRTIO_PCI_CAP_NOTIFY_CFG);
	isr = find_structure(config, VIRTIO_PCI_CAP_ISR_CFG);
	dev->isr = map_structure(&dev->vfio, &isr.cap);
	dev->common = map_structure(&dev->vfio, &common.cap);
	mem = map_structure(&dev->vfio, &notify.cap);
	/* Queue 0 is selected from the reset on. */
	mem += lu_load(&dev->common->queue_notify_off) * notify.notify_off_multiplier;
	dev->notify = (uint16_t *)mem;
}

/* --- starting it ------------------------------------------------------------ */

static void reset_device(struct virtio_pci_common_cfg *common)
{
	int tries = RESET_TRIES;

	lu_store(&common->device_status, 0);
	while (lu_load(&common->device_status)) {
		if (!tries--)
			lu_die("the virtio device is not reset");
		usleep(1000);
	}
}

/* Without VIRTIO_F_ACCESS_PLATFORM the device would bypass the IOMMU. */
static void negotiate(struct virtio_pci_common_cfg *common)
{
	lu_store(&common->device_feature_select, 1);
	if ((lu_load(&common->device_feature) & FEATURES_HIGH) != FEATURES_HIGH)
		lu_die("the virtio device is not modern, or lacks iommu_platform=on");
	lu_store(&common->guest_feature_select, 0);
	lu_store(&common->guest_feature, 0);
	lu_store(&common->guest_feature_select, 1);
	lu_store(&common->guest_feature, FEATURES_HIGH);
	lu_store(&common->device_status, STATUS_FEATURES);
	if (lu_load(&common->device_status) != STATUS_FEATURES)
		lu_die("the virtio device refuses its features");
}

/* @low is followed by the upper half. */
static void set_address(__le32 *low, uint64_t address)
{
	lu_store(low, address);
	lu_store(low + 1, address >> 32);
}

static void enable_queue(struct virtio_pci_common_cfg *common, uint64_t iova,
			 uint16_t vector)
{
	lu_store(&common->queue_select, 0);
	if (lu_load(&common->queue_size) < LU_VIRTQUEUE_SIZE)
		lu_die("virtqueue 0 has only %u entries", lu_load(&common->queue_size));
	lu_store(&common->queue_size, LU_VIRTQUEUE_SIZE);
	set_address(&common->queue_desc_lo, iova + offsetof(struct lu_virtqueue, desc));
	set_address(&common->queue_avail_lo, iova + offsetof(struct lu_virtqueue, avail));
	set_address(&common->queue_used_lo, iova + offsetof(struct lu_virtqueue, used));
	lu_store(&common->queue_msix_vector, vector);
	if (lu_load(&common->queue_msix_vector) != vector)
		lu_die("the virtio device refuses vector %u", vector);
	lu_store(&common->queue_enable, 1);
}

void lu_virtio_start(struct lu_virtio *dev, uint64_t iova, uint16_t vector)
{
	reset_device(dev->common);
	lu_store(&dev->common->device_status, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	lu_store(&dev->common->device_status, STATUS_DRIVER);
	negotiate(dev->common);
	enable_queue(dev->common, iova, vector);
	lu_store(&dev->common->device_status, STATUS_STARTED);
}

bool lu_virtio_works(const struct lu_virtio *dev)
{
	return lu_load(&dev->common->device_status) == STATUS_STARTED;
}

void lu_virtio_acknowledge(struct lu_virtio *dev)
{
	lu_load(dev->isr);
}

void lu_virtio_notify(struct lu_virtio *dev)
{
	lu_store(dev->notify, 0);
}
