// SPDX-License-Identifier: GPL-2.0-only
/*
 * A small VMM whose guest owns a passed-through network device, and which
 * hands that guest over a kexec to the next kernel.
 *
 *	lu_vmm [-s 1] -l	start the VM, have it work, preserve it; a child
 *				stays behind, in which the VM runs on
 *	lu_vmm --stop		stop that VM: the next thing is the kexec
 *	lu_vmm -s 2		in the next kernel: continue the same guest
 *	lu_vmm [-s 1] -l -p	and its device is preserved with it
 *	lu_vmm -s 2 -p
 *	lu_vmm [-s 1] -l -p --apart	in two sessions, for lu_abandon
 *	lu_vmm --idle SECONDS	no update, only the guest at work
 *
 * The guest stands still for as short as possible: before the kexec all that can
 * be done while it runs is done before it is stopped, and after the kexec it runs
 * before anything it does not need, such as all comparisons made here.
 *
 * The device keeps receiving from the moment it is set up and is not stopped.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libliveupdate.h>

#include "lu_access.h"
#include "lu_channel.h"
#include "lu_die.h"
#include "lu_igb.h"
#include "lu_memory.h"
#include "lu_memstat.h"
#include "lu_pci.h"
#include "lu_state.h"
#include "lu_stop.h"
#include "lu_vfio.h"
#include "lu_vm.h"
#include "lu_vmm.h"

#define SESSION			"lu-vmm"
#define DEVICE_SESSION		"lu-vmm-device"
#define TOKEN_RAM		1
#define TOKEN_STATE		2
#define TOKEN_DEVICE		3

#define DEFAULT_FRAMES		300u
/* Where nothing of the VM is. */
#define MORE_IOVA		(4ull << 30)
#define MAPPED_IOVA		0xc0000000ull
#define UNMAPPED_IOVA		0xc1000000ull
#define OTHER_SIZE		65536
#define LINK_PATIENCE_MS	5000
#define STOP_PATIENCE_MS	10000

/* As a VMM that is killed: whatever it holds is closed for it. */
static void may_die(struct vmm *v, const char *step)
{
	if (!v->opt.die || strcmp(v->opt.die, step))
		return;
	ksft_print_msg("dies: %s\n", step);
	fflush(stdout);
	kill(getpid(), SIGKILL);
}

/* In stage 2 the guest runs already: every line that is printed takes time. */
static void begin_report(unsigned int plan)
{
	ksft_print_header();
	ksft_set_plan(plan);
}

/* --- setting up ----------------------------------------------------------- */

static void know_device(struct vmm *v)
{
	v->bridges = lu_pci_path(v->bdf, v->path);
	lu_pci_require(v->bdf, LU_IGB_VENDOR, LU_IGB_DEVICE);
}

static void find_device(struct vmm *v)
{
	if (v->opt.bdf)
		snprintf(v->bdf, sizeof(v->bdf), "%s", v->opt.bdf);
	else
		lu_pci_find(LU_IGB_VENDOR, LU_IGB_DEVICE, v->bdf);
	know_device(v);
}

static void map_memories(struct vmm *v)
{
	v->ram = lu_memory_map(v->ram_fd, LU_RAM_SIZE);
	v->state = lu_memory_map(v->state_fd, LU_STATE_FILE_SIZE);
}

static void create_memories(struct vmm *v)
{
	v->ram_fd = lu_memory_create("lu-vm-ram", LU_RAM_SIZE, v->opt.huge);
	v->state_fd = lu_memory_create("lu-vm-state", LU_STATE_FILE_SIZE, false);
	map_memories(v);
}

static void learn_dma_addresses(struct vmm *v)
{
	uint64_t *pages = (uint64_t *)((char *)v->ram + LU_DMA_OFFSET);
	uint32_t i, ring;

	for (i = 0; i < LU_PAGES; i++)
		pages[i] = lu_vfio_dma_address(&v->device, LU_RAM_BASE +
					       i * LU_PAGE_SIZE);
	/* The device knows no pages. */
	for (ring = LU_RING_OFFSET; ring < LU_DMA_OFFSET; ring += LU_PAGE_SIZE)
		if (lu_dma_address(v->ram, ring) - ring !=
		    lu_dma_address(v->ram, LU_RING_OFFSET) - LU_RING_OFFSET)
			lu_die("the receive ring is scattered: use --huge");
}

