// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many functions in one update, and one whose every allocation fails.
 *
 *	lu_functions preserve N	the first N of them, in one session that stays
 *	lu_functions finish N	take them back in the next kernel, and finish
 *	lu_functions off N	count what calling such an update off takes
 *	lu_functions failing N	fail each allocation of preserving the first, then
 *				preserve N
 *	lu_functions failed N	the same for getting them back and taking them over
 *	lu_functions lost N	they are quarantined: they do not run, none is given back
 *	lu_functions one-lost N	the first is, and the others are taken over
 *	lu_functions refused N ERRNO
 *				preserve N, and the freeze fails with this number
 *	lu_functions beside	preserve the first while another one is incoming
 *	lu_functions share N	preserve N functions, 3 at least, that have one IOAS;
 *				the first two have the same page table
 *	lu_functions shared N	attach them one after the other, and finish
 *	lu_functions apart N	preserve N functions, each with an IOAS, memory and a
 *				session of its own
 *	lu_functions ended N	end these sessions one after the other: finish the
 *				first, abandon the second, and so on
 *
 * The functions are those of an 82574 (e1000e), and of QEMU's pci-testdev, which
 * needs no driver. They are taken in the order of their names.
 * From 'share' on they must be 82574s behind an IOMMU, and they do DMA.
 * 'off' loads what $NEXT_KERNEL, $NEXT_INITRD and $NEXT_CMDLINE name, and needs the
 * module liveupdate_file.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <linux/kvm.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

#include <libliveupdate.h>

#include "lu_access.h"
#include "lu_die.h"
#include "lu_fail.h"
#include "lu_memory.h"
#include "lu_pci.h"
#include "lu_update.h"
#include "lu_vfio.h"
#include "lu_vm.h"

#define SESSION		"functions"
#define MAX_FUNCTIONS	64
/* Bounds a sweep. */
#define MAX_ALLOCATIONS	2000

static struct function {
	char bdf[LU_PCI_BDF_SIZE];
	struct lu_vfio vfio;
	struct ring *ring;	/* of one that does DMA */
} functions[MAX_FUNCTIONS];

static int luo;

/* --- the functions -------------------------------------------------------- */

static int is_ours(const struct dirent *e)
{
	return e->d_name[0] != '.' &&
	       (lu_pci_is(e->d_name, 0x8086, 0x10d3) ||
		lu_pci_is(e->d_name, 0x1b36, 0x0005));
}

static void find(int wanted)
{
	struct dirent **names;
	int i, n = scandir("/sys/bus/pci/devices", &names, is_ours, alphasort);

	if (wanted < 0 || wanted > MAX_FUNCTIONS)
		lu_die("between 0 and %d functions can be asked for",
		       MAX_FUNCTIONS);
	if (n < wanted)
		lu_die("there are %d functions, not %d", n, wanted);
	for (i = 0; i < n; i++) {
		if (i < wanted)
			snprintf(functions[i].bdf, LU_PCI_BDF_SIZE, "%.15s",
				 names[i]->d_name);
		free(names[i]);
	}
	free(names);
}

static void open_all(int n)
{
	struct function *f;

	for (f = functions; f < functions + n; f++) {
		lu_pci_bind_vfio(f->bdf);
		lu_vfio_open(&f->vfio, f->bdf);
		lu_vfio_attach(&f->vfio);
		lu_vfio_set_command(&f->vfio, PCI_COMMAND_MEMORY |
					      PCI_COMMAND_MASTER);
	}
}

static void preserve_all(int session, int n)
{
	int i, err;

	for (i = 0; i < n; i++) {
		err = luo_session_preserve_fd(session, functions[i].vfio.fd, i);
		if (err)
			lu_die("%s cannot be preserved: %s", functions[i].bdf,
			       strerror(-err));
	}
}

static bool all_are(int n, const char *state)
{
	bool good = true;
	int i;

	for (i = 0; i < n; i++)
		good &= lu_state_is(functions[i].bdf, state);
	return good;
}

static bool path_is(char path[][LU_PCI_BDF_SIZE], int bridges, const char *state)
{
	bool good = true;
	int i;

	for (i = 0; i < bridges; i++)
		good &= lu_state_is(path[i], state);
	return good;
}

static bool all_are_masters(int n)
{
	bool good = true;
	int i;

	for (i = 0; i < n; i++)
		good &= !!(lu_pci_command(functions[i].bdf) &
			   PCI_COMMAND_MASTER);
	return good;
}

/* Stay alive, with all files open. */
static void stay(void)
{
	/* Another program may need it. */
	close(luo);
	ksft_print_cnts();
	lu_stay_behind(ksft_get_fail_cnt() ? KSFT_FAIL : KSFT_PASS);
}

