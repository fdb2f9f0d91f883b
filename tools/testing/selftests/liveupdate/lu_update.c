// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <libliveupdate.h>

#include "lu_die.h"
#include "lu_update.h"

#define TEST_DEVICE	"/dev/liveupdate-test"
#define DEVICES		"/sys/bus/pci/devices/"

int lu_write_text(const char *who, const char *name, const char *text)
{
	char file[256];
	int fd, err = 0;

	snprintf(file, sizeof(file), DEVICES "%s/%s", who, name);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

bool lu_state_is(const char *who, const char *want)
{
	char file[256], text[64] = "none";
	ssize_t len;
	int fd;

	snprintf(file, sizeof(file), DEVICES "%s/liveupdate/state", who);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, text, sizeof(text) - 1);
		text[len < 0 ? 0 : len] = '\0';
		close(fd);
	}
	text[strcspn(text, "\n")] = '\0';
	if (strcmp(text, want))
		ksft_print_msg("%s is '%s' and not '%s'\n", who, text, want);
	return !strcmp(text, want);
}

int lu_new_session(int luo, const char *name)
{
	int session = luo_create_session(luo, name);

	if (session < 0)
		lu_die("cannot create the session %s: %s", name,
		       strerror(-session));
	return session;
}

int lu_old_session(int luo, const char *name)
{
	int session = luo_retrieve_session(luo, name);

	if (session < 0)
		lu_die("the session cannot be retrieved: %s", strerror(-session));
	return session;
}

int lu_retrieve(int session, int token)
{
	int fd = luo_session_retrieve_fd(session, token);

	if (fd < 0)
		lu_die("the file with token %d cannot be retrieved: %s", token,
		       strerror(-fd));
	return fd;
}

static int open_named(const char *variable)
{
	const char *path = getenv(variable);
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		lu_die("$%s names no file that can be read", variable);
	return fd;
}

void lu_load_next(const char *more)
{
	char cmdline[2048];
	int kernel = open_named("NEXT_KERNEL");
	int initrd = open_named("NEXT_INITRD");
	int fd = open_named("NEXT_CMDLINE");
	ssize_t len = read(fd, cmdline, sizeof(cmdline) / 2);

	if (len <= 0)
		lu_die("there is no command line");
	cmdline[len] = '\0';
	cmdline[strcspn(cmdline, "\n")] = '\0';
	strcat(cmdline, " ");
	strncat(cmdline, more, sizeof(cmdline) / 2 - 2);
	if (syscall(__NR_kexec_file_load, kernel, initrd, strlen(cmdline) + 1,
		    cmdline, 0))
		lu_die_errno("cannot load the next kernel");
	close(fd);
	close(initrd);
	close(kernel);
}

void lu_load_stranger(void)
{
	static const unsigned char halt[] = { 0xf4, 0xeb, 0xfd };
	struct kexec_segment segment = {
		.buf = (void *)halt,
		.bufsz = sizeof(halt),
		.mem = (void *)0x1000000,
		.memsz = getpagesize(),
	};

	if (syscall(__NR_kexec_load, 0x1000000, 1, &segment, 0))
		lu_die_errno("kexec_load");
}

int lu_try_kexec(void)
{
	return syscall(__NR_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
		       LINUX_REBOOT_CMD_KEXEC, 0) ? -errno : 0;
}

/* A file that calls every update off. */
int lu_refuser(void)
{
	int fd = open(TEST_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0 || write(fd, "name refuser", 12) < 0 ||
	    write(fd, "fail freeze 5", 13) < 0)
		lu_die_errno("cannot use " TEST_DEVICE);
	return fd;
}

void lu_stay_behind(int status)
{
	fflush(stdout);
	if (fork())
		_exit(status);
	setsid();
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	for (;;)
		pause();
}
