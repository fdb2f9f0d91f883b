// SPDX-License-Identifier: GPL-2.0-only
#include <asm/processor-flags.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lu_access.h"
#include "lu_die.h"
#include "lu_vm.h"

#define SLOT_RAM	0
#define SLOT_BAR	1
#define LOCK_TRIES	10000
#define LOCK_NAP_US	1000
#define KICK_SIGNAL	SIGUSR1

/* The first interrupt number behind those of the I/O APIC. */
#define FIRST_GSI	KVM_IOAPIC_NUM_PINS
/* Of a message to the local APIC 0. */
#define MSI_ADDRESS	0xfee00000u

static_assert(LU_RAM_BASE + LU_CODE_OFFSET == 0x40001000,
	      "lu_guest_code.lds links for another address");

const char *lu_vm_unavailable(void)
{
	static char why[160];
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);

	if (vm < 0)
		snprintf(why, sizeof(why), "%s: %s",
			 kvm < 0 ? "/dev/kvm" : "KVM_CREATE_VM", strerror(errno));
	close(vm);
	close(kvm);
	return vm < 0 ? why : NULL;
}

static void set_memory(struct lu_vm *vm, uint32_t slot, uint64_t address,
		       uint64_t size, void *mem)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = address,
		.memory_size = mem ? size : 0,
		.userspace_addr = (uintptr_t)mem,
	};

	if (ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region))
		lu_die_errno("KVM refuses the memory slot at %#llx",
			     (unsigned long long)address);
}

void lu_vm_set_bar(struct lu_vm *vm, void *bar)
{
	set_memory(vm, SLOT_BAR, LU_BAR_BASE, LU_BAR_SIZE, bar);
}

static void ignore_signal(int signal)
{
	(void)signal;
}

/* The signal's only work is to make KVM_RUN return. */
static void prepare_kick(void)
{
	struct sigaction kick = { .sa_handler = ignore_signal };

	sigaction(KICK_SIGNAL, &kick, NULL);
}

/* The guest's TSC is the host's, which a kexec does not stop. */
static void share_clock(struct lu_vm *vm)
{
	uint64_t offset = 0;
	struct kvm_device_attr set = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&offset,
	};

	if (ioctl(vm->vcpu_fd, KVM_SET_DEVICE_ATTR, &set))
		lu_die_errno("KVM_VCPU_TSC_OFFSET");
}

void lu_vm_create(struct lu_vm *vm, void *ram)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	uint32_t q;

	memset(vm, 0, sizeof(*vm));
	vm->vfio_fd = -1;
	vm->ram = ram;
	if (kvm < 0)
		lu_die_errno("cannot open /dev/kvm");
	vm->vm_fd = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm->vm_fd < 0)
		lu_die_errno("KVM_CREATE_VM");
	for (q = 0; q < LU_QUEUES; q++)
		vm->events[q] = -1;
	vm->resample = -1;
	set_memory(vm, SLOT_RAM, LU_RAM_BASE, LU_RAM_SIZE, ram);
	if (ioctl(vm->vm_fd, KVM_CREATE_IRQCHIP))
		lu_die_errno("KVM_CREATE_IRQCHIP: build with CONFIG_KVM_IOAPIC");
	vm->vcpu_fd = ioctl(vm->vm_fd, KVM_CREATE_VCPU, 0);
	if (vm->vcpu_fd < 0)
		lu_die_errno("KVM_CREATE_VCPU");
	share_clock(vm);
	vm->run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		       vm->vcpu_fd, 0);
	if (vm->run == MAP_FAILED)
		lu_die_errno("cannot map the vCPU's communication page");
	close(kvm);
	prepare_kick();
}

static enum lu_interrupts mode_of(const struct lu_vm *vm)
{
	return lu_vm_control(vm->ram)->mode;
}

/* The message of each vector of the device, as the guest would have written it. */
static void set_routes(struct lu_vm *vm)
{
	struct {
		struct kvm_irq_routing routing;
		struct kvm_irq_routing_entry entry[LU_QUEUES + 1];
	} routes = { .routing.nr = LU_QUEUES + 1 };
	struct kvm_irq_routing_entry *intx = &routes.entry[LU_QUEUES];
	uint32_t q;

	for (q = 0; q < LU_QUEUES; q++) {
		routes.entry[q].gsi = FIRST_GSI + q;
		routes.entry[q].type = KVM_IRQ_ROUTING_MSI;
		routes.entry[q].u.msi.address_lo = MSI_ADDRESS;
		routes.entry[q].u.msi.data = LU_VECTOR_QUEUE + q;
	}
	intx->gsi = LU_INTX_PIN;
	intx->type = KVM_IRQ_ROUTING_IRQCHIP;
	intx->u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
	intx->u.irqchip.pin = LU_INTX_PIN;
	if (ioctl(vm->vm_fd, KVM_SET_GSI_ROUTING, &routes))
		lu_die_errno("KVM_SET_GSI_ROUTING");
}