/* What a bridge is at the freeze counts, not what it was when it was preserved. */
static void set_bridges_serr(int n, bool on)
{
	char path[LU_PCI_PATH_MAX][LU_PCI_BDF_SIZE];
	int bridges, i, b;
	uint16_t command;

	for (i = 0; i < n; i++) {
		bridges = lu_pci_path(functions[i].bdf, path);
		for (b = 0; b < bridges; b++) {
			command = lu_pci_command(path[b]) & ~PCI_COMMAND_SERR;
			lu_pci_write_word(path[b], PCI_COMMAND, command |
					  (on ? PCI_COMMAND_SERR : 0));
		}
	}
}

/* --- many ----------------------------------------------------------------- */

static void preserve(int n)
{
	ksft_set_plan(1);
	open_all(n);
	preserve_all(lu_new_session(luo, SESSION), n);
	set_bridges_serr(n, false);
	ksft_test_result(all_are(n, "outgoing"), "%d functions are preserved\n",
			 n);
	stay();
}

/* A device that runs for a file cannot be opened by its path. */
static int try_open(const struct function *f)
{
	char name[64], path[128];
	int fd, err = 0;

	lu_pci_vfio_name(f->bdf, name, sizeof(name));
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		err = -errno;
	else
		close(fd);
	return err;
}

static int try_set_container(int group)
{
	int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);

	if (container < 0)
		lu_die_errno("cannot open /dev/vfio/vfio");
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) ||
	    ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return -errno;
	return 0;
}

