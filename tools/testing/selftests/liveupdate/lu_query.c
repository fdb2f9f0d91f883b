// SPDX-License-Identifier: GPL-2.0-only
/*
 * What VFIO_DEVICE_FEATURE_LIVEUPDATE says, compared with what the calls then return;
 * and files that are unpreserved by themselves.
 *
 *	lu_query refuse		without an update
 *	lu_query preserve	a device and its memory, in a session that stays
 *	lu_query finish		take both back in the next kernel
 *	lu_query denied		the same without an IOMMU, first without the module
 *				parameter and the capability that this requires
 *
 * Needs an igb below a root port. 'refuse' also needs an image that is loaded
 * (kexec -l), the module liveupdate_file, of which a file refuses every update that
 * gets so far, and as $LOCK_MODULE liveupdate_lock, not loaded yet.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/iommufd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libliveupdate.h>

#include "lu_die.h"
#include "lu_igb.h"
#include "lu_memory.h"
#include "lu_pci.h"
#include "lu_update.h"
#include "lu_vfio.h"

#define SESSION		"query"
#define TOKEN_DEVICE	1
#define TOKEN_MEMORY	2
#define TOKEN_REFUSER	3

#define MEMORY_SIZE	0x400000ul
#define MEMORY_IOVA	0x40000000ul
#define BAR_IOVA	0x80000000ul
#define REFUSER		5	/* EIO: reached, so that nothing else has refused */

static char bdf[LU_PCI_BDF_SIZE];
static char port[LU_PCI_BDF_SIZE];
static struct lu_vfio device;
static int luo, memory;

/* --- tools ---------------------------------------------------------------- */

static void must(int err, const char *what)
{
	if (err)
		lu_die("%s: %s", what, strerror(-err));
}

static int feature(int fd, uint32_t flags, void *data, size_t size)
{
	struct {
		struct vfio_device_feature feature;
		uint8_t data[64];
	} call = {
		.feature = {
			.argsz = sizeof(call.feature) + size,
			.flags = flags,
		},
	};

	if (ioctl(fd, VFIO_DEVICE_FEATURE, &call))
		return -errno;
	memcpy(data, call.data, size);
	return 0;
}

static struct vfio_device_feature_liveupdate query(void)
{
	struct vfio_device_feature_liveupdate info;

	memset(&info, 0xff, sizeof(info));
	must(feature(device.fd, VFIO_DEVICE_FEATURE_GET |
				VFIO_DEVICE_FEATURE_LIVEUPDATE,
		     &info, sizeof(info)), "VFIO_DEVICE_FEATURE_LIVEUPDATE");
	if (info.reserved)
		lu_die("reserved is %u", info.reserved);
	return info;
}

static bool is(uint32_t state, uint32_t reason, uint32_t err, uint64_t iova)
{
	struct vfio_device_feature_liveupdate info = query();

	if (info.state == state && info.reason == reason && info.error == err &&
	    info.iova == iova)
		return true;
	ksft_print_msg("state %u reason %u errno %u IOVA %#llx, and not %u %u %u %#llx\n",
		       info.state, info.reason, info.error,
		       (unsigned long long)info.iova, state, reason, err,
		       (unsigned long long)iova);
	return false;
}

