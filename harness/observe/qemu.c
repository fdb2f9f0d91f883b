// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU: started with one end of a socket pair each for the console, the
 * channel and QMP, and a pipe for what it prints.  No names, nothing to wait
 * for, and the death of either is noticed by the other.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "observe.h"

#define PIPE_BYTES	(1 << 20)
#define MORE_ARGS	64

static void socket_pair(int *ours, int *theirs)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
		harness_die("cannot make a socket pair: %s; close other programs",
			    strerror(errno));
	*ours = fd[0];
	*theirs = fd[1];
	fcntl(*ours, F_SETFL, O_NONBLOCK);
	fcntl(*theirs, F_SETFD, 0);
}

/* Large: a writer that has to wait would hold up the machine. */
static void output_pipe(int *ours, int *theirs)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC))
		harness_die("cannot make a pipe: %s; close other programs",
			    strerror(errno));
	fcntl(fd[0], F_SETPIPE_SZ, PIPE_BYTES);
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	*ours = fd[0];
	*theirs = fd[1];
}

struct arguments {
	char **arg;
	size_t n, max;
};

static void add(struct arguments *a, const char *fmt, ...) PRINTF(2, 3);

static void add(struct arguments *a, const char *fmt, ...)
{
	va_list ap;

	if (a->n + 1 >= a->max)
		harness_die("qemu.c adds more arguments than MORE_ARGS: raise it");
	va_start(ap, fmt);
	if (vasprintf(&a->arg[a->n++], fmt, ap) < 0)
		harness_die("out of memory: end other programs and run the test again");
	va_end(ap);
}

static void add_chardev(struct arguments *a, const char *id, int fd)
{
	add(a, "-chardev");
	add(a, "socket,id=observe-%s,fd=%d", id, fd);
}

/* Appended, so that the machine's own devices keep their addresses. */
static char **complete(char **args, int console, int channel, int qmp,
		       int doorbell)
{
	struct arguments a = { 0 };
	int i;

	while (args[a.n])
		a.n++;
	a.max = a.n + MORE_ARGS;
	a.arg = calloc(a.max, sizeof(*a.arg));
	if (!a.arg)
		harness_die("out of memory: end other programs and run the test again");
	memcpy(a.arg, args, a.n * sizeof(*args));
	add_chardev(&a, "console", console);
	add(&a, "-serial");
	add(&a, "chardev:observe-console");
	add_chardev(&a, "channel", channel);
	add(&a, "-device");
	add(&a, "virtio-serial-pci,id=observe-serial,bus=pcie.0");
	add(&a, "-device");
	add(&a, "virtserialport,bus=observe-serial.0,chardev=observe-channel,name=liveupdate.channel");
	add_chardev(&a, "qmp", qmp);
	add(&a, "-qmp");
	add(&a, "chardev:observe-qmp");
	if (doorbell >= 0)
		add_chardev(&a, "doorbell", doorbell);
	add(&a, "-msg");
	add(&a, "timestamp=on");
	for (i = 0; trace_always[i]; i++) {
		add(&a, "-trace");
		add(&a, "%s", trace_always[i]);
	}
	return a.arg;
}

static void note_accel(struct qemu *q, char **args)
{
	int i;

	snprintf(q->accel, sizeof(q->accel), "tcg");	/* QEMU's own default */
	for (i = 0; args[i] && args[i + 1]; i++)
		if (!strcmp(args[i], "-accel"))
			snprintf(q->accel, sizeof(q->accel), "%.*s",
				 (int)strcspn(args[i + 1], ","), args[i + 1]);
}

static void become_qemu(char **args, int output)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpriority(PRIO_PROCESS, 0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(open("/dev/null", O_RDONLY), 0);
	dup2(output, 1);
	dup2(output, 2);
	execvp(args[0], args);
	dprintf(2, "%s cannot be started: %s\n", args[0], strerror(errno));
	_exit(127);
}

/* Returns QEMU's end, or -1 without a doorbell. */
static int start_doorbell(struct doorbell *d)
{
	int theirs;

	if (!d->vectors)
		return -1;
	socket_pair(&d->socket, &theirs);
	doorbell_serve(d, d->socket);
	return theirs;
}

