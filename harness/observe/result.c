// SPDX-License-Identifier: GPL-2.0-only
/*
 * One list of results, written twice: flat as result.tsv, nested at the dots
 * as run.json.  Documented in harness/report/README.md.
 */
#include <stdlib.h>
#include <string.h>

#include "observe.h"

struct result {
	char key[48];
	char text[512];
	bool is_string;
};

static struct result *results;
static size_t used, room;

static struct result *put(const char *key)
{
	struct result *r;

	results = grow(results, used, &room, sizeof(*results));
	r = &results[used++];
	memset(r, 0, sizeof(*r));
	snprintf(r->key, sizeof(r->key), "%s", key);
	return r;
}

static void put_null(const char *key)
{
	strcpy(put(key)->text, "null");
}

static void put_count(const char *key, bool measured, long long value)
{
	if (measured)
		snprintf(put(key)->text, 64, "%lld", value);
	else
		put_null(key);
}

static void put_bool(const char *key, bool measured, bool value)
{
	if (measured)
		strcpy(put(key)->text, value ? "true" : "false");
	else
		put_null(key);
}

static void put_ms(const char *key, bool measured, double value)
{
	if (measured)
		snprintf(put(key)->text, 64, "%.3f", value);
	else
		put_null(key);
}

static void put_text(const char *key, const char *value)
{
	struct result *r = put(key);
	size_t i;

	snprintf(r->text, sizeof(r->text), "%s", value ? value : "null");
	r->is_string = value;
	for (i = 0; r->text[i]; i++)
		if ((unsigned char)r->text[i] < ' ')
			r->text[i] = ' ';
}

/*
 * Proof of life: the sources that were seen to work in this run.  A figure is
 * null if its source was not, and null meets no expectation.
 */
struct alive {
	bool frames;		/* one landed */
	bool memory;		/* the mapped file is the machine's memory */
	bool guest;		/* a heartbeat */
	bool trace;		/* every known event was parsed */
	bool writes;		/* to each watched function, and any after the kexec */
	bool effects;		/* also their sizes and the BARs */
	bool gap;		/* also its start, and writes of the enumeration */
	bool translation;	/* on when measuring began */
	bool remapping;		/* of interrupts, as well */
	bool faults;		/* also one of the device before */
	bool power;		/* also a transition of the device, at any time */
	bool resets;		/* one of the network device before */
	bool console;		/* init's warnings, in every kernel */
};

static struct alive alive;

static uint64_t measured_from(const struct observe *o)
{
	if (o->phases.kexec_ns)
		return o->phases.kexec_ns;
	return o->phases.n ? o->phases.change[0].ns : o->start_ns;
}

/* Faults are counted from the first phase on. */
static uint64_t faults_from(const struct observe *o)
{
	return o->phases.n ? o->phases.change[0].ns : o->start_ns;
}

static bool on_by(const struct events *e, uint64_t ns)
{
	bool on = false;
	size_t i;

	for (i = 0; i < e->n && e->event[i].ns <= ns; i++)
		on = e->event[i].flag;
	return on;
}

static struct function *source_of(const struct observe *o,
				  const struct trace_event *e)
{
	const struct config *c = &o->config;
	unsigned int i, bus = e->value >> 8;

	for (i = 0; i < c->fns; i++)
		if ((c->fn[i]->bus == bus || c->fn[i]->first_bus == bus) &&
		    c->fn[i]->devfn == (e->value & 0xff))
			return c->fn[i];
	return NULL;
}

/* Before @ns, of a device that is watched. */
static bool device_event_before(const struct observe *o, const struct events *e,
				uint64_t ns)
{
	struct function *f;
	size_t i;

	for (i = 0; i < e->n && e->event[i].ns < ns; i++) {
		f = source_of(o, &e->event[i]);
		if (f && f->is_device)
			return true;
	}
	return false;
}

static bool all_functions(const struct config *c,
			  bool (*good)(const struct function *f))
{
	unsigned int i;

	for (i = 0; i < c->fns; i++)
		if (!good(c->fn[i]))
			return false;
	return c->fns;
}

