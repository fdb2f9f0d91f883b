// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a test must leave as it was: configuration space, reference counts and
 * power state of each PCI function, use of live update tags and modules,
 * pinned and preserved pages.  One line "state WHEN KEY VALUE" each, which
 * vm.sh compares; nothing is judged here.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "state.h"

#define PCI	"/sys/bus/pci/devices"
#define TAGS	"/sys/kernel/liveupdate/tags"
#define MODULES	"/sys/module"
#define PRESERVED "/sys/kernel/debug/kho/out/preserved_pages"

static ssize_t read_bytes(const char *path, void *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t len;

	if (fd < 0)
		return -1;
	len = read(fd, buf, size);
	close(fd);
	return len;
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	ssize_t len;

	if (fd < 0)
		return -1;
	len = write(fd, text, strlen(text));
	close(fd);
	return len < 0 ? -1 : 0;
}

/* Lines become one: "a|b". */
static int read_value(const char *path, char *buf, size_t size)
{
	ssize_t len = read_bytes(path, buf, size - 1);

	if (len < 0)
		return -1;
	while (len && buf[len - 1] == '\n')
		len--;
	buf[len] = '\0';
	for (char *p = buf; *p; p++)
		if (*p == '\n')
			*p = '|';
	return 0;
}

static void file(state_line line, const char *when, const char *dir,
		 const char *name, const char *attribute)
{
	char path[512], value[2048];

	snprintf(path, sizeof(path), "%s/%s/%s", dir, name, attribute);
	if (!read_value(path, value, sizeof(value)))
		line("state %s %s/%s %s", when, name, attribute, value);
}

/* Rows of zeros are left out: most of the 4096 bytes. */
static void config(state_line line, const char *when, const char *name)
{
	unsigned char bytes[4096];
	char path[512], hex[33];
	ssize_t len;

	snprintf(path, sizeof(path), PCI "/%s/config", name);
	len = read_bytes(path, bytes, sizeof(bytes));
	for (ssize_t at = 0; at + 16 <= len; at += 16) {
		static const unsigned char zero[16];

		if (!memcmp(bytes + at, zero, 16))
			continue;
		for (int i = 0; i < 16; i++)
			sprintf(hex + 2 * i, "%02x", bytes[at + i]);
		line("state %s %s/config/%03zx %s", when, name, at, hex);
	}
}

static void driver(state_line line, const char *when, const char *name)
{
	char path[512], target[512];
	ssize_t len;

	snprintf(path, sizeof(path), PCI "/%s/driver", name);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		len = 0;
	target[len] = '\0';
	line("state %s %s/driver %s", when, name,
	     len ? strrchr(target, '/') + 1 : "none");
}

static void function(state_line line, const char *when, const char *name)
{
	static const char * const attributes[] = {
		"enable", "resource", "driver_override", "d3cold_allowed",
		"liveupdate/state",
		"power/control", "power/runtime_status", "power/runtime_usage",
		"power/runtime_active_kids", "power/runtime_enabled",
	};

	for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++)
		file(line, when, PCI, name, attributes[i]);
	driver(line, when, name);
	config(line, when, name);
}

static void tag(state_line line, const char *when, const char *name)
{
	file(line, when, TAGS, name, "used");
}

static void module(state_line line, const char *when, const char *name)
{
	file(line, when, MODULES, name, "refcnt");
}

static void each(const char *dir, state_line line, const char *when,
		 void (*report)(state_line, const char *, const char *))
{
	struct dirent *e;
	DIR *d = opendir(dir);

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			report(line, when, e->d_name);
	if (d)
		closedir(d);
}

static void pinned_pages(state_line line, const char *when)
{
	unsigned long long acquired = 0, released = 0, n;
	char name[64];
	FILE *f;

	/* Each CPU keeps some of the changes to itself until it is asked. */
	write_text("/proc/sys/vm/stat_refresh", "1");
	f = fopen("/proc/vmstat", "r");
	while (f && fscanf(f, "%63s %llu", name, &n) == 2) {
		if (!strcmp(name, "nr_foll_pin_acquired"))
			acquired = n;
		if (!strcmp(name, "nr_foll_pin_released"))
			released = n;
	}
	if (f)
		fclose(f);
	line("state %s memory/pinned_pages %lld", when,
	     (long long)(acquired - released));
}

void state_report(const char *when, state_line line)
{
	char value[64];

	each(PCI, line, when, function);
	each(TAGS, line, when, tag);
	each(MODULES, line, when, module);
	pinned_pages(line, when);
	if (!read_value(PRESERVED, value, sizeof(value)))
		line("state %s memory/preserved_pages %s", when, value);
	line("state %s end -", when);
}

static void release(state_line line, const char *when, const char *name)
{
	char path[512], target[512];
	ssize_t len;

	(void)line;
	(void)when;
	snprintf(path, sizeof(path), PCI "/%s/driver", name);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return;
	target[len] = '\0';
	if (strcmp(strrchr(target, '/') + 1, "vfio-pci"))
		return;
	snprintf(path, sizeof(path), PCI "/%s/driver_override", name);
	write_text(path, "\n");
	snprintf(path, sizeof(path), PCI "/%s/driver/unbind", name);
	write_text(path, name);
}

/*
 * The test's own doing is undone: functions it gave to vfio-pci are released.
 * Whatever sleeps after that gets a second for it.
 */
void state_settle(void)
{
	struct timespec second = { .tv_sec = 1 };

	each(PCI, NULL, NULL, release);
	nanosleep(&second, NULL);
}
