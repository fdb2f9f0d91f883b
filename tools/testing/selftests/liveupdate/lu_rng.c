// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtio-rng device that writes before, during and after a live update, to any
 * address.
 *
 *	lu_rng preserve [OPTION] BDF	start the device, preserve it
 *	lu_rng finish [OPTION] BDF	take it over in the next kernel
 *	lu_rng reset [OPTION] BDF	the same, and reset it before it is attached
 *
 *	--at ADDRESS	it writes to this I/O address that is not mapped, not to memory
 *	--irq masked	it interrupts for each buffer; that is masked for the kexec
 *	--irq off	the same; that is disabled for the kexec
 *	--irq intx	the same with INTx, masked for the kexec
 *
 * Each buffer has 4 bytes, and is posted again after it was used. So all are available
 * at the kexec, and those that are used after it are used without an owner. With
 * max-bytes=4,period=MS QEMU uses one every MS milliseconds.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <libliveupdate.h>

#include "lu_access.h"
#include "lu_channel.h"
#include "lu_die.h"
#include "lu_memory.h"
#include "lu_pci.h"
#include "lu_update.h"
#include "lu_vfio.h"
#include "lu_virtio.h"

#define SESSION		"rng"
#define TOKEN_MEMORY	1
#define TOKEN_DEVICE	2
#define IOVA		0x40000000ull
#define PATTERN		0x5a5a5a5au
#define BUFFERS		LU_VIRTQUEUE_SIZE
#define POLL_US		10000
#define PATIENCE_S	30
/* Of a signal that is due at once, and of one that must not come. */
#define SIGNAL_MS	5000
#define QUIET_MS	1500

/* What the device and both kernels share. */
struct memory {
	struct lu_virtqueue queue;
	uint32_t buffer[BUFFERS];
};

int lu_channel_fd = -1;

static struct lu_virtio device;
static struct memory *memory;
static size_t memory_size;
static int memory_fd;
/* Of all buffers, or 0: each has its own address in memory. */
static uint64_t at;

static enum { POLLED, MASKED, DISABLED, INTX } interrupts;
/* Of the queue's interrupt. */
static int event;

/* --- the queue --------------------------------------------------------------- */

static uint16_t used_index(void)
{
	return lu_load(&memory->queue.used.idx);
}

static uint16_t available_index(void)
{
	return lu_load(&memory->queue.avail.idx);
}

static uint64_t buffer_address(int i)
{
	return at ? at : IOVA + offsetof(struct memory, buffer[i]);
}

/* Buffer i has descriptor i and is always in slot i of the ring. */
static void prepare_queue(void)
{
	struct lu_virtqueue *queue = &memory->queue;
	int i;

	for (i = 0; i < BUFFERS; i++) {
		queue->desc[i].addr = buffer_address(i);
		queue->desc[i].len = sizeof(memory->buffer[i]);
		queue->desc[i].flags = VRING_DESC_F_WRITE;
		queue->avail.ring[i] = i;
	}
	queue->avail.flags = interrupts == POLLED ? VRING_AVAIL_F_NO_INTERRUPT : 0;
}

/* Post every buffer that is not available. */
static void post_used(void)
{
	uint16_t used = used_index(), next = available_index();

	if ((uint16_t)(next - used) == BUFFERS)
		return;
	while ((uint16_t)(next - used) < BUFFERS) {
		lu_store(&memory->buffer[next % BUFFERS], PATTERN);
		lu_barrier();
		lu_store(&memory->queue.avail.idx, ++next);
	}
	lu_virtio_notify(&device);
}

/* Returns whether the used index reaches @index. */
static bool reaches(uint16_t index)
{
	unsigned int tries = PATIENCE_S * 1000000 / POLL_US;

	while ((int16_t)(used_index() - index) < 0 && --tries) {
		post_used();
		usleep(POLL_US);
	}
	return tries;
}

/* --- its interrupt ------------------------------------------------------------ */

static uint32_t irq_index(void)
{
	return interrupts == INTX ? VFIO_PCI_INTX_IRQ_INDEX :
				    VFIO_PCI_MSIX_IRQ_INDEX;
}

static void arm(void)
{
	int err;

	event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (event < 0)
		lu_die_errno("cannot create an eventfd");
	err = lu_vfio_set_irqs(&device.vfio, irq_index(),
			       VFIO_IRQ_SET_DATA_EVENTFD, event);
	if (err)
		lu_die("interrupts cannot be enabled: %s", strerror(-err));
}

