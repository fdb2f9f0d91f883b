// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sessions of lu_vmm in the next kernel that are abandoned, or taken over after
 * their owner died.
 *
 *	lu_abandon close SESSION...	retrieves and closes sessions
 *	lu_abandon apart BDF		after lu_vmm -s 1 -l -p --apart: the memory's
 *					session is abandoned before the device's
 *	lu_abandon held BDF		a process holds the device's file when the
 *					owner of the session dies
 *	lu_abandon again BDF		the owner dies when it has bound the device,
 *					while a supervisor has the session, and at
 *					first a copy of the device's file; the next
 *					owner takes it over, finishes, and ends at once
 *	lu_abandon unstoppable BDF	the device cannot be stopped
 *	lu_abandon restarted BDF	nor at first, and then another one takes it over;
 *					needs an image ($NEXT_KERNEL) and the module
 *					liveupdate_file
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libliveupdate.h>

#include "lu_die.h"
#include "lu_guest.h"
#include "lu_igb.h"
#include "lu_memory.h"
#include "lu_memstat.h"
#include "lu_pci.h"
#include "lu_state.h"
#include "lu_update.h"
#include "lu_vfio.h"

#define SESSION		"lu-vmm"
#define DEVICE_SESSION	"lu-vmm-device"
#define TOKEN_RAM	1
#define TOKEN_STATE	2
#define TOKEN_DEVICE	3
#define BAR0_SIZE	0x20000
#define WHILE_US	500000

static int get_session(const char *name)
{
	int luo = luo_open_device(), session;

	if (luo < 0)
		lu_die_errno("cannot open %s", LUO_DEVICE);
	session = luo_retrieve_session(luo, name);
	if (session < 0)
		lu_die("no session %s: %s", name, strerror(-session));
	close(luo);
	return session;
}

static int get_file(int session, int token)
{
	int fd = luo_session_retrieve_fd(session, token);

	/* As documented. */
	for (int tries = 0; fd == -EAGAIN && tries < 10; tries++) {
		usleep(100000);
		fd = luo_session_retrieve_fd(session, token);
	}

	if (fd < 0)
		lu_die("no file with token %d: %s", token, strerror(-fd));
	return fd;
}

static bool runs(const char *bdf)
{
	return lu_pci_command(bdf) & PCI_COMMAND_MASTER;
}

static void close_sessions(char **names)
{
	for (; *names; names++) {
		close(get_session(*names));
		ksft_print_msg("%s is closed\n", *names);
	}
}

/* --- the memory in another session than the device ------------------------ */

static void apart(const char *bdf)
{
	long before = lu_memstat_pinned(), kept;
	int session = get_session(SESSION);
	int ram = get_file(session, TOKEN_RAM);
	int state = get_file(session, TOKEN_STATE);

	ksft_set_plan(3);
	close(ram);
	close(state);
	lu_result_is(luo_session_finish(session), 0,
		     "the memory's session can be finished");
	close(session);
	usleep(WHILE_US);
	kept = lu_memstat_pinned() - before;
	ksft_print_msg("%ld folios are kept\n", kept);
	ksft_test_result(runs(bdf) && kept > 0,
			 "its memory is kept while the device runs\n");
	close(get_session(DEVICE_SESSION));
	kept = lu_memstat_pinned() - before;
	ksft_test_result(!runs(bdf) && !kept,
			 "when the device is stopped it is free\n");
}

/* --- an owner that dies ---------------------------------------------------- */

static void dies(void)
{
	fflush(stdout);
	kill(getpid(), SIGKILL);
}

static void await(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		lu_die("the owner did not come so far as to be killed");
}

/* The process that holds a file is told to end through the pipe. */
static void held(const char *bdf)
{
	int session, device, go[2], gone[2], closed[2];
	char byte;
	pid_t pid;

	ksft_set_plan(3);
	fflush(stdout);
	if (pipe(go) || pipe(gone) || pipe(closed))
		lu_die_errno("pipe");
	pid = fork();
	if (!pid) {
		session = get_session(SESSION);
		device = get_file(session, TOKEN_DEVICE);
		if (!fork()) {
			close(session);
			if (write(closed[1], "", 1) != 1)
				exit(1);
			close(go[1]);
			if (read(go[0], &byte, 1) > 0)
				exit(1);
			close(device);
			exit(0);
		}
		/* The session ends with this process, not with the holder. */
		if (read(closed[0], &byte, 1) != 1)
			exit(1);
		dies();
	}
	await(pid);

	session = get_session(SESSION);
	lu_result_is(luo_session_finish(session), -EBUSY,
		     "the session is not finished while a process holds the device");
	ksft_test_result(runs(bdf), "the device runs on\n");
	/* A kexec and others take the device lock. */
	lu_result_is(lu_write_text(bdf, "remove", "1"), -EBUSY,
		     "no task waits for it while holding its lock");
	/* It cannot be finished, so it can be retrieved again. */
	close(session);
	close(go[1]);
	close(gone[1]);
	if (read(gone[0], &byte, 1))
		lu_die("the holder is still there");
}

