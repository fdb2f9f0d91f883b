/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the VMM writes down for its successor: one struct in a memfd of its
 * own.  Old and new VMM are the same program, so the layout is the kernel's
 * uAPI structs as they are; version and size are there to refuse another
 * program's state, not to convert it.
 */
#ifndef LU_STATE_H
#define LU_STATE_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#include "lu_guest.h"

#define LU_STATE_MAGIC		0x45544154534d5655ull	/* "UVMSTATE" */
#define LU_STATE_VERSION	4u
#define LU_STATE_FILE_SIZE	16384u
#define LU_STATE_CONFIG_SIZE	4096u

/* Everything KVM holds for this guest: it uses no MSR but those in @sregs. */
struct lu_vcpu_state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_fpu fpu;
	struct kvm_xcrs xcrs;
	struct kvm_vcpu_events events;
	struct kvm_debugregs debugregs;
	struct kvm_lapic_state lapic;
	struct kvm_mp_state mp_state;
	struct kvm_irqchip irqchip[3];	/* both PICs, the I/O APIC */
	uint32_t has_xcrs;
	uint32_t reserved;
};

/* What the device's owner finds in it; @command is PCI config space's. */
struct lu_igb_regs {
	uint32_t command;
	uint32_t status;
	uint32_t rctl;
	uint32_t causes;		/* that interrupt, but for MSI-X */
	uint32_t vectors;		/* of MSI-X that are sent */
	uint32_t reserved;
	struct {
		uint64_t ring_address;
		uint32_t ring_bytes;
		uint32_t head;
		uint32_t tail;
		uint32_t control;
	} queue[LU_QUEUES];
};

struct lu_state {
	uint64_t magic;
	uint32_t version;
	uint32_t size;
	uint64_t checksum;		/* of everything after it */
	uint64_t memory_digest;		/* lu_memory_pieces() of the VM's memory */
	uint64_t free_ram;		/* of the host after the first update */
	char bdf[16];
	struct lu_igb_regs device;
	uint64_t missed[LU_QUEUES];	/* signals that did not reach the guest */
	uint8_t config[LU_STATE_CONFIG_SIZE];	/* as the owner sees it */
	struct lu_guest_control control;
	struct lu_vcpu_state vcpu;
};

/* Fills in all that makes the state acceptable to lu_state_refusal(). */
void lu_state_seal(struct lu_state *s);

/* NULL when the state is good, else why it is not. */
const char *lu_state_refusal(const struct lu_state *s);

#endif /* LU_STATE_H */