/* The reason, without the prefix. */
#define NONE(reason, err)						\
	is(VFIO_LIVEUPDATE_STATE_NONE,					\
	   VFIO_LIVEUPDATE_REASON_##reason, err, 0)
#define PRESERVED(reason, err, iova)					\
	is(VFIO_LIVEUPDATE_STATE_PRESERVED,				\
	   VFIO_LIVEUPDATE_REASON_##reason, err, iova)
#define INCOMING(reason, err, iova)					\
	is(VFIO_LIVEUPDATE_STATE_INCOMING,				\
	   VFIO_LIVEUPDATE_REASON_##reason, err, iova)

static bool returns(int got, int want, const char *what)
{
	if (got != want)
		ksft_print_msg("%s: %s and not %s\n", what,
			       got ? strerror(-got) : "success",
			       want ? strerror(-want) : "success");
	return got == want;
}

static int preserve(int session)
{
	return luo_session_preserve_fd(session, device.fd, TOKEN_DEVICE);
}

static bool preserve_returns(int err)
{
	int session = lu_new_session(luo, "preserve");
	bool good = returns(preserve(session), -err, "preserve");

	close(session);
	return good;
}

static bool kexec_returns(int err)
{
	return returns(lu_try_kexec(), -err, "kexec");
}

/* A file with which every update is refused that the device does not refuse. */
static void preserve_refuser(int session)
{
	int fd = lu_refuser();

	must(luo_session_preserve_fd(session, fd, TOKEN_REFUSER), "preserve");
	close(fd);
}

static void attach(bool on)
{
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };

	if (on)
		lu_vfio_attach(&device);
	else if (ioctl(device.fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach))
		lu_die_errno("VFIO_DEVICE_DETACH_IOMMUFD_PT");
}

static void set_parameter(const char *module, const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "../../../module/%s/parameters", module);
	must(lu_write_text(path, name, value), name);
}

static void open_device(void)
{
	lu_pci_bind_vfio(bdf);
	lu_vfio_open(&device, bdf);
}

static void close_device(void)
{
	close(device.fd);
	close(device.iommufd);
}

/* --- a device that is not preserved --------------------------------------- */

static void not_bound(void)
{
	struct vfio_device_feature_liveupdate info;
	struct vfio_device_info device_info = { .argsz = sizeof(device_info) };

	lu_pci_bind_vfio(bdf);
	device.fd = lu_vfio_open_file(bdf);
	ksft_test_result(NONE(NOT_BOUND, EBUSY) && preserve_returns(EBUSY),
			 "a file that is not bound can be asked, and says so\n");
	ksft_test_result(feature(device.fd, VFIO_DEVICE_FEATURE_PROBE |
				 VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_LIVEUPDATE, &info, 0) == 0 &&
			 feature(device.fd, VFIO_DEVICE_FEATURE_SET |
				 VFIO_DEVICE_FEATURE_LIVEUPDATE,
				 &info, sizeof(info)) == -EINVAL &&
			 feature(device.fd, VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_LIVEUPDATE,
				 &info, sizeof(info) - 1) == -EINVAL,
			 "it can be probed, and only be read\n");
	ksft_test_result(feature(device.fd, VFIO_DEVICE_FEATURE_PROBE |
				 VFIO_DEVICE_FEATURE_DMA_BUF,
				 &info, 0) == -EINVAL &&
			 ioctl(device.fd, VFIO_DEVICE_GET_INFO, &device_info) < 0 &&
			 errno == EINVAL,
			 "nothing else is possible with it\n");
	close(device.fd);
}

static void not_attached(void)
{
	bool translated;

	open_device();
	translated = lu_vfio_is_translated(&device);
	ksft_test_result((translated ? NONE(NOT_ATTACHED, ENXIO) :
				       NONE(READY, 0)) &&
			 preserve_returns(translated ? ENXIO : 0),
			 "a device behind an IOMMU must be attached\n");
	attach(true);
	ksft_test_result(NONE(READY, 0) && preserve_returns(0) && NONE(READY, 0),
			 "one that is attached can be preserved\n");
}

static void virtual_functions(void)
{
	bool good;

	set_parameter("vfio_pci", "enable_sriov", "1");
	must(lu_write_text(bdf, "sriov_numvfs", "1"), "sriov_numvfs");
	good = NONE(VIRTUAL_FUNCTIONS, EBUSY) && preserve_returns(EBUSY);
	must(lu_write_text(bdf, "sriov_numvfs", "0"), "sriov_numvfs");
	ksft_test_result(good && NONE(READY, 0), "virtual functions\n");
}

/* The parameter is read when the driver is bound. */
static void intx(void)
{
	close_device();
	must(lu_write_text(bdf, "driver/unbind", bdf), "unbind");
	set_parameter("vfio_pci", "nointxmask", "1");
	open_device();
	attach(true);
	ksft_test_result(NONE(INTX, EOPNOTSUPP) && preserve_returns(EOPNOTSUPP),
			 "INTx that cannot be masked\n");
	close_device();
	must(lu_write_text(bdf, "driver/unbind", bdf), "unbind");
	set_parameter("vfio_pci", "nointxmask", "0");
	open_device();
	attach(true);
}

/* The module liveupdate_lock holds the lock of the port until it is killed. */
static void refused_by_pci(void)
{
	char arg[32];
	bool good = true;
	int tries = 0;
	pid_t pid;

	snprintf(arg, sizeof(arg), "bdf=%s", port);
	pid = fork();
	if (pid < 0)
		lu_die_errno("fork");
	if (!pid) {
		close_range(3, ~0U, 0);
		execlp("insmod", "insmod", getenv("LOCK_MODULE"), arg, NULL);
		_exit(1);
	}
	while (good && query().reason != VFIO_LIVEUPDATE_REASON_PCI) {
		int session = lu_new_session(luo, "locked");

		preserve(session);
		close(session);
		good = ++tries < 50;
		usleep(100000);
	}
	good = NONE(PCI, EBUSY) && preserve_returns(EBUSY);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ksft_test_result(good && NONE(PCI, EBUSY) && preserve_returns(0) &&
			 NONE(READY, 0),
			 "a refusal by PCI is remembered until the next call\n");
}

/* The first page of BAR 0. */
static int export_bar(void)
{
	struct {
		struct vfio_device_feature feature;
		struct vfio_device_feature_dma_buf get;
		struct vfio_region_dma_range range;
	} call = {
		.feature = {
			.argsz = sizeof(call),
			.flags = VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_DMA_BUF,
		},
		.get = {
			.region_index = VFIO_PCI_BAR0_REGION_INDEX,
			.open_flags = O_CLOEXEC,
			.nr_ranges = 1,
		},
		.range.length = getpagesize(),
	};
	int fd = ioctl(device.fd, VFIO_DEVICE_FEATURE, &call);

	if (fd < 0)
		lu_die_errno("BAR 0 cannot be exported");
	return fd;
}

static void refused_by_iommu(void)
{
	int fd = export_bar();
	bool good;

	lu_vfio_set_command(&device, PCI_COMMAND_MEMORY);
	must(lu_vfio_try_map(&device, fd, getpagesize(), BAR_IOVA), "map BAR 0");
	good = NONE(READY, 0) && preserve_returns(EOPNOTSUPP) &&
	       NONE(IOMMU, EOPNOTSUPP);
	lu_vfio_unmap_memory(&device, getpagesize(), BAR_IOVA);
	close(fd);
	ksft_test_result(good && preserve_returns(0) && NONE(READY, 0),
			 "a refusal by the IO address space is remembered, too\n");
}

/* --- a device that is preserved ------------------------------------------- */

static int preserved_session(void)
{
	int session = lu_new_session(luo, "preserved");

	must(preserve(session), "preserve the device");
	preserve_refuser(session);
	return session;
}

static void ready(void)
{
	int session = preserved_session();

	ksft_test_result(PRESERVED(READY, 0, 0) && kexec_returns(REFUSER) &&
			 PRESERVED(READY, 0, 0),
			 "a preserved device\n");
	close(session);
}

static void unmasked_interrupts(void)
{
	int session = preserved_session(), event = eventfd(0, EFD_CLOEXEC);

	must(lu_vfio_set_irqs(&device, VFIO_PCI_MSIX_IRQ_INDEX,
			      VFIO_IRQ_SET_DATA_EVENTFD, event), "MSI-X");
	ksft_test_result(PRESERVED(INTERRUPTS, EBUSY, 0) && kexec_returns(EBUSY),
			 "interrupts that are not masked\n");
	must(lu_vfio_mask_irq(&device, VFIO_PCI_MSIX_IRQ_INDEX, true), "mask");
	ksft_test_result(PRESERVED(READY, 0, 0) && kexec_returns(REFUSER),
			 "and that are\n");
	must(lu_vfio_set_irqs(&device, VFIO_PCI_MSIX_IRQ_INDEX,
			      VFIO_IRQ_SET_DATA_NONE, -1), "disable MSI-X");
	close(event);
	close(session);
}

/* The administrator has forbidden it to be suspended, so it is in D0. */
static void low_power(void)
{
	int session, nothing;

	must(lu_write_text(bdf, "power/control", "on"), "power/control");
	must(feature(device.fd, VFIO_DEVICE_FEATURE_SET |
				VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
		     &nothing, 0), "LOW_POWER_ENTRY");
	session = preserved_session();
	ksft_test_result(PRESERVED(LOW_POWER, EBUSY, 0) && kexec_returns(EBUSY),
			 "low power states\n");
	must(feature(device.fd, VFIO_DEVICE_FEATURE_SET |
				VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
		     &nothing, 0), "LOW_POWER_EXIT");
	close(session);
	must(lu_write_text(bdf, "power/control", "auto"), "power/control");
}

static void dma_bufs(void)
{
	int fd = export_bar(), session = preserved_session();

	ksft_test_result(PRESERVED(DMA_BUFS, EBUSY, 0) && kexec_returns(EBUSY),
			 "exported BARs\n");
	close(fd);
	close(session);
}

static bool done;

static void *reset(void *unused)
{
	if (ioctl(device.fd, VFIO_DEVICE_RESET))
		lu_die_errno("VFIO_DEVICE_RESET");
	__atomic_store_n(&done, true, __ATOMIC_RELEASE);
	return unused;
}

static struct vfio_region_info region_info(uint32_t index)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	if (ioctl(device.fd, VFIO_DEVICE_GET_REGION_INFO, &info) || !info.size)
		lu_die("the device has no such region: %u", index);
	return info;
}

