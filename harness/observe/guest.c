// SPDX-License-Identifier: GPL-2.0-only
/* The guest inside the machine: does it live, and did it see every frame? */
#include <string.h>

#include "observe.h"

/* The picture needs no more than this; a longer silence is kept exactly. */
#define KEEP_NS	(5 * NSEC_PER_MSEC)
/* A guest that is silent for this long is not waited for. */
#define DEAD_NS	(500 * NSEC_PER_MSEC)
/* One that is silent for this long stands still: it does not sleep. */
#define STILL_NS	(50 * NSEC_PER_MSEC)

static volatile struct lu_guest_control *control(const struct guest *g)
{
	volatile struct lu_guest_control *c;

	if (!g->known)
		return NULL;
	c = memory_at(g->memory, g->offset, sizeof(*c));
	return c && c->magic == LU_CONTROL_MAGIC ? c : NULL;
}

static void keep(struct guest *g, uint64_t ns, uint32_t count)
{
	g->beat = grow(g->beat, g->beats, &g->cap, sizeof(*g->beat));
	g->beat[g->beats].ns = ns;
	g->beat[g->beats++].count = count;
}

void guest_watch(struct guest *g, uint64_t now)
{
	volatile struct lu_guest_control *c = control(g);
	uint32_t count;

	if (!c)
		return;
	count = c->heartbeat;
	if (count == g->count)
		return;
	if (!g->first_ns) {
		g->first_ns = now;
		keep(g, now, count);
	} else {
		if (now - g->beat_ns > g->max_gap_ns)
			g->max_gap_ns = now - g->beat_ns;
		if (now - g->beat_ns > KEEP_NS &&
		    g->beat[g->beats - 1].ns != g->beat_ns)
			keep(g, g->beat_ns, g->count);
		if (now - g->beat[g->beats - 1].ns >= KEEP_NS)
			keep(g, now, count);
	}
	g->count = count;
	g->beat_ns = now;
}

/* How long the guest sleeps on while a queue has something for it. */
void guest_watch_queues(struct guest *g, const struct frames *f, uint64_t now)
{
	volatile struct lu_guest_control *c = control(g);
	uint32_t q;

	if (!c || !g->first_ns)
		return;
	for (q = 0; q < f->queues; q++) {
		if (c->queue[q].frames >= f->queue[q].landed)
			g->unseen_ns[q] = 0;
		else if (!g->unseen_ns[q] || now - g->beat_ns > STILL_NS)
			g->unseen_ns[q] = now;
		else if (now - g->unseen_ns[q] > g->max_sleep_ns)
			g->max_sleep_ns = now - g->unseen_ns[q];
	}
}

/* What is under the guest's lock; false when it is always held. */
static bool snapshot(const struct guest *g, struct lu_guest_control *copy)
{
	volatile struct lu_guest_control *c = control(g);
	int tries;

	for (tries = 0; c && tries < 100000; tries++) {
		uint32_t lock = c->lock;

		if (lock & 1)
			continue;
		__sync_synchronize();
		memcpy(copy, (const void *)c, sizeof(*copy));
		__sync_synchronize();
		if (c->lock == lock)
			return true;
	}
	return false;
}

uint32_t guest_frames(const struct lu_guest_control *c)
{
	uint32_t frames = 0, q;

	for (q = 0; q < LU_QUEUES; q++)
		frames += c->queue[q].frames;
	return frames;
}

/* Also true when there is no use in waiting. */
bool guest_caught_up(const struct guest *g, const struct frames *f)
{
	struct lu_guest_control c;

	if (!g->known || !g->first_ns || now_ns() - g->beat_ns > DEAD_NS)
		return true;
	return snapshot(g, &c) && guest_frames(&c) >= f->landed;
}

static bool chains_are_same(const struct lu_guest_control *c, const struct frames *f)
{
	uint32_t q;

	for (q = 0; q < f->queues; q++)
		if (c->queue[q].frames != f->queue[q].landed ||
		    c->queue[q].chain != f->queue[q].chain)
			return false;
	return true;
}