static bool was_written(const struct function *f)
{
	return f->written;
}

static bool is_known(const struct function *f)
{
	return f->len && f->bars_known;
}

static bool was_compared(const struct function *f)
{
	return f->compared;
}

/* After config_judge(). */
static void look_for_life(const struct observe *o)
{
	const struct trace *t = &o->trace;
	const struct config *c = &o->config;
	uint64_t from = measured_from(o);

	alive = (struct alive){
		.frames = o->frames.started && o->frames.landed,
		.guest = o->guest.known && o->guest.first_ns,
		.trace = !t->misread,
		.console = !console_blind(&o->console, o->channel.hello),
	};
	alive.memory = alive.frames || alive.guest;
	alive.writes = alive.trace && o->phases.kexec_ns && c->later &&
		       all_functions(c, was_written);
	alive.effects = alive.writes && c->sized && all_functions(c, is_known);
	alive.gap = alive.writes && c->gap_traced;
	alive.translation = alive.trace && o->phases.n &&
			    on_by(&o->trace.translation, from);
	alive.remapping = alive.trace && o->phases.n &&
			  on_by(&o->trace.remapping, from);
	alive.faults = alive.translation &&
		       device_event_before(o, &t->faults, faults_from(o));
	alive.power = alive.writes && device_event_before(o, &t->power, ~0ull);
	alive.resets = alive.trace && t->resets.n && t->resets.event[0].ns < from;
}

static void put_frames(const struct observe *o)
{
	const struct frames *f = &o->frames;
	const struct phases *p = &o->phases;
	bool on = alive.frames;

	put_count("frames.sent", f->started, f->sent);
	put_count("frames.landed", on, f->landed);
	put_count("frames.lost", on, f->sent - f->landed);
	put_count("frames.reordered", on, f->reordered);
	put_count("frames.duplicated", on, f->duplicated);
	put_count("frames.corrupted", on, f->corrupted);
	put_count("frames.rate_per_s", f->started, f->rate);
	put_ms("frames.blocked_ms", f->started, (double)f->blocked_ns / NSEC_PER_MSEC);
	put_ms("frames.last_landed_ms_after_kexec",
	       on && p->kexec_ns,
	       phases_ms_after_kexec(p, f->last_landed_ns));
	put_ms("frames.resolution_ms", on,
	       (double)f->max_look_gap_ns / NSEC_PER_MSEC);
}

static void put_gaps(const struct observe *o)
{
	struct gaps g = frames_gaps(&o->frames, &o->phases);
	bool on = alive.frames;

	put_ms("max_gap_ms.before", on && g.before_ms >= 0, g.before_ms);
	put_ms("max_gap_ms.during", on && g.during_ms >= 0, g.during_ms);
	put_ms("max_gap_ms.after", on && g.after_ms >= 0, g.after_ms);
}

static void put_landed_by_phase(const struct observe *o)
{
	unsigned int landed[PHASES] = { 0 };
	char key[48];
	size_t i;

	for (i = 0; i < o->frames.sent; i++)
		if (o->frames.info[i].landed_ns)
			landed[phases_at(&o->phases,
					 o->frames.info[i].landed_ns)]++;
	for (i = PHASE_BEFORE; i < PHASES; i++) {
		snprintf(key, sizeof(key), "landed_by_phase.%s", phase_names[i]);
		put_count(key, alive.frames &&
			  phases_occurred(&o->phases, i), landed[i]);
	}
}

static void put_phases(const struct observe *o)
{
	char key[48];
	int i;

	for (i = PHASE_BEFORE; i < PHASES; i++) {
		snprintf(key, sizeof(key), "phases_ms.%s", phase_names[i]);
		put_ms(key, phases_occurred(&o->phases, i),
		       (double)phases_length(&o->phases, i) / NSEC_PER_MSEC);
	}
}

