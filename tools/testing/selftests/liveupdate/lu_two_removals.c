// SPDX-License-Identifier: GPL-2.0-only
/*
 * Remove a port, and meanwhile a function below it. The first removal waits for the
 * user of another function below the port, and the second one for the first.
 *
 *	lu_two_removals PORT FUNCTION
 *
 * FUNCTION has no user; an 82574 (e1000e) is another function of the same card, with
 * a lower number.
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lu_die.h"
#include "lu_pci.h"
#include "lu_update.h"
#include "lu_vfio.h"

/* The writer must not have our files: it waits for their last close. */
static pid_t start_remove(const char *bdf)
{
	pid_t pid = fork();

	if (pid < 0)
		lu_die_errno("fork");
	if (!pid) {
		close_range(3, ~0U, 0);
		_exit(-lu_write_text(bdf, "remove", "1"));
	}
	return pid;
}

static bool exists(const char *bdf, const char *file)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, file);
	return !access(path, F_OK);
}

/* Returns whether @file is gone within ten seconds. */
static bool await_gone(const char *bdf, const char *file)
{
	for (int tries = 0; tries < 1000; tries++) {
		if (!exists(bdf, file))
			return true;
		usleep(10000);
	}
	return false;
}

static bool ended_well(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       !WEXITSTATUS(status);
}

int main(int argc, char *argv[])
{
	char used[LU_PCI_BDF_SIZE];
	struct lu_vfio device = {};
	pid_t first, second;

	ksft_print_header();
	if (argc != 3)
		lu_die("usage: lu_two_removals PORT FUNCTION");
	ksft_set_plan(3);
	snprintf(used, sizeof(used), "%s", argv[2]);
	used[strlen(used) - 1] = '0';
	lu_pci_bind_vfio(used);
	lu_vfio_open(&device, used);

	first = start_remove(argv[1]);
	/* VFIO takes this away just before it waits. */
	if (!await_gone(used, "vfio-dev"))
		lu_die("the port is not being removed");
	second = start_remove(argv[2]);
	if (!await_gone(argv[2], "remove"))
		lu_die("the function is not being removed");
	close(device.fd);
	close(device.iommufd);
	ksft_test_result(ended_well(first), "the port is removed\n");
	ksft_test_result(ended_well(second), "so is the function\n");
	ksft_test_result(!exists(argv[1], "vendor") && !exists(argv[2], "vendor"),
			 "both are gone\n");
	if (lu_write_text("..", "rescan", "1") || !exists(argv[2], "vendor"))
		lu_die("the function does not come back");
	ksft_finished();
}
