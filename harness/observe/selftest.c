// SPDX-License-Identifier: GPL-2.0-only
/*
 * The observer's parts that need no machine, tested against made-up input.
 * Built from the same sources with -DOBSERVE_SELFTEST; prints TAP.
 */
#ifdef OBSERVE_SELFTEST
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "observe.h"

static unsigned int tests, failures;

static void point(bool good, const char *fmt, ...) PRINTF(2, 3);

static void point(bool good, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %u - ", good ? "" : "not ", ++tests);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	failures += !good;
}

static void same(long long got, long long want, const char *what)
{
	point(got == want, "%s", what);
	if (got != want)
		printf("# got %lld, wanted %lld\n", got, want);
}

/* --- configuration space -------------------------------------------------- */

static void put16(struct function *f, unsigned int off, uint16_t value)
{
	f->cfg[off] = value;
	f->cfg[off + 1] = value >> 8;
}

static void put32(struct function *f, unsigned int off, uint32_t value)
{
	put16(f, off, value);
	put16(f, off + 2, value >> 16);
}

#define AT_PM	0x40
#define AT_MSIX	0x50
#define AT_EXP	0x60
#define AT_AER	0x100

/* An endpoint in use: BAR 0 of 128 KiB, no BAR 1, MSI-X on, bus master. */
static struct function *endpoint(void)
{
	struct function *f = calloc(1, sizeof(*f));

	strcpy(f->bdf, "0000:01:00.0");
	f->bus = 1;
	f->is_device = true;
	f->len = CONFIG_BYTES;
	put32(f, 0, 0x10c98086);
	put16(f, PCI_COMMAND, 0x0107);
	put16(f, PCI_STATUS, PCI_STATUS_CAP_LIST | 0x8000);
	put32(f, PCI_BASE_ADDRESS_0, 0xfe600000);
	f->cfg[PCI_CAPABILITY_LIST] = AT_PM;
	put16(f, AT_PM, AT_MSIX << 8 | PCI_CAP_ID_PM);
	put16(f, AT_MSIX, AT_EXP << 8 | PCI_CAP_ID_MSIX);
	put16(f, AT_MSIX + PCI_MSIX_FLAGS, 0x8009);
	put16(f, AT_EXP, PCI_CAP_ID_EXP);
	put16(f, AT_EXP + PCI_EXP_FLAGS, 2);
	put16(f, AT_EXP + PCI_EXP_DEVCTL, 0x200f);
	put32(f, AT_AER, 0x00020001);
	put32(f, AT_AER + PCI_ERR_COR_STATUS, 0x2000);
	f->bars_known = true;
	f->bar_size[0] = 0x20000;
	shadow_learn(f);
	return f;
}

static struct function *bridge(void)
{
	struct function *f = calloc(1, sizeof(*f));

	strcpy(f->bdf, "0000:00:01.0");
	f->devfn = 1 << 3;
	f->len = 256;
	f->cfg[PCI_HEADER_TYPE] = PCI_HEADER_TYPE_BRIDGE;
	put16(f, PCI_COMMAND, 0x0107);
	f->cfg[PCI_SECONDARY_BUS] = 1;
	f->cfg[PCI_SUBORDINATE_BUS] = 1;
	put16(f, PCI_MEMORY_BASE, 0xfe60);
	shadow_learn(f);
	return f;
}

static void expect_write(struct function *f, unsigned int off,
			 unsigned int size, uint32_t value, const char *want,
			 uint32_t after, const char *what)
{
	struct write_effect e = shadow_write(f, off, size, value);
	char got[64];

	snprintf(got, sizeof(got), "%s%s",
		 e.state_changing ? "state_changing" : "same",
		 e.rw1c ? ",rw1c" : e.rw1c_maybe ? ",rw1c?" : "");
	point(!strcmp(got, want) && shadow_get(f, off, size) == after, "%s",
	      what);
	if (strcmp(got, want) || shadow_get(f, off, size) != after)
		printf("# got %s, 0x%x; wanted %s, 0x%x\n", got,
		       shadow_get(f, off, size), want, after);
}

static void test_shadow_endpoint(void)
{
	struct function *f = endpoint();

	expect_write(f, PCI_COMMAND, 2, 0x0107, "same", 0x0107,
		     "an equal write changes nothing");
	expect_write(f, PCI_COMMAND, 2, 0x0187, "same", 0x0107,
		     "a read-only bit changes nothing");
	expect_write(f, 0, 4, 0, "same", 0x10c98086,
		     "the vendor id is read-only");
	expect_write(f, PCI_COMMAND, 2, 0x0103, "state_changing", 0x0103,
		     "clearing bus mastering changes state");
	expect_write(f, PCI_COMMAND, 4, 0x80100103, "same,rw1c", 0x00100103,
		     "a set status bit is cleared by writing one");
	expect_write(f, PCI_COMMAND, 4, 0x80100103, "same,rw1c?", 0x00100103,
		     "a status bit that is clear may have been set since");
	expect_write(f, PCI_BASE_ADDRESS_0, 4, ~0u, "state_changing",
		     0xfffe0000, "sizing a BAR changes state: ones");
	expect_write(f, PCI_BASE_ADDRESS_0, 4, 0xfe600000, "state_changing",
		     0xfe600000, "sizing a BAR changes state: restored");
	expect_write(f, PCI_BASE_ADDRESS_1, 4, ~0u, "same", 0,
		     "sizing a BAR that is not there changes nothing");
	expect_write(f, PCI_ROM_ADDRESS, 4, 0xfffff800, "same", 0,
		     "sizing a ROM that is not there changes nothing");
	expect_write(f, AT_MSIX + 2, 2, 0x0009, "state_changing", 0x0009,
		     "disabling MSI-X changes state");
	expect_write(f, AT_MSIX + 2, 2, 0x0000, "same", 0x0009,
		     "the size of the MSI-X table is read-only");
	expect_write(f, AT_MSIX + 3, 1, 0x80, "state_changing", 0x80,
		     "one byte of a register");
	expect_write(f, AT_AER + PCI_ERR_COR_STATUS, 4, ~0u, "same,rw1c", 0,
		     "AER status is write-1-to-clear");
	expect_write(f, 0xf0, 4, 1, "state_changing", 1,
		     "unknown registers are writable");
	expect_write(f, AT_EXP + PCI_EXP_DEVCTL, 2, 0xa00f, "same", 0x200f,
		     "the reset bit reads as zero");
	free(f);
}

static void test_shadow_bridge(void)
{
	struct function *f = bridge();
	char name[64];

	expect_write(f, PCI_MEMORY_BASE, 4, 0x0000fe6f, "same", 0x0000fe60,
		     "the low bits of a window are read-only");
	expect_write(f, PCI_MEMORY_BASE, 2, 0xfff0, "state_changing", 0xfff0,
		     "closing a window changes state");
	expect_write(f, PCI_SEC_STATUS, 2, 0xf900, "same,rw1c?", 0,
		     "the secondary status is write-1-to-clear");
	expect_write(f, PCI_PRIMARY_BUS, 4, 0x00ff0100, "state_changing",
		     0x00ff0100, "bus numbers");
	shadow_name(f, PCI_BRIDGE_CONTROL, name, sizeof(name));
	point(!strcmp(name, "BRIDGE_CONTROL"), "a register has its name");
	free(f);
}

