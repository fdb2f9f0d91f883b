// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test the rules of the Live Update Orchestrator for handlers of files and of
 * shared state: the order of the callbacks, what they can refuse, and what happens
 * to files that are not retrieved.
 *
 *	luo_frame TEST STAGE
 *
 * STAGE is 1 before the kexec and 2 after it. The files are those of the module
 * liveupdate_file, found as $LIVEUPDATE_FILE_MODULE; it keeps the log that is
 * compared here.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libliveupdate.h>

#include "lu_memstat.h"

#define TEST_DEVICE	"/dev/liveupdate-test"
#define TEST_PARAMETERS	"/sys/module/liveupdate_file/parameters/"
#define LOG_SIZE	16384

static int luo;

/* --- the module and its log */

static void insert_module(const char *parameters)
{
	const char *path = getenv("LIVEUPDATE_FILE_MODULE");
	int fd;

	if (!path)
		fail_exit("LIVEUPDATE_FILE_MODULE does not say where the module is");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || syscall(SYS_finit_module, fd, parameters, 0))
		fail_exit("cannot load %s", path);
	close(fd);
}

static int remove_module(void)
{
	return syscall(SYS_delete_module, "liveupdate_file", O_NONBLOCK);
}

static void set_parameter(const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), TEST_PARAMETERS "%s", name);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		fail_exit("cannot write %s", path);
	close(fd);
}

/* A test that ends by a panic or a reset has no plan. */
static void set_plan(unsigned int plan)
{
	ksft_print_header();
	ksft_set_plan(plan);
}

static size_t read_log(char *log)
{
	int fd = open(TEST_DEVICE, O_RDONLY);
	ssize_t len, size = 0;

	if (fd < 0)
		fail_exit("cannot open " TEST_DEVICE);
	while ((len = read(fd, log + size, LOG_SIZE - 1 - size)) > 0)
		size += len;
	close(fd);
	log[size] = '\0';
	return size;
}

static size_t log_mark;

/* From here on log_is() looks. */
static void mark_log(void)
{
	char log[LOG_SIZE];

	log_mark = read_log(log);
}

/* True if just @want was logged since mark_log(). */
static bool log_is(const char *want)
{
	char log[LOG_SIZE];

	read_log(log);
	if (!strcmp(log + log_mark, want))
		return true;
	ksft_print_msg("the log is:\n");
	for (char *line = strtok(log + log_mark, "\n"); line;
	     line = strtok(NULL, "\n"))
		ksft_print_msg("    %s\n", line);
	return false;
}

/* --- test files */