static void put_config(const struct observe *o)
{
	const struct config *c = &o->config;
	bool on = alive.writes, judged = alive.effects;
	bool compared = judged && all_functions(c, was_compared);

	put_count("config_writes.device", on, c->device);
	put_count("config_writes.path", on, c->path);
	put_count("config_writes.state_changing", judged, c->state_changing);
	put_count("config_writes.by_owner", on, c->by_owner);
	put_count("config_writes.rw1c", judged, c->rw1c);
	put_count("config_writes.rw1c_maybe", judged, c->rw1c_maybe);
	put_count("config_writes.size_guessed", on, c->size_guessed);
	put_count("config_writes.in_gap", alive.gap, c->in_gap);
	put_count("config_writes.after_finish", on && o->phases.finished_ns,
		  c->after_finish);
	put_count("shadow_mismatch", compared, c->mismatches);
	put_count("shadow_ignored", compared, c->ignored);
}

static bool within(const struct observe *o, uint64_t ns)
{
	return ns >= measured_from(o) && ns <= o->phases.end_ns;
}

static unsigned int times_off(const struct observe *o, const struct events *e)
{
	unsigned int off = 0;
	size_t i;

	for (i = 0; i < e->n; i++)
		off += within(o, e->event[i].ns) && !e->event[i].flag;
	return off;
}

static void put_iommu(const struct observe *o)
{
	const struct trace *t = &o->trace;
	unsigned int device = 0, others = 0, silenced = 0;
	size_t i;

	for (i = 0; i < t->faults.n; i++) {
		const struct trace_event *e = &t->faults.event[i];
		struct function *f = source_of(o, e);

		if (e->ns < faults_from(o) || e->ns > o->phases.end_ns)
			continue;
		if (!e->flag)
			silenced++;
		else if (f && f->is_device)
			device++;
		else
			others++;
	}
	put_count("translation_disabled", alive.translation,
		  times_off(o, &t->translation));
	put_count("iommu_faults.device", alive.faults, device);
	put_count("iommu_faults.others", alive.faults, others);
	put_count("iommu_faults.silenced", alive.faults, silenced);
}

/* The root or the context entry is not present (VT-d 7.3.1). */
static bool is_blocked(const struct trace_event *e)
{
	return e->flag && (e->reason == 1 || e->reason == 2);
}

/* Accesses of functions that are not watched and have no table. */
static bool is_blocked_other(const struct observe *o, const struct trace_event *e)
{
	return is_blocked(e) && !source_of(o, e);
}

static bool is_write(const struct observe *o, const struct trace_event *e)
{
	(void)o;
	return !e->flag;
}

static bool is_any(const struct observe *o, const struct trace_event *e)
{
	(void)o;
	(void)e;
	return true;
}

static void put_by_phase(const struct observe *o, const char *name, bool known,
			 const struct events *e,
			 bool (*counts)(const struct observe *o,
					const struct trace_event *e))
{
	unsigned int n[PHASES] = { 0 };
	char key[48];
	size_t i;

	for (i = 0; i < e->n; i++)
		if (counts(o, &e->event[i]))
			n[phases_at(&o->phases, e->event[i].ns)]++;
	for (i = PHASE_BEFORE; i < PHASES; i++) {
		snprintf(key, sizeof(key), "%s.%s", name, phase_names[i]);
		put_count(key, known && phases_occurred(&o->phases, i), n[i]);
	}
}

static void put_interrupt_remapping(const struct observe *o)
{
	const struct trace *t = &o->trace;
	unsigned int sent = 0, delivered = 0;
	size_t i;

	for (i = 0; i < t->strays.n; i++) {
		delivered += t->strays.event[i].flag;
		sent += !t->strays.event[i].flag && within(o, t->strays.event[i].ns);
	}
	put_count("interrupt_remapping_disabled", alive.remapping,
		  times_off(o, &t->remapping));
	put_count("strays_sent", alive.remapping, sent);
	put_count("strays_delivered", alive.remapping && t->strays.n, delivered);
	put_by_phase(o, "strays_by_phase", alive.remapping, &t->strays, is_write);
}

/* Of the device and its path, from the kexec on. */
static void put_power(const struct observe *o)
{
	const struct events *e = &o->trace.power;
	uint64_t over = o->phases.finished_ns ? : o->phases.end_ns;
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < e->n; i++)
		n += e->event[i].ns >= measured_from(o) &&
		     e->event[i].ns <= over && source_of(o, &e->event[i]);
	put_count("power_transitions", alive.power, n);
}