/* Nor by its group; without an IOMMU even the container does not matter. */
static int try_open_group(const struct function *f, int *want)
{
	char link[128], group[128], path[160], name[64];
	bool translated;
	ssize_t len;
	int fd, err = 0;

	snprintf(link, sizeof(link), "/sys/bus/pci/devices/%s/iommu_group",
		 f->bdf);
	len = readlink(link, group, sizeof(group) - 1);
	if (len < 0)
		lu_die_errno("%s has no group", f->bdf);
	group[len] = '\0';
	lu_pci_vfio_name(f->bdf, name, sizeof(name));
	translated = strncmp(name, "noiommu-", strlen("noiommu-"));
	*want = translated ? -EPERM : -EBUSY;
	snprintf(path, sizeof(path), "/dev/vfio/%s%s",
		 translated ? "" : "noiommu-", strrchr(group, '/') + 1);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		lu_die_errno("cannot open %s", path);
	if (translated)
		err = try_set_container(fd);
	if (!err && ioctl(fd, VFIO_GROUP_GET_DEVICE_FD, f->bdf) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* Nothing here would wake it up again. */
static int suspend(void)
{
	int fd = open("/sys/power/state", O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		lu_die_errno("cannot open /sys/power/state");
	if (write(fd, "mem", 3) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* The owner's config writes are not blocked. */
static bool owner_can_write(struct function *f)
{
	uint16_t was = lu_vfio_command(&f->vfio), now;
	bool arrived;

	lu_vfio_write_command(&f->vfio, was ^ PCI_COMMAND_SERR);
	now = lu_pci_command(f->bdf);
	arrived = (now ^ was) & PCI_COMMAND_SERR;
	lu_vfio_write_command(&f->vfio, was);
	return arrived && !((lu_pci_command(f->bdf) ^ was) & PCI_COMMAND_SERR);
}

static bool msix_is_on(const struct function *f)
{
	uint8_t config[LU_PCI_CONFIG_SIZE];
	size_t msix;

	lu_pci_read_config(f->bdf, config);
	msix = lu_pci_capability(config, PCI_CAP_ID_MSIX);
	return msix && config[msix + PCI_MSIX_FLAGS + 1] &
	       PCI_MSIX_FLAGS_ENABLE >> 8;
}

static bool owner_has_interrupts(struct function *f)
{
	int event = eventfd(0, EFD_CLOEXEC);
	bool on;

	if (msix_is_on(f) ||
	    lu_vfio_set_irqs(&f->vfio, VFIO_PCI_MSIX_IRQ_INDEX,
			     VFIO_IRQ_SET_DATA_EVENTFD, event))
		return false;
	on = msix_is_on(f);
	close(event);
	return !lu_vfio_set_irqs(&f->vfio, VFIO_PCI_MSIX_IRQ_INDEX,
				 VFIO_IRQ_SET_DATA_NONE, -1) &&
	       on && !msix_is_on(f);
}

static bool all_mask_intx(int n)
{
	bool good = true;
	int i;

	for (i = 0; i < n; i++)
		good &= !!(lu_pci_command(functions[i].bdf) &
			   PCI_COMMAND_INTX_DISABLE);
	return good;
}

/* Its parameters are those it had, whatever this kernel's vfio-pci is told. */
static int preserve_again(struct function *f)
{
	int session = lu_new_session(luo, "again"), err;

	close(f->vfio.fd);
	close(f->vfio.iommufd);
	lu_vfio_open(&f->vfio, f->bdf);
	lu_vfio_attach(&f->vfio);
	err = luo_session_preserve_fd(session, f->vfio.fd, 0);
	close(session);
	return err;
}

/* --- the VM of a function -------------------------------------------------- */

/* One that does nothing but own devices. */
static void create_vm(struct lu_vm *vm)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	vm->vfio_fd = -1;
	vm->vm_fd = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm->vm_fd < 0)
		lu_die_errno("cannot create a VM");
	close(kvm);
}

static void close_vm(struct lu_vm *vm)
{
	close(vm->vfio_fd);
	close(vm->vm_fd);
}

static int is_vm(const struct dirent *e)
{
	return isdigit((unsigned char)e->d_name[0]);
}

/* A VM that is closed exists as long as one of its devices has a reference. */
static int existing_vms(void)
{
	struct dirent **names;
	int i, n = scandir("/sys/kernel/debug/kvm", &names, is_vm, NULL);

	if (n < 0)
		lu_die_errno("cannot read /sys/kernel/debug/kvm");
	for (i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return n;
}

/* Two test results. */
static void bind_in_order(struct function *f, int fd)
{
	struct lu_vm vm;

	create_vm(&vm);
	lu_result_is(lu_vm_add_device(&vm, fd), 0,
		     "KVM takes a retrieved file that is not bound");
	lu_vfio_take_over(&f->vfio, f->bdf, fd);
	close_vm(&vm);
	ksft_test_result(existing_vms() == 1,
			 "the device that is bound then has its VM\n");
}

/* Control of that; one test result. */
static void bind_too_early(struct function *f, int fd)
{
	struct lu_vm vm;
	int before = existing_vms();

	create_vm(&vm);
	lu_vfio_take_over(&f->vfio, f->bdf, fd);
	if (lu_vm_add_device(&vm, fd))
		lu_die("KVM does not take a file that is bound");
	close_vm(&vm);
	ksft_test_result(existing_vms() == before,
			 "control: a device that is bound before has not\n");
}

static int retrieve(int session, int i)
{
	int fd = luo_session_retrieve_fd(session, i);

	if (fd < 0)
		lu_die("%s cannot be retrieved: %s", functions[i].bdf,
		       strerror(-fd));
	return fd;
}

/* The first in the order that is documented, the second the other way round. */
static void take_over(int session, int n)
{
	struct function *f;
	int i;

	for (i = 0; i < n; i++) {
		f = &functions[i];
		if (i == 0)
			bind_in_order(f, retrieve(session, i));
		else if (i == 1)
			bind_too_early(f, retrieve(session, i));
		else
			lu_vfio_take_over(&f->vfio, f->bdf, retrieve(session, i));
		lu_vfio_attach(&f->vfio);
	}
}

static void finish(int n)
{
	int session, err, want;

	ksft_set_plan(n > 1 ? 14 : n ? 13 : 4);
	ksft_test_result(all_are(n, "incoming") && all_are_masters(n),
			 "%d functions run\n", n);
	ksft_test_result(all_mask_intx(n), "INTx of all functions is masked\n");
	if (n) {
		lu_result_is(try_open(&functions[0]), -EBUSY,
			     "they are opened by no path");
		err = try_open_group(&functions[0], &want);
		lu_result_is(err, want, "nor by their groups");
		lu_result_is(suspend(), -EBUSY,
			     "nor does the machine fall asleep");
	}
	session = luo_retrieve_session(luo, SESSION);
	if (session < 0)
		lu_die("the session cannot be retrieved: %s",
		       strerror(-session));
	take_over(session, n);
	if (n) {
		ksft_test_result(owner_can_write(&functions[0]),
				 "what an owner writes arrives\n");
		ksft_test_result(owner_has_interrupts(&functions[0]),
				 "it can enable interrupts\n");
	}
	lu_result_is(luo_session_finish(session), 0, "they are taken over");
	ksft_test_result(all_are(n, "none") && all_are_masters(n),
			 "and like any others again\n");
	if (n) {
		/* Closing it waits for the bridges' drivers, which write Command. */
		lu_result_is(preserve_again(&functions[0]), 0,
			     "closed and opened, one is preserved again");
		set_bridges_serr(n, true);
		ksft_test_result(!existing_vms(),
				 "closed, it has released its VM\n");
	}
}

/* QEMU's -icount makes an instruction a cycle, or a fixed number of them. */
static void call_off(int n)
{
	unsigned long long begin, end;
	int session, err;

	ksft_set_plan(1);
	lu_load_next("");
	open_all(n);
	session = lu_new_session(luo, SESSION);
	preserve_all(session, n);
	if (luo_session_preserve_fd(session, lu_refuser(), n))
		lu_die("the file that refuses cannot be preserved");
	begin = __rdtsc();
	err = lu_try_kexec();
	end = __rdtsc();
	ksft_print_msg("cycles of freezing and thawing %d: %llu\n", n,
		       end - begin);
	lu_result_is(err, -EIO, "the update is aborted");
	close(session);
}

/* --- allocations that fail ------------------------------------------------ */

static void failing(int n)
{
	int fail = lu_fail_open(), failed = 0, tolerated = 0, session, err, i;
	char path[LU_PCI_PATH_MAX][LU_PCI_BDF_SIZE];
	int bridges = lu_pci_path(functions[0].bdf, path);
	unsigned int nth;
	bool left = false;

	ksft_set_plan(3);
	open_all(n);
	for (nth = 1; nth <= MAX_ALLOCATIONS; nth++) {
		session = lu_new_session(luo, SESSION);
		lu_fail_nth(fail, nth);
		err = luo_session_preserve_fd(session, functions[0].vfio.fd, 0);
		left = lu_fail_left(fail);
		lu_fail_nth(fail, 0);
		if (!err && left)
			break;
		if (err && !(all_are(1, "none") && path_is(path, bridges, "none")))
			lu_die("half of it is preserved after allocation %u has failed: %s",
			       nth, strerror(-err));
		failed += !!err;
		tolerated += !err;
		close(session);
	}
	ksft_print_msg("%d failed allocations do not matter\n", tolerated);
	lu_result_is(err, 0, "at last it is preserved");
	ksft_test_result(failed > 5, "%d allocations were failed before\n",
			 failed);
	for (i = 1; i < n; i++)
		if (luo_session_preserve_fd(session, functions[i].vfio.fd, i))
			lu_die("%s cannot be preserved", functions[i].bdf);
	ksft_test_result(all_are(n, "outgoing"), "it is outgoing\n");
	stay();
}

static bool runs(const struct function *f)
{
	return lu_state_is(f->bdf, "incoming") &&
	       lu_pci_command(f->bdf) & PCI_COMMAND_MASTER;
}

/*
 * Fails one allocation after the other. A step that has succeeded cannot be undone,
 * so the sweep continues with the next function.
 */
struct sweep {
	int fail;
	unsigned int nth;
	unsigned int failed, tolerated;
	bool done;
};

static void sweep(struct sweep *s, struct function *f,
		  int (*try)(struct function *, int), int fd)
{
	int err;

	do {
		lu_fail_nth(s->fail, s->done ? 0 : ++s->nth);
		err = try(f, fd);
		if (!s->done)
			s->done = lu_fail_left(s->fail);
		lu_fail_nth(s->fail, 0);
		if (!err)
			s->tolerated += !s->done;
		else if (s->done || s->nth == MAX_ALLOCATIONS || !runs(f))
			lu_die("%s is lost when allocation %u fails: %s",
			       f->bdf, s->nth, strerror(-err));
		else
			s->failed++;
	} while (err);
}

static void report(const struct sweep *s, const char *what)
{
	ksft_print_msg("%s: %u allocations failed, %u of them do not matter\n",
		       what, s->failed + s->tolerated, s->tolerated);
	ksft_test_result(s->done && s->failed, "all allocations of %s failed\n",
			 what);
}

static int try_retrieve(struct function *f, int session)
{
	f->vfio.fd = luo_session_retrieve_fd(session, f - functions);

	return f->vfio.fd < 0 ? f->vfio.fd : 0;
}

static int try_bind(struct function *f, int iommufd)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = iommufd,
	};

	f->vfio.iommufd = iommufd;
	return ioctl(f->vfio.fd, VFIO_DEVICE_BIND_IOMMUFD, &bind) ? -errno : 0;
}

/* Returns the id of the HWPT, which is not 0, or a negative errno. */
static int attach_to(struct function *f, int pt)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = pt,
	};

	return ioctl(f->vfio.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach) ?
	       -errno : (int)attach.pt_id;
}