static void *read_rom(void *unused)
{
	struct vfio_region_info rom = region_info(VFIO_PCI_ROM_REGION_INDEX);
	void *bytes = malloc(rom.size);

	if (!bytes || pread(device.fd, bytes, rom.size, rom.offset) < 1)
		lu_die_errno("its ROM cannot be read");
	free(bytes);
	__atomic_store_n(&done, true, __ATOMIC_RELEASE);
	return unused;
}

#define MOMENTS	100

/* Until @reason is seen while @run runs. */
static bool seen_in_moment(void *(*run)(void *), uint32_t reason)
{
	pthread_t thread;
	bool seen = false;

	done = false;
	if (pthread_create(&thread, NULL, run, NULL))
		lu_die("there is no thread");
	while (!seen && !__atomic_load_n(&done, __ATOMIC_ACQUIRE))
		seen = query().reason == reason;
	pthread_join(thread, NULL);
	return seen;
}

static bool seen_during(void *(*run)(void *), uint32_t reason)
{
	for (int i = 0; i < MOMENTS; i++)
		if (seen_in_moment(run, reason))
			return true;
	return false;
}

static void short_moments(void)
{
	int session = preserved_session();

	ksft_test_result(seen_during(reset, VFIO_LIVEUPDATE_REASON_RESET) &&
			 PRESERVED(READY, 0, 0), "a reset\n");
	ksft_test_result(seen_during(read_rom, VFIO_LIVEUPDATE_REASON_ROM) &&
			 PRESERVED(READY, 0, 0), "a read of the ROM\n");
	close(session);
}