/* Events that may have stopped the device; stopped_by lists them. */
static void put_stopped(const struct observe *o)
{
	put_count("stopped", alive.effects && alive.resets, o->config.stops);
}

static void put_guest(const struct observe *o)
{
	const struct guest *g = &o->guest;
	bool looked = g->checked && guest_frames(&g->last);
	bool lives = g->beat_ns > o->channel.hello_ns &&
		     g->beat_ns > o->phases.adopted_ns;
	bool gap_known = alive.guest && (lives || !o->phases.kexec_ns);

	put_bool("guest.alive", alive.guest, lives);
	put_bool("guest.content_ok", g->checked, g->content_ok);
	put_ms("guest.max_heartbeat_gap_ms", gap_known,
	       (double)g->max_gap_ns / NSEC_PER_MSEC);
	put_ms("guest.last_heartbeat_ms_after_kexec",
	       alive.guest && o->phases.kexec_ns,
	       phases_ms_after_kexec(&o->phases, g->beat_ns));
	put_count("guest.frames", g->checked, guest_frames(&g->last));
	put_count("guest.behind", g->checked, (int32_t)g->behind);
	put_ms("guest.longest_sleep_ms", g->checked,
	       (double)g->max_sleep_ns / NSEC_PER_MSEC);
	put_count("guest.bad_content", looked, g->last.bad_content);
	put_count("guest.not_a_frame", looked, g->last.not_a_frame);
	put_count("guest.out_of_order", looked, g->last.out_of_order);
}

static void put_guest_pause(const struct observe *o)
{
	struct guest_pause p = { 0 };
	bool known = guest_pause(&o->guest, &o->phases, &p), clocked;
	double ours = 0;

	put_ms("guest_pause.ms", known, p.stop_ms + p.kexec_ms + p.resume_ms);
	put_ms("guest_pause.stop_ms", known, p.stop_ms);
	put_ms("guest_pause.kexec_ms", known, p.kexec_ms);
	put_ms("guest_pause.resume_ms", known, p.resume_ms);
	put_ms("guest_pause.ours_percent", known, guest_pause_ours(&p));
	clocked = guest_pause_clocked(&o->guest, &o->phases, &ours);
	put_ms("guest_pause.clocked_percent", clocked, ours);
}

/*
 * Each frame is a reason for one message. Several may be one interrupt; after one that
 * is lost the guest does not look at what has landed.
 */
static void put_interrupts(const struct observe *o)
{
	unsigned int delivered = 0, lost = 0, spurious = 0;
	const struct frames *f = &o->frames;
	const struct guest *g = &o->guest;
	bool on = g->checked && f->queues > 1 && guest_frames(&g->last);
	uint32_t q;

	for (q = 0; q < f->queues; q++) {
		const struct lu_guest_queue *seen = &g->last.queue[q];
		size_t landed = f->queue[q].landed;

		delivered += seen->interrupts;
		lost += seen->frames < landed;
		if (g->last.mode == LU_MSIX && seen->interrupts > landed)
			spurious += seen->interrupts - landed;
	}
	if (g->last.mode != LU_MSIX && delivered > f->landed)
		spurious = delivered - f->landed;
	put_count("interrupts.raised", on, f->landed);
	put_count("interrupts.delivered", on, delivered);
	put_count("interrupts.lost", on, lost);
	put_count("interrupts.spurious", on, spurious);
}

static void put_host(const struct observe *o)
{
	char line[256] = "", *colon = NULL;
	FILE *f = fopen("/proc/cpuinfo", "re");

	while (f && !colon && fgets(line, sizeof(line), f))
		if (!strncmp(line, "model name", 10))
			colon = strchr(line, ':');
	if (f)
		fclose(f);
	if (colon)
		colon[strcspn(colon, "\n")] = '\0';
	put_text("host.cpu", colon ? colon + 2 : NULL);
	put_text("host.accel", o->qemu.accel);
	put_text("host.qemu", *o->qemu.version ? o->qemu.version : NULL);
}

