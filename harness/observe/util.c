// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "observe.h"

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

uint64_t now_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

uint64_t mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* Room for one more element. */
void *grow(void *array, size_t used, size_t *cap, size_t size)
{
	if (used < *cap)
		return array;
	*cap = *cap ? 2 * *cap : 64;
	array = realloc(array, *cap * size);
	if (!array)
		harness_die("out of memory: end other programs and run the test again");
	return array;
}

/* PDEATHSIG takes QEMU with us. */
void harness_die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("observe: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs(".\n", stderr);
	exit(EXIT_HARNESS);
}

FILE *create(const char *name)
{
	FILE *f = fopen(name, "we");

	if (!f)
		harness_die("cannot write %s: %s; make room or choose another --dir",
			    name, strerror(errno));
	return f;
}

bool parse_u64(const char *text, uint64_t *value)
{
	char *end;

	if (!text || *text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &end, 0);
	return !errno && !*end;
}

static void split(struct lines *l, line_fn fn, void *ctx)
{
	char *begin = l->buf, *end = l->buf + l->len, *nl;

	while ((nl = memchr(begin, '\n', end - begin))) {
		*nl = '\0';
		if (nl > begin && nl[-1] == '\r')
			nl[-1] = '\0';
		fn(ctx, begin);
		begin = nl + 1;
	}
	l->len = end - begin;
	memmove(l->buf, begin, l->len);
}

static void flush_rest(struct lines *l, line_fn fn, void *ctx)
{
	if (!l->len)
		return;
	l->buf[l->len] = '\0';
	l->len = 0;
	fn(ctx, l->buf);
}

bool lines_read(struct lines *l, int fd, line_fn fn, void *ctx)
{
	ssize_t got;

	for (;;) {
		if (l->cap - l->len < 32768) {
			l->cap += 65536;
			l->buf = realloc(l->buf, l->cap);
			if (!l->buf)
				harness_die("out of memory: end other programs and run the test again");
		}
		got = read(fd, l->buf + l->len, l->cap - l->len - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return true;
		if (got <= 0) {
			flush_rest(l, fn, ctx);
			return false;
		}
		l->len += got;
		split(l, fn, ctx);
	}
}