static int command(int fd, const char *fmt, ...)
{
	char line[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	return write(fd, line, strlen(line)) < 0 ? -errno : 0;
}

static void must_command(int fd, const char *line)
{
	int err = command(fd, "%s", line);

	if (err) {
		errno = -err;
		fail_exit("test file refuses '%s'", line);
	}
}

static int new_file(const char *name)
{
	int fd = open(TEST_DEVICE, O_RDWR);

	if (fd < 0)
		fail_exit("cannot open " TEST_DEVICE);
	if (command(fd, "name %s", name))
		fail_exit("cannot name a test file");
	return fd;
}

static int new_memfd(void)
{
	int fd = memfd_create("memory", 0);

	if (fd < 0 || ftruncate(fd, getpagesize()))
		fail_exit("cannot create a memfd");
	return fd;
}

static int must(int result, const char *what)
{
	if (result < 0) {
		errno = -result;
		fail_exit("%s", what);
	}
	return result;
}

static int new_session(const char *name)
{
	return must(luo_create_session(luo, name), "create session");
}

static int get_session(const char *name)
{
	return must(luo_retrieve_session(luo, name), "retrieve session");
}

/* Preserves a new test file that does what @commands say, up to a NULL. */
static int preserve_file(int session, __u64 token, const char *name, ...)
{
	int fd = new_file(name);
	const char *line;
	va_list ap;

	va_start(ap, name);
	while ((line = va_arg(ap, const char *)))
		must_command(fd, line);
	va_end(ap);
	must(luo_session_preserve_fd(session, fd, token), "preserve");
	return fd;
}

static void result(bool good, const char *fmt, ...)
{
	char what[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	ksft_test_result(good, "%s\n", what);
}

static void result_is(int got, int want, const char *what)
{
	if (got != want)
		ksft_print_msg("%d (%s), wanted %d\n", got,
			       got < 0 ? strerror(-got) : "good", want);
	ksft_test_result(got == want, "%s\n", what);
}

static void result_log(const char *what, const char *want)
{
	ksft_test_result(log_is(want), "%s\n", what);
}

/* Comes back only if the kernel refuses, or returns from a kexec jump. */
static int try_kexec(void)
{
	return syscall(__NR_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
		       LINUX_REBOOT_CMD_KEXEC, 0) ? -errno : 0;
}

/* Never returns if the sessions must outlive the program. */
static void stay(void)
{
	ksft_print_cnts();
	if (ksft_get_fail_cnt())
		exit(1);
	daemonize_and_wait();
}

/* --- freeze: order, failure, another attempt */

static void freeze_before(void)
{
	int one, two, c;

	set_plan(10);
	one = new_session("one");
	two = new_session("two");
	preserve_file(one, 1, "a", NULL);
	preserve_file(one, 2, "b", NULL);
	c = preserve_file(two, 1, "c", "fail freeze 5", NULL);

	mark_log();
	result_is(try_kexec(), -EIO, "a file calls the update off");
	result_log("files before it are unfrozen, the last one first",
		   "freeze a 0\nfreeze b 0\nfreeze c -5\n"
		   "unfreeze b\nunfreeze a\n");

	must_command(c, "fail freeze 0");
	set_parameter("flb_freeze_err", "28");
	mark_log();
	result_is(try_kexec(), -ENOSPC, "shared state calls the update off");
	result_log("it is asked last, and everything is unfrozen in reverse",
		   "freeze a 0\nfreeze b 0\nfreeze c 0\n"
		   "freeze shared0 0\nfreeze shared1 -28\n"
		   "unfreeze shared0 100\nunfreeze c\nunfreeze b\nunfreeze a\n");
	mark_log();
	result_is(try_kexec(), -ENOSPC, "it may be tried again");
	result_log("and begins from the start",
		   "freeze a 0\nfreeze b 0\nfreeze c 0\n"
		   "freeze shared0 0\nfreeze shared1 -28\n"
		   "unfreeze shared0 100\nunfreeze c\nunfreeze b\nunfreeze a\n");

	mark_log();
	close(two);
	result_log("sessions can be closed after that", "unpreserve c\n");
	result_is(luo_session_preserve_fd(one, new_file("d"), 3), 0,
		  "files can be preserved after that");
	set_parameter("flb_freeze_err", "0");

	/* The next attempt succeeds: by then the feature is in the list. */
	set_parameter("late_feature", "1");
	mark_log();
	result_is(try_kexec(), -EINVAL,
		  "a feature that comes into use in freeze aborts the update");
	result_log("as the next kernel was not asked about it",
		   "freeze a 0\nfreeze b 0\nfreeze d 0\n"
		   "freeze shared0 0\nfreeze shared1 -22\n"
		   "unfreeze shared0 100\n"
		   "unfreeze d\nunfreeze b\nunfreeze a\n");
	stay();
}

static void freeze_after(void)
{
	int session, fds[3];

	set_plan(4);
	insert_module("");
	session = get_session("one");
	for (int i = 0; i < 3; i++)
		fds[i] = luo_session_retrieve_fd(session, i + 1);
	result(fds[0] >= 0 && fds[1] >= 0 && fds[2] >= 0,
	       "the files of the last attempt are there");
	result_is(luo_retrieve_session(luo, "two"), -ENOENT,
		  "a session closed before it is not");
	mark_log();
	result_is(command(fds[0], "flb-get"), 0, "shared state is there");
	result_log("as the last freeze left it, and that once",
		   "retrieve shared0 100 0\n");
	must_command(fds[0], "flb-put incoming");
	must(luo_session_finish(session), "finish");
	ksft_finished();
}

/* --- image: which kernels can be started, and which are refused */

#ifdef __x86_64__
/* Says goodbye to the machine. */
static const unsigned char reset_code[] = {
	0xb0, 0xfe, 0xe6, 0x64,			/* outb 0xfe, 0x64 */
	0xf4, 0xeb, 0xfd,			/* hlt, for ever */
};

/* Returns at once, and says that it would be entered here again. */
static const unsigned char return_code[] = {
	0x4c, 0x8d, 0x1d, 0xf9, 0xff, 0xff, 0xff, /* lea -7(%rip), %r11 */
	0x4c, 0x89, 0x5c, 0x24, 0x08,		/* mov %r11, 8(%rsp) */
	0xc3,					/* ret */
};

#define CODE_ADDRESS	0x1000000UL

static void load_image(const void *code, size_t size, unsigned long flags)
{
	struct kexec_segment segment = {
		.buf = (void *)code,
		.bufsz = size,
		.mem = (void *)CODE_ADDRESS,
		.memsz = getpagesize(),
	};

	if (syscall(__NR_kexec_load, CODE_ADDRESS, 1, &segment, flags))
		fail_exit("kexec_load");
}

static int try_snapshot(int mode)
{
	int fd = open("/dev/snapshot", mode);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int try_hibernation(void)
{
	int fd = open("/sys/power/state", O_WRONLY);
	int err = 0;

	if (fd < 0 || write(fd, "disk", 4) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int open_named(const char *variable)
{
	const char *path = getenv(variable);
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		fail_exit("cannot open %s", path ? path : variable);
	return fd;
}

/*
 * Command lines of the next kernel. With -EXDEV the update goes as far as the
 * file that refuses. This kernel is started with memmap=1M!3G itself. Without
 * kho= it depends on the kernel's configuration.
 */
static const struct {
	const char *cmdline;
	int err;
} cmdlines[] = {
	{ "kho=on liveupdate=on", -EXDEV },
	{ "kho=off kho=1 liveupdate=y", -EXDEV },
	{ "kho=on liveupdate=on -- kho=off liveupdate=off mem=1M", -EXDEV },
	{ "kho=on liveupdate=on memmap=1M!3G memtest=0", -EXDEV },
	{ "kho=on kho=off liveupdate=on", -ENOEXEC },
	{ "kho=on", -ENOEXEC },
	{ "kho=on liveupdate=on liveupdate=0", -ENOEXEC },
	{ "kho=on liveupdate=on mem=512M", -ENOEXEC },
	{ "kho=on liveupdate=on \"memmap=256M$0x1000000\"", -ENOEXEC },
	{ "kho=on liveupdate=on memmap=1M!2G", -ENOEXEC },
	{ "kho=on liveupdate=on memtest", -ENOEXEC },
};

static void image_cmdlines(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cmdlines); i++) {
		const char *cmdline = cmdlines[i].cmdline;
		char what[128];

		if (syscall(__NR_kexec_file_load, open_named("NEXT_KERNEL"), -1,
			    strlen(cmdline) + 1, cmdline,
			    KEXEC_FILE_NO_INITRAMFS))
			fail_exit("cannot load an image with %s", cmdline);
		snprintf(what, sizeof(what), "the command line %s %s", cmdline,
			 cmdlines[i].err == -ENOEXEC ? "is refused" : "is good");
		result_is(try_kexec(), cmdlines[i].err, what);
	}
}

/*
 * A kernel that allows the one would also start the other, from which it does not
 * return with all its devices: do not try.
 */
static int try_unless(bool gone_through, int (*try)(void))
{
	return gone_through ? 0 : try();
}

static void image_before(void)
{
	int session, err, fd;

	set_plan(11 + ARRAY_SIZE(cmdlines));
	session = new_session("image");
	must(luo_session_preserve_fd(session, new_memfd(), 1), "preserve");
	/* What must not be reached, and what saves the machine if it is. */
	preserve_file(session, 2, "a", "fail freeze 18", NULL);

	fd = eventfd(0, EFD_CLOEXEC);
	result_is(luo_session_preserve_fd(session, fd, 3), -ENOENT,
		  "a file that no handler knows cannot be preserved");
	close(fd);

	image_cmdlines();
	mark_log();
	load_image(reset_code, sizeof(reset_code), 0);
	err = try_kexec();
	result_is(err, -ENOEXEC, "an image without handover is refused");
	result_log("before anything is frozen", "");
	load_image(return_code, sizeof(return_code), KEXEC_PRESERVE_CONTEXT);
	result_is(try_unless(err != -ENOEXEC, try_kexec), -EBUSY,
		  "a kexec jump is refused");
	result_log("and nothing is frozen for it", "");
	err = try_snapshot(O_RDONLY);
	result_is(err, -EBUSY, "hibernation from user space is refused");
	result_is(try_unless(!err, try_hibernation), -EBUSY,
		  "hibernation is refused");
	result_is(try_snapshot(O_WRONLY), -EBUSY,
		  "resuming from an image is refused");

	result_log("nor for any of these", "");
	close(session);
	result_is(try_snapshot(O_RDONLY), 0,
		  "it is possible when nothing is preserved");
	result_is(try_snapshot(O_WRONLY), 0, "and so is resuming");
	ksft_finished();
}

/*
 * With nothing preserved both images are started: the first one comes back, the
 * second one resets the machine. Nothing can be reported from here, as not every
 * device survives the jump. The observer detects the reset.
 */
static void image_start(void)
{
	new_session("a session without files is nothing to lose");
	if (mlockall(MCL_CURRENT))
		fail_exit("mlockall");
	load_image(return_code, sizeof(return_code), KEXEC_PRESERVE_CONTEXT);
	if (!try_kexec()) {
		load_image(reset_code, sizeof(reset_code), 0);
		try_kexec();
	}
	for (;;)
		pause();
}
#else
static void image_before(void)
{
	ksft_exit_skip("the images are x86 code\n");
}

static void image_start(void)
{
	image_before();
}
#endif

/* --- scratch: one that is too small for the next kernel */

static void scratch_before(void)
{
	static const char cmdline[] = "kho=on liveupdate=on";

	set_plan(1);
	result_is(syscall(__NR_kexec_file_load, open_named("NEXT_KERNEL"), -1,
			  sizeof(cmdline), cmdline, KEXEC_FILE_NO_INITRAMFS) ?
		  -errno : 0, -EADDRNOTAVAIL,
		  "an image that is larger than the scratch memory is refused");
	ksft_finished();
}

/* --- crash: the kernel that follows a panic */

static void load_next(unsigned long flags)
{
	char cmdline[2048];
	ssize_t len;

	len = read(open_named("NEXT_CMDLINE"), cmdline, sizeof(cmdline) - 1);
	if (len <= 0)
		fail_exit("there is no command line");
	cmdline[len] = '\0';
	cmdline[strcspn(cmdline, "\n")] = '\0';
	if (syscall(__NR_kexec_file_load, open_named("NEXT_KERNEL"),
		    open_named("NEXT_INITRD"), strlen(cmdline) + 1, cmdline,
		    flags))
		fail_exit("cannot load the next kernel");
}

static void crash(void)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY);

	if (fd < 0 || write(fd, "c", 1) != 1)
		fail_exit("cannot panic");
	fail_exit("no panic came");
}

static void crash_before(void)
{
	must(luo_session_preserve_fd(new_session("crash"), new_memfd(), 1),
	     "preserve");
	load_next(KEXEC_FILE_ON_CRASH);
	crash();
}

/* While another task is in kernel_kexec(), and has frozen the memfd. */
static void frozen_crash_before(void)
{
	int session = new_session("crash");
	char log[LOG_SIZE];

	must(luo_session_preserve_fd(session, new_memfd(), 1), "preserve");
	preserve_file(session, 2, "holder", "hold", NULL);
	load_next(KEXEC_FILE_ON_CRASH);
	if (!fork()) {
		try_kexec();
		fail_exit("no kexec came");
	}
	do {
		usleep(1000);
		read_log(log);
	} while (!strstr(log, "hold holder"));
	crash();
}

static void crash_after(void)
{
	char cmdline[2048] = "";
	int fd = open("/proc/cmdline", O_RDONLY);

	set_plan(3);
	result(!access("/proc/vmcore", R_OK), "this is the crash kernel");
	result(read(fd, cmdline, sizeof(cmdline) - 1) > 0 &&
	       strstr(cmdline, "liveupdate=on"),
	       "it was asked to take part in live updates");
	result(luo_open_device() < 0 && errno == ENOENT, "and does not");
	ksft_finished();
}

/* --- start: a kernel that does not get far */

static void start_before(void)
{
	must(luo_session_preserve_fd(new_session("start"), new_memfd(), 1),
	     "preserve");
	load_next(0);
	fail_exit("the next kernel is not started: %d", try_kexec());
}

/* --- handler: one that is not registered yet */

static void handler_before(void)
{
	int session;

	set_plan(1);
	session = new_session("mixed");
	must(luo_session_preserve_fd(session, new_memfd(), 1), "preserve");
	preserve_file(session, 2, "a", NULL);
	result(true, "a memfd and a test file are preserved");
	stay();
}

static void handler_after(void)
{
	int session, fd;

	set_plan(10);
	result_is(try_snapshot(O_RDONLY), -EBUSY,
		  "no hibernation before the sessions of the previous kernel were read");
	luo = luo_open_device();
	result(luo >= 0, "sessions can be opened without the file's handler");
	if (luo < 0)
		ksft_finished();
	session = luo_retrieve_session(luo, "mixed");
	result(session >= 0, "the session can be retrieved");
	result(luo_session_retrieve_fd(session, 1) >= 0,
	       "a file whose handler is there can be retrieved");
	result_is(luo_session_retrieve_fd(session, 2), -EAGAIN,
		  "one whose handler is not says so");
	result_is(luo_session_finish(session), -EAGAIN,
		  "and cannot be finished either");

	insert_module("");
	fd = luo_session_retrieve_fd(session, 2);
	result(fd >= 0, "when the module is loaded it can be retrieved");
	result_is(try_snapshot(O_RDONLY), -EBUSY,
		  "no hibernation while a session is not finished");
	result_is(luo_session_finish(session), 0, "and finished");
	result_is(try_snapshot(O_RDONLY), 0, "hibernation is possible again");
	ksft_finished();
}

/* --- lookup: files that need other files of their session */

static void lookup_before(void)
{
	int session, other, memory, again, a, fd;
	char path[64], line[64];

	set_plan(4);
	session = new_session("lookup");
	other = new_session("other");
	memory = new_memfd();
	must(luo_session_preserve_fd(session, memory, 1), "preserve");
	a = preserve_file(session, 2, "a", NULL);

	fd = new_file("b");
	snprintf(line, sizeof(line), "need %d", a);
	must_command(fd, line);
	result_is(luo_session_preserve_fd(session, fd, 3), 0,
		  "a file finds another one of its session");

	fd = new_file("m");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
	again = open(path, O_RDWR);
	snprintf(line, sizeof(line), "need %d", again);
	must_command(fd, line);
	result_is(luo_session_preserve_fd(session, fd, 4), 0,
		  "also through another open of the same memfd");

	fd = new_file("x");
	snprintf(line, sizeof(line), "need %d", a);
	must_command(fd, line);
	result_is(luo_session_preserve_fd(other, fd, 1), -ENOENT,
		  "not one of another session");

	/* Each needs the other. */
	preserve_file(session, 10, "l1", "need-token 11", NULL);
	preserve_file(session, 11, "l2", "need-token 10", NULL);
	/* One that must wait, and one that needs it. */
	preserve_file(session, 20, "d", "defer", NULL);
	preserve_file(session, 21, "n", "need-token 20", NULL);
	preserve_file(session, 30, "w", "need-token 99", NULL);
	for (int i = 0; i < 10; i++) {
		snprintf(line, sizeof(line), "need-token %d", 41 + i);
		snprintf(path, sizeof(path), "row%d", i);
		preserve_file(session, 40 + i, path, line, NULL);
	}
	preserve_file(session, 50, "end", NULL);
	result(true, "all are preserved");
	stay();
}

static void lookup_after(void)
{
	int session;

	set_plan(14);
	insert_module("");
	session = get_session("lookup");
	mark_log();
	result(luo_session_retrieve_fd(session, 3) >= 0,
	       "a file that needs another can be retrieved first");
	result_log("it gets the one that was meant",
		   "retrieve a 0\nneed b has a\nretrieve b 0\n");
	result(luo_session_retrieve_fd(session, 4) >= 0,
	       "also one of another kind");
	mark_log();
	result(luo_session_retrieve_fd(session, 2) >= 0,
	       "the other can still be had");
	result_log("without being retrieved twice", "");
	mark_log();
	result_is(luo_session_retrieve_fd(session, 10), -ELOOP,
		  "files that need each other fail");
	result_log("both", "need l2 -40\nneed l1 -40\n");
	result_is(luo_session_retrieve_fd(session, 40), -EAGAIN,
		  "a long row of them must wait");
	result(luo_session_retrieve_fd(session, 49) >= 0,
	       "the end of which can be had");
	result(luo_session_retrieve_fd(session, 45) >= 0 &&
	       luo_session_retrieve_fd(session, 40) >= 0,
	       "and so the others, from the end of the row");
	result_is(luo_session_retrieve_fd(session, 30), -ENOENT,
		  "a token that does not exist is not found");
	result_is(luo_session_retrieve_fd(session, 21), -EAGAIN,
		  "a file that needs one that waits must wait");
	set_parameter("ready", "1");
	result(luo_session_retrieve_fd(session, 21) >= 0,
	       "and can be had when the wait is over");
	result_is(luo_session_finish(session), 0, "all can be finished");
	ksft_finished();
}

/* --- finish: which files can be finished */

#define MEMORY_KIB	(64L << 10)

static int new_memory(void)
{
	int fd = memfd_create("memory", 0);

	if (fd < 0 || ftruncate(fd, MEMORY_KIB << 10))
		fail_exit("cannot create a memfd");
	return fd;
}

static void finish_before(void)
{
	int session;

	set_plan(1);
	session = new_session("memory");
	must(luo_session_preserve_fd(session, new_memfd(), 1), "preserve");
	must(luo_session_preserve_fd(session, new_memory(), 2), "preserve");
	session = new_session("finish");
	preserve_file(session, 1, "untouched", "busy", NULL);
	preserve_file(session, 2, "failed", "busy", "fail retrieve 5", NULL);
	preserve_file(session, 3, "closed", "busy", NULL);
	preserve_file(session, 4, "taken", "busy", NULL);
	preserve_file(session, 5, "used", "busy", NULL);
	result(true, "all are preserved");
	stay();
}

static void send_fd(int to, int fd)
{
	char control[CMSG_SPACE(sizeof(fd))] = {}, byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	if (sendmsg(to, &msg, 0) != 1)
		exit(1);
}

static int receive_fd(int from)
{
	char control[CMSG_SPACE(sizeof(int))] = {}, byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(from, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		fail_exit("the agent sent nothing");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* An agent that hands on one file, keeps another one, and dies. */
static int agent_that_dies(const char *name, __u64 token, __u64 kept)
{
	int pair[2], fd, status;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		fail_exit("socketpair");
	pid = fork();
	if (!pid) {
		int session = luo_retrieve_session(luo, name);

		if (luo_session_retrieve_fd(session, kept) < 0)
			exit(1);
		send_fd(pair[1], luo_session_retrieve_fd(session, token));
		for (;;)
			pause();
	}
	fd = receive_fd(pair[0]);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(pair[0]);
	close(pair[1]);
	return fd;
}

static void finish_after(void)
{
	int session, taken, used, again;
	long free, pinned;

	set_plan(20);
	insert_module("");

	/* LUO does not know yet whether the test files are devices. */
	free = lu_memstat_free_kib();
	session = get_session("memory");
	close(must(luo_session_retrieve_fd(session, 1), "retrieve"));
	pinned = lu_memstat_pinned();
	result_is(luo_session_finish(session), 0,
		  "memory in a separate session can be finished");
	close(session);
	result(lu_memstat_pinned() == pinned &&
	       lu_memstat_free_kib() < free + MEMORY_KIB / 2,
	       "and is kept while there are devices in others");

	used = agent_that_dies("finish", 5, 3);
	session = luo_retrieve_session(luo, "finish");
	result(session >= 0, "a session whose agent died can be retrieved");
	if (session < 0)
		ksft_finished();
	result_is(luo_session_retrieve_fd(session, 2), -EIO,
		  "a file that cannot be retrieved says why");
	result_is(luo_session_retrieve_fd(session, 2), -EIO, "every time");
	close(must(luo_session_retrieve_fd(session, 3), "retrieve"));
	taken = must(luo_session_retrieve_fd(session, 4), "retrieve");
	must_command(taken, "take");

	mark_log();
	result_is(luo_session_finish(session), -EBUSY,
		  "a file in use and not taken over holds the session");
	result_log("only files in use are asked",
		   "can_finish taken 1\ncan_finish used 0\n");
	mark_log();
	close(session);
	result_log("closing the session finishes nothing then",
		   "can_finish taken 1\ncan_finish used 0\n");

	session = luo_retrieve_session(luo, "finish");
	result(session >= 0, "the session can be retrieved again");
	result_is(luo_retrieve_session(luo, "finish"), -EINVAL,
		  "by one at a time");
	mark_log();
	again = luo_session_retrieve_fd(session, 5);
	result(again >= 0, "and its files, too");
	result_log("as they are", "");
	if (again >= 0)
		must_command(again, "take");
	else
		must_command(used, "take");

	set_parameter("quiesce_err", "5");
	mark_log();
	result_is(luo_session_finish(session), -EIO,
		  "a device that cannot be stopped holds the session, too");
	result_log("all others are stopped, and nothing is finished",
		   "can_finish taken 1\ncan_finish used 1\n"
		   "retrieve shared0 100 0\nretrieve shared1 101 0\n"
		   "quiesce closed -5\nquiesce failed -5\n"
		   "quiesce untouched -5\n");
	close(session);
	session = luo_retrieve_session(luo, "finish");
	result(session >= 0, "it can be retrieved again, too");
	result(lu_memstat_pinned() == pinned &&
	       lu_memstat_free_kib() < free + MEMORY_KIB / 2,
	       "no memory is released");

	set_parameter("quiesce_err", "0");
	mark_log();
	result_is(luo_session_finish(session), 0, "then it can be finished");
	result_log("stopped first, the last preserved first, each as it stands",
		   "can_finish taken 1\ncan_finish used 1\n"
		   "quiesce closed 0\nquiesce failed 0\n"
		   "quiesce untouched 0\n"
		   "finish used taken\nfinish taken taken\n"
		   "finish closed given-up\nfinish failed failed\n"
		   "finish untouched untouched\n"
		   "finish shared1\nfinish shared0\n");
	result(lu_memstat_pinned() == pinned - 1,
	       "memory that was retrieved is released");
	result(lu_memstat_free_kib() > free + MEMORY_KIB / 2,
	       "and so is memory that was not");
	ksft_finished();
}

/* --- shared: state that is not, or cannot be, retrieved */

static void shared_before(void)
{
	int one, two, fd;

	set_plan(1);
	one = new_session("one");
	two = new_session("two");
	fd = preserve_file(one, 1, "a", NULL);
	preserve_file(two, 1, "b", NULL);
	result_is(command(fd, "flb-get"), 0,
		  "a reference to the shared state is held");
	stay();
}

static void shared_after(void)
{
	int session;

	set_plan(7);
	insert_module("");
	session = get_session("one");
	mark_log();
	result_is(luo_session_finish(session), 0,
		  "a session of which no file was retrieved can be finished");
	result_log("and the shared state waits for the other file",
		   "quiesce a 0\nfinish a untouched\n");
	close(session);
	result(!remove_module(), "the module can be unloaded in between");

	/* One object is not available yet, one the last kernel did not have. */
	insert_module("nflbs=3 flb_retrieve_err=11");
	session = get_session("two");
	mark_log();
	result_is(luo_session_finish(session), -EAGAIN,
		  "shared state that is not available yet holds the session");
	result_log("and nothing of it is finished",
		   "retrieve shared0 100 0\nretrieve shared1 101 -11\n");

	/* Now it cannot be retrieved at all. */
	set_parameter("flb_retrieve_err", "5");
	mark_log();
	result_is(luo_session_finish(session), 0,
		  "the other session can be finished, too");
	result_log("shared state is released, or was by the retrieve that failed",
		   "retrieve shared1 101 -5\nquiesce b 0\n"
		   "finish b untouched\nfinish shared0\n");
	ksft_finished();
}

/* --- tags: how long they are listed */

#define TEST_TAG	"/sys/kernel/liveupdate/tags/liveupdate-test-shared-1"

static void unload_with_blob(void)
{
	int fd = new_file("blob");

	must_command(fd, "blob");
	close(fd);
	if (remove_module())
		fail_exit("cannot unload the module");
}

static bool tag_is_gone(void)
{
	return access(TEST_TAG, F_OK) && errno == ENOENT;
}

static pid_t start_reader(void)
{
	pid_t pid = fork();
	char byte;
	int fd;

	while (!pid) {
		fd = open(TEST_TAG "/needs", O_RDONLY);
		if (fd >= 0 && read(fd, &byte, 1) < 0 && errno != ENODEV)
			exit(1);
		close(fd);
	}
	return pid;
}

static void tags_before(void)
{
	int status, left = 0;
	pid_t reader;

	set_plan(3);
	result(!access(TEST_TAG, F_OK), "a tag is listed with its handler");
	unload_with_blob();
	result(tag_is_gone(),
	       "until no blob is written under it any more");

	reader = start_reader();
	for (int i = 0; i < 50; i++) {
		insert_module("");
		unload_with_blob();
		left += !tag_is_gone();
	}
	kill(reader, SIGKILL);
	waitpid(reader, &status, 0);
	result(!left && WIFSIGNALED(status), "also while it is being read");
	ksft_finished();
}

/* As many as a block of the serialized state has room for. */
#define FULL		51

static void full_before(void)
{
	char name[LIVEUPDATE_SESSION_NAME_LENGTH];
	int refused = 0;

	set_plan(1);
	for (int i = 0; i < FULL; i++) {
		snprintf(name, sizeof(name), "full-%d", i);
		new_session(name);
		refused += luo_create_session(luo, name) == -EEXIST;
	}
	result(refused == FULL, "no name is used twice");
	stay();
}

static void full_after(void)
{
	char name[LIVEUPDATE_SESSION_NAME_LENGTH];

	set_plan(1);
	for (int i = 0; i < FULL; i++) {
		snprintf(name, sizeof(name), "full-%d", i);
		close(get_session(name));
	}
	result(true, "all sessions are there");
	ksft_finished();
}

static const struct {
	const char *name;
	void (*before)(void);
	void (*after)(void);
	bool bare;		/* opens /dev/liveupdate itself afterwards */
} tests[] = {
	{ "freeze", freeze_before, freeze_after },
	{ "image", image_before, image_start },
	{ "scratch", scratch_before, scratch_before },
	{ "crash", crash_before, crash_after, true },
	{ "start", start_before, start_before },
	{ "frozen-crash", frozen_crash_before, crash_after, true },
	{ "handler", handler_before, handler_after, true },
	{ "lookup", lookup_before, lookup_after },
	{ "finish", finish_before, finish_after },
	{ "shared", shared_before, shared_after },
	{ "tags", tags_before, tags_before },
	{ "full", full_before, full_after },
};

int main(int argc, char *argv[])
{
	bool before;

	if (argc != 3)
		ksft_exit_fail_msg("usage: luo_frame TEST STAGE\n");
	before = !strcmp(argv[2], "1");

	for (unsigned int i = 0; i < ARRAY_SIZE(tests); i++) {
		if (strcmp(tests[i].name, argv[1]))
			continue;
		if (before || !tests[i].bare) {
			luo = luo_open_device();
			if (luo < 0)
				fail_exit("cannot open " LUO_DEVICE);
		}
		if (before) {
			insert_module("");
			tests[i].before();
		} else {
			tests[i].after();
		}
	}
	ksft_exit_fail_msg("there is no test '%s'\n", argv[1]);
}