static int try_attach(struct function *f, int ioas)
{
	int hwpt = attach_to(f, ioas);

	return hwpt < 0 ? hwpt : 0;
}

/* Back to the previous kernel's table, which is never refused. */
static unsigned int detach_without_memory(struct function *f, int fail, int ioas)
{
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = sizeof(detach),
	};
	unsigned int nth = 0;
	bool left;

	do {
		lu_fail_nth(fail, ++nth);
		if (ioctl(f->vfio.fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach))
			lu_die_errno("%s is not detached when allocation %u fails",
				     f->bdf, nth);
		left = lu_fail_left(fail);
		lu_fail_nth(fail, 0);
		if (!runs(f) || try_attach(f, ioas))
			lu_die("%s is lost when allocation %u fails", f->bdf,
			       nth);
	} while (!left && nth < MAX_ALLOCATIONS);

	return nth;
}

static void failed(int n)
{
	int session, iommufd;
	struct sweep retrieving = { .fail = lu_fail_open() };
	struct sweep binding = { .fail = retrieving.fail };
	struct sweep attaching = { .fail = retrieving.fail };
	unsigned int detached = 0;
	struct function *f;
	int ioas;

	ksft_set_plan(6);
	session = luo_retrieve_session(luo, SESSION);
	if (session < 0)
		lu_die("the session cannot be retrieved: %s",
		       strerror(-session));
	for (f = functions; f < functions + n; f++) {
		iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
		if (iommufd < 0)
			lu_die_errno("cannot open /dev/iommu");
		sweep(&retrieving, f, try_retrieve, session);
		sweep(&binding, f, try_bind, iommufd);
		ioas = lu_vfio_ioas(&f->vfio);
		sweep(&attaching, f, try_attach, ioas);
		detached += detach_without_memory(f, attaching.fail, ioas);
	}
	report(&retrieving, "giving back");
	report(&binding, "taking over");
	report(&attaching, "attaching");
	ksft_test_result(detached >= n && detached < n * MAX_ALLOCATIONS,
			 "%u times detached without memory\n", detached);
	lu_result_is(luo_session_finish(session), 0, "it can be finished");
	ksft_test_result(all_are(n, "none") && all_are_masters(n),
			 "and all run on\n");
}

