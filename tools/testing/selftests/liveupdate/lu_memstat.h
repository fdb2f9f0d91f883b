/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's own figures of its memory: what is free, what is pinned.
 */
#ifndef LU_MEMSTAT_H
#define LU_MEMSTAT_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"

static inline FILE *lu_memstat_open(const char *path, const char *mode)
{
	FILE *f = fopen(path, mode);

	if (!f)
		ksft_exit_fail_msg("cannot open %s: %s\n", path, strerror(errno));
	return f;
}

/* The number behind @key in a file of lines "key number", or "key: number". */
static inline long lu_memstat(const char *path, const char *key)
{
	FILE *f = lu_memstat_open(path, "r");
	size_t len = strlen(key);
	char line[256];
	long value = -1;

	while (value < 0 && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, key, len) && strchr(": ", line[len]))
			value = atol(line + len + 1);
	}
	fclose(f);
	if (value < 0)
		ksft_exit_fail_msg("%s does not have %s\n", path, key);
	return value;
}

/* Includes the per-CPU page lists, which MemFree leaves out. */
static inline long lu_memstat_free_kib(void)
{
	long kib = lu_memstat("/proc/meminfo", "MemFree"), pages;
	FILE *f = lu_memstat_open("/proc/zoneinfo", "r");
	char line[256];

	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, " count: %ld", &pages) == 1)
			kib += pages * (sysconf(_SC_PAGESIZE) / 1024);
	}
	fclose(f);
	return kib;
}

/* The counters are per CPU and folded now and then; fold them now. */
static inline long lu_memstat_pinned(void)
{
	FILE *f = lu_memstat_open("/proc/sys/vm/stat_refresh", "w");

	if (fputs("1", f) < 0 || fclose(f))
		ksft_exit_fail_msg("cannot refresh /proc/vmstat: %s\n",
				   strerror(errno));
	return lu_memstat("/proc/vmstat", "nr_foll_pin_acquired") -
	       lu_memstat("/proc/vmstat", "nr_foll_pin_released");
}

#endif /* LU_MEMSTAT_H */
