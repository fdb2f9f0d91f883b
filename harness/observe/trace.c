// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU's traces, in the order things happened, on QEMU's standard error together
 * with its complaints.  A line is "PID@SECONDS.MICROSECONDS:EVENT ARGUMENTS" up
 * to QEMU 11.0 and "YYYY-MM-DDThh:mm:ss.MICROSECONDSZ EVENT ARGUMENTS" since.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "observe.h"

/*
 * Without the first few nothing is known of writes, translation and faults;
 * the last few are for readers of trace.log.
 */
#define NEEDED_EVENTS	4

const char *const trace_always[] = {
	"pci_cfg_write",
	"vtd_dmar_enable",
	"vtd_dmar_fault",
	"vtd_fault_disabled",
	"vtd_ir_enable",
	"vtd_ir_remap_msi",
	"vtd_ir_remap_msi_req",
	"vtd_inv_desc",
	"e1000e_core_ctrl_sw_reset",
	"e1000e_cb_qdev_reset_hold",
	"e1000e_rx_set_rctl",
	"pci_pm_transition",
	"pci_pm_bad_transition",
	"pci_update_mappings_add",
	"pci_update_mappings_del",
	"vtd_re_not_present",
	"vtd_ce_not_present",
	"vtd_reg_write_gcmd",
	NULL
};

/* Every access to every device model: on only while it is needed. */
const char *const trace_gap = "memory_region_ops_write";

static void note(struct events *e, uint64_t ns, uint32_t value, bool flag)
{
	e->event = grow(e->event, e->n, &e->cap, sizeof(*e->event));
	e->event[e->n++] = (struct trace_event){ ns, value, flag, 0 };
}

/*
 * A known event whose arguments cannot be parsed: this QEMU has changed it, so no
 * figure of the trace can be trusted.
 */
static void misread(struct trace *t, const char *name, const char *args)
{
	if (!t->misread++)
		snprintf(t->first_misread, sizeof(t->first_misread), "%s %s",
			 name, args);
}

/* "cpu 0 mr 0x55.. addr 0xb0100010 value 0x1 size 4 name 'pcie-mmcfg-mmio'" */
static bool region_write(struct trace *t, const char *args)
{
	const char *at = strstr(args, " addr 0x");
	unsigned long long addr, value;
	unsigned int size;

	if (!strstr(args, "'pcie-mmcfg-mmio'") &&
	    !strstr(args, "'pci-conf-data'"))
		return false;
	if (!at || sscanf(at, " addr %llx value %llx size %u", &addr, &value,
			  &size) != 3) {
		misread(t, trace_gap, args);
		return false;
	}
	t->region_addr = addr;
	t->region_value = value;
	t->region_size = size;
	return true;
}

/* The region's write comes just before the configuration write it causes. */
static unsigned int size_of_write(struct trace *t, unsigned int off,
				  uint32_t value)
{
	unsigned int size = t->region_size;

	t->region_size = 0;
	if (size != 1 && size != 2 && size != 4)
		return 0;
	if ((t->region_addr & 3) != (off & 3) || value != (uint32_t)t->region_value)
		return 0;
	return size;
}

/* "NAME bb:dd.f @0x04 <- 0x107"; the name may hold anything. */
static bool cfg_write(struct trace *t, uint64_t ns, const char *args)
{
	const char *at = strrchr(args, '@');
	unsigned int bus, dev, fn, off, value;

	if (!at || at - args < 8)
		return false;
	if (sscanf(at - 8, "%x:%x.%x @%x <- %x", &bus, &dev, &fn, &off,
		   &value) != 5)
		return false;
	config_add(t->config, &(struct config_write){
		.ns = ns, .bus = bus, .devfn = dev << 3 | fn, .off = off,
		.size = size_of_write(t, off, value), .value = value });
	return true;
}

/* "NAME bb:dd.f PM transition D0->D3" */
static bool pm_transition(struct trace *t, uint64_t ns, const char *args)
{
	const char *at = strstr(args, " PM transition D");
	unsigned int bus, dev, fn, from, to;

	if (!at || at - args < 7)
		return false;
	if (sscanf(at - 7, "%x:%x.%x PM transition D%u->D%u", &bus, &dev, &fn,
		   &from, &to) != 5)
		return false;
	note(&t->power, ns, bus << 8 | dev << 3 | fn, to);
	return true;
}

static bool translation(struct trace *t, uint64_t ns, const char *args)
{
	unsigned int on;

	if (sscanf(args, "enable %u", &on) != 1)
		return false;
	note(&t->translation, ns, 0, on);
	return true;
}

static bool fault(struct trace *t, uint64_t ns, const char *args)
{
	unsigned int sid, reason;

	if (sscanf(args, "sid %x fault %u", &sid, &reason) != 2)
		return false;
	note(&t->faults, ns, sid, true);
	t->faults.event[t->faults.n - 1].reason = reason;
	return true;
}

static bool silenced_fault(struct trace *t, uint64_t ns, const char *args)
{
	(void)args;
	note(&t->faults, ns, 0, false);
	return true;
}

static bool remapping(struct trace *t, uint64_t ns, const char *args)
{
	unsigned int on;

	if (sscanf(args, "enable %u", &on) != 1)
		return false;
	note(&t->remapping, ns, 0, on);
	return true;
}

