// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replace the page table of a device again and again while it receives: no frame
 * may be lost, and nothing may be written to memory that only the old table
 * maps. No live update is involved.
 *
 *	lu_replace [-n COUNT] [--inside PERCENT] [--huge] [--fail] BDF
 *
 * The VM's memory of lu_guest.h exists twice, both halves with the same receive
 * ring. Where a frame lands tells which table the device used. Frames must be
 * sent from outside, numbered without a gap.
 */
#include <errno.h>
#include <getopt.h>
#include <linux/iommufd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lu_access.h"
#include "lu_channel.h"
#include "lu_die.h"
#include "lu_fail.h"
#include "lu_igb.h"
#include "lu_memory.h"
#include "lu_pci.h"
#include "lu_vfio.h"
#include "lu_vm.h"

#define LINK_PATIENCE_MS	5000
#define FRAME_PATIENCE_MS	5000
#define SYNC_PATIENCE_MS	30000

/* Both halves, from the first one's buffers to the end of the second one's. */
#define ALL_SLOTS		(LU_RAM_SIZE / LU_SLOT_SIZE + LU_SLOTS)

/* What is written to buffers that the device may not use. */
#define MARKED_SLOTS		64u
#define MARK			0xa5

int lu_channel_fd = -1;

static struct lu_vfio device;
static char *half[2];
static int ram_fd;

/* --- tables --------------------------------------------------------------- */

struct table {
	int half;
	uint32_t ioas;
	uint32_t hwpt;		/* 0: the kernel manages it */
};

static void iommufd_must(unsigned long request, void *args, const char *what)
{
	if (ioctl(device.iommufd, request, args))
		lu_die_errno("%s", what);
}

static void map_half(struct table *t)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = t->ioas,
		.fd = ram_fd,
		.start = t->half * LU_RAM_SIZE,
		.length = LU_RAM_SIZE,
		.iova = LU_RAM_BASE,
	};

	iommufd_must(IOMMU_IOAS_MAP_FILE, &map, "IOMMU_IOAS_MAP_FILE");
}

static void destroy(uint32_t id)
{
	struct iommu_destroy destroy = { .size = sizeof(destroy), .id = id };

	iommufd_must(IOMMU_DESTROY, &destroy, "IOMMU_DESTROY");
}

/* All of it: its own I/O address space, and a table unless @managed. */
static struct table create_table(int half_nr, bool managed)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.dev_id = device.id,
	};
	struct table t = { .half = half_nr };

	iommufd_must(IOMMU_IOAS_ALLOC, &ioas, "IOMMU_IOAS_ALLOC");
	t.ioas = ioas.out_ioas_id;
	map_half(&t);
	if (managed)
		return t;
	hwpt.pt_id = t.ioas;
	iommufd_must(IOMMU_HWPT_ALLOC, &hwpt, "IOMMU_HWPT_ALLOC");
	t.hwpt = hwpt.out_hwpt_id;
	return t;
}

static void destroy_table(struct table *t)
{
	if (t->hwpt)
		destroy(t->hwpt);
	destroy(t->ioas);
}

static int try_attach(const struct table *t)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = t->hwpt ? t->hwpt : t->ioas,
	};

	return ioctl(device.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach) ?
	       -errno : 0;
}

static void attach(const struct table *t)
{
	int err = try_attach(t);

	if (err)
		lu_die("VFIO_DEVICE_ATTACH_IOMMUFD_PT: %s", strerror(-err));
}

/* --- frames --------------------------------------------------------------- */

static struct {
	uint32_t next;		/* slot that is looked at next */
	uint32_t last_seq;
	uint32_t seen;
	uint32_t lost;
	uint32_t astray;	/* landed in the half that is not in use */
	int allowed;		/* half, -1: either */
} frames;

static void take_frame(uint32_t slot)
{
	const struct lu_frame *f;
	int found = -1, i;

	for (i = 0; i < 2; i++) {
		f = lu_vm_buffer(half[i], slot);
		if (lu_frame_check(f, sizeof(*f), frames.last_seq) ==
		    LU_FRAME_GOOD)
			found = i;
	}
	if (found < 0)
		return;		/* its number is missing */
	f = lu_vm_buffer(half[found], slot);
	frames.lost += f->seq - frames.last_seq - 1;
	frames.last_seq = f->seq;
	frames.seen++;
	frames.astray += frames.allowed >= 0 && frames.allowed != found;
}

