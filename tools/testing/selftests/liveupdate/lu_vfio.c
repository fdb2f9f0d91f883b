// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/iommufd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lu_die.h"
#include "lu_pci.h"
#include "lu_vfio.h"

/* Without an IOMMU the device needs physical addresses, page by page. */
bool lu_vfio_is_translated(struct lu_vfio *dev)
{
	if (!dev->name[0])
		lu_pci_vfio_name(dev->bdf, dev->name, sizeof(dev->name));
	return strncmp(dev->name, "noiommu-", strlen("noiommu-"));
}

int lu_vfio_open_file(const char *bdf)
{
	char name[64], path[PATH_MAX];
	int fd;

	lu_pci_vfio_name(bdf, name, sizeof(name));
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		lu_die_errno("cannot open %s", path);
	return fd;
}

static struct vfio_region_info get_region(struct lu_vfio *dev, uint32_t index)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	if (ioctl(dev->fd, VFIO_DEVICE_GET_REGION_INFO, &info))
		lu_die_errno("VFIO_DEVICE_GET_REGION_INFO of region %u", index);
	return info;
}

void lu_vfio_bind(struct lu_vfio *dev, const char *bdf, int fd, int iommufd)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = iommufd,
	};

	memset(dev, 0, sizeof(*dev));
	dev->iommufd = iommufd;
	dev->fd = fd;
	snprintf(dev->bdf, sizeof(dev->bdf), "%s", bdf);
	if (ioctl(dev->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		lu_die_errno("VFIO_DEVICE_BIND_IOMMUFD of %s, which must have no other owner",
			     bdf);
	dev->id = bind.out_devid;
	dev->config_offset = get_region(dev, VFIO_PCI_CONFIG_REGION_INDEX).offset;
}

void lu_vfio_take_over(struct lu_vfio *dev, const char *bdf, int fd)
{
	int iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	if (iommufd < 0)
		lu_die_errno("cannot open /dev/iommu");
	lu_vfio_bind(dev, bdf, fd, iommufd);
}

void lu_vfio_open(struct lu_vfio *dev, const char *bdf)
{
	lu_vfio_take_over(dev, bdf, lu_vfio_open_file(bdf));
}

/* The id of an object of iommufd is never 0. */
uint32_t lu_vfio_ioas(struct lu_vfio *dev)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

	if (dev->ioas)
		return dev->ioas;
	if (ioctl(dev->iommufd, IOMMU_IOAS_ALLOC, &alloc))
		lu_die_errno("IOMMU_IOAS_ALLOC");
	dev->ioas = alloc.out_ioas_id;
	return dev->ioas;
}

void lu_vfio_attach(struct lu_vfio *dev)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = lu_vfio_ioas(dev),
	};

	if (ioctl(dev->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		lu_die_errno("VFIO_DEVICE_ATTACH_IOMMUFD_PT");
}

int lu_vfio_try_map(struct lu_vfio *dev, int memfd, size_t size, uint64_t iova)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = lu_vfio_ioas(dev),
		.fd = memfd,
		.length = size,
		.iova = iova,
	};

	return ioctl(dev->iommufd, IOMMU_IOAS_MAP_FILE, &map) ? -errno : 0;
}

void lu_vfio_map_memory(struct lu_vfio *dev, int memfd, size_t size,
			uint64_t iova)
{
	if (lu_vfio_try_map(dev, memfd, size, iova))
		lu_die_errno("IOMMU_IOAS_MAP_FILE of %zu bytes at %#llx", size,
			     (unsigned long long)iova);
}

int lu_vfio_try_unmap(struct lu_vfio *dev, size_t size, uint64_t iova)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = dev->ioas,
		.iova = iova,
		.length = size,
	};

	return ioctl(dev->iommufd, IOMMU_IOAS_UNMAP, &unmap) ? -errno : 0;
}

void lu_vfio_unmap_memory(struct lu_vfio *dev, size_t size, uint64_t iova)
{
	if (lu_vfio_try_unmap(dev, size, iova))
		lu_die_errno("IOMMU_IOAS_UNMAP of %zu bytes at %#llx", size,
			     (unsigned long long)iova);
}

uint64_t lu_vfio_dma_address(struct lu_vfio *dev, uint64_t iova)
{
	struct iommu_ioas_noiommu_get_pa get = {
		.size = sizeof(get),
		.ioas_id = dev->ioas,
		.iova = iova,
		.length = 1,
	};

	if (lu_vfio_is_translated(dev))
		return iova;
	if (ioctl(dev->iommufd, IOMMU_IOAS_NOIOMMU_GET_PA, &get))
		lu_die_errno("IOMMU_IOAS_NOIOMMU_GET_PA of %#llx",
			     (unsigned long long)iova);
	return get.out_phys;
}