static void put_all(const struct observe *o, const char *verdict)
{
	bool ktap = o->channel.ktap_plans || o->channel.ktap_ok ||
		    o->channel.ktap_not_ok;

	put_text("name", o->name);
	put_text("verdict", verdict);
	put_text("reason", *o->reason ? o->reason : NULL);
	put_ms("seconds", true, (double)(now_ns() - o->start_ns) / NSEC_PER_SEC);
	put_frames(o);
	put_gaps(o);
	put_landed_by_phase(o);
	put_config(o);
	put_stopped(o);
	put_power(o);
	put_iommu(o);
	put_by_phase(o, "blocked_by_phase", alive.faults, &o->trace.faults,
		     is_blocked_other);
	put_interrupt_remapping(o);
	put_by_phase(o, "device_tlb_by_phase", alive.translation,
		     &o->trace.device_tlb, is_any);
	put_count("canary_damaged", alive.memory && o->memory.canaries,
		  memory_canary_damaged(&o->memory));
	put_count("memory_moved",
		  o->memory.compared_ns > o->channel.hello_ns, o->memory.moved);
	put_interrupts(o);
	put_guest(o);
	put_guest_pause(o);
	put_phases(o);
	put_count("splats", alive.console, o->console.gate.splats);
	put_count("ktap.ok", ktap, o->channel.ktap_ok);
	put_count("ktap.not_ok", ktap, o->channel.ktap_not_ok);
	put_host(o);
}

static void write_tsv(const struct observe *o)
{
	const struct config *c = &o->config;
	FILE *f = create("result.tsv");
	size_t i;

	for (i = 0; i < used; i++)
		fprintf(f, "%s\t%s\n", results[i].key, results[i].text);
	for (i = 0; i < ARRAY_SIZE(o->console.kernel); i++)
		if (o->console.kernel[i])
			fprintf(f, "kernels.%zu\t%s\n", i + 1,
				o->console.kernel[i]);
	for (i = 0; i < c->stops; i++)
		fprintf(f, "stopped_by.%zu\t%s, %s, %s, %.3f ms\n", i + 1,
			c->stop[i].what, c->stop[i].where,
			phase_names[phases_at(&o->phases, c->stop[i].ns)],
			phases_ms_after_kexec(&o->phases, c->stop[i].ns));
	for (i = 0; i < c->lines; i++)
		fprintf(f, "shadow_mismatch.%zu\t%s\n", i + 1,
			c->mismatch[i].text);
	fclose(f);
}

static void json_string(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', f);
		if ((unsigned char)*s >= ' ')
			fputc(*s, f);
	}
	fputc('"', f);
}

static void json_value(FILE *f, const struct result *r)
{
	if (r->is_string)
		json_string(f, r->text);
	else
		fputs(r->text, f);
}

static size_t group_length(size_t first)
{
	const char *dot = strchr(results[first].key, '.');
	size_t n, len = dot ? dot - results[first].key + 1 : 0;

	for (n = 1; len && first + n < used; n++)
		if (strncmp(results[first + n].key, results[first].key, len))
			break;
	return n;
}

static bool all_null(size_t first, size_t n)
{
	while (n--)
		if (results[first + n].is_string ||
		    strcmp(results[first + n].text, "null"))
			return false;
	return true;
}

static void json_group(FILE *f, size_t first, size_t n)
{
	const char *key = results[first].key;
	const char *dot = strchr(key, '.');
	size_t i;

	fprintf(f, "  \"%.*s\": ", (int)(dot - key), key);
	if (all_null(first, n)) {
		fputs("null,\n", f);
		return;
	}
	fputc('{', f);
	for (i = 0; i < n; i++) {
		fprintf(f, "%s\"%s\": ", i ? ", " : "",
			strchr(results[first + i].key, '.') + 1);
		json_value(f, &results[first + i]);
	}
	fputs("},\n", f);
}

