// SPDX-License-Identifier: GPL-2.0-only
/* What the machine's kernels say, and what they must not say. */
#include <stdlib.h>
#include <string.h>

#include "observe.h"

static const char *const bad_lines[] = {
	"WARNING:",
	"BUG:",
	"Oops",
	"general protection",
	"KASAN:",
	"UBSAN:",
	"KFENCE:",
	"possible recursive locking",
	"possible circular locking",
	"inconsistent lock state",
	"suspicious RCU usage",
	"held lock freed",
	"sleeping function called",
	"rcu: INFO: rcu_.*detected (expedited )?stall",
	"soft lockup",
	"hung task",
	"blocked for more than",
	"DMAR: .*fault",
	"AMD-Vi: Event logged",
	"Kernel panic",
	"kmemleak: .* new suspected",
	"list_(add|del) corruption",
	"refcount_t:",
	"unchecked MSR",
	"Call Trace:",
};

static void compile_bad_lines(struct gate *g)
{
	if (g->bad)
		return;
	g->bads = ARRAY_SIZE(bad_lines);
	g->bad = calloc(g->bads, sizeof(*g->bad));
	for (size_t i = 0; g->bad && i < g->bads; i++)
		if (regcomp(&g->bad[i], bad_lines[i], REG_EXTENDED | REG_NOSUB))
			harness_die("the pattern '%s' in console.c is wrong",
				    bad_lines[i]);
}

/* "2:", "*:": returns what follows the colon, NULL when it is neither. */
static const char *number_or_star(const char *text, int star, int *value)
{
	char *end;

	if (text[0] == '*' && text[1] == ':') {
		*value = star;
		return text + 2;
	}
	*value = strtol(text, &end, 10);
	return end > text && *end == ':' && *value >= 0 ? end + 1 : NULL;
}

/*
 * "2:" is exactly two, "2+:" two or more, "*:" any number.  Returns what
 * follows the colon, NULL when it is none of these.
 */
static const char *read_count(const char *text, struct expectation *e)
{
	char *end;

	if (text[0] == '*')
		return number_or_star(text, -1, &e->count);
	e->count = strtol(text, &end, 10);
	if (end == text || e->count < 0)
		return NULL;
	e->at_least = *end == '+';
	end += e->at_least;
	return *end == ':' ? end + 1 : NULL;
}

/* STAGE:COUNT:REGEX when @counted, STAGE:REGEX when not; NULL when good. */
const char *gate_declare(struct gate *g, const char *declaration, bool counted)
{
	struct expectation e = { .count = -1 };

	e.text = number_or_star(declaration, 0, &e.stage);
	if (e.text && counted)
		e.text = read_count(e.text, &e);
	if (!e.text || !*e.text)
		return counted ? "it must read STAGE:COUNT:REGEX or STAGE:COUNT+:REGEX" :
				 "it must read STAGE:REGEX";
	if (regcomp(&e.re, e.text, REG_EXTENDED | REG_NOSUB))
		return "its regular expression is wrong";
	g->expect = grow(g->expect, g->expects, &g->cap, sizeof(e));
	g->expect[g->expects++] = e;
	return NULL;
}

static bool is_bad(const struct gate *g, const char *line)
{
	size_t i;

	for (i = 0; i < g->bads; i++)
		if (!regexec(&g->bad[i], line, 0, NULL, 0))
			return true;
	return false;
}

static bool declared(struct gate *g, int stage, const char *line)
{
	bool found = false;
	size_t i;

	for (i = 0; i < g->expects; i++) {
		struct expectation *e = &g->expect[i];

		if (e->stage && e->stage != stage)
			continue;
		if (regexec(&e->re, line, 0, NULL, 0))
			continue;
		e->seen++;
		found = true;
	}
	return found;
}

/* True when the line fails the test. */
bool gate_line(struct gate *g, int stage, const char *line)
{
	compile_bad_lines(g);
	if (declared(g, stage, line) || !is_bad(g, line))
		return false;
	if (!g->splats++)
		snprintf(g->first, sizeof(g->first), "%s", line);
	return true;
}