/* --- functions that are lost ----------------------------------------------- */

static bool none_is_master(int n)
{
	bool good = true;
	int i;

	for (i = 0; i < n; i++)
		good &= !(lu_pci_command(functions[i].bdf) & PCI_COMMAND_MASTER);
	return good;
}

/* Not even the owner's driver, though nothing else would bind them. */
static bool none_has_driver(int n)
{
	char path[128];
	bool good = true;
	int i;

	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver",
			 functions[i].bdf);
		good &= !!access(path, F_OK);
	}
	return good;
}

static void lost(int n)
{
	int session, fd, i, refused = 0;

	ksft_set_plan(6);
	ksft_test_result(all_are(n, "quarantined"), "%d are quarantined\n", n);
	ksft_test_result(none_has_driver(n), "none of them has a driver\n");
	ksft_test_result(none_is_master(n), "none of them runs\n");
	session = luo_retrieve_session(luo, SESSION);
	if (session < 0)
		lu_die("the session cannot be retrieved: %s",
		       strerror(-session));
	for (i = 0; i < n; i++) {
		fd = luo_session_retrieve_fd(session, i);
		refused += fd == -EIO;
	}
	ksft_test_result(refused == n, "none of them is given back\n");
	lu_result_is(luo_session_finish(session), 0, "they can be finished");
	set_bridges_serr(n, true);
	ksft_test_result(all_are(n, "none"), "and are like any others again\n");
}

/* The first one only. The others are in the same session. */
static void one_lost(int n)
{
	int session, i;

	ksft_set_plan(6);
	ksft_test_result(all_are(1, "quarantined") &&
			 !(lu_pci_command(functions[0].bdf) & PCI_COMMAND_MASTER),
			 "the first function is quarantined\n");
	for (i = 1; i < n && runs(&functions[i]);)
		i++;
	ksft_test_result(i == n, "the others run\n");
	session = luo_retrieve_session(luo, SESSION);
	if (session < 0)
		lu_die("the session cannot be retrieved: %s",
		       strerror(-session));
	lu_result_is(luo_session_retrieve_fd(session, 0), -EIO,
		     "the first is refused");
	for (i = 1; i < n; i++) {
		lu_vfio_take_over(&functions[i].vfio, functions[i].bdf,
				  retrieve(session, i));
		lu_vfio_attach(&functions[i].vfio);
	}
	lu_result_is(luo_session_finish(session), 0, "the others are taken over");
	ksft_test_result(all_are(n, "none"), "all are like any others again\n");
	for (i = 1; i < n && owner_can_write(&functions[i]);)
		i++;
	ksft_test_result(i == n, "the others can be used\n");
	set_bridges_serr(n, true);
}

/* Nothing has changed afterwards. */
static void refused(int n, int err)
{
	int session;

	ksft_set_plan(2);
	lu_load_next("");
	open_all(n);
	session = lu_new_session(luo, SESSION);
	preserve_all(session, n);
	lu_result_is(lu_try_kexec(), -err, "the update is aborted");
	ksft_test_result(all_are(n, "outgoing") && owner_can_write(&functions[0]),
			 "nothing has changed\n");
	close(session);
}

/* --- both directions ------------------------------------------------------ */

static void beside(void)
{
	char path[LU_PCI_PATH_MAX][LU_PCI_BDF_SIZE];
	int bridges, session;

	ksft_set_plan(5);
	/* The last one is not above the other function. */
	bridges = lu_pci_path(functions[0].bdf, path) - 1;
	ksft_test_result(bridges > 0 && path_is(path, bridges, "incoming"),
			 "the bridges above are incoming, for another function\n");
	open_all(1);
	session = lu_new_session(luo, "beside");
	lu_result_is(luo_session_preserve_fd(session, functions[0].vfio.fd, 0),
		     0, "a function below them can be preserved");
	ksft_test_result(all_are(1, "outgoing") &&
			 path_is(path, bridges, "incoming outgoing"),
			 "they are both then\n");
	close(session);
	ksft_test_result(all_are(1, "none") &&
			 path_is(path, bridges, "incoming"),
			 "and incoming alone when it is not any more\n");
	close(functions[0].vfio.fd);
	ksft_test_result(path_is(path, bridges, "incoming"),
			 "also when it is closed\n");
}

/* --- functions that do DMA -------------------------------------------------- */

