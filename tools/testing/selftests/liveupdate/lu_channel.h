/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The channel from the test machine to the observer outside: lines of ASCII,
 * each sent with one write because several programs share the port.
 *
 * A virtio port can be opened only once, so its descriptor is inherited:
 * LIVEUPDATE_CHANNEL_FD is the number of the inherited descriptor.  Without it
 * the device node is tried.  Where there is neither (real hardware), every call
 * succeeds and does nothing.
 */
#ifndef LU_CHANNEL_H
#define LU_CHANNEL_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"

#define LU_CHANNEL_PATH		"/dev/liveupdate-channel"
#define LU_CHANNEL_FD_ENV	"LIVEUPDATE_CHANNEL_FD"

/* One for the program, whichever of its files writes. */
extern int lu_channel_fd;

/* 0, or -1 with errno: there is a channel and it cannot be used. */
static inline int lu_channel_open(void)
{
	const char *inherited = getenv(LU_CHANNEL_FD_ENV);

	if (inherited) {
		lu_channel_fd = atoi(inherited);
		return fcntl(lu_channel_fd, F_SETFD, FD_CLOEXEC);
	}
	lu_channel_fd = open(LU_CHANNEL_PATH, O_RDWR | O_CLOEXEC);
	return lu_channel_fd < 0 && errno != ENOENT ? -1 : 0;
}

static inline bool lu_channel_present(void)
{
	return lu_channel_fd >= 0;
}

static inline void lu_channel_close(void)
{
	if (lu_channel_present())
		close(lu_channel_fd);
	lu_channel_fd = -1;
}

/* @line ends with a newline. */
static inline int lu_channel_write(const char *line, size_t len)
{
	ssize_t done;

	if (!lu_channel_present())
		return 0;
	done = write(lu_channel_fd, line, len);
	if (done == (ssize_t)len)
		return 0;
	if (done >= 0)
		errno = EMSGSIZE;
	return -1;
}

static inline __printf(1, 2) int
lu_channel_tell(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (len < 0 || len >= (int)sizeof(line) - 1) {
		errno = EMSGSIZE;
		return -1;
	}
	line[len++] = '\n';
	return lu_channel_write(line, len);
}

static inline long long lu_channel_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/*
 * One line without its newline; -1 with ETIMEDOUT, EPROTO (too long), EPIPE
 * (the other end is closed) or the errno of read().
 */
static inline int lu_channel_read_line(char *line, size_t size,
				       long long deadline_ms)
{
	struct pollfd p = { .fd = lu_channel_fd, .events = POLLIN };
	size_t len = 0;

	while (len < size) {
		long long left = deadline_ms - lu_channel_now_ms();
		ssize_t got;

		if (left <= 0 || poll(&p, 1, left) == 0) {
			errno = ETIMEDOUT;
			return -1;
		}
		got = read(lu_channel_fd, line + len, 1);
		if (got == 0)
			errno = EPIPE;
		if (got != 1)
			return -1;
		if (line[len] == '\n') {
			line[len] = '\0';
			return 0;
		}
		len++;
	}
	errno = EPROTO;
	return -1;
}

/* Waits until the observer has done everything it was told before. */
static inline int lu_channel_sync(const char *word, int timeout_ms)
{
	long long deadline = lu_channel_now_ms() + timeout_ms;
	char line[128], want[64];

	if (!lu_channel_present())
		return 0;
	if (lu_channel_tell("sync %s", word))
		return -1;
	snprintf(want, sizeof(want), "ok %s", word);
	do {
		if (lu_channel_read_line(line, sizeof(line), deadline))
			return -1;
	} while (strcmp(line, want));
	return 0;
}

#endif /* LU_CHANNEL_H */
