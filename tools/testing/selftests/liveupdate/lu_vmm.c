// SPDX-License-Identifier: GPL-2.0-only
/*
 * A small VMM whose guest owns a passed-through network device, and which
 * hands that guest over a kexec to the next kernel.
 *
 *	lu_vmm [-s 1] -l	start the VM, have it work, preserve it, stop it;
 *				a child stays behind and holds everything
 *	lu_vmm -s 2		in the next kernel: continue the same guest
 *	lu_vmm [-s 1] -l -p	and its device is preserved with it
 *	lu_vmm -s 2 -p
 *	lu_vmm --idle SECONDS	no update, only the guest at work
 *
 * The device goes on receiving from the moment it is set up; nobody stops it.
 */
#include <errno.h>
#include <getopt.h>
#include <linux/pci_regs.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libliveupdate.h>

#include "lu_access.h"
#include "lu_channel.h"
#include "lu_die.h"
#include "lu_igb.h"
#include "lu_memory.h"
#include "lu_pci.h"
#include "lu_state.h"
#include "lu_vfio.h"
#include "lu_vm.h"

#define SESSION			"lu-vmm"
#define TOKEN_RAM		1
#define TOKEN_STATE		2
#define TOKEN_DEVICE		3

#define DEFAULT_FRAMES		300u
#define FRAMES_PATIENCE_MS	10000
#define SYNC_PATIENCE_MS	30000
#define LINK_PATIENCE_MS	5000
#define CATCH_UP_MS		5000
#define HEART_PATIENCE_MS	5000
#define POLL_MS			20

struct options {
	int stage;
	const char *bdf;
	bool preserve;
	bool device;		/* preserved, too */
	const char *die;	/* at which step, NULL: at none */
	bool canary;
	bool huge;
	bool errors;		/* of the device are expected */
	long frames;		/* -1: as many as fit the machine */
	long idle_s;		/* -1: no idle run */
	long alone_s;		/* stage 2, before the device is taken */
};

struct vmm {
	struct options opt;
	char bdf[LU_PCI_BDF_SIZE];
	char path[LU_PCI_PATH_MAX][LU_PCI_BDF_SIZE];
	int bridges;
	int ram_fd, state_fd;
	void *ram;
	struct lu_state *state;
	struct lu_vfio device;
	struct lu_vm vm;
};

/* --- the channel ---------------------------------------------------------- */

#define tell(...)							\
	do {								\
		if (lu_channel_tell(__VA_ARGS__))			\
			lu_die_errno("cannot write to the channel");	\
	} while (0)

/* As a VMM that is killed: whatever it holds is closed for it. */
static void may_die(struct vmm *v, const char *step)
{
	if (!v->opt.die || strcmp(v->opt.die, step))
		return;
	ksft_print_msg("dies: %s\n", step);
	fflush(stdout);
	kill(getpid(), SIGKILL);
}

static void await_observer(const char *word)
{
	if (lu_channel_sync(word, SYNC_PATIENCE_MS))
		lu_die_errno("the observer did not answer 'sync %s'", word);
}

static void tell_config(const char *bdf)
{
	uint8_t config[LU_PCI_CONFIG_SIZE];
	char line[LU_PCI_CONFIG_SIZE * 2 + 64];
	size_t size = lu_pci_read_config(bdf, config), i;
	int len = sprintf(line, "config %s ", bdf);

	for (i = 0; i < size; i++)
		len += sprintf(line + len, "%02x", config[i]);
	line[len++] = '\n';
	if (lu_channel_write(line, len))
		lu_die_errno("cannot write to the channel");
}

static void tell_all_configs(struct vmm *v)
{
	int i;

	tell_config(v->bdf);
	for (i = 0; i < v->bridges; i++)
		tell_config(v->path[i]);
}

static void tell_watch(struct vmm *v)
{
	int i;

	tell("watch %s device", v->bdf);
	for (i = 0; i < v->bridges; i++)
		tell("watch %s path", v->path[i]);
}

static void tell_piece(uint64_t offset, uint64_t phys, uint64_t len)
{
	tell("memory %#llx %#llx %#llx", (unsigned long long)offset,
	     (unsigned long long)phys, (unsigned long long)len);
}