static void trace(struct trace *t, const char *line)
{
	char copy[256];

	snprintf(copy, sizeof(copy), "%s", line);
	trace_line(t, copy);
}

static bool stopped(const struct config *c, const char *what, const char *where)
{
	size_t i;

	for (i = 0; i < c->stops; i++)
		if (!strcmp(c->stop[i].what, what) &&
		    !strcmp(c->stop[i].where, where))
			return true;
	return false;
}

/* From trace lines to counts: a kexec at second 100, adopted at 103. */
static void test_config(void)
{
	struct config c = { .mismatches = -1 };
	struct trace t = { .config = &c };
	struct phases p = { 0 };

	c.fn[c.fns++] = endpoint();
	c.fn[c.fns++] = bridge();
	phases_enter(&p, PHASE_SHUTDOWN, 100 * NSEC_PER_SEC);
	phases_enter(&p, PHASE_ENUMERATION, 101 * NSEC_PER_SEC);
	phases_enter(&p, PHASE_AFTER, 103 * NSEC_PER_SEC);
	p.end_ns = 110 * NSEC_PER_SEC;
	trace(&t, "7@99.000000:pci_cfg_write igb 01:00.0 @0x4 <- 0x107");
	trace(&t, "7@100.500000:memory_region_ops_write cpu 0 mr 0x55 addr 0xcfc value 0x103 size 2 name 'pci-conf-data'");
	trace(&t, "7@100.500001:pci_cfg_write igb 01:00.0 @0x4 <- 0x103");
	trace(&t, "7@101.000000:memory_region_ops_write cpu 0 mr 0x55 addr 0xb000803e value 0x40 size 2 name 'pcie-mmcfg-mmio'");
	trace(&t, "7@101.000001:pci_cfg_write pcie-root-port 00:01.0 @0x3e <- 0x40");
	trace(&t, "7@101.100000:memory_region_ops_write cpu 0 mr 0x55 addr 0xb0008019 value 0x5 size 1 name 'pcie-mmcfg-mmio'");
	trace(&t, "7@101.100001:pci_cfg_write pcie-root-port 00:01.0 @0x19 <- 0x5");
	trace(&t, "7@101.200000:pci_cfg_write igb 05:00.0 @0x10 <- 0xffffffff");
	trace(&t, "7@101.300000:pci_cfg_write edu 00:09.0 @0x4 <- 0x0");
	trace(&t, "7@104.000000:pci_cfg_write igb 05:00.0 @0x4 <- 0x6");
	config_judge(&c, &p, NULL);
	same(c.device, 2, "writes to the device, by its new bus number too");
	same(c.path, 2, "writes to the path");
	same(c.by_owner, 1, "a write after the take-over is the owner's");
	same(c.state_changing, 4, "writes that changed state");
	same(c.size_guessed, 2, "writes whose size the trace did not say");
	same(c.write[1].size, 2, "the region's trace gives the size");
	point(stopped(&c, "bus mastering cleared", "0000:01:00.0") &&
	      stopped(&c, "secondary bus reset", "0000:00:01.0") &&
	      stopped(&c, "bus number changed", "0000:00:01.0"),
	      "what stopped the device is found");
	same(c.mismatches, -1, "without a dump at the end nothing is compared");
}

static void test_mismatch(void)
{
	struct config c = { 0 };
	struct phases p = { .end_ns = 10 };
	struct function *f = endpoint();

	c.fn[c.fns++] = f;
	memcpy(f->first, f->cfg, sizeof(f->cfg));
	memcpy(f->end, f->cfg, sizeof(f->cfg));
	f->end_len = f->len;
	f->end_ns = 5;
	f->end[PCI_STATUS + 1] = 0;	/* a status bit says nothing */
	f->end[PCI_COMMAND] = 0x03;	/* a write was overlooked */
	f->cfg[0xf0] = 1;		/* a write was ignored */
	config_judge(&c, &p, NULL);
	same(c.mismatches, 1, "an overlooked write is found at the end");
	same(c.ignored, 1, "a write the model ignores is told apart");
}

static void test_info_pci(void)
{
	struct config c = { 0 };
	char text[] = "{\"return\": \"  Bus  0, device   1, function 0:\\r\\n"
		"      BAR0: 32 bit memory at 0xfe800000 [0xfe800fff]\\r\\n"
		"  Bus  1, device   0, function 0:\\r\\n"
		"      BAR2: I/O at 0xc000 [0xc01f]\\r\\n"
		"      BAR4: 32 bit memory (not mapped)\\r\\n\"}";
	struct function *f = endpoint();

	c.fn[c.fns++] = f;
	config_info_pci(&c, text);
	point(f->bars_known && !f->bar_size[0] && f->bar_size[2] == 0x20,
	      "QEMU's list of BARs is understood");
	free(f);
}

/* --- frames --------------------------------------------------------------- */

#define SLOTS	16u

static void put_frame(struct memory *m, uint32_t slot, uint32_t seq,
		      uint64_t sent_ns, bool damaged)
{
	struct lu_frame frame;

	frame_build(&frame, seq, 0, sent_ns);
	if (damaged)
		frame.body[7] ^= 1;
	memcpy(m->map + slot * 2048, &frame, sizeof(frame));
}

static void set_up(struct memory *m, struct frames *f)
{
	memset(m, 0, sizeof(*m));
	memset(f, 0, sizeof(*f));
	m->size = 64 * 1024;
	m->map = calloc(1, m->size);
	memory_add(m, 0, 0, m->size);
	memory_end(m, 1);
	f->memory = m;
	f->rate = 100;
	frames_ring(f, SLOTS, 2048, 0, 1);
	f->started = true;
}

static uint64_t ms(uint64_t n)
{
	return n * NSEC_PER_MSEC;
}

static void test_frames(void)
{
	struct memory m;
	struct frames f;
	uint32_t chain = 0, seq, slot;
	struct lu_frame frame;

	set_up(&m, &f);
	put_frame(&m, 0, 3, 77, false);	/* an older run's */
	for (seq = 1; seq <= 40; seq++)
		frames_accepted(&f, 0, ms(1000 + seq));
	frames_watch(&f, ms(2000));
	same(f.landed, 0, "an older run's frame is not ours");
	/* 1..20 in order, one turn of the ring and more */
	for (seq = 1; seq <= 20; seq++) {
		put_frame(&m, (seq - 1) % SLOTS, seq, ms(1000 + seq), false);
		frames_watch(&f, ms(2000 + 10 * seq));
		frame_build(&frame, seq, 0, ms(1000 + seq));
		chain = lu_chain(chain, seq, frame.sum);
	}
	same(f.landed, 20, "frames land in ring order");
	same(f.queue[0].chain, chain, "the chain is the guest's");
	/* 21 never comes, 23 before 22, 24 twice, 25 damaged */
	slot = 20 % SLOTS;
	put_frame(&m, slot++, 23, ms(1023), false);
	put_frame(&m, slot++, 22, ms(1022), false);
	put_frame(&m, slot++, 24, ms(1024), false);
	put_frame(&m, slot++, 24, ms(1024), false);
	put_frame(&m, slot++, 25, ms(1025), true);
	frames_watch(&f, ms(2300));
	same(f.corrupted, 0, "a frame may be half written for a moment");
	frames_watch(&f, ms(2310));
	same(f.corrupted, 1, "but not for long");
	same(f.reordered, 1, "reordered");
	same(f.duplicated, 1, "duplicated");
	same(f.landed, 23, "each counts once");
	/* the ring starts again at its beginning */
	put_frame(&m, 0, 26, ms(1026), false);
	put_frame(&m, 1, 27, ms(1027), false);
	frames_watch(&f, ms(2500));
	same(f.landed, 25, "a ring that was set up again is found");
	same(f.info[20].landed_ns, 0, "a lost frame stays lost");
	same(f.info[26].landed_ns, ms(2500), "the time of an arrival");
}

