// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory that is mapped for a preserved device: it must be preserved, too,
 * and mapped again before the live update is finished.
 *
 *	lu_coverage refuse	updates that must be refused, without a kexec
 *	lu_coverage preserve	a device and its memory, in a session that stays
 *	lu_coverage finish	take both back in the next kernel
 *	lu_coverage hog SECONDS	hold all free memory and check that it is not written to
 *
 * 'refuse' needs an image that is loaded (kexec -l), and the module
 * liveupdate_file, of which a file refuses every update that gets so far.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <libliveupdate.h>

#include "lu_die.h"
#include "lu_igb.h"
#include "lu_memory.h"
#include "lu_pci.h"
#include "lu_update.h"
#include "lu_vfio.h"

#define SESSION		"coverage"
#define TOKEN_DEVICE	1
#define TOKEN_HUGE	2
#define TOKEN_SMALL	3
#define TOKEN_REFUSER	4
#define TOKEN_HOLDER	5
#define TOKEN_SPLICED	6

#define HUGE_SIZE	0x400000ul
#define HUGE_IOVA	0x40000000ul
#define SMALL_PAGES	16
#define SMALL_IOVA	0x80000000ul
#define USER_IOVA	0xc0000000ul
#define SPLICED_SIZE	0x200000ul
#define SPLICED_IOVA	0xd0000000ul

static char bdf[LU_PCI_BDF_SIZE];
static struct lu_vfio device;
static int luo;
static int huge_fd, small_fd;

/* --- tools ---------------------------------------------------------------- */

static size_t small_size(void)
{
	return SMALL_PAGES * getpagesize();
}

/* Not sealed against holes, unlike a VM's memory. */
static int create_small(void)
{
	int fd = memfd_create("small", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, small_size()) ||
	    fallocate(fd, 0, 0, small_size()))
		lu_die_errno("cannot create a memfd");
	return fd;
}

static int map_file(int fd, off_t start, size_t size, uint64_t iova,
		    unsigned int access)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | access,
		.ioas_id = device.ioas,
		.fd = fd,
		.start = start,
		.length = size,
		.iova = iova,
	};

	return ioctl(device.iommufd, IOMMU_IOAS_MAP_FILE, &map) ? -errno : 0;
}

#define READ_WRITE	(IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)

static int unmap(uint64_t iova, size_t size)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = device.ioas,
		.iova = iova,
		.length = size,
	};

	return ioctl(device.iommufd, IOMMU_IOAS_UNMAP, &unmap) ? -errno : 0;
}

static void must(int err, const char *what)
{
	if (err)
		lu_die("%s: %s", what, strerror(-err));
}

static void map_huge(void)
{
	must(map_file(huge_fd, 0, HUGE_SIZE, HUGE_IOVA, READ_WRITE), "map");
}

static void map_small(void)
{
	must(map_file(small_fd, 0, small_size(), SMALL_IOVA, READ_WRITE),
	     "map");
}

/* The IOVA in the last line of the kernel's log that has one. */
static unsigned long logged_iova(void)
{
	static char log[1 << 20];
	unsigned long iova = ~0ul;
	char *pos = log;
	int len = klogctl(3, log, sizeof(log) - 1);

	if (len < 0)
		lu_die_errno("cannot read the kernel's log");
	log[len] = '\0';
	while ((pos = strstr(pos, "IOVA 0x")))
		iova = strtoul(pos += strlen("IOVA "), NULL, 16);
	return iova;
}

static void names(int got, int want, unsigned long iova, const char *what)
{
	unsigned long logged = logged_iova();

	if (got != want)
		ksft_print_msg("%s: %s and not %s\n", what,
			       got ? strerror(-got) : "success",
			       strerror(-want));
	else if (logged != iova)
		ksft_print_msg("%s: the log has %#lx and not %#lx\n", what,
			       logged, iova);
	ksft_test_result(got == want && logged == iova, "%s\n", what);
}

static int preserve(int session, int fd, int token)
{
	return luo_session_preserve_fd(session, fd, token);
}

static void preserve_refuser(int session)
{
	int fd = lu_refuser();

	must(preserve(session, fd, TOKEN_REFUSER), "preserve the refuser");
	close(fd);
}

static void set_up(void)
{
	lu_pci_find(LU_IGB_VENDOR, LU_IGB_DEVICE, bdf);
	lu_pci_bind_vfio(bdf);
	lu_vfio_open(&device, bdf);
	lu_vfio_attach(&device);
	huge_fd = lu_memory_create("huge", HUGE_SIZE, true);
	small_fd = create_small();
}

