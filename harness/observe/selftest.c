// SPDX-License-Identifier: GPL-2.0-only
/*
 * The observer's parts that need no machine, tested against made-up input.
 * Built from the same sources with -DOBSERVE_SELFTEST; prints TAP.
 */
#ifdef OBSERVE_SELFTEST
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

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

	frame_build(&frame, seq, sent_ns);
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
	memory_end(m);
	f->memory = m;
	f->rate = 100;
	frames_ring(f, SLOTS, 2048, 0);
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
		frames_accepted(&f, ms(1000 + seq));
	frames_watch(&f, ms(2000));
	same(f.landed, 0, "an older run's frame is not ours");
	/* 1..20 in order, one turn of the ring and more */
	for (seq = 1; seq <= 20; seq++) {
		put_frame(&m, (seq - 1) % SLOTS, seq, ms(1000 + seq), false);
		frames_watch(&f, ms(2000 + 10 * seq));
		frame_build(&frame, seq, ms(1000 + seq));
		chain = lu_chain(chain, seq, frame.sum);
	}
	same(f.landed, 20, "frames land in ring order");
	same(f.chain[19], chain, "the chain is the guest's");
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
	same(f.landed, 25, "a ring set up anew is found");
	same(f.info[20].landed_ns, 0, "a lost frame stays lost");
	same(f.info[26].landed_ns, ms(2500), "the time of an arrival");
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
		frames_accepted(&f, ms(1));
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
	memory_end(&m);
	p = memory_at(&m, 0x1004, 4);
	point(p == m.map + 0x1004, "memory in pieces");
	point(!memory_at(&m, 0xffe, 4), "not across pages");
	point(!memory_at(&m, 0x5000, 4), "not beyond what was told");
	memory_add(&m, 0, 0x3000, 0x1000);
	memory_add(&m, 0x1000, 0x2000, 0x1000);
	memory_end(&m);
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
	frames_accepted(&f, ms(1000));
	put_frame(&m, 0, 1, ms(1000), false);
	frames_watch(&f, ms(1001));
	guest_check(&g, &f);
	point(g.checked && !g.content_ok && g.behind == 1,
	      "a guest that saw nothing is not content");
	c->frames = 1;
	c->chain = f.chain[0];
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
	      "nor is one known that has not ended");
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
	      "a guest that nobody stops runs on into the kexec");
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
	phases_enter(&p, PHASE_SHUTDOWN, ms(60));
	same(phases_current(&p), PHASE_SHUTDOWN, "a second update begins");
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

int main(void)
{
	test_shadow_endpoint();
	test_shadow_bridge();
	test_config();
	test_mismatch();
	test_info_pci();
	test_frames();
	test_gaps();
	test_memory();
	test_guest();
	test_guest_pause();
	test_gate();
	test_gate_at_least();
	test_phases();
	test_console();
	printf("1..%u\n", tests);
	return failures ? 1 : 0;
}
#endif /* OBSERVE_SELFTEST */
