// SPDX-License-Identifier: GPL-2.0-only
/*
 * Process 1 of the test machine.
 *
 * One machine runs one test in one or more stages, one kernel each.  Stage N
 * is the shell script /stageN.  When there is a /host/kernelN+1 it is
 * loaded, checked and, after the stage has succeeded, started by kexec.  A VM
 * that the stage has left running is stopped right before that.  The last stage's
 * success is the machine's.
 *
 * The shell runs with -e: a command that fails ends the stage. A script that is one
 * plain command runs without it: a guest may be waiting.
 * Exit status of a stage: 0 good, 4 skip (kselftest's number), else bad.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lu_stop.h"
#include "state.h"

#define KSFT_SKIP	4
#define CMDLINE_MAX	4096
#define PLAIN		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -./:_"
#define CHANNEL		"/dev/liveupdate-channel"

static int channel = -1;

/* One line, one write: child processes write to the same port. */
static void tell(const char *fmt, ...)
{
	char line[CMDLINE_MAX];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (len > (int)sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';
	if (channel < 0 || write(channel, line, len) != len)
		fprintf(stderr, "init: no channel: %.*s", len, line);
}

static void __attribute__((noreturn)) power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	/* Process 1 must not return; without ACPI there is no other way. */
	for (;;)
		pause();
}

static void __attribute__((noreturn, format(printf, 1, 2)))
give_up(const char *fmt, ...)
{
	char why[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	tell("verdict fail %s", why);
	power_off();
}

static void do_mount(const char *what, const char *where, const char *type,
		     unsigned long flags, const char *options)
{
	mkdir(where, 0755);
	if (mount(what, where, type, flags, options))
		give_up("init cannot mount %s on %s: %s", type, where,
			strerror(errno));
}

static void mount_all(void)
{
	do_mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	do_mount("proc", "/proc", "proc", 0, NULL);
	do_mount("sysfs", "/sys", "sysfs", 0, NULL);
	do_mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	do_mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
	do_mount("tmpfs", "/dev/shm", "tmpfs", 0, NULL);
}

static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR);

	if (fd < 0)
		return;
	dup2(fd, 0);
	dup2(fd, 1);
	dup2(fd, 2);
	if (fd > 2)
		close(fd);
}

/*
 * Proves that the console shows splats: the observer fails a run in which it does
 * not see this line.
 */
static void probe_splats(int stage, const char *when)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC), len;
	char line[80];

	/* Not dprintf(): it seeks, and the log cannot. */
	len = snprintf(line, sizeof(line),
		       "<4>init: WARNING: splat probe of kernel %d, %s\n",
		       stage, when);
	if (fd < 0 || write(fd, line, len) != len)
		fprintf(stderr, "init: /dev/kmsg: %s\n", strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t len;

	buf[0] = '\0';
	if (fd < 0)
		return;
	len = read(fd, buf, size - 1);
	close(fd);
	if (len < 0)
		len = 0;
	buf[len] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
}

/* The port has a name in sysfs and a number in /dev; give it its name. */
static void open_channel(void)
{
	char path[600], name[64];
	struct dirent *e;
	DIR *dir = opendir("/sys/class/virtio-ports");

	while (dir && (e = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name",
			 e->d_name);
		read_file(path, name, sizeof(name));
		if (strcmp(name, "liveupdate.channel"))
			continue;
		if (symlink(e->d_name, CHANNEL))
			fprintf(stderr, "init: %s: %s\n", CHANNEL,
				strerror(errno));
		channel = open(CHANNEL, O_RDWR | O_CLOEXEC);
	}
	if (dir)
		closedir(dir);
	if (channel < 0)
		fprintf(stderr, "init: no channel to the outside\n");
}

static void await_ok(const char *word)
{
	char line[128], want[64];
	struct pollfd p = { .fd = channel, .events = POLLIN };
	size_t len = 0;

	snprintf(want, sizeof(want), "ok %s", word);
	while (len < sizeof(line) - 1) {
		if (poll(&p, 1, 30000) <= 0 || read(channel, line + len, 1) != 1)
			give_up("the observer did not answer '%s'", word);
		if (line[len] != '\n') {
			len++;
			continue;
		}
		line[len] = '\0';
		if (!strcmp(line, want))
			return;
		len = 0;
	}
	give_up("the observer answered nonsense to '%s'", word);
}

