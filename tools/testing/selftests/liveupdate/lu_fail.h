/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * To let one allocation fail after the other, see fail-nth in
 * Documentation/fault-injection/fault-injection.rst. For the calling thread.
 */
#ifndef LU_FAIL_H
#define LU_FAIL_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"

static inline void lu_fail_write(const char *name, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		ksft_exit_fail_msg("%s: %s; a kernel with fault injection is needed\n",
				   path, strerror(errno));
	close(fd);
}

/* Returns the file for those below. */
static inline int lu_fail_open(void)
{
	int fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		ksft_exit_fail_msg("fail-nth: %s; a kernel with fault injection is needed\n",
				   strerror(errno));
	lu_fail_write("failslab/ignore-gfp-wait", "N");
	lu_fail_write("failslab/verbose", "0");
	lu_fail_write("fail_page_alloc/ignore-gfp-wait", "N");
	lu_fail_write("fail_page_alloc/min-order", "0");
	lu_fail_write("fail_page_alloc/verbose", "0");
	/* iommufd has failures of its own, when its selftest is built in. */
	if (!access("/sys/kernel/debug/fail_iommufd", F_OK))
		lu_fail_write("fail_iommufd/verbose", "0");
	return fd;
}

/* Lets the allocation fail that is the @nth from now; 0 is none. */
static inline void lu_fail_nth(int fd, unsigned int nth)
{
	char number[16];
	int len = snprintf(number, sizeof(number), "%u", nth);

	if (pwrite(fd, number, len, 0) != len)
		ksft_exit_fail_msg("cannot set fail-nth: %s\n", strerror(errno));
}

/* Were there fewer allocations than that? */
static inline bool lu_fail_left(int fd)
{
	char number[16] = "";

	if (pread(fd, number, sizeof(number) - 1, 0) < 1)
		ksft_exit_fail_msg("cannot read fail-nth: %s\n", strerror(errno));
	return atoi(number) > 0;
}

#endif /* LU_FAIL_H */