/* Looks at all that has landed and gives the slots back; returns how many. */
static uint32_t take_frames(void)
{
	uint32_t head = lu_read_reg(device.bar0, LU_IGB_RDH(0)), n = 0;
	struct lu_rx_desc *desc;
	uint32_t buffer;
	int i;

	for (; frames.next != head; n++) {
		lu_barrier();
		take_frame(frames.next);
		buffer = LU_BUFFERS_OFFSET + frames.next * LU_SLOT_SIZE;
		for (i = 0; i < 2; i++) {
			desc = &lu_vm_ring(half[i])[frames.next];
			desc->read.header = 0;
			desc->read.addr = lu_dma_address(half[i], buffer);
		}
		frames.next = (frames.next + 1) % LU_SLOTS;
	}
	lu_barrier();
	if (n)
		lu_write_reg(device.bar0, LU_IGB_RDT(0),
			     (frames.next + LU_SLOTS - 1) % LU_SLOTS);
	return n;
}

/* False when no more frames come. */
static bool await_frames(uint32_t want)
{
	long long deadline = lu_channel_now_ms() + FRAME_PATIENCE_MS;
	uint32_t got = 0;

	while (got < want && lu_channel_now_ms() < deadline) {
		got += take_frames();
		usleep(500);
	}
	return got >= want;
}

/* --- the buffers that would be next --------------------------------------- */

static char *next_buffer(int nr, uint32_t i)
{
	return (char *)lu_vm_buffer(half[nr], (frames.next + i) % LU_SLOTS);
}

static void mark(int nr)
{
	uint32_t i;

	for (i = 0; i < MARKED_SLOTS; i++)
		memset(next_buffer(nr, i), MARK, LU_SLOT_SIZE);
}

/* From @first, which was next when the marks were set. */
static uint32_t damaged(int nr, uint32_t first)
{
	uint32_t i, j, n = 0;

	for (i = 0; i < MARKED_SLOTS; i++) {
		const char *b = (void *)lu_vm_buffer(half[nr], (first + i) % LU_SLOTS);

		for (j = 0; j < LU_SLOT_SIZE && b[j] == (char)MARK; j++)
			;
		n += j < LU_SLOT_SIZE;
	}
	return n;
}

/* --- the test ------------------------------------------------------------- */

static void tell_piece(uint64_t offset, uint64_t phys, uint64_t len)
{
	lu_channel_tell("memory %#llx %#llx %#llx", (unsigned long long)offset,
			(unsigned long long)phys, (unsigned long long)len);
}

static void sync_observer(const char *word)
{
	if (lu_channel_sync(word, SYNC_PATIENCE_MS))
		lu_die_errno("the observer did not answer 'sync %s'", word);
}

static void introduce_to_observer(const char *bdf)
{
	lu_channel_tell("watch %s device", bdf);
	lu_memory_pieces(half[0], 2 * LU_RAM_SIZE, tell_piece);
	lu_channel_tell("memory end");
	lu_channel_tell("ring %u %u %#x", ALL_SLOTS, LU_SLOT_SIZE,
			LU_BUFFERS_OFFSET);
	lu_channel_tell("canary %#x %#x", LU_RAM_BASE, LU_RAM_SIZE);
	sync_observer("introduced");
	lu_channel_tell("frames start");
}