static const char *pause_queue(struct frames *f, const char *args)
{
	char copy[64];

	snprintf(copy, sizeof(copy), "%s", args);
	return frames_pause(f, copy);
}

static void test_queues(void)
{
	struct memory m;
	struct frames f;
	uint32_t seq;

	set_up(&m, &f);
	point(frames_ring(&f, SLOTS, 2048, 0, 3) && frames_ring(&f, SLOTS, 2048, 0, 2),
	      "another number of queues is refused");
	f.queues = 2;
	for (seq = 1; seq <= 4; seq++)
		frames_accepted(&f, seq % 2, ms(1000 + seq));
	/* What is seen at once is seen queue by queue: 2, 4, 1, 3. */
	put_frame(&m, SLOTS / 2, 1, ms(1001), false);
	put_frame(&m, 0, 2, ms(1002), false);
	put_frame(&m, SLOTS / 2 + 1, 3, ms(1003), false);
	put_frame(&m, 1, 4, ms(1004), false);
	frames_watch(&f, ms(2000));
	same(f.landed, 4, "frames land in two queues");
	same(f.queue[1].landed, 2, "each in its queue");
	same(f.reordered, 0, "there is no order between queues");
	put_frame(&m, 2, 6, ms(1006), false);
	put_frame(&m, 3, 5, ms(1005), false);
	frames_accepted(&f, 0, ms(1005));
	frames_accepted(&f, 0, ms(1006));
	frames_watch(&f, ms(2001));
	same(f.reordered, 1, "there is in a queue");

	point(pause_queue(&f, "") && pause_queue(&f, "2") && pause_queue(&f, "1 x") && pause_queue(&f, "1 2 3"),
	      "pause: what cannot be is refused");
	point(!pause_queue(&f, "0") && !pause_queue(&f, "1 1"), "queues are paused");
	point(choose_queue(&f) && f.next_queue == 1, "the other one is sent to");
	frame_was_sent(&f, ms(1007));
	point(!choose_queue(&f), "nothing is sent after the last frame");
	frames_resume(&f);
	point(choose_queue(&f), "until they are resumed");
}

static struct gaps gaps_of(uint64_t adopted_ms, const uint64_t *at, size_t n)
{
	static struct frames f;
	struct phases p = { 0 };
	size_t i;

	memset(&f, 0, sizeof(f));
	f.rate = 100;
	f.stop_ns = ms(5000);
	phases_enter(&p, PHASE_BEFORE, ms(900));
	phases_enter(&p, PHASE_SHUTDOWN, ms(1000));
	if (adopted_ms)
		phases_enter(&p, PHASE_AFTER, ms(adopted_ms));
	p.end_ns = ms(6000);
	for (i = 0; i < n; i++) {
		frames_accepted(&f, 0, ms(1));
		f.info[i].landed_ns = ms(at[i]);
		f.landed++;
	}
	return frames_gaps(&f, &p);
}

static void test_gaps(void)
{
	static const uint64_t dead[] = { 970, 980, 995 };
	static const uint64_t alive[] = { 980, 995, 1010, 1400, 1500, 1510, 1540 };
	struct gaps g = gaps_of(0, dead, ARRAY_SIZE(dead));

	point(g.before_ms == 15 && g.during_ms < 0 && g.after_ms < 0,
	      "nothing lands after the kexec: the gap's length is not known");
	g = gaps_of(1505, alive, ARRAY_SIZE(alive));
	point(g.before_ms == 15 && g.during_ms == 390 && g.after_ms == 30,
	      "gaps before, during and after");
	g = gaps_of(2000, alive, ARRAY_SIZE(alive));
	point(g.during_ms < 0, "arrivals that end within the gap: not known");
}

/* --- memory, phases, console ---------------------------------------------- */

static void test_memory(void)
{
	struct memory m = { .size = 1 << 16 };
	volatile uint8_t *p;

	m.map = calloc(1, m.size);
	same(memory_canary_fill(&m, 0x8000, 0x2000) != NULL, 0, "a canary");
	same(memory_canary_damaged(&m), 0, "an undamaged canary");
	m.map[0x9123] ^= 1;
	same(memory_canary_damaged(&m), 1, "a damaged canary, in pages");
	memory_add(&m, 0, 0x3000, 0x1000);
	memory_add(&m, 0x1000, 0x1000, 0x1000);
	memory_end(&m, 1);
	p = memory_at(&m, 0x1004, 4);
	point(p == m.map + 0x1004, "memory in pieces");
	point(!memory_at(&m, 0xffe, 4), "not across pages");
	point(!memory_at(&m, 0x5000, 4), "not beyond what was told");
	memory_add(&m, 0, 0x3000, 0x1000);
	memory_add(&m, 0x1000, 0x2000, 0x1000);
	memory_end(&m, 1);
	same(m.moved, 1, "a page that moved");
	point(memory_add(&m, 0, 0x10000, 0x1000) != NULL,
	      "memory that is not there is refused");
}

static void test_guest(void)
{
	struct memory m;
	struct frames f;
	struct guest g = { .memory = &m, .known = true, .offset = 0x8000 };
	struct lu_guest_control *c;

	set_up(&m, &f);
	c = (void *)(m.map + 0x8000);
	c->magic = LU_CONTROL_MAGIC;
	frames_accepted(&f, 0, ms(1000));
	put_frame(&m, 0, 1, ms(1000), false);
	frames_watch(&f, ms(1001));
	guest_check(&g, &f);
	point(g.checked && !g.content_ok && g.behind == 1,
	      "a guest that saw nothing is not content");
	c->queue[0].frames = 1;
	c->queue[0].chain = f.queue[0].chain;
	guest_check(&g, &f);
	point(g.content_ok, "a guest that saw all is");
	c->bad_content = 1;
	guest_check(&g, &f);
	point(!g.content_ok, "not with damaged content");
	c->heartbeat = 1;
	guest_watch(&g, ms(1000));
	c->heartbeat = 2;
	guest_watch(&g, ms(1001));
	c->heartbeat = 3;
	guest_watch(&g, ms(1501));
	same(g.max_gap_ns, ms(500), "the longest time without a heartbeat");
}

static void beat_at(struct guest *g, struct lu_guest_control *c, unsigned int at)
{
	c->heartbeat++;
	guest_watch(g, ms(at));
}

