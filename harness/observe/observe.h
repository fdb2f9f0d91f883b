/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The test machine's outside half: starts QEMU, watches it, measures, judges.
 *
 * One process, one poll loop.  Every module owns one struct below; nothing
 * but main.c knows all of them.  What happens is only recorded while the
 * machine runs; which phase it belongs to and what it means is decided at the
 * end, when all times are known.
 */
#ifndef OBSERVE_H
#define OBSERVE_H

#include <regex.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "lu_guest.h"

#define NSEC_PER_SEC	1000000000ull
#define NSEC_PER_MSEC	1000000ull
#define PAGE_BYTES	4096u
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define PRINTF(f, a)	__attribute__((format(printf, f, a)))

/* Exit status; vm.sh and make know these. */
enum { EXIT_PASS = 0, EXIT_FAIL = 1, EXIT_HARNESS = 2, EXIT_SKIP = 4 };

/* --- util.c --------------------------------------------------------------- */

uint64_t now_ns(void);		/* CLOCK_REALTIME: the clock of QEMU's traces */
uint64_t mono_ns(void);		/* for time-outs, which must not jump */
void *grow(void *array, size_t used, size_t *cap, size_t size);
void harness_die(const char *fmt, ...) __attribute__((noreturn)) PRINTF(1, 2);
FILE *create(const char *name);
bool parse_u64(const char *text, uint64_t *value);

/* Splits what a file descriptor delivers into lines. */
struct lines {
	char *buf;
	size_t len, cap;
};

typedef void (*line_fn)(void *ctx, char *line);

/* Returns false at the end of the file; the rest without newline is a line. */
bool lines_read(struct lines *l, int fd, line_fn fn, void *ctx);

/* --- phases.c ------------------------------------------------------------- */

enum phase {
	PHASE_BOOT,		/* before anything is measured; not reported */
	PHASE_BEFORE,
	PHASE_SHUTDOWN,
	PHASE_PURGATORY,
	PHASE_EARLY_BOOT,
	PHASE_ENUMERATION,
	PHASE_USER_SPACE,
	PHASE_AFTER,
	PHASES
};

struct phase_change {
	enum phase phase;
	uint64_t ns;
	uint64_t clock;		/* the machine's own; 0: not told */
};

struct phases {
	struct phase_change *change;
	size_t n, cap;
	uint64_t kexec_ns;	/* the first kexec; 0: none */
	uint64_t adopted_ns;	/* the last adopted; 0: none */
	uint64_t finished_ns;	/* LUO finish; 0: none */
	uint64_t end_ns;	/* the verdict, or the machine's end */
};

extern const char *const phase_names[PHASES];

bool phases_enter(struct phases *p, enum phase phase, uint64_t ns);
void phases_clock(struct phases *p, uint64_t clock);
enum phase phases_current(const struct phases *p);
enum phase phases_at(const struct phases *p, uint64_t ns);
unsigned int phases_count(const struct phases *p, enum phase phase);
bool phases_occurred(const struct phases *p, enum phase phase);
bool phases_jumps_seen(const struct phases *p);
uint64_t phases_gap_end(const struct phases *p, size_t jump);
uint64_t phases_length(const struct phases *p, enum phase phase);
double phases_ms_after_kexec(const struct phases *p, uint64_t ns);
void phases_write(const struct phases *p);

/* --- memory.c ------------------------------------------------------------- */

struct canary {
	uint64_t phys, len;
};

/* The machine's memory, and where in it the VM's memory is. */
struct memory {
	const char *path;
	uint8_t *map;
	size_t size;
	uint64_t *page;		/* physical address of each page of the VM */
	size_t pages, cap;
	bool complete;		/* a list was heard to its end */
	uint64_t heard;		/* pages named by the list being heard */
	unsigned int moved;	/* pages a later list has elsewhere */
	uint64_t compared_ns;	/* the end of the last later list; 0: none */
	struct canary canary[8];
	unsigned int canaries;
};

bool memory_open(struct memory *m);
const char *memory_add(struct memory *m, uint64_t offset, uint64_t phys,
		       uint64_t len);
void memory_end(struct memory *m, uint64_t now);
/* NULL unless all of it is known and lies in one physical page. */
volatile void *memory_at(const struct memory *m, uint64_t offset, size_t len);
const char *memory_canary_fill(struct memory *m, uint64_t phys, uint64_t len);
unsigned int memory_canary_damaged(const struct memory *m);

/* --- frames.c ------------------------------------------------------------- */

struct frame_info {
	uint64_t sent_ns;
	uint64_t landed_ns;	/* 0: not yet */
	int slot;
	uint32_t queue;
};