/* --- refusals before the update ------------------------------------------- */

#define NOT_PRESERVED	(-EOPNOTSUPP)
#define REFUSER		(-EIO)	/* reached, so that nothing else has refused */

static void unpreserved_memory(void)
{
	int session = lu_new_session(luo, "unpreserved");

	must(preserve(session, device.fd, TOKEN_DEVICE), "preserve the device");
	preserve_refuser(session);
	names(lu_try_kexec(), NOT_PRESERVED, HUGE_IOVA,
	      "a device is not preserved without its memory");
	must(preserve(session, huge_fd, TOKEN_HUGE), "preserve");
	names(lu_try_kexec(), NOT_PRESERVED, SMALL_IOVA,
	      "nor without some of it");
	must(preserve(session, small_fd, TOKEN_SMALL), "preserve");
	lu_result_is(lu_try_kexec(), REFUSER,
		     "it is with all of it, preserved after the device");
	close(session);
}

static void other_session(void)
{
	int session = lu_new_session(luo, "device");
	int memory = lu_new_session(luo, "memory");

	must(preserve(memory, huge_fd, TOKEN_HUGE), "preserve");
	must(preserve(memory, small_fd, TOKEN_SMALL), "preserve");
	must(preserve(session, device.fd, TOKEN_DEVICE), "preserve the device");
	preserve_refuser(session);
	lu_result_is(lu_try_kexec(), REFUSER,
		     "the memory may be in another session");
	close(memory);
	names(lu_try_kexec(), NOT_PRESERVED, HUGE_IOVA,
	      "but that must not end before");
	close(session);
}

/* The page that was mapped is no longer in the file. */
static void punched_page(void)
{
	int session = lu_new_session(luo, "hole");
	int page = getpagesize();

	if (fallocate(small_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      3 * page, page))
		lu_die_errno("cannot punch a hole");
	must(preserve(session, huge_fd, TOKEN_HUGE), "preserve");
	must(preserve(session, small_fd, TOKEN_SMALL), "preserve");
	must(preserve(session, device.fd, TOKEN_DEVICE), "preserve the device");
	preserve_refuser(session);
	names(lu_try_kexec(), NOT_PRESERVED, SMALL_IOVA + 3 * page,
	      "a page that was punched out of its memfd is noticed");
	close(session);
	must(unmap(SMALL_IOVA, small_size()), "unmap");
	map_small();
}

/*
 * Half of a folio that is no longer in its file, spliced into a mapping of the one
 * that took its place: what a folio begins with says nothing of the rest.
 */
static void spliced_folio(void)
{
	uint64_t half = SPLICED_SIZE / 2, other = SPLICED_IOVA + SPLICED_SIZE;
	int session = lu_new_session(luo, "spliced"), fd;
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | READ_WRITE,
		.dst_ioas_id = device.ioas,
	};
	uint32_t ioas = device.ioas;

	fd = memfd_create("spliced", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, SPLICED_SIZE))
		lu_die_errno("cannot create a memfd");
	lu_memory_make_huge(fd, SPLICED_SIZE);
	if (ioctl(device.iommufd, IOMMU_IOAS_ALLOC, &alloc))
		lu_die_errno("IOMMU_IOAS_ALLOC");
	device.ioas = alloc.out_ioas_id;
	must(map_file(fd, 0, SPLICED_SIZE, SPLICED_IOVA, READ_WRITE), "map");
	device.ioas = ioas;

	copy.src_ioas_id = alloc.out_ioas_id;
	copy.src_iova = SPLICED_IOVA + half;
	copy.length = half;
	copy.dst_iova = other;
	if (ioctl(device.iommufd, IOMMU_IOAS_COPY, &copy))
		lu_die_errno("IOMMU_IOAS_COPY");
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		      SPLICED_SIZE))
		lu_die_errno("cannot punch a hole");
	lu_memory_make_huge(fd, SPLICED_SIZE);
	copy.src_iova = SPLICED_IOVA;
	copy.length = SPLICED_SIZE;
	copy.dst_iova = SPLICED_IOVA;
	if (ioctl(device.iommufd, IOMMU_IOAS_COPY, &copy))
		lu_die_errno("IOMMU_IOAS_COPY");
	must(unmap(other, half), "unmap");

	must(preserve(session, huge_fd, TOKEN_HUGE), "preserve");
	must(preserve(session, small_fd, TOKEN_SMALL), "preserve");
	must(preserve(session, fd, TOKEN_SPLICED), "preserve");
	must(preserve(session, device.fd, TOKEN_DEVICE), "preserve the device");
	preserve_refuser(session);
	names(lu_try_kexec(), NOT_PRESERVED, SPLICED_IOVA + half,
	      "half of a folio that was punched out of its memfd is noticed");
	close(session);
	must(unmap(SPLICED_IOVA, SPLICED_SIZE), "unmap");
	close(fd);
}

