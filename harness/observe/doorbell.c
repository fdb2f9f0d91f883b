// SPDX-License-Identifier: GPL-2.0-only
/*
 * The server of an ivshmem-doorbell device, and the only one that rings it. Each
 * vector is an eventfd. What QEMU has to know is in its socket before it starts
 * (docs/specs/ivshmem-spec.rst of QEMU).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "observe.h"

#define PROTOCOL	0
#define CLIENT		1
#define MEMORY		-1

/* Returns what is wrong with it, or NULL. */
const char *doorbell_declare(struct doorbell *d, const char *vectors)
{
	uint64_t n;

	if (!parse_u64(vectors, &n) || !n || n > MAX_VECTORS)
		return "it must be a number of vectors, at most 32";
	d->vectors = n;
	return NULL;
}

/* A number of 64 bits, little endian, with a file descriptor or -1. */
static void send_message(int socket, int64_t number, int fd)
{
	struct iovec data = { .iov_base = &number, .iov_len = sizeof(number) };
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(fd))];
	} control = { 0 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	}
	if (sendmsg(socket, &message, MSG_NOSIGNAL) != sizeof(number))
		harness_die("cannot set up the doorbell: %s; run the test again",
			    strerror(errno));
}

/* @socket is the server's end. It stays open as long as the device is to work. */
void doorbell_serve(struct doorbell *d, int socket)
{
	int memory = memfd_create("doorbell", MFD_CLOEXEC);
	unsigned int i;

	if (memory < 0 || ftruncate(memory, PAGE_BYTES))
		harness_die("cannot create the doorbell's memory: %s; end other programs",
			    strerror(errno));
	send_message(socket, PROTOCOL, -1);
	send_message(socket, CLIENT, -1);
	send_message(socket, MEMORY, memory);
	close(memory);
	for (i = 0; i < d->vectors; i++) {
		d->event[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (d->event[i] < 0)
			harness_die("cannot create an eventfd: %s; end other programs",
				    strerror(errno));
		send_message(socket, CLIENT, d->event[i]);
	}
}

bool doorbell_busy(const struct doorbell *d)
{
	return d->next < d->end;
}

/* VECTOR, or FIRST LAST MICROSECONDS. Returns what is wrong with it, or NULL. */
const char *doorbell_ring(struct doorbell *d, char *vectors)
{
	char *rest = NULL, *first = strtok_r(vectors, " ", &rest);
	char *second = strtok_r(NULL, " ", &rest);
	uint64_t begin, last, us = 0;

	if (!parse_u64(first, &begin) ||
	    (second && (!parse_u64(second, &last) || !parse_u64(rest, &us))))
		return "it must read 'doorbell VECTOR' or 'doorbell FIRST LAST MICROSECONDS'";
	if (!second)
		last = begin;
	if (last < begin || last >= d->vectors)
		return "there is no such vector";
	if (doorbell_busy(d))
		return "other vectors are being rung";
	d->next = begin;
	d->end = last + 1;
	d->interval_ns = us * 1000;
	d->due_ns = now_ns();
	doorbell_tend(d, d->due_ns);
	return NULL;
}

/* The eventfd keeps it while the machine does not run. */
void doorbell_tend(struct doorbell *d, uint64_t now)
{
	if (!doorbell_busy(d) || now < d->due_ns)
		return;
	d->due_ns = now + d->interval_ns;
	if (eventfd_write(d->event[d->next++], 1))
		harness_die("an eventfd cannot be written: %s; run the test again",
			    strerror(errno));
}
