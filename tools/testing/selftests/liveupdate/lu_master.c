// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver in user space that enables bus mastering of its device all the time, also
 * while the next kernel is started. The device is not preserved.
 *
 *	lu_master enable BDF
 *	lu_master check BDF	in the next kernel: it is not enabled
 */
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../kselftest.h"

#include "lu_die.h"
#include "lu_pci.h"
#include "lu_vfio.h"

int lu_channel_fd = -1;

static bool is_master(const char *bdf)
{
	return lu_pci_command(bdf) & PCI_COMMAND_MASTER;
}

static void enable(const char *bdf)
{
	struct lu_vfio device;

	lu_pci_bind_vfio(bdf);
	lu_vfio_open(&device, bdf);
	lu_vfio_set_command(&device, PCI_COMMAND_MASTER);
	ksft_test_result(is_master(bdf), "it can be enabled\n");
	ksft_print_cnts();
	fflush(stdout);
	if (fork())
		_exit(ksft_get_fail_cnt() ? KSFT_FAIL : KSFT_PASS);
	setsid();
	for (;;)
		lu_vfio_set_command(&device, PCI_COMMAND_MASTER);
}

int main(int argc, char *argv[])
{
	ksft_print_header();
	ksft_set_plan(1);
	if (argc != 3)
		lu_die("usage: lu_master enable|check BDF");
	if (!strcmp(argv[1], "enable"))
		enable(argv[2]);
	else
		ksft_test_result(!is_master(argv[2]), "the kexec has disabled it\n");
	ksft_finished();
}
