// SPDX-License-Identifier: GPL-2.0-only
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "lu_channel.h"
#include "lu_die.h"
#include "lu_igb.h"
#include "lu_vmm.h"

/* Only the observer sends here, so any other frame is a damaged one. */
bool content_good(const struct lu_guest_control *c)
{
	uint32_t strangers = lu_channel_present() ? c->not_a_frame : 0;

	if (!c->bad_content && !c->out_of_order && !strangers)
		return true;
	ksft_print_msg("the guest saw %u damaged frames, %u out of order and %u that are none\n",
		       c->bad_content, c->out_of_order, c->not_a_frame);
	return false;
}

static bool chain_continues(struct vmm *v, uint32_t queue,
			    const struct lu_guest_queue *old,
			    const struct lu_guest_queue *now)
{
	uint32_t chain = old->chain, last = old->last_seq;
	uint32_t slot = old->next_slot;
	const struct lu_frame *f;

	for (; slot != now->next_slot; slot = (slot + 1) % LU_QUEUE_SLOTS) {
		f = lu_vm_buffer(v->ram, queue * LU_QUEUE_SLOTS + slot);
		if (lu_frame_check(f, sizeof(*f), last) != LU_FRAME_GOOD)
			continue;
		chain = lu_chain(chain, f->seq, f->sum);
		last = f->seq;
	}
	return now->frames - old->frames < LU_QUEUE_SLOTS && now->chain == chain;
}

bool chains_continue(struct vmm *v, const struct lu_guest_control *old,
		     const struct lu_guest_control *now)
{
	uint32_t q;

	for (q = 0; q < LU_QUEUES; q++)
		if (!chain_continues(v, q, &old->queue[q], &now->queue[q]))
			return false;
	return true;
}

/* Intel SDM volume 3, "Interrupt Acceptance for Fixed Interrupts" */
static bool is_requested(const struct kvm_lapic_state *apic, uint32_t vector)
{
	return apic->regs[0x200 + vector / 32 * 0x10 + vector % 32 / 8] &
	       1 << vector % 8;
}

bool no_message_without_frame(const struct lu_state *state,
			      const struct lu_guest_control *now)
{
	const struct lu_guest_control *old = &state->control;
	uint32_t q, more;

	for (q = 0; q < LU_QUEUES; q++) {
		more = now->queue[q].interrupts - old->queue[q].interrupts;
		if (old->mode != LU_MSIX || now->queue[q].frames != old->queue[q].frames)
			continue;
		if (more && !is_requested(&state->vcpu.lapic, LU_VECTOR_QUEUE + q)) {
			ksft_print_msg("queue %u has no new frame and interrupted %u times\n",
				       q, more);
			return false;
		}
	}
	return true;
}

bool diary_untouched(struct vmm *v)
{
	return !memcmp(&v->found.control, &v->state->control,
		       sizeof(v->found.control));
}

void print_regs(const char *when, const struct lu_igb_regs *r)
{
	uint32_t q;

	ksft_print_msg("device %s: command %#x status %#x rctl %#x ims %#x eims %#x\n",
		       when, r->command, r->status, r->rctl, r->causes, r->vectors);
	for (q = 0; q < LU_QUEUES; q++)
		ksft_print_msg("device %s: ring %#010llx+%#x head %u tail %u control %#010x\n",
			       when, (unsigned long long)r->queue[q].ring_address,
			       r->queue[q].ring_bytes, r->queue[q].head,
			       r->queue[q].tail, r->queue[q].control);
}

static bool rings_in_place(struct vmm *v, const struct lu_igb_regs *r)
{
	const struct lu_igb_regs *old = &v->state->device;
	bool same = r->rctl == old->rctl && r->causes == old->causes &&
		    r->vectors == old->vectors;
	uint32_t q;

	for (q = 0; q < LU_QUEUES; q++)
		same &= r->queue[q].ring_address == old->queue[q].ring_address &&
			r->queue[q].ring_bytes == old->queue[q].ring_bytes &&
			r->queue[q].tail == old->queue[q].tail &&
			r->queue[q].control == old->queue[q].control;
	return same;
}