static void update_at(struct phases *p, unsigned int kexec, unsigned int user)
{
	phases_enter(p, PHASE_SHUTDOWN, ms(kexec));
	phases_enter(p, PHASE_USER_SPACE, ms(user));
	phases_enter(p, PHASE_AFTER, ms(user + 60));
}

/* Two updates: the guest waits 9 + 1000 + 40 ms, and 5 + 1000 + 10 ms. */
static void test_guest_pause(void)
{
	struct memory m;
	struct frames f;
	struct guest g = { .memory = &m, .known = true, .offset = 0x8000 };
	struct phases p = { 0 };
	struct guest_pause pause = { 0 };
	struct lu_guest_control *c;

	set_up(&m, &f);
	c = (void *)(m.map + 0x8000);
	c->magic = LU_CONTROL_MAGIC;
	phases_enter(&p, PHASE_BEFORE, ms(900));
	point(!guest_pause(&g, &p, &pause), "no update, no pause");
	beat_at(&g, c, 1000);
	beat_at(&g, c, 1001);
	update_at(&p, 1010, 2010);
	point(!guest_pause(&g, &p, &pause),
	      "none is known that has not ended");
	beat_at(&g, c, 2050);
	beat_at(&g, c, 2051);
	point(guest_pause(&g, &p, &pause), "a pause with both ends is known");
	same(pause.stop_ms, 9, "from the last heartbeat to the kexec");
	same(pause.kexec_ms, 1000, "from there to user space");
	same(pause.resume_ms, 40, "from there to the first heartbeat");
	beat_at(&g, c, 3000);
	update_at(&p, 3005, 4005);
	point(!guest_pause(&g, &p, &pause),
	      "a guest that did not come back spoils the pauses before");
	beat_at(&g, c, 4015);
	point(guest_pause(&g, &p, &pause) && pause.resume_ms == 40,
	      "of two updates the worse one");
	same(guest_pause_ours(&pause) * 10, 49, "in percent of the kexec");
	g.beats = 0;
	g.first_ns = 0;
	beat_at(&g, c, 2008);
	beat_at(&g, c, 4015);
	p.n = 0;
	update_at(&p, 2000, 4000);
	point(guest_pause(&g, &p, &pause) && pause.stop_ms == -8,
	      "a guest that is not stopped runs into the kexec");
}

static void test_gate(void)
{
	struct gate g = { 0 };
	char buf[256];

	point(!gate_line(&g, 1, "[    0.1] pci 0000:00:01.0: ready"),
	      "a harmless line");
	point(gate_line(&g, 1, "[    1.0] WARNING: CPU: 0 PID: 1"), "a warning");
	point(gate_line(&g, 1, "DMAR: [DMA Read] Request device [01:00.0] fault addr 0x1"),
	      "a DMA fault");
	point(gate_line(&g, 1, "rcu: INFO: rcu_sched self-detected stall on CPU"),
	      "a stall");
	point(!gate_line(&g, 1, "DMAR: IOMMU enabled"), "DMAR may speak");
	same(g.splats, 3, "bad lines are counted");
	point(gate_declare(&g, "nonsense", true) != NULL &&
	      gate_declare(&g, "1:x", true) != NULL &&
	      gate_declare(&g, "1:1:(", true) != NULL,
	      "wrong declarations are refused");
	gate_declare(&g, "2:2:WARNING: .*expected", true);
	point(gate_line(&g, 1, "WARNING: the expected one"),
	      "declared for another kernel");
	point(!gate_line(&g, 2, "WARNING: the expected one"), "declared");
	point(gate_unmet(&g, buf, sizeof(buf)) != NULL, "once is not twice");
	gate_line(&g, 2, "WARNING: the expected one");
	point(!gate_unmet(&g, buf, sizeof(buf)), "twice is");
	gate_line(&g, 2, "WARNING: the expected one");
	point(gate_unmet(&g, buf, sizeof(buf)) != NULL, "thrice is not");
	gate_declare(&g, "*:Call Trace:", false);
	point(!gate_line(&g, 3, "Call Trace:"), "allowed any number of times");
}

static void test_gate_at_least(void)
{
	struct gate g = { 0 };
	char buf[256];

	gate_declare(&g, "1:2+:BUG: .*often", true);
	gate_line(&g, 1, "BUG: comes often");
	point(gate_unmet(&g, buf, sizeof(buf)) != NULL,
	      "once is not twice or more");
	gate_line(&g, 1, "BUG: comes often");
	gate_line(&g, 1, "BUG: comes often");
	point(!gate_unmet(&g, buf, sizeof(buf)), "thrice is twice or more");
}

static void test_phases(void)
{
	struct phases p = { 0 };

	point(!phases_enter(&p, PHASE_EARLY_BOOT, ms(1)),
	      "the first kernel's boot is no phase");
	phases_enter(&p, PHASE_BEFORE, ms(10));
	phases_enter(&p, PHASE_SHUTDOWN, ms(20));
	phases_enter(&p, PHASE_USER_SPACE, ms(30));
	point(!phases_enter(&p, PHASE_ENUMERATION, ms(31)),
	      "a console that lags does not turn back time");
	p.end_ns = ms(50);
	same(phases_length(&p, PHASE_USER_SPACE), ms(20), "a phase's length");
	same(phases_at(&p, ms(25)), PHASE_SHUTDOWN, "the phase at a time");
	point(!phases_occurred(&p, PHASE_PURGATORY), "a phase that was not seen");
	point(!phases_jumps_seen(&p), "a jump that was not seen");
	phases_enter(&p, PHASE_SHUTDOWN, ms(60));
	same(phases_current(&p), PHASE_SHUTDOWN, "a second update begins");
}

/* Two updates; each needs its jump and the writes of its enumeration. */
static void test_gaps_traced(void)
{
	static const struct config_write ahci = { .devfn = 0x1f << 3 | 2 };
	unsigned int without;

	for (without = 0; without <= 4; without++) {
		struct phases p = { .end_ns = ms(90) };
		struct config c = { 0 };
		int update;

		for (update = 0; update < 2; update++) {
			uint64_t at = ms(10 + 20 * update);
			struct config_write w = ahci;

			w.ns = at + 3;
			phases_enter(&p, PHASE_SHUTDOWN, at);
			if (without != 1u + update)
				phases_enter(&p, PHASE_PURGATORY, at + 1);
			phases_enter(&p, PHASE_EARLY_BOOT, at + 2);
			if (without != 3u + update)
				config_add(&c, &w);
			phases_enter(&p, PHASE_AFTER, at + 4);
		}
		config_judge(&c, &p, NULL);
		same(c.gap_traced, !without, without ?
		     "a gap of two that was not seen well" : "two gaps");
	}
}