/* Returns the digest of where the memory lies. */
static uint64_t tell_memory(struct vmm *v)
{
	uint64_t digest = lu_memory_pieces(v->ram, LU_RAM_SIZE, tell_piece);

	tell("memory end");
	tell("ring %u %u %#x", LU_SLOTS, LU_SLOT_SIZE, LU_BUFFERS_OFFSET);
	tell("control %#x", LU_CONTROL_OFFSET);
	return digest;
}

/* --- the guest from outside ----------------------------------------------- */

static void check_alive(struct vmm *v)
{
	const char *why = lu_vm_why_dead(&v->vm);

	if (why)
		lu_die("the guest died: %s", why);
}

static void sleep_ms(long ms)
{
	usleep(ms * 1000);
}

static void let_run(struct vmm *v, long ms)
{
	for (; ms > 0; ms -= POLL_MS) {
		sleep_ms(POLL_MS);
		check_alive(v);
	}
}

static uint32_t frames_seen(struct vmm *v)
{
	return lu_vm_read_control(v->ram).frames;
}

/* True when @want frames were accepted, false when no more come. */
static bool await_frames(struct vmm *v, uint32_t want)
{
	uint32_t seen = frames_seen(v), before;
	long silence = 0;

	while (seen < want && silence < FRAMES_PATIENCE_MS) {
		let_run(v, POLL_MS);
		before = seen;
		seen = frames_seen(v);
		silence = seen == before ? silence + POLL_MS : 0;
	}
	if (seen < want)
		ksft_print_msg("no frame for %d s, the guest accepted %u of %u\n",
			       FRAMES_PATIENCE_MS / 1000, seen, want);
	return seen >= want;
}

static bool guest_has_work(struct vmm *v)
{
	uint32_t slot = lu_vm_read_control(v->ram).next_slot % LU_SLOTS;
	struct lu_rx_desc *ring = lu_vm_ring(v->ram);

	return lu_load(&ring[slot].wb.status) & 1;
}

/* Until every frame that has landed has been looked at. */
static bool catch_up(struct vmm *v)
{
	long left;

	/* Asked once only: the next frame may land at any time. */
	for (left = CATCH_UP_MS; left > 0; left -= POLL_MS) {
		if (!guest_has_work(v))
			return true;
		let_run(v, POLL_MS);
	}
	return false;
}

static bool heart_beats(struct vmm *v)
{
	uint32_t before = lu_vm_read_control(v->ram).heartbeat;
	long left;

	for (left = HEART_PATIENCE_MS; left > 0; left -= POLL_MS) {
		let_run(v, POLL_MS);
		if (lu_vm_read_control(v->ram).heartbeat != before)
			return true;
	}
	return false;
}

/*
 * On the observer's wire there is nobody else, so that what is no frame of ours
 * is one that did not arrive where or as it should.
 */
static bool content_good(const struct lu_guest_control *c)
{
	uint32_t strangers = lu_channel_present() ? c->not_a_frame : 0;

	if (!c->bad_content && !c->out_of_order && !strangers)
		return true;
	ksft_print_msg("the guest saw %u damaged frames, %u out of order and %u that are none\n",
		       c->bad_content, c->out_of_order, c->not_a_frame);
	return false;
}

/*
 * What the chain must be by now, from where it was when @old was written: the
 * frames since then are still in their buffers.
 */
