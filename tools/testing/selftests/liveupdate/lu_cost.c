// SPDX-License-Identifier: GPL-2.0-only
/*
 * What it costs to preserve a device for which much memory is mapped.
 *
 *	lu_cost preserve GIB small|large BDF	map so much, in leaves of 4 KiB or
 *						2 MiB, preserve the device and stay
 *	lu_cost finish GIB small|large BDF	take it back in the next kernel
 *
 * The same memory is mapped again and again. For a machine that QEMU counts the
 * instructions of (-icount).
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <x86intrin.h>

#include <libliveupdate.h>

#include "lu_die.h"
#include "lu_memory.h"
#include "lu_pci.h"
#include "lu_update.h"
#include "lu_vfio.h"

#define SESSION		"cost"
#define MEMORY		(64ul << 20)
#define IOVA		(4ull << 30)
#define PRESERVED	"/sys/kernel/debug/kho/out/preserved_pages"

enum { TOKEN_MEMORY = 1, TOKEN_DEVICE };

static struct lu_vfio device;
static unsigned long gib;
static bool small;

static void say(const char *what, unsigned long long n)
{
	ksft_print_msg("%s %lu GiB in %s leaves: %llu\n", what, gib,
		       small ? "small" : "large", n);
}

static void small_leaves(void)
{
	struct iommu_option option = {
		.size = sizeof(option),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_SET,
		.object_id = lu_vfio_ioas(&device),
	};

	if (ioctl(device.iommufd, IOMMU_OPTION, &option))
		lu_die_errno("IOMMU_OPTION_HUGE_PAGES");
}

static void map(int memory)
{
	uint64_t end = IOVA + ((uint64_t)gib << 30), iova;

	if (small)
		small_leaves();
	for (iova = IOVA; iova < end; iova += MEMORY)
		lu_vfio_map_memory(&device, memory, MEMORY, iova);
}

static unsigned long long preserved_pages(void)
{
	FILE *f = fopen(PRESERVED, "r");
	unsigned long long n;

	if (!f || fscanf(f, "%llu", &n) != 1)
		lu_die_errno("cannot read " PRESERVED);
	fclose(f);
	return n;
}

static void preserve(int luo, const char *bdf)
{
	int memory = lu_memory_create("cost", MEMORY, true), session, err;
	unsigned long long begin, end, pages;

	lu_pci_bind_vfio(bdf);
	lu_vfio_open(&device, bdf);
	map(memory);
	lu_vfio_attach(&device);
	session = lu_new_session(luo, SESSION);
	err = luo_session_preserve_fd(session, memory, TOKEN_MEMORY);
	if (err)
		lu_die("the memory cannot be preserved: %s", strerror(-err));
	pages = preserved_pages();

	begin = __rdtsc();
	err = luo_session_preserve_fd(session, device.fd, TOKEN_DEVICE);
	end = __rdtsc();
	lu_result_is(err, 0, "the device is preserved");
	say("cycles of preserving", end - begin);
	say("pages preserved for", preserved_pages() - pages);
	close(luo);
	ksft_print_cnts();
	lu_stay_behind(ksft_get_fail_cnt() ? KSFT_FAIL : KSFT_PASS);
}

/* The domain is filled before, so that attaching is checking and replacing. */
static uint32_t filled_table(void)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.dev_id = device.id,
		.pt_id = lu_vfio_ioas(&device),
	};

	if (ioctl(device.iommufd, IOMMU_HWPT_ALLOC, &alloc))
		lu_die_errno("IOMMU_HWPT_ALLOC");
	return alloc.out_hwpt_id;
}

static void finish(int luo, const char *bdf)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
	};
	int session = lu_old_session(luo, SESSION), memory, err;
	unsigned long long begin, end;

	memory = lu_retrieve(session, TOKEN_MEMORY);
	lu_vfio_take_over(&device, bdf, lu_retrieve(session, TOKEN_DEVICE));
	map(memory);
	attach.pt_id = filled_table();

	begin = __rdtsc();
	err = ioctl(device.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach) ?
	      -errno : 0;
	end = __rdtsc();
	lu_result_is(err, 0, "the device is attached");
	say("cycles of attaching", end - begin);

	begin = __rdtsc();
	err = luo_session_finish(session);
	end = __rdtsc();
	lu_result_is(err, 0, "the session is finished");
	say("cycles of finishing", end - begin);
	ksft_finished();
}

int main(int argc, char **argv)
{
	bool begin = argc == 5 && !strcmp(argv[1], "preserve");
	int luo;

	ksft_print_header();
	if (!begin && (argc != 5 || strcmp(argv[1], "finish")))
		lu_die("usage: lu_cost preserve|finish GIB small|large BDF");
	gib = strtoul(argv[2], NULL, 0);
	small = !strcmp(argv[3], "small");
	ksft_set_plan(begin ? 1 : 2);
	luo = luo_open_device();
	if (luo < 0)
		lu_die_errno("cannot open /dev/liveupdate");
	if (begin)
		preserve(luo, argv[4]);
	finish(luo, argv[4]);
}