/* Runs on across a kexec; under QEMU's -icount it counts instructions. */
static unsigned long long cycles(void)
{
	return __builtin_ia32_rdtsc();
}

static int current_stage(void)
{
	char cmdline[CMDLINE_MAX], *p;

	read_file("/proc/cmdline", cmdline, sizeof(cmdline));
	p = strstr(cmdline, "lu.stage=");
	return p ? atoi(p + strlen("lu.stage=")) : 1;
}

/* True when there is a next kernel; it is loaded then. */
static int load_next_kernel(int next)
{
	char path[64], initrd[64], cmdline[CMDLINE_MAX];
	int kernel_fd, initrd_fd;

	snprintf(path, sizeof(path), "/host/kernel%d", next);
	snprintf(initrd, sizeof(initrd), "/host/initrd");
	kernel_fd = open(path, O_RDONLY);
	if (kernel_fd < 0 && errno == ENOENT)
		return 0;
	if (kernel_fd < 0)
		give_up("init cannot open %s: %s", path, strerror(errno));
	initrd_fd = open(initrd, O_RDONLY);
	if (initrd_fd < 0)
		give_up("init cannot open %s: %s", initrd, strerror(errno));
	snprintf(path, sizeof(path), "/host/cmdline%d", next);
	read_file(path, cmdline, sizeof(cmdline));
	if (syscall(SYS_kexec_file_load, kernel_fd, initrd_fd,
		    strlen(cmdline) + 1, cmdline, 0))
		give_up("kexec_file_load of kernel %d: %s", next,
			strerror(errno));
	close(kernel_fd);
	close(initrd_fd);
	return 1;
}

/* A virtio port can be opened only once; programs inherit this one. */
static void hand_on_channel(void)
{
	char number[16];

	if (channel < 0)
		return;
	snprintf(number, sizeof(number), "%d", fcntl(channel, F_DUPFD, 3));
	setenv("LIVEUPDATE_CHANNEL_FD", number, 1);
}

/* Returns when the script is more than one line of plain words, or no program. */
static void exec_plain(const char *script)
{
	char text[256], *word[16], *next = text;
	int fd = open(script, O_RDONLY | O_CLOEXEC), n = 0;
	ssize_t len = read(fd, text, sizeof(text));

	close(fd);
	if (len <= 0 || text[--len] != '\n')
		return;
	text[len] = '\0';
	if (strspn(text, PLAIN) != (size_t)len)
		return;
	while ((word[n] = strsep(&next, " ")))
		if (++n == sizeof(word) / sizeof(*word))
			return;
	execvp(word[0], word);
}

static pid_t start_stage(int stage, int out)
{
	char script[64];
	pid_t pid = fork();

	if (pid)
		return pid;
	dup2(out, 1);
	dup2(out, 2);
	close(out);
	hand_on_channel();
	setenv("PATH", "/programs:/host/bin:/bin", 1);
	setenv("HOME", "/tmp", 1);
	snprintf(script, sizeof(script), "/stage%d", stage);
	if (chdir("/tmp"))
		_exit(126);
	exec_plain(script);
	execl("/bin/busybox", "sh", "-e", script, NULL);
	fprintf(stderr, "init: cannot run %s: %s\n", script, strerror(errno));
	_exit(127);
}

/*
 * Forwards what the stage prints until the stage itself has ended; a daemon
 * it leaves behind keeps the pipe open and may live on.
 */
static int run_stage(int stage)
{
	char buf[CMDLINE_MAX - 64];
	size_t len = 0;
	int status, pipefd[2];
	int ended = 0;
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC | O_NONBLOCK))
		give_up("init: pipe: %s", strerror(errno));
	fcntl(pipefd[1], F_SETFL, 0);
	pid = start_stage(stage, pipefd[1]);
	close(pipefd[1]);
	for (;;) {
		struct pollfd p = { .fd = pipefd[0], .events = POLLIN };
		ssize_t got;
		char *nl;

		poll(&p, 1, ended ? 0 : 50);
		got = read(pipefd[0], buf + len, sizeof(buf) - 1 - len);
		if (got > 0)
			len += got;
		buf[len] = '\0';
		while ((nl = memchr(buf, '\n', len)) || len == sizeof(buf) - 1) {
			size_t line = nl ? (size_t)(nl - buf) : len;

			tell("ktap %.*s", (int)line, buf);
			line += nl ? 1 : 0;
			memmove(buf, buf + line, len - line);
			len -= line;
		}
		if (got > 0)
			continue;
		if (ended)
			break;
		ended = waitpid(pid, &status, WNOHANG) == pid;
	}
	if (len)
		tell("ktap %.*s", (int)len, buf);
	/* The read end stays open: a daemon's late output must not kill it. */
	if (WIFSIGNALED(status))
		give_up("stage %d was killed by signal %d", stage,
			WTERMSIG(status));
	return WEXITSTATUS(status);
}