static uint32_t chain_since(struct vmm *v, const struct lu_guest_control *old,
			    const struct lu_guest_control *now)
{
	uint32_t chain = old->chain, last = old->last_seq;
	uint32_t slot = old->next_slot;
	const struct lu_frame *f;

	for (; slot != now->next_slot; slot = (slot + 1) % LU_SLOTS) {
		f = lu_vm_buffer(v->ram, slot);
		if (lu_frame_check(f, sizeof(*f), last) != LU_FRAME_GOOD)
			continue;
		chain = lu_chain(chain, f->seq, f->sum);
		last = f->seq;
	}
	return chain;
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

/* The device's view of the VM's memory, which must be as it is in the table. */
static bool dma_addresses_are(struct vmm *v, uint64_t *pages)
{
	uint32_t i;

	for (i = 0; i < LU_PAGES; i++)
		if (pages[i] != lu_vfio_dma_address(&v->device, LU_RAM_BASE +
						    i * LU_PAGE_SIZE))
			return false;
	return true;
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

static void attach_memory(struct vmm *v)
{
	lu_vfio_attach(&v->device);
	lu_vfio_map_memory(&v->device, v->ram_fd, LU_RAM_SIZE, LU_RAM_BASE);
	lu_vfio_map_bar0(&v->device, LU_BAR_SIZE);
}

static bool start_device(struct vmm *v)
{
	lu_pci_bind_vfio(v->bdf);
	lu_vfio_open(&v->device, v->bdf);
	attach_memory(v);
	learn_dma_addresses(v);
	lu_vfio_place_bar0(&v->device, LU_BAR_BASE);
	lu_vm_prepare_ring(v->ram);
	lu_vfio_set_command(&v->device, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	return lu_igb_start_receive(v->device.bar0,
				    lu_dma_address(v->ram, LU_RING_OFFSET),
				    LINK_PATIENCE_MS);
}

static void start_guest(struct vmm *v)
{
	lu_vm_create(&v->vm, v->ram);
	lu_vm_set_bar(&v->vm, v->device.bar0);
	lu_vm_boot(&v->vm);
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

/* Without an observer nobody may be sending. */
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
	err = luo_session_preserve_fd(session, v->ram_fd, TOKEN_RAM);
	if (!err)
		err = luo_session_preserve_fd(session, v->state_fd, TOKEN_STATE);
	if (err)
		lu_die("LUO does not preserve the VM's memory: %s",
		       strerror(-err));
	if (v->opt.device)
		err = luo_session_preserve_fd(session, v->device.fd,
					      TOKEN_DEVICE);
	if (err)
		lu_die("LUO does not preserve the device: %s, see the kernel log",
		       strerror(-err));
	close(luo);
}

/* The guest stops, the device does not. */
static void stop_and_save(struct vmm *v)
{
	struct lu_state *s = v->state;

	lu_vm_stop(&v->vm);
	check_alive(v);
	lu_vm_save(&v->vm, &s->vcpu);
	s->control = lu_vm_read_control(v->ram);
	s->device = lu_igb_read(v->device.bar0, lu_vfio_command(&v->device));
	lu_vfio_read_config(&v->device, s->config, sizeof(s->config));
	snprintf(s->bdf, sizeof(s->bdf), "%s", v->bdf);
	lu_state_seal(s);
}

static void stage_1(struct vmm *v)
{
	ksft_set_plan(4);
	set_up(v);
	if (v->opt.preserve) {
		preserve_vm(v);
		ksft_test_result_pass("memory and state are preserved\n");
		may_die(v, "preserved");
	} else {
		ksft_test_result_skip("memory and state are preserved: no -l\n");
	}
	stop_and_save(v);
	tell_all_configs(v);
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
			 c.frames);
}

static void idle(struct vmm *v)
{
	ksft_set_plan(5);
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
		lu_die("LUO does not give back the memfd with token %d: %s",
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
	if (v->bdf[0] && strcmp(v->state->bdf, v->bdf))
		lu_die("the preserved VM owns %s, not %s: name it with -d",
		       v->state->bdf, v->bdf);
}

static bool diary_untouched(struct vmm *v)
{
	struct lu_guest_control now = lu_vm_read_control(v->ram);

	return !memcmp(&now, &v->state->control, sizeof(now));
}

static void print_regs(const char *when, const struct lu_igb_regs *r)
{
	ksft_print_msg("device %s: command %#06x status %#010x rctl %#010x rxdctl %#010x\n",
		       when, r->command, r->status, r->rctl, r->queue_control);
	ksft_print_msg("device %s: ring %#010llx+%#x head %u tail %u\n", when,
		       (unsigned long long)r->ring_address, r->ring_bytes,
		       r->head, r->tail);
}

static bool ring_in_place(struct vmm *v, const struct lu_igb_regs *r)
{
	const struct lu_igb_regs *old = &v->state->device;

	return r->rctl == old->rctl && r->ring_address == old->ring_address &&
	       r->ring_bytes == old->ring_bytes &&
	       r->queue_control == old->queue_control;
}

static void print_found(struct vmm *v, const char *when,
			const struct lu_igb_regs *r)
{
	print_regs(when, r);
	ksft_print_msg("device %s: %s, bus mastering %s, decode %s\n", when,
		       ring_in_place(v, r) ? "its receive ring is as it was" :
					     "found reset",
		       r->command & PCI_COMMAND_MASTER ? "on" : "off",
		       r->command & PCI_COMMAND_MEMORY ? "on" : "off");
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

/* What a VMM can do when the kernel does not preserve devices: begin anew. */
static void reopen_device(struct vmm *v, uint16_t command)
{
	struct lu_igb_regs regs;

	look_without_driver(v, command);
	lu_pci_bind_vfio(v->bdf);
	lu_vfio_open(&v->device, v->bdf);
	lu_vfio_map_bar0(&v->device, LU_BAR_SIZE);
	lu_vfio_set_command(&v->device, PCI_COMMAND_MEMORY);
	regs = lu_igb_read(v->device.bar0, lu_vfio_command(&v->device));
	print_found(v, "after vfio opened it again", &regs);
	ksft_test_result_pass("%s can be opened again\n", v->bdf);
}

static void continue_guest(struct vmm *v)
{
	lu_vm_create(&v->vm, v->ram);
	lu_vm_load(&v->vm, &v->state->vcpu);
	lu_vm_start(&v->vm);
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
	uint32_t since = now.frames - old->frames;

	ksft_print_msg("guest accepted %u frames before it stopped and %u since\n",
		       old->frames, since);
	ksft_print_msg("guest heartbeat went from %u to %u, it sees status %#x\n",
		       old->heartbeat, now.heartbeat, now.status_reg);
	/* Without a frame the guest has shown nothing of what it remembers. */
	if (!since)
		ksft_test_result_skip("the guest continues the same chain: no frame since\n");
	else
		ksft_test_result(since < LU_SLOTS &&
				 now.chain == chain_since(v, old, &now),
				 "the guest continues the same chain\n");
}

static void take_back_memory(struct vmm *v, int session)
{
	v->ram_fd = retrieve_memory(session, TOKEN_RAM, LU_RAM_SIZE);
	v->state_fd = retrieve_memory(session, TOKEN_STATE,
				      LU_STATE_FILE_SIZE);
	map_memories(v);
	ksft_test_result_pass("LUO gave back the VM's memory, whole and sealed\n");
	check_state(v);
	ksft_test_result_pass("the VMM's state is undamaged\n");
	ksft_test_result(tell_memory(v) == v->state->memory_digest,
			 "the VM's memory lies where it lay\n");
	ksft_test_result(diary_untouched(v),
			 "nobody wrote into the stopped guest's diary\n");
}

/* Is it one of the registers where @config logs correctable errors? */
static bool is_error_log(const uint8_t *config, size_t offset)
{
	size_t express = lu_pci_capability(config, PCI_CAP_ID_EXP);
	size_t aer = lu_pci_ext_capability(config, PCI_EXT_CAP_ID_ERR);

	return (express && offset == express + PCI_EXP_DEVSTA) ||
	       (aer && (offset & ~3u) == aer + PCI_ERR_COR_STATUS);
}

static bool config_untouched(struct vmm *v)
{
	uint8_t config[LU_STATE_CONFIG_SIZE], *old = v->state->config;
	bool same = true, errors = false;
	size_t i;

	lu_vfio_read_config(&v->device, config, sizeof(config));
	for (i = 0; i < sizeof(config); i++) {
		if (config[i] == old[i])
			continue;
		ksft_print_msg("config space at %#zx was %#x and is %#x\n",
			       i, old[i], config[i]);
		if (v->opt.errors && is_error_log(config, i))
			errors = true;
		else
			same = false;
	}
	return same && errors == v->opt.errors;
}

/* Its configuration, its registers but for those that count frames. */
static bool device_untouched(struct vmm *v)
{
	struct lu_igb_regs *old = &v->state->device;
	struct lu_igb_regs now;

	now = lu_igb_read(v->device.bar0, lu_vfio_command(&v->device));
	print_regs("as its owner has it back", &now);
	return config_untouched(v) && ring_in_place(v, &now) &&
	       now.command == old->command && now.status == old->status && now.tail == old->tail;
}

/* Who has tried is in the kernel log. */
static bool nobody_wrote_to(const char *bdf)
{
	struct lu_pci_shield shield = lu_pci_shield(bdf);

	if (shield.all)
		ksft_print_msg("%s: %lu config writes were kept away, %lu were no repetition\n",
			       bdf, shield.all, shield.dropped);
	return !shield.all;
}

static bool nobody_wrote(struct vmm *v)
{
	bool nobody = nobody_wrote_to(v->bdf);
	int i;

	for (i = 0; i < v->bridges; i++)
		nobody &= nobody_wrote_to(v->path[i]);
	return nobody;
}

static int take_back_file(struct vmm *v, int session)
{
	int fd = luo_session_retrieve_fd(session, TOKEN_DEVICE);

	if (fd < 0)
		lu_die("LUO does not give back the device: %s, see the kernel log",
		       strerror(-fd));
	ksft_test_result_pass("LUO gave back the device\n");
	may_die(v, "retrieved");
	return fd;
}

/* Three test results. */
static void take_back_device(struct vmm *v, int fd)
{
	lu_vfio_take_over(&v->device, v->bdf, fd);
	attach_memory(v);
	may_die(v, "bound");
	tell("adopted");
	ksft_test_result_pass("the device is bound and attached\n");
	ksft_test_result(dma_addresses_are(v, (uint64_t *)((char *)v->ram +
							   LU_DMA_OFFSET)),
			 "it reaches the VM's memory by the same addresses\n");
	ksft_test_result(device_untouched(v),
			 "it is configured and works as it did\n");
}

static void finish(int session)
{
	int err;

	/* From here on the kernel may do what it likes with the bridges. */
	tell("finished");
	err = luo_session_finish(session);
	if (err)
		ksft_print_msg("LIVEUPDATE_SESSION_FINISH: %s\n", strerror(-err));
	ksft_test_result(!err, "the live update is finished\n");
	close(session);
}

/* The device came along. */
static void stage_2_with_device(struct vmm *v)
{
	uint32_t before;
	int session, fd;

	ksft_set_plan(15);
	session = retrieve_session();
	take_back_memory(v, session);
	print_regs("when the guest was stopped", &v->state->device);
	fd = take_back_file(v, session);
	memcpy(v->bdf, v->state->bdf, sizeof(v->bdf));
	know_device(v);
	/* Before anything here touches device or path. */
	tell_all_configs(v);
	take_back_device(v, fd);

	lu_vm_create(&v->vm, v->ram);
	lu_vm_set_bar(&v->vm, v->device.bar0);
	lu_vm_load(&v->vm, &v->state->vcpu);
	lu_vm_start(&v->vm);
	ksft_test_result(catch_up(v) && heart_beats(v),
			 "the guest runs on in the new kernel\n");
	check_chain(v);
	ksft_test_result(nobody_wrote(v),
			 "nobody tried to write to it or to the bridges above\n");
	finish(session);

	before = frames_seen(v);
	ksft_test_result(!lu_channel_present() ||
			 await_frames(v, before + DEFAULT_FRAMES / 3),
			 "frames go on arriving\n");
	if (v->opt.preserve) {
		preserve_vm(v);
		ksft_test_result_pass("preserved for the next update\n");
		stop_and_save(v);
		ksft_test_result_pass("the guest is stopped again\n");
	} else {
		end_of_frames(v);
		lu_vm_stop(&v->vm);
	}
	tell_all_configs(v);
}

static void stage_2(struct vmm *v)
{
	uint16_t command;
	int session;

	ksft_set_plan(10);
	find_device(v);
	/* Before anything here touches device or path. */
	tell_all_configs(v);
	command = lu_pci_command(v->bdf);

	session = retrieve_session();
	take_back_memory(v, session);
	print_regs("when the guest was stopped", &v->state->device);
	continue_guest(v);
	ksft_test_result(catch_up(v) && heart_beats(v),
			 "the guest runs on in the new kernel\n");
	run_alone(v);
	check_chain(v);
	reopen_device(v, command);
	end_of_frames(v);
	lu_vm_stop(&v->vm);
	finish(session);
}

/* --- process and options -------------------------------------------------- */

static int run(struct vmm *v)
{
	ksft_print_header();
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
 * Stage 1 must outlive its caller for the sake of the session.  Where somebody
 * watches from outside, the VM's memory and the device stay in the other cases
 * too: what they become after us would be taken for the guest's.
 */
static bool must_linger(struct vmm *v, int status)
{
	if (status != KSFT_PASS)
		return false;
	return lu_channel_present() || v->opt.preserve ||
	       (v->opt.stage == 1 && v->opt.idle_s < 0);
}

static void __noreturn linger(int report_fd, int status)
{
	uint8_t byte = status;

	ksft_print_msg("process %d stays and holds the VM until it is killed\n",
		       getpid());
	lu_channel_close();
	fclose(stdout);
	fclose(stderr);
	close(STDIN_FILENO);
	setsid();
	if (chdir("/") || write(report_fd, &byte, 1) != 1)
		_exit(KSFT_FAIL);
	close(report_fd);
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

static void __noreturn explain_usage(void)
{
	fprintf(stderr,
		"usage: lu_vmm [-s 1|2] [options]\n"
		"  -s N               stage: 1 before the kexec, 2 after it\n"
		"  -d BDF             the device, an 82576 (igb); default: the only one\n"
		"  -l                 preserve the VM through LUO; in stage 2, again\n"
		"  -p                 preserve the device, too; in both stages\n"
		"  -c                 tell the observer that physical memory at the VM's\n"
		"                     I/O addresses is unused and can be watched\n"
		"  -n FRAMES          stage 1: wait until the guest accepted so many\n"
		"                     (default 300 with an observer, else 0)\n"
		"  --huge             VM memory in folios of 2 MiB\n"
		"  --idle SECONDS     no update: let the guest work and check it\n"
		"  --die STEP         be killed when 'preserved', 'retrieved' or 'bound'\n"
		"  --errors           the device is to have logged errors meanwhile\n"
		"  --alone SECONDS    stage 2: run without the device first (default 3)\n");
	exit(KSFT_FAIL);
}

static long number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 0);

	if (*end || end == text || n < 0)
		explain_usage();
	return n;
}

static struct options parse(int argc, char *argv[])
{
	static const struct option longs[] = {
		{ "huge", no_argument, NULL, 'H' },
		{ "idle", required_argument, NULL, 'i' },
		{ "alone", required_argument, NULL, 'a' },
		{ "die", required_argument, NULL, 'D' },
		{ "errors", no_argument, NULL, 'E' },
		{ }
	};
	struct options o = {
		.stage = 1, .frames = -1, .idle_s = -1, .alone_s = 3,
	};
	int c;

	while ((c = getopt_long(argc, argv, "s:d:lpcn:", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			o.stage = number(optarg);
			break;
		case 'd':
			o.bdf = optarg;
			break;
		case 'l':
			o.preserve = true;
			break;
		case 'p':
			o.device = true;
			break;
		case 'c':
			o.canary = true;
			break;
		case 'n':
			o.frames = number(optarg);
			break;
		case 'H':
			o.huge = true;
			break;
		case 'i':
			o.idle_s = number(optarg);
			break;
		case 'a':
			o.alone_s = number(optarg);
			break;
		case 'D':
			o.die = optarg;
			break;
		case 'E':
			o.errors = true;
			break;
		default:
			explain_usage();
		}
	}
	if (optind != argc || o.stage < 1 || o.stage > 2)
		explain_usage();
	return o;
}

int main(int argc, char *argv[])
{
	static struct vmm v;
	int report[2], status;
	pid_t child;

	v.opt = parse(argc, argv);
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
		linger(report[1], status);
	return status;
}