static void test_console(void)
{
	struct console c = { 0 };
	struct phases p = { 0 };
	char first[] = "[    0.000000] Linux version 7.3.4 (x@y) ...";
	char jump[] = "[    9.000000] kexec_core: Starting new kernel";
	char root[] = "[    0.5] ACPI: PCI Root Bridge [PCI0]";

	console_line(&c, &p, ms(1), first);
	console_line(&c, &p, ms(2), first);
	same(c.stage, 1, "a version is not always a new kernel's");
	phases_enter(&p, PHASE_SHUTDOWN, ms(10));
	console_line(&c, &p, ms(11), jump);
	console_line(&c, &p, ms(12), first);
	console_line(&c, &p, ms(13), root);
	same(c.stage, 2, "after the jump it is");
	same(phases_current(&p), PHASE_ENUMERATION, "the console's phases");
	point(c.kernel[1] && !strcmp(c.kernel[1], "7.3.4"), "its version");
}

/* --- the doorbell --------------------------------------------------------- */

struct message {
	int64_t number;
	int fd;			/* -1: none came */
};

static struct message receive(int socket)
{
	struct message m = { .number = -2, .fd = -1 };
	struct iovec data = { .iov_base = &m.number, .iov_len = sizeof(m.number) };
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	if (recvmsg(socket, &message, MSG_DONTWAIT) == sizeof(m.number) &&
	    message.msg_controllen)
		memcpy(&m.fd, CMSG_DATA(&control.head), sizeof(m.fd));
	return m;
}

static const char *ring(struct doorbell *d, const char *vectors)
{
	char copy[16];

	snprintf(copy, sizeof(copy), "%s", vectors);
	return doorbell_ring(d, copy);
}

static uint64_t rung(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void test_doorbell(void)
{
	struct message version, client, memory, vector[2];
	struct doorbell d = { 0 };
	int fd[2];

	point(doorbell_declare(&d, "0") && doorbell_declare(&d, "33") &&
	      doorbell_declare(&d, "x"), "wrong numbers of vectors are refused");
	point(ring(&d, "0") != NULL, "there is no doorbell to ring");
	doorbell_declare(&d, "2");
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd))
		return;
	doorbell_serve(&d, fd[0]);
	version = receive(fd[1]);
	client = receive(fd[1]);
	memory = receive(fd[1]);
	vector[0] = receive(fd[1]);
	vector[1] = receive(fd[1]);
	point(!version.number && client.number >= 0 && version.fd < 0 &&
	      client.fd < 0, "a doorbell's protocol and client");
	point(memory.number == -1 && memory.fd >= 0, "its memory");
	point(vector[0].number == client.number && vector[0].fd >= 0 &&
	      vector[1].number == client.number && vector[1].fd >= 0, "its vectors");
	point(ring(&d, "2") && ring(&d, "") && ring(&d, "0 1") &&
	      ring(&d, "0 2 9") && ring(&d, "1 0 9"),
	      "vectors that are not there");
	point(!ring(&d, "1") && rung(vector[0].fd) == 0 && rung(vector[1].fd) == 1,
	      "a vector is rung");
	point(!ring(&d, "0 1 9") && rung(vector[0].fd) == 1 && rung(vector[1].fd) == 0 &&
	      doorbell_busy(&d), "the first of two");
	point(ring(&d, "0") != NULL, "another one meanwhile is refused");
	doorbell_tend(&d, d.due_ns - 1);
	point(!rung(vector[1].fd), "the second not at once");
	doorbell_tend(&d, d.due_ns);
	point(rung(vector[1].fd) == 1 && !doorbell_busy(&d), "but later");
}

/* --- a whole run, and what each of its figures depends on ------------------ */

/* The sources a figure can depend on. */
enum source {
	NONE,
	TRACE,			/* in an unknown format */
	MISREAD,		/* one event of it is */
	WRITES,			/* one event each */
	REGION,
	TRANSLATION,
	FAULTS,
	REMAPPING,
	STRAYS,
	POWER,
	RESETS,
	LATER,			/* no write traced after the kexec */
	GAP,			/* nor to functions that are not watched */
	BARS,			/* QEMU's list */
	DUMP,			/* of configuration space, at the end */
	LIST,			/* of the VM's memory, of the next kernel */
	RAM,			/* no frame, no heartbeat: another file */
	LANDING,		/* no frame */
	HEART,			/* no heartbeat */
	CLOCK,			/* of the machine, not told */
	DIARY,			/* the guest has accepted nothing */
	JUMP,			/* the console's line */
	CONSOLE,
	KTAP,
	SOURCES
};