/*
 * Ask before it is too late: does the next kernel know all that is preserved?
 * /host/preflightN has the status that the test's declaration expects.
 */
static void preflight(int next)
{
	char path[64], want[16], command[256], line[512];
	FILE *out;
	int status;

	snprintf(path, sizeof(path), "/host/preflight%d", next);
	read_file(path, want, sizeof(want));
	if (!strcmp(want, "none"))
		return;
	snprintf(command, sizeof(command),
		 "PATH=/host/bin:/bin liveupdate-preflight /host/kernel%d $(ls /host/modules/*.ko 2>/dev/null) 2>&1",
		 next);
	out = popen(command, "r");
	if (!out)
		give_up("init cannot run liveupdate-preflight: %s",
			strerror(errno));
	while (fgets(line, sizeof(line), out)) {
		line[strcspn(line, "\n")] = '\0';
		tell("ktap # preflight: %s", line);
	}
	status = pclose(out);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != atoi(want))
		give_up("liveupdate-preflight of kernel %d ended with status %d, expected %s",
			next, WIFEXITED(status) ? WEXITSTATUS(status) : -1,
			want);
}

/* From here on a guest is waiting. */
static void stop_vm(void)
{
	char answer[256];
	int err = lu_stop_request(answer, sizeof(answer), 30000);

	if (err && err != -ECONNREFUSED)
		give_up("the VM was not stopped (%s): %s", strerror(-err),
			answer);
}

static void __attribute__((noreturn)) start_next_kernel(void)
{
	unsigned long long now;

	stop_vm();
	now = cycles();
	tell("ktap # cycles at kexec: %llu", now);
	tell("kexec %llu", now);
	await_ok("kexec");
	reboot(RB_KEXEC);
	give_up("reboot(KEXEC): %s", strerror(errno));
}

/*
 * The program nothing_left, for a stage that has undone what it did: reports the
 * state now, as it is reported at the end of the last stage.
 */
static int nothing_left(void)
{
	const char *fd = getenv("LIVEUPDATE_CHANNEL_FD");

	channel = fd ? atoi(fd) : -1;
	state_settle();
	state_report("after", tell);
	return channel < 0;
}

/* A VMM that lives on would keep its device. */
static void end_processes(void)
{
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

int main(int argc, char *argv[])
{
	unsigned long long began = cycles();
	int stage, status, more = 0;

	if (argc && strstr(argv[0], "nothing_left"))
		return nothing_left();
	mount_all();
	open_console();
	open_channel();
	stage = current_stage();
	probe_splats(stage, "begin");
	do_mount("host", "/host", "9p", MS_RDONLY,
		 "trans=virtio,version=9p2000.L,msize=512000,cache=loose");
	tell("hello %d %llu", stage, cycles());
	tell("ktap # cycles at user space of kernel %d: %llu", stage, began);

	/* The first stage may try this image. Later, a guest waits for its stage. */
	if (stage == 1) {
		state_report("before", tell);
		more = load_next_kernel(stage + 1);
	}
	status = run_stage(stage);
	if (stage > 1 && !status)
		more = load_next_kernel(stage + 1);
	if (!status && !more) {
		end_processes();
		state_settle();
		state_report("after", tell);
	}
	probe_splats(stage, "end");
	if (status == KSFT_SKIP) {
		tell("verdict skip stage %d asked for it", stage);
	} else if (status) {
		tell("verdict fail stage %d exited with %d", stage, status);
	} else if (more) {
		preflight(stage + 1);
		start_next_kernel();
	} else {
		tell("verdict pass");
	}
	power_off();
}
