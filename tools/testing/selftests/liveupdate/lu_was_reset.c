// SPDX-License-Identifier: GPL-2.0-only
/*
 * Check that an 82576 that ran for a VM was reset, so that it receives nothing when
 * it becomes a bus master again. First the end of its live update is awaited, and
 * its driver is unbound.
 *
 *	lu_was_reset BDF
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lu_die.h"
#include "lu_igb.h"
#include "lu_pci.h"
#include "lu_update.h"

#define BAR0_SIZE	0x20000
#define RCTL_EN		0x00000002

static bool exists(const char *bdf, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, name);
	return !access(path, F_OK);
}

/* Device Status is never 0. */
static bool was_reset(const struct lu_igb_regs *regs)
{
	return regs->status && regs->status != 0xffffffff &&
	       !(regs->rctl & RCTL_EN);
}

int main(int argc, char *argv[])
{
	struct lu_igb_regs regs;
	void *bar;

	ksft_print_header();
	ksft_set_plan(1);
	if (argc != 2)
		lu_die("usage: lu_was_reset BDF");
	lu_pci_require(argv[1], LU_IGB_VENDOR, LU_IGB_DEVICE);
	while (exists(argv[1], "liveupdate"))
		usleep(100000);
	while (exists(argv[1], "driver"))
		lu_write_text(argv[1], "driver/unbind", argv[1]);
	/* A reset that is still to come comes soon, and switches decoding off. */
	bar = lu_pci_map_bar0(argv[1], BAR0_SIZE);
	regs = lu_igb_read(bar, 0);
	for (int tries = 0; tries < 50 && !was_reset(&regs); tries++) {
		usleep(100000);
		lu_pci_enable(argv[1], false);
		lu_pci_enable(argv[1], true);
		regs = lu_igb_read(bar, 0);
	}
	ksft_print_msg("status %#x, receive control %#x\n", regs.status,
		       regs.rctl);
	ksft_test_result(was_reset(&regs), "%s was reset, its rings are cleared\n", argv[1]);
	lu_pci_enable(argv[1], false);
	/* What its owner has set before the update, and is kept. */
	lu_write_text(argv[1], "driver_override", "\n");
	ksft_finished();
}
