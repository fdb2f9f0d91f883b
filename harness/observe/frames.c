// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends numbered frames into QEMU's network back end and watches each land in
 * the machine's memory.
 *
 * "Sent" is what QEMU's socket accepted.  A number is never skipped: what was
 * not accepted is tried again, so a number that never lands is a loss.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "observe.h"

#define QEMU_SOCKET	"net.qemu"
#define OUR_SOCKET	"net.host"

/* The device fills a ring in order; a short look ahead is the fast path. */
#define WINDOW		8
/* A ring that was set up again begins elsewhere: only a full scan finds that. */
#define SCAN_NS		(100 * NSEC_PER_MSEC)
/* A frame being written has a wrong sum for less than this. */
#define TORN_NS		(5 * NSEC_PER_MSEC)
/* After this long without an arrival what is under way will not come. */
#define PAUSE_NS	(300 * NSEC_PER_MSEC)

void frames_open(struct frames *f)
{
	struct sockaddr_un self = { .sun_family = AF_UNIX, .sun_path = OUR_SOCKET };

	f->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	unlink(OUR_SOCKET);
	if (f->socket < 0 ||
	    bind(f->socket, (struct sockaddr *)&self, sizeof(self)))
		harness_die("cannot make the socket %s: %s; choose another --dir",
			    OUR_SOCKET, strerror(errno));
}

/* Returns what is wrong, NULL when nothing is. */
const char *frames_ring(struct frames *f, uint64_t slots, uint64_t size,
			uint64_t offset, uint64_t queues)
{
	if (!slots || slots > 65536 || size < sizeof(struct lu_frame) ||
	    size > 65536 || offset % 4 || !queues || queues > LU_QUEUES ||
	    slots % queues)
		return "the 'ring' line describes no usable ring";
	if (f->slots == slots && f->slot_size == size && f->ring_offset == offset &&
	    f->queues == queues)
		return NULL;	/* the same ring, told by the next kernel */
	if (f->slots)
		return "a second 'ring' line describes another ring";
	f->slots = slots;
	f->queues = queues;
	f->slot_size = size;
	f->ring_offset = offset;
	f->slot_stamp = calloc(slots, sizeof(*f->slot_stamp));
	f->slot_torn_ns = calloc(slots, sizeof(*f->slot_torn_ns));
	if (!f->slot_stamp || !f->slot_torn_ns)
		harness_die("out of memory: end other programs and run the test again");
	return NULL;
}

const char *frames_start(struct frames *f, uint64_t now)
{
	if (!f->slots || !f->memory->complete)
		return "'frames start' came before 'ring' and 'memory end'";
	if (!f->rate)
		return "the machine requests frames and the test declares no --rate";
	f->started = true;
	f->sending = true;
	f->draining = false;
	f->due_ns = now;
	return NULL;
}

void frames_stop(struct frames *f, uint64_t now)
{
	if (!f->sending)
		return;
	if (f->blocked_since_ns)
		f->blocked_ns += now - f->blocked_since_ns;
	f->blocked_since_ns = 0;
	f->sending = false;
	f->draining = true;
	f->stop_ns = now;
}

/* QUEUE, or QUEUE FRAMES. Returns what is wrong with it, or NULL. */
const char *frames_pause(struct frames *f, char *args)
{
	char *rest = NULL, *first = strtok_r(args, " ", &rest);
	uint64_t queue, left = 0;

	if (!parse_u64(first, &queue) || (*rest && !parse_u64(rest, &left)))
		return "it must read 'pause QUEUE' or 'pause QUEUE FRAMES'";
	if (queue >= f->queues)
		return "there is no such queue";
	f->queue[queue].paused = true;
	f->queue[queue].left = left;
	return NULL;
}

void frames_resume(struct frames *f)
{
	uint32_t q;

	for (q = 0; q < f->queues; q++)
		f->queue[q].paused = false;
}

static bool is_paused(const struct queue *q)
{
	return q->paused && !q->left;
}

/* False when nothing is to be sent to any. */
bool choose_queue(struct frames *f)
{
	uint32_t tries;

	for (tries = 0; tries < f->queues; tries++) {
		if (!is_paused(&f->queue[f->next_queue]))
			return true;
		f->next_queue = (f->next_queue + 1) % f->queues;
	}
	return false;
}

void frame_build(struct lu_frame *frame, uint32_t seq, uint32_t queue,
		 uint64_t sent_ns)
{
	static const uint8_t source[6] = { 0x02, 0, 0, 0, 0, 0x01 };
	uint32_t i;

	memset(frame, 0, sizeof(*frame));
	lu_queue_address(frame->dst, queue);
	memcpy(frame->src, source, sizeof(frame->src));
	frame->ethertype[0] = LU_ETHERTYPE >> 8;
	frame->ethertype[1] = LU_ETHERTYPE & 0xff;
	frame->magic = LU_FRAME_MAGIC;
	frame->seq = seq;
	frame->sent_ns = sent_ns;
	for (i = 0; i < LU_FRAME_WORDS; i++)
		frame->body[i] = lu_frame_word(seq, i);
	frame->sum = lu_frame_sum(frame);
}