static void set_irqfd(struct lu_vm *vm, uint32_t vector, uint32_t flags)
{
	struct kvm_irqfd irqfd = {
		.fd = vm->events[vector],
		.gsi = FIRST_GSI + vector,
		.flags = flags,
	};

	if (mode_of(vm) == LU_INTX) {
		irqfd.gsi = LU_INTX_PIN;
		irqfd.flags |= KVM_IRQFD_FLAG_RESAMPLE;
		irqfd.resamplefd = vm->resample;
	}
	if (ioctl(vm->vm_fd, KVM_IRQFD, &irqfd))
		lu_die_errno("KVM_IRQFD of vector %u", vector);
}

static int create_event(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (fd < 0)
		lu_die_errno("cannot create an eventfd");
	return fd;
}

static void close_event(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void lu_vm_connect(struct lu_vm *vm)
{
	uint32_t v;

	set_routes(vm);
	vm->resample = create_event();
	for (v = 0; v < lu_vm_vectors(mode_of(vm)); v++) {
		vm->events[v] = create_event();
		set_irqfd(vm, v, 0);
	}
}

void lu_vm_disconnect(struct lu_vm *vm, uint64_t missed[LU_QUEUES])
{
	uint32_t v;

	memset(missed, 0, LU_QUEUES * sizeof(*missed));
	for (v = 0; v < lu_vm_vectors(mode_of(vm)); v++) {
		set_irqfd(vm, v, KVM_IRQFD_FLAG_DEASSIGN);
		if (read(vm->events[v], &missed[v], sizeof(missed[v])) < 0)
			missed[v] = 0;
		close_event(&vm->events[v]);
	}
	close_event(&vm->resample);
}

void lu_vm_signal(struct lu_vm *vm, uint32_t vector)
{
	if (eventfd_write(vm->events[vector], 1))
		lu_die_errno("cannot signal vector %u", vector);
}

void lu_vm_destroy(struct lu_vm *vm)
{
	uint32_t q;

	if (vm->running)
		lu_vm_stop(vm);
	for (q = 0; q < LU_QUEUES; q++)
		close_event(&vm->events[q]);
	close_event(&vm->resample);
	munmap(vm->run, vm->run_size);
	if (vm->vfio_fd >= 0)
		close(vm->vfio_fd);
	close(vm->vcpu_fd);
	close(vm->vm_fd);
}

/* A VM has one such device, for all its vfio files. */
static int need_vfio_device(struct lu_vm *vm)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO };

	if (vm->vfio_fd >= 0)
		return 0;
	if (ioctl(vm->vm_fd, KVM_CREATE_DEVICE, &create))
		return -errno;
	vm->vfio_fd = create.fd;
	return 0;
}

int lu_vm_add_device(struct lu_vm *vm, int vfio_file)
{
	int32_t fd = vfio_file;
	struct kvm_device_attr add = {
		.group = KVM_DEV_VFIO_FILE,
		.attr = KVM_DEV_VFIO_FILE_ADD,
		.addr = (uintptr_t)&fd,
	};
	int err = need_vfio_device(vm);

	if (err)
		return err;
	return ioctl(vm->vfio_fd, KVM_SET_DEVICE_ATTR, &add) ? -errno : 0;
}

static void set_flat_segment(struct kvm_segment *seg, uint8_t type,
			     uint16_t selector)
{
	memset(seg, 0, sizeof(*seg));
	seg->limit = 0xffffffff;
	seg->selector = selector;
	seg->type = type;
	seg->present = 1;
	seg->db = 1;
	seg->s = 1;
	seg->g = 1;
}

/* 32-bit protected mode, flat, no paging. */
static void set_first_registers(struct lu_vm *vm)
{
	struct kvm_regs regs = {
		.rip = LU_RAM_BASE + LU_CODE_OFFSET,
		.rsp = LU_RAM_BASE + LU_STACK_OFFSET,
		.rflags = 2,
	};
	struct kvm_sregs sregs;

	if (ioctl(vm->vcpu_fd, KVM_GET_SREGS, &sregs))
		lu_die_errno("KVM_GET_SREGS");
	set_flat_segment(&sregs.cs, 0xb, 0x8);
	set_flat_segment(&sregs.ds, 0x3, 0x10);
	sregs.es = sregs.ds;
	sregs.fs = sregs.ds;
	sregs.gs = sregs.ds;
	sregs.ss = sregs.ds;
	/* Reset also leaves CD and NW set; the guest runs cached. */
	sregs.cr0 = X86_CR0_PE | X86_CR0_ET;
	if (ioctl(vm->vcpu_fd, KVM_SET_SREGS, &sregs))
		lu_die_errno("KVM_SET_SREGS");
	if (ioctl(vm->vcpu_fd, KVM_SET_REGS, &regs))
		lu_die_errno("KVM_SET_REGS");
}