/* PCI is asked after all files, so that there is none that refuses. */
static void was_reset(void)
{
	int session = lu_new_session(luo, "reset");

	must(preserve(session), "preserve the device");
	must(lu_write_text(port, "reset_subordinate", "1"), "reset_subordinate");
	ksft_test_result(PRESERVED(WAS_RESET, ESTALE, 0) && kexec_returns(ESTALE),
			 "a reset by others\n");
	close(session);
}

static bool can_be_mapped(void)
{
	int err = lu_vfio_try_map(&device, memory, MEMORY_SIZE,
				  MEMORY_IOVA + MEMORY_SIZE);

	if (!err)
		lu_vfio_unmap_memory(&device, MEMORY_SIZE, MEMORY_IOVA + MEMORY_SIZE);
	return !err;
}

static void one_by_one(void)
{
	int session, other = lu_new_session(luo, "other");

	lu_vfio_map_memory(&device, memory, MEMORY_SIZE, MEMORY_IOVA);
	session = preserved_session();
	ksft_test_result(PRESERVED(MEMORY, EOPNOTSUPP, MEMORY_IOVA) &&
			 kexec_returns(EOPNOTSUPP),
			 "memory that is not preserved, with its IOVA\n");
	must(luo_session_preserve_fd(session, memory, TOKEN_MEMORY), "preserve");
	ksft_test_result(PRESERVED(READY, 0, 0) && kexec_returns(REFUSER),
			 "and that is\n");

	ksft_test_result(!can_be_mapped() &&
			 !luo_session_unpreserve_fd(session, TOKEN_DEVICE) &&
			 NONE(READY, 0) && lu_state_is(bdf, "none") &&
			 can_be_mapped(),
			 "the device can be unpreserved by itself\n");
	lu_result_is(luo_session_preserve_fd(other, memory, TOKEN_MEMORY), -EBUSY,
		     "its memory stays preserved\n");
	must(preserve(session), "preserve the device");
	/* Files are frozen in the order in which they are preserved. */
	must(luo_session_unpreserve_fd(session, TOKEN_REFUSER), "unpreserve");
	preserve_refuser(session);
	ksft_test_result(PRESERVED(READY, 0, 0) && kexec_returns(REFUSER),
			 "it can be preserved again\n");
	must(luo_session_unpreserve_fd(session, TOKEN_MEMORY), "unpreserve");
	ksft_test_result(PRESERVED(MEMORY, EOPNOTSUPP, MEMORY_IOVA) &&
			 kexec_returns(EOPNOTSUPP),
			 "without its memory no update starts\n");
	must(luo_session_unpreserve_fd(session, TOKEN_DEVICE), "unpreserve");
	must(luo_session_unpreserve_fd(session, TOKEN_REFUSER), "unpreserve");
	lu_result_is(luo_session_unpreserve_fd(session, TOKEN_DEVICE), -ENOENT,
		     "nothing is unpreserved twice");
	close(session);
	close(other);
}