/* KVM has to know the file before it is bound. */
static void bind_device(struct vmm *v, int file)
{
	int err = lu_vm_add_device(&v->vm, file);

	if (err)
		lu_die("KVM_DEV_VFIO_FILE_ADD of %s: %s", v->bdf,
		       strerror(-err));
	lu_vfio_take_over(&v->device, v->bdf, file);
	lu_vfio_map_bar0(&v->device, LU_BAR_SIZE);
}

/* As if the VM had so much memory. */
static void map_more(struct vmm *v)
{
	uint64_t end = MORE_IOVA + ((uint64_t)v->opt.mapped_gib << 30), iova;

	for (iova = MORE_IOVA; iova < end; iova += LU_RAM_SIZE)
		lu_vfio_map_memory(&v->device, v->ram_fd, LU_RAM_SIZE, iova);
}

/* Mapped first, so that an attached device never lacks its memory. */
static void give_memory_to_device(struct vmm *v)
{
	lu_vfio_map_memory(&v->device, v->ram_fd, LU_RAM_SIZE, LU_RAM_BASE);
	map_more(v);
	lu_vfio_attach(&v->device);
}

static const uint32_t irq_index[LU_INTERRUPTS] = {
	[LU_MSIX] = VFIO_PCI_MSIX_IRQ_INDEX,
	[LU_MSI] = VFIO_PCI_MSI_IRQ_INDEX,
	[LU_INTX] = VFIO_PCI_INTX_IRQ_INDEX,
};

static void connect_interrupts(struct vmm *v, enum lu_interrupts mode)
{
	int err;

	lu_vm_connect(&v->vm);
	err = lu_vfio_set_eventfds(&v->device, irq_index[mode], 0, lu_vm_vectors(mode),
				   v->vm.events);
	if (!err && mode == LU_INTX)
		err = lu_vfio_unmask_by(&v->device, irq_index[mode], v->vm.resample);
	if (err)
		lu_die("interrupts cannot be enabled: %s", strerror(-err));
}

