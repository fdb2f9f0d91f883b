// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can be done with a vfio-pci device while it is preserved, and what
 * cannot: all without an update, though some are started and aborted.
 *
 *	lu_device [NAME=ERRNO]...
 *
 * What is to be refused, and how, comes from the table of refusals in
 * Documentation/PCI/liveupdate.rst: twice=EBUSY and so on, for all of its rows.
 *
 * Needs an igb, better below a switch, and an e1000e below a separate port; an
 * image that is loaded (kexec -l); the module liveupdate_file, one of whose files
 * aborts the updates; and as $LOCK_MODULE liveupdate_lock, not loaded yet.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libliveupdate.h>

#include "lu_die.h"
#include "lu_igb.h"
#include "lu_pci.h"
#include "lu_update.h"
#include "lu_vfio.h"

#define E1000E_VENDOR	0x8086
#define E1000E_DEVICE	0x10d3
/* As a device's attributes are found. */
#define SHARED_STATE	"../../../module/liveupdate_file/parameters"

static char bdf[LU_PCI_BDF_SIZE];
static char path[LU_PCI_PATH_MAX][LU_PCI_BDF_SIZE];
static int bridges;
static char other[LU_PCI_BDF_SIZE];
static char other_port[LU_PCI_BDF_SIZE];
static struct lu_vfio device;
static int luo;
static char **expectations;

/* --- tools ---------------------------------------------------------------- */

static bool states_are(const char *want)
{
	bool good = lu_state_is(bdf, want);
	int i;

	for (i = 0; i < bridges; i++)
		good &= lu_state_is(path[i], want);
	return good;
}

static int preserve(int session)
{
	return luo_session_preserve_fd(session, device.fd, 1);
}

static bool exists(const char *bdf, const char *file)
{
	char name[256];

	snprintf(name, sizeof(name), "/sys/bus/pci/devices/%s/%s", bdf, file);
	return !access(name, F_OK);
}

/* By a process that has none of our files: it may wait for their last close. */
static pid_t start_write(const char *bdf, const char *file, const char *text)
{
	pid_t pid = fork();

	if (pid < 0)
		lu_die_errno("fork");
	if (!pid) {
		close_range(3, ~0U, 0);
		_exit(-lu_write_text(bdf, file, text));
	}
	return pid;
}

/* A write that may wait for this very process. Returns -ETIME if it does. */
static int try_write(const char *bdf, const char *file, const char *text)
{
	pid_t pid = start_write(bdf, file, text);
	int status;

	for (int tries = 0; tries < 500; tries++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return -WEXITSTATUS(status);
		usleep(10000);
	}
	return -ETIME;
}

/* What the arguments say about @name. */
static int expected(const char *name)
{
	static const struct error {
		const char *name;
		int err;
	} errors[] = {
		{ "EBUSY", -EBUSY },
		{ "EIO", -EIO },
		{ "ENOEXEC", -ENOEXEC },
		{ }
	};
	size_t len = strlen(name);
	const struct error *e;
	char **arg;

	for (arg = expectations; *arg; arg++)
		if (!strncmp(*arg, name, len) && (*arg)[len] == '=')
			break;
	if (!*arg)
		lu_die("nothing says what happens with '%s'", name);
	for (e = errors; e->name; e++)
		if (!strcmp(*arg + len + 1, e->name))
			return e->err;
	lu_die("'%s' is no errno that is known here", *arg);
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

/* Nor is a write to any bridge above dropped. */
static bool all_can_be_written(void)
{
	bool good = command_can_be_written();
	int i;

	for (i = 0; i < bridges; i++)
		good &= lu_pci_can_be_written(path[i]);
	return good;
}

static bool memory_can_be_mapped(void)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = device.ioas,
		.iova = 1 << 30,
		.length = getpagesize(),
	};
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = device.ioas,
		.fd = memfd_create("page", MFD_CLOEXEC),
		.length = getpagesize(),
		.iova = 1 << 30,
	};
	bool good;

	if (map.fd < 0 || ftruncate(map.fd, map.length))
		lu_die_errno("cannot create a memfd");
	good = !ioctl(device.iommufd, IOMMU_IOAS_MAP_FILE, &map) &&
	       !ioctl(device.iommufd, IOMMU_IOAS_UNMAP, &unmap);
	close(map.fd);
	return good;
}