#define MEMORY_SIZE	0x200000ul
#define MEMORY_IOVA	0x10000000ul
#define SPARE_IOVA	0x20000000ul

/* Of the 82574: transmit registers, and the legacy transmit descriptor. */
#define BAR0_SIZE	0x20000
#define TCTL		0x00400
#define TCTL_EN		0x00000002
#define TDBAL		0x03800
#define TDBAH		0x03804
#define TDLEN		0x03808
#define TDT		0x03818
#define TXD_EOP		0x01000000
#define TXD_RS		0x08000000
#define TXD_DD		0x00000001
/* The smallest ring that TDLEN allows. */
#define RING_ENTRIES	8

/* A page of the memory: a transmit ring, and the frame that is sent. */
struct ring {
	struct {
		uint64_t address;
		uint32_t command;
		uint32_t status;
	} entries[RING_ENTRIES];
	char frame[64];
	char rest[4096 - 64 - 16 * RING_ENTRIES];
};

static uint64_t ring_iova(const struct function *f)
{
	return MEMORY_IOVA + (f - functions) * sizeof(struct ring);
}

/* Maps BAR 0 of a function that is bound, and its page of the memory. */
static void map_ring(struct function *f, int memfd)
{
	struct ring *rings = lu_memory_map(memfd, MEMORY_SIZE);

	f->ring = &rings[f - functions];
	lu_vfio_map_bar0(&f->vfio, BAR0_SIZE);
}

static void start_ring(struct function *f)
{
	void *bar = f->vfio.bar0;

	lu_write_reg(bar, TDBAL, ring_iova(f));
	lu_write_reg(bar, TDBAH, ring_iova(f) >> 32);
	lu_write_reg(bar, TDLEN, sizeof(f->ring->entries));
	lu_write_reg(bar, TCTL, TCTL_EN);
}

/* Sends a frame: the function reads a descriptor, and writes its status back. */
static bool does_dma(struct function *f)
{
	uint32_t tail = lu_read_reg(f->vfio.bar0, TDT);
	uint32_t *status = &f->ring->entries[tail].status;
	int tries = 1000;

	f->ring->entries[tail].address =
		ring_iova(f) + offsetof(struct ring, frame);
	f->ring->entries[tail].command =
		sizeof(f->ring->frame) | TXD_EOP | TXD_RS;
	lu_store(status, 0);
	lu_barrier();
	lu_write_reg(f->vfio.bar0, TDT, (tail + 1) % RING_ENTRIES);
	while (!(lu_load(status) & TXD_DD) && tries--)
		usleep(1000);
	if (tries < 0)
		ksft_print_msg("%s does no DMA\n", f->bdf);
	return tries >= 0;
}

static bool all_do_dma(int n)
{
	bool good = true;
	int i;

	for (i = 0; i < n; i++)
		good &= does_dma(&functions[i]);
	return good;
}

static int get_session(const char *name)
{
	int session = luo_retrieve_session(luo, name);

	if (session < 0)
		lu_die("the session %s cannot be retrieved: %s", name,
		       strerror(-session));
	return session;
}

static int get_file(int session, int token)
{
	int fd = luo_session_retrieve_fd(session, token);

	if (fd < 0)
		lu_die("token %d cannot be retrieved: %s", token, strerror(-fd));
	return fd;
}

static void preserve_file(int session, int fd, int token)
{
	int err = luo_session_preserve_fd(session, fd, token);

	if (err)
		lu_die("token %d cannot be preserved: %s", token, strerror(-err));
}

/* --- one IO address space ---------------------------------------------------- */

/* Binds a file to the iommufd of the first function, to use its IOAS. */
static void join(struct function *f, int fd)
{
	struct lu_vfio *first = &functions[0].vfio;

	if (f == functions)
		lu_vfio_take_over(first, f->bdf, fd);
	else
		lu_vfio_bind(&f->vfio, f->bdf, fd, first->iommufd);
	f->vfio.ioas = lu_vfio_ioas(first);
}

/* A page table of that IOAS, for this function alone. */
static int alloc_hwpt(struct function *f)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.dev_id = f->vfio.id,
		.pt_id = f->vfio.ioas,
	};

	if (ioctl(f->vfio.iommufd, IOMMU_HWPT_ALLOC, &alloc))
		lu_die_errno("IOMMU_HWPT_ALLOC for %s", f->bdf);
	return alloc.out_hwpt_id;
}

static int reattach(struct function *f, int pt)
{
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = sizeof(detach),
	};

	if (ioctl(f->vfio.fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach))
		return -errno;
	return try_attach(f, pt);
}