static void refuse(void)
{
	ksft_set_plan(24);
	not_bound();
	not_attached();
	virtual_functions();
	intx();
	refused_by_pci();
	refused_by_iommu();
	ready();
	unmasked_interrupts();
	low_power();
	dma_bufs();
	short_moments();
	was_reset();
	one_by_one();
	close_device();
}

/* --- an update ------------------------------------------------------------ */

static bool has_rom_address(void)
{
	uint8_t config[LU_PCI_CONFIG_SIZE];

	lu_pci_read_config(bdf, config);
	return config[PCI_ROM_ADDRESS + 2] || config[PCI_ROM_ADDRESS + 3];
}

/*
 * As firmware, or a hot plug, that has not given it an address. Without a driver,
 * which would restore it when it resumes the device.
 */
static void clear_rom_bar(void)
{
	lu_write_text(bdf, "driver/unbind", bdf);
	lu_pci_write_word(bdf, PCI_ROM_ADDRESS, 0);
	lu_pci_write_word(bdf, PCI_ROM_ADDRESS + 2, 0);
}

/* The memory's first bytes are the config space that the owner of the device sees. */
static uint8_t *config_of(int fd)
{
	return lu_memory_map(fd, MEMORY_SIZE);
}

static void preserve_it(void)
{
	int session;

	ksft_set_plan(1);
	clear_rom_bar();
	open_device();
	if (has_rom_address())
		lu_die("its ROM has an address when it is opened");
	attach(true);
	lu_vfio_map_memory(&device, memory, MEMORY_SIZE, MEMORY_IOVA);
	lu_vfio_set_command(&device, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	read_rom(NULL);
	if (!has_rom_address())
		lu_die("its ROM was read and has no address");
	lu_vfio_read_config(&device, config_of(memory), LU_PCI_CONFIG_SIZE);
	session = lu_new_session(luo, SESSION);
	must(preserve(session), "preserve the device");
	must(luo_session_preserve_fd(session, memory, TOKEN_MEMORY), "preserve");
	ksft_test_result(PRESERVED(READY, 0, 0), "ready for the next kernel\n");
	ksft_print_cnts();
	lu_stay_behind(ksft_get_fail_cnt() ? KSFT_FAIL : KSFT_PASS);
}

static int try_bind(void)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC),
	};

	if (bind.iommufd < 0)
		lu_die_errno("cannot open /dev/iommu");
	device.iommufd = bind.iommufd;
	return ioctl(device.fd, VFIO_DEVICE_BIND_IOMMUFD, &bind) ? -errno : 0;
}

static bool finish_returns(int session, int err)
{
	return returns(luo_session_finish(session), -err, "finish");
}

static bool same_config(void)
{
	uint8_t now[LU_PCI_CONFIG_SIZE];
	const uint8_t *was = config_of(memory);
	bool same = true;

	device.config_offset = region_info(VFIO_PCI_CONFIG_REGION_INDEX).offset;
	lu_vfio_read_config(&device, now, sizeof(now));
	for (unsigned int i = 0; i < sizeof(now); i++) {
		if (now[i] == was[i])
			continue;
		ksft_print_msg("at %#x there is %#x and was %#x\n", i, now[i], was[i]);
		same = false;
	}
	return same;
}

#define FINISH_POINTS	7

