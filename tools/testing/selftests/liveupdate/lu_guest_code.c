// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest: owns the device's receive ring, checks every frame and keeps a
 * diary of them.
 *
 * Nothing it knows about the past is ever read back from the control page: it
 * is on the stack and in registers.  So only the same guest, with its vCPU
 * state preserved, can continue the chain; one that was restarted with a copied
 * control page begins at 0 and is detected.
 *
 * It runs in 32-bit protected mode, flat, without paging and without
 * interrupts: an idle guest executes HLT and the VMM wakes it shortly after.
 */
#include "lu_access.h"
#include "lu_guest.h"

#define TURNS_PER_NAP		16u
#define TURNS_PER_LOOK		256u
#define GIVE_BACK_BATCH		32u

#define RX_DONE			1u

struct diary {
	uint32_t frames;
	uint32_t last_seq;
	uint32_t chain;
	uint32_t next_slot;
	uint32_t owed;		/* slots read and not yet returned */
	uint32_t head;		/* receive head at the last look */
	uint64_t beat;		/* TSC at the last heartbeat */
	uint64_t longest;	/* between two of them */
};

static struct lu_guest_control *control(void)
{
	return (void *)(LU_RAM_BASE + LU_CONTROL_OFFSET);
}

static struct lu_rx_desc *descriptor(uint32_t slot)
{
	return (struct lu_rx_desc *)(LU_RAM_BASE + LU_RING_OFFSET) + slot;
}

static uint32_t buffer_offset(uint32_t slot)
{
	return LU_BUFFERS_OFFSET + slot * LU_SLOT_SIZE;
}

static void *bar(void)
{
	return (void *)LU_BAR_BASE;
}

static void publish(const struct diary *d)
{
	struct lu_guest_control *c = control();

	lu_inc(&c->lock);
	lu_barrier();
	lu_store(&c->frames, d->frames);
	lu_store(&c->last_seq, d->last_seq);
	lu_store(&c->chain, d->chain);
	lu_store(&c->next_slot, d->next_slot);
	lu_barrier();
	lu_inc(&c->lock);
}

static void check_frame(struct diary *d, const struct lu_frame *f,
			uint32_t length)
{
	switch (lu_frame_check(f, length, d->last_seq)) {
	case LU_FRAME_GOOD:
		d->chain = lu_chain(d->chain, f->seq, f->sum);
		d->last_seq = f->seq;
		d->frames++;
		break;
	case LU_FRAME_OTHER:
		lu_inc(&control()->not_a_frame);
		break;
	case LU_FRAME_BAD:
		lu_inc(&control()->bad_content);
		break;
	case LU_FRAME_OLD:
		lu_inc(&control()->out_of_order);
		break;
	}
}

/* The device must not see the done bit of the last round again. */
static void rearm(uint32_t slot)
{
	struct lu_rx_desc *desc = descriptor(slot);

	desc->read.header = 0;
	desc->read.addr = lu_dma_address((void *)LU_RAM_BASE,
					 buffer_offset(slot));
}

static void take_frame(struct diary *d)
{
	uint32_t slot = d->next_slot;

	lu_barrier();
	check_frame(d, (void *)(LU_RAM_BASE + buffer_offset(slot)),
		    descriptor(slot)->wb.length);
	lu_barrier();
	d->next_slot = (slot + 1) % LU_SLOTS;
	d->owed++;
	publish(d);
	lu_barrier();
	rearm(slot);
}

/*
 * The tail is the one slot the device does not own, and that is always the
 * one read last.
 */
static void give_back(struct diary *d)
{
	if (!d->owed)
		return;
	lu_write_reg(bar(), LU_IGB_RDT0,
		     (d->next_slot + LU_SLOTS - 1) % LU_SLOTS);
	d->owed = 0;
}

static void beat(struct diary *d)
{
	struct lu_guest_control *c = control();
	uint64_t before = d->beat;

	lu_inc(&c->heartbeat);
	d->beat = __builtin_ia32_rdtsc();
	if (!before || d->beat - before <= d->longest)
		return;
	d->longest = d->beat - before;
	lu_inc(&c->lock);
	lu_barrier();
	c->pause_begin = before;
	c->pause_end = d->beat;
	lu_barrier();
	lu_inc(&c->lock);
}

static void look_at_device(struct diary *d)
{
	struct lu_guest_control *c = control();
	uint32_t head = lu_read_reg(bar(), LU_IGB_RDH0);

	lu_store(&c->status_reg, lu_read_reg(bar(), LU_IGB_STATUS));
	lu_store(&c->head_reg, head);
	if (head != d->head)
		lu_inc(&c->head_moves);
	d->head = head;
}

static void nap(void)
{
	__asm__ __volatile__("hlt" ::: "memory");
}

/* The entry: lu_guest_code.lds puts it first, the VMM gives it a stack. */
void lu_guest_main(void)
{
	struct diary d = { 0 };
	uint32_t turn, idle = 0;

	for (turn = 0;; turn++) {
		beat(&d);
		if (turn % TURNS_PER_LOOK == 0)
			look_at_device(&d);
		if (lu_load(&descriptor(d.next_slot)->wb.status) & RX_DONE) {
			take_frame(&d);
			if (d.owed >= GIVE_BACK_BATCH)
				give_back(&d);
			continue;
		}
		give_back(&d);
		if (++idle % TURNS_PER_NAP == 0)
			nap();
	}
}