static struct lu_igb_regs registers(struct lu_vfio *device)
{
	lu_vfio_map_bar0(device, BAR0_SIZE);
	return lu_igb_read(device->bar0, lu_vfio_command(device));
}

static void take_over(struct lu_vfio *device, const char *bdf, int session)
{
	lu_vfio_take_over(device, bdf, get_file(session, TOKEN_DEVICE));
	lu_vfio_map_memory(device, get_file(session, TOKEN_RAM), LU_RAM_SIZE,
			   LU_RAM_BASE);
	lu_vfio_attach(device);
}

static int try_bind(int device)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = open("/dev/iommu", O_RDWR),
	};
	int err;

	if (bind.iommufd < 0)
		lu_die_errno("cannot open /dev/iommu");
	err = ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind) ? -errno : 0;
	close(bind.iommufd);
	return err;
}

static void again(const char *bdf)
{
	int session, copy, retrieved;
	struct lu_igb_regs *old, now;
	struct lu_vfio device;
	pid_t pid;

	ksft_set_plan(5);
	fflush(stdout);
	session = get_session(SESSION);
	old = &((struct lu_state *)lu_memory_map(get_file(session, TOKEN_STATE),
						 LU_STATE_FILE_SIZE))->device;
	copy = get_file(session, TOKEN_DEVICE);
	pid = fork();
	if (!pid) {
		take_over(&device, bdf, session);
		if (lu_vfio_set_irqs(&device, VFIO_PCI_MSIX_IRQ_INDEX,
				     VFIO_IRQ_SET_DATA_EVENTFD, eventfd(0, 0)))
			lu_die_errno("VFIO_DEVICE_SET_IRQS");
		dies();
	}
	await(pid);
	ksft_test_result(runs(bdf), "the device runs on when its owner has died\n");

	retrieved = get_file(session, TOKEN_DEVICE);
	lu_result_is(try_bind(retrieved), -EINVAL,
		     "while there is a copy of its file, it is still bound");
	close(retrieved);
	close(copy);
	take_over(&device, bdf, session);
	ksft_test_result_pass("another one can bind it\n");
	now = registers(&device);
	ksft_test_result(now.queue[0].ring_address == old->queue[0].ring_address &&
			 now.rctl == old->rctl && now.command == old->command &&
			 now.queue[0].control == old->queue[0].control,
			 "it is as it was\n");
	lu_result_is(luo_session_finish(session), 0, "and finish");
}

/* --- a device that cannot be stopped --------------------------------------- */

static void unstoppable(const char *bdf)
{
	int session = get_session(SESSION);

	ksft_set_plan(3);
	lu_result_is(luo_session_finish(session), -EIO,
		     "a session is not finished if its device cannot be stopped");
	close(session);
	session = luo_retrieve_session(luo_open_device(), SESSION);
	ksft_test_result(session >= 0, "it can be retrieved again\n");
	ksft_test_result(runs(bdf), "the device runs on\n");
}

static void restarted(const char *bdf)
{
	int session = get_session(SESSION), luo, refuser;
	struct lu_vfio device;

	ksft_set_plan(3);
	lu_result_is(luo_session_finish(session), -EIO,
		     "its device cannot be stopped");
	take_over(&device, bdf, session);
	lu_result_is(luo_session_finish(session), 0,
		     "another one can take it over, and finish");
	close(session);
	lu_load_next("");
	luo = luo_open_device();
	session = lu_new_session(luo, "next");
	refuser = lu_refuser();
	if (luo_session_preserve_fd(session, refuser, 1))
		lu_die("the file that refuses cannot be preserved");
	lu_result_is(lu_try_kexec(), -EIO, "no kexec is refused because of it");
}

int main(int argc, char *argv[])
{
	static const struct {
		const char *name;
		void (*run)(const char *bdf);
	} tests[] = {
		{ "apart", apart }, { "held", held }, { "again", again },
		{ "unstoppable", unstoppable }, { "restarted", restarted },
	};

	if (argc < 3)
		lu_die("usage: lu_abandon close SESSION... | TEST BDF");
	if (!strcmp(argv[1], "close")) {
		close_sessions(argv + 2);
		return 0;
	}
	ksft_print_header();
	for (unsigned int i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		if (strcmp(tests[i].name, argv[1]))
			continue;
		tests[i].run(argv[2]);
		ksft_finished();
	}
	lu_die("there is no test '%s'", argv[1]);
}
