// SPDX-License-Identifier: GPL-2.0-only
/*
 *	observe --dir DIR --timeout SECONDS [--name NAME] [--rate FRAMES_PER_S]
 *		[--memory FILE] [--kernels N] [--expect STAGE:COUNT:REGEX]...
 *		[--allow STAGE:REGEX]... [--at PHASE:COMMAND]... [--at-each PHASE:COMMAND]...
 *		[--doorbell VECTORS] [--quiet|--progress]
 *		-- qemu-system-x86_64 ARGUMENTS...
 *
 * QEMU runs in DIR: relative paths in its arguments start there.  FILE is the
 * machine's memory (memory-backend-file, share=on).  N is the kernel whose
 * verdict counts.  With --doorbell there is a chardev observe-doorbell for a
 * device ivshmem-doorbell with so many vectors.  The last line printed is the
 * verdict and its reason.
 *
 * Exit status: 0 passed, 1 failed, 2 the harness failed, 4 skipped.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "observe.h"

/* While frames are on their way the machine's memory is looked at often. */
#define TICK_SENDING_NS	(NSEC_PER_MSEC / 2)
/* While a doorbell is rung. */
#define TICK_RINGING_NS	(NSEC_PER_MSEC / 50)
#define TICK_NS		(10 * NSEC_PER_MSEC)
/* A guest that has not caught up after this time will not. */
#define CATCH_UP_NS	(3 * NSEC_PER_SEC)
/* A machine that has said its verdict has this long to power off. */
#define POWER_OFF_NS	(20 * NSEC_PER_SEC)
/* So much of a dying kernel's last words is worth waiting for. */
#define PANIC_NS	NSEC_PER_SEC
/* A kernel whose console has said nothing for so long does not boot. */
#define SILENCE_S	20.0

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

/* Only the first reason is the cause; the others are said as they come. */
void fail(struct observe *o, const char *fmt, ...)
{
	char text[sizeof(o->reason)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!o->reasons++)
		memcpy(o->reason, text, sizeof(text));
	say(o, "wrong: %s", text);
}

void say(const struct observe *o, const char *fmt, ...)
{
	va_list ap;

	if (o->quiet)
		return;
	printf("[%6.2f] ", (double)(now_ns() - o->start_ns) / NSEC_PER_SEC);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* --- options -------------------------------------------------------------- */

static double number_option(const char *option, const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || value <= 0)
		harness_die("%s wants a number larger than 0, not '%s'", option,
			    text);
	return value;
}

/* Before the working directory changes. */
static const char *absolute(const char *path)
{
	char here[PATH_MAX], *out;

	if (*path == '/')
		return path;
	if (!getcwd(here, sizeof(here)) ||
	    asprintf(&out, "%s/%s", here, path) < 0)
		harness_die("the current directory has no name: change to another one");
	return out;
}

static void take_option(struct observe *o, const char *option, const char *value)
{
	const char *wrong = NULL;

	if (!strcmp(option, "--dir"))
		o->dir = value;
	else if (!strcmp(option, "--timeout"))
		o->timeout_s = number_option(option, value);
	else if (!strcmp(option, "--rate"))
		o->frames.rate = number_option(option, value) + 0.5;
	else if (!strcmp(option, "--memory"))
		o->memory.path = absolute(value);
	else if (!strcmp(option, "--kernels"))
		o->kernels = number_option(option, value);
	else if (!strcmp(option, "--name"))
		o->name = value;
	else if (!strcmp(option, "--expect"))
		wrong = gate_declare(&o->console.gate, value, true);
	else if (!strcmp(option, "--allow"))
		wrong = gate_declare(&o->console.gate, value, false);
	else if (!strcmp(option, "--at"))
		wrong = act_declare(o, value, false);
	else if (!strcmp(option, "--at-each"))
		wrong = act_declare(o, value, true);
	else if (!strcmp(option, "--doorbell"))
		wrong = doorbell_declare(&o->doorbell, value);
	else
		harness_die("there is no option '%s': main.c begins with the list",
			    option);
	if (wrong)
		harness_die("%s '%s' is no good: %s", option, value, wrong);
}

