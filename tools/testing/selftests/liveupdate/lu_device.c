// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can be done with a vfio-pci device while it is preserved, and what
 * cannot: all without an update, though some are tried and called off.
 *
 *	lu_device [BDF]
 *
 * Needs an image that is loaded (kexec -l), and the module liveupdate_file: one
 * of its files calls the updates off.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/reboot.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <libliveupdate.h>

#include "lu_die.h"
#include "lu_igb.h"
#include "lu_pci.h"
#include "lu_vfio.h"

#define TEST_DEVICE	"/dev/liveupdate-test"
#define DEVICES		"/sys/bus/pci/devices/"

static char bdf[LU_PCI_BDF_SIZE];
static char path[LU_PCI_PATH_MAX][LU_PCI_BDF_SIZE];
static struct lu_vfio device;
static int luo;

/* --- tools ---------------------------------------------------------------- */

static void result_is(int got, int want, const char *what)
{
	if (got != want)
		ksft_print_msg("%s: %s and not %s\n", what,
			       got ? strerror(-got) : "success",
			       want ? strerror(-want) : "success");
	ksft_test_result(got == want, "%s\n", what);
}

static int write_text(const char *who, const char *name, const char *text)
{
	char file[256];
	int fd, err = 0;

	snprintf(file, sizeof(file), DEVICES "%s/%s", who, name);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static bool state_is(const char *who, const char *want)
{
	char file[256], text[64] = "none\n";
	int fd;

	snprintf(file, sizeof(file), DEVICES "%s/liveupdate/state", who);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		text[read(fd, text, sizeof(text) - 1)] = '\0';
		close(fd);
	}
	text[strcspn(text, "\n")] = '\0';
	if (strcmp(text, want))
		ksft_print_msg("%s is '%s' and not '%s'\n", who, text, want);
	return !strcmp(text, want);
}

static bool states_are(const char *want)
{
	return state_is(bdf, want) && state_is(path[0], want);
}

static int new_session(const char *name)
{
	int session = luo_create_session(luo, name);

	if (session < 0)
		lu_die("cannot create the session %s: %s", name,
		       strerror(-session));
	return session;
}

static int preserve(int session)
{
	return luo_session_preserve_fd(session, device.fd, 1);
}

static int try_kexec(void)
{
	return syscall(__NR_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
		       LINUX_REBOOT_CMD_KEXEC, 0) ? -errno : 0;
}

/* A file that calls every update off. */
static int refuser(void)
{
	int fd = open(TEST_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0 || write(fd, "name refuser", 12) < 0 ||
	    write(fd, "fail freeze 5", 13) < 0)
		lu_die_errno("cannot use " TEST_DEVICE);
	return fd;
}

static int set_irqs(uint32_t index, uint32_t flags, int fd)
{
	struct {
		struct vfio_irq_set set;
		int fd;
	} irqs = {
		.set = {
			.argsz = sizeof(irqs),
			.flags = flags | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = index,
			.count = flags & VFIO_IRQ_SET_DATA_EVENTFD ? 1 : 0,
		},
		.fd = fd,
	};

	return ioctl(device.fd, VFIO_DEVICE_SET_IRQS, &irqs) ? -errno : 0;
}

/* Whatever is written to Command has to arrive there. */
static bool command_can_be_written(void)
{
	uint16_t was = lu_vfio_command(&device);
	bool arrived;

	lu_vfio_write_command(&device, was ^ PCI_COMMAND_SERR);
	arrived = lu_pci_command(bdf) == (was ^ PCI_COMMAND_SERR);
	lu_vfio_write_command(&device, was);
	return arrived && lu_pci_command(bdf) == was;
}

/* --- the tests ------------------------------------------------------------ */

static void refusals(int session)
{
	int other = new_session("other");

	result_is(preserve(session), 0, "a device can be preserved");
	ksft_test_result(states_are("outgoing"),
			 "it and the bridge above are shown as outgoing\n");
	result_is(preserve(other), -EBUSY, "a device is preserved once");
	close(other);
	result_is(write_text(bdf, "remove", "1"), -EBUSY,
		  "it cannot be removed");
	result_is(write_text(path[0], "remove", "1"), -EBUSY,
		  "nor can the bridge above");
	result_is(write_text(bdf, "sriov_numvfs", "1"), -EBUSY,
		  "it gets no virtual functions");
	ksft_test_result(command_can_be_written(),
			 "its owner can write to it\n");
}

static void port_unbound(void)
{
	uint16_t before = lu_pci_command(path[0]), after;

	write_text(path[0], "driver/unbind", path[0]);
	after = lu_pci_command(path[0]);
	ksft_test_result(before & after & PCI_COMMAND_MASTER,
			 "the port above loses its driver, not bus mastering\n");
	write_text("../drivers/pcieport", "bind", path[0]);
}

static void interrupts_on(void)
{
	int event = eventfd(0, EFD_CLOEXEC);

	if (set_irqs(VFIO_PCI_MSIX_IRQ_INDEX, VFIO_IRQ_SET_DATA_EVENTFD, event))
		lu_die_errno("cannot enable MSI-X");
	result_is(try_kexec(), -EBUSY,
		  "enabled interrupts call the update off");
	ksft_test_result(states_are("outgoing"), "that changes nothing\n");
	if (set_irqs(VFIO_PCI_MSIX_IRQ_INDEX, VFIO_IRQ_SET_DATA_NONE, -1))
		lu_die_errno("cannot disable MSI-X");
	close(event);
}

static void called_off(int session)
{
	int fd = refuser();

	if (luo_session_preserve_fd(session, fd, 2))
		lu_die("the file that refuses cannot be preserved");
	result_is(try_kexec(), -EIO, "a file that comes later calls it off");
	ksft_test_result(states_are("outgoing"), "everything is thawed\n");
	ksft_test_result(command_can_be_written(),
			 "its owner can write to it again\n");
	result_is(try_kexec(), -EIO, "it can be tried again");
	ksft_test_result(command_can_be_written(),
			 "and is thawed again\n");
	close(fd);
}

static void again(int session)
{
	close(session);
	ksft_test_result(states_are("none"),
			 "with its session the preservation ends\n");
	session = new_session("again");
	result_is(preserve(session), 0, "it can be preserved again");
	close(session);
	ksft_test_result(states_are("none"), "as often as one likes\n");
}

int main(int argc, char *argv[])
{
	int session;

	ksft_print_header();
	ksft_set_plan(18);
	if (argc > 1)
		snprintf(bdf, sizeof(bdf), "%s", argv[1]);
	else
		lu_pci_find(LU_IGB_VENDOR, LU_IGB_DEVICE, bdf);
	if (!lu_pci_path(bdf, path))
		lu_die("%s is on a root bus, there is no bridge to look at", bdf);
	luo = luo_open_device();
	if (luo < 0)
		lu_die_errno("cannot open " LUO_DEVICE);
	lu_pci_bind_vfio(bdf);
	lu_vfio_open(&device, bdf);
	lu_vfio_attach(&device);
	lu_vfio_set_command(&device, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);

	session = new_session("device");
	refusals(session);
	port_unbound();
	interrupts_on();
	called_off(session);
	again(session);

	ksft_finished();
}
