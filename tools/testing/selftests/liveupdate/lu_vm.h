/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A KVM virtual machine with one vCPU, interrupt controllers in the kernel, its memory
 * and a window to a device.
 */
#ifndef LU_VM_H
#define LU_VM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "lu_state.h"

struct lu_vm {
	int vm_fd;
	int vcpu_fd;
	int vfio_fd;		/* KVM's VFIO device, -1: there is none */
	int events[LU_QUEUES];	/* irqfds of the device's vectors, -1: not connected */
	int resample;		/* the same for the end of INTx */
	struct kvm_run *run;
	size_t run_size;
	void *ram;
	pthread_t thread;
	bool running;
	atomic_bool stop;
	atomic_bool dead;
	char why_dead[160];
};

/* The guest's code, from lu_guest_blob.S. */
extern const char lu_guest_image[], lu_guest_image_end[];

/* NULL when a VM can be created on this machine, else the reason. */
const char *lu_vm_unavailable(void);

/* @ram: LU_RAM_SIZE bytes, which stay the caller's.  The guest's TSC is the host's. */
void lu_vm_create(struct lu_vm *vm, void *ram);
void lu_vm_destroy(struct lu_vm *vm);

/*
 * Gives the guest the device's registers, or takes them away with NULL.  A
 * guest without them reads all ones and writes into the void.
 */
void lu_vm_set_bar(struct lu_vm *vm, void *bar);

/*
 * Tells KVM that the VM owns the device behind this vfio file, which must not
 * be bound yet: vfio takes its reference to KVM only in BIND_IOMMUFD.
 * Returns 0 or a negative errno.
 */
int lu_vm_add_device(struct lu_vm *vm, int vfio_file);

/* Birth: copies the code, clears the diary, sets the first registers. */
void lu_vm_boot(struct lu_vm *vm, enum lu_interrupts mode);

/*
 * The vCPU runs in a separate thread from start to stop.  It never stops while
 * the guest holds the lock of its control page.
 */
void lu_vm_start(struct lu_vm *vm);
void lu_vm_stop(struct lu_vm *vm);

/* How many vectors the device has. */
static inline uint32_t lu_vm_vectors(enum lu_interrupts mode)
{
	return mode == LU_MSIX ? LU_QUEUES : 1;
}

/*
 * Has the device's vectors interrupt the guest: each of @events is signaled by vfio, or
 * by a test; KVM signals @resample when the guest has acknowledged INTx.
 * For a VM that continues it comes after lu_vm_load().
 */
void lu_vm_connect(struct lu_vm *vm);

/*
 * Ends that.  What was signaled before is injected, so that lu_vm_save() finds it in
 * the local APIC, or counted in @missed, for lu_vm_signal().  The device must be masked
 * and the vCPU stopped.
 */
void lu_vm_disconnect(struct lu_vm *vm, uint64_t missed[LU_QUEUES]);

/* As if the device had done it. */
void lu_vm_signal(struct lu_vm *vm, uint32_t vector);

/* Only while the vCPU is stopped. */
void lu_vm_save(struct lu_vm *vm, struct lu_vcpu_state *state);
void lu_vm_load(struct lu_vm *vm, const struct lu_vcpu_state *state);

/* NULL while the guest is well, else what happened to it. */
const char *lu_vm_why_dead(const struct lu_vm *vm);

static inline struct lu_guest_control *lu_vm_control(void *ram)
{
	return (void *)((char *)ram + LU_CONTROL_OFFSET);
}

static inline struct lu_rx_desc *lu_vm_ring(void *ram)
{
	return (void *)((char *)ram + LU_RING_OFFSET);
}

static inline struct lu_frame *lu_vm_buffer(void *ram, uint32_t slot)
{
	return (void *)((char *)ram + LU_BUFFERS_OFFSET + slot * LU_SLOT_SIZE);
}

/* Accepted by all queues. */
static inline uint32_t lu_vm_frames(const struct lu_guest_control *c)
{
	uint32_t frames = 0, q;

	for (q = 0; q < LU_QUEUES; q++)
		frames += c->queue[q].frames;
	return frames;
}

/* A consistent copy of what the guest publishes while it runs. */
struct lu_guest_control lu_vm_read_control(void *ram);

/* All descriptors in the form the device reads, none of them done. */
void lu_vm_prepare_ring(void *ram);

/* The same, for a device that gets to the VM's memory by the VM's addresses. */
void lu_vm_prepare_translated(void *ram);

#endif /* LU_VM_H */