/* Where the device puts what is sent to one of its MAC addresses. */
struct queue {
	uint32_t next_slot;	/* looked at next, from 0 for each queue */
	uint32_t max_landed_seq;
	size_t landed;
	uint32_t chain;		/* over all that landed */
	bool paused;		/* nothing is sent there ... */
	unsigned int left;	/* ... after so many more */
};

struct frames {
	struct memory *memory;
	uint32_t slots, slot_size;
	uint32_t queues;	/* that share the slots; 0: not known */
	struct queue queue[LU_QUEUES];
	uint32_t next_queue;	/* is sent to next */
	uint64_t ring_offset;
	uint64_t *slot_stamp;	/* sent_ns of the frame last seen there */
	uint64_t *slot_torn_ns;	/* a wrong sum was first seen at this time */
	uint64_t scanned_ns;

	int socket;
	unsigned int rate;
	bool started, sending, draining;
	uint64_t due_ns, stop_ns;
	uint64_t blocked_since_ns, blocked_ns;
	const char *send_error;

	struct frame_info *info; /* info[seq - 1] */
	size_t sent, cap;
	size_t landed;
	uint64_t last_landed_ns;
	unsigned int reordered, duplicated, corrupted;

	uint64_t looked_ns, max_look_gap_ns;
};

void frames_open(struct frames *f);
const char *frames_ring(struct frames *f, uint64_t slots, uint64_t size,
			uint64_t offset, uint64_t queues);
const char *frames_pause(struct frames *f, char *args);
void frames_resume(struct frames *f);
bool choose_queue(struct frames *f);
void frame_was_sent(struct frames *f, uint64_t now);
const char *frames_start(struct frames *f, uint64_t now);
void frames_stop(struct frames *f, uint64_t now);
void frame_build(struct lu_frame *frame, uint32_t seq, uint32_t queue,
		 uint64_t sent_ns);
void frames_accepted(struct frames *f, uint32_t queue, uint64_t sent_ns);
void frames_watch(struct frames *f, uint64_t now);
void frames_send(struct frames *f, uint64_t now);
bool frames_settled(const struct frames *f, uint64_t now);
void frames_write(const struct frames *f, const struct phases *p);

/* Largest time between arrivals; negative: not known. */
struct gaps {
	double before_ms, during_ms, after_ms;
};

struct gaps frames_gaps(const struct frames *f, const struct phases *p);

/* --- guest.c -------------------------------------------------------------- */

struct beat {
	uint64_t ns;
	uint32_t count;
};

struct guest {
	struct memory *memory;
	bool known;
	uint64_t offset;
	struct lu_guest_control last;	/* as of the last check */
	bool checked, content_ok;
	uint32_t behind;
	uint32_t count;			/* last heartbeat seen */
	uint64_t first_ns, beat_ns, max_gap_ns;
	/* Since when a queue has frames that the guest has not seen; 0: it has none. */
	uint64_t unseen_ns[LU_QUEUES];
	uint64_t max_sleep_ns;		/* the longest of these times, while its heart beat */
	struct beat *beat;
	size_t beats, cap;
};

/* How long the guest stood still for one update, and what for. */
struct guest_pause {
	double stop_ms;		/* from its last heartbeat to the kexec call */
	double kexec_ms;	/* from there to user space: a plain kexec */
	double resume_ms;	/* from there to its first heartbeat */
};

void guest_watch(struct guest *g, uint64_t now);
void guest_watch_queues(struct guest *g, const struct frames *f, uint64_t now);
bool guest_pause(const struct guest *g, const struct phases *p,
		 struct guest_pause *pause);
double guest_pause_ours(const struct guest_pause *pause);
bool guest_pause_clocked(const struct guest *g, const struct phases *p,
			 double *ours);
/* Accepted by all queues. */
uint32_t guest_frames(const struct lu_guest_control *c);
bool guest_caught_up(const struct guest *g, const struct frames *f);
void guest_check(struct guest *g, const struct frames *f);
void guest_write(const struct guest *g, const struct phases *p);

/* --- console.c ------------------------------------------------------------ */

#define LAST_LINES	20
#define MAX_KERNELS	99

struct expectation {
	int stage;		/* 0: any */
	int count;		/* -1: any */
	bool at_least;		/* @count or more */
	int seen;
	const char *text;
	regex_t re;
};

/* Lines that must not be there, and lines that must. */
struct gate {
	regex_t *bad;
	size_t bads;
	struct expectation *expect;
	size_t expects, cap;
	unsigned int splats;
	char first[256];
};

const char *gate_declare(struct gate *g, const char *declaration, bool counted);
bool gate_line(struct gate *g, int stage, const char *line);
const char *gate_unmet(const struct gate *g, char *buf, size_t size);