void qemu_start(struct qemu *q, char **args)
{
	int console, channel, qmp, output, doorbell = start_doorbell(q->doorbell);

	note_accel(q, args);
	socket_pair(&q->console, &console);
	socket_pair(&q->channel, &channel);
	socket_pair(&q->qmp, &qmp);
	output_pipe(&q->output, &output);
	args = complete(args, console, channel, qmp, doorbell);
	fflush(NULL);
	q->pid = fork();
	if (q->pid < 0)
		harness_die("cannot start a process: %s; end other programs",
			    strerror(errno));
	if (!q->pid)
		become_qemu(args, output);
	close(console);
	close(channel);
	close(qmp);
	close(output);
	if (doorbell >= 0)
		close(doorbell);
	qemu_ask(q, NULL);
}

static void qmp_send(struct qemu *q, const char *text)
{
	/* A few short lines in all: the socket never fills up. */
	if (write(q->qmp, text, strlen(text)) < 0 && q->log)
		fprintf(q->log, "observe: QMP: %s\n", strerror(errno));
	q->asked++;
}

/* A command of the human monitor; NULL opens the conversation. */
void qemu_ask(struct qemu *q, const char *command)
{
	char text[256];

	if (!command) {
		qmp_send(q, "{\"execute\":\"qmp_capabilities\"}\n");
		return;
	}
	snprintf(text, sizeof(text),
		 "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"%s\"}}\n",
		 command);
	qmp_send(q, text);
}

void qemu_ask_info_pci(struct qemu *q)
{
	qemu_ask(q, "info pci");
	q->info_pci_asked = q->asked;
}

static void note_version(struct qemu *q, const char *line)
{
	const char *major = strstr(line, "\"major\": ");
	const char *minor = strstr(line, "\"minor\": ");
	const char *micro = strstr(line, "\"micro\": ");

	if (major && minor && micro)
		snprintf(q->version, sizeof(q->version), "%d.%d.%d",
			 atoi(major + 9), atoi(minor + 9), atoi(micro + 9));
}

/* A command that succeeds prints nothing, or OK. */
static bool is_silence(const char *answer)
{
	return !strcmp(answer, "{\"return\": {}}") ||
	       !strcmp(answer, "{\"return\": \"\"}");
}

/* What a DMA fault says that comes while a command is carried out. */
static bool is_of_a_fault(const char *answer)
{
	return strstr(answer, "\"Interrupt Mask set, irq is not generated") ||
	       strstr(answer, "\"New fault is not recorded due to");
}

static bool is_good(const char *answer)
{
	return is_silence(answer) || is_of_a_fault(answer) ||
	       !strncmp(answer, "{\"return\": \"OK", 14);
}

void qemu_qmp_line(void *qemu, char *line)
{
	struct qemu *q = qemu;

	if (strstr(line, "\"QMP\"")) {
		note_version(q, line);
		return;
	}
	if (strncmp(line, "{\"return\"", 9) && strncmp(line, "{\"error\"", 8))
		return;		/* an event */
	q->answered++;
	if (q->answered == q->info_pci_asked) {
		config_info_pci(q->config, line);
		return;
	}
	if (!is_good(line))
		snprintf(q->complaint, sizeof(q->complaint), "%s", line);
	if (q->log && !is_silence(line))
		fprintf(q->log, "observe: QMP: %s\n", line);
}

/* True once QEMU has ended. */
bool qemu_reap(struct qemu *q)
{
	if (!q->ended && waitpid(q->pid, &q->status, WNOHANG) == q->pid)
		q->ended = true;
	return q->ended;
}

void qemu_stop(struct qemu *q)
{
	int tries;

	if (!q->pid || qemu_reap(q))
		return;
	kill(q->pid, SIGTERM);
	for (tries = 0; tries < 200 && !qemu_reap(q); tries++)
		usleep(10000);
	if (q->ended)
		return;
	kill(q->pid, SIGKILL);
	waitpid(q->pid, &q->status, 0);
	q->ended = true;
}