static bool start_device(const char *bdf, const struct table *t)
{
	attach(t);
	lu_vfio_place_bar0(&device, LU_BAR_BASE);
	lu_vfio_set_command(&device, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	/* That a fault is seen must be seen. */
	lu_igb_fetch(device.bar0, LU_RAM_BASE - LU_PAGE_SIZE);
	return lu_igb_start_receive(device.bar0, LU_RAM_BASE + LU_RING_OFFSET, 1,
				    LINK_PATIENCE_MS);
}

/*
 * Attaches the device to @new and destroys @old, whose pages are free then.
 * Returns how many frames landed during the replace.
 */
static uint32_t replace(struct table *old, struct table new)
{
	uint32_t landed;

	take_frames();
	frames.allowed = -1;
	attach(&new);
	landed = take_frames();
	frames.allowed = new.half;
	destroy_table(old);
	*old = new;
	return landed;
}

/* Returns in how many of the replaces a frame landed. */
static int replace_same(struct table *t, int count)
{
	int i, inside = 0;

	for (i = 0; i < count; i++) {
		inside += replace(t, create_table(t->half, i % 4 == 3)) > 0;
		take_frames();
	}
	return inside;
}

/* Returns how many buffers were written to that must not be. */
static uint32_t replace_other(struct table *t, int count)
{
	uint32_t first, bad = 0;
	int i, old;

	for (i = 0; i < count; i++) {
		old = t->half;
		replace(t, create_table(!old, i % 4 == 3));
		take_frames();
		first = frames.next;
		mark(old);
		await_frames(2);
		bad += damaged(old, first);
	}
	return bad;
}

/*
 * Lets one allocation after the other fail, until there are no more. Returns how
 * many replaces have failed for want of memory.
 */
static int replace_failing(struct table *t)
{
	int fail = lu_fail_open(), failed = 0, nth, err;
	struct table new;
	bool left = false;

	for (nth = 1; !left; nth++) {
		new = create_table(!t->half, false);
		take_frames();
		frames.allowed = -1;
		lu_fail_nth(fail, nth);
		err = try_attach(&new);
		left = lu_fail_left(fail);
		lu_fail_nth(fail, 0);
		take_frames();
		/* Other errors are iommufd's own. */
		failed += err == -ENOMEM;
		if (err) {
			destroy_table(&new);
		} else {
			destroy_table(t);
			*t = new;
		}
		frames.allowed = t->half;
		await_frames(2);
	}
	close(fail);
	return failed;
}

static bool none_lost(const char *when)
{
	bool good = !frames.lost && frames.seen;

	ksft_print_msg("%s: %u frames, %u lost, %u in the wrong memory\n", when,
		       frames.seen, frames.lost, frames.astray);
	frames.seen = 0;
	frames.lost = 0;
	return good;
}

static void explain(void)
{
	lu_die("usage: lu_replace [-n COUNT] [--inside PERCENT] [--huge] [--fail] BDF");
}

int main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "inside", required_argument, NULL, 'i' },
		{ "huge", no_argument, NULL, 'h' },
		{ "fail", no_argument, NULL, 'f' },
		{ }
	};
	int count = 1000, want_inside = 0, inside, failed, c;
	bool huge = false, fail = false;
	struct table t;
	uint32_t bad;

	ksft_print_header();
	while ((c = getopt_long(argc, argv, "n:", options, NULL)) != -1) {
		if (c == 'n')
			count = atoi(optarg);
		else if (c == 'i')
			want_inside = atoi(optarg);
		else if (c == 'h')
			huge = true;
		else if (c == 'f')
			fail = true;
		else
			explain();
	}
	if (optind != argc - 1)
		explain();
	if (lu_channel_open())
		lu_die_errno("cannot open the channel");
	ksft_set_plan(4 + !!want_inside + 2 * fail);

	lu_pci_require(argv[optind], LU_IGB_VENDOR, LU_IGB_DEVICE);
	ram_fd = lu_memory_create("lu-replace", 2 * LU_RAM_SIZE, huge);
	half[0] = lu_memory_map(ram_fd, 2 * LU_RAM_SIZE);
	half[1] = half[0] + LU_RAM_SIZE;
	lu_vm_prepare_translated(half[0]);
	lu_vm_prepare_translated(half[1]);
	lu_pci_bind_vfio(argv[optind]);
	lu_vfio_open(&device, argv[optind]);
	lu_vfio_map_bar0(&device, LU_BAR_SIZE);
	t = create_table(0, false);
	ksft_test_result(start_device(argv[optind], &t),
			 "%s receives and its link is up\n", argv[optind]);
	introduce_to_observer(argv[optind]);
	if (!await_frames(20))
		lu_die("no frames come");
	frames.allowed = 0;

	inside = replace_same(&t, count);
	await_frames(2);
	ksft_test_result(none_lost("same memory"),
			 "no frame was lost: replaced by a table of the same memory\n");
	if (want_inside) {
		ksft_print_msg("frames landed during %d of %d replaces\n", inside,
			       count);
		ksft_test_result(inside * 100 >= count * want_inside,
				 "frames landed during the replaces\n");
	}
	bad = replace_other(&t, count / 10);
	ksft_test_result(none_lost("other memory"),
			 "no frame was lost: replaced by a table of other memory\n");
	ksft_print_msg("%u buffers were written to\n", bad);
	ksft_test_result(!bad && !frames.astray,
			 "nothing is written to memory of the old table\n");
	if (fail) {
		frames.astray = 0;
		failed = replace_failing(&t);
		ksft_print_msg("%d replaces have failed for want of memory\n", failed);
		ksft_test_result(none_lost("without memory"),
				 "no frame was lost: replaces that fail\n");
		ksft_test_result(failed && !frames.astray,
				 "a replace that fails changes nothing\n");
	}
	lu_channel_tell("frames stop");
	sync_observer("stopped");
	ksft_finished();
}
