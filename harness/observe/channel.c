// SPDX-License-Identifier: GPL-2.0-only
/* The machine's own words, line by line; harness/README.md has the table. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "observe.h"

static char *next_word(char **rest)
{
	char *word = strtok_r(NULL, " ", rest);

	return word ? word : (char *)"";
}

static const char *on_memory(struct observe *o, char *args)
{
	uint64_t offset, phys, len;
	char *rest = NULL, *first = strtok_r(args, " ", &rest);

	if (first && !strcmp(first, "end")) {
		memory_end(&o->memory, now_ns());
		return NULL;
	}
	if (!parse_u64(first, &offset) || !parse_u64(next_word(&rest), &phys) ||
	    !parse_u64(next_word(&rest), &len))
		return "it must read 'memory OFFSET PHYS LEN' or 'memory end'";
	return memory_add(&o->memory, offset, phys, len);
}

static const char *on_ring(struct observe *o, char *args)
{
	uint64_t slots, size, offset, queues = 1;
	char *rest = NULL, *first = strtok_r(args, " ", &rest);

	if (!parse_u64(first, &slots) || !parse_u64(next_word(&rest), &size) ||
	    !parse_u64(next_word(&rest), &offset) ||
	    (*rest && !parse_u64(rest, &queues)))
		return "it must read 'ring SLOTS SLOT_SIZE OFFSET' or 'ring SLOTS SLOT_SIZE OFFSET QUEUES'";
	return frames_ring(&o->frames, slots, size, offset, queues);
}

static const char *on_control(struct observe *o, char *args)
{
	if (!parse_u64(args, &o->guest.offset))
		return "it must read 'control OFFSET'";
	o->guest.known = true;
	return NULL;
}

static const char *on_canary(struct observe *o, char *args)
{
	uint64_t phys, len;
	char *rest = NULL, *first = strtok_r(args, " ", &rest);

	if (!parse_u64(first, &phys) || !parse_u64(next_word(&rest), &len))
		return "it must read 'canary PHYS LEN'";
	return memory_canary_fill(&o->memory, phys, len);
}

static const char *on_watch(struct observe *o, char *args)
{
	char *rest = NULL, *bdf = strtok_r(args, " ", &rest);

	return config_watch(&o->config, bdf ? bdf : "", next_word(&rest));
}

/* Without it a configuration write has no size. */
static void trace_the_gap(struct observe *o, bool on)
{
	char command[64];

	if (o->gap_traced == on || !o->config.fns)
		return;
	o->gap_traced = on;
	snprintf(command, sizeof(command), "trace-event %s %s", trace_gap,
		 on ? "on" : "off");
	qemu_ask(&o->qemu, command);
	if (on)
		qemu_ask_info_pci(&o->qemu);
}

static const char *on_config(struct observe *o, char *args)
{
	char *rest = NULL, *bdf = strtok_r(args, " ", &rest);

	if (!o->phases.kexec_ns)
		trace_the_gap(o, true);
	return config_dump(&o->config, bdf ? bdf : "", next_word(&rest),
			   o->phases.kexec_ns, now_ns());
}

static const char *on_frames(struct observe *o, char *args)
{
	if (!strcmp(args, "start"))
		return frames_start(&o->frames, now_ns());
	if (!strcmp(args, "resume")) {
		frames_resume(&o->frames);
		return NULL;
	}
	if (strcmp(args, "stop"))
		return "it must read 'frames start', 'frames resume' or 'frames stop'";
	frames_stop(&o->frames, now_ns());
	return NULL;
}

static const char *on_doorbell(struct observe *o, char *args)
{
	return doorbell_ring(&o->doorbell, args);
}

static const char *on_owner(struct observe *o, char *args)
{
	o->config.owner_speaks = !strcmp(args, "begin");
	if (o->config.owner_speaks || !strcmp(args, "end"))
		return NULL;
	return "it must read 'owner begin' or 'owner end'";
}

/* Answered by channel_answer(), when all that came before is done. */
static const char *hold(struct observe *o, const char *word)
{
	struct channel *c = &o->channel;

	if (c->holds == ARRAY_SIZE(c->held))
		return "too many answers are waited for";
	snprintf(c->held[c->holds++], sizeof(c->held[0]), "%s", word);
	return NULL;
}

static const char *on_sync(struct observe *o, char *args)
{
	if (!*args)
		return "it must read 'sync WORD'";
	return hold(o, args);
}

static const char *on_kexec(struct observe *o, char *args)
{
	if (*args && !parse_u64(args, &o->channel.kexec_clock))
		return "it must read 'kexec' or 'kexec CLOCK'";
	trace_the_gap(o, true);
	return hold(o, "kexec");
}

static const char *on_adopted(struct observe *o, char *args)
{
	(void)args;
	if (phases_enter(&o->phases, PHASE_AFTER, now_ns()))
		say(o, "phase after");
	return NULL;
}