static void *map_user(void)
{
	size_t size = small_size();
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | READ_WRITE,
		.ioas_id = device.ioas,
		.length = size,
		.iova = USER_IOVA,
	};
	void *user = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (user == MAP_FAILED)
		lu_die_errno("mmap");
	map.user_va = (uintptr_t)user;
	if (ioctl(device.iommufd, IOMMU_IOAS_MAP, &map))
		lu_die_errno("IOMMU_IOAS_MAP");
	return user;
}

static int attach(void)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = device.ioas,
	};

	return ioctl(device.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach) ?
	       -errno : 0;
}

static int detach(void)
{
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = sizeof(detach),
	};

	return ioctl(device.fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach) ?
	       -errno : 0;
}

static void unchanged_while_preserved(void)
{
	int session = lu_new_session(luo, "unchanged");
	size_t size = small_size();
	void *user = map_user();

	must(preserve(session, huge_fd, TOKEN_HUGE), "preserve");
	must(preserve(session, small_fd, TOKEN_SMALL), "preserve");
	must(preserve(session, device.fd, TOKEN_DEVICE), "preserve the device");
	preserve_refuser(session);
	names(lu_try_kexec(), NOT_PRESERVED, USER_IOVA,
	      "memory that is no file is named, too");
	lu_result_is(unmap(USER_IOVA, size), -EBUSY,
		     "nothing is unmapped while the device is preserved");
	lu_result_is(map_file(small_fd, 0, size, USER_IOVA + size, READ_WRITE),
		     -EBUSY, "nor mapped");
	lu_result_is(attach(), -EBUSY, "it cannot be attached elsewhere");
	lu_result_is(detach(), -EBUSY, "nor detached");
	close(session);
	lu_result_is(unmap(USER_IOVA, size), 0, "afterwards it is");
	munmap(user, size);
	lu_result_is(detach() ?: attach(), 0, "and can be attached again");
}

/* Behind an IOMMU it would have no table to go on with. */
static void unattached(void)
{
	int session = lu_new_session(luo, "unattached");

	must(detach(), "detach");
	lu_result_is(preserve(session, device.fd, TOKEN_DEVICE),
		     lu_vfio_is_translated(&device) ? -ENXIO : 0,
		     "a device behind an IOMMU must be attached");
	close(session);
	must(attach(), "attach");
}

static void *try_kexec(void *err)
{
	*(int *)err = lu_try_kexec();
	return NULL;
}

static void tell(int fd, const char *what)
{
	if (write(fd, what, strlen(what)) < 0)
		lu_die_errno("'%s' is not understood", what);
}

/* A file that does not refuse, but whose freeze waits until it is told "go". */
static int preserve_holder(int session)
{
	int fd = lu_refuser();

	tell(fd, "name holder");
	tell(fd, "fail freeze 0");
	tell(fd, "hold");
	must(preserve(session, fd, TOKEN_HOLDER), "preserve the holder");
	return fd;
}

static void await_hold(int fd)
{
	char log[16384];
	ssize_t len;

	do {
		usleep(1000);
		len = pread(fd, log, sizeof(log) - 1, 0);
		if (len < 0)
			lu_die_errno("cannot read the log");
		log[len] = '\0';
	} while (!strstr(log, "hold holder"));
}

static void create_thread(pthread_t *thread, void *(*run)(void *), void *arg)
{
	if (pthread_create(thread, NULL, run, arg))
		lu_die("cannot create a thread");
}

/*
 * A reset that begins after the update has waited for the locks of all devices,
 * and before the device is frozen.
 */