void frames_accepted(struct frames *f, uint32_t queue, uint64_t sent_ns)
{
	f->info = grow(f->info, f->sent, &f->cap, sizeof(*f->info));
	f->info[f->sent++] = (struct frame_info){
		.sent_ns = sent_ns, .slot = -1, .queue = queue };
}

void frame_was_sent(struct frames *f, uint64_t now)
{
	struct queue *q = &f->queue[f->next_queue];

	frames_accepted(f, f->next_queue, now);
	if (q->paused)
		q->left--;
	f->next_queue = (f->next_queue + 1) % f->queues;
}

static void blocked(struct frames *f, uint64_t now)
{
	if (!f->blocked_since_ns)
		f->blocked_since_ns = now;
}

/* No bursts: after a delay at most twice the rate, after a block none. */
static void next_deadline(struct frames *f, uint64_t now)
{
	uint64_t period = NSEC_PER_SEC / f->rate;

	if (f->blocked_since_ns) {
		f->blocked_ns += now - f->blocked_since_ns;
		f->blocked_since_ns = 0;
		f->due_ns = now;
	}
	f->due_ns += period;
	if (f->due_ns < now + period / 2)
		f->due_ns = now + period / 2;
}

void frames_send(struct frames *f, uint64_t now)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = QEMU_SOCKET };
	struct lu_frame frame;
	char waste[2048];
	ssize_t done;

	while (recv(f->socket, waste, sizeof(waste), MSG_DONTWAIT) > 0)
		;	/* frames that the device sends are ignored */
	if (!f->sending || now < f->due_ns || !choose_queue(f))
		return;
	frame_build(&frame, f->sent + 1, f->next_queue, now);
	done = sendto(f->socket, &frame, sizeof(frame), MSG_DONTWAIT,
		      (struct sockaddr *)&to, sizeof(to));
	if (done == sizeof(frame)) {
		frame_was_sent(f, now);
		next_deadline(f, now);
	} else if (errno == EAGAIN || errno == ENOBUFS || errno == EINTR) {
		blocked(f, now);
	} else if (!f->sent) {
		f->send_error = "frames cannot be sent: the machine has no network back end " QEMU_SOCKET;
	} else {
		blocked(f, now);	/* QEMU is going away; main.c will see */
	}
}

enum look { NOTHING_NEW, LANDED, BROKEN };

static enum look torn(struct frames *f, uint32_t slot, uint64_t stamp,
		      uint64_t now)
{
	if (!f->slot_torn_ns[slot])
		f->slot_torn_ns[slot] = now;
	if (now - f->slot_torn_ns[slot] < TORN_NS)
		return NOTHING_NEW;
	f->slot_torn_ns[slot] = 0;
	f->slot_stamp[slot] = stamp;
	f->corrupted++;
	return BROKEN;
}

static void landed(struct frames *f, const struct lu_frame *frame,
		   uint32_t slot, uint64_t now)
{
	struct frame_info *info = &f->info[frame->seq - 1];
	struct queue *q = &f->queue[info->queue];

	if (info->landed_ns) {
		f->duplicated++;
		return;
	}
	info->landed_ns = now;
	info->slot = slot;
	f->last_landed_ns = now;
	if (frame->seq < q->max_landed_seq)
		f->reordered++;
	else
		q->max_landed_seq = frame->seq;
	q->chain = lu_chain(q->chain, frame->seq, frame->sum);
	q->landed++;
	f->landed++;
}

static enum look look(struct frames *f, uint32_t slot, uint64_t now)
{
	uint64_t at = f->ring_offset + (uint64_t)slot * f->slot_size;
	volatile struct lu_frame *there;
	struct lu_frame frame;
	uint64_t stamp;

	there = memory_at(f->memory, at, sizeof(frame));
	if (!there || there->magic != LU_FRAME_MAGIC)
		return NOTHING_NEW;
	stamp = there->sent_ns;
	if (stamp == f->slot_stamp[slot])
		return NOTHING_NEW;
	memcpy(&frame, (const void *)there, sizeof(frame));
	if (frame.sum != lu_frame_sum(&frame))
		return torn(f, slot, stamp, now);
	f->slot_torn_ns[slot] = 0;
	f->slot_stamp[slot] = stamp;
	/* Only what we sent in this run: the file may hold an older one's. */
	if (!frame.seq || frame.seq > f->sent ||
	    f->info[frame.seq - 1].sent_ns != stamp)
		return NOTHING_NEW;
	landed(f, &frame, slot, now);
	return LANDED;
}