/* A refusal has left nothing behind. */
static bool is_free(void)
{
	return states_are("none") && all_can_be_written() &&
	       memory_can_be_mapped();
}

/* --- the tests ------------------------------------------------------------ */

static void virtual_functions(int session)
{
	int enabled, preserved, disabled;

	if (lu_write_text("../../../module/vfio_pci", "parameters/enable_sriov",
			  "1"))
		lu_die("vfio-pci cannot be told to allow virtual functions");
	enabled = lu_write_text(bdf, "sriov_numvfs", "1");
	preserved = preserve(session);
	disabled = lu_write_text(bdf, "sriov_numvfs", "0");
	if (enabled || disabled)
		lu_die("virtual functions cannot be enabled and disabled");
	lu_result_is(preserved, expected("virtual-functions"),
		     "none is preserved whose virtual functions are enabled");
	ksft_test_result(is_free(), "nothing has changed\n");
}

static void not_bound(int session)
{
	char name[64], file[128];
	int fd;

	lu_pci_vfio_name(bdf, name, sizeof(name));
	snprintf(file, sizeof(file), "/dev/vfio/devices/%s", name);
	fd = open(file, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		lu_die_errno("cannot open %s", file);
	lu_result_is(luo_session_preserve_fd(session, fd, 1),
		     expected("not-bound"),
		     "a file that is not bound is not preserved");
	close(fd);
}

/* The device is all that is reset, and restored. */
static int hot_reset(void)
{
	struct vfio_pci_hot_reset reset = { .argsz = sizeof(reset) };

	return ioctl(device.fd, VFIO_DEVICE_PCI_HOT_RESET, &reset) ? -errno : 0;
}

static void refusals(int session)
{
	int other = lu_new_session(luo, "other");

	lu_result_is(preserve(session), 0, "a device can be preserved");
	ksft_test_result(states_are("outgoing"),
			 "it and the bridge above are shown as outgoing\n");
	lu_result_is(preserve(other), expected("twice"),
		     "a device is preserved once");
	close(other);
	lu_result_is(lu_write_text(bdf, "reset", "1"), -EBUSY,
		     "only its owner can reset it");
	lu_result_is(lu_write_text(bdf, "sriov_numvfs", "1"), -EBUSY,
		     "it gets no virtual functions");
	lu_result_is(hot_reset(), 0, "its owner can reset its slot");
	ksft_test_result(all_can_be_written(),
			 "its owner can write to it\n");
}

static void not_taken_away(void)
{
	lu_result_is(try_write(bdf, "remove", "1"), expected("taken-away"),
		     "it cannot be removed");
	lu_result_is(try_write(path[0], "remove", "1"), expected("taken-away"),
		     "nor can the bridge above");
	lu_result_is(try_write(bdf, "driver/unbind", bdf),
		     expected("taken-away"), "it cannot be unbound");
	lu_result_is(try_write(path[0], "driver/unbind", path[0]),
		     expected("taken-away"), "nor can the bridge above");
}

static void is_called_off(const char *name, const char *why)
{
	lu_result_is(lu_try_kexec(), expected(name), why);
	ksft_test_result(states_are("outgoing"),
			 "they call the update off, that changes nothing\n");
}

/* Another VM's device, open but not preserved. */
static struct lu_vfio open_other(void)
{
	struct lu_vfio vfio = {};

	lu_pci_bind_vfio(other);
	lu_vfio_open(&vfio, other);
	lu_vfio_attach(&vfio);
	return vfio;
}

static void close_other(struct lu_vfio *vfio)
{
	close(vfio->fd);
	close(vfio->iommufd);
}

/* Its removal waits for its owner, with its lock held. */
static void being_removed(int session)
{
	int refuser = lu_refuser(), status;
	struct lu_vfio vfio = open_other();
	pid_t pid;

	if (luo_session_preserve_fd(session, refuser, 2))
		lu_die("the file that refuses cannot be preserved");
	pid = start_write(other, "remove", "1");
	/* VFIO takes this away just before it waits. */
	while (exists(other, "vfio-dev"))
		usleep(10000);
	lu_result_is(luo_session_preserve_fd(session, vfio.fd, 3),
		     expected("being-removed"),
		     "what is being removed is not preserved");
	is_called_off("being-removed", "a removal that waits for its owner");
	ksft_test_result(all_can_be_written(),
			 "the preserved device is not frozen\n");
	close(lu_new_session(luo, "meanwhile"));
	ksft_test_result_pass("nor are sessions\n");
	close_other(&vfio);
	if (waitpid(pid, &status, 0) != pid)
		lu_die_errno("the writer is gone");
	ksft_test_result(!status && !exists(other, "vendor"),
			 "the owner closes it, and the removal ends\n");
	lu_result_is(lu_try_kexec(), expected("later-file"),
		     "it does not stop an update any more");
	close(refuser);
	if (lu_write_text("..", "rescan", "1") || !exists(other, "vendor"))
		lu_die("the other device does not come back");
}

/* With removals blocked, from the freeze on. */
static void none_removed(void)
{
	lu_result_is(try_write(other, "driver/unbind", other), -EBUSY,
		     "while frozen no other device is unbound");
	lu_result_is(try_write(other, "remove", "1"), -EBUSY,
		     "nor removed");
	lu_result_is(try_write(other_port, "remove", "1"), -EBUSY,
		     "no port is unbound");
	lu_result_is(try_write(bdf, "sriov_numvfs", "0"), -EBUSY,
		     "no virtual function is disabled");
}

static void interrupts_on(void)
{
	int event = eventfd(0, EFD_CLOEXEC);

	if (lu_vfio_set_irqs(&device, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_IRQ_SET_DATA_EVENTFD, event))
		lu_die_errno("cannot enable MSI-X");
	is_called_off("interrupts", "enabled interrupts");
	if (lu_vfio_set_irqs(&device, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_IRQ_SET_DATA_NONE, -1))
		lu_die_errno("cannot disable MSI-X");
	close(event);
}

/* The next kernel gets it in D0. */
static void low_power(void)
{
	struct vfio_device_feature set = {
		.argsz = sizeof(set),
		.flags = VFIO_DEVICE_FEATURE_SET |
			 VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
	};
	int err = ioctl(device.fd, VFIO_DEVICE_FEATURE, &set) ? -errno : 0;

	lu_result_is(err, expected("low-power"),
		     "its owner cannot put it to sleep");
}

/* The first page of BAR 0. */
static int export_bar(void)
{
	struct {
		struct vfio_device_feature feature;
		uint32_t region_index;
		uint32_t open_flags;
		uint32_t flags;
		uint32_t nr_ranges;
		struct vfio_region_dma_range range;
	} get = {
		.feature = {
			.argsz = sizeof(get),
			.flags = VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_DMA_BUF,
		},
		.region_index = VFIO_PCI_BAR0_REGION_INDEX,
		.open_flags = O_CLOEXEC,
		.nr_ranges = 1,
		.range.length = getpagesize(),
	};
	int fd = ioctl(device.fd, VFIO_DEVICE_FEATURE, &get);

	return fd < 0 ? -errno : fd;
}

static void bar_exports(int fd)
{
	lu_result_is(export_bar(), expected("dma-buf"),
		     "its BARs cannot be exported");
	is_called_off("dma-buf", "BARs that were exported before");
	close(fd);
}

/* Nothing is even frozen for an image that could not take the device over. */
static void wrong_images(void)
{
	lu_load_stranger();
	lu_result_is(lu_try_kexec(), expected("kexec-load"),
		     "an image from kexec_load() is not started");
	lu_load_next("kho=off");
	lu_result_is(lu_try_kexec(), expected("kho-off"),
		     "nor one that is told kho=off");
	lu_load_next("liveupdate=off");
	lu_result_is(lu_try_kexec(), expected("liveupdate-off"),
		     "nor one that is told liveupdate=off");
	lu_load_next("mem=512M");
	lu_result_is(lu_try_kexec(), expected("memory-options"),
		     "nor one that is told to use less memory");
	lu_load_next("");
	ksft_test_result(states_are("outgoing") && all_can_be_written(),
			 "that changes nothing\n");
}

/*
 * The module liveupdate_lock holds the lock, as a driver's probe or a reset does,
 * until the process that loads it is killed.
 */
static void while_locked(void)
{
	int err, tries = 0;
	char device[32];
	pid_t pid;

	snprintf(device, sizeof(device), "bdf=%s", other_port);
	pid = fork();
	if (pid < 0)
		lu_die_errno("fork");
	if (!pid) {
		close_range(3, ~0U, 0);
		execlp("insmod", "insmod", getenv("LOCK_MODULE"), device, NULL);
		_exit(1);
	}
	do {
		usleep(100000);
		err = lu_try_kexec();
	} while (err == expected("later-file") && ++tries < 20);
	lu_result_is(err, expected("being-removed"),
		     "a device that is locked aborts the update");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	lu_result_is(lu_try_kexec(), expected("later-file"),
		     "it can be tried again when it is unlocked");
}

static void called_off(int session)
{
	uint16_t command = lu_pci_command(bdf);
	int fd = lu_refuser();

	if (luo_session_preserve_fd(session, fd, 2))
		lu_die("the file that refuses cannot be preserved");
	lu_result_is(lu_try_kexec(), expected("later-file"),
		     "a file that is frozen later aborts it");
	ksft_test_result(states_are("outgoing"), "everything is thawed\n");
	ksft_test_result(!(command & PCI_COMMAND_INTX_DISABLE) &&
			 lu_pci_command(bdf) == command,
			 "its INTx is as it was\n");
	ksft_test_result(all_can_be_written(),
			 "its owner can write to it again\n");
	lu_result_is(lu_try_kexec(), expected("later-file"),
		     "it can be tried again");
	ksft_test_result(all_can_be_written(),
			 "and is thawed again\n");
	while_locked();
	close(fd);
}

/* PCI freezes before the shared state that refuses, and must be unfrozen. */
static void aborted_late(int session)
{
	int fd = open("/dev/liveupdate-test", O_RDWR);

	if (fd < 0 || luo_session_preserve_fd(session, fd, 2))
		lu_die("a test file cannot be preserved");
	if (lu_write_text(SHARED_STATE, "flb_freeze_err", "5"))
		lu_die("shared state cannot be told to refuse");
	lu_result_is(lu_try_kexec(), expected("later-file"),
		     "shared state that is frozen later aborts it");
	ksft_test_result(states_are("outgoing") && all_can_be_written(),
			 "everything is thawed\n");
	lu_result_is(lu_try_kexec(), expected("later-file"),
		     "it can be tried again");
	if (lu_write_text(SHARED_STATE, "flb_freeze_err", "0"))
		lu_die("shared state cannot be told not to refuse");
	close(fd);
}

/* Until the refuser holds the freeze, after the device was frozen. */
static void await_freeze(int refuser)
{
	char log[16384];
	ssize_t len;

	do {
		usleep(1000);
		len = pread(refuser, log, sizeof(log) - 1, 0);
		if (len < 0)
			lu_die_errno("cannot read the log");
		log[len] = '\0';
	} while (!strstr(log, "hold refuser"));
}

static int write_command(uint16_t command)
{
	ssize_t len = pwrite(device.fd, &command, sizeof(command),
			     device.config_offset + PCI_COMMAND);

	return len < 0 ? -errno : 0;
}

static void tell(int refuser, const char *what)
{
	if (write(refuser, what, strlen(what)) < 0)
		lu_die_errno("'%s' is not understood", what);
}

/* While another task is about to replace the kernel. */
static void while_frozen(int session)
{
	uint16_t command = lu_vfio_command(&device);
	struct lu_vfio vfio = open_other();
	int fd = lu_refuser(), status;
	pid_t pid;

	tell(fd, "hold");
	if (luo_session_preserve_fd(session, fd, 2))
		lu_die("the file that refuses cannot be preserved");
	pid = fork();
	if (pid < 0)
		lu_die_errno("fork");
	if (!pid)
		_exit(-lu_try_kexec());
	await_freeze(fd);
	lu_result_is(write_command(command), -EBUSY,
		     "a frozen device is not written to");
	lu_result_is(lu_vfio_set_irqs(&device, VFIO_PCI_MSIX_IRQ_INDEX,
				      VFIO_IRQ_SET_DATA_NONE, -1),
		     -EBUSY, "its interrupts are not changed");
	lu_result_is(ioctl(device.fd, VFIO_DEVICE_RESET) ? -errno : 0, -EBUSY,
		     "it is not reset");
	ksft_test_result(lu_vfio_command(&device) == command,
			 "it can be read\n");
	none_removed();
	close_other(&vfio);
	tell(fd, "go");
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		lu_die("the process that starts the next kernel has died");
	lu_result_is(-WEXITSTATUS(status), expected("later-file"),
		     "that update is aborted, too");
	ksft_test_result(all_can_be_written(),
			 "and the device can be written to\n");
	close(fd);
}

static void again(int session)
{
	close(session);
	ksft_test_result(states_are("none"),
			 "with its session the preservation ends\n");
	session = lu_new_session(luo, "again");
	lu_result_is(preserve(session), 0, "it can be preserved once more");
	close(session);
	ksft_test_result(states_are("none"), "any number of times\n");
}

int main(int argc, char *argv[])
{
	char other_path[LU_PCI_PATH_MAX][LU_PCI_BDF_SIZE];
	int session, fd;

	ksft_print_header();
	ksft_set_plan(56);
	/* The last of them is NULL. */
	expectations = argv + (argc > 0);
	lu_pci_find(LU_IGB_VENDOR, LU_IGB_DEVICE, bdf);
	bridges = lu_pci_path(bdf, path);
	if (!bridges)
		lu_die("%s is on a root bus, there is no bridge to look at", bdf);
	lu_pci_find(E1000E_VENDOR, E1000E_DEVICE, other);
	if (!lu_pci_path(other, other_path))
		lu_die("%s is on a root bus", other);
	snprintf(other_port, sizeof(other_port), "%s", other_path[0]);
	luo = luo_open_device();
	if (luo < 0)
		lu_die_errno("cannot open " LUO_DEVICE);
	lu_pci_bind_vfio(bdf);
	session = lu_new_session(luo, "device");
	not_bound(session);
	lu_vfio_open(&device, bdf);
	lu_vfio_attach(&device);
	lu_vfio_set_command(&device, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);

	virtual_functions(session);
	refusals(session);
	not_taken_away();
	interrupts_on();
	low_power();
	wrong_images();
	called_off(session);
	close(session);
	session = lu_new_session(luo, "late");
	if (preserve(session))
		lu_die("the device cannot be preserved");
	aborted_late(session);
	close(session);
	session = lu_new_session(luo, "removal");
	if (preserve(session))
		lu_die("the device cannot be preserved");
	being_removed(session);
	close(session);
	fd = export_bar();
	if (fd < 0)
		lu_die("BAR 0 cannot be exported: %s", strerror(-fd));
	session = lu_new_session(luo, "frozen");
	if (preserve(session))
		lu_die("the device cannot be preserved again");
	bar_exports(fd);
	while_frozen(session);
	again(session);

	ksft_finished();
}