/* "addr 0xfee00018 data 0x0": a write to the interrupt address range. */
static bool interrupt_write(struct trace *t, uint64_t ns, const char *args)
{
	unsigned long long addr;

	if (sscanf(args, "addr %llx", &addr) != 1)
		return false;
	if (addr == STRAY_INTERRUPT)
		note(&t->strays, ns, 0, false);
	return true;
}

/* "(addr 0xfee00018, data 0x0) -> (addr 0xfee00000, data 0x22)": what became of it. */
static bool interrupt(struct trace *t, uint64_t ns, const char *args)
{
	unsigned long long addr;

	if (sscanf(args, "(addr %llx", &addr) != 1)
		return false;
	if (addr == STRAY_INTERRUPT)
		note(&t->strays, ns, 0, true);
	return true;
}

static bool invalidation(struct trace *t, uint64_t ns, const char *args)
{
	if (strncmp(args, "invalidate desc type ", 21))
		return false;
	if (!strncmp(args + 21, "device ", 7))
		note(&t->device_tlb, ns, 0, true);
	return true;
}

static bool device_reset(struct trace *t, uint64_t ns, const char *args)
{
	(void)args;
	note(&t->resets, ns, 0, true);
	return true;
}

static bool receive_control(struct trace *t, uint64_t ns, const char *args)
{
	unsigned int rctl;

	if (sscanf(args, "RCTL = %x", &rctl) != 1)
		return false;
	if (!(rctl & 2))
		note(&t->resets, ns, 0, false);
	return true;
}

/* read() returns false when the arguments cannot be parsed. */
static const struct {
	const char *name;
	bool (*read)(struct trace *t, uint64_t ns, const char *args);
} meanings[] = {
	{ "pci_cfg_write", cfg_write },
	{ "pci_pm_transition", pm_transition },
	{ "vtd_dmar_enable", translation },
	{ "vtd_dmar_fault", fault },
	{ "vtd_fault_disabled", silenced_fault },
	{ "vtd_ir_enable", remapping },
	{ "vtd_ir_remap_msi", interrupt },
	{ "vtd_ir_remap_msi_req", interrupt_write },
	{ "vtd_inv_desc", invalidation },
	{ "e1000e_core_ctrl_sw_reset", device_reset },
	{ "e1000e_cb_qdev_reset_hold", device_reset },
	{ "e1000e_rx_set_rctl", receive_control },
};

static void event(struct trace *t, uint64_t ns, const char *name,
		  const char *args)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(meanings); i++)
		if (!strcmp(name, meanings[i].name) &&
		    !meanings[i].read(t, ns, args))
			misread(t, name, args);
}

/* To QEMU an event it does not have is no more than a warning. */
static bool lacks_needed_event(const char *line)
{
	const char *name = strstr(line, "trace event '");
	int i;

	if (!name || !strstr(name, "' does not exist"))
		return false;
	name += strlen("trace event '");
	for (i = 0; i < NEEDED_EVENTS; i++)
		if (!strncmp(name, trace_always[i], strcspn(name, "'")))
			return true;
	return false;
}

static void complaint(struct trace *t, const char *line)
{
	char *slot = t->last_stderr[t->stderrs++ % ARRAY_SIZE(t->last_stderr)];

	if (!*t->missing && lacks_needed_event(line))
		snprintf(t->missing, sizeof(t->missing), "%s", line);
	snprintf(slot, sizeof(t->last_stderr[0]), "%s", line);
	if (t->other)
		fprintf(t->other, "%s\n", line);
}

/* Up to QEMU 11.0.  Returns what follows the time, NULL when it is not one. */
static char *after_seconds(char *line, uint64_t *ns)
{
	unsigned long long sec, usec;
	int used = 0;

	if (sscanf(line, "%*u@%llu.%6llu:%n", &sec, &usec, &used) != 2 || !used)
		return NULL;
	*ns = sec * NSEC_PER_SEC + usec * 1000;
	return line + used;
}

/* Since QEMU 11.1. */
static char *after_date(char *line, uint64_t *ns)
{
	unsigned int usec;
	struct tm date = { 0 };
	int used = 0;

	if (sscanf(line, "%4d-%2d-%2dT%2d:%2d:%2d.%6uZ %n", &date.tm_year,
		   &date.tm_mon, &date.tm_mday, &date.tm_hour, &date.tm_min,
		   &date.tm_sec, &usec, &used) != 7 || !used)
		return NULL;
	date.tm_year -= 1900;
	date.tm_mon--;
	*ns = timegm(&date) * NSEC_PER_SEC + usec * 1000ull;
	return line + used;
}

/* QEMU's complaints have its name there, with a colon. */
static bool is_event_name(const char *name, const char *end)
{
	if (name == end)
		return false;
	for (; name < end; name++)
		if (!isalnum((unsigned char)*name) && *name != '_')
			return false;
	return true;
}

void trace_line(void *trace, char *line)
{
	struct trace *t = trace;
	uint64_t ns = 0;
	char *name, *args;

	name = after_seconds(line, &ns);
	if (!name)
		name = after_date(line, &ns);
	if (!name || !is_event_name(name, name + strcspn(name, " "))) {
		complaint(t, line);
		return;
	}
	args = name + strcspn(name, " ");
	if (!strncmp(name, trace_gap, args - name)) {
		if (region_write(t, args) && t->log)
			fprintf(t->log, "%s\n", line);
		return;
	}
	if (t->log)
		fprintf(t->log, "%s\n", line);
	if (*args)
		*args++ = '\0';
	event(t, ns, name, args);
}
