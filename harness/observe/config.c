// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which writes to the configuration space of the device and its path changed
 * something, and which of them stopped the device.
 */
#include <ctype.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "observe.h"

static bool parse_bdf(const char *text, unsigned int *bus, unsigned int *devfn)
{
	unsigned int domain, dev, fn;
	char rest;

	if (sscanf(text, "%x:%x:%x.%x%c", &domain, bus, &dev, &fn, &rest) != 4)
		return false;
	*devfn = dev << 3 | fn;
	return !domain && *bus < 256 && dev < 32 && fn < 8;
}

struct function *config_find(const struct config *c, unsigned int bus,
			     unsigned int devfn)
{
	unsigned int i;

	for (i = 0; i < c->fns; i++)
		if (c->fn[i]->bus == bus && c->fn[i]->devfn == devfn)
			return c->fn[i];
	return NULL;
}

/* Returns what is wrong, NULL when nothing is. */
const char *config_watch(struct config *c, const char *bdf, const char *kind)
{
	unsigned int bus, devfn;
	struct function *f;

	if (!parse_bdf(bdf, &bus, &devfn))
		return "a 'watch' line names no function of domain 0";
	if (strcmp(kind, "device") && strcmp(kind, "path"))
		return "a 'watch' line says neither 'device' nor 'path'";
	if (config_find(c, bus, devfn))
		return NULL;	/* told again by the next kernel */
	if (c->fns == ARRAY_SIZE(c->fn))
		return "there are more than 16 'watch' lines";
	f = calloc(1, sizeof(*f));
	if (!f)
		harness_die("out of memory: end other programs and run the test again");
	snprintf(f->bdf, sizeof(f->bdf), "%s", bdf);
	f->first_bus = f->bus = bus;
	f->devfn = devfn;
	f->is_device = !strcmp(kind, "device");
	c->fn[c->fns++] = f;
	return NULL;
}

static size_t parse_hex(const char *hex, uint8_t *out, size_t max)
{
	unsigned int byte;
	size_t n = 0;

	while (n < max && isxdigit((unsigned char)hex[0]) &&
	       isxdigit((unsigned char)hex[1])) {
		sscanf(hex, "%2x", &byte);
		out[n++] = byte;
		hex += 2;
	}
	return *hex ? 0 : n;
}

/* The last dump before the kexec is replayed on, the last after it checks. */
const char *config_dump(struct config *c, const char *bdf, const char *hex,
			bool after_kexec, uint64_t now)
{
	unsigned int bus, devfn;
	struct function *f = NULL;
	uint8_t bytes[CONFIG_BYTES];
	size_t n;

	if (parse_bdf(bdf, &bus, &devfn))
		f = config_find(c, bus, devfn);
	if (!f)
		return "a 'config' line is for a function without a 'watch' line";
	n = parse_hex(hex, bytes, sizeof(bytes));
	if (n != 256 && n != CONFIG_BYTES)
		return "a 'config' line is neither 256 nor 4096 bytes long";
	if (after_kexec) {
		memcpy(f->end, bytes, n);
		f->end_len = n;
		f->end_ns = now;
		return NULL;
	}
	memcpy(f->cfg, bytes, n);
	memcpy(f->first, bytes, n);
	f->len = n;
	f->dump_ns = now;
	return NULL;
}

/* "      BAR0: 32 bit memory at 0xfe600000 [0xfe61ffff]" */
static void info_pci_bar(struct function *f, const char *line)
{
	unsigned long long from, to;
	unsigned int bar;
	const char *at = strstr(line, " at 0x");

	if (sscanf(line, " BAR%u:", &bar) != 1 || bar > 6 || !at ||
	    sscanf(at, " at %llx [%llx]", &from, &to) != 2 || to < from)
		return;
	f->bar_size[bar] = to - from + 1;
}