/* Preserves each in a session of its own, and closes one session after the other. */
static void check_immutable(const int *hwpts, int n, int memfd)
{
	struct lu_vfio *first = &functions[0].vfio;
	int sessions[MAX_FUNCTIONS], i, map, unmap;
	char name[16];

	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "immutable%d", i);
		sessions[i] = lu_new_session(luo, name);
		preserve_file(sessions[i], functions[i].vfio.fd, i);
	}
	for (i = 0; i < n; i++) {
		map = lu_vfio_try_map(first, memfd, MEMORY_SIZE, SPARE_IOVA);
		unmap = lu_vfio_try_unmap(first, MEMORY_SIZE, MEMORY_IOVA);
		ksft_test_result(map == -EBUSY && unmap == -EBUSY,
				 "the IOAS is immutable while %d of %d functions are preserved\n",
				 n - i, n);
		lu_result_is(reattach(&functions[i], hwpts[i]), -EBUSY,
			     "a preserved function cannot be detached");
		close(sessions[i]);
		lu_result_is(reattach(&functions[i], hwpts[i]), 0,
			     "it can when its session is closed");
	}
	lu_result_is(lu_vfio_try_map(first, memfd, MEMORY_SIZE, SPARE_IOVA), 0,
		     "when none is preserved, memory can be mapped");
	lu_result_is(lu_vfio_try_unmap(first, MEMORY_SIZE, SPARE_IOVA), 0,
		     "and unmapped");
}

static void share(int n)
{
	int memfd = lu_memory_create("shared", MEMORY_SIZE, false);
	int hwpts[MAX_FUNCTIONS], session, i;
	struct function *f;

	ksft_set_plan(3 * n + 4);
	for (i = 0; i < n; i++) {
		f = &functions[i];
		lu_pci_bind_vfio(f->bdf);
		join(f, lu_vfio_open_file(f->bdf));
		lu_vfio_set_command(&f->vfio, PCI_COMMAND_MEMORY |
					      PCI_COMMAND_MASTER);
		hwpts[i] = attach_to(f, i < 2 ? (int)f->vfio.ioas :
					alloc_hwpt(f));
		if (hwpts[i] < 0)
			lu_die("%s cannot be attached", f->bdf);
		map_ring(f, memfd);
		start_ring(f);
	}
	ksft_test_result(hwpts[0] == hwpts[1] && hwpts[1] != hwpts[2],
			 "the first two have the same page table\n");
	lu_vfio_map_memory(&functions[0].vfio, memfd, MEMORY_SIZE, MEMORY_IOVA);
	check_immutable(hwpts, n, memfd);

	session = lu_new_session(luo, SESSION);
	preserve_all(session, n);
	preserve_file(session, memfd, n);
	ksft_test_result(all_are(n, "outgoing") && all_do_dma(n),
			 "%d functions are preserved and do DMA\n", n);
	stay();
}

/* The first two had the same page table; now the first and the third have. */
static void attach_in_turn(int session, int n)
{
	int hwpts[MAX_FUNCTIONS], i;
	struct function *f;

	for (i = 0; i < n; i++) {
		f = &functions[i];
		if (i == n - 1)
			lu_result_is(luo_session_finish(session), -EBUSY,
				     "they are not finished before the last is attached");
		hwpts[i] = attach_to(f, i % 2 ? alloc_hwpt(f) :
					(int)f->vfio.ioas);
		if (hwpts[i] < 0)
			ksft_print_msg("%s is not attached: %s\n", f->bdf,
				       strerror(-hwpts[i]));
		ksft_test_result(hwpts[i] > 0 && all_are(n, "incoming") &&
				 all_are_masters(n) && all_do_dma(n),
				 "%d of %d functions are attached, and all do DMA\n",
				 i + 1, n);
	}
	ksft_test_result(hwpts[0] == hwpts[2] && hwpts[0] != hwpts[1],
			 "the first and the third have the same page table\n");
}

static void shared(int n)
{
	struct lu_vfio *first = &functions[0].vfio;
	int session = get_session(SESSION), i;
	int memfd = get_file(session, n);

	ksft_set_plan(n + 8);
	ksft_test_result(all_are(n, "incoming") && all_are_masters(n),
			 "%d functions run\n", n);
	for (i = 0; i < n; i++) {
		join(&functions[i], get_file(session, i));
		map_ring(&functions[i], memfd);
	}
	ksft_test_result(all_do_dma(n),
			 "they do DMA before they are attached\n");
	lu_result_is(try_attach(&functions[n - 1], first->ioas), -ENXIO,
		     "none is attached before the memory is mapped");
	lu_vfio_map_memory(first, memfd, MEMORY_SIZE, MEMORY_IOVA);
	attach_in_turn(session, n);
	lu_result_is(luo_session_finish(session), 0, "they are finished");
	ksft_test_result(all_are(n, "none") && all_are_masters(n) &&
			 all_do_dma(n), "and do DMA as before\n");
	lu_result_is(lu_vfio_try_unmap(first, MEMORY_SIZE, MEMORY_IOVA), 0,
		     "memory can be unmapped");
}

/* --- a session each ---------------------------------------------------------- */

#define TOKEN_DEVICE	1
#define TOKEN_MEMORY	2

static const char *session_of(const struct function *f)
{
	static char name[32];

	snprintf(name, sizeof(name), "vm%td", f - functions);
	return name;
}

