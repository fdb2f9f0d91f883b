// SPDX-License-Identifier: GPL-2.0-only
/*
 * The calls of a VMM whose guest and passed-through PCI device continue across
 * a live update of the host kernel, in their order. No error is recovered from.
 *
 *	lu_example BDF	in the old kernel: start a VM that owns the device BDF,
 *			preserve both, stop the guest, hold the session
 *	lu_example	in the new kernel: continue that VM with that device
 *
 * Between the two, load the next kernel by kexec_file_load() and start it.
 *
 * The device must have MSI-X and be bound to vfio-pci. Boot both kernels with
 * "kho=on liveupdate=on" and, for a device behind VT-d, "intel_iommu=on,sm_off" or
 * "sm_on", without an IOMMU "vfio.enable_unsafe_noiommu_mode=1". Run as root.
 */
#include <err.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/iommufd.h>
#include <linux/kvm.h>
#include <linux/liveupdate.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define SESSION		"lu-example"
#define TOKEN_RAM	1
#define TOKEN_STATE	2
#define TOKEN_DEVICE	3

#define RAM_SIZE	0x10000
#define BAR_ADDRESS	0xa0000		/* guest physical */
#define COUNTER		0x1000		/* in RAM, see the guest's code */
#define REGISTER	0x1004
#define CONFIG_SIZE	256

/* The guest, in 16-bit real mode: ES is at BAR_ADDRESS. */
static const unsigned char guest_code[] = {
	0x66, 0xff, 0x06, 0x00, 0x10,	/* incl COUNTER */
	0x26, 0x66, 0xa1, 0x00, 0x00,	/* movl %es:0, %eax */
	0x66, 0xa3, 0x04, 0x10,		/* movl %eax, REGISTER */
	0xf4,				/* hlt */
	0xeb, 0xef,			/* jmp to the first instruction */
};

/* State of the VMM for the new kernel, in a separate memfd. */
struct state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	__u32 counter;
	__u32 reg;
	__u64 signals;		/* of the device, not yet injected */
	unsigned char config[CONFIG_SIZE];
};

static int ram_fd, state_fd, device_fd, iommufd, vm_fd, vcpu_fd, irq_fd;
static unsigned char *ram;
static struct state *state;
static struct kvm_run *run;

/* ioctl() or exit. Most of these calls fail with a reason in the kernel log. */
#define xioctl(fd, request, arg)					\
	({								\
		int _ret = ioctl(fd, request, arg);			\
									\
		if (_ret < 0)						\
			err(1, #request);				\
		_ret;							\
	})

static int xopen(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static void *xmmap(int fd, size_t size, off_t offset)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);

	if (p == MAP_FAILED)
		err(1, "mmap");
	return p;
}

/* --- sessions --- */

static int create_session(void)
{
	struct liveupdate_ioctl_create_session create = {
		.size = sizeof(create),
		.name = SESSION,
	};
	int luo = xopen("/dev/liveupdate");

	xioctl(luo, LIVEUPDATE_IOCTL_CREATE_SESSION, &create);
	close(luo);	/* only one process can have it open */
	return create.fd;
}

static void preserve(int session, int fd, __u64 token)
{
	struct liveupdate_session_preserve_fd preserve = {
		.size = sizeof(preserve),
		.fd = fd,
		.token = token,
	};

	xioctl(session, LIVEUPDATE_SESSION_PRESERVE_FD, &preserve);
}

static int retrieve_session(void)
{
	struct liveupdate_ioctl_retrieve_session retrieve = {
		.size = sizeof(retrieve),
		.name = SESSION,
	};
	int luo = xopen("/dev/liveupdate");

	xioctl(luo, LIVEUPDATE_IOCTL_RETRIEVE_SESSION, &retrieve);
	close(luo);
	return retrieve.fd;
}

static int retrieve(int session, __u64 token)
{
	struct liveupdate_session_retrieve_fd retrieve = {
		.size = sizeof(retrieve),
		.token = token,
	};

	xioctl(session, LIVEUPDATE_SESSION_RETRIEVE_FD, &retrieve);
	return retrieve.fd;
}

static void finish(int session)
{
	struct liveupdate_session_finish finish = { .size = sizeof(finish) };

	xioctl(session, LIVEUPDATE_SESSION_FINISH, &finish);
}

/* --- the VM --- */

static void add_memory_slot(__u32 slot, __u64 address, __u64 size, void *mem)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = address,
		.memory_size = size,
		.userspace_addr = (unsigned long)mem,
	};

	xioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
}