void lu_vfio_map_bar0(struct lu_vfio *dev, size_t size)
{
	struct vfio_region_info bar = get_region(dev, VFIO_PCI_BAR0_REGION_INDEX);

	if (bar.size != size || !(bar.flags & VFIO_REGION_INFO_FLAG_MMAP))
		lu_die("BAR 0 is %#llx bytes and must be %#zx to map: is this an 82576?",
		       (unsigned long long)bar.size, size);
	dev->bar0 = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 dev->fd, bar.offset);
	if (dev->bar0 == MAP_FAILED)
		lu_die_errno("cannot map BAR 0");
}

void lu_vfio_read_config(struct lu_vfio *dev, void *config, size_t size)
{
	ssize_t got = pread(dev->fd, config, size, dev->config_offset);

	if (got != (ssize_t)size)
		lu_die_errno("%zd of %zu bytes of config space can be read through vfio",
			     got, size);
}

void lu_vfio_place_bar0(struct lu_vfio *dev, uint32_t address)
{
	if (pwrite(dev->fd, &address, sizeof(address), dev->config_offset +
		   PCI_BASE_ADDRESS_0) != sizeof(address))
		lu_die_errno("cannot write BAR 0 through vfio");
}

uint16_t lu_vfio_command(struct lu_vfio *dev)
{
	uint16_t command;

	if (pread(dev->fd, &command, sizeof(command),
		  dev->config_offset + PCI_COMMAND) != sizeof(command))
		lu_die_errno("cannot read the command register through vfio");
	return command;
}

void lu_vfio_write_command(struct lu_vfio *dev, uint16_t command)
{
	if (pwrite(dev->fd, &command, sizeof(command),
		   dev->config_offset + PCI_COMMAND) != sizeof(command))
		lu_die_errno("cannot write the command register through vfio");
}

void lu_vfio_set_command(struct lu_vfio *dev, uint16_t bits)
{
	lu_vfio_write_command(dev, lu_vfio_command(dev) | bits);
}

static int set_event(struct lu_vfio *dev, uint32_t index, uint32_t flags, int fd)
{
	struct {
		struct vfio_irq_set set;
		int fd;
	} irqs = {
		.set = {
			.argsz = sizeof(irqs),
			.flags = flags,
			.index = index,
			.count = flags & VFIO_IRQ_SET_DATA_EVENTFD ? 1 : 0,
		},
		.fd = fd,
	};

	return ioctl(dev->fd, VFIO_DEVICE_SET_IRQS, &irqs) ? -errno : 0;
}

int lu_vfio_set_irqs(struct lu_vfio *dev, uint32_t index, uint32_t flags, int fd)
{
	return set_event(dev, index, flags | VFIO_IRQ_SET_ACTION_TRIGGER, fd);
}

int lu_vfio_unmask_by(struct lu_vfio *dev, uint32_t index, int fd)
{
	return set_event(dev, index, VFIO_IRQ_SET_DATA_EVENTFD |
			 VFIO_IRQ_SET_ACTION_UNMASK, fd);
}

int lu_vfio_set_eventfds(struct lu_vfio *dev, uint32_t index, uint32_t start,
			 uint32_t count, const int *fds)
{
	struct {
		struct vfio_irq_set set;
		int fds[LU_VFIO_MAX_IRQS];
	} irqs = {
		.set = {
			.argsz = sizeof(irqs),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD |
				 VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = index,
			.start = start,
			.count = count,
		},
	};

	memcpy(irqs.fds, fds, count * sizeof(*fds));
	return ioctl(dev->fd, VFIO_DEVICE_SET_IRQS, &irqs) ? -errno : 0;
}

int lu_vfio_mask_irqs(struct lu_vfio *dev, uint32_t index, uint32_t count, bool mask)
{
	struct vfio_irq_set set = {
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_DATA_NONE |
			 (mask ? VFIO_IRQ_SET_ACTION_MASK :
				 VFIO_IRQ_SET_ACTION_UNMASK),
		.index = index,
		.count = count,
	};

	return ioctl(dev->fd, VFIO_DEVICE_SET_IRQS, &set) ? -errno : 0;
}

int lu_vfio_mask_irq(struct lu_vfio *dev, uint32_t index, bool mask)
{
	return lu_vfio_mask_irqs(dev, index, 1, mask);
}

bool lu_vfio_irq_is_maskable(struct lu_vfio *dev, uint32_t index)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };

	if (ioctl(dev->fd, VFIO_DEVICE_GET_IRQ_INFO, &info))
		lu_die_errno("VFIO_DEVICE_GET_IRQ_INFO");
	return info.flags & VFIO_IRQ_INFO_MASKABLE;
}
