// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest: owns the device's receive rings, checks every frame and keeps a
 * diary of them.
 *
 * It sleeps until it is interrupted, and looks at a ring only after that ring's
 * interrupt: frames whose interrupt is lost stay in the ring.
 *
 * Nothing it knows about the past is ever read back from the control page, but for
 * what its interrupt handlers count: it is on the stack and in registers.  So only
 * the same guest, with its vCPU state preserved, can continue the chain; one that
 * was restarted with a copied control page begins at 0 and is detected.
 *
 * It runs in 32-bit protected mode, flat and without paging.
 */
#include "lu_access.h"
#include "lu_guest.h"

#define TICKS_PER_LOOK		16u
#define GIVE_BACK_BATCH		32u

#define RX_DONE			1u

#define CODE_SELECTOR		0x08u
#define DATA_SELECTOR		0x10u

/* The local APIC (Intel SDM volume 3, chapter "APIC"); its clock has 1 GHz in KVM. */
#define APIC_BASE		0xfee00000u
#define APIC_TPR		0x080u
#define APIC_EOI		0x0b0u
#define APIC_SPURIOUS		0x0f0u
#define APIC_ENABLE		0x100u
#define APIC_LVT_TIMER		0x320u
#define APIC_INITIAL_COUNT	0x380u
#define APIC_DIVIDE		0x3e0u
#define APIC_DIVIDE_BY_1	0xbu
#define TICK			10000000u

#define VECTOR_SPURIOUS		0xffu

/* The I/O APIC (82093AA datasheet) */
#define IOAPIC_BASE		0xfec00000u
#define IOAPIC_SELECT		0x00u
#define IOAPIC_WINDOW		0x10u
#define IOAPIC_ENTRY(pin)	(0x10u + 2 * (pin))
#define IOAPIC_LEVEL		0x8000u

struct ring {
	uint32_t frames;
	uint32_t last_seq;
	uint32_t chain;
	uint32_t next_slot;
	uint32_t owed;		/* slots read and not yet returned */
	uint32_t served;	/* interrupts that were acted on */
};

struct diary {
	struct ring ring[LU_QUEUES];
	uint32_t ticks;		/* that were acted on */
	uint32_t head;		/* receive head at the last look */
	uint64_t beat;		/* TSC at the last heartbeat */
	uint64_t longest;	/* between two of them */
};

static struct lu_guest_control *control(void)
{
	return (void *)(LU_RAM_BASE + LU_CONTROL_OFFSET);
}

static struct lu_rx_desc *descriptor(uint32_t queue, uint32_t slot)
{
	return (struct lu_rx_desc *)(LU_RAM_BASE + LU_RING_OFFSET) +
	       queue * LU_QUEUE_SLOTS + slot;
}

static uint32_t buffer_offset(uint32_t queue, uint32_t slot)
{
	return LU_BUFFERS_OFFSET + (queue * LU_QUEUE_SLOTS + slot) * LU_SLOT_SIZE;
}

static void *bar(void)
{
	return (void *)LU_BAR_BASE;
}

static void *apic(void)
{
	return (void *)APIC_BASE;
}

/* --- interrupts --------------------------------------------------------------- */

struct interrupt_frame;

static void count(uint32_t *interrupts)
{
	lu_inc(interrupts);
	lu_write_reg(apic(), APIC_EOI, 0);
}

/* Once: KVM has a periodic mode only for a guest with a CPUID. */
static void start_timer(void)
{
	lu_write_reg(apic(), APIC_INITIAL_COUNT, TICK);
}

static __attribute__((interrupt)) void on_timer(struct interrupt_frame *frame)
{
	(void)frame;
	start_timer();
	count(&control()->ticks);
}

/* Not acknowledged. */
static __attribute__((interrupt)) void on_spurious(struct interrupt_frame *frame)
{
	(void)frame;
}

/* In the middle of a handler, when the VMM wants the guest to be there. */
static void wait_if_held(void)
{
	struct lu_guest_control *c = control();

	if (!lu_load(&c->hold))
		return;
	lu_inc(&c->held);
	while (lu_load(&c->hold))
		__builtin_ia32_pause();
}