static void create_vm(void)
{
	int kvm = xopen("/dev/kvm");

	vm_fd = xioctl(kvm, KVM_CREATE_VM, 0);
	add_memory_slot(0, 0, RAM_SIZE, ram);
	vcpu_fd = xioctl(vm_fd, KVM_CREATE_VCPU, 0);
	run = xmmap(vcpu_fd, xioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), 0);
}

static void start_guest(void)
{
	struct kvm_regs regs = { .rflags = 2 };
	struct kvm_sregs sregs;

	memcpy(ram, guest_code, sizeof(guest_code));
	xioctl(vcpu_fd, KVM_GET_SREGS, &sregs);
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	sregs.es.base = BAR_ADDRESS;
	sregs.es.selector = BAR_ADDRESS >> 4;
	xioctl(vcpu_fd, KVM_SET_SREGS, &sregs);
	xioctl(vcpu_fd, KVM_SET_REGS, &regs);
}

/* A real VMM has a thread for each vCPU. This one runs the guest here. */
static void run_guest(int rounds)
{
	while (rounds--) {
		xioctl(vcpu_fd, KVM_RUN, 0);
		if (run->exit_reason != KVM_EXIT_HLT)
			errx(1, "the guest ended with exit reason %u", run->exit_reason);
	}
}

static __u32 guest_word(unsigned int offset)
{
	__u32 word;

	memcpy(&word, ram + offset, sizeof(word));
	return word;
}

/* --- the device --- */

static void open_device(const char *bdf)
{
	char pattern[128], path[128];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "/sys/bus/pci/devices/%s/vfio-dev/*", bdf);
	if (glob(pattern, 0, NULL, &found))
		errx(1, "%s is not bound to vfio-pci", bdf);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s",
		 strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	device_fd = xopen(path);
}

/* KVM must know the file before it is bound: bind takes the VM from it. */
static void add_device_to_kvm(void)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO };
	struct kvm_device_attr add = {
		.group = KVM_DEV_VFIO_FILE,
		.attr = KVM_DEV_VFIO_FILE_ADD,
		.addr = (unsigned long)&device_fd,
	};

	xioctl(vm_fd, KVM_CREATE_DEVICE, &create);
	xioctl(create.fd, KVM_SET_DEVICE_ATTR, &add);
}

static void bind_device(void)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };

	iommufd = xopen("/dev/iommu");
	bind.iommufd = iommufd;
	xioctl(device_fd, VFIO_DEVICE_BIND_IOMMUFD, &bind);
}

/* After a live update: the same memory at the same I/O addresses. */
static void map_and_attach(void)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.fd = ram_fd,
		.length = RAM_SIZE,
	};
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };

	xioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc);
	map.ioas_id = alloc.out_ioas_id;
	xioctl(iommufd, IOMMU_IOAS_MAP_FILE, &map);
	attach.pt_id = alloc.out_ioas_id;
	xioctl(device_fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
}

static struct vfio_region_info region(__u32 index)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	xioctl(device_fd, VFIO_DEVICE_GET_REGION_INFO, &info);
	return info;
}

static void map_bar(void)
{
	struct vfio_region_info bar = region(VFIO_PCI_BAR0_REGION_INDEX);

	if (!(bar.flags & VFIO_REGION_INFO_FLAG_MMAP))
		errx(1, "BAR 0 cannot be mapped");
	add_memory_slot(1, BAR_ADDRESS, bar.size, xmmap(device_fd, bar.size, bar.offset));
}

static void enable_device(void)
{
	__u16 command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	if (pwrite(device_fd, &command, sizeof(command),
		   region(VFIO_PCI_CONFIG_REGION_INDEX).offset + PCI_COMMAND) != sizeof(command))
		err(1, "cannot enable the device");
}

/*
 * This guest uses no interrupt, so its device's first vector signals an eventfd and no
 * more. A real VMM arms all vectors of the guest's driver, and connects each eventfd
 * to KVM by KVM_IRQFD before that.
 */
static void arm_interrupt(void)
{
	struct {
		struct vfio_irq_set set;
		int fd;
	} arm = {
		.set = {
			.argsz = sizeof(arm),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_MSIX_IRQ_INDEX,
			.count = 1,
		},
	};

	irq_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (irq_fd < 0)
		err(1, "eventfd");
	arm.fd = irq_fd;
	xioctl(device_fd, VFIO_DEVICE_SET_IRQS, &arm);
}

/*
 * What the device has sent has signaled the eventfd then, and what it sends later is
 * pending in the device. Only one vector is enabled here: a real VMM masks all, with the
 * count of VFIO_DEVICE_GET_IRQ_INFO, and deassigns KVM_IRQFD before it reads the eventfd.
 */