/*
 * Each kernel's init logs a warning at its begin and end.  When the console shows
 * it and it matches a bad line, a splat would have been noticed, too.
 */
static bool probe(struct console *c, const char *line)
{
	static const char text[] = "init: WARNING: splat probe of kernel ";
	const char *at = strstr(line, text);
	char when[8];
	int kernel;

	if (!at || sscanf(at + sizeof(text) - 1, "%d, %7s", &kernel, when) != 2)
		return false;
	compile_bad_lines(&c->gate);
	if (kernel < 1 || kernel > MAX_KERNELS || !is_bad(&c->gate, line))
		return false;
	if (!strcmp(when, "begin"))
		c->probed[kernel - 1].begin = true;
	else if (!strcmp(when, "end"))
		c->probed[kernel - 1].end = true;
	else
		return false;
	return true;
}

/*
 * Returns the first kernel in which a splat could have been missed, 0 for none.
 * For the end of all but the last, the console's line of the jump is the proof.
 */
int console_blind(const struct console *c, int kernels)
{
	int i;

	for (i = 0; i < kernels; i++)
		if (!c->probed[i].begin)
			return i + 1;
	return kernels && c->probed[kernels - 1].end ? 0 : kernels ? kernels : 1;
}

/* The first declared line that came too often or not often enough. */
const char *gate_unmet(const struct gate *g, char *buf, size_t size)
{
	size_t i;

	for (i = 0; i < g->expects; i++) {
		const struct expectation *e = &g->expect[i];

		if (e->count < 0 || e->count == e->seen ||
		    (e->at_least && e->seen > e->count))
			continue;
		snprintf(buf, size,
			 "the declared console line '%s' came %d times, not %d%s",
			 e->text, e->seen, e->count,
			 e->at_least ? " or more" : "");
		return buf;
	}
	return NULL;
}

static void remember(struct console *c, const char *line)
{
	char **slot = &c->last[c->count++ % LAST_LINES];

	free(*slot);
	*slot = strdup(line);
}

static void new_kernel(struct console *c, const char *version)
{
	size_t len = strcspn(version, " ");

	c->stage++;
	c->jumped = false;
	if (c->stage <= (int)ARRAY_SIZE(c->kernel))
		c->kernel[c->stage - 1] = strndup(version, len);
}

/* Only a kernel that was jumped to is new: /proc/version says the same. */
static void follow_boot(struct console *c, struct phases *p, uint64_t now,
			const char *line)
{
	const char *version = strstr(line, "Linux version ");

	if (strstr(line, "kexec_core: Starting new kernel")) {
		phases_enter(p, PHASE_PURGATORY, now);
		c->jumped = true;
	} else if (version && (!c->stage || c->jumped ||
			       phases_current(p) == PHASE_SHUTDOWN)) {
		new_kernel(c, version + strlen("Linux version "));
		phases_enter(p, PHASE_EARLY_BOOT, now);
	} else if (strstr(line, "ACPI: PCI Root Bridge") &&
		   phases_current(p) == PHASE_EARLY_BOOT) {
		phases_enter(p, PHASE_ENUMERATION, now);
	}
}

void console_line(struct console *c, struct phases *p, uint64_t now, char *line)
{
	bool splat;

	follow_boot(c, p, now, line);
	remember(c, line);
	if (c->log)
		fprintf(c->log, "%llu.%06llu %s\n",
			(unsigned long long)(now / NSEC_PER_SEC),
			(unsigned long long)(now % NSEC_PER_SEC / 1000), line);
	if (probe(c, line))
		return;
	splat = gate_line(&c->gate, c->stage, line);
	if (!strstr(line, "Kernel panic"))
		return;
	/* A declared one continues with a crash kernel. */
	if (splat)
		c->panicked = true;
	else
		c->jumped = true;
}

void console_show_last(const struct console *c, FILE *out)
{
	unsigned long i = c->count > LAST_LINES ? c->count - LAST_LINES : 0;

	if (!c->count)
		fprintf(out, "(the console has said nothing)\n");
	for (; i < c->count; i++)
		fprintf(out, "  | %s\n", c->last[i % LAST_LINES]);
}