struct console {
	struct lines lines;
	FILE *log;
	struct gate gate;
	int stage;		/* the kernel that is talking: 1, 2, ... */
	bool jumped;		/* the next "Linux version" is a new kernel's */
	bool panicked;
	char *last[LAST_LINES];
	unsigned long count;
	char *kernel[8];	/* their versions */
	struct {
		bool begin, end;
	} probed[MAX_KERNELS];	/* init's warning was seen */
};

int console_blind(const struct console *c, int kernels);
void console_line(struct console *c, struct phases *p, uint64_t now, char *line);
void console_show_last(const struct console *c, FILE *out);

/* --- shadow.c ------------------------------------------------------------- */

#define CONFIG_BYTES	4096

struct reg {
	uint16_t off;
	uint8_t size;
	const char *cap, *name;
};

/* One watched function's configuration space. */
struct function {
	char bdf[16];
	uint16_t first_bus;	/* as the machine named it */
	uint16_t bus;		/* as it is now: follows its bridge */
	uint8_t devfn;
	bool is_device;		/* or a bridge of the path */
	struct function *bridge; /* the watched bridge above it */
	size_t len;		/* of the dump; 0: none yet */
	uint64_t dump_ns;
	uint8_t cfg[CONFIG_BYTES];
	uint8_t first[CONFIG_BYTES];	/* the dump, untouched */
	uint8_t ro[CONFIG_BYTES], w1c[CONFIG_BYTES];
	struct reg reg[256];
	unsigned int regs;
	unsigned int written;	/* traced before the kexec */
	bool compared;		/* with a second dump */
	uint64_t bar_size[7];	/* 0: not there; [6] is the ROM */
	bool bars_known;
	uint16_t pcie_cap, pm_cap, msix_cap;

	uint8_t end[CONFIG_BYTES];	/* the dump at the end */
	size_t end_len;
	uint64_t end_ns;
};

struct write_effect {
	uint32_t old, new;
	bool known;		/* there was a dump to judge by */
	bool state_changing;
	bool rw1c;		/* a set status bit is cleared */
	bool rw1c_maybe;	/* one that was not set when last known */
};

void shadow_learn(struct function *f);
struct write_effect shadow_write(struct function *f, unsigned int off,
				 unsigned int size, uint32_t value);
void shadow_name(const struct function *f, unsigned int off, char *buf,
		 size_t size);
void shadow_reset(struct function *f);
uint32_t shadow_get(const struct function *f, unsigned int off,
		    unsigned int size);

/* --- config.c ------------------------------------------------------------- */

struct config_write {
	uint64_t ns;
	uint16_t bus;
	uint8_t devfn;
	uint16_t off;
	uint8_t size;		/* 0: the trace did not say */
	uint32_t value;
	bool by_owner;		/* between "owner begin" and "owner end" */
};

struct stop {
	const char *what;
	char where[32];
	uint64_t ns;
};

struct mismatch {
	char text[192];
};

struct config {
	struct function *fn[16];
	unsigned int fns;
	struct config_write *write;
	size_t writes, cap;
	bool owner_speaks;

	/* filled by config_judge() */
	bool judged;
	unsigned int sized;	/* writes to any function with a known size */
	bool gap_traced;	/* a write to an unwatched function, in every gap */
	bool later;		/* any write was traced after the kexec */
	unsigned int device, path, state_changing, by_owner, rw1c, rw1c_maybe;
	unsigned int size_guessed, in_gap, after_finish;
	int mismatches;		/* -1: not compared */
	unsigned int ignored;	/* bytes the model did not let be written */
	struct mismatch mismatch[32];
	unsigned int lines;	/* of them, the ignored ones too */
	struct stop *stop;
	size_t stops, stops_cap;
};

const char *config_watch(struct config *c, const char *bdf, const char *kind);
const char *config_dump(struct config *c, const char *bdf, const char *hex,
			bool after_kexec, uint64_t now);
void config_info_pci(struct config *c, char *text);
struct function *config_find(const struct config *c, unsigned int bus,
			     unsigned int devfn);
void config_add(struct config *c, const struct config_write *w);
void config_stop(struct config *c, const char *what, const char *where,
		 uint64_t ns);
void config_judge(struct config *c, const struct phases *p, FILE *tsv);

/* --- trace.c -------------------------------------------------------------- */

/*
 * Where a device writes that sends interrupts nobody has asked for (lu_rng --at): in
 * remappable format (VT-d 5.1.2.2), for the entry 32767, which no kernel here uses.
 */
#define STRAY_INTERRUPT	0xfeeffff0

struct trace_event {
	uint64_t ns;
	uint32_t value;		/* the source id of a fault; 0 or 1 */
	bool flag;
	uint8_t reason;		/* of a fault, VT-d 7.3 */
};