/* QEMU's answer to "info pci", still escaped as in JSON. */
void config_info_pci(struct config *c, char *text)
{
	unsigned int bus, dev, fn;
	struct function *f = NULL;
	char *line = text, *next;

	for (; line; line = next) {
		next = strstr(line, "\\r\\n");
		if (next) {
			*next = '\0';
			next += 4;
		}
		if (sscanf(line, " Bus %u, device %u, function %u:", &bus, &dev,
			   &fn) == 3 ||
		    sscanf(line, "%*[^B]Bus %u, device %u, function %u:", &bus,
			   &dev, &fn) == 3) {
			f = config_find(c, bus, dev << 3 | fn);
			if (f) {
				f->bars_known = true;
				memset(f->bar_size, 0, sizeof(f->bar_size));
			}
		} else if (f) {
			info_pci_bar(f, line);
		}
	}
}

void config_add(struct config *c, const struct config_write *w)
{
	c->write = grow(c->write, c->writes, &c->cap, sizeof(*w));
	c->write[c->writes] = *w;
	c->write[c->writes++].by_owner = c->owner_speaks;
}

/* Only the first of its kind at each place. */
void config_stop(struct config *c, const char *what, const char *where,
		 uint64_t ns)
{
	struct stop *s;
	size_t i;

	for (i = 0; i < c->stops; i++)
		if (!strcmp(c->stop[i].what, what) &&
		    !strcmp(c->stop[i].where, where))
			return;
	c->stop = grow(c->stop, c->stops, &c->stops_cap, sizeof(*s));
	s = &c->stop[c->stops++];
	s->what = what;
	snprintf(s->where, sizeof(s->where), "%s", where);
	s->ns = ns;
}

static bool covers(const struct config_write *w, unsigned int off)
{
	return off >= w->off && off < (unsigned int)w->off + w->size;
}

/* The byte of @value (what was written, or is there before, after) at @off. */
static uint8_t byte_at(const struct config_write *w, uint32_t value,
		       unsigned int off)
{
	return value >> (8 * (off - w->off));
}

struct stopper {
	const char *what;
	unsigned int off;
	uint8_t bit;
	bool falling;		/* the bit went from 1 to 0, or 0 to 1 */
};

static bool starts_flr(const struct function *f, const struct config_write *w)
{
	unsigned int off = f->pcie_cap + PCI_EXP_DEVCTL + 1;

	return f->pcie_cap && covers(w, off) && byte_at(w, w->value, off) & 0x80;
}

static bool starts_bus_reset(const struct function *f,
			     const struct config_write *w)
{
	return !f->is_device && covers(w, PCI_BRIDGE_CONTROL) &&
	       byte_at(w, w->value, PCI_BRIDGE_CONTROL) & 0x40;
}

static bool is_below(const struct function *f, const struct function *bridge)
{
	while (f && f != bridge)
		f = f->bridge;
	return f == bridge;
}

/* A reset changes far more than the register whose write began it. */
static void follow_resets(struct config *c, struct function *f,
			  const struct config_write *w, struct write_effect *e)
{
	unsigned int i;

	if (!e->known || (!starts_flr(f, w) && !starts_bus_reset(f, w)))
		return;
	e->state_changing = true;
	for (i = 0; i < c->fns; i++)
		if (starts_flr(f, w) ? c->fn[i] == f :
		    c->fn[i] != f && is_below(c->fn[i], f))
			shadow_reset(c->fn[i]);
}

static void find_stops(struct config *c, struct function *f,
		       const struct config_write *w,
		       const struct write_effect *e)
{
	unsigned int pcie = f->pcie_cap, pm = f->pm_cap, msix = f->msix_cap;
	bool bridge = !f->is_device;
	const struct stopper stoppers[] = {
		{ "bus mastering cleared", PCI_COMMAND, 0x04, true },
		{ "memory decoding cleared", PCI_COMMAND, 0x02, true },
		{ "MSI-X disabled", msix ? msix + 3 : 0, 0x80, true },
		{ "left D0", pm ? pm + PCI_PM_CTRL : 0, 0x03, false },
		{ "secondary bus reset", bridge ? PCI_BRIDGE_CONTROL : 0, 0x40,
		  false },
		{ "link disabled", bridge && pcie ? pcie + PCI_EXP_LNKCTL : 0,
		  0x10, false },
		{ "slot powered off",
		  bridge && pcie ? pcie + PCI_EXP_SLTCTL + 1 : 0, 0x04, false },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(stoppers); i++) {
		const struct stopper *s = &stoppers[i];
		uint8_t old, new;

		if (!s->off || !covers(w, s->off))
			continue;
		old = byte_at(w, e->old, s->off) & s->bit;
		new = byte_at(w, e->new, s->off) & s->bit;
		if (s->falling ? old && !new : !old && new)
			config_stop(c, s->what, f->bdf, w->ns);
	}
	if (starts_flr(f, w))
		config_stop(c, "function level reset", f->bdf, w->ns);
	if (bridge && covers(w, PCI_SECONDARY_BUS) &&
	    byte_at(w, e->old, PCI_SECONDARY_BUS) !=
	    byte_at(w, e->new, PCI_SECONDARY_BUS))
		config_stop(c, "bus number changed", f->bdf, w->ns);
}