static char **take_options(struct observe *o, char **arg)
{
	for (; *arg && strcmp(*arg, "--"); arg++) {
		if (!strcmp(*arg, "--quiet")) {
			o->quiet = true;
		} else if (!strcmp(*arg, "--progress")) {
			o->progress = true;
		} else {
			if (!arg[1])
				harness_die("%s wants a value", *arg);
			take_option(o, arg[0], arg[1]);
			arg++;
		}
	}
	if (!*arg || !arg[1])
		harness_die("there is nothing to start: end the command line with -- qemu-system-x86_64 ARGUMENTS");
	if (!o->dir || !o->timeout_s)
		harness_die("--dir and --timeout must be given");
	if (!o->name)
		o->name = strrchr(o->dir, '/') ? strrchr(o->dir, '/') + 1 : o->dir;
	return arg + 1;
}

/* --- beginning ------------------------------------------------------------ */

static void connect_modules(struct observe *o)
{
	o->frames.memory = &o->memory;
	o->guest.memory = &o->memory;
	o->trace.config = &o->config;
	o->qemu.config = &o->config;
	o->qemu.doorbell = &o->doorbell;
}

static void open_logs(struct observe *o)
{
	if (chdir(o->dir))
		harness_die("cannot use the directory %s: %s; create it first",
			    o->dir, strerror(errno));
	o->console.log = create("console.log");
	o->channel.log = create("channel.log");
	o->channel.ktap = create("ktap.log");
	o->channel.state = create("state.log");
	o->trace.log = create("trace.log");
	o->trace.other = create("qemu.log");
	o->qemu.log = o->trace.other;
	setvbuf(stdout, NULL, _IOLBF, 0);
}

static void catch_signals(void)
{
	struct sigaction stop = { .sa_handler = on_signal };

	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGHUP, &stop, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* The caller is dead and does not wait for a result any more. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* A tick of half a millisecond must not become one of two. */
	prctl(PR_SET_TIMERSLACK, 1000);
	/* Nor wait behind the machine it watches; without the right to, it does. */
	setpriority(PRIO_PROCESS, 0, -15);
}

/* --- the loop ------------------------------------------------------------- */

static void on_console(void *observe, char *line)
{
	struct observe *o = observe;
	enum phase before = phases_current(&o->phases);
	unsigned int splats = o->console.gate.splats;

	/* What landed until now belongs to the phase this line may end. */
	frames_watch(&o->frames, now_ns());
	console_line(&o->console, &o->phases, now_ns(), line);
	if (phases_current(&o->phases) != before)
		say(o, "phase %s", phase_names[phases_current(&o->phases)]);
	if (!splats && o->console.gate.splats)
		say(o, "splat: %s", line);
}

static void listen_to_all(struct observe *o)
{
	lines_read(&o->trace.lines, o->qemu.output, trace_line, &o->trace);
	lines_read(&o->console.lines, o->qemu.console, on_console, o);
	lines_read(&o->channel.lines, o->qemu.channel, channel_line, o);
	lines_read(&o->qemu.qmp_lines, o->qemu.qmp, qemu_qmp_line, &o->qemu);
}

static void tend_frames(struct observe *o)
{
	struct frames *f = &o->frames;
	bool first = !f->sent;
	uint64_t now = now_ns();

	frames_watch(f, now);
	guest_watch(&o->guest, now);
	guest_watch_queues(&o->guest, f, now);
	frames_send(f, now);
	if (first && f->sent && phases_enter(&o->phases, PHASE_BEFORE, now))
		say(o, "phase before: sending %u frames a second", f->rate);
	if (f->send_error) {
		fail(o, "%s", f->send_error);
		f->send_error = NULL;
		frames_stop(f, now);
	}
	if (!f->draining || !frames_settled(f, now))
		return;
	if (!guest_caught_up(&o->guest, f) && now < f->stop_ns + CATCH_UP_NS)
		return;
	f->draining = false;
	guest_check(&o->guest, f);
}

/* The traces are read at every tick; they do not wake the loop. */
static void wait_for_news(const struct observe *o)
{
	bool busy = o->frames.sending || o->frames.draining;
	struct timespec tick = {
		.tv_nsec = doorbell_busy(&o->doorbell) ? TICK_RINGING_NS :
			   busy ? TICK_SENDING_NS : TICK_NS
	};
	struct pollfd fd[] = {
		{ .fd = o->qemu.console, .events = POLLIN },
		{ .fd = o->qemu.channel, .events = POLLIN },
		{ .fd = o->qemu.qmp, .events = POLLIN },
	};
	size_t i;

	if (ppoll(fd, ARRAY_SIZE(fd), &tick, NULL) <= 0)
		return;
	for (i = 0; i < ARRAY_SIZE(fd); i++)
		if (!(fd[i].revents & POLLHUP))
			return;
	nanosleep(&tick, NULL);	/* all closed: only the exit is to come */
}

