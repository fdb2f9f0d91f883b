// SPDX-License-Identifier: GPL-2.0-only
/*
 * Map more memory for a device than can be pinned, because most of the free memory is
 * KHO's scratch memory. This fails, and the OOM killer is not called for it.
 *
 *	lu_pin BDF LARGE SMALL
 *
 * LARGE MiB do not fit, and SMALL MiB do.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lu_die.h"
#include "lu_memory.h"
#include "lu_memstat.h"
#include "lu_pci.h"
#include "lu_vfio.h"

#define IOVA	0x100000000

/* The OOM killer would take it first. */
static pid_t start_bystander(void)
{
	pid_t pid = fork();
	int fd;

	if (pid < 0)
		lu_die_errno("fork");
	while (!pid)
		pause();
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "-1000", 5) != 5)
		lu_die_errno("cannot be spared");
	close(fd);
	return pid;
}

static int try_map(struct lu_vfio *dev, size_t size, bool huge)
{
	int memfd = lu_memory_create("memory", size, huge);
	int err;

	ksft_print_msg("%ld MiB are free, %ld MiB of them CMA\n",
		       lu_memstat_free_kib() >> 10,
		       lu_memstat("/proc/meminfo", "CmaFree") >> 10);
	err = lu_vfio_try_map(dev, memfd, size, IOVA);
	if (!err)
		lu_vfio_unmap_memory(dev, size, IOVA);
	close(memfd);
	return err;
}

int main(int argc, char *argv[])
{
	struct lu_vfio dev;
	pid_t bystander;
	size_t large, small;

	ksft_print_header();
	ksft_set_plan(4);
	if (argc != 4)
		lu_die("usage: lu_pin BDF LARGE SMALL");
	large = strtoul(argv[2], NULL, 0) << 20;
	small = strtoul(argv[3], NULL, 0) << 20;
	bystander = start_bystander();
	lu_pci_bind_vfio(argv[1]);
	lu_vfio_open(&dev, argv[1]);
	lu_vfio_attach(&dev);

	ksft_test_result(try_map(&dev, large, false) == -ENOMEM,
			 "memory that cannot be pinned is not mapped\n");
	ksft_test_result(!waitpid(bystander, NULL, WNOHANG),
			 "no process is killed for it\n");
	ksft_test_result(!try_map(&dev, small, false), "memory that can be is\n");
	ksft_test_result(!try_map(&dev, small, true),
			 "and so is memory in huge pages\n");
	kill(bystander, SIGKILL);
	ksft_finished();
}