static void apart(int n)
{
	struct function *f;
	int session, memfd;

	ksft_set_plan(1);
	open_all(n);
	for (f = functions; f < functions + n; f++) {
		memfd = lu_memory_create(session_of(f), MEMORY_SIZE, false);
		lu_vfio_map_memory(&f->vfio, memfd, MEMORY_SIZE, MEMORY_IOVA);
		map_ring(f, memfd);
		start_ring(f);
		session = lu_new_session(luo, session_of(f));
		preserve_file(session, f->vfio.fd, TOKEN_DEVICE);
		preserve_file(session, memfd, TOKEN_MEMORY);
	}
	ksft_test_result(all_are(n, "outgoing") && all_do_dma(n),
			 "%d functions are preserved and do DMA\n", n);
	stay();
}

/* Everything but attaching the function. Returns the memory. */
static int take_back(struct function *f, int session)
{
	int memfd = get_file(session, TOKEN_MEMORY);

	lu_vfio_take_over(&f->vfio, f->bdf, get_file(session, TOKEN_DEVICE));
	lu_vfio_map_memory(&f->vfio, memfd, MEMORY_SIZE, MEMORY_IOVA);
	map_ring(f, memfd);
	return memfd;
}

/* Closes all files, as the exit of a VMM does. */
static void abandon(struct function *f, int session, int memfd)
{
	if (f->ring) {
		munmap(f->ring - (f - functions), MEMORY_SIZE);
		munmap(f->vfio.bar0, BAR0_SIZE);
		close(f->vfio.fd);
		close(f->vfio.iommufd);
		close(memfd);
	}
	close(session);
}

/* Its live update has ended, and it was reset. */
static bool is_stopped(const struct function *f)
{
	char path[128];
	int tries = 100;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.15s/liveupdate",
		 f->bdf);
	while (!access(path, F_OK) && tries--)
		usleep(100000);
	return lu_state_is(f->bdf, "none") &&
	       !(lu_pci_command(f->bdf) & PCI_COMMAND_MASTER);
}

/* The others are abandoned. */
static bool is_finished(const struct function *f)
{
	return (f - functions) % 2 == 0;
}

/* The sessions of the first @ended functions have ended, the others go on. */
static bool all_are_as_expected(int n, int ended)
{
	struct function *f;
	bool good = true;

	for (f = functions; f < functions + n; f++) {
		if (f >= functions + ended)
			good &= runs(f) && (!f->ring || does_dma(f));
		else if (is_finished(f))
			good &= lu_state_is(f->bdf, "none") && does_dma(f);
		else
			good &= is_stopped(f);
	}
	return good;
}

/* The file of the last function is not retrieved. */
static void ended(int n)
{
	int sessions[MAX_FUNCTIONS], memfds[MAX_FUNCTIONS], i;
	struct function *f;

	ksft_set_plan(n + 1);
	for (i = 0; i < n; i++) {
		sessions[i] = get_session(session_of(&functions[i]));
		memfds[i] = i == n - 1 ? -1 :
			    take_back(&functions[i], sessions[i]);
	}
	ksft_test_result(all_are_as_expected(n, 0), "%d functions run\n", n);
	for (i = 0; i < n; i++) {
		f = &functions[i];
		if (!is_finished(f))
			abandon(f, sessions[i], memfds[i]);
		else if (try_attach(f, f->vfio.ioas) ||
			 luo_session_finish(sessions[i]))
			lu_die("%s cannot be attached and finished", f->bdf);
		ksft_test_result(all_are_as_expected(n, i + 1),
				 "session %d is %s, the others are as before\n", i,
				 is_finished(f) ? "finished" : "abandoned");
	}
}

int main(int argc, char *argv[])
{
	const char *what = argc > 1 ? argv[1] : "";
	int n = argc > 2 ? atoi(argv[2]) : 1;

	ksft_print_header();
	luo = luo_open_device();
	if (luo < 0)
		lu_die_errno("cannot open " LUO_DEVICE);
	find(n);
	if (!strcmp(what, "preserve"))
		preserve(n);
	else if (!strcmp(what, "finish"))
		finish(n);
	else if (!strcmp(what, "off"))
		call_off(n);
	else if (!strcmp(what, "failing"))
		failing(n);
	else if (!strcmp(what, "failed"))
		failed(n);
	else if (!strcmp(what, "lost"))
		lost(n);
	else if (!strcmp(what, "one-lost"))
		one_lost(n);
	else if (!strcmp(what, "refused"))
		refused(n, argc > 3 ? atoi(argv[3]) : 0);
	else if (!strcmp(what, "beside"))
		beside();
	else if (!strcmp(what, "share"))
		share(n);
	else if (!strcmp(what, "shared"))
		shared(n);
	else if (!strcmp(what, "apart"))
		apart(n);
	else if (!strcmp(what, "ended"))
		ended(n);
	else
		lu_die("'%s' is none of what lu_functions.c begins with", what);
	ksft_finished();
}
