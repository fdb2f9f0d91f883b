// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU's traces: "PID@SECONDS.MICROSECONDS:EVENT ARGUMENTS", in the order
 * things happened, on QEMU's standard error together with its complaints.
 */
#include <stdlib.h>
#include <string.h>

#include "observe.h"

/*
 * Without the first few nothing is known of writes, translation and faults;
 * the last few are for whoever reads trace.log.
 */
#define NEEDED_EVENTS	4

const char *const trace_always[] = {
	"pci_cfg_write",
	"vtd_dmar_enable",
	"vtd_dmar_fault",
	"vtd_fault_disabled",
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
	e->event[e->n++] = (struct trace_event){ ns, value, flag };
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
			  &size) != 3)
		return false;
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
static void cfg_write(struct trace *t, uint64_t ns, const char *args)
{
	const char *at = strrchr(args, '@');
	unsigned int bus, dev, fn, off, value;

	if (!at || at - args < 8)
		return;
	if (sscanf(at - 8, "%x:%x.%x @%x <- %x", &bus, &dev, &fn, &off,
		   &value) != 5)
		return;
	config_add(t->config, &(struct config_write){
		.ns = ns, .bus = bus, .devfn = dev << 3 | fn, .off = off,
		.size = size_of_write(t, off, value), .value = value });
}

static void event(struct trace *t, uint64_t ns, const char *name,
		  const char *args)
{
	unsigned int a;

	if (!strcmp(name, "pci_cfg_write"))
		cfg_write(t, ns, args);
	else if (!strcmp(name, "vtd_dmar_enable") &&
		 sscanf(args, "enable %u", &a) == 1)
		note(&t->translation, ns, 0, a);
	else if (!strcmp(name, "vtd_dmar_fault") &&
		 sscanf(args, "sid %x", &a) == 1)
		note(&t->faults, ns, a, true);
	else if (!strcmp(name, "vtd_fault_disabled"))
		note(&t->faults, ns, 0, false);
	else if (!strcmp(name, "e1000e_core_ctrl_sw_reset") ||
		 !strcmp(name, "e1000e_cb_qdev_reset_hold"))
		note(&t->resets, ns, 0, true);
	else if (!strcmp(name, "e1000e_rx_set_rctl") &&
		 sscanf(args, "RCTL = %x", &a) == 1 && !(a & 2))
		note(&t->resets, ns, 0, false);
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

void trace_line(void *trace, char *line)
{
	struct trace *t = trace;
	unsigned long long sec, usec;
	int used = 0;
	char *name, *args;

	if (sscanf(line, "%*u@%llu.%llu:%n", &sec, &usec, &used) != 2 || !used) {
		complaint(t, line);
		return;
	}
	name = line + used;
	args = strchr(name, ' ');
	if (args && !strncmp(name, trace_gap, args - name)) {
		if (region_write(t, args) && t->log)
			fprintf(t->log, "%s\n", line);
		return;
	}
	if (t->log)
		fprintf(t->log, "%s\n", line);
	if (args)
		*args++ = '\0';
	event(t, sec * NSEC_PER_SEC + usec * 1000, name, args ? args : "");
}
