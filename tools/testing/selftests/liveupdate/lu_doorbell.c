// SPDX-License-Identifier: GPL-2.0-only
/*
 * No message of a device is lost, whenever it is sent: QEMU's ivshmem-doorbell has a
 * vector for each moment of a live update, and the observer outside of the machine
 * rings it then. The moments within the gap are those of its phases.
 *
 *	lu_doorbell preserve [--irq HOW] BDF	arm all vectors, mask them, preserve it
 *	lu_doorbell finish [--irq HOW] BDF	set them up in the next kernel
 *
 *	lu_doorbell refused BDF			another file aborts the update
 *
 *	--irq off	MSI-X is disabled for the kexec, not masked
 *	--irq late	it is not masked, which the kernel refuses
 *	--irq other	it is masked by the first CPU and arrives at the second
 */
#include <dirent.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <libliveupdate.h>

#include "lu_channel.h"
#include "lu_die.h"
#include "lu_memory.h"
#include "lu_pci.h"
#include "lu_update.h"
#include "lu_vfio.h"

#define IVSHMEM_VENDOR	0x1af4
#define IVSHMEM_DEVICE	0x1110

#define SESSION		"doorbell"
#define TOKEN_MEMORY	1
#define TOKEN_DEVICE	2
#define TOKEN_REFUSER	3
#define IOVA		0x40000000ull
#define SYNC_MS		20000
#define POLL_US		10000
/* For messages that are due, and for those that must not come. */
#define PATIENCE_MS	5000
#define QUIET_MS	1000

/* Vectors that are rung one after the other during a call. */
#define SERIES		8
/* From one to the next: to mask them takes less time than to set them up. */
#define MASKING_US	250
#define REARMING_US	700

/* When each vector is rung: harness/tests/lib-doorbell.sh has the phases. */
enum vector {
	REARMING,
	MASKING = REARMING + SERIES,
	ARMED = MASKING + SERIES,
	MASKED,
	SAVED,
	SHUTDOWN,
	PURGATORY,
	EARLY_BOOT,
	ENUMERATION,
	USER_SPACE,
	BOUND,
	REARMED,
	AFTER,
	SILENT,
	/* These have no eventfd until the end. */
	GUEST_MASKED,
	GUEST_SILENT,
	VECTORS
};

#define GUEST_FIRST	GUEST_MASKED

static const char *const moments[VECTORS] = {
	[ARMED] = "rung before the mask",
	[MASKED] = "rung before the counts are saved",
	[SAVED] = "rung after the counts are saved",
	[SHUTDOWN] = "rung in the phase shutdown",
	[PURGATORY] = "rung in the phase purgatory",
	[EARLY_BOOT] = "rung in the phase early_boot",
	[ENUMERATION] = "rung in the phase enumeration",
	[USER_SPACE] = "rung in the phase user_space",
	[BOUND] = "rung before the vectors are set up",
	[REARMED] = "rung after the vectors are set up",
	[AFTER] = "rung in the phase after",
	[SILENT] = "never rung",
	[GUEST_MASKED] = "rung while the guest masks it",
	[GUEST_SILENT] = "never rung, and masked by the guest",
};

/* What both kernels share. */
struct memory {
	uint64_t seen[VECTORS];
};

int lu_channel_fd = -1;

static struct lu_vfio device;
static struct memory *memory;
static size_t memory_size;
static int memory_fd;
static int events[VECTORS];
static bool disabled, late, other_cpu;

/* --- the doorbell ------------------------------------------------------------ */

/* On return the device has been told. */
static void ring_vector(enum vector v)
{
	if (lu_channel_tell("doorbell %d", v) || lu_channel_sync("doorbell", SYNC_MS))
		lu_die_errno("the observer does not ring vector %d", v);
}

/* Without a mask, what is rung during it has no meaning. */
static bool is_rung(enum vector v)
{
	if (v >= MASKING && v < ARMED && late)
		return false;
	if (v < ARMED)
		return !disabled;
	return v != SILENT && v != GUEST_SILENT;
}

/*
 * Ring @first and those that follow during the next call. Without a mask it is a matter
 * of luck whether a message is lost then.
 */
static void begin_series(enum vector first, int interval_us)
{
	if (is_rung(first) &&
	    lu_channel_tell("doorbell %d %d %d", first, first + SERIES - 1, interval_us))
		lu_die_errno("the observer cannot be told to ring vectors");
}

static void end_series(void)
{
	if (lu_channel_sync("series", SYNC_MS))
		lu_die_errno("the observer does not ring vectors");
}

static const char *moment(enum vector v)
{
	if (v >= ARMED)
		return moments[v];
	if (!is_rung(v))
		return "not rung in this test";
	return v < MASKING ? "rung while the vectors are set up" :
			     "rung during the mask";
}

/* --- its vectors ------------------------------------------------------------- */

static void create_events(void)
{
	int v;

	for (v = 0; v < VECTORS; v++) {
		events[v] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (events[v] < 0)
			lu_die_errno("cannot create an eventfd");
	}
}