void lu_vm_boot(struct lu_vm *vm, enum lu_interrupts mode)
{
	struct lu_guest_control *control = lu_vm_control(vm->ram);

	memcpy((char *)vm->ram + LU_CODE_OFFSET, lu_guest_image,
	       lu_guest_image_end - lu_guest_image);
	memset(control, 0, sizeof(*control));
	control->magic = LU_CONTROL_MAGIC;
	control->mode = mode;
	set_first_registers(vm);
}

static void die_in_thread(struct lu_vm *vm, const char *what)
{
	struct kvm_regs regs = { 0 };

	ioctl(vm->vcpu_fd, KVM_GET_REGS, &regs);
	snprintf(vm->why_dead, sizeof(vm->why_dead), "%s at eip %#llx", what,
		 (unsigned long long)regs.rip);
	atomic_store(&vm->dead, true);
}

const char *lu_vm_why_dead(const struct lu_vm *vm)
{
	return atomic_load(&vm->dead) ? vm->why_dead : NULL;
}

/* Accesses to an absent device. */
static bool emulate_absent_device(struct kvm_run *run)
{
	if (run->mmio.phys_addr < LU_BAR_BASE ||
	    run->mmio.phys_addr >= LU_BAR_BASE + LU_BAR_SIZE)
		return false;
	if (!run->mmio.is_write)
		memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
	return true;
}

static bool handle_exit(struct lu_vm *vm)
{
	char what[80];

	switch (vm->run->exit_reason) {
	case KVM_EXIT_INTR:
		return true;
	case KVM_EXIT_MMIO:
		if (emulate_absent_device(vm->run))
			return true;
		snprintf(what, sizeof(what), "it touched nothing at %#llx",
			 (unsigned long long)vm->run->mmio.phys_addr);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		/*
		 * On QEMU's emulation of SVM an interrupt that is injected can be
		 * delivered twice, in the middle of an access that KVM emulates.
		 */
		if (vm->run->internal.suberror == KVM_INTERNAL_ERROR_DELIVERY_EV)
			return true;
		snprintf(what, sizeof(what), "KVM's internal error %u (%#llx, %#llx)",
			 vm->run->internal.suberror,
			 (unsigned long long)vm->run->internal.data[0],
			 (unsigned long long)vm->run->internal.data[1]);
		break;
	default:
		snprintf(what, sizeof(what), "KVM_RUN ended with exit reason %u",
			 vm->run->exit_reason);
	}
	die_in_thread(vm, what);
	return false;
}

/*
 * An access KVM left to user space is finished by the next KVM_RUN, so there
 * is always one after the last exit, if only one that returns at once.
 */
static void *vcpu_thread(void *arg)
{
	struct lu_vm *vm = arg;
	char what[80];

	for (;;) {
		if (!ioctl(vm->vcpu_fd, KVM_RUN, 0)) {
			if (!handle_exit(vm))
				return NULL;
		} else if (errno != EINTR && errno != EAGAIN) {
			snprintf(what, sizeof(what), "KVM_RUN failed: %s",
				 strerror(errno));
			die_in_thread(vm, what);
			return NULL;
		} else if (atomic_load(&vm->stop)) {
			return NULL;
		}
	}
}

void lu_vm_start(struct lu_vm *vm)
{
	int err;

	atomic_store(&vm->stop, false);
	vm->run->immediate_exit = 0;
	err = pthread_create(&vm->thread, NULL, vcpu_thread, vm);
	if (err)
		lu_die("cannot start the vCPU's thread: %s", strerror(err));
	vm->running = true;
}

static void stop_thread(struct lu_vm *vm)
{
	atomic_store(&vm->stop, true);
	/* If the signal is missed, KVM_RUN returns because of this flag. */
	lu_store(&vm->run->immediate_exit, 1);
	pthread_kill(vm->thread, KICK_SIGNAL);
	pthread_join(vm->thread, NULL);
	vm->running = false;
}

static bool is_publishing(const struct lu_vm *vm)
{
	return lu_load(&lu_vm_control(vm->ram)->lock) & 1;
}

/*
 * A guest that stops with its lock held holds it until it runs again, and what
 * it publishes is half old and half new until then: let it finish.
 */