/* Every figure: its value in a good run, and the sources it depends on. */
static const struct {
	const char *key, *good;
	enum source by[6];
} proofs[] = {
	{ "name", "play", { NONE } },
	{ "verdict", "pass", { NONE } },
	{ "reason", "null", { NONE } },
	{ "seconds", NULL, { NONE } },
	{ "frames.sent", "3", { NONE } },
	{ "frames.landed", "3", { RAM, LANDING } },
	{ "frames.lost", "0", { RAM, LANDING } },
	{ "frames.reordered", "0", { RAM, LANDING } },
	{ "frames.duplicated", "0", { RAM, LANDING } },
	{ "frames.corrupted", "0", { RAM, LANDING } },
	{ "frames.rate_per_s", "100", { NONE } },
	{ "frames.blocked_ms", "0.000", { NONE } },
	{ "frames.last_landed_ms_after_kexec", NULL, { RAM, LANDING } },
	{ "frames.resolution_ms", NULL, { RAM, LANDING } },
	{ "max_gap_ms.before", NULL, { RAM, LANDING } },
	{ "max_gap_ms.during", NULL, { RAM, LANDING } },
	{ "max_gap_ms.after", "null", { NONE } },
	{ "landed_by_phase.before", "2", { RAM, LANDING } },
	{ "landed_by_phase.shutdown", "0", { RAM, LANDING } },
	{ "landed_by_phase.purgatory", "0", { RAM, LANDING, JUMP, CONSOLE } },
	{ "landed_by_phase.early_boot", "0", { RAM, LANDING, CONSOLE } },
	{ "landed_by_phase.enumeration", "0", { RAM, LANDING, CONSOLE } },
	{ "landed_by_phase.user_space", "0", { RAM, LANDING } },
	{ "landed_by_phase.after", "1", { RAM, LANDING } },
	{ "config_writes.device", "1", { TRACE, WRITES, LATER } },
	{ "config_writes.path", "0", { TRACE, WRITES, LATER } },
	{ "config_writes.state_changing", "1", { TRACE, WRITES, REGION, LATER, BARS } },
	{ "config_writes.by_owner", "0", { TRACE, WRITES, LATER } },
	{ "config_writes.rw1c", "0", { TRACE, WRITES, REGION, LATER, BARS } },
	{ "config_writes.rw1c_maybe", "0", { TRACE, WRITES, REGION, LATER, BARS } },
	{ "config_writes.size_guessed", "0", { TRACE, WRITES, LATER } },
	{ "config_writes.in_gap", "0", { TRACE, WRITES, GAP, JUMP, CONSOLE } },
	{ "config_writes.after_finish", "0", { TRACE, WRITES, LATER } },
	{ "shadow_mismatch", "0", { TRACE, WRITES, REGION, LATER, BARS, DUMP } },
	{ "shadow_ignored", "0", { TRACE, WRITES, REGION, LATER, BARS, DUMP } },
	{ "stopped", "2", { TRACE, WRITES, REGION, LATER, BARS, RESETS } },
	{ "power_transitions", "0", { TRACE, WRITES, POWER, LATER } },
	{ "translation_disabled", "1", { TRACE, TRANSLATION } },
	{ "iommu_faults.device", "2", { TRACE, TRANSLATION, FAULTS } },
	{ "iommu_faults.others", "2", { TRACE, TRANSLATION, FAULTS } },
	{ "iommu_faults.silenced", "0", { TRACE, TRANSLATION, FAULTS } },
	{ "blocked_by_phase.before", "0", { TRACE, TRANSLATION, FAULTS } },
	{ "blocked_by_phase.shutdown", "0", { TRACE, TRANSLATION, FAULTS } },
	{ "blocked_by_phase.purgatory", "0", { TRACE, TRANSLATION, FAULTS, JUMP, CONSOLE } },
	{ "blocked_by_phase.early_boot", "0", { TRACE, TRANSLATION, FAULTS, CONSOLE } },
	{ "blocked_by_phase.enumeration", "1", { TRACE, TRANSLATION, FAULTS, CONSOLE } },
	{ "blocked_by_phase.user_space", "0", { TRACE, TRANSLATION, FAULTS } },
	{ "blocked_by_phase.after", "0", { TRACE, TRANSLATION, FAULTS } },
	{ "interrupt_remapping_disabled", "1", { TRACE, REMAPPING } },
	{ "strays_sent", NULL, { TRACE, REMAPPING } },
	{ "strays_delivered", "1", { TRACE, REMAPPING, STRAYS } },
	{ "strays_by_phase.before", "0", { TRACE, REMAPPING } },
	{ "strays_by_phase.shutdown", "0", { TRACE, REMAPPING } },
	{ "strays_by_phase.purgatory", "0", { TRACE, REMAPPING, JUMP, CONSOLE } },
	{ "strays_by_phase.early_boot", "0", { TRACE, REMAPPING, CONSOLE } },
	{ "strays_by_phase.enumeration", NULL, { TRACE, REMAPPING, CONSOLE } },
	{ "strays_by_phase.user_space", "0", { TRACE, REMAPPING } },
	{ "strays_by_phase.after", "0", { TRACE, REMAPPING } },
	{ "device_tlb_by_phase.before", "0", { TRACE, TRANSLATION } },
	{ "device_tlb_by_phase.shutdown", "0", { TRACE, TRANSLATION } },
	{ "device_tlb_by_phase.purgatory", "0", { TRACE, TRANSLATION, JUMP, CONSOLE } },
	{ "device_tlb_by_phase.early_boot", "0", { TRACE, TRANSLATION, CONSOLE } },
	{ "device_tlb_by_phase.enumeration", "1", { TRACE, TRANSLATION, CONSOLE } },
	{ "device_tlb_by_phase.user_space", "0", { TRACE, TRANSLATION } },
	{ "device_tlb_by_phase.after", "0", { TRACE, TRANSLATION } },
	{ "canary_damaged", "0", { RAM } },
	{ "memory_moved", "0", { LIST } },
	{ "interrupts.raised", "3", { RAM, LANDING, DIARY } },
	{ "interrupts.delivered", "3", { RAM, LANDING, DIARY } },
	{ "interrupts.lost", "0", { RAM, LANDING, DIARY } },
	{ "interrupts.spurious", "0", { RAM, LANDING, DIARY } },
	{ "guest.alive", "true", { RAM, HEART } },
	{ "guest.content_ok", "true", { RAM, LANDING } },
	{ "guest.max_heartbeat_gap_ms", NULL, { RAM, HEART } },
	{ "guest.last_heartbeat_ms_after_kexec", NULL, { RAM, HEART } },
	{ "guest.frames", "3", { RAM, LANDING } },
	{ "guest.behind", "0", { RAM, LANDING } },
	{ "guest.longest_sleep_ms", NULL, { RAM, LANDING } },
	{ "guest.bad_content", "0", { RAM, LANDING, DIARY } },
	{ "guest.not_a_frame", "0", { RAM, LANDING, DIARY } },
	{ "guest.out_of_order", "0", { RAM, LANDING, DIARY } },
	{ "guest_pause.ms", NULL, { RAM, HEART } },
	{ "guest_pause.stop_ms", NULL, { RAM, HEART } },
	{ "guest_pause.kexec_ms", NULL, { RAM, HEART } },
	{ "guest_pause.resume_ms", NULL, { RAM, HEART } },
	{ "guest_pause.ours_percent", NULL, { RAM, HEART } },
	{ "guest_pause.clocked_percent", "15.000", { RAM, HEART, LANDING, CLOCK } },
	{ "phases_ms.before", NULL, { NONE } },
	{ "phases_ms.shutdown", NULL, { NONE } },
	{ "phases_ms.purgatory", NULL, { JUMP, CONSOLE } },
	{ "phases_ms.early_boot", NULL, { CONSOLE } },
	{ "phases_ms.enumeration", NULL, { CONSOLE } },
	{ "phases_ms.user_space", NULL, { NONE } },
	{ "phases_ms.after", NULL, { NONE } },
	{ "splats", "0", { CONSOLE } },
	{ "ktap.ok", "1", { KTAP } },
	{ "ktap.not_ok", "0", { KTAP } },
	{ "host.cpu", NULL, { NONE } },
	{ "host.accel", NULL, { NONE } },
	{ "host.qemu", NULL, { NONE } },
};

enum format { QEMU_10, QEMU_11, UNKNOWN };

struct play {
	struct observe o;
	enum format format;
	enum source blind;	/* the source that is missing */
	uint32_t frames;
};

static void traced(struct play *p, enum source source, const char *text)
{
	uint64_t now = now_ns();
	time_t sec = now / NSEC_PER_SEC;
	unsigned int usec = now % NSEC_PER_SEC / 1000;
	char line[256], date[32];

	if (source && source == p->blind)
		return;
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", gmtime(&sec));
	if (p->format == UNKNOWN || p->blind == TRACE)
		snprintf(line, sizeof(line), "[%s,%06u] %s", date, usec, text);
	else if (p->format == QEMU_11)
		snprintf(line, sizeof(line), "%s.%06uZ %s", date, usec, text);
	else
		snprintf(line, sizeof(line), "4711@%llu.%06u:%s",
			 (unsigned long long)sec, usec, text);
	trace_line(&p->o.trace, line);
	usleep(5);		/* the times of two events differ */
}

static void wrote(struct play *p, enum source source, const char *where,
		  unsigned int addr, unsigned int value, unsigned int size)
{
	char text[200];

	if (source && source == p->blind)
		return;
	snprintf(text, sizeof(text),
		 "memory_region_ops_write cpu 0 mr 0x55 addr 0xb0%06x value 0x%x size %u name 'pcie-mmcfg-mmio'",
		 addr, value, size);
	if (p->blind != WRITES)
		traced(p, REGION, text);
	snprintf(text, sizeof(text), "pci_cfg_write %s @0x%x <- 0x%x", where,
		 addr & 0xfff, value);
	traced(p, WRITES, text);
}

static void told(struct play *p, const char *text)
{
	char line[2 * CONFIG_BYTES + 64];

	snprintf(line, sizeof(line), "%s", text);
	channel_line(&p->o, line);
	usleep(5);
}