void print_found(struct vmm *v, const char *when,
		 const struct lu_igb_regs *r)
{
	print_regs(when, r);
	ksft_print_msg("device %s: %s, bus mastering %s, decode %s\n", when,
		       rings_in_place(v, r) ? "its receive rings are as they were" :
					     "found reset",
		       r->command & PCI_COMMAND_MASTER ? "on" : "off",
		       r->command & PCI_COMMAND_MEMORY ? "on" : "off");
}

/* Is it one of the registers where @config logs correctable errors? */
static bool is_error_log(const uint8_t *config, size_t offset)
{
	size_t express = lu_pci_capability(config, PCI_CAP_ID_EXP);
	size_t aer = lu_pci_ext_capability(config, PCI_EXT_CAP_ID_ERR);

	return (express && offset == express + PCI_EXP_DEVSTA) ||
	       (aer && (offset & ~3u) == aer + PCI_ERR_COR_STATUS);
}

/* Interrupt Status says whether INTx is asserted. */
static uint8_t changes_itself(size_t offset)
{
	return offset == PCI_STATUS ? PCI_STATUS_INTERRUPT : 0;
}

static bool config_untouched(struct vmm *v)
{
	uint8_t config[LU_STATE_CONFIG_SIZE], *old = v->state->config;
	bool same = true, errors = false;
	size_t i;

	lu_vfio_read_config(&v->device, config, sizeof(config));
	for (i = 0; i < sizeof(config); i++) {
		if (!((config[i] ^ old[i]) & ~changes_itself(i)))
			continue;
		ksft_print_msg("config space at %#zx was %#x and is %#x\n",
			       i, old[i], config[i]);
		if (v->opt.errors && is_error_log(config, i))
			errors = true;
		else
			same = false;
	}
	return same && errors == v->opt.errors;
}

bool device_untouched(struct vmm *v)
{
	const struct lu_igb_regs *now = &v->found.device;
	const struct lu_igb_regs *old = &v->state->device;

	print_regs("as its owner has it back", now);
	return config_untouched(v) && rings_in_place(v, now) &&
	       now->command == old->command && now->status == old->status;
}

/* The kernel log names the writers. */
static bool no_blocked_writes_to(const char *bdf)
{
	struct lu_pci_blocked shield = lu_pci_blocked(bdf);

	if (shield.all)
		ksft_print_msg("%s: %lu config writes were suppressed, %lu not redundant\n",
			       bdf, shield.all, shield.dropped);
	return !shield.all;
}

bool no_blocked_writes(struct vmm *v)
{
	bool nobody = no_blocked_writes_to(v->bdf);
	int i;

	for (i = 0; i < v->bridges; i++)
		nobody &= no_blocked_writes_to(v->path[i]);
	return nobody;
}

bool dma_addresses_are_same(struct vmm *v)
{
	const uint64_t *pages = (uint64_t *)((char *)v->ram + LU_DMA_OFFSET);
	uint32_t i;

	for (i = 0; i < LU_PAGES; i++)
		if (pages[i] != lu_vfio_dma_address(&v->device, LU_RAM_BASE +
						    i * LU_PAGE_SIZE))
			return false;
	return true;
}

bool free_memory_is_same(struct vmm *v)
{
	struct sysinfo info;
	uint64_t free_ram;

	if (sysinfo(&info))
		lu_die_errno("sysinfo");
	free_ram = info.freeram * (uint64_t)info.mem_unit;
	if (!v->state->free_ram)
		v->state->free_ram = free_ram;
	ksft_print_msg("%llu KiB are free, %llu after the first update\n",
		       (unsigned long long)free_ram >> 10,
		       (unsigned long long)v->state->free_ram >> 10);
	return free_ram + ((uint64_t)v->opt.flat_kib << 10) >= v->state->free_ram;
}