static void json_stops(FILE *f, const struct observe *o)
{
	const struct config *c = &o->config;
	size_t i;

	if (!c->stops && !(alive.effects && alive.resets)) {
		fputs("  \"stopped_by\": null,\n", f);
		return;
	}
	fputs("  \"stopped_by\": [", f);
	for (i = 0; i < c->stops; i++) {
		const struct stop *s = &c->stop[i];

		fprintf(f, "%s\n    {\"what\": \"%s\", \"where\": \"%s\", \"phase\": \"%s\", \"ms_after_kexec\": %.3f}",
			i ? "," : "", s->what, s->where,
			phase_names[phases_at(&o->phases, s->ns)],
			phases_ms_after_kexec(&o->phases, s->ns));
	}
	fputs("],\n", f);
}

static void json_mismatches(FILE *f, const struct config *c)
{
	unsigned int i;

	fputs("  \"shadow_mismatch_lines\": [", f);
	for (i = 0; i < c->lines; i++) {
		fputs(i ? ", " : "", f);
		json_string(f, c->mismatch[i].text);
	}
	fputs("],\n", f);
}

static void json_kernels(FILE *f, const struct console *c)
{
	size_t i;

	fputs("  \"kernels\": [", f);
	for (i = 0; i < ARRAY_SIZE(c->kernel) && c->kernel[i]; i++) {
		fputs(i ? ", " : "", f);
		json_string(f, c->kernel[i]);
	}
	fputs("]\n", f);
}

static void write_json(const struct observe *o)
{
	FILE *f = create("run.json");
	size_t i, n;

	fputs("{\n", f);
	for (i = 0; i < used; i += n) {
		n = group_length(i);
		if (strchr(results[i].key, '.')) {
			json_group(f, i, n);
			continue;
		}
		fprintf(f, "  \"%s\": ", results[i].key);
		json_value(f, &results[i]);
		fputs(",\n", f);
	}
	json_stops(f, o);
	json_mismatches(f, &o->config);
	json_kernels(f, &o->console);
	fputs("}\n", f);
	fclose(f);
}

static int by_time(const void *a, const void *b)
{
	const struct stop *x = a, *y = b;

	return x->ns < y->ns ? -1 : x->ns > y->ns;
}

/* What stopped the device without a write to configuration space. */
static void add_other_stops(struct observe *o)
{
	const struct trace *t = &o->trace;
	size_t i;

	if (!o->phases.kexec_ns)
		return;
	for (i = 0; i < t->translation.n; i++)
		if (within(o, t->translation.event[i].ns) &&
		    !t->translation.event[i].flag)
			config_stop(&o->config, "translation disabled", "iommu",
				    t->translation.event[i].ns);
	for (i = 0; i < t->resets.n; i++)
		if (within(o, t->resets.event[i].ns) &&
		    phases_at(&o->phases, t->resets.event[i].ns) != PHASE_AFTER)
			config_stop(&o->config, t->resets.event[i].flag ?
				    "device reset" : "receive disabled",
				    "network device", t->resets.event[i].ns);
	if (o->config.stops)
		qsort(o->config.stop, o->config.stops, sizeof(*o->config.stop),
		      by_time);
}

/* The value of a figure, NULL when there is no such figure. */
const char *result_value(const char *key)
{
	size_t i;

	for (i = 0; i < used; i++)
		if (!strcmp(results[i].key, key))
			return results[i].text;
	return NULL;
}

const char *result_key(size_t i)
{
	return i < used ? results[i].key : NULL;
}

/* Judge the run and collect all figures. */
void result_judge(struct observe *o, const char *verdict, FILE *tsv)
{
	used = 0;
	config_judge(&o->config, &o->phases, tsv);
	add_other_stops(o);
	look_for_life(o);
	put_all(o, verdict);
}

void result_write(struct observe *o, const char *verdict)
{
	FILE *tsv = create("config-writes.tsv");

	result_judge(o, verdict, tsv);
	fclose(tsv);
	frames_write(&o->frames, &o->phases);
	guest_write(&o->guest, &o->phases);
	phases_write(&o->phases);
	write_tsv(o);
	write_json(o);
}
