// SPDX-License-Identifier: GPL-2.0-only
/*
 * What only somebody outside of the machine can do, each when a phase begins:
 * commands of QEMU's human monitor, ringing a doorbell, and pausing one of the
 * device's queues.
 */
#include <string.h>

#include "observe.h"

#define RING	"doorbell "
#define PAUSE	"pause "

static bool named(const char *text, size_t len, enum phase phase)
{
	return strlen(phase_names[phase]) == len &&
	       !strncmp(text, phase_names[phase], len);
}

/* PHASE:COMMAND, for the first or @each time. Returns what is wrong with it, or NULL. */
const char *act_declare(struct observe *o, const char *text, bool each)
{
	const char *colon = strchr(text, ':');
	struct act *act = &o->acts[o->nr_acts];
	int phase;

	if (!colon || !colon[1])
		return "it must read PHASE:COMMAND";
	if (o->nr_acts == MAX_ACTS)
		return "there are too many";
	for (phase = PHASE_BEFORE; phase < PHASES; phase++)
		if (named(text, colon - text, phase))
			break;
	if (phase == PHASES)
		return "there is no such phase";
	act->phase = phase;
	act->command = colon + 1;
	act->each = each;
	o->nr_acts++;
	return NULL;
}

static const char *do_own(struct observe *o, const char *command, bool *own)
{
	char args[64];

	*own = true;
	if (!strncmp(command, RING, strlen(RING))) {
		snprintf(args, sizeof(args), "%s", command + strlen(RING));
		return doorbell_ring(&o->doorbell, args);
	}
	if (!strncmp(command, PAUSE, strlen(PAUSE))) {
		snprintf(args, sizeof(args), "%s", command + strlen(PAUSE));
		return frames_pause(&o->frames, args);
	}
	*own = false;
	return NULL;
}

static void do_act(struct observe *o, struct act *act)
{
	const char *wrong;
	bool own;

	wrong = do_own(o, act->command, &own);
	if (wrong)
		fail(o, "'%s' is no good: %s", act->command, wrong);
	if (own)
		return;
	say(o, "monitor: %s", act->command);
	qemu_ask(&o->qemu, act->command);
	act->asked = o->qemu.asked;
}

/* In the order of their declaration; a phase may be over before it is noticed. */
void acts_do(struct observe *o)
{
	unsigned int due;
	struct act *act;

	for (act = o->acts; act < o->acts + o->nr_acts; act++) {
		due = phases_count(&o->phases, act->phase);
		if (act->times == due || (act->times && !act->each))
			continue;
		act->times = due;
		do_act(o, act);
	}
}

/* At the end: a test whose fault was not injected has tested nothing. */
void acts_check(struct observe *o)
{
	const struct act *act;

	for (act = o->acts; act < o->acts + o->nr_acts; act++) {
		if (!act->times)
			fail(o, "the phase %s did not begin, so that '%s' was not done",
			     phase_names[act->phase], act->command);
		else if (act->asked > o->qemu.answered)
			fail(o, "QEMU's monitor did not answer to '%s'",
			     act->command);
	}
}