struct events {
	struct trace_event *event;
	size_t n, cap;
};

struct trace {
	struct lines lines;
	FILE *log, *other;
	struct config *config;
	/* the last write to a configuration region, whose size it knows */
	uint64_t region_addr, region_value;
	unsigned int region_size;
	char missing[256];	/* QEMU's word that it lacks an event we need */
	char last_stderr[4][256];
	unsigned int stderrs;
	struct events translation, faults, resets;
	struct events remapping;
	struct events strays;	/* of STRAY_INTERRUPT; @flag: it was delivered */
	struct events device_tlb; /* invalidations of translations in a device */
	struct events power;	/* transitions; @value is the function */
	unsigned int misread;	/* known events whose arguments cannot be parsed */
	char first_misread[192];
};

extern const char *const trace_always[];
extern const char *const trace_gap;
void trace_line(void *trace, char *line);

/* --- doorbell.c ----------------------------------------------------------- */

#define MAX_VECTORS	32

struct doorbell {
	unsigned int vectors;	/* 0: there is none */
	int socket;		/* the server's end */
	int event[MAX_VECTORS];
	unsigned int next, end;	/* vectors to be rung one after the other */
	uint64_t due_ns, interval_ns;
};

const char *doorbell_declare(struct doorbell *d, const char *vectors);
void doorbell_serve(struct doorbell *d, int socket);
const char *doorbell_ring(struct doorbell *d, char *vectors);
void doorbell_tend(struct doorbell *d, uint64_t now);
bool doorbell_busy(const struct doorbell *d);

/* --- qemu.c --------------------------------------------------------------- */

struct qemu {
	pid_t pid;
	int console, channel, qmp, output;
	struct lines qmp_lines;
	unsigned int asked, answered;
	unsigned int info_pci_asked;	/* the request's number */
	bool ended;
	int status;
	char version[32];
	char accel[32];
	char complaint[256];	/* the monitor's last one, not reported yet */
	struct config *config;
	struct doorbell *doorbell;
	FILE *log;
};

void qemu_start(struct qemu *q, char **args);
void qemu_ask(struct qemu *q, const char *command);
void qemu_ask_info_pci(struct qemu *q);
void qemu_qmp_line(void *qemu, char *line);
bool qemu_reap(struct qemu *q);
void qemu_stop(struct qemu *q);

/* --- channel.c ------------------------------------------------------------ */

struct observe;

struct channel {
	struct lines lines;
	FILE *log, *ktap, *state;
	char held[8][64];	/* words of syncs not answered yet */
	unsigned int holds;
	int hello;		/* the last kernel that said hello */
	uint64_t hello_ns;
	uint64_t kexec_clock;	/* the machine's own at its last "kexec" */
	char verdict[256];	/* empty: none yet */
	uint64_t verdict_ns;
	unsigned int ktap_plans, ktap_ok, ktap_not_ok;
};

void channel_line(void *observe, char *line);
void channel_answer(struct observe *o);

/* --- result.c ------------------------------------------------------------- */

/* Everything; only main.c, channel.c and result.c look at it as a whole. */
/* What is done to the machine from outside, and when. */
struct act {
	enum phase phase;
	/* "doorbell VECTOR", "pause QUEUE", or of QEMU's human monitor. */
	const char *command;
	bool each;		/* not only the first time */
	unsigned int times;	/* it was done */
	unsigned int asked;	/* the request's number */
};

#define MAX_ACTS	16

const char *act_declare(struct observe *o, const char *text, bool each);
void acts_do(struct observe *o);
void acts_check(struct observe *o);

struct observe {
	const char *name, *dir;
	double timeout_s;
	int kernels;		/* the last one's number; 0: any may say the verdict */
	bool quiet, progress;
	uint64_t start_ns;

	struct qemu qemu;
	struct phases phases;
	struct memory memory;
	struct frames frames;
	struct guest guest;
	struct console console;
	struct config config;
	struct trace trace;
	struct channel channel;
	struct doorbell doorbell;
	struct act acts[MAX_ACTS];
	size_t nr_acts;
	bool gap_traced;
	char reason[512];	/* why it failed; the first is the cause */
	unsigned int reasons;
};

void fail(struct observe *o, const char *fmt, ...) PRINTF(2, 3);
void say(const struct observe *o, const char *fmt, ...) PRINTF(2, 3);
void result_judge(struct observe *o, const char *verdict, FILE *tsv);
void result_write(struct observe *o, const char *verdict);
const char *result_value(const char *key);
const char *result_key(size_t i);
int observe_main(char **args);

#endif /* OBSERVE_H */