static bool is_bridge_above(const struct function *b, const struct function *f)
{
	return b != f && b->len && !b->is_device &&
	       b->cfg[PCI_SECONDARY_BUS] == f->bus;
}

static void find_bridges(struct config *c)
{
	unsigned int i, j;

	for (i = 0; i < c->fns; i++)
		for (j = 0; j < c->fns; j++)
			if (is_bridge_above(c->fn[j], c->fn[i]))
				c->fn[i]->bridge = c->fn[j];
}

/* QEMU names a function by the bus number its bridge has at the moment. */
static void follow_bus_numbers(struct config *c)
{
	unsigned int i;

	for (i = 0; i < c->fns; i++)
		if (c->fn[i]->bridge)
			c->fn[i]->bus = c->fn[i]->bridge->cfg[PCI_SECONDARY_BUS];
}

static unsigned int guess_size(const struct config_write *w)
{
	if (w->value > 0xffff || !(w->off & 3))
		return 4;
	return w->value > 0xff || !(w->off & 1) ? 2 : 1;
}

static void count(struct config *c, const struct function *f, bool by_owner,
		  bool in_gap, const struct write_effect *e)
{
	if (by_owner) {
		c->by_owner++;
		return;
	}
	c->in_gap += in_gap;
	if (f->is_device)
		c->device++;
	else
		c->path++;
	c->state_changing += e->state_changing;
	c->rw1c += e->rw1c || e->rw1c_maybe;
	c->rw1c_maybe += !e->rw1c && e->rw1c_maybe;
}

static void print(FILE *tsv, const struct phases *p, const struct function *f,
		  const struct config_write *w, bool by_owner,
		  const struct write_effect *e)
{
	char name[64];
	int digits = 2 * w->size;

	shadow_name(f, w->off, name, sizeof(name));
	fprintf(tsv, "%.3f\t%s\t%s\t%s\t0x%03x\t%u\t",
		phases_ms_after_kexec(p, w->ns),
		phase_names[phases_at(p, w->ns)],
		by_owner ? "owner" : f->is_device ? "device" : "path", f->bdf,
		w->off, w->size);
	if (e->known)
		fprintf(tsv, "0x%0*x\t0x%0*x\t0x%0*x", digits, e->old, digits,
			w->value, digits, e->new);
	else
		fprintf(tsv, "-\t0x%0*x\t-", digits, w->value);
	fprintf(tsv, "\t%s\t%s%s\n", name,
		!e->known ? "unknown" : e->state_changing ? "state_changing" :
		"same", e->rw1c ? ",rw1c" : e->rw1c_maybe ? ",rw1c?" : "");
}

static bool in_gap(enum phase phase)
{
	return phase >= PHASE_PURGATORY && phase < PHASE_AFTER;
}

static void judge(struct config *c, const struct phases *p,
		  struct function *f, struct config_write *w, FILE *tsv)
{
	uint64_t over = p->finished_ns ? p->finished_ns : p->end_ns;
	bool by_owner = f->is_device &&
		(w->by_owner || phases_at(p, w->ns) == PHASE_AFTER);
	struct write_effect e;
	bool guessed = !w->size;

