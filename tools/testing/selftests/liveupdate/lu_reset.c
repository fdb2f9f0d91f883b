// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resets of a preserved function before the freeze: by its owner, by others, and by
 * error recovery, which resets everything below a port.
 *
 *	lu_reset [NAME=ERRNO]...
 *
 * The rows of the table of refusals in Documentation/PCI/liveupdate.rst. Needs an
 * igb, and below the same root port an e1000e, which is another owner's; an image that
 * is loaded (kexec -l); and the module liveupdate_file. When the frames start, the
 * observer makes a fatal error of a port below the root port.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <libliveupdate.h>

#include "lu_channel.h"
#include "lu_die.h"
#include "lu_guest.h"
#include "lu_igb.h"
#include "lu_memory.h"
#include "lu_pci.h"
#include "lu_update.h"
#include "lu_vfio.h"

int lu_channel_fd = -1;

static char bdf[LU_PCI_BDF_SIZE];
static char other[LU_PCI_BDF_SIZE];
static struct lu_vfio device, beside;
static int luo;

static void read_text(const char *name, char *text, size_t size)
{
	char path[128];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, text, size - 1);
	if (len < 0)
		lu_die_errno("cannot read %s", path);
	text[len] = '\0';
	close(fd);
}

static bool has_reason(void)
{
	char reason[128];

	read_text("liveupdate/reason", reason, sizeof(reason));
	return reason[0] != '\n';
}

/* Whether an update gets beyond PCI: the file that refuses is frozen later. */
static bool can_be_frozen(int session)
{
	int fd = lu_refuser(), err;

	if (luo_session_preserve_fd(session, fd, 2))
		lu_die("the file that refuses cannot be preserved");
	err = lu_try_kexec();
	close(fd);
	if (err != -EIO)
		ksft_print_msg("the update is aborted with: %s\n", strerror(-err));
	return err == -EIO;
}

static int preserve(const char *name)
{
	int session = lu_new_session(luo, name);

	if (luo_session_preserve_fd(session, device.fd, 1))
		lu_die("%s cannot be preserved", bdf);
	return session;
}

static int hot_reset(void)
{
	struct vfio_pci_hot_reset reset = { .argsz = sizeof(reset) };

	return ioctl(device.fd, VFIO_DEVICE_PCI_HOT_RESET, &reset) ? -errno : 0;
}

/* Its only method is the reset of its bus. */
static void by_its_owner(void)
{
	int session = preserve("owner");

	lu_result_is(ioctl(device.fd, VFIO_DEVICE_RESET) ? -errno : 0, 0,
		     "its owner can reset it by its bus");
	lu_result_is(hot_reset(), 0, "its owner can reset the bus");
	ksft_test_result(!has_reason() && can_be_frozen(session),
			 "it is still preserved\n");
	close(session);
}

/* Three test results. */
static void is_lost(int session, int want)
{
	ksft_test_result(lu_state_is(bdf, "outgoing") && has_reason(),
			 "its preservation has failed\n");
	lu_result_is(lu_try_kexec(), want, "the update is aborted");
	close(session);
	session = preserve("again");
	ksft_test_result(can_be_frozen(session),
			 "preserved again, it can be frozen\n");
	close(session);
}

static void by_others(const char *port, int want)
{
	int session = preserve("others");

	lu_result_is(lu_write_text(port, "reset_subordinate", "1"), 0,
		     "all devices below a port can be reset");
	is_lost(session, want);
}

static void report_memory(uint64_t offset, uint64_t phys, uint64_t len)
{
	if (lu_channel_tell("memory %#llx %#llx %#llx", (unsigned long long)offset,
			    (unsigned long long)phys, (unsigned long long)len))
		lu_die_errno("the observer cannot be told");
}

/* The igb does not receive them. */
static void start_frames(void)
{
	int fd = lu_memory_create("frames", LU_RAM_SIZE, false);

	if (lu_channel_open())
		lu_die_errno("there is no observer");
	lu_memory_pieces(lu_memory_map(fd, LU_RAM_SIZE), LU_RAM_SIZE, report_memory);
	if (lu_channel_tell("memory end") ||
	    lu_channel_tell("ring %u %u %#x", LU_SLOTS, LU_SLOT_SIZE,
			    LU_BUFFERS_OFFSET) ||
	    lu_channel_tell("frames start"))
		lu_die_errno("the observer cannot be told");
}

static void by_recovery(int want)
{
	int session = preserve("recovery"), tries = 0;

	start_frames();
	while (!has_reason() && ++tries < 1500)
		usleep(10000);
	/* Recovery ends when all devices below the port have been told. */
	sleep(3);
	is_lost(session, want);
	ksft_test_result(!(ioctl(beside.fd, VFIO_DEVICE_RESET) && errno != ENOTTY) &&
			 lu_pci_can_be_written(other),
			 "the other device can be used\n");
}

static int expected(int argc, char *argv[])
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "was-reset=ESTALE"))
			return -ESTALE;
	lu_die("'was-reset' is not refused with ESTALE");
}

int main(int argc, char *argv[])
{
	char path[LU_PCI_PATH_MAX][LU_PCI_BDF_SIZE];
	int lost;

	ksft_print_header();
	ksft_set_plan(11);
	lost = expected(argc, argv);
	luo = luo_open_device();
	if (luo < 0)
		lu_die_errno("cannot open " LUO_DEVICE);
	lu_pci_find(LU_IGB_VENDOR, LU_IGB_DEVICE, bdf);
	lu_pci_find(0x8086, 0x10d3, other);
	if (!lu_pci_path(bdf, path))
		lu_die("%s is on a root bus", bdf);
	if (lu_write_text(bdf, "reset_method", "bus"))
		lu_die("%s cannot be reset by its bus", bdf);
	lu_pci_bind_vfio(bdf);
	lu_pci_bind_vfio(other);
	lu_vfio_open(&device, bdf);
	lu_vfio_attach(&device);
	lu_vfio_open(&beside, other);
	lu_vfio_attach(&beside);
	lu_load_next("");

	by_its_owner();
	by_others(path[0], lost);
	by_recovery(lost);

	ksft_finished();
}