/* How long to wait for what the machine says next. */
static double patience_s(const struct observe *o)
{
	if (o->console.count || o->timeout_s < SILENCE_S)
		return o->timeout_s;
	return SILENCE_S;
}

enum outcome { ENDED, SAID, LINGERED, PANICKED, TIMED_OUT, INTERRUPTED };

/* An act that cannot be done would leave the test without its fault. */
static void blame_monitor(struct observe *o)
{
	if (!*o->qemu.complaint)
		return;
	fail(o, "QEMU's monitor: %s", o->qemu.complaint);
	*o->qemu.complaint = '\0';
}

static enum outcome watch_machine(struct observe *o)
{
	uint64_t start = mono_ns(), patience = 0, now;

	for (;;) {
		wait_for_news(o);
		tend_frames(o);
		doorbell_tend(&o->doorbell, now_ns());
		listen_to_all(o);
		acts_do(o);
		blame_monitor(o);
		channel_answer(o);
		now = mono_ns();
		/* First: the same Ctrl-C ends QEMU, too. */
		if (interrupted)
			return INTERRUPTED;
		if (qemu_reap(&o->qemu)) {
			listen_to_all(o);
			return *o->channel.verdict ? SAID :
			       o->console.panicked ? PANICKED : ENDED;
		}
		if (!patience && *o->channel.verdict) {
			frames_stop(&o->frames, now_ns());
			patience = now + POWER_OFF_NS;
		} else if (!patience && o->console.panicked) {
			patience = now + PANIC_NS;
		}
		if (patience && now > patience)
			return *o->channel.verdict ? LINGERED : PANICKED;
		if (!patience && now - start > patience_s(o) * NSEC_PER_SEC)
			return TIMED_OUT;
	}
}

/* --- the end -------------------------------------------------------------- */

static void show_stderr(const struct trace *t)
{
	unsigned int n = ARRAY_SIZE(t->last_stderr);
	unsigned int i = t->stderrs > n ? t->stderrs - n : 0;

	for (; i < t->stderrs; i++)
		printf("  | %s\n", t->last_stderr[i % n]);
}

static const char *last_stderr(const struct trace *t)
{
	if (!t->stderrs)
		return "it said nothing";
	return t->last_stderr[(t->stderrs - 1) % ARRAY_SIZE(t->last_stderr)];
}

/* A QEMU that could not work says nothing about the kernel. */
static bool qemu_failed(const struct observe *o)
{
	return o->qemu.ended &&
	       (!WIFEXITED(o->qemu.status) || WEXITSTATUS(o->qemu.status));
}

static void blame_verdict(struct observe *o)
{
	const char *verdict = o->channel.verdict;

	if (!strncmp(verdict, "fail", 4))
		fail(o, "%s", verdict[4] ? verdict + 5 :
		     "the machine's verdict is fail, without a reason");
	else if (o->kernels && !strncmp(verdict, "pass", 4) &&
		 o->channel.hello != o->kernels)
		fail(o, "the verdict is kernel %d's, and it should be kernel %d's",
		     o->channel.hello, o->kernels);
	else if (qemu_failed(o))
		fail(o, "QEMU ended badly after the verdict: %s",
		     last_stderr(&o->trace));
}

static void blame(struct observe *o, enum outcome outcome)
{
	switch (outcome) {
	case SAID:
		blame_verdict(o);
		break;
	case LINGERED:
		fail(o, "the machine said its verdict and did not power off");
		break;
	case PANICKED:
		fail(o, "kernel %d panicked: %s", o->console.stage,
		     *o->console.gate.first ? o->console.gate.first :
		     "the last lines are above");
		break;
	case TIMED_OUT:
		fail(o, "no verdict within %g seconds (%s): see %s/console.log",
		     patience_s(o), o->console.stage ? "the last lines are above" :
		     "the kernel did not boot", o->dir);
		break;
	case INTERRUPTED:
		fail(o, "interrupted by signal %d", interrupted);
		break;
	case ENDED:
		if (qemu_failed(o))
			fail(o, "QEMU ended unexpectedly (%s %d): %s",
			     WIFEXITED(o->qemu.status) ? "status" : "signal",
			     WIFEXITED(o->qemu.status) ?
			     WEXITSTATUS(o->qemu.status) :
			     WTERMSIG(o->qemu.status), last_stderr(&o->trace));
		else
			fail(o, "the machine ended without a verdict: see %s/console.log",
			     o->dir);
		break;
	}
}

