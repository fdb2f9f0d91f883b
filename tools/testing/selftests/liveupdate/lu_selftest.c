// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the guest and the VMM's parts that need no device: the test itself
 * plays the device, with a page of memory for its registers.
 */
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lu_access.h"
#include "lu_memory.h"
#include "lu_state.h"
#include "lu_vm.h"

#define PATIENCE_MS	10000

/* What sender and observer were built with must not drift from the guest. */
static_assert(sizeof(struct lu_rx_desc) == 16, "descriptor");
static_assert(offsetof(struct lu_frame, magic) == 16, "frame");
static_assert(offsetof(struct lu_frame, body) == 32, "frame");
static_assert(offsetof(struct lu_frame, sum) == 224, "frame");
static_assert(sizeof(struct lu_frame) == 228, "frame");
static_assert(sizeof(struct lu_guest_queue) == 32, "queue");
static_assert(sizeof(struct lu_guest_control) == 208, "control");
static_assert(LU_GDT_OFFSET + 3 * 8 <= LU_CONTROL_OFFSET, "tables and control page");
static_assert(LU_CONTROL_OFFSET + sizeof(struct lu_guest_control) <=
	      LU_RING_OFFSET, "control page and ring overlap");
static_assert(LU_RING_OFFSET + LU_SLOTS * sizeof(struct lu_rx_desc) <=
	      LU_DMA_OFFSET, "ring and table of addresses overlap");
static_assert(LU_DMA_OFFSET + LU_PAGES * sizeof(uint64_t) <= LU_BUFFERS_OFFSET,
	      "table of addresses and buffers overlap");
static_assert(LU_BUFFERS_OFFSET + LU_SLOTS * LU_SLOT_SIZE <= LU_RAM_SIZE,
	      "buffers reach beyond the memory");
static_assert(sizeof(struct lu_frame) <= LU_SLOT_SIZE, "frame and slot");

static struct lu_frame good_frame(uint32_t seq)
{
	struct lu_frame f = {
		.ethertype = { LU_ETHERTYPE >> 8, LU_ETHERTYPE & 0xff },
		.magic = LU_FRAME_MAGIC,
		.seq = seq,
		.sent_ns = 0x0123456789abcdefull,
	};
	uint32_t i;

	lu_queue_address(f.dst, 0);
	for (i = 0; i < LU_FRAME_WORDS; i++)
		f.body[i] = lu_frame_word(seq, i);
	f.sum = lu_frame_sum(&f);
	return f;
}

TEST(frame_vectors)
{
	struct lu_frame f = good_frame(7);

	EXPECT_EQ(lu_frame_word(1, 0), 0xc80743fbu);
	EXPECT_EQ(lu_frame_word(7, 47), 0xf26d0de8u);
	EXPECT_EQ(f.sum, 0xbe60c21fu);
	EXPECT_EQ(lu_chain(0, 7, f.sum), 0x334fde76u);
	EXPECT_EQ(lu_chain(0xdeadbeef, 8, 0x12345678), 0xf209609bu);
}

TEST(frame_check)
{
	struct lu_frame f = good_frame(7);

	EXPECT_EQ(lu_frame_check(&f, sizeof(f), 6), LU_FRAME_GOOD);
	EXPECT_EQ(lu_frame_check(&f, sizeof(f), 7), LU_FRAME_OLD);
	EXPECT_EQ(lu_frame_check(&f, sizeof(f) - 1, 6), LU_FRAME_OTHER);
	f.sent_ns ^= 1;
	EXPECT_EQ(lu_frame_check(&f, sizeof(f), 6), LU_FRAME_BAD);
}

TEST(state_round_trip)
{
	struct lu_state s, copy;
	unsigned char *bytes = (unsigned char *)&copy;
	size_t i;

	memset(&s, 0x5a, sizeof(s));
	lu_state_seal(&s);
	EXPECT_EQ(NULL, lu_state_refusal(&s));
	for (i = 0; i < sizeof(s); i++) {
		copy = s;
		bytes[i] ^= 0x10;
		EXPECT_NE(NULL, lu_state_refusal(&copy)) {
			TH_LOG("damage at byte %zu was not noticed", i);
			break;
		}
	}
}