static void write_number(const char *path, int number)
{
	FILE *f = fopen(path, "w");

	if (!f || fprintf(f, "%d\n", number) < 0 || fclose(f))
		lu_die_errno("cannot write %d to %s", number, path);
}

/* All vectors arrive at the second CPU, and this is the first. */
static void part_from_interrupts(const char *bdf)
{
	char path[300];
	struct dirent *irq;
	cpu_set_t first;
	DIR *irqs;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	if (sched_setaffinity(0, sizeof(first), &first))
		lu_die_errno("sched_setaffinity");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/msi_irqs", bdf);
	irqs = opendir(path);
	if (!irqs)
		lu_die_errno("cannot open %s", path);
	while ((irq = readdir(irqs))) {
		if (irq->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/irq/%s/smp_affinity_list", irq->d_name);
		/* A vector without an eventfd is not requested. */
		if (!access(path, F_OK))
			write_number(path, 1);
	}
	closedir(irqs);
}

/* All but those that the guest masks. */
static void arm(void)
{
	int fds[VECTORS], v, err;

	for (v = 0; v < VECTORS; v++)
		fds[v] = v < GUEST_FIRST ? events[v] : -1;
	err = lu_vfio_set_eventfds(&device, VFIO_PCI_MSIX_IRQ_INDEX, 0, VECTORS, fds);
	if (err)
		lu_die("MSI-X cannot be enabled: %s", strerror(-err));
}

/* The guest unmasks them. */
static void arm_others(void)
{
	int err = lu_vfio_set_eventfds(&device, VFIO_PCI_MSIX_IRQ_INDEX, GUEST_FIRST,
				       VECTORS - GUEST_FIRST, events + GUEST_FIRST);

	if (err)
		lu_die("vectors cannot be added: %s", strerror(-err));
}

static void stop_interrupts(void)
{
	int err;

	if (late)
		return;
	if (disabled)
		err = lu_vfio_set_irqs(&device, VFIO_PCI_MSIX_IRQ_INDEX,
				       VFIO_IRQ_SET_DATA_NONE, -1);
	else
		err = lu_vfio_mask_irqs(&device, VFIO_PCI_MSIX_IRQ_INDEX, VECTORS, true);
	if (err)
		lu_die("MSI-X cannot be stopped: %s", strerror(-err));
}

/* Adds to @seen how often each eventfd was signaled. */
static void count(uint64_t seen[VECTORS])
{
	uint64_t n;
	int v;

	for (v = 0; v < VECTORS; v++)
		if (read(events[v], &n, sizeof(n)) == sizeof(n))
			seen[v] += n;
}

/* Until each of the first @vectors that was rung has been seen, and a bit longer. */
static void count_all(uint64_t seen[VECTORS], int vectors)
{
	long long end = lu_channel_now_ms() + PATIENCE_MS;
	int v;

	for (v = 0; v < vectors; v++) {
		while (is_rung(v) && !(memory->seen[v] + seen[v]) &&
		       lu_channel_now_ms() < end) {
			usleep(POLL_US);
			count(seen);
		}
	}
	usleep(QUIET_MS * 1000);
	count(seen);
}

/* --- the old kernel ---------------------------------------------------------- */

static void give_memory_to_device(void)
{
	lu_vfio_map_memory(&device, memory_fd, memory_size, IOVA);
	lu_vfio_attach(&device);
}

static void start(const char *bdf)
{
	memory_fd = lu_memory_create("lu-doorbell", memory_size, false);
	memory = lu_memory_map(memory_fd, memory_size);
	lu_pci_bind_vfio(bdf);
	lu_vfio_open(&device, bdf);
	give_memory_to_device();
	lu_vfio_set_command(&device, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	create_events();
	arm();
	if (other_cpu)
		part_from_interrupts(bdf);
}

/* Two test results. */
static void report_saved(void)
{
	bool others = false;
	int v;

	for (v = late ? SAVED : MASKED; v < VECTORS; v++)
		others |= memory->seen[v];
	ksft_test_result(memory->seen[ARMED] == 1, "what is sent before the mask arrives\n");
	ksft_test_result(!others, "nothing else does\n");
}

static void preserve(int luo, const char *bdf)
{
	int session, err;

	ksft_set_plan(3);
	start(bdf);
	session = lu_new_session(luo, SESSION);
	err = luo_session_preserve_fd(session, memory_fd, TOKEN_MEMORY);
	if (!err)
		err = luo_session_preserve_fd(session, device.fd, TOKEN_DEVICE);
	lu_result_is(err, 0, "the device and its memory are preserved");
	ring_vector(ARMED);
	begin_series(MASKING, MASKING_US);
	stop_interrupts();
	end_series();
	ring_vector(MASKED);
	count(memory->seen);
	report_saved();
	close(luo);
	ksft_print_cnts();
	ring_vector(SAVED);
	lu_stay_behind(ksft_get_fail_cnt() ? KSFT_FAIL : KSFT_PASS);
}

/* --- an update that does not take place --------------------------------------- */

static bool seen_once(enum vector v)
{
	uint64_t seen[VECTORS] = { 0 };

	count_all(seen, 0);
	ksft_print_msg("vector %d: %llu\n", v, (unsigned long long)seen[v]);
	return seen[v] == 1;
}

/* Nothing is lost and nothing doubled by a freeze and what undoes it. */
static void refused(int luo, const char *bdf)
{
	uint64_t seen[VECTORS] = { 0 };
	int session, err;

	ksft_set_plan(6);
	lu_load_next("");
	start(bdf);
	session = lu_new_session(luo, SESSION);
	err = luo_session_preserve_fd(session, memory_fd, TOKEN_MEMORY);
	if (!err)
		err = luo_session_preserve_fd(session, device.fd, TOKEN_DEVICE);
	if (!err)
		err = luo_session_preserve_fd(session, lu_refuser(), TOKEN_REFUSER);
	lu_result_is(err, 0, "all files are preserved");
	stop_interrupts();
	ring_vector(MASKED);
	lu_result_is(lu_try_kexec(), -EIO, "the update is aborted by the freeze of another file");
	ring_vector(SAVED);
	count_all(seen, 0);
	ksft_test_result(!seen[MASKED] && !seen[SAVED], "its vectors are still masked\n");
	if (lu_vfio_mask_irqs(&device, VFIO_PCI_MSIX_IRQ_INDEX, VECTORS, false))
		lu_die("MSI-X cannot be unmasked");
	count_all(seen, 0);
	ksft_test_result(seen[MASKED] == 1 && seen[SAVED] == 1 && !seen[SILENT],
			 "messages sent during the attempt arrive once, and no others\n");
	ring_vector(MASKED);
	ksft_test_result(seen_once(MASKED), "what is sent then arrives once\n");
	stop_interrupts();
	lu_result_is(lu_try_kexec(), -EIO, "the next attempt is aborted, too");
}

/* --- the new kernel ---------------------------------------------------------- */

static void set_up_interrupts(void)
{
	create_events();
	ring_vector(BOUND);
	begin_series(REARMING, REARMING_US);
	arm();
	end_series();
	ring_vector(REARMED);
}

static void report(const uint64_t seen[VECTORS])
{
	int v;

	for (v = 0; v < VECTORS; v++) {
		ksft_print_msg("vector %d: %llu in the old kernel, %llu in this one\n", v,
			       (unsigned long long)memory->seen[v],
			       (unsigned long long)seen[v]);
		ksft_test_result(memory->seen[v] + seen[v] == is_rung(v), "%s: %s\n",
				 moment(v), is_rung(v) ? "arrives once" : "does not arrive");
	}
}

static void finish(int luo, const char *bdf)
{
	int session = lu_old_session(luo, SESSION);
	uint64_t seen[VECTORS] = { 0 };

	ksft_set_plan(VECTORS + 2);
	memory_fd = lu_retrieve(session, TOKEN_MEMORY);
	if (!lu_memory_is_whole(memory_fd, memory_size))
		lu_die("the memory has another size, or lost its seals");
	memory = lu_memory_map(memory_fd, memory_size);
	lu_vfio_take_over(&device, bdf, lu_retrieve(session, TOKEN_DEVICE));
	set_up_interrupts();
	give_memory_to_device();
	if (lu_channel_tell("adopted"))
		lu_die_errno("the observer cannot be told that the device is attached");
	count_all(seen, GUEST_FIRST);
	lu_result_is(luo_session_finish(session), 0, "its session is finished");
	count(seen);
	ksft_test_result(!seen[GUEST_MASKED], "what the guest masks stays masked\n");
	arm_others();
	count_all(seen, VECTORS);
	report(seen);
}

int main(int argc, char *argv[])
{
	const char *what = argc > 1 ? argv[1] : "";
	int luo;

	ksft_print_header();
	if (argc == 5 && !strcmp(argv[2], "--irq")) {
		disabled = !strcmp(argv[3], "off");
		late = !strcmp(argv[3], "late");
		other_cpu = !strcmp(argv[3], "other");
		argc -= 2;
		argv += 2;
	}
	if (argc != 3)
		lu_die("usage: lu_doorbell preserve|finish|refused [--irq off|late|other] BDF");
	lu_pci_require(argv[2], IVSHMEM_VENDOR, IVSHMEM_DEVICE);
	if (lu_channel_open())
		lu_die_errno("the channel cannot be opened");
	if (!lu_channel_present())
		lu_die("only the observer outside of a test machine can ring");
	luo = luo_open_device();
	if (luo < 0)
		lu_die_errno("cannot open " LUO_DEVICE);
	memory_size = getpagesize();
	if (!strcmp(what, "preserve"))
		preserve(luo, argv[2]);
	else if (!strcmp(what, "finish"))
		finish(luo, argv[2]);
	else if (!strcmp(what, "refused"))
		refused(luo, argv[2]);
	else
		lu_die("'%s' is neither preserve, finish nor refused", what);
	ksft_finished();
}