/* The cause is cleared first: INTx is level-triggered. */
static void count_queue(uint32_t queue)
{
	wait_if_held();
	if (control()->mode != LU_MSIX)
		lu_read_reg(bar(), LU_IGB_ICR);
	count(&control()->queue[queue].interrupts);
}

#define ON_QUEUE(n)							\
static __attribute__((interrupt)) void on_queue_ ## n(struct interrupt_frame *frame) \
{									\
	(void)frame;							\
	count_queue(n);							\
}

ON_QUEUE(0)
ON_QUEUE(1)
ON_QUEUE(2)
ON_QUEUE(3)

typedef void (*handler)(struct interrupt_frame *frame);

/* A 32-bit interrupt gate. */
static void set_gate(uint32_t vector, handler handler)
{
	uint32_t *gate = (uint32_t *)(LU_RAM_BASE + LU_IDT_OFFSET) + 2 * vector;
	uint32_t offset = (uint32_t)handler;

	gate[0] = CODE_SELECTOR << 16 | (offset & 0xffff);
	gate[1] = (offset & 0xffff0000) | 0x8e00;
}

#pragma pack(push, 2)
struct table {
	uint16_t limit;
	uint32_t base;
};

#pragma pack(pop)

/* The segments that the VMM has loaded, as an interrupt loads its own. */
static void set_up_tables(void)
{
	const struct table gdt = { 3 * 8 - 1, LU_RAM_BASE + LU_GDT_OFFSET };
	const struct table idt = { 256 * 8 - 1, LU_RAM_BASE + LU_IDT_OFFSET };
	uint32_t *segment = (uint32_t *)gdt.base;

	segment[0] = 0;
	segment[1] = 0;
	segment[CODE_SELECTOR / 4] = 0x0000ffff;
	segment[CODE_SELECTOR / 4 + 1] = 0x00cf9b00;
	segment[DATA_SELECTOR / 4] = 0x0000ffff;
	segment[DATA_SELECTOR / 4 + 1] = 0x00cf9300;
	set_gate(LU_VECTOR_TIMER, on_timer);
	set_gate(LU_VECTOR_QUEUE + 0, on_queue_0);
	set_gate(LU_VECTOR_QUEUE + 1, on_queue_1);
	set_gate(LU_VECTOR_QUEUE + 2, on_queue_2);
	set_gate(LU_VECTOR_QUEUE + 3, on_queue_3);
	set_gate(VECTOR_SPURIOUS, on_spurious);
	__asm__ __volatile__("lgdt %0" :: "m" (gdt) : "memory");
	__asm__ __volatile__("lidt %0" :: "m" (idt) : "memory");
}

static void set_up_apic(void)
{
	lu_write_reg(apic(), APIC_SPURIOUS, APIC_ENABLE | VECTOR_SPURIOUS);
	lu_write_reg(apic(), APIC_TPR, 0);
	lu_write_reg(apic(), APIC_DIVIDE, APIC_DIVIDE_BY_1);
	lu_write_reg(apic(), APIC_LVT_TIMER, LU_VECTOR_TIMER);
	start_timer();
}

static void write_ioapic(uint32_t reg, uint32_t value)
{
	lu_write_reg((void *)IOAPIC_BASE, IOAPIC_SELECT, reg);
	lu_write_reg((void *)IOAPIC_BASE, IOAPIC_WINDOW, value);
}

static void set_up_intx(void)
{
	if (control()->mode != LU_INTX)
		return;
	write_ioapic(IOAPIC_ENTRY(LU_INTX_PIN) + 1, 0);
	write_ioapic(IOAPIC_ENTRY(LU_INTX_PIN), IOAPIC_LEVEL | LU_VECTOR_QUEUE);
}

/* --- frames ------------------------------------------------------------------- */