static bool start_device(struct vmm *v)
{
	lu_pci_bind_vfio(v->bdf);
	bind_device(v, lu_vfio_open_file(v->bdf));
	give_memory_to_device(v);
	learn_dma_addresses(v);
	lu_vfio_place_bar0(&v->device, LU_BAR_BASE);
	lu_vm_prepare_ring(v->ram);
	lu_vfio_set_command(&v->device, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	lu_vm_control(v->ram)->mode = v->opt.mode;
	connect_interrupts(v, v->opt.mode);
	if (v->opt.fault)
		lu_igb_fetch(v->device.bar0, LU_RAM_BASE - LU_PAGE_SIZE);
	if (!lu_igb_start_receive(v->device.bar0,
				  lu_dma_address(v->ram, LU_RING_OFFSET), LU_QUEUES,
				  LINK_PATIENCE_MS))
		return false;
	lu_igb_interrupt(v->device.bar0, v->opt.mode);
	return true;
}

static void start_guest(struct vmm *v)
{
	lu_vm_set_bar(&v->vm, v->device.bar0);
	lu_vm_boot(&v->vm, v->opt.mode);
	lu_vm_start(&v->vm);
}

static void introduce_to_observer(struct vmm *v)
{
	tell_watch(v);
	v->state->memory_digest = tell_memory(v);
	if (v->opt.canary)
		tell("canary %#x %#x", LU_RAM_BASE, LU_RAM_SIZE);
	await_observer("introduced");
	tell("frames start");
}

/* Without an observer there may be no frames. */
static uint32_t frames_wanted(struct vmm *v)
{
	if (v->opt.frames >= 0)
		return v->opt.frames;
	return lu_channel_present() ? DEFAULT_FRAMES : 0;
}

/* Three test results. */
static void set_up(struct vmm *v)
{
	struct lu_guest_control c;
	uint32_t want = frames_wanted(v);

	find_device(v);
	create_memories(v);
	lu_vm_create(&v->vm, v->ram);
	ksft_test_result(start_device(v), "%s receives and its link is up\n",
			 v->bdf);
	start_guest(v);
	introduce_to_observer(v);
	ksft_test_result(await_frames(v, want) && heart_beats(v),
			 "the guest works and accepted %u frames\n", want);
	c = lu_vm_read_control(v->ram);
	ksft_test_result(content_good(&c), "the guest found no frame damaged\n");
}

/* --- stage 1 -------------------------------------------------------------- */

static void preserve_apart(struct vmm *v, int luo)
{
	int session = luo_create_session(luo, DEVICE_SESSION), err;

	if (session < 0)
		lu_die("cannot create the session " DEVICE_SESSION ": %s",
		       strerror(-session));
	err = luo_session_preserve_fd(session, v->device.fd, TOKEN_DEVICE);
	if (err)
		lu_die("LUO does not preserve the device: %s, see the kernel log",
		       strerror(-err));
}

/* The session stays open: closing it would end the preservation. */
static void preserve_vm(struct vmm *v)
{
	int luo = luo_open_device(), session, err;

	if (luo < 0)
		lu_die_errno("cannot open %s: boot with liveupdate=on kho=on",
			     LUO_DEVICE);
	session = luo_create_session(luo, SESSION);
	if (session < 0)
		lu_die("cannot create the session " SESSION ": %s",
		       strerror(-session));
	if (v->opt.apart)
		preserve_apart(v, luo);
	err = luo_session_preserve_fd(session, v->ram_fd, TOKEN_RAM);
	if (!err)
		err = luo_session_preserve_fd(session, v->state_fd, TOKEN_STATE);
	if (err)
		lu_die("LUO does not preserve the VM's memory: %s",
		       strerror(-err));
	if (v->opt.device && !v->opt.apart)
		err = luo_session_preserve_fd(session, v->device.fd,
					      TOKEN_DEVICE);
	if (err)
		lu_die("LUO does not preserve the device: %s, see the kernel log",
		       strerror(-err));
	close(luo);
}

/* What the guest does not change. Without the rest the state is not acceptable. */
static void write_down(struct vmm *v)
{
	struct lu_state *s = v->state;

	s->magic = 0;
	lu_vfio_read_config(&v->device, s->config, sizeof(s->config));
	snprintf(s->bdf, sizeof(s->bdf), "%s", v->bdf);
	tell_all_configs(v);
}

/*
 * What the device has sent is in the guest's local APIC then, and what it sends from
 * now on waits in the device until the next VMM connects its interrupts.
 */
static void mask_and_drain(struct vmm *v)
{
	enum lu_interrupts mode = lu_vm_control(v->ram)->mode;
	int err = lu_vfio_mask_irqs(&v->device, irq_index[mode], lu_vm_vectors(mode),
				    true);

	if (err)
		lu_die("interrupts cannot be masked: %s", strerror(-err));
	lu_vm_disconnect(&v->vm, v->state->missed);
}

/* The guest stops, the device does not. From here on every step costs its time. */
static void stop_and_save(struct vmm *v)
{
	struct lu_state *s = v->state;

	if (v->opt.held)
		hold_in_handler(v);
	lu_vm_stop(&v->vm);
	if (v->opt.device)
		mask_and_drain(v);
	lu_vm_save(&v->vm, &s->vcpu);
	s->control = lu_vm_read_control(v->ram);
	s->device = lu_igb_read(v->device.bar0, lu_vfio_command(&v->device));
	lu_state_seal(s);
}

/* The VM runs on in any case: see linger(). */
static void be_ready_for_kexec(struct vmm *v)
{
	if (v->opt.preserve)
		preserve_vm(v);
	may_die(v, "preserved");
	write_down(v);
	check_alive(v);
}

static void stage_1(struct vmm *v)
{
	begin_report(4);
	set_up(v);
	be_ready_for_kexec(v);
	if (v->opt.preserve)
		ksft_test_result_pass("memory and state are preserved\n");
	else
		ksft_test_result_skip("memory and state are preserved: no -l\n");
}

/* --- no update at all ----------------------------------------------------- */

/* Two test results. */
static void end_of_frames(struct vmm *v)
{
	struct lu_guest_control c;

	tell("frames stop");
	await_observer("stopped");
	ksft_test_result(catch_up(v) && heart_beats(v),
			 "the guest looked at every frame that landed\n");
	c = lu_vm_read_control(v->ram);
	ksft_test_result(content_good(&c),
			 "the guest found no frame damaged, %u accepted\n",
			 lu_vm_frames(&c));
}

static void idle(struct vmm *v)
{
	begin_report(5);
	set_up(v);
	let_run(v, v->opt.idle_s * 1000);
	end_of_frames(v);
	lu_vm_stop(&v->vm);
}

/* --- stage 2 -------------------------------------------------------------- */

static int retrieve_session(void)
{
	int luo = luo_open_device(), session;

	if (luo < 0)
		lu_die_errno("cannot open %s: boot with liveupdate=on kho=on",
			     LUO_DEVICE);
	session = luo_retrieve_session(luo, SESSION);
	if (session < 0)
		lu_die("no session " SESSION " (%s): run stage 1 with -l, then kexec",
		       strerror(-session));
	close(luo);
	return session;
}

static int retrieve_memory(int session, int token, size_t size)
{
	int fd = luo_session_retrieve_fd(session, token);

	if (fd < 0)
		lu_die("LUO cannot retrieve the memfd with token %d: %s",
		       token, strerror(-fd));
	if (!lu_memory_is_whole(fd, size))
		lu_die("the memfd with token %d came back with another size or without its seals",
		       token);
	return fd;
}

static void check_state(struct vmm *v)
{
	const char *refusal = lu_state_refusal(v->state);

	if (refusal)
		lu_die("the preserved VMM state cannot be used: %s", refusal);
	if (v->opt.bdf && strcmp(v->state->bdf, v->opt.bdf))
		lu_die("the preserved VM owns %s, not %s", v->state->bdf,
		       v->opt.bdf);
	memcpy(v->bdf, v->state->bdf, sizeof(v->bdf));
}

/* Memory and state. Whatever has to be compared with them comes later. */
static int retrieve_vm(struct vmm *v)
{
	int session = retrieve_session();

	v->ram_fd = retrieve_memory(session, TOKEN_RAM, LU_RAM_SIZE);
	v->state_fd = retrieve_memory(session, TOKEN_STATE, LU_STATE_FILE_SIZE);
	map_memories(v);
	check_state(v);
	v->found.control = lu_vm_read_control(v->ram);
	return session;
}

static int retrieve_device(struct vmm *v, int session)
{
	int fd = luo_session_retrieve_fd(session, TOKEN_DEVICE);

	if (fd < 0)
		lu_die("LUO cannot retrieve the device: %s, see the kernel log",
		       strerror(-fd));
	may_die(v, "retrieved");
	return fd;
}

/* What comes next would compete with the guest's first steps for the CPU. */
static void start_and_await(struct vmm *v)
{
	lu_store(&lu_vm_control(v->ram)->hold, 0);
	lu_vm_start(&v->vm);
	await_heart(v, v->found.control.heartbeat);
}

/*
 * The guest runs already: what the device sends waits there. Nothing is signaled but
 * what has been, and what the device has kept.
 */
static void continue_interrupts(struct vmm *v)
{
	uint32_t q;

	connect_interrupts(v, v->state->control.mode);
	for (q = 0; q < LU_QUEUES; q++)
		if (v->state->missed[q])
			lu_vm_signal(&v->vm, q);
}

/* The guest needs its device to be bound, and not yet to be attached. */
static void continue_with_device(struct vmm *v, int file)
{
	lu_vm_create(&v->vm, v->ram);
	bind_device(v, file);
	lu_vm_set_bar(&v->vm, v->device.bar0);
	v->found.device = lu_igb_read(v->device.bar0,
				      lu_vfio_command(&v->device));
	if (v->opt.early)
		give_memory_to_device(v);
	lu_vm_load(&v->vm, &v->state->vcpu);
	start_and_await(v);
	if (!v->opt.early)
		give_memory_to_device(v);
}

static void continue_without_device(struct vmm *v)
{
	uint32_t q;

	lu_vm_create(&v->vm, v->ram);
	lu_vm_load(&v->vm, &v->state->vcpu);
	lu_vm_connect(&v->vm);
	/* It is not known which interrupts were lost. */
	for (q = 0; q < lu_vm_vectors(v->state->control.mode); q++)
		lu_vm_signal(&v->vm, q);
	start_and_await(v);
}

/* Four test results. */
static void report_memory(struct vmm *v)
{
	ksft_test_result_pass("LUO gave back the VM's memory, whole and sealed\n");
	ksft_test_result_pass("the VMM's state is undamaged\n");
	ksft_test_result(tell_memory(v) == v->state->memory_digest,
			 "the VM's memory lies where it lay\n");
	ksft_test_result(diary_untouched(v),
			 "the stopped guest's diary is unchanged\n");
	print_regs("when the guest was stopped", &v->state->device);
}

/* Four test results. */
static void report_device(struct vmm *v)
{
	ksft_test_result_pass("LUO gave back the device\n");
	ksft_test_result_pass("the device is bound and attached\n");
	ksft_test_result(dma_addresses_are_same(v),
			 "it reaches the VM's memory by the same addresses\n");
	ksft_test_result(device_untouched(v),
			 "it is configured and works as it did\n");
}

/*
 * The new kernel has no driver for the device yet.  Its registers can be seen
 * only with its decode on, so this changes what it looks at: it comes after
 * everything that must not.
 */
static void look_without_driver(struct vmm *v, uint16_t command)
{
	void *bar = lu_pci_map_bar0(v->bdf, LU_BAR_SIZE);
	struct lu_igb_regs regs = lu_igb_read(bar, command);

	print_found(v, "as the new kernel left it", &regs);
	munmap(bar, LU_BAR_SIZE);
	lu_pci_enable(v->bdf, false);
}

/* What a VMM can do when the kernel does not preserve devices: reset it. */
static void reopen_device(struct vmm *v, uint16_t command)
{
	struct lu_igb_regs regs;

	look_without_driver(v, command);
	lu_pci_bind_vfio(v->bdf);
	bind_device(v, lu_vfio_open_file(v->bdf));
	lu_vfio_set_command(&v->device, PCI_COMMAND_MEMORY);
	regs = lu_igb_read(v->device.bar0, lu_vfio_command(&v->device));
	print_found(v, "after vfio opened it again", &regs);
	ksft_test_result_pass("%s can be opened again\n", v->bdf);
}

/* Frames still arrive outside; does the device deliver any of them? */
static void run_alone(struct vmm *v)
{
	uint32_t before = frames_seen(v), after;

	let_run(v, v->opt.alone_s * 1000);
	after = frames_seen(v);
	ksft_print_msg("device delivered %u frames in %ld s after the kexec\n",
		       after - before, v->opt.alone_s);
}

static void check_chain(struct vmm *v)
{
	const struct lu_guest_control *old = &v->state->control;
	struct lu_guest_control now = lu_vm_read_control(v->ram);
	uint32_t before = lu_vm_frames(old), since = lu_vm_frames(&now) - before;

	ksft_print_msg("guest accepted %u frames before it stopped and %u since\n",
		       before, since);
	ksft_print_msg("guest heartbeat went from %u to %u, it sees status %#x\n",
		       old->heartbeat, now.heartbeat, now.status_reg);
	/* Without a frame the guest has shown nothing of what it remembers. */
	if (!since)
		ksft_test_result_skip("the guest continues the same chain: no frame since\n");
	else
		ksft_test_result(chains_continue(v, old, &now),
				 "the guest continues the same chain\n");
}

/* Three test results. */
static void report_guest(struct vmm *v)
{
	struct lu_guest_control now;

	ksft_test_result(catch_up(v) && heart_beats(v),
			 "the guest runs on in the new kernel\n");
	now = lu_vm_read_control(v->ram);
	/* Without the device the VMM has signaled each once. */
	ksft_test_result(!v->opt.device || no_message_without_frame(v->state, &now),
			 "no queue without a frame has interrupted\n");
	check_chain(v);
}

static void finish(int session)
{
	int err;

	/* From here on the kernel may write to the bridges. */
	tell("finished");
	err = luo_session_finish(session);
	if (err)
		ksft_print_msg("LIVEUPDATE_SESSION_FINISH: %s\n", strerror(-err));
	ksft_test_result(!err, "the live update is finished\n");
	close(session);
}

/* The page table of the previous kernel. */
static void report_freed(struct vmm *v, long kib)
{
	ksft_print_msg("%ld KiB became free\n", kib);
	ksft_test_result(kib >= v->opt.frees_kib,
			 "what the previous kernel's page table took is free\n");
}

/* The new table is an ordinary one: only what is not mapped is a fault. */
static void use_other_iovas(struct vmm *v)
{
	int fd = lu_memory_create("lu-other", OTHER_SIZE, false);

	lu_vfio_map_memory(&v->device, fd, OTHER_SIZE, MAPPED_IOVA);
	lu_igb_fetch(v->device.bar0, MAPPED_IOVA);
	lu_vfio_unmap_memory(&v->device, OTHER_SIZE, MAPPED_IOVA);
	lu_vfio_map_memory(&v->device, fd, OTHER_SIZE, UNMAPPED_IOVA);
	lu_igb_fetch(v->device.bar0, UNMAPPED_IOVA);
	lu_vfio_unmap_memory(&v->device, OTHER_SIZE, UNMAPPED_IOVA);
	lu_igb_fetch(v->device.bar0, UNMAPPED_IOVA);
	close(fd);
}

static void report_frames(struct vmm *v)
{
	uint32_t before = frames_seen(v);

	ksft_test_result(!lu_channel_present() ||
			 await_frames(v, before + DEFAULT_FRAMES / 3),
			 "frames continue to arrive\n");
}

/* Two test results. */
static void next_update(struct vmm *v)
{
	be_ready_for_kexec(v);
	ksft_test_result_pass("preserved for the next update\n");
	ksft_test_result(heart_beats(v),
			 "the guest runs until it is stopped for it\n");
}

/* Two test results. */
static void end(struct vmm *v)
{
	end_of_frames(v);
	lu_vm_stop(&v->vm);
	tell_all_configs(v);
}

/* Nothing may be written to the device for a reset that is refused. */
static int try_reset_by_bus(struct vmm *v)
{
	return ioctl(v->device.fd, VFIO_DEVICE_RESET) ? -errno : 0;
}

/* The device came along. */
static void stage_2_with_device(struct vmm *v)
{
	int session, reset = 0;
	long free_kib;

	session = retrieve_vm(v);
	continue_with_device(v, retrieve_device(v, session));
	may_die(v, "bound");
	if (v->opt.reset)
		reset = try_reset_by_bus(v);
	/* What is written to the device from now on is its owner's. */
	tell("adopted");
	await_observer("adopted");
	continue_interrupts(v);

	begin_report(16 + v->opt.reset + (v->opt.flat_kib >= 0) +
		     (v->opt.frees_kib >= 0));
	if (v->opt.reset)
		ksft_test_result(reset == -EBUSY, "its bus cannot be reset yet\n");
	know_device(v);
	tell_all_configs(v);
	report_memory(v);
	report_device(v);
	report_guest(v);
	/* No later frame may wake up the guest for those of the gap. */
	tell("frames resume");
	ksft_test_result(no_blocked_writes(v),
			 "no config write to it or to the bridges above was blocked\n");
	free_kib = lu_memstat_free_kib();
	finish(session);
	if (v->opt.frees_kib >= 0)
		report_freed(v, lu_memstat_free_kib() - free_kib);
	if (v->opt.remap)
		use_other_iovas(v);
	report_frames(v);
	if (v->opt.flat_kib >= 0)
		ksft_test_result(free_memory_is_same(v),
				 "as much memory is free as after the first update\n");
	if (v->opt.preserve)
		next_update(v);
	else
		end(v);
}

static void stage_2(struct vmm *v)
{
	uint16_t command;
	int session;

	session = retrieve_vm(v);
	continue_without_device(v);

	begin_report(11);
	know_device(v);
	/* Before anything here touches device or path. */
	tell_all_configs(v);
	command = lu_pci_command(v->bdf);
	report_memory(v);
	report_guest(v);
	run_alone(v);
	reopen_device(v, command);
	end_of_frames(v);
	lu_vm_stop(&v->vm);
	finish(session);
}

/* --- the process ---------------------------------------------------------- */

static int run(struct vmm *v)
{
	if (lu_channel_open())
		lu_die_errno("the channel cannot be used; does its owner pass it on in "
			     LU_CHANNEL_FD_ENV "?");
	if (v->opt.idle_s >= 0)
		idle(v);
	else if (v->opt.stage == 1)
		stage_1(v);
	else if (v->opt.device)
		stage_2_with_device(v);
	else
		stage_2(v);
	ksft_print_cnts();
	return ksft_get_fail_cnt() || ksft_get_error_cnt() ? KSFT_FAIL : KSFT_PASS;
}

/*
 * Stage 1 must outlive its caller, so that the session stays open.  With an observer
 * the VM's memory and the device stay in the other cases, too: changes after the
 * end of this process would be attributed to the guest.
 */
static bool must_linger(struct vmm *v, int status)
{
	if (status != KSFT_PASS)
		return false;
	return lu_channel_present() || v->opt.preserve ||
	       (v->opt.stage == 1 && v->opt.idle_s < 0);
}

/* Waits for a request to stop the VM, before the next kernel is started. */
static void stop_when_asked(struct vmm *v, int listener)
{
	int asker = accept(listener, NULL, NULL);
	const char *why = lu_vm_why_dead(&v->vm);

	if (!why)
		stop_and_save(v);
	dprintf(asker, "%s\n", why ? why : LU_STOP_DONE);
	close(asker);
	close(listener);
}

static int ask_to_stop(void)
{
	char answer[256];
	int err = lu_stop_request(answer, sizeof(answer), STOP_PATIENCE_MS);

	if (err == -ECONNREFUSED)
		lu_die("no VM is running: start one with -s 1 -l");
	if (err)
		lu_die("the VM was not stopped (%s): %s", strerror(-err), answer);
	ksft_print_msg("the VM is stopped, the next thing is the kexec\n");
	return KSFT_PASS;
}

static void __noreturn linger(struct vmm *v, int report_fd, int status)
{
	int listener = v->vm.running ? lu_stop_listen() : -1;
	uint8_t byte = status;

	if (v->vm.running && listener < 0)
		lu_die_errno("no socket for requests to stop the VM");
	ksft_print_msg("process %d stays and holds the VM until it is killed%s\n",
		       getpid(), v->vm.running ?
		       "; before the kexec: lu_vmm --stop" : "");
	lu_channel_close();
	fclose(stdout);
	fclose(stderr);
	close(STDIN_FILENO);
	setsid();
	if (chdir("/") || write(report_fd, &byte, 1) != 1)
		_exit(KSFT_FAIL);
	close(report_fd);
	if (v->vm.running)
		stop_when_asked(v, listener);
	for (;;)
		pause();
}

/* What the child reported before it settled, else how it ended. */
static int await_child(pid_t child, int report_fd)
{
	uint8_t byte;
	int status;

	if (read(report_fd, &byte, 1) == 1)
		return byte;
	waitpid(child, &status, 0);
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	lu_die("the VMM was killed by signal %d", WTERMSIG(status));
}

int main(int argc, char *argv[])
{
	static struct vmm v;
	int report[2], status;
	pid_t child;

	v.opt = parse(argc, argv);
	if (v.opt.stop)
		return ask_to_stop();
	if (pipe(report))
		lu_die_errno("pipe");
	child = fork();
	if (child < 0)
		lu_die_errno("fork");
	if (child) {
		close(report[1]);
		return await_child(child, report[0]);
	}
	close(report[0]);
	status = run(&v);
	if (must_linger(&v, status))
		linger(&v, report[1], status);
	return status;
}
