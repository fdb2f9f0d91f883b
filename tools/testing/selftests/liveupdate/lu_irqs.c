// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts of a device that is silent, across a live update: what VFIO signals
 * because it may have been lost, and what it disables.
 *
 *	lu_irqs preserve msi|msix BDF	enable it, mask it, preserve the device
 *	lu_irqs disable msi BDF		the same with MSI that has no mask bits: disable it
 *	lu_irqs finish msi|msix|none BDF	enable that in the next kernel, or nothing
 *	lu_irqs again msi|msix BDF	the same, when a process that did it has exited
 *	lu_irqs cost VECTORS BDF	what it costs to mask so many vectors of MSI-X, on
 *					a machine that QEMU counts the instructions of
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include <libliveupdate.h>

#include "lu_die.h"
#include "lu_memory.h"
#include "lu_pci.h"
#include "lu_update.h"
#include "lu_vfio.h"

#define SESSION		"irqs"
#define IOVA		0x40000000ull
#define SIZE		0x10000ul
#define QUIET_MS	1000

enum { TOKEN_MEMORY = 1, TOKEN_DEVICE };

static struct lu_vfio device;
static uint32_t irq_index;
static int event;

static uint64_t signals(void)
{
	struct pollfd p = { .fd = event, .events = POLLIN };
	uint64_t n;

	if (poll(&p, 1, QUIET_MS) < 0)
		lu_die_errno("poll");
	return read(event, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static int arm(void)
{
	event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (event < 0)
		lu_die_errno("cannot create an eventfd");
	return lu_vfio_set_irqs(&device, irq_index, VFIO_IRQ_SET_DATA_EVENTFD,
				event);
}

static void attach(int memory)
{
	lu_vfio_map_memory(&device, memory, SIZE, IOVA);
	lu_vfio_attach(&device);
}

/* Two test results. */
static void disable(void)
{
	lu_result_is(lu_vfio_mask_irq(&device, irq_index, true), -ENOTTY,
		     "and without mask bits they cannot be masked");
	lu_result_is(lu_vfio_set_irqs(&device, irq_index, VFIO_IRQ_SET_DATA_NONE, -1), 0,
		     "but disabled");
}

static void preserve(int luo, const char *bdf, bool maskable)
{
	int memory = lu_memory_create("irqs", SIZE, false), session, err;

	ksft_set_plan(maskable ? 5 : 6);
	lu_pci_bind_vfio(bdf);
	lu_vfio_open(&device, bdf);
	attach(memory);
	lu_vfio_set_command(&device, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	lu_result_is(lu_vfio_mask_irq(&device, irq_index, true), -EINVAL,
		     "interrupts that are not enabled cannot be masked");
	lu_result_is(arm(), 0, "they can be enabled");
	ksft_test_result(lu_vfio_irq_is_maskable(&device, irq_index) == maskable,
			 "it is reported whether they can be masked\n");
	if (maskable)
		lu_result_is(lu_vfio_mask_irq(&device, irq_index, true), 0,
			     "and masked");
	else
		disable();
	session = lu_new_session(luo, SESSION);
	err = luo_session_preserve_fd(session, memory, TOKEN_MEMORY);
	if (!err)
		err = luo_session_preserve_fd(session, device.fd, TOKEN_DEVICE);
	lu_result_is(err, 0, "the device is preserved");
	close(luo);
	ksft_print_cnts();
	lu_stay_behind(ksft_get_fail_cnt() ? KSFT_FAIL : KSFT_PASS);
}

/* The capability's register with the Enable bit. */
static bool is_enabled(const char *bdf, uint8_t cap, uint16_t enable)
{
	uint8_t config[LU_PCI_CONFIG_SIZE] = {};
	uint16_t flags;
	size_t pos;

	lu_pci_read_config(bdf, config);
	pos = lu_pci_capability(config, cap);
	memcpy(&flags, config + pos + 2, sizeof(flags));
	return pos && flags & enable;
}

static void take_over(int session, const char *bdf)
{
	int memory = lu_retrieve(session, TOKEN_MEMORY);

	lu_vfio_take_over(&device, bdf, lu_retrieve(session, TOKEN_DEVICE));
	attach(memory);
}

/* The exit closes the device, which disables its interrupts. */
static void set_up_and_exit(int session, const char *bdf)
{
	pid_t child = fork();
	int status;

	if (!child) {
		take_over(session, bdf);
		_exit(arm() || signals());
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		lu_die_errno("the first process");
	ksft_test_result(!status, "the first process has set them up, and lost none\n");
}

static void finish(int luo, const char *bdf, const char *what, bool again)
{
	int session = lu_old_session(luo, SESSION);

	ksft_set_plan((strcmp(what, "none") ? 4 : 2) + again);
	if (again)
		set_up_and_exit(session, bdf);
	take_over(session, bdf);
	if (strcmp(what, "none")) {
		lu_result_is(arm(), 0, "interrupts can be enabled");
		ksft_test_result(signals() == 1 && !signals(),
				 "what may have been lost is signaled once\n");
	}
	lu_result_is(luo_session_finish(session), 0, "it is finished");
	ksft_test_result(is_enabled(bdf, PCI_CAP_ID_MSI, PCI_MSI_FLAGS_ENABLE) ==
			 !strcmp(what, "msi") &&
			 is_enabled(bdf, PCI_CAP_ID_MSIX, PCI_MSIX_FLAGS_ENABLE) ==
			 !strcmp(what, "msix"),
			 "nothing else is enabled in the device\n");
}

/* Instructions of masking, or unmasking, @vectors. */
static unsigned long long cost_of(int vectors, bool mask)
{
	unsigned long long begin = __rdtsc();

	if (lu_vfio_mask_irqs(&device, VFIO_PCI_MSIX_IRQ_INDEX, vectors, mask))
		lu_die("vectors cannot be %smasked", mask ? "" : "un");
	return __rdtsc() - begin;
}

static void cost(const char *bdf, int vectors)
{
	unsigned long long one[2], all[2];
	int fds[LU_VFIO_MAX_IRQS], i;

	if (vectors < 2 || vectors > LU_VFIO_MAX_IRQS)
		lu_die("'%d' is no number of vectors", vectors);
	ksft_set_plan(2);
	lu_pci_bind_vfio(bdf);
	lu_vfio_open(&device, bdf);
	for (i = 0; i < vectors; i++) {
		fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (fds[i] < 0)
			lu_die_errno("cannot create an eventfd");
	}
	if (lu_vfio_set_eventfds(&device, VFIO_PCI_MSIX_IRQ_INDEX, 0, vectors, fds))
		lu_die("MSI-X cannot be enabled");
	/* The first time pays for what is not in the caches yet. */
	cost_of(vectors, true);
	cost_of(vectors, false);
	for (i = 1; i >= 0; i--)
		one[i] = cost_of(1, i);
	for (i = 1; i >= 0; i--)
		all[i] = cost_of(vectors, i);
	for (i = 1; i >= 0; i--)
		ksft_test_result(all[i] < one[i] + (vectors - 1) * 20000ull,
				 "%smasking one vector takes %llu instructions, each further one %llu\n",
				 i ? "" : "un", one[i], (all[i] - one[i]) / (vectors - 1));
}

int main(int argc, char **argv)
{
	const char *step = argc == 4 ? argv[1] : "";
	int luo;

	ksft_print_header();
	if (argc != 4)
		lu_die("usage: lu_irqs STEP msi|msix|none|VECTORS BDF");
	if (!strcmp(step, "cost")) {
		cost(argv[3], atoi(argv[2]));
		ksft_finished();
	}
	irq_index = !strcmp(argv[2], "msi") ? VFIO_PCI_MSI_IRQ_INDEX :
					      VFIO_PCI_MSIX_IRQ_INDEX;
	luo = luo_open_device();
	if (luo < 0)
		lu_die_errno("cannot open /dev/liveupdate");
	if (!strcmp(step, "preserve"))
		preserve(luo, argv[3], true);
	else if (!strcmp(step, "disable"))
		preserve(luo, argv[3], false);
	else if (!strcmp(step, "finish") || !strcmp(step, "again"))
		finish(luo, argv[3], argv[2], !strcmp(step, "again"));
	else
		lu_die("'%s' is neither preserve, disable, finish nor again", step);
	ksft_finished();
}