static const char *on_finished(struct observe *o, char *args)
{
	(void)args;
	o->phases.finished_ns = now_ns();
	trace_the_gap(o, false);
	return NULL;
}

static const char *on_hello(struct observe *o, char *args)
{
	char *rest = NULL, *first = strtok_r(args, " ", &rest), *second;
	uint64_t n, clock = 0, now = now_ns();

	if (!parse_u64(first, &n) || !n || n > MAX_KERNELS ||
	    (*(second = next_word(&rest)) && !parse_u64(second, &clock)))
		return "it must read 'hello N' or 'hello N CLOCK'";
	o->channel.hello = n;
	o->channel.hello_ns = now;
	if (o->console.stage < (int)n)
		o->console.stage = n;
	if (phases_enter(&o->phases, PHASE_USER_SPACE, now))
		phases_clock(&o->phases, clock);
	say(o, "kernel %d is up", (int)n);
	return NULL;
}

static const char *on_ktap(struct observe *o, char *args)
{
	const char *text = args + strspn(args, " ");

	o->channel.ktap_plans += !strncmp(text, "1..", 3);
	o->channel.ktap_ok += !strncmp(text, "ok ", 3);
	o->channel.ktap_not_ok += !strncmp(text, "not ok ", 7);
	fprintf(o->channel.ktap, "%s\n", args);
	if (o->progress)
		say(o, "%s", args);
	return NULL;
}

static const char *on_verdict(struct observe *o, char *args)
{
	struct channel *c = &o->channel;

	if (strncmp(args, "pass", 4) && strncmp(args, "fail", 4) &&
	    strncmp(args, "skip", 4))
		return "a verdict is pass, fail or skip";
	if (*c->verdict)
		return "there was a verdict already";
	snprintf(c->verdict, sizeof(c->verdict), "%s", args);
	c->verdict_ns = now_ns();
	return NULL;
}

static const char *on_state(struct observe *o, char *args)
{
	fprintf(o->channel.state, "%s\n", args);
	return NULL;
}

static const struct {
	const char *word;
	const char *(*act)(struct observe *o, char *args);
} meanings[] = {
	{ "hello", on_hello },
	{ "ktap", on_ktap },
	{ "memory", on_memory },
	{ "ring", on_ring },
	{ "control", on_control },
	{ "canary", on_canary },
	{ "watch", on_watch },
	{ "config", on_config },
	{ "frames", on_frames },
	{ "doorbell", on_doorbell },
	{ "owner", on_owner },
	{ "sync", on_sync },
	{ "kexec", on_kexec },
	{ "adopted", on_adopted },
	{ "finished", on_finished },
	{ "state", on_state },
	{ "verdict", on_verdict },
};

static const char *act_on(struct observe *o, char *line)
{
	size_t i, len = strcspn(line, " ");
	char *args = line + len;

	if (*args)
		args++;
	for (i = 0; i < ARRAY_SIZE(meanings); i++)
		if (strlen(meanings[i].word) == len &&
		    !strncmp(line, meanings[i].word, len))
			return meanings[i].act(o, args);
	return "no such line is known";
}

void channel_line(void *observe, char *line)
{
	struct observe *o = observe;
	uint64_t now = now_ns();
	const char *wrong;
	char copy[80];

	fprintf(o->channel.log, "%llu.%06llu %s\n",
		(unsigned long long)(now / NSEC_PER_SEC),
		(unsigned long long)(now % NSEC_PER_SEC / 1000), line);
	if (!*line)
		return;
	/* What QEMU traced before this line was written belongs before it. */
	lines_read(&o->trace.lines, o->qemu.output, trace_line, &o->trace);
	frames_watch(&o->frames, now_ns());
	snprintf(copy, sizeof(copy), "%s", line);
	wrong = act_on(o, line);
	if (wrong)
		fail(o, "the channel line '%s' is no good: %s", copy, wrong);
}

static bool all_done(const struct observe *o)
{
	if (o->qemu.asked != o->qemu.answered || doorbell_busy(&o->doorbell))
		return false;
	return !o->frames.draining;
}

static void answer(struct observe *o, const char *word)
{
	char line[80];
	int len = snprintf(line, sizeof(line), "ok %s\n", word);

	fprintf(o->channel.log, "< %s", line);
	if (write(o->qemu.channel, line, len) != len)
		fail(o, "the channel took no answer: %s", strerror(errno));
}

/* The gap begins with the permission to jump, not with the question. */
void channel_answer(struct observe *o)
{
	struct channel *c = &o->channel;
	unsigned int i;

	if (!c->holds || !all_done(o))
		return;
	for (i = 0; i < c->holds; i++) {
		if (!strcmp(c->held[i], "kexec")) {
			frames_watch(&o->frames, now_ns());
			phases_enter(&o->phases, PHASE_SHUTDOWN, now_ns());
			phases_clock(&o->phases, c->kexec_clock);
			say(o, "phase shutdown");
		}
		answer(o, c->held[i]);
	}
	c->holds = 0;
}