static void during_reset(void)
{
	int session = lu_new_session(luo, "reset"), err, reset_err;
	int holder = preserve_holder(session);
	pthread_t update;

	must(preserve(session, huge_fd, TOKEN_HUGE), "preserve");
	must(preserve(session, small_fd, TOKEN_SMALL), "preserve");
	must(preserve(session, device.fd, TOKEN_DEVICE), "preserve the device");
	preserve_refuser(session);
	create_thread(&update, try_kexec, &err);
	await_hold(holder);
	reset_err = ioctl(device.fd, VFIO_DEVICE_RESET) ? -errno : 0;
	tell(holder, "go");
	pthread_join(update, NULL);
	lu_result_is(reset_err, -EBUSY, "a reset is refused when an update has begun");
	lu_result_is(err, REFUSER, "which goes on");
	lu_result_is(lu_try_kexec(), REFUSER, "it can be tried again");
	close(session);
	close(holder);
}

static void refuse(void)
{
	ksft_set_plan(18);
	set_up();
	unattached();
	map_huge();
	map_small();
	unpreserved_memory();
	other_session();
	punched_page();
	spliced_folio();
	unchanged_while_preserved();
	during_reset();
	ksft_finished();
}

/* --- an update ------------------------------------------------------------ */

static void stay(void)
{
	ksft_print_cnts();
	lu_stay_behind(ksft_get_fail_cnt() ? KSFT_FAIL : KSFT_PASS);
}

static void before(void)
{
	int session;

	ksft_set_plan(1);
	set_up();
	map_huge();
	map_small();
	session = lu_new_session(luo, SESSION);
	must(preserve(session, device.fd, TOKEN_DEVICE), "preserve the device");
	must(preserve(session, small_fd, TOKEN_SMALL), "preserve");
	lu_result_is(preserve(session, huge_fd, TOKEN_HUGE), 0,
		     "a device is preserved, then its memory");
	stay();
}

/* Maps it in two halves, the first one last. */
static void map_swapped(void)
{
	size_t half = small_size() / 2;

	must(map_file(small_fd, half, half, SMALL_IOVA, READ_WRITE), "map");
	must(map_file(small_fd, 0, half, SMALL_IOVA + half, READ_WRITE), "map");
}

/* Without an IOMMU finish checks what is mapped. */
static void after_untranslated(int session)
{
	size_t size = small_size();
	int other = create_small();

	ksft_set_plan(7);
	lu_vfio_attach(&device);
	names(luo_session_finish(session), -EBUSY, HUGE_IOVA,
	      "without memory it is not finished");
	map_huge();
	names(luo_session_finish(session), -EBUSY, SMALL_IOVA,
	      "nor with some of it");
	must(map_file(other, 0, size, SMALL_IOVA, READ_WRITE), "map");
	names(luo_session_finish(session), -EBUSY, SMALL_IOVA,
	      "nor with other memory");
	must(unmap(SMALL_IOVA, size), "unmap");
	map_swapped();
	names(luo_session_finish(session), -EBUSY, SMALL_IOVA,
	      "nor in another order");
	must(unmap(SMALL_IOVA, size), "unmap");
	must(map_file(small_fd, 0, size, SMALL_IOVA, IOMMU_IOAS_MAP_READABLE),
	     "map");
	names(luo_session_finish(session), -EBUSY, SMALL_IOVA,
	      "nor with less access");
	must(unmap(SMALL_IOVA, size), "unmap");
	must(map_file(small_fd, 0, size / 2, SMALL_IOVA, READ_WRITE), "map");
	names(luo_session_finish(session), -EBUSY, SMALL_IOVA + size / 2,
	      "nor with the last part missing");
	must(map_file(small_fd, size / 2, size / 2, SMALL_IOVA + size / 2,
		      READ_WRITE), "map");
	lu_result_is(luo_session_finish(session), 0,
		     "it is with the same memory, mapped in other pieces");
	ksft_finished();
}

/*
 * Behind an IOMMU the device translates through the table of the previous kernel
 * until it is attached, and attaching it checks what is mapped.
 */