static void told_config(struct play *p, const struct function *f)
{
	static char line[2 * CONFIG_BYTES + 64];
	int len = sprintf(line, "config %s ", f->bdf);
	size_t i;

	for (i = 0; i < f->len; i++)
		len += sprintf(line + len, "%02x", f->cfg[i]);
	told(p, line);
}

static void shown(struct play *p, const char *text)
{
	char line[256];

	if (p->blind == CONSOLE)
		return;
	snprintf(line, sizeof(line), "%s", text);
	console_line(&p->o.console, &p->o.phases, now_ns(), line);
	usleep(5);
}

static void answered(struct play *p, const char *text)
{
	char line[512];

	snprintf(line, sizeof(line), "{\"return\": \"%s\"}", text);
	qemu_qmp_line(&p->o.qemu, line);
}

#define GUEST_AT 0x8000

static void a_frame_lands(struct play *p)
{
	struct lu_guest_control *c = (void *)(p->o.memory.map + GUEST_AT);
	uint64_t sent = now_ns();
	struct lu_frame frame;

	frames_accepted(&p->o.frames, 0, sent);
	p->frames++;
	if (!p->o.phases.n)
		phases_enter(&p->o.phases, PHASE_BEFORE, sent);
	if (p->blind != LANDING && p->blind != RAM) {
		put_frame(&p->o.memory, p->frames - 1, p->frames, sent, false);
		frame_build(&frame, p->frames, 0, sent);
		if (p->blind != DIARY) {
			c->queue[0].chain = lu_chain(c->queue[0].chain, p->frames,
						     frame.sum);
			c->queue[0].frames++;
			c->queue[0].interrupts++;
		}
	}
	usleep(50);
	frames_watch(&p->o.frames, now_ns());
	c->heartbeat += p->blind != HEART && p->blind != RAM;
	guest_watch(&p->o.guest, now_ns());
	usleep(50);
	c->heartbeat += p->blind != HEART && p->blind != RAM;
	guest_watch(&p->o.guest, now_ns());
}

static void told_memory(struct play *p)
{
	told(p, "memory 0 0 0x10000");
	told(p, "memory end");
	told(p, "ring 16 2048 0 2");
	told(p, "control 0x8000");
}

static void first_kernel(struct play *p, const struct function *device,
			 const struct function *port)
{
	struct observe *o = &p->o;

	shown(p, "[    0.000000] Linux version 7.3.4 (x@y)");
	traced(p, RESETS, "e1000e_cb_qdev_reset_hold E1000E qdev reset hold");
	wrote(p, NONE, "igb 01:00.0", 0x100010, 0xffffffff, 4);
	wrote(p, NONE, "pcie-root-port 00:01.0", 0x8004, 0x7, 2);
	traced(p, TRANSLATION, "vtd_dmar_enable enable 1");
	traced(p, REMAPPING, "vtd_ir_enable enable 1");
	shown(p, "[    1.0] init: WARNING: splat probe of kernel 1, begin");
	told(p, "hello 1");
	told(p, "watch 0000:01:00.0 device");
	told(p, "watch 0000:00:01.0 path");
	traced(p, POWER, "pci_pm_transition igb 01:00.0 PM transition D3->D0");
	traced(p, FAULTS, "vtd_dmar_fault sid 0x100 fault 5 addr 0x1000 write 0");
	if (p->blind == MISREAD)
		traced(p, NONE, "vtd_dmar_fault source 01:00.0");
	told_memory(p);
	told(p, "canary 0xc000 0x2000");
	((struct lu_guest_control *)(o->memory.map + GUEST_AT))->magic =
		p->blind == RAM ? 0 : LU_CONTROL_MAGIC;
	told(p, "frames start");
	a_frame_lands(p);
	usleep(100);
	a_frame_lands(p);
	if (p->blind != KTAP)
		told(p, "ktap ok 1 - works");
	told_config(p, device);
	told_config(p, port);
	answered(p, "");
	answered(p, p->blind == BARS ? "" :
		 "  Bus  0, device   1, function 0:\\r\\n"
		 "      BAR0: 32 bit memory at 0xfe800000 [0xfe800fff]\\r\\n"
		 "  Bus  1, device   0, function 0:\\r\\n"
		 "      BAR0: 32 bit memory at 0xfe600000 [0xfe61ffff]\\r\\n");
	told(p, p->blind == CLOCK ? "kexec" : "kexec 1000");
	channel_answer(o);
	shown(p, "[    9.0] init: WARNING: splat probe of kernel 1, end");
}

/* The old kernel clears bus mastering, switches translation off; one fault. */
static void next_kernel(struct play *p, const struct function *device,
			const struct function *port)
{
	struct lu_guest_control *c = (void *)(p->o.memory.map + GUEST_AT);

	wrote(p, LATER, "igb 01:00.0", 0x100004, 0x103, 2);
	traced(p, NONE, "vtd_dmar_enable enable 0");
	traced(p, NONE, "vtd_ir_enable enable 0");
	if (p->blind != JUMP)
		shown(p, "[    9.9] kexec_core: Starting new kernel");
	shown(p, "[    0.000000] Linux version 7.3.4 (x@y)");
	shown(p, "[    0.5] ACPI: PCI Root Bridge [PCI0]");
	if (p->blind != GAP)
		wrote(p, LATER, "ich9-ahci 00:1f.2", 0x0fa010, 0xffffffff, 4);
	traced(p, NONE, "vtd_dmar_fault sid 0x100 fault 5 addr 0x1000 write 0");
	traced(p, NONE, "vtd_dmar_fault sid 0x100 fault 2 addr 0x1000 write 0");
	traced(p, NONE, "vtd_dmar_fault sid 0xf8 fault 5 addr 0x1000 write 0");
	traced(p, NONE, "vtd_dmar_fault sid 0xf8 fault 2 addr 0x1000 write 0");
	traced(p, STRAYS, "vtd_ir_remap_msi_req addr 0xfeeffff0 data 0x0");
	traced(p, STRAYS, "vtd_ir_remap_msi (addr 0xfeeffff0, data 0x0) -> (addr 0xfee00000, data 0x20)");
	traced(p, NONE, "vtd_ir_remap_msi_req addr 0xfee00018 data 0x0");
	traced(p, NONE, "vtd_ir_remap_msi (addr 0xfee00018, data 0x0) -> (addr 0xfee00000, data 0x20)");
	traced(p, NONE, "vtd_inv_desc invalidate desc type iotlb high 0x0 low 0x1");
	traced(p, NONE, "vtd_inv_desc invalidate desc type device high 0x0 low 0x1");
	shown(p, "[    1.0] init: WARNING: splat probe of kernel 2, begin");
	told(p, p->blind == CLOCK ? "hello 2" : "hello 2 2000");
	if (p->blind != LIST)
		told_memory(p);
	if (p->blind != DUMP) {
		told_config(p, device);
		told_config(p, port);
	}
	told(p, "adopted");
	told(p, "finished");
	if (p->blind != HEART) {
		c->pause_begin = 900;
		c->pause_end = 2050;
	}
	if (p->blind == GAP)
		wrote(p, NONE, "ich9-ahci 00:1f.2", 0x0fa010, 0xffffffff, 4);
	a_frame_lands(p);
	frames_stop(&p->o.frames, now_ns());
	guest_check(&p->o.guest, &p->o.frames);
	shown(p, "[    9.0] init: WARNING: splat probe of kernel 2, end");
	told(p, "verdict pass");
}