void guest_check(struct guest *g, const struct frames *f)
{
	struct lu_guest_control *c = &g->last;

	g->checked = false;
	if (!f->started || !f->landed || !snapshot(g, c))
		return;
	g->checked = true;
	g->behind = f->landed - guest_frames(c);
	g->content_ok = chains_are_same(c, f) && !c->bad_content && !c->out_of_order;
}

/* The last heartbeat before @ns and the first one from then on; 0: none. */
static void beats_around(const struct guest *g, uint64_t ns, uint64_t *before,
			 uint64_t *after)
{
	size_t i;

	*before = 0;
	*after = g->beat_ns >= ns ? g->beat_ns : 0;
	for (i = 0; i < g->beats; i++) {
		if (g->beat[i].ns >= ns) {
			*after = g->beat[i].ns;
			return;
		}
		*before = g->beat[i].ns;
	}
	if (g->beat_ns < ns)
		*before = g->beat_ns;
}

/* What the guest waits for beyond the kexec, in percent of that. */
double guest_pause_ours(const struct guest_pause *pause)
{
	return 100 * (pause->stop_ms + pause->resume_ms) / pause->kexec_ms;
}

/* One update: from the kexec at @kexec_ns until user space at @user_ns. */
static bool pause_at(const struct guest *g, uint64_t kexec_ns, uint64_t user_ns,
		     struct guest_pause *pause)
{
	uint64_t last, first;

	beats_around(g, user_ns, &last, &first);
	if (!last || !first)
		return false;
	pause->stop_ms = (double)(int64_t)(kexec_ns - last) / NSEC_PER_MSEC;
	pause->kexec_ms = (double)(user_ns - kexec_ns) / NSEC_PER_MSEC;
	pause->resume_ms = (double)(first - user_ns) / NSEC_PER_MSEC;
	return true;
}

/*
 * Of several updates the one in which the guest waited longest for us. False
 * when there was none, or one that the guest did not survive.
 */
bool guest_pause(const struct guest *g, const struct phases *p,
		 struct guest_pause *worst)
{
	struct guest_pause pause;
	uint64_t kexec_ns = 0;
	bool known = false;
	size_t i;

	for (i = 0; i < p->n; i++) {
		if (p->change[i].phase == PHASE_SHUTDOWN)
			kexec_ns = p->change[i].ns;
		if (p->change[i].phase != PHASE_USER_SPACE)
			continue;
		if (!pause_at(g, kexec_ns, p->change[i].ns, &pause))
			return false;
		if (!known || guest_pause_ours(&pause) > guest_pause_ours(worst))
			*worst = pause;
		known = true;
	}
	return known;
}

/*
 * guest_pause_ours() by the machine's own clock, which the guest and process 1
 * read. The guest keeps the longest of its pauses.
 */
bool guest_pause_clocked(const struct guest *g, const struct phases *p,
			 double *ours)
{
	uint64_t begin = g->last.pause_begin, end = g->last.pause_end;
	uint64_t kexec = 0, user;
	size_t i;

	for (i = 0; i < p->n; i++) {
		if (p->change[i].phase == PHASE_SHUTDOWN)
			kexec = p->change[i].clock;
		if (p->change[i].phase != PHASE_USER_SPACE)
			continue;
		user = p->change[i].clock;
		if (!kexec || kexec >= user || !begin || begin >= user ||
		    end <= user)
			continue;
		*ours = 100 * ((double)(end - begin) / (user - kexec) - 1);
		return true;
	}
	return false;
}

void guest_write(const struct guest *g, const struct phases *p)
{
	FILE *f = create("heartbeat.tsv");
	size_t i;

	fprintf(f, "ns\tcount\tms\n");
	for (i = 0; i < g->beats; i++)
		fprintf(f, "%llu\t%u\t%.3f\n",
			(unsigned long long)g->beat[i].ns, g->beat[i].count,
			phases_ms_after_kexec(p, g->beat[i].ns));
	if (g->beats && g->beat[g->beats - 1].ns != g->beat_ns)
		fprintf(f, "%llu\t%u\t%.3f\n", (unsigned long long)g->beat_ns,
			g->count, phases_ms_after_kexec(p, g->beat_ns));
	fclose(f);
}