TEST(state_version)
{
	struct lu_state s;

	memset(&s, 0, sizeof(s));
	EXPECT_NE(NULL, lu_state_refusal(&s));
	lu_state_seal(&s);
	s.version++;
	EXPECT_STREQ(lu_state_refusal(&s), "it has another version");
	s.version--;
	s.size--;
	EXPECT_STREQ(lu_state_refusal(&s), "it has another size");
}

TEST(memory_is_sealed)
{
	int fd = lu_memory_create("lu-selftest", 2 * LU_STATE_FILE_SIZE, false);
	char *mem = lu_memory_map(fd, 2 * LU_STATE_FILE_SIZE);

	EXPECT_EQ(-1, ftruncate(fd, LU_STATE_FILE_SIZE));
	EXPECT_EQ(-1, ftruncate(fd, 3 * LU_STATE_FILE_SIZE));
	mem[LU_STATE_FILE_SIZE] = 1;
	EXPECT_EQ(0, (uintptr_t)mem % 0x200000);
}

struct machine {
	struct lu_vm vm;
	int ram_fd;
	void *ram;
	uint32_t *bar;
	uint32_t head[LU_QUEUES];	/* where the device writes next */
	uint32_t chain[LU_QUEUES];	/* what the guest's must be */
};

/* What is signaled before the guest has set up its local APIC is lost. */
static bool await_guest(struct machine *m)
{
	struct lu_guest_control *c = lu_vm_control(m->ram);
	int left;

	for (left = PATIENCE_MS; left && !lu_load(&c->ticks); left--) {
		if (lu_vm_why_dead(&m->vm))
			return false;
		usleep(1000);
	}
	return lu_load(&c->ticks);
}

FIXTURE(guest)
{
	struct machine m;
};

FIXTURE_SETUP(guest)
{
	struct machine *m = &self->m;
	const char *why = lu_vm_unavailable();
	uint64_t *pages;
	uint32_t page, q;

	if (why)
		SKIP(return, "no KVM here: %s", why);
	m->ram_fd = lu_memory_create("lu-selftest", LU_RAM_SIZE, false);
	m->ram = lu_memory_map(m->ram_fd, LU_RAM_SIZE);
	m->bar = mmap(NULL, LU_BAR_SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, m->bar);
	m->bar[LU_IGB_STATUS / 4] = 0x80083;
	for (q = 0; q < LU_QUEUES; q++)
		m->bar[LU_IGB_RDT(q) / 4] = LU_QUEUE_SLOTS - 1;
	lu_vm_create(&m->vm, m->ram);
	lu_vm_connect(&m->vm);
	lu_vm_set_bar(&m->vm, m->bar);
	pages = (uint64_t *)((char *)m->ram + LU_DMA_OFFSET);
	for (page = 0; page < LU_PAGES; page++)
		pages[page] = LU_RAM_BASE + page * LU_PAGE_SIZE;
	lu_vm_prepare_ring(m->ram);
	lu_vm_boot(&m->vm, LU_MSIX);
	lu_vm_start(&m->vm);
	ASSERT_TRUE(await_guest(m));
}

FIXTURE_TEARDOWN(guest)
{
	struct machine *m = &self->m;
	const char *why = lu_vm_why_dead(&m->vm);

	if (why)
		TH_LOG("the guest died: %s", why);
	EXPECT_EQ(NULL, why);
	lu_vm_destroy(&m->vm);
	munmap(m->bar, LU_BAR_SIZE);
	close(m->ram_fd);
}

static bool await(struct lu_vm *vm, uint32_t *word, uint32_t value)
{
	int left;

	for (left = PATIENCE_MS; left && lu_load(word) != value; left--) {
		if (lu_vm_why_dead(vm))
			return false;
		usleep(1000);
	}
	return lu_load(word) == value;
}

static bool await_slots(struct machine *m)
{
	struct lu_guest_control *c = lu_vm_control(m->ram);
	uint32_t q;

	for (q = 0; q < LU_QUEUES; q++)
		if (!await(&m->vm, &c->queue[q].next_slot, m->head[q]))
			return false;
	return true;
}