static bool watch_slots(struct frames *f, uint32_t queue, uint32_t count, uint64_t now)
{
	uint32_t slots = f->slots / f->queues, slot, i;
	struct queue *q = &f->queue[queue];
	uint32_t first = q->next_slot;
	bool found = false;

	if (count > slots)
		count = slots;
	for (i = 0; i < count; i++) {
		slot = (first + i) % slots;
		if (look(f, queue * slots + slot, now) == NOTHING_NEW)
			continue;
		q->next_slot = (slot + 1) % slots;
		found = true;
	}
	return found;
}

void frames_watch(struct frames *f, uint64_t now)
{
	bool scan = now - f->scanned_ns >= SCAN_NS;
	uint32_t q;

	if (!f->started)
		return;
	if (f->looked_ns && (f->sending || f->draining) &&
	    now - f->looked_ns > f->max_look_gap_ns)
		f->max_look_gap_ns = now - f->looked_ns;
	f->looked_ns = now;
	if (scan)
		f->scanned_ns = now;
	for (q = 0; q < f->queues; q++) {
		while (watch_slots(f, q, WINDOW, now))
			;
		if (scan)
			watch_slots(f, q, f->slots, now);
	}
}

/* After a stop: nothing is under way any more. */
bool frames_settled(const struct frames *f, uint64_t now)
{
	uint64_t last = f->last_landed_ns;

	if (f->landed == f->sent)
		return true;
	if (last < f->stop_ns)
		last = f->stop_ns;
	return now - last > PAUSE_NS;
}

void frames_write(const struct frames *f, const struct phases *p)
{
	FILE *out = create("arrivals.tsv");
	size_t i;

	fprintf(out, "seq\tsent_ns\tlanded_ns\tphase\tslot\tsent_ms\tlanded_ms\tqueue\n");
	for (i = 0; i < f->sent; i++) {
		const struct frame_info *info = &f->info[i];

		fprintf(out, "%zu\t%llu\t", i + 1,
			(unsigned long long)info->sent_ns);
		if (!info->landed_ns) {
			fprintf(out, "-\tlost\t-\t%.3f\t-\t%u\n",
				phases_ms_after_kexec(p, info->sent_ns), info->queue);
			continue;
		}
		fprintf(out, "%llu\t%s\t%d\t%.3f\t%.3f\t%u\n",
			(unsigned long long)info->landed_ns,
			phase_names[phases_at(p, info->landed_ns)], info->slot,
			phases_ms_after_kexec(p, info->sent_ns),
			phases_ms_after_kexec(p, info->landed_ns), info->queue);
	}
	fclose(out);
}

static int by_time(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static size_t sorted_arrivals(const struct frames *f, uint64_t **out)
{
	uint64_t *at = calloc(f->landed + 1, sizeof(*at));
	size_t i, n = 0;

	if (!at)
		harness_die("out of memory: end other programs and run the test again");
	for (i = 0; i < f->sent; i++)
		if (f->info[i].landed_ns)
			at[n++] = f->info[i].landed_ns;
	qsort(at, n, sizeof(*at), by_time);
	*out = at;
	return n;
}

static void larger(double *max, uint64_t from, uint64_t to)
{
	double ms = (double)(to - from) / NSEC_PER_MSEC;

	if (ms > *max)
		*max = ms;
}

/*
 * When the traffic was still wanted and nothing came any more, how long the
 * gap would have lasted is not known; -1 says so.
 */
static bool gap_ended(const struct frames *f, const struct phases *p,
		      uint64_t last)
{
	uint64_t late = 200 * NSEC_PER_MSEC;

	if (p->adopted_ns)
		return last >= p->adopted_ns;
	if (f->rate && 5 * NSEC_PER_SEC / f->rate > late)
		late = 5 * NSEC_PER_SEC / f->rate;
	return last + late >= (f->stop_ns ? f->stop_ns : p->end_ns);
}

struct gaps frames_gaps(const struct frames *f, const struct phases *p)
{
	struct gaps g = { -1, -1, -1 };
	uint64_t kexec = p->kexec_ns ? p->kexec_ns : ~0ull;
	uint64_t over = p->adopted_ns ? p->adopted_ns : ~0ull;
	uint64_t *at;
	size_t i, n = sorted_arrivals(f, &at);

	for (i = 1; i < n; i++) {
		if (at[i] < kexec)
			larger(&g.before_ms, at[i - 1], at[i]);
		if (at[i] >= kexec && at[i - 1] < over)
			larger(&g.during_ms, at[i - 1], at[i]);
		if (at[i - 1] >= over)
			larger(&g.after_ms, at[i - 1], at[i]);
	}
	if (!n || !gap_ended(f, p, at[n - 1]))
		g.during_ms = -1;
	free(at);
	return g;
}