	if (guessed)
		w->size = guess_size(w);
	e = shadow_write(f, w->off, w->size, w->value);
	follow_resets(c, f, w, &e);
	follow_bus_numbers(c);
	if (tsv)
		print(tsv, p, f, w, by_owner, &e);
	if (!p->kexec_ns || w->ns < p->kexec_ns)
		return;
	if (w->ns > over) {
		c->after_finish++;
		return;
	}
	c->size_guessed += guessed;
	count(c, f, by_owner, in_gap(phases_at(p, w->ns)), &e);
	if (!by_owner && e.known)
		find_stops(c, f, w, &e);
}

/*
 * Count the writes that prove that the trace works: the first kernel's boot
 * writes to each watched function, and each next kernel's enumeration writes to
 * functions that are not watched.
 */
static void note_write(struct config *c, const struct phases *p,
		       struct function *f, const struct config_write *w)
{
	bool before = !p->kexec_ns || w->ns < p->kexec_ns;

	c->sized += w->size != 0;
	if (f && before)
		f->written++;
	if (!before)
		c->later = true;
}

static bool gaps_traced(const struct config *c, const struct phases *p)
{
	bool any = false;
	size_t i, n;

	for (i = 0; i < p->n; i++) {
		uint64_t from = p->change[i].ns, to = phases_gap_end(p, i);

		if (p->change[i].phase != PHASE_PURGATORY)
			continue;
		for (n = 0; n < c->writes; n++)
			if (c->write[n].ns > from && c->write[n].ns < to &&
			    !config_find(c, c->write[n].bus, c->write[n].devfn))
				break;
		if (n == c->writes)
			return false;
		any = true;
	}
	return any && phases_jumps_seen(p);
}

static void difference(struct config *c, const struct function *f,
		       unsigned int off, bool ignored)
{
	char name[64];

	if (c->lines < ARRAY_SIZE(c->mismatch)) {
		shadow_name(f, off, name, sizeof(name));
		snprintf(c->mismatch[c->lines++].text,
			 sizeof(c->mismatch[0].text),
			 "%s 0x%03x %s: replayed 0x%02x, read 0x%02x%s", f->bdf,
			 off, name, f->cfg[off], f->end[off],
			 ignored ? " as before any write" : "");
	}
	if (ignored)
		c->ignored++;
	else
		c->mismatches++;
}

/*
 * In bytes, and only in bits that software writes.  A byte that reads as if it
 * had never been written is one that this model of QEMU makes read-only and the
 * standard does not; it was judged the strict way, so no change went unseen.
 */
static void compare(struct config *c, struct function *f)
{
	size_t len = f->len < f->end_len ? f->len : f->end_len;
	unsigned int i;

	if (!len)
		return;
	f->compared = true;
	if (c->mismatches < 0)
		c->mismatches = 0;
	for (i = 0; i < len; i++)
		if ((f->cfg[i] ^ f->end[i]) & ~(f->ro[i] | f->w1c[i]))
			difference(c, f, i, f->end[i] == f->first[i]);
	f->end_len = 0;
}

void config_judge(struct config *c, const struct phases *p, FILE *tsv)
{
	unsigned int i;
	size_t n;

	c->judged = true;
	c->gap_traced = gaps_traced(c, p);
	c->mismatches = -1;
	for (i = 0; i < c->fns; i++)
		if (c->fn[i]->len)
			shadow_learn(c->fn[i]);
	find_bridges(c);
	if (tsv)
		fprintf(tsv, "ms_after_kexec\tphase\twhose\tbdf\toffset\tsize\told\twritten\tnew\tregister\tverdict\n");
	for (n = 0; n < c->writes; n++) {
		struct config_write *w = &c->write[n];
		struct function *f = config_find(c, w->bus, w->devfn);

		note_write(c, p, f, w);
		if (!f || w->ns <= f->dump_ns || w->ns > p->end_ns)
			continue;
		if (f->end_len && w->ns > f->end_ns)
			compare(c, f);
		judge(c, p, f, w, tsv);
	}
	for (i = 0; i < c->fns; i++)
		compare(c, c->fn[i]);
}