static bool has_descriptor(struct machine *m, uint32_t queue)
{
	uint32_t *tail = &m->bar[LU_IGB_RDT(queue) / 4];
	int left;

	for (left = PATIENCE_MS; left && lu_load(tail) == m->head[queue]; left--)
		usleep(1000);
	return lu_load(tail) != m->head[queue];
}

/* The device's part: into the next buffer, then into the descriptor, without a message. */
static bool deliver_silently(struct machine *m, uint32_t queue, const struct lu_frame *f,
			     uint16_t length)
{
	uint32_t slot = queue * LU_QUEUE_SLOTS + m->head[queue];
	struct lu_rx_desc *desc = lu_vm_ring(m->ram) + slot;

	if (!has_descriptor(m, queue) ||
	    desc->read.addr != LU_RAM_BASE + LU_BUFFERS_OFFSET +
			       (uint64_t)slot * LU_SLOT_SIZE)
		return false;
	memcpy(lu_vm_buffer(m->ram, slot), f, sizeof(*f));
	/* The write-back takes the place of the address, as on the device. */
	desc->wb.info = 0;
	desc->wb.rss = ~slot;
	desc->wb.length = length;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	lu_store(&desc->wb.status, 3);
	m->head[queue] = (m->head[queue] + 1) % LU_QUEUE_SLOTS;
	lu_store(&m->bar[LU_IGB_RDH(queue) / 4], m->head[queue]);
	return true;
}

static bool deliver(struct machine *m, const struct lu_frame *f, uint16_t length)
{
	if (!deliver_silently(m, 0, f, length))
		return false;
	lu_vm_signal(&m->vm, 0);
	return true;
}

static bool deliver_good_to(struct machine *m, uint32_t queue, uint32_t seq)
{
	struct lu_frame f = good_frame(seq);

	lu_queue_address(f.dst, queue);
	m->chain[queue] = lu_chain(m->chain[queue], f.seq, f.sum);
	return deliver_silently(m, queue, &f, sizeof(f));
}

static bool deliver_good(struct machine *m, uint32_t seq)
{
	if (!deliver_good_to(m, 0, seq))
		return false;
	lu_vm_signal(&m->vm, 0);
	return true;
}

TEST_F(guest, lives)
{
	struct machine *m = &self->m;
	struct lu_guest_control *c = lu_vm_control(m->ram);
	uint32_t heartbeat;

	EXPECT_TRUE(await(&m->vm, &c->status_reg, 0x80083));
	heartbeat = lu_load(&c->heartbeat);
	usleep(200000);
	EXPECT_NE(heartbeat, lu_load(&c->heartbeat));
	EXPECT_EQ(0, c->queue[0].frames);
	EXPECT_EQ(0, c->queue[0].chain);
	EXPECT_EQ(0, c->head_moves);
}

TEST_F(guest, accepts_good_frames)
{
	struct machine *m = &self->m;
	struct lu_guest_control c;
	uint32_t seq;

	for (seq = 1; seq <= 100; seq++)
		ASSERT_TRUE(deliver_good(m, seq));
	ASSERT_TRUE(await_slots(m));
	c = lu_vm_read_control(m->ram);
	EXPECT_EQ(100, c.queue[0].frames);
	EXPECT_EQ(100, c.queue[0].last_seq);
	EXPECT_EQ(m->chain[0], c.queue[0].chain);
	EXPECT_EQ(0, c.bad_content + c.out_of_order + c.not_a_frame);
	EXPECT_TRUE(await(&m->vm, &lu_vm_control(m->ram)->head_reg, 100));
	EXPECT_LT(0, lu_vm_control(m->ram)->head_moves);
	/* All but the slot read last belong to the device again. */
	EXPECT_TRUE(await(&m->vm, &m->bar[LU_IGB_RDT(0) / 4], 99));
}

