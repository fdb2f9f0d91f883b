/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of lu_vmm.  Its story is in lu_vmm.c.  Test results are reported only
 * there: each file would count its own.
 */
#ifndef LU_VMM_H
#define LU_VMM_H

#include <stdbool.h>

#include "lu_pci.h"
#include "lu_state.h"
#include "lu_vfio.h"
#include "lu_vm.h"

struct options {
	int stage;
	enum lu_interrupts mode;	/* stage 2: as in stage 1 */
	const char *bdf;
	bool preserve;
	bool device;		/* preserved, too */
	const char *die;	/* at which step, NULL: at none */
	bool canary;
	bool huge;
	bool apart;		/* the device in a separate session, first */
	bool fault;		/* of the device's DMA, before anything is measured */
	bool early;		/* map memory before the VM runs, for a control */
	bool held;		/* stop the guest in the middle of a handler */
	bool remap;		/* use another IOVA at the end */
	bool errors;		/* of the device are expected */
	bool reset;		/* by the bus, before the session is finished */
	bool stop;		/* only ask the VMM that runs to stop its VM */
	long frames;		/* -1: as many as fit the machine */
	long mapped_gib;	/* beside the VM's memory */
	long idle_s;		/* -1: no idle run */
	long alone_s;		/* stage 2, before the device is taken */
	long frees_kib;		/* -1: what becomes free is not looked at */
	long flat_kib;		/* -1: free memory is not compared */
};

/* As found in the next kernel before the guest could change it. */
struct found {
	struct lu_guest_control control;
	struct lu_igb_regs device;
};

struct vmm {
	struct options opt;
	char bdf[LU_PCI_BDF_SIZE];
	char path[LU_PCI_PATH_MAX][LU_PCI_BDF_SIZE];
	int bridges;
	int ram_fd, state_fd;
	void *ram;
	struct lu_state *state;
	struct found found;
	struct lu_vfio device;
	struct lu_vm vm;
};

/* --- lu_vmm_options.c ------------------------------------------------------ */

/* Explains them and exits when they are wrong. */
struct options parse(int argc, char *argv[]);

/* --- lu_vmm_guest.c: the guest from outside -------------------------------- */

/* All of these die when the guest does. */
void check_alive(struct vmm *v);
void let_run(struct vmm *v, long ms);

uint32_t frames_seen(struct vmm *v);

/* True when @want frames were accepted, false when no more come. */
bool await_frames(struct vmm *v, uint32_t want);

/* Waits until every frame that has landed has been looked at. */
bool catch_up(struct vmm *v);

bool heart_beats(struct vmm *v);

/* Has the guest wait in its next handler, and waits until it is there. */
void hold_in_handler(struct vmm *v);

/* Waits until the guest has continued from @heartbeat, for at most a second. */
void await_heart(struct vmm *v, uint32_t heartbeat);

/* --- lu_vmm_tell.c: words for the observer -------------------------------- */

#define tell(...)							\
	do {								\
		if (lu_channel_tell(__VA_ARGS__))			\
			lu_die_errno("cannot write to the channel");	\
	} while (0)

void await_observer(const char *word);

/* The configuration space of the device and of the bridges above it. */
void tell_all_configs(struct vmm *v);
void tell_watch(struct vmm *v);

/* Returns the digest of where the memory lies. */
uint64_t tell_memory(struct vmm *v);

/* --- lu_vmm_check.c: what is as it was ------------------------------------ */

/* Frames that are damaged, out of order or not the observer's. */
bool content_good(const struct lu_guest_control *c);

/*
 * Each queue's chain is what it must be by now, from where it was when @old was
 * written: the frames since then are still in their buffers.
 */
bool chains_continue(struct vmm *v, const struct lu_guest_control *old,
		     const struct lu_guest_control *now);

/* Messages of MSI-X: one that was pending when @state was saved, or that had a frame. */
bool no_message_without_frame(const struct lu_state *state,
			      const struct lu_guest_control *now);

/* The guest's control page, from when it was stopped until it ran again. */
bool diary_untouched(struct vmm *v);

/* Its configuration, its registers but for those that count frames. */
bool device_untouched(struct vmm *v);

/* The same addresses as in the table in the VM's memory. */
bool dma_addresses_are_same(struct vmm *v);

/* No write to the device or its path was suppressed. */
bool no_blocked_writes(struct vmm *v);

/*
 * Each update leaves as much memory free as the first one did, but for
 * @opt.flat_kib.
 */
bool free_memory_is_same(struct vmm *v);

void print_regs(const char *when, const struct lu_igb_regs *r);

/* Also whether the device was reset. */
void print_found(struct vmm *v, const char *when, const struct lu_igb_regs *r);

#endif /* LU_VMM_H */