void lu_vm_stop(struct lu_vm *vm)
{
	stop_thread(vm);
	while (is_publishing(vm) && !lu_vm_why_dead(vm)) {
		lu_vm_start(vm);
		usleep(1000);
		stop_thread(vm);
	}
}

struct part {
	unsigned long get, set;
	size_t offset;
	const char *name;
};

#define PART(what, field)						\
	{ KVM_GET_ ## what, KVM_SET_ ## what,				\
	  offsetof(struct lu_vcpu_state, field), #what }

/* Special registers first: what they select decides how others are read. */
static const struct part parts[] = {
	PART(SREGS, sregs),
	PART(REGS, regs),
	PART(FPU, fpu),
	PART(DEBUGREGS, debugregs),
	PART(VCPU_EVENTS, events),
	PART(LAPIC, lapic),
	PART(MP_STATE, mp_state),
};

#define IRQCHIPS	3u

static void save_irqchips(struct lu_vm *vm, struct lu_vcpu_state *state)
{
	uint32_t id;

	for (id = 0; id < IRQCHIPS; id++) {
		state->irqchip[id].chip_id = id;
		if (ioctl(vm->vm_fd, KVM_GET_IRQCHIP, &state->irqchip[id]))
			lu_die_errno("KVM_GET_IRQCHIP %u", id);
	}
}

static void load_irqchips(struct lu_vm *vm, const struct lu_vcpu_state *state)
{
	uint32_t id;

	for (id = 0; id < IRQCHIPS; id++)
		if (ioctl(vm->vm_fd, KVM_SET_IRQCHIP, &state->irqchip[id]))
			lu_die_errno("KVM_SET_IRQCHIP %u", id);
}

/* A processor without XSAVE has none of these. */
static bool save_xcrs(struct lu_vm *vm, struct lu_vcpu_state *state)
{
	if (ioctl(vm->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_XCRS) <= 0)
		return false;
	if (ioctl(vm->vcpu_fd, KVM_GET_XCRS, &state->xcrs))
		lu_die_errno("KVM_GET_XCRS");
	return state->xcrs.nr_xcrs;
}

void lu_vm_save(struct lu_vm *vm, struct lu_vcpu_state *state)
{
	const struct part *p;

	memset(state, 0, sizeof(*state));
	save_irqchips(vm, state);
	for (p = parts; p < parts + sizeof(parts) / sizeof(*parts); p++)
		if (ioctl(vm->vcpu_fd, p->get, (char *)state + p->offset))
			lu_die_errno("KVM_GET_%s", p->name);
	state->has_xcrs = save_xcrs(vm, state);
}

void lu_vm_load(struct lu_vm *vm, const struct lu_vcpu_state *state)
{
	const struct part *p;

	load_irqchips(vm, state);
	for (p = parts; p < parts + sizeof(parts) / sizeof(*parts); p++)
		if (ioctl(vm->vcpu_fd, p->set, (const char *)state + p->offset))
			lu_die_errno("KVM_SET_%s", p->name);
	if (state->has_xcrs && ioctl(vm->vcpu_fd, KVM_SET_XCRS, &state->xcrs))
		lu_die_errno("KVM_SET_XCRS");
}

struct lu_guest_control lu_vm_read_control(void *ram)
{
	struct lu_guest_control *live = lu_vm_control(ram), copy;
	uint32_t before;
	int tries;

	for (tries = 0; tries < LOCK_TRIES; tries++) {
		before = __atomic_load_n(&live->lock, __ATOMIC_ACQUIRE);
		memcpy(&copy, live, sizeof(copy));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!(before & 1) && before == lu_load(&live->lock))
			return copy;
		usleep(LOCK_NAP_US);
	}
	lu_die("the guest holds the lock of its control page (%#x): is it dead?",
	       lu_load(&live->lock));
}

void lu_vm_prepare_ring(void *ram)
{
	struct lu_rx_desc *ring = lu_vm_ring(ram);
	uint32_t slot;

	for (slot = 0; slot < LU_SLOTS; slot++) {
		ring[slot].read.addr = lu_dma_address(ram, LU_BUFFERS_OFFSET +
						      slot * LU_SLOT_SIZE);
		ring[slot].read.header = 0;
	}
}

void lu_vm_prepare_translated(void *ram)
{
	uint64_t *pages = (uint64_t *)((char *)ram + LU_DMA_OFFSET);
	uint32_t i;

	for (i = 0; i < LU_PAGES; i++)
		pages[i] = LU_RAM_BASE + (uint64_t)i * LU_PAGE_SIZE;
	lu_vm_prepare_ring(ram);
}