TEST_F(guest, goes_round_the_ring)
{
	struct machine *m = &self->m;
	struct lu_guest_control c;
	uint32_t seq;

	for (seq = 1; seq <= LU_QUEUE_SLOTS + 50; seq++)
		ASSERT_TRUE(deliver_good(m, seq));
	ASSERT_TRUE(await_slots(m));
	c = lu_vm_read_control(m->ram);
	EXPECT_EQ(LU_QUEUE_SLOTS + 50, c.queue[0].frames);
	EXPECT_EQ(50, c.queue[0].next_slot);
	EXPECT_EQ(m->chain[0], c.queue[0].chain);
}

TEST_F(guest, rejects_damage)
{
	struct machine *m = &self->m;
	struct lu_guest_control c;
	struct lu_frame f;

	ASSERT_TRUE(deliver_good(m, 1));
	f = good_frame(2);
	f.body[LU_FRAME_WORDS - 1] ^= 1 << 31;
	f.sum = lu_frame_sum(&f);
	ASSERT_TRUE(deliver(m, &f, sizeof(f)));
	f = good_frame(3);
	f.sum++;
	ASSERT_TRUE(deliver(m, &f, sizeof(f)));
	f = good_frame(4);
	f.magic++;
	ASSERT_TRUE(deliver(m, &f, sizeof(f)));
	f = good_frame(5);
	ASSERT_TRUE(deliver(m, &f, 60));
	f = good_frame(1);
	ASSERT_TRUE(deliver(m, &f, sizeof(f)));
	ASSERT_TRUE(deliver_good(m, 9));
	ASSERT_TRUE(await_slots(m));
	c = lu_vm_read_control(m->ram);
	EXPECT_EQ(2, c.queue[0].frames);
	EXPECT_EQ(9, c.queue[0].last_seq);
	EXPECT_EQ(2, c.bad_content);
	EXPECT_EQ(2, c.not_a_frame);
	EXPECT_EQ(1, c.out_of_order);
	EXPECT_EQ(m->chain[0], c.queue[0].chain);
}

TEST_F(guest, survives_without_device)
{
	struct machine *m = &self->m;
	struct lu_guest_control *c = lu_vm_control(m->ram);

	ASSERT_TRUE(await(&m->vm, &c->status_reg, 0x80083));
	lu_vm_set_bar(&m->vm, NULL);
	EXPECT_TRUE(await(&m->vm, &c->status_reg, 0xffffffff));
	ASSERT_TRUE(deliver_good(m, 1));
	EXPECT_TRUE(await_slots(m));
	/* The order to take the slot back went nowhere ... */
	EXPECT_EQ(LU_QUEUE_SLOTS - 1, m->bar[LU_IGB_RDT(0) / 4]);
	lu_vm_set_bar(&m->vm, m->bar);
	EXPECT_TRUE(await(&m->vm, &c->status_reg, 0x80083));
	ASSERT_TRUE(deliver_good(m, 2));
	/* ... and is made up for with the next. */
	EXPECT_TRUE(await(&m->vm, &m->bar[LU_IGB_RDT(0) / 4], 1));
	EXPECT_EQ(m->chain[0], lu_vm_read_control(m->ram).queue[0].chain);
}

/* As after a kexec: a new VM from the memory and the saved registers. */
static void save_and_replace(struct machine *m, struct lu_state *s)
{
	uint32_t q;

	lu_vm_disconnect(&m->vm, s->missed);
	lu_vm_save(&m->vm, &s->vcpu);
	lu_vm_destroy(&m->vm);
	lu_vm_create(&m->vm, m->ram);
	lu_vm_set_bar(&m->vm, m->bar);
	lu_vm_load(&m->vm, &s->vcpu);
	lu_vm_connect(&m->vm);
	for (q = 0; q < LU_QUEUES; q++)
		if (s->missed[q])
			lu_vm_signal(&m->vm, q);
}

static void replace_vm(struct machine *m, struct lu_state *s)
{
	lu_vm_stop(&m->vm);
	save_and_replace(m, s);
}

