// SPDX-License-Identifier: GPL-2.0-only
/* Where in its life the machine is; harness/README.md has the table. */
#include "observe.h"

const char *const phase_names[PHASES] = {
	[PHASE_BOOT] = "boot",
	[PHASE_BEFORE] = "before",
	[PHASE_SHUTDOWN] = "shutdown",
	[PHASE_PURGATORY] = "purgatory",
	[PHASE_EARLY_BOOT] = "early_boot",
	[PHASE_ENUMERATION] = "enumeration",
	[PHASE_USER_SPACE] = "user_space",
	[PHASE_AFTER] = "after",
};

enum phase phases_current(const struct phases *p)
{
	return p->n ? p->change[p->n - 1].phase : PHASE_BOOT;
}

/*
 * Within one update phases only go forward: the console may lag behind the
 * channel.  A kexec begins the next update.
 */
bool phases_enter(struct phases *p, enum phase phase, uint64_t ns)
{
	if (phase == PHASE_SHUTDOWN) {
		if (!p->kexec_ns)
			p->kexec_ns = ns;
	} else if (phase <= phases_current(p)) {
		return false;
	} else if (phase > PHASE_SHUTDOWN && !p->kexec_ns) {
		return false;
	}
	if (phase == PHASE_AFTER)
		p->adopted_ns = ns;
	p->change = grow(p->change, p->n, &p->cap, sizeof(*p->change));
	p->change[p->n].phase = phase;
	p->change[p->n].clock = 0;
	p->change[p->n++].ns = ns;
	return true;
}

/* What the machine's own clock was when the current phase began. */
void phases_clock(struct phases *p, uint64_t clock)
{
	p->change[p->n - 1].clock = clock;
}

enum phase phases_at(const struct phases *p, uint64_t ns)
{
	size_t i = p->n;

	while (i--)
		if (p->change[i].ns <= ns)
			return p->change[i].phase;
	return PHASE_BOOT;
}

/* How often it began. */
unsigned int phases_count(const struct phases *p, enum phase phase)
{
	unsigned int count = 0;
	size_t i;

	for (i = 0; i < p->n; i++)
		count += p->change[i].phase == phase;
	return count;
}

bool phases_occurred(const struct phases *p, enum phase phase)
{
	return phases_count(p, phase);
}

/*
 * Check whether the jump of every update was seen.  Without it, writes of the gap
 * count as the old kernel's.
 */
bool phases_jumps_seen(const struct phases *p)
{
	bool jumped = false, any = false;
	size_t i;

	for (i = 0; i < p->n; i++) {
		enum phase phase = p->change[i].phase;

		if (phase == PHASE_SHUTDOWN)
			jumped = false;
		else if (phase == PHASE_PURGATORY)
			jumped = any = true;
		else if (phase > PHASE_PURGATORY && !jumped)
			return false;
	}
	return any;
}

/* When the gap that change number @jump begins is over. */
uint64_t phases_gap_end(const struct phases *p, size_t jump)
{
	size_t i;

	for (i = jump + 1; i < p->n; i++)
		if (p->change[i].phase < PHASE_PURGATORY ||
		    p->change[i].phase == PHASE_AFTER)
			return p->change[i].ns;
	return p->end_ns;
}

static uint64_t end_of(const struct phases *p, size_t i)
{
	if (i + 1 < p->n)
		return p->change[i + 1].ns;
	return p->end_ns > p->change[i].ns ? p->end_ns : p->change[i].ns;
}

/* Summed up when there were several updates. */
uint64_t phases_length(const struct phases *p, enum phase phase)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < p->n; i++)
		if (p->change[i].phase == phase)
			sum += end_of(p, i) - p->change[i].ns;
	return sum;
}

/* Without a kexec: after the first phase began. */
double phases_ms_after_kexec(const struct phases *p, uint64_t ns)
{
	uint64_t zero = p->kexec_ns;

	if (!zero)
		zero = p->n ? p->change[0].ns : p->end_ns;
	return (double)(int64_t)(ns - zero) / NSEC_PER_MSEC;
}

void phases_write(const struct phases *p)
{
	FILE *f = create("phases.tsv");
	size_t i;

	fprintf(f, "phase\tbegin_ns\tend_ns\tbegin_ms\tend_ms\n");
	for (i = 0; i < p->n; i++)
		fprintf(f, "%s\t%llu\t%llu\t%.3f\t%.3f\n",
			phase_names[p->change[i].phase],
			(unsigned long long)p->change[i].ns,
			(unsigned long long)end_of(p, i),
			phases_ms_after_kexec(p, p->change[i].ns),
			phases_ms_after_kexec(p, end_of(p, i)));
	fclose(f);
}