static __u64 mask_and_drain_interrupt(void)
{
	struct vfio_irq_set mask = {
		.argsz = sizeof(mask),
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK,
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
		.count = 1,
	};
	__u64 signals;

	xioctl(device_fd, VFIO_DEVICE_SET_IRQS, &mask);
	return read(irq_fd, &signals, sizeof(signals)) < 0 ? 0 : signals;
}

/* As if the device had sent it. */
static void inject_interrupt(void)
{
	if (eventfd_write(irq_fd, 1))
		err(1, "eventfd_write");
}

static void read_config(unsigned char config[CONFIG_SIZE])
{
	if (pread(device_fd, config, CONFIG_SIZE,
		  region(VFIO_PCI_CONFIG_REGION_INDEX).offset) != CONFIG_SIZE)
		err(1, "cannot read the configuration space");
}

/* --- the two kernels --- */

static void old_kernel(const char *bdf)
{
	int session;

	ram_fd = memfd_create("ram", MFD_CLOEXEC);
	state_fd = memfd_create("state", MFD_CLOEXEC);
	if (ram_fd < 0 || ftruncate(ram_fd, RAM_SIZE) ||
	    state_fd < 0 || ftruncate(state_fd, sizeof(*state)))
		err(1, "memfd");
	ram = xmmap(ram_fd, RAM_SIZE, 0);
	state = xmmap(state_fd, sizeof(*state), 0);

	/* An ordinary VM with a passed-through device. */
	create_vm();
	open_device(bdf);
	add_device_to_kvm();
	bind_device();
	map_and_attach();
	enable_device();
	arm_interrupt();
	map_bar();
	start_guest();
	run_guest(1000);

	/*
	 * Preserve while the guest runs, and all memory that is mapped for the
	 * device. A failure changes nothing. Load the next kernel here, too,
	 * and ask liveupdate-preflight about it: the guest need not stop for it.
	 */
	session = create_session();
	preserve(session, ram_fd, TOKEN_RAM);
	preserve(session, state_fd, TOKEN_STATE);
	preserve(session, device_fd, TOKEN_DEVICE);
	run_guest(1000);

	/*
	 * The guest's pause begins: stop the vCPUs, mask the interrupts, and only
	 * then save the state of the vCPUs and of the interrupt controllers.
	 */
	state->signals = mask_and_drain_interrupt();
	xioctl(vcpu_fd, KVM_GET_REGS, &state->regs);
	xioctl(vcpu_fd, KVM_GET_SREGS, &state->sregs);
	state->counter = guest_word(COUNTER);
	state->reg = guest_word(REGISTER);
	read_config(state->config);

	/* Closing the session, or exiting, ends the preservation. */
	printf("the guest counted to %u: start the next kernel\n", state->counter);
	fflush(stdout);
	for (;;)
		pause();
}

static void new_kernel(void)
{
	unsigned char config[CONFIG_SIZE];
	int session;

	/* Keep the session open until it is finished. */
	session = retrieve_session();
	ram_fd = retrieve(session, TOKEN_RAM);
	state_fd = retrieve(session, TOKEN_STATE);
	device_fd = retrieve(session, TOKEN_DEVICE);
	ram = xmmap(ram_fd, RAM_SIZE, 0);
	state = xmmap(state_fd, sizeof(*state), 0);

	/* What the guest needs to run, in this order. */
	create_vm();
	add_device_to_kvm();
	bind_device();
	map_bar();
	xioctl(vcpu_fd, KVM_SET_SREGS, &state->sregs);
	xioctl(vcpu_fd, KVM_SET_REGS, &state->regs);

	/* What was pending in the device signals at once. */
	arm_interrupt();
	if (state->signals)
		inject_interrupt();

	/* The guest's pause ends. */
	run_guest(1000);

	/*
	 * The rest is done while the guest runs and the device does DMA. A real VMM
	 * reads "errors" in sysfs, of the device and the bridges above, before finish.
	 */
	map_and_attach();
	finish(session);
	close(session);
	run_guest(1000);

	if (guest_word(COUNTER) != state->counter + 2000)
		errx(1, "the guest counted from %u to %u", state->counter, guest_word(COUNTER));
	if (guest_word(REGISTER) != state->reg)
		errx(1, "the guest's view of its device has changed");
	read_config(config);
	if (memcmp(config, state->config, CONFIG_SIZE))
		errx(1, "the device's configuration space has changed");
	printf("the guest counted on to %u, its device is as it was\n", guest_word(COUNTER));
}

int main(int argc, char *argv[])
{
	if (argc > 2)
		errx(1, "usage: lu_example [BDF]");
	if (argc == 2)
		old_kernel(argv[1]);
	new_kernel();
	return 0;
}