TEST_F(guest, continues_in_a_new_vm)
{
	struct machine *m = &self->m;
	static struct lu_state s;
	struct lu_guest_control c;
	uint32_t seq, round;

	for (round = 0; round < 20; round++) {
		for (seq = 1; seq <= 10; seq++)
			ASSERT_TRUE(deliver_good(m, round * 100 + seq));
		replace_vm(m, &s);
		for (seq = 11; seq <= 20; seq++)
			ASSERT_TRUE(deliver_good(m, round * 100 + seq));
		lu_vm_start(&m->vm);
	}
	ASSERT_TRUE(await_slots(m));
	c = lu_vm_read_control(m->ram);
	EXPECT_EQ(400, c.queue[0].frames);
	EXPECT_EQ(m->chain[0], c.queue[0].chain);
	EXPECT_EQ(0, c.bad_content + c.out_of_order + c.not_a_frame);
}

/* It looks at a ring after that ring's interrupt, and else at none. */
TEST_F(guest, sleeps_until_it_is_interrupted)
{
	struct machine *m = &self->m;
	struct lu_guest_control *c = lu_vm_control(m->ram);
	uint32_t ticks, q;

	for (q = 0; q < LU_QUEUES; q++)
		ASSERT_TRUE(deliver_good_to(m, q, q + 1));
	ticks = lu_load(&c->ticks);
	lu_vm_signal(&m->vm, 2);
	EXPECT_TRUE(await(&m->vm, &c->queue[2].next_slot, 1));
	while (lu_load(&c->ticks) - ticks < 20 && !lu_vm_why_dead(&m->vm))
		usleep(1000);
	EXPECT_EQ(0, lu_load(&c->queue[0].frames) + lu_load(&c->queue[1].frames) +
		  lu_load(&c->queue[3].frames));
	for (q = 0; q < LU_QUEUES; q++)
		lu_vm_signal(&m->vm, q);
	EXPECT_TRUE(await_slots(m));
	for (q = 0; q < LU_QUEUES; q++) {
		EXPECT_EQ(m->chain[q], c->queue[q].chain);
		/* QEMU's emulation of SVM delivers one of many twice. */
		EXPECT_LE(q == 2 ? 2 : 1, lu_load(&c->queue[q].interrupts));
	}
}

/* An interrupt that arrives while the guest is stopped is delivered in the new VM. */
static bool await_interrupt(struct machine *m, uint32_t queue, uint32_t before)
{
	uint32_t *interrupts = &lu_vm_control(m->ram)->queue[queue].interrupts;
	int left;

	for (left = PATIENCE_MS; left && lu_load(interrupts) == before; left--)
		usleep(1000);
	return lu_load(interrupts) != before;
}

/* A frame may be found before its interrupt, when the guest was stopped at the ring. */
TEST_F(guest, takes_its_interrupts_along)
{
	struct machine *m = &self->m;
	struct lu_guest_control *c = lu_vm_control(m->ram);
	uint32_t round, q, before[LU_QUEUES];
	static struct lu_state s;

	for (round = 1; round <= 20; round++) {
		lu_vm_stop(&m->vm);
		for (q = 0; q < LU_QUEUES; q += 2) {
			before[q] = lu_load(&c->queue[q].interrupts);
			ASSERT_TRUE(deliver_good_to(m, q, round));
			lu_vm_signal(&m->vm, q);
		}
		save_and_replace(m, &s);
		lu_vm_start(&m->vm);
		for (q = 0; q < LU_QUEUES; q += 2)
			ASSERT_TRUE(await_interrupt(m, q, before[q]));
		ASSERT_TRUE(await_slots(m));
	}
	EXPECT_EQ(0, lu_load(&c->queue[1].interrupts) + lu_load(&c->queue[3].interrupts));
}

/* Wherever the guest is stopped, its control page can be read and adds up. */
TEST_F(guest, stops_with_its_diary_closed)
{
	struct machine *m = &self->m;
	struct lu_guest_control c;
	uint32_t seq;

	for (seq = 1; seq <= 200; seq++) {
		ASSERT_TRUE(deliver_good(m, seq));
		usleep(seq % 16 * 10);
		lu_vm_stop(&m->vm);
		ASSERT_EQ(0, lu_vm_control(m->ram)->lock & 1);
		lu_vm_start(&m->vm);
	}
	ASSERT_TRUE(await_slots(m));
	c = lu_vm_read_control(m->ram);
	EXPECT_EQ(200, c.queue[0].frames);
	EXPECT_EQ(m->chain[0], c.queue[0].chain);
}