static void finish_it(int session)
{
	bool translated;

	memory = lu_retrieve(session, TOKEN_MEMORY);
	snprintf(device.bdf, sizeof(device.bdf), "%s", bdf);
	device.fd = lu_retrieve(session, TOKEN_DEVICE);
	ksft_test_result(INCOMING(NOT_BOUND, EBUSY, 0) &&
			 finish_returns(session, EBUSY),
			 "a file that was retrieved and is not bound\n");
	must(try_bind(), "the device, whose ROM has got an address, cannot be bound");
	ksft_test_result_pass("it can be bound although its ROM has got an address\n");
	ksft_test_result(same_config(), "it has the same config space\n");
	ksft_test_result(INCOMING(NOT_ATTACHED, EBUSY, 0) &&
			 finish_returns(session, EBUSY),
			 "and that is not attached\n");
	translated = lu_vfio_is_translated(&device);
	if (translated) {
		lu_vfio_map_memory(&device, memory, MEMORY_SIZE, MEMORY_IOVA);
		attach(true);
		ksft_test_result_skip("attaching requires that its memory is mapped\n");
	} else {
		attach(true);
		ksft_test_result(INCOMING(NOT_MAPPED, EBUSY, MEMORY_IOVA) &&
				 finish_returns(session, EBUSY),
				 "memory that is not mapped, with its IOVA\n");
		lu_vfio_map_memory(&device, memory, MEMORY_SIZE, MEMORY_IOVA);
	}
	ksft_test_result(INCOMING(READY, 0, 0) && finish_returns(session, 0),
			 "ready to finish\n");
	ksft_test_result(NONE(READY, 0) && preserve_returns(0),
			 "and to be preserved again\n");
	close(session);
}

/* Returns what a process without the capability gets. */
static int retrieve_without_rawio(int session)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	pid_t pid = fork();
	int status, fd;

	if (pid < 0)
		lu_die_errno("fork");
	if (!pid) {
		if (syscall(__NR_capget, &header, data))
			_exit(255);
		data[0].effective &= ~(1u << CAP_SYS_RAWIO);
		if (syscall(__NR_capset, &header, data))
			_exit(255);
		fd = luo_session_retrieve_fd(session, TOKEN_DEVICE);
		_exit(fd < 0 ? -fd : 0);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) == 255)
		lu_die("the process without CAP_SYS_RAWIO has died");
	return -WEXITSTATUS(status);
}

static void set_noiommu(const char *value)
{
	set_parameter("vfio", "enable_unsafe_noiommu_mode", value);
}

/* The kernel was started without the parameter. */
static void denied(void)
{
	int session = lu_old_session(luo, SESSION), fd;

	ksft_set_plan(7 + FINISH_POINTS);
	lu_result_is(luo_session_retrieve_fd(session, TOKEN_DEVICE), -EPERM,
		     "without the module parameter it is not retrieved");
	lu_result_is(luo_session_retrieve_fd(session, TOKEN_DEVICE), -EPERM,
		     "that is said each time");
	set_noiommu("1");
	lu_result_is(luo_session_retrieve_fd(session, TOKEN_DEVICE), -EAGAIN,
		     "then its driver has to be bound");
	must(lu_write_text("..", "drivers_probe", bdf), "drivers_probe");
	lu_result_is(retrieve_without_rawio(session), -EPERM,
		     "without CAP_SYS_RAWIO it is not retrieved");
	fd = lu_retrieve(session, TOKEN_DEVICE);
	lu_result_is(retrieve_without_rawio(session), -EPERM,
		     "not while another process has it, either");
	set_noiommu("0");
	lu_result_is(luo_session_retrieve_fd(session, TOKEN_DEVICE), -EPERM,
		     "nor when the parameter is taken back");
	set_noiommu("1");
	ksft_test_result(lu_state_is(bdf, "incoming"), "nothing has changed\n");
	close(fd);
	finish_it(session);
}

int main(int argc, char *argv[])
{
	char path[LU_PCI_PATH_MAX][LU_PCI_BDF_SIZE];
	const char *what = argc == 2 ? argv[1] : "";

	ksft_print_header();
	lu_pci_find(LU_IGB_VENDOR, LU_IGB_DEVICE, bdf);
	if (!lu_pci_path(bdf, path))
		lu_die("%s is on a root bus", bdf);
	snprintf(port, sizeof(port), "%s", path[0]);
	luo = luo_open_device();
	if (luo < 0)
		lu_die_errno("cannot open " LUO_DEVICE);
	if (!strcmp(what, "finish")) {
		ksft_set_plan(FINISH_POINTS);
		finish_it(lu_old_session(luo, SESSION));
		ksft_finished();
	}
	if (!strcmp(what, "denied")) {
		denied();
		ksft_finished();
	}
	memory = lu_memory_create("memory", MEMORY_SIZE, true);
	if (!strcmp(what, "preserve"))
		preserve_it();
	if (strcmp(what, "refuse"))
		lu_die("usage: lu_query refuse|preserve|finish|denied");
	refuse();
	ksft_finished();
}