static void after_translated(int session)
{
	size_t size = small_size();
	int other = create_small();

	ksft_set_plan(17);
	lu_vfio_ioas(&device);
	lu_result_is(ioctl(device.fd, VFIO_DEVICE_RESET) ? -errno : 0, 0,
		     "a device that is not attached can be reset");
	lu_result_is(luo_session_finish(session), -EBUSY,
		     "it is not finished before the device is attached");
	lu_result_is(detach(), 0, "there is nothing to detach");
	names(attach(), -ENXIO, HUGE_IOVA,
	      "it is not attached without memory");
	map_huge();
	names(attach(), -ENXIO, SMALL_IOVA, "nor with some of it");
	must(map_file(other, 0, size, SMALL_IOVA, READ_WRITE), "map");
	names(attach(), -ENXIO, SMALL_IOVA, "nor with other memory");
	must(unmap(SMALL_IOVA, size), "unmap");
	map_swapped();
	names(attach(), -ENXIO, SMALL_IOVA, "nor in another order");
	must(unmap(SMALL_IOVA, size), "unmap");
	must(map_file(small_fd, 0, size, SMALL_IOVA, IOMMU_IOAS_MAP_READABLE),
	     "map");
	names(attach(), -ENXIO, SMALL_IOVA, "nor with less access");
	must(unmap(SMALL_IOVA, size), "unmap");
	must(map_file(small_fd, 0, size / 2, SMALL_IOVA, READ_WRITE), "map");
	names(attach(), -ENXIO, SMALL_IOVA + size / 2,
	      "nor with the last part missing");
	lu_result_is(luo_session_finish(session), -EBUSY,
		     "it is still not finished");
	must(map_file(small_fd, size / 2, size / 2, SMALL_IOVA + size / 2,
		      READ_WRITE), "map");
	lu_result_is(attach(), 0,
		     "it is attached with the same memory, mapped in other pieces");
	lu_result_is(detach(), 0, "it can be detached");
	lu_result_is(luo_session_finish(session), -EBUSY,
		     "then it is not finished");
	lu_result_is(attach(), 0, "and attached again");
	lu_result_is(unmap(SMALL_IOVA, size / 2), 0,
		     "from then on its memory can be unmapped");
	lu_result_is(luo_session_finish(session), 0, "it is finished");
	lu_result_is(detach() ?: attach(), 0,
		     "and can be attached without that memory");
	ksft_finished();
}

static void after(void)
{
	int session = lu_old_session(luo, SESSION);

	lu_pci_find(LU_IGB_VENDOR, LU_IGB_DEVICE, bdf);
	huge_fd = lu_retrieve(session, TOKEN_HUGE);
	small_fd = lu_retrieve(session, TOKEN_SMALL);
	lu_vfio_take_over(&device, bdf, lu_retrieve(session, TOKEN_DEVICE));
	if (lu_vfio_is_translated(&device))
		after_translated(session);
	else
		after_untranslated(session);
}

/* --- writes to free memory ------------------------------------------------- */

#define PATTERN		0xabcdef0123456789ull
#define BLOCK		(4ul << 20)
/* For this kernel. */
#define SPARE		(48ul << 20)

static void hog(unsigned int seconds)
{
	unsigned long free, blocks, words = BLOCK / sizeof(uint64_t), i, w;
	unsigned long overwritten = 0;
	struct sysinfo info;
	uint64_t *memory;

	ksft_set_plan(1);
	if (sysinfo(&info))
		lu_die_errno("sysinfo");
	free = info.freeram * info.mem_unit;
	if (free <= SPARE)
		lu_die("there is no free memory");
	blocks = (free - SPARE) / BLOCK;
	memory = mmap(NULL, blocks * BLOCK, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		lu_die_errno("mmap");
	madvise(memory, blocks * BLOCK, MADV_HUGEPAGE);
	for (w = 0; w < blocks * words; w++)
		memory[w] = PATTERN;
	sleep(seconds);
	for (i = 0; i < blocks * BLOCK; i += 2048)
		for (w = 0; w < 2048 / sizeof(uint64_t); w++)
			if (memory[i / sizeof(uint64_t) + w] != PATTERN) {
				overwritten++;
				break;
			}
	ksft_print_msg("%lu MiB were held, %lu buffers of them overwritten\n",
		       blocks * BLOCK >> 20, overwritten);
	ksft_test_result(!overwritten, "free memory is not written to\n");
	ksft_finished();
}

int main(int argc, char *argv[])
{
	const char *what = argc > 1 ? argv[1] : "";

	ksft_print_header();
	if (!strcmp(what, "hog"))
		hog(argc > 2 ? atoi(argv[2]) : 3);
	luo = luo_open_device();
	if (luo < 0)
		lu_die_errno("cannot open " LUO_DEVICE);
	if (!strcmp(what, "refuse"))
		refuse();
	else if (!strcmp(what, "preserve"))
		before();
	else if (!strcmp(what, "finish"))
		after();
	else
		lu_die("'%s' is none of what lu_coverage.c begins with", what);
}
