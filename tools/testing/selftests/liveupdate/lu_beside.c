// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device that receives, and is not preserved: it must be blocked from the kexec
 * on, while a preserved device beside it continues.
 *
 *	lu_beside BDF BUFFERS	set it up; a child that holds it stays behind
 */
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>

#include "lu_access.h"
#include "lu_die.h"
#include "lu_igb.h"
#include "lu_memory.h"
#include "lu_pci.h"
#include "lu_update.h"
#include "lu_vfio.h"
#include "lu_vm.h"

#define LINK_PATIENCE_MS	5000

/* The device waits when its buffers are used, until it is given more from outside. */
static bool start(struct lu_vfio *device, const char *bdf, uint32_t buffers)
{
	int ram_fd = lu_memory_create("lu-beside", LU_RAM_SIZE, false);
	char *ram = lu_memory_map(ram_fd, LU_RAM_SIZE);

	lu_vm_prepare_translated(ram);
	lu_vfio_open(device, bdf);
	lu_vfio_map_bar0(device, LU_BAR_SIZE);
	lu_vfio_map_memory(device, ram_fd, LU_RAM_SIZE, LU_RAM_BASE);
	lu_vfio_attach(device);
	lu_vfio_place_bar0(device, LU_BAR_BASE);
	lu_vfio_set_command(device, PCI_COMMAND_IO | PCI_COMMAND_MEMORY |
				    PCI_COMMAND_MASTER);
	if (!lu_igb_start_receive(device->bar0, LU_RAM_BASE + LU_RING_OFFSET, 1,
				  LINK_PATIENCE_MS))
		return false;
	lu_write_reg(device->bar0, LU_IGB_RDT(0), buffers);
	return true;
}

int main(int argc, char *argv[])
{
	struct lu_vfio device;

	ksft_print_header();
	if (argc != 3)
		lu_die("usage: lu_beside BDF BUFFERS");
	ksft_set_plan(1);
	lu_pci_require(argv[1], LU_IGB_VENDOR, LU_IGB_DEVICE);
	lu_pci_bind_vfio(argv[1]);
	ksft_test_result(start(&device, argv[1], atoi(argv[2])), "%s receives\n", argv[1]);
	ksft_print_cnts();
	lu_stay_behind(ksft_get_fail_cnt() ? KSFT_FAIL : KSFT_PASS);
}