TEST_F(guest, continues_without_device)
{
	struct machine *m = &self->m;
	struct lu_guest_control *c = lu_vm_control(m->ram);
	static struct lu_state s;
	int round;

	/* The vCPU is stopped between an access and its completion, too. */
	lu_vm_set_bar(&m->vm, NULL);
	for (round = 0; round < 100; round++) {
		lu_vm_stop(&m->vm);
		lu_vm_save(&m->vm, &s.vcpu);
		lu_vm_load(&m->vm, &s.vcpu);
		lu_vm_start(&m->vm);
		usleep(500 * (round % 8));
	}
	EXPECT_EQ(NULL, lu_vm_why_dead(&m->vm));
	ASSERT_TRUE(deliver_good(m, 1));
	EXPECT_TRUE(await_slots(m));
	EXPECT_EQ(1, c->queue[0].frames);
	EXPECT_TRUE(await(&m->vm, &c->status_reg, 0xffffffff));
}

/* The registers the guest does not use are carried over all the same. */
TEST_F(guest, all_registers_are_carried_over)
{
	struct machine *m = &self->m;
	static struct lu_state s;
	static struct lu_vcpu_state want, got;
	size_t i;

	lu_vm_stop(&m->vm);
	lu_vm_save(&m->vm, &want);
	for (i = 0; i < sizeof(want.fpu.xmm); i++)
		((uint8_t *)want.fpu.xmm)[i] = i * 7 + 1;
	want.fpu.fcw = 0x27f;
	want.regs.r9 = 0x1122334455667788;
	want.debugregs.db[0] = LU_RAM_BASE;
	lu_vm_load(&m->vm, &want);
	save_and_replace(m, &s);
	lu_vm_save(&m->vm, &got);
	EXPECT_EQ(0, memcmp(want.fpu.xmm, got.fpu.xmm, sizeof(want.fpu.xmm)));
	EXPECT_EQ(want.fpu.fcw, got.fpu.fcw);
	EXPECT_EQ(0, memcmp(&want.regs, &got.regs, sizeof(want.regs)));
	EXPECT_EQ(0, memcmp(&want.sregs, &got.sregs, sizeof(want.sregs)));
	EXPECT_EQ(want.debugregs.db[0], got.debugregs.db[0]);
	lu_vm_start(&m->vm);
}

/* The purpose of the diary: a restarted guest is detected. */
TEST_F(guest, a_new_guest_is_found_out)
{
	struct machine *m = &self->m;
	struct lu_guest_control c;
	uint32_t seq;

	for (seq = 1; seq <= 10; seq++)
		ASSERT_TRUE(deliver_good(m, seq));
	ASSERT_TRUE(await_slots(m));
	lu_vm_stop(&m->vm);
	lu_vm_destroy(&m->vm);
	lu_vm_create(&m->vm, m->ram);
	lu_vm_connect(&m->vm);
	lu_vm_set_bar(&m->vm, m->bar);
	c = lu_vm_read_control(m->ram);
	lu_vm_boot(&m->vm, LU_MSIX);
	*lu_vm_control(m->ram) = c;
	/* The new guest reads slot 0, which has a frame. */
	m->head[0] = 0;
	m->bar[LU_IGB_RDT(0) / 4] = LU_QUEUE_SLOTS - 1;
	lu_store(&lu_vm_control(m->ram)->ticks, 0);
	lu_vm_start(&m->vm);
	ASSERT_TRUE(await_guest(m));
	ASSERT_TRUE(deliver_good(m, 11));
	ASSERT_TRUE(await_slots(m));
	c = lu_vm_read_control(m->ram);
	EXPECT_NE(m->chain[0], c.queue[0].chain);
	EXPECT_EQ(1, c.queue[0].frames);
}

TEST_HARNESS_MAIN
