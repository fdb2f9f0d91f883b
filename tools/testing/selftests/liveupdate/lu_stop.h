/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a VM is stopped right before the kexec.
 *
 * The VMM that has preserved its VM lets it run and listens.  The process that is
 * about to start the next kernel connects; the VMM stops the VM, answers with one
 * line and closes.  Used by process 1 of the test machine, too: no library but libc.
 */
#ifndef LU_STOP_H
#define LU_STOP_H

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LU_STOP_NAME		"lu_vmm"	/* in the abstract name space */
#define LU_STOP_DONE		"stopped"

static inline int lu_stop_socket(struct sockaddr_un *addr, socklen_t *len)
{
	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	strcpy(addr->sun_path + 1, LU_STOP_NAME);
	*len = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(LU_STOP_NAME);
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* The listening socket, or -1 with errno. */
static inline int lu_stop_listen(void)
{
	struct sockaddr_un addr;
	socklen_t len;
	int fd = lu_stop_socket(&addr, &len);

	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&addr, len) || listen(fd, 1)) {
		close(fd);
		return -1;
	}
	return fd;
}

/*
 * Returns 0 when the VM is stopped, -ECONNREFUSED when none is running, another
 * negative errno when that failed; @answer is what the VMM said, without a
 * newline.
 */
static inline int lu_stop_request(char *answer, size_t size, int timeout_ms)
{
	struct sockaddr_un addr;
	socklen_t addr_len;
	int fd = lu_stop_socket(&addr, &addr_len);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t len;
	int err;

	answer[0] = '\0';
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, addr_len)) {
		err = -errno;
		close(fd);
		return err;
	}
	if (poll(&p, 1, timeout_ms) == 1) {
		len = read(fd, answer, size - 1);
		answer[len < 0 ? 0 : len] = '\0';
		answer[strcspn(answer, "\n")] = '\0';
	}
	close(fd);
	return strcmp(answer, LU_STOP_DONE) ? -EIO : 0;
}

#endif /* LU_STOP_H */