static void publish(const struct diary *d, uint32_t queue)
{
	struct lu_guest_queue *q = &control()->queue[queue];
	const struct ring *ring = &d->ring[queue];

	lu_inc(&control()->lock);
	lu_barrier();
	lu_store(&q->frames, ring->frames);
	lu_store(&q->last_seq, ring->last_seq);
	lu_store(&q->chain, ring->chain);
	lu_store(&q->next_slot, ring->next_slot);
	lu_barrier();
	lu_inc(&control()->lock);
}

static void check_frame(struct ring *ring, uint32_t queue, const struct lu_frame *f,
			uint32_t length)
{
	switch (lu_frame_check(f, length, ring->last_seq)) {
	case LU_FRAME_GOOD:
		if (f->dst[5] != queue) {
			lu_inc(&control()->not_a_frame);
			break;
		}
		ring->chain = lu_chain(ring->chain, f->seq, f->sum);
		ring->last_seq = f->seq;
		ring->frames++;
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
static void rearm(uint32_t queue, uint32_t slot)
{
	struct lu_rx_desc *desc = descriptor(queue, slot);

	desc->read.header = 0;
	desc->read.addr = lu_dma_address((void *)LU_RAM_BASE,
					 buffer_offset(queue, slot));
}

static void take_frame(struct diary *d, uint32_t queue)
{
	struct ring *ring = &d->ring[queue];
	uint32_t slot = ring->next_slot;

	lu_barrier();
	check_frame(ring, queue, (void *)(LU_RAM_BASE + buffer_offset(queue, slot)),
		    descriptor(queue, slot)->wb.length);
	lu_barrier();
	ring->next_slot = (slot + 1) % LU_QUEUE_SLOTS;
	ring->owed++;
	publish(d, queue);
	lu_barrier();
	rearm(queue, slot);
}

/*
 * The tail is the one slot the device does not own, and that is always the
 * one read last.
 */
static void give_back(struct ring *ring, uint32_t queue)
{
	if (!ring->owed)
		return;
	lu_write_reg(bar(), LU_IGB_RDT(queue),
		     (ring->next_slot + LU_QUEUE_SLOTS - 1) % LU_QUEUE_SLOTS);
	ring->owed = 0;
}

static void take_frames(struct diary *d, uint32_t queue)
{
	struct ring *ring = &d->ring[queue];

	while (lu_load(&descriptor(queue, ring->next_slot)->wb.status) & RX_DONE) {
		take_frame(d, queue);
		if (ring->owed >= GIVE_BACK_BATCH)
			give_back(ring, queue);
	}
	give_back(ring, queue);
}

/* --- the guest's life --------------------------------------------------------- */

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
	uint32_t head = lu_read_reg(bar(), LU_IGB_RDH(0));

	lu_store(&c->status_reg, lu_read_reg(bar(), LU_IGB_STATUS));
	/* Who sees the new head sees that it has moved. */
	if (head != d->head)
		lu_inc(&c->head_moves);
	d->head = head;
	lu_store(&c->head_reg, head);
}

/* Whose interrupt is for @queue. */
static uint32_t interrupt_of(uint32_t queue)
{
	return control()->mode == LU_MSIX ? queue : 0;
}

/*
 * Interrupts are taken here only.  One that came before is taken at once: the
 * processor takes none between the first two instructions.
 */
static void sleep(void)
{
	__asm__ __volatile__("sti; hlt; cli" ::: "memory");
}

static void serve(struct diary *d)
{
	const struct lu_guest_control *c = control();
	uint32_t ticks = lu_load(&c->ticks), served, q;

	if (ticks / TICKS_PER_LOOK != d->ticks / TICKS_PER_LOOK)
		look_at_device(d);
	d->ticks = ticks;
	for (q = 0; q < LU_QUEUES; q++) {
		served = lu_load(&c->queue[interrupt_of(q)].interrupts);
		if (served == d->ring[q].served)
			continue;
		d->ring[q].served = served;
		take_frames(d, q);
	}
}

/* The entry: lu_guest_code.lds puts it first, the VMM gives it a stack. */
void lu_guest_main(void)
{
	struct diary d = { 0 };

	set_up_tables();
	set_up_apic();
	set_up_intx();
	for (;;) {
		beat(&d);
		serve(&d);
		sleep();
	}
}