static struct play *play(enum format format, enum source blind)
{
	struct function *device = endpoint(), *port = bridge();
	struct play *p = calloc(1, sizeof(*p));
	struct observe *o = &p->o;
	FILE *nowhere = fopen("/dev/null", "w");

	p->format = format;
	p->blind = blind;
	o->name = "play";
	o->quiet = true;
	o->start_ns = now_ns();
	o->channel.log = o->channel.ktap = nowhere;
	o->frames.memory = o->guest.memory = &o->memory;
	o->trace.config = o->qemu.config = &o->config;
	o->qemu.qmp = o->qemu.channel = fileno(nowhere);
	o->qemu.output = -1;
	o->frames.socket = -1;
	o->frames.rate = 100;
	o->memory.size = 64 * 1024;
	o->memory.map = calloc(1, o->memory.size);
	first_kernel(p, device, port);
	device->cfg[PCI_COMMAND] &= ~PCI_COMMAND_MASTER;
	next_kernel(p, device, port);
	o->phases.end_ns = now_ns();
	result_judge(o, "pass", NULL);
	free(device);
	free(port);
	fclose(nowhere);
	return p;
}

static bool depends_on(size_t i, enum source source)
{
	size_t j;

	for (j = 0; j < ARRAY_SIZE(proofs[i].by); j++)
		if (proofs[i].by[j] == source)
			return true;
	return false;
}

static bool is_good(const char *value, const char *good)
{
	return value && (good ? !strcmp(value, good) : strcmp(value, "null") != 0);
}

static void test_figures(enum format format, const char *name)
{
	struct play *p = play(format, NONE);
	size_t i;

	point(!p->o.reasons, "%s: a good run", name);
	if (p->o.reasons)
		printf("# %s\n", p->o.reason);
	for (i = 0; i < ARRAY_SIZE(proofs); i++) {
		const char *value = result_value(proofs[i].key);

		if (!strncmp(proofs[i].key, "host.", 5))
			continue;
		point(is_good(value, proofs[i].good), "%s: %s is %s", name,
		      proofs[i].key, proofs[i].good ? : "known");
		if (!is_good(value, proofs[i].good))
			printf("# it is %s\n", value ? : "not there");
	}
	free(p);
}

/* A figure whose source was not seen to work is null, and only such a one. */
static void test_blind(enum source blind)
{
	static const char *const names[SOURCES] = {
		[MISREAD] = "an event in an unknown format",
		[TRACE] = "a trace in an unknown format",
		[WRITES] = "no config writes traced",
		[REGION] = "no sizes of writes traced",
		[TRANSLATION] = "translation never enabled",
		[FAULTS] = "no fault seen before",
		[REMAPPING] = "interrupt remapping not seen enabled",
		[STRAYS] = "no stray interrupt",
		[POWER] = "no change of power state seen",
		[RESETS] = "no reset seen before",
		[LATER] = "no config write traced after the kexec",
		[GAP] = "no enumeration traced",
		[BARS] = "no list of BARs",
		[DUMP] = "no second dump",
		[LIST] = "no second list of memory",
		[RAM] = "another file than the machine's memory",
		[LANDING] = "no frame landed",
		[HEART] = "no heartbeat",
		[CLOCK] = "a machine that does not tell its clock",
		[DIARY] = "the guest accepted nothing",
		[JUMP] = "the jump was not seen",
		[CONSOLE] = "no console",
		[KTAP] = "no result",
	};
	struct play *p = play(QEMU_10, blind);
	bool good = true;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(proofs); i++) {
		const char *value = result_value(proofs[i].key);

		if (!depends_on(i, blind == MISREAD ? TRACE : blind) || !strcmp(value, "null"))
			continue;
		printf("# %s is %s\n", proofs[i].key, value);
		good = false;
	}
	point(good, "%s: what depends on it is null", names[blind]);
	free(p);
}

/* Each new figure needs a line in proofs[]. */
static void test_no_figure_without_proof(void)
{
	struct play *p = play(QEMU_10, NONE);
	const char *key;
	size_t i, n;

	for (n = 0; (key = result_key(n)); n++) {
		for (i = 0; i < ARRAY_SIZE(proofs); i++)
			if (!strcmp(proofs[i].key, key))
				break;
		if (i < ARRAY_SIZE(proofs))
			continue;
		point(false, "'%s' has a line in proofs[]", key);
	}
	same(n, ARRAY_SIZE(proofs), "every figure has a line in proofs[]");
	free(p);
}

static void test_trace_formats(void)
{
	struct config c = { .mismatches = -1 };
	struct trace t = { .config = &c };

	trace(&t, "7@1795879685.364267:pci_cfg_write igb 01:00.0 @0x4 <- 0x107");
	trace(&t, "2026-11-28T15:28:05.364267Z pci_cfg_write igb 01:00.0 @0x4 <- 0x107");
	same(c.writes, 2, "both formats of the trace are read");
	point(c.writes == 2 && c.write[0].ns == 1795879685364267000ull &&
	      c.write[1].ns == c.write[0].ns, "and give the same time");
	trace(&t, "2026-11-28T15:28:05.364267Z qemu-system-x86_64: warning: nic igb.0 has no peer");
	trace(&t, "28 Nov 2026 15:28:05.364267 pci_cfg_write igb 01:00.0 @0x4 <- 0x107");
	same(t.stderrs, 2, "what is no trace line is QEMU's complaint");
	same(c.writes, 2, "a line in another format is not counted");
	same(t.misread, 0, "nor taken for an event");
	trace(&t, "2026-11-28T15:28:05.364267Z vtd_dmar_fault source 1:0.0");
	trace(&t, "2026-11-28T15:28:05.364267Z pci_cfg_write igb 01:00.0 off 4 val 7");
	same(t.misread, 2, "an event that has changed is noticed");
	trace(&t, "2026-11-28T15:28:05.364267Z vtd_re_not_present bus 1");
	same(t.misread, 2, "one that nothing is counted by is not");
}

int main(void)
{
	enum source source;

	test_shadow_endpoint();
	test_shadow_bridge();
	test_config();
	test_mismatch();
	test_info_pci();
	test_frames();
	test_queues();
	test_gaps();
	test_memory();
	test_guest();
	test_guest_pause();
	test_gate();
	test_gate_at_least();
	test_phases();
	test_gaps_traced();
	test_console();
	test_doorbell();
	test_trace_formats();
	test_figures(QEMU_10, "QEMU 10");
	test_figures(QEMU_11, "QEMU 11");
	for (source = NONE + 1; source < SOURCES; source++)
		test_blind(source);
	test_no_figure_without_proof();
	printf("1..%u\n", tests);
	return failures ? 1 : 0;
}
#endif /* OBSERVE_SELFTEST */