static void check_gates(struct observe *o)
{
	char buf[256];
	const char *unmet = gate_unmet(&o->console.gate, buf, sizeof(buf));
	int blind;

	if (o->console.gate.splats)
		fail(o, "%u bad lines on the console, the first: %s",
		     o->console.gate.splats, o->console.gate.first);
	if (unmet)
		fail(o, "%s", unmet);
	blind = o->channel.hello ? console_blind(&o->console, o->channel.hello) : 0;
	if (blind)
		fail(o, "the console of kernel %d did not show what init logged: a splat may have gone unseen",
		     blind);
	acts_check(o);
	blame_monitor(o);
	if (o->trace.misread)
		fail(o, "QEMU's trace cannot be read, it has '%s'",
		     o->trace.first_misread);
	if (o->config.fns && *o->trace.missing)
		fail(o, "this QEMU does not trace what is measured: %s",
		     o->trace.missing);
	if (o->memory.moved)
		fail(o, "%u pages of the VM's memory lie elsewhere after the kexec",
		     o->memory.moved);
}

static int status_of(const struct observe *o, enum outcome outcome)
{
	if (outcome == INTERRUPTED || (outcome == ENDED && qemu_failed(o)))
		return EXIT_HARNESS;
	if (o->reasons)
		return EXIT_FAIL;
	return strncmp(o->channel.verdict, "skip", 4) ? EXIT_PASS : EXIT_SKIP;
}

static void show_more(const struct observe *o, enum outcome outcome)
{
	if (outcome == SAID)
		return;
	fflush(stdout);
	console_show_last(&o->console, stdout);
	if (o->trace.stderrs) {
		printf("QEMU said:\n");
		show_stderr(&o->trace);
	}
}

static void finish_measuring(struct observe *o)
{
	struct frames *f = &o->frames;

	o->phases.end_ns = o->channel.verdict_ns ? o->channel.verdict_ns :
						   now_ns();
	if (!f->started)
		return;
	frames_stop(f, now_ns());
	frames_watch(f, now_ns());
	if (!o->guest.checked || f->draining)
		guest_check(&o->guest, f);
}

static void last_line(const struct observe *o, int status)
{
	double seconds = (double)(now_ns() - o->start_ns) / NSEC_PER_SEC;

	if (status == EXIT_PASS)
		printf("%s passed in %.1f s\n", o->name, seconds);
	else if (status == EXIT_SKIP)
		printf("%s skipped: %s\n", o->name, o->channel.verdict[4] ?
		       o->channel.verdict + 5 : "no reason given");
	else
		printf("%s failed: %s\n", o->name, o->reason);
}

static int observe(struct observe *o, char **qemu_args)
{
	static const char *const verdicts[] = {
		[EXIT_PASS] = "pass", [EXIT_FAIL] = "fail",
		[EXIT_HARNESS] = "harness", [EXIT_SKIP] = "skip"
	};
	enum outcome outcome;
	int status;

	connect_modules(o);
	open_logs(o);
	catch_signals();
	frames_open(&o->frames);
	o->start_ns = now_ns();
	qemu_start(&o->qemu, qemu_args);
	outcome = watch_machine(o);
	finish_measuring(o);
	qemu_stop(&o->qemu);
	listen_to_all(o);
	show_more(o, outcome);
	blame(o, outcome);
	check_gates(o);
	status = status_of(o, outcome);
	result_write(o, verdicts[status]);
	last_line(o, status);
	return status;
}

/* The self-test has its own main(). */
int observe_main(char **args)
{
	static struct observe o;

	return observe(&o, take_options(&o, args));
}

#ifndef OBSERVE_SELFTEST
int main(int argc, char **argv)
{
	(void)argc;
	return observe_main(argv + 1);
}
#endif