/* How often the eventfd was signaled; waits for that so many milliseconds. */
static uint64_t signals(int wait_ms)
{
	struct pollfd p = { .fd = event, .events = POLLIN };
	uint64_t n;

	if (poll(&p, 1, wait_ms) < 0)
		lu_die_errno("poll");
	return read(event, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void mask(bool on)
{
	int err = lu_vfio_mask_irq(&device.vfio, irq_index(), on);

	if (err)
		lu_die("interrupts cannot be %s: %s", on ? "masked" : "unmasked",
		       strerror(-err));
}

/* Four test results. On return nothing of what was sent is left to be read. */
static void mask_and_drain(void)
{
	ksft_test_result(lu_vfio_irq_is_maskable(&device.vfio, irq_index()),
			 "MSI-X can be masked\n");
	mask(true);
	signals(0);
	ksft_test_result(reaches(used_index() + 1) && !signals(QUIET_MS),
			 "while it is masked it does not signal\n");
	mask(false);
	ksft_test_result(signals(PATIENCE_S * 1000) == 1,
			 "unmasked, it signals once what was pending\n");
	mask(true);
	signals(0);
	ksft_test_result(!signals(QUIET_MS), "masked again, it does not\n");
}

/* One test result. The line stays asserted, as the device is not acknowledged. */
static void mask_line(void)
{
	mask(true);
	signals(0);
	ksft_test_result(reaches(used_index() + 1) && !signals(QUIET_MS),
			 "while INTx is masked it does not signal\n");
}

/* --- the old kernel ---------------------------------------------------------- */

static void give_memory_to_device(void)
{
	lu_vfio_map_memory(&device.vfio, memory_fd, memory_size, IOVA);
	lu_vfio_attach(&device.vfio);
}

static void start(const char *bdf)
{
	memory_fd = lu_memory_create("lu-rng", memory_size, false);
	memory = lu_memory_map(memory_fd, memory_size);
	prepare_queue();
	lu_pci_bind_vfio(bdf);
	lu_vfio_open(&device.vfio, bdf);
	give_memory_to_device();
	lu_vfio_set_command(&device.vfio, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	lu_virtio_map(&device);
	if (interrupts)
		arm();
	lu_virtio_start(&device, IOVA, interrupts == MASKED || interrupts == DISABLED ?
			0 : VIRTIO_MSI_NO_VECTOR);
}

/* Keep all files open, and all buffers available. */
static void __noreturn stay(void)
{
	ksft_print_cnts();
	fflush(stdout);
	if (fork())
		_exit(ksft_get_fail_cnt() ? KSFT_FAIL : KSFT_PASS);
	setsid();
	for (;;) {
		post_used();
		usleep(POLL_US);
	}
}

static void preserve(int luo, const char *bdf)
{
	int session, err;

	ksft_set_plan(2 + !!interrupts + 4 * (interrupts == MASKED) +
		      (interrupts == INTX));
	start(bdf);
	ksft_test_result(reaches(2), "the device uses buffers\n");
	if (interrupts)
		ksft_test_result(signals(PATIENCE_S * 1000), "it signals that\n");
	session = lu_new_session(luo, SESSION);
	err = luo_session_preserve_fd(session, memory_fd, TOKEN_MEMORY);
	if (!err)
		err = luo_session_preserve_fd(session, device.vfio.fd, TOKEN_DEVICE);
	lu_result_is(err, 0, "the device and its memory are preserved");
	if (interrupts == MASKED)
		mask_and_drain();
	if (interrupts == INTX)
		mask_line();
	if (interrupts == DISABLED &&
	    lu_vfio_set_irqs(&device.vfio, VFIO_PCI_MSIX_IRQ_INDEX,
			     VFIO_IRQ_SET_DATA_NONE, -1))
		lu_die("MSI-X cannot be disabled");
	close(luo);
	stay();
}

/* --- the new kernel ---------------------------------------------------------- */

/* Two test results, and one more for buffers in memory. */
static void report_used(void)
{
	uint16_t used = used_index(), first = available_index() - BUFFERS, i;
	bool in_order = true, written = true;
	struct vring_used_elem *elem;

	for (i = first; i != used; i++) {
		elem = &memory->queue.used.ring[i % BUFFERS];
		in_order &= elem->id == i % BUFFERS &&
			    elem->len == sizeof(*memory->buffer);
		written &= memory->buffer[i % BUFFERS] != PATTERN;
	}
	ksft_print_msg("%u buffers were used before the kexec, %u since\n", first,
		       (uint16_t)(used - first));
	ksft_test_result(used != first, "the device used buffers without an owner\n");
	ksft_test_result(in_order, "it used each of them once, in their order\n");
	if (!at)
		ksft_test_result(written, "it wrote to each of them\n");
}

/* It is attached to the previous kernel's table before and afterwards. */
static void reset_device(void)
{
	int err = ioctl(device.vfio.fd, VFIO_DEVICE_RESET) ? -errno : 0;

	lu_result_is(err, 0, "it can be reset before it is attached");
}

static void restart_device(void)
{
	memset(&memory->queue, 0, sizeof(memory->queue));
	prepare_queue();
	lu_vfio_set_command(&device.vfio, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	lu_virtio_start(&device, IOVA, VIRTIO_MSI_NO_VECTOR);
}

/* Nothing is available any more, so that nothing but the past is signaled. */
static void expect_signal(void)
{
	unsigned int tries = PATIENCE_S * 1000000 / POLL_US;

	while (used_index() != available_index() && --tries)
		usleep(POLL_US);
	arm();
	ksft_test_result(signals(tries ? SIGNAL_MS : 0) == 1 && !signals(QUIET_MS),
			 "what it has sent since arrives, once\n");
	if (interrupts != INTX)
		return;
	lu_virtio_acknowledge(&device);
	mask(false);
	ksft_test_result(!signals(QUIET_MS), "acknowledged, it is over\n");
}

static void finish(int luo, const char *bdf, bool reset)
{
	int session = lu_old_session(luo, SESSION);

	ksft_set_plan((at ? 5 : 6) + reset + 2 * !!interrupts +
		      (interrupts == INTX));
	memory_fd = lu_retrieve(session, TOKEN_MEMORY);
	if (!lu_memory_is_whole(memory_fd, memory_size))
		lu_die("the memory has another size, or lost its seals");
	memory = lu_memory_map(memory_fd, memory_size);
	report_used();
	lu_vfio_take_over(&device.vfio, bdf, lu_retrieve(session, TOKEN_DEVICE));
	if (reset)
		reset_device();
	give_memory_to_device();
	lu_virtio_map(&device);
	if (reset)
		restart_device();
	/* Later invalidations are not those of attaching it. */
	if (lu_channel_tell("adopted"))
		lu_die_errno("the observer cannot be told that the device is attached");
	ksft_test_result(lu_virtio_works(&device), "it has not failed\n");
	if (interrupts)
		expect_signal();
	lu_result_is(luo_session_finish(session), 0, "its session is finished");
	/* One more than the old kernel has posted. */
	ksft_test_result(reaches(available_index() + 1), "it uses buffers that are posted now\n");
	if (interrupts)
		ksft_test_result(signals(PATIENCE_S * 1000), "and signals that\n");
}

int main(int argc, char *argv[])
{
	const char *what = argc > 1 ? argv[1] : "";
	int luo;

	ksft_print_header();
	if (argc > 3 && !strcmp(argv[2], "--at"))
		at = strtoull(argv[3], NULL, 0);
	else if (argc > 3 && !strcmp(argv[2], "--irq"))
		interrupts = !strcmp(argv[3], "off") ? DISABLED :
			     !strcmp(argv[3], "intx") ? INTX : MASKED;
	if (at || interrupts) {
		argc -= 2;
		argv += 2;
	}
	if (argc != 3)
		lu_die("usage: lu_rng preserve|finish|reset [--at ADDRESS | --irq KIND] BDF");
	lu_pci_require(argv[2], LU_VIRTIO_VENDOR, LU_VIRTIO_DEVICE(VIRTIO_ID_RNG));
	if (lu_channel_open())
		lu_die_errno("the channel cannot be opened");
	luo = luo_open_device();
	if (luo < 0)
		lu_die_errno("cannot open " LUO_DEVICE);
	memory_size = getpagesize();
	if (!strcmp(what, "preserve"))
		preserve(luo, argv[2]);
	else if (!strcmp(what, "finish"))
		finish(luo, argv[2], false);
	else if (!strcmp(what, "reset"))
		finish(luo, argv[2], true);
	else
		lu_die("'%s' is neither preserve, finish nor reset", what);
	ksft_finished();
}
